"""Best items and places of one row, against sorting all of it."""

import numpy as np
import pytest

from retrieval.places import GROUP, best_of, places_of
from retrieval.similarity import top_k


def rows(rng):
    """Short and long, smooth and with many ties; the long ones are not a multiple of GROUP."""
    n = 10 * GROUP * GROUP + 17
    yield rng.standard_normal(1).astype(np.float32)
    yield rng.standard_normal(50).astype(np.float32)
    yield rng.standard_normal(n).astype(np.float32)
    yield rng.integers(-3, 4, n).astype(np.float32)
    yield np.sort(rng.standard_normal(n).astype(np.float32))  # the best are all at the end
    yield np.zeros(n, np.float32)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_the_best_are_those_of_the_sorted_row(rng, k):
    for row in rows(rng):
        before = row.copy()
        found = best_of(row, min(k, len(row)))
        np.testing.assert_array_equal(found, np.argsort(-row, kind="stable")[:k])
        np.testing.assert_array_equal(found, top_k(row, min(k, len(row))))
        np.testing.assert_array_equal(row, before)


def test_places_and_ties_are_those_of_the_sorted_row(rng):
    for row in rows(rng):
        expected = np.empty(len(row), int)
        expected[np.argsort(-row, kind="stable")] = 1 + np.arange(len(row))
        for columns in (best_of(row, min(10, len(row))), rng.integers(0, len(row), 12)):
            found, n_tied = places_of(row, columns)
            np.testing.assert_array_equal(found, expected[columns])
            np.testing.assert_array_equal(n_tied, [(row == row[c]).sum() for c in columns])
