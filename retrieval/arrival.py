"""A visitor's video -> a clip that can join a gallery: checked, watched, with something to show.

The file is opened by a child of its own, within the limits for strangers. What is shown of it is a
still and a copy, made here.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from retrieval import video
from retrieval.errors import FileError, VideoError
from retrieval.files import clean_text, link_or_copy
from retrieval.formats.limits import VIDEOS, VideoLimits, check_limit
from retrieval.gallery import OWN, Item
from retrieval.watching import Say, watcher_of

logger = logging.getLogger(__name__)

POSTER, COPY = "poster.jpg", "clip.mp4"
COPY_HEIGHT = 360  # pixels; a card is smaller still


class Cancelled(FileError):
    """Nobody waits for this video any more."""


@dataclass(eq=False)
class Clip:
    """A visitor's video, ready to be embedded by any encoder."""

    name: str  # for people
    path: Path  # the file as it came
    folder: Path  # of its own; goes when the clip does
    info: video.VideoInfo
    limits: VideoLimits
    _rows: dict[str, np.ndarray] = field(default_factory=dict)  # encoder's digest -> [1, dim]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_cut(self) -> bool:
        """Whether only its beginning is used."""
        return self.info.duration_s > self.limits.used_s

    def row(
        self, encoder: Any, child: video.Child | None = None, say: Say = lambda _: None
    ) -> np.ndarray:
        """[1, dim] of an encoder, made once.

        Args:
            encoder: embeds it.
            child: opens the file; None starts one for this.
            say: told what is being done.

        Raises:
            ModelError: the encoder takes what cannot be computed of a file.
            VideoError: the video has nothing that the encoder takes, or cannot be decoded.
        """
        with self._lock:
            if encoder.digest not in self._rows:
                watcher = watcher_of(encoder)
                with contextlib.nullcontext(child) if child else opened(self.limits) as child:
                    watched = watcher.watch(self.path, child, self.limits.used_s, say)
                self._rows[encoder.digest] = watcher.embed([watched])
            return self._rows[encoder.digest]

    def item(self, taken: Callable[[str], bool]) -> Item:
        """It as an item of a gallery, under its name where that is not taken."""
        name = f"{self.name} (yours)" if taken(self.name) else self.name
        poster, copy = self.folder / POSTER, self.folder / COPY
        return Item(
            id=name,
            clip=copy if copy.is_file() else None,
            poster=poster if poster.is_file() else None,
            duration_s=self.info.duration_s,
            extras={OWN: True},
        )


@contextlib.contextmanager
def opened(limits: VideoLimits) -> Any:
    """A child for one stranger's file."""
    child = video.Child(limits.step_s, limits.memory_bytes)
    try:
        yield child
    finally:
        child.stop()


class Arrival:
    """A visitor's video at work, in a thread of its own."""

    def __init__(
        self, path: Path, folder: Path, encoder: Callable[[], Any], limits: VideoLimits = VIDEOS
    ) -> None:
        """Begin.

        Args:
            path: the file as it came.
            folder: an empty one, which the clip keeps.
            encoder: gives the encoder that embeds it first.
            limits: of the file.
        """
        self.path, self.folder, self.limits = path, folder, limits
        self.step = "Looking at the file"
        self.done = threading.Event()
        self._encoder = encoder
        self._child = video.Child(limits.step_s, limits.memory_bytes)
        self._cancelled = False
        self._clip: Clip | None = None
        self._error: Exception | None = None
        threading.Thread(target=self._run, daemon=True, name="arrival").start()

    def cancel(self) -> None:
        """Give it up: the child is ended, whatever it decodes."""
        self._cancelled = True
        process = self._child.process
        if process is not None:
            process.kill()

    def clip(self) -> Clip:
        """The clip; waits for it.

        Raises:
            RetrievalError: why there is none.
            Cancelled: `cancel` was called.
        """
        self.done.wait()
        if self._error is not None:
            raise self._error
        return self._clip

    def _run(self) -> None:
        try:
            self._clip = self._made()
        except Exception as error:  # whatever it is, it is for the one who waits
            self._error = Cancelled("the upload was cancelled") if self._cancelled else error
        finally:
            self._child.stop()
            self.done.set()

    def _say(self, step: str) -> None:
        self.step = step
        if self._cancelled:
            raise Cancelled("the upload was cancelled")

    def _made(self) -> Clip:
        name, child = shown_name(self.path.name, self.limits.name), self._child
        check_size(name, self.path.stat().st_size, self.limits)
        kept = self.folder / "original" / name
        kept.parent.mkdir()
        link_or_copy(self.path, kept)  # so that one goes with the clip, the other with the upload
        clip = Clip(name, kept, self.folder, video.probe(kept, child), self.limits)
        check_video(clip, self.limits)
        self._say("Loading the model")
        clip.row(self._encoder(), child, self._say)
        self._say("Making a still, and a copy to play")
        video.thumbnail(kept, self.folder / POSTER, child=child)
        info = clip.info
        n_pixels = info.width * info.height * info.fps * info.duration_s
        if not clip.is_cut and n_pixels <= self.limits.copied:
            try:
                video.playable_copy(kept, self.folder / COPY, COPY_HEIGHT, child)
            except VideoError as error:  # the still is enough
                (self.folder / COPY).unlink(missing_ok=True)
                logger.info("no copy to play: %s", error)
        self._say("Done")
        return clip


def shown_name(name: str, most: int) -> str:
    """A file's name as people read it and as a file can have it here."""
    kept = "".join(c for c in clean_text(name) if c.isalnum() or c in " ._-()").strip(". ")
    kept = kept or "clip"
    return kept if len(kept) <= most else f"{kept[: most - 8]}...{kept[-5:]}"


def check_size(name: str, n_bytes: int, limits: VideoLimits) -> None:
    """Refuse a file that is too large."""
    if n_bytes > limits.file_bytes:
        raise FileError(
            f"{name} has {n_bytes / 2**20:,.0f} MB, the limit is {limits.file_bytes / 2**20:,.0f} "
            "MB; bring a shorter or smaller one"
        )


def check_video(clip: Clip, limits: VideoLimits) -> None:
    """Refuse pictures that are too large, too many, or too long and thin."""
    info = clip.info
    check_limit(clip.name, "pixels in a picture", info.width * info.height, limits.pixels)
    check_limit(clip.name, "pictures", round(info.fps * info.duration_s), limits.pictures)
    sides = sorted((info.width, info.height))
    if sides[1] > limits.ratio * sides[0]:
        raise FileError(
            f"{clip.name} is {info.width} x {info.height}; one side may be at most "
            f"{limits.ratio:g} times the other"
        )
