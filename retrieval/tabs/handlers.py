"""Events of the page -> what it shows next.

Three things reach the server: a typed search, a changed setting, and a link (opened, stepped back
to, or clicked). All end in `_answer`, so a view looks the same whichever way it was reached.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from html import escape

import gradio as gr

from retrieval.answers import SearchResult, clean_query
from retrieval.cards import columns_html, status_html, unknown_words_html
from retrieval.errors import QueryError, RetrievalError, SettingsError
from retrieval.tabs import links
from retrieval.tabs.context import (
    Context,
    has_knobs,
    knob_updates,
    log_unexpected,
    scene_of,
    sentence,
    settings_of,
)
from retrieval.tabs.library import Waiting
from retrieval.tabs.links import View
from retrieval.tabs.pieces import (
    chips_html,
    live,
    loading_html,
    page_media,
    settings_line,
    tools_html,
)
from retrieval.why import explanation_html

BRIDGE = 4  # its place among the outputs `ranked`, see wire
DRAWN_S = 1.0  # until a browser has drawn a first page
_answers = itertools.count(1)


class Handlers:
    """What runs on the server; holds nothing of any visitor."""

    def __init__(self, context: Context):
        self.context = context
        self.library = context.library
        self.n_ranked = 8  # outputs of an answer, see wire
        self.n_methods = 2 + len(context.left_knobs) + len(context.right_knobs)
        self.n_everything = self.n_ranked + 9 + self.n_methods

    # -- events ---------------------------------------------------------------------------------

    def validate(self, text, bridge, *settings):
        """Marks the query box and leaves the old results alone when the text cannot be asked."""
        fine = gr.validate(True, "")
        try:
            clean_query(text)
            told = fine
        except QueryError as error:
            told = gr.validate(False, sentence(error))
        return [told, *[fine] * (1 + len(settings))]

    def search(self, text, bridge, *settings) -> list:
        """A typed query."""

        shown = self._view_of(bridge)

        def view() -> View:
            asked = self.context.read(shown.gallery, *settings)
            asked = replace(asked, q=clean_query(text), clip=shown.clip)
            if shown.query_id and self.library.is_open(shown.gallery):
                stored = self.library.stored_text(asked.gallery, shown.query_id)
                if stored == asked.q:  # the box still holds the stored query's words
                    return replace(asked, q="", query_id=shown.query_id)
            return asked

        ranked = in_turn(self._answer(view, bridge, "push"), BRIDGE, bridge)
        chips = self._chips_of(shown.gallery, settings[0])
        return [*ranked, gr.update(selected="compare"), chips]

    def rerank(self, bridge, *settings, beta_moved: bool = False) -> list:
        """The query on the page under other settings; its vector is in the engine's cache."""

        def view() -> View:
            shown = self._view_of(bridge)
            asked = self.context.read(shown.gallery, *settings)
            return replace(asked, **_kept_of(shown))

        ranked = self._answer(view, bridge, _kept_history(bridge), beta_moved)
        return in_turn(ranked, BRIDGE, bridge)

    def own_beta(self, bridge, *settings) -> list:
        """Moving the beta slider leaves the scale-free value."""
        settings = list(settings)
        settings[self.context.settings.index(self.context.scale_free)] = False
        return self.rerank(bridge, *settings, beta_moved=True)

    def pick_method(self, side: str):
        """A handler for another normaliser in the column `side`: it starts with its own defaults,
        and its settings are shown in the place of those of the one before.
        """
        fields = getattr(self.context, f"{side}_knobs")
        places = [n for n, each in enumerate(self.context.settings) if each in fields.values()]

        def pick(bridge, *settings) -> list:
            settings = [None if n in places else value for n, value in enumerate(settings)]
            ranked = self.rerank(bridge, *settings)
            try:
                view = self.context.read(self._view_of(bridge).gallery, *settings)
            except RetrievalError:  # told already
                return [*ranked, *[gr.skip()] * self.n_methods]
            return [*ranked, *self._method_updates(view)]

        return pick

    def pick_bank(self, bridge, *settings) -> list:
        """Another querybank ranks the same query again, with all of its captions."""
        settings = list(settings)
        settings[self.context.settings.index(self.context.bank_size)] = None
        shown = self._view_of(bridge)
        try:
            view = self.context.read(shown.gallery, *settings)
        except RetrievalError as error:
            gr.Warning(sentence(error))
            view = shown
        view = replace(view, **_kept_of(shown))
        return in_turn(self._open(links.build(view), bridge, _kept_history(bridge)), BRIDGE, bridge)

    def apply(self, bridge, event: gr.EventData) -> list:
        """A link that was clicked, or stepped back to."""
        asked = event._data if isinstance(event._data, dict) else {}
        history = asked.get("history")
        if history not in ("push", "replace"):
            history = ""
        opened = self._open(str(asked.get("search", ""))[:4000], bridge, history)
        return in_turn(opened, BRIDGE, bridge, asked)

    def load(self, request: gr.Request) -> list:
        """The page was opened; its address says on what."""
        shown = self._open(str(request.query_params)[:4000], None, "replace")
        self.library.load_encoders(after_s=DRAWN_S)
        return shown

    def why(self, bridge, event: gr.EventData) -> list:
        """The panel for one video of the ranking on the page."""
        asked = event._data if isinstance(event._data, dict) else {}
        video_id = str(asked.get("id", ""))
        view = self._view_of(bridge)
        return in_turn([self._explain(view, video_id), self._bridge(view, "", video_id)], 1, bridge)

    def show_tab(self, name: str):
        """A handler for opening tab `name`."""

        def show(bridge) -> list:
            if not (bridge or {}).get("link"):
                # The page opens its first tab by itself, before the link that was asked for is
                # applied; answering would put the defaults in that link's place.
                return [gr.skip(), gr.skip()]
            view = replace(self._view_of(bridge), tab=name)
            if "again" in bridge:  # it is drawn when what it waits for is there
                waits = {**bridge, "again": links.build(view), "answer": next(_answers)}
                return in_turn([waits, gr.skip()], 0, bridge)
            shown = self._bridge(view, "replace", str(bridge.get("why", "")))
            return in_turn([shown, scene_of(view)], 0, bridge)

        return show

    # -- answers --------------------------------------------------------------------------------

    def _open(self, search: str, bridge, history: str) -> list:
        """Everything for a link; a part that cannot be used is named and its default stands in."""
        view, problems = self.context.parse(search)
        bridge = {**bridge, "why": ""} if isinstance(bridge, dict) else {}
        unchanged = [gr.skip()] * (self.n_everything - self.n_ranked)
        try:
            waiting = self.library.waiting(view.gallery, typed=bool(view.clip))
            if waiting is not None:
                return [*self._come_again(view, waiting, bridge, history), *unchanged]
            view = self._usable(view, problems)
        except Exception as error:  # its gallery cannot be opened, or what else it is
            return [*self._refused(error, view, bridge), *unchanged]
        for problem in problems[:3]:
            gr.Warning(problem)
        ranked = self._answer(lambda: view, bridge, history)
        if bridge.get("link") and self.context.shown(ranked[BRIDGE]).gallery != view.gallery:
            return [*ranked, *unchanged]  # the page still shows another model
        return [*ranked, gr.update(selected=view.tab), *self._view_updates(view)]

    def _usable(self, view: View, problems: list[str]) -> View:
        """A view that can be answered; what is not as asked is added to `problems`."""
        library = self.library
        if view.query_id and library.stored_text(view.gallery, view.query_id) is None:
            # Another model's query is asked in its own words.
            words = library.text_elsewhere(view.gallery, view.query_id)
            if words is None:
                problems.append(
                    f"The link's query {links.short(view.query_id)!r} is not among the stored "
                    "queries."
                )
            view = replace(view, query_id="", q=words or "")
        view = self._with_clip(view, problems)
        engine = self.context.engine(view)
        try:
            settings_of(view).validated(len(engine.gallery), engine.n_bank or None)
        except SettingsError as error:  # what is too large for this gallery or this bank
            problems.append(f"The link cannot be used as it is: {error}; the default stands in.")
            view = replace(view, k=1, bank_size=None)
        if view.q and not engine.has_encoder:
            try:
                engine.rank(view.q)
            except QueryError as error:
                problems.append(sentence(error))
                view = replace(view, q="")
        if not view.q and not view.query_id:
            view = replace(view, query_id=(library.examples(view.gallery, view.bank) or [""])[0])
        return view

    def _with_clip(self, view: View, problems: list[str]) -> View:
        """A view without the visitor's clip where that cannot be ranked, which `problems` tells."""
        try:
            self.context.engine(view)
        except RetrievalError as error:
            if not view.clip:
                raise
            problems.append(f"{sentence(error)}. It is left out here.")
            view = replace(view, clip="")
        return view

    def _answer(self, make_view, bridge, history: str, beta_moved: bool = False) -> list:
        """Rank and show; a refusal is a toast, and the old results stay.

        Args:
            make_view: gives the view, or raises what is wrong with it.
            bridge: what the page's script knows, see `_bridge`; None on a page with no results yet.
            history: what becomes of the address: "push", "replace" or "".
            beta_moved: the beta slider is being moved, so it is not written to.
        """
        bridge = bridge if isinstance(bridge, dict) else {}
        view = None
        try:
            view = make_view()
            waiting = self.library.waiting(view.gallery, typed=bool(view.q or view.clip))
            if waiting is not None:
                return self._come_again(view, waiting, bridge, history)
            if not view.q and not view.query_id:
                return self._nothing_asked(view, history)
            problems: list[str] = []
            view = self._with_clip(view, problems)
            for problem in problems:
                gr.Warning(problem)
            result = self.context.engine(view).rank(
                view.q or None, query_id=view.query_id or None, settings=settings_of(view)
            )
            return self._ranked(view, result, history, str(bridge.get("why", "")), beta_moved)
        except Exception as error:
            return self._refused(error, view, bridge)

    def _refused(self, error: Exception, view: View | None, bridge: dict) -> list:
        """The outputs `ranked` where there is no answer: the old results stay.

        The status tells what is wrong where it spoke of this view, or where a model was chosen
        that is not shown; a toast tells the rest.
        """
        # The server must go on, whatever one event met.
        told = sentence(error) if isinstance(error, RetrievalError) else log_unexpected()
        shown = self.context.shown(bridge).gallery
        if view is not None and view.gallery != shown:
            why = str(error) if isinstance(error, RetrievalError) else told.rstrip(".")
            told = f"{self.library.titles[view.gallery]} cannot be shown: {why}."
            if bridge.get("link"):
                told += f" The page stays with {self.library.titles[shown]}."
        else:
            gr.Warning(told)
            if bridge.get("link") and "again" not in bridge:
                return [gr.skip()] * self.n_ranked
        settled = {"link": "", "why": "", "title": "", **bridge, "history": ""}
        settled.pop("again", None)
        skip = [gr.skip()] * (self.n_ranked - 5)
        return [
            live(f'<p class="hl-status hl-failed">{escape(told)}</p>'),
            *(gr.skip(), gr.skip(), gr.skip()),
            {**settled, "answer": next(_answers)},  # the menu shows again what the page does
            *skip,
        ]

    def _come_again(self, view: View, waiting: Waiting, bridge: dict, history: str) -> list:
        """Says what is loading; the page's script asks again in a moment.

        No thread waits here, and whatever the visitor does next takes the place of this query.
        """
        again = {"again": links.build(view), "history": history, "waited_s": waiting.seconds}
        again["answer"] = next(_answers)
        skip = [gr.skip()] * (self.n_ranked - 2)
        return [
            live(loading_html(waiting)),
            *skip[:3],
            {"link": "", "why": "", "title": "", **bridge, **again},
            *skip[3:],
        ]

    def _ranked(
        self, view: View, result: SearchResult, history: str, why: str, beta_moved: bool
    ) -> list:
        """The outputs `ranked` for an answer; a slider that is being moved is not written to."""
        if result.query_id and not view.query_id:  # typed words that are a stored query
            view = replace(view, q="", query_id=result.query_id)
        panel = self._explain(view, why) if why else ""
        beta = view.beta or result.beta_used
        # Both columns use it, where they have one at all.
        has_beta = any("beta" in has_knobs(word) for word in (view.left, view.right))
        shown = gr.update(visible=has_beta)
        return [
            live(status_html(result, view.blind)),
            self._results_html(view, result),
            panel,
            unknown_words_html(result),
            self._bridge(view, history, why),
            scene_of(view),
            gr.update(value=view.beta is None, visible=has_beta),
            shown
            if beta is None or beta_moved
            else gr.update(value=round(beta, 2), visible=has_beta),
        ]

    def _nothing_asked(self, view: View, history: str) -> list:
        """A gallery without stored queries starts empty."""
        hint = "Type a sentence to see both rankings."
        if not self.library.has_encoder(view.gallery):
            hint = "This gallery has no text encoder and no stored queries; it cannot be asked."
        return [
            live(f'<p class="hl-status">{hint}</p>'),
            *("", "", ""),
            self._bridge(view, history),
            scene_of(view),
            *(gr.skip(), gr.skip()),
        ]

    def _explain(self, view: View, video_id: str) -> str:
        """The "Why?" panel of a video."""
        engine, settings = self.context.engine(view), settings_of(view)
        asked = {"query": view.q or None, "query_id": view.query_id or None}
        answer = engine.explain(video_id, settings, **asked)
        return explanation_html(answer, engine.rank(settings=settings, **asked))

    def _results_html(self, view: View, result: SearchResult) -> str:
        media = page_media(self.library, view)
        columns = columns_html(result, self.library.items(view.gallery), media, view.blind)
        return f"{tools_html(self.library, view)}{columns}{settings_line(result)}"

    def _chips_of(self, gallery: str, bank: object) -> str | dict:
        """The example queries; they stay where the gallery is not open, or has no such bank."""
        if not self.library.is_open(gallery) or (bank and bank not in self.library.names[gallery]):
            return gr.skip()
        return chips_html(self.library, gallery, str(bank or ""))

    def _view_updates(self, view: View) -> list:
        """The outputs `view`: every component shows what the link says."""
        text = view.q or self.library.stored_text(view.gallery, view.query_id) or ""
        n_bank = self.library.n_bank(view.gallery, view.bank)
        n_gallery = self.library.n_items(view.gallery)
        banks = self.library.names[view.gallery]
        return [
            gr.update(value=text) if text else gr.skip(),
            self._chips_of(view.gallery, view.bank),
            gr.update(choices=banks, value=view.bank or None, visible=len(banks) > 1),
            gr.update(value=view.k, maximum=min(links.MAX_K, n_gallery)),
            gr.update(
                value=view.bank_size or max(n_bank, 1),
                maximum=max(n_bank, 2),
                interactive=n_bank > 0,
            ),
            gr.update(value=view.n),
            gr.update(value=view.strength),
            view.blind,
            *self._method_updates(view),
        ]

    def _method_updates(self, view: View) -> list:
        """The outputs `methods`: both menus and the settings of what they show."""
        return [
            gr.update(value=view.left.partition(":")[0]),
            gr.update(value=view.right.partition(":")[0]),
            *knob_updates(view.left, self.context.left_knobs),
            *knob_updates(view.right, self.context.right_knobs),
        ]

    def _bridge(self, view: View, history: str, why: str = "") -> dict:
        """What the page's script must know: the link, and what to do with it."""
        text = view.q or self.library.stored_text(view.gallery, view.query_id) or ""
        return {
            "link": links.build(view),
            "history": history,
            "why": why,
            "title": text,
            "answer": next(_answers),  # the script is told of a second, equal answer too
        }

    def _view_of(self, bridge) -> View:
        """The view that a visitor's page waits for, else the one that it shows."""
        if isinstance(bridge, dict) and bridge.get("again"):
            return self.context.parse(str(bridge["again"])[:4000])[0]
        return self.context.shown(bridge)


