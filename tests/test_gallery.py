"""Galleries on disk: what is written is read back, what is damaged or foreign is refused."""

import shutil

import numpy as np
import pytest

from retrieval import files, gallery, manifests
from retrieval.building import Build
from retrieval.errors import GalleryError
from retrieval.gallery import EncoderId, open_gallery, write_gallery
from tests.fakes import FakeEncoder, make_gallery

EMB = np.array([[3.0, 4.0], [0.0, -2.0], [1.0, 0.0]])
ITEMS = [{"id": "a", "caption": "one", "theme": "sky"}, {"id": "b"}, {"id": "c"}]
QUERIES = [{"id": "q", "text": "three", "video_id": "c"}]
ENCODER = EncoderId("fake", "0" * 64, 2, "fake")


def rewrite(path, **changed):
    """Change fields of a manifest as someone would who knows the format."""
    manifest = files.read_json(path / "manifest.json")
    kind = manifest.pop("kind")
    about = {k: v for k, v in manifest.items() if k not in ("format", "files", "checksum")}
    manifests.write_manifest(path, kind, about | changed)


def test_a_gallery_comes_back_as_it_was_written(tmp_path):
    write_gallery(tmp_path / "g", EMB, ITEMS, ENCODER, QUERIES, EMB[2:] * 7, command="make g")
    opened = open_gallery(tmp_path / "g")
    np.testing.assert_allclose(opened.video_emb, [[0.6, 0.8], [0, -1], [1, 0]], atol=1e-7)
    assert opened.video_emb.dtype == np.float32 and not opened.video_emb.flags.writeable
    assert [item.id for item in opened.items] == ["a", "b", "c"]
    assert opened.items[0].caption == "one" and opened.items[0].captions == ("one",)
    assert opened.items[0].extras == {"theme": "sky"}
    assert opened.items[1].caption is None and opened.items[1].clip is None
    assert opened.rows == {"a": 0, "b": 1, "c": 2}
    assert (opened.queries.ids, opened.queries.texts) == (("q",), ("three",))
    np.testing.assert_array_equal(opened.queries.correct, [2])
    np.testing.assert_allclose(opened.queries.text_emb, [[1, 0]])
    assert opened.encoder == ENCODER and opened.encoder.spec == "fake"
    assert opened.manifest["command"] == "make g"
    assert opened.digest == files.sha256_file(tmp_path / "g" / "video_emb.npy")


def test_media_lie_inside_the_gallery_or_in_the_projects_assets(tmp_path, monkeypatch):
    with Build(tmp_path / "g", "make") as build:
        (build.folder / "media").mkdir()
        (build.folder / "media" / "a.mp4").write_bytes(b"clip")
        (build.folder / "media" / "a.jpg").write_bytes(b"poster")
        items = [{"id": "a", "clip": "media/a.mp4", "poster": "media/a.jpg", "duration_s": 2.5}]
        write_gallery(tmp_path / "g", EMB[:1], items, ENCODER, build=build)
    item = open_gallery(tmp_path / "g", verify=True).items[0]
    assert item.clip.read_bytes() == b"clip" and item.poster.read_bytes() == b"poster"
    assert item.duration_s == 2.5
    (tmp_path / "g" / "media" / "a.mp4").write_bytes(b"CLIP")
    assert open_gallery(tmp_path / "g").items[0].id == "a"  # hashes of media: only when asked
    with pytest.raises(GalleryError, match="media/a.mp4 is damaged"):
        open_gallery(tmp_path / "g", verify=True)

    monkeypatch.setattr(gallery.media, "PROJECT", tmp_path)
    clips = tmp_path / "assets" / "films" / "clips"
    clips.mkdir(parents=True)
    (clips / "b.mp4").write_bytes(b"film")
    items = [{"id": "b", "clip": "clips/b.mp4"}]
    write_gallery(tmp_path / "h", EMB[:1], items, ENCODER, media_root="assets:films")
    assert open_gallery(tmp_path / "h").items[0].clip == (clips / "b.mp4").resolve()
    (clips / "b.mp4").unlink()
    with pytest.raises(GalleryError, match="'clips/b.mp4' is missing"):
        open_gallery(tmp_path / "h")
    with pytest.raises(GalleryError, match="media root '/etc' is unknown"):
        write_gallery(tmp_path / "i", EMB[:1], items, ENCODER, media_root="/etc")


