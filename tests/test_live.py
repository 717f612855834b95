"""Sentences embedded when needed, and the galleries and querybanks that live on others' words."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest

from retrieval import manifests
from retrieval.answers import Settings
from retrieval.engine import Engine, open_engine
from retrieval.errors import GalleryError, ModelError
from retrieval.evaluation import evaluate
from retrieval.gallery import EncoderId, open_gallery, write_showing
from retrieval.live import Live, rows_of
from retrieval.querybank import open_querybank, write_sharing
from tests.fakes import FakeEncoder, FakeExperts, make_bank, make_gallery, sentences


@pytest.fixture
def encoder(monkeypatch) -> FakeExperts:
    """Found by name, as an encoder that the project brings."""
    made = FakeExperts()
    made.n_loaded = 0

    def get_encoder(spec, device=None):
        assert spec == "fake-experts"
        made.n_loaded += 1
        return made

    monkeypatch.setattr("retrieval.encoders.get_encoder", get_encoder)
    return made


@pytest.fixture
def places(tmp_path, encoder):
    """A gallery and a bank; and, beside them, those of other embeddings with the same words."""
    shown, bank = make_gallery(tmp_path), make_bank(tmp_path)
    ids = [item.id for item in shown.items[::-2]]  # half of them, in another order
    emb = encoder.encode_text([item.caption for item in shown.items[::-2]])
    about = EncoderId.of(encoder)
    write_showing(tmp_path / "experts", shown, ids, emb, about, "make e", media="audio")
    write_sharing(tmp_path / "experts-bank", bank, about, 40, "make b")
    return tmp_path


def test_rows_are_made_once_for_all_who_ask(encoder):
    texts = sentences(9)
    live = Live(texts, EncoderId.of(encoder))
    assert len(live) == 9 and encoder.n_loaded == 0
    found: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: found.append(live())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert encoder.n_loaded == 1 and all(each is found[0] for each in found)
    np.testing.assert_allclose(rows_of(live), encoder.encode_text(texts), atol=1e-6)
    assert not live().flags.writeable
    assert live.digest == Live(texts, EncoderId.of(encoder)).digest
    assert live.digest != Live(texts[:-1], EncoderId.of(encoder)).digest
    other = EncoderId.of(FakeExperts("another"), "fake-experts")
    assert live.digest != Live(texts, other).digest
    with pytest.raises(ModelError, match="fake-experts .* is not the one whose embeddings"):
        Live(texts, other)()


def test_a_gallery_shows_items_and_queries_of_another(places, encoder):
    shown, opened = open_gallery(places / "gallery"), open_gallery(places / "experts")
    assert len(opened) == 15 and opened.media == "audio"
    for item in opened.items:
        assert item == shown.items[shown.rows[item.id]]
    stored, asked = shown.queries, opened.queries
    assert len(asked.ids) == 15 and encoder.n_loaded == 0
    for n, query_id in enumerate(asked.ids):
        row = stored.rows[query_id]
        assert asked.texts[n] == stored.texts[row]
        right = shown.items[stored.correct[row]].id
        assert opened.items[asked.correct[n]].id == right
    np.testing.assert_allclose(asked.text_emb, encoder.encode_text(asked.texts), atol=1e-6)
    assert {each.name for each in (places / "experts").iterdir()} == {
        "items.jsonl",
        "manifest.json",
        "video_emb.npy",
    }


def test_a_typed_query_needs_no_sentence_but_itself(places, encoder):
    gallery, bank = open_gallery(places / "experts"), open_querybank(places / "experts-bank")
    kept = Engine(gallery, bank, encoder, keep_bias_s=0.0)
    for name in ("none", "qbnorm"):
        kept.resolved_beta(Settings(right=name))
    assert encoder.n_loaded == 1
    encoder.n_loaded = 0
    engine = open_engine(places / "experts")  # with the biases in its folder
    texts = sentences(40, seed=5)
    engine.rank(texts[-1])
    assert encoder.n_loaded == 1  # the engine's own, for the typed words
    engine.explain(engine.gallery.items[0].id, query=texts[-1])
    assert encoder.n_loaded == 2 and len(engine.bank) == 40
    report = evaluate(engine.gallery, engine.bank)
    assert report.n_bank == 40 and report.n_queries == 15


def test_a_bank_takes_the_first_captions_of_another(places, encoder):
    whole, taken = open_querybank(places / "gallery-bank"), open_querybank(places / "experts-bank")
    assert taken.captions == whole.captions[:40] and encoder.n_loaded == 0
    assert taken.digest == Live(taken.captions, taken.encoder).digest
    taken.check_fits(open_gallery(places / "experts"))
    assert taken.head(7).text_emb.shape == (7, encoder.dim)
    assert [each.name for each in (places / "experts-bank").iterdir()] == ["manifest.json"]


def test_what_is_shown_must_be_as_it_was(places):
    make_gallery(places, seed=3)
    with pytest.raises(GalleryError, match="shows the items of gallery, which has other ones"):
        open_gallery(places / "experts")
    make_bank(places, seed=4)
    with pytest.raises(GalleryError, match="takes the captions of gallery-bank, which has other"):
        open_querybank(places / "experts-bank")


@pytest.mark.parametrize(
    ("folder", "opener", "spoil", "message"),
    [
        ("experts", open_gallery, {"shows": {"gallery": "../g"}}, "names no gallery to show"),
        ("experts", open_gallery, {"shows": []}, "names no gallery to show"),
        ("experts", open_gallery, {"shows": {"gallery": "gone"}}, "there is no gallery"),
        ("experts-bank", open_querybank, {"captions_of": {"bank": "a/b"}}, "names no captions"),
        ("experts-bank", open_querybank, {"n_items": "40"}, "names no captions"),
        ("experts-bank", open_querybank, {"captions_of": {"bank": "x"}}, "there is no querybank"),
    ],
)
def test_odd_manifests_are_refused(places, folder, opener, spoil, message):
    path = places / folder / manifests.MANIFEST
    manifest = {**json.loads(path.read_text()), **spoil}
    manifest["checksum"] = manifests._self_checksum(manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(GalleryError, match=message):
        opener(places / folder)


def test_what_cannot_be_shown_is_refused(places, tmp_path_factory, encoder):
    shown, bank = open_gallery(places / "gallery"), open_querybank(places / "gallery-bank")
    emb, about = encoder.encode_text(sentences(2)), EncoderId.of(encoder)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with pytest.raises(GalleryError, match="has no item 'v99' to show"):
        write_showing(places / "x", shown, ["v1", "v99"], emb, about)
    with pytest.raises(GalleryError, match="2 embeddings and 1 ids"):
        write_showing(places / "x", shown, ["v1"], emb, about)
    with pytest.raises(GalleryError, match="x must lie beside gallery"):
        write_showing(elsewhere / "x", shown, ["v1", "v2"], emb, about)
    with pytest.raises(GalleryError, match="x must lie beside gallery-bank"):
        write_sharing(elsewhere / "x", bank, about)
    with pytest.raises(GalleryError, match="no captions of its own to share"):
        write_sharing(places / "x", open_querybank(places / "experts-bank"), about)
    with pytest.raises(GalleryError, match="has no captions of its own"):
        write_sharing(places / "x", replace(bank, path=None), about)
    assert not (places / "x").exists()


def test_a_bank_of_another_encoder_does_not_fit(places):
    with pytest.raises(GalleryError, match="querybank has dim"):
        open_querybank(places / "experts-bank").check_fits(open_gallery(places / "gallery"))
    assert EncoderId.of(FakeEncoder()).experts == ()
