"""A video file -> facts, sampled frames, a poster; inside the child."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from retrieval.errors import VideoError
from retrieval.video.opening import codec_of, length_s, open_stream, packet_times, plays, unreadable

logger = logging.getLogger(__name__)


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


def _chosen(starts: np.ndarray, n_frames: int) -> np.ndarray:
    """Indices of the pictures on show in the middles of n equal parts."""
    times = starts[0] + (np.arange(n_frames) + 0.5) * length_s(starts) / n_frames + 1e-6
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
        return reader.get_batch(_chosen(starts, n_frames)).asnumpy()
    except (decord.DECORDError, RuntimeError, IndexError, ValueError) as error:
        raise VideoError(unreadable(path, "decord cannot decode it")) from error


def _frames_by_pyav(path: str, n_frames: int) -> np.ndarray:
    import av

    container, stream = open_stream(path)
    with container:
        starts = packet_times(container, stream)
        wanted = starts[_chosen(starts, n_frames)]
        container.seek(0)
        found: dict[float, np.ndarray] = {}
        last = None
        remaining = sorted(set(wanted.tolist()))
        try:
            for frame in container.decode(stream):
                if frame.pts is None:
                    continue
                at = frame.pts * float(stream.time_base)
                last = (at, frame)
                while remaining and at >= remaining[0] - 1e-9:
                    found[remaining.pop(0)] = upright(frame)
                if not remaining:
                    break
        except av.FFmpegError:
            logger.warning("%s breaks off; the part before is used", Path(path).name)
        if last is None:
            raise VideoError(unreadable(path, "no picture can be decoded"))
        for at in remaining:  # some files declare a picture more than they hold
            found[at] = upright(last[1])
    shape = found[float(wanted[0])].shape
    return np.stack([same_size(found[float(at)], shape) for at in wanted])


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
