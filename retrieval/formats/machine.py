"""The machine that a pickle is a program for, without its dangerous half.

It has a stack, marks and a memo, and puts words, numbers and containers there; an inert object
stands in for every name. Payloads are stepped over and remembered by place, so that a pickle of
one array of any size costs a few steps. What the steps do is in `steps.py`.
"""

import codecs
import pickletools
import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from retrieval.errors import FileError
from retrieval.formats.ahead import LEAP, Ahead

SHORT = 4096  # bytes of a text that is read at once; a longer one stays a Span
_LINE = 512  # characters of a number or a name that is written as text
_MOST_WAITING = 200_000  # items, or marks, that wait to be put into a container
LONGEST_INT = 17  # bytes; no size, place or seed needs more


@dataclass(frozen=True)
class Span:
    """A payload by its place: bytes as they are, or text in a codec."""

    start: int
    length: int  # bytes in the file
    codec: str = ""  # "" for bytes; of text that stands for bytes, characters are bytes


@dataclass(frozen=True)
class Name:
    """A name that a pickle may mention, and what stands in for it."""

    full: str  # for example "numpy.ndarray"
    call: Callable[..., Any] | None = None  # what REDUCE does; None where it may not be called
    new: Callable[..., Any] | None = None  # what NEWOBJ does


