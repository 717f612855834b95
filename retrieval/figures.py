"""Result dataclasses -> plotly figures: titled axes with units, one colour per ranking everywhere.

Owner of plotly. Raw and normalised always share their axes. Backgrounds are transparent and lines
mid-grey, so a figure reads on light and dark pages alike. No layout title: a page puts its own
heading above.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from retrieval.advice.sweeps import Sweep
from retrieval.answers import Curve, HubnessReport

LEFT_COLOUR, RIGHT_COLOUR = "#8a94a6", "#5b6ee1"  # raw similarity; the normalised ranking
UP_COLOUR, DOWN_COLOUR = "#2a9d74", "#d0505c"
CHANCE_COLOUR = "#c98a2b"
INK, GRID = "#7f8899", "rgba(127,136,153,0.25)"
HEIGHT = 300  # pixels

Figure = go.Figure


@dataclass(frozen=True)
class Bin:
    """Whole numbers from low to high, both included."""

    low: int
    high: int

    @property
    def label(self) -> str:
        """As it stands on an axis: "0", "3–4"."""
        return f"{self.low}" if self.low == self.high else f"{self.low}–{self.high}"

    def __contains__(self, number: float) -> bool:
        return self.low <= number <= self.high


def doubling_bins(largest: int) -> tuple[Bin, ...]:
    """0, 1, 2, 3-4, 5-8, 9-16, ... until `largest` fits: a few hubs and many zeros both show."""
    bins = [Bin(0, 0), Bin(1, 1), Bin(2, 2)]
    while bins[-1].high < largest:
        low = bins[-1].high + 1
        bins.append(Bin(low, 2 * bins[-1].high))
    return tuple(bins)


def change_bins(largest: int) -> tuple[Bin, ...]:
    """Doubling bins of places lost (negative) and gained around 0."""
    gains = [each for each in doubling_bins(largest) if each.low > 0]
    losses = [Bin(-each.high, -each.low) for each in reversed(gains)]
    return (*losses, Bin(0, 0), *gains)


def change_label(change: Bin) -> str:
    """A bin of places gained in words: "−4 to −3", "0", "+1"."""
    if change.low == change.high:
        return signed(change.low)
    return f"{signed(change.low)} to {signed(change.high)}"


def signed(number: float) -> str:
    """+3, −3.5 (with a minus as wide as the plus), 0."""
    return f"{number:+g}".replace("-", "−") if number else "0"


def bin_of(delta: float, bins: Sequence[Bin]) -> int:
    """The bin of a change in rank; half places go to the larger move."""
    rounded = int(np.sign(delta) * np.ceil(abs(delta)))
    return next(n for n, each in enumerate(bins) if rounded in each)


def exposure_figure(
    report: HubnessReport, names: tuple[str, str], log_y: bool = False
) -> go.Figure:
    """How many videos are retrieved how often, in both rankings, with chance as a line.

    Args:
        report: counts of both rankings.
        names: of the left and the right ranking.
        log_y: count videos on a logarithmic axis.
    """
    bins = exposure_bins(report)
    labels = [each.label for each in bins]
    figure = go.Figure()
    sides = ((report.counts_raw, LEFT_COLOUR), (report.counts_norm, RIGHT_COLOUR))
    for name, (counts, colour) in zip(names, sides, strict=True):
        figure.add_bar(
            x=labels,
            y=videos_per_bin(counts, bins),
            name=name,
            marker_color=colour,
            hovertemplate="in %{x} top lists: %{y} videos<extra>%{fullData.name}</extra>",
        )
    figure.add_scatter(
        x=labels,
        y=[round(share, 3) for share in chance_per_bin(report, bins)],
        name="if chance decided",
        mode="lines+markers",
        line={"color": CHANCE_COLOUR, "dash": "dot", "width": 2},
        hovertemplate="in %{x} top lists: %{y:.1f} videos by chance<extra></extra>",
    )
    asked = "bank captions" if report.over == "bank" else "queries"
    y_title = "videos, logarithmic" if log_y else "videos"
    _style(figure, f"{asked} that have the video in their top {report.k}", y_title)
    figure.update_layout(barmode="group", bargap=0.25)
    figure.update_xaxes(type="category")
    if log_y:
        figure.update_yaxes(type="log", dtick=1)
    return figure


def exposure_bins(report: HubnessReport) -> tuple[Bin, ...]:
    """The bins of the exposure figure, which both rankings share."""
    return doubling_bins(int(max(report.counts_raw.max(), report.counts_norm.max())))


def videos_per_bin(counts: np.ndarray, bins: Sequence[Bin]) -> list[int]:
    """How many videos have a k-occurrence within each bin."""
    return [int(np.count_nonzero((counts >= b.low) & (counts <= b.high))) for b in bins]


def chance_per_bin(report: HubnessReport, bins: Sequence[Bin]) -> list[float]:
    """Expected videos per bin if every query picked k at random: Poisson with mean mu."""
    number = np.arange(bins[-1].high + 1)
    mu = report.raw.mean
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(number[1:]))])
    share = np.exp(number * np.log(mu) - mu - log_factorial) * report.raw.n_gallery
    return [float(share[b.low : b.high + 1].sum()) for b in bins]


def lorenz_figure(report: HubnessReport, names: tuple[str, str]) -> go.Figure:
    """Share of all top-k places taken by the n most retrieved videos; a diagonal is even."""
    figure = go.Figure()
    sides = ((report.counts_raw, LEFT_COLOUR), (report.counts_norm, RIGHT_COLOUR))
    for name, (counts, colour) in zip(names, sides, strict=True):
        videos, places = lorenz_points(counts)
        figure.add_scatter(
            x=videos,
            y=places,
            name=name,
            mode="lines",
            line={"color": colour, "width": 3},
            hovertemplate="%{x:.1f} % of videos: %{y:.1f} % of places"
            "<extra>%{fullData.name}</extra>",
        )
    figure.add_scatter(
        x=[0, 100],
        y=[0, 100],
        name="perfectly even",
        mode="lines",
        line={"color": INK, "dash": "dot", "width": 1},
        hoverinfo="skip",
    )
    _style(figure, "most retrieved videos, % of the gallery", f"share of top-{report.k} places, %")
    figure.update_xaxes(range=[0, 100])
    figure.update_yaxes(range=[0, 101])
    return figure


def lorenz_points(counts: np.ndarray, most: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Percent of videos against percent of places that they take, most retrieved first."""
    taken = np.concatenate([[0.0], np.cumsum(np.sort(counts)[::-1])])
    at = np.unique(np.linspace(0, len(counts), min(most, len(counts)) + 1).round().astype(int))
    return 100 * at / len(counts), 100 * taken[at] / taken[-1]


