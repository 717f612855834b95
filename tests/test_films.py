"""films.py: pairs of frames and sound of files of any size, rate and length."""

from fractions import Fraction

import av
import numpy as np
import pytest

from retrieval import video
from retrieval.datasets.animations import render, sounds
from retrieval.errors import VideoError
from retrieval.experts import motion
from retrieval.video import films


def write_lossless(path, frames, fps, sound=None, rate=films.RATE, gop=12):
    """A file whose pictures and samples come back as they are."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264rgb", rate=Fraction(fps).limit_denominator(1000))
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "rgb24"
        stream.options = {"crf": "0", "preset": "ultrafast", "g": str(gop), "threads": "1"}
        audio = None
        if sound is not None:
            audio = out.add_stream("pcm_f32le", rate=rate, layout="mono")
        for picture in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
        if audio is not None:
            wave = av.AudioFrame.from_ndarray(sound[None], format="flt", layout="mono")
            wave.sample_rate = rate
            out.mux(audio.encode(wave))
            out.mux(audio.encode(None))
    return path


def grey(n, width, height):
    """Frames whose level tells their number."""
    frames = np.empty((n, height, width, 3), np.uint8)
    frames[:] = (np.arange(n) % 250)[:, None, None, None]
    return frames


def levels(film):
    return film.frames[:, 80, 110, 0].tolist()


def test_a_library_film_is_taken_as_the_library_takes_it():
    assert (films.N_PAIRS, films.RATE) == (motion.N_PAIRS, sounds.RATE)
    assert films.SIZE == render.SIZE and films.APART_S == 1 / render.FPS


def test_a_film_comes_back_as_it_was_made(tmp_path):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (36, 168, 224, 3), dtype=np.uint8)
    sound = rng.uniform(-0.5, 0.5, 3 * films.RATE).astype(np.float32)
    film = films.read_film(write_lossless(tmp_path / "film.mkv", frames, 12, sound))
    at = np.stack([np.arange(1, 36, 3), np.arange(2, 37, 3)], axis=1).ravel()
    np.testing.assert_array_equal(film.frames, frames[at])
    np.testing.assert_array_equal(film.track, sound)


@pytest.mark.parametrize("gop", [25, 500])
def test_a_long_film_is_looked_at_in_equal_parts_whether_keys_are_many_or_one(tmp_path, gop):
    film = films.read_film(write_lossless(tmp_path / "a.mkv", grey(240, 32, 24), 4, gop=gop))
    middles = 5.0 * np.arange(12) + 2.5  # of 60 s; the other one is a third of a picture later
    expected = [int(4 * (at + later) + 1e-3) % 250 for at in middles for later in (0, 1 / 12)]
    assert levels(film) == expected and film.track is None


def test_only_the_first_seconds_are_used_where_that_is_asked(tmp_path):
    sound = np.linspace(-0.5, 0.5, 10 * films.RATE).astype(np.float32)
    path = write_lossless(tmp_path / "a.mkv", grey(120, 32, 24), 12, sound)
    film = films.read_film(path, most_s=3.0)
    at = np.stack([np.arange(1, 36, 3), np.arange(2, 37, 3)], axis=1).ravel()
    assert levels(film) == at.tolist()
    np.testing.assert_array_equal(film.track, sound[: 3 * films.RATE])


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_very_short_film_repeats_its_pictures(tmp_path, n):
    film = films.read_film(write_lossless(tmp_path / "a.mkv", grey(n, 32, 24), 12))
    assert film.frames.shape == (24, 168, 224, 3)
    assert set(levels(film)) == set(range(n))


@pytest.mark.parametrize(("width", "height"), [(320, 100), (90, 400)])
def test_other_shapes_are_cut_around_the_middle(tmp_path, width, height):
    frames = np.zeros((12, height, width, 3), np.uint8)
    wide, tall = min(width, round(height * 4 / 3)), min(height, round(width * 3 / 4))
    left, top = (width - wide) // 2, (height - tall) // 2
    frames[:, top : top + tall, left : left + wide] = 200
    film = films.read_film(write_lossless(tmp_path / "a.mkv", frames, 12))
    assert film.frames.shape == (24, 168, 224, 3) and (film.frames == 200).all()


def test_sound_of_another_rate_is_as_long_as_the_film(tmp_path):
    at = np.arange(2 * 48_000) / 48_000
    sound = (0.5 * np.sin(2 * np.pi * 440 * at)).astype(np.float32)
    path = write_lossless(tmp_path / "a.mkv", grey(36, 32, 24), 12, sound, 48_000)
    track = films.read_film(path).track
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * films.RATE) / films.RATE)
    assert len(track) == 3 * films.RATE
    np.testing.assert_allclose(track[500:43_000], expected[500:43_000], atol=0.01)
    assert not track[45_000:].any()


def test_the_librarys_own_files_keep_their_length(tmp_path):
    sound = (0.3 * np.sin(np.arange(3 * films.RATE) / 10)).astype(np.float32)
    video.write_mp4(tmp_path / "a.mp4", grey(36, 224, 168), 12, sound)
    film = films.read_film(tmp_path / "a.mp4")
    assert len(film.track) == 3 * films.RATE
    late = 1024  # samples that the library's AAC tracks begin with
    heard = film.track[late + 5000 : late + 60_000]
    assert np.corrcoef(heard, sound[5000:60_000])[0, 1] > 0.95


def test_what_is_no_film_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no film at all" * 9)
    with pytest.raises(VideoError, match="holds no video we can read"):
        films.read_film(tmp_path / "a.mp4")


def test_a_child_of_tight_limits_gives_up_in_a_sentence(tmp_path):
    path = write_lossless(tmp_path / "a.mkv", grey(36, 32, 24), 12)
    child = video.Child(timeout_s=1e-4)
    with pytest.raises(VideoError, match="given up after"):
        films.read_film(path, child)
    roomy = video.Child(memory_bytes=1_500_000_000)
    assert films.read_film(path, roomy).frames.shape == (24, 168, 224, 3)
    roomy.stop()
