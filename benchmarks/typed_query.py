"""What a typed query costs on the server, and how much of that is normalisation.

    python benchmarks/typed_query.py

Every query is a sentence that the engine has not seen, so it is tokenised and embedded each time;
the encoder and the biases are warm. Per query the same sentence is ranked twice, in turn: both
rankings raw, which is the baseline, and raw beside QB-Norm. To reach: p50 of the second at most
60 ms, of which normalisation (looking up the bias, gate, subtraction) at most 5 %. All that the
normalised column costs beyond that, such as the strengths of its overtakings, is in the ratio.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import parser_of
from retrieval.answers import Settings
from retrieval.engine import Engine, open_engine


def sentences(engine: Engine, n: int, seed: int) -> list[str]:
    """New sentences of the length of real ones: bank captions with one word of another."""
    rng = np.random.default_rng(seed)
    captions = engine.bank.captions
    found = []
    for row in rng.integers(0, len(captions), n):
        words = captions[row].split()
        other = captions[rng.integers(len(captions))].split()
        words[rng.integers(len(words))] = other[rng.integers(len(other))]
        found.append(f"{' '.join(words)} {len(found)}"[:300])
    return found


def measure(engine: Engine, texts: list[str], top: int) -> dict[str, list[float]]:
    """Milliseconds per query: whole answers, and of these embedding and normalisation."""
    raw = Settings(left="none", right="none", top=top)
    both = Settings(left="none", right="qbnorm", top=top)
    for settings in (raw, both):
        for text in ("a warm-up sentence", "another one"):
            engine.rank(text, settings=settings)
    taken: dict[str, list[float]] = {"raw": [], "both": [], "encode": [], "normalisation": []}
    for n, text in enumerate(texts):
        # The first to ask pays for the embedding; take turns, and count it for both alike.
        order = [("raw", raw), ("both", both)] if n % 2 else [("both", both), ("raw", raw)]
        ranking = {}
        for name, settings in order:
            start = time.perf_counter()
            laps = engine.rank(text, settings=settings).timings_ms
            whole = 1000 * (time.perf_counter() - start)
            ranking[name] = whole - laps["encode"]
            if name == "both":
                taken["normalisation"].append(laps["normalise"])
            if name == order[0][0]:
                encode = laps["encode"]
        for name, without_encoding in ranking.items():
            taken[name].append(encode + without_encoding)
        taken["encode"].append(encode)
    return taken


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--gallery", help="gallery folder (default: the film library)")
    parser.add_argument("--bank", help="querybank folder (default: GALLERY-bank)")
    parser.add_argument("--model", help="encoder (default: the gallery's)")
    parser.add_argument("--n-queries", type=int, default=200, help="sentences (default: 200)")
    parser.add_argument("--top", type=int, default=10, help="results of a ranking (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the sentences (default: 0)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()

    engine = open_engine(args.gallery, args.bank, args.model)
    if engine.bank is None or not engine.has_encoder:
        parser.error("needs a gallery with a text encoder and a querybank")
    taken = measure(engine, sentences(engine, args.n_queries, args.seed), args.top)
    p50 = {name: statistics.median(values) for name, values in taken.items()}
    p95 = float(np.percentile(taken["both"], 95))
    share = p50["normalisation"] / p50["both"]
    figures = {
        "n_gallery": len(engine.gallery),
        "n_bank": engine.n_bank,
        "p50_raw_ms": round(p50["raw"], 3),
        "p50_both_ms": round(p50["both"], 3),
        "p95_both_ms": round(p95, 3),
        "p50_encode_ms": round(p50["encode"], 3),
        "normalisation_share": round(share, 4),
        "both_over_raw": round(p50["both"] / p50["raw"], 4),
    }
    print(
        f"{len(engine.gallery):,} videos, {engine.n_bank:,} bank captions, {args.n_queries} queries"
    )
    print(f"raw alone        p50 {p50['raw']:7.2f} ms, of which encoding {p50['encode']:.2f}")
    print(f"raw and QB-Norm  p50 {p50['both']:7.2f} ms, p95 {p95:.2f}")
    print(
        f"ratio {figures['both_over_raw']:.3f}, normalisation {100 * share:.1f} % of a typed query"
    )
    if args.json is not None:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
