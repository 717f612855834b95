import numpy as np
import pytest

from retrieval.errors import SettingsError
from retrieval.similarity import (
    CHUNK,
    MatrixTiles,
    SimTiles,
    as_tiles,
    check_sims,
    top_k,
    unit_rows,
)
from retrieval.streaming.tiles import for_each_tile, mean_std


def test_unit_rows_have_length_one_and_keep_their_direction(rng):
    emb = rng.standard_normal((4, 3)) * [[1], [1e-30], [1e30], [-5]]
    before = emb.copy()
    unit = unit_rows(emb)
    assert unit.dtype == np.float32 and unit.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-6)
    expected = emb / np.linalg.norm(emb, axis=1, keepdims=True)
    np.testing.assert_allclose(unit, expected, atol=1e-6)
    np.testing.assert_array_equal(emb, before)


def test_unit_rows_of_float32_input_are_a_new_array():
    emb = np.array([[1, 0], [0, 1]], dtype=np.float32)
    unit = unit_rows(emb)
    unit[:] = 0
    assert emb.sum() == 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([np.nan, 1], "row 1 of captions holds NaN or infinity"),
        ([np.inf, 1], "row 1 of captions holds NaN or infinity"),
        ([0, 0], "row 1 of captions is all zero"),
    ],
)
def test_unit_rows_name_the_first_row_without_a_direction(row, message):
    with pytest.raises(ValueError, match=message):
        unit_rows(np.array([[1, 2], row, row]), "captions")


def test_unit_rows_refuse_other_shapes_and_kinds():
    with pytest.raises(ValueError, match=r"must be \[n, dim\].*\(3,\)"):
        unit_rows(np.ones(3))
    with pytest.raises(ValueError, match="real numbers"):
        unit_rows(np.array([["a", "b"]]))


@pytest.mark.parametrize("k", [1, 2, 5, 40])
def test_top_k_puts_the_lowest_index_first_among_equals(rng, k):
    scores = rng.integers(-3, 4, (6, 40)).astype(np.float32)
    expected = [sorted(range(40), key=lambda j, row=row: (-row[j], j))[:k] for row in scores]
    np.testing.assert_array_equal(top_k(scores, k), expected)
    np.testing.assert_array_equal(top_k(scores[0], k), expected[0])
    assert top_k(scores, k).dtype == np.int64


@pytest.mark.parametrize("n", [40, 79, 300, 2990])
@pytest.mark.parametrize("k", [1, 2, 9, 10])
@pytest.mark.parametrize("n_values", [1, 3, 40, 10**6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_top_k_of_long_rows_is_a_stable_sort(rng, n, k, n_values, dtype):
    scores = rng.integers(0, n_values, (7, n)).astype(dtype)
    scores[3] = -np.inf
    scores[4, : n - 4] = -np.inf
    scores[5] = np.arange(n)  # best last
    before = scores.copy()
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(top_k(scores, k), expected)
    np.testing.assert_array_equal(scores, before)


def test_unit_rows_of_many_chunks_are_those_of_each_row(rng):
    emb = rng.standard_normal((2 * CHUNK + 3, 2))
    expected = emb / np.linalg.norm(emb, axis=1, keepdims=True)
    np.testing.assert_allclose(unit_rows(emb), expected, atol=1e-6)
    emb[CHUNK + 5] = 0
    with pytest.raises(ValueError, match=f"row {CHUNK + 5} of embeddings is all zero"):
        unit_rows(emb)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.int64])
def test_unit_rows_take_any_real_numbers(dtype):
    np.testing.assert_allclose(unit_rows(np.array([[3, 4]], dtype=dtype)), [[0.6, 0.8]], rtol=1e-6)


@pytest.mark.parametrize("k", [0, -1, 4, 1.5, np.nan])
def test_top_k_refuses_a_k_that_the_row_cannot_fill(k):
    with pytest.raises(SettingsError, match=r"k must be a whole number in 1\.\.3"):
        top_k(np.zeros((2, 3)), k)


@pytest.mark.parametrize(("row_tile", "column_tile"), [(1, 1), (3, 4), (100, 2), (5, 100)])
def test_tiles_cover_the_matrix_once(rng, row_tile, column_tile):
    queries, gallery = rng.standard_normal((5, 3)), rng.standard_normal((7, 3))
    for tiles in (
        SimTiles(queries, gallery, row_tile, column_tile),
        MatrixTiles(queries @ gallery.T, row_tile, column_tile),
    ):
        assert tiles.shape == (5, 7)
        whole, seen = np.zeros((5, 7)), np.zeros((5, 7))
        for rows, columns, block in tiles.blocks():
            whole[rows, columns] = block
            seen[rows, columns] += 1
        np.testing.assert_allclose(whole, queries @ gallery.T, atol=1e-5)
        assert (seen == 1).all()


