"""Gradio's own scripts and styles, compressed once and kept by browsers; pages sent compressed.

A first visit asks for some eighty files. Gradio reads and compresses each of them anew for every
visitor and lets no browser keep them; here each is compressed when it is first asked for and then
answered from memory. The files are those of the installed package, so what is kept is bounded.
"""

from __future__ import annotations

import asyncio
import functools
import gzip

import brotli
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrieval.tabs.guard import path_of

HASHED = "/assets/"  # a file's name changes with its content
NAMED = ("/static/", "/theme.css")
PAGES = ("/", "/results", "/about")
CODINGS = {  # best first
    "br": lambda body, effort: brotli.compress(body, quality=effort),
    "gzip": gzip.compress,
}
EFFORT = {"kept": 6, "made": 4}  # of compressing what is sent to many, and to one
SMALLEST = 512  # bytes; below, compression gains nothing
LARGE = 200_000  # bytes; above, it takes long enough to keep others waiting
FOR_EVER = "public, max-age=31536000, immutable"
FOR_A_WHILE = "public, max-age=3600"
PARTIAL = (b"range", b"if-range", b"if-none-match", b"if-modified-since")


class Assets:
    """ASGI middleware; see the module."""

    def __init__(self, app: ASGIApp):
        self.app = app
        self._kept: dict[tuple[str, str, bool], tuple[Message, bytes]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        path, coding = path_of(scope), _coding(scope)
        keeps = path.startswith((HASHED, *NAMED))
        if not keeps and path not in PAGES:
            await self.app(scope, receive, send)
            return
        versioned = path.startswith(HASHED) or b"v=" in scope.get("query_string", b"")
        key = (path, coding, versioned)
        if key in self._kept:
            start, body = self._kept[key]
        else:
            start, body = await _whole(self.app, scope, receive)
            if start["status"] == 200:
                body = await _compressed(start, body, coding, "kept" if keeps else "made")
                if keeps:
                    _let_keep(start, FOR_EVER if versioned else FOR_A_WHILE)
                    self._kept[key] = start, body
        # A copy, because those further out add their headers to it.
        await send({**start, "headers": list(start["headers"])})
        await send({"type": "http.response.body", "body": body})


def _coding(scope: Scope) -> str:
    """The best compression that the visitor's browser takes; "" for none."""
    accepted = Headers(scope=scope).get("accept-encoding", "").split(",")
    names = {word.partition(";")[0].strip() for word in accepted}
    return next((name for name in CODINGS if name in names), "")


async def _whole(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
    """The start and the body of an answer with all of a file, whatever part was asked for."""
    start: Message = {}
    parts: list[bytes] = []

    async def collect(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            parts.append(message.get("body", b""))

    headers = [(name, value) for name, value in scope["headers"] if name not in PARTIAL]
    await app({**scope, "headers": headers}, receive, collect)
    return start, b"".join(parts)


async def _compressed(start: Message, body: bytes, coding: str, effort: str) -> bytes:
    """The body as it is sent, with what the headers say of it."""
    headers = MutableHeaders(raw=start["headers"])
    headers.add_vary_header("Accept-Encoding")
    if coding and "content-encoding" not in headers and len(body) >= SMALLEST:
        make = functools.partial(CODINGS[coding], body, EFFORT[effort])
        body = await asyncio.to_thread(make) if len(body) > LARGE else make()
        headers["Content-Encoding"] = coding
    headers["Content-Length"] = str(len(body))
    return body


def _let_keep(start: Message, how_long: str) -> None:
    headers = MutableHeaders(raw=start["headers"])
    headers["Cache-Control"] = how_long
    for name in ("accept-ranges", "last-modified", "etag"):  # of the file as it lies on disk
        del headers[name]
