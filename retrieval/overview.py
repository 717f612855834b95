"""All stored queries of an engine -> what normalisation did to them, to the hubs, and to R@1."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from retrieval import hubness, metrics
from retrieval.answers import Curve, Hub, HubnessReport, QueryChange, QueryChanges, Settings
from retrieval.errors import QueryError

if TYPE_CHECKING:
    from retrieval.engine import Engine

N_BIGGEST = 10  # hubs a report names


def query_changes(engine: "Engine", settings: Settings) -> QueryChanges:
    """What normalisation did to every stored query."""
    parts = []
    for rows, sims in engine.stored_sims():
        correct = engine.gallery.queries.correct[rows]
        raw, norm, gate = engine.scored(settings, sims)
        ranks = metrics.t2v_ranks(raw, correct), metrics.t2v_ranks(norm, correct)
        parts.append((*ranks, gate, sims.argmax(axis=1)))
    columns = zip(*parts, strict=True)
    raw_ranks, norm_ranks, gate, best = (np.concatenate(column) for column in columns)
    stored, items = engine.gallery.queries, engine.gallery.items
    is_hub = engine.fit(settings.right, settings).is_hub
    rows = tuple(
        QueryChange(
            id=stored.ids[row],
            text=stored.texts[row],
            video_id=items[stored.correct[row]].id,
            raw_rank=float(raw_ranks[row]),
            norm_rank=float(norm_ranks[row]),
            delta=float(raw_ranks[row] - norm_ranks[row]),
            active=bool(gate[row]),
            top_hub=(
                items[best[row]].id
                if is_hub[best[row]] and best[row] != stored.correct[row]
                else None
            ),
        )
        for row in range(len(stored.ids))
    )
    return QueryChanges(
        rows=rows,
        helped=int(np.count_nonzero(norm_ranks < raw_ranks)),
        hurt=int(np.count_nonzero(norm_ranks > raw_ranks)),
        unchanged=int(np.count_nonzero(norm_ranks == raw_ranks)),
        metrics_raw=metrics.summarise(raw_ranks),
        metrics_norm=metrics.summarise(norm_ranks),
    )


def hubness_report(engine: "Engine", settings: Settings, k: int, over: str) -> HubnessReport:
    """How often each video is retrieved in both rankings, over "queries" or "bank"."""
    if over == "bank":
        if engine.bank is None:
            raise QueryError("there is no querybank to count over; count over the queries")
        n_queries = settings.bank_size or engine.n_bank
        slices = engine.chunks(engine.bank.text_emb[:n_queries])
    else:
        slices = engine.stored_sims()
    counts_raw = np.zeros(len(engine.gallery), dtype=np.int64)
    counts_norm = counts_raw.copy()
    n_queries = 0
    for _, sims in slices:
        raw, norm, _ = engine.scored(settings, sims)
        counts_raw += hubness.k_occurrence(raw, k)
        counts_norm += hubness.k_occurrence(norm, k)
        n_queries += len(sims)
    biggest = np.argsort(-counts_raw, kind="stable")[:N_BIGGEST]
    changes = engine.changes(settings) if engine.gallery.queries is not None else None
    return HubnessReport(
        k=k,
        over=over,
        n_queries=n_queries,
        counts_raw=counts_raw,
        counts_norm=counts_norm,
        raw=hubness.measure(counts_raw, n_queries, k),
        norm=hubness.measure(counts_norm, n_queries, k),
        biggest=tuple(
            Hub(engine.gallery.items[row].id, int(counts_raw[row]), int(counts_norm[row]))
            for row in biggest
        ),
        r1_raw=None if changes is None else changes.metrics_raw["R@1"],
        r1_norm=None if changes is None else changes.metrics_norm["R@1"],
        in_sample=over == "bank",
    )


def r1_curve(
    engine: "Engine", setting: str, settings: Settings, values: tuple[float, ...]
) -> Curve:
    """R@1 of the right ranking for each value of one setting."""

    def r1(value: float) -> float:
        if setting == "bank_size" and value == 0:
            return r1_raw
        chosen = engine.checked(replace(settings, **{setting: value}))
        return engine.r1s.get(chosen, lambda: _r1(engine, chosen))

    raw = replace(settings, right="none")
    r1_raw = engine.r1s.get(raw, lambda: _r1(engine, raw))
    return Curve(
        setting=setting,
        values=values,
        r1_norm=tuple(r1(value) for value in values),
        r1_raw=r1_raw,
    )


def _r1(engine: "Engine", settings: Settings) -> float:
    """R@1 of the right ranking over the stored queries, percent."""
    right = engine.fit(settings.right, settings).bias
    ranks = [
        metrics.t2v_ranks(
            right.apply(sims, settings.strength), engine.gallery.queries.correct[rows]
        )
        for rows, sims in engine.stored_sims()
    ]
    return metrics.summarise(np.concatenate(ranks))["R@1"]
