"""Metrics, intervals and paired tests -> the sentences that say whether it helped beyond noise."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from retrieval.statistics import NOISE, SMALLEST_P, Interval, PairedTest

if TYPE_CHECKING:
    from retrieval.reports.report import Row

HELPED, HURT = "helped", "hurt"  # the ranks as a whole and R@1
RANKS_ROSE, RANKS_FELL = "ranks rose", "ranks fell"  # with R@1 within noise
R1_ROSE, R1_FELL = "R@1 rose", "R@1 fell"  # with the ranks as a whole within noise
MIXED, NO_DIFFERENCE = "mixed", "no difference"


def outcome_of(paired: PairedTest, p: float, gain: Interval) -> str:
    """What a normaliser did, as far as it can be told from noise.

    Args:
        paired: queries that rose and fell.
        p: of the paired test, corrected for all that were tried.
        gain: interval of the difference in R@1, points.
    """
    beyond = p < NOISE
    rose = beyond and paired.helped > paired.hurt
    fell = beyond and paired.helped < paired.hurt
    up, down = gain[0] > 0, gain[1] < 0
    if (rose and down) or (fell and up):
        return MIXED
    if rose:
        return HELPED if up else RANKS_ROSE
    if fell:
        return HURT if down else RANKS_FELL
    if up:
        return R1_ROSE
    return R1_FELL if down else NO_DIFFERENCE


def sentence(
    title: str,
    outcome: str,
    paired: PairedTest,
    p: float,
    n_tried: int,
    r1: float,
    gain: Interval,
) -> str:
    """One normaliser's verdict.

    Args:
        title: its name, for people.
        outcome: from `outcome_of`.
        paired: queries that rose and fell.
        p: as for `outcome_of`.
        n_tried: normalisers that it is corrected for.
        r1: difference in R@1, points.
        gain: its interval.
    """
    said = {
        HELPED: "helped beyond noise",
        HURT: "made it worse beyond noise",
        RANKS_ROSE: "lifted more queries than it lowered, but R@1 stayed within noise",
        RANKS_FELL: "lowered more queries than it lifted, but R@1 stayed within noise",
        R1_ROSE: "raised R@1, but of all queries too few rose to tell it from noise",
        R1_FELL: "lowered R@1, but of all queries too few fell to tell it from noise",
        MIXED: "moved R@1 one way and most queries the other",
        NO_DIFFERENCE: "made no difference beyond noise",
    }[outcome]
    corrected = f", corrected for {n_tried} normalisers" if n_tried > 1 else ""
    return (
        f"{title} {said}: R@1 {r1:+.1f} (95 % interval {gain[0]:+.1f} to {gain[1]:+.1f}), "
        f"{paired.helped:,} queries rose and {paired.hurt:,} fell ({p_text(p)}{corrected})."
    )


def over_all(rows: "Sequence[Row]") -> str:
    """The verdict over all normalisers of a report, raw first.

    Methods that look at other test queries are left aside: no search can use them.
    """
    tried = [row for row in rows[1:] if not row.transductive]
    if not tried:
        aside = "; methods that look at the other test queries are left aside" * (len(rows) > 1)
        return f"Nothing was normalised{aside}."
    best = max(tried, key=lambda row: row.metrics["R@1"])
    if len(tried) == 1:
        return best.verdict
    helped = [row for row in tried if row.outcome == HELPED]
    if not helped:
        return f"None of {len(tried)} normalisers helped beyond noise; best R@1: {best.verdict}"
    best = max(helped, key=lambda row: row.metrics["R@1"])
    return f"{len(helped)} of {len(tried)} normalisers helped beyond noise, best: {best.verdict}"


def p_text(p: float) -> str:
    """A p-value as one writes it."""
    if p <= SMALLEST_P:
        return "p < 1e-12"
    return f"p = {p:.2f}" if p >= 0.1 else f"p = {p:.2g}"
