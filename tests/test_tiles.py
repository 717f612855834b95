import threading

import numpy as np
import pytest

from retrieval.similarity import MatrixTiles, SimTiles, top_k
from retrieval.streaming import tiles as tiles_module
from retrieval.streaming.tiles import LogMeanExp, Moments, TopK, for_each_tile, one_blas_thread
from tests.reference import log_mean_exp_by_definition


@pytest.mark.parametrize("k", [1, 3])
def test_top_k_from_tiles_in_any_order_is_that_of_the_matrix(rng, k):
    sims = rng.integers(0, 6, (9, 23)).astype(np.float32)  # many ties
    blocks = list(MatrixTiles(sims, 4, 5).blocks())
    for _ in range(5):
        rng.shuffle(blocks)
        nearest = TopK(9, k)
        for block in blocks:
            nearest.add(*block)
        np.testing.assert_array_equal(nearest.columns, top_k(sims, k))


@pytest.mark.parametrize("spread", [1e-30, 1e-9, 1e-3, 0.5, 5, 20, 50, 1e3, 1e6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_mean_exp_from_tiles_in_any_order_is_its_definition(rng, spread, dtype):
    exponents = (spread * rng.uniform(-1, 1, (31, 6))).astype(dtype)
    exponents[:, 0] = 0.25 * spread  # a constant column: a blank video
    before = exponents.copy()
    expected = [log_mean_exp_by_definition(column, 1.0) for column in exponents.T]
    blocks = list(MatrixTiles(exponents, 4, 5).blocks())
    for _ in range(3):
        rng.shuffle(blocks)
        mass = LogMeanExp(31, 6, bound=spread)
        for block in blocks:
            mass.add(*block)
        np.testing.assert_allclose(mass.values() / spread, np.array(expected) / spread, atol=1e-6)
    np.testing.assert_array_equal(exponents, before)


@pytest.mark.parametrize("beta", [1e-9, 0.7, 20, 60, 1e4])
@pytest.mark.parametrize("bound", ["known", "unknown"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_log_mean_exp_takes_the_scale_and_need_not_know_the_bound(rng, beta, bound, order):
    sims = np.asarray(rng.uniform(-1, 1, (301, 23)), dtype=np.float32, order=order)
    sims[:250] *= 0.01  # tiles of small and of large exponents meet
    expected = [log_mean_exp_by_definition(column, beta) for column in sims.T]
    known = beta * np.abs(sims).max() if bound == "known" else np.inf
    mass = LogMeanExp(301, 23, known, scale=beta)
    for_each_tile(MatrixTiles(sims, 50, 4), mass.add)
    np.testing.assert_allclose(mass.values() / beta, expected, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("bound", [39.5, np.inf])
def test_log_mean_exp_of_a_column_far_below_the_others_is_not_lost(bound):
    exponents = np.array([[39.0, -38.0], [30.0, -38.5]], dtype=np.float32)
    mass = LogMeanExp(2, 2, bound)
    mass.add(slice(0, 2), slice(0, 2), exponents)
    expected = [log_mean_exp_by_definition(column, 1.0) for column in exponents.T]
    np.testing.assert_allclose(mass.values(), expected, rtol=1e-6)


@pytest.mark.parametrize("tile", [(None, None), (7, 5)])
def test_mean_and_spread_of_a_matrix_are_those_of_its_entries(rng, tile):
    sims = 1000 + rng.standard_normal((611, 307))
    moments = Moments()
    for_each_tile(MatrixTiles(sims, *tile), moments.add)
    assert moments.values() == pytest.approx((sims.mean(), sims.std()), rel=1e-12)


@pytest.mark.parametrize("n_cores", [1, 2, 7])
@pytest.mark.parametrize("n_columns", [1, 5, 23, 400])
def test_every_tile_is_taken_in_once_on_any_number_of_cores(rng, monkeypatch, n_cores, n_columns):
    monkeypatch.setattr(tiles_module.os, "cpu_count", lambda: n_cores)
    sims = rng.standard_normal((9, n_columns)).astype(np.float32)
    by_columns = MatrixTiles(np.asfortranarray(sims), 4, 5)
    for tiles in (MatrixTiles(sims, 4, 5), by_columns, SimTiles(np.eye(9), sims.T, 4, 5)):
        whole, seen, lock = np.zeros(sims.shape), np.zeros(sims.shape), threading.Lock()

        def take_in(rows, columns, block, whole=whole, seen=seen, lock=lock):
            with lock:
                whole[rows, columns] = block
                seen[rows, columns] += 1

        for_each_tile(tiles, take_in, scale=2.0)
        np.testing.assert_array_equal(whole, 2 * sims)
        assert (seen == 1).all()


def test_several_threads_gather_what_one_does(rng, monkeypatch):
    monkeypatch.setattr(tiles_module.os, "cpu_count", lambda: 6)
    exponents = (30 * rng.standard_normal((40, 300))).astype(np.float32)
    nearest, mass = TopK(40, 3), LogMeanExp(40, 300, bound=200)

    def take_in(rows, columns, block):
        nearest.add(rows, columns, block)
        mass.add(rows, columns, block)

    for_each_tile(MatrixTiles(exponents, 7, 4), take_in)
    np.testing.assert_array_equal(nearest.columns, top_k(exponents, 3))
    expected = [log_mean_exp_by_definition(column, 1.0) for column in exponents.T]
    np.testing.assert_allclose(mass.values(), expected, rtol=1e-6)


@pytest.mark.parametrize("bound", [20, np.inf])
def test_sums_are_the_same_to_the_last_digit_in_whatever_order_threads_finish(rng, bound):
    sims = 9 * rng.uniform(-1, 1, (90, 7)) if bound == 20 else 99 * rng.standard_normal((90, 7))
    found = set()
    blocks = list(MatrixTiles(sims, 4, 3).blocks())
    for _ in range(9):
        mass, moments = LogMeanExp(90, 7, bound), Moments()
        for block in blocks:
            mass.add(*block)
            moments.add(*block)
        found.add((mass.values().tobytes(), moments.values()))
        rng.shuffle(blocks)
    assert len(found) == 1


def test_a_problem_in_a_thread_is_raised(rng, monkeypatch):
    monkeypatch.setattr(tiles_module.os, "cpu_count", lambda: 2)

    def take_in(rows, columns, block):
        raise ValueError("no room")

    with pytest.raises(ValueError, match="no room"):
        for_each_tile(MatrixTiles(np.ones((2, 9)), 1, 1), take_in)


def test_the_number_of_blas_threads_is_put_back(monkeypatch):
    threads = [4]
    monkeypatch.setattr(tiles_module, "_openblas", lambda: (lambda: threads[-1], threads.append))
    with one_blas_thread():
        with one_blas_thread():
            assert threads == [4, 1]
        assert threads == [4, 1]
    assert threads == [4, 1, 4]


def test_without_the_openblas_of_numpy_nothing_is_set(monkeypatch):
    monkeypatch.setattr(tiles_module, "_openblas", lambda: None)
    with one_blas_thread():
        pass
