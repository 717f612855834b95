"""The steps of a pickle -> the data they describe; nothing is imported and nothing is called.

A pickle is a program for a stack machine. This is that machine without its dangerous half: it
knows the steps that plain data and arrays need, the names of a table given to it, and stands an
inert object in for each of those. Payloads are stepped over and remembered by place, so that a
pickle of one array of any size costs a few steps.
"""

import codecs
import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from retrieval.errors import FileError

SHORT = 4096  # bytes of a text that is read at once; a longer one stays a Span
_LINE = 512  # characters of a number or a name that is written as text
_ROUND = 4096  # steps between two looks at how much is waiting
_MOST_WAITING = 200_000  # items, or marks, that wait to be put into a container
_LONGEST_INT = 17  # bytes; no size, place or seed needs more


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
    """One walk over the steps of a pickle.

    Args:
        buffer: what holds it; a memory map is loaded only where there are steps.
        name: of the file, for messages.
        find: gives what stands in for (module, name); raises FileError.
        most: how many steps it may take.
        persistent: gives what stands in for a persistent id; None where there may be none.
        int_keys: whether a dict may have numbers for keys.
        start: place of the first step.
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
    ) -> None:
        self.buffer, self.name, self.at, self.end = buffer, name, start, len(buffer)
        self.find, self.persistent, self.most = find, persistent, most
        self.keys = (str, int) if int_keys else (str,)
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # stacks below the marks
        self.memo: dict[int, Any] = {}
        self.texts: dict[str, str] = {}  # captions are made of few words, often

    def run(self) -> Any:
        """Take every step; what is left on the stack at STOP.

        Raises:
            FileError: a step, name or number that data has no use for, or a damaged pickle.
        """
        try:
            for left in range(self.most, 0, -_ROUND):
                if self._round(min(_ROUND, left)):
                    (value,) = self.stack
                    if self.outer:
                        raise IndexError
                    return value
                self.check_waiting()
        except FileError:
            raise
        except (LookupError, ValueError, TypeError, struct.error, AttributeError) as error:
            # Of a stand-in or of a step that found too little, or the wrong thing, on the stack.
            raise FileError(
                f"{self.name} is truncated or damaged: its pickle cannot be read at byte "
                f"{self.at:,}; copy or make it again"
            ) from error
        raise FileError(
            f"{self.name} takes more than {self.most:,} pickle steps, the limit for what it should "
            "hold; save the array with numpy.save"
        )

    def _round(self, n_steps: int) -> bool:
        """Take some steps; whether STOP was the last."""
        buffer, stack, memo, texts, at = self.buffer, self.stack, self.memo, self.texts, self.at
        for _ in range(n_steps):
            code = buffer[at]
            at += 1
            if code in _TEXTS:  # captions are hardly anything else
                wide = code == _TEXT
                n = _UINT32.unpack_from(buffer, at)[0] if wide else buffer[at]
                at += 4 if wide else 1
                if n <= SHORT:
                    if at + n > self.end:
                        raise IndexError
                    text = decode(buffer[at : at + n], "utf-8")
                    stack.append(texts.setdefault(text, text))
                else:
                    stack.append(Span(at, n, "utf-8"))
                at += n
            elif code == _MEMOIZE:
                memo[len(memo)] = stack[-1]
            else:
                self.at = at
                if code == _STOP:
                    return True
                step = _STEPS.get(code)
                if step is None:
                    raise self.refused_step(code)
                step(self)
                at, stack = self.at, self.stack
        self.at = at
        return False

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

    # What steps are made of.

    def take(self, n_bytes: int) -> bytes:
        """The next bytes."""
        start, self.at = self.at, self.at + n_bytes
        if n_bytes < 0 or self.at > self.end:
            raise IndexError
        return self.buffer[start : self.at]

    def number(self, format: str) -> Any:
        """The next number of a fixed size."""
        return struct.unpack(format, self.take(struct.calcsize(format)))[0]

    def skip(self, n_bytes: int, codec: str = "") -> Span:
        """Step over a payload."""
        start, self.at = self.at, self.at + n_bytes
        if n_bytes < 0 or self.at > self.end:
            raise IndexError
        return Span(start, n_bytes, codec)

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
        start = self.at
        stop = self.buffer.find(b"\n", start)
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
        if n_bytes > _LONGEST_INT:
            raise FileError(
                f"{self.name} holds an integer of {n_bytes:,} bytes, the limit is "
                f"{_LONGEST_INT}; save the array with numpy.save"
            )
        self.stack.append(int.from_bytes(self.take(n_bytes), "little", signed=True))

    def put_items(self, items: list[Any]) -> None:
        """Keys and values into the dict on top."""
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise TypeError
        for key in items[::2]:
            # Other keys, tuples above all, can be made to take hours to hash.
            if type(key) not in self.keys or (type(key) is int and not -(2**63) <= key < 2**63):
                raise FileError(
                    f"{self.name} has a dict with keys that are no strings; make them strings"
                )
        target.update(zip(items[::2], items[1::2], strict=True))

    def extend(self, items: list[Any]) -> None:
        """Items onto the list on top."""
        if type(self.stack[-1]) is not list:
            raise TypeError
        self.stack[-1].extend(items)


def decode(data: bytes, codec: str) -> str:
    """A text of a pickle; codec "escape" is that of Python 2's quoted strings."""
    if codec == "utf-8":
        return data.decode("utf-8", "surrogatepass")
    if codec == "escape":
        return codecs.escape_decode(data)[0].decode("latin-1")
    return data.decode(codec)


