"""The query box, the settings and the tab Compare: one query, two rankings, and why they differ.

Three things reach the server: a typed search, a changed setting, and a link (opened, stepped back
to, or clicked). All end in `_answer`, so a view looks the same whichever way it was reached.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape
from urllib.parse import urlencode

import gradio as gr

from retrieval.answers import SearchResult, clean_query
from retrieval.cards import Media, columns_html, explanation_html, status_html, unknown_words_html
from retrieval.errors import QueryError, RetrievalError
from retrieval.normalisers import NORMALISERS
from retrieval.tabs import links
from retrieval.tabs.context import (
    Context,
    Library,
    guarded,
    log_unexpected,
    scene_of,
    sentence,
    settings_of,
)
from retrieval.tabs.links import View
from retrieval.tabs.media import media_url

POLL_S = 0.5  # seconds between two lines of the "loading" status
WAIT_S = 120.0  # seconds that a typed query waits for the text encoder
BETA_SLIDER = (0.5, 200.0)  # per unit of similarity
BRIDGE_JS = """
window.hublens.connect({
  apply: (data) => trigger('apply', data),
  why: (data) => trigger('why', data),
});
watch('value', () => window.hublens.follow(props.value));
"""
KEYS = (
    ("/", "query"),
    ("j k", "move"),
    ("⏎", "why"),
    ("space", "play"),
    ("[ ]", "previous, next query"),
)


@dataclass
class Parts:
    """The components of the Compare tab."""

    status: gr.HTML
    results: gr.HTML
    why: gr.HTML


def build_top(library: Library, title: str) -> Context:
    """Everything above the tabs; the components of the returned context are empty until a link
    is applied.
    """
    names = library.names
    first = next(iter(names))
    banks = names[first]
    methods = [(_method_title(name), name) for name in NORMALISERS]
    gr.HTML(f"<header class='hl-top'><h1>{escape(title)}</h1></header>", elem_id="title")
    bridge = gr.HTML(
        {"link": "", "history": "", "why": ""},
        html_template="<span hidden></span>",
        js_on_load=BRIDGE_JS,
        apply_default_css=False,
        elem_id="bridge",
    )
    with gr.Row(visible=len(names) > 1 or any(len(fit) > 1 for fit in names.values())):
        gallery = gr.Dropdown(list(names), value=first, label="Gallery", elem_id="gallery")
        bank = gr.Dropdown(
            banks, value=banks[0] if banks else None, label="Querybank", elem_id="bank"
        )
    query = gr.Textbox(
        label="Query",
        placeholder="Describe a video in a sentence",
        lines=1,
        max_lines=1,
        max_length=links.MAX_QUERY,
        submit_btn="Search",
        elem_id="query",
    )
    note = gr.HTML("", elem_id="unknown", apply_default_css=False)
    chips = gr.HTML("", elem_id="chips", apply_default_css=False)
    with gr.Accordion("Settings", open=False, elem_id="settings"):
        with gr.Row():
            left = gr.Dropdown(methods, value=links.LEFT, label="Left column", elem_id="left")
            right = gr.Dropdown(methods, value=links.RIGHT, label="Right column", elem_id="right")
            top = gr.Slider(1, links.MAX_TOP, View.n, step=1, label="Videos shown", elem_id="top")
        with gr.Row():
            scale_free = gr.Checkbox(
                True,
                label="Scale-free beta",
                info="1 / standard deviation of the querybank's similarities",
                elem_id="scale-free",
            )
            beta = gr.Slider(
                *BETA_SLIDER,
                20.0,
                step=0.1,
                label="Beta",
                info="Per unit of similarity; the paper's is 20",
                elem_id="beta",
            )
            k = gr.Slider(
                1,
                20,
                1,
                step=1,
                label="k",
                info="A bank caption votes for its k best videos",
                elem_id="k",
            )
            bank_size = gr.Slider(
                1,
                library.most_bank_captions,
                1,
                step=1,
                label="Bank captions",
                info="How many of the querybank are used",
                elem_id="bank-size",
            )
        blind = gr.Checkbox(
            False,
            label="Blind",
            info="Hide which column is which, and every mark that would tell",
            elem_id="blind",
        )
    strength = gr.Slider(
        0.0,
        1.0,
        1.0,
        step=0.01,
        label="Strength: 0 raw, 1 normalised",
        elem_id="strength",
        render=False,
    )
    return Context(
        library=library,
        query=query,
        note=note,
        chips=chips,
        gallery=gallery,
        bank=bank,
        left=left,
        right=right,
        scale_free=scale_free,
        beta=beta,
        k=k,
        bank_size=bank_size,
        top=top,
        blind=blind,
        strength=strength,
        bridge=bridge,
        scene=gr.State(None),
    )


def build(context: Context) -> Parts:
    """The Compare tab: status, strength, both rankings, the answer to "Why?"."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            status = gr.HTML(
                _live("<p class='hl-status'>Opening the page …</p>"),
                elem_id="status",
                apply_default_css=False,
            )
        with gr.Column(scale=2, min_width=280):
            context.strength.render()
    results = gr.HTML("", elem_id="results", apply_default_css=False)
    why = gr.HTML("", elem_id="why", apply_default_css=False)
    keys = " ".join(f"<span><kbd>{escape(key)}</kbd> {word}</span>" for key, word in KEYS)
    gr.HTML(
        f'<p class="hl-keys">{keys} <button type="button" data-help><kbd>?</kbd> help</button></p>',
        elem_id="keys",
        apply_default_css=False,
    )
    return Parts(status, results, why)


