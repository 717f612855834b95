"""Features of the film library: each number against a slow definition or a made case."""

import math
import pickle
from pathlib import Path

import numpy as np
import pytest

from retrieval.__main__ import main
from retrieval.datasets import trees
from retrieval.datasets.animations import sounds, split
from retrieval.datasets.animations.canvas import lettering
from retrieval.datasets.animations.render import sound
from retrieval.encoders import get_encoder
from retrieval.encoders.clip import words_of
from retrieval.encoders.tokens import ClipTokens, LetterVectors, WordVectors, load_tokens
from retrieval.errors import ModelError, SettingsError
from retrieval.experts import EXPERTS, TEXTS, hearing, layout, library, motion, reading, signals
from retrieval.experts.words import word_vectors
from retrieval.formats import read_pickle
from tests.reference_experts import (
    layout_by_definition,
    lucas_kanade_by_definition,
    mel_by_definition,
    ppmi_by_definition,
    spots_by_definition,
)

# ---- motion --------------------------------------------------------------------------------------


def waves(height, width, right=0.0, down=0.0):
    """A smooth picture, moved by any part of a pixel."""
    y, x = np.mgrid[:height, :width].astype(float)
    y, x = y - down, x - right
    picture = np.sin(0.31 * x + 0.2 * y) + np.sin(0.23 * y - 0.11 * x) + np.cos(0.4 * y + 0.05 * x)
    return 128 + 40 * picture


@pytest.mark.parametrize("right, down", [(0.6, -0.3), (2.5, 1.25), (-4.0, 2.0)])
def test_flow_finds_a_known_shift(right, down):
    shift = motion.flow(waves(42, 56)[None], waves(42, 56, right, down)[None])
    inside = shift[0, 8:-8, 8:-8].reshape(-1, 2)
    np.testing.assert_allclose(np.median(inside, axis=0), [right, down], atol=0.08)
    assert np.abs(inside - [right, down]).mean() < 0.25


def test_one_round_of_flow_is_least_squares_in_every_window(rng, monkeypatch):
    monkeypatch.setattr(motion, "LEVELS", 1)
    monkeypatch.setattr(motion, "ROUNDS", 1)
    before, after = rng.uniform(0, 60, (2, 3, 9, 11))  # 3 pairs
    shift = motion.flow(before, after)
    for i in range(3):
        slow = lucas_kanade_by_definition(before[i], after[i], motion.RADIUS, 4.0)
        np.testing.assert_allclose(shift[i], slow, atol=2e-4)


def test_motion_statistics_tell_direction_and_speed():
    before = np.stack([waves(42, 56, right=k) for k in range(12)])
    after = np.stack([waves(42, 56, right=k + 1.0) for k in range(12)])
    found = motion.statistics(before, after)
    assert found.shape == (motion.DIM,) and found.dtype == np.float32
    cells = found[: 12 * 10].reshape(12, 10) ** 2  # eight directions, speed, deviation
    middle = cells[[5, 6]]
    np.testing.assert_allclose(middle[:, 8], 1.0, atol=0.1)
    assert (middle[:, 0] > 0.9 * middle[:, 8]).all()  # to the right
    np.testing.assert_allclose(cells[:, :8].sum(axis=1), cells[:, 8], atol=1e-4)
    bands = found[132:140] ** 2
    assert bands.sum() == pytest.approx(1, abs=1e-5) and bands[3:5].sum() > 0.8
    assert found[140] == pytest.approx(1, abs=0.1) and abs(found[141]) < 0.3


def test_nothing_moves_in_still_and_flat_frames():
    still = np.stack([waves(42, 56)] * 12)
    for frames in (still, np.full((12, 42, 56), 90.0)):
        found = motion.statistics(frames, frames)
        assert found[132] == 1  # all pixels in the slowest band
        assert np.delete(found, 132).max() < 1e-3


# ---- scene ---------------------------------------------------------------------------------------


