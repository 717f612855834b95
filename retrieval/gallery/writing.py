"""Embeddings, items, labelled queries -> a gallery on disk, whole or not at all."""

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from retrieval import files
from retrieval.building import Build
from retrieval.errors import GalleryError
from retrieval.gallery.encoder_id import EncoderId
from retrieval.gallery.items import MAKE, Gallery, check_ids
from retrieval.gallery.media import media_folder


def write_gallery(
    out: str | Path,
    video_emb: np.ndarray,
    items: Iterable[dict[str, Any]],
    encoder: EncoderId,
    queries: list[dict[str, Any]] | None = None,
    query_emb: np.ndarray | None = None,
    command: str = MAKE,
    media_root: str = ".",
    build: Build | None = None,
    media: str = "video",
    half: bool = False,
) -> None:
    """Write a gallery, whole or not at all.

    Args:
        out: the folder to make; an older gallery of that name is replaced at the end.
        video_emb: [n_gallery, dim], any length of rows.
        items: per row a dict with "id" and, if known, caption, captions, clip, poster,
            duration_s; other fields are kept as extras. Media paths are relative.
        encoder: what made the embeddings.
        queries: per labelled query a dict with id, text, video_id.
        query_emb: [n_queries, dim] their embeddings.
        command: the command that makes this gallery again.
        media_root: "." for media inside the gallery, "assets:NAME" for the project's assets/NAME.
        build: a build already begun, whose folder holds the media.
        media: how its items are played, "video" or "audio".
        half: keep the embeddings in half precision.

    Raises:
        GalleryError: rows and items disagree, ids repeat, or a query's video is unknown.
        ValueError: a row is NaN, infinite or zero (named).
    """
    # Everything is checked before an unfinished folder exists.
    checked = _checked(video_emb, items, encoder, queries, query_emb)
    with contextlib.nullcontext(build) if build else Build(out, command) as build:
        _write(build, *checked, encoder, media_root, media, np.float16 if half else np.float32)


def write_showing(
    out: str | Path,
    shown: Gallery,
    ids: Sequence[str],
    video_emb: np.ndarray,
    encoder: EncoderId,
    command: str = MAKE,
    media: str = "video",
) -> None:
    """Write a gallery that shows items of another, in half precision.

    Args:
        out: the folder to make, beside the other.
        shown: the other gallery.
        ids: items of it, one a row.
        video_emb: [n_gallery, dim] rows of the encoder.
        encoder: what made them, and embeds the queries when asked.
        command: the command that makes this gallery again.
        media: how its items are played, "video" or "audio".

    Raises:
        GalleryError: the two are not beside one another, or an id is none of the other's.
        ValueError: a row is not one of the encoder's.
    """
    emb = encoder.space.checked(video_emb, "the video embeddings")
    rows = [{"id": known} for known in ids]
    if len(emb) != len(rows):
        raise GalleryError(f"there are {len(emb):,} embeddings and {len(rows):,} ids")
    kept = check_ids(rows, "item")
    strange = kept - set(shown.rows)
    if strange:
        raise GalleryError(f"gallery {shown.name} has no item {min(strange)!r} to show")
    if shown.path is None or shown.path.resolve().parent != Path(out).resolve().parent:
        raise GalleryError(
            f"{Path(out).name} must lie beside {shown.name}, whose items it shows; name another "
            "--out, or give --items"
        )
    labelled = () if shown.queries is None else shown.queries.correct
    about = {
        "n_items": len(rows),
        "n_queries": sum(shown.items[row].id in kept for row in labelled),
        "dim": encoder.dim,
        "encoder": asdict(encoder),
        "media": media,
        "shows": {"gallery": shown.name, "sha256": shown.shown_sums},
    }
    with Build(out, command) as build:
        files.write_npy(build.folder / "video_emb.npy", emb.astype(np.float16))
        files.write_jsonl(build.folder / "items.jsonl", rows)
        build.finish("gallery", about)


def _checked(
    video_emb: np.ndarray,
    items: Iterable[dict[str, Any]],
    encoder: EncoderId,
    queries: list[dict[str, Any]] | None,
    query_emb: np.ndarray | None,
) -> tuple[list[dict[str, Any]], np.ndarray, list[dict[str, Any]] | None, np.ndarray | None]:
    rows = list(items)
    emb = encoder.space.checked(video_emb, "the video embeddings")
    if len(emb) != len(rows):
        raise GalleryError(
            f"there are {len(emb):,} embeddings and {len(rows):,} items; give one item a row"
        )
    if emb.shape[1] != encoder.dim:
        raise GalleryError(f"embeddings have dim {emb.shape[1]}, the encoder has {encoder.dim}")
    ids = check_ids(rows, "item")
    if not queries:
        return rows, emb, None, None
    text_emb = encoder.space.checked(query_emb, "the query embeddings")
    if text_emb.shape != (len(queries), encoder.dim):
        raise GalleryError(
            f"query embeddings have shape {text_emb.shape}, expected "
            f"({len(queries)}, {encoder.dim}): one row a query, from the gallery's encoder"
        )
    check_ids(queries, "query")
    for n, query in enumerate(queries):
        if query["video_id"] not in ids:
            raise GalleryError(f"query row {n}: no item has the id {query['video_id']!r}")
    return rows, emb, queries, text_emb


def _write(
    build: Build,
    rows: list[dict[str, Any]],
    emb: np.ndarray,
    queries: list[dict[str, Any]] | None,
    query_emb: np.ndarray | None,
    encoder: EncoderId,
    media_root: str,
    media: str,
    dtype: type,
) -> None:
    files.write_npy(build.folder / "video_emb.npy", emb.astype(dtype, copy=False))
    files.write_jsonl(build.folder / "items.jsonl", rows)
    if queries:
        files.write_npy(build.folder / "query_emb.npy", query_emb.astype(dtype, copy=False))
        files.write_jsonl(build.folder / "queries.jsonl", queries)
    root = media_folder(media_root, build.folder)
    for row in rows:  # before it is finished, not when someone opens it
        for path in filter(None, (row.get("clip"), row.get("poster"))):
            files.resolve_inside(root, path)
    about = {
        "n_items": len(rows),
        "n_queries": len(queries or ()),
        "dim": encoder.dim,
        "encoder": asdict(encoder),
        "media_root": media_root,
        "media": media,
    }
    build.finish("gallery", about)
