"""Arrays as numpy and safetensors write them: what is whole is read, the rest refused."""

import io
import os

import numpy as np
import pytest

from retrieval import files, formats
from retrieval.errors import FileError


def npy_bytes(array, tmp_path):
    path = tmp_path / "whole.npy"
    np.save(path, array)
    return path.read_bytes()


# ---- .npy


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2", ">i4", "u1", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_read_npy_reads_every_plain_array(tmp_path, dtype, order):
    array = np.asarray(np.arange(12).reshape(3, 4) % 7, dtype=dtype, order=order)
    np.save(tmp_path / "a.npy", array)
    read = formats.read_npy(tmp_path / "a.npy")
    np.testing.assert_array_equal(read, array)
    assert read.dtype.isnative


def test_every_truncation_of_an_npy_is_refused(tmp_path):
    whole = npy_bytes(np.arange(6, dtype=np.float32).reshape(2, 3), tmp_path)
    for n_bytes in range(len(whole)):
        with pytest.raises(FileError):
            formats.parse_npy(whole[:n_bytes], "x.npy")
    with pytest.raises(FileError, match="truncated or damaged"):
        formats.parse_npy(whole + b"\0", "x.npy")


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
    with pytest.raises(FileError, match=sentence):
        formats.parse_npy(file.getvalue() + bytes(24), "x.npy")


def test_objects_and_records_are_refused_without_unpickling(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "marker"), "w"))

    np.save(tmp_path / "o.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(FileError, match="expected plain numbers"):
        formats.read_npy(tmp_path / "o.npy")
    np.save(tmp_path / "r.npy", np.zeros(3, dtype=[("a", "f4")]))
    with pytest.raises(FileError, match="expected plain numbers"):
        formats.read_npy(tmp_path / "r.npy")
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\x80\x04\x95", "its pickle cannot be read"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"", "is empty"),
    ],
)
def test_what_people_send_by_mistake_gets_its_own_sentence(tmp_path, content, sentence):
    (tmp_path / "emb.npy").write_bytes(content)
    with pytest.raises(FileError, match=sentence):
        formats.read_embeddings(tmp_path / "emb.npy")


def test_a_wrong_checksum_is_refused(tmp_path):
    files.write_npy(tmp_path / "a.npy", np.ones((2, 2), np.float32))
    right = files.sha256_file(tmp_path / "a.npy")
    assert formats.read_npy(tmp_path / "a.npy", right).shape == (2, 2)
    with pytest.raises(FileError, match="checksum"):
        formats.read_npy(tmp_path / "a.npy", right[::-1])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this platform")
def test_a_fifo_is_refused_at_once_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "emb.npy")
    with pytest.raises(FileError, match="not a regular file"):
        formats.read_npy(tmp_path / "emb.npy")


# ---- embeddings


def test_read_embeddings_takes_a_slice_of_a_3d_array(tmp_path):
    both = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.save(tmp_path / "both.npy", both)
    np.testing.assert_array_equal(formats.read_embeddings(f"{tmp_path}/both.npy[1]"), both[1])
    with pytest.raises(FileError, match=r"\(2, 3, 4\).*both.npy\[0\]"):
        formats.read_embeddings(tmp_path / "both.npy")
    with pytest.raises(FileError, match=r"no part \[2\]"):
        formats.read_embeddings(f"{tmp_path}/both.npy[2]")


def test_read_embeddings_takes_one_array_of_an_npz(tmp_path):
    emb = np.ones((3, 4), np.float32)
    np.savez(tmp_path / "two.npz", video=emb, text=2 * emb)
    np.testing.assert_array_equal(formats.read_embeddings(f"{tmp_path}/two.npz[text]"), 2 * emb)
    with pytest.raises(FileError, match="holds the arrays video, text; say which"):
        formats.read_embeddings(tmp_path / "two.npz")
    np.savez_compressed(tmp_path / "one.npz", emb)
    np.testing.assert_array_equal(formats.read_embeddings(tmp_path / "one.npz"), emb)


def test_read_embeddings_takes_safetensors(tmp_path):
    from safetensors.numpy import save_file

    emb = np.arange(12, dtype=np.float32).reshape(3, 4)
    save_file({"emb": emb}, tmp_path / "e.safetensors")
    np.testing.assert_array_equal(formats.read_embeddings(tmp_path / "e.safetensors"), emb)
    whole = (tmp_path / "e.safetensors").read_bytes()
    (tmp_path / "e.safetensors").write_bytes(whole[:-3])
    with pytest.raises(FileError, match="not a whole .safetensors"):
        formats.read_embeddings(tmp_path / "e.safetensors")


def test_a_damaged_npz_and_a_foreign_zip_are_refused(tmp_path):
    import zipfile

    np.savez(tmp_path / "a.npz", emb=np.arange(100.0).reshape(10, 10))
    whole = bytearray((tmp_path / "a.npz").read_bytes())
    whole[300] ^= 1
    (tmp_path / "a.npz").write_bytes(whole)
    with pytest.raises(FileError, match="not a whole .npz"):
        formats.read_npz(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("../evil.npy", b"x")
    with pytest.raises(FileError, match="not a .npz"):
        formats.read_npz(tmp_path / "b.npz")


def test_one_dimension_and_no_rows_are_refused(tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros(5))
    np.save(tmp_path / "none.npy", np.zeros((0, 5)))
    for name in ("flat", "none"):
        with pytest.raises(FileError, match="expected \\[n, dim\\]"):
            formats.read_embeddings(tmp_path / f"{name}.npy")
    with pytest.raises(FileNotFoundError, match="absent.npy"):
        formats.read_embeddings(tmp_path / "absent.npy")
