"""Querybanks and biases on disk: order, resuming, and what a bias may be used with."""

import os

import numpy as np
import pytest

from retrieval import querybank
from retrieval.errors import GalleryError
from retrieval.gallery import EncoderId
from retrieval.normalisers import fit_updatable, get_normaliser
from retrieval.querybank import (
    bias_path,
    embed_querybank,
    fitted_on,
    load_bias,
    load_updatable,
    open_querybank,
    read_captions,
    save_bias,
    save_updatable,
    write_querybank,
)
from tests.fakes import FakeEncoder, make_bank, make_gallery, sentences


def test_rows_are_kept_with_their_captions_in_a_random_order(tmp_path):
    encoder, captions = FakeEncoder(), sentences(40)
    emb = encoder.encode_text(captions)
    write_querybank(tmp_path / "b", emb * 3, captions, EncoderId.of(encoder))
    bank = open_querybank(tmp_path / "b")
    assert sorted(bank.captions) == sorted(captions) and bank.captions != tuple(captions)
    np.testing.assert_allclose(bank.text_emb, encoder.encode_text(list(bank.captions)), atol=1e-6)
    write_querybank(tmp_path / "c", emb * 3, captions, EncoderId.of(encoder))
    assert open_querybank(tmp_path / "c").digest == bank.digest


def test_a_head_is_the_first_captions(tmp_path):
    bank = make_bank(tmp_path, 20)
    head = bank.head(7)
    assert len(head) == 7 and head.captions == bank.captions[:7]
    np.testing.assert_array_equal(head.text_emb, bank.text_emb[:7])
    assert head.digest != bank.digest and bank.head(20) is bank
    for n in (0, 21):
        with pytest.raises(GalleryError, match="has 20 captions"):
            bank.head(n)


def test_embeddings_without_captions_are_named_by_their_row(tmp_path):
    encoder = FakeEncoder()
    emb = encoder.encode_text(sentences(3))
    write_querybank(tmp_path / "b", emb, None, EncoderId.of(encoder))
    bank = open_querybank(tmp_path / "b")
    for caption, row in zip(bank.captions, bank.text_emb, strict=True):
        np.testing.assert_allclose(row, emb[int(caption.removeprefix("bank row "))], atol=1e-6)
    with pytest.raises(GalleryError, match="3 bank embeddings and 2 captions"):
        write_querybank(tmp_path / "b", emb, ["a", "b"], EncoderId.of(encoder))
    with pytest.raises(ValueError, match="row 2 of the bank embeddings is all zero"):
        write_querybank(tmp_path / "b", np.r_[emb[:2], 0 * emb[:1]], None, EncoderId.of(encoder))
    assert open_querybank(tmp_path / "b").digest == bank.digest  # the old one is untouched


def test_embedding_continues_after_a_break(tmp_path, monkeypatch):
    monkeypatch.setattr(querybank, "SHARD_CAPTIONS", 4)
    captions, encoder = sentences(10), FakeEncoder()
    embed_querybank(tmp_path / "whole", captions, encoder, "fake", "make")

    class Breaks(FakeEncoder):
        def encode_text(self, texts):
            if self.n_encoded == 8:
                raise KeyboardInterrupt
            return super().encode_text(texts)

    with pytest.raises(KeyboardInterrupt):
        embed_querybank(tmp_path / "b", captions, Breaks(), "fake", "make b")
    with pytest.raises(GalleryError, match="finish it with `make b`"):
        open_querybank(tmp_path / "b")
    again = FakeEncoder()
    embed_querybank(tmp_path / "b", captions, again, "fake", "make b")
    assert again.n_encoded == 2
    assert open_querybank(tmp_path / "b").digest == open_querybank(tmp_path / "whole").digest


def test_captions_are_read_from_what_people_have(tmp_path):
    (tmp_path / "c.txt").write_text("a dog\n\n a  cat \n")
    assert read_captions(tmp_path / "c.txt") == ["a dog", "a cat"]
    (tmp_path / "c.csv").write_text("video_id,sentence\nv1,a dog\n")
    assert read_captions(tmp_path / "c.csv") == ["a dog"]
    (tmp_path / "c.jsonl").write_text('{"text": "a dog"}\n{"words": 1}\n')
    with pytest.raises(GalleryError, match="row 2 has no text"):
        read_captions(tmp_path / "c.jsonl")


