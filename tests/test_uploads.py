"""The door for uploads and the folder behind it: sizes, numbers, age."""

import asyncio
import os
import subprocess
import sys
import tempfile
import threading

import pytest

from retrieval.tabs.guard import UPLOAD, Guard
from retrieval.tabs.uploads import ENVELOPE, FOLDER, UploadLimits, Uploads

SMALL = UploadLimits(file_bytes=1000, at_once=2, quota_bytes=5000, silence_s=0.2)
NOW = 2_000_000_000.0


@pytest.fixture
def uploads(tmp_path):
    return Uploads(tmp_path, SMALL)


def test_a_new_server_takes_along_what_a_killed_one_has_left(tmp_path, monkeypatch):
    monkeypatch.delenv(FOLDER, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left, living = tmp_path / f"hublens-{dead.pid}-a", tmp_path / f"hublens-{os.getpid()}-b"
    strange = tmp_path / "hublens-not-ours"
    for folder in (left, living, strange):
        folder.mkdir()
        (folder / "report.json").write_text("{}")
    try:
        opened = Uploads.open()
        assert opened.folder.parent == tmp_path and opened.folder.is_dir()
        assert not left.exists() and living.exists() and strange.exists()
    finally:
        os.environ.pop(FOLDER, None)


def test_folders_that_go_while_they_are_counted_are_passed_over(uploads, monkeypatch):
    for name in ("a", "b"):
        (uploads.folder / name).mkdir()
        (uploads.folder / name / "file").write_bytes(b"12345")
    listed = os.scandir

    def vanishing(path):
        if str(path).endswith(("a", "b")) and os.path.exists(uploads.folder / "a"):
            uploads.remove(uploads.folder / "a")  # somebody else is done with it
        return listed(path)

    monkeypatch.setattr(os, "scandir", vanishing)
    assert uploads.used_bytes() == 5
    assert uploads.sweep() == 0


class Gradio:
    """Stands in for what is behind the door: reads the body, then answers."""

    def __init__(self):
        self.bodies, self.wait = [], None

    async def __call__(self, scope, receive, send):
        body, message = b"", {"more_body": True}
        while message.get("more_body"):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RuntimeError("client left")
            body += message["body"]
        if self.wait is not None:
            await self.wait.wait()
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"[]"})


async def ask(guard, parts, method="POST", path=UPLOAD, headers=()):
    """Send a body in parts through the guard; (status, text) of the answer."""
    waiting, answer = list(parts), []

    async def receive():
        if not waiting:
            await asyncio.sleep(60)
        part = waiting.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(waiting)}

    async def send(message):
        answer.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": list(headers)}
    await guard(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in answer)
    return answer[0]["status"], body.decode()


def size_of(n):
    return ((b"content-length", str(n).encode()),)


def test_an_upload_within_the_limits_passes(uploads):
    gradio = Gradio()
    status, _ = asyncio.run(ask(Guard(gradio, uploads), [b"a" * 600, b"b" * 300]))
    assert status == 200 and gradio.bodies == [b"a" * 600 + b"b" * 300]


