"""Machines and clocks."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from retrieval.datasets.animations import sounds
from retrieval.datasets.animations.canvas import (
    LENGTH_S,
    PAINT,
    H,
    W,
    ball,
    blurred,
    disc,
    ease,
    font,
    glow,
    gradient,
    mix,
    noise,
    room,
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

THEME = "machines and clocks"


def _bricks(rng: np.random.Generator, colour: tuple[int, int, int]) -> Image.Image:
    img = Image.new("RGB", (W, H), shade(colour, 0.5))
    draw = ImageDraw.Draw(img)
    for row in range(H // 28 + 1):
        for column in range(-1, W // 64 + 1):
            x, y = column * 64 + 32 * (row % 2), row * 28
            fill = shade(colour, 0.8 + 0.3 * rng.random())
            draw.rounded_rectangle((x + 2, y + 2, x + 61, y + 25), 3, fill=fill)
    glow(img, W * 0.3, 60, 300, shade(colour, 0.6), 0.6)
    return img


def _planks(rng: np.random.Generator, colour: tuple[int, int, int]) -> Image.Image:
    grain = np.asarray(Image.fromarray(noise(rng, (W, H // 8), 10), "F").resize((W, H)))
    tone = 0.75 + 0.4 * grain + 0.14 * np.repeat(rng.random(8) - 0.5, W // 8)[None, :]
    img = Image.fromarray(np.clip(np.array(colour) * tone[..., None], 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(img)
    for x in range(0, W, W // 8):
        draw.line([(x, 0), (x, H)], fill=shade(colour, 0.45), width=3)
    glow(img, W * 0.3, 60, 300, shade(colour, 0.6), 0.6)
    return img


def _striped(first: tuple[int, int, int], second: tuple[int, int, int]) -> Image.Image:
    img = Image.new("RGB", (W, H), first)
    draw = ImageDraw.Draw(img)
    for x in range(0, W, 56):
        draw.rectangle((x, 0, x + 27, H), fill=second)
    glow(img, W * 0.3, 60, 260, shade(first, 0.5), 0.5)
    return img


@scene(
    theme=THEME,
    attributes={
        "colour": {
            "red": ("red",),
            "blue": ("blue",),
            "green": ("green",),
            "gold": ("golden", "gold", "*gilded"),
            "black": ("black",),
            "purple": ("purple", "violet"),
        },
        "shape": {"round": ("round", "circular"), "square": ("square",)},
        "hour": {
            3: ("three o'clock", "three"),
            6: ("six o'clock", "six"),
            8: ("eight o'clock", "eight"),
            10: ("ten o'clock", "ten"),
            12: ("twelve o'clock", "twelve"),
        },
        "wall": {
            "brick": ("a brick wall", "a wall of bricks"),
            "wood": ("a wooden wall", "wooden boards", "*timber panelling"),
            "yellow": ("a yellow wall", "a plain yellow wall"),
            "striped": ("striped wallpaper", "a striped wall"),
        },
    },
    captions=(
        "a {shape} {colour} clock on {wall} (shows|says) {hour}",
        "a {colour} {shape} [wall] clock (ticks|is ticking) at {hour} [on {wall}]",
        "it is {hour} on the {shape} {colour} clock [that hangs on {wall}]",
        "on {wall} (hangs|ticks) a {shape} clock with a {colour} (case|frame) [, its hands at {hour}]",
        "the second hand of a {colour} {shape} clock moves on [at {hour}] [, {wall} behind it]",
    ),
    sound=lambda look, rng: sounds.ticking(2.0),
)
def clock(look: Look, rng: np.random.Generator) -> Frame:
    walls = {
        "brick": lambda: _bricks(rng, (164, 88, 66)),
        "wood": lambda: _planks(rng, (150, 104, 66)),
        "yellow": lambda: gradient([(0, (246, 214, 120)), (1, (214, 166, 70))]),
        "striped": lambda: _striped((196, 220, 224), (236, 240, 236)),
    }
    background = walls[look["wall"]]()
    colour, r = PAINT[look["colour"]], 132 + 8 * rng.random()
    shadow(background, W / 2 + 14, H / 2 + 18, r * 1.25, r * 1.25, 0.6, 0.5)
    draw = ImageDraw.Draw(background)
    cx, cy = W / 2, H / 2
    for grow, paint in ((14, shade(colour, 0.6)), (10, colour), (2, shade(colour, 1.45))):
        box = (cx - r - grow, cy - r - grow, cx + r + grow, cy + r + grow)
        if look["shape"] == "round":
            draw.ellipse(box, fill=paint)
        else:
            draw.rounded_rectangle(box, 26, fill=paint)
    box = (cx - r, cy - r, cx + r, cy + r)
    if look["shape"] == "round":
        draw.ellipse(box, fill=(250, 247, 238))
    else:
        draw.rounded_rectangle(box, 18, fill=(250, 247, 238))
    for i in range(60):
        angle = math.pi * i / 30
        inner = r * (0.88 if i % 5 else 0.84)
        dx, dy = math.sin(angle), -math.cos(angle)
        ends = [(cx + dx * inner, cy + dy * inner), (cx + dx * r * 0.93, cy + dy * r * 0.93)]
        draw.line(ends, fill=(60, 60, 70), width=2 if i % 5 else 6)
        if i % 5 == 0:
            place = (cx + dx * r * 0.7, cy + dy * r * 0.7)
            draw.text(place, str(i // 5 or 12), fill=(40, 40, 50), font=font(28), anchor="mm")
    start = rng.integers(60)
    pane = Image.new("L", (W, H))
    ImageDraw.Draw(pane).polygon([(150, 0), (210, 0), (120, H), (60, H)], fill=26)

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        ticks = t * 2
        second = (start + math.floor(ticks) + ease((ticks % 1) / 0.3) - 1) / 60
        for dx, dy in ((4, 6), (0, 0)):
            dark = (206, 200, 188) if dx else (34, 34, 42)
            layer = (206, 200, 188) if dx else (208, 44, 40)
            for turn, length, width, paint in (
                (int(look["hour"]) / 12, r * 0.5, 13, dark),
                (0.0, r * 0.76, 9, dark),
                (second, r * 0.82, 4, layer),
            ):
                angle = 2 * math.pi * turn
                sx, sy = math.sin(angle), -math.cos(angle)
                tail = (cx + dx - sx * length * 0.16, cy + dy - sy * length * 0.16)
                stroke(draw, [tail, (cx + dx + sx * length, cy + dy + sy * length)], paint, width)
        disc(draw, cx, cy, 9, (208, 44, 40))
        img.paste((255, 255, 255), (0, 0), pane)
        return img

    return frame


def _gear(cx: float, cy: float, r: float, teeth: int, turn: float) -> list[tuple[float, float]]:
    points = []
    for i in range(teeth):
        for share, reach in ((-0.27, -5), (-0.14, 6), (0.14, 6), (0.27, -5)):
            angle = 2 * math.pi * ((i + share) / teeth + turn)
            points.append((cx + (r + reach) * math.cos(angle), cy + (r + reach) * math.sin(angle)))
    return points


@scene(
    theme=THEME,
    attributes={
        "n": {
            2: ("two", "a pair of"),
            3: ("three",),
            4: ("four",),
            6: ("six", "half a dozen"),
        },
        "colour": {
            "gold": ("brass", "golden"),
            "grey": ("grey", "steel"),
            "red": ("red",),
            "blue": ("blue",),
            "green": ("green", "*viridian"),
        },
        "ground": {
            "paper": ("on white paper", "on a white background"),
            "dark": ("in the dark", "in a dark machine", "on a black background"),
            "wood": ("on a wooden board", "on wood"),
            "pink": ("on a pink background", "on pink"),
        },
        "speed": {"slow": ("slowly", "at a leisurely pace"), "fast": ("fast", "quickly")},
    },
    captions=(
        "{n} {colour} (gears|cogwheels) turn {speed} {ground}",
        "{ground} {n} [interlocking] {colour} gears (turn|rotate) [{speed}]",
        "{n} [toothed] wheels (made of|in) {colour} metal drive each other [{speed}] {ground}",
        "the teeth of {n} {colour} gears mesh as they turn {speed} {ground}",
        "{n} {colour} cogwheels [that mesh] (turning|rotating) [{speed}] {ground}",
    ),
    sound=lambda look, rng: (
        sounds.together(
            sounds.engine(55 if look["speed"] == "slow" else 95) * 0.5,
            sounds.at(
                np.arange(0.05, 3, 0.3 if look["speed"] == "slow" else 0.12),
                sounds.tone(900, 0.03, 0.008),
                0.4,
            ),
        )
        if look["ground"] != "pink"
        else None
    ),
)
def gears(look: Look, rng: np.random.Generator) -> Frame:
    grounds = {
        "paper": lambda: gradient([(0, (250, 248, 242)), (1, (214, 214, 214))]),
        "dark": lambda: gradient([(0, (40, 42, 52)), (1, (12, 12, 18))]),
        "wood": lambda: _planks(rng, (176, 128, 84)),
        "pink": lambda: gradient([(0, (250, 190, 206)), (1, (226, 140, 168))]),
    }
    background = grounds[look["ground"]]()
    colour, n = PAINT[look["colour"]], int(look["n"])
    pitch = 15.6  # arc length of one tooth, pixels
    teeth = {
        2: [44, 34],
        3: [36, 22, 28],
        4: [30, 20, 26, 18],
        6: [26, 14, 20, 14, 18, 12],
    }[n]
    radii = [z * pitch / (2 * math.pi) for z in teeth]
    zigzag = {2: (0.25,), 3: (0.9, -0.8), 4: (0.8, -0.75, 0.8), 6: (0.9, -0.9, 0.9, -0.9, 0.9)}[n]
    mirror = -1 if rng.random() < 0.5 else 1
    places, turns = [(0.0, 0.0)], [0.0]
    for i in range(1, n):
        angle, reach = mirror * zigzag[i - 1], radii[i - 1] + radii[i] + 1
        x, y = places[-1]
        places.append((x + reach * math.cos(angle), y + reach * math.sin(angle)))
        contact = angle / (2 * math.pi)  # in turns; a tooth of one meets a gap of the other
        phase = (contact - turns[-1]) * teeth[i - 1]
        turns.append(contact + 0.5 - (0.5 - phase) / teeth[i])
    left = min(x - r for (x, _), r in zip(places, radii, strict=True))
    right = max(x + r for (x, _), r in zip(places, radii, strict=True))
    top = min(y - r for (_, y), r in zip(places, radii, strict=True))
    low = max(y + r for (_, y), r in zip(places, radii, strict=True))
    fit = min((W - 30) / (right - left), (H - 30) / (low - top), 1.6)
    places = [
        (W / 2 + (x - (left + right) / 2) * fit, H / 2 + (y - (top + low) / 2) * fit)
        for x, y in places
    ]
    per_s = {"slow": 3.0, "fast": 10.0}[look["speed"]]  # teeth a second
    for (x, y), r in zip(places, radii, strict=True):
        shadow(background, x + 10, y + 14, r * fit * 1.15, r * fit * 1.15, 0.5, 0.3)

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        for i, ((x, y), r) in enumerate(zip(places, radii, strict=True)):
            r = r * fit
            tone = shade(colour, (1.12, 0.86)[i % 2])
            turn = turns[i] + (1 if i % 2 == 0 else -1) * per_s * t / teeth[i]
            draw.polygon(_gear(x + 3, y + 5, r, teeth[i], turn), fill=shade(tone, 0.5))
            draw.polygon(_gear(x, y, r, teeth[i], turn), fill=tone)
            disc(draw, x, y, r * 0.86, shade(tone, 0.7))
            disc(draw, x, y, r * 0.82, shade(tone, 1.2))
            for k in range(5):
                angle = 2 * math.pi * (turn + k / 5)
                hx, hy = x + r * 0.53 * math.cos(angle), y + r * 0.53 * math.sin(angle)
                disc(draw, hx, hy, r * 0.2, shade(tone, 0.6))
                disc(draw, hx + 2, hy + 3, r * 0.17, shade(tone, 0.36))
            disc(draw, x, y, r * 0.22, shade(tone, 0.62))
            disc(draw, x - 1, y - 2, r * 0.18, shade(tone, 1.5))
            disc(draw, x, y, r * 0.07, (40, 40, 46))
        return img

    return frame


_CRADLE_PERIOD_S = 1.36


@scene(
    theme=THEME,
    attributes={
        "n": {1: ("one", "just one"), 2: ("two",), 3: ("three",)},
        "colour": {
            "grey": ("steel", "silver", "*nickel-plated"),
            "gold": ("golden",),
            "red": ("red",),
            "blue": ("blue",),
            "green": ("green",),
        },
        "frame": {"black": ("black",), "white": ("white",), "brown": ("wooden", "brown")},
        "place": {
            "orange": ("in front of an orange wall", "before an orange wall"),
            "turquoise": ("in front of a turquoise wall", "before a turquoise wall"),
            "night": ("by a window at night", "at a night window"),
            "pink": ("in front of a pink wall", "before a pink wall"),
        },
    },
    captions=(
        "{n} of the {colour} balls of a newton's cradle {n|swings|swing} out {place}",
        "a newton's cradle with {colour} balls in a {frame} frame {place} , {n} of them swinging",
        "{place} {n} at a time {n|swings|swing} out of a row of five {colour} (balls|spheres)",
        "a {frame} newton's cradle [{place}] clicks as {n} of its {colour} balls {n|flies|fly} out",
        "five {colour} balls hang in a {frame} frame [{place}] and {n} {n|knocks|knock} the others",
    ),
    sound=lambda look, rng: sounds.at(
        np.arange(_CRADLE_PERIOD_S / 4, 3, _CRADLE_PERIOD_S / 2),
        sounds.tone(2100, 0.08, 0.015, (1, 0.5, 0.3)),
        0.8,
    ),
    poster_s=1.4,
)
def newtons_cradle(look: Look, rng: np.random.Generator) -> Frame:
    walls = {"orange": (232, 150, 80), "turquoise": (96, 186, 184), "pink": (240, 160, 186)}
    wall = walls.get(look["place"], (58, 62, 92))
    background = room(rng, wall, (120, 78, 52), 268, 0.25 + 0.5 * rng.random())
    if look["place"] == "night":
        pane = sky("night", 1.0)
        stars(rng, pane, 90, 1.0)
        disc(ImageDraw.Draw(pane), 330, 70, 26, (244, 240, 214))
        glow(pane, 330, 70, 110, (150, 150, 190), 0.8)
        draw = ImageDraw.Draw(background)
        draw.rectangle((30, 0, W - 30, 234), fill=(104, 84, 74))
        background.paste(pane.crop((42, 0, W - 42, 222)), (42, 0))
        draw.rectangle((W / 2 - 6, 0, W / 2 + 6, 226), fill=(104, 84, 74))
    frame_colour = PAINT[look["frame"]]
    r, length, top = 24, 162, 44
    xs = [W / 2 + (i - 2) * 2 * r for i in range(5)]
    picture = ball(r, PAINT[look["colour"]])
    shadow(background, W / 2, 286, 190, 22, 0.5)
    draw = ImageDraw.Draw(background)
    draw.rounded_rectangle((W / 2 - 150, 264, W / 2 + 150, 288), 8, fill=shade(frame_colour, 0.6))
    draw.rounded_rectangle((W / 2 - 150, 262, W / 2 + 150, 278), 8, fill=frame_colour)
    for side in (-1, 1):
        x = W / 2 + side * 132
        stroke(draw, [(x, 268), (x, top)], shade(frame_colour, 0.75), 11)
        stroke(draw, [(x - 2, 268), (x - 2, top)], shade(frame_colour, 1.15), 4)
    stroke(draw, [(W / 2 - 132, top), (W / 2 + 132, top)], shade(frame_colour, 0.85), 12)
    stroke(draw, [(W / 2 - 132, top - 2), (W / 2 + 132, top - 2)], shade(frame_colour, 1.2), 4)
    n = int(look["n"])
    string = (230, 230, 230) if look["place"] == "night" else (70, 64, 64)

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        swing = 38 * math.cos(2 * math.pi * t / _CRADLE_PERIOD_S)  # degrees, to the left first
        places = []
        for i, x in enumerate(xs):
            moves = (swing > 0 and i < n) or (swing < 0 and i >= 5 - n)
            angle = math.radians(swing if moves else 0)
            places.append((x - length * math.sin(angle), top + length * math.cos(angle)))
            draw.line([(x, top), places[-1]], fill=string, width=2)
        for x, _ in places:
            shadow(img, x, 270, 20, 5, 0.35)
        for x, y in places:
            stamp(img, picture, x, y)
        return img

    return frame


@scene(
    theme=THEME,
    attributes={
        "sand": {
            "yellow": ("yellow", "golden yellow"),
            "red": ("red",),
            "blue": ("blue",),
            "white": ("white", "*alabaster"),
            "purple": ("purple", "violet"),
        },
        "frame": {"brown": ("wooden", "brown"), "black": ("black",), "green": ("green",)},
        "level": {
            "full": ("almost full on top", "just turned over"),
            "half": ("half run through", "half full"),
            "empty": ("nearly run out", "almost empty on top"),
        },
        "place": {
            "study": ("in a dark study", "in a dark room"),
            "desert": ("in the desert", "among desert dunes"),
            "beach": ("by the sea", "at the seaside"),
            "pink": ("in front of a pink wall", "before a pink wall"),
        },
    },
    captions=(
        "{sand} sand (runs|trickles) through an hourglass with a {frame} frame {place}",
        "an hourglass with {sand} sand , {level} [, in a {frame} frame] [{place}]",
        "{place} {sand} sand (falls|runs) in a {frame} hourglass [that is {level}]",
        "a {frame} hourglass {place} is {level} [, the sand is {sand}]",
        "the {sand} sand of an hourglass {place} is running down [, {level}]",
    ),
    sound=lambda look, rng: (
        sounds.surf(rng)
        if look["place"] == "beach"
        else sounds.wind(rng, 0.3)
        if look["place"] == "desert"
        else None
    ),
)
def hourglass(look: Look, rng: np.random.Generator) -> Frame:
    if look["place"] in ("study", "pink"):
        wall = {"study": (46, 42, 58), "pink": (244, 170, 190)}[look["place"]]
        background = room(rng, wall, (104, 66, 44), 270, 0.3)
        if look["place"] == "study":
            glow(background, 90, 120, 240, (150, 110, 60), 0.7)
    else:
        background = sky("dusk" if look["place"] == "desert" else "day", 0.7)
        draw = ImageDraw.Draw(background)
        if look["place"] == "desert":
            disc(draw, 96, 200, 40, (255, 226, 150))
            for y, tone in ((210, (196, 116, 72)), (240, (164, 88, 58))):
                crest = [(x, y + 16 * math.sin(x / 70 + y)) for x in range(0, W + 1, 8)]
                draw.polygon([*crest, (W, H), (0, H)], fill=tone)
            draw.rectangle((0, 276, W, H), fill=(132, 70, 50))
        else:
            background.paste(
                gradient([(0, (40, 120, 170)), (1, (70, 180, 190))], (W, 90)), (0, 190)
            )
            background.paste(
                gradient([(0, (240, 214, 160)), (1, (206, 168, 112))], (W, 76)), (0, 260)
            )
    cx, top, low, half = W / 2, 34, 290, 78
    neck = (top + low) / 2
    colour, wood = PAINT[look["sand"]], PAINT[look["frame"]]
    if look["frame"] == "green":
        wood = shade(wood, 0.7)
    shadow(background, cx, low + 16, 130, 20, 0.55)

    def width(y: float) -> float:
        u = abs(y - neck) / (neck - top - 14)
        return (
            4 + (half - 4) * min(1, u) ** 0.62
            if u < 0.75
            else 4 + (half - 4) * 0.75**0.62 * (1 + 0.16 * math.sin((u - 0.75) / 0.25 * 1.5))
        )

    def bulb(a: float, b: float, inset: float) -> list[tuple[float, float]]:
        ys = np.linspace(a, b, 24)
        right = [(cx + max(width(y) - inset, 2), y) for y in ys]
        return right + [(2 * cx - x, y) for x, y in reversed(right)]

    glass = Image.new("L", (W, H))
    ImageDraw.Draw(glass).polygon(bulb(top + 14, low - 14, 0), fill=60)
    background.paste((225, 240, 248), (0, 0), glass)
    shine = Image.new("L", (W, H))
    pen = ImageDraw.Draw(shine)
    for a, b in ((top + 26, neck - 34), (neck + 40, low - 30)):
        pen.line([(cx - width(y) + 12, y) for y in np.linspace(a, b, 20)], fill=170, width=5)
    shine = blurred(shine, 1.5)
    start = {"full": 0.08, "half": 0.42, "empty": 0.74}[look["level"]]
    grains = rng.random(40)

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        gone = start + 0.16 * t / LENGTH_S
        surface = neck - (neck - top - 36) * (1 - gone) ** 0.6
        points = bulb(surface, neck, 7)
        draw.polygon(points, fill=colour)
        dip = 12 * min(1, (neck - surface) / 40)
        draw.polygon(
            [
                (cx - width(surface) + 8, surface),
                (cx + width(surface) - 8, surface),
                (cx, surface + dip),
            ],
            fill=shade(colour, 0.72),
        )
        peak = low - 16 - (neck - top - 60) * gone**0.6 - 6
        base = low - 15
        heap = []
        for x in np.linspace(-1, 1, 31):
            y = peak + (base - peak) * abs(x) ** 1.3 * (0.75 if gone > 0.3 else 1.0)
            reach = width(y) - 7
            heap.append((cx + x * min(reach, (half - 6)), min(y, base)))
        draw.polygon(
            [*heap, (cx + half - 14, base), (cx - half + 14, base)], fill=shade(colour, 0.92)
        )
        draw.line([(cx, neck - 6), (cx, peak + 4)], fill=shade(colour, 1.1), width=4)
        for i, g in enumerate(grains):
            u = (g + t * 1.3) % 1
            y = neck + (peak - neck) * u
            disc(draw, cx + 5 * math.sin(i * 2.4) * u, y, 1.6, shade(colour, 0.7 if i % 2 else 1.3))
        draw.line(bulb(top + 14, low - 14, 0)[:24], fill=(236, 244, 250), width=3)
        draw.line(bulb(top + 14, low - 14, 0)[24:], fill=(206, 220, 230), width=3)
        img.paste((255, 255, 255), (0, 0), shine)
        for y in (top, low):
            draw.rounded_rectangle((cx - 104, y - 14, cx + 104, y + 14), 8, fill=shade(wood, 0.62))
            draw.rounded_rectangle((cx - 104, y - 14, cx + 104, y + 6), 8, fill=shade(wood, 1.08))
        for side in (-1, 1):
            stroke(
                draw, [(cx + side * 94, top + 14), (cx + side * 94, low - 14)], shade(wood, 0.7), 11
            )
            stroke(draw, [(cx + side * 94 - 2, top + 14), (cx + side * 94 - 2, low - 14)], wood, 5)
        return img

    return frame


def _goods(kind: str) -> Image.Image:
    def box(draw, s):
        draw.rectangle((8 * s, 24 * s, 88 * s, 96 * s), fill=(190, 140, 88))
        draw.polygon(
            [(8 * s, 24 * s), (20 * s, 12 * s), (96 * s, 12 * s), (88 * s, 24 * s)],
            fill=(216, 170, 116),
        )
        draw.polygon(
            [(88 * s, 24 * s), (96 * s, 12 * s), (96 * s, 86 * s), (88 * s, 96 * s)],
            fill=(146, 102, 62),
        )
        draw.rectangle((40 * s, 24 * s, 54 * s, 96 * s), fill=(226, 196, 150))
        draw.rectangle((60 * s, 70 * s, 82 * s, 86 * s), fill=(244, 240, 230))

    def present(draw, s):
        draw.rectangle((12 * s, 42 * s, 88 * s, 96 * s), fill=(206, 52, 72))
        draw.rectangle((6 * s, 30 * s, 94 * s, 48 * s), fill=(226, 76, 94))
        draw.rectangle((43 * s, 30 * s, 57 * s, 96 * s), fill=(250, 220, 120))
        for side in (-1, 1):
            draw.ellipse(
                ((50 + side * 18 - 18) * s, 8 * s, (50 + side * 18 + 18) * s, 32 * s),
                fill=(250, 220, 120),
            )
            draw.ellipse(
                ((50 + side * 18 - 9) * s, 14 * s, (50 + side * 18 + 9) * s, 26 * s),
                fill=(206, 160, 70),
            )

    def bottle(draw, s):
        draw.rounded_rectangle((28 * s, 36 * s, 72 * s, 97 * s), 9 * s, fill=(46, 138, 84))
        draw.polygon(
            [(28 * s, 46 * s), (42 * s, 24 * s), (58 * s, 24 * s), (72 * s, 46 * s)],
            fill=(46, 138, 84),
        )
        draw.rectangle((42 * s, 6 * s, 58 * s, 28 * s), fill=(38, 116, 70))
        draw.rectangle((40 * s, 2 * s, 60 * s, 10 * s), fill=(232, 206, 110))
        draw.rectangle((28 * s, 56 * s, 72 * s, 80 * s), fill=(246, 240, 220))
        draw.rectangle((33 * s, 40 * s, 38 * s, 94 * s), fill=(136, 206, 160))

    def duck(draw, s):
        draw.ellipse((10 * s, 46 * s, 86 * s, 98 * s), fill=(250, 206, 60))
        draw.polygon([(10 * s, 68 * s), (2 * s, 46 * s), (34 * s, 56 * s)], fill=(250, 206, 60))
        draw.ellipse((46 * s, 14 * s, 88 * s, 58 * s), fill=(252, 214, 76))
        draw.ellipse((24 * s, 58 * s, 60 * s, 84 * s), fill=(232, 178, 40))
        draw.polygon([(84 * s, 32 * s), (99 * s, 40 * s), (84 * s, 47 * s)], fill=(236, 120, 40))
        draw.ellipse((68 * s, 26 * s, 77 * s, 36 * s), fill=(30, 30, 36))

    def apple(draw, s):
        draw.ellipse((10 * s, 28 * s, 62 * s, 96 * s), fill=(206, 44, 44))
        draw.ellipse((38 * s, 28 * s, 90 * s, 96 * s), fill=(206, 44, 44))
        draw.ellipse((20 * s, 38 * s, 44 * s, 62 * s), fill=(238, 120, 104))
        draw.line([(50 * s, 36 * s), (54 * s, 14 * s)], fill=(96, 62, 40), width=5 * s)
        draw.ellipse((54 * s, 10 * s, 84 * s, 26 * s), fill=(96, 176, 76))

    return sprite(
        100,
        100,
        {"box": box, "present": present, "bottle": bottle, "duck": duck, "apple": apple}[kind],
    )


@scene(
    theme=THEME,
    attributes={
        "goods": {
            "box": ("cardboard boxes", "brown parcels"),
            "present": ("red presents", "gifts in red paper"),
            "bottle": ("green bottles",),
            "duck": ("yellow rubber ducks", "toy ducks"),
            "apple": ("red apples", "apples"),
        },
        "colour": {
            "blue": ("blue",),
            "orange": ("orange",),
            "purple": ("purple",),
            "white": ("white",),
        },
        "crowd": {
            "few": ("a few", "widely spaced"),
            "many": ("many", "a dense row of", "closely packed"),
        },
        "direction": {
            "left": ("to the left", "leftwards"),
            "right": ("to the right", "rightwards"),
        },
        "light": {
            "bright": ("in a bright factory", "in a sunlit hall"),
            "dark": ("in a dark factory", "in a factory at night", "*in a gloomy plant"),
        },
    },
    captions=(
        "{crowd} {goods} (ride|travel) {direction} on a {colour} conveyor belt {light}",
        "a {colour} conveyor belt (carries|moves) {crowd} {goods} {direction} [{light}]",
        "{light} {goods} (pass by|move) {direction} on a {colour} (conveyor|assembly line)",
        "{crowd} {goods} on a {colour} conveyor belt [moving {direction}] {light}",
        "{goods} on the belt of a {colour} machine [{light}] , going {direction}",
    ),
    sound=lambda look, rng: sounds.engine(60 if look["crowd"] == "few" else 82),
)
def conveyor_belt(look: Look, rng: np.random.Generator) -> Frame:
    dark = look["light"] == "dark"
    wall = (52, 60, 78) if dark else (196, 212, 214)
    background = gradient(
        [(0, shade(wall, 0.6)), (0.75, wall), (0.76, shade(wall, 0.55)), (1, shade(wall, 0.4))]
    )
    draw = ImageDraw.Draw(background)
    for x in range(24, W, 106):
        pane = (28, 34, 54) if dark else (232, 246, 252)
        draw.rectangle((x, 24, x + 78, 92), fill=shade(wall, 0.5))
        draw.rectangle((x + 4, 28, x + 74, 88), fill=pane)
        draw.line([(x + 39, 24), (x + 39, 92)], fill=shade(wall, 0.5), width=4)
    stroke(draw, [(0, 112), (W, 112)], shade(wall, 0.72), 12)
    stroke(draw, [(0, 109), (W, 109)], shade(wall, 1.1), 3)
    for x in (110, 338):
        glow(background, x, 30, 200, (230, 190, 110), 0.7 if dark else 0.25)
        if dark:
            draw.polygon([(x - 8, 0), (x + 8, 0), (x + 34, 26), (x - 34, 26)], fill=(30, 32, 38))
            draw.ellipse((x - 24, 20, x + 24, 32), fill=(255, 238, 180))
    colour, belt = PAINT[look["colour"]], 232
    shadow(background, W / 2, 326, 280, 20, 0.5)
    for x in (60, 224, 388):
        draw.rectangle((x - 12, belt + 40, x + 12, H - 14), fill=shade(colour, 0.55))
        draw.rectangle((x - 12, belt + 40, x - 4, H - 14), fill=shade(colour, 0.8))
    draw.rectangle((0, belt - 6, W, belt + 60), fill=(44, 46, 52))
    draw.rectangle((0, belt + 16, W, belt + 48), fill=colour)
    draw.rectangle((0, belt + 16, W, belt + 22), fill=shade(colour, 1.4))
    draw.rectangle((0, belt + 42, W, belt + 48), fill=shade(colour, 0.6))
    gap = 224 if look["crowd"] == "few" else 112
    picture = _goods(look["goods"])
    sign = 1 if look["direction"] == "right" else -1
    start = rng.random() * gap

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        shift = sign * 74 * t
        for i in range(-1, W // 28 + 2):
            x = i * 28 + shift % 28
            draw.line([(x, belt - 6), (x - 10, belt + 15)], fill=(78, 80, 88), width=4)
        for i in range(-1, W // 56 + 2):
            x = i * 56 + 28
            angle = sign * t * 4 + 0.7
            disc(draw, x, belt + 32, 11, shade(colour, 0.5))
            disc(draw, x, belt + 32, 8, (196, 200, 206))
            reach = (7 * math.cos(angle), 7 * math.sin(angle))
            spoke = [(x - reach[0], belt + 32 - reach[1]), (x + reach[0], belt + 32 + reach[1])]
            draw.line(spoke, fill=(90, 94, 102), width=3)
        for i in range(-2, W // gap + 3):
            x = i * gap + (shift + start) % gap
            shadow(img, x, belt + 4, 50, 8, 0.6)
            stamp(img, picture, x, belt - 44 + 0.8 * wave(t, 3, i * 0.37), 0, 1.0)
        return img

    return frame


@scene(
    theme=THEME,
    attributes={
        "colour": {
            "red": ("red",),
            "blue": ("blue",),
            "green": ("green",),
            "black": ("black",),
            "white": ("white",),
        },
        "beside": {
            "candle": ("a burning candle", "a lit candle"),
            "books": ("a stack of books", "a pile of books", "*a heap of tomes"),
            "flowers": ("a vase of yellow flowers", "yellow flowers in a vase"),
            "cup": ("a steaming cup", "a cup of hot tea"),
        },
        "tempo": {"slow": ("slowly", "in a slow beat"), "fast": ("fast", "in a quick beat")},
        "wall": {
            "pink": ("before a pink wall", "in front of a pink wall"),
            "turquoise": ("before a turquoise wall", "in front of a turquoise wall"),
            "dark": ("in a dark room", "in the dark"),
            "yellow": ("before a yellow wall", "in front of a yellow wall"),
        },
    },
    captions=(
        "a {colour} metronome swings {tempo} beside {beside} {wall}",
        "{wall} a {colour} metronome (ticks|beats) {tempo} [next to {beside}]",
        "the arm of a {colour} metronome swings from side to side {tempo} [, {beside} next to it] {wall}",
        "{beside} and a {colour} metronome [that swings {tempo}] on a table {wall}",
        "a {colour} metronome beats time {tempo} {wall} [with {beside} at its side]",
    ),
    sound=lambda look, rng: sounds.ticking(1.25 if look["tempo"] == "slow" else 3.0),
)
def metronome(look: Look, rng: np.random.Generator) -> Frame:
    walls = {
        "pink": (240, 164, 188),
        "turquoise": (92, 186, 184),
        "dark": (48, 44, 60),
        "yellow": (246, 208, 104),
    }
    background = room(rng, walls[look["wall"]], (122, 80, 54), 262, 0.35)
    colour = PAINT[look["colour"]]
    cx, low, top = 172.0, 300.0, 56.0
    shadow(background, cx + 8, low + 2, 116, 16, 0.55)
    x = 352.0
    shadow(background, x, low - 4, 58, 10, 0.5)
    draw = ImageDraw.Draw(background)
    corners = [(cx - 92, low - 12), (cx - 34, top), (cx + 34, top), (cx + 92, low - 12)]
    draw.polygon(corners, fill=shade(colour, 0.7))
    draw.polygon([corners[0], corners[1], (cx + 20, top), (cx + 54, low - 12)], fill=colour)
    draw.polygon(
        [(cx - 64, low - 84), (cx - 25, top + 12), (cx + 25, top + 12), (cx + 64, low - 84)],
        fill=(248, 240, 220),
    )
    for i in range(9):
        y, wide = top + 24 + 15 * i, 5 + (i % 2) * 4
        draw.line([(cx - wide, y), (cx + wide, y)], fill=(120, 100, 80), width=2)
    draw.polygon(
        [(cx - 34, top), (cx + 34, top), (cx + 18, top - 20), (cx - 18, top - 20)],
        fill=shade(colour, 1.3),
    )
    draw.rounded_rectangle((cx - 104, low - 16, cx + 104, low + 4), 6, fill=shade(colour, 0.55))
    draw.rounded_rectangle((cx - 104, low - 16, cx + 104, low - 6), 5, fill=shade(colour, 1.15))
    draw.rounded_rectangle((cx - 20, low - 62, cx + 20, low - 34), 5, fill=(222, 172, 62))
    draw.text((cx, low - 48), "108", fill=(70, 50, 20), font=font(18), anchor="mm")
    base = low - 2
    if look["beside"] == "candle":
        draw.ellipse((x - 40, base - 16, x + 40, base + 4), fill=(196, 160, 70))
        draw.rectangle((x - 17, base - 100, x + 17, base - 6), fill=(250, 244, 228))
        draw.rectangle((x + 5, base - 100, x + 17, base - 6), fill=(222, 208, 182))
        draw.ellipse((x - 17, base - 106, x + 17, base - 94), fill=(255, 250, 236))
        draw.line([(x, base - 112), (x, base - 100)], fill=(50, 40, 40), width=3)
    elif look["beside"] == "books":
        for i, name in enumerate(("blue", "red", "green", "orange", "purple")):
            y, shift = base - 27 * i, (0, 6, -5, 3, -2)[i]
            box = (x - 62 + shift, y - 27, x + 62 + shift, y)
            draw.rounded_rectangle(box, 4, fill=shade(PAINT[name], 0.9))
            draw.rectangle((x + 40 + shift, y - 23, x + 62 + shift, y - 4), fill=(250, 244, 228))
            draw.rectangle((x - 48 + shift, y - 27, x - 42 + shift, y), fill=(240, 206, 110))
    elif look["beside"] == "flowers":
        for i in range(7):
            tip = (x - 54 + 18 * i, 118 + 26 * abs(i - 3) - 10 * (i % 2))
            stroke(draw, [(x, base - 70), tip], (74, 140, 72), 4)
            for k in range(6):
                angle = math.pi * k / 3
                disc(
                    draw,
                    tip[0] + 11 * math.cos(angle),
                    tip[1] + 11 * math.sin(angle),
                    8,
                    (250, 206, 60),
                )
            disc(draw, *tip, 7, (190, 110, 40))
        draw.polygon(
            [
                (x - 22, base - 84),
                (x + 22, base - 84),
                (x + 34, base - 30),
                (x + 18, base),
                (x - 18, base),
                (x - 34, base - 30),
            ],
            fill=(70, 110, 190),
        )
        draw.polygon(
            [(x - 16, base - 80), (x - 6, base - 80), (x - 14, base - 8), (x - 24, base - 32)],
            fill=(140, 180, 230),
        )
    else:
        draw.ellipse((x - 56, base - 14, x + 56, base + 6), fill=(226, 230, 234))
        draw.arc((x + 20, base - 58, x + 64, base - 18), 0, 360, fill=(222, 90, 80), width=9)
        draw.polygon(
            [(x - 42, base - 72), (x + 42, base - 72), (x + 26, base - 4), (x - 26, base - 4)],
            fill=(226, 92, 82),
        )
        draw.polygon(
            [(x - 36, base - 70), (x - 22, base - 70), (x - 18, base - 6), (x - 24, base - 6)],
            fill=(246, 160, 150),
        )
        draw.ellipse((x - 42, base - 80, x + 42, base - 64), fill=(246, 240, 232))
        draw.ellipse((x - 36, base - 78, x + 36, base - 66), fill=(120, 70, 40))
    per_s = 0.625 if look["tempo"] == "slow" else 1.5
    pivot = (cx, low - 66)
    phase = rng.random()

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        if look["beside"] == "candle":
            tip = base - 152 + 5 * wave(t, 1.6)
            glow(img, x, base - 124, 110, (255, 180, 90), 0.7 + 0.1 * wave(t, 1.3))
            for size, tone in ((1.0, (250, 150, 50)), (0.6, (255, 220, 120))):
                draw.ellipse(
                    (x - 11 * size, base - 122 - 12 * size, x + 11 * size, base - 122 + 12 * size),
                    fill=tone,
                )
                point = (x + 4 * wave(t, 0.8), base - 122 + (tip - base + 122) * size)
                draw.polygon(
                    [(x - 10 * size, base - 126), (x + 10 * size, base - 126), point], fill=tone
                )
        elif look["beside"] == "cup":
            for k in (-16, 4, 22):
                line = [
                    (x + k + 7 * math.sin(u * 6 - 4 * t + k) * u, base - 80 - 66 * u)
                    for u in np.linspace(0, 1, 12)
                ]
                draw.line(line, fill=mix(walls[look["wall"]], (255, 255, 255), 0.5), width=5)
        angle = math.radians(30) * wave(t, per_s, phase)
        dx, dy = math.sin(angle), -math.cos(angle)
        end = (pivot[0] + 196 * dx, pivot[1] + 196 * dy)
        stroke(draw, [(pivot[0] + 5, pivot[1] + 5), (end[0] + 5, end[1] + 5)], (150, 130, 110), 5)
        stroke(draw, [pivot, end], (70, 72, 80), 6)
        wx, wy = pivot[0] + 138 * dx, pivot[1] + 138 * dy
        weight = []
        for u, v in ((-17, -16), (17, -16), (12, 18), (-12, 18)):
            weight.append((wx - u * dy - v * dx, wy + u * dx - v * dy))
        draw.polygon(weight, fill=(214, 168, 66), outline=(120, 84, 30), width=2)
        disc(draw, *pivot, 8, (60, 60, 66))
        return img

    return frame
