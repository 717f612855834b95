"""What the second ranking costs: raw and QB-Norm together, against raw alone.

    python benchmarks/two_rankings.py --n-gallery 1000000

Both come from one index in one run, query by query or in batches; a plain faiss index of the same
vectors is a second baseline. Every search is exact.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from retrieval.index import Index
from retrieval.normalisers import get_normaliser
from retrieval.similarity import SimTiles


def random_unit_rows(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    """[n, dim] float32 unit rows, made in pieces."""
    emb = np.empty((n, dim), dtype=np.float32)
    for start in range(0, n, 10_000):
        part = emb[start : start + 10_000]
        rng.standard_normal(part.shape, dtype=np.float32, out=part)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return emb


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
    parser.add_argument("--n-bank", type=int, default=100, help="querybank size in captions")
    parser.add_argument("--dim", type=int, default=256, help="width of the embeddings")
    parser.add_argument("--top", type=int, default=10, help="items of each answer")
    parser.add_argument(
        "--batches", type=int, nargs="+", default=[1, 8, 32], help="queries asked at once"
    )
    parser.add_argument("--repeats", type=int, default=15, help="searches of each; medians count")
    args = parser.parse_args()

    rng = np.random.default_rng(0)
    video_emb = random_unit_rows(rng, args.n_gallery, args.dim)
    bank_emb = random_unit_rows(rng, args.n_bank, args.dim)
    bias = get_normaliser("qbnorm").fit(SimTiles(bank_emb, video_emb))
    index = Index(video_emb, bias)
    del video_emb  # the index has its own; what follows reads that one
    plain = faiss.IndexFlatIP(args.dim)
    plain.add(np.ascontiguousarray(index.video_emb))

    print(f"gallery {args.n_gallery:,} x dim {args.dim}, top {args.top}, medians")
    for n_queries in args.batches:
        query_emb = random_unit_rows(rng, n_queries, args.dim)
        searches = {
            "faiss": lambda query_emb=query_emb: plain.search(query_emb, args.top),
            "raw": lambda query_emb=query_emb: index.search(query_emb, args.top, strength=0.0),
            "both": lambda query_emb=query_emb: index.search_both(query_emb, args.top),
        }
        spent: dict[str, list[float]] = {name: [] for name in searches}
        for _ in range(args.repeats + 1):  # by turns, so that a busy neighbour slows all
            for name, search in searches.items():
                spent[name].append(seconds(search))
        median = {name: statistics.median(times[1:]) for name, times in spent.items()}
        print(
            f"{n_queries:4d} queries: plain faiss {median['faiss'] * 1e3:8.1f} ms, "
            f"raw alone {median['raw'] * 1e3:8.1f} ms, both {median['both'] * 1e3:8.1f} ms; "
            f"both / raw alone {median['both'] / median['raw']:.2f}, "
            f"both / plain faiss {median['both'] / median['faiss']:.2f}"
        )


if __name__ == "__main__":
    main()
