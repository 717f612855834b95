"""Tab Queries: which stored queries the normaliser helped, hurt or left alone.

All filtering happens on the server; the browser gets one page of the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode

import gradio as gr

from retrieval.answers import QueryChange, QueryChanges
from retrieval.cards import move_html, rank_text
from retrieval.figures import bin_of, change_bins, change_label, changes_figure, changes_per_bin
from retrieval.tabs.charts import data_table, drawn, plot
from retrieval.tabs.context import Context, guarded, settings_of

PAGE = 50  # rows shipped at once
KINDS = ("all", "helped", "hurt", "unchanged")
ORDERS = {
    "largest change": lambda row: -abs(row.delta),
    "largest gain": lambda row: -row.delta,
    "largest loss": lambda row: row.delta,
    "raw rank": lambda row: row.raw_rank,
    "normalised rank": lambda row: row.norm_rank,
    "worst normalised rank": lambda row: -row.norm_rank,
}
METRICS = ("R@1", "R@5", "R@10", "R@50", "MdR", "MnR", "Geom")


@dataclass(frozen=True)
class Filter:
    """Which rows a visitor wants to see."""

    text: str = ""  # every word must occur in the query or the video's id
    kind: str = KINDS[0]
    order: str = next(iter(ORDERS))
    bar: int | None = None  # bin of the histogram
    page: int = 0

    @classmethod
    def read(cls, text, kind, order, bar, page) -> Filter:
        """From the components' values; what they cannot have sent falls back to the default."""
        return cls(
            text=str(text or "")[:200],
            kind=kind if kind in KINDS else KINDS[0],
            order=order if order in ORDERS else next(iter(ORDERS)),
            bar=bar if isinstance(bar, int) else None,
            page=page if isinstance(page, int) and page >= 0 else 0,
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


def bins_of(changes: QueryChanges):
    """The histogram's bins: wide enough for the largest change."""
    return change_bins(int(max((abs(row.delta) for row in changes.rows), default=1)) + 1)


def table_html(rows: list[QueryChange], page: int, gallery: str) -> str:
    """One page of the table; a row's link opens the query in Compare."""
    if not rows:
        return '<p class="hl-empty">No stored query passes this filter.</p>'
    first = page * PAGE
    shown = rows[first : first + PAGE]
    body = "".join(_row_html(row, gallery) for row in shown)
    return (
        f'<p class="hl-count">{first + 1:,} to {first + len(shown):,} of {len(rows):,} queries</p>'
        '<div class="hl-scroll" tabindex="0" role="region" aria-label="Stored queries">'
        '<table class="hl-table"><thead><tr><th scope="col">rank</th><th scope="col">change</th>'
        '<th scope="col">query</th><th scope="col">ground truth</th><th scope="col">top hub</th>'
        f"</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row_html(row: QueryChange, gallery: str) -> str:
    href = "?" + urlencode({"query_id": row.id, "gallery": gallery, "tab": "compare"})
    ranks = f"{rank_text(row.raw_rank)} → {rank_text(row.norm_rank)}"
    return (
        f"<tr><td>{ranks}</td><td>{move_html(row.raw_rank, row.norm_rank)}</td>"
        f'<td><a data-open href="{escape(href)}">{escape(row.text)}</a></td>'
        f"<td>{escape(row.video_id)}</td><td>{escape(row.top_hub or '–')}</td></tr>"
    )


def metrics_html(changes: QueryChanges) -> str:
    """The metrics of both rankings with one decimal, the exact value on hover."""
    rows = []
    for name in METRICS:
        raw, norm = changes.metrics_raw[name], changes.metrics_norm[name]
        unit = "" if name in ("MdR", "MnR") else " %"
        rows.append(
            f'<tr><th scope="row">{name}</th><td title="{raw!r}">{raw:.1f}{unit}</td>'
            f'<td title="{norm!r}">{norm:.1f}{unit}</td><td>{norm - raw:+.1f}</td></tr>'
        )
    return (
        '<table class="hl-table hl-metrics"><caption>Over all stored queries</caption><thead><tr>'
        '<th scope="col">metric</th><th scope="col">left</th><th scope="col">right</th>'
        f'<th scope="col">change</th></tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )


def build(context: Context) -> None:
    """Build the view inside the container that is open."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            gr.HTML("<h2>What became of every stored query</h2>", apply_default_css=False)
            counts = gr.HTML("", elem_id="query-counts", apply_default_css=False)
            with gr.Row():
                text = gr.Textbox(label="Filter by words", elem_id="query-filter", max_length=200)
                kind = gr.Radio(list(KINDS), value="all", label="Show", elem_id="query-kind")
                order = gr.Dropdown(
                    list(ORDERS), value=next(iter(ORDERS)), label="Sort by", elem_id="query-order"
                )
            table = gr.HTML("", elem_id="query-table", apply_default_css=False)
            with gr.Row():
                back = gr.Button("Previous 50", elem_id="query-back", size="sm")
                on = gr.Button("Next 50", elem_id="query-on", size="sm")
        with gr.Column(scale=2, min_width=320):
            gr.HTML("<h2>How far the right answers moved</h2>", apply_default_css=False)
            histogram, clicks = plot("change-histogram", clickable=True)
            summary = gr.HTML("", elem_id="change-summary", apply_default_css=False)
            clear = gr.Button("Show all bars", visible=False, elem_id="bar-clear", size="sm")
            metrics = gr.HTML("", elem_id="query-metrics", apply_default_css=False)
    bar, page = gr.State(None), gr.State(0)
    wanted = [text, kind, order, bar, page]
    listing = [table, bar, page, clear, back, on]

    def listed(view, wanted: Filter) -> list:
        changes = context.engine(view).changes(settings_of(view))
        rows = chosen_rows(changes, wanted)
        last = max(0, (len(rows) - 1) // PAGE)
        number = min(wanted.page, last)
        label = ""
        if wanted.bar is not None:
            label = f"Showing {change_label(bins_of(changes)[wanted.bar])} places; show all"
        return [
            table_html(rows, number, view.gallery),
            wanted.bar,
            number,
            gr.Button(label or "Show all bars", visible=bool(label)),
            gr.Button(interactive=number > 0),
            gr.Button(interactive=number < last),
        ]

    def draw(view, *values) -> list:
        """Everything, when the tab opens or its settings change."""
        if view is None or view.tab != "queries":
            return [gr.skip()] * (len(listing) + 4)
        engine = context.engine(view)
        if engine.gallery.queries is None:
            empty = '<p class="hl-empty">This gallery keeps no labelled queries.</p>'
            return [empty, None, 0, *[gr.Button(visible=False)] * 3, "", None, "", ""]
        changes = engine.changes(settings_of(view))
        bins = bins_of(changes)
        per_bin = changes_per_bin(changes.rows, bins)
        told = (
            f"Helped {changes.helped:,}, hurt {changes.hurt:,}, unchanged {changes.unchanged:,} "
            f"of {len(changes.rows):,} stored queries"
        )
        return [
            *listed(view, Filter.read(*values[:3], None, 0)),
            f'<p class="hl-status" aria-live="polite">{told}.</p>',
            drawn(changes_figure(changes.rows, bins)),
            data_table(
                f"{told}. Click a bar to list its queries.",
                ("places gained", "queries"),
                [(change_label(b), n) for b, n in zip(bins, per_bin, strict=True)],
                "Places gained by the ground truth",
            ),
            metrics_html(changes),
        ]

    def refilter(view, *values) -> list:
        return listed(view, Filter.read(*values[:-1], 0))

    def turn(step: int):
        def go(view, *values) -> list:
            *rest, number = values
            return listed(view, Filter.read(*rest, max(0, int(number or 0) + step)))

        return go

    def pick_bar(view, text, kind, order, event: gr.SelectData) -> list:
        n_bins = len(bins_of(context.engine(view).changes(settings_of(view))))
        number = event.index if isinstance(event.index, int) else -1
        chosen = number if 0 <= number < n_bins else None
        return listed(view, Filter.read(text, kind, order, chosen, 0))

    def unpick(view, text, kind, order) -> list:
        return listed(view, Filter.read(text, kind, order, None, 0))

    quiet = {
        "api_visibility": "private",
        "concurrency_id": "draw",
        "concurrency_limit": 2,
        "show_progress": "hidden",
    }
    scene = context.scene
    everything = [*listing, counts, histogram, summary, metrics]
    scene.change(
        guarded(draw, len(everything)),
        [scene, *wanted],
        everything,
        **{**quiet, "show_progress": "minimal", "show_progress_on": [table]},
    )
    for component in (text, kind, order):
        component.input(
            guarded(refilter, len(listing)),
            [scene, *wanted],
            listing,
            trigger_mode="always_last",
            **quiet,
        )
    back.click(guarded(turn(-1), len(listing)), [scene, *wanted], listing, **quiet)
    on.click(guarded(turn(1), len(listing)), [scene, *wanted], listing, **quiet)
    filters = [scene, text, kind, order]
    clicks.select(guarded(pick_bar, len(listing)), filters, listing, **quiet)
    clear.click(guarded(unpick, len(listing)), filters, listing, **quiet)
