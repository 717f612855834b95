"""Animals and flocks."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from retrieval.datasets.animations import sounds
from retrieval.datasets.animations.canvas import (
    PAINT,
    SKY,
    Colour,
    H,
    W,
    ball,
    blurred,
    clouds,
    disc,
    ease,
    fill_below,
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
    turned,
    wave,
)
from retrieval.datasets.animations.scene import Frame, Look, scene

_TINT = {
    "dawn": (255, 226, 212),
    "day": (255, 255, 255),
    "dusk": (226, 160, 150),
    "night": (118, 134, 188),
}
_TIME = {
    "dawn": ("at dawn", "at sunrise", "in the early morning"),
    "day": ("by day", "in daylight", "on a bright day"),
    "dusk": ("at dusk", "at sunset", "in the evening"),
    "night": ("at night", "by moonlight", "in the moonlight"),
}
_FACING = {"left": ("to the left", "leftwards"), "right": ("to the right", "rightwards")}


def _lit(colour: Colour, time: str, share: float = 1.0) -> Colour:
    """The colour as the light of that time of day shows it."""
    tint = tuple(round(c * light / 255) for c, light in zip(colour, _TINT[time], strict=True))
    return mix(colour, tint, share)


def _smooth(points: list[tuple[float, float]], steps: int = 8) -> list[tuple[float, float]]:
    """A closed curve through the points (Catmull-Rom)."""
    n, curve = len(points), []
    for i in range(n):
        a, b, c, d = (np.array(points[(i + k) % n]) for k in (-1, 0, 1, 2))
        for u in np.arange(steps) / steps:
            p = 0.5 * (
                2 * b
                + (c - a) * u
                + (2 * a - 5 * b + 4 * c - d) * u**2
                + (3 * b - a - 3 * c + d) * u**3
            )
            curve.append((float(p[0]), float(p[1])))
    return curve


def _scaled(points: list[tuple[float, float]], s: float) -> list[tuple[float, float]]:
    return [(x * s, y * s) for x, y in points]


def _flip(picture: Image.Image, facing: str | int) -> Image.Image:
    return picture if facing == "right" else picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _grass(
    rng: np.random.Generator, img: Image.Image, n: int, top: float, tall: float, colour: Colour
) -> None:
    """Blades of grass whose roots lie between `top` and the lower edge, far ones first."""
    draw = ImageDraw.Draw(img)
    for depth in np.sort(rng.random(n)):
        x, y = rng.random() * (W + 40) - 20, top + depth * (H - top + 16)
        size, lean = tall * (0.45 + 0.55 * depth) * (0.7 + 0.6 * rng.random()), rng.normal() * 0.28
        tip = (x + lean * size, y - size)
        tone = shade(colour, 0.72 + 0.5 * rng.random() * depth)
        draw.polygon(
            [(x - 3, y), (x + lean * size * 0.35 - 1.5, y - size * 0.55), tip, (x + 3, y)],
            fill=tone,
        )


def _pines(
    rng: np.random.Generator,
    img: Image.Image,
    line: np.ndarray,
    n: int,
    tall: float,
    colour: Colour,
) -> None:
    draw = ImageDraw.Draw(img)
    for x in np.sort(rng.random(n)) * W:
        foot = float(line[min(int(x), len(line) - 1)]) + 6
        size = tall * (0.6 + 0.6 * rng.random())
        tone = shade(colour, 0.85 + 0.3 * rng.random())
        for k in range(3):
            y, wide = foot - size * k * 0.27, size * (0.26 - 0.06 * k)
            draw.polygon(
                [(x - wide, y), (x, y - size * 0.48), (x + wide, y)],
                fill=shade(tone, 0.9 + 0.08 * k),
            )


def _water(rng: np.random.Generator, img: Image.Image, top: int, far: Colour, near: Colour) -> None:
    """Still water with fine streaks below `top`, in place."""
    img.paste(gradient([(0, far), (1, near)], (W, H - top)), (0, top))
    draw = ImageDraw.Draw(img)
    for depth in rng.random(90):
        y = top + 4 + depth**1.4 * (H - top)
        x, wide = rng.random() * W, 6 + 40 * depth * rng.random()
        draw.line(
            (x - wide, y, x + wide, y),
            fill=mix(far, (255, 255, 255), 0.12 + 0.2 * rng.random()),
            width=1,
        )


def _bird(colour: Colour, flap: float) -> Image.Image:
    """A flying bird seen from the side, beak to the right; flap -1..1 is the wings' height."""
    under, edge = shade(colour, 0.72), shade(colour, 0.55 if sum(colour) > 200 else 0.6)

    def wing(root, lift, back):
        x, y = root
        tip = (x - back - 16, y - 30 * lift)
        elbow = (x - 1, y - 17 * lift - 3)
        return _smooth([(x + 7, y), elbow, tip, (x - 13, y - 9 * lift + 3), (x - 9, y + 2)], 6)

    def paint(draw, s):
        draw.polygon(_scaled(wing((43, 34), flap * 0.9, -5), s), fill=edge)
        body = _smooth([(10, 33), (26, 30), (46, 29), (58, 30), (60, 34), (48, 41), (28, 40)], 6)
        draw.polygon(_scaled([(14, 35), (0, 30), (1, 40)], s), fill=under)
        draw.polygon(_scaled(body, s), fill=colour)
        draw.polygon(_scaled([(18, 37), (40, 37), (54, 36), (48, 41), (28, 40)], s), fill=under)
        disc(draw, 59 * s, 30 * s, 6 * s, colour)
        draw.polygon(_scaled([(64, 28), (74, 31), (63, 33)], s), fill=(236, 158, 52))
        disc(draw, 61 * s, 29 * s, 1.3 * s, (20, 20, 24))
        near = wing((38, 34), flap, 0)
        draw.polygon(_scaled(near, s), fill=shade(colour, 1.12))
        tip = near[12]
        draw.polygon(_scaled([near[9], tip, near[15]], s), fill=edge)

    return sprite(76, 70, paint)


@scene(
    theme="animals",
    attributes={
        "colour": {
            "white": ("white", "*chalk-white"),
            "black": ("black", "dark"),
            "green": ("green",),
        },
        "formation": {
            "v": ("in a V", "in a V formation", "*in a wedge"),
            "line": ("in a row", "one behind the other"),
            "swarm": ("in a dense swarm", "crowded together", "in a loose cloud"),
        },
        "facing": _FACING,
        "time": {
            "day": ("on a sunny day", "in a blue sky"),
            "dusk": ("at sunset", "in the orange evening"),
            "overcast": ("under a grey sky", "on a grey day"),
        },
        "place": {
            "sea": ("the sea", "the ocean"),
            "mountains": ("snowy mountains", "the mountains"),
            "forest": ("a pine forest", "dark pines"),
        },
    },
    captions=(
        "a flock of {colour} birds flies {facing} {formation} over {place} [{time}]",
        "{colour} birds (fly|flap their wings) {formation} above {place} {time}",
        "{time} {colour} birds (cross|fly across) the sky {formation} [over {place}]",
        "birds flying {formation} {facing} [above {place}], {colour} wings (beating|flapping)",
        "over {place} a flock of {colour} birds (heads|flies) {facing} [{formation}] [{time}]",
    ),
    sound=lambda look, rng: (
        sounds.chirp(rng, 9) if look["place"] == "forest" else sounds.wind(rng, 0.4)
    ),
)
def flock_of_birds(look: Look, rng: np.random.Generator) -> Frame:
    time, place = look["time"], look["place"]
    if time == "dusk":
        img = gradient(
            [
                (0, (168, 84, 118)),
                (0.4, (240, 132, 92)),
                (0.75, (255, 206, 128)),
                (1, (255, 214, 140)),
            ]
        )
        glow(img, 320, 236, 130, (255, 230, 160), 0.9)
        tone = (150, 84, 92)
    else:
        img = sky(time, 0.8)
        tone = (112, 140, 164) if time == "day" else (112, 120, 128)
        cover = clouds(rng, (255, 255, 255) if time == "day" else (206, 210, 214), 0.3)
        img.paste(cover, (-60, 20), cover)
    if place == "sea":
        far = mix(tone, SKY["day"][0][1] if time == "day" else (90, 96, 118), 0.5)
        _water(rng, img, 262, mix(far, (255, 255, 255), 0.25), shade(far, 0.55))
    elif place == "mountains":
        line = ridge(rng, W, 196, 300, 130)
        fill_below(img, line, mix(tone, (255, 255, 255), 0.2), shade(tone, 0.6))
        draw = ImageDraw.Draw(img)
        for x in range(W - 1):  # snow lies above a ragged height
            low = 240 + 9 * math.sin(x * 0.31) + 7 * math.sin(x * 0.83)
            if line[x] < low:
                draw.line(
                    (x, line[x], x, low),
                    fill=(246, 246, 250) if time != "dusk" else (255, 214, 196),
                )
        fill_below(img, ridge(rng, W, 286, 318, 200), shade(tone, 0.62))
    else:
        far = ridge(rng, W, 262, 282, 220)
        _pines(rng, img, far, 60, 44, mix(tone, (70, 110, 96), 0.4))
        fill_below(img, far, mix(tone, (70, 110, 96), 0.4))
        near = ridge(rng, W, 296, 316, 160)
        _pines(rng, img, near, 46, 66, mix(shade(tone, 0.4), (20, 60, 46), 0.6))
        fill_below(img, near, mix(shade(tone, 0.4), (20, 60, 46), 0.6))
    colour = (34, 34, 40) if look["colour"] == "black" else PAINT[look["colour"]]
    if look["formation"] == "v":
        places = [(0.0, 0.0)] + [(-50.0 * k, s * 23.0 * k) for k in range(1, 5) for s in (-1, 1)]
        places, size = [(x + 92, y) for x, y in places], 1.02
    elif look["formation"] == "line":
        places, size = [(150 - 72.0 * k, -11.0 * k + 26) for k in range(5)], 1.15
    else:
        grid = [(x, y) for y in range(4) for x in range(6) if 0 < x + y < 8]
        places = [(60 * (x - 2.5) + 15 * (y % 2), 44 * (y - 1.5)) for x, y in grid]
        places = [(x + 10 * rng.normal(), y + 9 * rng.normal()) for x, y in places]
        size = 0.85
    sign = 1 if look["facing"] == "right" else -1
    birds = [
        turned(_flip(_bird(colour, math.sin(2 * math.pi * k / 10)), look["facing"]), 0, size)
        for k in range(10)
    ]
    beats = rng.random(len(places))

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        for (x, y), beat in zip(places, beats, strict=True):
            bird = birds[int((1.6 * t + beat) % 1 * 10)]
            lift = 4 * wave(t, 1.6, beat + 0.25) + 5 * wave(t, 0.3, beat)
            stamp(picture, bird, W / 2 + sign * (x + 34 * (t - 1.5)), 128 + y + lift)
        return picture

    return frame


