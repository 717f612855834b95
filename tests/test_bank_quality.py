import numpy as np
import pytest

from retrieval.advice.bank_quality import bank_quality, match_skewness, spearman
from retrieval.similarity import MatrixTiles, SimTiles, unit_rows


def themed(rng, n_queries, n_gallery, n_themes=20, dim=32):
    """Queries and items of common themes, as embeddings of one space."""
    themes = rng.standard_normal((n_themes, dim))
    emb = [
        unit_rows(themes[rng.integers(n_themes, size=n)] + 0.7 * rng.standard_normal((n, dim)))
        for n in (n_queries, n_gallery)
    ]
    return emb[0], emb[1]


def test_spearman_of_a_case_worked_by_hand():
    # Ranks 1, 2.5, 2.5, 4 and 2, 1, 3, 4: deviations -1.5, 0, 0, 1.5 and -0.5, -1.5, 0.5, 1.5.
    expected = (1.5 * 0.5 + 1.5 * 1.5) / np.sqrt(4.5 * 5)
    assert spearman(np.array([3, 7, 7, 9]), np.array([20, 10, 30, 40])) == pytest.approx(expected)
    assert spearman(np.array([1, 1, 1]), np.array([1, 2, 3])) == 0.0


def test_match_skewness_is_found_in_one_space_and_not_in_two(rng):
    queries, items = themed(rng, 90, 70)
    skewness, error = match_skewness(SimTiles(queries, items), rng)
    assert skewness > 5 * error
    rotation = np.linalg.qr(rng.standard_normal((32, 32)))[0].astype(np.float32)
    skewness, error = match_skewness(SimTiles(queries, items @ rotation), rng)
    assert abs(skewness) < 3 * error


def test_match_skewness_does_not_see_levels_of_items_and_captions(rng):
    sims = rng.standard_normal((30, 20)) ** 3
    moved = sims + rng.standard_normal((30, 1)) + rng.standard_normal(20)
    seeds = [np.random.default_rng(5) for _ in range(2)]
    plain = match_skewness(MatrixTiles(sims), seeds[0])
    assert match_skewness(MatrixTiles(7 * moved), seeds[1]) == pytest.approx(plain)


def test_a_constant_bank_has_no_skewness(rng):
    assert match_skewness(MatrixTiles(np.full((30, 20), 0.3)), rng) == (0.0, 0.0)


def test_quality_of_random_similarities_is_at_its_chance_levels(rng):
    quality = bank_quality(rng.standard_normal((600, 300)), rng.standard_normal((500, 300)))
    assert quality.coverage == pytest.approx(quality.coverage_chance, abs=0.06)
    assert quality.hub_overlap == pytest.approx(quality.hub_overlap_chance, abs=0.05)
    assert abs(quality.hub_agreement) < 0.15
    assert abs(quality.match_skewness) < 3 * quality.match_skewness_error
    assert abs(quality.live.agreement) < 0.15


def test_strong_hubs_are_agreed_on(rng):
    bank_sims = rng.standard_normal((200, 50)) + np.linspace(0, 3, 50)
    quality = bank_quality(bank_sims)
    assert quality.hub_overlap > 0.5 > 2 * quality.hub_overlap_chance
    assert quality.hub_agreement > 0.7


def test_a_bank_of_other_themes_agrees_less_with_live_queries(rng):
    queries, items = themed(rng, 400, 100)
    near, live = queries[:200] @ items.T, queries[200:] @ items.T
    far = unit_rows(rng.standard_normal((200, 32)) + 2 * rng.standard_normal(32)) @ items.T
    near, far = bank_quality(near, live).live, bank_quality(far, live).live
    assert near.n == far.n == 200
    assert near.query_coverage == pytest.approx(near.bank_coverage, abs=0.1)
    assert far.bank_coverage < far.query_coverage
    assert far.agreement < 0.5 * far.own_agreement < near.agreement


def test_a_bank_of_one_caption_is_refused():
    with pytest.raises(ValueError, match="cannot be halved"):
        bank_quality(np.ones((1, 5)))
