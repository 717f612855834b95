"""A video file of any kind -> a film as the film library's experts take it: small frames and sound.

A library film has 3 s, 12 frames a second of 224 x 168, and one mono track. Any other is looked at
in the same places: pairs of neighbouring frames in the middles of equal parts, cut to that shape
around the middle and scaled. What opens the file runs in the child:
a public function asks, the one of the same name with a leading underscore does the work.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from retrieval.errors import VideoError
from retrieval.video.child import CHILD, Child, existing
from retrieval.video.decoding import chosen, decoded, same_size, upright
from retrieval.video.opening import length_s, open_stream, picture_times, unreadable

SIZE = (224, 168)  # width, height of a library film in pixels
N_PAIRS = 12  # pairs of frames in a film
APART_S = 1 / 12  # seconds between the frames of a pair
RATE = 22_050  # samples of sound a second
SIDE = 448  # pixels of a frame's shorter side, which models scale down further


@dataclass(frozen=True, eq=False)
class Film:
    """What experts look at and listen to."""

    frames: np.ndarray  # [2 * N_PAIRS, height, width, 3] uint8, pair by pair
    track: np.ndarray | None  # [n] float32 in -1..1 at RATE, as long as the film; None without one


def read_film(path: str | Path, child: Child | None = None, most_s: float | None = None) -> Film:
    """Read a film.

    Args:
        path: a local video file.
        child: opens it; None takes the one for files of the operator.
        most_s: only so many seconds from the start are used; None uses all.

    Raises:
        FileNotFoundError: there is no such file.
        VideoError: the file holds no video that can be read.
    """
    child = child or CHILD
    where = {"path": existing(path), "most_s": most_s}
    _, frames = child.ask("frames", n=N_PAIRS, later_s=(0.0, APART_S), size=SIZE, **where)
    _, sound = child.ask("track", rate=RATE, **where)
    return Film(frames, sound.view(np.float32) if len(sound) else None)


def read_frames(
    path: str | Path, n_frames: int, child: Child, most_s: float | None = None
) -> np.ndarray:
    """Frames of a stranger's file as `video.sample_frames` gives them, large ones made smaller.

    Args:
        path: a local video file.
        n_frames: frames to return, from the middles of n equal parts.
        child: opens it.
        most_s: only so many seconds from the start are used; None uses all.

    Returns:
        [n_frames, height, width, 3] uint8, of which the shorter side is at most SIDE.

    Raises:
        FileNotFoundError, VideoError: as `read_film`.
    """
    where = {"path": existing(path), "most_s": most_s}
    return child.ask("frames", n=n_frames, later_s=(0.0,), size=SIDE, **where)[1]


# Inside the child.


def _frames(
    path: str,
    n: int,
    later_s: Sequence[float],
    size: tuple[int, int] | int,
    most_s: float | None,
) -> np.ndarray:
    """Frames from the middles of n equal parts, each followed by those so much later.

    Args:
        path: of the file.
        n: parts.
        later_s: seconds from the middle on, 0 first.
        size: width and height to cut and scale to, or the most pixels of the shorter side.
        most_s: seconds that are used.

    Returns:
        [n * len(later_s), height, width, 3] uint8.
    """
    container, stream = open_stream(path)
    with container:
        starts, keys = _times(container, stream)
        starts, used_s = _used(starts, most_s)
        wanted = starts[chosen(starts, n, used_s, later_s)]
        found = _pictures(container, stream, np.unique(wanted), keys, size)
    if not found:
        raise VideoError(unreadable(path, "no picture can be decoded"))
    first = found[float(wanted[0])]
    return np.stack([same_size(found[at], first.shape) for at in wanted.tolist()])


def _track(path: str, rate: int, most_s: float | None) -> np.ndarray:
    """The sound from the first picture to the end of the last, as bytes; none without a track."""
    import av

    container, stream = open_stream(path)
    with container:
        if not container.streams.audio:
            return np.zeros(0, np.uint8)
        starts, used_s = _used(_times(container, stream)[0], most_s)
        track = np.zeros(round(used_s * rate), np.float32)
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        at = None
        container.seek(0)
        with contextlib.suppress(av.FFmpegError):  # a broken track is heard up to there
            for frame in container.decode(container.streams.audio[0]):
                if at is None:
                    at = round(((frame.time or 0.0) - starts[0]) * rate)
                frame.pts = None
                for part in resampler.resample(frame):
                    at = _put(track, at, part.to_ndarray().ravel())
                if at >= len(track):
                    break
        if at is None:
            return np.zeros(0, np.uint8)
    return np.clip(np.nan_to_num(track), -1, 1).view(np.uint8)


def _put(track: np.ndarray, at: int, samples: np.ndarray) -> int:
    """Lay samples into the track, what stands out left off; returns where the next ones go."""
    begin, end = max(at, 0), min(at + len(samples), len(track))
    if begin < end:
        track[begin:end] = samples[begin - at : end - at]
    return at + len(samples)


def _times(container, stream) -> tuple[np.ndarray, list[float]]:
    """The start of every picture in showing order, and of those that decoding can begin at."""
    packets = [p for p in container.demux(stream) if p.pts is not None and p.size]
    keys = sorted(p.pts * float(stream.time_base) for p in packets if p.is_keyframe)
    return picture_times(packets, stream), keys


def _used(starts: np.ndarray, most_s: float | None) -> tuple[np.ndarray, float]:
    """The pictures within the first so many seconds, and the length of that part."""
    whole_s = length_s(starts)
    if most_s is None or whole_s <= most_s:
        return starts, whole_s
    return starts[starts < starts[0] + most_s], most_s


def _pictures(
    container, stream, wanted: np.ndarray, keys: list[float], size: tuple[int, int] | int
) -> dict[float, np.ndarray]:
    """The pictures at those times, made small at once.

    Where the next one is far off, decoding goes on at the key picture before it; where a container
    does not lead there, everything is decoded.
    """
    make = partial(_small, size=size)
    for skipping in (True, False):
        found = decoded(container, stream, wanted, make, keys if skipping else ())
        if found is not None:
            return found
    raise AssertionError("decoding from the start leads past no picture")


def _small(frame, size: tuple[int, int] | int) -> np.ndarray:
    """A picture upright and scaled; to a shape, it is cut around its middle first."""
    from PIL import Image

    picture = upright(frame)
    height, width = picture.shape[:2]
    if isinstance(size, int):
        scale = min(1.0, size / min(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
    else:
        wide = min(width, max(1, round(height * size[0] / size[1])))
        tall = min(height, max(1, round(width * size[1] / size[0])))
        left, top = (width - wide) // 2, (height - tall) // 2
        picture = picture[top : top + tall, left : left + wide]
    if picture.shape[1::-1] == tuple(size):
        return picture
    image = Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(image.resize(tuple(size), Image.Resampling.BICUBIC))


WORK = {"frames": _frames, "track": _track}
