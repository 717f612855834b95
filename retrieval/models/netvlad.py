"""Tokens of a caption or of an expert -> one vector of fixed length, by soft assignment."""

import math

import torch
from torch import nn

TINY = 1e-12  # shortest length that is divided by


class NetVLAD(nn.Module):
    """Sum of residuals to learned clusters; ghost clusters take up tokens that say nothing.

        A[n, k] = softmax over the K + G clusters of batch_norm(x[n] . clusters[:, k])
        V[:, k] = sum over n of A[n, k] (x[n] - clusters2[:, k])        for the K real clusters

    Each V[:, k] is scaled to length one, then the whole. Padding tokens (zeros) take part, in the
    batch statistics too, so the padded length changes results: as in the released code.

    Source: Arandjelovic et al., "NetVLAD", CVPR 2016, equation 4; Zhong et al., "GhostVLAD", ACCV
    2018, section 3.1.
    """

    def __init__(self, dim: int, n_clusters: int, n_ghosts: int = 0) -> None:
        """Make the clusters.

        Args:
            dim: length of a token.
            n_clusters: clusters whose residuals are kept.
            n_ghosts: clusters whose residuals are dropped.
        """
        super().__init__()
        self.dim, self.n_clusters = dim, n_clusters
        # A product, not a quotient: of one seed come the very bits of the released code.
        scale = 1 / math.sqrt(dim)
        self.clusters = nn.Parameter(scale * torch.randn(dim, n_clusters + n_ghosts))
        self.batch_norm = nn.BatchNorm1d(n_clusters + n_ghosts)
        self.clusters2 = nn.Parameter(scale * torch.randn(1, dim, n_clusters))

    @property
    def out_dim(self) -> int:
        """Length of the pooled vector."""
        return self.dim * self.n_clusters

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pool [n, n_tokens, dim] into [n, dim * n_clusters] unit rows, clusters fastest."""
        n, n_tokens, dim = x.shape
        if dim != self.dim:
            raise ValueError(f"tokens have {dim} numbers, expected {self.dim}; check the features")
        assigned = self.batch_norm(x.reshape(n * n_tokens, dim) @ self.clusters).softmax(dim=1)
        assigned = assigned[:, : self.n_clusters].reshape(n, n_tokens, self.n_clusters)
        residuals = torch.bmm(x.transpose(1, 2), assigned)  # [n, dim, n_clusters]
        residuals = residuals.addcmul(assigned.sum(dim=1, keepdim=True), self.clusters2, value=-1)
        # Both lengths follow from the clusters' lengths, so the large array is scaled once.
        length = torch.linalg.vector_norm(residuals, dim=1, keepdim=True)  # [n, 1, n_clusters]
        inner = length.clamp_min(TINY)
        outer = torch.linalg.vector_norm(length / inner, dim=2, keepdim=True).clamp_min(TINY)
        return (residuals * (inner * outer).reciprocal()).flatten(1)
