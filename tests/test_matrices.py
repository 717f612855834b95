"""Matrices of visitors: the child tells what `evaluate_matrices` finds, and can be given up."""

import csv
import dataclasses
import io
import json
import os
import time
import zipfile

import numpy as np
import pytest

from retrieval import matrices
from retrieval.advice.choosing import choice_lines, choose
from retrieval.advice.sweeps import Sweep
from retrieval.errors import FileError
from retrieval.evaluation import evaluate_matrices
from retrieval.formats import Limits, open_matrix
from retrieval.matrices import Cancelled, Examination, Question, examine

N_QUERIES, N_ITEMS, N_BANK = 45, 45, 60


@pytest.fixture
def brought(tmp_path, rng):
    """S, B and the paths of both, with a few hubs."""
    video_emb = rng.standard_normal((N_ITEMS, 8))
    text_emb = video_emb + 0.8 * rng.standard_normal((N_QUERIES, 8))
    video_emb[:3] += 2 * text_emb.mean(axis=0)
    sims = (text_emb @ video_emb.T / 20).astype(np.float32)
    bank_sims = (rng.standard_normal((N_BANK, 8)) @ video_emb.T / 20).astype(np.float32)
    np.save(tmp_path / "S.npy", sims)
    np.save(tmp_path / "B.npy", bank_sims)
    (tmp_path / "out").mkdir()
    return sims, bank_sims, Question(str(tmp_path / "S.npy"), str(tmp_path / "B.npy"))


def finish(examination):
    """What it said on the way, and the report."""
    said, work = [], examination.progress()
    while True:
        try:
            said.append(next(work))
        except StopIteration as done:
            return said, done.value


def test_the_child_gives_the_very_numbers_of_the_evaluation(brought, tmp_path):
    sims, bank_sims, question = brought
    question = dataclasses.replace(question, normalisers=("qbnorm", "csls"), beta=7.0)
    examination = Examination(question, tmp_path / "out")
    said, report = finish(examination)
    expected = evaluate_matrices(
        sims,
        bank_sims,
        normalisers=("qbnorm", "csls"),
        beta=7.0,
        name="S.npy",
        bank_name="B.npy",
        keep_top=100,
    )
    assert report.about == json.loads(json.dumps(expected.to_dict()))
    assert report.specs == ["none", "qbnorm", "csls"]
    for n, row in enumerate(expected.rows):
        np.testing.assert_array_equal(report.ranks[n], row.ranks)
        np.testing.assert_array_equal(report.best[n], row.best[:, 0])
        np.testing.assert_array_equal(report.counts[n], row.counts[max(row.counts)])
    np.testing.assert_array_equal(report.correct, np.arange(N_QUERIES))
    assert ("Ranking queries:", N_QUERIES, N_QUERIES) in said
    n_cells = N_BANK * N_ITEMS
    assert ("Reading similarities of the bank:", n_cells, n_cells) in said
    bank = open_matrix(question.bank)
    assert report.choice == tuple(choice_lines(choose(bank.tiles())))
    assert examination.process.poll() is not None


def test_curves_end_at_the_whole_bank_and_pass_through_the_report(brought, tmp_path):
    sims, bank_sims, question = brought
    question = dataclasses.replace(question, beta=20.0)
    value = examine(question, tmp_path / "out", lambda *step: None)
    row = evaluate_matrices(sims, bank_sims, normalisers=("qbnorm",), beta=20.0)["qbnorm"]
    beta, size = map(Sweep.from_dict, json.loads(json.dumps(value["curves"])))
    assert [each.knob for each in (beta, size)] == ["beta", "bank"]
    (at_20,) = [point for point in beta.points if point.value == 20]
    assert at_20.metrics == size.points[-1].metrics == row.metrics
    assert size.points[-1].value == N_BANK
    assert value["scale_free"] == pytest.approx(1 / bank_sims.std(), rel=1e-4)


def test_the_files_to_take_away_agree_with_the_report(brought, tmp_path):
    _, _, question = brought
    report = finish(Examination(question, tmp_path / "out"))[1]
    text = (report.folder / matrices.FILES["csv"]).read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [float(row["rank qbnorm"]) for row in rows] == report.ranks[1].tolist()
    assert json.loads((report.folder / matrices.FILES["json"]).read_text()) == report.about
    with zipfile.ZipFile(report.folder / matrices.FILES["zip"]) as runs:
        assert sorted(runs.namelist()) == ["0-none.trec", "1-qbnorm.trec", "qrels.txt"]
        lines = runs.read("1-qbnorm.trec").decode().splitlines()
    assert len(lines) == N_QUERIES * N_ITEMS
    assert sorted(path.name for path in report.folder.iterdir()) == sorted(matrices.FILES.values())