def wire(context: Context, parts: Parts, page: gr.Blocks, tabs: dict[str, gr.Tab]) -> None:
    """Connect the events; every one of them is private, the API has its own function."""
    handlers = _Handlers(context)
    ranked = [
        *(parts.status, parts.results, parts.why, context.note, context.bridge, context.scene),
        *(context.scale_free, context.beta),
    ]
    view = [
        *(context.query, context.chips, context.gallery, context.bank, context.left),
        *(context.right, context.k, context.bank_size, context.top, context.strength),
        context.blind,
    ]
    private = {"api_visibility": "private", "show_progress_on": [parts.status]}
    context.query.submit(
        handlers.search,
        [context.query, context.bridge, *context.settings],
        [*ranked, context.tabs],
        validator=handlers.validate,
        concurrency_id="search",
        concurrency_limit=8,
        trigger_mode="always_last",
        show_progress="hidden",
        **private,
    )
    for component in context.settings:
        if component is context.gallery:
            continue
        component.input(
            handlers.own_beta if component is context.beta else handlers.rerank,
            [context.bridge, *context.settings],
            ranked,
            concurrency_id="rerank",
            concurrency_limit=4,
            trigger_mode="always_last",
            show_progress="hidden",
            **private,
        )
    context.gallery.input(
        handlers.pick_gallery,
        context.gallery,
        [*ranked, context.tabs, *view],
        concurrency_id="link",
        concurrency_limit=8,
        show_progress="hidden",
        **private,
    )
    context.bridge.apply(
        handlers.apply,
        None,
        [*ranked, context.tabs, *view],
        concurrency_id="link",
        concurrency_limit=8,
        trigger_mode="always_last",
        show_progress="hidden",
        **private,
    )
    context.bridge.why(
        guarded(handlers.why, 2),
        context.bridge,
        [parts.why, context.bridge],
        concurrency_id="rerank",
        concurrency_limit=4,
        trigger_mode="always_last",
        show_progress="hidden",
        **private,
    )
    for name, tab in tabs.items():
        tab.select(
            guarded(handlers.show_tab(name), 2),
            context.bridge,
            [context.bridge, context.scene],
            show_progress="hidden",
            api_visibility="private",
        )
    page.load(
        handlers.load,
        None,
        [*ranked, context.tabs, *view],
        concurrency_id="link",
        concurrency_limit=8,
        show_progress="hidden",
        **private,
    )


