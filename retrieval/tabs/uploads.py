"""What visitors send: where it lies, how much of it there may be, and when it goes.

Gradio forgets uploads that break off and files that no event has seen, so the folder is swept here.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrieval.formats.limits import VISITORS

log = logging.getLogger(__name__)

ENVELOPE = 64 * 1024  # bytes of a request around the file
FOLDER = "GRADIO_TEMP_DIR"  # where Gradio puts uploads
PREFIX = "hublens-"  # of a folder of one process


@dataclass(frozen=True)
class UploadLimits:
    """What one server holds for all of its visitors together."""

    file_bytes: int = VISITORS.file_bytes  # of one file
    at_once: int = 2  # uploads on their way
    quota_bytes: int = 2 * 10**9  # of the whole folder
    age_s: float = 3600.0  # until a file is deleted
    broken_s: float = 900.0  # until what is left of a broken upload is deleted
    silence_s: float = 30.0  # without a byte, and an upload is given up


class Uploads:
    """The folder of uploads, and the door to it."""

    def __init__(self, folder: Path, limits: UploadLimits = UploadLimits()) -> None:
        self.folder, self.limits = folder, limits
        self._on_their_way = 0
        self._lock = threading.Lock()

    @classmethod
    def open(cls) -> Uploads:
        """The folder that Gradio uses: the operator's, or one of this process alone."""
        if not os.environ.get(FOLDER):
            _remove_left_behind(Path(tempfile.gettempdir()))
            os.environ[FOLDER] = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")
            atexit.register(shutil.rmtree, os.environ[FOLDER], ignore_errors=True)
        folder = Path(os.environ[FOLDER])
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder)

    def new_folder(self, kind: str) -> Path:
        """An empty folder with a name that cannot be guessed, swept like everything else."""
        parent = self.folder / kind
        parent.mkdir(exist_ok=True)
        return Path(tempfile.mkdtemp(dir=parent))

    def holds(self, path: str | Path) -> bool:
        """Whether a path leads to a file in here."""
        real = Path(path).resolve()
        return real.is_file() and real.is_relative_to(self.folder.resolve())

    def used_bytes(self) -> int:
        """Bytes of all files in here."""
        return sum(size for _, size, _ in self._files())

    def sweep(self, now: float | None = None) -> int:
        """Delete what is too old; returns how many files went.

        Args:
            now: seconds since the epoch; None for the clock's.
        """
        now = time.time() if now is None else now
        gone = 0
        for path, _, changed in self._files():
            # Gradio moves a whole upload into a folder; what lies at the top is still on its way.
            age = self.limits.broken_s if path.parent == self.folder else self.limits.age_s
            if now - changed > age:
                with contextlib.suppress(OSError):
                    path.unlink()
                    gone += 1
        for name, _, _ in os.walk(self.folder, topdown=False):
            with contextlib.suppress(OSError):
                folder = Path(name)
                if folder != self.folder and now - folder.stat().st_mtime > self.limits.age_s:
                    folder.rmdir()  # refuses where something is left
        return gone

    def keep_clean(self, every_s: float = 60.0) -> None:
        """Sweep for as long as the process lives."""

        def run() -> None:
            while self.folder.exists():
                time.sleep(every_s)
                try:
                    self.sweep()
                except Exception:  # the next round may go better
                    log.exception("sweeping the uploads failed")

        threading.Thread(target=run, daemon=True, name="uploads").start()

    def remove(self, folder: Path) -> None:
        """Delete one of our folders now."""
        if folder.resolve().is_relative_to(self.folder.resolve()):
            shutil.rmtree(folder, ignore_errors=True)

    def _files(self) -> Iterator[tuple[Path, int, float]]:
        for folder, _, names in os.walk(self.folder):  # goes on where a folder has just gone
            for path in (Path(folder, name) for name in names):
                with contextlib.suppress(OSError):
                    about = path.lstat()
                    yield path, about.st_size, about.st_mtime

    # -- the door

    async def let_in(
        self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, length: int | None
    ) -> None:
        """Hand an upload on to Gradio, within the limits.

        Args:
            app: Gradio.
            scope, receive, send: of the request.
            length: bytes that it declares; None where it does not.
        """
        refusal = self._refusal(length)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        try:
            await self._counted(app, scope, receive, send)
        finally:
            with self._lock:
                self._on_their_way -= 1

    def _refusal(self, length: int | None) -> PlainTextResponse | None:
        """Why an upload cannot begin; None counts it as begun."""
        if length is not None and length > self.limits.file_bytes + ENVELOPE:
            return self._too_large(length)
        self.sweep()
        if self.used_bytes() + (length or 0) > self.limits.quota_bytes:
            return _told("The server holds all the uploads that it can; try again in an hour.", 507)
        with self._lock:
            if self._on_their_way >= self.limits.at_once:
                said = f"{self.limits.at_once} uploads are on their way; try again in a moment."
                return _told(said, 503)
            self._on_their_way += 1
        return None

    def _too_large(self, length: int) -> PlainTextResponse:
        most = self.limits.file_bytes / 2**20
        return _told(
            f"The file has {length / 2**20:,.0f} MB, the limit is {most:,.0f} MB; bring a smaller "
            "one, for example in float16.",
            413,
        )

    async def _counted(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the bytes of a body, declared or not, and give it up where it goes too far."""
        taken, refusal, answered = 0, None, False

        async def receiver() -> Message:
            nonlocal taken, refusal
            try:
                message = await asyncio.wait_for(receive(), self.limits.silence_s)
            except asyncio.TimeoutError:
                refusal = _told("The upload fell silent and was given up.", 408)
                return {"type": "http.disconnect"}
            taken += len(message.get("body", b""))
            if taken > self.limits.file_bytes + ENVELOPE:
                refusal = self._too_large(taken)
                return {"type": "http.disconnect"}
            return message

        async def sender(message: Message) -> None:
            nonlocal answered
            if refusal is None or answered:
                answered = True
                await send(message)

        try:
            await app(scope, receiver, sender)
        except Exception:
            if refusal is None:
                raise
        if refusal is not None and not answered:
            await refusal(scope, receive, send)


def _told(text: str, status: int) -> PlainTextResponse:
    return PlainTextResponse(text, status_code=status, headers={"Connection": "close"})


def _remove_left_behind(parent: Path) -> None:
    """Delete the folders of servers that were killed, which nobody sweeps any more."""
    if os.name != "posix":  # elsewhere signal 0 is no question but an interrupt
        return
    for folder in parent.glob(f"{PREFIX}*-*"):
        pid = folder.name.removeprefix(PREFIX).split("-")[0]
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except (ValueError, OSError):  # not one of ours, or another user's living one
            continue
