"""The process that opens videos, seen from outside: asked, waited for, killed, started again.

A question is a line of JSON; so is an answer, followed by the bytes of an array if there is one.
"""

import json
import math
import os
import select
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from retrieval.errors import VideoError

TIMEOUT_S = 60.0  # for one question about a file; then the child is killed
MEMORY_BYTES = 4 << 30  # address space of the child


class Child:
    """A process of our own that opens videos; started when first asked, replaced when it dies."""

    def __init__(self, timeout_s: float = TIMEOUT_S, memory_bytes: int = MEMORY_BYTES) -> None:
        """Both hold for one question about a file."""
        self.timeout_s, self.memory_bytes = timeout_s, memory_bytes
        self.lock = threading.Lock()
        self.process: subprocess.Popen | None = None

    def ask(
        self, call: str, timeout_s: float | None = None, **arguments
    ) -> tuple[dict, np.ndarray | None]:
        """Have it do one piece of work on the file `arguments["path"]`; a value and an array."""
        timeout_s = timeout_s or self.timeout_s
        with self.lock:
            if self.process is None or self.process.poll() is not None:
                self._start()
            name = Path(arguments["path"]).name
            try:
                self.process.stdin.write(json.dumps({"call": call, **arguments}).encode() + b"\n")
                self.process.stdin.flush()
                deadline = time.monotonic() + timeout_s
                head = json.loads(self._read_line(deadline))
                array = None
                if "shape" in head:
                    n_bytes = math.prod(head["shape"])
                    array = np.frombuffer(self._read(n_bytes, deadline), np.uint8).reshape(
                        head["shape"]
                    )
            except TimeoutError as error:
                self.stop()
                raise VideoError(
                    f"{name} was given up after {timeout_s:.0f} s of decoding; bring a smaller one"
                ) from error
            except (BrokenPipeError, EOFError, json.JSONDecodeError) as error:
                self.stop()
                raise VideoError(f"{name} crashed the decoder; the file is damaged") from error
        if "error" in head:
            raise VideoError(head["error"])
        return head.get("value"), array

    def _start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "retrieval.video", str(self.memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )

    def stop(self) -> None:
        """End the child; the next question starts another."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None

    def _read(self, n_bytes: int, deadline: float) -> bytearray:
        parts, fd = [], self.process.stdout.fileno()
        while n_bytes:
            if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError
            part = os.read(fd, min(n_bytes, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            n_bytes -= len(part)
        return bytearray().join(parts)  # so that an array made of it can be written

    def _read_line(self, deadline: float) -> bytearray:
        line = bytearray()
        while not line.endswith(b"\n"):
            line += self._read(1, deadline)
        return line


CHILD = Child()  # for files of the operator


def existing(path: str | Path) -> str:
    """The whole path of a file that the child can be asked about; raises FileNotFoundError."""
    resolved = Path(path).resolve()
    if not resolved.is_file():
        raise FileNotFoundError(f"no such video file: {path}")
    return str(resolved)
