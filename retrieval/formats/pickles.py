"""A pickle of arrays, features or captions -> plain data, without running it.

The steps are walked by our own machine, names are looked up in a table of exact pairs, and
whatever else a pickle asks for is refused by its name.
"""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from retrieval.errors import FileError
from retrieval.formats.ahead import ahead_of
from retrieval.formats.limits import LIMITS, Limits, check_limit, check_memory
from retrieval.formats.machine import Machine, Name, Span, decode, is_key
from retrieval.formats.source import Source, foreign, shown
from retrieval.formats.standins import Array, Fetch, Record, numpy_names
from retrieval.formats.steps import run
from retrieval.formats.stored import StoredArray

# Classes that feature files of Collaborative Experts carry: keys, dim, store, keymap, missing.
_RECORDS = [
    (module, "ExpertStore")
    for module in ("datastructures", "utils.datastructures", "zsvision.zs_data_structures")
]
_SAVE_ARRAYS, _SAVE_DICT = "save arrays with numpy.save", "save the dict with pickle"
_LOOK = 2**26  # bytes of arrays that are read between two looks at the memory that is free
# What such an object says its numbers are; text here, as nobody makes anything of it.
_KINDS_OF_NUMBERS = ("numpy.float16", "numpy.float32", "numpy.float64")


def is_pickle(source: Source) -> bool:
    """Whether a file is a pickle: it says so from protocol 2 on, and before that it looks so."""
    first, last = source.read(0, 2), source.read(max(0, source.size - 2), 2)
    if first[:1] == b"\x80":
        return first[1:] <= b"\x0f"
    # A text of numbers may end with a point too, but after a digit.
    return first[:1] in b"(c]}lINFSVLJKMGTUX)" and last[-1:] == b"." and not last[:1].isdigit()


def open_pickle(source: Source) -> dict[str, StoredArray]:
    """Walk a pickle and give its arrays by name; none of their bytes is read.

    Raises:
        FileError: it asks for code, is damaged, or holds no arrays.
    """
    value = _walk(source, source.limits.array_opcodes, (), _SAVE_ARRAYS)
    if type(value) is Array:
        return {"": _filled(value, source).stored(source, "")}
    if type(value) in (list, tuple):
        value = {str(n): item for n, item in enumerate(value)}
    if type(value) is not dict or not any(type(item) is Array for item in value.values()):
        kind = "no array" if type(value) is dict else f"{_kind(value)}, expected an array"
        raise FileError(f"{source.name} holds {kind}; save the array with numpy.save")
    found = {name: item for name, item in value.items() if type(item) is Array}
    check_limit(source.name, "arrays", len(found), source.limits.members)
    return {name: _filled(item, source).stored(source, name) for name, item in found.items()}


def read_pickle(
    path: str | Path,
    limits: Limits = LIMITS,
    only: Collection[str] | None = None,
    unread: bool = False,
) -> Any:
    """Read the data of a pickle: features (video -> array or arrays), captions, key maps.

    Args:
        path: the file, of any protocol, written by Python 2 or 3.
        limits: how much it may hold.
        only: keys of a dict to keep to; the bytes of the other items are not read.
        unread: gives arrays as `standins.Array`, whose numbers are read when they are asked for.

    Returns:
        None, bool, int, float, str, bytes, arrays, and lists, tuples and dicts with string keys
        of these; sets come as lists, and an `ExpertStore` as a `Record` with its attributes.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: it asks for code, is damaged, or holds anything else.
    """
    source = Source(path, limits)
    if not is_pickle(source):
        raise foreign(
            source.read(0, 512), source.name, f"a pickle; {_SAVE_DICT}", advice=_SAVE_DICT
        )
    wanted = None if only is None else set(only)
    value = _walk(source, limits.opcodes, wanted, "pickle plain numpy arrays, words and numbers")
    if wanted is not None and type(value) is dict:
        value = {key: item for key, item in value.items() if key in wanted}
    return Plain(source.name, limits, source.read, source.size, unread=unread).of(value)


def refused_name(file: str, module: str, name: str, advice: str) -> FileError:
    """The sentence for a name that is not in the table; it says which."""
    full, package = shown(f"{module}.{name}", 60), module.split(".")[0]
    if package == "pandas":
        return FileError(f"{file} holds a pandas object ({full}); save it with to_csv or as .npy")
    if package == "torch" and advice == _SAVE_ARRAYS:
        advice = "save tensors with torch.save or as .safetensors"
    return FileError(f"{file} asks for {full}, which is no plain data, and was not run; {advice}")


def finder(
    file: str,
    names: Mapping[tuple[str, str], Name],
    advice: str,
) -> Callable[[str, str], Name]:
    """Looks a name up in a table of exact pairs; `advice` is for who brought another."""

    def find(module: str, name: str) -> Name:
        known = names.get((module, name))
        if known is None:
            raise refused_name(file, module, name, advice)
        return known

    return find


