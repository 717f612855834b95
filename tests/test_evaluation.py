"""Evaluation against slow definitions and against what the engine shows."""

import json
from dataclasses import replace

import numpy as np
import pytest

from retrieval import metrics
from retrieval.engine import Engine, Settings
from retrieval.errors import GalleryError, QueryError, SettingsError
from retrieval.evaluation import bank_badge, evaluate
from retrieval.gallery import EncoderId, Gallery, Item, Queries
from retrieval.hubness import k_occurrence, k_skewness
from retrieval.querybank import Querybank
from tests.fakes import FakeEncoder, make_bank, make_gallery


def unit(emb):
    return (emb / np.linalg.norm(emb, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def several(rng):
    """9 videos, 20 captions: some videos have several, the last has none."""
    videos = unit(rng.standard_normal((9, 6)) + 0.8)
    correct = np.r_[np.arange(8), rng.integers(0, 8, 12)]
    captions = unit(videos[correct] + 0.6 * rng.standard_normal((20, 6)))
    return Gallery(
        name="several",
        path=None,
        video_emb=videos,
        items=tuple(Item(f"v{row}") for row in range(9)),
        encoder=EncoderId.external(6),
        queries=Queries(
            tuple(f"q{row}" for row in range(20)),
            tuple(f"caption {row}" for row in range(20)),
            captions,
            correct,
        ),
    )


def bank_of(emb, side="text"):
    return Querybank(
        "bank", None, tuple(f"b{n}" for n in range(len(emb))), emb, EncoderId.external(6), side=side
    )


def test_text_to_video_rows_are_the_engines_numbers(tmp_path):
    gallery, bank = make_gallery(tmp_path), make_bank(tmp_path)
    settings = Settings(beta=20.0, k=2)
    report = evaluate(gallery, bank, ("inverted_softmax", "none", "qbnorm"), settings)
    assert [row.normaliser for row in report.rows] == ["none", "inverted_softmax", "qbnorm"]
    engine = Engine(gallery, bank)
    for row in report.rows:
        changes = engine.changes(replace(settings, right=row.normaliser))
        assert row.metrics == changes.metrics_norm
        assert (row.helped, row.hurt) == (changes.helped, changes.hurt)
        ranks = [change.norm_rank for change in changes.rows]
        assert row.metrics["R@1"] == pytest.approx(100 * np.mean(np.array(ranks) == 1))
        assert row.beta == (None if row.normaliser == "none" else 20.0)
    assert (report.n_queries, report.n_items, report.n_bank) == (30, 30, 50)
    sims = gallery.queries.text_emb @ gallery.video_emb.T
    assert report.rows[0].hubness[10].k_skewness == k_skewness(k_occurrence(sims, 10))
    json.dumps(report.to_dict(), allow_nan=False)


@pytest.mark.parametrize("normaliser", ["inverted_softmax", "qbnorm"])
def test_video_to_text_takes_the_best_caption_of_each_video(several, rng, normaliser):
    bank_emb = unit(rng.standard_normal((15, 6)) + 0.8)
    report = evaluate(several, bank_of(bank_emb, "video"), (normaliser,), Settings(beta=8.0), "v2t")
    captions, correct = several.queries.text_emb.astype(float), several.queries.correct
    sims = several.video_emb[:8].astype(float) @ captions.T  # the ninth video has no caption
    bank_sims = bank_emb.astype(float) @ captions.T
    bias = np.log(np.exp(8 * bank_sims).mean(axis=0)) / 8
    known = np.bincount(bank_sims.argmax(axis=1), minlength=20) > 0
    for row, normalised in zip(report.rows, (False, True), strict=True):
        ranks = []
        for video in range(8):
            scores = sims[video].copy()
            if normalised and (normaliser != "qbnorm" or known[scores.argmax()]):
                scores -= bias
            own = scores[correct == video].max()
            ranks.append(1 + (scores > own).sum())
        assert row.metrics == metrics.summarise(np.array(ranks))
    assert (report.n_queries, report.n_items, report.n_bank) == (8, 20, 15)
    assert report.rows[1].helped + report.rows[1].hurt + report.rows[1].unchanged == 8


def test_without_a_bank_there_is_only_the_raw_row(several):
    for direction in ("t2v", "v2t"):
        report = evaluate(several, None, direction=direction)
        assert [row.normaliser for row in report.rows] == ["none"]
        assert report.badge == "no bank" and report.n_bank == 0


def test_the_badge_tells_a_bank_that_holds_what_is_tested(several, rng):
    fresh = unit(rng.standard_normal((5, 6)))
    assert bank_badge(several, bank_of(fresh)) == "held-out bank"
    leaks = bank_of(np.r_[fresh, several.queries.text_emb[3:5]])
    assert bank_badge(several, leaks) == "bank overlaps the test (2 rows)"
    said = replace(bank_of(fresh), captions=("b0", "b1", "Caption 7", "b3", "b4"))
    assert bank_badge(several, said) == "bank overlaps the test (1 rows)"
    videos = bank_of(np.r_[fresh, several.video_emb[:1]], "video")
    assert bank_badge(several, videos) == "bank overlaps the test (1 rows)"


def test_what_cannot_be_evaluated_is_refused(several, tmp_path):
    with pytest.raises(SettingsError, match="direction must be"):
        evaluate(several, None, direction="sideways")
    with pytest.raises(SettingsError, match="video-to-text needs a bank of videos"):
        evaluate(several, bank_of(several.video_emb), direction="v2t")
    with pytest.raises(SettingsError, match="unknown normaliser"):
        evaluate(several, bank_of(several.video_emb), ("magic",))
    with pytest.raises(SettingsError, match="k must be"):
        evaluate(
            several, bank_of(several.video_emb, "video"), settings=Settings(k=21), direction="v2t"
        )
    with pytest.raises(QueryError, match="no labelled queries"):
        evaluate(replace(several, queries=None), None)
    other = make_bank(tmp_path, encoder=FakeEncoder("other"))
    with pytest.raises(GalleryError, match="rebuild the bank"):
        evaluate(make_gallery(tmp_path), other)
