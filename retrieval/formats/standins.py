"""What stands in for the names in a pickle: arrays and records as plain descriptions.

None of it is numpy's, torch's or anybody's code: an array is put together by us, from its shape,
its type and the place of its bytes, once all three were checked against each other.
"""

import codecs
import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrieval.errors import FileError
from retrieval.formats.limits import Limits, check_memory, check_shape, counted
from retrieval.formats.machine import Name, Span, decode
from retrieval.formats.npy import plain_dtype
from retrieval.formats.source import Source
from retrieval.formats.stored import StoredArray, as_numbers

_PIECE = 2**20  # bytes of text that are decoded together
_SMALL = 2**20  # bytes
Fetch = Callable[[int, int], bytes]  # place, number of bytes -> these bytes


@dataclass
class Record:
    """An object of some class that was not made: its name, its arguments, its state as data."""

    kind: str  # for example "argparse.Namespace"
    args: tuple[Any, ...] = ()
    state: Any = None

    def build(self, state: Any) -> None:
        """Keep what the object would have been filled with."""
        if self.state is not None:
            raise TypeError
        self.state = state


class Type:
    """Stands in for a numpy.dtype."""

    def __init__(self, descr: str, align: int = 0, copy: int = 1) -> None:
        if type(descr) is not str:
            raise TypeError
        self.descr, self.order = descr, "="

    def build(self, state: tuple[Any, ...]) -> None:
        """Take in the byte order; whatever else a dtype can have, plain numbers have not."""
        version, order, *rest = state
        if type(version) is not int or order not in ("<", ">", "|", "="):
            raise TypeError
        self.order = order
        if any(type(value) not in (int, type(None)) for value in rest):
            self.descr = "records"


class Array:
    """Stands in for a numpy.ndarray: shape, type and bytes, once BUILD has brought them."""

    def __init__(self, name: str, limits: Limits, fetch: Fetch) -> None:
        self.name, self.limits, self.fetch = name, limits, fetch
        self.payload: Any = None

    def build(self, state: tuple[Any, ...]) -> None:
        """Take in numpy's five fields: version, shape, dtype, whether in Fortran order, bytes."""
        version, shape, dtype, fortran, payload = state
        if version != 1 or self.payload is not None or type(fortran) not in (bool, int):
            raise TypeError
        self.fill(shape, dtype, payload, "F" if fortran else "C")

    def fill(
        self, shape: tuple[int, ...], dtype: Type, payload: Any, order: str, axes: Any = None
    ) -> None:
        """Check that shape and type ask for just the bytes that are there."""
        if type(shape) is not tuple or any(type(n) is not int or n < 0 for n in shape):
            raise TypeError
        if type(dtype) is not Type or order not in ("C", "F", "K"):
            raise TypeError
        self.dtype = plain_dtype(dtype.order + dtype.descr.lstrip("<>|="), self.name)
        check_shape(self.name, shape, self.limits)
        if (order == "K") != (axes is not None):  # axes put in another order than C's or Fortran's
            raise TypeError
        if axes is not None and sorted(axes) != list(range(len(shape))):
            raise TypeError
        self.shape, self.order, self.axes = shape, "F" if order == "F" else "C", axes
        self.payload = payload = payload.encode("latin-1") if type(payload) is str else payload
        if type(payload) not in (bytes, Span):
            raise TypeError
        n_bytes = payload.length if type(payload) is Span else len(payload)
        text = type(payload) is Span and payload.codec in ("utf-8", "raw-unicode-escape", "escape")
        # Text may take several bytes for one character, never one for several.
        if self.nbytes > n_bytes or (self.nbytes < n_bytes and not text):
            raise FileError(
                f"{self.name} is truncated or damaged: an array {shape!s:.40} {self.dtype} asks "
                f"for {counted(self.nbytes)} bytes, it holds {n_bytes:,}; copy or make it again"
            )

    @property
    def nbytes(self) -> int:
        """Bytes of the whole."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def place(self) -> int:
        """Where its bytes begin in the file; 0 where they were read with the pickle's steps."""
        return self.payload.start if type(self.payload) is Span else 0

    def stored(self, source: Source, name: str) -> StoredArray:
        """The array, to be read from the file's own bytes where they lie there as they are."""
        plain = type(self.payload) is Span and self.payload.codec in ("", "latin-1")
        if not plain:
            return StoredArray(source, name, self.laid_out_shape, self.dtype, load=self.read)
        base = StoredArray(source, name, self.shape, self.dtype, self.payload.start, self.order)
        if self.axes is None:
            return base
        strides = tuple(base.strides[axis] for axis in self.axes)
        shape, offset = self.laid_out_shape, self.payload.start
        return StoredArray(source, name, shape, self.dtype, offset, strides=strides)

    @property
    def laid_out_shape(self) -> tuple[int, ...]:
        """The sides in the order in which the array has them."""
        return self.shape if self.axes is None else tuple(self.shape[axis] for axis in self.axes)

    def read(self) -> np.ndarray:
        """The array itself, in native byte order, writable.

        Who reads many small ones looks after the memory for their sum; looking takes 0.1 ms.
        """
        if self.nbytes > _SMALL:
            check_memory(self.name, self.nbytes)
        raw = np.empty(self.nbytes, np.uint8)
        self._read_into(memoryview(raw))
        array = as_numbers(raw.view(self.dtype))
        array = array.reshape(self.shape, order=self.order)
        return array if self.axes is None else array.transpose(self.axes)

    def _read_into(self, out: memoryview) -> None:
        place = 0
        with contextlib.suppress(ValueError):  # of a text that is none, or stands for no bytes
            for piece in payload_pieces(self.payload, self.fetch):
                if place + len(piece) > len(out):
                    break
                out[place : place + len(piece)] = piece
                place += len(piece)
            else:
                if place == len(out):
                    return
        raise FileError(
            f"{self.name} is truncated or damaged: the bytes of an array {self.shape!s:.40} do not "
            "fit it; copy or make it again"
        )


