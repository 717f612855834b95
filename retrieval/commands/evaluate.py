"""python -m retrieval evaluate: metrics and hubness of labelled queries, or of a checkpoint."""

import argparse
from dataclasses import asdict, replace
from typing import Any

from retrieval.commands import (
    add_choose_argument,
    add_normaliser_arguments,
    choose_for,
    chosen_device,
)
from retrieval.errors import SettingsError

COLUMNS = ("R@1", "R@5", "R@10", "R@50", "MdR", "MnR", "Geom")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "config",
        nargs="?",
        help="official CONFIG.json, whose split is evaluated with the weights of --resume; or an "
        "expert recipe such as animations-ce, with --data its feature tree",
    )
    parser.add_argument("--resume", metavar="CKPT", help="weights for the config: official or ours")
    parser.add_argument("--data", help="with a config: the data set's folder, not its data_dir")
    parser.add_argument("--device", default="auto", help="with a config: cpu, cuda or auto")
    parser.add_argument(
        "--eval-from-training-config",
        "--eval_from_training_config",
        action="store_true",
        help="with a config: the split of its eval_settings, that is the test split",
    )
    parser.add_argument(
        "--custom-args",
        "--custom_args",
        default="",
        metavar="KEY@VALUE+...",
        help="with a config: other values",
    )
    parser.add_argument(
        "--no-bank",
        action="store_true",
        help="with a config: leave out its training captions, the querybank; only raw figures",
    )
    parser.add_argument(
        "--sims",
        metavar="OUT",
        help="with a config: write the similarities of the split's and of the training captions to "
        "the split's videos into this folder, for `normalise`",
    )
    parser.add_argument(
        "--out",
        default="runs",
        metavar="SAVE_DIR",
        help="with a config: the ranking page goes to SAVE_DIR/web/EXPERIMENT/TIME/index.html, a "
        "challenge's predictions to SAVE_DIR/log/EXPERIMENT/TIME (default: runs)",
    )
    parser.add_argument(
        "--no-page", action="store_true", help="with a config: write no ranking page"
    )
    parser.add_argument(
        "--hide-truth",
        action="store_true",
        help="with a config: a page that does not tell which video is correct",
    )
    parser.add_argument("--gallery", help="gallery folder (default: the film library)")
    parser.add_argument("--bank", help="querybank folder (default: GALLERY-bank, if there is one)")
    parser.add_argument(
        "--normaliser",
        action="append",
        help="a row of the table; may be given more than once (default: all)",
    )
    add_normaliser_arguments(parser)
    parser.add_argument(
        "--direction",
        choices=("t2v", "v2t"),
        default="t2v",
        help="text-to-video (default) or video-to-text, whose bank is made with bank --side video",
    )
    add_choose_argument(parser, "adds its row")
    parser.add_argument("--json", metavar="OUT", help="also write the report to this file")


def run(args: argparse.Namespace) -> int:
    """Evaluate and print the table."""
    from retrieval.advice.choosing import choice_lines
    from retrieval.answers import Settings
    from retrieval.engine import bank_beside
    from retrieval.evaluation import evaluate
    from retrieval.files import write_json
    from retrieval.gallery import FILM_LIBRARY, open_gallery
    from retrieval.normalisers import SEARCHABLE, parse_spec
    from retrieval.querybank import open_querybank

    if args.config is not None:
        return _of_config(args)
    path = args.gallery or FILM_LIBRARY
    gallery = open_gallery(path)
    # The bank beside a gallery holds captions, of no use for ranking captions.
    bank_path = args.bank or (bank_beside(path) if args.direction == "t2v" else None)
    bank = None if bank_path is None else open_querybank(bank_path)
    settings = Settings(beta=args.beta, k=args.k, bank_size=args.bank_size)
    names = tuple(args.normaliser or SEARCHABLE)
    also = {}
    if args.choose:
        choice = choose_for(gallery, bank, args.bank_size, args.direction)
        names, also = (parse_spec(choice.proposed), *names), {"choice": asdict(choice)}
        print("\n".join(choice_lines(choice)), end="\n\n")
    report = evaluate(gallery, bank, names, settings, args.direction)
    if args.json is not None:
        write_json(args.json, {**report.to_dict(), **also})
    print("\n".join(_lines(report)))
    return 0


