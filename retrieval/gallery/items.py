"""What a gallery holds: items, labelled queries, embeddings."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from retrieval import files
from retrieval.errors import GalleryError
from retrieval.gallery.encoder_id import EncoderId
from retrieval.live import Live, rows_of
from retrieval.spaces import Space

MAKE = "python -m retrieval index VIDEOS_DIR --out GALLERY"
OWN = "uploaded"  # in an item's extras: a visitor's own, which joined for that visitor alone
SHOWN = ("items.jsonl", "queries.jsonl")  # what a gallery may take from another


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

    @property
    def shown_sums(self) -> dict[str, str]:
        """SHA-256 of what another gallery may show."""
        listed = self.manifest["files"]
        return {name: listed[name]["sha256"] for name in SHOWN if name in listed}


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
