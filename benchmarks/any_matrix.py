"""How much faster than the published procedure: QB-Norm and metrics of any matrix.

    python benchmarks/any_matrix.py --captions 20 --n-gallery 2990 --n-bank 60000

The baseline (published.py) and ours take turns in the same run, on the same matrices: arrays in
memory, ranks and metrics alone, whole processes on pickles and on .npy files. Printed are wall
and processor time of each, their ratios, the peak memory of the processes, and whether all
numbers agree to the digit that the published script prints. On pickles the command is called with
that script's flags, which makes it print those four lines too; on .npy with its own. With --brief
it does what the published script does, metrics before and after; without, also the intervals, the
paired test, the hubness and the look at what may be wrong, for which there is no baseline.
"""

import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import published
from benchmarks.common import parser_of
from retrieval.metrics import correct_by_row_order, ranks_of_chunk, summarise, t2v_ranks
from retrieval.normalisers import get_normaliser

SAME = {  # our name of each number that the published script prints
    "R1": "R@1",
    "R5": "R@5",
    "R10": "R@10",
    "R50": "R@50",
    "MedR": "MdR",
    "MeanR": "MnR",
    "geometric_mean_R1-R5-R10": "Geom",
}
Metrics = dict[str, float]


class Spent(NamedTuple):
    """What one run took."""

    wall_s: float
    cpu_s: float
    peak_mib: float  # of a process; NaN for a function


