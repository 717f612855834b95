"""Arrays, tables and manifests: what is whole is read, what is not is refused in one sentence."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from retrieval import files, manifests
from retrieval.errors import GalleryError

# ---- text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  a   dog\truns\n", "a dog runs"),
        ("cafe\u0301", "café"),
        ("a\u202egnp.exe\u202c", "agnp.exe"),
        ("\ufeffstart\x07\x1b[31m", "start[31m"),
        ("👩\u200d🚒 Hündin 犬 כלב", "👩\u200d🚒 Hündin 犬 כלב"),
        ("\ud800broken", "broken"),
        ("<b>&amp;</b>", "<b>&amp;</b>"),
    ],
)
def test_clean_text_keeps_words_and_drops_what_controls(text, clean):
    assert files.clean_text(text) == clean


# ---- whole or not at all


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "kept.json"
    files.write_json(path, {"old": 1})
    with pytest.raises(RuntimeError), files.replacing(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert files.read_json(path) == {"old": 1}
    assert os.listdir(tmp_path) == ["kept.json"]


def test_write_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError):
        files.write_json(tmp_path / "x.json", {"score": float("nan")})
    assert os.listdir(tmp_path) == []


# ---- JSON and tables


@pytest.mark.parametrize(
    "text",
    ['{"a": NaN}', '{"a": Infinity}', '{"a": 1e999}', '{"a": 1, "a": 2}', "{", "[" * 100_000],
)
def test_loose_json_is_refused(text):
    with pytest.raises(GalleryError, match="not valid JSON"):
        files.parse_json(text, "x.json")


def test_read_table_reads_the_same_rows_from_every_kind(tmp_path):
    rows = [{"id": "a", "caption": "one, two"}, {"id": "b", "caption": "drei \u2028 ü"}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    (tmp_path / "t.json").write_text(json.dumps(rows))
    (tmp_path / "t.csv").write_text(
        '\ufeffid,caption\r\na,"one, two"\r\nb,drei \u2028 ü\r\n', newline=""
    )
    (tmp_path / "t.tsv").write_text("id\tcaption\na\tone, two\nb\tdrei \u2028 ü\n")
    for suffix in ("jsonl", "json", "csv", "tsv"):
        assert files.read_table(tmp_path / f"t.{suffix}") == rows
    (tmp_path / "t.txt").write_text(" one, two \n\nthree\n")
    assert files.read_table(tmp_path / "t.txt") == [{"text": "one, two"}, {"text": "three"}]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("t.csv", "id,caption\na,b\nc\n", "row 2 has not as many fields"),
        ("t.csv", "id,caption\na,b,c\n", "row 1 has not as many fields"),
        ("t.jsonl", '{"id": 1}\n{"id": \n', "line 2 is not valid JSON"),
        ("t.jsonl", "[1]\n", "row 1 is not an object"),
        ("t.json", "{}", "expected a list"),
        ("t.txt", "", "0 rows"),
        ("t.txt", "x" * 10_001, "row 1 has a field over 10,000"),
    ],
)
def test_a_malformed_table_names_its_row(tmp_path, name, content, sentence):
    (tmp_path / name).write_text(content)
    with pytest.raises(GalleryError, match=sentence):
        files.read_table(tmp_path / name)


def test_a_table_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "t.txt").write_bytes("Mädchen".encode("latin-1"))
    with pytest.raises(GalleryError, match="UTF-8"):
        files.read_table(tmp_path / "t.txt")


# ---- paths


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../x.mp4", "a/../../x.mp4", "~/x.mp4", "C:\\x.mp4", "file:x", "a\0b", "", "d"],
)
def test_paths_out_of_the_folder_are_refused(tmp_path, path):
    (tmp_path / "x.mp4").write_bytes(b"x")
    root = tmp_path / "root"
    (root / "d").mkdir(parents=True)
    with pytest.raises(GalleryError):
        files.resolve_inside(root, path)


def test_a_link_is_followed_before_it_is_judged(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.txt").write_text("s")
    (root / "inside.jpg").write_text("i")
    (root / "out.jpg").symlink_to(tmp_path / "secret.txt")
    (root / "in.jpg").symlink_to(root / "inside.jpg")
    (root / "gone.jpg").symlink_to(root / "nothing")
    assert files.resolve_inside(root, "in.jpg") == (root / "inside.jpg").resolve()
    with pytest.raises(GalleryError, match="leads out"):
        files.resolve_inside(root, "out.jpg")
    with pytest.raises(GalleryError, match="missing"):
        files.resolve_inside(root, "gone.jpg")


# ---- manifests


def test_every_single_damaged_byte_is_told(tmp_path):
    folder = tmp_path / "g"
    folder.mkdir()
    files.write_npy(folder / "a.npy", np.ones((2, 2), np.float32))
    (folder / "b.txt").write_text("words")
    manifests.write_manifest(folder, "gallery", {"dim": 2})
    assert manifests.read_manifest(folder, "gallery", "make", verify=True)["dim"] == 2
    for name in ("a.npy", "b.txt", "manifest.json"):
        whole = (folder / name).read_bytes()
        for place in range(0, len(whole), 7):
            damaged = bytearray(whole)
            damaged[place] ^= 0x10
            (folder / name).write_bytes(damaged)
            with pytest.raises(GalleryError):
                manifests.read_manifest(folder, "gallery", "make", verify=True)
        (folder / name).write_bytes(whole)
    manifests.read_manifest(folder, "gallery", "make", verify=True)


def test_missing_and_short_files_are_told_without_hashing(tmp_path):
    (tmp_path / "a.txt").write_text("words")
    manifests.write_manifest(tmp_path, "gallery", {})
    (tmp_path / "a.txt").write_text("word")
    with pytest.raises(GalleryError, match="a.txt is damaged: 4 bytes, expected 5"):
        manifests.read_manifest(tmp_path, "gallery", "make")
    (tmp_path / "a.txt").unlink()
    with pytest.raises(GalleryError, match="a.txt is missing"):
        manifests.read_manifest(tmp_path, "gallery", "make")


def test_another_kind_and_another_format_are_refused(tmp_path):
    manifests.write_manifest(tmp_path, "querybank", {})
    with pytest.raises(GalleryError, match="is not a gallery \\(it says 'querybank'\\)"):
        manifests.read_manifest(tmp_path, "gallery", "make")
    manifest = files.read_json(tmp_path / "manifest.json") | {"format": 99}
    files.write_json(tmp_path / "manifest.json", manifest)
    with pytest.raises(GalleryError, match="format 99"):
        manifests.read_manifest(tmp_path, "querybank", "make")


def test_a_folder_without_a_manifest_is_told_with_the_command(tmp_path):
    with pytest.raises(GalleryError, match="there is no gallery .*`make it`"):
        manifests.read_manifest(tmp_path / "none", "gallery", "make it")
    with pytest.raises(GalleryError, match="has no manifest.json"):
        manifests.read_manifest(tmp_path, "gallery", "make it")


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    dead, alive = tmp_path / f".a.pth.tmp-{done.pid}", tmp_path / f".b.pth.tmp-{os.getpid()}"
    for path in (dead, alive, tmp_path / ".c.tmp-x", tmp_path / "a.pth"):
        path.write_bytes(b"x")
    files.remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [alive.name, ".c.tmp-x", "a.pth"]
    )


def test_a_matrix_that_grows_is_whole_or_not_there(tmp_path, rng):
    rows = rng.normal(size=(5, 3)).astype(np.float32)
    for transposed, expected in ((False, rows), (True, rows.T)):
        path = tmp_path / f"{transposed}.npy"
        with files.growing_npy(path, (5, 3), transposed) as write:
            write(rows[:2])
            assert not path.exists()
            write(rows[2:])
        np.testing.assert_array_equal(np.load(path), expected)
    with pytest.raises(KeyError), files.growing_npy(tmp_path / "c.npy", (5, 3)) as write:
        write(rows[:2])
        raise KeyError
    assert len(list(tmp_path.iterdir())) == 2
