"""Slow definitions, written straight from the formulas, one loop per sum."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np


def inverted_softmax_by_definition(
    bank_sims: np.ndarray, sims: np.ndarray, beta: float
) -> np.ndarray:
    """IS_qj = exp(beta * S_qj) / sum_i exp(beta * B_ij), in double precision.

    Source: Smith et al., ICLR 2017.
    """
    out = np.zeros(sims.shape)
    for j in range(sims.shape[1]):
        mass = sum(math.exp(beta * float(b)) for b in bank_sims[:, j])
        for q in range(sims.shape[0]):
            out[q, j] = math.exp(beta * float(sims[q, j])) / mass
    return out


def activation_set_by_definition(bank_sims: np.ndarray, k: int) -> set[int]:
    """The union over bank rows of their k largest columns, the lowest column winning ties."""
    active = set()
    for row in bank_sims:
        active.update(sorted(range(len(row)), key=lambda j: (-row[j], j))[:k])
    return active


def qbnorm_by_definition(
    bank_sims: np.ndarray, sims: np.ndarray, beta: float, k: int
) -> np.ndarray:
    """The published dynamic inverted softmax: ratios in active rows, raw similarities elsewhere.

    Source: Bogolin et al., CVPR 2022.
    """
    active = activation_set_by_definition(bank_sims, k)
    ratios = inverted_softmax_by_definition(bank_sims, sims, beta)
    out = np.array(sims, dtype=np.float64)
    for q, row in enumerate(sims):
        best = min(range(len(row)), key=lambda j: (-row[j], j))
        if best in active:
            out[q] = ratios[q]
    return out


def log_mean_exp_by_definition(column: np.ndarray, beta: float) -> float:
    """log(mean(exp(beta * x))) / beta, with the largest exponent taken out."""
    peak = max(float(x) for x in column)
    terms = [math.expm1(beta * (float(x) - peak)) for x in column]
    return peak + math.log1p(math.fsum(terms) / len(terms)) / beta


def k_occurrence_by_definition(sims: np.ndarray, k: int) -> np.ndarray:
    """Count, row by row, the k best columns; the lowest column wins ties."""
    counts = np.zeros(sims.shape[1], dtype=np.int64)
    for row in sims:
        for j in sorted(range(len(row)), key=lambda j: (-row[j], j))[:k]:
            counts[j] += 1
    return counts


def skewness_by_definition(counts: np.ndarray) -> float:
    """Third standardised population moment."""
    n = len(counts)
    mu = sum(counts) / n
    second = sum((x - mu) ** 2 for x in counts) / n
    third = sum((x - mu) ** 3 for x in counts) / n
    return float(third / second**1.5)


def gini_by_definition(counts: np.ndarray) -> float:
    """Mean absolute difference of all pairs over twice the mean."""
    n = len(counts)
    differences = sum(abs(float(x) - float(y)) for x in counts for y in counts)
    return differences / (2 * n * float(sum(counts)))


def robin_hood_by_definition(counts: np.ndarray) -> float:
    """What the items above the mean have above it, over everything."""
    mu = sum(counts) / len(counts)
    return float(sum(x - mu for x in counts if x > mu) / sum(counts))


def t2v_rank_by_definition(row: np.ndarray, correct: int) -> float:
    """Mean of the places that the correct value's ties take in the sorted row, best is 1."""
    ordered = sorted((float(x) for x in row), reverse=True)
    places = [place for place, x in enumerate(ordered, start=1) if x == float(row[correct])]
    return sum(places) / len(places)


def v2t_rank_by_definition(column: np.ndarray, captions: list[int], mask: np.ndarray) -> float:
    """Best of the captions' ranks among all captions; masked ones are put last."""
    pushed_back = np.where(mask, column, -1e8)
    ranks = [t2v_rank_by_definition(pushed_back, i) for i in captions if mask[i]]
    return min(ranks, default=math.inf)


