"""The Collaborative Experts family written slowly, in float64, call by call as it is defined.

Works on a dict of arrays named as in a state dict; training updates the running statistics in it.
"""

import itertools
import math

import numpy as np

from retrieval.models import CEConfig

Arrays = dict[str, np.ndarray]


def unit(x: np.ndarray) -> np.ndarray:
    """Rows of length one; a row of zeros stays."""
    return x / np.maximum(np.sqrt((x * x).sum(axis=-1, keepdims=True)), 1e-12)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


class SlowCE:
    """One network; `state` holds its parameters and running statistics."""

    def __init__(self, config: CEConfig, state: Arrays, training: bool) -> None:
        self.config, self.state, self.training = config, state, training

    def batch_norm(self, name: str, x: np.ndarray) -> np.ndarray:
        """[n, dim], momentum 0.1, unbiased variance in the running one."""
        s = self.state
        if self.training:
            mean, var = x.mean(axis=0), x.var(axis=0)
            s[f"{name}.running_mean"] = 0.9 * s[f"{name}.running_mean"] + 0.1 * mean
            unbiased = var * len(x) / (len(x) - 1)
            s[f"{name}.running_var"] = 0.9 * s[f"{name}.running_var"] + 0.1 * unbiased
            s[f"{name}.num_batches_tracked"] = s[f"{name}.num_batches_tracked"] + 1
        else:
            mean, var = s[f"{name}.running_mean"], s[f"{name}.running_var"]
        return (x - mean) / np.sqrt(var + 1e-5) * s[f"{name}.weight"] + s[f"{name}.bias"]

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]

    def non_linear(self, x: np.ndarray) -> np.ndarray:
        return x * np.tanh(np.log1p(np.exp(x))) if self.config.use_mish else np.maximum(x, 0)

    def stack(self, name: str, n_layers: int, x: np.ndarray) -> np.ndarray:
        place = 0
        for _ in range(n_layers):
            if self.config.use_bn_reason:
                x = self.batch_norm(f"{name}.{place}", x)
                place += 1
            x = self.linear(f"{name}.{place + 1}", self.non_linear(x))
            place += 2
        return x

    def vlad(self, name: str, x: np.ndarray) -> np.ndarray:
        """[n, n_tokens, dim] -> [n, dim * clusters], item by item."""
        clusters, centres = self.state[f"{name}.clusters"], self.state[f"{name}.clusters2"][0]
        dim, k = centres.shape
        n, n_tokens, _ = x.shape
        rows = np.array([x[b, t] @ clusters for b in range(n) for t in range(n_tokens)])
        assigned = softmax(self.batch_norm(f"{name}.batch_norm", rows)).reshape(n, n_tokens, -1)
        out = np.zeros((n, dim, k))
        for b, t, c in itertools.product(range(n), range(n_tokens), range(k)):
            out[b, :, c] += assigned[b, t, c] * (x[b, t] - centres[:, c])
        for b, c in itertools.product(range(n), range(k)):
            out[b, :, c] /= max(math.sqrt((out[b, :, c] ** 2).sum()), 1e-12)
        return unit(out.reshape(n, dim * k))

    def gate(self, name: str, x: np.ndarray) -> np.ndarray:
        return unit(
            x * sigmoid(self.batch_norm(f"{name}.batch_norm", self.linear(f"{name}.fc", x)))
        )

    def gated_embedding(self, name: str, x: np.ndarray) -> np.ndarray:
        return self.gate(f"{name}.cg", self.linear(f"{name}.fc", x))

    def reasoned(self, name: str, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
        of_mask = self.batch_norm(f"{name}.cg.batch_norm", mask)
        of_own = self.batch_norm(f"{name}.cg.batch_norm2", self.linear(f"{name}.cg.fc", x))
        return unit(x * sigmoid(of_mask + of_own))

    def shared_g(self, x: np.ndarray) -> np.ndarray:
        return self.stack("ce.g_reason_shared", self.config.n_g_layers - 1, x)

    def masks_by_tuples(self, c: int, v: list[np.ndarray], a: np.ndarray) -> np.ndarray:
        everyone, include_self = range(len(v)), self.config.include_self
        if self.config.use_ce == "pairwise":
            partners = [(m,) for m in everyone if include_self or m != c]
        elif include_self:
            partners = list(itertools.product(everyone, repeat=2))
        else:
            partners = [p for p in itertools.permutations(everyone, 2) if c not in p]
        total, count = np.zeros_like(v[c]), np.zeros(len(a))
        for others in partners:
            h = self.linear("ce.g_reason_1", np.concatenate([v[i] for i in (c, *others)], axis=1))
            there = a[:, c] * np.prod([a[:, i] for i in others], axis=0)
            total += there[:, None] * self.shared_g(h)
            count += there
        return total / (count + 1e-11)[:, None]

    def mask_by_mean(self, c: int, v: list[np.ndarray], a: np.ndarray, mean: np.ndarray):
        both = np.concatenate([v[c], mean], axis=1)
        if self.config.use_ce == "pairwise-star":
            h = self.linear("ce.g_reason_1", both)
        elif self.config.use_ce == "pairwise-star-specific":
            own = f"ce.g_reason_unshared_weights.{c}"
            h = self.linear(f"{own}.g_reason_1_specific", both)
            h = self.linear(f"{own}.g_reason_2_specific", self.non_linear(h))
        else:
            left, right = self.linear("ce.dim_reduce", v[c]), self.linear("ce.dim_reduce", mean)
            outer = np.array([np.outer(x, y).ravel() for x, y in zip(left, right, strict=True)])
            h = self.linear("ce.g_reason_1", outer)
        return self.shared_g(h) * a[:, c, None]

    def videos(self, experts: Arrays, ind: Arrays) -> list[np.ndarray]:
        config, names = self.config, self.config.names
        v = []
        for expert in config.experts:
            x = experts[expert.name].astype(np.float64)
            x[ind[expert.name] == 0] = 0
            v.append(self.vlad(f"pooling.{expert.name}", x) if expert.clusters else x)
        a = np.stack([ind[name].astype(np.float64) for name in names], axis=1)
        n = len(v)
        if config.in_shared_space:
            v = [unit(self.linear(f"ce.video_dim_reduce.{i}.fc", v[i])) for i in range(n)]
        if config.use_ce:
            mean = sum(a[:, [i]] * v[i] for i in range(n)) / a.sum(axis=1, keepdims=True)
            for c in range(n):
                if config.use_ce in ("pairwise", "triplet"):
                    mask = self.masks_by_tuples(c, v, a)
                else:
                    mask = self.mask_by_mean(c, v, a, mean)
                mask = self.stack("ce.h_reason", config.n_h_layers, mask)
                v[c] = self.reasoned(f"ce.video_GU.{c}", v[c], mask)  # in place: later ones see it
        elif config.mimic_ce_dims:
            v = [self.gate(f"ce.video_GU.{i}.cg", v[i]) for i in range(n)]
        elif config.concat_mix_experts:
            v = [self.gated_embedding("ce.video_GU.0", np.concatenate(v, axis=1))]
        elif not config.concat_experts:
            v = [self.gated_embedding(f"ce.video_GU.{i}", v[i]) for i in range(n)]
        return v

    def sims(self, experts: Arrays, ind: Arrays, text: np.ndarray) -> np.ndarray:
        """Similarities entry by entry."""
        config, names = self.config, self.config.names
        n_texts, n_captions = text.shape[:2]
        flat = text.astype(np.float64).reshape(n_texts * n_captions, *text.shape[2:])
        pooled = self.vlad("text_pooling", flat) if config.text_clusters else flat[:, 0]
        if config.concat_experts:
            t = [pooled]
        else:
            n_units = 1 if config.concat_mix_experts else len(names)
            t = [self.gated_embedding(f"ce.text_GU.{i}", pooled) for i in range(n_units)]
        w = softmax(self.linear("ce.moe_fc", pooled))
        if config.freeze_weights:
            w = np.full_like(w, 1 / len(names))
        v = self.videos(experts, ind)
        out = np.zeros((len(flat), len(v[0])))
        if config.concat_experts or config.concat_mix_experts:
            t, v = t[0], np.concatenate(v, axis=1)
            if config.official_concat and t.shape[1] > v.shape[1]:
                return out
            for i, j in np.ndindex(out.shape):
                out[i, j] = sum(x * y for x, y in zip(t[i], v[j], strict=False))
            return out
        for i, j in np.ndindex(out.shape):
            shares = np.array([w[i, m] * ind[name][j] for m, name in enumerate(names)])
            shares = shares / shares.sum()
            if config.keep_missing_modalities:
                shares = np.ones(len(names))
            out[i, j] = sum(shares[m] * (t[m][i] @ v[m][j]) for m in range(len(names)))
        if self.training or config.test_caption_mode == "avg":
            out = out.reshape(n_texts, n_captions, -1).mean(axis=1)
        return out


def max_margin_by_definition(sims: np.ndarray, margin: float, fix_norm: bool) -> float:
    n, terms = len(sims), []
    for i, j in itertools.product(range(n), range(n)):
        if i == j and fix_norm:
            continue
        terms.append(max(0.0, margin - sims[i, i] + sims[i, j]))
        terms.append(max(0.0, margin - sims[i, i] + sims[j, i]))
    return sum(terms) / len(terms)


def distillation_by_definition(sims: np.ndarray, teachers: list[dict]) -> float:
    """Teachers as {"text": expert -> [n, dim], "video": expert -> [n, dim]}."""
    n, total = len(sims), 0.0
    for i, j in itertools.product(range(n), range(n)):
        each = [sum(t["text"][m][i] @ t["video"][m][j] for m in t["video"]) for t in teachers]
        x = abs(sims[i, j] - sum(each) / len(each))
        total += x * x / 2 if x < 1 else x - 0.5
    return total / n**2


def ranger_by_definition(
    p: float,
    gradients: list[float | None],
    lr: float,
    decay: float = 0.0,
    beta1: float = 0.95,
    beta2: float = 0.999,
    eps: float = 1e-5,
    alpha: float = 0.5,
    k: int | None = 6,
) -> list[float]:
    """One number on its way; a gradient of None is a step in which it had none; k None: RAdam."""
    m = v = 0.0
    t, slow, way = 0, p, []
    rho_inf = 2 / (1 - beta2) - 1
    for g in gradients:
        if g is not None:
            t += 1
            m = beta1 * m + (1 - beta1) * g
            v = beta2 * v + (1 - beta2) * g * g
            p -= lr * decay * p
            rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
            if rho > 5:
                r = (1 - beta2**t) * (rho - 4) / (rho_inf - 4) * (rho - 2) / rho
                r = math.sqrt(r * rho_inf / (rho_inf - 2)) / (1 - beta1**t)
                p -= lr * r * m / (math.sqrt(v) + eps)
            else:
                p -= lr * m / (1 - beta1**t)
            if k is not None and t % k == 0:
                slow += alpha * (p - slow)
                p = slow
        way.append(p)
    return way
