"""Page Results: published tables and the rows measured here, searched and sorted on the server."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from html import escape
from urllib.parse import urlencode

import gradio as gr
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from retrieval.published import (
    HERE,
    LOWER_IS_BETTER,
    METRICS,
    ORDERS,
    SHOWN,
    SOURCES,
    TASKS,
    Line,
    Row,
    Wanted,
    choose,
    lines,
    measured,
    published,
    to_csv,
)
from retrieval.tabs.context import guarded
from retrieval.tabs.library import Library
from retrieval.tabs.links import MAX_QUERY

PAGE = 50  # rows shipped at once
TEXT = """
# Results

What papers printed for raw similarities and for QB-Norm, as they printed it, beside rows that were
**measured here**, each with the command that gives it. Recalls are in percent, a deviation over
seeds stands in brackets. For MdR and MnR, ranks, lower is better.
"""
MODELS = """
The models that this page serves ({names}), and the commands that made what is served of each, are
on the page About.
"""
COLUMNS = {  # heading -> key of ORDERS
    "model": "method",
    "test": "dataset",
    "raw": "raw",
    "normalised": "normalised",
    "change": "gain",
    "other metrics": "",
    "where from": "source",
}
# Sorting by a heading, and the address that shows the same table again.
SCRIPT = """
let pressed = '';
element.addEventListener('click', ({ target }) => {
  const button = target.closest('[data-order]');
  if (!button) return;
  pressed = button.dataset.order;
  trigger('select', { index: pressed, value: '' });
});
watch('value', () => {
  const table = element.querySelector('[data-link]');
  if (table) window.hublens.keep(table.dataset.link);
  if (pressed) element.querySelector(`[data-order="${pressed}"]`)?.focus();
  pressed = '';
});
"""


@cache
def every_line() -> tuple[Line, ...]:
    """What was measured here first, then what was published."""
    return lines((*measured(), *published()))


def read(text, show, task, metric, order="", descending=False) -> Wanted:
    """What a visitor wants to see; what the page cannot have sent falls back to the default."""

    def known(value, names, default):
        return value if isinstance(value, str) and value in names else default

    return Wanted(
        text=text[:MAX_QUERY] if isinstance(text, str) else "",
        show=known(show, SHOWN, Wanted.show),
        task=known(task, TASKS, ""),
        metric=known(metric, METRICS, Wanted.metric),
        order=known(order, ORDERS, ""),
        descending=descending in (True, "1"),
    )


def of_link(params) -> tuple[Wanted, int]:
    """The table that an address asks for, and its page."""
    names = ("q", "show", "task", "metric", "order", "descending")
    page = str(params.get("page", ""))
    number = int(page) - 1 if page.isascii() and page.isdigit() and len(page) < 6 else 0
    return read(*(params.get(name, "") for name in names)), max(0, number)


def link_of(wanted: Wanted, page: int = 0) -> str:
    """The address's query string; what is as on a first visit is left out."""
    params = {"q": wanted.text, **{name: getattr(wanted, name) for name in vars(Wanted())}}
    del params["text"]
    first = {"q": "", **vars(Wanted())}
    kept = {name: value for name, value in params.items() if value != first[name]}
    if wanted.descending:
        kept["descending"] = "1"
    if page:
        kept["page"] = str(page + 1)
    return "?" + urlencode(kept)


