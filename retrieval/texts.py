"""Captions of a data set -> a file of their tokens, as official configs read text features.

The file is a pickle of a dict, video -> one float array [n_tokens, dim] for each caption. It grows
item by item beside its place, so memory holds a few hundred captions at a time; after each of these
it is noted how much is whole, and a run that broke off goes on from there.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from retrieval.building import Journal, lock
from retrieval.datasets.features import read_dict, read_sentences
from retrieval.encoders.tokens import TokenEncoder
from retrieval.errors import FileError, ModelError, SettingsError
from retrieval.files import (
    PICKLE_HEAD,
    PICKLE_TAIL,
    pickled_item,
    sha256_file,
    sync_folder,
)

_CAPTIONS = 256  # encoded together, and written before the next are begun
AGREE = 1e-5  # two makers' numbers differ by less, as the released code judges it


@dataclass(frozen=True)
class Written:
    """What stands in a file of text features."""

    n_videos: int
    n_captions: int
    n_tokens: int
    n_empty: int  # captions of which nothing is known


def read_captions(path: Path, limit: int | None = None) -> dict[str, list[str]]:
    """Read the captions of a data set.

    Args:
        path: raw-captions.pkl, video -> captions, each a list of words or a string; or .json.
        limit: the first videos only.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: it holds anything else, or a video has no caption.
    """
    held = read_sentences(path)
    found = {video: held[video] for video in list(held)[:limit]}
    if not found:
        raise FileError(f"{path.name} holds no caption; give the data set's raw-captions.pkl")
    without = next((video for video, captions in found.items() if not captions), None)
    if without is not None:
        raise FileError(
            f"{path.name}: video {without!s:.40} has no caption; leave it out, or copy the file "
            "again"
        )
    return found


def write_texts(
    encoder: TokenEncoder,
    captions: Mapping[str, Sequence[str]],
    out: Path,
    *,
    recipe: Mapping[str, Any],
    command: str,
    half: bool = False,
    done: Callable[[int], None] = lambda n: None,
) -> Written:
    """Embed every caption, and write what that gives.

    Args:
        encoder: makes the tokens.
        captions: of each video; the order is kept.
        out: the file to make; the folder is made too.
        recipe: what decides the tokens, JSON; another one does not go on with what there is.
        command: to tell whoever finds a half.
        half: write float16 instead of float32.
        done: told how many more captions are written.

    Raises:
        SettingsError: another run with another recipe is not finished.
        ModelError: a token is not finite.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    dtype = np.float16 if half else np.float32
    with GrowingPickle(out, dict(recipe), command) as growing:
        total = np.array(growing.noted["counts"] or [0, 0, 0, 0])
        videos = list(captions)[total[0] :]
        done(int(total[1]))
        for some in _groups(videos, captions):
            texts = [text for video in some for text in captions[video]]
            tokens = [_checked(one, encoder) for one in encoder.encode_all(texts)]
            n_empty = sum(len(one) == 0 for one in tokens)
            # Released loaders pad with zeros; ours ask for one token or more.
            tokens = [one if len(one) else np.zeros((1, encoder.dim), np.float32) for one in tokens]
            rows = iter(tokens)
            for video in some:
                growing.add(video, [next(rows).astype(dtype) for _ in captions[video]])
            total += (len(some), len(texts), sum(map(len, tokens)), n_empty)
            growing.note(total.tolist())
            done(len(texts))
        growing.finish()
    return Written(*total.tolist())


def recipe_of(spec: str, captions: Path, n_videos: int, half: bool) -> dict[str, Any]:
    """What decides the tokens that a file gets; `spec` as for `get_tokens`."""
    name, separator, source = spec.partition("=")
    if separator and Path(source).exists():
        spec = f"{name}={Path(source).resolve()}"
    return {
        "encoder": spec,
        "captions": sha256_file(captions),
        "n_videos": n_videos,
        "half": half,
    }


