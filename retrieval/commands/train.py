"""python -m retrieval train: make an encoder, or a network on expert features, from its recipe."""

import argparse
from pathlib import Path
from typing import Any

from retrieval.commands import chosen_device
from retrieval.errors import SettingsError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "recipe",
        help="what to train: animations-clip; on expert features animations-ce, animations-moee, "
        "... (a wrong name lists all); or an official CONFIG.json",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="the run's folder; a broken-off run goes on from it (default: runs/RECIPE; of expert "
        "recipes runs/experts, in which RECIPE/seed-SEED is made)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="expert recipes: the feature tree, as `animations --experts` writes it; of a config "
        "the data set's folder, instead of its data_dir",
    )
    parser.add_argument(
        "--seeds", help="expert recipes: one run each, comma separated (default: 0)"
    )
    parser.add_argument(
        "--device", default="auto", help="expert recipes: cpu, cuda or auto (default)"
    )
    parser.add_argument(
        "--custom-args",
        "--custom_args",
        default="",
        metavar="KEY@VALUE+...",
        help="configs: single values instead of the config's, by dotted path",
    )
    parser.add_argument(
        "--unweighted-teachers",
        action="store_true",
        help="configs: the captions' vectors in the teachers' files are without the teachers' "
        "weights of the experts; every expert then weighs the same",
    )
    parser.add_argument(
        "--resume",
        type=Path,
        metavar="CKPT",
        help="configs: a checkpoint, official or ours, to go on from: its weights, epoch and "
        "optimiser",
    )
    parser.add_argument(
        "--sims",
        action=argparse.BooleanOptionalAction,
        help="expert recipes: write the similarities of test and training captions to the test "
        "clips, for `normalise` (default: they are written)",
    )
    parser.add_argument(
        "--page",
        action=argparse.BooleanOptionalAction,
        help="expert recipes: write the ranking page of the evaluation, SAVE_DIR/web/EXPERIMENT/"
        "seed-SEED/TIME/index.html with SAVE_DIR = --out or runs (default: it is written, unless "
        "the config's vis_vid_freq is 0)",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path("cache/animations"),
        help="folder of the drawn frames (default: cache/animations)",
    )
    parser.add_argument(
        "--export",
        type=Path,
        help="folder of the finished encoder (default: precomputed/models/RECIPE)",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=int, help="length of the schedule in epochs")
    length.add_argument("--minutes", type=float, help="fit the schedule to this much time")
    parser.add_argument("--seed", type=int, help="of the weights and the order (default: 0)")
    parser.add_argument("--workers", type=int, help="processes that draw (default: every core)")
    parser.add_argument("--limit", type=int, help="the first N clips of each split only, a trial")


def run(args: argparse.Namespace) -> int:
    """Train, and print a line for each epoch."""
    for name in ("epochs", "minutes", "workers", "limit"):
        value = getattr(args, name)
        if value is not None and not value > 0:
            raise SettingsError(f"--{name} must be above 0, got {value}")
    from retrieval.training.expert_recipes import EXPERT_RECIPES
    from retrieval.training.recipes import RECIPES, train

    if args.resume is not None and not args.recipe.endswith(".json"):
        raise SettingsError("--resume is for configs; other runs go on by themselves in --out")
    if args.recipe in EXPERT_RECIPES or args.recipe.endswith(".json"):
        return _train_experts(args)
    if args.recipe not in RECIPES:
        known = ", ".join([*RECIPES, *EXPERT_RECIPES])
        raise SettingsError(f"unknown recipe {args.recipe!r}; available: {known}")
    out = args.out or Path("runs") / args.recipe
    export = args.export or Path("precomputed/models") / args.recipe
    options = {
        name: getattr(args, name) for name in ("epochs", "minutes", "seed", "workers", "limit")
    }
    best = train(
        args.recipe,
        out,
        args.cache,
        export,
        args.command_line,
        **options,
        report=lambda line: print(line, flush=True),
    )
    print(
        f"{export}: best epoch {best['epoch']:.0f}, validation R@1 {best['R@1']:.1f}, "
        f"R@10 {best['R@10']:.1f}"
    )
    return 0


