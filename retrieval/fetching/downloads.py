"""An http(s) address -> a file on disk, whole; a download that broke off goes on where it stopped.

Bytes gather in `NAME.partial`. `NAME.partial.json` says which version of the file they are of, so
that a server that has another one by now starts over instead of making a mixture.
"""

import contextlib
import errno
import hashlib
import http.client
import logging
import os
import re
import shutil
import socket
import ssl
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from tqdm import tqdm

from retrieval.errors import FetchError, RetrievalError
from retrieval.files import open_regular, read_json, write_json

try:
    import fcntl
except ImportError:  # not on every platform; two downloads at once are then not told apart
    fcntl = None

logger = logging.getLogger(__name__)

_BLOCK = 2**18
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}  # answers that may differ in a moment
_WHY = {401: "asks for a password", 403: "refuses it", 404: "has no such file", 410: "removed it"}


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for."""

    timeout_s: float = 30.0  # without a byte
    tries: int = 5  # in a row, each bringing less than `gain` bytes that were not had before
    pause_s: float = 1.0  # before the second try; doubles with each
    gain: int = 2**20  # bytes


@dataclass(frozen=True)
class Sums:
    """What is computed of a file."""

    sha1: str
    sha256: str
    size: int  # bytes


class _BrokeOff(Exception):
    """The connection failed; another try may go on."""


class _NoWay(_BrokeOff):
    """There is no connection at all: no such host, no network, a port that is shut."""


class NotThere(FetchError):
    """The server has no such file."""


def download(url: str, path: Path, otherwise: str, patience: Patience | None = None) -> Path:
    """Bring a file, or the rest of it.

    Args:
        url: http or https.
        path: the name it will have; nothing is put there, that is for who checks it.
        otherwise: what to do where the server cannot be reached, for the message.
        patience: how long to wait, and how often to try.

    Returns:
        `path` with ".partial", as long as the server said.

    Raises:
        FetchError: it cannot be had; what came stays for the next run.
    """
    patience = patience or Patience()
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise FetchError(f"{url[:120]!r} is not an http or https address; give one that is")
    part = _Partial(path, url)
    highest, wasted, reached = part.length(), 0, False
    with tqdm(desc=path.name, unit="B", unit_scale=True, disable=None, leave=False) as bar:
        while not part.whole():
            try:
                _bring(part, patience.timeout_s, bar)
            except HTTPError as error:
                if error.code not in _TRANSIENT:
                    kind = NotThere if error.code in (404, 410) else FetchError
                    why = _WHY.get(error.code, "cannot give it")
                    raise kind(
                        f"{path.name} could not be fetched: the server of {url} {why} "
                        f"({error.code}); {otherwise}"
                    ) from error
                why, hopeless = f"the server answers {error.code}", False
            except _BrokeOff as error:
                why, hopeless = str(error), isinstance(error, _NoWay)
            else:
                break
            reached = reached or not hopeless
            wasted = 0 if part.length() >= highest + patience.gain else wasted + 1
            highest = max(highest, part.length())
            # Where there was no way to the server at first, there is none in a moment either.
            if not reached or wasted >= patience.tries:
                raise FetchError(
                    f"{path.name} could not be fetched from {url} ({why}); {otherwise}"
                )
            pause_s = patience.pause_s * 2 ** max(0, wasted - 1)
            logger.info("%s: %s after %s bytes", path.name, why, f"{part.length():,}")
            time.sleep(pause_s)
    return part.path


def sums_of(path: Path) -> Sums:
    """Size, SHA-1 (what the authors publish) and SHA-256 of a file, in one reading."""
    sha1, sha256, size = hashlib.sha1(usedforsecurity=False), hashlib.sha256(), 0
    with (
        open_regular(path) as file,
        tqdm(desc="checking", unit="B", unit_scale=True, disable=None, leave=False) as bar,
    ):
        while block := file.read(2**20):
            sha1.update(block)
            sha256.update(block)
            size += len(block)
            bar.update(len(block))
    return Sums(sha1.hexdigest(), sha256.hexdigest(), size)


def drop_partial(path: Path) -> None:
    """Forget what was gathered for a file."""
    _partial_of(path).unlink(missing_ok=True)
    _state_of(path).unlink(missing_ok=True)


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Keep other processes from fetching the same file; the kernel frees it after a kill."""
    lock = path.with_name(f".{path.name}.lock")
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who held it before may have removed it between our opening and our locking.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), os.stat(lock)):
                    break
        except OSError:
            holder = os.read(handle, 20).decode(errors="replace").strip()
            os.close(handle)
            raise FetchError(
                f"{path.name} is being fetched by process {holder}; wait for it"
            ) from None
        os.close(handle)
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(handle)


