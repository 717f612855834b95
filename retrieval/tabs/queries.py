"""Tab Queries: which stored queries the normaliser helped, hurt or left alone.

All filtering happens on the server; the browser gets one page of the table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from html import escape
from urllib.parse import urlencode

import gradio as gr

from retrieval.answers import QueryChange, QueryChanges
from retrieval.cards import move_html, rank_text
from retrieval.engine import Engine
from retrieval.figures import (
    Bin,
    bin_of,
    change_bins,
    change_label,
    changes_figure,
    changes_per_bin,
    signed,
)
from retrieval.tabs.charts import (
    Number,
    clicked,
    data_table,
    drawn,
    heading,
    html,
    plot,
    ranking_names,
    tiles,
)
from retrieval.tabs.context import Context, guarded, settings_of
from retrieval.tabs.links import MAX_QUERY, View

PAGE = 50  # rows shipped at once
KINDS = ("all", "helped", "hurt", "unchanged")
ORDERS = {
    "largest change": lambda row: -abs(row.delta),
    "largest gain": lambda row: -row.delta,
    "largest loss": lambda row: row.delta,
    "rank before": lambda row: row.raw_rank,
    "rank after": lambda row: row.norm_rank,
    "worst rank after": lambda row: -row.norm_rank,
}
METRICS = {  # as the page calls them; the rest is called as it is
    "MdR": "median rank",
    "MnR": "mean rank",
    "Geom": "geometric mean of R@1, 5, 10",
}
NO_QUERIES = '<p class="hl-empty">This gallery keeps no labelled queries.</p>'
NO_BANK = "No querybank fits this gallery, so nothing is normalised. "


@dataclass(frozen=True)
class Filter:
    """Which rows a visitor wants to see."""

    text: str = ""  # every word must occur in the query or the video's id
    kind: str = KINDS[0]
    order: str = next(iter(ORDERS))
    bar: int | None = None  # bin of the histogram; None means all
    page: int = 0

    @classmethod
    def read(cls, text, kind, order, bar=None, page=0) -> Filter:
        """From the components' values; what they cannot have sent falls back to the default."""
        return cls(
            text=text[:MAX_QUERY] if isinstance(text, str) else "",
            kind=kind if kind in KINDS else KINDS[0],
            order=order if order in list(ORDERS) else next(iter(ORDERS)),
            bar=bar if type(bar) is int and bar >= 0 else None,
            page=max(0, page) if type(page) is int else 0,
        )


def chosen_rows(changes: QueryChanges, wanted: Filter) -> list[QueryChange]:
    """The rows that pass the filter, in its order; equal ones stay in stored order."""
    kept = {
        "all": lambda row: True,
        "helped": lambda row: row.delta > 0,
        "hurt": lambda row: row.delta < 0,
        "unchanged": lambda row: row.delta == 0,
    }[wanted.kind]
    words = wanted.text.casefold().split()
    bins = bins_of(changes)
    rows = [
        row
        for row in changes.rows
        if kept(row)
        and all(word in f"{row.text} {row.video_id}".casefold() for word in words)
        and (wanted.bar is None or bin_of(row.delta, bins) == wanted.bar)
    ]
    return sorted(rows, key=ORDERS[wanted.order])


def bins_of(changes: QueryChanges) -> tuple[Bin, ...]:
    """The histogram's bins: wide enough for the largest change."""
    return change_bins(math.ceil(max((abs(row.delta) for row in changes.rows), default=1)))


def table_html(rows: list[QueryChange], page: int, gallery: str) -> str:
    """One page of the table; a row's link opens the query in Compare."""
    if not rows:
        return '<p class="hl-empty">No stored query passes this filter.</p>'
    first = page * PAGE
    shown = rows[first : first + PAGE]
    body = "".join(_row_html(row, gallery) for row in shown)
    return (
        f'<p class="hl-count">{first + 1:,} to {first + len(shown):,} of {len(rows):,} queries</p>'
        # Roles, because a phone shows each row as a block, which some browsers take for no table.
        '<table class="hl-table" role="table" aria-label="Stored queries">'
        '<thead role="rowgroup"><tr role="row"><th role="columnheader">rank</th>'
        '<th role="columnheader">change</th><th role="columnheader">query</th>'
        '<th role="columnheader">ground truth</th><th role="columnheader">top hub</th></tr></thead>'
        f'<tbody role="rowgroup">{body}</tbody></table>'
    )


