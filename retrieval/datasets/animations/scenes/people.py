"""People, as rounded figures with jointed limbs."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    wave,
)
from retrieval.datasets.animations.scene import Frame, Look, scene

Point = tuple[float, float]
Bones = tuple[float, float]  # directions of upper and lower limb, degrees from straight down

_SKINS = ((250, 214, 184), (232, 182, 142), (190, 132, 92), (128, 84, 58))
_HAIRS = ((52, 38, 32), (112, 70, 40), (226, 180, 96), (178, 82, 44), (30, 28, 34))
_CLOTHES = {
    "red": ("red",),
    "yellow": ("yellow",),
    "green": ("green",),
    "blue": ("blue",),
    "purple": ("purple",),
}
_FACING = {"left": ("to the left", "leftwards"), "right": ("to the right", "rightwards")}
THIGH, SHIN, BACK, UPPER, FORE = 52.0, 50.0, 66.0, 36.0, 34.0  # a grown-up's bones, pixels


def _limb(
    draw: ImageDraw.ImageDraw, p: Point, q: Point, r1: float, r2: float, colour: Colour
) -> None:
    """A tapered, shaded limb from p to q, lit from the upper left."""
    dx, dy = q[0] - p[0], q[1] - p[1]
    length = math.hypot(dx, dy) or 1.0
    nx, ny = -dy / length, dx / length
    for tone, grow, move in ((0.74, 1.0, 0.0), (1.0, 0.76, 0.2), (1.16, 0.34, 0.42)):
        a, b = r1 * grow, r2 * grow
        px, py, qx, qy = (
            p[0] - move * r1,
            p[1] - move * r1 * 0.6,
            q[0] - move * r2,
            q[1] - move * r2 * 0.6,
        )
        paint = shade(colour, tone)
        draw.polygon(
            [
                (px + nx * a, py + ny * a),
                (qx + nx * b, qy + ny * b),
                (qx - nx * b, qy - ny * b),
                (px - nx * a, py - ny * a),
            ],
            fill=paint,
        )
        disc(draw, px, py, a, paint)
        disc(draw, qx, qy, b, paint)


def _step(p: Point, degrees: float, length: float) -> Point:
    a = math.radians(degrees)
    return (p[0] + length * math.sin(a), p[1] + length * math.cos(a))


def _reach(p: Point, q: Point, first: float, second: float, bend: float) -> Bones:
    """Directions of two bones that lead from p to q (or towards it); the joint points to `bend`'s side."""
    dx, dy = q[0] - p[0], q[1] - p[1]
    far = min(max(math.hypot(dx, dy), abs(first - second) + 0.1), first + second - 0.1)
    base = math.degrees(math.atan2(dx, dy))
    a = math.degrees(math.acos((first**2 + far**2 - second**2) / (2 * first * far)))
    b = math.degrees(math.acos((second**2 + far**2 - first**2) / (2 * second * far)))
    return (base + bend * a, base - bend * b)


def _outfit(
    rng: np.random.Generator, who: str, colour: Colour, legs: Colour = (58, 66, 92)
) -> dict:
    """What a figure wears: who is "man", "woman", "girl" or "boy"."""
    woman = who in ("woman", "girl")
    return {
        "skin": _SKINS[rng.integers(len(_SKINS))],
        "hair": _HAIRS[rng.integers(len(_HAIRS))],
        "long": woman,
        "top": colour,
        "legs": legs,
        "skirt": woman,
        "shoes": (70, 52, 48),
        "size": 1.0 if who in ("man", "woman") else 0.72,
        "child": who in ("girl", "boy"),
    }


def _figure(
    draw: ImageDraw.ImageDraw,
    hip: Point,
    k: float,
    outfit: dict,
    legs: Sequence[Bones],
    arms: Sequence[Bones],
    lean: float = 0.0,
    side: int = 0,
    swing: float = 0.0,
) -> dict[str, Point]:
    """Draw a person whose hips are at `hip`, k times a grown-up's size; returns hands, feet, head, neck.

    side 1 / -1: seen from the side, facing right / left; the first leg and arm are the far ones.
    side 0: seen from the front, the first leg and arm are on the picture's left. `lean` and `swing`
    (of skirt and hair) are degrees to the right.
    """
    skin, top, trousers = outfit["skin"], outfit["top"], outfit["legs"]
    wide_hip, wide_chest = (10.0, 19.0) if side == 0 else (2.0, 4.0)
    neck = _step(hip, 180 - lean, BACK * k)
    ends: dict[str, Point] = {"neck": neck}

    def leg(i):
        sign = 1 if i else -1
        far = side != 0 and i == 0
        dim = 0.74 if far else 1.0
        root = (hip[0] + sign * wide_hip * k * (1 if side == 0 else side), hip[1])
        knee = _step(root, legs[i][0], THIGH * k)
        foot = _step(knee, legs[i][1], SHIN * k)
        cloth = shade(trousers if not outfit["skirt"] else skin, dim)
        toe = (
            foot[0] + (sign * 5 if side == 0 else side * 15) * k,
            foot[1] + (5 if side == 0 else 3) * k,
        )
        _limb(draw, (foot[0], foot[1] + 2 * k), toe, 7.5 * k, 6 * k, shade(outfit["shoes"], dim))
        _limb(draw, knee, foot, 10.5 * k, 7.5 * k, cloth)
        _limb(draw, root, knee, 14 * k, 10.5 * k, cloth)
        ends[f"foot{i}"] = foot

    def arm(i):
        sign = 1 if i else -1
        dim = 0.74 if side != 0 and i == 0 else 1.0
        root = (neck[0] + sign * wide_chest * k * (1 if side == 0 else side * 0.3), neck[1] + 8 * k)
        elbow = _step(root, arms[i][0], UPPER * k)
        hand = _step(elbow, arms[i][1], FORE * k)
        _limb(draw, elbow, hand, 7.5 * k, 6 * k, shade(skin, dim))
        disc(draw, hand[0], hand[1], 8 * k, shade(skin, dim * 0.95))
        _limb(draw, root, elbow, 10.5 * k, 8.5 * k, shade(top, dim))
        ends[f"hand{i}"] = hand

    if side != 0:
        arm(0)
    head = _step(neck, 180 - lean * 0.6, 34 * k * (1.06 if outfit["child"] else 1.0))
    ends["head"] = head
    r = (23.0 if outfit["child"] else 20.0) * k
    if outfit["long"]:
        behind = (head[0] - side * 8 * k, head[1] + 4 * k)
        fall = _step(behind, -swing * 1.3 - side * 14, (44 if side == 0 else 36) * k)
        _limb(
            draw,
            behind,
            fall,
            r * (1.2 if side == 0 else 0.9),
            r * (1.2 if side == 0 else 0.6),
            shade(outfit["hair"], 0.85),
        )
    leg(0)
    leg(1)
    if outfit["skirt"]:
        ends_y = hip[1] + 44 * k
        drift = 40 * k * math.sin(math.radians(swing))
        spread = (32 if side == 0 else 26) * k
        for tone, inset, cut in ((0.72, 0, 0), (0.98, 0, 12 * k), (1.14, 10 * k, 34 * k)):
            draw.polygon(
                [
                    (hip[0] - 15 * k + inset * 0.5, hip[1] - 14 * k),
                    (hip[0] + 15 * k - cut * 0.5, hip[1] - 14 * k),
                    (hip[0] + spread + drift - cut, ends_y - 2 * k),
                    (hip[0] + drift * 0.9, ends_y + 5 * k),
                    (hip[0] - spread + drift + inset, ends_y - 1 * k),
                ],
                fill=shade(top, tone),
            )
    chest = _step(hip, 180 - lean, (BACK - 10) * k)
    _limb(draw, chest, (neck[0], neck[1] - 10 * k), 9 * k, 8 * k, shade(skin, 0.86))
    if side == 0:
        left, right = (chest[0] - 11 * k, chest[1]), (chest[0] + 11 * k, chest[1])
        _limb(draw, right, (hip[0] + 5 * k, hip[1] - 4 * k), 15 * k, 12.5 * k, shade(top, 0.9))
        _limb(draw, left, (hip[0] - 5 * k, hip[1] - 4 * k), 15 * k, 12.5 * k, top)
    else:
        _limb(draw, chest, (hip[0], hip[1] - 4 * k), 19 * k, 15.5 * k, top)
    if not outfit["skirt"]:
        _limb(
            draw,
            (hip[0] - 5 * k, hip[1] + 6 * k),
            (hip[0] + 5 * k, hip[1] + 6 * k),
            12 * k,
            12 * k,
            trousers,
        )
    # head: skin, hair, face
    x, y = head
    disc(draw, x, y, r, shade(skin, 0.86))
    disc(draw, x - r * 0.1, y - r * 0.08, r * 0.88, skin)
    hair = outfit["hair"]
    if side == 0:
        draw.chord((x - r * 1.08, y - r * 1.14, x + r * 1.08, y + r * 0.94), 196, 344, fill=hair)
        draw.chord(
            (x - r * 0.9, y - r * 1.08, x + r * 0.5, y + r * 0.3), 200, 330, fill=shade(hair, 1.16)
        )
        for d in (-1, 1):
            disc(draw, x + d * r * 0.36, y + r * 0.12, r * 0.12, (34, 28, 32))
            disc(draw, x + d * r * 0.56, y + r * 0.42, r * 0.15, mix(skin, (236, 110, 100), 0.4))
        draw.arc(
            (x - r * 0.36, y + r * 0.1, x + r * 0.36, y + r * 0.66),
            25,
            155,
            fill=(150, 56, 56),
            width=max(2, round(2.6 * k)),
        )
    else:
        disc(draw, x + side * r * 0.98, y + r * 0.16, r * 0.2, skin)
        start = 150 if side > 0 else 200
        draw.chord(
            (x - r * 1.1, y - r * 1.14, x + r * 1.1, y + r * 1.0), start, start + 190, fill=hair
        )
        draw.chord(
            (x - r * 0.9, y - r * 1.06, x + r * 0.6, y + r * 0.2), 200, 320, fill=shade(hair, 1.16)
        )
        disc(draw, x + side * r * 0.52, y + r * 0.06, r * 0.13, (34, 28, 32))
        disc(draw, x + side * r * 0.4, y + r * 0.42, r * 0.16, mix(skin, (236, 110, 100), 0.4))
        disc(draw, x - side * r * 0.2, y + r * 0.2, r * 0.2, shade(skin, 0.84))
        draw.line(
            (x + side * r * 0.5, y + r * 0.56, x + side * r * 0.86, y + r * 0.5),
            fill=(150, 56, 56),
            width=max(2, round(2.4 * k)),
        )
    if side == 0:
        arm(0)
    arm(1)
    return ends


