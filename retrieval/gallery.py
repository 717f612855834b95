"""Videos -> a gallery on disk: embeddings, items, labelled queries; and back, checked.

G/video_emb.npy   [n_gallery, dim] float32 unit rows        G/items.jsonl    one item a row
G/query_emb.npy   labelled queries, if there are any        G/queries.jsonl  {id, text, video_id}
G/media/          posters and playable copies               G/biases/        fitted later
G/manifest.json   written last: encoder, command, size and SHA-256 of every file
"""

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from retrieval import files
from retrieval.errors import GalleryError, VideoError
from retrieval.similarity import unit_rows

logger = logging.getLogger(__name__)

PROJECT = Path(__file__).resolve().parents[1]
FILM_LIBRARY = PROJECT / "precomputed" / "animations"
EXTERNAL = "external"  # name of an encoder that is not here
MAKE = "python -m retrieval index VIDEOS_DIR --out GALLERY"
ITEM_FIELDS = ("id", "caption", "captions", "clip", "poster", "duration_s")
SHARD_ITEMS = 16  # videos embedded between two lines of the journal


@dataclass(frozen=True)
class EncoderId:
    """Which encoder made an array; two arrays may meet only if these are equal (digest and dim)."""

    name: str = field(compare=False)  # short; EXTERNAL for embeddings computed elsewhere
    digest: str  # SHA-256 of what makes it this encoder: weights and preprocessing
    dim: int  # length of an embedding
    spec: str | None = field(default=None, compare=False)  # what --model was, to load it again

    @classmethod
    def of(cls, encoder: Any, spec: str | None = None) -> "EncoderId":
        """The id of a loaded encoder."""
        return cls(encoder.name, encoder.digest, encoder.dim, spec or encoder.name)

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
    text_emb: np.ndarray  # [n_queries, dim] float32 unit rows
    correct: np.ndarray  # [n_queries] int64, the row of the correct video

    @cached_property
    def rows(self) -> dict[str, int]:
        """Query id -> row."""
        return {query_id: row for row, query_id in enumerate(self.ids)}


