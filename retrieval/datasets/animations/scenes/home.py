"""Kitchen and home."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from retrieval.datasets.animations import sounds
from retrieval.datasets.animations.canvas import (
    PAINT,
    H,
    W,
    blurred,
    disc,
    ease,
    fill_below,
    glow,
    gradient,
    ridge,
    room,
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

THEME = "kitchen and home"

_COLOURS = {
    "red": ("red",),
    "blue": ("blue",),
    "green": ("green",),
    "yellow": ("yellow",),
    "purple": ("purple", "violet"),
    "black": ("black",),
    "white": ("white",),
}

_WALLS = {
    "tiles": ("in front of brown tiles", "before a brown tiled wall"),
    "mint": ("in a mint green kitchen", "before a mint green wall"),
    "orange": ("in an orange kitchen", "before an orange wall"),
    "window": ("by a window at night", "at a night window"),
}


def _tiles(img: Image.Image, colour: tuple[int, int, int], edge: int, side: int = 46) -> None:
    """Cover the wall above y = edge with glazed tiles, in place."""
    draw = ImageDraw.Draw(img)
    draw.rectangle((0, 0, W, edge), fill=shade(colour, 0.72))
    for row in range(edge // side + 1):
        for column in range(W // side + 1):
            x, y = column * side, edge - (row + 1) * side
            tone = shade(colour, 0.94 + 0.05 * math.sin(row * 5 + column * 3))
            draw.rectangle((x + 1, y + 1, x + side - 2, y + side - 2), fill=tone)
            draw.line([(x + 3, y + 4), (x + side - 6, y + 4)], fill=shade(tone, 1.3), width=2)
    glow(img, W * 0.25, 30, 280, shade(colour, 0.4), 0.5)


def _window(rng: np.random.Generator, img: Image.Image, edge: int) -> None:
    """A window on a starry night above y = edge, in place."""
    pane = sky("night", 1.0)
    stars(rng, pane, 110, 1.0)
    disc(ImageDraw.Draw(pane), 350, 66, 25, (246, 242, 216))
    glow(pane, 350, 66, 110, (150, 150, 190), 0.8)
    draw = ImageDraw.Draw(img)
    draw.rectangle((26, 0, W - 26, edge - 16), fill=(214, 202, 188))
    img.paste(pane.crop((40, 0, W - 40, edge - 30)), (40, 0))
    draw.rectangle((W / 2 - 6, 0, W / 2 + 6, edge - 20), fill=(214, 202, 188))
    draw.rectangle((14, edge - 24, W - 14, edge - 12), fill=(232, 222, 208))


def _kitchen(rng: np.random.Generator, wall: str, edge: int = 250) -> Image.Image:
    colours = {"tiles": (136, 94, 76), "mint": (152, 212, 184), "orange": (238, 156, 88)}
    img = room(rng, colours.get(wall, (92, 92, 124)), (150, 104, 70), edge, 0.3)
    if wall == "tiles":
        _tiles(img, colours["tiles"], edge)
    elif wall == "window":
        _window(rng, img, edge)
    return img


@lru_cache(maxsize=32)
def _puff(radius: int, strength: int) -> Image.Image:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1] / (radius + 0.5)
    soft = np.clip(1 - np.hypot(x, y), 0, 1) ** 1.2
    return Image.fromarray((soft * strength).astype(np.uint8))


def _steam(
    img: Image.Image,
    t: float,
    place: tuple[float, float],
    strength: float,
    lean: float,
    phases: np.ndarray,
    tone: int = 250,
) -> None:
    """Puffs that rise from a place and fade, in place; strength 0..1 sets their size."""
    small = Image.new("L", (W // 4, H // 4))
    for phase in phases:
        u = (t / 1.5 + phase) % 1
        sway = 16 * math.sin(6 * u + 9 * phase) * u
        radius = round((9 + 60 * u * strength + 12 * u) / 4)
        alpha = (0.4 + 0.45 * strength) * min(1, u / 0.1) * (1 - u) ** 0.9
        puff = _puff(radius, 8 * round(255 * alpha / 8))
        x = place[0] + lean * 70 * u**0.7 + sway
        y = place[1] - 165 * u * (0.75 + 0.25 * strength)
        small.paste(255, (round(x / 4) - radius, round(y / 4) - radius), puff)
    img.paste((tone, tone, tone), (0, 0), small.resize((W, H), Image.Resampling.BICUBIC))


@scene(
    theme=THEME,
    attributes={
        "colour": _COLOURS,
        "steam": {
            "thin": ("a thin wisp of steam", "a little steam"),
            "thick": ("thick steam", "a thick cloud of steam", "*billowing vapour"),
        },
        "wall": _WALLS,
        "side": {"left": ("to the left", "leftwards"), "right": ("to the right", "rightwards")},
    },
    captions=(
        "a {colour} kettle on the stove (blows|puffs) {steam} {side} {wall}",
        "{steam} (rises|comes) from a {colour} kettle {wall} [, its spout points {side}]",
        "{wall} a {colour} (teakettle|kettle) boils [on a gas flame] and gives off {steam}",
        "water boils in a {colour} kettle {wall} [and {steam} drifts {side}]",
        "{steam} from the spout of a {colour} kettle [that points {side}] {wall}",
    ),
    sound=lambda look, rng: sounds.together(
        0.35 * sounds.hiss(rng, 1500, 6000),
        0.4 * sounds.tone(1900, 3.0, None, (1, 0.2))
        if look["steam"] == "thick"
        else sounds.bubbling(rng),
    ),
)
def steaming_kettle(look: Look, rng: np.random.Generator) -> Frame:
    background = _kitchen(rng, look["wall"], 262)
    colour = PAINT[look["colour"]]
    mirror = look["side"] == "left"
    if mirror:
        background = background.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    draw = ImageDraw.Draw(background)
    draw.rounded_rectangle((60, 290, W - 60, 336), 8, fill=(52, 54, 62))
    draw.rounded_rectangle((60, 290, W - 60, 300), 5, fill=(92, 96, 106))
    for x in (92, 356):
        disc(draw, x, 318, 9, (196, 200, 206))
    for x in range(120, 320, 30):
        draw.rectangle((x, 280, x + 8, 292), fill=(36, 36, 42))
    draw.rectangle((112, 276, 328, 282), fill=(44, 44, 50))

    def kettle(draw, s):
        draw.arc((34 * s, 2 * s, 186 * s, 150 * s), 180, 360, fill=(48, 44, 46), width=15 * s)
        draw.rounded_rectangle((74 * s, 0, 146 * s, 18 * s), 8 * s, fill=(120, 82, 56))
        spout = [(176, 150), (232, 92), (254, 96), (206, 190)]
        draw.polygon([(x * s, y * s) for x, y in spout], fill=shade(colour, 0.72))
        draw.polygon(
            [(x * s, y * s) for x, y in ((180, 148), (232, 92), (242, 94), (194, 166))],
            fill=shade(colour, 1.1),
        )
        for i in range(30):  # the round body, lit from the left
            u = i / 29
            left = (10 + 88 * u) * s
            right = (210 - 88 * u * 0.6) * s
            tone = shade(colour, 0.58 + 0.62 * math.sin(math.pi * min(u * 0.9, 0.5)))
            draw.rounded_rectangle(
                (left * 0.9, (74 + 36 * u) * s, right, (208 - 14 * u) * s),
                max(1, round((60 - 40 * u) * s)),
                fill=tone,
            )
        draw.ellipse((60 * s, 64 * s, 160 * s, 96 * s), fill=shade(colour, 0.6))
        draw.ellipse((62 * s, 60 * s, 158 * s, 90 * s), fill=shade(colour, 1.1))
        draw.ellipse((98 * s, 46 * s, 122 * s, 70 * s), fill=(48, 44, 46))
        draw.ellipse((40 * s, 104 * s, 66 * s, 156 * s), fill=shade(colour, 1.62))

    picture = sprite(260, 214, kettle)
    strength = 1.0 if look["steam"] == "thick" else 0.12
    phases = np.linspace(0, 1, 17 if strength > 0.5 else 9, endpoint=False) + 0.02 * rng.random()
    flames = rng.random(14)

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        for i, f in enumerate(flames):
            x = 136 + i * 12.5
            tall = 17 + 6 * wave(t, 2.2, f)
            draw.polygon(
                [(x - 6, 290), (x + 6, 290), (x + 2 * wave(t, 1.7, f), 290 - tall)],
                fill=(70, 130, 240),
            )
            draw.polygon([(x - 3, 290), (x + 3, 290), (x, 290 - tall * 0.55)], fill=(190, 226, 255))
        glow(img, 220, 288, 110, (60, 110, 220), 0.55)
        shake = 1.5 * wave(t, 5) * strength
        _steam(img, t, (340, 150), strength, 0.8, phases)
        stamp(img, picture, 222 + shake, 172)
        return img.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirror else img

    return frame


@scene(
    theme=THEME,
    attributes={
        "colour": _COLOURS,
        "n": {1: ("one", "a single"), 2: ("two", "a pair of"), 3: ("three",)},
        "toast": {
            "golden": ("golden brown", "golden"),
            "burnt": ("burnt", "blackened", "*charred"),
            "pale": ("pale", "barely toasted"),
        },
        "wall": _WALLS,
    },
    captions=(
        "{n} {toast} {n|slice|slices} of (bread|toast) {n|pops|pop} out of a {colour} toaster {wall}",
        "a {colour} toaster {wall} throws up {n} {toast} {n|slice|slices} of bread",
        "{wall} {n} {n|slice|slices} of {toast} bread {n|jumps|jump} from a {colour} toaster",
        "{n} {toast} {n|piece|pieces} of toast {n|springs|spring} from a {colour} toaster [{wall}]",
        "breakfast {wall}: a {colour} toaster with {n} {toast} {n|slice|slices}",
    ),
    sound=lambda look, rng: sounds.together(
        sounds.at([0.8], sounds.bell(1400), 0.6), sounds.at([0.78], sounds.knock(160))
    ),
    poster_s=1.2,
)
def popping_toast(look: Look, rng: np.random.Generator) -> Frame:
    background = _kitchen(rng, look["wall"], 256)
    colour, n = PAINT[look["colour"]], int(look["n"])
    crumb = {"golden": (226, 160, 82), "burnt": (46, 36, 34), "pale": (250, 236, 206)}[
        look["toast"]
    ]
    crust = {"golden": (150, 88, 40), "burnt": (104, 76, 60), "pale": (204, 158, 102)}[
        look["toast"]
    ]
    shadow(background, W / 2 + 6, 308, 170, 18, 0.55)

    def slice_of_bread(draw, s):
        for grow, tone in ((0, crust), (5, crumb)):
            draw.rounded_rectangle(
                ((8 + grow) * s, (26 + grow) * s, (84 - grow) * s, (112 - grow) * s),
                7 * s,
                fill=tone,
            )
            draw.ellipse(
                ((2 + grow) * s, (4 + grow) * s, (50 - grow // 3) * s, (52 - grow) * s), fill=tone
            )
            draw.ellipse(
                ((42 + grow // 3) * s, (4 + grow) * s, (90 - grow) * s, (52 - grow) * s), fill=tone
            )
            draw.rectangle((24 * s, (6 + grow) * s, 68 * s, 50 * s), fill=tone)
        for k in range(26):
            x, y = 18 + (k * 37) % 56, 20 + (k * 53) % 82
            draw.ellipse(
                (x * s, y * s, (x + 3) * s, (y + 2) * s),
                fill=shade(crumb, 0.86 if look["toast"] != "burnt" else 1.15),
            )

    bread = sprite(92, 114, slice_of_bread)

    def toaster(draw, s):
        draw.rounded_rectangle((4 * s, 6 * s, 276 * s, 138 * s), 30 * s, fill=shade(colour, 0.6))
        draw.rounded_rectangle((4 * s, 6 * s, 270 * s, 132 * s), 28 * s, fill=shade(colour, 0.95))
        draw.rounded_rectangle((12 * s, 14 * s, 262 * s, 70 * s), 24 * s, fill=shade(colour, 1.12))
        draw.rounded_rectangle((20 * s, 24 * s, 200 * s, 36 * s), 6 * s, fill=shade(colour, 1.5))
        draw.rectangle((10 * s, 96 * s, 270 * s, 104 * s), fill=(214, 218, 222))
        draw.ellipse((218 * s, 58 * s, 246 * s, 86 * s), fill=(230, 232, 234))
        draw.line([(232 * s, 72 * s), (240 * s, 62 * s)], fill=(60, 60, 66), width=4 * s)
        for x in (30, 222):
            draw.rounded_rectangle(
                (x * s, 134 * s, (x + 30) * s, 146 * s), 4 * s, fill=(40, 40, 46)
            )

    body = sprite(280, 148, toaster)
    lean = (rng.random(n) - 0.5) * 24
    xs = [W / 2 - 4 + (i - (n - 1) / 2) * (80 if n == 2 else 62) for i in range(n)]
    phases = np.linspace(0, 1, 6, endpoint=False)
    smoke = 90 if look["toast"] == "burnt" else 250

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        s = t - 0.8
        jolt = 7 * math.exp(-7 * s) * math.sin(22 * s) if s > 0 else 0.8 * wave(t, 4)
        draw.ellipse((W / 2 - 116, 152 + jolt, W / 2 + 108, 182 + jolt), fill=(30, 28, 32))
        if s < 0:
            glow(img, W / 2, 158, 130, (230, 90, 40), 0.55)
        for i, x in enumerate(xs):
            u = s / 1.15 - 0.06 * i
            if u <= 0:
                y, angle = 186 - 30, 0.0
            elif u < 1:
                y, angle = 156 - 4 * u * (1 - u) * 82 - 16 * u, lean[i] * math.sin(math.pi * u)
            else:
                y, angle = 140 + 5 * math.exp(-6 * (u - 1)) * math.sin(18 * (u - 1)), 0.0
            stamp(img, bread, x, y - 4 + jolt * (u <= 0), angle)
        if s > 0.1 or look["toast"] == "burnt":
            _steam(img, t, (W / 2 - 4, 140), 0.2, 0.0, phases, smoke)
        stamp(img, body, W / 2, 234 + jolt)
        down = 24 * (s < 0)
        draw.rounded_rectangle(
            (W / 2 + 132, 190 + down, W / 2 + 160, 204 + down), 5, fill=(44, 44, 50)
        )
        return img

    return frame


@scene(
    theme=THEME,
    attributes={
        "drink": {
            "orange": ("orange juice",),
            "white": ("milk",),
            "red": ("cherry juice", "red juice"),
            "brown": ("cola", "brown lemonade"),
            "green": ("green lemonade", "a green drink"),
        },
        "glass": {
            "tall": ("a tall glass", "a tall narrow glass"),
            "wide": ("a low wide glass", "a wide tumbler"),
            "stem": ("a wine glass", "a stemmed glass", "*a goblet"),
        },
        "extra": {
            "none": ("neither straw nor lemon", "no straw or lemon"),
            "straw": ("a striped straw", "a drinking straw"),
            "lemon": ("a slice of lemon", "a lemon slice"),
        },
        "side": {"left": ("from the left",), "right": ("from the right",)},
        "wall": {
            "blue": ("before a dark blue wall", "in front of a dark blue wall"),
            "pink": ("before a pink wall", "in front of a pink wall"),
            "yellow": ("before a yellow wall", "in front of a yellow wall"),
        },
    },
    captions=(
        "{drink} is poured {side} into {glass} with {extra} {wall}",
        "{glass} (fills|is filled) with {drink} {side} {wall} [, {extra} in it]",
        "{wall} {drink} (flows|runs) into {glass} [{side}] , {extra} in it",
        "somebody pours {drink} {side} into {glass} [that has {extra}] {wall}",
        "pouring {drink} {side} into {glass} [with {extra}] {wall}",
    ),
    sound=lambda look, rng: sounds.together(
        sounds.bubbling(rng, 34), 0.25 * sounds.hiss(rng, 500, 3000)
    ),
    poster_s=2.3,
)
def pouring_glass(look: Look, rng: np.random.Generator) -> Frame:
    wall = {"blue": (48, 62, 116), "pink": (242, 172, 192), "yellow": (246, 212, 112)}[look["wall"]]
    background = room(rng, wall, (128, 86, 58), 262, 0.65)
    colour = {
        "orange": (250, 156, 40),
        "white": (250, 248, 242),
        "red": (190, 26, 50),
        "brown": (84, 44, 28),
        "green": (110, 196, 70),
    }[look["drink"]]
    cx = 226.0
    top, low, wide_top, wide_low = {
        "tall": (118, 300, 46, 40),
        "wide": (176, 302, 92, 78),
        "stem": (128, 224, 66, 20),
    }[look["glass"]]
    shadow(background, cx + 10, 304, wide_top * 1.25, 13, 0.5)

    def half(y: float) -> float:
        u = (y - top) / (low - top)
        if look["glass"] == "stem":
            return (
                wide_top
                * (0.88 + 0.12 * math.sin(math.pi * min(u * 1.2, 1)))
                * math.sqrt(max(1 - (u * 0.99) ** 2.6, 0.0))
            )
        return wide_top + (wide_low - wide_top) * u

    def shape(a: float, b: float, inset: float) -> list[tuple[float, float]]:
        ys = np.linspace(a, b, 22)
        right = [(cx + max(half(y) - inset, 1), y) for y in ys]
        return right + [(2 * cx - x, y) for x, y in reversed(right)]

    body = Image.new("L", (W, H))
    ImageDraw.Draw(body).polygon(shape(top, low, 0), fill=76)
    background.paste((236, 246, 252), (0, 0), body)
    draw = ImageDraw.Draw(background)
    if look["glass"] == "stem":
        stroke(draw, [(cx, low - 2), (cx, 296)], (226, 236, 242), 8)
        draw.ellipse(
            (cx - 48, 290, cx + 48, 306), fill=(206, 218, 226), outline=(240, 246, 250), width=2
        )
    shine = Image.new("L", (W, H))
    pen = ImageDraw.Draw(shine)
    span = np.linspace(top + 10, top + (low - top) * 0.75, 16)
    pen.line([(cx - half(y) + 10, y) for y in span], fill=200, width=6)
    pen.line([(cx + half(y) - 7, y) for y in span[:9]], fill=120, width=3)
    shine = blurred(shine, 1.5)
    bottom = low - 8 if look["glass"] != "stem" else low - 4

    def jug(draw, s):
        draw.ellipse((100 * s, 44 * s, 164 * s, 124 * s), outline=(226, 236, 242), width=11 * s)
        draw.polygon(
            [
                (x * s, y * s)
                for x, y in ((8, 18), (30, 26), (118, 26), (130, 140), (22, 140), (30, 60))
            ],
            fill=(230, 240, 246, 150),
        )
        draw.polygon(
            [
                (x * s, y * s)
                for x, y in ((12, 22), (30, 40), (120, 62), (127, 134), (27, 134), (34, 62))
            ],
            fill=(*colour, 255),
        )
        draw.polygon(
            [(x * s, y * s) for x, y in ((92, 62), (106, 64), (114, 128), (102, 128))],
            fill=(*shade(colour, 1.35), 255),
        )
        draw.line(
            [(x * s, y * s) for x, y in ((8, 18), (30, 26), (118, 26))],
            fill=(250, 252, 254),
            width=4 * s,
        )

    pitcher = turned(sprite(170, 146, jug), 38)
    mirror = look["side"] == "left"
    bubbles = rng.random((10, 2))

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        fill = 0.14 + 0.68 * ease(min(t / 2.5, 1.0)) if t < 2.5 else 0.82
        level = bottom - (bottom - top) * fill + 1.2 * wave(t, 1.6)
        if look["extra"] == "straw":
            ends = ((cx - 12, bottom - 8), (cx - 52, top - 60))
            stroke(draw, ends, (250, 250, 248), 11)
            for k in range(9):
                u, v = k / 9, k / 9 + 0.05
                a = [
                    (
                        ends[0][0] + (ends[1][0] - ends[0][0]) * q,
                        ends[0][1] + (ends[1][1] - ends[0][1]) * q,
                    )
                    for q in (u, v)
                ]
                draw.line(a, fill=(220, 60, 70), width=11)
        draw.polygon(shape(level, bottom, 5), fill=colour)
        inner = half(level) - 5
        for x, phase in bubbles:
            y = bottom - ((t * 0.5 + phase) % 1) * (bottom - level)
            reach = max(half(y) - 14, 0)
            disc(
                draw,
                cx + (2 * x - 1) * reach,
                y,
                2.5,
                shade(colour, 1.35 if look["drink"] != "white" else 0.94),
            )
        draw.ellipse(
            (cx - inner, level - inner * 0.12, cx + inner, level + inner * 0.12),
            fill=shade(colour, 1.25 if look["drink"] != "white" else 0.93),
        )
        sx = cx + 14
        flow = 9 * (1 - ease((t - 2.35) / 0.25))
        if flow > 1:
            start = (252.0, 74.0)
            path = [
                (
                    start[0] + (sx - start[0]) * min(1, u * 1.6) ** 0.5,
                    start[1] + (level - start[1]) * u,
                )
                for u in np.linspace(0, 1, 16)
            ]
            stroke(draw, path, shade(colour, 0.92), flow)
            stroke(
                draw,
                [(x - 2, y) for x, y in path],
                shade(colour, 1.2) if look["drink"] != "white" else (255, 255, 255),
                flow * 0.35,
            )
            ring = 12 + 4 * wave(t, 2.5)
            draw.ellipse(
                (sx - ring, level - 4, sx + ring, level + 4),
                outline=shade(colour, 1.5) if look["drink"] != "white" else (220, 216, 208),
                width=2,
            )
        if look["extra"] == "lemon":
            x, y = cx - half(top) + 2, top + 4
            for r, tone in ((32, (240, 190, 40)), (28, (252, 244, 200)), (25, (252, 222, 88))):
                disc(draw, x, y, r, tone)
            for k in range(4):
                a = math.pi * k / 4 + 0.3
                draw.line(
                    [
                        (x - 25 * math.cos(a), y - 25 * math.sin(a)),
                        (x + 25 * math.cos(a), y + 25 * math.sin(a)),
                    ],
                    fill=(252, 246, 214),
                    width=3,
                )
        img.paste((255, 255, 255), (0, 0), shine)
        if look["glass"] != "stem":
            draw.polygon(
                [
                    (cx - half(bottom), bottom),
                    (cx + half(bottom), bottom),
                    (cx + half(low), low),
                    (cx - half(low), low),
                ],
                fill=(214, 228, 236),
            )
        edge = half(top)
        draw.ellipse(
            (cx - edge, top - edge * 0.1, cx + edge, top + edge * 0.1),
            outline=(246, 250, 252),
            width=3,
        )
        draw.line(
            [(cx - half(y), y) for y in np.linspace(top, low, 22)], fill=(240, 246, 250), width=2
        )
        draw.line(
            [(cx + half(y), y) for y in np.linspace(top, low, 22)], fill=(224, 234, 240), width=2
        )
        lift = 26 * ease((t - 2.3) / 0.5)
        stamp(img, pitcher, 324 + 0.4 * lift, 64 - lift + 2 * wave(t, 0.6))
        return img.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirror else img

    return frame


@scene(
    theme=THEME,
    attributes={
        "n": {1: ("one", "a single"), 3: ("three",), 5: ("five",), 8: ("eight",)},
        "icing": {
            "pink": ("pink",),
            "white": ("white",),
            "brown": ("chocolate", "brown chocolate"),
            "green": ("green", "*pistachio"),
            "blue": ("blue",),
        },
        "tiers": {1: ("flat", "one-tier"), 2: ("two-tier",), 3: ("tall three-tier", "three-tier")},
        "place": {
            "dark": ("in a dark room", "in the dark"),
            "balloons": ("in front of balloons", "among balloons"),
            "yellow": ("before a yellow wall", "in front of a yellow wall"),
        },
    },
    captions=(
        "{n} {n|candle burns|candles burn} on a {tiers} cake with {icing} icing {place}",
        "a {tiers} birthday cake with {icing} icing and {n} {n|candle|candles} {place}",
        "{place} a {tiers} {icing} cake with {n} (burning|flickering) {n|candle|candles}",
        "{n} {n|flame flickers|flames flicker} on a {tiers} {icing} birthday cake {place}",
        "a {icing} cake , {tiers} , with {n} lit {n|candle|candles} [{place}]",
    ),
    sound=lambda look, rng: sounds.melody(rng, 7) if look["place"] != "yellow" else None,
)
def cake(look: Look, rng: np.random.Generator) -> Frame:
    walls = {"dark": (44, 34, 52), "balloons": (150, 206, 230), "yellow": (246, 208, 104)}
    background = room(rng, walls[look["place"]], (126, 82, 58), 256, 0.5)
    draw = ImageDraw.Draw(background)
    if look["place"] == "balloons":
        for i, x in enumerate((40, 104, 350, 412, 70, 384)):
            y = (80, 44, 50, 92, 160, 168)[i] + 12 * rng.random()
            tone = PAINT[("red", "yellow", "green", "purple", "orange", "turquoise")[i]]
            draw.line([(x, y + 36), (x + 8, 256)], fill=(240, 240, 240), width=2)
            draw.ellipse((x - 31, y - 37, x + 31, y + 37), fill=shade(tone, 0.85))
            draw.ellipse((x - 29, y - 36, x + 25, y + 31), fill=tone)
            draw.ellipse((x - 18, y - 26, x - 6, y - 8), fill=shade(tone, 1.55))
            draw.polygon([(x - 6, y + 44), (x + 6, y + 44), (x, y + 35)], fill=tone)
    icing = {
        "brown": (98, 56, 38),
        "green": (150, 206, 130),
        "blue": (110, 166, 226),
        "pink": (246, 152, 186),
    }.get(look["icing"], (250, 246, 240))
    dark = look["place"] == "dark"
    light = 0.8 if dark else 1.0
    sponge = shade((232, 190, 124) if look["icing"] != "brown" else (150, 96, 62), light)
    icing = shade(icing, light)
    cx, base, tiers = W / 2, 288.0, int(look["tiers"])
    shadow(background, cx, 306, 210, 22, 0.55)
    draw.ellipse((cx - 176, 284, cx + 176, 322), fill=shade((206, 212, 220), light))
    draw.ellipse((cx - 168, 284, cx + 168, 314), fill=shade((240, 244, 248), light))
    tall = {1: 104, 2: 80, 3: 62}[tiers]
    for k in range(tiers):
        half = 142 - k * (36 if tiers == 3 else 48)
        top = base - tall
        rim = half * 0.17
        for x in range(-half, half, 2):  # upright strips, lit from the left
            u = x / half
            bulge = rim * math.sqrt(max(1 - u * u, 0.0))
            lit = 1.06 - 0.16 * u - 0.3 * u * u * (1.3 if u > 0 else 0.5)
            left, wide = cx + x, cx + x + 2
            drip = tall * (0.3 + 0.13 * math.sin(x * 0.19 + 2 * k) + 0.05 * math.sin(x * 0.43))
            draw.rectangle((left, top, wide, base + bulge), fill=shade(sponge, lit))
            middle = top + bulge + tall * 0.58
            draw.rectangle((left, middle, wide, middle + tall * 0.12), fill=shade(icing, lit * 0.9))
            draw.rectangle((left, top, wide, top + bulge + drip), fill=shade(icing, lit * 0.96))
        draw.ellipse((cx - half, top - rim, cx + half, top + rim), fill=shade(icing, 1.12))
        for i in range(int(half // 5)):
            a = 2 * math.pi * i / int(half // 5)
            tone = ((230, 60, 70), (250, 210, 70), (90, 180, 110), (90, 130, 220))[i % 4]
            disc(
                draw,
                cx + half * 0.9 * math.cos(a),
                top + rim * 0.86 * math.sin(a),
                4,
                shade(tone, light),
            )
        base = top
    top_half = 142 - (tiers - 1) * (36 if tiers == 3 else 48)
    rim = top_half * 0.17
    n = int(look["n"])
    spots = []
    for i in range(n):
        a = math.pi * (0.5 + 2 * i / n) + (0.2 if n > 1 else 0)
        far = 0.0 if n == 1 else 0.68
        spots.append((cx + top_half * far * math.cos(a), base + rim * far * math.sin(a)))
    spots.sort(key=lambda p: p[1])
    high = 44 if tiers < 3 else 36
    for i, (x, y) in enumerate(spots):
        tone = shade(PAINT[("red", "blue", "yellow", "green", "purple")[i % 5]], light)
        draw.rectangle((x - 5, y - high, x + 5, y), fill=(250, 248, 244))
        for q in range(3):
            draw.polygon(
                [
                    (x - 5, y - high + q * 15 + 8),
                    (x + 5, y - high + q * 15 + 2),
                    (x + 5, y - high + q * 15 + 8),
                    (x - 5, y - high + q * 15 + 14),
                ],
                fill=tone,
            )
        draw.line([(x, y - high - 6), (x, y - high)], fill=(60, 50, 50), width=2)
    phases = rng.random(n)

    def frame(t: float) -> Image.Image:
        img = background.copy()
        if dark:
            glow(img, cx, base - 30, 220, (220, 140, 60), 0.55 + 0.06 * wave(t, 1.3))
        draw = ImageDraw.Draw(img)
        for (x, y), phase in zip(spots, phases, strict=True):
            y -= high
            glow(
                img,
                x,
                y - 12,
                44 if n > 3 else 60,
                (255, 170, 70),
                0.75 + 0.15 * wave(t, 1.9, phase),
            )
        for (x, y), phase in zip(spots, phases, strict=True):
            y -= high
            sway = 4 * wave(t, 0.9, phase) + 2 * wave(t, 2.3, phase * 3)
            tip = 29 + 4 * wave(t, 1.7, phase)
            for size, tone in (
                (1.0, (250, 140, 40)),
                (0.7, (255, 206, 80)),
                (0.4, (255, 248, 210)),
            ):
                r = 8 * size
                draw.ellipse((x - r, y - 6 - r * 1.2, x + r, y - 6 + r * 1.1), fill=tone)
                draw.polygon(
                    [
                        (x - r, y - 7),
                        (x + r, y - 7),
                        (x + sway * size, y - tip * (0.35 + 0.65 * size)),
                    ],
                    fill=tone,
                )
        return img

    return frame


@scene(
    theme=THEME,
    attributes={
        "colour": {
            "red": ("red",),
            "blue": ("blue",),
            "green": ("green",),
            "yellow": ("yellow",),
            "purple": ("purple", "violet"),
            "white": ("white",),
        },
        "view": {
            "sea": ("the sea", "a sunny beach"),
            "night": ("the starry sky", "a night full of stars"),
            "garden": ("a flower garden", "a garden full of flowers"),
            "snow": ("a snowy landscape", "falling snow"),
            "desert": ("a desert at sunset", "*a scorched desert"),
        },
        "wall": {
            "brick": ("a brick wall", "a wall of bricks"),
            "grey": ("a grey wall", "a plain grey wall"),
            "dots": ("dotted wallpaper", "a wall with dots"),
        },
        "side": {"left": ("left",), "right": ("right",)},
    },
    captions=(
        "a {colour} door in {wall} opens and shows {view}",
        "behind a {colour} door [in {wall}] [hinged on the {side}] lies {view}",
        "a {colour} door [with its hinges on the {side}] opens (onto|to) {view} [, {wall} around it]",
        "{view} (appears|comes into view) as a {colour} door in {wall} (opens|swings open)",
        "in {wall} a {colour} door swings open to the {side} [and reveals {view}]",
    ),
    sound=lambda look, rng: sounds.together(
        sounds.at(
            [0.3],
            sounds.glide(180, 420, 0.9) * (0.6 + 0.4 * np.sign(np.sin(90 * sounds.seconds(0.9)))),
            0.3,
        ),
        sounds.surf(rng) * 0.5
        if look["view"] == "sea"
        else sounds.chirp(rng)
        if look["view"] == "garden"
        else sounds.wind(rng, 0.4),
    ),
    poster_s=1.6,
)
def opening_door(look: Look, rng: np.random.Generator) -> Frame:
    wall = {"brick": (170, 92, 70), "grey": (150, 154, 164), "dots": (246, 196, 170)}[look["wall"]]
    background = gradient([(0, shade(wall, 0.85)), (0.5, wall), (1, shade(wall, 0.8))])
    draw = ImageDraw.Draw(background)
    if look["wall"] == "brick":
        for row in range(12):
            for column in range(-1, 8):
                x, y = column * 64 + 32 * (row % 2), row * 28
                draw.rounded_rectangle(
                    (x + 2, y + 2, x + 61, y + 25), 3, fill=shade(wall, 0.8 + 0.3 * rng.random())
                )
    elif look["wall"] == "dots":
        for row in range(9):
            for column in range(12):
                disc(draw, column * 42 + 21 * (row % 2), 16 + row * 36, 8, (214, 110, 110))
    glow(background, 90, 30, 260, shade(wall, 0.5), 0.5)
    left, right, top, floor = 140.0, 308.0, 24.0, 306.0
    draw.rectangle((0, floor, W, H), fill=(104, 74, 56))
    draw.rectangle((0, floor, W, floor + 4), fill=(140, 102, 78))
    view_box = (round(left), round(top), round(right), round(floor))
    width, height = view_box[2] - view_box[0], view_box[3] - view_box[1]
    time = {"sea": "day", "night": "night", "garden": "day", "snow": "overcast", "desert": "dusk"}[
        look["view"]
    ]
    view = sky(time, 0.6)
    pen = ImageDraw.Draw(view)
    if look["view"] == "night":
        stars(rng, view, 260, 0.95)
        disc(pen, 256, 90, 28, (246, 242, 216))
        glow(view, 256, 90, 100, (160, 160, 200), 0.8)
        fill_below(view, ridge(rng, W, 240, 290, 120), (20, 24, 46))
    elif look["view"] == "sea":
        view.paste(gradient([(0, (20, 100, 176)), (1, (90, 196, 206))], (W, 90)), (0, 160))
        view.paste(gradient([(0, (246, 222, 168)), (1, (220, 184, 126))], (W, 90)), (0, 246))
        disc(pen, 190, 70, 24, (255, 244, 190))
        glow(view, 190, 70, 90, (255, 240, 190), 0.6)
        pen.polygon([(236, 170), (268, 170), (260, 182), (242, 182)], fill=(190, 60, 50))
        pen.polygon([(250, 166), (250, 124), (276, 166)], fill=(252, 250, 244))
    elif look["view"] == "garden":
        fill_below(view, ridge(rng, W, 150, 180, 100), (80, 150, 90))
        fill_below(view, ridge(rng, W, 190, 206, 160), (112, 186, 88))
        for k in range(150):
            y = 200 + 120 * (k / 150)
            x = 130 + 190 * rng.random()
            r = 3 + 6 * k / 150
            tone = ((236, 70, 90), (250, 214, 70), (250, 250, 250), (210, 110, 210))[k % 4]
            pen.line([(x, y), (x, y + 2.4 * r)], fill=(60, 130, 64), width=2)
            disc(pen, x, y, r, tone)
            disc(pen, x, y, r * 0.4, (250, 190, 60))
    elif look["view"] == "snow":
        fill_below(view, ridge(rng, W, 170, 210, 100), (214, 222, 234), (236, 240, 246))
        for x, y, s in ((176, 226, 1.0), (262, 240, 1.4), (214, 212, 0.7)):
            for q in range(3):
                pen.polygon(
                    [
                        (x - (26 - 6 * q) * s, y - 22 * q * s),
                        (x + (26 - 6 * q) * s, y - 22 * q * s),
                        (x, y - (40 + 22 * q) * s),
                    ],
                    fill=(52, 96, 82),
                )
                pen.polygon(
                    [
                        (x - 11 * s, y - (22 + 22 * q) * s),
                        (x + 11 * s, y - (22 + 22 * q) * s),
                        (x, y - (40 + 22 * q) * s),
                    ],
                    fill=(244, 248, 252),
                )
    else:
        disc(pen, 200, 176, 32, (255, 232, 150))
        fill_below(view, ridge(rng, W, 176, 214, 140), (214, 124, 70), (150, 72, 48))
        fill_below(view, ridge(rng, W, 230, 260, 180), (176, 92, 56), (120, 56, 40))
        for x, y, s in ((264, 250, 1.0), (172, 270, 1.3)):
            stroke(pen, [(x, y), (x, y - 52 * s)], (44, 84, 58), 13 * s)
            stroke(
                pen,
                [(x, y - 20 * s), (x + 20 * s, y - 22 * s), (x + 20 * s, y - 42 * s)],
                (44, 84, 58),
                9 * s,
            )
    background.paste(view.crop(view_box), view_box[:2])
    colour = PAINT[look["colour"]]
    trim = (246, 242, 234) if look["colour"] != "white" else (96, 70, 54)
    for grow, tone in ((16, shade(trim, 0.8)), (12, trim)):
        frame_lines = [
            (left - grow, floor),
            (left - grow, top - grow),
            (right + grow, top - grow),
            (right + grow, floor),
        ]
        draw.line(frame_lines, fill=tone, width=14 if grow == 12 else 20)
    ray = (255, 246, 214) if time != "night" else (120, 130, 180)
    flakes = rng.random((26, 3))
    mirror = look["side"] == "right"

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        if look["view"] == "snow":
            for x, y, s in flakes:
                fy = (y + t * (0.16 + 0.12 * s)) % 1
                disc(
                    draw,
                    left + 4 + (width - 8) * x + 4 * wave(t, 0.4, s),
                    top + 4 + (height - 10) * fy,
                    1.5 + 2.5 * s,
                    (255, 255, 255),
                )
        elif look["view"] == "sea":
            for k in range(6):
                y = 178 + k * 11
                x = left + 20 + (k * 53 + 16 * t) % (width - 60)
                draw.line([(x, y), (x + 16 + 3 * k, y)], fill=(200, 236, 244), width=2)
        open_angle = math.radians(12 + 96 * ease((t - 0.15) / 1.7))
        glow(
            img, (left + right) / 2, floor + 8, 40 + 90 * math.sin(min(open_angle, 1.57)), ray, 0.4
        )
        c, s = math.cos(open_angle), math.sin(open_angle)

        def at(u: float, v: float) -> tuple[float, float]:
            near = 1 + 0.36 * s * u  # the free edge swings towards the viewer
            x = left + width * u * c * near
            return x, 165 + (top + (floor - top) * v - 165) * near

        light = 0.72 + 0.34 * c
        draw.polygon([at(0, 0), at(1, 0), at(1, 1), at(0, 1)], fill=shade(colour, max(light, 0.74)))
        for u0, u1, v0, v1 in ((0.12, 0.88, 0.06, 0.44), (0.12, 0.88, 0.54, 0.94)):
            draw.polygon(
                [at(u0, v0), at(u1, v0), at(u1, v1), at(u0, v1)],
                fill=shade(colour, max(light, 0.74) * 0.72),
            )
            inner = (u0 + 0.05, u1 - 0.03, v0 + 0.025, v1 - 0.012)
            draw.polygon(
                [
                    at(inner[0], inner[2]),
                    at(inner[1], inner[2]),
                    at(inner[1], inner[3]),
                    at(inner[0], inner[3]),
                ],
                fill=shade(colour, min(max(light, 0.74) * 1.06, 1.9)),
            )
        edge = [at(1, 0), at(1, 1)]
        draw.line(edge, fill=shade(colour, 0.5), width=6)
        knob = at(0.92, 0.5)
        disc(draw, knob[0], knob[1], 9, (150, 110, 40))
        disc(draw, knob[0] - 2, knob[1] - 2, 6, (246, 208, 110))
        return img.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirror else img

    return frame


@scene(
    theme=THEME,
    attributes={
        "machine": {
            "white": ("white",),
            "red": ("red",),
            "blue": ("blue",),
            "black": ("black",),
        },
        "laundry": {
            "pink": ("pink clothes", "pink shirts and socks"),
            "yellow": ("yellow clothes", "yellow shirts and socks"),
            "green": ("green clothes", "green shirts and socks"),
            "mixed": ("colourful clothes", "clothes of many colours", "*motley garments"),
        },
        "top": {
            "cat": ("a cat", "a ginger cat"),
            "plant": ("a potted plant", "a plant in a pot"),
            "basket": ("a basket", "a laundry basket"),
            "soap": ("a box of washing powder", "a box of soap powder"),
        },
        "wall": {
            "blue": ("on blue tiles", "before blue tiles"),
            "pink": ("on pink tiles", "before pink tiles"),
            "white": ("on white tiles", "before white tiles"),
        },
    },
    captions=(
        "{laundry} (tumble|spin) in a {machine} washing machine {wall} [with {top} on top]",
        "a {machine} washing machine {wall} turns {laundry} [, {top} stands on top]",
        "{top} on top of a {machine} washing machine full of {laundry} {wall}",
        "{wall} a {machine} washing machine washes {laundry} , {top} on it",
        "{laundry} go round behind the round door of a {machine} washer {wall} [, {top} on top]",
    ),
    sound=lambda look, rng: sounds.together(
        sounds.engine(48),
        0.3
        * sounds.hiss(rng, 200, 1800)
        * (0.6 + 0.4 * np.sin(2 * np.pi * 0.9 * sounds.seconds())),
    ),
)
def washing_machine(look: Look, rng: np.random.Generator) -> Frame:
    wall = {"blue": (126, 178, 220), "pink": (242, 178, 196), "white": (228, 230, 228)}[
        look["wall"]
    ]
    background = room(rng, wall, (120, 116, 118), 300, 0.3)
    _tiles(background, wall, 300, 50)
    colour = PAINT[look["machine"]] if look["machine"] != "white" else (246, 247, 248)
    shadow(background, W / 2 + 14, 322, 170, 16, 0.55)
    shadow(background, W / 2 + 26, 210, 160, 140, 0.4, 0.4)
    cx, cy, r = W / 2, 212.0, 82.0
    box = (cx - 130, 72, cx + 130, 324)

    def body(draw, s):
        draw.rounded_rectangle((0, 0, 260 * s, 252 * s), 14 * s, fill=shade(colour, 0.62))
        draw.rounded_rectangle((0, 0, 252 * s, 250 * s), 14 * s, fill=shade(colour, 0.94))
        draw.rounded_rectangle(
            (0, 0, 252 * s, 42 * s),
            12 * s,
            fill=shade(colour, 1.16 if look["machine"] != "white" else 0.84),
        )
        draw.rounded_rectangle((14 * s, 9 * s, 88 * s, 33 * s), 5 * s, fill=shade(colour, 0.78))
        draw.rounded_rectangle((160 * s, 10 * s, 204 * s, 32 * s), 4 * s, fill=(30, 46, 56))
        draw.ellipse(
            (212 * s, 6 * s, 242 * s, 36 * s),
            fill=(216, 220, 224),
            outline=(110, 114, 120),
            width=2 * s,
        )
        draw.line([(227 * s, 21 * s), (234 * s, 11 * s)], fill=(60, 62, 68), width=3 * s)
        for grow, tone in (
            (22, (120, 124, 132)),
            (19, (216, 220, 226)),
            (9, (150, 156, 164)),
            (4, (70, 74, 82)),
        ):
            x, y, q = 130, 140, 82 + grow
            draw.ellipse(((x - q) * s, (y - q) * s, (x + q) * s, (y + q) * s), fill=tone)

    picture = sprite(260, 252, body)
    draw = ImageDraw.Draw(background)
    holes = Image.new("RGB", (round(2 * r), round(2 * r)), (66, 72, 84))
    hole_draw = ImageDraw.Draw(holes)
    for ring, count in ((22, 8), (44, 16), (66, 24)):
        for k in range(count):
            a = 2 * math.pi * k / count
            disc(hole_draw, r + ring * math.cos(a), r + ring * math.sin(a), 3, (40, 44, 54))
    for k in range(3):
        a = 2 * math.pi * k / 3
        stroke(
            hole_draw,
            [
                (r + 60 * math.cos(a), r + 60 * math.sin(a)),
                (r + 82 * math.cos(a), r + 82 * math.sin(a)),
            ],
            (120, 128, 140),
            12,
        )
    port = Image.new("L", holes.size)
    ImageDraw.Draw(port).ellipse((0, 0, 2 * r - 1, 2 * r - 1), fill=255)
    paints = {
        "pink": [(246, 130, 176), (232, 92, 150), (252, 176, 204)],
        "yellow": [(250, 206, 60), (240, 180, 40), (254, 228, 120)],
        "green": [(80, 180, 100), (56, 148, 84), (140, 212, 130)],
        "mixed": [(226, 60, 60), (60, 130, 214), (250, 206, 60), (90, 184, 104), (160, 96, 200)],
    }[look["laundry"]]
    pieces = rng.random((9, 3))
    shine = Image.new("L", holes.size)
    ImageDraw.Draw(shine).chord((12, 8, 2 * r - 24, 2 * r - 30), 190, 290, fill=60)
    shine = blurred(shine, 5)
    tail = look["top"] == "cat"
    if look["top"] == "soap":
        draw.polygon(
            [(cx + 60, 6), (cx + 72, 0), (cx + 72, 68), (cx + 60, 74)], fill=(30, 120, 118)
        )
        draw.rectangle((cx - 4, 6, cx + 60, 74), fill=PAINT["turquoise"])
        burst = [
            (cx + 28 + q * math.sin(k * math.pi / 9), 38 - q * math.cos(k * math.pi / 9))
            for k in range(18)
            for q in ((27, 18)[k % 2],)
        ]
        draw.polygon(burst, fill=(250, 250, 250))
        disc(draw, cx + 28, 38, 12, PAINT["orange"])
    if look["top"] == "plant":
        draw.polygon(
            [(cx - 88, 38), (cx - 36, 38), (cx - 44, 74), (cx - 80, 74)], fill=(196, 104, 66)
        )
        draw.rectangle((cx - 92, 32, cx - 32, 42), fill=(214, 122, 80))
        for k in range(9):
            a = math.pi * (0.1 + 0.8 * k / 8)
            tip = (cx - 62 + 52 * math.cos(a), 34 - 40 * math.sin(a))
            stroke(draw, [(cx - 62, 36), tip], shade((72, 160, 82), 0.8 + 0.06 * k), 9)
    elif look["top"] == "basket":
        for k, tone in enumerate(((230, 90, 90), (250, 250, 246), (90, 150, 220), (250, 210, 90))):
            disc(draw, cx + 2 + 28 * k, 32, 21, tone)
        draw.polygon(
            [(cx - 30, 34), (cx + 116, 34), (cx + 102, 74), (cx - 16, 74)], fill=(196, 150, 92)
        )
        for k in range(8):
            draw.line(
                [(cx - 24 + 19 * k, 36), (cx - 14 + 16.5 * k, 74)], fill=(150, 106, 60), width=3
            )
        for y in (46, 60):
            draw.line([(cx - 26, y), (cx + 110, y)], fill=(150, 106, 60), width=3)

    def frame(t: float) -> Image.Image:
        img = background.copy()
        shake = 1.6 * wave(t, 4.0)
        if tail:
            pen = ImageDraw.Draw(img)
            fur = (232, 144, 66)
            swing = 16 * wave(t, 0.6)
            stroke(
                pen,
                [(cx + 54, 62), (cx + 92, 56), (cx + 106 + swing * 0.4, 34), (cx + 98 + swing, 14)],
                shade(fur, 0.86),
                12,
            )
            pen.ellipse((cx - 50, 26, cx + 70, 84), fill=fur)
            for k in range(4):
                pen.line(
                    [(cx + 2 + 15 * k, 29 + k), (cx + 6 + 15 * k, 46)],
                    fill=shade(fur, 0.7),
                    width=5,
                )
            for side in (-1, 1):
                pen.polygon(
                    [
                        (cx - 56 + side * 25, 28),
                        (cx - 56 + side * 8, 24),
                        (cx - 56 + side * 23, 5),
                    ],
                    fill=fur,
                )
            pen.ellipse((cx - 86, 14, cx - 26, 68), fill=shade(fur, 1.1))
            for side in (-1, 1):
                pen.arc(
                    (cx - 56 + side * 14 - 7, 32, cx - 56 + side * 14 + 7, 44),
                    20,
                    160,
                    fill=(70, 44, 34),
                    width=3,
                )
            pen.polygon([(cx - 60, 48), (cx - 52, 48), (cx - 56, 53)], fill=(240, 130, 130))
        stamp(img, picture, cx + shake, (box[1] + box[3]) / 2)
        drum = holes.rotate(-150 * t % 360, Image.Resampling.NEAREST)
        pen = ImageDraw.Draw(drum)
        for i, (far, size, phase) in enumerate(pieces):
            u = (0.47 * t + phase) % 1  # carried up on the left, then falling down on the right
            if u < 0.6:
                a = math.pi * (0.42 + 1.0 * u / 0.6)
                reach = r * (0.5 + 0.2 * far)
                x, y = r + reach * math.cos(a), r + reach * math.sin(a)
            else:
                s = (u - 0.6) / 0.4
                a = math.pi * 1.42
                reach = r * (0.5 + 0.2 * far)
                x0, y0 = r + reach * math.cos(a), r + reach * math.sin(a)
                a = math.pi * 0.42
                x1, y1 = r + reach * math.cos(a), r + reach * math.sin(a)
                x, y = x0 + (x1 - x0) * s + 26 * math.sin(math.pi * s), y0 + (y1 - y0) * s * s
            tone = paints[i % len(paints)]
            big = 22 + 11 * size
            points = []
            for k in range(24):
                b = 2 * math.pi * k / 24 + 3 * u
                wobble = 1 + 0.13 * math.sin(3 * b + 7 * phase + 5 * u)
                points.append(
                    (x + big * wobble * math.cos(b), y + big * 0.8 * wobble * math.sin(b))
                )
            pen.polygon([(px + 3, py + 4) for px, py in points], fill=shade(tone, 0.55))
            pen.polygon(points, fill=tone)
            pen.line([points[3], (x, y), points[13]], fill=shade(tone, 0.78), width=3)
            pen.line([points[18], (x - 4, y - 4)], fill=shade(tone, 1.3), width=3)
        level = r * 1.46 + 4 * wave(t, 0.9)
        foam = [(x, level + 6 * math.sin(x / 14 + 4 * t)) for x in range(0, round(2 * r) + 8, 8)]
        water = Image.new("L", drum.size)
        ImageDraw.Draw(water).polygon([*foam, (2 * r, 2 * r), (0, 2 * r)], fill=110)
        drum.paste((170, 214, 240), (0, 0), water)
        for k in range(12):
            x = (k * 29 + 9 * t) % (2 * r)
            disc(
                pen,
                x,
                level + 6 * math.sin(x / 14 + 4 * t),
                5 + 4 * ((k * 7) % 5) / 5,
                (246, 250, 254),
            )
        drum.paste((255, 255, 255), (0, 0), shine)
        img.paste(drum, (round(cx - r + shake), round(cy - r)), port)
        return img

    return frame
