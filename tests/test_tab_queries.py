"""Tab Queries without a browser: filters, order, pages, and what is escaped."""

import pytest

from retrieval.answers import QueryChange, QueryChanges
from retrieval.figures import change_label
from retrieval.tabs.queries import (
    KINDS,
    ORDERS,
    PAGE,
    Filter,
    bins_of,
    change_text,
    chosen_rows,
    metrics_html,
    table_html,
)

EVIL = "<img src=x onerror=alert(1)>"


def row(query_id, before, after, text="a dog", video_id="v"):
    return QueryChange(query_id, text, video_id, before, after, before - after, True, None)


@pytest.fixture
def changes():
    rows = (
        row("gain", 9.0, 2.0, "A dog on the beach", "video1"),
        row("loss", 3.0, 12.0, "a cat on a roof", "video2"),
        row("same", 4.0, 4.0, "a Dog sleeps", "video3"),
        row("half", 2.5, 1.0, "birds", "video4"),
    )
    metrics = {"R@1": 12.34, "R@5": 50.0, "MdR": 3.5}
    return QueryChanges(rows, 2, 1, 1, metrics, {"R@1": 25.0, "R@5": 50.0, "MdR": 3.0})


def ids(changes, **wanted):
    return [each.id for each in chosen_rows(changes, Filter(**wanted))]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("all", ["loss", "gain", "half", "same"]),
        ("helped", ["gain", "half"]),
        ("hurt", ["loss"]),
        ("unchanged", ["same"]),
    ],
)
def test_kinds_split_the_queries_largest_change_first(changes, kind, expected):
    assert ids(changes, kind=kind) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DOG", ["gain", "same"]),
        ("beach dog", ["gain"]),
        ("video2", ["loss"]),
        ("dog roof", []),
        ("  ", ["loss", "gain", "half", "same"]),
    ],
)
def test_every_word_must_occur_in_the_query_or_its_video(changes, text, expected):
    assert ids(changes, text=text) == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("largest gain", ["gain", "half", "same", "loss"]),
        ("largest loss", ["loss", "same", "half", "gain"]),
        ("rank before", ["half", "loss", "same", "gain"]),
        ("rank after", ["half", "gain", "same", "loss"]),
        ("worst rank after", ["loss", "same", "gain", "half"]),
    ],
)
def test_orders(changes, order, expected):
    assert ids(changes, order=order) == expected


def test_a_bar_keeps_its_queries_alone(changes):
    bins = bins_of(changes)
    labels = [change_label(each) for each in bins]
    assert labels[0] == "−16 to −9" and labels[-1] == "+9 to +16"
    assert ids(changes, bar=labels.index("+5 to +8")) == ["gain"]
    assert ids(changes, bar=labels.index("+2")) == ["half"]  # 1.5 places count as 2
    per_bar = [ids(changes, bar=number) for number in range(len(bins))]
    assert sorted(sum(per_bar, [])) == ["gain", "half", "loss", "same"]


def test_the_largest_change_fits_without_a_bar_to_spare():
    rows = (row("far", 9.0, 1.0),)
    assert change_label(bins_of(QueryChanges(rows, 1, 0, 0, {}, {}))[-1]) == "+5 to +8"


@pytest.mark.parametrize("wrong", [None, 7, "nothing", ["all"], {"a": 1}, True, -3, 1.5])
def test_values_that_no_component_sends_fall_back(wrong):
    read = Filter.read(wrong, wrong, wrong, wrong, wrong)
    assert read.text == (wrong if isinstance(wrong, str) else "")
    assert (read.kind, read.order) == (KINDS[0], next(iter(ORDERS)))
    assert read.bar == (7 if wrong == 7 else None)
    assert read.page == (7 if wrong == 7 else 0)


def test_a_long_filter_is_cut():
    assert len(Filter.read("a" * 10_000, "all", "rank before").text) == 300


def test_captions_ids_and_hubs_are_escaped():
    hostile = QueryChange(EVIL, EVIL, EVIL, 3.0, 1.0, 2.0, True, EVIL)
    shown = table_html([hostile], 0, EVIL)
    assert "<img" not in shown
    assert shown.count("&lt;img src=x onerror=alert(1)&gt;") == 3
    assert "query_id=%3Cimg+src%3Dx+onerror%3Dalert%281%29%3E&amp;gallery=%3Cimg" in shown


def test_a_page_holds_fifty_rows_and_says_which():
    rows = [row(f"q{number}", 2.0, 1.0) for number in range(PAGE + 3)]
    first, last = table_html(rows, 0, "g"), table_html(rows, 1, "g")
    assert "1 to 50 of 53 queries" in first and first.count("data-open") == 50
    assert "51 to 53 of 53 queries" in last and last.count("data-open") == 3
    assert "No stored query" in table_html([], 0, "g")


def test_shared_ranks_and_moves_are_written_out():
    shown = table_html([row("q", 2.5, 1.0)], 0, "g")
    assert "2.5 → 1<" in shown and "▲1.5" in shown and ">up 1.5<" in shown


@pytest.mark.parametrize(
    ("change", "told"),
    [(0.0, "unchanged"), (0.04, "unchanged"), (-0.04, "unchanged"), (0.06, "+0.1"), (-2, "−2.0")],
)
def test_a_change_that_rounds_to_nothing_is_none(change, told):
    assert change_text(change) == told


def test_metrics_have_one_decimal_and_the_exact_value_on_hover(changes):
    shown = metrics_html(changes)
    assert "12.3 → 25.0 %" in shown and "+12.7" in shown
    assert 'title="R@1: 12.34 → 25.0"' in shown
    assert "3.5 → 3.0<" in shown and "−0.5" in shown
    assert "50.0 → 50.0 %" in shown and "unchanged" in shown
