"""The evaluation of a gallery's labelled queries -> the same ranking page as of a checkpoint's."""

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import numpy as np

from retrieval.cards import Media
from retrieval.gallery import Gallery, Item
from retrieval.reports.ranking_page import Asked, PageSettings, write_page
from retrieval.reports.report import Report


def write_gallery_page(settings: PageSettings, report: Report, gallery: Gallery) -> Path | None:
    """Write the page; see `write_page`.

    Args:
        settings: where it goes; stills and clips are linked where the gallery has them.
        report: of the gallery's queries, text-to-video.
        gallery: that was evaluated.
    """
    queries, items = gallery.queries, gallery.items
    told: dict[str, list[list[str]]] = {item.id: [] for item in items}
    column = np.zeros(len(queries.texts), dtype=np.int64)
    for row, (text, video) in enumerate(zip(queries.texts, queries.correct, strict=True)):
        asked = told[items[video].id]
        column[row] = len(asked)
        asked.append([text])
    for item in items:
        if not told[item.id]:  # nothing is asked of it, but it may be found
            told[item.id] = [[text] for text in item.captions]
    space = gallery.space
    return write_page(
        settings,
        {"t2v": report},
        space.rows(queries.text_emb, space.items(gallery.video_emb)),
        [item.id for item in items],
        told.__getitem__,
        gallery.name,
        asked=Asked(queries.correct, column),
        media=Media(
            poster=_addresses(settings.folder, gallery, lambda item: item.poster),
            clip=_addresses(settings.folder, gallery, lambda item: item.clip),
            scripted=False,
            heard=gallery.media == "audio",
        ),
    )


def _addresses(
    folder: Path, gallery: Gallery, file_of: Callable[[Item], Path | None]
) -> Callable[[str], str | None]:
    """Item id -> address of its file, from the page on."""

    def address(item_id: str) -> str | None:
        file = file_of(gallery.items[gallery.rows[item_id]])
        if file is None or not file.is_file():
            return None
        return quote(Path(os.path.relpath(file.resolve(), folder.resolve())).as_posix())

    return address
