"""A query -> two rankings of the same gallery, and why they differ.

Page, command line, API and evaluation all ask this one engine, so their numbers cannot differ.
Similarities are computed once per query and shared by both rankings; what a setting needs of the
querybank (bias, k-occurrence) is fitted once and kept.
"""

import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from retrieval import hubness, metrics
from retrieval.answers import (
    Curve,
    ExpertShare,
    Explanation,
    GroundTruth,
    HubnessReport,
    NearCaption,
    QueryChanges,
    Ranking,
    Result,
    SearchResult,
    Settings,
    clean_query,
    expert_title,
    whole_number,
)
from retrieval.errors import GalleryError, ModelError, QueryError, RetrievalError, SettingsError
from retrieval.gallery import EXTERNAL, FILM_LIBRARY, Gallery, Item, open_gallery
from retrieval.normalisers import Bias, Evidence, Normaliser, parse_spec, spec_of, title_of
from retrieval.overview import hubness_report, query_changes, r1_curve
from retrieval.places import best_of, places_of
from retrieval.querybank import (
    MAX_BIASES,
    SMALL_BANK,
    Querybank,
    bias_path,
    fitted_on,
    load_bias,
    open_querybank,
    save_bias,
)
from retrieval.similarity import top_k
from retrieval.strength import Bend

logger = logging.getLogger(__name__)

N_NEAREST = 3  # bank captions an explanation names
KEEP_BIAS_S = 0.5  # a bias that took longer to fit is kept on disk
MATRIX_CELLS = 2**26  # a matrix of stored queries up to this size is kept


