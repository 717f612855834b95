"""python -m retrieval teachers: a trained network -> the file that students learn from."""

import argparse
from pathlib import Path

from retrieval.commands import chosen_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("run", type=Path, help="folder of a finished run, or a checkpoint (.pth)")
    parser.add_argument(
        "--config",
        metavar="CONFIG.json",
        help="what an official checkpoint was trained with; ours know it",
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="the data set's folder, instead of the config's data_dir; of a recipe the feature "
        "tree, as `animations --experts` writes it",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE.pkl",
        help="in the official layout, for `distil_params` of a config: a file in base_path below "
        "the feature root",
    )
    parser.add_argument(
        "--unweighted",
        action="store_true",
        help="captions' vectors without the teacher's weights of the experts; students read such "
        "files with train --unweighted-teachers",
    )
    parser.add_argument(
        "--half", action="store_true", help="numbers in half precision, half as large a file"
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default)")


def run(args: argparse.Namespace) -> int:
    """Embed every training video and caption, and write the file."""
    from retrieval.teaching import check_pickle, open_teacher
    from retrieval.training.teachers import teacher_vectors, write_teacher

    check_pickle(args.out)
    device = chosen_device(args.device)
    teacher = open_teacher(args.run, args.config, args.data, device)
    vectors = teacher_vectors(teacher.model, teacher.clips, not args.unweighted, args.half)
    write_teacher(args.out, vectors)
    names = teacher.model.config.names
    weights = "without weights" if args.unweighted else "times the teacher's weights"
    print(
        f"{args.out}: {len(vectors):,} videos, {teacher.clips.first[-1]:,} captions {weights}, "
        f"experts {', '.join(names)}"
    )
    return 0
