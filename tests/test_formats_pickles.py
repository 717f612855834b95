"""Pickles: whatever holds arrays, words and numbers is read, and nothing in a file is ever run."""

import os
import pickle
import struct
import time
import tracemalloc
from collections import OrderedDict

import numpy as np
import pytest

from retrieval.errors import FileError
from retrieval.formats import VISITORS, Limits, open_arrays, open_matrix, read_pickle

PROTOCOLS = range(6)


@pytest.fixture
def write(tmp_path):
    """Writes bytes, or the pickle of a value, into a file."""

    def write(value, protocol=4):
        path = tmp_path / "sims.pkl"
        path.write_bytes(value if type(value) is bytes else pickle.dumps(value, protocol))
        return path

    return write


def refused(path, match, reader=open_arrays, limits=VISITORS):
    """The file is refused in one short sentence, at once, for little memory."""
    tracemalloc.start()
    begun = time.perf_counter()
    with pytest.raises(FileError, match=match) as caught:
        reader(path, limits=limits)
    took_s, (_, peak) = time.perf_counter() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(str(caught.value)) <= 200 and "\n" not in str(caught.value)
    assert took_s < 5 and peak < 60e6  # a loaded machine; alone, far below a second


# ---- what is read


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2", "i1", ">i8", "<u2", "?"])
def test_every_plain_array_is_read(rng, write, dtype, order, protocol):
    for shape in [(37, 53), (2, 3), (100, 1), (0, 3), (5,), (3, 4, 5), ()]:
        array = np.asarray(5 * rng.normal(size=shape)).astype(dtype, order=order)
        path = write(array, protocol)
        (stored,) = open_arrays(path).values()
        assert stored.shape == shape
        read = stored.read()
        np.testing.assert_array_equal(read, array)
        assert read.dtype == array.dtype.newbyteorder("=") and read.flags.writeable
        np.testing.assert_array_equal(read_pickle(path), array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_rows_and_tiles_are_those_of_the_array(rng, write, protocol):
    array = rng.normal(size=(301, 203))
    stored = open_matrix(write(array, protocol))
    assert stored.streams == (protocol >= 3)  # before, Python 3 wrote bytes as text
    np.testing.assert_array_equal(stored.read_rows(20, 40), array[20:40])
    for rows, columns, block in stored.tiles(50, 100).blocks():
        np.testing.assert_array_equal(block, array[rows, columns])


def test_axes_in_another_order_are_read(rng, write):
    array = rng.normal(size=(3, 4, 5)).transpose(1, 0, 2)
    (stored,) = open_arrays(write(array, 5)).values()
    np.testing.assert_array_equal(stored.read(), array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_features_and_captions_are_read(rng, write, protocol):
    array = rng.normal(size=(6, 4)).astype(np.float32)
    saved = {
        "video0": array,
        "video1": [array, rng.normal(size=(2, 4))],  # the first is shared
        "video2": float("nan"),
        "captions": [["a", "dog", "über", "die", "Straße"], ["a", "\u4e2d\u6587", "x" * 5000]],
        "numbers": (0, -1, 255, 65536, -(2**40), 2**63 - 1, True, False, None, -1.5),
        "score": np.float64(0.25),
        "seed": np.int32(7),
        "ordered": OrderedDict(b=1, a=2),
        "empty": ([], {}, (), "", np.zeros((0, 3))),
    }
    read = read_pickle(write(saved, protocol))
    np.testing.assert_array_equal(read["video0"], array)
    assert read["video1"][0] is read["video0"]
    np.testing.assert_array_equal(read["video1"][1], saved["video1"][1])
    assert np.isnan(read["video2"])
    for name in ("captions", "numbers", "score", "seed", "ordered"):
        assert read[name] == saved[name] and type(read[name]) in (list, tuple, float, int, dict)
    assert read["empty"][:4] == saved["empty"][:4] and read["empty"][4].shape == (0, 3)


def test_several_arrays_are_opened_by_name(rng, write):
    one, two = rng.normal(size=(3, 4)), rng.normal(size=(5, 4))
    path = write({"text": one, "video": two, "epoch": 3})
    assert list(open_arrays(path)) == ["text", "video"]
    np.testing.assert_array_equal(open_matrix(f"{path}[video]").read(), two)
    path = write([one, two])
    np.testing.assert_array_equal(open_matrix(f"{path}[1]").read(), two)


class Python2:
    """Writes arrays as Python 2 did, whose strings are bytes."""

    def text(self, data):
        return b"S" + repr(data)[1:].encode() + b"\n"

    def binary(self, data):
        if len(data) < 256:
            return b"U" + bytes([len(data)]) + data
        return b"T" + struct.pack("<i", len(data)) + data

    def dumps(self, array, protocol):
        string = self.text if protocol == 0 else self.binary
        sides = b"".join(b"L%dL\n" % side for side in array.shape)
        head = b"\x80\x02" if protocol == 2 else b""
        return (
            head
            + b"cnumpy.core.multiarray\n_reconstruct\np0\n(cnumpy\nndarray\np1\n(I0\ntp2\n"
            + string(b"b")
            + b"p3\ntp4\nRp5\n(I1\n("
            + sides
            + b"tp6\ncnumpy\ndtype\np7\n("
            + string(array.dtype.str[1:].encode())
            + b"p8\nI0\nI1\ntp9\nRp10\n(I3\n"
            + string(array.dtype.str[:1].encode())
            + b"p11\nNNNI-1\nI-1\nI0\ntp12\nbI%02d\n" % (not array.flags.c_contiguous)
            + string(array.tobytes("A"))
            + b"p13\ntp14\nb."
        )


@pytest.mark.parametrize("protocol", [0, 1, 2])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(2, 3), (40, 60)])
def test_arrays_that_python_2_wrote_are_read(rng, write, shape, order, protocol):
    array = np.asarray(rng.normal(size=shape), order=order)
    data = Python2().dumps(array, protocol)
    np.testing.assert_array_equal(pickle.loads(data, encoding="latin1"), array)  # it is like theirs
    stored = open_matrix(write(data))
    np.testing.assert_array_equal(stored.read(), array)
    np.testing.assert_array_equal(stored.read_rows(1, 2), array[1:2])
    assert stored.streams == (protocol > 0 and shape == (40, 60))


