"""python -m retrieval index: videos, their features, or embeddings from elsewhere -> a gallery."""

import argparse
import logging
import shlex
from pathlib import Path
from typing import Any

from retrieval.commands import DEFAULT_MODEL, MODEL_HELP, bank
from retrieval.errors import SettingsError

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("videos", nargs="?", help="folder of videos, searched with its subfolders")
    parser.add_argument("--out", help="gallery folder to make; an older gallery is replaced")
    parser.add_argument("--model", help=MODEL_HELP)
    parser.add_argument(
        "--embeddings",
        metavar="FILE",
        help="instead of videos: .npy, .npz or .safetensors, one row an item; FILE[0] is one slice",
    )
    parser.add_argument(
        "--items",
        metavar="FILE",
        help=".jsonl, .json, .csv or .txt with id, caption and what else is known, one row an item "
        "(for videos: the id is the file's path, with or without suffix)",
    )
    parser.add_argument(
        "--queries-as",
        metavar="FILE|captions",
        help="labelled queries: embeddings, row i for item i or for line i of --query-items; or "
        "'captions', to embed each item's caption",
    )
    parser.add_argument(
        "--query-items",
        metavar="FILE",
        help="labelled queries: a list with text, video_id and (optional) id",
    )
    parser.add_argument(
        "--experts",
        type=Path,
        metavar="FEATURES",
        help="instead of videos: root of a feature tree, as `animations --experts` writes it or "
        "official sets have it, for a --model of the expert family; without --items or --gallery "
        "its evaluated videos are indexed",
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="--experts: make the folder --model first, from this checkpoint of a `train` run, or "
        "a trained_model.pth of the released code",
    )
    parser.add_argument(
        "--tokens",
        metavar="ENCODER",
        help="--checkpoint: live encoder of its text feature, as `texts` takes it, for example "
        "gpt2-xl=FOLDER (default: that in FEATURES/text_encoders, or the feature's name)",
    )
    parser.add_argument(
        "--gallery",
        metavar="DIR",
        help="--experts: show this gallery's items and labelled queries; it lies beside --out",
    )
    parser.add_argument(
        "--bank",
        metavar="CAPTIONS",
        help="also make the querybank OUT-bank of this list, as `bank CAPTIONS --gallery OUT` does",
    )
    parser.add_argument("--encoder-id", help="name or SHA-256 of the encoder of --embeddings")
    parser.add_argument(
        "--media-root",
        default=".",
        help="'.' keeps media in the gallery (default); 'assets:NAME' leaves the clips of "
        "assets/NAME/clips where they are",
    )
    parser.add_argument("--verify", metavar="GALLERY", help="only check every file of a gallery")


def run(args: argparse.Namespace) -> int:
    """Make or verify a gallery."""
    from retrieval.querybank import read_captions

    if args.verify is not None:
        return _verify(args.verify)
    ways = {
        args.videos: _from_videos,
        args.embeddings: _from_embeddings,
        args.experts: _from_experts,
    }
    given = [way for source, way in ways.items() if source is not None]
    if len(given) != 1:
        raise SettingsError(
            "give either a folder of videos, --experts FEATURES or --embeddings FILE"
        )
    if args.out is None:
        raise SettingsError("say where the gallery goes: --out GALLERY")
    for option in ("checkpoint", "tokens", "gallery"):
        if getattr(args, option) is not None and args.experts is None:
            raise SettingsError(f"--{option} belongs to --experts FEATURES")
    if args.bank is not None:
        read_captions(args.bank)  # what is wrong with it is told before the long work
    n_items = given[0](args)
    logger.info("%s: %s items", args.out, f"{n_items:,}")
    return 0 if args.bank is None else _bank(args.bank, args.out)


def _bank(captions: str, gallery: str) -> int:
    """The querybank beside a gallery, by the command that makes one."""
    options = [captions, "--gallery", gallery, "--out", f"{gallery.rstrip('/')}-bank"]
    parser = argparse.ArgumentParser()
    bank.add_arguments(parser)
    args = parser.parse_args(options)
    args.command_line = shlex.join(["python", "-m", "retrieval", "bank", *options])
    return bank.run(args)


