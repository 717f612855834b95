"""Matrices and one knob -> R@k and hubs at many of its values, in one reading of the matrices.

A sweep shows what a knob does; `tune` picks knobs, on validation matrices and never on the test
queries, whose best value would be fitted to their noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from retrieval import hubness, metrics
from retrieval.advice.choosing import candidates
from retrieval.errors import SettingsError
from retrieval.normalisers import Bias, Evidence, Normaliser, fit_all, parse_spec, spec_of
from retrieval.similarity import Tiles
from retrieval.streaming.rows import Rows, WatchedTiles, as_rows, without_padding
from retrieval.streaming.sampling import sample_rows, take_rows
from retrieval.streaming.scoring import Truth, score_all
from retrieval.streaming.tiles import mean_std

N_VALUES = 13  # of a range, where nobody says how many
BANK = "bank"  # the knob that is no setting of a normaliser: captions of the bank
EVEN = ("alpha", "lambda")  # knobs whose ranges are cut evenly, not in even ratios


@dataclass(frozen=True)
class Point:
    """One value of the knob."""

    value: float
    spec: str
    metrics: dict[str, float]  # from metrics.summarise
    k_skewness: float  # of the test queries' k-occurrence; 0 is none


@dataclass(frozen=True)
class Sweep:
    """What a knob does to the test queries."""

    normaliser: str  # its spec
    title: str
    knob: str
    unit: str
    points: tuple[Point, ...]  # ascending values
    raw: Point
    n_queries: int

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Sweep":
        """The sweep that `dataclasses.asdict` told of, also after JSON."""
        points = tuple(Point(**point) for point in values["points"])
        return cls(**{**values, "points": points, "raw": Point(**values["raw"])})

    @property
    def sentence(self) -> str:
        """Where it is best, and why that is no result."""
        best = max(self.points, key=lambda point: point.metrics["R@1"])
        low = min(point.metrics["R@1"] for point in self.points)
        return (
            f"{self.title} reaches R@1 {best.metrics['R@1']:.1f} at {self.knob} {best.value:g}, "
            f"{low:.1f} at its worst, raw {self.raw.metrics['R@1']:.1f}. The best of many values "
            "on the test queries is no result; pick one on validation queries."
        )

    def labelled(self) -> list[tuple[str, Point]]:
        """The values in words, raw first."""
        return [("raw", self.raw), *((f"{point.value:g}", point) for point in self.points)]

    def lines(self) -> list[str]:
        """A table for a terminal."""
        names = ("R@1", "R@5", "R@10", "MdR", "MnR")
        head = f"{self.knob + (f' ({self.unit})' if self.unit else ''):>28}"
        lines = [head + "".join(f"{name:>8}" for name in names) + "   skewness"]
        for label, point in self.labelled():
            cells = "".join(f"{point.metrics[name]:8.1f}" for name in names)
            lines.append(f"{label:>28}{cells}{point.k_skewness:11.2f}")
        return [*lines, self.sentence]


@dataclass(frozen=True)
class Tuned:
    """The knobs that were best on validation matrices."""

    spec: str  # for `normalisers.parse_spec`
    gain: float  # of R@1 on the validation queries over raw, points
    n_tried: int
    n_queries: int

    @property
    def sentence(self) -> str:
        """For people."""
        return (
            f"{self.spec} was best of {self.n_tried} settings on {self.n_queries:,} validation "
            f"queries (R@1 {self.gain:+.1f} there)."
        )


def sweep(
    sims: np.ndarray | Tiles | Rows,
    evidence: np.ndarray | Tiles | Evidence,
    what: str,
    *,
    normaliser: str | Normaliser = "qbnorm",
    correct: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    direction: str = "t2v",
    most: int | None = None,
    seed: int = 0,
) -> Sweep:
    """Rank all queries at many values of one knob.

    Args:
        sims: [n_queries, n_gallery] raw similarities.
        evidence: what the normaliser is fitted on.
        what: KNOB=FROM:TO or KNOB=FROM:TO:HOW_MANY or KNOB=VALUE,VALUE,...; a knob of the
            normaliser, or "bank", the number of bank captions, drawn at random, each draw part of
            the next. Values of a range stand in even ratios, those of alpha at even distances.
        normaliser: an additive one.
        correct, mask, direction: as for `evaluate_matrices`.
        most: queries that are ranked, drawn at random, on a sample of the bank; None for all of
            both.
        seed: of the draws.

    Raises:
        SettingsError: not a knob, not a range, or a normaliser without a bias.
    """
    made = parse_spec(normaliser) if isinstance(normaliser, str) else normaliser
    if not made.additive:
        raise SettingsError(f"{made.title} gives no bias, so it cannot be swept; name another one")
    rows, evidence, truth = _prepared(sims, evidence, correct, mask, direction)
    bank = evidence.need("bank_sims", "a sweep")
    if most is not None:
        rng = np.random.default_rng(seed)
        n = len(truth.queries)
        truth = truth.some(np.sort(rng.choice(n, min(n, most), replace=False)))
        bank = sample_rows(bank, rng)
        evidence = replace(evidence, bank_sims=bank, bank_gallery_bank_sims=None)
    knob, values = parse_sweep(what, made, bank.shape[0])
    unit = "captions" if direction == "t2v" else "videos"
    if knob == BANK:
        each = [made] * len(values)
        biases = _fit_sizes(made, evidence, bank, values, seed)
    else:
        each = [parse_spec(f"{spec_of(made)}:{knob}={value!r}") for value in values]
        biases = fit_all(each, evidence)
        unit = next(f.metadata.get("unit", "") for f in fields(made) if f.name == knob)
    raw, *points = _points(rows, biases, truth, [0, *values], ["none", *map(spec_of, each)])
    return Sweep(spec_of(made), made.title, knob, unit, tuple(points), raw, len(truth.queries))


def tune(
    sims: np.ndarray | Tiles | Rows,
    evidence: np.ndarray | Tiles | Evidence,
    names: Sequence[str] = ("qbnorm",),
    *,
    grid: Sequence[str] | None = None,
    correct: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    direction: str = "t2v",
) -> list[Tuned]:
    """Pick the knobs of normalisers on validation matrices, by R@1 and then the mean rank.

    Args:
        sims: [n_validation, n_gallery] similarities of validation queries.
        evidence: a bank against that same gallery.
        names: normalisers, additive ones, one word each.
        grid: words for `parse_spec` to try; None for those of `choosing.candidates`.
        correct, mask, direction: as for `evaluate_matrices`.

    Returns:
        one result a name.
    """
    rows, evidence, truth = _prepared(sims, evidence, correct, mask, direction)
    bank = evidence.need("bank_sims", "tuning")
    if grid is None:
        grid = candidates(mean_std(bank)[1] or 1.0, bank.shape[0])
    tried = {spec_of(made): made for made in map(parse_spec, [*names, *grid])}
    wanted = {parse_spec(name).name for name in names}
    tried = {spec: made for spec, made in tried.items() if made.name in wanted}
    for made in tried.values():
        if not made.additive:
            raise SettingsError(f"{made.title} gives no bias, so it cannot be tuned here")
    biases = fit_all(list(tried.values()), evidence)
    raw, *points = _points(rows, biases, truth, [0] * (1 + len(tried)), ["none", *tried])
    found = []
    for name in dict.fromkeys(parse_spec(name).name for name in names):
        own = [p for p, made in zip(points, tried.values(), strict=True) if made.name == name]
        best = max(own, key=lambda point: (point.metrics["R@1"], -point.metrics["MnR"]))
        gain = best.metrics["R@1"] - raw.metrics["R@1"]
        found.append(Tuned(best.spec, gain, len(own), len(truth.queries)))
    return found


def parse_sweep(what: str, made: Normaliser, n_bank: int) -> tuple[str, list[float]]:
    """The knob and its values in ascending order; see `sweep`."""
    knob, equals, text = what.partition("=")
    whole = knob == BANK
    if not whole:
        known = {field.name: field for field in fields(made)}
        if knob not in known:
            raise SettingsError(
                f"{knob[:30]!r} is no knob of {made.title}; sweep one of {', '.join(known)} or bank"
            )
        whole = isinstance(getattr(made, knob), int)
    try:
        if ":" in text:
            first, last, *n = text.split(":")
            low, high, n_values = float(first), float(last), int(*n) if n else N_VALUES
            if not (0 <= low < high and 2 <= n_values <= 1000):
                raise ValueError(text)
            even = knob in EVEN
            values = (np.linspace if even else np.geomspace)(low, high, n_values).tolist()
        else:
            values = [float(each) for each in text.split(",")]
    except ValueError:
        raise SettingsError(
            f"cannot sweep {what[:60]!r}; write KNOB=FROM:TO, KNOB=FROM:TO:HOW_MANY or "
            "KNOB=VALUE,VALUE with FROM below TO, for example beta=1:200"
        ) from None
    if whole:
        return knob, sorted(
            {int(min(round(v), n_bank) if knob == BANK else round(v)) for v in values}
        )
    return knob, sorted({float(f"{value:.3g}") for value in values})


def _prepared(
    sims: np.ndarray | Tiles | Rows,
    evidence: np.ndarray | Tiles | Evidence,
    correct: np.ndarray | None,
    mask: np.ndarray | None,
    direction: str,
) -> tuple[Rows, Evidence, Truth]:
    rows = as_rows(sims)
    evidence = evidence if isinstance(evidence, Evidence) else Evidence(bank_sims=evidence)
    find = Truth.of_videos if direction == "t2v" else Truth.of_captions
    truth = find(rows.shape, correct, mask)
    rows, evidence = without_padding(rows, evidence, truth.items)
    return rows, evidence, truth


def _fit_sizes(
    made: Normaliser, evidence: Evidence, bank: Tiles, sizes: Sequence[float], seed: int
) -> list[Bias]:
    """One bias per size of the bank."""
    order = np.random.default_rng(seed).permutation(bank.shape[0])
    biases = []
    for size in map(int, sizes):
        if size < 1:
            raise SettingsError(f"a bank has one caption or more, got {size}")
        part = bank
        if size < bank.shape[0]:
            inner = bank.whole if isinstance(bank, WatchedTiles) else bank
            part = take_rows(inner, np.sort(order[:size]))
        biases += fit_all([made], replace(evidence, bank_sims=part, bank_gallery_bank_sims=None))
    return biases


def _points(
    rows: Rows, biases: Sequence[Bias], truth: Truth, values: Sequence[float], specs: Sequence[str]
) -> list[Point]:
    points = []
    for value, spec, seen in zip(values, specs, score_all(rows, biases, truth), strict=True):
        counts = seen.counts[max(seen.counts)]
        points.append(Point(value, spec, metrics.summarise(seen.ranks), hubness.k_skewness(counts)))
    return points
