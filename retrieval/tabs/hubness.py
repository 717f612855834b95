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
    exposure_bins,
    exposure_figure,
    lorenz_figure,
    lorenz_points,
    videos_per_bin,
)
from retrieval.gallery import Item
from retrieval.normalisers import title_of
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
from retrieval.tabs.context import Context, guarded, has_knobs, settings_of
from retrieval.tabs.links import View
from retrieval.tabs.media import media_url

DEPTHS = (1, 5, 10)  # k of the top lists that are counted
OVER = {"stored queries": "queries", "querybank": "bank"}
BANK_SIZES = (0, 50, 100, 500, 1000, 2500, 5000, 10_000, 50_000)  # captions
BETAS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)  # per unit of similarity
N_IN_BAR = 20  # videos shown of a clicked bar
NOTHING = '<p class="hl-empty">Needs labelled queries or a querybank; this gallery has neither.</p>'
SHOW_BAR = """() => setTimeout(() => {
  document.querySelector('#in-bar').scrollIntoView({ block: 'nearest' });
}, 50)"""


def numbers_html(report: HubnessReport, note: str = "") -> str:
    """The numbers of the page, each before -> after, beside its value under chance."""
    raw, norm, chance = report.raw, report.norm, report.raw.chance

    def number(name: str, measure: str, shape: str, unit: str = "", scale: float = 1) -> Number:
        before, after, by_chance = (scale * getattr(each, measure) for each in (raw, norm, chance))
        exact = f"{float(before)!r} → {float(after)!r}"
        at_random = f"by chance {by_chance:{shape}}{unit}"
        return Number(name, f"{before:{shape}}", f"{after:{shape}}{unit}", at_random, exact)

    numbers = [
        number("skewness", "k_skewness", ".1f"),
        Number(
            "largest hub",
            f"{raw.largest_hub:,.0f}",
            f"{norm.largest_hub:,.0f} places",
            f"by chance {chance.largest_hub:,.1f}",
        ),
        number("never retrieved", "antihub_share", ".1f", " %", 100),
        number("Robin Hood index", "robin_hood", ".2f"),
        Number(
            "hubs",
            f"{raw.n_hubs:,}",
            f"{norm.n_hubs:,}",
            f"by chance {chance.hub_share * raw.n_gallery:,.1f}",
        ),
    ]
    if report.r1_raw is not None:
        numbers.append(
            Number(
                "R@1, stored queries",
                f"{report.r1_raw:.1f}",
                f"{report.r1_norm:.1f} %",
                f"by chance {100 / raw.n_gallery:.1f} %",
                f"{float(report.r1_raw)!r} → {float(report.r1_norm)!r}",
            )
        )
    if report.in_sample:
        note += (
            "Counted on the very captions that the bias was fitted on, so the right side looks "
            "better than it would on new queries."
        )
    return tiles(numbers) + (f'<p class="hl-note">{escape(note)}</p>' if note else "")


def posters_html(engine: Engine, gallery: str, cards: list[tuple[str, str]], title: str) -> str:
    """Videos with their posters: (video id, line below it). Without any poster, text alone."""
    items = [(engine.item(video_id), line) for video_id, line in cards]
    pictured = any(item.poster is not None for item, _ in items)
    shown = "".join(_poster_html(item, gallery, line, pictured) for item, line in items)
    return f'<h2 class="hl-heading">{escape(title)}</h2><ul class="hl-posters">{shown}</ul>'


def _poster_html(item: Item, gallery: str, line: str, pictured: bool) -> str:
    still = ""
    if item.poster is not None:
        address = escape(media_url(gallery, "poster", item.id))
        still = f'<img src="{address}" alt="" loading="lazy" width="240" height="180">'
    elif pictured:
        still = '<span class="hl-nostill">no picture</span>'
    caption = f"<span>{escape(item.caption)}</span>" if item.caption else ""
    return f"<li>{still}<b>{escape(item.id)}</b><em>{escape(line)}</em>{caption}</li>"


def bar_html(
    engine: Engine, gallery: str, report: HubnessReport, names: tuple[str, str], side: int, bar: int
) -> str:
    """The videos of one bar of the exposure chart; empty when there is no such bar.

    Args:
        engine: of the gallery.
        gallery: its name, for the posters' addresses.
        report: what the chart shows.
        names: of the left and the right ranking.
        side: 0 for the left ranking's bars, 1 for the right one's.
        bar: its number from the left.
    """
    counts = (report.counts_raw, report.counts_norm)
    bins = exposure_bins(report)
    if side not in (0, 1) or not 0 <= bar < len(bins):
        return ""
    rows = np.flatnonzero([count in bins[bar] for count in counts[side]])
    rows = rows[np.argsort(-counts[side][rows], kind="stable")]
    cards = [
        (engine.gallery.items[row].id, f"{counts[0][row]:,} → {counts[1][row]:,} places")
        for row in rows[:N_IN_BAR]
    ]
    which = f"{names[side]}: {len(rows):,} videos with {bins[bar].label} places"
    return posters_html(
        engine,
        gallery,
        cards,
        which + (f", {N_IN_BAR} of them" if len(rows) > N_IN_BAR else ""),
    )


