"""How far a long run over matrices is, on stderr."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

PATIENCE_S = 2.0  # a run that takes longer says how far it is


@contextlib.contextmanager
def progress() -> Iterator[tuple[Callable[[int, int], None], Callable[[int, int], None]]]:
    """Say on stderr how far a long run is; on a terminal in one line that is gone afterwards.

    Yields:
        what to tell of similarities of the querybank that were read, and of queries ranked.
    """
    live = sys.stderr.isatty()
    next_at = time.monotonic() + PATIENCE_S
    shown = False

    def say(text: str) -> None:
        nonlocal next_at, shown
        next_at = time.monotonic() + (0.2 if live else 10.0)
        print(f"\r{text}\033[K" if live else text, end="" if live else "\n", file=sys.stderr)
        sys.stderr.flush()
        shown = True

    def read(done: int, total: int) -> None:
        if time.monotonic() >= next_at:
            which = f", pass {(done - 1) // total + 1}" if done > total else ""
            say(f"read {100 * ((done - 1) % total + 1) // total} % of the querybank{which}")

    def ranked(done: int, total: int) -> None:
        if time.monotonic() >= next_at and done < total:
            say(f"ranked {done:,} of {total:,} queries")

    try:
        yield read, ranked
    finally:
        if shown and live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
