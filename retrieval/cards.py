"""SearchResult -> HTML: two ranked lists of cards and the status line.

The page and the exported file show the same cards; they differ only in where posters and clips come
from. Every word from outside (captions, ids, queries) passes `html.escape` here and nowhere else:
a template of the browser would run `${...}` in a caption as code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit

from retrieval.answers import Ranking, Result, SearchResult
from retrieval.gallery import OWN, Item

BAR_FLOOR = 6  # percent of the bar that the last card of a column keeps


def nowhere(item_id: str) -> str | None:
    """No address: the card is shown without media."""
    return None


@dataclass(frozen=True)
class Media:
    """Where the cards' pictures come from: item id -> address, or None where there is none."""

    poster: Callable[[str], str | None] = nowhere
    clip: Callable[[str], str | None] = nowhere
    scripted: bool = True  # a script puts the player in; else a link leads to the clip
    heard: bool = False  # clips are listened to: a player of their sound, and the still covered


def rank_text(rank: float) -> str:
    """1 -> "1", 2.5 -> "2.5" (a shared rank)."""
    return f"{rank:.0f}" if rank == int(rank) else f"{rank:.1f}"


def move_words(before: float, after: float) -> str:
    """How a video moved, in words: "up 3", "down 2", "unchanged"."""
    change = before - after
    if change == 0:
        return "unchanged"
    return f"{'up' if change > 0 else 'down'} {rank_text(abs(change))}"


def move_html(before: float, after: float) -> str:
    """The change marker: an arrow and a number to see, the words for a screen reader."""
    words = move_words(before, after)
    if words == "unchanged":
        return '<span class="hl-move hl-same">= unchanged</span>'
    direction, places = words.split()
    arrow = "▲" if direction == "up" else "▼"
    return (
        f'<span class="hl-move hl-{direction}"><span aria-hidden="true">{arrow}{places}</span>'
        f'<span class="hl-words">{words}</span></span>'
    )


def column_title(ranking: Ranking) -> str:
    """ "Raw similarity" or "With QB-Norm"."""
    return ranking.title if ranking.normaliser == "none" else f"With {ranking.title}"


def is_merged(result: SearchResult) -> bool:
    """True when the normaliser left the ranking alone and both columns show the same list."""
    if result.active or result.settings.strength == 0:  # at 0 the columns wait for the slider
        return False
    left, right = result.rankings
    return [card.id for card in left.results] == [card.id for card in right.results]


def status_html(result: SearchResult, blind: bool = False) -> str:
    """The line that says whether the normaliser stepped in, and what became of the truth."""
    if blind:
        return (
            '<p class="hl-status">Blind: which list answers the query better? Untick “Blind” in '
            "the settings to see which is which.</p>"
        )
    mark, word = ("●", "stepped") if result.active else ("○", "rested")
    parts = [
        f'<p class="hl-status hl-{word}"><span aria-hidden="true">{mark}</span> '
        f"{escape(result.reason)}</p>"
    ]
    truth = result.ground_truth
    if truth is not None:
        before, after = rank_text(truth.left_rank), rank_text(truth.right_rank)
        parts.append(
            f'<p class="hl-truth"><span class="hl-check" aria-hidden="true">✓</span> '
            f"Ground truth <b>{before} → {after}</b> "
            f"{move_html(truth.left_rank, truth.right_rank)}</p>"
        )
    if result.warning:
        parts.append(f'<p class="hl-note">{escape(result.warning)}.</p>')
    return "".join(parts)


def unknown_words_html(result: SearchResult) -> str:
    """Names the words of the query that the encoder never saw in training; "" when none."""
    if not result.unknown_words:
        return ""
    words = ", ".join(f'<b dir="auto">{escape(word)}</b>' for word in result.unknown_words)
    if not _known_part(result):
        return (
            f'<p class="hl-unknown">The model never saw any of {words} in training, and there is '
            "nothing else in this query: the ranking does not answer it.</p>"
        )
    noun = "word" if len(result.unknown_words) == 1 else "words"
    return (
        f'<p class="hl-unknown">The model never saw the {noun} {words} in training; '
        "the ranking rests on the rest of the sentence.</p>"
    )


def _known_part(result: SearchResult) -> str:
    """The letters and digits of a query outside its unknown words."""
    rest = result.query.casefold()
    for word in sorted(result.unknown_words, key=len, reverse=True):
        rest = rest.replace(word.casefold(), " ")
    return "".join(filter(str.isalnum, rest))