def _verify(path: str) -> int:
    from retrieval.gallery import open_gallery

    gallery = open_gallery(path, verify=True)
    n_queries = 0 if gallery.queries is None else len(gallery.queries.ids)
    print(
        f"{path} is whole: {len(gallery):,} items of dim {gallery.encoder.dim}, {n_queries:,} "
        f"queries, encoder {gallery.encoder.name} ({gallery.encoder.digest[:8]})"
    )
    return 0


def _from_videos(args: argparse.Namespace) -> int:
    from retrieval.indexing import index_videos, read_items, read_queries

    if args.queries_as not in (None, "captions"):
        raise SettingsError("for videos, --queries-as is 'captions'; other queries: --query-items")
    if args.encoder_id is not None:
        raise SettingsError("--encoder-id belongs to --embeddings; videos are embedded by --model")
    spec = args.model or DEFAULT_MODEL

    def load():
        from retrieval.encoders import get_encoder

        return get_encoder(spec)

    return index_videos(
        args.videos,
        args.out,
        load,
        spec,
        args.command_line,
        items=None if args.items is None else read_items(args.items),
        queries=read_queries(args.query_items) if args.query_items else args.queries_as,
        media_root=args.media_root,
    )


def _from_embeddings(args: argparse.Namespace) -> int:
    from retrieval.formats import read_embeddings
    from retrieval.gallery import EncoderId, write_gallery
    from retrieval.indexing import queries_of_items, read_items, read_queries

    emb = read_embeddings(args.embeddings)
    n_items, dim = emb.shape
    items = [{"id": str(row)} for row in range(n_items)]
    if args.items is not None:
        items = read_items(args.items)
    encoder = EncoderId.external(dim, args.encoder_id)
    queries = None if args.query_items is None else read_queries(args.query_items)
    query_emb = None
    if args.model is not None:
        from retrieval.encoders import get_encoder

        loaded = get_encoder(args.model)
        encoder = EncoderId.of(loaded, args.model)
        if args.queries_as == "captions":
            queries = queries_of_items(items)
        if queries is not None and args.queries_as in (None, "captions"):
            query_emb = loaded.encode_text([query["text"] for query in queries])
    if args.queries_as == "captions" and args.model is None:
        raise SettingsError("--queries-as captions needs --model; or give their embeddings")
    if args.queries_as not in (None, "captions"):
        query_emb = read_embeddings(args.queries_as)
        queries = queries or queries_of_items(items)
    if queries is not None and query_emb is None:
        raise SettingsError("--query-items needs --queries-as FILE or --model, to be embedded")
    write_gallery(
        args.out, emb, items, encoder, queries, query_emb, args.command_line, args.media_root
    )
    return n_items


def _from_experts(args: argparse.Namespace) -> int:
    from retrieval.encoders import get_encoder
    from retrieval.featured import index_experts, items_of_tree
    from retrieval.gallery import open_gallery
    from retrieval.indexing import queries_of_items, read_items, read_queries

    if args.model is None:
        raise SettingsError("--experts needs --model, a folder of a network of the expert family")
    if args.queries_as not in (None, "captions"):
        raise SettingsError("--queries-as is 'captions'; other labelled queries: --query-items")
    encoder = _packed(args) if args.checkpoint is not None else get_encoder(args.model)
    if not hasattr(encoder, "reads"):
        raise SettingsError(f"{encoder.name} takes videos, not expert features; index the videos")
    asked = args.items, args.query_items, args.queries_as
    if args.gallery is not None:
        if any(each is not None for each in asked):
            raise SettingsError("--gallery brings its items and queries; leave other ones out")
        shown, items, queries = open_gallery(args.gallery), None, None
    else:
        shown = None
        items = read_items(args.items) if args.items else items_of_tree(args.experts, encoder.reads)
        queries = read_queries(args.query_items) if args.query_items else None
        if args.queries_as == "captions":
            queries = queries_of_items(items)
    return index_experts(
        args.experts, args.out, encoder, args.model, args.command_line, shown, items, queries
    )


def _packed(args: argparse.Namespace) -> Any:
    """The encoder of a checkpoint, in the folder that --model names."""
    from retrieval.encoders import ENCODERS
    from retrieval.encoders.trained import pack, read_run

    tokens = args.tokens
    if tokens is None:
        text = read_run(args.checkpoint).text
        saved = args.experts / "text_encoders" / text
        tokens = saved if saved.is_dir() else text
    return pack(args.checkpoint, tokens, Path(ENCODERS.get(args.model, args.model)))
