"""Reports of several training seeds -> mean (std) of their numbers, and one verdict."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from retrieval import statistics
from retrieval.advice import verdicts
from retrieval.errors import SettingsError
from retrieval.hubness import Inequality
from retrieval.reports.report import Report


@dataclass(frozen=True)
class SeedsRow:
    """One normaliser over all seeds."""

    spec: str
    title: str
    transductive: bool
    metrics: dict[str, float]  # means over seeds
    std: dict[str, float]  # sample standard deviations (n - 1) over seeds
    hubness: dict[int, dict[str, float]]  # k -> means over seeds
    paired: statistics.PairedTest  # of all queries of all seeds, by video
    outcome: str  # as in a Row
    verdict: str


@dataclass(frozen=True, eq=False)
class SeedsReport:
    """What an evaluation of several seeds found; the first row is raw."""

    seeds: tuple[str, ...]
    reports: tuple[Report, ...]  # one a seed
    rows: tuple[SeedsRow, ...]
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """As of one report, with means over seeds; `std` beside them, `reports` one a seed."""
        return {
            "seeds": list(self.seeds),
            "metrics": {row.spec: row.metrics for row in self.rows},
            "std": {row.spec: row.std for row in self.rows},
            "hubness": {row.spec: row.hubness for row in self.rows},
            "verdict": self.verdict,
            "rows": [asdict(row) for row in self.rows],
            "reports": [report.to_dict() for report in self.reports],
        }


def over_seeds(seeds: Sequence[str], reports: Sequence[Report]) -> SeedsReport:
    """Put the reports of several seeds together.

    The seeds rank the same queries, so a video's captions under all seeds are one unit of the
    paired test and of the interval.

    Raises:
        SettingsError: the seeds do not rank the same queries with the same normalisers.
    """
    first = reports[0]
    specs = [row.spec for row in first.rows]
    for seed, report in zip(seeds, reports, strict=True):
        same = np.array_equal(report.correct, first.correct)
        if not same or [row.spec for row in report.rows] != specs:
            raise SettingsError(
                f"seed {seed} has other queries or normalisers than seed {seeds[0]}; seeds are "
                "trainings of one model, tested on the same queries"
            )
    ranks = np.stack([np.concatenate([each[spec].ranks for each in reports]) for spec in specs])
    unit = np.tile(first.unit, len(reports))
    gains = [each.gains["R@1"] for each in statistics.bootstrap(ranks, unit)]
    tests = [statistics.paired_test(ranks[0], after, unit) for after in ranks]
    p_values = [1.0, *statistics.holm([test.p for test in tests[1:]])]
    rows: list[SeedsRow] = []
    for spec, gain, test, p in zip(specs, gains, tests, p_values, strict=True):
        of_seed = [report[spec] for report in reports]
        both = {
            name: statistics.mean_and_std([row.metrics[name] for row in of_seed])
            for name in of_seed[0].metrics
        }
        mean, std = ({name: pair[i] for name, pair in both.items()} for i in (0, 1))
        outcome, verdict = "raw", ""
        if rows:
            outcome = verdicts.outcome_of(test, p, gain)
            r1 = mean["R@1"] - rows[0].metrics["R@1"]
            verdict = verdicts.sentence(
                of_seed[0].title, outcome, test, p, len(specs) - 1, r1, gain
            )
        rows.append(
            SeedsRow(
                spec=spec,
                title=of_seed[0].title,
                transductive=of_seed[0].transductive,
                metrics=mean,
                std=std,
                hubness={
                    k: _mean([row.hubness[k] for row in of_seed]) for k in first.rows[0].hubness
                },
                paired=test,
                outcome=outcome,
                verdict=verdict,
            )
        )
    return SeedsReport(tuple(seeds), tuple(reports), tuple(rows), verdicts.over_all(rows))


def _mean(measured: Sequence[Inequality]) -> dict[str, float]:
    names = [field.name for field in fields(Inequality)]
    return {name: float(np.mean([getattr(each, name) for each in measured])) for name in names}
