"""Route /download/view.<kind>?<link>: the view of a link as CSV, JSON or one HTML page.

The file is made when it is asked for: a search writes nothing to disk, and the address of a
download can be shared like any other link.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from retrieval.answers import SearchResult
from retrieval.errors import QueryError, RetrievalError
from retrieval.export import poster_uris, to_csv, to_html, to_json
from retrieval.tabs import links
from retrieval.tabs.context import log_unexpected, sentence, settings_of
from retrieval.tabs.library import Library
from retrieval.tabs.models import is_heard
from retrieval.tabs.pieces import page_media

CONTENT_TYPES = {"csv": "text/csv", "json": "application/json", "html": "text/html"}


def download_route(library: Library) -> Route:
    """The one route for all three kinds."""

    def serve(request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind not in CONTENT_TYPES:
            return PlainTextResponse("There is view.csv, view.json, view.html.", status_code=404)
        try:
            text, name = _make(library, kind, request)
        except RetrievalError as error:
            return PlainTextResponse(sentence(error), status_code=400)
        except Exception:  # the server must go on, whatever one request met
            return PlainTextResponse(log_unexpected(), status_code=500)
        headers = {
            "Content-Disposition": f'attachment; filename="{name}.{kind}"',
            "X-Content-Type-Options": "nosniff",
        }
        return Response(text, media_type=CONTENT_TYPES[kind], headers=headers)

    return Route("/download/view.{kind}", serve, methods=["GET"])


def _make(library: Library, kind: str, request: Request) -> tuple[str, str]:
    """The file's text and its name without suffix."""
    view, problems = links.parse(dict(request.query_params), library.names)
    if problems:  # a file must not quietly hold another view than its address says
        raise QueryError(problems[0])
    engine = library.engine(view.gallery, view.bank, view.clip)
    result = engine.rank(view.q or None, query_id=view.query_id or None, settings=settings_of(view))
    make: dict[str, Callable[[SearchResult], str]] = {"csv": to_csv, "json": to_json}
    if kind == "html":
        items = {item.id: item for item in engine.gallery.items}
        page, media = str(request.base_url), page_media(library, view)
        return (
            to_html(
                result,
                items,
                posters=poster_uris(items),
                clip=lambda item_id: page + (media.clip(item_id) or ""),
                address=f"{page}{links.build(view)}",
                heard=is_heard(library.manifests[view.gallery]),
            ),
            _file_name(result.query),
        )
    return make[kind](result), _file_name(result.query)


def _file_name(query: str) -> str:
    words = re.findall(r"[a-z0-9]+", query.lower())
    return "-".join(["hublens", *words])[:60].rstrip("-")