def columns_html(
    result: SearchResult, items: Mapping[str, Item], media: Media, blind: bool = False
) -> str:
    """Both rankings as labelled regions with ordered lists; one list when nothing changed.

    Args:
        result: the engine's answer.
        items: item id -> item of the gallery.
        media: where posters and clips come from.
        blind: hide which column is which, and all that would tell.
    """
    left, right = result.rankings
    if is_merged(result) and not blind:
        titles = [column_title(left), column_title(right)]
        title = (
            titles[0]
            if titles[0] == titles[1]
            else f"{titles[0]}, and {titles[1][0].lower()}{titles[1][1:]}"
        )
        note = "Both columns are the same, so they are shown once."
        column = column_html(left, result, items, media, title, note)
        return f'<div class="hl-columns hl-merged">{column}</div>'
    if blind:
        rankings = [left, right]
        if sum(map(ord, result.query)) % 2:  # the same query keeps its sides
            rankings.reverse()
        columns = [
            column_html(ranking, result, items, media, f"Ranking {letter}", "", blind=True)
            for letter, ranking in zip("AB", rankings, strict=True)
        ]
    else:
        note = "Bars are scaled inside this column; the columns have different scales."
        columns = [
            column_html(ranking, result, items, media, column_title(ranking), note)
            for ranking in (left, right)
        ]
    return f'<div class="hl-columns">{"".join(columns)}</div>'


def column_html(
    ranking: Ranking,
    result: SearchResult,
    items: Mapping[str, Item],
    media: Media,
    title: str,
    note: str,
    blind: bool = False,
    of: str = "",
) -> str:
    """One column: its heading and its ordered list; `blind` drops the appended ground truth.

    Where a page has columns of several queries, `of` tells a screen reader whose this one is.
    """
    shown = ranking.results[: result.settings.top] if blind else ranking.results
    scores = [card.score for card in shown]
    low, span = min(scores, default=0.0), max(scores, default=0.0) - min(scores, default=0.0)
    is_right = ranking is result.rankings[1]
    rows = []
    for place, card in enumerate(shown):
        if place >= result.settings.top:  # appended with their true ranks: the truth, one's own
            skipped = int(card.rank) - int(shown[place - 1].rank) - 1
            if skipped > 0:
                rows.append(f'<li class="hl-gap">⋮ {skipped:,} not shown</li>')
        width = 100 if not span else BAR_FLOOR + (100 - BAR_FLOOR) * (card.score - low) / span
        rows.append(card_html(card, items.get(card.id), media, is_right, width, blind))
    note_html = f'<p class="hl-note">{escape(note)}</p>' if note else ""
    return (
        f'<section class="hl-column" aria-label="{escape(title + of)}">'
        f"<h2>{escape(title)}</h2>{note_html}"
        f'<ol class="hl-cards" aria-label="{escape(title + of)}, best first">{"".join(rows)}</ol>'
        "</section>"
    )


def card_name(card: Result, is_right: bool, blind: bool = False) -> str:
    """What a screen reader says: "rank 1, video7032, ground truth, up 3, similarity 0.41"."""
    if blind:
        return f"rank {rank_text(card.rank)}, {card.id}"
    before, after = (card.other_rank, card.rank) if is_right else (card.rank, card.other_rank)
    parts = [f"rank {rank_text(card.rank)}", card.id]
    if card.is_ground_truth:
        parts.append("ground truth")
    if is_own(card):
        parts.append("yours")
    if card.is_hub:
        parts.append(f"hub, best match for {card.k_occurrence:,} bank captions")
    parts += [move_words(before, after), f"similarity {card.score:.2f}"]
    return ", ".join(parts)


def is_own(card: Result) -> bool:
    """Whether a video is the visitor's own."""
    return card.extras.get(OWN) is True


