"""Frames that were made here -> H.264 in an MP4 file, with sound."""

from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np


def write_mp4(
    path: str | Path | BinaryIO,
    frames: np.ndarray,
    fps: int,
    sound: np.ndarray | None = None,
    rate: int = 22050,
) -> None:
    """Write frames that were made here as H.264, with an AAC track where there is sound.

    Args:
        path: the MP4 to write, or an open file.
        frames: [n_frames, height, width, 3] uint8, even sides.
        fps: frames a second.
        sound: mono waveform in -1..1, or None.
        rate: its samples a second.
    """
    import av

    target = str(path) if isinstance(path, str | Path) else path
    with av.open(target, "w", format="mp4", options={"movflags": "+faststart"}) as out:
        video = h264_stream(
            out, frames.shape[2], frames.shape[1], Fraction(fps).limit_denominator(1000)
        )
        audio = None
        if sound is not None:
            audio = out.add_stream("aac", rate=rate, layout="mono")
            audio.bit_rate = 20_000
        for picture in frames:
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(video.encode(None))
        if audio is not None:
            wave = av.AudioFrame.from_ndarray(
                sound[None].astype(np.float32), format="fltp", layout="mono"
            )
            wave.sample_rate = rate
            out.mux(audio.encode(wave))
            out.mux(audio.encode(None))


def h264_stream(out, width: int, height: int, fps: Fraction, quality: int = 34):
    stream = out.add_stream("libx264", rate=fps)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.options = {"crf": str(quality), "preset": "medium", "threads": "1"}
    return stream