def build(context: Context) -> None:
    """Build the view inside the container that is open."""
    with gr.Row():
        depth = gr.Radio(
            list(DEPTHS),
            value=DEPTHS[-1],
            label="Top k that is counted",
            elem_id="depth",
            min_width=240,
        )
        over = gr.Radio(
            list(OVER), value=next(iter(OVER)), label="Over", elem_id="over", min_width=320
        )
        log_y = gr.Checkbox(
            False, label="Logarithmic count of videos", elem_id="log-y", min_width=240
        )
    numbers = html(elem_id="hub-numbers")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            heading("How often is a video in somebody's top list?")
            bars, clicks = plot("exposure", clickable=True)
            bars_told = html(elem_id="exposure-told")
        with gr.Column(min_width=320):
            heading("Who takes the places?")
            lorenz, _ = plot("lorenz")
            lorenz_told = html(elem_id="lorenz-told")
    in_bar = html(elem_id="in-bar")
    biggest = html(elem_id="biggest")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            heading("How much querybank does it take?")
            by_bank, _ = plot("bank-curve")
            bank_told = html(elem_id="bank-told")
        with gr.Column(min_width=320):
            heading("How strong should it be?")
            by_beta, _ = plot("beta-curve")
            beta_told = html(elem_id="beta-told")
    counted = [numbers, bars, bars_told, lorenz, lorenz_told, in_bar, biggest]
    curves = [by_bank, bank_told, by_beta, beta_told]
    choices = [context.scene, depth, over, log_y]

    def report_of(view: View, depth, over) -> tuple[Engine, HubnessReport, tuple[str, str], str]:
        """What the charts show, the names of its rankings, and what to say about it."""
        engine, settings = context.engine(view), settings_of(view)
        source, note = OVER[over if over in list(OVER) else next(iter(OVER))], ""
        if engine.gallery.queries is None:
            if source == "queries":
                note = "This gallery keeps no labelled queries; the querybank is counted. "
            source = "bank"
        elif engine.bank is None:
            note = "No querybank fits this gallery, so both rankings are raw. "
            source = "queries"
        k = depth if depth in DEPTHS else DEPTHS[-1]
        report = engine.hubness(settings, min(k, len(engine.gallery)), source)
        used = engine.checked(settings)
        return engine, report, ranking_names(used.left, used.right), note

    def draw_counts(view: View | None, depth, over, log_y) -> list:
        if view is None or view.tab != "hubness":
            return [gr.skip()] * len(counted)
        if not _countable(context.engine(view)):
            return [NOTHING, drawn(None), "", drawn(None), "", "", ""]
        engine, report, names, note = report_of(view, depth, over)
        return [
            numbers_html(report, note),
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

    def draw_curves(view: View | None) -> list:
        if view is None or view.tab != "hubness":
            return [gr.skip()] * len(curves)
        engine, settings = context.engine(view), settings_of(view)
        if engine.gallery.queries is None or engine.bank is None:
            why = '<p class="hl-empty">Needs a querybank and labelled queries.</p>'
            return [drawn(None), why, drawn(None), why]
        names = ranking_names(view.left, view.right)
        return [*_bank_outputs(engine, settings, names), *_beta_outputs(engine, settings, names)]

    def open_bar(view: View | None, depth, over, event: gr.SelectData) -> str:
        if view is None or not _countable(context.engine(view)):
            return gr.skip()
        engine, report, names, _ = report_of(view, depth, over)
        side, bar = clicked(event)
        side = 0 if side == 2 else side  # the line of chance stands for the left bar beside it
        return bar_html(engine, view.gallery, report, names, side, bar)

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
    opened = clicks.select(
        guarded(open_bar, 1), choices[:3], in_bar, show_progress="hidden", **quiet
    )
    opened.then(None, js=SHOW_BAR)


def _countable(engine: Engine) -> bool:
    return engine.gallery.queries is not None or engine.bank is not None


def _exposure_table(report: HubnessReport, names: tuple[str, str]) -> str:
    bins = exposure_bins(report)
    columns = (
        videos_per_bin(report.counts_raw, bins),
        videos_per_bin(report.counts_norm, bins),
        [f"{share:.1f}" for share in chance_per_bin(report, bins)],
    )
    never = (report.raw.n_antihubs, report.norm.n_antihubs)
    return data_table(
        f"{never[0]:,} of {report.raw.n_gallery:,} videos are in no top {report.k} on the left, "
        f"{never[1]:,} on the right; the largest hub takes {report.raw.largest_hub:,.0f} and "
        f"{report.norm.largest_hub:,.0f} places. Choose a bar to see its videos.",
        ("places", *names, "by chance"),
        [(b.label, *row) for b, row in zip(bins, zip(*columns, strict=True), strict=True)],
        "Videos by how many top lists they take a place in",
        chart="exposure",
        clickable=(1, 2),
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
    if "beta" not in has_knobs(settings.right):
        why = f'<p class="hl-empty">{escape(title_of(settings.right))} has no beta.</p>'
        return [drawn(None), why]
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
