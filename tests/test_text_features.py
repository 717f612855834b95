"""Captions -> a file of text features: official layout, broken-off runs, trained on as it is."""

import contextlib
import json
import pickle

import numpy as np
import pytest
from made_trees import make_tree
from test_official_runs import HOW

from retrieval import texts
from retrieval.__main__ import main
from retrieval.datasets.features import read_text_features
from retrieval.encoders.tokens import LetterVectors
from retrieval.errors import FileError, ModelError, SettingsError
from retrieval.formats import read_pickle
from retrieval.texts import GrowingPickle, compare_texts, read_captions, recipe_of, write_texts

N_VIDEOS = 40


@pytest.fixture
def captions(rng):
    words = ["a", "red", "dog", "kite", "runs", "flies", "beach"]
    return {
        f"video{i}": [" ".join(rng.choice(words, 1 + (i + c) % 5)) for c in range(1 + i % 4)]
        for i in range(N_VIDEOS)
    }


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(texts, "_CAPTIONS", 7)


def write(out, captions, encoder=None, recipe="letters", **settings):
    return write_texts(
        encoder or LetterVectors(),
        captions,
        out,
        recipe={"encoder": recipe},
        command="python -m retrieval texts letters",
        **settings,
    )


def test_the_file_has_the_official_layout_and_every_reader_reads_it(tmp_path, captions, few):
    out = tmp_path / "aggregated_text_feats" / "letters.pkl"
    told = []
    written = write(out, captions, done=told.append)
    n_captions = sum(map(len, captions.values()))
    assert (written.n_videos, written.n_captions, written.n_empty) == (N_VIDEOS, n_captions, 0)
    assert sum(told) == n_captions and len(told) > 5
    encoder, plain, ours = LetterVectors(), pickle.loads(out.read_bytes()), read_pickle(out)
    features = read_text_features([out], list(captions))
    assert list(plain) == list(ours) == list(features) == list(captions)
    assert b"numpy._core" not in out.read_bytes()  # older numpy does not know that name
    n_tokens = 0
    for video, sentences in captions.items():
        assert len(plain[video]) == len(sentences)
        for c, sentence in enumerate(sentences):
            expected = encoder.encode(sentence)
            n_tokens += len(expected)
            assert plain[video][c].dtype == np.float32
            for read in (plain, ours, features):
                np.testing.assert_array_equal(read[video][c], expected)
    assert written.n_tokens == n_tokens
    assert [path.name for path in out.parent.iterdir()] == ["letters.pkl"]


class Breaks(LetterVectors):
    """Breaks off after some captions."""

    def __init__(self, after):
        super().__init__()
        self.left, self.seen = after, []

    def encode_all(self, captions):
        self.left -= len(captions)
        if self.left < 0:
            raise KeyboardInterrupt
        self.seen += captions
        return super().encode_all(captions)


@pytest.mark.parametrize("after", [0, 10, 30, 60])
def test_a_run_that_breaks_off_goes_on_with_the_same_bytes(tmp_path, captions, few, after):
    write(tmp_path / "whole.pkl", captions)
    out, first, second = tmp_path / "out.pkl", Breaks(after), Breaks(10**6)
    with pytest.raises(KeyboardInterrupt):
        write(out, captions, first)
    assert not out.exists()
    with open(tmp_path / "out.pkl.partial", "ab") as file:  # written, and not noted
        file.write(b"half of a video")
    with open(tmp_path / "out.pkl.partial.jsonl", "ab") as file:
        file.write(b'{"bytes": 1')
    written = write(out, captions, second)
    assert first.seen + second.seen == [text for some in captions.values() for text in some]
    assert out.read_bytes() == (tmp_path / "whole.pkl").read_bytes()
    assert written.n_captions == len(first.seen) + len(second.seen)
    assert {path.name for path in tmp_path.iterdir()} == {"whole.pkl", "out.pkl"}