def test_captions_that_python_2_wrote_are_read(write):
    data = b"(dp0\nS'video1'\np1\n(lp2\n(lp3\nS'caf\\xe9'\np4\naVd\\u00f6g\np5\naas."
    assert read_pickle(write(data)) == {"video1": [["café", "dög"]]}


def test_an_expert_store_becomes_a_record(write):
    data = (
        b"\x80\x02cdatastructures\nExpertStore\n)\x81}(X\x03\x00\x00\x00dimK\x05"
        b"X\x07\x00\x00\x00missingc__builtin__\nset\n]X\x01\x00\x00\x00aa\x85Rub."
    )
    record = read_pickle(write(data))
    assert (record.kind, record.state) == (
        "datastructures.ExpertStore",
        {"dim": 5, "missing": ["a"]},
    )


# ---- what is refused


class Marker:
    """Makes a file if it is ever unpickled."""

    def __init__(self, call, *args):
        self.call, self.args = call, args

    def __reduce__(self):
        return self.call, self.args


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("inside", [lambda bomb: bomb, lambda bomb: {"sims": np.eye(2), "x": bomb}])
def test_code_is_named_and_never_run(write, tmp_path, inside, protocol):
    marker = str(tmp_path / "marker")
    for call, args, name in [
        (os.system, (f"touch {marker}",), rf"{os.name}\.system"),
        (eval, (f"open({marker!r}, 'w')",), r"(builtins|__builtin__)\.eval"),
        (open, (marker, "w"), r"_?io\.open"),
        (os.mkdir, (marker,), rf"{os.name}\.mkdir"),
        (np.save, (marker, 1), r"numpy.*save"),
    ]:
        path = write(inside(Marker(call, *args)), protocol)
        for reader in (open_arrays, read_pickle):
            refused(path, f"asks for {name}.* was not run", reader)
    assert os.listdir(tmp_path) == ["sims.pkl"]


