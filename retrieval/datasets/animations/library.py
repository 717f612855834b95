"""The film library's list of clips: one seed -> scenes, attributes and captions of every split.

Same shape as MSR-VTT's 1k protocol: about 7,000 training clips, 500 for validation, 1,000 for test,
20 captions each, of which the 1k test list takes one per clip.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from retrieval.datasets.animations import grammar
from retrieval.datasets.animations.scene import SCENES, Scene
from retrieval.errors import SettingsError
from retrieval.files import replacing, write_json

SEED = 2112
SPLITS = {"train": 7000, "val": 500, "test": 1000}  # clips
_FIRST = {"train": 0, "val": 7000, "test": 7500}  # number of each split's first clip


@dataclass(frozen=True)
class Clip:
    """One film: which scene, how it looks, what may be said of it."""

    id: str  # "video7500"
    number: int  # over all splits
    split: str
    scene_name: str
    look: dict[str, str | int]  # one value for each of the scene's attributes

    @property
    def scene(self) -> Scene:
        return SCENES[self.scene_name]

    def rng(self, use: str) -> np.random.Generator:
        """A generator of its own for each use, so that none disturbs another."""
        return np.random.default_rng([SEED, self.number, *use.encode()])

    @cached_property
    def captions(self) -> tuple[str, ...]:
        """20 captions in random order, full ones and brief ones.

        In the test split some use words that no training caption has.
        """
        rng = self.rng("captions")
        test_words = self.split == "test" and rng.random() < 0.15
        written = grammar.captions(
            self.scene.captions, self.look, self.scene.attributes, rng, 20, test_words
        )
        return tuple(written[i] for i in rng.permutation(20))

    @property
    def caption(self) -> str:
        """The one caption that the 1k list takes."""
        return self.captions[0]


@lru_cache(maxsize=3)
def split(name: str) -> tuple[Clip, ...]:
    """All clips of "train", "val" or "test", the same on every machine.

    Scenes take turns in a shuffled order, so that each family has nearly the same number of clips.

    Raises:
        ValueError: there is no such split.
    """
    if name not in SPLITS:
        raise ValueError(f"unknown split {name!r}; available: {', '.join(SPLITS)}")
    rng = np.random.default_rng([SEED, _FIRST[name]])
    scenes = sorted(SCENES)
    order = [scenes[i % len(scenes)] for i in range(SPLITS[name])]
    rng.shuffle(order)
    clips = []
    for i, scene_name in enumerate(order):
        number = _FIRST[name] + i
        look_rng = np.random.default_rng([SEED, number])
        look = {
            attribute: list(values)[look_rng.integers(len(values))]
            for attribute, values in SCENES[scene_name].attributes.items()
        }
        clips.append(Clip(f"video{number}", number, name, scene_name, look))
    return tuple(clips)


def sample_captions(name: str, n: int) -> list[str]:
    """A random sample of a split's captions, for a querybank: no clip twice before all were once.

    Raises:
        SettingsError: n is not in 1..20 times the number of clips.
    """
    clips = split(name)
    if not 1 <= n <= 20 * len(clips):
        raise SettingsError(
            f"the {name} split has {20 * len(clips)} captions, cannot take {n} of them"
        )
    rng = np.random.default_rng([SEED, _FIRST[name], n])
    order = rng.permutation(len(clips))
    places = rng.permuted(np.tile(np.arange(20), (len(clips), 1)), axis=1)  # [n_clips, 20]
    return [
        clips[order[i % len(clips)]].captions[places[i % len(clips), i // len(clips)]]
        for i in range(n)
    ]


def write_annotations(out: Path, name: str, clips: Sequence[Clip]) -> None:
    """Write the split in MSR-VTT's layouts: the JSON of all captions and the list of one each.

    Args:
        out: folder; gets ANIMATIONS_<split>.json ("videos", "sentences") and ANIMATIONS_<split>.csv
            (key, vid_key, video_id, sentence).
        name: the split's name.
        clips: the clips to list.
    """
    videos = [
        {
            "video_id": clip.id,
            "split": clip.split,
            "category": clip.scene.theme,
            "scene": clip.scene_name,
            "look": clip.look,
        }
        for clip in clips
    ]
    sentences = [
        {"sen_id": 20 * clip.number + i, "video_id": clip.id, "caption": text}
        for clip in clips
        for i, text in enumerate(clip.captions)
    ]
    write_json(out / f"ANIMATIONS_{name}.json", {"videos": videos, "sentences": sentences})
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("key", "vid_key", "video_id", "sentence"))
    for i, clip in enumerate(clips):
        rows.writerow((f"ret{i}", clip.id.replace("video", "anim"), clip.id, clip.caption))
    with replacing(out / f"ANIMATIONS_{name}.csv") as file:
        file.write(text.getvalue().encode())
