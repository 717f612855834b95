"""Rows of a matrix in bands -> the same work on every band, on all cores.

Numpy lets go of the interpreter while it computes, so plain threads are enough.
"""

import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

BLOCK = 2**17  # entries that one numpy call looks at: they stay in a core's own cache
BAND = 2**21  # entries that one thread takes at a time
LINE = 64  # bytes that a cache moves at a time; a row that starts elsewhere takes twice as long

Piece = TypeVar("Piece")


def bands(n_rows: int, n_columns: int) -> list[slice]:
    """Slices of whole rows that cover n_rows: what one thread takes at a time."""
    return list(_cut(slice(0, n_rows), BAND // max(1, n_columns)))


def pieces(n_rows: int, n: int) -> list[slice]:
    """n slices, or fewer, of about equal length that cover n_rows, on whatever machine."""
    return list(_cut(slice(0, n_rows), -(-n_rows // n)))


def blocks(rows: slice, n_columns: int, most: int = 2**62) -> Iterator[slice]:
    """`rows` cut into slices that are looked at together, of at most `most` rows."""
    return _cut(rows, min(BLOCK // max(1, n_columns), most))


def _cut(rows: slice, step: int) -> Iterator[slice]:
    step = max(1, step)
    for start in range(rows.start, rows.stop, step):
        yield slice(start, min(start + step, rows.stop))


_mine = threading.local()


def scratch(name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array of the calling thread's own for passing results, with anything in it.

    Who asks next under the same name gets the same memory. New memory comes from the system in
    pages that are cleared one by one, which takes longer than most things done to a block.

    Args:
        name: of the only function that uses it.
        shape: of the array.
        dtype: of the array.
    """
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    memory = getattr(_mine, name, None)
    if memory is None or len(memory) < n_bytes:
        memory = np.empty(n_bytes + LINE, dtype=np.uint8)
        memory = memory[-memory.ctypes.data % LINE :]
        setattr(_mine, name, memory)
    return memory[:n_bytes].view(dtype).reshape(shape)


def scratch_rows(name: str, shape: tuple[int, int], dtype: Any) -> np.ndarray:
    """`scratch` of a matrix whose rows start where the cache likes it: they have gaps between."""
    n_rows, n_columns = shape
    in_line = LINE // np.dtype(dtype).itemsize
    return scratch(name, (n_rows, -(-n_columns // in_line) * in_line), dtype)[:, :n_columns]


def for_each(work: Callable[[Piece], None], pieces: Iterable[Piece]) -> None:
    """Call work(piece) once for every piece, from as many threads as cores.

    Args:
        work: safe to be called by several threads at once.
        pieces: what to call it with; a single one is worked on here.
    """
    pieces = list(pieces)
    n_threads = min(os.cpu_count() or 1, len(pieces))
    if n_threads < 2:
        for piece in pieces:
            work(piece)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        for _ in pool.map(work, pieces):  # to raise what a thread has raised
            pass
