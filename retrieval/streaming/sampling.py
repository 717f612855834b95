"""A matrix given as tiles -> some of its rows, or of its rows and columns, never the whole.

Questions about a querybank are answered as well by some thousand of its captions as by a million.
"""

import numpy as np

from retrieval.similarity import MatrixTiles, SimTiles, Tiles, as_sims, as_tiles, is_finite
from retrieval.streaming import parallel
from retrieval.streaming.rows import KeptColumns, ProductRows, Rows, WatchedTiles
from retrieval.streaming.tiles import for_each_tile

MOST_ROWS = 2**14  # of a sample
MOST_CELLS = 2**26  # of a sample that has to be held in memory
MOST_PRODUCTS = 2**30  # of a sample of embeddings, whose similarities are made as they are used


def sample_rows(
    matrix: np.ndarray | Tiles, rng: np.random.Generator, most: int = MOST_ROWS
) -> SimTiles | MatrixTiles:
    """Rows drawn at random without repetition, with all columns.

    Args:
        matrix: [n, m], a matrix or tiles.
        rng: what to draw with.
        most: rows, at most; fewer of a matrix so wide that they would not fit into memory.

    Returns:
        tiles of those rows, in ascending order; all of them where there are few enough.
    """
    tiles = as_tiles(matrix)
    tiles = tiles.whole if isinstance(tiles, WatchedTiles) else tiles
    n, m = tiles.shape
    cells = MOST_PRODUCTS if isinstance(tiles, SimTiles) else MOST_CELLS
    size = min(n, most, max(64, cells // m))
    if size == n:  # nothing is drawn, so a file and its array are sampled alike from here on
        in_memory = isinstance(tiles, SimTiles | MatrixTiles)
        return tiles if in_memory else take_rows(tiles, np.arange(n))
    return take_rows(tiles, np.sort(rng.choice(n, size, replace=False)))


def take_rows(tiles: Tiles, rows: np.ndarray) -> SimTiles | MatrixTiles:
    """Tiles of the given rows, ascending row numbers."""
    if isinstance(tiles, SimTiles):
        return SimTiles(tiles.query_emb[rows], tiles.gallery_emb)
    if isinstance(tiles, MatrixTiles):
        return MatrixTiles(tiles.sims[rows])
    stored = getattr(tiles, "stored", None)
    if stored is not None:
        out = stored.take_rows(rows).astype(tiles.dtype, copy=False)
        if is_finite(out):
            return MatrixTiles(out)  # else the tiles say where
    out = np.empty((len(rows), tiles.shape[1]), getattr(tiles, "dtype", np.float32))
    if tiles.row_major:
        for place, row in enumerate(rows.tolist()):
            for _, columns, block in tiles.blocks(within=slice(row, row + 1)):
                out[place, columns] = block[0]
        return MatrixTiles(out)

    def take_in(at: slice, columns: slice, block: np.ndarray) -> None:
        first, last = np.searchsorted(rows, [at.start, at.stop])
        out[first:last, columns] = block[rows[first:last] - at.start]

    for_each_tile(tiles, take_in)
    return MatrixTiles(out)


def pick(tiles: SimTiles | MatrixTiles, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """[len(rows), len(columns)] similarities of chosen rows and columns, a new array."""
    if isinstance(tiles, SimTiles):
        return tiles.query_emb[rows] @ tiles.gallery_emb[columns].T
    return tiles.sims[np.ix_(rows, columns)]


def read_some(matrix: np.ndarray | Tiles | Rows, rows: np.ndarray) -> np.ndarray:
    """[len(rows), n_columns] the given rows, ascending row numbers, as floating point."""
    if isinstance(matrix, WatchedTiles):  # a look at some rows is no part of a pass
        return read_some(matrix.whole, rows)
    if isinstance(matrix, KeptColumns):
        return read_some(matrix.whole, rows)[:, matrix.kept]
    if isinstance(matrix, SimTiles | ProductRows):
        return matrix.query_emb[rows] @ matrix.gallery_emb.T
    if hasattr(matrix, "take_rows"):
        return matrix.take_rows(rows)
    if hasattr(matrix, "read_rows"):
        return np.concatenate([matrix.read_rows(row, row + 1) for row in rows.tolist()])
    if hasattr(matrix, "blocks"):
        return take_rows(matrix, rows).sims
    return as_sims(np.asarray(matrix)[rows])


def first_columns(matrix: np.ndarray | Tiles | Rows, n: int) -> np.ndarray:
    """[n_rows, n] float32, the first columns of every row, at the cost of a fast reading."""
    n_rows, n = matrix.shape[0], min(n, matrix.shape[1])
    if isinstance(matrix, WatchedTiles):
        return first_columns(matrix.whole, n)
    if isinstance(matrix, KeptColumns):
        return first_columns(matrix.whole, int(matrix.kept[n - 1]) + 1)[:, matrix.kept[:n]]
    if isinstance(matrix, SimTiles | ProductRows):
        return (matrix.query_emb @ matrix.gallery_emb[:n].T).astype(np.float32, copy=False)
    matrix = getattr(matrix, "stored", matrix)  # a file's tiles know the file
    out = np.empty((n_rows, n), np.float32)
    if hasattr(matrix, "read_block"):
        for rows in parallel.bands(n_rows, n):
            out[rows] = matrix.read_block(rows, slice(0, n))
    elif hasattr(matrix, "read_rows"):
        for rows in parallel.bands(n_rows, matrix.shape[1]):
            out[rows] = matrix.read_rows(rows.start, rows.stop)[:, :n]
    elif hasattr(matrix, "blocks"):

        def take_in(rows: slice, columns: slice, block: np.ndarray) -> None:
            kept = slice(columns.start, min(columns.stop, n))
            if kept.start < n:
                out[rows, kept] = block[:, : kept.stop - kept.start]

        for_each_tile(matrix, take_in)
    else:
        out[:] = np.asarray(matrix)[:, :n]
    return out