def test_layout_of_a_flat_frame_is_its_colour():
    frames = np.full((2, 42, 56, 3), (255, 0, 100), np.uint8)
    found = layout.statistics(frames)
    np.testing.assert_allclose(found[:144].reshape(48, 3), [[1, -1, 100 / 127.5 - 1]] * 48, 1e-5)
    boxes = found[144:208]
    assert boxes[3 * 16 + 0 * 4 + 1] == 1 and boxes.sum() == 1
    assert not found[208:].any()


def test_layout_matches_its_definition(rng):
    frames = rng.integers(0, 256, (2, 12, 16, 3), np.uint8)
    found = layout.statistics(frames)
    assert found.shape == (layout.DIM,)
    np.testing.assert_allclose(found, layout_by_definition(frames), atol=1e-4)


# ---- audio ---------------------------------------------------------------------------------------


def test_mel_bands_match_their_definition(rng):
    track = rng.uniform(-1, 1, 22050)
    found = hearing.log_mel(track, 22050)
    for frame in (0, 7, len(found) - 1):
        np.testing.assert_allclose(found[frame], mel_by_definition(track, 22050, frame), atol=1e-9)


def test_a_sine_fills_the_band_that_holds_it():
    track = np.sin(2 * np.pi * 1000 * sounds.seconds())
    tokens = hearing.mel_tokens(track, sounds.RATE)
    assert tokens.shape == (EXPERTS["audio"].max_tokens, hearing.DIM)
    low, high = (1127 * math.log(1 + hz / 700) for hz in (125, 7500))
    place = (1127 * math.log(1 + 1000 / 700) - low) / (high - low) * 65 - 1
    assert (np.abs(tokens[:, :64].argmax(axis=1) - place) < 1).all()
    assert tokens[:, 64:].max() < 0.2  # it does not change
    bands = hearing.log_mel(track, sounds.RATE)
    np.testing.assert_allclose(tokens[1, :64], bands[48:144].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(tokens[1, 64:], bands[48:144].std(axis=0), rtol=1e-3, atol=1e-5)


def test_silence_is_silent():
    assert hearing.is_silent(None) and hearing.is_silent(np.zeros(30000))
    assert not hearing.is_silent(sounds.bell())
    with pytest.raises(ValueError, match=r"0.98 s or more, got 0.50 s"):
        hearing.mel_tokens(np.ones(11025), 22050)


# ---- signals -------------------------------------------------------------------------------------

RNG = np.random.default_rng(5)


@pytest.mark.parametrize(
    "track, expected",
    [
        (sounds.at([0.3, 1.4], sounds.bell(700)), ["bell", "bell"]),
        (sounds.at([0.3, 1.0, 2.1], sounds.glide(2700, 3800, 0.09)), ["birds"] * 3),
        (sounds.at((0.0, 1.0, 2.0), sounds.tone(720, 0.18, 0.08), 0.7), ["beep"] * 3),
        (sounds.at([0.5], sounds.tone(1900, 2.0, None, (1, 0.2))), ["whistle"]),
        (sounds.at([0.2, 1.1], sounds.tone(420, 0.16, 0.08, (1, 0.9, 0.8, 0.7, 0.5))), ["quack"]),
        (sounds.ticking(2.0), ["tick"]),
        (sounds.melody(RNG, 8), ["music"]),
        (sounds.rain(RNG), []),
        (sounds.wind(RNG), []),
        (sounds.surf(RNG), []),
        (sounds.engine(), []),
        (sounds.crackle(RNG), []),
        (None, []),
    ],
)
def test_signals_are_heard_and_noise_is_none(track, expected):
    heard = signals.signals(track, sounds.RATE)
    if len(expected) == 1:
        assert set(heard) == set(expected)
    else:
        assert heard == expected


def test_a_note_has_its_pitch_and_length():
    track = sounds.at([0.5], sounds.tone(1000, 0.4, None))
    (note,) = signals.notes(track, sounds.RATE)
    assert note.hz == pytest.approx(1000, rel=0.01) and abs(note.slope) < 0.2
    assert note.start_s == pytest.approx(0.5, abs=0.03)
    assert note.length_s == pytest.approx(0.4, abs=0.04)


# ---- reading -------------------------------------------------------------------------------------

WORDS = ["hello", "coffee", "closed", "tickets", "winter", "the", "lit", "a", "it's"]


def page(text, size=30, ink=(20, 20, 60), ground=(240, 235, 220)):
    """Six frames with some writing in the middle."""
    from PIL import Image

    img = Image.new("RGB", (224, 168), ground)
    letters = lettering(text, size, ink)
    img.paste(letters, (112 - letters.width // 2, 70), letters)
    return np.stack([np.asarray(img)] * 6)


@pytest.mark.parametrize("word", ["hello", "coffee", "CLOSED", "tickets"])
def test_written_words_are_read(word):
    reader = reading.Reader(WORDS)
    assert reader.read(page(word)) == [word.lower()]
    assert reader.read(page(word, 40, (250, 250, 240), (10, 30, 90))) == [word.lower()]


def test_numbers_are_read_and_unknown_words_are_not():
    reader = reading.Reader(WORDS)
    assert reader.read(page("6 x 7 = 42")) == ["6", "7", "42"]
    assert reader.read(page("zebra")) == []
    assert reader.read(page("")) == []
    assert reader.read(np.zeros((6, 168, 224, 3), np.uint8)) == []


def test_a_short_reading_needs_two_frames():
    frames = page("")
    frames[2] = page("42")[0]
    assert reading.Reader(WORDS).read(frames) == []
    frames[3] = frames[2]
    assert reading.Reader(WORDS).read(frames) == ["42"]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 0.7, 1.0])
def test_spots_are_what_flooding_finds(rng, share):
    ink = rng.random((23, 31)) < share
    assert sorted(map(tuple, reading._spots(ink).tolist())) == spots_by_definition(ink)


# ---- words ---------------------------------------------------------------------------------------

CAPTIONS = [
    ["a", "red", "ball", "bounces", "on", "grass"],
    ["a", "blue", "ball", "bounces", "on", "sand"],
    ["rain", "falls", "on", "a", "blue", "roof"],
    ["snow", "falls", "on", "a", "red", "roof", "and", "on", "grass"],
]


def test_word_vectors_factor_the_matrix_of_their_definition():
    words, vectors = word_vectors(CAPTIONS, 20)
    known, ppmi = ppmi_by_definition(CAPTIONS)
    assert words == known and vectors.shape == (len(words), 20)
    assert not vectors[:, len(words) :].any()
    assert np.linalg.norm(vectors, axis=1).mean() == pytest.approx(1, abs=1e-5)
    # With all columns kept, (U sqrt(S)) (U sqrt(S))' squared is the matrix times its transpose.
    gram = vectors.astype(float) @ vectors.T
    squared, expected = gram @ gram, ppmi @ ppmi.T
    np.testing.assert_allclose(
        squared / np.trace(squared), expected / np.trace(expected), atol=1e-5
    )


def test_text_encoders_come_back_as_they_were(tmp_path):
    words, vectors = word_vectors(CAPTIONS, 6)
    half = vectors.astype(np.float16).astype(np.float32)
    for encoder in (WordVectors(words, half), LetterVectors(16), ClipTokens()):
        encoder.save(tmp_path / encoder.name)
        again = load_tokens(tmp_path / encoder.name)
        assert (again.name, again.dim) == (encoder.name, encoder.dim)
        for caption in ("A red ball, falls!", "zebra", "?"):
            tokens = encoder.encode(caption)
            assert tokens.ndim == 2 and tokens.shape[1] == encoder.dim and len(tokens) >= 1
            np.testing.assert_array_equal(again.encode(caption), tokens)
    with pytest.raises(ModelError, match="no text encoder nothing"):
        load_tokens(tmp_path / "nothing")


def test_unknown_words_are_left_out_or_the_mean_of_all():
    words, vectors = word_vectors(CAPTIONS, 6)
    encoder = WordVectors(words, vectors)
    np.testing.assert_array_equal(
        encoder.encode("the Red zebra falls"),
        vectors[[words.index("red"), words.index("falls")]],
    )
    np.testing.assert_allclose(encoder.encode("zebra")[0], vectors.mean(axis=0), atol=1e-6)


def test_letter_vectors_are_alike_for_words_spelled_alike():
    house, houses, river = LetterVectors().encode("house houses river")
    assert house @ houses > 0.5 > abs(house @ river)


def test_the_last_token_state_makes_the_sentence_embedding():
    captions = ["a red ball bounces", "rain falls on the roof of a house at night"]
    encoder = get_encoder("animations-clip", device="cpu")
    last = np.stack([tokens[-1] for tokens in ClipTokens().encode_all(captions)])
    projected = last @ encoder.model.text_projection.detach().numpy()
    projected /= np.linalg.norm(projected, axis=1, keepdims=True)
    np.testing.assert_allclose(projected, encoder.encode_text(captions), atol=1e-5)


# ---- the tree ------------------------------------------------------------------------------------

N = 4  # clips
TRAIN = split("train")[:60]


def write(out, **settings):
    return library.write_experts(out, ("val",), limit=N, workers=1, train_clips=TRAIN, **settings)


def contents(out):
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and library.PARTS not in path.parts
    }


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    out = tmp_path_factory.mktemp("experts")
    write(out)
    return out


