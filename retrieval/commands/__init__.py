"""Commands of `python -m retrieval`: each module has add_arguments(parser) and run(args)."""

import argparse

# For one's own videos: open_clip fetches it, or finds it where it was fetched before.
DEFAULT_MODEL = "ViT-B-32/laion2b_s34b_b79k"
MODEL_HELP = (
    f"encoder: animations-clip (comes with the project), an open_clip NAME/TAG (default: "
    f"{DEFAULT_MODEL}), NAME/path/to/checkpoint, or a model folder"
)


def add_normaliser_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that say how the querybank is used."""
    parser.add_argument(
        "--beta",
        type=float,
        help="inverse temperature per unit of similarity, above 0; QB-Norm's paper uses 20 "
        "(default: scale-free, 1 / std of the bank's similarities)",
    )
    parser.add_argument(
        "--k", type=int, default=1, help="items of each bank caption that count (default: 1)"
    )
    parser.add_argument(
        "--bank-size", type=int, help="use the first N captions of the bank (default: all)"
    )
