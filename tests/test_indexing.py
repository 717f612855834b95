"""A folder of videos, lists of items and queries -> a gallery; skipped files, breaks, resuming."""

import logging

import numpy as np
import pytest

import retrieval.encoders
from retrieval import files, gallery, indexing, video
from retrieval.__main__ import main
from retrieval.errors import GalleryError, VideoError
from retrieval.gallery import open_gallery
from retrieval.indexing import index_videos, name_queries, read_items, read_queries
from tests.fakes import FakeEncoder

INFO = video.VideoInfo(2.0, 8, 6, 12.0, "h264", False, True)


@pytest.fixture
def films(tmp_path, monkeypatch):
    """A folder of pretended videos: a file's only byte is its colour; 0 cannot be decoded."""
    folder = tmp_path / "films"
    (folder / "sub").mkdir(parents=True)
    for name, colour in (("b.mp4", 20), ("a.mkv", 10), ("bad.mp4", 0), ("sub/c.gif", 30)):
        (folder / name).write_bytes(bytes([colour]))
    (folder / "notes.txt").write_text("not a video")

    def frames(path, n_frames):
        colour = path.read_bytes()[0]
        if colour == 0:
            raise VideoError("this file holds no video that can be read")
        return np.full((n_frames, 6, 8, 3), colour, np.uint8)

    def probe(path):
        return INFO if path.suffix == ".mp4" else video.VideoInfo(1, 8, 6, 5, "gif", False, False)

    monkeypatch.setattr(video, "probe", probe)
    monkeypatch.setattr(video, "sample_frames", frames)
    monkeypatch.setattr(video, "thumbnail", lambda path, out, width=240: out.write_bytes(b"jpg"))
    monkeypatch.setattr(video, "playable_copy", lambda path, out: out.write_bytes(b"copy"))
    return folder


def index(films, out, encoder, **options):
    return index_videos(films, out, lambda: encoder, "fake", "index films", **options)


def test_a_folder_becomes_a_gallery_and_bad_files_are_skipped_with_a_line(films, tmp_path, caplog):
    encoder = FakeEncoder()
    with caplog.at_level(logging.INFO, "retrieval"):
        assert index(films, tmp_path / "g", encoder) == 3
    assert "skipped bad.mp4: this file holds no video" in caplog.text
    assert "1 files alone" in caplog.text
    opened = open_gallery(tmp_path / "g", verify=True)
    assert [item.id for item in opened.items] == ["a.mkv", "b.mp4", "sub/c.gif"]
    colours = [np.full((2, 6, 8, 3), colour, np.uint8) for colour in (10, 20, 30)]
    np.testing.assert_allclose(opened.video_emb, encoder.encode_videos(colours), atol=1e-6)
    a, b, _ = opened.items
    assert (a.clip.suffix, a.clip.read_bytes()) == (".mp4", b"copy")  # a browser cannot play mkv
    assert (b.clip.suffix, b.clip.read_bytes()) == (".mp4", bytes([20]))  # the file itself
    assert a.poster.read_bytes() == b"jpg" and b.duration_s == 2.0
    assert b.extras["codec"] == "h264" and "source" not in b.extras
    assert opened.encoder.spec == "fake"


def test_clips_of_the_projects_assets_stay_where_they_are(films, tmp_path, monkeypatch):
    monkeypatch.setattr(gallery.media, "PROJECT", tmp_path)
    clips = tmp_path / "assets" / "films" / "clips"
    clips.mkdir(parents=True)
    for name in ("b.mp4", "d.mp4"):
        (clips / name).write_bytes(bytes([20]))
    (clips.parent / "posters").mkdir()
    (clips.parent / "posters" / "b.jpg").write_bytes(b"drawn before")
    items = [{"id": "d"}, {"id": "b"}]
    index(clips, tmp_path / "g", FakeEncoder(), items=items, media_root="assets:films")
    opened = open_gallery(tmp_path / "g")
    assert [item.clip for item in opened.items] == [clips / "d.mp4", clips / "b.mp4"]
    assert [item.poster.read_bytes() for item in opened.items] == [b"jpg", b"drawn before"]
    assert not (tmp_path / "g" / "media").exists()
    with pytest.raises(GalleryError, match="must be in its folder clips/"):
        index(films, tmp_path / "h", FakeEncoder(), media_root="assets:films")


