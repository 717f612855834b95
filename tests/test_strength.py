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
    sims, bias = rng.uniform(-1, 1, n), rng.uniform(-1, 1, n)
    bend = Bend(sims, bias, 1.0)
    columns = np.argsort(bias - sims)[:300]
    whole = bend.take_over_at(columns)
    assert whole == [bend.take_over_at([column])[0] for column in columns]
    assert sum(at is not None for at in whole) > 200


def leads_by_definition(sims, bias):
    """Walk up the strengths at which any two items meet and see who is first between them."""
    meets = (sims[:, None] - sims) / np.where(bias[:, None] == bias, np.nan, bias[:, None] - bias)
    at = np.unique(meets[(meets > 0) & (meets < 1)])
    middles = (np.concatenate([[0], at]) + np.concatenate([at, [1]])) / 2
    first = [int((sims - w * bias).argmax()) for w in middles]
    return [first[0], *(b for a, b in zip(first, first[1:], strict=False) if a != b)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_leads_of_many_items_are_those_of_the_definition(seed, scale):
    rng = np.random.default_rng(seed)
    sims, bias = rng.standard_normal(60), scale * rng.standard_normal(60)
    leads = Bend(sims, bias, 0.5).leads()
    assert [item for _, item in leads] == leads_by_definition(sims, bias)
    strengths = [at for at, _ in leads]
    assert strengths[0] == 0 and strengths == sorted(strengths) and strengths[-1] <= 1
    for (at, item), (_, before) in zip(leads[1:], leads, strict=False):
        assert sims[item] - at * bias[item] == pytest.approx(sims[before] - at * bias[before])


def test_equal_items_and_equal_biases_have_one_lead():
    assert Bend(np.zeros(5), np.zeros(5), 1.0).leads() == [(0.0, 0)]
    assert Bend(np.array([1.0, 1.0, 0.0]), np.array([0.0, -1.0, 0.0]), 1.0).leads() == [
        (0.0, 0),
        (0.0, 1),
    ]


def test_a_long_row_is_answered_like_a_short_one_that_holds_its_best():
    rng = np.random.default_rng(3)
    sims, bias = rng.standard_normal(40), rng.standard_normal(40)
    far = np.full(20_000, -100.0)  # items that no strength brings near
    long = Bend(np.concatenate([sims, far]), np.concatenate([bias, 0 * far]), 0.8)
    short = Bend(sims, bias, 0.8)
    assert long.leads() == short.leads()
    assert long.take_over_at(range(40)) == short.take_over_at(range(40))
    assert long.take_over_at([]) == []


@pytest.mark.parametrize("seed", range(4))
def test_single_precision_is_looked_at_in_single_and_answered_in_double(seed):
    rng = np.random.default_rng(seed)
    # Many scores a rounding apart: steps of 2^-24 around one, biases with the same steps.
    sims = (1 + rng.integers(-40, 40, 500) * 2.0**-23).astype(np.float32)
    bias = (rng.integers(-40, 40, 500) * 2.0**-23).astype(np.float32)
    coarse = Bend(sims, bias, 0.75)
    fine = Bend(sims.astype(np.float64), bias.astype(np.float64), 0.75)
    assert coarse.leads() == fine.leads()
    columns = np.argsort(0.75 * bias.astype(np.float64) - sims, kind="stable")[:20]
    assert coarse.take_over_at(columns) == fine.take_over_at(columns)