def test_what_was_lost_of_a_half_is_made_again(tmp_path, captions, few):
    write(tmp_path / "whole.pkl", captions)
    out = tmp_path / "out.pkl"
    with contextlib.suppress(KeyboardInterrupt):
        write(out, captions, Breaks(60))
    partial = tmp_path / "out.pkl.partial"
    partial.write_bytes(partial.read_bytes()[: partial.stat().st_size // 2])
    write(out, captions)
    assert out.read_bytes() == (tmp_path / "whole.pkl").read_bytes()
    with contextlib.suppress(KeyboardInterrupt):
        write(out, captions, Breaks(60))
    partial.unlink()
    write(out, captions)
    assert out.read_bytes() == (tmp_path / "whole.pkl").read_bytes()


def test_a_half_of_another_recipe_is_left_alone(tmp_path, captions, few):
    out = tmp_path / "out.pkl"
    with contextlib.suppress(KeyboardInterrupt):
        write(out, captions, Breaks(60))
    before = (tmp_path / "out.pkl.partial").read_bytes()
    with pytest.raises(SettingsError, match="was begun by `python -m retrieval texts letters`"):
        write(out, captions, recipe="words")
    assert (tmp_path / "out.pkl.partial").read_bytes() == before
    with (
        GrowingPickle(out, {"encoder": "letters"}, ""),
        pytest.raises(SettingsError, match="is being written"),
    ):
        write(out, captions)


def test_recipes_tell_sources_captions_and_rules_apart(tmp_path):
    path = tmp_path / "c.pkl"
    path.write_bytes(b"captions")
    first = recipe_of(f"w2v={path}", path, 3, False)
    (tmp_path / "link.pkl").symlink_to(path)
    assert first == recipe_of(f"w2v={tmp_path}/link.pkl", path, 3, False)
    assert json.loads(json.dumps(first)) == first
    others = [(f"w2v-spaces={path}", 3, False), ("w2v", 3, False), (f"w2v={path}", 2, False)]
    for spec, n, half in [*others, (f"w2v={path}", 3, True)]:
        assert recipe_of(spec, path, n, half) != first
    path.write_bytes(b"others")
    assert recipe_of(f"w2v={path}", path, 3, False) != first


class Knows(LetterVectors):
    """Knows one word."""

    def encode(self, caption):
        known = [word for word in caption.split() if word == "dog"]
        return super().encode(" ".join(known)) if known else np.zeros((0, self.dim), np.float32)


def test_captions_of_which_nothing_is_known_are_one_token_of_zeros(tmp_path):
    written = write(tmp_path / "o.pkl", {"v": ["a dog", "nothing"], "w": ["x"]}, Knows(), half=True)
    assert (written.n_captions, written.n_empty, written.n_tokens) == (3, 2, 3)
    held = read_pickle(tmp_path / "o.pkl")
    for zero in (held["v"][1], held["w"][0]):
        assert zero.dtype == np.float16 and zero.shape == (1, 32) and not zero.any()
    assert held["v"][0].any()


def test_tokens_that_are_not_finite_are_refused(tmp_path, captions):
    class Broken(LetterVectors):
        def encode(self, caption):
            return np.full((1, 32), np.nan, np.float32)

    with pytest.raises(ModelError, match="not finite"):
        write(tmp_path / "o.pkl", captions, Broken())


def test_captions_are_lists_of_words_or_sentences(tmp_path):
    path = tmp_path / "raw-captions.pkl"
    path.write_bytes(pickle.dumps({"v": [["a", "red", "dog"], ["runs"]], "w": ["a kite"]}))
    assert read_captions(path) == {"v": ["a red dog", "runs"], "w": ["a kite"]}
    assert read_captions(path, limit=1) == {"v": ["a red dog", "runs"]}
    for wrong, match in (
        ({"v": "a red dog"}, "video v has str 'a red dog' for captions"),
        ({"v": []}, "video v has no caption; leave it out"),
        ({"v": [3]}, "a caption of video v is '3', expected a list of words"),
        ({"v": [["a", 3]]}, "a caption of video v"),
        ({}, "holds no caption"),
        (["v"], "expected a dict"),
    ):
        path.write_bytes(pickle.dumps(wrong))
        with pytest.raises(FileError, match=match):
            read_captions(path)


def test_features_made_elsewhere_are_held_against_ours(tmp_path, captions):
    write(tmp_path / "o.pkl", captions)
    held = pickle.loads((tmp_path / "o.pkl").read_bytes())

    def compared(changed):
        (tmp_path / "r.pkl").write_bytes(pickle.dumps(changed))
        return compare_texts(LetterVectors(), captions, tmp_path / "r.pkl")

    n_captions = sum(map(len, captions.values()))
    assert compared(held) == (n_captions, 0)
    near = {video: [tokens + 3e-6 for tokens in some] for video, some in held.items()}
    n, worst = compared(near)
    assert n == n_captions and 2e-6 < worst < 4e-6
    for changed, match in (
        (held | {"video3": held["video3"][:-1]}, "has 3 captions of video video3, there are 4"),
        ({v: t for v, t in held.items() if v != "video5"}, "has none of video video5"),
        (held | {"video2": [t[:, :5] for t in held["video2"]]}, "another encoder or another rule"),
    ):
        with pytest.raises(FileError, match=match):
            compared(changed)


# ---- the command ---------------------------------------------------------------------------------


def test_official_configs_train_on_features_that_the_command_writes(tmp_path, capsys):
    config = make_tree(tmp_path, "MSRVTT", "full-val") | HOW
    root = tmp_path / "MSRVTT" / "structured-symlinks"
    out = root / "aggregated_text_feats" / "letters.pkl"
    command = ["texts", "letters", "--captions", str(root / "raw-captions.pkl")]
    assert main([*command, "--out", str(out)]) == 0
    assert main([*command, "--out", str(out)]) == 2
    assert "give --replace" in capsys.readouterr().err
    assert main([*command, "--out", str(out), "--replace", "--half", "--limit", "5"]) == 0
    assert len(read_pickle(out)) == 5
    assert main([*command, "--out", str(out), "--replace"]) == 0
    assert main([*command, "--check", str(out)]) == 0
    assert "letters.pkl agrees in 219 captions" in capsys.readouterr().out

    config["experts"] |= {"text_feat": "letters", "text_dim": 32}
    path = tmp_path / "mini.json"
    path.write_text(json.dumps(config))
    run = ["train", str(path), "--out", str(tmp_path / "run"), "--device", "cpu"]
    assert main(run) == 0
    assert "epoch 2" in capsys.readouterr().out
    del config["experts"]["text_dim"]
    path.write_text(json.dumps(config))
    assert main(run) == 2
    assert "unknown text_feat 'letters'; give its experts.text_dim" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ([], "give an encoder"),
        (["letters"], "give --captions FILE"),
        (["letters", "--captions", "c.pkl"], "give either --out FILE or --check FILE"),
        (["letters", "--captions", "c.pkl", "--out", "o.pkl"], "no file"),
        (["letters", "--captions", "c.pkl", "--out", "o.pkl", "--limit", "0"], "--limit"),
    ],
)
def test_what_is_missing_is_told_in_one_line(tmp_path, monkeypatch, capsys, command, message):
    monkeypatch.chdir(tmp_path)
    assert main(["texts", *command]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_every_encoder_is_listed(capsys):
    assert main(["texts", "--list"]) == 0
    printed = capsys.readouterr().out
    assert "gpt2-xl               1600  openai-community/gpt2-xl" in printed
    assert "w2v-spaces" in printed
