"""The film library: grammar, splits, every scene's films, and the annotation files."""

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image

from retrieval.datasets.animations import SCENES, SPLITS, grammar, split
from retrieval.datasets.animations.library import sample_captions, write_annotations
from retrieval.datasets.animations.render import (
    FPS,
    N_FRAMES,
    draw_frames,
    is_rendered,
    render,
    sound,
    spread_times,
)
from retrieval.datasets.animations.sounds import N
from retrieval.errors import SettingsError
from retrieval.video import probe, sample_frames

WORDS = {"colour": {"red": ("red", "*vermilion")}, "n": {1: ("one",), 3: ("three",)}}


def write(template, n=3, detail=1.0, test_words=False, seed=0):
    look = {"colour": "red", "n": n}
    rng = np.random.default_rng(seed)
    return grammar.sentence(template, look, WORDS, rng, detail, test_words)


def test_a_template_takes_values_and_agrees_in_number():
    template = "{n} {colour} {n|kite|kites} {n|flies|fly}"
    assert write(template) == "three red kites fly"
    assert write(template, n=1) == "one red kite flies"


def test_optional_parts_follow_the_level_of_detail():
    template = "a kite [over the (old|(green|wet)) hill]"
    assert write(template, detail=0.0) == "a kite"
    told = {write(template, detail=1.0, seed=seed) for seed in range(40)}
    assert told == {f"a kite over the {word} hill" for word in ("old", "green", "wet")}


def test_starred_words_come_in_test_captions_only():
    train = {write("a {colour} kite", seed=seed) for seed in range(40)}
    test = {write("a {colour} kite", test_words=True, seed=seed) for seed in range(40)}
    assert train == {"a red kite"}
    assert test == {"a red kite", "a vermilion kite"}


def test_the_article_fits_the_next_word():
    assert write("a orange and a unicycle, a hourglass") == "an orange and a unicycle, an hourglass"


@pytest.mark.parametrize("template", ["a (b|c", "a {shape}", "a {colour"])
def test_a_broken_template_is_named(template):
    with pytest.raises(ValueError, match=re.escape(repr(template))):
        write(template)


def test_the_library_has_the_shape_of_the_benchmark():
    assert {name: len(split(name)) for name in SPLITS} == {"train": 7000, "val": 500, "test": 1000}
    ids = [clip.id for name in SPLITS for clip in split(name)]
    assert len(set(ids)) == 8500
    assert len(SCENES) >= 60
    assert len({scene.theme for scene in SCENES.values()}) >= 10
    per_scene = np.unique([clip.scene_name for clip in split("test")], return_counts=True)[1]
    assert per_scene.max() - per_scene.min() <= 1


def test_the_library_is_the_same_every_time():
    first = [(clip.look, clip.captions) for clip in split("val")[:50]]
    split.cache_clear()
    assert first == [(clip.look, clip.captions) for clip in split("val")[:50]]


def test_every_clip_has_20_captions_without_marks():
    for name in ("val", "test"):
        for clip in split(name):
            assert len(clip.captions) == 20
            for text in clip.captions:
                assert not re.search(r"[*{}\[\]()|]|  |^ | $", text), (clip.scene_name, text)
                assert 2 <= len(text.split()) <= 40, (clip.scene_name, text)


def test_some_test_captions_use_words_that_no_training_caption_has():
    def words(clips):
        return {
            w for clip in clips for text in clip.captions for w in re.findall(r"[a-z'-]+", text)
        }

    train = words(split("train"))
    unseen = [c.id for c in split("test") if not set(re.findall(r"[a-z'-]+", c.caption)) <= train]
    assert 5 <= len(unseen) <= 200
    assert words(split("val")) <= train


def test_at_least_half_of_the_clips_have_sound():
    clips = split("test")[:300]
    tracks = [sound(clip) for clip in clips]
    heard = [track for track in tracks if track is not None]
    assert 0.5 <= len(heard) / len(clips) < 1.0
    for track in heard:
        assert track.shape == (N,) and np.isfinite(track).all()
        assert 0.01 < np.abs(track).max() <= 1


@pytest.mark.parametrize("name", sorted(SCENES))
def test_every_scene_draws_a_moving_picture_in_any_order(name):
    clip = next(clip for clip in split("test") if clip.scene_name == name)
    times = spread_times(3)
    frames = draw_frames(clip, times)
    assert frames.shape == (3, 168, 224, 3) and frames.dtype == np.uint8
    assert frames.std() > 8, "an empty picture"
    assert np.abs(frames[0].astype(int) - frames[2]).mean() > 0.05, "nothing moves"
    np.testing.assert_array_equal(draw_frames(clip, times[::-1])[::-1], frames)


def test_clips_are_written_once_and_play(tmp_path):
    clips = split("test")[:4]
    assert render(clips, tmp_path, n_workers=2) == 4
    assert render(clips, tmp_path, n_workers=2) == 0
    for clip in clips:
        assert is_rendered(clip, tmp_path)
        path = tmp_path / "clips" / f"{clip.id}.mp4"
        info = probe(path)
        assert (info.width, info.height, info.codec) == (224, 168, "h264")
        assert info.duration_s == pytest.approx(N_FRAMES / FPS)
        assert info.browser_playable
        assert info.has_audio == (sound(clip) is not None)
        assert Image.open(tmp_path / "posters" / f"{clip.id}.jpg").size == (224, 168)
        drawn = draw_frames(clip, np.array([0.75]) // (1 / FPS) / FPS).astype(float)
        assert np.abs(sample_frames(path, 2)[0] - drawn[0]).mean() < 12


def test_a_caption_sample_spreads_over_the_clips():
    sample = sample_captions("val", 700)
    assert len(sample) == 700 and sample == sample_captions("val", 700)
    clips = split("val")
    owners = [{clip.id for clip in clips if text in clip.captions} for text in sample[:500]]
    assert all(owners) and len(set.union(*owners)) == 500
    with pytest.raises(SettingsError, match="10000 captions, cannot take 10001"):
        sample_captions("val", 10001)


def test_annotations_have_the_official_columns(tmp_path):
    clips = split("val")[:3]
    write_annotations(tmp_path, "val", clips)
    told = json.loads((tmp_path / "ANIMATIONS_val.json").read_text())
    assert [v["video_id"] for v in told["videos"]] == [clip.id for clip in clips]
    assert len(told["sentences"]) == 60
    with open(tmp_path / "ANIMATIONS_val.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["key", "vid_key", "video_id", "sentence"]
    assert [row["sentence"] for row in rows] == [clip.caption for clip in clips]
