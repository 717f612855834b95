"""The papers' result tables, and the rows measured here, as data: two CSV files -> typed rows.

    results/published.csv   one row per (table, method, direction), values as printed
    results/measured.csv    rows of docs/results.md, each with the command that gives it

A row says whether it is normalised; `lines` puts a normalised row beside its raw one.
"""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "results"
METRICS = ("R@1", "R@5", "R@10", "R@50", "MdR", "MnR", "Geom")  # percent; MdR, MnR: ranks
LOWER_IS_BETTER = ("MdR", "MnR")
TASKS = {
    "t2v": "text to video",
    "v2t": "video to text",
    "t2i": "text to image",
    "i2t": "image to text",
    "t2a": "text to audio",
    "a2t": "audio to text",
}
HERE = "measured"
SOURCES = {  # key -> name, address
    "qb_norm": ("QB-Norm", "https://github.com/ioanacroi/qb-norm"),
    "collaborative_experts": (
        "Collaborative Experts",
        "https://github.com/albanie/collaborative-experts",
    ),
    "glscl": ("GLSCL", "https://github.com/zchoi/GLSCL"),
    "clip2video": ("CLIP2Video", "https://github.com/CryhanFang/CLIP2Video"),
    HERE: ("measured here", ""),
}
GEOM_TOLERANCE = 0.2  # points; a mean over seeds of geometric means is a little below that of means


@dataclass(frozen=True)
class Row:
    """One row of a result table, values as printed."""

    source: str  # key of SOURCES
    table: str  # its title there
    method: str
    variant: str  # varied setting of an ablation, "name=value"
    backbone: str
    normaliser: str | None  # "" for raw similarities; None where the source does not say
    dataset: str
    split: str  # "" where the source does not say
    task: str  # key of TASKS
    values: dict[str, float]  # metric -> value; those printed only
    std: dict[str, float]  # metric -> deviation over seeds, where printed
    params: str  # parameters, as printed
    flops_g: float | None  # GFLOPs
    note: str
    command: str = ""  # gives the row again; measured rows only

    @property
    def geom_of_recalls(self) -> float | None:
        """Geometric mean of the printed R@1, R@5, R@10; None where one is missing."""
        recalls = [self.values.get(name) for name in ("R@1", "R@5", "R@10")]
        if None in recalls:
            return None
        return (recalls[0] * recalls[1] * recalls[2]) ** (1 / 3)

    @property
    def contradicts_itself(self) -> bool:
        """Whether the printed Geom cannot come from the printed recalls."""
        printed, expected = self.values.get("Geom"), self.geom_of_recalls
        return None not in (printed, expected) and abs(printed - expected) > GEOM_TOLERANCE


@dataclass(frozen=True)
class Line:
    """A raw row, a normalised one, or both of the same model and test."""

    raw: Row | None
    norm: Row | None

    @property
    def row(self) -> Row:
        """The row that names model and test; both do alike."""
        return self.norm or self.raw

    def pair(self, metric: str) -> tuple[float | None, float | None]:
        """Printed values (raw, normalised)."""
        return tuple(row and row.values.get(metric) for row in (self.raw, self.norm))

    def gain(self, metric: str) -> float | None:
        """Normalised less raw, to the printed decimal; None without both."""
        raw, norm = self.pair(metric)
        return None if raw is None or norm is None else round(norm - raw, 2)


@cache
def published() -> tuple[Row, ...]:
    """Every row of the papers' tables, in file order."""
    return tuple(
        _row(
            cells, cells["source"], {"true": "QB-Norm", "false": "", "": None}[cells.pop("qb_norm")]
        )
        for cells in _cells("published.csv")
    )


@cache
def measured() -> tuple[Row, ...]:
    """Every row measured here, in file order."""
    return tuple(_row(cells, HERE, cells["normaliser"]) for cells in _cells("measured.csv"))


