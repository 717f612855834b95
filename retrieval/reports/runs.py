"""A report -> files that other tools read: TREC run and qrels, ranks as CSV, scores as .npz."""

import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from retrieval.files import replacing
from retrieval.normalisers import Evidence
from retrieval.reports.report import Report, Row
from retrieval.streaming.rows import Rows, chunks, without_padding
from retrieval.streaming.scoring import scores_of

RUN_DEPTH = 100  # places of each ranking in a run file: enough for R@50


def write_run(path: Path, report: Report, row: Row) -> None:
    """Save one ranking as a TREC run, read by trec_eval and ranx.

    Lines are `query Q0 item rank score normaliser`; queries and items are q and v with their
    row and column in the similarities. Of equal scores trec_eval has an order of its own.
    """
    items = report.items[row.best]
    with replacing(path) as file:
        for query, columns, scores in zip(report.queries, items, row.best_scores, strict=True):
            lines = (
                f"q{query} Q0 v{column} {place} {score:.9g} {row.spec}\n"
                for place, (column, score) in enumerate(
                    zip(columns.tolist(), scores.tolist(), strict=True), 1
                )
            )
            file.write("".join(lines).encode())


def write_qrels(path: Path, report: Report) -> None:
    """Save which items are correct, as trec_eval and ranx read it: `query 0 item 1`."""
    with replacing(path) as file:
        for query, columns in zip(report.queries, _correct_columns(report), strict=True):
            file.write("".join(f"q{query} 0 v{column} 1\n" for column in columns).encode())


def write_ranks(path: Path, report: Report) -> None:
    """Save every query's rank under every normaliser, and its change from raw, as CSV."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    normalised = report.rows[1:]
    table.writerow(
        ["query", "correct"]
        + [f"rank {row.spec}" for row in report.rows]
        + [f"change {row.spec}" for row in normalised]
    )
    numbers = np.stack(
        [row.ranks for row in report.rows] + [report.change(row) for row in normalised], axis=1
    )
    for query, columns, line in zip(
        report.queries, _correct_columns(report), numbers.tolist(), strict=True
    ):
        shown = [int(number) if number == int(number) else number for number in line]
        table.writerow([query, " ".join(map(str, columns)), *shown])
    with replacing(path) as file:
        file.write(text.getvalue().encode())


def write_scores(path: Path, report: Report, rows: Rows, evidence: Evidence) -> None:
    """Save the scores of every normaliser, an array [n_queries, n_items] each, as .npz.

    The arrays `queries` and `items` say which rows and columns of the similarities they are of.
    Scores of a normaliser with a gate are to be compared within a row.

    Args:
        path: the file.
        report: of the similarities and the evidence.
        rows: the similarities, as given for the report.
        evidence: what normalisers were fitted on, likewise.
    """
    rows, evidence = without_padding(rows, evidence, report.items)
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in (("queries", report.queries), ("items", report.items)):
            _write_array(archive, name, array.shape, array.dtype, iter([array]))
        for row in report.rows[1:]:
            shape = report.n_queries, report.n_items
            scores = _scores(row, report, rows, evidence)
            _write_array(archive, row.spec, shape, np.dtype(np.float32), scores)


def _scores(row: Row, report: Report, rows: Rows, evidence: Evidence) -> Iterator[np.ndarray]:
    if row.bias is None:
        yield from (scores for _, scores in scores_of(row.method, rows, evidence, report.queries))
        return
    for _, sims in chunks(rows, report.queries):
        yield row.bias.apply(sims)


def _write_array(
    archive: zipfile.ZipFile,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype,
    parts: Iterator[np.ndarray],
) -> None:
    """Write one .npy into an archive, a slice of rows at a time."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        about = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(file, about)
        for part in parts:
            file.write(np.ascontiguousarray(part, dtype).data)


def _correct_columns(report: Report) -> Iterator[list[int]]:
    for places in report.correct:
        yield report.items[places[places >= 0]].tolist()
