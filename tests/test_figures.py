"""Figures: bins, chance and curves hold the numbers of their dataclasses."""

import numpy as np
import pytest

from retrieval import figures, hubness
from retrieval.answers import Curve, HubnessReport
from retrieval.figures import Bin

NAMES = ("Raw similarity", "With QB-Norm")


@pytest.fixture
def report():
    raw, norm = np.array([0, 0, 0, 9, 3, 0]), np.array([2, 1, 2, 3, 3, 1])
    return HubnessReport(
        k=2,
        over="queries",
        n_queries=6,
        counts_raw=raw,
        counts_norm=norm,
        raw=hubness.measure(raw, 6, 2),
        norm=hubness.measure(norm, 6, 2),
        biggest=(),
        r1_raw=None,
        r1_norm=None,
        in_sample=False,
    )


def test_doubling_bins_meet_without_gap_or_overlap():
    bins = figures.doubling_bins(37)
    assert [b.label for b in bins] == ["0", "1", "2", "3–4", "5–8", "9–16", "17–32", "33–64"]
    assert [sum(n in b for b in bins) for n in range(65)] == [1] * 65


def test_bars_count_every_video_once(report):
    figure = figures.exposure_figure(report, NAMES)
    raw, norm, chance = figure.data
    assert list(raw.x) == ["0", "1", "2", "3–4", "5–8", "9–16"]
    assert list(raw.y) == [4, 0, 0, 1, 0, 1]
    assert list(norm.y) == [0, 2, 2, 2, 0, 0]
    assert sum(chance.y) == pytest.approx(6, abs=0.01)
    assert chance.y[0] == pytest.approx(6 * np.exp(-2), abs=0.001)


def test_a_logarithmic_axis_is_an_option(report):
    assert figures.exposure_figure(report, NAMES, log_y=True).layout.yaxis.type == "log"


def test_lorenz_points_start_at_nothing_and_end_at_all(report):
    videos, places = figures.lorenz_points(report.counts_raw)
    np.testing.assert_allclose(videos[[0, 1, -1]], [0, 100 / 6, 100])
    np.testing.assert_allclose(places[[0, 1, 2, -1]], [0, 75, 100, 100])
    assert len(figures.lorenz_figure(report, NAMES).data) == 3


def test_changes_fall_into_signed_bins():
    bins = figures.change_bins(6)
    assert [figures.change_label(b) for b in bins] == [
        *("−8 to −5", "−4 to −3", "−2", "−1", "0", "+1", "+2", "+3 to +4", "+5 to +8"),
    ]
    deltas = (0, 0, 6, -0.5, 2.5, -3)
    assert figures.changes_per_bin(deltas, bins) == [0, 1, 0, 1, 2, 0, 0, 1, 1]
    assert [figures.bin_of(d, bins) for d in deltas] == [4, 4, 8, 3, 7, 1]
    figure = figures.changes_figure(deltas, bins)
    assert list(figure.data[0].y) == [0, 1, 0, 1, 2, 0, 0, 1, 1]
    assert list(figure.data[0].x) == ["−8", "−4", "−2", "−1", "0", "+1", "+2", "+4", "+8"]
    assert figure.data[0].customdata[1] == "−4 to −3"


def test_ranks_before_and_after_meet_in_a_grid():
    before, after = np.array([1.0, 2.5, 7.0, 7.0]), np.array([1.0, 1.0, 5.0, 2.0])
    bins = figures.rank_bins(7)
    assert [each.label for each in bins] == ["1", "2", "3–4", "5–8"]
    expected = [[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 1]]  # after on rows
    np.testing.assert_array_equal(figures.ranks_per_bin(before, after, bins), expected)
    grid = figures.ranks_figure(before, after, bins, NAMES).data[0]
    assert list(grid.text[0]) == ["1", "", "1", ""] and np.isnan(grid.z[2]).all()


def test_a_curve_stands_beside_the_raw_value():
    curve = Curve("beta", (1.0, 20.0), (30.0, 33.5), 29.0)
    norm, raw = figures.curve_figure(curve, NAMES, "beta").data
    assert list(norm.x) == ["1", "20"] and list(norm.y) == [30.0, 33.5]
    assert list(raw.y) == [29.0, 29.0]


def test_every_figure_has_axis_titles_and_no_background(report):
    for figure in (
        figures.exposure_figure(report, NAMES),
        figures.lorenz_figure(report, NAMES),
        figures.changes_figure([1], figures.change_bins(1)),
        figures.ranks_figure(np.array([1.0]), np.array([1.0]), figures.rank_bins(1), NAMES),
    ):
        assert figure.layout.xaxis.title.text and figure.layout.yaxis.title.text
        assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)" and figure.layout.title.text is None


def test_a_bin_holds_its_ends():
    assert 3 in Bin(3, 4) and 4 in Bin(3, 4) and 5 not in Bin(3, 4)
