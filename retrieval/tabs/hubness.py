"""Tab Hubness: how unevenly the gallery is retrieved, before and after, beside chance."""

from __future__ import annotations

from html import escape

import gradio as gr
import numpy as np

from retrieval.answers import HubnessReport, Settings
from retrieval.engine import Engine
from retrieval.figures import (
    chance_per_bin,
    curve_figure,
    doubling_bins,
    exposure_figure,
    lorenz_figure,
    lorenz_points,
    videos_per_bin,
)
from retrieval.tabs.charts import data_table, drawn, plot, ranking_names
from retrieval.tabs.context import Context, guarded, settings_of
from retrieval.tabs.media import media_url

DEPTHS = (1, 5, 10)  # k of the top lists that are counted
OVER = {"stored queries": "queries", "querybank": "bank"}
BANK_SIZES = (0, 50, 100, 500, 1000, 2500, 5000, 10_000, 50_000)  # captions
BETAS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)  # per unit of similarity
N_IN_BAR = 24  # posters shown of a clicked bar


def numbers_html(report: HubnessReport) -> str:
    """The three numbers of the page, each raw -> normalised, beside its value under chance."""
    raw, norm, chance = report.raw, report.norm, report.raw.chance
    cells = [
        ("skewness", f"{raw.k_skewness:.1f}", f"{norm.k_skewness:.1f}", f"{chance.k_skewness:.1f}"),
        (
            "largest hub, places",
            f"{raw.largest_hub:,.0f}",
            f"{norm.largest_hub:,.0f}",
            f"{chance.largest_hub:,.1f}",
        ),
        (
            "never retrieved",
            f"{100 * raw.antihub_share:.1f} %",
            f"{100 * norm.antihub_share:.1f} %",
            f"{100 * chance.antihub_share:.1f} %",
        ),
        (
            "Robin Hood index",
            f"{raw.robin_hood:.2f}",
            f"{norm.robin_hood:.2f}",
            f"{chance.robin_hood:.2f}",
        ),
        ("hubs", f"{raw.n_hubs:,}", f"{norm.n_hubs:,}", f"{chance.hub_share * raw.n_gallery:,.1f}"),
    ]
    if report.r1_raw is not None:
        cells.append(
            ("R@1 of stored queries", f"{report.r1_raw:.1f} %", f"{report.r1_norm:.1f} %", "")
        )
    body = "".join(
        f'<div class="hl-number"><dt>{name}</dt><dd><b>{before} → {after}</b>'
        + (f"<span>by chance {by_chance}</span>" if by_chance else "<span>right answers</span>")
        + "</dd></div>"
        for name, before, after, by_chance in cells
    )
    note = (
        '<p class="hl-note">Counted on the very captions that the bias was fitted on, so the right '
        "side looks better than it would on new queries.</p>"
        if report.in_sample
        else ""
    )
    return f'<dl class="hl-numbers">{body}</dl>{note}'


def posters_html(engine: Engine, gallery: str, cards: list[tuple[str, str]], title: str) -> str:
    """A grid of posters: (video id, line below it)."""
    shown = "".join(_poster_html(engine, gallery, video_id, line) for video_id, line in cards)
    return f'<h3>{escape(title)}</h3><ul class="hl-posters">{shown}</ul>'


def _poster_html(engine: Engine, gallery: str, video_id: str, line: str) -> str:
    item = engine.item(video_id)
    still = '<span class="hl-nostill" aria-hidden="true">no picture</span>'
    if item.poster is not None:
        address = escape(media_url(gallery, "poster", video_id))
        still = f'<img src="{address}" alt="" loading="lazy" width="120" height="90">'
    caption = f"<span>{escape(item.caption)}</span>" if item.caption else ""
    return f"<li>{still}<b>{escape(video_id)}</b><em>{escape(line)}</em>{caption}</li>"


