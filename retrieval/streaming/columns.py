"""Tiles of a similarity matrix -> what a normaliser needs to know of its columns and rows.

Like `tiles.TopK` and `tiles.LogMeanExp`, all gather from tiles in any order and from several
threads, and hold a few numbers per column or row, never the matrix.
"""

from collections.abc import Iterator
from threading import Lock

import numpy as np

from retrieval.similarity import Tiles
from retrieval.streaming import parallel
from retrieval.streaming.tiles import InOrder

STRIP = 2**26  # entries of a strip of whole columns


class ColumnTop:
    """The k largest entries of every column.

    Args:
        n_columns: columns of the matrix.
        k: entries kept, at most the matrix has rows.
    """

    def __init__(self, n_columns: int, k: int) -> None:
        self.lock = Lock()
        self.n_columns, self.k = n_columns, k
        self.best: np.ndarray | None = None  # [n_columns, k] unsorted, in the tiles' dtype
        self.least = np.full(n_columns, -np.inf)  # the smallest that is kept

    def add(self, rows: slice, columns: slice, block: np.ndarray) -> None:
        """Take in one tile."""
        # Past the first tiles few entries still enter, and only those are moved.
        row, column = np.nonzero(block > self.least[columns].astype(block.dtype))
        if len(row) == 0:
            return
        if len(row) > block.size // 4:
            new, touched = block.T, slice(columns.start, columns.stop)
        else:
            new, touched = _by_column(block[row, column], column, block.shape[1])
            touched = touched + columns.start
        with self.lock:
            if self.best is None:
                self.best = np.full((self.n_columns, self.k), -np.inf, dtype=block.dtype)
            merged = np.concatenate([self.best[touched], new], axis=1)
            merged.partition(merged.shape[1] - self.k, axis=1)
            self.best[touched] = merged[:, -self.k :]
            self.least[touched] = merged[:, -self.k]

    def values(self) -> np.ndarray:
        """[n_columns, k] float64, largest first."""
        return -np.sort(-self.best.astype(np.float64), axis=1)