@dataclass(frozen=True, eq=False)
class Gallery:
    """An opened gallery; read-only, shared by all who ask it."""

    name: str
    path: Path | None  # None for one that lives in memory only
    video_emb: np.ndarray  # [n_gallery, dim] float32 unit rows
    items: tuple[Item, ...]
    encoder: EncoderId
    queries: Queries | None = None
    manifest: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.items)

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
    build: files.Build | None = None,
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

    Raises:
        GalleryError: rows and items disagree, ids repeat, or a query's video is unknown.
        ValueError: a row is NaN, infinite or zero (named).
    """
    if build is None:
        # Everything is checked before an unfinished folder exists.
        rows, emb, texts, text_emb = _checked(video_emb, items, encoder, queries, query_emb)
        with files.Build(out, command) as build:
            _write(build, rows, emb, texts, text_emb, encoder, media_root)
    else:
        checked = _checked(video_emb, items, encoder, queries, query_emb)
        _write(build, *checked, encoder, media_root)


def _checked(
    video_emb: np.ndarray,
    items: Iterable[dict[str, Any]],
    encoder: EncoderId,
    queries: list[dict[str, Any]] | None,
    query_emb: np.ndarray | None,
) -> tuple[list[dict[str, Any]], np.ndarray, list[dict[str, Any]] | None, np.ndarray | None]:
    rows = list(items)
    emb = unit_rows(video_emb, "the video embeddings")
    if len(emb) != len(rows):
        raise GalleryError(
            f"there are {len(emb):,} embeddings and {len(rows):,} items; give one item a row"
        )
    if emb.shape[1] != encoder.dim:
        raise GalleryError(f"embeddings have dim {emb.shape[1]}, the encoder has {encoder.dim}")
    ids = _unique_ids(rows, "item")
    if not queries:
        return rows, emb, None, None
    text_emb = unit_rows(query_emb, "the query embeddings")
    if text_emb.shape != (len(queries), encoder.dim):
        raise GalleryError(
            f"query embeddings have shape {text_emb.shape}, expected "
            f"({len(queries)}, {encoder.dim}): one row a query, from the gallery's encoder"
        )
    _unique_ids(queries, "query")
    for n, query in enumerate(queries):
        if query["video_id"] not in ids:
            raise GalleryError(f"query row {n}: no item has the id {query['video_id']!r}")
    return rows, emb, queries, text_emb


def _write(
    build: files.Build,
    rows: list[dict[str, Any]],
    emb: np.ndarray,
    queries: list[dict[str, Any]] | None,
    query_emb: np.ndarray | None,
    encoder: EncoderId,
    media_root: str,
) -> None:
    files.write_npy(build.folder / "video_emb.npy", emb)
    files.write_jsonl(build.folder / "items.jsonl", rows)
    if queries:
        files.write_npy(build.folder / "query_emb.npy", query_emb)
        files.write_jsonl(build.folder / "queries.jsonl", queries)
    root = _media_root(media_root, build.folder)
    for row in rows:  # before it is finished, not when someone opens it
        for path in filter(None, (row.get("clip"), row.get("poster"))):
            files.resolve_inside(root, path)
    about = {
        "n_items": len(rows),
        "n_queries": len(queries or ()),
        "dim": encoder.dim,
        "encoder": asdict(encoder),
        "media_root": media_root,
    }
    build.finish("gallery", about)


def _unique_ids(rows: list[dict[str, Any]], what: str) -> set[str]:
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
    emb = read_unit_rows(path, "video_emb.npy", manifest, encoder.dim)
    rows = _read_rows(path, "items.jsonl", manifest)
    if len(rows) != len(emb):
        raise GalleryError(f"{path} has {len(emb)} embeddings and {len(rows)} items; make it again")
    _unique_ids(rows, "item")
    root = _media_root(manifest.get("media_root", "."), path)
    resolve = _Resolver(root)
    items = tuple(_item(row, resolve) for row in rows)
    queries = None
    if "queries.jsonl" in manifest["files"]:
        queries = _read_queries(
            path, manifest, encoder.dim, {r["id"]: n for n, r in enumerate(rows)}
        )
    return Gallery(path.resolve().name, path, emb, items, encoder, queries, manifest)


def read_encoder_id(manifest: dict[str, Any], path: Path) -> EncoderId:
    """The encoder that a manifest names."""
    try:
        return EncoderId(**manifest["encoder"])
    except (KeyError, TypeError) as error:
        raise GalleryError(f"{path}: its manifest names no encoder; make it again") from error


def read_unit_rows(path: Path, name: str, manifest: dict[str, Any], dim: int) -> np.ndarray:
    """Read an array of a gallery or querybank: checksum, dimension, finite unit rows."""
    known = manifest["files"].get(name)
    if known is None:
        raise GalleryError(f"{path}: its manifest names no {name}; make it again")
    emb = files.read_npy(path / name, known["sha256"], f"{path}: {name}")
    if emb.ndim != 2 or emb.shape[1] != dim or len(emb) == 0:
        raise GalleryError(f"{path}: {name} has shape {emb.shape}, expected [n, {dim}]")
    lengths = np.sqrt(np.einsum("ij,ij->i", emb, emb, dtype=np.float64))
    if emb.dtype == np.float32 and np.all(np.abs(lengths - 1) < 1e-3):
        emb = np.ascontiguousarray(emb)
    else:
        emb = unit_rows(emb, f"{path}: {name}")
    emb.flags.writeable = False
    return emb


def _read_rows(path: Path, name: str, manifest: dict[str, Any]) -> list[dict[str, Any]]:
    known = manifest["files"].get(name)
    if known is None or files.sha256_file(path / name) != known["sha256"]:
        raise GalleryError(f"{path}: {name} is damaged or not in the manifest; make it again")
    return files.read_table(path / name)


def _media_root(media_root: str, folder: Path) -> Path:
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
    path: Path, manifest: dict[str, Any], dim: int, item_rows: dict[str, int]
) -> Queries:
    rows = _read_rows(path, "queries.jsonl", manifest)
    emb = read_unit_rows(path, "query_emb.npy", manifest, dim)
    if len(rows) != len(emb):
        raise GalleryError(f"{path} has {len(emb)} query embeddings, {len(rows)} queries")
    _unique_ids(rows, "query")
    try:
        correct = np.array([item_rows[row["video_id"]] for row in rows], dtype=np.int64)
        texts = tuple(files.clean_text(str(row["text"])) for row in rows)
    except KeyError as error:
        raise GalleryError(f"{path}: a query names no text or an unknown video {error}") from error
    return Queries(tuple(row["id"] for row in rows), texts, emb, correct)


# ---- from lists that people bring ----------------------------------------------------------------


def read_items(path: str | Path) -> list[dict[str, Any]]:
    """Read items from a list: "id" (or video_id, image_id), "caption" (or sentence), extras."""
    rows = files.read_table(path, plain="id")
    items = []
    for n, row in enumerate(rows):
        row = dict(row)
        known = _first(row, ("id", "video_id", "image_id"))
        if known is None:
            raise GalleryError(f"{Path(path).name} row {n} has no id; name it in a field 'id'")
        caption = _first(row, ("caption", "sentence", "text"))
        items.append({"id": str(known), **({"caption": str(caption)} if caption else {}), **row})
    return items


def read_queries(path: str | Path) -> list[dict[str, Any]]:
    """Read labelled queries from a list: "text" (or caption, sentence), "video_id", "id"."""
    queries = []
    for n, row in enumerate(files.read_table(path)):
        row = dict(row)
        text = _first(row, ("text", "caption", "sentence"))
        video_id = _first(row, ("video_id", "image_id"))
        if text is None or video_id is None:
            raise GalleryError(f"{Path(path).name} row {n} needs the fields 'text' and 'video_id'")
        queries.append({"id": row.get("id"), "text": str(text), "video_id": str(video_id)})
    return name_queries(queries)


def name_queries(queries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give queries without an id their video's, with a number where a video has several."""
    n_of: dict[str, int] = {}
    for query in queries:
        n_of[query["video_id"]] = n_of.get(query["video_id"], 0) + 1
    seen: dict[str, int] = {}
    named = []
    for query in queries:
        video_id = query["video_id"]
        seen[video_id] = seen.get(video_id, 0) + 1
        own = video_id if n_of[video_id] == 1 else f"{video_id}:{seen[video_id]}"
        named.append({**query, "id": str(query.get("id") or own)})
    return named


