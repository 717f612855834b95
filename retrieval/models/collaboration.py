"""Vectors of all experts in one space -> each gated by what the others say of it.

The released code goes through the experts in order and gates in place, so an expert sees those
before it gated already, and calls one small network for every pair. Here all pairs of an expert go
through it at once, as groups that keep the batch statistics of a call of their own. A few things
make that cheap, and change nothing but rounding:

- the first layer is linear in the concatenation, so it is applied to each vector once, not to each
  pair, and the parts are added;
- the last layer is linear and followed by a weighted mean over the pairs, so it is applied to the
  mean;
- statistics of consecutive calls decay geometrically, so running ones are updated in one product;
- in training on the CPU, batch norm and Mish are one operation (`fused.py`).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from retrieval.models.fused import normed_mish

TINY = 1e-11  # added to the number of pairs; none leave a mask of zero


def grouped_batch_norm(x: torch.Tensor, norm: nn.BatchNorm1d) -> torch.Tensor:
    """Batch norm of groups, each with statistics of its own, as if called one after the other.

    Args:
        x: [n_groups, n, dim].
        norm: in training, its running statistics take in the groups in their order.

    Returns:
        [n_groups, n, dim].
    """
    n_groups, n, dim = x.shape
    if not norm.training:
        return norm(x.reshape(n_groups * n, dim)).view_as(x)
    flat = x.transpose(0, 1).reshape(n, n_groups * dim)
    # With a momentum of one the buffers receive the statistics of this batch themselves.
    mean, var = flat.new_zeros(2, n_groups * dim)
    weight, bias = norm.weight.repeat(n_groups), norm.bias.repeat(n_groups)
    out = F.batch_norm(flat, mean, var, weight, bias, training=True, momentum=1.0, eps=norm.eps)
    _take_in(norm, mean.view(n_groups, dim), var.view(n_groups, dim))
    return out.view(n, n_groups, dim).transpose(0, 1)


@torch.no_grad()
def _take_in(norm: nn.BatchNorm1d, mean: torch.Tensor, var: torch.Tensor) -> None:
    """Running statistics after a call with each row of statistics [n_groups, dim] in turn."""
    n_groups, momentum = len(mean), norm.momentum
    age = torch.arange(n_groups - 1, -1, -1, device=mean.device, dtype=mean.dtype)
    share = momentum * (1 - momentum) ** age  # of each group in what the calls leave behind
    for running, new in ((norm.running_mean, mean), (norm.running_var, var)):
        running.mul_((1 - momentum) ** n_groups).add_(share @ new)
    norm.num_batches_tracked += n_groups


def through(stack: Sequence[nn.Module], x: torch.Tensor) -> torch.Tensor:
    """Layers applied to groups [n_groups, n, dim], each as a call of its own, in order."""
    layers = list(stack)
    while layers:
        layer = layers.pop(0)
        if not isinstance(layer, nn.BatchNorm1d):
            x = layer(x)
            continue
        fuses = bool(layers) and isinstance(layers[0], nn.Mish) and x.device.type == "cpu"
        if not (fuses and layer.training):
            x = grouped_batch_norm(x, layer)
            continue
        del layers[0]
        n = x.shape[1]
        x, mean, var = normed_mish(x, layer.weight, layer.bias, layer.eps)
        _take_in(layer, mean, var * (n / (n - 1)))
    return x


def mean_through(stack: nn.Sequential, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted mean over the groups of what the stack makes of each.

    Args:
        stack: layers, the last one linear, or none.
        x: [n_groups, n, dim].
        weights: [n, n_groups] of 0 and 1, whether a group counts.

    Returns:
        [n, dim]; zero where no group counts.
    """
    share = weights / (weights.sum(dim=1, keepdim=True) + TINY)
    *body, last = stack if len(stack) else [None]
    mean = torch.bmm(share[:, None], through(body, x).transpose(0, 1))[:, 0]  # [n, dim]
    if last is None:
        return mean
    return F.linear(mean, last.weight) + share.sum(dim=1, keepdim=True) * last.bias


