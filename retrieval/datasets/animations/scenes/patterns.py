"""Patterns and mathematics."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from retrieval.datasets.animations import sounds
from retrieval.datasets.animations.canvas import (
    LENGTH_S,
    PAINT,
    H,
    W,
    disc,
    ease,
    fill_below,
    glow,
    gradient,
    mix,
    shade,
    shadow,
    sky,
    stars,
    stroke,
    wave,
)
from retrieval.datasets.animations.scene import Frame, Look, scene

THEME = "patterns and mathematics"


@scene(
    theme=THEME,
    attributes={
        "palette": {
            "fire": ("red and yellow", "fiery red and yellow"),
            "ice": ("blue and white", "icy blue and white"),
            "jewel": ("purple and green", "green and purple"),
            "candy": ("pink and turquoise", "turquoise and pink"),
            "gold": ("black and gold", "gold and black"),
            "contrast": ("orange and blue", "blue and orange"),
        },
        "n": {4: ("four",), 6: ("six",), 10: ("ten",)},
        "shape": {
            "circle": ("circles", "discs", "*roundels"),
            "triangle": ("triangles",),
            "stripe": ("stripes", "bars"),
        },
        "direction": {"in": ("inwards", "towards the centre"), "out": ("outwards", "to the rim")},
    },
    captions=(
        "a kaleidoscope of {palette} {shape} with {n} mirrored (sectors|wedges) [moves {direction}]",
        "{palette} {shape} (mirrored|repeated) {n} times in a kaleidoscope [drift {direction}]",
        "(a|an abstract) {n}-fold kaleidoscope [pattern] of {shape} in {palette}",
        "in a kaleidoscope {shape} in {palette} move {direction} , {n} times around",
        "{shape} in {palette} form a kaleidoscope star with {n} arms",
    ),
    sound=lambda look, rng: sounds.melody(rng, 6) if look["shape"] == "circle" else None,
)
def kaleidoscope(look: Look, rng: np.random.Generator) -> Frame:
    colours = {
        "fire": [(120, 16, 24), (214, 48, 40), (250, 190, 60), (255, 236, 160), (236, 110, 40)],
        "ice": [(20, 52, 120), (52, 120, 206), (140, 196, 240), (250, 252, 255), (32, 84, 160)],
        "jewel": [(58, 24, 92), (142, 70, 190), (44, 150, 90), (150, 226, 140), (90, 40, 130)],
        "candy": [
            (240, 120, 170),
            (52, 180, 184),
            (255, 214, 226),
            (150, 230, 226),
            (214, 70, 130),
        ],
        "contrast": [(24, 44, 96), (244, 140, 44), (60, 130, 220), (255, 206, 130), (30, 70, 150)],
        "gold": [(16, 15, 20), (222, 172, 62), (42, 38, 40), (250, 220, 130), (120, 86, 30)],
    }[look["palette"]]
    n, size, reach = int(look["n"]), 200, H / 2
    y, x = np.mgrid[0:H, 0:W] + 0.5
    dx, dy = x - W / 2, y - H / 2
    radius, angle = np.hypot(dx, dy), np.arctan2(dy, dx) + math.pi / 2
    wedge = math.pi / n
    folded = np.abs((angle + wedge) % (2 * wedge) - wedge)
    light = 1.1 - 0.45 * radius / reach - 0.1 * np.cos(folded / wedge * math.pi)
    light = Image.fromarray(np.clip(light * 255, 0, 255).astype(np.uint8))
    light = Image.merge("RGB", (light, light, light))
    source_x = np.clip(radius * np.cos(folded), 0, size - 1).astype(np.int32)
    source_y = np.clip(radius * np.sin(folded) + 20, 0, size - 1).astype(np.int32)
    source = source_y * size + source_x
    rim = Image.fromarray(np.clip((radius - reach + 8) * 255, 0, 255).astype(np.uint8))
    back = gradient([(0, shade(colours[0], 0.5)), (1, shade(colours[0], 0.25))])
    high = reach * math.sin(wedge) + 40
    places = rng.random((30, 2)) * (size + 60, high)
    sizes = (13 + 22 * rng.random(30)) * (0.6 + 0.4 * math.sin(wedge) / math.sin(math.pi / 4))
    spins = rng.random(30)
    paints = [colours[(i + 1) % len(colours)] for i in range(30)]
    sign = 1 if look["direction"] == "out" else -1

    def frame(t: float) -> Image.Image:
        tile = Image.new("RGB", (size, size), colours[0])
        draw = ImageDraw.Draw(tile)
        for i, ((px, py), r, spin) in enumerate(zip(places, sizes, spins, strict=True)):
            cx = (px + sign * 30 * t * (0.6 + 0.6 * spin)) % (size + 60) - 30
            cy = py + 8 * wave(t, 0.3, spin)
            turn = spin * 7 + t * (spin - 0.5) * 2.4
            if look["shape"] == "circle":
                disc(draw, cx, cy, r, paints[i])
                disc(draw, cx, cy, r * 0.55, shade(paints[i], 1.35))
                disc(draw, cx, cy, r * 0.25, colours[i % len(colours)])
            elif look["shape"] == "triangle":
                for grow, paint in ((1.5, paints[i]), (0.7, shade(paints[i], 1.35))):
                    corners = [turn + k * 2 * math.pi / 3 for k in range(3)]
                    draw.polygon(
                        [
                            (cx + grow * r * math.cos(a), cy + grow * r * math.sin(a))
                            for a in corners
                        ],
                        fill=paint,
                    )
            else:
                ax, ay = 3.4 * r * math.cos(turn), 3.4 * r * math.sin(turn)
                ends = [(cx - ax, cy - ay), (cx + ax, cy + ay)]
                draw.line(ends, fill=paints[i], width=round(r * 0.62))
                draw.line(ends, fill=shade(paints[i], 1.35), width=round(r * 0.2))
        pixels = np.asarray(tile.convert("RGBA")).view(np.uint32).ravel()[source]
        img = Image.frombuffer("RGBA", (W, H), pixels, "raw", "RGBA", 0, 1).convert("RGB")
        img = ImageChops.multiply(img, light)
        img.paste(back, (0, 0), rim)
        return img

    return frame


def _life(grid: np.ndarray, steps: int) -> list[np.ndarray]:
    """Conway's game on a torus: the grid and its next generations."""
    out = [grid]
    for _ in range(steps):
        g = out[-1].astype(np.int8)
        rows = np.roll(g, 1, 0) + g + np.roll(g, -1, 0)
        near = np.roll(rows, 1, 1) + rows + np.roll(rows, -1, 1) - g
        out.append((near == 3) | ((near == 2) & (g == 1)))
    return out


