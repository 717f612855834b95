""".npz and .safetensors: read straight from their place, and claims are checked before that."""

import io
import json
import struct
import time
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch

from retrieval.errors import FileError
from retrieval.formats import VISITORS, Limits, open_arrays, open_matrix, read_npz
from retrieval.formats.source import Source
from retrieval.formats.zips import read_table, unpack


def refused(path, match, limits=VISITORS, read=False):
    """The file is refused in one short sentence, at once, for little memory."""
    tracemalloc.start()
    begun = time.perf_counter()
    with pytest.raises(FileError, match=match) as caught:
        for stored in open_arrays(path, limits).values():
            if read:
                stored.read()
    took_s, (_, peak) = time.perf_counter() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(str(caught.value)) <= 200 and "\n" not in str(caught.value)
    assert took_s < 5 and peak < 60e6  # a loaded machine; alone, far below a second


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


# ---- .npz


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", "?", "i8"])
def test_every_array_of_an_npz_is_read(rng, tmp_path, save, dtype):
    one = np.asarray(5 * rng.normal(size=(37, 53))).astype(dtype)
    two = np.asfortranarray(one)
    save(tmp_path / "m.npz", one=one, two=two, line=one[0], none=one[:0])
    stored = open_arrays(tmp_path / "m.npz")
    assert list(stored) == ["one", "two", "line", "none"]
    for name in ("one", "two"):
        assert stored[name].streams == (save is np.savez)
        np.testing.assert_array_equal(stored[name].read_rows(3, 9), one[3:9])
        np.testing.assert_array_equal(stored[name].read(), one)
        for rows, columns, block in stored[name].tiles(10, 10).blocks():
            np.testing.assert_array_equal(block, one[rows, columns])
    np.testing.assert_array_equal(stored["line"].read(), one[0])
    assert stored["none"].read().shape == (0, 53)
    assert read_npz(tmp_path / "m.npz")["one"].dtype.isnative


def test_the_table_is_read_as_the_standard_library_reads_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("ä.npy", b"umlaut")
        archive.writestr("empty.npy", b"")
        archive.writestr(zipfile.ZipInfo("late.npy"), b"x" * 1000, zipfile.ZIP_DEFLATED)
        with archive.open("wide.npy", "w", force_zip64=True) as member:
            member.write(b"y" * 1000)
        archive.comment = b"a comment"
    source = Source(tmp_path / "a.zip")
    table = read_table(source, 10)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert list(table) == archive.namelist()
        for name, member in table.items():
            assert unpack(source, member).tobytes() == archive.read(name)
            assert unpack(source, member, 7).tobytes() == archive.read(name)[:7]


def test_what_an_npz_claims_is_checked_before_it_is_unpacked(tmp_path):
    path = tmp_path / "m.npz"
    zeros = npy(np.zeros(2**24, np.uint8))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in "abc":
            archive.writestr(f"{name}.npy", zeros)
    refused(path, "bytes once unpacked, the limit is 40,000,000", Limits(unpacked_bytes=40_000_000))
    refused(path, "3 members, the limit is 2", Limits(tensors=2))
    refused(path, "bytes of member names, the limit is 100", Limits(index_bytes=100))
    refused(path, "16,777,216 cells, the limit is 1,000", Limits(cells=1000))
    with zipfile.ZipFile(path, "w") as archive:
        for n in range(65):
            archive.writestr(f"{n}.npy", npy(np.zeros(1)))
    refused(path, "65 arrays, the limit is 64")


@pytest.mark.parametrize("name", ["../evil.npy", "a/b.npy", "readme.txt", "a\\b.npy", ".npy"])
def test_members_that_are_no_arrays_are_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        archive.writestr("a.npy", npy(np.zeros(1)))
        archive.writestr(name, npy(np.zeros(1)))
    refused(tmp_path / "m.npz", "is not a .npz: it holds")


