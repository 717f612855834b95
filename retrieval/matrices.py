"""Matrices that a visitor brings -> a report, made in a child process that can be killed.

The parent asks with one line of JSON; the child tells how far it is, a line each, and ends with the
report or with the sentence that refuses. Arrays and the files to take away lie in a folder that the
parent gives it. `examine` is what the child does; nothing heavy is imported before it is called.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.errors import FileError, RetrievalError

if TYPE_CHECKING:
    import numpy as np

    from retrieval.advice.sweeps import Sweep
    from retrieval.formats import Limits
    from retrieval.reports.report import Report

logger = logging.getLogger(__name__)

TIMEOUT_S = 180.0  # for one report; then the child is killed
MEMORY_BYTES = 3 << 30  # address space of the child
OUTPUT_BYTES = 512 << 20  # of one file that it writes
ANSWER_BYTES = 16 << 20  # of what it says
MOST_NORMALISERS = 24
CURVE_CELLS = 10**7  # similarities that one point of a curve ranks, at most
BETAS = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)  # times the scale-free one
BANK_SIZES = (10, 30, 100, 300, 1000, 3000, 10_000, 30_000)  # rows, and all that there are
RUN_LINES = 300_000  # of one TREC run
FILES = {"json": "report.json", "csv": "ranks.csv", "zip": "runs.zip"}
ARRAYS = "arrays.npz"

Say = Callable[[str, int, int], None]  # what is being done, how much of it, of how much


@dataclass(frozen=True)
class Question:
    """What a visitor asks; paths are of files, with the array's name where there are several."""

    sims: str
    bank: str | None = None
    masks: str | None = None
    targets: str | None = None
    normalisers: tuple[str, ...] = ("qbnorm",)  # words for `normalisers.parse_spec`
    beta: float | None = None  # per unit of the similarities; None: scale-free
    k: int = 1  # items of each bank row that count
    direction: str = "t2v"


@dataclass(frozen=True, eq=False)
class MatrixReport:
    """What the page shows of a report; the first row is raw."""

    about: dict[str, Any]  # report.Report.to_dict()
    choice: tuple[str, ...]  # what the bank alone advises: a sentence, and what it rests on
    scale_free: float | None  # beta; None without a bank
    curves: tuple[Sweep, ...]  # of QB-Norm by beta and by the bank's size; none without a bank
    queries: np.ndarray  # [n_queries] row of each in the similarities
    correct: np.ndarray  # [n_queries] column of its first correct item
    ranks: np.ndarray  # [n_rows, n_queries]
    best: np.ndarray  # [n_rows, n_queries] column that each puts first
    counts: np.ndarray  # [n_rows, n_items] k-occurrence at the largest k of the report
    folder: Path  # holds FILES

    @property
    def specs(self) -> list[str]:
        """The words of the rows."""
        return [row["spec"] for row in self.about["rows"]]


# ---- in the child --------------------------------------------------------------------------------


