"""The query box, the settings and the tab Compare: one query, two rankings, and why they differ.

This module lays the components out and connects them; what they do is in `handlers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import gradio as gr

from retrieval.answers import MAX_QUERY, MAX_TOP
from retrieval.normalisers import SEARCHABLE
from retrieval.tabs import links
from retrieval.tabs.context import Context, every_own_knob, guarded, labels_of, own_knobs
from retrieval.tabs.handlers import Handlers
from retrieval.tabs.library import Library
from retrieval.tabs.links import View
from retrieval.tabs.pieces import live

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
    methods = [(kind.title, name) for name, kind in SEARCHABLE.items()]
    gr.HTML(
        f'<header class="hl-top"><h1>{escape(title)}</h1>{menu_html(library)}</header>',
        elem_id="title",
        apply_default_css=False,
    )
    bridge = gr.HTML(
        {"link": "", "history": "", "why": ""},
        html_template="<span hidden></span>",
        js_on_load=BRIDGE_JS,
        apply_default_css=False,
        elem_id="bridge",
    )
    bank = gr.Dropdown(
        banks,
        value=banks[0] if banks else None,
        visible=len(banks) > 1,
        label="Querybank",
        allow_custom_value=True,  # one of the model before is no error; `Context.read` checks
        elem_id="bank",
    )
    query = gr.Textbox(
        label="Query",
        placeholder="Describe a video in a sentence",
        lines=1,
        max_lines=1,
        max_length=20 * MAX_QUERY,  # so that a long paste is not cut unseen: `validate` tells
        submit_btn="Search",
        elem_id="query",
    )
    note = gr.HTML("", elem_id="unknown", apply_default_css=False)
    chips = gr.HTML("", elem_id="chips", apply_default_css=False)
    with gr.Accordion("Settings", open=False, elem_id="settings"):
        with gr.Row():
            left, left_knobs = _build_side("left", methods, links.LEFT)
            right, right_knobs = _build_side("right", methods, links.RIGHT)
            with gr.Column(min_width=240):
                top = gr.Slider(1, MAX_TOP, View.n, step=1, label="Videos shown", elem_id="top")
        with gr.Row():
            scale_free = gr.Checkbox(
                True,
                label="Scale-free beta",
                info="1 / standard deviation of the querybank's similarities, or the method's own",
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
                max(1, library.n_bank(first, bank.value or "")),  # a fast visitor's search reads it
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
        left_knobs=left_knobs,
        right_knobs=right_knobs,
    )


def menu_html(library: Library) -> str:
    """The choice of a model, or of a gallery; "" where there is one only.

    A plain menu in the page's own heading: it costs a visitor no component of Gradio's, and the
    page's script opens what is chosen like any other link. It can be used once that is there.
    """
    if len(library.titles) < 2:
        return ""
    label, keeps = ("Model", " data-keeps") if library.is_of_models else ("Gallery", "")
    options = "".join(
        f'<option value="{escape(name)}">{escape(title)}</option>'
        for name, title in library.titles.items()
    )
    menu = f"<select data-menu{keeps} disabled>{options}</select>"
    return f'<label class="hl-menu">{label} {menu}</label>'


def _build_side(
    side: str, methods: list, first: str
) -> tuple[gr.Dropdown, dict[str, gr.Number | gr.Checkbox]]:
    """A column's menu, and a field for every setting that some normaliser of it has."""
    own = own_knobs(first)
    with gr.Column(min_width=240):
        menu = gr.Dropdown(methods, value=first, label=f"{side.capitalize()} column", elem_id=side)
        with gr.Row():
            fields = {
                name: (gr.Checkbox if knob.kind is bool else gr.Number)(
                    own.get(name, knob).default,
                    visible=name in own,
                    min_width=150,
                    elem_id=f"{side}-{name.replace('_', '-')}",
                    **labels_of(own.get(name, knob)),
                )
                for name, knob in every_own_knob().items()
            }
    return menu, fields


def build(context: Context) -> Parts:
    """The Compare tab: status, strength, both rankings, the answer to "Why?"."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            status = gr.HTML(
                live("<p class='hl-status'>Opening the page …</p>"),
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
    handlers = Handlers(context)
    ranked = [
        *(parts.status, parts.results, parts.why, context.note, context.bridge, context.scene),
        *(context.scale_free, context.beta),
    ]
    knobs = [*context.left_knobs.values(), *context.right_knobs.values()]
    methods = [context.left, context.right, *knobs]
    view = [
        *(context.query, context.chips, context.bank),
        *(context.k, context.bank_size, context.top, context.strength),
        *(context.blind, *methods),
    ]
    everything = [*ranked, context.tabs, *view]
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    latest = {"trigger_mode": "always_last", **quiet}
    # "always_last" would run a deferred event without its data, so these run each time.
    each = {"trigger_mode": "multiple", **quiet}
    opened = {"outputs": everything, "concurrency_id": "link", "concurrency_limit": 8}
    n_outputs = len(everything)
    load = page.load(guarded(handlers.load, n_outputs), None, **opened, **quiet)
    context.query.submit(
        handlers.search,
        [context.query, context.bridge, *context.settings],
        [*ranked, context.tabs, context.chips],
        validator=handlers.validate,
        cancels=[load],  # whoever types that fast wants no example any more
        concurrency_id="search",
        concurrency_limit=8,
        **{**each, "show_progress": "minimal", "show_progress_on": [parts.status]},
    )
    context.bridge.apply(guarded(handlers.apply, n_outputs), context.bridge, **opened, **each)
    context.bank.input(
        guarded(handlers.pick_bank, n_outputs),
        [context.bridge, *context.settings],
        **opened,
        **latest,
    )
    rerank = {"concurrency_id": "rerank", "concurrency_limit": 4}
    for side in ("left", "right"):
        getattr(context, side).input(
            handlers.pick_method(side),
            [context.bridge, *context.settings],
            [*ranked, *methods],
            **rerank,
            # Some take seconds to fit when they are first asked for.
            **{**latest, "show_progress": "minimal", "show_progress_on": [parts.status]},
        )
    for component in context.settings:
        if component not in (context.bank, context.left, context.right):
            component.input(
                handlers.own_beta if component is context.beta else handlers.rerank,
                [context.bridge, *context.settings],
                ranked,
                **rerank,
                **latest,
            )
    context.bridge.why(
        guarded(handlers.why, 2), context.bridge, [parts.why, context.bridge], **rerank, **each
    )
    for name, tab in tabs.items():
        tab.select(
            guarded(handlers.show_tab(name), 2),
            context.bridge,
            [context.bridge, context.scene],
            **quiet,
        )
