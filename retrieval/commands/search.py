"""python -m retrieval search: one query, both rankings."""

import argparse
import json
import shutil
from dataclasses import asdict, replace
from typing import Any

from retrieval.commands import (
    MODEL_HELP,
    add_choose_argument,
    add_normaliser_arguments,
    choose_for,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "query",
        nargs="?",
        help="a sentence; for a gallery without an encoder a stored caption or its row, #12",
    )
    parser.add_argument("--query-id", help="a stored query instead, by its id; needs no model")
    parser.add_argument("--gallery", help="gallery folder (default: the film library)")
    parser.add_argument("--bank", help="querybank folder (default: GALLERY-bank, if there is one)")
    parser.add_argument("--model", help=f"{MODEL_HELP.replace('default', 'for example')}")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--normaliser",
        default="qbnorm",
        metavar="NAME[:KNOB=VALUE]",
        help="of the right ranking, for example nnn:alpha=0.5 (default: qbnorm)",
    )
    add_choose_argument(which, "the right ranking is by what it says, raw where it says none")
    parser.add_argument("--left", default="none", help="of the left ranking (default: none, raw)")
    add_normaliser_arguments(parser)
    parser.add_argument("--top", type=int, default=10, help="results, 1 to 100 (default: 10)")
    parser.add_argument(
        "--strength", type=float, default=1.0, help="share of the bias, 0 (raw) to 1 (default: 1)"
    )
    parser.add_argument("--json", action="store_true", help="print the answer as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Rank and print."""
    from retrieval.answers import Settings
    from retrieval.engine import open_engine

    settings = Settings(
        left=args.left,
        right=args.normaliser,
        beta=args.beta,
        k=args.k,
        bank_size=args.bank_size,
        top=args.top,
        strength=args.strength,
    ).validated()
    if args.query_id is None:
        from retrieval.answers import clean_query

        clean_query(args.query or "")  # before a model is loaded
    engine = open_engine(args.gallery, args.bank, args.model)
    choice = None
    if args.choose:
        choice = choose_for(engine.gallery, engine.bank, args.bank_size)
        settings = replace(settings, right=choice.spec, beta=None, k=1)
    result = engine.rank(args.query, query_id=args.query_id, settings=settings)
    if args.json:
        also = {} if choice is None else {"choice": asdict(choice)}
        print(json.dumps({**result.to_dict(), **also}, indent=1, ensure_ascii=False))
    else:
        if choice is not None:
            from retrieval.advice.choosing import choice_lines

            print("\n".join(choice_lines(choice)), end="\n\n")
        print("\n".join(_lines(result, shutil.get_terminal_size((120, 24)).columns)))
    return 0


def _lines(result: Any, width: int) -> list[str]:
    """The answer as text, the rankings side by side."""
    lines = [f'"{result.query}"', result.reason]
    truth = result.ground_truth
    if truth is not None:
        change = truth.left_rank - truth.right_rank
        moved = f" ({'up' if change > 0 else 'down'} {abs(change):g})" if change else ""
        lines.append(f"Ground truth {truth.id}: {truth.left_rank:g} -> {truth.right_rank:g}{moved}")
    if result.unknown_words:
        lines.append(f"Words the encoder never saw in training: {', '.join(result.unknown_words)}")
    if result.cut_at:
        lines.append(f"The encoder has room for the words before {result.cut_at!r} only.")
    if result.warning:
        lines.append(result.warning)
    half = max(40, (width - 3) // 2)
    left, right = (_column(ranking, half) for ranking in result.rankings)
    lines.append("")
    n = max(len(left), len(right))
    for row in range(n):
        first = left[row] if row < len(left) else ""
        second = right[row] if row < len(right) else ""
        lines.append(f"{first:{half}} | {second}".rstrip())
    return lines


def _column(ranking: Any, width: int) -> list[str]:
    lines = [f"{'rank':>4}  {'score':>6}  {'other':>5}  {ranking.title}"[:width]]
    for result in ranking.results:
        marks = [result.id]
        if result.is_ground_truth:
            marks.append("[ground truth]")
        if result.is_hub:
            marks.append(f"[hub x{result.k_occurrence}]")
        if result.takes_over_at is not None:
            marks.append(f"[from {result.takes_over_at:.2f}]")
        if result.caption:
            marks.append(result.caption)
        text = f"{result.rank:>4}  {result.score:>6.3f}  {result.other_rank:>5}  {' '.join(marks)}"
        lines.append(text if len(text) <= width else f"{text[: width - 1]}…")
    return lines
