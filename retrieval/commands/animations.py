"""python -m retrieval animations: draw a split of the film library."""

from __future__ import annotations

import argparse
from pathlib import Path

from retrieval.errors import SettingsError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--split",
        choices=("train", "val", "test"),
        default="test",
        help="which clips (default: test)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="folder for clips/, posters/ and the captions; clips that are there are kept",
    )
    parser.add_argument(
        "--captions",
        type=Path,
        metavar="FILE",
        help="draw nothing; write a sample of the split's captions, one a line, for a querybank",
    )
    parser.add_argument(
        "--n-captions", type=int, default=5000, help="captions in that sample (default: 5000)"
    )
    parser.add_argument("--limit", type=int, help="draw the first N clips only")
    parser.add_argument("--scene", help="draw one scene family only, by name")
    parser.add_argument("--workers", type=int, help="processes (default: one for each core)")


def run(args: argparse.Namespace) -> int:
    """Draw the clips and write their captions, or write a sample of the captions."""
    from retrieval.datasets.animations import SCENES, split
    from retrieval.datasets.animations.library import sample_captions, write_annotations
    from retrieval.datasets.animations.render import render
    from retrieval.files import replacing

    if (args.out is None) == (args.captions is None):
        raise SettingsError("give either --out FOLDER for clips or --captions FILE for captions")
    if args.captions is not None:
        sample = sample_captions(args.split, args.n_captions)
        with replacing(args.captions) as file:
            file.write("".join(f"{text}\n" for text in sample).encode())
        print(f"{len(sample)} captions of the {args.split} split in {args.captions}")
        return 0
    clips = split(args.split)
    if args.scene is not None:
        if args.scene not in SCENES:
            raise SettingsError(
                f"unknown scene {args.scene!r}; available: {', '.join(sorted(SCENES))}"
            )
        clips = [clip for clip in clips if clip.scene_name == args.scene]
    if args.limit is not None:
        if args.limit < 1:
            raise SettingsError(f"--limit must be 1 or more clips, got {args.limit}")
        clips = clips[: args.limit]
    n_drawn = render(clips, args.out, args.workers)
    write_annotations(args.out, args.split, clips)
    print(f"{len(clips)} clips of the {args.split} split in {args.out} ({n_drawn} drawn now)")
    return 0
