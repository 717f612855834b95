"""How often gallery items are retrieved -> how unequal that is, and what chance would give.

A hub is an item near the top for far too many queries. Everything is counted from queries onto
the gallery, zeros included, and holds for any number of queries.
"""

import math
from dataclasses import dataclass

import numpy as np

from retrieval.similarity import Tiles, as_tiles, check_k
from retrieval.streaming.tiles import TopK, for_each_tile

HUB_SIZE = 2  # a hub is retrieved at least this many times the mean, and at least this often


def k_occurrence(sims: np.ndarray | Tiles, k: int) -> np.ndarray:
    """Count how often each gallery item lands in a query's top k.

        N_k(j) = sum over queries i of [ j is among the k best items of row i ]

    Args:
        sims: [n_queries, n_gallery] similarities, higher is better; a matrix or tiles.
        k: neighbourhood size in items, 1 <= k <= n_gallery.

    Returns:
        [n_gallery] int64 counts that sum to n_queries * k. Of equal similarities the lowest
        column counts, as in every ranking that is shown.

    Raises:
        SettingsError: k is outside 1..n_gallery.

    Source: Radovanovic et al., "Hubs in Space", JMLR 2010, definition of N_k.
    """
    tiles = as_tiles(sims)
    n_queries, n_gallery = tiles.shape
    check_k(k, n_gallery)
    nearest = TopK(n_queries, k)
    for_each_tile(tiles, nearest.add)
    return nearest.counts(n_gallery)


def k_skewness(counts: np.ndarray) -> float:
    """Skewness of k-occurrence: mean((N - mu)^3) / std(N)^3, population moments.

    0 without hubness (and where all counts are equal), unbounded above.

    Source: Radovanovic et al., "Hubs in Space", JMLR 2010, equation 1.
    """
    deviation = _checked(counts) - np.mean(counts)
    variance = np.mean(deviation**2)
    return float(np.mean(deviation**3) / variance**1.5) if variance > 0 else 0.0


def robin_hood(counts: np.ndarray) -> float:
    """Share of result places to move for equal exposure: 0.5 * sum|N - mu| / sum N, in 0..1.

    Source: Feldbauer et al., "Fast Approximate Hubness Reduction", ICBK 2018 (Hoover index).
    """
    counts = _checked(counts)
    return float(0.5 * np.abs(counts - counts.mean()).sum() / counts.sum())


def gini(counts: np.ndarray) -> float:
    """Gini index of k-occurrence, in 0..1.

    sum_j (2 j - n - 1) N_(j) / (n sum N), with N_(1) <= ... <= N_(n).
    """
    counts = np.sort(_checked(counts))
    n = len(counts)
    places = np.arange(1, n + 1)
    return float(((2 * places - n - 1) * counts).sum() / (n * counts.sum()))


def hubs(counts: np.ndarray, n_queries: int, k: int) -> np.ndarray:
    """Columns of the hubs, most retrieved first: N >= 2 mu and N >= 2, mu = k n_queries / n.

    Returns:
        [n_hubs] int64; of equally frequent items the lowest column comes first.
    """
    counts = _checked(counts)
    columns = np.flatnonzero(counts >= _hub_threshold(k * n_queries / len(counts)))
    return columns[np.argsort(-counts[columns], kind="stable")]


def antihubs(counts: np.ndarray) -> np.ndarray:
    """Columns that are in no query's top k, ascending."""
    return np.flatnonzero(_checked(counts) == 0)


@dataclass(frozen=True)
class Inequality:
    """How unevenly the places of the rankings are shared out over a gallery."""

    k_skewness: float  # 0 none, unbounded
    robin_hood: float  # 0..1, share of places to move for equal exposure
    gini: float  # 0..1
    hub_share: float  # 0..1, items that are hubs
    hub_occurrence: float  # 0..1, places taken by hubs
    antihub_share: float  # 0..1, items that no query retrieves
    largest_hub: float  # hits of the most retrieved item; under chance its expectation