def _row_html(row: QueryChange, gallery: str) -> str:
    href = "?" + urlencode({"query_id": row.id, "gallery": gallery, "tab": "compare"})
    ranks = f"{rank_text(row.raw_rank)} → {rank_text(row.norm_rank)}"
    cells = (
        ranks,
        move_html(row.raw_rank, row.norm_rank),
        f'<a data-open href="{escape(href)}">{escape(row.text)}</a>',
        escape(row.video_id),
        escape(row.top_hub or "–"),
    )
    return '<tr role="row">' + "".join(f'<td role="cell">{cell}</td>' for cell in cells) + "</tr>"


def metrics_html(changes: QueryChanges) -> str:
    """The metrics of both rankings with one decimal, the exact values on hover."""
    numbers = []
    for name, raw in changes.metrics_raw.items():
        norm = changes.metrics_norm[name]
        unit = "" if name in ("MdR", "MnR") else " %"
        numbers.append(
            Number(
                METRICS.get(name, name),
                f"{raw:.1f}",
                f"{norm:.1f}{unit}",
                change_text(norm - raw),
                f"{name}: {float(raw)!r} → {float(norm)!r}",
            )
        )
    return tiles(numbers)


def change_text(change: float) -> str:
    """A metric's change with one decimal; "unchanged" where nothing of it would be seen."""
    told = f"{change:+.1f}".replace("-", "−")
    return "unchanged" if told in ("+0.0", "−0.0") else told


def verdict_html(changes: QueryChanges, engine: Engine, view: View) -> str:
    """The line above the table: which rankings are compared, and how many queries each way."""
    used = engine.checked(settings_of(view))
    left, right = ranking_names(used.left, used.right)
    n = len(changes.rows)
    return (
        f'<p class="hl-verdict" aria-live="polite">{NO_BANK if engine.bank is None else ""}'
        f"{escape(left)} → {escape(right)}: of {n:,} stored queries, "
        f'<span class="hl-up">▲ {changes.helped:,} helped</span>, '
        f'<span class="hl-down">▼ {changes.hurt:,} hurt</span>, '
        f"{changes.unchanged:,} unchanged.</p>"
    )


