"""The published procedure of QB-Norm, with full matrices: the baseline of any_matrix.py.

    python benchmarks/published.py --sims_train_test_path B.pkl --sims_test_path S.pkl

Written from the description of the released script: dynamic inverted softmax by exponentials of
whole matrices and a full sort of the bank, then the metric of the Collaborative Experts tables by
a full sort of the similarities. It takes that script's flags and prints its four lines. Files
ending in .npy are loaded as such; all others are unpickled, so give it only your own.
"""

import argparse
import pickle
from pathlib import Path

import numpy as np


def dynamic_inverted_softmax(
    bank_sims: np.ndarray, sims: np.ndarray, beta: float = 20.0, k: int = 1
) -> np.ndarray:
    """Normalise `sims` in place, as the release does.

    Args:
        bank_sims: [n_bank, n_gallery]
        sims: [n_queries, n_gallery]; active rows are overwritten with ratios.
        beta: inverse temperature.
        k: items of each bank caption that enter the activation set.

    Returns:
        `sims`.
    """
    active = np.unique(np.argsort(-bank_sims, axis=1)[:, :k])
    bank_powers = np.exp(bank_sims * beta)
    powers = np.exp(sims * beta)
    mass = bank_powers.sum(axis=0)
    best = np.argmax(powers, axis=1)
    rows = np.nonzero([item in active for item in best])[0]
    sims[rows] = powers[rows] / mass
    return sims


def t2v_metrics(sims: np.ndarray, mask: np.ndarray | None = None) -> dict[str, float]:
    """The metric as published: row order says what is correct, ties share their mean rank.

    Args:
        sims: [n_queries, n_gallery]
        mask: n_queries elements in row order, 0 for padding rows; None for none.

    Returns:
        the seven numbers, each rounded to one decimal.
    """
    n_queries, n_gallery = sims.shape
    distances = -sims
    ordered = np.sort(distances, axis=1)
    correct = np.repeat(np.arange(n_gallery), n_queries // n_gallery)
    own = distances[np.arange(n_queries), correct][:, None]
    rows, places = np.nonzero(ordered - own == 0)
    n_tied = np.bincount(rows, minlength=n_queries)
    assert (n_tied > 0).all(), "a correct similarity is not a finite number"
    ranks = np.bincount(rows, weights=places, minlength=n_queries) / n_tied  # best is 0
    if mask is not None:
        ranks = ranks[np.asarray(mask).ravel().astype(bool)]
    hits = {depth: 100 * float((ranks < depth).sum()) / len(ranks) for depth in (5, 10, 50)}
    first = 100 * float((ranks == 0).sum()) / len(ranks)
    metrics = {
        "R1": first,
        "R5": hits[5],
        "R10": hits[10],
        "R50": hits[50],
        "MedR": float(np.median(ranks)) + 1,
        "MeanR": float(ranks.mean()) + 1,
        "geometric_mean_R1-R5-R10": float(np.cbrt(first * hits[5] * hits[10])),
    }
    return {name: round(value, 1) for name, value in metrics.items()}


def before_and_after(
    bank_sims: np.ndarray,
    sims: np.ndarray,
    mask: np.ndarray | None = None,
    beta: float = 20.0,
    k: int = 1,
) -> tuple[dict[str, float], dict[str, float]]:
    """Metrics of `sims`, and of `sims` normalised, which overwrites them."""
    before = t2v_metrics(sims, mask)
    return before, t2v_metrics(dynamic_inverted_softmax(bank_sims, sims, beta, k), mask)


def load(path: Path) -> np.ndarray:
    """The array of one file of one's own."""
    with path.open("rb") as file:
        return np.load(file) if path.suffix == ".npy" else pickle.load(file)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sims_train_test_path", type=Path, required=True, help="bank_sims")
    parser.add_argument("--sims_test_path", type=Path, required=True, help="sims")
    parser.add_argument("--test_query_masks_path", type=Path, help="query mask")
    parser.add_argument("--beta", type=float, default=20.0, help="per unit of similarity")
    parser.add_argument("--k", type=int, default=1, help="items of each bank caption")
    args = parser.parse_args()
    mask = load(args.test_query_masks_path) if args.test_query_masks_path else None
    bank_sims, sims = load(args.sims_train_test_path), load(args.sims_test_path)
    before, after = before_and_after(bank_sims, sims, mask, args.beta, args.k)
    print(f"Metrics before applying QB-Norm\n{before}\nMetrics after QB-Norm\n{after}")


if __name__ == "__main__":
    main()
