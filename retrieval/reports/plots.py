"""A sweep -> a PNG picture of its curve, drawn with Pillow: it needs no browser, as plotly does."""

import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from retrieval.advice.sweeps import Sweep

SIZE = (900, 540)  # pixels
FINER = 3  # drawn larger by this and scaled down, so that slanted lines are smooth
LEFT, RIGHT, TOP, BOTTOM = 80, 24, 56, 76  # margins in pixels
RAW, CURVE, INK, GRID, PAPER = "#8a94a6", "#5b6ee1", "#3d4454", "#dfe3ea", "#ffffff"


def write_png(path: str | Path, sweep: Sweep) -> None:
    """Draw R@1 against the knob, values as far apart as their order, beside the raw line."""
    image = Image.new("RGB", tuple(FINER * side for side in SIZE), PAPER)
    draw = ImageDraw.Draw(image)
    heights = [point.metrics["R@1"] for point in sweep.points]
    low, high, step = _scale([*heights, sweep.raw.metrics["R@1"]])
    width, height = SIZE[0] - LEFT - RIGHT, SIZE[1] - TOP - BOTTOM

    def place(i: float, r1: float) -> tuple[float, float]:
        x = LEFT + width * (i + 0.5) / len(heights)
        return FINER * x, FINER * (TOP + height * (high - r1) / (high - low))

    def write(at: tuple[float, float], text: str, anchor: str, colour: str = INK) -> None:
        draw.text(at, text, colour, ImageFont.load_default(14 * FINER), anchor=anchor)

    left, right = FINER * LEFT, FINER * (LEFT + width)
    for n in range(round((high - low) / step) + 1):
        y = place(0, low + n * step)[1]
        draw.line([(left, y), (right, y)], GRID, FINER)
        write((left - 8 * FINER, y), f"{low + n * step:g}", "rm")
    every = math.ceil(len(heights) / 13)
    for i, point in enumerate(sweep.points):
        if i % every == 0:
            at = place(i, low)
            write((at[0], at[1] + 8 * FINER), f"{point.value:g}", "ma")
    y = place(0, sweep.raw.metrics["R@1"])[1]
    for start in range(left, right, 14 * FINER):  # dashes
        draw.line([(start, y), (min(start + 8 * FINER, right), y)], RAW, 2 * FINER)
    places = [place(i, r1) for i, r1 in enumerate(heights)]
    draw.line(places, CURVE, 3 * FINER, joint="curve")
    for x, y in places:
        r = 5 * FINER
        draw.ellipse([x - r, y - r, x + r, y + r], CURVE)
    unit = f", {sweep.unit}" if sweep.unit else ""
    write((left, FINER * 20), f"R@1, % ({sweep.n_queries:,} queries)", "lt")
    write((right, FINER * 20), f"{sweep.title}     ", "rt", CURVE)
    write((right, FINER * 38), "raw similarity (dashed)     ", "rt", RAW)
    write(((left + right) / 2, FINER * (SIZE[1] - 18)), f"{sweep.knob}{unit}", "mb")
    image.resize(SIZE, Image.Resampling.LANCZOS).save(path, "PNG")


def _scale(values: list[float]) -> tuple[float, float, float]:
    """Lowest and highest line of the grid, and its step: 1, 2 or 5 times a power of ten."""
    span = max(max(values) - min(values), 0.5)
    power = 10 ** math.floor(math.log10(span / 4))
    step = next(power * n for n in (1, 2, 5, 10) if power * n >= span / 5)
    low = max(0.0, math.floor(min(values) / step) * step)
    high = math.ceil(max(values) / step) * step
    return low, high if high > low else low + step, step