def queries_of_items(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One labelled query an item: its caption."""
    return name_queries(
        [
            {"text": item.get("caption") or f"caption of {item['id']}", "video_id": item["id"]}
            for item in items
        ]
    )


def _first(row: dict[str, Any], names: tuple[str, ...]) -> Any:
    """Take the first of these fields that a row has."""
    for name in names:
        if row.get(name) not in (None, ""):
            return row.pop(name)
    return None


# ---- from a folder of videos ---------------------------------------------------------------------


def find_videos(folder: str | Path, leave_out: Iterable[Path] = ()) -> Iterator[Path]:
    """Video files under a folder by suffix, in order; links to folders are not followed."""
    from retrieval.video import SUFFIXES

    left_out = {os.path.abspath(path) for path in leave_out}
    n_other = 0
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and os.path.abspath(Path(root, name)) not in left_out
        )
        for name in sorted(names):
            path = Path(root, name)
            if name.startswith(".") or path.suffix.lower() not in SUFFIXES:
                n_other += 1
            elif not path.is_file():
                logger.warning("skipped %s: not a regular file", path.relative_to(folder))
            else:
                yield path
    if n_other:
        logger.info("left %d files alone that are not videos by their suffix", n_other)


def index_videos(
    folder: str | Path,
    out: str | Path,
    load_encoder: Callable[[], Any],
    spec: str,
    command: str,
    items: list[dict[str, Any]] | None = None,
    queries: list[dict[str, Any]] | str | None = None,
    media_root: str = ".",
) -> int:
    """Embed a folder of videos into a gallery; a build that broke off continues.

    Args:
        folder: searched with its subfolders.
        out: the gallery to make.
        load_encoder: gives the encoder; called once something is there to embed.
        spec: the encoder's name for `get_encoder`.
        command: the command line, for the manifest.
        items: captions and extras by id, where an id is a file's path under `folder` with or
            without its suffix; only these videos are taken, in this order.
        queries: labelled queries to embed, or "captions" for the items' own.
        media_root: "." copies media into the gallery; "assets:NAME" leaves the clips where they
            are, in assets/NAME/clips, with posters in assets/NAME/posters.

    Returns:
        how many videos were embedded.

    Raises:
        GalleryError: no usable video, or the folder is not one.
    """
    folder, out = Path(folder), Path(out)
    if not folder.is_dir():
        raise GalleryError(f"{folder} is not a folder of videos; check its name")
    found = list(find_videos(folder, (out, files.partial_of(out))))
    if not found:
        raise GalleryError(f"{folder} holds no video files; name the folder that does")
    wanted = _match(found, folder, items)
    encoder = load_encoder()
    recipe = {
        "folder": str(folder.resolve()),
        "encoder": encoder.digest,
        "n_frames": encoder.n_frames,
        "media_root": media_root,
    }
    with files.Build(out, command, recipe) as build:
        shards = _embed_all(build, wanted, encoder, media_root)
        known = {entry["id"]: (emb, entry) for emb, entry in shards}
        kept = [row for _, row in wanted if row["id"] in known]
        if not kept:
            shutil.rmtree(build.folder)
            raise GalleryError(f"none of the {len(wanted)} video files in {folder} can be used")
        emb = np.stack([known[row["id"]][0] for row in kept])
        rows = [{**known[row["id"]][1], **row} for row in kept]
        for row in rows:
            row.pop("source", None)  # only the journal needs it
        labelled = queries_of_items(rows) if queries == "captions" else queries
        query_emb = None
        if labelled:
            ids = {row["id"] for row in rows}
            labelled = [query for query in labelled if query["video_id"] in ids]
            query_emb = encoder.encode_text([query["text"] for query in labelled])
        for shard in build.folder.glob("shard-*.npy"):
            shard.unlink()
        _sweep_media(build.folder, rows)
        encoder_id = EncoderId.of(encoder, spec)
        write_gallery(out, emb, rows, encoder_id, labelled, query_emb, command, media_root, build)
    return len(kept)


def _match(
    found: list[Path], folder: Path, items: list[dict[str, Any]] | None
) -> list[tuple[Path, dict[str, Any]]]:
    """Pair files with item rows; without a list, a file's path is its id."""
    by_name = {path.relative_to(folder).as_posix(): path for path in found}
    if items is None:
        return [(path, {"id": files.clean_text(name)}) for name, path in by_name.items()]
    by_stem = {name[: -len(path.suffix)]: path for name, path in by_name.items()}
    wanted = []
    for item in items:
        path = by_name.get(item["id"]) or by_stem.get(item["id"])
        if path is None:
            logger.warning("skipped %s: no such video file in %s", item["id"], folder)
        else:
            wanted.append((path, item))
    if not wanted:
        raise GalleryError(f"no item's id is a video file of {folder}; ids are paths under it")
    _unique_ids([item for _, item in wanted], "item")
    return wanted


def _embed_all(
    build: files.Build, wanted: list[tuple[Path, dict[str, Any]]], encoder: Any, media_root: str
) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """Yield (embedding, facts) per usable video; every shard is journaled once it is on disk."""
    from tqdm import tqdm

    finished: dict[str, dict[str, Any]] = {}
    for entry in build.journal():
        shard = build.folder / entry["shard"]
        if shard.is_file() and files.sha256_file(shard) == entry["sha256"]:
            for emb, facts in zip(files.read_npy(shard), entry["items"], strict=True):
                finished[facts["id"]] = {"emb": emb, "facts": facts}
    if finished:
        logger.info("continuing: %d videos are embedded already", len(finished))
    pending: list[tuple[np.ndarray, dict[str, Any]]] = []
    n_shards = len(list(build.folder.glob("shard-*.npy")))

    def flush() -> list[tuple[np.ndarray, dict[str, Any]]]:
        nonlocal n_shards, pending
        if not pending:
            return []
        emb = np.asarray(encoder.encode_videos([frames for frames, _ in pending]))
        shard = build.folder / f"shard-{n_shards:06d}.npy"
        files.write_npy(shard, emb)
        build.note(
            {
                "shard": shard.name,
                "sha256": files.sha256_file(shard),
                "items": [facts for _, facts in pending],
            }
        )
        done = [(row, facts) for row, (_, facts) in zip(emb, pending, strict=True)]
        n_shards, pending = n_shards + 1, []
        return done

    for path, row in tqdm(wanted, unit="video", desc="embedding", disable=None):
        source = [path.stat().st_size, path.stat().st_mtime_ns]
        known = finished.get(row["id"])
        if known is not None and known["facts"]["source"] == source:
            yield known["emb"], known["facts"]
            continue
        try:
            pending.append(_prepare(build, path, row["id"], source, encoder.n_frames, media_root))
        except (VideoError, OSError) as error:
            logger.warning("skipped %s: %s", row["id"], error)
        if len(pending) >= SHARD_ITEMS:
            yield from flush()
    yield from flush()


def _prepare(
    build: files.Build,
    path: Path,
    item_id: str,
    source: list[int],
    n_frames: int,
    media_root: str,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Decode one video and put its poster and playable copy in place."""
    from retrieval import video

    info = video.probe(path)
    frames = video.sample_frames(path, n_frames)
    facts: dict[str, Any] = {"id": item_id, "source": source}
    facts |= {"duration_s": round(info.duration_s, 3), "width": info.width, "height": info.height}
    facts |= {"fps": round(info.fps, 3), "codec": info.codec, "has_audio": info.has_audio}
    if media_root != ".":
        clips = _media_root(media_root, build.folder)
        facts["clip"] = f"clips/{path.name}"
        poster = clips / "posters" / f"{path.stem}.jpg"
        if not poster.exists():
            poster.parent.mkdir(parents=True, exist_ok=True)
            video.thumbnail(path, poster)
        return frames, facts | {"poster": f"posters/{poster.name}"}
    (build.folder / "media").mkdir(exist_ok=True)
    stem = hashlib.sha256(item_id.encode()).hexdigest()[:16]
    poster = build.folder / "media" / f"{stem}.jpg"
    video.thumbnail(path, poster)
    facts["poster"] = f"media/{poster.name}"
    suffix = path.suffix.lower() if info.browser_playable else ".mp4"
    clip = build.folder / "media" / f"{stem}{suffix}"
    clip.unlink(missing_ok=True)
    if info.browser_playable:
        _link_or_copy(path.resolve(), clip)
    else:
        video.playable_copy(path, clip)
    return frames, facts | {"clip": f"media/{clip.name}"}


def _link_or_copy(path: Path, copy: Path) -> None:
    """A second name for the same bytes where the file system can, else a copy."""
    try:
        os.link(path, copy)
    except OSError:
        shutil.copyfile(path, copy)


def _sweep_media(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Remove media of videos that were dropped after their media was made."""
    used = {row.get(name) for row in rows for name in ("clip", "poster")}
    for path in (folder / "media").glob("*"):
        if f"media/{path.name}" not in used:
            path.unlink()
