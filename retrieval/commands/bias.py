"""python -m retrieval bias: one float per item, for the search engine that is already in use."""

import argparse
import logging
from pathlib import Path
from typing import Any

from retrieval.commands import add_choose_argument, add_normaliser_arguments, choose_for
from retrieval.errors import SettingsError

logger = logging.getLogger(__name__)

SUFFIXES = (".parquet", ".csv", ".json", ".npz", ".npy")
N_CHECKED = 16  # bank captions that a written index is asked


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--gallery", help="gallery folder (default: the film library)")
    parser.add_argument("--bank", help="querybank folder (default: GALLERY-bank, if there is one)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--normaliser",
        default="qbnorm",
        metavar="SPEC",
        help="what to fit, one number per video: qbnorm (default), csls, "
        "nnn:alpha=0.5:neighbours=8, ...",
    )
    add_choose_argument(which, "none gives a bias of zeros")
    add_normaliser_arguments(parser)
    parser.add_argument(
        "--gallery-bank",
        metavar="DIR",
        help="querybank of other videos (bank --side video), for dualis and dbsn",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help=f"file to write, by its suffix: {', '.join(SUFFIXES)}; docs/deploy.md says what is in "
        "it and how a search engine uses it",
    )
    parser.add_argument(
        "--faiss",
        type=Path,
        metavar="FILE",
        help="also, or instead, write the gallery's vectors with the bias folded in as a faiss "
        "inner-product index",
    )


def run(args: argparse.Namespace) -> int:
    """Fit, and write what was asked for."""
    from retrieval.engine import bank_beside
    from retrieval.gallery import FILM_LIBRARY, open_gallery
    from retrieval.querybank import open_querybank
    from retrieval.serving import fit_for_serving, write_bias

    if args.out is None and args.faiss is None:
        raise SettingsError("say where it goes: --out bias.parquet, or --faiss FILE for an index")
    if args.out is not None and args.out.suffix not in SUFFIXES:
        raise SettingsError(
            f"--out {args.out.name} ends in {args.out.suffix or 'nothing'!r}; the suffix chooses "
            f"the format: {', '.join(SUFFIXES)}"
        )
    path = args.gallery or FILM_LIBRARY
    gallery = open_gallery(path)
    bank_path = args.bank or bank_beside(path)
    if bank_path is None:
        raise SettingsError(
            f"a bias is fitted on a querybank, and there is no {gallery.name}-bank beside the "
            "gallery; give one with --bank, made by `python -m retrieval bank`"
        )
    if args.faiss is not None and not gallery.space.dot_product:
        raise SettingsError(
            f"--faiss needs an inner product, and gallery {gallery.name} compares by the experts "
            f"of {gallery.encoder.name}; write --out and subtract the bias from its similarities"
        )
    bank = open_querybank(bank_path)
    if args.choose:
        from retrieval.advice.choosing import choice_lines

        choice = choose_for(gallery, bank, args.bank_size)
        args.normaliser, args.beta, args.k = choice.spec, None, 1
        print("\n".join(choice_lines(choice)))
    served = fit_for_serving(
        gallery,
        bank,
        args.normaliser,
        args.beta,
        args.k,
        args.bank_size,
        None if args.gallery_bank is None else open_querybank(args.gallery_bank),
        args.command_line,
    )
    if args.out is not None:
        write_bias(args.out, served)
        logger.info("%s: %s", args.out, _gist(served))
    if args.faiss is not None:
        from retrieval.index import Index

        index = Index(gallery.video_emb, served.bias)
        index.save(args.faiss)
        # Bank captions are queries too: a wrong index would show here, not in production.
        asked = bank.text_emb[:N_CHECKED]
        error = index.largest_error(asked, min(10, index.n_gallery))
        logger.info(
            "%s: %s vectors of %d coordinates, the last one -%g times the bias; "
            "on %d bank captions both rankings' scores are within %.0e of the definition",
            args.faiss,
            f"{index.n_gallery:,}",
            index.dim + 1,
            index.folding.c,
            len(asked),
            error,
        )
    return 0


def _gist(served: Any) -> str:
    bias = served.bias
    gate = "" if bias.active is None else f", {int(bias.active.sum()):,} of them active"
    return (
        f"{len(served.ids):,} items{gate}; bias from {bias.centred.min():.4f} to "
        f"{bias.centred.max():.4f} in the unit of the similarities"
    )
