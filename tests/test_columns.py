import math

import numpy as np
import pytest

from retrieval.normalisers.normal import normal_cdf
from retrieval.similarity import MatrixTiles, SimTiles
from retrieval.streaming.columns import (
    ColumnMean,
    ColumnMoments,
    ColumnTop,
    LogSumExp,
    PairSums,
    strips,
)
from retrieval.streaming.tiles import for_each_tile


def gathered(rng, sims, make, n_orders=4):
    """What is gathered from the tiles of a matrix in several orders."""
    blocks = list(MatrixTiles(sims, 4, 5).blocks())
    for _ in range(n_orders):
        rng.shuffle(blocks)
        gatherer = make(*sims.shape)
        for block in blocks:
            gatherer.add(*block)
        yield gatherer.values()


@pytest.mark.parametrize("k", [1, 3, 31])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_largest_entries_of_each_column_are_kept(rng, k, dtype):
    sims = rng.integers(0, 9, (31, 12)).astype(dtype)  # many ties
    for values in gathered(rng, sims, lambda n, m: ColumnTop(m, k)):
        np.testing.assert_array_equal(values, -np.sort(-sims.T, axis=1)[:, :k])


def test_few_of_many_rows_enter_and_are_found(rng):
    sims = rng.standard_normal((5000, 3)).astype(np.float32)
    top = ColumnTop(3, 10)
    for_each_tile(MatrixTiles(sims, 64, 2), top.add)
    np.testing.assert_array_equal(top.values(), -np.sort(-sims.T, axis=1)[:, :10])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("centre", [0.0, 25.0])
def test_moments_are_those_of_the_columns_to_the_last_digit_in_any_order(rng, dtype, centre):
    sims = (centre + rng.standard_normal((31, 12)) / 10).astype(dtype)
    sims[:, 3] = 0.1
    found = list(gathered(rng, sims, ColumnMoments))
    exact = sims.astype(np.float64)
    tolerance = 1e-6 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(found[0][0], exact.mean(axis=0), rtol=tolerance, atol=1e-8)
    np.testing.assert_allclose(found[0][1], exact.std(axis=0), rtol=tolerance, atol=1e-15)
    assert found[0][0][3] == dtype(0.1) and found[0][1][3] == 0
    for means in gathered(rng, sims, ColumnMean):
        np.testing.assert_allclose(means, exact.mean(axis=0), rtol=1e-12, atol=1e-15)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("over", ["rows", "columns"])
@pytest.mark.parametrize("scale", [1e-6, 0.1, 30.0, 1e4])
@pytest.mark.parametrize("bound", [1.0, np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weighted_sums_of_powers_are_those_of_the_matrix(rng, over, scale, bound, dtype):
    sims = rng.uniform(-1, 1, (31, 12)).astype(dtype)
    axis = ("rows", "columns").index(over)
    weights = rng.standard_normal(sims.shape[axis])
    exact = scale * sims.astype(np.float64) + np.expand_dims(weights, 1 - axis)
    found = list(gathered(rng, sims, lambda n, m: LogSumExp(n, m, weights, scale, over, bound)))
    expected = np.logaddexp.reduce(exact, axis=axis)
    atol = (1e-6 * max(1, scale)) if dtype == np.float32 and scale > 1e-3 else 1e-11
    np.testing.assert_allclose(found[0], expected, atol=atol)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_sums_over_all_pairs_of_neighbours(rng):
    sims = rng.standard_normal((11, 11))
    neighbours = np.array([rng.choice(11, 3, replace=False) for _ in range(11)])
    expected = [sims[np.ix_(near, near)].sum() for near in neighbours]
    for values in gathered(rng, sims, lambda n, m: PairSums(neighbours)):
        np.testing.assert_allclose(values, expected)


@pytest.mark.parametrize("cells", [1, 70, 10**6])
def test_strips_are_whole_columns_whatever_the_tiles(rng, cells):
    bank, videos = rng.standard_normal((13, 4)), rng.standard_normal((9, 4))
    sims = (bank @ videos.T).astype(np.float32)
    for tiles in (
        SimTiles(bank, videos, 4, 2),
        MatrixTiles(sims, 3, 4),
        MatrixTiles(sims.T).sims.T,
    ):
        tiles = MatrixTiles(tiles) if isinstance(tiles, np.ndarray) else tiles
        parts = list(strips(tiles, cells))
        np.testing.assert_allclose(np.concatenate([p for _, p in parts], axis=1), sims, atol=1e-5)
        assert [columns.start for columns, _ in parts][0] == 0
        assert all(part.shape == (13, c.stop - c.start) for c, part in parts)


def test_the_normal_distribution_function_is_exact_in_both_tails():
    z = np.r_[np.linspace(-37, 37, 7001), -np.inf, np.inf, 0.0]
    expected = np.array([math.erfc(-x / math.sqrt(2)) / 2 for x in z])
    np.testing.assert_allclose(normal_cdf(z), expected, rtol=1e-12)
    assert (np.diff(normal_cdf(np.linspace(-8, 8, 10_001))) >= 0).all()
