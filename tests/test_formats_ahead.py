"""What is read from the disk while a pickle is walked: what is wanted, and little else."""

import ctypes
import mmap
import os
import pickle

import numpy as np
import pytest

from retrieval.datasets.features import read_features, read_text_features
from retrieval.formats import ahead, open_arrays
from retrieval.formats.ahead import LEAP, Ahead

PAGE = mmap.PAGESIZE


class Pages:
    """A mapped file that only remembers which pages were asked for."""

    def __init__(self, n_bytes):
        self.n_bytes, self.asked = n_bytes, []

    def __len__(self):
        return self.n_bytes

    def madvise(self, advice, start=None, length=None):
        if advice == mmap.MADV_WILLNEED:
            assert start % PAGE == 0 and 0 < length <= 2**17 and start + length <= self.n_bytes
            self.asked += range(start // PAGE, -(-(start + length) // PAGE))


def walk(n_items, n_bytes, wanted):
    """Pages asked for by a walk over items of one size, each with a page-straddling head."""
    pages = Pages(n_items * (n_bytes + 150))
    steps, at = Ahead(pages), 0
    for i in range(n_items):
        at += 150
        if n_bytes >= LEAP and i not in wanted:
            steps.leap(at + n_bytes)
        else:
            steps.want(at, at + n_bytes)
        at += n_bytes
    assert len(set(pages.asked)) == len(pages.asked)  # none twice
    return pages


@pytest.mark.parametrize("n_bytes", [10, 8000, LEAP - 1, 40_000, 3_000_000])
def test_who_wants_all_is_read_ahead_of_without_a_hole(n_bytes):
    n_items = 2**25 // n_bytes
    pages = walk(n_items, n_bytes, range(n_items))
    assert pages.asked == list(range(-(-len(pages) // PAGE)))


def test_short_items_are_read_through_whether_or_not_they_are_wanted():
    assert walk(4000, 8000, ()).asked == walk(4000, 8000, range(4000)).asked


@pytest.mark.parametrize("n_bytes", [40_000, 3_000_000])
def test_of_long_items_those_that_are_wanted_are_asked_for(n_bytes):
    pages = walk(100, n_bytes, {7, 8, 9, 50})
    asked = set(pages.asked)
    for i in (7, 8, 9, 50):
        start = i * (n_bytes + 150) + 150
        assert asked.issuperset(range(-(-start // PAGE), (start + n_bytes) // PAGE))
    assert len(asked) * PAGE < 1.5 * 4 * n_bytes


def evicted(path):
    """Put a file out of memory; skips the test where the file system does not let it go."""
    if not hasattr(os, "posix_fadvise"):
        pytest.skip("this system cannot be told to let a file out of memory")
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if resident(path):
        pytest.skip("this file system keeps in memory what it is told to let go")
    return path


def resident(path):
    """Bytes of a file that are in memory."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        view = np.frombuffer(mapped, np.uint8)
        pages = np.zeros(-(-len(mapped) // PAGE), np.uint8)
        place, told = ctypes.c_void_p(view.ctypes.data), ctypes.c_void_p(pages.ctypes.data)
        if ctypes.CDLL(None).mincore(place, ctypes.c_size_t(len(mapped)), told):
            pytest.skip("this system does not tell what is in memory")
        del view
    return PAGE * int((pages & 1).sum())


@pytest.mark.skipif(not hasattr(mmap, "MADV_RANDOM"), reason="no madvise on this system")
@pytest.mark.parametrize("protocol", [1, 2, 4, 5])
def test_of_a_file_on_the_disk_only_what_is_wanted_is_read(rng, tmp_path, protocol):
    videos = [f"video{i}" for i in range(40)]
    tokens = rng.standard_normal((500, 256)).astype(np.float32)  # 512 kB a video
    path = tmp_path / "audio.pickle"
    path.write_bytes(pickle.dumps({v: tokens + i for i, v in enumerate(videos)}, protocol))
    found = read_features("audio", [evicted(path)], ["video31", "video7"])
    assert 2 * tokens.nbytes <= resident(path) < 0.2 * path.stat().st_size
    np.testing.assert_array_equal(found.get("video7"), tokens + 7)
    np.testing.assert_array_equal(found.get("video31"), tokens + 31)

    captions = {v: [tokens[:50] + i, tokens[50:] + i] for i, v in enumerate(videos)}
    path.write_bytes(pickle.dumps(captions, protocol))
    found = read_text_features([evicted(path)], ["video31", "video7"])
    assert 2 * tokens.nbytes <= resident(path) < 0.2 * path.stat().st_size
    np.testing.assert_array_equal(found["video7"][1], tokens[50:] + 7)


@pytest.mark.skipif(not hasattr(mmap, "MADV_RANDOM"), reason="no madvise on this system")
def test_opening_a_pickled_matrix_reads_its_two_ends(tmp_path):
    path = tmp_path / "sims.pkl"
    path.write_bytes(pickle.dumps(np.zeros((2000, 1500)), 4))  # 24 MB
    (stored,) = open_arrays(evicted(path)).values()
    assert stored.shape == (2000, 1500) and resident(path) < 0.1 * path.stat().st_size


def test_small_files_are_left_to_the_kernel():
    assert ahead.ahead_of(Pages(ahead.SMALL_FILE - 1)) is None
