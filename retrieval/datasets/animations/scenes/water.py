"""Water."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    wave,
)
from retrieval.datasets.animations.scene import Frame, Look, scene

_HILLS: dict[str, tuple[Colour, Colour]] = {  # far and near, at a time of day
    "day": ((136, 166, 204), (90, 128, 160)),
    "dusk": ((150, 76, 110), (98, 50, 88)),
    "night": ((74, 88, 136), (44, 56, 98)),
    "storm": ((50, 54, 66), (30, 34, 44)),
}
# How bright and of what tint things are at a time of day.
_LIGHT = {"day": 1.0, "dusk": 0.8, "night": 0.55, "overcast": 0.88, "storm": 0.62}
_SEA: dict[str, tuple[Colour, Colour]] = {  # far and near
    "day": ((34, 104, 164), (92, 196, 200)),
    "dusk": ((112, 58, 100), (232, 146, 116)),
    "night": ((14, 22, 56), (52, 84, 128)),
    "overcast": ((84, 102, 114), (146, 166, 168)),
    "storm": ((34, 44, 58), (88, 108, 118)),
}


def poly(
    draw: ImageDraw.ImageDraw, s: float, points: Sequence[tuple[float, float]], colour: Colour
) -> None:
    """A filled polygon whose coordinates are multiplied by s."""
    draw.polygon([(x * s, y * s) for x, y in points], fill=colour)


def lit(img: Image.Image, field: np.ndarray) -> Image.Image:
    """The picture brightened and darkened by a coarse field [h, w] in about -1..1."""
    level = np.clip(128 + 110 * field, 0, 255).astype(np.uint8)
    layer = Image.fromarray(level).resize(img.size, Image.Resampling.BICUBIC)
    return ImageChops.add(img, Image.merge("RGB", (layer, layer, layer)), 1, -128)


def sea_below(img: Image.Image, horizon: int, time: str, rng: np.random.Generator) -> None:
    """Paint the sea from the horizon down, streaked, with the sun's or moon's path, in place."""
    far, near = _SEA[time]
    water = gradient([(0, far), (0.55, mix(far, near, 0.6)), (1, near)], (W, H - horizon))
    streaks = noise(rng, (28, (H - horizon) // 3), 7, 2) - 0.5
    img.paste(lit(water, 0.35 * streaks), (0, horizon))


def _sailing_boat(hull: Colour, sail: Colour) -> Image.Image:
    def paint(draw, s):
        poly(draw, s, [(10, 112), (150, 106), (132, 140), (34, 140)], shade(hull, 0.72))
        poly(draw, s, [(10, 112), (150, 106), (146, 116), (15, 121)], hull)
        draw.rectangle((76 * s, 8 * s, 80 * s, 114 * s), fill=(92, 62, 42))
        poly(draw, s, [(82, 10), (140, 100), (82, 104)], sail)
        poly(draw, s, [(82, 60), (140, 100), (82, 104)], shade(sail, 0.88))
        poly(draw, s, [(74, 20), (74, 104), (24, 106)], shade(sail, 0.94))

    return sprite(160, 144, paint)


def _umbrella() -> Image.Image:
    def paint(draw, s):
        draw.line([(84 * s, 30 * s), (70 * s, 168 * s)], fill=(236, 226, 210), width=5 * s)
        for i, wide in enumerate((80, 62, 42, 16)):  # panels as ever narrower domes
            box = ((84 - wide) * s, 14 * s, (84 + wide) * s, 150 * s)
            draw.pieslice(box, 180, 360, fill=PAINT["white" if i % 2 else "red"])
        draw.pieslice((4 * s, 70 * s, 164 * s, 94 * s), 180, 360, fill=(122, 40, 40))
        disc(draw, 84 * s, 13 * s, 5 * s, (236, 226, 210))

    return sprite(168, 170, paint)


def _sandcastle(sand: Colour) -> Image.Image:
    def paint(draw, s):
        def tower(x0, x1, top, foot):
            for i in range(10):
                left, right = x0 + (x1 - x0) * i / 10, x0 + (x1 - x0) * (i + 1) / 10
                tint = shade(sand, 1.12 - 0.07 * i)
                draw.rectangle((left * s, top * s, right * s, foot * s), fill=tint)
                if i % 4 < 2:
                    draw.rectangle((left * s, (top - 9) * s, right * s, top * s), fill=tint)

        tower(52, 116, 46, 120)
        tower(8, 52, 66, 124)
        tower(112, 158, 66, 124)
        poly(draw, s, [(0, 126), (30, 106), (136, 106), (168, 126)], shade(sand, 0.86))
        draw.pieslice((70 * s, 80 * s, 98 * s, 130 * s), 180, 360, fill=shade(sand, 0.45))
        draw.line([(84 * s, 4 * s), (84 * s, 38 * s)], fill=(90, 60, 40), width=3 * s)
        poly(draw, s, [(85, 4), (116, 13), (85, 22)], PAINT["red"])

    return sprite(168, 128, paint)


def _palm(light: float) -> Image.Image:
    def paint(draw, s):
        for i in range(60):
            u = i / 60
            x, y, r = 110 - 34 * u**1.6, 250 - 184 * u, 11 - 5 * u
            tint = shade((146, 106, 70), light * (0.8 + 0.25 * (i % 6 < 3)))
            draw.ellipse(((x - r) * s, (y - 4) * s, (x + r) * s, (y + 4) * s), fill=tint)
        for k, angle in enumerate((-172, -150, -118, -70, -36, -8, 16, 196)):
            a = math.radians(angle)
            ridge_line = [
                (76 + 72 * u * math.cos(a), 64 + 60 * u * math.sin(a) + 46 * u * u)
                for u in np.linspace(0, 1, 14)
            ]
            tint = shade((66, 140, 74), light * (0.75 + 0.09 * (k % 4)))
            for i, (x, y) in enumerate(ridge_line):
                long = 17 * math.sin(math.pi * min(i / 13 * 0.85 + 0.15, 1))
                draw.line(
                    [((x - 3) * s, (y + long) * s), (x * s, y * s), ((x + 5) * s, (y + long) * s)],
                    fill=tint,
                    width=4 * s,
                )
            stroke(draw, [(x * s, y * s) for x, y in ridge_line], shade(tint, 0.8), 4 * s)
        for x, y in ((70, 74), (84, 76), (77, 82)):
            disc(draw, x * s, y * s, 7 * s, shade((112, 72, 44), light))

    return sprite(160, 256, paint)


def _beach_ball() -> Image.Image:
    def paint(draw, s):
        colours = ("red", "white", "blue", "white", "yellow", "white")
        for i, name in enumerate(colours):
            draw.pieslice((0, 0, 96 * s, 96 * s), 60 * i - 70, 60 * i - 10, fill=PAINT[name])
        disc(draw, 48 * s, 48 * s, 9 * s, PAINT["white"])

    picture = sprite(96, 96, paint)
    round_light = ball(47, (255, 255, 255)).resize((96, 96)).convert("RGB")
    shaded = ImageChops.multiply(picture.convert("RGB"), round_light)
    shaded.putalpha(picture.getchannel("A"))
    return shaded


@scene(
    theme="water",
    attributes={
        "thing": {
            "umbrella": (
                "a striped umbrella",
                "a red and white parasol",
                "*a red and white sunshade",
            ),
            "palm": ("a palm tree", "a tall palm"),
            "castle": ("a sandcastle", "a castle of sand"),
            "ball": ("a beach ball", "a colourful ball"),
        },
        "side": {
            "left": ("on the left", "on the left side"),
            "right": ("on the right", "on the right side"),
        },
        "sand": {
            "golden": ("golden", "yellow"),
            "white": ("white", "pale"),
            "black": ("black", "dark", "*volcanic"),
        },
        "time": {
            "day": ("on a sunny day", "under a blue sky"),
            "dusk": ("at sunset", "in the evening glow", "at dusk"),
            "night": ("at night", "under a full moon", "by moonlight"),
            "overcast": ("on a grey day", "under a cloudy sky"),
        },
        "offing": {
            "boat": ("a sailing boat", "a white sailboat"),
            "island": ("an island", "a hilly island"),
            "nothing": ("an empty horizon", "nothing but open sea"),
        },
    },
    captions=(
        "waves (roll onto|wash over|lap at) a beach of {sand} sand {time} [with {thing} {side}] [and {offing} (in the distance|far out)]",
        "{thing} {side} of a {sand} (beach|shore) [while waves roll in] {time}",
        "{time} (waves wash|the surf washes) up the {sand} sand [beside {thing}]",
        "a {sand} sandy beach with {thing} {side} [and {offing} behind it], waves coming in {time}",
        "{thing} stands on {sand} sand {time} [with {offing} out at sea]",
    ),
    sound=lambda look, rng: sounds.surf(rng),
)
def waves_on_beach(look: Look, rng: np.random.Generator) -> Frame:
    time, horizon, shore = look["time"], 116, 206
    light = _LIGHT[time]
    background = sky(time, horizon / H)
    if time == "night":
        stars(rng, background, 90, 0.32)
        glow(background, 224, 48, 90, (200, 214, 255), 0.7)
        disc(ImageDraw.Draw(background), 224, 48, 17, (240, 240, 226))
    if time == "dusk":
        glow(background, 224, horizon, 150, (255, 190, 120), 0.9)
        disc(ImageDraw.Draw(background), 224, horizon - 6, 26, (255, 232, 170))
    if time in ("day", "overcast"):
        layer = clouds(rng, (255, 255, 255) if time == "day" else (196, 200, 206), 0.4, W, 110, 90)
        background.paste(layer, (0, 0), layer)
    sea_below(background, horizon, time, rng)
    x = np.arange(0, W + 8, 8)
    if look["offing"] == "island":
        island = ridge(rng, 150, 60, 112, 60)
        island = 118 - (118 - island) * np.sin(np.linspace(0, math.pi, 150)) ** 0.7
        left = 70 if look["side"] == "right" else 230
        outline = [(left + i, float(y)) for i, y in enumerate(island)]
        tint = mix(_SEA[time][0], shade((70, 128, 84), light), 0.7)
        ImageDraw.Draw(background).polygon(outline, fill=tint)
    sand = {"golden": (236, 190, 104), "white": (250, 244, 230), "black": (66, 62, 66)}[
        look["sand"]
    ]
    tint = {"dusk": (230, 130, 100), "night": (60, 80, 130)}.get(time)
    sand = mix(shade(sand, light), tint, 0.16) if tint else shade(sand, light)
    bay = 10 * np.sin(x / W * 4 + rng.random() * 6) + 8 * noise(rng, (len(x), 1), 9, 2)[0]
    beach = Image.new("L", (W, H))
    line = [(int(a), float(b)) for a, b in zip(x, shore + 8 + bay, strict=True)]
    ImageDraw.Draw(beach).polygon([*line, (W, H), (0, H)], fill=255)
    floor = gradient([(0.6, shade(sand, 0.86)), (0.8, sand), (1, shade(sand, 0.9))])
    floor = lit(floor, 0.16 * (noise(rng, (224, 168), 6, 2) - 0.5))
    background.paste(floor, (0, 0), beach)
    wet = shade(sand, 0.7)
    near = mix(_SEA[time][1], (255, 255, 255), 0.12)
    foam = shade((250, 252, 250), max(light, 0.72))
    dark = mix(_SEA[time][0], _SEA[time][1], 0.35)
    layer = Image.new("RGBA", (W, H), (0, 0, 0, 0))
    place = 100 if look["side"] == "left" else 348
    shadow_at = {"umbrella": (76, 12), "palm": (60, 10), "castle": (84, 12), "ball": (50, 9)}
    shadow(background, place + 8, 312, *shadow_at[look["thing"]], 0.4)
    if look["thing"] == "umbrella":
        stamp(layer, _umbrella(), place, 226, 7)
        ImageDraw.Draw(layer).polygon(
            [(place - 70, 300), (place + 30, 292), (place + 50, 316), (place - 60, 324)],
            fill=PAINT["turquoise"],
        )
    elif look["thing"] == "palm":
        stamp(layer, _palm(max(light, 0.7)), place - 20, 186)
    elif look["thing"] == "castle":
        stamp(layer, _sandcastle(mix(sand, (120, 84, 50), 0.25)), place, 254)
    else:
        stamp(layer, _beach_ball(), place, 264)
    solid = layer.getchannel("A")
    if light < 0.9:  # the thing in the time's light
        layer = Image.blend(
            layer.convert("RGB"), Image.new("RGB", (W, H), (26, 24, 60)), 0.8 - light * 0.8
        )
    boat = _sailing_boat(shade((130, 70, 50), light), shade((250, 246, 238), max(light, 0.7)))
    boat_x = 130 if look["side"] == "right" else 318
    speckle = noise(rng, (len(x), 40), 4, 2)

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        swash = math.sin(math.pi * t / 1.5) ** 2
        top = [(0, shore - 20), (W, shore - 20)]
        high = shore + 34 + bay + 6 * speckle[3]
        edge = shore + 12 + 24 * swash + bay + 9 * (speckle[5] - 0.5)
        draw.polygon([*top, *zip(x[::-1].tolist(), high[::-1].tolist(), strict=True)], fill=wet)
        points = list(zip(x.tolist(), edge.tolist(), strict=True))
        draw.polygon([*top, *points[::-1]], fill=near)
        draw.line([(a, b - 9 - 6 * swash) for a, b in points], fill=mix(near, foam, 0.55), width=3)
        draw.line(points, fill=foam, width=6)
        for k in range(6):
            p = (k + t / 1.5) / 6 % 1
            y = horizon + 3 + (shore + 16 - horizon) * p**1.6
            crest = y + (2 + 5 * p) * np.sin(x / (26 + 60 * p) + 2.3 * k) + 5 * p * speckle[7 + k]
            thick = 1 + 11 * p
            line = list(zip(x.tolist(), crest.tolist(), strict=True))
            under = [(a, b + thick) for a, b in line]
            draw.polygon([*line, *under[::-1]], fill=mix(dark, near, 0.2 + 0.5 * p))
            draw.line(line, fill=mix(near, foam, min(1, 0.15 + p)), width=max(1, round(6 * p)))
        if look["offing"] == "boat":
            stamp(img, boat, boat_x + 6 * (t - 1.5), 92 + wave(t, 0.5), 2 * wave(t, 0.4), 0.5)
        for i in range(26):  # glitter under the sun or the moon
            if time in ("dusk", "night"):
                y = horizon + 4 + 3.2 * i
                wide = (5 + i) * (0.6 + 0.4 * wave(t, 0.7, i * 0.37))
                gx = 224 + 8 * wave(t, 0.4, i * 0.61)
                bright = (255, 214, 150) if time == "dusk" else (190, 206, 244)
                draw.line([(gx - wide, y), (gx + wide, y)], fill=bright, width=1)
        img.paste(layer, (0, 0), solid)
        return img

    return frame


def _rubber_duck() -> Image.Image:
    def paint(draw, s):
        yellow = PAINT["yellow"]
        draw.ellipse((8 * s, 44 * s, 104 * s, 100 * s), fill=shade(yellow, 0.8))
        draw.ellipse((8 * s, 42 * s, 104 * s, 92 * s), fill=yellow)
        poly(draw, s, [(94, 62), (116, 36), (98, 82)], yellow)
        disc(draw, 40 * s, 32 * s, 27 * s, shade(yellow, 0.92))
        disc(draw, 39 * s, 30 * s, 25 * s, shade(yellow, 1.1))
        draw.ellipse((48 * s, 54 * s, 94 * s, 82 * s), fill=shade(yellow, 0.86))
        poly(draw, s, [(18, 28), (-2, 38), (18, 42)], PAINT["orange"])
        disc(draw, 32 * s, 24 * s, 4 * s, PAINT["black"])

    return sprite(118, 102, paint)


def _koi(pose: float) -> Image.Image:
    def paint(draw, s):
        spine = [(14 + 5.2 * i, 36 + 10 * math.sin(i / 4 + pose) * (1 - i / 24)) for i in range(20)]
        poly(
            draw,
            s,
            [spine[2], (-2, spine[0][1] - 16), (4, spine[0][1]), (-2, spine[0][1] + 16)],
            (250, 226, 200),
        )
        for a in (-1, 1):
            x, y = spine[13]
            poly(draw, s, [(x, y), (x - 20, y + 28 * a), (x + 4, y + 16 * a)], (250, 206, 170))
        for i, (x, y) in enumerate(spine):
            r = 13 * math.sin(math.pi * (0.1 + 0.9 * i / 21)) ** 0.7 + 1
            tint = (250, 240, 226) if i in (5, 6, 12, 13, 14) else (242, 120, 40)
            disc(draw, x * s, y * s, r * s, tint)

    return sprite(124, 72, paint)


@scene(
    theme="water",
    attributes={
        "n": {1: ("a single", "one"), 2: ("two",), 4: ("four",)},
        "water": {
            "green": ("green", "*bottle-green"),
            "blue": ("blue", "clear blue"),
            "golden": ("golden", "amber"),
            "dark": ("black", "dark"),
        },
        "thing": {
            "lilies": ("water lilies", "lily pads with pink flowers"),
            "koi": ("orange fish", "koi", "orange and white carp"),
            "duck": ("a rubber duck", "a yellow toy duck", "a yellow rubber duck"),
            "leaves": ("red leaves", "red autumn leaves"),
        },
        "edge": {
            "reeds": ("reeds", "tall reeds", "green bulrushes"),
            "stones": ("stones", "grey rocks"),
            "jetty": ("a wooden jetty", "a wooden footbridge"),
        },
    },
    captions=(
        "{n} {n|drop falls|drops fall} into a {water} pond with {thing} [and {edge} at the edge]",
        "{n} {n|ring spreads|rings spread} over {water} water [beside {edge}], {thing} floating there",
        "rings spread from {n} {n|drop|drops} in a {water} pond with {thing} [and {edge}]",
        "{thing} on a {water} pond [with {edge} at the side] while {n} {n|drop makes|drops make} ripples",
        "ripples (run|spread) (across|over) {water} water around {thing} [next to {edge}]",
    ),
    sound=lambda look, rng: sounds.together(
        *(
            sounds.at(
                np.arange(0.75 * i / look["n"], 3, 1.5),
                sounds.glide(500 + 130 * i, 1300, 0.09),
                0.6,
            )
            for i in range(int(look["n"]))
        )
    ),
)
def pond_ripples(look: Look, rng: np.random.Generator) -> Frame:
    far, near = {
        "green": ((34, 92, 70), (96, 168, 110)),
        "blue": ((40, 100, 176), (118, 190, 226)),
        "golden": ((176, 96, 40), (250, 200, 110)),
        "dark": ((10, 14, 34), (40, 50, 84)),
    }[look["water"]]
    background = lit(gradient([(0, far), (1, near)]), 0.45 * (noise(rng, (112, 84), 26, 3) - 0.5))
    draw = ImageDraw.Draw(background)
    if look["water"] == "dark":
        glow(background, 316, 84, 90, (170, 190, 240), 0.6)
        draw.ellipse((294, 68, 338, 100), fill=(226, 230, 220))
    if look["edge"] == "reeds":
        for i in range(46):
            x = (i / 46) ** 1.5 * 120 - 6 if i % 3 else W + 6 - (i / 46) ** 1.5 * 120
            top = 20 + rng.random() * 120 + abs(224 - x) * -0.1 + 20
            tint = mix((40, 84, 44), (128, 160, 72), rng.random())
            stroke(draw, [(x, 336), (x + 4, 250), (x + 20 * (rng.random() - 0.5), top)], tint, 5)
            if i % 5 == 0:
                draw.rounded_rectangle((x - 6, top, x + 6, top + 40), 6, fill=(112, 70, 42))
    elif look["edge"] == "stones":
        for i in range(15):
            x, y = i * 33 - 6 + 10 * rng.random(), 14 + 22 * rng.random() + abs(i - 7) * 4
            rx = 26 + 18 * rng.random()
            shadow(background, x, y + 16, rx * 1.2, 22, 0.5)
            stamp(
                background,
                ball(40, mix((120, 124, 130), (170, 166, 156), rng.random())),
                x,
                y,
                0,
                (rx / 40, 0.55),
            )
    else:
        for i in range(14):
            tint = mix((128, 88, 56), (170, 124, 80), rng.random())
            draw.polygon(
                [(i * 33, 0), (i * 33 + 31, 0), (i * 33 + 31, 48), (i * 33, 48)], fill=tint
            )
        draw.rectangle((0, 48, W, 58), fill=(84, 56, 36))
        for x in (60, 224, 388):
            draw.rectangle((x - 9, 30, x + 9, 96), fill=(96, 66, 44))
            draw.ellipse((x - 9, 24, x + 9, 36), fill=(150, 110, 74))
    n = int(look["n"])
    spots = {
        1: [(224, 190)],
        2: [(140, 150), (316, 236)],
        4: [(110, 120), (336, 130), (130, 254), (330, 250)],
    }[n]
    spots = [(x + 24 * (rng.random() - 0.5), y + 20 * (rng.random() - 0.5)) for x, y in spots]
    gy, gx = np.mgrid[0:84, 0:112].astype(np.float32) * 4
    far_from = [np.hypot(gx - x, (gy - y) / 0.62) for x, y in spots]
    seats = [(82, 200), (360, 190), (224, 280), (230, 110), (150, 306), (400, 300), (60, 120)]
    seats = [(x + 20 * (rng.random() - 0.5), y + 10 * (rng.random() - 0.5)) for x, y in seats]
    turns = rng.random(7)
    if look["thing"] == "koi":
        poses = [_koi(2 * math.pi * i / 12) for i in range(12)]
    elif look["thing"] == "duck":
        duck = _rubber_duck()

    def paint_pad(d, s):
        d.pieslice((0, 0, 96 * s, 60 * s), 300, 620, fill=(44, 112, 66))
        d.pieslice((2 * s, 0, 94 * s, 56 * s), 302, 618, fill=(84, 160, 88))
        for a in range(320, 620, 40):
            end = (48 + 44 * math.cos(math.radians(a)), 28 + 26 * math.sin(math.radians(a)))
            d.line([(48 * s, 28 * s), (end[0] * s, end[1] * s)], fill=(112, 184, 108), width=s)

    def paint_bloom(d, s):
        for layer, tint in ((30, (226, 110, 160)), (22, (246, 160, 196)), (13, (255, 206, 224))):
            for k in range(9):
                a = 2 * math.pi * k / 9 + layer
                x, y = 34 + layer * 0.62 * math.cos(a), 30 + layer * 0.4 * math.sin(a)
                d.ellipse(((x - 10) * s, (y - 7) * s, (x + 10) * s, (y + 7) * s), fill=tint)
        disc(d, 34 * s, 29 * s, 6 * s, PAINT["yellow"])

    def paint_leaf(d, s):
        outline = [
            (30, 0),
            (38, 14),
            (54, 10),
            (46, 26),
            (60, 34),
            (42, 38),
            (36, 50),
            (28, 40),
            (6, 44),
            (14, 30),
            (0, 20),
            (18, 18),
        ]
        poly(d, s, outline, (206, 58, 40))
        d.line([(30 * s, 4 * s), (30 * s, 58 * s)], fill=(130, 34, 30), width=2 * s)

    pad, bloom, leaf = (
        sprite(96, 60, paint_pad),
        sprite(68, 60, paint_bloom),
        sprite(60, 60, paint_leaf),
    )

    def frame(t: float) -> Image.Image:
        img = background.copy()
        if look["thing"] == "koi":
            for i in range(3):
                p = ((t / 6 + 0.3 * i + 0.12 * turns[i]) % 1) * 560 - 60
                x, flip = (p, 1) if i % 2 else (W - p, -1)
                pose = poses[round((t * 1.1 + turns[i]) * 12) % 12]
                shadow(img, x + 8, (290, 205, 130)[i] + 14, 46, 12, 0.25)
                stamp(
                    img,
                    pose,
                    x,
                    (290, 205, 130)[i] + 8 * wave(t, 0.3, turns[i]),
                    0,
                    (-1.2 * flip, 1.0),
                )
        field = np.zeros_like(gx)
        for i, far_off in enumerate(far_from):
            for age in ((t - 0.75 * i / n) % 1.5, (t - 0.75 * i / n) % 1.5 + 1.5):
                out = far_off - 84 * age - 6
                field += (1 - age / 3) * np.cos(out / 4.6) * np.exp(-((out / 22) ** 2))
        img = lit(img, 0.42 * field)
        draw = ImageDraw.Draw(img)
        if look["thing"] == "lilies":
            for i, (x, y) in enumerate(seats):
                bob = 2.5 * wave(t, 0.6, turns[i])
                stamp(img, pad, x, y + bob, 0, 0.7 + 0.5 * y / H)
                if i % 2 == 0:
                    stamp(img, bloom, x - 4, y - 8 + bob, 0, 0.5 + 0.4 * y / H)
        elif look["thing"] == "leaves":
            for i, (x, y) in enumerate(seats):
                shadow(img, x + 3, y + 6, 26, 12, 0.3)
                stamp(
                    img,
                    leaf,
                    x + 8 * wave(t, 0.16, turns[i]),
                    y + 2 * wave(t, 0.6, turns[i]),
                    360 * turns[i] + 12 * wave(t, 0.2, turns[i]),
                    (1.1, 0.75),
                )
        elif look["thing"] == "duck":
            x, y = 300 + 10 * wave(t, 0.2), 186 + 4 * wave(t, 0.6)
            shadow(img, x, y + 44, 70, 14, 0.4)
            stamp(img, duck, x, y, 5 * wave(t, 0.6, 0.2), 1.15)
        for i, (x, y) in enumerate(spots):
            wait = 1.5 - (t - 0.75 * i / n) % 1.5
            if wait < 0.4:
                stroke(draw, [(x, y - 700 * wait - 22), (x, y - 700 * wait)], (226, 240, 250), 6)
            elif wait > 1.2:  # the splash
                u = (1.5 - wait) / 0.3
                for k in range(-2, 3):
                    disc(
                        draw,
                        x + 11 * k * u,
                        y - 34 * u * (1 - u) * (4 - abs(k)) / 2,
                        3.5 * (1.2 - u),
                        (236, 246, 252),
                    )
        return img

    return frame


@scene(
    theme="water",
    attributes={
        "shape": {
            "wide": ("a wide waterfall", "a broad curtain of water"),
            "thin": ("a tall thin waterfall", "a narrow ribbon of water"),
            "twin": ("two waterfalls side by side", "a pair of waterfalls", "*twin cascades"),
            "steps": ("a waterfall in two steps", "a stepped waterfall"),
        },
        "place": {
            "jungle": ("in the jungle", "in a green rainforest", "among jungle plants"),
            "autumn": ("in an autumn wood", "among orange autumn trees"),
            "winter": ("in the snow", "in a snowy winter landscape"),
            "desert": ("in a red canyon", "among red desert rocks"),
        },
        "time": {
            "day": ("on a bright day", "in daylight"),
            "dusk": ("at sunset", "at dusk"),
            "night": ("at night", "in the moonlight"),
        },
        "extra": {
            "rainbow": ("a rainbow in the spray", "a rainbow above the pool"),
            "birds": ("white birds circling", "a few white birds in the air"),
            "boat": ("a red boat on the pool", "a little red boat below"),
        },
    },
    captions=(
        "{shape} {place} {time} [with {extra}]",
        "{time} {shape} (dropping|tumbling|pouring) over the rocks {place} [with {extra}]",
        "{shape} (falling|plunging) into a pool {place} [, {extra}] [, {time}]",
        "{extra} by {shape} {place} [{time}]",
    ),
    sound=lambda look, rng: (
        (0.35 if look["shape"] == "thin" else 0.6) * sounds.hiss(rng, 250, 5000)
    ),
)
def waterfall(look: Look, rng: np.random.Generator) -> Frame:
    time, place = look["time"], look["place"]
    light = {"day": 1.0, "dusk": 0.82, "night": 0.5}[time]
    rock = {
        "jungle": (96, 104, 84),
        "autumn": (124, 104, 90),
        "winter": (128, 138, 152),
        "desert": (196, 98, 62),
    }[place]
    tone = {"day": (255, 255, 255), "dusk": (230, 110, 90), "night": (50, 70, 140)}[time]
    rock = mix(shade(rock, light), tone, 0.0 if time == "day" else 0.15)
    background = sky(time, 0.45)
    if time == "night":
        stars(rng, background, 80, 0.25)
        glow(background, 390, 36, 70, (200, 214, 255), 0.6)
        disc(ImageDraw.Draw(background), 390, 36, 15, (240, 240, 226))
    brow = ridge(rng, W, 52, 84, 120)
    cliff = background.copy()
    fill_below(cliff, brow, rock, shade(rock, 0.72))
    grain = (
        noise(rng, (150, 56), 14, 3)
        - 0.5
        + 0.8 * (noise(rng, (75, 112), 12, 2)[::2].repeat(2, 1)[:56] - 0.5)
    )
    cliff = lit(cliff, 0.5 * grain)
    mask = Image.new("L", (W, H))
    ImageDraw.Draw(mask).polygon(
        [*((x, float(brow[x])) for x in range(0, W, 6)), (W, float(brow[-1])), (W, H), (0, H)],
        fill=255,
    )
    background.paste(cliff, (0, 0), mask)
    draw = ImageDraw.Draw(background)
    leaf = {
        "jungle": ((30, 96, 50), (104, 176, 72)),
        "autumn": ((186, 74, 28), (246, 176, 60)),
        "winter": ((214, 226, 238), (255, 255, 255)),
        "desert": ((80, 116, 66), (120, 150, 84)),
    }[place]
    leaf = tuple(
        mix(shade(c, max(light, 0.55)), tone, 0.0 if time == "day" else 0.12) for c in leaf
    )
    if place != "desert":
        for i in range(90):  # growth or snow along the brow and down both sides
            side = i % 3
            x = (
                rng.random() * W
                if side == 0
                else rng.random() ** 1.6 * 92
                if side == 1
                else W - rng.random() ** 1.6 * 92
            )
            y = float(brow[min(int(x), W - 1)]) + 2 if side == 0 else 70 + rng.random() * 200
            r = 6 + 13 * rng.random()
            tint = mix(*leaf, rng.random())
            if place == "winter":
                draw.ellipse((x - 1.6 * r, y - r * 0.45, x + 1.6 * r, y + r * 0.3), fill=tint)
            else:
                disc(draw, x, y, r, shade(tint, 0.75))
                disc(draw, x - 2, y - 3, r * 0.78, tint)
    if place == "winter":
        for x in (34, 78, 380, 424):
            for k in range(4):
                top, wide = 130 + 32 * k, 16 + 9 * k
                draw.polygon(
                    [(x, top - 26), (x - wide, top + 22), (x + wide, top + 22)],
                    fill=shade((48, 96, 84), light),
                )
                draw.polygon(
                    [(x, top - 26), (x - wide * 0.6, top + 4), (x + wide * 0.5, top)], fill=leaf[1]
                )
    elif place == "desert":
        for x, y in ((50, 262), (404, 258), (366, 270)):
            stroke(draw, [(x, y), (x, y - 74)], leaf[0], 20)
            stroke(draw, [(x, y - 30), (x + 26, y - 34), (x + 26, y - 62)], leaf[0], 13)
            stroke(draw, [(x - 4, y), (x - 4, y - 74)], leaf[1], 5)
    water = {"day": (72, 164, 190), "dusk": (150, 92, 112), "night": (28, 48, 92)}[time]
    pool = gradient(
        [(0, mix(water, (255, 255, 255), 0.4)), (0.4, water), (1, shade(water, 0.7))], (W, 92)
    )
    background.paste(pool, (0, H - 92))
    for i in range(14):
        x = i * 34 + 10 * rng.random()
        wide = 14 + 16 * rng.random()
        draw.ellipse((x - wide, 236, x + wide, 262), fill=shade(rock, 0.5 + 0.25 * rng.random()))
    falls = {
        "wide": [(112, 336, 68, 256)],
        "thin": [(204, 244, 60, 256)],
        "twin": [(116, 176, 66, 256), (272, 332, 66, 256)],
        "steps": [(180, 268, 64, 158), (132, 316, 166, 256)],
    }[look["shape"]]
    if look["shape"] == "steps":
        draw.rounded_rectangle((116, 152, 332, 176), 10, fill=shade(rock, 0.62))
    white = mix((255, 255, 255), tone, 0.0 if time == "day" else 0.16)
    white = shade(white, max(light, 0.72))
    sheets = []
    for x0, x1, y0, y1 in falls:
        wide, tall = x1 - x0, y1 - y0
        streak = noise(rng, (wide // 2, 24), 5, 2)
        streak = np.concatenate([streak, streak[::-1]])
        streak = np.clip((streak - streak.min()) / np.ptp(streak) * 1.3 - 0.1, 0, 1)[..., None]
        pixels = np.array(mix(water, white, 0.25)) * (1 - streak) + np.array(white) * streak
        sheet = Image.fromarray(pixels.astype(np.uint8)).resize(
            (wide, 512), Image.Resampling.BICUBIC
        )
        long = Image.new("RGB", (wide, 1024))
        long.paste(sheet, (0, 0))
        long.paste(sheet, (0, 512))
        edge = Image.new("L", (wide, tall))
        ImageDraw.Draw(edge).polygon(
            [(wide * 0.1, 4), (wide * 0.5, 0), (wide * 0.9, 4), (wide - 3, tall), (3, tall)],
            fill=255,
        )
        sheets.append((long, blurred(edge, 2.5), x0, y0, tall))
    puffs = rng.random((18, 3))
    arc = Image.new("RGB", (W, H))
    if look["extra"] == "rainbow":
        d = ImageDraw.Draw(arc)
        for i, name in enumerate(("red", "orange", "yellow", "green", "blue", "purple")):
            d.arc(
                (40 + 6 * i, 116 + 6 * i, 408 - 6 * i, 430),
                180,
                360,
                fill=shade(PAINT[name], 0.75),
                width=9,
            )
        arc = blurred(arc, 3)

    def paint_boat(d, s):
        poly(d, s, [(2, 20), (98, 20), (80, 44), (18, 44)], shade(PAINT["red"], 0.75))
        poly(d, s, [(2, 20), (98, 20), (93, 28), (8, 28)], PAINT["red"])
        d.rectangle((38 * s, 2 * s, 64 * s, 20 * s), fill=PAINT["white"])
        d.rectangle((44 * s, 7 * s, 58 * s, 15 * s), fill=(70, 90, 120))

    boat = sprite(100, 46, paint_boat)

    def frame(t: float) -> Image.Image:
        img = background.copy()
        for long, edge, x0, y0, tall in sheets:
            start = 512 - round(170 * t + 40) % 512
            img.paste(long.crop((0, start, long.width, start + tall)), (x0, y0), edge)
        draw = ImageDraw.Draw(img)
        for i in range(5):  # rings that run out over the pool
            p = (i / 5 + t / 3) % 1
            for x0, x1, _, y1 in falls[-2:] if look["shape"] == "twin" else falls[-1:]:
                middle, rx, ry = (x0 + x1) / 2, (x1 - x0) / 2 + 10 + 120 * p, 8 + 52 * p
                draw.arc(
                    (middle - rx, y1 - ry + 6, middle + rx, y1 + ry + 6),
                    8,
                    172,
                    fill=mix(white, water, 0.3 + 0.65 * p),
                    width=3,
                )
        if look["extra"] == "rainbow":
            img = ImageChops.screen(img, arc)
        mist = shade(white, 0.62)
        for u, v, w in puffs:
            p = (v + t / (1.6 + w)) % 1
            for x0, x1, _, y1 in falls:
                x = x0 + (x1 - x0) * (0.05 + 0.9 * u) + 26 * (u - 0.5) * p
                glow(img, x, y1 + 4 - 34 * p * w, 10 + 22 * p, mist, 0.75 * (1 - p), 1.4)
                if look["shape"] == "wide":
                    glow(
                        img,
                        x0 + (x1 - x0) * w,
                        y1 + 6 - 20 * p,
                        10 + 20 * p,
                        mist,
                        0.6 * (1 - p),
                        1.4,
                    )
        if look["extra"] == "boat":
            stamp(img, boat, 340 - 14 * (t - 1.5), 296 + 2 * wave(t, 0.6), 3 * wave(t, 0.5))
        if look["extra"] == "birds":
            draw = ImageDraw.Draw(img)
            for i in range(5):
                a = 2 * math.pi * (0.14 * t + i / 5)
                x, y, flap = (
                    224 + 130 * math.cos(a),
                    116 + 46 * math.sin(a),
                    10 * wave(t, 1.6, i * 0.3),
                )
                wing = [
                    (x - 22, y - flap),
                    (x - 9, y - 5 - flap * 0.3),
                    (x, y),
                    (x + 9, y - 5 - flap * 0.3),
                    (x + 22, y - flap),
                ]
                stroke(draw, wing, (255, 255, 255), 6)
        return img

    return frame


def _fish(colour: Colour, pose: float) -> Image.Image:
    """A fish that looks right; pose 0..1 turns once through the beat of its tail."""
    swing = math.cos(2 * math.pi * pose)

    def paint(draw, s):
        tail = 26 + 9 * swing
        poly(
            draw,
            s,
            [(44, 50), (44 - tail, 22), (44 - tail * 0.72, 50), (44 - tail, 78)],
            shade(colour, 0.8),
        )
        poly(draw, s, [(62, 26), (74, 4), (104, 12), (108, 28)], shade(colour, 0.85))
        poly(draw, s, [(72, 76), (66, 94), (90, 80)], shade(colour, 0.75))
        for i in range(14):
            u = i / 14
            tint = shade(colour, 0.72 + 0.55 * u)
            draw.ellipse(
                ((34 + 5 * u) * s, (20 + 2 * u) * s, (128 - 8 * u) * s, (82 - 24 * u) * s),
                fill=tint,
            )
        for x in (66, 92):
            draw.chord(((x - 7) * s, 22 * s, (x + 9) * s, 76 * s), 0, 360, fill=shade(colour, 1.75))
        poly(draw, s, [(84, 54), (64 + 5 * swing, 66), (70, 50)], shade(colour, 0.7))
        disc(draw, 113 * s, 44 * s, 7 * s, (255, 255, 255))
        disc(draw, 115 * s, 44 * s, 4 * s, PAINT["black"])

    return sprite(132, 98, paint)


@scene(
    theme="water",
    attributes={
        "colour": {
            "orange": ("orange",),
            "yellow": ("yellow", "*lemon-yellow"),
            "red": ("red", "scarlet"),
            "purple": ("purple", "violet"),
            "white": ("white", "snow-white"),
        },
        "n": {1: ("one", "a single", "a"), 2: ("two", "a pair of"), 4: ("four",)},
        "thing": {
            "castle": ("a stone castle", "a toy castle"),
            "chest": ("a treasure chest", "an open chest of gold", "a chest full of gold coins"),
            "coral": ("pink coral", "branches of pink coral"),
            "weed": ("green water plants", "long green seaweed"),
        },
        "water": {
            "blue": ("blue", "clear blue"),
            "green": ("green", "greenish"),
            "dark": ("dark", "dimly lit"),
        },
        "direction": {
            "left": ("to the left", "leftwards"),
            "right": ("to the right", "rightwards"),
        },
    },
    captions=(
        "{n} {colour} {n|fish swims|fish swim} {direction} past {thing} [in {water} water]",
        "{n} {colour} fish in an aquarium with {water} water [and {thing}] [, swimming {direction}]",
        "an aquarium with {thing} where {n} {colour} {n|fish glides|fish glide} {direction} [through {water} water]",
        "in a {water} (tank|aquarium) {n} {colour} {n|fish heads|fish head} {direction} [above {thing}]",
    ),
    sound=lambda look, rng: (
        sounds.bubbling(rng, 22) if look["thing"] in ("castle", "chest") else None
    ),
)
def aquarium(look: Look, rng: np.random.Generator) -> Frame:
    top, deep = {
        "blue": ((116, 206, 246), (24, 92, 182)),
        "green": ((150, 216, 150), (24, 104, 84)),
        "dark": ((44, 58, 110), (12, 14, 40)),
    }[look["water"]]
    background = gradient([(0, top), (1, deep)])
    light = 0.6 if look["water"] == "dark" else 1.0
    sand = ridge(rng, W, 270, 296, 150)
    for i in range(5):  # faint plants far behind
        x = 40 + 92 * i + 30 * rng.random()
        stroke(
            ImageDraw.Draw(background),
            [(x + 14 * math.sin(k / 2 + i), 300 - 24 * k) for k in range(8)],
            mix(deep, top, 0.25),
            16,
        )
    fill_below(background, sand, shade((232, 206, 150), light), shade((170, 136, 92), light))
    pebbles = ImageDraw.Draw(background)
    for _ in range(60):
        x, y, r = rng.random() * W, 298 + rng.random() * 36, 2 + 5 * rng.random()
        pebbles.ellipse(
            (x - r, y - r * 0.6, x + r, y + r * 0.6),
            fill=shade(mix((190, 150, 120), (120, 130, 150), rng.random()), light),
        )
    draw = ImageDraw.Draw(background)
    thing, at = look["thing"], 330
    shadow(background, at, 304, 96, 14, 0.4)
    if thing == "castle":
        stone = shade((168, 160, 170), max(light, 0.75))
        for x0, x1, y0 in ((250, 300, 160), (360, 410, 160), (296, 364, 196)):
            for i in range(8):
                left = x0 + (x1 - x0) * i / 8
                draw.rectangle(
                    (left, y0 - (12 if i % 4 < 2 else 0), left + (x1 - x0) / 8, 304),
                    fill=shade(stone, 1.1 - 0.08 * i),
                )
        for x in (275, 385):
            draw.polygon(
                [(x - 32, 152), (x, 96), (x + 32, 152)], fill=shade((196, 84, 70), max(light, 0.75))
            )
            draw.rounded_rectangle((x - 8, 190, x + 8, 216), 8, fill=shade(stone, 0.4))
        draw.pieslice((308, 240, 352, 360), 180, 360, fill=shade(stone, 0.3))
    elif thing == "chest":
        wood = shade((140, 88, 50), max(light, 0.75))
        draw.polygon([(258, 230), (276, 176), (412, 176), (402, 230)], fill=shade(wood, 0.7))
        draw.polygon([(266, 226), (282, 186), (404, 186), (396, 226)], fill=(46, 28, 22))
        for _ in range(70):
            x, y = 268 + 124 * rng.random(), 214 + 24 * rng.random()
            disc(draw, x, y, 9, shade(PAINT["gold"], 0.75))
            disc(draw, x - 1, y - 2, 8, shade(PAINT["yellow"], 0.9 + 0.3 * rng.random()))
        draw.rectangle((258, 238, 402, 304), fill=wood)
        for x in (264, 322, 384):
            draw.rectangle((x, 236, x + 12, 304), fill=shade(PAINT["gold"], max(light, 0.8)))
        draw.rectangle((314, 246, 342, 268), fill=shade(PAINT["gold"], 0.7))
    elif thing == "coral":

        def branch(x, y, angle, long, wide, level):
            x2, y2 = x + long * math.cos(angle), y - long * math.sin(angle)
            stroke(
                draw,
                [(x, y), (x2, y2)],
                shade((244, 110, 150), max(light, 0.8) * (0.8 + 0.07 * level)),
                wide,
            )
            if level < 4:
                for turn in (-0.45 - 0.2 * rng.random(), 0.4 + 0.25 * rng.random()):
                    branch(x2, y2, angle + turn, long * 0.78, wide * 0.72, level + 1)

        for x, tilt in ((300, 1.9), (346, 1.5), (386, 1.2)):
            branch(x, 304, tilt, 48, 18, 0)
    rays = np.linspace(0, 1, 112)[None] + 0.25 * np.linspace(0, 1, 84)[:, None]
    fade = np.linspace(1, 0, 84)[:, None] ** 1.2
    n = int(look["n"])
    poses = [_fish(PAINT[look["colour"]], i / 10) for i in range(10)]
    size = {1: 1.75, 2: 1.25, 4: 0.85}[n]
    sign = 1 if look["direction"] == "right" else -1
    poses = [
        p.resize((round(132 * size), round(98 * size)), Image.Resampling.BILINEAR) for p in poses
    ]
    if sign < 0:
        poses = [p.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for p in poses]
    lanes = {
        1: [(0.42, 128)],
        2: [(0.36, 84), (0.62, 194)],
        4: [(0.2, 70), (0.6, 60), (0.42, 142), (0.72, 205)],
    }[n]
    lanes = [(x if sign > 0 else 1 - x, y + 20 * (rng.random() - 0.5)) for x, y in lanes]
    phases = rng.random(8)
    stones = rng.random((22, 3))

    def frame(t: float) -> Image.Image:
        beams = 0.5 * np.sin(19 * rays + 0.9 * t) + 0.5 * np.sin(31 * rays - 1.3 * t + 2)
        img = lit(background, (0.22 * light * beams * fade).astype(np.float32))
        draw = ImageDraw.Draw(img)
        if thing == "weed":
            for i in range(9):
                x = 210 + 26 * i
                tall = 8 + 4 * ((i * 5) % 3)
                stem = [
                    (x + k * 1.6 * wave(t, 0.3, 0.11 * k + 0.17 * i), 308 - 17 * k)
                    for k in range(tall)
                ]
                tint = shade(mix((34, 120, 60), (120, 196, 76), (i * 0.37) % 1), max(light, 0.75))
                for k in range(1, tall):
                    bx, by = stem[k]
                    draw.ellipse((bx - 15, by - 6, bx, by + 6), fill=tint)
                    draw.ellipse((bx, by - 9, bx + 15, by + 3), fill=shade(tint, 1.2))
                stroke(draw, stem, shade(tint, 0.8), 5)
        for u, v, w in stones:
            p = (v + t / 3) % 1
            source = 330 if thing in ("castle", "chest") and u > 0.3 else 60
            x, y, r = (
                source + 26 * (w - 0.5) + 8 * wave(t, 0.7, v),
                250 - 250 * p,
                3 + 7 * w * (0.4 + p),
            )
            draw.ellipse(
                (x - r, y - r, x + r, y + r), outline=mix(top, (255, 255, 255), 0.7), width=2
            )
            disc(draw, x - r * 0.35, y - r * 0.35, r * 0.25, (255, 255, 255))
        for i, (x, y) in enumerate(lanes):
            pose = poses[round((1.3 * t + phases[i]) * 10) % 10]
            stamp(img, pose, x * W + sign * 48 * (t - 1.5), y + 6 * wave(t, 0.4, phases[i]))
        return img

    return frame


@scene(
    theme="water",
    attributes={
        "vessel": {
            "glass": ("a tall glass", "a drinking glass"),
            "flask": ("a glass flask", "a cone-shaped flask"),
            "bottle": ("a bottle", "a glass bottle"),
            "bowl": ("a round bowl", "a glass bowl"),
        },
        "colour": {
            "red": ("red", "ruby red"),
            "orange": ("orange",),
            "yellow": ("yellow", "golden yellow"),
            "green": ("green",),
            "blue": ("blue",),
            "purple": ("purple", "violet"),
        },
        "size": {
            "small": ("small", "tiny", "fine"),
            "large": ("large", "big", "*fat"),
        },
        "place": {
            "kitchen": ("on a wooden table", "in a kitchen with tiles"),
            "lab": ("in a dark laboratory", "on a dark lab bench"),
            "window": ("by a sunny window", "on a windowsill"),
        },
    },
    captions=(
        "{size} bubbles rise in {vessel} of {colour} liquid {place}",
        "{colour} liquid with {size} bubbles in {vessel} [{place}]",
        "{vessel} full of {colour} (liquid|drink) {place} [, {size} bubbles (rising|climbing) in it]",
        "{place} {size} bubbles (climb|float up) through {colour} liquid [in {vessel}]",
    ),
    sound=lambda look, rng: (
        sounds.bubbling(rng, 30) if look["size"] == "large" else 0.25 * sounds.hiss(rng, 3500, 9000)
    ),
)
def rising_bubbles(look: Look, rng: np.random.Generator) -> Frame:
    colour, place, vessel = PAINT[look["colour"]], look["place"], look["vessel"]
    if place == "kitchen":
        background = Image.new("RGB", (W, H), (226, 216, 200))
        draw = ImageDraw.Draw(background)
        for gx in range(0, W, 56):
            for gy in range(-6, 250, 56):
                tint = shade((238, 228, 210), 0.95 + 0.1 * rng.random())
                draw.rounded_rectangle((gx + 2, gy + 2, gx + 54, gy + 54), 4, fill=tint)
        grain = noise(rng, (30, 84), 9, 2)
        table = gradient([(0, (176, 120, 74)), (1, (126, 80, 46))], (W, 74))
        background.paste(lit(table, 0.5 * (grain[:, :8].repeat(2, 1) - 0.5)), (0, H - 74))
    elif place == "lab":
        background = gradient(
            [(0, (22, 26, 42)), (0.75, (44, 52, 78)), (0.76, (70, 76, 92)), (1, (34, 38, 50))]
        )
        draw = ImageDraw.Draw(background)
        for y in (86, 186):
            draw.rectangle((0, y, W, y + 8), fill=(66, 70, 92))
            for i in range(8):
                x, tall = 14 + 58 * i + 14 * rng.random(), 30 + 30 * rng.random()
                tint = mix((60, 70, 100), PAINT[("green", "blue", "red", "purple")[i % 4]], 0.25)
                draw.rounded_rectangle((x, y - tall, x + 28, y), 6, fill=tint)
                draw.rectangle((x + 8, y - tall - 8, x + 20, y - tall), fill=tint)
    else:
        background = sky("day", 0.7)
        layer = clouds(rng, (255, 255, 255), 0.4, W, 180, 100)
        background.paste(layer, (0, 20), layer)
        fill_below(background, ridge(rng, W, 190, 224, 160), (120, 178, 110))
        draw = ImageDraw.Draw(background)
        for box in (
            (0, 0, 26, 270),
            (422, 0, 448, 270),
            (214, 0, 234, 270),
            (0, 0, 448, 18),
            (0, 254, 448, 336),
        ):
            draw.rectangle(box, fill=(248, 244, 234))
        draw.rectangle((0, 270, 448, 276), fill=(206, 198, 184))
    background = blurred(background, 2.5)
    foot, cx = 308, 224
    level = {"glass": 84, "flask": 120, "bottle": 96, "bowl": 112}[vessel]
    lip = {"glass": 44, "flask": 24, "bottle": 14, "bowl": 74}[vessel]

    def half(y: float) -> float:
        """Half the vessel's inner width at a height."""
        if vessel == "glass":
            return 58 + 20 * (foot - y) / (foot - lip)
        if vessel == "flask":
            return max(26.0, min(112.0, 26 + 96 * (y - 92) / 200)) if y > 92 else 26.0
        if vessel == "bottle":
            return 22 + 52 * ease((y - 70) / 66)
        return 128 * math.sqrt(max(1 - ((y - 196) / 126) ** 2, 0.03))

    heights = [lip + (foot - lip) * i / 60 for i in range(61)]
    inside = [y for y in heights if y >= level]
    liquid = Image.new("L", (W, H))
    d = ImageDraw.Draw(liquid)
    d.polygon(
        [*((cx - half(y) + 3, y) for y in inside), *((cx + half(y) - 3, y) for y in inside[::-1])],
        fill=255,
    )
    liquid = blurred(liquid, 1)
    shadow(background, cx + 20, foot + 6, half(foot - 8) + 50, 16, 0.45)
    glow(background, cx + 40, foot + 10, 80, colour, 0.35)
    body = gradient([(level / H, shade(colour, 1.18)), (1, shade(colour, 0.72))])
    sides = (
        np.abs(np.arange(112) * 4 - cx)[None]
        / np.array([half(min(max(y, level), foot - 3)) for y in range(0, H, 4)])[:, None]
    )
    body = lit(body, -0.5 * np.clip(sides, 0, 1) ** 3 + 0.1)
    background.paste(body, (0, 0), liquid)
    draw = ImageDraw.Draw(background)
    top = half(level) - 3
    draw.ellipse((cx - top, level - 9, cx + top, level + 9), fill=shade(colour, 1.45))
    glass = Image.new("RGBA", (W, H), (0, 0, 0, 0))
    g = ImageDraw.Draw(glass)
    for a in (-1, 1):
        g.line(
            [(cx + a * half(y), y) for y in heights],
            fill=(255, 255, 255, 190),
            width=5,
            joint="curve",
        )
    g.line(
        [(cx - half(y) * 0.8, y) for y in heights[6:-6]],
        fill=(255, 255, 255, 120),
        width=9,
        joint="curve",
    )
    g.line(
        [(cx + half(y) * 0.86, y) for y in heights[20:-10]],
        fill=(255, 255, 255, 70),
        width=5,
        joint="curve",
    )
    g.ellipse(
        (cx - half(lip), lip - 9, cx + half(lip), lip + 9), outline=(255, 255, 255, 220), width=4
    )
    g.ellipse(
        (cx - half(foot), foot - 8, cx + half(foot), foot + 8),
        outline=(255, 255, 255, 150),
        width=4,
    )
    glass = glass.crop((60, 0, 388, H))
    large = look["size"] == "large"

    def paint_bubble(d, s):
        disc(d, 20 * s, 20 * s, 19 * s, (*shade(colour, 1.75), 235))
        disc(d, 21 * s, 21 * s, 15 * s, (*shade(colour, 1.3), 200))
        d.ellipse((9 * s, 8 * s, 18 * s, 16 * s), fill=(255, 255, 255, 255))

    master = sprite(40, 40, paint_bubble)
    sizes = [
        master.resize((k, k), Image.Resampling.BOX)
        for k in ((24, 32, 40, 50) if large else (7, 9, 11, 13))
    ]
    n = 16 if large else 80
    seeds = rng.random((n, 4))
    if large:
        seeds[:, 0] = (np.arange(n) * 0.618) % 1

    def frame(t: float) -> Image.Image:
        img = background.copy()
        for u, v, w, z in seeds:
            picture = sizes[int(4 * w)]
            p = (v + t / (2 if w > 0.5 else 3)) % 1
            low, high = foot - 10 - picture.height / 2, level + picture.height / 3
            y = low - (low - high) * p
            room = max(half(y) - picture.width / 2 - 6, 2)
            x = cx + (2 * u - 1) * room * 0.95 + min(room, 5) * wave(t, 0.8, z)
            img.paste(
                picture, (round(x - picture.width / 2), round(y - picture.height / 2)), picture
            )
        img.paste(glass, (60, 0), glass)
        return img

    return frame


