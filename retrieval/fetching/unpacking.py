"""A tar archive that somebody made -> its files in a folder, all of them or none.

Members are read one by one from the stream, headers by the standard library and the rest by us: its
own extraction takes an archive that ends early, or goes on with something else, for a whole one.
Nothing but files, folders and links among them is made, with plain modes; everything is first
unpacked beside its place, so that a refusal leaves nothing.
"""

import contextlib
import gzip
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from retrieval.errors import FileError
from retrieval.files import open_regular
from retrieval.formats.source import shown, what_else

_GZIP, _BLOCK = b"\x1f\x8b", 512
_ZEROS = bytes(_BLOCK)


@dataclass(frozen=True)
class Bounds:
    """What an archive may unpack to."""

    members: int = 200_000
    expansion: int = 64  # unpacked bytes for each packed one; features take less than 10
    slack: int = 64 * 2**20  # bytes that a small archive may unpack to all the same
    name: int = 1000  # characters
    header: int = 2**20  # bytes of one member's long names


@dataclass(frozen=True)
class _Member:
    name: str
    kind: bytes  # as in tarfile: REGTYPE, DIRTYPE, LNKTYPE or SYMTYPE
    size: int
    link: str


def check_archive(path: Path, name: str) -> None:
    """Refuse what is no tar archive, by its first bytes."""
    with open_regular(path) as file:
        start = file.read(_BLOCK)
    if start.startswith(_GZIP) or start[257:262] == b"ustar":
        return
    known = what_else(start)
    what = f"it {known.split(',')[0].split(';')[0]}" if known else "it is something else"
    raise FileError(f"{name} is not a tar archive: {what}; fetch it again or elsewhere")


def unpack(
    path: Path,
    name: str,
    target: Path,
    dropped: Sequence[str] = (),
    bounds: Bounds | None = None,
) -> dict[str, int]:
    """Put the files of a .tar or .tar.gz into a folder.

    Args:
        path: the archive.
        name: what it is called in messages.
        target: the folder; files of the same names are replaced.
        dropped: first folders of a member's path that `target` stands for, left out where they are.
        bounds: how much it may unpack to.

    Returns:
        path below `target` -> bytes, of every file; links have none.

    Raises:
        FileError: damaged, cut off, too large, or with a member that would leave `target`.
    """
    check_archive(path, name)
    target.mkdir(parents=True, exist_ok=True)
    stage = target / f".{name}.unpacking"
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir()
    try:
        with _opened(path, name, bounds or Bounds()) as stream:
            found = _write_all(stream, stage, dropped)
        _put_in_place(found, stage, target, name)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return found


# ---- the stream ----------------------------------------------------------------------------------


class _Stream:
    """Unpacked bytes in order, counted; every failure is one sentence."""

    def __init__(self, file: BinaryIO, name: str, bounds: Bounds, most: int, bar: tqdm, packed):
        self.name, self.bounds, self.most = name, bounds, most
        self._file, self._bar, self._packed = file, bar, packed
        self._taken = 0

    def read(self, n_bytes: int) -> bytes:
        """Up to so many bytes; fewer at the end only."""
        try:
            block = self._file.read(n_bytes)
        except (OSError, EOFError, zlib.error) as error:
            raise self.damaged() from error
        self._taken += len(block)
        if self._taken > self.most:
            raise self.too_large()
        self._bar.update(self._packed.tell() - self._bar.n)
        return block

    def exactly(self, n_bytes: int) -> bytes:
        """So many bytes."""
        block = self.read(n_bytes)
        if len(block) != n_bytes:
            raise self.damaged()
        return block

    def check_room(self, n_bytes: int, folder: Path) -> None:
        """Refuse a member before it is written: over the bound, or over what is free."""
        if n_bytes > self.most - self._taken:
            raise self.too_large()
        free = shutil.disk_usage(folder).free
        if n_bytes > free:
            raise FileError(
                f"{self.name} holds a file of {n_bytes / 1e9:,.1f} GB, {free / 1e9:,.1f} GB are "
                "free; make room and run it again"
            )

    def damaged(self) -> FileError:
        """The sentence for an archive that is not whole."""
        return FileError(
            f"{self.name} is cut off or damaged, {self._taken:,} bytes into its contents; fetch it "
            "again"
        )

    def too_large(self) -> FileError:
        """The sentence for an archive that grows beyond all measure."""
        return FileError(
            f"{self.name} unpacks to more than {self.most / 1e9:,.1f} GB, over "
            f"{self.bounds.expansion} times its own size; nothing was kept of it"
        )

    def refused(self, member: str, why: str) -> FileError:
        """The sentence for a member that may not be."""
        return FileError(f"{self.name} holds {shown(member)!r}, {why}; nothing was kept of it")


