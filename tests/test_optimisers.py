"""Optimisers and schedules against scalar definitions, many steps long."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from retrieval.errors import SettingsError  # noqa: E402
from retrieval.training.optimisers import (  # noqa: E402
    CosineRestarts,
    RAdam,
    Ranger,
    get_optimiser,
    get_schedule,
)
from tests.reference_ce import ranger_by_definition  # noqa: E402

RADAM = {"beta1": 0.9, "eps": 1e-8, "k": None}
STEPS = 60


def travel(optimiser, p: torch.Tensor, gradients: np.ndarray) -> np.ndarray:
    """[n_steps, n] values of p; a row of NaN is a step without gradient."""
    way = []
    for g in gradients:
        p.grad = None if np.isnan(g).any() else torch.tensor(g, dtype=p.dtype)
        optimiser.step()
        way.append(p.detach().numpy().copy())
    return np.array(way)


@pytest.mark.parametrize("decay", [0.0, 0.02])
@pytest.mark.parametrize(("kind", "settings"), [(RAdam, RADAM), (Ranger, {})])
def test_a_trajectory_is_that_of_the_scalar_definition(rng, kind, settings, decay):
    start = rng.standard_normal(5)
    gradients = rng.standard_normal((STEPS, 5)) * [1e-6, 0.1, 1, 10, 1000]
    p = torch.nn.Parameter(torch.tensor(start))
    way = travel(kind([p], lr=0.1, weight_decay=decay), p, gradients)
    for i in range(5):
        expected = ranger_by_definition(start[i], list(gradients[:, i]), 0.1, decay, **settings)
        np.testing.assert_allclose(way[:, i], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("kind", "settings"), [(RAdam, RADAM), (Ranger, {})])
def test_single_precision_follows_the_definition(rng, kind, settings):
    start, gradients = rng.standard_normal(1), rng.standard_normal((200, 1))
    p = torch.nn.Parameter(torch.tensor(start, dtype=torch.float32))
    way = travel(kind([p], lr=0.01, weight_decay=1e-3), p, gradients)
    expected = ranger_by_definition(start[0], list(gradients[:, 0]), 0.01, 1e-3, **settings)
    np.testing.assert_allclose(way[:, 0], expected, atol=5e-6)


@pytest.mark.parametrize("kind", [RAdam, Ranger])
def test_a_parameter_without_gradient_waits(rng, kind):
    """Its counter stays, so two parameters of one group can be at different steps."""
    settings = RADAM if kind is RAdam else {}
    gradients = rng.standard_normal((STEPS, 2))
    absent = rng.random(STEPS) < 0.4
    p, q = (torch.nn.Parameter(torch.ones(1, dtype=torch.float64)) for _ in range(2))
    optimiser = kind([p, q], lr=0.05, weight_decay=0.01)
    for (g, h), gone in zip(gradients, absent, strict=True):
        p.grad = torch.tensor([g])
        q.grad = None if gone else torch.tensor([h])
        optimiser.step()
    for one, column, gone in ((p, 0, np.zeros(STEPS, bool)), (q, 1, absent)):
        given = [None if skip else g for g, skip in zip(gradients[:, column], gone, strict=True)]
        expected = ranger_by_definition(1.0, given, 0.05, 0.01, **settings)
        assert one.item() == pytest.approx(expected[-1], rel=1e-9)


def test_radam_goes_the_way_of_the_library_one(rng):
    gradients = rng.standard_normal((STEPS, 4))
    ours, theirs = (torch.nn.Parameter(torch.arange(4.0, dtype=torch.float64)) for _ in range(2))
    settings = {"lr": 0.02, "weight_decay": 0.1}
    library = torch.optim.RAdam([theirs], decoupled_weight_decay=True, **settings)
    np.testing.assert_allclose(
        travel(RAdam([ours], **settings), ours, gradients),
        travel(library, theirs, gradients),
        rtol=1e-9,
    )


@pytest.mark.parametrize("kind", [RAdam, Ranger])
def test_a_saved_state_goes_on_as_if_never_stopped(rng, kind):
    gradients = rng.standard_normal((20, 3))
    p = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    whole = travel(kind([p], lr=0.1), p, gradients)
    q = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    first = kind([q], lr=0.1)
    travel(first, q, gradients[:8])
    second = kind([q], lr=0.5)  # the learning rate comes back with the state
    second.load_state_dict(first.state_dict())
    np.testing.assert_array_equal(travel(second, q, gradients[8:]), whole[8:])


def test_the_state_has_the_official_names():
    p = torch.nn.Parameter(torch.ones(2))
    optimiser = Ranger([p])
    p.grad = torch.ones(2)
    optimiser.step()
    state = optimiser.state_dict()["state"][0]
    assert list(state) == ["step", "exp_avg", "exp_avg_sq", "slow_buffer"]
    assert state["step"] == 1
    torch.testing.assert_close(state["slow_buffer"], torch.ones(2))


def test_a_closure_is_called_with_gradients():
    p = torch.nn.Parameter(torch.ones(2))
    optimiser = RAdam([p])

    def loss() -> float:
        optimiser.zero_grad()
        value = (p**2).sum()
        value.backward()
        return value.item()

    assert optimiser.step(loss) == 2.0
    assert (p < 1).all()


@pytest.mark.parametrize(("name", "kind"), [("RAdam", RAdam), ("Ranger", Ranger)])
def test_optimisers_by_the_names_of_configs(name, kind):
    p = torch.nn.Parameter(torch.ones(2))
    optimiser = get_optimiser(name, [p], {"lr": 0.1, "weight_decay": 0.001})
    assert isinstance(optimiser, kind)
    assert optimiser.param_groups[0]["lr"] == 0.1
    assert isinstance(get_optimiser("AdamW", [p], {"lr": 0.1}), torch.optim.AdamW)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("SWATS", {}, "unknown optimiser 'SWATS'; available: RAdam, Ranger and those of"),
        ("lr_scheduler", {}, "unknown optimiser 'lr_scheduler'"),
        ("Ranger", {"speed": 3}, "Ranger does not take .'speed': 3."),
        ("RAdam", {"weigth_decay": 3}, "RAdam does not take .'weigth_decay': 3."),
        ("Ranger", {"lr": 0}, "expected lr and eps > 0"),
        ("Ranger", {"k": 0}, "k >= 1"),
        ("RAdam", {"betas": (0.9, 1.0)}, "betas in 0..1"),
    ],
)
def test_optimisers_that_cannot_be_are_refused(name, settings, message):
    with pytest.raises(SettingsError, match=message):
        get_optimiser(name, [torch.nn.Parameter(torch.ones(1))], settings)


def rates(name: str, settings: dict, n: int) -> list[float]:
    p = torch.nn.Parameter(torch.ones(1))
    optimiser = get_optimiser("SGD", [p], {"lr": 0.1})
    schedule = get_schedule(name, optimiser, settings)
    out = []
    for _ in range(n):
        out.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return out


def test_step_lr_shrinks_once_an_epoch():
    found = rates("StepLR", {"step_size": 1, "gamma": 0.95}, 20)
    assert found == pytest.approx([0.1 * 0.95**epoch for epoch in range(20)])


def test_cosine_restarts_match_their_definition():
    found = rates("CosineAnnealingWithRestartsLR", {"T_max": 4, "T_mult": 1.5, "eta_min": 0.01}, 30)
    expected, restarted, length = [], 0, 4.0
    for epoch in range(30):
        if epoch - restarted >= length:
            restarted, length = epoch, length * 1.5
        expected.append(0.01 + 0.09 * (1 + math.cos(math.pi * (epoch - restarted) / length)) / 2)
    assert found == pytest.approx(expected)
    assert found[4] == pytest.approx(0.1) and found[10] == pytest.approx(0.1)


def test_schedules_that_cannot_be_are_refused():
    optimiser = get_optimiser("SGD", [torch.nn.Parameter(torch.ones(1))], {"lr": 0.1})
    with pytest.raises(SettingsError, match="unknown lr_scheduler 'Cyclic'; available: StepLR"):
        get_schedule("Cyclic", optimiser, {})
    with pytest.raises(SettingsError, match="T_max > 0"):
        CosineRestarts(optimiser, T_max=0)
    with pytest.raises(SettingsError, match="StepLR does not take"):
        get_schedule("StepLR", optimiser, {"pace": 1})
