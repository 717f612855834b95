"""What the page serves: which bank belongs where, what is shown first, and the front door."""

import threading
import time

import pytest

import app
from retrieval.errors import GalleryError, ModelError
from retrieval.gallery import FILM_LIBRARY, EncoderId, open_gallery
from retrieval.querybank import open_querybank, write_querybank
from retrieval.tabs import library
from retrieval.tabs.about import galleries_text
from retrieval.tabs.library import EncoderSlot, Library
from retrieval.tabs.models import TITLES, film_galleries, menu_title, whole
from tests.fakes import FakeEncoder, make_bank, make_gallery
from tests.page import MODELS, write_models


def test_a_bank_serves_the_galleries_of_its_encoder_only(tmp_path):
    ours = make_gallery(tmp_path / "one", n=8)
    theirs = make_gallery(tmp_path / "two", n=9, encoder=FakeEncoder("other", dim=5))
    opened = Library([ours, theirs], [make_bank(tmp_path, n=20)])
    assert opened.names == {"gallery": ["gallery-bank"], "gallery-2": []}
    assert opened.engine("gallery").n_bank == 20
    assert opened.engine("gallery-2").n_bank == 0
    assert opened.engine("gallery") is opened.engine("gallery", "gallery-bank")


def test_a_bank_beside_a_gallery_is_found_and_one_that_fits_nothing_is_refused(tmp_path):
    make_gallery(tmp_path, n=8)
    make_bank(tmp_path, n=20)
    assert Library.open([tmp_path / "gallery"]).names == {"gallery": ["gallery-bank"]}
    other = FakeEncoder("other", dim=5)
    emb = other.encode_text(["a", "b"])
    write_querybank(tmp_path / "stray", emb, ["a", "b"], EncoderId.of(other))
    with pytest.raises(GalleryError, match="dim 5, gallery has dim 12"):
        Library.open([tmp_path / "gallery"], [tmp_path / "stray"])


@pytest.mark.parametrize(
    ("gallery", "bank", "match"),
    [
        ("moon", "", "unknown gallery 'moon'; available: gallery"),
        ("gallery", "sun", "unknown querybank"),
    ],
)
def test_unknown_names_are_refused_with_what_exists(tmp_path, gallery, bank, match):
    opened = Library([make_gallery(tmp_path, n=8)], [make_bank(tmp_path, n=20)])
    with pytest.raises(GalleryError, match=match):
        opened.engine(gallery, bank)


def test_examples_start_with_a_query_that_was_helped_to_the_top(tmp_path):
    opened = Library([make_gallery(tmp_path)], [make_bank(tmp_path)])
    rows = {row.id: row for row in opened.engine("gallery").changes().rows}
    first = rows[opened.examples("gallery", "gallery-bank")[0]]
    helped = [row for row in rows.values() if row.delta > 0 and row.raw_rank <= 10]
    assert helped
    assert first.delta > 0
    assert first.norm_rank == min(row.norm_rank for row in helped)


def test_large_galleries_show_stored_queries_without_ranking_all(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "MAX_CELLS", 10)
    opened = Library([make_gallery(tmp_path, n=8)])
    monkeypatch.setattr(opened.engine("gallery"), "changes", None)
    assert opened.examples("gallery", "") == ["q0", "q1", "q2", "q3"]


def test_neighbours_go_round_the_end(tmp_path):
    opened = Library([make_gallery(tmp_path, n=8)])
    assert opened.neighbours("gallery", "q3") == ("q2", "q4")
    assert opened.neighbours("gallery", "q7") == ("q6", "q0")
    assert opened.neighbours("gallery", "") == ("q7", "q0")