def changes_figure(deltas: Sequence[float], bins: Sequence[Bin]) -> go.Figure:
    """How many queries gained or lost how many places.

    Args:
        deltas: places that each query's ground truth gained.
        bins: from `change_bins`.
    """
    counts = changes_per_bin(deltas, bins)
    colours = [UP_COLOUR if b.low > 0 else DOWN_COLOUR if b.high < 0 else INK for b in bins]
    figure = go.Figure(
        go.Bar(
            # The end away from 0: a phone has no room for both.
            x=[signed(each.high if each.low > 0 else each.low) for each in bins],
            y=counts,
            marker_color=colours,
            customdata=[change_label(each) for each in bins],
            hovertemplate="%{customdata} places: %{y} queries<extra></extra>",
        )
    )
    _style(figure, "places gained by the ground truth, up to", "queries, logarithmic")
    figure.update_layout(showlegend=False, margin_t=10, bargap=0.12)
    figure.update_xaxes(type="category", tickangle=0, tickfont_size=10)
    figure.update_yaxes(type="log", dtick=1)
    return figure


def changes_per_bin(deltas: Sequence[float], bins: Sequence[Bin]) -> list[int]:
    """How many queries changed by each bin's number of places; half places as in `bin_of`."""
    deltas = np.asarray(deltas, dtype=float)
    rounded = np.sign(deltas) * np.ceil(np.abs(deltas))
    at = np.searchsorted([each.high for each in bins], rounded)
    return np.bincount(at, minlength=len(bins)).tolist()


def rank_bins(largest: float) -> tuple[Bin, ...]:
    """Doubling bins of ranks, from 1 on."""
    return tuple(each for each in doubling_bins(math.ceil(largest)) if each.low > 0)


def ranks_per_bin(before: np.ndarray, after: np.ndarray, bins: Sequence[Bin]) -> np.ndarray:
    """[n_bins after, n_bins before] queries by their rank before and after, rounded up."""
    ends = [each.high for each in bins]
    counts = np.zeros((len(bins), len(bins)), dtype=int)
    np.add.at(counts, (np.searchsorted(ends, after), np.searchsorted(ends, before)), 1)
    return counts


