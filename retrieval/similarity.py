"""Embeddings and similarity matrices: unit rows, top-k, and matrices given as tiles.

A bank matrix of 60,000 captions x 1,000,000 videos would be 240 GB, so nothing here asks for a
whole one: `SimTiles` makes it tile by tile from two embedding arrays, and `as_tiles` cuts a plain
matrix the same way. What is gathered from tiles is in `streaming`.
"""

import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from retrieval.errors import SettingsError
from retrieval.streaming import parallel

Block = tuple[slice, slice, np.ndarray]  # rows, columns, the similarities there
CHUNK = 16384  # rows of an embedding array that are looked at together
GROUP = 16  # entries whose largest is looked at before they are
LONGEST_RUN = 2**14  # entries of one row that a tile of a plain matrix holds, at most


def unit_rows(emb: np.ndarray, what: str = "embeddings") -> np.ndarray:
    """Scale every row to length one.

    Args:
        emb: [n, dim] finite numbers, no row all zero.
        what: name of the array for the error message.

    Returns:
        [n, dim] float32, C-contiguous, a new array.

    Raises:
        ValueError: not two-dimensional, or a row that has no direction.
    """
    emb = np.asarray(emb)
    if emb.ndim != 2 or emb.shape[1] == 0:
        raise ValueError(f"{what} must be [n, dim] with dim > 0, got shape {emb.shape}")
    if not (np.issubdtype(emb.dtype, np.floating) or np.issubdtype(emb.dtype, np.integer)):
        raise ValueError(f"{what} must hold real numbers, got {emb.dtype}")
    out = np.empty(emb.shape, dtype=np.float32)
    for start in range(0, len(emb), CHUNK):  # so that nothing as large as the whole is made
        rows = emb[start : start + CHUNK].astype(np.result_type(emb, np.float32), copy=False)
        peak = np.abs(rows).max(axis=1)
        bad = ~np.isfinite(peak) | (peak == 0)
        if bad.any():
            row = int(np.argmax(bad))
            fault = "is all zero" if peak[row] == 0 else "holds NaN or infinity"
            raise ValueError(f"row {start + row} of {what} {fault}; remove or recompute it")
        # Dividing by the largest entry first keeps the squares of 1e-30 and 1e30 in range.
        unit = out[start : start + CHUNK]
        unit[:] = rows / peak[:, None]
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return out


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """Indices of the k largest entries along the last axis, best first.

    Args:
        scores: [..., n], higher is better.
        k: 1 <= k <= n.

    Returns:
        [..., k] int64; of equal scores the lowest index comes first.

    Raises:
        SettingsError: k is outside 1..n.
    """
    scores = np.asarray(scores)
    n = scores.shape[-1]
    check_k(k, n)
    if k == 1:
        return scores.argmax(axis=-1)[..., None]
    flat = scores.reshape(-1, n)
    if k > n // 4:
        best = np.argsort(-flat, axis=1, kind="stable")[:, :k]
    else:
        best = _best_of_groups(flat, k)
        if best is None:
            best = _best_by_partition(flat, k)
    return best.reshape(*scores.shape[:-1], k)


