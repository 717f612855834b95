"""Feature files: what is read of them, what is kept for the next start, what is refused."""

import json
import os
import pickle
import sys
import tracemalloc
import types

import numpy as np
import pytest

from retrieval.datasets.features import read_dict, read_features, read_text_features
from retrieval.errors import FileError
from retrieval.formats import read_pickle

NAN = float("nan")


def write(path, value, protocol=4):
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_vectors_tokens_and_gaps_come_back(rng, tmp_path, protocol):
    values = {
        "a": rng.standard_normal((3, 4)).astype(np.float32),
        "b": NAN,
        "c": rng.standard_normal((1, 4)).astype(np.float32),
        "d": rng.standard_normal(4).astype(np.float32),  # one vector without an axis for it
        "e": np.zeros((0, 4), dtype=np.float32),  # heard, and nothing was said
    }
    found = read_features("speech", [write(tmp_path / "s.pkl", values, protocol)], "ecabd", 4)
    assert found.dim == 4
    np.testing.assert_array_equal(found.get("a"), values["a"])
    np.testing.assert_array_equal(found.get("c"), values["c"])
    np.testing.assert_array_equal(found.get("d"), values["d"][None])
    assert found.get("b") is None and found.get("e").shape == (0, 4)
    with pytest.raises(FileError, match="features of speech do not know video z"):
        found.get("z")


def test_only_the_videos_that_are_wanted_are_read(rng, tmp_path):
    """What a file holds of other videos is left where it is."""
    path = write(tmp_path / "x.pkl", {v: rng.standard_normal((2, 3)) for v in "abcd"})
    assert list(read_pickle(path, only=["c", "a", "none"])) == ["a", "c"]
    found = read_features("rgb", [path], ["c", "a", "c"])
    assert list(found.place) == ["c", "a"] and len(found.rows) == 4


def test_several_aggregations_stand_side_by_side(rng, tmp_path):
    parts = [
        {"a": rng.standard_normal((1, n)), "b": NAN if n == 3 else rng.standard_normal((1, n))}
        for n in (2, 3)
    ]
    files = [write(tmp_path / f"{i}.pkl", part) for i, part in enumerate(parts)]
    found = read_features("rgb", files, ["a", "b"], dim=5)
    np.testing.assert_array_equal(found.get("a"), np.hstack([p["a"] for p in parts]))
    assert found.get("b") is None


def test_the_next_start_maps_what_was_kept(rng, tmp_path):
    path = write(tmp_path / "x.pkl", {v: rng.standard_normal((2, 3)) for v in "abc"})
    cache = tmp_path / "cache"
    first = read_features("rgb", [path], "ab", cache=cache)
    second = read_features("rgb", [path], "ab", cache=cache)
    assert isinstance(second.rows, np.memmap)
    for video in "ab":
        np.testing.assert_array_equal(second.get(video), first.get(video))
    with pytest.raises(FileError, match="expected 4 of rgb"):
        read_features("rgb", [path], "ab", dim=4, cache=cache)


def test_what_was_kept_does_not_outlive_its_file_or_serve_other_videos(rng, tmp_path):
    path = write(tmp_path / "x.pkl", {v: np.full((1, 2), 1.0) for v in "abc"})
    cache = tmp_path / "cache"
    read_features("rgb", [path], "ab", cache=cache)
    assert read_features("rgb", [path], "bc", cache=cache).get("c") is not None
    write(path, {v: np.full((1, 2), 2.0) for v in "abc"})
    os.utime(path, ns=(1, 1))
    assert (read_features("rgb", [path], "ab", cache=cache).get("a") == 2).all()


def test_a_cache_that_was_broken_off_is_made_again(rng, tmp_path):
    path = write(tmp_path / "x.pkl", {"a": np.ones((1, 2))})
    read_features("rgb", [path], "a", cache=tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    (kept / "kept.json").unlink()
    (kept / "rows.npy").write_bytes(b"half")
    assert (read_features("rgb", [path], "a", cache=tmp_path / "cache").get("a") == 1).all()


def test_text_features_are_lists_of_token_arrays(rng, tmp_path):
    text = {
        "a": [rng.standard_normal((n, 3)).astype(np.float32) for n in (2, 5)],
        "b": [rng.standard_normal((1, 3)).astype(np.float32)],
        "c": [rng.standard_normal((4, 3)).astype(np.float32)] * 3,
    }
    files = [
        write(tmp_path / "1.pkl", {"k-a": text["a"]}),
        write(tmp_path / "2.pkl", {"k-b": text["b"], "k-c": text["c"]}),
    ]
    keys = {video: f"k-{video}" for video in "abc"}
    found = read_text_features(files, ["c", "a", "none"], keys)
    assert list(found) == ["c", "a"] and len(found) == 2 and "b" not in found
    assert found.dim == 3
    for video in found:
        assert len(found[video]) == len(text[video])
        for one, other in zip(found[video], text[video], strict=True):
            np.testing.assert_array_equal(one, other)
    with pytest.raises(KeyError):
        found["b"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": []}, "text features of video a are nothing; expected one array"),
        ({"a": [np.ones(3)]}, r"text features of video a are float64 \(3,\)"),
        ({"a": [np.ones((1, 3))], "b": [np.ones((1, 4))]}, "video b have tokens of another length"),
    ],
)
def test_text_features_that_do_not_fit_are_told(tmp_path, value, message):
    with pytest.raises(FileError, match=message):
        read_text_features([write(tmp_path / "x.pkl", value)], "ab")


