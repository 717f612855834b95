"""How fast a bias is fitted, against the matrix product that it cannot do without.

    python benchmarks/fit_bias.py --n-gallery 1000000

Prints the product's time over the fit's (1 would mean that all else is free), both over the same
tiles in the same run, and the peak memory beyond the two embedding arrays. The fit is all of it:
checks, the scale-free beta, the bias, the activation set.
"""

import argparse
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from retrieval.normalisers import get_normaliser
from retrieval.similarity import Block, SimTiles


def random_unit_rows(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    """[n, dim] float32 unit rows, made in pieces so that the peak is the array itself."""
    emb = np.empty((n, dim), dtype=np.float32)
    for start in range(0, n, 10_000):
        part = emb[start : start + 10_000]
        rng.standard_normal(part.shape, dtype=np.float32, out=part)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return emb


def clocks() -> np.ndarray:
    """Seconds of wall time and of processor time over all threads."""
    return np.array([time.perf_counter(), time.process_time()])


class TilesMadeTwice(SimTiles):
    """Tiles whose product is made once more after use, to time it under the same conditions.

    By turns, tile by tile, a busy neighbour slows the fit and the product alike; the second
    product finds its input in the cache, which is in its favour, not in the fit's.
    """

    product = np.zeros(2)  # seconds of wall and of processor time for the unused products

    def blocks(self, scale: float = 1.0) -> Iterator[Block]:
        spare = np.empty((self.row_tile, self.column_tile), dtype=np.float32)
        for rows, columns, block in super().blocks(scale):
            yield rows, columns, block
            out = spare.reshape(-1)[: block.size].reshape(block.shape)
            start = clocks()
            np.matmul(self.query_emb[rows], self.gallery_emb[columns].T, out=out)
            self.product = self.product + clocks() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n-gallery", type=int, default=50_000, help="gallery size in items")
    parser.add_argument("--n-bank", type=int, default=5_000, help="querybank size in captions")
    parser.add_argument("--dim", type=int, default=256, help="width of the embeddings")
    parser.add_argument("--normaliser", default="qbnorm", help="short name of the normaliser")
    parser.add_argument("--beta", type=float, help="per unit of cosine; left out: 1 / std")
    parser.add_argument("--k", type=int, default=1, help="items of each caption that count")
    args = parser.parse_args()

    rng = np.random.default_rng(0)
    bank_emb = random_unit_rows(rng, args.n_bank, args.dim)
    video_emb = random_unit_rows(rng, args.n_gallery, args.dim)
    normaliser = get_normaliser(args.normaliser, beta=args.beta, k=args.k)
    start = clocks()
    tiles = TilesMadeTwice(bank_emb, video_emb)
    normaliser.fit(tiles)
    (product, product_cpu), (fit, fit_cpu) = tiles.product, clocks() - start - tiles.product

    operations = 2 * args.n_bank * args.n_gallery * args.dim
    embeddings = bank_emb.nbytes + video_emb.nbytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"bank {args.n_bank:,} x gallery {args.n_gallery:,} x dim {args.dim}, {args.normaliser}")
    print(f"matrix product alone  {product:8.2f} s  {operations / product / 1e9:6.0f} GFLOP/s")
    print(f"fit of the bias       {fit:8.2f} s  {operations / fit / 1e9:6.0f} GFLOP/s")
    print(
        f"fit reaches {product / fit:.1%} of the product's speed "
        f"({product_cpu / fit_cpu:.1%} in processor time, {product_cpu:.1f} s of {fit_cpu:.1f} s)"
    )
    print(
        f"peak memory {peak / 2**20:.0f} MiB = embeddings {embeddings / 2**20:.0f} MiB "
        f"+ {(peak - embeddings) / 2**20:.0f} MiB"
    )


if __name__ == "__main__":
    main()
