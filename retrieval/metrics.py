"""Similarities and the correct items -> ranks -> R@1/5/10/50, MdR, MnR, Geom.

The numbers are those of the metric that the QB-Norm and Collaborative Experts tables use
(ties share their mean rank), before its rounding. R@k in this field is what document retrieval
calls success@k: every query has one correct item.
"""

import numpy as np

from retrieval.similarity import check_sims

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
        ValueError: shapes disagree, a similarity is NaN or infinite, or no row is left.
    """
    sims, correct, kept = _checked(sims, correct, mask)
    rows = np.flatnonzero(kept)
    ranks = np.empty(len(rows))
    step = max(1, 2**24 // sims.shape[1])  # rows compared at once, to bound memory
    for start in range(0, len(rows), step):
        chunk = rows[start : start + step]
        own = sims[chunk, correct[chunk]][:, None]
        ranks[start : start + step] = _mean_rank(sims[chunk], own, axis=1)
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
        ValueError: shapes disagree, a similarity is NaN or infinite, or no row is left.
    """
    sims, correct, kept = _checked(sims, correct, mask)
    if not kept.all():
        sims, correct = sims[kept], correct[kept]  # below all others, they move no rank
    # The best-ranked caption is the most similar one, so one comparison per video is enough.
    own = np.full(sims.shape[1], -np.inf, dtype=sims.dtype)
    np.maximum.at(own, correct, sims[np.arange(len(sims)), correct])
    ranks = np.zeros(sims.shape[1])
    step = max(1, 2**24 // len(sims))
    for start in range(0, sims.shape[1], step):
        columns = slice(start, start + step)
        ranks[columns] = _mean_rank(sims[:, columns], own[None, columns], axis=0)
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


def _mean_rank(sims: np.ndarray, own: np.ndarray, axis: int) -> np.ndarray:
    above = np.count_nonzero(sims > own, axis=axis)
    tied = np.count_nonzero(sims == own, axis=axis)
    return 1 + above + (tied - 1) / 2


def _checked(
    sims: np.ndarray, correct: np.ndarray | None, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sims = check_sims(sims)
    n_queries, n_gallery = sims.shape
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
        return sims, correct, np.ones(n_queries, dtype=bool)
    kept = np.asarray(mask).ravel().astype(bool)
    if len(kept) != n_queries:
        raise ValueError(f"mask must have {n_queries} elements (one per query), got {len(kept)}")
    if not kept.any():
        raise ValueError("mask leaves no query; check that 1 marks a real caption")
    return sims, correct, kept