def examine(question: Question, folder: Path, say: Say, limits: Limits | None = None) -> dict:
    """Evaluate matrices and write the files to take away.

    Args:
        question: what is asked.
        folder: where FILES and ARRAYS are written.
        say: told how far it is.
        limits: of the files; None for those of a public page.

    Returns:
        about, choice, scale_free, curves: as in `MatrixReport`, as JSON holds them.

    Raises:
        RetrievalError, ValueError, FileNotFoundError: what is wrong, in a sentence.
    """
    from retrieval.advice.sweeps import sweep
    from retrieval.evaluation import evaluate_matrices
    from retrieval.formats import VISITORS, only_array, open_matrix, whole_numbers
    from retrieval.normalisers import Evidence, get_normaliser
    from retrieval.streaming.rows import WatchedTiles, as_rows, without_padding

    limits = limits or VISITORS
    say("Opening the files", 0, 0)
    sims = open_matrix(question.sims, limits=limits)
    bank = None if question.bank is None else open_matrix(question.bank, "bank_sims", limits)
    mask = None if question.masks is None else only_array(question.masks, limits).read().ravel()
    correct = None if question.targets is None else whole_numbers(question.targets, limits)
    say("Looking at both", 0, 0)
    tiles = None if bank is None else bank.tiles()

    def bank_read(done: int, total: int) -> None:  # some normalisers read it several times
        say("Reading similarities of the bank:", (done - 1) % total + 1, total)

    watched = None if tiles is None else WatchedTiles(tiles, bank_read)
    report = evaluate_matrices(
        sims,
        Evidence(bank_sims=watched),
        correct=correct,
        mask=mask,
        normalisers=question.normalisers if bank is not None else (),
        beta=question.beta,
        k=question.k,
        direction=question.direction,
        name=sims.label,
        bank_name=None if bank is None else bank.label,
        keep_top=max(1, min(100, RUN_LINES // sims.shape[0])),
        progress=lambda *step: say("Ranking queries:", *step),
    )
    say("Writing the files", 0, 0)
    _write(report, folder)
    found = {"about": report.to_dict(), "choice": [], "scale_free": None, "curves": []}
    if bank is not None:
        _, evidence = without_padding(as_rows(sims), Evidence(bank_sims=tiles), report.items)
        say("Asking the bank alone", 0, 0)
        found["choice"] = _chosen(evidence.bank_sims)
        say("Drawing the curves", 0, 0)
        found["scale_free"] = evidence.beta("bank_sims")
        truth = {"correct": correct, "mask": mask, "direction": question.direction}
        for what, beta in _wanted_curves(found["scale_free"], question.beta, bank.shape[0]):
            drawn = sweep(
                *(sims, tiles, what),
                normaliser=get_normaliser("qbnorm", beta=beta, k=min(question.k, sims.shape[1])),
                most=max(200, CURVE_CELLS // sims.shape[1]),
                **truth,
            )
            found["curves"].append(asdict(drawn))
    return found


def _wanted_curves(
    scale_free: float, beta: float | None, n_bank: int
) -> list[tuple[str, float | None]]:
    """What `sweeps.sweep` is asked, and the beta that QB-Norm has there."""
    from retrieval.reports.published_script import BETA

    betas = [*(f"{scale_free * factor:.3g}" for factor in BETAS), str(BETA)]
    sizes = map(str, (*BANK_SIZES, n_bank))
    return [(f"beta={','.join(betas)}", None), (f"bank={','.join(sizes)}", beta)]


def _write(report: Report, folder: Path) -> None:
    """The files to take away, and the arrays that the page shows."""
    import zipfile

    import numpy as np

    from retrieval import files
    from retrieval.reports import runs

    files.write_json(folder / FILES["json"], report.to_dict())
    runs.write_ranks(folder / FILES["csv"], report)
    with zipfile.ZipFile(folder / FILES["zip"], "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        part = folder / "part"
        for n, row in enumerate(report.rows):
            runs.write_run(part, report, row)
            out.write(part, f"{n}-{row.spec.replace(':', '-')}.trec")
        runs.write_qrels(part, report)
        out.write(part, "qrels.txt")
        part.unlink()
    k = max(report.rows[0].counts)
    files.write_npz(
        folder / ARRAYS,
        {
            "queries": report.queries,
            "correct": report.items[report.correct[:, 0]],
            "ranks": np.stack([row.ranks for row in report.rows]),
            "best": np.stack([report.items[row.best[:, 0]] for row in report.rows]),
            "counts": np.stack([row.counts[k] for row in report.rows]),
        },
    )


def _chosen(bank: Any) -> list[str]:
    """The advice of the bank alone and what it rests on, or why it gives none."""
    from retrieval.advice.choosing import choice_lines, choose

    try:
        return choice_lines(choose(bank))
    except (RetrievalError, ValueError) as error:
        return [f"The bank alone gives no advice: {error}."]


def _serve() -> None:
    """Answer the one question on stdin."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_FSIZE, (OUTPUT_BYTES, OUTPUT_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.nice(5)  # searches come first
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what prints must not disturb the answers

    def answer(**message: Any) -> None:
        answers.write(json.dumps(message).encode() + b"\n")

    asked = json.loads(sys.stdin.readline())
    asked["question"]["normalisers"] = tuple(asked["question"]["normalisers"])
    said = [0.0]

    def say(what: str, done: int, total: int) -> None:
        if done == total or time.monotonic() - said[0] > 0.1:
            said[0] = time.monotonic()
            answer(what=what, done=done, total=total)

    try:
        answer(value=examine(Question(**asked["question"]), Path(asked["folder"]), say))
    except (RetrievalError, ValueError) as error:
        answer(error=str(error))
    except MemoryError:
        answer(error=f"these matrices need more than the {MEMORY_BYTES >> 30} GB that one may use")
    except Exception:  # whatever a file brought about must not take the page along
        import traceback

        answer(error="these matrices could not be examined", trace=traceback.format_exc()[-4000:])


# ---- in the parent -------------------------------------------------------------------------------


class Cancelled(FileError):
    """Nobody waits for this examination any more."""


class Examination:
    """A child at work on one question."""

    def __init__(self, question: Question, folder: Path, timeout_s: float = TIMEOUT_S) -> None:
        """Start it.

        Args:
            question: what is asked.
            folder: an empty one for what the child writes.
            timeout_s: seconds until it is given up.
        """
        self.folder, self.timeout_s = folder, timeout_s
        self.cancelled = False
        n_threads = str(min(4, os.cpu_count() or 1))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "retrieval.matrices"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
                "OPENBLAS_NUM_THREADS": n_threads,
                "OMP_NUM_THREADS": n_threads,
            },
            start_new_session=True,
        )
        self._deadline = time.monotonic() + timeout_s
        asked = {"question": asdict(question), "folder": str(folder)}
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(asked).encode() + b"\n")
            self.process.stdin.close()

    def cancel(self) -> None:
        """Give it up."""
        self.cancelled = True
        self.kill()

    def kill(self) -> None:
        """End the child, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def progress(self) -> Iterator[tuple[str, int, int]]:
        """What it is doing, how much of it, of how much; returns the `MatrixReport`.

        Raises:
            FileError: the files are refused, or the child took too long.
            Cancelled: `cancel` was called.
        """
        try:
            for message in self._messages():
                if self.cancelled:
                    break
                if "error" in message:
                    if "trace" in message:
                        logger.error("examining matrices failed:\n%s", message["trace"])
                    raise FileError(message["error"])
                if "value" in message:
                    return self._report(message["value"])
                yield message["what"], message["done"], message["total"]
        finally:
            self.kill()
            self.process.stdout.close()
        raise Cancelled("the examination was cancelled") if self.cancelled else FileError(_CRASHED)

    def _messages(self) -> Iterator[dict[str, Any]]:
        """The child's lines, until it ends."""
        waiting, fd, n_bytes = bytearray(), self.process.stdout.fileno(), 0
        while True:
            left = self._deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                raise FileError(
                    f"the matrices were given up after {self.timeout_s:.0f} s; bring smaller ones "
                    "or choose fewer normalisers"
                )
            part = os.read(fd, 1 << 16)
            n_bytes += len(part)
            if not part or n_bytes > ANSWER_BYTES:
                return
            waiting += part
            while b"\n" in waiting:
                line, _, waiting = waiting.partition(b"\n")
                yield json.loads(line)

    def _report(self, value: dict[str, Any]) -> MatrixReport:
        from retrieval.advice.sweeps import Sweep
        from retrieval.formats import open_arrays

        arrays = {name: each.read() for name, each in open_arrays(self.folder / ARRAYS).items()}
        (self.folder / ARRAYS).unlink()
        value["choice"] = tuple(value["choice"])
        value["curves"] = tuple(map(Sweep.from_dict, value["curves"]))
        return MatrixReport(**value, **arrays, folder=self.folder)


_CRASHED = "the matrices ended the process that read them; a file may be damaged or too large"

if __name__ == "__main__":
    _serve()