def test_objects_in_an_npz_are_refused_and_not_unpickled(tmp_path):
    np.savez(tmp_path / "m.npz", a=np.array([{}], dtype=object))
    refused(tmp_path / "m.npz", r"m.npz\[a\] holds Python objects")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        archive.writestr("a.npy", npy(np.zeros(1)))
        archive.writestr("a.npy", npy(np.ones(1)))
    refused(tmp_path / "m.npz", "two members of one name")


def zip_of(members, count=None, comment=b""):
    """A zip file by hand.

    Args:
        members: (name, bytes in the file, claimed size, method, claimed CRC, where) each; `where`
            is the place of the bytes, None for the next.
        count: how many members it claims to have.
    """
    body, table = b"", b""
    for name, packed, size, method, crc, where in members:
        at = len(body) if where is None else where
        fields = struct.pack(
            "<HHHHHIIIHH", 20, 0, method, 0, 0, crc, len(packed), size, len(name), 0
        )
        if where is None:
            body += b"PK\3\4" + fields + name + packed
        table += b"PK\1\2" + b"\x14\0" + fields + bytes(10) + struct.pack("<I", at) + name
    n = len(members) if count is None else count
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, n, n, len(table), len(body), len(comment))
    return body + table + end + comment


def deflated(data):
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    return machine.compress(data) + machine.flush()


WHOLE = npy(np.arange(6.0))
PACKED = deflated(WHOLE)
CRC = zlib.crc32(WHOLE)


@pytest.mark.parametrize("method", [0, 8])
def test_the_hand_made_zip_is_whole(tmp_path, method):
    packed = PACKED if method else WHOLE
    (tmp_path / "m.npz").write_bytes(zip_of([(b"a.npy", packed, len(WHOLE), method, CRC, None)]))
    np.testing.assert_array_equal(read_npz(tmp_path / "m.npz")["a"], np.arange(6.0))


@pytest.mark.parametrize(
    ("data", "match"),
    [
        # sizes that are not the real ones
        (zip_of([(b"a.npy", PACKED, len(WHOLE) + 1, 8, CRC, None)]), "not a whole|truncated"),
        (zip_of([(b"a.npy", deflated(WHOLE + b"x"), len(WHOLE), 8, CRC, None)]), "not a whole"),
        (zip_of([(b"a.npy", deflated(WHOLE[:-1]), len(WHOLE), 8, CRC, None)]), "not a whole"),
        (zip_of([(b"a.npy", PACKED[:-3], len(WHOLE), 8, CRC, None)]), "not a whole"),
        (zip_of([(b"a.npy", PACKED, 2**31, 8, CRC, None)]), "not a whole|bytes once unpacked"),
        (zip_of([(b"a.npy", WHOLE, len(WHOLE) + 1, 0, CRC, None)]), "not a whole"),
        (zip_of([(b"a.npy", b"\xff" * 99, len(WHOLE), 8, CRC, None)]), "not a whole"),
        # another content
        (zip_of([(b"a.npy", WHOLE, len(WHOLE), 0, CRC ^ 1, None)]), "not a whole"),
        (zip_of([(b"a.npy", PACKED, len(WHOLE), 8, CRC ^ 1, None)]), "not a whole"),
        (zip_of([(b"a.npy", WHOLE, len(WHOLE), 12, CRC, None)]), "not a whole"),  # bzip2
        # members that share their bytes
        (
            zip_of(
                [(b"a.npy", WHOLE, len(WHOLE), 0, CRC, None)]
                + [(b"a.npy", WHOLE, len(WHOLE), 0, CRC, 0)]
            ),
            "share their bytes",
        ),
        (zip_of([(b"a.npy", WHOLE, len(WHOLE), 0, CRC, 2**31)]), "not an array file|not a whole"),
        # a table that is not there
        (zip_of([(b"a.npy", WHOLE, len(WHOLE), 0, CRC, None)], count=2), "not a whole"),
        (zip_of([(b"a.npy", WHOLE, len(WHOLE), 0, CRC, None)] * 2, count=1), "not a whole"),
        (zip_of([(b"a.npy", WHOLE, len(WHOLE), 0, CRC, None)], count=65_535), "members, the limit"),
        (zip_of([(b"a.npy", WHOLE, len(WHOLE), 0, CRC, None)]) + b"x", "not a whole"),
        (zip_of([(b"a.npy", WHOLE, len(WHOLE), 0, CRC, None)])[:-1], "not a whole"),
        (b"PK\3\4" + bytes(100), "not a whole"),
    ],
)
def test_a_hostile_or_damaged_zip_is_refused(tmp_path, data, match):
    (tmp_path / "m.npz").write_bytes(data)
    refused(tmp_path / "m.npz", match, read=True)


