"""Slow definitions, written straight from the formulas, one loop per sum."""

import itertools
import math

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
