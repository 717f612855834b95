"""How fast a bias is fitted, against the matrix product that it cannot do without.

    python benchmarks/fit_bias.py --n-gallery 1000000
    python benchmarks/fit_bias.py --n-bank 1000000 --n-gallery 100000 --mapped --again 16

Prints the product's time over the fit's (1 would mean that all else is free), both over the same
tiles in the same run, and the peak memory beyond the two embedding arrays. The fit is all of it:
checks, the scale-free beta, the bias, the activation set. The second line is an hour's work on two
cores, and says how far it is.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import parser_of, random_unit_rows, timed
from retrieval.normalisers import get_normaliser
from retrieval.similarity import Block, SimTiles

PART = 50_000  # items whose product is timed on the BLAS's own threads as well
PATIENCE_S = 20.0  # between two words on how far it is


class TilesMadeTwice(SimTiles):
    """Tiles of which some are made once more after use, to time the product alone beside the fit.

    By turns, tile by tile, a busy neighbour slows the fit and the product alike; the second
    product finds its input in the cache, which is in its favour, not in the fit's.

    Args:
        query_emb, gallery_emb: as for SimTiles.
        again: every how many tiles one is made again.
    """

    def __init__(self, query_emb: np.ndarray, gallery_emb: np.ndarray, again: int) -> None:
        super().__init__(query_emb, gallery_emb)
        self.again, self.lock = again, Lock()
        self.wall_s = self.cpu_s = 0.0  # of the products that nobody used, summed over threads
        self.cells = self.cells_again = self.n_tiles = 0
        self.start = self.told = time.perf_counter()

    def blocks(self, scale: float = 1.0, within: slice | None = None) -> Iterator[Block]:
        for rows, columns, block in super().blocks(scale, within):
            yield rows, columns, block
            with self.lock:
                self.n_tiles += 1
                self.cells += block.size
                again = self.n_tiles % self.again == 0
                self._tell()
            if not again:
                continue
            wall, cpu = time.perf_counter(), time.thread_time()
            np.matmul(self.query_emb[rows], self.gallery_emb[columns].T, out=block)
            wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
            with self.lock:
                self.wall_s += wall
                self.cpu_s += cpu
                self.cells_again += block.size

    def _tell(self) -> None:
        now = time.perf_counter()
        if now - self.told < PATIENCE_S:
            return
        self.told = now
        n, m = self.shape
        share, taken = self.cells / (n * m), now - self.start
        speed = 2 * self.cells * self.query_emb.shape[1] / taken / 1e9
        left = taken * (1 - share) / share / 60
        print(f"{share:6.1%}, {speed:.0f} GFLOP/s, {left:.0f} min left", file=sys.stderr)


def main() -> None:
    parser = parser_of(__doc__, {"--n-gallery": 50_000, "--n-bank": 5_000, "--dim": 256})
    parser.add_argument("--normaliser", default="qbnorm", help="short name of the normaliser")
    parser.add_argument("--beta", type=float, help="per unit of cosine; left out: 1 / std")
    parser.add_argument("--k", type=int, default=1, help="items of each caption that count")
    parser.add_argument(
        "--mapped", action="store_true", help="keep the embeddings in memory-mapped .npy files"
    )
    parser.add_argument("--folder", type=Path, help="where to put these; default: temporary")
    parser.add_argument(
        "--again", type=int, default=1, help="time the product alone on every so manieth tile"
    )
    args = parser.parse_args()
    n_threads = os.cpu_count() or 1
    if args.n_gallery < 2 * SimTiles(np.ones((1, 1)), np.ones((1, 1))).column_tile * n_threads:
        parser.error("--n-gallery is too small to keep all cores busy")
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        paths = [Path(folder) / f"{name}.npy" if args.mapped else None for name in ("bank", "gal")]
        measure(args, n_threads, *paths)


def measure(
    args: argparse.Namespace, n_threads: int, bank_path: Path | None, gallery_path: Path | None
) -> None:
    """Fit once and print what it took."""
    rng = np.random.default_rng(0)
    bank_emb = random_unit_rows(rng, args.n_bank, args.dim, bank_path)
    video_emb = random_unit_rows(rng, args.n_gallery, args.dim, gallery_path)
    normaliser = get_normaliser(args.normaliser, beta=args.beta, k=args.k)
    cpu, wall = time.process_time(), time.perf_counter()
    tiles = TilesMadeTwice(bank_emb, video_emb, args.again)
    normaliser.fit(tiles)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    share = tiles.cells_again / (args.n_bank * args.n_gallery)
    product, fit = tiles.wall_s / n_threads / share, wall - tiles.wall_s / n_threads
    product_cpu, fit_cpu = tiles.cpu_s / share, cpu - tiles.cpu_s

    part = SimTiles(bank_emb[:5_000], video_emb[:PART])
    speed = 2 * args.dim * part.shape[0] * part.shape[1] / timed(lambda: list(sizes(part)))[0]
    operations = 2 * args.dim * args.n_bank * args.n_gallery
    embeddings = bank_emb.nbytes + video_emb.nbytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        f"bank {args.n_bank:,} x gallery {args.n_gallery:,} x dim {args.dim}, {args.normaliser}; "
        f"{n_threads} cores, load {os.getloadavg()[0]:.1f}"
    )
    print(f"matrix product alone  {product:8.2f} s  {operations / product / 1e9:6.0f} GFLOP/s")
    print(f"  the same, on the BLAS's own threads {speed / 1e9:7.0f} GFLOP/s (a part of it)")
    print(f"fit of the bias       {fit:8.2f} s  {operations / fit / 1e9:6.0f} GFLOP/s")
    print(
        f"fit reaches {product / fit:.1%} of the product's speed "
        f"({product_cpu / fit_cpu:.1%} in processor time, {product_cpu:.1f} s of {fit_cpu:.1f} s)"
    )
    print(
        f"peak memory {peak / 2**20:.0f} MiB = embeddings {embeddings / 2**20:.0f} MiB "
        f"+ {(peak - embeddings) / 2**20:.0f} MiB"
    )


def sizes(tiles: SimTiles) -> Iterator[int]:
    """Make every tile and forget it."""
    for _, _, block in tiles.blocks():
        yield block.size


if __name__ == "__main__":
    main()
