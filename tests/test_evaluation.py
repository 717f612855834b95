"""Evaluation against slow definitions and against what the engine shows."""

import json
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from retrieval import metrics
from retrieval.advice import runnable
from retrieval.advice.verdicts import outcome_of
from retrieval.answers import Settings
from retrieval.engine import Engine
from retrieval.errors import GalleryError, QueryError, SettingsError
from retrieval.evaluation import bank_badge, evaluate, evaluate_matrices
from retrieval.formats import open_matrix
from retrieval.gallery import EncoderId, Gallery, Item, Queries
from retrieval.hubness import k_occurrence, k_skewness
from retrieval.normalisers import NORMALISERS, Evidence, Normaliser, normalise
from retrieval.querybank import Querybank
from retrieval.similarity import MatrixTiles, SimTiles
from retrieval.statistics import PairedTest
from retrieval.streaming.rows import WatchedTiles
from tests.fakes import FakeEncoder, make_bank, make_gallery
from tests.reference import qbnorm_by_definition, t2v_rank_by_definition, v2t_rank_by_definition

# A worked example: four queries, four items, a bank of three.
SIMS = np.array(
    [[0.5, 0.6, 0.1, 0.2], [0.3, 0.55, 0.02, 0.1], [0.1, 0.58, 0.56, 0], [0.05, 0.1, 0.15, 0.4]]
)
BANK_SIMS = np.array([[0.2, 0.7, 0.1, 0.6], [0.1, 0.65, 0.2, 0.6], [0.6, 0.3, 0.1, 0.55]])


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


# ---- matrices


