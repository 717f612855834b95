"""Plants and growth."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from retrieval.datasets.animations import sounds
from retrieval.datasets.animations.canvas import (
    PAINT,
    Colour,
    H,
    W,
    blurred,
    clouds,
    disc,
    ease,
    ease_out,
    fill_below,
    glow,
    gradient,
    mix,
    noise,
    ridge,
    scroll,
    shade,
    shadow,
    sky,
    sprite,
    stars,
    stroke,
    wave,
)
from retrieval.datasets.animations.scene import Frame, Look, scene

_tone = lru_cache(maxsize=8192)(shade)  # the same tints come in every frame

_LIGHT = {"day": 1.0, "dawn": 0.9, "dusk": 0.78, "night": 0.5, "storm": 0.7, "overcast": 0.85}


def _leaf(
    draw: ImageDraw.ImageDraw,
    x: float,
    y: float,
    angle: float,
    long: float,
    wide: float,
    tint: Colour,
) -> None:
    """A leaf from (x, y) in the direction of angle (radians, anticlockwise), darker below its vein."""
    ca, sa = math.cos(angle), -math.sin(angle)
    upper, lower, vein = [], [], []
    for i in range(9):
        u = i / 8
        half = wide * math.sin(math.pi * u**0.8)
        px, py = x + long * u * ca, y + long * u * sa
        upper.append((px + half * sa, py - half * ca))
        lower.append((px - half * sa, py + half * ca))
        vein.append((px, py))
    draw.polygon(upper + vein[::-1], fill=tint)
    draw.polygon(lower + vein[::-1], fill=_tone(tint, 0.8))


@scene(
    theme="plants and growth",
    attributes={
        "kind": {
            "daisy": ("daisy-like", "many-petalled"),
            "lily": ("star-shaped", "lily-like"),
            "poppy": ("broad-petalled", "round-petalled"),
            "rose": ("double", "rose-like", "densely filled"),
        },
        "colour": {
            "red": ("red", "*vermilion"),
            "yellow": ("yellow",),
            "pink": ("pink",),
            "white": ("white",),
            "purple": ("purple", "violet"),
        },
        "n": {1: ("one", "a single", "a"), 3: ("three",)},
        "place": {
            "sky": ("against a blue sky", "under a blue sky"),
            "leaves": ("among dark green leaves", "in dark foliage"),
            "night": ("on a starry night", "at night"),
            "dusk": ("at sunset", "in the evening glow"),
        },
    },
    captions=(
        "{n} {kind} {colour} {n|flower opens|flowers open} {place}",
        "{place} {n} {colour} {n|bud unfolds|buds unfold} [, turning {kind}]",
        "{n} {colour} {kind} {n|blossom|blossoms} opening [(slowly|petal by petal)] {place}",
        "the petals of {n} {colour} {n|flower|flowers} spread out {place} [, {kind} and wide]",
    ),
    poster_s=2.6,
)
def flower_opening(look: Look, rng: np.random.Generator) -> Frame:
    place, n, kind, colour = look["place"], int(look["n"]), look["kind"], PAINT[look["colour"]]
    if place == "leaves":
        background = gradient([(0, (14, 44, 34)), (1, (28, 72, 46))])
        draw = ImageDraw.Draw(background)
        for i in range(90):
            tint = mix((18, 58, 40), (52, 110, 62), rng.random() * (0.3 + 0.7 * i / 90))
            _leaf(
                draw,
                rng.random() * W,
                rng.random() * H,
                rng.random() * 6.3,
                50 + 40 * rng.random(),
                13,
                tint,
            )
        background = blurred(background, 2)
    else:
        background = sky({"sky": "day"}.get(place, place), 0.95)
        if place == "night":
            stars(rng, background, 130, 0.9)
            glow(background, 388, 56, 90, (200, 214, 255), 0.7)
            disc(ImageDraw.Draw(background), 388, 56, 20, (240, 240, 226))
        elif place == "sky":
            layer = clouds(rng, (255, 255, 255), 0.4, W, 220, 120)
            background.paste(layer, (0, 20), layer)
        else:
            glow(background, 60, 250, 170, (255, 200, 120), 0.8)
            disc(ImageDraw.Draw(background), 60, 250, 34, (255, 236, 180))
        ground = {"sky": (108, 170, 84), "dusk": (86, 62, 66), "night": (26, 44, 50)}[place]
        fill_below(background, ridge(rng, W, 270, 300, 180), ground)
    light = {"night": 0.8, "dusk": 0.92}.get(place, 1.0)
    stem = _tone((66, 142, 70), light if place != "leaves" else 1.25)
    heads = {1: [(224, 150, 128)], 3: [(92, 190, 74), (226, 116, 84), (360, 196, 74)]}[n]
    heads = [(x + 12 * (rng.random() - 0.5), y + 12 * (rng.random() - 0.5), r) for x, y, r in heads]
    draw = ImageDraw.Draw(background)
    for x, y, r in heads:
        wide = 5 + r / 16
        line = [(x + 16 * math.sin(2.6 * u), y + (H + 10 - y) * u) for u in np.linspace(0, 1, 12)]
        stroke(draw, line, _tone(stem, 0.75), wide + 3)
        stroke(draw, [(a - 1, b) for a, b in line], stem, wide)
        for turn, k in ((0.5, 8), (2.6, 9)):
            _leaf(draw, *line[k], turn, 0.85 * r, 0.2 * r, _tone(stem, 1.1))
    starts = rng.random(n) * 0.12
    rings = {
        "daisy": [(15, 1.0, 0.1), (15, 0.86, 0.09)],
        "lily": [(3, 1.0, 0.26), (3, 0.95, 0.25)],
        "poppy": [(5, 1.0, 0.48), (5, 0.72, 0.4)],
        "rose": [(9, 1.0, 0.3), (8, 0.8, 0.28), (7, 0.6, 0.25), (6, 0.42, 0.2), (5, 0.25, 0.14)],
    }[kind]
    peak = {"daisy": 0.8, "lily": 0.45, "poppy": 0.78, "rose": 0.76}[kind]
    profile = []
    for i in range(10):
        u = i / 9
        shape = (
            math.sin(math.pi / 2 * u / peak)
            if u < peak
            else math.cos(math.pi / 2 * (u - peak) / (1 - peak))
        )
        profile.append((u, max(shape, 0.0) ** (0.6 if kind != "lily" else 1.0)))
    heart = PAINT["yellow"] if look["colour"] != "yellow" else (150, 86, 40)

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        for k, (x, y, r) in enumerate(heads):
            u = ease((t / 2.7 + 0.12 - starts[k]) / 1.0)
            sway = 3 * wave(t, 1 / 3, starts[k] * 5)
            for q in range(5):  # sepals behind the bud
                _leaf(
                    draw,
                    x + sway,
                    y,
                    2 * math.pi * q / 5 + 0.3,
                    r * (0.42 + 0.2 * u),
                    r * 0.12,
                    _tone(stem, 0.9),
                )
            for ring, (m, reach, half) in enumerate(rings):
                open_by = ease(1.5 * u - 0.1 * ring)
                long = r * reach * (0.3 + 0.7 * open_by)
                wide = r * half * (0.45 + 0.55 * open_by)
                for q in range(m):
                    a = 2 * math.pi * (q + 0.5 * (ring % 2)) / m + 0.9 * (1 - open_by) + 0.1 * k
                    ca, sa = math.cos(a), math.sin(a)
                    tint = _tone(
                        colour,
                        light * (0.72 + 0.1 * (q % 3) + 0.05 * ring + 0.18 * (0.5 - 0.5 * sa)),
                    )
                    points = []
                    for side in (1, -1):
                        for v, w in profile if side == 1 else profile[::-1]:
                            points.append(
                                (
                                    x + sway + long * v * ca - side * wide * w * sa,
                                    y + 0.86 * (long * v * sa + side * wide * w * ca),
                                )
                            )
                    draw.polygon(points, fill=tint, outline=_tone(tint, 0.78))
                    if kind in ("lily", "poppy"):
                        draw.line(
                            [(x + sway, y), (x + sway + long * 0.7 * ca, y + 0.6 * long * sa)],
                            fill=_tone(tint, 0.8),
                            width=3,
                        )
            core = (
                r * {"daisy": 0.3, "lily": 0.1, "poppy": 0.2, "rose": 0.07}[kind] * (0.5 + 0.5 * u)
            )
            tint = (40, 36, 44) if kind == "poppy" else heart
            if kind == "lily":
                for q in range(6):
                    a = 2 * math.pi * q / 6 + 0.4
                    tip = (x + sway + 0.36 * r * u * math.cos(a), y + 0.32 * r * u * math.sin(a))
                    stroke(draw, [(x + sway, y), tip], heart, 3)
                    disc(draw, *tip, 5, (170, 90, 40))
            disc(draw, x + sway, y, core, _tone(tint, 0.8 * light))
            disc(draw, x + sway - core * 0.1, y - core * 0.15, core * 0.8, _tone(tint, light))
            if kind in ("daisy", "poppy"):
                for q in range(21):
                    a, d = q * 2.4, core * 0.78 * math.sqrt(q / 21)
                    disc(
                        draw,
                        x + sway + d * math.cos(a),
                        y + 0.9 * d * math.sin(a),
                        core * 0.09,
                        _tone(heart, 0.72),
                    )
        return img

    return frame


@scene(
    theme="plants and growth",
    attributes={
        "crown": {
            "green": ("green leaves", "fresh green leaves"),
            "pink": ("pink blossom", "pink flowers"),
            "orange": ("orange leaves", "autumn leaves"),
            "apples": ("red apples", "green leaves and red apples"),
        },
        "n": {1: ("one", "a single", "a"), 2: ("two",), 3: ("three",)},
        "shape": {"broad": ("broad", "wide"), "slim": ("slender", "slim", "narrow")},
        "place": {
            "meadow": ("on a green meadow", "on a grassy hill"),
            "snow": ("in the snow", "on snowy ground"),
            "sand": ("in the desert", "on sand dunes"),
        },
        "time": {
            "day": ("in daylight", "under a blue sky"),
            "dusk": ("at sunset", "at dusk"),
            "overcast": ("on a grey day", "under a grey sky"),
        },
    },
    captions=(
        "{n} {shape} {n|tree grows|trees grow} {place} {time} [and {n|gets|get} {crown}]",
        "{time} {n} {shape} {n|tree|trees} with {crown} growing from the ground {place}",
        "{n} {n|tree shoots|trees shoot} up {place} [, (spreading|putting out) {shape} branches] with {crown} [, {time}]",
        "{crown} on {n} {shape} growing {n|tree|trees} {place} [{time}]",
    ),
    poster_s=2.7,
)
def tree_growing(look: Look, rng: np.random.Generator) -> Frame:
    n, slim, time = int(look["n"]), look["shape"] == "slim", look["time"]
    light = _LIGHT[time]
    background = sky(time, 0.85)
    if time == "dusk":
        glow(background, 70, 236, 160, (255, 190, 110), 0.8)
        disc(ImageDraw.Draw(background), 70, 236, 30, (255, 236, 180))
    layer = clouds(rng, (255, 255, 255) if time == "day" else (190, 180, 190), 0.35, W, 150, 100)
    background.paste(layer, (0, 6), layer)
    ground = {"meadow": (102, 166, 82), "snow": (232, 238, 248), "sand": (228, 176, 106)}[
        look["place"]
    ]
    far = mix(_tone(ground, light), (150, 140, 180), 0.4)
    fill_below(background, ridge(rng, W, 216, 262, 170), far)
    fill_below(background, ridge(rng, W, 276, 292, 240), _tone(ground, light))
    spots = {
        1: [(224, 312, 1.0)],
        2: [(126, 314, 0.76), (330, 308, 0.7)],
        3: [(80, 312, 0.58), (226, 302, 0.62), (372, 316, 0.58)],
    }[n]
    bark = _tone((112, 76, 54), light)
    crown = {
        "green": (84, 164, 72),
        "pink": (246, 150, 186),
        "orange": (232, 128, 44),
        "apples": (70, 150, 66),
    }[look["crown"]]
    branches: list[tuple[float, ...]] = []  # start, end, widths, time of birth
    leaves: list[tuple[float, ...]] = []

    def grow(
        x: float, y: float, a: float, long: float, wide: float, level: int, born: float
    ) -> None:
        x2, y2 = x + long * math.cos(a), y - long * math.sin(a)
        branches.append((x, y, x2, y2, wide, born, level))
        depth = 6 if n == 1 else 5
        if level >= 3:
            for _ in range(2 if n == 1 else 3):
                leaves.append(
                    (
                        x2 + 22 * (rng.random() - 0.5),
                        y2 + 22 * (rng.random() - 0.5),
                        (11 + 8 * rng.random()) * (1.0 if n == 1 else 0.8),
                        born + 0.24,
                        rng.random(),
                    )
                )
        if level < depth:
            spread = 0.24 if slim else 0.5
            for side in (-1, 1):
                turn = side * spread * (0.75 + 0.5 * rng.random())
                lean = (math.pi / 2 - a) * (0.35 if slim else 0.08)
                grow(
                    x2,
                    y2,
                    a + turn + lean,
                    long * (0.74 + 0.1 * rng.random()),
                    wide * 0.66,
                    level + 1,
                    born + 0.27,
                )

    for x, y, size in spots:
        shadow(background, x + 8, y, (50 if slim else 100) * size, 12 * size, 0.35)
        grow(x, y, math.pi / 2, (66 if slim else 70) * size, 24 * size, 0, 0.0)
    leaves.sort(key=lambda leaf: -leaf[1])
    fruit = [leaf for i, leaf in enumerate(leaves) if i % 7 == 0]

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        for x, y, x2, y2, wide, born, level in branches:
            u = ease_out((t + 0.35 - born) / 0.5)
            if t + 0.35 > born:
                w = max(wide * ease((t + 0.5 - born) / 1.6), 1.5)
                end = (x + (x2 - x) * u, y + (y2 - y) * u)
                stroke(draw, [(x, y), end], bark, w)
                if level < 3:
                    draw.line(
                        [(x - w * 0.22, y), (end[0] - w * 0.2, end[1])],
                        fill=_tone(bark, 1.3),
                        width=max(1, round(w * 0.25)),
                    )
        for x, y, r, born, kind in leaves:
            u = ease((t + 0.1 - born) / 0.6)
            if u > 0:
                sway = 2 * wave(t, 1 / 3, kind)
                disc(draw, x + sway, y + 2, r * u, _tone(crown, light * (0.62 + 0.2 * kind)))
                disc(
                    draw, x + sway - 2, y - 2, r * u * 0.7, _tone(crown, light * (0.9 + 0.3 * kind))
                )
        if look["crown"] == "apples":
            for x, y, _, born, kind in fruit:
                u = ease((t - 0.3 - born) / 0.5)
                if u > 0:
                    disc(draw, x, y + 6, 8 * u, _tone(PAINT["red"], 0.85))
                    disc(draw, x - 2, y + 4, 5 * u, _tone(PAINT["red"], 1.15 + 0.1 * kind))
        return img

    return frame


@scene(
    theme="plants and growth",
    attributes={
        "kind": {
            "grass": ("green grass", "tall green grass"),
            "wheat": ("golden wheat", "ripe wheat", "*ripe corn ears"),
            "lavender": ("purple lavender", "lavender"),
            "poppies": ("grass with red poppies", "red poppies"),
        },
        "direction": {
            "left": ("to the left", "leftwards"),
            "right": ("to the right", "rightwards"),
        },
        "time": {
            "day": ("on a sunny day", "under a blue sky"),
            "dusk": ("at sunset", "in the evening light"),
            "storm": ("under dark clouds", "before a storm"),
        },
        "thing": {
            "barn": ("a red barn", "a red farmhouse"),
            "tree": ("a lone tree", "a single round tree"),
            "scarecrow": ("a scarecrow", "a scarecrow with a hat"),
            "mountains": ("snowy mountains", "white-topped mountains"),
        },
    },
    captions=(
        "{kind} swaying in the wind {time} [in front of {thing}]",
        "the wind bends {kind} {direction} {time} [, {thing} in the distance]",
        "a field of {kind} {time} [with {thing}] [, leaning {direction}]",
        "{time} the wind blows through {kind} [near {thing}]",
        "{thing} behind a field of {kind} (waving|bending) {direction} {time}",
    ),
    sound=lambda look, rng: sounds.wind(rng, 0.8 if look["time"] == "storm" else 0.45),
)
def swaying_grass(look: Look, rng: np.random.Generator) -> Frame:
    kind, time, thing = look["kind"], look["time"], look["thing"]
    light = _LIGHT[time]
    background = sky(time, 0.6)
    if time == "dusk":
        glow(background, 110, 170, 170, (255, 190, 110), 0.9)
        disc(ImageDraw.Draw(background), 110, 168, 34, (255, 236, 180))
    draw = ImageDraw.Draw(background)
    if thing == "mountains":
        peaks = [
            (-30, 190),
            (40, 110),
            (96, 150),
            (170, 62),
            (236, 138),
            (300, 84),
            (372, 156),
            (420, 116),
            (480, 190),
        ]
        draw.polygon(
            [*peaks, (480, 220), (-30, 220)],
            fill=mix(_tone((110, 126, 160), light), (120, 90, 120), 0.2),
        )
        for x, y in peaks[1::2]:
            cap = [
                (x, y),
                (x - 28, y + 32),
                (x - 12, y + 26),
                (x - 2, y + 38),
                (x + 12, y + 26),
                (x + 30, y + 34),
            ]
            draw.polygon(cap, fill=_tone((248, 250, 255), max(light, 0.8)))
    tint = {
        "grass": (96, 170, 70),
        "wheat": (226, 180, 84),
        "lavender": (150, 104, 196),
        "poppies": (110, 168, 76),
    }[kind]
    tint = _tone(tint, light)
    fill_below(background, ridge(rng, W, 186, 202, 200), mix(tint, (180, 180, 200), 0.3), tint)
    draw = ImageDraw.Draw(background)
    red = _tone((196, 64, 52), max(light, 0.75))
    if thing == "barn":
        draw.rectangle((284, 120, 388, 206), fill=red)
        draw.polygon(
            [(272, 124), (304, 84), (368, 84), (400, 124)], fill=_tone((92, 66, 62), light)
        )
        draw.rectangle((316, 154, 356, 206), fill=_tone((244, 236, 224), light))
        draw.line([(316, 154), (356, 206), (356, 154), (316, 206)], fill=red, width=4)
        draw.rectangle((324, 106, 348, 128), fill=_tone((244, 236, 224), light))
    elif thing == "tree":
        draw.polygon(
            [(320, 210), (328, 130), (344, 130), (352, 210)], fill=_tone((100, 70, 52), light)
        )
        for _ in range(60):
            a, r = 6.3 * rng.random(), 58 * math.sqrt(rng.random())
            disc(
                draw,
                336 + r * math.cos(a) * 1.15,
                98 + r * math.sin(a) * 0.85,
                20,
                _tone((60, 124, 62), light * (0.75 + 0.4 * rng.random() - 0.2 * math.sin(a))),
            )
    elif thing == "scarecrow":
        stroke(draw, [(330, 230), (330, 90)], _tone((120, 84, 56), light), 8)
        stroke(draw, [(266, 120), (394, 120)], _tone((60, 96, 160), max(light, 0.75)), 22)
        draw.polygon(
            [(300, 112), (360, 112), (368, 200), (292, 200)],
            fill=_tone((60, 96, 160), max(light, 0.75)),
        )
        disc(draw, 330, 84, 24, _tone((236, 206, 150), max(light, 0.8)))
        draw.polygon(
            [(290, 74), (370, 74), (352, 66), (344, 36), (316, 36), (308, 66)],
            fill=_tone((130, 80, 50), light),
        )
        for x in (264, 396):
            for k in (-9, 0, 9):
                draw.line(
                    [(x, 120), (x + (14 if x > 330 else -14), 120 + k)],
                    fill=PAINT["yellow"],
                    width=4,
                )
        for x in (321, 339):
            disc(draw, x, 82, 3, (40, 36, 40))
        draw.arc((318, 80, 342, 98), 20, 160, fill=(40, 36, 40), width=3)
    cover = clouds(
        rng,
        (255, 255, 255) if time == "day" else (96, 92, 108),
        0.6 if time == "storm" else 0.35,
        2 * W,
        130,
        100,
    )
    sign = 1 if look["direction"] == "right" else -1
    blades = []
    for row, (foot, count, tall) in enumerate(((252, 56, 52), (300, 46, 84), (352, 36, 124))):
        for i in range(count):
            x = (i + rng.random()) / count * (W + 40) - 20
            blades.append(
                (x, foot + 8 * rng.random(), tall * (0.75 + 0.45 * rng.random()), row, rng.random())
            )
    rows = [[b for b in blades if b[3] == row] for row in range(3)]

    def frame(t: float) -> Image.Image:
        img = background.copy()
        if thing != "mountains" or time != "day":
            scroll(img, cover, -sign * 16 * t + 200, 0)
        draw = ImageDraw.Draw(img)
        for row, members in enumerate(rows):
            base = _tone(tint, 0.62 + 0.14 * row)
            draw.rectangle((0, (234, 276, 330)[row], W, H), fill=base)
            for x, foot, tall, _, p in members:
                gust = wave(t, 1 / 3, -sign * x / 900) + 0.35 * wave(t, 1.0, p - sign * x / 400)
                lean = sign * tall * (0.34 + 0.2 * gust)
                tip = (x + lean, foot - tall * (1 - 0.1 * abs(lean) / tall))
                bend = (x + lean * 0.3, foot - tall * 0.55)
                colour = _tone(tint, (0.72 + 0.18 * row) * (0.8 + 0.45 * p))
                if kind in ("grass", "poppies"):
                    wide = 3 + 2 * row
                    draw.polygon(
                        [
                            (x - wide, foot),
                            (bend[0] - wide * 0.7, bend[1]),
                            tip,
                            (bend[0] + wide * 0.7, bend[1]),
                            (x + wide, foot),
                        ],
                        fill=colour,
                    )
                    if kind == "poppies" and p > 0.55:
                        r = 6 + 5 * row
                        draw.ellipse(
                            (
                                tip[0] - r * 1.2,
                                tip[1] - r * 0.9,
                                tip[0] + r * 1.2,
                                tip[1] + r * 0.9,
                            ),
                            fill=_tone(PAINT["red"], max(light, 0.75) * 0.85),
                        )
                        draw.chord(
                            (
                                tip[0] - r * 1.2,
                                tip[1] - r * 0.9,
                                tip[0] + r * 1.2,
                                tip[1] + r * 0.7,
                            ),
                            180,
                            360,
                            fill=_tone(PAINT["red"], max(light, 0.75) * 1.15),
                        )
                        disc(draw, tip[0], tip[1], r * 0.35, (36, 30, 36))
                else:
                    stem = _tone(
                        (206, 170, 90) if kind == "wheat" else (96, 140, 84),
                        light * (0.7 + 0.12 * row),
                    )
                    draw.line([(x, foot), bend, tip], fill=stem, width=2 + row)
                    dx, dy = tip[0] - bend[0], tip[1] - bend[1]
                    r, ear = 3.6 + 2.4 * row, []
                    for u, w in ((0.5, 0.3), (0.62, 1.0), (0.85, 0.9), (1.12, 0.1)):
                        ear.append((bend[0] + dx * u, bend[1] + dy * u, w * r))
                    left = [(a - w, b - 0.4 * w) for a, b, w in ear]
                    right = [(a + w, b + 0.4 * w) for a, b, w in ear]
                    draw.polygon(left + right[::-1], fill=colour)
                    draw.polygon(left + [(a, b) for a, b, _ in ear[::-1]], fill=_tone(colour, 1.18))
        return img

    return frame


@scene(
    theme="plants and growth",
    attributes={
        "n": {1: ("one", "a single", "a"), 2: ("two",), 3: ("three",)},
        "bloom": {
            "red": ("red", "scarlet"),
            "yellow": ("yellow",),
            "white": ("white",),
            "purple": ("purple", "violet"),
        },
        "weather": {
            "sun": ("in the sunshine", "under a smiling sun"),
            "rain": ("in the rain", "under a rain cloud"),
            "dusk": ("at sunset", "at dusk"),
        },
        "soil": {"brown": ("brown",), "red": ("red", "reddish"), "black": ("black", "dark")},
        "extra": {
            "worm": ("a pink worm", "an earthworm"),
            "stones": ("grey stones", "stones"),
            "bone": ("a buried bone", "an old bone"),
        },
    },
    captions=(
        "{n} {n|seed sprouts|seeds sprout} in {soil} soil {weather} [until {bloom} petals open] [, {extra} nearby]",
        "{n} {n|seedling|seedlings} with {n|a|} {bloom} {n|flower|flowers} growing out of {soil} earth {weather} [, {extra} below]",
        "{weather} {n} {n|seed pushes|seeds push} roots into {soil} earth [beside {extra}] and leaves into the air",
        "roots and shoots of {n} {n|seed|seeds} grow in {soil} soil [with {extra}] [, then {bloom} petals open] {weather}",
    ),
    sound=lambda look, rng: (
        sounds.rain(rng, 0.6)
        if look["weather"] == "rain"
        else (sounds.chirp(rng, 6) if look["weather"] == "sun" else None)
    ),
    poster_s=2.7,
)
def sprouting_seed(look: Look, rng: np.random.Generator) -> Frame:
    weather, n = look["weather"], int(look["n"])
    surface = 196
    background = sky({"sun": "day", "rain": "overcast", "dusk": "dusk"}[weather], surface / H)
    draw = ImageDraw.Draw(background)
    if weather == "dusk":
        glow(background, 60, 180, 150, (255, 190, 110), 0.9)
        disc(ImageDraw.Draw(background), 60, 176, 36, (255, 236, 180))
    elif weather == "rain":
        for i in range(9):
            disc(draw, 60 + 41 * i, 14 + 9 * (i % 2), 36, (112, 120, 134))
        for i in range(9):
            disc(draw, 60 + 41 * i, 4 + 9 * (i % 2), 32, (142, 150, 162))
    fill_below(
        background,
        ridge(rng, W, 150, 184, 170),
        {"sun": (150, 200, 128), "rain": (126, 146, 130), "dusk": (112, 70, 90)}[weather],
    )
    soil = {"brown": (126, 84, 54), "red": (166, 76, 50), "black": (52, 46, 48)}[look["soil"]]
    line = ridge(rng, W, surface - 4, surface + 6, 60)
    ground = Image.new("RGB", (W, H), soil)
    fill_below(ground, line, soil, _tone(soil, 0.55))
    grain = noise(rng, (112, 84), 8, 3)
    speckled = np.asarray(ground.resize((112, 84))) * (0.75 + 0.5 * grain[..., None])
    ground = Image.fromarray(np.clip(speckled, 0, 255).astype(np.uint8)).resize(
        (W, H), Image.Resampling.BICUBIC
    )
    mask = Image.new("L", (W, H))
    ImageDraw.Draw(mask).polygon(
        [(0, H), *((x, float(line[x])) for x in range(0, W, 6)), (W, surface), (W, H)], fill=255
    )
    background.paste(ground, (0, 0), mask)
    draw = ImageDraw.Draw(background)
    for x in range(0, W, 7):
        y = float(line[x]) + 3
        draw.polygon(
            [(x - 3, y), (x + 4 * math.sin(x), y - 10 - 5 * math.sin(3 * x)), (x + 3, y)],
            fill=_tone((86, 152, 70), 0.8 if weather != "sun" else 1.0),
        )
    for _ in range(40):
        x, y, r = rng.random() * W, surface + 20 + 116 * rng.random(), 1.5 + 2.5 * rng.random()
        disc(draw, x, y, r, _tone(soil, 1.35))
    if look["extra"] == "stones":
        for x, y, r in (
            (34, 300, 26),
            (150, 318, 20),
            (300, 312, 24),
            (412, 292, 30),
            (412, 236, 14),
            (32, 238, 15),
        ):
            draw.ellipse((x - r * 1.3, y - r, x + r * 1.3, y + r), fill=(104, 108, 116))
            draw.ellipse((x - r * 1.2, y - r, x + r * 0.9, y + r * 0.5), fill=(160, 164, 170))
    elif look["extra"] == "bone":
        stroke(draw, [(318, 304), (412, 282)], (232, 222, 200), 15)
        for x, y in ((314, 294), (318, 316), (410, 270), (418, 292)):
            disc(draw, x, y, 13, (232, 222, 200))
    spots = {1: [224], 2: [136, 312], 3: [88, 224, 360]}[n]
    size = {1: 1.3, 2: 1.05, 3: 0.95}[n]
    depth = surface + 42
    lag = rng.random(n) * 0.25
    drops = rng.random((46, 3))
    roots = [
        (a, 0.5 + 0.5 * rng.random(), rng.random()) for a in (-1.0, -0.55, -0.2, 0.15, 0.5, 0.95)
    ]
    green = _tone((92, 176, 72), 1.0 if weather == "sun" else 0.88)
    petal = PAINT[look["bloom"]]

    def frame(t: float) -> Image.Image:
        img = background.copy()
        if weather == "sun":
            glow(img, 388, 48, 130, (255, 236, 150), 0.8)
            d = ImageDraw.Draw(img)
            for k in range(12):
                a = 2 * math.pi * k / 12 + 0.35 * t
                d.line(
                    [
                        (388 + 42 * math.cos(a), 48 + 42 * math.sin(a)),
                        (388 + 62 * math.cos(a), 48 + 62 * math.sin(a)),
                    ],
                    fill=(255, 222, 110),
                    width=6,
                )
            disc(d, 388, 48, 34, (255, 222, 100))
            for x in (377, 399):
                disc(d, x, 42, 4, (150, 96, 30))
            d.arc((372, 38, 404, 68), 25, 155, fill=(150, 96, 30), width=4)
        draw = ImageDraw.Draw(img)
        if look["extra"] == "worm":
            shift = 12 * wave(t, 1 / 3)
            body = [
                (330 + 7 * i + shift * (1 - i / 20), 306 + 8 * math.sin(i / 2.2 + 4.2 * t))
                for i in range(13)
            ]
            stroke(draw, body, (226, 126, 132), 14)
            stroke(draw, [(x, y - 3) for x, y in body[1:-1]], (246, 164, 166), 4)
            disc(draw, body[0][0] - 2, body[0][1] - 2, 2.5, (50, 30, 40))
        for k, x in enumerate(spots):
            life = t + 0.45 - lag[k]
            u = ease(life / 2.0)
            for a, long, p in roots:  # down into the soil
                reach = ease_out((life - 0.25 * p) / 2.2) * 70 * size * long
                path = [
                    (
                        x + reach * v * math.sin(a) + 4 * math.sin(6 * v + 9 * p) * v,
                        depth + 8 + reach * v * math.cos(a),
                    )
                    for v in np.linspace(0, 1, 6)
                ]
                stroke(draw, path, (240, 226, 196), 3.5 * size)
            tall = (44 + 128 * min(size, 1.02) * u) * ease(life / 0.7)
            sway = 7 * wave(t, 1 / 3, 0.2 * k) * u
            stem = [
                (x + (8 * math.sin(3 * v) + sway * v) * u, depth - tall * v)
                for v in np.linspace(0, 1, 9)
            ]
            stroke(draw, stem, _tone(green, 0.75), 8 * size)
            stroke(draw, [(a - 1, b) for a, b in stem], green, 5 * size)
            draw.ellipse(
                (x - 17 * size, depth - 11 * size, x + 17 * size, depth + 13 * size),
                fill=(150, 96, 52),
            )
            draw.ellipse(
                (x - 14 * size, depth - 10 * size, x + 8 * size, depth + 3 * size),
                fill=(202, 148, 92),
            )
            top = stem[-1]
            for j, (at, side) in enumerate(((5, -1), (6, 1), (7, -1))):
                grown = ease((life - 0.5 - 0.3 * j) / 1.0)
                if grown > 0 and stem[at][1] < surface - 4:
                    _leaf(
                        draw,
                        *stem[at],
                        math.pi / 2 - side * 1.1,
                        (52 - 8 * j) * size * grown,
                        12 * size * grown,
                        _tone(green, 1.1),
                    )
            opened = ease((life - 1.3) / 1.1)
            if opened > 0:
                for q in range(8):
                    a = 2 * math.pi * q / 8 + 0.2
                    r = 23 * size * opened
                    px, py, w = (
                        top[0] + r * math.cos(a),
                        top[1] + r * math.sin(a),
                        12 * size * opened,
                    )
                    disc(draw, px, py, w, _tone(petal, 0.84 + 0.07 * (q % 4)))
                disc(
                    draw,
                    *top,
                    12 * size * opened,
                    (150, 90, 40) if look["bloom"] == "yellow" else PAINT["yellow"],
                )
            elif life > 0.6:
                disc(draw, *top, 8 * size, _tone(green, 1.1))
        if weather == "rain":
            for u, v, w in drops:
                y = 34 + ((v + t * (1 + round(w)) * 2 / 3) % 1) * (surface - 40)
                draw.line([(u * W, y), (u * W - 2, y + 15)], fill=(196, 216, 236), width=2)
        return img

    return frame


@scene(
    theme="plants and growth",
    attributes={
        "n": {1: ("one", "a single", "a"), 2: ("two", "a pair of"), 4: ("four",)},
        "direction": {
            "left": ("to the left", "leftwards"),
            "right": ("to the right", "rightwards"),
        },
        "time": {
            "day": ("under a blue sky", "on a sunny day"),
            "dusk": ("at sunset", "in the evening light"),
            "night": ("at night", "in the moonlight"),
        },
        "place": {
            "hills": ("green hills", "rolling green hills"),
            "fence": ("a white fence", "a white picket fence"),
            "lake": ("a lake", "a quiet lake"),
        },
        "extra": {
            "ladybird": ("a ladybird on the stem", "a red ladybird"),
            "butterfly": ("an orange butterfly", "a butterfly with orange wings"),
            "snail": ("a snail on the ground", "a little snail"),
        },
    },
    captions=(
        "seeds fly off {n} {n|dandelion|dandelions} {direction} {time} [, {place} behind]",
        "the wind carries the seeds of {n} {n|dandelion|dandelions} {direction} [in front of {place}] {time}",
        "{n} {n|dandelion clock|dandelion clocks} before {place} {time} [, the seeds drifting {direction}] [and {extra}]",
        "{time} {n} {n|dandelion loses|dandelions lose} seeds [to the wind] [near {place}] [, with {extra}]",
        "{extra} and {n} {n|dandelion|dandelions} with flying seeds {time} [in front of {place}]",
    ),
    sound=lambda look, rng: sounds.wind(rng, 0.5) if look["time"] != "night" else None,
)
def dandelion_seeds(look: Look, rng: np.random.Generator) -> Frame:
    time, place, n = look["time"], look["place"], int(look["n"])
    light = _LIGHT[time]
    sign = 1 if look["direction"] == "right" else -1
    background = (
        gradient([(0, (48, 118, 206)), (0.75, (120, 186, 236)), (1, (170, 212, 240))])
        if time == "day"
        else sky(time, 0.85)
    )
    if time == "night":
        stars(rng, background, 70, 0.7)
        glow(background, 224 - sign * 160, 50, 90, (200, 214, 255), 0.7)
        disc(ImageDraw.Draw(background), 224 - sign * 160, 50, 20, (240, 240, 226))
    elif time == "dusk":
        glow(background, 224 - sign * 150, 220, 170, (255, 190, 110), 0.8)
        disc(ImageDraw.Draw(background), 224 - sign * 150, 218, 32, (255, 232, 170))
    grass = _tone((96, 168, 78), light)
    if place == "hills":
        fill_below(
            background,
            ridge(rng, W, 190, 250, 150),
            mix(grass, (130, 160, 200) if time != "night" else (40, 60, 120), 0.35),
        )
        fill_below(background, ridge(rng, W, 236, 272, 200), _tone(grass, 0.85))
    elif place == "lake":
        fill_below(background, ridge(rng, W, 178, 214, 140), mix(grass, (90, 90, 130), 0.5))
        water = {"day": (70, 150, 206), "dusk": (196, 110, 104), "night": (40, 62, 118)}[time]
        background.paste(
            gradient([(0, mix(water, (255, 255, 255), 0.25)), (1, water)], (W, 84)), (0, 214)
        )
        draw = ImageDraw.Draw(background)
        for _ in range(24):
            x, y = rng.random() * W, 220 + 66 * rng.random()
            draw.line(
                [(x, y), (x + 20 + 36 * rng.random(), y)],
                fill=mix(water, (255, 255, 255), 0.45),
                width=2,
            )
    else:
        draw = ImageDraw.Draw(background)
        fill_below(background, ridge(rng, W, 226, 240, 200), _tone(grass, 0.8))
        white = _tone((246, 244, 238), max(light, 0.6))
        for y in (206, 256):
            draw.rectangle((0, y, W, y + 13), fill=_tone(white, 0.85))
        for x in range(6, W, 46):
            draw.polygon(
                [(x, 296), (x, 188), (x + 13, 170), (x + 26, 188), (x + 26, 296)], fill=white
            )
            draw.rectangle((x + 20, 190, x + 26, 296), fill=_tone(white, 0.86))
    fill_below(background, ridge(rng, W, 284, 298, 120), grass, _tone(grass, 0.6))
    draw = ImageDraw.Draw(background)
    for _ in range(150):
        x, y = rng.random() * W, 292 + 44 * rng.random()
        draw.polygon(
            [
                (x - 3, y + 12),
                (x + 14 * (rng.random() - 0.5), y - 16 - 12 * rng.random()),
                (x + 3, y + 12),
            ],
            fill=_tone(grass, 0.7 + 0.5 * rng.random()),
        )
    size = {1: 78, 2: 60, 4: 40}[n]
    base = {
        1: [(224, 128)],
        2: [(140, 120), (300, 172)],
        4: [(76, 128), (178, 178), (276, 112), (376, 164)],
    }[n]
    heads = [
        (x - sign * 40 + 10 * (rng.random() - 0.5), y + 10 * (rng.random() - 0.5)) for x, y in base
    ]
    white = _tone((255, 255, 255), 0.9 if time == "night" else 1.0)

    def paint_seed(d, s):
        d.line([(20 * s, 20 * s), (20 * s, 50 * s)], fill=(*white, 230), width=s)
        d.ellipse((18 * s, 44 * s, 22.5 * s, 55 * s), fill=(120, 88, 60, 255))
        for k in range(9):
            a = math.pi * (1.06 + 0.88 * k / 8)
            tip = (20 * s + 18 * s * math.cos(a), 21 * s + 17 * s * math.sin(a))
            d.line([(20 * s, 21 * s), tip], fill=(*white, 240), width=s)
            disc(d, *tip, 1.4 * s, (*white, 255))

    master = sprite(40, 56, paint_seed)
    scale = {1: 1.3, 2: 1.1, 4: 0.85}[n]
    turns = [
        master.resize((round(40 * scale), round(56 * scale)), Image.Resampling.BILINEAR).rotate(
            a, Image.Resampling.BILINEAR, expand=True
        )
        for a in range(-45, 46, 15)
    ]
    flying = []
    for i, (x, y) in enumerate(heads):
        m = 22 if n == 1 else 14 if n == 2 else 9
        for k in range(m):
            a = rng.random() * 6.28
            flying.append(
                (
                    x + 0.9 * size * math.cos(a),
                    y + 0.9 * size * math.sin(a),
                    3.2 * (k + rng.random()) / m - 1.2,
                    rng.random(),
                    rng.random(),
                    i,
                )
            )
    globes = []
    for _ in heads:
        globe = Image.new("RGBA", (2 * size + 30, 2 * size + 30), (0, 0, 0, 0))
        d = ImageDraw.Draw(globe)
        c = size + 15
        disc(d, c, c, size, (*white, 46))
        for k in range(120):
            a, far = k * 2.39996, size * (0.5 + 0.5 * math.sqrt(((k * 37) % 120) / 120))
            if math.cos(a) * sign > 0.35 and k % 3:  # seeds already gone on the lee side
                continue
            tip = (c + far * math.cos(a), c + far * math.sin(a))
            d.line([(c, c), tip], fill=(*white, 110), width=1)
            for q in range(7):
                b = a + (q - 3) * 0.42
                d.line(
                    [tip, (tip[0] + 10 * math.cos(b), tip[1] + 10 * math.sin(b))],
                    fill=(*white, 220),
                    width=1,
                )
        disc(d, c, c, size * 0.17, (148, 130, 84, 255))
        disc(d, c - 2, c - 2, size * 0.11, (190, 172, 112, 255))
        globes.append(globe)
    stem = _tone((120, 160, 76), light)
    snail_x = 224 + sign * 120

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        for i, (x, y) in enumerate(heads):
            dx = sign * (5 + 5 * wave(t, 1 / 3, 0.2 * i))
            path = [
                (x - sign * 14 * (1 - v) + dx * v * v, 330 - (330 - y) * v)
                for v in np.linspace(0, 1, 8)
            ]
            stroke(draw, path, _tone(stem, 0.75), 8 if n < 4 else 6)
            stroke(draw, path, stem, 5 if n < 4 else 4)
            if i == 0 and look["extra"] == "ladybird":
                bx, by = path[2][0], path[2][1] - 9 * t
                draw.ellipse((bx - 13, by - 17, bx + 13, by + 17), fill=PAINT["red"])
                draw.pieslice((bx - 10, by - 24, bx + 10, by - 6), 180, 360, fill=PAINT["black"])
                draw.line([(bx, by - 14), (bx, by + 16)], fill=PAINT["black"], width=2)
                for ox, oy in ((-6, -5), (6, -5), (-6, 6), (6, 6)):
                    disc(draw, bx + ox, by + oy, 3.2, PAINT["black"])
            globe = globes[i]
            img.paste(globe, (round(x + dx - globe.width / 2), round(y - globe.height / 2)), globe)
            draw = ImageDraw.Draw(img)
        for x, y, start, p, q, _ in flying:
            age = t - start
            if age > 0:
                out = 62 * age + 26 * age * age
                sx = x + sign * out * (0.7 + 0.6 * p)
                sy = y - (14 + 22 * q) * age + 9 * wave(t, 0.5, p)
                picture = turns[3 - sign * min(2, int(1 + 2 * p)) if age > 0.3 else 3]
                img.paste(
                    picture,
                    (round(sx - picture.width / 2), round(sy - picture.height / 2)),
                    picture,
                )
        draw = ImageDraw.Draw(img)
        if look["extra"] == "butterfly":
            bx, by = 224 - sign * 150 + sign * 30 * t, 90 + 16 * wave(t, 0.5)
            flap = 0.35 + 0.65 * abs(wave(t, 1.3))
            for a in (-1, 1):
                draw.ellipse(
                    (
                        bx + a * 21 * flap - 21 * flap,
                        by - 32,
                        bx + a * 21 * flap + 21 * flap,
                        by + 4,
                    ),
                    fill=(40, 30, 36),
                )
                draw.ellipse(
                    (bx + a * 21 * flap - 17 * flap, by - 28, bx + a * 21 * flap + 17 * flap, by),
                    fill=PAINT["orange"],
                )
                draw.ellipse(
                    (bx + a * 15 * flap - 14 * flap, by, bx + a * 15 * flap + 14 * flap, by + 24),
                    fill=_tone(PAINT["orange"], 0.8),
                )
            stroke(draw, [(bx, by - 18), (bx, by + 20)], (40, 30, 36), 6)
        elif look["extra"] == "snail":
            bx, by = snail_x + sign * 5 * t, 304
            stroke(
                draw,
                [(bx - sign * 36, by + 12), (bx + sign * 30, by + 12), (bx + sign * 40, by - 8)],
                (222, 190, 140),
                14,
            )
            for k in (34, 44):
                draw.line(
                    [(bx + sign * 40, by - 10), (bx + sign * k, by - 30)],
                    fill=(222, 190, 140),
                    width=3,
                )
                disc(draw, bx + sign * k, by - 30, 3.5, (60, 44, 40))
            for r, tint in (
                (27, (150, 92, 56)),
                (20, (196, 134, 84)),
                (13, (150, 92, 56)),
                (7, (214, 160, 110)),
            ):
                disc(draw, bx - sign * (6 - (27 - r) * 0.2), by - 8, r, tint)
        return img

    return frame


@scene(
    theme="plants and growth",
    attributes={
        "colour": {
            "pink": ("pink", "*blush-pink"),
            "white": ("white",),
            "red": ("red",),
            "yellow": ("yellow",),
        },
        "side": {
            "left": ("on the left", "on the left side"),
            "right": ("on the right", "on the right side"),
        },
        "place": {
            "bench": ("a park bench", "a wooden bench"),
            "bridge": ("a red bridge over a stream", "a red arched bridge"),
            "mountain": ("a snow-capped mountain", "a big mountain with a white top"),
            "pagoda": ("a pagoda", "a temple tower"),
        },
        "time": {
            "day": ("in daylight", "under a blue sky"),
            "dusk": ("at dusk", "at sunset"),
            "night": ("at night", "in the moonlight"),
        },
        "amount": {"few": ("a few", "some"), "many": ("many", "countless", "lots of")},
    },
    captions=(
        "{amount} {colour} petals fall from a tree {side} {time} [, with {place} behind]",
        "{colour} blossom falls from a tree [{side}] in front of {place} [{time}]",
        "{time} {amount} {colour} petals drift down past {place} [from a tree {side}]",
        "a flowering tree {side} sheds {amount} {colour} petals {time} [near {place}]",
        "{place} and a tree with {colour} blossom {side} [, {amount} petals floating down] [, {time}]",
    ),
    sound=lambda look, rng: sounds.chirp(rng, 7) if look["time"] == "day" else None,
)
def falling_blossom(look: Look, rng: np.random.Generator) -> Frame:
    time, place = look["time"], look["place"]
    light = _LIGHT[time]
    left = look["side"] == "left"
    background = sky(time, 0.8)
    other = 310 if left else 138
    if time == "night":
        stars(rng, background, 90, 0.6)
        glow(background, other + 60, 52, 90, (200, 214, 255), 0.7)
        disc(ImageDraw.Draw(background), other + 60, 52, 20, (240, 240, 226))
    elif time == "dusk":
        glow(background, other, 236, 180, (255, 190, 110), 0.7)
    haze = {"day": (136, 170, 206), "dusk": (130, 70, 110), "night": (42, 54, 100)}[time]
    draw = ImageDraw.Draw(background)
    if place == "mountain":
        draw.polygon(
            [(other - 210, 270), (other - 22, 92), (other + 22, 92), (other + 210, 270)], fill=haze
        )
        cap = [
            (other - 22, 92),
            (other + 22, 92),
            (other + 72, 140),
            (other + 44, 134),
            (other + 24, 154),
            (other, 132),
            (other - 26, 156),
            (other - 46, 136),
            (other - 72, 140),
        ]
        draw.polygon(cap, fill=_tone((250, 250, 255), max(light, 0.7)))
    else:
        fill_below(background, ridge(rng, W, 196, 250, 150), haze)
    grass = _tone((116, 174, 96), light)
    fill_below(background, ridge(rng, W, 256, 270, 200), grass, _tone(grass, 0.7))
    draw = ImageDraw.Draw(background)
    if place == "bench":
        wood = _tone((168, 106, 62), max(light, 0.7))
        shadow(background, other, 308, 100, 10, 0.35)
        draw = ImageDraw.Draw(background)
        for x in (other - 72, other + 62):
            draw.rectangle((x, 222, x + 10, 308), fill=_tone((60, 62, 70), max(light, 0.7)))
        for y in (222, 240, 268):
            draw.rounded_rectangle((other - 92, y, other + 92, y + 13), 4, fill=wood)
            draw.rectangle((other - 90, y, other + 90, y + 4), fill=_tone(wood, 1.2))
    elif place == "bridge":
        water = {"day": (92, 168, 214), "dusk": (190, 110, 120), "night": (44, 66, 120)}[time]
        draw.polygon(
            [(other - 60, 268), (other + 60, 268), (other + 120, H), (other - 120, H)], fill=water
        )
        red = _tone((206, 62, 46), max(light, 0.7))
        for lift, wide, tint in ((0, 15, red), (38, 7, red)):
            arch = [
                (other - 130 + 26 * i, 292 - lift - 50 * math.sin(math.pi * i / 10))
                for i in range(11)
            ]
            stroke(draw, arch, tint, wide)
        for i in range(0, 11, 2):
            x, y = other - 130 + 26 * i, 292 - 50 * math.sin(math.pi * i / 10)
            draw.rectangle((x - 4, y - 46, x + 4, y), fill=_tone(red, 0.85))
            disc(draw, x, y - 48, 6, _tone(PAINT["gold"], max(light, 0.7)))
    elif place == "pagoda":
        for k in range(4):
            wide, y = 84 - 15 * k, 284 - 50 * k
            draw.rectangle(
                (other - wide * 0.55, y - 38, other + wide * 0.55, y),
                fill=_tone((190, 74, 58), max(light, 0.65)),
            )
            for i in (-1, 0, 1):
                draw.rectangle(
                    (other + i * wide * 0.32 - 6, y - 30, other + i * wide * 0.32 + 6, y - 6),
                    fill=(255, 220, 140) if time != "day" else (90, 50, 46),
                )
            roof = [
                (other - wide, y - 34),
                (other - wide * 0.45, y - 58),
                (other + wide * 0.45, y - 58),
                (other + wide, y - 34),
                (other + wide * 0.6, y - 38),
                (other - wide * 0.6, y - 38),
            ]
            draw.polygon(roof, fill=_tone((64, 68, 84), max(light, 0.6)))
        draw.line([(other, 70), (other, 100)], fill=_tone(PAINT["gold"], max(light, 0.7)), width=5)
    sign = 1 if left else -1
    tree = 60 if left else 388
    bark = _tone((92, 62, 52), max(light, 0.65))
    shadow(background, tree, 314, 90, 12, 0.35)
    draw = ImageDraw.Draw(background)
    draw.polygon(
        [
            (tree - 26, 316),
            (tree - 13, 210),
            (tree - 16, 100),
            (tree + 16, 100),
            (tree + 13, 210),
            (tree + 26, 316),
        ],
        fill=bark,
    )
    limbs = [
        (sign * 176, 66),
        (sign * 128, 30),
        (sign * 40, 20),
        (-sign * 50, 60),
        (sign * 100, 116),
    ]
    for dx, y in limbs:
        stroke(draw, [(tree, 180), (tree + dx * 0.45, y * 0.4 + 78), (tree + dx, y)], bark, 11)
    colour = PAINT[look["colour"]]
    colour = _tone(colour, max(light, 0.78))
    for k in range(260):
        dx, y = limbs[k % 5]
        u = 0.35 + 0.75 * rng.random()
        x = tree + dx * u + 54 * (rng.random() - 0.5)
        by = 120 + (y - 120) * u + 54 * (rng.random() - 0.5)
        r = 7 + 9 * rng.random()
        disc(draw, x, by + 3, r, _tone(colour, 0.68 + 0.12 * rng.random()))
        disc(draw, x - 2, by - 2, r * 0.72, _tone(colour, 0.95 + 0.35 * rng.random()))
    m = 90 if look["amount"] == "many" else 14
    for _ in range(m * 2):  # fallen petals
        x, y = rng.random() * W, 282 + 52 * rng.random()
        draw.ellipse(
            (x - 5, y - 2.5, x + 5, y + 2.5), fill=_tone(colour, 0.85 + 0.35 * rng.random())
        )

    def paint_petal(d, s):
        d.ellipse((2 * s, 3 * s, 20 * s, 15 * s), fill=_tone(colour, 0.8))
        d.ellipse((2 * s, 2 * s, 20 * s, 13 * s), fill=_tone(colour, 1.25))
        d.polygon([(0, 8 * s), (5 * s, 8 * s), (0, 11 * s)], fill=(0, 0, 0, 0))

    master = sprite(22, 18, paint_petal)
    big = 1.0 if m > 20 else 1.5
    poses = []
    for k in range(12):
        flat = 0.45 + 0.55 * abs(math.cos(math.pi * k / 12))
        picture = master.resize(
            (round(22 * big), max(4, round(18 * big * flat))), Image.Resampling.BILINEAR
        )
        poses.append(picture.rotate(30 * k, Image.Resampling.BILINEAR, expand=True))
    petals = rng.random((m, 4))

    def frame(t: float) -> Image.Image:
        img = background.copy()
        for u, v, w, z in petals:
            p = (v + t / (3 if w < 0.7 else 2)) % 1
            x = tree + sign * (-50 + 330 * u + 110 * p) + 16 * wave(t, 2 / 3, z)
            y = 60 + 270 * p
            picture = poses[round(12 * (z + t * (2 / 3 if w < 0.5 else -2 / 3))) % 12]
            img.paste(picture, (round(x), round(y)), picture)
        return img

    return frame