def test_an_encoder_is_built_once_however_many_ask():
    built = []

    def load():
        built.append(1)
        time.sleep(0.05)
        return FakeEncoder()

    slot = EncoderSlot(load)
    assert slot.begin()
    threads = [threading.Thread(target=slot) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert slot.ready
    assert built == [1]


def test_encoders_wait_until_a_page_is_drawn_and_are_begun_once(tmp_path):
    begun = []

    def load():
        begun.append(time.monotonic())
        return FakeEncoder()

    opened = Library([make_gallery(tmp_path, n=8)], encoders={"gallery": EncoderSlot(load)})
    asked = time.monotonic()
    for _ in range(3):  # visitors
        opened.load_encoders(after_s=0.2)
    time.sleep(0.6)
    assert len(begun) == 1
    assert begun[0] - asked >= 0.2
    assert opened.waiting("gallery", typed=True) is None
    opened.load_encoders(after_s=0.0)
    assert len(begun) == 1


def test_a_typed_query_does_not_wait_for_the_encoders_turn(tmp_path):
    slot = EncoderSlot(FakeEncoder)
    opened = Library([make_gallery(tmp_path, n=8)], encoders={"gallery": slot})
    opened.load_encoders(after_s=60.0)
    assert opened.waiting("gallery", typed=True) is not None
    slot._thread.join()
    assert slot.ready


def test_an_encoder_that_cannot_load_says_so_to_each_query():
    def load():
        raise ModelError("the weights are not here")

    slot = EncoderSlot(load)
    for _ in range(2):  # begun anew after it was told
        assert slot.begin()
        slot._thread.join()
        with pytest.raises(ModelError, match="not here"):
            slot.begin()
    assert not slot.ready
    with pytest.raises(ModelError, match="not here"):
        slot()


def test_the_front_door_tells_what_is_wrong_in_one_line(tmp_path, capsys):
    assert app.main(["--gallery", str(tmp_path / "nothing")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("app: ")
    assert error.count("\n") == 1
    make_gallery(tmp_path, n=8)
    items = tmp_path / "gallery" / "items.jsonl"
    items.write_bytes(items.read_bytes()[:-20])
    assert app.main(["--gallery", str(tmp_path / "gallery")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_galleries_and_banks_are_what_was_opened(tmp_path):
    make_gallery(tmp_path, n=8)
    make_bank(tmp_path, n=20)
    gallery, bank = open_gallery(tmp_path / "gallery"), open_querybank(tmp_path / "gallery-bank")
    opened = Library([gallery], [bank])
    assert opened.most_bank_captions == 20
    assert opened.stored_text("gallery", "q2") == gallery.queries.texts[2]
    assert opened.stored_text("gallery", "zz") is None


# ---- models that are opened when they are chosen -------------------------------------------------


@pytest.fixture
def models(tmp_path, monkeypatch):
    encoders = write_models(tmp_path)
    monkeypatch.setattr(library, "get_encoder", encoders.get)
    return tmp_path


def wait_open(opened, name):
    begun = time.monotonic()
    while opened.waiting(name) is not None and time.monotonic() - begun < 60:
        time.sleep(0.02)


def test_nothing_of_a_later_gallery_is_read_but_its_manifest(models, monkeypatch):
    opened = Library.open([models / MODELS[0]], later=[models / name for name in MODELS[1:]])
    monkeypatch.setattr(library, "open_gallery", None)  # would fail
    assert opened.names == {name: [f"{name}-bank"] for name in MODELS}
    assert list(opened.titles.values()) == ["Small CLIP", "CE", "MoEE", "Text to audio (AR-CE)"]
    assert opened.is_of_models
    assert [opened.n_items(name) for name in MODELS[:3]] == [40, 40, 40]
    assert 0 < opened.n_items(MODELS[3]) < 40
    assert [opened.n_bank(name, f"{name}-bank") for name in MODELS] == [30] * 4
    assert [opened.is_open(name) for name in MODELS] == [True, False, False, False]
    assert [opened.find(words) for words in ("ce", "MoEE", MODELS[3], "moon")] == [
        *(MODELS[1], MODELS[2], MODELS[3], "moon")
    ]


def test_a_later_gallery_is_opened_in_the_background_with_all_that_its_first_view_takes(models):
    opened = Library.open([models / MODELS[0]], later=[models / MODELS[1]])
    waiting = opened.waiting(MODELS[1])
    assert waiting.what == "CE" and waiting.seconds >= 0
    wait_open(opened, MODELS[1])
    assert opened.is_open(MODELS[1])
    assert opened.examples(MODELS[1], f"{MODELS[1]}-bank")
    assert opened.engine(MODELS[1]).n_bank == 30
    # The same clip has one address, and a query that only another model has keeps its words.
    assert opened.media_home(MODELS[1])[0] == MODELS[0]
    text = opened.stored_text(MODELS[0], "video7501")
    assert opened.text_elsewhere(MODELS[1], "video7501") == text


def test_a_later_gallery_that_is_damaged_tells_no_path_and_is_tried_again(models):
    opened = Library.open([models / MODELS[0]], later=[models / MODELS[2]])
    for _ in range(2):
        assert opened.waiting(MODELS[2]) is not None
        with pytest.raises(GalleryError, match="^its files on this server cannot be used$"):
            wait_open(opened, MODELS[2])
    (models / MODELS[2] / "manifest.json").write_text("{}")
    left = Library.open([models / MODELS[0]], later=[models / MODELS[2]])
    assert list(left.names) == [MODELS[0]]  # the others can be shown without it


def test_about_names_the_models_and_the_commands_in_their_manifests(models):
    text = galleries_text(
        Library.open([models / MODELS[0]], later=[models / name for name in MODELS[1:]])
    )
    assert "**CE** (animations-ce): compares 3 experts (sound, words on screen, frames)" in text
    assert "**Small CLIP** (animations-clip): compares one embedding of 12 numbers" in text
    assert text.count("    python -m retrieval index") == len(MODELS)


def test_a_gallery_that_shows_anothers_items_is_of_the_same_films(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "manifest.json").write_text('{"media_root": "assets:animations"}')
    shows = {"shows": {"gallery": "one"}, "encoder": {"name": "animations-ce"}}
    assert menu_title("two", whole(shows, tmp_path / "two")) == "CE"
    assert menu_title("two", whole(shows, tmp_path / "else" / "two")) == "two"


@pytest.mark.skipif(not film_galleries(), reason="needs the film library's other models")
def test_the_film_library_is_served_under_its_models():
    opened = Library.open([FILM_LIBRARY], later=film_galleries())
    assert opened.is_of_models
    assert list(opened.names)[0] == "animations"
    assert set(opened.titles.values()) <= set(TITLES.values())
