"""Building blocks of the Collaborative Experts family: vectors -> gated unit vectors.

The attributes' names are those of the released state dicts.
"""

import torch
import torch.nn.functional as F
from torch import nn

from retrieval.models.wide import linears


class ContextGating(nn.Module):
    """Each entry of x, times how much of it the others let through.

        y = x * sigmoid(batch_norm(W x + b))

    Source: Miech et al., "Learning a Text-Video Embedding from Incomplete and Heterogeneous Data",
    2018, equation 2; the batch norm as in the released code.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc = nn.Linear(dim, dim)
        self.batch_norm = nn.BatchNorm1d(dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Gate [n, dim]."""
        return x * _normed(self.fc, self.batch_norm, x).sigmoid()


class GatedEmbeddingUnit(nn.Module):
    """A projection, gated, as unit rows; equations 1 to 3 of the same source."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.fc = nn.Linear(in_dim, out_dim)
        self.cg = ContextGating(out_dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n, in_dim] -> [n, out_dim] unit rows."""
        return self.gate(linears(x, [self.fc])[0])

    def gate(self, projected: torch.Tensor) -> torch.Tensor:
        """The same from what `fc` gives."""
        return F.normalize(self.cg(projected))


class GateOnly(nn.Module):
    """A gated embedding unit without its projection, for what is in the shared space already."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.cg = ContextGating(dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n, dim] -> [n, dim] unit rows."""
        return F.normalize(self.cg(x))


class ReduceDim(nn.Module):
    """A projection into the shared space, as unit rows."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.fc = nn.Linear(in_dim, out_dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n, in_dim] -> [n, out_dim] unit rows."""
        return F.normalize(linears(x, [self.fc])[0])


class _ReasonedGating(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc = nn.Linear(dim, dim)
        self.batch_norm = nn.BatchNorm1d(dim)  # of the mask
        self.batch_norm2 = nn.BatchNorm1d(dim)  # of the vector's own projection

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        of_own = _normed(self.fc, self.batch_norm2, x)
        return x * (self.batch_norm(mask) + of_own).sigmoid()


class ReasonedUnit(nn.Module):
    """Gates a vector by itself and by what the other experts say of it (`mask`), as unit rows.

        y = x * sigmoid(batch_norm(mask) + batch_norm2(W x + b))

    Source: Liu et al., "Use What You Have: Video Retrieval Using Representations From
    Collaborative Experts", BMVC 2019, equation 3; the batch norms as in the released code.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.cg = _ReasonedGating(dim)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Gate [n, dim] by a mask [n, dim]."""
        return F.normalize(self.cg(x, mask))


def _normed(layer: nn.Linear, norm: nn.BatchNorm1d, x: torch.Tensor) -> torch.Tensor:
    """A layer, then its batch norm, which cancels the layer's bias by the statistics of the batch.

    So the bias's gradient is zero, but for what rounding leaves of it; on that Adam and its like,
    which divide a gradient by its size, would walk. Here it is zero.
    """
    bias = layer.bias.detach() + 0 * layer.bias if norm.training else layer.bias
    return norm(F.linear(x, layer.weight, bias))


def non_linearity(use_mish: bool) -> nn.Module:
    """Mish, x tanh(softplus(x)), or ReLU; neither has parameters, both hold a place in a stack."""
    return nn.Mish() if use_mish else nn.ReLU()


def reasoning_stack(n_layers: int, dim: int, use_mish: bool, use_bn: bool) -> nn.Sequential:
    """n_layers times [batch norm, non-linearity, linear]; identity for 0."""
    layers: list[nn.Module] = []
    for _ in range(n_layers):
        layers += [nn.BatchNorm1d(dim)] if use_bn else []
        layers += [non_linearity(use_mish), nn.Linear(dim, dim)]
    return nn.Sequential(*layers)