def table_html(wanted: Wanted, page: int) -> tuple[str, int, int]:
    """One page of the table, that page's number, and the last one's."""
    found = choose(every_line(), wanted)
    last = max(0, (len(found) - 1) // PAGE)
    page = min(page, last)
    shown = found[page * PAGE : (page + 1) * PAGE]
    if not shown:
        told, table = '<p class="hl-empty">No row passes this filter.</p>', ""
    else:
        told = (
            f'<p class="hl-count" role="status">{page * PAGE + 1:,} to '
            f"{page * PAGE + len(shown):,} of {len(found):,} rows</p>"
        )
        head = "".join(_heading_html(title, key, wanted) for title, key in COLUMNS.items())
        body = "".join(_line_html(line, wanted.metric) for line in shown)
        table = (
            '<div class="hl-wide" tabindex="0" role="region" aria-label="Results">'
            f'<table class="hl-results"><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
        )
    address = escape(link_of(wanted))
    save = (
        f'<a class="hl-button" href="download/results.csv{address}" download '
        'aria-label="Download these rows as CSV">CSV</a>'
    )
    here = escape(link_of(wanted, page))
    return (
        f'<div data-link="{here}"><div class="hl-tools">{told}{save}</div>{table}</div>',
        page,
        last,
    )


def _heading_html(title: str, order: str, wanted: Wanted) -> str:
    """A column's heading; pressed, it sorts, and pressed again the other way."""
    if title in ("raw", "normalised", "change"):
        title = f"{wanted.metric} {title}"
    if not order:
        return f'<th scope="col">{escape(title)}</th>'
    sorting, arrow = "none", ""
    if order == wanted.order:
        sorting, arrow = ("descending", "▼") if wanted.descending else ("ascending", "▲")
    return (
        f'<th scope="col" aria-sort="{sorting}"><button type="button" data-order="{order}">'
        f'{escape(title)} <span aria-hidden="true">{arrow}</span></button></th>'
    )


def _line_html(line: Line, metric: str) -> str:
    row = line.row
    below = " · ".join(each for each in (row.variant, row.backbone, _normaliser(row)) if each)
    test = " · ".join(each for each in (row.split, TASKS[row.task]) if each)
    cells = (
        f'<th scope="row">{escape(row.method)}{_small(below)}</th>',
        f"<td>{escape(row.dataset)}{_small(test)}</td>",
        f"<td>{_value_html(line.raw, metric)}</td>",
        f"<td>{_value_html(line.norm, metric)}</td>",
        f"<td>{_gain_html(line.gain(metric), metric)}</td>",
        f"<td>{_others_html(line, metric)}</td>",
        f"<td>{_source_html(row)}{_remark_html(line)}</td>",
    )
    kind = ' class="hl-here"' if row.source == HERE else ""
    return f"<tr{kind}>{''.join(cells)}</tr>"


def _normaliser(row: Row) -> str:
    return "not stated whether normalised" if row.normaliser is None else row.normaliser


def _small(text: str) -> str:
    return f"<small>{escape(text)}</small>" if text else ""


def _value_html(row: Row | None, metric: str) -> str:
    """A printed value, its deviation in brackets; a dash where nothing was printed."""
    if row is None or metric not in row.values:
        return '<span aria-label="not given">–</span>'
    deviation = f" <small>({row.std[metric]:.1f})</small>" if metric in row.std else ""
    return f"{row.values[metric]:.1f}{deviation}"


def _gain_html(gain: float | None, metric: str) -> str:
    if gain is None:
        return ""
    better = -gain if metric in LOWER_IS_BETTER else gain
    kind = "up" if better > 0 else "down" if better < 0 else "same"
    words = {"up": "better", "down": "worse", "same": "the same"}[kind]
    told = f"{gain:+.1f}".replace("-", "−") if gain else "0.0"
    return f'<span class="hl-move hl-{kind}">{told}<span class="hl-words"> {words}</span></span>'


def _others_html(line: Line, metric: str) -> str:
    """The metrics that are not in the columns of their own: "R@5 37.4 → 40.3"."""
    parts = []
    for name in METRICS:
        pair = [f"{value:.1f}" for value in line.pair(name) if value is not None]
        if pair and name != metric:
            parts.append(f'<span class="hl-metric"><b>{name}</b> {" → ".join(pair)}</span>')
    return " ".join(parts)


def _source_html(row: Row) -> str:
    name, address = SOURCES[row.source]
    if row.source == HERE:
        return (
            f'<span class="hl-badge hl-badge-truth">{escape(name)}</span>'
            f"<code>{escape(row.command)}</code>"
        )
    link = f'<a href="{address}" rel="noopener noreferrer" target="_blank">{escape(name)}</a>'
    return f"{link}{_small(row.table)}"


def _remark_html(line: Line) -> str:
    rows = [row for row in (line.raw, line.norm) if row]
    notes = list(dict.fromkeys(row.note for row in rows if row.note))
    warns = any(row.contradicts_itself for row in rows)
    mark = '<span class="hl-badge hl-badge-hub">contradicts itself</span> ' if warns else ""
    told = f'<span class="hl-note">{escape("; ".join(notes))}</span>' if notes else ""
    return f'<span class="hl-remark">{mark}{told}</span>' if notes or mark else ""


def build(page: gr.Blocks, library: Library) -> None:
    """Build the page inside the route that is open."""
    gr.Navbar(main_page_name="Search")
    served = MODELS.format(names=", ".join(library.titles.values())) if library.is_of_models else ""
    gr.Markdown(TEXT + served, elem_id="results-text")
    with gr.Row():
        text = gr.Textbox(
            label="Search",
            placeholder="model, data set, table, command",
            max_length=MAX_QUERY,
            elem_id="results-filter",
            scale=3,
            min_width=220,
        )
        show = gr.Dropdown(list(SHOWN), value=Wanted.show, label="Show", elem_id="results-show")
        task = gr.Dropdown(
            [("all", ""), *((words, name) for name, words in TASKS.items())],
            value="",
            label="Direction",
            elem_id="results-task",
        )
        metric = gr.Dropdown(
            list(METRICS), value=Wanted.metric, label="Metric", elem_id="results-metric"
        )
    table = gr.HTML(
        "",
        js_on_load=SCRIPT,
        apply_default_css=False,
        elem_id="results-table",
        elem_classes="hl-flat",
    )
    with gr.Row():
        back = gr.Button(f"Previous {PAGE}", elem_id="results-back", visible=False)
        on = gr.Button(f"Next {PAGE}", elem_id="results-on", visible=False)
    order = gr.State(("", False))  # column that sorts, and whether from its largest value down
    number = gr.State(0)  # page of the table
    filters = [text, show, task, metric]
    listing = [table, order, number, back, on]

    def listed(wanted: Wanted, page: int) -> list:
        shown, page, last = table_html(wanted, page)
        return [
            shown,
            (wanted.order, wanted.descending),
            page,
            gr.Button(interactive=page > 0, visible=last > 0),
            gr.Button(interactive=page < last, visible=last > 0),
        ]

    def load(request: gr.Request) -> list:
        wanted, page = of_link(request.query_params)
        typed = wanted.text or gr.skip()  # a fast visitor's words are left alone
        return [typed, wanted.show, wanted.task, wanted.metric, *listed(wanted, page)]

    def refilter(text, show, task, metric, order) -> list:
        return listed(read(text, show, task, metric, *order), 0)

    def sort(text, show, task, metric, order, event: gr.SelectData) -> list:
        wanted = read(text, show, task, metric, event.index)
        again = wanted.order == order[0]
        numeric = wanted.order in ("raw", "normalised", "gain")  # the largest first
        return listed(replace(wanted, descending=not order[1] if again else numeric), 0)

    def turn(step: int):
        def go(text, show, task, metric, order, number) -> list:
            return listed(read(text, show, task, metric, *order), max(0, number + step))

        return go

    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    n = len(listing)
    page.load(guarded(load, 4 + n), None, [*filters, *listing], **quiet)
    for event in (text.change, show.input, task.input, metric.input):
        event(guarded(refilter, n), [*filters, order], listing, trigger_mode="always_last", **quiet)
    table.select(guarded(sort, n), [*filters, order], listing, trigger_mode="multiple", **quiet)
    for button, step in ((back, -1), (on, 1)):
        button.click(guarded(turn(step), n), [*filters, order, number], listing, **quiet)


def results_route() -> Route:
    """Route /download/results.csv?<link>: the rows of that table, all pages of it."""

    def serve(request: Request) -> Response:
        found = choose(every_line(), of_link(request.query_params)[0])
        headers = {
            "Content-Disposition": 'attachment; filename="hublens-results.csv"',
            "X-Content-Type-Options": "nosniff",
        }
        return Response(to_csv(found), media_type="text/csv", headers=headers)

    return Route("/download/results.csv", serve, methods=["GET"])
