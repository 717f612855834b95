"""What the tabs share: the open galleries, the settings' components, and the view in the link.

Nothing here belongs to one visitor. What a visitor chose travels in the components' values and in
the link that the bridge carries, so a restarted server or a second one answers the same.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from retrieval.answers import Settings, searchable
from retrieval.engine import Engine
from retrieval.errors import RetrievalError, SettingsError
from retrieval.normalisers import SEARCHABLE, Knob, get_normaliser, knobs, parse_spec, spec_of
from retrieval.tabs import links
from retrieval.tabs.library import Library
from retrieval.tabs.links import View

log = logging.getLogger(__name__)


@dataclass
class Context:
    """The components that every tab may read, and the way from their values to an engine."""

    library: Library
    query: gr.Textbox
    note: gr.HTML  # words of the query that the encoder does not know
    chips: gr.HTML  # example queries
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
    left_knobs: dict[str, gr.Number | gr.Checkbox]  # own settings of normalisers, by name
    right_knobs: dict[str, gr.Number | gr.Checkbox]
    tabs: gr.Tabs | None = None

    @property
    def settings(self) -> list[gr.components.Component]:
        """The inputs that `read` takes, in its order."""
        return [
            *(self.bank, self.left, self.right, self.scale_free, self.beta),
            *(self.k, self.bank_size, self.top, self.strength, self.blind),
            *(*self.left_knobs.values(), *self.right_knobs.values()),
        ]

    def read(self, gallery: str, *values) -> View:
        """The view that the settings' values describe; a browser's promises are checked again.

        Args:
            gallery: the one on the page, which need not be open yet.
            values: of `settings`.

        Raises:
            SettingsError: a value that the components cannot have sent.
        """
        bank, left, right, scale_free, beta, k, bank_size, top, strength, blind = values[
            : -len(self.left_knobs) - len(self.right_knobs)
        ]
        on_left, on_right = self.knob_values(values)
        banks = self.library.names[gallery]
        bank = bank if bank in banks else next(iter(banks), "")
        n_bank = self.library.n_bank(gallery, bank)
        whole_bank = n_bank == 0 or bank_size == n_bank
        settings = Settings(
            left=word_of(left, on_left),
            right=word_of(right, on_right),
            beta=None if scale_free else beta,
            k=k,
            bank_size=None if whole_bank else bank_size,
            top=top,
            strength=strength,
        ).validated(self.library.n_items(gallery), n_bank or None)
        return View(
            gallery=gallery,
            bank=bank,
            left=settings.left,
            right=settings.right,
            beta=settings.beta,
            k=settings.k,
            bank_size=settings.bank_size,
            n=settings.top,
            strength=settings.strength,
            blind=bool(blind),
        )

    def knob_values(self, values: Sequence) -> tuple[dict[str, Any], dict[str, Any]]:
        """The settings' values of the left and the right normaliser's own knobs."""
        n_right = len(self.right_knobs)
        left = values[-len(self.left_knobs) - n_right : -n_right]
        right = values[-n_right:]
        return dict(zip(self.left_knobs, left, strict=True)), dict(
            zip(self.right_knobs, right, strict=True)
        )

    def engine(self, view: View) -> Engine:
        return self.library.engine(view.gallery, view.bank, view.clip)

    def parse(self, search: str) -> tuple[View, list[str]]:
        """Link -> view; see links.parse."""
        return links.parse(search, self.library.names)

    def shown(self, bridge: Any) -> View:
        """The view on a visitor's page, as the bridge brings it back."""
        link = bridge.get("link", "") if isinstance(bridge, dict) else ""
        return self.parse(str(link)[:4000])[0]


SHARED_KNOBS = ("beta", "k")  # both columns use the same, and each has a slider


def own_knobs(name: str) -> dict[str, Knob]:
    """The settings of a normaliser that no slider of the page is for, by name."""
    return {each.name: each for each in knobs(name) if each.name not in SHARED_KNOBS}


def has_knobs(word: str) -> set[str]:
    """Names of all settings of a word's normaliser."""
    return {each.name for each in knobs(word.partition(":")[0])}


def every_own_knob() -> dict[str, Knob]:
    """The own settings of all normalisers that the page offers, as the first of them has each."""
    found: dict[str, Knob] = {}
    for name in SEARCHABLE:
        found = {**own_knobs(name), **found}
    return found


def word_of(name: Any, values: dict[str, Any]) -> str:
    """A normaliser's word from the page's components.

    Args:
        name: its short name, not checked yet.
        values: own setting -> number, yes or no, or None for the default; others are left aside.

    Raises:
        SettingsError: the name or a value cannot be used.
    """
    word = searchable(name)
    used = {}
    for each in own_knobs(word.partition(":")[0]).values():
        value = values.get(each.name)
        if value is None:
            continue
        if each.kind is bool:
            if not isinstance(value, bool):
                raise SettingsError(f"{each.name} must be yes or no, got {str(value)[:40]!r}")
            used[each.name] = value
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            raise SettingsError(f"{each.name} must be a number, got {str(value)[:40]!r}")
        if each.kind is int and value != int(value):
            raise SettingsError(f"{each.name} must be a whole number, got {value:g}")
        used[each.name] = each.kind(value)
    return spec_of(get_normaliser(word.partition(":")[0], **used))


def knob_updates(word: str, components: dict[str, gr.Number | gr.Checkbox]) -> list:
    """Show the settings that a normaliser has, with its values; hide the others."""
    name = word.partition(":")[0]
    known, made = own_knobs(name), parse_spec(word)
    return [
        gr.update(visible=False)
        if knob not in known
        else gr.update(visible=True, value=getattr(made, knob), **labels_of(known[knob]))
        for knob in components
    ]


def labels_of(knob: Knob) -> dict[str, str]:
    """What a form says about a setting."""
    return {"label": f"{knob.name.replace('_', ' ').capitalize()}, {knob.unit}", "info": knob.help}


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
    return replace(view, q="", query_id="", strength=1.0, n=View.n, blind=False, clip="")


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
