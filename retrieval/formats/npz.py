"""A .npz file -> its arrays; those that are not compressed are read straight from their place."""

import re
import zlib
from pathlib import Path

import numpy as np

from retrieval.errors import FileError
from retrieval.formats.limits import LIMITS, check_limit, check_shape
from retrieval.formats.npy import check_size, parse_header, parse_npy
from retrieval.formats.source import Source, shown
from retrieval.formats.stored import StoredArray
from retrieval.formats.zips import Member, damaged, read_table, unpack


def open_npz(source: Source, members: dict[str, Member]) -> dict[str, StoredArray]:
    """Check a .npz file and give its arrays by name, of which nothing is read yet.

    Args:
        source: the file.
        members: what `read_table` found in it.

    Raises:
        FileError: damaged, members that are no arrays, too many, or too large once unpacked.
    """
    check_limit(source.name, "arrays", len(members), source.limits.members)
    unpacked = sum(member.size for member in members.values() if member.deflated)
    check_limit(source.name, "bytes once unpacked", unpacked, source.limits.unpacked_bytes)
    for name in members:
        if not re.fullmatch(r"[\w .-]+\.npy", name):
            raise FileError(
                f"{source.name} is not a .npz: it holds {shown(name, 40)}, which is no array; "
                "save the arrays with numpy.savez"
            )
    return {name.removesuffix(".npy"): _open(source, member) for name, member in members.items()}


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read every array of a .npz file; sizes are checked before anything is unpacked."""
    source = Source(path, LIMITS)
    arrays = open_npz(source, read_table(source, LIMITS.members))
    return {name: stored.read() for name, stored in arrays.items()}


def _open(source: Source, member: Member) -> StoredArray:
    name = member.name.removesuffix(".npy")
    label = f"{source.name}[{shown(name, 40)}]"
    start = unpack(source, member, source.limits.header_bytes + 12).tobytes()
    shape, dtype, fortran, offset = parse_header(start, label)
    check_size(label, shape, dtype, member.size - offset)
    check_shape(label, shape, source.limits)
    if member.deflated:
        return StoredArray(
            source, name, shape, dtype, load=lambda: parse_npy(unpack(source, member), label)
        )

    def verify(array: np.ndarray) -> None:
        if zlib.crc32(array, zlib.crc32(start[:offset])) != member.crc:
            raise damaged(source.name)

    order = "F" if fortran else "C"
    return StoredArray(source, name, shape, dtype, member.offset + offset, order, verify=verify)