# ---- steps ---------------------------------------------------------------------------------------

_STOP, _TEXT, _MEMOIZE = b".X\x94"
_TEXTS = b"X\x8c"
_UINT32 = struct.Struct("<I")
_STEPS: dict[int, Callable[[Machine], None]] = {}


def _pushes(code: bytes, make: Callable[[Machine], Any]) -> None:
    def step(machine: Machine) -> None:
        value = make(machine)
        machine.stack.append(value)  # only now: `make` may have changed which stack it is

    _STEPS[code[0]] = step


_pushes(b"N", lambda _: None)
_pushes(b"\x88", lambda _: True)
_pushes(b"\x89", lambda _: False)
_pushes(b"J", lambda m: m.number("<i"))
_pushes(b"K", lambda m: m.number("<B"))
_pushes(b"M", lambda m: m.number("<H"))
_pushes(b"G", lambda m: m.number(">d"))
_pushes(b"F", lambda m: float(m.line()))
_pushes(b"]", lambda _: [])
_pushes(b"\x8f", lambda _: [])  # a set: as a list its items need no hash
_pushes(b"}", lambda _: {})
_pushes(b")", lambda _: ())
_pushes(b"B", lambda m: m.skip(m.number("<I")))
_pushes(b"C", lambda m: m.skip(m.number("<B")))
_pushes(b"\x8e", lambda m: m.skip(m.number("<Q")))
_pushes(b"\x96", lambda m: m.skip(m.number("<Q")))
_pushes(b"t", lambda m: tuple(m.marked()))
_pushes(b"l", lambda m: m.marked())
_pushes(b"\x91", lambda m: m.marked())  # a frozenset
_pushes(b"\x85", lambda m: (m.stack.pop(),))
_pushes(b"\x86", lambda m: m.last(2))
_pushes(b"\x87", lambda m: m.last(3))
_pushes(b"g", lambda m: m.memo[int(m.line())])
_pushes(b"h", lambda m: m.memo[m.number("<B")])
_pushes(b"j", lambda m: m.memo[m.number("<I")])
_pushes(b"c", lambda m: m.find(m.line().decode("ascii"), m.line().decode("ascii")))

