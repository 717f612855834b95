"""The command normalise, from files to lines and files."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from retrieval.__main__ import main
from retrieval.metrics import summarise, t2v_ranks
from retrieval.normalisers import NORMALISERS
from tests.reference import qbnorm_by_definition
from tests.test_evaluation import BANK_SIMS, SIMS
from tests.test_main import refused
from tests.test_published_script import EXAMPLE, published

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The worked example in files, in the folder that commands run in."""
    monkeypatch.chdir(tmp_path)
    np.save("S.npy", SIMS)
    np.save("B.npy", BANK_SIMS)
    return tmp_path


def test_a_fresh_process_prints_the_worked_example(folder):
    argv = ["--sims_train_test_path", "B.npy", "--sims_test_path", "S.npy"]
    done = subprocess.run(
        [sys.executable, "-m", "retrieval", "normalise", *argv],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    lines = done.stdout.splitlines()
    assert lines[:4] == EXAMPLE and lines[4] == ""
    assert lines[5] == "S.npy, text-to-video: 4 queries, 4 items; held-out bank: B.npy, 3 rows"
    assert any(line.split()[:4] == ["QB-Norm,", "beta", "20", "100.0"] for line in lines)


def test_its_pickles_give_its_lines(folder, capsys, rng):
    sims, bank_sims = (rng.uniform(-0.2, 0.5, (n, 60)).astype("f4") for n in (1200, 900))
    sims[np.arange(1200), np.arange(1200) // 20] += 0.15
    mask = np.ones((60, 20))
    mask[[3, 41], 19] = 0
    argv = []
    for flag, matrix in (
        ("sims_test_path", sims),
        ("sims_train_test_path", bank_sims),
        ("test_query_masks_path", mask),
    ):
        Path(f"{flag}.pkl").write_bytes(pickle.dumps(matrix, protocol=4))
        argv += [f"--{flag}", f"{flag}.pkl"]
    expected, ranks = published(bank_sims, sims, mask)
    assert main(["normalise", *argv, "--json", "o.json"]) == 0
    assert capsys.readouterr().out.splitlines()[:4] == expected
    report = json.loads(Path("o.json").read_text())
    assert report["metrics"]["qbnorm"]["R@1"] == pytest.approx(100 * np.mean(ranks == 0), abs=0.1)


def test_brief_prints_the_same_metrics_and_nothing_else(folder, capsys):
    argv = ["normalise", "--sims", "S.npy", "--bank-sims", "B.npy", "--json", "o.json"]
    assert main(argv) == 0
    whole, lines = json.loads(Path("o.json").read_text()), capsys.readouterr().out.splitlines()
    assert main([*argv, "--brief"]) == 0
    brief, few = json.loads(Path("o.json").read_text()), capsys.readouterr().out.splitlines()
    assert brief["metrics"] == whole["metrics"]
    assert [line for line in lines if line.startswith(("Raw", "QB-Norm"))][:2] == few[3:5]
    assert len(few) == 7 and "2 helped, 0 hurt" in few[-1]
    assert main([*argv, "--brief", "--seeds", "0,1"]) == 2


def test_nothing_heavy_is_imported(folder):
    code = (
        "import sys\nfrom retrieval.__main__ import main\n"
        "assert main(['normalise', '--sims', 'S.npy', '--bank-sims', 'B.npy']) == 0\n"
        "heavy = {'torch', 'gradio', 'faiss', 'open_clip', 'scipy', 'plotly', 'pandas',\n"
        "         'retrieval.engine', 'retrieval.gallery'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_published_flags_mean_beta_20_and_ours_the_scale_free_one(folder, capsys):
    assert main(["normalise", "--sims", "S.npy", "--bank-sims", "B.npy", "--json", "o.json"]) == 0
    out = capsys.readouterr().out
    assert "Metrics before" not in out and "Beta is per unit of these similarities." in out
    (row,) = json.loads(Path("o.json").read_text())["rows"][1:]
    assert row["beta"] == pytest.approx(1 / BANK_SIMS.std())
    argv = ["--sims_test_path", "S.npy", "--sims_train_test_path", "B.npy", "--beta", "0.5"]
    assert main(["normalise", *argv, "--k", "9", "--json", "o.json"]) == 0  # all four items
    (row,) = json.loads(Path("o.json").read_text())["rows"][1:]
    assert (row["beta"], row["n_active"]) == (0.5, 4)


def test_the_json_holds_unrounded_numbers_by_name(folder, capsys, rng):
    sims, bank_sims = rng.uniform(-1, 1, (60, 20)), rng.uniform(-1, 1, (50, 20))
    mask = rng.random((20, 3)) < 0.8
    np.save("s.npy", sims.astype(np.float32))
    np.save("b.npy", bank_sims.astype(np.float32))
    np.save("m.npy", mask.astype(float))
    argv = ["--sims", "s.npy", "--bank-sims", "b.npy", "--masks", "m.npy", "--beta", "6"]
    argv += ["--normaliser", "qbnorm,csls", "--normaliser", "nnn:alpha=0.5"]
    assert main(["normalise", *argv, "--json", "o.json"]) == 0
    report = json.loads(Path("o.json").read_text())
    assert list(report["metrics"]) == ["none", "qbnorm", "csls", "nnn:alpha=0.5"]
    own = np.repeat(np.arange(20), 3)
    raw = summarise(t2v_ranks(sims.astype(np.float32), own, mask))
    assert report["metrics"]["none"] == raw
    scores = qbnorm_by_definition(bank_sims, sims, 6, 1)
    assert report["metrics"]["qbnorm"] == summarise(t2v_ranks(scores, own, mask))
    assert set(report["hubness"]["csls"]) == {"1", "10"}
    assert report["verdict"] and report["resampled"] == "videos"
    for low, high in (row["intervals"]["R@1"] for row in report["rows"]):
        assert low <= high
    assert report["verdict"] in capsys.readouterr().out


def test_targets_say_what_is_correct(folder, rng):
    own = rng.permutation(9)[:7]
    sims = rng.uniform(-1, 1, (7, 9))
    np.save("s.npy", sims)
    np.save("t.npy", own.astype(float))  # whole numbers, saved as floats
    assert main(["normalise", "--sims", "s.npy", "--targets", "t.npy", "--json", "o.json"]) == 0
    report = json.loads(Path("o.json").read_text())
    assert report["metrics"] == {"none": summarise(t2v_ranks(sims, own))}
    assert report["left_out"][0]["normaliser"] == "qbnorm" and report["n_bank"] == 0
    np.save("s.npy", sims.T)  # now 9 videos ask for 7 captions, of which two have none
    argv = ["--sims", "s.npy", "--targets", "t.npy", "--direction", "v2t", "--json", "v.json"]
    assert main(["normalise", *argv]) == 0
    report = json.loads(Path("v.json").read_text())
    assert (report["n_queries"], report["n_items"]) == (7, 7)
    assert report["metrics"]["none"] == summarise(t2v_ranks(sims.T[own], np.arange(7)))


def test_all_runs_what_the_inputs_allow(folder, capsys):
    argv = ["--sims", "S.npy", "--bank-sims", "B.npy", "--normaliser", "all", "--json", "o.json"]
    assert main(["normalise", *argv]) == 0
    report = json.loads(Path("o.json").read_text())
    tried = {row["normaliser"] for row in report["rows"]}
    left_out = {each["normaliser"]: each["reason"] for each in report["left_out"]}
    assert tried | left_out.keys() == set(NORMALISERS)
    assert {name for name, kind in NORMALISERS.items() if kind.needs <= {"bank"}} <= tried
    out = capsys.readouterr().out
    assert all(reason in out for reason in left_out.values())


def test_seeds_are_put_in_for_their_place(folder, capsys, rng):
    for seed in (0, 1, 10):
        np.save(f"S{seed}.npy", SIMS + 0.05 * rng.standard_normal(SIMS.shape))
    pattern = ["--sims", "S{seed}.npy", "--bank-sims", "B.npy", "--json", "o.json"]
    assert main(["normalise", *pattern, "--seeds", "0,1", "10"]) == 0
    assert "text-to-video, seeds 0, 1, 10: 4 queries, 4 items" in capsys.readouterr().out
    report = json.loads(Path("o.json").read_text())
    singles = [each["metrics"]["qbnorm"]["MnR"] for each in report["reports"]]
    assert report["metrics"]["qbnorm"]["MnR"] == pytest.approx(np.mean(singles))
    assert report["std"]["qbnorm"]["MnR"] == pytest.approx(np.std(singles, ddof=1))
    found = ["--bank-sims", "B.npy", "--json", "p.json", "--seeds", "S{seed}.npy"]
    assert main(["normalise", *found]) == 0  # no list: those that are there
    assert json.loads(Path("p.json").read_text()) == report


def test_files_for_other_tools_are_written(folder, capsys):
    argv = ["--sims", "S.npy", "--bank-sims", "B.npy", "--normaliser", "qbnorm,nnn:alpha=0.5"]
    argv += ["--ranks", "o.csv", "--run", "o.trec", "--out-scores", "o.npz"]
    assert main(["normalise", *argv]) == 0
    made = {path.name for path in folder.iterdir()} - {"S.npy", "B.npy"}
    runs = {"o.none.trec", "o.qbnorm.trec", "o.nnn-alpha=0.5.trec"}
    assert made == {"o.csv", "o.npz", "o.qrels"} | runs
    assert Path("o.none.trec").read_text().splitlines()[0] == "q0 Q0 v1 1 0.600000024 none"


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ([], "say which matrix to normalise"),
        (["--sims", "no.npy"], "there is no file no.npy"),
        (["--sims", "S.npy", "--bank-sims", "W.npy"], "columns"),
        (["--sims", "W.npy"], "row order needs a multiple of 5"),
        (["--sims", "S.npy", "--normaliser", "magic"], "unknown normaliser 'magic'"),
        (["--sims", "S.npy", "--bank-sims", "B.npy", "--beta", "0"], "beta must be"),
        (["--sims", "S.npy", "--bank-sims", "B.npy", "--k", "5"], "k must be"),
        (["--sims", "S.npy", "--masks", "M.npy"], "mask must have 4 elements"),
        (["--sims", "S.npy", "--targets", "M.npy"], "one column number for each of 4 queries"),
        (["--sims", "S.npy", "--targets", "F.npy"], "must hold whole numbers from 0, got 0.5"),
        (["--sims", "S.npy", "--json", "no/o.json"], "there is no folder no"),
        (["--sims", "N.npy"], "nan at row 2, column 1"),
        (["--sims", "S{seed}.npy"], "say which seeds"),
        (["--sims", "S.npy", "--seeds", "0,1"], "--seeds needs {seed}"),
        (["--seeds", "Q{seed}.npy"], "there is no file Q{seed}.npy for any seed"),
        (["--sims_test_path", "S.npy"], "flags go together"),
        (["--sims", "S.npy", "--sims_test_path", "S.npy"], "are the same; give one of them"),
    ],
)
def test_what_cannot_be_normalised_is_one_line(folder, capsys, argv, sentence):
    np.save("W.npy", np.zeros((3, 5)))
    np.save("M.npy", np.zeros(3, int))
    np.save("F.npy", np.full(4, 0.5))
    with_nan = SIMS.copy()
    with_nan[2, 1] = np.nan
    np.save("N.npy", with_nan)
    assert sentence in refused(capsys, "normalise", *argv)


def test_overflow_in_the_published_script_is_said(folder, capsys, caplog):
    np.save("L.npy", 100 * SIMS.astype(np.float32))
    np.save("K.npy", 100 * BANK_SIMS.astype(np.float32))
    argv = ["--sims_test_path", "L.npy", "--sims_train_test_path", "K.npy"]
    assert main(["normalise", *argv]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == EXAMPLE[0] and "nan" not in out
    assert "the published script overflows at beta 20 in the unit of these" in caplog.text
    np.save("L.npy", SIMS.astype(np.float16))
    assert main(["normalise", *argv]) == 0
    assert "the published script is made for float32 and float64" in caplog.text


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("coco500_clip_vitb16", "features_clip.npy"),
        ("msrvtt100_videoclip", "features_videoclip.npy"),
    ],
)
def test_real_halves_gain_and_random_networks_do_not(
    shared_data, tmp_path, capsys, monkeypatch, name, file
):
    monkeypatch.chdir(tmp_path)
    verdicts = []
    for source in (file, file.replace(".npy", "_random.npy")):
        emb = np.load(shared_data(name) / source)
        emb /= np.linalg.norm(emb, axis=-1, keepdims=True)
        order = np.random.default_rng(0).permutation(emb.shape[1])
        shown, kept_back = np.split(order, 2)
        np.save("s.npy", emb[1][shown] @ emb[0][shown].T)
        np.save("b.npy", emb[1][kept_back] @ emb[0][shown].T)
        argv = ["--sims", "s.npy", "--bank-sims", "b.npy", "--json", "o.json"]
        assert main(["normalise", *argv]) == 0
        verdicts.append(json.loads(Path("o.json").read_text())["rows"][1])
    assert verdicts[0]["outcome"] == "helped"
    assert verdicts[0]["gains"]["R@1"][0] > 0
    assert verdicts[1]["outcome"] == "no difference"
    low, high = verdicts[1]["gains"]["R@1"]
    assert low <= 0 <= high