@pytest.mark.parametrize(
    ("beta", "k", "ranks"),
    [
        (20, 1, [1, 1, 1, 1]),
        (20, 2, [1, 1, 1, 2]),
        (20, 4, [1, 1, 1, 2]),
        (1 / 1.99, 1, [1, 1, 1, 1]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_worked_example_of_qb_norm(beta, k, ranks, dtype):
    report = evaluate_matrices(
        SIMS.astype(dtype), BANK_SIMS.astype(dtype), normalisers=("qbnorm",), beta=beta, k=k
    )
    np.testing.assert_array_equal(report["none"].ranks, [2, 1, 2, 1])
    np.testing.assert_array_equal(report["qbnorm"].ranks, ranks)
    assert report["none"].metrics["Geom"] == pytest.approx(79.370, abs=1e-3)
    np.testing.assert_array_equal(report["qbnorm"].active, [True, True, True, k > 1])
    np.testing.assert_array_equal(report.change(report["qbnorm"]), np.array([2, 1, 2, 1]) - ranks)
    assert report["qbnorm"].beta == beta and report["qbnorm"].badge == "held-out bank"


def test_padding_captions_are_left_out_of_everything(rng):
    sims, bank_sims = rng.uniform(-1, 1, (15, 5)), rng.uniform(-1, 1, (8, 5))
    mask = (rng.random((5, 3)) < 0.7).astype(float)  # as published: videos x captions per video
    mask[2] = 0
    report = evaluate_matrices(sims, bank_sims, mask=mask, normalisers=("qbnorm",), beta=6)
    kept = np.flatnonzero(mask.ravel())
    scores = qbnorm_by_definition(bank_sims, sims, 6, 1)
    expected = [t2v_rank_by_definition(scores[row], row // 3) for row in kept]
    np.testing.assert_array_equal(report["qbnorm"].ranks, expected)
    np.testing.assert_array_equal(report.queries, kept)
    assert report.n_queries == len(kept) and report.resampled == "videos" and report.n_units == 4
    assert report["qbnorm"].counts[1].sum() == len(kept)
    assert report["qbnorm"].paired.test == "sign-flip test over videos"


def test_video_to_text_matrices_leave_padding_captions_unranked(rng):
    sims, bank_sims = rng.uniform(-1, 1, (5, 15)), rng.uniform(-1, 1, (8, 15))
    mask = rng.random((5, 3)) < 0.6
    mask[:, 0], mask[2] = True, False
    kept = np.flatnonzero(mask.ravel())
    padded = bank_sims.copy()
    padded[:, ~mask.ravel()] = 0.9  # what padding captions are like must not matter
    for known in (bank_sims, padded):
        report = evaluate_matrices(
            sims,
            known,
            mask=mask,
            normalisers=("inverted_softmax", "qbnorm"),
            beta=6,
            direction="v2t",
        )
        scores = qbnorm_by_definition(bank_sims[:, kept], sims[:, kept], 6, 1)
        rows = [0, 1, 3, 4]  # the third video has no caption and asks nothing
        expected = [
            v2t_rank_by_definition(
                scores[row], np.flatnonzero(kept // 3 == row), np.ones(len(kept))
            )
            for row in rows
        ]
        np.testing.assert_array_equal(report["qbnorm"].ranks, expected)
        np.testing.assert_array_equal(report.queries, rows)
        np.testing.assert_array_equal(report.items, kept)
    raw = metrics.v2t_ranks(sims.T, mask=mask)
    np.testing.assert_array_equal(report["none"].ranks, raw[rows])
    assert report.resampled == "queries"


def test_slices_embeddings_and_whole_matrices_give_one_report(rng, monkeypatch):
    queries, items, bank = (unit(rng.standard_normal((n, 6)) + 0.5) for n in (40, 20, 30))
    names = ("qbnorm", "csls", "gc", "mp_gauss", "mp_empirical", "dsl")
    whole = evaluate_matrices(queries @ items.T, bank @ items.T, normalisers=names)
    monkeypatch.setattr("retrieval.streaming.rows.CHUNK_CELLS", 7 * 20)
    told = []
    report = evaluate_matrices(
        SimTiles(queries, items),
        SimTiles(bank, items),
        normalisers=names,
        progress=lambda done, total: told.append((done, total)),
    )
    assert report.verdict == whole.verdict
    for row, expected in zip(report.rows, whole.rows, strict=True):
        np.testing.assert_array_equal(row.ranks, expected.ranks)
        np.testing.assert_array_equal(row.best, expected.best)
        assert row.hubness == expected.hubness and row.intervals == expected.intervals
    assert told == [(n, 40) for n in (7, 14, 21, 28, 35, 40)]


def test_files_are_evaluated_as_the_arrays_in_them(rng, tmp_path):
    sims, bank_sims = (rng.uniform(-1, 1, (n, 7)).astype(np.float32) for n in (14, 30))
    np.save(tmp_path / "s.npy", sims)
    np.save(tmp_path / "b.npy", bank_sims)
    stored = [open_matrix(tmp_path / name) for name in ("s.npy", "b.npy")]
    expected = evaluate_matrices(sims, bank_sims, normalisers=("qbnorm", "csls"))
    for evidence in (stored[1], Evidence(bank_sims=stored[1])):
        report = evaluate_matrices(stored[0], evidence, normalisers=("qbnorm", "csls"))
        for row, known in zip(report.rows, expected.rows, strict=True):
            np.testing.assert_array_equal(row.ranks, known.ranks)


def test_a_watched_matrix_tells_how_much_of_it_was_read(rng):
    told = []
    watched = WatchedTiles(
        MatrixTiles(rng.uniform(-1, 1, (20, 6)), row_tile=5),
        lambda done, total: told.append((done, total)),
    )
    evaluate_matrices(rng.uniform(-1, 1, (12, 6)), watched, normalisers=("qbnorm",), beta=3)
    assert told[-1] == (120, 120) and len(told) == 4


def test_metrics_alone_are_those_of_the_whole_report(rng):
    sims, bank_sims = rng.standard_normal((12, 4)), rng.standard_normal((9, 4))
    names = ("qbnorm", "csls", "gc", "dsl")
    whole = evaluate_matrices(sims, bank_sims, normalisers=names)
    brief = evaluate_matrices(
        *(sims, bank_sims), normalisers=names, keep_top=0, n_resamples=0, hubness_at=(), check=False
    )
    assert brief.to_dict()["metrics"] == whole.to_dict()["metrics"]
    for short, long in zip(brief.rows, whole.rows, strict=True):
        np.testing.assert_array_equal(short.ranks, long.ranks)
        assert (short.helped, short.hurt) == (long.helped, long.hurt)
        assert not (short.intervals or short.hubness or short.best.size)
    assert (brief.verdict, brief.findings, brief.badge) == ("", (), "bank not looked at")


def test_best_places_hold_their_scores(rng):
    sims, bank_sims = rng.uniform(-1, 1, (6, 9)), rng.uniform(-1, 1, (20, 9))
    report = evaluate_matrices(
        sims, bank_sims, correct=np.arange(6), normalisers=("qbnorm",), keep_top=4
    )
    for row in report.rows:
        scores = sims if row.bias is None else row.bias.apply(sims)
        np.testing.assert_array_equal(row.best, np.argsort(-scores, axis=1)[:, :4])
        expected = np.take_along_axis(scores, row.best, axis=1)
        np.testing.assert_allclose(row.best_scores, expected, rtol=1e-5)


@dataclass(frozen=True)
class _Twice(Normaliser):
    """Needs the whole matrix, and other test queries."""

    name: ClassVar[str] = "twice"
    title: ClassVar[str] = "Twice"
    additive: ClassVar[bool] = False
    transductive: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"test_queries"})

    def scores(self, sims, evidence):
        return sims - sims.mean(axis=0)


def test_whole_matrix_methods_see_the_queries_without_padding(rng, monkeypatch):
    sims = rng.uniform(-1, 1, (12, 4))
    mask = np.arange(12) % 3 > 0
    report = evaluate_matrices(sims, mask=mask, normalisers=(_Twice(), "qbnorm"))
    kept = sims[mask]
    expected = metrics.t2v_ranks(kept - kept.mean(axis=0), np.repeat(np.arange(4), 2))
    np.testing.assert_array_equal(report["twice"].ranks, expected)
    assert report["twice"].badge == "transductive" and report["twice"].transductive
    assert report.verdict.startswith("Nothing was normalised; methods that look at the other")
    (left_out,) = report.left_out
    assert left_out.normaliser == "qbnorm" and "needs bank_sims" in left_out.reason

    monkeypatch.setattr(runnable, "free_memory", lambda: 1000)
    report = evaluate_matrices(sims, mask=mask, normalisers=(_Twice(),))
    assert "works on all queries at once and may take" in report.left_out[0].reason


def test_the_verdict_tells_a_gain_from_noise(rng):
    items = unit(rng.standard_normal((200, 8)) + 0.4)
    queries = unit(items + 0.5 * rng.standard_normal((200, 8)))
    bank = unit(rng.standard_normal((4000, 8)) + 0.4)
    hub = np.where(rng.random(200) < 0.1, 0.5, 0.0)  # a tenth of the items draw every query
    report = evaluate_matrices(
        queries @ items.T + hub, bank @ items.T + hub, normalisers=("inverted_softmax",)
    )
    assert report.rows[1].outcome == "helped" and "helped beyond noise: R@1 +" in report.verdict
    assert report.rows[1].gains["R@1"][0] > 0

    noise = evaluate_matrices(
        rng.standard_normal((200, 200)), rng.standard_normal((400, 200)), normalisers=("qbnorm",)
    )
    assert noise.rows[1].outcome == "no difference"
    assert "made no difference beyond noise" in noise.verdict

    against = evaluate_matrices(
        queries @ items.T, bank @ items.T + hub, normalisers=("inverted_softmax", "csls")
    )
    assert [row.outcome for row in against.rows] == ["raw", "hurt", "ranks rose"]
    assert against.verdict.startswith("None of 2 normalisers helped beyond noise; best R@1: CSLS")
    assert "but R@1 stayed within noise" in against.verdict


def test_a_bank_of_the_test_queries_takes_the_badge_of_a_held_out_one(rng):
    sims, bank = rng.uniform(-1, 1, (40, 20)), rng.uniform(-1, 1, (70, 20))
    report = evaluate_matrices(sims, bank, normalisers=("csls", "dsl"))
    assert [row.badge for row in report.rows[1:]] == ["held-out bank", "transductive"]
    report = evaluate_matrices(sims, np.r_[bank, sims[3:9]], normalisers=("csls",))
    assert report.badge == report["csls"].badge == "bank overlaps the gallery"
    assert any(finding.kind == "queries in bank" for finding in report.findings)


def test_matrices_that_do_not_fit_are_refused(rng):
    sims = rng.uniform(-1, 1, (6, 3))
    with pytest.raises(ValueError, match="sims have 3 columns, bank_sims 4; both need"):
        evaluate_matrices(sims, np.zeros((5, 4)))
    with pytest.raises(ValueError, match="row order needs a multiple of 3"):
        evaluate_matrices(sims[:4])
    with pytest.raises(ValueError, match="fewer columns than rows"):
        evaluate_matrices(sims, direction="v2t")
    with pytest.raises(ValueError, match="mask must have 6 elements"):
        evaluate_matrices(sims, mask=np.ones(5))
    with pytest.raises(SettingsError, match="unknown normaliser 'magic'"):
        evaluate_matrices(sims, normalisers=("magic",))
    sims[4, 1] = np.nan
    with pytest.raises(ValueError, match="got nan at row 4, column 1"):
        evaluate_matrices(sims)


def test_every_normaliser_runs_on_full_evidence_and_says_what_it_lacks(rng):
    sims, bank, other = (rng.uniform(0, 1, (n, 12)) for n in (24, 40, 30))
    across, own = rng.uniform(0, 1, (40, 30)), rng.uniform(0, 1, (12, 12))
    full = Evidence(bank, other, across, own)
    names = [name for name in NORMALISERS if name != "none"]
    report = evaluate_matrices(sims, full, normalisers=names)
    assert [row.normaliser for row in report.rows[1:]] == names and report.left_out == ()
    for row in report.rows[1:]:
        scores = normalise(row.method, sims, full)
        np.testing.assert_array_equal(row.ranks, metrics.t2v_ranks(scores))
        assert (row.badge == "transductive") == row.transductive
        best = np.take_along_axis(scores, row.best, axis=1)
        if row.bias is not None:
            np.testing.assert_allclose(row.best_scores, best, rtol=1e-5, atol=1e-6)
    report = evaluate_matrices(sims, Evidence(bank, other), normalisers=names)
    reasons = {left.normaliser: left.reason for left in report.left_out}
    assert "needs bank_gallery_bank_sims" in reasons["dbsn"]
    assert "needs gallery_sims" in reasons["localised_centring"] and "dualis" not in reasons


def test_rises_of_r1_alone_are_not_called_help():
    paired = PairedTest(40, 30, 200, 0.2, "exact sign test")
    assert outcome_of(paired, 0.2, (0.5, 4.0)) == "R@1 rose"
    assert outcome_of(paired, 0.2, (-4.0, -0.5)) == "R@1 fell"
    assert outcome_of(paired, 0.2, (-1.0, 4.0)) == "no difference"
    assert outcome_of(paired, 0.01, (0.5, 4.0)) == "helped"
    assert outcome_of(paired, 0.01, (-1.0, 4.0)) == "ranks rose"
    assert outcome_of(paired, 0.01, (-4.0, -1.0)) == "mixed"


def test_evidence_a_gallery_lacks_leaves_methods_out(several):
    report = evaluate(several, None, ("qbnorm", "csls"))
    assert [left.normaliser for left in report.left_out] == ["qbnorm", "csls"]
    sims = several.queries.text_emb @ several.video_emb.T
    report = evaluate_matrices(sims, Evidence(), correct=several.queries.correct)
    assert report.n_bank == 0 and report.badge == "no bank"


def test_a_normaliser_that_does_not_suit_the_similarities_is_left_out_alone(rng):
    logits = 25 + 8 * rng.standard_normal((12, 6))
    report = evaluate_matrices(
        logits, 25 + 8 * rng.standard_normal((20, 6)), normalisers=("nicdm", "csls"), n_resamples=9
    )
    assert [row.spec for row in report.rows] == ["none", "csls"]
    (left_out,) = report.left_out
    assert left_out.reason.startswith("NICDM was left out: NICDM turns cosines into distances")
