"""What visitors had computed: begun, given up, kept for an hour under names nobody guesses."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from retrieval.errors import FileError
from retrieval.tabs.uploads import Uploads

KEPT_S = 3600.0  # seconds that a thing is kept


class HasFolder(Protocol):
    """What is kept has files in a folder of its own."""

    folder: Any


class Running(Protocol):
    """Work that can be given up."""

    def cancel(self) -> None: ...


T = TypeVar("T", bound=HasFolder)


class Kept(Generic[T]):
    """Things of the last hour, each with its folder."""

    def __init__(self, uploads: Uploads, most: int, too_late: str) -> None:
        """Args:
        uploads: where the folders lie.
        most: kept at once; the oldest goes first.
        too_late: the sentence for one that is gone.
        """
        self.uploads, self.most, self.too_late = uploads, most, too_late
        self._kept: dict[str, tuple[float, T]] = {}
        self._lock = threading.Lock()

    def keep(self, thing: T) -> str:
        """Keep a thing; returns its name."""
        name = secrets.token_urlsafe(18)
        with self._lock:
            self._kept[name] = (time.monotonic(), thing)
            while len(self._kept) > self.most:
                self._drop(next(iter(self._kept)))
        return name

    def get(self, name: Any) -> T:
        """A kept thing.

        Raises:
            FileError: there is none of this name any more.
        """
        with self._lock:
            for known, (kept_at, _) in list(self._kept.items()):
                if time.monotonic() - kept_at > KEPT_S:
                    self._drop(known)
            if not isinstance(name, str) or name not in self._kept:
                raise FileError(self.too_late)
            return self._kept[name][1]

    def drop(self, name: Any) -> None:
        """Delete a thing now, if it is there."""
        with self._lock:
            if isinstance(name, str) and name in self._kept:
                self._drop(name)

    def _drop(self, name: str) -> None:
        self.uploads.remove(self._kept.pop(name)[1].folder)


W = TypeVar("W", bound=Running)


class AtWork(Generic[W]):
    """What each visitor has going on: one thing at a time."""

    def __init__(self) -> None:
        self._running: dict[str, W] = {}
        self._lock = threading.Lock()

    def begin(self, session: str, start: Callable[[], W]) -> W:
        """Start for a visitor, once what the same one began before is given up."""
        self.cancel(session)  # before another takes its processors
        work = start()
        with self._lock:
            self._running[session] = work
        return work

    def end(self, session: str, work: W) -> None:
        """It is over, one way or the other."""
        with self._lock:
            if self._running.get(session) is work:
                del self._running[session]

    def cancel(self, session: str) -> bool:
        """Give up what a visitor has going on; False where there is nothing."""
        with self._lock:
            work = self._running.pop(session, None)
        if work is not None:
            work.cancel()
        return work is not None