def _mirror(img: Image.Image, facing: str | int) -> Image.Image:
    return img if facing == "right" else img.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _stride(
    phase: float, reach: float = 27.0
) -> tuple[tuple[Bones, Bones], tuple[Bones, Bones], float]:
    """Legs, arms and sunk height (share of leg length) of a walker facing right; phase in turns."""
    legs, arms, drop = [], [], []
    for shift in (0.0, 0.5):
        a = 2 * math.pi * (phase + shift)
        thigh = reach * math.sin(a)
        bent = 8 + 44 * max(0.0, math.cos(a)) ** 1.5  # the knee bends while the leg swings forward
        legs.append((thigh + 4, thigh + 4 - bent))
        arms.append((-0.9 * thigh, -0.9 * thigh + 22))
        drop.append(
            THIGH * math.cos(math.radians(thigh + 4))
            + SHIN * math.cos(math.radians(thigh + 4 - bent))
        )
    return (legs[0], legs[1]), (arms[0], arms[1]), max(drop)


def _bushes(
    rng: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    y: float,
    tone: Colour,
    n: int,
    wide: int = W,
) -> None:
    for x in rng.random(n) * wide:
        r = 15 + 16 * rng.random()
        for dx, dy, s in ((0, 0, 1.0), (-r * 0.7, 6, 0.7), (r * 0.7, 7, 0.7)):
            disc(draw, x + dx, y + dy - r * 0.4, r * s, shade(tone, 0.8))
            disc(draw, x + dx - 3, y + dy - r * 0.5 - 3, r * s * 0.75, tone)


def _tree(draw: ImageDraw.ImageDraw, x: float, foot: float, tall: float, tone: Colour) -> None:
    draw.polygon(
        [(x - 8, foot), (x - 4, foot - tall), (x + 4, foot - tall), (x + 8, foot)],
        fill=(104, 72, 52),
    )
    for dx, dy, r in ((-26, 4, 26), (24, 2, 28), (0, -22, 32), (0, 8, 26)):
        disc(draw, x + dx, foot - tall + dy, r, shade(tone, 0.78))
    for dx, dy, r in ((-30, -2, 18), (18, -6, 20), (-6, -30, 22)):
        disc(draw, x + dx, foot - tall + dy, r, shade(tone, 1.06))


def _walk_setting(rng: np.random.Generator, place: str) -> tuple[Image.Image, Image.Image]:
    """Background that stays, and a wide strip of ground (with what stands on it) that moves."""
    wide = W + 420
    strip = Image.new("RGBA", (wide, H), (0, 0, 0, 0))
    pen = ImageDraw.Draw(strip)
    if place == "street":
        img = sky("day", 0.8)
        fill_below(img, np.full(W, 120.0), (186, 196, 210), (160, 168, 184))
        x = 0
        while x < wide:
            w, top = 70 + int(50 * rng.random()), 30 + int(70 * rng.random())
            tone = ((206, 150, 120), (222, 200, 160), (170, 130, 120), (180, 190, 180))[
                int(4 * rng.random())
            ]
            pen.rectangle((x, top, x + w, 262), fill=tone)
            pen.rectangle((x, top, x + w, top + 9), fill=shade(tone, 0.7))
            for wy in range(top + 24, 226, 46):
                for wx in range(x + 12, x + w - 18, 32):
                    pen.rectangle(
                        (wx, wy, wx + 17, wy + 26),
                        fill=(112, 146, 178),
                        outline=shade(tone, 1.4),
                        width=3,
                    )
            x += w
        pen.rectangle((0, 262, wide, H), fill=(176, 172, 168))
        pen.rectangle((0, 316, wide, H), fill=(96, 98, 106))
        for x in range(0, wide, 56):
            pen.line((x, 262, x - 22, 316), fill=(150, 146, 144), width=3)
    elif place == "park":
        img = sky("day", 0.7)
        fill_below(img, ridge(rng, W, 150, 180, 200), (132, 186, 122))
        pen.rectangle((0, 236, wide, H), fill=(116, 180, 88))
        for x in range(40, wide, 120):
            _tree(pen, x + 20 * rng.normal(), 246, 100 + 30 * rng.random(), (78, 152, 74))
        pen.rectangle((0, 282, wide, H), fill=(222, 200, 158))
        pen.rectangle((0, 282, wide, 288), fill=(176, 160, 116))
        for x in rng.random(90) * wide:
            disc(
                pen,
                x,
                246 + 34 * rng.random(),
                3,
                ((250, 246, 240), (248, 205, 70), (240, 132, 172))[int(3 * rng.random())],
            )
    elif place == "beach":
        img = sky("day", 0.6)
        img.paste(gradient([(0, (70, 160, 206)), (1, (120, 208, 220))], (W, 110)), (0, 160))
        pen.rectangle((0, 252, wide, H), fill=(242, 216, 160))
        for x in range(0, wide, 40):
            pen.ellipse((x - 30, 240, x + 36, 262), fill=(250, 250, 246))
        pen.rectangle((0, 256, wide, H), fill=(242, 216, 160))
        for x in rng.random(60) * wide:
            y = 268 + 60 * rng.random()
            pen.arc((x - 14, y - 4, x + 14, y + 5), 190, 350, fill=(220, 188, 128), width=2)
        for x in range(120, wide, 300):
            for d in range(6):
                pen.pieslice(
                    (x - 56, 150, x + 56, 262),
                    180 + 30 * d,
                    210 + 30 * d,
                    fill=((236, 90, 80), (250, 246, 240))[d % 2],
                )
            pen.line((x, 204, x, 274), fill=(150, 110, 70), width=5)
    else:
        img = sky("overcast", 0.8)
        fill_below(img, ridge(rng, W, 140, 190, 160), (196, 206, 220))
        pen.rectangle((0, 242, wide, H), fill=(236, 242, 250))
        for x in range(30, wide, 74):
            foot, tall = 258, 90 + 50 * rng.random()
            for j in range(3):
                y, w = foot - tall * j * 0.27, tall * (0.3 - 0.07 * j)
                pen.polygon([(x - w, y), (x, y - tall * 0.5), (x + w, y)], fill=(60, 104, 96))
                pen.polygon(
                    [
                        (x - w * 0.6, y - tall * 0.2),
                        (x, y - tall * 0.5),
                        (x + w * 0.6, y - tall * 0.2),
                        (x, y - tall * 0.26),
                    ],
                    fill=(244, 248, 252),
                )
        pen.rectangle((0, 262, wide, H), fill=(228, 236, 246))
        for x in rng.random(50) * wide:
            y = 272 + 60 * rng.random()
            pen.ellipse((x - 20, y - 3, x + 20, y + 4), fill=(206, 218, 236))
    return img, strip


