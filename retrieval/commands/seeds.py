"""Names of files with {seed} in them -> the seeds that are asked for, or that are there."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from retrieval.errors import SettingsError

SEED = "{seed}"


def seeds_of(args: argparse.Namespace, paths: Sequence[str]) -> list[str] | None:
    """The seeds asked for; a pattern among them becomes --sims.

    Args:
        args: with `seeds` and `sims`.
        paths: options that name files.
    """
    listed = [seed for each in args.seeds or () if SEED not in each for seed in each.split(",")]
    patterns = [each for each in args.seeds or () if SEED in each]
    if len(patterns) > 1 or (patterns and args.sims is not None):
        raise SettingsError("give one pattern of S, as --sims or with --seeds")
    if patterns:
        args.sims = patterns[0]
    with_seed = [name for name in paths if SEED in (getattr(args, name) or "")]
    if args.seeds is None:
        if with_seed:
            raise SettingsError(f"say which seeds to put in for {SEED}, for example --seeds 0,1,2")
        return None
    if "sims" not in with_seed:
        raise SettingsError(f"--seeds needs {SEED} in the name of S, for example 'S-{SEED}.npy'")
    return listed or _seeds_there(args.sims)


def _seeds_there(pattern: str) -> list[str]:
    """Seeds of which there is a file, numbers in their order."""
    path = Path(pattern)
    if SEED in str(path.parent):
        raise SettingsError(f"{SEED} stands in a folder's name; list the seeds, --seeds 0,1,2")
    known = re.compile(re.escape(path.name).replace(re.escape(SEED), r"([^/]+?)", 1))
    names = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    seeds = [found[1] for name in names if (found := known.fullmatch(name))]
    if not seeds:
        raise SettingsError(f"there is no file {pattern} for any seed; check the pattern")
    return sorted(seeds, key=lambda seed: (len(seed), seed) if seed.isdecimal() else (10**9, seed))
