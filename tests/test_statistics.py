"""Intervals and paired tests against slow definitions and cases worked by hand."""

import math

import numpy as np
import pytest

from retrieval import statistics
from retrieval.metrics import summarise
from retrieval.statistics import (
    bootstrap,
    holm,
    mean_and_std,
    paired_test,
    sign_flip_test,
    sign_test,
)
from tests.reference import sign_flip_by_definition, sign_test_by_definition


@pytest.mark.parametrize(("helped", "hurt"), [(0, 0), (1, 0), (7, 2), (2, 7), (6, 6), (40, 21)])
def test_the_sign_test_is_its_definition(helped, hurt):
    assert sign_test(helped, hurt) == pytest.approx(sign_test_by_definition(helped, hurt))


def test_the_sign_test_of_many_queries_does_not_underflow():
    assert sign_test(30000, 29800) == pytest.approx(0.414, abs=2e-3)  # normal: z = 0.8139
    assert 0 < sign_test(900, 100) < 1e-150


@pytest.mark.parametrize("seed", range(4))
def test_flipping_the_signs_of_videos_is_its_definition(seed):
    sums = np.random.default_rng(seed).integers(-4, 6, 11)
    assert sign_flip_test(sums) == pytest.approx(sign_flip_by_definition(sums), abs=1e-12)


def test_flipping_single_queries_is_the_sign_test():
    for helped, hurt in ((9, 3), (3, 9), (5, 5), (0, 0)):
        sums = np.r_[np.ones(helped, int), -np.ones(hurt, int), np.zeros(4, int)]
        assert sign_flip_test(sums) == pytest.approx(sign_test(helped, hurt), abs=1e-12)


def test_captions_of_one_video_count_together():
    before, after = np.full(60, 5.0), np.full(60, 5.0)
    after[:40], after[40:] = 4.0, 6.0
    alone = paired_test(before, after, np.arange(60))
    assert (alone.helped, alone.hurt, alone.unchanged) == (40, 20, 0)
    assert alone.test == "exact sign test" and alone.p == pytest.approx(0.0135, abs=1e-4)
    together = paired_test(before, after, np.repeat(np.arange(3), 20))  # three videos: +, +, -
    assert together.test == "sign-flip test over videos" and together.p == pytest.approx(1.0)


def test_holm_corrects_step_by_step():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0] and holm([]) == []


@pytest.mark.parametrize("captions", [1, 3])
def test_intervals_are_those_of_resampled_tables(rng, captions, monkeypatch):
    ranks = np.ceil(rng.exponential(6, (2, 12 * captions)))
    unit = np.repeat(np.arange(12), captions)
    monkeypatch.setattr(statistics, "BLOCK_CELLS", 12 * 7)  # several, on several threads
    found = bootstrap(ranks, unit, 40, 7)
    tables = []  # every resample written out query by query
    for units in np.concatenate([units for _, units in statistics._draws(12, 40, 7)]):
        rows = [np.flatnonzero(unit == u) for u in units]
        tables.append([summarise(each[np.concatenate(rows)]) for each in ranks])
    for name in ("R@1", "R@5", "R@10", "R@50", "MdR", "MnR", "Geom"):
        raw = np.array([table[0][name] for table in tables])
        new = np.array([table[1][name] for table in tables])
        assert found[0].values[name] == pytest.approx(np.quantile(raw, [0.025, 0.975]))
        assert found[1].gains[name] == pytest.approx(np.quantile(new - raw, [0.025, 0.975]))
        assert found[0].gains[name] == (0, 0)


def test_medians_outside_the_first_window_are_found(rng, monkeypatch):
    monkeypatch.setattr(statistics, "WINDOW", 0.1)
    ranks = np.ceil(rng.exponential(30, (1, 2500)))
    narrow = bootstrap(ranks, np.arange(2500), 50, seed=3)
    monkeypatch.setattr(statistics, "WINDOW", 100.0)
    assert narrow == bootstrap(ranks, np.arange(2500), 50, seed=3)


def test_an_interval_of_single_queries_has_the_width_of_its_binomial(rng):
    ranks = np.where(rng.random((1, 4000)) < 0.3, 1.0, 20.0)
    low, high = bootstrap(ranks, np.arange(4000))[0].values["R@1"]
    assert high - low == pytest.approx(2 * 1.96 * 100 * math.sqrt(0.3 * 0.7 / 4000), rel=0.1)
    shared = bootstrap(np.repeat(ranks[:, ::20], 20, axis=1), np.repeat(np.arange(200), 20))[0]
    wide = shared.values["R@1"]  # captions that all agree are no more evidence than their video
    assert wide[1] - wide[0] == pytest.approx(math.sqrt(20) * (high - low), rel=0.2)


def test_blocks_of_resamples_do_not_change_them(rng, monkeypatch):
    ((_, whole),) = statistics._draws(30, 50, 0)
    assert whole.shape == (50, 30) and (statistics._counted(whole).sum(axis=1) == 30).all()
    monkeypatch.setattr(statistics, "BLOCK_CELLS", 30 * 7)
    parts = list(statistics._draws(30, 50, 0))
    assert [at.start for at, _ in parts] == list(range(0, 50, 7))
    np.testing.assert_array_equal(np.concatenate([units for _, units in parts]), whole)


def test_deviation_over_seeds_is_that_of_a_sample():
    assert mean_and_std([16.0, 17.0, 18.0]) == (17.0, 1.0)
    assert mean_and_std([16.0]) == (16.0, 0.0)
