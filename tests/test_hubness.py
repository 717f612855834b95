import numpy as np
import pytest

from retrieval.hubness import (
    antihubs,
    chance_levels,
    gini,
    hubs,
    k_occurrence,
    k_skewness,
    measure,
    robin_hood,
)
from retrieval.similarity import SimTiles, unit_rows
from tests.reference import (
    gini_by_definition,
    k_occurrence_by_definition,
    robin_hood_by_definition,
    skewness_by_definition,
)


@pytest.mark.parametrize("k", [1, 3, 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_k_occurrence_matches_its_definition(rng, k, dtype):
    sims = (rng.integers(-5, 6, (5, 7)) / 5).astype(dtype)  # 5 queries, 7 videos, ties
    before = sims.copy()
    counts = k_occurrence(sims, k)
    np.testing.assert_array_equal(counts, k_occurrence_by_definition(sims, k))
    assert counts.dtype == np.int64
    assert counts.sum() == 5 * k
    np.testing.assert_array_equal(sims, before)


def test_k_occurrence_from_embeddings_is_that_of_their_matrix(rng):
    queries, gallery = rng.standard_normal((11, 4)), rng.standard_normal((23, 4))
    tiles = SimTiles(unit_rows(queries), unit_rows(gallery), row_tile=3, column_tile=5)
    sims = unit_rows(queries) @ unit_rows(gallery).T
    np.testing.assert_array_equal(k_occurrence(tiles, 4), k_occurrence_by_definition(sims, 4))


def test_measures_worked_by_hand():
    counts = np.array([0, 1, 1, 6])  # mean 2
    assert robin_hood(counts) == pytest.approx(4 / 8)
    assert gini(counts) == pytest.approx((-3 * 0 - 1 * 1 + 1 * 1 + 3 * 6) / (4 * 8))
    assert k_skewness(counts) == pytest.approx(
        ((-2) ** 3 + 2 * (-1) ** 3 + 4**3) / 4 / ((4 + 1 + 1 + 16) / 4) ** 1.5
    )
    np.testing.assert_array_equal(hubs(counts, n_queries=8, k=1), [3])
    np.testing.assert_array_equal(antihubs(counts), [0])


def test_measures_match_their_definitions(rng):
    counts = rng.poisson(rng.gamma(0.5, 4, 57))
    assert k_skewness(counts) == pytest.approx(skewness_by_definition(counts))
    assert gini(counts) == pytest.approx(gini_by_definition(counts))
    assert robin_hood(counts) == pytest.approx(robin_hood_by_definition(counts))


def test_zeros_count():
    with_zeros, without = np.array([0, 0, 0, 3, 5]), np.array([3, 5])
    assert k_skewness(with_zeros) > k_skewness(without)
    assert gini(with_zeros) > gini(without)


def test_equal_exposure_has_no_hubness():
    report = measure(np.full(6, 3), n_queries=9, k=2)
    assert (report.k_skewness, report.robin_hood, report.gini) == (0, 0, 0)
    assert (report.n_hubs, report.n_antihubs, report.mean) == (0, 0, 3)


def test_one_item_is_no_hub():
    report = measure(np.array([5]), n_queries=5, k=1)
    assert (report.k_skewness, report.gini, report.n_hubs) == (0, 0, 0)


def test_an_item_seen_once_is_no_hub_however_few_the_queries():
    counts = np.array([1, 1, 2, 0, 0, 0, 0, 0, 0, 0])  # mean 0.4
    np.testing.assert_array_equal(hubs(counts, n_queries=4, k=1), [2])


def test_many_queries_do_not_make_the_average_item_a_hub():
    counts = np.array([100, 100, 100, 100, 200, 0, 0, 199, 101, 100])  # mean 100
    np.testing.assert_array_equal(hubs(counts, n_queries=1000, k=1), [4])


def test_hubs_come_most_retrieved_first():
    counts = np.array([9, 0, 12, 0, 9, 0, 0, 0, 0, 0])  # mean 3
    np.testing.assert_array_equal(hubs(counts, n_queries=10, k=3), [2, 0, 4])


def test_the_report_holds_all_measures_of_a_rectangular_case():
    counts = np.array([0, 4, 1, 0, 1])  # 3 queries, top 2, 5 items
    report = measure(counts, n_queries=3, k=2)
    assert report.mean == pytest.approx(6 / 5)
    assert (report.n_hubs, report.hub_share) == (1, 0.2)
    assert report.hub_occurrence == pytest.approx(4 / 6)
    assert (report.n_antihubs, report.antihub_share) == (2, 0.4)
    assert (report.largest_hub, report.largest_hub_item) == (4, 1)
    assert report.robin_hood == robin_hood(counts) and report.gini == gini(counts)
    assert report.chance == chance_levels(3, 5, 2)


# Section 8 of the reference: skewness, antihub share, Robin Hood, Gini, hub occurrence.
@pytest.mark.parametrize(
    ("mu", "expected"),
    [
        (1, (1.00, 0.368, 0.368, 0.524, 0.632)),
        (5, (0.45, 0.007, 0.175, 0.249, 0.068)),
        (10, (0.32, 0.000, 0.125, 0.177, 0.007)),
        (20, (0.22, 0.000, 0.089, 0.126, 0.000)),
    ],
)
def test_chance_levels_are_the_closed_forms(mu, expected):
    chance = chance_levels(n_queries=100 * mu, n_gallery=100, k=1)
    measured = (
        chance.k_skewness,
        chance.antihub_share,
        chance.robin_hood,
        chance.gini,
        chance.hub_occurrence,
    )
    np.testing.assert_allclose(measured[0], expected[0], atol=5e-3)
    np.testing.assert_allclose(measured[1:], expected[1:], atol=6e-4)


def test_chance_levels_agree_with_random_picks(rng):
    n_queries, n_gallery, k = 300, 1000, 10
    reports = []
    for _ in range(20):
        picks = [rng.choice(n_gallery, k, replace=False) for _ in range(n_queries)]
        counts = np.bincount(np.concatenate(picks), minlength=n_gallery)
        reports.append(measure(counts, n_queries, k))
    chance = reports[0].chance
    for name in ("k_skewness", "robin_hood", "gini", "hub_occurrence", "antihub_share"):
        mean = np.mean([getattr(report, name) for report in reports])
        assert mean == pytest.approx(getattr(chance, name), abs=0.02)
    mean = np.mean([report.largest_hub for report in reports])
    assert mean == pytest.approx(chance.largest_hub, rel=0.1)


def test_chance_levels_hold_far_from_one_hit_per_item():
    few, many = chance_levels(1, 10**6, 1), chance_levels(60_000, 10, 10)
    assert few.antihub_share == pytest.approx(1, abs=1e-5)
    assert few.gini == pytest.approx(1, abs=1e-5)
    assert many.gini == pytest.approx(1 / np.sqrt(np.pi * 60_000), rel=1e-3)
    assert many.hub_occurrence == pytest.approx(0, abs=1e-9)


def test_bad_arguments_are_named():
    with pytest.raises(
        ValueError, match=r"k must be a whole number in 1\.\.3 \(the gallery size\), got 4"
    ):
        k_occurrence(np.zeros((2, 3)), 4)
    with pytest.raises(ValueError, match="n_queries \\* k = 12, got 6"):
        measure(np.array([1, 2, 3]), n_queries=6, k=2)
    with pytest.raises(ValueError, match="not be negative"):
        gini(np.array([0, 0]))
    with pytest.raises(ValueError, match="at least 1"):
        chance_levels(0, 5, 1)
