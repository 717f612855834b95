"""The door in front of Gradio: known paths only, small bodies only, no writes from other pages.

Gradio opens more than this page needs (file proxies, icon resizing, recording conversion); a path
that is not on the list here is answered with 404 before Gradio sees it. Uploads have limits of
their own, see `uploads`.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrieval.tabs.uploads import Uploads

MAX_BODY = 256 * 1024  # bytes of one request that is no upload
UPLOAD = "/gradio_api/upload"
EXACT = {
    *("/", "/results", "/about", "/config", "/theme.css", "/health"),
    *("/manifest.json", "/favicon.ico"),
    *("/gradio_api/info", "/gradio_api/app_id", "/gradio_api/startup-events"),
    *("/gradio_api/cancel", "/gradio_api/reset", "/robots.txt"),
    *(UPLOAD, "/gradio_api/upload_progress"),
}
READING = ("GET", "HEAD", "OPTIONS")  # methods that change nothing and carry no body
BELOW = (
    *("/assets/", "/static/", "/media/", "/download/", "/svelte/"),
    *("/gradio_api/queue/", "/gradio_api/call/", "/gradio_api/heartbeat/"),
)
HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    # Nothing may be fetched from another host, whatever a caption or a component asks for.
    b"content-security-policy": (
        b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; "
        b"base-uri 'self'; form-action 'self'"
    ),
}


class Guard:
    """ASGI middleware; see the module."""

    def __init__(self, app: ASGIApp, uploads: Uploads):
        self.app, self.uploads = app, uploads

    @classmethod
    def middleware(cls, uploads: Uploads) -> Middleware:
        return Middleware(cls, uploads=uploads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        if path_of(scope) == UPLOAD and scope["method"] == "POST":
            length = headers.get(b"content-length")
            guarded = _with_headers(send)
            await self.uploads.let_in(
                self.app, scope, receive, guarded, None if length is None else int(length)
            )
            return
        if scope["method"] not in READING:
            body = await _read_capped(receive)
            if body is None:
                await _too_large()(scope, receive, send)
                return
            receive = _replay(body, receive)
        await self.app(scope, receive, _with_headers(send))

    def _is_upload(self, path: str) -> bool:
        """Whether an address is that of a file which a visitor brought."""
        below = f"/gradio_api/file={self.uploads.folder}/"
        return path.startswith(below) and ".." not in path.split("/")

    def _refusal(self, scope: Scope, headers: dict[bytes, str]) -> PlainTextResponse | None:
        """The answer to a request that goes no further; None lets it through."""
        path = path_of(scope)
        if path not in EXACT and not path.startswith(BELOW) and not self._is_upload(path):
            return PlainTextResponse("Not found.", status_code=404)
        if scope["method"] in READING:
            return None
        length = headers.get(b"content-length", "0")
        if not (length.isascii() and length.isdigit()):
            return _too_large()
        if int(length) > MAX_BODY and path != UPLOAD:
            return _too_large()
        origin = headers.get(b"origin")
        if origin and urlsplit(origin).netloc not in _own_hosts(headers):
            return PlainTextResponse("Requests from other pages are refused.", status_code=403)
        return None


def path_of(scope: Scope) -> str:
    """The path below the page's root."""
    path, root = scope["path"], scope.get("root_path", "").rstrip("/")
    return path[len(root) :] if root and path.startswith(root + "/") else path


def _own_hosts(headers: dict[bytes, str]) -> set[str]:
    names = {headers.get(b"host", ""), headers.get(b"x-forwarded-host", "")}
    return names | {os.environ.get("SPACE_HOST", "")} - {""}


def _too_large() -> PlainTextResponse:
    text = f"The request is larger than {MAX_BODY // 1024} kB."
    return PlainTextResponse(text, status_code=413)


async def _read_capped(receive: Receive) -> bytes | None:
    """The whole body; None where it is over the cap, which a chunked one does not declare."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return None
        if message["type"] != "http.request" or not message.get("more_body"):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Hand out a body that was read, then whatever the client sends next."""
    waiting = [body]

    async def receiver() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return receiver


def _with_headers(send: Send) -> Send:
    """Add our headers where a route has not set its own."""

    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            known = {name.lower() for name, _ in message["headers"]}
            added = [(name, value) for name, value in HEADERS.items() if name not in known]
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return sender
