"""python -m retrieval challenge: prediction files of the Video Pentathlon, checked and zipped."""

import argparse
from pathlib import Path

from retrieval.errors import SettingsError

ACTIONS = ("check", "pack", "score")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "action",
        choices=ACTIONS,
        help="check: look at every row; pack: check, and zip for a phase; score: R@1, R@5 and "
        "R@10, where the config's captions tell what is correct",
    )
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        help="DATASET-PHASE-predictions.csv as `evaluate` writes it in challenge mode, or for pack "
        "a .json with {data set: {phase: path}}",
    )
    parser.add_argument(
        "--phase", default="public_server_test", help="for pack (default: public_server_test)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("data/cvpr2020-challenge-submissions"),
        help="for pack: folder of PHASE-HASH-TIME.zip (default: %(default)s)",
    )
    parser.add_argument(
        "--no-validate", action="store_true", help="for pack: look at names alone, not at rows"
    )
    parser.add_argument(
        "--refresh", action="store_true", help="for pack: again, though the same files were packed"
    )
    parser.add_argument("--config", help="for score: the official CONFIG.json that was evaluated")
    parser.add_argument("--data", type=Path, help="for score: the data set's folder")


def run(args: argparse.Namespace) -> int:
    """Check, pack or score, a line for each file."""
    from retrieval.official import challenge

    if args.action == "pack":
        path, is_new = challenge.pack(
            args.files, args.phase, args.out, not args.no_validate, args.refresh
        )
        print(f"{path}{'' if is_new else ' (packed before; --refresh makes it again)'}")
        return 0
    if args.action == "score":
        return _score(args)
    for path in args.files:
        expected = challenge.expected_of(path)
        challenge.read_predictions(path, expected.n_videos, expected.n_rows)
        print(f"{path}: {expected.n_rows:,} queries, ten of {expected.n_videos:,} videos each")
    return 0


def _score(args: argparse.Namespace) -> int:
    """Compare a file with what its config's captions belong to."""
    from retrieval.official import challenge
    from retrieval.official.configs import load_config
    from retrieval.official.runs import owners_of

    if args.config is None:
        raise SettingsError("--config is missing; give the config that the file was made with")
    correct, n_videos = owners_of(load_config(args.config), args.data)
    for path in args.files:
        found = challenge.recalls(challenge.read_predictions(path, n_videos), correct)
        figures = ", ".join(f"{name} {value:.1f}" for name, value in found.items())
        print(f"{path}: {len(correct):,} queries, {n_videos:,} videos; {figures}")
    return 0
