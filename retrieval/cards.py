"""SearchResult -> HTML: two ranked lists of cards, the status line, and the answer to "Why?".

The page and the exported file show the same cards; they differ only in where posters and clips come
from. Every word from outside (captions, ids, queries) passes `html.escape` here and nowhere else:
a template of the browser would run `${...}` in a caption as code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit

from retrieval.engine import Explanation, Ranking, Result, SearchResult
from retrieval.gallery import Item

NOISY_BANK = 500  # captions; below this the share of a hub is estimated from too few
BAR_FLOOR = 6  # percent of the bar that the last card of a column keeps


def nowhere(item_id: str) -> str | None:
    """No address: the card is shown without media."""
    return None


@dataclass(frozen=True)
class Media:
    """Where the cards' pictures come from: item id -> address, or None where there is none."""

    poster: Callable[[str], str | None] = nowhere
    clip: Callable[[str], str | None] = nowhere
    scripted: bool = True  # a script puts the player in; else the browser's own controls stand there


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
    left, right = result.rankings
    same = [card.id for card in left.results] == [card.id for card in right.results]
    return same and not result.active and left.normaliser != right.normaliser


def status_html(result: SearchResult) -> str:
    """The line that says whether the normaliser stepped in, and what became of the truth."""
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
    if 0 < result.n_bank < NOISY_BANK:
        parts.append(
            f'<p class="hl-note">Bank has {result.n_bank:,} captions; below about {NOISY_BANK} '
            "the estimate of what is a hub is noisy.</p>"
        )
    return "".join(parts)


def unknown_words_html(result: SearchResult) -> str:
    """Names the words of the query that the encoder never saw in training; "" when none."""
    if not result.unknown_words:
        return ""
    words = ", ".join(f"<b>{escape(word)}</b>" for word in result.unknown_words)
    noun = "word" if len(result.unknown_words) == 1 else "words"
    return (
        f'<p class="hl-unknown">The model never saw the {noun} {words} in training; '
        "the ranking rests on the rest of the sentence.</p>"
    )


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
        title = f"{column_title(left)} and {column_title(right)[0].lower()}{column_title(right)[1:]}"
        note = "Both columns are the same, so they are shown once."
        column = _column_html(left, result, items, media, title, note)
        return f'<div class="hl-columns hl-merged">{column}</div>'
    if blind:
        rankings = [left, right]
        if sum(map(ord, result.query)) % 2:  # the same query keeps its sides
            rankings.reverse()
        columns = [
            _column_html(ranking, result, items, media, f"Ranking {letter}", "", blind=True)
            for letter, ranking in zip("AB", rankings, strict=True)
        ]
    else:
        note = "Bars are scaled inside this column; the columns have different scales."
        columns = [
            _column_html(ranking, result, items, media, column_title(ranking), note)
            for ranking in (left, right)
        ]
    return f'<div class="hl-columns">{"".join(columns)}</div>'


