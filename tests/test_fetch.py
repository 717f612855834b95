"""Official archives from a server that behaves badly, and archives that should not be unpacked."""

import gzip
import hashlib
import http.server
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from retrieval.__main__ import main
from retrieval.errors import FetchError, FileError, SettingsError
from retrieval.fetching import downloads
from retrieval.fetching.archives import (
    ARCHIVES,
    CE,
    TEACHTEXT,
    WHAT,
    code_prefix,
    experiments,
    find_archive,
    find_experiment,
)
from retrieval.fetching.downloads import Patience, download, only_one
from retrieval.fetching.unpacking import Bounds, unpack

ROOT = Path(__file__).resolve().parents[1]
NAME = "msvd-sims.tar.gz"  # no sum is published for it
QUICK = Patience(timeout_s=0.5, pause_s=0.01, tries=4, gain=1000)


# ---- a server


class Server:
    """Serves `files`; `plan` says, answer by answer, what goes wrong."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.plan: list[str] = []
        self.etag: str | None = '"one"'
        self.ranges = True
        self.requests: list[tuple[str, str | None]] = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_args):
                pass

            def do_GET(self):
                server.answer(self)

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self._http.shutdown()
        self._http.server_close()

    def answer(self, request):
        step = self.plan.pop(0) if self.plan else "good"
        asked = request.headers.get("Range")
        self.requests.append((request.path, asked))
        if step.isdigit():
            return request.send_error(int(step))
        if step.startswith("to "):
            request.send_response(302)
            request.send_header("Location", step[3:])
            return request.end_headers()
        if request.path not in self.files:
            return request.send_error(404)
        body, start = self.files[request.path], 0
        same = request.headers.get("If-Range") == self.etag or step == "ignores If-Range"
        if asked and self.ranges and same:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            request.send_response(200)
        if self.etag:
            request.send_header("ETag", self.etag)
        sent = body[start:]
        if step != "no length":
            request.send_header("Content-Length", str(len(sent)))
        request.end_headers()
        if step in ("drops", "stalls", "crawls"):
            request.wfile.write(sent[: len(sent) // 3])
            request.wfile.flush()
            if step == "stalls":
                time.sleep(1.5)
            for byte in sent[len(sent) // 3 :] if step == "crawls" else b"":
                request.wfile.write(bytes([byte]))
                time.sleep(0.02)
            request.close_connection = True
        else:
            request.wfile.write(sent)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(downloads, "Patience", lambda: QUICK)
    server = Server()
    yield server
    server.close()


# ---- archives


def member(name, body=b"", kind=tarfile.REGTYPE, link="", mode=0o644, pax=None):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.size = kind, link, mode, len(body)
    info.pax_headers = pax or {}
    return info, body


def tar_bytes(*members, packed=True, form=tarfile.GNU_FORMAT):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=form) as tar:
        for info, body in members:
            tar.addfile(info, io.BytesIO(body))
    return gzip.compress(raw.getvalue(), mtime=0) if packed else raw.getvalue()


def noise(n_bytes, seed=0):
    import numpy as np

    return np.random.default_rng(seed).bytes(n_bytes)


SIMS, MASKS = noise(30_000), noise(700, 1)
GOOD = tar_bytes(
    member("msvd", kind=tarfile.DIRTYPE, mode=0o755),
    member("msvd/sims.pkl", SIMS),
    member("msvd/masks.pkl", MASKS, mode=0o6777),
)


def fetch(server, data, *argv, what="sims"):
    line = ["fetch", "MSVD", "--what", what, "--data", data, "--root-url", server.url, *argv]
    return main([str(word) for word in line])


def refused(capsys, *argv):
    """The one line of a command that is refused; what is logged on the way is left out."""
    assert main([str(arg) for arg in argv]) == 2
    out, err = capsys.readouterr()
    lines = err.strip().split("\n")
    assert out == "" and lines[-1].startswith("error: ") and "Traceback" not in err, err
    assert len(lines[-1]) < 330
    return lines[-1]


def refused_fetch(capsys, server, data, *argv, what="sims"):
    line = ["fetch", "MSVD", "--what", what, "--data", data, "--root-url", server.url, *argv]
    return refused(capsys, *line)


def is_good(data):
    folder = data / "sims" / "msvd"
    assert (folder / "msvd/sims.pkl").read_bytes() == SIMS
    assert (folder / "msvd/masks.pkl").read_bytes() == MASKS
    left = {path.name for path in folder.iterdir()}
    return left == {"msvd", f"{NAME}.unpacked.json"}


# ---- the table


def test_the_table_names_every_archive_once_and_sums_are_sums():
    assert len({(a.dataset, a.what) for a in ARCHIVES}) == len(ARCHIVES)
    for archive in ARCHIVES:
        assert archive.what in WHAT and archive.root.startswith(("http://www.", "https://www."))
        assert all(len(sum_) == 40 and int(sum_, 16) >= 0 for sum_ in archive.sha1)
        assert not archive.root.endswith("/") and archive.name.endswith(".tar.gz")
    sums = [sum_ for archive in ARCHIVES for sum_ in archive.sha1]
    assert len(sums) == len(set(sums)) == 15


def test_addresses_are_the_published_ones():
    assert find_archive("msvd", "experts").urls() == [f"{CE}/features-v2/MSVD-experts.tar.gz"]
    high = find_archive("ActivityNet", "features-hq")
    assert high.urls() == [f"{TEACHTEXT}/high-quality/high-quality-activity-net-experts.tar.gz"]
    assert len(find_archive("MSRVTT", "features-hq").sha1) == 2
    challenge = find_archive("YouCook2", "challenge-1").urls("http://mirror")
    release = "challenge-release-1"
    assert challenge == [f"http://mirror/{release}/{release}-YouCook2-experts.tar.gz"]


def test_an_access_code_goes_into_the_name_as_ten_digits_of_its_hash():
    prefix = hashlib.sha256(b"open sesame").hexdigest()[:10]
    lsmdc = find_archive("LSMDC", "experts")
    assert code_prefix("open sesame") == f"{prefix}-" and lsmdc.name == "LSMDC-experts.tar.gz"
    assert lsmdc.urls(None, "open sesame") == [f"{CE}/features-v2/{prefix}-LSMDC-experts.tar.gz"]
    with pytest.raises(SettingsError, match="LSMDC needs --access-code"):
        lsmdc.urls()
    assert find_archive("LSMDC", "sims").urls()  # these are public


def test_released_runs_are_found_by_name_and_told_apart_by_group():
    assert len(experiments()) == 182
    assert len({(run.name, run.group) for run in experiments()}) == 182
    run = find_experiment("MSRVTT", "msrvtt-train-jsfusion-ce")
    assert run.root == CE
    assert run.path(1, "config.json") == (
        "models/msrvtt-train-jsfusion-ce/2b66fed2/seed-1/2020-01-07_15-30-39/config.json"
    )
    with pytest.raises(SettingsError, match="074e6b24.*or 6becbb74 .TeachText.*--group"):
        find_experiment("MSRVTT", "msrvtt-train-full-ce")
    assert find_experiment("MSRVTT", "msrvtt-train-full-ce", "6becbb74").root == TEACHTEXT
    assert find_experiment("QuerYD", "queryd-train-full-moee").group == "d75cfe35"
    assert find_experiment("MSVD", "msvd-mine", "0a", "2021-01-01_00-00-00").group == "0a"
    with pytest.raises(SettingsError, match="cannot be part"):
        find_experiment("MSVD", "msvd-mine", "../..", "2021")


def test_list_prints_every_address_and_sum(capsys):
    assert main(["fetch", "--list"]) == 0
    out = capsys.readouterr().out
    for archive in ARCHIVES:
        assert all(f"{archive.root}/{path}\n" in out for path in archive.paths)
        assert all(sum_ in out for sum_ in archive.sha1)
    assert main(["fetch", "msvd", "--what", "models", "--list"]) == 0
    assert "--experiment msvd-train-full-ce --group 5bb8dda1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ([], "say what to fetch"),
        (["MSVD"], "say what to fetch"),
        (["Kinetics", "--what", "experts"], "unknown data set 'Kinetics'; available: MSRVTT"),
        (["YouCook2", "--what", "experts"], "there are: challenge-1, challenge-2"),
        (["MSVD", "--what", "videos"], "invalid choice: 'videos'"),
        (["LSMDC", "--what", "experts"], "LSMDC needs --access-code"),
        (["MSVD", "--what", "models"], "say which model with --experiment"),
        (["MSVD", "--what", "models", "--experiment", "x"], "no experiment 'x' was released"),
        (["MSVD", "--what", "sims", "--group", "a"], "--group is for --what models"),
        (["MSVD", "--what", "sims", "--sha1", "a"], "40 hexadecimal digits"),
        (["MSVD", "--what", "sims", "--root-url", "ftp://127.0.0.1"], "not an http or https"),
        (["MSVD", "--what", "sims", "--root-url", "file:///etc"], "not an http or https"),
    ],
)
def test_bad_words_are_one_line(tmp_path, capsys, argv, sentence):
    assert sentence in refused(capsys, "fetch", *argv, "--data", tmp_path)


# ---- a good server, and bad ones


def test_a_good_archive_ends_unpacked_once(server, tmp_path, capsys):
    server.files[f"/{NAME}"] = GOOD
    assert fetch(server, tmp_path) == 0
    assert is_good(tmp_path)
    out = capsys.readouterr().out
    assert "2 files" in out and hashlib.sha256(GOOD).hexdigest() in out
    assert "no sum is published" in out
    mode = (tmp_path / "sims/msvd/msvd/masks.pkl").stat().st_mode
    assert mode & 0o7111 == 0  # no setuid, nothing that runs
    assert fetch(server, tmp_path) == 0
    assert "there already" in capsys.readouterr().out and len(server.requests) == 1
    (tmp_path / "sims/msvd/msvd/masks.pkl").unlink()
    assert fetch(server, tmp_path, "--keep-archive") == 0  # what was lost is fetched again
    assert (tmp_path / "sims/msvd" / NAME).read_bytes() == GOOD
    assert len(server.requests) == 2


def test_official_folders_in_the_archive_become_the_data_sets_folder(server, tmp_path, capsys):
    inner = "structured-symlinks/raw-captions.pkl"
    body = tar_bytes(member(f"data/MSVD/{inner}", SIMS))
    server.files["/features-v2/MSVD-experts.tar.gz"] = body
    sha1 = hashlib.sha1(body).hexdigest()
    assert fetch(server, tmp_path, "--sha1", sha1.upper(), what="experts") == 0
    assert (tmp_path / "MSVD" / inner).read_bytes() == SIMS
    assert "accepted" in capsys.readouterr().out


def test_the_second_spelling_of_a_name_is_tried(server, tmp_path):
    body = tar_bytes(member("data/DiDeMo/train_list.txt", b"a\n"))
    server.files["/features-v2/didemo-experts.tar.gz"] = body
    sha1 = hashlib.sha1(body).hexdigest()
    line = f"fetch didemo --what experts --root-url {server.url} --sha1 {sha1} --data {tmp_path}"
    assert main(line.split()) == 0
    assert (tmp_path / "DiDeMo/train_list.txt").read_text() == "a\n"


def test_an_lsmdc_archive_is_asked_for_with_its_code(server, tmp_path):
    body = tar_bytes(member("data/LSMDC/high-quality/x.pkl", b"x"))
    prefix = hashlib.sha256(b"code").hexdigest()[:10]
    server.files[f"/high-quality/{prefix}-high-quality-LSMDC-experts.tar.gz"] = body
    line = f"fetch LSMDC --what features-hq --root-url {server.url} --data {tmp_path}"
    assert main([*line.split(), "--access-code", "wrong"]) == 2
    assert main([*line.split(), "--access-code", "code"]) == 0
    folder = tmp_path / "LSMDC"
    assert (folder / "high-quality/x.pkl").read_bytes() == b"x"
    assert prefix not in "".join(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "plan",
    [
        ["drops", "drops", "good"],
        ["stalls", "good"],
        ["503", "drops", "429", "good"],
        ["no length"],
        ["to /elsewhere", "good"],
    ],
)
def test_what_breaks_off_goes_on_and_ends_byte_equal(server, tmp_path, plan):
    server.files[f"/{NAME}"] = server.files["/elsewhere"] = GOOD
    server.plan = [*plan]
    assert fetch(server, tmp_path) == 0
    assert is_good(tmp_path)
    ranges = [asked for _, asked in server.requests]
    if plan[0] == "drops":
        third = len(GOOD) // 3
        assert ranges == [None, f"bytes={third}-", f"bytes={third + (len(GOOD) - third) // 3}-"]
    if plan[0] == "stalls":
        assert ranges == [None, f"bytes={len(GOOD) // 3}-"]


def test_a_server_without_ranges_starts_over(server, tmp_path):
    server.files[f"/{NAME}"], server.ranges = GOOD, False
    server.plan = ["drops", "good"]
    assert fetch(server, tmp_path) == 0 and is_good(tmp_path)


def test_without_a_tag_or_date_nothing_is_continued(server, tmp_path):
    server.files[f"/{NAME}"], server.etag = GOOD, None
    server.plan = ["drops", "good"]
    assert fetch(server, tmp_path) == 0 and is_good(tmp_path)
    assert [asked for _, asked in server.requests] == [None, None]


@pytest.mark.parametrize("step", ["good", "ignores If-Range"])
def test_another_version_is_not_mixed_with_the_first(server, tmp_path, step):
    first, second = noise(20_000), noise(20_000, 1)
    server.files["/x"], server.plan = first, ["drops", "404"]
    with pytest.raises(FetchError):
        download(f"{server.url}/x", tmp_path / "x", "", QUICK)
    assert (tmp_path / "x.partial").read_bytes() == first[: len(first) // 3]
    server.files["/x"], server.etag, server.plan = second, '"two"', [step]
    assert download(f"{server.url}/x", tmp_path / "x", "", QUICK).read_bytes() == second


def test_a_partial_file_of_another_address_is_not_continued(server, tmp_path):
    server.files = {"/a": noise(20_000), "/b": noise(20_000, 1)}
    server.plan = ["drops", "404"]
    with pytest.raises(FetchError):
        download(f"{server.url}/a", tmp_path / "x", "", QUICK)
    assert download(f"{server.url}/b", tmp_path / "x", "", QUICK).read_bytes() == noise(20_000, 1)


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (["404"], "has no such file (404); download it by hand and give it with --archive FILE"),
        (["403"], "refuses it (403)"),
        (["401"], "asks for a password (401)"),
        (["503"] * 9, "the server answers 503"),
        (["stalls"] * 9, "no byte came in time"),
        (["to ftp://127.0.0.1/x"], "redirects to 'ftp://127.0.0.1/x', which is not http"),
        (["to file:///etc/passwd"], "redirects to 'file:///etc/passwd', which is not http"),
        ([f"to /{NAME}"] * 40, "(302)"),
    ],
)
def test_what_a_server_refuses_is_one_line(server, tmp_path, capsys, plan, sentence):
    server.files[f"/{NAME}"] = GOOD
    server.plan = [*plan]
    server.ranges = plan[0] != "stalls"
    assert sentence in refused_fetch(capsys, server, tmp_path)
    assert not (tmp_path / "sims/msvd" / NAME).exists()
    assert 1 <= len(server.requests) <= 12


def test_without_a_network_one_sentence_says_what_and_where_and_how_else(tmp_path, capsys):
    main(["fetch", "--list"])
    capsys.readouterr()
    started = time.monotonic()
    line = f"fetch MSVD --what sims --data {tmp_path} --root-url http://127.0.0.1:9"
    assert main(line.split()) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and time.monotonic() - started < 5
    assert f"{NAME} could not be fetched from http://127.0.0.1:9/{NAME} (connection refused)" in err
    assert "give it with --archive FILE" in err


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"<!doctype html><title>Sign in</title>", "is not a tar archive: it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it is a git-lfs pointer"),
        (b"PK\3\4" + bytes(600), "it is something else"),
        (b"", "it is something else"),
        (GOOD[:-9], "is cut off or damaged"),
        (GOOD[: len(GOOD) // 2], "is cut off or damaged"),
        (GOOD[:4000] + b"\xff" * 9 + GOOD[4009:], "is cut off or damaged"),
    ],
)
def test_wrong_bytes_are_named_and_nothing_is_kept(server, tmp_path, capsys, body, sentence):
    server.files[f"/{NAME}"] = body
    assert sentence in refused_fetch(capsys, server, tmp_path)
    assert not list(tmp_path.rglob("*.pkl")) and not list(tmp_path.rglob("*.unpack*"))


def test_another_sum_than_the_published_one_is_refused_and_told(server, tmp_path, capsys):
    body = tar_bytes(member("data/MSVD/x.pkl", SIMS))
    server.files["/features-v2/MSVD-experts.tar.gz"] = body
    got, published = hashlib.sha1(body).hexdigest(), find_archive("MSVD", "experts").sha1[0]
    line = refused_fetch(capsys, server, tmp_path, what="experts")
    assert f"has SHA-1 {got}, published is {published}" in line
    folder = tmp_path / "MSVD"
    assert [path.name for path in folder.iterdir()] == ["MSVD-experts.tar.gz.mismatch"]
    argv = ["--archive", folder / "MSVD-experts.tar.gz.mismatch", "--sha1", got]
    assert fetch(server, tmp_path, *argv, what="experts") == 0
    assert (folder / "x.pkl").read_bytes() == SIMS


def test_a_web_page_is_told_from_an_archive_that_was_replaced(server, tmp_path, capsys):
    server.files["/features-v2/MSVD-experts.tar.gz"] = b"<html>Moved</html>"
    assert "it is a web page" in refused_fetch(capsys, server, tmp_path, what="experts")
    assert list((tmp_path / "MSVD").iterdir()) == []


@pytest.mark.parametrize("n", [0, 1])
def test_either_of_two_published_sums_is_good(server, tmp_path, capsys, monkeypatch, n):
    body = tar_bytes(member("data/MSVD/x.pkl", SIMS))
    sums = ["0" * 40, "1" * 40]
    sums[n] = hashlib.sha1(body).hexdigest()
    archive = find_archive("MSVD", "experts")
    monkeypatch.setitem(archive.__dict__, "sha1", tuple(sums))
    server.files["/features-v2/MSVD-experts.tar.gz"] = body
    assert fetch(server, tmp_path, what="experts") == 0
    assert f"has the published SHA-1 {sums[n]}" in capsys.readouterr().out


def test_an_archive_by_hand_needs_no_server_and_stays(tmp_path, capsys):
    given, data = tmp_path / "downloads.tar", tmp_path / "data"
    given.write_bytes(gzip.decompress(GOOD))  # some browsers unpack the outer layer
    argv = ["fetch", "MSVD", "--what", "sims", "--data", data, "--archive"]
    assert "there is no file" in refused(capsys, *argv, tmp_path / "no")
    assert "not a regular file" in refused(capsys, *argv, tmp_path)
    assert main([str(word) for word in [*argv, given]]) == 0
    assert is_good(data) and given.exists()


def test_a_full_disk_is_told_before_the_download(server, tmp_path, capsys, monkeypatch):
    server.files[f"/{NAME}"] = GOOD
    usage = downloads.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        downloads.shutil, "disk_usage", lambda _: usage._replace(free=len(GOOD) - 1)
    )
    assert "are free; make room" in refused_fetch(capsys, server, tmp_path)


def test_two_at_once_are_kept_apart(server, tmp_path, capsys):
    server.files[f"/{NAME}"] = GOOD
    path = tmp_path / "sims/msvd" / NAME
    path.parent.mkdir(parents=True)
    with only_one(path):
        line = refused_fetch(capsys, server, tmp_path)
    assert f"is being fetched by process {os.getpid()}; wait for it" in line
    assert fetch(server, tmp_path) == 0 and is_good(tmp_path)


def test_after_kill_9_the_rest_is_fetched(server, tmp_path):
    server.files[f"/{NAME}"], server.plan = GOOD, ["crawls"]
    argv = ["fetch", "MSVD", "--what", "sims", "--data", str(tmp_path), "--root-url", server.url]
    child = subprocess.Popen(
        [sys.executable, "-m", "retrieval", *argv], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    part = tmp_path / "sims/msvd" / f"{NAME}.partial"
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size >= len(GOOD) // 3):
        assert time.monotonic() < deadline and child.poll() is None
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    had = part.stat().st_size
    assert 0 < had < len(GOOD)
    assert main(argv) == 0 and is_good(tmp_path)
    assert server.requests[-1] == (f"/{NAME}", f"bytes={had}-")


def test_a_run_killed_while_it_unpacked_starts_that_again(server, tmp_path):
    folder = tmp_path / "sims/msvd"
    stale = folder / f".{NAME}.unpacking" / "msvd"
    stale.mkdir(parents=True)
    (stale / "half.pkl").write_bytes(b"half")
    (folder / NAME).write_bytes(GOOD)
    assert fetch(server, tmp_path) == 0
    assert is_good(tmp_path) and server.requests == []


# ---- models


def test_a_model_is_two_files_where_the_authors_keep_them(server, tmp_path, capsys):
    run = find_experiment("MSVD", "msvd-train-full-moee")
    config, weights = b'{"name": "moee"}', b"PK\3\4" + noise(5000)
    server.files = {
        f"/{run.path(0, 'config.json')}": config,
        f"/{run.path(0, 'trained_model.pth')}": weights,
    }
    server.plan = ["good", "drops"]
    argv = ["--experiment", run.name]
    assert fetch(server, tmp_path, *argv, what="models") == 0
    folder = tmp_path / "saved/models/msvd-train-full-moee/6dea9c6a/seed-0/2020-01-30_13-13-47"
    assert (folder / "config.json").read_bytes() == config
    assert (folder / "trained_model.pth").read_bytes() == weights
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "trained_model.pth"]
    assert hashlib.sha256(weights).hexdigest() in capsys.readouterr().out
    n = len(server.requests)
    assert fetch(server, tmp_path, *argv, what="models") == 0
    assert "there already" in capsys.readouterr().out and len(server.requests) == n
    line = refused_fetch(capsys, server, tmp_path, *argv, "--seed", "1", what="models")
    assert "seed-1" in line and "(404)" in line
    server.files[f"/{run.path(2, 'config.json')}"] = b"<html>"
    line = refused_fetch(capsys, server, tmp_path, *argv, "--seed", "2", what="models")
    assert "something else than a .json file" in line


# ---- archives that should not be unpacked


def unpacked(tmp_path, body, bounds=None, dropped=()):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(body)
    return unpack(path, "x.tar.gz", tmp_path / "out", dropped, bounds)


HARD, SOFT = tarfile.LNKTYPE, tarfile.SYMTYPE


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ([member("../evil", b"x")], "outside of its folder"),
        ([member("a/../../evil", b"x")], "outside of its folder"),
        ([member("/tmp/evil-of-a-test", b"x")], "outside of its folder"),
        ([member("..", kind=tarfile.DIRTYPE)], "outside of its folder"),
        ([member("a\\..\\evil", b"x")], "not one that every system can write"),
        ([member("a\nb", b"x")], "not one that every system can write"),
        ([member("b" * 300, b"x")], "not one that every system can write"),
        ([member("d/" * 600 + "x", b"x")], "not one that every system can write"),
        ([member("s", kind=SOFT, link="/etc/passwd")], "a link that leads out"),
        ([member("s", kind=SOFT, link="../../x")], "a link that leads out"),
        ([member("s", kind=SOFT, link=".."), member("s/evil", b"x")], "as file and as folder"),
        (
            [member("d/a", kind=SOFT, link=".."), member("b", kind=SOFT, link="d/a/..")],
            "a link that leads out",
        ),
        ([member("h", kind=HARD, link="/etc/passwd")], "outside of its folder"),
        ([member("h", kind=HARD, link="../x.tar.gz")], "outside of its folder"),
        ([member("h", kind=HARD, link="nothing")], "a link to what it does not hold"),
        (
            [member("s", kind=SOFT, link="/etc/passwd"), member("h", kind=HARD, link="s")],
            "a link to what it does not hold",
        ),
        ([member("f", kind=tarfile.FIFOTYPE)], "neither file nor folder nor link"),
        ([member("c", kind=tarfile.CHRTYPE)], "neither file nor folder nor link"),
        ([member("b", kind=tarfile.BLKTYPE)], "neither file nor folder nor link"),
        ([member("a", b"1"), member("a", b"2")], "twice"),
        ([member("a", b"1"), member("a/b", b"2")], "as file and as folder"),
        ([member("./", b"x")], "which has no name"),
    ],
)
def test_members_that_may_not_be_leave_nothing(tmp_path, members, sentence):
    with pytest.raises(FileError, match="nothing was kept") as told:
        unpacked(tmp_path, tar_bytes(member("before", b"x"), *members, member("after", b"x")))
    assert sentence in str(told.value) and len(str(told.value)) < 200
    assert list((tmp_path / "out").iterdir()) == []
    assert not (tmp_path / "evil").exists() and not Path("/tmp/evil-of-a-test").exists()


def test_links_among_its_own_files_are_kept(tmp_path):
    found = unpacked(
        tmp_path,
        tar_bytes(
            member("data/X/a/one.pkl", SIMS),
            member("data/X/a/one.pkl", kind=HARD, link="data/X/a/one.pkl"),
            member("data/X/b/two.pkl", kind=HARD, link="data/X/a/one.pkl"),
            member("data/X/c", kind=SOFT, link="b"),
        ),
        dropped=("data", "X"),
    )
    out = tmp_path / "out"
    assert set(found) == {"a/one.pkl", "b/two.pkl", "c"}
    assert (out / "b/two.pkl").read_bytes() == (out / "c/two.pkl").read_bytes() == SIMS


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_and_foreign_names_are_read(tmp_path, form):
    name = "é/" + "long-name-" * 20 + "/x.pkl"
    unpacked(
        tmp_path, tar_bytes(member(name, SIMS), member("b", b"", pax={"comment": "x"}), form=form)
    )
    assert (tmp_path / "out" / name).read_bytes() == SIMS


def test_a_size_in_a_long_header_counts(tmp_path):
    body = tar_bytes(member("a", SIMS, pax={"size": str(len(SIMS))}), form=tarfile.PAX_FORMAT)
    assert unpacked(tmp_path, body) == {"a": len(SIMS)}
    for size in ("-1", "x", "9" * 19):
        body = tar_bytes(member("a", SIMS, pax={"size": size}), form=tarfile.PAX_FORMAT)
        with pytest.raises(FileError, match="cut off or damaged"):
            unpacked(tmp_path, body)


def test_bombs_are_stopped_before_they_are_written(tmp_path):
    zeros = tar_bytes(member("zeros", bytes(3 * 2**20)))
    assert len(zeros) < 10_000
    with pytest.raises(FileError, match="unpacks to more than .* 64 times its own size"):
        unpacked(tmp_path, zeros, Bounds(slack=2**20))
    unpacked(tmp_path, zeros)
    # A claim alone is enough, however few bytes follow.
    info, _ = member("huge")
    info.size = 2**50
    with pytest.raises(FileError, match="unpacks to more than"):
        unpacked(tmp_path, gzip.compress(info.tobuf() + bytes(2048)))
    many = tar_bytes(*(member(f"{n}", b"x") for n in range(5)))
    with pytest.raises(FileError, match="more than 4 members"):
        unpacked(tmp_path, many, Bounds(members=4))
    info, _ = member("././@LongLink", kind=tarfile.GNUTYPE_LONGNAME)
    info.size = 2**24  # a name of 16 MB
    with pytest.raises(FileError, match="holds a name of 16,777,216 bytes"):
        unpacked(tmp_path, gzip.compress(info.tobuf() + bytes(2**24)))
    # A size below zero must not read all there is.
    info.size = -512
    body = gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(2**26))
    tracemalloc.start()
    with pytest.raises(FileError, match="cut off or damaged"):
        unpacked(tmp_path, body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**23
    after = gzip.compress(gzip.decompress(GOOD) + bytes(3 * 2**20))
    with pytest.raises(FileError, match="unpacks to more than"):
        unpacked(tmp_path, after, Bounds(slack=2**20, expansion=1))


def test_a_tar_cut_off_anywhere_is_damaged_even_between_members(tmp_path):
    raw = gzip.decompress(GOOD)
    ends = [512, 1024, 1024 + 30_000, 1024 + 30_208, 1024 + 30_208 + 512, 10]
    for end in ends:
        for body in (raw[:end], gzip.compress(raw[:end])):
            with pytest.raises(FileError, match="cut off or damaged|not a tar"):
                unpacked(tmp_path, body)
    for body in (raw + b"more" * 128, gzip.compress(raw + b"more" * 128)):
        with pytest.raises(FileError, match="goes on after its end"):
            unpacked(tmp_path, body)
    with pytest.raises(FileError, match="cut off or damaged"):
        unpacked(tmp_path, gzip.compress(raw[:512] + b"\1" * 512 + raw[1024:]))


@pytest.mark.parametrize("records", [b"9 path=", b"path=x\n", b"99 path=x\n", b"5 x=yz\n"])
def test_a_header_that_lies_about_its_length_is_damaged(tmp_path, records):
    info, _ = member("pax", kind=tarfile.XHDTYPE)
    info.size = len(records)
    body = info.tobuf() + records.ljust(512, b"\0") + gzip.decompress(GOOD)
    with pytest.raises(FileError, match="cut off or damaged"):
        unpacked(tmp_path, gzip.compress(body))


def test_a_sparse_file_is_refused(tmp_path):
    body = tar_bytes(
        member("a", b"x", pax={"GNU.sparse.major": "1", "GNU.sparse.realsize": "9" * 15}),
        form=tarfile.PAX_FORMAT,
    )
    with pytest.raises(FileError, match="not read here"):
        unpacked(tmp_path, body)


def test_nothing_is_written_through_a_link_that_was_there(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileError, match="through a link that leads out of out; remove the link"):
        unpacked(tmp_path, tar_bytes(member("0", b"x"), member("a/evil", b"x")))
    assert not (tmp_path / "out/0").exists() and not list((tmp_path / "elsewhere").iterdir())


def test_a_link_by_its_whole_path_is_refused_even_to_its_own_files(tmp_path):
    inside = str(tmp_path / "out" / ".x.tar.gz.unpacking" / "a")
    with pytest.raises(FileError, match="a link that leads out"):
        unpacked(tmp_path, tar_bytes(member("a", b"x"), member("s", kind=SOFT, link=inside)))


def test_a_folder_in_the_way_of_a_file_is_told_before_anything_is_moved(tmp_path):
    (tmp_path / "out/b/c").mkdir(parents=True)
    with pytest.raises(FileError, match="'b' of x.tar.gz is a folder here; move it away"):
        unpacked(tmp_path, tar_bytes(member("a", b"x"), member("b", b"x")))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b"]


def test_a_data_folder_that_is_a_link_to_a_larger_disk_is_fine(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    unpacked(tmp_path, GOOD)
    assert (tmp_path / "disk/msvd/sims.pkl").read_bytes() == SIMS


def test_a_full_disk_is_told_before_a_member_is_written(tmp_path, monkeypatch):
    usage = downloads.shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(FileError, match="are free; make room"):
        unpacked(tmp_path, GOOD)
