"""Route /media/<gallery>/<kind>/<id>: posters and clips by look-up, never by path.

Nothing in an address is ever joined to a folder: the id must be one of the gallery's items and the
kind one of two words, so there is no path to escape from and no other file to reach.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from retrieval.errors import RetrievalError
from retrieval.gallery import Gallery

KINDS = ("clip", "poster")
CONTENT_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".webm": "video/webm",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "public, max-age=3600",
}


def media_url(gallery: str, kind: str, item_id: str) -> str:
    """Address of a poster or clip, relative to the page so that it holds below any sub-path."""
    return f"media/{quote(gallery, safe='')}/{kind}/{quote(item_id, safe='')}"


def media_table(gallery: Gallery) -> dict[tuple[str, str], Path]:
    """(kind, id) -> file, for every poster and clip of a type that browsers show."""
    table = {}
    for item in gallery.items:
        for kind, path in zip(KINDS, (item.clip, item.poster), strict=True):
            if path is not None and path.suffix.lower() in CONTENT_TYPES:
                table[kind, item.id] = path
    return table


def media_route(names: Collection[str], gallery: Callable[[str], Gallery]) -> Route:
    """The one route that serves media; byte ranges and HEAD are answered.

    Args:
        names: galleries that have an address.
        gallery: one of them by its name, asked for when its media are.
    """

    @cache
    def table(name: str) -> dict[tuple[str, str], Path]:
        return media_table(gallery(name))

    def serve(request: Request) -> Response:
        name, kind, item_id = (request.path_params[key] for key in ("gallery", "kind", "id"))
        try:
            path = table(name).get((kind, item_id)) if name in names else None
        except RetrievalError:  # its gallery is broken, which is told where it is chosen
            path = None
        if path is None or not path.is_file():
            return PlainTextResponse("No such clip or poster here.", status_code=404)
        content_type = CONTENT_TYPES[path.suffix.lower()]
        return FileResponse(path, media_type=content_type, headers=HEADERS)

    return Route("/media/{gallery}/{kind}/{id:path}", serve, methods=["GET"])
