import numpy as np
import pytest

from retrieval.metrics import correct_by_row_order, summarise, t2v_ranks, v2t_ranks
from tests.reference import (
    summary_by_definition,
    t2v_rank_by_definition,
    v2t_rank_by_definition,
)


def sims_with_ties(rng, n_queries, n_gallery, dtype=np.float32):
    return (rng.integers(-4, 5, (n_queries, n_gallery)) / 4).astype(dtype)


def test_a_case_worked_by_hand():
    sims = np.array([[0.5, 0.6, 0.1, 0.2], [0.3, 0.55, 0.02, 0.1], [0.1, 0.58, 0.56, 0]])
    np.testing.assert_array_equal(t2v_ranks(sims, np.array([0, 1, 3])), [2, 1, 4])
    np.testing.assert_array_equal(v2t_ranks(sims, np.array([0, 1, 3])), [1, 3, np.inf, 3])


def test_the_worked_example_of_qb_norm_has_its_published_metrics():
    sims = np.array(
        [[0.5, 0.6, 0.1, 0.2], [0.3, 0.55, 0.02, 0.1], [0.1, 0.58, 0.56, 0], [0.05, 0.1, 0.15, 0.4]]
    )
    summary = summarise(t2v_ranks(sims))
    assert {name: round(value, 1) for name, value in summary.items()} == {
        "R@1": 50.0,
        "R@5": 100.0,
        "R@10": 100.0,
        "R@50": 100.0,
        "MdR": 1.5,
        "MnR": 1.5,
        "Geom": 79.4,
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("captions", [1, 3])
def test_t2v_ranks_are_their_definition(rng, captions, dtype):
    sims = sims_with_ties(rng, 7 * captions, 7, dtype)
    before = sims.copy()
    correct = correct_by_row_order(7 * captions, 7)
    expected = [t2v_rank_by_definition(row, c) for row, c in zip(sims, correct, strict=True)]
    np.testing.assert_array_equal(t2v_ranks(sims), expected)
    np.testing.assert_array_equal(sims, before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("captions", [1, 3])
def test_v2t_ranks_are_their_definition(rng, captions, dtype):
    sims = sims_with_ties(rng, 7 * captions, 7, dtype)
    mask = rng.random((7, captions)) < 0.7
    mask[4] = False  # a video whose captions are all padding
    flat = mask.ravel()
    expected = [
        v2t_rank_by_definition(sims[:, j], range(j * captions, (j + 1) * captions), flat)
        for j in range(7)
    ]
    np.testing.assert_array_equal(v2t_ranks(sims, mask=mask), expected)
    assert np.isinf(expected[4])


def test_masked_rows_get_no_rank_and_the_others_keep_theirs(rng):
    sims = sims_with_ties(rng, 8, 4)
    mask = np.array([[1, 0], [1, 1], [0, 1], [1, 1]])
    kept = mask.ravel().astype(bool)
    np.testing.assert_array_equal(t2v_ranks(sims, mask=mask), t2v_ranks(sims)[kept])


def test_ranks_follow_the_given_items_whatever_the_order_of_rows(rng):
    sims = sims_with_ties(rng, 6, 5)
    correct = rng.integers(0, 5, 6)
    order = rng.permutation(6)
    np.testing.assert_array_equal(
        t2v_ranks(sims, correct)[order], t2v_ranks(sims[order], correct[order])
    )
    np.testing.assert_array_equal(v2t_ranks(sims, correct), v2t_ranks(sims[order], correct[order]))


def test_constant_sims_score_like_chance():
    np.testing.assert_array_equal(t2v_ranks(np.full((12, 6), 0.3)), np.full(12, 3.5))
    np.testing.assert_array_equal(v2t_ranks(np.zeros((12, 6))), np.full(6, 6.5))
    assert summarise(t2v_ranks(np.zeros((100, 100))))["R@10"] == 0
    assert summarise(t2v_ranks(np.zeros((100, 100))))["MnR"] == 50.5


def test_a_tie_on_the_first_place_is_no_hit_but_one_on_the_cut_is():
    assert summarise(np.array([1.5]))["R@1"] == 0
    summary = summarise(np.array([5.5, 10.5, 51.0]))
    assert summary["R@5"] == pytest.approx(100 / 3)
    assert summary["R@10"] == pytest.approx(200 / 3)
    assert summary["R@50"] == pytest.approx(200 / 3)


@pytest.mark.parametrize("n", [1, 2, 9, 60])
def test_the_summary_is_the_official_aggregation(rng, n):
    ranks = rng.integers(2, 140, n) / 2
    expected = summary_by_definition(ranks)
    assert summarise(ranks) == pytest.approx(expected, rel=1e-12)


def test_a_video_without_a_caption_counts_as_a_miss():
    sims = np.array([[0.9, 0.1, 0.5], [0.2, 0.8, 0.4]])
    ranks = v2t_ranks(sims, np.array([0, 1]))
    np.testing.assert_array_equal(ranks, [1, 1, np.inf])
    summary = summarise(ranks)
    assert summary["R@50"] == pytest.approx(200 / 3)
    assert summary["MdR"] == 1 and np.isinf(summary["MnR"])


def test_one_query_and_one_item_rank_first():
    assert t2v_ranks(np.array([[-0.5]])) == [1]
    assert v2t_ranks(np.array([[-0.5]])) == [1]


@pytest.mark.parametrize("shape", [(3, 4), (5, 4)])
def test_row_order_needs_a_multiple_of_the_gallery(shape):
    with pytest.raises(ValueError, match=f"multiple of 4 queries .*got {shape[0]}"):
        t2v_ranks(np.zeros(shape))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("ranks", [t2v_ranks, v2t_ranks])
def test_a_similarity_that_is_no_number_is_refused_by_its_place(ranks, value):
    sims = np.zeros((4, 2))
    sims[2, 1] = value
    with pytest.raises(ValueError, match="at row 2, column 1"):
        ranks(sims)


def test_bad_arguments_are_named():
    sims = np.zeros((4, 2))
    with pytest.raises(ValueError, match="mask must have 4 elements"):
        t2v_ranks(sims, mask=np.ones(3))
    with pytest.raises(ValueError, match="mask leaves no query"):
        t2v_ranks(sims, mask=np.zeros(4))
    with pytest.raises(ValueError, match=r"must be in 0\.\.1, got 2 at row 3"):
        t2v_ranks(sims, np.array([0, 0, 1, 2]))
    with pytest.raises(ValueError, match="one column number for each of 4 queries"):
        t2v_ranks(sims, np.array([0, 1]))
    with pytest.raises(ValueError, match="ranks start at 1, got 0"):
        summarise(np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="n > 0"):
        summarise(np.array([]))
