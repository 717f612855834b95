"""A video file -> facts, sampled frames, a poster; inside the child."""

import logging
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.errors import VideoError
from retrieval.video.opening import codec_of, length_s, open_stream, packet_times, plays, unreadable

logger = logging.getLogger(__name__)

_SKIP_S = 2.0  # seconds to the next wanted picture from which on seeking pays


@dataclass(frozen=True)
class VideoInfo:
    """What a file holds, as far as its headers and packets tell."""

    duration_s: float  # seconds
    width: int  # pixels, after rotation
    height: int
    fps: float  # mean frames a second
    codec: str  # for example "h264"
    has_audio: bool
    browser_playable: bool  # the file as it is plays in current browsers


def probe(path: str) -> dict:
    """The fields of a VideoInfo."""
    container, stream = open_stream(path)
    with container:
        starts = packet_times(container, stream)
        container.seek(0)
        frame = next(container.decode(stream), None)
        if frame is None:
            raise VideoError(unreadable(path, "no picture can be decoded"))
        width, height = frame.width, frame.height
        if frame.rotation % 180:
            width, height = height, width
        kind = "webm" if Path(path).suffix.lower() == ".webm" else "mp4"
        in_container = ("mp4" in container.format.name) or kind == "webm"
        info = VideoInfo(
            duration_s=round(length_s(starts), 3),
            width=width,
            height=height,
            fps=round(len(starts) / length_s(starts), 3),
            codec=codec_of(stream),
            has_audio=bool(container.streams.audio),
            browser_playable=in_container and plays(stream, frame, kind),
        )
    return asdict(info)


def sample_frames(path: str, n_frames: int, backend: str) -> np.ndarray:
    """[n_frames, height, width, 3] uint8 RGB, by "decord" or "pyav"."""
    return {"decord": _frames_by_decord, "pyav": _frames_by_pyav}[backend](path, n_frames)


def thumbnail(path: str, out_jpg: str, width: int) -> None:
    """Write the picture in the middle of the film as a JPEG poster."""
    from PIL import Image

    picture = Image.fromarray(_frames_by_pyav(path, 1)[0])
    height = max(1, round(picture.height * width / picture.width))
    picture.resize((width, height), Image.Resampling.LANCZOS).save(out_jpg, "JPEG", quality=80)


def chosen(
    starts: np.ndarray, n: int, used_s: float | None = None, later_s: Sequence[float] = (0.0,)
) -> np.ndarray:
    """Indices of the pictures on show in the middles of n equal parts, and so much later.

    Args:
        starts: of all pictures, seconds.
        n: parts.
        used_s: seconds that are parted; None parts all.
        later_s: seconds after each middle.

    Returns:
        [n * len(later_s)], part by part.
    """
    used_s = length_s(starts) if used_s is None else used_s
    middles = starts[0] + (np.arange(n) + 0.5) * used_s / n + 1e-6
    times = np.add.outer(middles, later_s).ravel()
    return np.clip(np.searchsorted(starts, times, side="right") - 1, 0, len(starts) - 1)


def _frames_by_decord(path: str, n_frames: int) -> np.ndarray:
    try:
        import decord
    except ImportError as error:
        raise VideoError("decord is not installed; PyAV reads the file") from error
    open_stream(path)[0].close()  # decord would follow a playlist to other files: look first
    try:
        reader = decord.VideoReader(path, num_threads=1)
        starts = reader.get_frame_timestamp(range(len(reader)))[:, 0].astype(np.float64)
        return reader.get_batch(chosen(starts, n_frames)).asnumpy()
    except (decord.DECORDError, RuntimeError, IndexError, ValueError) as error:
        raise VideoError(unreadable(path, "decord cannot decode it")) from error


def _frames_by_pyav(path: str, n_frames: int) -> np.ndarray:
    container, stream = open_stream(path)
    with container:
        starts = packet_times(container, stream)
        wanted = starts[chosen(starts, n_frames)]
        found = decoded(container, stream, np.unique(wanted), upright)
        if not found:
            raise VideoError(unreadable(path, "no picture can be decoded"))
    shape = found[float(wanted[0])].shape
    return np.stack([same_size(found[float(at)], shape) for at in wanted])


def decoded(
    container,
    stream,
    wanted: np.ndarray,
    make: Callable[[Any], np.ndarray],
    keys: Sequence[float] = (),
) -> dict[float, np.ndarray] | None:
    """The pictures on show at some times.

    Args:
        container, stream: open.
        wanted: seconds, ascending, each once.
        make: frame -> picture.
        keys: seconds, ascending, of pictures that decoding can begin at; it then skips what lies
            far before the next wanted one. Without them all is decoded up to the last.

    Returns:
        time -> picture; none where nothing can be decoded. None where a skip led past a picture.
    """
    import av

    times = wanted.tolist()
    found: dict[float, np.ndarray] = {}
    last, sought, tick = None, -np.inf, float(stream.time_base)
    container.seek(0)
    going = True
    while going:
        going, landing = False, last is not None
        try:
            for frame in container.decode(stream):
                if frame.pts is None:
                    continue
                at = frame.pts * tick
                if landing and at > times[len(found)] + 1e-9:
                    return None
                last, landing = frame, False
                while len(found) < len(times) and at >= times[len(found)] - 1e-9:
                    found[times[len(found)]] = make(frame)
                if len(found) == len(times):
                    break
                key = _key_before(keys, times[len(found)])
                if key > max(at + _SKIP_S, sought):
                    container.seek(int(key / tick), stream=stream)
                    going, sought = True, key
                    break
        except av.FFmpegError:
            logger.debug("a film breaks off; the part before is used")
    for at in times[len(found) :] if last else ():  # some files declare more than they hold
        found[at] = make(last)
    return found


def _key_before(keys: Sequence[float], at: float) -> float:
    place = bisect_right(keys, at + 1e-9)
    return keys[place - 1] if place else -np.inf


def upright(frame) -> np.ndarray:
    """A decoded frame as [height, width, 3] uint8 RGB, turned as the file asks for."""
    picture = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(picture, round(frame.rotation / 90) % 4))


def same_size(picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The picture, or where a film changes its size within, scaled to the given shape."""
    if picture.shape == shape:
        return picture
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((shape[1], shape[0])))