class _Handlers:
    """What runs on the server; holds nothing of any visitor."""

    def __init__(self, context: Context):
        self.context = context
        self.library = context.library
        self.n_ranked = 8  # outputs of an answer, see wire

    # -- events ---------------------------------------------------------------------------------

    def validate(self, text, bridge, *settings):
        """Marks the query box and leaves the old results alone when the text cannot be asked."""
        try:
            clean_query(text)
        except QueryError as error:
            return gr.validate(False, sentence(error))
        return gr.validate(True, "")

    def search(self, text, bridge, *settings) -> Iterator[list]:
        """A typed query."""

        def view() -> View:
            asked = replace(self.context.read(*settings), q=clean_query(text))
            shown = self._view_of(bridge)
            if shown.query_id and shown.gallery == asked.gallery:
                stored = self.library.stored_text(asked.gallery, shown.query_id)
                if stored == asked.q:  # the box still holds the stored query's words
                    return replace(asked, q="", query_id=shown.query_id)
            return asked

        for ranked in self._answer(view, "push"):
            yield [*ranked, gr.Tabs(selected="compare")]

    def rerank(self, bridge, *settings) -> Iterator[list]:
        """The query on the page under other settings; its vector is in the engine's cache."""

        def view() -> View:
            shown = self._view_of(bridge)
            asked = self.context.read(*settings)
            return replace(asked, q=shown.q, query_id=shown.query_id, tab=shown.tab)

        yield from self._answer(view, "replace", why=str((bridge or {}).get("why", "")))

    def own_beta(self, bridge, *settings) -> Iterator[list]:
        """Moving the beta slider leaves the scale-free value."""
        settings = list(settings)
        settings[self.context.settings.index(self.context.scale_free)] = False
        yield from self.rerank(bridge, *settings)

    def pick_gallery(self, gallery) -> Iterator[list]:
        """Another gallery starts with its own worked example."""
        yield from self._open("?" + urlencode({"gallery": str(gallery)}), "push")

    def apply(self, event: gr.EventData) -> Iterator[list]:
        """A link that was clicked, or stepped back to."""
        asked = event._data if isinstance(event._data, dict) else {}
        history = "push" if asked.get("history") == "push" else ""
        yield from self._open(str(asked.get("search", ""))[:4000], history)

    def load(self, request: gr.Request) -> Iterator[list]:
        """The page was opened; its address says on what."""
        yield from self._open(str(request.query_params)[:4000], "replace")

    def why(self, bridge, event: gr.EventData) -> list:
        """The panel for one video of the ranking on the page."""
        asked = event._data if isinstance(event._data, dict) else {}
        video_id = str(asked.get("id", ""))
        view = self._view_of(bridge)
        return [self._explain(view, video_id), self._bridge(view, "", video_id)]

    def show_tab(self, name: str):
        """A handler for opening tab `name`."""

        def show(bridge) -> list:
            view = replace(self._view_of(bridge), tab=name)
            return [
                self._bridge(view, "replace", str((bridge or {}).get("why", ""))),
                scene_of(view),
            ]

        return show

    # -- answers --------------------------------------------------------------------------------

    def _open(self, search: str, history: str) -> Iterator[list]:
        """Everything for a link; a part that cannot be used is named and its default stands in."""
        view, problems = self.context.parse(search)
        if view.query_id and self.library.stored_text(view.gallery, view.query_id) is None:
            problems.append(
                f"The link's query {links.short(view.query_id)!r} is not among the stored queries."
            )
            view = replace(view, query_id="")
        if not view.q and not view.query_id:
            view = replace(
                view, query_id=(self.library.examples(view.gallery, view.bank) or [""])[0]
            )
        for problem in problems[:3]:
            gr.Warning(problem)
        updates = [gr.Tabs(selected=view.tab), *self._view_updates(view)]
        for ranked in self._answer(lambda: view, history):
            yield [*ranked, *updates]
            updates = [gr.skip()] * len(updates)

    def _answer(self, make_view, history: str, why: str = "") -> Iterator[list]:
        """Rank and show; says that the encoder is loading while it is; a refusal is a toast."""
        skip = [gr.skip()] * self.n_ranked
        try:
            view = make_view()
            if not view.q and not view.query_id:
                yield self._nothing_asked(view, history)
                return
            slot = self.library.encoder(view.gallery)
            if view.q and slot is not None and not slot.ready:
                slot.load_in_background()
                started = time.monotonic()
                while slot.loading and time.monotonic() - started < WAIT_S:
                    waited = time.monotonic() - started
                    yield [_live(_loading_html(waited)), *skip[1:]]
                    time.sleep(POLL_S)
            engine = self.context.engine(view)
            result = engine.rank(
                view.q or None, query_id=view.query_id or None, settings=settings_of(view)
            )
            yield self._ranked(view, result, history, why)
        except RetrievalError as error:
            gr.Warning(sentence(error))
            yield skip
        except Exception:  # the server must go on, whatever one event met
            gr.Warning(log_unexpected())
            yield skip

    def _ranked(self, view: View, result: SearchResult, history: str, why: str) -> list:
        """The outputs `ranked` for an answer."""
        if result.query_id and not view.query_id:  # typed words that are a stored query
            view = replace(view, q="", query_id=result.query_id)
        panel = self._explain(view, why) if why else ""
        own_beta = view.beta is not None or result.beta_used is None
        return [
            _live(status_html(result, view.blind)),
            self._results_html(view, result),
            panel,
            unknown_words_html(result),
            self._bridge(view, history, why),
            scene_of(view),
            view.beta is None,
            gr.skip() if own_beta else gr.Slider(value=round(result.beta_used, 2)),
        ]

    def _nothing_asked(self, view: View, history: str) -> list:
        """A gallery without stored queries starts empty."""
        hint = "Type a sentence to see both rankings."
        if self.library.encoder(view.gallery) is None:
            hint = "This gallery has no text encoder and no stored queries; it cannot be asked."
        return [
            _live(f'<p class="hl-status">{hint}</p>'),
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
        media = page_media(self.library, view.gallery)
        columns = columns_html(result, self.library.items(view.gallery), media, view.blind)
        return f"{self._tools_html(view)}{columns}{_settings_line(result)}"

    def _tools_html(self, view: View) -> str:
        """Previous and next query, the link, the three downloads."""
        before, after = self.library.neighbours(view.gallery, view.query_id)
        steps = "".join(
            f'<a class="hl-button" data-open data-step="{step}" '
            f'href="{escape(self._href(view, query_id))}">{words}</a>'
            for step, query_id, words in (
                ("-1", before, "‹ Previous query"),
                ("1", after, "Next query ›"),
            )
            if query_id
        )
        here = escape(links.build(view))
        downloads = "".join(
            f'<a class="hl-button" href="download/view.{kind}{here}" download '
            f'aria-label="Download this view as {kind.upper()}">{kind.upper()}</a>'
            for kind in ("csv", "json", "html")
        )
        return (
            f'<div class="hl-tools" role="group" aria-label="This view">{steps}'
            '<span class="hl-share-link"><input class="hl-link" readonly aria-label="Link to this '
            'view" value=""><button type="button" class="hl-button" data-copy>Copy link</button>'
            f"</span>{downloads}</div>"
        )

    def _chips_html(self, view: View) -> str:
        """Example queries as plain links, which work without any script too."""
        ids = self.library.examples(view.gallery, view.bank)
        queries = self.library.gallery(view.gallery).queries
        chips = "".join(
            f'<li><a data-open href="{escape(self._href(view, query_id))}">'
            f"{escape(queries.texts[queries.rows[query_id]])}</a></li>"
            for query_id in ids
        )
        return (
            f'<nav class="hl-chips" aria-label="Example queries"><ul>{chips}</ul></nav>'
            if ids
            else ""
        )

    def _href(self, view: View, query_id: str) -> str:
        """Address of a stored query; the page's script adds the settings in use."""
        return links.build(View(query_id=query_id, gallery=view.gallery, bank=view.bank))

    def _view_updates(self, view: View) -> list:
        """The outputs `view`: every component shows what the link says."""
        text = view.q or self.library.stored_text(view.gallery, view.query_id) or ""
        n_bank = self.context.n_bank(view.gallery, view.bank)
        n_gallery = len(self.library.gallery(view.gallery).items)
        banks = self.library.names[view.gallery]
        return [
            gr.Textbox(value=text) if text else gr.skip(),
            self._chips_html(view),
            gr.Dropdown(value=view.gallery),
            gr.Dropdown(choices=banks, value=view.bank or None),
            gr.Dropdown(value=view.left),
            gr.Dropdown(value=view.right),
            gr.Slider(value=view.k, maximum=min(links.MAX_K, n_gallery)),
            gr.Slider(
                value=view.bank_size or n_bank, maximum=max(n_bank, 2), interactive=n_bank > 0
            ),
            gr.Slider(value=view.n),
            gr.Slider(value=view.strength),
            view.blind,
        ]

    def _bridge(self, view: View, history: str, why: str = "") -> dict:
        """What the page's script must know: the link, and what to do with it."""
        text = view.q or self.library.stored_text(view.gallery, view.query_id) or ""
        return {"link": links.build(view), "history": history, "why": why, "title": text}

    def _view_of(self, bridge) -> View:
        """The view on the visitor's page, as the bridge brings it back."""
        link = bridge.get("link", "") if isinstance(bridge, dict) else ""
        return self.context.parse(str(link)[:4000])[0]


def page_media(library: Library, gallery: str) -> Media:
    """Addresses of a gallery's posters and clips on the page."""
    items = library.items(gallery)

    def address(kind: str):
        def of(item_id: str) -> str | None:
            item = items.get(item_id)
            known = item is not None and getattr(item, kind) is not None
            return media_url(gallery, kind, item_id) if known else None

        return of

    return Media(poster=address("poster"), clip=address("clip"))


def _live(html: str) -> str:
    """A region that a screen reader reads out when its words change."""
    return f'<div role="status" aria-live="polite">{html}</div>'


def _loading_html(waited_s: float) -> str:
    return (
        '<p class="hl-status hl-loading">Loading the text encoder, about 10 s the first time '
        f"({waited_s:.0f} s so far). Example queries already work.</p>"
    )


def _settings_line(result: SearchResult) -> str:
    """What the right column was made with, beta with its value and unit."""
    parts = [f"{result.n_gallery:,} videos"]
    if result.beta_used is not None:
        origin = "" if result.settings.beta is not None else ", scale-free"
        parts.append(f"beta {result.beta_used:.4g} per unit of similarity{origin}")
    if result.n_bank:
        parts += [f"k {result.settings.k}", f"{result.n_bank:,} bank captions"]
        parts.append(f"strength {result.settings.strength:.2f}")
    spent = sum(result.timings_ms.values())
    parts.append(f"ranked in {spent:.0f} ms" if spent >= 1 else f"ranked in {spent:.1f} ms")
    return f'<p class="hl-note hl-settings-line">{" · ".join(parts)}</p>'


def _method_title(name: str) -> str:
    return NORMALISERS[name].title
