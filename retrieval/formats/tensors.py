"""What stands in for PyTorch in a checkpoint: storages, tensors, and the names around them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrieval.errors import FileError
from retrieval.formats.limits import check_limit, check_memory, check_shape
from retrieval.formats.machine import Machine, Name
from retrieval.formats.pickles import Plain, finder, record_names
from retrieval.formats.source import Source
from retrieval.formats.standins import Fetch, Record, numpy_names
from retrieval.formats.steps import run
from retrieval.formats.stored import StoredArray, as_numbers

_NUMBERS = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "u2",  # the upper halves of float32
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8")
_SCRIPT_LISTS = ("build_intlist", "build_tensorlist", "build_doublelist", "build_boollist")
# What official checkpoints carry beside the weights; each becomes a Record of plain data.
_PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path")
_RECORDS = [
    ("parse_config", "ConfigParser"),
    ("argparse", "Namespace"),
    ("logging", "getLogger"),
    ("logging", "Logger"),
    ("logging", "RootLogger"),
    ("torch", "device"),
    *((module, name) for module in ("pathlib", "pathlib._local") for name in _PATHS),
]


@dataclass
class Storage:
    """The numbers that one or more tensors are made of."""

    raw: np.dtype  # as they lie in the file
    bfloat16: bool
    n: int
    offset: int | None = None  # place in the file, if they lie there as they are
    read: Callable[[], np.ndarray] | None = None  # gives their bytes
    numbers: np.ndarray | None = None  # once they were read

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return self.n * self.raw.itemsize


@dataclass
class Tensor:
    """Stands in for a tensor: which numbers of a storage, and in which order."""

    storage: Storage
    first: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # in numbers

    def array(self) -> np.ndarray:
        """The tensor as an array; all that share a storage share its memory."""
        storage = self.storage
        if storage.numbers is None:
            raw = storage.read() if storage.n else np.empty(0, np.uint8)
            storage.numbers = as_numbers(raw.view(storage.raw), storage.bfloat16)
        numbers, item = storage.numbers, storage.numbers.itemsize
        steps = [stride * item for stride in self.strides]
        return np.ndarray(self.shape, numbers.dtype, numbers, self.first * item, steps)

    def stored(self, source: Source, name: str) -> StoredArray:
        """The tensor, to be read from the file's own bytes where they lie there as they are."""
        storage, item = self.storage, self.storage.raw.itemsize
        if storage.offset is None:
            dtype = np.dtype(np.float32) if storage.bfloat16 else storage.raw
            return StoredArray(source, name, self.shape, dtype, load=lambda: self.array().copy())
        offset = storage.offset + self.first * item
        steps = tuple(stride * item for stride in self.strides)
        return StoredArray(
            source, name, self.shape, storage.raw, offset, strides=steps, bfloat16=storage.bfloat16
        )


