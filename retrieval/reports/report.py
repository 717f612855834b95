"""What an evaluation found: a row per normaliser, and all that a view of them needs."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from retrieval.advice.checks import Finding
from retrieval.hubness import Hubness
from retrieval.normalisers import Bias, Normaliser
from retrieval.statistics import Interval, PairedTest
from retrieval.streaming.scoring import Truth

DIRECTIONS = ("t2v", "v2t")  # whatever the items are, videos or sounds


def task_name(direction: str, medium: str = "video") -> str:
    """A direction in words: "text-to-video", of sounds "audio-to-text"."""
    return f"text-to-{medium}" if direction == "t2v" else f"{medium}-to-text"


@dataclass(frozen=True)
class LeftOut:
    """A normaliser that could not be run."""

    normaliser: str  # its spec
    reason: str  # a sentence


@dataclass(frozen=True, eq=False)
class Row:
    """What one normaliser did to all queries."""

    spec: str  # as asked for, for example "nnn:alpha=0.5"; the key in `to_dict`
    normaliser: str  # short name
    title: str  # for people
    beta: float | None  # as resolved, per unit of similarity
    badge: str  # what the numbers rest on: "held-out bank", "transductive", ...
    transductive: bool  # looks at the other test queries: not to be compared, cannot serve
    metrics: dict[str, float]  # from metrics.summarise
    intervals: dict[str, Interval]  # metric -> its 95 % bootstrap interval; empty: not wanted
    gains: dict[str, Interval]  # metric -> 95 % interval of its difference from raw
    hubness: dict[int, Hubness]  # k -> measures over the test queries
    counts: dict[int, np.ndarray]  # k -> [n_items] k-occurrence over the test queries
    ranks: np.ndarray  # [n_queries] of the correct item; ties share their mean
    best: np.ndarray  # [n_queries, kept places] columns, best first
    best_scores: np.ndarray  # [n_queries, kept places] float32
    active: np.ndarray  # [n_queries] bool, whether the query was normalised at all
    paired: PairedTest  # against raw
    p_holm: float  # paired.p, corrected for the number of normalisers in the report
    outcome: str  # of verdicts.outcome_of: "helped", "no difference", ...; "raw" for the first row
    verdict: str  # a sentence; empty for the first row
    method: Normaliser  # as it was run, with all its knobs
    bias: Bias | None  # what was fitted; None for raw and for methods without one

    @property
    def helped(self) -> int:
        """Queries whose correct item rose against raw."""
        return self.paired.helped

    @property
    def hurt(self) -> int:
        """Queries whose correct item fell against raw."""
        return self.paired.hurt

    @property
    def unchanged(self) -> int:
        """Queries whose correct item kept its rank."""
        return self.paired.unchanged

    def to_dict(self) -> dict[str, Any]:
        """All but the arrays, as plain Python values."""
        return {
            "normaliser": self.normaliser,
            "spec": self.spec,
            "title": self.title,
            "beta": self.beta,
            "badge": self.badge,
            "transductive": self.transductive,
            "metrics": self.metrics,
            "intervals": {name: list(ends) for name, ends in self.intervals.items()},
            "gains": {name: list(ends) for name, ends in self.gains.items()},
            "hubness": {k: asdict(measured) for k, measured in self.hubness.items()},
            "helped": self.helped,
            "hurt": self.hurt,
            "unchanged": self.unchanged,
            "n_active": int(np.count_nonzero(self.active)),
            "p": self.paired.p,
            "p_holm": self.p_holm,
            "test": self.paired.test,
            "outcome": self.outcome,
            "verdict": self.verdict,
        }


@dataclass(frozen=True, eq=False)
class Report:
    """What an evaluation found; the first row is raw."""

    gallery: str  # what was ranked, by name
    bank: str | None
    direction: str  # "t2v" or "v2t"
    medium: str  # what the items are to whom searches them: "video" or "audio"
    n_queries: int  # that were asked: neither padding nor without a correct item
    n_items: int  # what is ranked: videos for t2v, captions for v2t
    n_bank: int
    badge: str  # what numbers normalised with the bank rest on
    rows: tuple[Row, ...]
    queries: np.ndarray  # [n_queries] row of each query in the similarities
    items: np.ndarray  # [n_items] column of each ranked item in the similarities
    correct: np.ndarray  # [n_queries, most] places in `items`, filled up with -1
    unit: np.ndarray  # [n_queries] the video of each, from 0; what is taken as independent
    resampled: str  # "queries" or "videos": what intervals and tests take as independent
    n_units: int  # how many of those
    verdict: str  # one sentence over all normalisers; empty without intervals
    findings: tuple[Finding, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def __getitem__(self, spec: str) -> Row:
        """The row of a normaliser, by its spec."""
        return next(row for row in self.rows if row.spec == spec)

    @property
    def task(self) -> str:
        """The direction in words."""
        return task_name(self.direction, self.medium)

    @property
    def truth(self) -> Truth:
        """Which queries were asked, which items were ranked, and which belong together."""
        return Truth(self.queries, self.items, self.correct, self.unit)

    def change(self, row: Row) -> np.ndarray:
        """[n_queries] places that the correct item gained on raw; negative where it fell."""
        return self.rows[0].ranks - row.ranks

    def to_dict(self) -> dict[str, Any]:
        """The report as plain Python values, nothing rounded.

        metrics, hubness    by spec; "none" is raw
        verdict             one sentence
        rows                per normaliser also intervals, gains, paired test and badge
        findings, left_out  what to know before believing it, and what could not be run
        """
        rows = [row.to_dict() for row in self.rows]
        return {
            "gallery": self.gallery,
            "bank": self.bank,
            "direction": self.direction,
            "medium": self.medium,
            "n_queries": self.n_queries,
            "n_items": self.n_items,
            "n_bank": self.n_bank,
            "badge": self.badge,
            "resampled": self.resampled,
            "n_units": self.n_units,
            "metrics": {row["spec"]: row["metrics"] for row in rows},
            "hubness": {row["spec"]: row["hubness"] for row in rows},
            "verdict": self.verdict,
            "rows": rows,
            "findings": [asdict(finding) for finding in self.findings],
            "left_out": [asdict(left_out) for left_out in self.left_out],
        }