def test_every_file_is_read_by_the_safe_reader_and_by_plain_pickle(tree):
    ids = (tree / "val_list_full.txt").read_text().split()
    assert ids == [clip.id for clip in split("val")[:N]]
    for expert in EXPERTS.values():
        features = read_pickle(tree / expert.path)
        written = (tree / expert.path).read_bytes()
        assert list(features) == ids and b"numpy._core" not in written
        for video, value in pickle.loads(written).items():
            np.testing.assert_array_equal(features[video], value)
            if isinstance(value, float):
                assert expert.flaky and math.isnan(value)
                continue
            assert value.dtype == np.float16 and np.isfinite(value).all()
            assert value.shape[1] == expert.dim and 1 <= len(value) <= expert.max_tokens
            assert expert.kind == "variable" or value.shape == (1, expert.dim)


def test_the_data_set_looks_where_the_table_says():
    root = Path("root")
    for name, expert in EXPERTS.items():
        found = trees.expert_files(root, "Animations", "full-test", name, expert.aggregation)
        assert found == [root / expert.path]
        if name.count(".") == 2:  # the rule of the official trees says the same
            assert trees.named_files(name, expert.aggregation) == [expert.path]
    for name, text in TEXTS.items():
        assert trees.text_files(root, "Animations", name) == [root / text.path]