def build(context: Context) -> None:
    """Build the view inside the container that is open."""
    with gr.Row():
        depth = gr.Radio(list(DEPTHS), value=10, label="Top k that is counted", elem_id="depth")
        over = gr.Radio(list(OVER), value="stored queries", label="Over", elem_id="over")
        log_y = gr.Checkbox(False, label="Logarithmic count of videos", elem_id="log-y")
    numbers = gr.HTML("", elem_id="hub-numbers", apply_default_css=False)
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            gr.HTML(
                "<h2>How often is a video in somebody's top list?</h2>", apply_default_css=False
            )
            bars, clicks = plot("exposure", clickable=True)
            bars_told = gr.HTML("", elem_id="exposure-told", apply_default_css=False)
        with gr.Column(min_width=320):
            gr.HTML("<h2>Who takes the places?</h2>", apply_default_css=False)
            lorenz, _ = plot("lorenz")
            lorenz_told = gr.HTML("", elem_id="lorenz-told", apply_default_css=False)
    in_bar = gr.HTML("", elem_id="in-bar", apply_default_css=False)
    biggest = gr.HTML("", elem_id="biggest", apply_default_css=False)
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            gr.HTML("<h2>How much querybank does it take?</h2>", apply_default_css=False)
            by_bank, _ = plot("bank-curve")
            bank_told = gr.HTML("", elem_id="bank-told", apply_default_css=False)
        with gr.Column(min_width=320):
            gr.HTML("<h2>How strong should it be?</h2>", apply_default_css=False)
            by_beta, _ = plot("beta-curve")
            beta_told = gr.HTML("", elem_id="beta-told", apply_default_css=False)
    counted = [numbers, bars, bars_told, lorenz, lorenz_told, in_bar, biggest]
    curves = [by_bank, bank_told, by_beta, beta_told]
    choices = [context.scene, depth, over, log_y]

    def report_of(view, depth, over) -> tuple[Engine, HubnessReport]:
        engine = context.engine(view)
        source = OVER.get(over, "queries")
        if engine.gallery.queries is None:
            source = "bank"
        k = depth if depth in DEPTHS else DEPTHS[-1]
        return engine, engine.hubness(settings_of(view), min(k, len(engine.gallery)), source)

    def draw_counts(view, depth, over, log_y) -> list:
        if view is None or view.tab != "hubness":
            return [gr.skip()] * len(counted)
        engine, report = report_of(view, depth, over)
        names = ranking_names(view.left, view.right)
        return [
            numbers_html(report),
            drawn(exposure_figure(report, names, bool(log_y))),
            _exposure_table(report, names),
            drawn(lorenz_figure(report, names)),
            _lorenz_table(report, names),
            "",
            posters_html(
                engine,
                view.gallery,
                [(h.id, f"{h.count_raw:,} → {h.count_norm:,} places") for h in report.biggest],
                "Biggest hubs",
            ),
        ]

    def draw_curves(view) -> list:
        if view is None or view.tab != "hubness":
            return [gr.skip()] * len(curves)
        engine, settings = context.engine(view), settings_of(view)
        if engine.gallery.queries is None or engine.bank is None:
            why = '<p class="hl-empty">Needs a querybank and labelled queries.</p>'
            return [None, why, None, why]
        names = ranking_names(view.left, view.right)
        return [*_bank_outputs(engine, settings, names), *_beta_outputs(engine, settings, names)]

    def open_bar(view, depth, over, event: gr.SelectData) -> str:
        engine, report = report_of(view, depth, over)
        counts = (report.counts_raw, report.counts_norm)
        bins = doubling_bins(int(max(each.max() for each in counts)))
        number = event.index if isinstance(event.index, int) else -1
        if not 0 <= number < len(bins):
            return gr.skip()
        chosen = bins[number]
        before = np.flatnonzero((counts[0] >= chosen.low) & (counts[0] <= chosen.high))
        before = before[np.argsort(-counts[0][before], kind="stable")]
        cards = [
            (engine.gallery.items[row].id, f"{counts[0][row]:,} → {counts[1][row]:,} places")
            for row in before[:N_IN_BAR]
        ]
        more = f", the first {N_IN_BAR}" if len(before) > N_IN_BAR else ""
        title = f"{len(before):,} videos in {chosen.label} top lists on the left{more}"
        return posters_html(engine, view.gallery, cards, title)

    quiet = {"api_visibility": "private", "concurrency_id": "draw", "concurrency_limit": 2}
    context.scene.change(
        guarded(draw_counts, len(counted)),
        choices,
        counted,
        show_progress="minimal",
        show_progress_on=[numbers],
        **quiet,
    )
    context.scene.change(
        guarded(draw_curves, len(curves)),
        [context.scene],
        curves,
        show_progress="minimal",
        show_progress_on=[bank_told],
        **quiet,
    )
    for component in (depth, over, log_y):
        component.input(
            guarded(draw_counts, len(counted)),
            choices,
            counted,
            trigger_mode="always_last",
            show_progress="hidden",
            **quiet,
        )
    clicks.select(guarded(open_bar, 1), choices[:3], in_bar, show_progress="hidden", **quiet)


