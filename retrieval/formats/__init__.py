"""Files that people bring -> arrays: told by their first bytes, checked before they are read.

No file is ever run. What is refused is refused in one sentence, a `FileError`.
"""

import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.errors import FileError
from retrieval.formats.limits import LIMITS, VISITORS, Limits
from retrieval.formats.npy import MAGIC as NPY
from retrieval.formats.npy import open_npy, parse_npy, read_npy
from retrieval.formats.source import LEGACY, ZIP, Source, foreign, shown, what_else
from retrieval.formats.stored import FileTiles, StoredArray

__all__ = [
    "LIMITS",
    "VISITORS",
    "Array",
    "FileTiles",
    "Limits",
    "Record",
    "StoredArray",
    "open_arrays",
    "only_array",
    "open_matrix",
    "parse_npy",
    "read_checkpoint",
    "read_embeddings",
    "read_hickle",
    "read_npy",
    "read_npz",
    "read_pickle",
    "whole_numbers",
]


# Other kinds of files are imported once there is one.
_ELSEWHERE = {
    "Array": "standins",
    "Record": "standins",
    "read_checkpoint": "checkpoints",
    "read_hickle": "hickle",
    "read_npz": "npz",
    "read_pickle": "pickles",
}


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(importlib.import_module(f"{__name__}.{_ELSEWHERE[name]}"), name)


def open_arrays(path: str | Path, limits: Limits = LIMITS) -> dict[str, StoredArray]:
    """Open every array of a file, without reading one.

    Args:
        path: .npy, .npz, .safetensors, .csv, .pkl or .pt, told by content.
        limits: how much it may hold.

    Returns:
        arrays by name; "" is the name of the only array of a file without names.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: foreign, damaged, too large, not plain numbers, or a pickle with code in it.
    """
    source = Source(path, limits)
    first_bytes = source.read(0, 512)
    if first_bytes.startswith(NPY):
        return {"": open_npy(source)}
    if first_bytes.startswith((LEGACY, ZIP)):
        return _open_archive(source, first_bytes)
    from retrieval.formats.safetensors import is_safetensors, open_safetensors

    if is_safetensors(first_bytes, source.size):
        return open_safetensors(source)
    if what_else(first_bytes) is None:
        from retrieval.formats.pickles import is_pickle, open_pickle

        if is_pickle(source):
            return open_pickle(source)
        from retrieval.formats.csv import is_text, open_csv

        if is_text(first_bytes):
            return {"": open_csv(source)}
    raise foreign(first_bytes, source.name)


def _open_archive(source: Source, first_bytes: bytes) -> dict[str, StoredArray]:
    """Several arrays, as numpy or torch save them."""
    from retrieval.formats.checkpoints import is_checkpoint, open_checkpoint
    from retrieval.formats.npz import open_npz
    from retrieval.formats.zips import read_table

    if first_bytes.startswith(LEGACY):
        return open_checkpoint(source)
    members = read_table(source, source.limits.tensors)
    return open_checkpoint(source) if is_checkpoint(members) else open_npz(source, members)


def only_array(path: str | Path, limits: Limits = LIMITS) -> StoredArray:
    """Open the one array of a file."""
    arrays = open_arrays(path, limits)
    if len(arrays) != 1:
        raise FileError(
            f"{Path(path).name} holds the arrays {', '.join(arrays)[:70]}, expected one; save it "
            "alone"
        )
    return next(iter(arrays.values()))


def whole_numbers(path: str | Path, limits: Limits = LIMITS) -> np.ndarray:
    """Read whole numbers, which may have been saved as floats."""
    numbers = only_array(path, limits).read().ravel()
    with np.errstate(invalid="ignore"):
        whole = numbers.astype(np.int64)
    if not (whole == numbers).all():
        raise FileError(
            f"{Path(path).name} must hold whole numbers from 0, got "
            f"{numbers[whole != numbers][0]}; one per caption"
        )
    return whole


def open_matrix(spec: str | Path, what: str = "sims", limits: Limits = LIMITS) -> StoredArray:
    """Open a matrix that someone brings, without reading it.

    Args:
        spec: a file, or `FILE[name]` for one of several arrays, or `FILE[0]` for one slice of a
            3-D array; with `[T]` behind it, transposed.
        what: what it is, for messages, for example "sims" or "embeddings".
        limits: how much it may hold.

    Returns:
        a two-dimensional array with at least one row and column, not yet checked for finiteness.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: it is no array file, is damaged, or is not two-dimensional.
    """
    path, part = Path(spec), None
    named = re.fullmatch(r"(.+)\[([^\[\]]+)\]", str(spec))
    if named and not path.exists():
        path, part = Path(named[1]), named[2].strip()
    if part == "T" and not (path.exists() and "T" in open_arrays(path, limits)):
        return open_matrix(named[1], what, limits).T
    arrays, name = open_arrays(path, limits), shown(path.name)
    if part in arrays:
        array, part = arrays[part], None
    elif len(arrays) == 1:
        array = next(iter(arrays.values()))
    else:
        raise FileError(
            f"{name} holds the arrays {shown(', '.join(arrays), 70)}; say which, for example "
            f"{name}[{shown(next(iter(arrays), 'name'), 20)}]"
        )
    if part is not None:
        if array.ndim < 3 or not part.isdecimal() or int(part) >= array.shape[0]:
            raise FileError(f"{name} has no part [{shown(part, 20)}]: its shape is {array.shape}")
        array = array.part(int(part))
    axes = "[n, dim]" if what.endswith("embeddings") else "[n_queries, n_gallery]"
    if array.ndim == 3:
        raise FileError(
            f"{name} has shape {array.shape}, expected {axes} {what}; name one slice, for example "
            f"{name}[0]"
        )
    if array.ndim != 2 or 0 in array.shape:
        raise FileError(f"{name} has shape {array.shape!s:.40}, expected {axes} {what}")
    return array


def read_embeddings(spec: str | Path) -> np.ndarray:
    """Read embeddings that someone brings, one row an item; `spec` as for `open_matrix`.

    Returns:
        [n, dim] numbers as saved: not yet checked for finiteness, not yet of unit length.
    """
    return open_matrix(spec, "embeddings").read()
