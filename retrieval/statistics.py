"""Ranks of the same queries under several methods -> how far the numbers can be trusted.

Captions of one video are not independent, so whole videos are resampled and sign-flipped, never
single captions of a video that has several. A unit is such a video, or a single query.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np

from retrieval.metrics import RECALL_AT
from retrieval.streaming import parallel
from retrieval.streaming.tiles import one_blas_thread

N_RESAMPLES = 1000
LEVEL = 0.95  # share of the resamples that an interval holds
SMALLEST_P = 1e-12  # below, the inversion of `sign_flip_test` has no digits left
NOISE = 0.05  # a two-sided p below this is called beyond noise
BLOCK_CELLS = 2**19  # resampling weights that one thread holds at once
WINDOW = 2.0  # looked at first around the median: this many times n_queries / sqrt(n_units)

Interval = tuple[float, float]  # its two ends


@dataclass(frozen=True)
class Intervals:
    """Percentile bootstrap intervals of one method, by the names of `metrics.summarise`."""

    values: dict[str, Interval]  # of the metric itself
    gains: dict[str, Interval]  # of its difference from the first method


@dataclass(frozen=True)
class PairedTest:
    """What became of each query, and how likely so one-sided an outcome is by chance."""

    helped: int  # queries whose correct item rose
    hurt: int
    unchanged: int
    p: float  # two-sided
    test: str  # "exact sign test" or "sign-flip test over videos"


def paired_test(before: np.ndarray, after: np.ndarray, unit: np.ndarray) -> PairedTest:
    """Test per query whether ranks rose more often than they fell.

    Args:
        before, after: [n_queries] ranks of the same queries.
        unit: [n_queries] whole numbers from 0; queries of the same one are not independent.
    """
    signs = np.sign(before - after)
    signs[before == after] = 0.0  # an infinite rank that stayed
    helped, hurt = int(np.count_nonzero(signs > 0)), int(np.count_nonzero(signs < 0))
    if np.bincount(unit).max() > 1:
        p = sign_flip_test(np.bincount(unit, weights=signs).astype(np.int64))
        test = "sign-flip test over videos"
    else:
        p, test = sign_test(helped, hurt), "exact sign test"
    return PairedTest(helped, hurt, len(signs) - helped - hurt, p, test)


def sign_test(helped: int, hurt: int) -> float:
    """Two-sided exact sign test: both outcomes equally likely, ties left out.

    p = min(1, 2 * sum for x = 0..min(helped, hurt) of C(n, x) / 2^n),  n = helped + hurt
    """
    n, fewer = helped + hurt, min(helped, hurt)
    if n == 0:
        return 1.0
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    x = np.arange(fewer + 1)
    log_share = log_factorial[n] - log_factorial[x] - log_factorial[n - x] - n * np.log(2)
    return float(min(1.0, 2 * np.exp(log_share).sum()))


def sign_flip_test(sums: np.ndarray) -> float:
    """Two-sided test that each unit's sum is as likely to have the other sign.

    The null distribution of T = sum of +-d over units is known without drawing: its
    characteristic function is the product of cos(d t), here inverted at every whole number.
    With sums of one each this is the sign test.

    Args:
        sums: [n_units] whole numbers, for example helped less hurt queries of a video.

    Returns:
        P(|T| >= |observed|), not below SMALLEST_P.
    """
    sizes, n_units = np.unique(np.abs(sums[sums != 0]), return_counts=True)
    reach = int(sizes @ n_units)  # |T| is no larger
    if reach == 0:
        return 1.0
    n = 2 * reach + 1
    half = np.arange(reach + 1) * (2 * np.pi / n)
    wave = np.ones(reach + 1)
    for size, count in zip(sizes, n_units, strict=True):
        wave *= np.cos(size * half) ** count
    share = np.fft.irfft(wave, n)  # of T = 0, 1, ..., reach, -reach, ..., -1
    observed = abs(int(sums.sum()))
    if observed == 0:
        return 1.0
    return float(np.clip(2 * share[observed : reach + 1].sum(), SMALLEST_P, 1.0))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values that hold although several methods were tried.

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted.tolist()


def bootstrap(
    ranks: np.ndarray, unit: np.ndarray, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> list[Intervals]:
    """Percentile bootstrap of every metric, with the same resamples for all methods.

    Args:
        ranks: [n_methods, n_queries] of the same queries; the first method is what gains are
            measured from.
        unit: [n_queries] whole numbers from 0 without a gap; units are resampled.
        n_resamples: resamples.
        seed: of the resamples.

    Returns:
        one pair of tables a method.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    sorted_ranks = [_Sorted(row, unit) for row in ranks]
    # Single precision is exact for counts; ranks are summed as distances from their mean.
    centre = ranks.mean(axis=1)
    sums = np.concatenate(
        [_unit_sums(row, middle, unit) for row, middle in zip(ranks, centre, strict=True)], axis=1
    ).astype(np.float32)
    sizes = np.bincount(unit).astype(np.float32)
    draws, lock = _draws(len(sizes), n_resamples, seed), Lock()
    samples = np.empty((n_resamples, len(ranks), len(RECALL_AT) + 3))

    def look_at(_: int) -> None:
        with lock:  # drawn in turn, so that threads change no number
            at, drawn = next(draws)
        weights = _counted(drawn)
        n = (weights @ sizes).astype(np.float64)  # [block] queries in each resample
        means = ((weights @ sums) / n[:, None]).reshape(len(n), len(ranks), -1)
        medians = np.stack([row.medians(weights, n) for row in sorted_ranks], axis=1)
        hits = 100 * means[..., :-1]
        geom = np.cbrt(hits[..., 0] * hits[..., 1] * hits[..., 2])
        columns = [*np.moveaxis(hits, -1, 0), medians, centre + means[..., -1], geom]
        samples[at] = np.stack(columns, axis=-1)  # [block, n_methods, n_metrics]

    with one_blas_thread():
        parallel.for_each(look_at, range(-(-n_resamples // _block(len(sizes)))))
    names = [*(f"R@{k}" for k in RECALL_AT), "MdR", "MnR", "Geom"]
    return [
        Intervals(
            values=dict(zip(names, _ends(samples[:, row]), strict=True)),
            gains=dict(zip(names, _ends(samples[:, row] - samples[:, 0]), strict=True)),
        )
        for row in range(len(ranks))
    ]


def mean_and_std(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (divided by n - 1); 0 where there is one value."""
    values = np.asarray(values, dtype=float)
    return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _block(n_units: int) -> int:
    """Resamples that one thread holds at once."""
    return max(1, BLOCK_CELLS // n_units)


def _draws(n_units: int, n_resamples: int, seed: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Some resamples and their units, [block, n_units] int32, a block at a time."""
    rng, block = np.random.default_rng(seed), _block(n_units)
    for start in range(0, n_resamples, block):
        n = min(block, n_resamples - start)
        yield slice(start, start + n), rng.integers(0, n_units, (n, n_units), dtype=np.int32)


def _counted(drawn: np.ndarray) -> np.ndarray:
    """How often each unit is in each resample, [block, n_units] float32."""
    weights = np.empty(drawn.shape, np.float32)
    for row, units in enumerate(drawn):  # one at a time, so that its counts stay in the cache
        weights[row] = np.bincount(units, minlength=drawn.shape[1])
    return weights


def _unit_sums(ranks: np.ndarray, centre: float, unit: np.ndarray) -> np.ndarray:
    """[n_units, 5] hits at every depth, and the sum of ranks less their centre."""
    hits = [ranks == 1 if k == 1 else ranks < k + 1 for k in RECALL_AT]
    columns = [*hits, ranks - centre]
    return np.stack([np.bincount(unit, weights=column) for column in columns], axis=1)


def _ends(samples: np.ndarray) -> list[Interval]:
    """[n_resamples, n_metrics] -> the interval of each metric."""
    outside = (1 - LEVEL) / 2
    low, high = np.quantile(samples, [outside, 1 - outside], axis=0)
    return list(zip(low.tolist(), high.tolist(), strict=True))


class _Sorted:
    """Ranks in ascending order, to find the median of many resamples at once."""

    def __init__(self, ranks: np.ndarray, unit: np.ndarray) -> None:
        order = np.argsort(ranks, kind="stable")
        self.ranks, self.unit = ranks[order], unit[order]
        self.n_units = int(unit.max()) + 1
        # The share of queries below the median has a standard deviation of 0.5 / sqrt(n_units) at
        # most, so four of them leave hardly a resample that needs to look further.
        n, near = len(ranks), int(WINDOW * len(ranks) / self.n_units**0.5) + 1
        self.window = max(0, n // 2 - near), min(n, n // 2 + near)

    def medians(self, weights: np.ndarray, n: np.ndarray) -> np.ndarray:
        """Median rank of each resample; an even number of queries averages the middle two.

        Args:
            weights: [block, n_units] how often each unit is in a resample.
            n: [block] queries in a resample.
        """
        n = n.astype(np.int64)
        found = self._between(weights, (n + 1) // 2, n // 2 + 1, *self.window)
        missed = np.flatnonzero(np.isnan(found))
        for row in missed:
            at = slice(row, row + 1)
            whole = (0, len(self.ranks))
            found[at] = self._between(weights[at], (n[at] + 1) // 2, n[at] // 2 + 1, *whole)
        return found

    def _between(
        self, weights: np.ndarray, lower: np.ndarray, upper: np.ndarray, start: int, stop: int
    ) -> np.ndarray:
        """Mean of the ranks at two places (from 1); NaN where one is not in start..stop."""
        before = np.bincount(self.unit[:start], minlength=self.n_units)
        below = weights @ before.astype(np.float32)
        reached = np.cumsum(weights[:, self.unit[start:stop]], axis=1)
        reached += below[:, None]  # [block, stop - start] queries up to each place
        at = [np.count_nonzero(reached < place[:, None], axis=1) for place in (lower, upper)]
        outside = (below >= lower) | (at[1] == stop - start)
        ranks = [self.ranks[start + np.minimum(each, stop - start - 1)] for each in at]
        return np.where(outside, np.nan, (ranks[0] + ranks[1]) / 2)
