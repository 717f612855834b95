"""A gallery's labelled queries -> the tables of the papers: metrics and hubness per normaliser."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from retrieval import hubness, metrics
from retrieval.answers import Settings
from retrieval.engine import Engine, similarities
from retrieval.errors import QueryError, SettingsError
from retrieval.gallery import Gallery
from retrieval.normalisers import NORMALISERS, Bias, get_normaliser
from retrieval.querybank import Querybank
from retrieval.similarity import SimTiles

DIRECTIONS = {"t2v": "text-to-video", "v2t": "video-to-text"}
HUBNESS_AT = (1, 10)  # k of the hubness columns: what is seen first, and a first page


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    normaliser: str  # short name
    title: str  # for people
    beta: float | None  # as resolved, per unit of similarity
    metrics: dict[str, float]  # from metrics.summarise
    hubness: dict[int, hubness.Hubness]  # k -> measures over the test queries
    helped: int  # queries whose correct item rose against raw
    hurt: int
    unchanged: int


@dataclass(frozen=True)
class Report:
    """What an evaluation found; the first row is raw."""

    gallery: str
    bank: str | None
    direction: str  # "t2v" or "v2t"
    n_queries: int
    n_items: int  # what is ranked: videos for t2v, captions for v2t
    n_bank: int
    badge: str  # what the normalised numbers rest on: "held-out bank", ...
    rows: tuple[Row, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain Python values."""
        return asdict(self)


def evaluate(
    gallery: Gallery,
    bank: Querybank | None,
    normalisers: tuple[str, ...] = ("inverted_softmax", "qbnorm"),
    settings: Settings | None = None,
    direction: str = "t2v",
) -> Report:
    """Rank all labelled queries raw and normalised.

    Args:
        gallery: has stored queries.
        bank: of captions for t2v, of videos for v2t; without one only the raw row is given.
        normalisers: short names; "none" is always the first row.
        settings: beta, k and bank size are used.
        direction: "t2v" or "v2t"; a video's best caption counts for v2t.

    Raises:
        QueryError: the gallery has no labelled queries.
        SettingsError: a name or setting is unknown, or the bank is of the wrong side.
    """
    if direction not in DIRECTIONS:
        raise SettingsError(f"direction must be t2v or v2t, got {direction!r}")
    if gallery.queries is None:
        raise QueryError(f"gallery {gallery.name} has no labelled queries; index it with them")
    if bank is not None:
        bank.check_fits(gallery)
        wanted = "text" if direction == "t2v" else "video"
        if bank.side != wanted:
            raise SettingsError(
                f"{DIRECTIONS[direction]} needs a bank of {wanted}s, {bank.name} is of "
                f"{bank.side}s; make one with `python -m retrieval bank --side {wanted}`"
            )
    names = ["none", *(name for name in normalisers if name != "none")] if bank else ["none"]
    settings = settings or Settings()
    rows = _t2v if direction == "t2v" else _v2t
    table, n_queries, n_items = rows(gallery, bank, names, settings)
    return Report(
        gallery=gallery.name,
        bank=None if bank is None else bank.name,
        direction=direction,
        n_queries=n_queries,
        n_items=n_items,
        n_bank=0 if bank is None else settings.bank_size or len(bank),
        badge=bank_badge(gallery, bank),
        rows=table,
    )


def bank_badge(gallery: Gallery, bank: Querybank | None) -> str:
    """What numbers normalised with this bank rest on: does it hold what is tested?"""
    if bank is None:
        return "no bank"
    tested = gallery.queries.text_emb if bank.side == "text" else gallery.video_emb
    known = {row.tobytes() for row in tested}
    texts = {text.casefold() for text in gallery.queries.texts} if bank.side == "text" else set()
    n_same = sum(
        row.tobytes() in known or text.casefold() in texts
        for row, text in zip(bank.text_emb, bank.captions, strict=True)
    )
    return f"bank overlaps the test ({n_same:,} rows)" if n_same else "held-out bank"


def _t2v(
    gallery: Gallery, bank: Querybank | None, names: list[str], settings: Settings
) -> tuple[tuple[Row, ...], int, int]:
    """From the engine, so that these are the page's numbers."""
    engine = Engine(gallery, bank)
    rows = []
    for name in names:
        chosen = replace(settings, left="none", right=name, strength=1.0)
        changes = engine.changes(chosen)
        rows.append(
            Row(
                normaliser=name,
                title=NORMALISERS[name].title,
                beta=engine.resolved_beta(chosen),
                metrics=changes.metrics_norm,
                hubness={
                    k: engine.hubness(chosen, k).norm for k in HUBNESS_AT if k <= len(gallery)
                },
                helped=changes.helped,
                hurt=changes.hurt,
                unchanged=changes.unchanged,
            )
        )
    return tuple(rows), len(gallery.queries.ids), len(gallery)


def _v2t(
    gallery: Gallery, bank: Querybank | None, names: list[str], settings: Settings
) -> tuple[tuple[Row, ...], int, int]:
    """Videos ask, captions are ranked; videos without a caption ask nothing."""
    asking, correct = np.unique(gallery.queries.correct, return_inverse=True)
    captions = gallery.queries.text_emb
    settings = settings.validated(len(captions), None if bank is None else len(bank))
    sims = similarities(gallery.video_emb[asking].astype(np.float64), captions.astype(np.float64))
    rows: list[Row] = []
    raw_ranks = None
    for name in names:
        bias = _bias_of_captions(captions, bank, name, settings)
        scores = sims if bias is None else bias.apply(sims)
        ranks = metrics.v2t_ranks(np.ascontiguousarray(scores.T), correct)
        raw_ranks = ranks if raw_ranks is None else raw_ranks
        at = [k for k in HUBNESS_AT if k <= len(captions)]
        rows.append(
            Row(
                normaliser=name,
                title=NORMALISERS[name].title,
                beta=None if bias is None else bias.beta,
                metrics=metrics.summarise(ranks),
                hubness={
                    k: hubness.measure(hubness.k_occurrence(scores, k), len(scores), k) for k in at
                },
                helped=int(np.count_nonzero(ranks < raw_ranks)),
                hurt=int(np.count_nonzero(ranks > raw_ranks)),
                unchanged=int(np.count_nonzero(ranks == raw_ranks)),
            )
        )
    return tuple(rows), len(asking), len(captions)


def _bias_of_captions(
    captions: np.ndarray, bank: Querybank | None, name: str, settings: Settings
) -> Bias | None:
    """The bias of every caption, fitted on a bank of videos."""
    if bank is None or name == "none":
        return None
    tiles = SimTiles(bank.text_emb[: settings.bank_size or len(bank)], captions)
    return get_normaliser(name, beta=settings.beta, k=settings.k).fit(tiles)
