"""What the tabs share: the open galleries, the settings' components, and the view in the link.

Nothing here belongs to one visitor. What a visitor chose travels in the components' values and in
the link that the bridge carries, so a restarted server or a second one answers the same.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from retrieval.answers import Settings
from retrieval.encoders import get_encoder
from retrieval.engine import Engine
from retrieval.errors import GalleryError, RetrievalError, SettingsError
from retrieval.gallery import Gallery, Item, open_gallery
from retrieval.normalisers import NORMALISERS
from retrieval.querybank import Querybank, open_querybank
from retrieval.tabs import links
from retrieval.tabs.links import View

log = logging.getLogger(__name__)


class EncoderSlot:
    """An encoder that is built once: in the background, or by the first query that needs it."""

    def __init__(self, load: Callable[[], Any]):
        self._load = load
        self._encoder = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

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
    def loading(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def load_in_background(self) -> None:
        """Start loading unless that is under way; the query that needs it meets any failure."""
        if self.ready or self.loading:
            return

        def load() -> None:
            try:
                self()
            except RetrievalError as error:
                log.warning("the text encoder did not load: %s", error)

        self._thread = threading.Thread(target=load, name="load encoder", daemon=True)
        self._thread.start()


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
        return cls(opened, [open_querybank(path) for path in banks], encoders)

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


@dataclass
class Context:
    """The components that every tab may read, and the way from their values to an engine."""

    library: Library
    query: gr.Textbox
    note: gr.HTML  # words of the query that the encoder does not know
    chips: gr.HTML  # example queries
    gallery: gr.Dropdown
    bank: gr.Dropdown
    left: gr.Dropdown
    right: gr.Dropdown
    scale_free: gr.Checkbox  # ticked: beta follows the spread of the bank's similarities
    beta: gr.Slider  # per unit of similarity; used when scale_free is not ticked
    k: gr.Slider
    bank_size: gr.Slider
    top: gr.Slider
    blind: gr.Checkbox
    strength: gr.Slider
    bridge: gr.HTML  # value {"link", "history", "why"}; always mounted, so scripts can rely on it
    scene: gr.State  # View without query and strength: changes when other tabs must be drawn anew
    tabs: gr.Tabs | None = None

    @property
    def settings(self) -> list[gr.components.Component]:
        """The inputs that `read` takes, in its order."""
        return [
            *(self.gallery, self.bank, self.left, self.right, self.scale_free, self.beta),
            *(self.k, self.bank_size, self.top, self.strength, self.blind),
        ]

    def read(
        self, gallery, bank, left, right, scale_free, beta, k, bank_size, top, strength, blind
    ) -> View:
        """The view that the settings' values describe; a browser's promises are checked again.

        Raises:
            GalleryError, SettingsError: a value that the components cannot have sent.
        """
        self.library.engine(str(gallery), str(bank or ""))
        n_bank = self.n_bank(str(gallery), str(bank or ""))
        bank_size = None if bank_size is None or bank_size == n_bank else bank_size
        return View(
            gallery=str(gallery),
            bank=str(bank or ""),
            left=_choice("left normaliser", left),
            right=_choice("right normaliser", right),
            beta=None if scale_free else _number("beta", beta, *links.BETA_RANGE),
            k=_whole("k", k, 1, links.MAX_K),
            bank_size=None if bank_size is None else _whole("bank size", bank_size, 1, n_bank),
            n=_whole("top", top, 1, links.MAX_TOP),
            strength=_number("strength", strength, 0.0, 1.0),
            blind=bool(blind),
        )

    def n_bank(self, gallery: str, bank: str) -> int:
        opened = self.library.bank(gallery, bank or next(iter(self.library.names[gallery]), ""))
        return 0 if opened is None else len(opened)

    def engine(self, view: View) -> Engine:
        return self.library.engine(view.gallery, view.bank)

    def parse(self, search: str) -> tuple[View, list[str]]:
        """Link -> view; see links.parse."""
        return links.parse(search, self.library.names, list(NORMALISERS))

    def on_scene(self, tab: str, fn: Callable, outputs: Sequence, **event) -> None:
        """Run `fn(engine, settings) -> outputs` when `tab` opens and when its settings change.

        Nothing runs while the tab is closed. A RetrievalError becomes a toast, old outputs stay.
        """

        def draw(view: View | None):
            if view is None or view.tab != tab:
                return gr.skip()
            return fn(self.engine(view), settings_of(view))

        self.scene.change(
            guarded(draw, len(outputs)),
            self.scene,
            list(outputs),
            api_visibility="private",
            **{"concurrency_id": "draw", "concurrency_limit": 2, **event},
        )


def settings_of(view: View) -> Settings:
    """A view as the engine's settings."""
    return Settings(
        left=view.left,
        right=view.right,
        beta=view.beta,
        k=view.k,
        bank_size=view.bank_size,
        top=view.n,
        strength=view.strength,
    )


def scene_of(view: View) -> View:
    """What tabs other than Compare depend on."""
    return replace(view, q="", query_id="", strength=1.0, n=View.n, blind=False)


def guarded(handler: Callable, n_outputs: int) -> Callable:
    """A handler whose refusals become a toast while the old results stay.

    Anything unexpected is logged under a short id, and the visitor reads that id, never a trace.
    """

    @functools.wraps(handler)  # gradio reads the signature to hand in events and requests
    def run(*args):
        try:
            return handler(*args)
        except RetrievalError as error:
            gr.Warning(sentence(error))
        except Exception:  # the server must go on, whatever one event met
            gr.Warning(log_unexpected())
        return [gr.skip() for _ in range(n_outputs)] if n_outputs > 1 else gr.skip()

    return run


def log_unexpected() -> str:
    """Log the exception being handled; returns the sentence for the visitor."""
    number = f"{time.monotonic_ns() & 0xFFFFF:05x}"
    log.exception("unexpected error, id %s", number)
    return f"Something went wrong (id {number}); the results on the page are the earlier ones."


def sentence(error: Exception) -> str:
    """An error's sentence as a toast shows it."""
    text = str(error)
    return text[:1].upper() + text[1:]


def pick_examples(engine: Engine) -> list[str]:
    """Stored queries worth a first look, best first: helped to the top, left alone, hurt."""
    if engine.gallery.queries is None:
        return []
    rows = engine.changes(Settings()).rows
    near = [row for row in rows if row.raw_rank <= View.n and row.norm_rank <= View.n]
    helped = sorted(
        (row for row in near if row.delta > 0), key=lambda row: (row.norm_rank, -row.delta)
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


def _choice(what: str, name: object) -> str:
    if name not in NORMALISERS:
        raise SettingsError(
            f"unknown {what} {links.short(str(name))!r}; available: {', '.join(NORMALISERS)}"
        )
    return str(name)


def _number(what: str, value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise SettingsError(
            f"{what} must be a number from {low:g} to {high:g}, got {links.short(str(value))}"
        )
    return float(value)


def _whole(what: str, value: object, low: int, high: int) -> int:
    number = _number(what, value, low, high)
    if number != int(number):
        raise SettingsError(f"{what} must be a whole number from {low} to {high}, got {number:g}")
    return int(number)
