"""Fire and light."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from retrieval.datasets.animations import sounds
from retrieval.datasets.animations.canvas import (
    PAINT,
    Colour,
    H,
    W,
    ball,
    blurred,
    clouds,
    disc,
    ease,
    ease_out,
    fill_below,
    font,
    glow,
    gradient,
    mix,
    ridge,
    shade,
    shadow,
    sky,
    sprite,
    stamp,
    stars,
    stroke,
    wave,
)
from retrieval.datasets.animations.scene import Frame, Look, scene

_tone = lru_cache(maxsize=4096)(shade)  # the same tints come in every frame

_FLAME: dict[str, tuple[Colour, Colour, Colour]] = {  # outer, middle and inner colour
    "orange": ((216, 74, 24), (252, 160, 40), (255, 240, 160)),
    "green": ((22, 130, 60), (90, 220, 100), (230, 255, 200)),
    "blue": ((30, 70, 210), (80, 160, 255), (220, 244, 255)),
    "pink": ((190, 30, 120), (255, 110, 180), (255, 226, 240)),
}


def _poly(
    draw: ImageDraw.ImageDraw, s: float, points: Sequence[tuple[float, float]], colour: Colour
) -> None:
    draw.polygon([(x * s, y * s) for x, y in points], fill=colour)


def _tongue(
    draw: ImageDraw.ImageDraw,
    x: float,
    y: float,
    wide: float,
    tall: float,
    sway: float,
    colour: Colour,
) -> None:
    """One tongue of a flame that stands on (x, y) and leans by sway pixels at its tip."""
    left, right = [], []
    for i in range(13):
        u = i / 12
        half = wide * (math.sin(math.pi * min(u * 0.62 + 0.3, 1)) ** 1.5) * (1 - u**3)
        middle = x + sway * u * u
        left.append((middle - half, y - tall * u))
        right.append((middle + half, y - tall * u))
    draw.polygon(left + right[::-1], fill=colour)


@scene(
    theme="fire and light",
    attributes={
        "flame": {
            "orange": ("orange", "yellow and orange"),
            "green": ("green",),
            "blue": ("blue",),
            "pink": ("pink", "*magenta"),
        },
        "place": {
            "forest": ("in a pine forest", "among fir trees"),
            "beach": ("on a beach", "on the seashore", "by the sea"),
            "snow": ("in the snow", "on snowy ground"),
            "desert": ("in the desert", "among cacti"),
        },
        "thing": {
            "tent": ("a red tent", "a small red tent"),
            "guitar": ("a guitar", "an acoustic guitar"),
            "logs": ("two logs to sit on", "log seats"),
            "kettle": ("a kettle hanging over the flames", "a black pot above the flames"),
        },
        "size": {"small": ("small", "little"), "large": ("large", "big", "*roaring")},
    },
    captions=(
        "a {size} campfire with {flame} flames burns {place} at night [next to {thing}]",
        "{flame} flames of a {size} campfire flicker {place} [, with {thing}]",
        "at night a {size} {flame} fire (crackles|burns) {place} [beside {thing}]",
        "a {size} (campfire|bonfire) {place} with {flame} flames [, sparks rising] [and {thing}]",
    ),
    sound=lambda look, rng: (1.0 if look["size"] == "large" else 0.6) * sounds.crackle(rng),
)
def campfire(look: Look, rng: np.random.Generator) -> Frame:
    place, thing = look["place"], look["thing"]
    outer, middle, inner = _FLAME[look["flame"]]
    big = 1.0 if look["size"] == "large" else 0.5
    background = sky("night", 0.7)
    stars(rng, background, 130, 0.6)
    ground = {
        "forest": (44, 50, 40),
        "beach": (128, 104, 74),
        "snow": (176, 190, 220),
        "desert": (120, 72, 50),
    }[place]
    draw = ImageDraw.Draw(background)
    if place == "forest":
        for row in range(3):
            for _ in range(9):
                x, foot, tall = rng.random() * W, 236 + 8 * row, 130 + 70 * rng.random() - 20 * row
                tint = mix((30, 50, 70), (12, 26, 26), row / 2)
                for k in range(6):
                    top, wide = foot - tall * (1 - k / 7), 8 + 8 * k
                    draw.polygon(
                        [
                            (x, top - 18),
                            (x - wide, top + tall / 6 + 6),
                            (x + wide, top + tall / 6 + 6),
                        ],
                        fill=tint,
                    )
    elif place == "beach":
        background.paste(gradient([(0, (20, 34, 76)), (1, (60, 84, 130))], (W, 80)), (0, 176))
        for _ in range(16):
            x, y = rng.random() * W, 182 + 64 * rng.random()
            draw.line([(x, y), (x + 20 + 40 * rng.random(), y)], fill=(104, 130, 180), width=2)
    elif place == "snow":
        fill_below(background, ridge(rng, W, 110, 200, 140), (92, 108, 156), (120, 136, 180))
        fill_below(background, ridge(rng, W, 190, 226, 200), (126, 142, 186))
    else:
        fill_below(background, ridge(rng, W, 150, 216, 90), (58, 42, 62))
        for x, y in ((40, 250), (408, 246)):
            for line, wide in (
                ([(x, y), (x, y - 96)], 22),
                ([(x, y - 40), (x + 28, y - 44), (x + 28, y - 76)], 14),
                ([(x, y - 26), (x - 26, y - 30), (x - 26, y - 56)], 14),
            ):
                stroke(draw, line, (34, 70, 52), wide)
    fill_below(background, ridge(rng, W, 240, 252, 200), ground, shade(ground, 0.5))
    cx, foot = 224, 296
    glow(background, cx, foot, 210, mix(outer, middle, 0.5), 0.5, 1.5)
    glow(background, cx, foot, 110, middle, 0.6)
    draw = ImageDraw.Draw(background)
    lit_by = mix((255, 255, 255), middle, 0.4)
    if thing == "tent":
        shadow(background, 370, 296, 90, 12, 0.5)
        draw.polygon([(276, 296), (352, 172), (440, 286)], fill=(150, 36, 34))
        draw.polygon([(276, 296), (352, 172), (376, 300)], fill=(220, 66, 54))
        draw.polygon([(318, 298), (350, 202), (352, 300)], fill=(70, 20, 26))
    elif thing == "guitar":
        draw.line([(398, 150), (360, 250)], fill=(92, 60, 40), width=11)
        draw.line([(403, 138), (396, 158)], fill=(60, 40, 30), width=18)
        for x, y, r in ((362, 240, 25), (350, 276, 34)):
            disc(draw, x, y, r, (150, 92, 46))
            disc(draw, x - 2, y, r - 5, (214, 142, 72))
        disc(draw, 358, 252, 11, (50, 32, 26))
        draw.line([(400, 146), (347, 286)], fill=(244, 230, 200), width=2)
    elif thing == "logs":
        for x, turn in ((86, 1), (366, -1)):
            shadow(background, x, 310, 76, 10, 0.5)
            draw.rounded_rectangle((x - 70, 272, x + 70, 310), 18, fill=(92, 60, 40))
            draw.rounded_rectangle((x - 70, 272, x + 70, 286), 8, fill=(140, 96, 62))
            draw.ellipse((x + 58 * turn - 15, 273, x + 58 * turn + 15, 309), fill=(216, 174, 120))
            draw.ellipse(
                (x + 58 * turn - 7, 281, x + 58 * turn + 7, 301), outline=(160, 116, 74), width=3
            )
    for x, y in ((cx - 70, 306), (cx - 46, 318), (cx, 324), (cx + 46, 318), (cx + 70, 306)):
        stamp(
            background,
            ball(15, mix((110, 108, 112), lit_by, 0.25), (0.0, -0.6)),
            x,
            y,
            0,
            (1.25, 0.85),
        )
    front = Image.new("RGBA", (W, H), (0, 0, 0, 0))
    d = ImageDraw.Draw(front)
    for x0, x1 in ((cx - 58, cx + 40), (cx + 58, cx - 40)):
        stroke(d, [(x0, foot + 10), (x1, foot - 18)], (70, 44, 32), 17)
        stroke(d, [(x0, foot + 7), (x1, foot - 21)], (132, 84, 52), 7)
        disc(d, x0, foot + 9, 8, (206, 160, 110))
    if thing == "kettle":
        for a in (-1, 1):
            stroke(d, [(cx + 104 * a, 318), (cx, 58)], (104, 74, 50), 8)
        d.line([(cx, 60), (cx, 110)], fill=(40, 40, 46), width=4)
        d.arc((cx - 36, 100, cx + 36, 170), 180, 360, fill=(60, 60, 68), width=5)
        d.pieslice((cx - 44, 84, cx + 44, 196), 0, 180, fill=(38, 38, 46))
        d.pieslice((cx - 44, 84, cx - 4, 196), 90, 180, fill=(66, 66, 78))
        d.rounded_rectangle((cx - 48, 132, cx + 48, 144), 5, fill=(84, 84, 96))
    logs = front.getchannel("A")
    seeds = rng.random((30, 4))
    tall = 190 * big if thing != "kettle" else 150 * big

    def frame(t: float) -> Image.Image:
        img = background.copy()
        flicker = 0.5 + 0.5 * wave(t, 1.33, 0.1) * wave(t, 0.67)
        glow(img, cx, foot - 60 * big, 90 + 110 * big, outer, 0.4 + 0.2 * flicker, 1.6)
        draw = ImageDraw.Draw(img)
        for layer, (colour, share) in enumerate(
            ((outer, 1.0), (mix(outer, middle, 0.6), 0.8), (middle, 0.62), (inner, 0.36))
        ):
            for k in (-2, 2, -1, 1, 0):
                high = (
                    tall
                    * share
                    * (1 - 0.2 * abs(k))
                    * (1 + 0.16 * wave(t, 1.33 if k % 2 else 1.0, 0.23 * k + 0.08 * layer))
                )
                sway = 16 * big * wave(t, 1.0, 0.31 * k + 0.05 * layer) - 7 * k * big
                _tongue(
                    draw,
                    cx + 21 * k * big * share**0.5,
                    foot - 4,
                    25 * big * share**0.6 + 3,
                    high,
                    sway,
                    colour,
                )
        for u, v, w, z in seeds:
            p = (v + t / (1.5 if w > 0.5 else 3)) % 1
            x, y = (
                cx + (60 * (u - 0.5) + 90 * (u - 0.5) * p) * (0.5 + big / 2) + 9 * wave(t, 0.8, z),
                foot - tall * 0.5 - 190 * p,
            )
            disc(draw, x, y, 3.4 * (1 - p) * (0.6 + w), inner)
        img.paste(front, (0, 0), logs)
        return img

    return frame


@scene(
    theme="fire and light",
    attributes={
        "colour": {
            "red": ("red",),
            "white": ("white", "ivory"),
            "green": ("green",),
            "blue": ("blue",),
            "purple": ("purple", "violet"),
        },
        "n": {1: ("one", "a single", "a"), 2: ("two", "a pair of"), 3: ("three",), 5: ("five",)},
        "holder": {
            "brass": ("polished brass", "gleaming brass"),
            "saucers": ("white china", "white porcelain"),
            "bare": ("a wooden table", "bare wood"),
        },
        "place": {
            "wall": ("a dark red wall", "a wall of deep red"),
            "window": ("a window with snow falling outside", "a snowy window"),
            "books": ("a shelf of books", "old books on a shelf"),
        },
    },
    captions=(
        "{n} {colour} {n|candle burns|candles burn} on {holder} [in front of {place}]",
        "the (flame|light) of {n} {colour} {n|candle|candles} flickers before {place} [, on {holder}]",
        "before {place} {n} {colour} {n|candle flickers|candles flicker} [on {holder}]",
        "{n} burning {colour} {n|candle|candles} on {holder} [with {place} behind]",
    ),
)
def candle(look: Look, rng: np.random.Generator) -> Frame:
    place, n, wax = look["place"], int(look["n"]), PAINT[look["colour"]]
    background = gradient([(0, (70, 18, 26)), (0.6, (118, 34, 38)), (1, (60, 20, 24))])
    draw = ImageDraw.Draw(background)
    if place == "window":
        background = gradient([(0, (60, 44, 38)), (1, (92, 66, 50))])
        background.paste(gradient([(0, (16, 26, 62)), (1, (70, 92, 150))], (312, 230)), (68, 14))
        fill_below_box = ridge(rng, 312, 176, 214, 120)
        draw = ImageDraw.Draw(background)
        draw.polygon(
            [
                (68, 244),
                *((68 + i, float(y) + 14) for i, y in enumerate(fill_below_box)),
                (380, 244),
            ],
            fill=(180, 196, 230),
        )
        for box in (
            (58, 6, 72, 254),
            (376, 6, 390, 254),
            (216, 6, 232, 254),
            (58, 4, 390, 18),
            (58, 122, 390, 134),
            (46, 240, 402, 258),
        ):
            draw.rectangle(box, fill=(206, 190, 170))
    elif place == "books":
        background = Image.new("RGB", (W, H), (52, 32, 24))
        draw = ImageDraw.Draw(background)
        for shelf in (118, 250):
            x = 4
            while x < W:
                wide, tall = 14 + int(rng.integers(18)), 76 + int(rng.integers(34))
                tint = shade(
                    ((150, 60, 50), (60, 90, 110), (70, 100, 70), (170, 130, 70), (110, 70, 100))[
                        int(rng.integers(5))
                    ],
                    0.6,
                )
                draw.rectangle((x, shelf - tall, x + wide, shelf), fill=tint)
                draw.rectangle(
                    (x, shelf - tall + 12, x + wide, shelf - tall + 17), fill=(190, 156, 90)
                )
                x += wide + 2
            draw.rectangle((0, shelf, W, shelf + 12), fill=(98, 62, 40))
    background = blurred(background, 2)
    table = gradient([(0, (146, 94, 58)), (1, (84, 50, 32))], (W, 66))
    background.paste(table, (0, H - 66))
    size = {1: 1.35, 2: 1.15, 3: 1.0, 5: 0.72}[n]
    bases = [
        (224 + (i - (n - 1) / 2) * {1: 0, 2: 170, 3: 132, 5: 84}[n], 300 + 8 * (i % 2))
        for i in range(n)
    ]
    talls = [
        (112 if look["holder"] == "brass" else 136) * size * (0.78 + 0.36 * rng.random())
        for _ in range(n)
    ]
    wicks = []
    for (x, y), tall in zip(bases, talls, strict=True):
        wide = 25 * size
        shadow(background, x, y + 10, 60 * size, 14, 0.5)
        draw = ImageDraw.Draw(background)
        foot = y
        if look["holder"] == "brass":
            gold = PAINT["gold"]
            foot = y - 52 * size
            for i in range(10):
                u = i / 9
                tint, k = (
                    shade(gold, 0.5 + 0.9 * math.sin(math.pi * (0.1 + 0.75 * u))),
                    1 - u * 0.92,
                )
                draw.ellipse(
                    (x - 46 * size * k, y - 10 * size * k, x + 46 * size * k, y + 14 * size * k),
                    fill=tint,
                )
                draw.rectangle((x - 9 * size * k, foot, x + 9 * size * k, y - 2), fill=tint)
                draw.ellipse(
                    (x - 34 * size * k, foot - 10 * size, x + 34 * size * k, foot + 10 * size),
                    fill=tint,
                )
        elif look["holder"] == "saucers":
            draw.ellipse(
                (x - 56 * size, y - 12 * size, x + 56 * size, y + 18 * size), fill=(190, 186, 184)
            )
            draw.ellipse(
                (x - 56 * size, y - 15 * size, x + 56 * size, y + 13 * size), fill=(246, 242, 236)
            )
            draw.ellipse(
                (x - 38 * size, y - 9 * size, x + 38 * size, y + 8 * size), fill=(220, 214, 208)
            )
        top = foot - tall
        for i in range(16):
            u = i / 16
            tint = shade(wax, 0.55 + 0.7 * math.sin(math.pi * (0.1 + 0.8 * u)))
            draw.rectangle(
                (x - wide + 2 * wide * u, top, x - wide + 2 * wide * (u + 1 / 16), foot), fill=tint
            )
        draw.ellipse((x - wide, foot - 6 * size, x + wide, foot + 6 * size), fill=shade(wax, 0.8))
        draw.ellipse((x - wide, top - 7 * size, x + wide, top + 7 * size), fill=shade(wax, 1.5))
        draw.ellipse(
            (x - wide * 0.6, top - 4 * size, x + wide * 0.6, top + 4 * size), fill=shade(wax, 1.75)
        )
        for k in range(3):
            dx, long = wide * (0.75 - 0.6 * k), (16 + 30 * rng.random()) * size
            draw.rounded_rectangle(
                (x + dx - 4, top, x + dx + 4, top + long), 4, fill=shade(wax, 1.3)
            )
        glow(background, x, top + 10, 60 * size, (255, 200, 120), 0.4)
        draw.line([(x, top + 1), (x + 1, top - 13 * size)], fill=(40, 30, 30), width=4)
        wicks.append((x, top - 6 * size))
    flakes = rng.random((36, 3))
    phase = rng.random(n)
    panes = ((72, 18, 216, 122), (232, 18, 376, 122), (72, 134, 216, 240), (232, 134, 376, 240))

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        if place == "window":
            for u, v, w in flakes:
                x, y = 72 + 304 * u + 8 * wave(t, 0.4, w), 18 + 222 * ((v + t / 3) % 1)
                hidden = any(abs(x - wx) < 34 * size and y > wy - 40 for wx, wy in wicks)
                if not hidden and any(a < x < c and b < y < e for a, b, c, e in panes):
                    disc(draw, x, y, 2 + 2 * w, (236, 242, 255))
        for (x, y), p in zip(wicks, phase, strict=True):
            high = 58 * size * (1 + 0.1 * wave(t, 1.33, p))
            sway = 9 * size * wave(t, 0.67, p) + 4 * size * wave(t, 1.67, p * 3)
            glow(img, x, y - 24 * size, 130 * size, (255, 160, 70), 0.62 + 0.12 * wave(t, 1.33, p))
            draw = ImageDraw.Draw(img)
            _tongue(draw, x, y, 12 * size, high, sway, (240, 130, 40))
            _tongue(draw, x, y - 2, 9.5 * size, high * 0.82, sway * 0.8, (255, 196, 80))
            _tongue(draw, x, y - 3, 6 * size, high * 0.58, sway * 0.5, (255, 246, 206))
            disc(draw, x, y - 3 * size, 4 * size, (120, 150, 230))
        return img

    return frame


def _skyline(img: Image.Image, rng: np.random.Generator, foot: int, tint: Colour) -> None:
    draw = ImageDraw.Draw(img)
    x = -6
    while x < W:
        wide, tall = 22 + int(rng.integers(30)), 26 + int(rng.integers(80))
        draw.rectangle((x, foot - tall, x + wide, foot), fill=tint)
        if tall > 84:
            draw.line(
                [(x + wide / 2, foot - tall - 20), (x + wide / 2, foot - tall)], fill=tint, width=3
            )
        for wx in range(x + 4, x + wide - 4, 9):
            for wy in range(foot - tall + 6, foot - 6, 11):
                if rng.random() < 0.5:
                    draw.rectangle((wx, wy, wx + 4, wy + 5), fill=(250, 214, 130))
        x += wide + 1


@scene(
    theme="fire and light",
    attributes={
        "colour": {
            "red": ("red", "scarlet"),
            "gold": ("golden", "gold"),
            "green": ("green",),
            "blue": ("blue",),
            "pink": ("pink", "*fuchsia"),
        },
        "shape": {
            "ball": ("round", "ball-shaped"),
            "heart": ("heart-shaped",),
            "star": ("star-shaped",),
            "willow": ("drooping", "willow-like"),
        },
        "n": {1: ("one", "a single"), 2: ("two",), 4: ("four",)},
        "place": {
            "city": ("a city", "the skyline of a city", "skyscrapers"),
            "lake": ("a lake", "calm water"),
            "mountains": ("mountains", "snowy mountains"),
        },
    },
    captions=(
        "{n} {shape} {colour} {n|firework bursts|fireworks burst} over {place} [at night]",
        "{colour} {shape} fireworks in the night sky over {place} [, {n} {n|rocket|rockets} in all]",
        "above {place} {n} {n|rocket opens|rockets open} into {shape} {colour} light",
        "at night {shape} {colour} light from {n} {n|rocket|rockets} (opens|spreads) above {place}",
        "over {place} {n} {n|rocket lights|rockets light} up the sky [with {shape} {colour} sparks]",
    ),
    sound=lambda look, rng: sounds.together(
        *(
            sounds.at(
                [0.55 + 0.45 * i],
                sounds.hiss(rng, 40, 900, 1.2) * np.exp(-sounds.seconds(1.2) / 0.22),
                0.8,
            )
            for i in range(int(look["n"]))
        ),
        sounds.at([0.0], sounds.glide(600, 1900, 0.5), 0.15),
    ),
    poster_s=2.0,
)
def fireworks(look: Look, rng: np.random.Generator) -> Frame:
    colour, shape, n, place = PAINT[look["colour"]], look["shape"], int(look["n"]), look["place"]
    background = sky("night", 0.9)
    stars(rng, background, 70, 0.6)
    if place == "city":
        _skyline(background, rng, H, (16, 18, 34))
    elif place == "mountains":
        fill_below(background, ridge(rng, W, 190, 270, 130), (60, 72, 116), (34, 44, 80))
        snow = ridge(rng, W, 244, 300, 170)
        fill_below(background, snow, (206, 216, 240), (120, 134, 180))
    else:
        fill_below(background, ridge(rng, W, 216, 238, 150), (18, 24, 40))
    water = 240
    spots = {
        1: [(224, 128)],
        2: [(128, 118), (326, 138)],
        4: [(84, 96), (196, 168), (286, 84), (380, 150)],
    }[n]
    size = {1: 140, 2: 104, 4: 74}[n]
    m = 84 if n < 4 else 60
    if shape == "heart":
        a = np.linspace(0, 2 * np.pi, m, endpoint=False)
        aim = np.stack(
            [
                np.sin(a) ** 3,
                -(13 * np.cos(a) - 5 * np.cos(2 * a) - 2 * np.cos(3 * a) - np.cos(4 * a)) / 16,
            ],
            1,
        )
    elif shape == "star":
        corner = np.array(
            [
                (r * math.sin(math.pi * k / 5), -r * math.cos(math.pi * k / 5))
                for k, r in zip(range(11), (1, 0.4) * 6, strict=False)
            ]
        )
        place_on = np.linspace(0, 10, m, endpoint=False)
        aim = np.stack([np.interp(place_on, range(11), corner[:, i]) for i in (0, 1)], 1)
    else:
        a = np.arange(m) * 2.39996
        aim = np.stack([np.cos(a), np.sin(a)], 1) * (np.sqrt((np.arange(m) + 8) / (m + 8)))[:, None]
    spots = [(x + 14 * (rng.random() - 0.5), y + 12 * (rng.random() - 0.5)) for x, y in spots]
    light = mix(colour, (255, 255, 255), 0.15)

    def sparks(draw: ImageDraw.ImageDraw, glows: Image.Image, t: float) -> None:
        for i, (x, y) in enumerate(spots):
            age = t - 0.3 - 0.35 * i if n > 1 else t - 0.4
            if age < 0:  # the rocket climbs
                u = max(0.0, 1 + age / (0.3 + 0.35 * i if n > 1 else 0.4))
                ry = 330 - (330 - y) * ease_out(u)
                stroke(draw, [(x, min(330, ry + 34)), (x, ry)], shade(light, 0.6), 3)
                disc(draw, x, ry, 4, (255, 240, 200))
                continue
            out = ease_out(age / 1.1)
            fade = round(24 * (1 - ease((age - 1.8) / 1.6))) / 24
            fall = (60 if shape == "willow" else 8) * age * age * size / 100
            glow(glows, x, y, size * 1.5, light, round(4 * fade * (1 - 0.4 * out)) / 5, 1.5)
            back = ease_out(max(0.0, age - (0.5 if shape == "willow" else 0.16)) / 1.1)
            drop = (60 if shape == "willow" else 8) * max(0.0, age - 0.3) ** 2 * size / 100
            tint, whiter = light, mix(light, (255, 255, 255), 0.45)
            for k, (ax, ay) in enumerate(aim):
                tip = (x + size * ax * out, y + size * ay * out + fall)
                tail = (x + size * ax * back, y + size * ay * back + drop)
                draw.line([tail, tip], fill=_tone(tint, 0.75 * fade), width=4)
                twinkle = round(6 * (0.75 + 0.25 * wave(age, 1.5, k * 0.618))) / 6
                bright = whiter if k % 3 == 0 else tint
                disc(draw, *tip, 4.6, _tone(bright, fade * twinkle))

    def frame(t: float) -> Image.Image:
        light_layer = Image.new("RGB", (W, H))
        sparks(ImageDraw.Draw(light_layer), light_layer, t)
        img = ImageChops.lighter(background, light_layer)
        if place == "lake":
            mirror = (
                img.crop((0, 0, W, water))
                .resize((W, H - water), Image.Resampling.BILINEAR)
                .transpose(Image.Transpose.FLIP_TOP_BOTTOM)
            )
            mirror = Image.blend(mirror, Image.new("RGB", mirror.size, (16, 30, 66)), 0.4)
            img.paste(mirror, (0, water))
            draw = ImageDraw.Draw(img)
            for i in range(12):
                y = water + 6 + 7.6 * i
                x = 224 + 150 * math.sin(i * 2.4) + 10 * wave(t, 0.4, i * 0.3)
                draw.line([(x - 20 - 5 * i, y), (x + 20 + 5 * i, y)], fill=(70, 92, 146), width=2)
        return img

    return frame


@scene(
    theme="fire and light",
    attributes={
        "wax": {
            "red": ("red",),
            "yellow": ("yellow", "*canary-yellow"),
            "orange": ("orange",),
            "pink": ("pink",),
            "white": ("white", "milky white"),
        },
        "liquid": {
            "purple": ("purple", "violet"),
            "blue": ("blue",),
            "green": ("green", "dark green"),
        },
        "base": {"silver": ("silver", "steel"), "gold": ("golden", "brass"), "black": ("black",)},
        "place": {
            "window": ("a window at night", "a moonlit window"),
            "wallpaper": ("patterned wallpaper", "wallpaper with circles"),
            "shelf": ("a shelf of records", "rows of records"),
        },
    },
    captions=(
        "{wax} blobs rise and sink in the {liquid} liquid of a lava lamp [before {place}]",
        "a lava lamp with {wax} wax in {liquid} liquid [on a {base} stand] [in front of {place}]",
        "in a lava lamp [with a {base} foot] {wax} wax floats through {liquid} liquid [, {place} behind it]",
        "{wax} drops of wax drift [slowly] up and down a {liquid} lava lamp [with a {base} base]",
    ),
)
def lava_lamp(look: Look, rng: np.random.Generator) -> Frame:
    wax = PAINT[look["wax"]]
    liquid = {"purple": (88, 40, 150), "blue": (30, 78, 190), "green": (16, 104, 72)}[
        look["liquid"]
    ]
    place = look["place"]
    background = gradient([(0, (52, 38, 56)), (1, (84, 58, 66))])
    draw = ImageDraw.Draw(background)
    if place == "window":
        background.paste(gradient([(0, (12, 18, 48)), (1, (58, 74, 130))], (372, 226)), (38, 20))
        panes = background.crop((38, 20, 410, 246))
        stars(rng, panes, 60, 1.0)
        background.paste(panes, (38, 20))
        glow(background, 350, 70, 60, (200, 214, 255), 0.6)
        draw = ImageDraw.Draw(background)
        disc(draw, 350, 70, 18, (240, 240, 226))
        for box in (
            (28, 10, 420, 24),
            (28, 240, 420, 254),
            (28, 10, 42, 254),
            (406, 10, 420, 254),
            (106, 10, 116, 254),
            (332, 10, 338, 254),
            (28, 128, 420, 138),
        ):
            draw.rectangle(box, fill=(150, 128, 116))
    elif place == "wallpaper":
        for gy in range(6):
            for gx in range(8):
                x, y = gx * 64 + 32 * (gy % 2), gy * 52 + 10
                for r, tint in ((28, (176, 100, 60)), (19, (216, 150, 76)), (10, (116, 62, 56))):
                    disc(draw, x, y, r, tint)
    else:
        for y in (130, 268):
            x = 0
            while x < W:
                wide = 7 + int(rng.integers(8))
                tint = shade(
                    PAINT[("red", "blue", "green", "yellow", "pink", "grey")[int(rng.integers(6))]],
                    0.3 + 0.2 * rng.random(),
                )
                draw.rectangle((x, y - 96, x + wide - 1, y), fill=tint)
                x += wide
            draw.rectangle((0, y, W, y + 14), fill=(112, 74, 48))
    background = blurred(background, 1.5)
    background.paste(gradient([(0, (128, 82, 56)), (1, (70, 44, 34))], (W, 36)), (0, 300))
    cx, top, foot = 224, 44, 236
    for _ in range(2):
        glow(background, cx, 160, 220, mix(liquid, wax, 0.4), 0.42, 1.6)
    shadow(background, cx, 316, 110, 14, 0.6)
    metal = {"silver": (176, 184, 194), "gold": (222, 172, 62), "black": (56, 54, 62)}[look["base"]]
    draw = ImageDraw.Draw(background)
    for i in range(24):
        u, v = i / 24, (i + 1) / 24
        tint = shade(metal, 0.45 + 0.95 * math.sin(math.pi * (0.12 + 0.76 * u)) ** 2)

        def across(wide: float, share: float) -> float:
            return cx - wide + 2 * wide * share

        draw.polygon(
            [
                (across(62, u), 236),
                (across(62, v), 236),
                (across(36, v), 274),
                (across(36, u), 274),
            ],
            fill=tint,
        )
        draw.polygon(
            [
                (across(36, u), 274),
                (across(36, v), 274),
                (across(70, v), 318),
                (across(70, u), 318),
            ],
            fill=shade(tint, 0.9),
        )
        draw.polygon(
            [(across(24, u), 14), (across(24, v), 14), (across(37, v), 46), (across(37, u), 46)],
            fill=tint,
        )
    gy, gx = np.mgrid[0:97, 0:65].astype(np.float32)
    x, y = gx * 2 - 64, gy * 2  # pixels from the lamp's axis and below its top
    half = 35 + 25 * y / (foot - top)
    inside = np.clip(half - np.abs(x), 0, 1)
    base_light = np.clip(0.75 + 0.5 * y / (foot - top), 0, 1.4) * (
        1 - 0.45 * np.clip(np.abs(x) / half, 0, 1) ** 3
    )
    water = np.array(liquid) * base_light[..., None]
    sheen = 90 * np.exp(-(((x + half * 0.68) / 5) ** 2))[..., None]
    n = 7
    radii, phases, shifts = (
        13 + 11 * rng.random(n),
        (np.arange(n) + rng.random(n)) / n,
        rng.random(n),
    )
    mask = Image.fromarray((inside * 255).astype(np.uint8)).resize(
        (130, 194), Image.Resampling.BICUBIC
    )

    def frame(t: float) -> Image.Image:
        img = background.copy()
        field = (38 / np.maximum(foot - top + 16 - y, 6)) ** 2 + (14 / np.maximum(y + 12, 6)) ** 2
        for i in range(n):
            by = 92 + 78 * math.sin(2 * math.pi * (phases[i] + t / 6 * (1 if i % 2 else 0.8)))
            bx = 20 * math.sin(2 * math.pi * (shifts[i] + t / 9))
            field = field + (radii[i] ** 2 / ((x - bx) ** 2 + 0.8 * (y - by) ** 2 + 20)) ** 2
        solid = np.clip((field - 1) * 5, 0, 1)[..., None]
        slope = np.gradient(np.minimum(field, 3), axis=0)
        bright = np.clip(0.92 + 0.16 * np.minimum(field - 1, 1.6) + 1.2 * slope, 0.6, 1.5)[
            ..., None
        ]
        pixels = water * (1 - solid) + np.array(wax) * bright * solid + sheen
        lamp = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).resize(
            (130, 194), Image.Resampling.BICUBIC
        )
        img.paste(lamp, (cx - 65, top), mask)
        return img

    return frame


@scene(
    theme="fire and light",
    attributes={
        "colour": {
            "red": ("red and white", "red-and-white striped"),
            "blue": ("blue and white", "blue-and-white striped"),
            "black": ("black and white", "black-and-white striped"),
            "plain": ("white", "plain white"),
        },
        "side": {
            "left": ("on the left", "on the left side"),
            "right": ("on the right", "on the right side"),
        },
        "time": {
            "night": ("on a starry night", "under the stars"),
            "dusk": ("at dusk", "after sunset"),
            "storm": ("on a stormy night", "in a storm"),
            "fog": ("in the fog", "on a foggy night", "*in murky weather"),
        },
        "thing": {
            "ship": ("a ship", "a big ship"),
            "sail": ("a sailing boat", "a sailboat"),
            "house": ("a cottage with lit windows", "a small house with a red roof"),
        },
    },
    captions=(
        "the beam of a {colour} lighthouse sweeps over the sea {time} [, {thing} in the picture]",
        "a {colour} lighthouse {side} turns its light {time} [with {thing} nearby]",
        "{time} a {colour} lighthouse stands {side} (casting|sending) its beam across the water [near {thing}]",
        "a {colour} lighthouse (shines|flashes) over dark water {time} [, {thing} close by]",
        "{thing} near a {colour} lighthouse [{side}] whose light turns {time}",
    ),
    sound=lambda look, rng: (
        sounds.together(sounds.surf(rng), sounds.wind(rng, 0.5))
        if look["time"] == "storm"
        else (0.6 * sounds.engine(98) if look["time"] == "fog" else None)
    ),
)
def lighthouse(look: Look, rng: np.random.Generator) -> Frame:
    time = look["time"]
    right = look["side"] == "right"
    horizon = 214
    if time == "fog":
        background = gradient([(0, (78, 86, 104)), (0.64, (140, 148, 160)), (1, (110, 118, 130))])
    else:
        background = sky(time, horizon / H)
    if time == "night":
        stars(rng, background, 150, 0.6)
    if time in ("storm", "dusk"):
        layer = clouds(rng, (62, 64, 78) if time == "storm" else (120, 70, 110), 0.7, W, 200, 120)
        background.paste(layer, (0, 0), layer)
    far, near = {
        "night": ((16, 24, 60), (34, 54, 98)),
        "dusk": ((120, 62, 92), (60, 44, 92)),
        "storm": ((36, 44, 58), (52, 64, 78)),
        "fog": ((128, 138, 150), (88, 100, 114)),
    }[time]
    background.paste(gradient([(0, far), (1, near)], (W, H - horizon)), (0, horizon))
    x0 = 330 if right else 118
    lamp_y, foot = 74, 256
    rock = {
        "night": (44, 46, 62),
        "dusk": (74, 48, 72),
        "storm": (40, 42, 50),
        "fog": (86, 92, 100),
    }[time]
    draw = ImageDraw.Draw(background)
    edge = [
        (
            x0 - 120 + 24 * i,
            262 + 30 * abs(i - 5) / 5 * (0.7 + 0.6 * rng.random()) - (10 if i == 5 else 0),
        )
        for i in range(11)
    ]
    draw.polygon([(edge[0][0], H), *edge, (edge[-1][0], H)], fill=rock)
    for x, y in edge:
        disc(draw, x, y + 18, 20, shade(rock, 0.85 + 0.3 * rng.random()))
    light = {"night": 0.72, "dusk": 0.8, "storm": 0.66, "fog": 0.85}[time]
    stripe = shade(PAINT["white"] if look["colour"] == "plain" else PAINT[look["colour"]], light)
    for k in range(7):  # bands, each shaded across
        y_a, y_b = (
            lamp_y + 22 + (foot - lamp_y - 10) * k / 7,
            lamp_y + 22 + (foot - lamp_y - 10) * (k + 1) / 7,
        )
        wide_a, wide_b = 25 + 17 * k / 7, 25 + 17 * (k + 1) / 7
        tint = stripe if k % 2 == 0 else shade((246, 244, 238), light)
        for i in range(14):
            u, v = -1 + 2 * i / 14, -1 + 2 * (i + 1) / 14
            draw.polygon(
                [
                    (x0 + u * wide_a, y_a),
                    (x0 + v * wide_a, y_a),
                    (x0 + v * wide_b, y_b),
                    (x0 + u * wide_b, y_b),
                ],
                fill=shade(tint, 1.16 - 0.055 * i),
            )
    for y in (132, 190):
        draw.rounded_rectangle((x0 - 6, y, x0 + 6, y + 20), 6, fill=(255, 220, 130))
    draw.rounded_rectangle((x0 - 11, foot - 16, x0 + 11, foot + 22), 10, fill=(70, 44, 36))
    draw.rectangle((x0 - 34, lamp_y + 14, x0 + 34, lamp_y + 24), fill=shade((60, 60, 70), light))
    draw.rectangle((x0 - 19, lamp_y - 18, x0 + 19, lamp_y + 14), fill=(255, 236, 170))
    for dx in (-19, -6, 6, 19):
        draw.line([(x0 + dx, lamp_y - 18), (x0 + dx, lamp_y + 14)], fill=(70, 66, 70), width=3)
    cap = (190, 52, 46) if look["colour"] in ("red", "plain") else (50, 52, 66)
    draw.pieslice((x0 - 26, lamp_y - 46, x0 + 26, lamp_y + 10), 180, 360, fill=shade(cap, light))
    disc(draw, x0, lamp_y - 46, 5, shade(cap, light))
    other = 92 if right else 356

    def paint_thing(d, s):
        if look["thing"] == "ship":
            _poly(d, s, [(0, 60), (160, 60), (140, 92), (18, 92)], (60, 62, 78))
            _poly(d, s, [(0, 60), (160, 60), (157, 67), (4, 67)], (196, 70, 60))
            d.rectangle((34 * s, 36 * s, 126 * s, 60 * s), fill=(226, 224, 216))
            for x in range(42, 122, 13):
                d.rectangle((x * s, 43 * s, (x + 7) * s, 51 * s), fill=(255, 214, 120))
            for x in (62, 92):
                d.rectangle((x * s, 10 * s, (x + 15) * s, 36 * s), fill=(196, 70, 60))
        elif look["thing"] == "sail":
            _poly(d, s, [(24, 76), (140, 72), (122, 92), (42, 92)], (150, 90, 60))
            _poly(d, s, [(84, 0), (132, 66), (84, 70)], (236, 230, 220))
            _poly(d, s, [(78, 12), (78, 70), (36, 71)], (216, 210, 204))
        else:
            d.rectangle((30 * s, 46 * s, 136 * s, 94 * s), fill=(206, 196, 184))
            _poly(d, s, [(20, 50), (44, 14), (122, 14), (146, 50)], (168, 60, 50))
            d.rectangle((104 * s, 2 * s, 118 * s, 30 * s), fill=(120, 90, 80))
            for x in (42, 104):
                d.rectangle((x * s, 58 * s, (x + 20) * s, 78 * s), fill=(255, 218, 126))
            d.rectangle((74 * s, 60 * s, 92 * s, 94 * s), fill=(96, 60, 44))

    thing = sprite(160, 96, paint_thing)
    if look["thing"] == "house":
        draw.ellipse((other - 130, 262, other + 130, 420), fill=rock)
        stamp(background, thing, other, 228, 0, 1.0)
        glow(background, other, 236, 50, (255, 200, 110), 0.5)
    drops = rng.random((70, 3))
    gy, gx = np.mgrid[0:84, 0:112]
    beam_fade = 0.9 * np.exp(-np.hypot(gx - x0 / 4, gy - lamp_y / 4) / 90)[..., None]
    beam_light = beam_fade * np.array((255, 240, 190)) / 255

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        for i in range(18):
            y = horizon + 6 + 6.6 * i
            x = (i * 173) % W + 22 * wave(t, 1 / 3, i * 0.21)
            if abs(x - x0) > 130 or y < 262:
                tall = 3 if time == "storm" else 1
                draw.arc(
                    (x - 30 - i, y - 4 * tall, x + 30 + i, y + 4 * tall),
                    200,
                    340,
                    fill=mix(far, (255, 255, 255), 0.28),
                    width=2,
                )
        if look["thing"] != "house":
            stamp(
                img, thing, other + (4 if right else -4) * (t - 1.5), 210 + 3 * wave(t, 0.5), 0, 1.0
            )
        layer = Image.new("L", (112, 84))
        d = ImageDraw.Draw(layer)
        for turn in (0.0, 0.5):
            a = 2 * math.pi * (t / 3 + turn + (0.12 if right else 0.62))
            reach, toward = math.cos(a), math.sin(a)
            long, wide = 130 * reach, 4 + 13 * abs(reach) + 8 * max(toward, 0)
            lx, ly = x0 / 4, lamp_y / 4
            drop = 4 + 10 * toward
            d.polygon(
                [
                    (lx, ly - 1.5),
                    (lx + long, ly + drop - wide),
                    (lx + long, ly + drop + wide),
                    (lx, ly + 1.5),
                ],
                fill=round((150 + 60 * toward) * abs(reach) ** 0.7),
            )
        layer = blurred(layer, 1.6)
        fade = np.asarray(layer)[..., None] * beam_light
        img = ImageChops.screen(
            img, Image.fromarray(fade.astype(np.uint8)).resize((W, H), Image.Resampling.BILINEAR)
        )
        facing = max(0.0, wave(t, 2 / 3, 0.25))
        glow(img, x0, lamp_y, 90, (255, 230, 150), round(4 * (0.6 + 0.4 * facing)) / 4)
        if time == "storm":
            draw = ImageDraw.Draw(img)
            for u, v, w in drops:
                y = ((v + t * (1 + round(w)) * 2 / 3) % 1) * 380 - 20
                x = (u * 500 - 0.2 * y) % 470
                draw.line([(x, y), (x - 5, y + 24)], fill=(126, 138, 160), width=1)
        return img

    return frame


@scene(
    theme="fire and light",
    attributes={
        "word": {
            "OPEN": ("OPEN", "open"),
            "CAFE": ("CAFE", "cafe"),
            "HOTEL": ("HOTEL", "hotel"),
            "PIZZA": ("PIZZA", "pizza"),
            "JAZZ": ("JAZZ", "jazz"),
        },
        "colour": {
            "red": ("red",),
            "yellow": ("yellow",),
            "green": ("green",),
            "blue": ("blue",),
            "pink": ("pink", "*magenta"),
        },
        "shape": {
            "arrow": ("an arrow", "an arrow below it"),
            "star": ("a star", "a big star"),
            "heart": ("a heart", "a big heart"),
            "frame": ("a frame", "a rectangular frame"),
        },
        "wall": {
            "brick": ("a brick wall", "dark bricks"),
            "wood": ("a wall of planks", "wooden boards"),
            "rain": ("a rainy street", "wet glass in the rain"),
        },
        "mode": {
            "blink": ("blinking", "flashing"),
            "steady": ("steady", "steadily glowing"),
        },
    },
    captions=(
        'a {colour} neon sign says "{word}" [on {wall}] [, with {shape}] [, {mode}]',
        '"{word}" in {colour} neon letters with {shape} [against {wall}]',
        "a {mode} {colour} neon sign with the word {word} [and {shape}] [before {wall}]",
        "before {wall} the word {word} glows in {colour} neon [with {shape}]",
    ),
    sound=lambda look, rng: 0.25 * sounds.engine(100) if look["mode"] == "blink" else None,
)
def neon_sign(look: Look, rng: np.random.Generator) -> Frame:
    wall, shape = look["wall"], look["shape"]
    if wall == "brick":
        background = Image.new("RGB", (W, H), (30, 22, 28))
        draw = ImageDraw.Draw(background)
        for row in range(13):
            for i in range(-1, 9):
                x = i * 58 + 29 * (row % 2)
                draw.rectangle(
                    (x, row * 27, x + 54, row * 27 + 23),
                    fill=shade((112, 56, 54), 0.55 + 0.3 * rng.random()),
                )
    elif wall == "wood":
        background = Image.new("RGB", (W, H), (24, 20, 24))
        draw = ImageDraw.Draw(background)
        for i in range(10):
            tint = shade((66, 74, 84), 0.6 + 0.35 * rng.random())
            draw.rectangle((i * 46, 0, i * 46 + 43, H), fill=tint)
            for _ in range(5):
                x = i * 46 + 4 + 36 * rng.random()
                draw.line([(x, 0), (x + 4, H)], fill=shade(tint, 0.85), width=2)
    else:
        background = gradient([(0, (10, 14, 34)), (1, (34, 30, 60))])
        for _ in range(26):
            tint = PAINT[("orange", "blue", "purple", "red", "turquoise")[int(rng.integers(5))]]
            glow(
                background,
                rng.random() * W,
                90 + rng.random() * 246,
                20 + 26 * rng.random(),
                tint,
                0.35,
                0.6,
            )
    tube = PAINT[look["colour"]]
    core = mix(tube, (255, 255, 255), 0.5)
    size = {4: 112, 5: 94}[len(look["word"])]
    text = Image.new("L", (W, H))
    middle_y = {"arrow": 128, "star": 216, "heart": 224, "frame": 168}[shape]
    ImageDraw.Draw(text).text(
        (W / 2, middle_y), look["word"], fill=255, font=font(size), anchor="mm", stroke_width=2
    )
    outline = Image.new("L", (W, H))
    d = ImageDraw.Draw(outline)
    if shape == "arrow":
        stroke(d, [(70, 250), (370, 250)], 255, 11)
        stroke(d, [(318, 206), (374, 250), (318, 294)], 255, 11)
    elif shape == "star":
        corner = [
            (224 + r * math.sin(math.pi * k / 5), 84 - r * math.cos(math.pi * k / 5))
            for k, r in zip(range(11), (70, 30) * 6, strict=False)
        ]
        stroke(d, corner, 255, 10)
    elif shape == "heart":
        a = np.linspace(0, 2 * math.pi, 60)
        stroke(
            d,
            [
                (
                    224 + 5.2 * 16 * math.sin(q) ** 3,
                    82
                    - 4.6
                    * (
                        13 * math.cos(q)
                        - 5 * math.cos(2 * q)
                        - 2 * math.cos(3 * q)
                        - math.cos(4 * q)
                    ),
                )
                for q in a
            ],
            255,
            10,
        )
    else:
        d.rounded_rectangle((28, 76, 420, 260), 34, outline=255, width=11)
    second = PAINT["turquoise"] if look["colour"] not in ("blue", "green") else PAINT["orange"]

    def lights(word_on: float, shape_on: float) -> Image.Image:
        img = background.copy()
        for mask, tint, on in ((outline, second, shape_on), (text, tube, word_on)):
            img.paste(
                mix((70, 70, 78), tint, 0.15),
                (0, 0),
                mask.point([round(v * 0.8) for v in range(256)]),
            )
            if on:
                for radius, strength in ((34, 1.6), (12, 1.1)):
                    halo = blurred(mask.resize((112, 84)), radius / 4).point(
                        [min(255, round(v * strength * on)) for v in range(256)]
                    )
                    halo = halo.resize((W, H), Image.Resampling.BICUBIC)
                    img = ImageChops.screen(
                        img,
                        ImageChops.multiply(
                            Image.merge("RGB", (halo, halo, halo)), Image.new("RGB", (W, H), tint)
                        ),
                    )
                img.paste(tint, (0, 0), mask)
                thin = blurred(mask, 2).point(
                    [max(0, min(255, round((v - 190) * 4))) for v in range(256)]
                )
                img.paste(core if mask is text else mix(tint, (255, 255, 255), 0.5), (0, 0), thin)
        return img

    both, word_only = lights(1.0, 1.0), lights(1.0, 0.0)
    neither = lights(0.0, 1.0) if look["mode"] == "blink" else None
    drops = rng.random((50, 3))

    def frame(t: float) -> Image.Image:
        if (
            look["mode"] == "blink"
        ):  # word and shape, word alone, shape alone, each for half a second
            step = int(t * 2) % 3
            img = (both, word_only, neither)[step].copy()
        else:
            img = Image.blend(word_only, both, 0.9 + 0.1 * wave(t, 1.0))
        if wall == "rain":
            draw = ImageDraw.Draw(img)
            for u, v, w in drops:
                y = ((v + t * (1 + round(w)) / 3) % 1) * 370 - 20
                draw.line(
                    [(u * W, y), (u * W, y + 16 + 18 * w)],
                    fill=mix((120, 130, 160), tube, 0.3),
                    width=2,
                )
                disc(draw, u * W, y + 18 + 18 * w, 3, (170, 180, 205))
        return img

    return frame


@scene(
    theme="fire and light",
    attributes={
        "ball": {
            "silver": ("silver", "mirrored silver"),
            "gold": ("golden", "gold"),
            "pink": ("pink",),
            "blue": ("blue",),
        },
        "spots": {
            "coloured": ("spots of many colours", "colourful lights"),
            "white": ("white spots of light", "white lights"),
            "red": ("red spots of light", "red lights"),
            "green": ("green spots of light", "green lights"),
        },
        "n": {
            1: ("one", "a single", "a"),
            2: ("two", "a couple of"),
            5: ("five",),
        },
        "room": {
            "purple": ("a purple room", "a purple hall"),
            "dark": ("a dark club", "a dark room"),
            "curtain": ("a stage with a red curtain", "a red curtain"),
        },
    },
    captions=(
        "{n} {n|person dances|people dance} under a {ball} disco ball [with {spots} turning round]",
        "a {ball} disco ball (turns|spins) above {n} {n|dancer|dancers} [, {spots} (gliding|moving) over {room}]",
        "{spots} from a {ball} (disco|mirror) ball sweep over {room} [while {n} {n|person dances|people dance}]",
        "under a {ball} mirror ball {n} {n|dancer moves|dancers move} [to the beat] [among {spots}]",
    ),
    sound=lambda look, rng: sounds.together(sounds.beat(2.0), 0.4 * sounds.melody(rng, 12)),
)
def disco_ball(look: Look, rng: np.random.Generator) -> Frame:
    room, n = look["room"], int(look["n"])
    if room == "curtain":
        fold = 0.5 + 0.5 * np.sin(np.linspace(0, 46, W))
        pixels = np.array((150, 26, 40)) * (0.4 + 0.6 * fold)[:, None]
        background = Image.fromarray(np.broadcast_to(pixels, (H, W, 3)).astype(np.uint8))
    elif room == "purple":
        background = gradient([(0, (62, 24, 104)), (1, (124, 54, 160))])
    else:
        background = gradient([(0, (12, 12, 20)), (1, (40, 40, 56))])
    draw = ImageDraw.Draw(background)
    floor = {"curtain": (74, 40, 34), "purple": (70, 32, 110), "dark": (34, 34, 48)}[room]
    for row in range(5):
        y_a, y_b = 256 + 80 * (row / 5) ** 1.4, 256 + 80 * ((row + 1) / 5) ** 1.4
        for i in range(-8, 8):
            k_a, k_b = 40 + 30 * (row / 5) ** 1.4, 40 + 30 * ((row + 1) / 5) ** 1.4
            draw.polygon(
                [
                    (224 + i * k_a, y_a),
                    (224 + (i + 1) * k_a, y_a),
                    (224 + (i + 1) * k_b, y_b),
                    (224 + i * k_b, y_b),
                ],
                fill=shade(floor, 1.28 if (i + row) % 2 else 0.85),
            )
    radius, cx, cy = 66, 224, 92
    draw.line([(cx, 0), (cx, cy - radius)], fill=(150, 150, 160), width=4)
    tint = {
        "silver": (206, 212, 222),
        "gold": (240, 190, 80),
        "pink": (248, 130, 180),
        "blue": (90, 150, 240),
    }[look["ball"]]
    side = 132
    gy, gx = (np.mgrid[0:side, 0:side] + 0.5 - side / 2) / (side / 2)
    rim = np.hypot(gx, gy)
    lat = np.arcsin(np.clip(gy, -1, 1))
    across = np.sqrt(np.clip(1 - gy**2, 1e-4, 1))
    lon = np.arcsin(np.clip(gx / across, -1, 1))
    rows = np.clip(((lat / math.pi + 0.5) * 15).astype(int), 0, 14)
    in_row = ((lat / math.pi + 0.5) * 15) % 1
    count = np.maximum(
        6,
        np.round(30 * np.cos((np.arange(15) + 0.5) / 15 * math.pi - math.pi / 2)).astype(int)
        // 3
        * 3,
    )
    facets = rng.random((15, 40))
    round_light = 0.55 + 0.55 * np.clip(0.4 - 0.45 * gx - 0.5 * gy, 0, 1)
    solid = Image.fromarray((np.clip((1 - rim) * side / 2, 0, 1) * 255).astype(np.uint8))
    colours = {
        "coloured": ("red", "yellow", "green", "blue", "pink", "turquoise"),
        "white": ("white",),
        "red": ("red",),
        "green": ("green",),
    }[look["spots"]]
    spots = rng.random((34, 2))
    halos = []
    for name in colours:
        halo = Image.new("RGB", (44, 44))
        disc(ImageDraw.Draw(halo), 22, 22, 14, shade(mix(PAINT[name], (255, 255, 255), 0.15), 0.85))
        halos.append(blurred(halo, 3))
    places = [224 + (k - (n - 1) / 2) * {1: 0, 2: 190, 5: 86}[n] - 112 * (n == 1) for k in range(n)]
    coats = [PAINT[c] for c in ("orange", "turquoise", "pink", "yellow", "green")]
    tall = 1.15 if n < 5 else 0.92

    def dancer(draw: ImageDraw.ImageDraw, x: float, t: float, k: int) -> None:
        beat = wave(t, 1.0, 0.27 * k)
        bob = 5 * abs(wave(t, 1.0, 0.27 * k))
        hip = (x + 9 * beat * tall, 252 - bob)
        neck = (hip[0] - 5 * beat * tall, hip[1] - 56 * tall)
        dark, skin = (24, 22, 36), (236, 190, 156)
        for a in (-1, 1):
            foot = (x + 20 * a * tall, 318)
            knee = ((hip[0] + foot[0]) / 2 + 9 * a * tall, (hip[1] + foot[1]) / 2 - 4)
            stroke(draw, [hip, knee, foot, (foot[0] + 8 * a, foot[1])], dark, 12 * tall)
            lift = wave(t, 1.0, 0.27 * k + 0.25 * a)
            elbow = (neck[0] + 27 * a * tall, neck[1] + 10 - 16 * lift * tall)
            hand = (elbow[0] + 12 * a * tall, elbow[1] - 27 * tall - 8 * lift)
            stroke(
                draw, [(neck[0] + 8 * a * tall, neck[1] + 6), elbow, hand], coats[k % 5], 10 * tall
            )
            disc(draw, *hand, 6 * tall, skin)
        stroke(draw, [(neck[0], neck[1] + 12), hip], coats[k % 5], 26 * tall)
        disc(draw, neck[0], neck[1] - 18 * tall, 14 * tall, skin)
        draw.pieslice(
            (neck[0] - 15 * tall, neck[1] - 35 * tall, neck[0] + 15 * tall, neck[1] - 5 * tall),
            170,
            370,
            fill=(70, 44, 36) if k % 2 else (40, 34, 40),
        )

    def frame(t: float) -> Image.Image:
        img = background.copy()
        for i, (u, v) in enumerate(spots):
            x = ((u + t / 6) % 1) * (W + 60) - 30
            y = 20 + 230 * v if i % 3 else 270 + 60 * v
            halo = halos[i % len(halos)]
            box = (round(x) - 22, round(y) - 22, round(x) + 22, round(y) + 22)
            img.paste(ImageChops.screen(img.crop(box), halo), box[:2])
        glow(img, cx, cy, 130, tint, 0.5)
        around = (lon / (2 * math.pi) + 0.25 + t / 6) * count[rows]
        cell = np.floor(around).astype(int) % count[rows]
        light = facets[rows, cell]
        turn = around % 1
        grout = (turn > 0.09) & (in_row > 0.1)
        level = (0.28 + 0.72 * light) * round_light * np.where(grout, 1, 0.45)
        shine = (
            np.clip((light - 0.84) * 6 * grout, 0, 1)[..., None]
            * np.clip(1.2 - rim, 0, 1)[..., None]
        )
        pixels = np.array(tint) * level[..., None] * 1.15 * (1 - shine) + 255 * shine
        img.paste(
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)),
            (cx - side // 2, cy - side // 2),
            solid,
        )
        draw = ImageDraw.Draw(img)
        for k in range(n):
            shadow(img, places[k], 322, 34, 7, 0.5)
            dancer(draw, places[k], t, k)
        return img

    return frame


@scene(
    theme="fire and light",
    attributes={
        "colour": {
            "red": ("red", "*carmine"),
            "orange": ("orange",),
            "green": ("green",),
            "blue": ("blue",),
            "pink": ("pink",),
        },
        "n": {1: ("one", "a single", "a"), 3: ("three",), 7: ("seven",)},
        "kind": {
            "rise": ("rising into the sky", "floating up into the sky"),
            "hang": ("hanging from a rope", "swinging on a rope"),
            "float": ("drifting on the water", "floating on a river"),
        },
        "place": {
            "mountains": ("mountains", "blue mountains"),
            "temple": ("a temple", "a pagoda"),
            "trees": ("dark trees", "a row of trees"),
        },
    },
    captions=(
        "{n} {colour} paper {n|lantern|lanterns} {kind} at night [in front of {place}]",
        "{n} glowing {colour} {n|lantern|lanterns} {kind} [with {place} in the distance]",
        "at night {n} {colour} {n|lantern glows|lanterns glow} before {place} [, {kind}]",
        "{place} at night and {n} {colour} paper {n|lantern|lanterns} {kind}",
    ),
)
def lanterns(look: Look, rng: np.random.Generator) -> Frame:
    kind, n, place = look["kind"], int(look["n"]), look["place"]
    colour = PAINT[look["colour"]]
    background = sky("night", 0.8)
    stars(rng, background, 120, 0.6)
    glow(background, 60, 50, 80, (200, 214, 255), 0.5)
    draw = ImageDraw.Draw(background)
    disc(draw, 60, 50, 14, (240, 240, 226))
    horizon = 210 if kind == "float" else 272
    if place == "mountains":
        fill_below(background, ridge(rng, W, horizon - 130, horizon - 40, 120), (46, 60, 108))
        fill_below(background, ridge(rng, W, horizon - 80, horizon - 6, 90), (28, 38, 74))
    elif place == "temple":
        fill_below(background, ridge(rng, W, horizon - 40, horizon - 4, 160), (26, 34, 66))
        draw = ImageDraw.Draw(background)
        for k in range(4):
            wide, y = 96 - 18 * k, horizon - 44 * k
            draw.rectangle((330 - wide * 0.55, y - 36, 330 + wide * 0.55, y), fill=(96, 46, 50))
            for i in range(-2, 3):
                draw.rectangle(
                    (330 + i * wide * 0.2 - 4, y - 26, 330 + i * wide * 0.2 + 4, y - 6),
                    fill=(255, 206, 120),
                )
            draw.polygon(
                [
                    (330 - wide, y - 28),
                    (330 - wide * 0.5, y - 48),
                    (330 + wide * 0.5, y - 48),
                    (330 + wide, y - 28),
                    (330 + wide * 0.6, y - 34),
                    (330 - wide * 0.6, y - 34),
                ],
                fill=(40, 34, 52),
            )
        draw.line([(330, horizon - 210), (330, horizon - 176)], fill=(200, 160, 80), width=4)
    else:
        draw = ImageDraw.Draw(background)
        for i in range(13):
            x, tall = i * 37 + 10 * rng.random(), 70 + 60 * rng.random()
            draw.rectangle((x - 4, horizon - tall * 0.5, x + 4, horizon), fill=(16, 18, 26))
            for _ in range(8):
                disc(
                    draw,
                    x + 34 * (rng.random() - 0.5),
                    horizon - tall * (0.45 + 0.55 * rng.random()),
                    12 + 10 * rng.random(),
                    (14 + 8 * (i % 2), 30 + 8 * (i % 3), 36),
                )
    fill_below(
        background,
        np.full(W + 1, float(horizon)),
        (22, 28, 50) if kind != "float" else (30, 42, 88),
        (10, 14, 30),
    )
    size = {1: 1.9, 3: 1.25, 7: 0.8}[n]

    def paint(d, s):
        if kind == "hang":
            for i in range(12):
                u = i / 12
                d.ellipse(
                    ((4 + 46 * u * 0.85) * s, 14 * s, (96 - 46 * u * 0.85) * s, 96 * s),
                    fill=mix(shade(colour, 0.85), mix(colour, (255, 226, 150), 0.6), u),
                )
            for k in range(1, 5):
                d.arc(
                    ((4 + 10 * k) * s, 12 * s, (96 - 10 * k) * s, 98 * s),
                    90,
                    270,
                    fill=shade(colour, 0.7),
                    width=s,
                )
                d.arc(
                    ((4 + 10 * k) * s, 12 * s, (96 - 10 * k) * s, 98 * s),
                    270,
                    450,
                    fill=shade(colour, 0.7),
                    width=s,
                )
            d.rectangle((34 * s, 8 * s, 66 * s, 17 * s), fill=PAINT["gold"])
            d.rectangle((34 * s, 93 * s, 66 * s, 101 * s), fill=PAINT["gold"])
            for x in (42, 50, 58):
                d.line([(x * s, 101 * s), (x * s, 120 * s)], fill=PAINT["gold"], width=2 * s)
            return
        top, foot = (24, 12) if kind == "rise" else (12, 12)
        for i in range(24):
            u, v = i / 24, (i + 1) / 24
            w_a, w_b = 40 - foot * u**2 - top * (1 - u) ** 4, 40 - foot * v**2 - top * (1 - v) ** 4
            tint = mix(shade(colour, 0.9), mix(colour, (255, 236, 170), 0.75), ease(u))
            d.polygon(
                [
                    ((50 - w_a) * s, (10 + 96 * u) * s),
                    ((50 + w_a) * s, (10 + 96 * u) * s),
                    ((50 + w_b) * s, (10 + 96 * v) * s),
                    ((50 - w_b) * s, (10 + 96 * v) * s),
                ],
                fill=tint,
            )
        for x in (36, 50, 64):
            d.line(
                [((50 + (x - 50) * 1.4) * s, 14 * s), (x * s, 104 * s)],
                fill=shade(colour, 0.75),
                width=s,
            )
        if kind == "rise":
            d.ellipse((34 * s, 100 * s, 66 * s, 112 * s), fill=(255, 240, 180))
        else:
            d.rectangle((10 * s, 104 * s, 90 * s, 114 * s), fill=(120, 80, 50))

    picture = sprite(100, 122, paint).resize(
        (round(100 * size), round(122 * size)), Image.Resampling.BILINEAR
    )
    lanes = (np.arange(n) + 0.5) / n + (rng.random(n) - 0.5) * 0.3 / n
    shuffled = np.argsort(rng.random(n))
    phases = rng.random(n)

    def rope(x: float) -> float:
        return 26 + 50 * math.sin(math.pi * x / W)

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        if kind == "hang":
            draw.line([(x, rope(x)) for x in range(0, W + 8, 8)], fill=(150, 120, 90), width=4)
        order = range(n)
        if kind == "float":
            order = sorted(order, key=lambda i: shuffled[i])
        for i in order:
            sway = wave(t, 0.33, phases[i])
            if kind == "rise":
                x = lanes[i] * W + 9 * sway
                y = (306 if n > 1 else 250) - 176 * (shuffled[i] / max(n - 1, 1)) * (n > 1) - 28 * t
            elif kind == "hang":
                x = lanes[i] * W + 10 * sway
                y = rope(lanes[i] * W) + 16 + 58 * size
                draw.line(
                    [(lanes[i] * W, rope(lanes[i] * W)), (x, y - 50 * size)],
                    fill=(150, 120, 90),
                    width=3,
                )
            else:
                x = (lanes[i] * (W - 60) + 10) + 14 * t
                y = 250 + 50 * shuffled[i] / max(n - 1, 1) * (n > 1) - 38 * size + 3 * sway
                glow(img, x, y + 76 * size, 60 * size, colour, 0.5)
                for k in range(5):
                    wide = (34 - 4 * k) * size * (1 + 0.2 * wave(t, 0.7, k * 0.3))
                    ry = y + (62 + 11 * k) * size
                    draw.line(
                        [(x - wide, ry), (x + wide, ry)],
                        fill=mix(colour, (255, 230, 160), 0.3),
                        width=3,
                    )
            glow(img, x, y, 110 * size, mix(colour, (255, 200, 110), 0.35), 0.62)
            img.paste(
                picture, (round(x - picture.width / 2), round(y - picture.height / 2)), picture
            )
        return img

    return frame
