"""Normalisers that are asked for -> those that what is given can run, and why not the others."""

from collections.abc import Sequence
from typing import Any

from retrieval.formats.limits import free_memory
from retrieval.normalisers import Evidence, Normaliser, parse_spec, spec_of
from retrieval.reports.report import LeftOut

WHOLE_COPIES = 5  # float64 matrices that a normaliser of all queries may hold at once
NEEDS = {"bank": "bank_sims", "gallery_bank": "gallery_bank_sims", "gallery": "gallery_sims"}


def check_width(n_items: int, field: str, matrix: Any) -> None:
    """Refuse a matrix of other items than the similarities have."""
    if matrix is not None and matrix.shape[1] != n_items:
        raise ValueError(
            f"sims have {n_items:,} columns, {field} {matrix.shape[1]:,}; both need one column per "
            "gallery item, in the same order"
        )


def by_spec(
    normalisers: Sequence[str | Normaliser], beta: float | None, k: int
) -> dict[str, Normaliser]:
    """What to run by its spec, each once, without raw."""
    asked = {}
    for each in normalisers:
        made = parse_spec(each, beta=beta, k=k) if isinstance(each, str) else each
        spec = spec_of(parse_spec(each)) if isinstance(each, str) else spec_of(each)
        if made.name != "none":
            asked.setdefault(spec, made)
    return asked


def runnable(
    asked: dict[str, Normaliser], evidence: Evidence, n_queries: int, n_items: int
) -> tuple[dict[str, Normaliser], tuple[LeftOut, ...]]:
    """Those for which everything is there, and why the others are left out."""
    run, left_out = {}, []
    for spec, made in asked.items():
        reason = _why_not(made, evidence, n_queries, n_items)
        if reason is None:
            run[spec] = made
        else:
            left_out.append(LeftOut(spec, f"{made.title} {reason}."))
    return run, tuple(left_out)


def _why_not(made: Normaliser, evidence: Evidence, n_queries: int, n_items: int) -> str | None:
    """What keeps a normaliser from being run."""
    needed = [name for need, name in NEEDS.items() if need in made.needs]
    needed += [name for name in getattr(made, "balanced", ()) if name not in needed]
    missing = [name for name in needed if getattr(evidence, name) is None]
    if missing:
        return f"was left out: it needs {' and '.join(missing)}"
    wanted, there = 8 * WHOLE_COPIES * n_queries * n_items, free_memory()
    if made.transductive and wanted > there:
        return (
            f"was left out: it works on all queries at once and may take {wanted / 1e9:.1f} GB, "
            f"of which {there / 1e9:.1f} GB are free"
        )
    return None