def ranks_figure(
    before: np.ndarray, after: np.ndarray, bins: Sequence[Bin], names: tuple[str, str]
) -> go.Figure:
    """Where the right items stood and where they stand now; below the diagonal they rose.

    Args:
        before, after: [n_queries] ranks.
        bins: from `rank_bins`.
        names: of the ranking before and after.
    """
    counts = ranks_per_bin(before, after, bins)
    labels = [each.label for each in bins]
    figure = go.Figure(
        go.Heatmap(
            x=labels,
            y=labels,
            z=np.where(counts, np.log10(np.maximum(counts, 1)), np.nan),
            text=[[f"{n:,}" if n else "" for n in line] for line in counts.tolist()],
            texttemplate="%{text}",
            textfont_size=10,
            colorscale=[[0, "rgba(91,110,225,0.15)"], [1, "rgba(91,110,225,0.85)"]],
            showscale=False,
            hovertemplate="rank %{x} before, %{y} after: %{text} queries<extra></extra>",
        )
    )
    figure.add_scatter(
        x=labels,
        y=labels,
        mode="lines",
        line={"color": INK, "dash": "dot", "width": 1},
        hoverinfo="skip",
    )
    _style(figure, f"rank, {names[0]}", f"rank, {names[1]}")
    figure.update_layout(showlegend=False, margin_t=10)
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_yaxes(type="category", showgrid=False)
    return figure


def curve_figure(curve: Curve, names: tuple[str, str], x_title: str) -> go.Figure:
    """R@1 of the right ranking against one setting, beside the left ranking's."""
    labels = [f"{value:,g}" for value in curve.values]
    figure = go.Figure()
    figure.add_scatter(
        x=labels,
        y=curve.r1_norm,
        name=names[1],
        mode="lines+markers",
        line={"color": RIGHT_COLOUR, "width": 3},
        hovertemplate="%{x}: R@1 %{y:.1f} %<extra></extra>",
    )
    figure.add_scatter(
        x=labels,
        y=[curve.r1_raw] * len(labels),
        name=names[0],
        mode="lines",
        line={"color": LEFT_COLOUR, "dash": "dash", "width": 2},
        hovertemplate="R@1 %{y:.1f} %<extra></extra>",
    )
    _style(figure, x_title, "R@1 of the stored queries, %")
    figure.update_xaxes(type="category")
    return figure


def sweep_figure(sweep: Sweep) -> go.Figure:
    """R@1 of the test queries against one knob, beside the raw line."""
    labels = [f"{point.value:g}" for point in sweep.points]
    figure = go.Figure()
    figure.add_scatter(
        x=labels,
        y=[point.metrics["R@1"] for point in sweep.points],
        customdata=[[p.metrics["R@5"], p.metrics["R@10"], p.k_skewness] for p in sweep.points],
        name=sweep.title,
        mode="lines+markers",
        line={"color": RIGHT_COLOUR, "width": 3},
        hovertemplate="%{x}: R@1 %{y:.1f}, R@5 %{customdata[0]:.1f}, R@10 %{customdata[1]:.1f} %, "
        "skewness %{customdata[2]:.2f}<extra></extra>",
    )
    figure.add_scatter(
        x=labels,
        y=[sweep.raw.metrics["R@1"]] * len(labels),
        name="raw similarity",
        mode="lines",
        line={"color": LEFT_COLOUR, "dash": "dash", "width": 2},
        hovertemplate="R@1 %{y:.1f} %<extra></extra>",
    )
    unit = f", {sweep.unit}" if sweep.unit else ""
    _style(figure, f"{sweep.knob}{unit}", f"R@1 of {sweep.n_queries:,} queries, %")
    figure.update_xaxes(type="category")
    figure.update_yaxes(rangemode="normal")
    return figure


def write_html(figure: go.Figure, path: str | Path) -> None:
    """A page of its own that needs no network."""
    figure.write_html(str(path), include_plotlyjs=True)


def _style(figure: go.Figure, x_title: str, y_title: str) -> None:
    """The look that all figures share."""
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 56, "r": 12, "t": 36, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "size": 12},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        hovermode="closest",
        dragmode=False,  # a finger on the chart scrolls the page
    )
    axis = {"gridcolor": GRID, "linecolor": GRID, "zeroline": False}
    figure.update_xaxes(title=x_title, **axis)
    figure.update_yaxes(title=y_title, rangemode="tozero", **axis)
