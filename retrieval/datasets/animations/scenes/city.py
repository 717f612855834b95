"""Traffic and city."""

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
from retrieval.datasets.animations.scenes.people import (
    _figure,
    _outfit,
    _reach,
    _tree,
    _walk_setting,
)

_THEME = "traffic and city"
_DIM = {"dawn": 0.9, "day": 1.0, "dusk": 0.72, "night": 0.56}
_TIME = {
    "dawn": ("at dawn", "at sunrise", "in the early morning"),
    "day": ("by day", "in daylight", "on a clear day"),
    "dusk": ("at dusk", "at sunset", "in the evening"),
    "night": ("at night", "in the dark", "under the stars"),
}
_FACING = {"left": ("to the left", "leftwards"), "right": ("to the right", "rightwards")}


def _lit(colour: Colour, time: str) -> Colour:
    """The colour in the light of that time of day."""
    return mix(
        shade(colour, _DIM[time]),
        SKY[time][0][1],
        {"day": 0.0, "dawn": 0.12, "dusk": 0.2, "night": 0.3}[time],
    )


def _heaven(rng: np.random.Generator, time: str, horizon: float = 0.75) -> Image.Image:
    """A sky with what belongs to the hour: clouds, a low sun, stars and a moon."""
    img = sky(time, horizon)
    if time == "night":
        stars(rng, img, 120, 0.6)
        glow(img, 372, 56, 90, (150, 164, 210), 0.7)
        disc(ImageDraw.Draw(img), 372, 56, 23, (246, 240, 220))
    else:
        cover = clouds(
            rng,
            {"day": (255, 255, 255), "dawn": (255, 226, 216), "dusk": (240, 150, 130)}[time],
            0.34,
        )
        img.paste(cover, (-round(200 * rng.random()), 0), cover)
    return img


def _mirror(img: Image.Image, facing: str | int) -> Image.Image:
    return img if facing == "right" else img.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _s(points, s: float) -> list[tuple[float, float]]:
    return [(x * s, y * s) for x, y in points]


def _houses(
    rng: np.random.Generator,
    pen: ImageDraw.ImageDraw,
    wide: int,
    foot: int,
    low: int,
    high: int,
    time: str,
    tones=None,
) -> None:
    """A row of house fronts; after dark some of their windows are lit."""
    tones = tones or ((206, 150, 120), (222, 200, 160), (170, 130, 120), (150, 166, 180))
    x = 0
    while x < wide:
        w, top = 56 + int(46 * rng.random()), foot - low - int((high - low) * rng.random())
        tone = _lit(tones[int(len(tones) * rng.random())], time)
        pen.rectangle((x, top, x + w, foot), fill=tone)
        pen.rectangle((x, top, x + 7, foot), fill=shade(tone, 1.12))
        pen.rectangle((x - 2, top, x + w + 2, top + 8), fill=shade(tone, 0.68))
        for wy in range(top + 20, foot - 26, 36):
            for wx in range(x + 13, x + w - 16, 25):
                lamp = time in ("night", "dusk") and rng.random() < 0.55
                pen.rectangle(
                    (wx, wy, wx + 13, wy + 20),
                    fill=(255, 216, 120) if lamp else _lit((120, 152, 182), time),
                )
        x += w


def _vehicle(
    kind: str, colour: Colour, night: bool
) -> tuple[Image.Image, list[tuple[float, float, float]]]:
    """A car, bus or lorry facing right (240 x 120) and its wheels (x, y, radius) from its middle."""
    glass = (250, 226, 150) if night and kind == "bus" else (120, 164, 196)
    body, low = colour, shade(colour, 0.7)

    def paint(draw, s):
        def box(x0, y0, x1, y1, r, tone):
            draw.rounded_rectangle((x0 * s, y0 * s, x1 * s, y1 * s), r * s, fill=tone)

        if kind == "car":
            draw.polygon(_s([(62, 62), (88, 28), (148, 28), (178, 62)], s), fill=shade(body, 0.92))
            box(20, 56, 222, 98, 18, low)
            box(20, 54, 222, 84, 16, body)
            box(30, 57, 208, 66, 5, shade(body, 1.3))
            for pts in (
                [(76, 58), (94, 35), (114, 35), (114, 58)],
                [(122, 58), (122, 35), (143, 35), (163, 58)],
            ):
                draw.polygon(_s(pts, s), fill=glass)
                draw.polygon(
                    _s([pts[0], pts[1], ((pts[0][0] + pts[3][0]) / 2, pts[0][1])], s),
                    fill=shade(glass, 1.35),
                )
            draw.line(_s([(118, 58), (118, 92)], s), fill=low, width=2 * s)
        elif kind == "bus":
            box(8, 8, 232, 100, 14, low)
            box(8, 6, 232, 90, 14, body)
            box(14, 9, 226, 17, 5, shade(body, 1.3))
            for x in range(18, 200, 30):
                box(x, 26, x + 25, 54, 4, glass)
                draw.polygon(_s([(x, 54), (x, 26), (x + 14, 26)], s), fill=shade(glass, 1.25))
            box(202, 26, 230, 60, 5, shade(glass, 1.1))
            box(10, 64, 230, 71, 2, (248, 246, 238))
        else:
            box(6, 6, 156, 92, 5, shade(body, 0.86))
            box(6, 6, 156, 80, 5, body)
            for x in range(20, 150, 22):
                draw.line(_s([(x, 12), (x, 86)], s), fill=shade(body, 0.78), width=2 * s)
            box(10, 8, 152, 15, 3, shade(body, 1.3))
            draw.polygon(
                _s([(162, 96), (162, 30), (204, 30), (226, 60), (230, 64), (230, 96)], s),
                fill=(238, 236, 228),
            )
            draw.polygon(_s([(172, 58), (172, 38), (200, 38), (214, 58)], s), fill=glass)
            box(6, 88, 232, 100, 4, (70, 74, 84))
        box(218, 72, 232, 84, 4, (255, 240, 180))
        box(8 if kind != "car" else 18, 68, 22 if kind == "bus" else 26, 80, 3, (220, 50, 46))

    wheels = {
        "car": [(-58, 36, 21), (62, 36, 21)],
        "bus": [(-66, 38, 20), (70, 38, 20)],
        "truck": [(-84, 38, 19), (-40, 38, 19), (74, 38, 19)],
    }
    return sprite(240, 120, paint), wheels[kind]


def _wheel(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, turn: float) -> None:
    disc(draw, x, y, r, (30, 30, 36))
    disc(draw, x, y, r * 0.62, (190, 194, 202))
    for k in range(5):
        a = turn + k * 2 * math.pi / 5
        draw.line(
            (x, y, x + r * 0.58 * math.cos(a), y + r * 0.58 * math.sin(a)),
            fill=(90, 94, 104),
            width=max(2, round(r / 7)),
        )
    disc(draw, x, y, r * 0.2, (70, 74, 84))


@scene(
    theme=_THEME,
    attributes={
        "colour": {
            "red": ("red",),
            "yellow": ("yellow",),
            "green": ("green",),
            "blue": ("blue",),
            "white": ("white",),
        },
        "kind": {
            "car": ("car",),
            "bus": ("bus", "*coach"),
            "truck": ("truck", "lorry"),
        },
        "place": {
            "city": ("through the city", "down a city street", "past tall houses"),
            "hills": ("through green hills", "along a country road"),
            "coast": ("along the coast", "on a road by the sea"),
        },
        "time": {k: _TIME[k] for k in ("day", "dusk", "night")},
        "facing": _FACING,
    },
    captions=(
        "a {colour} {kind} drives {place} {time}",
        "{time} a {colour} {kind} (drives|rolls) {facing} {place}",
        "a {colour} {kind} on the road {time}, (driving|heading) {facing} [{place}]",
        "{place} drives a {colour} {kind} [{facing}] [{time}]",
        "a {colour} {kind} (travels|drives) {facing} {place} [{time}]",
    ),
    sound=lambda look, rng: (
        0.6 * sounds.engine({"car": 90.0, "bus": 60.0, "truck": 48.0}[look["kind"]], 70.0)
    ),
)
def cars_on_road(look: Look, rng: np.random.Generator) -> Frame:
    time, place = look["time"], look["place"]
    img = _heaven(rng, time, 0.6)
    wide = W + 620
    strip = Image.new("RGBA", (wide, H), (0, 0, 0, 0))
    pen = ImageDraw.Draw(strip)
    if place == "city":
        far = ridge(rng, W, 96, 150, 40)
        fill_below(img, np.repeat(far[::26], 26)[:W], _lit((150, 162, 184), time))
        _houses(rng, pen, wide, 226, 90, 180, time)
        pen.rectangle((0, 224, wide, 246), fill=_lit((180, 176, 170), time))
        for x in range(70, wide, 190):
            pen.line((x, 236, x, 128), fill=_lit((60, 64, 74), time), width=6)
            pen.line((x, 130, x + 26, 126), fill=_lit((60, 64, 74), time), width=5)
            disc(pen, x + 28, 130, 8, (255, 236, 170) if time != "day" else (220, 220, 216))
    elif place == "hills":
        fill_below(img, ridge(rng, W, 120, 176, 160), _lit((140, 180, 170), time))
        fill_below(img, ridge(rng, W, 168, 206, 200), _lit((120, 178, 110), time))
        pen.rectangle((0, 222, wide, 250), fill=_lit((104, 168, 84), time))
        for x in range(30, wide, 120):
            _tree(
                pen, x + 30 * rng.random(), 242, 80 + 40 * rng.random(), _lit((76, 146, 72), time)
            )
    else:
        img.paste(
            gradient(
                [
                    (0, mix(_lit((40, 130, 190), time), SKY[time][-1][1], 0.35)),
                    (1, _lit((30, 100, 170), time)),
                ],
                (W, 110),
            ),
            (0, 140),
        )
        for x in rng.random(120) * wide:
            y = 150 + 70 * rng.random()
            pen.line((x - 12, y, x + 12, y), fill=(*_lit((190, 226, 240), time), 200), width=2)
        for x in (180, 620, 900):
            pen.polygon(
                [(x - 40, 178), (x + 40, 178), (x + 28, 190), (x - 28, 190)],
                fill=_lit((120, 80, 60), time),
            )
            pen.polygon(
                [(x + 2, 174), (x + 2, 104), (x + 44, 174)], fill=_lit((250, 248, 240), time)
            )
            pen.polygon(
                [(x - 4, 174), (x - 4, 116), (x - 36, 174)], fill=_lit((236, 228, 214), time)
            )
        pen.rectangle((0, 232, wide, 252), fill=_lit((224, 200, 150), time))
        for x in range(0, wide, 44):
            pen.rectangle((x, 212, x + 9, 244), fill=_lit((244, 242, 236), time))
        pen.rectangle((0, 214, wide, 222), fill=_lit((244, 242, 236), time))
    pen.rectangle((0, 246, wide, H), fill=_lit((92, 94, 104), time))
    pen.rectangle((0, 246, wide, 251), fill=_lit((210, 208, 204), time))
    for x in range(0, wide, 92):
        pen.rectangle((x, 306, x + 50, 313), fill=_lit((240, 234, 214), time))
    dark = time != "day"
    size = 1.25
    colour = PAINT[look["colour"]]
    picture_of, wheels = _vehicle(
        look["kind"],
        mix(colour, shade(colour, 0.6), 0.5 if time == "night" else 0),
        time == "night",
    )
    body = turned(picture_of, 0, size)
    base = 292 - (wheels[0][1] + wheels[0][2]) * size

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        picture.paste(strip, (-round(190 * t), 0), strip)
        x, y = W / 2 - 10 + 22 * (t - 1.5), base + 1.6 * wave(t, 2.2)
        shadow(picture, x, 294, 138, 12, 0.6)
        if dark:
            beam = x + 110 * size + 36
            glow(picture, beam, 272, 96, (255, 236, 170), 0.75)
            glow(picture, x + 110 * size, y + 20 * size, 40, (255, 240, 190), 1.0)
            glow(picture, x - 106 * size, y + 16 * size, 26, (255, 60, 50), 0.9)
        stamp(picture, body, x, y)
        draw = ImageDraw.Draw(picture)
        for wx, wy, r in wheels:
            _wheel(draw, x + wx * size, base + wy * size, r * size, 212 * t / (r * size))
        return _mirror(picture, look["facing"])

    return frame


