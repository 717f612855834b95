"""A folder -> the gallery in it, every array and table checked."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from retrieval import files, formats, manifests
from retrieval.errors import GalleryError
from retrieval.gallery.encoder_id import EncoderId, read_encoder_id
from retrieval.gallery.items import MAKE, Gallery, Item, Queries, check_ids
from retrieval.gallery.media import MediaPaths, media_folder
from retrieval.live import Live

ITEM_FIELDS = ("id", "caption", "captions", "clip", "poster", "duration_s")


def open_gallery(path: str | Path, verify: bool = False) -> Gallery:
    """Open a gallery; a damaged, unfinished or foreign one is refused in one sentence.

    Args:
        path: the folder.
        verify: also check the SHA-256 of every clip and poster; arrays and tables always are.

    Raises:
        GalleryError: anything is missing, damaged or not as the manifest says.
    """
    path = Path(path)
    manifest = manifests.read_manifest(path, "gallery", MAKE, verify)
    encoder = read_encoder_id(manifest, path)
    emb = read_emb(path, "video_emb.npy", manifest, encoder)
    rows = _read_rows(path, "items.jsonl", manifest)
    if len(rows) != len(emb):
        raise GalleryError(f"{path} has {len(emb)} embeddings and {len(rows)} items; make it again")
    check_ids(rows, "item")
    if "shows" in manifest:
        items, queries = _shown(path, manifest["shows"], [row["id"] for row in rows], encoder)
        return Gallery(path.resolve().name, path, emb, items, encoder, queries, manifest)
    root = media_folder(manifest.get("media_root", "."), path)
    resolve = MediaPaths(root)
    items = tuple(_item(row, resolve) for row in rows)
    queries = None
    if "queries.jsonl" in manifest["files"]:
        queries = _read_queries(path, manifest, encoder, {r["id"]: n for n, r in enumerate(rows)})
    return Gallery(path.resolve().name, path, emb, items, encoder, queries, manifest)


def _shown(
    path: Path, about: dict[str, Any], ids: list[str], encoder: EncoderId
) -> tuple[tuple[Item, ...], Queries | None]:
    """Items, and labelled queries for them, of the gallery beside."""
    name = str(about.get("gallery")) if isinstance(about, dict) else ""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise GalleryError(f"{path}: its manifest names no gallery to show; make it again")
    other = _opened(path.resolve().parent / name)
    if about.get("sha256") != other.shown_sums:
        raise GalleryError(
            f"{path} shows the items of {name}, which has other ones by now; make it again"
        )
    rows = [other.rows[known] for known in ids]
    items = tuple(other.items[row] for row in rows)
    if other.queries is None:
        return items, None
    place = {row: n for n, row in enumerate(rows)}
    asked = [n for n, row in enumerate(other.queries.correct.tolist()) if row in place]
    texts = tuple(other.queries.texts[n] for n in asked)
    correct = np.array([place[other.queries.correct[n]] for n in asked], dtype=np.int64)
    known = tuple(other.queries.ids[n] for n in asked)
    return items, Queries(known, texts, Live(texts, encoder), correct) if asked else None


def _opened(path: Path) -> Gallery:
    """A gallery that several may show, opened once."""
    manifest = path / manifests.MANIFEST
    return _opened_at(path, manifest.stat().st_mtime_ns if manifest.is_file() else 0)


@lru_cache(maxsize=4)
def _opened_at(path: Path, _: int) -> Gallery:
    return open_gallery(path)


def read_emb(path: Path, name: str, manifest: dict[str, Any], encoder: EncoderId) -> np.ndarray:
    """Read an array of a gallery or querybank: checksum, dimension, rows of its encoder."""
    known = manifest["files"].get(name)
    if known is None:
        raise GalleryError(f"{path}: its manifest names no {name}; make it again")
    emb = formats.read_npy(path / name, known["sha256"], f"{path}: {name}")
    if emb.ndim != 2 or emb.shape[1] != encoder.dim or len(emb) == 0:
        raise GalleryError(f"{path}: {name} has shape {emb.shape}, expected [n, {encoder.dim}]")
    lengths = np.sqrt(np.einsum("ij,ij->i", emb, emb, dtype=np.float64))
    is_unit = encoder.space.dot_product and np.all(np.abs(lengths - 1) < 1e-3)
    if emb.dtype == np.float32 and is_unit:
        emb = np.ascontiguousarray(emb)
    else:
        emb = encoder.space.checked(emb, f"{path}: {name}")
    emb.flags.writeable = False
    return emb


def _read_rows(path: Path, name: str, manifest: dict[str, Any]) -> list[dict[str, Any]]:
    known = manifest["files"].get(name)
    if known is None or files.sha256_file(path / name) != known["sha256"]:
        raise GalleryError(f"{path}: {name} is damaged or not in the manifest; make it again")
    return files.read_table(path / name)


def _item(row: dict[str, Any], resolve: MediaPaths) -> Item:
    captions = row.get("captions") or ([row["caption"]] if row.get("caption") else [])
    if not isinstance(captions, list):
        raise GalleryError(f"item {row['id']!r}: captions must be a list; make the gallery again")
    captions = tuple(files.clean_text(str(caption)) for caption in captions)
    caption = files.clean_text(str(row["caption"])) if row.get("caption") else None
    duration_s = row.get("duration_s")
    return Item(
        id=row["id"],
        caption=caption or (captions[0] if captions else None),
        captions=captions,
        clip=resolve(row.get("clip")),
        poster=resolve(row.get("poster")),
        duration_s=float(duration_s) if isinstance(duration_s, int | float) else None,
        extras={key: value for key, value in row.items() if key not in ITEM_FIELDS},
    )


def _read_queries(
    path: Path, manifest: dict[str, Any], encoder: EncoderId, item_rows: dict[str, int]
) -> Queries:
    rows = _read_rows(path, "queries.jsonl", manifest)
    emb = read_emb(path, "query_emb.npy", manifest, encoder)
    if len(rows) != len(emb):
        raise GalleryError(f"{path} has {len(emb)} query embeddings, {len(rows)} queries")
    check_ids(rows, "query")
    try:
        correct = np.array([item_rows[row["video_id"]] for row in rows], dtype=np.int64)
        texts = tuple(files.clean_text(str(row["text"])) for row in rows)
    except KeyError as error:
        raise GalleryError(f"{path}: a query names no text or an unknown video {error}") from error
    return Queries(tuple(row["id"] for row in rows), texts, emb, correct)
