"""SearchResult -> a file to take away: CSV, JSON, or one HTML page that reads without scripts.

An evaluation's sampled queries make such a page too, with the same cards.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.answers import SearchResult
from retrieval.cards import (
    Media,
    card_html,
    column_html,
    columns_html,
    is_merged,
    move_html,
    rank_text,
    status_html,
    unknown_words_html,
)
from retrieval.gallery import Item

if TYPE_CHECKING:
    from retrieval.reports.ranking_page import RankingPage, Shown, Spread

ASSETS = Path(__file__).resolve().parents[1] / "assets"
STYLES = ASSETS / "style.css", ASSETS / "export.css"  # of the app, and of pages to take away
COLUMNS = (
    *("query_id", "query", "method", "rank", "video_id", "score"),
    *("raw_rank", "is_ground_truth", "k_occurrence"),
)
IMAGE_TYPES = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp"}
BAND_NAMES = ("1", "2 to 5", "6 to 10", "11 to 50", "beyond 50")  # as RankingPage counts them
RANKS = (
    "Ranks count from 1, and equal similarities share their mean rank; the place counted from 0 "
    "stands in each query's <code>data-rank-from-0</code>."
)
HIDDEN = "Which video is correct is left out."
TONES = 4  # colours that several captions of one video take turns in
# Hundreds of players at once are slow, so a click puts one in; without scripts the link leads to
# the clip. One without a still shows its first frame once it is near the window.
PLAYERS = """
addEventListener("click", (event) => {
  const link = event.target.closest(".hl-play:not(.hl-unplayable)");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const clip = document.createElement("video");
  Object.assign(clip, {src: link.href, controls: true, autoplay: true, playsInline: true});
  clip.setAttribute("aria-label", link.getAttribute("aria-label"));
  clip.onerror = () => {
    link.classList.add("hl-unplayable");
    clip.replaceWith(link);
  };
  link.replaceWith(clip);
  clip.focus();
});
const near = new IntersectionObserver((entries) => {
  for (const {target, isIntersecting} of entries) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    const still = document.createElement("video");
    Object.assign(still, {src: target.href + "#t=0.1", preload: "metadata", muted: true});
    target.prepend(still);
  }
}, {rootMargin: "300px"});
for (const link of document.querySelectorAll(".hl-play:not(:has(img))")) near.observe(link);
"""
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a cell that starts like this


def to_csv(result: SearchResult) -> str:
    """One row per shown video and ranking; `raw_rank` is the rank in the first ranking."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for side, ranking in enumerate(result.rankings):
        for card in ranking.results:
            raw_rank = card.rank if side == 0 else card.other_rank
            writer.writerow(
                [
                    *(_cell(result.query_id or ""), _cell(result.query), ranking.normaliser),
                    *(card.rank, _cell(card.id), repr(card.score)),
                    *(raw_rank, card.is_ground_truth, card.k_occurrence),
                ]
            )
    return out.getvalue()


def to_json(result: SearchResult) -> str:
    """The same object as `search --json` and the API give."""
    return json.dumps(result.to_dict(), ensure_ascii=False, indent=1)


def to_html(
    result: SearchResult,
    items: Mapping[str, Item],
    posters: Callable[[str], str | None],
    clip: Callable[[str], str | None],
    address: str = "",
    heard: bool = False,
) -> str:
    """One self-contained page: cards, posters, captions; clips are links to where they lie.

    Args:
        result: what to show.
        items: item id -> item.
        posters: item id -> data URI.
        clip: item id -> address of the clip, used for items that have one.
        address: link back to the live view.
        heard: clips are listened to.
    """

    def known_clip(item_id: str) -> str | None:
        item = items.get(item_id)
        return clip(item_id) if item is not None and item.clip is not None else None

    media = Media(poster=posters, clip=known_clip, scripted=False, heard=heard)
    back = f'<p class="hl-note"><a href="{escape(address)}">Open the live view</a></p>'
    return _page(
        result.query,
        f"<h1>“{escape(result.query)}”</h1>"
        f"{status_html(result)}{unknown_words_html(result)}"
        f'<div class="hl-frame">{columns_html(result, items, media)}</div>'
        f"{_settings_html(result)}{back if address else ''}",
    )


