"""What several benchmarks share: their arguments, random embeddings, wall times."""

import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import numpy as np

SIZES = {
    "--n-gallery": "gallery size in items",
    "--n-bank": "querybank size in captions",
    "--n-queries": "test queries",
    "--dim": "width of the embeddings",
}
Found = TypeVar("Found")


def parser_of(doc: str | None, sizes: Mapping[str, int] = MappingProxyType({})) -> ArgumentParser:
    """A parser whose help is the script's own docstring.

    Args:
        doc: `__doc__` of the script.
        sizes: some of SIZES as arguments, each with its default.
    """
    parser = ArgumentParser(description=doc, formatter_class=RawDescriptionHelpFormatter)
    for option, default in sizes.items():
        parser.add_argument(option, type=int, default=default, help=SIZES[option])
    return parser


def random_unit_rows(
    rng: np.random.Generator, n: int, dim: int, path: Path | None = None
) -> np.ndarray:
    """[n, dim] float32 unit rows, made in pieces; mapped to a .npy file where `path` is given."""
    if path is None:
        emb = np.empty((n, dim), dtype=np.float32)
    else:
        emb = np.lib.format.open_memmap(path, "w+", np.float32, (n, dim))
    for start in range(0, n, 10_000):
        part = rng.standard_normal((min(10_000, n - start), dim), dtype=np.float32)
        emb[start : start + 10_000] = part / np.linalg.norm(part, axis=1, keepdims=True)
    return emb if path is None else np.load(path, mmap_mode="r")


def timed(work: Callable[[], Found]) -> tuple[float, Found]:
    """Wall time of one call in seconds, and what it gave."""
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found
