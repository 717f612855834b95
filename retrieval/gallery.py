"""Videos -> a gallery on disk: embeddings, items, labelled queries; and back, checked.

G/video_emb.npy   [n_gallery, dim] rows of the encoder      G/items.jsonl    one item a row
G/query_emb.npy   labelled queries, if there are any        G/queries.jsonl  {id, text, video_id}
G/media/          posters and playable copies               G/biases/        fitted later
G/manifest.json   written last: encoder, command, size and SHA-256 of every file

A gallery may show the items and labelled queries of another that lies beside it: then its items are
ids alone, its manifest names the other with the SHA-256 of what is shown, and the queries are
embedded when somebody needs them.
"""

import contextlib
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from retrieval import files, formats
from retrieval.building import Build
from retrieval.errors import GalleryError
from retrieval.live import Live, rows_of
from retrieval.spaces import Space, space_of

PROJECT = Path(__file__).resolve().parents[1]
FILM_LIBRARY = PROJECT / "precomputed" / "animations"
EXTERNAL = "external"  # name of an encoder that is not here
MAKE = "python -m retrieval index VIDEOS_DIR --out GALLERY"
SHOWN = ("items.jsonl", "queries.jsonl")  # what a gallery may take from another
ITEM_FIELDS = ("id", "caption", "captions", "clip", "poster", "duration_s")


@dataclass(frozen=True)
class EncoderId:
    """Which encoder made an array; two arrays may meet only if these are equal (digest and dim)."""

    name: str = field(compare=False)  # short; EXTERNAL for embeddings computed elsewhere
    digest: str  # SHA-256 of what makes it this encoder: weights and preprocessing
    dim: int  # length of an embedding
    spec: str | None = field(default=None, compare=False)  # what --model was, to load it again
    experts: tuple[tuple[str, int], ...] = field(default=(), compare=False)  # names, dims; or none

    @property
    def space(self) -> Space:
        """What similarity means between its embeddings."""
        return space_of(self.dim, self.experts)

    @classmethod
    def of(cls, encoder: Any, spec: str | None = None) -> "EncoderId":
        """The id of a loaded encoder."""
        experts = getattr(encoder, "experts", ())
        return cls(encoder.name, encoder.digest, encoder.dim, spec or encoder.name, experts)

    @classmethod
    def external(cls, dim: int, encoder_id: str | None = None) -> "EncoderId":
        """The id of an encoder that is not here; `encoder_id` names it, or is its SHA-256."""
        known = encoder_id or f"external:{dim}"
        if not re.fullmatch(r"[0-9a-f]{64}", known):
            known = hashlib.sha256(known.encode()).hexdigest()
        return cls(EXTERNAL, known, dim)


@dataclass(frozen=True)
class Item:
    """One gallery item."""

    id: str
    caption: str | None = None
    captions: tuple[str, ...] = ()  # all of them, the first is `caption`
    clip: Path | None = None  # a file browsers can play
    poster: Path | None = None  # a still
    duration_s: float | None = None  # seconds
    extras: dict[str, Any] = field(default_factory=dict)  # whatever else its row holds


@dataclass(frozen=True, eq=False)
class Queries:
    """Labelled queries that are kept with a gallery, embedded."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    emb: np.ndarray | Live  # [n_queries, dim] float32, rows of the encoder
    correct: np.ndarray  # [n_queries] int64, the row of the correct video

    @property
    def text_emb(self) -> np.ndarray:
        """[n_queries, dim] float32, made now where they are not stored."""
        return rows_of(self.emb)

    @cached_property
    def rows(self) -> dict[str, int]:
        """Query id -> row."""
        return {query_id: row for row, query_id in enumerate(self.ids)}

    @cached_property
    def rows_by_text(self) -> dict[str, int]:
        """Case-folded text -> its first row."""
        rows: dict[str, int] = {}
        for row, text in enumerate(self.texts):
            rows.setdefault(text.casefold(), row)
        return rows


@dataclass(frozen=True, eq=False)
class Gallery:
    """An opened gallery; read-only, shared by all who ask it."""

    name: str
    path: Path | None  # None for one that lives in memory only
    video_emb: np.ndarray  # [n_gallery, dim] float32, rows of the encoder
    items: tuple[Item, ...]
    encoder: EncoderId
    queries: Queries | None = None
    manifest: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def space(self) -> Space:
        """What similarity means between its embeddings and those of sentences."""
        return self.encoder.space

    @property
    def media(self) -> str:
        """What is searched, "video" or "audio": how an item is best played."""
        return self.manifest.get("media", "video")

    @cached_property
    def rows(self) -> dict[str, int]:
        """Item id -> row."""
        return {item.id: row for row, item in enumerate(self.items)}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the embeddings, as in the manifest."""
        known = self.manifest.get("files", {}).get("video_emb.npy")
        return known["sha256"] if known else files.digest_array(self.video_emb)


