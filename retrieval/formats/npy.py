"""A .npy file -> one array; its header is checked against the file before anything is read."""

import ast
import hashlib
import math
import re
from pathlib import Path

import numpy as np

from retrieval.errors import FileError
from retrieval.files import open_regular
from retrieval.formats.limits import LIMITS, check_shape, counted
from retrieval.formats.source import Source, foreign, shown
from retrieval.formats.stored import StoredArray

MAGIC = b"\x93NUMPY"
Header = tuple[tuple[int, ...], np.dtype, bool, int]  # shape, dtype, Fortran order, data offset


def plain_dtype(descr: object, name: str) -> np.dtype:
    """A dtype by numpy's short name ("<f4"); only real numbers and bool of 1 to 8 bytes."""
    if isinstance(descr, str) and re.fullmatch(r"[<>|=]?([iu][1248]|f[248]|b1|\?)", descr):
        return np.dtype(descr)
    kind = descr.lstrip("<>|=") if isinstance(descr, str) else "records"
    kind = "Python objects" if kind.startswith("O") else shown(kind, 40)
    raise FileError(f"{name} holds {kind}, expected plain numbers such as float32; convert it")


def parse_header(start: bytes, name: str) -> Header:
    """Read the header of a .npy file.

    Args:
        start: its first bytes, 12 more than a header may have if there are so many.
        name: what to call it in a message.

    Raises:
        FileError: not a .npy file, a damaged header, or not plain numbers.
    """
    if not start.startswith(MAGIC):
        raise foreign(start, name)
    damaged = FileError(f"{name} has a damaged .npy header; copy or make it again")
    version, width = start[6:8], 2 if start[6:7] == b"\1" else 4
    if version not in (b"\1\0", b"\2\0", b"\3\0") or len(start) < 8 + width:
        raise damaged
    length = int.from_bytes(start[8 : 8 + width], "little")
    text = start[8 + width : 8 + width + length]
    if len(text) < length:  # cut off, or longer than a header may be
        raise damaged
    try:
        # Python 2 wrote its long integers with an L.
        literal = re.sub(r"(?<=\d)L(?=[,)])", "", text.decode("latin-1").strip())
        header = ast.literal_eval(literal)
        shape, fortran = header["shape"], header["fortran_order"]
        descr = header["descr"]
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise damaged from error
    if len(header) != 3 or type(fortran) is not bool or type(shape) is not tuple:
        raise damaged
    if any(type(side) is not int or not 0 <= side < 2**63 for side in shape):
        raise FileError(f"{name} has a damaged .npy header (its shape); make it again")
    return shape, plain_dtype(descr, name), fortran, 8 + width + length


def check_size(name: str, shape: tuple[int, ...], dtype: np.dtype, n_bytes: int) -> None:
    """Refuse data that is not exactly as long as its header says."""
    claimed = math.prod(shape) * dtype.itemsize
    if claimed != n_bytes:
        raise FileError(
            f"{name} is truncated or damaged: its header {shape!s:.40} {dtype} asks for "
            f"{counted(claimed)} bytes, it holds {n_bytes:,}; copy it again"
        )


def open_npy(source: Source) -> StoredArray:
    """Check a .npy file and give its array, of which nothing is read yet."""
    limits, name = source.limits, source.name
    start = source.read(0, limits.header_bytes + 12)
    shape, dtype, fortran, offset = parse_header(start, name)
    check_size(name, shape, dtype, source.size - offset)
    check_shape(name, shape, limits)
    return StoredArray(source, "", shape, dtype, offset, order="F" if fortran else "C")


def parse_npy(buffer: np.ndarray | bytes, name: str) -> np.ndarray:
    """Read the bytes of a .npy file as an array of plain numbers, without copying them.

    Args:
        buffer: the whole file.
        name: what to call it in a message.

    Returns:
        the array, in native byte order.

    Raises:
        FileError: not a .npy file, not plain numbers, or header and size disagree.
    """
    start = bytes(buffer[: LIMITS.header_bytes + 12])
    shape, dtype, fortran, offset = parse_header(start, name)
    check_size(name, shape, dtype, len(buffer) - offset)
    flat = np.frombuffer(buffer, dtype=dtype, offset=offset)
    array = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))


def read_npy(path: Path, sha256: str | None = None, name: str | None = None) -> np.ndarray:
    """Read a .npy file in one go; with `sha256`, its bytes must have that checksum."""
    name = name or Path(path).name
    with open_regular(path) as file:
        buffer = np.fromfile(file, dtype=np.uint8)
    if sha256 is not None and hashlib.sha256(buffer.data).hexdigest() != sha256:
        raise FileError(f"{name} is damaged: its checksum is not the manifest's; make it again")
    return parse_npy(buffer, name)
