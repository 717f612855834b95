"""Names and settings of a config -> optimisers and schedules, on the official trajectories."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.optim.adamw import adamw
from torch.optim.lr_scheduler import LRScheduler, StepLR

from retrieval.errors import SettingsError

PART = 1 << 17  # numbers, 0.5 MiB


class RAdam(torch.optim.Optimizer):
    """Adam whose step is rectified while its variance is still uncertain; decoupled weight decay.

        rho = rho_inf - 2 t b2^t / (1 - b2^t),    rho_inf = 2 / (1 - b2) - 1
        p <- p - lr wd p
        p <- p - lr r m / (1 - b1^t) sqrt(1 - b2^t) / (sqrt(v) + eps)        where rho > 5
        p <- p - lr m / (1 - b1^t)                                            before
        r^2 = (rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho)

    `torch.optim.RAdam` goes the same way, but through memory about thirty times a step. One step
    of fused AdamW is the same as one of these if its settings change with t, and takes one pass:

        lr' = lr r,    wd' = wd / r,    eps' = eps / sqrt(1 - b2^t)

    Source: Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", ICLR 2020,
    algorithm 2, with the epsilon and the decay of the authors' code.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        if not (lr > 0 and eps > 0 and weight_decay >= 0 and all(0 <= b < 1 for b in betas)):
            raise SettingsError(
                f"expected lr and eps > 0, weight_decay >= 0, betas in 0..1, got lr {lr}, eps "
                f"{eps}, weight_decay {weight_decay}, betas {betas}"
            )
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Move every parameter that has a gradient; the others' step counters stay."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            alike: dict[tuple[int, torch.device], list[torch.Tensor]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    if not self.state[p]:
                        self.state[p].update(self._fresh(p))
                    self.state[p]["step"] += 1
                    alike[self.state[p]["step"], p.device].append(p)
            for (t, _), params in alike.items():
                self._move(group, t, params)
        return loss

    def _fresh(self, p: torch.Tensor) -> dict[str, Any]:
        return {"step": 0, "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}

    def _move(self, group: Mapping[str, Any], t: int, params: list[torch.Tensor]) -> None:
        """Step number t, counted from 1, of parameters on one device."""
        (beta1, beta2), lr, decay = group["betas"], group["lr"], group["weight_decay"]
        grads = [p.grad for p in params]
        means = [self.state[p]["exp_avg"] for p in params]
        squares = [self.state[p]["exp_avg_sq"] for p in params]
        rho_inf = 2 / (1 - beta2) - 1
        rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
        if rho > 5:
            ratio = (rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)
            rectified = math.sqrt(ratio)
            steps = torch.full((len(params),), float(t - 1), device=params[0].device)
            adamw(
                params,
                grads,
                means,
                squares,
                [],
                list(steps.unbind()),
                fused=True,
                amsgrad=False,
                beta1=beta1,
                beta2=beta2,
                lr=lr * rectified,
                weight_decay=decay / rectified,
                eps=group["eps"] / math.sqrt(1 - beta2**t),
                maximize=False,
            )
            return
        if decay:
            torch._foreach_mul_(params, 1 - lr * decay)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, grads, grads, 1 - beta2)
        torch._foreach_mul_(means, beta1)
        torch._foreach_add_(means, grads, alpha=1 - beta1)
        torch._foreach_add_(params, means, alpha=-lr / (1 - beta1**t))


