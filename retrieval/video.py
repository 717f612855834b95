"""Video files -> facts, sampled frames, posters and playable copies; frames -> MP4.

Owner of decord and PyAV. Decoders can hang or take their process down on a damaged file, so every
file that was not made here is opened in a child process that can be killed: the public functions
ask that child, the functions of the same name with a leading underscore do the work inside it.
Strangers' files have a child of their own each, with tighter limits.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import select
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np

from retrieval.errors import VideoError

logger = logging.getLogger(__name__)

TIMEOUT_S = 60.0  # for one question about a file; then the child is killed
COPY_TIMEOUT_S = 900.0  # for a playable copy, which may take as long as the film lasts
MEMORY_BYTES = 4 << 30  # address space of the child
MAX_SIDE = 8192  # pixels
MAX_FRAMES = 200_000
SUFFIXES = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif", ".ts", ".mpg", ".mpeg"}
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,gif"
_BROWSER_CODECS = {"mp4": {"h264", "av1", "vp9"}, "webm": {"vp8", "vp9", "av1"}}


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


# What callers use: one question to the child each.


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
    """Write a JPEG poster of that width from two fifths into the film; raises like probe."""
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
        video = _h264_stream(
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


# Inside the child.


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


def _packet_times(container, stream) -> np.ndarray:
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


def _chosen(starts: np.ndarray, n_frames: int) -> np.ndarray:
    """Indices of the pictures on show in the middles of n equal parts."""
    times = starts[0] + (np.arange(n_frames) + 0.5) * length_s(starts) / n_frames + 1e-6
    return np.clip(np.searchsorted(starts, times, side="right") - 1, 0, len(starts) - 1)


def _probe(path: str) -> dict:
    container, stream = open_stream(path)
    with container:
        starts = _packet_times(container, stream)
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
            codec=stream.codec_context.name.removeprefix("lib"),
            has_audio=bool(container.streams.audio),
            browser_playable=in_container
            and stream.codec_context.name.removeprefix("lib") in _BROWSER_CODECS[kind]
            and frame.format.name in ("yuv420p", "yuvj420p"),
        )
    return asdict(info)


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
        starts = _packet_times(container, stream)
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
    picture = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(picture, round(frame.rotation / 90) % 4))


def same_size(picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if picture.shape == shape:
        return picture
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((shape[1], shape[0])))


def _sample_frames(path: str, n_frames: int, backend: str) -> np.ndarray:
    return {"decord": _frames_by_decord, "pyav": _frames_by_pyav}[backend](path, n_frames)


def _thumbnail(path: str, out_jpg: str, width: int) -> None:
    from PIL import Image

    picture = Image.fromarray(_frames_by_pyav(path, 5)[2])
    height = max(1, round(picture.height * width / picture.width))
    picture.resize((width, height), Image.Resampling.LANCZOS).save(out_jpg, "JPEG", quality=80)


def _playable_copy(path: str, out_mp4: str, max_height: int) -> None:
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
        starts = _packet_times(container, stream)
        if (
            first.rotation == 0
            and factor == 1.0
            and _plays(stream, first)
            and not _sound(container)
        ):
            _copy_packets(container, stream, out)
            return
        rate = min(max(len(starts) / length_s(starts), 1.0), 30.0)
        video = _h264_stream(out, width, height, Fraction(round(rate * 1000), 1000), quality=23)
        audio = out.add_stream("aac", rate=44_100, layout="stereo") if _sound(container) else None
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


def _plays(stream, frame) -> bool:
    """Whether browsers decode these pictures once they are in an MP4 file."""
    codec = stream.codec_context.name.removeprefix("lib")
    return codec in _BROWSER_CODECS["mp4"] and frame.format.name in ("yuv420p", "yuvj420p")


def _sound(container) -> bool:
    return bool(container.streams.audio)


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


def _h264_stream(out, width: int, height: int, fps: Fraction, quality: int = 34):
    stream = out.add_stream("libx264", rate=fps)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.options = {"crf": str(quality), "preset": "medium", "threads": "1"}
    return stream


def unreadable(path: str, why: str) -> str:
    name, size = Path(path), os.path.getsize(path)
    return f"{name.name} ({size:,} bytes) holds no video we can read ({why})"


def existing(path: str | Path) -> str:
    resolved = Path(path).resolve()
    if not resolved.is_file():
        raise FileNotFoundError(f"no such video file: {path}")
    return str(resolved)


# The child and the pipe to it: a line of JSON each way, then the bytes of an array if any.

_WORK = {
    "probe": _probe,
    "sample_frames": _sample_frames,
    "thumbnail": _thumbnail,
    "playable_copy": _playable_copy,
}


class Child:
    """A process of our own that opens videos; started when first asked, replaced when it dies."""

    def __init__(self, timeout_s: float = TIMEOUT_S, memory_bytes: int = MEMORY_BYTES) -> None:
        """Both hold for one question about a file."""
        self.timeout_s, self.memory_bytes = timeout_s, memory_bytes
        self.lock = threading.Lock()
        self.process: subprocess.Popen | None = None

    def ask(
        self, call: str, timeout_s: float | None = None, **arguments
    ) -> tuple[dict, np.ndarray | None]:
        timeout_s = timeout_s or self.timeout_s
        with self.lock:
            if self.process is None or self.process.poll() is not None:
                self._start()
            name = Path(arguments["path"]).name
            try:
                self.process.stdin.write(json.dumps({"call": call, **arguments}).encode() + b"\n")
                self.process.stdin.flush()
                deadline = time.monotonic() + timeout_s
                head = json.loads(self._read_line(deadline))
                array = None
                if "shape" in head:
                    n_bytes = math.prod(head["shape"])
                    array = np.frombuffer(self._read(n_bytes, deadline), np.uint8).reshape(
                        head["shape"]
                    )
            except TimeoutError as error:
                self.stop()
                raise VideoError(
                    f"{name} was given up after {timeout_s:.0f} s of decoding"
                ) from error
            except (BrokenPipeError, EOFError, json.JSONDecodeError) as error:
                self.stop()
                raise VideoError(f"{name} crashed the decoder; the file is damaged") from error
        if "error" in head:
            raise VideoError(head["error"])
        return head.get("value"), array

    def _start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "retrieval.video", str(self.memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )

    def stop(self) -> None:
        """End the child; the next question starts another."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None

    def _read(self, n_bytes: int, deadline: float) -> bytearray:
        parts, fd = [], self.process.stdout.fileno()
        while n_bytes:
            if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError
            part = os.read(fd, min(n_bytes, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            n_bytes -= len(part)
        return bytearray().join(parts)  # so that an array made of it can be written

    def _read_line(self, deadline: float) -> bytearray:
        line = bytearray()
        while not line.endswith(b"\n"):
            line += self._read(1, deadline)
        return line


CHILD = Child()


def _serve(memory_bytes: int) -> None:
    """The child's loop: one question, one answer, until the pipe closes."""
    from retrieval import films

    work = {**_WORK, **films.WORK}
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # decoders that print must not disturb the answers
    for line in sys.stdin.buffer:
        question = json.loads(line)
        try:
            value = work[question.pop("call")](**question)
            if isinstance(value, np.ndarray):
                answers.write(json.dumps({"shape": value.shape}).encode() + b"\n" + value.tobytes())
            else:
                answers.write(json.dumps({"value": value}).encode() + b"\n")
        except VideoError as error:
            answers.write(json.dumps({"error": str(error)}).encode() + b"\n")
        except Exception:  # whatever a decoder throws at us is a file that cannot be read
            logger.exception("decoding failed")
            text = unreadable(question["path"], "decoding failed")
            answers.write(json.dumps({"error": text}).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
