"""Sky and space."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from retrieval.datasets.animations import scenery, sounds
from retrieval.datasets.animations.canvas import (
    PAINT,
    H,
    W,
    ball,
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
    stamp,
    stars,
    stroke,
    turned,
    wave,
)
from retrieval.datasets.animations.scene import Frame, Look, scene


def _balloon(colour: tuple[int, int, int], stripe: tuple[int, int, int]) -> Image.Image:
    def paint(draw, s):
        draw.polygon(
            [(34 * s, 100 * s), (66 * s, 100 * s), (60 * s, 118 * s), (40 * s, 118 * s)],
            fill=shade(colour, 0.6),
        )
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
            "yellow": ("yellow", "*canary-yellow"),
            "green": ("green",),
            "blue": ("blue",),
            "purple": ("purple", "violet"),
        },
        "n": {1: ("one", "a single", "a"), 2: ("two", "a pair of"), 3: ("three",), 5: ("five",)},
        "direction": {
            "left": ("to the left", "leftwards"),
            "right": ("to the right", "rightwards"),
        },
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


_SIDES = {"left": 0.23, "middle": 0.5, "right": 0.77}  # share of the width
_SIDE_WORDS = {
    "left": ("on the left", "at the left", "*on the left-hand side"),
    "middle": ("in the middle", "in the centre"),
    "right": ("on the right", "at the right", "*on the right-hand side"),
}
_SUN_PLACES = {
    "sea": ("over the sea", "over the ocean", "above the water"),
    "mountains": ("behind the mountains", "over a mountain range", "behind jagged peaks"),
    "city": ("behind the skyline of a city", "over the city", "behind tall towers"),
    "desert": ("over the desert", "over dunes with cacti", "behind the sand dunes"),
}


def _sun_film(
    look: Look,
    rng: np.random.Generator,
    stops: tuple[tuple[float, tuple[int, int, int]], ...],
    disc_colour: tuple[int, int, int],
    rising: bool,
) -> Frame:
    """The sun crosses the horizon of a place; the sky brightens with it or darkens."""
    horizon = 232
    full = [(at * horizon / H, colour) for at, colour in stops] + [(1.0, stops[-1][1])]
    bright = gradient(full)
    if look["place"] == "sea":
        scenery.water(bright, horizon, mix(stops[-1][1], (30, 50, 90), 0.55), rng)
    dark = gradient([(0.0, (34, 38, 74)), (1.0, (84, 74, 110))])
    dark = Image.blend(bright, ImageChops.multiply(bright, dark), 0.75)
    front = scenery.layer()
    draw = ImageDraw.Draw(front)
    tint = mix(shade(stops[1][1], 0.35), (24, 22, 44), 0.4)
    if look["place"] == "mountains":
        fill_below(front, ridge(rng, W, 168, 246, 110), mix(tint, stops[1][1], 0.35))
        fill_below(front, ridge(rng, W, 224, 288, 90), tint, shade(tint, 0.5))
    elif look["place"] == "city":
        scenery.skyline(front, rng, H, 90, 190, mix(tint, stops[1][1], 0.3))
        scenery.skyline(front, rng, H, 40, 110, tint, (250, 206, 120))
    elif look["place"] == "desert":
        fill_below(front, ridge(rng, W, 226, 250, 260), mix(tint, (196, 120, 70), 0.5))
        fill_below(front, ridge(rng, W, 256, 306, 300), mix(tint, (150, 86, 56), 0.3))
        for x in (40 + 60 * rng.random(), 330 + 60 * rng.random()):
            scenery.cactus(draw, x, 308, 90 + 30 * rng.random(), shade(tint, 0.6))
    boat = scenery.sail_boat(74, shade(tint, 0.7), shade(tint, 1.12))
    x = _SIDES[str(look["side"])] * W
    boat_x = W - x if look["side"] != "middle" else 0.24 * W
    low, high = horizon + 30, 118 if look["place"] in ("mountains", "city") else 140
    cover = clouds(rng, mix(stops[1][1], (255, 250, 240), 0.45), 0.34, height=130)
    birds = rng.random((6, 3))
    moving = {"clouds": True, "birds": False, "clear": False}[str(look["air"])]

    def frame(t: float) -> Image.Image:
        up = ease(0.12 + 0.8 * t / 3) if rising else 1 - ease(0.06 + 0.82 * t / 3)
        img = Image.blend(dark, bright, up)
        box = (0, horizon, W, H)
        below = img.crop(box)
        y = low + (high - low) * up
        glow(img, x, y, 230, disc_colour, 0.7)
        disc(ImageDraw.Draw(img), x, y, 42, mix(disc_colour, (255, 255, 235), 0.45 * up))
        if moving:
            scroll(img, cover, 12 * t + 60, 6)
        if look["place"] == "sea":
            img.paste(below, box)
            glow(img, x, horizon, 120, disc_colour, 0.3)
            scenery.glints(
                ImageDraw.Draw(img), t, x, horizon, mix(disc_colour, (255, 240, 210), 0.3)
            )
            stamp(img, boat, boat_x + 10 * (t - 1.5), 238 + 2 * wave(t, 0.5), 2 * wave(t, 0.4))
        img.paste(front, (0, 0), front)
        if look["air"] == "birds":
            draw = ImageDraw.Draw(img)
            for bx, by, phase in birds:
                scenery.bird(
                    draw,
                    W * (0.12 + 0.66 * bx) + 26 * (t - 1.5),
                    34 + 92 * by + 4 * wave(t, 0.4, phase),
                    40 + 14 * phase,
                    wave(t, 1.4, phase),
                    shade(tint, 0.5),
                )
        return img

    return frame


_AIR = {
    "birds": ("birds in the air", "a flock of birds passing", "birds on the wing"),
    "clouds": ("clouds drifting by", "soft clouds in the sky", "*fleecy clouds above"),
    "clear": ("no clouds in sight", "not a cloud to be seen"),
}


@scene(
    theme="sky and space",
    attributes={
        "place": _SUN_PLACES,
        "hue": {
            "gold": ("golden", "yellow"),
            "pink": ("pink", "rosy"),
            "blue": ("pale blue", "light blue", "*powder-blue"),
        },
        "side": _SIDE_WORDS,
        "air": _AIR,
    },
    captions=(
        "the sun rises {place} {side} in a {hue} (morning|dawn) sky [with {air}]",
        "a {hue} sunrise {place} [with {air}] and the sun {side}",
        "{side} the morning sun comes up {place}, [{air},] {hue} light",
        "sunrise {place}: [{air},] the sky is {hue} and the sun climbs {side}",
    ),
    sound=lambda look, rng: sounds.chirp(rng, 9) if look["air"] == "birds" else None,
    poster_s=2.2,
)
def sunrise(look: Look, rng: np.random.Generator) -> Frame:
    stops = {
        "gold": ((0.0, (120, 160, 200)), (0.5, (250, 206, 110)), (1.0, (255, 240, 180))),
        "pink": ((0.0, (150, 150, 206)), (0.5, (246, 160, 182)), (1.0, (255, 220, 206))),
        "blue": ((0.0, (84, 150, 216)), (0.55, (150, 200, 238)), (1.0, (255, 240, 214))),
    }[str(look["hue"])]
    return _sun_film(look, rng, stops, (255, 226, 120), True)


@scene(
    theme="sky and space",
    attributes={
        "place": _SUN_PLACES,
        "hue": {
            "red": ("red", "crimson"),
            "orange": ("orange", "*tangerine"),
            "purple": ("purple", "violet"),
        },
        "side": _SIDE_WORDS,
        "air": _AIR,
    },
    captions=(
        "the sun sets {place} {side} in a {hue} evening sky [with {air}]",
        "a {hue} sunset {place} [with {air}] and the sun {side}",
        "{side} the evening sun goes down {place}, [{air},] {hue} light",
        "sunset {place}: [{air},] the sky is {hue} and the sun sinks {side}",
    ),
    sound=lambda look, rng: sounds.surf(rng, 3.0) if look["place"] == "sea" else None,
    poster_s=0.9,
)
def sunset(look: Look, rng: np.random.Generator) -> Frame:
    stops = {
        "red": ((0.0, (76, 20, 48)), (0.5, (200, 44, 44)), (1.0, (255, 120, 66))),
        "orange": ((0.0, (128, 66, 60)), (0.5, (244, 134, 44)), (1.0, (255, 196, 84))),
        "purple": ((0.0, (48, 30, 96)), (0.5, (136, 70, 172)), (1.0, (226, 128, 176))),
    }[str(look["hue"])]
    return _sun_film(look, rng, stops, (255, 150, 60), False)


_MOON = {
    "white": (240, 240, 232),
    "orange": (246, 156, 66),
    "red": (206, 66, 54),
    "blue": (120, 176, 244),
}


def _moon(
    rng: np.random.Generator, radius: int, colour: tuple[int, int, int], phase: str
) -> Image.Image:
    """A cratered moon as an RGBA sprite; its dark part is nearly transparent."""
    side = 2 * radius + 2
    spots = Image.fromarray(
        (255 * (0.62 + 0.38 * noise(rng, (side, side), 44, 3))).astype(np.uint8)
    )
    draw = ImageDraw.Draw(spots)
    for _ in range(16):
        r, cx, cy = 2 + 9 * rng.random() ** 2, rng.random() * side, rng.random() * side
        disc(draw, cx, cy, r + 1.5, (235,))
        disc(draw, cx + 1, cy + 1, r, (150,))
    light = np.asarray(blurred(spots, 0.8), np.float32)[..., None] / 255
    y, x = (np.mgrid[:side, :side] - side / 2 + 0.5) / radius
    rim = np.hypot(x, y)
    edge = np.sqrt(np.clip(1 - y**2, 0, 1)) * {"full": -1.1, "half": 0.0, "crescent": 0.55}[phase]
    lit = np.clip((x - edge) * radius / 6 + 0.5, 0, 1)
    inside = np.clip((1 - rim) * radius + 0.5, 0, 1)
    rgb = np.clip(np.array(colour) * light * (1.1 - 0.25 * rim[..., None] ** 4), 0, 255)
    return Image.fromarray(np.dstack([rgb, inside * lit * 255]).astype(np.uint8))


@scene(
    theme="sky and space",
    attributes={
        "phase": {
            "full": ("full moon", "round full moon"),
            "half": ("half moon", "half-lit moon"),
            "crescent": ("crescent moon", "sickle moon", "narrow crescent"),
        },
        "colour": {
            "white": ("white", "silver", "silvery"),
            "orange": ("orange", "*apricot-coloured"),
            "red": ("red", "blood-red"),
            "blue": ("blue",),
        },
        "place": {
            "pines": ("a pine forest", "fir trees", "a dark wood of conifers"),
            "castle": ("a castle", "an old castle on a hill", "a castle with three towers"),
            "sea": ("a lighthouse by the sea", "the sea and a lighthouse"),
            "cottages": ("cottages with lit windows", "a village of little houses"),
        },
        "visitor": {
            "bats": ("bats fly past", "bats flit by", "a few bats flutter past"),
            "geese": ("wild geese fly by in a line", "geese cross the sky in formation"),
            "clouds": ("clouds slide past", "dark clouds pull past"),
        },
    },
    captions=(
        "a {colour} {phase} over {place} [at night] while {visitor}",
        "{visitor} [at night] and a {colour} {phase} hangs over {place}",
        "a {colour} {phase} rises above {place} [and {visitor}]",
        "night above {place}: a {colour} {phase}, and {visitor}",
    ),
    sound=lambda look, rng: sounds.wind(rng, 0.4) if look["visitor"] == "clouds" else None,
)
def moon_over_land(look: Look, rng: np.random.Generator) -> Frame:
    colour = _MOON[str(look["colour"])]
    background = gradient(
        [(0.0, (6, 8, 26)), (0.8, mix((26, 34, 78), colour, 0.12)), (1.0, (40, 46, 90))]
    )
    stars(rng, background, 120, 0.75)
    front = scenery.layer()
    draw = ImageDraw.Draw(front)
    ink = (10, 14, 26)
    if look["place"] == "sea":
        scenery.water(front, 266, (30, 46, 92), rng)
        fill_below(
            front, np.concatenate([np.full(250, 400.0), np.linspace(330, 286, W - 250)]), ink
        )
        scenery.lighthouse(draw, 390, 292, 160, (176, 44, 44))
    elif look["place"] == "pines":
        fill_below(front, ridge(rng, W, 270, 292, 160), (18, 28, 44))
        for x in np.arange(-6, W + 20, 26):
            scenery.pine(
                draw, x + 12 * rng.random(), 326, 76 + 70 * rng.random() ** 2, (15, 38, 46)
            )
    elif look["place"] == "castle":
        hill = 292 - 40 * np.exp(-(((np.arange(W) - 150) / 110.0) ** 2))
        scenery.castle(draw, 150, 276, 190, (74, 80, 116))
        fill_below(front, hill, (18, 24, 36), ink)
    else:
        fill_below(front, ridge(rng, W, 282, 296, 200), (22, 28, 44), ink)
        for i, x in enumerate((56, 150, 252, 356)):
            scenery.cottage(draw, x, 318 - 8 * (i % 2), 84, (86, 80, 102), (48, 42, 66))
    moon = _moon(rng, 66, colour, str(look["phase"]))
    x = 0.66 * W if look["place"] == "castle" else 0.42 * W + 20 * rng.random()
    cover = clouds(rng, (74, 78, 112), 0.42, height=190, cell=90)
    places = rng.random((5, 3))

    def frame(t: float) -> Image.Image:
        img = background.copy()
        y = 122 - 9 * t
        glow(img, x, y, 190, colour, 0.55)
        stamp(img, moon, x, y, -14)
        if look["visitor"] == "clouds":
            scroll(img, cover, 24 * t + 40, 20)
        img.paste(front, (0, 0), front)
        draw = ImageDraw.Draw(img)
        if look["place"] == "sea":
            scenery.glints(draw, t, x, 268, shade(colour, 0.8), 12, 0.7)
            glow(img, 390, 292 - 139, 50, (255, 226, 140), 0.7 + 0.2 * wave(t, 0.5))
        for i, (px, py, phase) in enumerate(places):
            if look["visitor"] == "bats":
                bx, by = (
                    x - 120 + 240 * px + 50 * (t - 1.5),
                    60 + 120 * py + 12 * wave(t, 0.7, phase),
                )
                scenery.bird(draw, bx, by, 52 + 14 * phase, wave(t, 2.2, phase), (4, 4, 12))
                disc(draw, bx, by - 1, 5, (4, 4, 12))
            elif look["visitor"] == "geese":
                bx = x - 150 + 56 * t + abs(i - 2) * -30 + 60
                scenery.bird(draw, bx, 100 + (i - 2) * 24, 46, wave(t, 1.2, 0.13 * i), (6, 8, 18))
        return img

    return frame


@scene(
    theme="sky and space",
    attributes={
        "n": {
            1: ("one", "a single", "a"),
            2: ("two", "a pair of"),
            4: ("four",),
            7: ("seven", "*a shower of seven"),
        },
        "hue": {
            "blue": ("deep blue", "blue"),
            "purple": ("purple", "violet"),
            "green": ("green", "greenish"),
            "black": ("pitch-black", "black"),
        },
        "place": {
            "tent": ("a lit tent", "a glowing tent", "a camp with a tent"),
            "cactus": ("desert cacti", "a desert with tall cacti"),
            "pines": ("pine trees", "the tops of firs"),
            "friends": ("two people who look up", "a couple watching the stars"),
        },
        "direction": {
            "left": ("to the left", "towards the left"),
            "right": ("to the right", "towards the right"),
        },
    },
    captions=(
        "{n} shooting {n|star|stars} {n|streaks|streak} {direction} across a {hue} night sky above {place}",
        "above {place} {n} {n|meteor|meteors} {n|falls|fall} [{direction}] in a {hue} sky",
        "{n} falling {n|star|stars} with {n|a bright tail|bright tails} in a {hue} starry sky over {place}[, heading {direction}]",
        "{place} under a {hue} sky with {n} shooting {n|star|stars} [moving {direction}]",
    ),
    sound=lambda look, rng: sounds.melody(rng, 6) if look["place"] == "friends" else None,
)
def shooting_stars(look: Look, rng: np.random.Generator) -> Frame:
    top, low = {
        "blue": ((8, 20, 66), (40, 88, 176)),
        "purple": ((34, 10, 60), (132, 66, 168)),
        "green": ((4, 34, 34), (34, 132, 104)),
        "black": ((2, 2, 5), (38, 38, 46)),
    }[str(look["hue"])]
    background = gradient([(0.0, top), (0.85, low), (1.0, low)])
    stars(rng, background, 170, 0.8)
    fill_below(background, ridge(rng, W, 280, 300, 200), shade(top, 0.5), (4, 4, 8))
    draw = ImageDraw.Draw(background)
    if look["place"] == "tent":
        glow(background, 224, 284, 110, (255, 176, 80), 0.6)
        scenery.tent(draw, 224, 310, 128, (222, 116, 50))
    elif look["place"] == "cactus":
        for x, h in ((70, 120), (206, 76), (372, 136)):
            scenery.cactus(draw, x, 314, h, (60, 88, 74) if look["hue"] == "black" else (6, 14, 12))
    elif look["place"] == "pines":
        for x in np.arange(0, W + 20, 30):
            scenery.pine(
                draw,
                x + 12 * rng.random(),
                330,
                60 + 64 * rng.random(),
                (40, 68, 62) if look["hue"] == "black" else (5, 13, 14),
            )
    else:
        ink = (112, 112, 126) if look["hue"] == "black" else (5, 5, 9)
        scenery.person(draw, 206, 312, 96, ink)
        scenery.person(draw, 246, 312, 86, ink)
    n, sign = int(look["n"]), 1 if look["direction"] == "right" else -1
    lanes = rng.permutation(n)
    starts = (np.arange(n) + rng.random(n) * 0.6) / n
    slope = 0.42 + 0.16 * rng.random(n)

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        heads = []
        for i in range(n):
            delay = 0.5 * i / n
            u = min(max((t - delay) / 2.5, 0), 1)
            bright = (
                ease(6 * u) * ease(6 * (1 - u)) if n > 1 else ease(8 * u + 0.2) * ease(8 - 8 * u)
            )
            x0 = W / 2 - sign * (150 - 250 * (starts[i] - 0.5)) if n > 1 else W / 2 - sign * 130
            x = x0 + sign * 210 * u
            y = 24 + (110 * (lanes[i] + 0.5) / n if n > 1 else 20) + 210 * slope[i] * u
            long = (70 if n > 4 else 105) * (0.4 + 0.6 * ease(3 * u))
            for k in range(12):
                a, b = k / 12, (k + 1.3) / 12
                share = (1 - a) ** 1.6 * bright
                stroke(
                    draw,
                    [
                        (x - sign * long * a, y - long * slope[i] * a),
                        (x - sign * long * b, y - long * slope[i] * b),
                    ],
                    mix(mix(top, low, y / 290), (255, 252, 230), share),
                    5.5 * (1 - a) + 1,
                )
            heads.append((x, y, bright))
        for x, y, bright in heads:
            glow(img, x, y, 34, (255, 250, 220), bright)
        return img

    return frame


def _planet_texture(
    rng: np.random.Generator, colour: tuple[int, int, int], surface: str
) -> np.ndarray:
    """The map of a planet that wraps round: [180, 720, 3]."""
    rough = np.repeat(noise(rng, (180, 180), 60, 4), 2, axis=1)  # a map's columns lie closer
    rough = np.concatenate([rough, rough[:, ::-1]], axis=1)  # mirrored, so that the ends meet
    if surface == "striped":
        band = np.arange(180)[:, None] / 180 + 0.05 * (rough - 0.5)
        share = 0.5 + 0.5 * np.sin(band * 2 * np.pi * 6.5 + 1.5 * np.sin(band * 17))
        low, high = shade(colour, 0.62), shade(colour, 1.5)
    elif surface == "cloudy":
        share = np.clip((rough - np.quantile(rough, 0.6)) * 9, 0, 1)
        low, high = shade(colour, 0.8), (250, 250, 248)
    else:
        spots = Image.fromarray((110 + 90 * rough).astype(np.uint8))
        draw = ImageDraw.Draw(spots)
        for _ in range(70):
            r, x, y = 4 + 13 * rng.random() ** 2, rng.random() * 720, 10 + 160 * rng.random()
            disc(draw, x - 1, y - 1, r + 2.5, (250,))
            disc(draw, x, y, r, (40,))
            disc(draw, x + 0.15 * r, y + 0.15 * r, 0.8 * r, (75,))
        share = np.asarray(blurred(spots, 0.8), np.float32) / 255
        low, high = shade(colour, 0.3), shade(colour, 1.25)
    share = share[..., None]
    return np.array(low) * (1 - share) + np.array(high) * share


@scene(
    theme="sky and space",
    attributes={
        "colour": {
            "red": ("red", "rust-red"),
            "blue": ("blue",),
            "green": ("green", "*jade"),
            "purple": ("purple", "violet"),
            "orange": ("orange",),
        },
        "surface": {
            "striped": ("striped", "banded"),
            "cloudy": ("cloudy", "cloud-covered"),
            "cratered": ("cratered", "pockmarked"),
        },
        "rings": {
            "rings": ("with rings", "with a wide ring around it", "circled by rings"),
            "bare": ("without rings", "that has no ring"),
        },
        "n": {1: ("one", "a single"), 3: ("three", "a trio of")},
        "space": {
            "stars": ("in black space", "among the stars"),
            "purple": ("in front of a purple nebula", "before a violet cloud of gas"),
            "green": ("in front of a green nebula", "before a green cloud of gas"),
        },
    },
    captions=(
        "a {surface} {colour} planet {rings} turns {space}, [orbited by {n} {n|moon|moons}]",
        "{n} {n|moon|moons} {n|circles|circle} a {colour} {surface} planet {rings} [{space}]",
        "[{space}] {n} small {n|moon|moons} {n|goes|go} round a {surface} planet {rings}, {colour} in colour",
        "a planet {rings} [{space}], {colour} and {surface}, and {n} {n|moon that orbits|moons that orbit} it",
    ),
)
def orbiting_planet(look: Look, rng: np.random.Generator) -> Frame:
    colour = PAINT[str(look["colour"])]
    background = Image.new("RGB", (W, H), (5, 6, 14))
    if look["space"] != "stars":
        tint = {"purple": (176, 70, 200), "green": (60, 190, 120)}[str(look["space"])]
        gas = np.clip(noise(rng, (W // 2, H // 2), 110, 5) * 2.4 - 0.75, 0, 1)[..., None]
        cloud = Image.fromarray(
            (gas * np.array(tint) * 0.8 + np.array((5, 6, 14)) * (1 - gas)).astype(np.uint8)
        )
        background = cloud.resize((W, H), Image.Resampling.BICUBIC)
    stars(rng, background, 190, 1.0)
    radius = 96
    texture = _planet_texture(rng, colour, str(look["surface"])).astype(np.uint8)
    y, x = (np.mgrid[: 2 * radius, : 2 * radius] - radius + 0.5) / radius
    rim = np.hypot(x, y)
    z = np.sqrt(np.clip(1 - rim**2, 0, 1))
    row = np.clip((np.arcsin(np.clip(y, -1, 1)) / np.pi + 0.5) * 180, 0, 179).astype(np.int64)
    column = (np.arctan2(x, z) / (2 * np.pi) * 720).astype(np.int64)
    light = np.clip(-0.55 * x - 0.45 * y + 0.7 * z, 0.06, 1)[..., None]
    light = (light * 255).astype(np.uint16)
    edge = Image.fromarray((np.clip((1 - rim) * radius + 0.5, 0, 1) * 255).astype(np.uint8))
    rings = scenery.layer()
    if look["rings"] == "rings":
        draw = ImageDraw.Draw(rings)
        for r in range(206, 128, -2):
            tone = 0.75 + 0.5 * rng.random()
            gap = 166 < r < 174
            draw.ellipse(
                (W / 2 - r, H / 2 - 0.27 * r, W / 2 + r, H / 2 + 0.27 * r),
                fill=(0, 0, 0, 0)
                if gap
                else (*shade(mix(colour, (230, 210, 180), 0.65), tone), 235),
            )
        draw.ellipse((W / 2 - 128, H / 2 - 35, W / 2 + 128, H / 2 + 35), fill=(0, 0, 0, 0))
    front = rings.copy()
    front.paste((0, 0, 0, 0), (0, 0, W, H // 2))
    rings, front = (part.rotate(14, Image.Resampling.BICUBIC) for part in (rings, front))
    n = int(look["n"])
    moons = [ball(13 + 6 * ((i + 1) % 2), shade((200, 196, 188), 1 - 0.12 * i)) for i in range(n)]
    starts = rng.random() + np.arange(n) / n + 0.1 * rng.random(n)
    glow(background, W / 2, H / 2, 170, colour, 0.5)
    tilt = math.radians(-14 if look["rings"] == "rings" else -24)

    def frame(t: float) -> Image.Image:
        img = background.copy()
        where = []
        for i in range(n):
            a = 2 * math.pi * (starts[i] + t / 4.5)
            px, py = (158 + 18 * i) * math.cos(a), 62 * math.sin(a)
            where.append((
                math.sin(a),
                W / 2 + px * math.cos(tilt) - py * math.sin(tilt),
                H / 2 + px * math.sin(tilt) + py * math.cos(tilt),
            ))  # fmt: skip
        img.paste(rings, (0, 0), rings)
        for i, (depth, mx, my) in enumerate(where):
            if depth < 0:
                stamp(img, moons[i], mx, my, 0, 0.85)
        globe = (texture[row, (column + round(50 * t)) % 720] * light) >> 8
        img.paste(Image.fromarray(globe.astype(np.uint8)), (W // 2 - radius, H // 2 - radius), edge)
        img.paste(front, (0, 0), front)
        for i, (depth, mx, my) in enumerate(where):
            if depth >= 0:
                stamp(img, moons[i], mx, my)
        return img

    return frame


@scene(
    theme="sky and space",
    attributes={
        "colour": {
            "blue": ("blue", "bluish"),
            "pink": ("pink", "*magenta"),
            "gold": ("golden", "gold"),
            "green": ("green", "emerald"),
            "red": ("red", "reddish"),
        },
        "shape": {
            "spiral": ("spiral galaxy", "galaxy with two spiral arms"),
            "ring": ("ring-shaped galaxy", "galaxy shaped like a ring"),
            "cloud": ("ball-shaped cluster of stars", "round star cluster"),
        },
        "view": {
            "face": ("seen face on", "seen from above"),
            "tilted": ("seen at a slant", "tilted to one side"),
        },
        "visitor": {
            "comet": ("a comet", "a comet with a long tail"),
            "probe": ("a space probe", "a satellite with solar panels"),
            "rock": ("a brown asteroid", "a tumbling asteroid", "a tumbling rock"),
        },
    },
    captions=(
        "a {colour} {shape} {view} slowly turns while {visitor} passes",
        "{visitor} drifts in front of a {colour} {shape} [{view}]",
        "deep in space {visitor} crosses before a {shape}, {view}, that glows {colour}",
        "a {shape} in {colour} light [, {view},] slowly spins [and {visitor} flies by]",
    ),
)
def galaxy(look: Look, rng: np.random.Generator) -> Frame:
    colour = {**PAINT, "pink": (250, 96, 176), "blue": (64, 140, 255), "gold": (255, 190, 70)}[
        str(look["colour"])
    ]
    side = 400
    y, x = (np.mgrid[: side // 2, : side // 2] - side / 4 + 0.5) / (side / 4)
    r, angle = np.hypot(x, y), np.arctan2(y, x)
    grain = noise(rng, (side // 2, side // 2), 16, 4)
    if look["shape"] == "spiral":
        arm = np.cos(2 * (angle - 2.6 * np.log(r + 0.08))) * 0.5 + 0.5
        dust = arm**2.2 * np.clip(1.1 - r, 0, 1) ** 1.1 * (0.35 + grain) * 1.5
        core = np.exp(-((r / 0.16) ** 2))
    elif look["shape"] == "ring":
        dust = np.exp(-(((r - 0.68) / 0.14) ** 2)) * (0.3 + 1.3 * grain)
        core = np.exp(-((r / 0.13) ** 2))
    else:
        dust = np.exp(-((r / 0.42) ** 2)) * (0.5 + 0.7 * grain)
        core = 0.6 * np.exp(-((r / 0.2) ** 2))
    light = dust[..., None] * np.array(colour) * 1.15 + core[..., None] * np.array((255, 240, 210))
    disc_img = Image.fromarray(np.clip(light, 0, 255).astype(np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    draw = ImageDraw.Draw(disc_img)
    density = np.clip(dust + core, 0, None).ravel() ** 1.3
    for spot in rng.choice(density.size, 420, p=density / density.sum()):
        sx, sy, big = 2 * (spot % (side // 2)), 2 * (spot // (side // 2)), rng.random()
        disc(draw, sx, sy, 0.8 + 1.4 * big**3, shade(colour, 1.55 + 0.4 * big))
    background = gradient([(0.0, (4, 5, 14)), (1.0, (12, 10, 26))])
    stars(rng, background, 200, 1.0)
    wide, tall, lean = (1.1, 0.46, 24) if look["view"] == "tilted" else (0.84, 0.84, 0)
    lean = math.radians(lean)
    view = np.array(
        [
            [2 / wide * math.cos(lean), -2 / wide * math.sin(lean)],
            [2 / tall * math.sin(lean), 2 / tall * math.cos(lean)],
        ]
    )

    def probe(draw: ImageDraw.ImageDraw, s: float) -> None:
        for left in (2, 70):
            draw.rectangle((left * s, 22 * s, (left + 38) * s, 48 * s), fill=(58, 96, 190))
            for i in range(1, 4):
                line = (left + 9.5 * i) * s
                draw.line([(line, 22 * s), (line, 48 * s)], fill=(190, 204, 236), width=round(s))
        draw.rectangle((40 * s, 33 * s, 70 * s, 37 * s), fill=(190, 190, 190))
        draw.rounded_rectangle((44 * s, 18 * s, 66 * s, 54 * s), 5 * s, fill=(226, 196, 120))
        draw.pieslice((40 * s, 0, 70 * s, 26 * s), 0, 180, fill=(240, 240, 236))

    def rock(draw: ImageDraw.ImageDraw, s: float) -> None:
        turns = np.linspace(0, 2 * math.pi, 13)[:-1]
        rough = 30 + 9 * rng.random(12)
        draw.polygon(
            [
                ((40 + q * math.cos(a)) * s, (40 + 0.8 * q * math.sin(a)) * s)
                for a, q in zip(turns, rough, strict=True)
            ],
            fill=(150, 108, 76),
        )
        for cx, cy, cr in ((30, 32, 8), (50, 46, 10), (54, 26, 5), (28, 52, 5)):
            disc(draw, cx * s, cy * s, cr * s, (98, 68, 48))

    visitor = {"probe": sprite(110, 60, probe), "rock": sprite(80, 80, rock)}.get(
        str(look["visitor"])
    )

    def frame(t: float) -> Image.Image:
        img = background.copy()
        # One affine map turns, squashes and leans the galaxy, at the film's own size.
        a = math.radians(13 * t)
        spin = np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
        back = spin @ view
        shift = side / 2 - back @ (W / 4, H / 4)
        data = (*back[0], shift[0], *back[1], shift[1])
        half = disc_img.transform(
            (W // 2, H // 2), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR
        )
        img = ImageChops.screen(background, half.resize((W, H), Image.Resampling.BILINEAR))
        x, y = 96 + 62 * t, 262 - 20 * t
        if visitor is None:
            draw = ImageDraw.Draw(img)
            for k in range(26, 0, -1):
                disc(
                    draw,
                    x - 6.2 * k,
                    y + 2.6 * k,
                    10 * (1 - k / 30) + 1,
                    mix((190, 226, 255), (16, 18, 40), k / 27),
                )
            disc(draw, x, y, 11, (240, 250, 255))
            glow(img, x, y, 60, (170, 214, 255), 0.9)
        else:
            stamp(img, visitor, x, y, (36 * t if look["visitor"] == "rock" else 18 + 5 * t))
        return img

    return frame


@scene(
    theme="sky and space",
    attributes={
        "colour": {
            "green": ("green",),
            "purple": ("purple", "violet"),
            "red": ("red", "crimson"),
            "blue": ("blue", "*azure"),
            "pink": ("pink",),
        },
        "subject": {
            "igloo": ("an igloo", "an igloo of snow blocks"),
            "cabin": ("a log cabin", "a wooden hut", "a lonely cabin"),
            "tent": ("an orange tent", "a glowing tent"),
            "people": ("three people", "three onlookers"),
        },
        "back": {
            "mountains": ("snowy mountains", "snow-capped peaks"),
            "pines": ("a fir forest", "tall pines"),
            "plain": ("a wide snowfield", "an empty plain of snow"),
        },
        "side": _SIDE_WORDS,
    },
    captions=(
        "{colour} northern lights wave over {back} with {subject} {side}",
        "a {colour} aurora flickers above {back}, {subject} {side}",
        "{subject} {side} under [shimmering] {colour} polar lights [, with {back} behind]",
        "curtains of {colour} light sway in the night sky over {subject} {side} [and {back}]",
    ),
    sound=lambda look, rng: sounds.wind(rng, 0.35) if look["back"] == "plain" else None,
)
def aurora(look: Look, rng: np.random.Generator) -> Frame:
    colour = {
        "green": (60, 255, 130), "purple": (170, 70, 255), "red": (255, 52, 60),
        "blue": (50, 130, 255), "pink": (255, 110, 190),
    }[str(look["colour"])]  # fmt: skip
    background = gradient([(0.0, (4, 8, 26)), (1.0, (22, 34, 70))])
    stars(rng, background, 150, 0.7)
    front = scenery.layer()
    draw = ImageDraw.Draw(front)
    snow = mix((120, 136, 178), colour, 0.16)
    if look["back"] == "mountains":
        line = ridge(rng, W, 168, 264, 120)
        fill_below(front, line, mix((190, 204, 236), colour, 0.2), (36, 46, 84))
        fill_below(front, line + 26 + 16 * noise(rng, (W, 1), 14, 2)[0], (40, 50, 88))
    elif look["back"] == "pines":
        for x in np.arange(-4, W + 20, 20):
            scenery.pine(draw, x + 10 * rng.random(), 290, 60 + 70 * rng.random(), (12, 34, 40))
    fill_below(front, ridge(rng, W, 268, 282, 260), snow, shade(snow, 0.5))
    x = _SIDES[str(look["side"])] * W
    if look["subject"] == "cabin":
        scenery.cottage(draw, x, 312, 108, (104, 70, 46), (214, 222, 240))
    elif look["subject"] == "tent":
        scenery.tent(draw, x, 314, 116, (226, 120, 48))
    elif look["subject"] == "people":
        for dx, h in ((-34, 84), (0, 94), (34, 76)):
            scenery.person(draw, x + dx, 316, h, (10, 12, 24))
    else:
        draw.pieslice((x - 62, 248, x + 62, 376), 180, 360, fill=(224, 234, 248))
        for i in range(1, 4):
            half = 62 * math.sqrt(1 - (16 * i / 64) ** 2)
            draw.line(
                [(x - half, 312 - 16 * i), (x + half, 312 - 16 * i)], fill=(160, 178, 212), width=2
            )
            for k in (-0.7, -0.25, 0.2, 0.65):
                cx = x + (k + 0.12 * (i % 2)) * half
                draw.line(
                    [(cx, 312 - 16 * i), (cx, 312 - 16 * (i - 1))], fill=(160, 178, 212), width=2
                )
        draw.rectangle((x - 62, 312, x + 62, 316), fill=snow)
        draw.pieslice((x - 24, 276, x + 24, 352), 180, 360, fill=(44, 54, 88))
    rays = noise(rng, (336, 1), 9, 2)[0].astype(np.float32)
    wide, tall = 112, 70
    row, column = np.mgrid[:tall, :wide].astype(np.float32)
    shift = rng.random(3)
    low_light = np.array(colour, np.float32)
    top = mix(colour, (140, 60, 220), 0.4) if look["colour"] != "purple" else (255, 90, 200)
    top_light = np.array(top, np.float32)

    def frame(t: float) -> Image.Image:
        light = np.zeros((tall, wide, 3), np.float32)
        for k in range(3):
            u = column[0] / wide * 2 * np.pi
            low = (
                34
                + 10 * k
                + 9 * np.sin(1.1 * u + 2 * np.pi * shift[k] + 0.55 * t)
                + 3 * np.sin(2.9 * u - 0.8 * t)
            )
            up = low[None].astype(np.float32) - row
            ray = np.interp(
                column[0] * 1.4 + 5 * np.sin(0.6 * t + k) + 40 * k + 20, np.arange(336), rays
            )
            ray = ray.astype(np.float32)
            fade = np.exp(-np.clip(up, 0, None) / (6 + 22 * ray[None])) * np.clip(up / 9 + 1, 0, 1)
            fade *= (0.25 + 1.3 * ray[None] ** 1.5) * (0.9 - 0.18 * k)
            share = np.clip(up / 45, 0, 1)[..., None]
            light += fade[..., None] * (low_light * (1 - share) + top_light * share)
        curtain = Image.fromarray(np.clip(light, 0, 255).astype(np.uint8)).resize(
            (W, 4 * tall), Image.Resampling.BICUBIC
        )
        img = background.copy()
        img.paste(ImageChops.screen(img.crop((0, 0, W, 4 * tall)), curtain), (0, 0))
        img.paste(front, (0, 0), front)
        if look["subject"] in ("tent", "cabin"):
            glow(img, x, 296, 70, (255, 170, 80), 0.4 + 0.06 * wave(t, 0.7))
        return img

    return frame


def _rocket(colour: tuple[int, int, int], boosters: bool) -> Image.Image:
    def paint(draw: ImageDraw.ImageDraw, s: float) -> None:
        if boosters:
            for x, light in ((17, 1.0), (81, 0.8)):
                draw.rectangle(
                    (x * s, 84 * s, (x + 18) * s, 166 * s), fill=shade((232, 230, 224), light)
                )
                draw.polygon(
                    [(x * s, 84 * s), ((x + 9) * s, 58 * s), ((x + 18) * s, 84 * s)],
                    fill=shade(colour, light),
                )
                draw.rectangle((x * s, 148 * s, (x + 18) * s, 153 * s), fill=(70, 70, 78))
        else:
            for side in (-1, 1):
                x = 58 + side * 16
                draw.polygon(
                    [(x * s, 116 * s), ((x + side * 28) * s, 174 * s), (x * s, 162 * s)],
                    fill=shade(colour, 0.62),
                )
        for i in range(34):  # the round body, column by column
            light = 0.66 + 0.62 * math.sin(math.pi * (i + 0.5) / 34 * 0.85 + 0.3)
            top = 62 - 54 * math.cos(math.pi * ((i + 0.5) / 34 - 0.5)) ** 0.75
            left, right = (41 + i) * s, (42 + i) * s
            draw.rectangle((left, 62 * s, right, 164 * s), fill=shade(colour, light))
            draw.rectangle(
                (left, top * s, right, 62 * s), fill=shade((240, 238, 232), min(light, 1.2))
            )
        draw.rectangle((41 * s, 60 * s, 75 * s, 65 * s), fill=(60, 60, 70))
        for y in (84, 112):
            disc(draw, 58 * s, y * s, 9 * s, (232, 226, 210))
            disc(draw, 58 * s, y * s, 6.5 * s, (70, 120, 176))
        draw.polygon(
            [(46 * s, 164 * s), (70 * s, 164 * s), (75 * s, 176 * s), (41 * s, 176 * s)],
            fill=(66, 66, 74),
        )

    return sprite(116, 178, paint)


@scene(
    theme="sky and space",
    attributes={
        "colour": {
            "red": ("red", "*cherry-red"),
            "blue": ("blue",),
            "yellow": ("yellow",),
            "green": ("green",),
            "black": ("black",),
        },
        "boosters": {
            "boosters": ("with two boosters", "with a booster on either side"),
            "fins": ("with fins", "with two fins", "with swept fins"),
        },
        "place": {
            "desert": ("the desert", "a desert with red rocks"),
            "coast": ("the coast", "the seaside", "the edge of the sea"),
            "moon": ("the grey surface of the moon", "the dusty ground of the moon"),
            "jungle": ("a palm jungle", "a clearing among palms"),
        },
        "side": _SIDE_WORDS,
    },
    captions=(
        "a {colour} rocket {boosters} (lifts off|takes off) from {place} {side}",
        "{side} a {colour} rocket {boosters} blasts off [in a cloud of smoke] from {place}",
        "launch of a {colour} space rocket {boosters} [{side}] from {place}",
        "smoke and fire {side} as a {colour} rocket {boosters} leaves {place}",
    ),
    sound=lambda look, rng: (
        sounds.together(
            0.8 * sounds.hiss(rng, 30, 420) * np.minimum(1, sounds.seconds() / 0.5),
            0.25 * sounds.hiss(rng, 400, 2500),
        )
        if look["place"] != "moon"
        else None
    ),
    poster_s=2.0,
)
def rocket_launch(look: Look, rng: np.random.Generator) -> Frame:
    place = look["place"]
    if place == "moon":
        background = Image.new("RGB", (W, H), (5, 6, 12))
        stars(rng, background, 170, 0.9)
        earth_x = 0.8 * W if look["side"] != "right" else 0.2 * W
        earth = ball(44, (52, 112, 200))
        stamp(background, earth, earth_x, 76)
        draw = ImageDraw.Draw(background)
        for dx, dy, r in ((-12, -8, 13), (8, 6, 10), (-2, 20, 8), (-22, 8, 7)):
            disc(draw, earth_x + dx, 76 + dy, r, (88, 162, 96))
        ground, smoke = (150, 150, 154), (206, 204, 204)
    else:
        background = sky({"desert": "dusk", "coast": "day", "jungle": "dawn"}[str(place)], 0.82)
        ground, smoke = {
            "desert": ((190, 96, 54), (236, 206, 190)),
            "coast": ((222, 200, 150), (246, 246, 246)),
            "jungle": ((70, 120, 62), (240, 232, 226)),
        }[str(place)]
    draw = ImageDraw.Draw(background)
    if place == "coast":
        scenery.water(background, 258, (46, 120, 176), rng)
        stamp(
            background,
            scenery.sail_boat(36, (120, 70, 50), (250, 246, 236)),
            0.52 * W if look["side"] != "middle" else 60,
            256,
        )
    elif place == "desert":
        for x, w, h in ((60, 90, 80), (240, 60, 50), (390, 110, 66)):
            draw.polygon(
                [
                    (x - w / 2, 290),
                    (x - 0.38 * w, 290 - h),
                    (x + 0.36 * w, 290 - h),
                    (x + w / 2, 290),
                ],
                fill=(140, 62, 50),
            )
    elif place == "jungle":
        for x in np.arange(-20, W, 34):
            scenery.palm(
                draw,
                x + 14 * rng.random(),
                306,
                84 + 56 * rng.random(),
                (36, 84 + int(30 * rng.random()), 50),
            )
    fill_below(background, ridge(rng, W, 280 if place != "coast" else 290, 296, 240), ground)
    if place == "moon":
        for _ in range(9):
            x, y, r = W * rng.random(), 300 + 30 * rng.random(), 10 + 18 * rng.random()
            draw.ellipse((x - r, y - 0.3 * r, x + r, y + 0.3 * r), fill=(104, 104, 110))
    x = _SIDES[str(look["side"])] * W
    draw.rectangle((x - 50, 292, x + 50, 300), fill=(84, 84, 90))
    for i in range(9):
        y = 292 - 17 * i
        draw.line(
            [(x + 58, y), (x + 72, y - 17), (x + 58, y - 17), (x + 72, y)],
            fill=(96, 60, 56),
            width=3,
        )
    rocket = turned(_rocket(PAINT[str(look["colour"])], look["boosters"] == "boosters"), 0, 0.82)
    puffs = [
        [scenery.puff(shade(smoke, tone), 12 + 6 * k) for k in range(9)]
        for tone in (0.78, 0.9, 1.0)
    ]
    # A yellow core in an orange flame.

    flame = sprite(40, 90, lambda d, s: (
        d.polygon([(2 * s, 0), (38 * s, 0), (20 * s, 90 * s)], fill=(255, 138, 36, 235)),
        d.polygon([(9 * s, 0), (31 * s, 0), (20 * s, 58 * s)], fill=(255, 232, 130, 255)),
    ))  # fmt: skip
    jitter = rng.random((48, 3))

    def base(t: float) -> float:
        return 290 - 118 * ease((t - 0.2) / 3.2)

    def frame(t: float) -> Image.Image:
        img = background.copy()
        foot = base(t)
        for i, (a, b, c) in enumerate(jitter):
            born = 0.068 * i
            age = t - born + 0.25
            if age <= 0:
                continue
            side = 1 if i % 2 else -1
            grow = ease_out(age / 1.6)
            px = x + side * (14 + (95 * a + 20) * grow)
            py = 296 - 34 * b * grow
            if i % 3 == 0:  # the trail below the rocket
                px, py = x + 18 * (a - 0.5) * (1 + grow), min(base(born) + 54 + 14 * b, 296)
            stamp(img, puffs[i % 3][min(8, round((0.6 + 0.4 * c) * 8 * grow))], px, py)
        long = 0.85 + 0.3 * abs(wave(t, 1.3)) + 0.2 * ease(t)
        glow(img, x, foot + 20, 90, (255, 150, 60), 0.8)
        stamp(img, flame, x, foot - 3 + 38 * long, 0, (0.85, 0.85 * long))
        if look["boosters"] == "boosters":
            for dx in (-26, 26):
                stamp(img, flame, x + dx, foot - 10 + 22 * long, 0, (0.42, 0.5 * long))
        stamp(img, rocket, x, foot - 72)
        return img

    return frame


@scene(
    theme="sky and space",
    attributes={
        "kind": {
            "total": ("total eclipse of the sun", "total solar eclipse"),
            "ring": ("ring-shaped eclipse of the sun", "annular solar eclipse"),
            "partial": ("partial eclipse of the sun", "partial solar eclipse"),
        },
        "colour": {
            "white": ("white", "pale"),
            "orange": ("orange", "fiery orange"),
            "blue": ("blue", "icy blue"),
            "pink": ("pink", "rosy pink"),
        },
        "place": {
            "stones": ("a circle of standing stones", "ancient standing stones"),
            "city": ("a city", "tower blocks", "the roofs of a city"),
            "sea": ("the sea", "calm water", "*the glassy ocean"),
            "mesa": ("rocky towers in a desert", "desert rocks"),
        },
        "n": {1: ("one", "a single"), 2: ("two",), 5: ("five",)},
    },
    captions=(
        "a {kind} with {colour} light over {place}, [{n} {n|person looks|people look} on]",
        "{n} {n|person watches|people watch} a {kind} [in {colour} light] above {place}",
        "the moon slides before the sun: a {kind} above {place}, {colour} light, [{n} {n|onlooker|onlookers}]",
        "{n} {n|figure stands|figures stand} before {place} during a {kind} [that glows {colour}]",
    ),
    sound=lambda look, rng: sounds.surf(rng, 3.0) if look["place"] == "sea" else None,
)
def eclipse(look: Look, rng: np.random.Generator) -> Frame:
    colour = {
        "white": (236, 236, 226),
        "orange": (255, 148, 40),
        "blue": (90, 160, 255),
        "pink": (255, 120, 176),
    }[str(look["colour"])]
    background = gradient(
        [
            (0.0, (10, 12, 28)),
            (0.55, mix((24, 26, 54), colour, 0.18)),
            (0.82, mix((40, 40, 70), colour, 0.55)),
            (1.0, colour),
        ]
    )
    stars(rng, background, 60, 0.5)
    ink, ground = (8, 7, 12), mix(colour, (30, 26, 40), 0.62)
    front = scenery.layer()
    draw = ImageDraw.Draw(front)
    if look["place"] == "sea":
        scenery.water(front, 262, mix((24, 34, 62), colour, 0.22), rng)
    elif look["place"] == "city":
        scenery.skyline(front, rng, H, 66, 150, (26, 26, 40), mix(colour, (255, 214, 130), 0.5))
    elif look["place"] == "stones":
        for x in np.linspace(30, W - 30, 7):
            h = 66 + 24 * rng.random()
            draw.polygon(
                [(x - 17, 304), (x - 13, 304 - h), (x + 12, 300 - h), (x + 18, 304)],
                fill=(72, 70, 92),
            )
        for x in np.linspace(30, W - 30, 7)[:-1:2]:
            draw.rectangle((x - 18, 226, x + 84, 244), fill=(84, 82, 104))
    else:
        for x, w, h in ((50, 84, 100), (170, 40, 66), (286, 60, 84), (400, 100, 124)):
            draw.polygon(
                [
                    (x - w / 2, 312),
                    (x - 0.4 * w, 312 - h),
                    (x + 0.36 * w, 312 - h),
                    (x + w / 2, 312),
                ],
                fill=(44, 26, 30),
            )
    if look["place"] != "sea":
        fill_below(front, ridge(rng, W, 288, 298, 200), ground)
    n = int(look["n"])
    for i in range(n):
        x = W / 2 + (i - (n - 1) / 2) * 62 + 8 * (rng.random() - 0.5)
        scenery.person(draw, x, 334, 84 + 14 * rng.random(), ink)
    cx, cy, r = W / 2, 108, 58
    glow(background, cx, cy, 220, colour, 0.7)
    yy, xx = (np.mgrid[-150:150, -150:150] + 0.5) / r
    around = noise(rng, (120, 1), 16, 3)[0]
    around = np.concatenate([around, around[::-1]])  # mirrored, so that the ends meet
    around = np.interp(np.arctan2(yy, xx), np.linspace(-np.pi, np.pi, 240), around)
    far = np.clip(np.hypot(xx, yy) - 0.98, 0, None)
    light = np.exp(-far / (0.1 + 0.75 * around**1.6)) * np.clip((2.5 - np.hypot(xx, yy)), 0, 1)
    light = np.clip(light[..., None] * np.array(mix(colour, (255, 255, 255), 0.25)), 0, 255)
    corona = Image.fromarray(light.astype(np.uint8)).crop((0, 150 - round(cy), 300, 300))
    around_box = (round(cx) - 150, 0, round(cx) + 150, round(cy) + 150)
    size = {"total": 60, "ring": 48, "partial": 56}[str(look["kind"])]
    rest = {"total": 0.0, "ring": 0.0, "partial": 0.72}[str(look["kind"])]

    def frame(t: float) -> Image.Image:
        img = background.copy()
        covered = ease(t / 1.1)
        away = 2.0 * r * (1 - covered) + rest * r * covered
        if look["kind"] == "partial":
            away = r * (1.35 - 0.3 * t)
        deep = max(0.0, 1 - away / (2 * r))

        if look["kind"] == "total":
            sky_box = img.crop(around_box)
            img.paste(Image.blend(sky_box, ImageChops.screen(sky_box, corona), deep**2), around_box)
        draw = ImageDraw.Draw(img)
        disc(draw, cx, cy, r, mix(colour, (255, 255, 240), 0.55))
        moon = (14, 14, 26) if look["kind"] != "partial" else mix((20, 20, 36), colour, 0.14)
        disc(draw, cx + 0.86 * away, cy - 0.5 * away, size, moon)
        img.paste(front, (0, 0), front)
        if look["place"] == "sea":
            scenery.glints(
                ImageDraw.Draw(img), t, cx - 110, 262, mix(colour, (60, 60, 90), 0.35), 12, 0.6
            )
            scenery.glints(
                ImageDraw.Draw(img), t + 2, cx + 110, 262, mix(colour, (60, 60, 90), 0.35), 12, 0.6
            )
        return img

    return frame


def _kite(colour: tuple[int, int, int], shape: str) -> Image.Image:
    light, dark, pale = shade(colour, 1.25), shade(colour, 0.68), (250, 240, 214)

    def paint(draw: ImageDraw.ImageDraw, s: float) -> None:
        def area(points: list[tuple[float, float]], fill: tuple[int, int, int]) -> None:
            draw.polygon([(x * s, y * s) for x, y in points], fill=fill)

        if shape == "diamond":
            area([(60, 4), (12, 50), (60, 50)], light)
            area([(60, 4), (108, 50), (60, 50)], colour)
            area([(12, 50), (60, 116), (60, 50)], colour)
            area([(108, 50), (60, 116), (60, 50)], dark)
            draw.line([(60 * s, 4 * s), (60 * s, 116 * s)], fill=pale, width=round(3 * s))
            draw.line([(12 * s, 50 * s), (108 * s, 50 * s)], fill=pale, width=round(3 * s))
        elif shape == "fish":
            area([(84, 60), (118, 30), (112, 60), (118, 90)], dark)
            draw.ellipse((4 * s, 30 * s, 96 * s, 90 * s), fill=colour)
            draw.pieslice((4 * s, 30 * s, 96 * s, 90 * s), 200, 340, fill=light)
            area([(40, 34), (64, 10), (72, 36)], dark)
            area([(44, 86), (62, 108), (68, 84)], dark)
            for x in (44, 58, 72):
                draw.arc(
                    ((x - 12) * s, 40 * s, (x + 12) * s, 80 * s),
                    100,
                    260,
                    fill=pale,
                    width=round(3 * s),
                )
            disc(draw, 24 * s, 54 * s, 8 * s, (255, 255, 255))
            disc(draw, 22 * s, 54 * s, 4 * s, (20, 20, 30))
        elif shape == "butterfly":
            for side in (-1, 1):
                for cx, cy, rx, ry, fill in ((30, 40, 30, 32, colour), (24, 88, 22, 24, dark)):
                    x = 60 + side * cx
                    draw.ellipse(
                        ((x - rx) * s, (cy - ry) * s, (x + rx) * s, (cy + ry) * s), fill=fill
                    )
                    disc(draw, x * s, cy * s, 0.42 * rx * s, pale)
            draw.rounded_rectangle((55 * s, 20 * s, 65 * s, 112 * s), 5 * s, fill=(46, 40, 46))
        else:
            for y in (6, 72):
                area([(18, y + 8), (74, y), (104, y + 10), (48, y + 20)], shade(colour, 0.5))
                area([(18, y + 8), (48, y + 20), (48, y + 44), (18, y + 32)], light)
                area([(48, y + 20), (104, y + 10), (104, y + 34), (48, y + 44)], colour)
            for x, y in ((18, 14), (48, 26), (104, 16), (74, 6)):
                draw.line(
                    [(x * s, y * s), (x * s, (y + 90) * s)], fill=(90, 66, 44), width=round(3 * s)
                )

    return sprite(122, 120, paint)


@scene(
    theme="sky and space",
    attributes={
        "colour": {
            "red": ("red", "scarlet"),
            "yellow": ("yellow",),
            "green": ("green",),
            "purple": ("purple", "violet"),
            "orange": ("orange",),
        },
        "shape": {
            "diamond": ("diamond-shaped kite", "diamond kite"),
            "fish": ("fish-shaped kite", "kite shaped like a fish"),
            "butterfly": ("butterfly kite", "kite shaped like a butterfly"),
            "box": ("box kite", "box-shaped kite"),
        },
        "place": {
            "beach": ("on the beach", "by the sea", "at the seaside"),
            "meadow": ("over a flower meadow", "above a field full of flowers"),
            "snow": ("over snowy hills", "in a snow-covered landscape"),
            "park": ("in a city park", "in front of a city"),
        },
        "weather": {
            "day": ("blue", "clear blue"),
            "overcast": ("grey", "overcast", "*leaden"),
            "dusk": ("reddish evening", "glowing evening"),
        },
    },
    captions=(
        "a {colour} {shape} flies {place} under a {weather} sky",
        "a child flies a {colour} {shape} {place} [in a {weather} sky]",
        "{place} a {colour} {shape} with a [long] tail dances in the {weather} sky",
        "a {shape}, {colour}, sways on its string [{place}] in a {weather} sky",
    ),
    sound=lambda look, rng: (
        sounds.surf(rng)
        if look["place"] == "beach"
        else (sounds.wind(rng) if look["weather"] == "overcast" else None)
    ),
)
def kite(look: Look, rng: np.random.Generator) -> Frame:
    background = sky(str(look["weather"]), 0.8)
    cover = clouds(rng, (255, 252, 248), 0.3 if look["weather"] == "day" else 0.2, height=150)
    dim = {"day": 1.0, "overcast": 0.8, "dusk": 0.6}[str(look["weather"])]
    draw = ImageDraw.Draw(background)
    place = look["place"]
    if place == "beach":
        scenery.water(background, 246, shade((44, 128, 180), dim), rng)
        fill_below(background, ridge(rng, W, 284, 300, 260), shade((232, 206, 150), dim))
    elif place == "park":
        scenery.skyline(
            background,
            rng,
            270,
            40,
            110,
            shade((120, 132, 156), dim),
            (250, 226, 150) if dim < 0.7 else None,
        )
        for x in np.arange(0, W + 20, 46):
            scenery.round_tree(
                draw, x + 20 * rng.random(), 284, 50 + 20 * rng.random(), shade((60, 128, 70), dim)
            )
        fill_below(background, ridge(rng, W, 272, 284, 260), shade((104, 172, 88), dim))
    else:
        tint = (236, 242, 250) if place == "snow" else (104, 176, 84)
        fill_below(
            background, ridge(rng, W, 228, 264, 180), shade(mix(tint, (150, 180, 210), 0.35), dim)
        )
        fill_below(background, ridge(rng, W, 270, 292, 240), shade(tint, dim))
        for _ in range(64 if place == "meadow" else 0):
            flower = [(250, 230, 90), (244, 120, 160), (250, 250, 250), (226, 70, 60)][
                rng.integers(4)
            ]
            disc(draw, W * rng.random(), 296 + 38 * rng.random(), 3.6, shade(flower, dim))
        for x in np.arange(10, W, 70) if place == "snow" else ():
            scenery.pine(
                draw, x + 40 * rng.random(), 284, 40 + 20 * rng.random(), shade((70, 110, 104), dim)
            )
    hand = (92 + 20 * rng.random(), 262)
    shadow(background, hand[0] - 4, 318, 26, 6)
    scenery.person(draw, hand[0] - 10, 318, 72, (52, 52, 82))
    stroke(draw, [(hand[0] - 8, 276), hand], (52, 52, 82), 8)
    colour = PAINT[str(look["colour"])]
    picture = _kite(colour, str(look["shape"]))
    phase = rng.random()

    def frame(t: float) -> Image.Image:
        img = background.copy()
        if look["weather"] != "overcast":
            scroll(img, cover, 14 * t + 60, 4)
        x = 290 + 44 * wave(t, 0.33, phase)
        y = 92 + 22 * wave(t, 0.66, 2 * phase + 0.2)
        lean = -16 * wave(t, 0.33, phase + 0.25)
        draw = ImageDraw.Draw(img)
        sag = [
            (hand[0] + (x - hand[0]) * u, hand[1] + (y - hand[1]) * u + 46 * u * (1 - u))
            for u in np.linspace(0, 1, 14)
        ]
        draw.line(sag, fill=(60, 56, 60), width=2)
        tail = [
            (x + 20 * u + 15 * u * wave(t, 0.8, -1.3 * u), y + 50 + 112 * u)
            for u in np.linspace(0, 1, 16)
        ]
        stroke(draw, tail, shade(colour, 0.75), 4)
        for i in range(3, 16, 4):
            tx, ty = tail[i]
            for side in (-1, 1):
                draw.polygon(
                    [(tx, ty), (tx + side * 14, ty - 8), (tx + side * 14, ty + 8)],
                    fill=shade(colour, 1.3),
                )
        stamp(img, picture, x, y, lean, 1.12)
        return img

    return frame
