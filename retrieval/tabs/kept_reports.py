"""Reports on visitors' matrices: begun, given up, kept for an hour under names nobody guesses."""

from __future__ import annotations

import secrets
import threading
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from retrieval.errors import FileError
from retrieval.matrices import FILES, Examination, MatrixReport, Question
from retrieval.tabs.uploads import Uploads

KEPT_S = 3600.0  # seconds that a report is kept
MOST_REPORTS = 32  # kept at once; the oldest goes first
TOO_LATE = "This report was deleted, as every report is after an hour; examine the matrices again."
CONTENT_TYPES = {"json": "application/json", "csv": "text/csv", "zip": "application/zip"}


class Reports:
    """The reports of the last hour, and the examinations that are going on."""

    def __init__(self, uploads: Uploads) -> None:
        self.uploads = uploads
        self._kept: dict[str, tuple[float, MatrixReport]] = {}
        self._running: dict[str, Examination] = {}
        self._lock = threading.Lock()

    def keep(self, report: MatrixReport) -> str:
        """Keep a report; returns its name."""
        name = secrets.token_urlsafe(18)
        with self._lock:
            self._kept[name] = (time.monotonic(), report)
            while len(self._kept) > MOST_REPORTS:
                self._drop(next(iter(self._kept)))
        return name

    def get(self, name: Any) -> MatrixReport:
        """A kept report.

        Raises:
            FileError: there is none of this name any more.
        """
        with self._lock:
            for known, (kept_at, _) in list(self._kept.items()):
                if time.monotonic() - kept_at > KEPT_S:
                    self._drop(known)
            if not isinstance(name, str) or name not in self._kept:
                raise FileError(TOO_LATE)
            return self._kept[name][1]

    def _drop(self, name: str) -> None:
        self.uploads.remove(self._kept.pop(name)[1].folder)

    def begin(self, session: str, question: Question) -> Examination:
        """Start examining for a visitor; what the same visitor began before is given up."""
        self.cancel(session)
        examination = Examination(question, self.uploads.new_folder("reports"))
        with self._lock:
            self._running[session] = examination
        return examination

    def end(self, session: str, examination: Examination) -> None:
        """An examination is over, one way or the other."""
        examination.kill()
        with self._lock:
            if self._running.get(session) is examination:
                del self._running[session]

    def cancel(self, session: str) -> bool:
        """Give up what a visitor has going on; False where there is nothing."""
        with self._lock:
            examination = self._running.pop(session, None)
        if examination is not None:
            examination.cancel()
        return examination is not None


def reports_route(reports: Reports) -> Route:
    """Route /download/matrices/NAME.KIND: the files of a kept report."""

    def serve(request: Request) -> Response:
        kind = request.path_params["kind"]
        try:
            path = reports.get(request.path_params["name"]).folder / FILES[kind]
        except (FileError, KeyError):
            return PlainTextResponse(TOO_LATE, status_code=404)
        headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
        name = f"hublens-{FILES[kind]}"
        return FileResponse(path, media_type=CONTENT_TYPES[kind], filename=name, headers=headers)

    return Route("/download/matrices/{name}.{kind}", serve, methods=["GET"])