def _butterfly(colour: Colour, pattern: str, open_: float) -> Image.Image:
    """A butterfly from above, its wings opened by that share; 132 x 112."""
    edge = (48, 36, 40)
    upper = _smooth([(0, 50), (9, 24), (34, 5), (58, 6), (60, 28), (45, 48), (20, 56)])
    lower = _smooth([(0, 50), (22, 53), (44, 58), (48, 78), (33, 100), (15, 88), (4, 68)])

    def paint(draw, s):
        for side in (-1, 1):

            def at(x, y, side=side):
                return ((66 + side * x * open_) * s, (y + (1 - open_) * 6 * x / 60) * s)

            for wing, centre, light in ((lower, (22, 70), 0.86), (upper, (28, 32), 1.0)):
                draw.polygon([at(x, y) for x, y in wing], fill=edge)
                inner = [
                    (centre[0] + (x - centre[0]) * 0.84, centre[1] + (y - centre[1]) * 0.84)
                    for x, y in wing
                ]
                draw.polygon(
                    [at(x, y) for x, y in inner],
                    fill=shade(colour, light * (0.88 if side > 0 else 1.0)),
                )
                core = [
                    (centre[0] * 0.7 + (x - centre[0]) * 0.42, centre[1] + (y - centre[1]) * 0.42)
                    for x, y in wing
                ]
                draw.polygon([at(x, y) for x, y in core], fill=shade(colour, 1.28 * light))
            if pattern == "spots":
                for x, y, r in ((42, 20, 8), (26, 30, 6), (34, 76, 8), (18, 66, 5), (46, 36, 5)):
                    for rr, tone in ((r, edge), (r * 0.55, (250, 246, 236))):
                        (ax, ay) = at(x, y)
                        draw.ellipse(
                            (ax - rr * s * open_, ay - rr * s, ax + rr * s * open_, ay + rr * s),
                            fill=tone,
                        )
            elif pattern == "stripes":
                for x, y in ((30, 8), (47, 9), (56, 24), (46, 42), (44, 66), (38, 88), (20, 88)):
                    draw.line([at(2, 52), at(x, y)], fill=edge, width=round(2.4 * s))
        draw.ellipse((62 * s, 32 * s, 70 * s, 88 * s), fill=(40, 32, 36))
        draw.ellipse((64 * s, 36 * s, 67 * s, 80 * s), fill=(96, 80, 80))
        disc(draw, 66 * s, 32 * s, 6 * s, (40, 32, 36))
        for side in (-1, 1):
            draw.line(
                [((66 + side * d) * s, y * s) for d, y in ((1, 30), (7, 16), (14, 9))],
                fill=edge,
                width=2 * s,
            )
            disc(draw, (66 + side * 14) * s, 9 * s, 2 * s, edge)

    return sprite(132, 112, paint)


def _flower(draw, x: float, y: float, r: float, colour: Colour, turn: float = 0.0) -> None:
    for k in range(6):
        a = turn + k * math.pi / 3
        disc(
            draw,
            x + r * 0.62 * math.cos(a),
            y + r * 0.5 * math.sin(a),
            r * 0.46,
            shade(colour, 0.9 + 0.2 * (k % 2)),
        )
    disc(draw, x, y, r * 0.34, (246, 196, 74))


@scene(
    theme="animals",
    attributes={
        "colour": {
            "orange": ("orange",),
            "blue": ("blue", "bright blue"),
            "yellow": ("yellow",),
            "purple": ("purple", "violet"),
            "red": ("red",),
            "white": ("white", "pale"),
        },
        "pattern": {
            "plain": ("plain", "dark-edged"),
            "spots": ("spotted", "*flecked"),
            "stripes": ("striped", "veined"),
        },
        "n": {1: ("a", "one", "a single"), 2: ("two", "a pair of"), 4: ("four",)},
        "place": {
            "meadow": ("over a green meadow", "in a green meadow"),
            "sky": ("under a blue sky", "high in the blue sky"),
            "blossom": ("among pink blossoms", "in front of pink cherry blossom"),
            "night": ("in a moonlit garden", "under the moon"),
        },
    },
    captions=(
        "{n} {colour} {n|butterfly|butterflies} with {pattern} wings {n|flutters|flutter} {place}",
        "{place} {n} {pattern} {colour} {n|butterfly|butterflies} {n|beats its|beat their} wings",
        "{n} {pattern} {n|butterfly|butterflies} with {colour} wings [fluttering] {place}",
        "{n} {colour} {n|butterfly|butterflies} [with {pattern} wings] {n|flaps its|flap their} wings [gently] {place}",
    ),
)
def butterfly(look: Look, rng: np.random.Generator) -> Frame:
    place = look["place"]
    if place == "night":
        img = gradient([(0, (16, 22, 58)), (0.7, (44, 62, 118)), (1, (36, 62, 84))])
        stars(rng, img, 90, 0.6)
        glow(img, 366, 62, 110, (150, 170, 220), 0.7)
        disc(ImageDraw.Draw(img), 366, 62, 32, (244, 240, 220))
        bloom = (150, 150, 214)
    elif place == "sky":
        img = sky("day", 1.0)
        cover = clouds(rng, (255, 255, 255), 0.45, W + 100, 250)
        img.paste(cover, (-50, 10), cover)
        bloom = None
    elif place == "blossom":
        img = gradient([(0, (252, 226, 232)), (1, (236, 176, 196))])
        draw = ImageDraw.Draw(img)
        for _ in range(26):
            x, y = rng.random() * W, rng.random() * H
            disc(
                draw,
                x,
                y,
                14 + 34 * rng.random(),
                shade((240, 150, 184), 0.95 + 0.6 * rng.random()),
            )
        img = blurred(img, 12)
        draw = ImageDraw.Draw(img)
        for side in (0, 1):
            y0 = 40 + 230 * side
            stroke(
                draw,
                [(-10, y0), (120, y0 + 26), (250, y0 - 4), (W + 10, y0 + 30)],
                (112, 76, 66),
                9,
            )
            for x in range(10, W, 34):
                _flower(
                    draw,
                    x + 10 * rng.normal(),
                    y0 + 14 + 18 * rng.normal(),
                    19,
                    (252, 172, 198),
                    rng.random(),
                )
        bloom = None
    else:
        img = gradient([(0, (206, 232, 186)), (0.55, (134, 190, 98)), (1, (64, 132, 62))])
        draw = ImageDraw.Draw(img)
        for _ in range(40):
            disc(
                draw,
                rng.random() * W,
                60 + rng.random() * 276,
                10 + 24 * rng.random(),
                (150, 204, 112),
            )
        img = blurred(img, 14)
        bloom = (250, 248, 250)
    if bloom:
        _grass(rng, img, 170, 262, 62, (70, 140, 66) if place == "meadow" else (30, 66, 78))
        draw = ImageDraw.Draw(img)
        for k in range(11):
            x, y = 20 + k * 41 + 8 * rng.normal(), 276 + 34 * rng.random()
            stroke(draw, [(x, y), (x + 3, H + 8)], shade(bloom, 0.4), 3)
            _flower(draw, x, y, 15, bloom, rng.random())
    n = int(look["n"])
    size = {1: 1.75, 2: 1.25, 4: 0.9}[n]
    spots = {
        1: [(224, 146)],
        2: [(126, 160), (322, 126)],
        4: [(92, 96), (318, 84), (170, 208), (352, 218)],
    }[n]
    tilts = [float(a) for a in rng.permutation((-26, 18))]
    base = [
        turned(_butterfly(PAINT[look["colour"]], look["pattern"], o), 0, size)
        for o in np.linspace(0.34, 1, 6)
    ]
    pictures = [[turned(picture, tilt) for picture in base] for tilt in tilts]
    pictures = [pictures[i % 2] for i in range(n)]
    phases = rng.random((n, 3))

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        for (x, y), stack, (a, b, c) in zip(spots, pictures, phases, strict=True):
            opened = 0.5 + 0.5 * math.cos(2 * math.pi * (1.5 * t + a))
            x += 26 * wave(t, 0.33, b)
            y += 18 * wave(t, 0.5, c) + 6 * size * (opened - 0.5)
            stamp(picture, stack[round(5 * opened)], x, y)
        return picture

    return frame


