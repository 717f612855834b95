"""Folders -> the galleries, querybanks, encoders and engines that one process serves.

All of it is read-only and shared by every visitor; an engine is built when it is first asked.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from retrieval.answers import Settings
from retrieval.encoders import get_encoder
from retrieval.engine import Engine
from retrieval.errors import GalleryError, RetrievalError
from retrieval.gallery import Gallery, Item, open_gallery
from retrieval.querybank import Querybank, open_querybank
from retrieval.tabs import links
from retrieval.tabs.links import View

log = logging.getLogger(__name__)

MAX_CELLS = 2**27  # stored queries x items; beyond, examples are not searched for


class EncoderSlot:
    """An encoder that is built once: in the background, or by the first query that needs it."""

    def __init__(self, load: Callable[[], Any]):
        self._load = load
        self._encoder = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._started_s = 0.0

    @property
    def ready(self) -> bool:
        return self._encoder is not None

    def __call__(self):
        """The encoder; waits while another thread is loading it.

        Raises:
            ModelError: it cannot be built; the next call tries again.
        """
        with self._lock:
            if self._encoder is None:
                encoder = self._load()
                encoder.encode_text(["a first sentence"])  # the first call allocates; do it here
                self._encoder = encoder
            return self._encoder

    @property
    def waited_s(self) -> float:
        """Seconds since loading began."""
        return time.monotonic() - self._started_s

    def load_in_background(self) -> bool:
        """Start loading, once; False when it has ended, well or not.

        A failure is for the query that needs the encoder: its own call tries again and says why.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._load_quietly, daemon=True)
            self._started_s = time.monotonic()
            self._thread.start()
        return self._thread.is_alive()

    def _load_quietly(self) -> None:
        try:
            self()
        except RetrievalError as error:
            log.warning("the text encoder did not load: %s", error)


