"""Bytes on disk -> JSON and tables, and back, arrays too: nothing half-written.

Arrays are read by `retrieval.formats`.
"""

import contextlib
import hashlib
import io
import json
import logging
import math
import os
import pickle
import shutil
import stat
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from retrieval.errors import FileError, GalleryError

logger = logging.getLogger(__name__)

MAX_JSON_BYTES = 64 * 2**20  # one JSON document, or one line of a .jsonl file
MAX_ROWS = 10**6  # rows of a table
MAX_FIELD = 10_000  # characters of one text field
_BIDI = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C])


# ---- text ----------------------------------------------------------------------------------------


def clean_text(text: str) -> str:
    """Make text fit to show: NFC, no control or bidi-override characters, single spaces.

    >>> clean_text("caf\\u0065\\u0301\\n\\u202etxt")
    'café txt'
    """
    if text.isascii() and text.isprintable():  # most captions; a bank holds thousands
        return " ".join(text.split())
    text = unicodedata.normalize("NFC", text).translate(_BIDI)
    kept = (" " if c.isspace() else c for c in text)
    kept = (c for c in kept if unicodedata.category(c) not in ("Cc", "Cs") and c != "\ufeff")
    return " ".join("".join(kept).split())


# ---- whole or not at all -------------------------------------------------------------------------


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file under a temporary name beside it, flush it to disk, then put it in place."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what `replacing` could not put in place because its process was killed."""
    if os.name != "posix":  # elsewhere signal 0 is no question but an interrupt
        return
    for path in Path(folder).glob(".*.tmp-*"):
        process = path.name.rpartition("-")[2]
        if process.isdecimal() and not _runs(int(process)):
            path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def link_or_copy(path: Path, copy: Path) -> None:
    """A second name for the same bytes where the file system can, else a copy."""
    try:
        os.link(path, copy)
    except OSError:
        shutil.copyfile(path, copy)


def write_npy(path: Path, array: np.ndarray) -> None:
    """Save one array as .npy, never as a pickle."""
    with replacing(path) as file:
        np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)


@contextlib.contextmanager
def growing_npy(
    path: Path, shape: tuple[int, int], transposed: bool = False
) -> Iterator[Callable[[np.ndarray], None]]:
    """Save a float32 matrix as .npy while it is made, some rows at a time.

    Args:
        path: the file; it is there once the last rows are in it.
        shape: of the matrix.
        transposed: whether its transpose is what readers of the file get.

    Yields:
        what takes the next rows.
    """
    about = {"descr": "<f4", "fortran_order": transposed}
    with replacing(path) as file:
        shown = shape[::-1] if transposed else shape
        np.lib.format.write_array_header_1_0(file, {**about, "shape": shown})
        yield lambda rows: file.write(np.ascontiguousarray(rows, "<f4").data)


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Save named arrays as one .npz, never as pickles."""
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def write_pickle(path: Path, value: dict[str, Any]) -> None:
    """Save a dict of arrays as loaders of the official feature trees read it, old numpy too.

    Numpy 2 names its functions in `numpy._core`, of which older ones know nothing; before
    protocol 4 a name stands in the file as plain text, where it is first needed.
    """
    with replacing(path) as file:
        for piece in _for_old_numpy(pickle.dumps(value, protocol=3)):
            file.write(piece)


# A pickle of a dict is this, its items by `pickled_item`, and the last step.
PICKLE_HEAD, PICKLE_TAIL = b"\x80\x03}", b"."


def pickled_item(key: str, value: Any) -> bytes:
    """One item of a dict, as it stands in a pickle that is written item by item."""
    inner = slice(len(PICKLE_HEAD) - 1, -len(PICKLE_TAIL))
    spelled, written = (pickle.dumps(each, protocol=3)[inner] for each in (key, value))
    return b"".join([spelled, *_for_old_numpy(written), b"s"])


def _for_old_numpy(written: bytes) -> list[memoryview]:
    """A pickle in pieces, so that numpy's functions have the name that every version knows."""
    new = b"cnumpy._core.multiarray\n"
    old = new.replace(b"_core", b"core")
    at, whole = written.find(new), memoryview(written)
    return [whole] if at < 0 else [whole[:at], memoryview(old), whole[at + len(new) :]]