def _best_of_groups(flat: np.ndarray, k: int) -> np.ndarray | None:
    """`top_k` of rows, sorting few of their entries; None where too many are equal for that.

    The k-th largest of the maxima of groups is not above the k-th largest entry, so only the
    entries from there on need to be looked at, and usually there are hardly more than k.
    """
    n_rows, n = flat.shape
    n_groups = max(n // GROUP, 2 * k)
    size = n // n_groups
    maxima = flat[:, : size * n_groups].reshape(n_rows, size, n_groups).max(axis=1)
    maxima.partition(n_groups - k, axis=1)
    bound = maxima[:, n_groups - k, None]
    across = -(-n // parallel.LINE) * parallel.LINE
    if n_rows * n <= 2 * parallel.BLOCK:
        is_likely = parallel.scratch("_best_of_groups", (n_rows, across), bool)
    else:
        is_likely = np.empty((n_rows, across), bool)
    is_likely[:, n:] = False  # the gap to the next row
    np.greater_equal(flat, bound, out=is_likely[:, :n])
    likely = np.flatnonzero(is_likely)
    if len(likely) > 8 * k * n_rows:
        return None
    row, column = np.divmod(likely, across)
    start = np.searchsorted(row, np.arange(n_rows + 1))
    width = int(np.diff(start).max(initial=k))
    place = np.arange(len(row)) + (width * np.arange(n_rows) - start[:-1])[row]
    negative = np.full((n_rows, width), np.inf, flat.dtype)  # so that the best come first
    negative.ravel()[place] = -flat[row, column]
    order = np.argsort(negative, axis=1, kind="stable")[:, :k]  # of equal ones the lowest column
    return column[start[:-1, None] + order]


def _best_by_partition(flat: np.ndarray, k: int) -> np.ndarray:
    """`top_k` of rows with however many equal entries."""
    n = flat.shape[1]
    kth = np.partition(flat, n - k, axis=1)[:, n - k, None]
    kept = flat >= kth
    for row in np.flatnonzero(np.count_nonzero(kept, axis=1) > k):  # a tie on the last place
        tied = np.flatnonzero(flat[row] == kth[row])
        kept[row, tied[k - np.count_nonzero(kept[row]) :]] = False
    columns = np.nonzero(kept)[1].reshape(-1, k)  # ascending, so a stable sort keeps the lowest
    order = np.argsort(-np.take_along_axis(flat, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)


def check_k(k: int, n_gallery: int) -> None:
    """Refuse a neighbourhood size that the gallery cannot fill."""
    if not (isinstance(k, int | np.integer) and 1 <= k <= n_gallery):
        raise SettingsError(
            f"k must be a whole number in 1..{n_gallery} (the gallery size), got {k}"
        )


def check_sims(sims: np.ndarray, what: str = "sims") -> np.ndarray:
    """A matrix of finite similarities with at least one row and column, as floating point."""
    sims = as_sims(sims, what)
    across = sims.T if by_columns(sims) else sims

    def look_at(band: slice) -> None:
        for rows in parallel.blocks(band, across.shape[1]):
            if not is_finite(across[rows]):
                check_block(sims, what)

    parallel.for_each(look_at, parallel.bands(*across.shape))
    return sims


def as_sims(sims: np.ndarray, what: str = "sims") -> np.ndarray:
    """A matrix with at least one row and column, as floating point; its entries are not checked."""
    sims = np.asarray(sims)
    if sims.ndim != 2 or 0 in sims.shape:
        raise ValueError(f"{what} must be [n_queries, n_gallery] and not empty, got {sims.shape}")
    if sims.dtype in (np.float32, np.float64):
        return sims
    if sims.dtype.kind not in "biu" and sims.dtype != np.float16:
        raise ValueError(f"{what} must hold real numbers, got {sims.dtype}")
    return sims.astype(np.float32)


def is_finite(block: np.ndarray) -> bool:
    """Whether no entry is NaN or infinite: the extremes tell, far faster than every entry."""
    return math.isfinite(block.max()) and math.isfinite(block.min())


def check_block(
    block: np.ndarray, what: str = "sims", first_row: int = 0, first_column: int = 0
) -> None:
    """Refuse a part of a matrix that holds NaN or infinity, naming the place in the whole.

    Raises:
        ValueError: an entry is not finite.
    """
    if not is_finite(block):
        row, column = np.argwhere(~np.isfinite(block))[0]
        raise ValueError(
            f"{what} must be finite, got {block[row, column]} at row {first_row + row}, "
            f"column {first_column + column}"
        )


def by_columns(sims: np.ndarray) -> bool:
    """Whether neighbours in memory are in one column, as in the transpose of a plain matrix."""
    return abs(sims.strides[0]) < abs(sims.strides[1])


def _checked_embeddings(emb: np.ndarray, what: str) -> tuple[np.ndarray, float]:
    """Embeddings as float32, uncopied if they are, and the length of the longest row."""
    emb = np.asarray(emb)
    if emb.ndim != 2 or 0 in emb.shape:
        raise ValueError(f"{what} must be [n, dim] and not empty, got shape {emb.shape}")
    longest = 0.0
    for start in range(0, len(emb), CHUNK):
        rows = emb[start : start + CHUNK]
        lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))  # [rows], no copy of the rows
        bad = ~(lengths < 1e15)  # beyond, the product of two could overflow float32
        if bad.any():
            raise ValueError(
                f"row {start + int(np.argmax(bad))} of {what} holds NaN, infinity or numbers too "
                "large to multiply; remove or recompute it"
            )
        longest = max(longest, float(lengths.max()))
    return emb.astype(np.float32, copy=False), longest


class Tiles(Protocol):
    """A similarity matrix that is gone through in tiles.

    `blocks` is called by several threads at once, each with columns of its own, or with rows of
    its own where the matrix is `row_major`: kept row by row, as files and plain matrices are.
    """

    shape: tuple[int, int]  # (n, m): queries by gallery items
    bound: float  # no |similarity| is larger; infinite where only going through all would tell
    row_tile: int  # rows of a tile, at most
    column_tile: int  # columns of a tile, at most
    row_major: bool

    def blocks(self, scale: float = 1.0, within: slice | None = None) -> Iterator[Block]:
        """Every tile once, times `scale`; its array is valid until the next one is asked for.

        Args:
            scale: number to multiply the similarities by.
            within: columns (rows where `row_major`) to keep to; None for all.
        """


class SimTiles:
    """The similarities of two embedding arrays, made one tile at a time.

    Columns-major: the gallery is the longer side, and a thread that keeps to its columns reads
    the few queries again and again, from its cache.

    Args:
        query_emb: [n, dim] float32, usually unit rows; for a querybank, its captions.
        gallery_emb: [m, dim] float32.
        row_tile: rows of a tile.
        column_tile: columns of a tile; the default keeps a tile in a processor's cache.
    """

    row_major = False

    def __init__(
        self,
        query_emb: np.ndarray,
        gallery_emb: np.ndarray,
        row_tile: int = 1024,
        column_tile: int = 2048,
    ) -> None:
        self.query_emb, longest_query = _checked_embeddings(query_emb, "queries")
        self.gallery_emb, longest_item = _checked_embeddings(gallery_emb, "gallery")
        self.bound = longest_query * longest_item  # no similarity is larger, either way
        if self.query_emb.shape[1] != self.gallery_emb.shape[1]:
            raise ValueError(
                f"queries have dim {self.query_emb.shape[1]}, gallery has dim "
                f"{self.gallery_emb.shape[1]}; embed both with the same encoder"
            )
        self.row_tile, self.column_tile = row_tile, column_tile

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m): queries by gallery items."""
        return len(self.query_emb), len(self.gallery_emb)

    def blocks(self, scale: float = 1.0, within: slice | None = None) -> Iterator[Block]:
        """Every tile once, times `scale`; its array is valid until the next one is asked for.

        Args:
            scale: number to multiply the similarities by.
            within: columns to keep to; None for all.
        """
        query_emb = self.query_emb if scale == 1 else self.query_emb * np.float32(scale)
        tile = np.empty(self.row_tile * self.column_tile, dtype=np.float32)
        for rows, columns in grid(self, within):
            queries, gallery = query_emb[rows], self.gallery_emb[columns]
            block = tile[: len(queries) * len(gallery)].reshape(len(queries), len(gallery))
            yield rows, columns, np.matmul(queries, gallery.T, out=block)


class MatrixTiles:
    """A plain similarity matrix, cut into tiles along the way it lies in memory.

    Args:
        sims: [n, m] similarities; integers and half precision are converted.
        row_tile: rows of a tile; None for as many as a processor's cache holds.
        column_tile: columns of a tile; None likewise, whole rows first.
        what: what errors call the matrix.
    """

    bound = np.inf

    def __init__(
        self,
        sims: np.ndarray,
        row_tile: int | None = None,
        column_tile: int | None = None,
        what: str = "bank_sims",
    ) -> None:
        self.sims, self.what = as_sims(sims, what), what
        self.row_major = not by_columns(self.sims)
        tile = tile_shape(self.shape, self.row_major)
        self.row_tile, self.column_tile = row_tile or tile[0], column_tile or tile[1]

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m): queries by gallery items."""
        return self.sims.shape

    @property
    def dtype(self) -> np.dtype:
        """Of the matrix, float32 or float64."""
        return self.sims.dtype

    def blocks(self, scale: float = 1.0, within: slice | None = None) -> Iterator[Block]:
        """Every tile once, times `scale`; where that is 1, as views of the matrix.

        Raises:
            ValueError: an entry is not finite.
        """
        for rows, columns in grid(self, within):
            block = self.sims[rows, columns]
            check_block(block, self.what, rows.start, columns.start)
            yield rows, columns, block if scale == 1 else block * block.dtype.type(scale)


