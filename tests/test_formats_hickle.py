"""Feature files of hickle 3, 4 and 5: read by what they lay out alike, refused where they ask more.

The layouts are those of files that hickle 3.4.9, 4.0.4 and 5.0.3 wrote.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")

from retrieval.errors import FileError  # noqa: E402
from retrieval.formats import Limits, read_hickle  # noqa: E402
from tests.made_trees import write_hickle  # noqa: E402

NAN = float("nan")
VERSIONS = ("3.4.9", "4.0.4", "5.0.3")


@pytest.mark.parametrize("version", VERSIONS)
def test_arrays_gaps_and_lists_come_back(rng, tmp_path, version):
    values = {
        "video0": rng.standard_normal((3, 4)).astype(np.float32),
        "it's": rng.standard_normal((1, 4)).astype(np.float16),
        "silent": np.zeros((0, 4), dtype=np.float32),
        "gone": NAN,
        "several": [rng.standard_normal((n, 2)) for n in (1, 3)],
    }
    path = write_hickle(tmp_path / "x.hickle", values, version)
    found = read_hickle(path)
    assert set(found) == set(values) and np.isnan(found["gone"])
    for name in ("video0", "it's", "silent"):
        assert found[name].dtype == values[name].dtype
        np.testing.assert_array_equal(found[name], values[name])
    for one, other in zip(found["several"], values["several"], strict=True):
        np.testing.assert_array_equal(one, other)
    assert list(read_hickle(path, only=["gone", "nowhere"])) == ["gone"]


def test_a_slash_in_a_key_is_kept_as_a_backslash(tmp_path):
    path = write_hickle(tmp_path / "x.hickle", {"film/clip": np.ones((1, 2))}, "4.0.4")
    assert list(read_hickle(path)) == ["film/clip"]


def test_compressed_arrays_are_read(tmp_path):
    path = tmp_path / "x.hickle"
    with h5py.File(path, "w") as file:
        file.create_dataset('data/"a"', data=np.ones((200, 30)), compression="gzip")
        file.attrs["HICKLE_VERSION"] = "5.0.3"
    assert read_hickle(path)["a"].sum() == 6000


def spoilt(path: Path, spoil) -> Path:
    write_hickle(path, {"a": np.ones((2, 3))}, "5.0.3")
    with h5py.File(path, "r+") as file:
        spoil(file)
    return path


def external(file) -> None:
    size = Path("/etc/passwd").stat().st_size if Path("/etc/passwd").exists() else 8
    file.create_dataset('data/"b"', (size,), "u1", external=[("/etc/passwd", 0, size)])


def virtual(file) -> None:
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "x", (3,))
    file.create_virtual_dataset('data/"b"', layout)


def endless(file) -> None:
    file.create_group('data/"b"')
    file['data/"b"/data0'] = file['data/"b"']  # a hard link to itself


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (external, "keeps the array of b in another file; save it whole"),
        (virtual, "keeps the array of b in another file; save it whole"),
        (
            lambda f: f["data"].__setitem__('"b"', h5py.ExternalLink("y.h5", "/")),
            "links to another",
        ),
        (lambda f: f["data"].__setitem__('"b"', h5py.SoftLink("/data")), "links to another file"),
        (endless, "has 65 groups in one another, the limit is 64"),
        (
            lambda f: f.create_dataset('data/"b"', data="words"),
            "holds object for b, expected plain",
        ),
        (lambda f: f.create_group('data/"b"').create_group("more"), "holds more than arrays for b"),
        (lambda f: f.move("data", "elsewhere"), "holds no dict as hickle saves one"),
        (lambda f: f.create_dataset('data/"b"', (2**20, 2**20), "f8"), "needs .* of memory"),
    ],
)
def test_what_is_more_than_arrays_is_refused(tmp_path, spoil, message):
    path = spoilt(tmp_path / "x.hickle", spoil)
    with pytest.raises(FileError, match=message):
        read_hickle(path)


def test_what_is_pickled_inside_is_never_run(tmp_path):
    """Hickle keeps Python's classes, and all that it does not know, as pickles."""
    path = write_hickle(tmp_path / "x.hickle", {"a": np.ones((2, 3))}, "4.0.4")
    ran = tmp_path / "ran"
    hostile = b"cbuiltins\nopen\n(V" + str(ran).encode() + b"\nVw\ntR."
    with h5py.File(path, "r+") as file:
        file["data"].attrs["type"] = np.void(hostile)
        group = file.create_group("data/'b'")
        group.create_dataset("data", data=np.frombuffer(hostile, "S1"))
        group["data"].attrs["base_type"] = b"pickle"
    assert list(read_hickle(path, only=["a"])) == ["a"]
    with pytest.raises(FileError, match=r"holds \|S1 for b, expected plain numbers"):
        read_hickle(path)
    assert not ran.exists()


def test_damaged_files_are_told(tmp_path):
    path = write_hickle(tmp_path / "x.hickle", {"a": np.ones((200, 30))}, "5.0.3")
    whole = path.read_bytes()
    for content in (b"\x89HDF", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(FileError, match=r"x.hickle is no HDF5 file that can be read"):
            read_hickle(path)
    path.write_bytes(whole)
    with pytest.raises(FileError, match="the limit is 5; bring a smaller one"):
        read_hickle(path, Limits(cells=5))
    with pytest.raises(FileNotFoundError, match=r"y.hickle"):
        read_hickle(tmp_path / "y.hickle")


def test_without_the_library_the_sentence_says_what_to_do(tmp_path, monkeypatch):
    path = write_hickle(tmp_path / "x.hickle", {"a": np.ones((2, 3))}, "5.0.3")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(
        FileError, match="which h5py reads; `pip install h5py`, or save the dict wi"
    ):
        read_hickle(path)