def test_the_command_indexes_a_folder(films, tmp_path, monkeypatch, capsys):
    encoder = FakeEncoder()
    monkeypatch.setattr(retrieval.encoders, "get_encoder", lambda spec: encoder)
    (tmp_path / "q.csv").write_text("text,video_id\nred dog,b.mp4\nblue cat,bad.mp4\n")
    argv = ["index", str(films), "--out", f"{tmp_path}/g", "--model", "fake"]
    assert main([*argv, "--query-items", f"{tmp_path}/q.csv"]) == 0
    opened = open_gallery(tmp_path / "g", verify=True)
    assert len(opened) == 3 and opened.queries.texts == ("red dog",)  # bad.mp4 was skipped
    assert opened.manifest["command"].startswith("python -m retrieval index ")
    assert main([*argv, "--queries-as", "q.npy"]) == 2
    assert "for videos, --queries-as is 'captions'" in capsys.readouterr().err


def test_a_break_continues_without_embedding_again(films, tmp_path, monkeypatch):
    monkeypatch.setattr(indexing, "SHARD_ITEMS", 1)
    encoder, out = FakeEncoder(), tmp_path / "g"
    whole = video.sample_frames

    def breaks(path, n_frames):
        if path.name == "c.gif":
            raise KeyboardInterrupt
        return whole(path, n_frames)

    monkeypatch.setattr(video, "sample_frames", breaks)
    with pytest.raises(KeyboardInterrupt):
        index(films, out, encoder)
    assert encoder.n_encoded == 2
    with pytest.raises(GalleryError, match="finish it with `index films`"):
        open_gallery(out)
    monkeypatch.setattr(video, "sample_frames", whole)
    (films / "a.mkv").write_bytes(bytes([11, 0]))  # changed since: embedded again
    assert index(films, out, encoder) == 3
    assert encoder.n_encoded == 4
    opened = open_gallery(out, verify=True)
    expected = encoder.encode_videos([np.full((2, 6, 8, 3), c, np.uint8) for c in (11, 20, 30)])
    np.testing.assert_allclose(opened.video_emb, expected, atol=1e-6)
    assert not (tmp_path / "g.partial").exists()