@dataclass(frozen=True)
class Hubness(Inequality):
    """The measures of one ranking, beside their values if queries picked items at random."""

    k: int  # places of each ranking that count
    n_queries: int
    n_gallery: int
    mean: float  # mu = k * n_queries / n_gallery, hits of the average item
    largest_hub_item: int  # column of the most retrieved item
    n_hubs: int
    n_antihubs: int
    chance: Inequality


def measure(counts: np.ndarray, n_queries: int, k: int) -> Hubness:
    """All measures of k-occurrence counts.

    Args:
        counts: [n_gallery] from `k_occurrence`; they sum to n_queries * k.
        n_queries: queries that were counted.
        k: neighbourhood size in items that was counted.

    Raises:
        ValueError: the counts do not sum to n_queries * k.
    """
    counts = _checked(counts)
    n_gallery = len(counts)
    if not np.isclose(counts.sum(), n_queries * k):
        raise ValueError(
            f"counts must sum to n_queries * k = {n_queries * k}, got {counts.sum():g}; "
            "pass the k and the queries they were counted with"
        )
    hub_columns = hubs(counts, n_queries, k)
    n_antihubs = len(antihubs(counts))
    return Hubness(
        k_skewness=k_skewness(counts),
        robin_hood=robin_hood(counts),
        gini=gini(counts),
        hub_share=len(hub_columns) / n_gallery,
        hub_occurrence=float(counts[hub_columns].sum() / counts.sum()),
        antihub_share=n_antihubs / n_gallery,
        largest_hub=float(counts.max()),
        k=k,
        n_queries=n_queries,
        n_gallery=n_gallery,
        mean=k * n_queries / n_gallery,
        largest_hub_item=int(counts.argmax()),
        n_hubs=len(hub_columns),
        n_antihubs=n_antihubs,
        chance=chance_levels(n_queries, n_gallery, k),
    )


def chance_levels(n_queries: int, n_gallery: int, k: int) -> Inequality:
    """The measures if every query picked k items at random: N close to Poisson(mu).

    Closed forms: skewness 1 / sqrt(mu); antihub share exp(-mu); Robin Hood
    exp(-mu) mu^f / f! with f = floor(mu); the others are sums over the distribution:

        gini = sum_x F(x) (1 - F(x)) / mu,    E[max of n] = sum_x (1 - F(x)^n)
    """
    if min(n_queries, n_gallery, k) < 1:
        raise ValueError(
            f"n_queries, n_gallery and k must be at least 1, got {n_queries}, {n_gallery}, {k}"
        )
    mu = k * n_queries / n_gallery
    x = np.arange(math.ceil(mu + 15 * math.sqrt(mu) + 40))  # beyond, less than 1e-15 is left
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(x[1:]))])
    share = np.exp(x * math.log(mu) - mu - log_factorial)
    below = np.minimum(np.cumsum(share), 1.0)
    hub = x >= _hub_threshold(mu)
    return Inequality(
        k_skewness=1 / math.sqrt(mu),
        robin_hood=float(share[math.floor(mu)]),
        gini=float((below * (1 - below)).sum() / mu),
        hub_share=float(share[hub].sum()),
        hub_occurrence=float((x * share)[hub].sum() / mu),
        antihub_share=math.exp(-mu),
        largest_hub=float((1 - below**n_gallery).sum()),
    )


def _hub_threshold(mu: float) -> float:
    return max(HUB_SIZE * mu, HUB_SIZE)


def _checked(counts: np.ndarray) -> np.ndarray:
    counts = np.asarray(counts)
    if counts.ndim != 1 or len(counts) == 0:
        raise ValueError(f"counts must be [n_gallery] and not empty, got shape {counts.shape}")
    if not np.isfinite(counts).all() or counts.min() < 0 or counts.sum() == 0:
        raise ValueError("counts must not be negative, and some item must have been retrieved")
    return counts.astype(np.float64)