def in_turn(outputs: list, at: int, bridge, asked: dict | None = None) -> list:
    """Outputs with the bridge at place `at` saying what its answer was asked for after.

    Events are answered side by side, and a slow answer may arrive when the page has moved on; the
    page's script then carries the change over, see `follow` there.

    Args:
        outputs: of an event.
        at: place of the bridge among them.
        bridge: as the page had it when it asked.
        asked: the numbers that the script has sent with a link: "turn", its own, and "after".
    """
    told = outputs[at]
    if not isinstance(told, dict) or "answer" not in told:  # a skip
        return outputs
    asked, known = asked or {}, bridge if isinstance(bridge, dict) else {}
    after = asked.get("after") or known.get("answer")
    numbers = {"after": after, "turn": asked.get("turn")}
    kept = {name: number for name, number in numbers.items() if type(number) is int}
    rest = {name: value for name, value in told.items() if name not in numbers}
    return [*outputs[:at], {**rest, **kept}, *outputs[at + 1 :]]


def _kept_of(shown: View) -> dict[str, str]:
    """What no setting is: it stays when one is changed."""
    return {name: getattr(shown, name) for name in ("q", "query_id", "tab", "clip")}


def _kept_history(bridge) -> str:
    """A setting changes the address in place; what is still awaited enters it as it would have."""
    waits = isinstance(bridge, dict) and "again" in bridge
    return str(bridge.get("history", "")) if waits else "replace"
