"""The drawing kit of the film library: skies, light, sprites and easing.

A scene draws on an RGB canvas of W x H = 448 x 336, twice the film's size, so every edge is
smoothed by scaling down. Whatever does not move is drawn once and copied into each frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

W, H = 448, 336  # canvas, pixels; a film frame is W / 2 x H / 2
LENGTH_S = 3.0  # seconds that every film lasts

Colour = tuple[int, int, int]

# Colours that go together; scenes take them by name so that a caption's word is always right.
PAINT: dict[str, Colour] = {
    "red": (214, 58, 50),
    "orange": (240, 140, 46),
    "yellow": (248, 205, 70),
    "green": (72, 168, 92),
    "blue": (58, 120, 206),
    "purple": (142, 86, 188),
    "pink": (240, 132, 172),
    "white": (244, 242, 236),
    "black": (38, 38, 46),
    "brown": (138, 92, 58),
    "grey": (142, 148, 156),
    "turquoise": (58, 186, 182),
    "gold": (222, 172, 62),
}

# Gradient stops from zenith to horizon for a time of day.
SKY: dict[str, tuple[tuple[float, Colour], ...]] = {
    "dawn": ((0.0, (86, 112, 172)), (0.55, (236, 170, 150)), (1.0, (255, 220, 168))),
    "day": ((0.0, (72, 146, 218)), (0.6, (150, 202, 240)), (1.0, (222, 240, 250))),
    "dusk": ((0.0, (52, 38, 92)), (0.5, (186, 76, 98)), (1.0, (252, 166, 88))),
    "night": ((0.0, (8, 12, 34)), (0.6, (22, 32, 72)), (1.0, (48, 60, 108))),
    "overcast": ((0.0, (118, 128, 142)), (1.0, (194, 200, 206))),
    "storm": ((0.0, (36, 40, 54)), (1.0, (98, 104, 118))),
}


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Blend two colours; share 0 gives a, 1 gives b."""
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))


def shade(colour: Colour, factor: float) -> Colour:
    """Darken (factor < 1) towards black or lighten (factor > 1, up to 2) towards white."""
    if factor <= 1:
        return mix((0, 0, 0), colour, max(factor, 0.0))
    return mix(colour, (255, 255, 255), min(factor - 1, 1.0))


def ease(u: float) -> float:
    """Smooth start and stop: 0 at u <= 0, 1 at u >= 1."""
    u = min(max(u, 0.0), 1.0)
    return u * u * (3 - 2 * u)


def ease_out(u: float) -> float:
    """Fast start, gentle stop."""
    u = min(max(u, 0.0), 1.0)
    return 1 - (1 - u) ** 3


def wave(t: float, per_s: float, phase: float = 0.0) -> float:
    """A sine of `per_s` turns a second, in -1..1; phase in turns."""
    return math.sin(2 * math.pi * (per_s * t + phase))


def gradient(
    stops: Sequence[tuple[float, Colour]], size: tuple[int, int] = (W, H), horizontal: bool = False
) -> Image.Image:
    """An RGB gradient through (place 0..1, colour) stops, top to bottom or left to right."""
    width, height = size
    n = width if horizontal else height
    place = np.linspace(0, 1, n)
    at = [p for p, _ in stops]
    line = np.stack([np.interp(place, at, [c[i] for _, c in stops]) for i in range(3)], axis=1)
    line = line[None, :, :] if horizontal else line[:, None, :]
    pixels = np.broadcast_to(line + 0.5, (height, width, 3)).astype(np.uint8)
    return Image.fromarray(pixels)


def sky(time: str, horizon: float = 0.75) -> Image.Image:
    """The sky of a time of day, its horizon colour reached at that share of the height."""
    return gradient(
        [(place * horizon, colour) for place, colour in SKY[time]] + [(1.0, SKY[time][-1][1])]
    )


@lru_cache(maxsize=256)
def _halo(radius: int, colour: Colour, falloff: float) -> Image.Image:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1] / max(radius, 1)
    light = np.clip(1 - np.hypot(x, y), 0, 1) ** falloff
    return Image.fromarray((light[..., None] * np.array(colour)).astype(np.uint8))


