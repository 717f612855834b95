"""The door in front of Gradio: known paths only, small bodies only, no writes from other pages.

Gradio opens more than this page needs (file proxies, icon resizing, recording conversion, uploads);
a path that is not on the list here is answered with 404 before Gradio sees it.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 256 * 1024  # bytes of one request
EXACT = {
    *("/", "/config", "/theme.css", "/health", "/about", "/manifest.json", "/favicon.ico"),
    *("/gradio_api/info", "/gradio_api/app_id", "/gradio_api/startup-events"),
    *("/gradio_api/cancel", "/gradio_api/reset", "/robots.txt"),
}
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

    def __init__(self, app: ASGIApp):
        self.app = app

    @classmethod
    def middleware(cls) -> Middleware:
        return Middleware(cls)

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
        await self.app(scope, _Capped(receive), _with_headers(send))

    @staticmethod
    def _refusal(scope: Scope, headers: dict[bytes, str]) -> PlainTextResponse | None:
        """The answer to a request that goes no further; None lets it through."""
        path = scope["path"]
        root = scope.get("root_path", "").rstrip("/")
        if root and path.startswith(root + "/"):
            path = path[len(root) :]
        if path not in EXACT and not path.startswith(BELOW):
            return PlainTextResponse("Not found.", status_code=404)
        if scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return None
        length = headers.get(b"content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            return PlainTextResponse(
                f"The request is larger than {MAX_BODY // 1024} kB.", status_code=413
            )
        origin = headers.get(b"origin")
        if origin and urlsplit(origin).netloc not in _own_hosts(headers):
            return PlainTextResponse("Requests from other pages are refused.", status_code=403)
        return None


def _own_hosts(headers: dict[bytes, str]) -> set[str]:
    names = {headers.get(b"host", ""), headers.get(b"x-forwarded-host", "")}
    return names | {os.environ.get("SPACE_HOST", "")} - {""}


class _Capped:
    """Receives a body and stops at the cap, also when no length was declared."""

    def __init__(self, receive: Receive):
        self.receive = receive
        self.n_bytes = 0

    async def __call__(self) -> Message:
        message = await self.receive()
        self.n_bytes += len(message.get("body", b""))
        if self.n_bytes > MAX_BODY:
            return {"type": "http.disconnect"}
        return message


def _with_headers(send: Send) -> Send:
    """Add our headers where a route has not set its own."""

    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            known = {name.lower() for name, _ in message["headers"]}
            added = [(name, value) for name, value in HEADERS.items() if name not in known]
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return sender
