"""A folder in the making: whole or not at all, one builder at a time, and it continues."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from retrieval import building, manifests
from retrieval.building import Build
from retrieval.errors import GalleryError


def make(out, text, recipe=None, command="make it"):
    with Build(out, command, recipe) as build:
        (build.folder / "a.txt").write_text(text)
        build.finish("gallery", {"text": text})


@pytest.mark.parametrize("exchange", [True, False])
def test_a_new_folder_takes_the_place_of_the_old_one(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(building, "_exchange", lambda first, second: False)
    out = tmp_path / "g"
    for text in ("one", "two"):
        make(out, text)
        manifest = manifests.read_manifest(out, "gallery", "make", verify=True)
        assert (manifest["text"], manifest["command"]) == (text, "make it")
        assert sorted(os.listdir(tmp_path)) == ["g"]
        assert sorted(os.listdir(out)) == ["a.txt", "manifest.json"]


def test_a_break_leaves_the_old_folder_and_the_command_that_finishes(tmp_path):
    out = tmp_path / "g"
    make(out, "one")
    with pytest.raises(RuntimeError), Build(out, "make two") as build:
        (build.folder / "a.txt").write_text("half")
        raise RuntimeError
    assert manifests.read_manifest(out, "gallery", "make", verify=True)["text"] == "one"
    with pytest.raises(RuntimeError), Build(tmp_path / "h", "make h"):
        raise RuntimeError
    with pytest.raises(GalleryError, match="h is not finished; finish it with `make h`"):
        manifests.read_manifest(tmp_path / "h", "gallery", "make")
    make(out, "two")
    assert manifests.read_manifest(out, "gallery", "make")["text"] == "two"


def test_a_folder_that_is_not_ours_is_never_replaced(tmp_path):
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "holiday.mp4").write_bytes(b"x")
    with pytest.raises(GalleryError, match="was not made by this command"):
        make(tmp_path / "films", "one")
    assert os.listdir(tmp_path) == ["films"]
    (tmp_path / "empty").mkdir()
    make(tmp_path / "empty", "one")
    assert manifests.read_manifest(tmp_path / "empty", "gallery", "make")["text"] == "one"


def test_shards_survive_a_break_and_a_damaged_one_is_left_out(tmp_path):
    out, recipe = tmp_path / "g", {"model": "m"}
    shards = [np.full((2, 3), n, np.float32) for n in range(3)]
    with pytest.raises(RuntimeError), Build(out, "make", recipe) as build:
        for n, shard in enumerate(shards):
            build.add_shard(shard, [{"id": f"{n}a"}, {"id": f"{n}b"}])
        raise RuntimeError
    with open(build.folder / "journal.jsonl", "ab") as file:
        file.write(b'{"shard": "torn')
    (build.folder / "shard-000001.npy").write_bytes(b"damaged")
    with Build(out, "make again", recipe) as build:
        found = list(build.shards())
        assert [entries[0]["id"] for _, entries in found] == ["0a", "2a"]
        np.testing.assert_array_equal(found[1][0], shards[2])
        build.add_shard(shards[1], [{"id": "again"}, {"id": "more"}])
        assert [entries[0]["id"] for _, entries in build.shards()] == ["0a", "2a", "again"]
        build.drop_shards()
        build.finish("gallery", {})
    assert sorted(os.listdir(out)) == ["manifest.json"]


def test_work_of_another_recipe_is_neither_mixed_nor_thrown_away(tmp_path):
    with (
        pytest.raises(RuntimeError),
        Build(tmp_path / "g", "make with m", {"model": "m"}) as build,
    ):
        build.add_shard(np.ones((1, 2), np.float32), [{}])
        raise RuntimeError
    with (
        pytest.raises(GalleryError, match="was begun by `make with m`"),
        Build(tmp_path / "g", "make with n", {"model": "n"}),
    ):
        pass
    with Build(tmp_path / "g", "make with m", {"model": "m"}) as build:
        assert len(list(build.shards())) == 1


def test_a_second_builder_is_told_to_wait(tmp_path):
    pytest.importorskip("fcntl")
    with Build(tmp_path / "g", "one", {"a": 1}) as build:
        build.add_shard(np.ones((1, 2), np.float32), [{}])
        for recipe in ({"a": 1}, None):
            with pytest.raises(GalleryError, match="is being written"):
                Build(tmp_path / "g", "two", recipe).__enter__()
        assert len(list(build.shards())) == 1
    with Build(tmp_path / "g", "one", {"a": 1}) as build:
        assert len(list(build.shards())) == 1


def test_kills_at_random_moments_leave_one_whole_generation(tmp_path):
    """A builder that writes generation after generation is killed; each time one must be whole."""
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from retrieval.building import Build
        out, first = Path(sys.argv[1]), int(sys.argv[2])
        for n in range(first, first + 100_000):
            with Build(out, "make") as build:
                for name in ("a", "b", "c"):
                    (build.folder / name).write_text(str(n) * 50)
                build.finish("gallery", {"n": n})
            if n == first:
                print("ready", flush=True)
        """
    )
    out, delays = tmp_path / "g", np.random.default_rng(0).uniform(0, 0.05, 5)
    last = -1
    for round_, delay in enumerate(delays):
        first = 1_000_000 * round_
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(out), str(first)], stdout=subprocess.PIPE
        )
        process.stdout.readline()
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        manifest = manifests.read_manifest(out, "gallery", "make", verify=True)
        assert manifest["n"] >= first > last
        texts = {(out / name).read_text() for name in ("a", "b", "c")}
        assert texts == {str(manifest["n"]) * 50}, "two generations are mixed"
        last = manifest["n"]