def _exposure_table(report: HubnessReport, names: tuple[str, str]) -> str:
    bins = doubling_bins(int(max(report.counts_raw.max(), report.counts_norm.max())))
    columns = (
        videos_per_bin(report.counts_raw, bins),
        videos_per_bin(report.counts_norm, bins),
        [f"{share:.1f}" for share in chance_per_bin(report, bins)],
    )
    never = (report.raw.n_antihubs, report.norm.n_antihubs)
    return data_table(
        f"{never[0]:,} of {report.raw.n_gallery:,} videos are in no top {report.k} on the left, "
        f"{never[1]:,} on the right; the largest hub takes {report.raw.largest_hub:,.0f} and "
        f"{report.norm.largest_hub:,.0f} places. Click a bar to see its videos.",
        ("top lists", *names, "by chance"),
        [(b.label, *row) for b, row in zip(bins, zip(*columns, strict=True), strict=True)],
        "Videos by how often they are retrieved",
    )


def _lorenz_table(report: HubnessReport, names: tuple[str, str]) -> str:
    at = (1, 5, 10, 25, 50)  # percent of the gallery
    shares = [
        np.interp(at, *lorenz_points(counts)) for counts in (report.counts_raw, report.counts_norm)
    ]
    return data_table(
        f"The most retrieved tenth of the videos takes {shares[0][2]:.0f} % of the places on the "
        f"left and {shares[1][2]:.0f} % on the right.",
        ("videos, %", *(f"{name}: places, %" for name in names)),
        [(p, f"{a:.1f}", f"{b:.1f}") for p, a, b in zip(at, *shares, strict=True)],
        "Share of places taken by the most retrieved videos",
    )


def _bank_outputs(engine: Engine, settings: Settings, names: tuple[str, str]) -> list:
    sizes = sorted({size for size in BANK_SIZES if size < engine.n_bank} | {engine.n_bank})
    curve = engine.bank_curve(settings, sizes)
    figure = curve_figure(curve, names, "bank captions used")
    told = data_table(
        f"R@1 goes from {curve.r1_norm[0]:.1f} % without a bank to {curve.r1_norm[-1]:.1f} % with "
        f"all {engine.n_bank:,} captions.",
        ("bank captions", "R@1, %"),
        [(f"{n:,.0f}", f"{r:.1f}") for n, r in zip(curve.values, curve.r1_norm, strict=True)],
        "R@1 of the right ranking by size of the querybank",
    )
    return [drawn(figure), told]


def _beta_outputs(engine: Engine, settings: Settings, names: tuple[str, str]) -> list:
    scale_free = engine.resolved_beta(settings if settings.beta is None else Settings())
    betas = sorted({*BETAS, *([round(scale_free, 1)] if scale_free else [])})
    curve = engine.beta_curve(settings, betas)
    figure = curve_figure(curve, names, "beta, per unit of similarity")
    best = int(np.argmax(curve.r1_norm))
    scale = f" The scale-free value is {scale_free:.1f}." if scale_free else ""
    told = data_table(
        f"R@1 lies between {min(curve.r1_norm):.1f} % and {max(curve.r1_norm):.1f} %; highest at "
        f"beta {curve.values[best]:g}.{scale} Choose beta on validation queries, not on these.",
        ("beta", "R@1, %"),
        [(f"{b:g}", f"{r:.1f}") for b, r in zip(curve.values, curve.r1_norm, strict=True)],
        "R@1 of the right ranking by beta",
    )
    return [drawn(figure), told]
