"""Checkpoints: every layout is read to numpy, objects become records, and nothing is run."""

import argparse
import io
import logging
import os
import pathlib
import pickle
import sys
import time
import types
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from retrieval.errors import FileError, ModelError
from retrieval.formats import Limits, Record, open_arrays, open_matrix, read_checkpoint
from retrieval.formats.checkpoints import LEGACY

LAYOUTS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


@pytest.fixture
def save(tmp_path):
    def save(value, zipped=True, protocol=2):
        path = tmp_path / "model.pth"
        torch.save(value, path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
        return path

    return save


def refused(path, match, reader=read_checkpoint):
    begun = time.process_time()  # whatever else the machine does
    with pytest.raises(FileError, match=match) as caught:
        reader(path)
    assert time.process_time() - begun < 5
    assert len(str(caught.value)) <= 200 and "\n" not in str(caught.value)


def as_numpy(tensor):
    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


# ---- what is read


@LAYOUTS
@pytest.mark.parametrize(
    "change",
    [
        lambda x: x,
        lambda x: x.T,
        lambda x: x[1:3, 2:5],
        lambda x: x[:, ::2],
        lambda x: x.half(),
        lambda x: x.bfloat16(),
        lambda x: x.double().T,
        lambda x: (10 * x).long(),
        lambda x: (10 * x).to(torch.uint8),
        lambda x: x > 0,
        lambda x: x[0, 0],
        lambda x: x[:0],
        lambda x: torch.nn.Parameter(x),
        lambda x: x.reshape(2, 2, 6).transpose(0, 1),
    ],
)
def test_every_tensor_is_read(save, change, zipped):
    tensor = change(torch.randn(4, 6, generator=torch.Generator().manual_seed(0)))
    expected = as_numpy(tensor)
    path = save({"one": tensor, "again": [tensor], "whole": tensor.clone()}, zipped)
    read = read_checkpoint(path)
    for found in (read["one"], read["again"][0], read["whole"]):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype and found.flags.writeable
    assert read["one"] is read["again"][0]
    stored = open_arrays(path)
    assert list(stored) == ["one", "again.0", "whole"]
    np.testing.assert_array_equal(stored["one"].read(), expected)
    if expected.ndim == 2:
        np.testing.assert_array_equal(stored["one"].read_rows(0, len(expected)), expected)


@LAYOUTS
def test_a_tensor_alone_is_a_matrix_that_streams(save, zipped):
    tensor = torch.randn(40, 30)
    stored = open_matrix(save(tensor, zipped))
    assert stored.streams
    for rows, columns, block in stored.tiles(7, 11).blocks():
        np.testing.assert_array_equal(block, tensor.numpy()[rows, columns])


@pytest.fixture
def parse_config(monkeypatch):
    """The class whose objects official checkpoints carry, importable while they are written."""

    class ConfigParser:
        def __init__(self):
            folder = pathlib.PurePosixPath("data/MSRVTT/videos")
            self._config = OrderedDict(arch=OrderedDict(type="CENet"), src_video_dir=folder)
            self._save_dir = pathlib.Path("data/saved/models")
            self._args = argparse.Namespace(config="configs/msrvtt.json", resume=None)
            self.resume = None
            self.log_levels = {0: logging.WARNING, 1: logging.INFO}
            self.logger = logging.getLogger("trainer")

    module = types.ModuleType("parse_config")
    module.ConfigParser = ConfigParser
    ConfigParser.__module__, ConfigParser.__qualname__ = "parse_config", "ConfigParser"
    monkeypatch.setitem(sys.modules, "parse_config", module)
    return ConfigParser


@LAYOUTS
@pytest.mark.parametrize("protocol", [2, 4])
def test_an_official_checkpoint_is_read(save, parse_config, monkeypatch, zipped, protocol):
    if not zipped and protocol > 2:
        pytest.skip("the older layout was always written with protocol 2")
    model = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.BatchNorm1d(7))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(4, 5)).sum().backward()
    optimizer.step()
    path = save(
        {
            "arch": "CENet",
            "epoch": 3,
            "state_dict": model.state_dict(),
            "monitor_best": np.float64(24.5),
            "config": parse_config(),
            "optimizer": optimizer.state_dict(),
        },
        zipped,
        protocol,
    )
    monkeypatch.delitem(sys.modules, "parse_config")
    read = read_checkpoint(path)
    assert list(read["state_dict"]) == list(model.state_dict())
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(read["state_dict"][name], tensor.numpy())
    moments = optimizer.state_dict()["state"][0]
    np.testing.assert_array_equal(read["optimizer"]["state"][0]["exp_avg"], moments["exp_avg"])
    assert read["optimizer"]["param_groups"][0]["params"] == [0, 1, 2, 3]
    assert (read["arch"], read["epoch"], read["monitor_best"]) == ("CENet", 3, 24.5)
    config = read["config"]
    assert config.kind == "parse_config.ConfigParser"
    assert config.state["_config"]["arch"] == {"type": "CENet"}
    folder = config.state["_config"]["src_video_dir"]
    assert folder == Record("pathlib.PurePosixPath", ("data", "MSRVTT", "videos"))
    assert config.state["_args"] == Record(
        "argparse.Namespace", (), {"config": "configs/msrvtt.json", "resume": None}
    )
    assert config.state["log_levels"] == {0: 30, 1: 20}
    assert config.state["logger"] == Record("logging.getLogger", ("trainer",))
    assert "parse_config" not in sys.modules