def glow(
    img: Image.Image,
    x: float,
    y: float,
    radius: float,
    colour: Colour,
    strength: float = 1.0,
    falloff: float = 2.0,
) -> None:
    """Add soft light around a point (screen blending), in place; strength 0..1."""
    radius = max(
        1, round(radius / 4) * 4
    )  # few distinct radii, so that halos are found in the cache
    # strength is rounded for the same reason
    halo = _halo(radius, shade(colour, round(min(max(strength, 0), 1) * 24) / 24), falloff)
    left, top = round(x) - radius, round(y) - radius
    box = (
        max(left, 0),
        max(top, 0),
        min(left + halo.width, img.width),
        min(top + halo.height, img.height),
    )
    if box[0] >= box[2] or box[1] >= box[3]:
        return
    light = halo.crop((box[0] - left, box[1] - top, box[2] - left, box[3] - top))
    img.paste(ImageChops.screen(img.crop(box), light), box)


@lru_cache(maxsize=64)
def _soft_ellipse(rx: int, ry: int, softness: float) -> Image.Image:
    y, x = np.mgrid[-ry : ry + 1, -rx : rx + 1]
    inside = np.clip((1 - np.hypot(x / max(rx, 1), y / max(ry, 1))) / softness, 0, 1)
    return Image.fromarray((255 * inside * inside * (3 - 2 * inside)).astype(np.uint8))


def shadow(
    img: Image.Image,
    x: float,
    y: float,
    rx: float,
    ry: float,
    strength: float = 0.45,
    softness: float = 0.8,
) -> None:
    """Darken a soft ellipse on the ground, in place; strength 0..1."""
    mask = _soft_ellipse(max(1, round(rx)), max(1, round(ry)), softness)
    mask = mask.point([round(v * strength) for v in range(256)])
    img.paste((0, 0, 0), (round(x) - mask.width // 2, round(y) - mask.height // 2), mask)


def sprite(
    width: int, height: int, painter: Callable[[ImageDraw.ImageDraw, float], None]
) -> Image.Image:
    """An RGBA picture drawn once at four times its size: painter(draw, scale) with scale = 4.

    The painter multiplies its coordinates (0..width, 0..height) by scale. Edges come out smooth.
    """
    scale = 4
    large = Image.new("RGBA", (width * scale, height * scale), (0, 0, 0, 0))
    painter(ImageDraw.Draw(large), scale)
    # Premultiplied scaling keeps transparent black from darkening the edges.
    return large.convert("RGBa").resize((width, height), Image.Resampling.BOX).convert("RGBA")


def turned(
    picture: Image.Image, angle: float = 0.0, scale: float | tuple[float, float] = 1.0
) -> Image.Image:
    """The picture scaled (one factor or x and y) and turned anticlockwise by degrees."""
    if scale != 1.0:
        sx, sy = scale if isinstance(scale, tuple) else (scale, scale)
        size = (max(1, round(picture.width * abs(sx))), max(1, round(picture.height * abs(sy))))
        if sx < 0:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    if angle % 360:
        picture = picture.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    return picture


def stamp(
    img: Image.Image,
    picture: Image.Image,
    x: float,
    y: float,
    angle: float = 0.0,
    scale: float | tuple[float, float] = 1.0,
    alpha: float = 1.0,
) -> None:
    """Put an RGBA picture with its centre at (x, y), in place; parts outside the canvas are cut."""
    picture = turned(picture, angle, scale)
    mask = picture.getchannel("A")
    if alpha < 1:
        mask = mask.point([round(v * max(alpha, 0)) for v in range(256)])
    img.paste(picture, (round(x - picture.width / 2), round(y - picture.height / 2)), mask)


def stroke(
    draw: ImageDraw.ImageDraw,
    points: Sequence[tuple[float, float]],
    colour: Colour | tuple[int, int, int, int],
    width: float,
) -> None:
    """A thick line through the points with round joints and round ends."""
    draw.line(list(points), fill=colour, width=max(1, round(width)), joint="curve")
    r = width / 2
    if r >= 1:
        for x, y in (points[0], points[-1]):
            draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)


def disc(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, colour: tuple[int, ...]) -> None:
    """A filled circle."""
    draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)


