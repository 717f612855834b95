"""python -m retrieval masks: teachers -> which training captions a student may learn from."""

import argparse
from pathlib import Path

from retrieval.commands import chosen_device
from retrieval.errors import SettingsError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "A caption stays where the median over teachers of its own video's rank among the training "
        "videos is N or better."
    )
    parser.add_argument(
        "runs",
        nargs="*",
        type=Path,
        metavar="RUN",
        help="teachers: folders of finished runs, or checkpoints (.pth)",
    )
    parser.add_argument(
        "--sims",
        nargs="+",
        default=[],
        metavar="FILE",
        help="teachers' similarities instead, training captions (video by video) x training "
        "videos; --config says of what",
    )
    parser.add_argument(
        "--config",
        action="append",
        metavar="CONFIG.json",
        help="what official checkpoints were trained with, given once for all or once for each, or "
        "what --sims are of (there also the name of a recipe); our own checkpoints know it",
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="the data set's folder, not the config's data_dir; of a recipe the feature tree",
    )
    parser.add_argument(
        "--less", type=int, required=True, metavar="N", help="worst rank with which a caption stays"
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE.pkl",
        help="in the official layout, for `caption_masks` of a config, a path below the feature "
        "root",
    )
    parser.add_argument(
        "--training-file",
        type=Path,
        metavar="FILE.txt",
        help="let videos lose all their captions, and write the list of the others here, for "
        "`training_file` of a config; without it each video keeps its best caption",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default)")


def run(args: argparse.Namespace) -> int:
    """Rank every training caption's own video, and write masks."""
    import numpy as np

    from retrieval.files import replacing
    from retrieval.teaching import (
        check_pickle,
        open_teacher,
        ranks_in_file,
        ranks_of,
        same_captions,
        training_captions,
    )
    from retrieval.training.distilling import mask_of_ranks, write_masks

    check_pickle(args.out)
    if args.less < 1:
        raise SettingsError(f"--less is a rank, 1 or more, got {args.less}")
    if bool(args.runs) == bool(args.sims):
        raise SettingsError("give teachers as RUN, or their similarities with --sims")
    configs = args.config or [None]
    if len(configs) not in (1, len(args.runs)):
        raise SettingsError(
            f"give --config once, or once for each RUN; got {len(configs)} for {len(args.runs)}"
        )
    device = chosen_device(args.device)
    ranks, captions = [], []
    for path, config in zip(args.runs, configs * (len(args.runs) // len(configs)), strict=True):
        teacher = open_teacher(path, config, args.data, device)
        captions.append((teacher.clips.videos, teacher.clips.first))
        same_captions(captions)
        ranks.append(ranks_of(teacher))
    if args.sims:
        if args.config is None:
            raise SettingsError("--config is missing; it says what --sims are of")
        captions.append(training_captions(configs[0], args.data))
        ranks = [ranks_in_file(path, captions[0][1]) for path in args.sims]
    videos, first = captions[0]
    if first[-1] == len(videos):
        raise SettingsError(
            "the training videos have one caption each, so there is none to leave out; give a data "
            "set whose captions are not fused"
        )
    mask = mask_of_ranks(ranks, first, args.less, keep_best=args.training_file is None)
    left = np.add.reduceat(mask, first[:-1])
    if not left.any():
        raise SettingsError(f"no caption has rank {args.less} or better; give a larger --less")
    write_masks(args.out, mask, videos, first)
    print(f"{args.out}: {int((~mask).sum()):,} of {len(mask):,} captions left out")
    if args.training_file is not None:
        args.training_file.parent.mkdir(parents=True, exist_ok=True)
        kept = [video for video, n in zip(videos, left, strict=True) if n]
        with replacing(args.training_file) as file:
            file.write("".join(f"{video}\n" for video in kept).encode())
        print(f"{args.training_file}: {len(kept):,} of {len(videos):,} videos keep a caption")
    return 0
