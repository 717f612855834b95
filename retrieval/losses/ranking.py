"""Similarity matrices -> ranking and distillation losses."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F


def max_margin_ranking(
    sims: torch.Tensor, margin: float = 1.0, fix_norm: bool = True
) -> torch.Tensor:
    """How far wrong pairs come within a margin of the right ones, in both directions.

        loss = mean over i != j of  [margin - s_ii + s_ij]+  and  [margin - s_ii + s_ji]+

    Args:
        sims: [n, n] similarities, text i belongs to video i, n >= 2.
        margin: of the same unit as `sims`, > 0.
        fix_norm: leaves out the diagonal; else its 2 n terms, each `margin`, are in the mean.

    Returns:
        the loss, a scalar.

    Raises:
        ValueError: not square, or a single pair, which has no negatives.

    Source: Miech et al., "Learning a Text-Video Embedding from Incomplete and Heterogeneous
    Data", 2018, equation 9; `fix_norm` as in the code of Collaborative Experts.
    """
    n = len(sims)
    if sims.shape != (n, n):
        raise ValueError(f"sims is {tuple(sims.shape)}, expected a square matrix of pairs")
    if n < 2:
        raise ValueError("a batch of one pair has no negatives; take two or more")
    own = sims.diagonal()
    hinge = F.relu(margin - own[:, None] + sims) + F.relu(margin - own[:, None] + sims.T)
    if not fix_norm:
        return hinge.sum() / (2 * n * n)
    # Filled, not multiplied: an infinite entry must not become NaN.
    hinge = hinge.masked_fill(torch.eye(n, dtype=torch.bool, device=sims.device), 0)
    return hinge.sum() / (2 * n * (n - 1))


def teacher_sims(
    text: Mapping[str, torch.Tensor], video: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """Similarities as one teacher's stored vectors give them: the plain sum over experts.

    Args:
        text: expert -> [n, dim] or [n, 1, dim], weighted beforehand by the teacher's weights.
        video: expert -> [n, dim].

    Returns:
        [n, n].
    """
    names = list(video)
    rows = torch.cat([text[name].flatten(1) for name in names], dim=1)
    return rows @ torch.cat([video[name] for name in names], dim=1).T


def distillation(sims: torch.Tensor, teachers: Sequence[torch.Tensor]) -> torch.Tensor:
    """Smooth L1 distance of a student's similarities to the mean of its teachers'.

        loss = mean over i, j of h(s_ij - mean over teachers of r_ij),
        h(x) = x^2 / 2 where |x| < 1, else |x| - 1/2

    Args:
        sims: [n, n] of the student.
        teachers: one [n, n] or more; no gradient flows into them.

    Returns:
        the loss, a scalar.

    Source: Croitoru et al., "TeachText: CrossModal Generalized Distillation for Text-Video
    Retrieval", ICCV 2021, equations 3 and 4.
    """
    if not teachers:
        raise ValueError("distillation needs one teacher or more, got none")
    mean = torch.stack([t.detach() for t in teachers]).mean(dim=0)
    if mean.shape != sims.shape:
        raise ValueError(f"teachers are {tuple(mean.shape)}, the student {tuple(sims.shape)}")
    return F.smooth_l1_loss(sims, mean)
