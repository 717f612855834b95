"""Tab Matrices: similarity matrices that a visitor brings, and what every normaliser does to them.

Only the name of a report travels; see `kept_reports.py`. What it looks like is `matrix_report.py`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import gradio as gr
import numpy as np

from retrieval.errors import FileError, RetrievalError, SettingsError
from retrieval.matrices import MOST_NORMALISERS, TIMEOUT_S, Cancelled, MatrixReport, Question
from retrieval.normalisers import NORMALISERS, title_of
from retrieval.tabs.charts import heading, html, plot
from retrieval.tabs.context import Context, guarded, log_unexpected, sentence
from retrieval.tabs.kept import KEPT_S
from retrieval.tabs.kept_reports import Reports
from retrieval.tabs.matrix_report import (
    KINDS,
    ORDERS,
    PAGE,
    Filter,
    charts_of,
    first_of,
    queries_html,
    report_html,
)
from retrieval.tabs.pieces import live
from retrieval.tabs.uploads import Uploads

FIRST_CHOICE = ("inverted_softmax", "qbnorm", "csls", "nnn", "dn")
EXAMPLE_ROWS = 1000  # queries of the example, as many items
EXAMPLE_BANK = 2000  # rows of its bank
INTRODUCTION = """<p>
Bring the similarities of your own model. <b>S</b>: one row a test query, one column a gallery item.
<b>B</b>, the querybank: one row a training query, the same columns. Both may be <code>.npy</code>,
<code>.npz</code>, <code>.safetensors</code>, <code>.csv</code>, <code>.pkl</code> or
<code>.pt</code>, up to 512 MB and 100 million numbers each; nothing in them is ever run. Files and
reports stay on this server for at most one hour, for you alone.</p>
"""
SHOW_FILES = "() => Array(4).fill({ __type__: 'update', visible: true })"
CANCELLED = "Cancelled; what was reported before stays."


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
        if not context.library.is_open(gallery):
            continue
        engine = context.library.engine(gallery, banks[0] if banks else "")
        stored = engine.gallery.queries
        if engine.bank is None or stored is None:
            continue
        # One query a video, so that the order of rows and columns tells what is right.
        _, rows = np.unique(stored.correct, return_index=True)
        rows = rows[:EXAMPLE_ROWS]
        space, video_emb = engine.gallery.space, engine.gallery.video_emb[stored.correct[rows]]
        paths = folder / "example-S.npy", folder / "example-B.npy"
        for path, text_emb in zip(
            paths, (stored.text_emb[rows], engine.bank.text_emb[:EXAMPLE_BANK]), strict=True
        ):
            sims = space.rows(text_emb, space.items(video_emb)).read_rows(0, len(text_emb))
            np.save(path, sims)
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


def _file(label: str, elem_id: str) -> gr.File:
    """A place for a file; out of sight, so that its scripts are loaded when the tab is opened."""
    return gr.File(label=label, elem_id=elem_id, min_width=280, visible=False)


def build(context: Context, reports: Reports, tab: gr.Tab) -> None:
    """Build the view inside the container that is open, which is `tab`'s."""
    heading("Your own matrices")
    html(INTRODUCTION, elem_id="matrices-text")
    with gr.Row():
        sims = _file("S: queries × items", "matrix-sims")
        bank = _file("B: bank × items", "matrix-bank")
    with gr.Accordion("Masks, right items, settings", open=False, elem_id="matrix-more"):
        with gr.Row():
            masks = _file("Masks: 1 for a caption, 0 for padding", "matrix-masks")
            targets = _file("Right item of each query, from 0; else by order", "matrix-targets")
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

    def relist(name, *chosen) -> list:
        report = reports.get(name)
        return listed(report, Filter.read(report, *chosen))

    def redraw(name, spec, *chosen) -> list:
        report = reports.get(name)
        wanted = Filter.read(report, spec, *chosen)
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
    tab.select(None, None, [sims, bank, masks, targets], js=SHOW_FILES, **quiet)
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