def gate_by_tuples(
    vectors: Sequence[torch.Tensor],
    available: torch.Tensor,
    first: nn.Linear,
    shared: nn.Sequential,
    after: nn.Sequential,
    units: Sequence[nn.Module],
    include_self: bool = True,
) -> list[torch.Tensor]:
    """Gate every expert c by the mean of g over all pairs (c, m), or all triplets (c, a, b).

        mask_c = h( mean over m of g_shared(g_1([v_c ; v_m])) ),    v_c <- unit_c(v_c, mask_c)

    Args:
        vectors: for every expert [n, dim] unit rows.
        available: [n, n_experts] of 0 and 1; a tuple counts where all its experts are there.
        first: g_1, dim times 2 (pairs) or times 3 (triplets) to dim.
        shared: the rest of g.
        after: h, applied to the mean.
        units: gates v_c by mask_c, one for each expert.
        include_self: whether c itself is among its partners; for triplets without it, a and b
            differ too.

    Returns:
        for every expert [n, dim].

    Source: Liu et al., BMVC 2019, equation 2; order and batch norms as in the released code.
    """
    dim, n_experts = vectors[0].shape[1], len(vectors)
    blocks = first.weight.split(dim, dim=1)  # of v_c and of its one or two partners
    # One product for all experts; the bias goes with v_c, which is never gated when its turn comes.
    together = torch.stack(list(vectors))  # [n_experts, n, dim]
    own = F.linear(together, blocks[0], first.bias).unbind()
    partners = [list(F.linear(together, block).unbind()) for block in blocks[1:]]
    gated = list(vectors)
    for c in range(n_experts):
        tuples = _tuples(c, n_experts, len(partners), include_self)
        x = own[c]
        weights = available[:, c, None]
        for place, projected in enumerate(partners):
            chosen = [members[place] for members in tuples]
            x = torch.stack([projected[m] for m in chosen]).add_(x)  # [n_tuples, n, dim]
            weights = weights * available[:, chosen]
        mask = after(mean_through(shared, x, weights))
        gated[c] = units[c](gated[c], mask)
        if c + 1 < n_experts:  # those that come later see it gated
            for projected, block in zip(partners, blocks[1:], strict=True):
                projected[c] = F.linear(gated[c], block)
    return gated


def _tuples(c: int, n_experts: int, n_partners: int, include_self: bool) -> list[tuple[int, ...]]:
    """Partners of expert c in the order of the released code's calls."""
    everyone = range(n_experts)
    if n_partners == 1:
        return [(m,) for m in everyone if include_self or m != c]
    pairs = [(a, b) for a in everyone for b in everyone]
    return [(a, b) for a, b in pairs if include_self or (a != b and c not in (a, b))]


def mean_of_available(vectors: Sequence[torch.Tensor], available: torch.Tensor) -> torch.Tensor:
    """[n, dim]: for every video the mean of the experts that it has."""
    weights = available / available.sum(dim=1, keepdim=True)
    return torch.bmm(weights[:, None], torch.stack(list(vectors), dim=1))[:, 0]


def gate_by_mean(
    fused: torch.Tensor,
    vectors: Sequence[torch.Tensor],
    available: torch.Tensor,
    shared: nn.Sequential,
    after: nn.Sequential,
    units: Sequence[nn.Module],
) -> list[torch.Tensor]:
    """Gate every expert c by what g makes of it and of the mean of all, fused beforehand.

        mask_c = h( a_c g_shared(fused_c) ),    v_c <- unit_c(v_c, mask_c)

    Nothing depends on another expert's gated vector here, so all experts go at once.

    Args:
        fused: [n_experts, n, dim].
        vectors, available, shared, after, units: as in `gate_by_tuples`.

    Returns:
        for every expert [n, dim].
    """
    masks = through(after, through(shared, fused) * available.T[..., None])
    return [unit(v, mask) for v, unit, mask in zip(vectors, units, masks, strict=True)]