@scene(
    theme="animals",
    attributes={
        "colour": {
            "green": ("green",),
            "yellow": ("yellow",),
            "orange": ("orange",),
            "purple": ("purple",),
            "blue": ("blue",),
        },
        "pattern": {
            "plain": ("smooth", "plain"),
            "rings": ("black-striped", "black-banded"),
            "spots": ("white-spotted", "white-dotted"),
        },
        "length": {"short": ("short", "plump", "*chubby"), "long": ("long", "long, slender")},
        "place": {
            "leaf": ("a big leaf", "a broad green leaf"),
            "branch": ("a branch", "a brown twig"),
            "apple": ("a red apple", "a big apple"),
        },
        "facing": _FACING,
    },
    captions=(
        "a {length} {colour} caterpillar (crawls|creeps) {facing} (along|over) {place}",
        "a {pattern} {colour} caterpillar (crawls|inches along) on {place} [heading {facing}]",
        "{colour} caterpillar, {length} and {pattern}, (creeping|crawling) on {place}",
        "on {place} a {length} [{pattern}] {colour} caterpillar (humps its back|crawls {facing})",
        "close-up of a {pattern} {colour} caterpillar [with a {length} body] on {place}",
    ),
)
def caterpillar(look: Look, rng: np.random.Generator) -> Frame:
    place = look["place"]
    back = {
        "leaf": ((206, 232, 240), (160, 206, 214)),
        "branch": ((250, 238, 200), (226, 206, 150)),
        "apple": ((214, 232, 206), (150, 190, 150)),
    }[place]
    img = gradient([(0, back[0]), (1, back[1])])
    draw = ImageDraw.Draw(img)
    for _ in range(16):
        disc(
            draw,
            rng.random() * W,
            rng.random() * H,
            16 + 40 * rng.random(),
            mix(back[0], (255, 255, 255), 0.5),
        )
    img = blurred(img, 16)
    draw = ImageDraw.Draw(img)
    if place == "leaf":
        ground = np.array([232 + 22 * math.cos((x - 200) / 190) ** 2 - 22 for x in range(W)])
        leaf = [
            (-30, 250),
            *((x, ground[x] - 4) for x in range(0, W, 8)),
            (W + 20, 262),
            (330, 316),
            (150, 332),
        ]
        draw.polygon(leaf, fill=(86, 160, 74))
        draw.polygon([(-30, 258), (W, 268), (330, 316), (150, 332)], fill=(66, 136, 62))
        stroke(draw, [(-20, 256), (220, 266), (W, 262)], (150, 200, 120), 6)
        for x in range(10, W, 52):
            draw.line(
                (x, 260, x + 34, ground[min(x + 34, W - 1)] + 6), fill=(124, 184, 100), width=3
            )
            draw.line((x, 262, x + 44, 316), fill=(96, 160, 84), width=3)
    elif place == "branch":
        ground = np.array([250 - 0.06 * x + 5 * math.sin(x / 40) for x in range(W)])
        for depth in range(40):
            tone = mix((150, 104, 66), (74, 48, 34), depth / 40)
            draw.line(
                [(x, ground[x] + depth) for x in range(0, W, 4)] + [(W, ground[-1] + depth)],
                fill=tone,
                width=3,
            )
        for x in (60, 372):
            draw.polygon(
                _smooth([(x, 282), (x + 30, 268), (x + 76, 300), (x + 34, 312)]), fill=(96, 160, 72)
            )
            draw.line((x, 282, x + 72, 299), fill=(150, 196, 110), width=3)
    else:
        ground = np.array([520 - math.sqrt(318**2 - (x - 224) ** 2) for x in range(W)])
        fill_below(img, ground, (220, 62, 54), (140, 26, 34))
        draw = ImageDraw.Draw(img)
        for _ in range(60):
            x = int(rng.random() * W)
            disc(draw, x, ground[x] + 16 + rng.random() * 90, 1.6, (246, 180, 120))
        glow(img, 120, 290, 70, (255, 190, 160), 0.5)
    long = look["length"] == "long"
    n, r = (11, 23) if long else (5, 34)
    colour = PAINT[look["colour"]]
    body = ball(r, colour)
    second = ball(r, (52, 46, 52)) if look["pattern"] == "rings" else body
    if look["pattern"] == "spots":
        pen = ImageDraw.Draw(second)
        for x, y in ((0.62, 0.8), (1.3, 0.62), (1.02, 1.22)):
            disc(pen, x * r, y * r, r * 0.2, (252, 250, 240, 255))
    head = ball(round(r * 1.16), shade(colour, 1.15))
    sign = 1 if look["facing"] == "right" else -1
    gap = r * 1.12

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        pen = ImageDraw.Draw(picture)
        spots = []
        for i in range(n):
            hump = wave(t, 0.66, i / n * 1.1)
            x = W / 2 + sign * ((i - (n - 1) / 2) * gap + 26 * (t - 1.5) + 5 * hump)
            y = (
                ground[int(min(max(x, 0), W - 1))]
                - r
                + 4
                - (0.62 if long else 0.4) * r * max(hump, 0)
            )
            spots.append((x, y))
        for x, y in spots[:-1]:
            foot = ground[int(min(max(x, 0), W - 1))]
            for d in (-0.35, 0.3):
                stroke(
                    pen,
                    [(x + d * r, y + r * 0.6), (x + d * r + sign * 2, min(foot + 3, y + r * 1.2))],
                    (70, 54, 48),
                    6,
                )
        for i, (x, y) in enumerate(spots[:-1]):
            stamp(picture, second if i % 2 else body, x, y)
        x, y = spots[-1]
        y -= r * 0.3
        nod = 0.08 * r * wave(t, 0.66)
        for d, up in ((0.1, 1.9), (0.75, 1.75)):
            tip = (x + sign * d * r * 1.3, y - up * r + nod)
            stroke(pen, [(x + sign * d * r * 0.5, y - r * 0.7), tip], (60, 46, 44), 4)
            disc(pen, *tip, 5, (60, 46, 44))
        stamp(picture, head, x, y + nod)
        for d in (0.12, 0.68):
            disc(pen, x + sign * d * r, y - 0.2 * r + nod, r * 0.26, (252, 252, 250))
            disc(pen, x + sign * (d + 0.07) * r, y - 0.17 * r + nod, r * 0.14, (26, 24, 28))
        mouth = (x + sign * 0.42 * r, y + 0.34 * r + nod)
        pen.arc(
            (mouth[0] - r * 0.3, mouth[1] - r * 0.24, mouth[0] + r * 0.3, mouth[1] + r * 0.22),
            20,
            160,
            (60, 30, 34),
            4,
        )
        return picture

    return frame


@scene(
    theme="animals",
    attributes={
        "colour": {
            "black": ("black",),
            "red": ("red",),
            "yellow": ("yellow",),
            "green": ("green",),
        },
        "action": {
            "sits": ("sits in the middle of", "waits in the centre of"),
            "hangs": ("dangles on a thread below", "hangs on a long thread below"),
            "walks": ("walks around on", "crawls round on"),
        },
        "place": {
            "branches": ("between two branches", "in a tree", "between bare branches"),
            "fence": ("on a wooden fence", "between two fence posts"),
            "window": ("in a window frame", "in an old window"),
        },
        "time": {
            "dawn": ("in the pink light of dawn", "at dawn"),
            "day": ("on a green summer day", "in daylight"),
            "night": ("at night", "in the blue moonlight"),
        },
    },
    captions=(
        "a {colour} spider {action} its web {place} [{time}]",
        "{time} a [big] {colour} spider {action} a [round] web {place}",
        "a spider's web {place} and a {colour} spider that {action} it [{time}]",
        "{place} a {colour} spider {action} its web {time}",
        "a web [(woven|spun)] {place}, a {colour} spider {action} it [{time}]",
    ),
    poster_s=1.4,
)
def spider_web(look: Look, rng: np.random.Generator) -> Frame:
    time, place = look["time"], look["place"]
    tones = {
        "dawn": ((250, 196, 190), (222, 140, 150), (92, 60, 66)),
        "day": ((176, 214, 150), (84, 146, 92), (96, 68, 46)),
        "night": ((64, 84, 150), (30, 40, 92), (18, 20, 40)),
    }[time]
    img = gradient([(0, tones[0]), (1, tones[1])])
    draw = ImageDraw.Draw(img)
    for _ in range(22):
        disc(
            draw,
            rng.random() * W,
            rng.random() * H,
            14 + 40 * rng.random(),
            mix(tones[0], tones[1], rng.random() * 0.7),
        )
    img = blurred(img, 14)
    if time == "night":
        glow(img, 70, 60, 110, (150, 170, 230), 0.8)
        disc(ImageDraw.Draw(img), 70, 60, 26, (240, 240, 226))
    draw = ImageDraw.Draw(img)
    wood = tones[2]
    if place == "branches":
        for side in (-1, 1):
            x = W / 2 + side * 206
            stroke(
                draw,
                [(x + side * 30, H + 10), (x, 220), (x + side * 12, 110), (x - side * 20, -10)],
                wood,
                26,
            )
            stroke(draw, [(x, 200), (x - side * 70, 286), (x - side * 116, 330)], wood, 12)
            stroke(draw, [(x + side * 8, 120), (x - side * 90, 30), (x - side * 130, 4)], wood, 12)
            stroke(draw, [(x + side * 4, 220), (x + side * 10, 110)], shade(wood, 1.2), 5)
    elif place == "fence":
        for y in (46, 290):
            draw.rectangle((0, y - 18, W, y + 18), fill=wood)
            draw.rectangle((0, y - 18, W, y - 11), fill=shade(wood, 1.25))
        for x in (34, 414):
            draw.polygon(
                [(x - 30, H), (x - 30, 20), (x, 0), (x + 30, 20), (x + 30, H)],
                fill=shade(wood, 0.85),
            )
            draw.rectangle((x - 30, 22, x - 22, H), fill=shade(wood, 1.2))
            for dy in (46, 290):
                disc(draw, x, dy, 5, shade(wood, 0.5))
    else:
        for box in ((0, 0, W, 26), (0, 310, W, H), (0, 0, 34, H), (414, 0, W, H)):
            draw.rectangle(box, fill=shade(wood, 1.15))
        draw.rectangle((34, 26, 414, 310), outline=shade(wood, 0.6), width=5)
        draw.line((224, 26, 224, 310), fill=shade(wood, 1.0), width=12)
        draw.line((34, 168, 414, 168), fill=shade(wood, 1.0), width=12)
    hanging = look["action"] == "hangs"
    cx, cy, size = 224, 120 if hanging else 166, 112 if hanging else 146
    thread = (246, 248, 252)
    layer = Image.new("RGBA", (2 * W, 2 * H), (*thread, 0))
    pen = ImageDraw.Draw(layer)
    n = 16
    angles = (np.arange(n) + 0.3 * rng.random(n)) * 2 * math.pi / n

    def on(k, r):
        stretch = 1.16 if abs(math.cos(angles[k % n])) > 0.7 else 1.0
        return (
            2 * (cx + r * stretch * math.cos(angles[k % n])),
            2 * (cy + r * math.sin(angles[k % n])),
        )

    for k in range(n):
        pen.line(
            [(2 * cx, 2 * cy), on(k, size * (1.5 if k % 2 else 1.12))], fill=(*thread, 200), width=3
        )
    for ring in np.linspace(0.12, 1, 10):
        for k in range(n):
            a, b = on(k, size * ring), on(k + 1, size * ring)
            sag = (
                (a[0] + b[0]) / 2 * 0.93 + 0.07 * 2 * cx,
                (a[1] + b[1]) / 2 * 0.93 + 0.07 * 2 * cy,
            )
            pen.line([a, sag, b], fill=(*thread, 190), width=3)
    layer = layer.resize((W, H), Image.Resampling.BOX)
    img.paste(layer, (0, 0), layer)
    drops = [
        on(int(k), size * float(r))
        for k, r in zip(
            rng.integers(0, n, 22), rng.choice(np.linspace(0.34, 1, 7), 22), strict=True
        )
    ]
    sparkle = rng.random(len(drops))
    colour = (36, 34, 40) if look["colour"] == "black" else PAINT[look["colour"]]
    abdomen, front = (
        ball(25, mix(colour, (70, 70, 84), 0.3) if look["colour"] == "black" else colour),
        ball(15, shade(colour, 0.8)),
    )
    leg = shade(colour, 0.62)

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        pen = ImageDraw.Draw(picture)
        for (x, y), phase in zip(drops, sparkle, strict=True):
            glow(picture, x / 2, y / 2, 9, (255, 255, 255), 0.55 + 0.45 * wave(t, 0.5, phase))
        turn, step = 0.0, 0.0
        x, y = cx, cy + 3 * wave(t, 0.6)
        if hanging:
            x, y = cx + 16 * wave(t, 0.4), 246 + 22 * wave(t, 0.33)
            pen.line((cx, cy, x, y - 20), fill=thread, width=2)
        elif look["action"] == "walks":
            turn = 2 * math.pi * t / 5.2
            x, y = cx + 74 * math.cos(turn), cy + 60 * math.sin(turn)
            step = 1.0
        else:
            turn = -math.pi / 2
        ahead = math.pi / 2 if hanging else turn + (math.pi / 2 if step else 0)
        fx, fy = math.cos(ahead), math.sin(ahead)
        for width, tone in ((9, mix(leg, (255, 255, 255), 0.75)), (6, leg)):
            for side in (-1, 1):
                for k in range(4):
                    swing = 0.16 * wave(t, 1.2, k / 2 + (side > 0) / 2) * (step or 0.35)
                    a = ahead + side * (0.5 + 0.62 * k + swing)
                    knee = (x + 34 * math.cos(a), y + 34 * math.sin(a))
                    b = a + side * (-0.5 if k < 2 else 0.5)
                    stroke(
                        pen,
                        [(x, y), knee, (knee[0] + 28 * math.cos(b), knee[1] + 28 * math.sin(b))],
                        tone,
                        width,
                    )
        disc(pen, x - fx * 18, y - fy * 18, 28, mix(leg, (255, 255, 255), 0.75))
        stamp(picture, abdomen, x - fx * 18, y - fy * 18)
        stamp(picture, front, x + fx * 12, y + fy * 12)
        for side in (-1, 1):
            disc(pen, x + fx * 20 - side * fy * 5, y + fy * 20 + side * fx * 5, 3, (255, 255, 255))
        return picture

    return frame