def ball(radius: int, colour: Colour, light: tuple[float, float] = (-0.35, -0.4)) -> Image.Image:
    """A shaded sphere as an RGBA sprite of side 2 * radius + 2, lit from the given direction."""
    r = radius + 1
    y, x = np.mgrid[-r:r, -r:r] + 0.5
    x, y = x / radius, y / radius
    rim = np.hypot(x, y)
    z = np.sqrt(np.clip(1 - rim**2, 0, 1))
    lx, ly = light
    lz = math.sqrt(max(1 - lx * lx - ly * ly, 0.05))
    diffuse = np.clip(x * lx + y * ly + z * lz, 0, 1)
    spot = np.clip((diffuse - 0.93) / 0.07, 0, 1)[..., None] ** 2
    rgb = np.array(colour) * (0.38 + 0.72 * diffuse[..., None])
    rgb = np.clip(rgb, 0, 255) * (1 - 0.75 * spot) + 255 * 0.75 * spot
    alpha = np.clip((1 - rim) * radius + 0.5, 0, 1) * 255
    return Image.fromarray(np.dstack([rgb, alpha]).astype(np.uint8), "RGBA")


def noise(
    rng: np.random.Generator, size: tuple[int, int], cell: float, octaves: int = 3
) -> np.ndarray:
    """Smooth noise [height, width] in 0..1 whose largest blobs are `cell` pixels wide."""
    width, height = size
    total, weight = np.zeros((height, width), np.float32), 0.0
    for octave in range(octaves):
        step = max(cell / 2**octave, 1.0)
        grid = rng.random((math.ceil(height / step) + 3, math.ceil(width / step) + 3), np.float32)
        layer = Image.fromarray(grid, "F").resize(
            (round(grid.shape[1] * step), round(grid.shape[0] * step)), Image.Resampling.BICUBIC
        )
        total += np.asarray(layer)[:height, :width] / 2**octave
        weight += 1 / 2**octave
    return np.clip(total / weight, 0, 1)


def ridge(rng: np.random.Generator, width: int, low: float, high: float, cell: float) -> np.ndarray:
    """A hill line: y for every x in 0..width, between low and high (y grows downwards)."""
    line = noise(rng, (width, 1), cell, 3)[0]
    line = (line - line.min()) / max(float(np.ptp(line)), 1e-6)
    return low + (high - low) * line


