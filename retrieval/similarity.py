"""Embeddings and similarity matrices: unit rows, top-k, and passes over tiles of a matrix.

A bank matrix of 60,000 captions x 1,000,000 videos would be 240 GB, so nothing here asks for a
whole one: `SimTiles` makes it tile by tile from two embedding arrays, `as_tiles` cuts a plain
matrix the same way, and `TopK` and `LogMeanExp` gather what a normaliser needs from the tiles.
"""

from collections.abc import Iterator
from threading import Lock

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

    def blocks(self, scale: float = 1.0) -> Iterator[Block]:
        """Every tile once, times `scale`; its array is valid until the next one is asked for."""
        query_emb = self.query_emb if scale == 1 else self.query_emb * np.float32(scale)
        tile = np.empty(self.row_tile * self.column_tile, dtype=np.float32)
        for rows, columns in _grid(self.shape, self.row_tile, self.column_tile):
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

    def blocks(self, scale: float = 1.0) -> Iterator[Block]:
        """Every tile once, times `scale`; where that is 1, as views of the matrix."""
        for rows, columns in _grid(self.shape, self.row_tile, self.column_tile):
            block = self.sims[rows, columns]
            yield rows, columns, block if scale == 1 else block * block.dtype.type(scale)


Tiles = SimTiles | MatrixTiles


def _grid(shape: tuple[int, int], row_tile: int, column_tile: int) -> Iterator[tuple[slice, slice]]:
    n, m = shape
    for left in range(0, m, column_tile):
        for top in range(0, n, row_tile):
            yield slice(top, min(top + row_tile, n)), slice(left, min(left + column_tile, m))


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


class TopK:
    """The k best columns of every row, gathered from tiles in any order, by several threads."""

    def __init__(self, n_rows: int, k: int) -> None:
        self.lock = Lock()
        self.scores = np.full((n_rows, k), -np.inf)
        self.columns = np.full((n_rows, k), np.iinfo(np.int64).max)

    def add(self, rows: slice, columns: slice, block: np.ndarray) -> None:
        """Take in one tile; of equal similarities the lowest column is kept."""
        # Past the first tiles few rows still change, and one maximum per row finds them.
        changed = np.flatnonzero(block.max(axis=1) >= self.scores[rows, -1])
        if len(changed) == 0:
            return
        k = self.scores.shape[1]
        block, changed = block[changed], changed + rows.start
        best = top_k(block, min(k, block.shape[1]))
        new = np.take_along_axis(block, best, axis=1)
        with self.lock:
            scores = np.concatenate([self.scores[changed], new], axis=1)
            found = np.concatenate([self.columns[changed], best + columns.start], axis=1)
            order = np.lexsort((found, -scores), axis=1)[:, :k]
            self.scores[changed] = np.take_along_axis(scores, order, axis=1)
            self.columns[changed] = np.take_along_axis(found, order, axis=1)

    def add_entries(self, rows: np.ndarray, columns: np.ndarray, scores: np.ndarray) -> None:
        """Take in single entries: [n] row numbers, columns not seen before, and scores."""
        if len(rows) == 0:
            return
        k = self.scores.shape[1]
        touched, row = np.unique(rows, return_inverse=True)
        row = np.concatenate([np.repeat(np.arange(len(touched)), k), row])
        with self.lock:
            scores = np.concatenate([self.scores[touched].ravel(), scores])
            columns = np.concatenate([self.columns[touched].ravel(), columns])
            order = np.lexsort((columns, -scores, row))
            n_entries = np.bincount(row)  # k or more for each row touched
            starts = np.cumsum(n_entries) - n_entries
            kept = order[starts[:, None] + np.arange(k)]
            self.scores[touched], self.columns[touched] = scores[kept], columns[kept]

    def counts(self, n_columns: int) -> np.ndarray:
        """[n_columns] in how many rows each column is among the k best."""
        return np.bincount(self.columns.ravel(), minlength=n_columns)


class LogMeanExp:
    """log(mean over rows of exp(x)) per column, gathered from tiles in any order, by threads.

    Args:
        n_rows, n_columns: shape of x.
        bound: no |x| is larger.
    """

    ROWS = 64  # rows whose powers are held at once, so that they stay in a core's own cache

    def __init__(self, n_rows: int, n_columns: int, bound: float) -> None:
        self.lock = Lock()
        self.n_rows = n_rows
        self.safe = bound < 40  # float32 holds exp(40) and exp(-40); no maximum to subtract
        self.fine = bound < 1  # the mean of powers near 1 needs more digits than float32 has
        self.peak = np.full(n_columns, 0.0 if self.safe else -np.inf)  # or running maximum of x
        # Sum of exp(x - peak) - 1: with the ones inside, a small x would drown in them.
        self.mass = np.zeros(n_columns)
        self.n_seen = np.zeros(n_columns, dtype=np.int64)  # rows in that sum

    def add(self, rows: slice, columns: slice, block: np.ndarray) -> None:
        """Take in one tile."""
        dtype = np.dtype(np.float64) if self.fine else block.dtype
        powers = np.empty((min(self.ROWS, len(block)), block.shape[1]), dtype)
        peak = np.zeros(block.shape[1], dtype) if self.safe else block.max(axis=0)
        mass = np.zeros(block.shape[1])
        power = np.expm1 if self.fine else np.exp
        for start in range(0, len(block), self.ROWS):
            part = block[start : start + self.ROWS]
            out = powers[: len(part)]
            if not self.safe:
                part = np.subtract(part, peak, out=out)
            mass += power(part, out=out, dtype=dtype).sum(axis=0)
        if not self.fine:
            mass -= len(block)
        with self.lock:
            old, seen = self.peak[columns], self.n_seen[columns]
            top = np.maximum(old, peak)
            self.mass[columns] = _lowered(self.mass[columns], seen, old - top)
            self.mass[columns] += _lowered(mass, len(block), peak - top)
            self.peak[columns] = top
            self.n_seen[columns] += len(block)

    def values(self) -> np.ndarray:
        """[n_columns] float64."""
        return self.peak + np.log1p(self.mass / self.n_rows)


def _lowered(mass: np.ndarray, n_rows: np.ndarray | int, shift: np.ndarray) -> np.ndarray:
    """A sum of exp(x) - 1 over n_rows, as it is when every x is moved by shift <= 0."""
    return mass * np.exp(shift) + n_rows * np.expm1(shift)
