"""arrival.py: a visitor's video is checked, watched once for each model, and gives up when told."""

import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
from test_films import grey, write_lossless

from retrieval import arrival, video
from retrieval.arrival import Arrival, Cancelled, shown_name
from retrieval.errors import FileError, VideoError
from retrieval.formats.limits import VIDEOS
from retrieval.gallery import OWN
from tests.fakes import FakeEncoder


@pytest.fixture
def film(tmp_path):
    """Two seconds, 64 x 48, as a visitor's file."""
    video.write_mp4(tmp_path / "my film.mp4", grey(24, 64, 48), 12)
    return tmp_path / "my film.mp4"


def arrive(path, tmp_path, encoder=None, **limits):
    folder = tmp_path / f"kept-{time.monotonic_ns()}"
    folder.mkdir()
    encoder = encoder or FakeEncoder()
    return Arrival(path, folder, lambda: encoder, replace(VIDEOS, **limits))


def test_a_video_becomes_a_clip_with_a_row_a_still_and_a_copy(film, tmp_path):
    encoder = FakeEncoder()
    expected = encoder.encode_videos([video.sample_frames(film, encoder.n_frames)])
    clip = arrive(film, tmp_path, encoder).clip()
    np.testing.assert_allclose(clip.row(encoder), expected, atol=1e-6)
    assert film.exists() and clip.path.is_relative_to(clip.folder)
    item = clip.item(lambda name: False)
    assert (item.id, item.extras, item.duration_s) == ("my film.mp4", {OWN: True}, 2.0)
    assert item.poster.is_file() and video.probe(item.clip).browser_playable
    assert clip.item(lambda name: True).id == "my film.mp4 (yours)"


def test_each_model_watches_it_once(film, tmp_path, monkeypatch):
    asked, ask = [], video.Child.ask

    def listening(self, call, *given, **named):
        asked.append(call)
        return ask(self, call, *given, **named)

    monkeypatch.setattr(video.Child, "ask", listening)
    clip = arrive(film, tmp_path).clip()
    one, other = FakeEncoder(), FakeEncoder("another")
    for encoder in (one, other, one, other):
        clip.row(encoder)
    assert asked.count("frames") == 1 + (one.digest != other.digest)
    assert clip.row(one).shape == (1, one.dim)


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"file_bytes": 10}, r"my film.mp4 has 0 MB, the limit is 0 MB; bring a shorter"),
        ({"pixels": 64 * 47}, r"my film.mp4 has 3,072 pixels in a picture, the limit is 3,008"),
        ({"pictures": 23}, r"my film.mp4 has 24 pictures, the limit is 23"),
        ({"ratio": 1.2}, r"my film.mp4 is 64 x 48; one side may be at most 1.2 times the other"),
        ({"step_s": 1e-3}, r"my film.mp4 was given up after 0 s of decoding"),
    ],
)
def test_what_is_over_a_limit_is_told_with_both_numbers(film, tmp_path, limits, told):
    with pytest.raises((FileError, VideoError), match=told):
        arrive(film, tmp_path, **limits).clip()


def test_only_the_beginning_of_a_long_video_is_used_and_no_copy_made(film, tmp_path):
    encoder = FakeEncoder()
    short = tmp_path / "short.mp4"
    video.write_mp4(short, grey(12, 64, 48), 12)
    expected = arrive(short, tmp_path, encoder).clip().row(encoder)
    clip = arrive(film, tmp_path, encoder, used_s=1.0).clip()
    assert clip.is_cut and clip.item(lambda name: False).clip is None
    np.testing.assert_allclose(clip.row(encoder), expected, atol=2e-2)  # two files, two codings


def test_of_a_video_of_many_pixels_there_is_a_still_only(film, tmp_path):
    item = arrive(film, tmp_path, copied=64 * 48 * 23).clip().item(lambda name: False)
    assert item.clip is None and item.poster.is_file()


@pytest.mark.parametrize("content", [b"", b"no video at all" * 20, b"RIFF\0\0\0\0AVI junk" * 9])
def test_what_is_no_video_is_told_by_its_own_name(tmp_path, content):
    (tmp_path / "notes.mp4").write_bytes(content)
    with pytest.raises(VideoError, match=r"^notes.mp4 .* holds no video we can read"):
        arrive(tmp_path / "notes.mp4", tmp_path).clip()


def test_cancelling_ends_the_child_at_once(film, tmp_path, monkeypatch):
    monkeypatch.setattr(
        arrival.video, "probe", lambda path, child: child.ask("probe", path=str(path))
    )
    monkeypatch.setattr(video.Child, "_start", _start_a_child_that_sleeps)
    began = time.monotonic()
    arriving = arrive(film, tmp_path)
    while arriving._child.process is None:
        time.sleep(0.01)
    assert not arriving.done.wait(0.2)
    arriving.cancel()
    with pytest.raises(Cancelled):
        arriving.clip()
    assert time.monotonic() - began < 5


def _start_a_child_that_sleeps(self) -> None:
    import subprocess
    import sys

    self.process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a film.mp4", "a film.mp4"),
        ("../../etc/passwd", "etcpasswd"),
        ("..", "clip"),
        ("<img src=x>\u202e.mp4", "img srcx.mp4"),
        ("ä" * 90 + ".webm", "ä" * 52 + "....webm"),
    ],
)
def test_names_are_made_fit_to_show(name, shown):
    assert shown_name(name, 60) == shown


def test_a_rotated_and_an_odd_sized_video_are_taken(tmp_path):
    for n, (width, height) in enumerate(((51, 37), (33, 90))):
        path = write_lossless(tmp_path / f"odd{n}.mkv", grey(20, width, height), 30)
        clip = arrive(path, tmp_path).clip()
        assert (clip.info.width, clip.info.height) == (width, height)
        assert clip.item(lambda name: False).clip is not None
    shutil.rmtree(clip.folder)
