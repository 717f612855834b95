"""A querybank's similarities, and perhaps live queries' -> is the bank any good? No label needed.

Four questions, each answer beside what chance would give: does the similarity know anything that
a normaliser could bring to light, how much of the gallery does the bank see, would another bank of
its kind find the same hubs, and do people's queries find them too?
"""

import math
from dataclasses import dataclass

import numpy as np

from retrieval.similarity import MatrixTiles, SimTiles, Tiles
from retrieval.streaming.sampling import pick, sample_rows
from retrieval.streaming.tiles import TopK, for_each_tile

PLACES = 5  # of a ranking that count: what people see, and enough hits to tell items apart
TOP_HUBS = 10  # items that are compared between two halves of a bank, at most
N_HALVES = 20
MOST_SIDE = 1024  # rows, and columns, that a skewness is worked out on, at most
LEAST_MATCH = 2  # standard errors that a skewness must have to be more than noise


@dataclass(frozen=True)
class BankQuality:
    """What a bank can tell about a gallery; hubs are counted on `k` places of each ranking."""

    n_bank: int  # captions that were looked at: all, or a sample of many
    n_gallery: int
    k: int
    coverage: float  # 0..1, items that are the best of some caption
    coverage_chance: float  # if each caption picked its item at random
    hub_overlap: float  # 0..1, top hubs of one half of the bank that are top hubs of the other
    hub_overlap_chance: float
    hub_agreement: float  # Spearman correlation of k-occurrence between two halves; chance 0
    match_skewness: float  # see `match_skewness`; chance 0
    match_skewness_error: float  # its standard error
    live: "LiveQueries | None" = None


@dataclass(frozen=True)
class LiveQueries:
    """The bank beside queries as people ask them, samples of the same size."""

    n: int  # captions of the bank, and queries, that were compared
    bank_coverage: float  # 0..1
    query_coverage: float  # 0..1
    agreement: float  # Spearman correlation of k-occurrence between bank and queries; chance 0
    own_agreement: float  # the same between two halves of the queries, for comparison