@pytest.mark.parametrize("declared", [True, False])
def test_one_that_is_too_large_is_refused_declared_or_not(uploads, declared):
    gradio = Gradio()
    n = SMALL.file_bytes + ENVELOPE + 1
    parts = [b"x" * 10_000] * (n // 10_000 + 1)
    headers = size_of(n) if declared else ()
    status, told = asyncio.run(ask(Guard(gradio, uploads), parts, headers=headers))
    assert status == 413 and "limit is" in told and len(told) <= 200
    assert gradio.bodies == []
    assert asyncio.run(ask(Guard(gradio, uploads), [b"fine"]))[0] == 200  # the place is free again


def test_two_at_once_and_the_third_is_asked_to_wait(uploads):
    async def three():
        gradio = Gradio()
        gradio.wait = asyncio.Event()
        guard = Guard(gradio, uploads)
        under_way = [asyncio.create_task(ask(guard, [b"x"])) for _ in range(2)]
        await asyncio.sleep(0.05)
        third = await ask(guard, [b"x"])
        gradio.wait.set()
        return third, [status for status, _ in await asyncio.gather(*under_way)]

    (status, told), others = asyncio.run(three())
    assert status == 503 and "2 uploads are on their way" in told
    assert others == [200, 200]


def test_one_that_falls_silent_is_given_up(uploads):
    async def silent():
        async def receive():
            await asyncio.sleep(60)

        answer = []

        async def send(message):
            answer.append(message)

        scope = {"type": "http", "method": "POST", "path": UPLOAD, "headers": []}
        await asyncio.wait_for(Guard(Gradio(), uploads)(scope, receive, send), 10)
        return answer[0]["status"]

    assert asyncio.run(silent()) == 408


def test_a_full_folder_takes_no_more(uploads, tmp_path):
    (tmp_path / "full").write_bytes(b"x" * 4500)
    status, told = asyncio.run(ask(Guard(Gradio(), uploads), [b"x"], headers=size_of(600)))
    assert status == 507 and "try again in an hour" in told
    assert asyncio.run(ask(Guard(Gradio(), uploads), [b"x"], headers=size_of(400)))[0] == 200


def test_another_page_cannot_upload_here(uploads):
    headers = ((b"origin", b"https://elsewhere.org"), (b"host", b"here.org"))
    status, _ = asyncio.run(ask(Guard(Gradio(), uploads), [b"x"], headers=headers))
    assert status == 403
    assert asyncio.run(ask(Guard(Gradio(), uploads), [b"x"], headers=size_of("1e9")))[0] == 413


def test_files_of_the_folder_are_served_and_no_others(uploads, tmp_path):
    guard = Guard(Gradio(), uploads)

    def status(path):
        return asyncio.run(ask(guard, [b""], "GET", f"/gradio_api/file={path}"))[0]

    assert status(f"{tmp_path}/a1/S.npy") == 200  # Gradio looks whether it knows the file
    for path in ("/etc/passwd", f"{tmp_path}/../x", f"{tmp_path}x/y", "http://there.org/x"):
        assert status(path) == 404, path


def age(path, seconds):
    os.utime(path, (NOW - seconds, NOW - seconds))


def test_sweeping_takes_what_is_old_and_what_broke_off(uploads, tmp_path):
    for name, seconds in (
        ("tmp-broken", 1000),  # at the top lies what is still on its way
        ("tmp-coming", 500),
        ("a1/whole.npy", 1000),
        ("a2/old.npy", 4000),
        ("reports/x/report.json", 4000),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
        age(tmp_path / name, seconds)
    for folder in ("a2", "reports/x", "reports"):
        age(tmp_path / folder, 4000)
    assert uploads.sweep(NOW) == 3
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    assert "tmp-coming" in left and "a1/whole.npy" in left
    assert not {"tmp-broken", "a2/old.npy", "reports/x/report.json"} & set(left)


def test_paths_outside_are_not_held(uploads, tmp_path):
    inside = tmp_path / "S.npy"
    inside.write_bytes(b"x")
    link = tmp_path / "link.npy"
    link.symlink_to("/etc/hostname")
    assert uploads.holds(inside)
    for path in ("/etc/hostname", tmp_path / "missing", tmp_path, link, f"{tmp_path}/../x"):
        assert not uploads.holds(path)


def test_removing_stays_inside_the_folder(uploads, tmp_path):
    ours = uploads.new_folder("reports")
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    uploads.remove(ours)
    uploads.remove(outside)
    assert not ours.exists() and outside.exists()


def test_sweeping_goes_on_by_itself(uploads, tmp_path):
    (tmp_path / "old").write_bytes(b"x")
    os.utime(tmp_path / "old", (0, 0))
    uploads.keep_clean(every_s=0.01)
    waited = threading.Event()
    for _ in range(200):
        if not (tmp_path / "old").exists():
            return
        waited.wait(0.05)
    raise AssertionError("nothing was swept")