@scene(
    theme=_THEME,
    attributes={
        "kind": {
            "steam": ("steam train", "train with a steam locomotive", "*old-time steam train"),
            "fast": ("high-speed train", "express train"),
        },
        "colour": {
            "red": ("red",),
            "green": ("green",),
            "blue": ("blue",),
            "yellow": ("yellow",),
            "white": ("white",),
        },
        "place": {
            "viaduct": ("over a stone viaduct", "across a bridge of stone arches"),
            "fields": ("past golden fields", "through fields of ripe corn"),
            "snow": ("through a snowy land", "past snow-covered firs"),
        },
        "time": {k: _TIME[k] for k in ("day", "dusk", "night")},
        "facing": _FACING,
    },
    captions=(
        "a {colour} {kind} runs {place} {time}",
        "{time} a {colour} {kind} (runs|rushes) {facing} {place}",
        "a {colour} {kind} (travelling|running) {facing} {place} [{time}]",
        "{place} (runs|comes) a {colour} {kind} [{facing}] [{time}]",
        "a {colour} {kind} crosses the picture {facing} {place} [{time}]",
    ),
    sound=lambda look, rng: (
        _chuffing(rng)
        if look["kind"] == "steam"
        else sounds.together(0.5 * sounds.engine(130.0, 170.0), 0.4 * sounds.wind(rng, 0.9))
    ),
)
def passing_train(look: Look, rng: np.random.Generator) -> Frame:
    time, place = look["time"], look["place"]
    steam = look["kind"] == "steam"
    img = _heaven(rng, time, 0.7)
    far = ridge(rng, W, 120, 196, 150)
    fill_below(img, far, _lit((150, 170, 190) if place != "snow" else (206, 216, 230), time))
    rail = 250
    if place == "viaduct":
        fill_below(
            img, ridge(rng, W, 230, 268, 180), _lit((96, 150, 96), time), _lit((50, 96, 74), time)
        )
        draw = ImageDraw.Draw(img)
        stone = _lit((190, 170, 146), time)
        draw.rectangle((0, rail, W, rail + 22), fill=stone)
        draw.rectangle((0, rail, W, rail + 5), fill=shade(stone, 1.2))
        for x in range(-30, W, 104):
            draw.rectangle((x, rail + 20, x + 26, H), fill=shade(stone, 0.9))
            draw.rectangle((x + 20, rail + 20, x + 26, H), fill=shade(stone, 0.7))
            for side in (0, 1):
                corner = x + 26 if side == 0 else x + 104
                sign = 1 if side == 0 else -1
                arch = [(corner, rail + 20), (corner + sign * 39, rail + 20)]
                arch += [
                    (corner + sign * (39 - 39 * math.cos(a)), rail + 60 - 37 * math.sin(a))
                    for a in np.linspace(math.pi / 2, 0, 8)
                ]
                draw.polygon(arch, fill=shade(stone, 0.86))
    else:
        ground = (226, 190, 96) if place == "fields" else (232, 238, 246)
        fill_below(
            img, ridge(rng, W, 206, 222, 240), _lit(ground, time), _lit(shade(ground, 0.84), time)
        )
        draw = ImageDraw.Draw(img)
        if place == "fields":
            for y in range(226, H, 9):
                for x in range(-10 + (y * 7) % 13, W, 13):
                    if not rail - 6 < y < rail + 30:
                        draw.line(
                            (x, y, x + 3, y - 11),
                            fill=_lit(shade(ground, 0.78 + 0.4 * rng.random()), time),
                            width=2,
                        )
        else:
            for x in np.sort(rng.random(17)) * W:
                tall = 64 + 50 * rng.random()
                for j in range(3):
                    y, w = 230 - tall * j * 0.27, tall * (0.28 - 0.06 * j)
                    draw.polygon(
                        [(x - w, y), (x, y - tall * 0.5), (x + w, y)],
                        fill=_lit((58, 100, 92), time),
                    )
                    draw.polygon(
                        [
                            (x - w * 0.55, y - tall * 0.22),
                            (x, y - tall * 0.5),
                            (x + w * 0.55, y - tall * 0.22),
                            (x, y - tall * 0.27),
                        ],
                        fill=_lit((246, 248, 252), time),
                    )
        draw.rectangle((0, rail + 2, W, rail + 26), fill=_lit((130, 116, 104), time))
        for x in range(0, W, 22):
            draw.rectangle((x, rail + 6, x + 12, rail + 14), fill=_lit((84, 60, 48), time))
        draw.rectangle((0, rail, W, rail + 5), fill=_lit((160, 160, 166), time))
    colour = PAINT[look["colour"]]
    colour = mix(colour, _lit(colour, time), 0.5)
    lamps = time != "day"
    glass = (255, 226, 140) if lamps else (120, 164, 196)

    def loco(draw, s):
        def box(x0, y0, x1, y1, r, tone):
            draw.rounded_rectangle((x0 * s, y0 * s, x1 * s, y1 * s), r * s, fill=tone)

        if steam:
            box(6, 24, 74, 112, 4, shade(colour, 0.8))
            box(6, 24, 74, 100, 4, colour)
            box(0, 16, 82, 28, 5, (48, 46, 54))
            box(20, 38, 60, 66, 4, glass)
            box(70, 48, 186, 104, 16, shade(colour, 0.74))
            box(70, 46, 186, 90, 16, colour)
            box(76, 52, 178, 60, 4, shade(colour, 1.35))
            for x in (100, 134):
                box(x, 46, x + 6, 102, 1, (226, 184, 86))
            draw.polygon(_s([(146, 48), (142, 8), (176, 8), (170, 48)], s), fill=(48, 46, 54))
            box(138, 4, 180, 14, 3, (66, 64, 72))
            box(100, 30, 122, 50, 9, (226, 184, 86))
            box(4, 104, 196, 116, 3, (50, 48, 56))
            draw.polygon(_s([(186, 104), (216, 134), (180, 134)], s), fill=(168, 46, 42))
            draw.ellipse((178 * s, 58 * s, 200 * s, 80 * s), fill=(255, 240, 180))
        else:
            nose = [(4, 22), (120, 22), (172, 44), (212, 92), (214, 116), (4, 116)]
            draw.polygon(_s(nose, s), fill=shade(colour, 0.76))
            draw.polygon(_s([(4, 22), (120, 22), (172, 44), (206, 86), (4, 86)], s), fill=colour)
            draw.polygon(_s([(4, 24), (120, 24), (150, 36), (4, 34)], s), fill=shade(colour, 1.35))
            draw.polygon(_s([(134, 36), (166, 46), (184, 66), (134, 66)], s), fill=(40, 50, 66))
            for x in (16, 56, 94):
                box(x, 42, x + 28, 64, 5, glass)
            box(4, 92, 208, 98, 1, (248, 246, 240) if look["colour"] != "white" else (214, 60, 54))
            box(196, 94, 212, 104, 4, (255, 244, 190))

    def wagon(draw, s):
        def box(x0, y0, x1, y1, r, tone):
            draw.rounded_rectangle((x0 * s, y0 * s, x1 * s, y1 * s), r * s, fill=tone)

        box(0, 76, 216, 112, 4, (60, 58, 66))
        box(4, 22, 212, 112, 8, shade(colour, 0.76))
        box(4, 22, 212, 90, 8, colour)
        box(
            0 if steam else 6,
            18,
            216 if steam else 210,
            30,
            6,
            (70, 68, 76) if steam else shade(colour, 1.3),
        )
        for x in range(16, 200, 33):
            box(x, 42, x + 24, 68, 5, glass)
            draw.polygon(_s([(x + 2, 66), (x + 2, 44), (x + 13, 44)], s), fill=shade(glass, 1.3))
        box(4, 92, 212, 98, 1, (248, 246, 240) if look["colour"] != "white" else (214, 60, 54))

    engine, coach = sprite(220, 136, loco), sprite(218, 136, wagon)
    puff = sprite(
        60,
        60,
        lambda draw, s: draw.ellipse(
            (3 * s, 3 * s, 57 * s, 57 * s), fill=(*_lit((236, 236, 240), time), 210)
        ),
    )
    puffs = []  # smoke that spreads and thins, by age
    for age in np.linspace(0.1, 2.4, 12):
        old = turned(puff, 0, 0.36 + 0.5 * age)
        old.putalpha(
            old.getchannel("A").point([round(v * (0.95 - 0.38 * age)) for v in range(256)])
        )
        puffs.append(old)
    starts = np.arange(20) * 0.27 - 2.2

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        draw = ImageDraw.Draw(picture)
        speed = 36 if steam else 52
        nose = W / 2 + 112 + speed * (t - 1.5)
        if steam:
            for i, born in enumerate(starts):
                age = t - born
                if 0 < age < 2.4:
                    x = nose - 60 + speed * (born - t) - 26 * age
                    stamp(
                        picture,
                        puffs[int(age * 5)],
                        x + 20,
                        rail - 138 - 40 * age**0.7 + 4 * wave(t, 0.4, i / 5),
                    )
        for i in range(1, 3):
            x = nose - 110 - 218 * i
            if x > -120:
                stamp(picture, coach, x, rail - 64)
        stamp(picture, engine, nose - 108, rail - 66)
        turn = speed * 2.4 * t / 18
        places = (
            [nose - 190, nose - 134, nose - 92, nose - 50]
            if steam
            else [nose - 186, nose - 146, nose - 80]
        )
        for i in range(1, 3):
            places += [nose - 218 * i - 180, nose - 218 * i - 40]
        for j, x in enumerate(places):
            r = 20 if steam and 0 < j < 3 else 13
            if -30 < x < W + 30:
                disc(draw, x, rail - r + 2, r, (34, 32, 38))
                disc(draw, x, rail - r + 2, r * 0.7, (170, 60, 52) if steam else (120, 122, 130))
                for k in range(4):
                    a = turn + k * math.pi / 2
                    draw.line(
                        (
                            x,
                            rail - r + 2,
                            x + r * 0.75 * math.cos(a),
                            rail - r + 2 + r * 0.75 * math.sin(a),
                        ),
                        fill=(40, 38, 44),
                        width=3,
                    )
                disc(draw, x, rail - r + 2, 3, (220, 220, 220))
        if steam:
            rods = [
                (x + 10 * math.cos(turn), rail - 18 + 10 * math.sin(turn))
                for x in (nose - 134, nose - 92)
            ]
            stroke(draw, rods, (206, 206, 212), 5)
        if lamps:
            glow(
                picture,
                nose - 14 if steam else nose - 6,
                rail - (68 if steam else 36),
                60,
                (255, 240, 180),
                0.9,
            )
        return _mirror(picture, look["facing"])

    return frame


