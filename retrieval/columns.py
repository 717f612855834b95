"""Tiles of a similarity matrix -> what a gallery item needs to know of its column.

Like `tiles.TopK` and `tiles.LogMeanExp`, all gather from tiles in any order and from several
threads, and hold a few numbers per column, never the matrix.
"""

from threading import Lock

import numpy as np

from retrieval.tiles import InOrder


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
