import numpy as np
import pytest

from retrieval.errors import SettingsError
from retrieval.metrics import (
    RankCounts,
    correct_by_row_order,
    ranks_of_chunk,
    summarise,
    t2v_ranks,
    v2t_ranks,
)
from retrieval.normalisers import get_normaliser
from retrieval.similarity import top_k
from retrieval.streaming import parallel
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


@pytest.fixture(params=[1, 20, 10**9])
def block_size(request, monkeypatch):
    """Entries looked at together: one row, a few, or all."""
    monkeypatch.setattr(parallel.os, "cpu_count", lambda: 3)
    monkeypatch.setattr(parallel, "BLOCK", request.param)
    monkeypatch.setattr(parallel, "BAND", 3 * request.param)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n_gallery", [1, 7, 64])
@pytest.mark.parametrize("captions", [1, 3])
def test_ranks_are_their_definition_however_the_rows_are_cut(
    rng, block_size, n_gallery, captions, order, dtype
):
    sims = sims_with_ties(rng, captions * n_gallery, n_gallery, dtype)
    sims = np.asarray(sims, order=order)
    mask = rng.random(len(sims)) < 0.6
    mask[-1] = True
    correct = correct_by_row_order(len(sims), n_gallery)
    expected = [t2v_rank_by_definition(row, c) for row, c in zip(sims, correct, strict=True)]
    np.testing.assert_array_equal(t2v_ranks(sims), expected)
    np.testing.assert_array_equal(t2v_ranks(sims, mask=mask), np.array(expected)[mask])
    expected = [
        v2t_rank_by_definition(sims[:, j], range(j * captions, (j + 1) * captions), mask)
        for j in range(n_gallery)
    ]
    np.testing.assert_array_equal(v2t_ranks(sims, mask=mask), expected)


@pytest.mark.parametrize("n_gallery", [7, 8, 1983, 1984, 1985, 2990, 3969])
def test_counts_beyond_a_byte_are_right(rng, n_gallery):
    sims = rng.permuted(np.tile(np.arange(n_gallery, dtype=np.float32), (500, 1)), axis=1)
    correct = rng.integers(0, n_gallery, 500)
    expected = n_gallery - sims[np.arange(500), correct]
    np.testing.assert_array_equal(t2v_ranks(sims, correct), expected)
    np.testing.assert_array_equal(t2v_ranks(0 * sims, correct), np.full(500, (1 + n_gallery) / 2))


def test_counts_of_different_galleries_do_not_mix(rng):
    galleries = [sims_with_ties(rng, 6, n_gallery) for n_gallery in (70, 9, 130)]
    correct = rng.integers(0, 9, (6, 2))
    counts = [RankCounts(*sims.shape) for sims in galleries]
    for at in (slice(0, 4), slice(4, 6)):
        for sims, each in zip(galleries, counts, strict=True):
            each.add(at, sims[at], correct[at])
    for sims, each in zip(galleries, counts, strict=True):
        expected = [
            min(t2v_rank_by_definition(row, c) for c in items)
            for row, items in zip(sims, correct, strict=True)
        ]
        np.testing.assert_array_equal(each.ranks(), expected)


def test_columns_may_be_numbers_without_a_sign(rng):
    sims = sims_with_ties(rng, 12, 5)
    correct = rng.integers(0, 5, 12)
    for ranks_of in (t2v_ranks, v2t_ranks):
        np.testing.assert_array_equal(
            ranks_of(sims, correct.astype(np.uint8)), ranks_of(sims, correct)
        )


@pytest.mark.parametrize("ranks_of", [t2v_ranks, v2t_ranks])
def test_views_have_the_ranks_of_their_copies(rng, block_size, ranks_of):
    whole = sims_with_ties(rng, 24, 30)
    correct = rng.integers(0, 10, 12)
    for view in (whole[::2, ::-3], whole[12:, 5:15], whole.T[:12, 3:13], whole[::-2, 20:]):
        assert view.shape == (12, 10)
        np.testing.assert_array_equal(ranks_of(view, correct), ranks_of(view.copy(), correct))