class Machine:
    """The state of one walk over a pickle, and what its steps are made of.

    Args:
        buffer: what holds it; a memory map is loaded only where there are steps.
        name: of the file, for messages.
        find: gives what stands in for (module, name); raises FileError.
        most: how many steps it may take.
        persistent: gives what stands in for a persistent id; None where there may be none.
        int_keys: whether a dict may have numbers for keys.
        start: place of the first step.
        ahead: reads ahead in the buffer; None where it is in memory.
        wanted: keys of the outermost dict whose payloads will be read; None for all.
    """

    def __init__(
        self,
        buffer: Any,
        name: str,
        find: Callable[[str, str], Any],
        most: int,
        persistent: Callable[[Any], Any] | None = None,
        int_keys: bool = False,
        start: int = 0,
        ahead: Ahead | None = None,
        wanted: Collection[str] | None = None,
    ) -> None:
        self.buffer, self.name, self.at, self.end = buffer, name, start, len(buffer)
        self.ahead, self.wanted = ahead, wanted
        self.find, self.persistent, self.most = find, persistent, most
        self.keys = (str, int) if int_keys else (str,)
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # stacks below the marks
        self.memo: dict[int, Any] = {}
        self.texts: dict[str, str] = {}  # captions are made of few words, often

    def check_waiting(self) -> None:
        """Refuse a pickle that puts down far more than it ever takes up."""
        waiting = len(self.stack) + len(self.outer) + sum(map(len, self.outer))
        if waiting > _MOST_WAITING:
            raise FileError(
                f"{self.name} has {waiting:,} items waiting in its pickle, the limit is "
                f"{_MOST_WAITING:,}; save the array with numpy.save"
            )

    def refused_step(self, code: int) -> FileError:
        """The sentence for a step outside the list."""
        known = pickletools.code2op.get(chr(code))
        step = known.name if known else f"0x{code:02x}"
        return FileError(
            f"{self.name} holds the pickle step {step}, which no array needs, and was not run; "
            "save the array with numpy.save"
        )

    def take(self, n_bytes: int) -> bytes:
        """The next bytes."""
        start, self.at = self.at, self.at + n_bytes
        if n_bytes < 0 or self.at > self.end:
            raise IndexError
        return self.buffer[start : self.at]

    def byte(self) -> int:
        """The next byte, as a number."""
        self.at += 1
        return self.buffer[self.at - 1]

    def number(self, packed: struct.Struct) -> Any:
        """The next number of a fixed size."""
        start, self.at = self.at, self.at + packed.size
        return packed.unpack_from(self.buffer, start)[0]

    def skip(self, n_bytes: int, codec: str = "") -> Span:
        """Step over a payload."""
        start, self.at = self.at, self.at + n_bytes
        if n_bytes < 0 or self.at > self.end:
            raise IndexError
        if self.ahead is not None:
            if n_bytes >= LEAP and not self._is_wanted():
                self.ahead.leap(self.at)
            else:
                self.ahead.want(start, self.at)
        return Span(start, n_bytes, codec)

    def _is_wanted(self) -> bool:
        """Whether what is made now stands below a wanted key; a wrong guess costs time only."""
        if self.wanted is None:
            return True
        items = self.outer[1] if len(self.outer) > 1 else self.stack  # keys and values in turn
        last = (len(items) - 1) // 2 * 2
        key = next((items[i] for i in (last, last - 2) if i >= 0 and type(items[i]) is str), None)
        return key in self.wanted

    def line(self) -> bytes:
        """A short line of text, without its end."""
        stop = self.buffer.find(b"\n", self.at, min(self.end, self.at + _LINE))
        if stop < 0:
            raise IndexError
        line = self.take(stop - self.at)
        self.at = stop + 1
        return line

    def long_line(self) -> tuple[int, int]:
        """Start and stop of a line of any length."""
        start, stop, looked = self.at, -1, self.at
        while stop < 0 and looked < self.end:
            until = min(self.end, looked + LEAP)
            if self.ahead is not None:
                self.ahead.want(looked, until)
            stop, looked = self.buffer.find(b"\n", looked, until), until
        if stop < 0:
            raise IndexError
        self.at = stop + 1
        return start, stop

    def text(self, n_bytes: int, codec: str) -> None:
        """Push a text: itself where it is short, its place where not."""
        if n_bytes > SHORT:
            self.stack.append(self.skip(n_bytes, codec))
        else:
            text = decode(self.take(n_bytes), codec)
            self.stack.append(self.texts.setdefault(text, text))

    def last(self, n: int) -> tuple[Any, ...]:
        """The n values on top, taken off."""
        values = tuple(self.stack[-n:])
        if len(values) < n:
            raise IndexError
        del self.stack[-n:]
        return values

    def take_frame(self, n_bytes: int) -> None:
        """A frame only says how much to read ahead."""
        if self.at + n_bytes > self.end:
            raise IndexError

    def marked(self) -> list[Any]:
        """What was pushed since the last mark, which is gone then."""
        items, self.stack = self.stack, self.outer.pop()
        return items

    def remember(self, index: int) -> None:
        """Give the top of the stack a number."""
        if not 0 <= index < self.most:
            raise FileError(
                f"{self.name} asks for memo entry {index:,}, the limit is {self.most:,}; save the "
                "array with numpy.save"
            )
        self.memo[index] = self.stack[-1]

    def integer(self, n_bytes: int) -> None:
        """Push a number of as many bytes as it needs."""
        if n_bytes > LONGEST_INT:
            raise FileError(
                f"{self.name} holds an integer of {n_bytes:,} bytes, the limit is "
                f"{LONGEST_INT}; save the array with numpy.save"
            )
        self.stack.append(int.from_bytes(self.take(n_bytes), "little", signed=True))

    def put_items(self, items: list[Any]) -> None:
        """Keys and values into the dict on top."""
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise TypeError
        for key in items[::2]:
            if not is_key(key, self.keys):
                raise FileError(
                    f"{self.name} has a dict with keys that are no strings; make them strings"
                )
        target.update(zip(items[::2], items[1::2], strict=True))

    def extend(self, items: list[Any]) -> None:
        """Items onto the list on top."""
        if type(self.stack[-1]) is not list:
            raise TypeError
        self.stack[-1].extend(items)


def is_key(key: Any, kinds: tuple[type, ...] = (str, int)) -> bool:
    """Whether a value may be a key: tuples and vast numbers can be made to take hours to hash."""
    return type(key) in kinds and (type(key) is str or -(2**63) <= key < 2**63)


def decode(data: bytes, codec: str) -> str:
    """A text of a pickle; codec "escape" is that of Python 2's quoted strings."""
    if codec == "utf-8":
        return data.decode("utf-8", "surrogatepass")
    if codec == "escape":
        return codecs.escape_decode(data)[0].decode("latin-1")
    return data.decode(codec)
