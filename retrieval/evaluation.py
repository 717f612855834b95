"""Similarities and the correct items -> metrics, hubness and tests of many normalisers at once.

One core for matrices that somebody brings and for galleries: the similarities are gone through
once, in slices of rows, and every additive normaliser scores each slice while it is at hand.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from retrieval import hubness, metrics, statistics
from retrieval.advice import verdicts
from retrieval.advice.checks import Finding, check_matrices, check_shapes
from retrieval.advice.runnable import by_spec, check_width, runnable
from retrieval.errors import QueryError, SettingsError
from retrieval.normalisers import Bias, Evidence, Normaliser, fit_all, parse_spec
from retrieval.reports.report import DIRECTIONS, LeftOut, Report, Row, task_name
from retrieval.similarity import Tiles
from retrieval.streaming.rows import Progress, Rows, as_rows, without_padding
from retrieval.streaming.scoring import HUBNESS_AT, Seen, Truth, score_all, score_other

if TYPE_CHECKING:
    from retrieval.answers import Settings
    from retrieval.gallery import Gallery
    from retrieval.querybank import Querybank

HELD_OUT, OVERLAPS, TRANSDUCTIVE = "held-out bank", "bank overlaps the gallery", "transductive"
NOT_LOOKED_AT = "bank not looked at"  # whether it overlaps what is tested
OVERLAPPING = ("queries in bank", "bank of the gallery")  # findings that speak against HELD_OUT


def evaluate_matrices(
    sims: "np.ndarray | Tiles | Rows",
    evidence: "np.ndarray | Tiles | Evidence | None" = None,
    *,
    correct: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    normalisers: Sequence[str | Normaliser] = ("inverted_softmax", "qbnorm"),
    beta: float | None = None,
    k: int = 1,
    direction: str = "t2v",
    name: str = "sims",
    bank_name: str | None = None,
    medium: str = "video",
    badge: str = HELD_OUT,
    findings: Sequence[Finding] = (),
    keep_top: int = 1,
    n_resamples: int = statistics.N_RESAMPLES,
    hubness_at: tuple[int, ...] = HUBNESS_AT,
    check: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """Rank all queries raw and normalised.

    Args:
        sims: [n_queries, n_gallery] similarities: captions on rows for t2v, videos on rows for
            v2t. An array, tiles, or what can be read by rows.
        evidence: what normalisers are fitted on; a lone matrix is the querybank's. Without any,
            only the raw row is given.
        correct: t2v: [n_queries] column of each caption's video. v2t: [n_gallery] row of each
            caption's video; a video's best caption counts, and one without asks nothing.
            None takes it from the order of rows (t2v) or columns (v2t).
        mask: one element per caption, in the same order; false for padding, which is left out of
            everything: queries, items and bank columns.
        normalisers: specs such as "nnn:alpha=0.5", or normalisers; "none" is always the first row.
        beta: inverse temperature per unit of similarity of those that have one, where the spec
            does not say otherwise; None is scale-free.
        k: items of each bank row that count, likewise.
        direction: "t2v" or "v2t".
        name: what to call the similarities in the report.
        bank_name: what to call the bank.
        medium: what the videos are to whom searches them: "video", or "audio" if only heard.
        badge: what numbers rest on that are normalised with this bank.
        findings: what is known of the input, to be carried in the report.
        keep_top: places of each ranking that the report keeps.
        n_resamples: bootstrap resamples; 0 leaves intervals, gains and verdicts out.
        hubness_at: k of the hubness over the queries; none leaves it out.
        check: whether the matrices' contents are looked at for what misleads.
        seed: of the resamples.
        progress: told how many rows are done; may raise to stop.

    Raises:
        SettingsError: a name, knob or direction is unknown.
        ValueError: shapes disagree, or a similarity is NaN or infinite.
    """
    _check_direction(direction)
    rows = as_rows(sims)
    evidence = evidence if isinstance(evidence, Evidence) else Evidence(bank_sims=evidence)
    check_shapes(
        rows.shape,
        None if evidence.bank_sims is None else evidence.bank_sims.shape,
        None if correct is None else len(correct),
        None if mask is None else np.size(mask),
        direction,
    )
    truth = (Truth.of_videos if direction == "t2v" else Truth.of_captions)(
        rows.shape, correct, mask
    )
    for field in ("gallery_bank_sims", "gallery_sims"):
        check_width(rows.shape[1], field, getattr(evidence, field))
    rows, evidence = without_padding(rows, evidence, truth.items)
    asked, left_out = runnable(
        by_spec(normalisers, beta, k), evidence, len(truth.queries), len(truth.items)
    )
    biases = fit_all([made for made in asked.values() if made.additive], evidence)
    fitted = dict(zip((spec for spec, made in asked.items() if made.additive), biases, strict=True))
    raw, *scored = score_all(rows, biases, truth, keep_top, progress, hubness_at)
    seen = {"none": raw, **dict(zip(fitted, scored, strict=True))}
    for spec, made in [each for each in asked.items() if not each[1].additive]:
        try:
            seen[spec] = score_other(made, rows, evidence, truth, keep_top, hubness_at)
        except SettingsError as error:  # it does not suit these similarities; others do
            left_out = (*left_out, LeftOut(spec, f"{made.title} was left out: {error}."))
            del asked[spec]
    found = tuple(findings)
    if check:
        known = {finding.kind for finding in findings}
        by_order = "rows" if direction == "t2v" else "columns"
        noticed = check_matrices(
            rows,
            evidence.bank_sims,
            correct=truth.correct,
            queries=truth.queries,
            by_order_of=by_order if correct is None else None,
            betas=[made.beta for made in asked.values() if getattr(made, "beta", None) is not None],
            seed=seed,
        )
        found = (*found, *(each for each in noticed if each.kind not in known))
    n_bank = 0 if evidence.bank_sims is None else evidence.bank_sims.shape[0]
    if n_bank == 0:
        badge = "no bank"
    elif badge == HELD_OUT and not check:
        badge = NOT_LOOKED_AT
    elif badge == HELD_OUT and any(each.kind in OVERLAPPING for each in found):
        badge = OVERLAPS
    table = _table(asked, fitted, seen, truth, badge, n_resamples, seed)
    return Report(
        gallery=name,
        bank=bank_name,
        direction=direction,
        medium=medium,
        n_queries=len(truth.queries),
        n_items=len(truth.items),
        n_bank=n_bank,
        badge=badge,
        rows=table,
        queries=truth.queries,
        items=truth.items,
        correct=truth.correct,
        unit=truth.unit,
        resampled="videos" if truth.n_units < len(truth.queries) else "queries",
        n_units=truth.n_units,
        verdict=verdicts.over_all(table) if n_resamples else "",
        findings=found,
        left_out=left_out,
    )


def evaluate(
    gallery: "Gallery",
    bank: "Querybank | None",
    normalisers: tuple[str, ...] = ("inverted_softmax", "qbnorm"),
    settings: "Settings | None" = None,
    direction: str = "t2v",
) -> Report:
    """Rank all labelled queries of a gallery raw and normalised.

    Args:
        gallery: has stored queries.
        bank: of captions for t2v, of videos for v2t; without one only the raw row is given.
        normalisers: short names or specs; "none" is always the first row.
        settings: beta, k and bank size are used.
        direction: "t2v" or "v2t"; a video's best caption counts for v2t.

    Raises:
        QueryError: the gallery has no labelled queries.
        SettingsError: a name or setting is unknown, or the bank is of the wrong side.
    """
    from retrieval.answers import Settings

    _check_direction(direction)
    if gallery.queries is None:
        raise QueryError(f"gallery {gallery.name} has no labelled queries; index it with them")
    if bank is not None:
        bank.check_fits(gallery)
        wanted = "text" if direction == "t2v" else "video"
        if bank.side != wanted:
            task = task_name(direction, gallery.media)
            raise SettingsError(
                f"{task} needs a bank of {wanted}s, {bank.name} is of {bank.side}s; make one with "
                f"`python -m retrieval bank --side {wanted}`"
            )
    space, asking, items = gallery.space, gallery.queries.text_emb, gallery.video_emb
    if direction == "v2t":
        asking, items = items, asking
    settings = settings or Settings()
    settings = settings.validated(len(items), None if bank is None else len(bank))
    evidence = Evidence(gallery_sims=space.tiles(items, items))
    badge = bank_badge(gallery, bank)
    if bank is not None:
        bank_emb = bank.text_emb[: settings.bank_size or len(bank)]
        evidence = replace(evidence, bank_sims=space.tiles(bank_emb, items))
    return evaluate_matrices(
        space.rows(asking, space.items(items)),
        evidence,
        correct=gallery.queries.correct,
        normalisers=normalisers,
        beta=settings.beta,
        k=settings.k,
        direction=direction,
        name=gallery.name,
        bank_name=None if bank is None else bank.name,
        medium=gallery.media,
        badge=badge,
        findings=[] if badge in (HELD_OUT, "no bank") else [overlap(badge)],
    )


def overlap(badge: str) -> Finding:
    """What a badge that is not that of a held-out bank means."""
    return Finding(
        "queries in bank",
        f"The {badge}: word for word, or vector for vector, they are among what is tested, so the "
        "gain is not quite a held-out one; take them out of the bank.",
    )


def bank_badge(gallery: "Gallery", bank: "Querybank | None") -> str:
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
    return f"bank overlaps the test ({n_same:,} rows)" if n_same else HELD_OUT


def _check_direction(direction: str) -> None:
    if direction not in DIRECTIONS:
        raise SettingsError(f"direction must be t2v or v2t, got {direction!r}")


def _table(
    asked: dict[str, Normaliser],
    fitted: dict[str, Bias],
    seen: dict[str, Seen],
    truth: Truth,
    badge: str,
    n_resamples: int,
    seed: int,
) -> tuple[Row, ...]:
    """One row per normaliser, raw first."""
    raw = seen["none"]
    asked = {"none": parse_spec("none"), **asked}
    ranks = np.stack([seen[spec].ranks for spec in asked])
    nothing = statistics.Intervals({}, {})
    intervals = [nothing] * len(ranks)
    if n_resamples:
        intervals = statistics.bootstrap(ranks, truth.unit, n_resamples, seed)
    tests = [statistics.paired_test(raw.ranks, after, truth.unit) for after in ranks]
    p_values = [1.0, *statistics.holm([test.p for test in tests[1:]])]
    rows: list[Row] = []
    for (spec, made), interval, test, p in zip(
        asked.items(), intervals, tests, p_values, strict=True
    ):
        found, bias = seen[spec], fitted.get(spec)
        summary = metrics.summarise(found.ranks)
        outcome = verdict = ""
        if rows and n_resamples:
            gain = interval.gains["R@1"]
            outcome = verdicts.outcome_of(test, p, gain)
            r1 = summary["R@1"] - rows[0].metrics["R@1"]
            verdict = verdicts.sentence(made.title, outcome, test, p, len(asked) - 1, r1, gain)
        measured = {
            k: hubness.measure(counts, len(truth.queries), k) for k, counts in found.counts.items()
        }
        rows.append(
            Row(
                spec=spec,
                normaliser=made.name,
                title=made.title,
                beta=None if bias is None else bias.beta,
                badge=_badge(made, badge),
                transductive=made.transductive,
                metrics=summary,
                intervals=interval.values,
                gains=interval.gains,
                hubness=measured,
                counts=found.counts,
                ranks=found.ranks,
                best=found.best,
                best_scores=found.best_scores,
                active=found.active,
                paired=test,
                p_holm=p,
                outcome=outcome if rows else "raw",
                verdict=verdict,
                method=made,
                bias=bias,
            )
        )
    return tuple(rows)


def _badge(normaliser: Normaliser, badge: str) -> str:
    if normaliser.transductive:
        return TRANSDUCTIVE
    return badge if normaliser.needs & {"bank", "gallery_bank"} else "no bank"