def payload_pieces(payload: bytes | Span, fetch: Fetch) -> Iterator[bytes]:
    """The bytes of a payload, some at a time; a text stands for as many bytes as characters."""
    if type(payload) is bytes:
        yield payload
        return
    if payload.codec == "escape":  # has no decoder that can stop half-way; only Python 2 wrote it
        yield decode(fetch(payload.start, payload.length), "escape").encode("latin-1")
        return
    stop = payload.start + payload.length
    text = payload.codec not in ("", "latin-1")
    decoder = codecs.getincrementaldecoder(payload.codec)() if text else None
    for start in range(payload.start, stop, _PIECE):
        piece = fetch(start, min(_PIECE, stop - start))
        if decoder is not None:
            piece = decoder.decode(piece, final=start + _PIECE >= stop).encode("latin-1")
        yield piece


def numpy_names(name: str, limits: Limits, fetch: Fetch) -> dict[tuple[str, str], Name]:
    """All that pickles of arrays mention, by (module, name); numpy 1 and 2, Python 2 and 3.

    Args:
        name: of the file, for messages.
        limits: how large an array may be.
        fetch: reads the bytes of a payload.
    """

    def reconstruct(cls: Any, shape: Any, kind: Any) -> Array:
        if cls is not ndarray:
            raise TypeError
        return Array(name, limits, fetch)

    def frombuffer(payload: Any, dtype: Type, shape: Any, order: str, axes: Any = None) -> Array:
        array = Array(name, limits, fetch)
        array.fill(shape, dtype, payload, order, axes)
        return array

    def scalar(dtype: Type, payload: Any) -> bool | int | float:
        array = Array(name, limits, fetch)
        array.fill((), dtype, payload, "C")
        return array.read().item()

    def encode(text: Any, codec: Any) -> bytes | Span:
        if codec not in ("latin1", "latin-1"):
            raise TypeError
        return text.encode("latin-1") if type(text) is str else text

    def no_bytes() -> bytes:
        return b""

    ndarray = Name("numpy.ndarray")
    names = {
        ("numpy", "ndarray"): ndarray,
        ("numpy", "dtype"): Name("numpy.dtype", Type),
        ("_codecs", "encode"): Name("_codecs.encode", encode),
        ("__builtin__", "bytes"): Name("bytes", no_bytes),
        ("builtins", "bytes"): Name("bytes", no_bytes),
    }
    for core in ("numpy.core", "numpy._core"):
        names[f"{core}.multiarray", "_reconstruct"] = Name("_reconstruct", reconstruct)
        names[f"{core}.multiarray", "scalar"] = Name("scalar", scalar)
        names[f"{core}.numeric", "_frombuffer"] = Name("_frombuffer", frombuffer)
    return names
