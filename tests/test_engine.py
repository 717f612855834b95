"""The engine: both rankings against slow definitions, and one truth for all who ask."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest

from retrieval import metrics
from retrieval.answers import MAX_QUERY, Settings, clean_query
from retrieval.engine import Engine, open_engine
from retrieval.engine import biases as biases_module
from retrieval.engine import ranking as ranking_module
from retrieval.engine.kept import Kept
from retrieval.errors import GalleryError, ModelError, QueryError, SettingsError
from retrieval.gallery import EncoderId, Gallery, Item, Queries, open_gallery, write_gallery
from retrieval.normalisers import SEARCHABLE, Evidence, Normaliser, parse_spec, title_of
from retrieval.querybank import Querybank, write_querybank
from tests.fakes import FakeEncoder, make_bank, make_engine, make_gallery, sentences
from tests.reference import (
    activation_set_by_definition,
    inverted_softmax_by_definition,
    qbnorm_by_definition,
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return make_engine(tmp_path_factory.mktemp("engine"), n=30, n_bank=50)


def scores_by_definition(engine, text_emb, normaliser, beta, k, strength, n_bank):
    """Scores of one query straight from the formulas, and whether it was normalised."""
    sims = engine.gallery.video_emb.astype(float) @ text_emb.astype(float)
    bank_sims = engine.bank.text_emb[:n_bank].astype(float) @ engine.gallery.video_emb.T
    top = np.argsort(-bank_sims, axis=1, kind="stable")[:, :k]
    counts = np.bincount(top.ravel(), minlength=len(sims))
    if normaliser == "none":
        return sims, False, counts
    beta = 1 / bank_sims.std() if beta is None else beta
    bias = np.log(np.exp(beta * bank_sims).sum(axis=0)) / beta
    active = normaliser == "inverted_softmax" or counts[sims.argmax()] > 0
    return sims - strength * active * (bias - bias.mean()), active and strength > 0, counts


@pytest.mark.parametrize("right", ["none", "inverted_softmax", "qbnorm"])
@pytest.mark.parametrize(
    ("beta", "k", "strength", "n_bank"),
    [(None, 1, 1.0, 50), (20.0, 3, 1.0, 20), (5.0, 1, 0.4, 8), (50.0, 2, 0.0, 50)],
)
def test_both_rankings_are_those_of_the_definition(engine, right, beta, k, strength, n_bank):
    settings = Settings("none", right, beta, k, n_bank, top=30, strength=strength)
    for row in range(0, 30, 7):
        answer = engine.rank(query_id=f"q{row}", settings=settings)
        emb = engine.gallery.queries.text_emb[row]
        ranks = []
        for side, (name, w) in enumerate((("none", 1.0), (right, strength))):
            args = engine, emb, name, beta, k, w, n_bank
            scores, active, counts = scores_by_definition(*args)
            order = np.argsort(-scores, kind="stable")
            results = answer.rankings[side].results
            assert [result.id for result in results] == [f"v{column}" for column in order]
            assert [result.rank for result in results] == list(range(1, 31))
            np.testing.assert_allclose([r.score for r in results], scores[order], atol=2e-6)
            assert [r.k_occurrence for r in results] == counts[order].tolist()
            mu = k * n_bank / 30
            assert [r.is_hub for r in results] == (counts[order] >= max(2 * mu, 2)).tolist()
            ranks.append({result.id: result.rank for result in results})
        assert answer.active == active
        for side in (0, 1):
            for result in answer.rankings[side].results:
                assert result.other_rank == ranks[1 - side][result.id]
        truth = answer.ground_truth
        assert (truth.left_rank, truth.right_rank) == (ranks[0][f"v{row}"], ranks[1][f"v{row}"])


def test_takes_over_at_marks_what_rose_and_only_on_the_right(engine):
    settings = Settings(right="inverted_softmax", beta=20.0, top=30)
    n_risen = 0
    for row in range(10):
        left, right = engine.rank(query_id=f"q{row}", settings=settings).rankings
        assert all(result.takes_over_at is None for result in left.results)
        for result in right.results:
            assert (result.takes_over_at is not None) == (result.rank < result.other_rank)
            if result.takes_over_at is None:
                continue
            n_risen += 1
            for shift, holds in ((1e-4, True), (-1e-4, False)):
                strength = min(max(result.takes_over_at + shift, 0), 1)
                moved = engine.rank(
                    query_id=f"q{row}", settings=replace(settings, strength=strength)
                )
                rank = next(r.rank for r in moved.rankings[1].results if r.id == result.id)
                assert (rank <= result.rank) == holds
    assert n_risen > 5


def test_leads_are_the_first_places_along_the_slider(engine):
    settings = Settings(right="inverted_softmax", beta=50.0, top=1)
    seen = 0
    for row in range(30):
        leads = engine.rank(query_id=f"q{row}", settings=settings).leads
        seen += len(leads) - 1
        ends = [at for at, _ in leads[1:]] + [1.0]
        for (start, known), end in zip(leads, ends, strict=True):
            middle = replace(settings, strength=(start + end) / 2)
            first = engine.rank(query_id=f"q{row}", settings=middle).rankings[1].results[0]
            assert first.id == known
    assert seen > 3


def test_ground_truth_below_the_top_is_appended_with_its_true_rank(engine):
    for row in range(30):
        answer = engine.rank(query_id=f"q{row}", settings=Settings(top=2))
        for ranking in answer.rankings:
            truths = [result for result in ranking.results if result.is_ground_truth]
            assert [result.id for result in truths] == [f"v{row}"]
            assert len(ranking.results) == (2 if truths[0].rank <= 2 else 3)
    typed = engine.rank("red dog", settings=Settings(top=2))
    assert typed.ground_truth is None and typed.query_id is None
    assert [len(ranking.results) for ranking in typed.rankings] == [2, 2]


def test_a_typed_query_ranks_as_its_embedding_does(engine):
    text = engine.gallery.queries.texts[4]
    stored, typed = engine.rank(query_id="q4"), engine.rank(f"  {text}\n")
    assert typed.query == text
    for one, two in zip(stored.rankings, typed.rankings, strict=True):
        assert [r.id for r in one.results[:10]] == [r.id for r in two.results[:10]]


def test_equal_videos_tie_and_share_their_mean_rank(tmp_path):
    encoder = FakeEncoder()
    emb = encoder.encode_text(["red dog", "blue cat", "red dog", "night", "red dog"])
    emb = np.tile(emb, (40, 1))  # many copies, so that blocked products meet them everywhere
    items = [{"id": f"v{row}"} for row in range(len(emb))]
    queries = [{"id": "q", "text": "red dog", "video_id": "v4"}]
    identity = EncoderId.of(encoder)
    write_gallery(tmp_path / "g", emb, items, identity, queries, emb[:1])
    answer = Engine(open_gallery(tmp_path / "g")).rank(query_id="q", settings=Settings(top=3))
    first = answer.rankings[0].results
    assert [result.id for result in first] == ["v0", "v2", "v4"]
    assert [result.tied_with for result in first] == [119] * 3
    assert answer.ground_truth.left_rank == (1 + 120) / 2


@pytest.mark.parametrize("right", ["none", "inverted_softmax", "qbnorm"])
def test_large_galleries_are_answered_like_small_ones(rng, monkeypatch, right):
    # Whole numbers, so that single and double precision give the same similarities, many tied.
    n_gallery, dim = 3000, 6
    emb = rng.integers(-3, 4, (n_gallery, dim)).astype(np.float32)
    text_emb = rng.integers(-3, 4, (20, dim)).astype(np.float32)
    encoder = EncoderId.external(dim)
    items = tuple(Item(f"v{row}") for row in range(n_gallery))
    correct = rng.integers(0, n_gallery, 20)
    names = tuple(f"q{row}" for row in range(20))
    queries = Queries(names, names, text_emb, correct)
    gallery = Gallery("g", None, emb, items, encoder, queries)
    bank_emb = rng.integers(-3, 4, (40, dim)).astype(np.float32)
    bank = Querybank("b", None, tuple(map(str, range(40))), bank_emb, encoder)
    settings = Settings(right=right, beta=0.5, top=7, strength=0.75)
    answers = []
    for bound in (emb.size - 1, emb.size):
        monkeypatch.setattr("retrieval.streaming.rows.FLOAT64_CELLS", bound)
        engine = Engine(gallery, bank)
        answers.append([engine.rank(query_id=name, settings=settings).to_dict() for name in names])
        assert engine._items.dtype == (np.float32 if bound < emb.size else np.float64)
    assert answers[0] == answers[1]
    sims = text_emb @ emb.T
    for answer, row in zip(answers[0], sims, strict=True):
        order = np.argsort(-row, kind="stable")[:7]
        shown = answer["rankings"][0]["results"][:7]
        assert [result["id"] for result in shown] == [f"v{column}" for column in order]
        assert [r["tied_with"] for r in shown] == [(row == row[c]).sum() - 1 for c in order]


# ---- the sentence


def test_the_reason_says_whether_qbnorm_stepped_in(engine):
    seen = set()
    for row in range(30):
        for n_bank in (3, 50):
            answer = engine.rank(query_id=f"q{row}", settings=Settings(bank_size=n_bank))
            top = answer.rankings[0].results[0]
            seen.add(answer.active)
            if answer.active:
                assert top.k_occurrence > 0
                assert answer.reason == (
                    f"Normalised: the raw top video answers {top.k_occurrence} of {n_bank} bank "
                    "captions, so QB-Norm stepped in."
                )
            else:
                assert answer.reason == (
                    f"Unchanged: the raw top video is not a hub (0 of {n_bank} bank captions), so "
                    "both columns are the same."
                )
                left, right = answer.rankings
                assert [r.score for r in left.results] == [r.score for r in right.results]
                assert len(answer.leads) == 1
    assert seen == {True, False}


def test_other_reasons(engine, tmp_path):
    def reason(**chosen):
        return engine.rank(query_id="q0", settings=Settings(**chosen)).reason

    assert reason(right="inverted_softmax") == "Inverted softmax corrects every query."
    assert "nothing is subtracted" in reason(right="none")
    assert "Strength 0" in reason(strength=0)
    assert "is in the top 3 of" in reason(k=3)
    bare = Engine(make_gallery(tmp_path))
    answer = bare.rank(query_id="q0")
    assert answer.reason.startswith("No querybank") and not answer.active
    assert [ranking.normaliser for ranking in answer.rankings] == ["none", "none"]
    assert answer.n_bank == 0 and answer.warning is None
    assert bare.explain("v0").n_bank == 0


def test_a_small_bank_is_warned_of(engine, tmp_path):
    answer = engine.rank(query_id="q0", settings=Settings(bank_size=40))
    assert answer.warning == "Bank has 40 captions; below about 500 the estimate is noisy"
    big = Engine(engine.gallery, make_bank(tmp_path, 500))
    assert big.rank(query_id="q0").warning is None


# ---- why


@pytest.mark.parametrize("right", ["inverted_softmax", "qbnorm"])
@pytest.mark.parametrize("beta", [None, 20.0])
def test_explanations_add_up(engine, right, beta):
    settings = Settings(right=right, beta=beta)
    answer = engine.rank(query_id="q3", settings=replace(settings, top=30))
    raw = {result.id: result.score for result in answer.rankings[0].results}
    shown = {result.id: result for result in answer.rankings[1].results}
    bank_sims = engine.bank.text_emb.astype(float) @ engine.gallery.video_emb.T
    used = beta or 1 / bank_sims.std()
    mass = np.exp(used * bank_sims)
    shares = mass / mass.sum(axis=0)
    biases = np.array([shown[f"v{column}"].bias for column in range(30)])
    for column in (0, 5, 29):
        why = engine.explain(f"v{column}", settings, query_id="q3")
        assert why.bias == shown[f"v{column}"].bias
        assert why.sim - why.applied == pytest.approx(shown[f"v{column}"].score, abs=1e-6)
        assert why.sim == raw[f"v{column}"]
        assert why.beta == pytest.approx(used)
        assert why.bias_percentile == pytest.approx(100 * np.mean(biases < biases[column]))
        assert why.median_bias == pytest.approx(np.median(biases))
        order = np.argsort(-shares[:, column], kind="stable")[:3]
        assert [near.caption for near in why.nearest] == [engine.bank.captions[r] for r in order]
        np.testing.assert_allclose([n.share for n in why.nearest], shares[order, column], rtol=1e-4)
        assert why.share_shown == pytest.approx(shares[order, column].sum(), rel=1e-4)
        assert f"“{why.nearest[0].caption}”" in why.sentence
    everything = Engine(engine.gallery, engine.bank.head(3)).explain("v0", settings)
    assert everything.share_shown == pytest.approx(1)  # a bank of three: all of them are shown


def test_raw_has_no_penalty_to_explain(engine):
    why = engine.explain("v0", Settings(right="none"), query_id="q0")
    assert why.nearest == () and why.bias == 0 and why.applied == 0
    assert "no penalty" in why.sentence
    left = engine.explain("v0", Settings(left="inverted_softmax", right="none"))
    assert left.normaliser == "inverted_softmax" and len(left.nearest) == 3
    with pytest.raises(QueryError, match="no video 'v99'"):
        engine.explain("v99")


WORDS = [*SEARCHABLE, "nnn:alpha=0.5:neighbours=8", "qbnorm:beta=20", "qbnorm:k=2:theta=2"]


@pytest.mark.parametrize("right", WORDS)
@pytest.mark.parametrize("left", ["csls", "qbnorm:beta=50"])
def test_any_two_normalisers_stand_side_by_side(engine, left, right):
    """Both columns are what the normaliser gives on the plain matrices."""
    settings = Settings(left=left, right=right, beta=7.0, top=30)
    answer = engine.rank(query_id="q3", settings=settings)
    sims = engine.gallery.queries.text_emb[3:4].astype(float) @ engine.gallery.video_emb.T
    bank_sims = engine.bank.text_emb.astype(float) @ engine.gallery.video_emb.T
    gallery_sims = engine.gallery.video_emb.astype(float) @ engine.gallery.video_emb.T
    evidence = Evidence(bank_sims=bank_sims, gallery_sims=gallery_sims)
    for ranking, word in zip(answer.rankings, (left, right), strict=True):
        expected = parse_spec(word, beta=7.0).fit(evidence).apply(sims)[0]
        shown = {int(result.id[1:]): result.score for result in ranking.results}
        found = np.array([shown[column] for column in range(30)])
        np.testing.assert_allclose(found, expected, atol=2e-6)
        assert ranking.title == title_of(word) and ranking.normaliser == word
    if right == "none":
        return
    why = engine.explain("v5", settings, query_id="q3")
    assert why.sim - why.applied == pytest.approx(
        next(result.score for result in answer.rankings[1].results if result.id == "v5"), abs=1e-6
    )
    assert why.made.endswith(".") and len(why.nearest) == 3
    assert {near.share is None for near in why.nearest} == {why.n_counted == 0}


def test_a_bias_is_kept_under_all_its_settings(tmp_path):
    engine = make_engine(tmp_path, keep_bias_s=0.0)
    words = ["nnn", "nnn:alpha=0.5", "nnn:neighbours=8", "qbnorm:beta=20", "qbnorm:theta=2"]
    answers = [
        engine.rank(query_id="q1", settings=Settings(right=word, beta=9.0)) for word in words
    ]
    kept = {path.name.split("-k1-")[0] for path in (tmp_path / "gallery" / "biases").iterdir()}
    assert kept == {
        *("none-betaauto", "nnn-betaauto", "nnn-alpha0.5-betaauto", "nnn-neighbours8-betaauto"),
        *("qbnorm-beta20", "qbnorm-theta2-beta9"),
    }
    again = Engine(open_gallery(tmp_path / "gallery"), engine.bank)
    for word, answer in zip(words, answers, strict=True):
        asked = again.rank(query_id="q1", settings=Settings(right=word, beta=9.0))
        assert asked.to_dict() == answer.to_dict()


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("sinking", "unknown normaliser 'sinking'"),
        ("nnn:beta=3", "no setting of nnn"),
        ("nnn:alpha", "no setting of nnn"),
        ("nnn:neighbours=0", "neighbours must be a whole number, 1 or more"),
        ("qbnorm:beta=nan", "beta must be a positive number"),
        (3, "unknown normaliser '3'"),
        ("qbnorm" + ":theta=1" * 5000, "unknown normaliser"),
    ],
)
def test_words_that_mean_nothing_are_refused(word, words):
    for side in ("left", "right"):
        with pytest.raises(SettingsError, match=words) as caught:
            Settings(**{side: word}).validated()
        assert len(str(caught.value)) < 300


# ---- all stored queries


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_changes_are_what_asking_every_query_gives(engine, strength):
    settings = Settings(strength=strength, bank_size=20)
    changes = engine.changes(settings)
    assert len(changes.rows) == 30
    for row in changes.rows:
        answer = engine.rank(query_id=row.id, settings=settings)
        assert (row.raw_rank, row.norm_rank) == (
            answer.ground_truth.left_rank,
            answer.ground_truth.right_rank,
        )
        assert row.delta == row.raw_rank - row.norm_rank and row.active == answer.active
        top = answer.rankings[0].results[0]
        assert row.top_hub == (top.id if top.is_hub and top.id != row.video_id else None)
        assert row.text == answer.query
    raw, norm = (np.array([getattr(r, f"{n}_rank") for r in changes.rows]) for n in ("raw", "norm"))
    assert changes.helped == (norm < raw).sum() and changes.hurt == (norm > raw).sum()
    assert changes.helped + changes.hurt + changes.unchanged == 30
    assert changes.metrics_raw == metrics.summarise(raw)
    assert changes.metrics_norm == metrics.summarise(norm)
    assert engine.changes(replace(settings, top=50)) is changes  # not computed twice


@pytest.mark.parametrize("over", ["queries", "bank"])
def test_hubness_counts_what_the_rankings_show(engine, over):
    report = engine.hubness(Settings(right="inverted_softmax"), k=4, over=over)
    assert report.n_queries == (30 if over == "queries" else 50)
    assert report.counts_raw.sum() == report.counts_norm.sum() == 4 * report.n_queries
    if over == "queries":
        counts = {"raw": np.zeros(30, int), "norm": np.zeros(30, int)}
        for row in range(30):
            settings = Settings(right="inverted_softmax", top=4)
            rankings = engine.rank(query_id=f"q{row}", settings=settings).rankings
            for ranking, name in zip(rankings, ("raw", "norm"), strict=True):
                for result in ranking.results[:4]:
                    counts[name][int(result.id[1:])] += 1
        np.testing.assert_array_equal(report.counts_raw, counts["raw"])
        np.testing.assert_array_equal(report.counts_norm, counts["norm"])
    assert report.raw.k_skewness > report.norm.k_skewness  # the gallery was made with hubs
    assert report.in_sample == (over == "bank")
    biggest = report.biggest[0]
    assert biggest.count_raw == report.counts_raw.max()
    assert biggest.count_norm == report.counts_norm[int(biggest.id[1:])]
    changes = engine.changes(Settings(right="inverted_softmax"))
    assert report.r1_raw == changes.metrics_raw["R@1"]
    assert report.r1_norm == changes.metrics_norm["R@1"]


def test_curves_are_the_changes_at_each_value(engine):
    curve = engine.bank_curve(Settings(beta=20.0), [50, 0, 10, 999])
    assert curve.values == (0, 10, 50)
    assert curve.r1_norm[0] == curve.r1_raw
    for size, r1 in zip(curve.values[1:], curve.r1_norm[1:], strict=True):
        assert r1 == engine.changes(Settings(beta=20.0, bank_size=size)).metrics_norm["R@1"]
    curve = engine.beta_curve(None, [1, 30])
    for beta, r1 in zip(curve.values, curve.r1_norm, strict=True):
        assert r1 == engine.changes(Settings(beta=beta)).metrics_norm["R@1"]
    with pytest.raises(SettingsError, match="beta"):
        engine.beta_curve(None, [0])


def test_a_large_matrix_of_queries_is_not_held_whole(engine, monkeypatch):
    whole, hub = engine.changes(Settings()), engine.hubness(Settings(), k=3)
    monkeypatch.setattr(ranking_module, "MATRIX_CELLS", 30 * 4 * 7)
    pieces = Engine(engine.gallery, engine.bank)
    assert [rows.stop - rows.start for rows, _ in pieces.stored_sims()] == [7, 7, 7, 7, 2]
    assert pieces.changes(Settings()) == whole
    np.testing.assert_array_equal(pieces.hubness(Settings(), k=3).counts_norm, hub.counts_norm)


def test_single_precision_galleries_answer_alike(engine, monkeypatch):
    monkeypatch.setattr("retrieval.streaming.rows.FLOAT64_CELLS", 0)
    single = Engine(engine.gallery, engine.bank)
    one, two = (e.rank(query_id="q2", settings=Settings(top=30)) for e in (engine, single))
    for a, b in zip(one.rankings[1].results, two.rankings[1].results, strict=True):
        assert a.id == b.id and a.score == pytest.approx(b.score, abs=1e-6)


# ---- what is kept


def test_a_text_is_embedded_once_and_a_bias_fitted_once(tmp_path, monkeypatch):
    engine = make_engine(tmp_path)
    encoder = engine.load_encoder()
    fitted = []
    make = engine.biases._make
    monkeypatch.setattr(engine.biases, "_make", lambda *key: fitted.append(key) or make(*key))
    before = encoder.n_encoded
    threads = [threading.Thread(target=engine.rank, args=("red dog runs",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for strength in (0.2, 0.4):
        engine.rank("red  dog runs ", settings=Settings(strength=strength, top=3))
    assert encoder.n_encoded == before + 1
    assert sorted(normaliser.name for normaliser, _ in fitted) == ["none", "qbnorm"]


def test_the_store_is_bounded_and_forgets_the_least_recently_used():
    kept, made = Kept(2), []

    def get(key):
        return kept.get(key, lambda: made.append(key) or key)

    for key in ("a", "b", "a", "c", "a", "b"):
        assert get(key) == key
    assert made == ["a", "b", "c", "b"]
    with pytest.raises(ZeroDivisionError):
        kept.get("d", lambda: 1 / 0)
    assert kept.get("d", lambda: 4) == 4


def test_a_slow_bias_is_kept_on_disk_and_used_again(tmp_path, monkeypatch, caplog):
    first = make_engine(tmp_path, keep_bias_s=0.0)
    answer = first.rank(query_id="q1", settings=Settings(beta=20.0))
    kept = sorted(path.name for path in (tmp_path / "gallery" / "biases").iterdir())
    digest = first.bank.digest[:8]
    expected = [f"none-betaauto-k1-n50-{digest}.npz", f"qbnorm-beta20-k1-n50-{digest}.npz"]
    assert kept == expected

    def refit(*_args, **_settings):
        raise AssertionError("fitted again")

    monkeypatch.setattr(Normaliser, "fit", refit)
    again = Engine(open_gallery(tmp_path / "gallery"), first.bank)
    assert again.rank(query_id="q1", settings=Settings(beta=20.0)).to_dict() == answer.to_dict()
    monkeypatch.undo()
    # One that was fitted on another bank is refused, with a line, and fitted again.
    path = tmp_path / "gallery" / "biases" / expected[1]
    other = Engine(first.gallery, make_bank(tmp_path / "other", 50, seed=9), keep_bias_s=0.0)
    other.rank(query_id="q1", settings=Settings(beta=20.0))
    (name,) = {p.name for p in path.parent.iterdir() if "qbnorm" in p.name} - {path.name}
    path.write_bytes((path.parent / name).read_bytes())
    again = Engine(first.gallery, first.bank)
    assert again.rank(query_id="q1", settings=Settings(beta=20.0)).to_dict() == answer.to_dict()
    assert "was fitted on another bank" in caplog.text


def test_a_read_only_gallery_is_served_all_the_same(tmp_path, monkeypatch):
    engine = make_engine(tmp_path, keep_bias_s=0.0)

    def refused(*_args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(biases_module, "save_bias", refused)
    assert engine.rank(query_id="q1").n_bank == 50
    assert not (tmp_path / "gallery" / "biases").exists()


def test_quick_biases_are_not_written(tmp_path):
    make_engine(tmp_path).rank(query_id="q1")
    assert not (tmp_path / "gallery" / "biases").exists()


def test_32_visitors_get_the_answers_that_one_gets(engine):
    texts = sentences(8, seed=5)
    chosen = [Settings(beta=beta, top=5) for beta in (None, 3.0, 20.0, 60.0)]
    alone = Engine(engine.gallery, engine.bank, FakeEncoder())
    expected = {(t, s): alone.rank(t, settings=s).to_dict() for t in texts for s in chosen}
    shared, wrong = Engine(engine.gallery, engine.bank, FakeEncoder()), []

    def visit(seed):
        order = np.random.default_rng(seed).permutation(len(expected))
        for text, settings in [list(expected)[place] for place in order]:
            try:
                if shared.rank(text, settings=settings).to_dict() != expected[text, settings]:
                    wrong.append((text, settings))
            except Exception as error:  # a thread's error would be lost
                wrong.append(error)

    threads = [threading.Thread(target=visit, args=(seed,)) for seed in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# ---- JSON


def test_the_answer_is_plain_json_with_the_promised_fields(engine):
    answer = engine.rank(query_id="q0", settings=Settings(top=3))
    whole = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    assert whole == answer.to_dict()
    assert set(whole) == {
        *("query", "query_id", "settings", "active", "reason", "rankings", "ground_truth"),
        *(
            "leads",
            "unknown_words",
            "cut_at",
            "warning",
            "n_gallery",
            "n_bank",
            "beta_used",
            "versions",
        ),
    }
    assert whole["query_id"] == "q0" and whole["settings"]["right"] == "qbnorm"
    assert [ranking["normaliser"] for ranking in whole["rankings"]] == ["none", "qbnorm"]
    assert set(whole["rankings"][0]["results"][0]) == {
        *("rank", "id", "score", "other_rank", "bias", "k_occurrence", "is_hub"),
        *("is_ground_truth", "caption", "tied_with", "takes_over_at", "extras"),
    }
    assert whole["leads"][0] == {"strength": 0.0, "id": whole["rankings"][0]["results"][0]["id"]}
    assert engine.rank(query_id="q0", settings=Settings(top=3)).to_dict() == whole


def test_unknown_words_are_named_for_typed_queries(engine):
    assert engine.rank("red zeppelin").unknown_words == ("zeppelin",)
    assert engine.rank(query_id="q0").unknown_words == ()


def test_the_word_at_which_the_encoder_cuts_is_named(engine):
    assert engine.rank("dog " * 20).cut_at is None
    assert engine.rank("dog " * 20 + "cat bird").cut_at == "cat"
    assert engine.rank(query_id="q0").cut_at is None


# ---- bad input


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (None, "must be text"),
        (7, "must be text"),
        ("", "is empty"),
        (" \n\u202e\x07 ", "is empty"),
        ("a\0b", "null byte"),
    ],
)
def test_bad_queries_are_refused(engine, query, sentence):
    with pytest.raises(QueryError, match=sentence):
        engine.rank(query)


@pytest.mark.parametrize(
    ("query", "cut"),
    [
        ("x" * 301, "word 1 \\('xxx"),
        ("dog " * 74 + "cats flies", "word 76 \\('flies'"),
        ("dog " * 74 + "catsfly", "word 75 \\('catsfly'"),
        ("y" * 300 + " dog", "word 2 \\('dog'"),
        ("y" * 299 + " dog", "word 2 \\('dog'"),
        ("z" * 3_000_000, "over 6,000 characters"),
    ],
)
def test_a_long_query_says_at_which_word_it_would_be_cut(query, cut):
    with pytest.raises(QueryError, match=cut):
        clean_query(query)
    assert len(clean_query("x" * MAX_QUERY)) == 300


@pytest.mark.parametrize(
    "query", ["犬が走る", "🐕‍🦺", "<img onerror=alert(1)>", "' OR 1=1", "ÿ" * 300]
)
def test_odd_but_valid_queries_are_text_like_any_other(engine, query):
    assert engine.rank(query).query == query


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"beta": 0}, "beta must be above 0"),
        ({"beta": -1.0}, "beta must be above 0"),
        ({"beta": float("nan")}, "beta must be a finite number"),
        ({"beta": float("inf")}, "beta must be a finite number"),
        ({"beta": 1e7}, "at most 1,000,000"),
        ({"beta": "20"}, "beta must be a number"),
        ({"beta": True}, "beta must be a number"),
        ({"k": 0}, "k must be a whole number, 1..30 \\(the gallery size\\), got 0"),
        ({"k": 31}, "k must be a whole number, 1..30 \\(the gallery size\\), got 31"),
        ({"k": 1.5}, "k must be a whole number"),
        ({"bank_size": 0}, "bank size must be a whole number, 1..50"),
        ({"bank_size": 51}, "1..50 \\(the bank's captions\\), got 51"),
        ({"top": 0}, "top must be a whole number, 1..100, got 0"),
        ({"top": 101}, "top must be a whole number, 1..100, got 101"),
        ({"strength": 1.1}, "strength must be between 0"),
        ({"strength": float("nan")}, "strength must be a finite"),
        ({"left": "csls?"}, "unknown normaliser 'csls\\?'; available: none"),
        ({"right": None}, "unknown normaliser"),
    ],
)
def test_bad_settings_are_refused(engine, chosen, sentence):
    with pytest.raises(SettingsError, match=sentence):
        engine.rank(query_id="q0", settings=Settings(**chosen))


def test_extreme_settings_that_are_valid_give_finite_scores(engine):
    for beta in (1e-6, 1e6):
        answer = engine.rank(query_id="q0", settings=Settings(beta=beta, k=30, top=100.0))
        assert len(answer.rankings[1].results) == 30
        assert all(np.isfinite(result.score) for result in answer.rankings[1].results)
        assert engine.explain("v1", Settings(beta=beta)).share_shown <= 1 + 1e-9


def test_one_video_and_one_bank_caption_are_enough(tmp_path):
    engine = make_engine(tmp_path, n=1, n_bank=1)
    answer = engine.rank("red dog")
    assert [result.rank for result in answer.rankings[1].results] == [1]
    assert engine.changes().unchanged == 1
    assert engine.hubness(k=1).counts_norm.tolist() == [1]


def test_a_bank_of_another_encoder_or_of_videos_is_refused(tmp_path):
    gallery = make_gallery(tmp_path)
    with pytest.raises(GalleryError, match="rebuild the bank"):
        Engine(gallery, make_bank(tmp_path, encoder=FakeEncoder("other")))
    videos = Querybank("b", None, ("v",), gallery.video_emb[:1], gallery.encoder, side="video")
    with pytest.raises(GalleryError, match="is of videos"):
        Engine(gallery, videos)


def test_an_encoder_that_did_not_make_the_gallery_is_refused(tmp_path):
    engine = Engine(make_gallery(tmp_path), None, lambda: FakeEncoder("other"))
    with pytest.raises(ModelError, match="the model other .* made the gallery, fake"):
        engine.rank("red dog")
    assert engine.rank(query_id="q0").query_id == "q0"  # stored queries need no model


def test_without_an_encoder_a_stored_query_is_asked_by_row_or_caption(engine):
    external = Engine(engine.gallery, engine.bank)
    text = engine.gallery.queries.texts[12]
    for query in ("#12", "12", " # 12", text, text.upper()):
        answer = external.rank(query)
        assert answer.query_id == "q12" and answer.query == text
        assert answer.ground_truth.id == "v12"
    for query in ("#30", "a dog that nobody stored"):
        with pytest.raises(QueryError, match="#0 to #29"):
            external.rank(query)
    with pytest.raises(QueryError, match="no stored query 'q99'"):
        engine.rank(query_id="q99")
    with pytest.raises(ModelError, match="has no text encoder"):
        external.load_encoder()


def test_a_gallery_without_queries_says_so(engine):
    bare = Engine(replace(engine.gallery, queries=None), engine.bank, FakeEncoder())
    assert bare.rank("red dog").ground_truth is None
    assert bare.hubness(k=2, over="bank").r1_raw is None
    for ask in (bare.changes, bare.hubness, lambda: bare.bank_curve(None, [5])):
        with pytest.raises(QueryError, match="has no stored queries"):
            ask()
    with pytest.raises(QueryError, match="neither a text encoder nor stored queries"):
        Engine(bare.gallery).rank("red dog")
    with pytest.raises(SettingsError, match="counted over"):
        bare.hubness(over="everything")


def test_duplicate_videos_tie_at_every_size():
    """Blocked products must not tear equal videos apart."""
    rng = np.random.default_rng(0)
    emb = rng.standard_normal((1003, 64))
    emb[[3, 500, 1002]] = emb[0]
    emb = (emb / np.linalg.norm(emb, axis=1, keepdims=True)).astype(np.float32)
    text_emb = emb[:1] + 0.1 * emb[7:8]
    text_emb = (text_emb / np.linalg.norm(text_emb)).astype(np.float32)
    gallery = Gallery(
        "g",
        None,
        emb,
        tuple(Item(f"v{row}") for row in range(len(emb))),
        EncoderId.external(64),
        Queries(("q",), ("text",), text_emb, np.array([500])),
    )
    answer = Engine(gallery).rank("text", settings=Settings(top=4))
    assert [result.id for result in answer.rankings[0].results] == ["v0", "v3", "v500", "v1002"]
    assert answer.ground_truth.left_rank == 2.5


# ---- opening


def test_open_engine_finds_the_bank_beside_the_gallery(tmp_path):
    make_gallery(tmp_path)
    assert open_engine(tmp_path / "gallery").bank is None
    bank = make_bank(tmp_path)
    opened = open_engine(tmp_path / "gallery")
    assert opened.bank.digest == bank.digest and opened.has_encoder
    write_querybank(tmp_path / "b", bank.text_emb[:9], None, bank.encoder)
    assert len(open_engine(tmp_path / "gallery", tmp_path / "b").bank) == 9


# ---- items that one visitor brings


def test_joined_items_are_ranked_and_explained_as_if_they_had_been_there(tmp_path):
    engine = make_engine(tmp_path)
    emb = np.random.default_rng(3).standard_normal((2, engine.gallery.encoder.dim))
    items = [Item("mine"), Item("mine too")]
    joined = engine.with_items(items, emb)
    whole = Engine(joined.gallery, engine.bank, engine.load_encoder())
    for word in SEARCHABLE:
        beta = engine.resolved_beta(Settings(right=word))
        settings = Settings(right=word, top=5)
        fixed = replace(settings, beta=beta)
        ours, theirs = joined.fit(word, settings), whole.fit(word, fixed)
        np.testing.assert_allclose(ours.bias.values, theirs.bias.values, atol=2e-6, err_msg=word)
        np.testing.assert_array_equal(ours.bias.k_occurrence, theirs.bias.k_occurrence)
        np.testing.assert_array_equal(ours.is_hub, theirs.is_hub)
        left, right = joined.rank("red dog runs", settings=settings).rankings
        for ranking in (left, right):
            assert {"mine", "mine too"} <= {card.id for card in ranking.results}
            places = [card.rank for card in ranking.results]
            assert places == sorted(places)
        answer = joined.explain("mine", settings, query="red dog runs")
        assert answer.sim == pytest.approx(whole.explain("mine", fixed, query="red dog runs").sim)


def test_joining_leaves_the_engine_of_all_as_it_was(tmp_path):
    engine = make_engine(tmp_path)
    before = engine.rank("red dog runs").to_dict()
    n_encoded = engine.load_encoder().n_encoded
    joined = engine.with_items([Item("mine")], np.ones((1, engine.gallery.encoder.dim)))
    assert joined.rank("red dog runs").n_gallery == len(engine.gallery) + 1
    assert engine.load_encoder().n_encoded == n_encoded
    assert engine.rank("red dog runs").to_dict() == before
    assert joined.gallery.digest != engine.gallery.digest and joined.gallery.path is None
    with pytest.raises(GalleryError, match="has a video 'mine'; give it another name"):
        joined.with_items([Item("mine")], np.ones((1, engine.gallery.encoder.dim)))


@pytest.mark.parametrize("normaliser", ["inverted_softmax", "qbnorm"])
def test_captions_of_a_video_are_ranked_with_the_gallery_as_their_bank(tmp_path, normaliser):
    engine = make_engine(tmp_path)
    emb = np.random.default_rng(3).standard_normal((1, engine.gallery.encoder.dim))
    joined = engine.with_items([Item("mine")], emb)
    bank_sims = (engine.gallery.video_emb @ engine.bank.text_emb.T).astype(float)
    n_applied = 0
    for video_id in ("mine", *(item.id for item in engine.gallery.items)):
        video = joined.gallery.video_emb[joined.gallery.rows[video_id]]
        sims = (video @ engine.bank.text_emb.T).astype(float)[None]
        if normaliser == "inverted_softmax":
            expected, active = inverted_softmax_by_definition(bank_sims, sims, 20.0), True
        else:
            expected = qbnorm_by_definition(bank_sims, sims, 20.0, 1)
            active = int(sims[0].argmax()) in activation_set_by_definition(bank_sims, 1)
        left, right = joined.captions(video_id, Settings(right=normaliser, beta=20.0), n=5)
        assert (left.normaliser, left.applied, right.applied) == ("none", False, active)
        n_applied += active
        for found, scores in ((left, sims[0]), (right, expected[0])):
            best = np.argsort(-scores, kind="stable")[:5]
            assert [each.caption for each in found.captions] == [
                engine.bank.captions[row] for row in best
            ]
        assert [each.score for each in left.captions] == pytest.approx(
            np.sort(sims[0])[::-1][:5].tolist(), abs=1e-6
        )
    assert n_applied > 0


def test_captions_of_a_video_at_strength_0_are_those_of_its_similarities(tmp_path):
    engine = make_engine(tmp_path)
    left, right = engine.captions("v1", Settings(strength=0), n=1000)
    assert left.captions == right.captions and not right.applied
    assert len(left.captions) == len(engine.bank)


def test_items_join_a_gallery_without_a_bank(tmp_path):
    engine = Engine(make_engine(tmp_path).gallery, None, FakeEncoder())
    joined = engine.with_items([Item("mine")], np.ones((1, engine.gallery.encoder.dim)))
    assert joined.captions("mine") is None
    assert "mine" in {card.id for card in joined.rank("red dog runs").rankings[1].results}