def record_names(kinds: list[tuple[str, str]]) -> dict[tuple[str, str], Name]:
    """Stand-ins for classes whose objects become records, and for what objects are made with."""
    names, plain = {}, Name("object")

    def make(kind: str) -> Callable[..., Record]:
        return lambda *args: Record(kind, args)

    def reconstructor(cls: Name, base: Name, state: None) -> Record:
        if base is not plain or cls.new is None or state is not None:
            raise TypeError
        return cls.new()

    def ordered(items: Any = ()) -> dict[Any, Any]:
        pairs = [] if type(items) is dict else [(key, value) for key, value in items]
        if not all(is_key(key) for key, _ in pairs):
            raise TypeError
        return items if type(items) is dict else dict(pairs)

    for module, name in kinds:
        made = make(f"{module}.{name}")
        names[module, name] = Name(f"{module}.{name}", made, made)
    for builtins in ("builtins", "__builtin__"):
        names[builtins, "object"] = plain
        names[builtins, "set"] = names[builtins, "frozenset"] = Name("set", lambda items=(): items)
    for copyreg in ("copyreg", "copy_reg"):
        names[copyreg, "_reconstructor"] = Name("_reconstructor", reconstructor)
    names["collections", "OrderedDict"] = Name("OrderedDict", ordered)
    for full in _KINDS_OF_NUMBERS:
        names[tuple(full.split("."))] = Name(full)
    return names


class Plain:
    """What a machine left on its stack -> plain data, refused if it is deep, endless or vast.

    Args:
        name: of the file, for messages.
        limits: how deep and how much.
        fetch: reads the bytes of a payload.
        n_bytes: of the file; arrays that ask for more together share their bytes.
        leaf: turns further stand-ins into data; gives None for what it does not know.
        unread: leaves arrays as they are described.
    """

    def __init__(
        self,
        name: str,
        limits: Limits,
        fetch: Fetch,
        n_bytes: int,
        leaf: Callable[[Any], Any] = lambda value: None,
        unread: bool = False,
    ) -> None:
        self.name, self.limits, self.fetch, self.leaf = name, limits, fetch, leaf
        self.unread = unread
        self.left = self.looked_at = n_bytes
        self.done: dict[int, tuple[Any, int, Any]] = {}  # id -> data, items in it, the original

    def of(self, value: Any) -> Any:
        """The plain data of a value; what is shared in it stays shared."""
        return self._convert(value, 0)[0]

    def _convert(self, value: Any, depth: int) -> tuple[Any, int]:
        if value is None or type(value) in (str, int, float, bool, bytes):
            return value, 1
        if id(value) in self.done:
            data, n_items, _ = self.done[id(value)]
            if n_items == 0:
                raise FileError(f"{self.name} holds a container that contains itself; mend it")
            return data, n_items
        check_limit(self.name, "containers in one another", depth, self.limits.depth)
        self.done[id(value)] = None, 0, value
        if type(value) in (list, tuple):
            parts = [self._convert(item, depth + 1) for item in value]
            data = type(value)(part for part, _ in parts)
        elif type(value) is dict:
            parts = [self._convert(item, depth + 1) for item in value.values()]
            data = dict(zip(value, (part for part, _ in parts), strict=True))
        elif type(value) is Record:
            parts = [self._convert(item, depth + 1) for item in (value.args, value.state)]
            data = Record(value.kind, *(part for part, _ in parts))
        else:
            parts, data = [], self._leaf(value)
        n_items = 1 + sum(n for _, n in parts)
        # A list of lists that are all the same one is small here and endless for who walks it.
        check_limit(self.name, "items once unfolded", n_items, self.limits.opcodes)
        self.done[id(value)] = data, n_items, value
        return data, n_items

    def _leaf(self, value: Any) -> Any:
        if type(value) is Span:
            self._spend(value.length)
            payload = self.fetch(value.start, value.length)
            try:
                return decode(payload, value.codec) if value.codec else payload
            except ValueError as error:
                raise FileError(f"{self.name} holds a text that is damaged; copy it again") from (
                    error
                )
        if type(value) is Array and value.payload is not None:
            self._spend(value.nbytes)
            return value if self.unread else value.read()
        if type(value) is Name and value.full in _KINDS_OF_NUMBERS:
            return value.full
        data = self.leaf(value)
        if data is None:
            raise FileError(f"{self.name} holds {_kind(value)}, expected arrays, words and numbers")
        return data

    def _spend(self, n_bytes: int) -> None:
        self.left -= n_bytes
        if self.looked_at - self.left > _LOOK and not self.unread:
            check_memory(self.name, _LOOK)
            self.looked_at = self.left
        if self.left < 0:
            raise FileError(
                f"{self.name} holds arrays that share their bytes and claim more than the file "
                "has; save each array with numpy.save"
            )


def _walk(source: Source, most: int, wanted: Collection[str] | None, advice: str) -> Any:
    """Take all steps of the pickle, which must be the whole of the file.

    Of a large one comes from the disk what is `wanted`, of its outermost dict (None for all), and
    what lies between arrays.
    """
    names = numpy_names(source.name, source.limits, source.read) | record_names(_RECORDS)
    with source.map() as buffer:
        ahead = ahead_of(buffer)
        find = finder(source.name, names, advice)
        machine = Machine(buffer, source.name, find, most, ahead=ahead, wanted=wanted)
        value = run(machine)
        if machine.at != source.size:
            raise FileError(
                f"{source.name} goes on for {source.size - machine.at:,} bytes after its pickle "
                "ends; copy or make it again"
            )
    return value


def _filled(array: Array, source: Source) -> Array:
    if array.payload is None:
        raise FileError(f"{source.name} holds an array without content; make it again")
    return array


def _kind(value: Any) -> str:
    """What a value is, in words."""
    kinds = {dict: "a dict", list: "a list", tuple: "a tuple", str: "text", Span: "text"}
    if type(value) is Record:
        return f"a {shown(value.kind, 40)}"
    if type(value) is Name:
        return f"the name {shown(value.full, 40)}"
    return kinds.get(type(value), type(value).__name__)