def test_an_expert_store_is_read_without_its_class(tmp_path):
    """The early releases' container: rows of one matrix by a map from video to row."""
    module = types.ModuleType("datastructures")

    class ExpertStore:
        pass

    ExpertStore.__module__, ExpertStore.__qualname__ = "datastructures", "ExpertStore"
    module.ExpertStore = ExpertStore
    sys.modules["datastructures"] = module
    try:
        store = ExpertStore()
        store.keys, store.dim, store.store_dtype = ["a", "b", "c"], 3, np.float16
        store.store = np.arange(9, dtype=np.float16).reshape(3, 3)
        store.store[2] = NAN  # as the class stores what is missing
        store.keymap, store.missing = {"a": 0, "b": 1, "c": 2}, {"b"}
        path = write(tmp_path / "store.pickle", store)
    finally:
        del sys.modules["datastructures"]
    found = read_features("face", [path], ["b", "a", "c"])
    np.testing.assert_array_equal(found.get("a"), [[0, 1, 2]])
    assert found.get("b") is None and found.get("c") is None


def test_lists_of_numbers_are_features_too(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"a": [[1, 2], [3, 4]], "b": [5, 6]}))
    found = read_features("rgb", [path], "ab", 2)
    np.testing.assert_array_equal(found.rows, [[1, 2], [3, 4], [5, 6]])


def test_the_numbers_of_all_videos_are_in_memory_once(rng, tmp_path):
    """Seen from the features alone; numpy tells what it allocates."""
    videos = [f"video{i}" for i in range(40)]
    rows = rng.standard_normal((2000, 25)).astype(np.float32)  # 200 kB a video
    path = write(tmp_path / "x.pkl", {video: rows + i for i, video in enumerate(videos)})
    text = write(tmp_path / "text.pkl", {video: [rows + i] for i, video in enumerate(videos)})
    for cache in (None, tmp_path / "cache"):
        for read in (
            lambda cache: read_features("rgb", [path], videos, cache=cache),
            lambda cache: read_text_features([text], videos, cache=cache),
        ):
            tracemalloc.start()
            found = read(cache)
            kept, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            if cache is None:
                assert peak < 1.3 * 40 * rows.nbytes
            else:  # mapped, from what was just written
                assert kept < rows.nbytes
            np.testing.assert_array_equal(found.rows[-2000:], rows + 39)


def test_nothing_but_gaps_has_the_expected_length(tmp_path):
    path = write(tmp_path / "x.pkl", {"a": NAN})
    found = read_features("face", [path], ["a"], dim=512)
    assert found.dim == 512 and not found.present.any()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"b": np.ones((1, 2))}, "features of rgb do not know video a; store NaN"),
        ({"a": np.ones((1, 2, 3))}, r"rgb of video a is float64 of shape \(1, 2, 3\), expected"),
        ({"a": "words"}, "rgb of video a is <U5"),
        ({"a": np.ones((1, 5))}, "has vectors of 5 numbers, expected 2 of rgb"),
        ([1, 2], "holds list, expected a dict by video"),
        ({"a": os.getcwd}, "asks for posix.getcwd, which is no plain data, and was not run"),
    ],
)
def test_files_that_do_not_fit_are_told_in_a_sentence(tmp_path, value, message):
    with pytest.raises(FileError, match=message):
        read_features("rgb", [write(tmp_path / "x.pkl", value)], ["a"], dim=2)


def test_vectors_of_two_lengths_are_told(tmp_path):
    path = write(tmp_path / "x.pkl", {"a": np.ones((1, 2)), "b": np.ones((1, 3))})
    with pytest.raises(FileError, match="rgb of video b has vectors of 3 numbers, those before"):
        read_features("rgb", [path], "ab")


def test_json_is_read_and_other_kinds_are_told(tmp_path):
    path = tmp_path / "captions.json"
    path.write_text(json.dumps({"a": [["a", "dog"]]}))
    assert read_dict(path) == {"a": [["a", "dog"]]}
    for name in ("features.mp", "features.npy", "features.mat", "captions.yaml"):
        other = tmp_path / name
        other.write_bytes(b"\x93NUMPY")
        with pytest.raises(
            FileError, match=r"of a kind that is not read \(\..*save the dict with p"
        ):
            read_dict(other)