class Layout:
    """The pickles of one checkpoint, and the storages that they mention, by key.

    Args:
        source: the file.
        fetch: reads the bytes of a payload in a pickle.
        order: "<" or ">", of the numbers.
        script: whether it is a TorchScript archive.
    """

    def __init__(
        self, source: Source, fetch: Fetch, order: str = "<", script: bool = False
    ) -> None:
        self.source, self.fetch, self.order, self.script = source, fetch, order, script
        self.storages: dict[str, Storage] = {}
        names = numpy_names(source.name, source.limits, fetch)
        names |= record_names(_RECORDS) | _torch_names(self._tensor)
        self._known = finder(source.name, names, "save the model's state_dict() alone")

    def walk(self, buffer: Any, start: int = 0) -> tuple[Any, int]:
        """What a pickle describes, and the place after it."""
        name, most = self.source.name, self.source.limits.tensor_opcodes
        machine = Machine(buffer, name, self._find, most, self._storage, int_keys=True, start=start)
        return run(machine), machine.at

    def plain(self, value: Any) -> Any:
        """The data of a value, with its tensors as arrays."""
        source = self.source
        check_memory(source.name, sum(storage.nbytes for storage in self.storages.values()))
        return Plain(source.name, source.limits, self.fetch, source.size, _leaf).of(value)

    def _find(self, module: str, name: str) -> Name:
        if self.script and (module == "__torch__" or module.startswith("__torch__.")):
            # A class that was compiled into the archive; as a record it is as inert as any.
            kind = f"{module}.{name}"
            return Name(kind, new=lambda *args: Record(kind, args))
        return self._known(module, name)

    def _storage(self, pid: Any) -> Storage:
        """What a persistent id stands for."""
        form = type(pid) is tuple and len(pid) in (5, 6) and pid[0] == "storage"
        if not form or pid[5:] not in ((), (None,)) or type(pid[1]) is not Name:
            raise FileError(
                f"{self.source.name} refers to something that is no storage of numbers; save the "
                "weights with torch.save(model.state_dict(), ...)"
            )
        _, kind, key, _, n = pid[:5]
        kind = kind.full.removeprefix("torch.")
        if kind not in _NUMBERS or type(key) is not str or type(n) is not int or n < 0:
            raise TypeError
        raw = np.dtype(_NUMBERS[kind]).newbyteorder(self.order)
        storage = self.storages.setdefault(key, Storage(raw, kind == "BFloat16Storage", n))
        if (storage.raw, storage.n) != (raw, n):
            raise TypeError
        check_limit(self.source.name, "tensors", len(self.storages), self.source.limits.tensors)
        return storage

    def _tensor(self, storage: Any, first: Any, shape: Any, strides: Any, *flags: Any) -> Tensor:
        """Check that a tensor keeps to its storage."""
        counts = (first, *shape, *strides)
        if type(storage) is not Storage or any(type(n) is not int or n < 0 for n in counts):
            raise TypeError
        name, shape, strides = self.source.name, tuple(shape), tuple(strides)
        check_shape(name, shape, self.source.limits)
        n = math.prod(shape)
        last = first + sum((a - 1) * b for a, b in zip(shape, strides, strict=True))
        # A stride of zero makes a terabyte out of four bytes.
        if n > storage.n or (n and last >= storage.n):
            raise FileError(
                f"{name} has a tensor {shape!s:.40} that claims more numbers than it holds "
                f"({storage.n:,}); save it with .contiguous()"
            )
        return Tensor(storage, first if n else 0, shape, strides)


def _leaf(value: Any) -> Any:
    if type(value) is Tensor:
        return value.array()
    return value.full if type(value) is Name and value.full.startswith("torch.") else None


def _torch_names(tensor: Callable[..., Tensor]) -> dict[tuple[str, str], Name]:
    """What checkpoints mention of PyTorch and around it, by (module, name)."""

    def parameter(data: Any, *flags: Any) -> Tensor:
        if type(data) is not Tensor:
            raise TypeError
        return data

    def counted(items: Any = None) -> dict[Any, Any]:
        return {} if type(items) is not dict else items

    names = {
        ("torch._utils", "_rebuild_tensor"): Name("_rebuild_tensor", tensor),
        ("torch._utils", "_rebuild_tensor_v2"): Name("_rebuild_tensor_v2", tensor),
        ("torch._utils", "_rebuild_parameter"): Name("_rebuild_parameter", parameter),
        ("torch._utils", "_rebuild_parameter_with_state"): Name("_rebuild_parameter", parameter),
        ("torch", "Size"): Name("torch.Size", lambda sides: sides),
        ("collections", "Counter"): Name("Counter", counted),
        ("collections", "defaultdict"): Name("defaultdict", counted),
        ("torch.jit._pickle", "restore_type_tag"): Name("restore", lambda value, tag: value),
    }
    for name in (*_NUMBERS, *_DTYPES):
        names["torch", name] = Name(f"torch.{name}")
    for name in _SCRIPT_LISTS:
        names["torch.jit._pickle", name] = Name(name, lambda items: items)
    for builtins in ("builtins", "__builtin__"):
        for name in ("dict", "list", "int", "float"):  # what a defaultdict would make
            names[builtins, name] = Name(name)
    return names
