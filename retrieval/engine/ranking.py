"""A query -> two rankings of the same gallery, and why they differ.

Page, command line, API and evaluation all ask this one engine, so their numbers cannot differ.
Similarities are computed once per query and shared by both rankings; what a setting needs of the
querybank (bias, k-occurrence) is fitted once and kept.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from retrieval import metrics
from retrieval.answers import (
    Curve,
    Explanation,
    FittingCaptions,
    GroundTruth,
    HubnessReport,
    QueryChanges,
    Ranking,
    Result,
    SearchResult,
    Settings,
    whole_number,
)
from retrieval.engine.asking import Asker
from retrieval.engine.biases import KEEP_BIAS_S, Biases, Fitted, JoinedBiases, as_usual
from retrieval.engine.captions import fitting_captions
from retrieval.engine.kept import Kept
from retrieval.engine.reasons import explain, reason
from retrieval.errors import GalleryError, QueryError, SettingsError
from retrieval.gallery import Gallery, Item
from retrieval.normalisers import parse_spec, spec_of, title_of
from retrieval.overview import hubness_report, query_changes, r1_curve
from retrieval.places import best_of, places_of
from retrieval.querybank import SMALL_BANK, Querybank
from retrieval.strength import Bend

MATRIX_CELLS = 2**26  # a matrix of stored queries up to this size is kept


class Engine:
    """A gallery, a querybank and an encoder, ready to answer; safe to share between threads."""

    def __init__(
        self,
        gallery: Gallery,
        bank: Querybank | None = None,
        encoder: Any = None,
        keep_bias_s: float = KEEP_BIAS_S,
    ) -> None:
        """Put together what answers.

        Args:
            gallery: what is searched.
            bank: finds the hubs; without one both rankings are raw.
            encoder: embeds typed queries: an encoder, or a function that loads one at first need.
                None: only the gallery's stored queries can be asked.
            keep_bias_s: a bias that took longer to fit is kept in the gallery's folder, seconds.

        Raises:
            GalleryError: the bank was made by another encoder, or is not of captions.
        """
        if bank is not None:
            bank.check_fits(gallery)
            if bank.side != "text":
                raise GalleryError(
                    f"querybank {bank.name} is of videos; text-to-video search needs captions"
                )
        biases = Biases(gallery, bank, keep_bias_s)
        self._put_together(gallery, biases, Asker(gallery, encoder))

    def _put_together(
        self, gallery: Gallery, biases: Biases, asker: Asker, n_joined: int = 0
    ) -> None:
        self.gallery, self.bank, self.biases, self.asker = gallery, biases.bank, biases, asker
        self.n_joined = n_joined  # last items of the gallery, which a ranking always shows
        self._stored = Kept(1)  # similarities of the stored queries
        self.reports = Kept(16)  # settings -> QueryChanges, HubnessReport; large where queries are
        self.r1s = Kept(512)  # settings -> R@1
        self._items = gallery.space.items(gallery.video_emb)

    def with_items(self, items: Sequence[Item], video_emb: np.ndarray) -> "Engine":
        """An engine that ranks these among the others; its gallery is in memory only.

        What this engine has fitted and embedded is used on, so one more visitor costs little.

        Args:
            items: with ids that the gallery does not have.
            video_emb: [n, dim] rows of the encoder.

        Raises:
            GalleryError: an id is taken.
            ValueError: a row is none of the encoder's.
        """
        emb = self.gallery.space.checked(video_emb, "the added embeddings")
        for item in items:
            if item.id in self.gallery.rows:
                raise GalleryError(f"the gallery has a video {item.id!r}; give it another name")
        gallery = replace(
            self.gallery,
            path=None,
            video_emb=np.concatenate([self.gallery.video_emb, emb]),
            items=(*self.gallery.items, *items),
            manifest={**self.gallery.manifest, "files": {}},
        )
        engine = Engine.__new__(Engine)
        engine._put_together(gallery, JoinedBiases(self.biases, gallery), self.asker, len(items))
        return engine

    @property
    def n_bank(self) -> int:
        """Bank captions; 0 without a bank."""
        return 0 if self.bank is None else len(self.bank)

    @property
    def has_encoder(self) -> bool:
        """Whether typed queries can be asked, now or once the encoder is loaded."""
        return self.asker.has_encoder

    @property
    def joined(self) -> dict[str, Item]:
        """What `with_items` added, by id."""
        return {item.id: item for item in self.gallery.items[len(self.gallery) - self.n_joined :]}

    def item(self, video_id: str) -> Item:
        """The gallery item of this id.

        Raises:
            QueryError: there is none.
        """
        return self.gallery.items[self._row_of(video_id)]

    def load_encoder(self) -> Any:
        """The encoder, loaded at first need; raises like `Asker.encoder`."""
        return self.asker.encoder()

    def fit(self, word: str, settings: Settings) -> Fitted:
        """A fitted normaliser, under these settings where its word does not say otherwise."""
        return self.biases.fit(word, settings)

    def resolved_beta(self, settings: Settings) -> float | None:
        """The inverse temperature that the right normaliser uses; None where it has none."""
        settings = self.checked(settings)
        return self.fit(settings.right, settings).bias.beta

    # -- one query

    def rank(
        self,
        query: str | None = None,
        *,
        query_id: str | None = None,
        settings: Settings | None = None,
    ) -> SearchResult:
        """Rank the gallery twice.

        Args:
            query: a sentence; without an encoder, a stored query's caption or row ("#12").
            query_id: a stored query instead; needs no model.
            settings: what the reader chose.

        Raises:
            QueryError: the query is empty, too long or unknown.
            SettingsError: a setting is out of range.
        """
        settings = self.checked(settings)
        clock = _Clock()
        asked, row = self.asker.resolve(query, query_id)
        clock.lap("encode")
        sims = self.sims(asked.text_emb)
        clock.lap("similarity")
        left, right = self.fit(settings.left, settings), self.fit(settings.right, settings)
        best = sims.argmax(axis=1)
        active = bool(right.bias.gate_of(best)[0]) and settings.strength > 0
        scores = (
            sims[0] if settings.left == "none" else left.bias.apply(sims)[0],
            right.bias.apply(sims, settings.strength)[0] if active else sims[0],
        )
        clock.lap("normalise")
        truth = None if row is None else int(self.gallery.queries.correct[row])
        bend = Bend(sims[0], right.centred, settings.strength) if active else None
        rankings = (
            self._ranking(settings.left, scores, 0, settings.top, right, truth, None),
            self._ranking(settings.right, scores, 1, settings.top, right, truth, bend),
        )
        leads = [(0.0, int(best[0]))] if bend is None else bend.leads()
        clock.lap("rank")
        n_bank = right.bias.n_bank
        return SearchResult(
            query=asked.text,
            query_id=None if row is None else self.gallery.queries.ids[row],
            settings=settings,
            active=active,
            reason=reason(self.bank is not None, settings, active, right, int(best[0])),
            rankings=rankings,
            ground_truth=None if truth is None else self._ground_truth(scores, truth),
            unknown_words=asked.unknown_words,
            cut_at=asked.cut_at,
            warning=(
                f"Bank has {n_bank:,} captions; below about {SMALL_BANK} the estimate is noisy"
                if 0 < n_bank < SMALL_BANK
                else None
            ),
            n_gallery=len(self.gallery),
            n_bank=n_bank,
            beta_used=right.bias.beta,
            leads=tuple((strength, self.gallery.items[column].id) for strength, column in leads),
            versions=self._versions(),
            timings_ms=clock.laps,
        )

    def explain(
        self,
        video_id: str,
        settings: Settings | None = None,
        *,
        query: str | None = None,
        query_id: str | None = None,
    ) -> Explanation:
        """Say what a video's penalty is and which bank captions it comes from.

        Raises:
            QueryError: no such video, or the query cannot be answered.
        """
        settings = self.checked(settings)
        column = self._row_of(video_id)
        asked = query is not None or query_id is not None
        text_emb = self.asker.resolve(query, query_id)[0].text_emb if asked else None
        return explain(self, column, settings, text_emb)

    def captions(
        self, video_id: str, settings: Settings | None = None, n: int = 5
    ) -> tuple[FittingCaptions, FittingCaptions] | None:
        """The bank captions that fit a video best, under the left and the right normaliser.

        Returns:
            None without a bank.

        Raises:
            QueryError: no such video.
        """
        settings, column = self.checked(settings), self._row_of(video_id)
        return None if self.bank is None else fitting_captions(self, column, settings, n)

    # -- all stored queries

    def changes(self, settings: Settings | None = None) -> QueryChanges:
        """What normalisation did to every stored query.

        Raises:
            QueryError: the gallery has no stored queries.
        """
        settings = replace(self.checked(settings), top=1)
        return self.reports.get(("changes", settings), lambda: query_changes(self, settings))

    def hubness(
        self, settings: Settings | None = None, k: int = 10, over: str = "queries"
    ) -> HubnessReport:
        """How often each video is retrieved in both rankings.

        Args:
            settings: what the reader chose; its k belongs to the bank, not to this count.
            k: places of each ranking that count.
            over: "queries" counts the stored queries, "bank" the querybank's captions.

        Raises:
            QueryError: the gallery has no stored queries, or there is no bank.
            SettingsError: k is outside the gallery, or `over` is unknown.
        """
        settings = replace(self.checked(settings), top=1)
        k = whole_number("k", k, len(self.gallery), "the gallery size")
        if over not in ("queries", "bank"):
            raise SettingsError(f"hubness is counted over 'queries' or 'bank', got {over!r}")
        return self.reports.get(
            ("hubness", settings, k, over), lambda: hubness_report(self, settings, k, over)
        )

    def bank_curve(self, settings: Settings | None, sizes: Sequence[int]) -> Curve:
        """R@1 with the first n bank captions, for each n; sizes the bank cannot fill are left out.

        Raises:
            QueryError: the gallery has no stored queries.
        """
        settings = replace(self.checked(settings), top=1)
        sizes = tuple(sorted({int(size) for size in sizes if 0 <= size <= self.n_bank}))
        return r1_curve(self, "bank_size", settings, sizes)

    def beta_curve(self, settings: Settings | None, betas: Sequence[float]) -> Curve:
        """R@1 for each beta.

        Raises:
            QueryError: the gallery has no stored queries.
            SettingsError: a beta is out of range.
        """
        settings = replace(self.checked(settings), top=1)
        # A beta of its own would win over those of the curve.
        settings = replace(settings, right=spec_of(as_usual(parse_spec(settings.right), "beta")))
        return r1_curve(self, "beta", settings, tuple(float(beta) for beta in betas))

    # -- inside

    def checked(self, settings: Settings | None) -> Settings:
        settings = (settings or Settings()).validated(len(self.gallery), self.n_bank or None)
        if self.bank is None:
            return replace(settings, left="none", right="none", bank_size=None)
        if settings.bank_size == self.n_bank:
            return replace(settings, bank_size=None)
        return settings

    def _row_of(self, video_id: str) -> int:
        if video_id not in self.gallery.rows:
            raise QueryError(f"the gallery has no video {str(video_id)[:60]!r}")
        return self.gallery.rows[video_id]

    def sims(self, text_emb: np.ndarray) -> np.ndarray:
        """[n, n_gallery] float32 similarities.

        In double precision where it is cheap: rounded to single, equal videos tie exactly and a
        ranking does not depend on the machine or on how many queries are asked at once. A large
        gallery is read once, as it is; beside that, the passes over a query's row cost little.
        """
        return self.gallery.space.rows(text_emb, self._items).read_rows(0, len(text_emb))

    def _ranking(
        self,
        name: str,
        scores: tuple[np.ndarray, np.ndarray],
        side: int,
        top: int,
        explained: Fitted,
        truth: int | None,
        bend: "Bend | None",
    ) -> Ranking:
        own, other = scores[side], scores[1 - side]
        columns = best_of(own, min(top, len(own))).tolist()
        also = {*range(len(own) - self.n_joined, len(own)), *(() if truth is None else (truth,))}
        columns += sorted(also - set(columns), key=lambda column: (-own[column], column))
        places, n_tied = places_of(own, columns)
        other_places, _ = places_of(other, columns)
        overtaking = [None] * len(columns) if bend is None else bend.take_over_at(columns)
        results = []
        for row, column in enumerate(columns):
            item = self.gallery.items[column]
            results.append(
                Result(
                    rank=int(places[row]),
                    id=item.id,
                    score=float(own[column]),
                    other_rank=int(other_places[row]),
                    bias=float(explained.centred[column]),
                    k_occurrence=int(explained.bias.k_occurrence[column]),
                    is_hub=bool(explained.is_hub[column]),
                    is_ground_truth=column == truth,
                    caption=item.caption,
                    tied_with=int(n_tied[row]) - 1,
                    takes_over_at=overtaking[row],
                    extras=item.extras,
                )
            )
        return Ranking(name, title_of(name), tuple(results))

    def _ground_truth(self, scores: tuple[np.ndarray, np.ndarray], truth: int) -> GroundTruth:
        correct = np.array([truth])
        left, right = (float(metrics.t2v_ranks(each[None], correct)[0]) for each in scores)
        return GroundTruth(self.gallery.items[truth].id, left, right)

    def _versions(self) -> dict[str, Any]:
        encoder = self.gallery.encoder
        bank = None
        if self.bank is not None:
            bank = {"name": self.bank.name, "digest": self.bank.digest}
        return {
            "gallery": {"name": self.gallery.name, "digest": self.gallery.digest},
            "bank": bank,
            "encoder": {"name": encoder.name, "digest": encoder.digest, "dim": encoder.dim},
        }

    def stored_sims(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Similarities of the stored queries in slices of rows; small matrices are kept."""
        stored = self.gallery.queries
        if stored is None:
            raise QueryError(
                f"gallery {self.gallery.name} has no stored queries; index it with --queries-as"
            )
        n_queries, n_gallery = len(stored.ids), len(self.gallery)
        if n_queries * n_gallery <= MATRIX_CELLS:
            everything = self._stored.get("sims", lambda: self.sims(stored.text_emb))
            yield slice(0, n_queries), everything
        else:
            yield from self.chunks(stored.text_emb)

    def chunks(self, text_emb: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Similarities of any queries in slices of rows, so that memory stays bounded."""
        step = max(1, MATRIX_CELLS // 4 // len(self.gallery))
        for start in range(0, len(text_emb), step):
            rows = slice(start, min(start + step, len(text_emb)))
            yield rows, self.sims(text_emb[rows])

    def scored(
        self, settings: Settings, sims: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Left scores, right scores, and which queries the right normaliser was applied to."""
        left, right = self.fit(settings.left, settings), self.fit(settings.right, settings)
        gate = right.bias.gate(sims) & (settings.strength > 0)
        raw = sims if settings.left == "none" else left.bias.apply(sims)
        return raw, right.bias.apply(sims, settings.strength), gate


class _Clock:
    """Milliseconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = 1000 * (now - self._last)
        self._last = now
