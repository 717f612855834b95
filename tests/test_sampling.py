import numpy as np
import pytest

from retrieval.similarity import MatrixTiles, SimTiles
from retrieval.streaming.sampling import pick, sample_rows, take_rows


class ForeignTiles:
    """Tiles of a kind that is neither embeddings nor a matrix in memory, as a file's are."""

    def __init__(self, sims: np.ndarray, row_major: bool) -> None:
        self.inner = MatrixTiles(sims if row_major else np.asfortranarray(sims), 2, 3)
        self.shape, self.bound, self.row_major = sims.shape, self.inner.bound, row_major
        self.row_tile, self.column_tile = 2, 3
        self.blocks = self.inner.blocks


@pytest.mark.parametrize("row_major", [True, False])
def test_rows_taken_from_foreign_tiles_are_those_of_the_matrix(rng, row_major):
    sims = rng.standard_normal((11, 7)).astype(np.float32)
    rows = np.array([0, 3, 4, 10])
    taken = take_rows(ForeignTiles(sims, row_major), rows)
    np.testing.assert_array_equal(taken.sims, sims[rows])


def test_few_rows_of_a_file_and_of_its_array_leave_the_same_numbers_to_draw(rng):
    sims = rng.standard_normal((11, 7)).astype(np.float32)
    ours, theirs = np.random.default_rng(3), np.random.default_rng(3)
    sample = sample_rows(ForeignTiles(sims, True), ours)
    np.testing.assert_array_equal(sample.sims, sample_rows(sims, theirs).sims)
    assert ours.random() == theirs.random()


def test_a_sample_of_few_rows_is_all_of_them(rng):
    sims = rng.standard_normal((6, 5))
    np.testing.assert_array_equal(sample_rows(sims, rng).sims, sims)


def test_a_sample_repeats_no_row_and_keeps_all_columns(rng):
    emb, gallery = rng.standard_normal((40, 3)), rng.standard_normal((5, 3))
    sample = sample_rows(SimTiles(emb, gallery), rng, most=9)
    assert sample.shape == (9, 5)
    assert len(np.unique(sample.query_emb, axis=0)) == 9


def test_embeddings_and_their_matrix_give_the_same_pick(rng):
    emb, gallery = rng.standard_normal((8, 3)), rng.standard_normal((6, 3))
    rows, columns = np.array([5, 0]), np.array([1, 4, 2])
    tiles = SimTiles(emb.astype(np.float32), gallery.astype(np.float32))
    np.testing.assert_allclose(
        pick(tiles, rows, columns),
        pick(MatrixTiles(emb @ gallery.T), rows, columns),
        atol=1e-5,
    )