class Library:
    """The galleries and querybanks that this process serves, and one engine per pair in use."""

    def __init__(
        self,
        galleries: Sequence[Gallery],
        banks: Sequence[Querybank] = (),
        encoders: dict[str, EncoderSlot] | None = None,
    ):
        """Args:
        galleries: in the order of the menu; equal names get a number.
        banks: each serves the galleries that have its encoder.
        encoders: gallery name -> encoder; galleries left out answer stored queries only.
        """
        if not galleries:
            raise GalleryError("expected at least one gallery; give one with --gallery DIR")
        self.galleries = _by_name(galleries)
        named_banks = _by_name(banks)
        self._banks = {
            name: {
                bank_name: bank
                for bank_name, bank in named_banks.items()
                if bank.encoder == gallery.encoder and bank.side == "text"
            }
            for name, gallery in self.galleries.items()
        }
        self.encoders = encoders or {}
        self._items = {
            name: {item.id: item for item in gallery.items}
            for name, gallery in self.galleries.items()
        }
        self._engines: dict[tuple[str, str], Engine] = {}
        self._examples: dict[tuple[str, str], list[str]] = {}
        self._lock = threading.Lock()

    @classmethod
    def open(
        cls, galleries: Sequence[Path], banks: Sequence[Path] = (), model: str | None = None
    ) -> Library:
        """Open folders made by `python -m retrieval index` and `bank`.

        Args:
            galleries: gallery folders.
            banks: querybank folders; none given takes GALLERY-bank beside each gallery.
            model: encoder for typed queries; None means the one that each gallery names.
        """
        opened = [open_gallery(path) for path in galleries]
        beside = [Path(path).with_name(f"{Path(path).name}-bank") for path in galleries]
        banks = banks or [path for path in beside if path.is_dir()]
        slots: dict[str, EncoderSlot] = {}
        encoders = {}
        for name, gallery in _by_name(opened).items():
            spec = model or gallery.encoder.spec
            if spec is not None:
                encoders[name] = slots.setdefault(
                    spec, EncoderSlot(functools.partial(get_encoder, spec))
                )
        open_banks = [open_querybank(path) for path in banks]
        for bank in open_banks:
            if all(bank.encoder != gallery.encoder for gallery in opened):
                bank.check_fits(opened[0])  # says what differs
        return cls(opened, open_banks, encoders)

    @property
    def names(self) -> dict[str, list[str]]:
        """Gallery name -> names of the querybanks that fit it."""
        return {name: list(banks) for name, banks in self._banks.items()}

    def gallery(self, name: str) -> Gallery:
        return self.galleries[name]

    @property
    def most_bank_captions(self) -> int:
        """Captions of the largest querybank, at least 2 so that a slider has room."""
        return max([2, *(len(bank) for fit in self._banks.values() for bank in fit.values())])

    def items(self, gallery: str) -> dict[str, Item]:
        """Item id -> item."""
        return self._items[gallery]

    def bank(self, gallery: str, bank: str) -> Querybank | None:
        return self._banks[gallery].get(bank)

    def stored_text(self, gallery: str, query_id: str) -> str | None:
        """The words of a stored query; None when the gallery has no such query."""
        queries = self.galleries[gallery].queries
        row = None if queries is None else queries.rows.get(query_id)
        return None if row is None else queries.texts[row]

    def neighbours(self, gallery: str, query_id: str) -> tuple[str, str]:
        """Ids of the stored queries before and after one, round the end; "" where there is none."""
        queries = self.galleries[gallery].queries
        if queries is None:
            return "", ""
        row = queries.rows.get(query_id)
        if row is None:
            return queries.ids[-1], queries.ids[0]
        return queries.ids[row - 1], queries.ids[(row + 1) % len(queries.ids)]

    def examples(self, gallery: str, bank: str) -> list[str]:
        """Ids of a few stored queries worth a first look: helped, hurt, and left alone.

        The first is the worked example that a visitor meets. Empty without stored queries.
        """
        key = (gallery, bank)
        if key not in self._examples:
            self._examples[key] = pick_examples(self.engine(gallery, bank))
        return self._examples[key]

    def encoder(self, gallery: str) -> EncoderSlot | None:
        return self.encoders.get(gallery)

    def engine(self, gallery: str, bank: str = "") -> Engine:
        """The engine of a gallery and a querybank, built at its first use.

        Raises:
            GalleryError: no such gallery, or no such querybank for it.
        """
        if gallery not in self.galleries:
            raise GalleryError(
                f"unknown gallery {links.short(gallery)!r}; available: {', '.join(self.galleries)}"
            )
        banks = self._banks[gallery]
        bank = bank or next(iter(banks), "")
        if bank and bank not in banks:
            raise GalleryError(
                f"unknown querybank {links.short(bank)!r}; available: {', '.join(banks) or 'none'}"
            )
        with self._lock:
            if (gallery, bank) not in self._engines:
                self._engines[gallery, bank] = Engine(
                    self.galleries[gallery], banks.get(bank), self.encoder(gallery)
                )
            return self._engines[gallery, bank]

    def load_encoders(self) -> None:
        """Start loading every encoder in the background."""
        for slot in set(self.encoders.values()):
            slot.load_in_background()


def pick_examples(engine: Engine) -> list[str]:
    """Stored queries worth a first look, best first: helped to the top, left alone, hurt."""
    queries = engine.gallery.queries
    if queries is None:
        return []
    if len(queries.ids) * len(engine.gallery) > MAX_CELLS:
        return list(queries.ids[:4])
    rows = engine.changes(Settings()).rows
    near = [row for row in rows if row.raw_rank <= View.n and row.norm_rank <= View.n]
    helped = sorted(
        (row for row in near if row.delta > 0),
        key=lambda row: (row.norm_rank, row.top_hub is None, -row.delta),
    )
    hurt = sorted((row for row in near if row.delta < 0), key=lambda row: (row.raw_rank, row.delta))
    alone = [row for row in near if not row.active]
    fallen = [row for row in rows if row.norm_rank > View.n]
    picked = [*helped[:2], *alone[:1], *hurt[:1], *fallen[:1]] or list(rows[:3])
    return list(dict.fromkeys(row.id for row in picked))


def _by_name(things: Sequence) -> dict:
    named: dict = {}
    for thing in things:
        name, number = thing.name, 2
        while name in named:
            name, number = f"{thing.name}-{number}", number + 1
        named[name] = thing
    return named
