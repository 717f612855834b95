"""An array that lies in a file -> the whole of it, some of its rows, or its tiles."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock

import numpy as np

from retrieval.errors import FileError
from retrieval.formats.limits import check_memory
from retrieval.formats.source import Source
from retrieval.similarity import Block, grid, is_finite, tile_shape

MOST_AT_ONCE = 2**22  # numbers, where rows are picked out of columns


class StoredArray:
    """An array in a file, checked against the file's size and not read yet.

    Args:
        source: the open file.
        name: its name there, "" where the file holds only one.
        shape: its sides.
        raw: how its numbers lie in the file.
        offset: place of its first number, in bytes.
        order: "C" or "F".
        strides: bytes from one item to the next along each axis; None for `order`.
        load: reads the whole of an array that does not lie in the file as it is (compressed).
        whole: the array itself, where opening it had to read it (text).
        bfloat16: the numbers are the upper halves of float32.
        verify: raises if the bytes of the whole, as they lie in the file, are not the right ones.
    """

    def __init__(
        self,
        source: Source,
        name: str,
        shape: tuple[int, ...],
        raw: np.dtype,
        offset: int = 0,
        order: str = "C",
        strides: tuple[int, ...] | None = None,
        load: Callable[[], np.ndarray] | None = None,
        whole: np.ndarray | None = None,
        bfloat16: bool = False,
        verify: Callable[[np.ndarray], None] | None = None,
    ) -> None:
        self.source, self.name, self.shape, self.raw = source, name, tuple(shape), raw
        self.offset, self._load, self.bfloat16, self._verify = offset, load, bfloat16, verify
        # Numpy knows the strides of an empty array of any shape only by making it.
        self.strides = strides or _strides(self.shape, raw.itemsize, order)
        self._lock = Lock()
        self._whole = whole  # also of another array that does not stream, once it was read

    @property
    def path(self) -> Path:
        """The file."""
        return self.source.path

    @property
    def label(self) -> str:
        """What to call the array in a message: FILE or FILE[name]."""
        return f"{self.source.name}[{self.name}]" if self.name else self.source.name

    @property
    def dtype(self) -> np.dtype:
        """Type of the numbers as they are read, in native byte order."""
        return np.dtype(np.float32) if self.bfloat16 else self.raw.newbyteorder("=")

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the whole as it is read."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def streams(self) -> bool:
        """Whether rows are read without reading the whole."""
        in_file = self._load is None and self._whole is None
        return in_file and self.ndim == 2 and self.raw.itemsize in self.strides

    def read(self) -> np.ndarray:
        """The whole, in native byte order, writable; refused if memory does not hold it."""
        if self._load is not None and self._whole is None:
            return self._load()
        check_memory(self.label, self.nbytes)
        if self._whole is not None:
            return self._whole.copy()
        item = self.raw.itemsize
        if self.strides == _strides(self.shape, item, "C"):
            array = np.empty(self.shape, self.raw)
            self._read_whole(array)
        elif self.strides == _strides(self.shape, item, "F"):
            array = np.empty(self.shape[::-1], self.raw)
            self._read_whole(array)
            array = array.T
        else:
            reach = zip(self.shape, self.strides, strict=True)
            n_bytes = item + sum((n - 1) * stride for n, stride in reach)
            check_memory(self.label, n_bytes)
            hull = np.empty(n_bytes, np.uint8)
            self.source.read_into(hull, self.offset)
            array = np.ndarray(self.shape, self.raw, hull, strides=self.strides).copy()
        return as_numbers(array, self.bfloat16)

    def read_rows(self, start: int, stop: int, out: np.ndarray | None = None) -> np.ndarray:
        """Some rows of a matrix.

        Args:
            start: first row.
            stop: row after the last.
            out: [stop - start, n_columns] of `dtype`, C-contiguous, to be filled and returned.
        """
        return self.read_block(slice(start, stop), slice(0, self.shape[1]), out)

    def read_block(self, rows: slice, columns: slice, out: np.ndarray | None = None) -> np.ndarray:
        """Some rows and columns of a matrix, [n_rows, n_columns]; safe from several threads."""
        shape = rows.stop - rows.start, columns.stop - columns.start
        if not self.streams:
            block = self._kept()[rows, columns]
        else:
            block = as_numbers(self._read_raw(rows, columns, shape, out), self.bfloat16)
        if out is None:
            return block.copy() if not self.streams else block
        if not np.may_share_memory(block, out):
            np.copyto(out, block)
        return out

    def take_rows(self, rows: np.ndarray) -> np.ndarray:
        """[len(rows), n_columns] chosen rows of a matrix, in native byte order."""
        if not self.streams:
            return self._kept()[rows]
        if self.strides[1] != self.raw.itemsize:
            return self._take_from_columns(rows)
        lines = np.empty((len(rows), self.shape[1]), self.raw)
        for line, row in zip(lines, rows.tolist(), strict=True):
            self.source.read_into(line, self.offset + row * self.strides[0])
        return as_numbers(lines, self.bfloat16)

    def _take_from_columns(self, rows: np.ndarray) -> np.ndarray:
        """`take_rows` where rows are far apart in the file: it is gone through once."""
        start, stop = int(rows.min()), int(rows.max()) + 1
        out = np.empty((len(rows), self.shape[1]), self.dtype)
        step = max(1, MOST_AT_ONCE // (stop - start))
        for left in range(0, self.shape[1], step):
            columns = slice(left, min(left + step, self.shape[1]))
            out[:, columns] = self.read_block(slice(start, stop), columns)[rows - start]
        return out

    def part(self, index: int) -> "StoredArray":
        """One item of the first axis, for example a slice of a 3-D array."""
        rest, label = self.shape[1:], f"{self.name}[{index}]" if self.name else str(index)
        apart = self._load is not None or self._whole is not None
        load = (lambda: self._kept()[index].copy()) if apart else None
        offset = self.offset + index * self.strides[0]
        strides = self.strides[1:]
        return StoredArray(
            self.source, label, rest, self.raw, offset, "C", strides, load, bfloat16=self.bfloat16
        )

    @property
    def T(self) -> "StoredArray":
        """The matrix with its axes changed over, read from the same places of the file."""
        apart = self._load is not None or self._whole is not None
        return StoredArray(
            *(self.source, f"{self.name}[T]" if self.name else "T", self.shape[::-1], self.raw),
            offset=self.offset,
            strides=self.strides[::-1],
            load=(lambda: self._kept().T.copy()) if apart else None,
            bfloat16=self.bfloat16,
            verify=self._verify,
        )

    def tiles(self, row_tile: int | None = None, column_tile: int | None = None) -> "FileTiles":
        """The matrix tile by tile, for all that takes `retrieval.similarity.Tiles`."""
        return FileTiles(self, row_tile, column_tile)

    def _read_whole(self, array: np.ndarray) -> None:
        self.source.read_into(array, self.offset)
        if self._verify is not None:
            self._verify(array.reshape(-1).view(np.uint8))

    def _kept(self) -> np.ndarray:
        with self._lock:
            if self._whole is None:
                self._whole = self.read()
            return self._whole

    def _read_raw(
        self, rows: slice, columns: slice, shape: tuple[int, int], out: np.ndarray | None
    ) -> np.ndarray:
        """The numbers as they lie in the file; in `out`'s own memory where they fit there."""
        n_rows, n_columns = shape
        row, column = self.strides
        start = self.offset + rows.start * row + columns.start * column
        by_rows = column == self.raw.itemsize
        outer, inner, step = (n_rows, n_columns, row) if by_rows else (n_columns, n_rows, column)
        fits = out is not None and by_rows and out.dtype == self.dtype and not self.bfloat16
        block = out.view(self.raw) if fits else np.empty((outer, inner), self.raw)
        if step == inner * self.raw.itemsize:  # they follow one another: one read for all
            self.source.read_into(block, start)
        else:
            self.source.read_lines(block, start, step)
        return block if by_rows else block.T