@scene(
    theme="animals",
    attributes={
        "light": {
            "yellow": ("yellow", "golden"),
            "green": ("green", "*lime"),
            "blue": ("blue", "bluish"),
            "orange": ("orange",),
            "pink": ("pink", "rosy"),
        },
        "amount": {
            "few": ("a few", "a handful of", "some"),
            "many": ("a great many", "countless", "*myriads of"),
        },
        "place": {
            "meadow": ("above the tall grass", "over a meadow"),
            "forest": ("among the trees of a dark forest", "in the woods", "between tree trunks"),
            "lake": ("over a still lake", "above the water of a lake"),
            "jar": ("in a glass jar", "inside a jar with a lid"),
        },
        "moon": {
            "full": ("a full moon", "a big round moon"),
            "crescent": ("a crescent moon", "a thin sickle moon"),
            "none": ("a starry sky", "stars and no moon"),
        },
    },
    captions=(
        "{amount} {light} fireflies (glow|twinkle) {place} [under {moon}]",
        "under {moon} {amount} fireflies shine {light} {place}",
        "{amount} fireflies with {light} lights {place} [at night] [beneath {moon}]",
        "{place} {amount} {light} fireflies (drift about|blink softly) [under {moon}]",
        "{light} lights of {amount} fireflies {place}[, {moon} above]",
    ),
    sound=lambda look, rng: _crickets(rng),
)
def fireflies(look: Look, rng: np.random.Generator) -> Frame:
    place = look["place"]
    img = gradient([(0, (10, 14, 44)), (0.55, (26, 42, 88)), (1, (40, 66, 104))])
    stars(rng, img, 150 if look["moon"] == "none" else 60, 0.65)
    draw = ImageDraw.Draw(img)
    if look["moon"] != "none":
        mx, my = 352, 62
        glow(img, mx, my, 130, (130, 150, 210), 0.7)
        disc(draw, mx, my, 34, (246, 240, 214))
        if look["moon"] == "crescent":
            disc(draw, mx - 15, my - 8, 32, (44, 56, 104))
    if place == "forest":
        fill_below(img, ridge(rng, W, 268, 286, 200), (20, 44, 52), (8, 16, 24))
        draw = ImageDraw.Draw(img)
        for k, x in enumerate((150, 262, 30, 206, 430, 96, 300)):
            near = k >= 3
            wide, tone = (30, (9, 16, 26)) if near else (18, (20, 34, 60))
            x += 14 * rng.normal()
            draw.polygon(
                [(x - wide, 330), (x - wide * 0.6, 0), (x + wide * 0.6, 0), (x + wide, 330)],
                fill=tone,
            )
            for side in (-1, 1):
                y = 60 + 60 * rng.random()
                stroke(
                    draw,
                    [(x, y + 50), (x + side * 60, y), (x + side * 90, y - 40)],
                    tone,
                    wide * 0.3,
                )
        _grass(rng, img, 130, 300, 34, (12, 40, 36))
    elif place == "lake":
        _water(rng, img, 208, (46, 72, 116), (12, 22, 52))
        line = ridge(rng, W, 180, 202, 160)
        shore = Image.new("L", img.size)
        ImageDraw.Draw(shore).polygon(
            [*((x, float(line[x])) for x in range(0, W, 3)), (W, 210), (0, 210)], fill=255
        )
        img.paste((14, 28, 50), (0, 0), shore)
        if look["moon"] != "none":
            for k in range(16):
                wide = 5 + 22 * rng.random()
                ImageDraw.Draw(img).line(
                    (352 - wide, 216 + 7 * k, 352 + wide, 216 + 7 * k),
                    fill=(186, 190, 200),
                    width=2,
                )
        _grass(rng, img, 60, 330, 60, (8, 26, 32))
    else:
        fill_below(img, ridge(rng, W, 226, 258, 220), (22, 50, 62), (10, 26, 34))
        _grass(rng, img, 190, 262, 92 if place == "meadow" else 40, (22, 66, 54))
    jar = place == "jar"
    if jar:
        draw = ImageDraw.Draw(img)
        shadow(img, 206, 318, 120, 16, 0.6)
        glass = Image.new("RGBA", img.size, (0, 0, 0, 0))
        pen = ImageDraw.Draw(glass)
        pen.rounded_rectangle(
            (108, 84, 304, 318), 40, fill=(170, 210, 230, 46), outline=(214, 236, 246, 200), width=5
        )
        pen.rounded_rectangle((122, 110, 138, 290), 8, fill=(255, 255, 255, 90))
        pen.rounded_rectangle((132, 56, 280, 92), 8, fill=(150, 104, 66, 255))
        pen.rounded_rectangle((132, 56, 280, 68), 6, fill=(196, 146, 96, 255))
        img.paste(glass, (0, 0), glass)
    light = {
        "yellow": (255, 226, 92),
        "green": (140, 255, 96),
        "blue": (96, 176, 255),
        "orange": (255, 142, 44),
        "pink": (255, 110, 190),
    }[look["light"]]
    n, r = (7, 44) if look["amount"] == "few" else (34, 24)
    if jar:
        left, right, top, bottom, r = 140, 272, 120, 286, round(r * 0.85)
        n = 5 if n == 7 else 22
    else:
        left, right, top, bottom = 24, W - 24, (60 if place == "forest" else 120), 296
    # one firefly a cell, so that they fill the picture
    columns = math.ceil(math.sqrt(n * (right - left) / (bottom - top)))
    rows = math.ceil(n / columns)
    cells = rng.permutation(columns * rows)[:n]
    xs = left + (cells % columns + rng.random(n)) * (right - left) / columns
    ys = top + (cells // columns + rng.random(n)) * (bottom - top) / rows
    phases, sizes = rng.random((n, 3)), 0.7 + 0.6 * rng.random(n)
    reach = 8 if jar else 20

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        pen = ImageDraw.Draw(picture)
        for x, y, (a, b, c), size in zip(xs, ys, phases, sizes, strict=True):
            x, y = x + reach * wave(t, 0.3, a), y + reach * 0.8 * wave(t, 0.4, b)
            bright = 0.45 + 0.55 * (0.5 + 0.5 * wave(t, 0.45, c))
            glow(picture, x, y, r * size, light, bright)
            if place == "lake" and 150 < y < 268:
                glow(picture, x, 430 - y, r * size * 0.7, light, bright * 0.4)
            disc(pen, x, y, 2.4 + 1.6 * size * bright, mix(light, (255, 255, 255), 0.55))
        return picture

    return frame


def _crickets(rng: np.random.Generator) -> np.ndarray:
    pulse = sounds.at(np.arange(3) * 0.05, sounds.tone(4300, 0.04, 0.02))[: sounds.RATE // 3]
    times = np.arange(0.1 + 0.2 * rng.random(), 2.9, 0.42)
    return sounds.together(sounds.at(times, pulse, 0.4), sounds.at(times[::2] + 0.17, pulse, 0.2))


def _undersea(
    rng: np.random.Generator, top: Colour, bottom: Colour, floor: Colour | None
) -> Image.Image:
    """Water with slanting light and, where a colour is given, a sandy floor."""
    img = gradient([(0, top), (1, bottom)])
    rays = Image.new("L", (W // 4, H // 4))
    pen = ImageDraw.Draw(rays)
    for x in (4, 30, 52, 84, 100):
        x += 8 * rng.random()
        pen.polygon([(x, -2), (x + 9, -2), (x - 8, 78), (x - 30, 78)], fill=70)
    fade = gradient([(0, (255,) * 3), (1, (20,) * 3)], rays.size).getchannel(0)
    rays = Image.fromarray(
        (np.asarray(blurred(rays, 3), np.uint16) * np.asarray(fade) // 255).astype(np.uint8)
    )
    img.paste(
        mix(top, (255, 255, 255), 0.7), (0, 0), rays.resize((W, H), Image.Resampling.BILINEAR)
    )
    if floor:
        fill_below(img, ridge(rng, W, 284, 304, 150), floor, shade(floor, 0.62))
    return img


def _coral(
    rng: np.random.Generator, img: Image.Image, x: float, y: float, tall: float, colour: Colour
) -> None:
    draw = ImageDraw.Draw(img)
    todo = [(x, y, -math.pi / 2, tall, 4)]
    while todo:
        x0, y0, a, size, left = todo.pop()
        x1, y1 = x0 + size * math.cos(a), y0 + size * math.sin(a)
        stroke(draw, [(x0, y0), (x1, y1)], shade(colour, 0.6 + 0.13 * (4 - left)), 3 + 3 * left)
        if left > 1:
            todo += [
                (x1, y1, a + d + 0.15 * rng.normal(), size * 0.72, left - 1) for d in (-0.5, 0.45)
            ]


def _rising(draw: ImageDraw.ImageDraw, bubbles: np.ndarray, t: float, colour: Colour) -> None:
    """Bubbles [n, 3] (x, start, size in 0..1) that rise and come again from below."""
    for x, start, size in bubbles:
        y = H + 20 - ((start + 0.16 * t * (0.7 + 0.6 * size)) % 1) * (H + 40)
        r = 3 + 6 * size
        cx = x * W + 8 * math.sin(y / 26 + 9 * start)
        draw.ellipse((cx - r, y - r, cx + r, y + r), outline=colour, width=2)
        disc(draw, cx - r * 0.3, y - r * 0.35, r * 0.25, colour)


def _bell(colour: Colour, squeeze: float) -> Image.Image:
    """A jellyfish's translucent bell; squeeze 0 (wide) .. 1 (narrow and tall); 150 x 120."""
    rx, ry = 62 - 14 * squeeze, 62 + 14 * squeeze

    def paint(draw, s):
        for i in range(14):
            k = 1 - i / 15
            tone = shade(colour, 0.74 + 0.05 * i) if i < 6 else shade(colour, 1.0 + 0.045 * (i - 5))
            box = (
                (75 - rx * k) * s,
                (84 - ry * k - 4 * i * 0.3) * s,
                (75 + rx * k) * s,
                (84 + ry * k) * s,
            )
            draw.chord(box, 180, 360, fill=(*tone, 215))
        n = 7
        for i in range(n):  # frilled rim
            x = 75 - rx + 2 * rx * (i + 0.5) / n
            r = rx / n + 1.5
            draw.ellipse(
                ((x - r) * s, 76 * s, (x + r) * s, (76 + 2 * r) * s),
                fill=(*shade(colour, 1.25), 235),
            )
        draw.ellipse(
            ((75 - rx * 0.5) * s, (84 - ry * 0.82) * s, (75 - rx * 0.12) * s, (84 - ry * 0.5) * s),
            fill=(*shade(colour, 1.75), 235),
        )

    return sprite(150, 120, paint)


@scene(
    theme="animals",
    attributes={
        "n": {1: ("a", "one", "a single"), 2: ("two", "a pair of"), 4: ("four",)},
        "colour": {
            "pink": ("pink", "rose-coloured"),
            "white": ("white",),
            "orange": ("orange",),
            "purple": ("purple", "violet"),
            "yellow": ("yellow",),
        },
        "water": {
            "blue": ("bright blue water", "the blue sea"),
            "black": ("the black deep sea", "dark water", "the dark depths"),
            "green": ("green water", "a green lagoon"),
        },
        "company": {
            "bubbles": ("among rising bubbles", "with bubbles around"),
            "fish": ("with little silver fish", "beside a few small fish"),
            "coral": ("above red coral", "over a coral reef"),
        },
    },
    captions=(
        "{n} {colour} jellyfish {n|drifts|drift} through {water} {company}",
        "{n} {colour} jellyfish {n|pulses|pulse} [slowly] in {water} [{company}]",
        "in {water} {n} {colour} jellyfish {n|swims|swim} {company}",
        "{n} jellyfish with {colour} {n|bell|bells} and long tentacles in {water} [{company}]",
        "{n} {colour} jellyfish {company} [in {water}]",
    ),
    sound=lambda look, rng: sounds.bubbling(rng) if look["company"] == "bubbles" else None,
)
def jellyfish(look: Look, rng: np.random.Generator) -> Frame:
    water = look["water"]
    top, bottom = {
        "blue": ((96, 196, 236), (16, 76, 160)),
        "black": ((20, 28, 52), (4, 6, 16)),
        "green": ((140, 214, 160), (20, 92, 84)),
    }[water]
    img = _undersea(
        rng, top, bottom, mix(bottom, (220, 200, 150), 0.3) if look["company"] == "coral" else None
    )
    if look["company"] == "coral":
        for x in (16, 84, 150, 226, 300, 372, 434):
            _coral(
                rng,
                img,
                x,
                318 + 10 * rng.random(),
                26 + 10 * rng.random(),
                mix((226, 66, 76), bottom, 0.12),
            )
    n = int(look["n"])
    size = {1: 1.55, 2: 1.1, 4: 0.78}[n]
    colour = PAINT[look["colour"]]
    bells = [turned(_bell(colour, k / 7), 0, size) for k in range(8)]
    spots = {
        1: [(224, 120)],
        2: [(126, 150), (318, 104)],
        4: [(84, 92), (196, 170), (290, 74), (378, 176)],
    }[n]
    spots = [
        (x + 14 * rng.normal(), y - (34 if look["company"] == "coral" else 4)) for x, y in spots
    ]
    phases = rng.random((n, 2))
    bubbles = rng.random((18, 3))
    shoal = np.column_stack([rng.random(9) * W, 50 + rng.random(9) * 240])
    silver = sprite(34, 18, lambda draw, s: _little_fish(draw, s, (214, 226, 234)))

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        pen = ImageDraw.Draw(picture)
        if look["company"] == "fish":
            for i, (x, y) in enumerate(shoal):
                stamp(
                    picture, silver, (x + 30 * t + 20) % (W + 40) - 20, y + 4 * wave(t, 0.5, i / 9)
                )
        elif look["company"] == "bubbles":
            _rising(pen, bubbles, t, mix(top, (255, 255, 255), 0.7))
        for (x, y), (a, b) in zip(spots, phases, strict=True):
            pulse = 0.5 + 0.5 * wave(t, 0.66, a)
            x, y = x + 10 * wave(t, 0.25, b), y - 9 * (t - 1.5) - 7 * wave(t, 0.66, a - 0.2)
            glow(picture, x, y, 120 * size, colour, 0.3)
            reach = (62 - 14 * pulse) * size
            for k in range(7):
                root = x + reach * (k - 3) / 3.6
                length = (96 + 34 * math.cos(k * 2.1)) * size
                line = [
                    (
                        root + (5 + 11 * u) * size * math.sin(6 * u - 3.6 * t + k * 0.7 + 6 * a),
                        y + 30 * size + u * length,
                    )
                    for u in np.linspace(0, 1, 9)
                ]
                thick = k in (2, 3, 4)
                stroke(
                    pen, line, shade(colour, 1.2 if thick else 0.92), (9 if thick else 3.5) * size
                )
            stamp(picture, bells[round(7 * pulse)], x, y)
        return picture

    return frame


def _little_fish(draw: ImageDraw.ImageDraw, s: float, colour: Colour) -> None:
    draw.polygon([(0, 2 * s), (9 * s, 9 * s), (0, 16 * s)], fill=shade(colour, 0.75))
    draw.ellipse((5 * s, 3 * s, 33 * s, 15 * s), fill=shade(colour, 0.85))
    draw.ellipse((8 * s, 3 * s, 32 * s, 11 * s), fill=shade(colour, 1.15))
    disc(draw, 28 * s, 8 * s, 1.6 * s, (24, 26, 34))


@scene(
    theme="animals",
    attributes={
        "colour": {
            "red": ("red",),
            "yellow": ("yellow",),
            "blue": ("blue",),
            "black": ("black",),
            "white": ("white", "pale"),
        },
        "pattern": {
            "plain": ("plain", "smooth"),
            "bands": ("banded", "ringed"),
            "spots": ("spotted", "diamond-backed", "*blotched"),
        },
        "place": {
            "desert": ("across the desert sand", "over the sand of a desert"),
            "grass": ("through the grass", "across a green meadow"),
            "forest": ("over brown autumn leaves", "across fallen leaves"),
            "stones": ("over grey stones", "across grey pebbles"),
        },
        "facing": _FACING,
    },
    captions=(
        "a {colour} snake (slithers|winds its way|glides) {place} [{facing}]",
        "a {pattern} {colour} snake (slithers|crawls|glides) {facing} {place}",
        "{colour} snake with a {pattern} body (gliding|slithering) {place} [{facing}]",
        "a {pattern} snake, {colour} [and long], (winds|slithers) {facing} {place}",
        "a long {colour} snake flicks its tongue [while it slithers {facing}] {place}",
    ),
    sound=lambda look, rng: (
        0.35 * sounds.hiss(rng, 1800, 6000) * (0.5 + 0.5 * np.sin(4 * sounds.seconds())) ** 2
    ),
)
def snake(look: Look, rng: np.random.Generator) -> Frame:
    place = look["place"]
    ground = {
        "desert": ((240, 206, 146), (212, 160, 96)),
        "grass": ((150, 196, 96), (84, 148, 66)),
        "forest": ((150, 108, 66), (104, 70, 44)),
        "stones": ((160, 164, 168), (112, 116, 122)),
    }[place]
    img = sky("day" if place in ("desert", "grass") else "overcast", 0.35)
    far = ridge(rng, W, 52, 84, 200)
    if place == "forest":
        img = gradient([(0, (214, 190, 140)), (0.3, (190, 150, 96)), (1, (150, 108, 66))])
        draw = ImageDraw.Draw(img)
        for x in range(10, W, 46):
            draw.rectangle(
                (x - 10 * rng.random(), 0, x + 22, 100),
                fill=mix((96, 68, 50), (190, 150, 96), 0.4 * rng.random()),
            )
    else:
        fill_below(img, far, mix(ground[0], (170, 190, 210), 0.5))
    fill_below(img, np.full(W, 92.0), ground[0], ground[1])
    draw = ImageDraw.Draw(img)
    for depth in np.sort(rng.random(190)):
        x, y = rng.random() * W, 96 + depth**1.2 * 250
        r = 3 + 15 * depth
        if place == "desert" and depth > 0.1:
            draw.arc(
                (x - 2.4 * r, y - r * 0.5, x + 2.4 * r, y + r * 0.5),
                200,
                340,
                fill=shade(ground[1], 0.93),
                width=2,
            )
        elif place == "grass":
            for d in (-0.4, 0.0, 0.4):
                tone = shade(ground[1], 0.8 + 0.5 * rng.random())
                draw.polygon(
                    [(x + d * r - 2, y), (x + 2 * d * r, y - 1.5 * r), (x + d * r + 2, y)],
                    fill=tone,
                )
        elif place == "forest":
            tone = ((206, 120, 50), (184, 84, 44), (216, 166, 74), (130, 84, 50))[
                int(4 * rng.random())
            ]
            a = 6.28 * rng.random()
            leaf = [
                (x + r * math.cos(a + b) * k, y + 0.6 * r * math.sin(a + b) * k)
                for b, k in ((0, 1), (1.2, 0.5), (3.14, 1), (4.6, 0.5))
            ]
            draw.polygon(_smooth(leaf, 4), fill=shade(tone, 0.62 + 0.3 * rng.random()))
        elif place == "stones":
            tone = shade((150, 154, 160), 0.75 + 0.45 * rng.random())
            draw.ellipse(
                (x - 1.3 * r, y - 0.7 * r, x + 1.3 * r, y + 0.8 * r), fill=shade(tone, 0.7)
            )
            draw.ellipse((x - 1.3 * r, y - 0.8 * r, x + 1.1 * r, y + 0.55 * r), fill=tone)
    if place == "desert":
        for x, size in ((58, 1.0), (396, 0.8)):
            for dx, y0, y1 in ((0, 130, 30), (-26, 84, 54), (26, 96, 62)):
                stroke(
                    draw,
                    [(x, y0), (x + dx * size, y0), (x + dx * size, 130 - (130 - y1) * size)],
                    (74, 128, 80),
                    15 * size,
                )
    colour = (52, 52, 62) if look["colour"] == "black" else PAINT[look["colour"]]
    mark = (240, 226, 150) if look["colour"] == "black" else (56, 40, 44)
    sign = 1 if look["facing"] == "right" else -1
    n, phase = 92, 6.28 * rng.random()

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        pen = ImageDraw.Draw(picture)
        body = []
        for i in range(n):
            run = i * 3.4 + 20 * t
            x = W / 2 + sign * (run - 186)
            y = 212 + 46 * math.sin(run / 40 + phase)
            r = 17 * min(1.0, 0.16 + i / 34) * (1 - 0.25 * ease((i - 76) / 14))
            body.append((x, y, r))
        for x, y, r in body[::2]:
            pen.ellipse(
                (x - r + 6, y - r * 0.4 + 12, x + r + 10, y + r * 0.6 + 14),
                fill=shade(ground[1], 0.55),
            )
        for x, y, r in body:
            disc(
                pen,
                x,
                y + 1,
                r + 2.2,
                shade(colour, 0.42) if look["colour"] != "black" else (16, 16, 20),
            )
        for i, (x, y, r) in enumerate(body):
            band = look["pattern"] == "bands" and i % 10 < 4 and i < 82
            disc(pen, x, y, r, shade(mark if band else colour, 0.82))
        for i, (x, y, r) in enumerate(body):
            band = look["pattern"] == "bands" and i % 10 < 4 and i < 82
            disc(pen, x, y - r * 0.18, r * 0.66, shade(mark if band else colour, 1.1))
        if look["pattern"] == "spots":
            for x, y, r in body[12:82:7]:
                pen.polygon(
                    [(x - r * 0.85, y), (x, y - r * 0.75), (x + r * 0.85, y), (x, y + r * 0.75)],
                    fill=mark,
                )
        for x, y, r in body[8:84:2]:
            disc(pen, x, y - r * 0.5, r * 0.14, shade(colour, 1.6))
        x, y, _ = body[-1]
        slope = math.atan2(46 / 40 * math.cos(((n - 1) * 3.4 + 20 * t) / 40 + phase), 1) * 0.6
        fx, fy = sign * math.cos(slope), math.sin(slope)
        out = 16 * ease(2 * wave(t, 1.0))
        if out > 1:
            tip = (x + fx * (30 + out), y + fy * (30 + out))
            pen.line([(x + fx * 22, y + fy * 22), tip], fill=(206, 30, 60), width=4)
            for d in (-1, 1):
                pen.line(
                    [tip, (tip[0] + fx * 8 - d * fy * 6, tip[1] + fy * 8 + d * fx * 6)],
                    fill=(206, 30, 60),
                    width=3,
                )
        for grow, tone in ((2.2, shade(colour, 0.42)), (0, shade(colour, 0.92))):
            disc(pen, x + fx * 4, y + fy * 4, 19 + grow, tone)
            disc(pen, x + fx * 17, y + fy * 17, 13 + grow, tone)
        disc(pen, x + fx * 6, y + fy * 6 - 5, 12, shade(colour, 1.18))
        for d in (-1, 1):
            ex, ey = x + fx * 12 - d * fy * 10, y + fy * 12 + d * abs(fx) * 10 - 3
            disc(pen, ex, ey, 5, (250, 236, 150))
            disc(pen, ex + fx, ey + fy, 2.6, (16, 16, 20))
        return picture

    return frame


def _rabbit(colour: Colour, leap: float) -> Image.Image:
    """A rabbit from the side, facing right: leap 0 (crouched) .. 1 (stretched out); 170 x 150."""
    dark, light = shade(colour, 0.68), shade(colour, 1.3)

    def paint(draw, s):
        def oval(x, y, rx, ry, tone):
            draw.ellipse(((x - rx) * s, (y - ry) * s, (x + rx) * s, (y + ry) * s), fill=tone)

        def limb(points, width, tone):
            stroke(draw, _scaled(points, s), tone, width * s)

        for far, tone in ((True, shade(colour, 0.55)), (False, dark)):
            d = 8 if far else 0
            if leap > 0.5 or far:
                limb(
                    [
                        (58 + d, 98),
                        (44 - 22 * leap + d, 116 - 6 * leap),
                        (66 - 58 * leap + d, 134 - 12 * leap),
                    ],
                    13,
                    tone,
                )
            limb(
                [(112 + d, 98), (116 + 12 * leap + d, 116), (116 + 30 * leap + d, 136 - 10 * leap)],
                11,
                tone,
            )
        disc(
            draw, 24 * s, 92 * s, 13 * s, (250, 248, 244) if sum(colour) < 640 else (255, 255, 255)
        )
        oval(74, 88 - 3 * leap, 50 + 5 * leap, 35 - 5 * leap, dark)
        oval(75, 84 - 3 * leap, 48 + 5 * leap, 31 - 5 * leap, colour)
        oval(80, 72 - 2 * leap, 34, 15, shade(colour, 1.14))
        oval(52 - 6 * leap, 102 - 2 * leap, 28, 26 - 4 * leap, dark)
        oval(53 - 6 * leap, 100 - 2 * leap, 26, 23 - 4 * leap, colour)
        if leap <= 0.5:
            limb([(46, 130), (78, 132)], 13, colour)
        back = 16 + 34 * leap
        for d, tone in ((9, dark), (0, colour)):
            root, tip = (122 + d, 54), (122 + d - back, 8 + 14 * leap)
            limb([root, ((root[0] + tip[0]) / 2 - 1, (root[1] + tip[1]) / 2), tip], 14, tone)
        limb([(119, 48), (122 - back * 0.85, 14 + 13 * leap)], 6, (236, 164, 164))
        oval(130, 66, 25, 22, dark)
        oval(130, 64, 24, 21, colour)
        oval(146, 70, 11, 10, light)
        disc(draw, 156 * s, 66 * s, 3.4 * s, (226, 110, 120))
        disc(draw, 136 * s, 58 * s, 5 * s, (24, 20, 24))
        disc(draw, 137.5 * s, 56 * s, 1.7 * s, (255, 255, 255))

    return sprite(170, 150, paint)


@scene(
    theme="animals",
    attributes={
        "colour": {
            "white": ("white",),
            "brown": ("brown",),
            "grey": ("grey",),
            "black": ("black",),
        },
        "n": {1: ("a", "one"), 2: ("two", "a pair of"), 3: ("three",)},
        "place": {
            "meadow": ("a flowering meadow", "a green meadow"),
            "snow": ("the snow", "a snowy field"),
            "garden": ("a carrot patch", "a bed of carrots"),
        },
        "facing": _FACING,
        "time": {k: _TIME[k] for k in ("day", "dusk", "night")},
    },
    captions=(
        "{n} {colour} {n|rabbit|rabbits} {n|hops|hop} {facing} across {place} {time}",
        "{time} {n} {colour} {n|rabbit|rabbits} {n|hops|hop} over {place} [{facing}]",
        "{n} {colour} {n|rabbit|rabbits} hopping {facing} across {place} [{time}]",
        "across {place} {n|hops|hop} {n} {colour} {n|bunny|bunnies} [{time}]",
        "{n} long-eared {colour} {n|rabbit|rabbits} (jumping|hopping) {facing} [over {place}] {time}",
    ),
)
def hopping_rabbit(look: Look, rng: np.random.Generator) -> Frame:
    time, place = look["time"], look["place"]
    img = sky(time, 0.6)
    if time == "night":
        stars(rng, img, 110, 0.5)
        glow(img, 70, 60, 110, (150, 166, 214), 0.7)
        disc(ImageDraw.Draw(img), 70, 60, 27, (246, 240, 218))
    base = {"meadow": (112, 178, 84), "snow": (226, 234, 246), "garden": (140, 98, 66)}[place]
    ground = _lit(base, time)
    hill = ridge(rng, W, 150, 186, 220)
    fill_below(
        img,
        hill,
        _lit(mix(base if place != "garden" else (112, 170, 90), (150, 180, 200), 0.4), time),
    )
    _pines(
        rng, img, hill, 26, 50, _lit((58, 110, 84) if place != "snow" else (120, 150, 160), time)
    )
    fill_below(img, ridge(rng, W, 198, 210, 260), ground, shade(ground, 0.72))
    draw = ImageDraw.Draw(img)
    if place == "meadow":
        _grass(rng, img, 130, 216, 24, _lit((92, 160, 74), time))
        draw = ImageDraw.Draw(img)
        for _ in range(34):
            tone = ((250, 246, 240), (248, 205, 70), (240, 132, 172))[int(3 * rng.random())]
            _flower(draw, rng.random() * W, 220 + 110 * rng.random(), 8, _lit(tone, time, 0.7))
    elif place == "garden":
        for row in range(4):
            y = 226 + row * 32
            draw.line((0, y + 10, W, y + 10), fill=shade(ground, 0.7), width=8 + row)
            for x in range(-10 + 22 * (row % 2), W, 44):
                k = 0.7 + 0.14 * row
                draw.polygon(
                    [
                        (x - 7 * k, y),
                        (x + 7 * k, y),
                        (x + 4 * k, y + 11 * k),
                        (x - 4 * k, y + 11 * k),
                    ],
                    fill=_lit((240, 130, 44), time),
                )
                for d in (-10, -4, 4, 10):
                    draw.line(
                        (x, y, x + d * k, y - 18 * k), fill=_lit((80, 160, 64), time), width=4
                    )
    else:
        for _ in range(26):
            x, y, r = rng.random() * W, 224 + 110 * rng.random(), 12 + 24 * rng.random()
            draw.ellipse(
                (x - r, y - r * 0.2, x + r, y + r * 0.2),
                fill=mix(ground, (150, 170, 205) if time == "day" else shade(ground, 0.8), 0.45),
            )
    n = int(look["n"])
    size = {1: 1.3, 2: 0.95, 3: 0.76}[n]
    base_colour = {
        "white": (248, 246, 242),
        "black": (56, 54, 62),
        "grey": (140, 146, 156),
        "brown": (146, 94, 58),
    }
    colour = _lit(base_colour[look["colour"]], time, 0.25)
    poses = [turned(_flip(_rabbit(colour, k / 5), look["facing"]), 0, size) for k in range(6)]
    sign = 1 if look["facing"] == "right" else -1
    lanes = [
        (
            (i - (n - 1) / 2) * (150 if n == 2 else 116) + 6 * rng.normal(),
            244 + (26, -6, 14)[i % 3] * (n > 1),
        )
        for i in range(n)
    ]
    phases = np.arange(n) / n + 0.3 * rng.random()

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        for (x, y), phase in sorted(zip(lanes, phases, strict=True), key=lambda lane: lane[0][1]):
            beat = 1.0 * t + phase
            whole, part = math.floor(beat), beat % 1
            u = min(max((part - 0.25) / 0.75, 0), 1)  # crouches first, then flies
            x = W / 2 + x + sign * (40 * (whole + ease(u) * 0.4 + 0.6 * u - phase) - 60)
            up = 4 * u * (1 - u)
            shadow(picture, x, y + 64 * size, 66 * size * (1 - 0.25 * up), 12 * size, 0.42)
            tilt = sign * 16 * (1 - 2 * u) * (0 < u < 1)
            stamp(picture, poses[round(5 * up)], x, y - 62 * size * up, tilt)
        return picture

    return frame


def _duck(body: Colour, head: Colour, bill: Colour) -> Image.Image:
    """A swimming duck, facing right; its waterline is y = 88; 130 x 100."""

    def paint(draw, s):
        shape = _smooth(
            [
                (6, 58),
                (22, 64),
                (52, 54),
                (84, 58),
                (104, 66),
                (108, 78),
                (96, 90),
                (40, 90),
                (18, 78),
            ]
        )
        draw.polygon(_scaled(shape, s), fill=shade(body, 0.76))
        draw.polygon(
            _scaled(
                _smooth(
                    [(8, 59), (24, 65), (52, 55), (84, 59), (102, 67), (98, 80), (40, 80), (22, 74)]
                ),
                s,
            ),
            fill=body,
        )
        stroke(draw, _scaled([(94, 70), (96, 50), (98, 34)], s), head, 20 * s)
        disc(draw, 99 * s, 28 * s, 18 * s, head)
        disc(draw, 95 * s, 22 * s, 10 * s, shade(head, 1.16))
        if head != body:
            stroke(draw, _scaled([(86, 58), (104, 58)], s), (246, 244, 238), 5 * s)
        draw.polygon(_scaled(_smooth([(113, 24), (128, 30), (126, 36), (112, 36)]), s), fill=bill)
        disc(draw, 105 * s, 23 * s, 3 * s, (20, 20, 24))
        disc(draw, 106 * s, 22 * s, 1 * s, (255, 255, 255))
        wing = _smooth([(28, 62), (56, 56), (84, 64), (78, 78), (50, 80), (24, 70)])
        draw.polygon(_scaled(wing, s), fill=shade(body, 0.84))
        draw.polygon(
            _scaled(_smooth([(34, 62), (56, 58), (80, 65), (72, 73), (50, 74)]), s),
            fill=shade(body, 1.12),
        )

    return sprite(130, 100, paint)


@scene(
    theme="animals",
    attributes={
        "colour": {
            "white": ("white",),
            "brown": ("brown",),
            "mallard": ("green-headed", "grey and green", "*mallard"),
        },
        "n": {1: ("one", "a single", "a"), 2: ("two",), 3: ("three",), 5: ("five",)},
        "plants": {
            "lilies": ("between water lilies", "among pink water lilies"),
            "reeds": ("in front of tall reeds", "past the reeds"),
            "trees": ("below autumn trees", "in front of orange autumn trees"),
        },
        "time": {k: _TIME[k] for k in ("dawn", "day", "dusk")},
        "facing": _FACING,
    },
    captions=(
        "a {colour} duck and {n} yellow {n|duckling|ducklings} swim {facing} {plants} [{time}]",
        "a {colour} duck with {n} {n|duckling|ducklings} [behind her] on a pond {plants} [{time}]",
        "{time} {n} {n|duckling follows|ducklings follow} a {colour} duck [{facing}] across a pond {plants}",
        "{n} [fluffy] {n|duckling|ducklings} and a {colour} mother duck (swimming|paddling) {facing} [{plants}] {time}",
        "{plants} a {colour} duck leads {n} {n|duckling|ducklings} over the pond [{time}]",
    ),
    sound=lambda look, rng: sounds.together(
        sounds.at(
            np.sort(rng.random(4)) * 2.6, sounds.tone(420, 0.16, 0.08, (1, 0.9, 0.8, 0.7, 0.5)), 0.7
        ),
        0.12 * sounds.hiss(rng, 300, 2000),
    ),
)
def ducks_on_pond(look: Look, rng: np.random.Generator) -> Frame:
    time, plants = look["time"], look["plants"]
    img = sky(time, 0.42)
    far = ridge(rng, W, 92, 112, 200)
    if plants == "trees":
        draw = ImageDraw.Draw(img)
        for x in range(-10, W + 20, 30):
            tone = ((226, 122, 44), (206, 78, 44), (238, 176, 66))[int(3 * rng.random())]
            r, y = 24 + 10 * rng.random(), 74 + 16 * rng.random()
            draw.line((x, y, x, 130), fill=_lit((92, 62, 48), time), width=7)
            disc(draw, x, y, r, _lit(shade(tone, 0.78), time, 0.8))
            disc(draw, x - 4, y - 6, r * 0.72, _lit(tone, time, 0.8))
    else:
        _pines(rng, img, far, 34, 48, _lit((76, 128, 92), time))
    fill_below(img, far, _lit((104, 158, 88), time))
    horizon = SKY[time][-1][1]
    _water(rng, img, 132, mix(_lit((110, 168, 200), time), horizon, 0.4), _lit((34, 92, 128), time))
    draw = ImageDraw.Draw(img)
    if plants == "lilies":
        for _ in range(22):
            depth = rng.random()
            x, y, r = rng.random() * W, 146 + 184 * depth, 9 + 15 * depth
            draw.pieslice(
                (x - r * 1.4, y - r * 0.5, x + r * 1.4, y + r * 0.5),
                20,
                340,
                fill=_lit((76, 158, 82), time),
            )
            if rng.random() < 0.6:
                _flower(draw, x, y - r * 0.3, r * 0.85, _lit((246, 150, 186), time, 0.5))
    front = Image.new("RGBA", img.size, (0, 0, 0, 0))
    if plants == "reeds":
        for layer, n, top in ((img, 44, 96), (front, 20, 200)):
            pen = ImageDraw.Draw(layer)
            for _ in range(n):
                x, tall = rng.random() * W, 60 + 46 * rng.random()
                if layer is front and 60 < x < W - 60:
                    continue
                y = top + 60 if layer is img else H + 6
                tip = (x + 12 * rng.normal(), y - tall * (1 if layer is img else 1.5))
                pen.line([(x, y), tip], fill=_lit((86, 136, 66), time), width=4)
                if rng.random() < 0.5:
                    stroke(pen, [tip, (tip[0], tip[1] + 22)], _lit((112, 70, 44), time), 9)
    mother = {
        "white": _duck((248, 246, 240), (248, 246, 240), (244, 152, 46)),
        "brown": _duck((150, 104, 66), (150, 104, 66), (206, 130, 60)),
        "mallard": _duck((176, 172, 168), (28, 128, 86), (240, 190, 60)),
    }[look["colour"]]
    child = _duck((250, 214, 84), (250, 214, 84), (240, 140, 50))
    n = int(look["n"])
    gap = {1: 108, 2: 88, 3: 74, 5: 56}[n]
    big, small = {1: (1.5, 0.74), 2: (1.35, 0.66), 3: (1.25, 0.6), 5: (1.1, 0.5)}[n]
    start = (n * gap + 40) / 2
    birds = [(start - 40, 222.0, big, mother)]
    birds += [
        (start - 40 - 70 * big * 0.6 - gap * (i + 0.6), 236.0 + 8 * (i % 2), small, child)
        for i in range(n)
    ]
    sign = 1 if look["facing"] == "right" else -1
    ready = []
    for x, y, size, bird in birds:
        bird = turned(_flip(bird, look["facing"]), 0, size)
        mirrored = bird.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        ready.append((x + 20, y, size, bird, mirrored))
    foam = mix(horizon, (255, 255, 255), 0.5)

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        pen = ImageDraw.Draw(picture)
        for i, (x, y, size, bird, mirrored) in enumerate(ready):
            x = W / 2 + sign * (x + 24 * (t - 1.5))
            y += 2.5 * wave(t, 0.7, i / 5)
            line = y + 38 * size
            stamp(picture, mirrored, x, line + 38 * size, 0, 1.0, 0.3)
            for k in range(3):
                u = (0.5 * t + k / 3) % 1
                w = (46 + 46 * u) * size
                pen.arc(
                    (
                        x - sign * 26 * u * size - w,
                        line - 7 * size - w * 0.12,
                        x - sign * 26 * u * size + w,
                        line + 4 * size + w * 0.12,
                    ),
                    10,
                    170,
                    fill=mix(foam, (80, 130, 160), 0.3 + 0.6 * u),
                    width=2,
                )
            stamp(picture, bird, x, y)
        if plants == "reeds":
            picture.paste(front, (0, 0), front)
        return picture

    return frame


def _fish(colour: Colour, striped: bool, wag: float) -> Image.Image:
    """A fish facing right; wag -1..1 bends the tail; 120 x 80."""

    def paint(draw, s):
        fin = shade(colour, 0.74)
        tail = 26 + 10 * (1 - abs(wag))
        draw.polygon(
            _scaled(
                [
                    (30, 40),
                    (30 - tail, 18 + 6 * wag),
                    (12, 40 + 4 * wag),
                    (30 - tail, 62 + 6 * wag),
                ],
                s,
            ),
            fill=fin,
        )
        draw.polygon(_scaled(_smooth([(46, 22), (58, 4), (84, 8), (90, 22)]), s), fill=fin)
        draw.polygon(_scaled(_smooth([(54, 58), (60, 74), (76, 70), (80, 56)]), s), fill=fin)
        body = _smooth(
            [(24, 40), (48, 18), (82, 16), (108, 30), (114, 41), (106, 52), (82, 64), (48, 60)]
        )
        draw.polygon(_scaled(body, s), fill=shade(colour, 0.84))
        draw.polygon(
            _scaled(_smooth([(30, 39), (50, 20), (82, 18), (106, 30), (100, 42), (60, 46)]), s),
            fill=shade(colour, 1.08),
        )
        if striped:
            for x, w, half in ((48, 9, 19), (70, 10, 22.5), (91, 8, 17)):
                pts = [
                    (x - w / 2, 40 - half),
                    (x + w / 2, 40 - half),
                    (x + w / 2 + 4, 40),
                    (x + w / 2, 40 + half),
                    (x - w / 2, 40 + half),
                    (x - w / 2 + 4, 40),
                ]
                draw.polygon(_scaled(pts, s), fill=(250, 248, 242))
                for a in (x - w / 2, x + w / 2):
                    draw.line(
                        _scaled([(a, 40 - half), (a + 4, 40), (a, 40 + half)], s),
                        fill=(40, 34, 44),
                        width=int(2 * s),
                    )
        draw.polygon(_scaled(_smooth([(66, 44), (56, 58 + 4 * wag), (76, 54)]), s), fill=fin)
        disc(draw, 101 * s, 34 * s, 6 * s, (252, 252, 248))
        disc(draw, 102 * s, 34 * s, 3.4 * s, (20, 20, 26))

    return sprite(120, 80, paint)


@scene(
    theme="animals",
    attributes={
        "colour": {
            "orange": ("orange",),
            "yellow": ("yellow",),
            "red": ("red",),
            "purple": ("purple",),
            "black": ("black",),
        },
        "pattern": {"plain": ("plain", "unstriped"), "striped": ("white-striped", "striped")},
        "amount": {
            "few": ("a few big", "five large"),
            "many": ("a shoal of small", "a swarm of little", "*scores of small"),
        },
        "place": {
            "reef": ("over a coral reef", "above bright corals"),
            "deep": ("in the deep blue sea", "in open blue water"),
            "kelp": ("through a kelp forest", "between green seaweed", "among swaying seaweed"),
        },
        "facing": _FACING,
    },
    captions=(
        "{amount} {colour} fish (swim|glide) {facing} {place}",
        "{amount} {pattern} {colour} fish swim {place} [{facing}]",
        "{place} {amount} [{pattern}] {colour} fish (swim|move) {facing}",
        "{amount} fish, {colour} and {pattern}, {place} [swimming {facing}]",
        "underwater, {amount} {pattern} {colour} fish (pass by|swim along) {place}",
    ),
    sound=lambda look, rng: sounds.bubbling(rng, 18) if look["place"] != "deep" else None,
)
def fish_school(look: Look, rng: np.random.Generator) -> Frame:
    place = look["place"]
    top, bottom, floor = {
        "reef": ((150, 224, 236), (40, 134, 190), (226, 206, 158)),
        "deep": ((84, 162, 230), (14, 44, 126), None),
        "kelp": ((176, 222, 170), (44, 122, 110), (120, 130, 90)),
    }[place]
    img = _undersea(rng, top, bottom, floor)
    if place == "reef":
        for x in (20, 70, 128, 190, 262, 322, 380, 432):
            tone = ((236, 96, 120), (246, 170, 72), (170, 110, 200), (90, 190, 170))[
                int(4 * rng.random())
            ]
            _coral(
                rng,
                img,
                x + 8 * rng.normal(),
                320 + 12 * rng.random(),
                24 + 12 * rng.random(),
                tone,
            )
    weeds = [
        (x + 10 * rng.normal(), 150 + 130 * rng.random(), rng.random(), rng.random())
        for x in range(10, W, 34)
    ]
    few = look["amount"] == "few"
    colour = (46, 46, 58) if look["colour"] == "black" else PAINT[look["colour"]]
    size = 0.98 if few else 0.44
    fish = [
        turned(_flip(_fish(colour, look["pattern"] == "striped", w), look["facing"]), 0, size)
        for w in np.linspace(-1, 1, 7)
    ]
    if few:
        spots = [(96, -64), (110, 44), (-24, -10), (-130, -72), (-138, 56)]
    else:
        spots = [(58 * (c - 2.9) + 20 * (r % 2), 38 * (r - 2)) for r in range(5) for c in range(6)]
    spots = [(x + 8 * rng.normal(), y + 6 * rng.normal()) for x, y in spots]
    phases = rng.random((len(spots), 2))
    bubbles = rng.random((10, 3))
    sign = 1 if look["facing"] == "right" else -1

    def weed(pen, x, tall, a, tone, t):
        line = []
        for k in range(9):
            u = k / 8
            line.append((x + (4 + 20 * u) * math.sin(2.6 * u - 2 * t + 6.28 * a), H + 6 - tall * u))
        stroke(pen, line, tone, 8)
        for k in range(1, 9):
            px, py = line[k]
            d = 1 if k % 2 else -1
            pen.polygon(
                [(px, py + 5), (px + d * 22, py - 10), (px, py - 9)], fill=shade(tone, 1.12)
            )

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        pen = ImageDraw.Draw(picture)
        if place == "kelp":
            for x, tall, a, b in weeds:
                weed(pen, x, tall + 60, a, mix((40, 112, 70), bottom, 0.45 * b), t)
        _rising(pen, bubbles, t, mix(top, (255, 255, 255), 0.6))
        for (x, y), (a, b) in zip(spots, phases, strict=True):
            x = W / 2 + sign * (x + 30 * (t - 1.5) + 7 * wave(t, 0.4, a))
            y = 156 + y + 6 * wave(t, 0.35, b)
            stamp(picture, fish[round(3 + 3 * wave(t, 1.5, a))], x, y)
        if place == "kelp":
            for x, tall, a, _b in weeds[1::4]:
                weed(pen, x + 14, tall * 0.6, a, (26, 92, 58), t)
        return picture

    return frame
