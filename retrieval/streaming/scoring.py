"""Similarities, gone through once by rows -> ranks, hubs and best items of many normalisers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from retrieval import metrics
from retrieval.normalisers import Bias, Evidence, Normaliser, normalise
from retrieval.similarity import check_sims
from retrieval.streaming.rows import ProductRows, Progress, Rows, WeightedRows, chunks, slices

HUBNESS_AT = (1, 10)  # places that count towards hubness: what is seen first, and a first page


@dataclass(frozen=True, eq=False)
class Truth:
    """Which queries are asked, which items are ranked, and which belong together."""

    queries: np.ndarray  # [n_queries] rows of the similarities, ascending
    items: np.ndarray  # [n_items] columns of the similarities, ascending
    correct: np.ndarray  # [n_queries, most] places in `items`, filled up with -1
    unit: np.ndarray  # [n_queries] which video a query is of, from 0 without a gap

    @classmethod
    def of_videos(
        cls, shape: tuple[int, int], correct: np.ndarray | None, mask: np.ndarray | None
    ) -> "Truth":
        """Captions ask, videos are ranked.

        Args:
            shape: of the similarities, captions on rows.
            correct: [n_captions] column of each one's video; None takes it from the row order.
            mask: n_captions elements, false for padding.
        """
        n_captions, n_videos = shape
        correct, kept = metrics.correct_and_kept(n_captions, n_videos, correct, mask)
        queries = np.flatnonzero(kept)
        unit = np.unique(correct[queries], return_inverse=True)[1]
        return cls(queries, np.arange(n_videos), correct[queries, None], unit)

    @classmethod
    def of_captions(
        cls, shape: tuple[int, int], correct: np.ndarray | None, mask: np.ndarray | None
    ) -> "Truth":
        """Videos ask, captions are ranked; a video without a caption asks nothing.

        Args:
            shape: of the similarities, videos on rows.
            correct: [n_captions] row of each one's video; None takes it from the column order.
            mask: n_captions elements, false for padding, which is not ranked.
        """
        n_videos, n_captions = shape
        if correct is None and n_captions % n_videos:
            raise ValueError(
                f"column order needs a multiple of {n_videos} captions (there are so many rows, "
                f"one a video), got {n_captions} columns; say which row each caption belongs to"
            )
        correct, kept = metrics.correct_and_kept(n_captions, n_videos, correct, mask)
        items = np.flatnonzero(kept)
        queries, row, n_own = np.unique(correct[items], return_inverse=True, return_counts=True)
        order = np.argsort(row, kind="stable")
        place = np.arange(len(items)) - np.repeat(np.cumsum(n_own) - n_own, n_own)
        own = np.full((len(queries), n_own.max()), -1)
        own[row[order], place] = order
        return cls(queries, items, own, np.arange(len(queries)))

    def some(self, places: np.ndarray) -> "Truth":
        """A part of the queries: [n] ascending places among them."""
        unit = np.unique(self.unit[places], return_inverse=True)[1]
        queries, correct = self.queries[places], self.correct[places]
        return replace(self, queries=queries, correct=correct, unit=unit)

    @property
    def n_units(self) -> int:
        """Videos, or queries where each is of its own: what is independent."""
        return int(self.unit.max()) + 1


@dataclass(eq=False)
class Seen:
    """What one normaliser did to all queries."""

    ranks: np.ndarray  # [n_queries] best correct item's; ties share their mean
    active: np.ndarray  # [n_queries] bool, whether the scores differ from raw by its gate
    best: np.ndarray  # [n_queries, kept places] int32 columns, best first
    best_scores: np.ndarray  # [n_queries, kept places] float32
    counts: dict[int, np.ndarray]  # k -> [n_items] k-occurrence

    @classmethod
    def nothing(
        cls, n_queries: int, n_items: int, keep_top: int, at: tuple[int, ...] = HUBNESS_AT
    ) -> "Seen":
        """Room for what is to be seen; `at` are the k whose k-occurrence is counted."""
        keep_top = min(keep_top, n_items)
        return cls(
            ranks=np.empty(n_queries),
            active=np.zeros(n_queries, dtype=bool),
            best=np.empty((n_queries, keep_top), dtype=np.int32),
            best_scores=np.empty((n_queries, keep_top), dtype=np.float32),
            counts={k: np.zeros(n_items, dtype=np.int64) for k in at if k <= n_items},
        )

    @property
    def n_best(self) -> int:
        """Best columns of each query that are needed."""
        return max([self.best.shape[1], *self.counts])

    def take_in(
        self, at: slice, ranks: np.ndarray, active: np.ndarray, best: np.ndarray, sims: np.ndarray
    ) -> None:
        """Note some queries: their ranks, gate, best columns, and the scores of those."""
        kept = self.best.shape[1]
        self.ranks[at], self.active[at] = ranks, active
        self.best[at], self.best_scores[at] = best[:, :kept], sims[:, :kept]
        for k, counts in self.counts.items():
            counts += np.bincount(best[:, :k].ravel(), minlength=len(counts))


def score_all(
    rows: Rows,
    biases: Sequence[Bias],
    truth: Truth,
    keep_top: int = 1,
    progress: Progress | None = None,
    at: tuple[int, ...] = HUBNESS_AT,
) -> list[Seen]:
    """Rank every query raw and under every bias, in one reading of the similarities.

    Args:
        rows: the similarities, with the columns of `truth.items`.
        biases: fitted on these columns.
        truth: which queries are asked and what is correct.
        keep_top: places of each ranking that are kept.
        progress: told how many queries are done; may raise to stop.
        at: k whose k-occurrence is counted.

    Returns:
        what was seen, raw first.

    Raises:
        ValueError: a similarity is NaN or infinite.
    """
    n_queries, n_items = len(truth.queries), rows.shape[1]
    seen = [Seen.nothing(n_queries, n_items, keep_top, at) for _ in range(1 + len(biases))]
    k = seen[0].n_best
    for part, sims, chosen in _parts(rows, truth.queries):
        first_row = int(truth.queries[part.start]) if chosen is None else 0
        found = metrics.ranks_of_chunk(sims, truth.correct[part], biases, k, first_row, chosen)
        gates = [np.zeros(part.stop - part.start, dtype=bool), *found.gates]
        ranks = [found.raw, *found.normalised]
        for each, *what in zip(seen, ranks, gates, found.best, found.best_scores, strict=True):
            each.take_in(part, *what)
        if progress is not None:
            progress(part.stop, n_queries)
    return seen


def score_other(
    normaliser: Normaliser,
    rows: Rows,
    evidence: Evidence,
    truth: Truth,
    keep_top: int = 1,
    at: tuple[int, ...] = HUBNESS_AT,
) -> Seen:
    """Rank every query by a normaliser that is not additive; see `score_all`."""
    seen = Seen.nothing(len(truth.queries), rows.shape[1], keep_top, at)
    for part, scores in scores_of(normaliser, rows, evidence, truth.queries):
        found = metrics.ranks_of_chunk(scores, truth.correct[part], (), seen.n_best)
        gate = np.ones(part.stop - part.start, dtype=bool)
        seen.take_in(part, found.raw, gate, found.best[0], found.best_scores[0])
    return seen


def scores_of(
    normaliser: Normaliser, rows: Rows, evidence: Evidence, queries: np.ndarray
) -> Iterator[tuple[slice, np.ndarray]]:
    """Scores of queries in slices; of one that looks at all of them, all in one."""
    if normaliser.transductive:
        sims = np.concatenate([sims for _, sims in chunks(rows, queries)])
        yield slice(0, len(sims)), normalise(normaliser, check_sims(sims), evidence)
        return
    fitted = normaliser.fit(evidence)
    for at, sims in chunks(rows, queries):
        yield at, fitted.apply(sims)


def _parts(rows: Rows, queries: np.ndarray) -> Iterator[tuple[slice, Any, np.ndarray | None]]:
    """Slices of the queries, the matrix that they are in, and their rows there; None for all.

    A product is made of many rows at once, and a file whose columns lie together is read so; all
    else is best read few rows at a time, by those who look at them.
    """
    strides = getattr(rows, "strides", (1, 1))
    made = isinstance(getattr(rows, "whole", rows), ProductRows | WeightedRows)
    if made or strides[0] < strides[1]:
        for at, sims in chunks(rows, queries):
            yield at, sims, None
        return
    for at in slices(rows, queries):
        yield at, rows, queries[at]
