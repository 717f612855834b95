"""python -m retrieval train: make an encoder from its recipe."""

import argparse
from pathlib import Path

from retrieval.errors import SettingsError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("recipe", help="what to train: animations-clip")
    parser.add_argument(
        "--out",
        type=Path,
        help="the run's folder; a broken-off run goes on from it (default: runs/RECIPE)",
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
    from retrieval.training.recipes import get_recipe, train

    get_recipe(args.recipe)
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
