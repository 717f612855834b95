"""python -m retrieval index: videos, or embeddings computed elsewhere -> a gallery."""

import argparse
import logging

from retrieval.commands import DEFAULT_MODEL, MODEL_HELP
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
    if args.verify is not None:
        return _verify(args.verify)
    if (args.videos is None) == (args.embeddings is None):
        raise SettingsError("give either a folder of videos or --embeddings FILE")
    if args.out is None:
        raise SettingsError("say where the gallery goes: --out GALLERY")
    n_items = _from_embeddings(args) if args.videos is None else _from_videos(args)
    logger.info("%s: %s items", args.out, f"{n_items:,}")
    return 0


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