_STEPS.update(
    {
        ord("p"): lambda m: m.remember(int(m.line())),
        ord("q"): lambda m: m.remember(m.number("<B")),
        ord("r"): lambda m: m.remember(m.number("<I")),
        0x8A: lambda m: m.integer(m.number("<B")),
        0x8B: lambda m: m.integer(m.number("<I")),
        ord("T"): lambda m: m.text(m.number("<i"), "latin-1"),  # Python 2's strings
        ord("U"): lambda m: m.text(m.number("<B"), "latin-1"),
        0x8D: lambda m: m.text(m.number("<Q"), "utf-8"),
        ord("a"): lambda m: m.extend([m.stack.pop()]),
        ord("e"): lambda m: m.extend(m.marked()),
        0x90: lambda m: m.extend(m.marked()),
        ord("s"): lambda m: m.put_items(list(m.last(2))),
        ord("u"): lambda m: m.put_items(m.marked()),
        0x95: lambda m: m.take_frame(m.number("<Q")),
    }
)


def _step(code: bytes) -> Callable[[Callable[[Machine], None]], Callable[[Machine], None]]:
    def keep(step: Callable[[Machine], None]) -> Callable[[Machine], None]:
        _STEPS[code[0]] = step
        return step

    return keep


@_step(b"(")
def _mark(machine: Machine) -> None:
    machine.outer.append(machine.stack)
    machine.stack = []


@_step(b"\x80")
def _protocol(machine: Machine) -> None:
    version = machine.number("<B")
    if version > 5:
        raise FileError(
            f"{machine.name} is a pickle of protocol {version}, this version reads 0 to 5; save "
            "the array with numpy.save"
        )


@_step(b"I")
def _int_or_bool(machine: Machine) -> None:
    line = machine.line()
    machine.stack.append(line == b"01" if line in (b"00", b"01") else _int(line))


@_step(b"L")
def _long(machine: Machine) -> None:
    machine.stack.append(_int(machine.line().removesuffix(b"L")))


@_step(b"S")
def _quoted(machine: Machine) -> None:
    start, stop = machine.long_line()
    if stop - start < 2 or machine.buffer[start] != machine.buffer[stop - 1]:
        raise ValueError
    machine.at = start + 1
    machine.text(stop - start - 2, "escape")
    machine.at = stop + 1


@_step(b"V")
def _escaped(machine: Machine) -> None:
    start, stop = machine.long_line()
    machine.at = start
    machine.text(stop - start, "raw-unicode-escape")
    machine.at = stop + 1


@_step(b"d")
def _dict(machine: Machine) -> None:
    items = machine.marked()
    machine.stack.append({})
    machine.put_items(items)


@_step(b"\x93")
def _global(machine: Machine) -> None:
    module, name = machine.last(2)
    if type(module) is not str or type(name) is not str:
        raise TypeError
    machine.stack.append(machine.find(module, name))


@_step(b"R")
def _reduce(machine: Machine) -> None:
    name, args = machine.last(2)
    if type(name) is not Name or name.call is None or type(args) is not tuple:
        raise TypeError
    machine.stack.append(name.call(*args))


@_step(b"\x81")
def _new(machine: Machine) -> None:
    name, args = machine.last(2)
    if type(name) is not Name or name.new is None or type(args) is not tuple:
        raise TypeError
    machine.stack.append(name.new(*args))


@_step(b"b")
def _build(machine: Machine) -> None:
    state = machine.stack.pop()
    # Only stand-ins have it; an ordered dict's own attributes say nothing about its items.
    if type(machine.stack[-1]) is not dict:
        machine.stack[-1].build(state)


@_step(b"Q")
def _persistent(machine: Machine) -> None:
    if machine.persistent is None:
        raise machine.refused_step(ord("Q"))
    machine.stack.append(machine.persistent(machine.stack.pop()))


def _int(line: bytes) -> int:
    if len(line) > 2.5 * _LONGEST_INT:  # decimal digits of a byte
        raise ValueError
    return int(line)
