"""Weather."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

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

_SIDES = {"left": 0.24, "middle": 0.5, "right": 0.76}  # share of the width
_SIDE_WORDS = {
    "left": ("on the left", "at the left"),
    "middle": ("in the middle", "in the centre"),
    "right": ("on the right", "at the right"),
}


def _sill_thing(
    draw: ImageDraw.ImageDraw, thing: str, x: float, colour: tuple[int, int, int]
) -> None:
    """What stands on the window sill at x, its foot at y = 300."""
    dark = shade(colour, 0.7)
    if thing == "cat":
        draw.ellipse((x - 44, 222, x + 44, 312), fill=colour)
        disc(draw, x, 204, 32, colour)
        for side in (-1, 1):
            draw.polygon(
                [(x + side * 30, 198), (x + side * 27, 158), (x + side * 5, 178)], fill=colour
            )
        stroke(draw, [(x + 38, 296), (x + 72, 298), (x + 92, 284)], colour, 13)
        draw.line([(x, 262), (x, 304)], fill=dark, width=4)
    elif thing == "mug":
        draw.arc((x + 18, 238, x + 66, 288), 250, 110, fill=dark, width=11)
        draw.rounded_rectangle((x - 40, 224, x + 40, 302), 12, fill=colour)
        draw.rectangle((x + 20, 232, x + 34, 294), fill=dark)
        draw.ellipse((x - 40, 216, x + 40, 236), fill=shade(colour, 1.3))
        draw.ellipse((x - 33, 219, x + 33, 234), fill=(92, 58, 38))
    elif thing == "plant":
        for i, lean in enumerate((-64, -40, -16, 12, 38, 62)):
            tip = (x + lean, 156 + 0.5 * abs(lean) + 10 * (i % 2))
            draw.polygon(
                [
                    (x - 7, 252),
                    (x + 0.7 * lean - 12, 200),
                    tip,
                    (x + 0.6 * lean + 13, 206),
                    (x + 7, 252),
                ],
                fill=shade((62, 142, 74), 0.8 + 0.12 * (i % 4)),
            )
        draw.polygon([(x - 42, 250), (x + 42, 250), (x + 30, 304), (x - 30, 304)], fill=colour)
        draw.rectangle((x - 46, 242, x + 46, 258), fill=dark)
    else:
        y = 304
        for i, (half, tone) in enumerate(((66, 1.0), (58, 0.62), (62, 1.35))):
            draw.rounded_rectangle(
                (x - half + 6 * i, y - 26, x + half, y), 4, fill=shade(colour, tone)
            )
            draw.rectangle(
                (x - half + 12 + 6 * i, y - 21, x + half - 2, y - 5), fill=(242, 234, 212)
            )
            y -= 26


@scene(
    theme="weather",
    attributes={
        "thing": {
            "cat": ("cat", "sitting cat"),
            "mug": ("mug", "coffee mug"),
            "plant": ("flowerpot", "flowerpot with a green plant"),
            "books": ("pile of books", "stack of books"),
        },
        "colour": {
            "red": ("red",),
            "blue": ("blue",),
            "yellow": ("yellow",),
            "white": ("white",),
            "black": ("black", "*jet-black"),
        },
        "outside": {
            "city": ("city lights at night", "a city at night", "blurred city lights"),
            "garden": ("a green garden", "green trees"),
            "hills": ("grey hills", "misty grey hills"),
        },
        "side": {"left": ("on the left", "at the left"), "right": ("on the right", "at the right")},
    },
    captions=(
        "rain runs down a window with a {colour} {thing} on the sill {side}, [outside {outside}]",
        "a {colour} {thing} {side} on the windowsill, raindrops on the pane [and {outside} outside]",
        "drops slide down the glass before {outside}, [{side}] a {colour} {thing}",
        "{outside} behind a rainy window, a {colour} {thing} stands {side}",
    ),
    sound=lambda look, rng: sounds.rain(rng),
)
def rain_on_window(look: Look, rng: np.random.Generator) -> Frame:
    outside = look["outside"]
    if outside == "city":
        background = gradient([(0.0, (14, 18, 44)), (1.0, (46, 44, 84))])
        draw = ImageDraw.Draw(background)
        for _ in range(46):
            lamp = [(255, 190, 90), (255, 110, 80), (130, 190, 255), (255, 236, 170)][
                rng.integers(4)
            ]
            x, y, r = W * rng.random(), 60 + 220 * rng.random(), 8 + 14 * rng.random()
            disc(draw, x, y, r, mix((30, 30, 66), lamp, 0.45 + 0.5 * rng.random()))
        background = blurred(background, 3)
    elif outside == "garden":
        background = gradient(
            [(0.0, (176, 200, 190)), (0.5, (120, 168, 112)), (1.0, (70, 118, 66))]
        )
        draw = ImageDraw.Draw(background)
        for x in np.arange(-10, W + 40, 52):
            scenery.round_tree(
                draw,
                x + 30 * rng.random(),
                280,
                150 + 80 * rng.random(),
                (62, 124 + int(40 * rng.random()), 62),
            )
        background = blurred(background, 7)
    else:
        background = gradient([(0.0, (150, 158, 168)), (1.0, (196, 202, 208))])
        for low, tone in ((110, (136, 146, 158)), (160, (112, 122, 134)), (214, (88, 98, 108))):
            fill_below(background, ridge(rng, W, low, low + 50, 150), tone)
        background = blurred(background, 4)
    wet = background.resize((W // 2, H // 2)).transpose(Image.Transpose.ROTATE_180).resize((W, H))
    frame_wood = scenery.layer()
    draw = ImageDraw.Draw(frame_wood)
    wood = (226, 218, 204) if outside != "hills" else (148, 104, 70)
    for box in ((0, 0, 20, H), (W - 20, 0, W, H), (0, 0, W, 16), (W / 2 - 7, 0, W / 2 + 7, 300)):
        draw.rectangle(box, fill=wood)
        draw.line([(box[2] - 2, box[1]), (box[2] - 2, box[3])], fill=shade(wood, 0.7), width=4)
    draw.rectangle((0, 296, W, H), fill=shade(wood, 0.92))
    draw.rectangle((0, 296, W, 302), fill=shade(wood, 1.2))
    x = (0.27 if look["side"] == "left" else 0.73) * W
    shadow(frame_wood, x, 304, 60, 8, 0.3)
    colour = PAINT[str(look["colour"])]
    halo = scenery.layer()  # a light rim keeps a dark thing apart from a dark night
    _sill_thing(ImageDraw.Draw(halo), str(look["thing"]), x, (255, 255, 255))
    rim = halo.getchannel("A").resize((W // 4, H // 4))
    rim = blurred(rim, 1.6).resize((W, H)).point([min(110, v) for v in range(256)])
    frame_wood.paste((246, 236, 214, 120), (0, 0), rim)
    _sill_thing(draw, str(look["thing"]), x, colour)
    n = 46
    drops = np.column_stack(
        [24 + (W - 48) * rng.random(n), H * rng.random(n), 5 + 6 * rng.random(n)]
    )
    still = np.column_stack(
        [W * rng.random(150), 290 * rng.random(150), 1.5 + 3.5 * rng.random(150) ** 2]
    )
    pane = background.copy()
    lens = Image.new("L", (W, H))
    draw = ImageDraw.Draw(lens)
    for px, py, r in still:
        disc(draw, px, py, r, 200)
    pane.paste(wet, (0, 0), lens)
    draw = ImageDraw.Draw(pane)
    for px, py, r in still:
        disc(draw, px - 0.3 * r, py - 0.3 * r, 0.35 * r, (250, 252, 255))
    edge = shade(background.getpixel((W // 2, 40)), 0.6)
    speed = 30 + 75 * rng.random(n)

    def frame(t: float) -> Image.Image:
        img = pane.copy()
        mask = Image.new("L", (W, H))
        paths = ImageDraw.Draw(mask)
        at = []
        for i, (px, py, r) in enumerate(drops):
            y = (py + speed[i] * t + 7 * wave(t, 0.9, px)) % 330 - 20
            sway = px + 3 * math.sin(0.05 * y + px)
            paths.polygon([(sway - 0.45 * r, y), (px, y - 50), (sway + 0.45 * r, y)], fill=110)
            paths.ellipse((sway - r, y - 1.25 * r, sway + r, y + 1.25 * r), fill=235)
            at.append((sway, y, r))
        img.paste(wet, (0, 0), mask)
        draw = ImageDraw.Draw(img)
        for sway, y, r in at:
            draw.arc((sway - r, y - 1.25 * r, sway + r, y + 1.25 * r), 20, 160, fill=edge, width=2)
            disc(draw, sway - 0.3 * r, y - 0.5 * r, 0.3 * r, (252, 253, 255))
        img.paste(frame_wood, (0, 0), frame_wood)
        if look["thing"] == "mug":
            for k in range(2):
                curl = [
                    (x - 12 + 24 * k + 9 * math.sin(4 * u + 3 * t + k) * u, 214 - 62 * u)
                    for u in np.linspace(0, 1, 9)
                ]
                stroke(ImageDraw.Draw(img), curl, (226, 226, 232), 4)
        return img

    return frame


def _bolt(
    rng: np.random.Generator, x: float, top: float, foot: float
) -> list[list[tuple[float, float]]]:
    """A zigzag from cloud to ground and two side branches."""
    n = 9
    xs = (
        x
        + np.concatenate([[0], (rng.random(n - 1) - 0.5) * 62])
        + np.linspace(0, (rng.random() - 0.5) * 40, n)
    )
    ys = np.linspace(top, foot, n)
    main = [(float(a), float(b)) for a, b in zip(xs, ys, strict=True)]
    lines = [main]
    for start, side in ((3, -1), (5, 1)):
        px, py = main[start]
        lines.append([(px, py), (px + side * 14, py + 12), (px + side * 18, py + 30)])
    return lines


@scene(
    theme="weather",
    attributes={
        "n": {1: ("one", "a single"), 2: ("two", "a pair of"), 3: ("three",)},
        "colour": {
            "white": ("white",),
            "yellow": ("yellow",),
            "purple": ("purple", "violet"),
            "green": ("green", "greenish"),
        },
        "place": {
            "lighthouse": ("a lighthouse by the sea", "the sea and a lighthouse"),
            "city": ("a city", "tower blocks", "a city skyline"),
            "barn": ("a lonely farmhouse", "a house in the fields"),
            "mountains": ("jagged mountains", "mountain peaks", "*craggy summits"),
        },
        "rain": {
            "rain": ("in pouring rain", "in heavy rain"),
            "dry": ("without a drop of rain", "in dry air"),
        },
    },
    captions=(
        "{n} {colour} {n|flash|flashes} of lightning over {place} {rain}",
        "a thunderstorm {rain}: {n} {colour} {n|bolt strikes|bolts strike} above {place}",
        "dark storm clouds above {place} [{rain}] and {n} {colour} {n|bolt|bolts} of lightning",
        "{rain} {n} {colour} lightning {n|bolt lights|bolts light} up {place}",
    ),
    sound=lambda look, rng: sounds.together(
        sounds.thunder(rng, 0.4),
        0.8 * sounds.thunder(rng, 1.7),
        0.5 * sounds.rain(rng, 0.9) if look["rain"] == "rain" else 0.15 * sounds.wind(rng),
    ),
    poster_s=1.5,
)
def thunderstorm(look: Look, rng: np.random.Generator) -> Frame:
    colour = {
        "white": (244, 246, 255),
        "yellow": (255, 226, 90),
        "purple": (206, 130, 255),
        "green": (120, 255, 160),
    }[str(look["colour"])]
    dark = sky("storm", 0.85)
    front = scenery.layer()
    draw = ImageDraw.Draw(front)
    if look["place"] == "lighthouse":
        scenery.water(front, 262, (44, 66, 84), rng)
        fill_below(
            front,
            np.concatenate([np.linspace(282, 330, 190), np.full(W - 190, 400.0)]),
            (30, 32, 36),
        )
        scenery.lighthouse(draw, 66, 292, 176, (186, 50, 46))
    elif look["place"] == "city":
        scenery.skyline(front, rng, H, 80, 180, (40, 44, 58), (250, 214, 130))
    elif look["place"] == "barn":
        fill_below(front, ridge(rng, W, 268, 284, 220), (78, 90, 58), (34, 40, 30))
        scenery.cottage(draw, 130, 304, 128, (170, 66, 54), (70, 52, 50))
        scenery.round_tree(draw, 236, 300, 84, (50, 76, 54))
    else:
        fill_below(front, ridge(rng, W, 176, 276, 90), (62, 66, 82), (30, 32, 42))
        fill_below(front, ridge(rng, W, 250, 306, 100), (38, 42, 52), (18, 20, 26))
    cover = clouds(rng, (92, 96, 114), 0.72, height=170, cell=150)
    n = int(look["n"])
    spots = (np.arange(n) + 0.5) / n * (W - 120) + 60 + 24 * (rng.random(n) - 0.5)
    if n == 1:
        spots += 60
    bolts = [_bolt(rng, x, 70, 276) for x in spots]
    drops = np.column_stack(
        [(W + 80) * rng.random(170), H * rng.random(170), 0.6 + 0.6 * rng.random(170)]
    )
    lit = Image.blend(dark, Image.new("RGB", (W, H), mix(colour, (120, 120, 160), 0.35)), 0.42)

    def frame(t: float) -> Image.Image:
        # Three strikes, one a second, that fade slowly: bright, yet never a flicker.
        since = (t - 0.15) % 1.0
        power = max(0.12, 1 - since / 0.95) if t >= 0.15 else 0.12
        power *= ease(since / 0.06) if t >= 0.15 else 1
        img = Image.blend(dark, lit, power)
        scroll(img, cover, 16 * t, -14)
        draw = ImageDraw.Draw(img)
        for lines in bolts:
            x, y = lines[0][4]
            glow(img, x, y, 150, colour, round(3 * power) / 6)
            for k, line in enumerate(lines):
                wide = (7.0 if k == 0 else 3.6) * (0.45 + 0.55 * power)
                stroke(draw, line, mix((90, 90, 110), colour, 0.3 + 0.55 * power), wide + 3)
                stroke(draw, line, mix(colour, (255, 255, 255), 0.55 * power), wide * 0.55)
        img.paste(front, (0, 0), front)
        if look["rain"] == "rain":
            draw = ImageDraw.Draw(img)
            for x, y, fast in drops:
                y = (y + 520 * fast * t) % (H + 40) - 20
                x = (x - 90 * fast * t) % (W + 80) - 40
                draw.line([(x, y), (x - 5, y + 28)], fill=(150, 162, 186), width=2)
        if look["place"] == "lighthouse":
            glow(img, 66, 292 - 152, 60, (255, 226, 140), 0.7)
        return img

    return frame


@scene(
    theme="weather",
    attributes={
        "n": {1: ("one", "a single"), 2: ("two",), 4: ("four",)},
        "colour": {
            "red": ("red",),
            "yellow": ("yellow", "*mustard"),
            "blue": ("blue",),
            "green": ("green",),
            "pink": ("pink",),
        },
        "time": {
            "day": ("by day", "on a bright winter day"),
            "dusk": ("at dusk", "in the evening"),
            "night": ("at night", "on a dark winter night"),
        },
        "extra": {
            "snowman": ("a snowman", "a snowman with a hat"),
            "tree": ("a lit Christmas tree", "a fir tree with lights"),
            "church": ("a church with a steeple", "a village church"),
        },
    },
    captions=(
        "snow falls {time} on {n} {colour} {n|house|houses} and {extra}",
        "{extra} beside {n} {colour} {n|cottage|cottages} in falling snow {time}",
        "{time} it snows on a village with {n} {colour} {n|house|houses} [and {extra}]",
        "snowflakes drift down over {n} {colour} {n|house with a snowy roof|houses with snowy roofs}, [{extra},] {time}",
    ),
    sound=lambda look, rng: (
        sounds.at((0.2, 1.2, 2.2), sounds.bell(620), 0.6) if look["extra"] == "church" else None
    ),
)
def snow_village(look: Look, rng: np.random.Generator) -> Frame:
    time = str(look["time"])
    background = sky(time, 0.8)
    dim = {"day": 1.0, "dusk": 0.74, "night": 0.55}[time]
    tint = {"day": (240, 246, 252), "dusk": (236, 206, 220), "night": (190, 206, 244)}[time]
    if time == "night":
        stars(rng, background, 70, 0.5)
    fill_below(
        background, ridge(rng, W, 168, 216, 150), shade(mix(tint, (120, 150, 190), 0.5), dim)
    )
    draw = ImageDraw.Draw(background)
    for x in np.arange(0, W + 20, 24):
        scenery.pine(
            draw, x + 12 * rng.random(), 244, 44 + 34 * rng.random(), shade((52, 92, 88), dim)
        )
    fill_below(background, ridge(rng, W, 232, 248, 240), shade(tint, dim), shade(tint, 0.8 * dim))
    n = int(look["n"])
    wall = shade(PAINT[str(look["colour"])], 0.75 + 0.25 * dim)
    left = look["extra"] == "church"
    places = {
        1: [(0.36, 300, 150)],
        2: [(0.2, 292, 116), (0.54, 304, 124)],
        4: [(0.08, 290, 66), (0.25, 308, 68), (0.42, 292, 66), (0.6, 308, 68)],
    }[n]
    for share, y, width in places:
        x = W * (1 - share if left else share)
        shadow(background, x + 8, y, 0.62 * width, 9, 0.25)
        scenery.cottage(
            draw,
            x,
            y,
            width,
            wall,
            (250, 252, 255),
            (255, 214, 120) if time != "day" else (150, 190, 220),
        )
    x = 0.83 * W
    if look["extra"] == "snowman":
        shadow(background, x, 318, 46, 9, 0.25)
        white = shade((255, 255, 255), 0.8 + 0.2 * dim)
        for y, r in ((284, 36), (232, 26), (192, 19)):
            stamp(background, ball(r, white), x, y)
        for y in (222, 240):
            disc(draw, x, y, 3.5, (40, 40, 46))
        for side in (-7, 6):
            disc(draw, x + side, 188, 3, (30, 30, 36))
        draw.polygon([(x, 194), (x - 22, 198), (x, 200)], fill=(240, 130, 40))
        draw.rectangle((x - 24, 174, x + 24, 179), fill=(40, 40, 48))
        draw.rectangle((x - 15, 146, x + 15, 176), fill=(40, 40, 48))
        draw.rectangle((x - 15, 166, x + 15, 172), fill=(206, 52, 48))
        for side in (-1, 1):
            stroke(
                draw,
                [(x + side * 22, 230), (x + side * 50, 212), (x + side * 56, 200)],
                (92, 66, 46),
                4,
            )
    elif look["extra"] == "tree":
        shadow(background, x, 318, 48, 9, 0.25)
        scenery.pine(draw, x, 320, 178, shade((48, 128, 76), max(dim, 0.7)))
    else:
        scenery.church(draw, 0.125 * W, 302, 172, shade((226, 220, 210), dim))
    lamps = [
        (
            x + (rng.random() - 0.5) * 74 * u,
            152 + 128 * u,
            (255, 90, 70) if i % 2 else (255, 220, 90),
        )
        for i, u in enumerate(np.linspace(0.1, 1, 15))
    ]
    flakes = np.column_stack([W * rng.random(150), H * rng.random(150), rng.random(150)])

    def frame(t: float) -> Image.Image:
        img = background.copy()
        if look["extra"] == "tree":
            for i, (lx, ly, lamp) in enumerate(lamps):
                glow(img, lx, ly, 20, lamp, 0.75 + 0.25 * wave(t, 0.6, 0.37 * i))
                disc(ImageDraw.Draw(img), lx, ly, 3.5, lamp)
            glow(img, x, 140, 34, (255, 236, 150), 0.9)
        draw = ImageDraw.Draw(img)
        for fx, fy, size in flakes:
            y = (fy + (34 + 40 * size) * t) % (H + 10) - 5
            disc(
                draw, fx + 9 * wave(t, 0.35, 3 * size + fx), y, 1.4 + 2.6 * size**2, (255, 255, 255)
            )
        return img

    return frame


@scene(
    theme="weather",
    attributes={
        "landmark": {
            "tree": ("a lone tree", "a single tree"),
            "castle": ("a castle", "an old fortress with towers"),
            "church": ("a church", "a church with a pointed steeple"),
            "windmill": ("a windmill", "an old windmill"),
            "cottage": ("a cottage", "a small house"),
        },
        "hue": {
            "pink": ("pink", "rosy"),
            "blue": ("blue", "bluish"),
            "grey": ("grey", "*ashen"),
            "gold": ("golden", "yellow"),
            "green": ("green", "greenish"),
        },
        "side": _SIDE_WORDS,
        "trees": {
            "firs": ("fir trees in front", "firs in the foreground"),
            "none": ("an empty hillside in front", "bare grass in front"),
        },
    },
    captions=(
        "{hue} fog drifts over hills with {landmark} {side} [and {trees}]",
        "{landmark} {side} rises out of {hue} mist [, {trees}]",
        "{side} {landmark} in {hue} morning fog, [{trees}]",
        "hills in {hue} mist, {landmark} {side} [and {trees}]",
    ),
    sound=lambda look, rng: sounds.chirp(rng, 7) if look["trees"] == "firs" else None,
)
def fog_hills(look: Look, rng: np.random.Generator) -> Frame:
    hue = {
        "pink": (244, 178, 190),
        "blue": (140, 178, 224),
        "grey": (186, 190, 194),
        "gold": (246, 210, 130),
        "green": (160, 208, 160),
    }[str(look["hue"])]
    ink = mix(shade(hue, 0.28), (30, 34, 44), 0.5)
    background = gradient([(0.0, shade(hue, 0.86)), (0.6, shade(hue, 1.35)), (1.0, hue)])
    glow(background, W * 0.5, 120, 200, shade(hue, 1.5), 0.5)
    fill_below(background, ridge(rng, W, 130, 176, 130), mix(hue, ink, 0.18), hue)
    fill_below(background, ridge(rng, W, 170, 214, 170), mix(hue, ink, 0.34), hue)
    x = _SIDES[str(look["side"])] * W
    hill = 286 - 44 * np.exp(-(((np.arange(W) - x) / 120.0) ** 2)) + 6 * np.sin(np.arange(W) / 60)
    foot = float(hill[round(x)]) + 4
    tone = mix(hue, ink, 0.82)
    draw = ImageDraw.Draw(background)
    if look["landmark"] == "tree":
        scenery.bare_tree(draw, x, foot, 190, tone, rng)
    elif look["landmark"] == "castle":
        scenery.castle(draw, x, foot, 150, tone)
    elif look["landmark"] == "church":
        scenery.church(draw, x - 14, foot, 176, tone)
    elif look["landmark"] == "cottage":
        scenery.cottage(draw, x, foot, 128, tone, shade(tone, 0.6))
    else:
        draw.polygon(
            [(x - 34, foot), (x - 22, foot - 104), (x + 22, foot - 104), (x + 34, foot)], fill=tone
        )
        draw.polygon(
            [(x - 27, foot - 104), (x, foot - 132), (x + 27, foot - 104)], fill=shade(tone, 0.7)
        )
    front = scenery.layer()
    fill_below(front, hill, mix(hue, ink, 0.66), mix(hue, ink, 0.9))
    near = scenery.layer()
    fill_below(near, ridge(rng, W, 306, 322, 200), ink)
    if look["trees"] == "firs":
        for px in (14, 52, 96, 132, 316, 352, 398, 436):
            scenery.pine(ImageDraw.Draw(near), px, 336, 62 + 40 * rng.random(), ink)
    mists = [
        clouds(rng, shade(hue, 1.45), cover, height=tall, cell=170)
        for cover, tall in ((0.8, 130), (0.8, 120))
    ]
    blade = sprite(34, 190, lambda d, s: (
        d.rectangle((15 * s, 4 * s, 19 * s, 186 * s), fill=shade(tone, 0.6)),
        d.rectangle((19 * s, 6 * s, 32 * s, 80 * s), fill=(*shade(tone, 1.3), 255)),
        d.rectangle((2 * s, 110 * s, 15 * s, 184 * s), fill=(*shade(tone, 1.3), 255)),
    ))  # fmt: skip

    def frame(t: float) -> Image.Image:
        img = background.copy()
        if look["landmark"] == "windmill":
            for k in range(2):
                stamp(img, blade, x, foot - 108, 26 * t + 90 * k)
        scroll(img, mists[0], 22 * t + 150, 118)
        img.paste(front, (0, 0), front)
        scroll(img, mists[1], -30 * t + 300, 236)
        img.paste(near, (0, 0), near)
        return img

    return frame


@scene(
    theme="weather",
    attributes={
        "colour": {
            "red": ("red",),
            "yellow": ("yellow",),
            "brown": ("brown", "withered brown"),
            "green": ("green",),
            "orange": ("orange",),
        },
        "direction": {
            "left": ("to the left", "leftwards"),
            "right": ("to the right", "rightwards"),
        },
        "thing": {
            "bench": ("a park bench", "an empty bench"),
            "lamp": ("a street lamp", "a tall lamp post"),
            "tree": ("a bare tree", "a leafless tree"),
            "fence": ("a wooden fence", "a white picket fence"),
        },
        "sky": {
            "day": ("under a blue sky", "in sunshine"),
            "overcast": ("under a grey sky", "on a dull day"),
            "dusk": ("at dusk", "in the evening"),
        },
        "amount": {"few": ("a few", "some"), "many": ("a great many", "masses of", "*swarms of")},
    },
    captions=(
        "{amount} {colour} leaves blow {direction} past {thing} {sky}",
        "the wind whirls {amount} {colour} leaves {direction} [past {thing}] {sky}",
        "{sky} {amount} {colour} leaves fly {direction} [in the wind] in front of {thing}",
        "{thing} {sky}, {amount} {colour} leaves drift by [{direction}]",
    ),
    sound=lambda look, rng: sounds.wind(rng, 0.9) if look["amount"] == "many" else None,
)
def blown_leaves(look: Look, rng: np.random.Generator) -> Frame:
    background = sky(str(look["sky"]), 0.8)
    dim = {"day": 1.0, "overcast": 0.85, "dusk": 0.6}[str(look["sky"])]
    fill_below(background, ridge(rng, W, 196, 232, 170), shade((136, 158, 150), dim))
    fill_below(background, ridge(rng, W, 244, 256, 260), shade((158, 166, 112), dim))
    draw = ImageDraw.Draw(background)
    draw.polygon([(0, 322), (W, 300), (W, 336), (0, 336)], fill=shade((190, 176, 150), dim))
    colour, ink = PAINT[str(look["colour"])], shade((74, 56, 48), 0.5 + 0.5 * dim)
    x = W * (0.38 + 0.24 * rng.random())
    if look["thing"] == "bench":
        shadow(background, x, 312, 110, 9, 0.3)
        for dx in (-80, 74):
            draw.rectangle((x + dx, 210, x + dx + 8, 312), fill=shade(ink, 0.7))
        for y in (206, 226, 262, 274):
            draw.rectangle((x - 100, y, x + 100, y + 10), fill=shade((150, 96, 58), dim))
    elif look["thing"] == "lamp":
        shadow(background, x, 312, 34, 7, 0.3)
        draw.rectangle((x - 5, 96, x + 5, 312), fill=(46, 50, 58))
        draw.rectangle((x - 16, 298, x + 16, 312), fill=(46, 50, 58))
        draw.polygon([(x - 24, 52), (x + 24, 52), (x + 14, 98), (x - 14, 98)], fill=(255, 234, 160))
        draw.polygon([(x - 30, 54), (x, 30), (x + 30, 54)], fill=(46, 50, 58))
        if dim < 0.9:
            glow(background, x, 78, 110, (255, 210, 120), 0.7)
    elif look["thing"] == "tree":
        shadow(background, x, 312, 50, 9, 0.3)
        scenery.bare_tree(draw, x, 314, 310, ink, rng)
    else:
        white = shade((250, 248, 240), dim)
        for y in (250, 286):
            draw.rectangle((0, y, W, y + 9), fill=shade(white, 0.86))
        for px in range(4, W, 34):
            draw.polygon(
                [(px, 312), (px, 238), (px + 10, 222), (px + 20, 238), (px + 20, 312)], fill=white
            )
    sign = 1 if look["direction"] == "right" else -1
    tones = [shade(colour, light) for light in (0.8, 1.0, 1.22)]

    def leaf(tone: tuple[int, int, int]) -> Image.Image:
        def paint(d: ImageDraw.ImageDraw, s: float) -> None:
            edge = [(2, 14), (10, 5), (22, 2), (34, 8), (42, 14), (34, 20), (22, 26), (10, 23)]
            d.polygon([(a * s, b * s) for a, b in edge], fill=shade(tone, 0.55))
            d.polygon([((a * 0.88 + 2.6) * s, (b * 0.8 + 2.8) * s) for a, b in edge], fill=tone)
            d.line([(0, 14 * s), (40 * s, 14 * s)], fill=shade(tone, 0.55), width=round(2 * s))

        return sprite(46, 28, paint)

    # Every leaf in eight turns, made beforehand.
    leaves = [
        [leaf(tone).rotate(45 * k, Image.Resampling.BICUBIC, expand=True) for k in range(8)]
        for tone in tones
    ]
    n = 12 if look["amount"] == "few" else 66
    flight = rng.random((n, 5))
    flight[:, 0] = (np.arange(n) + 0.8 * flight[:, 0]) / n

    def frame(t: float) -> Image.Image:
        img = background.copy()
        for i, (start, height, phase, speed, turn) in enumerate(flight):
            x = (start * 540 + (70 + 60 * speed) * t) % 540 - 46
            y = 26 + 280 * ((height + 0.618 * i) % 1) + 20 * wave(t, 0.45, phase)
            picture = leaves[i % 3][int(8 * turn + 2.2 * t * (1 + speed)) % 8]
            stamp(img, picture, x if sign > 0 else W - x, y)
        return img

    return frame


@scene(
    theme="weather",
    attributes={
        "n": {
            1: ("a single rainbow", "one rainbow"),
            2: ("a double rainbow", "a rainbow with a second one inside it"),
        },
        "place": {
            "waterfall": ("a waterfall", "a waterfall between cliffs"),
            "meadow": ("a meadow with sheep", "sheep in a pasture"),
            "sea": ("the sea with a sailing boat", "a sailing boat at sea"),
            "city": ("a city", "the towers of a city"),
            "field": ("a golden field of wheat", "a ripe cornfield"),
        },
        "sky": {
            "dark": ("dark rain clouds", "a dark grey sky"),
            "blue": ("a blue sky", "a bright blue sky"),
            "evening": ("a reddish evening sky", "a glowing evening sky"),
        },
        "side": {
            "left": ("on the left", "at the left"),
            "whole": ("from edge to edge", "across the whole picture"),
            "right": ("on the right", "at the right"),
        },
    },
    captions=(
        "{n} {side} over {place} before {sky}",
        "over {place} {n} {side} lights up in {sky}",
        "{side} {n} shines [in {sky}] above {place}",
        "after the rain {n} {side} above {place} [and {sky}]",
    ),
    sound=lambda look, rng: (
        0.6 * sounds.hiss(rng, 400, 4000) if look["place"] == "waterfall" else None
    ),
)
def rainbow(look: Look, rng: np.random.Generator) -> Frame:
    stops = {
        "dark": ((0.0, (58, 64, 80)), (0.8, (128, 136, 148)), (1.0, (150, 156, 164))),
        "blue": ((0.0, (46, 118, 206)), (0.8, (134, 192, 236)), (1.0, (170, 212, 240))),
        "evening": ((0.0, (108, 62, 110)), (0.55, (206, 98, 96)), (1.0, (248, 176, 110))),
    }[str(look["sky"])]
    background = gradient(stops)
    dim = {"dark": 0.8, "blue": 1.0, "evening": 0.78}[str(look["sky"])]
    cover_tone = {"dark": (110, 116, 130), "blue": (255, 255, 255), "evening": (246, 190, 170)}[
        str(look["sky"])
    ]
    front = scenery.layer()
    draw = ImageDraw.Draw(front)
    place = look["place"]
    if place == "sea":
        scenery.water(front, 250, shade((40, 116, 168), dim), rng)
    elif place == "city":
        scenery.skyline(front, rng, 300, 40, 120, shade((112, 118, 138), dim), (250, 232, 170))
        fill_below(front, ridge(rng, W, 292, 300, 260), shade((96, 160, 88), dim))
    elif place == "waterfall":
        fill_below(
            front,
            np.concatenate(
                [np.linspace(176, 206, 176), np.full(96, 206.0), np.linspace(206, 170, W - 272)]
            ),
            shade((104, 108, 92), dim),
            shade((60, 64, 58), dim),
        )
        draw.rectangle((176, 200, 272, 300), fill=shade((206, 230, 244), dim))
        draw.rectangle((0, 296, W, H), fill=shade((64, 140, 180), dim))
        for px in (24, 72, 120, 318, 366, 420):
            scenery.pine(draw, px, 204, 50 + 26 * rng.random(), shade((46, 104, 70), dim))
    else:
        tint = (112, 182, 84) if place == "meadow" else (228, 186, 84)
        fill_below(front, ridge(rng, W, 220, 252, 170), shade(mix(tint, (90, 140, 120), 0.4), dim))
        fill_below(front, ridge(rng, W, 256, 272, 260), shade(tint, dim), shade(tint, 0.7 * dim))
    if place == "field":
        for px, py in zip(W * rng.random(420), 274 + 66 * rng.random(420), strict=True):
            draw.line(
                [(px, py), (px + 3, py - 20)],
                fill=shade(tint, dim * (0.75 + 0.5 * rng.random())),
                width=2,
            )
    if place == "meadow":
        for px, py in ((76, 296), (176, 286), (262, 312), (362, 294)):
            for leg in (-12, -4, 6, 13):
                draw.rectangle((px + leg, py, px + leg + 3, py + 18), fill=(50, 46, 46))
            for dx, dy, r in ((-12, -4, 11), (0, -8, 13), (12, -4, 11), (0, 0, 12)):
                disc(draw, px + dx, py + dy, r, shade((250, 248, 240), 0.6 + 0.4 * dim))
            draw.ellipse((px + 16, py - 18, px + 34, py - 4), fill=(56, 50, 52))
    bands = (
        (222, 60, 56),
        (244, 140, 44),
        (250, 220, 76),
        (84, 190, 96),
        (64, 130, 224),
        (96, 76, 190),
        (160, 90, 196),
    )
    cx = {"left": -30, "whole": W / 2, "right": W + 30}[str(look["side"])]
    radius, cy = (200, 262) if look["side"] == "whole" else (262, 300)
    bow = scenery.layer()
    draw = ImageDraw.Draw(bow)
    for turn in range(int(look["n"])):
        r = radius - 70 * turn
        for i, band in enumerate(bands if turn == 0 else bands[::-1]):
            q = r - 5.6 * i
            draw.ellipse(
                (cx - q, cy - q, cx + q, cy + q),
                fill=(*mix(band, (255, 255, 255), 0.1), 215 if turn == 0 else 160),
            )
        q = r - 5.6 * 7
        draw.ellipse((cx - q, cy - q, cx + q, cy + q), fill=(0, 0, 0, 0))
    bow = bow.resize((W // 2, H // 2), Image.Resampling.BOX).resize(
        (W, H), Image.Resampling.BICUBIC
    )
    alpha = bow.getchannel("A")
    cover = clouds(rng, cover_tone, 0.5 if look["sky"] == "dark" else 0.36, height=120)
    boat = scenery.sail_boat(84, (150, 60, 50), (250, 246, 236))
    falls = rng.random((40, 3))

    def frame(t: float) -> Image.Image:
        img = background.copy()
        scroll(img, cover, 15 * t + 80, -8)
        share = 0.55 + 0.45 * ease(t / 2)
        img.paste(bow, (0, 0), alpha.point([round(v * share) for v in range(256)]))
        img.paste(front, (0, 0), front)
        if place == "sea":
            stamp(img, boat, 206 + 12 * t, 240 + 2 * wave(t, 0.5), 2.5 * wave(t, 0.4))
        elif place == "waterfall":
            draw = ImageDraw.Draw(img)
            for a, b, c in falls:
                x, y = 180 + 88 * a, 200 + (96 * b + 90 * t) % 96
                draw.line([(x, y), (x, min(y + 10 + 16 * c, 298))], fill=(252, 254, 255), width=3)
            for a, b, c in falls[:12]:
                glow(img, 176 + 96 * a, 298 - 5 * b + 4 * wave(t, 0.6, c), 26, (190, 206, 214), 0.7)
        return img

    return frame


@scene(
    theme="weather",
    attributes={
        "colour": {
            "grey": ("grey",),
            "brown": ("brown", "dusty brown"),
            "white": ("white", "whitish"),
            "black": ("black",),
        },
        "size": {"thin": ("slender", "thin"), "wide": ("huge", "wide", "*gigantic")},
        "place": {
            "barn": ("a red farmhouse", "a red house on the plain"),
            "road": ("an empty road", "a straight road"),
            "wheat": ("a field of yellow wheat", "a golden grain field"),
            "sea": ("the open sea", "the water"),
        },
        "side": _SIDE_WORDS,
        "sky": {
            "green": ("greenish", "eerie green"),
            "purple": ("purple", "violet"),
            "orange": ("orange", "orange evening"),
        },
    },
    captions=(
        "a {size} {colour} tornado {side} whirls over {place} [under a {sky} sky]",
        "{side} a {size} {colour} whirlwind spins above {place} [below {sky} clouds]",
        "under a {sky} sky a {size} tornado, {colour}, sweeps over {place} [{side}]",
        "a {colour} twister {side}, {size} and spinning, above {place} [in front of a {sky} sky]",
    ),
    sound=lambda look, rng: sounds.together(sounds.wind(rng, 1.0), 0.4 * sounds.hiss(rng, 40, 200)),
)
def tornado(look: Look, rng: np.random.Generator) -> Frame:
    colour = {
        "grey": (132, 136, 142),
        "brown": (140, 98, 64),
        "white": (238, 238, 236),
        "black": (46, 46, 54),
    }[str(look["colour"])]
    tint = {"green": (126, 166, 112), "purple": (150, 112, 186), "orange": (240, 160, 86)}[
        str(look["sky"])
    ]
    background = gradient(
        [(0.0, shade(tint, 0.42)), (0.5, shade(tint, 0.86)), (0.8, shade(tint, 1.35)), (1.0, tint)]
    )
    draw = ImageDraw.Draw(background)
    place = look["place"]
    side = _SIDES[str(look["side"])] * W
    if place == "sea":
        scenery.water(background, 268, mix((40, 84, 110), tint, 0.25), rng)
    else:
        ground = (216, 178, 78) if place == "wheat" else (112, 130, 78)
        fill_below(background, ridge(rng, W, 264, 276, 300), ground, shade(ground, 0.6))
    if place == "road":
        draw.polygon([(216, 272), (232, 272), (320, 336), (128, 336)], fill=(84, 84, 92))
        for k in range(4):
            y = 276 + 15 * k
            draw.polygon(
                [(223 - k, y), (225 + k, y), (226 + k, y + 8), (222 - k, y + 8)],
                fill=(246, 226, 120),
            )
    elif place == "wheat":
        for px, py in zip(W * rng.random(460), 284 + 60 * rng.random(460), strict=True):
            draw.line(
                [(px, py), (px + 4, py - 20)],
                fill=shade(ground, 0.75 + 0.45 * rng.random()),
                width=2,
            )
    elif place == "barn":
        x = 0.78 * W if look["side"] != "right" else 0.22 * W
        shadow(background, x, 310, 74, 8, 0.3)
        scenery.cottage(draw, x, 310, 120, (196, 54, 46), (92, 62, 58))
    cover = clouds(rng, shade(tint, 0.5), 0.85, height=120, cell=150)
    big = 1.0 if look["size"] == "wide" else 0.4
    grains = rng.random((46, 3))
    debris = rng.random((22, 3))
    n = 44

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        centre = side + 16 * wave(t, 0.25)
        shape = []
        for k in range(n):  # from the cloud down to the ground
            u = k / (n - 1)
            half = big * (18 + 104 * (1 - u) ** 1.8)
            shape.append((centre + 20 * (0.4 + u) * wave(t, 0.45, 0.9 * u), 6 + 280 * u, half))
        shadow(img, shape[-1][0], 290, 40 + 50 * big, 12, 0.35)
        for k, (x, y, half) in enumerate(shape):
            tone = 0.92 + 0.14 * math.sin(0.9 * k - 9 * t)
            draw.ellipse(
                (x - half, y - 0.2 * half - 4, x + half, y + 0.2 * half + 6),
                fill=shade(colour, 0.72 * tone),
            )
            draw.ellipse(
                (x - 0.86 * half, y - 0.17 * half - 3, x + 0.56 * half, y + 0.17 * half + 5),
                fill=shade(colour, tone),
            )
        for a, b, c in grains:  # bright and dark streaks run round the funnel
            x, y, half = shape[int(a * (n - 1))]
            start = 360 * ((b + 0.9 * t) % 1)
            draw.arc(
                (x - half, y - 0.2 * half - 3, x + half, y + 0.2 * half + 5),
                start,
                start + 60,
                fill=shade(colour, 1.35 if c > 0.4 else 0.5),
                width=3,
            )
        scroll(img, cover, 40 * t, -58)
        scroll(img, cover, 55 * t + 200, -50)
        x, y, half = shape[-1]
        dust = mix(
            (236, 244, 250) if place == "sea" else mix(ground, (120, 96, 70), 0.5), colour, 0.3
        )
        for i, (a, b, c) in enumerate(debris):
            turn = 2 * math.pi * (a + 0.5 * t)
            wide = (30 + 60 * big) * (0.5 + b)
            px, py = x + wide * math.cos(turn), y - 2 - 46 * c * c + 9 * math.sin(turn)
            disc(
                draw,
                px,
                py,
                4 + 9 * (1 - c) * (0.5 + big / 2),
                shade(dust, 0.8 + 0.4 * (i % 3) / 2),
            )
        return img

    return frame


@scene(
    theme="weather",
    attributes={
        "place": {
            "village": ("a village", "little houses"),
            "palms": ("a palm beach", "palm trees"),
            "sea": ("the sea", "the open water"),
            "pines": ("a fir wood", "fir trees"),
        },
        "lava": {
            "red": ("red lava", "streams of red lava"),
            "yellow": ("yellow lava", "streams of yellow lava"),
            "none": ("no lava at all", "no lava to be seen"),
        },
        "time": {
            "night": ("at night", "in the dark of night"),
            "day": ("by day", "in daylight"),
            "dusk": ("at dusk", "in the evening"),
        },
        "side": _SIDE_WORDS,
    },
    captions=(
        "ash falls on {place} from a volcano {side} [with {lava}] {time}",
        "{time} a volcano {side} smokes behind {place}, [{lava},] flakes of ash fall",
        "a volcano with {lava} {side} covers {place} with falling ash {time}",
        "grey ash rains down {time} on {place}, {side} a smoking volcano [with {lava}]",
    ),
    sound=lambda look, rng: (
        sounds.together(0.8 * sounds.hiss(rng, 25, 140), 0.4 * sounds.crackle(rng))
        if look["lava"] != "none"
        else None
    ),
)
def falling_ash(look: Look, rng: np.random.Generator) -> Frame:
    time = str(look["time"])
    background = sky(time, 0.85)
    dim = {"day": 1.0, "dusk": 0.6, "night": 0.42}[time]
    place = look["place"]
    x = _SIDES[str(look["side"])] * W
    across = np.arange(W)
    slope = (
        96
        + 176 * (1 - np.exp(-np.clip(np.abs(across - x) - 26, 0, None) / 88.0))
        + 5 * noise(rng, (W, 1), 24, 3)[0]
    )
    rock = mix((104, 84, 84), (40, 34, 48), 1 - dim)
    cone = scenery.layer()
    fill_below(cone, slope, rock, shade(rock, 0.6))
    draw = ImageDraw.Draw(cone)
    lava = {"red": (244, 62, 34), "yellow": (255, 200, 50)}.get(str(look["lava"]))
    if lava:
        draw.polygon([(x - 26, 99), (x + 26, 99), (x + 15, 112), (x - 15, 112)], fill=lava)
        for lean, long in ((-58, 150), (4, 170), (52, 130)):
            line = [
                (x + 0.2 * lean + lean * u + 7 * math.sin(8 * u + lean), 104 + long * u)
                for u in np.linspace(0, 1, 12)
            ]
            stroke(draw, line, lava, 10)
            stroke(draw, line, mix(lava, (255, 246, 190), 0.45), 4)
    front = scenery.layer()
    draw = ImageDraw.Draw(front)
    ash = shade((150, 148, 150), 0.35 + 0.65 * dim)
    if place == "sea":
        scenery.water(front, 258, shade((48, 92, 122), dim), rng)
    else:
        fill_below(front, ridge(rng, W, 266, 282, 220), ash, shade(ash, 0.6))
        for i, px in enumerate(np.linspace(32, W - 32, 5)):
            if place == "village":
                scenery.cottage(
                    draw,
                    px,
                    318 - 10 * (i % 2),
                    74,
                    shade((206, 176, 140), max(dim, 0.55)),
                    shade((170, 84, 66), max(dim, 0.55)),
                )
            elif place == "palms":
                scenery.palm(
                    draw,
                    px - 18,
                    322,
                    120 + 34 * rng.random(),
                    shade((56, 116, 66), max(dim, 0.72)),
                )
            else:
                for dx in (-22, 20):
                    scenery.pine(
                        draw,
                        px + dx,
                        324,
                        74 + 40 * rng.random(),
                        shade((52, 100, 78), max(dim, 0.72)),
                    )
    tone = shade((112, 108, 112), 0.5 + 0.5 * dim)
    if lava:
        tone = mix(tone, lava, 0.12)
    puffs = [
        [scenery.puff(shade(tone, light), 9 + 6 * k) for k in range(9)]
        for light in (0.85, 1.0, 1.15)
    ]
    smoke = rng.random((32, 3))
    flakes = np.column_stack([W * rng.random(110), H * rng.random(110), rng.random(110)])
    flake = {"day": (92, 92, 98), "dusk": (206, 196, 196), "night": (196, 194, 200)}[time]
    drift = 1 if look["side"] != "right" else -1

    def frame(t: float) -> Image.Image:
        img = background.copy()
        for i, (a, b, c) in enumerate(smoke):
            age = (i / 32 + t / 3.6) % 1
            px = x + drift * (150 * age**1.7) + (a - 0.5) * (26 + 90 * age)
            py = 102 - 112 * age**0.7 + 22 * (b - 0.5) * age
            size = min(8, int((0.25 + 0.6 * age + 0.2 * c) * 9 * min(1, 6 * (1 - age))))
            stamp(img, puffs[i % 3][size], px, py)
        if lava:
            glow(img, x, 92, 108 + 6 * wave(t, 0.7), lava, 0.7)
        img.paste(cone, (0, 0), cone)
        if lava:
            glow(img, x, 150, 120, lava, 0.33)
        img.paste(front, (0, 0), front)
        draw = ImageDraw.Draw(img)
        if place == "sea":
            scenery.glints(draw, t, x, 258, mix(shade(ash, 0.8), lava or ash, 0.5), 12, 0.8)
        for fx, fy, size in flakes:
            y = (fy + (26 + 34 * size) * t) % (H + 10) - 5
            half = 1.8 + 2.4 * size
            draw.ellipse(
                (
                    fx + 12 * wave(t, 0.3, 3 * size) - half,
                    y - 0.7 * half,
                    fx + 12 * wave(t, 0.3, 3 * size) + half,
                    y + 0.7 * half,
                ),
                fill=shade(flake, 0.85 + 0.3 * size),
            )
        return img

    return frame
