"""Things that stand in many landscapes: trees, houses, towers, people, birds and water.

Most draw with their foot at (x, y) on the draw handle they are given; sizes are canvas pixels.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from retrieval.datasets.animations.canvas import Colour, H, W, disc, shade, sprite, stroke


def layer() -> Image.Image:
    """An empty RGBA canvas for what stands in front."""
    return Image.new("RGBA", (W, H), (0, 0, 0, 0))


def pine(draw: ImageDraw.ImageDraw, x: float, y: float, h: float, colour: Colour) -> None:
    """A fir tree of height h."""
    draw.rectangle((x - 0.035 * h, y - 0.2 * h, x + 0.035 * h, y), fill=shade(colour, 0.6))
    for i in reversed(range(4)):
        top, half = y - h * (1 - 0.2 * i), h * (0.13 + 0.055 * i)
        draw.polygon(
            [(x, top), (x - half, top + 0.31 * h), (x + half, top + 0.31 * h)],
            fill=shade(colour, 1.12 - 0.09 * i),
        )


def round_tree(draw: ImageDraw.ImageDraw, x: float, y: float, h: float, colour: Colour) -> None:
    """A leafy tree of height h, lit from the upper left."""
    stroke(draw, [(x, y), (x, y - 0.5 * h)], (92, 66, 46), max(3, 0.09 * h))
    for dx, dy, r, light in (
        (0.16, 0.52, 0.24, 0.75),
        (-0.2, 0.55, 0.24, 0.88),
        (0.03, 0.72, 0.28, 1.0),
        (-0.07, 0.79, 0.15, 1.16),
    ):
        disc(draw, x + dx * h, y - dy * h, r * h, shade(colour, light))


def bare_tree(
    draw: ImageDraw.ImageDraw,
    x: float,
    y: float,
    h: float,
    colour: Colour,
    rng: np.random.Generator,
) -> None:
    """A tree without leaves, its branches thrown by rng."""

    def branch(x: float, y: float, angle: float, length: float, width: float, depth: int) -> None:
        x2, y2 = x + length * math.sin(angle), y - length * math.cos(angle)
        stroke(draw, [(x, y), (x2, y2)], colour, width)
        if depth:
            for side in (-1, 1):
                turn = angle + side * (0.3 + 0.35 * rng.random())
                branch(x2, y2, turn, length * (0.66 + 0.14 * rng.random()), width * 0.66, depth - 1)

    branch(x, y, 0.0, 0.32 * h, 0.07 * h, 5)


def palm(draw: ImageDraw.ImageDraw, x: float, y: float, h: float, colour: Colour) -> None:
    """A palm of height h that leans to the right."""
    top = (x + 0.22 * h, y - 0.82 * h)
    trunk = [(x + 0.22 * h * u**1.8, y - 0.82 * h * u) for u in np.linspace(0, 1, 10)]
    stroke(draw, trunk, shade(colour, 0.8), 0.055 * h)
    for angle in (-170, -140, -100, -60, -28, 4, 30, -205):
        a = math.radians(angle)
        tip = (top[0] + 0.4 * h * math.cos(a), top[1] + 0.3 * h * math.sin(a) + 0.13 * h)
        bow = (top[0] + 0.24 * h * math.cos(a), top[1] + 0.3 * h * math.sin(a) - 0.05 * h)
        draw.polygon(
            [top, (bow[0], bow[1] - 0.05 * h), tip, (bow[0], bow[1] + 0.035 * h)], fill=colour
        )


def cactus(draw: ImageDraw.ImageDraw, x: float, y: float, h: float, colour: Colour) -> None:
    """A tall desert cactus with two arms."""
    stroke(draw, [(x, y), (x, y - 0.92 * h)], colour, 0.17 * h)
    for side, low in ((-1, 0.38), (1, 0.5)):
        arm = [
            (x, y - low * h),
            (x + side * 0.24 * h, y - low * h),
            (x + side * 0.26 * h, y - (low + 0.3) * h),
        ]
        stroke(draw, arm, colour, 0.12 * h)


def skyline(
    img: Image.Image,
    rng: np.random.Generator,
    base: float,
    low: float,
    high: float,
    colour: Colour,
    lit: Colour | None = None,
) -> None:
    """A row of tower blocks from edge to edge between those heights, some windows lit, in place."""
    draw = ImageDraw.Draw(img)
    x = -12.0
    while x < img.width:
        width = 26 + 30 * rng.random()
        top = base - low - (high - low) * rng.random() ** 1.4
        wall = shade(colour, 0.85 + 0.3 * rng.random())
        draw.rectangle((x, top, x + width, base), fill=wall)
        if rng.random() < 0.3:
            draw.rectangle((x + width / 2 - 2, top - 18, x + width / 2 + 1, top), fill=wall)
        for wx in np.arange(x + 6, x + width - 8, 10):
            for wy in np.arange(top + 8, base - 8, 13):
                if rng.random() < 0.45:
                    draw.rectangle((wx, wy, wx + 4, wy + 6), fill=lit or shade(wall, 1.12))
        x += width + 2 * rng.random()


def cottage(
    draw: ImageDraw.ImageDraw,
    x: float,
    y: float,
    w: float,
    wall: Colour,
    roof: Colour,
    window: Colour = (255, 214, 120),
) -> None:
    """A little house of width w with a gable, a chimney, a door and two windows."""
    left, right, eaves = x - w / 2, x + w / 2, y - 0.52 * w
    draw.rectangle((left + 0.68 * w, eaves - 0.5 * w, left + 0.8 * w, eaves), fill=shade(wall, 0.6))
    draw.rectangle((left, eaves, right, y), fill=wall)
    draw.rectangle((x + 0.22 * w, eaves, right, y), fill=shade(wall, 0.82))
    draw.polygon(
        [(left - 0.09 * w, eaves), (x, eaves - 0.46 * w), (right + 0.09 * w, eaves)], fill=roof
    )
    draw.line([(left - 0.09 * w, eaves), (right + 0.09 * w, eaves)], fill=shade(roof, 0.7), width=2)
    draw.rectangle((x - 0.09 * w, y - 0.34 * w, x + 0.09 * w, y), fill=shade(wall, 0.45))
    for side in (-0.3, 0.3):
        cx, half = x + side * w, 0.085 * w
        draw.rectangle((cx - half, y - 0.36 * w, cx + half, y - 0.36 * w + 2 * half), fill=window)
        draw.line([(cx, y - 0.36 * w), (cx, y - 0.36 * w + 2 * half)], fill=shade(wall, 0.5))


def church(draw: ImageDraw.ImageDraw, x: float, y: float, h: float, wall: Colour) -> None:
    """A church of height h with a pointed steeple on its left."""
    draw.rectangle((x - 0.05 * h, y - 0.36 * h, x + 0.5 * h, y), fill=shade(wall, 0.88))
    draw.polygon(
        [(x - 0.05 * h, y - 0.36 * h), (x + 0.52 * h, y - 0.36 * h), (x + 0.44 * h, y - 0.56 * h),
         (x, y - 0.56 * h)],
        fill=shade(wall, 0.55),
    )  # fmt: skip
    draw.rectangle((x - 0.24 * h, y - 0.62 * h, x, y), fill=wall)
    draw.polygon(
        [(x - 0.28 * h, y - 0.62 * h), (x - 0.12 * h, y - h), (x + 0.04 * h, y - 0.62 * h)],
        fill=shade(wall, 0.5),
    )
    for i in range(3):
        wx = x + (0.09 + 0.14 * i) * h
        draw.rectangle((wx, y - 0.28 * h, wx + 0.06 * h, y - 0.1 * h), fill=(255, 214, 120))


def castle(draw: ImageDraw.ImageDraw, x: float, y: float, w: float, colour: Colour) -> None:
    """A castle of width w with three towers."""
    draw.rectangle((x - 0.4 * w, y - 0.4 * w, x + 0.4 * w, y), fill=colour)
    for i in range(7):
        cx = x - 0.4 * w + i * 0.12 * w
        draw.rectangle((cx, y - 0.46 * w, cx + 0.07 * w, y - 0.4 * w), fill=colour)
    for tx, top, half in ((-0.42, 0.66, 0.1), (0.42, 0.66, 0.1), (0.04, 0.88, 0.12)):
        cx = x + tx * w
        draw.rectangle((cx - half * w, y - top * w, cx + half * w, y), fill=shade(colour, 1.08))
        draw.polygon(
            [
                (cx - (half + 0.03) * w, y - top * w),
                (cx, y - (top + 0.26) * w),
                (cx + (half + 0.03) * w, y - top * w),
            ],
            fill=shade(colour, 0.7),
        )
        draw.rectangle(
            (cx - 0.025 * w, y - (top - 0.1) * w, cx + 0.025 * w, y - (top - 0.2) * w),
            fill=(255, 214, 120),
        )


def lighthouse(draw: ImageDraw.ImageDraw, x: float, y: float, h: float, colour: Colour) -> None:
    """A striped lighthouse of height h; its lamp is at (x, y - 0.88 h)."""
    for i in range(6):
        low, high = y - 0.13 * h * i, y - 0.13 * h * (i + 1)
        a, b = 0.13 - 0.011 * i, 0.13 - 0.011 * (i + 1)
        draw.polygon(
            [(x - a * h, low), (x + a * h, low), (x + b * h, high), (x - b * h, high)],
            fill=(236, 232, 224) if i % 2 else colour,
        )
    draw.rectangle((x - 0.09 * h, y - 0.81 * h, x + 0.09 * h, y - 0.78 * h), fill=(50, 50, 58))
    draw.rectangle((x - 0.055 * h, y - 0.92 * h, x + 0.055 * h, y - 0.81 * h), fill=(255, 232, 150))
    draw.polygon(
        [(x - 0.08 * h, y - 0.92 * h), (x, y - h), (x + 0.08 * h, y - 0.92 * h)], fill=colour
    )


def tent(draw: ImageDraw.ImageDraw, x: float, y: float, w: float, colour: Colour) -> None:
    """A lit ridge tent of width w."""
    draw.polygon([(x - w / 2, y), (x, y - 0.62 * w), (x + w / 2, y)], fill=colour)
    draw.polygon([(x, y - 0.62 * w), (x + w / 2, y), (x + 0.2 * w, y)], fill=shade(colour, 0.7))
    draw.polygon([(x, y - 0.5 * w), (x - 0.14 * w, y), (x + 0.12 * w, y)], fill=(255, 226, 150))


def person(draw: ImageDraw.ImageDraw, x: float, y: float, h: float, colour: Colour) -> None:
    """A standing figure of height h."""
    disc(draw, x, y - 0.88 * h, 0.12 * h, colour)
    draw.rounded_rectangle(
        (x - 0.15 * h, y - 0.75 * h, x + 0.15 * h, y - 0.32 * h), 0.09 * h, fill=colour
    )
    for side in (-0.075, 0.075):
        stroke(draw, [(x + side * h, y - 0.36 * h), (x + side * h, y)], colour, 0.11 * h)


def sail_boat(w: int, hull: Colour, sail: Colour) -> Image.Image:
    """A small sailing boat as an RGBA sprite w wide and w tall."""

    def paint(draw: ImageDraw.ImageDraw, s: float) -> None:
        k = w * s
        draw.polygon([(0.5 * k, 0.04 * k), (0.5 * k, 0.76 * k), (0.95 * k, 0.76 * k)], fill=sail)
        draw.polygon(
            [(0.46 * k, 0.16 * k), (0.46 * k, 0.76 * k), (0.14 * k, 0.76 * k)],
            fill=shade(sail, 0.82),
        )
        draw.polygon(
            [(0.04 * k, 0.8 * k), (0.98 * k, 0.8 * k), (0.82 * k, 0.98 * k), (0.18 * k, 0.98 * k)],
            fill=hull,
        )

    return sprite(w, w, paint)


def bird(
    draw: ImageDraw.ImageDraw, x: float, y: float, span: float, flap: float, colour: Colour
) -> None:
    """A flying bird seen from afar; flap -1..1 lowers and lifts the wing tips."""
    lift = flap * 0.26 * span
    for side in (-1, 1):
        draw.polygon(
            [
                (x, y - 0.05 * span),
                (x + side * 0.26 * span, y - 0.5 * lift - 0.14 * span),
                (x + side * 0.5 * span, y - lift),
                (x + side * 0.24 * span, y - 0.4 * lift - 0.03 * span),
                (x, y + 0.07 * span),
            ],
            fill=colour,
        )


def glints(
    draw: ImageDraw.ImageDraw,
    t: float,
    x: float,
    top: float,
    colour: Colour,
    n: int = 22,
    spread: float = 1.0,
) -> None:
    """Light on water below a lamp or a sun at x: dashes that widen and sway towards the viewer."""
    for i in range(n):
        u = (i + 0.5) / n
        y = top + 3 + (H - top) * u**1.3
        half = spread * (8 + 46 * u) * (0.65 + 0.35 * math.sin(2.4 * t + 2.1 * i))
        cx = x + spread * (4 + 14 * u) * math.sin(1.7 * t + 4.3 * i)
        draw.line([(cx - half, y), (cx + half, y)], fill=colour, width=2 + round(2 * u))


def water(img: Image.Image, horizon: int, colour: Colour, rng: np.random.Generator) -> None:
    """A sea from the horizon to the lower edge with faint waves, in place."""
    draw = ImageDraw.Draw(img)
    for y in range(horizon, H):
        u = (y - horizon) / (H - horizon)
        draw.line([(0, y), (W, y)], fill=shade(colour, 1.18 - 0.5 * u))
    for i in range(60):
        u = rng.random() ** 0.8
        y, x, half = horizon + 3 + u * (H - horizon), rng.random() * W, 6 + 26 * u
        draw.line(
            [(x - half, y), (x + half, y)], fill=shade(colour, 1.3 - 0.5 * u), width=1 + (i % 2)
        )


def puff(colour: Colour, radius: int) -> Image.Image:
    """A ball of smoke as an RGBA sprite."""
    y, x = np.mgrid[-radius:radius, -radius:radius] / radius
    alpha = 235 * np.minimum(1, 2.2 * np.clip(1 - np.hypot(x, y), 0, 1))
    tone = np.clip(1.04 - 0.14 * (x * 0.5 + y), 0, 1.15)[..., None] * np.array(colour)
    return Image.fromarray(np.dstack([np.clip(tone, 0, 255), alpha]).astype(np.uint8))
