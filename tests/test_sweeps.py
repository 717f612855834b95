import json
from dataclasses import asdict
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from retrieval.__main__ import main
from retrieval.advice.sweeps import Sweep, parse_sweep, sweep, tune
from retrieval.errors import SettingsError
from retrieval.evaluation import evaluate_matrices
from retrieval.normalisers import parse_spec
from tests.test_checks import CAPTIONS, world
from tests.test_main import refused


@pytest.fixture
def matrices(rng):
    texts, videos, bank = world(rng)
    return texts @ videos.T, bank @ videos.T, np.repeat(np.arange(80), CAPTIONS)


def test_every_point_of_a_sweep_is_what_an_evaluation_gives(matrices):
    sims, bank, correct = matrices
    found = sweep(sims, bank, "beta=2,20,90.5", normaliser="qbnorm:k=2", correct=correct)
    assert [point.value for point in found.points] == [2, 20, 90.5] and found.knob == "beta"
    for point in found.points:
        report = evaluate_matrices(
            sims, bank, correct=correct, normalisers=[f"qbnorm:k=2:beta={point.value}"]
        )
        assert point.metrics == report.rows[1].metrics
        assert point.k_skewness == report.rows[1].hubness[10].k_skewness
    assert found.raw.metrics == report.rows[0].metrics
    assert found.n_queries == 160 and "no result" in found.sentence
    assert len(found.lines()) == 1 + 4 + 1


def test_the_last_bank_size_is_the_whole_bank(matrices):
    sims, bank, correct = matrices
    found = sweep(sims, bank, "bank=5:9999", normaliser="nnn:neighbours=4", correct=correct)
    sizes = [point.value for point in found.points]
    assert sizes[0] == 5 and sizes[-1] == 150 == len(bank)
    whole = evaluate_matrices(sims, bank, correct=correct, normalisers=["nnn:neighbours=4"])
    assert found.points[-1].metrics == whole.rows[1].metrics
    again = sweep(sims, bank, "bank=5:9999", normaliser="nnn:neighbours=4", correct=correct)
    assert again == found


def test_a_sample_of_everything_is_everything_and_a_small_one_is_like_it(matrices):
    sims, bank, correct = matrices
    whole = sweep(sims, bank, "beta=5,50", correct=correct)
    assert sweep(sims, bank, "beta=5,50", correct=correct, most=160) == whole
    some = sweep(sims, bank, "beta=5,50", correct=correct, most=100, seed=3)
    assert some == sweep(sims, bank, "beta=5,50", correct=correct, most=100, seed=3)
    rows = np.sort(np.random.default_rng(3).choice(160, 100, replace=False))
    assert some == sweep(sims[rows], bank, "beta=5,50", correct=correct[rows])
    assert Sweep.from_dict(json.loads(json.dumps(asdict(some)))) == some


@pytest.mark.parametrize(
    ("what", "values"),
    [
        ("beta=1:100:3", [1, 10, 100]),
        ("alpha=0:1:3", [0, 0.5, 1]),
        ("k=1:4", [1, 2, 3, 4]),
        ("neighbours=8,2", [2, 8]),
        ("bank=10:1000:3", [10, 100, 500]),
    ],
)
def test_ranges_are_cut_as_is_usual_for_their_knob(what, values):
    made = parse_spec("qbnorm" if what[0] in "bk" else "nnn")
    assert parse_sweep(what, made, 500)[1] == values


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("gamma=1:2", "'gamma' is no knob of QB-Norm; sweep one of beta, k"),
        ("beta=5:1", "cannot sweep 'beta=5:1'"),
        ("beta=fast", "cannot sweep"),
        ("beta", "cannot sweep"),
        ("beta=0:5", "cannot sweep"),
        ("bank=0,5", "one caption or more"),
    ],
)
def test_what_cannot_be_swept_is_refused(matrices, what, message):
    sims, bank, correct = matrices
    with pytest.raises(SettingsError, match=message):
        sweep(sims, bank, what, correct=correct)


def test_only_a_normaliser_with_a_bias_is_swept(matrices):
    sims, bank, correct = matrices
    with pytest.raises(SettingsError, match="no bias"):
        sweep(sims, bank, "bank=5,9", normaliser="gc", correct=correct)


def test_tuning_finds_the_best_of_its_grid_on_the_validation_queries(matrices):
    sims, bank, correct = matrices
    grid = ["nnn:alpha=0.1:neighbours=4", "nnn:alpha=0.6:neighbours=4", "qbnorm:beta=3"]
    tuned = tune(sims, bank, ["nnn", "qbnorm"], grid=grid, correct=correct)
    assert [each.spec.split(":")[0] for each in tuned] == ["nnn", "qbnorm"]
    assert [each.n_tried for each in tuned] == [3, 2]
    tried = evaluate_matrices(sims, bank, correct=correct, normalisers=["nnn", *grid[:2]])
    assert tuned[0].gain == pytest.approx(
        max(row.metrics["R@1"] for row in tried.rows[1:]) - tried.rows[0].metrics["R@1"]
    )
    assert "160 validation queries" in tuned[0].sentence


@pytest.fixture
def folder(matrices, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, matrix in zip("SB", matrices[:2], strict=True):
        np.save(f"{name}.npy", matrix)
    return tmp_path


BASE = ["normalise", "--sims", "S.npy", "--bank-sims", "B.npy"]


def test_the_command_draws_what_it_sweeps(folder, capsys):
    argv = ["--sweep", "beta=1:200:5", "--sweep", "bank=20:150:3", "--json", "out.json"]
    assert main([*BASE, *argv]) == 0
    printed = capsys.readouterr().out
    assert "sweep-beta.png" in printed and "no result" in printed
    report = json.loads((folder / "out.json").read_text())
    assert [each["knob"] for each in report["sweeps"]] == ["beta", "bank"]
    with Image.open("sweep-bank.png") as image:
        assert image.size == (900, 540) and len(image.getcolors(2**20)) > 20
    page = (folder / "sweep-beta.html").read_text()
    HTMLParser().feed(page[:10_000])
    assert "R@1 of 160 queries" in page and "cdn.plot" not in page[:2000]


def test_the_command_tunes_on_validation_matrices(folder, capsys):
    assert main([*BASE, "--normaliser", "nnn", "--tune", "S.npy", "B.npy", "--json", "o.json"]) == 0
    report = json.loads((folder / "o.json").read_text())
    (tuned,) = report["tuned"]
    assert set(report["metrics"]) == {"none", tuned["spec"]}
    assert "was best of" in capsys.readouterr().out


def test_the_command_chooses_without_labels(folder, capsys):
    assert main([*BASE, "--choose", "--json", "o.json"]) == 0
    report = json.loads((folder / "o.json").read_text())
    choice = report["choice"]
    assert set(report["metrics"]) == {"none", choice["proposed"]}
    printed = capsys.readouterr().out
    assert choice["sentence"] in printed and "under chance" in printed


def test_choosing_and_sweeping_need_a_bank(folder, capsys):
    for option in (["--choose"], ["--sweep", "beta=1:2"]):
        assert "--bank-sims" in refused(capsys, "normalise", "--sims", "S.npy", *option)


def test_a_gallery_is_chosen_for_too(capsys):
    assert main(["evaluate", "--choose", "--bank-size", "200", "--normaliser", "csls"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(("Normalis", "Do not")) and "CSLS" in printed