def _of_config(args: argparse.Namespace) -> int:
    """Evaluate a checkpoint on the split of an official config, or on a recipe's test clips."""
    from pathlib import Path

    from retrieval.files import write_json
    from retrieval.training.expert_recipes import EXPERT_RECIPES

    if args.resume is None:
        raise SettingsError("--resume is missing; give the checkpoint of the config's network")
    args.resume, args.out = Path(args.resume), Path(args.out)
    args.sims, args.data = (None if p is None else Path(p) for p in (args.sims, args.data))
    reports, page = (_recipe if args.config in EXPERT_RECIPES else _config)(args)
    if reports is None:
        return 0
    if args.json is not None:
        write_json(args.json, {name: report.to_dict() for name, report in reports.items()})
    print("\n\n".join("\n".join(_lines(report)) for report in reports.values()))
    if page is not None and page.every != 0:
        print(f"Ranking page: {page.folder / 'index.html'}")
    return 0


def _config(args: argparse.Namespace) -> tuple[Any, Any]:
    """Reports and page of an official config; in challenge mode neither, but a prediction file."""
    from pathlib import Path

    from retrieval.official import runs
    from retrieval.official.configs import load_config, merged
    from retrieval.reports.ranking_page import PageSettings, log_folder, page_folder

    config = load_config(args.config, args.custom_args)
    if args.eval_from_training_config:
        if not config.get("eval_settings"):
            raise SettingsError("the config has no eval_settings; leave the option out")
        config = merged(config, config["eval_settings"])
    name = runs.experiment_name(Path(args.config), args.custom_args, config)
    how = {"data": args.data, "device": chosen_device(args.device), "out": args.sims}
    specs = _specs(args)
    if config.get("challenge_mode"):
        folder = log_folder(args.out, name)
        order = specs[0] if args.normaliser else "none"
        path = runs.predict(config, args.resume, folder, normaliser=order, **how)
        print(f"Saved similarity matrix predictions to {path}")  # drivers look for these words
        return None, None
    page = None
    if not args.no_page:
        page = PageSettings.from_official(config, page_folder(args.out, name), name, args.data)
        page = replace(page, hide_truth=page.hide_truth or args.hide_truth)
    reports = runs.evaluate(
        config, args.resume, with_bank=not args.no_bank, normalisers=specs, page=page, **how
    )
    return reports, page


def _recipe(args: argparse.Namespace) -> tuple[Any, Any]:
    """Reports and page of a run of ours."""
    from retrieval.experiments import Library, evaluate
    from retrieval.reports.ranking_page import PageSettings, page_folder

    if args.data is None:
        raise SettingsError("--data is missing; give the feature tree that the run was trained on")
    if args.custom_args or args.eval_from_training_config:
        raise SettingsError(
            "a recipe is tested on its test clips as it is; leave --custom-args and "
            "--eval-from-training-config out"
        )
    page = None
    if not args.no_page:
        page = PageSettings.of_films(page_folder(args.out, args.config), args.config)
        page = replace(page, hide_truth=args.hide_truth)
    reports = evaluate(
        args.config,
        args.resume,
        Library(args.data, chosen_device(args.device)),
        with_bank=not args.no_bank,
        normalisers=_specs(args),
        out=args.sims,
        page=page,
    )
    return reports, page


def _specs(args: argparse.Namespace) -> list[Any]:
    """The normalisers that are asked for; the options give knobs that a word leaves open."""
    from retrieval.normalisers import parse_spec

    names = args.normaliser or ["qbnorm"]
    return [parse_spec(name, beta=args.beta, k=args.k) for name in names]


def _lines(report: Any) -> list[str]:
    """The report as a table."""
    from retrieval.evaluation import DIRECTIONS

    bank = f"; {report.badge}: {report.bank}, {report.n_bank:,} rows" if report.bank else ""
    lines = [
        f"{report.gallery}, {DIRECTIONS[report.direction]}: {report.n_queries:,} queries, "
        f"{report.n_items:,} items{bank}",
        f"{'':34}" + "".join(f"{name:>7}" for name in COLUMNS) + "   skew@10 largest  never",
    ]
    for row in report.rows:
        k = max(row.hubness)
        counted = row.hubness[k]
        name = row.title if row.beta is None else f"{row.title}, beta {row.beta:.4g}"
        lines.append(
            f"{name:34}"
            + "".join(f"{row.metrics[column]:7.1f}" for column in COLUMNS)
            + f"   {counted.k_skewness:7.2f} {counted.largest_hub:7.0f} "
            + f"{100 * counted.antihub_share:5.1f}%"
            + (
                f"   {row.helped} helped, {row.hurt} hurt, {row.unchanged} unchanged"
                if row.normaliser != "none"
                else ""
            )
        )
    return [*lines, report.verdict, *(finding.sentence for finding in report.findings)]
