"""What a scene family is: one drawing function with its attributes, its words and its sound.

    @scene(
        theme="weather",
        attributes={
            "colour": {"red": ("red", "scarlet"), "blue": ("blue",)},
            "n": {1: ("one", "a single"), 2: ("two", "a pair of"), 3: ("three",)},
        },
        captions=("{n} {colour} {n|kite|kites} (fly|flies) [high] over a field", ...),
        sound=lambda look, rng: sounds.wind(rng),
    )
    def kites(look, rng):
        background = ...                      # drawn once
        def frame(t):                         # t: seconds, 0 <= t < 3
            img = background.copy()
            ...
            return img                        # RGB, W x H of canvas.py
        return frame

`look` holds one value for each attribute. The function's name is the scene's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

Look = Mapping[str, str | int]
Frame = Callable[[float], Image.Image]


@dataclass(frozen=True)
class Scene:
    """A family of films that differ in their attributes."""

    name: str  # the drawing function's name
    theme: str  # one of the ten or so themes
    draw: Callable[[Look, np.random.Generator], Frame]
    attributes: Mapping[str, Mapping[str | int, tuple[str, ...]]]  # attribute -> value -> phrases
    captions: tuple[str, ...]  # templates of grammar.py
    sound: Callable[[Look, np.random.Generator], np.ndarray | None] | None  # mono, or None: silent
    poster_s: float  # the second at which the film looks best


SCENES: dict[str, Scene] = {}


def scene(
    theme: str,
    attributes: Mapping[str, Mapping[str | int, tuple[str, ...]]],
    captions: tuple[str, ...],
    sound: Callable[[Look, np.random.Generator], np.ndarray | None] | None = None,
    poster_s: float = 1.8,
) -> Callable:
    """Register the decorated function as a scene family; see the module's example."""

    def register(draw: Callable[[Look, np.random.Generator], Frame]) -> Callable:
        name = draw.__name__
        if name in SCENES:
            raise ValueError(f"two scenes are called {name!r}; give one another name")
        SCENES[name] = Scene(name, theme, draw, attributes, captions, sound, poster_s)
        return draw

    return register
