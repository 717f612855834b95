"""How fast a bias is fitted, against the matrix product that it cannot do without.

    python benchmarks/fit_bias.py --n-gallery 1000000

Prints the product's time over the fit's (1 would mean that all else is free), both over the same
tiles in the same run, and the peak memory beyond the two embedding arrays. The fit is all of it:
checks, the scale-free beta, the bias, the activation set.
"""

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from retrieval.normalisers import get_normaliser
from retrieval.similarity import Block, SimTiles

PART = 50_000  # items whose product is timed on the BLAS's own threads as well


def random_unit_rows(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    """[n, dim] float32 unit rows, made in pieces so that the peak is the array itself."""
    emb = np.empty((n, dim), dtype=np.float32)
    for start in range(0, n, 10_000):
        part = emb[start : start + 10_000]
        rng.standard_normal(part.shape, dtype=np.float32, out=part)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return emb


class TilesMadeTwice(SimTiles):
    """Tiles whose product is made once more after use, to time it under the same conditions.

    By turns, tile by tile, a busy neighbour slows the fit and the product alike; the second
    product finds its input in the cache, which is in its favour, not in the fit's.
    """

    wall_s = 0.0  # of the products that nobody used, summed over threads
    cpu_s = 0.0
    lock = Lock()

    def blocks(self, scale: float = 1.0, within: slice | None = None) -> Iterator[Block]:
        for rows, columns, block in super().blocks(scale, within):
            yield rows, columns, block
            wall, cpu = time.perf_counter(), time.thread_time()
            np.matmul(self.query_emb[rows], self.gallery_emb[columns].T, out=block)
            wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
            with self.lock:
                self.wall_s += wall
                self.cpu_s += cpu


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


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
    n_threads = os.cpu_count() or 1
    if args.n_gallery < 2 * SimTiles(np.ones((1, 1)), np.ones((1, 1))).column_tile * n_threads:
        parser.error("--n-gallery is too small to keep all cores busy")

    rng = np.random.default_rng(0)
    bank_emb = random_unit_rows(rng, args.n_bank, args.dim)
    video_emb = random_unit_rows(rng, args.n_gallery, args.dim)
    normaliser = get_normaliser(args.normaliser, beta=args.beta, k=args.k)
    tiles = TilesMadeTwice(bank_emb, video_emb)
    cpu = time.process_time()
    wall = seconds(lambda: normaliser.fit(tiles))
    cpu = time.process_time() - cpu
    product, fit = tiles.wall_s / n_threads, wall - tiles.wall_s / n_threads
    product_cpu, fit_cpu = tiles.cpu_s, cpu - tiles.cpu_s

    part = SimTiles(bank_emb, video_emb[:PART])
    operations = 2 * args.n_bank * args.dim
    part_speed = operations * len(part.gallery_emb) / seconds(lambda: [None for _ in part.blocks()])
    operations *= args.n_gallery
    embeddings = bank_emb.nbytes + video_emb.nbytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"bank {args.n_bank:,} x gallery {args.n_gallery:,} x dim {args.dim}, {args.normaliser}")
    print(f"matrix product alone  {product:8.2f} s  {operations / product / 1e9:6.0f} GFLOP/s")
    print(f"  the same, on the BLAS's own threads {part_speed / 1e9:7.0f} GFLOP/s (a part of it)")
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
