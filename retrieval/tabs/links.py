"""Address of the page -> View, and back: everything a shared link restores.

    /?q=a+dog+on+a+beach&gallery=animations&beta=20&k=1&n=10&tab=compare

Unknown or out-of-range values fall back to their defaults and are named in a sentence; a link
never ends in an error page.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode

from retrieval.answers import MAX_BETA, MAX_QUERY, MAX_TOP, searchable
from retrieval.errors import SettingsError

TABS = ("compare", "queries", "hubness", "upload", "matrices")
BETA_RANGE = (0.001, MAX_BETA)  # per unit of similarity
MAX_K = 100
MAX_BANK = 100_000_000
LEFT, RIGHT = "none", "qbnorm"
NAME = re.compile(r"[A-Za-z0-9_-]{24}")  # as `kept.Kept` gives them


@dataclass(frozen=True)
class View:
    """What a visitor looks at; a link carries exactly this."""

    q: str = ""  # typed text; empty when a stored query is shown
    query_id: str = ""  # id of a stored query; empty when the text was typed
    gallery: str = ""
    bank: str = ""
    left: str = LEFT  # normaliser of the left column, a word such as "nnn:alpha=0.5"
    right: str = RIGHT  # normaliser of the right column
    beta: float | None = None  # per unit of similarity; None means scale-free
    k: int = 1
    bank_size: int | None = None  # bank captions in use; None means all
    n: int = 10  # results per column
    strength: float = 1.0  # 0 raw .. 1 normalised
    tab: str = TABS[0]
    blind: bool = False  # hide which column is which
    clip: str = ""  # name under which a visitor's own clip is kept; it is ranked with the others


def parse(
    search: str | Mapping[str, str], galleries: Mapping[str, Sequence[str]]
) -> tuple[View, list[str]]:
    """Read a link.

    Args:
        search: the query string (with or without "?"), or its parameters.
        galleries: name of each open gallery -> names of the querybanks that fit it; the first of
            each is the default.

    Returns:
        The view, every field valid, and one sentence for each part that was left out.
    """
    if isinstance(search, str):
        search = dict(parse_qsl(search.lstrip("?"), keep_blank_values=True, max_num_fields=100))
    params = {key: value for key, value in search.items() if _is_ours(key)}
    reader = _Reader(params)
    gallery = reader.choice("gallery", list(galleries), next(iter(galleries), ""))
    banks = list(galleries.get(gallery, ()))
    view = View(
        q=reader.text("q"),
        query_id=reader.text("query_id"),
        gallery=gallery,
        bank=reader.choice("bank", banks, banks[0] if banks else ""),
        left=reader.normaliser("left", LEFT),
        right=reader.normaliser("right", RIGHT),
        beta=reader.number("beta", *BETA_RANGE, default=None),
        k=reader.whole("k", 1, MAX_K, default=1),
        bank_size=reader.whole("bank_size", 1, MAX_BANK, default=None),
        n=reader.whole("n", 1, MAX_TOP, default=View.n),
        strength=reader.number("strength", 0.0, 1.0, default=1.0),
        tab=reader.choice("tab", TABS, TABS[0]),
        blind=reader.choice("blind", ("0", "1"), "0") == "1",
        clip=reader.name("clip"),
    )
    if view.q and view.query_id:
        view = replace(view, q="")
    unknown = sorted(set(params) - reader.seen)
    if unknown:
        names = ", ".join(short(name) for name in unknown[:3])
        reader.problems.append(f"The link has parts that this page does not know: {names}.")
    return view, reader.problems


def build(view: View) -> str:
    """The query string of a view, "?" included; defaults are left out to keep it readable."""
    default = View()
    params: dict[str, str] = {}
    if view.query_id:
        params["query_id"] = view.query_id
    elif view.q:
        params["q"] = view.q
    for name in ("gallery", "bank", "left", "right", "k", "bank_size", "n", "tab", "clip"):
        value = getattr(view, name)
        if value not in (getattr(default, name), None):
            params[name] = str(value)
    if view.beta is not None:
        params["beta"] = f"{view.beta:.10g}"
    if view.strength != default.strength:
        params["strength"] = f"{view.strength:.4g}"
    if view.blind:
        params["blind"] = "1"
    return "?" + urlencode(params) if params else "?"


class _Reader:
    """Reads typed values out of link parameters and remembers what it could not use."""

    def __init__(self, params: Mapping[str, str]):
        self.params = params
        self.seen: set[str] = set()
        self.problems: list[str] = []

    def _raw(self, name: str) -> str:
        self.seen.add(name)
        value = self.params.get(name, "")
        return value if isinstance(value, str) else str(value)

    def text(self, name: str) -> str:
        text = self._raw(name).replace("\0", "").strip()
        if len(text) > MAX_QUERY:
            self.problems.append(
                f"The link's {name} has {len(text)} characters, {MAX_QUERY} are allowed; "
                "it was left out."
            )
            return ""
        return text

    def name(self, name: str) -> str:
        """Of something that is kept for a visitor; whether it is there, its keeper knows."""
        raw = self._raw(name)
        if raw and not NAME.fullmatch(raw):
            self._fell_back(name, raw, "no clip is called so")
            return ""
        return raw

    def choice(self, name: str, known: Sequence[str], default: str) -> str:
        raw = self._raw(name)
        if not raw or raw in known:
            return raw or default
        self._fell_back(name, raw, f"known: {', '.join(known[:8]) or 'none'}")
        return default

    def normaliser(self, name: str, default: str) -> str:
        raw = self._raw(name)
        try:
            return searchable(raw) if raw else default
        except SettingsError as error:
            self._fell_back(name, raw, short(str(error), 100))
            return default

    def number(self, name: str, low: float, high: float, default: float | None) -> float | None:
        raw = self._raw(name)
        if not raw:
            return default
        try:
            value = float(raw)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            self._fell_back(name, raw, f"a number from {low:g} to {high:g} is expected")
            return default
        return value

    def whole(self, name: str, low: int, high: int, default: int | None) -> int | None:
        raw = self._raw(name)
        if not raw:
            return default
        if not (raw.isascii() and raw.isdigit() and len(raw) <= 12 and low <= int(raw) <= high):
            self._fell_back(name, raw, f"a whole number from {low} to {high} is expected")
            return default
        return int(raw)

    def _fell_back(self, name: str, raw: str, hint: str) -> None:
        self.problems.append(
            f"The link's {name}={short(raw)} cannot be used ({hint}); the default stands in."
        )


def _is_ours(key: str) -> bool:
    """Gradio keeps names with two underscores for itself (?__theme=dark)."""
    return not key.startswith("__")


def short(text: str, limit: int = 30) -> str:
    """At most `limit` printable characters of a text that came from outside."""
    text = "".join(character for character in text if character.isprintable())
    return text if len(text) <= limit else text[: limit - 1] + "…"
