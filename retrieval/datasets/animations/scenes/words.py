"""Words and signs."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from retrieval.datasets.animations import scenery, sounds
from retrieval.datasets.animations.canvas import (
    PAINT,
    H,
    W,
    clouds,
    disc,
    ease,
    fill_below,
    font,
    glow,
    gradient,
    lettering,
    mix,
    noise,
    ridge,
    scroll,
    shade,
    shadow,
    sky,
    stamp,
    stars,
    stroke,
    turned,
    wave,
)
from retrieval.datasets.animations.scene import Frame, Look, scene


def _fitted(
    text: str, size: int, width: int, colour: tuple[int, int, int], outline: int = 0
) -> Image.Image:
    """Lettering in the largest size up to `size` that is no wider than `width`."""
    while size > 12 and font(size).getlength(text) + 2 * outline > width:
        size -= 2
    return lettering(text, size, colour, outline, shade(colour, 0.25))


def _desk(rng: np.random.Generator, colour: tuple[int, int, int], top: int) -> Image.Image:
    """A wooden surface in front of a wall."""
    img = gradient([(0.0, (196, 186, 172)), (top / H, (226, 216, 200)), (1.0, (226, 216, 200))])
    draw = ImageDraw.Draw(img)
    draw.rectangle((0, top, W, H), fill=colour)
    for _ in range(26):
        y = top + (H - top) * rng.random()
        draw.line(
            [(0, y), (W, y + 6 * (rng.random() - 0.5))],
            fill=shade(colour, 0.86 + 0.24 * rng.random()),
            width=2,
        )
    draw.line([(0, top), (W, top)], fill=shade(colour, 1.3), width=3)
    return img


_WORDS = {
    "hello": ("hello",),
    "love": ("love",),
    "music": ("music",),
    "summer": ("summer",),
    "coffee": ("coffee",),
    "help": ("help",),
    "dream": ("dream",),
    "welcome": ("welcome",),
    "pizza": ("pizza",),
    "good night": ("good night",),
}


@scene(
    theme="words and signs",
    attributes={
        "word": _WORDS,
        "screen": {
            "typewriter": ("a typewriter", "an old typewriter"),
            "laptop": ("a laptop", "the screen of a laptop"),
            "terminal": ("a black computer terminal", "an old computer monitor"),
            "phone": ("a mobile phone", "a phone held upright"),
        },
        "colour": {
            "red": ("red",),
            "green": ("green",),
            "blue": ("blue",),
            "orange": ("orange",),
            "pink": ("pink",),
        },
    },
    captions=(
        "the word {word} is typed in {colour} letters on {screen}",
        "{colour} letters appear one by one on {screen} and spell {word}",
        "someone writes {word} [in {colour}] on {screen}",
        "{screen} on which {word} (appears|turns up) [bit by bit] in {colour} letters",
        "a person (types|enters) {word} [in {colour} letters] on {screen}",
        "on {screen} one reads the {colour} word {word} [, typed letter by letter]",
    ),
    sound=lambda look, rng: sounds.at(
        np.arange(len(str(look["word"]))) * 1.1 / len(str(look["word"])),
        sounds.knock(900) if look["screen"] == "typewriter" else 0.5 * sounds.knock(1500),
        0.8,
    ),
    poster_s=2.4,
)
def typed_word(look: Look, rng: np.random.Generator) -> Frame:
    word, screen = str(look["word"]), str(look["screen"])
    colour = PAINT[str(look["colour"])]
    background = _desk(rng, (150, 104, 70), 236)
    draw = ImageDraw.Draw(background)
    if screen == "typewriter":
        shadow(background, W / 2, 326, 210, 16, 0.4)
        draw.rectangle((64, 8, 384, 208), fill=(250, 246, 234))
        draw.rounded_rectangle((24, 196, 424, 230), 16, fill=(44, 46, 54))
        draw.polygon([(56, 226), (392, 226), (436, 334), (12, 334)], fill=(62, 92, 104))
        for row in range(4):
            for k in range(11):
                x, y = 224 + (k - 5) * (27 + 2 * row), 250 + 23 * row
                disc(draw, x, y, 10, (32, 34, 40))
                disc(draw, x - 1, y - 1, 7, (236, 230, 214))
        box, paper = (78, 30, 370, 190), (250, 246, 234)
    elif screen == "laptop":
        shadow(background, W / 2, 322, 230, 14, 0.4)
        draw.rounded_rectangle((52, 6, 396, 256), 12, fill=(58, 62, 70))
        draw.rectangle((66, 20, 382, 242), fill=(246, 248, 252))
        draw.rectangle((66, 20, 382, 44), fill=(206, 214, 226))
        for k, dot in enumerate(((236, 90, 80), (240, 190, 70), (90, 190, 100))):
            disc(draw, 82 + 18 * k, 32, 6, dot)
        draw.polygon([(52, 256), (396, 256), (440, 322), (8, 322)], fill=(170, 174, 182))
        draw.polygon([(80, 264), (368, 264), (392, 298), (56, 298)], fill=(76, 80, 90))
        box, paper = (76, 52, 372, 236), (246, 248, 252)
    elif screen == "terminal":
        shadow(background, W / 2, 316, 210, 18, 0.4)
        draw.rounded_rectangle((20, 2, 428, 306), 26, fill=(206, 198, 176))
        draw.rounded_rectangle((44, 22, 404, 272), 30, fill=(12, 16, 14))
        draw.rectangle((150, 306, 298, 326), fill=(176, 168, 148))
        for y in range(30, 268, 6):
            draw.line([(52, y), (396, y)], fill=(20, 26, 23), width=2)
        disc(draw, 392, 290, 6, (110, 220, 100))
        box, paper = (60, 40, 388, 256), (12, 16, 14)
        colour = shade(colour, 1.15)
    else:
        shadow(background, W / 2, 328, 130, 10, 0.4)
        draw.rounded_rectangle((110, 2, 338, 332), 30, fill=(28, 28, 34))
        draw.rounded_rectangle((122, 16, 326, 318), 18, fill=(232, 240, 248))
        draw.rounded_rectangle((190, 6, 258, 22), 8, fill=(28, 28, 34))
        draw.rounded_rectangle((140, 40, 250, 72), 14, fill=(200, 210, 222))
        draw.rounded_rectangle((130, 96, 318, 210), 16, fill=(255, 255, 255))
        for row in range(4):
            for k in range(7):
                draw.rounded_rectangle(
                    (132 + 27 * k, 226 + 22 * row, 154 + 27 * k, 243 + 22 * row),
                    4,
                    fill=(198, 206, 216),
                )
        box, paper = (136, 96, 312, 210), (255, 255, 255)
    size = 110
    while font(size).getlength(word) > box[2] - box[0] - 16:
        size -= 2
    ink = shade(colour, 0.9) if sum(paper) > 400 else colour
    long = font(size).getlength(word)
    x, y = (box[0] + box[2] - long) / 2, (box[1] + box[3]) / 2
    tall = 0.72 * size

    def frame(t: float) -> Image.Image:
        img = background.copy()
        shown = min(len(word), max(0, math.floor((t + 0.25) / 1.1 * len(word))))
        draw = ImageDraw.Draw(img)
        draw.text(
            (x, y),
            word[:shown],
            fill=ink,
            font=font(size),
            anchor="lm",
            stroke_width=2,
            stroke_fill=ink,
        )
        if shown < len(word) or (t * 1.25) % 1 < 0.6:
            end = x + font(size).getlength(word[:shown]) + 5
            draw.rectangle((end, y - tall / 2, end + 0.06 * size, y + tall / 2), fill=ink)
        return img

    return frame


@scene(
    theme="words and signs",
    attributes={
        "word": {
            "closed": ("closed",),
            "open": ("open",),
            "sale": ("sale",),
            "goal": ("goal",),
            "party": ("party",),
            "tickets": ("tickets",),
            "breaking news": ("breaking news",),
            "last train": ("last train",),
            "happy birthday": ("happy birthday",),
            "no parking": ("no parking",),
        },
        "colour": {
            "red": ("red",),
            "orange": ("orange", "amber-coloured"),
            "green": ("green",),
            "blue": ("blue",),
            "pink": ("pink",),
        },
        "place": {
            "shop": ("above a shop with a striped awning", "on a shop front"),
            "bus": ("on a yellow bus", "on the side of a yellow bus"),
            "stadium": ("in a stadium", "by a sports field with floodlights"),
            "tower": ("on a tower block at night", "on a high building by night"),
        },
    },
    captions=(
        "the text {word} runs across a {colour} display {place}",
        "{colour} lights {place} show the text {word}",
        "{word} (glides|slides) by in {colour} (dots|lamps) {place}",
        "(a lit|a bright) {colour} sign {place} (says|reads) {word}",
        "a ticker with {colour} letters reads {word} [{place}]",
        "{place} a sign of {colour} lamps says {word}",
    ),
    sound=lambda look, rng: (
        sounds.engine(60, 66)
        if look["place"] == "bus"
        else (0.5 * sounds.hiss(rng, 300, 1800) if look["place"] == "stadium" else None)
    ),
)
def ticker(look: Look, rng: np.random.Generator) -> Frame:
    colour = shade(PAINT[str(look["colour"])], 1.2)
    place = look["place"]
    if place == "shop":
        background = Image.new("RGB", (W, H), (176, 124, 98))
        draw = ImageDraw.Draw(background)
        for row in range(0, H, 18):
            for k in range(-1, 12):
                x = 44 * k + 22 * (row // 18 % 2)
                draw.rectangle(
                    (x, row, x + 41, row + 15), fill=shade((170, 104, 80), 0.9 + 0.2 * rng.random())
                )
        draw.rectangle((34, 206, 300, 320), fill=(150, 200, 220))
        draw.polygon([(60, 320), (140, 206), (190, 206), (110, 320)], fill=(184, 222, 236))
        draw.rectangle((326, 200, 414, H), fill=(84, 58, 44))
        draw.rectangle((340, 214, 400, 280), fill=(160, 204, 220))
        for k in range(14):
            x = k * 32
            draw.polygon(
                [(x, 172), (x + 32, 172), (x + 32, 212), (x + 16, 222), (x, 212)],
                fill=(226, 72, 62) if k % 2 else (246, 240, 228),
            )
        box = (16, 44, 432, 160)
    elif place == "bus":
        background = gradient(
            [(0.0, (150, 190, 220)), (0.7, (210, 224, 232)), (1.0, (210, 224, 232))]
        )
        draw = ImageDraw.Draw(background)
        draw.rectangle((0, 290, W, H), fill=(92, 94, 102))
        draw.rounded_rectangle((-30, 20, 478, 306), 22, fill=(244, 192, 48))
        draw.rectangle((-30, 256, 478, 268), fill=(60, 60, 66))
        for x in (18, 126, 234, 342):
            draw.rounded_rectangle((x, 166, x + 92, 240), 8, fill=(60, 84, 104))
            draw.polygon(
                [(x + 10, 240), (x + 50, 166), (x + 70, 166), (x + 30, 240)], fill=(98, 128, 150)
            )
        for x in (92, 356):
            disc(draw, x, 304, 32, (36, 36, 40))
            disc(draw, x, 304, 15, (168, 170, 176))
        box = (20, 36, 428, 152)
    elif place == "stadium":
        background = gradient([(0.0, (20, 26, 60)), (0.6, (66, 72, 120)), (1.0, (66, 72, 120))])
        draw = ImageDraw.Draw(background)
        for row in range(5):
            for x in range(4, W, 12):
                fan = [(214, 80, 70), (240, 220, 200), (90, 120, 200), (240, 190, 80)][
                    rng.integers(4)
                ]
                disc(draw, x + 5 * (row % 2), 206 + 13 * row, 5, shade(fan, 0.7))
        draw.rectangle((0, 270, W, H), fill=(70, 150, 76))
        for k in range(0, 8, 2):
            draw.polygon(
                [
                    (56 * k, H),
                    (56 * k + 56, H),
                    (224 + (56 * k + 56 - 224) * 0.6, 270),
                    (224 + (56 * k - 224) * 0.6, 270),
                ],
                fill=(86, 168, 88),
            )
        for x in (40, 408):
            draw.rectangle((x - 4, 20, x + 4, 206), fill=(60, 64, 76))
            glow(background, x, 24, 90, (255, 250, 220), 0.9)
        box = (26, 62, 422, 186)
    else:
        background = sky("night")
        stars(rng, background, 80, 0.4)
        scenery.skyline(background, rng, H, 100, 200, (24, 28, 46), (230, 190, 110))
        draw = ImageDraw.Draw(background)
        draw.rectangle((36, 40, 412, H), fill=(52, 56, 74))
        for wx in range(56, 390, 34):
            for wy in range(214, 330, 32):
                draw.rectangle(
                    (wx, wy, wx + 20, wy + 20),
                    fill=(250, 214, 130) if rng.random() < 0.5 else (34, 38, 52),
                )
        box = (22, 66, 426, 190)
    draw.rounded_rectangle((box[0] - 8, box[1] - 8, box[2] + 8, box[3] + 8), 10, fill=(58, 60, 66))
    draw.rectangle(box, fill=(10, 10, 14))
    # The text in lamps: a small picture of it, each of whose pixels becomes a dot.
    text = str(look["word"]).upper()
    dot = 5

    rows, columns = (box[3] - box[1]) // dot, (box[2] - box[0]) // dot
    letters = lettering(text, 72, (255, 255, 255), 3, (255, 255, 255)).getchannel("A")
    tall = 18

    wide = round(letters.width * tall / letters.height)
    if columns - 4 < wide < 1.35 * columns:  # squeezed a little, it fits whole
        wide = columns - 4
    letters = letters.resize((wide, tall), Image.Resampling.BOX)
    gap = 14
    band = np.zeros(
        (rows, max(letters.width + gap, columns if letters.width <= columns else 0)), bool
    )
    at = (rows - tall) // 2
    band[at : at + tall, : letters.width] = np.asarray(letters) > 110
    lamp = np.zeros((dot, dot, 3), np.float32)
    lamp[1:, 1:] = colour
    lamps = np.tile(lamp, (rows, columns, 1))
    lit = np.clip(lamps + 8, 0, 255).astype(np.uint8)
    unlit = (0.09 * lamps + 8).astype(np.uint8)
    glow(background, W / 2, (box[1] + box[3]) / 2, 200, colour, 0.22)
    start = (band.shape[1] - (columns - letters.width) // 2) if letters.width <= columns else 4
    speed = 7 if letters.width <= columns else (letters.width + gap) / 3.6

    def frame(t: float) -> Image.Image:
        img = background.copy()
        move = round(speed * (t - 1.2)) if letters.width <= columns else round(speed * t)
        on = band[:, (np.arange(columns) + start + move) % band.shape[1]]
        light = np.where(np.repeat(np.repeat(on, dot, 0), dot, 1)[..., None], lit, unlit)
        img.paste(Image.fromarray(light), (box[0], box[1]))
        return img

    return frame


_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@scene(
    theme="words and signs",
    attributes={
        "start": {
            n: (f"from {_NUMBERS[n]} to {_NUMBERS[n - 2]}", f"{n}, {n - 1}, {n - 2}")
            for n in range(3, 11)
        },
        "style": {
            "film": ("an old film leader", "the reel of an old film"),
            "clock": ("a digital clock", "a digital display"),
            "balloon": ("a big balloon", "the front of a round balloon"),
            "flip": ("a flip board", "a board with flaps"),
        },
        "colour": {
            "red": ("red",),
            "blue": ("blue",),
            "green": ("green",),
            "purple": ("purple", "violet"),
            "orange": ("orange",),
        },
    },
    captions=(
        "a {colour} countdown {start} on {style}",
        "{style} counts down {start} in {colour}",
        "{colour} numbers on {style}: {start}",
        "counting down {start} [in {colour}] on {style}",
    ),
    sound=lambda look, rng: (
        sounds.at((0.0, 1.0, 2.0), sounds.tone(720, 0.18, 0.08), 0.7)
        if look["style"] != "balloon"
        else None
    ),
    poster_s=0.5,
)
def countdown(look: Look, rng: np.random.Generator) -> Frame:
    colour = PAINT[str(look["colour"])]
    style, first = str(look["style"]), int(look["start"])
    cx, cy = W / 2, H / 2
    if style == "film":
        background = Image.new("RGB", (W, H), mix(colour, (240, 232, 214), 0.72))
        draw = ImageDraw.Draw(background)
        draw.line([(0, cy), (W, cy)], fill=(60, 54, 50), width=3)
        draw.line([(cx, 0), (cx, H)], fill=(60, 54, 50), width=3)
        for r in (146, 128):
            draw.ellipse((cx - r, cy - r, cx + r, cy + r), outline=(60, 54, 50), width=4)
        for x in (4, W - 26):
            for y in range(8, H, 42):
                draw.rounded_rectangle((x, y, x + 22, y + 26), 5, fill=(24, 22, 22))
        ink = shade(colour, 0.85)
    elif style == "clock":
        background = _desk(rng, (128, 90, 64), 250)
        draw = ImageDraw.Draw(background)
        shadow(background, cx, 306, 190, 16, 0.45)
        draw.rounded_rectangle((52, 36, 396, 304), 28, fill=(70, 72, 80))
        draw.rounded_rectangle((74, 58, 374, 282), 14, fill=(14, 14, 18))
        ink = shade(colour, 1.15)
    elif style == "balloon":
        background = sky("day")
        fill_below(background, ridge(rng, W, 286, 306, 200), (104, 172, 92))
        ink = colour
    else:
        background = Image.new("RGB", (W, H), (196, 190, 180))
        draw = ImageDraw.Draw(background)
        shadow(background, cx, cy + 10, 210, 170, 0.4)
        draw.rounded_rectangle((60, 12, 388, 324), 22, fill=(48, 48, 54))
        draw.rounded_rectangle((76, 28, 372, 308), 14, fill=(26, 26, 30))
        ink = shade(colour, 1.15)
    numbers = [
        _fitted(str(n), 270, 250, ink, 0 if style != "balloon" else 2)
        for n in (first, first - 1, first - 2)
    ]
    numbers = [
        turned(n, 0, 210 / n.height)
        if n.width * 210 / n.height < 270
        else turned(n, 0, 270 / n.width)
        for n in numbers
    ]
    round_balloon = None
    if style == "balloon":
        from_light = scenery.layer()
        draw = ImageDraw.Draw(from_light)
        draw.polygon(
            [(cx, cy + 132), (cx - 14, cy + 152), (cx + 14, cy + 152)], fill=(196, 186, 170)
        )
        for k in range(16):
            r = 142 - 7 * k
            disc(draw, cx - 2.4 * k, cy - 8 - 2.6 * k, r, shade((250, 244, 230), 0.78 + 0.016 * k))
        round_balloon = from_light

    def frame(t: float) -> Image.Image:
        img = background.copy()
        k = min(2, int(t))
        since = t - k
        number = numbers[k]
        draw = ImageDraw.Draw(img)
        if style == "film":
            draw.pieslice(
                (-80, -136, W + 80, H + 136),
                -90,
                -90 + 360 * since,
                fill=mix(colour, (250, 244, 230), 0.45),
            )
            draw.line([(0, cy), (W, cy)], fill=(60, 54, 50), width=3)
            draw.line([(cx, 0), (cx, H)], fill=(60, 54, 50), width=3)
            for r in (146, 128):
                draw.ellipse((cx - r, cy - r, cx + r, cy + r), outline=(60, 54, 50), width=4)
            for x in (0, W - 30):
                img.paste(background.crop((x, 0, x + 30, H)), (x, 0))
            stamp(img, number, cx, cy)
        elif style == "clock":
            glow(img, cx, 170, 150, colour, 0.35)
            stamp(img, number, cx, 170, 0, 0.92)
            for i in range(10):
                on = i < 10 * (1 - since)
                draw.rectangle(
                    (92 + 27 * i, 266, 112 + 27 * i, 274), fill=ink if on else (44, 44, 50)
                )
        elif style == "balloon":
            y = 4 * wave(t, 0.4)
            draw.line([(cx, cy + 150 + y), (cx + 6 * wave(t, 0.4), H)], fill=(90, 80, 80), width=2)
            img.paste(round_balloon, (0, round(y)), round_balloon)
            stamp(
                img,
                number,
                cx,
                cy - 8 + y,
                3 * wave(t, 0.3),
                0.62 + 0.1 * ease(since * 4) - 0.1 * ease((since - 0.8) * 5),
            )
        else:
            stamp(img, number, cx, cy)
            fold = ease((since - 0.72) / 0.28) if k < 2 else 0
            if fold:  # the upper flap falls over
                flap = img.crop((76, 28, 372, 168))
                img.paste((38, 38, 42), (76, 28, 372, 168))
                half = max(1, round(140 * (1 - fold)))
                img.paste(flap.resize((296, half)), (76, 168 - half))
            ImageDraw.Draw(img).line([(60, 168), (388, 168)], fill=(40, 40, 46), width=5)
        return img

    return frame


@scene(
    theme="words and signs",
    attributes={
        "sum": {
            "1 + 1 = 2": ("1 + 1 = 2", "one plus one"),
            "2 + 3 = 5": ("2 + 3 = 5", "two plus three"),
            "4 + 4 = 8": ("4 + 4 = 8", "four plus four"),
            "9 - 6 = 3": ("9 - 6 = 3", "nine minus six"),
            "7 - 5 = 2": ("7 - 5 = 2", "seven minus five"),
            "8 - 1 = 7": ("8 - 1 = 7", "eight minus one"),
            "3 x 3 = 9": ("3 x 3 = 9", "three times three"),
            "6 x 7 = 42": ("6 x 7 = 42", "six times seven"),
            "5 x 2 = 10": ("5 x 2 = 10", "five times two"),
            "8 : 4 = 2": ("8 : 4 = 2", "eight divided by four"),
        },
        "board": {
            "green": ("green", "dark green"),
            "black": ("black",),
            "blue": ("blue",),
            "brown": ("brown",),
        },
        "chalk": {
            "white": ("white",),
            "yellow": ("yellow",),
            "pink": ("pink",),
        },
        "drawing": {
            "sun": ("a drawing of a sun", "a sketched sun"),
            "flower": ("a drawing of a flower", "a sketched flower"),
            "house": ("a drawing of a house", "a sketched house"),
            "star": ("a drawing of a star", "a sketched star"),
        },
    },
    captions=(
        "{sum} is written in {chalk} chalk on a {board} board [beside {drawing}]",
        "{chalk} chalk writes {sum} on a {board} board [, below it {drawing}]",
        "a {board} chalkboard with {drawing} and the sum {sum} in {chalk}",
        "a hand-written sum on a {board} board: {sum} [, {chalk} chalk] [and {drawing}]",
    ),
    sound=lambda look, rng: sounds.at(
        np.arange(0.1, 1.8, 0.22), 0.4 * sounds.hiss(rng, 1500, 6000, 0.12)
    ),
    poster_s=2.4,
)
def chalkboard_sum(look: Look, rng: np.random.Generator) -> Frame:
    base = {
        "green": (42, 92, 70),
        "black": (40, 40, 44),
        "blue": (44, 74, 132),
        "brown": (104, 70, 50),
    }[str(look["board"])]
    chalk = {"white": (244, 244, 238), "yellow": (252, 222, 96), "pink": (250, 152, 188)}[
        str(look["chalk"])
    ]
    dust = noise(rng, (W, H), 130, 4)[..., None]
    board = np.array(base) * (0.86 + 0.3 * dust) + 16 * dust
    background = Image.fromarray(np.clip(board, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(background)
    for box in ((0, 0, W, 14), (0, 0, 14, H), (W - 14, 0, W, H), (0, 306, W, H)):
        draw.rectangle(box, fill=(176, 128, 82))
    draw.line([(0, 308), (W, 308)], fill=(214, 168, 116), width=4)
    draw.rounded_rectangle((300, 296, 340, 306), 4, fill=chalk)
    draw.rounded_rectangle((80, 288, 140, 306), 4, fill=(210, 196, 160))
    x, y = W * (0.3 + 0.4 * rng.random()), 226
    pen = {"fill": mix(chalk, base, 0.12), "width": 5}
    turns = np.linspace(0, 2 * np.pi, 13)
    if look["drawing"] == "sun":
        draw.ellipse((x - 24, y - 24, x + 24, y + 24), outline=pen["fill"], width=5)
        for a in turns[:-1]:
            draw.line(
                [
                    (x + 33 * math.cos(a), y + 33 * math.sin(a)),
                    (x + 52 * math.cos(a), y + 52 * math.sin(a)),
                ],
                **pen,
            )
    elif look["drawing"] == "flower":
        for a in turns[:-1:2]:
            px, py = x + 24 * math.cos(a), y - 14 + 24 * math.sin(a)
            draw.ellipse((px - 13, py - 13, px + 13, py + 13), outline=pen["fill"], width=4)
        draw.ellipse((x - 12, y - 26, x + 12, y - 2), fill=pen["fill"])
        draw.line([(x, y + 22), (x, y + 66)], **pen)
        draw.arc((x - 30, y + 24, x, y + 60), 0, 120, **pen)
    elif look["drawing"] == "house":
        draw.line([(x - 44, y - 8), (x, y - 50), (x + 44, y - 8)], **pen)
        draw.rectangle((x - 36, y - 8, x + 36, y + 52), outline=pen["fill"], width=5)
        draw.rectangle((x - 9, y + 18, x + 11, y + 52), outline=pen["fill"], width=4)
        draw.rectangle((x - 28, y + 4, x - 14, y + 18), outline=pen["fill"], width=3)
    else:
        points = [
            (x + r * math.sin(a), y - r * math.cos(a))
            for a, r in zip(np.arange(11) * np.pi / 5, [54, 22] * 5 + [54], strict=True)
        ]
        draw.line(points, **pen)
    text = _fitted(str(look["sum"]), 104, W - 80, chalk, 0)
    text = turned(text, 0, (0.92 if text.width > 0.8 * W else 1.0))
    grain = 0.72 + 0.5 * noise(rng, text.size, 5, 2)
    alpha = np.asarray(text.getchannel("A"), np.float32) * np.clip(grain, 0, 1)
    text.putalpha(Image.fromarray(alpha.astype(np.uint8)))
    left, top = (W - text.width) // 2, 96 - text.height // 2

    def frame(t: float) -> Image.Image:
        img = background.copy()
        share = ease((t + 0.45) / 2.0) * 0.4 + 0.6 * min(1, (t + 0.45) / 2.0)
        wide = round(text.width * share)
        if wide:
            part = text.crop((0, 0, wide, text.height))
            img.paste(part, (left, top), part)
        if share < 1:
            x, y = left + wide, top + text.height / 2 + 0.4 * text.height * wave(t, 2.0)
            draw = ImageDraw.Draw(img)
            stroke(draw, [(x + 4, y), (x + 26, y + 26)], chalk, 11)
            stroke(draw, [(x + 30, y + 30), (x + 120, y + 120)], (226, 170, 136), 30)
            disc(draw, x + 32, y + 30, 22, (232, 178, 144))
        return img

    return frame


@scene(
    theme="words and signs",
    attributes={
        "word": {
            "the end": ("the end",),
            "once": ("once upon a time",),
            "dragons": ("dragons",),
            "pirates": ("pirates",),
            "recipes": ("recipes",),
            "robots": ("robots",),
            "secrets": ("secrets",),
            "winter": ("winter",),
            "my diary": ("my diary",),
            "magic": ("magic",),
        },
        "colour": {
            "red": ("red",),
            "blue": ("blue",),
            "green": ("green",),
            "purple": ("purple", "violet"),
            "black": ("black",),
        },
        "place": {
            "table": ("on a wooden table", "on a brown table"),
            "grass": ("on the grass", "in the grass", "on a lawn"),
            "blanket": ("on a chequered blanket", "on a pink chequered cloth"),
        },
        "picture": {
            "ship": ("a picture of a sailing ship", "a painted sailing ship"),
            "tree": ("a picture of a tree", "a painted tree"),
            "moon": ("a picture of the moon", "a painted moon"),
            "house": ("a picture of a house", "a painted house"),
        },
    },
    captions=(
        "a {colour} book opens {place} and shows the text {word} [next to {picture}]",
        "{place} a {colour} book is opened, inside it says {word} [beside {picture}]",
        "an opening book with a {colour} cover {place}: {picture} on the left, {word} on the right",
        "a book in a {colour} binding opens [{place}], one page has {picture} and the other reads {word}",
    ),
    sound=lambda look, rng: sounds.at(
        (0.3,),
        0.5
        * sounds.hiss(rng, 700, 5000, 0.7)
        * np.sin(np.pi * np.arange(round(0.7 * sounds.RATE)) / (0.7 * sounds.RATE)),
    ),
    poster_s=2.2,
)
def opening_book(look: Look, rng: np.random.Generator) -> Frame:
    place, colour = look["place"], PAINT[str(look["colour"])]
    if place == "table":
        background = Image.new("RGB", (W, H), (166, 114, 72))
        draw = ImageDraw.Draw(background)
        for k in range(5):
            draw.rectangle(
                (0, 70 * k, W, 70 * k + 68), fill=shade((166, 114, 72), 0.9 + 0.2 * rng.random())
            )
            for _ in range(7):
                y = 70 * k + 66 * rng.random()
                draw.line([(0, y), (W, y + 8 * (rng.random() - 0.5))], fill=(140, 92, 56), width=2)
    elif place == "grass":
        background = Image.new("RGB", (W, H), (92, 160, 74))
        draw = ImageDraw.Draw(background)
        for x, y, tone in rng.random((900, 3)):
            draw.line(
                [(W * x, H * y + 8), (W * x + 10 * (tone - 0.5), H * y - 12)],
                fill=shade((92, 166, 74), 0.75 + 0.5 * tone),
                width=3,
            )
        for x, y in rng.random((16, 2)):
            disc(draw, W * x, H * y, 6, (252, 250, 244))
            disc(draw, W * x, H * y, 2.5, (250, 206, 70))
    else:
        background = Image.new("RGB", (W, H), (250, 236, 230))
        weave = ImageDraw.Draw(background, "RGBA")  # crossing half-transparent stripes
        for k in range(6):
            weave.rectangle((80 * k + 10, 0, 80 * k + 48, H), fill=(232, 120, 140, 120))
            weave.rectangle((0, 80 * k - 20, W, 80 * k + 18), fill=(232, 120, 140, 120))
    wide, tall, top, spine = 186, 262, 38, W // 2
    paper = (250, 242, 222)

    def page(shadow_left: bool) -> Image.Image:
        edge = [(0.0, (206, 194, 168)), (0.12, paper), (1.0, shade(paper, 0.96))]
        if not shadow_left:
            edge = [(1 - at, tone) for at, tone in reversed(edge)]
        return gradient(edge, (wide - 14, tall - 26), horizontal=True)

    left, right = page(False), page(True)
    draw = ImageDraw.Draw(left)
    draw.rectangle((22, 34, 156, 196), fill=(176, 212, 236), outline=(120, 100, 80), width=4)
    draw.rectangle((26, 156, 152, 192), fill=(120, 176, 96))
    cx = 89
    if look["picture"] == "ship":
        draw.rectangle((26, 142, 152, 192), fill=(46, 110, 166))
        boat = scenery.sail_boat(96, (150, 62, 50), (252, 246, 232))
        left.paste(boat, (cx - 48, 62), boat)
    elif look["picture"] == "tree":
        scenery.round_tree(draw, cx, 174, 128, (58, 136, 66))
    elif look["picture"] == "moon":
        draw.rectangle((26, 38, 152, 192), fill=(26, 32, 78))
        disc(draw, cx, 112, 46, (250, 226, 130))
        for x, y, r in ((-14, -12, 9), (12, 14, 11), (16, -18, 5)):
            disc(draw, cx + x, 112 + y, r, (222, 192, 98))
    else:
        scenery.cottage(draw, cx, 172, 96, (236, 206, 160), (196, 66, 54))
    for k in range(2):
        draw.line([(24, 212 + 14 * k), (154 - 30 * k, 212 + 14 * k)], fill=(150, 140, 130), width=3)
    text = str(_OPENED[str(look["word"])])
    lines = text.split("|")
    for i, line in enumerate(lines):
        letters = _fitted(line, 56, wide - 34, (54, 38, 34), 1)
        right.paste(
            letters,
            (
                (wide - 14 - letters.width) // 2,
                88 + 56 * i - 28 * (len(lines) - 1) - letters.height // 2,
            ),
            letters,
        )
    draw = ImageDraw.Draw(right)
    for k in range(5):
        draw.line(
            [(26, 166 + 16 * k), (154 - (40 if k == 4 else 0), 166 + 16 * k)],
            fill=(160, 150, 140),
            width=3,
        )
    shadow(background, spine + 100, top + tall, 110, 14, 0.4)
    draw = ImageDraw.Draw(background)
    draw.rounded_rectangle(
        (spine - 4, top, spine + wide, top + tall),
        6,
        fill=shade(colour, 0.8),
        outline=shade(colour, 0.5),
        width=2,
    )
    background.paste(right, (spine, top + 13))
    lit = shade(colour, 1.1)

    def frame(t: float) -> Image.Image:
        img = background.copy()
        turn = math.pi * ease((t - 0.05) / 1.4)
        reach, lift = wide * math.cos(turn), 30 * math.sin(turn)
        draw = ImageDraw.Draw(img)
        far = spine + reach
        cover = [
            (spine, top),
            (far, top - lift),
            (far, top + tall - lift * 0.4),
            (spine, top + tall),
        ]
        draw.polygon(
            cover, fill=lit if reach > 0 else shade(colour, 0.85), outline=shade(colour, 0.5)
        )
        if reach > 24:
            inset = [
                (spine + reach * u, top + tall * v - lift * u * (1 - 0.6 * v))
                for u, v in ((0.14, 0.1), (0.88, 0.1), (0.88, 0.9), (0.14, 0.9), (0.14, 0.1))
            ]
            draw.line(inset, fill=(240, 206, 110), width=4)
        elif reach < -12:
            size = (max(1, round((wide - 14) * -reach / wide)), tall - 26)
            img.paste(left.resize(size), (spine - size[0], round(top + 13 - lift * 0.5)))
        return img

    return frame


_OPENED = {
    "the end": "the end",
    "once": "once|upon|a time",
    "dragons": "dragons",
    "pirates": "pirates",
    "recipes": "recipes",
    "robots": "robots",
    "secrets": "secrets",
    "winter": "winter",
    "my diary": "my|diary",
    "magic": "magic",
}


def _road_sign(kind: str) -> Image.Image:
    """The sign's face as an RGBA sprite of 200 x 200."""
    img = Image.new("RGBA", (800, 800), (0, 0, 0, 0))
    draw = ImageDraw.Draw(img)
    red, white, blue, yellow, ink = (
        (206, 40, 44),
        (250, 250, 246),
        (34, 96, 190),
        (250, 200, 50),
        (30, 30, 34),
    )

    def corners(n: int, r: float, start: float) -> list[tuple[float, float]]:
        turns = np.arange(n) * 2 * np.pi / n + start
        return [(400 + r * math.cos(a), 400 + r * math.sin(a)) for a in turns]

    text = None
    if kind == "stop":
        draw.polygon(corners(8, 396, np.pi / 8), fill=white)
        draw.polygon(corners(8, 362, np.pi / 8), fill=red)
        text = ("STOP", 560, white)
    elif kind == "yield":
        draw.polygon([(10, 60), (790, 60), (400, 760)], fill=red)
        draw.polygon([(150, 140), (650, 140), (400, 590)], fill=white)
    elif kind.isdigit():
        disc(draw, 400, 400, 394, red)
        disc(draw, 400, 400, 304, white)
        text = (kind, 500 if len(kind) > 2 else 430, ink)
    elif kind == "no entry":
        disc(draw, 400, 400, 396, white)
        disc(draw, 400, 400, 370, red)
        draw.rectangle((140, 330, 660, 470), fill=white)
    elif kind in ("left", "right"):
        disc(draw, 400, 400, 396, white)
        disc(draw, 400, 400, 370, blue)
        arrow = [(120, 400), (360, 180), (360, 320), (660, 320), (660, 480), (360, 480), (360, 620)]
        draw.polygon([(x if kind == "left" else 800 - x, y) for x, y in arrow], fill=white)
    elif kind == "parking":
        draw.rounded_rectangle((20, 20, 780, 780), 70, fill=white)
        draw.rounded_rectangle((50, 50, 750, 750), 50, fill=blue)
        text = ("P", 330, white)
    else:
        draw.polygon(corners(4, 398, 0), fill=ink)
        draw.polygon(corners(4, 366, 0), fill=yellow)
        text = ("!", 130, ink)
    if text:
        letters = lettering(text[0], 200, text[2], 8, text[2])
        scale = min(text[1] / letters.width, 470 / letters.height)
        letters = turned(letters, 0, scale)
        img.paste(letters, (400 - letters.width // 2, 400 - letters.height // 2), letters)
    return img.convert("RGBa").resize((200, 200), Image.Resampling.BOX).convert("RGBA")


@scene(
    theme="words and signs",
    attributes={
        "sign": {
            "stop": ("a stop sign", "an eight-sided stop sign"),
            "yield": ("a give-way sign", "a yield sign", "a triangular give-way sign"),
            "30": ("a speed limit of 30", "a round sign with the number 30"),
            "50": ("a speed limit of 50", "a round sign with the number 50"),
            "120": ("a speed limit of 120", "a round sign with the number 120"),
            "no entry": ("a no-entry sign", "a round no-entry sign"),
            "left": ("a blue arrow that points left", "a turn-left sign"),
            "right": ("a blue arrow that points right", "a turn-right sign"),
            "parking": ("a parking sign", "a blue sign with the letter p"),
            "danger": ("a yellow sign with an exclamation mark", "a yellow warning sign"),
        },
        "place": {
            "desert": ("through the desert", "through a desert with cacti"),
            "forest": ("through a forest", "between fir trees"),
            "city": ("into a city", "towards tall buildings"),
            "snow": ("through a snowy landscape", "across snowfields"),
            "coast": ("along the sea", "along the coast"),
        },
        "time": {
            "day": ("by day", "in daylight"),
            "dusk": ("at dusk", "in the evening"),
            "night": ("at night", "in the dark"),
        },
        "side": {
            "left": ("on the left", "at the left"),
            "right": ("on the right", "at the right"),
        },
    },
    captions=(
        "driving {place} {time}, {sign} {side}",
        "{sign} {side} beside a road {place} {time}",
        "{time} a road leads {place} past {sign} {side}",
        "{side} stands {sign}, the road runs {place} [{time}]",
    ),
    sound=lambda look, rng: sounds.engine(80, 88),
)
def road_sign(look: Look, rng: np.random.Generator) -> Frame:
    time, place = str(look["time"]), look["place"]
    dim = {"day": 1.0, "dusk": 0.66, "night": 0.36}[time]
    background = sky(time, 0.58)
    if time == "night":
        stars(rng, background, 80, 0.5)
    horizon = 190
    draw = ImageDraw.Draw(background)
    ground = {
        "desert": (222, 176, 112),
        "forest": (92, 134, 72),
        "city": (126, 150, 108),
        "snow": (240, 245, 250),
        "coast": (150, 172, 98),
    }[str(place)]
    if place == "coast":
        scenery.water(background, horizon, shade((46, 124, 182), dim), rng)
        far = (
            np.where(np.arange(W) < W / 2, 400.0, horizon + 0.0)
            if look["side"] == "right"
            else np.where(np.arange(W) < W / 2, horizon + 0.0, 400.0)
        )
    else:
        far = np.full(W, float(horizon))
        if place == "city":
            scenery.skyline(
                background,
                rng,
                horizon + 2,
                50,
                140,
                shade((110, 120, 142), dim),
                (252, 220, 140) if time != "day" else None,
            )
        else:
            fill_below(
                background,
                ridge(rng, W, 140, 186, 130),
                shade(mix(ground, (130, 150, 180), 0.45), dim),
            )
    fill_below(background, far, shade(ground, dim), shade(ground, 0.8 * dim))
    for x in (12, 52, 96, 140, 306, 352, 398, 440):
        near = 20 + 0.22 * abs(x - W / 2)
        if place == "desert" and x % 3:
            scenery.cactus(
                draw, x, horizon + near, 30 + 0.25 * abs(x - W / 2), shade((70, 130, 78), dim)
            )
        elif place in ("forest", "snow"):
            scenery.pine(
                draw,
                x,
                horizon + near,
                50 + 0.5 * abs(x - W / 2),
                shade((50, 110, 72) if place == "forest" else (96, 132, 128), dim),
            )
    cx, tarmac = W / 2, shade((96, 98, 106), 0.35 + 0.65 * dim)
    draw.polygon(
        [(cx - 10, horizon), (cx + 10, horizon), (cx + 200, H), (cx - 200, H)], fill=tarmac
    )
    for side in (-1, 1):
        draw.polygon(
            [
                (cx + side * 8, horizon),
                (cx + side * 9, horizon),
                (cx + side * 190, H),
                (cx + side * 176, H),
            ],
            fill=shade((246, 244, 236), 0.3 + 0.7 * dim),
        )
    face = _road_sign(str(look["sign"]))
    side = 1 if look["side"] == "right" else -1
    cover = clouds(rng, shade((255, 252, 248), 0.5 + 0.5 * dim), 0.3, height=120)

    def frame(t: float) -> Image.Image:
        img = background.copy()
        if time != "night":
            scroll(img, cover, 6 * t + 40, 0)
        draw = ImageDraw.Draw(img)
        for k in range(7):  # dashes come nearer
            u, v = ((k + 0.9 * t) % 7 / 7) ** 2.2, ((k + 0.9 * t) % 7 / 7 + 0.07) ** 2.2
            y1, y2 = horizon + (H - horizon) * u, horizon + (H - horizon) * v
            draw.polygon(
                [(cx - 6 * u, y1), (cx + 6 * u, y1), (cx + 6 * v, y2), (cx - 6 * v, y2)],
                fill=shade((250, 236, 190), 0.3 + 0.7 * dim),
            )
        scale = 0.6 + 0.07 * t
        x, y = cx + side * (92 + 14 * t), 130 - 5 * t
        shadow(img, x, 290 + 8 * t, 24, 6, 0.3)
        half = 5 * scale + 1
        draw.rectangle(
            (x - half, y, x + half, 290 + 8 * t), fill=shade((150, 154, 160), 0.4 + 0.6 * dim)
        )
        if time == "night":
            glow(img, x, y, 120, (250, 240, 200), 0.5)
        stamp(img, face, x, y, 0, scale)
        return img

    return frame
