"""Tiles of a similarity matrix -> the best columns of a row, the log-mean-exp of a column.

Both gather from tiles in any order and from several threads, so one pass over a matrix that is
never whole gives all that a normaliser needs.
"""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, reduce
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from retrieval.similarity import (
    SimTiles,
    Tiles,
    as_sims,
    as_tiles,
    check_block,
    is_finite,
    top_k,
)
from retrieval.streaming import parallel

PIECES = 8  # of an embedding array, each added up by one thread
SPAN = 16  # tiles in a row, or in a column, that one thread takes at a time, at most


def for_each_tile(
    tiles: Tiles, take_in: Callable[[slice, slice, np.ndarray], None], scale: float = 1.0
) -> None:
    """Call take_in(rows, columns, block) once for every tile, from as many threads as cores.

    Each thread makes and consumes tiles of its own columns, or rows where the tiles are
    row_major, with a single-threaded product: while a BLAS multiplies on all cores by itself,
    nothing else gets done, and after it its threads spin in wait of the next product, on the
    cores that the rest would need.

    Args:
        tiles: what to go through.
        take_in: safe to be called by several threads at once.
        scale: number to multiply the similarities by.
    """
    length = tiles.shape[0] if tiles.row_major else tiles.shape[1]
    tile = tiles.row_tile if tiles.row_major else tiles.column_tile
    n_tiles, n_threads = -(-length // tile), os.cpu_count() or 1
    n_spans = n_threads * -(-n_tiles // (SPAN * n_threads))  # as many for every thread
    span = -(-n_tiles // n_spans) * tile

    def work(start: int) -> None:
        within = slice(start, min(start + span, length))
        for rows, columns, block in tiles.blocks(scale, within):
            take_in(rows, columns, block)

    with one_blas_thread():
        parallel.for_each(work, range(0, length, span))


def for_each_band(
    rows: Any,
    chosen: np.ndarray,
    take_in: Callable[[slice, Iterator[tuple[slice, np.ndarray]]], None],
    first_row: int = 0,
) -> None:
    """Call take_in(band, blocks) for some rows, from as many threads as cores.

    Args:
        rows: [n, n_gallery] matrix, or what has a shape and read_rows(start, stop), such as one
            in a file; safe to be read by several threads.
        chosen: ascending row numbers; `band` is a slice of them.
        take_in: safe to be called by several threads at once, each with a band of its own.
            `blocks` gives its rows, so few at a time that they stay in a core's cache, and where
            in the band they are. A block has each of its rows in one piece, is not to be written
            to, and is valid until the next one is asked for.
        first_row: number of the first row in the matrix that these are a part of.

    Raises:
        ValueError: an entry is NaN or infinite.
    """
    read = getattr(rows, "read_rows", lambda start, stop: rows[start:stop])

    def blocks_of(wanted: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        for at in parallel.blocks(slice(0, len(wanted)), rows.shape[1]):
            start, stop = int(wanted[at.start]), int(wanted[at.stop - 1]) + 1
            block = read(start, stop)
            if len(block) > at.stop - at.start:
                block = block[wanted[at] - start]
            block = as_sims(block)
            if block.strides[1] != block.itemsize:
                copy = parallel.scratch("for_each_band", block.shape, block.dtype)
                copy[:] = block
                block = copy
            if not is_finite(block):
                for number, row in zip(wanted[at], block, strict=True):
                    check_block(row[None], first_row=first_row + int(number))
            yield at, block

    parallel.for_each(
        lambda band: take_in(band, blocks_of(chosen[band])),
        parallel.bands(len(chosen), rows.shape[1]),
    )


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
        if self.scores.shape[1] == 1:
            self._add_best(rows, columns, block)
            return
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

    def _add_best(self, rows: slice, columns: slice, block: np.ndarray) -> None:
        """`add` where only the best column is kept: no sorting."""
        best = block.argmax(axis=1)
        new = block[np.arange(len(block)), best]
        best += columns.start
        with self.lock:
            old, found = self.scores[rows, 0], self.columns[rows, 0]  # views
            better = (new > old) | ((new == old) & (best < found))
            np.copyto(old, new, where=better)
            np.copyto(found, best, where=better)

    def counts(self, n_columns: int) -> np.ndarray:
        """[n_columns] in how many rows each column is among the k best."""
        return np.bincount(self.columns.ravel(), minlength=n_columns)


class InOrder:
    """Adds up parts of columns from the top down, whichever thread is done with its part first.

    So the sums are the same to the last digit in every run. Few parts wait at a time, because
    threads go down the rows together.

    Args:
        merge: called with the columns and the part, by one thread at a time.
    """

    def __init__(self, merge: Callable[..., None]) -> None:
        self.lock = Lock()
        self.merge = merge
        self.waiting: dict[tuple[int, int], tuple[int, slice, tuple]] = {}  # by column and row
        self.next_row: dict[int, int] = {}  # by column

    def put(self, rows: slice, columns: slice, *part: Any) -> None:
        """Hand in a part; rows are numbered from 0, and each is in one part of its columns."""
        with self.lock:
            left = columns.start
            self.waiting[left, rows.start] = rows.stop, columns, part
            while following := self.waiting.pop((left, self.next_row.get(left, 0)), None):
                self.next_row[left], columns, part = following
                self.merge(columns, *part)


class LogMeanExp:
    """log(mean over rows of exp(scale * x)) per column, from tiles in any order, by threads.

    Args:
        n_rows, n_columns: shape of x.
        bound: no |scale * x| is larger; infinite where that is not known.
        scale: number to multiply x by, above 0.
    """

    ROWS = 64  # rows whose powers are summed in the precision of the block, at most
    STEP = 16  # the exponents taken out are multiples of it, so that they seldom change

    def __init__(self, n_rows: int, n_columns: int, bound: float, scale: float = 1.0) -> None:
        self.parts = InOrder(self._merge)
        self.n_rows, self.bound, self.scale = n_rows, bound, scale
        self.peak = np.full(n_columns, -np.inf)  # close to the largest scale * x so far, or 0
        self.mass = np.zeros(n_columns)  # sum of exp(scale * x - peak)
        self.n_near = np.zeros(n_columns, dtype=np.int64)  # rows that are not in it, but here:
        self.near = np.zeros(n_columns)  # sum of exp(scale * x) - 1, where |scale * x| < 1

    def add(self, rows: slice, columns: slice, block: np.ndarray) -> None:
        """Take in one tile."""
        scale, peak, bound = block.dtype.type(self.scale), 0.0, self.bound
        if bound >= 40:
            bound = float(max(block.max(), -block.min()) * scale)
            if bound >= 40:  # float32 holds exp(40) and exp(-40), with room for a sum
                peak = self.STEP * np.round(block.max(axis=0) * scale / self.STEP)
        # A mean of powers near 1 needs more digits than float32 has, and the ones left out.
        near = bound < 1
        dtype, power = (np.dtype(np.float64), np.expm1) if near else (block.dtype, np.exp)
        mass = np.zeros(block.shape[1])
        parts = list(parallel.blocks(slice(0, len(block)), block.shape[1], most=self.ROWS))
        powers = parallel.scratch("LogMeanExp", (parts[0].stop, block.shape[1]), dtype)
        for part in parts:
            exponents, out = block[part], powers[: part.stop - part.start]
            if scale != 1:
                exponents = np.multiply(exponents, scale, out=out)
            if bound >= 40:
                exponents = np.subtract(exponents, peak, out=out)
            mass += power(exponents, out=out, dtype=dtype).sum(axis=0)
        self.parts.put(rows, columns, mass, None if near else peak, len(block))

    def _merge(
        self, columns: slice, mass: np.ndarray, peak: np.ndarray | float | None, n_rows: int
    ) -> None:
        if peak is None:
            self.near[columns] += mass
            self.n_near[columns] += n_rows
            return
        seen, old = self.mass[columns], self.peak[columns]  # views
        if (old == peak).all():  # as most of the time
            seen += mass
            return
        top = np.maximum(old, peak)
        for sums, shift in ((seen, old - top), (mass, peak - top)):
            moved = np.flatnonzero(shift)
            sums[moved] *= np.exp(shift[moved])
        seen += mass
        old[:] = top

    def values(self) -> np.ndarray:
        """[n_columns] float64."""
        with np.errstate(divide="ignore"):  # the log of an empty sum
            parts = np.logaddexp(self.peak + np.log(self.mass), np.log(self.n_near + self.near))
        all_near = np.log1p(self.near / self.n_rows)
        return np.where(self.n_near == self.n_rows, all_near, parts - np.log(self.n_rows))


class Moments:
    """Mean and population standard deviation of all entries, from tiles in any order."""

    def __init__(self) -> None:
        self.parts = InOrder(self._merge)
        # By first column: entries, their mean, and the squares of their deviations, summed.
        self.seen: dict[int, tuple[int, float, float]] = {}

    def add(self, rows: slice, columns: slice, block: np.ndarray) -> None:
        """Take in one tile."""
        group = (0, 0.0, 0.0)
        for part in parallel.blocks(slice(0, len(block)), block.shape[1]):
            entries = block[part].astype(np.float64).ravel()
            mean = float(entries.mean())
            entries -= mean
            group = _together(group, (entries.size, mean, float(entries @ entries)))
        self.parts.put(rows, columns, group)

    def _merge(self, columns: slice, group: tuple[int, float, float]) -> None:
        self.seen[columns.start] = _together(self.seen.get(columns.start, (0, 0.0, 0.0)), group)

    def values(self) -> tuple[float, float]:
        """Mean and population standard deviation."""
        n, mean, squares = reduce(_together, [self.seen[left] for left in sorted(self.seen)])
        return mean, float(np.sqrt(squares / n))


def _together(
    one: tuple[int, float, float], other: tuple[int, float, float]
) -> tuple[int, float, float]:
    """Two groups as one, where nothing cancels. Source: Chan, Golub and LeVeque, 1979."""
    n, apart = one[0] + other[0], other[1] - one[1]
    squares = one[2] + other[2] + apart**2 * one[0] * other[0] / n
    return n, one[1] + apart * other[0] / n, squares


def mean_std(tiles: "np.ndarray | Tiles") -> tuple[float, float]:
    """Mean and population standard deviation of all similarities.

    A matrix is read once. For embeddings in closed form, without any tile, in O((n + m) dim^2):

        mean = q . g                         with q, g the mean query and gallery vectors
        var  = sum(C_q * C_g) + q' C_g q + g' C_q g      with C_q, C_g the two covariances
    """
    tiles = as_tiles(tiles)
    if not isinstance(tiles, SimTiles):
        moments = Moments()
        for_each_tile(tiles, moments.add)
        return moments.values()
    (q, cov_q), (g, cov_g) = _mean_and_cov(tiles.query_emb), _mean_and_cov(tiles.gallery_emb)
    # Every term is a variance, so nothing cancels, unlike E[s^2] - E[s]^2.
    variance = np.sum(cov_q * cov_g) + q @ cov_g @ q + g @ cov_q @ g
    return float(q @ g), float(np.sqrt(max(variance, 0.0)))


def _mean_and_cov(emb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population covariance of the rows, on all cores; nothing large is copied."""
    n, dim = emb.shape
    mean = emb.mean(axis=0, dtype=np.float64)
    pieces = parallel.pieces(n, PIECES)
    found = [np.zeros((dim, dim)) for _ in pieces]  # added in their order, for equal last digits

    def work(number: int) -> None:
        for rows in parallel.blocks(pieces[number], dim):
            centred = emb[rows] - mean.astype(np.float32)
            found[number] += centred.T @ centred

    with one_blas_thread():
        parallel.for_each(work, range(len(pieces)))
    return mean, sum(found) / n