def _page(title: str, body: str, script: str = "") -> str:
    """A whole page around some HTML, with the style sheets in it."""
    style = "\n".join(path.read_text(encoding="utf-8") for path in STYLES)
    return (
        '<!doctype html>\n<html lang="en" style="color-scheme: light dark">\n<head>'
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)} · Hublens</title>\n"
        f"<style>\n{style}</style>"
        f'</head>\n<body class="hl-page"><main>{body}</main>'
        f"{f'<script>{script}</script>' if script else ''}</body>\n</html>\n"
    )


def poster_uris(items: Mapping[str, Item]) -> Callable[[str], str | None]:
    """Posters as data URIs, read when asked for."""

    def uri(item_id: str) -> str | None:
        item = items.get(item_id)
        if item is None or item.poster is None:
            return None
        kind = IMAGE_TYPES.get(item.poster.suffix.lower())
        if kind is None or not item.poster.is_file():
            return None
        encoded = base64.b64encode(item.poster.read_bytes()).decode("ascii")
        return f"data:image/{kind};base64,{encoded}"

    return uri


def _settings_html(result: SearchResult) -> str:
    rows = {**result.to_dict()["settings"], "beta_used": result.beta_used}
    rows |= {"videos": result.n_gallery, "bank captions": result.n_bank}
    cells = "".join(
        f"<tr><th scope='row'>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>"
        for name, value in rows.items()
    )
    return f"<details><summary>Settings</summary><table>{cells}</table></details>"


def _cell(text: str) -> str:
    return "'" + text if text.startswith(FORMULA) else text


# ---- the ranking page of an evaluation -----------------------------------------------------------


def rankings_html(page: RankingPage, media: Media) -> str:
    """One self-contained page: metrics, then every sampled query with its videos.

    Args:
        page: what was sampled.
        media: where stills and clips lie, seen from the page.
    """
    n = len(page.shown)
    epoch = "" if page.epoch is None else f", epoch {page.epoch}"
    items = "videos" if page.medium == "video" else "clips that are heard"
    body = [
        f"<h1>{escape(page.experiment)}{epoch}</h1>",
        f'<p class="hl-note">{escape(page.where)}: {page.n_queries:,} queries, '
        f"{page.n_items:,} {items}. {escape(' '.join(page.banks))}</p>",
        _figures_html(page),
        _spreads_html(page),
        f'<p class="hl-note">{n:,} of {page.n_queries:,} queries, drawn with seed {page.seed}. '
        f"{HIDDEN if page.hide_truth else RANKS}</p>",
        _contents_html(page),
        *(_shown_html(number, one, media) for number, one in enumerate(page.shown, start=1)),
    ]
    return _page(f"Experiment name = {page.experiment}", "".join(body), PLAYERS)


