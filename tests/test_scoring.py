"""Which queries and items belong together."""

import numpy as np

from retrieval.streaming.scoring import Truth


def test_captions_of_a_video_are_filled_up(rng):
    truth = Truth.of_captions((4, 7), np.array([2, 0, 2, 2, 0, 3, 1]), np.array([1] * 6 + [0]))
    np.testing.assert_array_equal(truth.queries, [0, 2, 3])  # padding was all that 1 had
    np.testing.assert_array_equal(truth.items, range(6))
    np.testing.assert_array_equal(truth.correct, [[1, 4, -1], [0, 2, 3], [5, -1, -1]])
    assert truth.n_units == 3
    truth = Truth.of_videos((7, 4), np.array([2, 0, 2, 2, 0, 3, 1]), np.array([1] * 6 + [0]))
    np.testing.assert_array_equal(truth.unit, [1, 0, 1, 1, 0, 2])  # without a gap
    assert truth.n_units == 3


def test_some_queries_keep_what_is_theirs(rng):
    truth = Truth.of_videos((7, 4), np.array([2, 0, 2, 2, 0, 3, 1]), None)
    some = truth.some(np.array([1, 4, 6]))
    np.testing.assert_array_equal(some.queries, [1, 4, 6])
    np.testing.assert_array_equal(some.correct, [[0], [0], [1]])
    np.testing.assert_array_equal(some.unit, [0, 0, 1])
    assert some.n_units == 2 and some.items is truth.items
