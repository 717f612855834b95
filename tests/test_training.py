"""Training: merges, frames on disk, a run that learns, one that is killed and goes on."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
open_clip = pytest.importorskip("open_clip")

from retrieval import checkpoint  # noqa: E402
from retrieval.__main__ import main  # noqa: E402
from retrieval.datasets.animations import split  # noqa: E402
from retrieval.encoders import clip, get_encoder  # noqa: E402
from retrieval.encoders.clip.loading import build_model, build_tokenizer  # noqa: E402
from retrieval.encoders.clip.pixels import Preprocess  # noqa: E402
from retrieval.errors import ModelError  # noqa: E402
from retrieval.training import frame_cache  # noqa: E402
from retrieval.training.bpe import learn_merges, write_merges  # noqa: E402
from retrieval.training.trainer import Pairs, Settings, Trainer, shifted  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
MODEL_CFG = {
    "embed_dim": 16,
    "vision_cfg": {"layers": [1, 1, 1, 1], "width": 8, "head_width": 32, "image_size": 32},
    "text_cfg": {"context_length": 6, "width": 16, "heads": 2, "layers": 1, "vocab_size": 64},
}
PREPROCESS_CFG = {
    "size": 32,
    "mode": "RGB",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.25, 0.25],
    "interpolation": "bilinear",
    "resize_mode": "squash",
    "fill_color": 0,
}
SETTINGS = Settings(batch=16, epochs=4, learning_rate=3e-3, shift=2, frames_per_step=2)


# ---- merges --------------------------------------------------------------------------------------


def merges_by_definition(words: list[str], n_merges: int) -> list[tuple[str, str]]:
    """Counts every pair anew for every merge."""
    corpus = [[*word[:-1], word[-1] + "</w>"] for word in words]
    merges = []
    for _ in range(n_merges):
        pairs = Counter(pair for symbols in corpus for pair in zip(symbols, symbols[1:]))  # noqa: B905
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for symbols in corpus:
            i = 0
            while i < len(symbols) - 1:
                if (symbols[i], symbols[i + 1]) == best:
                    symbols[i : i + 2] = ["".join(best)]
                i += 1
    return merges


def test_merges_match_their_definition():
    words = ["banana", "bananas", "and", "an", "anaconda", "sand", "band", "bandana", "aaaa"] * 2
    words += ["and", "sand", "banana", "a", "aaaaa", "aa"]
    expected = merges_by_definition(words, 30)
    assert len(expected) > 15
    assert learn_merges(words, 30) == expected
    assert learn_merges(words, 3) == expected[:3]


def test_open_clip_reads_the_merges_and_every_word_is_one_token(tmp_path):
    words = ["two", "kites", "kite", "fly", "over", "the", "sea"]
    write_merges(tmp_path / "merges.txt.gz", learn_merges(words, 100))
    tokenizer = build_tokenizer(tmp_path / "merges.txt.gz", 12)
    assert [len(tokenizer.encode(word)) for word in words] == [1] * 7
    assert len(tokenizer.encode("zzz")) == 3
    text = "Two kites fly over the sea"
    assert tokenizer.decode(tokenizer.encode(text)).strip() == text.lower()
    assert tokenizer.eot_token_id == max(tokenizer.encoder.values())
    before = (tmp_path / "merges.txt.gz").read_bytes()
    write_merges(tmp_path / "merges.txt.gz", learn_merges(words, 100))
    assert (tmp_path / "merges.txt.gz").read_bytes() == before
    assert not gzip.decompress(before).endswith(b"\n")


# ---- frames --------------------------------------------------------------------------------------


def test_cached_frames_are_those_that_are_drawn_and_only_once(tmp_path, monkeypatch):
    lines = []
    frames = frame_cache.cached_frames(tmp_path, "val", 2, 24, 1, lines.append, limit=3)
    assert frames.shape == (3, 2, 24, 24, 3) and frames.dtype == np.uint8
    for i in range(3):
        np.testing.assert_array_equal(frames[i], frame_cache.small_frames(split("val")[i], 2, 24))
    assert "3 of 3 clips" in lines[-1]

    drawn = len(lines)
    frame_cache.cached_frames(tmp_path, "val", 2, 24, 1, lines.append, limit=3)
    assert len(lines) == drawn  # nothing was drawn again

    keys = np.load(tmp_path / "val-2x24-keys.npy", mmap_mode="r+")
    keys[1] = 7  # as after a change of that scene
    keys.flush()
    frame_cache.cached_frames(tmp_path, "val", 2, 24, 1, lines.append, limit=3)
    assert "1 of 1 clips" in lines[-1]


def test_small_frames_are_squashed_as_the_encoder_squashes_them():
    one = split("val")[0]
    whole = frame_cache.draw_frames(one, frame_cache.spread_times(2))
    pixels = Preprocess({**PREPROCESS_CFG, "size": 32})(whole)
    levels = (pixels * 0.25 + 0.5) * 255
    small = frame_cache.small_frames(one, 2, 32)
    assert np.abs(levels.permute(0, 2, 3, 1).numpy() - small).max() < 1.5


def test_shifted_moves_all_frames_of_a_clip_alike(rng):
    frames = rng.integers(0, 256, (2, 3, 5, 7, 3)).astype(np.uint8)
    before = frames.copy()
    moved = shifted(frames, np.array([[1, -2], [0, 0]]))
    np.testing.assert_array_equal(moved[0, :, 1:, :-2], frames[0, :, :-1, 2:])
    np.testing.assert_array_equal(moved[0, :, 0], moved[0, :, 1])  # the border is drawn out
    np.testing.assert_array_equal(moved[1], frames[1])
    np.testing.assert_array_equal(frames, before)


# ---- the loop ------------------------------------------------------------------------------------


def coloured_pairs(n: int, seed: int) -> Pairs:
    """Flat clips whose captions name their brightness in each of three channels, 4 levels each."""
    rng = np.random.default_rng(seed)
    levels = np.array([np.unravel_index(i % 64, (4, 4, 4)) for i in rng.permutation(n)])  # [n, 3]
    frames = np.broadcast_to((levels * 75 + 15)[:, None, None, None, :], (n, 3, 32, 32, 3))
    frames = (frames + rng.integers(-10, 10, frames.shape)).astype(np.uint8)
    words = levels + [10, 20, 30]
    end = np.full((n, 1), 63)
    start = np.full((n, 1), 62)
    ways = [
        np.concatenate([start, words[:, order], end, 0 * end], axis=1)
        for order in ([0, 1, 2], [2, 0, 1])
    ]
    return Pairs(frames, np.stack(ways, 1).astype(np.int32))


def trainer(folder, settings=SETTINGS, minutes=None, report=lambda line: None, n=64):
    model = build_model(MODEL_CFG, PREPROCESS_CFG, settings.seed)
    train, val = coloured_pairs(n, 1), coloured_pairs(24, 2)
    return Trainer(model, train, val, settings, folder, {"test": 1}, minutes, report)


@pytest.fixture
def one_thread():
    """Sums in one order, so that two runs can be equal to the last bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_run_learns_and_keeps_its_best_epoch(tmp_path):
    lines = []
    settings = Settings(batch=32, epochs=20, learning_rate=3e-3, shift=1, frames_per_step=1)
    run = trainer(tmp_path, settings, report=lines.append)
    first = run.validate()
    best = run.run()
    assert best["R@1"] > 60 > 20 > first["R@1"]
    rows = json.loads((tmp_path / "curves.json").read_text())
    assert [row["epoch"] for row in rows] == list(range(1, 21))
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    assert max(row["R@1"] for row in rows) == best["R@1"]
    assert "validation R@1" in lines[-1] and "clips/s" in lines[-1] and "min left" in lines[-1]
    kept = build_model(MODEL_CFG, PREPROCESS_CFG, 5)
    kept.load_state_dict(checkpoint.read_weights(tmp_path / "best.safetensors"))
    run.model = kept
    assert run.validate()["R@1"] == pytest.approx(best["R@1"], abs=5)


