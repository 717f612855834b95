import numpy as np
import pytest

from retrieval.errors import SettingsError
from retrieval.index import FIRST_BLOCK, GROUP, Index
from retrieval.normalisers import SEARCHABLE, get_normaliser
from retrieval.similarity import SimTiles, top_k, unit_rows


def whole_numbers(rng, n, dim=4):
    """Small whole numbers: every similarity is exact and many are equal."""
    emb = rng.integers(-2, 3, (n, dim)).astype(np.float32)
    emb[0] += np.float32(5)  # a hub
    return emb


def dense_answer(bias, sims, k, strength=1.0):
    strengths = np.broadcast_to(strength, len(sims))
    scores = np.stack([bias.apply(row[None], w)[0] for row, w in zip(sims, strengths, strict=True)])
    ids = top_k(scores, k)
    return ids, np.take_along_axis(scores, ids, axis=1)


# Sizes below, at and beyond the first block, whole groups and a remainder.
SIZES = [1, 2, 37, FIRST_BLOCK, FIRST_BLOCK + GROUP, 9 * FIRST_BLOCK + 5 * GROUP + 3]


@pytest.mark.parametrize("name", SEARCHABLE)
@pytest.mark.parametrize("n_gallery", SIZES)
@pytest.mark.parametrize("k", [1, 10])
def test_both_rankings_are_those_of_the_dense_definition(rng, name, n_gallery, k):
    k = min(k, n_gallery)
    video_emb, query_emb = whole_numbers(rng, n_gallery), whole_numbers(rng, 23)
    bank = SimTiles(whole_numbers(rng, 9), video_emb)
    bias = get_normaliser(name, beta=0.5, k=1).fit(bank)
    sims = query_emb @ video_emb.T
    answer = Index(video_emb, bias).search_both(query_emb, k)
    raw_ids = top_k(sims, k)
    np.testing.assert_array_equal(answer.raw_ids, raw_ids)
    np.testing.assert_array_equal(answer.raw_scores, np.take_along_axis(sims, raw_ids, axis=1))
    ids, scores = dense_answer(bias, sims, k)
    np.testing.assert_array_equal(answer.ids, ids)
    np.testing.assert_array_equal(answer.scores, scores)
    np.testing.assert_array_equal(answer.gate, bias.gate(sims))


@pytest.mark.parametrize("name", SEARCHABLE)
@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0, "each its own"])
def test_search_at_any_strength_is_the_dense_definition(rng, name, strength):
    video_emb = unit_rows(rng.standard_normal((9000, 24)))
    query_emb = unit_rows(rng.standard_normal((40, 24)))
    bias = get_normaliser(name).fit(SimTiles(unit_rows(rng.standard_normal((800, 24))), video_emb))
    if strength == "each its own":
        strength = rng.random(40)
    index = Index(video_emb, bias)
    ids, scores = index.search(query_emb, 10, strength)
    sims = query_emb @ video_emb.T
    expected_ids, expected = dense_answer(bias, sims, 10, strength)
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    assert (ids == expected_ids).mean() > 0.99  # neighbours a rounding apart may change places
    both = index.search_both(query_emb, 10, strength)
    np.testing.assert_array_equal(both.ids, ids)
    assert ids.dtype == np.int64 and scores.dtype == np.float32


def test_some_gates_are_open_and_some_shut(rng):
    video_emb, query_emb = unit_rows(rng.standard_normal((60, 5))), rng.standard_normal((50, 5))
    bias = get_normaliser("qbnorm").fit(
        SimTiles(unit_rows(rng.standard_normal((30, 5))), video_emb)
    )
    answer = Index(video_emb, bias).search_both(unit_rows(query_emb), 5)
    assert 0 < answer.gate.sum() < 50
    np.testing.assert_array_equal(answer.ids[~answer.gate], answer.raw_ids[~answer.gate])
    assert (answer.ids[answer.gate] != answer.raw_ids[answer.gate]).any()


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_the_folded_vectors_are_an_ordinary_faiss_index(rng, strength):
    video_emb = unit_rows(rng.standard_normal((500, 24)))
    query_emb = unit_rows(rng.standard_normal((30, 24)))
    bias = get_normaliser("inverted_softmax", beta=20.0).fit(query_emb @ video_emb.T)
    index = Index(video_emb, bias)
    scores, ids = index.faiss.search(index.fold(query_emb, strength), 10)
    expected_ids, expected = index.search(query_emb, 10, strength)
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    assert (ids == expected_ids).mean() > 0.99
    # The new coordinate spreads like the others: within a factor of two of 1 / sqrt(dim).
    assert 0.5 < index.faiss.reconstruct_n(0, 500)[:, -1].std() * np.sqrt(24) < 2


def test_many_queries_are_answered_like_one(rng):
    video_emb = unit_rows(rng.standard_normal((6000, 8)))
    query_emb = unit_rows(rng.standard_normal((300, 8)))
    bias = get_normaliser("qbnorm").fit(SimTiles(query_emb[:50], video_emb))
    index = Index(video_emb, bias)
    together = index.search_both(query_emb, 7)
    for row in (0, 150, 299):
        alone = index.search_both(query_emb[row : row + 1], 7)
        np.testing.assert_allclose(alone.raw_scores[0], together.raw_scores[row], atol=1e-6)
        np.testing.assert_allclose(alone.scores[0], together.scores[row], atol=1e-6)


def test_equal_items_come_in_the_order_of_the_gallery():
    video_emb = np.ones((FIRST_BLOCK + 2 * GROUP, 3), dtype=np.float32)
    bias = get_normaliser("inverted_softmax").fit(np.zeros((2, len(video_emb))))
    answer = Index(video_emb, bias).search_both(np.ones((2, 3), dtype=np.float32), 6)
    np.testing.assert_array_equal(answer.raw_ids, [range(6)] * 2)
    np.testing.assert_array_equal(answer.ids, [range(6)] * 2)


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
        index.search(np.ones((2, 5)), 3)
    with pytest.raises(ValueError, match="query 1 holds NaN"):
        index.search(np.array([[1.0] * 6, [np.nan] * 6]), 3)
    with pytest.raises(SettingsError, match=r"k must be a whole number in 1\.\.40"):
        index.search_both(video_emb, 41)
    with pytest.raises(SettingsError, match="strength must be between"):
        index.search(video_emb, 3, strength=-0.5)


def test_no_query_gives_an_empty_answer(rng):
    video_emb = unit_rows(rng.standard_normal((40, 6)))
    index = Index(video_emb, get_normaliser("qbnorm").fit(video_emb @ video_emb.T))
    assert index.search_both(np.zeros((0, 6)), 3).ids.shape == (0, 3)
