"""What stands around the cards of the tab Compare: tools, example queries, the line of settings.

All of it is HTML made of the view and of what the library holds; nothing here answers an event.
"""

from __future__ import annotations

from html import escape

from retrieval.answers import SearchResult
from retrieval.cards import Media
from retrieval.engine import normaliser_of
from retrieval.tabs import links, models
from retrieval.tabs.kept_clips import clip_url
from retrieval.tabs.library import Library, Waiting
from retrieval.tabs.links import View
from retrieval.tabs.media import media_url


def tools_html(library: Library, view: View) -> str:
    """Previous and next query, the link, the three downloads."""
    before, after = library.neighbours(view.gallery, view.query_id)
    steps = "".join(
        f'<a class="hl-button" data-open data-step="{step}" '
        f'href="{escape(_address(view, query_id))}">{words}</a>'
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


def chips_html(library: Library, gallery: str, bank: str) -> str:
    """Example queries as plain links, which work without any script too."""
    ids = library.examples(gallery, bank)
    chips = "".join(
        f'<li><a data-open href="{escape(links.build(View(query_id=known, gallery=gallery)))}">'
        f"{escape(library.stored_text(gallery, known) or '')}</a></li>"
        for known in ids
    )
    chips = f'<nav class="hl-chips" aria-label="Example queries"><ul>{chips}</ul></nav>'
    return chips if ids else ""


def _address(view: View, query_id: str) -> str:
    """Address of a stored query; the page's script adds the settings in use."""
    return links.build(View(query_id=query_id, gallery=view.gallery, bank=view.bank))


def page_media(library: Library, view: View) -> Media:
    """Addresses of a gallery's posters and clips, and of the visitor's own, on the page."""
    items = library.items(view.gallery)
    home, at_home = library.media_home(view.gallery)
    own = library.engine(view.gallery, view.bank, view.clip).joined

    def address(kind: str):
        def of(item_id: str) -> str | None:
            mine = own.get(item_id)
            path = getattr(mine or items.get(item_id), kind, None)
            if path is None:
                return None
            if mine is not None:
                return clip_url(view.clip, kind)
            # The same file has one address, whichever model found it: browsers keep it.
            shared = getattr(at_home.get(item_id), kind, None) == path
            return media_url(home if shared else view.gallery, kind, item_id)

        return of

    heard = models.is_heard(library.manifests[view.gallery])
    return Media(poster=address("poster"), clip=address("clip"), heard=heard)


def live(html: str) -> str:
    """A region that a screen reader reads out when its words change."""
    return f'<div role="status" aria-live="polite">{html}</div>'


def loading_html(waiting: Waiting) -> str:
    """What a view waits for, and since when."""
    return (
        f'<p class="hl-status hl-loading">Loading {escape(waiting.what)} ({waiting.seconds:.0f} s '
        f"so far). {escape(waiting.hint)}</p>"
    )


def settings_line(result: SearchResult) -> str:
    """What the right column was made with, beta with its value and unit."""
    parts = [f"{result.n_gallery:,} videos"]
    if result.beta_used is not None:
        asked = normaliser_of(result.settings.right, result.settings).beta
        origin = ", scale-free" if asked is None else ""
        parts.append(f"beta {result.beta_used:.4g} per unit of similarity{origin}")
    if result.n_bank:
        parts += [f"k {result.settings.k}", f"{result.n_bank:,} bank captions"]
        parts.append(f"strength {result.settings.strength:.2f}")
    spent = sum(result.timings_ms.values())
    parts.append(f"ranked in {spent:.0f} ms" if spent >= 1 else f"ranked in {spent:.1f} ms")
    return f'<p class="hl-note hl-settings-line">{" · ".join(parts)}</p>'