def _boat(kind: str, colour: Colour) -> Image.Image:
    def paint(draw, s):
        hull = [(14, 168), (226, 160), (196, 214), (52, 214)]
        if kind == "paper":
            poly(draw, s, [(6, 150), (234, 150), (186, 214), (54, 214)], colour)
            poly(draw, s, [(120, 214), (234, 150), (186, 214)], shade(colour, 0.75))
            poly(draw, s, [(120, 52), (70, 166), (120, 196)], shade(colour, 1.25))
            poly(draw, s, [(120, 52), (170, 166), (120, 196)], shade(colour, 0.85))
            poly(draw, s, [(6, 150), (70, 166), (120, 196), (54, 214)], shade(colour, 1.12))
            return
        if kind == "sail":
            draw.rectangle((112 * s, 4 * s, 118 * s, 170 * s), fill=(108, 76, 52))
            poly(draw, s, [(122, 8), (214, 146), (122, 152)], (250, 246, 236))
            poly(draw, s, [(122, 84), (180, 95), (214, 146), (122, 152)], (228, 220, 208))
            poly(draw, s, [(108, 22), (108, 154), (34, 156)], (238, 232, 220))
        elif kind == "fishing":
            draw.rectangle((126 * s, 92 * s, 196 * s, 166 * s), fill=(240, 236, 226))
            draw.rectangle((118 * s, 84 * s, 204 * s, 96 * s), fill=shade(colour, 0.7))
            for x in (136, 166):
                draw.rounded_rectangle(
                    (x * s, 106 * s, (x + 20) * s, 128 * s), 3 * s, fill=(70, 110, 140)
                )
            draw.rectangle((154 * s, 50 * s, 172 * s, 84 * s), fill=shade(colour, 0.9))
            draw.rectangle((154 * s, 50 * s, 172 * s, 60 * s), fill=PAINT["black"])
            draw.line(
                [(70 * s, 168 * s), (70 * s, 46 * s), (14 * s, 150 * s)],
                fill=(96, 70, 52),
                width=4 * s,
            )
        else:  # a rowing boat with its rower
            draw.line([(66 * s, 112 * s), (184 * s, 226 * s)], fill=(176, 130, 84), width=5 * s)
            poly(
                draw, s, [(98, 168), (100, 122), (112, 110), (130, 114), (138, 168)], (70, 90, 130)
            )
            disc(draw, 118 * s, 92 * s, 17 * s, (236, 190, 156))
            draw.pieslice((99 * s, 70 * s, 137 * s, 108 * s), 180, 360, fill=(232, 200, 110))
            draw.rectangle((92 * s, 86 * s, 144 * s, 92 * s), fill=(232, 200, 110))
            draw.line(
                [(116 * s, 126 * s), (140 * s, 150 * s), (122 * s, 160 * s)],
                fill=(236, 190, 156),
                width=8 * s,
            )
        poly(draw, s, hull, shade(colour, 0.72))
        poly(draw, s, [(14, 168), (226, 160), (212, 186), (30, 190)], colour)
        poly(draw, s, [(14, 168), (226, 160), (224, 168), (17, 176)], shade(colour, 1.5))

    return sprite(240, 230, paint)


