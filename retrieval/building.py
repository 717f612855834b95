"""A folder in the making -> in its place, whole or not at all; a build that broke off continues.

Everything is written to `OUT.partial`; the manifest is its last file, and one rename puts it in the
place of `OUT`, so a reader finds the old folder or the new one and never a mixture.
"""

import contextlib
import ctypes
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from retrieval.errors import GalleryError
from retrieval.files import (
    open_regular,
    parse_json,
    read_json,
    sha256_file,
    sync_folder,
    write_json,
    write_npy,
)
from retrieval.formats import read_npy
from retrieval.manifests import BUILDING, JOURNAL, MANIFEST, partial_of, write_manifest

try:
    import fcntl
except ImportError:  # not on every platform; two builders at once are then not told apart
    fcntl = None


def lock(file: BinaryIO) -> bool:
    """Hold a file until it is closed, or this process leaves; False if another one holds it."""
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


class Journal:
    """Lines of JSON in a file, of which a break costs at most the one that was being written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> list[dict[str, Any]]:
        """What was noted, oldest first; a torn line is left out."""
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().split(b"\n")[:-1]  # what follows the last newline is torn
        noted = []
        for line in lines:
            with contextlib.suppress(GalleryError):
                noted.append(parse_json(line, self.path.name))
        return noted

    def note(self, entry: dict[str, Any]) -> None:
        """Add a line; it is on the disk when this returns."""
        with open(self.path, "a+b") as file:
            file.seek(0, os.SEEK_END)
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a torn line stays one bad line
                    file.write(b"\n")
            file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


class Build:
    """A folder in the making: `OUT.partial` until `finish` puts it, whole, in the place of `OUT`.

    Use it as a context manager. A build that breaks off leaves `OUT.partial` with the command that
    continues it; the same `recipe` finds its journal again, another one is refused.
    """

    def __init__(self, out: str | Path, command: str, recipe: dict[str, Any] | None = None):
        """Begin or continue.

        Args:
            out: the folder to make; an old one of the same kind is replaced at the end.
            command: the command line, kept in the manifest and told to whoever finds a half.
            recipe: what must be equal for a journal to be continued; None never continues.
        """
        self.out = Path(os.path.abspath(out))
        self.folder = partial_of(self.out)
        self.journal = Journal(self.folder / JOURNAL)
        self.command = command
        self.recipe = recipe
        self._lock: BinaryIO | None = None

    def __enter__(self) -> "Build":
        out, shown = self.out, self.out.name
        if out.is_file() or (
            out.is_dir() and not (out / MANIFEST).is_file() and any(out.iterdir())
        ):
            raise GalleryError(f"{shown} exists and was not made by this command; name another")
        out.parent.mkdir(parents=True, exist_ok=True)
        self._take_lock()  # before anything is removed: another builder may be at work
        started = self._read_building()
        continues = self.recipe is not None and started.get("recipe") == self.recipe
        if started and not continues and self.journal.path.exists():
            self.__exit__()
            raise GalleryError(
                f"{self.folder.name} was begun by `{started.get('command')}`; finish it with that, "
                "or delete it"
            )
        if not continues:
            self.__exit__()
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir()
            write_json(self.folder / BUILDING, {"command": self.command, "recipe": self.recipe})
            self._take_lock()
        return self

    def _take_lock(self) -> None:
        """Hold building.json until this process leaves; the kernel frees it after a kill."""
        if not (self.folder / BUILDING).exists():
            return
        self._lock = open_regular(self.folder / BUILDING)
        if not lock(self._lock):
            self.__exit__()
            raise GalleryError(f"{self.folder.name} is being written; wait for it")

    def __exit__(self, *_exc: object) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _read_building(self) -> dict[str, Any]:
        with contextlib.suppress(GalleryError, OSError):
            started = read_json(self.folder / BUILDING)
            return started if isinstance(started, dict) else {}
        return {}

    def add_shard(self, array: np.ndarray, entries: list[dict[str, Any]]) -> None:
        """Keep finished rows, on disk when this returns, so that a break costs only what follows.

        Args:
            array: [n, dim] finished embeddings.
            entries: what each row is, n of them.
        """
        path = self.folder / f"shard-{len(list(self.folder.glob('shard-*.npy'))):06d}.npy"
        write_npy(path, array)
        self.journal.note({"shard": path.name, "sha256": sha256_file(path), "entries": entries})

    def shards(self) -> Iterator[tuple[np.ndarray, list[dict[str, Any]]]]:
        """Finished rows in the order they were kept; a damaged shard is left out."""
        for noted in self.journal.entries():
            path = self.folder / noted["shard"]
            if path.is_file() and sha256_file(path) == noted["sha256"]:
                yield read_npy(path), noted["entries"]

    def drop_shards(self) -> None:
        """Remove the shards, once their rows are in one file."""
        for path in self.folder.glob("shard-*.npy"):
            path.unlink()

    def finish(self, kind: str, about: dict[str, Any]) -> dict[str, Any]:
        """Write the manifest and put the folder in its place; returns the manifest."""
        manifest = write_manifest(self.folder, kind, {**about, "command": self.command})
        self.journal.path.unlink(missing_ok=True)
        (self.folder / BUILDING).unlink()
        if not self.out.exists() or not any(self.out.iterdir()):
            os.replace(self.folder, self.out)
        elif _exchange(self.folder, self.out):
            shutil.rmtree(self.folder)  # the old one, after the swap
        else:
            old = self.out.with_name(f"{self.out.name}.old-{os.getpid()}")
            os.rename(self.out, old)
            os.rename(self.folder, self.out)
            shutil.rmtree(old)
        sync_folder(self.out.parent)
        return manifest


def _exchange(first: Path, second: Path) -> bool:
    """Swap two folders in one step (Linux renameat2), so that a reader always finds one whole."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return rename(here, os.fsencode(first), here, os.fsencode(second), exchange) == 0
