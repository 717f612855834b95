"""Tab Matrices: similarity matrices that a visitor brings, and what every normaliser does to them.

A report is kept under a name that cannot be guessed, for an hour, and only its name travels.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from retrieval import hubness
from retrieval.answers import HubnessReport
from retrieval.cards import move_html, rank_text
from retrieval.errors import FileError, RetrievalError, SettingsError
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
from retrieval.matrices import (
    FILES,
    MOST_NORMALISERS,
    TIMEOUT_S,
    Cancelled,
    Examination,
    MatrixReport,
    Question,
)
from retrieval.normalisers import NORMALISERS, title_of
from retrieval.published import METRICS
from retrieval.sweeps import Sweep
from retrieval.tabs.charts import data_table, drawn, heading, html, plot
from retrieval.tabs.context import Context, guarded, log_unexpected, sentence
from retrieval.tabs.handlers import live
from retrieval.tabs.uploads import Uploads

PAGE = 50  # rows shipped at once
KEPT_S = 3600.0  # seconds that a report is kept
MOST_REPORTS = 32  # kept at once; the oldest goes first
FIRST_CHOICE = ("inverted_softmax", "qbnorm", "csls", "nnn", "dn")
EXAMPLE_ROWS = 1000  # queries of the example, as many items
EXAMPLE_BANK = 2000  # rows of its bank
KINDS = ("all", "helped", "hurt", "unchanged")
ORDERS = {
    "largest change": lambda before, after: -np.abs(before - after),
    "largest gain": lambda before, after: after - before,
    "largest loss": lambda before, after: before - after,
    "rank before": lambda before, after: before,
    "rank after": lambda before, after: after,
    "row in the matrix": lambda before, after: np.arange(len(before)),
}
INTRODUCTION = """
Bring the similarities of your own model. **S**: one row a test query, one column a gallery item.
**B**, the querybank: one row a training query, the same columns. Both may be `.npy`, `.npz`,
`.safetensors`, `.csv`, `.pkl` or `.pt`, up to 512 MB and 100 million numbers each; nothing in them
is ever run. Files and reports stay on this server for at most one hour, for you alone.
"""
TOO_LATE = "This report was deleted, as every report is after an hour; examine the matrices again."
CANCELLED = "Cancelled; what was reported before stays."
CONTENT_TYPES = {"json": "application/json", "csv": "text/csv", "zip": "application/zip"}


class Reports:
    """The reports of the last hour, and the examinations that are going on."""

    def __init__(self, uploads: Uploads) -> None:
        self.uploads = uploads
        self._kept: dict[str, tuple[float, MatrixReport]] = {}
        self._running: dict[str, Examination] = {}
        self._lock = threading.Lock()

    def keep(self, report: MatrixReport) -> str:
        """Keep a report; returns its name."""
        name = secrets.token_urlsafe(18)
        with self._lock:
            self._kept[name] = (time.monotonic(), report)
            while len(self._kept) > MOST_REPORTS:
                self._drop(next(iter(self._kept)))
        return name

    def get(self, name: Any) -> MatrixReport:
        """A kept report.

        Raises:
            FileError: there is none of this name any more.
        """
        with self._lock:
            for known, (kept_at, _) in list(self._kept.items()):
                if time.monotonic() - kept_at > KEPT_S:
                    self._drop(known)
            if not isinstance(name, str) or name not in self._kept:
                raise FileError(TOO_LATE)
            return self._kept[name][1]

    def _drop(self, name: str) -> None:
        self.uploads.remove(self._kept.pop(name)[1].folder)

    def begin(self, session: str, question: Question) -> Examination:
        """Start examining for a visitor; what the same visitor began before is given up."""
        self.cancel(session)
        examination = Examination(question, self.uploads.new_folder("reports"))
        with self._lock:
            self._running[session] = examination
        return examination

    def end(self, session: str, examination: Examination) -> None:
        """An examination is over, one way or the other."""
        examination.kill()
        with self._lock:
            if self._running.get(session) is examination:
                del self._running[session]

    def cancel(self, session: str) -> bool:
        """Give up what a visitor has going on; False where there is nothing."""
        with self._lock:
            examination = self._running.pop(session, None)
        if examination is not None:
            examination.cancel()
        return examination is not None


def matrices_route(reports: Reports) -> Route:
    """Route /download/matrices/NAME.KIND: the files of a kept report."""

    def serve(request: Request) -> Response:
        kind = request.path_params["kind"]
        try:
            path = reports.get(request.path_params["name"]).folder / FILES[kind]
        except (FileError, KeyError):
            return PlainTextResponse(TOO_LATE, status_code=404)
        headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
        name = f"hublens-{FILES[kind]}"
        return FileResponse(path, media_type=CONTENT_TYPES[kind], filename=name, headers=headers)

    return Route("/download/matrices/{name}.{kind}", serve, methods=["GET"])


# ---- a report as HTML ----------------------------------------------------------------------------


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


@dataclass(frozen=True)
class Filter:
    """Which queries a visitor wants to see, and under which normaliser."""

    spec: str  # a row of the report
    text: str = ""  # digits of a query's row or an item's column, exact
    kind: str = KINDS[0]
    order: str = next(iter(ORDERS))
    page: int = 0


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


# ---- its charts ----------------------------------------------------------------------------------


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
        return [None, '<p class="hl-empty">Needs a querybank B.</p>']
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


# ---- the tab -------------------------------------------------------------------------------------


def question_of(
    uploads: Uploads, files: Sequence, arrays: Sequence, settings: Sequence
) -> Question:
    """What the components ask; a browser's promises are checked again.

    Args:
        uploads: where the files must lie.
        files: paths of S, B, masks and targets, or None.
        arrays: names of the arrays in S and B, "" where a file holds one.
        settings: normalisers, beta, k, direction.

    Raises:
        FileError, SettingsError: a value cannot be used.
    """
    for path in files:
        if path is not None and not (isinstance(path, str) and uploads.holds(path)):
            raise FileError("a file is not on the server any more; bring it again")
    sims, bank, masks, targets = files
    if sims is None:
        raise FileError("bring the similarities S first, as a file of one matrix")
    named = [name.strip() if isinstance(name, str) else "" for name in arrays]
    if any(len(name) > 100 or set(name) & set("[]\0/") for name in named):
        raise SettingsError("an array's name has at most 100 characters and no brackets")
    normalisers, beta, k, direction = settings
    if not isinstance(normalisers, list) or not 1 <= len(normalisers) <= MOST_NORMALISERS:
        raise SettingsError(f"choose 1 to {MOST_NORMALISERS} normalisers")
    if any(name not in NORMALISERS for name in normalisers):
        raise SettingsError("choose normalisers from the list")
    if beta is not None and not (type(beta) in (int, float) and 0 < beta < 1e6):
        raise SettingsError("beta must be above 0 and below a million; leave it empty: scale-free")
    if type(k) not in (int, float) or k != int(k) or not 1 <= k <= 1000:
        raise SettingsError("k must be a whole number, 1 to 1,000")
    if direction not in ("t2v", "v2t"):
        raise SettingsError("the direction must be t2v or v2t")
    with_array = [
        path if not name or path is None else f"{path}[{name}]"
        for path, name in zip((sims, bank), named, strict=True)
    ]
    return Question(
        *(*with_array, masks, targets, tuple(normalisers)),
        *(None if beta is None else float(beta), int(k), direction),
    )


def first_of(report: MatrixReport) -> str:
    """The row that is shown first: the best that a search could use, else the last one."""
    rows = report.about["rows"][1:]
    usable = [row for row in rows if not row["transductive"]] or rows or report.about["rows"]
    return max(usable, key=lambda row: row["metrics"]["R@1"])["spec"]


def progress_html(what: str, done: int, total: int, spent_s: float) -> str:
    """What is being done, with a count where there is one."""
    count = f" {done:,} of {total:,}" if total else ""
    return (
        f'<p class="hl-status hl-loading">{escape(what)}{count} … ({spent_s:.0f} s of at most '
        f"{TIMEOUT_S:.0f} s)</p>"
    )


def write_example(context: Context, folder: Path) -> tuple[Path, Path]:
    """S and B of the first gallery that has stored queries and a querybank, as .npy files.

    Raises:
        FileError: there is no such gallery.
    """
    for gallery, banks in context.library.names.items():
        engine = context.library.engine(gallery, banks[0] if banks else "")
        stored = engine.gallery.queries
        if engine.bank is None or stored is None:
            continue
        # One query a video, so that the order of rows and columns tells what is right.
        _, rows = np.unique(stored.correct, return_index=True)
        rows = rows[:EXAMPLE_ROWS]
        video_emb = engine.gallery.video_emb[stored.correct[rows]]
        paths = folder / "example-S.npy", folder / "example-B.npy"
        for path, text_emb in zip(
            paths, (stored.text_emb[rows], engine.bank.text_emb[:EXAMPLE_BANK]), strict=True
        ):
            np.save(path, (text_emb @ video_emb.T).astype(np.float32))
        return paths
    raise FileError("no gallery here has stored queries and a querybank to make an example of")


def _build_charts() -> list:
    """Five plots, each followed by its numbers in words; see `charts_of`."""
    found: list = []
    rows = (
        (("matrix-ranks", "Rank before and now"), ("matrix-changes", "How far right items moved")),
        (("matrix-exposure", "How often is an item in somebody's top list?"),),
        (
            ("matrix-by-beta", "How strong should it be?"),
            ("matrix-by-bank", "How much bank does it take?"),
        ),
    )
    for row in rows:
        with gr.Row(equal_height=False):
            for elem_id, title in row:
                with gr.Column(min_width=320):
                    heading(title)
                    shown, _ = plot(elem_id)
                    found += [shown, html(elem_id=f"{elem_id}-told")]
    return found


def build(context: Context, reports: Reports) -> None:
    """Build the view inside the container that is open."""
    heading("Your own matrices")
    gr.Markdown(INTRODUCTION, elem_id="matrices-text")
    with gr.Row():
        sims = gr.File(label="S: queries × items", elem_id="matrix-sims", min_width=280)
        bank = gr.File(label="B: bank × items", elem_id="matrix-bank", min_width=280)
    with gr.Accordion("Masks, right items, settings", open=False, elem_id="matrix-more"):
        with gr.Row():
            masks = gr.File(
                label="Masks: 1 for a caption, 0 for padding", elem_id="matrix-masks", min_width=280
            )
            targets = gr.File(
                label="Right item of each query, from 0; else by order",
                elem_id="matrix-targets",
                min_width=280,
            )
        with gr.Row():
            sims_array = gr.Textbox(
                label="Name of the array in S", info="Where the file holds several", max_lines=1
            )
            bank_array = gr.Textbox(
                label="Name of the array in B", info="Where the file holds several", max_lines=1
            )
        normalisers = gr.Dropdown(
            [(kind.title, name) for name, kind in NORMALISERS.items() if name != "none"],
            value=[name for name in FIRST_CHOICE if name in NORMALISERS],
            multiselect=True,
            label="Normalisers",
            elem_id="matrix-normalisers",
        )
        with gr.Row():
            beta = gr.Number(
                None,
                label="Beta, per unit of these similarities",
                info="Empty: scale-free, 1 / standard deviation of B",
                elem_id="matrix-beta",
            )
            k = gr.Number(
                1, label="k", info="Best items of each bank row that count", elem_id="matrix-k"
            )
            direction = gr.Radio(
                [
                    ("text to video: captions on rows", "t2v"),
                    ("video to text: videos on rows", "v2t"),
                ],
                value="t2v",
                label="Direction",
                elem_id="matrix-direction",
                min_width=320,
            )
    with gr.Row():
        run = gr.Button("Examine", variant="primary", elem_id="matrix-run")
        cancel = gr.Button("Cancel", interactive=False, elem_id="matrix-cancel")
        example = gr.Button("Load an example", elem_id="matrix-example")
    status = html(live(""), elem_id="matrix-status")
    shown = html(elem_id="matrix-report")
    with gr.Column(visible=False, elem_id="matrix-rest") as rest:
        spec = gr.Dropdown([], label="Charts and queries of", elem_id="matrix-spec")
        charts = _build_charts()
        heading("Every query")
        with gr.Row():
            text = gr.Textbox(
                label="Row of a query or column of an item",
                max_length=40,
                elem_id="matrix-filter",
                min_width=200,
            )
            order = gr.Dropdown(
                list(ORDERS), value=next(iter(ORDERS)), label="Sort by", elem_id="matrix-order"
            )
            kind = gr.Radio(
                list(KINDS), value=KINDS[0], label="Show", elem_id="matrix-kind", min_width=420
            )
        table = html(elem_id="matrix-table")
        with gr.Row():
            back = gr.Button(f"Previous {PAGE}", elem_id="matrix-back")
            on = gr.Button(f"Next {PAGE}", elem_id="matrix-on")
    name = gr.State("", time_to_live=KEPT_S)  # of the report
    number = gr.State(0)  # page of the table
    inputs = [sims, bank, masks, targets, sims_array, bank_array, normalisers, beta, k, direction]
    listing = [table, number, back, on]
    filters = [name, spec, text, kind, order]
    everything = [status, run, cancel, shown, rest, name, spec, *charts, *listing]
    skip = [gr.skip()] * len(everything)

    def listed(report: MatrixReport, wanted: Filter) -> list:
        told, page, last = queries_html(report, wanted)
        return [
            told,
            page,
            gr.Button(interactive=page > 0, visible=last > 0),
            gr.Button(interactive=page < last, visible=last > 0),
        ]

    def busy(told: str, going_on: bool) -> list:
        buttons = [gr.Button(interactive=not going_on), gr.Button(interactive=going_on)]
        return [live(told), *buttons, *skip[3:]]

    def examine(request: gr.Request, *values) -> Iterator[list]:
        try:
            yield from examined(values, request.session_hash or "")
            return
        except Cancelled:
            yield busy(f'<p class="hl-status">{CANCELLED}</p>', going_on=False)
            return
        except RetrievalError as error:
            told = sentence(error)
        except Exception:  # the server must go on, whatever one file brought
            told = log_unexpected()
        gr.Warning(told)
        yield busy(f'<p class="hl-status">{escape(told)}</p>', going_on=False)

    def examined(values: Sequence, session: str) -> Iterator[list]:
        question = question_of(reports.uploads, values[:4], values[4:6], values[6:])
        begun = time.monotonic()
        examination = reports.begin(session, question)
        try:
            work = examination.progress()
            while True:
                try:
                    step = next(work)
                except StopIteration as done:
                    report = done.value
                    break
                yield busy(progress_html(*step, time.monotonic() - begun), going_on=True)
        finally:  # also when the visitor has left
            reports.end(session, examination)
        specs = [row["spec"] for row in report.about["rows"]][1:] or ["none"]
        kept = reports.keep(report)
        took = f"Examined in {time.monotonic() - begun:.1f} s."
        yield [
            *busy(f'<p class="hl-status">{took}</p>', going_on=False)[:3],
            report_html(report, kept),
            gr.Column(visible=True),
            kept,
            gr.Dropdown([(title_of(each), each) for each in specs], value=first_of(report)),
            *charts_of(report, first_of(report)),
            *listed(report, Filter(first_of(report))),
        ]

    def stop(request: gr.Request) -> list:
        stopped = reports.cancel(request.session_hash or "")
        told = CANCELLED if stopped else "Nothing is going on."
        return busy(f'<p class="hl-status">{told}</p>', going_on=False)[:3]

    def read(report: MatrixReport, spec, text, kind, order, page=0) -> Filter:
        return Filter(
            spec if spec in report.specs else first_of(report),
            text[:40] if isinstance(text, str) else "",
            kind if kind in KINDS else KINDS[0],
            order if order in list(ORDERS) else next(iter(ORDERS)),
            max(0, page) if type(page) is int else 0,
        )

    def relist(name, *chosen) -> list:
        report = reports.get(name)
        return listed(report, read(report, *chosen))

    def redraw(name, spec, *chosen) -> list:
        report = reports.get(name)
        wanted = read(report, spec, *chosen)
        return [*charts_of(report, wanted.spec), *listed(report, wanted)]

    def turn(step: int):
        def go(name, spec, text, kind, order, page) -> list:
            return relist(name, spec, text, kind, order, page + step if type(page) is int else 0)

        return go

    def load_example() -> list:
        paths = write_example(context, reports.uploads.new_folder("examples"))
        told = (
            '<p class="hl-status">Loaded: similarities of stored captions and of bank captions to '
            "the clips of this gallery. Press Examine.</p>"
        )
        return [*map(str, paths), live(told)]

    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    run.click(
        examine,
        inputs,
        everything,
        concurrency_id="matrices",
        concurrency_limit=2,
        trigger_mode="once",
        **quiet,
    )
    cancel.click(guarded(stop, 3), None, [status, run, cancel], concurrency_id="cancel", **quiet)
    example.click(guarded(load_example, 3), None, [sims, bank, status], **quiet)
    drawing = {"concurrency_id": "draw", "concurrency_limit": 2, **quiet}
    spec.input(guarded(redraw, len(charts) + 4), filters, [*charts, *listing], **drawing)
    for event in (text.change, kind.input, order.input):
        event(guarded(relist, 4), filters, listing, trigger_mode="always_last", **drawing)
    back.click(guarded(turn(-1), 4), [*filters, number], listing, **drawing)
    on.click(guarded(turn(1), 4), [*filters, number], listing, **drawing)
