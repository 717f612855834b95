"""The benchmarks' baseline, benchmarks/published.py, is the published procedure."""

import numpy as np
import pytest

from benchmarks import any_matrix, published

BANK_SIMS = np.array([[0.2, 0.7, 0.1, 0.6], [0.1, 0.65, 0.2, 0.6], [0.6, 0.3, 0.1, 0.55]])
SIMS = np.array(
    [[0.5, 0.6, 0.1, 0.2], [0.3, 0.55, 0.02, 0.1], [0.1, 0.58, 0.56, 0], [0.05, 0.1, 0.15, 0.4]]
)


@pytest.mark.parametrize(
    ("beta", "k", "expected"),
    [
        (20, 1, (100.0, 1.0, 1.0, 100.0)),
        (20, 2, (75.0, 1.0, 1.2, 90.9)),
        (20, 4, (75.0, 1.0, 1.2, 90.9)),
        (1 / 1.99, 1, (100.0, 1.0, 1.0, 100.0)),
    ],
)
def test_the_worked_example_has_its_published_metrics(beta, k, expected):
    before, after = published.before_and_after(BANK_SIMS, SIMS.copy(), None, beta, k)
    names = ("R1", "MedR", "MeanR", "geometric_mean_R1-R5-R10")
    assert tuple(before[name] for name in names) == (50.0, 1.5, 1.5, 79.4)
    assert tuple(after[name] for name in names) == expected


def test_the_worked_example_has_its_published_scores():
    scores = published.dynamic_inverted_softmax(BANK_SIMS, SIMS.copy())
    expected = [1.35283759e-01, 9.89137619e-02, 1.06506979e-01, 1.41672174e-04]
    np.testing.assert_allclose(scores[0], expected, rtol=1e-8)
    np.testing.assert_array_equal(scores[3], SIMS[3])


@pytest.mark.parametrize("captions", [1, 3])
def test_ours_agree_with_it_to_the_printed_digit(rng, captions):
    popular = (0.06 * rng.standard_normal(70)).astype(np.float32)
    sims = any_matrix.made_up(rng, 70 * captions, popular, captions)
    sims[5] = np.round(sims[5], 1)  # ties
    bank_sims = any_matrix.made_up(rng, 300, popular, 0)
    mask = np.ones((70, captions))
    mask[[3, 8], -1] = 0
    found = any_matrix.ours(bank_sims, sims, mask)
    expected = published.before_and_after(bank_sims, sims.copy(), mask)
    any_matrix.compare(expected, found)
    with pytest.raises(SystemExit, match="R1 is .* as published"):
        any_matrix.compare(expected, found[::-1])