def build(context: Context) -> None:
    """Build the view inside the container that is open."""
    heading("What became of every stored query")
    counts = html(elem_id="query-counts")
    metrics = html(elem_id="query-metrics")
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            with gr.Row():
                text = gr.Textbox(
                    label="Filter by words",
                    elem_id="query-filter",
                    max_length=MAX_QUERY,
                    scale=3,
                    min_width=200,
                )
                order = gr.Dropdown(
                    list(ORDERS),
                    value=next(iter(ORDERS)),
                    label="Sort by",
                    elem_id="query-order",
                    scale=2,
                    min_width=180,
                )
                kind = gr.Radio(
                    list(KINDS),
                    value=KINDS[0],
                    label="Show",
                    elem_id="query-kind",
                    min_width=420,
                )
            table = html(elem_id="query-table")
            with gr.Row():
                back = gr.Button(f"Previous {PAGE}", elem_id="query-back")
                on = gr.Button(f"Next {PAGE}", elem_id="query-on")
        with gr.Column(scale=2, min_width=320, elem_id="query-chart"):
            heading("How far the right answers moved")
            histogram, clicks = plot("change-histogram", clickable=True)
            clear = gr.Button("Show all", visible=False, elem_id="bar-clear")
            summary = html(elem_id="change-summary")
    bar, page = gr.State(None), gr.State(0)
    filters = [context.scene, text, kind, order]
    listing = [table, bar, page, clear, back, on]
    everything = [*listing, counts, histogram, summary, metrics]

    def listed(view: View, wanted: Filter) -> list:
        changes = context.engine(view).changes(settings_of(view))
        bins = bins_of(changes)
        if wanted.bar is not None and wanted.bar >= len(bins):  # the bar of an earlier drawing
            wanted = replace(wanted, bar=None)
        rows = chosen_rows(changes, wanted)
        last = max(0, (len(rows) - 1) // PAGE)
        number = min(wanted.page, last)
        chosen = wanted.bar is not None
        label = f"Only {change_label(bins[wanted.bar])} places: show all" if chosen else "Show all"
        return [
            table_html(rows, number, view.gallery),
            wanted.bar,
            number,
            gr.Button(label, visible=chosen),
            gr.Button(interactive=number > 0, visible=last > 0),
            gr.Button(interactive=number < last, visible=last > 0),
        ]

    def draw(view: View | None, *values) -> list:
        """Everything, when the tab opens or its settings change."""
        if view is None or view.tab != "queries":
            return [gr.skip()] * len(everything)
        engine = context.engine(view)
        if engine.gallery.queries is None:
            hidden = gr.Button(visible=False)
            return [NO_QUERIES, None, 0, hidden, hidden, hidden, "", drawn(None), "", ""]
        changes = engine.changes(settings_of(view))
        bins = bins_of(changes)
        moved = [row.delta for row in changes.rows]
        n_gained, n_lost = changes.helped, changes.hurt
        furthest = max(changes.rows, key=lambda row: abs(row.delta))
        return [
            *listed(view, Filter.read(*values)),
            verdict_html(changes, engine, view),
            drawn(changes_figure(moved, bins)),
            data_table(
                f"The right video moved up for {n_gained:,} queries and down for {n_lost:,}; the "
                f"largest move is {signed(furthest.delta)} places. Choose a bar to "
                "list its queries.",
                ("places gained", "queries"),
                [
                    (change_label(each), n)
                    for each, n in zip(bins, changes_per_bin(moved, bins), strict=True)
                ],
                "Places gained by the ground truth",
                chart="change-histogram",
                clickable=(1,),
            ),
            metrics_html(changes),
        ]

    def relist(view: View | None, wanted: Filter) -> list:
        if view is None or context.engine(view).gallery.queries is None:
            return [gr.skip()] * len(listing)
        return listed(view, wanted)

    def refilter(view, text, kind, order, bar) -> list:
        return relist(view, Filter.read(text, kind, order, bar))

    def turn(step: int):
        def go(view, text, kind, order, bar, page) -> list:
            number = page + step if type(page) is int else 0
            return relist(view, Filter.read(text, kind, order, bar, number))

        return go

    def pick_bar(view, text, kind, order, event: gr.SelectData) -> list:
        return relist(view, Filter.read(text, kind, order, clicked(event)[1]))

    def unpick(view, text, kind, order) -> list:
        return relist(view, Filter.read(text, kind, order))

    quiet = {
        "api_visibility": "private",
        "concurrency_id": "draw",
        "concurrency_limit": 2,
        "show_progress": "hidden",
    }
    n = len(listing)
    context.scene.change(
        guarded(draw, len(everything)),
        filters,
        everything,
        **{**quiet, "show_progress": "minimal", "show_progress_on": [table]},
    )
    # A textbox's `input` arrives with the text of the key before; its `change` has it all.
    for event in (text.change, kind.input, order.input):
        event(guarded(refilter, n), [*filters, bar], listing, trigger_mode="always_last", **quiet)
    back.click(guarded(turn(-1), n), [*filters, bar, page], listing, **quiet)
    on.click(guarded(turn(1), n), [*filters, bar, page], listing, **quiet)
    clicks.select(guarded(pick_bar, n), filters, listing, **quiet)
    clear.click(guarded(unpick, n), filters, listing, **quiet)