def bank_quality(
    bank: np.ndarray | Tiles, queries: np.ndarray | Tiles | None = None, seed: int = 0
) -> BankQuality:
    """Look at a bank, and at queries as people ask them.

    Args:
        bank: [n_bank, n_gallery] similarities, a matrix or tiles, two captions or more.
        queries: [n_queries, n_gallery] similarities of live queries, four or more; no labels.
        seed: of halves and samples.

    Returns:
        measures over all captions, or over some thousand where there are more.
    """
    rng = np.random.default_rng(seed)
    bank = sample_rows(bank, rng)
    n_bank, n_gallery = bank.shape
    if n_bank < 2:
        raise ValueError("a bank of one caption cannot be halved; give two captions or more")
    k = places(n_gallery)
    best = nearest_items(bank, k)
    n_top = max(1, min(TOP_HUBS, n_gallery // 10))
    overlaps, agreements = [], []
    for _ in range(N_HALVES):
        order = rng.permutation(n_bank)
        halves = [_counts(best[order[part::2]], n_gallery) for part in (0, 1)]
        # Equal counts are common: which of them is on top is drawn, not left to the column.
        tops = [np.lexsort((rng.random(n_gallery), -half))[:n_top] for half in halves]
        overlaps.append(len(np.intersect1d(*tops)) / n_top)
        agreements.append(spearman(*halves))
    skewness, error = match_skewness(bank, rng)
    return BankQuality(
        n_bank=n_bank,
        n_gallery=n_gallery,
        k=k,
        coverage=float(np.mean(_counts(best[:, :1], n_gallery) > 0)),
        coverage_chance=1 - math.exp(-n_bank / n_gallery),
        hub_overlap=float(np.mean(overlaps)),
        hub_overlap_chance=n_top / n_gallery,
        hub_agreement=float(np.mean(agreements)),
        match_skewness=skewness,
        match_skewness_error=error,
        live=None if queries is None else _live(best, sample_rows(queries, rng), rng),
    )


def _live(
    best: np.ndarray, queries: SimTiles | MatrixTiles, rng: np.random.Generator
) -> LiveQueries:
    k, n_gallery = best.shape[1], queries.shape[1]
    asked = nearest_items(queries, k)
    n = min(len(best), len(asked))
    if n < 4:
        raise ValueError(f"four captions and four queries are needed to compare, got {n}")
    rows = []
    for _ in range(N_HALVES):
        known, live = rng.permutation(best)[:n], rng.permutation(asked)[:n]
        half = n // 2  # agreements of samples of the same size can be compared
        counts = [_counts(x, n_gallery) for x in (known[:half], live[:half], live[half : 2 * half])]
        coverages = [np.mean(_counts(x[:, :1], n_gallery) > 0) for x in (known, live)]
        rows.append([*coverages, spearman(counts[0], counts[1]), spearman(counts[1], counts[2])])
    return LiveQueries(n, *map(float, np.mean(rows, axis=0)))


def places(n_gallery: int) -> int:
    """Places of a ranking that count: PLACES, or a quarter of a small gallery."""
    return max(1, min(PLACES, n_gallery // 4))


def nearest_items(tiles: SimTiles | MatrixTiles, k: int) -> np.ndarray:
    """[n_rows, k] columns of the k best items of each row, best first."""
    nearest = TopK(tiles.shape[0], k)
    for_each_tile(tiles, nearest.add)
    return nearest.columns


def match_skewness(bank: SimTiles | MatrixTiles, rng: np.random.Generator) -> tuple[float, float]:
    """Do some items fit a caption far better than items misfit it? What every real match does.

    What an item has for all captions, and a caption for all items, is taken out of the
    similarities; what is left is skewed to the right where a few items match a caption and most
    do not. Of two spaces that know nothing of each other (an untrained network, embeddings of
    different models) either sign of it is as likely, and the skewness is 0: then there is
    nothing that a hub could have hidden, and no normaliser can help.

        r = p - mean over items - mean over captions,  in units of its spread per item, per caption
        skewness = mean(r^3)

    Returns:
        the skewness, and its standard error as captions and items vary: from the spread of its
        mean over each caption's row and each item's column.
    """
    n, m = bank.shape
    sims = pick(bank, rng.permutation(n)[:MOST_SIDE], rng.permutation(m)[:MOST_SIDE])
    left = sims - sims.mean(axis=1, keepdims=True, dtype=np.float64)
    left -= left.mean(axis=0)
    # A spread of rounding errors is none: such a column or row says nothing.
    tiny = 1e-6 * float(np.abs(sims).max())
    for axis in (0, 1):
        spread = left.std(axis=axis, keepdims=True)
        left = np.divide(left, spread, out=np.zeros_like(left), where=spread > tiny)
        tiny = 1e-6
    cubes = left * left * left  # numpy's power is far slower
    variance = sum(float(cubes.mean(axis=axis).var()) / cubes.shape[1 - axis] for axis in (0, 1))
    return float(cubes.mean()), math.sqrt(variance)


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Rank correlation of two arrays [n], ties sharing their mean rank; 0 where one is constant."""
    ranks = [_mean_ranks(each) for each in (x, y)]
    deviations = [each - each.mean() for each in ranks]
    scale = math.sqrt(float((deviations[0] ** 2).sum() * (deviations[1] ** 2).sum()))
    return float(deviations[0] @ deviations[1]) / scale if scale > 0 else 0.0


def _mean_ranks(values: np.ndarray) -> np.ndarray:
    _, place, n_equal = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(n_equal) - (n_equal - 1) / 2)[place]


def _counts(best: np.ndarray, n_gallery: int) -> np.ndarray:
    """[n_gallery] how often each item is among the given columns."""
    return np.bincount(best.ravel(), minlength=n_gallery)