@scene(
    theme="people",
    attributes={
        "who": {
            "man": ("man", "*gentleman"),
            "woman": ("woman", "lady"),
            "boy": ("boy", "little boy"),
        },
        "colour": _CLOTHES,
        "carries": {
            "umbrella": ("holding an open umbrella", "under an umbrella"),
            "suitcase": ("with a suitcase", "carrying a suitcase"),
            "dog": ("with a dog on a lead", "walking the dog"),
            "balloon": ("holding a balloon", "with a balloon on a string"),
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
        "a {who} in {colour} walks {place} {carries} [{facing}]",
        "a {who} dressed in {colour} (strolls|walks) {facing} {place}[, {carries}]",
        "{carries}, a {who} in {colour} walks {place}",
        "a {who} {carries} (walking|going for a walk) {place} [{facing}] [in {colour} clothes]",
        "{place} walks a {who} in {colour} {carries}",
    ),
    sound=lambda look, rng: (
        sounds.at(np.arange(0.2, 2.9, 0.6), sounds.knock(150), 0.7)
        if look["place"] == "street"
        else None
    ),
)
def walking_figure(look: Look, rng: np.random.Generator) -> Frame:
    img, strip = _walk_setting(rng, look["place"])
    colour = PAINT[look["colour"]]
    outfit = _outfit(rng, look["who"], colour, shade(colour, 0.62))
    k = (0.96 if look["carries"] == "umbrella" else 1.06) * outfit["size"]
    carries = look["carries"]
    bright = (240, 132, 60) if look["colour"] != "yellow" else (226, 64, 72)
    balloon = ball(28, bright)
    dog = (150, 104, 66)
    pace = 0.84 / (1.0 if k > 0.9 else 0.9)

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        speed = 3.6 * THIGH * math.sin(math.radians(27)) * k * pace * 1.02
        picture.paste(strip, (-round(speed * t), 0), strip)
        draw = ImageDraw.Draw(picture)
        phase = pace * t + 0.1
        legs, arms, tall = _stride(phase)
        ground = 304.0
        x, hip_y = W / 2 - (46 if carries == "dog" else 0) - 8, ground - tall * k - 8 * k
        shadow(picture, x + 4, ground + 3, 56 * k, 9 * k, 0.4)
        far, near = arms
        if carries in ("umbrella", "balloon"):
            near = (34, 118 if carries == "umbrella" else 142)
        elif carries == "suitcase":
            near = (-4 + 0.2 * near[0], 2 + 0.2 * near[0])
        elif carries == "dog":
            near = (24, 50)
        hand_root = (x + 1.2 * k + math.sin(math.radians(4)) * BACK * k, hip_y - BACK * k + 8 * k)
        hand = _step(_step(hand_root, near[0], UPPER * k), near[1], FORE * k)
        if carries == "suitcase":
            bx, by = hand
            draw.arc((bx - 10, by - 4, bx + 10, by + 16), 180, 360, fill=(60, 44, 40), width=4)
            for tone, m in (((96, 62, 44), 0), ((156, 104, 66), 4)):
                draw.rounded_rectangle(
                    (bx - 38 * k + m, by + 6 + m, bx + 38 * k - m, by + 58 * k - m), 7, fill=tone
                )
            for d in (-18, 18):
                draw.rectangle(
                    (bx + d * k - 3, by + 8, bx + d * k + 3, by + 56 * k), fill=(226, 196, 130)
                )
        elif carries == "balloon":
            top = (hand[0] + 22 + 5 * wave(t, 0.5), max(40, hand[1] - 104 * k))
            draw.line([hand, top], fill=(70, 66, 74), width=2)
            stamp(picture, balloon, top[0], top[1] - 12, 4 * wave(t, 0.5))
        elif carries == "umbrella":
            cx, cy = hand[0] - 6, hand[1] - 88 * k
            stroke(draw, [hand, (cx, cy)], (70, 56, 52), 5)
            r = 86 * k
            for i in range(6):
                a0, a1 = cx - r + i * r / 3, cx - r + (i + 1) * r / 3
                draw.pieslice((a0, cy + 24, a1, cy + 46), 180, 360, fill=shade(bright, 0.5))
            for w, tone in ((1.0, 0.78), (0.66, 1.0), (0.28, 1.18)):
                draw.chord(
                    (cx - r * w, cy - 36 * k, cx + r * w, cy + 96 * k),
                    180,
                    360,
                    fill=shade(bright, tone),
                )
            draw.line((cx, cy - 46 * k, cx, cy - 34 * k), fill=(70, 56, 52), width=5)
        elif carries == "dog":
            dx, dy = x + 142 * k**0.5, ground - 34
            shadow(picture, dx - 4, ground + 4, 52, 7, 0.4)
            stroke(
                draw,
                [hand, ((hand[0] + dx) / 2, (hand[1] + dy) / 2 + 14), (dx + 14, dy - 20)],
                (200, 60, 60),
                3,
            )
            for i, lx in enumerate((-30, -22, 20, 28)):
                swing = 12 * wave(t, 1.6, i * 0.5 + (i > 1) * 0.25)
                _limb(
                    draw,
                    (dx + lx, dy),
                    (dx + lx + swing, dy + 32),
                    7,
                    5,
                    shade(dog, 0.7 if i % 2 else 0.95),
                )
            stroke(
                draw,
                [(dx - 34, dy - 8), (dx - 54, dy - 26 + 8 * wave(t, 2.0))],
                shade(dog, 0.85),
                8,
            )
            _limb(draw, (dx - 26, dy - 4), (dx + 24, dy - 6), 17, 19, dog)
            _limb(draw, (dx + 26, dy - 10), (dx + 38, dy - 34), 12, 12, dog)
            _limb(draw, (dx + 40, dy - 38), (dx + 58, dy - 34), 14, 8, dog)
            _limb(draw, (dx + 32, dy - 46), (dx + 26, dy - 26), 6, 8, shade(dog, 0.6))
            disc(draw, dx + 66, dy - 36, 4, (30, 26, 30))
            disc(draw, dx + 46, dy - 42, 3, (24, 20, 24))
        _figure(draw, (x, hip_y), k, outfit, legs, (far, near), 4, 1, 6 * wave(t, pace * 2))
        return _mirror(picture, look["facing"])

    return frame


@scene(
    theme="people",
    attributes={
        "n": {1: ("one", "a single"), 2: ("two", "a pair of"), 3: ("three",)},
        "who": {
            "girl": ("long-haired",),
            "boy": ("short-haired",),
        },
        "colour": _CLOTHES,
        "place": {
            "playground": ("in a playground", "in front of a slide"),
            "garden": ("in a garden", "on the lawn of a garden"),
            "gym": ("in a gym", "in a sports hall"),
            "beach": ("on the beach", "by the sea"),
        },
    },
    captions=(
        "{n} {who} {n|child|children} in {colour} {n|skips|skip} rope {place}",
        "{place} {n} {who} {n|child|children} dressed in {colour} {n|jumps|jump} over a (skipping rope|rope)",
        "{n} {who} {n|child|children} [in {colour}] (skipping|jumping) rope {place}",
        "{n} {n|child|children} with {n|a skipping rope|skipping ropes} {place}, {who} and dressed in {colour}",
        "{n} {who} {n|kid|kids} in {colour} {n|jumps|jump} rope [again and again] {place}",
    ),
    sound=lambda look, rng: sounds.together(
        sounds.at(np.arange(0.42, 2.95, 0.8), sounds.knock(120), 0.8),
        sounds.at(np.arange(0.0, 2.7, 0.8), sounds.hiss(rng, 800, 3000, 0.25), 0.16),
    ),
    poster_s=1.7,
)
def skipping_rope(look: Look, rng: np.random.Generator) -> Frame:
    place = look["place"]
    if place == "gym":
        img = gradient(
            [
                (0, (226, 214, 190)),
                (0.7, (244, 234, 212)),
                (0.71, (190, 136, 86)),
                (1, (156, 104, 64)),
            ]
        )
        draw = ImageDraw.Draw(img)
        for y in range(20, 220, 17):
            draw.line((290, y, 430, y), fill=(160, 110, 66), width=6)
        for x in (290, 360, 430):
            draw.line((x, 10, x, 226), fill=(130, 88, 54), width=8)
        for x in (20, 120):
            draw.rectangle(
                (x, 24, x + 78, 104), fill=(170, 212, 236), outline=(250, 246, 236), width=6
            )
        draw.line((0, 286, W, 286), fill=(214, 60, 54), width=5)
    elif place == "beach":
        img = sky("day", 0.5)
        img.paste(gradient([(0, (58, 140, 196)), (1, (116, 204, 218))], (W, 90)), (0, 150))
        fill_below(
            img,
            np.array([228 + 5 * math.sin(x / 30) for x in range(W)]),
            (250, 250, 244),
            (250, 250, 244),
        )
        fill_below(
            img,
            np.array([234 + 5 * math.sin(x / 30) for x in range(W)]),
            (244, 218, 162),
            (226, 192, 132),
        )
        glow(img, 380, 50, 90, (255, 246, 200), 1.0)
    else:
        img = sky("day", 0.7)
        cover = clouds(rng, (255, 255, 255), 0.3)
        img.paste(cover, (-90, 0), cover)
        draw = ImageDraw.Draw(img)
        if place == "garden":
            fill_below(img, np.full(W, 206.0), (126, 190, 92), (92, 156, 74))
            for x in range(-6, W, 26):
                draw.polygon(
                    [(x, 226), (x, 160), (x + 10, 148), (x + 20, 160), (x + 20, 226)],
                    fill=(246, 244, 238),
                )
                draw.line((x + 20, 160, x + 20, 226), fill=(206, 206, 206), width=2)
            draw.rectangle((0, 182, W, 190), fill=(226, 226, 222))
            for x in rng.random(40) * W:
                tone = ((240, 90, 100), (248, 205, 70), (240, 132, 172), (150, 110, 220))[
                    int(4 * rng.random())
                ]
                disc(draw, x, 216 + 24 * rng.random(), 6, tone)
        else:
            _bushes(rng, draw, 204, (104, 168, 92), 14)
            fill_below(img, np.full(W, 208.0), (216, 196, 162), (190, 166, 128))
            draw.polygon(
                [(18, 232), (40, 96), (64, 96), (64, 232)], outline=(90, 110, 150), width=7
            )
            for y in range(116, 230, 24):
                draw.line((36, y, 64, y), fill=(90, 110, 150), width=5)
            stroke(draw, [(58, 96), (96, 128), (136, 214), (170, 226)], (226, 150, 52), 20)
            stroke(draw, [(58, 92), (98, 124), (138, 210), (170, 222)], (250, 190, 90), 8)
            draw.line([(330, 226), (352, 92), (374, 226)], fill=(200, 80, 76), width=8)
            draw.line([(408, 226), (430, 92), (446, 226)], fill=(200, 80, 76), width=8)
            draw.line((352, 92, 430, 92), fill=(200, 80, 76), width=8)
            for x in (376, 408):
                draw.line((x, 92, x, 180), fill=(110, 110, 118), width=3)
            draw.rectangle((370, 178, 414, 186), fill=(120, 80, 54))
    n = int(look["n"])
    k = {1: 1.12, 2: 0.98, 3: 0.86}[n]
    colour = PAINT[look["colour"]]
    outfits = [_outfit(rng, look["who"], colour, shade(colour, 0.6)) for _ in range(n)]
    xs = [W / 2 + (i - (n - 1) / 2) * {1: 0, 2: 196, 3: 146}[n] for i in range(n)]
    rope = (250, 246, 236) if place != "beach" else (150, 60, 130)

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        draw = ImageDraw.Draw(picture)
        for i, x in enumerate(xs):
            phase = 1.25 * t - 0.12 * i
            up = max(0.0, math.cos(2 * math.pi * phase)) ** 0.8  # the rope is below at phase 0
            ground, lift = 302.0, 26 * k * up
            bent = 14 * (1 - up) + 18 * up
            tall = (THIGH + SHIN) * math.cos(math.radians(bent * 0.7)) * k
            hip = (x, ground - tall - 8 * k - lift)
            shadow(picture, x, ground + 4, (46 - 12 * up) * k, 8 * k, 0.45 - 0.12 * up)
            twirl = 7 * wave(phase, 1.0)
            arms = ((-34, -74 + twirl), (34, 74 - twirl))
            hands = []
            for sign, bones in zip((-1, 1), arms, strict=True):
                root = (x + sign * 19 * k, hip[1] - BACK * k + 8 * k)
                hands.append(_step(_step(root, bones[0], UPPER * k), bones[1], FORE * k))
            swing = math.cos(2 * math.pi * phase)  # 1: below the feet, -1: above the head
            mid_y = (hands[0][1] + hands[1][1]) / 2
            low = ground + 1 - mid_y
            depth = low * swing if swing > 0 else (mid_y - hip[1] + BACK * k + 76 * k) * swing
            line = []
            for u in np.linspace(0, 1, 25):
                belly = math.sin(math.pi * u) ** 0.55
                sx = (
                    hands[0][0]
                    + (hands[1][0] - hands[0][0]) * u
                    + (u - 0.5) * 26 * k * math.sin(math.pi * u)
                )
                line.append((sx, mid_y + depth * belly))
            behind = math.sin(2 * math.pi * phase) > 0
            if behind:
                stroke(draw, line, shade(rope, 0.7), 6)
                stroke(draw, line, rope, 4)
            _figure(
                draw,
                hip,
                k,
                outfits[i],
                ((-bent * 0.35, -2 + bent * 0.4), (bent * 0.35, 2 - bent * 0.4)),
                arms,
                0,
                0,
                5 * wave(phase, 1.0),
            )
            if not behind:
                stroke(draw, line, shade(rope, 0.7), 6)
                stroke(draw, line, rope, 4)
            for hand in hands:
                disc(draw, hand[0], hand[1], 7 * k, (214, 70, 60))
        return picture

    return frame


@scene(
    theme="people",
    attributes={
        "who": {
            "man": ("man",),
            "woman": ("woman", "lady"),
            "boy": ("boy", "small boy"),
        },
        "colour": _CLOTHES,
        "way": {"up": ("up", "*upstairs on"), "down": ("down",)},
        "place": {
            "garden": ("the stone steps of a garden", "stone garden steps"),
            "house": ("a wooden staircase", "the wooden stairs of a house"),
            "palace": ("red-carpeted stairs", "the red carpet of a palace staircase"),
            "tower": ("steps under the stars", "a stone stairway by night"),
        },
        "facing": _FACING,
    },
    captions=(
        "a {who} in {colour} (walks|goes) {way} {place} [{facing}]",
        "a {who} dressed in {colour} walks {facing} {way} {place}",
        "a {who} (walking|stepping) {way} {place} [in {colour} clothes] [{facing}]",
        "{way} {place} (goes|walks) a {who} in {colour}",
        "step by step a {who} in {colour} (goes|moves) {way} {place} [{facing}]",
    ),
    sound=lambda look, rng: (
        sounds.at(
            np.arange(0.55, 2.95, 0.6), sounds.knock(200 if look["place"] == "house" else 130), 0.8
        )
        if look["place"] != "palace"
        else None
    ),
)
def climbing_stairs(look: Look, rng: np.random.Generator) -> Frame:
    place = look["place"]
    if place == "garden":
        img = sky("day", 0.8)
        cover = clouds(rng, (255, 255, 255), 0.3)
        img.paste(cover, (-150, 0), cover)
        draw = ImageDraw.Draw(img)
        for x in (40, 130, 300, 410):
            _tree(draw, x, 260, 120, (84, 158, 78))
        _bushes(rng, draw, 250, (100, 170, 84), 22)
        tone = (188, 184, 176)
    elif place == "house":
        img = gradient([(0, (238, 214, 170)), (1, (214, 178, 130))])
        draw = ImageDraw.Draw(img)
        for x in range(0, W, 28):
            draw.line((x, 0, x, H), fill=(228, 200, 152), width=8)
        for x, y, c in (
            (60, 60, (96, 150, 190)),
            (170, 36, (190, 110, 90)),
            (280, 20, (110, 160, 110)),
        ):
            draw.rectangle((x, y, x + 64, y + 78), fill=c, outline=(130, 84, 48), width=7)
            disc(draw, x + 34, y + 34, 13, shade(c, 1.5))
            draw.polygon([(x + 8, y + 70), (x + 34, y + 44), (x + 56, y + 70)], fill=shade(c, 0.7))
        tone = (168, 112, 66)
    elif place == "palace":
        img = gradient([(0, (222, 208, 232)), (1, (246, 238, 226))])
        draw = ImageDraw.Draw(img)
        for x in range(10, W, 96):
            draw.rectangle((x, 0, x + 32, H), fill=(226, 214, 204))
            draw.rectangle((x, 0, x + 9, H), fill=(250, 246, 240))
            draw.rectangle((x + 25, 0, x + 32, H), fill=(190, 176, 172))
            draw.rectangle((x - 6, 18, x + 38, 32), fill=(222, 182, 90))
        tone = (244, 240, 234)
    else:
        img = sky("night", 0.9)
        stars(rng, img, 170, 0.9)
        draw = ImageDraw.Draw(img)
        glow(img, 84, 66, 120, (160, 170, 220), 0.7)
        disc(ImageDraw.Draw(img), 84, 66, 30, (246, 240, 220))
        tone = (120, 128, 160)
    draw = ImageDraw.Draw(img)
    run, rise, first = 58, 20, 34

    def top(j):  # the middle of step j
        return (first + run * j + run / 2, 316.0 - rise * j)

    for j in range(-1, 8):
        x, y = first + run * j, 316 - rise * j
        draw.rectangle((x, y, W + 10, H + 10), fill=shade(tone, 0.72 + 0.02 * j))
        draw.rectangle((x - 5, y, x + run + 6, y + 8), fill=shade(tone, 1.08))
        draw.rectangle((x, y + 8, x + run, y + 12), fill=shade(tone, 0.5))
        if place == "palace":
            draw.rectangle((x - 5, y - 1, x + run + 6, y + 5), fill=(214, 46, 56))
            draw.rectangle((x - 2, y + 5, x + 8, y + rise + 2), fill=(170, 30, 44))
    if place in ("house", "palace"):  # banisters behind the figure
        wood = (120, 74, 42) if place == "house" else (214, 170, 78)
        for j in range(-1, 8):
            x, y = top(j)
            draw.line((x + 20, y, x + 20, y - 74), fill=wood, width=6)
        stroke(
            draw,
            [(top(-1)[0] + 20, top(-1)[1] - 76), (top(8)[0] + 20, top(8)[1] - 76)],
            shade(wood, 1.15),
            11,
        )
    colour = PAINT[look["colour"]]
    outfit = _outfit(rng, look["who"], colour, shade(colour, 0.62))
    k = 0.93 * outfit["size"] ** 0.7
    up = look["way"] == "up"
    reach = (THIGH + SHIN) * k

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        draw = ImageDraw.Draw(picture)
        beat = (t if up else 3 - t) / 0.6
        s, p = math.floor(beat), beat % 1
        u = ease(p)
        (ax, ay), (bx, by) = top(s), top(s + 2)
        moving = (
            ax + (bx - ax) * u,
            ay + (by - ay) * ease(1.5 * p) - 14 * math.sin(math.pi * p) - 6 * k,
        )
        still = (top(s + 1)[0], top(s + 1)[1] - 6 * k)
        hx = top(s)[0] + run / 2 + run * p
        hip = (
            hx,
            top(s)[1] - rise / 2 - rise * p - 0.94 * reach - 6 * k - 3 * math.cos(2 * math.pi * p),
        )
        side = 1 if up else -1
        feet = (moving, still) if s % 2 else (still, moving)
        legs = [
            _reach((hip[0] + d, hip[1]), foot, THIGH * k, SHIN * k, side)
            for foot, d in zip(feet, (-2 * k * side, 2 * k * side), strict=True)
        ]
        shadow(picture, still[0], top(s + 1)[1] + 2, 30, 5, 0.4)
        swing = 24 * math.cos(math.pi * beat) * side
        arms = ((-swing, -swing + 26 * side), (swing, swing + 26 * side))
        _figure(draw, hip, k, outfit, legs, arms, 6 * side, side, 4 * wave(t, 1.6))
        return _mirror(picture, "right" if up == (look["facing"] == "right") else "left")

    return frame


_MOVES = (  # legs (left, right), arms (left, right), lean
    (((-10, -4), (10, 4)), ((-28, -62), (28, 62)), 0),
    (((-24, -10), (24, 10)), ((-140, -160), (140, 160)), 0),
    (((-4, -2), (46, -22)), ((-152, -130), (52, -58)), -7),
    (((-16, -8), (16, 8)), ((-95, -86), (95, 86)), 0),
    (((-46, 22), (4, 2)), ((-52, 58), (152, 130)), 7),
    (((-22, 8), (22, -8)), ((-64, -124), (64, 124)), 0),
)


@scene(
    theme="people",
    attributes={
        "n": {1: ("a", "one", "a single"), 2: ("two", "a pair of"), 3: ("three",)},
        "clothes": {
            "skirts": ("skirts", "*flared skirts"),
            "trousers": ("trousers",),
        },
        "colour": _CLOTHES,
        "place": {
            "stage": ("on a stage with red curtains", "on a theatre stage"),
            "disco": ("in a disco", "under a mirror ball"),
            "beach": ("on the beach at sunset", "by the sea at sundown"),
            "meadow": ("on a meadow by day", "on green grass"),
        },
    },
    captions=(
        "{n} {n|dancer|dancers} in {colour} {clothes} {place}",
        "{n} {n|person dances|people dance} {place} in {colour} {clothes}",
        "{place} {n} {n|person|people} in {colour} {clothes} {n|dances|dance} [to the music]",
        "{n} {n|dancer|dancers} wearing {colour} {clothes} (swinging|moving) to the music {place}",
        "{n} {n|dancer|dancers} {place}, dressed in {colour} {clothes}",
    ),
    sound=lambda look, rng: sounds.together(0.6 * sounds.beat(2.67), 0.7 * sounds.melody(rng, 8)),
)
def dancing(look: Look, rng: np.random.Generator) -> Frame:
    place = look["place"]
    spots: list[tuple[float, float, Colour]] = []
    if place == "stage":
        img = gradient(
            [(0, (60, 20, 40)), (0.7, (110, 46, 66)), (0.71, (170, 116, 72)), (1, (112, 70, 44))]
        )
        draw = ImageDraw.Draw(img)
        for x in range(0, W, 14):
            edge = abs(x - W / 2) / (W / 2)
            if edge > 0.62:
                draw.rectangle(
                    (x, 0, x + 13, 262),
                    fill=shade((190, 34, 46), 0.55 + 0.5 * abs(math.sin(x * 0.35))),
                )
        for x in range(0, W, 56):
            draw.pieslice(
                (x - 4, -44, x + 60, 44),
                0,
                180,
                fill=(196, 40, 50),
                outline=(226, 178, 80),
                width=4,
            )
        spots = [(120, 0, (255, 240, 200)), (330, 0, (255, 240, 200))]
        beam = Image.new("L", (W // 4, H // 4))
        for x, _, _ in spots:
            ImageDraw.Draw(beam).polygon([(x / 4, 0), (W / 8 - 34, 72), (W / 8 + 34, 72)], fill=74)
        img.paste(
            (255, 240, 205), (0, 0), blurred(beam, 2).resize((W, H), Image.Resampling.BILINEAR)
        )
    elif place == "disco":
        img = gradient([(0, (30, 16, 60)), (0.6, (76, 34, 116)), (1, (40, 20, 80))])
        draw = ImageDraw.Draw(img)
        hues = ((240, 80, 150), (80, 170, 250), (250, 200, 80), (130, 220, 130))
        for row in range(5):
            y0, y1 = 240 + row * row * 4 + row * 8, 240 + (row + 1) ** 2 * 4 + (row + 1) * 8
            for col in range(-6, 6):
                f0, f1 = 1 + row * 0.24, 1 + (row + 1) * 0.24
                quad = [
                    (W / 2 + col * 52 * f0, y0),
                    (W / 2 + (col + 1) * 52 * f0, y0),
                    (W / 2 + (col + 1) * 52 * f1, y1),
                    (W / 2 + col * 52 * f1, y1),
                ]
                draw.polygon(
                    quad,
                    fill=mix(hues[(row * 3 + col * 2 + col // 2) % 4], (60, 30, 90), 0.45),
                    outline=(40, 20, 70),
                )
        draw.line((W / 2, 0, W / 2, 12), fill=(200, 200, 210), width=3)
        mirror = ball(26, (186, 190, 210))
        stamp(img, mirror, W / 2, 34)
        draw = ImageDraw.Draw(img)
        for a in range(-2, 3):
            draw.arc(
                (W / 2 - 26, 34 - 26, W / 2 + 26, 34 + 26), 0, 360, fill=(120, 120, 150), width=2
            )
            draw.line(
                (W / 2 - 24, 34 + a * 10, W / 2 + 24, 34 + a * 10), fill=(120, 120, 150), width=2
            )
            draw.line((W / 2 + a * 10, 10, W / 2 + a * 10, 58), fill=(120, 120, 150), width=2)
        spots = [
            (x, y, hues[i % 4])
            for i, (x, y) in enumerate(
                ((60, 70), (150, 130), (300, 120), (390, 60), (100, 200), (350, 200))
            )
        ]
    elif place == "beach":
        img = gradient([(0, (120, 70, 130)), (0.35, (240, 130, 100)), (0.56, (255, 206, 130))])
        glow(img, 224, 184, 160, (255, 230, 150), 1.0)
        disc(ImageDraw.Draw(img), 224, 184, 34, (255, 244, 200))
        img.paste(gradient([(0, (236, 150, 110)), (1, (110, 84, 130))], (W, 70)), (0, 190))
        draw = ImageDraw.Draw(img)
        for i in range(16):
            wide = 8 + 34 * rng.random()
            draw.line(
                (224 - wide, 194 + i * 4, 224 + wide, 194 + i * 4), fill=(255, 226, 160), width=2
            )
        fill_below(
            img,
            np.array([254 + 5 * math.sin(x / 34) for x in range(W)]),
            (226, 176, 130),
            (150, 104, 96),
        )
    else:
        img = sky("day", 0.7)
        cover = clouds(rng, (255, 255, 255), 0.4)
        img.paste(cover, (-200, 0), cover)
        fill_below(img, ridge(rng, W, 166, 200, 200), (140, 190, 130))
        draw = ImageDraw.Draw(img)
        for x in (36, 410):
            _tree(draw, x, 246, 130, (84, 158, 78))
        fill_below(img, ridge(rng, W, 232, 242, 220), (120, 188, 92), (86, 150, 70))
        draw = ImageDraw.Draw(img)
        for x in rng.random(50) * W:
            disc(
                draw,
                x,
                250 + 80 * rng.random(),
                3.5,
                ((250, 246, 240), (248, 205, 70), (240, 132, 172))[int(3 * rng.random())],
            )
    n = int(look["n"])
    k = {1: 1.1, 2: 0.98, 3: 0.84}[n]
    xs = [W / 2 + (i - (n - 1) / 2) * {1: 0, 2: 176, 3: 142}[n] for i in range(n)]
    colour = PAINT[look["colour"]]
    outfits = []
    for _ in range(n):
        outfit = _outfit(rng, "woman" if look["clothes"] == "skirts" else "man", colour, colour)
        if look["clothes"] == "trousers":
            outfit["top"] = (246, 242, 234)
        outfits.append(outfit)
    order = rng.permutation(len(_MOVES))
    lit = rng.random(len(spots))

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        if place == "disco":
            for (x, y, hue), phase in zip(spots, lit, strict=True):
                glow(
                    picture,
                    x + 24 * wave(t, 0.3, phase),
                    y,
                    64,
                    hue,
                    0.45 + 0.35 * wave(t, 0.6, phase),
                )
        draw = ImageDraw.Draw(picture)
        for i, x in enumerate(xs):
            beat = t / 0.75 + (0.08 * i)
            s, u = math.floor(beat), ease((beat % 1) * 1.25)
            a, b = _MOVES[order[s % 6]], _MOVES[order[(s + 1) % 6]]
            legs = [
                tuple(p + (q - p) * u for p, q in zip(a[0][j], b[0][j], strict=True))
                for j in (0, 1)
            ]
            arms = [
                tuple(p + (q - p) * u for p, q in zip(a[1][j], b[1][j], strict=True))
                for j in (0, 1)
            ]
            lean = a[2] + (b[2] - a[2]) * u
            tall = (
                max(
                    THIGH * math.cos(math.radians(p)) + SHIN * math.cos(math.radians(q))
                    for p, q in legs
                )
                * k
            )
            hop = 9 * k * math.sin(math.pi * min((beat % 1) * 1.25, 1))
            shadow(picture, x, 306, 44 * k, 8 * k, 0.45)
            _figure(
                draw,
                (x, 303 - 8 * k - tall - hop),
                k,
                outfits[i],
                legs,
                arms,
                lean,
                0,
                -lean + 12 * wave(t, 0.67, 0.1 * i),
            )
        return picture

    return frame


@scene(
    theme="people",
    attributes={
        "who": {
            "man": ("man", "*fellow"),
            "woman": ("woman", "lady"),
            "boy": ("boy", "little boy"),
        },
        "colour": _CLOTHES,
        "arms": {
            "one": ("waves with one hand", "raises one hand and waves"),
            "both": (
                "waves with both arms",
                "swings both arms in the air",
                "waves with both hands",
            ),
        },
        "place": {
            "window": ("at an open window", "in the window of a house"),
            "hill": ("on a green hill", "on top of a hill"),
            "ship": ("behind the railing of a ship", "on the deck of a ship at sea"),
            "door": ("in front of a house door", "at the front door"),
        },
    },
    captions=(
        "a {who} in {colour} {arms} {place}",
        "{place} a {who} dressed in {colour} {arms}",
        "a [friendly] {who} {place} {arms}, dressed in {colour}",
        "a {who} {arms} {place} [in {colour} clothes]",
        "someone {arms} {place}: a {who} in {colour}",
    ),
)
def waving(look: Look, rng: np.random.Generator) -> Frame:
    place = look["place"]
    front = Image.new("RGBA", (W, H), (0, 0, 0, 0))
    pen = ImageDraw.Draw(front)
    if place == "window":
        wall = ((226, 190, 140), (206, 140, 116), (190, 200, 206))[rng.integers(3)]
        img = gradient([(0, (96, 76, 66)), (1, (60, 48, 48))])
        pen.rectangle((0, 0, W, H), fill=wall)
        for y in range(0, H, 24):
            for x in range(-24 * ((y // 24) % 2), W, 48):
                pen.rectangle(
                    (x + 1, y + 1, x + 46, y + 22), fill=shade(wall, 0.92 + 0.12 * rng.random())
                )
        pen.rectangle((108, 18, 340, 262), fill=(250, 248, 242))
        pen.rectangle((122, 32, 326, 250), fill=(0, 0, 0, 0))
        shutter = (64, 124, 110)
        for x in (26, 344):
            pen.rectangle((x, 20, x + 78, 258), fill=shutter, outline=shade(shutter, 0.6), width=5)
            for y in range(34, 246, 16):
                pen.line((x + 10, y, x + 68, y), fill=shade(shutter, 0.75), width=5)
        pen.rectangle((92, 250, 356, 270), fill=(240, 236, 228))
        pen.rectangle((108, 270, 340, 306), fill=(150, 92, 58))
        for x in range(116, 340, 15):
            disc(pen, x, 262 + 8 * rng.random(), 11, (84, 150, 72))
            disc(
                pen,
                x + 4,
                252 + 12 * rng.random(),
                8,
                ((236, 96, 130), (250, 246, 240), (250, 190, 80))[int(3 * rng.random())],
            )
        x, feet, k = 224.0, 350.0, 1.12
    elif place == "hill":
        img = sky("day", 0.9)
        cover = clouds(rng, (255, 255, 255), 0.4)
        img.paste(cover, (-100, 0), cover)
        fill_below(img, ridge(rng, W, 214, 250, 160), (150, 196, 180))
        fill_below(
            img,
            np.array([272 + 0.0011 * (x - 224) ** 2 for x in range(W)]),
            (116, 186, 86),
            (76, 140, 62),
        )
        draw = ImageDraw.Draw(img)
        for fx in rng.random(44) * W:
            disc(
                draw,
                fx,
                290 + 44 * rng.random(),
                4,
                ((250, 246, 240), (248, 205, 70), (236, 96, 110))[int(3 * rng.random())],
            )
        x, feet, k = 224.0, 286.0, 1.02
    elif place == "ship":
        img = sky("day", 0.6)
        cover = clouds(rng, (255, 255, 255), 0.35)
        img.paste(cover, (-60, -20), cover)
        img.paste(gradient([(0, (44, 120, 176)), (1, (28, 88, 144))], (W, H - 180)), (0, 180))
        draw = ImageDraw.Draw(img)
        for _ in range(60):
            wx, wy = rng.random() * W, 186 + 60 * rng.random()
            draw.line((wx - 12, wy, wx + 12, wy), fill=(140, 196, 224), width=2)
        draw.rectangle((330, 20, 420, 250), fill=(244, 242, 236))
        draw.rectangle((330, 20, 344, 250), fill=(255, 255, 255))
        draw.rectangle((330, 40, 420, 66), fill=(214, 58, 50))
        for y in (110, 180):
            disc(draw, 378, y, 20, (96, 110, 124))
            disc(draw, 378, y, 15, (150, 196, 220))
        pen.rectangle((0, 262, W, H), fill=(240, 240, 238))
        pen.rectangle((0, 262, W, 274), fill=(200, 60, 54))
        for px in range(14, W, 52):
            pen.line((px, 196, px, 264), fill=(250, 250, 250), width=7)
        for y in (196, 230):
            pen.line((0, y, W, y), fill=(250, 250, 250), width=8 if y == 196 else 5)
        pen.ellipse((36, 246, 106, 316), outline=(230, 90, 60), width=15)
        pen.arc((36, 246, 106, 316), 20, 70, fill=(255, 255, 255), width=15)
        pen.arc((36, 246, 106, 316), 200, 250, fill=(255, 255, 255), width=15)
        x, feet, k = 200.0, 324.0, 1.06
    else:
        wall = ((236, 214, 170), (176, 196, 204), (220, 170, 150))[rng.integers(3)]
        img = gradient([(0, wall), (1, shade(wall, 0.8))])
        draw = ImageDraw.Draw(img)
        for y in range(0, 290, 18):
            draw.line((0, y, W, y), fill=shade(wall, 0.88), width=3)
        draw.rectangle((142, 18, 306, 292), fill=(250, 246, 238))
        draw.rectangle((156, 32, 292, 292), fill=(150, 156, 168))
        for dx in (170, 232):
            for dy in (48, 170):
                draw.rectangle(
                    (dx, dy, dx + 46, dy + 100),
                    fill=(168, 174, 186),
                    outline=(112, 118, 130),
                    width=4,
                )
        for wx in (24, 336):
            draw.rectangle(
                (wx, 60, wx + 86, 180), fill=(146, 190, 214), outline=(250, 246, 238), width=8
            )
            draw.line((wx + 43, 60, wx + 43, 180), fill=(250, 246, 238), width=6)
        draw.rectangle((0, 290, W, H), fill=(168, 160, 152))
        draw.rectangle((110, 290, 338, 306), fill=(206, 200, 192))
        for px in (76, 374):
            draw.polygon(
                [(px - 22, 250), (px + 22, 250), (px + 15, 300), (px - 15, 300)],
                fill=(196, 104, 66),
            )
            for d in range(9):
                disc(
                    draw,
                    px - 24 + 6 * d,
                    238 - 10 * math.sin(d),
                    12,
                    shade((84, 150, 72), 0.85 + 0.05 * (d % 4)),
                )
        x, feet, k = 224.0, 304.0, 1.06
    outfit = _outfit(rng, look["who"], PAINT[look["colour"]], shade(PAINT[look["colour"]], 0.62))
    if outfit["child"]:
        if place in ("window", "ship"):
            k *= 0.86
            feet -= 12
        else:
            k *= 0.72
    both = look["arms"] == "both"
    flip = rng.random() < 0.5

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        draw = ImageDraw.Draw(picture)
        sweep = wave(t, 1.15)
        raised = ((122 - 8 * sweep), (166 + 30 * sweep))
        arms = [
            (-raised[0], -raised[1]) if both or flip else (-12, -4),
            raised if both or not flip else (12, 4),
        ]
        lean = 3 * sweep * (0.4 if both else 1)
        if place in ("hill", "door"):
            shadow(picture, x, feet + 2, 46 * k, 8 * k, 0.45)
        bob = 2 * wave(t, 2.3)
        hip = (x, feet - (THIGH + SHIN + 8) * k + bob)
        _figure(draw, hip, k, outfit, ((-5, -2), (5, 2)), arms, lean, 0, 4 * sweep)
        if place in ("window", "ship"):
            picture.paste(front, (0, 0), front)
        return picture

    return frame


_HOUR = {
    "dawn": ("at dawn", "at sunrise"),
    "day": ("in daylight", "on a sunny day"),
    "dusk": ("at dusk", "at sunset"),
}


@scene(
    theme="people",
    attributes={
        "n": {1: ("one", "a single", "a"), 2: ("two", "a pair of")},
        "colour": {
            "red": ("red",),
            "yellow": ("yellow",),
            "green": ("green",),
            "blue": ("blue",),
            "white": ("white",),
        },
        "place": {
            "lake": ("a mountain lake", "a lake below snowy mountains"),
            "sea": ("the open sea", "the wide sea"),
            "river": ("a river past dark trees", "a river by the forest"),
        },
        "time": _HOUR,
        "facing": _FACING,
    },
    captions=(
        "{n} {n|person rows|people row} a {colour} boat across {place} [{time}]",
        "{n} {n|rower|rowers} in a {colour} (boat|rowing boat) on {place} [moving {facing}] [{time}]",
        "{time} a {colour} rowing boat with {n} {n|rower|rowers} glides {facing} over {place}",
        "a {colour} boat is rowed {facing} by {n} {n|person|people} on {place} [{time}]",
        "{n} {n|man|men} (pulling the oars|rowing) in a {colour} boat on {place} {time}",
    ),
    sound=lambda look, rng: sounds.together(
        0.25 * sounds.hiss(rng, 200, 1500),
        sounds.at(
            np.arange(0.1, 2.6, 1.5),
            sounds.hiss(rng, 300, 2600, 0.7) * np.hanning(round(0.7 * sounds.RATE)),
            0.7,
        ),
    ),
)
def rowing(look: Look, rng: np.random.Generator) -> Frame:
    time, place = look["time"], look["place"]
    img = sky(time, 0.6)
    level = 190
    dim = {"dawn": 0.86, "day": 1.0, "dusk": 0.62}[time]
    horizon = SKY[time][-1][1]
    if time != "day":
        glow(img, 330, level - 14, 110, (255, 226, 160), 1.0)
        disc(ImageDraw.Draw(img), 330, level - 12, 24, (255, 240, 200))
    if place == "lake":
        line = ridge(rng, W, 60, 176, 130)
        fill_below(img, line, mix(shade((110, 130, 160), dim), horizon, 0.25))
        draw = ImageDraw.Draw(img)
        for x in range(W):
            low = 106 + 8 * math.sin(x * 0.33) + 6 * math.sin(x * 0.8)
            if line[x] < low:
                draw.line((x, line[x], x, low), fill=mix((248, 250, 252), horizon, 0.3))
        fill_below(img, ridge(rng, W, 168, 184, 160), shade((86, 130, 100), dim))
    elif place == "river":
        draw = ImageDraw.Draw(img)
        for x in np.sort(rng.random(46)) * W:
            tall = 70 + 60 * rng.random()
            tone = shade((46, 92, 66), dim * (0.8 + 0.4 * rng.random()))
            for j in range(4):
                y, w = level - tall * j * 0.2, tall * (0.24 - 0.04 * j)
                draw.polygon(
                    [(x - w, y), (x, y - tall * 0.4), (x + w, y)], fill=shade(tone, 0.9 + 0.06 * j)
                )
        fill_below(img, np.full(W, level - 8.0), shade((96, 140, 74), dim))
    water = {"lake": (66, 140, 178), "sea": (36, 104, 166), "river": (74, 130, 120)}[place]
    far = mix(shade(water, dim), horizon, 0.5)
    img.paste(
        gradient(
            [(0, far), (0.5, shade(water, dim)), (1, shade(water, dim * 0.62))], (W, H - level)
        ),
        (0, level),
    )
    ripples = np.column_stack([rng.random(80), rng.random(80), rng.random(80)])
    if time != "day":
        draw = ImageDraw.Draw(img)
        for i in range(14):
            wide = 6 + 26 * rng.random()
            draw.line(
                (330 - wide, level + 5 + i * 8, 330 + wide, level + 5 + i * 8),
                fill=mix(far, (255, 236, 180), 0.6),
                width=2,
            )
    colour = PAINT[look["colour"]]
    n = int(look["n"])
    k = 0.98 if n == 1 else 0.88
    half = 150 if n == 1 else 190
    shirts = [
        ((246, 150, 60), (240, 236, 226), (90, 170, 170), (226, 110, 140))[rng.integers(4)]
        for _ in range(n)
    ]
    outfits = [_outfit(rng, "man", shirt) for shirt in shirts]
    seats = [10.0] if n == 1 else [-72.0, 82.0]

    def hull() -> Image.Image:
        def paint(draw, s):
            c = half + 20
            edge = [
                (c - half - 14, 6),
                (c - half * 0.6, 22),
                (c, 27),
                (c + half * 0.6, 22),
                (c + half + 14, 4),
            ]
            keel = [
                (c + half * 0.84, 62),
                (c + half * 0.5, 78),
                (c - half * 0.5, 78),
                (c - half * 0.86, 62),
            ]
            draw.polygon(_points([*edge, *keel], s), fill=shade(colour, 0.74))
            draw.polygon(
                _points([*edge, (c + half * 0.92, 40), (c, 54), (c - half * 0.94, 40)], s),
                fill=colour,
            )
            stroke(
                draw,
                _points(edge, s),
                shade(colour, 1.35 if look["colour"] != "white" else 0.8),
                6 * s,
            )
            stroke(
                draw, _points([(x, y + 20) for x, y in edge[1:4]], s), shade(colour, 0.86), 2.5 * s
            )

        return sprite(2 * half + 40, 90, paint)

    boat = hull()

    def frame(t: float) -> Image.Image:
        picture = img.copy()
        draw = ImageDraw.Draw(picture)
        for a, b, c in ripples:
            y = level + 4 + b**1.3 * (H - level)
            x = ((a * (W + 80) - (14 + 50 * b) * t) % (W + 80)) - 40
            draw.line(
                (x - 4 - 22 * b, y, x + 4 + 22 * b, y),
                fill=mix(far, (255, 255, 255), 0.15 + 0.25 * c),
                width=2,
            )
        phase = 0.66 * t  # the pull is the first half of each turn
        sway = math.cos(2 * math.pi * phase)  # 1: leaning to the stern, arms stretched
        bx, by = W / 2 + 16 * (t - 1.5) + 4 * sway, 226 + 2.5 * wave(t, 0.66, 0.2)
        shadow(picture, bx, by + 46, half * 1.0, 14, 0.45)
        for seat, outfit in zip(seats, outfits, strict=True):
            hip = (bx + seat, by - 2)
            lean = -16 * sway + 8  # the rower faces the stern, on the left
            legs = [_reach(hip, (hip[0] - 74 * k, hip[1] + 20 * k), THIGH * k, SHIN * k, -1)] * 2
            lock = (hip[0] - 36 * k, by - 2)
            handle = (
                hip[0] - (50 + 20 * sway) * k,
                by - (36 + 7 * math.sin(2 * math.pi * phase)) * k,
            )
            neck = _step(hip, 180 - lean, BACK * k)
            root = (neck[0], neck[1] + 8 * k)
            bones = _reach(root, handle, UPPER * k, FORE * k, 1)
            _figure(draw, hip, k, outfit, legs, (bones, bones), lean, -1)
            dip = math.sin(2 * math.pi * phase)
            blade = (lock[0] + (10 + 58 * sway) * k, by + (66 + 9 * dip) * k)
            outfit["oar"] = (handle, lock, blade, dip)
        stamp(picture, boat, bx, by + 22)
        for outfit in outfits:
            handle, lock, blade, dip = outfit["oar"]
            stroke(draw, [handle, blade], (104, 70, 44), 7)
            stroke(draw, [handle, blade], (206, 160, 104), 4)
            dx, dy = blade[0] - lock[0], blade[1] - lock[1]
            far_end = (blade[0] + 0.3 * dx, blade[1] + 0.3 * dy)
            stroke(draw, [blade, far_end], (206, 160, 104), 13)
            disc(draw, *lock, 5, (80, 74, 74))
            if dip > 0.1:
                w = 26 * dip
                for m in (1.0, 0.6):
                    draw.arc(
                        (
                            far_end[0] - w * m,
                            far_end[1] - 7 * m,
                            far_end[0] + w * m,
                            far_end[1] + 7 * m,
                        ),
                        0,
                        360,
                        fill=(240, 246, 250),
                        width=2,
                    )
        draw.line(
            (bx - half * 0.8, by + 62, bx + half * 0.8, by + 62),
            fill=mix(far, (255, 255, 255), 0.5),
            width=3,
        )
        return _mirror(picture, look["facing"])

    return frame


def _points(points: Sequence[Point], s: float) -> list[Point]:
    return [(x * s, y * s) for x, y in points]
