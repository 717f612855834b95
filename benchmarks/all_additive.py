"""All additive normalisers at once, against fitting each of them alone.

    python benchmarks/all_additive.py --n-gallery 10000 --n-queries 10000 --n-bank 50000

Prints how often each matrix of evidence was gone through, fitted together and one after another,
and the ratio of both times, measured in the same run; the largest difference between the two
biases of each normaliser; and the time to score all queries under every bias in one reading.
Embeddings are random directions around two centres, captions and videos apart as in real
encoders. Those that balance (Sinkhorn, ...) go through the tiles twice a round whatever happens,
so the ratio is also given without them.
"""

import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import parser_of, timed
from retrieval.normalisers import NORMALISERS, Evidence, Normaliser, fit_all
from retrieval.similarity import Block, SimTiles, unit_rows
from retrieval.streaming.rows import ProductRows
from retrieval.streaming.scoring import Truth, score_all


class CountedTiles(SimTiles):
    """Tiles that know how often they were gone through."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.n_entries, self.lock = 0, Lock()

    @property
    def passes(self) -> float:
        """Times that the whole matrix was made."""
        return self.n_entries / (self.shape[0] * self.shape[1])

    def blocks(self, scale: float = 1.0, within: slice | None = None) -> Iterator[Block]:
        for rows, columns, block in super().blocks(scale, within):
            yield rows, columns, block
            with self.lock:
                self.n_entries += block.size


def around(rng: np.random.Generator, centre: np.ndarray, n: int) -> np.ndarray:
    """[n, dim] float32 unit rows around a direction."""
    emb = rng.standard_normal((n, len(centre)), dtype=np.float32)
    emb /= np.sqrt(np.float32(len(centre)))
    return unit_rows(emb + centre)


def evidence_of(bank: np.ndarray, videos: np.ndarray, bank_videos: np.ndarray) -> Evidence:
    """Tiles of all four matrices, counted from zero."""
    return Evidence(
        bank_sims=CountedTiles(bank, videos),
        gallery_bank_sims=CountedTiles(bank_videos, videos),
        bank_gallery_bank_sims=CountedTiles(bank, bank_videos),
        gallery_sims=CountedTiles(videos, videos),
    )


def passes(evidence: Evidence) -> str:
    """How often each matrix was gone through."""
    counted = {name: tiles.passes for name, tiles in vars(evidence).items() if name != "_betas"}
    return ", ".join(f"{name} {times:g}" for name, times in counted.items() if times)


def compare(
    what: str, normalisers: Sequence[Normaliser], fresh: Callable[[], Evidence]
) -> list[Any]:
    """Print both ways of fitting; the biases fitted together."""
    evidence = fresh()
    together_s, together = timed(lambda: fit_all(normalisers, evidence))
    print(f"{what}: {len(normalisers)} normalisers")
    print(f"  together      {together_s:8.2f} s, passes: {passes(evidence)}")
    evidence, alone_s = fresh(), 0.0
    for normaliser, bias in zip(normalisers, together, strict=True):
        each_s, alone = timed(lambda n=normaliser, e=evidence: n.fit(e))
        alone_s += each_s
        apart = float(np.abs(alone.values - bias.values).max())
        print(f"    {normaliser.name:18s} alone {each_s:8.2f} s, differs by {apart:.1e} at most")
    print(f"  one by one    {alone_s:8.2f} s, passes: {passes(evidence)}")
    print(f"  {alone_s / together_s:.2f} times faster together")
    return together


def main() -> None:
    parser = parser_of(
        __doc__, {"--n-queries": 2_000, "--n-gallery": 2_000, "--n-bank": 10_000, "--dim": 256}
    )
    parser.add_argument("--n-gallery-bank", type=int, default=2_000, help="bank videos")
    parser.add_argument("--seed", type=int, default=0, help="of the embeddings")
    args = parser.parse_args()

    rng = np.random.default_rng(args.seed)
    of_texts, of_videos = unit_rows(rng.standard_normal((2, args.dim))) / 2
    queries, bank = (around(rng, of_texts, n) for n in (args.n_queries, args.n_bank))
    sizes = (args.n_gallery, args.n_gallery_bank)
    videos, bank_videos = (around(rng, of_videos, n) for n in sizes)

    def fresh() -> Evidence:
        return evidence_of(bank, videos, bank_videos)

    print(
        f"gallery {args.n_gallery:,}, bank {args.n_bank:,}, gallery bank {args.n_gallery_bank:,}, "
        f"dim {args.dim}"
    )
    additive = [kind() for kind in NORMALISERS.values() if kind.additive]
    once = [normaliser for normaliser in additive if not hasattr(normaliser, "balanced")]
    compare("without balancing", once, fresh)
    biases = compare("all additive", additive, fresh)
    truth = Truth.of_videos(
        (args.n_queries, args.n_gallery), np.arange(args.n_queries) % args.n_gallery, None
    )
    score_s, _ = timed(lambda: score_all(ProductRows(queries, videos), biases, truth))
    print(f"ranks of {args.n_queries:,} queries, raw and under all biases: {score_s:.2f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory {peak / 2**10:.0f} MiB")


if __name__ == "__main__":
    main()
