"""SearchResult -> a file to take away: CSV, JSON, or one HTML page that reads without scripts."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path

from retrieval.answers import SearchResult
from retrieval.cards import Media, columns_html, status_html, unknown_words_html
from retrieval.gallery import Item

STYLE = Path(__file__).resolve().parents[1] / "assets" / "style.css"
COLUMNS = (
    *("query_id", "query", "method", "rank", "video_id", "score"),
    *("raw_rank", "is_ground_truth", "k_occurrence"),
)
IMAGE_TYPES = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp"}
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
) -> str:
    """One self-contained page: cards, posters, captions; clips are links to where they lie.

    Args:
        result: what to show.
        items: item id -> item.
        posters: item id -> data URI.
        clip: item id -> address of the clip, used for items that have one.
        address: link back to the live view.
    """

    def known_clip(item_id: str) -> str | None:
        item = items.get(item_id)
        return clip(item_id) if item is not None and item.clip is not None else None

    media = Media(poster=posters, clip=known_clip, scripted=False)
    title = escape(result.query)
    back = f'<p class="hl-note"><a href="{escape(address)}">Open the live view</a></p>'
    return (
        '<!doctype html>\n<html lang="en" style="color-scheme: light dark">\n<head>'
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title} · Hublens</title>\n<style>\n{STYLE.read_text(encoding='utf-8')}</style>"
        f'</head>\n<body class="hl-page"><main><h1>“{title}”</h1>'
        f"{status_html(result)}{unknown_words_html(result)}"
        f'<div class="hl-frame">{columns_html(result, items, media)}</div>'
        f"{_settings_html(result)}"
        f"{back if address else ''}</main></body>\n</html>\n"
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
