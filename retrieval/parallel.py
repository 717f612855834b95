"""Rows of a matrix in bands -> the same work on every band, on all cores.

Numpy lets go of the interpreter while it computes, so plain threads are enough.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

BLOCK = 2**17  # entries that one numpy call looks at: they stay in a core's own cache
BAND = 2**21  # entries that one thread takes at a time

Piece = TypeVar("Piece")


def bands(n_rows: int, n_columns: int, size: int = BAND) -> list[slice]:
    """Slices of whole rows that cover n_rows, each of about `size` entries."""
    return list(blocks(slice(0, n_rows), n_columns, size))


def blocks(rows: slice, n_columns: int, size: int = BLOCK, most: int = 2**62) -> Iterator[slice]:
    """`rows` cut into slices of about `size` entries and at most `most` rows, at least one."""
    step = min(max(1, size // max(1, n_columns)), most)
    for start in range(rows.start, rows.stop, step):
        yield slice(start, min(start + step, rows.stop))


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