def test_tiles_of_different_width_are_refused():
    with pytest.raises(ValueError, match="queries have dim 3, gallery has dim 4"):
        SimTiles(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ValueError, match="not empty"):
        SimTiles(np.ones((0, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="not empty"):
        as_tiles(np.ones((3, 0)))


def test_a_similarity_that_is_no_number_is_named_by_row_and_column():
    sims = np.zeros((3, 4))
    sims[1, 2] = np.nan
    with pytest.raises(ValueError, match="got nan at row 1, column 2"):
        mean_std(sims)
    gallery = np.ones((5, 2), dtype=np.float32)
    gallery[3] = np.inf
    with pytest.raises(ValueError, match="row 3 of gallery holds NaN, infinity or"):
        SimTiles(np.ones((3, 2)), gallery)
    with pytest.raises(ValueError, match="row 3 of queries holds NaN, infinity or"):
        SimTiles(gallery, np.ones((3, 2)))


def test_mean_and_std_in_closed_form_are_those_of_the_matrix(rng):
    queries = unit_rows(rng.standard_normal((50, 8)) + 0.5)
    gallery = unit_rows(rng.standard_normal((70, 8)) - 0.2)
    sims = queries.astype(np.float64) @ gallery.T.astype(np.float64)
    for tiles in (SimTiles(queries, gallery), sims):
        mean, std = mean_std(tiles)
        assert mean == pytest.approx(sims.mean(), rel=1e-5)
        assert std == pytest.approx(sims.std(), rel=1e-5)


def test_a_small_spread_on_a_large_mean_is_not_lost_to_rounding(rng):
    queries = unit_rows(np.ones((40, 16)) + 1e-3 * rng.standard_normal((40, 16)))
    gallery = unit_rows(np.ones((60, 16)) + 1e-2 * rng.standard_normal((60, 16)))
    sims = queries.astype(np.float64) @ gallery.T.astype(np.float64)
    assert mean_std(SimTiles(queries, gallery))[1] == pytest.approx(sims.std(), rel=1e-2)


def test_tiles_can_be_scaled(rng):
    queries, gallery = rng.standard_normal((5, 3)), rng.standard_normal((7, 3))
    for tiles in (SimTiles(queries, gallery, 2, 3), MatrixTiles(queries @ gallery.T, 2, 3)):
        for rows, columns, block in tiles.blocks(scale=-3.0):
            np.testing.assert_allclose(block, -3 * queries[rows] @ gallery[columns].T, atol=1e-5)
        assert np.abs(queries @ gallery.T).max() <= tiles.bound


def test_tiles_can_be_kept_to_some_columns_or_rows_where_those_lie_together(rng):
    sims = rng.standard_normal((5, 9))
    wide, by_rows = np.asfortranarray(sims), MatrixTiles(sims, 2, 3)
    assert by_rows.row_major and not MatrixTiles(wide).row_major
    for tiles in (MatrixTiles(wide, 2, 3), SimTiles(sims, np.eye(9), 2, 3), by_rows):
        seen = np.zeros((5, 9))
        for rows, columns, block in tiles.blocks(within=slice(2, 4)):
            np.testing.assert_allclose(block, sims[rows, columns], rtol=1e-6)
            seen[rows, columns] += 1
        within = seen[2:4] if tiles.row_major else seen[:, 2:4]
        assert (within == 1).all() and seen.sum() == within.size


@pytest.mark.parametrize("shape", [(1, 1), (3, 40_000), (40_000, 3), (700, 401)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_matrix_is_cut_into_tiles_that_cover_it_once(rng, shape, order):
    sims = np.asarray(rng.standard_normal(shape), dtype=np.float32, order=order)
    tiles = MatrixTiles(sims)
    seen = np.zeros(shape, dtype=int)
    for rows, columns, block in tiles.blocks():
        assert block.shape[0] <= tiles.row_tile and block.shape[1] <= tiles.column_tile
        assert np.shares_memory(block, sims)
        seen[rows, columns] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("order", ["C", "F"])
def test_one_bad_entry_in_a_large_matrix_is_found(rng, bad, order):
    sims = np.asarray(rng.standard_normal((3000, 900)), dtype=np.float32, order=order)
    sims[2345, 678] = bad
    with pytest.raises(ValueError, match=f"sims must be finite, got {bad} at row 2345, column 678"):
        check_sims(sims)
    with pytest.raises(ValueError, match=f"got {bad} at row 2345, column 678"):
        for_each_tile(MatrixTiles(sims), lambda *tile: None)