def test_without_a_bank_there_is_the_raw_row_alone(brought, tmp_path):
    _, _, question = brought
    _, report = finish(Examination(dataclasses.replace(question, bank=None), tmp_path / "out"))
    assert report.specs == ["none"] and report.curves == report.choice == ()


def test_masks_targets_and_named_arrays_are_used(brought, tmp_path, rng):
    sims, bank_sims, question = brought
    order = rng.permutation(N_ITEMS)
    mask = np.ones(N_QUERIES)
    mask[-5:] = 0
    np.savez(tmp_path / "both.npz", shuffled=sims[:, order], other=sims)
    np.save(tmp_path / "mask.npy", mask)
    np.save(tmp_path / "right.npy", np.argsort(order).astype(float))
    question = Question(
        f"{tmp_path / 'both.npz'}[shuffled]",
        masks=str(tmp_path / "mask.npy"),
        targets=str(tmp_path / "right.npy"),
    )
    about = examine(question, tmp_path / "out", lambda *step: None)["about"]
    expected = evaluate_matrices(sims, mask=mask)
    assert about["metrics"]["none"] == expected["none"].metrics
    assert about["n_queries"] == N_QUERIES - 5


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_bytes(b"<!doctype html><p>no"), "web page|HTML|foreign|S.npy"),
        (lambda path: path.write_bytes(b""), "S.npy"),
        (lambda path: np.save(path, np.full((45, 45), np.nan)), "NaN|finite"),
        (lambda path: np.save(path, np.ones((45, 44))), "45|44"),
        (lambda path: np.save(path, np.ones(5)), "shape"),
        (lambda path: path.write_bytes(b"cos\nsystem\n(S'true'\ntR."), "system|global|pickle"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(brought, tmp_path, make, words):
    _, _, question = brought
    make(tmp_path / "S.npy")
    with pytest.raises(FileError, match=words) as caught:
        finish(Examination(question, tmp_path / "out"))
    told = str(caught.value)
    assert "\n" not in told and len(told) <= 250 and str(tmp_path) not in told


def test_limits_are_those_of_visitors(brought, tmp_path):
    _, _, question = brought
    with pytest.raises(FileError, match="the limit is 100"):
        examine(question, tmp_path / "out", lambda *step: None, Limits(cells=100))


def test_a_child_that_takes_too_long_is_killed_and_said_so(brought, tmp_path):
    _, _, question = brought
    examination = Examination(question, tmp_path / "out", timeout_s=0.05)
    with pytest.raises(FileError, match="given up after 0 s"):
        finish(examination)
    assert examination.process.poll() is not None


def test_a_child_that_is_killed_or_cancelled_is_told_apart(brought, tmp_path):
    _, _, question = brought
    examination = Examination(question, tmp_path / "out")
    os.kill(examination.process.pid, 9)
    with pytest.raises(FileError, match="ended the process"):
        finish(examination)
    examination = Examination(question, tmp_path / "out")
    examination.cancel()
    with pytest.raises(Cancelled):
        finish(examination)
    assert examination.process.poll() is not None


def test_a_reader_that_leaves_takes_the_child_along(brought, tmp_path):
    _, _, question = brought
    examination = Examination(question, tmp_path / "out")
    work = examination.progress()
    next(work)
    work.close()
    assert examination.process.poll() is not None


def test_memory_is_limited(brought, tmp_path, monkeypatch):
    """A matrix that unpacks to more than the child may hold ends the child, not the page."""
    pytest.importorskip("resource")
    _, _, question = brought
    np.savez_compressed(tmp_path / "big.npz", np.zeros((9000, 9000)))  # 648 MB of zeros
    question = dataclasses.replace(question, sims=str(tmp_path / "big.npz"), bank=None)
    with pytest.raises(FileError, match="limit|memory|GB"):
        finish(Examination(question, tmp_path / "out"))


def test_the_page_imports_it_in_an_instant():
    import subprocess
    import sys

    code = "import sys, retrieval.matrices; assert 'numpy' not in sys.modules"
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True)
    assert time.monotonic() - begun < 10
