"""python -m retrieval evaluate: metrics and hubness of labelled queries, or of a checkpoint."""

import argparse
from dataclasses import asdict, replace
from typing import Any

from retrieval.commands import (
    BANK_SIZE_HELP,
    add_choose_argument,
    add_normaliser_arguments,
    choose_for,
    chosen_device,
    refuse_given,
)
from retrieval.errors import SettingsError

# Options of one of the two only, and their defaults.
OF_GALLERIES = {"bank": None, "bank_size": None, "direction": "t2v", "choose": False}
OF_CONFIGS = {
    **dict.fromkeys(("resume", "data", "sims")),
    **{"device": "auto", "custom_args": ""},
    **{"eval_from_training_config": False, "no_bank": False},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = (
        "Ways to normalise: text-to-video with a bank of captions, video-to-text with a bank of "
        "videos. Of a config or recipe both are at hand, the captions and the videos of its "
        "training list."
    )
    parser.add_argument(
        "config",
        nargs="?",
        help="official CONFIG.json, whose split is evaluated with the weights of --resume; or an "
        "expert recipe such as animations-ce, with --data its feature tree. Without it a gallery "
        "is evaluated",
    )
    parser.add_argument(
        "--normaliser",
        action="append",
        help="a row of the table; may be given more than once (default: qbnorm, of a gallery all)",
    )
    add_normaliser_arguments(parser, bank_size=False)
    parser.add_argument("--json", metavar="OUT", help="also write the report to this file")
    parser.add_argument(
        "--out",
        default="runs",
        metavar="SAVE_DIR",
        help="the ranking page goes to SAVE_DIR/web/NAME/TIME/index.html, a challenge's "
        "predictions to SAVE_DIR/log/NAME/TIME (default: runs)",
    )
    parser.add_argument("--no-page", action="store_true", help="write no ranking page")
    parser.add_argument(
        "--hide-truth",
        action="store_true",
        help="a ranking page that does not tell which video is correct",
    )
    one = parser.add_argument_group("of a config or recipe")
    one.add_argument("--resume", metavar="CKPT", help="its weights, official or ours")
    one.add_argument(
        "--data",
        help="the data set's folder, instead of the config's data_dir; of a recipe the feature "
        "tree, as `animations --experts` writes it",
    )
    one.add_argument("--device", default="auto", help="cpu, cuda or auto (default)")
    one.add_argument(
        "--eval-from-training-config",
        "--eval_from_training_config",
        action="store_true",
        help="the split of the config's eval_settings, that is the test split",
    )
    one.add_argument(
        "--custom-args",
        "--custom_args",
        default="",
        metavar="KEY@VALUE+...",
        help="single values instead of the config's, by dotted path",
    )
    one.add_argument(
        "--no-bank",
        action="store_true",
        help="leave out the training captions and videos, that is both banks; only raw figures",
    )
    one.add_argument(
        "--sims",
        metavar="OUT",
        help="write the similarities into this folder, for `normalise`: sims.npy and mask.npy; "
        "bank_sims.npy of the training captions; v2t_bank_sims.npy of the training videos, which "
        "goes with --direction v2t --sims 'OUT/sims.npy[T]'",
    )
    one = parser.add_argument_group("of a gallery")
    one.add_argument("--gallery", help="its folder (default: the film library)")
    one.add_argument("--bank", help="querybank folder (default: GALLERY-bank, if there is one)")
    one.add_argument("--bank-size", type=int, help=BANK_SIZE_HELP)
    one.add_argument(
        "--direction",
        choices=("t2v", "v2t"),
        default="t2v",
        help="text-to-video (default) or video-to-text, whose bank is made with bank --side video",
    )
    add_choose_argument(one, "adds its row")


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the tables, then write what is asked for."""
    from pathlib import Path

    from retrieval.files import write_json
    from retrieval.official.configs import is_config
    from retrieval.reports.tables import brief_lines

    of_config, args.out = args.config is not None, Path(args.out)
    if not of_config:
        refuse_given(args, OF_CONFIGS, "configs and recipes")
        found, also, page = _gallery(args)
    else:
        if args.gallery is not None:
            raise SettingsError("give either a config or recipe, or --gallery")
        refuse_given(args, OF_GALLERIES, "galleries")
        if args.resume is None:
            raise SettingsError("--resume is missing; give the checkpoint of the config's network")
        args.resume = Path(args.resume)
        args.sims, args.data = (None if p is None else Path(p) for p in (args.sims, args.data))
        found, also, page = (_config if is_config(args.config) else _recipe)(args)
        if found is None:  # the challenge's server computes the figures
            return 0
    print("\n\n".join("\n".join(brief_lines(report)) for report in found.reports.values()))
    if args.json is not None:
        told = {name: report.to_dict() for name, report in found.reports.items()}
        write_json(args.json, {**(told if of_config else told[args.direction]), **also})
    if page is not None:
        path = found.write_page(replace(page, hide_truth=page.hide_truth or args.hide_truth))
        if path is not None:
            print(f"\nRanking page: {path}")
    return 0


def _gallery(args: argparse.Namespace) -> tuple[Any, dict[str, Any], Any]:
    """Report and page of a gallery's labelled queries."""
    from pathlib import Path

    from retrieval.advice.choosing import choice_lines
    from retrieval.answers import Settings
    from retrieval.engine import bank_beside
    from retrieval.evaluation import evaluate
    from retrieval.gallery import FILM_LIBRARY, open_gallery
    from retrieval.normalisers import SEARCHABLE, parse_spec
    from retrieval.querybank import open_querybank
    from retrieval.reports.gallery_page import write_gallery_page
    from retrieval.reports.ranking_page import Evaluated, PageSettings, page_folder

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
    if bank is None:
        side = "text" if args.direction == "t2v" else "video"
        print(
            f"No querybank, so all is raw; make one with `python -m retrieval bank --side {side}` "
            "and give it with --bank",
            end="\n\n",
        )
    found = Evaluated(
        {args.direction: report}, lambda page: write_gallery_page(page, report, gallery)
    )
    name = Path(path).resolve().name
    wanted = args.direction == "t2v" and not args.no_page  # it shows what captions find
    return found, also, PageSettings(page_folder(args.out, name), name) if wanted else None


def _config(args: argparse.Namespace) -> tuple[Any, dict[str, Any], Any]:
    """Reports and page of an official config; in challenge mode none, but a prediction file."""
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
        return None, {}, None
    page = None
    if not args.no_page:
        page = PageSettings.from_official(config, page_folder(args.out, name), name, args.data)
    with_bank = not args.no_bank
    found = runs.evaluate(config, args.resume, with_bank=with_bank, normalisers=specs, **how)
    return found, {}, page


def _recipe(args: argparse.Namespace) -> tuple[Any, dict[str, Any], Any]:
    """Reports and page of a run of ours."""
    from retrieval.experiments import evaluate
    from retrieval.reports.ranking_page import PageSettings, page_folder
    from retrieval.training.expert_recipes import get_expert_recipe
    from retrieval.training.feature_library import FeatureLibrary, given_tree

    get_expert_recipe(args.config)
    tree = given_tree(args.data)
    if args.custom_args or args.eval_from_training_config:
        raise SettingsError(
            "a recipe is tested on its test clips as it is; leave --custom-args and "
            "--eval-from-training-config out"
        )
    page = None
    if not args.no_page:
        page = PageSettings.of_films(page_folder(args.out, args.config), args.config)
    found = evaluate(
        args.config,
        args.resume,
        FeatureLibrary(tree, chosen_device(args.device)),
        with_bank=not args.no_bank,
        normalisers=_specs(args),
        out=args.sims,
    )
    return found, {}, page


def _specs(args: argparse.Namespace) -> list[Any]:
    """The normalisers that are asked for; the options give knobs that a word leaves open."""
    from retrieval.normalisers import parse_spec

    names = args.normaliser or ["qbnorm"]
    return [parse_spec(name, beta=args.beta, k=args.k) for name in names]