def test_a_bank_of_another_encoder_is_refused(tmp_path):
    gallery = make_gallery(tmp_path)
    with pytest.raises(GalleryError, match="querybank has dim 5, gallery has dim 12"):
        make_bank(tmp_path, encoder=FakeEncoder(dim=5)).check_fits(gallery)
    with pytest.raises(GalleryError, match="made by the encoder other .* the gallery by fake"):
        make_bank(tmp_path, encoder=FakeEncoder("other")).check_fits(gallery)
    make_bank(tmp_path).check_fits(gallery)


@pytest.mark.parametrize("normaliser", ["none", "inverted_softmax", "qbnorm"])
def test_a_bias_comes_back_as_it_was_saved(tmp_path, normaliser):
    gallery, bank = make_gallery(tmp_path), make_bank(tmp_path)
    bias = get_normaliser(normaliser, beta=20.0, k=2).fit(bank.text_emb @ gallery.video_emb.T)
    on = fitted_on(gallery, bank, normaliser, 20.0, 2, len(bank))
    path = bias_path(gallery, on)
    save_bias(path, bias, on)
    read = load_bias(path, on, len(gallery))
    for name in ("values", "active", "k_occurrence"):
        np.testing.assert_array_equal(getattr(read, name), getattr(bias, name))
    for name in ("normaliser", "beta", "k", "n_bank"):
        assert getattr(read, name) == getattr(bias, name)


def test_a_state_kept_beside_its_bias_follows_the_bank(tmp_path):
    gallery, bank = make_gallery(tmp_path), make_bank(tmp_path)
    normaliser, sims = get_normaliser("qbnorm", beta=20.0), bank.text_emb @ gallery.video_emb.T
    on = fitted_on(gallery, bank, "qbnorm", 20.0, 1, len(bank) - 1)
    path = bias_path(gallery, on)
    kept = fit_updatable(normaliser, sims[:-1])
    save_bias(path, kept.bias, on)
    save_updatable(path, kept, on)
    assert sorted(p.suffix for p in path.parent.iterdir()) == [".npz", ".state"]
    bias = load_updatable(path, on).append_bank(sims[-1:]).bias
    refit = normaliser.fit(sims)
    np.testing.assert_allclose(bias.values, refit.values, atol=1e-6)
    np.testing.assert_array_equal(bias.active, refit.active)
    with pytest.raises(GalleryError, match="was fitted on another bank"):
        load_updatable(path, on | {"bank": "another"})


@pytest.mark.parametrize(
    "part", ["encoder", "gallery", "bank", "n_bank", "normaliser", "beta", "k"]
)
def test_a_bias_fitted_on_something_else_is_refused(tmp_path, part):
    gallery, bank = make_gallery(tmp_path), make_bank(tmp_path)
    bias = get_normaliser("qbnorm").fit(bank.text_emb @ gallery.video_emb.T)
    on = fitted_on(gallery, bank, "qbnorm", None, 1, len(bank))
    path = bias_path(gallery, on)
    save_bias(path, bias, on)
    with pytest.raises(GalleryError, match=f"was fitted on another {part} "):
        load_bias(path, on | {part: "something else"}, len(gallery))


def test_a_damaged_bias_is_refused(tmp_path):
    gallery, bank = make_gallery(tmp_path), make_bank(tmp_path)
    bias = get_normaliser("qbnorm").fit(bank.text_emb @ gallery.video_emb.T)
    on = fitted_on(gallery, bank, "qbnorm", None, 1, len(bank))
    path = bias_path(gallery, on)
    save_bias(path, bias, on)
    whole = path.read_bytes()
    for place in range(40, len(whole), 61):
        damaged = bytearray(whole)
        damaged[place] ^= 0x40
        path.write_bytes(damaged)
        try:
            read = load_bias(path, on, len(gallery))
        except GalleryError:
            continue
        np.testing.assert_array_equal(read.values, bias.values)  # padding of the zip, no content
        np.testing.assert_array_equal(read.active, bias.active)
    path.write_bytes(whole)
    with pytest.raises(GalleryError, match="is damaged"):
        load_bias(path, on, len(gallery) + 1)
    assert not [name for name in os.listdir(path.parent) if "tmp" in name]
