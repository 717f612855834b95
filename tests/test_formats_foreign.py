"""A file is what its first bytes say; what people send by mistake gets a sentence of its own."""

import os

import numpy as np
import pytest

from retrieval.errors import FileError
from retrieval.formats import Limits, limits, open_arrays, open_matrix, read_checkpoint, read_pickle


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>", "web page"),
        (b"<?xml version='1.0'?>", "web page or XML"),
        (b"\x1f\x8b\x08" + bytes(9), "gzip archive; unpack"),
        (b"BZh91AY&SY", "bzip2 archive"),
        (b"\xfd7zXZ\0", "xz archive"),
        (b"\x28\xb5\x2f\xfd\0", "zstd archive"),
        (b"7z\xbc\xaf\x27\x1c", "7z archive"),
        (b"Rar!\x1a\7", "rar archive"),
        (b"sims.npy" + bytes(249) + b"ustar" + bytes(250), "tar archive"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"MATLAB 5.0 MAT-file", "MATLAB"),
        (b"PAR1" + bytes(9), "Parquet"),
        (b"ARROW1\0\0", "Arrow"),
        (b"SQLite format 3\0", "database"),
        (b'{"sims": [[1, 2]]}', "JSON text"),
        (b"[[1, 2]]", "JSON text"),
        (b"\x7fELF\2\1\1" + bytes(99), "is not an array file"),
        (b"\0" * 100, "is not an array file"),
        (b"", "is empty"),
    ],
)
def test_what_people_send_by_mistake_gets_its_own_sentence(tmp_path, content, sentence):
    path = tmp_path / "sims.npy"
    path.write_bytes(content)
    for reader in (open_arrays, open_matrix, read_pickle, read_checkpoint):
        wanted = sentence.replace("an array file", "a")
        with pytest.raises(FileError, match=f"sims.npy.*{wanted}") as caught:
            reader(path)
        assert len(str(caught.value)) <= 200 and str(tmp_path) not in str(caught.value)


def test_the_suffix_says_nothing(tmp_path):
    import pickle

    import torch
    from safetensors.numpy import save_file

    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    with open(tmp_path / "0.pkl", "wb") as file:
        np.save(file, array)
    with open(tmp_path / "1.npy", "wb") as file:
        np.savez(file, array)
    (tmp_path / "2.csv").write_bytes(pickle.dumps(array))
    save_file({"a": array}, tmp_path / "3.pt")
    torch.save(torch.from_numpy(array), tmp_path / "4.npz")
    np.savetxt(tmp_path / "5.safetensors", array)
    for name in os.listdir(tmp_path):
        np.testing.assert_array_equal(open_matrix(tmp_path / name).read(), array)


def test_a_name_that_is_no_array_is_told_with_those_that_are(tmp_path):
    np.savez(tmp_path / "m.npz", text=np.eye(2), video=np.eye(3))
    with pytest.raises(FileError, match=r"holds the arrays text, video; say which.*m.npz\[text\]"):
        open_matrix(tmp_path / "m.npz")
    with pytest.raises(FileError, match="holds the arrays text, video"):
        open_matrix(f"{tmp_path}/m.npz[audio]")
    names = {f"array {'x' * 80} {n}": np.eye(2) for n in range(40)}
    np.savez(tmp_path / "many.npz", **names)
    with pytest.raises(FileError, match="say which") as caught:
        open_matrix(tmp_path / "many.npz")
    assert len(str(caught.value)) <= 200


def test_a_long_name_stays_short_in_a_message(tmp_path):
    path = tmp_path / f"{'x' * 150}.npy"
    path.write_bytes(b"\x93NUMPY\1\0\xff\xff")
    with pytest.raises(FileError) as caught:
        open_matrix(path)
    assert len(str(caught.value)) <= 200


@pytest.mark.parametrize(
    ("small", "sentence"),
    [
        (Limits(file_bytes=100), "176 bytes, the limit is 100"),
        (Limits(side=2), "3 items on one side, the limit is 2"),
        (Limits(cells=5), "6 cells, the limit is 5"),
        (Limits(header_bytes=50), "damaged .npy header"),
    ],
)
def test_a_limit_is_named_with_what_was_found(tmp_path, small, sentence):
    np.save(tmp_path / "a.npy", np.arange(6.0).reshape(2, 3))
    assert open_matrix(tmp_path / "a.npy").shape == (2, 3)
    with pytest.raises(FileError, match=sentence):
        open_matrix(tmp_path / "a.npy", limits=small)


def test_an_array_that_memory_does_not_hold_is_refused_before_it_is_read(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.zeros((100, 100)))
    stored = open_matrix(tmp_path / "a.npy")
    monkeypatch.setattr(limits, "free_memory", lambda: 10_000)
    with pytest.raises(FileError, match="GB of memory"):
        stored.read()
    assert sum(block.size for _, _, block in stored.tiles(10, 100).blocks()) == 10_000


def test_free_memory_is_what_this_machine_has():
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < limits.free_memory() <= machine


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
        "{'shape': (2L, 3L), 'descr': '<f4', 'fortran_order': False, }",
        "{ 'fortran_order':False,'shape':(2,3),'descr':'<f4'}   \n",
    ],
)
@pytest.mark.parametrize("version", [1, 2, 3])
def test_every_writer_of_npy_headers_is_understood(tmp_path, header, version):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    data = b"\x93NUMPY" + bytes([version, 0]) + length + header.encode() + array.tobytes()
    (tmp_path / "a.npy").write_bytes(data)
    np.testing.assert_array_equal(open_matrix(tmp_path / "a.npy").read(), array)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [2, 3]}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2.0, 3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 6)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, -3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (%s,)}" % ("9" * 5000),
        "{'descr': '<f4', 'fortran_order': False, 'shape': (10**6,)}",
        "{'descr': ('<f4', (2,)), 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f16', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<c8', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (3,)}",
        "__import__('os').system('true')",
        "(" * 9000,
        "[1, 2]",
        "'",
        "\0",
    ],
)
def test_a_header_that_says_anything_else_is_refused(tmp_path, header):
    data = b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode() + bytes(24)
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(FileError, match="damaged .npy header|expected plain numbers") as caught:
        open_matrix(tmp_path / "a.npy")
    assert len(str(caught.value)) <= 200