@pytest.mark.parametrize(
    "name",
    [
        *("os system", "posix system", "subprocess Popen", "builtins exec", "builtins getattr"),
        *("builtins setattr", "functools partial", "operator attrgetter", "copyreg add_extension"),
        *("numpy load", "numpy fromfile", "numpy memmap", "numpy.testing rundocs", "numpy matrix"),
        *("numpy.core.multiarray fromstring", "numpy.core.multiarray array", "numpy._core os"),
        *("numpy.core.multiarray _reconstruct.__globals__", "numpy ndarray.tofile"),
        *("numpy.core multiarray._reconstruct", "numpy.core.numeric sys.modules"),
        *("torch.storage _load_from_bytes", "torch load", "torch._utils _rebuild_tensor_v2"),
        *("pandas.core.frame DataFrame", "_codecs decode", "codecs encode", "__main__ Evil"),
        *("collections OrderedDict.popitem", "types CodeType", "importlib import_module"),
    ],
)
def test_a_name_outside_the_table_is_refused(write, name):
    module, attribute = name.split(" ")
    named = rf"{module}\.{attribute}".replace("(", r"\(")
    for data in (
        f"c{module}\n{attribute}\n(tR.".encode(),
        b"\x80\x04\x8c" + bytes([len(module)]) + module.encode() + b"\x8c" + bytes([len(attribute)])
        + attribute.encode() + b"\x93)R.",
    ):  # fmt: skip
        refused(write(data), named)
        refused(write(data), named, read_pickle)


def test_what_others_save_is_told_how_to_save_it(write):
    refused(write(b"cpandas.core.frame\nDataFrame\n)R."), "pandas object.*to_csv or as .npy")
    refused(write(b"ctorch.storage\n_load_from_bytes\n)R."), "save tensors with torch.save")


@pytest.mark.parametrize(
    ("step", "name"),
    [
        (b"\x82\x01", "EXT1"),
        (b"\x83\x01\x00", "EXT2"),
        (b"\x84\x01\x00\x00\x00", "EXT4"),
        (b"(ios\nsystem\n", "INST"),
        (b"(o", "OBJ"),
        (b"N)}\x92", "NEWOBJ_EX"),
        (b"P1\n", "PERSID"),
        (b"NQ", "BINPERSID"),
        (b"\x97", "NEXT_BUFFER"),
        (b"N\x98", "READONLY_BUFFER"),
        (b"N2", "DUP"),
        (b"N0", "POP"),
        (b"(1", "POP_MARK"),
        (b"\xff", "0xff"),
    ],
)
def test_a_step_that_no_array_needs_is_refused(write, step, name):
    refused(write(b"\x80\x04" + step + b"."), f"the pickle step {name}")


DAMAGED = "truncated or damaged"
RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR"
F4 = (
    b"cnumpy\ndtype\n(X\x02\x00\x00\x00f4K\x00K\x01tR"
    b"(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
)


def array_of(shape, dtype=F4, payload=b"C\x04abcd"):
    return b"\x80\x03" + RECONSTRUCT + b"(K\x01" + shape + dtype + b"\x89" + payload + b"tb."


