"""Commands of `python -m retrieval`: each module has add_arguments(parser) and run(args)."""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from retrieval.encoders import ENCODERS
from retrieval.errors import SettingsError

if TYPE_CHECKING:
    from retrieval.advice.choosing import Choice
    from retrieval.gallery import Gallery
    from retrieval.querybank import Querybank

# For one's own videos: open_clip fetches it, or finds it where it was fetched before.
DEFAULT_MODEL = "ViT-B-32/laion2b_s34b_b79k"
MODEL_HELP = (
    f"encoder: one that comes with the project ({', '.join(ENCODERS)}), an open_clip NAME/TAG "
    f"(default: {DEFAULT_MODEL}), NAME/path/to/checkpoint, or a model folder"
)

BANK_SIZE_HELP = "use the first N captions of the bank (default: all)"


def add_normaliser_arguments(parser: argparse.ArgumentParser, bank_size: bool = True) -> None:
    """Options that say how the querybank is used; `bank_size`: whether its size is one of them."""
    parser.add_argument(
        "--beta",
        type=float,
        help="inverse temperature per unit of similarity, above 0; QB-Norm's paper uses 20 "
        "(default: scale-free, 1 / std of the bank's similarities)",
    )
    parser.add_argument(
        "--k", type=int, default=1, help="items of each bank caption that count (default: 1)"
    )
    if bank_size:
        parser.add_argument("--bank-size", type=int, help=BANK_SIZE_HELP)


def refuse_given(args: argparse.Namespace, options: Mapping[str, Any], kind: str) -> None:
    """Refuse options that would change nothing.

    Args:
        args: as parsed.
        options: name -> default.
        kind: what they are for.
    """
    for name, default in options.items():
        if getattr(args, name) != default:
            raise SettingsError(f"--{name.replace('_', '-')} is for {kind}; leave it out")


def add_choose_argument(parser: argparse._ActionsContainer, then: str) -> None:
    """The option to choose the normaliser by the bank alone; `then`: what becomes of it."""
    parser.add_argument(
        "--choose",
        action="store_true",
        help="choose the normaliser without labels, by halves of the bank, and say whether to use "
        f"one at all; {then}",
    )


def choose_for(
    gallery: "Gallery", bank: "Querybank | None", bank_size: int | None, direction: str = "t2v"
) -> "Choice":
    """A choice by the bank alone."""
    from retrieval.advice.choosing import choose

    if bank is None:
        raise SettingsError("--choose needs a querybank; make one with `python -m retrieval bank`")
    bank.check_fits(gallery)
    items = gallery.video_emb if direction == "t2v" else gallery.queries.text_emb
    return choose(gallery.space.tiles(bank.text_emb[: bank_size or len(bank)], items))


def chosen_device(name: str) -> str:
    """A device by its name; "auto" is the GPU where there is one, a number that GPU.

    Raises:
        SettingsError: there is no such device here.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    name = f"cuda:{name}" if name.isdigit() else name
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise SettingsError(f"there is no device {name!r} here; give --device cpu") from error
    return name
