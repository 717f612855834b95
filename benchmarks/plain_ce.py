"""Full Collaborative Experts as its definition reads, in ordinary PyTorch: what `ce_step.py` beats.

Written for the reader, not for the clock, and not against it either: whole batches everywhere, in
place where the public optimiser is, one call of the reasoning network for every pair of experts,
one layer after the other. Names of parameters are those of `retrieval.models`, so that both start
from the same weights.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from retrieval.models import CEConfig


class Mish(nn.Module):
    """By its formula, which on the CPU takes two thirds of the time of `nn.Mish` both ways."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.tanh(F.softplus(x))


class NetVLAD(nn.Module):
    """Tokens -> sums of residuals to clusters, each of length one, then the whole."""

    def __init__(self, dim: int, n_clusters: int, n_ghosts: int = 0) -> None:
        super().__init__()
        self.n_clusters = n_clusters
        self.clusters = nn.Parameter(torch.randn(dim, n_clusters + n_ghosts) / dim**0.5)
        self.clusters2 = nn.Parameter(torch.randn(1, dim, n_clusters) / dim**0.5)
        self.batch_norm = nn.BatchNorm1d(n_clusters + n_ghosts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, n_tokens, dim = x.shape
        assigned = F.softmax(self.batch_norm(x.reshape(-1, dim) @ self.clusters), dim=1)
        assigned = assigned[:, : self.n_clusters].view(n, n_tokens, self.n_clusters)
        sums = torch.bmm(x.transpose(1, 2), assigned)
        sums = sums - assigned.sum(dim=1, keepdim=True) * self.clusters2
        return F.normalize(F.normalize(sums, dim=1).flatten(1))


class ContextGating(nn.Module):
    """A gated linear unit over [x, batch_norm(W x + b)]."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc, self.batch_norm = nn.Linear(dim, dim), nn.BatchNorm1d(dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.glu(torch.cat([x, self.batch_norm(self.fc(x))], dim=1), dim=1)


class ReasonedGating(nn.Module):
    """A gated linear unit over [x, batch_norm(mask) + batch_norm2(W x + b)]."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc = nn.Linear(dim, dim)
        self.batch_norm, self.batch_norm2 = nn.BatchNorm1d(dim), nn.BatchNorm1d(dim)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        gate = self.batch_norm(mask) + self.batch_norm2(self.fc(x))
        return F.glu(torch.cat([x, gate], dim=1), dim=1)


class Unit(nn.Module):
    """A projection, a gate, or both; unit rows."""

    def __init__(self, fc: nn.Module | None = None, cg: nn.Module | None = None) -> None:
        super().__init__()
        if fc is not None:
            self.fc = fc
        if cg is not None:
            self.cg = cg

    def forward(self, x: torch.Tensor, *mask: torch.Tensor) -> torch.Tensor:
        if hasattr(self, "fc"):
            x = self.fc(x)
        if hasattr(self, "cg"):
            x = self.cg(x, *mask)
        return F.normalize(x)


class Inner(nn.Module):
    """What works on pooled captions and experts."""

    def __init__(self, config: CEConfig) -> None:
        super().__init__()
        dim, text_dim, experts = config.shared_dim, config.text_pooled_dim, config.experts
        self.moe_fc = nn.Linear(text_dim, len(experts))
        self.video_dim_reduce = nn.ModuleList(Unit(nn.Linear(e.pooled_dim, dim)) for e in experts)
        self.g_reason_1 = nn.Linear(2 * dim, dim)
        layers: list[nn.Module] = []
        for _ in range(config.n_g_layers - 1):
            layers += [nn.BatchNorm1d(dim), Mish(), nn.Linear(dim, dim)]
        self.g_reason_shared = nn.Sequential(*layers)
        self.video_GU = nn.ModuleList(Unit(cg=ReasonedGating(dim)) for _ in experts)
        self.text_GU = nn.ModuleList(
            Unit(nn.Linear(text_dim, dim), ContextGating(dim)) for _ in experts
        )


class PlainCE(nn.Module):
    """Pairwise gating with itself among the partners, Mish and batch norm, as all configs say."""

    def __init__(self, config: CEConfig) -> None:
        super().__init__()
        self.config = config
        self.pooling = nn.ModuleDict(
            {e.name: NetVLAD(e.dim, e.clusters) for e in config.experts if e.clusters}
        )
        self.text_pooling = NetVLAD(config.text_dim, config.text_clusters, config.text_ghosts)
        self.ce = Inner(config)

    def texts(self, text: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """[n, 1, n_words, text_dim] -> expert -> [n, dim], and weights [n, n_experts]."""
        pooled = self.text_pooling(text[:, 0])
        units = zip(self.config.names, self.ce.text_GU, strict=True)
        return {name: unit(pooled) for name, unit in units}, self.ce.moe_fc(pooled).softmax(dim=1)

    def videos(self, experts: dict, ind: dict) -> dict[str, torch.Tensor]:
        """Expert -> [n, dim]."""
        names, ce = self.config.names, self.ce
        emb = {}
        for name, reduce in zip(names, ce.video_dim_reduce, strict=True):
            x = experts[name].clone()
            x[ind[name] == 0] = 0
            emb[name] = reduce(self.pooling[name](x) if name in self.pooling else x)
        for c, unit in zip(names, ce.video_GU, strict=True):
            total, count = 0, 0
            for m in names:
                h = ce.g_reason_shared(ce.g_reason_1(torch.cat([emb[c], emb[m]], dim=1)))
                there = ind[c].float() * ind[m].float()
                total, count = total + h * there[:, None], count + there
            emb[c] = unit(emb[c], total / (count + 1e-11)[:, None])
        return emb

    def sims(self, text: dict, weights: torch.Tensor, video: dict, ind: dict) -> torch.Tensor:
        """[n, n], with the weights of every text for every video."""
        names = self.config.names
        available = torch.stack([ind[name].float() for name in names], dim=1)
        shares = weights[:, None] * available[None]  # [n, n, n_experts]
        shares = shares / shares.sum(dim=2, keepdim=True)
        sims = 0
        for m, name in enumerate(names):
            sims = sims + shares[:, :, m] * (text[name] @ video[name].T)
        return sims


class PlainRanger(torch.optim.Optimizer):
    """RAdam with Lookahead, parameter by parameter, operation by operation, as the public one."""

    def __init__(self, params: list, lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        b1, b2, eps, alpha, k = 0.95, 0.999, 1e-5, 0.5, 6
        for group in self.param_groups:
            lr, decay = group["lr"], group["weight_decay"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                s = self.state[p]
                if not s:
                    s.update(t=0, m=torch.zeros_like(p), v=torch.zeros_like(p), slow=p.clone())
                s["t"] += 1
                s["v"].mul_(b2).addcmul_(p.grad, p.grad, value=1 - b2)
                s["m"].mul_(b1).add_(p.grad, alpha=1 - b1)
                t, rho_inf = s["t"], 2 / (1 - b2) - 1
                rho = rho_inf - 2 * t * b2**t / (1 - b2**t)
                p.add_(p, alpha=-lr * decay)
                if rho > 5:
                    r = (rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)
                    size = math.sqrt((1 - b2**t) * r) / (1 - b1**t)
                    p.addcdiv_(s["m"], s["v"].sqrt().add_(eps), value=-lr * size)
                else:
                    p.add_(s["m"], alpha=-lr / (1 - b1**t))
                if t % k == 0:
                    s["slow"].add_(p - s["slow"], alpha=alpha)
                    p.copy_(s["slow"])