@scene(
    theme=THEME,
    attributes={
        "colour": {
            "green": ("green",),
            "red": ("red",),
            "orange": ("orange",),
            "blue": ("blue",),
            "pink": ("pink",),
        },
        "ground": {
            "black": ("a black grid", "a black background"),
            "white": ("a white grid", "white squared paper"),
            "purple": ("a dark purple grid", "a dark purple background"),
        },
        "start": {
            "glider": ("gliders", "diagonal gliders"),
            "pulsar": ("pulsars", "symmetric pulsing figures"),
            "blinker": ("blinkers", "bars of three cells"),
            "soup": ("random clusters", "scattered clusters", "*haphazard clusters"),
        },
        "size": {"small": ("tiny", "small"), "large": ("large", "big")},
    },
    captions=(
        "{size} {colour} cells of the game of life on {ground} , starting from {start}",
        "conway's game of life with {start}: {size} {colour} squares on {ground}",
        "{start} made of {size} {colour} squares (evolve|live) [in the game of life] on {ground}",
        "on {ground} {size} {colour} cells are born and die [in the game of life] [, {start}]",
        "(a cellular automaton|the game of life) [of {size} cells] in {colour} on {ground} with {start}",
    ),
    poster_s=1.2,
)
def game_of_life(look: Look, rng: np.random.Generator) -> Frame:
    cell = {"small": 8, "large": 16}[look["size"]]
    width, height = W // cell, H // cell
    grid = np.zeros((height, width), bool)
    if look["start"] == "soup":
        grid = rng.random((height, width)) < 0.32
    elif look["start"] == "blinker":
        for row in range(2, height - 2, 5):
            for column in range(2, width - 2, 5):
                if (row + column) % 2:
                    grid[row, column - 1 : column + 2] = True
                else:
                    grid[row - 1 : row + 2, column] = True
    elif look["start"] == "glider":
        glider = np.array([[0, 1, 0], [0, 0, 1], [1, 1, 1]], bool)
        for row in range(1, height - 4, 7):
            for column in range(1 + (row % 2) * 3, width - 4, 8):
                if rng.random() < 0.8:
                    grid[row : row + 3, column : column + 3] = glider
    else:
        part = np.zeros((13, 13), bool)
        for i in (2, 3, 4, 8, 9, 10):
            for j in (0, 5, 7, 12):
                part[i, j] = part[j, i] = True
        rows, columns = max(1, height // 17), max(1, width // 17)
        for i in range(rows):
            for j in range(columns):
                top = round((i + 0.5) * height / rows - 6.5)
                left = round((j + 0.5) * width / columns - 6.5)
                grid[top : top + 13, left : left + 13] = part
    rate = 5  # generations a second
    past = _life(grid, round(LENGTH_S * rate) + 2)
    ground = {"black": (16, 18, 24), "white": (244, 244, 240), "purple": (44, 26, 72)}[
        look["ground"]
    ]
    colour = PAINT[look["colour"]]
    if look["ground"] == "white":
        colour = shade(colour, 0.86)
    lines = mix(ground, (128, 128, 128), 0.22)
    board = Image.new("RGB", (W, H), ground)
    draw = ImageDraw.Draw(board)
    for x in range(0, W, cell):
        draw.line([(x, 0), (x, H)], fill=lines)
    for y in range(0, H, cell):
        draw.line([(0, y), (W, y)], fill=lines)
    tile = Image.new("L", (cell * 4, cell * 4))
    ImageDraw.Draw(tile).rounded_rectangle((4, 4, 4 * cell - 5, 4 * cell - 5), cell, fill=255)
    tile = np.asarray(tile.resize((cell, cell), Image.Resampling.BOX))
    dots = Image.fromarray(np.tile(tile, (height, width)))
    lit = gradient([(0, shade(colour, 1.25)), (1, shade(colour, 0.9))])
    trace = Image.new("RGB", (W, H), mix(ground, colour, 0.28))

    def mask(cells: np.ndarray, strength: float) -> Image.Image:
        on = np.repeat(np.repeat(cells, cell, 0), cell, 1)
        return Image.fromarray((np.asarray(dots) * (on * strength)).astype(np.uint8))

    def frame(t: float) -> Image.Image:
        img = board.copy()
        i, u = int(t * rate), ease((t * rate % 1) / 0.5)
        before = past[i - 1] if i else past[i]
        img.paste(trace, (0, 0), mask(before | past[max(i - 2, 0)], 1.0))
        img.paste(lit, (0, 0), mask(before.astype(np.float32) * (1 - u) + past[i] * u, 1.0))
        return img

    return frame


@scene(
    theme=THEME,
    attributes={
        "colour": {
            "red": ("red",),
            "blue": ("blue",),
            "green": ("green",),
            "orange": ("orange",),
            "purple": ("purple", "violet"),
            "pink": ("pink",),
        },
        "ground": {
            "white": ("white paper", "a white sheet"),
            "black": ("black paper", "a black sheet", "*ebony card"),
            "yellow": ("pale yellow paper", "a pale yellow sheet"),
            "blueprint": ("dark blue paper", "a dark blue sheet"),
        },
        "n": {3: ("three",), 5: ("five",), 8: ("eight",), 12: ("twelve", "a dozen")},
        "style": {"thin": ("a fine line", "a thin line"), "thick": ("a bold line", "a thick line")},
    },
    captions=(
        "a pen draws a {colour} spirograph with {n} petals on {ground} [in {style}]",
        "{style} in {colour} (grows|winds) into a {n}-petalled (rosette|curve) on {ground}",
        "on {ground} a {colour} rosette of {n} loops is drawn with {style}",
        "a spirograph (figure|pattern) of {n} loops in {colour} [, {style}] on {ground}",
        "{n} {colour} petals appear on {ground} as a spirograph (is drawn|unfolds) [with {style}]",
    ),
    poster_s=2.8,
)
def spirograph(look: Look, rng: np.random.Generator) -> Frame:
    ground = {
        "white": (248, 246, 240),
        "black": (24, 24, 30),
        "yellow": (250, 232, 166),
        "blueprint": (26, 44, 92),
    }[look["ground"]]
    colour = PAINT[look["colour"]]
    if look["ground"] in ("black", "blueprint"):
        colour = shade(colour, 1.25)
    elif look["ground"] == "yellow" or look["colour"] == "orange":
        colour = shade(colour, 0.82)
    background = gradient([(0, shade(ground, 1.1)), (1, shade(ground, 0.9))])
    glow(background, 130, 60, 260, shade(ground, 0.4), 0.5)
    n, rounds = int(look["n"]), 5
    u = np.linspace(0, 1, 1800)
    angle = 2 * math.pi * u * rounds
    shrink = 1 - 0.42 * u
    arm = 0.3 + 0.16 * rng.random()
    drift = 2 * math.pi * u * 0.4 / n
    radius = 148 * shrink * (1 - arm + arm * np.cos(n * angle))
    phase = rng.random() * 6.28
    x = W / 2 + radius * np.cos(angle + drift + phase)
    y = H / 2 + radius * np.sin(angle + drift + phase)
    points = list(zip(x.tolist(), y.tolist(), strict=True))
    thickness = {"thin": 2, "thick": 7}[look["style"]]
    inks = [mix(shade(colour, 0.72), shade(colour, 1.3), i / 5) for i in range(6)]
    dark = look["ground"] in ("black", "blueprint")
    left = rng.random() < 0.5

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        end = round(1799 * min(1.0, 0.3 + 0.7 * ease(t / 2.75)))
        for i in range(6):
            part = points[i * 300 : min((i + 1) * 300, end) + 1]
            if len(part) > 1:
                draw.line(part, fill=inks[i], width=thickness)
        px, py = points[end]
        if dark:
            glow(img, px, py, 40, colour, 0.7)
        tip = (px + (-52 if left else 52), py - 96)
        stroke(draw, [(px + (tip[0] - px) * 0.15, py - 14), tip], (70, 56, 50), 17)
        stroke(
            draw,
            [(px + (tip[0] - px) * 0.15, py - 14), tip],
            shade(PAINT[look["colour"]], 0.95),
            13,
        )
        draw.polygon(
            [
                (px, py),
                (px + (tip[0] - px) * 0.2 - 7, py - 14),
                (px + (tip[0] - px) * 0.1 + 8, py - 18),
            ],
            fill=(236, 204, 160),
        )
        disc(draw, px, py, thickness * 0.7 + 2, inks[-1])
        return img

    return frame


@scene(
    theme=THEME,
    attributes={
        "n": {1: ("one", "a single"), 2: ("two",), 3: ("three",), 4: ("four",)},
        "palette": {
            "sea": ("blue", "deep blue"),
            "fire": ("red and yellow", "yellow and red"),
            "mono": ("black and white", "*monochrome"),
            "green": ("green",),
            "violet": ("purple and pink", "pink and purple"),
        },
        "length": {"short": ("fine", "narrow"), "long": ("broad", "wide")},
        "layout": {
            "middle": ("around the middle", "near the centre"),
            "low": ("at the lower edge", "along the bottom"),
            "high": ("at the upper edge", "along the top"),
        },
    },
    captions=(
        "{length} {palette} waves spread from {n} {n|source|sources} {layout}",
        "{n} wave {n|source|sources} {layout} {n|makes|make} {length} {palette} (ripples|rings)",
        "{length} {palette} (ripples|circles) from {n} {n|point|points} {layout} [run outwards]",
        "(an interference pattern|a wave pattern) of {n} {n|source|sources} in {palette} [with {length} rings]",
        "seen from above {length} waves in {palette} run out from {n} {n|point|points} [{layout}]",
    ),
    sound=lambda look, rng: (
        sounds.together(
            0.25 * sounds.tone(220, 3.0),
            *(0.25 * sounds.tone(220 + 3.0 * i, 3.0) for i in range(1, int(look["n"]))),
        )
        if look["length"] == "long"
        else None
    ),
)
def interfering_waves(look: Look, rng: np.random.Generator) -> Frame:
    stops = {
        "sea": [(6, 24, 70), (24, 92, 170), (90, 180, 226), (240, 250, 255)],
        "fire": [(60, 6, 20), (200, 44, 32), (250, 170, 50), (255, 246, 190)],
        "mono": [(8, 8, 10), (90, 90, 94), (180, 180, 184), (252, 252, 252)],
        "green": [(8, 40, 26), (30, 120, 70), (120, 204, 110), (240, 255, 214)],
        "violet": [(44, 14, 84), (130, 60, 180), (240, 130, 190), (255, 232, 244)],
    }[look["palette"]]
    ramp = np.stack(
        [np.interp(np.linspace(0, 3, 256), range(4), [c[i] for c in stops]) for i in range(3)], 1
    )
    ramp = ramp.astype(np.uint8)
    n = int(look["n"])
    y, x = np.mgrid[0 : H // 2 : 1, 0 : W // 2 : 1].astype(np.float32)
    spread = {1: 0, 2: 62, 3: 56, 4: 50}[n]
    if look["layout"] != "middle":
        edge = 14 if look["layout"] == "high" else H / 2 - 14
        places = [(W / 4 + spread * (i - (n - 1) / 2), edge) for i in range(n)]
    elif n == 1:
        places = [(W / 4, H / 4)]
    else:
        turn = rng.random() * 0.7 + (0 if n == 2 else 0.5)
        places = [
            (
                W / 4 + 44 * math.cos(turn + 2 * math.pi * i / n),
                H / 4 + 36 * math.sin(turn + 2 * math.pi * i / n),
            )
            for i in range(n)
        ]
    wavelength = {"short": 13.0, "long": 30.0}[look["length"]] * (0.95 + 0.1 * rng.random())
    sines, cosines = 0.0, 0.0  # sum of sin(k r - w t) is one sine and one cosine of w t
    for px, py in places:
        r = np.hypot(x - px, y - py)
        fade = 1 / (1 + r / 90)
        sines = sines + fade * np.sin(2 * math.pi * r / wavelength)
        cosines = cosines + fade * np.cos(2 * math.pi * r / wavelength)
    scale = 255 / (2 * (0.62 + 0.5 * (n - 1)))
    sines, cosines = sines * scale, cosines * scale
    marks = [(2 * px, 2 * py) for px, py in places]

    def frame(t: float) -> Image.Image:
        a = 2 * math.pi * 0.9 * t
        height = sines * math.cos(a) - cosines * math.sin(a)
        slope = np.roll(height, 2, 0) - height
        level = np.clip(120 + height + 0.5 * slope, 0, 255).astype(np.uint8)
        img = Image.fromarray(ramp[level]).resize((W, H), Image.Resampling.BILINEAR)
        draw = ImageDraw.Draw(img)
        for px, py in marks:
            glow(img, px, py, 46, (255, 255, 255), 0.7)
            disc(draw, px, py, 9, (255, 255, 255))
            disc(draw, px, py, 6, stops[1])
        return img

    return frame


def _swaps(values: list[int], method: str) -> list[tuple[list[int], int, int]]:
    """The order before sorting and after every exchange, with the two places that changed."""
    a, n = list(values), len(values)
    states = [(list(a), -1, -1)]
    if method == "bubble":
        pairs = ((i, i + 1) for end in range(n - 1, 0, -1) for i in range(end))
        for i, j in pairs:
            if a[i] > a[j]:
                a[i], a[j] = a[j], a[i]
                states.append((list(a), i, j))
    else:
        for i in range(n - 1):
            j = min(range(i, n), key=lambda k: a[k])
            if i != j:
                a[i], a[j] = a[j], a[i]
                states.append((list(a), i, j))
    return states


@scene(
    theme=THEME,
    attributes={
        "palette": {
            "rainbow": ("rainbow-coloured", "many-coloured", "*multihued"),
            "blue": ("blue",),
            "orange": ("orange",),
            "green": ("green",),
            "pink": ("pink",),
        },
        "count": {
            "few": ("a few", "only a few"),
            "some": ("a dozen",),
            "many": ("many", "dozens of"),
        },
        "ground": {
            "black": ("a black background", "black"),
            "white": ("a white background", "white"),
            "blue": ("a dark blue background", "dark blue"),
        },
        "stage": {
            "start": ("still in disorder", "still unsorted"),
            "late": ("almost in order", "nearly sorted"),
        },
        "shape": {"bar": ("bars", "columns"), "dot": ("balls on stalks", "lollipops")},
    },
    captions=(
        "{count} {palette} {shape} on {ground} are (sorted|put in order) [, {stage}]",
        "an algorithm sorts {count} {palette} {shape} by height on {ground} [, they are {stage}]",
        "{count} {palette} {shape} , {stage} , swap places on {ground}",
        "sorting {count} {palette} {shape} [that are {stage}] by height on {ground}",
        "on {ground} {count} {palette} {shape} (change|trade) places [and are {stage}]",
    ),
    sound=lambda look, rng: sounds.together(
        *(
            sounds.at([s], sounds.tone(260 + 700 * float(rng.random()), 0.09, 0.04, (1, 0.3)), 0.4)
            for s in np.arange(0.05, 2.9, 0.17)
        )
    ),
    poster_s=1.5,
)
def sorting_bars(look: Look, rng: np.random.Generator) -> Frame:
    n = {"few": 6, "some": 12, "many": 32}[look["count"]]
    method, states = "select" if n == 32 else "bubble", []
    while len(states) < 8:  # an order that takes some work
        states = _swaps([int(v) for v in rng.permutation(n)], method)
    length = len(states)
    share = 0.3 if n == 32 else 0.42
    first, last = (
        (0, round(share * length))
        if look["stage"] == "start"
        else (round((1 - share) * length) - 1, length - 1)
    )
    steps = np.unique(np.linspace(first, last, min(last - first + 1, 14)).round().astype(int))
    steps = [states[i] for i in steps]
    ground = {"black": (20, 20, 26), "white": (246, 244, 238), "blue": (28, 40, 84)}[look["ground"]]
    background = gradient([(0, shade(ground, 1.06)), (1, shade(ground, 0.86))])
    draw = ImageDraw.Draw(background)
    floor = 302
    draw.rectangle((0, floor, W, H), fill=mix(ground, (128, 128, 128), 0.25))
    if look["palette"] == "rainbow":
        hues = [PAINT[c] for c in ("red", "orange", "yellow", "green", "blue", "purple")]
        at = np.linspace(0, 5, n)
        colours = [mix(hues[int(h)], hues[min(int(h) + 1, 5)], h % 1) for h in at]
    else:
        base = PAINT[look["palette"]]
        colours = [shade(base, 0.72 + 0.6 * i / (n - 1)) for i in range(n)]
    wide = (W - 40) / n

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        u = min(t / 2.8, 0.999) * (len(steps) - 1)
        before, (after, i, j) = steps[int(u)][0], steps[min(int(u) + 1, len(steps) - 1)]
        share = ease((u % 1) * 1.6)
        was = {v: k for k, v in enumerate(before)}
        for k, v in sorted(enumerate(after), key=lambda kv: kv[0] in (i, j)):
            place = was[v] + (k - was[v]) * share
            x, tall = 20 + place * wide, 40 + 224 * (v + 1) / n
            colour = colours[v]
            if k in (i, j):
                colour = mix(
                    colour, (255, 255, 255) if look["ground"] != "white" else (30, 30, 30), 0.45
                )
            gap = max(1, wide * 0.1)
            if look["shape"] == "bar":
                box = (x + gap, floor - tall, x + wide - gap, floor)
                draw.rounded_rectangle(box, min(8, wide / 4), fill=colour)
                draw.rectangle(
                    (x + gap, floor - tall + 8, x + gap + wide * 0.16, floor - 4),
                    fill=shade(colour, 1.3),
                )
                draw.rectangle(
                    (x + wide - gap - wide * 0.16, floor - tall + 8, x + wide - gap, floor),
                    fill=shade(colour, 0.75),
                )
            else:
                r = min(wide * 0.46, 22)
                middle = x + wide / 2
                stroke(
                    draw,
                    [(middle, floor), (middle, floor - tall + r)],
                    shade(colour, 0.7),
                    max(2, r * 0.3),
                )
                disc(draw, middle, floor - tall + r, r, shade(colour, 0.9))
                disc(draw, middle - r * 0.15, floor - tall + r * 0.85, r * 0.75, shade(colour, 1.1))
                disc(draw, middle - r * 0.3, floor - tall + r * 0.65, r * 0.25, shade(colour, 1.6))
        draw.line([(20, floor), (W - 20, floor)], fill=(140, 140, 150), width=2)
        return img

    return frame


@scene(
    theme=THEME,
    attributes={
        "leaf": {
            "green": ("green leaves", "green foliage"),
            "pink": ("pink blossom", "pink flowers"),
            "orange": ("orange leaves", "orange autumn leaves"),
            "white": ("white blossom", "white flowers"),
            "bare": ("no leaves", "bare branches"),
        },
        "time": {
            "dawn": ("at dawn", "at daybreak"),
            "day": ("in daylight", "on a bright day"),
            "dusk": ("at dusk", "in the evening"),
            "night": ("at night", "under the stars"),
        },
        "shape": {"slim": ("slender", "narrow"), "broad": ("broad", "wide", "*sprawling")},
        "ground": {
            "grass": ("on a green hill", "on a grassy hill"),
            "snow": ("in the snow", "on a snowy hill"),
            "sand": ("on red sand", "on a red dune"),
        },
    },
    captions=(
        "a {shape} (fractal|branching) tree with {leaf} grows {ground} {time}",
        "a {shape} tree with {leaf} divides [, fork by fork,] {ground} {time}",
        "{time} a {shape} fractal tree with {leaf} (stands|sways) {ground}",
        "{ground} a fractal tree [with {leaf}] spreads its {shape} crown {time}",
        "{time} the twigs of a {shape} (mathematical|fractal) tree (fork|divide) again and again [{ground}] , with {leaf}",
    ),
    sound=lambda look, rng: (
        sounds.wind(rng, 0.4)
        if look["leaf"] in ("bare", "orange")
        else sounds.chirp(rng)
        if look["time"] == "dawn"
        else None
    ),
    poster_s=2.6,
)
def fractal_tree(look: Look, rng: np.random.Generator) -> Frame:
    background = sky(look["time"], 0.9)
    if look["time"] == "night":
        stars(rng, background, 130, 0.8)
    light = {"dawn": 0.8, "day": 1.0, "dusk": 0.66, "night": 0.5}[look["time"]]
    sun = {
        "dawn": (255, 214, 150),
        "day": (255, 246, 200),
        "dusk": (255, 170, 90),
        "night": (226, 230, 240),
    }
    sun_x = 70 if rng.random() < 0.5 else W - 70
    sun_y = {"dawn": 226, "day": 54, "dusk": 226, "night": 58}[look["time"]]
    glow(background, sun_x, sun_y, 120, sun[look["time"]], 0.6)
    disc(ImageDraw.Draw(background), sun_x, sun_y, 26, sun[look["time"]])
    soil = {"grass": (92, 156, 78), "snow": (236, 240, 248), "sand": (204, 110, 70)}[look["ground"]]
    x = np.arange(W + 1)
    if look["ground"] == "snow":
        soil = mix(soil, (120, 130, 190), 0.7 - 0.7 * light)
    soil_light = max(light, 0.85) if look["ground"] == "snow" else light
    fill_below(
        background,
        284 - 20 * np.sin(x / W * math.pi) + 30 * (x / W - 0.5) ** 2,
        shade(soil, soil_light),
    )
    shadow(background, W / 2, 272, 90, 12, 0.45)
    spread = {"slim": 0.24, "broad": 0.62}[look["shape"]]
    grow = {"slim": 0.82, "broad": 0.76}[look["shape"]]
    trunk = {"slim": 54, "broad": 60}[look["shape"]]
    bark = shade((108, 74, 52), max(light, 0.5)) if look["time"] != "night" else (34, 26, 34)
    nodes = []  # (parent, length, angle against parent, level, phase), trunk first

    def branch(parent: int, length: float, angle: float, level: int) -> None:
        nodes.append((parent, length, angle, level, rng.random()))
        me = len(nodes) - 1
        if level < 7:
            for side in (-1, 1):
                bend = side * spread * (0.72 + 0.5 * rng.random())
                branch(me, length * grow * (0.86 + 0.22 * rng.random()), bend, level + 1)

    branch(-1, trunk, 0.0, 0)
    leaf = {"bare": None}.get(look["leaf"], PAINT.get(look["leaf"]))
    if leaf:
        leaf = shade(leaf, max(light, 0.62))
        leaves = [shade(leaf, s) for s in (0.78, 0.95, 1.12, 1.3)]
    order = sorted(range(len(nodes)), key=lambda i: -nodes[i][3])

    def frame(t: float) -> Image.Image:
        img = background.copy()
        draw = ImageDraw.Draw(img)
        age = 5.2 + 3.4 * ease(t / 2.4)  # levels grown so far
        ends, angles = [], []
        for parent, length, bend, level, phase in nodes:
            u = ease(age - level) if level else 1.0
            base = ends[parent] if parent >= 0 else (W / 2, 276.0)
            angle = (angles[parent] if parent >= 0 else 0.0) + bend
            angle += 0.012 * level * wave(t, 0.4, phase * 0.3)
            angles.append(angle)
            reach = length * u
            ends.append((base[0] + reach * math.sin(angle), base[1] - reach * math.cos(angle)))
        for i in order:
            parent, length, _, level, phase = nodes[i]
            if age <= level:
                continue
            base = ends[parent] if parent >= 0 else (W / 2, 280.0)
            width = max(1, round(17 * 0.68**level * min(1, age - level + 0.4)))
            draw.line([base, ends[i]], fill=shade(bark, 1 + 0.05 * level), width=width)
            if width > 4:
                disc(draw, *ends[i], width * 0.42, shade(bark, 1 + 0.05 * level))
            if leaf and level >= 5:
                r = (5.5 if look["leaf"] in ("green", "orange") else 4.5) * min(
                    1, (age - level) * 0.8
                )
                if r > 0.6:
                    disc(draw, *ends[i], r * (0.7 + 0.6 * phase), leaves[int(phase * 4)])
        return img

    return frame


@scene(
    theme=THEME,
    attributes={
        "palette": {
            "autumn": ("red and orange", "orange and red"),
            "sea": ("blue and turquoise", "turquoise and blue"),
            "meadow": ("green", "leafy green"),
            "berry": ("purple and pink", "pink and purple"),
            "stone": ("grey", "stone grey"),
        },
        "count": {
            "few": ("a few large", "only a few large"),
            "many": ("many small", "lots of small"),
        },
        "edge": {
            "black": ("black borders", "black edges"),
            "white": ("white borders", "white edges"),
            "gold": ("golden borders", "golden edges", "*gilt borders"),
        },
        "centre": {
            "dot": ("a dot in each", "a point in every cell"),
            "ring": ("a ring in each", "a circle in every cell"),
            "square": ("a square in each", "a square in every cell"),
            "none": ("no marks inside", "no dots at all"),
        },
    },
    captions=(
        "{count} {palette} voronoi cells with {edge} (drift|move) , {centre}",
        "a mosaic of {count} cells in {palette} [with {edge}] changes shape [, {centre}]",
        "{count} (polygons|cells) in {palette} push each other [, {edge} and {centre}]",
        "a (voronoi|cell) pattern in {palette} with {edge}: {count} cells [, {centre}]",
        "{edge} between {count} {palette} cells that (shift|drift) [, {centre}]",
    ),
)
def voronoi_cells(look: Look, rng: np.random.Generator) -> Frame:
    colours = {
        "autumn": [(190, 44, 40), (236, 104, 44), (250, 160, 70), (150, 34, 44), (222, 72, 52)],
        "sea": [(30, 84, 170), (58, 140, 210), (60, 190, 190), (24, 60, 130), (120, 210, 214)],
        "meadow": [(60, 140, 72), (120, 186, 80), (150, 206, 120), (40, 110, 70), (84, 160, 90)],
        "berry": [(110, 60, 160), (160, 90, 200), (244, 140, 180), (90, 40, 120), (220, 90, 160)],
        "stone": [
            (150, 154, 162),
            (214, 216, 220),
            (240, 240, 238),
            (116, 120, 130),
            (184, 188, 194),
        ],
    }[look["palette"]]
    n = {"few": 7, "many": 22}[look["count"]]
    columns, rows = {"few": (3, 3), "many": (6, 4)}[look["count"]]
    spots = [(i % columns, i // columns) for i in range(columns * rows)]
    spots = [spots[i] for i in sorted(rng.permutation(len(spots))[:n])]
    home = (np.array(spots) + 0.5 + 0.5 * (rng.random((n, 2)) - 0.5)) * (
        W / 2 / columns,
        H / 2 / rows,
    )
    swing = {"few": 26, "many": 13}[look["count"]]
    rate, phase = 0.15 + 0.2 * rng.random((n, 2)), rng.random((n, 2))
    paint = np.array(
        [shade(colours[i % 5], 0.92 + 0.16 * rng.random()) for i in range(n)], np.float32
    )
    border = {"black": (22, 22, 28), "white": (252, 252, 250), "gold": (226, 178, 70)}[look["edge"]]
    if look["palette"] == "stone" and look["edge"] == "white":
        paint = paint * 0.72
    height, width = H // 3, round(W / 3)
    x = (np.arange(width, dtype=np.float32) + 0.5) * (W / 2 / width)
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) * 1.5
    half = {"few": 3.2, "many": 2.0}[look["count"]]
    mark = {"few": 14, "many": 8}[look["count"]]

    def frame(t: float) -> Image.Image:
        p = home + swing * np.sin(2 * math.pi * (rate * t + phase))
        first = np.full((height, width), 1e9, np.float32)
        second = first.copy()
        near, next_near = np.zeros(first.shape, np.intp), np.zeros(first.shape, np.intp)
        for i, (px, py) in enumerate(p.astype(np.float32)):
            d = (x - px) ** 2 + (y - py) ** 2
            best, better = d < first, d < second
            next_near[better] = i
            next_near[best] = near[best]
            near[best] = i
            np.minimum(second, np.maximum(first, d), out=second)
            np.minimum(first, d, out=first)
        apart = np.hypot(p[:, None, 0] - p[None, :, 0], p[:, None, 1] - p[None, :, 1])
        away = (second - first) / (2 * np.maximum(apart[near, next_near], 1))
        light = 1.14 - np.sqrt(first) / {"few": 190, "many": 90}[look["count"]]
        edge = np.clip(half + 0.5 - away, 0, 1)[..., None]
        rgb = np.clip(paint[near] * light[..., None], 0, 255)
        rgb += (np.array(border, np.float32) - rgb) * edge
        img = Image.fromarray(rgb.astype(np.uint8))
        img = img.resize((W, H), Image.Resampling.BILINEAR)
        draw = ImageDraw.Draw(img)
        for cx, cy in 2 * p:
            if look["centre"] == "dot":
                disc(draw, cx, cy, mark * 1.1, border)
            elif look["centre"] == "square":
                r = mark * 1.2
                draw.rectangle((cx - r, cy - r, cx + r, cy + r), fill=border)
            elif look["centre"] == "ring":
                r = mark * 1.9
                draw.ellipse(
                    (cx - r, cy - r, cx + r, cy + r), outline=border, width=max(3, mark // 2)
                )
        return img

    return frame
