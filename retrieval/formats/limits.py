"""How much a file that someone brings may ask for; the one place where these numbers stand."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import FileError


@dataclass(frozen=True)
class Limits:
    """What a file may hold. The defaults serve an operator, whose own machine is the bound."""

    file_bytes: int = 2**44  # of one file
    cells: int = 10**13  # numbers of one array
    side: int = 10**10  # length of one axis
    unpacked_bytes: int = 16 * 2**30  # all compressed arrays of one .npz together
    members: int = 64  # arrays of one .npz, or of one pickle that is opened as arrays
    tensors: int = 20_000  # of one checkpoint or .safetensors file
    header_bytes: int = 10_000  # of a .npy; that of a plain array takes 128
    index_bytes: int = 16 * 2**20  # names, sizes and places: of a .safetensors, zip or .pt file
    array_opcodes: int = 10_000  # steps of a pickle that holds arrays; one array takes about 40
    tensor_opcodes: int = 2 * 10**6  # steps of a checkpoint's pickle; one tensor takes about 40
    opcodes: int = 30 * 10**6  # steps of a pickle of features or captions
    depth: int = 64  # containers in containers
    text_bytes: int = 2 * 2**30  # of a .csv file
    line_bytes: int = 64 * 2**20  # one row of a .csv file


LIMITS = Limits()
VISITORS = Limits(  # of a public page
    file_bytes=512 * 2**20,
    cells=10**8,
    side=10**7,
    unpacked_bytes=512 * 2**20,
    opcodes=10**6,
    text_bytes=512 * 2**20,
)


@dataclass(frozen=True)
class VideoLimits:
    """What a visitor's video may hold, and what it may cost to open it."""

    file_bytes: int = 100 * 2**20
    used_s: float = 60.0  # seconds from its start; what follows is left out
    pixels: int = 3840 * 2160  # of one picture
    pictures: int = 20_000
    ratio: float = 16.0  # of the longer side to the shorter
    step_s: float = 10.0  # for one thing that is asked of it; five are: frames, sound, a copy, ...
    memory_bytes: int = 1_500_000_000  # address space of the process that decodes
    copied: int = 10**9  # pixels of all pictures together; of more, no copy to play is made
    name: int = 60  # characters of its name that are shown


VIDEOS = VideoLimits()


def check_limit(name: str, what: str, found: int, limit: int) -> None:
    """Refuse what is over its limit, naming both."""
    if found > limit:
        raise FileError(
            f"{name} has {counted(found)} {what}, the limit is {limit:,}; bring a smaller one"
        )


def counted(n: int) -> str:
    """A number as it stands in a message; a file can claim one that fills the screen."""
    return f"{n:,}" if n < 10**24 else "over 10^24"


def check_shape(name: str, shape: tuple[int, ...], limits: Limits) -> None:
    """Refuse an array of more axes, longer sides or more cells than may be."""
    check_limit(name, "axes", len(shape), 32)
    cells = 1
    for side in shape:
        check_limit(name, "items on one side", side, limits.side)
        cells *= side
    check_limit(name, "cells", cells, limits.cells)


def check_memory(name: str, n_bytes: int) -> None:
    """Refuse to allocate what is not free: a swapping machine serves nobody."""
    free = free_memory()
    if n_bytes > free:
        raise FileError(
            f"{name} needs {n_bytes / 1e9:,.1f} GB of memory, {free / 1e9:,.1f} GB is free; bring "
            "a smaller one or use a larger machine"
        )


def free_memory() -> int:
    """Bytes that can be allocated here without swapping, as far as the system tells."""
    free = 2**63
    with contextlib.suppress(OSError, ValueError, AttributeError):
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = int(next(x for x in lines if x.startswith("MemAvailable")).split()[1]) * 1024
    with contextlib.suppress(OSError, ValueError):  # a container may have less; "max" if not
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())
        free = min(free, limit - int((group / "memory.current").read_text()))
    return free
