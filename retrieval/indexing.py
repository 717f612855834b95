"""What people bring, a folder of videos or lists of items and queries -> a gallery."""

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from retrieval import files, manifests
from retrieval.building import Build
from retrieval.errors import GalleryError, VideoError
from retrieval.gallery import EncoderId, check_ids, media_folder, write_gallery
from retrieval.watching import DRAWN, Watcher, is_of_drawn_films, media_of, watcher_of

logger = logging.getLogger(__name__)

SHARD_ITEMS = 16  # videos embedded between two lines of the journal


def read_items(path: str | Path) -> list[dict[str, Any]]:
    """Read items from a list: "id" (or video_id, image_id), "caption" (or sentence), extras.

    MSR-VTT's layout, a JSON object of "videos" and "sentences", is read as well: each video with
    all its sentences, in their order.
    """
    rows = _msrvtt_rows(Path(path)) or files.read_table(path, plain="id")
    items = []
    for n, row in enumerate(rows):
        row = dict(row)
        known = _first(row, ("id", "video_id", "image_id"))
        if known is None:
            raise GalleryError(f"{Path(path).name} row {n} has no id; name it in a field 'id'")
        caption = _first(row, ("caption", "sentence", "text"))
        named = {"id": str(known), **({"caption": str(caption)} if caption else {})}
        items.append(named | {key: row[key] for key in row if key not in named})
    return items


def _msrvtt_rows(path: Path) -> list[dict[str, Any]] | None:
    """Rows of {"videos": [...], "sentences": [...]}; None where the file is something else."""
    if path.suffix != ".json":
        return None
    whole = files.read_json(path)
    if not isinstance(whole, dict) or not {"videos", "sentences"} <= set(whole):
        return None
    try:
        captions: dict[str, list[str]] = {video["video_id"]: [] for video in whole["videos"]}
        for sentence in whole["sentences"]:
            captions[sentence["video_id"]].append(sentence["caption"])
        return [
            {"caption": captions[row["video_id"]][0], "captions": captions[row["video_id"]], **row}
            for row in whole["videos"]
        ]
    except (KeyError, TypeError, IndexError) as error:
        raise GalleryError(
            f"{path.name}: each video needs a video_id and a sentence with its caption ({error})"
        ) from error


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
    if media_root != "." and folder.resolve() != media_folder(media_root, folder) / "clips":
        raise GalleryError(f"with media root {media_root} the videos must be in its folder clips/")
    found = list(find_videos(folder, (out, manifests.partial_of(out))))
    if not found:
        raise GalleryError(f"{folder} holds no video files; name the folder that does")
    wanted = _match(found, folder, items)
    encoder = load_encoder()
    watcher = watcher_of(encoder)
    if is_of_drawn_films(encoder) and media_root == ".":
        logger.warning("%s %s", encoder.name, DRAWN)
    recipe = {
        "folder": str(folder.resolve()),
        "encoder": encoder.digest,
        "n_frames": encoder.n_frames,
        "media_root": media_root,
    }
    with Build(out, command, recipe) as build:
        shards = _embed_all(build, wanted, watcher, media_root)
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
        build.drop_shards()
        _sweep_media(build.folder, rows)
        encoder_id = EncoderId.of(encoder, spec)
        media = media_of(encoder)
        write_gallery(
            *(out, emb, rows, encoder_id, labelled, query_emb, command, media_root, build, media)
        )
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
    check_ids([item for _, item in wanted], "item")
    return wanted


def _embed_all(
    build: Build, wanted: list[tuple[Path, dict[str, Any]]], watcher: Watcher, media_root: str
) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """Yield (embedding, facts) per usable video; every shard is journaled once it is on disk."""
    from tqdm import tqdm

    finished = {
        facts["id"]: (emb, facts)
        for shard, entries in build.shards()
        for emb, facts in zip(shard, entries, strict=True)
    }
    if finished:
        logger.info("continuing: %d videos are embedded already", len(finished))
    pending: list[tuple[Any, dict[str, Any]]] = []

    def flush() -> list[tuple[np.ndarray, dict[str, Any]]]:
        if not pending:
            return []
        watched, entries = zip(*pending, strict=True)
        pending.clear()
        emb = watcher.embed(watched)
        build.add_shard(emb, list(entries))
        return list(zip(emb, entries, strict=True))

    for path, row in tqdm(wanted, unit="video", desc="embedding", disable=None):
        source = [path.stat().st_size, path.stat().st_mtime_ns]
        known = finished.get(row["id"])
        if known is not None and known[1]["source"] == source:
            yield known
            continue
        try:
            pending.append(_prepare(build, path, row["id"], source, watcher, media_root))
        except (VideoError, OSError) as error:
            logger.warning("skipped %s: %s", row["id"], error)
        if len(pending) >= SHARD_ITEMS:
            yield from flush()
    yield from flush()


def _prepare(
    build: Build,
    path: Path,
    item_id: str,
    source: list[int],
    watcher: Watcher,
    media_root: str,
) -> tuple[Any, dict[str, Any]]:
    """Watch one video and put its poster and playable copy in place."""
    from retrieval import video

    info = video.probe(path)
    watched = watcher.watch(path)
    facts: dict[str, Any] = {"id": item_id, "source": source}
    facts |= {"duration_s": round(info.duration_s, 3), "width": info.width, "height": info.height}
    facts |= {"fps": round(info.fps, 3), "codec": info.codec, "has_audio": info.has_audio}
    if media_root != ".":
        clips = media_folder(media_root, build.folder)
        facts["clip"] = f"clips/{path.name}"
        poster = clips / "posters" / f"{path.stem}.jpg"
        if not poster.exists():
            poster.parent.mkdir(parents=True, exist_ok=True)
            video.thumbnail(path, poster)
        return watched, facts | {"poster": f"posters/{poster.name}"}
    (build.folder / "media").mkdir(exist_ok=True)
    stem = hashlib.sha256(item_id.encode()).hexdigest()[:16]
    poster = build.folder / "media" / f"{stem}.jpg"
    video.thumbnail(path, poster)
    facts["poster"] = f"media/{poster.name}"
    suffix = path.suffix.lower() if info.browser_playable else ".mp4"
    clip = build.folder / "media" / f"{stem}{suffix}"
    clip.unlink(missing_ok=True)
    if info.browser_playable:
        files.link_or_copy(path.resolve(), clip)
    else:
        video.playable_copy(path, clip)
    return watched, facts | {"clip": f"media/{clip.name}"}


def _sweep_media(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Remove media of videos that were dropped after their media was made."""
    used = {row.get(name) for row in rows for name in ("clip", "poster")}
    for path in (folder / "media").glob("*"):
        if f"media/{path.name}" not in used:
            path.unlink()
