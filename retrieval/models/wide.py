"""One input -> its products with wide weight matrices, the way the processor's cache likes them.

Pooled captions have 21,504 numbers, and nine layers read them: more than half of the arithmetic of
a training step. Two of the three products that this takes are slow when one core is asked for them
plainly with few rows, because the library repacks the weights:

- forward, the weights go first: y^T = W x^T, with x transposed once for all layers;
- the gradient of the input is summed up in place, for all layers, on one core in tiles of the
  weights; several share out a whole product, and would wait for each other at every tile.

The numbers are those of `F.linear` but for the order in which products are summed.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

TILE_ROWS, TILE_COLUMNS = 128, 2048  # of the weights; 1 MiB, as the summed part of the gradient


def linears(x: torch.Tensor, layers: Sequence[nn.Linear]) -> list[torch.Tensor]:
    """Apply every layer to the same input.

    Args:
        x: [n, in_dim].
        layers: from in_dim to any dims.

    Returns:
        for every layer [n, out_dim].
    """
    if x.device.type != "cpu":
        return [layer(x) for layer in layers]
    products = _Products.apply(x, *(layer.weight for layer in layers))
    return [y + layer.bias for y, layer in zip(products, layers, strict=True)]


class _Products(torch.autograd.Function):
    """x [n, in_dim] and matrices W [out_dim, in_dim] -> x W^T of each."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, *weights: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ctx.save_for_backward(x, *weights)
        ctx.set_materialize_grads(False)  # an optimiser leaves weights alone that were not used
        turned = x.T.contiguous()
        return tuple((w @ turned).T.contiguous() for w in weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        x, *weights = ctx.saved_tensors
        needs_x, *needs = ctx.needs_input_grad
        of_weights = [
            g.T @ x if need and g is not None else None
            for g, need in zip(grads, needs, strict=True)
        ]
        used = [(g, w) for g, w in zip(grads, weights, strict=True) if g is not None]
        if not (needs_x and used):
            return None, *of_weights
        of_x = torch.zeros_like(x)
        if torch.get_num_threads() > 1:
            for g, w in used:
                of_x.addmm_(g, w)
            return of_x, *of_weights
        for start in range(0, x.shape[1], TILE_COLUMNS):
            columns = slice(start, start + TILE_COLUMNS)
            part = of_x[:, columns]
            for g, w in used:
                tiles = zip(g.split(TILE_ROWS, dim=1), w[:, columns].split(TILE_ROWS), strict=True)
                for g_rows, tile in tiles:
                    part.addmm_(g_rows, tile)
        return of_x, *of_weights