def npy_that_claims(shape, data):
    file = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + data


@pytest.mark.parametrize("method", [0, 8])
def test_an_array_does_not_reach_beyond_its_member(tmp_path, method):
    data = npy_that_claims((100,), bytes(99))
    packed = deflated(data) if method else data
    members = [(b"a.npy", packed, len(data), method, zlib.crc32(data), None)]
    members.append((b"b.npy", WHOLE, len(WHOLE), 0, CRC, None))
    (tmp_path / "m.npz").write_bytes(zip_of(members))
    refused(tmp_path / "m.npz", r"m.npz\[a\] is truncated or damaged.* 100 bytes, it holds 99")


def test_a_claim_that_no_deflated_byte_can_keep_is_refused_unread(tmp_path):
    data = npy_that_claims((10**8,), bytes(20_000))
    member = (b"a.npy", deflated(data), len(data) - 20_000 + 10**8, 8, 0, None)
    (tmp_path / "m.npz").write_bytes(zip_of([member]))
    refused(tmp_path / "m.npz", "not a whole")


def test_a_member_that_breaks_off_is_refused_when_it_is_opened(tmp_path):
    (tmp_path / "m.npz").write_bytes(
        zip_of([(b"a.npy", deflated(WHOLE[:-1]), len(WHOLE), 8, CRC, None)])
    )
    refused(tmp_path / "m.npz", "not a whole")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"PK\1\2", b"PK\1\3"),  # no line of a table
        lambda data: data.replace(b"PK\5\6", b"gap!PK\5\6"),
        lambda data: data.replace(b"a.npy", b"b.npy", 1),  # another name beside its bytes
        lambda data: data.replace(b"PK\1\2", b"x" * 10 + b"PK\1\2"),
    ],
)
def test_a_table_that_does_not_fit_its_file_is_refused(tmp_path, change):
    data = change(zip_of([(b"a.npy", WHOLE, len(WHOLE), 0, CRC, None)]))
    (tmp_path / "m.npz").write_bytes(data)
    refused(tmp_path / "m.npz", "not a whole")


def test_an_encrypted_zip_is_refused(tmp_path):
    data = bytearray(zip_of([(b"a.npy", WHOLE, len(WHOLE), 0, CRC, None)]))
    data[data.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "m.npz").write_bytes(data)
    refused(tmp_path / "m.npz", "is encrypted")


def test_a_member_never_unpacks_to_more_than_it_says(tmp_path):
    """What is inflated is counted: this one says 176 bytes and holds 100 million."""
    packed = deflated(WHOLE + bytes(10**8))
    (tmp_path / "m.npz").write_bytes(zip_of([(b"a.npy", packed, len(WHOLE), 8, CRC, None)]))
    refused(tmp_path / "m.npz", "not a whole", read=True)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_every_damaged_byte_of_an_npz_is_told_or_harmless(rng, tmp_path, save):
    path, array = tmp_path / "m.npz", rng.normal(size=(5, 4))
    save(path, a=array)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        try:
            (found,) = read_npz(path).values()
        except FileError:
            continue
        np.testing.assert_array_equal(found, array)  # a date or version, which say nothing
    for n_bytes in range(1, len(whole)):
        path.write_bytes(whole[:n_bytes])
        with pytest.raises(FileError):
            read_npz(path)


