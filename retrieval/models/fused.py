"""Batch norm and Mish of many groups of vectors, in one visit to memory.

One group of 128 vectors of 768 numbers fits the processor's cache, all groups of an expert do not:
so each group goes through all operations before the next. The derivative of Mish is computed on
the way, from the same exponential, and kept.

    mish(z) = z t,   t = tanh(log(1 + e)) = u / (u + 2),   u = e (e + 2),   e = exp(z)
    mish'(z) = t + 4 z (u - e) / (u + 2)^2
"""

from typing import Any

import torch
from torch.autograd.function import once_differentiable

LINEAR_FROM = 20.0  # mish(z) = z above, to double precision; keeps the squares finite


def normed_mish(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mish of each group's batch norm by its own statistics.

    Args:
        x: [n_groups, n, dim].
        weight, bias: [dim], of the batch norm.
        eps: added to the variances.

    Returns:
        [n_groups, n, dim], and the groups' means and biased variances [n_groups, dim], which
        carry no gradient.
    """
    return _NormedMish.apply(x, weight, bias, eps)


class _NormedMish(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        n_groups, n, dim = x.shape
        normed, slope, out = (torch.empty_like(x, memory_format=torch.contiguous_format)
                              for _ in range(3))  # fmt: skip
        mean, var, scale = (x.new_empty(n_groups, dim) for _ in range(3))
        z, e, u = (x.new_empty(n, dim) for _ in range(3))
        for i in range(n_groups):
            torch.mean(x[i], dim=0, out=mean[i])
            torch.sub(x[i], mean[i], out=normed[i])
            torch.mean(torch.mul(normed[i], normed[i], out=z), dim=0, out=var[i])
            torch.rsqrt(var[i] + eps, out=scale[i])
            torch.addcmul(bias, normed[i].mul_(scale[i]), weight, out=z)
            torch.clamp(z, max=LINEAR_FROM, out=e).exp_()
            torch.add(e, 2, out=u).mul_(e)
            torch.sub(u, e, out=e)
            r = torch.add(u, 2, out=out[i]).reciprocal_()
            t = u.mul_(r)
            torch.addcmul(t, e.mul_(r).mul_(z), r, value=4, out=slope[i])
            torch.mul(z, t, out=out[i])
        ctx.save_for_backward(normed, slope, scale, weight)
        ctx.mark_non_differentiable(mean, var)
        return out, mean, var

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor, *_: Any) -> tuple[torch.Tensor | None, ...]:
        normed, slope, scale, weight = ctx.saved_tensors
        of_x = torch.empty_like(normed)
        of_weight, of_bias = torch.zeros_like(weight), torch.zeros_like(weight)
        work = torch.empty_like(normed[0])
        n = normed.shape[1]
        for i in range(len(normed)):
            g = torch.mul(grad[i], slope[i], out=of_x[i])
            total = g.sum(dim=0)
            along = torch.mul(g, normed[i], out=work).sum(dim=0)
            of_bias += total
            of_weight += along
            g.addcmul_(normed[i], along, value=-1 / n).sub_(total / n).mul_(scale[i] * weight)
        return of_x, of_weight, of_bias, None
