"""Arrays, tables and manifests: what is whole is read, what is not is refused in one sentence."""

import io
import json
import os

import numpy as np
import pytest

from retrieval import files
from retrieval.errors import GalleryError


def npy_bytes(array, tmp_path):
    path = tmp_path / "whole.npy"
    np.save(path, array)
    return path.read_bytes()


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


# ---- .npy


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2", ">i4", "u1", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_read_npy_reads_every_plain_array(tmp_path, dtype, order):
    array = np.asarray(np.arange(12).reshape(3, 4) % 7, dtype=dtype, order=order)
    np.save(tmp_path / "a.npy", array)
    read = files.read_npy(tmp_path / "a.npy")
    np.testing.assert_array_equal(read, array)
    assert read.dtype.isnative


def test_every_truncation_of_an_npy_is_refused(tmp_path):
    whole = npy_bytes(np.arange(6, dtype=np.float32).reshape(2, 3), tmp_path)
    for n_bytes in range(len(whole)):
        with pytest.raises(GalleryError):
            files.parse_npy(whole[:n_bytes], "x.npy")
    with pytest.raises(GalleryError, match="truncated or damaged"):
        files.parse_npy(whole + b"\0", "x.npy")


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((10**9, 10**9), "asks for 4,000,000,000,000,000,000 bytes, it holds 24"),
        ((2, -3), "header"),
    ],
)
def test_a_header_that_lies_is_refused_before_anything_is_allocated(shape, sentence):
    file = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(GalleryError, match=sentence):
        files.parse_npy(file.getvalue() + bytes(24), "x.npy")


def test_objects_and_records_are_refused_without_unpickling(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "marker"), "w"))

    np.save(tmp_path / "o.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(GalleryError, match="expected plain numbers"):
        files.read_npy(tmp_path / "o.npy")
    np.save(tmp_path / "r.npy", np.zeros(3, dtype=[("a", "f4")]))
    with pytest.raises(GalleryError, match="expected plain numbers"):
        files.read_npy(tmp_path / "r.npy")
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\x80\x04\x95", "Python pickle"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"", "not an array file"),
    ],
)
def test_what_people_send_by_mistake_gets_its_own_sentence(tmp_path, content, sentence):
    (tmp_path / "emb.npy").write_bytes(content)
    with pytest.raises(GalleryError, match=sentence):
        files.read_embeddings(tmp_path / "emb.npy")


def test_a_wrong_checksum_is_refused(tmp_path):
    files.write_npy(tmp_path / "a.npy", np.ones((2, 2), np.float32))
    right = files.sha256_file(tmp_path / "a.npy")
    assert files.read_npy(tmp_path / "a.npy", right).shape == (2, 2)
    with pytest.raises(GalleryError, match="checksum"):
        files.read_npy(tmp_path / "a.npy", right[::-1])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this platform")
def test_a_fifo_is_refused_at_once_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "emb.npy")
    with pytest.raises(GalleryError, match="not a regular file"):
        files.read_npy(tmp_path / "emb.npy")


# ---- embeddings


def test_read_embeddings_takes_a_slice_of_a_3d_array(tmp_path):
    both = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.save(tmp_path / "both.npy", both)
    np.testing.assert_array_equal(files.read_embeddings(f"{tmp_path}/both.npy[1]"), both[1])
    with pytest.raises(GalleryError, match=r"\(2, 3, 4\).*both.npy\[0\]"):
        files.read_embeddings(tmp_path / "both.npy")
    with pytest.raises(GalleryError, match=r"no part \[2\]"):
        files.read_embeddings(f"{tmp_path}/both.npy[2]")


def test_read_embeddings_takes_one_array_of_an_npz(tmp_path):
    emb = np.ones((3, 4), np.float32)
    np.savez(tmp_path / "two.npz", video=emb, text=2 * emb)
    np.testing.assert_array_equal(files.read_embeddings(f"{tmp_path}/two.npz[text]"), 2 * emb)
    with pytest.raises(GalleryError, match="holds the arrays video, text; say which"):
        files.read_embeddings(tmp_path / "two.npz")
    np.savez_compressed(tmp_path / "one.npz", emb)
    np.testing.assert_array_equal(files.read_embeddings(tmp_path / "one.npz"), emb)