class Halved(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.visual = torch.nn.Linear(5, 7).half()
        self.register_buffer("context_length", torch.tensor(77))
        self.sizes = [1, 2]

    def forward(self):
        return self.context_length


@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_the_weights_of_a_torchscript_archive_are_read(tmp_path):
    model = Halved()
    torch.jit.save(torch.jit.script(model), tmp_path / "ViT-B-32.pt")
    read = read_checkpoint(tmp_path / "ViT-B-32.pt")
    assert sorted(read) == ["context_length", "visual.bias", "visual.weight"]
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(read[name], tensor.numpy())
        assert read[name].dtype == tensor.numpy().dtype


def repacked(path, change, method=zipfile.ZIP_STORED):
    """The zip file again, every member (name, bytes) as `change` makes it."""
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members:
            for new_name, new_data in change(name, data):
                archive.writestr(new_name, new_data)
    return path


def test_a_checkpoint_that_was_packed_again_is_read(save):
    tensor = torch.randn(40, 30)
    path = repacked(save({"w": tensor}), lambda n, d: [(n, d)], zipfile.ZIP_DEFLATED)
    np.testing.assert_array_equal(read_checkpoint(path)["w"], tensor)
    stored = open_matrix(path)
    assert not stored.streams
    np.testing.assert_array_equal(stored.read_rows(3, 9), tensor[3:9])


def test_numbers_of_a_big_endian_machine_are_read(save):
    tensor = torch.randn(4, 6)

    def swap(name, data):
        if name.endswith("/byteorder"):
            return [(name, b"big")]
        return (
            [(name, np.frombuffer(data, "<f4").astype(">f4").tobytes())]
            if ("/data/" in name)
            else [(name, data)]
        )

    np.testing.assert_array_equal(read_checkpoint(repacked(save({"w": tensor}), swap))["w"], tensor)


# ---- what is refused


class Marker:
    """Makes a file if it is ever unpickled."""

    def __init__(self, call, *args):
        self.call, self.args = call, args

    def __reduce__(self):
        return self.call, self.args


@LAYOUTS
def test_code_is_named_and_never_run(save, tmp_path, zipped):
    marker = str(tmp_path / "marker")
    tensor = io.BytesIO()
    torch.save(torch.ones(1), tensor)
    for bomb, name in [
        (Marker(os.system, f"touch {marker}"), rf"{os.name}\.system"),
        (Marker(eval, f"open({marker!r}, 'w')"), r"(builtins|__builtin__)\.eval"),
        (Marker(torch.storage._load_from_bytes, tensor.getvalue()), "torch.storage._load_from_b"),
        (Marker(torch.load, marker), r"torch\.serialization\.load"),
        (torch.nn.Linear(2, 3), r"torch\.nn\.modules\.linear\.Linear"),
    ]:
        for value in (bomb, {"state_dict": {"w": torch.ones(2)}, "x": bomb}):
            for reader in (read_checkpoint, open_arrays):
                refused(save(value, zipped), f"asks for {name}.* was not run", reader)
    assert os.listdir(tmp_path) == ["model.pth"]


def forged(path, data, storages=(), zipped=True, numel=None):
    """A checkpoint with a pickle of our own and the given storages."""
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", data)
            for key, numbers in storages:
                archive.writestr(f"archive/data/{key}", numbers)
        return path
    about = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    keys = pickle.dumps([key for key, _ in storages], 2)
    tail = b"".join(
        (len(numbers) // 4 if numel is None else numel).to_bytes(8, "little", signed=True) + numbers
        for _, numbers in storages
    )
    head = LEGACY + pickle.dumps(1001, 2) + pickle.dumps(about, 2)
    path.write_bytes(head + data + keys + tail)
    return path


def text(word):
    return b"X" + len(word).to_bytes(4, "little") + word


def pid(n=6, kind=b"ctorch\nFloatStorage\n", key=b"0", form=b"storage", rest=b""):
    return b"(" + text(form) + kind + text(key) + text(b"cpu") + b"K%c" % n + rest + b"tQ"


def tensor(storage, first=b"K\x00", shape=b"K\x02K\x03\x86", strides=b"K\x03K\x01\x86"):
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + first
        + shape
        + strides
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )


def named(value):
    return b"\x80\x02}" + text(b"w") + value + b"s."


NUMBERS = [("0", np.arange(6, dtype="<f4").tobytes())]
DAMAGED = "truncated or damaged"
STORAGE = "refers to something that is no storage"


@LAYOUTS
def test_the_hand_written_checkpoint_is_whole(tmp_path, zipped):
    path = forged(tmp_path / "m.pth", named(tensor(pid())), NUMBERS, zipped)
    np.testing.assert_array_equal(read_checkpoint(path)["w"], np.arange(6.0).reshape(2, 3))


@LAYOUTS
@pytest.mark.parametrize(
    ("value", "match"),
    [
        # more numbers than there are
        (tensor(pid(), shape=b"M\xff\xffM\xff\xff\x86", strides=b"K\x00K\x00\x86"), "claims more"),
        (tensor(pid(), first=b"K\x01"), "claims more numbers than it holds"),
        (tensor(pid(), strides=b"K\x04K\x01\x86"), "claims more numbers than it holds"),
        (tensor(pid(), shape=b"K\x02K\x02\x86", strides=b"K\x03K\x03\x86"), "claims more"),
        (tensor(pid(), strides=b"J\xff\xff\xff\xffK\x01\x86"), DAMAGED),
        (tensor(pid(), first=b"J\xff\xff\xff\xff"), DAMAGED),
        (tensor(pid(), strides=b"K\x01\x85"), DAMAGED),
        (tensor(pid(), shape=b"\x88K\x03\x86"), DAMAGED),
        (tensor(pid(), shape=b"]"), DAMAGED),
        (tensor(pid(7)), DAMAGED),
        (tensor(pid(5)), DAMAGED + "|claims more"),
        # persistent ids of another form
        (tensor(pid(form=b"module")), STORAGE),
        (tensor(b"X\x01\x00\x00\x000Q"), STORAGE),
        (tensor(b"NQ"), STORAGE),
        (tensor(b")Q"), STORAGE),
        (tensor(pid(rest=b"K\x01")), STORAGE),
        (tensor(pid(rest=b"NN")), STORAGE),
        (tensor(pid(kind=b"N")), STORAGE),
        (tensor(pid(kind=b"ctorch\nfloat32\n")), DAMAGED),
        (tensor(pid(kind=b"cos\nsystem\n")), r"asks for os\.system"),
        (tensor(pid(kind=b"ctorch\nQUInt8Storage\n")), r"asks for torch\.QUInt8Storage"),
        (tensor(pid(key=b"../0")), DAMAGED + "|lists other"),
        (tensor(pid(key=b"1")), DAMAGED + "|lists other"),
        (tensor(pid().replace(text(b"0"), b"K\x00")), DAMAGED + "|lists other"),
        (tensor(pid(), shape=b"(" + b"K\x01" * 100 + b"t", strides=b"(" + b"K\x01" * 100 + b"t"),
         "100 axes, the limit is 32"),
        (tensor(b"N"), DAMAGED),
        # one storage told as two
        (tensor(pid()) + b"0" + tensor(pid(5)), "step POP"),
        (b"](" + tensor(pid()) + tensor(pid(5)) + b"e", DAMAGED),
        (b"](" + tensor(pid()) + tensor(pid(kind=b"ctorch\nIntStorage\n")) + b"e", DAMAGED),
        # fields set by force, and names used for what they are not
        (tensor(pid()) + b"}b", DAMAGED),
        (pid(), "holds Storage, expected"),
        (b"ctorch._utils\n_rebuild_parameter\n(N\x89NtR", DAMAGED),
        (b"cargparse\nNamespace\n)\x81}b}b", DAMAGED),
        (b"c__torch__.model\nCLIP\n)\x81", r"asks for __torch__\.model\.CLIP"),
        (b"]q\x00h\x00a", "contains itself|lists other"),
        (b"}q\x00)h\x00s", "keys that are no strings"),
    ],
)  # fmt: skip
def test_a_hostile_or_damaged_checkpoint_is_refused(tmp_path, value, match, zipped):
    refused(forged(tmp_path / "m.pth", named(value), NUMBERS, zipped), match)


@pytest.mark.parametrize(
    ("data", "storages", "match"),
    [
        (b"\x80\x02" + pid() + b".", NUMBERS, "holds a storage, expected named weights"),
        (b"\x80\x02].", [], "holds a list, expected named weights"),
        (named(tensor(pid())) + b"x", NUMBERS, "not a whole"),
        (named(tensor(pid())), [], "the file has 0 for it"),
        (named(tensor(pid())), [("0", bytes(20))], "the file has 20 for it"),
        (named(tensor(pid())), [("0", bytes(28))], "the file has 28 for it"),
    ],
)
def test_a_zip_checkpoint_that_lacks_something_is_refused(tmp_path, data, storages, match):
    refused(forged(tmp_path / "m.pth", data, storages), match)


def test_a_legacy_checkpoint_that_lacks_something_is_refused(tmp_path):
    path = tmp_path / "m.pth"
    whole = forged(path, named(tensor(pid())), NUMBERS, zipped=False).read_bytes()
    for n_bytes in range(1, len(whole)):
        path.write_bytes(whole[:n_bytes])
        with pytest.raises(FileError):
            read_checkpoint(path)
    path.write_bytes(whole + b"x")
    refused(path, "goes on for 1 bytes after its last tensor")
    refused(forged(path, named(tensor(pid())), [], zipped=False), "lists other tensors")
    refused(forged(path, named(tensor(pid())), NUMBERS, False, numel=2**61), DAMAGED)
    refused(forged(path, named(tensor(pid())), NUMBERS, False, numel=-1), DAMAGED)
    path.write_bytes(LEGACY + pickle.dumps(1002, 2) + pickle.dumps({}, 2))
    refused(path, "unknown version")


def test_a_zip_file_with_two_checkpoints_or_none_is_refused(save, tmp_path):
    path = repacked(save({"w": torch.ones(2)}), lambda n, d: [(n, d), (f"x{n}", d)])
    refused(path, "is a zip file, but no checkpoint")
    with zipfile.ZipFile(tmp_path / "z.pt", "w") as archive:
        archive.writestr("a.txt", "x")
    refused(tmp_path / "z.pt", "is a zip file, but no checkpoint")


def test_a_damaged_number_in_a_zip_checkpoint_is_told(save):
    path = save({"w": torch.ones(1000)})
    whole = bytearray(path.read_bytes())
    whole[whole.index(np.ones(8, np.float32).tobytes()) + 5] ^= 1
    path.write_bytes(whole)
    refused(path, "not a whole")


def test_lists_within_lists_are_not_unfolded(tmp_path):
    lists = b")" + b"".join(b"q%c(h%ch%ct" % (n, n, n) for n in range(40))
    path = forged(tmp_path / "m.pth", b"\x80\x02(" + lists + b"t.", NUMBERS)
    refused(path, "items once unfolded", open_arrays)


@LAYOUTS
def test_more_tensors_than_may_be_are_refused(save, zipped):
    path = save({str(n): torch.ones(1) for n in range(5)}, zipped)
    with pytest.raises(FileError, match="the limit is 4"):
        read_checkpoint(path, Limits(tensors=4))


def test_a_tensor_is_not_copied_for_every_name_it_has(save):
    tensor = torch.ones(1000)
    read = read_checkpoint(save({str(n): tensor[n:] for n in range(100)}))
    assert all(np.shares_memory(read["0"], value) for value in read.values())


def test_weights_for_an_encoder_are_read_by_this_reader(save, tmp_path):
    from retrieval import checkpoint

    weights = checkpoint.read_weights(save({"state_dict": {"w": torch.ones(2).bfloat16()}}))
    assert weights["w"].dtype == torch.float32 and weights["w"].tolist() == [1, 1]
    with pytest.raises(ModelError, match="was not run"):
        checkpoint.read_weights(save({"w": torch.ones(2), "x": Marker(os.getcwd)}))
    with pytest.raises(ModelError, match="holds no weights"):
        checkpoint.read_weights(save({"epoch": 3}))