def test_captions_beyond_a_byte_are_counted():
    sims = np.zeros((3000, 2), dtype=np.float32)
    sims[:, 1] = -np.arange(3000)
    correct = np.zeros(3000, dtype=int)
    correct[2500] = 1
    np.testing.assert_array_equal(v2t_ranks(sims, correct), [1500.5, 2501])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_one_reading_gives_the_ranks_of_every_normaliser(rng, block_size, dtype, order):
    bank_sims = sims_with_ties(rng, 30, 41).astype(np.float32)
    sims = np.asarray(sims_with_ties(rng, 50, 41, dtype), order=order)
    before = sims.copy()
    correct = rng.integers(0, 41, 50)
    biases = [
        get_normaliser(name, beta=beta, k=1).fit(bank_sims[:n_bank])
        for name, beta, n_bank in [
            ("qbnorm", 20.0, 4),  # few are active, so some gates are shut
            ("inverted_softmax", 1.0, 30),
            ("none", None, 30),
        ]
    ]
    ranks = ranks_of_chunk(sims, correct, biases, k=5)
    np.testing.assert_array_equal(ranks.raw, t2v_ranks(sims, correct))
    np.testing.assert_array_equal(ranks.best[0], top_k(sims, 5))
    for i, bias in enumerate(biases):
        scores = bias.apply(sims)
        np.testing.assert_array_equal(ranks.normalised[i], t2v_ranks(scores, correct))
        np.testing.assert_array_equal(ranks.gates[i], bias.gate(sims))
        np.testing.assert_array_equal(ranks.best[1 + i], top_k(scores, 5))
    assert 0 < ranks.gates[0].sum() < 50 and ranks.gates[1].all() and not ranks.gates[2].any()
    np.testing.assert_array_equal(sims, before)
    plain = ranks_of_chunk(sims, correct, biases)
    np.testing.assert_array_equal(plain.normalised, ranks.normalised)
    assert plain.best.shape == (4, 50, 0)


def test_of_several_correct_items_the_best_counts(rng):
    sims = sims_with_ties(rng, 4, 9)
    bias = get_normaliser("inverted_softmax", beta=3.0, k=1).fit(sims_with_ties(rng, 5, 9))
    correct = np.array([[3, 4, 8], [0, -1, -1], [-1, -1, -1], [2, 7, -1]])
    ranks = ranks_of_chunk(sims, correct, [bias])
    for found, scores in ((ranks.raw, sims), (ranks.normalised[0], bias.apply(sims))):
        expected = [
            min((t2v_rank_by_definition(row, c) for c in items if c >= 0), default=np.inf)
            for row, items in zip(scores, correct, strict=True)
        ]
        np.testing.assert_array_equal(found, expected)


def test_bad_arguments_of_a_chunk_are_named(rng):
    sims = sims_with_ties(rng, 4, 9)
    bias = get_normaliser("qbnorm").fit(sims[:, :8])
    with pytest.raises(ValueError, match="sims have 9 gallery items, the bias 8"):
        ranks_of_chunk(sims, np.zeros(4, dtype=int), [bias])
    with pytest.raises(ValueError, match=r"column numbers for each of 4 queries, got int64 of"):
        ranks_of_chunk(sims, np.zeros(3, dtype=int))
    with pytest.raises(ValueError, match=r"correct columns must be in -1\.\.8, got 0\.\.9"):
        ranks_of_chunk(sims, np.array([0, 1, 2, 9]))
    with pytest.raises(SettingsError, match=r"k must be a whole number in 1\.\.9"):
        ranks_of_chunk(sims, np.zeros(4, dtype=int), k=10)
    sims[2, 5] = np.nan
    with pytest.raises(ValueError, match="got nan at row 102, column 5"):
        ranks_of_chunk(sims, np.zeros(4, dtype=int), first_row=100)


@pytest.mark.parametrize("ranks_of", [t2v_ranks, v2t_ranks])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_found_except_in_padding(rng, block_size, ranks_of, bad):
    sims = sims_with_ties(rng, 40, 4)
    sims[26, 3] = sims[30, 1] = bad
    mask = rng.random(40) < 0.5
    mask[26] = True
    with pytest.raises(ValueError, match=f"got {bad} at row 26, column 3"):
        ranks_of(sims, mask=mask)
    mask[[26, 30]] = False
    sound = np.where(np.isfinite(sims), sims, 0)
    np.testing.assert_array_equal(ranks_of(sims, mask=mask), ranks_of(sound, mask=mask))