def test_read_embeddings_takes_safetensors(tmp_path):
    from safetensors.numpy import save_file

    emb = np.arange(12, dtype=np.float32).reshape(3, 4)
    save_file({"emb": emb}, tmp_path / "e.safetensors")
    np.testing.assert_array_equal(files.read_embeddings(tmp_path / "e.safetensors"), emb)
    whole = (tmp_path / "e.safetensors").read_bytes()
    (tmp_path / "e.safetensors").write_bytes(whole[:-3])
    with pytest.raises(GalleryError, match="not a whole .safetensors"):
        files.read_embeddings(tmp_path / "e.safetensors")


def test_a_damaged_npz_and_a_foreign_zip_are_refused(tmp_path):
    import zipfile

    np.savez(tmp_path / "a.npz", emb=np.arange(100.0).reshape(10, 10))
    whole = bytearray((tmp_path / "a.npz").read_bytes())
    whole[300] ^= 1
    (tmp_path / "a.npz").write_bytes(whole)
    with pytest.raises(GalleryError, match="not a whole .npz"):
        files.read_npz(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("../evil.npy", b"x")
    with pytest.raises(GalleryError, match="not a .npz"):
        files.read_npz(tmp_path / "b.npz")


def test_one_dimension_and_no_rows_are_refused(tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros(5))
    np.save(tmp_path / "none.npy", np.zeros((0, 5)))
    for name in ("flat", "none"):
        with pytest.raises(GalleryError, match="expected \\[n, dim\\]"):
            files.read_embeddings(tmp_path / f"{name}.npy")
    with pytest.raises(FileNotFoundError, match="absent.npy"):
        files.read_embeddings(tmp_path / "absent.npy")


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
    files.write_manifest(folder, "gallery", {"dim": 2})
    assert files.read_manifest(folder, "gallery", "make", verify=True)["dim"] == 2
    for name in ("a.npy", "b.txt", "manifest.json"):
        whole = (folder / name).read_bytes()
        for place in range(0, len(whole), 7):
            damaged = bytearray(whole)
            damaged[place] ^= 0x10
            (folder / name).write_bytes(damaged)
            with pytest.raises(GalleryError):
                files.read_manifest(folder, "gallery", "make", verify=True)
        (folder / name).write_bytes(whole)
    files.read_manifest(folder, "gallery", "make", verify=True)


def test_missing_and_short_files_are_told_without_hashing(tmp_path):
    (tmp_path / "a.txt").write_text("words")
    files.write_manifest(tmp_path, "gallery", {})
    (tmp_path / "a.txt").write_text("word")
    with pytest.raises(GalleryError, match="a.txt is damaged: 4 bytes, expected 5"):
        files.read_manifest(tmp_path, "gallery", "make")
    (tmp_path / "a.txt").unlink()
    with pytest.raises(GalleryError, match="a.txt is missing"):
        files.read_manifest(tmp_path, "gallery", "make")


def test_another_kind_and_another_format_are_refused(tmp_path):
    files.write_manifest(tmp_path, "querybank", {})
    with pytest.raises(GalleryError, match="is not a gallery \\(it says 'querybank'\\)"):
        files.read_manifest(tmp_path, "gallery", "make")
    manifest = files.read_json(tmp_path / "manifest.json") | {"format": 99}
    files.write_json(tmp_path / "manifest.json", manifest)
    with pytest.raises(GalleryError, match="format 99"):
        files.read_manifest(tmp_path, "querybank", "make")


def test_a_folder_without_a_manifest_is_told_with_the_command(tmp_path):
    with pytest.raises(GalleryError, match="there is no gallery .*`make it`"):
        files.read_manifest(tmp_path / "none", "gallery", "make it")
    with pytest.raises(GalleryError, match="has no manifest.json"):
        files.read_manifest(tmp_path, "gallery", "make it")