def _chuffing(rng: np.random.Generator) -> np.ndarray:
    puff = sounds.hiss(rng, 200, 2500, 0.2) * np.exp(-sounds.seconds(0.2) / 0.06)
    whistle = sounds.at([1.6], sounds.tone(740, 0.6, None, (1, 0.6, 0.5)), 0.25)
    return sounds.together(sounds.at(np.arange(0.05, 2.9, 0.3), puff, 0.8), whistle)


def _window(
    pen: ImageDraw.ImageDraw, x: int, y: int, w: int, h: int, dark: Colour, light: Colour
) -> None:
    pen.rectangle((x, y, x + w, y + h), fill=light)
    pen.rectangle((x, y, x + w, y + h // 3), fill=mix(light, shade(light, 1.4), 0.7))
    pen.line((x + w / 2, y, x + w / 2, y + h), fill=dark, width=2)


@scene(
    theme=_THEME,
    attributes={
        "building": {
            "tower": ("a tall tower block", "a lone skyscraper"),
            "skyline": ("the towers of a big city", "a row of skyscrapers"),
            "village": ("small gabled houses", "the houses of a village"),
            "castle": ("an old castle", "a castle with towers"),
        },
        "light": {
            "yellow": ("yellow", "golden"),
            "blue": ("blue", "bluish"),
            "pink": ("pink",),
            "green": ("green",),
        },
        "sky": {"dusk": ("at dusk", "in the evening"), "night": ("at night", "in the dark")},
        "weather": {
            "moon": ("under a full moon", "below a big round moon"),
            "rain": ("in the rain", "in pouring rain"),
            "snow": ("in falling snow", "while it snows"),
        },
    },
    captions=(
        "{light} windows light up one after another in {building} {sky} [{weather}]",
        "{sky} the windows of {building} turn {light} {weather}",
        "{building} {weather}, {light} lights coming on in the windows [{sky}]",
        "{light} lights are switched on in {building} {weather} [{sky}]",
        "{weather} {light} light fills more and more windows of {building} [{sky}]",
    ),
    sound=lambda look, rng: sounds.rain(rng, 0.6) if look["weather"] == "rain" else None,
    poster_s=2.7,
)
def windows_lighting_up(look: Look, rng: np.random.Generator) -> Frame:
    building, weather, dusk = look["building"], look["weather"], look["sky"] == "dusk"
    if dusk:
        img = gradient([(0, (70, 48, 110)), (0.5, (206, 96, 110)), (0.85, (255, 184, 112))])
        wall, back = (74, 54, 84), (150, 84, 116)
    else:
        img = sky("night", 0.9)
        wall, back = (36, 42, 72), (38, 48, 88)
        if weather == "moon":
            stars(rng, img, 130, 0.7)
    if weather == "moon":
        mx = 84 if building in ("tower", "castle") else 350
        glow(img, mx, 62, 120, (190, 190, 210), 0.7)
        disc(ImageDraw.Draw(img), mx, 62, 34, (250, 244, 222))
        for dx, dy, r in ((-10, -6, 7), (9, 8, 9), (8, -12, 4)):
            disc(ImageDraw.Draw(img), mx + dx, 62 + dy, r, (232, 224, 200))
    far = np.repeat(ridge(rng, W, 170, 236, 30)[::28], 28)[:W]
    if building in ("tower", "skyline"):
        fill_below(img, far, back, shade(back, 0.7))
    else:
        fill_below(img, ridge(rng, W, 200, 246, 180), back, shade(back, 0.7))
    draw = ImageDraw.Draw(img)
    windows: list[tuple[int, int, int, int]] = []

    def block(x, top, w, foot, step_x, step_y, ww, wh, tone):
        draw.rectangle((x, top, x + w, foot), fill=tone)
        draw.rectangle((x, top, x + 6, foot), fill=shade(tone, 1.14))
        draw.rectangle((x + w - 8, top, x + w, foot), fill=shade(tone, 0.8))
        n = max(1, int((w - 14) // step_x))
        left = x + (w - (n - 1) * step_x - ww) / 2
        for wy in np.arange(top + 16, foot - wh - 6, step_y):
            for i in range(n):
                windows.append((round(left + i * step_x), round(wy), ww, wh))

    if building == "tower":
        draw.line((224, 8, 224, 40), fill=wall, width=5)
        draw.rectangle((176, 30, 272, 50), fill=shade(wall, 0.8))
        block(136, 44, 176, 318, 40, 34, 27, 22, wall)
    elif building == "skyline":
        for x, w, top in (
            (-14, 82, 130),
            (74, 74, 70),
            (156, 70, 150),
            (232, 84, 44),
            (322, 64, 118),
            (390, 74, 84),
        ):
            block(x, top, w, 318, 24, 30, 15, 19, shade(wall, 0.85 + 0.3 * rng.random()))
    elif building == "village":
        for x, w, top in ((-10, 112, 196), (106, 100, 170), (216, 118, 200), (338, 120, 176)):
            tone = shade(wall, 0.9 + 0.3 * rng.random())
            block(x, top, w, 318, 42, 52, 27, 32, tone)
            roof = (
                (250, 250, 255) if weather == "snow" else shade((120, 56, 60), 0.9 if dusk else 0.6)
            )
            draw.polygon(
                [(x - 10, top + 4), (x + w / 2, top - 66), (x + w + 10, top + 4)], fill=roof
            )
            draw.polygon(
                [(x + w / 2, top - 66), (x + w + 10, top + 4), (x + w / 2, top + 4)],
                fill=shade(roof, 0.84),
            )
            windows.append((round(x + w / 2 - 11), top - 34, 22, 24))
    else:
        fill_below(
            img, np.array([262 + 0.0008 * (x - 224) ** 2 for x in range(W)]), shade(wall, 0.6)
        )
        draw = ImageDraw.Draw(img)
        for x, w, top in ((60, 66, 130), (322, 66, 116), (190, 74, 66), (118, 212, 178)):
            tone = shade(wall, 0.95 if w < 100 else 1.12)
            block(x, top, w, 296, 48 if w > 100 else 40, 54, 18, 30, tone)
            for bx in range(x, x + w - 6, 20):
                draw.rectangle((bx, top - 11, bx + 12, top), fill=tone)
            if w < 100:
                draw.polygon(
                    [(x - 6, top - 10), (x + w / 2, top - 66), (x + w + 6, top - 10)],
                    fill=shade((126, 58, 66), 0.9 if dusk else 0.62),
                )
    draw.rectangle((0, 314, W, H), fill=(226, 232, 244) if weather == "snow" else shade(wall, 0.5))
    dark = shade(wall, 0.62)
    if building == "castle":  # windows hidden by later towers go
        windows = [
            v
            for v in windows
            if not (v[0] > 108 and v[0] < 316 and v[1] < 178) or 188 < v[0] < 264 and v[1] < 178
        ]
    for x, y, w, h in windows:
        draw.rectangle((x, y, x + w, y + h), fill=dark)
    light = {
        "yellow": (255, 216, 104),
        "blue": (110, 190, 255),
        "pink": (255, 130, 190),
        "green": (120, 240, 130),
    }[look["light"]]
    order = rng.permutation(len(windows))
    on = np.empty(len(windows))
    on[order] = np.linspace(-0.5, 2.55, len(windows))
    bright = img.copy()
    for x, y, w, h in windows:
        glow(bright, x + w / 2, y + h / 2, 36 if building != "skyline" else 26, light, 0.5)
    pen = ImageDraw.Draw(bright)
    for x, y, w, h in windows:
        _window(pen, x, y, w, h, dark, light)
    boxes = [
        (max(x - 9, 0), max(y - 9, 0), min(x + w + 10, W), min(y + h + 10, H))
        for x, y, w, h in windows
    ]
    patches = [bright.crop(box) for box in boxes]
    flakes = rng.random((90 if weather == "snow" else 120, 3))

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        pen = ImageDraw.Draw(picture)
        for (x, y, w, h), start, box, patch in zip(windows, on, boxes, patches, strict=True):
            u = ease((t - start) / 0.3)
            if u >= 1:
                picture.paste(patch, box)
            elif u > 0:
                _window(pen, x, y, w, h, dark, mix(dark, light, u))
        if weather == "snow":
            for a, b, c in flakes:
                y = (b * H + (26 + 40 * c) * t) % H
                disc(pen, (a * W + 12 * wave(t, 0.4, b)) % W, y, 2 + 2.6 * c, (250, 252, 255))
        elif weather == "rain":
            for a, b, c in flakes:
                y = (b * (H + 60) + (300 + 160 * c) * t) % (H + 60) - 30
                x = (a * (W + 60) - 40 * t) % (W + 60) - 30
                pen.line(
                    (x, y, x - 4, y + 18 + 10 * c),
                    fill=mix((170, 190, 220), (90, 100, 140), 1 - c),
                    width=2,
                )
        return picture

    return frame


@scene(
    theme=_THEME,
    attributes={
        "kind": {
            "old": ("old", "Dutch", "*old-fashioned"),
            "modern": ("modern", "slender modern"),
        },
        "n": {1: ("one", "a single", "a"), 2: ("two", "a pair of"), 3: ("three",)},
        "sails": {
            "white": ("white",),
            "red": ("red",),
            "blue": ("blue",),
        },
        "place": {
            "tulips": ("in a field of tulips", "behind rows of tulips"),
            "wheat": ("in a golden wheat field", "above ripe wheat"),
            "snow": ("on snowy ground", "in the snow"),
            "pasture": ("on a green pasture", "on green grass"),
        },
        "time": {k: _TIME[k] for k in ("dawn", "day", "dusk")},
    },
    captions=(
        "{n} {kind} {n|windmill|windmills} with {sails} sails {n|turns|turn} {place} [{time}]",
        "{n} {kind} {n|windmill|windmills} {n|turns its|turn their} {sails} blades {place} [{time}]",
        "{time} the {sails} blades of {n} {kind} {n|windmill|windmills} go round {place}",
        "{n} {kind} {n|windmill|windmills} {place}, {sails} sails turning [in the wind] [{time}]",
        "{place} {n|stands|stand} {n} {kind} {n|windmill|windmills} with {sails} sails [{time}]",
    ),
    sound=lambda look, rng: sounds.wind(rng, 0.6),
)
def windmill(look: Look, rng: np.random.Generator) -> Frame:
    time, place, old = look["time"], look["place"], look["kind"] == "old"
    img = _heaven(rng, time, 0.85)
    fill_below(
        img,
        ridge(rng, W, 222, 246, 200),
        _lit((140, 180, 150) if place != "snow" else (206, 216, 230), time),
    )
    ground = {
        "tulips": (96, 160, 82),
        "wheat": (226, 186, 92),
        "snow": (234, 240, 248),
        "pasture": (112, 182, 86),
    }[place]
    level = 256
    fill_below(img, np.full(W, float(level)), _lit(ground, time), _lit(shade(ground, 0.76), time))
    n = int(look["n"])
    size = {1: 0.93, 2: 0.8, 3: 0.68}[n]
    xs = {1: [224], 2: [122, 326], 3: [78, 224, 370]}[n]
    mills = [
        (
            x + 8 * rng.normal(),
            level + 16 + 8 * (i % 2),
            size * (0.96 + 0.1 * (i % 2)),
            rng.random(),
        )
        for i, x in enumerate(xs)
    ]
    draw = ImageDraw.Draw(img)
    hubs = []
    for x, foot, k, turn in mills:
        if old:
            top = foot - 176 * k
            tone = _lit(((206, 190, 170), (150, 104, 76), (188, 130, 100))[rng.integers(3)], time)
            shadow(img, x, foot + 2, 84 * k, 10 * k, 0.4)
            for share, light in ((0.0, 0.72), (0.18, 1.0), (0.62, 0.86)):
                a, b = 52 * k * (1 - 2 * share), 32 * k * (1 - 2 * share)
                right_a, right_b = (
                    (52 * k, 32 * k)
                    if share == 0
                    else (
                        (52 - 104 * (0.8 - share)) * k * 0.6 + 14 * k,
                        (32 - 64 * (0.8 - share)) * k * 0.6 + 9 * k,
                    )
                )
                draw.polygon(
                    [(x - a, foot), (x - b, top), (x + right_b, top), (x + right_a, foot)],
                    fill=shade(tone, light),
                )
            draw.chord(
                (x - 36 * k, top - 34 * k, x + 36 * k, top + 34 * k),
                180,
                360,
                fill=_lit((112, 62, 50), time),
            )
            draw.chord(
                (x - 30 * k, top - 30 * k, x + 6 * k, top + 26 * k),
                180,
                360,
                fill=_lit((150, 88, 66), time),
            )
            draw.rectangle(
                (x - 56 * k, foot - 58 * k, x + 56 * k, foot - 50 * k),
                fill=_lit((96, 66, 48), time),
            )
            for dx in range(-54, 56, 12):
                draw.line(
                    (x + dx * k, foot - 58 * k, x + dx * k, foot - 72 * k),
                    fill=_lit((96, 66, 48), time),
                    width=3,
                )
            draw.line(
                (x - 56 * k, foot - 72 * k, x + 56 * k, foot - 72 * k),
                fill=_lit((96, 66, 48), time),
                width=4,
            )
            draw.rounded_rectangle(
                (
                    x - 13 * k,
                    foot - 40 * k,
                    x + 13 * k,
                    foot,
                ),
                8 * k,
                fill=_lit((86, 54, 40), time),
            )
            for dy in (100, 136):
                draw.rectangle(
                    (x - 8 * k, foot - dy * k, x + 8 * k, foot - (dy - 18) * k),
                    fill=(255, 222, 140) if time == "dusk" else _lit((96, 120, 150), time),
                )
            hubs.append((x, top - 4 * k, 118 * k, turn))
        else:
            top = foot - 190 * k
            tone = mix(_lit((240, 242, 244), time), (240, 242, 244), 0.4)
            shadow(img, x, foot + 2, 26 * k, 5 * k, 0.4)
            draw.polygon(
                [(x - 9 * k, foot), (x - 4.5 * k, top), (x + 4.5 * k, top), (x + 9 * k, foot)],
                fill=shade(tone, 0.78),
            )
            draw.polygon(
                [(x - 9 * k, foot), (x - 4.5 * k, top), (x + 0.5 * k, top), (x + 1 * k, foot)],
                fill=tone,
            )
            draw.rounded_rectangle(
                (x - 9 * k, top - 9 * k, x + 18 * k, top + 9 * k), 8 * k, fill=shade(tone, 0.88)
            )
            hubs.append((x, top, 112 * k, turn))
    rows = Image.new("RGBA", img.size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(rows)
    if place == "tulips":
        for row, tone in enumerate(((226, 60, 66), (248, 200, 70), (236, 110, 170), (226, 60, 66))):
            y, s = 272 + row * 19, 0.55 + 0.2 * row
            pen.rectangle((0, y + 4, W, y + 9 + 3 * row), fill=_lit((66, 130, 66), time))
            for x in np.arange(-6, W, 13 * s + 5):
                x, c = x + 3 * rng.normal(), mix(_lit(tone, time), tone, 0.5)
                pen.line((x, y, x, y + 12 * s), fill=_lit((66, 130, 66), time), width=3)
                pen.polygon(
                    [
                        (x - 7 * s, y - 10 * s),
                        (x - 3 * s, y - 5 * s),
                        (x, y - 12 * s),
                        (x + 3 * s, y - 5 * s),
                        (x + 7 * s, y - 10 * s),
                        (x + 6 * s, y + 3 * s),
                        (x - 6 * s, y + 3 * s),
                    ],
                    fill=shade(c, 0.86 + 0.24 * rng.random()),
                )
    elif place == "wheat":
        for y in range(276, H + 30, 7):
            for x in range(-8 + (y * 5) % 11, W, 11):
                tone = _lit(shade((232, 190, 92), 0.72 + 0.5 * rng.random()), time)
                tip = x + 5 * rng.normal()
                pen.line((x, y, tip, y - 26), fill=tone, width=3)
                disc(pen, tip, y - 27, 3, tone)
    elif place == "snow":
        for _ in range(24):
            x, y = rng.random() * W, 284 + 50 * rng.random()
            pen.ellipse((x - 36, y - 4, x + 36, y + 5), fill=_lit((212, 222, 238), time))
    else:
        for _ in range(190):
            x, y = rng.random() * W, 276 + 62 * rng.random()
            pen.polygon(
                [(x - 2, y), (x + 3 * rng.normal(), y - 12), (x + 2, y)],
                fill=_lit(shade((104, 172, 80), 0.75 + 0.5 * rng.random()), time),
            )
        for x in (46, 206, 396):
            x, y = x + 14 * rng.normal(), 296 + 16 * rng.random()
            for d in (-12, 10):
                pen.line((x + d, y, x + d, y + 17), fill=(60, 54, 56), width=5)
            for dx, dy, r in ((-12, 0, 12), (0, -4, 14), (12, 0, 12)):
                disc(pen, x + dx, y + dy, r, _lit((246, 244, 238), time))
            disc(pen, x + 24, y - 8, 8, (60, 54, 56))
    img.paste(rows, (0, 0), rows)
    colour = mix(PAINT[look["sails"]], _lit(PAINT[look["sails"]], time), 0.3)
    wood = (84, 58, 44)

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        pen = ImageDraw.Draw(picture)
        for x, y, r, turn in hubs:
            blades = 4 if old else 3
            for b in range(blades):
                a = 2 * math.pi * (b / blades + turn + (0.17 if old else 0.22) * t)
                ux, uy, vx, vy = math.cos(a), math.sin(a), -math.sin(a), math.cos(a)

                def at(u, v, x=x, y=y, r=r, ux=ux, uy=uy, vx=vx, vy=vy):
                    return (x + r * (u * ux + v * vx), y + r * (u * uy + v * vy))

                if old:
                    pen.polygon(
                        [at(0.2, -0.02), at(1, -0.02), at(1, 0.23), at(0.2, 0.2)],
                        fill=shade(colour, 0.6),
                    )
                    pen.polygon(
                        [at(0.22, 0.0), at(0.98, 0.0), at(0.98, 0.2), at(0.22, 0.17)], fill=colour
                    )
                    for u in (0.4, 0.6, 0.8):
                        pen.line([at(u, 0), at(u, 0.2)], fill=shade(colour, 0.66), width=3)
                    pen.line([at(0, 0), at(1.02, 0)], fill=wood, width=max(3, round(r / 18)))
                else:
                    pen.polygon(
                        [at(0, -0.05), at(0.2, -0.1), at(1.0, 0.0), at(0.2, 0.07), at(0, 0.05)],
                        fill=shade(colour, 0.62),
                    )
                    pen.polygon(
                        [at(0, -0.03), at(0.2, -0.075), at(0.95, -0.005), at(0.2, 0.03)],
                        fill=shade(colour, 1.06),
                    )
            disc(pen, x, y, r * 0.075, wood if old else (206, 208, 214))
            disc(
                pen,
                x - r * 0.015,
                y - r * 0.02,
                r * 0.04,
                shade(wood, 1.4) if old else (250, 250, 250),
            )
        return picture

    return frame


@scene(
    theme=_THEME,
    attributes={
        "colour": {
            "yellow": ("yellow",),
            "red": ("red",),
            "blue": ("blue",),
            "white": ("white",),
        },
        "load": {
            "container": ("a green container", "a big green box"),
            "beams": ("steel beams", "a bundle of girders"),
            "bricks": ("a pallet of bricks", "a load of bricks"),
        },
        "place": {
            "site": ("above a half-built house", "on a building site"),
            "harbour": ("in the harbour", "beside a cargo ship", "*at the docks"),
            "city": ("in front of skyscrapers", "between the towers of a city"),
        },
        "action": {"lifts": ("lifts", "hoists"), "lowers": ("lowers", "lets down")},
        "time": {k: _TIME[k] for k in ("dawn", "day", "night")},
    },
    captions=(
        "a {colour} crane {action} {load} {place} [{time}]",
        "{time} a [tall] {colour} crane {action} {load} {place}",
        "{place} a {colour} tower crane {action} {load} [{time}]",
        "a {colour} crane {place} [slowly] {action} {load} {time}",
        "(slowly|steadily) a {colour} crane {action} {load} {place} [{time}]",
    ),
    sound=lambda look, rng: 0.7 * sounds.engine(55.0, 82.0 if look["action"] == "lifts" else 42.0),
)
def crane(look: Look, rng: np.random.Generator) -> Frame:
    time, place = look["time"], look["place"]
    img = _heaven(rng, time, 0.8)
    draw = ImageDraw.Draw(img)
    level = 286
    if place == "city":
        far = Image.new("RGBA", img.size, (0, 0, 0, 0))
        _houses(
            rng,
            ImageDraw.Draw(far),
            W,
            level,
            60,
            170,
            time,
            ((140, 158, 184), (164, 176, 196), (120, 140, 170)),
        )
        img.paste(far, (0, 0), far)
    elif place == "harbour":
        fill_below(img, ridge(rng, W, 214, 236, 120), _lit((140, 158, 176), time))
        img.paste(
            gradient(
                [
                    (0, mix(_lit((64, 140, 186), time), SKY[time][-1][1], 0.3)),
                    (1, _lit((30, 90, 146), time)),
                ],
                (W, H - 240),
            ),
            (0, 240),
        )
        draw = ImageDraw.Draw(img)
        draw.polygon(
            [(196, 226), (W + 10, 226), (W + 10, 280), (232, 280)], fill=_lit((60, 64, 84), time)
        )
        draw.polygon(
            [(226, 268), (W + 10, 268), (W + 10, 282), (234, 282)], fill=_lit((170, 56, 50), time)
        )
        for i, x in enumerate(range(250, 400, 46)):
            for j in range(1 + (i * 2) % 3):
                tone = ((220, 130, 60), (70, 130, 180), (190, 70, 70), (200, 190, 170))[
                    (i + 2 * j) % 4
                ]
                draw.rectangle(
                    (x, 204 - 22 * j, x + 43, 225 - 22 * j),
                    fill=_lit(tone, time),
                    outline=_lit(shade(tone, 0.7), time),
                    width=2,
                )
        draw.rectangle((404, 150, W, 226), fill=_lit((240, 238, 232), time))
        draw.rectangle((412, 162, W, 176), fill=_lit((110, 150, 180), time))
    else:
        fill_below(img, ridge(rng, W, 210, 240, 160), _lit((140, 176, 150), time))
    draw = ImageDraw.Draw(img)
    if place != "harbour":
        fill_below(
            img,
            np.full(W, float(level)),
            _lit((196, 164, 122), time) if place == "site" else _lit((150, 146, 142), time),
        )
        draw = ImageDraw.Draw(img)
    else:
        draw.rectangle((0, 292, 190, H), fill=_lit((150, 146, 140), time))
        draw.rectangle((0, 292, 190, 299), fill=_lit((190, 186, 180), time))
    if place == "site":
        brick = _lit((196, 110, 84), time)
        for x in range(230, 440, 34):
            top = 216 + (x * 13) % 40
            draw.rectangle((x, top, x + 34, 312), fill=brick)
            for y in range(top, 312, 11):
                draw.line((x, y, x + 34, y), fill=shade(brick, 0.82), width=2)
        for x in (252, 330, 404):
            draw.rectangle((x, 266, x + 30, 300), fill=_lit((70, 62, 66), time))
        for x in range(222, 448, 56):
            draw.line((x, 196, x, 314), fill=_lit((150, 140, 120), time), width=4)
        for y in (206, 254):
            draw.line((222, y, 448, y), fill=_lit((176, 140, 90), time), width=6)
    colour = PAINT[look["colour"]]
    colour = mix(colour, _lit(colour, time), 0.35)
    dark = shade(colour, 0.66)
    mast, jib, tip = 112, 74, 430

    def lattice(x0, y0, x1, y1, wide, n):
        """Two rails with crossing struts between them."""
        vertical = abs(y1 - y0) > abs(x1 - x0)
        ox, oy = (wide / 2, 0) if vertical else (0, wide / 2)
        for k in range(n):
            a, b = k / n, (k + 1) / n
            p, q = (
                (x0 + (x1 - x0) * a, y0 + (y1 - y0) * a),
                (x0 + (x1 - x0) * b, y0 + (y1 - y0) * b),
            )
            draw.line((p[0] - ox, p[1] - oy, q[0] + ox, q[1] + oy), fill=dark, width=4)
            draw.line((p[0] + ox, p[1] + oy, q[0] - ox, q[1] - oy), fill=dark, width=4)
        draw.line((x0 - ox, y0 - oy, x1 - ox, y1 - oy), fill=colour, width=7)
        draw.line((x0 + ox, y0 + oy, x1 + ox, y1 + oy), fill=shade(colour, 0.86), width=7)

    lattice(mast, 306, mast, jib, 32, 9)
    draw.rectangle((mast - 44, 304, mast + 44, 322), fill=_lit((120, 120, 124), time))
    lattice(mast + 18, jib, tip, jib, 22, 14)
    lattice(24, jib, mast - 18, jib, 16, 5)
    draw.polygon([(mast - 14, jib), (mast, 20), (mast + 14, jib)], outline=colour, width=6)
    for x in (tip - 60, 270, 40):
        draw.line((mast, 22, x, jib - 8), fill=_lit((70, 72, 82), time), width=3)
    draw.rectangle((22, jib + 2, 64, jib + 44), fill=_lit((130, 130, 136), time))
    draw.rectangle((22, jib + 2, 30, jib + 44), fill=_lit((170, 170, 176), time))
    draw.rounded_rectangle((mast + 14, jib + 8, mast + 54, jib + 48), 5, fill=dark)
    draw.rectangle(
        (mast + 26, jib + 14, mast + 50, jib + 34),
        fill=(255, 226, 150) if time == "night" else (150, 196, 220),
    )

    def cargo(draw, s):
        if look["load"] == "container":
            draw.rectangle((2 * s, 30 * s, 118 * s, 86 * s), fill=shade((56, 150, 100), 0.7))
            draw.rectangle((2 * s, 30 * s, 118 * s, 80 * s), fill=(56, 150, 100))
            for x in range(8, 116, 9):
                draw.rectangle((x * s, 34 * s, (x + 4) * s, 78 * s), fill=(86, 180, 128))
        elif look["load"] == "beams":
            for y in (44, 54, 64):
                draw.rectangle((0, y * s, 120 * s, (y + 8) * s), fill=(92, 116, 150))
                draw.rectangle((0, y * s, 120 * s, (y + 3) * s), fill=(150, 178, 206))
            for x in (30, 86):
                draw.rectangle((x * s, 42 * s, (x + 5) * s, 74 * s), fill=(60, 60, 68))
        else:
            draw.rectangle((20 * s, 78 * s, 100 * s, 86 * s), fill=(150, 110, 70))
            for row in range(5):
                for col in range(5):
                    x, y = 23 + col * 15 - (row % 2) * 3, 30 + row * 9.6
                    draw.rectangle(
                        (x * s, y * s, (x + 13) * s, (y + 8) * s),
                        fill=shade((206, 96, 66), 0.84 + 0.08 * ((row + 2 * col) % 4)),
                    )
        draw.line(
            [(16 * s, 32 * s), (60 * s, 3 * s), (104 * s, 32 * s)], fill=(50, 50, 58), width=2 * s
        )

    load = sprite(120, 88, cargo)

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        pen = ImageDraw.Draw(picture)
        u = ease(t / 3)
        x = 268 + 66 * ease(t / 3.0)
        down = (1 - u) if look["action"] == "lifts" else u
        y = 128 + 92 * down
        pen.rectangle((x - 18, jib + 8, x + 18, jib + 20), fill=(60, 60, 70))
        for d in (-7, 7):
            pen.line((x + d, jib + 20, x + d * 0.4, y - 12), fill=(44, 44, 52), width=3)
        disc(pen, x, y - 8, 9, (244, 196, 60))
        stamp(picture, load, x, y + 38, 2.2 * wave(t, 0.5))
        return picture

    return frame


@scene(
    theme=_THEME,
    attributes={
        "cabins": {
            "red": ("red",),
            "blue": ("blue",),
            "yellow": ("yellow",),
            "purple": ("purple",),
            "many": ("colourful", "many-coloured"),
        },
        "size": {"big": ("big", "giant", "huge"), "small": ("small", "little")},
        "place": {
            "sea": ("by the sea", "at the seaside"),
            "city": ("in front of city houses", "in the middle of the city"),
            "park": ("among the trees of a park", "in a green park"),
            "fair": ("beside striped fairground tents", "at a fair with striped tents"),
        },
        "time": {k: _TIME[k] for k in ("day", "dusk", "night")},
    },
    captions=(
        "a {size} Ferris wheel with {cabins} cabins turns {place} [{time}]",
        "{time} a {size} Ferris wheel [with {cabins} gondolas] goes round {place}",
        "the {cabins} cabins of a {size} Ferris wheel (go|move) round {place} [{time}]",
        "a {size} Ferris wheel {place} {time}, {cabins} cabins going round [slowly]",
        "{place} a {size} Ferris wheel with {cabins} gondolas is turning [{time}]",
    ),
    sound=lambda look, rng: 0.8 * sounds.melody(rng, 12) if look["place"] == "fair" else None,
)
def ferris_wheel(look: Look, rng: np.random.Generator) -> Frame:
    time, place, big = look["time"], look["place"], look["size"] == "big"
    img = _heaven(rng, time, 0.8)
    draw = ImageDraw.Draw(img)
    level = 282
    if place == "sea":
        img.paste(
            gradient(
                [
                    (0, mix(_lit((50, 140, 190), time), SKY[time][-1][1], 0.4)),
                    (1, _lit((30, 96, 160), time)),
                ],
                (W, H - 226),
            ),
            (0, 226),
        )
        draw = ImageDraw.Draw(img)
        for _ in range(50):
            x, y = rng.random() * W, 230 + 56 * rng.random()
            draw.line(
                (x - 12, y, x + 12, y),
                fill=mix(_lit((140, 200, 224), time), SKY[time][-1][1], 0.3),
                width=2,
            )
        draw.rectangle((0, level, W, level + 14), fill=_lit((150, 108, 72), time))
        for x in range(4, W, 40):
            draw.rectangle((x, level + 12, x + 9, H), fill=_lit((104, 72, 52), time))
        for x in range(0, W, 20):
            draw.line((x, level, x, level - 20), fill=_lit((240, 238, 230), time), width=3)
        draw.line((0, level - 20, W, level - 20), fill=_lit((240, 238, 230), time), width=4)
    elif place == "city":
        layer = Image.new("RGBA", img.size, (0, 0, 0, 0))
        _houses(rng, ImageDraw.Draw(layer), W, 300, 50, 110, time)
        img.paste(layer, (0, 0), layer)
        fill_below(img, np.full(W, 298.0), _lit((140, 138, 140), time))
        level = 304
    elif place == "park":
        fill_below(img, ridge(rng, W, 210, 240, 160), _lit((140, 184, 140), time))
        fill_below(img, np.full(W, float(level)), _lit((106, 176, 84), time))
        draw = ImageDraw.Draw(img)
        for x in (10, 72, 128, 322, 378, 440):
            _tree(draw, x, level + 8, 66 + 30 * rng.random(), _lit((76, 150, 72), time))
    else:
        fill_below(img, np.full(W, float(level)), _lit((206, 178, 130), time))
        draw = ImageDraw.Draw(img)
        for x, w, tone in (
            (52, 120, (214, 58, 60)),
            (396, 120, (60, 110, 190)),
            (-30, 80, (240, 170, 60)),
        ):
            top = 214
            for k in range(8):
                a, b = x - w / 2 + w * k / 8, x - w / 2 + w * (k + 1) / 8
                stripe = _lit(tone if k % 2 else (248, 244, 236), time)
                draw.polygon([(x, top - 46), (a, top), (b, top)], fill=stripe)
                draw.rectangle((a, top, b, level + 6), fill=shade(stripe, 0.9))
            draw.polygon([(x, top - 46), (x, top - 62), (x + 20, top - 55)], fill=tone)
    cx, radius, n = W / 2, (128 if big else 68), (12 if big else 8)
    cy = level - radius - (18 if big else 22)
    steel = (
        _lit((236, 238, 244), time)
        if time == "day"
        else mix(_lit((236, 238, 244), time), (255, 255, 255), 0.45)
    )
    draw = ImageDraw.Draw(img)
    shadow(img, cx, level + 6, radius * 0.8, 9, 0.4)
    for side in (-1, 1):
        stroke(
            draw,
            [(cx, cy), (cx + side * radius * 0.55, level + 6)],
            shade(steel, 0.62),
            12 if big else 9,
        )
        stroke(
            draw,
            [(cx - 2, cy), (cx + side * radius * 0.55 - 2, level + 5)],
            shade(steel, 0.9),
            6 if big else 4,
        )
    names = ("red", "yellow", "blue", "green", "purple", "orange")
    paints = [
        PAINT[names[i % 6]] if look["cabins"] == "many" else PAINT[look["cabins"]] for i in range(n)
    ]
    k = 1.0 if big else 0.82

    def cabin(colour):
        def paint(draw, s):
            draw.line((25 * s, 0, 25 * s, 12 * s), fill=(90, 92, 104), width=3 * s)
            draw.rounded_rectangle((3 * s, 8 * s, 47 * s, 50 * s), 11 * s, fill=shade(colour, 0.7))
            draw.rounded_rectangle((3 * s, 8 * s, 45 * s, 46 * s), 11 * s, fill=colour)
            draw.rounded_rectangle(
                (9 * s, 18 * s, 41 * s, 32 * s),
                4 * s,
                fill=(255, 236, 170) if time != "day" else (206, 230, 244),
            )
            draw.rounded_rectangle((10 * s, 10 * s, 40 * s, 14 * s), 2 * s, fill=shade(colour, 1.4))

        picture = sprite(50, 52, paint)
        return [turned(picture, angle, k) for angle in (-4, -2, 0, 2, 4)]

    cabins = {c: cabin(c) for c in paints}
    bulbs = [(255, 240, 190), *(mix(c, (255, 255, 255), 0.2) for c in paints[:1])]
    phase = rng.random()

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        pen = ImageDraw.Draw(picture)
        turn = 2 * math.pi * (phase + 0.075 * t)
        for r, w in ((radius, 7), (radius * 0.84, 4)):
            pen.ellipse((cx - r, cy - r, cx + r, cy + r), outline=shade(steel, 0.8), width=w)
        rims = []
        for i in range(n):
            a = turn + 2 * math.pi * i / n
            x, y = cx + radius * math.cos(a), cy + radius * math.sin(a)
            b = a + math.pi / n
            inner = (cx + radius * 0.84 * math.cos(b), cy + radius * 0.84 * math.sin(b))
            pen.line((cx, cy, x, y), fill=steel, width=4)
            pen.line([(x, y), inner], fill=shade(steel, 0.8), width=3)
            rims.append((x, y, b))
        pen.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), outline=steel, width=4)
        if time != "day":
            for i, (_x, _y, b) in enumerate(rims):
                for j, share in enumerate((0.35, 0.65, 1.0)):
                    a = b - math.pi / n
                    glow(
                        picture,
                        cx + radius * share * math.cos(a),
                        cy + radius * share * math.sin(a),
                        14,
                        bulbs[(i + j) % 2],
                        0.75 + 0.25 * wave(t, 0.8, i / n),
                    )
        disc(pen, cx, cy, radius * 0.12, shade(steel, 0.7))
        disc(pen, cx - 2, cy - 2, radius * 0.07, steel)
        for (x, y, _b), colour in zip(rims, paints, strict=True):
            stamp(picture, cabins[colour][round(2 + 2 * wave(t, 0.5, x / W))], x, y + 22 * k)
        return picture

    return frame


@scene(
    theme=_THEME,
    attributes={
        "colour": {
            "red": ("red",),
            "green": ("green",),
            "blue": ("blue",),
            "yellow": ("yellow",),
        },
        "action": {"opens": ("opens", "rises"), "closes": ("closes", "comes down")},
        "ship": {
            "sail": ("a sailing boat", "a yacht with a white sail"),
            "steamer": ("a steamer", "a ship with a smoking funnel"),
            "barge": ("an orange tugboat", "a small orange tug"),
        },
        "towers": {
            "stone": ("stone towers", "two towers of stone"),
            "steel": ("steel towers", "two iron towers"),
        },
        "time": {k: _TIME[k] for k in ("dawn", "day", "dusk", "night")},
    },
    captions=(
        "a {colour} drawbridge with {towers} {action} for {ship} [{time}]",
        "{time} a {colour} drawbridge {action}, {ship} on the river",
        "{ship} on the river while a {colour} drawbridge {action} [{time}]",
        "a {colour} bridge between {towers} {action} [slowly], {ship} in the middle [{time}]",
        "between {towers} a {colour} drawbridge {action}, {ship} on the water [{time}]",
    ),
    sound=lambda look, rng: sounds.together(
        0.5 * sounds.engine(46.0), sounds.at([0.1, 0.9, 1.7], sounds.bell(660), 0.6)
    ),
)
def drawbridge(look: Look, rng: np.random.Generator) -> Frame:
    time = look["time"]
    opens = look["action"] == "opens"
    img = _heaven(rng, time, 0.7)
    layer = Image.new("RGBA", img.size, (0, 0, 0, 0))
    _houses(rng, ImageDraw.Draw(layer), W, 236, 22, 66, time)
    img.paste(layer, (0, 0), layer)
    level = 232
    img.paste(
        gradient(
            [
                (0, mix(_lit((80, 150, 190), time), SKY[time][-1][1], 0.35)),
                (1, _lit((28, 84, 132), time)),
            ],
            (W, H - level),
        ),
        (0, level),
    )
    front = Image.new("RGBA", img.size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(front)
    colour = PAINT[look["colour"]]
    colour = mix(colour, _lit(colour, time), 0.5)
    deck = 206
    stone = _lit((196, 182, 160), time)
    iron = _lit((120, 132, 150), time)
    for side, x in ((-1, 96), (1, 352)):
        edge = -10 if side < 0 else W + 10
        pen.rectangle((min(edge, x), deck, max(edge, x), deck + 16), fill=shade(colour, 0.8))
        pen.rectangle((min(edge, x), deck, max(edge, x), deck + 6), fill=colour)
        for px in range(*((2, 70, 16) if side < 0 else (388, 448, 16))):
            pen.line((px, deck, px, deck - 18), fill=colour, width=4)
        pen.line((min(edge, x), deck - 18, max(edge, x), deck - 18), fill=colour, width=5)
        if look["towers"] == "stone":
            pen.rectangle((x - 32, 110, x + 32, 286), fill=stone)
            pen.rectangle((x - 32, 110, x - 20, 286), fill=shade(stone, 1.16))
            pen.rectangle((x + 18, 110, x + 32, 286), fill=shade(stone, 0.78))
            for y in range(120, 286, 15):
                pen.line((x - 32, y, x + 32, y), fill=shade(stone, 0.88), width=2)
            for bx in range(x - 36, x + 30, 18):
                pen.rectangle((bx, 94, bx + 11, 112), fill=stone)
            pen.rectangle((x - 36, 106, x + 36, 116), fill=shade(stone, 0.9))
            pen.polygon([(x - 26, 98), (x, 46), (x + 26, 98)], fill=_lit((96, 104, 130), time))
            pen.polygon([(x - 26, 98), (x, 46), (x - 6, 98)], fill=_lit((130, 138, 164), time))
            for y in (132, 168):
                pen.rounded_rectangle(
                    (x - 8, y, x + 8, y + 24),
                    8,
                    fill=(255, 222, 140)
                    if time in ("dusk", "night")
                    else _lit((80, 84, 100), time),
                )
        else:
            for px in (x - 24, x + 24):
                pen.rectangle((px - 6, 72, px + 6, 286), fill=iron)
                pen.rectangle((px - 6, 72, px - 2, 286), fill=shade(iron, 1.25))
            for y in range(84, 200, 38):
                pen.line((x - 24, y, x + 24, y + 38), fill=shade(iron, 0.8), width=5)
                pen.line((x + 24, y, x - 24, y + 38), fill=shade(iron, 0.8), width=5)
            pen.rectangle((x - 34, 62, x + 34, 76), fill=shade(iron, 0.9))
            disc(pen, x, 62, 17, shade(iron, 0.75))
            disc(pen, x, 62, 8, shade(iron, 1.3))
        pen.rectangle((x - 42, 262, x + 42, 300), fill=shade(stone, 0.72))
        pen.rectangle((x - 42, 262, x + 42, 269), fill=shade(stone, 0.95))

    def vessel(draw, s):
        def poly(points, tone):
            draw.polygon(_s(points, s), fill=tone)

        kind = look["ship"]
        hull = {"sail": (176, 112, 70), "steamer": (54, 58, 76), "barge": (240, 130, 50)}[kind]
        if kind == "sail":
            draw.line(_s([(70, 128), (70, 4)], s), fill=(110, 76, 50), width=4 * s)
            poly([(74, 8), (128, 118), (74, 120)], (232, 230, 226))
            poly([(74, 8), (112, 118), (74, 120)], (252, 250, 246))
            poly([(66, 20), (22, 116), (66, 120)], (226, 222, 214))
            poly([(70, 2), (88, 8), (70, 14)], (214, 58, 50))
        elif kind == "steamer":
            draw.rectangle((54 * s, 30 * s, 86 * s, 80 * s), fill=(214, 60, 52))
            draw.rectangle((54 * s, 30 * s, 86 * s, 42 * s), fill=(40, 40, 48))
            draw.rectangle((36 * s, 70 * s, 104 * s, 130 * s), fill=(246, 244, 238))
            draw.rectangle((88 * s, 70 * s, 104 * s, 130 * s), fill=(212, 212, 210))
            for y in (80, 104):
                for x in (44, 62, 80):
                    draw.rectangle((x * s, y * s, (x + 12) * s, (y + 12) * s), fill=(110, 150, 180))
        else:
            draw.rectangle((44 * s, 70 * s, 96 * s, 128 * s), fill=(250, 246, 236))
            draw.rectangle((40 * s, 64 * s, 100 * s, 74 * s), fill=(200, 70, 50))
            draw.rectangle((52 * s, 80 * s, 88 * s, 100 * s), fill=(110, 150, 180))
            draw.rectangle((66 * s, 34 * s, 74 * s, 66 * s), fill=(90, 80, 80))
        poly(
            [(10, 116), (130, 116), (112, 164), (90, 176), (50, 176), (28, 164)], shade(hull, 0.78)
        )
        poly([(10, 116), (70, 124), (70, 176), (50, 176), (28, 164)], hull)
        draw.line(_s([(10, 117), (70, 125), (130, 117)], s), fill=shade(hull, 1.4), width=4 * s)

    boat = sprite(140, 180, vessel)
    puff = sprite(
        40,
        40,
        lambda draw, s: draw.ellipse(
            (2 * s, 2 * s, 38 * s, 38 * s), fill=(*_lit((226, 226, 230), time), 190)
        ),
    )
    ripples = rng.random((60, 3))
    foam = mix(_lit((200, 226, 240), time), SKY[time][-1][1], 0.3)

    def leaf(draw, x, side, angle):
        ux, uy = side * math.cos(angle), -math.sin(angle)
        nx, ny = side * math.sin(angle), math.cos(angle)  # downwards
        end = (x + 104 * ux, deck + 8 + 104 * uy)
        under = [
            (x, deck),
            (x + 104 * ux, deck + 104 * uy),
            (end[0], end[1] + 4),
            (x + 20 * ux, deck + 26 + 20 * uy),
        ]
        draw.polygon(under, fill=shade(colour, 0.62))
        for k in range(0, 7):
            p = (x + (8 + 16 * k) * ux, deck + (8 + 16 * k) * uy)
            draw.line([p, (p[0] - nx * 18 * 1, p[1] - ny * 18)], fill=colour, width=4)
        draw.line([(x, deck), (x + 104 * ux, deck + 104 * uy)], fill=shade(colour, 1.1), width=9)
        a = (x - nx * 18, deck - ny * 18)
        draw.line([a, (a[0] + 104 * ux, a[1] + 104 * uy)], fill=colour, width=5)
        draw.line([(x - side * 26, 82), (x + 84 * ux, deck + 84 * uy)], fill=(60, 62, 72), width=2)

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        pen = ImageDraw.Draw(picture)
        for a, b, c in ripples:
            y = level + 6 + b * (H - level)
            x = (a * W + (10 + 12 * c) * t) % (W + 40) - 20
            pen.line(
                (x - 4 - 16 * b, y, x + 4 + 16 * b, y),
                fill=mix(foam, (60, 110, 150), 0.5 * c),
                width=2,
            )
        u = ease(t / 2.9)
        angle = math.radians(6 + 58 * (u if opens else 1 - u))
        size = (0.56 + 0.14 * t / 3) if opens else (0.74 + 0.16 * t / 3)
        foot = (254 + 14 * t / 3) if opens else (290 + 26 * t / 3)

        def sail():
            x = W / 2 + 3 * wave(t, 0.4)
            if look["ship"] == "steamer":
                for k in range(6):
                    age = (k + (t * 2) % 1) / 6
                    stamp(
                        picture,
                        puff,
                        x + 34 * age,
                        foot - 150 * size - 40 * age,
                        0,
                        size * (0.5 + age),
                        1 - age,
                    )
            shadow(picture, x, foot, 62 * size, 9 * size, 0.5)
            stamp(picture, boat, x, foot - (86 - 2 * wave(t, 0.4, 0.2)) * size, 0, size)
            for d in (-1, 1):
                pen.arc(
                    (
                        x + d * 40 * size - 34 * size,
                        foot - 8,
                        x + d * 40 * size + 34 * size,
                        foot + 8,
                    ),
                    0,
                    180,
                    fill=foam,
                    width=3,
                )

        if opens:
            sail()
        leaf(pen, 122, 1, angle)
        leaf(pen, 326, -1, angle)
        picture.paste(front, (0, 0), front)
        if not opens:
            sail()
        return picture

    return frame


@scene(
    theme=_THEME,
    attributes={
        "who": {
            "man": ("man",),
            "woman": ("woman", "lady"),
            "boy": ("boy", "small boy"),
        },
        "colour": {
            "red": ("red",),
            "yellow": ("yellow",),
            "green": ("green",),
            "blue": ("blue",),
            "black": ("black", "dark"),
        },
        "load": {
            "flowers": ("with a basket of flowers", "with flowers in the basket"),
            "flag": ("with an orange flag", "with a little orange pennant"),
            "box": ("with a wooden box on the rack", "with a crate on the back"),
        },
        "place": {
            "street": ("down the street", "past the houses of a town"),
            "park": ("through a park", "past the trees of a park"),
            "beach": ("along the beach", "by the sea"),
            "snow": ("through the snow", "in a snowy wood"),
        },
        "facing": _FACING,
    },
    captions=(
        "a {who} rides a {colour} bicycle {load} {place} [{facing}]",
        "a {who} on a {colour} (bicycle|bike) {load} (cycles|rides) {facing} {place}",
        "{place} a {who} (cycles|pedals) {facing} on a {colour} bike [{load}]",
        "a {who} (pedalling|cycling) {place} on a {colour} bicycle [{load}]",
        "a {colour} bicycle {load}, ridden by a {who} {place} [{facing}]",
    ),
    sound=lambda look, rng: (
        sounds.at([0.4, 0.62], sounds.bell(1320.0), 0.7)
        if look["place"] in ("street", "park")
        else None
    ),
)
def bicycle(look: Look, rng: np.random.Generator) -> Frame:
    img, strip = _walk_setting(rng, look["place"])
    colour = (40, 40, 48) if look["colour"] == "black" else PAINT[look["colour"]]
    outfit = _outfit(rng, look["who"], (244, 242, 236), (86, 92, 110))
    child = outfit["child"]
    k = 0.7 if child else 0.92
    r = 50 * (0.86 if child else 1.0)
    ground = 306.0
    rear, fore = (W / 2 - 86 * (r / 50), ground - r), (W / 2 + 76 * (r / 50), ground - r)
    crank = (W / 2 - 14, ground - r + 6)
    seat = (W / 2 - 44 * (r / 50), ground - r - 66 * (r / 50))
    head = (W / 2 + 52 * (r / 50), ground - r - 74 * (r / 50))
    bar = (head[0] + 2, head[1] - 14)
    pace = 0.9

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        picture.paste(strip, (-round(138 * t), 0), strip)
        draw = ImageDraw.Draw(picture)
        bob = 1.2 * wave(t, 2.0)
        shadow(picture, W / 2 - 4, ground + 2, 150 * r / 50, 9, 0.4)
        turn = 138 * t / r
        for x, y in (rear, fore):
            for rr, w, tone in ((r, 7, (36, 36, 42)), (r - 6, 6, colour)):
                draw.ellipse((x - rr, y - rr, x + rr, y + rr), outline=tone, width=w)
            for j in range(9):
                a = turn + j * 2 * math.pi / 9
                draw.line(
                    (x, y, x + (r - 8) * math.cos(a), y + (r - 8) * math.sin(a)),
                    fill=(206, 208, 214),
                    width=2,
                )
            disc(draw, x, y, 6, (90, 92, 100))
        spin = 2 * math.pi * pace * t
        hip = (seat[0], seat[1] - 13 * k + bob)
        arm_len = 22 * (0.8 if child else 1.0)
        feet = []
        for half in (math.pi, 0.0):
            pedal = (
                crank[0] + arm_len * math.cos(spin + half),
                crank[1] + arm_len * math.sin(spin + half),
            )
            feet.append((pedal[0] - 6 * k, pedal[1] - 9 * k))
        legs = [
            _reach((hip[0] + d, hip[1]), foot, 52 * k, 50 * k, 1)
            for foot, d in zip(feet, (-2 * k, 2 * k), strict=True)
        ]
        lean = 20
        a = math.radians(lean)
        shoulder = (hip[0] + 66 * k * math.sin(a), hip[1] - 66 * k * math.cos(a) + 8 * k)
        hands = _reach(shoulder, (bar[0] - 10, bar[1]), 36 * k, 34 * k, -1)
        tube = 12 if not child else 10
        if look["load"] == "box":
            draw.line(
                (rear[0] - 30, rear[1] - r - 10, seat[0], rear[1] - r - 10),
                fill=(80, 82, 90),
                width=5,
            )
            x, y = rear[0] - 8, rear[1] - r - 12
            draw.rectangle((x - 36, y - 42, x + 28, y), fill=(150, 102, 60))
            for d in (-42, -28, -14):
                draw.rectangle((x - 36, y + d, x + 28, y + d + 10), fill=(190, 138, 86))
            draw.line((rear[0] - 24, rear[1] - r - 10, *rear), fill=(80, 82, 90), width=4)
        elif look["load"] == "flag":
            x, y = rear[0] - 20, rear[1]
            draw.line((x + 20, y, x - 8, y - 176), fill=(120, 120, 126), width=4)
            edge = [(x - 8 - 9 * j, y - 176 + 2 * j + 4 * wave(t, 1.4, -j / 7)) for j in range(8)]
            low = [(px, py + 46 - 5.6 * j) for j, (px, py) in enumerate(edge)]
            draw.polygon([*edge, *low[::-1]], fill=(240, 130, 44))
            draw.polygon(
                [*edge, *[(px, py + 14 - j) for j, (px, py) in reversed(list(enumerate(edge)))]],
                fill=(252, 170, 90),
            )
        pedals = [
            (crank[0] + s * arm_len * math.cos(spin), crank[1] + s * arm_len * math.sin(spin))
            for s in (-1, 1)
        ]
        draw.line([crank, pedals[0]], fill=(110, 112, 120), width=5)
        for p, q in (
            (rear, crank),
            (crank, (head[0], head[1] + 16)),
            (crank, seat),
            (seat, (head[0], head[1])),
            (rear, seat),
            (head, fore),
        ):
            stroke(draw, [p, q], shade(colour, 0.7), tube)
            stroke(
                draw, [(p[0] - 1, p[1] - 2), (q[0] - 1, q[1] - 2)], shade(colour, 1.12), tube * 0.55
            )
        stroke(draw, [head, bar, (bar[0] - 12, bar[1] - 1)], (70, 72, 80), 6)
        stroke(draw, [(seat[0] - 16, seat[1] - 4), (seat[0] + 12, seat[1] - 3)], (50, 40, 40), 9)
        if look["load"] == "flowers":
            x, y = head[0] + 30, head[1] + 2
            for j in range(9):
                disc(
                    draw,
                    x - 22 + 5.6 * j,
                    y - 22 - 9 * math.sin(j * 2.2),
                    10,
                    ((236, 90, 130), (250, 206, 80), (250, 246, 240), (170, 110, 214))[j % 4],
                )
                disc(draw, x - 20 + 5.4 * j, y - 10, 6, (84, 156, 78))
            draw.polygon(
                [(x - 27, y - 12), (x + 27, y - 12), (x + 20, y + 24), (x - 20, y + 24)],
                fill=(176, 126, 76),
            )
            for d in (-2, 8, 17):
                draw.line(
                    (x - 24 + d * 0.2, y + d, x + 24 - d * 0.2, y + d), fill=(136, 92, 54), width=3
                )
        _figure(draw, hip, k, outfit, legs, (hands, hands), lean, 1, -14)
        draw.line([crank, pedals[1]], fill=(150, 152, 160), width=6)
        for p in pedals:
            draw.line((p[0] - 11, p[1], p[0] + 11, p[1]), fill=(50, 50, 56), width=6)
        disc(draw, *crank, 9, (150, 152, 160))
        return _mirror(picture, look["facing"])

    return frame
