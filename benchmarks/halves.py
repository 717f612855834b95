"""What QB-Norm does on real embeddings when the bank's own items are not in the gallery.

    python benchmarks/halves.py

Every split halves the pairs at random: one half is gallery and queries, the captions of the other
half are the bank. Prints R@1/5/10 raw and normalised, mean over splits (its standard error), and
the gain, mean over pairs (its standard error: of pairs there are few, and all splits share them),
for real embeddings and for those of a random network, which no normaliser should improve.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from benchmarks.common import parser_of
from retrieval.metrics import summarise, t2v_ranks
from retrieval.normalisers import Bias, get_normaliser
from retrieval.similarity import SimTiles, unit_rows
from retrieval.streaming.tiles import mean_std

FEATURES = {
    "coco500_clip_vitb16": ("features_clip.npy", "features_clip_random.npy"),
    "msrvtt100_videoclip": ("features_videoclip.npy", "features_videoclip_random.npy"),
}
MEASURES = ("R@1", "R@5", "R@10")


def halves(
    video_emb: np.ndarray,
    text_emb: np.ndarray,
    fits: list[Callable[[np.ndarray], Bias]],
    n_splits: int,
    seed: int = 0,
) -> np.ndarray:
    """Rank of every query of every split, raw and normalised.

    Args:
        video_emb, text_emb: [n, dim] unit rows, row i of both is a pair.
        fits: ways from the bank's similarities to a bias.
        n_splits: random halves.
        seed: of the splits.

    Returns:
        [n_splits, 1 + len(fits), n], raw first; NaN for the pairs whose caption was in the bank.
    """
    rng = np.random.default_rng(seed)
    out = np.full((n_splits, 1 + len(fits), len(text_emb)), np.nan)
    for split in range(n_splits):
        order = rng.permutation(len(text_emb))
        shown, kept_back = order[: len(order) // 2], order[len(order) // 2 :]
        sims = text_emb[shown] @ video_emb[shown].T
        bank_sims = text_emb[kept_back] @ video_emb[shown].T
        biases = [fit(bank_sims) for fit in fits]
        for row, scores in enumerate([sims, *(bias.apply(sims) for bias in biases)]):
            out[split, row, shown] = t2v_ranks(scores)
    return out


def recall(ranks: np.ndarray) -> np.ndarray:
    """[..., n] ranks with NaN -> [..., 3] R@1, R@5 and R@10 in percent."""
    summaries = (summarise(row[~np.isnan(row)]) for row in ranks.reshape(-1, ranks.shape[-1]))
    table = [[summary[name] for name in MEASURES] for summary in summaries]
    return np.array(table).reshape(*ranks.shape[:-1], len(MEASURES))


def with_error(samples: np.ndarray) -> str:
    """Mean over the first axis of each measure, and its standard error."""
    mean = samples.mean(axis=0)
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    return " / ".join(f"{m:.1f} ({e:.1f})" for m, e in zip(mean, error, strict=True))


def report(ranks: np.ndarray, names: list[str]) -> None:
    """Print one line per method: recall over splits, and the gain over pairs."""
    by_split = recall(ranks)  # [n_splits, n_methods, 3]
    by_pair = recall(ranks.transpose(2, 1, 0))  # [n, n_methods, 3]
    for row, name in enumerate(names):
        text = f"  {name:22s} R@1/5/10 {with_error(by_split[:, row])}"
        if row > 0:
            # Splits share their pairs, so the noise of a gain is that of the pairs.
            ratio = by_split[:, row, 0].mean() / by_split[:, 0, 0].mean()
            text += f"; gain {with_error(by_pair[:, row] - by_pair[:, 0])}; R@1 ratio {ratio:.2f}"
        print(text)


def parse_arguments(doc: str | None) -> argparse.Namespace:
    """The options of both benchmarks on random halves."""
    parser = parser_of(doc)
    parser.add_argument(
        "--data",
        type=Path,
        default=REPOSITORY.parent / "shared" / "data",
        help="folder that holds " + " and ".join(FEATURES),
    )
    parser.add_argument("--splits", type=int, default=200, help="random halves, 10 or more")
    parser.add_argument("--beta", type=float, default=20.0, help="per unit of cosine")
    parser.add_argument("--seed", type=int, default=0, help="of the splits")
    args = parser.parse_args()
    for folder, files in FEATURES.items():
        for file in files:
            if not (args.data / folder / file).exists():
                parser.error(
                    f"{args.data / folder / file} is missing; give the folder of the data sets "
                    "with --data"
                )
    return args


def tasks(args: argparse.Namespace) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Title, items and queries of every task: real and control, text-to-video and back."""
    for folder, files in FEATURES.items():
        for kind, file in zip(("real", "random control"), files, strict=True):
            pairs = np.load(args.data / folder / file, allow_pickle=False)
            videos, texts = (unit_rows(emb) for emb in pairs)
            for task, items, queries in (("t2v", videos, texts), ("v2t", texts, videos)):
                title = f"{folder}, {kind}, {task}, {len(items) // 2} items, {args.splits} splits"
                yield title, items, queries


def main() -> None:
    args = parse_arguments(__doc__)
    fits = [get_normaliser("qbnorm", beta=beta, k=1).fit for beta in (args.beta, None)]
    for title, items, queries in tasks(args):
        scale_free = 1 / mean_std(SimTiles(queries, items))[1]
        print(title)
        names = ["raw", f"beta {args.beta:g}", f"beta 1/std = {scale_free:.1f}"]
        report(halves(items, queries, fits, args.splits, args.seed), names)


if __name__ == "__main__":
    main()
