"""Balls and sport."""

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

THEME = "balls and sport"


def _ground(
    rng: np.random.Generator, time: str, soil: tuple[int, int, int], edge: int
) -> Image.Image:
    """A sky with clouds or stars over flat ground that begins at y = edge."""
    img = sky(time, edge / H)
    if time == "night":
        stars(rng, img, 110, edge / H)
    else:
        layer = clouds(rng, (255, 246, 240), 0.35, W * 2, 130)
        img.paste(layer, (0, 0), layer)
    light = {"dawn": 0.85, "day": 1.0, "dusk": 0.7, "night": 0.45, "overcast": 1.0}[time]
    grain = np.asarray(
        Image.fromarray(noise(rng, (W // 2, H - edge), 16), "F").resize((W, H - edge))
    )
    tone = light * np.linspace(1.12, 0.75, H - edge)[:, None] * (0.88 + 0.24 * grain)
    flat = np.clip(np.array(soil) * tone[..., None], 0, 255).astype(np.uint8)
    img.paste(Image.fromarray(flat), (0, edge))
    return img


def _patterned(r: int, colour: tuple[int, int, int], pattern: str) -> Image.Image:
    """A shaded ball with white stripes, white dots or no pattern."""
    plain = ball(r, colour)
    if pattern == "plain":
        return plain
    white = ball(r, (246, 244, 238))
    mask = Image.new("L", (plain.width * 4, plain.height * 4))
    draw = ImageDraw.Draw(mask)
    c, s = 4 * r + 4, 4 * r
    if pattern == "striped":
        for at in (-0.62, 0.0, 0.62):
            draw.rectangle((0, c + (at - 0.14) * s, 2 * c, c + (at + 0.14) * s), fill=255)
    else:
        for x, y, size in (
            (0, 0, 0.3),
            (-0.66, -0.3, 0.2),
            (0.6, -0.44, 0.2),
            (0.56, 0.5, 0.22),
            (-0.4, 0.62, 0.22),
            (-0.05, -0.8, 0.16),
        ):
            draw.ellipse(
                (c + (x - size) * s, c + (y - size) * s, c + (x + size) * s, c + (y + size) * s),
                fill=255,
            )
    alpha = plain.getchannel("A")
    out = plain.copy()
    out.paste(white, (0, 0), mask.resize(plain.size, Image.Resampling.BOX))
    out.putalpha(alpha)
    return out


_COLOURS = {
    "red": ("red",),
    "blue": ("blue",),
    "yellow": ("yellow",),
    "green": ("green",),
    "purple": ("purple", "violet"),
    "orange": ("orange",),
}


def _hop(t: float, period: float, start: float) -> tuple[float, float]:
    """Height 0..1 and squash -1..1 of a ball that bounces with that period."""
    u = ((t + start) / period) % 1
    height = 4 * u * (1 - u)
    near = max(0.0, 1 - min(u, 1 - u) / 0.09)
    return height, near


@scene(
    theme=THEME,
    attributes={
        "colour": _COLOURS,
        "pattern": {"plain": ("plain",), "striped": ("striped",), "dotted": ("dotted", "spotted")},
        "n": {1: ("one", "a single"), 2: ("two", "a pair of"), 3: ("three",)},
        "place": {
            "beach": ("on a sandy beach", "on the beach"),
            "grass": ("on a green lawn", "on the grass"),
            "room": ("on a wooden floor indoors", "in a room with a wooden floor", "*on parquet"),
            "snow": ("on snow under a grey sky", "in the snow"),
        },
    },
    captions=(
        "{n} {pattern} {colour} {n|ball bounces|balls bounce} up and down {place}",
        "{place} {n} {colour} {pattern} {n|ball|balls} (bouncing|hopping) [again and again]",
        "{n} (bouncing|springy) {colour} {n|ball|balls} [with a {pattern} (skin|surface)] {place}",
        "{n} {colour} {n|ball|balls} , {pattern} , {n|hits the ground and jumps|hit the ground and jump} {place}",
        "{place} {n} {pattern} {colour} {n|ball leaps|balls leap} and {n|falls|fall} [without end]",
    ),
    sound=lambda look, rng: sounds.together(
        *(
            sounds.at(np.arange(1.0 - i * 0.33, 3, 1.0), sounds.knock(150 - 20 * i))
            for i in range(int(look["n"]))
        )
    ),
    poster_s=0.4,
)
def bouncing_ball(look: Look, rng: np.random.Generator) -> Frame:
    if look["place"] == "room":
        background = room(rng, (188, 204, 214), (176, 120, 74), 226, 0.3)
        draw = ImageDraw.Draw(background)
        draw.rectangle((0, 214, W, 228), fill=(240, 238, 232))
        for i in range(-8, 9):
            draw.line([(W / 2 + i * 40, 230), (W / 2 + i * 86, H)], fill=(128, 84, 52), width=2)
    else:
        time = "overcast" if look["place"] == "snow" else "day"
        soil = {"beach": (238, 208, 150), "grass": (104, 176, 84), "snow": (250, 252, 255)}[
            look["place"]
        ]
        background = _ground(rng, time, soil, 224)
        if look["place"] == "beach":
            background.paste(
                gradient([(0, (36, 110, 170)), (1, (90, 190, 200))], (W, 44)), (0, 186)
            )
        else:
            tone = (70, 130, 80) if look["place"] == "grass" else (176, 186, 198)
            line = ridge(rng, W, 176, 214, 130)
            low = background.crop((0, 224, W, H))
            fill_below(background, line, tone, tone)
            background.paste(low, (0, 224))
    n = int(look["n"])
    r = {1: 56, 2: 46, 3: 38}[n]
    picture = _patterned(r, PAINT[look["colour"]], look["pattern"])
    floor = {1: 292, 2: 288, 3: 284}[n]
    tilt = [float(rng.integers(-30, 30)) for _ in range(n)]
    spin = 70 if rng.random() < 0.5 else -70

    def frame(t: float) -> Image.Image:
        img = background.copy()
        for i in range(n):
            x = W * (i + 0.5) / n + 8 * wave(t, 0.2, i * 0.3)
            height, near = _hop(t, 1.0, i * 0.33)
            squash = 0.26 * near
            shadow(
                img,
                x,
                floor,
                r * (1.25 - 0.5 * height),
                r * 0.26 * (1.2 - 0.5 * height),
                0.6 - 0.3 * height,
            )
            y = floor - r * (1 - squash) - (252 - 2 * r + 24) * 0.82 * height
            turned_ball = (
                picture
                if look["pattern"] == "plain"
                else picture.rotate(tilt[i] + spin * math.sin(t * 2.1), Image.Resampling.BILINEAR)
            )
            stamp(img, turned_ball, x, y, 0, (1 + squash * 0.7, 1 - squash))
        return img

    return frame


def _arm(
    draw: ImageDraw.ImageDraw,
    x: float,
    y: float,
    sleeve: tuple[int, int, int],
    skin: tuple[int, int, int],
) -> None:
    stroke(draw, [(x + 120, -30), (x + 46, y - 24)], shade(sleeve, 0.8), 54)
    stroke(draw, [(x + 116, -34), (x + 42, y - 28)], sleeve, 44)
    stroke(draw, [(x + 42, y - 24), (x + 12, y - 2)], skin, 34)
    disc(draw, x + 8, y, 23, skin)
    stroke(draw, [(x + 4, y + 4), (x - 16, y + 10)], shade(skin, 0.9), 15)
    stroke(draw, [(x + 10, y + 10), (x - 6, y + 20)], shade(skin, 0.96), 14)


@scene(
    theme=THEME,
    attributes={
        "colour": _COLOURS,
        "stripe": {"white": ("white",), "black": ("black",), "pink": ("pink",)},
        "place": {
            "park": ("in a park", "on a green meadow"),
            "sunset": ("at sunset", "in the evening sun"),
            "room": ("in a turquoise room", "before a turquoise wall"),
            "night": ("at night", "under the stars"),
        },
        "side": {"left": ("left",), "right": ("right",)},
    },
    captions=(
        "a {colour} yo-yo with a {stripe} star (goes|rolls) up and down on its string {place}",
        "a hand plays with a {colour} and {stripe} yo-yo [from the {side}] {place}",
        "{place} a {colour} yo-yo [with a {stripe} star] (climbs|drops) below a hand on the {side}",
        "from the {side} a hand (throws|drops) a {colour} and {stripe} yo-yo {place}",
        "{place} a {colour} yo-yo marked with a {stripe} star spins on a string [held from the {side}]",
    ),
    sound=lambda look, rng: sounds.chirp(rng) if look["place"] == "park" else None,
    poster_s=0.5,
)
def yo_yo(look: Look, rng: np.random.Generator) -> Frame:
    if look["place"] == "room":
        background = room(rng, (92, 186, 184), (130, 88, 60), 290, 0.4)
    else:
        time = {"park": "day", "sunset": "dusk", "night": "night"}[look["place"]]
        background = _ground(rng, time, (104, 170, 86), 284)
        line = ridge(rng, W, 232, 272, 120)
        tone = {"park": (64, 128, 76), "sunset": (74, 44, 66), "night": (16, 22, 44)}[look["place"]]
        low = background.crop((0, 284, W, H))
        fill_below(background, line, tone, tone)
        background.paste(low, (0, 284))
        if look["place"] == "sunset":
            glow(background, 90, 226, 150, (255, 190, 100), 0.8)
    colour, stripe = PAINT[look["colour"]], PAINT[look["stripe"]]

    def paint(draw, s):
        c = 64 * s
        for reach, tone in (
            (62, shade(colour, 0.55)),
            (58, shade(colour, 0.9)),
            (50, shade(colour, 1.12)),
            (43, colour),
        ):
            draw.ellipse((c - reach * s, c - reach * s, c + reach * s, c + reach * s), fill=tone)
        star = []
        for k in range(10):
            reach = 40 if k % 2 == 0 else 17
            star.append(
                (
                    c + reach * s * math.sin(k * math.pi / 5),
                    c - reach * s * math.cos(k * math.pi / 5),
                )
            )
        draw.polygon(star, fill=stripe)
        draw.ellipse((c - 9 * s, c - 9 * s, c + 9 * s, c + 9 * s), fill=shade(colour, 0.7))

    disc_picture = sprite(128, 128, paint)
    sleeve = [PAINT["pink"], PAINT["blue"], PAINT["orange"], PAINT["white"]][rng.integers(4)]
    skin = [(244, 204, 172), (198, 142, 102), (124, 82, 58)][rng.integers(3)]
    mirror = look["side"] == "left"
    hand_x = 236

    def frame(t: float) -> Image.Image:
        img = background.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirror else background.copy()
        draw = ImageDraw.Draw(img)
        u = 0.5 - 0.5 * math.cos(2 * math.pi * (t / 1.5 + 0.08))
        hand_y = 60 + 12 * math.cos(2 * math.pi * (t / 1.5 + 0.02))
        y = hand_y + 78 + 128 * u**0.8
        x = hand_x - 6
        draw.line([(x, hand_y + 8), (x + 2 * wave(t, 0.7), y)], fill=(250, 250, 246), width=3)
        shadow(img, x, 320, 30 + 26 * u, 7, 0.2 + 0.3 * u)
        stamp(img, disc_picture.rotate(-330 * t % 360, Image.Resampling.BILINEAR), x, y)
        glow(img, x - 24, y - 26, 26, (255, 255, 255), 0.35)
        _arm(draw, hand_x - 4, hand_y, sleeve, skin)
        return img.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirror else img

    return frame


def _rolled(
    places: np.ndarray,
    speeds: np.ndarray,
    r: float,
    box: tuple[float, float, float, float],
    seconds: float,
) -> np.ndarray:
    """Balls that roll, knock and rebound without holes: [steps, n, 2] at 120 steps a second."""
    p, v, out = places.astype(float), speeds.astype(float), []
    dt = 1 / 120
    for _ in range(round(seconds * 120) + 2):
        out.append(p.copy())
        p += v * dt
        v *= 1 - 0.55 * dt
        for axis in (0, 1):
            low, high = box[axis] + r, box[axis + 2] - r
            v[:, axis] = np.where(p[:, axis] < low, np.abs(v[:, axis]), v[:, axis])
            v[:, axis] = np.where(p[:, axis] > high, -np.abs(v[:, axis]), v[:, axis])
        apart = p[:, None] - p[None]
        distance = np.hypot(apart[..., 0], apart[..., 1])
        for i, j in np.argwhere(np.triu(distance < 2 * r, 1)):
            line = apart[i, j] / max(distance[i, j], 1e-6)
            push = float((v[i] - v[j]) @ line)
            overlap = (2 * r - distance[i, j]) / 2
            p[i] += line * overlap
            p[j] -= line * overlap
            if push < 0:
                v[i] -= 0.96 * push * line
                v[j] += 0.96 * push * line
    return np.array(out)


@scene(
    theme=THEME,
    attributes={
        "cloth": {
            "green": ("green",),
            "blue": ("blue",),
            "red": ("red",),
            "purple": ("purple", "violet"),
        },
        "colour": {
            "yellow": ("yellow",),
            "black": ("black",),
            "orange": ("orange",),
            "pink": ("pink",),
            "mixed": ("many-coloured", "colourful"),
        },
        "n": {1: ("one", "a single"), 3: ("three",), 6: ("six", "half a dozen"), 10: ("ten",)},
        "rail": {"brown": ("wooden", "brown"), "white": ("white",)},
    },
    captions=(
        "the white ball hits {n} {colour} {n|ball|balls} on a {cloth} billiard table [with a {rail} frame]",
        "billiards on {cloth} cloth with {n} {colour} {n|ball|balls} [and {rail} rails]",
        "{n} {colour} {n|ball rolls|balls roll} over the {cloth} cloth of a {rail} pool table [, hit by the white one]",
        "on a {cloth} (pool|billiard) table [with a {rail} rim] the white ball (hits|strikes) {n} {colour} {n|ball|balls}",
        "seen from above {n} {colour} {n|ball|balls} and a white one (roll|run) over a {cloth} billiard table [, the rails are {rail}]",
    ),
    sound=lambda look, rng: sounds.together(
        sounds.at([0.42], sounds.tone(1500, 0.07, 0.012, (1, 0.5)), 1.0),
        sounds.at(
            0.6 + 2 * rng.random(int(look["n"])), sounds.tone(1300, 0.06, 0.012, (1, 0.5)), 0.5
        ),
    ),
    poster_s=1.3,
)
def billiards(look: Look, rng: np.random.Generator) -> Frame:
    cloth = shade(PAINT[look["cloth"]], 0.82)
    rail = {"brown": (122, 76, 44), "white": (226, 222, 212)}[look["rail"]]
    background = gradient([(0, shade(rail, 1.1)), (1, shade(rail, 0.8))])
    draw = ImageDraw.Draw(background)
    draw.rounded_rectangle((26, 26, W - 26, H - 26), 10, fill=shade(cloth, 0.55))
    felt = Image.new("RGB", (W - 76, H - 76), cloth)
    grain = noise(rng, felt.size, 4, 1)[..., None]
    felt = Image.fromarray(np.clip(np.array(cloth) * (0.95 + 0.1 * grain), 0, 255).astype(np.uint8))
    background.paste(felt, (38, 38))
    glow(background, W / 2, H / 2, 230, shade(cloth, 0.8), 0.6)
    for x in (30, W / 2, W - 30):
        for y in (30, H - 30):
            disc(draw, x, y, 20, shade(rail, 0.6))
            disc(draw, x, y, 16, (14, 14, 16))
    for i in range(1, 8):
        for y in (12, H - 12):
            if i != 4:
                disc(draw, W * i / 8, y, 3, (240, 230, 200))
    n = int(look["n"])
    r = 15
    sign = 1 if rng.random() < 0.5 else -1
    spots = []
    rows = {1: 1, 3: 2, 6: 3, 10: 4}[n]
    for row in range(rows):
        for k in range(row + 1):
            spots.append((W / 2 + sign * (40 + row * 1.76 * r), H / 2 + (k - row / 2) * 2.06 * r))
    cue = (W / 2 - sign * 130, H / 2 + 30 * (rng.random() - 0.5))
    aim = np.array([spots[0][0] - cue[0], spots[0][1] + 5 * (rng.random() - 0.5) - cue[1]])
    speed = np.zeros((n + 1, 2))
    speed[0] = aim / np.hypot(*aim) * 500
    path = _rolled(np.array([cue, *spots]), speed, r, (38, 38, W - 38, H - 38), LENGTH_S)
    names = (
        "yellow",
        "blue",
        "red",
        "purple",
        "orange",
        "green",
        "brown",
        "black",
        "pink",
        "turquoise",
    )
    paints = [
        PAINT[names[i]] if look["colour"] == "mixed" else PAINT[look["colour"]] for i in range(n)
    ]
    pictures = [ball(r, (250, 248, 240))] + [ball(r, c) for c in paints]
    hit_s = 0.22

    def frame(t: float) -> Image.Image:
        img = background.copy()
        at = path[min(int(max(t - hit_s, 0) * 120), len(path) - 1)]
        for x, y in at:
            shadow(img, x + 5, y + 7, r * 1.15, r * 1.1, 0.5)
        for picture, (x, y) in zip(pictures, at, strict=True):
            stamp(img, picture, x, y)
        pull = 26 * (1 - ease(t / hit_s)) + 260 * ease((t - 0.5) / 0.7)
        if t < 1.2:
            draw = ImageDraw.Draw(img)
            unit = aim / np.hypot(*aim)
            tip = np.array(cue) - unit * (r + 3 + pull)
            end = tip - unit * 230
            stroke(
                draw, [(tip[0] + 6, tip[1] + 10), (end[0] + 6, end[1] + 10)], shade(cloth, 0.6), 6
            )
            stroke(draw, [tuple(tip), tuple(end)], (222, 186, 128), 7)
            stroke(draw, [tuple(tip), tuple(tip - unit * 7)], (90, 140, 200), 7)
        return img

    return frame


@scene(
    theme=THEME,
    attributes={
        "colour": {"orange": ("orange",), "red": ("red",), "blue": ("blue",), "green": ("green",)},
        "place": {
            "city": ("in front of a city skyline", "in the city"),
            "park": ("among trees in a park", "in a park"),
            "beach": ("by the sea", "on the beach"),
        },
        "time": {
            "day": ("by day", "on a clear day", "in daylight"),
            "dusk": ("at sunset", "at dusk"),
            "night": ("at night", "in the dark"),
        },
        "side": {"left": ("on the left",), "right": ("on the right",)},
        "outcome": {
            "in": ("drops through the hoop", "falls into the basket", "*swishes through the net"),
            "out": ("bounces off the rim", "misses and bounces away"),
        },
    },
    captions=(
        "{place} a {colour} basketball {outcome} {time} [, the hoop is {side}]",
        "{time} a {colour} basketball flies to a hoop {side} and {outcome} {place}",
        "a {colour} basketball thrown at the hoop {side} {outcome} [{place}] {time}",
        "{time} a basketball shot {place}: the {colour} ball {outcome}",
        "a shot at the basket {side} {place} {time} [, the {colour} ball {outcome}]",
    ),
    sound=lambda look, rng: sounds.together(
        sounds.at([2.28] if look["outcome"] == "in" else [1.25, 2.4], sounds.knock(120)),
        sounds.at(
            [1.25], sounds.hiss(rng, 900, 5000, 0.2) * np.exp(-sounds.seconds(0.2) / 0.06), 0.5
        )
        if look["outcome"] == "in"
        else sounds.at([1.25], sounds.tone(420, 0.3, 0.08, (1, 0.6)), 0.6),
    ),
    poster_s=1.0,
)
def basketball_shot(look: Look, rng: np.random.Generator) -> Frame:
    time = str(look["time"])
    soil = {"city": (150, 112, 96), "park": (96, 150, 92), "beach": (226, 196, 140)}[look["place"]]
    background = _ground(rng, time, soil, 264)
    draw = ImageDraw.Draw(background)
    dim = {"day": 1.0, "dusk": 0.55, "night": 0.3}[time]
    if look["place"] == "city":
        x = -6
        while x < W:
            wide, tall = 34 + 40 * rng.random(), 60 + 110 * rng.random()
            tone = shade(mix((120, 136, 160), (160, 130, 140), float(rng.random())), dim)
            draw.rectangle((x, 264 - tall, x + wide, 264), fill=tone)
            for wy in range(int(264 - tall) + 8, 256, 14):
                for wx in range(int(x) + 6, int(x + wide) - 8, 12):
                    lit = rng.random() < (0.15 if time == "day" else 0.5)
                    draw.rectangle(
                        (wx, wy, wx + 5, wy + 7),
                        fill=(255, 220, 140) if lit and time != "day" else shade(tone, 1.25),
                    )
            x += wide + 2
    elif look["place"] == "park":
        for x in range(-10, W + 40, 52):
            x, tall = x + 20 * rng.random(), 50 + 40 * rng.random()
            draw.rectangle((x - 5, 264 - tall, x + 5, 266), fill=shade((96, 66, 46), dim))
            for _ in range(6):
                tone = shade((70, 140, 74), dim * (0.8 + 0.35 * rng.random()))
                disc(
                    draw,
                    x + 26 * (rng.random() - 0.5),
                    264 - tall - 18 * rng.random(),
                    22 + 8 * rng.random(),
                    tone,
                )
    else:
        background.paste(
            gradient([(0, shade((40, 120, 176), dim)), (1, shade((90, 190, 204), dim))], (W, 60)),
            (0, 206),
        )
    hoop_x, hoop_y = 344.0, 128.0
    stroke(draw, [(420, H), (420, 70), (398, 70)], (70, 74, 84), 12)
    draw.polygon(
        [(388, 18), (404, 10), (404, 130), (388, 138)], fill=(246, 246, 244), outline=(80, 80, 90)
    )
    draw.polygon([(391, 66), (401, 61), (401, 110), (391, 115)], outline=(214, 58, 50), width=3)
    shadow(background, hoop_x, 306, 60, 9, 0.35)
    colour, r = PAINT[look["colour"]], 27

    def seams(draw, s):
        c = 28 * s
        dark = (*shade(colour, 0.28), 255)
        draw.line([(2 * s, c), (54 * s, c)], fill=dark, width=2 * s)
        draw.line([(c, 2 * s), (c, 54 * s)], fill=dark, width=2 * s)
        for x in (-14, 42):
            draw.ellipse(((x - 0) * s, 12 * s, (x + 28) * s, 44 * s), outline=dark, width=2 * s)

    lines = sprite(56, 56, seams)
    lines.putalpha(
        Image.fromarray(
            (
                np.asarray(lines.getchannel("A"))
                * (np.asarray(ball(r, colour).getchannel("A")) / 255.0)
            ).astype(np.uint8)
        )
    )
    picture = ball(r, colour)
    start = (60.0, 236.0 + 10 * rng.random())
    out = look["outcome"] == "out"
    target = (hoop_x - 34, hoop_y - r + 4) if out else (hoop_x, hoop_y - 8)
    flight = 1.25

    def place(t: float) -> tuple[float, float]:
        if t < flight:
            u = t / flight
            arc = 4 * u * (1 - u) * (126 if out else 134)
            return start[0] + (target[0] - start[0]) * u, start[1] + (
                target[1] - start[1]
            ) * u - arc
        s = t - flight
        if out:
            x = target[0] - 88 * s
            y = target[1] - 150 * s + 330 * s * s
            floor_s = 1.13
            if s > floor_s:
                q = s - floor_s
                y = 282 - 260 * q + 330 * q * q
            return x, min(y, 282)
        y = target[1] + 70 * s + 95 * s * s
        if y > 282:
            q = s - 1.03
            y = 282 - 4 * 46 * max(0, q / 0.66) * (1 - min(1, q / 0.66))
        return target[0] - 6 * s, min(y, 282)

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        x, y = place(t)
        shadow(img, x, 306, 34, 8, 0.25 + 0.3 * max(0, (y - 100) / 200))
        draw.ellipse(
            (hoop_x - 38, hoop_y - 9, hoop_x + 38, hoop_y + 9), outline=(150, 36, 30), width=5
        )
        turned_ball = picture.copy()
        marks = lines.rotate(200 * t % 360, Image.Resampling.BILINEAR)
        turned_ball.paste(marks, (0, 0), marks)
        stamp(img, turned_ball, x, y)
        inside = not out and 0 < t - flight < 0.8
        bulge = 7 * math.sin(math.pi * (t - flight) / 0.8) if inside else 0
        net = (236, 236, 232)
        for k in range(7):
            a = -36 + 12 * k
            sway = bulge * (a / 36) + (4 * wave(t, 1.5) if t > flight else 0)
            for b in (a + 12, a - 12):
                if -36 <= b <= 36:
                    mid = (hoop_x + b * 0.76 + sway, hoop_y + 30)
                    draw.line([(hoop_x + a, hoop_y + 4), mid], fill=net, width=2)
                    draw.line([mid, (hoop_x + a * 0.56 + sway, hoop_y + 58)], fill=net, width=2)
        draw.arc(
            (hoop_x - 38, hoop_y - 9, hoop_x + 38, hoop_y + 9), 0, 180, fill=(236, 84, 52), width=6
        )
        draw.line([(hoop_x + 36, hoop_y), (392, hoop_y - 8)], fill=(200, 60, 44), width=6)
        return img if look["side"] == "right" else img.transpose(Image.Transpose.FLIP_LEFT_RIGHT)

    return frame


@scene(
    theme=THEME,
    attributes={
        "n": {2: ("two",), 3: ("three",), 4: ("four",), 6: ("six",)},
        "colour": {
            "red": ("red",),
            "yellow": ("yellow",),
            "green": ("green",),
            "blue": ("blue",),
            "mixed": ("many-coloured", "colourful"),
        },
        "who": {
            "clown": ("a clown with a red nose", "a clown"),
            "robot": ("a robot", "a grey robot"),
            "girl": ("a girl in a pink dress", "a girl in pink", "*a lass in pink"),
        },
        "place": {
            "circus": ("in a striped circus tent", "in the circus"),
            "beach": ("on a beach", "by the sea"),
            "stage": ("on a dark stage", "in a spotlight"),
        },
    },
    captions=(
        "{who} juggles {n} {colour} balls {place}",
        "{n} {colour} balls fly in (a circle|an arc) above {who} {place}",
        "{place} {who} (keeps|holds) {n} {colour} balls in the air",
        "juggling with {n} {colour} balls {place} , done by {who}",
        "{place} {who} throws and catches {n} {colour} balls [again and again]",
    ),
    sound=lambda look, rng: (
        sounds.melody(rng, 10)
        if look["place"] == "circus"
        else sounds.surf(rng)
        if look["place"] == "beach"
        else None
    ),
)
def juggling(look: Look, rng: np.random.Generator) -> Frame:
    if look["place"] == "circus":
        background = Image.new("RGB", (W, H), (250, 236, 206))
        draw = ImageDraw.Draw(background)
        for i in range(0, 24, 2):
            a, b = math.pi * (i / 24), math.pi * ((i + 1) / 24)
            far = [(W / 2 + 520 * math.cos(x), -60 + 520 * math.sin(x)) for x in (a, b)]
            draw.polygon([(W / 2, -60), *far], fill=(196, 84, 84))
        shade_layer = gradient([(0, (120, 110, 120)), (0.5, (255, 255, 255)), (1, (170, 150, 150))])
        background = Image.blend(background, shade_layer, 0.25)
        draw = ImageDraw.Draw(background)
        draw.ellipse((-60, 284, W + 60, 420), fill=(224, 184, 118))
        draw.arc((-60, 284, W + 60, 420), 180, 360, fill=(180, 60, 60), width=8)
    elif look["place"] == "beach":
        background = _ground(rng, "day", (238, 208, 150), 270)
        background.paste(gradient([(0, (36, 110, 170)), (1, (90, 190, 200))], (W, 66)), (0, 204))
    else:
        background = gradient(
            [(0, (22, 18, 36)), (0.82, (44, 34, 62)), (0.83, (70, 50, 46)), (1, (36, 26, 26))]
        )
        cone = Image.new("L", (W, H))
        ImageDraw.Draw(cone).polygon(
            [(W / 2 - 24, 0), (W / 2 + 24, 0), (W - 60, H), (60, H)], fill=64
        )
        background.paste(
            (255, 240, 200), (0, 0), cone.resize((112, 84)).resize((W, H), Image.Resampling.BICUBIC)
        )
        for x, tone in ((0, (110, 20, 40)), (W - 54, (110, 20, 40))):
            for k in range(3):
                ImageDraw.Draw(background).rectangle(
                    (x + 18 * k, 0, x + 18 * k + 12, 290), fill=shade(tone, 0.8 + 0.2 * k)
                )
    shadow(background, W / 2, 322, 90, 14, 0.5)
    cx, who, n = W / 2, look["who"], int(look["n"])
    skin = {"clown": (248, 222, 200), "robot": (176, 184, 194), "girl": (214, 160, 122)}[who]
    cloth = {"clown": (70, 120, 200), "robot": (130, 140, 152), "girl": (240, 120, 170)}[who]
    draw = ImageDraw.Draw(background)
    for side in (-1, 1):
        stroke(
            draw,
            [(cx + side * 16, 286), (cx + side * 20, 322)],
            shade(cloth if who != "girl" else skin, 0.75),
            16,
        )
        stroke(
            draw,
            [(cx + side * 20, 322), (cx + side * 32, 323)],
            (50, 40, 46) if who != "clown" else (200, 50, 50),
            13,
        )
    if who == "girl":
        draw.polygon([(cx - 22, 218), (cx + 22, 218), (cx + 54, 302), (cx - 54, 302)], fill=cloth)
        draw.polygon(
            [(cx + 4, 218), (cx + 22, 218), (cx + 54, 302), (cx + 20, 302)], fill=shade(cloth, 0.85)
        )
    else:
        draw.rounded_rectangle(
            (cx - 36, 214, cx + 36, 300), 20 if who == "clown" else 6, fill=cloth
        )
        draw.rounded_rectangle(
            (cx + 8, 214, cx + 36, 300), 14 if who == "clown" else 6, fill=shade(cloth, 0.82)
        )
        if who == "clown":
            for y in (236, 258, 280):
                disc(draw, cx, y, 6, (250, 214, 80))
        else:
            draw.rectangle((cx - 20, 236, cx + 20, 262), fill=(40, 60, 80))
            for k, tone in enumerate(((230, 70, 60), (250, 210, 80), (90, 200, 120))):
                disc(draw, cx - 12 + 12 * k, 249, 4, tone)
    hy = 186
    if who == "robot":
        draw.rounded_rectangle((cx - 30, hy - 28, cx + 30, hy + 24), 7, fill=skin)
        draw.line([(cx, hy - 28), (cx, hy - 40)], fill=(90, 96, 104), width=4)
        disc(draw, cx, hy - 42, 5, (230, 70, 60))
        for side in (-1, 1):
            disc(draw, cx + side * 13, hy - 6, 8, (70, 220, 240))
        draw.rectangle((cx - 14, hy + 10, cx + 14, hy + 15), fill=(60, 66, 76))
    else:
        hair = (226, 90, 40) if who == "clown" else (70, 44, 34)
        for side in (-1, 1):
            disc(draw, cx + side * 27, hy - 4 if who == "clown" else hy + 10, 15, hair)
        disc(draw, cx, hy - 6, 31, hair)
        disc(draw, cx, hy, 28, skin)
        draw.arc((cx - 14, hy - 6, cx + 14, hy + 17), 20, 160, fill=(170, 40, 50), width=4)
        for side in (-1, 1):
            disc(draw, cx + side * 10, hy - 7, 4, (40, 34, 40))
        if who == "clown":
            disc(draw, cx, hy + 3, 8, (222, 40, 40))
    r = {2: 24, 3: 22, 4: 20, 6: 17}[n]
    names = ("red", "yellow", "green", "blue", "purple", "orange")
    pictures = [
        ball(r, PAINT[names[i] if look["colour"] == "mixed" else look["colour"]]) for i in range(n)
    ]
    cycle = {2: 1.36, 3: 1.6, 4: 1.9, 6: 2.3}[n]  # seconds a ball takes for one round
    hands = ((cx - 84, 252), (cx + 84, 252))
    held = 0.16  # share of the round that a ball spends in the throwing hand

    def place(u: float) -> tuple[float, float]:
        if u < held:  # carried from where it is caught to where it is thrown
            s = ease(u / held)
            return hands[0][0] - 26 + 52 * s, hands[0][1] - 6 + 8 * math.sin(math.pi * s)
        if u < 0.82:
            s = (u - held) / (0.82 - held)
            x = hands[0][0] + 26 + (hands[1][0] + 10 - hands[0][0] - 26) * s
            return x, hands[0][1] - 6 - 4 * s * (1 - s) * 214
        s = (u - 0.82) / 0.18  # handed back low across the body
        return hands[1][0] + 10 + (hands[0][0] - 36 - hands[1][0]) * s, hands[1][
            1
        ] - 6 + 30 * math.sin(math.pi * s)

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        beat = 2 * math.pi * t * n / cycle
        for side, (hx, hand_y) in zip((-1, 1), hands, strict=True):
            hand = (hx + 12 * math.cos(beat + side), hand_y + 10 + 9 * math.sin(beat + side))
            elbow = (cx + side * 66, 276)
            stroke(draw, [(cx + side * 28, 226), elbow], shade(cloth, 0.9), 15)
            stroke(draw, [elbow, hand], shade(skin, 0.92), 12)
            disc(draw, *hand, 12, skin)
        for i, picture in enumerate(pictures):
            stamp(img, picture, *place((t / cycle + i / n) % 1))
        return img

    return frame


@scene(
    theme=THEME,
    attributes={
        "n": {1: ("one", "a single"), 2: ("two",), 3: ("three",), 5: ("five",)},
        "colour": {
            "yellow": ("yellow",),
            "green": ("green",),
            "pink": ("pink",),
            "white": ("white",),
            "purple": ("purple", "violet"),
        },
        "spot": {
            "middle": ("in the middle", "in the bull's-eye", "*dead centre"),
            "edge": ("near the edge", "in the outer ring"),
        },
        "place": {
            "meadow": ("on a green meadow", "in a meadow"),
            "snow": ("in the snow", "on a snowy field"),
            "sunset": ("at sunset", "in the evening glow"),
        },
    },
    captions=(
        "{n} {n|arrow|arrows} with {colour} feathers {n|hits|hit} the target {spot} {place}",
        "{place} a target is hit by {n} {n|arrow|arrows} [with {colour} feathers] {spot}",
        "archery {place}: {n} {colour} {n|arrow sticks|arrows stick} {spot} [of the target]",
        "{n} {colour} feathered {n|arrow flies|arrows fly} into a round target {place} [and {n|lands|land} {spot}]",
        "a round straw target {place} with {n} {colour} {n|arrow|arrows} {spot}",
    ),
    sound=lambda look, rng: sounds.at(
        [0.25 + 0.3 * i for i in range(int(look["n"]))], sounds.knock(130), 0.9
    ),
    poster_s=2.8,
)
def archery(look: Look, rng: np.random.Generator) -> Frame:
    time = {"meadow": "day", "snow": "overcast", "sunset": "dusk"}[look["place"]]
    soil = (246, 250, 255) if look["place"] == "snow" else (110, 172, 84)
    background = _ground(rng, time, soil, 214)
    line = ridge(rng, W, 168, 206, 110)
    tone = {"meadow": (72, 132, 84), "snow": (150, 162, 178), "sunset": (84, 50, 66)}[look["place"]]
    low = background.crop((0, 214, W, H))
    fill_below(background, line, tone, tone)
    background.paste(low, (0, 214))
    draw = ImageDraw.Draw(background)
    cx, cy, reach = W / 2, 156.0, 138.0
    shadow(background, cx, 314, 150, 18, 0.5)
    for side in (-1, 1):
        stroke(draw, [(cx + side * 60, 220), (cx + side * 104, 322)], (110, 74, 46), 15)
    disc(draw, cx + 7, cy + 7, reach + 8, (120, 92, 52))
    disc(draw, cx, cy, reach + 8, (214, 180, 116))
    rings = ((248, 246, 240), (36, 36, 44), (52, 120, 206), (214, 52, 48), (250, 208, 60))
    for i, paint in enumerate(rings):
        disc(draw, cx, cy, reach * (1 - i / 5), paint)
        disc(draw, cx, cy, reach * (1 - i / 5) - 2, mix(paint, (255, 255, 255), 0.06))
    disc(draw, cx, cy, 4, (60, 50, 30))
    n = int(look["n"])
    first = rng.random() * 6.28
    spots = []
    for i in range(n):
        if look["spot"] == "middle":
            angle = first + 2 * math.pi * i / n
        else:  # the upper half, so that no shaft hangs over the stand
            angle = -math.pi * (i + 0.3 + 0.4 * rng.random()) / n
        far = reach * ((0.0 if n == 1 else 0.15) if look["spot"] == "middle" else 0.84)
        spots.append((cx + far * math.cos(angle), cy + far * math.sin(angle)))
    colour = PAINT[look["colour"]]

    def paint_arrow(
        draw, s
    ):  # seen from behind and a little above: foreshortened shaft, three feathers
        draw.line([(40 * s, 14 * s), (52 * s, 88 * s)], fill=(84, 56, 36), width=9 * s)
        draw.line([(39 * s, 14 * s), (51 * s, 88 * s)], fill=(206, 164, 108), width=5 * s)
        for points in (
            ((48, 54), (24, 66), (28, 96), (52, 84)),
            ((49, 54), (76, 60), (80, 90), (54, 84)),
        ):
            draw.polygon(
                [(x * s, y * s) for x, y in points],
                fill=shade(colour, 0.95),
                outline=shade(colour, 0.45),
                width=2 * s,
            )
        draw.polygon(
            [(x * s, y * s) for x, y in ((48, 52), (54, 58), (58, 92), (51, 86))],
            fill=shade(colour, 1.3),
            outline=shade(colour, 0.45),
            width=s,
        )

    arrow = sprite(88, 100, paint_arrow)
    settled = turned(arrow, 0.0, 1.15)
    pole = 34 if rng.random() < 0.5 else W - 34
    stroke(draw, [(pole, 304), (pole, 96)], (236, 230, 216), 6)

    def frame(t: float) -> Image.Image:
        img = background.copy()
        flag = [(pole + u, 100 + 5 * (u / 30) * wave(t, 1.1, -u / 50)) for u in range(0, 31, 5)]
        flag += [(x, y + 34 - 0.5 * (x - pole)) for x, y in reversed(flag)]
        ImageDraw.Draw(img).polygon(flag, fill=PAINT["orange"])
        for i, (x, y) in enumerate(spots):
            arrive = 0.25 + 0.3 * i
            u = (t - arrive + 0.3) / 0.3
            if u <= 0:
                continue
            share = ease_out(u) if u < 1 else 1.0
            if u >= 1:
                shadow(img, x + 10, y + 14, 20, 20, 0.3)
            since = t - arrive
            tilt = 5 * math.exp(-6 * since) * math.sin(40 * since) if 0 < since < 0.7 else 0.0
            scale = 1.75 - 0.6 * share
            picture, size = (settled, 1.0) if u >= 1 else (arrow, scale)
            stamp(img, picture, x + 4 * scale, y + 36 * scale + (1 - share) * 190, tilt, size)
        return img

    return frame


@scene(
    theme=THEME,
    attributes={
        "colour": _COLOURS,
        "n": {3: ("three",), 6: ("six", "half a dozen"), 10: ("ten",)},
        "outcome": {
            "all": ("all the pins fall", "every pin falls", "*no pin survives"),
            "some": ("some pins stay standing", "not all pins fall"),
            "none": ("the ball misses every pin", "not a single pin falls"),
        },
        "lane": {
            "wood": ("a wooden lane", "a bright wooden lane"),
            "blue": ("a blue lane in neon light", "a blue lane"),
            "pink": ("a pink lane in neon light", "a pink lane"),
        },
    },
    captions=(
        "a {colour} bowling ball rolls down {lane} towards {n} pins , {outcome}",
        "bowling on {lane}: the {colour} ball rolls to {n} pins and {outcome}",
        "{n} pins at the end of {lane} and a {colour} (bowling ball|ball) [, {outcome}]",
        "a {colour} ball (runs|rolls) along {lane} [, {n} pins wait] and {outcome}",
        "{outcome} as a {colour} bowling ball (reaches|comes to) {n} pins on {lane}",
    ),
    sound=lambda look, rng: sounds.together(
        0.3 * sounds.hiss(rng, 60, 400) * (sounds.seconds() < 1.5),
        *(
            sounds.at(
                [1.48 + 0.05 * k], sounds.tone(500 + 130 * (k % 4), 0.12, 0.03, (1, 0.5)), 0.6
            )
            for k in range({"all": int(look["n"]), "some": 2, "none": 0}[look["outcome"]])
        ),
    ),
    poster_s=1.2,
)
def bowling(look: Look, rng: np.random.Generator) -> Frame:
    neon = look["lane"] != "wood"
    board = {"wood": (226, 178, 116), "blue": (50, 84, 190), "pink": (226, 90, 160)}[look["lane"]]
    wall = (34, 28, 58) if neon else (120, 74, 60)
    background = gradient([(0, shade(wall, 1.1)), (1, shade(wall, 0.6))])
    draw = ImageDraw.Draw(background)
    sky_y, reach = 52, 280

    def at(x: float, z: float) -> tuple[float, float, float]:
        """Place on the lane (x in -1..1 across, z in 0..1 along) -> canvas x, y, scale."""
        s = 1 / (1 + 1.9 * z)
        return W / 2 + 205 * x * s, sky_y + reach * s, s

    def strip(x0: float, x1: float, colour: tuple[int, int, int]) -> None:
        near, far = -0.12, 1.1
        draw.polygon(
            [at(x0, near)[:2], at(x1, near)[:2], at(x1, far)[:2], at(x0, far)[:2]], fill=colour
        )

    draw.rectangle((0, 150, W, H), fill=shade(wall, 0.5))
    for side in (-1, 1):
        strip(side * 1.0, side * 1.26, (26, 24, 32))
        strip(side * 1.26, side * 1.36, board if neon else (150, 104, 70))
    for k in range(10):
        strip(-1 + 0.2 * k, -0.8 + 0.2 * k, shade(board, (0.93, 1.03, 0.98)[k % 3]))
    gloss = Image.new("L", (W, H))
    ImageDraw.Draw(gloss).polygon(
        [(W / 2 - 40, H), (W / 2 + 40, H), (W / 2 + 16, 150), (W / 2 - 16, 150)], fill=60
    )
    background.paste(
        (255, 255, 255), (0, 0), gloss.resize((56, 42)).resize((W, H), Image.Resampling.BICUBIC)
    )
    draw.rectangle((W / 2 - 116, 14, W / 2 + 116, 148), fill=(14, 12, 20))
    draw.rectangle((0, 0, W, 34), fill=shade(board, 0.9 if neon else 0.6))
    for side in (-1, 1):
        draw.rectangle(
            (W / 2 + side * 126 - 10, 20, W / 2 + side * 126 + 10, 160), fill=shade(wall, 1.35)
        )
    if neon:
        for side in (-1, 1):
            glow(background, W / 2 + side * 170, 60, 150, board, 0.7)
    glow(background, W / 2, 96, 130, (150, 140, 120), 0.55)
    for k in range(5):
        px, py, s = at(-0.4 + 0.2 * k, 0.22 + 0.05 * abs(k - 2))
        draw.polygon([(px - 6, py + 8), (px + 6, py + 8), (px, py - 10)], fill=shade(board, 0.5))

    def paint_pin(draw, s):
        outline = [
            (15, 0),
            (20, 3),
            (22, 10),
            (20, 20),
            (19, 26),
            (25, 38),
            (28, 50),
            (26, 64),
            (22, 76),
        ]
        shape = outline + [(30 - x, y) for x, y in reversed(outline)]
        draw.polygon([(x * s, y * s) for x, y in shape], fill=(250, 248, 242))
        draw.polygon(
            [(x * s, y * s) for x, y in ((15, 0), *outline[1:], (16, 76))], fill=(222, 218, 214)
        )
        draw.rectangle((10 * s, 18 * s, 20 * s, 22 * s), fill=(214, 50, 50))
        draw.rectangle((9.6 * s, 26 * s, 20.4 * s, 29 * s), fill=(214, 50, 50))

    pin = sprite(31, 78, paint_pin)
    n = int(look["n"])
    rows = {3: 2, 6: 3, 10: 4}[n]
    pins = []
    for row in range(rows):
        for k in range(row + 1):
            pins.append(((k - row / 2) * (0.62 if n == 3 else 0.46), 0.83 + 0.065 * row, row))
    hit_s = 1.45
    aim = {"all": 0.0, "some": 0.3, "none": 1.13}[look["outcome"]] * (
        1 if rng.random() < 0.5 else -1
    )
    falls = []
    for x, _, _ in pins:
        if look["outcome"] == "all":
            falls.append(True)
        else:
            falls.append(look["outcome"] == "some" and x * np.sign(aim) > 0.1)
    drift = 2 * rng.random(n) - 1
    r = 50
    picture = ball(r, PAINT[look["colour"]])

    def holes(draw, s):
        for x, y in ((36, 30), (52, 26), (46, 44)):
            draw.ellipse(((x - 5) * s, (y - 5) * s, (x + 5) * s, (y + 5) * s), fill=(20, 18, 24))

    grip = sprite(2 * r + 2, 2 * r + 2, holes)
    ready = {p: turned(pin, 0.0, 2.05 * at(0, z)[2]) for p, (_, z, _) in enumerate(pins)}

    def frame(t: float) -> Image.Image:
        img = background.copy()
        u = t / hit_s
        z = -0.02 + 0.84 * (u if u < 1 else 1 + (u - 1) * 0.9)
        x = aim * ease(min(u * 1.1, 1.0))
        bx, by, s = at(x, min(z, 1.15))
        drawn_ball = z > 1.12

        def put_ball() -> None:
            size = r * s
            drop = 6 if abs(x) > 1 else 0
            shadow(img, bx + 8 * s, by + drop, size * 1.15, size * 0.3, 0.55)
            turned_ball = picture.copy()
            spun = grip.rotate(-420 * t % 360, Image.Resampling.BILINEAR)
            turned_ball.paste(spun, (0, 0), spun)
            stamp(img, turned_ball, bx, by - size + drop, 0, s)

        for p in sorted(range(n), key=lambda p: -pins[p][1]):
            px, pz, row = pins[p]
            if not drawn_ball and z > pz:
                put_ball()
                drawn_ball = True
            cx, cy, _ = at(px, pz)
            tall = ready[p].height
            late = t - hit_s - 0.09 * row - 0.04 * abs(px)
            if falls[p] and late > 0:
                side = (px - aim * 0.5) * 1.2 + 0.5 * drift[p]
                if late < 0.9:
                    angle = -math.copysign(92 * ease(late / 0.4), side) + 60 * late * drift[p]
                    y = cy - tall / 2 - 60 * late + 140 * late * late
                    stamp(
                        img,
                        ready[p],
                        cx + 90 * side * late,
                        y,
                        angle,
                        1.0,
                        1 - max(0.0, late - 0.6) / 0.3,
                    )
            else:
                shadow(img, cx, cy, 16, 4, 0.5)
                stamp(img, ready[p], cx, cy - tall / 2)
        if not drawn_ball:
            put_ball()
        return img

    return frame