# ---- .safetensors


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i1", "u1", "i2", "i4", "i8", "?"])
def test_safetensors_are_read_as_their_own_library_reads_them(rng, tmp_path, dtype):
    path, one = tmp_path / "m.safetensors", np.asarray(5 * rng.normal(size=(37, 53))).astype(dtype)
    save_file({"b": one, "a": one[0].copy(), "c": one[:0].copy()}, path, {"made": "by hand"})
    stored, theirs = open_arrays(path), load_file(path)
    assert sorted(stored) == sorted(theirs)
    for name, array in theirs.items():
        np.testing.assert_array_equal(stored[name].read(), array)
        assert stored[name].dtype == array.dtype
    assert stored["b"].streams
    np.testing.assert_array_equal(stored["b"].read_rows(3, 9), one[3:9])


def test_bfloat16_is_read_as_float32(tmp_path):
    tensor = torch.randn(37, 53).bfloat16()
    save_torch({"emb": tensor}, tmp_path / "m.safetensors")
    stored = open_matrix(tmp_path / "m.safetensors")
    assert stored.dtype == np.float32 and stored.streams
    np.testing.assert_array_equal(stored.read(), tensor.float())
    for rows, columns, block in stored.tiles(10, 10).blocks():
        np.testing.assert_array_equal(block, tensor.float()[rows, columns])


def safetensors(header, data=bytes(24), length=None):
    text = header if type(header) is bytes else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(start=0, stop=24, shape=(2, 3), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (safetensors({"a": entry()}, bytes(25)), "not a whole"),
        (safetensors({"a": entry()}, bytes(23)), "not a whole"),
        (safetensors({"a": entry(shape=(2, 4))}), "not a whole"),
        (safetensors({"a": entry(shape=(10**9, 10**9))}), "the limit is 10,000,000"),
        (safetensors({"a": entry(shape=(-2, -3))}), "not a whole"),
        (safetensors({"a": entry(shape=(True, 6))}), "not a whole"),
        (safetensors({"a": entry(shape=(2.0, 3))}), "not a whole"),
        (safetensors({"a": entry(shape="ab")}), "not a whole"),
        (safetensors({"a": entry(-24, 0)}), "not a whole"),
        (safetensors({"a": entry(), "b": entry()}), "not a whole"),  # they share their bytes
        (safetensors({"a": entry(8, 32)}, bytes(32)), "not a whole"),  # a gap
        (safetensors({"a": entry(dtype="F8_E4M3", stop=6)}, bytes(6)), "F8_E4M3.*save it as float"),
        (safetensors({"a": entry(dtype=7)}), "save it as float32"),
        (safetensors({"a": {"dtype": "F32"}}), "not a whole"),
        (safetensors({"a": [1]}), "not a whole"),
        (safetensors(b'{"a": NaN}'), "not a whole"),
        (safetensors(b'{"a": 1, "a": 2}'), "not a whole"),
        (safetensors(b'{"a": ' + b"[" * 100_000), "not a whole"),
        (safetensors(b"{" + b" " * 200), "not a whole"),
        (safetensors({"a": entry()}, length=2**62), "not an array file"),
    ],
)
def test_hostile_or_damaged_safetensors_are_refused(tmp_path, data, match):
    (tmp_path / "m.safetensors").write_bytes(data)
    refused(tmp_path / "m.safetensors", match)


def test_a_header_beyond_its_limit_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(safetensors({str(n): entry(0, 0, (0,)) for n in range(9)}, b""))
    refused(path, "bytes of array names, the limit is 100", Limits(index_bytes=100))
    refused(path, "9 arrays, the limit is 8", Limits(tensors=8))
