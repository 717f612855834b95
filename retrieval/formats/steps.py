"""The steps that a pickle of data may take, and the walk over them; every other step is refused.

Nothing is imported and nothing is called: REDUCE and NEWOBJ reach only what stands in for a name
of the table that the machine was given.
"""

import struct
from collections.abc import Callable
from typing import Any

from retrieval.errors import FileError
from retrieval.formats.machine import LONGEST_INT, SHORT, Machine, Name, decode

_ROUND = 4096  # steps between two looks at how much is waiting
_STOP, _TEXT, _MEMOIZE = b".X\x94"
_TEXTS = b"X\x8c"
_UINT16, _UINT32, _UINT64 = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<Q")
_INT32, _FLOAT64 = struct.Struct("<i"), struct.Struct(">d")
_STEPS: dict[int, Callable[[Machine], None]] = {}


def run(machine: Machine) -> Any:
    """Take every step; what is left on the stack at STOP.

    Raises:
        FileError: a step, name or number that data has no use for, or a damaged pickle.
    """
    try:
        for left in range(machine.most, 0, -_ROUND):
            if _round(machine, min(_ROUND, left)):
                (value,) = machine.stack
                if machine.outer:
                    raise IndexError
                return value
            machine.check_waiting()
    except FileError:
        raise
    except (LookupError, ValueError, TypeError, struct.error, AttributeError) as error:
        # Of a stand-in or of a step that found too little, or the wrong thing, on the stack.
        raise FileError(
            f"{machine.name} is truncated or damaged: its pickle cannot be read at byte "
            f"{machine.at:,}; copy or make it again"
        ) from error
    raise FileError(
        f"{machine.name} takes more than {machine.most:,} pickle steps, the limit for what it "
        "should hold; save the array with numpy.save"
    )


def _round(machine: Machine, n_steps: int) -> bool:
    """Take some steps; whether STOP was the last."""
    buffer, memo, texts = machine.buffer, machine.memo, machine.texts
    stack, at = machine.stack, machine.at
    if machine.ahead is not None:  # words alone go through a hundred pages at most
        machine.ahead.come_to(at)
    for _ in range(n_steps):
        code = buffer[at]
        at += 1
        if code in _TEXTS:  # captions are hardly anything else
            wide = code == _TEXT
            n = _UINT32.unpack_from(buffer, at)[0] if wide else buffer[at]
            at += 4 if wide else 1
            if n <= SHORT:
                if at + n > machine.end:
                    raise IndexError
                text = decode(buffer[at : at + n], "utf-8")
                stack.append(texts.setdefault(text, text))
                at += n
            else:
                machine.at = at
                stack.append(machine.skip(n, "utf-8"))
                at = machine.at
        elif code == _MEMOIZE:
            memo[len(memo)] = stack[-1]
        else:
            machine.at = at
            if code == _STOP:
                return True
            step = _STEPS.get(code)
            if step is None:
                raise machine.refused_step(code)
            step(machine)
            at, stack = machine.at, machine.stack
    machine.at = at
    return False


def _pushes(code: bytes, make: Callable[[Machine], Any]) -> None:
    def step(machine: Machine) -> None:
        value = make(machine)
        machine.stack.append(value)  # only now: `make` may have changed which stack it is

    _STEPS[code[0]] = step


_pushes(b"N", lambda _: None)
_pushes(b"\x88", lambda _: True)
_pushes(b"\x89", lambda _: False)
_pushes(b"J", lambda m: m.number(_INT32))
_pushes(b"K", lambda m: m.byte())
_pushes(b"M", lambda m: m.number(_UINT16))
_pushes(b"G", lambda m: m.number(_FLOAT64))
_pushes(b"F", lambda m: float(m.line()))
_pushes(b"]", lambda _: [])
_pushes(b"\x8f", lambda _: [])  # a set: as a list its items need no hash
_pushes(b"}", lambda _: {})
_pushes(b")", lambda _: ())
_pushes(b"B", lambda m: m.skip(m.number(_UINT32)))
_pushes(b"C", lambda m: m.skip(m.byte()))
_pushes(b"\x8e", lambda m: m.skip(m.number(_UINT64)))
_pushes(b"\x96", lambda m: m.skip(m.number(_UINT64)))
_pushes(b"t", lambda m: tuple(m.marked()))
_pushes(b"l", lambda m: m.marked())
_pushes(b"\x91", lambda m: m.marked())  # a frozenset
_pushes(b"\x85", lambda m: (m.stack.pop(),))
_pushes(b"\x86", lambda m: m.last(2))
_pushes(b"\x87", lambda m: m.last(3))
_pushes(b"g", lambda m: m.memo[int(m.line())])
_pushes(b"h", lambda m: m.memo[m.byte()])
_pushes(b"j", lambda m: m.memo[m.number(_UINT32)])
_pushes(b"c", lambda m: m.find(m.line().decode("ascii"), m.line().decode("ascii")))

_STEPS.update(
    {
        ord("p"): lambda m: m.remember(int(m.line())),
        ord("q"): lambda m: m.remember(m.byte()),
        ord("r"): lambda m: m.remember(m.number(_UINT32)),
        0x8A: lambda m: m.integer(m.byte()),
        0x8B: lambda m: m.integer(m.number(_UINT32)),
        ord("T"): lambda m: m.text(m.number(_INT32), "latin-1"),  # Python 2's strings
        ord("U"): lambda m: m.text(m.byte(), "latin-1"),
        0x8D: lambda m: m.text(m.number(_UINT64), "utf-8"),
        ord("a"): lambda m: m.extend([m.stack.pop()]),
        ord("e"): lambda m: m.extend(m.marked()),
        0x90: lambda m: m.extend(m.marked()),
        ord("s"): lambda m: m.put_items(list(m.last(2))),
        ord("u"): lambda m: m.put_items(m.marked()),
        0x95: lambda m: m.take_frame(m.number(_UINT64)),
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
    version = machine.byte()
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
    if len(line) > 2.5 * LONGEST_INT:  # decimal digits of a byte
        raise ValueError
    return int(line)
