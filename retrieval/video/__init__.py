"""Video files -> facts, sampled frames, posters and playable copies; frames -> MP4.

Owner of decord and PyAV. Decoders can hang or take their process down on a damaged file, so every
file that was not made here is opened in a child process that can be killed: each function here but
`write_mp4` is one question to that child, and the function of the same name in `decoding` or
`copies` does the work inside it. Strangers' files have a child of their own each, with tighter
limits.
"""

import logging
from pathlib import Path

import numpy as np

from retrieval.errors import VideoError
from retrieval.video.child import CHILD, Child, existing
from retrieval.video.decoding import VideoInfo
from retrieval.video.writing import write_mp4

__all__ = [
    "Child",
    "VideoInfo",
    "playable_copy",
    "probe",
    "sample_frames",
    "thumbnail",
    "write_mp4",
]

logger = logging.getLogger(__name__)

COPY_TIMEOUT_S = 900.0  # for a playable copy, which may take as long as the film lasts
SUFFIXES = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif", ".ts", ".mpg", ".mpeg"}


def probe(path: str | Path, child: Child | None = None) -> VideoInfo:
    """Read a file's duration, size and codec; `child` opens it, else the one for all.

    Raises:
        FileNotFoundError: there is no such file.
        VideoError: the file holds no video that can be read.
    """
    return VideoInfo(**(child or CHILD).ask("probe", path=existing(path))[0])


def sample_frames(
    path: str | Path, n_frames: int, backend: str | None = None, child: Child | None = None
) -> np.ndarray:
    """Decode frames from the middles of n equal parts of the film.

    Args:
        path: a local video file.
        n_frames: frames to return; a film with fewer repeats some.
        backend: "decord" or "pyav"; None tries decord first and PyAV where that fails.
        child: opens the file; None takes the one for all.

    Returns:
        [n_frames, height, width, 3] uint8 RGB, rotation applied.

    Raises:
        FileNotFoundError: there is no such file.
        VideoError: no backend can decode the file.
    """
    path = existing(path)
    failures = []
    for name in (backend,) if backend else ("decord", "pyav"):
        try:
            asked = {"path": path, "n_frames": n_frames, "backend": name}
            return (child or CHILD).ask("sample_frames", **asked)[1]
        except VideoError as error:
            logger.debug("%s on %s: %s", name, Path(path).name, error)
            failures.append(error)
    raise failures[-1]


def thumbnail(
    path: str | Path, out_jpg: str | Path, width: int = 240, child: Child | None = None
) -> None:
    """Write a JPEG poster of that width from the middle of the film; raises like probe."""
    asked = {"path": existing(path), "out_jpg": str(out_jpg), "width": width}
    (child or CHILD).ask("thumbnail", **asked)


def playable_copy(
    path: str | Path, out_mp4: str | Path, max_height: int = 720, child: Child | None = None
) -> None:
    """Write an H.264 copy that any browser plays, sound kept; raises like probe."""
    (child or CHILD).ask(
        "playable_copy",
        timeout_s=None if child else COPY_TIMEOUT_S,
        path=existing(path),
        out_mp4=str(out_mp4),
        max_height=max_height,
    )