@scene(
    theme="water",
    attributes={
        "colour": {
            "red": ("red", "scarlet"),
            "yellow": ("yellow",),
            "green": ("green",),
            "blue": ("blue", "*cobalt"),
            "white": ("white",),
        },
        "kind": {
            "sail": ("sailing boat", "sailboat"),
            "rowing": ("rowing boat with a man in a straw hat", "rowing boat"),
            "fishing": ("fishing boat", "*trawler"),
            "paper": ("paper boat", "folded paper boat"),
        },
        "time": {
            "day": ("on a sunny day", "under a blue sky"),
            "dusk": ("at sunset", "at dusk"),
            "night": ("at night", "under the moon"),
            "storm": ("in a storm", "in stormy weather", "under dark storm clouds"),
        },
        "shore": {
            "mountains": ("mountains", "a row of mountains"),
            "town": ("a town with lit windows", "the houses of a town"),
            "sea": ("the open sea", "nothing but the sea"),
        },
    },
    captions=(
        "a {colour} {kind} (rocks|bobs) on the waves {time} [with {shore} behind it]",
        "{time} a {colour} {kind} (sways|rolls|rocks) on the water [before {shore}]",
        "waves rock a {colour} {kind} [in front of {shore}] {time}",
        "a {colour} {kind} on the sea {time} [, going up and down with the waves] [, {shore} in the background]",
    ),
    sound=lambda look, rng: (
        sounds.together(sounds.wind(rng, 0.5), sounds.surf(rng))
        if look["time"] == "storm"
        else 0.6 * sounds.surf(rng, 1.0)
    ),
)
def rocking_boat(look: Look, rng: np.random.Generator) -> Frame:
    time, horizon = look["time"], 168
    light = _LIGHT[time]
    far, near = _SEA[time]
    background = sky(time, horizon / H)
    if time == "night":
        stars(rng, background, 120, 0.45)
        glow(background, 70, 54, 100, (200, 214, 255), 0.7)
        disc(ImageDraw.Draw(background), 70, 54, 20, (240, 240, 226))
    elif time == "dusk":
        glow(background, 110, horizon - 6, 170, (255, 190, 120), 0.9)
        disc(ImageDraw.Draw(background), 110, horizon - 12, 32, (255, 232, 170))
    peaks, haze = _HILLS[time]
    if look["shore"] == "mountains":
        fill_below(background, ridge(rng, W, 70, 160, 130), peaks)
        fill_below(background, ridge(rng, W, 118, 164, 90), haze)
    elif look["shore"] == "town":
        draw = ImageDraw.Draw(background)
        x = -4
        while x < W:
            wide, tall = 24 + int(rng.integers(22)), 34 + int(rng.integers(62))
            tint = mix(
                haze,
                (PAINT["orange"], PAINT["red"], PAINT["white"])[int(rng.integers(3))],
                0.3 if time == "day" else 0.1,
            )
            draw.rectangle((x, horizon - tall, x + wide, horizon + 4), fill=tint)
            draw.polygon(
                [
                    (x - 2, horizon - tall),
                    (x + wide / 2, horizon - tall - 16),
                    (x + wide + 2, horizon - tall),
                ],
                fill=shade(tint, 0.7),
            )
            for wx in range(x + 5, x + wide - 6, 11):
                for wy in range(horizon - tall + 8, horizon - 8, 15):
                    if rng.random() < 0.7:
                        draw.rectangle((wx, wy, wx + 5, wy + 7), fill=(255, 222, 140))
            x += wide + 1
    sea_below(background, horizon, time, rng)
    cover = clouds(
        rng,
        {
            "day": (255, 255, 255),
            "dusk": (150, 110, 130),
            "night": (52, 60, 96),
            "storm": (70, 74, 88),
        }[time],
        0.75 if time == "storm" else 0.35,
    )
    boat = _boat(look["kind"], shade(PAINT[look["colour"]], max(light, 0.82)))
    if light < 0.7:
        dim = Image.blend(boat.convert("RGB"), Image.new("RGB", boat.size, (20, 26, 60)), 0.22)
        dim.putalpha(boat.getchannel("A"))
        boat = dim
    boat = boat.resize((270, 258), Image.Resampling.BILINEAR)
    steep = 11 if time == "storm" else 7
    tilts = [boat.rotate(a, Image.Resampling.BILINEAR) for a in range(-steep, steep + 1)]
    height = {"storm": 15, "day": 7, "dusk": 6, "night": 7}[time]
    x = np.arange(0, W + 8, 8)
    drops = rng.random((60, 3))
    start = rng.random()

    def surface(t: float, layer: int) -> np.ndarray:
        turn = 2 * math.pi * (t / 3 * (2 if layer % 2 else 1) + 0.27 * layer + start)
        y = np.sin(x / (58 - 5 * layer) + turn) + 0.4 * np.sin(x / 25 - turn + layer)
        return (192, 216, 246, 280, 314)[layer] + height * (0.6 + 0.2 * layer) * y

    def frame(t: float) -> Image.Image:
        img = background.copy()
        scroll(img, cover, 8 * t + 60, 0)
        draw = ImageDraw.Draw(img)
        for layer in range(5):
            if layer == 2:
                sway = wave(t, 2 / 3, start)
                lean = sway * steep
                tilt = tilts[round(lean) + steep]
                img.paste(tilt, (89, round(10 + 0.9 * height * wave(t, 2 / 3, start + 0.3))), tilt)
            y = surface(t, layer)
            crest = list(zip(x.tolist(), y.tolist(), strict=True))
            tint = mix(far, near, (0.85, 0.62, 0.5, 0.3, 0.1)[layer])
            draw.polygon([*crest, (W, H), (0, H)], fill=shade(tint, 0.98 - 0.04 * layer))
            foam = mix(tint, (255, 255, 255), 0.42 if time != "night" else 0.25)
            draw.line(crest, fill=foam, width=2 + layer)
            draw.line(
                [(a, b + 9 + 3 * layer) for a, b in crest], fill=mix(tint, foam, 0.25), width=2
            )
        if time == "storm":
            for u, v, w in drops:
                y = (v + t * (1 + round(w)) * 2 / 3) % 1 * 380 - 20
                rain_x = (u * 500 - y * 0.2) % 470
                draw.line([(rain_x, y), (rain_x - 5, y + 22)], fill=(150, 160, 176), width=1)
        return img

    return frame