# ---- keeping -------------------------------------------------------------------------------------


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
    strange = check_ids(rows, "item") - set(shown.rows)
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
        "n_queries": sum(shown.items[row].id in set(ids) for row in labelled),
        "dim": encoder.dim,
        "encoder": asdict(encoder),
        "media": media,
        "shows": {"gallery": shown.name, "sha256": _shown_sums(shown)},
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


def check_ids(rows: list[dict[str, Any]], what: str) -> set[str]:
    """The ids of rows; a missing, odd or repeated one is refused by its row."""
    seen: dict[str, int] = {}
    for n, row in enumerate(rows):
        known = row.get("id")
        if not isinstance(known, str) or not 1 <= len(known) <= 300:
            raise GalleryError(f"{what} row {n} has no id (1 to 300 characters of text)")
        if known != files.clean_text(known):
            raise GalleryError(f"{what} row {n}: id {known!r} has control characters or spaces")
        if known in seen:
            raise GalleryError(f"{what} rows {seen[known]} and {n} have the same id {known!r}")
        seen[known] = n
    return set(seen)


# ---- opening -------------------------------------------------------------------------------------


def open_gallery(path: str | Path, verify: bool = False) -> Gallery:
    """Open a gallery; a damaged, unfinished or foreign one is refused in one sentence.

    Args:
        path: the folder.
        verify: also check the SHA-256 of every clip and poster; arrays and tables always are.

    Raises:
        GalleryError: anything is missing, damaged or not as the manifest says.
    """
    path = Path(path)
    manifest = files.read_manifest(path, "gallery", MAKE, verify)
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
    resolve = _Resolver(root)
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
    if about.get("sha256") != _shown_sums(other):
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


def _shown_sums(gallery: Gallery) -> dict[str, str]:
    """SHA-256 of what another gallery may show."""
    listed = gallery.manifest["files"]
    return {name: listed[name]["sha256"] for name in SHOWN if name in listed}


def _opened(path: Path) -> Gallery:
    """A gallery that several may show, opened once."""
    manifest = path / files.MANIFEST
    return _opened_at(path, manifest.stat().st_mtime_ns if manifest.is_file() else 0)


@lru_cache(maxsize=4)
def _opened_at(path: Path, _: int) -> Gallery:
    return open_gallery(path)


def read_encoder_id(manifest: dict[str, Any], path: Path) -> EncoderId:
    """The encoder that a manifest names."""
    try:
        named = dict(manifest["encoder"])
        experts = tuple((name, dim) for name, dim in named.pop("experts", ()))
        encoder = EncoderId(**named, experts=experts)
    except (KeyError, TypeError, ValueError) as error:
        raise GalleryError(f"{path}: its manifest names no encoder; make it again") from error
    texts = (encoder.name, encoder.digest, encoder.spec or "", *(name for name, _ in experts))
    dims = (encoder.dim, *(dim for _, dim in experts))
    if not (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(dim, int) and dim > 0 for dim in dims)
        and (not experts or sum(dims[1:]) + len(experts) == encoder.dim)
    ):
        raise GalleryError(f"{path}: its manifest names no encoder; make it again")
    return encoder


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


def media_folder(media_root: str, folder: Path) -> Path:
    """Where a gallery's media paths start."""
    if media_root == ".":
        return folder
    named = re.fullmatch(r"assets:([\w-]+)", str(media_root))
    if not named:
        raise GalleryError(f"media root {media_root!r} is unknown; expected '.' or 'assets:NAME'")
    return PROJECT / "assets" / named[1]


class _Resolver:
    """Resolves media paths; folders are looked at once, so that thousands of files open fast."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folders: dict[str, Path] = {}

    def __call__(self, relative: str | None) -> Path | None:
        if relative is None:
            return None
        folder, _, name = str(relative).rpartition("/")
        if folder in self.folders and name not in ("", ".", "..") and not set(name) & set("\\:\0"):
            path = self.folders[folder] / name
            if path.is_file() and not path.is_symlink():
                return path
        path = files.resolve_inside(self.root, relative)
        if path.name == name:
            self.folders[folder] = path.parent
        return path


def _item(row: dict[str, Any], resolve: _Resolver) -> Item:
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
