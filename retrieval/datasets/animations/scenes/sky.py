"""Sky and space."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from retrieval.datasets.animations import sounds
from retrieval.datasets.animations.canvas import (
    PAINT,
    H,
    W,
    clouds,
    fill_below,
    ridge,
    scroll,
    shade,
    sky,
    sprite,
    stamp,
    stars,
    wave,
)
from retrieval.datasets.animations.scene import Frame, Look, scene


def _balloon(colour: tuple[int, int, int], stripe: tuple[int, int, int]) -> Image.Image:
    def paint(draw, s):
        draw.polygon([(34 * s, 100 * s), (66 * s, 100 * s), (60 * s, 118 * s), (40 * s, 118 * s)], fill=shade(colour, 0.6))
        for i in sorted(range(40), key=lambda i: -abs(i - 19.5)):  # gores, the outer ones behind
            left, right = (2 + 96 * i / 40) * s, (2 + 96 * (i + 1) / 40) * s
            light = 0.62 + 0.55 * math.sin(math.pi * (i / 40) ** 0.8)
            paint_it = stripe if (i // 5) % 2 else colour
            middle = abs((i + 0.5) / 40 - 0.5) * 2
            tall = math.sqrt(max(1 - middle**2, 0))
            draw.polygon(
                [
                    (left, (50 - 48 * tall) * s),
                    (right, (50 - 48 * tall) * s),
                    (right, (50 + 26 * tall) * s),
                    ((50 + (i + 1 - 20) * 0.8) * s, 102 * s),
                    ((50 + (i - 20) * 0.8) * s, 102 * s),
                    (left, (50 + 26 * tall) * s),
                ],
                fill=shade(paint_it, light),
            )
        for x in (42, 58):
            draw.line([(x * s, 116 * s), (x * s, 128 * s)], fill=(70, 60, 50), width=s)
        draw.rounded_rectangle((40 * s, 127 * s, 60 * s, 141 * s), 3 * s, fill=(132, 88, 52))
        draw.rectangle((40 * s, 127 * s, 60 * s, 131 * s), fill=(98, 64, 38))

    return sprite(100, 142, paint)


@scene(
    theme="sky and space",
    attributes={
        "colour": {
            "red": ("red", "scarlet"),
            "yellow": ("yellow", "*lemon"),
            "green": ("green",),
            "blue": ("blue",),
            "purple": ("purple", "violet"),
        },
        "n": {1: ("one", "a single", "a"), 2: ("two", "a pair of"), 3: ("three",), 5: ("five",)},
        "direction": {"left": ("to the left", "leftwards"), "right": ("to the right", "rightwards")},
        "time": {
            "dawn": ("at dawn", "at daybreak", "at first light"),
            "day": ("on a clear day", "in a blue sky", "in daylight"),
            "dusk": ("at dusk", "in the evening glow", "*at twilight"),
        },
    },
    captions=(
        "{n} {colour} hot-air {n|balloon|balloons} {n|drifts|drift} {direction} [over (rolling|green) hills] {time}",
        "{time} {n} {colour} {n|balloon|balloons} {n|floats|float} [slowly] {direction} [above the hills]",
        "{n} {colour} hot-air {n|balloon|balloons} [with striped (envelopes|silk)] in the sky {time}",
    ),
    sound=lambda look, rng: sounds.wind(rng, 0.4) if look["time"] == "dawn" else None,
)
def hot_air_balloons(look: Look, rng: np.random.Generator) -> Frame:
    background = sky(look["time"], 0.8)
    if look["time"] == "dawn":
        stars(rng, background, 40, 0.3)
    haze = {"dawn": (200, 150, 150), "day": (150, 180, 190), "dusk": (120, 70, 90)}[look["time"]]
    near = {"dawn": (104, 104, 96), "day": (92, 150, 84), "dusk": (64, 50, 62)}[look["time"]]
    cover = clouds(rng, (255, 250, 245), 0.35)
    far_hills = ridge(rng, W, 236, 270, 160)
    near_hills = ridge(rng, W, 268, 306, 220)
    fill_below(background, far_hills, haze)
    fill_below(background, near_hills, near)
    n = int(look["n"])
    picture = _balloon(PAINT[look["colour"]], shade(PAINT[look["colour"]], 1.55))
    size = {1: 1.5, 2: 1.15, 3: 0.95, 5: 0.72}[n] * (0.92 + 0.16 * rng.random())
    lanes = (np.arange(n) + 0.5) / n + (rng.random(n) - 0.5) * 0.2 / n
    heights = 128 + (rng.random(n) - 0.5) * 90 * (n > 1)
    scales = size * (0.85 + 0.3 * rng.random(n))
    sign = 1 if look["direction"] == "right" else -1

    def frame(t: float) -> Image.Image:
        img = background.copy()
        scroll(img, cover, -sign * 9 * t + 100, 10)
        for i in np.argsort(scales):
            x = 40 + lanes[i] * (W - 80) + sign * 34 * (t - 1.5) * scales[i]
            y = heights[i] + 5 * wave(t, 0.3, lanes[i])
            stamp(img, picture, x, y, 2.5 * wave(t, 0.25, lanes[i]), scales[i])
        return img

    return frame
