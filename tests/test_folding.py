"""The folded coordinates against the dense definition, in float64."""

import numpy as np
import pytest

from retrieval.errors import SettingsError
from retrieval.folding import Folding
from retrieval.normalisers import Bias, get_normaliser
from retrieval.similarity import unit_rows


@pytest.fixture
def fitted(rng):
    video_emb = unit_rows(rng.standard_normal((70, 24)))
    bank_emb = unit_rows(rng.standard_normal((90, 24)))
    bias = get_normaliser("inverted_softmax", beta=20.0).fit(bank_emb @ video_emb.T)
    return video_emb, bias


def test_a_case_worked_by_hand():
    values = np.array([0.5, -0.5], dtype=np.float32)  # std 0.5, times sqrt(4) is 1: c = 1
    bias = Bias(values, None, np.zeros(2, np.int64), "csls", None, 1, 3)
    folding = Folding(bias, 4)
    assert folding.c == 1.0
    assert folding.length == np.sqrt(1.25)
    video_emb = np.eye(2, 4, dtype=np.float32)
    np.testing.assert_array_equal(folding.items(video_emb), [[1, 0, 0, 0, -0.5], [0, 1, 0, 0, 0.5]])
    last = folding.items(video_emb, one_length=True)[:, -1]  # both are as long as any
    np.testing.assert_allclose(last, 0, atol=1e-7)
    query_emb = np.array([[0, 0, 1, 0]], dtype=np.float32)
    np.testing.assert_array_equal(folding.queries(query_emb, 0.25), [[0, 0, 1, 0, 0.25]])
    np.testing.assert_array_equal(folding.queries(query_emb, one_length=True), [[0, 0, 1, 0, 1, 0]])


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("one_length", [False, True])
def test_the_inner_product_is_the_score(rng, fitted, strength, one_length):
    video_emb, bias = fitted
    query_emb = unit_rows(rng.standard_normal((11, 24)))
    folding = Folding(bias, 24)
    items = folding.items(video_emb, one_length).astype(np.float64)
    queries = folding.queries(query_emb, strength, one_length).astype(np.float64)
    dense = query_emb.astype(np.float64) @ video_emb.T - strength * bias.centred
    np.testing.assert_allclose(queries @ items.T, dense, atol=1e-7)


def test_items_of_one_length_keep_the_order_under_cosine_and_distance(rng, fitted):
    video_emb, bias = fitted
    folding = Folding(bias, 24)
    items = folding.items(video_emb, one_length=True).astype(np.float64)
    np.testing.assert_allclose(np.linalg.norm(items, axis=1), folding.length, atol=1e-6)
    query = folding.queries(unit_rows(rng.standard_normal((1, 24))), 1.0, one_length=True)[0]
    scores = items @ query
    length = np.linalg.norm(query)
    cosines = scores / (np.linalg.norm(items, axis=1) * length)
    np.testing.assert_allclose(cosines * folding.length * length, scores, atol=1e-6)
    squares = np.square(items - query).sum(axis=1)
    back = (folding.length**2 + length**2 - squares) / 2
    np.testing.assert_allclose(back, scores, atol=1e-6)


def test_a_cosine_index_without_the_second_coordinate_takes_the_bias_away_again(rng, fitted):
    video_emb, bias = fitted
    items = Folding(bias, 24).items(video_emb)
    assert np.ptp(np.linalg.norm(items, axis=1)) > 1e-3


def test_the_new_coordinate_spreads_like_the_others(fitted):
    video_emb, bias = fitted
    folding = Folding(bias, 24)
    assert 0.5 < folding.items(video_emb)[:, -1].std() * np.sqrt(24) < 2
    assert np.log2(folding.c) == round(np.log2(folding.c))


def test_a_bias_without_differences_folds_to_nothing():
    bias = Bias(np.full(3, 0.7, np.float32), None, np.zeros(3, np.int64), "csls", None, 1, 3)
    folding = Folding(bias, 2)
    assert (folding.c, folding.length) == (1.0, 1.0)
    np.testing.assert_array_equal(folding.items(np.eye(3, 2, dtype=np.float32))[:, -1], 0)


def test_bad_arguments_are_named(fitted):
    video_emb, bias = fitted
    with pytest.raises(ValueError, match=r"bias has 70 items of dim 24, .* shape \(69, 24\)"):
        Folding(bias, 24).items(video_emb[:69])
    with pytest.raises(SettingsError, match="strength must be between"):
        Folding(bias, 24).queries(video_emb, 1.5)