@scene(
    theme="water",
    attributes={
        "metal": {
            "silver": ("silver", "chrome", "shiny steel"),
            "gold": ("golden", "brass"),
            "red": ("red",),
            "black": ("black",),
        },
        "vessel": {
            "sink": ("a white sink", "a white washbasin"),
            "bucket": ("a blue bucket", "a blue pail"),
            "glass": ("a glass", "a glass of water"),
            "pot": ("a plant pot with a green plant", "a potted plant"),
        },
        "wall": {
            "blue": ("blue tiles", "a blue tiled wall"),
            "green": ("green tiles", "a green tiled wall"),
            "pink": ("pink tiles", "a pink tiled wall"),
            "white": ("white tiles", "a white tiled wall"),
            "brick": ("a brick wall", "red-brown bricks"),
        },
        "speed": {
            "slow": ("slowly", "drop by drop"),
            "fast": ("quickly", "fast", "*rapidly"),
        },
    },
    captions=(
        "a {metal} tap drips {speed} into {vessel} [in front of {wall}]",
        "water drips {speed} from a {metal} (tap|faucet) into {vessel} [, {wall} behind]",
        "drops fall {speed} from a {metal} tap [on {wall}] [into {vessel}]",
        "before {wall} a {metal} (tap|faucet) lets drops fall {speed} into {vessel}",
        "{vessel} under a dripping {metal} tap [and {wall} behind it]",
    ),
    sound=lambda look, rng: sounds.at(
        np.arange(
            0.5 if look["speed"] == "slow" else 0.25, 3, 1.5 if look["speed"] == "slow" else 0.5
        ),
        sounds.glide(700, 1500, 0.1),
        0.8,
    ),
)
def dripping_tap(look: Look, rng: np.random.Generator) -> Frame:
    wall = {
        "blue": (122, 176, 222),
        "green": (138, 200, 160),
        "pink": (240, 176, 190),
        "white": (232, 232, 230),
        "brick": (166, 88, 66),
    }[look["wall"]]
    background = Image.new(
        "RGB", (W, H), shade(wall, 0.78) if look["wall"] != "brick" else (196, 184, 170)
    )
    draw = ImageDraw.Draw(background)
    if look["wall"] == "brick":
        for row in range(10):
            for i in range(-1, 7):
                x = i * 76 + 38 * (row % 2)
                draw.rectangle(
                    (x, row * 34, x + 71, row * 34 + 29),
                    fill=shade(wall, 0.8 + 0.35 * rng.random()),
                )
    else:
        for gx in range(0, W, 64):
            for gy in range(0, H, 64):
                tint = shade(wall, 0.96 + 0.1 * rng.random())
                draw.rounded_rectangle((gx + 2, gy + 2, gx + 61, gy + 61), 5, fill=tint)
                draw.line([(gx + 8, gy + 8), (gx + 50, gy + 8)], fill=shade(tint, 1.5), width=3)
    glow(background, 90, 50, 240, (255, 244, 220), 0.25)
    metal = {
        "silver": (176, 186, 196),
        "gold": (222, 172, 62),
        "red": (214, 58, 50),
        "black": (58, 58, 68),
    }[look["metal"]]

    def paint_tap(d, s):
        for i in range(9):  # the pipe in strips from shadow to light
            u = i / 8
            tint = shade(metal, 0.5 + 0.95 * math.sin(math.pi * (0.15 + 0.75 * u)) ** 2)
            w = (44 - 4.6 * i) * s
            d.line([(0, (96 - u * 5) * s), (120 * s, (96 - u * 5) * s)], fill=tint, width=round(w))
            d.arc(
                (
                    70 * s + (44 * s - w) / 2 - 10 * s,
                    (74 - u * 5) * s + (44 * s - w) / 2,
                    170 * s - (44 * s - w) / 2,
                    184 * s,
                ),
                268,
                362,
                fill=tint,
                width=round(w),
            )
            d.line(
                [((147 - u * 2) * s, 120 * s), ((147 - u * 2) * s, 150 * s)],
                fill=tint,
                width=round(w),
            )
        d.rounded_rectangle((122 * s, 144 * s, 172 * s, 160 * s), 4 * s, fill=shade(metal, 0.6))
        d.rounded_rectangle((122 * s, 144 * s, 172 * s, 151 * s), 3 * s, fill=shade(metal, 1.25))
        d.rectangle((70 * s, 40 * s, 90 * s, 84 * s), fill=shade(metal, 0.8))
        d.rectangle((73 * s, 40 * s, 79 * s, 84 * s), fill=shade(metal, 1.5))
        d.rounded_rectangle((30 * s, 22 * s, 130 * s, 44 * s), 11 * s, fill=shade(metal, 0.8))
        d.rounded_rectangle((34 * s, 24 * s, 126 * s, 32 * s), 4 * s, fill=shade(metal, 1.6))
        d.rounded_rectangle((-10 * s, 62 * s, 16 * s, 124 * s), 6 * s, fill=shade(metal, 0.7))
        d.rounded_rectangle((-10 * s, 64 * s, 8 * s, 122 * s), 6 * s, fill=shade(metal, 1.15))

    shadow(background, 190, 130, 140, 60, 0.22)
    stamp(background, sprite(180, 170, paint_tap), 182, 90)
    mouth_x, mouth_y = 92 + 147, 168
    vessel = look["vessel"]
    cx, surface = mouth_x, {"sink": 292, "bucket": 240, "glass": 236, "pot": 250}[vessel]
    wide = {"sink": 170, "bucket": 92, "glass": 58, "pot": 86}[vessel]
    draw = ImageDraw.Draw(background)
    if vessel == "sink":
        draw.rounded_rectangle((14, 262, W - 14, 400), 30, fill=(206, 210, 214))
        draw.rounded_rectangle((14, 256, W - 14, 390), 30, fill=(250, 250, 248))
        draw.ellipse((cx - 196, 266, cx + 184, 360), fill=(214, 222, 228))
        draw.ellipse((cx - wide, 276, cx + wide, 350), fill=(150, 200, 226))
        draw.ellipse((cx - wide + 16, 284, cx + wide - 30, 336), fill=(176, 218, 238))
    else:
        draw.rectangle((0, 316, W, H), fill=(214, 206, 196))
        shadow(background, cx, 326, wide + 46, 14, 0.5)
        draw = ImageDraw.Draw(background)
        body = {"bucket": PAINT["blue"], "glass": (200, 226, 238), "pot": (200, 104, 66)}[vessel]
        for i in range(12):
            a, b = -1 + 2 * i / 12, -1 + 2 * (i + 1) / 12
            tint = shade(body, 1.2 - 0.05 * i if vessel != "glass" else 1.3 - 0.03 * i)
            foot = 0.74 if vessel != "glass" else 0.86
            top = 222 if vessel == "glass" else surface
            draw.polygon(
                [
                    (cx + a * wide, top),
                    (cx + b * wide, top),
                    (cx + b * wide * foot, 326),
                    (cx + a * wide * foot, 326),
                ],
                fill=tint,
            )
        if vessel == "glass":
            draw.polygon(
                [
                    (cx - wide + 4, surface),
                    (cx + wide - 4, surface),
                    (cx + wide * 0.84, 322),
                    (cx - wide * 0.84, 322),
                ],
                fill=(110, 180, 222),
            )
            draw.line(
                [(cx - wide * 0.8, 230), (cx - wide * 0.7, 314)], fill=(255, 255, 255), width=6
            )
            draw.ellipse((cx - wide, 214, cx + wide, 230), outline=(255, 255, 255), width=3)
        draw.ellipse(
            (cx - wide, surface - 14, cx + wide, surface + 14),
            fill=shade(body, 0.8) if vessel != "glass" else (160, 210, 236),
        )
        inner = (96, 66, 46) if vessel == "pot" else (140, 200, 232)
        draw.ellipse((cx - wide + 7, surface - 10, cx + wide - 7, surface + 10), fill=inner)
        if vessel == "bucket":
            draw.arc(
                (cx - wide, surface - 40, cx + wide, surface + 130),
                20,
                160,
                fill=(190, 198, 206),
                width=4,
            )
        if vessel == "pot":
            draw.rectangle(
                (cx - wide - 6, surface, cx + wide + 6, surface + 22), fill=shade(body, 1.12)
            )
            for k, tilt in enumerate((-74, -52, -34, 34, 52, 74)):
                a = math.radians(tilt)
                tip = (
                    cx + (2 * math.sin(a)) * 48 + 16 * np.sign(tilt),
                    surface - 10 - 70 * math.cos(a) - 8,
                )
                side = (cx + 26 * np.sign(tilt), surface - 62 * math.cos(a) ** 2 - 14)
                draw.polygon(
                    [
                        (cx + 8 * np.sign(tilt), surface),
                        side,
                        tip,
                        (tip[0] * 0.5 + cx * 0.5 + 14 * np.sign(tilt), surface - 4),
                    ],
                    fill=shade((72, 160, 80), 0.8 + 0.09 * k),
                )
    period = 1.5 if look["speed"] == "slow" else 0.5
    fall_s = 0.5 if look["speed"] == "slow" else 0.25
    water, rim = (120, 196, 238), (60, 130, 186)

    def drop(draw: ImageDraw.ImageDraw, x: float, y: float, r: float) -> None:
        draw.polygon(
            [(x, y - 2.3 * r), (x - r * 0.9, y - 0.3 * r), (x + r * 0.9, y - 0.3 * r)], fill=rim
        )
        disc(draw, x, y, r, rim)
        disc(draw, x, y, r * 0.78, water)
        disc(draw, x - r * 0.3, y - r * 0.25, r * 0.3, (255, 255, 255))

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        since = (t - fall_s) % period  # seconds since a drop met the surface
        deep = surface + (14 if vessel == "sink" else 0)
        flat = 0.2 if vessel == "sink" else 0.13
        if vessel != "pot":
            for age in (since, since + period) if period < 1 else (since,):
                r = min(14 + 90 * age, wide - 10)
                fade = max(0, 1 - age / 1.1)
                draw.ellipse(
                    (cx - r, deep - r * flat, cx + r, deep + r * flat),
                    outline=mix((150, 205, 232), (255, 255, 255), fade),
                    width=3,
                )
        if since < 0.34:
            u = since / 0.34
            for k in (-3, -2, -1, 1, 2, 3):
                disc(
                    draw,
                    cx + 15 * k * u,
                    deep - 44 * u * (1 - u) * (4.4 - abs(k)) / 1.6,
                    5 * (1.1 - u),
                    water,
                )
        p = t % period
        if p < fall_s:  # falling
            u = p / fall_s
            drop(draw, cx, mouth_y + (deep - mouth_y) * u * u, 11)
        if p > fall_s * 0.6:
            u = (p - fall_s * 0.6) / (period - fall_s * 0.6)
            drop(draw, cx, mouth_y - 8 + 8 * u, 4 + 7 * ease(u))
        return img

    return frame
