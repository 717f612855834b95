"""A report on a visitor's matrices -> its tables as HTML, its charts, and the list of queries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from retrieval import hubness
from retrieval.advice.sweeps import Sweep
from retrieval.answers import HubnessReport
from retrieval.cards import move_html, rank_text
from retrieval.figures import (
    chance_per_bin,
    change_bins,
    change_label,
    changes_figure,
    changes_per_bin,
    exposure_bins,
    exposure_figure,
    rank_bins,
    ranks_figure,
    ranks_per_bin,
    sweep_figure,
    videos_per_bin,
)
from retrieval.matrices import MatrixReport
from retrieval.normalisers import title_of
from retrieval.published import METRICS
from retrieval.tabs.charts import data_table, drawn

PAGE = 50  # rows shipped at once
KINDS = ("all", "helped", "hurt", "unchanged")
ORDERS = {
    "largest change": lambda before, after: -np.abs(before - after),
    "largest gain": lambda before, after: after - before,
    "largest loss": lambda before, after: before - after,
    "rank before": lambda before, after: before,
    "rank after": lambda before, after: after,
    "row in the matrix": lambda before, after: np.arange(len(before)),
}


def report_html(report: MatrixReport, name: str) -> str:
    """Verdict, findings, both tables, and the files to take away."""
    about = report.about
    asked = (
        f"{about['gallery']}: {about['n_queries']:,} queries, {about['n_items']:,} items"
        + (f"; bank {about['bank']}, {about['n_bank']:,} rows" if about["bank"] else "; no bank")
        + f"; {'text to video' if about['direction'] == 't2v' else 'video to text'}."
    )
    told = [f'<p class="hl-verdict">{escape(about["verdict"])}</p>']
    if report.choice:
        advice, *why = report.choice
        told.append(
            f'<p class="hl-note"><b>Without looking at the answers</b>, from the bank alone: '
            f"{escape(advice)}</p>"
        )
        if why:
            told.append(
                '<details class="hl-data"><summary>What this advice rests on</summary>'
                f"<pre>{escape(chr(10).join(why))}</pre></details>"
            )
    warned = [each["sentence"] for each in about["findings"]]
    warned += [each["reason"] for each in about["left_out"]]
    if warned:
        listed = "".join(f"<li>{escape(each)}</li>" for each in warned)
        told.append(f'<ul class="hl-findings" aria-label="Findings">{listed}</ul>')
    links = "".join(
        f'<a class="hl-button" download href="download/matrices/{name}.{kind}">{words}</a>'
        for kind, words in (("json", "JSON"), ("csv", "Ranks as CSV"), ("zip", "TREC runs"))
    )
    return (
        f'<section aria-label="Report"><h2 class="hl-heading">Report</h2><p class="hl-note">'
        f"{escape(asked)}</p>{''.join(told)}{_metrics_html(about)}{_hubness_html(about)}"
        f'<div class="hl-tools" role="group" aria-label="Take away">{links}<span class="hl-note">'
        "Deleted within the hour.</span></div></section>"
    )


def _row_title(row: dict[str, Any]) -> str:
    """A normaliser with its settings, the beta that was used, and what its numbers rest on."""
    beta = f"beta {row['beta']:.4g}" if row["beta"] is not None else ""
    badge = row["badge"] if row["normaliser"] != "none" else ""
    below = " · ".join(each for each in (beta, badge) if each)
    title = title_of(row["spec"])
    return escape(title) + (f"<small>{escape(below)}</small>" if below else "")


def _metrics_html(about: dict[str, Any]) -> str:
    """Metrics with 95 % intervals; what became of the queries, and how likely by chance."""
    names = [name for name in METRICS if name in about["rows"][0]["metrics"]]
    head = "".join(f'<th scope="col">{name}</th>' for name in (*names, "queries against raw"))
    body = ""
    for row in about["rows"]:
        cells = "".join(
            f'<td title="{row["metrics"][name]!r}">{row["metrics"][name]:.1f}'
            "<small>{:.1f} to {:.1f}</small></td>".format(*row["intervals"][name])
            for name in names
        )
        paired = ""
        if row["normaliser"] != "none":
            paired = (
                f'<span class="hl-up">▲ {row["helped"]:,} helped</span>, '
                f'<span class="hl-down">▼ {row["hurt"]:,} hurt</span>, {row["unchanged"]:,} '
                f"unchanged<small>{escape(row['test'])}, p = {row['p_holm']:.2g}</small>"
            )
        body += (
            f'<tr><th scope="row">{_row_title(row)}</th>{cells}'
            f'<td class="hl-paired">{paired}</td></tr>'
        )
    return (
        '<h3 class="hl-heading">Metrics</h3><div class="hl-wide" tabindex="0" role="region" '
        'aria-label="Metrics"><table class="hl-results hl-report"><thead><tr><th scope="col">'
        f"normaliser</th>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        '<p class="hl-note">Below each number its 95 % bootstrap interval '
        f"({about['n_units']:,} {escape(about['resampled'])} resampled); p is corrected for the "
        "number of normalisers. Beta is per unit of these similarities.</p>"
    )


def _hubness_html(about: dict[str, Any]) -> str:
    """Hubness over the queries, beside what chance alone gives."""
    measures = (
        ("skewness", lambda h: f"{h['k_skewness']:.2f}"),
        ("largest hub", lambda h: f"{h['largest_hub']:,.0f}"),
        ("never retrieved", lambda h: f"{100 * h['antihub_share']:.1f} %"),
        ("Robin Hood", lambda h: f"{h['robin_hood']:.3f}"),
    )
    at = list(about["rows"][0]["hubness"])
    columns = [(k, name, shape) for k in at for name, shape in measures]
    depths = "".join(
        f'<th scope="colgroup" colspan="{len(measures)}">among the top {k}</th>' for k in at
    )
    head = "".join(f'<th scope="col">{name}</th>' for _, name, _ in columns)

    def line(title: str, of: Callable[[Any], dict[str, Any]]) -> str:
        cells = "".join(f"<td>{shape(of(k))}</td>" for k, _, shape in columns)
        return f'<tr><th scope="row">{title}</th>{cells}</tr>'

    body = "".join(line(_row_title(row), row["hubness"].__getitem__) for row in about["rows"])
    first = about["rows"][0]["hubness"]
    body += line("by chance", lambda k: first[k]["chance"])
    return (
        '<h3 class="hl-heading">Hubness over the queries</h3><div class="hl-wide" tabindex="0" '
        'role="region" aria-label="Hubness"><table class="hl-results hl-report"><thead><tr>'
        f'<th scope="col" rowspan="2">normaliser</th>{depths}</tr><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def first_of(report: MatrixReport) -> str:
    """The row that is shown first: the best that a search could use, else the last one."""
    rows = report.about["rows"][1:]
    usable = [row for row in rows if not row["transductive"]] or rows or report.about["rows"]
    return max(usable, key=lambda row: row["metrics"]["R@1"])["spec"]


@dataclass(frozen=True)
class Filter:
    """Which queries a visitor wants to see, and under which normaliser."""

    spec: str  # a row of the report
    text: str = ""  # digits of a query's row or an item's column, exact
    kind: str = KINDS[0]
    order: str = next(iter(ORDERS))
    page: int = 0

    @classmethod
    def read(cls, report: MatrixReport, spec, text, kind, order, page=0) -> Filter:
        """From the components' values; what they cannot have sent falls back to the default."""
        return cls(
            spec if spec in report.specs else first_of(report),
            text[:40] if isinstance(text, str) else "",
            kind if kind in KINDS else KINDS[0],
            order if order in list(ORDERS) else next(iter(ORDERS)),
            max(0, page) if type(page) is int else 0,
        )


