"""A matrix given as tiles -> some of its rows, or of its rows and columns, never the whole.

Questions about a querybank are answered as well by some thousand of its captions as by a million.
"""

import numpy as np

from retrieval.similarity import MatrixTiles, SimTiles, Tiles, as_tiles
from retrieval.tiles import for_each_tile

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
    n, m = tiles.shape
    cells = MOST_PRODUCTS if isinstance(tiles, SimTiles) else MOST_CELLS
    size = min(n, most, max(64, cells // m))
    if size == n and isinstance(tiles, SimTiles | MatrixTiles):
        return tiles
    return take_rows(tiles, np.sort(rng.choice(n, size, replace=False)))


def take_rows(tiles: Tiles, rows: np.ndarray) -> SimTiles | MatrixTiles:
    """Tiles of the given rows, ascending row numbers."""
    if isinstance(tiles, SimTiles):
        return SimTiles(tiles.query_emb[rows], tiles.gallery_emb)
    if isinstance(tiles, MatrixTiles):
        return MatrixTiles(tiles.sims[rows])
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
