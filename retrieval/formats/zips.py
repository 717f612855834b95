"""The table of a zip file -> its members and their bytes; every claim is checked before it is kept.

Our own reader, not the standard library's: that one loads a table of any length, and takes two
members that share their bytes.
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from retrieval.errors import FileError
from retrieval.formats.limits import check_limit, check_memory
from retrieval.formats.source import ZIP, Source

_STORED, _DEFLATED = 0, 8
_CHUNK = 2**20  # packed bytes that are looked at together


@dataclass(frozen=True)
class Member:
    """One file in a zip file."""

    name: str
    offset: int  # place of its bytes
    size: int  # bytes once unpacked
    packed: int  # bytes in the zip file
    deflated: bool  # or stored as it is
    crc: int  # CRC-32 of its bytes


def read_table(source: Source, most: int) -> dict[str, Member]:
    """Every member by name.

    Args:
        source: the zip file.
        most: how many members it may have.

    Raises:
        FileError: damaged, encrypted, too many members, or members that share name or bytes.
    """
    try:
        members = _members(source, most)
    except (struct.error, UnicodeDecodeError) as error:
        raise damaged(source.name) from error
    table = {member.name: member for member in members}
    if len(table) != len(members):
        raise FileError(f"{source.name} has two members of one name; save it again")
    return table


def damaged(name: str) -> FileError:
    """The sentence for a zip file that is not whole."""
    return FileError(f"{name} is not a whole .npz or .pt file; copy or make it again")


def unpack(source: Source, member: Member, n_bytes: int | None = None) -> np.ndarray:
    """The bytes of a member.

    Args:
        source: the zip file.
        member: one of `read_table`.
        n_bytes: only the first so many; None for all, checked against the checksum.

    Returns:
        [n] uint8, writable.
    """
    whole = n_bytes is None
    n_bytes = member.size if whole else min(n_bytes, member.size)
    check_memory(source.name, n_bytes)
    out = np.empty(n_bytes, dtype=np.uint8)
    if member.deflated:
        _inflate(source, member, out, whole)
    else:
        source.read_into(out, member.offset)
    if whole and zlib.crc32(out) != member.crc:
        raise damaged(source.name)
    return out


def _inflate(source: Source, member: Member, out: np.ndarray, whole: bool) -> None:
    """Fill `out`; never unpack more than a few bytes beyond it, whatever the file holds."""
    machine, view, filled = zlib.decompressobj(-15), memoryview(out), 0
    offset, end = member.offset, member.offset + member.packed
    packed = b""
    try:
        while filled < len(out) and not machine.eof:
            if not packed and offset < end:
                packed = source.read(offset, min(_CHUNK, end - offset))
                offset += len(packed)
            piece = machine.decompress(packed, min(len(out) - filled, 16 * _CHUNK))
            if not piece and not machine.unconsumed_tail and offset == end:
                break
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
            packed = machine.unconsumed_tail
        more = whole and not machine.eof and machine.decompress(packed, 1)
    except zlib.error as error:
        raise damaged(source.name) from error
    if filled < len(out) or more:
        raise damaged(source.name)


def _members(source: Source, most: int) -> list[Member]:
    table, n_entries = _table(source, most)
    members, place = [], 0
    for _ in range(n_entries):
        member, place = _entry(source, table, place)
        members.append(member)
    end = 0
    for member in sorted(members, key=lambda member: member.offset):
        # A few bytes that many members share unpack to terabytes.
        if member.offset < end:
            raise FileError(f"{source.name} has members that share their bytes; save it again")
        end = member.offset + member.packed
    if end > source.size - len(table) or place != len(table):
        raise damaged(source.name)
    return members


def _table(source: Source, most: int) -> tuple[bytes, int]:
    """The bytes of the table at the end of the file, and how many members it lists."""
    tail_at = max(0, source.size - 65_557)
    tail = source.read(tail_at, 65_557)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < 22:
        raise damaged(source.name)
    n_entries, size, offset, comment = struct.unpack_from("<HIIH", tail, at + 10)
    end = tail_at + at
    if end + 22 + comment != source.size:
        raise damaged(source.name)
    locator = source.read(end - 20, 20) if end >= 76 else b""
    if locator[:4] == b"PK\6\7":  # more than 4 GB, or written as if it were
        end = struct.unpack_from("<Q", locator, 8)[0]
        record = source.read(min(end, source.size), 56)
        if record[:4] != b"PK\6\6":
            raise damaged(source.name)
        n_entries, size, offset = struct.unpack_from("<QQQ", record, 32)
    check_limit(source.name, "members", n_entries, most)
    check_limit(source.name, "bytes of member names", size, source.limits.index_bytes)
    if offset + size != end:
        raise damaged(source.name)
    return source.read(offset, size), n_entries


def _entry(source: Source, table: bytes, at: int) -> tuple[Member, int]:
    """The member whose line of the table is at `at`, and the place of the next line."""
    if table[at : at + 4] != b"PK\1\2":
        raise damaged(source.name)
    flags, method, _, _, crc, packed, size, n_name, n_extra, n_comment = struct.unpack_from(
        "<HHHHIIIHHH", table, at + 8
    )
    offset = struct.unpack_from("<I", table, at + 42)[0]
    raw_name = table[at + 46 : at + 46 + n_name]
    extra = table[at + 46 + n_name : at + 46 + n_name + n_extra]
    size, packed, offset = _wide(extra, size, packed, offset)
    name = raw_name.decode("utf-8" if flags & 0x800 else "cp437")
    if flags & 1:
        raise FileError(f"{source.name} is encrypted; save it without a password")
    if method not in (_STORED, _DEFLATED) or (method == _STORED and packed != size):
        raise damaged(source.name)
    if size > 1032 * packed + 1032:  # no deflated byte becomes more
        raise damaged(source.name)
    head = source.read(min(offset, source.size), 30 + n_name)
    if head[:4] != ZIP or head[30:] != raw_name:
        raise damaged(source.name)
    n_name, n_extra = struct.unpack_from("<HH", head, 26)
    start = offset + 30 + n_name + n_extra
    member = Member(name, start, size, packed, method == _DEFLATED, crc)
    return member, at + 46 + len(raw_name) + len(extra) + n_comment


def _wide(extra: bytes, *values: int) -> list[int]:
    """Sizes and place of a member, those that do not fit in 32 bits from its extra field."""
    wide, at = iter(()), 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            wide = iter(struct.unpack_from(f"<{length // 8}Q", extra, at + 4))
        at += 4 + length
    return [next(wide, value) if value == 0xFFFFFFFF else value for value in values]