# ---- what is there already -----------------------------------------------------------------------


def _partial_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")


def _state_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial.json")


class _Partial:
    """The bytes of a file that are here, and of which version they are."""

    def __init__(self, path: Path, url: str) -> None:
        self.path, self._state_path, self.url = _partial_of(path), _state_of(path), url
        self.state: dict[str, Any] = {}
        with contextlib.suppress(RetrievalError, OSError):
            state = read_json(self._state_path)
            if isinstance(state, dict) and state.get("url") == url:
                self.state = state
        if not self.state:
            self.begin({}, None)

    @property
    def size(self) -> int | None:
        """Bytes of the whole file, where the server told."""
        return self.state.get("size")

    def length(self) -> int:
        """Bytes that are here."""
        return self.path.stat().st_size if self.path.exists() else 0

    def whole(self) -> bool:
        """All bytes are here, as many as the server said or until it ended in good order."""
        return bool(self.state.get("ended")) or (
            self.size is not None and self.path.exists() and self.length() == self.size
        )

    def condition(self) -> str | None:
        """What If-Range is to hold: only a strong tag or a date says that bytes are the same."""
        etag = self.state.get("etag")
        return etag if etag and not etag.startswith("W/") else self.state.get("modified")

    def same_version(self, headers: Any) -> bool:
        """Whether an answer is of the version that is here."""
        known = {"etag": self.state.get("etag"), "modified": self.state.get("modified")}
        return all(known[k] in (None, v) for k, v in _version(headers).items() if v is not None)

    def begin(self, headers: Any, size: int | None) -> None:
        """Start over, with the version of this answer."""
        self.path.unlink(missing_ok=True)
        self.state = {"url": self.url, **_version(headers), "size": size}
        if headers:
            write_json(self._state_path, self.state)

    def end(self) -> None:
        """Note that the server had nothing more, where it never told a size."""
        self.state["ended"] = True
        write_json(self._state_path, self.state)


def _version(headers: Any) -> dict[str, str | None]:
    return {"etag": headers.get("ETag"), "modified": headers.get("Last-Modified")}


