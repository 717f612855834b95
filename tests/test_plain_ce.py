"""The baseline of the training step: it must take the same steps, or its time says nothing."""

import pytest

torch = pytest.importorskip("torch")

from benchmarks.plain_ce import PlainCE, PlainRanger  # noqa: E402
from retrieval.losses import max_margin_ranking  # noqa: E402
from retrieval.models import CEConfig, Expert, build  # noqa: E402
from retrieval.training.optimisers import Ranger  # noqa: E402

CONFIG = CEConfig(
    (Expert("audio", 4, 3), Expert("face", 5), Expert("scene", 6), Expert("speech", 3, 2)),
    text_dim=7, text_clusters=2, text_ghosts=1, shared_dim=8,
)  # fmt: skip
N, N_TOKENS, N_WORDS, N_STEPS = 6, 3, 4, 13  # past the rectified steps, and two of Lookahead


def batch(seed: int) -> tuple[dict, dict, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    experts, ind = {}, {}
    for i, e in enumerate(CONFIG.experts):
        shape = (N, N_TOKENS, e.dim) if e.clusters else (N, e.dim)
        experts[e.name] = torch.randn(shape, generator=rng, dtype=torch.float64)
        missing = torch.rand(N, generator=rng) < (0.4 if i else 0)
        experts[e.name][missing] = torch.nan
        ind[e.name] = (~missing).double()
    text = torch.randn(N, 1, N_WORDS, CONFIG.text_dim, generator=rng, dtype=torch.float64)
    return experts, ind, text


def test_the_baseline_of_a_training_step_takes_the_same_steps():
    torch.manual_seed(0)
    ours, plain = build(CONFIG).double().train(), PlainCE(CONFIG).double().train()
    plain.load_state_dict(ours.state_dict())
    settings = {"lr": 0.1, "weight_decay": 1e-3}
    optimisers = Ranger(ours.parameters(), **settings), PlainRanger(plain.parameters(), **settings)
    for i in range(N_STEPS):
        experts, ind, text = batch(seed=i)
        sims = ours(experts, ind, text)["cross_view_conf_matrix"]
        # The baseline's availability is single precision; of 0 and 1 that is the same.
        expected = plain.sims(*plain.texts(text), plain.videos(experts, ind), ind)
        torch.testing.assert_close(sims, expected, rtol=0, atol=1e-9)
        for optimiser, made in zip(optimisers, (sims, expected), strict=True):
            optimiser.zero_grad()
            max_margin_ranking(made, 0.2).backward()
            optimiser.step()
    torch.testing.assert_close(dict(ours.state_dict()), dict(plain.state_dict()), rtol=0, atol=1e-9)
