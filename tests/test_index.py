import faiss
import numpy as np
import pytest

from retrieval.errors import SettingsError
from retrieval.index import Index
from retrieval.normalisers import SEARCHABLE, Evidence, get_normaliser
from retrieval.similarity import SimTiles, top_k, unit_rows


def whole_numbers(rng, n, dim=4):
    """Small whole numbers: every similarity is exact and many are equal."""
    emb = rng.integers(-2, 3, (n, dim)).astype(np.float32)
    emb[0] += np.float32(5)  # a hub
    return emb


def best_by_definition(scores, k):
    return -np.sort(-scores, axis=1)[:, :k]


def scores_by_definition(bias, sims, strength=1.0):
    strengths = np.broadcast_to(strength, len(sims))
    return np.stack([bias.apply(row[None], w)[0] for row, w in zip(sims, strengths, strict=True)])


@pytest.mark.parametrize("name", ["none", "inverted_softmax", "qbnorm"])
@pytest.mark.parametrize("n_gallery", [1, 2, 37, 5000])
@pytest.mark.parametrize("k", [1, 10])
def test_both_rankings_are_those_of_the_dense_definition(rng, name, n_gallery, k):
    k = min(k, n_gallery)
    video_emb, query_emb = whole_numbers(rng, n_gallery), whole_numbers(rng, 23)
    bias = get_normaliser(name, beta=0.5, k=1).fit(SimTiles(whole_numbers(rng, 9), video_emb))
    sims = query_emb @ video_emb.T
    answer = Index(video_emb, bias).search_both(query_emb, k)
    # Which of equal items comes first is faiss's own choice, and so is the item that the gate
    # looks at; the scores are the definition's, given that gate.
    np.testing.assert_array_equal(answer.raw_scores, best_by_definition(sims, k))
    np.testing.assert_array_equal(
        answer.raw_scores, np.take_along_axis(sims, answer.raw_ids, axis=1)
    )
    np.testing.assert_array_equal(answer.gate, bias.gate_of(answer.raw_ids[:, 0]))
    scores = sims - answer.gate[:, None] * bias.centred
    np.testing.assert_allclose(answer.scores, best_by_definition(scores, k), rtol=0, atol=4e-6)
    np.testing.assert_allclose(
        answer.scores, np.take_along_axis(scores, answer.ids, axis=1), rtol=0, atol=4e-6
    )


@pytest.mark.parametrize("name", ["none", "inverted_softmax", "qbnorm"])
@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0, "each its own"])
def test_search_at_any_strength_is_the_dense_definition(rng, name, strength):
    video_emb = unit_rows(rng.standard_normal((9000, 24)))
    query_emb = unit_rows(rng.standard_normal((40, 24)))
    bias = get_normaliser(name).fit(SimTiles(unit_rows(rng.standard_normal((800, 24))), video_emb))
    if strength == "each its own":
        strength = rng.random(40)
    answer = Index(video_emb, bias).search_both(query_emb, 10, strength)
    dense = scores_by_definition(bias, query_emb @ video_emb.T, strength)
    expected = top_k(dense, 10)
    best = np.take_along_axis(dense, expected, axis=1)
    np.testing.assert_allclose(answer.scores, best, atol=1e-6)
    assert (answer.ids == expected).mean() > 0.99  # neighbours a rounding apart may change places
    assert answer.ids.dtype == np.int64 and answer.scores.dtype == np.float32


def test_the_largest_error_is_a_rounding_and_sees_a_wrong_index(rng):
    video_emb = unit_rows(rng.standard_normal((300, 24)))
    query_emb = unit_rows(rng.standard_normal((20, 24)))
    index = Index(video_emb, get_normaliser("inverted_softmax").fit(query_emb @ video_emb.T))
    assert 0 <= index.largest_error(query_emb, 10) < 1e-6
    index._vectors.flags.writeable = True
    index._vectors[:, 24] = 0  # the bias is lost
    assert index.largest_error(query_emb, 10) > 1e-3


