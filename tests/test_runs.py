"""Files for other tools: what they read from them gives the report's own numbers."""

import csv

import numpy as np
import pytest

from retrieval.evaluation import evaluate_matrices
from retrieval.normalisers import Evidence, normalise
from retrieval.reports.runs import RUN_DEPTH, write_qrels, write_ranks, write_run, write_scores
from retrieval.streaming.rows import MatrixRows


@pytest.fixture
def matrices(rng):
    """12 captions of 4 videos with padding, and a bank; both ways round."""
    mask = np.ones((4, 3), bool)
    mask[1, 2] = mask[3, 0] = False
    return rng.uniform(-1, 1, (12, 4)), rng.uniform(-1, 1, (9, 4)), mask


def success(run, qrels, k):
    """Share of queries with a correct item in the first k places, from the two files alone."""
    correct, found = {}, {}
    for line in qrels.read_text().splitlines():
        query, _, item, _ = line.split()
        correct.setdefault(query, set()).add(item)
    for line in run.read_text().splitlines():
        query, q0, item, place, score, tag = line.split()
        assert q0 == "Q0" and tag == "qbnorm"
        found.setdefault(query, []).append((-float(score), int(place), item))
    assert found.keys() == correct.keys()
    for query in found:
        assert sorted(found[query]) == found[query]  # the scores fall with the places
    hits = sum(
        any(item in correct[query] for _, place, item in rows if place <= k)
        for query, rows in found.items()
    )
    return 100 * hits / len(found)


@pytest.mark.parametrize("direction", ["t2v", "v2t"])
def test_a_run_file_gives_the_reports_recall(matrices, tmp_path, direction):
    sims, bank_sims, mask = matrices
    if direction == "v2t":
        sims, bank_sims = sims.T, np.tile(bank_sims, (1, 3))
    report = evaluate_matrices(
        sims,
        bank_sims,
        mask=mask,
        normalisers=("qbnorm",),
        direction=direction,
        keep_top=RUN_DEPTH,
    )
    write_run(tmp_path / "r.trec", report, report["qbnorm"])
    write_qrels(tmp_path / "r.qrels", report)
    for k in (1, 5):
        found = success(tmp_path / "r.trec", tmp_path / "r.qrels", k)
        assert found == pytest.approx(report["qbnorm"].metrics[f"R@{k}"])
    padding = {f"q{row}" if direction == "t2v" else f"v{row}" for row in (5, 9)}
    words = set((tmp_path / "r.trec").read_text().split())
    assert not padding & words and ("q11" if direction == "t2v" else "v11") in words


def test_ranks_are_written_with_their_changes(matrices, tmp_path):
    sims, bank_sims, mask = matrices
    report = evaluate_matrices(sims, bank_sims, mask=mask, normalisers=("qbnorm", "nnn:alpha=0.5"))
    write_ranks(tmp_path / "r.csv", report)
    rows = list(csv.DictReader((tmp_path / "r.csv").open()))
    assert [int(row["query"]) for row in rows] == report.queries.tolist()
    assert [int(row["correct"]) for row in rows] == [row // 3 for row in report.queries]
    for spec in ("qbnorm", "nnn:alpha=0.5"):
        ranks = np.array([float(row[f"rank {spec}"]) for row in rows])
        np.testing.assert_array_equal(ranks, report[spec].ranks)
        change = np.array([float(row[f"change {spec}"]) for row in rows])
        np.testing.assert_array_equal(change, report["none"].ranks - ranks)


@pytest.mark.parametrize("direction", ["t2v", "v2t"])
def test_scores_are_whole_matrices_without_padding(matrices, tmp_path, direction, monkeypatch):
    monkeypatch.setattr("retrieval.streaming.rows.CHUNK_CELLS", 30)
    sims, bank_sims, mask = matrices
    if direction == "v2t":
        sims, bank_sims = sims.T, np.tile(bank_sims, (1, 3))
    evidence = Evidence(bank_sims=bank_sims)
    report = evaluate_matrices(
        sims, evidence, mask=mask, normalisers=("qbnorm", "csls", "gc"), direction=direction
    )
    write_scores(tmp_path / "s.npz", report, MatrixRows(sims), evidence)
    with np.load(tmp_path / "s.npz") as saved:
        assert set(saved) == {"queries", "items", "qbnorm", "csls", "gc"}
        kept = sims[np.ix_(saved["queries"], saved["items"])]
        assert kept.shape == ((10, 4) if direction == "t2v" else (4, 10))
        known = np.ascontiguousarray(bank_sims[:, saved["items"]])
        for spec in ("qbnorm", "csls", "gc"):
            assert saved[spec].dtype == np.float32
            np.testing.assert_allclose(saved[spec], normalise(spec, kept, known), atol=1e-6)
