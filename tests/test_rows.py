"""Similarities by rows, and without some of their columns."""

import numpy as np
import pytest

from retrieval.normalisers import parse_spec
from retrieval.similarity import MatrixTiles, SimTiles
from retrieval.streaming.rows import KeptColumns, MatrixRows, ProductRows, as_rows, chunks


@pytest.mark.parametrize("row_major", [True, False])
def test_tiles_without_some_columns_are_those_of_the_matrix_without_them(rng, row_major):
    queries, items = (rng.standard_normal((n, 5)).astype(np.float32) for n in (13, 17))
    sims = queries @ items.T
    kept = np.array([0, 3, 4, 5, 9, 16])
    whole = (
        MatrixTiles(sims, row_tile=4, column_tile=6)
        if row_major
        else SimTiles(queries, items, row_tile=4, column_tile=6)
    )
    assert whole.row_major == row_major
    tiles = KeptColumns(whole, kept)
    assert tiles.shape == (13, 6) and tiles.bound == whole.bound
    size = 13 if row_major else 6
    for pieces in ([None], [slice(0, 2), slice(2, size)]):
        found = np.full((13, 6), np.nan)
        for within in pieces:
            for rows, columns, block in tiles.blocks(2.0, within):
                assert np.isnan(found[rows, columns]).all()  # every tile once
                found[rows, columns] = block
        np.testing.assert_allclose(found, 2 * sims[:, kept], rtol=1e-5)
    for spec in ("qbnorm:beta=3", "csls:neighbours=4", "dn"):
        made = parse_spec(spec)
        expected = made.fit(np.ascontiguousarray(sims[:, kept]))
        np.testing.assert_allclose(made.fit(tiles).values, expected.values, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(
        KeptColumns(MatrixRows(sims), kept).read_rows(2, 5), sims[2:5, kept]
    )


def test_what_is_not_asked_is_not_handed_out(rng, monkeypatch):
    monkeypatch.setattr("retrieval.streaming.rows.CHUNK_CELLS", 4 * 3)
    sims = rng.standard_normal((20, 3))
    queries = np.array([0, 1, 2, 3, 5, 11, 12, 19])
    got = list(chunks(MatrixRows(sims), queries))
    assert [(at.start, at.stop) for at, _ in got] == [(0, 4), (4, 8)]
    np.testing.assert_array_equal(np.concatenate([part for _, part in got]), sims[queries])
    np.testing.assert_array_equal(got[0][1].base, sims)  # a view where nothing is left out


def test_rows_come_from_whatever_holds_similarities(rng):
    queries, items = rng.standard_normal((4, 2)), rng.standard_normal((3, 2))
    whole = (queries @ items.T).astype(np.float32)
    tiles = SimTiles(queries.astype(np.float32), items.astype(np.float32))
    for sims in (whole, MatrixTiles(whole), tiles, ProductRows(queries, items)):
        rows = as_rows(sims)
        assert rows.shape == (4, 3)
        np.testing.assert_allclose(rows.read_rows(1, 3), whole[1:3], atol=1e-6)
    with pytest.raises(ValueError, match="must be .n_queries, n_gallery."):
        as_rows(np.zeros(4))
