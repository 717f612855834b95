"""All tables of the expert family on the film library: every recipe, every seed, in one go.

    python -m retrieval animations --experts cache/experts
    python benchmarks/ce_tables.py --data cache/experts --out runs/experts --jobs 14

Processes share one GPU, or the cores where there is none; each run is kept when it is whole, so the
same command goes on where it broke off. Writes OUT/results.json with mean and standard deviation of
every figure over seeds, OUT/tables.md, which is printed too: tables shaped as in the papers, with
the command of each row, and OUT/measured.csv: the same as rows of the package's result tables.
"""

import argparse
import csv
import io
import multiprocessing
import os
import sys
import time
import traceback
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from retrieval.datasets.trees import medium_of
from retrieval.experiments import RESULT, figures_over_seeds, run
from retrieval.files import read_json, replacing, write_json
from retrieval.training.expert_recipes import (
    EXPERT_RECIPES,
    TABLES,
    TEACHER_SEED,
    get_expert_recipe,
    in_order,
    waits_for,
)
from retrieval.training.feature_library import FeatureLibrary

COLUMNS = ("R@1", "R@5", "R@10", "R@50", "MdR", "MnR", "Geom")
TASKS = {
    "t2v": "text to video",
    "t2v qbnorm": "text to video, QB-Norm",
    "v2t": "video to text",
    "v2t qbnorm": "video to text, QB-Norm",
}
HEADING = "Networks on expert features, the film library"  # of docs/results.md

_library: FeatureLibrary  # of a worker