def _train_experts(args: argparse.Namespace) -> int:
    """Train a network on expert features once for every seed, and print mean (std)."""
    from retrieval.experiments import over_seeds
    from retrieval.training.memory import keep_freed_memory

    for name in ("minutes", "workers", "limit", "seed", "export"):
        if getattr(args, name) is not None:
            raise SettingsError(f"--{name} is not for networks on expert features; see --help")
    try:
        seeds = [int(seed) for seed in (args.seeds or "0").split(",")]
    except ValueError as error:
        raise SettingsError(f"--seeds takes whole numbers like 0,1,2, got {args.seeds}") from error
    args.sims, args.page = args.sims is not False, args.page is not False
    device = chosen_device(args.device)
    if device == "cpu":
        keep_freed_memory()
    of_config = args.recipe.endswith(".json")
    found = (_of_config if of_config else _of_recipe)(args, seeds, device)
    if "predictions" in found[0]:  # the lines that the challenge's own drivers look for
        for seed, each in zip(seeds, found, strict=True):
            print(f"Saved similarity matrix predictions to {each['predictions']}")
            best = _out(args) / f"seed-{seed}" / "trained_model.pth"
            print(f"The best performing ckpt can be found at {best}")
        return 0
    first = found[0]["t2v"]
    print(
        f"{args.recipe}, {len(seeds)} seed{'s' * (len(seeds) > 1)}, "
        f"{found[0]['n_parameters']:,} parameters: {first['n_items']:,} test clips, "
        f"{first['n_queries']:,} captions, querybank of {first['n_bank']:,} training captions"
    )
    columns = ("R@1", "R@5", "R@10", "R@50", "MdR", "MnR", "Geom")
    print(f"{'':14}" + "".join(f"{column:>13}" for column in columns))
    for task, row in over_seeds(found).items():
        cells = (f"{row[column][0]:.1f} ({row[column][1]:.1f})" for column in columns)
        print(f"{task:14}" + "".join(f"{cell:>13}" for cell in cells))
    return 0


def _of_recipe(args: argparse.Namespace, seeds: list[int], device: str) -> list[dict[str, Any]]:
    from retrieval.experiments import Library, run
    from retrieval.reports.ranking_page import PageSettings, page_folder

    if args.data is None:
        raise SettingsError(
            "--data is missing; write the feature tree with `python -m retrieval animations "
            "--experts OUT` and give --data OUT"
        )
    library = Library(args.data, device)
    out = args.out or Path("runs/experts")

    def page(seed: int) -> PageSettings | None:
        name = f"{args.recipe}/seed-{seed}"
        folder = page_folder(args.out or Path("runs"), name)
        return PageSettings.of_films(folder, name) if args.page else None

    return [
        run(
            args.recipe,
            seed,
            library,
            out,
            epochs=args.epochs,
            keep_sims=args.sims,
            page=page(seed),
            report=lambda line: print(line, flush=True),
        )
        for seed in seeds
    ]


def _of_config(args: argparse.Namespace, seeds: list[int], device: str) -> list[dict[str, Any]]:
    from retrieval.official import runs
    from retrieval.official.configs import load_config
    from retrieval.reports.ranking_page import PageSettings, page_folder

    config = load_config(args.recipe, args.custom_args)
    name, out = _experiment(args), _out(args)

    def page(seed: int) -> PageSettings | None:
        run = f"{name}/seed-{seed}"
        folder = page_folder(args.out or Path("runs"), run)
        return PageSettings.from_official(config, folder, run, args.data) if args.page else None

    return [
        runs.train(
            config,
            seed,
            out / f"seed-{seed}",
            data=args.data,
            device=device,
            cache=out / "cache",
            epochs=args.epochs,
            weighted_teachers=not args.unweighted_teachers,
            resume=args.resume,
            keep_sims=args.sims,
            page=page(seed),
            report=lambda line, seed=seed: print(f"{name}, seed {seed}, {line}", flush=True),
        )
        for seed in seeds
    ]


def _experiment(args: argparse.Namespace) -> str:
    """Name of a config's runs."""
    from retrieval.official.configs import load_config
    from retrieval.official.runs import experiment_name

    config = load_config(args.recipe, args.custom_args)
    return experiment_name(Path(args.recipe), args.custom_args, config)


def _out(args: argparse.Namespace) -> Path:
    """Folder of a config's runs."""
    return args.out or Path("runs") / _experiment(args)
