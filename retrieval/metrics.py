"""Similarities and the correct items -> ranks -> R@1/5/10/50, MdR, MnR, Geom.

The numbers are those of the metric that the QB-Norm and Collaborative Experts tables use
(ties share their mean rank), before its rounding. R@k in this field is what document retrieval
calls success@k: every query has one correct item.
"""

from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple

import numpy as np

from retrieval import parallel
from retrieval.normalisers.base import Bias
from retrieval.similarity import as_sims, check_block, is_finite, top_k

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
    return _row_ranks(sims, rows, correct[rows, None]).raw


class Ranks(NamedTuple):
    """Where the correct items of some queries stand, raw and under each of several biases."""

    raw: np.ndarray  # [n] float64, best is 1, ties share their mean
    normalised: np.ndarray  # [n_biases, n] float64
    gates: np.ndarray  # [n_biases, n] bool, whether the bias was applied
    best: np.ndarray  # [1 + n_biases, n, k] int64, the best columns, raw first


def ranks_of_chunk(
    sims: np.ndarray,
    correct: np.ndarray,
    biases: Sequence[Bias] = (),
    k: int = 0,
    first_row: int = 0,
) -> Ranks:
    """Raw and normalised ranks of some rows in one reading of them.

    The numbers are those of `t2v_ranks(sims)` and `t2v_ranks(bias.apply(sims))`, but scores are
    made a few rows at a time, so neither memory nor time for whole matrices of them is needed.

    Args:
        sims: [n, n_gallery] finite similarities, for example some rows of a file.
        correct: [n] column of each query's correct item; or [n, c] where several are correct
            and the best one counts, rows with fewer filled up with -1. A query without any has
            infinite rank.
        biases: fitted on this gallery.
        k: how many of the best columns to give as well, for hubness.
        first_row: number of the first row in the matrix that sims are a part of.

    Raises:
        ValueError: shapes disagree, or a similarity is NaN or infinite.
        SettingsError: k is outside 0..n_gallery.
    """
    sims = as_sims(sims)
    correct = np.asarray(correct)
    if correct.ndim == 1:
        correct = correct[:, None]
    if len(correct) != len(sims) or not np.issubdtype(correct.dtype, np.integer):
        raise ValueError(
            f"correct must hold column numbers for each of {len(sims)} queries, "
            f"got {correct.dtype} of shape {correct.shape}"
        )
    n_gallery = sims.shape[1]
    if correct.size and not (correct.min() >= -1 and correct.max() < n_gallery):
        raise ValueError(
            f"correct columns must be in -1..{n_gallery - 1}, got {correct.min()}..{correct.max()}"
        )
    for bias in biases:
        bias.check_width(n_gallery)
    return _row_ranks(sims, np.arange(len(sims)), correct, biases, k, first_row)


def _row_ranks(
    sims: np.ndarray,
    chosen: np.ndarray,
    correct: np.ndarray,
    biases: Sequence[Bias] = (),
    k: int = 0,
    first_row: int = 0,
) -> Ranks:
    """The ranks of the rows `chosen`, whose correct columns are [len(chosen), c]."""
    n, n_gallery = len(chosen), sims.shape[1]
    ranks = np.empty((1 + len(biases), n))
    gates = np.zeros((len(biases), n), dtype=bool)
    best = np.empty((1 + len(biases), n, k), dtype=np.int64)

    def work(band: slice) -> None:
        counter = None
        for rows in parallel.blocks(band, n_gallery):
            block = _rows_of(sims, chosen[rows], first_row)
            if counter is None:
                counter = _RowCounter(*block.shape)
                scores = np.empty_like(block)
            own, none = correct[rows], correct[rows] < 0
            ranks[0, rows] = counter.ranks(block, own, none)
            if k:
                best[0, rows] = top_k(block, k)
            if not biases:
                continue
            first = best[0, rows, 0] if k else block.argmax(axis=1)
            for i, bias in enumerate(biases):
                gate = gates[i, rows] = bias.gate_of(first)
                ranks[1 + i, rows], best[1 + i, rows] = ranks[0, rows], best[0, rows]
                if not gate.any():
                    continue
                shift = bias.centred_of(first).astype(block.dtype, copy=False)
                normalised = np.subtract(block, shift, out=scores[: len(block)])
                new = counter.ranks(normalised, own, none)
                np.copyto(ranks[1 + i, rows], new, where=gate)
                if k:
                    np.copyto(best[1 + i, rows], top_k(normalised, k), where=gate[:, None])

    parallel.for_each(work, parallel.bands(n, n_gallery))
    return Ranks(ranks[0], ranks[1:], gates, best)


def _rows_of(sims: np.ndarray, rows: np.ndarray, first_row: int = 0) -> np.ndarray:
    """Ascending rows of a matrix, not copied where they follow each other, checked as read."""
    start, stop = int(rows[0]), int(rows[-1]) + 1
    block = np.ascontiguousarray(sims[start:stop] if stop - start == len(rows) else sims[rows])
    if not is_finite(block):
        for row in rows:
            check_block(sims[row : row + 1], first_row=first_row + int(row))
    return block


class _RowCounter:
    """Ranks within the rows of blocks, in arrays that are used again and again.

    Counts are taken eight truth values at a time: as the bytes of a 64-bit word they are added
    without a carry, as long as no byte passes 255.
    """

    def __init__(self, n_rows: int, n_columns: int) -> None:
        n_words = -(-n_columns // 8)
        n_groups = -(-n_words // 127)  # each word adds up to 2 to a byte
        self.shape = (n_groups, -(-n_words // n_groups))  # words of a row
        self.n_columns = n_columns
        self.above = np.zeros((n_rows, 8 * self.shape[0] * self.shape[1]), dtype=bool)
        self.at_least = np.zeros_like(self.above)

    def ranks(self, block: np.ndarray, correct: np.ndarray, none: np.ndarray) -> np.ndarray:
        """[n_rows] mean rank of each row's best correct column."""
        n_rows = len(block)
        own = np.take_along_axis(block, correct, axis=1)
        own = np.where(none, -np.inf, own).max(axis=1, keepdims=True).astype(block.dtype)
        above, at_least = self.above[:n_rows], self.at_least[:n_rows]
        np.greater(block, own, out=above[:, : self.n_columns])
        np.greater_equal(block, own, out=at_least[:, : self.n_columns])
        words = above.view(np.uint64).reshape(n_rows, *self.shape).sum(axis=2)
        words += at_least.view(np.uint64).reshape(n_rows, *self.shape).sum(axis=2)
        counts = words.view(np.uint8).sum(axis=1, dtype=np.int64)
        ranks = (1 + counts) / 2  # above + at_least = 2 * above + tied
        ranks[none.all(axis=1)] = np.inf
        return ranks


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

    def work(band: slice) -> None:
        found, truths = np.zeros(n_gallery, dtype=np.int64), None
        for part in parallel.blocks(band, n_gallery, most=255):  # so that a byte holds the sum
            block = _rows_of(sims, rows[part])
            if truths is None:
                truths = np.empty(block.shape, dtype=bool)
            for compare in (np.greater, np.greater_equal):
                true = compare(block, own, out=truths[: len(block)])
                found += true.view(np.uint8).sum(axis=0, dtype=np.uint8)
        with lock:
            counts[:] += found

    parallel.for_each(work, parallel.bands(len(rows), n_gallery))
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