def _by_column(
    entries: np.ndarray, column: np.ndarray, n_columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Entries laid out one column a row, filled up with -inf, and which columns those are."""
    counts = np.bincount(column, minlength=n_columns)
    touched = np.flatnonzero(counts)
    order = np.argsort(column, kind="stable")
    counts = counts[touched]
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    out = np.full((len(touched), counts.max()), -np.inf, dtype=entries.dtype)
    out[np.repeat(np.arange(len(touched)), counts), place] = entries[order]
    return out, touched


class ColumnMean:
    """The sum of every column, in double precision."""

    def __init__(self, n_rows: int, n_columns: int) -> None:
        self.parts = InOrder(self._merge)
        self.n_rows = n_rows
        self.sums = np.zeros(n_columns)

    def add(self, rows: slice, columns: slice, block: np.ndarray) -> None:
        """Take in one tile."""
        self.parts.put(rows, columns, block.sum(axis=0, dtype=np.float64))

    def _merge(self, columns: slice, sums: np.ndarray) -> None:
        self.sums[columns] += sums

    def values(self) -> np.ndarray:
        """[n_columns] float64 means."""
        return self.sums / self.n_rows


class ColumnMoments:
    """Mean and population standard deviation of every column.

    A tile's sums are of what exceeds its first row, and tiles are put together by their means:
    nothing cancels, and a column of equal entries has a spread of exactly zero.
    """

    def __init__(self, n_rows: int, n_columns: int) -> None:
        self.parts = InOrder(self._merge)
        self.n_rows = n_rows
        self.n_seen = np.zeros(n_columns, dtype=np.int64)
        self.means, self.squares = np.zeros((2, n_columns))  # squares: of deviations, summed

    def add(self, rows: slice, columns: slice, block: np.ndarray) -> None:
        """Take in one tile."""
        sums, squares = np.zeros((2, block.shape[1]))
        for part in parallel.blocks(slice(0, len(block)), block.shape[1], most=64):
            beyond = block[part] - block[0]
            sums += beyond.sum(axis=0)
            squares += np.einsum("nm,nm->m", beyond, beyond)
        squares -= sums**2 / len(block)
        means = block[0] + sums / len(block)
        self.parts.put(rows, columns, len(block), means, np.maximum(squares, 0))

    def _merge(self, columns: slice, n: int, means: np.ndarray, squares: np.ndarray) -> None:
        # Chan, Golub and LeVeque, 1979: two groups as one.
        seen, old = self.n_seen[columns], self.means[columns]
        apart = means - old
        self.squares[columns] += squares + apart**2 * seen * n / (seen + n)
        self.means[columns] += apart * n / (seen + n)
        self.n_seen[columns] += n

    def values(self) -> np.ndarray:
        """[2, n_columns] float64, means and standard deviations."""
        return np.stack([self.means, np.sqrt(self.squares / self.n_rows)])


class LogSumExp:
    """log(sum of weight * exp(scale * x)), of every column over the rows or the other way round.

    Args:
        n_rows, n_columns: shape of x.
        log_weights: [n_rows] to sum over rows, or [n_columns] to sum over columns.
        scale: number to multiply x by, above 0.
        over: "rows" gives one sum per column, "columns" one per row.
        bound: no |x| is larger; infinite where that is not known.
    """

    def __init__(
        self,
        n_rows: int,
        n_columns: int,
        log_weights: np.ndarray,
        scale: float,
        over: str,
        bound: float,
    ) -> None:
        self.parts = InOrder(self._merge)
        self.bound = bound
        self.log_weights, self.scale, self.axis = (
            log_weights,
            scale,
            ("rows", "columns").index(over),
        )
        n = (n_columns, n_rows)[self.axis]
        self.peak = np.full(n, -np.inf)
        self.mass = np.zeros(n)  # sum of weight * exp(scale * x - peak)

    def add(self, rows: slice, columns: slice, block: np.ndarray) -> None:
        """Take in one tile."""
        summed, kept = (rows, columns) if self.axis == 0 else (columns, rows)
        bound = self.bound if np.isfinite(self.bound) else max(block.max(), -block.min())
        # Where powers are near 1, their differences need the digits of double precision.
        dtype = np.dtype(np.float64) if self.scale * bound < 1 else block.dtype
        weights = self.log_weights[summed].astype(dtype)
        n_kept = block.shape[1 - self.axis]
        peak, mass = np.full(n_kept, -np.inf), np.zeros(n_kept)
        parts = list(parallel.blocks(slice(0, len(block)), block.shape[1], most=64))
        powers = np.empty((parts[0].stop, block.shape[1]), dtype)  # that stay in a core's cache
        for part in parts:
            out = powers[: part.stop - part.start]
            np.multiply(block[part], dtype.type(self.scale), out=out)
            out += weights[part, None] if self.axis == 0 else weights
            top = out.max(axis=self.axis)
            out -= np.expand_dims(top, self.axis)
            sums = np.exp(out, out=out).sum(axis=self.axis)
            if self.axis == 1:
                peak[part], mass[part] = top, sums
            else:
                peak, mass = _together(peak, mass, top, sums)
        self.parts.put(summed, kept, mass, peak)

    def _merge(self, kept: slice, mass: np.ndarray, peak: np.ndarray) -> None:
        both = _together(self.peak[kept], self.mass[kept], peak, mass)
        self.peak[kept], self.mass[kept] = both

    def values(self) -> np.ndarray:
        """[n_columns] or [n_rows] float64."""
        return self.peak + np.log(self.mass)


def _together(
    peak: np.ndarray, mass: np.ndarray, other_peak: np.ndarray, other_mass: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Two sums of powers as one, each given as mass * exp(peak)."""
    top = np.maximum(peak, other_peak)
    return top, mass * np.exp(peak - top) + other_mass * np.exp(other_peak - top)


class PairSums:
    """For every item, the sum of a square matrix over all pairs of the item's neighbours.

    Args:
        neighbours: [n_items, k] indices.
    """

    def __init__(self, neighbours: np.ndarray) -> None:
        n_items, k = neighbours.shape
        rows = np.repeat(neighbours, k, axis=1).ravel()
        order = np.argsort(rows, kind="stable")  # so that a tile finds its rows in one slice
        self.rows, self.columns = rows[order], np.tile(neighbours, k).ravel()[order]
        self.items = order // (k * k)
        self.entries = np.zeros(len(order))

    def add(self, rows: slice, columns: slice, block: np.ndarray) -> None:
        """Take in one tile."""
        start, stop = np.searchsorted(self.rows, [rows.start, rows.stop])
        within = self.columns[start:stop]
        within = start + np.flatnonzero((within >= columns.start) & (within < columns.stop))
        at = self.rows[within] - rows.start, self.columns[within] - columns.start
        self.entries[within] = block[at]  # each is in one tile

    def values(self) -> np.ndarray:
        """[n_items] float64."""
        return np.bincount(self.items, self.entries)


def strips(tiles: Tiles, cells: int = STRIP) -> Iterator[tuple[slice, np.ndarray]]:
    """Whole columns, as many at a time as fit into `cells` entries: columns, [n_rows, width]."""
    n_rows, n_columns = tiles.shape
    width = max(1, cells // n_rows)
    for left in range(0, n_columns, width):
        columns = slice(left, min(left + width, n_columns))
        strip = None
        for rows, found, block in tiles.blocks(within=None if tiles.row_major else columns):
            if strip is None:
                strip = np.empty((n_rows, columns.stop - left), dtype=block.dtype)
            start, stop = max(found.start, left), min(found.stop, columns.stop)
            if start < stop:
                strip[rows, start - left : stop - left] = block[
                    :, start - found.start : stop - found.start
                ]
        yield columns, strip
