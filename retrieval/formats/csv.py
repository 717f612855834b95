"""A .csv file of numbers -> one matrix, read in pieces; whatever is no number is named by place.

Fields are separated by commas, semicolons, tabs or blanks. A first row of names, and a first
column of names as pandas writes it, are left out.
"""

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from retrieval.errors import FileError
from retrieval.formats.limits import Limits, check_limit, check_memory
from retrieval.formats.source import Source, shown
from retrieval.formats.stored import StoredArray

_CHUNK = 4 * 2**20  # bytes of text that are parsed together
_LONGEST_NUMBER = 400  # characters; a float64 written out in full has fewer


def is_text(first_bytes: bytes) -> bool:
    """Whether a file begins like text in UTF-8, without control characters."""
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(first_bytes)
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or c in "\t\r\n" for c in text)


def open_csv(source: Source) -> StoredArray:
    """Read the numbers of a text file; they are in memory from then on.

    Raises:
        FileError: a field is no number or missing, rows of different lengths, or too much.
    """
    check_limit(source.name, "bytes of text", source.size, source.limits.text_bytes)
    check_memory(source.name, 4 * source.size)  # "1," are two bytes, float64 has eight
    pieces, layout, n_lines = [], None, 0
    for lines in _pieces(source):
        if layout is None:
            layout = _layout(lines, source.name, source.limits)
            if layout is None:  # only empty lines so far
                n_lines += len(lines)
                continue
            lines = [""] * layout.header + lines[layout.header :]
        pieces.append(_numbers(lines, layout, n_lines, source.name))
        n_lines += len(lines)
        n_cells = sum(piece.size for piece in pieces)
        check_limit(source.name, "cells", n_cells, source.limits.cells)
    n_rows = sum(map(len, pieces))
    if n_rows == 0:
        raise FileError(f"{source.name} has no row of numbers; save the matrix with numpy.savetxt")
    array, row = np.empty((n_rows, pieces[0].shape[1])), 0
    for n, piece in enumerate(pieces):
        array[row : row + len(piece)], row = piece, row + len(piece)
        pieces[n] = None  # so that there are never two of the whole
    return StoredArray(source, "", array.shape, array.dtype, whole=array)


@dataclass(frozen=True)
class _Layout:
    delimiter: str | None  # None for blanks
    columns: slice  # without those that name the row
    n_fields: int  # of a row, named columns too
    header: int  # lines before the first row of numbers


def _pieces(source: Source) -> Iterator[list[str]]:
    """The lines of the file, some millions of characters at a time."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    offset, rest = 0, ""
    while offset < source.size:
        piece = source.read(offset, _CHUNK)
        offset += len(piece)
        try:
            text = rest + decoder.decode(piece, final=offset >= source.size)
        except UnicodeDecodeError as error:
            raise FileError(f"{source.name} is not UTF-8 text; save it as UTF-8") from error
        *lines, rest = text.split("\n")
        longest = max(map(len, (rest, *lines)))
        check_limit(source.name, "characters in a row", longest, source.limits.line_bytes)
        if lines:
            yield [line.strip("\r") for line in lines]
    yield [rest.strip("\r")]


def _layout(lines: list[str], name: str, limits: Limits) -> _Layout | None:
    """How the rows are made, from the first two of them."""
    filled = [n for n, line in enumerate(lines) if line.strip()]
    if not filled:
        return None
    first = lines[filled[0]].removeprefix("#").strip()
    delimiter = max(",;\t", key=first.count)
    delimiter = delimiter if delimiter in first else None
    fields = _fields(first, delimiter)
    check_limit(name, "columns", len(fields), limits.side)
    unnamed = fields[0] == ""  # pandas gives the column of row names no name
    header = unnamed or not any(map(_is_number, fields))
    rows = filled[1:] if header else filled
    first_row = _fields(lines[rows[0]], delimiter) if rows else fields
    n_named = int(unnamed or (header and len(first_row) > 1 and not _is_number(first_row[0])))
    n_fields = len(first_row) if delimiter is None else len(fields)
    return _Layout(
        delimiter, slice(n_named, n_fields), n_fields, filled[0] + 1 if header else filled[0]
    )


def _numbers(lines: list[str], layout: _Layout, n_before: int, name: str) -> np.ndarray:
    """[n_rows, n_columns] numbers of some lines, empty ones left out."""
    if not any(lines) or not any(line.strip() for line in lines):
        return np.empty((0, layout.n_fields - layout.columns.start))
    options = {"delimiter": layout.delimiter, "quotechar": '"', "comments": None, "ndmin": 2}
    used = None if layout.columns.start == 0 else range(1, layout.n_fields)
    try:
        array = np.loadtxt((x for x in lines if x.strip()), usecols=used, **options)
        if array.shape[1] == layout.n_fields - layout.columns.start:
            return array
    except (ValueError, OverflowError):  # says it in other words, and counts from the piece
        pass
    raise _first_fault(lines, layout, n_before, name)


def _first_fault(lines: list[str], layout: _Layout, n_before: int, name: str) -> FileError:
    for row, line in enumerate(lines, n_before + 1):
        if not line.strip():
            continue
        fields = _fields(line, layout.delimiter)
        if len(fields) != layout.n_fields:
            return FileError(
                f"{name} row {row} has {len(fields):,} fields, expected {layout.n_fields:,} as in "
                "the first row; mend it"
            )
        for column in range(layout.columns.start, len(fields)):
            if not _is_number(fields[column]):
                return FileError(
                    f"{name} row {row}, column {column + 1} (counted from 1) holds "
                    f"'{shown(fields[column], 30)}', expected a number; mend it"
                )
    return FileError(f"{name} cannot be read as numbers; save the matrix with numpy.savetxt")


def _fields(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    if '"' not in line:
        return [field.strip() for field in line.split(delimiter)]
    return [field.strip() for field in next(csv.reader([line], delimiter=delimiter))]


def _is_number(field: str) -> bool:
    try:
        float(field[:_LONGEST_NUMBER])
    except ValueError:
        return False
    return len(field) <= _LONGEST_NUMBER
