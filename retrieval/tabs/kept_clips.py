"""Visitors' own clips: arriving, kept for an hour, and the engines that rank them with a gallery.

A clip joins no gallery that others see: its name travels in the link, and who asks with that name
is answered by an engine with one item more.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from retrieval.arrival import Arrival, Clip
from retrieval.engine import Engine
from retrieval.engine.kept import Kept as Computed
from retrieval.errors import FileError
from retrieval.tabs.kept import AtWork, Kept
from retrieval.tabs.media import CONTENT_TYPES, HEADERS, KINDS
from retrieval.tabs.uploads import Uploads

MOST_CLIPS = 64  # kept at once; the oldest goes first
MOST_ENGINES = 16  # of clips and galleries: each has the gallery's embeddings once more
MOST_NUMBERS = 2**25  # embeddings of a gallery that a clip may join
TOO_LATE = "Your clip was deleted, as every upload is after an hour; upload it again"


class Clips:
    """The clips of the last hour, and those that are arriving."""

    def __init__(self, uploads: Uploads) -> None:
        self.uploads = uploads
        self._kept: Kept[Clip] = Kept(uploads, MOST_CLIPS, TOO_LATE)
        self._running: AtWork[Arrival] = AtWork()
        self._engines = Computed(MOST_ENGINES)  # clip and engine -> engine with the clip
        self.keep, self.get, self.drop = self._kept.keep, self._kept.get, self._kept.drop
        self.cancel, self.end = self._running.cancel, self._running.end

    def begin(self, session: str, path: Any, encoder: Callable[[], Any]) -> Arrival:
        """Start on a file that a visitor uploaded; what the same one began before is given up.

        Args:
            session: the visitor's.
            path: as the browser names it.
            encoder: gives the encoder that embeds the clip first.

        Raises:
            FileError: the file is not among the uploads.
        """
        if not isinstance(path, str) or not self.uploads.holds(path):
            raise FileError("choose a video first; one that was uploaded before has to come again")
        return self._running.begin(
            session, lambda: Arrival(Path(path), self.uploads.new_folder("clips"), encoder)
        )

    def engine(self, engine: Engine, name: str) -> Engine:
        """An engine that ranks a kept clip with the others.

        Raises:
            FileError: the clip is gone.
            VideoError, ModelError: the engine's model cannot compare it.
        """
        clip = self.get(name)
        if engine.gallery.video_emb.size > MOST_NUMBERS:
            raise FileError("this gallery is too large for a clip of your own to join it")

        def make() -> Engine:
            try:
                row = clip.row(engine.load_encoder())
            except FileNotFoundError as error:  # swept a moment ago
                raise FileError(self._kept.too_late) from error
            return engine.with_items([clip.item(engine.gallery.rows.__contains__)], row)

        return self._engines.get((name, id(engine)), make)


def clip_url(name: str, kind: str) -> str:
    """Address of a kept clip's still or copy, relative to the page."""
    return f"download/clip/{name}/{kind}"


def clips_route(clips: Clips) -> Route:
    """Route /download/clip/NAME/KIND: the still, and the copy to play, of a kept clip."""

    def serve(request: Request) -> Response:
        kind = request.path_params["kind"]
        try:
            item = clips.get(request.path_params["name"]).item(lambda _: False)
            path = getattr(item, kind) if kind in KINDS else None
        except FileError:
            path = None
        if path is None or not path.is_file():
            return PlainTextResponse(f"{TOO_LATE}.", status_code=404)
        headers = {**HEADERS, "Cache-Control": "private, max-age=3600"}
        return FileResponse(path, media_type=CONTENT_TYPES[path.suffix], headers=headers)

    return Route("/download/clip/{name}/{kind}", serve, methods=["GET"])