def summary_by_definition(ranks: np.ndarray) -> dict[str, float]:
    """The official aggregation, from 0-based ranks."""
    from_zero = [rank - 1 for rank in ranks]
    n = len(from_zero)
    out = {"R@1": 100 * sum(r == 0 for r in from_zero) / n}
    for depth in (5, 10, 50):
        out[f"R@{depth}"] = 100 * sum(r < depth for r in from_zero) / n
    ordered = sorted(from_zero)
    out["MdR"] = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2 + 1
    out["MnR"] = sum(from_zero) / n + 1
    out["Geom"] = (out["R@1"] * out["R@5"] * out["R@10"]) ** (1 / 3)
    return out


def sign_test_by_definition(helped: int, hurt: int) -> float:
    """Share of all 2^n outcomes at least as one-sided as this one."""
    n = helped + hurt
    as_far = sum(math.comb(n, x) for x in range(n + 1) if abs(2 * x - n) >= abs(helped - hurt))
    return as_far / 2**n


def sign_flip_by_definition(sums: np.ndarray) -> float:
    """Share of all ways to flip the units' signs whose total is at least as far from zero."""
    totals = [
        sum(sign * x for sign, x in zip(signs, sums.tolist(), strict=True))
        for signs in itertools.product((1, -1), repeat=len(sums))
    ]
    return sum(abs(total) >= abs(int(sums.sum())) for total in totals) / len(totals)


# ---- normalisers: NAME_scores(matrices, knobs...) -> [n_queries, n_gallery] published scores -----
#
# Additive ones are given as logarithms over beta, or halved, so that they are on the scale of the
# similarities: equal to ours up to a constant of each row.


@dataclass(frozen=True)
class Matrices:
    """Unit vectors and their similarities, all that a normaliser may look at."""

    queries: np.ndarray  # [n_queries, dim]
    videos: np.ndarray  # [n_gallery, dim]
    bank_texts: np.ndarray  # [n_bank, dim]
    bank_videos: np.ndarray  # [n_gallery_bank, dim]

    @property
    def sims(self) -> np.ndarray:
        return self.queries @ self.videos.T

    @property
    def bank_sims(self) -> np.ndarray:
        return self.bank_texts @ self.videos.T

    @property
    def gallery_bank_sims(self) -> np.ndarray:
        return self.bank_videos @ self.videos.T

    @property
    def bank_gallery_bank_sims(self) -> np.ndarray:
        return self.bank_texts @ self.bank_videos.T

    @property
    def gallery_sims(self) -> np.ndarray:
        return self.videos @ self.videos.T


def _each(sims: np.ndarray, score: Callable[[int, int], float]) -> np.ndarray:
    return np.array([[score(i, j) for j in range(sims.shape[1])] for i in range(sims.shape[0])])


def _top(values: np.ndarray, k: int) -> list[float]:
    return sorted((float(x) for x in values), reverse=True)[:k]


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def _std(values: np.ndarray) -> float:
    mean = _mean([float(x) for x in values])
    return math.sqrt(_mean([(float(x) - mean) ** 2 for x in values]))


def _beta(beta: float | None, sims: np.ndarray) -> float:
    return 1 / _std(sims.ravel()) if beta is None else beta


def none_scores(m: Matrices, k: int) -> np.ndarray:
    """The similarities."""
    return m.sims


def inverted_softmax_scores(m: Matrices, beta: float | None, k: int) -> np.ndarray:
    """log of exp(beta s) / sum_b exp(beta p), over beta."""
    beta = _beta(beta, m.bank_sims)
    return np.log(inverted_softmax_by_definition(m.bank_sims, m.sims, beta)) / beta


def qbnorm_scores(m: Matrices, beta: float | None, k: int, theta: int) -> np.ndarray:
    """The inverted softmax in rows whose raw best item theta captions have in their k best."""
    counts = k_occurrence_by_definition(m.bank_sims, k)
    out, sims = inverted_softmax_scores(m, beta, k), m.sims
    for i, row in enumerate(sims):
        best = min(range(len(row)), key=lambda j: (-row[j], j))
        if counts[best] < theta:
            out[i] = row
    return out


def csls_scores(m: Matrices, neighbours: int, k: int) -> np.ndarray:
    """(2 s - r_query - r_item) / 2."""
    sims, bank = m.sims, m.bank_sims
    return _each(
        sims,
        lambda i, j: (
            sims[i, j]
            - _mean(_top(sims[i], neighbours)) / 2
            - _mean(_top(bank[:, j], neighbours)) / 2
        ),
    )


