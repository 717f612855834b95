"""Numbers by step -> an event file, as TensorBoard reads it; owner of tensorboardX.

Its plain writer is used, not its SummaryWriter: that one writes in a thread, whose last numbers a
kill takes along, and turns the names `R@1` of our log into `R_1`.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrieval.errors import SettingsError


class Events:
    """An event file that begins with the first numbers; TensorBoard joins those of a folder.

    Args:
        folder: where it is made.

    Raises:
        SettingsError: tensorboardX is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Path(folder)
        self._file: Any = None
        try:
            import tensorboardX  # noqa: F401  # told now, not after an epoch
        except ImportError as error:
            raise SettingsError(
                "tensorboardX, which writes event files, is not installed; `pip install "
                "tensorboardX`, or set trainer.tensorboard to false"
            ) from error

    def add(self, row: Mapping[str, float], step: int) -> None:
        """Write numbers of a step by name; they are on the disk when this returns."""
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.proto.summary_pb2 import Summary

        if self._file is None:
            self._file = self._begin()
            # What an earlier file of the folder says of this step or of later ones is not shown.
            self._write(Event(step=step, session_log=SessionLog(status=SessionLog.START)))
        values = [Summary.Value(tag=name, simple_value=value) for name, value in row.items()]
        self._write(Event(step=step, summary=Summary(value=values)))
        self._file.flush()

    def _begin(self) -> Any:
        from tensorboardX.event_file_writer import EventsWriter

        # Its own names change once a second; a run may end and go on within one.
        unique = f".{os.getpid()}.{time.time_ns()}"
        return EventsWriter(str(self._folder / "events"), unique)

    def _write(self, event: Any) -> None:
        event.wall_time = time.time()
        self._file.write_event(event)
