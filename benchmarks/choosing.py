"""What the normaliser that is chosen without labels gains, when bank items are not in the gallery.

    python benchmarks/choosing.py

As `halves.py`, with `choosing.choose` in every split: it sees the similarities of the
bank's half and nothing else, above all no query and no label. Prints its gain beside that of
QB-Norm at the paper's beta, how often it came to which verdict, and what it chose most. The
controls come from random networks: there it should say that normalising makes no difference.
"""

import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from benchmarks.halves import halves, parse_arguments, recall, report, tasks
from retrieval.advice.choosing import Choice, choose
from retrieval.normalisers import Bias, get_normaliser, parse_spec


def measure(
    items: np.ndarray, queries: np.ndarray, beta: float, n_splits: int, seed: int
) -> tuple[np.ndarray, list[Choice]]:
    """Ranks as from `halves`, of QB-Norm at `beta` and of what was chosen; and the choices."""
    choices = []

    def fit_chosen(bank_sims: np.ndarray) -> Bias:
        choices.append(choose(bank_sims))
        return parse_spec(choices[-1].spec).fit(bank_sims)

    fits = [get_normaliser("qbnorm", beta=beta, k=1).fit, fit_chosen]
    return halves(items, queries, fits, n_splits, seed), choices


def shares(counted: Counter[str], n: int) -> str:
    """The most common first, in percent."""
    return ", ".join(f"{name} {100 * count / n:.0f} %" for name, count in counted.most_common(4))


def main() -> None:
    args = parse_arguments(__doc__)
    with ProcessPoolExecutor() as pool:
        under_way = [
            (title, pool.submit(measure, items, queries, args.beta, args.splits, args.seed))
            for title, items, queries in tasks(args)
        ]
        for title, measured in under_way:
            ranks, choices = measured.result()
            print(title)
            report(ranks, ["raw", f"qbnorm:beta={args.beta:g}", "chosen"])
            raw, paper, chosen = recall(ranks)[..., 0].T  # [n_splits] R@1 each
            print(
                f"  R@1 gain {np.mean(paper - raw):+.2f} at beta {args.beta:g}, "
                f"{np.mean(chosen - raw):+.2f} chosen; below raw in "
                f"{100 * np.mean(chosen < raw):.0f} % of the splits"
            )
            print(f"  verdict: {shares(Counter(each.verdict for each in choices), len(choices))}")
            print(f"  chosen: {shares(Counter(each.spec for each in choices), len(choices))}")


if __name__ == "__main__":
    main()