def nnn_scores(m: Matrices, alpha: float, neighbours: int, k: int) -> np.ndarray:
    """s - alpha * mean of the item's nearest bank captions."""
    sims, bank = m.sims, m.bank_sims
    return _each(sims, lambda i, j: sims[i, j] - alpha * _mean(_top(bank[:, j], neighbours)))


def dn_scores(m: Matrices, alpha: float, k: int) -> np.ndarray:
    """(x - alpha mean_x) . (y - alpha mean_y), the means over the two banks."""
    texts = m.queries - alpha * m.bank_texts.mean(axis=0)
    return texts @ (m.videos - alpha * m.bank_videos.mean(axis=0)).T


def gc_scores(m: Matrices) -> np.ndarray:
    """Minus the captions that beat the query on the item, plus the similarity."""
    sims, bank = m.sims, m.bank_sims
    return _each(sims, lambda i, j: sims[i, j] - sum(b > sims[i, j] for b in bank[:, j]))


def dualis_scores(
    m: Matrices, beta: float | None, gallery_beta: float | None, k: int
) -> np.ndarray:
    """log of the product of two inverted softmaxes, over the sum of the betas."""
    first, second = _beta(beta, m.bank_sims), _beta(gallery_beta, m.gallery_bank_sims)
    product = inverted_softmax_by_definition(m.bank_sims, m.sims, first)
    product *= inverted_softmax_by_definition(m.gallery_bank_sims, m.sims, second)
    return np.log(product) / (first + second)


def dualdis_scores(
    m: Matrices, beta: float | None, gallery_beta: float | None, k: int
) -> np.ndarray:
    """As dualis, each factor only where its bank knows the raw best item."""
    out, sims = m.sims.copy(), m.sims
    betas = _beta(beta, m.bank_sims), _beta(gallery_beta, m.gallery_bank_sims)
    known = [activation_set_by_definition(p, k) for p in (m.bank_sims, m.gallery_bank_sims)]
    alone = [
        np.log(inverted_softmax_by_definition(p, sims, b)) / b
        for p, b in zip((m.bank_sims, m.gallery_bank_sims), betas, strict=True)
    ]
    both = dualis_scores(m, *betas, k)
    for i, row in enumerate(sims):
        best = min(range(len(row)), key=lambda j: (-row[j], j))
        known_to = [best in active for active in known]
        if all(known_to):
            out[i] = both[i]
        elif any(known_to):
            out[i] = alone[known_to.index(True)][i]
    return out


def balanced_by_definition(
    sims: np.ndarray, beta: float, iterations: int, captions_first: bool = True
) -> np.ndarray:
    """v of the plan u * exp(beta sims) * v after so many rounds, equal sums on either side."""
    n, m = sims.shape
    kernel = [[math.exp(beta * float(s)) for s in row] for row in sims]
    u, v = [1.0] * n, [1.0] * m
    for step in range(iterations):
        if step > 0 or captions_first:
            u = [1 / n / math.fsum(kernel[b][j] * v[j] for j in range(m)) for b in range(n)]
        v = [1 / m / math.fsum(kernel[b][j] * u[b] for b in range(n)) for j in range(m)]
    return np.array(v)


def sinkhorn_scores(
    m: Matrices, beta: float | None, iterations: int, captions_first: bool, k: int
) -> np.ndarray:
    """s + log(v) / beta."""
    beta = _beta(beta, m.bank_sims)
    v = balanced_by_definition(m.bank_sims, beta, iterations, captions_first)
    return m.sims + np.log(v) / beta


def dbsn_scores(
    m: Matrices, beta: float | None, iterations: int, captions_first: bool, k: int
) -> np.ndarray:
    """As sinkhorn, with the gallery bank beside the gallery."""
    beta = _beta(beta, m.bank_sims)
    wide = np.concatenate([m.bank_sims, m.bank_gallery_bank_sims], axis=1)
    v = balanced_by_definition(wide, beta, iterations, captions_first)
    return m.sims + np.log(v[: len(m.videos)]) / beta


