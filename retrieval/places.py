"""One row of scores -> its best items and the places of given ones, in few passes over the row."""

from collections.abc import Sequence

import numpy as np

from retrieval.similarity import top_k

GROUP = 64  # items whose largest score is looked at before they are


def best_of(scores: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k largest scores, best first; of equal scores the lowest column comes first.

    The same as `top_k` of the row, faster on long ones.

    Args:
        scores: [n], higher is better.
        k: 1 <= k <= n.

    Returns:
        [k] int64.
    """
    n_groups = len(scores) // GROUP
    if n_groups < GROUP * k:
        return top_k(scores, k)
    # Of the k best groups, each has an item as large as the worst of their largest.
    largest = scores[: n_groups * GROUP].reshape(GROUP, n_groups).max(axis=0)
    likely = np.flatnonzero(scores >= np.partition(largest, n_groups - k)[n_groups - k])
    return likely[top_k(scores[likely], k)]


def places_of(scores: np.ndarray, columns: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Places of some items, best is 1, and how many have each one's score, itself included.

    Of equal scores the earlier column comes first.

    Args:
        scores: [n], higher is better.
        columns: the items asked for.

    Returns:
        [n_columns] int64 places, [n_columns] int64 numbers of equal scores.
    """
    columns = np.asarray(columns)
    own = scores[columns]
    near = np.flatnonzero(scores >= own.min())  # all that can stand before any of them
    ordered = np.sort(scores[near])
    not_better = np.searchsorted(ordered, own, side="right")
    n_tied = not_better - np.searchsorted(ordered, own, side="left")
    found = 1 + len(near) - not_better
    for row in np.flatnonzero(n_tied > 1):
        tied = near[scores[near] == own[row]]
        found[row] += np.searchsorted(tied, columns[row])
    return found, n_tied