def test_some_gates_are_open_and_some_shut(rng):
    video_emb, query_emb = unit_rows(rng.standard_normal((60, 5))), rng.standard_normal((50, 5))
    bias = get_normaliser("qbnorm").fit(
        SimTiles(unit_rows(rng.standard_normal((30, 5))), video_emb)
    )
    answer = Index(video_emb, bias).search_both(unit_rows(query_emb), 5)
    assert 0 < answer.gate.sum() < 50
    np.testing.assert_array_equal(answer.ids[~answer.gate], answer.raw_ids[~answer.gate])
    assert (answer.ids[answer.gate] != answer.raw_ids[answer.gate]).any()


@pytest.mark.parametrize("name", SEARCHABLE)
def test_every_searchable_normaliser_folds(rng, name):
    video_emb, bank_emb = (unit_rows(rng.standard_normal((n, 8))) for n in (50, 200))
    evidence = Evidence(bank_emb @ video_emb.T, gallery_sims=video_emb @ video_emb.T)
    bias = get_normaliser(name).fit(evidence)
    answer = Index(video_emb, bias).search_both(bank_emb, 1)
    dense = scores_by_definition(bias, bank_emb @ video_emb.T)
    np.testing.assert_allclose(answer.scores[:, 0], dense.max(axis=1), atol=1e-5)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_the_saved_file_is_an_ordinary_faiss_index(rng, strength, tmp_path):
    video_emb = unit_rows(rng.standard_normal((500, 24)))
    query_emb = unit_rows(rng.standard_normal((30, 24)))
    bias = get_normaliser("inverted_softmax", beta=20.0).fit(query_emb @ video_emb.T)
    index = Index(video_emb, bias)
    index.save(tmp_path / "out.index")
    assert [path.name for path in tmp_path.iterdir()] == ["out.index"]
    read = faiss.read_index(str(tmp_path / "out.index"))
    scores, ids = read.search(index.folding.queries(query_emb, strength), 10)
    expected = index.search_both(query_emb, 10, strength)
    np.testing.assert_array_equal(scores, expected.scores)
    np.testing.assert_array_equal(ids, expected.ids)


def test_the_gallery_is_kept_once_and_not_changed(rng):
    video_emb = unit_rows(rng.standard_normal((40, 6)))
    before = video_emb.copy()
    index = Index(video_emb, get_normaliser("qbnorm").fit(video_emb @ video_emb.T))
    np.testing.assert_array_equal(index.video_emb, before)
    assert not index.video_emb.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        index.video_emb[0, 0] = 1
    np.testing.assert_array_equal(video_emb, before)


def test_bad_arguments_are_named(rng):
    video_emb = unit_rows(rng.standard_normal((40, 6)))
    bias = get_normaliser("qbnorm").fit(video_emb @ video_emb.T)
    index = Index(video_emb, bias)
    with pytest.raises(ValueError, match="bias has 40 items"):
        Index(video_emb[:39], bias)
    with pytest.raises(ValueError, match=r"queries have shape \(2, 5\), expected \[n_queries, 6\]"):
        index.search_both(np.ones((2, 5)), 3)
    with pytest.raises(ValueError, match="query 1 holds NaN"):
        index.search_both(np.array([[1.0] * 6, [np.nan] * 6]), 3)
    with pytest.raises(SettingsError, match=r"k must be a whole number in 1\.\.40"):
        index.search_both(video_emb, 41)
    with pytest.raises(SettingsError, match="strength must be between"):
        index.search_both(video_emb, 3, strength=-0.5)


def test_no_query_gives_an_empty_answer(rng):
    video_emb = unit_rows(rng.standard_normal((40, 6)))
    index = Index(video_emb, get_normaliser("qbnorm").fit(video_emb @ video_emb.T))
    assert index.search_both(np.zeros((0, 6)), 3).ids.shape == (0, 3)