@contextlib.contextmanager
def _opened(path: Path, name: str, bounds: Bounds) -> Iterator[_Stream]:
    with open_regular(path) as packed:
        size = os.fstat(packed.fileno()).st_size
        most = size * bounds.expansion + bounds.slack
        is_gzip = packed.read(2) == _GZIP
        packed.seek(0)
        with tqdm(
            total=size, desc="unpacking", unit="B", unit_scale=True, disable=None, leave=False
        ) as bar:
            file = gzip.GzipFile(fileobj=packed) if is_gzip else packed
            yield _Stream(file, name, bounds, most, bar, packed)


def _members(stream: _Stream) -> Iterator[_Member]:
    """Every member; who asks for the next has read the bytes of the last."""
    name = link = size = None
    while (block := stream.exactly(_BLOCK)) != _ZEROS:
        try:
            # For a file of another code page, bytes that are no UTF-8 are kept as they are.
            head = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise stream.damaged() from error
        if head.size < 0:
            raise stream.damaged()
        if head.type == tarfile.GNUTYPE_LONGNAME:
            name = _text(_long(stream, head.size))
        elif head.type == tarfile.GNUTYPE_LONGLINK:
            link = _text(_long(stream, head.size))
        elif head.type in (tarfile.XHDTYPE, tarfile.XGLTYPE):
            told = _records(stream, _long(stream, head.size))
            if head.type == tarfile.XHDTYPE:
                name, link = told.get("path", name), told.get("linkpath", link)
                size = told.get("size", size)  # of files over 8 GB
                if any(key.startswith("GNU.sparse") for key in told):
                    raise stream.refused(head.name, "written in a way that is not read here")
        else:
            kind = tarfile.REGTYPE if head.type in tarfile.REGULAR_TYPES else head.type
            if not re.fullmatch(r"[0-9]{1,18}", size := str(head.size if size is None else size)):
                raise stream.damaged()
            size = int(size) if kind == tarfile.REGTYPE else 0
            yield _Member(name or head.name, kind, size, link or head.linkname)
            name = link = size = None
    while rest := stream.read(2**20):
        if rest.strip(b"\0"):
            raise FileError(f"{stream.name} goes on after its end; fetch it again")


def _long(stream: _Stream, size: int) -> bytes:
    """A header that does not fit in its block."""
    if size > stream.bounds.header:
        raise FileError(f"{stream.name} holds a name of {size:,} bytes; nothing was kept of it")
    return stream.exactly(_padded(size))[:size]


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("utf-8", "surrogateescape")


def _records(stream: _Stream, raw: bytes) -> dict[str, str]:
    """Lines of a pax header, each `LENGTH KEY=VALUE\\n` with LENGTH counting all of it."""
    told, at = {}, 0
    while at < len(raw):
        found = re.compile(rb"(\d{1,7}) ([^=]+)=").match(raw, at)
        end = at + int(found[1]) if found else at
        if found is None or end > len(raw) or raw[end - 1 : end] != b"\n" or end <= found.end():
            raise stream.damaged()
        told[_text(found[2])] = raw[found.end() : end - 1].decode("utf-8", "surrogateescape")
        at = end
    return told


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


# ---- files ---------------------------------------------------------------------------------------