def test_captions_and_text_features_go_together(tree):
    captions = read_pickle(tree / "raw-captions.pkl")
    for text in TEXTS.values():
        features = read_pickle(tree / text.path)
        live = load_tokens(tree / library.TEXT_ENCODERS / text.name)
        for clip in split("val")[:N]:
            assert [" ".join(words) for words in captions[clip.id]] == list(clip.captions)
            assert len(features[clip.id]) == 20
            for caption, tokens in zip(clip.captions, features[clip.id], strict=True):
                assert tokens.dtype == np.float16 and tokens.shape[1] == text.dim == live.dim
                np.testing.assert_allclose(tokens, live.encode(caption), atol=4e-3)


def test_gaps_are_where_there_is_nothing(tree):
    audio = read_pickle(tree / EXPERTS["audio"].path)
    for clip in split("val")[:N]:
        assert isinstance(audio[clip.id], float) == (sound(clip) is None)
    assert {isinstance(value, float) for value in audio.values()} == {True, False}


def test_words_on_screen_and_signals_are_found_in_films():
    clips = split("val")
    written = next(c for c in clips if c.scene_name == "neon_sign" and c.look["word"] == "PIZZA")
    ringing = next(c for c in clips if c.scene_name == "drawbridge")
    silent = next(c for c in clips if sound(c) is None and c.scene_name == "lava_lamp")
    vocabulary = {
        word for clip in split("train")[:800] for w in clip.captions[:4] for word in words_of(w)
    }
    experts = library.Experts(sorted(vocabulary))
    assert experts.of(written)["ocr"] == ["pizza"]
    assert set(experts.of(ringing)["speech"]) == {"bell"}
    found = experts.of(silent)
    assert found["audio"] is None and found["speech"] == [] and found["ocr"] == []