def made_up(rng: np.random.Generator, n: int, popular: np.ndarray, captions: int) -> np.ndarray:
    """[n, n_gallery] float32 cosines with hubs; captions > 0 makes the correct ones stand out."""
    n_gallery = len(popular)
    sims = np.empty((n, n_gallery), dtype=np.float32)
    for start in range(0, n, 1000):
        part = sims[start : start + 1000]
        rng.standard_normal(part.shape, dtype=np.float32, out=part)
        part *= 0.08
        part += popular
        if captions:
            rows = np.arange(len(part))
            part[rows, (start + rows) // captions] += 0.25
        np.clip(part, -1, 1, out=part)
    return sims


def ours(bank_sims: np.ndarray, sims: np.ndarray, mask: np.ndarray) -> tuple[Metrics, Metrics]:
    """Metrics before and after, from arrays in memory."""
    bias = get_normaliser("qbnorm", beta=20.0, k=1).fit(bank_sims)
    kept = mask.ravel().astype(bool)
    ranks = ranks_of_chunk(sims, correct_by_row_order(*sims.shape), [bias])
    return summarise(ranks.raw[kept]), summarise(ranks.normalised[0][kept])


def spent_by_function(work: Callable[[], object]) -> tuple[Spent, object]:
    """Time one call, and give its result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu, float("nan")), result


# Run in a small process of its own: a process counts its parent's memory at its birth as its own.
LAUNCH = """
import json, os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=sys.stdout)
_, status, usage = os.wait4(process.pid, 0)
wall = time.perf_counter() - start
cpu = usage.ru_utime + usage.ru_stime
print(json.dumps([os.waitstatus_to_exitcode(status), wall, cpu, usage.ru_maxrss / 1024]))
"""


def spent_by_process(command: list[str]) -> tuple[Spent, str]:
    """Time one process from start to end, and give its standard output."""
    launched = [sys.executable, "-c", LAUNCH, *command]
    # As for anybody who runs it a second time: compiled modules are kept.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        launched, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True
    )
    *printed, measured = done.stdout.splitlines()
    code, *spent = json.loads(measured)
    if code:
        raise SystemExit(f"{' '.join(command[:4])} ... failed with {code}")
    return Spent(*spent), "\n".join(printed)


def by_turns(
    what: str, repeats: int, baseline: Callable[[], tuple], candidate: Callable[[], tuple]
) -> tuple[object, object]:
    """Run both `repeats` times by turns, print medians and ratios, and give the last results."""
    runs: tuple[list[Spent], list[Spent]] = ([], [])
    for _ in range(repeats):
        for taken, run in zip(runs, (baseline, candidate), strict=True):
            spent, result = run()
            taken.append(spent)
            if taken is runs[0]:
                expected = result
    theirs, ours = (Spent(*map(statistics.median, zip(*taken, strict=True))) for taken in runs)
    print(
        f"{what:26s} {theirs.wall_s:6.2f} s -> {ours.wall_s:5.2f} s, "
        f"{theirs.wall_s / ours.wall_s:4.1f} x  (processor {theirs.cpu_s:.2f} s -> "
        f"{ours.cpu_s:.2f} s, {theirs.cpu_s / ours.cpu_s:.1f} x)",
        end="\n" if np.isnan(ours.peak_mib) else "  ",
    )
    if not np.isnan(ours.peak_mib):
        share = ours.peak_mib / theirs.peak_mib
        print(f"peak {theirs.peak_mib:.0f} MiB -> {ours.peak_mib:.0f} MiB, {share:.2f} x")
    return expected, result


def compare(expected: tuple[Metrics, ...], found: tuple[Metrics, ...]) -> None:
    """Stop where a number differs in the digit that the published script prints."""
    for theirs, mine in zip(expected, found, strict=True):
        for name, value in theirs.items():
            if value != round(mine[SAME[name]], 1):
                raise SystemExit(f"{name} is {value} as published, {mine[SAME[name]]} here")


def printed(text: str) -> tuple[Metrics, Metrics]:
    """The two dicts that the published procedure prints."""
    lines = text.splitlines()
    return tuple(json.loads(lines[i].replace("'", '"')) for i in (1, 3))


def main() -> None:
    parser = parser_of(__doc__, {"--n-gallery": 1_000, "--n-bank": 6_000})
    parser.add_argument("--captions", type=int, default=6, help="test captions of each item")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each; medians count")
    parser.add_argument("--folder", type=Path, help="where to put the files; default: temporary")
    args = parser.parse_args()

    rng = np.random.default_rng(0)
    popular = (0.06 * rng.standard_normal(args.n_gallery)).astype(np.float32)
    sims = made_up(rng, args.captions * args.n_gallery, popular, args.captions)
    bank_sims = made_up(rng, args.n_bank, popular, 0)
    mask = np.ones((args.n_gallery, args.captions))
    mask[rng.choice(args.n_gallery, max(1, args.n_gallery // 1000), replace=False), -1] = 0
    print(
        f"S {sims.shape[0]:,} x {sims.shape[1]:,}, B {bank_sims.shape[0]:,} x "
        f"{bank_sims.shape[1]:,}, float32; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )

    def baseline() -> tuple[Spent, object]:
        copy = sims.copy()  # it is overwritten
        return spent_by_function(lambda: published.before_and_after(bank_sims, copy, mask))

    compare(
        *by_turns(
            "arrays in memory",
            args.repeats,
            baseline,
            lambda: spent_by_function(lambda: ours(bank_sims, sims, mask)),
        )
    )
    expected, found = by_turns(
        "ranks and metrics alone",
        args.repeats,
        lambda: spent_by_function(lambda: published.t2v_metrics(sims, mask)),
        lambda: spent_by_function(lambda: summarise(t2v_ranks(sims, mask=mask))),
    )
    compare((expected,), (found,))

    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        for suffix in ("pkl", "npy"):
            paths = [Path(folder) / f"{name}.{suffix}" for name in "BSM"]
            for path, array in zip(paths, (bank_sims, sims, mask), strict=True):
                with path.open("wb") as file:
                    np.save(file, array) if suffix == "npy" else pickle.dump(array, file)
        bank_sims = sims = None  # the processes need the memory
        published_flags = "--sims_train_test_path", "--sims_test_path", "--test_query_masks_path"
        own_flags = "--bank-sims", "--sims", "--masks"
        kinds = (("pkl", published_flags), ("npy", own_flags))
        for (suffix, flags), brief in product(kinds, (True, False)):
            names = [str(Path(folder) / f"{name}.{suffix}") for name in "BSM"]
            files = [word for pair in zip(published_flags, names, strict=True) for word in pair]
            own = [word for pair in zip(flags, names, strict=True) for word in pair]
            out = Path(folder) / "report.json"
            own += ["--beta", "20", "--json", str(out), *["--brief"] * brief]
            expected, _ = by_turns(
                f"process, .{suffix}, {'same work' if brief else 'whole report'}",
                args.repeats,
                lambda files=files: spent_by_process(
                    [sys.executable, "benchmarks/published.py", *files]
                ),
                lambda own=own: spent_by_process(
                    [sys.executable, "-m", "retrieval", "normalise", *own]
                ),
            )
            metrics = json.loads(out.read_text())["metrics"]
            compare(printed(expected), (metrics["none"], metrics["qbnorm"]))
    print("all numbers agree to the printed digit")


if __name__ == "__main__":
    main()