def compare_texts(
    encoder: TokenEncoder, captions: Mapping[str, Sequence[str]], reference: Path
) -> tuple[int, float]:
    """Hold an encoder against features that somebody else made of the same captions.

    Returns:
        captions compared, and the largest difference of a number.

    Raises:
        FileError: the file lacks a video, or has other captions or tokens; the first is named.
    """
    held, worst, n = read_dict(reference, list(captions)), 0.0, 0
    for video, texts in captions.items():
        if video not in held or len(held[video]) != len(texts):
            has = f"{len(held[video])} captions" if video in held else "none"
            raise FileError(
                f"{reference.name} has {has} of video {video}, there are {len(texts)}; give the "
                "features of these captions"
            )
        for text, ours, theirs in zip(texts, encoder.encode_all(texts), held[video], strict=True):
            theirs = np.asarray(theirs)
            if ours.shape != theirs.shape:
                raise FileError(
                    f"{reference.name} has tokens {theirs.shape} of {text[:40]!r} (video {video}), "
                    f"here they are {ours.shape}; it was made by another encoder or another rule"
                )
            worst = max(worst, float(np.abs(ours - theirs).max(initial=0.0)))
            n += 1
    return n, worst


def _groups(videos: Sequence[str], captions: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Videos with a few hundred captions together."""
    some: list[str] = []
    n = 0
    for video in videos:
        some.append(video)
        n += len(captions[video])
        if n >= _CAPTIONS:
            yield some
            some, n = [], 0
    if some:
        yield some


def _checked(tokens: np.ndarray, encoder: TokenEncoder) -> np.ndarray:
    if not np.isfinite(tokens).all():
        raise ModelError(
            f"{encoder.name} makes tokens that are not finite; fetch its weights again"
        )
    return tokens


class GrowingPickle:
    """A dict in a file that grows item by item, and is in its place once it is whole.

    OUT.partial holds the items so far, OUT.partial.jsonl what made them and, after each note, how
    many bytes are whole; what follows these is cut off when another run goes on.
    """

    def __init__(self, out: Path, recipe: dict[str, Any], command: str) -> None:
        self.out = Path(os.path.abspath(out))
        self.partial = self.out.with_name(f"{self.out.name}.partial")
        self.journal = Journal(self.out.with_name(f"{self.out.name}.partial.jsonl"))
        self.recipe, self.command = recipe, command
        self.noted: dict[str, Any] = {"bytes": len(PICKLE_HEAD), "counts": []}
        self._files = contextlib.ExitStack()

    def __enter__(self) -> "GrowingPickle":
        with contextlib.ExitStack() as files:
            held = files.enter_context(open(self.journal.path, "ab"))
            if not lock(held):
                raise SettingsError(f"{self.out.name} is being written; wait for it")
            lines = self.journal.entries()
            if lines and lines[0].get("recipe") != self.recipe:
                raise SettingsError(
                    f"{self.partial.name} was begun by `{lines[0].get('command')}`; finish it with "
                    f"that, or delete it and {self.journal.path.name}"
                )
            if lines and self.partial.is_file():
                whole = [line for line in lines[1:] if line["bytes"] <= self.partial.stat().st_size]
                self.noted = whole[-1] if whole else self.noted
            self._file: BinaryIO = files.enter_context(open(self.partial, "ab"))
            self._file.truncate(self.noted["bytes"] if self.noted["counts"] else 0)
            if not self.noted["counts"]:
                self._file.write(PICKLE_HEAD)
                held.truncate(0)
                self.journal.note({"command": self.command, "recipe": self.recipe})
            self._files = files.pop_all()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._files.close()

    def add(self, key: str, value: Any) -> None:
        """Add an item; it is safe from a break once it is noted."""
        self._file.write(pickled_item(key, value))

    def note(self, counts: list[int]) -> None:
        """Flush what was added to disk, and write down that it is whole."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self.journal.note({"bytes": self._file.tell(), "counts": counts})

    def finish(self) -> None:
        """Put the file in its place."""
        self._file.write(PICKLE_TAIL)
        self._file.flush()
        os.fsync(self._file.fileno())
        os.replace(self.partial, self.out)
        self.journal.path.unlink()
        sync_folder(self.out.parent)