def _cells(name: str) -> list[dict[str, str]]:
    with open(FOLDER / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _row(cells: dict[str, str], source: str, normaliser: str | None) -> Row:
    def numbers(suffix: str) -> dict[str, float]:
        found = {name: cells.get(name + suffix) for name in METRICS}
        return {name: float(text) for name, text in found.items() if text}

    named = ("table", "method", "dataset", "split", "task")
    others = ("variant", "backbone", "params", "note", "command")
    return Row(
        source=source,
        normaliser=normaliser,
        values=numbers(""),
        std=numbers("_std"),
        flops_g=float(cells["flops_g"]) if cells.get("flops_g") else None,
        **{name: cells[name] for name in named},
        **{name: cells.get(name, "") for name in others},
    )


def lines(rows: Iterable[Row]) -> tuple[Line, ...]:
    """Put every normalised row beside the raw row of the same model and test; order is kept."""
    tests: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        key = (row.source, row.table, row.method, row.variant, row.backbone)
        tests.setdefault((*key, row.dataset, row.split, row.task), []).append(row)
    found = []
    for alike in tests.values():
        raws = [row for row in alike if not row.normaliser]
        norms = [row for row in alike if row.normaliser]
        found += [Line(raws[0] if raws else None, norm) for norm in norms]
        found += [Line(raw, None) for raw in raws[1 if norms else 0 :]]
    return tuple(found)


SHOWN = {  # which lines a reader wants to see
    "all": lambda line: True,
    "raw and normalised": lambda line: None not in (line.raw, line.norm),
    "measured here": lambda line: line.row.source == HERE,
    "published": lambda line: line.row.source != HERE,
    "contradicts itself": lambda line: any(
        row.contradicts_itself for row in (line.raw, line.norm) if row
    ),
}
ORDERS: dict[str, Callable[[Line, str], str | float | None]] = {  # None comes last either way
    "method": lambda line, metric: line.row.method.casefold(),
    "dataset": lambda line, metric: line.row.dataset.casefold(),
    "raw": lambda line, metric: line.pair(metric)[0],
    "normalised": lambda line, metric: line.pair(metric)[1],
    "gain": lambda line, metric: line.gain(metric),
    "source": lambda line, metric: SOURCES[line.row.source][0].casefold(),
}


@dataclass(frozen=True)
class Wanted:
    """Which lines, and in which order."""

    text: str = ""  # every word must occur; hyphens do not count
    show: str = "all"  # key of SHOWN
    task: str = ""  # key of TASKS; "" for all
    metric: str = METRICS[0]
    order: str = ""  # key of ORDERS; "" keeps file order
    descending: bool = False


def choose(found: Sequence[Line], wanted: Wanted) -> list[Line]:
    """The lines that are wanted, in their order; equal ones stay in file order."""
    words = _searched(wanted.text).split()
    kept = [
        line
        for line in found
        if SHOWN[wanted.show](line)
        and wanted.task in ("", line.row.task)
        and all(word in _text_of(line) for word in words)
    ]
    if not wanted.order:
        return kept
    key = ORDERS[wanted.order]
    told = [line for line in kept if key(line, wanted.metric) is not None]
    told.sort(key=lambda line: key(line, wanted.metric), reverse=wanted.descending)
    return told + [line for line in kept if key(line, wanted.metric) is None]


def _text_of(line: Line) -> str:
    row = line.row
    words = (row.method, row.variant, row.backbone, row.dataset, row.split, row.task, row.table)
    notes = [each.note for each in (line.raw, line.norm) if each]
    more = (row.normaliser or "", TASKS[row.task], SOURCES[row.source][0], row.command, *notes)
    return _searched(" ".join((*words, *more)))


def _searched(text: str) -> str:
    """MSR-VTT is written MSRVTT as often."""
    return text.casefold().replace("-", "")


def to_csv(found: Iterable[Line]) -> str:
    """The rows of lines as a table with the published file's columns and the command."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    deviations = [f"{name}_std" for name in METRICS]
    named = ("table", "method", "variant", "backbone", "normaliser", "dataset", "split", "task")
    writer.writerow(
        ("source", *named, *METRICS, *deviations, "params", "flops_g", "note", "command")
    )
    written: set[int] = set()
    for line in found:
        for row in (line.raw, line.norm):
            if row is None or id(row) in written:  # a raw row may stand beside several
                continue
            written.add(id(row))
            stated = "not stated" if row.normaliser is None else row.normaliser or "none"
            about = {**vars(row), "normaliser": stated}
            numbers = [row.values.get(name, "") for name in METRICS]
            numbers += [row.std.get(name, "") for name in METRICS]
            flops = "" if row.flops_g is None else row.flops_g
            writer.writerow(
                [row.source, *(about[name] for name in named), *numbers]
                + [row.params, flops, row.note, row.command]
            )
    return out.getvalue()
