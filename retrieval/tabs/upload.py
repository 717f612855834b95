"""Tab Upload: a visitor's own clip, watched by the chosen model and ranked among the gallery.

Only the name of a clip travels, in the link; see `kept_clips.py`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from html import escape

import gradio as gr

from retrieval.answers import FittingCaptions, SearchResult, expert_title
from retrieval.arrival import Arrival, Cancelled, Clip
from retrieval.cards import move_html, rank_text
from retrieval.engine import Engine
from retrieval.errors import RetrievalError
from retrieval.formats.limits import VIDEOS
from retrieval.normalisers import title_of
from retrieval.tabs import links
from retrieval.tabs.charts import heading, html
from retrieval.tabs.context import Context, guarded, log_unexpected, sentence, settings_of
from retrieval.tabs.kept_clips import Clips, clip_url
from retrieval.tabs.links import View
from retrieval.tabs.pieces import live
from retrieval.watching import DRAWN, get_ready, is_of_drawn_films
from retrieval.why import MISSING

LOOK_EVERY_S = 0.25
N_CAPTIONS = 5  # bank captions that are named in a column
INTRODUCTION = f"""<p>
Bring a video (mp4, mov, webm, mkv, avi, gif; up to {VIDEOS.file_bytes >> 20} MB). The model that is
chosen above watches its first {VIDEOS.used_s:.0f} seconds, and it is ranked among the gallery for
every query, under every model. It stays on this server for at most one hour and joins no gallery
that others see; who has the link of your page sees it, too.</p>
"""
CANCELLED = "Cancelled; nothing was added."
SHOW_FILE = "() => ({ __type__: 'update', visible: true })"
JOIN_JS = "watch('value', () => window.hublens.join(props.value.clip));"


def build(context: Context, clips: Clips, tab: gr.Tab) -> None:
    """Build the view inside the container that is open, which is `tab`'s."""
    heading("Your own clip")
    html(INTRODUCTION, elem_id="upload-text")
    # Out of sight, so that its scripts are loaded when the tab is opened.
    file = gr.File(label="Video", elem_id="upload-file", min_width=280, visible=False)
    with gr.Row():
        run = gr.Button("Add to the gallery", variant="primary", elem_id="upload-run")
        cancel = gr.Button("Cancel", interactive=False, elem_id="upload-cancel")
        remove = gr.Button("Remove my clip", visible=False, elem_id="upload-remove")
    status = html(live(""), elem_id="upload-status")
    about = html(elem_id="upload-about")
    joining = gr.HTML(
        {"clip": "", "n": 0},
        html_template="<span hidden></span>",
        js_on_load=JOIN_JS,
        apply_default_css=False,
        elem_id="upload-joining",
    )
    everything = [status, run, cancel, remove, about, joining]

    def busy(told: str, going_on: bool) -> list:
        buttons = [gr.Button(interactive=not going_on), gr.Button(interactive=going_on)]
        return [live(told), *buttons, *[gr.skip()] * 3]

    def bring(request: gr.Request, path, bridge) -> Iterator[list]:
        try:
            yield from brought(request.session_hash or "", path, context.shown(bridge))
            return
        except Cancelled:
            told = CANCELLED
        except RetrievalError as error:
            told = sentence(error)
            gr.Warning(told)
        except Exception:  # the server must go on, whatever one file brought
            told = log_unexpected()
            gr.Warning(told)
        yield busy(f'<p class="hl-status">{escape(told)}</p>', going_on=False)

    def brought(session: str, path, view: View) -> Iterator[list]:
        base = context.library.engine(view.gallery, view.bank)
        arrival, begun = clips.begin(session, path, base.load_encoder), time.monotonic()
        try:
            while not arrival.done.wait(LOOK_EVERY_S):
                yield busy(progress_html(arrival, time.monotonic() - begun), going_on=True)
            name = clips.keep(arrival.clip())
        finally:
            clips.end(session, arrival)
        if view.clip:
            clips.drop(view.clip)  # one at a time
        view = replace(view, clip=name)
        took = f"Added in {time.monotonic() - begun:.1f} s: ask for it above, or look at Compare."
        yield [
            *busy(f'<p class="hl-status hl-stepped">{took}</p>', going_on=False)[:3],
            gr.Button(visible=True),
            about_html(context, clips, view),
            {"clip": name, "n": time.monotonic_ns()},
        ]

    def stop(request: gr.Request) -> list:
        stopped = clips.cancel(request.session_hash or "")
        told = CANCELLED if stopped else "Nothing is going on."
        return busy(f'<p class="hl-status">{told}</p>', going_on=False)[:3]

    def take_away(bridge) -> list:
        clips.drop(context.shown(bridge).clip)
        told = '<p class="hl-status">Your clip was deleted.</p>'
        gone = {"clip": "", "n": time.monotonic_ns()}
        return [live(told), gr.skip(), gr.skip(), gr.Button(visible=False), "", gone]

    def look(bridge) -> list:
        view = context.shown(bridge)
        if view.tab != "upload":
            return [gr.skip(), gr.skip()]
        if context.library.gallery(view.gallery).encoder.experts:
            get_ready()
        return [gr.Button(visible=bool(view.clip)), about_html(context, clips, view)]

    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    tab.select(None, None, file, js=SHOW_FILE, **quiet)
    run.click(
        bring,
        [file, context.bridge],
        everything,
        concurrency_id="clips",
        concurrency_limit=2,
        trigger_mode="once",
        **quiet,
    )
    cancel.click(guarded(stop, 3), None, [status, run, cancel], concurrency_id="cancel", **quiet)
    remove.click(guarded(take_away, len(everything)), context.bridge, everything, **quiet)
    # What is said of a clip follows the model and the query on the page.
    context.scene.change(
        guarded(look, 2), context.bridge, [remove, about], trigger_mode="always_last", **quiet
    )