def fill_below(
    img: Image.Image, line: np.ndarray, colour: Colour, bottom: Colour | None = None
) -> None:
    """Fill the ground below a hill line, in place, shading towards `bottom` at the lower edge."""
    mask = Image.new("L", img.size)
    points = [(float(x), float(y)) for x, y in enumerate(line[:: max(1, len(line) // W)])]
    points = [(x * max(1, len(line) // W), y) for x, y in points]
    ImageDraw.Draw(mask).polygon([*points, (img.width, img.height), (0, img.height)], fill=255)
    top = float(line.min()) / img.height
    ground = gradient([(0, colour), (top, colour), (1, bottom or shade(colour, 0.7))], img.size)
    img.paste(ground, (0, 0), mask)


def clouds(
    rng: np.random.Generator,
    colour: Colour = (255, 255, 255),
    cover: float = 0.45,
    width: int = 2 * W,
    height: int = H // 2,
    cell: float = 120,
) -> Image.Image:
    """A wide RGBA layer of soft clouds that wraps round; cover 0..1 is about the sky hidden."""
    density = noise(rng, (width, height), cell, 4)
    seam = np.linspace(
        0, 1, width // 4
    )  # the first quarter blends into the end, so the layer repeats
    density[:, -len(seam) :] = (
        density[:, -len(seam) :] * (1 - seam) + density[:, : len(seam)][:, ::-1] * seam
    )
    low = np.quantile(density, 1 - cover)
    alpha = np.clip((density - low) / max(float(density.max() - low), 1e-6) * 1.8, 0, 1)
    alpha *= np.sin(np.linspace(0, math.pi, height))[:, None] ** 0.5
    lit = np.clip(0.86 + 0.2 * (density - np.roll(density, 6, axis=0)) * 4, 0.7, 1)
    rgb = np.array(colour) * lit[..., None]
    return Image.fromarray(np.dstack([np.clip(rgb, 0, 255), alpha * 235]).astype(np.uint8), "RGBA")


def scroll(img: Image.Image, layer: Image.Image, offset: float, y: int = 0) -> None:
    """Put a wide RGBA layer that wraps round, shifted left by offset pixels, in place."""
    start = round(offset) % layer.width
    for left in (-start, layer.width - start):
        if left < img.width and left + layer.width > 0:
            img.paste(layer, (left, y), layer)


def stars(rng: np.random.Generator, img: Image.Image, n: int = 160, below: float = 0.7) -> None:
    """Scatter stars over the upper share of the canvas, in place."""
    draw = ImageDraw.Draw(img)
    for x, y, size in zip(
        rng.random(n) * img.width, rng.random(n) * img.height * below, rng.random(n), strict=True
    ):
        light = round(130 + 125 * size)
        disc(draw, x, y, 0.6 + 1.2 * size**3, (light, light, min(255, light + 12)))


def blurred(img: Image.Image, radius: float) -> Image.Image:
    """The picture softened by a Gaussian of that radius in pixels."""
    return img.filter(ImageFilter.GaussianBlur(radius))


@lru_cache(maxsize=1)
def _vignette(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light = 1 - 0.22 * np.clip(np.hypot(x, y) - 0.55, 0, 1) ** 1.5
    return Image.fromarray(np.repeat((light * 255)[..., None], 3, axis=2).astype(np.uint8))


def vignette(img: Image.Image) -> Image.Image:
    """The picture with slightly darker corners."""
    return ImageChops.multiply(img, _vignette(*img.size))


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font, the same on every machine."""
    return ImageFont.load_default(size)


def lettering(
    text: str, size: int, colour: Colour, stroke_width: int = 0, stroke_colour: Colour = (0, 0, 0)
) -> Image.Image:
    """Text as an RGBA sprite, cut to its edges."""
    box = font(size).getbbox(text, stroke_width=stroke_width)
    picture = Image.new("RGBA", (box[2] - box[0] + 4, box[3] - box[1] + 4), (*colour, 0))
    ImageDraw.Draw(picture).text(
        (2 - box[0], 2 - box[1]),
        text,
        fill=colour,
        font=font(size),
        stroke_width=stroke_width,
        stroke_fill=stroke_colour,
    )
    return picture


def room(
    rng: np.random.Generator, wall: Colour, table: Colour, edge: int = 240, light: float = 0.3
) -> Image.Image:
    """A plain wall lit by a lamp at that share of the width, and a wooden table below y = edge."""
    img = gradient([(0, shade(wall, 0.78)), (0.45, wall), (1, shade(wall, 0.8))])
    glow(img, W * light, 70, 300, shade(wall, 0.5), 0.6)
    grain = noise(rng, (W // 8, H - edge), 10, 3)
    grain = np.asarray(Image.fromarray(grain, "F").resize((W, H - edge)))[..., None] - 0.5
    depth = np.linspace(1.08, 0.72, H - edge)[:, None, None] * (1 + 0.3 * grain)
    top = np.clip(np.array(table) * depth, 0, 255).astype(np.uint8)
    img.paste(Image.fromarray(top), (0, edge))
    ImageDraw.Draw(img).line([(0, edge), (W, edge)], fill=shade(table, 1.25), width=2)
    glow(img, W * light, edge + 30, 160, shade(table, 0.6), 0.45)
    return img