def test_the_hand_written_array_is_whole(write):
    assert open_arrays(write(array_of(b"K\x01K\x01\x86")))[""].shape == (1, 1)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        # more claimed than is there
        (array_of(b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86"), "limit is 10,000,000"),
        (array_of(b"M\x00\x40M\x00\x40\x86"), "cells, the limit is 100,000,000"),
        (array_of(b"M\x00\x20M\x00\x20\x86"), "asks for 268,435,456 bytes, it holds 4"),
        (array_of(b"K\x02\x85"), "asks for 8 bytes, it holds 4"),
        (array_of(b"K\x00\x85"), "asks for 0 bytes, it holds 4"),
        (array_of(b"J\xff\xff\xff\xff\x85"), DAMAGED),  # a side of -1
        (array_of(b"\x88\x85"), DAMAGED),  # a side of True
        (array_of(b"]"), DAMAGED),
        (b"\x80\x04\x8e" + (2**62).to_bytes(8, "little") + b"x.", DAMAGED),
        (b"\x80\x04X\xff\xff\xff\xffx.", DAMAGED),
        (b"\x80\x04\x95" + (2**62).to_bytes(8, "little") + b"N.", DAMAGED),
        (b"\x80\x02T\xff\xff\xff\xff.", DAMAGED),  # a length of -1
        # more steps, memory or digits than an array needs
        (b"\x80\x02]r\xff\xff\xff\x7f.", "memo entry 2,147,483,647"),
        (b"\x80\x02]p99999999\n.", "memo entry 99,999,999"),
        (b"\x80\x02]p-1\n.", "memo entry -1"),
        (b"\x80\x02" + b"]" * 20_000 + b"a" * 19_999 + b".", "more than 10,000 pickle steps"),
        (b"\x80\x02\x8b\x00\x00\x10\x00" + b"\1" * 2**20 + b".", "integer of 1,048,576 bytes"),
        (b"\x80\x02\x8b\xff\xff\xff\xff.", "integer of 4,294,967,295 bytes"),
        (b"\x80\x02I" + b"9" * 100_000 + b"\n.", DAMAGED),
        (b"\x80\x02L" + b"9" * 300 + b"L\n.", DAMAGED),
        (b"\x80\x02F" + b"9" * 100_000 + b"\n.", DAMAGED),
        (b"\x80\x06N.", "protocol 6"),
        # other kinds of numbers
        (array_of(b"K\x01\x85", F4.replace(b"f4", b"O8")), "holds Python objects"),
        (array_of(b"K\x01\x85", F4.replace(b"f4", b"U1")), "holds U1"),
        (array_of(b"K\x01\x85", F4.replace(b"f4", b"M8")), "holds M8"),
        (array_of(b"K\x01\x85", F4.replace(b"f4", b"c8")), "holds c8"),
        (array_of(b"K\x01\x85", F4.replace(b"NNN", b"N}N")), "holds records"),
        (array_of(b"K\x01\x85", F4.replace(b"<", b"!")), DAMAGED),
        (array_of(b"K\x01\x85", F4, b"]"), DAMAGED),
        (array_of(b"K\x01\x85", F4, b"K\x04"), DAMAGED),
        # names used for what they are not
        (b"\x80\x02cnumpy\nndarray\n)R.", DAMAGED),
        (b"\x80\x02cnumpy\nndarray\n)\x81.", DAMAGED),
        (array_of(b"K\x01\x85").replace(b"ndarray", b"dtype", 1), DAMAGED),
        (b"\x80\x02cnumpy\ndtype\n)R.", DAMAGED),
        (b"\x80\x02cnumpy\ndtype\n]X\x02\x00\x00\x00f4aR.", DAMAGED),  # a list for a tuple
        (b"\x80\x02c_codecs\nencode\n(X\x01\x00\x00\x00aX\x03\x00\x00\x00zip" + b"tR.", DAMAGED),
        (b"\x80\x02cbuiltins\nbytes\nM\xff\xff\x85R.", DAMAGED),
        (b"\x80\x02]N\x85R.", DAMAGED),
        (b"\x80\x02cnumpy\ndtype\n.", "holds the name numpy.dtype"),
        # fields set by force
        (b"\x80\x02]}X\x01\x00\x00\x00aNsb.", DAMAGED),
        (b"\x80\x02cnumpy\nndarray\n}X\x04\x00\x00\x00callNsb.", DAMAGED),
        (b"\x80\x02" + RECONSTRUCT + b"}X\x05\x00\x00\x00shapeNsb.", DAMAGED),
        (b"\x80\x02" + RECONSTRUCT + b"N}\x86b.", DAMAGED),
        (array_of(b"K\x01\x85")[:-1] + b"(K\x01K\x01\x85" + F4 + b"\x89C\x04abcdtb.", DAMAGED),
        (b"\x80\x02" + RECONSTRUCT + b".", "array without content"),
        # what is left over or missing
        (b"\x80\x02NN.", DAMAGED),
        (b"\x80\x02(N.", DAMAGED),
        (b"\x80\x02h\x07.", DAMAGED),
        (b"\x80\x02\x86.", DAMAGED),
        (b"\x80\x02t.", DAMAGED),
        (b"\x80\x02Na.", DAMAGED),
        (b"\x80\x02}N.", DAMAGED),
        (b"\x80\x02}(Nu.", DAMAGED),
        (array_of(b"K\x01\x85") + b"x", "goes on for 1 bytes after"),
        (array_of(b"K\x01\x85") * 2, "goes on for"),
        # no array at all
        (b"\x80\x02N.", "holds NoneType, expected an array"),
        (b"\x80\x02}X\x01\x00\x00\x00aNs.", "holds no array"),
        (b"\x80\x02]N\x85a.", "holds no array"),
    ],
)
def test_a_hostile_or_damaged_pickle_is_refused(write, data, match):
    refused(write(data), match)


KEYS = "keys that are no strings"
ORDERED = b"\x80\x02ccollections\nOrderedDict\n"


