"""A .safetensors file -> its arrays, each read straight from its place."""

import math

import numpy as np

from retrieval.errors import FileError, GalleryError
from retrieval.files import parse_json
from retrieval.formats.limits import check_limit, check_shape
from retrieval.formats.source import Source, shown
from retrieval.formats.stored import StoredArray

_DTYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "BF16": "<u2",  # the upper halves of float32
    "F32": "<f4",
    "F64": "<f8",
}


def is_safetensors(first_bytes: bytes, size: int) -> bool:
    """Whether a file begins with the length of a JSON header that it can hold."""
    return first_bytes[8:9] == b"{" and int.from_bytes(first_bytes[:8], "little") <= size - 8


def open_safetensors(source: Source) -> dict[str, StoredArray]:
    """Check a .safetensors file and give its arrays by name, of which nothing is read yet.

    Raises:
        FileError: damaged, not plain numbers, or arrays that overlap or leave gaps.
    """
    length = int.from_bytes(source.read(0, 8), "little")
    check_limit(source.name, "bytes of array names", length, source.limits.index_bytes)
    try:
        entries = parse_json(source.read(8, length), source.name)
        entries.pop("__metadata__", None)
        listed = {
            name: (entry["dtype"], tuple(entry["shape"]), *entry["data_offsets"])
            for name, entry in entries.items()
        }
        numbers = [n for _, shape, *place in listed.values() for n in (*shape, *place)]
        if any(type(n) is not int or n < 0 for n in numbers):
            raise ValueError("a side or place is not a count")
        order = sorted(listed, key=lambda name: listed[name][2:])
        check_limit(source.name, "arrays", len(listed), source.limits.tensors)
        arrays, end = {}, 0
        for name in order:
            dtype, shape, start, stop = listed[name]
            if start != end:
                raise ValueError("arrays overlap or leave a gap")
            arrays[name] = _open(source, name, dtype, shape, 8 + length + start, stop - start)
            end = stop
    except FileError:
        raise
    except (GalleryError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _damaged(source) from error
    if 8 + length + end != source.size:
        raise _damaged(source)
    return {name: arrays[name] for name in listed}


def _open(
    source: Source, name: str, dtype: str, shape: tuple[int, ...], offset: int, n_bytes: int
) -> StoredArray:
    label = f"{source.name}[{shown(name, 40)}]"
    if dtype not in _DTYPES:
        raise FileError(f"{label} holds {shown(dtype, 20)} numbers; save it as float32")
    raw = np.dtype(_DTYPES[dtype])
    check_shape(label, shape, source.limits)
    if math.prod(shape) * raw.itemsize != n_bytes:
        raise _damaged(source)
    return StoredArray(source, name, shape, raw, offset, bfloat16=dtype == "BF16")


def _damaged(source: Source) -> FileError:
    return FileError(f"{source.name} is not a whole .safetensors file; copy or make it again")
