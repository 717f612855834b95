"""Arrays in files: the whole, rows and tiles are the very numbers that were saved."""

import numpy as np
import pytest

from retrieval.errors import FileError
from retrieval.formats import open_arrays, open_matrix, source
from retrieval.similarity import MatrixTiles
from retrieval.streaming.tiles import mean_std

DTYPES = ["<f4", ">f4", "<f8", ">f8", "<f2", ">f2", "i1", "<i4", ">i8", "<u2", "?"]


@pytest.fixture
def saved(tmp_path):
    """Saves a matrix as .npy and opens it."""

    def save(array):
        np.save(tmp_path / "m.npy", array)
        return open_matrix(tmp_path / "m.npy")

    return save


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_whole_rows_and_blocks_are_the_numbers_that_were_saved(rng, saved, dtype, order):
    array = np.asarray(5 * rng.normal(size=(37, 53))).astype(dtype, order=order)
    stored = saved(array)
    assert (stored.shape, stored.ndim, stored.streams) == ((37, 53), 2, True)
    assert stored.dtype == array.dtype.newbyteorder("=") and stored.nbytes == array.nbytes
    whole = stored.read()
    assert whole.dtype.isnative and whole.flags.writeable
    np.testing.assert_array_equal(whole, array)
    np.testing.assert_array_equal(stored.read_rows(3, 20), array[3:20])
    out = np.empty((17, 53), stored.dtype)
    assert stored.read_rows(3, 20, out) is out
    np.testing.assert_array_equal(out, array[3:20])
    block = stored.read_block(slice(30, 37), slice(50, 53))
    np.testing.assert_array_equal(block, array[30:, 50:])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_tiles_of_a_file_are_those_of_the_whole_matrix(rng, saved, dtype, order):
    array = np.asarray(5 * rng.normal(size=(37, 53))).astype(dtype, order=order)
    stored = saved(array)
    whole, tiles = MatrixTiles(stored.read(), 5, 7), stored.tiles(5, 7)
    assert (tiles.shape, tiles.row_major) == (whole.shape, whole.row_major)
    within = slice(10, 31)
    for scale in (1.0, 2.5):
        for one, other in zip(
            tiles.blocks(scale, within), whole.blocks(scale, within), strict=True
        ):
            assert one[:2] == other[:2] and one[2].dtype == other[2].dtype
            np.testing.assert_array_equal(one[2], other[2])
    assert mean_std(tiles) == pytest.approx(mean_std(whole))


def test_a_matrix_wider_than_a_tile_is_read_in_pieces(rng, saved):
    array = rng.normal(size=(3, 40_000)).astype(np.float32)
    tiles = saved(array).tiles()
    found = np.full(array.shape, np.nan, np.float32)
    for rows, columns, block in tiles.blocks():
        assert block.shape[1] < 40_000
        found[rows, columns] = block
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named_by_row_and_column(rng, saved, bad):
    array = rng.normal(size=(37, 53))
    array[31, 8] = bad
    with pytest.raises(FileError, match=rf"m.npy holds {bad} at row 31, column 8"):
        list(saved(array).tiles(5, 7).blocks())
    with pytest.raises(FileError, match="row 31, column 8"):
        list(saved(array).tiles().blocks())


def test_huge_but_finite_numbers_are_no_fault(saved):
    array = np.full((20, 30), 3e38, np.float32)
    ((_, _, block),) = saved(array).tiles().blocks()
    np.testing.assert_array_equal(block, array)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_slice_of_a_3d_array_is_a_matrix(rng, tmp_path, order):
    array = np.asarray(rng.normal(size=(2, 5, 7)), order=order)
    np.save(tmp_path / "both.npy", array)
    stored = open_matrix(f"{tmp_path}/both.npy[1]")
    np.testing.assert_array_equal(stored.read(), array[1])
    np.testing.assert_array_equal(stored.read_rows(1, 4), array[1, 1:4])
    np.testing.assert_array_equal(next(stored.tiles().blocks())[2], array[1])
    with pytest.raises(FileError, match=r"\(2, 5, 7\), expected .*both.npy\[0\]"):
        open_matrix(tmp_path / "both.npy")
    with pytest.raises(FileError, match=r"no part \[2\]"):
        open_matrix(f"{tmp_path}/both.npy[2]")


@pytest.mark.parametrize("shape", [(5,), (0, 5), (5, 0), (2, 3, 4, 5), ()])
def test_open_matrix_refuses_what_is_no_matrix(saved, shape):
    with pytest.raises(FileError, match=r"expected \[n_queries, n_gallery\] sims"):
        saved(np.zeros(shape))


def test_open_arrays_takes_arrays_of_any_shape(tmp_path):
    for shape in ((5,), (0, 5), (2, 3, 4, 5), ()):
        np.save(tmp_path / "a.npy", np.ones(shape))
        (stored,) = open_arrays(tmp_path / "a.npy").values()
        np.testing.assert_array_equal(stored.read(), np.ones(shape))


def test_a_file_that_shrinks_while_it_is_read_is_told(saved):
    stored = saved(np.zeros((10, 10)))
    with open(stored.path, "r+b") as file:
        file.truncate(300)
    with pytest.raises(FileError, match="became shorter"):
        stored.read()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i2"])
def test_a_few_columns_or_rows_of_very_many_are_read_from_their_places(
    rng, saved, dtype, order, monkeypatch
):
    monkeypatch.setattr(source, "MAPPED_BYTES", 500_000)
    shape = (1234, 1100) if order == "C" else (1100, 1234)
    array = np.asarray(100 * rng.normal(size=shape)).astype(dtype, order=order)
    stored = saved(array)
    for rows, columns in ((slice(0, 1100), slice(3, 8)), (slice(5, 6), slice(0, 1100))):
        block = stored.read_block(rows, columns)
        np.testing.assert_array_equal(block, array[rows, columns].astype(block.dtype))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i2"])
def test_chosen_rows_are_those_of_the_whole(rng, tmp_path, order, dtype):
    matrix = rng.integers(-9, 9, (31, 7)).astype(dtype)
    np.save(tmp_path / "a.npy", np.asarray(matrix, order=order))
    rows = np.array([0, 3, 4, 30])
    found = open_matrix(tmp_path / "a.npy").take_rows(rows)
    assert found.dtype.isnative and found.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(found, matrix[rows])