def _column_html(
    ranking: Ranking,
    result: SearchResult,
    items: Mapping[str, Item],
    media: Media,
    title: str,
    note: str,
    blind: bool = False,
) -> str:
    """One column: its heading and its ordered list; `blind` drops the appended ground truth."""
    shown = ranking.results[: result.settings.top] if blind else ranking.results
    scores = [card.score for card in shown]
    low, span = min(scores, default=0.0), max(scores, default=0.0) - min(scores, default=0.0)
    is_right = ranking is result.rankings[1]
    rows = []
    for place, card in enumerate(shown):
        if place == result.settings.top:  # the ground truth, appended with its true rank
            skipped = int(card.rank) - place - 1
            if skipped > 0:
                rows.append(f'<li class="hl-gap">⋮ {skipped:,} not shown</li>')
        width = 100 if not span else BAR_FLOOR + (100 - BAR_FLOOR) * (card.score - low) / span
        rows.append(_card_html(card, items.get(card.id), media, is_right, width, blind))
    note_html = f'<p class="hl-note">{escape(note)}</p>' if note else ""
    return (
        f'<section class="hl-column" aria-label="{escape(title)}">'
        f"<h2>{escape(title)}</h2>{note_html}"
        f'<ol class="hl-cards" aria-label="{escape(title)}, best first">{"".join(rows)}</ol>'
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
    if card.is_hub:
        parts.append(f"hub, best match for {card.k_occurrence:,} bank captions")
    parts += [move_words(before, after), f"similarity {card.score:.2f}"]
    return ", ".join(parts)


def _card_html(
    card: Result, item: Item | None, media: Media, is_right: bool, width: float, blind: bool
) -> str:
    """One card: rank, still, badges, score, caption, "Why?"."""
    facts = [f'<span class="hl-id">{escape(card.id)}</span>']
    if card.is_ground_truth and not blind:
        facts.append('<span class="hl-badge hl-badge-truth">✓ ground truth</span>')
    if card.is_hub and not blind:
        facts.append(
            f'<span class="hl-badge hl-badge-hub" title="Best match for {card.k_occurrence:,} '
            f'bank captions">HUB ×{card.k_occurrence:,}</span>'
        )
    lines = [f'<div class="hl-line">{"".join(facts)}</div>']
    if not blind:
        lines.append(_score_html(card, width) + _moves_html(card, is_right))
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
    """Poster with a play button; without a script, the browser's own player."""
    poster, clip = media.poster(card.id), media.clip(card.id)
    if poster is None and clip is None:
        return _missing_clip_html(item)
    size = 'width="224" height="168"'
    image = (
        f'<img src="{escape(poster)}" alt="" loading="lazy" decoding="async" {size}>'
        if poster is not None
        else ""
    )
    if clip is None:
        return f'<div class="hl-still">{image}<span class="hl-note">Clip not shipped.</span></div>'
    if not media.scripted:
        from_poster = f' poster="{escape(poster)}"' if poster is not None else ""
        return (
            f'<div class="hl-still"><video preload="none" controls muted playsinline {size}'
            f'{from_poster} src="{escape(clip)}"></video></div>'
        )
    return (
        f'<div class="hl-still"><button type="button" class="hl-play" data-clip="{escape(clip)}" '
        f'aria-label="Play {escape(card.id)}">{image}'
        f'<span class="hl-triangle" aria-hidden="true">▶</span></button></div>'
    )


def _missing_clip_html(item: Item | None) -> str:
    """A word and a link for clips that a licence keeps elsewhere; "" when nothing is known."""
    url = (item.extras or {}).get("url") if item is not None else None
    if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https"):
        return ""
    return (
        '<div class="hl-still hl-elsewhere"><span>Clip not shipped</span>'
        f'<a href="{escape(url)}" rel="noopener noreferrer" target="_blank">open at source</a></div>'
    )


def explanation_html(answer: Explanation, result: SearchResult) -> str:
    """The "Why?" panel: the penalty, its place in the gallery, and who it comes from."""
    left, right = result.rankings
    card = next((c for c in right.results if c.id == answer.video_id), None)
    if card is not None:
        verb = move_words(card.other_rank, card.rank)
    else:
        card = next((c for c in left.results if c.id == answer.video_id), None)
        verb = move_words(card.rank, card.other_rank) if card is not None else ""
    question = {"up": "Why did it rise?", "down": "Why did it fall?"}.get(
        verb.split(" ")[0], "Why is it where it is?"
    )
    return (
        f'<section class="hl-panel" aria-label="Why {escape(answer.video_id)}">'
        f"<h2>{question} <span class=\"hl-id\">{escape(answer.video_id)}</span></h2>"
        f"{_explanation_body(answer, result)}</section>"
    )


def _explanation_body(answer: Explanation, result: SearchResult) -> str:
    """Sentences and the three captions, with shares that add up."""
    if answer.n_bank == 0:
        return "<p>There is no querybank for this gallery, so no video carries a penalty.</p>"
    hits = f"{answer.k_occurrence:,} of {answer.n_bank:,} bank captions"
    sentences = [
        f"It is among the best {answer.k} for <b>{hits}</b> (median video: "
        f"{answer.median_k_occurrence:g})."
        if answer.k > 1
        else f"It is the best match for <b>{hits}</b> (median video: "
        f"{answer.median_k_occurrence:g}).",
        f"Its bias is <b>{answer.bias:+.4f}</b> in units of similarity, higher than "
        f"<b>{answer.bias_percentile:.1f} %</b> of the gallery (median video: "
        f"{answer.median_bias:+.4f}); that is what is taken off its similarity, counted from the "
        "gallery's mean.",
    ]
    if not result.active:
        sentences.append("For this query nothing was taken off: the normaliser did not step in.")
    rows = "".join(
        f'<li><span class="hl-share"><i style="width:{100 * near.share:.1f}%"></i></span>'
        f"<b>{100 * near.share:.1f} %</b> of this penalty comes from "
        f"<q>{escape(near.caption)}</q> <span class='hl-note'>similarity {near.sim:.3f}</span></li>"
        for near in answer.nearest
    )
    shown = sum(near.share for near in answer.nearest)
    rest = (
        f'<p class="hl-note">Together {100 * shown:.1f} %; the other '
        f"{answer.n_bank - len(answer.nearest):,} captions hold the rest.</p>"
    )
    return f"<p>{' '.join(sentences)}</p><ul class='hl-shares'>{rows}</ul>{rest}"