def test_a_resumed_run_gives_the_numbers_of_an_unbroken_one(tmp_path, one_thread):
    whole = trainer(tmp_path / "whole")
    whole.run()

    class Broken(RuntimeError):
        pass

    def break_off(line):
        if line.startswith("epoch 2"):
            raise Broken

    with pytest.raises(Broken):
        trainer(tmp_path / "broken", report=break_off).run()
    lines = []
    resumed = trainer(tmp_path / "broken", report=lines.append)
    resumed.run()
    assert lines[0].startswith("goes on after epoch 2")
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(resumed.model.state_dict()[name], value, rtol=0, atol=0)
    for ours, theirs in zip(resumed.curves, whole.curves, strict=True):
        assert (ours["loss"], ours["R@1"]) == (theirs["loss"], theirs["R@1"])


def test_a_finished_run_is_not_trained_again(tmp_path):
    settings = Settings(batch=16, epochs=1)
    first = trainer(tmp_path, settings).run()
    began = (tmp_path / "last.pt").stat().st_mtime_ns
    assert trainer(tmp_path, settings).run() == first
    assert (tmp_path / "last.pt").stat().st_mtime_ns == began


def test_the_seed_decides(tmp_path, one_thread):
    runs = [
        trainer(tmp_path / name, Settings(batch=16, epochs=1, seed=seed)).run()["loss"]
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    assert runs[0] == runs[1] != runs[2]


def test_minutes_end_the_run_in_time_with_the_schedule_at_its_end(tmp_path):
    run = trainer(tmp_path, minutes=4 / 60)
    began = time.monotonic()
    run.run()
    assert 3.5 < time.monotonic() - began < 8
    assert run.curves[-1]["learning_rate"] < 0.3 * SETTINGS.learning_rate
    assert run.curves[0]["learning_rate"] > run.curves[-1]["learning_rate"]


def test_another_runs_state_is_refused(tmp_path):
    trainer(tmp_path, Settings(batch=16, epochs=1)).run()
    with pytest.raises(ModelError, match="another --out, or delete it"):
        trainer(tmp_path, Settings(batch=32, epochs=1))
    (tmp_path / "last.pt").write_bytes(b"torn")
    with pytest.raises(ModelError, match=r"last\.pt cannot be read"):
        trainer(tmp_path, Settings(batch=16, epochs=1))


def test_too_few_clips_are_refused(tmp_path):
    with pytest.raises(ModelError, match="8 clips do not fill one batch of 16"):
        trainer(tmp_path, n=8)


def test_an_old_state_stays_whole_when_saving_fails(tmp_path, monkeypatch):
    checkpoint.save_state(tmp_path / "last.pt", {"epoch": 1})

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save_state(tmp_path / "last.pt", {"epoch": 2})
    assert checkpoint.load_state(tmp_path / "last.pt") == {"epoch": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


# ---- the command ---------------------------------------------------------------------------------


TINY = """
import sys
from dataclasses import replace
from retrieval.__main__ import main
from retrieval.training import recipes
recipe = recipes.RECIPES["animations-clip"]
recipes.RECIPES["animations-clip"] = replace(
    recipe, size=32, n_frames=2, embed_dim=16, n_merges=50,
    vision={"layers": [1, 1, 1, 1], "width": 8, "head_width": 32},
    text={"width": 16, "heads": 2, "layers": 1, "context_length": 20},
    settings=replace(recipe.settings, batch=4),
)
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


def test_the_command_survives_a_kill_and_exports_an_encoder(tmp_path):
    script = tmp_path / "tiny.py"
    script.write_text(TINY)
    out, export = tmp_path / "run", tmp_path / "models" / "animations-clip"
    command = [sys.executable, str(script), "train", "animations-clip", "--limit", "12"]
    command += ["--out", str(out), "--cache", str(tmp_path / "cache"), "--export", str(export)]
    command += ["--epochs", "6", "--workers", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as killed:
        for line in killed.stdout:
            if line.startswith("epoch 2"):
                killed.send_signal(signal.SIGKILL)
                break
    assert killed.returncode == -signal.SIGKILL
    assert (out / "last.pt").exists() and not export.exists()

    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "goes on after epoch" in done.stdout and "drawing" not in done.stdout
    assert "epoch 6" in done.stdout and "epoch 1:" not in done.stdout

    encoder = get_encoder(export, device="cpu")
    manifest = json.loads((export / "manifest.json").read_text())
    assert manifest["encoder"] == {
        "name": "animations-clip",
        "digest": encoder.digest,
        "dim": 16,
    }
    assert manifest["command"].startswith("python -m retrieval train animations-clip")
    assert (encoder.n_frames, encoder.encode_text(["a ball"]).shape) == (2, (1, 16))
    assert encoder.unknown_words("xyzzy") == ["xyzzy"]
    caption_words = clip.words_of(split("train")[0].captions[7])
    assert encoder.unknown_words(" ".join(caption_words)) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "unknown recipe 'nothing'; available: animations-clip"),
        (["animations-clip", "--epochs", "0"], "--epochs must be above 0, got 0"),
        (["animations-clip", "--minutes", "nan"], "--minutes must be above 0, got nan"),
        (["animations-clip", "--epochs", "2", "--minutes", "3"], "not allowed with argument"),
    ],
)
def test_bad_arguments_are_one_line(capsys, arguments, message):
    assert main(["train", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
