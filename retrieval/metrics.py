"""Similarities and the correct items -> ranks -> R@1/5/10/50, MdR, MnR, Geom.

The numbers are those of the metric that the QB-Norm and Collaborative Experts tables use
(ties share their mean rank), before its rounding. R@k in this field is what document retrieval
calls success@k: every query has one correct item.
"""

from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from retrieval.normalisers.base import Bias
from retrieval.similarity import as_sims, top_k
from retrieval.streaming import parallel
from retrieval.streaming.tiles import for_each_band

RECALL_AT = (1, 5, 10, 50)


def correct_by_row_order(n_queries: int, n_gallery: int) -> np.ndarray:
    """The correct column of each row where only the order of rows tells.

    With c = n_queries / n_gallery captions per video, rows j * c ... (j + 1) * c - 1 belong to
    column j.

    Returns:
        [n_queries] int64.

    Raises:
        ValueError: n_queries is not a positive multiple of n_gallery.
    """
    if n_gallery < 1 or n_queries < 1 or n_queries % n_gallery:
        raise ValueError(
            f"row order needs a multiple of {n_gallery} queries (the gallery size), "
            f"got {n_queries}; say which item is correct for each query"
        )
    return np.repeat(np.arange(n_gallery), n_queries // n_gallery)


def t2v_ranks(
    sims: np.ndarray, correct: np.ndarray | None = None, mask: np.ndarray | None = None
) -> np.ndarray:
    """Rank of the correct video for each caption; best is 1, ties share their mean.

        rank[i] = 1 + #(j: s[i, j] > s[i, c]) + (#(j: s[i, j] = s[i, c]) - 1) / 2,  c = correct[i]

    Args:
        sims: [n_queries, n_gallery] finite similarities or scores, higher is better.
        correct: [n_queries] column of the correct video; None takes it from the row order.
        mask: n_queries elements in row order, false for padding rows, which get no rank.

    Returns:
        [rows that are not masked] float64.

    Raises:
        ValueError: shapes disagree, a similarity of a row that is left is NaN or infinite, or no
            row is left.
    """
    sims, correct, kept = _checked(sims, correct, mask)
    rows = np.flatnonzero(kept)
    return _ranks_of_rows(sims, rows, correct[rows, None]).raw


class Ranks(NamedTuple):
    """Where the correct items of some queries stand, raw and under each of several biases."""

    raw: np.ndarray  # [n] float64, best is 1, ties share their mean
    normalised: np.ndarray  # [n_biases, n] float64
    gates: np.ndarray  # [n_biases, n] bool, whether the bias was applied
    best: np.ndarray  # [1 + n_biases, n, k] int64, the best columns, raw first
    best_scores: np.ndarray  # [1 + n_biases, n, k] their scores, in the dtype of the matrix


def ranks_of_chunk(
    sims: Any,
    correct: np.ndarray,
    biases: Sequence[Bias] = (),
    k: int = 0,
    first_row: int = 0,
    chosen: np.ndarray | None = None,
) -> Ranks:
    """Raw and normalised ranks of some rows in one reading of them.

    The numbers are those of `t2v_ranks(sims)` and `t2v_ranks(bias.apply(sims))`, but scores are
    made a few rows at a time, so neither memory nor time for whole matrices of them is needed.

    Args:
        sims: [n, n_gallery] finite similarities: a matrix, or what has a shape, a dtype and
            read_rows(start, stop), such as a matrix in a file, of which little is held.
        correct: [n] column of each query's correct item; or [n, c] where several are correct
            and the best one counts, rows with fewer filled up with -1. A query without any has
            infinite rank.
        biases: fitted on this gallery.
        k: how many of the best columns to give as well, for hubness.
        first_row: number of the first row in the matrix that sims are a part of.
        chosen: [n] ascending row numbers, where not all rows of `sims` are asked for.

    Raises:
        ValueError: shapes disagree, or a similarity is NaN or infinite.
        SettingsError: k is outside 0..n_gallery.
    """
    if not hasattr(sims, "read_rows"):
        sims = as_sims(sims)
    if chosen is None:
        chosen = np.arange(sims.shape[0])
    correct = np.asarray(correct)
    if correct.ndim == 1:
        correct = correct[:, None]
    if len(correct) != len(chosen) or not np.issubdtype(correct.dtype, np.integer):
        raise ValueError(
            f"correct must hold column numbers for each of {len(chosen)} queries, "
            f"got {correct.dtype} of shape {correct.shape}"
        )
    n_gallery = sims.shape[1]
    if correct.size and not (correct.min() >= -1 and correct.max() < n_gallery):
        raise ValueError(
            f"correct columns must be in -1..{n_gallery - 1}, got {correct.min()}..{correct.max()}"
        )
    for bias in biases:
        bias.check_width(n_gallery)
    return _ranks_of_rows(sims, chosen, correct, biases, k, first_row)


def _ranks_of_rows(
    sims: Any,
    chosen: np.ndarray,
    correct: np.ndarray,
    biases: Sequence[Bias] = (),
    k: int = 0,
    first_row: int = 0,
) -> Ranks:
    """The ranks of the rows `chosen`, whose correct columns are [len(chosen), c]."""
    n, n_rankings = len(chosen), 1 + len(biases)
    last = correct.max(axis=1, keepdims=True)
    if correct.min(initial=0) < 0:
        correct = np.where(correct < 0, last, correct)  # another of its row, if there is any
    dtype = np.dtype(np.float64 if sims.dtype == np.float64 else np.float32)
    ranks = np.empty((n_rankings, n))
    gates = np.zeros((n_rankings, n), dtype=bool)
    best = np.empty((n_rankings, n, k), dtype=np.int64)
    best_scores = np.empty((n_rankings, n, k), dtype=dtype)

    def look_at(band: slice, blocks: Iterator[tuple[slice, np.ndarray]]) -> None:
        own, opened = correct[band], gates[:, band]
        top, top_scores = best[:, band], best_scores[:, band]
        counts = [RankCounts(len(own), sims.shape[1]) for _ in range(n_rankings)]
        for at, block in blocks:
            counts[0].add(at, block, own[at])
            if k:
                top[:, at] = top_k(block, k)
                top_scores[:, at] = block[np.arange(len(block))[:, None], top[0, at]]
            if not biases:
                continue
            first = top[0, at, 0] if k else block.argmax(axis=1)
            for i, bias in enumerate(biases, start=1):
                gate = opened[i, at] = bias.gate_of(first)
                if not gate.any():
                    continue
                shift = bias.centred_of(first).astype(block.dtype, copy=False)
                scores = parallel.scratch_rows("_ranks_of_rows", block.shape, block.dtype)
                np.subtract(block, shift, out=scores)
                counts[i].add(at, scores, own[at])
                if k:
                    found = top_k(scores, k)
                    np.copyto(top[i, at], found, where=gate[:, None])
                    found = scores[np.arange(len(scores))[:, None], found]
                    np.copyto(top_scores[i, at], found, where=gate[:, None])
        of_all = np.stack([each.ranks() for each in counts])
        ranks[:, band] = np.where(opened, of_all, of_all[0])

    for_each_band(sims, chosen, look_at, first_row)
    ranks[:, last[:, 0] < 0] = np.inf
    return Ranks(ranks[0], ranks[1:], gates[1:], best, best_scores)


class RankCounts:
    """Ranks of each row's best correct item, from a few rows at a time; ties share their mean.

    Asking numpy for something takes as long as doing it for a few rows, so whatever can wait is
    done once for all rows. Truth values are counted eight at a time: as the bytes of a 64-bit
    word they are added without a carry, as long as no byte passes 255.

    Args:
        n_rows: how many rows.
        n_columns: items in each.
    """

    def __init__(self, n_rows: int, n_columns: int) -> None:
        n_lines = -(-n_columns // parallel.LINE)
        n_groups = -(-n_lines // 31)  # of up to 31 lines, which are 248 words
        n_words = 8 * -(-n_lines // n_groups)  # of a group
        most = next(parallel.blocks(slice(0, n_rows), n_columns)).stop
        true = parallel.scratch("RankCounts", (most, 2, 8 * n_words * n_groups), bool)
        self._above, self._at_least = true[:, 0, :n_columns], true[:, 1, :n_columns]
        self._beyond = true[:, :, n_columns:]
        self._rows = np.arange(most)[:, None]
        self._words = true.view(np.uint64).reshape(-1, 2 * n_groups, n_words)
        self._counts = np.empty((n_rows, 2 * n_groups), np.uint64)

    def add(self, at: slice, block: np.ndarray, correct: np.ndarray) -> None:
        """Take in some rows.

        Args:
            at: which ones.
            block: [n, n_columns] their scores, n as `parallel.blocks` cuts them.
            correct: [n, c] columns, some of which may be the same.
        """
        n = len(block)
        own = block[self._rows[:n], correct]
        if own.shape[1] > 1:
            own = own.max(axis=1, keepdims=True)
        self._beyond[:n] = False  # others may have used the memory since
        np.greater(block, own, out=self._above[:n])
        np.greater_equal(block, own, out=self._at_least[:n])
        np.add.reduce(self._words[:n], axis=2, out=self._counts[at])

    def ranks(self) -> np.ndarray:
        """[n_rows] float64; best is 1, ties share their mean."""
        counts = self._counts.view(np.uint8).sum(axis=1, dtype=np.int64)
        return (1 + counts) / 2  # above + at_least = 2 * above + tied


def v2t_ranks(
    sims: np.ndarray, correct: np.ndarray | None = None, mask: np.ndarray | None = None
) -> np.ndarray:
    """Rank of each video's best caption among all captions; best is 1, ties share their mean.

    Args:
        sims: [n_queries, n_gallery], captions on rows as for `t2v_ranks`. Scores of QB-Norm
            cannot be read down a column, because its gate differs from row to row.
        correct: [n_queries] column of each caption's video; None takes it from the row order.
        mask: n_queries elements in row order, false for padding rows, which rank last.

    Returns:
        [n_gallery] float64; infinite for a video without a caption, which counts as a miss.

    Raises:
        ValueError: shapes disagree, a similarity of a row that is left is NaN or infinite, or no
            row is left.
    """
    sims, correct, kept = _checked(sims, correct, mask)
    rows = np.flatnonzero(kept)  # the others, below all, would move no rank
    n_gallery = sims.shape[1]
    # The best-ranked caption is the most similar one, so one comparison per video is enough.
    own = np.full(n_gallery, -np.inf, dtype=sims.dtype)
    with np.errstate(invalid="ignore"):  # NaN is refused where all of its row is looked at
        np.maximum.at(own, correct[rows], sims[rows, correct[rows]])
    counts, lock = np.zeros(n_gallery, dtype=np.int64), Lock()

    def look_at(band: slice, blocks: Iterator[tuple[slice, np.ndarray]]) -> None:
        found = np.zeros(n_gallery, dtype=np.int64)
        for _, block in blocks:
            n_rows = min(255, len(block))  # so that a byte holds the sum
            true = parallel.scratch_rows("v2t_ranks", (n_rows, n_gallery), bool)
            for start in range(0, len(block), 255):
                part = block[start : start + 255]
                for compare in (np.greater, np.greater_equal):
                    compare(part, own, out=true[: len(part)])
                    found += true[: len(part)].view(np.uint8).sum(axis=0, dtype=np.uint8)
        with lock:
            counts[:] += found

    for_each_band(sims, rows, look_at)
    ranks = (1 + counts) / 2  # above + at least = 2 * above + tied
    ranks[np.isneginf(own)] = np.inf
    return ranks


def summarise(ranks: np.ndarray) -> dict[str, float]:
    """The table's numbers, not rounded.

    Args:
        ranks: [n] from `t2v_ranks` or `v2t_ranks`, infinite for a miss at any depth.

    Returns:
        "R@1", "R@5", "R@10", "R@50" in percent; "MdR" and "MnR", median and mean rank; "Geom",
        the geometric mean of R@1, R@5 and R@10, in percent. As in the official metric a place
        shared at the cut counts: 5.5 (two items tied on places 5 and 6) is a hit at 5; at 1
        only an untied first place is a hit.

    Raises:
        ValueError: no rank, or a rank below 1.
    """
    ranks = np.asarray(ranks, dtype=np.float64)
    if ranks.ndim != 1 or len(ranks) == 0:
        raise ValueError(f"ranks must be [n] with n > 0, got shape {ranks.shape}")
    if not (ranks >= 1).all():
        raise ValueError(f"ranks start at 1, got {ranks[~(ranks >= 1)][0]}")
    hits = {k: int((ranks == 1).sum() if k == 1 else (ranks < k + 1).sum()) for k in RECALL_AT}
    summary = {f"R@{k}": 100 * n / len(ranks) for k, n in hits.items()}
    summary["MdR"] = float(np.median(ranks))
    summary["MnR"] = float(np.mean(ranks))
    product = summary["R@1"] * summary["R@5"] * summary["R@10"]
    summary["Geom"] = float(np.cbrt(product))
    return summary


def _checked(
    sims: np.ndarray, correct: np.ndarray | None, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sims = as_sims(sims)
    return sims, *correct_and_kept(*sims.shape, correct, mask)


def correct_and_kept(
    n_queries: int, n_gallery: int, correct: np.ndarray | None, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The correct item of each query, and which queries are not padding, checked.

    Args:
        n_queries: queries, padding included.
        n_gallery: items.
        correct: [n_queries] item of each query; None takes it from the order.
        mask: n_queries elements of any shape, row by row; None keeps all.

    Returns:
        [n_queries] whole numbers, [n_queries] bool.

    Raises:
        ValueError: shapes disagree, an item is out of range, or no query is left.
    """
    if correct is None:
        correct = correct_by_row_order(n_queries, n_gallery)
    correct = np.asarray(correct)
    if correct.shape != (n_queries,) or not np.issubdtype(correct.dtype, np.integer):
        raise ValueError(
            f"correct must hold one column number for each of {n_queries} queries, "
            f"got {correct.dtype} of shape {correct.shape}"
        )
    outside = (correct < 0) | (correct >= n_gallery)
    if outside.any():
        row = int(np.argmax(outside))
        raise ValueError(
            f"correct columns must be in 0..{n_gallery - 1}, got {correct[row]} at row {row}"
        )
    if mask is None:
        return correct, np.ones(n_queries, dtype=bool)
    kept = np.asarray(mask).ravel().astype(bool)
    if len(kept) != n_queries:
        raise ValueError(f"mask must have {n_queries} elements (one per query), got {len(kept)}")
    if not kept.any():
        raise ValueError("mask leaves no query; check that 1 marks a real caption")
    return correct, kept
