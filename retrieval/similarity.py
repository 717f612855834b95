"""Embeddings and similarity matrices: unit rows, top-k, and matrices given as tiles.

A bank matrix of 60,000 captions x 1,000,000 videos would be 240 GB, so nothing here asks for a
whole one: `SimTiles` makes it tile by tile from two embedding arrays, and `as_tiles` cuts a plain
matrix the same way. What is gathered from tiles is in `tiles.py`.
"""

from collections.abc import Iterator

import numpy as np

from retrieval.errors import SettingsError

Block = tuple[slice, slice, np.ndarray]  # rows, columns, the similarities there
CHUNK = 16384  # rows of an embedding array that are looked at together


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
        return best.reshape(*scores.shape[:-1], k)
    kth = np.partition(flat, n - k, axis=1)[:, n - k, None]
    kept = flat >= kth
    for row in np.flatnonzero(np.count_nonzero(kept, axis=1) > k):  # a tie on the last place
        tied = np.flatnonzero(flat[row] == kth[row])
        kept[row, tied[k - np.count_nonzero(kept[row]) :]] = False
    columns = np.nonzero(kept)[1].reshape(-1, k)  # ascending, so a stable sort keeps the lowest
    order = np.argsort(-np.take_along_axis(flat, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1).reshape(*scores.shape[:-1], k)


def check_k(k: int, n_gallery: int) -> None:
    """Refuse a neighbourhood size that the gallery cannot fill."""
    if not (isinstance(k, int | np.integer) and 1 <= k <= n_gallery):
        raise SettingsError(
            f"k must be a whole number in 1..{n_gallery} (the gallery size), got {k}"
        )


def check_sims(sims: np.ndarray, what: str = "sims") -> np.ndarray:
    """A matrix of finite similarities with at least one row and column, as floating point."""
    sims = np.asarray(sims)
    if sims.ndim != 2 or 0 in sims.shape:
        raise ValueError(f"{what} must be [n_queries, n_gallery] and not empty, got {sims.shape}")
    if np.issubdtype(sims.dtype, np.integer) or sims.dtype == bool or sims.dtype == np.float16:
        sims = sims.astype(np.float32)
    if sims.dtype not in (np.float32, np.float64):
        raise ValueError(f"{what} must hold real numbers, got {sims.dtype}")
    # One sum tells, far faster than looking at every entry: NaN and infinity survive addition.
    if not np.isfinite(sims.sum(dtype=np.float64)):
        bad = np.argwhere(~np.isfinite(sims))
        if len(bad):
            row, column = bad[0]
            raise ValueError(
                f"{what} must be finite, got {sims[row, column]} at row {row}, column {column}"
            )
    return sims


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


class SimTiles:
    """The similarities of two embedding arrays, made one tile at a time.

    Args:
        query_emb: [n, dim] float32, usually unit rows; for a querybank, its captions.
        gallery_emb: [m, dim] float32.
        row_tile: rows of a tile.
        column_tile: columns of a tile; the default keeps a tile in a processor's cache.
    """

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
        for rows, columns in _grid(self, within):
            queries, gallery = query_emb[rows], self.gallery_emb[columns]
            block = tile[: len(queries) * len(gallery)].reshape(len(queries), len(gallery))
            yield rows, columns, np.matmul(queries, gallery.T, out=block)


class MatrixTiles:
    """A plain similarity matrix, cut into tiles."""

    def __init__(self, sims: np.ndarray, row_tile: int = 1024, column_tile: int = 2048) -> None:
        self.sims = check_sims(sims, "bank_sims")
        self.bound = float(max(self.sims.max(), -self.sims.min()))
        self.row_tile, self.column_tile = row_tile, column_tile

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m): queries by gallery items."""
        return self.sims.shape

    def blocks(self, scale: float = 1.0, within: slice | None = None) -> Iterator[Block]:
        """Every tile once, times `scale`; where that is 1, as views of the matrix."""
        for rows, columns in _grid(self, within):
            block = self.sims[rows, columns]
            yield rows, columns, block if scale == 1 else block * block.dtype.type(scale)


Tiles = SimTiles | MatrixTiles


def _grid(tiles: Tiles, within: slice | None) -> Iterator[tuple[slice, slice]]:
    n, m = tiles.shape
    start, stop = (0, m) if within is None else (within.start, within.stop)
    for left in range(start, stop, tiles.column_tile):
        for top in range(0, n, tiles.row_tile):
            columns = slice(left, min(left + tiles.column_tile, stop))
            yield slice(top, min(top + tiles.row_tile, n)), columns


def as_tiles(bank_sims: "np.ndarray | Tiles") -> Tiles:
    """Tiles as they are, or a matrix wrapped as tiles."""
    if isinstance(bank_sims, SimTiles | MatrixTiles):
        return bank_sims
    return MatrixTiles(bank_sims)


def mean_std(tiles: "np.ndarray | Tiles") -> tuple[float, float]:
    """Mean and population standard deviation of all similarities.

    For embeddings in closed form, without any tile, in O((n + m) dim^2):

        mean = q . g                         with q, g the mean query and gallery vectors
        var  = sum(C_q * C_g) + q' C_g q + g' C_q g      with C_q, C_g the two covariances
    """
    tiles = as_tiles(tiles)
    if isinstance(tiles, MatrixTiles):
        return float(tiles.sims.mean(dtype=np.float64)), float(tiles.sims.std(dtype=np.float64))
    (q, cov_q), (g, cov_g) = _mean_and_cov(tiles.query_emb), _mean_and_cov(tiles.gallery_emb)
    # Every term is a variance, so nothing cancels, unlike E[s^2] - E[s]^2.
    variance = np.sum(cov_q * cov_g) + q @ cov_g @ q + g @ cov_q @ g
    return float(q @ g), float(np.sqrt(max(variance, 0.0)))


def _mean_and_cov(emb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population covariance of the rows, chunked so that nothing large is copied."""
    n, dim = emb.shape
    mean = emb.mean(axis=0, dtype=np.float64)
    cov = np.zeros((dim, dim))
    for start in range(0, n, CHUNK):
        centred = emb[start : start + CHUNK] - mean.astype(np.float32)
        cov += centred.T @ centred
    return mean, cov / n