def test_an_ordered_dict_that_python_2_wrote_is_read(write):
    data = ORDERED + b"]]U\x01baK\x01aa]U\x01aaK\x02aa\x85R."
    assert list(read_pickle(write(data)).items()) == [("b", 1), ("a", 2)]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"\x80\x02})Ns.", KEYS),
        (b"\x80\x02}K\x01Ns.", KEYS),
        (b"\x80\x02(NNd.", KEYS),
        # tuples that would take C for ever to hash
        (b"\x80\x02)" + b"q\x00h\x00\x86" * 60 + b"}q\x01h\x00Ns.", KEYS),
        (ORDERED + b"]])" + b"q\x00h\x00\x86" * 22 + b"aNaa\x85R.", DAMAGED),
        (ORDERED + b"]]\x8a\x11" + b"\1" * 17 + b"aNaa\x85R.", DAMAGED),
        (b"\x80\x02cdatastructures\nExpertStore\n]\x81.", DAMAGED),  # a list for a tuple
        (b"\x80\x02]q\x00h\x00a.", "contains itself"),
        (b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.", "contains itself"),
        (b"\x80\x02" + b"]" * 100 + b"a" * 99 + b".", "containers in one another"),
        (b"\x80\x02" + b"]" * 10**6 + b".", "waiting"),
        (b"\x80\x02" + b"(" * 10**6 + b".", "waiting"),
        (b"\x80\x02(" + b"N" * 900_000 + b"t" + b"N" * 200_000 + b".", "waiting|more than"),
    ],
)  # fmt: skip
def test_hostile_data_is_refused(write, data, match):
    refused(write(data), match, read_pickle)


def test_lists_within_lists_are_not_unfolded(write):
    lists = [[]]
    for _ in range(40):
        lists.append([lists[-1], lists[-1]])
    refused(write(lists[-1]), "items once unfolded", read_pickle)


def test_arrays_that_share_their_bytes_do_not_multiply_them(write):
    one = array_of(b"M\x00\x10\x85", payload=b"B\x00\x40\x00\x00" + bytes(2**14) + b"q\x09")[2:-1]
    more = array_of(b"M\x00\x10\x85", payload=b"h\x09")[2:-1]
    refused(write(b"\x80\x03(" + one + 5 * more + b"t."), "share their bytes", read_pickle)
    assert len(read_pickle(write(b"\x80\x03(" + one + b"t."))) == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_truncation_is_refused(write, protocol):
    data = pickle.dumps(np.arange(6.0).reshape(2, 3), protocol)
    for n_bytes in range(len(data)):
        with pytest.raises(FileError):
            open_arrays(write(data[:n_bytes]))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_random_damage_is_read_or_refused_and_nothing_else(rng, write, protocol, tmp_path):
    bomb = Marker(os.mkdir, str(tmp_path / "marker"))
    for value in ({"a": np.arange(6.0), "b": ["x", 1]}, {"a": np.arange(6.0), "b": bomb}):
        data = pickle.dumps(value, protocol)
        for _ in range(150):
            damaged = bytearray(data)
            for place in rng.integers(0, len(data), rng.integers(1, 4)):
                damaged[place] = rng.integers(0, 256)
            path = write(bytes(damaged))
            for reader in (open_arrays, read_pickle):
                try:
                    found = reader(path, limits=VISITORS)
                    if reader is open_arrays:
                        [stored.read() for stored in found.values()]
                except FileError as error:
                    assert len(str(error)) <= 200
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("protocol", [0, 1, 2])
@pytest.mark.parametrize("wrong", [b"\xff\xff\xff", "\u4e2d".encode(), b"\xc3\xa9\xc3"])
def test_damage_within_a_long_text_is_told_when_it_is_read(write, protocol, wrong):
    data = bytearray(pickle.dumps(np.zeros((100, 100), np.uint8) + 65, protocol))
    data[5000 : 5000 + len(wrong)] = wrong
    stored = open_matrix(write(bytes(data)))
    if protocol > 0:  # in protocol 0, text is any bytes
        with pytest.raises(FileError, match="the bytes of an array .* do not fit it"):
            stored.read()
    caption = pickle.dumps({"a": "x" * 10_000}, max(1, protocol)).replace(b"xxx", wrong, 1)
    if wrong[:1] != b"\xe4":
        with pytest.raises(FileError, match="a text that is damaged|cannot be read"):
            read_pickle(write(caption))


def test_more_arrays_than_may_be_are_refused(write):
    path = write({str(n): np.zeros(1) for n in range(5)})
    refused(path, "5 arrays, the limit is 4", limits=Limits(members=4))