def _figures_html(page: RankingPage) -> str:
    names = ("R@1", "R@5", "R@10", "R@50", "MdR", "MnR", "Geom")
    head = "".join(f"<th scope='col'>{name}</th>" for name in names)
    rows = "".join(
        f"<tr><th scope='row'>{escape(title)}</th>"
        + "".join(f"<td>{metrics[name]:.1f}</td>" for name in names)
        + "</tr>"
        for title, metrics in page.figures.items()
    )
    return (
        '<div class="hl-data hl-wide" tabindex="0" role="region" aria-label="Metrics">'
        f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _spreads_html(page: RankingPage) -> str:
    """Where the correct videos stand, a bar a ranking."""
    bars = "".join(_spread_html(spread) for spread in page.spreads)
    keys = "".join(
        f'<li><i class="hl-band-{i}"></i>{name}</li>' for i, name in enumerate(BAND_NAMES)
    )
    return (
        '<figure class="hl-spreads"><figcaption>Rank of the correct video, share of all queries'
        f'</figcaption>{bars}<ul class="hl-bands" aria-hidden="true">{keys}</ul></figure>'
    )


def _spread_html(spread: Spread) -> str:
    total = sum(spread.counts)
    shares = [100 * count / total for count in spread.counts]
    words = ", ".join(
        f"{name}: {share:.1f} %" for name, share in zip(BAND_NAMES, shares, strict=True)
    )
    parts = "".join(
        f'<i class="hl-band-{i}" style="width:{share:.2f}%" title="{name}: {share:.1f} %"></i>'
        for i, (name, share) in enumerate(zip(BAND_NAMES, shares, strict=True))
        if share
    )
    title = escape(spread.title)
    return (
        f'<div class="hl-spread"><span>{title}</span>'
        f'<span class="hl-stack" role="img" aria-label="{title}, by rank: {words}">{parts}</span>'
        "</div>"
    )


def _contents_html(page: RankingPage) -> str:
    rows = "".join(
        f'<li><a href="#q{number}">{escape(" ".join(one.sentences))}</a>{_moved_html(one)}</li>'
        for number, one in enumerate(page.shown, start=1)
    )
    return f"<details><summary>All queries of this page</summary><ol>{rows}</ol></details>"


def _moved_html(one: Shown) -> str:
    """Rank of the correct video, and what became of it; "" where it is hidden."""
    truth = one.result.ground_truth
    if truth is None:
        return ""
    before, after = rank_text(truth.left_rank), rank_text(truth.right_rank)
    if one.result.settings.right == "none":
        return f' <span class="hl-note">rank <b>{before}</b></span>'
    return (
        f' <span class="hl-note">rank <b>{before} → {after}</b> '
        f"{move_html(truth.left_rank, truth.right_rank)}</span>"
    )


def _shown_html(number: int, one: Shown, media: Media) -> str:
    """One query: its captions, the correct video, and the best of each ranking."""
    result, blind = one.result, one.truth is None
    alone = result.settings.right == "none"
    first, *more = one.sentences
    others = ""
    if one.others:
        summary = f"{len(one.others):,} other captions of this video"
        others = f"<details><summary>{summary}</summary>{_sentences_html(one.others)}</details>"
    own = '<p class="hl-elsewhere">Hidden video</p>'
    place = ""
    if one.truth is not None:
        card = card_html(one.truth, None, media, is_right=False, width=100, blind=False)
        own = f'<ol class="hl-cards">{card}</ol>'
        place = f' data-rank-from-0="{one.truth.rank - 1}"'
    left, right = result.rankings
    of = f", query {number}"
    if alone or is_merged(result):
        both = "" if alone else f", and with {right.title}: the same"
        columns = column_html(left, result, {}, media, f"{left.title}{both}", "", blind, of)
    else:
        titles = (left.title, f"With {right.title}")
        columns = "".join(
            column_html(ranking, result, {}, media, title, "", blind, of)
            for ranking, title in zip((left, right), titles, strict=True)
        )
    return (
        f'<section class="hl-asked{" hl-alone" if alone else ""}" id="q{number}"{place}>'
        f"<h2>{number}. “{escape(first)}”{_moved_html(one)}</h2>"
        f"{_sentences_html(more) if more else ''}{others}"
        f'<p class="hl-note">{escape(result.reason)}</p>'
        f'<div class="hl-strip"><div class="hl-own"><h2>Ground truth</h2>{own}</div>'
        f'<div class="hl-ranked" tabindex="0" role="group" aria-label="Rankings{of}">{columns}'
        "</div></div></section>"
    )


def _sentences_html(sentences: Sequence[str]) -> str:
    lines = "".join(
        f'<li class="hl-tone-{i % TONES}">{escape(text)}</li>' for i, text in enumerate(sentences)
    )
    return f'<ul class="hl-sentences">{lines}</ul>'