def tile_shape(shape: tuple[int, int], row_major: bool) -> tuple[int, int]:
    """Rows and columns of a tile that a processor's cache holds, along the way of memory."""
    across = min(shape[1] if row_major else shape[0], LONGEST_RUN)
    along = max(1, parallel.BLOCK // across)
    return (along, across) if row_major else (across, along)


def grid(tiles: Tiles, within: slice | None) -> Iterator[tuple[slice, slice]]:
    """The places of the tiles, in the order of memory."""
    n, m = tiles.shape
    within = within or slice(0, n if tiles.row_major else m)
    rows, columns = (within, slice(0, m)) if tiles.row_major else (slice(0, n), within)
    tops = _cut(rows, tiles.row_tile)
    lefts = _cut(columns, tiles.column_tile)
    if tiles.row_major:
        yield from ((top, left) for top in tops for left in lefts)
    else:
        yield from ((top, left) for left in lefts for top in tops)


def _cut(whole: slice, size: int) -> list[slice]:
    starts = range(whole.start, whole.stop, size)
    return [slice(start, min(start + size, whole.stop)) for start in starts]


def as_tiles(sims: "np.ndarray | Tiles", what: str = "bank_sims") -> Tiles:
    """Tiles as they are, those of a matrix in a file, or a matrix wrapped as tiles.

    Args:
        sims: what is to be gone through.
        what: what errors call it, where it is a matrix.
    """
    if hasattr(sims, "tiles"):
        return sims.tiles()
    return sims if hasattr(sims, "blocks") else MatrixTiles(sims, what=what)
