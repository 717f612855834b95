"""Losses against their definitions, worked by hand and written slowly."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from retrieval.losses import (  # noqa: E402
    distillation,
    max_margin_ranking,
    symmetric_info_nce,
    teacher_sims,
)
from tests.reference_ce import distillation_by_definition, max_margin_by_definition  # noqa: E402


def info_nce_by_definition(text_emb: np.ndarray, video_emb: np.ndarray, scale: float) -> float:
    n = len(text_emb)
    total = 0.0
    for i in range(n):
        by_text = [math.exp(scale * float(text_emb[i] @ video_emb[j])) for j in range(n)]
        by_video = [math.exp(scale * float(text_emb[j] @ video_emb[i])) for j in range(n)]
        total += math.log(by_text[i] / sum(by_text)) + math.log(by_video[i] / sum(by_video))
    return -total / (2 * n)


def unit(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    rows = rng.normal(size=(n, dim))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("scale", [1.0, 14.3, 100.0])
def test_symmetric_info_nce_matches_its_definition(rng, scale):
    text_emb, video_emb = unit(rng, 5, 3), unit(rng, 5, 3)
    loss = symmetric_info_nce(torch.tensor(text_emb), torch.tensor(video_emb), scale)
    assert loss.item() == pytest.approx(
        info_nce_by_definition(text_emb, video_emb, scale), abs=1e-9
    )


def test_symmetric_info_nce_agrees_with_open_clip(rng):
    open_clip_loss = pytest.importorskip("open_clip.loss")
    text_emb, video_emb = torch.tensor(unit(rng, 7, 4)), torch.tensor(unit(rng, 7, 4))
    theirs = open_clip_loss.ClipLoss()(video_emb, text_emb, torch.tensor(20.0))
    assert symmetric_info_nce(text_emb, video_emb, 20.0).item() == pytest.approx(theirs.item())


def test_two_pairs_by_hand():
    emb = torch.eye(2)
    # Each softmax is over (scale, 0): -log(e^2 / (e^2 + 1)).
    assert symmetric_info_nce(emb, emb, 2.0).item() == pytest.approx(math.log1p(math.exp(-2)))


def test_equal_similarities_cost_log_n():
    emb = torch.ones(6, 2) / math.sqrt(2)
    assert symmetric_info_nce(emb, emb, 50.0).item() == pytest.approx(math.log(6), rel=1e-6)


def test_both_directions_count(rng):
    """Every text is nearest to its own video, but one video is nearest to a wrong text."""
    text_emb, video_emb = torch.tensor(unit(rng, 4, 3)), torch.tensor(unit(rng, 4, 3))
    loss = symmetric_info_nce(text_emb, video_emb, 5.0)
    logits = 5 * text_emb @ video_emb.T
    one_way = torch.nn.functional.cross_entropy(logits, torch.arange(4))
    assert abs(loss - one_way) > 1e-3
    assert loss.item() == pytest.approx(symmetric_info_nce(video_emb, text_emb, 5.0).item())


def test_unpaired_rows_are_refused():
    with pytest.raises(ValueError, match=r"text_emb is \(3, 2\), video_emb \(2, 2\)"):
        symmetric_info_nce(torch.ones(3, 2), torch.ones(2, 2), 1.0)


@pytest.mark.parametrize("fix_norm", [True, False])
@pytest.mark.parametrize("margin", [0.1, 1.0])
def test_max_margin_ranking_matches_its_definition(rng, margin, fix_norm):
    sims = torch.tensor(rng.uniform(-1, 1, (5, 5)), requires_grad=True)
    loss = max_margin_ranking(sims, margin, fix_norm)
    expected = max_margin_by_definition(sims.detach().numpy(), margin, fix_norm)
    assert loss.item() == pytest.approx(expected, abs=1e-12)
    assert torch.autograd.gradcheck(lambda s: max_margin_ranking(s, margin, fix_norm), (sims,))


def test_max_margin_ranking_by_hand():
    sims = torch.tensor([[0.5, 0.4], [0.9, 0.8]])
    # i = 0: text to video 0.2 - 0.5 + 0.4, video to text 0.2 - 0.5 + 0.9; i = 1: 0.3 and 0.
    assert max_margin_ranking(sims, 0.2).item() == pytest.approx((0.1 + 0.6 + 0.3 + 0) / 4)
    # The diagonal adds four terms of 0.2.
    assert max_margin_ranking(sims, 0.2, fix_norm=False).item() == pytest.approx(1.8 / 8)


def test_equal_similarities_cost_the_margin():
    assert max_margin_ranking(torch.zeros(4, 4), 0.3).item() == pytest.approx(0.3)


def test_max_margin_ranking_needs_negatives_and_a_square():
    with pytest.raises(ValueError, match="a batch of one pair has no negatives"):
        max_margin_ranking(torch.ones(1, 1))
    with pytest.raises(ValueError, match=r"sims is \(2, 3\), expected a square"):
        max_margin_ranking(torch.ones(2, 3))


def test_distillation_from_several_teachers_matches_its_definition(rng):
    teachers = []
    for names in (("audio", "rgb"), ("rgb", "scene", "audio")):
        video = {name: rng.standard_normal((4, 3)) for name in names}
        text = {name: rng.standard_normal((4, 3)) for name in reversed(names)}
        teachers.append({"text": text, "video": video})
    sims = torch.tensor(rng.uniform(-1, 1, (4, 4)), requires_grad=True)
    matrices = [
        teacher_sims(
            {name: torch.tensor(x)[:, None] for name, x in t["text"].items()},  # [n, 1, dim]
            {name: torch.tensor(x) for name, x in t["video"].items()},
        )
        for t in teachers
    ]
    loss = distillation(sims, matrices)
    expected = distillation_by_definition(sims.detach().numpy(), teachers)
    assert loss.item() == pytest.approx(expected, abs=1e-12)
    assert torch.autograd.gradcheck(lambda s: distillation(s, matrices), (sims,))


def test_distillation_gives_teachers_no_gradient():
    teacher = torch.ones(2, 2, requires_grad=True)
    student = torch.zeros(2, 2, requires_grad=True)
    distillation(student, [teacher * 0.5]).backward()
    assert teacher.grad is None
    torch.testing.assert_close(student.grad, torch.full((2, 2), -0.125))


def test_distillation_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="one teacher or more"):
        distillation(torch.ones(2, 2), [])
    with pytest.raises(ValueError, match=r"teachers are \(3, 3\), the student \(2, 2\)"):
        distillation(torch.ones(2, 2), [torch.ones(3, 3)])
