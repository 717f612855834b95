"""video/: facts, equal frames from both decoders, playable copies, bad files in a sentence."""

import struct
import time

import av
import numpy as np
import pytest
from PIL import Image

from retrieval import video
from retrieval.errors import VideoError

FPS = 10


@pytest.fixture
def film(tmp_path):
    """20 frames of 64 x 32, each of one grey level that tells its number, with sound."""
    frames = np.empty((20, 32, 64, 3), np.uint8)
    frames[:] = (12 * np.arange(20))[:, None, None, None]
    sound = np.sin(np.arange(2 * 22050) / 10).astype(np.float32)
    path = tmp_path / "film.mp4"
    video.write_mp4(path, frames, FPS, sound)
    return path


def levels(frames: np.ndarray) -> list[int]:
    """The frame numbers read back from the grey levels."""
    return [round(float(frame.mean()) / 12) for frame in frames]


def test_probe_tells_what_was_written(film):
    info = video.probe(film)
    assert (info.width, info.height, info.codec) == (64, 32, "h264")
    assert info.duration_s == pytest.approx(2.0)
    assert info.fps == pytest.approx(FPS)
    assert info.has_audio and info.browser_playable


@pytest.mark.parametrize("backend", ["decord", "pyav"])
def test_frames_come_from_the_middles_of_equal_parts(film, backend):
    frames = video.sample_frames(film, 4, backend)
    assert frames.shape == (4, 32, 64, 3) and frames.dtype == np.uint8
    assert levels(frames) == [2, 7, 12, 17]


def test_both_decoders_give_the_same_frames(film):
    np.testing.assert_array_equal(
        video.sample_frames(film, 7, "decord"), video.sample_frames(film, 7, "pyav")
    )


def test_more_frames_than_the_film_has_repeat(film):
    assert levels(video.sample_frames(film, 40)) == [i // 2 for i in range(40)]


def test_a_rotated_film_comes_upright_from_both_decoders(film, tmp_path):
    # The track header's matrix: 90 degrees clockwise, in 16.16 and 2.30 fixed point.
    data = bytearray(film.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 32 << 16, 0, 1 << 30)
    turned = tmp_path / "turned.mp4"
    turned.write_bytes(data)
    info = video.probe(turned)
    assert (info.width, info.height) == (32, 64)
    by_pyav = video.sample_frames(turned, 3, "pyav")
    assert by_pyav.shape == (3, 64, 32, 3)
    np.testing.assert_array_equal(by_pyav, video.sample_frames(turned, 3, "decord"))


def test_a_gif_is_read_and_copied_for_browsers(tmp_path):
    pictures = [Image.new("RGB", (41, 33), (20 * i, 0, 0)) for i in range(6)]
    gif = tmp_path / "six.gif"
    pictures[0].save(gif, save_all=True, append_images=pictures[1:], duration=200)
    info = video.probe(gif)
    assert not info.browser_playable
    assert info.duration_s == pytest.approx(1.2)
    reds = video.sample_frames(gif, 3)[:, 5, 5, 0]
    np.testing.assert_allclose(reds, [20, 60, 100], atol=2)
    copy = tmp_path / "copy.mp4"
    video.playable_copy(gif, copy)
    copied = video.probe(copy)
    assert copied.browser_playable and copied.duration_s == pytest.approx(1.2, abs=0.11)
    assert (copied.width % 2, copied.height % 2) == (0, 0)


def test_a_copy_keeps_sound_and_is_scaled_down(film, tmp_path):
    copy = tmp_path / "copy.mp4"
    video.playable_copy(film, copy, max_height=16)
    info = video.probe(copy)
    assert (info.width, info.height, info.has_audio) == (32, 16, True)
    assert info.duration_s == pytest.approx(2.0)


def test_a_poster_has_the_asked_width(film, tmp_path):
    poster = tmp_path / "poster.jpg"
    video.thumbnail(film, poster, width=120)
    assert Image.open(poster).size == (120, 60)


def test_the_same_frames_give_the_same_file(film, tmp_path):
    frames = np.zeros((3, 32, 48, 3), np.uint8)
    for name in ("a.mp4", "b.mp4"):
        video.write_mp4(tmp_path / name, frames, FPS)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no video at all",
        b"\x89PNG\r\n\x1a\n" + bytes(200),
        b"#EXTM3U\nfile:///etc/passwd\n",
        None,
    ],
    ids=["empty", "text", "picture", "playlist", "cut"],
)
@pytest.mark.parametrize("call", [video.probe, lambda path: video.sample_frames(path, 2)])
def test_a_file_that_is_no_video_is_refused_in_one_sentence(film, tmp_path, content, call):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(film.read_bytes()[:300] if content is None else content)
    with pytest.raises(VideoError, match=r"bad\.mp4 .*holds no video we can read") as refusal:
        call(bad)
    assert str(tmp_path) not in str(refusal.value)


def test_damaged_bytes_never_end_this_process(film, tmp_path):
    rng = np.random.default_rng(4)
    good = np.frombuffer(film.read_bytes(), np.uint8)
    for i in range(12):
        data = good.copy()
        data[rng.integers(0, len(data), 30)] = rng.integers(0, 256, 30)
        path = tmp_path / f"{i}.mp4"
        path.write_bytes(data.tobytes())
        try:
            assert video.sample_frames(path, 2).shape[0] == 2
        except VideoError as error:
            assert len(str(error)) < 200
    assert levels(video.sample_frames(film, 2)) == [5, 15]


def test_a_decoder_that_hangs_is_given_up(film, monkeypatch):
    monkeypatch.setattr(video.Child, "_start", _start_a_child_that_sleeps)
    child = video.Child()
    began = time.monotonic()
    with pytest.raises(VideoError, match="given up after"):
        child.ask("probe", timeout_s=0.3, path=str(film))
    assert time.monotonic() - began < 5
    assert child.process is None


def _start_a_child_that_sleeps(self) -> None:
    import subprocess
    import sys

    self.process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match="no such video file: nowhere.mp4"):
        video.probe("nowhere.mp4")


def test_real_files_of_others_are_read(shared_data):
    folder = shared_data("sample_videos")
    paths = sorted(p for p in folder.iterdir() if p.suffix in video.SUFFIXES)
    assert len(paths) == 10
    for path in paths:
        info = video.probe(path)
        assert 1 < info.duration_s < 60, path.name
        assert video.sample_frames(path, 3).shape == (3, info.height, info.width, 3)
        assert info.browser_playable == (path.suffix == ".mp4"), path.name


def test_what_decord_cannot_decode_pyav_does(tmp_path):
    # decord 0.6.0 fails on this width: its rows are padded.
    frames = np.full((4, 32, 48, 3), 90, np.uint8)
    path = tmp_path / "narrow.mp4"
    video.write_mp4(path, frames, FPS)
    assert video.sample_frames(path, 2).shape == (2, 32, 48, 3)


def test_h264_in_another_container_is_copied_without_loss(tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (12, 32, 64, 3), np.uint8)
    path, copy = tmp_path / "film.mkv", tmp_path / "copy.mp4"
    video.write_mp4(tmp_path / "film.mp4", frames, FPS)
    with av.open(tmp_path / "film.mp4") as source, av.open(path, "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    assert not video.probe(path).browser_playable
    video.playable_copy(path, copy)
    info = video.probe(copy)
    assert info.browser_playable and info.duration_s == pytest.approx(1.2)
    np.testing.assert_array_equal(video.sample_frames(path, 5), video.sample_frames(copy, 5))