def card_html(
    card: Result, item: Item | None, media: Media, is_right: bool, width: float, blind: bool
) -> str:
    """One card: rank, still, badges, score, caption, "Why?"."""
    facts = [f'<span class="hl-id">{escape(card.id)}</span>']
    if card.is_ground_truth and not blind:
        facts.append('<span class="hl-badge hl-badge-truth">✓ ground truth</span>')
    if is_own(card):
        facts.append('<span class="hl-badge hl-badge-own">yours</span>')
    if card.is_hub and not blind:
        facts.append(
            f'<span class="hl-badge hl-badge-hub" title="Best match for {card.k_occurrence:,} '
            f'bank captions">HUB ×{card.k_occurrence:,}</span>'
        )
    lines = [f'<div class="hl-line">{"".join(facts)}</div>']
    if not blind:
        lines.append(_score_html(card, width) + _moves_html(card, is_right))
    clip = media.clip(card.id) if media.heard else None
    if clip is not None:
        lines.append(
            f'<audio controls preload="none" src="{escape(clip)}" '
            f'aria-label="Sound of {escape(card.id)}"></audio>'
        )
    if card.caption:
        lines.append(f'<p class="hl-caption">“{escape(card.caption)}”</p>')
    if not blind and media.scripted:
        lines.append(
            f'<button type="button" class="hl-why" data-why="{escape(card.id)}">'
            f'Why?<span class="hl-words"> {escape(card.id)}</span></button>'
        )
    truth = " hl-is-truth" if card.is_ground_truth and not blind else ""
    still = _still_html(card, item, media)
    bare = "" if still else " hl-bare"
    return (
        f'<li class="hl-card{truth}{bare}" value="{int(card.rank)}" tabindex="-1" '
        f'data-id="{escape(card.id)}" aria-label="{escape(card_name(card, is_right, blind))}">'
        f'<span class="hl-rank" aria-hidden="true">{rank_text(card.rank)}</span>{still}'
        f'<div class="hl-facts">{"".join(lines)}</div></li>'
    )


def _score_html(card: Result, width: float) -> str:
    return (
        f'<div class="hl-score"><span class="hl-number">{card.score:.3f}</span>'
        f'<span class="hl-bar" aria-hidden="true"><i style="width:{width:.0f}%"></i></span></div>'
    )


def _moves_html(card: Result, is_right: bool) -> str:
    """Where the card stands in either column, ties, and the strength at which it took over."""
    before, after = (card.other_rank, card.rank) if is_right else (card.rank, card.other_rank)
    if before == after:
        moved = move_html(before, after)
    else:
        was = f"was {rank_text(before)} → now {rank_text(after)}"
        moved = f"<span>{was}</span> {move_html(before, after)}"
    parts = [moved]
    if card.takes_over_at is not None:
        parts.append(
            f'<span class="hl-over" title="From this strength on it holds its place">'
            f"takes over at {card.takes_over_at:.2f}</span>"
        )
    if card.tied_with:
        noun = "other" if card.tied_with == 1 else "others"
        parts.append(f'<span class="hl-tied">tied with {card.tied_with} {noun}</span>')
    return f'<div class="hl-line hl-moves">{" ".join(parts)}</div>'


def _still_html(card: Result, item: Item | None, media: Media) -> str:
    """Poster with a play button; without a script, a link to the clip."""
    poster, clip = media.poster(card.id), media.clip(card.id)
    if poster is None and clip is None:
        return _missing_clip_html(item)
    size = 'width="224" height="168"'
    image = (
        f'<img src="{escape(poster)}" alt="" loading="lazy" decoding="async" {size}>'
        if poster is not None
        else ""
    )
    if media.heard:
        return _covered_html(card.id, image)
    if clip is None:
        return f'<div class="hl-still">{image}<span class="hl-note">Clip not shipped.</span></div>'
    if not media.scripted:
        name = f'aria-label="Clip {escape(card.id)}"'
        return (
            f'<div class="hl-still"><a class="hl-play" href="{escape(clip)}" {name}>{image}'
            f'<span class="hl-triangle" aria-hidden="true">▶</span></a></div>'
        )
    return (
        f'<div class="hl-still"><button type="button" class="hl-play" data-clip="{escape(clip)}" '
        f'aria-label="Play {escape(card.id)}">{image}'
        f'<span class="hl-triangle" aria-hidden="true">▶</span></button></div>'
    )


def _covered_html(item_id: str, image: str) -> str:
    """A still that is shown when asked for, so that it does not give away what is to be heard."""
    if not image:
        return ""
    words = '<span class="hl-when-shut">Show picture</span><span class="hl-when-open">Hide</span>'
    return (
        f'<details class="hl-still hl-covered"><summary>{words}<span class="hl-words"> of '
        f"{escape(item_id)}</span></summary>{image}</details>"
    )


def _missing_clip_html(item: Item | None) -> str:
    """A word and a link for clips that a licence keeps elsewhere; "" when nothing is known."""
    url = (item.extras or {}).get("url") if item is not None else None
    if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https"):
        return ""
    return (
        '<div class="hl-still hl-elsewhere"><span>Clip not shipped</span>'
        f'<a href="{escape(url)}" rel="noopener noreferrer" target="_blank">open at source</a>'
        "</div>"
    )