def write_json(path: Path, value: Any) -> None:
    """Save one value as indented JSON; NaN and infinity are refused."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    with replacing(path) as file:
        file.write(text.encode() + b"\n")


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Save one JSON object a line."""
    with replacing(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n")


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# ---- reading bytes -------------------------------------------------------------------------------


def open_regular(path: Path, follow_links: bool = True) -> BinaryIO:
    """Open a regular file for reading; a FIFO or a device would block a plain open for ever.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: it is a folder, a device, or (with `follow_links` off) a link.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if not follow_links:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        handle = os.open(path, flags)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}; check its name") from None
    except OSError as error:
        raise FileError(f"{path} cannot be opened: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise FileError(f"{path} is not a regular file; give a file")
    return os.fdopen(handle, "rb")


def sha256_file(path: Path, sync: bool = False) -> str:
    """SHA-256 of a regular file; `sync` also flushes it to disk, for files other tools wrote."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
        if sync:
            os.fsync(file.fileno())
    return digest.hexdigest()


def digest_array(array: np.ndarray) -> str:
    """SHA-256 of an array's type, shape and values."""
    array = np.ascontiguousarray(array)
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(array.data.cast("B") if array.size else b"")
    return digest.hexdigest()


# ---- JSON and tables -----------------------------------------------------------------------------


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def parse_json(text: str | bytes, name: str) -> Any:
    """Parse strict JSON: finite numbers, no key twice, no endless nesting."""
    if len(text) > MAX_JSON_BYTES:
        raise GalleryError(
            f"{name} is {len(text):,} bytes of JSON, the limit is {MAX_JSON_BYTES:,}"
        )
    try:
        return json.loads(
            text, parse_constant=_finite, parse_float=_finite, object_pairs_hook=_no_duplicates
        )
    except (ValueError, RecursionError) as error:
        raise GalleryError(f"{name} is not valid JSON ({error}); mend or make it again") from error


def read_json(path: Path) -> Any:
    """Read one strict JSON document."""
    with open_regular(path) as file:
        return parse_json(file.read(MAX_JSON_BYTES + 1), Path(path).name)


def read_table(path: str | Path, plain: str = "text") -> list[dict[str, Any]]:
    """Read a list that someone brings: .jsonl, .json (a list), .csv or .tsv with a header, or .txt.

    Args:
        path: the file; its suffix says what it is.
        plain: the field that a line of a .txt file, or a bare string of a JSON list, becomes.

    Returns:
        one dict a row, in file order; empty lines of .jsonl and .txt files are left out.

    Raises:
        FileNotFoundError: there is no such file.
        GalleryError: a row is malformed (named by its number), or there are none or too many.
    """
    path = Path(path)
    with open_regular(path) as file:
        raw = file.read()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise GalleryError(f"{path.name} is not UTF-8 text; save it as UTF-8") from error
    if path.suffix == ".jsonl":
        lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
        rows = [parse_json(line, f"{path.name} line {n}") for n, line in lines]
    elif path.suffix == ".json":
        rows = parse_json(text, path.name)
        if not isinstance(rows, list):
            raise GalleryError(f"{path.name} holds a {type(rows).__name__}, expected a list")
    elif path.suffix in (".csv", ".tsv"):
        rows = _read_csv(text, path.name)
    else:
        rows = [line.strip() for line in text.split("\n") if line.strip()]
    rows = [{plain: row} if isinstance(row, str | int) else row for row in rows]
    if not 1 <= len(rows) <= MAX_ROWS:
        raise GalleryError(f"{path.name} has {len(rows):,} rows, expected 1 to {MAX_ROWS:,}")
    for n, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise GalleryError(f"{path.name} row {n} is not an object with named fields")
        if any(isinstance(value, str) and len(value) > MAX_FIELD for value in row.values()):
            raise GalleryError(f"{path.name} row {n} has a field over {MAX_FIELD:,} characters")
    return rows


def _read_csv(text: str, name: str) -> list[dict[str, str]]:
    import csv  # few runs read a table

    header = text.split("\n", 1)[0]
    delimiter = max("\t;,", key=header.count)
    csv.field_size_limit(MAX_FIELD + 1)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = []
    try:
        for n, row in enumerate(reader, 1):
            if None in row or None in row.values():
                raise GalleryError(f"{name} row {n} has not as many fields as the header; mend it")
            rows.append(row)
    except csv.Error as error:
        raise GalleryError(f"{name} row {len(rows) + 1} cannot be read: {error}") from error
    return rows


# ---- paths inside a folder -----------------------------------------------------------------------


def resolve_inside(root: Path, relative: str) -> Path:
    """Turn a relative path from a file we were given into a regular file under `root`.

    Raises:
        GalleryError: absolute, with a scheme, drive letter, `~` or NUL, missing, not a regular
            file, or outside `root` once links are followed.
    """
    parts = relative.split("/") if isinstance(relative, str) else []
    if (
        not relative
        or not parts
        or relative.startswith(("/", "~"))
        or ".." in parts
        or any(c in relative for c in ":\\\0")
    ):
        raise GalleryError(f"media path {relative!r} must be relative to its gallery, without '..'")
    path = Path(root) / relative
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        raise GalleryError(f"media file {relative!r} is missing; make the gallery again") from None
    if not real.is_relative_to(Path(root).resolve()) or not real.is_file():
        raise GalleryError(f"media path {relative!r} leads out of its gallery; copy the file in")
    return real
