"""Folders -> the galleries, querybanks, encoders and engines that one process serves.

All of it is read-only and shared by every visitor; an engine is built when it is first asked.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.answers import Settings
from retrieval.encoders import get_encoder
from retrieval.engine import Engine, bank_beside
from retrieval.errors import GalleryError, RetrievalError
from retrieval.gallery import MAKE, Gallery, Item, open_gallery
from retrieval.manifests import read_manifest
from retrieval.querybank import MAKE as MAKE_BANK
from retrieval.querybank import Querybank, open_querybank
from retrieval.tabs import links, models
from retrieval.tabs.kept_clips import Clips
from retrieval.tabs.links import View

log = logging.getLogger(__name__)

MAX_CELLS = 2**27  # stored queries x items; beyond, examples are not searched for


class Slot:
    """Something that is made once: in the background, or by the first who needs it."""

    def __init__(self, make: Callable[[], Any]):
        self._make = make
        self._made: Any = None
        self._making = threading.Lock()
        self._beginning = threading.Lock()
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self._started_s = 0.0

    @property
    def ready(self) -> bool:
        return self._made is not None

    def __call__(self) -> Any:
        """What was made; waits while another thread is making it.

        Raises:
            RetrievalError: it cannot be made; the next call tries again.
        """
        with self._making:
            if self._made is None:
                self._started_s = time.monotonic()
                self._made = self._make()
            return self._made

    @property
    def begun(self) -> bool:
        """Whether it is there, or is being made in the background, or that has failed."""
        return self.ready or self._thread is not None

    @property
    def waited_s(self) -> float:
        """Seconds since the making began."""
        return time.monotonic() - self._started_s

    def begin(self) -> bool:
        """Make it in the background; False where it is there already.

        Raises:
            RetrievalError: the making that was begun earlier failed; the next call begins anew.
        """
        with self._beginning:
            if self._error is not None:
                error, self._error, self._thread = self._error, None, None
                raise error
            if self.ready:
                return False
            if self._thread is None:
                self._started_s = time.monotonic()
                self._thread = threading.Thread(target=self._make_quietly, daemon=True)
                self._thread.start()
            return True

    def _make_quietly(self) -> None:
        try:
            self()
        except Exception as error:  # whatever it is, it is for those who wait
            self._error = error


class EncoderSlot(Slot):
    """An encoder of typed queries."""

    def __init__(self, load: Callable[[], Any]):
        def make() -> Any:
            encoder = load()
            encoder.encode_text(["a first sentence"])  # the first call allocates; do it here
            return encoder

        super().__init__(make)


@dataclass(frozen=True)
class Waiting:
    """What a view has to wait for."""

    what: str  # is being loaded
    seconds: float  # since it began
    hint: str = ""  # a sentence about the meantime


@dataclass(frozen=True)
class _Opened:
    """A gallery of the menu with all that answers for it."""

    gallery: Gallery
    banks: dict[str, Querybank]  # those that fit, the first is the default
    encoder: Slot | None  # of typed queries
    items: dict[str, Item]


@dataclass(frozen=True)
class _Closed:
    """A gallery of the menu that is opened when a visitor first chooses it."""

    manifest: dict[str, Any]
    banks: dict[str, dict[str, Any]]  # name -> manifest, of the querybank beside it
    opening: Slot  # makes the _Opened
    showing: Slot  # the same, and all that its first view needs


class Library:
    """The galleries and querybanks that this process serves, and one engine per pair in use."""

    def __init__(
        self,
        galleries: Sequence[Gallery],
        banks: Sequence[Querybank] = (),
        encoders: dict[str, Slot] | None = None,
        later: Sequence[Path] = (),
    ):
        """Args:
        galleries: in the order of the menu; equal names get a number.
        banks: each serves the galleries that have its encoder.
        encoders: gallery name -> encoder; galleries left out answer stored queries only.
        later: folders of galleries that are opened when they are chosen, each with its own
            querybank beside it; below the others in the menu.
        """
        if not galleries:
            raise GalleryError("expected at least one gallery; give one with --gallery DIR")
        named_banks = _by_name(banks)
        encoders = encoders or {}
        self._opened = {
            name: _Opened(
                gallery,
                {
                    bank_name: bank
                    for bank_name, bank in named_banks.items()
                    if bank.encoder == gallery.encoder and bank.side == "text"
                },
                encoders.get(name),
                {item.id: item for item in gallery.items},
            )
            for name, gallery in _by_name(galleries).items()
        }
        self._closed: dict[str, _Closed] = {}
        for path in later:
            try:
                self._closed[path.name] = self._to_open(path)
            except RetrievalError as error:  # the others can be shown without it
                log.warning("left out of the menu: %s", error)
        self._engines: dict[tuple[str, str], Engine] = {}
        self._examples: dict[tuple[str, str], list[str]] = {}
        self._lock = threading.Lock()
        self.clips: Clips | None = None  # of visitors, where a page takes some

    @classmethod
    def open(
        cls,
        galleries: Sequence[Path],
        banks: Sequence[Path] = (),
        model: str | None = None,
        later: Sequence[Path] = (),
    ) -> Library:
        """Open folders made by `python -m retrieval index` and `bank`.

        Args:
            galleries: gallery folders.
            banks: querybank folders; none given takes GALLERY-bank beside each gallery.
            model: encoder for typed queries; None means the one that each gallery names.
            later: gallery folders that are opened when they are chosen.
        """
        opened = [open_gallery(path) for path in galleries]
        beside = [Path(path).with_name(f"{Path(path).name}-bank") for path in galleries]
        banks = banks or [path for path in beside if path.is_dir()]
        slots: dict[str, Slot] = {}
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
        return cls(opened, open_banks, encoders, later)

    @property
    def names(self) -> dict[str, list[str]]:
        """Gallery name -> names of the querybanks that fit it, in the order of the menu."""
        return {
            **{name: list(opened.banks) for name, opened in self._opened.items()},
            **{name: list(closed.banks) for name, closed in self._closed.items()},
        }

    @functools.cached_property
    def manifests(self) -> dict[str, dict[str, Any]]:
        """Gallery name -> manifest, for what can be said of a gallery before it is opened."""
        return {
            **{
                name: models.whole(opened.gallery.manifest, opened.gallery.path)
                for name, opened in self._opened.items()
            },
            **{name: closed.manifest for name, closed in self._closed.items()},
        }

    def bank_manifests(self, gallery: str) -> list[dict[str, Any]]:
        """Manifests of the querybanks that fit a gallery, which need not be open."""
        if gallery in self._opened:
            return [bank.manifest for bank in self._opened[gallery].banks.values()]
        return list(self._closed[gallery].banks.values())

    def find(self, words: str) -> str:
        """The gallery of this name, or of the model that the menu calls so; else the words."""
        called = {title.casefold(): name for name, title in self.titles.items()}
        return words if words in self.names else called.get(words.casefold(), words)

    def is_open(self, name: str) -> bool:
        """Whether a gallery can be asked without waiting for it to be opened."""
        return name in self._opened or (name in self._closed and self._closed[name].showing.ready)

    def gallery(self, name: str) -> Gallery:
        return self._of(name).gallery

    def n_items(self, name: str) -> int:
        """Items of a gallery, which need not be open."""
        if name in self._opened:
            return len(self._opened[name].gallery)
        return int(self._closed[name].manifest["n_items"])

    def n_bank(self, gallery: str, bank: str) -> int:
        """Captions of a querybank, which need not be open; 0 where there is none."""
        if gallery in self._opened:
            found = self._opened[gallery].banks.get(bank)
            return 0 if found is None else len(found)
        return self._closed[gallery].banks.get(bank, {"n_items": 0})["n_items"]

    @functools.cached_property
    def titles(self) -> dict[str, str]:
        """Gallery name -> what the menu calls it."""
        return {name: models.menu_title(name, each) for name, each in self.manifests.items()}

    @functools.cached_property
    def is_of_models(self) -> bool:
        """Whether the menu chooses among models of the same films, so that a query is kept."""
        return models.is_of_models(self.manifests)

    @property
    def most_bank_captions(self) -> int:
        """Captions of the largest querybank, at least 2 so that a slider has room."""
        return max(
            [2, *(self.n_bank(name, bank) for name, fit in self.names.items() for bank in fit)]
        )

    def items(self, gallery: str) -> dict[str, Item]:
        """Item id -> item."""
        return self._of(gallery).items

    def media_home(self, gallery: str) -> tuple[str, dict[str, Item]]:
        """The first open gallery of the same clips, whose addresses of media serve all of them."""
        name = next(self._same_clips(gallery))
        return name, self.items(name)

    def stored_text(self, gallery: str, query_id: str) -> str | None:
        """The words of a stored query; None when the gallery has no such query."""
        queries = self.gallery(gallery).queries
        row = None if queries is None else queries.rows.get(query_id)
        return None if row is None else queries.texts[row]

    def text_elsewhere(self, gallery: str, query_id: str) -> str | None:
        """The words of a stored query of another open gallery of the same clips."""
        texts = (self.stored_text(name, query_id) for name in self._same_clips(gallery))
        return next((text for text in texts if text is not None), None)

    def neighbours(self, gallery: str, query_id: str) -> tuple[str, str]:
        """Ids of the stored queries before and after one, round the end; "" where there is none."""
        queries = self.gallery(gallery).queries
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

    def has_encoder(self, gallery: str) -> bool:
        """Whether typed queries can be asked."""
        return self._of(gallery).encoder is not None

    def waiting(self, gallery: str, typed: bool = False) -> Waiting | None:
        """What a view of a gallery waits for, begun in the background; None when it can be shown.

        Args:
            gallery: its name.
            typed: whether it is of a typed query, which needs the encoder.

        Raises:
            RetrievalError: what was begun has failed; the next call begins anew.
        """
        closed = self._closed.get(gallery)
        try:
            if closed is not None and closed.showing.begin():
                return Waiting(self.titles[gallery], closed.showing.waited_s)
        except (GalleryError, FileNotFoundError) as error:  # names folders: for the log
            log.warning("%s cannot be opened: %s", gallery, error)
            raise GalleryError("its files on this server cannot be used") from error
        slot = self._of(gallery).encoder
        if typed and slot is not None and slot.begin():
            what = "the text encoder, about 10 s the first time"
            return Waiting(what, slot.waited_s, "Example queries already work.")
        return None

    def engine(self, gallery: str, bank: str = "", clip: str = "") -> Engine:
        """The engine of a gallery and a querybank, built at its first use.

        Args:
            gallery: its name.
            bank: "" for the first that fits.
            clip: name of a visitor's own clip, which is ranked with the others; "" for none.

        Raises:
            GalleryError: no such gallery, or no such querybank for it.
            RetrievalError: the clip is gone, or this gallery's model cannot compare it.
        """
        engine = self._engine(gallery, bank)
        if not clip:
            return engine
        if self.clips is None:
            raise GalleryError("clips of your own cannot be uploaded here")
        return self.clips.engine(engine, clip)

    def _engine(self, gallery: str, bank: str) -> Engine:
        if gallery not in self.names:
            raise GalleryError(
                f"unknown gallery {links.short(gallery)!r}; available: {', '.join(self.names)}"
            )
        opened = self._of(gallery)
        bank = bank or next(iter(opened.banks), "")
        if bank and bank not in opened.banks:
            raise GalleryError(
                f"unknown querybank {links.short(bank)!r}; "
                f"available: {', '.join(opened.banks) or 'none'}"
            )
        with self._lock:
            if (gallery, bank) not in self._engines:
                self._engines[gallery, bank] = Engine(
                    opened.gallery, opened.banks.get(bank), opened.encoder
                )
            return self._engines[gallery, bank]

    def load_encoders(self, after_s: float = 0.0) -> None:
        """Have the encoders of all open galleries loaded in the background, `after_s` from now.

        Loading keeps the processors busy for seconds, so it waits until a page is on the screen.
        """
        slots = {opened.encoder for opened in self._opened.values()} - {None}
        if all(slot.begun for slot in slots):
            return

        def begin() -> None:
            for slot in slots:
                if not slot.begun:
                    slot.begin()

        timer = threading.Timer(after_s, begin)
        timer.daemon = True
        timer.start()

    def _of(self, name: str) -> _Opened:
        return self._opened[name] if name in self._opened else self._closed[name].opening()

    def _same_clips(self, gallery: str) -> Iterator[str]:
        """Open galleries of the clips of this open one, in the order of the menu."""
        root = self.manifests[gallery].get("media_root", ".")
        for name, manifest in self.manifests.items():
            same = root != "." and manifest.get("media_root") == root
            if name == gallery or (same and self.is_open(name)):
                yield name

    def _to_open(self, path: Path) -> _Closed:
        """An entry of the menu from its manifests alone."""
        beside = bank_beside(path)
        banks = {}
        if beside is not None:
            banks[beside.name] = read_manifest(beside, "querybank", MAKE_BANK)
        return _Closed(
            models.whole(read_manifest(path, "gallery", MAKE), path),
            banks,
            opening=Slot(functools.partial(_open, path, beside)),
            showing=Slot(functools.partial(self._show_first, path.name, next(iter(banks), ""))),
        )

    def _show_first(self, gallery: str, bank: str) -> list[str]:
        """All that a first view of a gallery takes: its examples have asked everything once."""
        examples = self.examples(gallery, bank)
        encoder = self._of(gallery).encoder
        if encoder is not None:
            encoder.begin()  # a typed query comes next
        return examples


def _open(path: Path, beside: Path | None) -> _Opened:
    """A gallery with its querybank and its encoder, not loaded yet."""
    gallery = open_gallery(path)
    bank = None if beside is None else open_querybank(beside)
    encoder = None
    if gallery.encoder.spec is not None:
        encoder = EncoderSlot(functools.partial(get_encoder, gallery.encoder.spec))
    return _Opened(
        gallery,
        {} if bank is None else {bank.name: bank},
        encoder,
        {item.id: item for item in gallery.items},
    )


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
