"""A video file and an encoder -> what the encoder takes of the file; that -> rows of the encoder.

A CLIP model takes frames. A network of the film library's experts takes their features, computed
here as `python -m retrieval animations --experts` computes them of a library clip, with the same
gaps: no sound, no audio expert; no words, no ocr.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from retrieval import video
from retrieval.datasets.features import Features
from retrieval.datasets.trees import medium_of
from retrieval.encoders import ENCODERS
from retrieval.errors import ModelError, VideoError
from retrieval.experts import EXPERTS, hearing, layout, motion, signals
from retrieval.video import films
from retrieval.video.films import Film, read_film

DATASET = "Animations"  # whose experts can be computed of a file
WORDS = ENCODERS["animations-clip"].parent / "tokens-words"  # vectors of words on screen
DRAWN = (
    "was trained on small drawn films of 3 seconds alone; what it makes of real video is a guess"
)
_LACKING = {"audio": "sound", "ocr": "words on screen", "speech": "speech or signals"}
_SMALL = 4  # film pixels to one of motion and scene
_GREY = np.array([0.3, 0.59, 0.11], np.float32)
_MEL_S = 0.98  # seconds of sound that one token takes

Say = Callable[[str], None]  # told what is being done


class Watcher(Protocol):
    """What an encoder needs done with video files."""

    def watch(
        self,
        path: str | Path,
        child: video.Child | None = None,
        most_s: float | None = None,
        say: Say = lambda _: None,
    ) -> Any:
        """What the encoder takes of a file.

        Args:
            path: a local video file.
            child: opens a stranger's file; None takes the one for files of the operator.
            most_s: of a stranger's file, only so many seconds from the start are used.
            say: told what is being done.

        Raises:
            VideoError: the file holds no video that can be read, or nothing that the encoder takes.
        """
        ...

    def embed(self, watched: Sequence[Any]) -> np.ndarray:
        """[n, dim] rows of the encoder."""
        ...


def watcher_of(encoder: Any) -> Watcher:
    """What watches video files for an encoder.

    Raises:
        ModelError: it takes features that cannot be computed here.
    """
    return Experts(encoder) if hasattr(encoder, "reads") else Frames(encoder)


def media_of(encoder: Any) -> str:
    """What its galleries hold, "audio" or "video": a network that only listens searches sounds."""
    return medium_of(name for name, _ in getattr(encoder, "experts", ()))


def is_of_drawn_films(encoder: Any) -> bool:
    """Whether an encoder has seen nothing but the film library; then `DRAWN` holds of it."""
    return encoder.name in ENCODERS or hasattr(encoder, "reads")


class Frames:
    """For encoders of frames."""

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder

    def watch(
        self,
        path: str | Path,
        child: video.Child | None = None,
        most_s: float | None = None,
        say: Say = lambda _: None,
    ) -> np.ndarray:
        """[n_frames, height, width, 3] uint8."""
        say("Decoding frames")
        if child is None:
            return video.sample_frames(path, self.encoder.n_frames)
        return films.read_frames(path, self.encoder.n_frames, child, most_s)

    def embed(self, watched: Sequence[np.ndarray]) -> np.ndarray:
        """One row a video."""
        return np.asarray(self.encoder.encode_videos(list(watched)))


class Experts:
    """For networks of the film library's experts."""

    def __init__(self, encoder: Any) -> None:
        """Raises:
        ModelError: the network takes experts of another kind.
        """
        reads, dims = encoder.reads, {each.name: each.dim for each in encoder.model.config.experts}
        strange = sorted(
            name for name in dims if name not in EXPERTS or EXPERTS[name].dim != dims[name]
        )
        if reads.dataset != DATASET or strange:
            raise ModelError(
                f"{encoder.name} takes features that are not computed here of a video "
                f"({', '.join(strange or dims)} of {reads.dataset}); give them with --experts"
            )
        self.encoder, self.names = encoder, tuple(dims)

    def watch(
        self,
        path: str | Path,
        child: video.Child | None = None,
        most_s: float | None = None,
        say: Say = lambda _: None,
    ) -> dict[str, np.ndarray]:
        """Expert -> [n, dim] float16, of those that the video has."""
        say("Decoding frames and sound")
        film = read_film(path, child, most_s)
        found = features_of(film, self.names, say)
        if not found:
            lacking = " or ".join(_LACKING.get(name, name) for name in self.names)
            raise VideoError(
                f"{Path(path).name} has no {lacking}, and {self.encoder.name} compares nothing else"
            )
        return found

    def embed(self, watched: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
        """One row a video."""
        from retrieval.featured import clips_of

        videos = [str(n) for n in range(len(watched))]
        found = {name: _together(name, [each.get(name) for each in watched]) for name in self.names}
        return self.encoder.encode_clips(clips_of(found, self.encoder.reads, videos))


def features_of(
    film: Film, names: Sequence[str] = tuple(EXPERTS), say: Say = lambda _: None
) -> dict[str, np.ndarray]:
    """Features of a film, as a feature tree keeps them.

    Args:
        film: as `read_film` gives it.
        names: experts that are wanted.
        say: told what is being done.

    Returns:
        expert -> [n, dim] float16, of those that the film has.
    """
    shown = film.frames[::2]
    found: dict[str, np.ndarray] = {}
    if {"motion.flow.0", "scene.layout.0"} & set(names):
        say("Following what moves")
        small = _reduced(film.frames)
        grey = small @ _GREY
        found["motion.flow.0"] = motion.statistics(grey[::2], grey[1::2])[None]
        found["scene.layout.0"] = layout.statistics(np.rint(small[::2]).astype(np.uint8))[None]
    if "rgb.clip.0" in names:
        encoder = _looking(say).encoder
        say("Looking at frames")
        found["rgb.clip.0"] = encoder.encode_videos([shown])
    if {"audio", "speech"} & set(names):
        say("Listening")
        if not hearing.is_silent(film.track):
            found["audio"] = _mel_tokens(film.track)
        heard = signals.signals(film.track, films.RATE)
        found["speech"] = _vectors("speech", [w for name in heard for w in signals.WORDS[name]])
    if "ocr" in names:
        reader = _looking(say).reader
        say("Reading words")
        found["ocr"] = _vectors("ocr", reader.read(shown[1::2]))
    return {name: found[name].astype(np.float16) for name in names if len(found.get(name, ()))}


def _mel_tokens(track: np.ndarray) -> np.ndarray:
    """Tokens of a track of any length; of more than a network takes, some spread over all of it."""
    missing = round(_MEL_S * films.RATE) - len(track)
    tokens = hearing.mel_tokens(np.pad(track, (0, max(0, missing))), films.RATE)
    most = EXPERTS["audio"].max_tokens
    if len(tokens) <= most:
        return tokens
    return tokens[np.rint(np.linspace(0, len(tokens) - 1, most)).astype(int)]


def _vectors(name: str, words: Sequence[str]) -> np.ndarray:
    return _words().look_up(words[: EXPERTS[name].max_tokens])


def _reduced(frames: np.ndarray) -> np.ndarray:
    """Means of squares of pixels: [n, height / 4, width / 4, 3] float32."""
    n, height, width, _ = frames.shape
    cut = frames.reshape(n, height // _SMALL, _SMALL, width // _SMALL, _SMALL, 3)
    return cut.sum(axis=(2, 4), dtype=np.uint16).astype(np.float32) / _SMALL**2


@lru_cache(maxsize=1)
def _words() -> Any:
    from retrieval.encoders.tokens import load_tokens

    return load_tokens(WORDS)


_loading = threading.Lock()


def _looking(say: Say = lambda _: None) -> Any:
    """Encoder and reader of the film library, made once: the reader draws every word it knows."""
    with _loading:
        if not _made.cache_info().currsize:
            say("Getting ready to look and read, which takes a while the first time")
        return _made()


def get_ready() -> None:
    """Begin making what looks and reads, before somebody waits for it."""
    if not _made.cache_info().currsize:
        threading.Thread(target=_looking, daemon=True, name="looking").start()


@lru_cache(maxsize=1)
def _made() -> Any:
    from retrieval.experts import library

    return library.Experts(_words().words)


def _together(name: str, arrays: Sequence[np.ndarray | None]) -> Features:
    """One expert of several videos, numbered from 0; None where a video lacks it."""
    counts = [0 if each is None else len(each) for each in arrays]
    rows = [np.zeros((0, EXPERTS[name].dim), np.float16), *(a for a in arrays if a is not None)]
    return Features(
        name,
        {str(n): n for n in range(len(arrays))},
        np.concatenate(rows),
        np.concatenate([[0], np.cumsum(counts)]),
        np.array([each is not None for each in arrays]),
    )