class _Kept:
    """A bounded least-recently-used store; what many ask for at once is computed once."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._values: OrderedDict[Hashable, Any] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value of `key`, made by the first who asks."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._values:
                    return self._values[key]
            try:
                value = make()
                with self._lock:
                    self._values[key] = value
                    while len(self._values) > self.most:
                        self._values.popitem(last=False)
            finally:
                with self._lock:
                    self._making.pop(key, None)
            return value


@dataclass(frozen=True, eq=False)
class _Fitted:
    bias: Bias
    centred: np.ndarray  # [n_gallery] float32
    is_hub: np.ndarray  # [n_gallery] bool


@dataclass(frozen=True, eq=False)
class _Asked:
    """A query, embedded."""

    text: str
    text_emb: np.ndarray  # [1, dim] float32, a row of the encoder
    unknown_words: tuple[str, ...] = ()
    cut_at: str | None = None  # first word that does not fit into the encoder's context


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
        self.gallery = gallery
        self.bank = bank
        self.keep_bias_s = keep_bias_s
        self._encoder = encoder if hasattr(encoder, "encode_text") else None
        self._load = None if self._encoder is not None else encoder
        self._encoder_lock = threading.Lock()
        self._embedded = _Kept(512)  # text -> _Asked
        self._fitted = _Kept(32)  # normaliser settings -> _Fitted
        self._stored = _Kept(1)  # similarities of the stored queries
        self.reports = _Kept(16)  # settings -> QueryChanges, HubnessReport; large where queries are
        self.r1s = _Kept(512)  # settings -> R@1
        self._items = gallery.space.items(gallery.video_emb)

    @property
    def n_bank(self) -> int:
        """Bank captions; 0 without a bank."""
        return 0 if self.bank is None else len(self.bank)

    @property
    def has_encoder(self) -> bool:
        """Whether typed queries can be asked, now or once the encoder is loaded."""
        return self._encoder is not None or self._load is not None

    def item(self, video_id: str) -> Item:
        """The gallery item of this id.

        Raises:
            QueryError: there is none.
        """
        return self.gallery.items[self._row_of(video_id)]

    def load_encoder(self) -> Any:
        """The encoder, loaded at first need.

        Raises:
            ModelError: there is none, or it is not the one that made the gallery.
        """
        with self._encoder_lock:
            if self._encoder is None:
                if self._load is None:
                    raise ModelError(f"gallery {self.gallery.name} has no text encoder")
                encoder, made_by = self._load(), self.gallery.encoder
                if (encoder.digest, encoder.dim) != (made_by.digest, made_by.dim):
                    raise ModelError(
                        f"the model {encoder.name} ({encoder.digest[:8]}) is not the one that made "
                        f"the gallery, {made_by.name} ({made_by.digest[:8]}); index again with it"
                    )
                self._encoder = encoder
            return self._encoder

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
        asked, row = self._resolve(query, query_id)
        clock.lap("encode")
        sims = self._sims(asked.text_emb)
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
            reason=self._reason(settings, active, right, int(best[0])),
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
        name = settings.right if settings.right != "none" else settings.left
        fitted = self.fit(name, settings)
        bias = fitted.bias
        own = float(fitted.centred[column])
        nearest: tuple[NearCaption, ...] = ()
        shares, made = None, ""
        if bias.normaliser != "none":
            normaliser = normaliser_of(name, settings)
            bank_emb = self.bank.text_emb[: bias.n_bank]
            bank_column = self.gallery.space.column(bank_emb, self.gallery.video_emb[column])
            shares = normaliser.weights(bank_column, bias.beta)
            made = normaliser.in_words(bias.n_bank, bias.beta)
            nearest = tuple(
                NearCaption(
                    self.bank.captions[row],
                    float(bank_column[row]),
                    None if shares is None else float(shares[row]),
                )
                for row in top_k(bank_column, min(N_NEAREST, len(bank_column)))
            )
        counted = np.empty(0) if shares is None else shares[shares > 0]
        sim = applied = None
        experts: tuple[ExpertShare, ...] = ()
        if query is not None or query_id is not None:
            text_emb = self._resolve(query, query_id)[0].text_emb
            sims = self._sims(text_emb)
            sim = float(sims[0, column])
            experts = self._experts(text_emb[0], self.gallery.video_emb[column])
            strength = settings.strength if name == settings.right else 1.0
            applied = strength * own if bias.gate(sims)[0] else 0.0
        return Explanation(
            video_id=video_id,
            normaliser=name,
            sentence=self._why(name, nearest, made, own),
            made=made,
            bias=own,
            bias_percentile=float(100 * np.mean(fitted.centred < fitted.centred[column])),
            median_bias=float(np.median(fitted.centred)),
            k_occurrence=int(bias.k_occurrence[column]),
            median_k_occurrence=float(np.median(bias.k_occurrence)),
            is_hub=bool(fitted.is_hub[column]),
            k=bias.k,
            n_bank=bias.n_bank,
            beta=bias.beta,
            nearest=nearest,
            n_counted=len(counted),
            alike=len(counted) > 0 and bool((counted == counted[0]).all()),
            share_shown=sum(near.share or 0.0 for near in nearest),
            applied=applied,
            sim=sim,
            experts=experts,
        )

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
        settings = replace(settings, right=spec_of(_as_usual(parse_spec(settings.right), "beta")))
        return r1_curve(self, "beta", settings, tuple(float(beta) for beta in betas))

    # -- inside

    def _experts(self, text: np.ndarray, video: np.ndarray) -> tuple[ExpertShare, ...]:
        """What each expert says of a query and a video; empty where similarity has no experts."""
        space = self.gallery.space
        weights, sims = space.shares(text, video)
        return tuple(
            ExpertShare(
                name=name,
                title=expert_title(name),
                asked=float(asked),
                missing=not present,
                weight=float(weight),
                sim=float(sim) if present else None,
                contribution=float(weight * sim),
            )
            for name, asked, present, weight, sim in zip(
                space.experts, space.weights(text), space.weights(video), weights, sims, strict=True
            )
        )

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

    def _resolve(self, query: str | None, query_id: str | None) -> tuple["_Asked", int | None]:
        """What is asked, and the row of the stored query if it is one."""
        stored = self.gallery.queries
        if query_id is not None:
            if stored is None or query_id not in stored.rows:
                raise QueryError(f"the gallery has no stored query {str(query_id)[:60]!r}")
            row = stored.rows[query_id]
        else:
            text = clean_query(query)
            if self.has_encoder:
                return self._embedded.get(text, lambda: self._embed(text)), None
            row = self._stored_row(text)
        return _Asked(stored.texts[row], stored.text_emb[row : row + 1]), row

    def _embed(self, text: str) -> "_Asked":
        encoder = self.load_encoder()
        with self._encoder_lock:  # one at a time: a second would only take its cores away
            space = self.gallery.space
            emb = space.checked(encoder.encode_text([text]), "the query's embedding")
            return _Asked(text, emb, tuple(encoder.unknown_words(text)), encoder.truncated_at(text))

    def _stored_row(self, text: str) -> int:
        """The stored query of this caption or row number, for galleries without an encoder."""
        stored = self.gallery.queries
        if stored is None:
            raise QueryError(
                f"gallery {self.gallery.name} has neither a text encoder nor stored queries; "
                "index it again with --model or --queries-as"
            )
        row = stored.rows_by_text.get(text.casefold())
        if row is not None:
            return row
        number = text.removeprefix("#").strip()
        if number.isdecimal() and int(number) < len(stored.texts):
            return int(number)
        raise QueryError(
            f"gallery {self.gallery.name} has no text encoder: ask one of its stored queries, by "
            f"row (#0 to #{len(stored.texts) - 1}) or by its exact caption"
        )

    def _sims(self, text_emb: np.ndarray) -> np.ndarray:
        """[n, n_gallery] float32 similarities.

        In double precision where it is cheap: rounded to single, equal videos tie exactly and a
        ranking does not depend on the machine or on how many queries are asked at once. A large
        gallery is read once, as it is; beside that, the passes over a query's row cost little.
        """
        return self.gallery.space.rows(text_emb, self._items).read_rows(0, len(text_emb))

    def fit(self, word: str, settings: Settings) -> _Fitted:
        """A fitted normaliser, under these settings where its word does not say otherwise."""
        key = (normaliser_of(word, settings), settings.bank_size or self.n_bank)
        return self._fitted.get(key, lambda: self._make_fitted(*key))

    def _make_fitted(self, normaliser: Normaliser, n_bank: int) -> _Fitted:
        n_gallery, k = len(self.gallery), normaliser.k
        if self.bank is None:
            nothing = np.zeros(n_gallery, dtype=np.float32)
            bias = Bias(nothing, None, nothing.astype(np.int64), "none", None, k, 0)
            return _Fitted(bias, bias.centred, np.zeros(n_gallery, dtype=bool))
        bias = self._kept_bias(normaliser, n_bank)
        is_hub = np.zeros(n_gallery, dtype=bool)
        is_hub[hubness.hubs(bias.k_occurrence, n_bank, k)] = True
        return _Fitted(bias, bias.centred, is_hub)

    def _kept_bias(self, normaliser: Normaliser, n_bank: int) -> Bias:
        """A bias from the gallery's folder if one was kept, else fitted now."""
        on = fitted_on(self.gallery, self.bank, *word_beta_k(normaliser), n_bank)
        path = bias_path(self.gallery, on)
        if path is not None and path.exists():
            try:
                return load_bias(path, on, len(self.gallery))
            except RetrievalError as error:
                logger.warning("%s", error)
        begun = time.perf_counter()
        space, video_emb = self.gallery.space, self.gallery.video_emb
        bias = normaliser.fit(
            Evidence(
                bank_sims=space.tiles(self.bank.text_emb[:n_bank], video_emb),
                gallery_sims=space.tiles(video_emb, video_emb)
                if "gallery" in normaliser.needs
                else None,
            )
        )
        if path is not None and time.perf_counter() - begun >= self.keep_bias_s:
            try:
                if len(list(path.parent.glob("*.npz"))) < MAX_BIASES:
                    save_bias(path, bias, on)
            except OSError as error:
                logger.info("bias not kept: %s", error.strerror)
        return bias

    def _ranking(
        self,
        name: str,
        scores: tuple[np.ndarray, np.ndarray],
        side: int,
        top: int,
        explained: _Fitted,
        truth: int | None,
        bend: "Bend | None",
    ) -> Ranking:
        own, other = scores[side], scores[1 - side]
        columns = best_of(own, min(top, len(own))).tolist()
        if truth is not None and truth not in columns:
            columns.append(truth)
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

    def _reason(self, settings: Settings, active: bool, right: _Fitted, best: int) -> str:
        if self.bank is None:
            return "No querybank is loaded, so both columns show raw similarity."
        if settings.right == "none":
            return "Raw similarity on the right: nothing is subtracted."
        title = title_of(settings.right)
        if settings.strength == 0:
            return f"Strength 0: nothing of {title} is applied."
        if right.bias.active is None:
            return f"{title} corrects every query."
        count, n_bank, k = int(right.bias.k_occurrence[best]), right.bias.n_bank, right.bias.k
        if not active:
            same = ", so both columns are the same" if settings.left == "none" else ""
            return (
                f"Unchanged: the raw top video is not a hub ({count:,} of {n_bank:,} bank "
                f"captions){same}."
            )
        answers = "answers" if k == 1 else f"is in the top {k} of"
        return (
            f"Normalised: the raw top video {answers} {count:,} of {n_bank:,} bank captions, so "
            f"{title} stepped in."
        )

    @staticmethod
    def _why(name: str, nearest: tuple[NearCaption, ...], made: str, bias: float) -> str:
        if not made:
            return f"{title_of(name)}: there is no penalty, nothing is subtracted."
        told = f"the video's bias is {bias:+.3f} against the gallery's mean."
        first = nearest[0]
        if first.share is None:
            return f"{made} Here {told}"
        return f"{100 * first.share:.0f} % of this penalty comes from “{first.caption}”; {told}"

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
            everything = self._stored.get("sims", lambda: self._sims(stored.text_emb))
            yield slice(0, n_queries), everything
        else:
            yield from self.chunks(stored.text_emb)

    def chunks(self, text_emb: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Similarities of any queries in slices of rows, so that memory stays bounded."""
        step = max(1, MATRIX_CELLS // 4 // len(self.gallery))
        for start in range(0, len(text_emb), step):
            rows = slice(start, min(start + step, len(text_emb)))
            yield rows, self._sims(text_emb[rows])

    def scored(
        self, settings: Settings, sims: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Left scores, right scores, and which queries the right normaliser was applied to."""
        left, right = self.fit(settings.left, settings), self.fit(settings.right, settings)
        gate = right.bias.gate(sims) & (settings.strength > 0)
        raw = sims if settings.left == "none" else left.bias.apply(sims)
        return raw, right.bias.apply(sims, settings.strength), gate


def normaliser_of(word: str, settings: Settings) -> Normaliser:
    """The normaliser of a word; the settings' beta and k hold where the word has neither."""
    return parse_spec(word, beta=settings.beta, k=settings.k)


def word_beta_k(normaliser: Normaliser) -> tuple[str, float | None, int]:
    """A normaliser as `fitted_on` takes it: its word without beta and k, then those."""
    beta = getattr(normaliser, "beta", None)
    return spec_of(_as_usual(normaliser, "beta", "k")), beta, normaliser.k


def _as_usual(normaliser: Normaliser, *names: str) -> Normaliser:
    """The same with some settings at their defaults, which its word leaves out."""
    usual = {each.name: each.default for each in fields(normaliser) if each.name in names}
    return replace(normaliser, **usual)


class _Clock:
    """Milliseconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = 1000 * (now - self._last)
        self._last = now


def open_engine(
    gallery: str | Path | None = None,
    bank: str | Path | None = None,
    model: str | None = None,
) -> Engine:
    """Open a gallery with its querybank and its encoder, which is loaded at first need.

    Args:
        gallery: the folder; None opens the film library.
        bank: the folder; None takes GALLERY-bank where there is one.
        model: the encoder for typed queries; None takes the one the gallery names.
    """
    path = FILM_LIBRARY if gallery is None else Path(gallery)
    opened = open_gallery(path)
    bank = bank_beside(path) if bank is None else bank
    spec = model or (None if opened.encoder.name == EXTERNAL else opened.encoder.spec)

    def load() -> Any:
        from retrieval.encoders import get_encoder

        return get_encoder(spec)

    return Engine(
        opened, None if bank is None else open_querybank(bank), None if spec is None else load
    )


def bank_beside(gallery: str | Path) -> Path | None:
    """GALLERY-bank, where there is such a folder."""
    path = Path(os.path.abspath(gallery))
    beside = path.with_name(f"{path.name}-bank")
    return beside if beside.is_dir() else None