def hnn_scores(
    m: Matrices,
    beta: float | None,
    iterations: int,
    captions_first: bool,
    k: int,
    tolerance: float,
) -> np.ndarray:
    """s + w / beta, w the optimum of mean(w) - mean_b LSE_j(beta p + w), by gradient steps."""
    beta = _beta(beta, m.bank_sims)
    w = np.zeros(len(m.videos))
    for _ in range(20_000):
        powers = np.exp(beta * m.bank_sims + w)
        gradient = 1 / len(w) - (powers / powers.sum(axis=1, keepdims=True)).mean(axis=0)
        w += 2.0 * gradient
    assert np.abs(gradient).max() < 1e-9  # each item has an equal share
    return m.sims + w / beta


def dsl_scores(m: Matrices, beta: float | None) -> np.ndarray:
    """s * softmax over queries * n_queries."""
    sims, beta = m.sims, _beta(beta, m.sims)
    sums = [math.fsum(math.exp(beta * s) for s in column) for column in sims.T]
    return _each(sims, lambda i, j: sims[i, j] * math.exp(beta * sims[i, j]) / sums[j] * len(sims))


def hsm_scores(
    given: Matrices, alpha: float, beta: float | None, m: float, window: float, batch: int
) -> np.ndarray:
    """Column and row softmax of the batches in memory with the current one stacked below."""
    sims, beta, out = given.sims, _beta(beta, given.sims), []
    memory: list[np.ndarray] = []
    for start in range(0, len(sims), batch):
        current = sims[start : start + batch]
        if not memory:
            out.append(current)
            memory.append(current)
            continue
        stacked = np.concatenate([*memory, current])
        column, row = np.exp(alpha * stacked), np.exp(beta * stacked)
        weights = m * column / column.sum(axis=0) + (1 - m) * row / row.sum(axis=1)[:, None]
        out.append((stacked * weights)[-len(current) :])
        memory = [*memory, current][-max(1, int(window * sims.shape[1])) :]
    return np.concatenate(out)


def znorm_scores(m: Matrices) -> np.ndarray:
    """(s - mean) / std of the item's bank column; a flat column has the others' mean std."""
    sims, bank = m.sims, m.bank_sims
    means = [_mean([float(x) for x in column]) for column in bank.T]
    stds = [_std(column) for column in bank.T]
    spread = [std for std, mean in zip(stds, means, strict=True) if std > 1e-6 * abs(mean)]
    instead = _mean(spread) if spread else 1.0
    stds = [std if std in spread else instead for std in stds]
    return _each(sims, lambda i, j: (sims[i, j] - means[j]) / stds[j])


def _distances(sims: np.ndarray) -> list[float]:
    return [math.sqrt(max(0.0, 2 - 2 * float(s))) for s in sims]


def local_scaling_scores(m: Matrices, neighbours: int) -> np.ndarray:
    """exp(-d^2 / (r_query r_item)), r the distance to the k-th nearest."""
    sims, bank = m.sims, m.bank_sims
    query = [sorted(_distances(row))[:neighbours][-1] for row in sims]
    item = [sorted(_distances(column))[:neighbours][-1] for column in bank.T]
    return _each(sims, lambda i, j: math.exp(-(2 - 2 * sims[i, j]) / (query[i] * item[j])))


def nicdm_scores(m: Matrices, neighbours: int) -> np.ndarray:
    """-d / sqrt(r_query r_item), r the mean distance to the k nearest."""
    sims, bank = m.sims, m.bank_sims
    query = [_mean(sorted(_distances(row))[:neighbours]) for row in sims]
    item = [_mean(sorted(_distances(column))[:neighbours]) for column in bank.T]
    return _each(sims, lambda i, j: -math.sqrt(2 - 2 * sims[i, j]) / math.sqrt(query[i] * item[j]))


def mp_gauss_scores(m: Matrices) -> np.ndarray:
    """Product of two normal distribution functions."""
    sims, bank = m.sims, m.bank_sims

    def share(values: np.ndarray, s: float) -> float:
        return NormalDist(_mean([float(x) for x in values]), _std(values)).cdf(s)

    return _each(sims, lambda i, j: share(sims[i], sims[i, j]) * share(bank[:, j], sims[i, j]))