def test_frame_embeddings_are_the_encoders(tree):
    from retrieval.datasets.animations.render import draw_frames

    clip = split("val")[0]
    rgb = read_pickle(tree / EXPERTS["rgb.clip.0"].path)[clip.id]
    frames = draw_frames(clip, np.arange(1, 36, 3) / 12)
    expected = get_encoder("animations-clip", device="cpu").encode_videos([frames])
    np.testing.assert_allclose(rgb, expected, atol=1e-3)


def test_a_second_run_draws_nothing_and_leaves_the_same_bytes(tree, monkeypatch):
    before = contents(tree)
    monkeypatch.setattr(library, "draw_frames", None)
    write(tree)
    assert contents(tree) == before


def test_a_run_that_breaks_off_goes_on(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(library, "_PART", 1)
    drawn, draw = [], library.draw_frames

    def until_the_third(clip, times_s):
        if len(drawn) == 2:
            raise KeyboardInterrupt
        drawn.append(clip.id)
        return draw(clip, times_s)

    monkeypatch.setattr(library, "draw_frames", until_the_third)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path)
    assert not (tmp_path / library.MANIFEST).exists()
    monkeypatch.setattr(
        library,
        "draw_frames",
        lambda clip, times_s: (drawn.append(clip.id), draw(clip, times_s))[1],
    )
    write(tmp_path)
    assert drawn == [clip.id for clip in split("val")[:N]]  # each once
    assert contents(tmp_path) == contents(tree)


def test_two_workers_find_what_one_finds(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(library, "_PART", 2)
    library.write_experts(tmp_path, ("val",), limit=N, workers=2, texts=False, train_clips=TRAIN)
    for expert in EXPERTS.values():
        assert (tmp_path / expert.path).read_bytes() == (tree / expert.path).read_bytes()
    folder = tree / library.TEXT_ENCODERS / "clip"
    encoder, chunks = load_tokens(folder), [list(clip.captions) for clip in split("val")[:3]]
    one, two = (list(library._encoded(encoder, folder, chunks, n)) for n in (1, 2))
    assert len(one) == len(two) == 3
    for alone, together in zip(one, two, strict=True):
        np.testing.assert_array_equal(alone[1], together[1])
        np.testing.assert_allclose(alone[0], together[0], atol=4e-3)


def test_texts_can_be_added_later(tree, tmp_path):
    assert write(tmp_path, texts=False)["texts"] == {}
    assert not (tmp_path / "aggregated_text_feats").exists()
    write(tmp_path)
    assert contents(tmp_path) == contents(tree)


def test_another_version_is_not_mixed_in(tmp_path):
    (tmp_path / library.MANIFEST).write_text('{"version": "old", "splits": {"train": 7000}}')
    with pytest.raises(SettingsError, match="split train of another version .* --split all"):
        write(tmp_path)


def test_the_command_says_what_does_not_go_together(tmp_path, capsys):
    out = str(tmp_path / "tree")
    for options, message in (
        (["--out", out, "--experts", out], "give one of --out"),
        (["--experts", out, "--scene", "clock"], "--scene goes with --out"),
        (["--experts", out, "--limit", "0"], "must be 1 or more"),
        (["--out", out, "--split", "all"], "--split all goes with --experts"),
    ):
        assert main(["animations", *options]) == 2
        assert message in capsys.readouterr().err
