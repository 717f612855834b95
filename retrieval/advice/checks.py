"""Matrices as somebody brings them -> what should be known before their numbers are believed.

`check_shapes` refuses what cannot be right. `check_matrices` looks at some thousand rows, and at
the first columns of all of them, and returns sentences; each stands for a mistake that has led to
a wrong number somewhere.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrieval.advice.bank_quality import LEAST_MATCH, bank_quality, spearman
from retrieval.similarity import MatrixTiles, Tiles, is_finite
from retrieval.streaming.rows import Rows
from retrieval.streaming.sampling import MOST_CELLS, first_columns, read_some

WARNING, NOTE = "warning", "note"  # numbers may mean something else; good to know
MOST_ROWS = 1024  # of each matrix that are looked at whole
COLUMNS = 16  # first columns by which rows are told apart
FINE = 1e-3  # of a column's spread: what rounding cannot change, and few other rows share
TINY_BANK = 50  # captions; with fewer, several normalisers lose more than they gain
LARGEST_COSINE = 1.01  # with room for half precision
FLOAT32_LIMIT, FLOAT64_LIMIT = 88.7, 709.7  # largest exponents
BEYOND = 4  # standard errors, so that a clean matrix is not accused
LEAST_PAIRS = 30  # labelled queries and captions that are enough to judge a bank by


@dataclass(frozen=True)
class Finding:
    """Something in the input that a reader should know before believing the numbers."""

    kind: str  # short, for programs
    sentence: str  # for people
    severity: str = WARNING  # or NOTE


def check_shapes(
    sims: tuple[int, ...],
    bank: tuple[int, ...] | None = None,
    n_correct: int | None = None,
    n_mask: int | None = None,
    direction: str = "t2v",
) -> None:
    """Refuse shapes that cannot belong together, and say so if a transpose could.

    Args:
        sims: shape of [n_queries, n_gallery] similarities.
        bank: of [n_bank, n_gallery] similarities.
        n_correct: for how many captions the correct item is given; None if their order tells.
        n_mask: elements of the mask, one a caption.
        direction: "t2v" has captions on rows, "v2t" on columns.

    Raises:
        ValueError: a sentence.
    """
    for name, shape in (("sims", sims), ("bank_sims", bank)):
        if shape is not None and (len(shape) != 2 or 0 in shape):
            raise ValueError(f"{name} must be [n_queries, n_gallery] and not empty, got {shape}")
    if bank is not None and bank[1] != sims[1]:
        turn = "look transposed: put queries on rows and gallery items on columns"
        hint = "both need one column per gallery item, in the same order"
        if sims[0] == bank[1]:
            hint += f"; sims {turn}"
        elif sims[1] == bank[0]:
            hint += f"; bank_sims {turn}"
        raise ValueError(f"sims have {sims[1]:,} columns, bank_sims {bank[1]:,}; {hint}")
    side, other = ("row", "column") if direction == "t2v" else ("column", "row")
    n_captions, n_videos = sims if direction == "t2v" else sims[::-1]
    for name, n in (("correct", n_correct), ("mask", n_mask)):
        if n == n_videos != n_captions:
            raise ValueError(
                f"{name} has {n:,} elements, one per {other} of sims of shape {sims}, and needs "
                f"one per caption, which for {direction} is a {side}: sims look transposed"
            )
    if n_correct is None and n_captions < n_videos and n_videos % n_captions == 0:
        raise ValueError(
            f"sims of shape {sims} have fewer {side}s than {other}s, so the order of captions does "
            f"not tell the correct items; for {direction} captions are on {side}s: if yours are on "
            f"{other}s the matrix is transposed, else say which item is correct for each caption"
        )


def check_matrices(
    sims: np.ndarray | Tiles | Rows,
    bank: np.ndarray | Tiles | None = None,
    *,
    correct: np.ndarray,
    queries: np.ndarray | None = None,
    by_order_of: str | None = None,
    betas: Sequence[float] = (),
    seed: int = 0,
) -> list[Finding]:
    """Look for what makes numbers mean something else than they seem to.

    Args:
        sims: [n_queries, n_gallery] raw similarities.
        bank: [n_bank, n_gallery] similarities of a querybank.
        correct: [n] or [n, most] columns of the correct items of the queries, filled up with -1.
        queries: [n] rows of `sims` that are queries, ascending; None for all.
        by_order_of: "rows" or "columns" if `correct` was taken from their order alone.
        betas: inverse temperatures that are asked for, in the unit of the similarities.
        seed: of the rows that are looked at.

    Returns:
        warnings first.
    """
    rng = np.random.default_rng(seed)
    correct = np.asarray(correct).reshape(len(correct), -1)
    queries = np.arange(sims.shape[0]) if queries is None else queries
    seen = _some(rng, len(queries), sims.shape[1])
    test, own = read_some(sims, queries[seen]), correct[seen]
    known = None if bank is None else read_some(bank, _some(rng, *bank.shape))
    finite = is_finite(test) and (known is None or is_finite(known))
    findings = [] if finite else [_not_finite(test, known)]
    if finite:
        findings += _matched(test, own, by_order_of)
        findings += _unit(test, known, betas)
        findings += _duplicates([test] if known is None else [test, known])
        if known is not None:
            findings += _bank(test, own, known, bank.shape[0], seed)
    if bank is not None:
        findings += _queries_in_bank(sims, queries, bank)
    if by_order_of:
        findings.append(
            Finding(
                "row order",
                f"Which items are correct was taken from the order of {by_order_of} alone, nothing "
                "else says so; if that is another order, every number is wrong.",
                NOTE,
            )
        )
    return sorted(findings, key=lambda finding: finding.severity == NOTE)


def _some(rng: np.random.Generator, n: int, n_columns: int) -> np.ndarray:
    """Ascending rows to look at."""
    size = min(n, MOST_ROWS, max(64, MOST_CELLS // n_columns))
    return np.sort(rng.choice(n, size, replace=False))


def _not_finite(test: np.ndarray, known: np.ndarray | None) -> Finding:
    name, part = ("sims", test) if not np.isfinite(test).all() else ("bank_sims", known)
    share = 100 * float(np.mean(~np.isfinite(part)))
    return Finding(
        "not finite",
        f"{name} hold NaN or infinity ({share:.2g} % of what was looked at), so nothing can be "
        "ranked; the published script overflows to that at a beta too large for the unit.",
    )


def _matched(test: np.ndarray, own: np.ndarray, by_order_of: str | None) -> list[Finding]:
    """Are correct items more similar than others at all?"""
    spread = test.std(axis=1)
    rows = np.flatnonzero((spread > 0) & (own[:, 0] >= 0))
    if len(rows) < LEAST_PAIRS:
        return []
    standard = (test[rows, own[rows, 0]] - test[rows].mean(axis=1)) / spread[rows]
    # Under chance it has mean 0 and variance 1, whatever the similarities are.
    if standard.mean() > 2 / math.sqrt(len(rows)):
        return []
    order = f"the order of {by_order_of} does not tell" if by_order_of else "another order gave"
    return [
        Finding(
            "no match",
            f"Correct items are no more similar to their queries than others ("
            f"{standard.mean():+.2f} standard deviations): {order} the correct items, or both "
            "sides were embedded by different or untrained models.",
        )
    ]


def _unit(test: np.ndarray, known: np.ndarray | None, betas: Sequence[float]) -> list[Finding]:
    """Is beta in the unit of these similarities?"""
    found = []
    parts = [test] if known is None else [test, known]
    largest = max(abs(float(end)) for part in parts for end in (part.max(), part.min()))
    spread = [float(part.std()) for part in parts]
    if known is not None and min(spread) > 0 and not 1 / 5 < spread[0] / spread[1] < 5:
        found.append(
            Finding(
                "two units",
                f"sims spread by {spread[0]:.3g} and bank_sims by {spread[1]:.3g}: one seems to be "
                "cosines and the other logits; give both in one unit.",
            )
        )
    if largest <= LARGEST_COSINE:
        return found
    top = max(betas, default=20.0) * largest
    limits = [
        name
        for name, limit in (("float32", FLOAT32_LIMIT), ("float64", FLOAT64_LIMIT))
        if top > limit
    ]
    overflow = (
        f"; the published script would overflow {' and '.join(limits)} here, as beta times the "
        f"largest is {top:.3g} (here it is computed in logarithms)"
        if limits
        else ""
    )
    found.append(
        Finding(
            "logits",
            f"Similarities reach {largest:.3g}, so they are no cosines: a beta of cosines, such as "
            f"the paper's 20, has to be divided by the logit scale, or left scale-free{overflow}.",
            WARNING if any(beta * spread[-1] > 20 for beta in betas) else NOTE,
        )
    )
    return found


def _duplicates(parts: list[np.ndarray]) -> list[Finding]:
    """Gallery items that are the same to every query, whose similarities are in the parts."""
    rows = [row for part in parts for row in part]
    some = np.stack(rows[:: max(1, len(rows) // COLUMNS)][:COLUMNS], axis=1)
    copies = _twins(some)
    n = int(np.count_nonzero(copies))
    if n == 0 or min(len(rows), len(some)) < 4:
        return []
    return [
        Finding(
            "duplicates",
            f"{n:,} of {len(some):,} gallery items are the same as another one to every query "
            "(copies of one video?): they tie, so a query for one of them cannot rank it first.",
        )
    ]


def _twins(lines: np.ndarray) -> np.ndarray:
    """[n] bool: whether some other of the [n, width] lines is the same but for rounding."""
    marks = _marks(lines, _step(lines))
    found = np.zeros(len(lines), dtype=bool)
    for mark in marks:
        _, at, n_equal = np.unique(mark, return_inverse=True, return_counts=True)
        found |= n_equal[at] > 1
    return found & (lines.std(axis=1) > 0)


def _queries_in_bank(sims: Any, queries: np.ndarray, bank: Any) -> list[Finding]:
    """Rows of both matrices that are the same but for rounding."""
    if sims.shape[1] < 4:
        return []
    test, known = first_columns(sims, COLUMNS)[queries], first_columns(bank, COLUMNS)
    step = _step(known)
    found = np.zeros(len(test), dtype=bool)
    for ours, theirs in zip(_marks(test, step), _marks(known, step), strict=True):
        found |= np.isin(ours, theirs)
    n = int(np.count_nonzero(found & (test.std(axis=1) > 0)))
    if n == 0:
        return []
    return [
        Finding(
            "queries in bank",
            f"{n:,} of {len(test):,} test queries are in the bank too (the same similarities to "
            "the first items): such numbers are no held-out ones; take those rows out of the bank.",
        )
    ]


def _step(lines: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # NaN and infinity are told elsewhere
        spread = lines.std(axis=0)
    return np.where(spread > 0, FINE * spread, 1)


def _marks(lines: np.ndarray, step: np.ndarray) -> list[np.ndarray]:
    """Two hashes of every line; lines that differ by rounding share one of them, or nearly so.

    A value next to the edge of a step may be rounded across it; the other grid has its edges
    in the middle of the steps of the first.
    """
    factors = np.random.default_rng(0).integers(1, 2**63, lines.shape[1], dtype=np.uint64) | 1
    with np.errstate(invalid="ignore"):
        places = [np.floor(lines / step + shift).astype(np.int64) for shift in (0.0, 0.5)]
    return [(each.view(np.uint64) * factors).sum(axis=1, dtype=np.uint64) for each in places]


def _bank(
    test: np.ndarray, own: np.ndarray, known: np.ndarray, n_bank: int, seed: int
) -> list[Finding]:
    """Is the bank large enough, of the queries' kind, and not made of the gallery's captions?"""
    found = []
    if n_bank < TINY_BANK:
        found.append(
            Finding(
                "tiny bank",
                f"The bank has {n_bank:,} captions: below some 50 inverted softmax and Sinkhorn "
                "may lose more than they gain; CSLS and NNN with few neighbours need least.",
            )
        )
    if min(len(test), len(known)) < LEAST_PAIRS or test.shape[1] < 8:
        return found
    levels = test.mean(axis=0), known.mean(axis=0)
    across = test.mean(axis=1), known.mean(axis=1)
    agree = spearman(*levels)
    for name, rows, columns in (
        ("sims", across[0], levels[1]),
        ("bank_sims", across[1], levels[0]),
    ):
        if len(rows) == len(columns) and spearman(rows, columns) > max(0.5, agree + 0.3):
            found.append(
                Finding(
                    "transposed",
                    f"{name} look transposed: it is their rows, not their columns, that go with "
                    "the columns of the other matrix.",
                )
            )
            return found
    quality = bank_quality(MatrixTiles(known), MatrixTiles(test), seed)
    live = quality.live
    matches = quality.match_skewness > LEAST_MATCH * quality.match_skewness_error
    if not matches:
        found.append(
            Finding(
                "bank without matches",
                "No item fits a bank caption better than others misfit it: the bank was embedded "
                "by another or an untrained model, or is too small to tell.",
            )
        )
    if live.own_agreement > 0.3 and live.agreement < 0.5 * live.own_agreement:
        found.append(
            Finding(
                "other domain",
                f"The bank and the test queries find different hubs (rank correlation "
                f"{live.agreement:.2f}, two halves of the queries {live.own_agreement:.2f}; "
                f"{live.n:,} of the bank see {100 * live.bank_coverage:.0f} % of the gallery, as "
                f"many queries {100 * live.query_coverage:.0f} %): it is of another domain, of "
                "another model, or has its columns in another order.",
            )
        )
    return found + (_own_captions(test, own, known) if matches else [])


def _own_captions(test: np.ndarray, own: np.ndarray, known: np.ndarray) -> list[Finding]:
    """Do bank captions find an item as queries find their own, or as they find the others?"""
    rows, places = np.nonzero(own >= 0)
    theirs = np.zeros(test.shape, dtype=bool)
    theirs[rows, own[rows, places]] = True
    nothing = np.zeros(known.shape, dtype=bool)
    peaks = _peak(test, np.zeros_like(theirs)), _peak(test, theirs), _peak(known, nothing)
    means = [float(each.mean()) for each in peaks]
    errors = [float(each.std()) / math.sqrt(len(each)) for each in peaks]
    gap, above = means[0] - means[1], means[2] - means[1]
    if gap <= 0 or above < max(0.5 * gap, BEYOND * math.hypot(errors[1], errors[2])):
        return []
    return [
        Finding(
            "bank of the gallery",
            "Bank captions stand as close to their best item as test queries to their own, and "
            "closer than those to any other: they seem to be captions of gallery items, which "
            "inflates the gain; take captions of other videos.",
        )
    ]


def _peak(sims: np.ndarray, without: np.ndarray) -> np.ndarray:
    """[n_rows] how far the best item stands out of a row, in standard deviations of the row.

    Args:
        sims: [n_rows, n_gallery].
        without: [n_rows, n_gallery] bool, items that are left out.
    """
    n = np.maximum(sims.shape[1] - np.count_nonzero(without, axis=1), 1)
    left = np.where(without, 0, sims)
    mean = left.sum(axis=1, dtype=np.float64) / n
    spread = np.sqrt(np.maximum((left * left).sum(axis=1, dtype=np.float64) / n - mean**2, 0))
    best = np.where(without, -np.inf, sims).max(axis=1)
    return (best - mean) / np.where(spread > 0, spread, 1)
