"""A checkpoint of PyTorch -> plain data and numpy arrays, without PyTorch and without running it.

Three layouts: zip files since PyTorch 1.6, the older chain of pickles with the numbers behind it,
and TorchScript archives, of which the weights are read and the code is left alone.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.errors import FileError
from retrieval.formats.limits import LIMITS, Limits, check_limit
from retrieval.formats.safetensors import is_safetensors, open_safetensors
from retrieval.formats.source import LEGACY, ZIP, Source, foreign
from retrieval.formats.standins import Array, Record
from retrieval.formats.stored import StoredArray
from retrieval.formats.tensors import Layout, Storage, Tensor
from retrieval.formats.zips import damaged, read_table, unpack

_LEGACY_VERSION = 1001
_STEPS = re.compile(r"[^/]+/data\.pkl")


def is_checkpoint(names: Iterable[str]) -> bool:
    """Whether a zip file is a checkpoint, by the names in it."""
    return any(_STEPS.fullmatch(name) for name in names)


def open_checkpoint(source: Source) -> dict[str, StoredArray]:
    """Check a checkpoint and give its tensors by dotted name, of which nothing is read yet.

    Raises:
        FileError: it asks for code, is damaged, or holds no tensors.
    """
    _, value = _opened(source)
    found = {
        name: item.stored(source, name)
        for name, item in _flat(value, source)
        if type(item) is Tensor or (type(item) is Array and item.payload is not None)
    }
    if not found:
        raise FileError(f"{source.name} holds no tensor; save the weights with torch.save")
    return found


def read_checkpoint(path: str | Path, limits: Limits = LIMITS) -> dict[str, Any]:
    """Read a checkpoint: weights, optimiser state, settings.

    Args:
        path: a file of torch.save of any age, a TorchScript archive, or .safetensors.
        limits: how much it may hold.

    Returns:
        what was saved, tensors as numpy arrays (bfloat16 as float32), objects as `Record`; of a
        TorchScript archive its parameters and buffers by dotted name.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: it asks for code, is damaged, or holds no dict.
    """
    source = Source(path, limits)
    if is_safetensors(source.read(0, 512), source.size):
        return {name: stored.read() for name, stored in open_safetensors(source).items()}
    layout, value = _opened(source)
    if layout.script:
        value = {name: item for name, item in _flat(value, source) if type(item) is Tensor}
    if type(value) is not dict:
        kind = value.kind if type(value) is Record else type(value).__name__.lower()
        raise FileError(f"{source.name} holds a {kind:.40}, expected named weights")
    return layout.plain(value)


def _opened(source: Source) -> tuple[Layout, Any]:
    first_bytes = source.read(0, 512)
    if first_bytes.startswith(ZIP):
        return _open_zip(source)
    if first_bytes.startswith(LEGACY):
        return _open_legacy(source)
    raise foreign(first_bytes, source.name, "a checkpoint of PyTorch")


def _open_zip(source: Source) -> tuple[Layout, Any]:
    members = read_table(source, source.limits.tensors)
    roots = [name.removesuffix("data.pkl") for name in members if _STEPS.fullmatch(name)]
    if len(roots) != 1:
        raise FileError(f"{source.name} is a zip file, but no checkpoint of PyTorch")
    root = roots[0]
    steps = members[f"{root}data.pkl"]
    check_limit(source.name, "bytes of tensor names", steps.size, source.limits.index_bytes)
    data = unpack(source, steps).tobytes()
    order = b"little"
    if f"{root}byteorder" in members:
        order = unpack(source, members[f"{root}byteorder"], 16).tobytes()
    layout = Layout(
        source,
        lambda start, n_bytes: data[start : start + n_bytes],
        ">" if order == b"big" else "<",
        script=f"{root}constants.pkl" in members,
    )
    value, end = layout.walk(data)
    if end != len(data):
        raise damaged(source.name)
    for key, storage in layout.storages.items():
        member = members.get(f"{root}data/{key}")
        n_bytes = 0 if member is None else member.size
        if n_bytes != storage.nbytes:
            raise _short(source, storage, n_bytes)
        if member is not None:
            storage.offset = None if member.deflated else member.offset
            storage.read = lambda member=member: unpack(source, member)
    return layout, value


def _open_legacy(source: Source) -> tuple[Layout, Any]:
    with source.map() as buffer:
        layout = Layout(source, source.read)
        version, at = layout.walk(buffer, len(LEGACY))
        about, at = layout.walk(buffer, at)
        if version != _LEGACY_VERSION or type(about) is not dict:
            raise FileError(f"{source.name} is a checkpoint of unknown version; save it again")
        little = about.get("little_endian") is not False
        layout.order = "<" if little else ">"
        value, at = layout.walk(buffer, at)
        keys, at = layout.walk(buffer, at)
    if type(keys) is not list or set(map(str, keys)) != set(layout.storages):
        raise FileError(f"{source.name} lists other tensors than it holds; save it again")
    for key in dict.fromkeys(keys):
        storage = layout.storages[key]
        n = int.from_bytes(source.read(at, 8), "little" if little else "big", signed=True)
        at += 8
        if n != storage.n or at + storage.nbytes > source.size:
            raise _short(source, storage, source.size - at)
        storage.offset = at
        storage.read = StoredArray(source, "", (storage.nbytes,), np.dtype(np.uint8), at).read
        at += storage.nbytes
    if at != source.size:
        raise FileError(
            f"{source.name} goes on for {source.size - at:,} bytes after its last tensor; copy or "
            "make it again"
        )
    return layout, value


def _short(source: Source, storage: Storage, n_bytes: int) -> FileError:
    return FileError(
        f"{source.name} is truncated or damaged: a tensor needs {storage.nbytes:,} bytes, the file "
        f"has {max(0, n_bytes):,} for it; copy it again"
    )


def _flat(value: Any, source: Source) -> Iterator[tuple[str, Any]]:
    """Whatever lies in dicts, lists and records, by dotted name, in order."""
    waiting, n_items = [("", value, 0)], 0
    while waiting:
        name, item, depth = waiting.pop()
        item = item.state if type(item) is Record else item
        if type(item) not in (dict, list, tuple):
            yield name, item
            continue
        # Few containers that hold one another again and again unfold without end.
        n_items += len(item)
        check_limit(source.name, "items once unfolded", n_items, 50 * source.limits.tensors)
        check_limit(source.name, "containers in one another", depth, source.limits.depth)
        pairs = item.items() if type(item) is dict else enumerate(item)
        start = f"{name}." if name else ""
        waiting.extend(reversed([(f"{start}{key}", part, depth + 1) for key, part in pairs]))
