"""The media route and the door in front of it, asked without a browser."""

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from retrieval.gallery import EncoderId, Gallery, Item
from retrieval.tabs.guard import MAX_BODY, Guard
from retrieval.tabs.media import media_route, media_url
from retrieval.tabs.uploads import Uploads

ID = "a/b ?#&100 %+../ü"  # an id is never a path, whatever it looks like


@pytest.fixture
def client(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(bytes(range(200)))
    (tmp_path / "still.jpg").write_bytes(b"jpeg")
    (tmp_path / "page.html").write_bytes(b"<script>1</script>")
    items = (
        Item("one", clip=tmp_path / "clip.mp4", poster=tmp_path / "still.jpg"),
        Item(ID, clip=tmp_path / "clip.mp4"),
        Item("sly", clip=tmp_path / "page.html"),
        Item("lost", clip=tmp_path / "gone.mp4"),
    )
    gallery = Gallery("films", tmp_path, None, items, EncoderId.external(3))

    async def echo(request):
        return JSONResponse({"n": len(await request.body())})

    routes = [
        media_route(["films"], {"films": gallery}.get),
        Route("/gradio_api/queue/join", echo, methods=["POST"]),
    ]
    routes.append(Route("/monitoring", echo))
    return TestClient(Starlette(routes=routes, middleware=[Guard.middleware(Uploads(tmp_path))]))


def test_a_clip_comes_with_its_type_and_a_poster_with_its_own(client):
    clip = client.get("/media/films/clip/one")
    assert (clip.status_code, clip.headers["content-type"]) == (200, "video/mp4")
    assert clip.headers["x-content-type-options"] == "nosniff"
    assert clip.content == bytes(range(200))
    assert client.get("/media/films/poster/one").headers["content-type"] == "image/jpeg"


def test_byte_ranges_are_answered(client):
    part = client.get("/media/films/clip/one", headers={"Range": "bytes=10-19"})
    assert part.status_code == 206
    assert part.content == bytes(range(10, 20))
    assert part.headers["content-range"] == "bytes 10-19/200"
    assert client.head("/media/films/clip/one").headers["content-length"] == "200"
    assert client.get("/media/films/clip/one", headers={"Range": "bytes=900-"}).status_code == 416


def test_ids_with_any_characters_are_found_by_their_own_address(client):
    assert client.get("/" + media_url("films", "clip", ID)).content == bytes(range(200))


@pytest.mark.parametrize(
    "path",
    [
        *("/media/films/clip/sly", "/media/films/clip/lost", "/media/films/clip/two"),
        *("/media/films/page/one", "/media/moon/clip/one", "/media/films/clip/"),
        *("/media/films/clip/..%2f..%2fetc%2fpasswd", "/media/films/clip/%2fetc%2fpasswd"),
        *("/media/films/clip/one%00", "/media/films/poster/" + "x" * 5000),
    ],
)
def test_anything_else_is_not_found(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert len(answer.content) < 100


def test_only_listed_paths_reach_the_server(client):
    assert client.get("/monitoring").status_code == 404
    assert client.get("/gradio_api/file=/etc/passwd").status_code == 404
    assert client.post("/gradio_api/upload", content=b"x").status_code == 404


def test_a_body_over_the_cap_is_refused_declared_or_not(client):
    url = "/gradio_api/queue/join"
    assert client.post(url, content=b"x" * MAX_BODY).json() == {"n": MAX_BODY}
    assert client.post(url, content=b"x" * (MAX_BODY + 1)).status_code == 413

    def undeclared():
        for _ in range(MAX_BODY // 1024 + 1):
            yield b"x" * 1024

    assert client.post(url, content=undeclared()).status_code == 413


def test_writes_from_other_pages_are_refused(client):
    url = "/gradio_api/queue/join"
    assert (
        client.post(url, content=b"{}", headers={"Origin": "http://evil.example"}).status_code
        == 403
    )
    assert (
        client.post(url, content=b"{}", headers={"Origin": "http://testserver"}).status_code == 200
    )
    assert client.post(url, content=b"{}").status_code == 200


def test_every_answer_forbids_other_hosts(client):
    policy = client.get("/media/films/clip/nothing").headers["content-security-policy"]
    assert "default-src 'self'" in policy
