"""python -m retrieval bank: captions, or their embeddings -> a querybank."""

import argparse
import logging
from typing import Any

from retrieval.commands import DEFAULT_MODEL, MODEL_HELP
from retrieval.errors import SettingsError

logger = logging.getLogger(__name__)

KEPT_BIASES = (("none", None), ("inverted_softmax", None), ("qbnorm", None), ("qbnorm", 20.0))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "captions_file", nargs="?", metavar="CAPTIONS", help=".txt lines, .jsonl, .json or .csv"
    )
    parser.add_argument("--out", required=True, help="querybank folder to make")
    parser.add_argument("--model", help=MODEL_HELP)
    parser.add_argument(
        "--embeddings",
        metavar="FILE",
        help="embeddings computed elsewhere: .npy, .npz or .safetensors; FILE[1] is one slice",
    )
    parser.add_argument("--captions", metavar="FILE", help="what the rows of --embeddings say")
    parser.add_argument(
        "--gallery",
        help="the gallery it is for: takes its encoder, and keeps fitted biases with it",
    )
    parser.add_argument(
        "--captions-of",
        metavar="BANK",
        help="instead of CAPTIONS: take those of the querybank BANK, which lies beside --out; they "
        "are embedded when needed, so little is stored. With --gallery or --model",
    )
    parser.add_argument("--encoder-id", help="name or SHA-256 of the encoder of --embeddings")
    parser.add_argument("--limit", type=int, help="take a random sample of N captions")
    parser.add_argument(
        "--side",
        choices=("text", "video"),
        default="text",
        help="what --embeddings embed: video is for evaluating video-to-text (default: text)",
    )


def run(args: argparse.Namespace) -> int:
    """Make a querybank, and the biases of its gallery."""
    from retrieval.querybank import embed_querybank, read_captions, write_querybank

    if args.captions_file and args.captions:
        raise SettingsError("give the captions once, as CAPTIONS or as --captions")
    if args.limit is not None and args.limit < 1:
        raise SettingsError(f"--limit must be 1 or more, got {args.limit}")
    captions_file = args.captions_file or args.captions
    if captions_file is None and args.embeddings is None and args.captions_of is None:
        raise SettingsError("give CAPTIONS, a file with one caption a line, or --embeddings FILE")
    gallery = _open_gallery(args.gallery)
    if args.captions_of is not None:
        if captions_file or args.embeddings or args.side == "video":
            raise SettingsError("--captions-of brings all captions; leave other ones out")
        return _shared(args, gallery)
    captions = None if captions_file is None else read_captions(captions_file)
    if args.embeddings is None:
        if args.side == "video":
            raise SettingsError("a bank of videos needs --embeddings")
        spec = args.model or _spec_of(gallery) or DEFAULT_MODEL
        captions = [captions[row] for row in _sample(len(captions), args.limit)]
        from retrieval.encoders import get_encoder

        embed_querybank(args.out, captions, get_encoder(spec), spec, args.command_line)
    else:
        emb, captions = _embeddings(args.embeddings, captions, args.limit)
        encoder = _encoder_id(args, gallery, emb.shape[1])
        write_querybank(args.out, emb, captions, encoder, args.command_line, args.side)
    return _finished(args, gallery, args.side)


def _finished(args: argparse.Namespace, gallery: Any, side: str) -> int:
    from retrieval.querybank import open_querybank

    bank = open_querybank(args.out)
    logger.info("%s: %s captions", args.out, f"{len(bank):,}")
    if gallery is not None and side == "text":
        _keep_biases(gallery, bank)
    return 0


def _shared(args: argparse.Namespace, gallery: Any) -> int:
    """A bank of another bank's captions."""
    from retrieval.encoders import get_encoder
    from retrieval.gallery import EncoderId
    from retrieval.querybank import open_querybank, write_sharing

    spec = args.model or _spec_of(gallery) or DEFAULT_MODEL
    encoder = EncoderId.of(get_encoder(spec), spec)
    other = open_querybank(args.captions_of)
    write_sharing(args.out, other, encoder, args.limit, args.command_line)
    return _finished(args, gallery, "text")


def _open_gallery(path: str | None) -> Any:
    if path is None:
        return None
    from retrieval.gallery import open_gallery

    return open_gallery(path)


def _spec_of(gallery: Any) -> str | None:
    if gallery is None:
        return None
    if gallery.encoder.spec is None:
        raise SettingsError(
            f"gallery {gallery.name} was embedded elsewhere; give --embeddings from that encoder"
        )
    return gallery.encoder.spec


def _sample(n: int, limit: int | None) -> list[int]:
    """Rows of a random sample, in order; all where there is no limit."""
    import numpy as np

    if limit is None or limit >= n:
        return list(range(n))
    return sorted(np.random.default_rng(0).permutation(n)[:limit].tolist())


def _embeddings(spec: str, captions: list[str] | None, limit: int | None) -> tuple[Any, Any]:
    from retrieval.errors import GalleryError
    from retrieval.formats import read_embeddings

    emb = read_embeddings(spec)
    if captions is not None and len(captions) != len(emb):
        raise GalleryError(
            f"there are {len(emb):,} bank embeddings and {len(captions):,} captions; give one a row"
        )
    rows = _sample(len(emb), limit)
    return emb[rows], None if captions is None else [captions[row] for row in rows]


def _encoder_id(args: argparse.Namespace, gallery: Any, dim: int) -> Any:
    from retrieval.gallery import EncoderId

    if args.model is not None:
        from retrieval.encoders import get_encoder

        return EncoderId.of(get_encoder(args.model), args.model)
    if args.encoder_id is None and gallery is not None:
        return gallery.encoder
    return EncoderId.external(dim, args.encoder_id)


def _keep_biases(gallery: Any, bank: Any) -> None:
    """Fit what is asked for first and keep it in the gallery's folder."""
    from retrieval.answers import Settings
    from retrieval.engine import Engine

    engine = Engine(gallery, bank, keep_bias_s=0.0)
    for name, beta in KEPT_BIASES:
        engine.resolved_beta(Settings(right=name, beta=beta))
    logger.info("%s: %d biases in biases/", gallery.path, len(KEPT_BIASES))
