"""A .hickle file of features (HDF5) -> a dict of arrays; what is pickled in it is never looked at.

Hickle 3, 4 and 5 lay a dict out alike: a group of quoted keys, below each one array or number.
"""

import ast
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from retrieval.errors import FileError
from retrieval.formats.limits import LIMITS, Limits, check_limit, check_memory, check_shape
from retrieval.formats.source import Source, foreign, shown

SUFFIXES = (".hickle", ".hkl")
_HDF5 = b"\x89HDF"
_ROOTS = ("data", "data_0")  # of hickle 4 and 5, and of hickle 3


def read_hickle(
    path: str | Path, limits: Limits = LIMITS, only: Collection[str] | None = None
) -> dict[str, Any]:
    """Read a dict of arrays and numbers, for example features with NaN for what is missing.

    Args:
        path: the file, of hickle 3, 4 or 5.
        limits: how much it may hold.
        only: keys to keep to; the arrays of the others are not read.

    Returns:
        arrays, floats and lists of these by name.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: h5py is not installed, or the file is damaged, holds anything else, or keeps
            its arrays in other files.
    """
    source = Source(path, limits)  # a regular file, and no larger than one may be
    first_bytes = source.read(0, 512)
    if not first_bytes.startswith(_HDF5):
        expected = "an HDF5 file, as hickle saves one; copy or make it again"
        raise foreign(first_bytes, source.name, expected, advice="copy or make it again")
    try:
        import h5py
    except ImportError as error:
        raise FileError(
            f"{source.name} is an HDF5 file, which h5py reads; `pip install h5py`, or save the "
            "dict with pickle as .pkl"
        ) from error
    try:
        with h5py.File(path, "r") as file:
            return _Reader(source.name, limits, h5py).read(file, only)
    except (OSError, RuntimeError, KeyError, ValueError) as error:  # of the HDF5 library
        raise FileError(f"{source.name} is no HDF5 file that can be read; copy it again") from error


class _Reader:
    """Walks the groups of one file; follows no link to another."""

    def __init__(self, name: str, limits: Limits, h5py: Any) -> None:
        self.name, self.limits, self.h5py = name, limits, h5py

    def read(self, file: Any, only: Collection[str] | None) -> dict[str, Any]:
        """The dict of a whole file."""
        top = [self._child(file, root) for root in _ROOTS if root in file]
        if len(top) != 1 or not isinstance(top[0], self.h5py.Group):
            raise FileError(f"{self.name} holds no dict as hickle saves one; save it again")
        check_limit(self.name, "keys", len(top[0]), self.limits.opcodes)
        wanted = None if only is None else set(only)
        newest = str(file.attrs.get("HICKLE_VERSION", "")).split(".")[0].strip("b'") >= "5"
        found = {}
        for key, node in self._items(top[0], newest):
            if wanted is None or key in wanted:
                found[key] = self._value(node, key)
        return found

    def _items(self, group: Any, newest: bool) -> Iterator[tuple[str, Any]]:
        """Keys and what stands below each."""
        for child in group:
            node = self._child(group, child)
            key = child
            if newest and child[:1] == '"':
                key = child[1:-1]
            elif not newest and child[:1] in "'\"":  # as Python shows it; a slash is a backslash
                key = _unquoted(child, self.name).replace("\\", "/")
            if not newest and isinstance(node, self.h5py.Group):
                inside = [root for root in _ROOTS if root in node]
                if len(node) != 1 or not inside:
                    raise FileError(f"{self.name} holds no value for {shown(key, 40)}; save again")
                node = self._child(node, inside[0])
            yield key, node

    def _value(self, node: Any, key: str, depth: int = 0) -> Any:
        """An array, a number, or a list of them."""
        check_limit(self.name, "groups in one another", depth, self.limits.depth)
        if isinstance(node, self.h5py.Group):
            items = {child: self._child(node, child) for child in node}
            places = {child.removeprefix("data").removeprefix("_"): child for child in items}
            if not all(place.isdecimal() for place in places):
                raise FileError(
                    f"{self.name} holds more than arrays for {shown(key, 40)}; save arrays alone"
                )
            return [self._value(items[places[p]], key, depth + 1) for p in sorted(places, key=int)]
        if node.shape is None or node.dtype.kind not in "fiub":
            raise FileError(
                f"{self.name} holds {node.dtype} for {shown(key, 40)}, expected plain numbers; "
                "save a dict of arrays"
            )
        if node.is_virtual or node.external:
            raise FileError(
                f"{self.name} keeps the array of {shown(key, 40)} in another file; save it whole"
            )
        check_shape(self.name, node.shape, self.limits)
        check_memory(self.name, node.nbytes)
        return node[()] if node.shape else node[()].item()

    def _child(self, group: Any, name: str) -> Any:
        """What a name of a group stands for, if it stands in this file."""
        if not isinstance(group.get(name, getlink=True), self.h5py.HardLink):
            raise FileError(f"{self.name} links to another file; save it whole")
        return group[name]


def _unquoted(name: str, file: str) -> str:
    try:
        return str(ast.literal_eval(name))
    except (ValueError, SyntaxError) as error:
        raise FileError(f"{file} has a damaged key {shown(name, 40)}; save it again") from error