def main() -> None:
    """Run what is missing, collect, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="feature tree of the film library")
    parser.add_argument("--out", type=Path, default=Path("runs/experts"), help="folder of all runs")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once (default: 2)")
    parser.add_argument("--device", default="auto", help="cuda, cpu or auto (default)")
    parser.add_argument("--seeds", default="0,1,2", help="comma separated (default: 0,1,2)")
    parser.add_argument("--recipes", help="comma separated (default: all)")
    parser.add_argument("--epochs", type=int, help="instead of the recipes', for a trial")
    parser.add_argument("--minutes", type=float, help="start no run after this much time")
    args = parser.parse_args()
    import torch

    if args.device == "auto":
        args.device = "cuda" if torch.cuda.is_available() else "cpu"
    names = args.recipes.split(",") if args.recipes else in_order()
    seeds = [int(seed) for seed in args.seeds.split(",")]
    began = time.monotonic()
    wanted = [(name, seed) for seed in seeds for name in names]
    wanted += [(t, TEACHER_SEED) for name in names for t in waits_for(name)]
    order = {name: place for place, name in enumerate(in_order())}
    jobs = sorted(set(wanted), key=lambda job: (job[1], order[job[0]]))
    done = {job for job in jobs if _result(args.out, *job).is_file()}
    print(
        f"{len(jobs)} runs, {len(done)} of them made before; {args.jobs} processes, {args.device}"
    )
    context = multiprocessing.get_context("spawn")
    _read(args.data, context, min(args.jobs, 9))
    print(f"features are read: {time.monotonic() - began:.0f} s", flush=True)
    threads = max(1, (os.cpu_count() or 1) // args.jobs)
    with ProcessPoolExecutor(args.jobs, context, _start, (args.data, args.device, threads)) as pool:
        failed = _work(pool, [job for job in jobs if job not in done], done, args, began)
    results = collect(args.out, names, seeds, args.data)
    results |= {"jobs": args.jobs, "wall_s": time.monotonic() - began, "failed": failed}
    write_json(args.out / "results.json", results)
    text = tables(results)
    with replacing(args.out / "tables.md") as file:
        file.write(text.encode())
    with replacing(args.out / "measured.csv") as file:
        file.write(measured_rows(results).encode())
    print(text)
    print(f"{time.monotonic() - began:.0f} s in all, {len(failed)} runs failed")
    sys.exit(1 if failed else 0)


def _work(pool: ProcessPoolExecutor, jobs: list, done: set, args, began: float) -> list[str]:
    """Run all jobs, those of students once their teachers are through; gives those that failed."""
    open_jobs, running, failed = list(jobs), {}, []
    bad: set = set()
    n_done, n_all = 0, len(jobs)
    while open_jobs or running:
        over = args.minutes is not None and time.monotonic() - began > 60 * args.minutes
        for job in list(open_jobs):
            needs = {(teacher, TEACHER_SEED) for teacher in waits_for(job[0])}
            if over or needs & bad:
                open_jobs.remove(job)
                failed.append(f"{job[0]} {job[1]}: " + ("no time" if over else "teacher failed"))
                bad.add(job)
            # No more than the processes can hold, so that a limit of time stops the rest.
            elif needs <= done and len(running) < args.jobs:
                open_jobs.remove(job)
                try:
                    running[pool.submit(_run, *job, args.out, args.epochs)] = job
                except BrokenExecutor as error:  # a process was killed; what is whole is kept
                    failed.append(f"{job[0]} {job[1]}: {error}")
        if not running:
            continue
        finished: set[Future]
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            job = running.pop(future)
            n_done += 1
            try:
                line = future.result()
                done.add(job)
            except Exception as error:  # the others go on
                line = f"{job[0]}, seed {job[1]}: FAILED, {error}"
                traceback.print_exception(error)
                failed.append(f"{job[0]} {job[1]}: {error}")
                bad.add(job)
            print(f"{n_done}/{n_all} {time.monotonic() - began:5.0f} s  {line}", flush=True)
    return failed


# ---- in the workers ------------------------------------------------------------------------------


def _start(data: Path, device: str, threads: int) -> None:
    global _library
    import torch

    torch.set_num_threads(threads)
    _library = FeatureLibrary(data, device)


def _run(name: str, seed: int, out: Path, epochs: int | None) -> str:
    found = run(name, seed, _library, out, epochs=epochs, save_every=0, keep_sims=False)
    raw, normalised = (found["t2v"]["metrics"][spec] for spec in ("none", "qbnorm"))
    return (
        f"{name}, seed {seed}: R@1 {raw['R@1']:.1f} -> {normalised['R@1']:.1f}, Geom "
        f"{raw['Geom']:.1f}, epoch {found['epoch']}, trained in {found['trained_s']:.1f} s, all "
        f"{found['all_s']:.1f} s"
    )


def _read(data: Path, context, jobs: int) -> None:
    """Make plain arrays of all features, each in a process of its own."""
    whole = get_expert_recipe("animations-ce")
    texts = sorted({recipe.text for recipe in EXPERT_RECIPES.values()})
    parts = [("text", text) for text in texts] + [("expert", name) for name in whole.experts]
    with ProcessPoolExecutor(jobs, context) as pool:
        list(pool.map(_read_one, [data] * len(parts), parts))


def _read_one(data: Path, part: tuple[str, str]) -> None:
    FeatureLibrary(data).read_one(get_expert_recipe("animations-ce"), *part)


# ---- what was found ------------------------------------------------------------------------------


def _result(out: Path, name: str, seed: int) -> Path:
    return out / name / f"seed-{seed}" / RESULT


def collect(out: Path, names: list[str], seeds: list[int], data: Path) -> dict:
    """Mean and standard deviation over the seeds that are there, for every recipe."""
    recipes, devices = {}, set()
    for name in names:
        files = [_result(out, name, seed) for seed in seeds]
        found = [read_json(file) for file in files if file.is_file()]
        if not found:
            continue
        devices |= {each["device"] for each in found}
        first = found[0]
        recipes[name] = {
            "command": f"python -m retrieval train {name} --data {data} --seeds "
            + ",".join(str(each["seed"]) for each in found),
            "seeds": [each["seed"] for each in found],
            "epochs": [each["epoch"] for each in found],
            "n_parameters": first["n_parameters"],
            "n_train": first["n_train"],
            "n_test": first["t2v"]["n_items"],
            "n_queries": first["t2v"]["n_queries"],
            "n_bank": first["t2v"]["n_bank"],
            "captions_left": [each["captions_left"] for each in found],
            "trained_s": [each["trained_s"] for each in found],
            "k_skewness": {
                spec: [_skewness(each["t2v"]["hubness"][spec]) for each in found]
                for spec in ("none", "qbnorm")
            },
            "outcomes": [each["t2v"]["rows"][1]["outcome"] for each in found],
            **figures_over_seeds(found),
        }
    return {"recipes": recipes, "devices": sorted(devices)}


def _medium(name: str) -> str:
    """What a recipe's network searches, "video" or "audio"."""
    return medium_of(get_expert_recipe(name).experts)


