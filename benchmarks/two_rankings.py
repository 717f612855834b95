"""What the second ranking costs: raw and QB-Norm together, against raw alone.

    python benchmarks/two_rankings.py --n-gallery 1000000

As the engine ranks a typed query: one reading of the gallery gives a row of similarities, and each
ranking is a few passes over that row. In the same run, by turns: the raw ranking alone, both, the
engine's whole answer (both, with every place in the other ranking, ties, strengths of overtaking),
and a plain faiss search of the same vectors, exact like the rest.
"""

import statistics
import sys
from pathlib import Path

import faiss
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import parser_of, random_unit_rows, timed
from retrieval.answers import Settings
from retrieval.engine import Engine
from retrieval.gallery import EncoderId, Gallery, Item, Queries
from retrieval.places import best_of
from retrieval.querybank import Querybank
from retrieval.streaming.rows import ProductRows


def main() -> None:
    parser = parser_of(__doc__, {"--n-gallery": 100_000, "--n-bank": 100, "--dim": 256})
    parser.add_argument("--top", type=int, default=10, help="items of each answer")
    parser.add_argument("--normaliser", default="qbnorm", help="of the second ranking")
    parser.add_argument("--n-queries", type=int, default=20, help="queries; medians count")
    args = parser.parse_args()

    rng = np.random.default_rng(0)
    video_emb = random_unit_rows(rng, args.n_gallery, args.dim)
    # Queries that lie near an item, as real ones do, and a bank that knows every tenth of these.
    near = video_emb[: args.n_queries] + 0.5 * random_unit_rows(rng, args.n_queries, args.dim)
    text_emb = near / np.linalg.norm(near, axis=1, keepdims=True)
    bank_emb = random_unit_rows(rng, args.n_bank, args.dim)
    bank_emb[: args.n_queries : 10] = text_emb[::10]
    encoder = EncoderId.external(args.dim)
    names = tuple(map(str, range(args.n_queries)))
    queries = Queries(names, names, text_emb, np.arange(args.n_queries))
    items = tuple(Item(str(row)) for row in range(args.n_gallery))
    gallery = Gallery("random", None, video_emb, items, encoder, queries)
    bank = Querybank("random-bank", None, ("",) * args.n_bank, bank_emb, encoder)
    engine = Engine(gallery, bank)
    settings = Settings(right=args.normaliser, top=args.top)
    bias = engine.fit(settings.right, settings).bias
    engine.fit(settings.left, settings)
    plain = faiss.IndexFlatIP(args.dim)
    plain.add(video_emb)

    rows = ProductRows(text_emb, engine.gallery.video_emb)

    def raw(row: int) -> None:
        best_of(rows.read_rows(row, row + 1)[0], args.top)

    def both(row: int) -> None:
        sims = rows.read_rows(row, row + 1)
        best_of(sims[0], args.top)
        best_of(bias.apply(sims)[0], args.top)

    searches = {
        "plain faiss search": lambda row: plain.search(text_emb[row : row + 1], args.top),
        "raw ranking alone": raw,
        "both rankings": both,
        "the engine's answer": lambda row: engine.rank(query_id=names[row], settings=settings),
    }
    spent: dict[str, list[float]] = {name: [] for name in searches}
    for row in range(args.n_queries):  # by turns, so that a busy neighbour slows all
        for name, search in searches.items():
            spent[name].append(timed(lambda search=search, row=row: search(row))[0])
    print(f"gallery {args.n_gallery:,} x dim {args.dim}, top {args.top}, medians")
    median = {name: statistics.median(times[1:]) for name, times in spent.items()}
    for name, taken in median.items():
        print(f"{name:20} {taken * 1e3:8.1f} ms   {taken / median['raw ranking alone']:5.2f} x raw")


if __name__ == "__main__":
    main()
