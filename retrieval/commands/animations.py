"""python -m retrieval animations: draw the film library, or write its captions or features."""

from __future__ import annotations

import argparse
from pathlib import Path

from retrieval.errors import SettingsError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--split",
        choices=("train", "val", "test", "all"),
        help="which clips (default: test; with --experts: all)",
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
        "--experts",
        type=Path,
        metavar="OUT",
        help="write no film; write features of experts and captions, laid out as the official "
        "feature trees are; a run that broke off goes on from what is there",
    )
    parser.add_argument(
        "--no-texts",
        action="store_true",
        help="with --experts: leave out the text features, about 1.5 GB for all splits; the same "
        "command without it adds them",
    )
    parser.add_argument(
        "--n-captions", type=int, default=5000, help="captions in that sample (default: 5000)"
    )
    parser.add_argument("--limit", type=int, help="take the first N clips of a split only")
    parser.add_argument("--scene", help="draw one scene family only, by name")
    parser.add_argument("--workers", type=int, help="processes (default: one for each core)")


def run(args: argparse.Namespace) -> int:
    """Draw the clips and write their captions, or a sample of the captions, or features."""
    from retrieval.datasets.animations import SCENES, split
    from retrieval.datasets.animations.library import sample_captions, write_annotations
    from retrieval.datasets.animations.render import render
    from retrieval.files import replacing

    if sum(path is not None for path in (args.out, args.captions, args.experts)) != 1:
        raise SettingsError(
            "give one of --out FOLDER for clips, --captions FILE for captions, --experts OUT for "
            "features"
        )
    if args.limit is not None and args.limit < 1:
        raise SettingsError(f"--limit must be 1 or more clips, got {args.limit}")
    if args.experts is not None:
        return _write_experts(args)
    args.split = args.split or "test"
    if args.split == "all":
        raise SettingsError("--split all goes with --experts; give train, val or test")
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
    clips = clips[: args.limit]
    n_drawn = render(clips, args.out, args.workers)
    write_annotations(args.out, args.split, clips)
    print(f"{len(clips)} clips of the {args.split} split in {args.out} ({n_drawn} drawn now)")
    return 0


def _write_experts(args: argparse.Namespace) -> int:
    from retrieval.datasets.animations import SPLITS
    from retrieval.experts.library import write_experts

    if args.scene is not None:
        raise SettingsError("--scene goes with --out; features are written for whole splits")
    names = tuple(SPLITS) if args.split in (None, "all") else (args.split,)
    manifest = write_experts(
        args.experts, names, limit=args.limit, workers=args.workers, texts=not args.no_texts
    )
    n_clips = ", ".join(f"{n} {name}" for name, n in manifest["splits"].items())
    print(f"features of {n_clips} clips in {args.experts}; missing:")
    for name, expert in manifest["experts"].items():
        print(f"  {name:16s} {100 * expert['missing']:5.1f} %")
    return 0