def _write_all(stream: _Stream, stage: Path, dropped: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    links: dict[str, str] = {}
    for n, member in enumerate(_members(stream), 1):
        if n > stream.bounds.members:
            raise FileError(
                f"{stream.name} has more than {stream.bounds.members:,} members; nothing was kept "
                "of it"
            )
        parts = _below(_parts(stream, member.name), dropped)
        path, relative = stage.joinpath(*parts), "/".join(parts)
        try:
            if member.kind == tarfile.DIRTYPE:
                path.mkdir(parents=True, exist_ok=True)
                continue
            if not parts:
                raise stream.refused(member.name, "which has no name")
            path.parent.mkdir(parents=True, exist_ok=True)
            if member.kind == tarfile.REGTYPE:
                stream.check_room(member.size, stage)
                _copy(stream, path, member.size)
                found[relative] = member.size
            elif member.kind == tarfile.LNKTYPE:
                # Archives made through links hold a file that was listed twice as a hard link.
                of = "/".join(_below(_parts(stream, member.link), dropped))
                if of not in found:
                    raise stream.refused(member.name, "a link to what it does not hold")
                if of != relative:
                    _link(stage / of, path)
                    found[relative] = found[of]
            elif member.kind == tarfile.SYMTYPE:
                if relative in links:
                    raise FileExistsError
                links[relative] = member.link
            else:
                raise stream.refused(member.name, "neither file nor folder nor link")
        except (FileExistsError, NotADirectoryError) as error:
            raise stream.refused(member.name, "twice, or as file and as folder") from error
    _make_links(stream, stage, links)
    return found | dict.fromkeys(links, 0)


def _make_links(stream: _Stream, stage: Path, links: dict[str, str]) -> None:
    """Make symbolic links once all files are written, so that none is written through one."""
    for relative, to in links.items():
        try:
            (stage / relative).symlink_to(to)
        except (FileExistsError, ValueError) as error:
            raise stream.refused(relative, "twice, or as file and as folder") from error
    root = os.path.realpath(stage)
    for relative, to in links.items():
        real = os.path.realpath(stage / relative)
        if os.path.isabs(to) or os.path.commonpath([root, real]) != root:
            raise stream.refused(relative, "a link that leads out of it")


def _link(path: Path, other: Path) -> None:
    try:
        os.link(path, other)
    except FileExistsError:
        raise
    except OSError:  # not every file system has them
        shutil.copyfile(path, other)


def _copy(stream: _Stream, path: Path, size: int) -> None:
    with open(path, "xb") as file:
        left = size
        while left:
            block = stream.exactly(min(left, 2**20))
            file.write(block)
            left -= len(block)
        file.flush()
        os.fsync(file.fileno())
    stream.exactly(_padded(size) - size)


def _parts(stream: _Stream, name: str) -> list[str]:
    """A member's path as names, none of which leads anywhere else."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    strange = any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF or c == "\\" for c in name)
    if name.startswith("/") or ".." in parts:
        raise stream.refused(name, "which would be written outside of its folder")
    if strange or len(name) > stream.bounds.name or any(len(p.encode()) > 255 for p in parts):
        raise stream.refused(name, "whose name is not one that every system can write")
    return parts


def _below(parts: list[str], dropped: Sequence[str]) -> list[str]:
    for folder in dropped:
        if parts[:1] == [folder]:
            parts = parts[1:]
    return parts


def _put_in_place(found: dict[str, int], stage: Path, target: Path, name: str) -> None:
    """Move what was unpacked to where it belongs, after a look at what is in the way."""
    root = target.resolve()
    for relative in found:
        place = target / relative
        if not place.parent.resolve().is_relative_to(root):
            raise FileError(
                f"{shown(relative)!r} of {name} would be written through a link that leads out of "
                f"{target.name}; remove the link"
            )
        if place.is_dir() and not place.is_symlink():
            raise FileError(f"{shown(relative)!r} of {name} is a folder here; move it away")
    for relative in found:
        place = target / relative
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(stage / relative, place)
