"""python -m retrieval fetch: official features, similarity matrices and models."""

import argparse
import re
from pathlib import Path
from typing import Any

from retrieval.errors import SettingsError
from retrieval.fetching.archives import (
    ARCHIVES,
    DATASETS,
    WHAT,
    dataset_named,
    experiments,
    experiments_of,
    find_archive,
    find_experiment,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("dataset", nargs="?", help=f"one of {', '.join(DATASETS)}")
    parser.add_argument(
        "--what",
        choices=WHAT,
        help="; ".join(f"{name}: {about}" for name, about in WHAT.items()),
    )
    parser.add_argument(
        "--list", action="store_true", help="print what there is, with sizes and sums, and stop"
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("data"),
        help="folder of all data sets, as configs name it; archives are unpacked to DATA/DATASET, "
        "matrices to DATA/sims, models to DATA/saved (default: data)",
    )
    parser.add_argument(
        "--access-code", help="for LSMDC: what its owners sent after the agreement was signed"
    )
    parser.add_argument("--experiment", metavar="NAME", help="which model, as in --list")
    parser.add_argument("--group", help="which of the experiment's runs, where it has two")
    parser.add_argument("--timestamp", help="with --group: a run that is not in the list")
    parser.add_argument("--seed", type=int, default=0, help="of the run (default: 0)")
    parser.add_argument("--root-url", metavar="URL", help="a mirror of the official root address")
    parser.add_argument(
        "--archive", type=Path, metavar="FILE", help="the archive, downloaded by hand; stays there"
    )
    parser.add_argument(
        "--sha1",
        action="append",
        default=[],
        metavar="HEX",
        help="accept this sum besides the published ones, for an archive that was replaced",
    )
    parser.add_argument(
        "--keep-archive", action="store_true", help="do not delete it once it is unpacked"
    )


def run(args: argparse.Namespace) -> int:
    """Fetch, or list."""
    if args.list:
        print("\n".join(_listed(args.dataset, args.what)))
        return 0
    if args.dataset is None or args.what is None:
        raise SettingsError(
            "say what to fetch, for example `fetch MSRVTT --what experts`; --list shows all"
        )
    from retrieval.fetching.downloads import size_text

    fetched = _model(args) if args.what == "models" else _archive(args)
    size = size_text(sum(fetched.files.values()))
    print(f"{fetched.folder}: {len(fetched.files):,} files, {size}")
    print(fetched.sentence)
    return 0


def _archive(args: argparse.Namespace) -> Any:
    from retrieval.fetching.fetch import fetch_archive

    for name in ("experiment", "group", "timestamp"):
        if getattr(args, name) is not None:
            raise SettingsError(f"--{name} is for --what models")
    accepted = [text.lower() for text in args.sha1]
    if any(not re.fullmatch("[0-9a-f]{40}", text) for text in accepted):
        raise SettingsError("--sha1 must be 40 hexadecimal digits")
    return fetch_archive(
        find_archive(args.dataset, args.what),
        args.data,
        args.access_code,
        _root(args),
        args.archive,
        accepted,
        args.keep_archive,
    )


def _model(args: argparse.Namespace) -> Any:
    from retrieval.fetching.fetch import fetch_model

    dataset = dataset_named(args.dataset)
    if args.experiment is None:
        raise SettingsError(
            f"say which model with --experiment; `fetch {dataset} --what models --list` lists them"
        )
    if args.archive is not None or args.sha1:
        raise SettingsError("--archive and --sha1 are for archives, and a model is two plain files")
    if args.seed < 0:
        raise SettingsError(f"--seed must be 0 or more, got {args.seed}")
    run_of = find_experiment(dataset, args.experiment, args.group, args.timestamp)
    return fetch_model(run_of, args.seed, args.data / "saved", _root(args))


def _root(args: argparse.Namespace) -> str | None:
    return None if args.root_url is None else args.root_url.rstrip("/")


def _listed(dataset: str | None, what: str | None) -> list[str]:
    """The table, or the part of it that was asked for."""
    lines = []
    name = None if dataset is None else dataset_named(dataset)
    for archive in ARCHIVES:
        if name in (None, archive.dataset) and what in (None, archive.what):
            size = "size unknown" if archive.gib is None else f"{archive.gib} GiB"
            code = ", access code needed" if archive.needs_code else ""
            sums = " or ".join(archive.sha1) or "none published"
            lines.append(f"{archive.dataset} --what {archive.what}: {size}{code}")
            lines += [f"    {archive.root}/{path}" for path in archive.paths]
            lines.append(f"    SHA-1 {sums}")
    if what in (None, "models"):
        runs = experiments() if name is None else experiments_of(name)
        if what is None:
            asked = name or "DATASET"
            lines.append(f"{len(runs)} models: `fetch {asked} --what models --list` lists them")
        else:
            lines += [f"--experiment {r.name} --group {r.group}  {r.timestamp}" for r in runs]
    return lines or [f"no {what} were released for {name}"]
