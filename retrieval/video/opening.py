"""A stranger's video file -> an open container, the starts of its pictures, who can show them.

Inside the child only: a file that is opened here may hang its decoder or bring the process down.
"""

import os
from pathlib import Path

import numpy as np

from retrieval.errors import VideoError

MAX_SIDE = 8192  # pixels
MAX_FRAMES = 200_000
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,gif"
_BROWSER_CODECS = {"mp4": {"h264", "av1", "vp9"}, "webm": {"vp8", "vp9", "av1"}}
_PIXELS = ("yuv420p", "yuvj420p")


def open_stream(path: str):
    """Open by content: the first bytes must be those of a container we know; no playlists."""
    import av

    file = open(path, "rb")  # noqa: SIM115  (closed with the container)
    head = file.read(16)
    known = (
        head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
        or head[:4] in (b"\x1aE\xdf\xa3", b"GIF8", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")
        or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
        or head[:1] == b"G"
    )
    if not known:
        file.close()
        raise VideoError(unreadable(path, "its first bytes are not those of a video"))
    file.seek(0)
    try:
        options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
        container = av.open(file, options=options)
    except (av.FFmpegError, ValueError, EOFError) as error:
        file.close()
        raise VideoError(unreadable(path, "tried decord and PyAV")) from error
    streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    if not streams:
        container.close()
        raise VideoError(unreadable(path, "it has no picture track"))
    stream = streams[0]
    if not 16 <= min(stream.width, stream.height) <= max(stream.width, stream.height) <= MAX_SIDE:
        container.close()
        raise VideoError(
            f"{Path(path).name} is {stream.width} x {stream.height} pixels; "
            f"sides from 16 to {MAX_SIDE} are read"
        )
    stream.thread_type = "NONE"
    return container, stream


def packet_times(container, stream) -> np.ndarray:
    """The start of every picture in seconds, in showing order."""
    return picture_times(container.demux(stream), stream)


def picture_times(packets, stream) -> np.ndarray:
    """The same of packets that were read."""
    times = [p.pts for p in packets if p.pts is not None and p.size]
    if not times or len(times) > MAX_FRAMES:
        raise VideoError(f"the film has {len(times)} pictures; 1 to {MAX_FRAMES} are read")
    return np.sort(np.array(times, np.float64)) * float(stream.time_base)


def length_s(starts: np.ndarray) -> float:
    """From the first picture's start to the last one's end."""
    step = float(np.median(np.diff(starts))) if len(starts) > 1 else 1.0
    return float(starts[-1] - starts[0]) + step


def codec_of(stream) -> str:
    """For example "h264"."""
    return stream.codec_context.name.removeprefix("lib")


def plays(stream, frame, kind: str) -> bool:
    """Whether browsers decode these pictures in a file of that kind, "mp4" or "webm"."""
    return codec_of(stream) in _BROWSER_CODECS[kind] and frame.format.name in _PIXELS


def unreadable(path: str, why: str) -> str:
    """The sentence on a file that is given up."""
    name, size = Path(path), os.path.getsize(path)
    return f"{name.name} ({size:,} bytes) holds no video we can read ({why})"