class Ranger(RAdam):
    """RAdam, pulled back every k steps half the way to where it was k steps before.

        every k steps:    slow <- slow + alpha (p - slow),    p <- slow

    Slow weights start as the parameter before its first step.

    Source: Zhang et al., "Lookahead Optimizer: k steps forward, 1 step back", NeurIPS 2019,
    algorithm 1, with the defaults of the official code.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.95, 0.999),
        eps: float = 1e-5,
        weight_decay: float = 0.0,
        alpha: float = 0.5,
        k: int = 6,
    ) -> None:
        if not (0 <= alpha <= 1 and k >= 1):
            raise SettingsError(f"expected alpha in 0..1 and k >= 1, got {alpha} and {k}")
        super().__init__(params, lr, betas, eps, weight_decay)
        self.defaults |= {"alpha": alpha, "k": k}
        for group in self.param_groups:
            group.setdefault("alpha", alpha)
            group.setdefault("k", k)

    def _fresh(self, p: torch.Tensor) -> dict[str, Any]:
        return {**super()._fresh(p), "slow_buffer": p.detach().clone()}

    def _move(self, group: Mapping[str, Any], t: int, params: list[torch.Tensor]) -> None:
        super()._move(group, t, params)
        if t % group["k"] == 0:
            for p in params:
                for part, slow in _parts(p, self.state[p]["slow_buffer"]):
                    slow.add_(part.sub_(slow), alpha=group["alpha"])
                    part.copy_(slow)


def _parts(p: torch.Tensor, slow: torch.Tensor) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
    """Both whole, or on the CPU in parts that stay in the cache over several operations."""
    if p.device.type == "cpu" and p.is_contiguous() and slow.is_contiguous():
        return zip(p.view(-1).split(PART), slow.view(-1).split(PART), strict=True)
    return [(p, slow)]


class CosineRestarts(LRScheduler):
    """Half a cosine from the learning rate down to `eta_min`, again and again.

    Args:
        optimizer: whose learning rates are set.
        T_max: epochs of the first fall.
        T_mult: how much longer each fall is than the one before; a restart is at a whole epoch.
        eta_min: lowest learning rate.
        last_epoch: epochs done, -1 for a start.

    Source: Loshchilov and Hutter, "SGDR", ICLR 2017, equation 5; names as in official configs.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        T_max: float,
        T_mult: float = 1.0,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        if T_max <= 0 or T_mult < 1:
            raise SettingsError(f"expected T_max > 0 and T_mult >= 1, got {T_max} and {T_mult}")
        self.T_max, self.T_mult, self.eta_min = T_max, T_mult, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Learning rate of each group in this epoch."""
        done, length = self.last_epoch, self.T_max
        while done >= length:
            done -= math.ceil(length)
            length *= self.T_mult
        high = (1 + math.cos(math.pi * done / length)) / 2
        return [self.eta_min + (base - self.eta_min) * high for base in self.base_lrs]


OPTIMISERS = {"RAdam": RAdam, "Ranger": Ranger}
SCHEDULES = {"StepLR": StepLR, "CosineAnnealingWithRestartsLR": CosineRestarts}


def get_optimiser(
    name: str, params: Iterable[Any], settings: Mapping[str, Any]
) -> torch.optim.Optimizer:
    """Build an optimiser by the name that a config gives it.

    Args:
        name: one of `OPTIMISERS`, else a class of `torch.optim`.
        params: of the model.
        settings: for example {"lr": 0.1, "weight_decay": 0.001}.

    Raises:
        SettingsError: unknown name or settings.
    """
    found = OPTIMISERS.get(name) or getattr(torch.optim, name, None)
    if not (isinstance(found, type) and issubclass(found, torch.optim.Optimizer)):
        raise SettingsError(
            f"unknown optimiser {name!r}; available: {', '.join(OPTIMISERS)} and those of "
            "torch.optim, for example AdamW"
        )
    return _made(found, name, params, settings)


def get_schedule(
    name: str, optimiser: torch.optim.Optimizer, settings: Mapping[str, Any]
) -> LRScheduler:
    """Build a schedule, stepped once an epoch, by the name that a config gives it.

    Raises:
        SettingsError: unknown name or settings.
    """
    if name not in SCHEDULES:
        raise SettingsError(f"unknown lr_scheduler {name!r}; available: {', '.join(SCHEDULES)}")
    return _made(SCHEDULES[name], name, optimiser, settings)


def _made(kind: type, name: str, first: Any, settings: Mapping[str, Any]) -> Any:
    try:
        return kind(first, **settings)
    except TypeError as error:
        raise SettingsError(f"{name} does not take {dict(settings)}: {error}") from error