def chosen_queries(report: MatrixReport, wanted: Filter) -> np.ndarray:
    """Places of the queries that pass, in the wanted order."""
    before, after = report.ranks[0], report.ranks[report.specs.index(wanted.spec)]
    kept = {
        "all": np.ones(len(before), dtype=bool),
        "helped": after < before,
        "hurt": after > before,
        "unchanged": after == before,
    }[wanted.kind]
    for word in wanted.text.casefold().split():
        number = word.lstrip("qv")
        one = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else -1
        of_query, of_item = report.queries == one, report.correct == one
        kept &= of_item if word[0] == "v" else of_query if word[0] == "q" else of_query | of_item
    places = np.flatnonzero(kept)
    keys = ORDERS[wanted.order](before[places], after[places])
    return places[np.argsort(keys, kind="stable")]


def queries_html(report: MatrixReport, wanted: Filter) -> tuple[str, int, int]:
    """One page of the table, that page's number, and the last one's."""
    places = chosen_queries(report, wanted)
    last = max(0, (len(places) - 1) // PAGE)
    page = min(wanted.page, last)
    shown = places[page * PAGE : (page + 1) * PAGE]
    if not len(shown):
        return '<p class="hl-empty">No query passes this filter.</p>', 0, 0
    row = report.specs.index(wanted.spec)
    body = "".join(_query_html(report, row, place) for place in shown.tolist())
    columns = ("rank", "change", "query", "right item", "first, raw", "first, now")
    head = "".join(f'<th role="columnheader">{name}</th>' for name in columns)
    told = f"{page * PAGE + 1:,} to {page * PAGE + len(shown):,} of {len(places):,} queries"
    return (
        f'<p class="hl-count">{told}</p><table class="hl-table hl-of-matrix" role="table" '
        f'aria-label="Queries"><thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{body}</tbody></table>',
        page,
        last,
    )


def _query_html(report: MatrixReport, row: int, place: int) -> str:
    before, after = float(report.ranks[0, place]), float(report.ranks[row, place])
    cells = (
        f"{rank_text(before)} → {rank_text(after)}",
        move_html(before, after),
        f"row {report.queries[place]:,}",
        f"column {report.correct[place]:,}",
        f"column {report.best[0, place]:,}",
        f"column {report.best[row, place]:,}",
    )
    return '<tr role="row">' + "".join(f'<td role="cell">{cell}</td>' for cell in cells) + "</tr>"


def charts_of(report: MatrixReport, spec: str) -> list:
    """The outputs `charts`: five figures, each followed by its numbers in words."""
    row = report.specs.index(spec)
    before, after = report.ranks[0], report.ranks[row]
    names = ("raw", title_of(spec))
    bins = rank_bins(max(before.max(), after.max()))
    grid = ranks_per_bin(before, after, bins)
    changes = before - after
    moves = change_bins(int(np.ceil(np.abs(changes).max(initial=1))))
    counts = report.counts[0], report.counts[row]
    k = max(int(each) for each in report.about["rows"][0]["hubness"])
    n = report.about["n_queries"]
    uneven = HubnessReport(
        *(k, "queries", n, *counts),
        *(hubness.measure(each, n, k) for each in counts),
        *((), None, None, False),
    )
    places = exposure_bins(uneven)
    by_chance = [f"{share:.1f}" for share in chance_per_bin(uneven, places)]
    return [
        drawn(ranks_figure(before, after, bins, names)),
        data_table(
            f"{np.triu(grid, 1).sum():,} queries stand in a better band of ranks than before, "
            f"{np.tril(grid, -1).sum():,} in a worse one, {np.trace(grid):,} in the same.",
            ("rank now", *(f"before {each.label}" for each in bins)),
            [(each.label, *line) for each, line in zip(bins, grid.tolist(), strict=True)],
            "Queries by the rank of their right item, before on columns and now on rows",
        ),
        drawn(changes_figure(changes, moves)),
        data_table(
            f"The right item moved up for {int((changes > 0).sum()):,} queries and down for "
            f"{int((changes < 0).sum()):,}.",
            ("places gained", "queries"),
            list(zip(map(change_label, moves), changes_per_bin(changes, moves), strict=True)),
            "Places gained by the right item",
        ),
        drawn(exposure_figure(uneven, names)),
        data_table(
            f"The largest hub takes {uneven.raw.largest_hub:,.0f} places raw and "
            f"{uneven.norm.largest_hub:,.0f} now; {uneven.raw.n_antihubs:,} and "
            f"{uneven.norm.n_antihubs:,} items are in no top {k}.",
            ("places", *names, "by chance"),
            list(
                zip(
                    [each.label for each in places],
                    videos_per_bin(counts[0], places),
                    videos_per_bin(counts[1], places),
                    by_chance,
                    strict=True,
                )
            ),
            "Items by how many top lists they take a place in",
        ),
        *(part for each in report.curves or (None, None) for part in _curve(each, report)),
    ]


def _curve(sweep: Sweep | None, report: MatrixReport) -> list:
    """A curve and its numbers; a sentence where there is no bank."""
    if sweep is None:
        return [drawn(None), '<p class="hl-empty">Needs a querybank B.</p>']
    scale = f" The scale-free beta is {report.scale_free:.3g}." * (sweep.knob == "beta")
    names = ("R@1", "R@5", "R@10", "MnR")
    return [
        drawn(sweep_figure(sweep)),
        data_table(
            f"{sweep.sentence}{scale}",
            (sweep.knob, *names, "skewness"),
            [
                (
                    label,
                    *(f"{point.metrics[name]:.1f}" for name in names),
                    f"{point.k_skewness:.2f}",
                )
                for label, point in sweep.labelled()
            ],
            f"{sweep.title} by {sweep.knob}, {sweep.n_queries:,} queries",
        ),
    ]
