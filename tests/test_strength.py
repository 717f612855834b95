"""The strengths at which items overtake, against a brute force over a fine grid."""

import numpy as np
import pytest

from retrieval.strength import Bend


def places(sims, bias, strength):
    """Place of every item by sorting; of equal scores the earlier item comes first."""
    order = np.argsort(-(sims - strength * bias), kind="stable")
    found = np.empty(len(sims), int)
    found[order] = 1 + np.arange(len(sims))
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_take_over_at_is_the_smallest_strength_that_keeps_the_place(seed, strength):
    rng = np.random.default_rng(seed)
    sims, bias = rng.uniform(-1, 1, 12), rng.uniform(-1, 1, 12)
    bend = Bend(sims, bias, strength)
    before, shown = places(sims, bias, 0), places(sims, bias, strength)
    grid = np.linspace(0, strength, 2001)
    table = np.array([places(sims, bias, w) for w in grid])  # [n_grid, n_items]
    n_risen = 0
    for column, at in enumerate(bend.take_over_at(range(12))):
        if shown[column] >= before[column]:
            assert at is None
            continue
        n_risen += 1
        behind = np.flatnonzero(table[:, column] > shown[column])
        assert grid[behind[-1]] <= at + 1e-12 <= grid[behind[-1] + 1] + 1e-9
        assert places(sims, bias, at + 1e-9)[column] <= shown[column]
        assert places(sims, bias, at - 1e-9)[column] > shown[column]
    assert n_risen > 0


def test_an_item_that_is_passed_in_between_takes_over_only_when_it_is_back():
    # 0 passes 1 at 0.1, is passed by 2 at 0.2 and passes 3 at 0.8: third, third, then second.
    sims = np.array([0.50, 0.52, 0.42, 0.90])
    bias = np.array([0.00, 0.20, -0.40, 0.50])
    bend = Bend(sims, bias, 1.0)
    assert places(sims, bias, 0)[0] == 3 and places(sims, bias, 0.15)[0] == 2
    assert places(sims, bias, 0.5)[0] == 3 and places(sims, bias, 1)[0] == 2
    assert bend.take_over_at([0]) == [pytest.approx(0.8)]


def test_worked_by_hand():
    # 1 leads 0 by 0.2 and is 0.4 dearer: they meet at 0.5.
    bend = Bend(np.array([0.1, 0.3, -1.0]), np.array([0.0, 0.4, 0.0]), 1.0)
    assert bend.take_over_at([1, 0, 2]) == [None, pytest.approx(0.5), None]
    assert bend.leads() == [(0.0, 1), (pytest.approx(0.5), 0)]


def test_strength_zero_moves_nothing():
    bend = Bend(np.array([0.1, 0.3]), np.array([0.0, 0.4]), 0.0)
    assert bend.take_over_at([0, 1]) == [None, None]


@pytest.mark.parametrize("seed", range(6))
def test_leads_name_the_first_item_at_every_strength(seed):
    rng = np.random.default_rng(seed)
    sims, bias = rng.uniform(-1, 1, 30), rng.uniform(-3, 3, 30)
    leads = Bend(sims, bias, 1.0).leads()
    assert leads[0] == (0.0, int(sims.argmax()))
    starts = [at for at, _ in leads]
    assert starts == sorted(starts)
    for w in np.linspace(0, 1, 1001):
        current = [column for at, column in leads if at <= w][-1]
        assert sims[current] - w * bias[current] >= (sims - w * bias).max() - 1e-12


def test_equal_items_never_overtake_each_other():
    bend = Bend(np.array([0.3, 0.3, 0.3]), np.array([0.1, 0.1, 0.1]), 1.0)
    assert bend.leads() == [(0.0, 0)]
    assert bend.take_over_at(range(3)) == [None] * 3


def test_many_items_are_taken_a_few_at_a_time():
    rng = np.random.default_rng(1)
    n = 70_000  # 2**24 // n = 239 items at a time
    bend = Bend(rng.uniform(-1, 1, n), rng.uniform(-1, 1, n), 1.0)
    columns = np.argsort(-bend.shown)[:300]
    whole = bend.take_over_at(columns)
    assert whole == [bend.take_over_at([column])[0] for column in columns]
    assert sum(at is not None for at in whole) > 200
