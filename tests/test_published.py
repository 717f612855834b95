"""Result tables as data: complete, as printed, and equal to what the documents say."""

import csv
import io
import re
from pathlib import Path

import pytest

from retrieval.published import (
    FOLDER,
    LOWER_IS_BETTER,
    METRICS,
    ORDERS,
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

ROOT = Path(__file__).resolve().parents[1]


def raw_cells(name):
    with open(FOLDER / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def row(method="M", normaliser="", dataset="D", note="", source="qb_norm", **values):
    return Row(
        *(source, "T", method, "", "", normaliser, dataset, "", "t2v"),
        *({name.replace("_", "@"): value for name, value in values.items()}, {}, "", None, note),
    )


def test_every_published_row_is_there_as_printed():
    cells = raw_cells("published.csv")
    assert len(published()) == len(cells) == 383
    for found, printed in zip(published(), cells, strict=True):
        for name in METRICS:
            assert found.values.get(name) == (float(printed[name]) if printed[name] else None)
            deviation = printed[f"{name}_std"]
            assert found.std.get(name) == (float(deviation) if deviation else None)
        assert found.normaliser == {"true": "QB-Norm", "false": "", "": None}[printed["qb_norm"]]
        assert found.source in SOURCES and found.task in TASKS
        assert found.command == ""


def test_recalls_rise_with_k_and_the_median_agrees_with_them():
    for found in (*published(), *measured()):
        recalls = [found.values[name] for name in METRICS[:4] if name in found.values]
        assert recalls == sorted(recalls) and recalls[-1] <= 100
        median = found.values.get("MdR")
        for k in (1, 5, 10, 50):
            recall = found.values.get(f"R@{k}")
            if median is not None and recall is not None and not found.std:
                assert (median <= k) == (recall >= 50) or abs(median - k) <= 0.5


def test_rows_that_contradict_themselves_are_those_whose_note_says_so():
    told = [found for found in published() if found.note.startswith("Geom inconsistent")]
    assert [found for found in published() if found.contradicts_itself] == told
    assert [(found.method, found.values["Geom"]) for found in told] == [
        ("TT-CE+", 43.1),
        ("CLIP2Video", 68.5),
    ]
    assert not any(found.contradicts_itself for found in measured())


def test_gains_of_qb_norm_are_the_known_ones():
    gains = {
        (line.row.method, line.row.dataset): line.gain("R@1")
        for line in lines(published())
        if line.row.source == "qb_norm"
    }
    assert len(gains) == 15 and None not in gains.values()
    assert gains["TT-CE+", "MSVD"] == 3.5
    assert gains["CLIP", "MSCOCO"] == 4.5
    assert gains["CLIP4Clip", "DiDeMo"] == 0.5


def test_lines_hold_every_row_and_pair_like_with_like():
    found = lines((*measured(), *published()))
    held = {id(each) for line in found for each in (line.raw, line.norm) if each}
    assert held == {id(each) for each in (*measured(), *published())}
    for line in found:
        if line.raw and line.norm:
            for name in ("method", "variant", "backbone", "dataset", "split", "task", "table"):
                assert getattr(line.raw, name) == getattr(line.norm, name)
            assert not line.raw.normaliser and line.norm.normaliser


def test_one_raw_row_may_stand_beside_several_and_two_raw_rows_stay_two():
    raw, one, two = row(R_1=10.0), row(normaliser="A", R_1=12.5), row(normaliser="B", R_1=9.0)
    assert lines([raw, one, two]) == (Line(raw, one), Line(raw, two))
    assert lines([two]) == (Line(None, two),)
    other = row(R_1=11.0)
    assert lines([raw, other]) == (Line(raw, None), Line(other, None))
    assert Line(raw, one).gain("R@1") == 2.5 and Line(raw, None).gain("R@1") is None


@pytest.mark.parametrize("text", ["msr-vtt ce+", "MSRVTT CE+", "ce+  msr-vtt"])
def test_every_word_must_occur_and_hyphens_do_not_count(text):
    found = choose(lines(published()), Wanted(text=text))
    assert found and len(found) < 383
    assert all("CE+" in line.row.method and line.row.dataset == "MSRVTT" for line in found)
    assert choose(found, Wanted(text=text + " nowhere")) == []


def test_filters_partition_the_table():
    every = lines((*measured(), *published()))
    n_here = len(choose(every, Wanted(show="measured here")))
    n_published = len(choose(every, Wanted(show="published")))
    assert 0 < n_here < n_published and n_here + n_published == len(every)
    assert sum(len(choose(every, Wanted(task=task))) for task in TASKS) == len(every)
    pairs = choose(every, Wanted(show="raw and normalised"))
    assert pairs == [each for each in every if each.raw and each.norm]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("descending", [False, True])
def test_sorting_orders_the_known_and_leaves_the_unknown_last(order, descending):
    every = lines((*measured(), *published()))
    found = choose(every, Wanted(order=order, descending=descending, metric="MdR"))
    keys = [ORDERS[order](line, "MdR") for line in found]
    told = [key for key in keys if key is not None]
    assert keys[len(told) :] == [None] * (len(keys) - len(told))
    assert told == sorted(told, reverse=descending)
    assert len(found) == len(every)


def test_the_csv_holds_every_row_once():
    rows = list(csv.DictReader(io.StringIO(to_csv(lines((*measured(), *published()))))))
    assert len(rows) == len(measured()) + len(published())
    assert {each["normaliser"] for each in rows} >= {"none", "not stated", "QB-Norm"}
    for name in METRICS:
        printed = [each[name] for each in raw_cells("published.csv") if each[name]]
        theirs = [each[name] for each in rows if each[name] and each["source"] != "measured"]
        assert sorted(map(float, theirs)) == sorted(map(float, printed))
    assert all(each["command"] for each in rows if each["source"] == "measured")


def test_lower_is_better_names_metrics():
    assert set(LOWER_IS_BETTER) < set(METRICS)


# ---- measured rows and docs/results.md -----------------------------------------------------------


def documented():
    """(heading, what is measured, ranking) -> {metric: value}, from the tables of the document."""
    found, heading, part, header = {}, "", "", []
    for line in (ROOT / "docs" / "results.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading, header = line[3:], []
        if line.startswith("### "):
            part = line[4:]
        if not line.startswith("| "):
            header = [] if not line.startswith("|") else header
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not header:
            header = cells
        elif header[0] == "ranking":
            known = {name: text for name, text in zip(header, cells, strict=True)}
            values = {name: float(known[name]) for name in METRICS if name in header}
            passes = "after 2 passes" if "MdR" not in header else "full"
            found[heading, passes, cells[0]] = values
        elif header[0] == "set" and len(header) == 4:
            for ranking, text in zip(header[1:], cells[1:], strict=True):
                recalls = [float(number) for number in re.sub(r"\(.*\)", "", text).split("/")]
                found[heading, cells[0], ranking] = dict(zip(METRICS, recalls, strict=False))
        elif header[0] == "model" and not set(line) <= set("|-:"):
            known = {name: text for name, text in zip(header, cells, strict=True)}
            pairs = {name: re.findall(r"[\d.]+", known[name]) for name in METRICS}
            found[f"{heading}: {part}", known["model"], known["ranking"]] = {
                name: tuple(map(float, pair)) for name, pair in pairs.items()
            }
    return found


def test_measured_rows_and_the_document_are_equal():
    ours = {}
    for each in measured():
        if each.std:
            about, ranking = each.method, TASKS[each.task] + ", QB-Norm" * bool(each.normaliser)
        elif each.table.startswith("The film library"):
            about = "after 2 passes" if "after 2 passes" in each.method else "full"
            ranking = each.normaliser or "raw similarity"
        else:
            about = f"{each.dataset}, {each.method}, {TASKS[each.task]}"
            ranking = each.normaliser or "raw"
        ours[each.table, about, ranking] = {
            name: (value, each.std[name]) if each.std else value
            for name, value in each.values.items()
        }
    known = {heading for heading, _, _ in ours}
    assert ours == {key: values for key, values in documented().items() if key[0] in known}


def test_every_measured_row_has_a_command_that_exists():
    from retrieval.__main__ import COMMANDS

    for each in measured():
        words = each.command.split()
        assert words[0] == "python"
        if words[1:3] == ["-m", "retrieval"]:
            assert words[3] in COMMANDS
        else:
            assert (ROOT / words[1]).is_file()