class FileTiles:
    """A matrix in a file, one tile at a time; what is in memory is a tile of every thread.

    Args:
        stored: the matrix.
        row_tile: rows of a tile; None for as many as a processor's cache holds.
        column_tile: columns of a tile; None likewise.
    """

    bound = math.inf

    def __init__(
        self, stored: StoredArray, row_tile: int | None = None, column_tile: int | None = None
    ) -> None:
        self.stored = stored
        kept = stored.dtype in (np.float32, np.float64)
        self.dtype = stored.dtype if kept else np.dtype(np.float32)
        # Rows of a matrix in Fortran order are far apart in the file, its columns are not.
        self.row_major = stored.strides[1] <= stored.strides[0]
        tile = tile_shape(stored.shape, self.row_major)
        self.row_tile, self.column_tile = row_tile or tile[0], column_tile or tile[1]

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m): queries by gallery items."""
        return self.stored.shape

    def blocks(self, scale: float = 1.0, within: slice | None = None) -> Iterator[Block]:
        """Every tile once, times `scale`; its array is valid until the next one is asked for.

        Args:
            scale: number to multiply the similarities by.
            within: columns (rows where `row_major`) to keep to; None for all.

        Raises:
            FileError: a number is not finite; its row and column are named.
        """
        tile = np.empty(self.row_tile * self.column_tile, self.dtype)
        for rows, columns in grid(self, within):
            shape = rows.stop - rows.start, columns.stop - columns.start
            block = self.stored.read_block(rows, columns, tile[: math.prod(shape)].reshape(shape))
            self._check_finite(rows, columns, block)
            if scale != 1:
                np.multiply(block, self.dtype.type(scale), out=block)
            yield rows, columns, block

    def _check_finite(self, rows: slice, columns: slice, block: np.ndarray) -> None:
        if not is_finite(block):
            bad = np.argwhere(~np.isfinite(block))[0]
            row, column = bad + (rows.start, columns.start)
            raise FileError(
                f"{self.stored.label} holds {block[tuple(bad)]} at row {row}, column {column} "
                "(counted from 0); compute it again or take that row out"
            )


def as_numbers(array: np.ndarray, bfloat16: bool = False) -> np.ndarray:
    """Numbers as they lie in a file -> this machine's byte order and kind; may change `array`."""
    if bfloat16:
        wide = array.astype(np.uint32)  # native, whatever the order in the file
        wide <<= 16
        return wide.view(np.float32)
    if array.dtype.kind == "b":  # a byte that is neither 0 nor 1 is no bool to numpy
        return np.not_equal(array.view(np.uint8), 0, out=array)
    if not array.dtype.isnative:
        return array.byteswap(inplace=True).view(array.dtype.newbyteorder("="))
    return array


def _strides(shape: tuple[int, ...], item: int, order: str) -> tuple[int, ...]:
    """Bytes from one item to the next along each axis of an array without gaps."""
    sides = shape[::-1] if order == "C" else shape
    steps = [item * math.prod(sides[:axis]) for axis in range(len(sides))]
    return tuple(steps[::-1] if order == "C" else steps)