def progress_html(arrival: Arrival, spent_s: float) -> str:
    """What is being done with a clip."""
    told = f"{escape(arrival.step)} … ({spent_s:.0f} s)"
    return f'<p class="hl-status hl-loading">{told}</p>'


def about_html(context: Context, clips: Clips, view: View) -> str:
    """What the model on the page makes of the visitor's clip; "" without one."""
    if not view.clip:
        return ""
    try:
        clip, engine = clips.get(view.clip), context.engine(view)
    except RetrievalError as error:
        return f'<p class="hl-status hl-failed">{escape(sentence(error))}.</p>'
    (item_id,) = engine.joined
    parts = [
        f'<h2 class="hl-id">{escape(item_id)}</h2>',
        f"<p>{_facts(clip)}</p>",
        _experts_html(engine),
    ]
    if view.q or view.query_id:
        asked = {"query": view.q or None, "query_id": view.query_id or None}
        parts.append(_rank_html(engine.rank(settings=settings_of(view), **asked), item_id, view))
    parts.append(_captions_html(engine, item_id, view))
    encoder = engine.load_encoder()
    if is_of_drawn_films(encoder):
        model = context.library.titles[view.gallery]
        parts.append(f'<p class="hl-note">{escape(model)} {DRAWN}.</p>')
    return (
        f'<section class="hl-mine" aria-label="Your clip">{_still_html(engine, item_id, view)}'
        f"<div>{''.join(parts)}</div></section>"
    )


def _facts(clip: Clip) -> str:
    info = clip.info
    sound = "with a sound track" if info.has_audio else "without sound"
    size = f"{info.width} × {info.height}, {info.fps:.3g} frames/s"
    told = f"{info.duration_s:.1f} s, {size}, {sound}."
    if clip.is_cut:
        told += f" Only its first {clip.limits.used_s:.0f} s are used."
    return told


def _still_html(engine: Engine, item_id: str, view: View) -> str:
    item = engine.joined[item_id]
    image = f'<img src="{clip_url(view.clip, "poster")}" alt="" width="224" height="168">'
    if item.clip is None:
        return f'<div class="hl-still">{image}<span class="hl-note">No copy to play.</span></div>'
    return (
        '<div class="hl-still"><button type="button" class="hl-play" '
        f'data-clip="{clip_url(view.clip, "clip")}" aria-label="Play {escape(item_id)}">{image}'
        '<span class="hl-triangle" aria-hidden="true">▶</span></button></div>'
    )


def _experts_html(engine: Engine) -> str:
    """Which experts the clip has; "" for a model that has none."""
    space = engine.gallery.space
    if not space.experts:
        return ""
    there = space.weights(engine.gallery.video_emb[-1]) > 0
    has = [expert_title(name) for name, found in zip(space.experts, there, strict=True) if found]
    lacks = [
        f"{expert_title(name)} ({MISSING.get(name.split('.')[0], 'not found')})"
        for name, found in zip(space.experts, there, strict=True)
        if not found
    ]
    told = f"<p>Experts that have something of it: {escape(', '.join(has))}."
    return f"{told} Missing: {escape(', '.join(lacks))}.</p>" if lacks else f"{told}</p>"


def _rank_html(result: SearchResult, item_id: str, view: View) -> str:
    """Where it stands for the query on the page."""
    left, right = (
        next(card.rank for card in ranking.results if card.id == item_id)
        for ranking in result.rankings
    )
    names = [title_of(ranking.normaliser) for ranking in result.rankings]
    link = escape(links.build(replace(view, tab="compare")))
    return (
        f"<p>For <q>{escape(result.query)}</q> it is number <b>{rank_text(left)}</b> of "
        f"{result.n_gallery:,} ({escape(names[0])}) and <b>{rank_text(right)}</b> "
        f"({escape(names[1])}) {move_html(left, right)} "
        f'<a class="hl-button" data-open href="{link}">See both rankings</a></p>'
    )


def _captions_html(engine: Engine, item_id: str, view: View) -> str:
    """The bank captions that fit it best, under both normalisers."""
    found = engine.captions(item_id, settings_of(view), N_CAPTIONS)
    if found is None:
        return ""
    columns = "".join(
        f"<section><h3>{escape(each.title)}</h3><ol>{_lines(each)}</ol></section>" for each in found
    )
    return (
        "<p>Captions of the querybank that fit it best; what is taken off a caption is how well it "
        f'fits the gallery\'s videos:</p><div class="hl-fitting">{columns}</div>'
        f"{_untouched(found[1]) if view.strength else ''}"
    )


def _lines(found: FittingCaptions) -> str:
    return "".join(
        f"<li><q>{escape(each.caption)}</q> "
        f'<span class="hl-note">{"score" if found.applied else "similarity"} {each.score:.3f}'
        "</span></li>"
        for each in found.captions
    )


def _untouched(right: FittingCaptions) -> str:
    """Why the right column is that of the similarities, where it is not by choice."""
    if right.applied or right.normaliser == "none":
        return ""
    return (
        f"<p>{escape(right.title)} changes nothing here: no video of the gallery has the best of "
        "these captions as its own.</p>"
    )