def _skewness(measured: dict) -> float:
    """Of the largest k, which is 10 in a gallery of that size."""
    return measured[max(measured, key=int)]["k_skewness"]


def tables(results: dict) -> str:
    """The tables as Markdown."""
    lines = []
    for title, rows in TABLES.items():
        there = {label: name for label, name in rows.items() if name in results["recipes"]}
        if not there:
            continue
        lines += [f"### {title}", ""]
        lines += ["| model | ranking | " + " | ".join(COLUMNS) + " | parameters | command |"]
        lines += ["|---|---|" + "--:|" * (len(COLUMNS) + 1) + "---|"]
        for label, name in there.items():
            row = results["recipes"][name]
            ends = [f"{row['n_parameters']:,}", f"`train {name}`"]
            for task, told in TASKS.items():
                cells = [_cell(row[task][column]) for column in COLUMNS]
                told = told.replace("video", _medium(name))
                lines.append("| " + " | ".join([label, told, *cells, *ends]) + " |")
                ends = ["", ""]
        lines += [
            "",
            _sizes({label: results["recipes"][name] for label, name in there.items()}),
            "",
        ]
    return "\n".join(lines)


def _sizes(rows: dict[str, dict]) -> str:
    """How much is tested and how large the bank is; of each row where they differ."""
    labels: dict[str, list[str]] = {}
    for label, row in rows.items():
        told = (
            f"{row['n_test']:,} test clips, {row['n_queries']:,} captions, "
            f"querybank of {row['n_bank']:,}"
        )
        labels.setdefault(told, []).append(label)
    if len(labels) == 1:
        return f"{next(iter(labels))}."
    rows_of = (f"row{'s' * (len(of) > 1)} {', '.join(of)}" for of in labels.values())
    return "; ".join(f"{told} ({of})" for told, of in zip(labels, rows_of, strict=True)) + "."


def measured_rows(results: dict) -> str:
    """The tables as rows of retrieval/results/measured.csv."""
    deviations = [f"{column}_std" for column in COLUMNS]
    named = ("table", "method", "normaliser", "dataset", "split", "task")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*named, *COLUMNS, *deviations, "params", "command"])
    for title, rows in TABLES.items():
        for label, name in rows.items():
            row = results["recipes"].get(name)
            for task in TASKS if row else ():
                direction, _, spec = task.partition(" ")
                direction = direction.replace("v", _medium(name)[0])
                pairs = [row[task][column] for column in COLUMNS]
                writer.writerow(
                    [f"{HEADING}: {title}", label, "QB-Norm" if spec else "", "film library"]
                    + [f"test, {row['n_test']:,} clips", direction]
                    + [f"{pair[i]:.1f}" for i in (0, 1) for pair in pairs]
                    + [f"{row['n_parameters']:,}", row["command"]]
                )
    return out.getvalue()


def _cell(pair: tuple[float, float]) -> str:
    return f"{pair[0]:.1f} ({pair[1]:.1f})"


if __name__ == "__main__":
    main()