def test_the_same_folder_in_two_goes_and_in_one_gives_the_same_bytes(films, tmp_path, monkeypatch):
    index(films, tmp_path / "one", FakeEncoder())
    monkeypatch.setattr(indexing, "SHARD_ITEMS", 2)
    index(films, tmp_path / "two", FakeEncoder())
    for name in ("video_emb.npy", "items.jsonl"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_indexing_into_the_folder_itself_does_not_index_its_own_media(films):
    assert index(films, films / "g", FakeEncoder()) == 3
    assert index(films, films / "g", FakeEncoder()) == 3
    assert len(open_gallery(films / "g", verify=True)) == 3


def test_items_give_captions_order_and_labelled_queries(films, tmp_path, caplog):
    items = [
        {"id": "sub/c", "caption": "red dog", "theme": "pets"},
        {"id": "b.mp4", "caption": "blue cat"},
        {"id": "bad", "caption": "green bird"},
        {"id": "absent", "caption": "night"},
    ]
    encoder = FakeEncoder()
    assert index(films, tmp_path / "g", encoder, items=items, queries="captions") == 2
    assert "skipped absent: no such video file" in caplog.text
    opened = open_gallery(tmp_path / "g")
    assert [item.id for item in opened.items] == ["sub/c", "b.mp4"]
    assert opened.items[0].caption == "red dog" and opened.items[0].extras["theme"] == "pets"
    assert opened.queries.ids == ("sub/c", "b.mp4")
    np.testing.assert_allclose(
        opened.queries.text_emb, encoder.encode_text(["red dog", "blue cat"]), atol=1e-6
    )


def test_folders_without_a_usable_video_are_refused(films, tmp_path):
    with pytest.raises(GalleryError, match="is not a folder of videos"):
        index(tmp_path / "none", tmp_path / "g", FakeEncoder())
    (tmp_path / "empty").mkdir()
    with pytest.raises(GalleryError, match="holds no video files"):
        index(tmp_path / "empty", tmp_path / "g", FakeEncoder())
    (tmp_path / "empty" / "bad.mp4").write_bytes(b"\0")
    with pytest.raises(GalleryError, match="none of the 1 video files"):
        index(tmp_path / "empty", tmp_path / "g", FakeEncoder())
    with pytest.raises(GalleryError, match="no item's id is a video file"):
        index(films, tmp_path / "g", FakeEncoder(), items=[{"id": "x"}])
    assert not (tmp_path / "g").exists()


def test_lists_are_read_by_the_names_that_data_sets_use(tmp_path):
    (tmp_path / "i.csv").write_text("key,video_id,sentence\nret0,video7,a dog\n")
    assert read_items(tmp_path / "i.csv") == [{"id": "video7", "caption": "a dog", "key": "ret0"}]
    (tmp_path / "i.txt").write_text("one\ntwo\n")
    assert read_items(tmp_path / "i.txt") == [{"id": "one"}, {"id": "two"}]
    (tmp_path / "i.json").write_text('[{"image_id": 7, "caption": "c", "id": ""}]')
    assert read_items(tmp_path / "i.json")[0]["id"] == "7"
    (tmp_path / "bad.csv").write_text("name\nx\n")
    with pytest.raises(GalleryError, match="row 0 has no id"):
        read_items(tmp_path / "bad.csv")
    with pytest.raises(GalleryError, match="needs the fields 'text' and 'video_id'"):
        read_queries(tmp_path / "i.txt")
    assert read_queries(tmp_path / "i.csv") == [
        {"text": "a dog", "video_id": "video7", "id": "video7"}
    ]


def test_msrvtts_own_layout_gives_all_captions(tmp_path):
    videos = [{"video_id": "video7", "category": "sky"}, {"video_id": "video9", "category": "sea"}]
    sentences = [("video9", "waves"), ("video7", "a cloud"), ("video9", "the sea")]
    whole = {
        "videos": videos,
        "sentences": [{"video_id": known, "caption": text} for known, text in sentences],
    }
    files.write_json(tmp_path / "m.json", whole)
    assert read_items(tmp_path / "m.json") == [
        {"id": "video7", "caption": "a cloud", "captions": ["a cloud"], "category": "sky"},
        {"id": "video9", "caption": "waves", "captions": ["waves", "the sea"], "category": "sea"},
    ]
    files.write_json(tmp_path / "m.json", whole | {"sentences": whole["sentences"][:1]})
    with pytest.raises(GalleryError, match="m.json: each video needs"):
        read_items(tmp_path / "m.json")


def test_queries_without_an_id_are_named_after_their_video():
    named = name_queries(
        [
            {"text": "1", "video_id": "a"},
            {"text": "2", "video_id": "b"},
            {"text": "3", "video_id": "a"},
            {"text": "4", "video_id": "c", "id": "own"},
        ]
    )
    assert [query["id"] for query in named] == ["a:1", "b", "a:2", "own"]


def test_real_videos_get_posters_durations_and_playable_copies(shared_data, tmp_path, caplog):
    names = ["bottle-detection.mp4", "milk.mkv", "people-detection.gif"]
    (tmp_path / "films").mkdir()
    for name in names:  # copies of all ten would take a minute to encode
        (tmp_path / "films" / name).symlink_to(shared_data("sample_videos") / name)
    assert index(tmp_path / "films", tmp_path / "g", FakeEncoder()) == 3
    assert "skipped" not in caplog.text
    opened = open_gallery(tmp_path / "g", verify=True)
    assert [item.id for item in opened.items] == names
    for item, duration_s in zip(opened.items, (39.9, 1.7, 1.9), strict=True):
        assert item.duration_s == pytest.approx(duration_s, abs=0.1)
        assert item.poster.read_bytes().startswith(b"\xff\xd8")
        copy = video.probe(item.clip)
        assert copy.browser_playable and not item.clip.is_symlink()
        assert copy.duration_s == pytest.approx(duration_s, abs=0.3)
