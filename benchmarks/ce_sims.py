"""Speed and memory of the full similarity matrix of many experts, captions read from files.

    python benchmarks/ce_sims.py

As MSR-VTT has it: 59,800 captions, 2,990 videos, nine experts of 768 numbers, gaps in four of
them; embeddings are random. Prints the time of the matrix, its speed as a part of that of plain
matrix products of the same kind measured in the same run, the highest memory of the process, and
the largest difference to the definition in a sample of entries.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from benchmarks.common import parser_of, random_unit_rows
from retrieval.formats import open_matrix
from retrieval.streaming.expert_tiles import ExpertTiles

N_EXPERTS, DIM, GAPS = 9, 768, 4


def write_rows(path: Path, rng: np.random.Generator, n: int) -> None:
    """Unit rows to a .npy file, a few at a time."""
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (n, DIM)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, n, 4096):
            file.write(random_unit_rows(rng, min(4096, n - start), DIM).tobytes())


def product_speed(rng: np.random.Generator, n_videos: int, n: int = 2048) -> float:
    """Operations a second of a plain product on all cores; the best of five."""
    left = rng.standard_normal((n, N_EXPERTS * DIM), dtype=np.float32)
    right = rng.standard_normal((n_videos, N_EXPERTS * DIM), dtype=np.float32)
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        np.matmul(left, right.T)
        seconds.append(time.perf_counter() - began)
    return 2 * n * n_videos * N_EXPERTS * DIM / min(seconds)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--captions", type=int, default=59800, help="rows of the matrix")
    parser.add_argument("--videos", type=int, default=2990, help="columns of the matrix")
    parser.add_argument("--folder", type=Path, help="for the embeddings; None is a temporary one")
    args = parser.parse_args()

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        paths = [Path(folder) / f"{m}.npy" for m in range(N_EXPERTS)]
        for path in paths:
            write_rows(path, rng, args.captions)
        weights = rng.dirichlet(np.ones(N_EXPERTS), args.captions).astype(np.float32)
        available = np.ones((args.videos, N_EXPERTS), dtype=np.float32)
        available[:, :GAPS] = rng.random((args.videos, GAPS)) < 2 / 3
        speed = product_speed(rng, args.videos)
        text = [open_matrix(path) for path in paths]
        video = [random_unit_rows(rng, args.videos, DIM) for _ in range(N_EXPERTS)]

        began = time.perf_counter()
        sims = ExpertTiles(text, weights, video, available).matrix()
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # kB on Linux

        apart = 0.0
        for i, j in zip(*(rng.integers(0, size, 200) for size in sims.shape), strict=True):
            share = weights[i].astype(float) * available[j]
            rows = np.array([t.read_rows(i, i + 1)[0] for t in text], dtype=float)
            products = (rows * np.array([v[j] for v in video])).sum(axis=1)
            apart = max(apart, abs(sims[i, j] - share @ products / share.sum()))
    own = 2 * args.captions * args.videos * N_EXPERTS * DIM / seconds
    print(f"{args.captions:,} captions x {args.videos:,} videos, {N_EXPERTS} experts")
    print(
        f"time {seconds:.1f} s, {own / 1e9:.0f} GFLOP/s; plain products {speed / 1e9:.0f} GFLOP/s"
    )
    print(f"part of the speed of plain products: {100 * own / speed:.0f} %")
    print(f"highest memory of the process: {peak:.2f} GiB; the matrix is {sims.nbytes / 2**30:.2f}")
    print(f"largest difference to the definition in 200 entries: {apart:.1e}")


if __name__ == "__main__":
    main()