@pytest.mark.parametrize("clip", ["../x.mp4", "/etc/hostname", "media/none.mp4", "http://h/x.mp4"])
def test_a_clip_outside_the_gallery_is_refused(tmp_path, clip):
    (tmp_path / "x.mp4").write_bytes(b"x")
    with pytest.raises(GalleryError, match="media"):
        write_gallery(tmp_path / "g", EMB[:1], [{"id": "a", "clip": clip}], ENCODER)
    with pytest.raises(GalleryError, match="not finished"):
        open_gallery(tmp_path / "g")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"items": ITEMS[:2]}, "3 embeddings and 2 items"),
        ({"items": [ITEMS[0], ITEMS[1], ITEMS[0]]}, "item rows 0 and 2 have the same id 'a'"),
        ({"items": [ITEMS[0], {"caption": "no id"}, ITEMS[2]]}, "item row 1 has no id"),
        ({"items": [ITEMS[0], {"id": "b\n"}, ITEMS[2]]}, "item row 1: id 'b\\\\n'"),
        ({"encoder": EncoderId("fake", "0" * 64, 3)}, "dim 2, the encoder has 3"),
        ({"query_emb": EMB}, "query embeddings have shape \\(3, 2\\), expected \\(1, 2\\)"),
        (
            {"queries": [{"id": "q", "text": "t", "video_id": "z"}]},
            "query row 0: no item has the id 'z'",
        ),
    ],
)
def test_rows_that_disagree_are_refused_and_nothing_is_written(tmp_path, change, sentence):
    whole = {"video_emb": EMB, "items": ITEMS, "encoder": ENCODER}
    whole |= {"queries": QUERIES, "query_emb": EMB[:1]} | change
    with pytest.raises(GalleryError, match=sentence):
        write_gallery(tmp_path / "g", **whole)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "sentence"), [(np.nan, "NaN"), (np.inf, "infinity"), (0.0, "all zero")]
)
def test_the_first_bad_row_is_named(tmp_path, value, sentence):
    emb = EMB.copy()
    emb[1] = value
    with pytest.raises(ValueError, match=f"row 1 .*{sentence}"):
        write_gallery(tmp_path / "g", emb, ITEMS, ENCODER)
    assert list(tmp_path.iterdir()) == []


def test_a_gallery_made_elsewhere_is_checked_as_well(tmp_path):
    write_gallery(tmp_path / "g", EMB, ITEMS, ENCODER, QUERIES, EMB[2:])
    path = tmp_path / "g" / "video_emb.npy"
    for emb, sentence in (
        (np.array([[1, 0], [np.nan, 0], [1, 0]], np.float32), "row 1 .*NaN"),
        (np.array([[1, 0], [0, 0], [1, 0]], np.float32), "row 1 .*all zero"),
        (np.ones((3, 5), np.float32), "shape \\(3, 5\\), expected \\[n, 2\\]"),
        (np.ones((4, 2), np.float32), "4 embeddings and 3 items"),
    ):
        files.write_npy(path, emb)
        rewrite(tmp_path / "g")
        with pytest.raises((GalleryError, ValueError), match=sentence):
            open_gallery(tmp_path / "g")
    files.write_npy(path, EMB)  # double precision, not of unit length: scaled at open
    rewrite(tmp_path / "g")
    np.testing.assert_allclose(
        np.linalg.norm(open_gallery(tmp_path / "g").video_emb, axis=1), 1, atol=1e-6
    )
    rewrite(tmp_path / "g", encoder={"name": 3})
    with pytest.raises(GalleryError, match="names no encoder"):
        open_gallery(tmp_path / "g")


def test_every_missing_or_damaged_file_is_told_at_open(tmp_path):
    make_gallery(tmp_path, n=4)
    whole = tmp_path / "gallery"
    for name in ("video_emb.npy", "items.jsonl", "query_emb.npy", "queries.jsonl", "manifest.json"):
        for how in ("missing", "empty", "short", "flipped"):
            shutil.copytree(whole, tmp_path / "g")
            path = tmp_path / "g" / name
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 4
            contents = {"empty": b"", "short": data[:-1], "flipped": data}
            path.unlink() if how == "missing" else path.write_bytes(contents[how])
            with pytest.raises(GalleryError):
                open_gallery(tmp_path / "g")
            shutil.rmtree(tmp_path / "g")


def test_a_missing_and_an_unfinished_gallery_are_refused_with_the_command(tmp_path):
    with pytest.raises(GalleryError, match="there is no gallery .*retrieval index"):
        open_gallery(tmp_path / "none")
    with pytest.raises(RuntimeError), Build(tmp_path / "g", "index this --out g"):
        raise RuntimeError
    with pytest.raises(GalleryError, match="finish it with `index this --out g`"):
        open_gallery(tmp_path / "g")


def test_captions_lose_control_characters_at_open(tmp_path):
    items = [{"id": "a", "captions": ["dog\u202egod", "two  words"]}]
    write_gallery(tmp_path / "g", EMB[:1], items, ENCODER)
    item = open_gallery(tmp_path / "g").items[0]
    assert item.captions == ("doggod", "two words") and item.caption == "doggod"


def test_encoders_are_equal_by_digest_and_dim():
    loaded = EncoderId.of(FakeEncoder(), "some/path.pt")
    assert loaded == EncoderId("other name", loaded.digest, loaded.dim)
    assert loaded != EncoderId(loaded.name, "f" * 64, loaded.dim)
    external = EncoderId.external(12)
    assert external == EncoderId.external(12) != EncoderId.external(13)
    assert EncoderId.external(12, "clip") != external
    assert EncoderId.external(12, "ab" * 32).digest == "ab" * 32
