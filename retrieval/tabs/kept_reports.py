"""Reports on visitors' matrices: begun, given up, kept for an hour under names nobody guesses."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from retrieval.errors import FileError
from retrieval.matrices import FILES, Examination, MatrixReport, Question
from retrieval.tabs.kept import AtWork, Kept
from retrieval.tabs.uploads import Uploads

MOST_REPORTS = 32  # kept at once; the oldest goes first
TOO_LATE = "This report was deleted, as every report is after an hour; examine the matrices again."
CONTENT_TYPES = {"json": "application/json", "csv": "text/csv", "zip": "application/zip"}


class Reports:
    """The reports of the last hour, and the examinations that are going on."""

    def __init__(self, uploads: Uploads) -> None:
        self.uploads = uploads
        self._kept: Kept[MatrixReport] = Kept(uploads, MOST_REPORTS, TOO_LATE)
        self._running: AtWork[Examination] = AtWork()
        self.keep, self.get, self.cancel = self._kept.keep, self._kept.get, self._running.cancel

    def begin(self, session: str, question: Question) -> Examination:
        """Start examining for a visitor; what the same visitor began before is given up."""
        return self._running.begin(
            session, lambda: Examination(question, self.uploads.new_folder("reports"))
        )

    def end(self, session: str, examination: Examination) -> None:
        """An examination is over, one way or the other."""
        examination.kill()
        self._running.end(session, examination)


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
