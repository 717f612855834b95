"""Tiles of a similarity matrix -> the best columns of a row, the log-mean-exp of a column.

Both gather from tiles in any order and from several threads, so one pass over a matrix that is
never whole gives all that a normaliser needs.
"""

import ctypes
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock

import numpy as np

from retrieval.similarity import Tiles, top_k

SPAN = 16  # column tiles that one thread takes at a time


def for_each_tile(
    tiles: Tiles, take_in: Callable[[slice, slice, np.ndarray], None], scale: float = 1.0
) -> None:
    """Call take_in(rows, columns, block) once for every tile, from as many threads as cores.

    Each thread makes and consumes tiles of its own columns with a single-threaded product: while
    a BLAS multiplies on all cores by itself, nothing else gets done, and after it its threads
    spin in wait of the next product, on the cores that the rest would need.

    Args:
        tiles: what to go through.
        take_in: safe to be called by several threads at once.
        scale: number to multiply the similarities by.
    """
    n_columns, n_threads = tiles.shape[1], os.cpu_count() or 1
    n_tiles = -(-n_columns // tiles.column_tile)
    span = min(SPAN, -(-n_tiles // n_threads)) * tiles.column_tile
    if span >= n_columns:
        for rows, columns, block in tiles.blocks(scale):
            take_in(rows, columns, block)
        return

    def work(left: int) -> None:
        within = slice(left, min(left + span, n_columns))
        for rows, columns, block in tiles.blocks(scale, within):
            take_in(rows, columns, block)

    with one_blas_thread(), ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(work, range(0, n_columns, span)))


_blas_lock = Lock()
_blas_users = 0  # passes under way that want products on one thread
_blas_threads = 1  # what the first of them found


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep numpy's products to the calling thread, where they come from the OpenBLAS it ships.

    With any other BLAS nothing changes: as right, and somewhat slower. The setting holds for the
    process, so the last of several users puts it back.
    """
    global _blas_users, _blas_threads
    blas = _openblas()
    if blas is None:
        yield
        return
    get_threads, set_threads = blas
    with _blas_lock:
        if _blas_users == 0:
            _blas_threads = get_threads()
            set_threads(1)
        _blas_users += 1
    try:
        yield
    finally:
        with _blas_lock:
            _blas_users -= 1
            if _blas_users == 0:
                set_threads(_blas_threads)


@cache
def _openblas() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """Getter and setter of the thread count in the OpenBLAS of numpy's wheels, if it is there."""
    package = Path(np.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs"):
        for path in folder.glob("*openblas*"):
            try:
                library = ctypes.CDLL(str(path))  # loaded already: this is the same one
            except OSError:
                continue
            for name in ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_"):
                getter = getattr(library, name.format("get"), None)
                setter = getattr(library, name.format("set"), None)
                if getter and setter:
                    return getter, setter
    return None


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
