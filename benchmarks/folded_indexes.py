"""What approximate indexes make of a folded bias: recall of the exact normalised top 10.

    python benchmarks/folded_indexes.py --n-gallery 20000

Vectors lie in clusters, as real ones do; queries and bank lie near items. Each faiss index holds
the folded vectors; as a baseline the same index holds the plain ones and is asked raw, so that what
the new coordinate costs is told apart from what the index costs anyway.
"""

import sys
from pathlib import Path

import faiss
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import parser_of
from retrieval.folding import Folding
from retrieval.normalisers import parse_spec
from retrieval.similarity import SimTiles, unit_rows

INDEXES = {
    "exact, float16": ("SQfp16", None),
    "8-bit numbers": ("SQ8", None),
    "4-bit numbers": ("SQ4", None),
    "inverted file, 16 of 128 lists": ("IVF128,Flat", 16),
    "graph, 32 links, 64 looked at": ("HNSW32", 64),
}


def near_items(rng: np.random.Generator, video_emb: np.ndarray, n: int) -> np.ndarray:
    """[n, dim] unit rows, each beside a random item."""
    items = video_emb[rng.integers(0, len(video_emb), n)]
    return unit_rows(items + 1.5 / np.sqrt(items.shape[1]) * rng.standard_normal(items.shape))


def recall(kind: str, look: int | None, items: np.ndarray, queries: np.ndarray, k: int) -> float:
    """Share of the k best items that an index of this kind returns."""
    exact = faiss.IndexFlatIP(items.shape[1])
    exact.add(items)
    expected = exact.search(queries, k)[1]
    index = faiss.index_factory(items.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
    index.train(items)
    index.add(items)
    if look is not None:
        name = "nprobe" if kind.startswith("IVF") else "efSearch"
        faiss.ParameterSpace().set_index_parameter(index, name, look)
    found = index.search(queries, k)[1]
    return float(np.mean([len(set(a) & set(b)) / k for a, b in zip(found, expected, strict=True)]))


def main() -> None:
    parser = parser_of(
        __doc__, {"--n-gallery": 20_000, "--n-bank": 5_000, "--n-queries": 500, "--dim": 128}
    )
    parser.add_argument("--normaliser", default="inverted_softmax:beta=20", help="what is folded")
    parser.add_argument("--top", type=int, default=10, help="items of each answer")
    args = parser.parse_args()

    rng = np.random.default_rng(0)
    centres = rng.standard_normal((200, args.dim))
    scattered = 0.7 * rng.standard_normal((args.n_gallery, args.dim))
    video_emb = unit_rows(centres[rng.integers(0, 200, args.n_gallery)] + scattered)
    bank_emb = near_items(rng, video_emb, args.n_bank)
    query_emb = near_items(rng, video_emb, args.n_queries)
    bias = parse_spec(args.normaliser).fit(SimTiles(bank_emb, video_emb))
    folding = Folding(bias, args.dim)
    items, queries = folding.items(video_emb), folding.queries(query_emb)
    spread = bias.centred.std() / (query_emb[:100] @ video_emb.T).std()
    print(
        f"{args.n_gallery:,} items of dim {args.dim}, {args.normaliser}, {args.n_queries} queries; "
        f"the bias spreads {spread:.2f} times as far as the similarities"
    )
    print("| index | plain vectors, raw | folded, normalised |\n|---|---|---|")
    for name, (kind, look) in INDEXES.items():
        plain = recall(kind, look, video_emb, query_emb, args.top)
        folded = recall(kind, look, items, queries, args.top)
        print(f"| {name} (`{kind}`) | {plain:.3f} | {folded:.3f} |")


if __name__ == "__main__":
    main()