# ---- one try -------------------------------------------------------------------------------------


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to http and https only."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, hdrs: Any, to: str) -> Any:
        if urlsplit(to).scheme not in ("http", "https"):
            raise FetchError(
                f"{req.full_url} redirects to {to[:60]!r}, which is not http or https; it was not "
                "followed"
            )
        return super().redirect_request(req, fp, code, msg, hdrs, to)

    http_error_308 = urllib.request.HTTPRedirectHandler.http_error_302

    def http_error_302(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any) -> Any:
        # The library's own check would name no reason that a reader understands.
        to = headers.get("Location", "")
        if urlsplit(to).scheme not in ("", "http", "https"):
            self.redirect_request(req, fp, code, msg, headers, to)
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _opener() -> urllib.request.OpenerDirector:
    """The standard library's client: it knows proxies and certificates, and needs no package.

    Built by hand, since its usual one also opens files, FTP and data addresses.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _bring(part: _Partial, timeout_s: float, bar: tqdm) -> None:
    """Ask once, and add what comes to the partial file."""
    # Compressed on the way, bytes would be counted otherwise than they are kept.
    headers = {"User-Agent": "Hublens", "Accept-Encoding": "identity"}
    have, condition = part.length(), part.condition()
    if part.size is not None and have > part.size:
        have = 0
    if have and condition:
        headers |= {"Range": f"bytes={have}-", "If-Range": condition}
    with _asked(part.url, headers, timeout_s) as answer:
        if answer.status == 416:
            part.begin({}, None)
            raise _BrokeOff("the server has another file by now")
        if answer.status == 206:
            start, size = _range_of(answer.headers)
            if start != have or size != part.size or not part.same_version(answer.headers):
                part.begin({}, None)
                raise _BrokeOff("the server has another file by now")
        else:
            if have and condition:
                logger.info("%s: the server starts over", part.path.name)
            have, size = 0, _whole_number(answer.headers.get("Content-Length"))
            part.begin(answer.headers, size)
        free = shutil.disk_usage(part.path.parent).free
        if size is not None and size - have > free:
            raise FetchError(
                f"{part.path.name} needs {size_text(size - have)} more, {size_text(free)} are "
                "free; make room"
            )
        bar.total, bar.n = size, have
        bar.refresh()
        _add(part, answer, have, size, bar)


def _add(part: _Partial, answer: Any, have: int, size: int | None, bar: tqdm) -> None:
    with open(part.path, "ab") as file:
        try:
            while size is None or have < size:
                # What is there at once: a larger read would lose its bytes when the rest stalls.
                block = _read(answer, _BLOCK if size is None else min(_BLOCK, size - have))
                if not block:
                    break
                file.write(block)
                file.flush()  # a kill may come at any time
                have += len(block)
                bar.update(len(block))
            os.fsync(file.fileno())
        except OSError as error:
            raise FetchError(
                f"{part.path.name} cannot be written ({error.strerror}); make room and run it "
                "again, it goes on from there"
            ) from error
    if size is None:
        part.end()
    elif have < size:
        raise _BrokeOff("the connection ended")


def _read(answer: Any, n_bytes: int) -> bytes:
    with _network():
        return answer.read1(n_bytes)


@contextlib.contextmanager
def _asked(url: str, headers: dict[str, str], timeout_s: float) -> Iterator[Any]:
    with _network():
        try:
            answer = _opener().open(urllib.request.Request(url, headers=headers), timeout=timeout_s)
        except HTTPError as error:
            if error.code != 416:
                raise
            answer = error
    with contextlib.closing(answer):
        yield answer


@contextlib.contextmanager
def _network() -> Iterator[None]:
    """Tell failures of the network from those of the disk."""
    try:
        yield
    except (HTTPError, FetchError):
        raise
    except (OSError, http.client.HTTPException) as error:
        cause = error.reason if isinstance(error, URLError) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise FetchError(
                f"the server's certificate does not hold ({cause.verify_message}); check the "
                "clock, or fetch the file by hand"
            ) from error
        no_way = isinstance(cause, socket.gaierror | ConnectionRefusedError) or getattr(
            cause, "errno", None
        ) in (errno.ENETUNREACH, errno.EHOSTUNREACH)
        raise (_NoWay if no_way else _BrokeOff)(_reason(cause)) from error


def _reason(cause: Any) -> str:
    if isinstance(cause, TimeoutError):
        return "no byte came in time"
    if isinstance(cause, socket.gaierror):
        return "its host cannot be found; is there a network?"
    if isinstance(cause, http.client.HTTPException):
        return "the connection ended"
    return str(getattr(cause, "strerror", None) or cause).lower()


def _range_of(headers: Any) -> tuple[int, int | None]:
    found = re.fullmatch(
        r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", headers.get("Content-Range", "")
    )
    return (int(found[1]), _whole_number(found[2])) if found else (-1, None)


def _whole_number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\d{1,18}", text) else None


def size_text(n_bytes: int) -> str:
    """Bytes in the unit that leaves few digits: 600 kB, 1.3 GB."""
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if n_bytes >= unit:
            return f"{n_bytes / unit:,.1f} {name}"
    return f"{n_bytes / 1e3:,.0f} kB"
