"""A report -> lines of text for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from retrieval.advice.verdicts import p_text

if TYPE_CHECKING:
    from retrieval.reports.report import Report, Row
    from retrieval.reports.seeds import SeedsReport

COLUMNS = ("R@1", "R@5", "R@10", "R@50", "MdR", "MnR", "Geom")
NAME, CELL = 36, 13  # characters
WIDTH = 80  # of a brief table, in characters
METRICS = dict(zip(COLUMNS, (6, 6, 6, 6, 7, 7, 6), strict=True))  # heading -> width
MEASURES = {"skew@{k}": 8, "largest": 8, "never": 7, "helped": 7, "hurt": 7, "unchanged": 10}


def report_lines(report: "Report") -> list[str]:
    """Metrics with their intervals, what became of the queries, hubness, and the verdict."""
    bank = f"; {report.badge}: {report.bank}, {report.n_bank:,} rows" if report.bank else ""
    lines = [
        f"{report.gallery}, {report.task}: {report.n_queries:,} queries, "
        f"{report.n_items:,} items{bank}",
        "",
        _head(),
    ]
    for row in report.rows:
        lines.append(_cells(name_of(row), [f"{row.metrics[name]:.1f}" for name in COLUMNS]))
        if row.intervals:
            ends = [row.intervals[name] for name in COLUMNS]
            lines.append(_cells("", [f"{low:.1f}..{high:.1f}" for low, high in ends]))
    if report.rows[0].intervals:
        lines.append(
            f"Below each number its 95 % bootstrap interval ({report.n_units:,} "
            f"{report.resampled} resampled).{_unit(report)}"
        )
    lines += ["", *_queries(report)]
    if report.rows[0].hubness:
        lines += ["", *_hubness(report)]
    if report.verdict:
        several = len(report.rows) > 2
        lines += ["", *(row.verdict for row in report.rows[1:] if several), report.verdict]
    return [*lines, *_notes(report)]


def brief_lines(report: "Report") -> list[str]:
    """Metrics without intervals, hubness and what became of the queries, in 80 columns."""
    k = max(report.rows[0].hubness)
    lines = [
        f"{report.gallery}, {report.task}: {report.n_queries:,} queries, {report.n_items:,} items"
    ]
    if report.bank:
        lines.append(f"{report.badge}: {report.bank}, {report.n_bank:,} rows")
    lines += ["", *_narrow("", COLUMNS, METRICS)]
    for row in report.rows:
        cells = [f"{row.metrics[column]:.1f}" for column in COLUMNS]
        lines += _narrow(name_of(row), cells, METRICS)
    lines += ["", *_narrow("", [title.format(k=k) for title in MEASURES], MEASURES)]
    for row in report.rows:
        cells = _measures([row.hubness[k]])
        if row.spec != "none":
            cells += [f"{n:,}" for n in (row.helped, row.hurt, row.unchanged)]
        lines += _narrow(name_of(row), cells, MEASURES)
    return [
        *lines,
        f"R@k in percent, MdR and MnR in ranks. How often an item is in a top {k}: the",
        "skewness, the most of all items, and the share of items that never are.",
        "",
        report.verdict,
        *_notes(report),
    ]


def _narrow(name: str, cells: Sequence[str], columns: Mapping[str, int]) -> list[str]:
    """A row of a brief table; a name that is too long has a line of its own."""
    shown = "".join(
        f"{cell:>{width}}" for cell, width in zip(cells, columns.values(), strict=False)
    )
    room = WIDTH - sum(columns.values())
    return [f"{name:{room}}{shown}"] if len(name) <= room else [name, " " * room + shown]


def _notes(report: "Report") -> list[str]:
    return [
        *(f"{each.severity.capitalize()}: {each.sentence}" for each in report.findings),
        *(left_out.reason for left_out in report.left_out),
    ]


def over_seeds_lines(
    rows: Mapping[str, Mapping[str, tuple[float, float]]], n_seeds: int
) -> list[str]:
    """Mean (std) of tasks over seeds, a column each, in 80 columns.

    Args:
        rows: task -> metric -> mean and sample standard deviation.
        n_seeds: of one there is no deviation.
    """
    cells = {
        task: [f"{m[c][0]:.1f}" + (f" ({m[c][1]:.1f})" if n_seeds > 1 else "") for c in COLUMNS]
        for task, m in rows.items()
    }
    widths = {task: 2 + max(len(task), *map(len, column)) for task, column in cells.items()}
    lines = [" " * 4 + "".join(f"{task:>{width}}" for task, width in widths.items())]
    for place, name in enumerate(COLUMNS):
        shown = (f"{cells[task][place]:>{width}}" for task, width in widths.items())
        lines.append(f"{name:4}" + "".join(shown))
    lines.append("R@k in percent, MdR and MnR in ranks.")
    if n_seeds > 1:
        lines.append(f"Mean over {n_seeds} seeds (sample standard deviation, n - 1).")
    return lines


def seeds_lines(report: "SeedsReport") -> list[str]:
    """Means over seeds with their sample standard deviation, and the verdict."""
    first = report.reports[0]
    lines = [
        f"{first.task}, seeds {', '.join(report.seeds)}: {first.n_queries:,} "
        f"queries, {first.n_items:,} items",
        "",
        _head(),
    ]
    for row in report.rows:
        cells = [f"{row.metrics[name]:.1f} ({row.std[name]:.1f})" for name in COLUMNS]
        lines.append(_cells(row.title, cells))
    return [
        *lines,
        "Mean over seeds (sample standard deviation, n - 1).",
        "",
        *(row.verdict for row in report.rows[1:] if len(report.rows) > 2),
        report.verdict,
    ]


def name_of(row: "Row") -> str:
    """A normaliser with what was settled about it."""
    beta = "" if row.beta is None else f", beta {row.beta:.4g}"
    knobs = row.spec.partition(":")[2].replace(":", ", ")
    knobs = "" if not knobs or "beta=" in knobs else f", {knobs}"
    return f"{row.title}{beta}{knobs}"


def _unit(report: "Report") -> str:
    betas = any(row.beta is not None for row in report.rows)
    return " Beta is per unit of these similarities." if betas else ""


def _head() -> str:
    return _cells("", list(COLUMNS))


def _cells(name: str, cells: list[str]) -> str:
    return (f"{name:{NAME}}" + "".join(f"{cell:>{CELL}}" for cell in cells)).rstrip()


def _queries(report: "Report") -> Iterator[str]:
    for row in report.rows[1:]:
        badge = "" if row.badge == report.badge else f"; {row.badge}"
        yield (
            f"{name_of(row)}: {row.helped:,} helped, {row.hurt:,} hurt, {row.unchanged:,} "
            f"unchanged ({row.paired.test}, two-sided {p_text(row.paired.p)}){badge}"
        )


def _hubness(report: "Report") -> Iterator[str]:
    ks = list(report.rows[0].hubness)
    titles = [f"{what}@{k}" for k in ks for what in ("skewness", "largest", "never")]
    yield _cells("Hubness over the queries", titles)
    for row in report.rows:
        yield _cells(name_of(row), _measures([row.hubness[k] for k in ks]))
    yield _cells("under chance", _measures([report.rows[0].hubness[k].chance for k in ks]))


def _measures(measured: list) -> list[str]:
    cells = []
    for each in measured:
        never = f"{100 * each.antihub_share:.1f}%"
        cells += [f"{each.k_skewness:.2f}", f"{each.largest_hub:.0f}", never]
    return cells
