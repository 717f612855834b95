"""A video file -> a copy that any browser plays; inside the child."""

import contextlib
import math
from fractions import Fraction

import numpy as np

from retrieval.errors import VideoError
from retrieval.video.decoding import upright
from retrieval.video.opening import length_s, open_stream, packet_times, plays, unreadable
from retrieval.video.writing import h264_stream


def playable_copy(path: str, out_mp4: str, max_height: int) -> None:
    """Write an H.264 MP4, no higher than `max_height`, with AAC sound where the file has any."""
    import av

    container, stream = open_stream(path)
    with container, av.open(out_mp4, "w", format="mp4", options={"movflags": "+faststart"}) as out:
        first = next(container.decode(stream), None)
        if first is None:
            raise VideoError(unreadable(path, "no picture can be decoded"))
        turned = bool(first.rotation % 180)
        width, height = (first.height, first.width) if turned else (first.width, first.height)
        factor = min(1.0, max_height / height)
        width, height = (max(2, round(side * factor / 2) * 2) for side in (width, height))
        container.seek(0)
        starts = packet_times(container, stream)
        has_sound = bool(container.streams.audio)
        same_size = first.rotation == 0 and factor == 1.0
        if same_size and plays(stream, first, "mp4") and not has_sound:
            _copy_packets(container, stream, out)
            return
        rate = min(max(len(starts) / length_s(starts), 1.0), 30.0)
        video = h264_stream(out, width, height, Fraction(round(rate * 1000), 1000), quality=23)
        audio = out.add_stream("aac", rate=44_100, layout="stereo") if has_sound else None
        container.seek(0)
        n_written, held = 0, None
        for frame in container.decode(stream):
            if frame.pts is None:
                continue
            # A constant rate by time: hold the picture before until this one's turn has come.
            at = frame.pts * float(stream.time_base) - starts[0]
            n_written = _repeat(out, video, held, n_written, math.floor(at * rate + 0.5))
            held = _sized(upright(frame), width, height)
        _repeat(out, video, held, n_written, max(n_written + 1, round(length_s(starts) * rate)))
        out.mux(video.encode(None))
        if audio is not None:
            _copy_sound(container, out, audio)


def _copy_packets(container, stream, out) -> None:
    """The same pictures in another container: nothing is decoded, nothing is lost."""
    copy = out.add_stream_from_template(stream)
    container.seek(0)
    packets = [
        packet for packet in container.demux(stream) if packet.size and packet.pts is not None
    ]
    # Matroska keeps no decoding times: the n-th picture decoded takes the n-th showing time,
    # all moved back so that none is decoded after it is shown.
    shown = sorted(packet.pts for packet in packets)
    late = max(at - packet.pts for at, packet in zip(shown, packets, strict=True))
    for at, packet in zip(shown, packets, strict=True):
        packet.dts = at - late
        packet.stream = copy
        out.mux(packet)


def _repeat(out, video, picture: np.ndarray | None, n_written: int, until: int) -> int:
    import av

    while picture is not None and n_written < until:
        out.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        n_written += 1
    return n_written


def _sized(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    from PIL import Image

    if picture.shape[:2] == (height, width):
        return picture
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))


def _copy_sound(container, out, audio) -> None:
    import av

    source = container.streams.audio[0]
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=44_100)
    container.seek(0)
    with contextlib.suppress(av.FFmpegError):  # a broken sound track does not cost the picture
        for frame in container.decode(source):
            frame.pts = None
            for part in resampler.resample(frame):
                out.mux(audio.encode(part))
    out.mux(audio.encode(None))
