"""python -m retrieval texts: captions of a data set -> text features, by any text encoder."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.commands import chosen_device
from retrieval.errors import FileError, SettingsError

if TYPE_CHECKING:
    from retrieval.encoders.tokens import TokenEncoder

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "encoder",
        nargs="?",
        help="text encoder: NAME=SOURCE, where SOURCE is a folder, a file of word vectors or a "
        "name on the hub, for example gpt2-xl=FOLDER or w2v=VECTORS.bin; NAME alone where it can "
        "be fetched, see --list; or a folder that an encoder was saved to",
    )
    parser.add_argument(
        "--captions",
        type=Path,
        metavar="FILE",
        help="raw-captions.pkl of the data set: video -> captions, each a list of words",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the file to make, for example aggregated_text_feats/NAME.pkl; a run that broke off "
        "goes on where it stopped",
    )
    parser.add_argument("--limit", type=int, help="the first N videos only")
    parser.add_argument(
        "--half", action="store_true", help="write float16, half the size (default: float32)"
    )
    parser.add_argument(
        "--replace", action="store_true", help="make a file again that is there already"
    )
    parser.add_argument(
        "--check",
        type=Path,
        metavar="FILE",
        help="write nothing; compare with features that were made of these captions elsewhere",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default)")
    parser.add_argument("--list", action="store_true", help="only list the encoders by name")


def run(args: argparse.Namespace) -> int:
    """Write or check text features."""
    if args.list:
        return _list()
    for name, value in (("an encoder", args.encoder), ("--captions FILE", args.captions)):
        if value is None:
            raise SettingsError(f"give {name}; `python -m retrieval texts --list` shows encoders")
    if (args.out is None) == (args.check is None):
        raise SettingsError("give either --out FILE or --check FILE")
    if args.limit is not None and args.limit < 1:
        raise SettingsError(f"--limit must be 1 or more videos, got {args.limit}")
    if args.out is not None and args.out.exists() and not args.replace:
        raise SettingsError(f"{args.out.name} is there already; give --replace to make it again")
    from retrieval.encoders.texts import get_tokens
    from retrieval.texts import read_captions

    captions = read_captions(args.captions, args.limit)
    encoder = get_tokens(args.encoder, chosen_device(args.device))
    return _check(args, encoder, captions) if args.out is None else _write(args, encoder, captions)


def _write(
    args: argparse.Namespace, encoder: "TokenEncoder", captions: dict[str, list[str]]
) -> int:
    from tqdm import tqdm

    from retrieval.texts import recipe_of, write_texts

    recipe = recipe_of(args.encoder, args.captions, len(captions), args.half)
    total = sum(map(len, captions.values()))
    with tqdm(total=total, desc=f"text {encoder.name}", unit="caption", disable=None) as bar:
        written = write_texts(
            encoder,
            captions,
            args.out,
            recipe=recipe,
            command=args.command_line,
            half=args.half,
            done=bar.update,
        )
    logger.info(
        "%s: %s videos, %s captions, %.1f tokens of %s numbers each",
        args.out,
        f"{written.n_videos:,}",
        f"{written.n_captions:,}",
        written.n_tokens / written.n_captions,
        f"{encoder.dim:,}",
    )
    if written.n_empty:
        logger.info("%s captions have no known word; they are a zero", f"{written.n_empty:,}")
    return 0


def _check(
    args: argparse.Namespace, encoder: "TokenEncoder", captions: dict[str, list[str]]
) -> int:
    from retrieval.texts import AGREE, compare_texts

    n, worst = compare_texts(encoder, captions, args.check)
    said = f"{n:,} captions; the largest difference is {worst:.1e}"
    if not worst < AGREE:
        raise FileError(f"{args.check.name} differs in {said}; it was made by other weights")
    print(f"{args.check.name} agrees in {said}")
    return 0


def _list() -> int:
    from retrieval.encoders.texts import TEXT_ENCODERS
    from retrieval.models.config import TEXT_DIMS

    for name, about in TEXT_ENCODERS.items():
        dim = TEXT_DIMS.get(about.feature or name, "")
        source = about.hub or f"{name}={about.give}"
        print(f"{name:20} {dim:>5}  {source}")
    return 0
