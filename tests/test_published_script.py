"""The published script's lines, against that procedure with whole matrices, to the last digit."""

import numpy as np
import pytest

from retrieval.normalisers import parse_spec
from retrieval.reports.published_script import Beside, SummedTiles, Sums, printed
from retrieval.similarity import MatrixTiles
from retrieval.streaming.rows import MatrixRows
from retrieval.streaming.scoring import Truth
from retrieval.streaming.tiles import for_each_band, for_each_tile
from tests.test_evaluation import BANK_SIMS, SIMS

EXAMPLE = [
    "Metrics before applying QB-Norm",
    "{'R1': 50.0, 'R5': 100.0, 'R10': 100.0, 'R50': 100.0, 'MedR': np.float64(1.5), "
    "'MeanR': np.float64(1.5), 'geometric_mean_R1-R5-R10': np.float64(79.4)}",
    "Metrics after QB-Norm",
    "{'R1': 100.0, 'R5': 100.0, 'R10': 100.0, 'R50': 100.0, 'MedR': np.float64(1.0), "
    "'MeanR': np.float64(1.0), 'geometric_mean_R1-R5-R10': np.float64(100.0)}",
]


def published(bank_sims, sims, mask=None, beta=20.0, k=1):
    """Its four lines, by whole matrices, in the objects that it prints."""
    normalised = sims.copy()
    active = np.unique(np.argsort(-bank_sims, axis=1)[:, :k])
    powers, mass = np.exp(sims * beta), np.exp(bank_sims * beta).sum(axis=0)
    rows = np.flatnonzero([best in active for best in powers.argmax(axis=1)])
    normalised[rows] = powers[rows] / mass
    lines = []
    for title, matrix in (("before applying", sims), ("after", normalised)):
        per_item = len(matrix) // matrix.shape[1]
        ranks = []
        for row, scores in enumerate(-matrix):
            places = np.flatnonzero(np.sort(scores) - scores[row // per_item] == 0)
            ranks.append(places.mean())
        ranks, n = np.array(ranks), len(matrix)
        if mask is not None:
            kept = mask.reshape(-1).astype(bool)
            ranks, n = ranks[kept], kept.sum()
        metrics = {"R1": 100 * float(np.sum(ranks == 0)) / n}
        for depth in (5, 10, 50):
            metrics[f"R{depth}"] = 100 * float(np.sum(ranks < depth)) / n
        metrics["MedR"] = np.median(ranks) + 1
        metrics["MeanR"] = np.mean(ranks) + 1
        with np.errstate(divide="ignore"):
            geometric = np.exp(np.log([metrics[key] for key in ("R1", "R5", "R10")]).mean())
        metrics["geometric_mean_R1-R5-R10"] = geometric
        lines += [f"Metrics {title} QB-Norm", repr({k: round(v, 1) for k, v in metrics.items()})]
    return lines, ranks


def ours(bank_sims, sims, mask=None, beta=20.0, k=1):
    truth = Truth.of_videos(sims.shape, None, mask)
    beside = Beside(MatrixTiles(bank_sims), MatrixRows(sims), truth, beta)
    bias = parse_spec("qbnorm", beta=beta, k=k).fit(beside.tiles)
    for_each_band(beside.rows, truth.queries, lambda band, blocks: list(blocks))
    every = np.flatnonzero(np.ones(len(sims)) if mask is None else mask.ravel())
    own = sims[every, every // (len(sims) // sims.shape[1])][:, None]
    before = 1 + (sims[every] > own).sum(axis=1) + ((sims[every] == own).sum(axis=1) - 1) / 2
    ranks = beside.ranks(before, bias.active)
    return None if ranks is None else printed(before, ranks, mask is not None), ranks


def test_the_worked_example_is_printed_as_published():
    lines, _ = ours(BANK_SIMS, SIMS)
    assert lines == EXAMPLE
    lines, _ = ours(BANK_SIMS, SIMS, np.ones((4, 1)), k=2)
    assert "'R1': np.float64(75.0)" in lines[3] and "'MeanR': np.float64(1.2)" in lines[3]
    assert "'geometric_mean_R1-R5-R10': np.float64(90.9)" in lines[3]


@pytest.mark.parametrize("dtypes", [("f4", "f4"), ("f8", "f8"), ("f8", "f4"), ("f4", "f8")])
@pytest.mark.parametrize("masked", [False, True])
def test_lines_and_ranks_are_those_of_whole_matrices(rng, dtypes, masked, monkeypatch):
    monkeypatch.setattr("retrieval.streaming.parallel.BLOCK", 1000)
    bank_sims = rng.uniform(-0.3, 0.5, (700, 40)).astype(dtypes[0])
    sims = rng.uniform(-0.3, 0.5, (120, 40)).astype(dtypes[1])
    sims[np.arange(120), np.arange(120) // 3] += 0.2
    sims[:, 7] = np.round(sims[:, 7], 1)  # some ties
    sims[:, 8] = sims[:, 7]
    bank_sims[:200, 9] += 0.5
    mask = (rng.random((40, 3)) < 0.8).astype(float) if masked else None
    for beta, k in ((20.0, 1), (1 / 1.99, 1), (60.0, 3)):
        expected, ranks = published(bank_sims, sims, mask, beta, k)
        lines, found = ours(bank_sims, sims, mask, beta, k)
        np.testing.assert_array_equal(found, ranks + 1)
        assert lines == expected


@pytest.mark.parametrize("order", ["C", "F"])
def test_tiles_add_up_in_the_scripts_order(rng, order):
    bank_sims = rng.uniform(-0.3, 0.5, (5000, 20)).astype(np.float32)
    sums = Sums(*bank_sims.shape, bank_sims.dtype, 20.0)
    tiles = MatrixTiles(np.asarray(bank_sims, order=order), row_tile=37, column_tile=7)
    for _ in range(2):  # the second reading adds nothing
        assert sums.fails == (sums.n_left > 0)
        for_each_tile(SummedTiles(tiles, sums), lambda *part: None)
        np.testing.assert_array_equal(sums.mass, np.exp(bank_sims * 20.0).sum(axis=0))
    assert sums.mass.dtype == np.float32


def test_rows_that_are_read_again_are_not_ranked_again(rng, monkeypatch):
    sims = rng.uniform(-0.3, 0.5, (60, 20)).astype(np.float32)
    truth = Truth.of_videos(sims.shape, None, None)
    beside = Beside(MatrixTiles(sims), MatrixRows(sims), truth, 20.0)
    beside.rows.read_rows(0, 5)  # before there are sums to divide by
    assert np.isnan(beside.rows.ranks).all()
    for_each_tile(beside.tiles, lambda *part: None)
    beside.rows.read_rows(10, 30)
    assert np.flatnonzero(~np.isnan(beside.rows.ranks)).tolist() == list(range(10, 30))
    monkeypatch.setattr(beside.rows, "_look_at", None)
    np.testing.assert_array_equal(beside.rows.read_rows(12, 14), sims[12:14])


def test_where_the_script_overflows_it_has_no_ranks(rng):
    logits = rng.uniform(0, 30, (12, 4)).astype(np.float32)  # cosines times 100
    assert ours(logits, logits, beta=20.0)[1] is None
    assert ours(logits, logits, beta=0.5)[1] is not None
    logits[0, 1] = 400  # the sums are finite, a query's best item is not
    assert ours(logits[1:], logits, beta=0.5)[1] is None


@pytest.mark.parametrize(
    ("hits", "n", "masked", "shown"),
    [
        (7, 2000, False, "'R1': 0.3,"),  # 0.35 as a plain float lies below
        (7, 2000, True, "'R1': np.float64(0.4),"),
        (25, 2000, False, "'R1': 1.2,"),  # 1.25 lies in the middle
        (25, 2000, True, "'R1': np.float64(1.2),"),
        (0, 2000, False, "'geometric_mean_R1-R5-R10': np.float64(0.0)}"),
    ],
)
def test_rounding_is_that_of_floats_or_of_numpy_scalars(hits, n, masked, shown):
    ranks = np.where(np.arange(n) < hits, 1.0, 3.0)
    assert shown in printed(ranks, ranks, masked)[1]
