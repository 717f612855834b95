"""One open file that several threads read by place, and what its first bytes say it is."""

import mmap
import os
import re
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from retrieval.errors import FileError
from retrieval.files import open_regular
from retrieval.formats.limits import LIMITS, Limits, check_limit

ZIP = b"PK\3\4"
# The first pickle of torch's older layout: a number of ten bytes.
LEGACY = b"\x80\x02\x8a\x0a" + 0x1950A86A20F9469CFC6C.to_bytes(10, "little") + b"."
MAPPED_BYTES = 2**25  # of a file that are mapped at a time; all may come to be in memory
SAVE_ARRAY = "save the array with numpy.save"
_FOREIGN = [  # first bytes of what people send by mistake, and what to tell them
    (b"version https://git-lfs", "is a git-lfs pointer, not the file itself; run `git lfs pull`"),
    (b"<", "is a web page or XML, not an array; download the file itself"),
    (b"\x1f\x8b", "is a gzip archive; unpack it first"),
    (b"BZh", "is a bzip2 archive; unpack it first"),
    (b"\xfd7zXZ", "is an xz archive; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "is a zstd archive; unpack it first"),
    (b"7z\xbc\xaf", "is a 7z archive; unpack it first"),
    (b"Rar!", "is a rar archive; unpack it first"),
    (b"\x89HDF", "is an HDF5 file; " + SAVE_ARRAY),
    (b"MATLAB", "is a MATLAB file; " + SAVE_ARRAY),
    (b"PAR1", "is a Parquet file; " + SAVE_ARRAY),
    (b"ARROW1", "is an Arrow file; " + SAVE_ARRAY),
    (b"SQLite", "is a database; " + SAVE_ARRAY),
]


class Source:
    """A regular file, held open so that what was checked is what is read.

    Args:
        path: the file.
        limits: how large it may be.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: not a regular file, empty, or too large.
    """

    def __init__(self, path: str | Path, limits: Limits = LIMITS) -> None:
        self.path = Path(path)
        self.name = shown(self.path.name)
        self.limits = limits
        self._lock = Lock()
        self._file = open_regular(self.path)
        self.size = os.fstat(self._file.fileno()).st_size
        if self.size == 0:
            raise FileError(f"{self.name} is empty; copy or make it again")
        check_limit(self.name, "bytes", self.size, limits.file_bytes)

    def read_into(self, buffer: np.ndarray, offset: int) -> None:
        """Fill a contiguous array with the bytes from `offset` on; safe from several threads."""
        if buffer.size == 0:
            return
        view = memoryview(buffer.reshape(-1).view(np.uint8))
        while view:
            n = self._read_some(view, offset)
            if n == 0:
                raise FileError(f"{self.name} became shorter while it was read; copy it again")
            view, offset = view[n:], offset + n

    def read_lines(self, lines: np.ndarray, offset: int, step: int) -> None:
        """Fill each line of a C-contiguous array from its own place, `step` bytes after the last.

        Short lines far apart, such as the first columns of every row, cost a call each when they
        are read, and a page each when the file is mapped; so many are mapped at a time.
        """
        n_bytes = lines[0].nbytes
        if len(lines) < 64 or n_bytes > mmap.PAGESIZE or not hasattr(mmap, "MADV_RANDOM"):
            for number, line in enumerate(lines):
                self.read_into(line, offset + number * step)
            return
        at_once = max(1, MAPPED_BYTES // step)
        for first in range(0, len(lines), at_once):
            some = lines[first : first + at_once]
            start = offset + first * step
            skipped = start % mmap.ALLOCATIONGRANULARITY
            length = skipped + (len(some) - 1) * step + n_bytes
            if os.fstat(self._file.fileno()).st_size < start - skipped + length:
                raise FileError(f"{self.name} became shorter while it was read; copy it again")
            with mmap.mmap(
                self._file.fileno(), length, access=mmap.ACCESS_READ, offset=start - skipped
            ) as mapped:
                mapped.madvise(mmap.MADV_RANDOM)  # load no neighbours
                strides = step, lines.itemsize
                some[:] = np.ndarray(some.shape, lines.dtype, mapped, skipped, strides)

    def _read_some(self, view: memoryview, offset: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [view[: 2**30]], offset)
        with self._lock:
            self._file.seek(offset)
            return self._file.readinto(view)

    def read(self, offset: int, n_bytes: int) -> bytes:
        """Up to `n_bytes` from `offset` on; fewer at the end of the file."""
        buffer = np.empty(max(0, min(n_bytes, self.size - offset)), dtype=np.uint8)
        self.read_into(buffer, offset)
        return buffer.tobytes()

    def map(self) -> mmap.mmap:
        """The whole file as read-only memory, of which only what is looked at is loaded."""
        return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)


def foreign(
    first_bytes: bytes,
    name: str,
    expected: str = "an array file: .npy, .npz, .safetensors, .csv, .pkl or .pt",
    advice: str = SAVE_ARRAY,
) -> FileError:
    """The sentence for a file of another kind; `advice` is for one that holds other data."""
    known = what_else(first_bytes)
    told = f"{name} {known}" if known else f"{name} is not {expected}"
    return FileError(told.replace(SAVE_ARRAY, advice))


def what_else(first_bytes: bytes) -> str | None:
    """What a file is that is sent by mistake, and what to do; None for what we do not know."""
    start = first_bytes.lstrip()
    for known, sentence in _FOREIGN:
        if start.startswith(known):
            return sentence
    if first_bytes[257:262] == b"ustar":
        return "is a tar archive; unpack it first"
    if start[:1] in (b"{", b"["):
        return "is JSON text, not an array; " + SAVE_ARRAY
    return None


def shown(text: Any, length: int = 60) -> str:
    """A name from a stranger's file, fit for a message: printable and short."""
    text = re.sub(r"[^\w .,:;+()\[\]-]", "?", str(text)[: 4 * length])
    return text if len(text) <= length else f"{text[: length - 13]}...{text[-10:]}"
