"""What a first visit fetches: compressed once, kept by browsers, the same bytes for everyone."""

import brotli
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import FileResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from retrieval.tabs.assets import Assets

SCRIPT = "console.log('a film');\n" * 400


@pytest.fixture
def asked():
    return []


@pytest.fixture
def client(tmp_path, asked):
    """A server with one script on disk, one small one, and a page that counts its visitors."""
    (tmp_path / "one.js").write_text(SCRIPT)
    (tmp_path / "small.js").write_text("1")

    def script(request):
        asked.append(request.url.path)
        path = tmp_path / request.path_params["name"]
        return FileResponse(path) if path.exists() else PlainTextResponse("no", status_code=404)

    def page(request):
        asked.append(request.url.path)
        return PlainTextResponse(f"visitor {len(asked)} " * 100)

    routes = [
        Route("/assets/{name}", script),
        Route("/static/{name}", script),
        Route("/theme.css", page),
        Route("/", page),
        Route("/config", page),
    ]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(Assets)]))


@pytest.mark.parametrize(("accepted", "coding"), [("gzip, br", "br"), ("gzip", "gzip"), ("", None)])
def test_a_script_is_the_same_however_it_is_packed(client, accepted, coding):
    for _ in range(2):  # made, then kept
        answer = client.get("/assets/one.js", headers={"Accept-Encoding": accepted})
        assert answer.headers.get("content-encoding") == coding
        assert answer.text == SCRIPT
        packed = int(answer.headers["content-length"])
        assert packed < len(SCRIPT) / 10 if coding else packed == len(SCRIPT)


def test_a_script_is_read_once_and_kept_for_ever(client, asked):
    answers = [client.get("/assets/one.js") for _ in range(3)]
    assert asked == ["/assets/one.js"]
    for answer in answers:
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["vary"] == "Accept-Encoding"


def test_only_addresses_with_a_version_are_kept_for_ever(client):
    assert "immutable" not in client.get("/static/one.js").headers["cache-control"]
    assert "immutable" in client.get("/theme.css?v=1").headers["cache-control"]


def test_a_part_that_was_asked_for_is_not_taken_for_the_whole(client):
    assert client.get("/assets/one.js", headers={"Range": "bytes=0-9"}).text == SCRIPT
    assert client.get("/assets/one.js").text == SCRIPT


def test_what_is_not_there_is_asked_for_again(client, asked):
    for _ in range(2):
        assert client.get("/assets/two.js").status_code == 404
    assert len(asked) == 2


def test_a_page_is_packed_and_made_anew_for_every_visitor(client):
    answers = [client.get("/", headers={"Accept-Encoding": "br"}) for _ in range(2)]
    assert [answer.text[:9] for answer in answers] == ["visitor 1", "visitor 2"]
    for answer in answers:
        assert answer.headers["content-encoding"] == "br"
        assert "cache-control" not in answer.headers


def test_small_files_and_other_paths_stay_as_they_are(client):
    assert client.get("/assets/small.js").text == "1"
    for path in ("/assets/small.js", "/config"):
        answer = client.get(path, headers={"Accept-Encoding": "br"})
        assert "content-encoding" not in answer.headers


def test_the_packed_bytes_are_what_the_library_makes_of_them(client):
    with client.stream("GET", "/assets/one.js", headers={"Accept-Encoding": "br"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert brotli.decompress(raw).decode() == SCRIPT