def mp_empirical_scores(m: Matrices, joint: bool) -> np.ndarray:
    """Product of two counted shares, or the share of the gallery where both hold."""
    sims, bank, gallery = m.sims, m.bank_sims, m.gallery_sims
    if joint:
        return _each(
            sims,
            lambda i, j: _mean(
                [sims[i, v] < sims[i, j] > gallery[v, j] for v in range(sims.shape[1])]
            ),
        )
    return _each(
        sims,
        lambda i, j: (
            _mean([s < sims[i, j] for s in sims[i]]) * _mean([p < sims[i, j] for p in bank[:, j]])
        ),
    )


def dissimlocal_scores(m: Matrices, neighbours: int, k: int) -> np.ndarray:
    """-(d^2 - |q - c(q)|^2 - |x - c(x)|^2) / 2 from the vectors; no item is its own neighbour."""

    def from_centroid(x: np.ndarray, others: np.ndarray) -> float:
        nearest = sorted(others, key=lambda y: float(((x - y) ** 2).sum()))[:neighbours]
        return float(((x - np.mean(nearest, axis=0)) ** 2).sum()) if nearest else 0.0

    item = [from_centroid(x, np.delete(m.videos, j, axis=0)) for j, x in enumerate(m.videos)]
    query = [from_centroid(q, m.videos) for q in m.queries]
    return _each(
        m.sims,
        lambda i, j: -(float(((m.queries[i] - m.videos[j]) ** 2).sum()) - query[i] - item[j]) / 2,
    )


def localised_centring_scores(m: Matrices, neighbours: int, gamma: float, k: int) -> np.ndarray:
    """s - (x . c(x))^gamma, c the centroid of the nearest items, the item itself included."""
    affinity = []
    for x in m.videos:
        nearest = sorted(m.videos, key=lambda y: -float(x @ y))[:neighbours]
        affinity.append(float(x @ np.mean(nearest, axis=0)) ** gamma)
    return m.sims - np.array(affinity)


def ratio_margin_scores(m: Matrices, neighbours: int) -> np.ndarray:
    """s / ((r_query + r_item) / 2)."""
    sims, bank = m.sims, m.bank_sims
    query = [_mean(_top(row, neighbours)) for row in sims]
    item = [_mean(_top(column, neighbours)) for column in bank.T]
    return _each(sims, lambda i, j: sims[i, j] / ((query[i] + item[j]) / 2))


def weighted_experts_by_definition(
    query_emb: np.ndarray, item_emb: np.ndarray, dims: list[int]
) -> np.ndarray:
    """Mean over experts of inner products, by the product of both sides' weights; 0 without any.

    Rows are the experts' embeddings side by side, then a weight for each.
    """
    out = np.zeros((len(query_emb), len(item_emb)))
    ends = np.cumsum(dims)
    for i, x in enumerate(np.asarray(query_emb, dtype=np.float64)):
        for j, y in enumerate(np.asarray(item_emb, dtype=np.float64)):
            total = mass = 0.0
            for m, (end, dim) in enumerate(zip(ends, dims, strict=True)):
                weight = x[ends[-1] + m] * y[ends[-1] + m]
                total += weight * sum(x[k] * y[k] for k in range(end - dim, end))
                mass += weight
            out[i, j] = total / mass if mass > 0 else 0.0
    return out


def edits_by_definition(a: str, b: str) -> int:
    """Letters removed, added, changed, or swapped with their neighbour, on the way from a to b.

    Source: Damerau, CACM 1964; the restricted form, in which no part is edited twice.
    """
    cost = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, j in itertools.product(range(len(a) + 1), range(len(b) + 1)):
        if i == 0 or j == 0:
            cost[i][j] = i + j
            continue
        changed = cost[i - 1][j - 1] + (a[i - 1] != b[j - 1])
        cost[i][j] = min(cost[i - 1][j] + 1, cost[i][j - 1] + 1, changed)
        if i > 1 and j > 1 and (a[i - 1], a[i - 2]) == (b[j - 2], b[j - 1]):
            cost[i][j] = min(cost[i][j], cost[i - 2][j - 2] + 1)
    return cost[-1][-1]


def nearest_by_definition(word: str, known: list[str], most: int) -> str | None:
    """Of the known words at most so many edits away, the nearest, and of those the first."""
    edits = [edits_by_definition(word, other) for other in known]
    return known[edits.index(min(edits))] if min(edits) <= most else None
