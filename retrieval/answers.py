"""What may be asked of the engine, and what it answers: settings, queries and result dataclasses.

A result carries all that a view of it needs; page, command line and API only show it.
"""

import dataclasses
import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from retrieval.errors import QueryError, SettingsError
from retrieval.files import clean_text
from retrieval.hubness import Hubness
from retrieval.normalisers import check_searchable, parse_spec, spec_of

MAX_QUERY = 300  # characters
MAX_TOP = 100  # results of one ranking
MAX_WORD = 200  # characters of a normaliser's word
MAX_BETA = 1e6  # per unit of similarity; beyond, the largest bank similarity is all that counts


@dataclass(frozen=True)
class Settings:
    """What a reader may choose; the defaults are the page's."""

    left: str = "none"  # normaliser of the left ranking, a word such as "nnn:alpha=0.5"
    right: str = "qbnorm"  # normaliser of the right ranking
    beta: float | None = None  # inverse temperature, per unit of similarity; None: scale-free
    k: int = 1  # items of each bank caption that count; beta and k hold where a word has neither
    bank_size: int | None = None  # first captions of the bank; None means all
    top: int = 10  # results of a ranking, 1..100
    strength: float = 1.0  # share of the bias applied on the right, 0 (raw) to 1

    def validated(self, n_gallery: int | None = None, n_bank: int | None = None) -> "Settings":
        """Check every field; whole numbers may come as floats, words are written the short way.

        Args:
            n_gallery: gallery items, an upper limit of k.
            n_bank: bank captions, an upper limit of the bank size.

        Raises:
            SettingsError: a field is unknown, not a number, or out of range.
        """
        left, right = searchable(self.left), searchable(self.right)
        beta = self.beta
        if beta is not None:
            beta = _number("beta", beta)
            if not 0 < beta <= MAX_BETA:
                raise SettingsError(
                    f"beta must be above 0 and at most {MAX_BETA:,.0f}, got {beta:g}"
                )
        strength = _number("strength", self.strength)
        if not 0 <= strength <= 1:
            raise SettingsError(f"strength must be between 0 (raw) and 1, got {strength:g}")
        bank_size = self.bank_size
        if bank_size is not None:
            bank_size = whole_number("bank size", bank_size, n_bank, "the bank's captions")
        return replace(
            self,
            left=left,
            right=right,
            beta=beta,
            k=whole_number("k", self.k, n_gallery, "the gallery size"),
            bank_size=bank_size,
            top=whole_number("top", self.top, MAX_TOP),
            strength=strength,
        )


def searchable(word: Any) -> str:
    """The short way to write a normaliser's word, one that can answer single queries.

    Raises:
        SettingsError: the name or a setting is unknown, or it normalises whole matrices only.
    """
    if not isinstance(word, str) or len(word) > MAX_WORD:
        check_searchable(str(word)[:40])
    check_searchable(word.partition(":")[0])
    return spec_of(parse_spec(word))


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise SettingsError(f"{name} must be a number, got {str(value)[:40]!r}")
    if not math.isfinite(value):
        raise SettingsError(f"{name} must be a finite number, got {value}")
    return float(value)


def whole_number(name: str, value: Any, most: int | None, what: str = "") -> int:
    """A whole number in 1..most, which may come as a float, or a SettingsError that says so."""
    number = _number(name, value)
    if number != int(number) or number < 1 or (most is not None and number > most):
        limit = "1 or more" if most is None else f"1..{most:,}{f' ({what})' if what else ''}"
        raise SettingsError(f"{name} must be a whole number, {limit}, got {number:g}")
    return int(number)


def clean_query(query: Any, most: int = MAX_QUERY) -> str:
    """Check a typed query: NFC, control and bidi-override characters removed, spaces single.

    Raises:
        QueryError: not text, empty, with a null byte, or over `most` characters.
    """
    if not isinstance(query, str):
        raise QueryError(f"the query must be text, got {type(query).__name__}")
    if "\0" in query:
        raise QueryError("the query holds a null byte; remove it and search again")
    # A paste of megabytes is refused by its start, before anything walks over all of it.
    text = clean_text(query[: 20 * most])
    if not text:
        raise QueryError("the query is empty; type a sentence")
    if len(text) > most:
        within = " " not in text[most - 1 : most + 1]  # the limit falls inside a word
        n_words = len(text[:most].split()) + (not within)
        word = text.split()[n_words - 1]
        length = f"{len(text):,}" if len(query) <= 20 * most else f"over {20 * most:,}"
        raise QueryError(
            f"the query has {length} characters, the limit is {most}: it would be cut at word "
            f"{n_words} ({clean_text(word[:30])!r}); shorten it"
        )
    return text


@dataclass(frozen=True)
class Result:
    """One row of a ranking."""

    rank: int  # place, best is 1; of equal scores the earlier gallery row comes first
    id: str
    score: float  # similarity less the applied bias
    other_rank: int  # place in the other ranking
    bias: float  # what the normaliser takes off at full strength, less its mean over the gallery
    k_occurrence: int  # bank captions that have the video in their top k
    is_hub: bool  # k_occurrence >= 2 mu and >= 2, mu = k * n_bank / n_gallery
    is_ground_truth: bool
    caption: str | None
    tied_with: int  # other videos of exactly this score
    takes_over_at: float | None  # right ranking, risen: strength from which on it holds its place
    extras: dict[str, Any] = field(default_factory=dict)  # of the item: theme, url, ...


@dataclass(frozen=True)
class Ranking:
    """One of the two columns."""

    normaliser: str  # short name
    title: str  # for people
    results: tuple[Result, ...]  # top ones, then the ground truth where it is below them


@dataclass(frozen=True)
class GroundTruth:
    """Where the correct video stands; ties share their mean rank, as in the metrics."""

    id: str
    left_rank: float
    right_rank: float


@dataclass(frozen=True)
class SearchResult:
    """The answer to one query, with all that a view of it needs.

    `to_dict()` is the one JSON object of the command line, the API and the page's download:

        query, query_id     the text asked; id of the stored query, or null for a typed one
        settings            left, right, beta (null: scale-free), k, bank_size, top, strength
        active              whether the right normaliser was applied to this query
        reason              the sentence that says so
        rankings            left and right: {normaliser, title, results: [{rank, id, score,
                            other_rank, bias, k_occurrence, is_hub, is_ground_truth, caption,
                            tied_with, takes_over_at, extras}]}
        ground_truth        {id, left_rank, right_rank}, or null
        leads               [{strength, id}]: who is first from which strength on, 0 to 1
        unknown_words       words of a typed query that the encoder never saw
        cut_at              first word of a typed query that the encoder has no room for, or null
        warning             about a small bank, or null
        n_gallery, n_bank   videos ranked; bank captions used
        beta_used           the resolved beta of the right normaliser, or null
        versions            digests of gallery, bank and encoder
    """

    query: str
    query_id: str | None
    settings: Settings
    active: bool
    reason: str
    rankings: tuple[Ranking, Ranking]
    ground_truth: GroundTruth | None
    unknown_words: tuple[str, ...]
    cut_at: str | None
    warning: str | None
    n_gallery: int
    n_bank: int
    beta_used: float | None
    leads: tuple[tuple[float, str], ...]  # (strength, id), from (0.0, raw top video) on
    versions: dict[str, Any]
    timings_ms: dict[str, float]  # encode, similarity, normalise, rank; not part of to_dict

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain Python values, see the class."""
        whole = {
            each.name: _plain(getattr(self, each.name))
            for each in dataclasses.fields(self)
            if each.name != "timings_ms"
        }
        whole["leads"] = [{"strength": strength, "id": known} for strength, known in self.leads]
        return whole


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value.item() if isinstance(value, np.generic) else value


@dataclass(frozen=True)
class NearCaption:
    """A bank caption that pulls a video."""

    caption: str
    sim: float  # its similarity to the video
    share: float | None  # how much it counts, 0..1, see Explanation.n_counted


EXPERT_TITLES = {  # by the first part of an expert's name
    "audio": "sound",
    "face": "faces",
    "flow": "motion",
    "i3d": "motion",
    "imagenet": "objects",
    "motion": "motion",
    "ocr": "words on screen",
    "r2p1d": "actions",
    "rgb": "frames",
    "s3dg": "actions",
    "scene": "scene",
    "speech": "speech",
}


def expert_title(name: str) -> str:
    """What an expert looks at or listens to, for people."""
    return EXPERT_TITLES.get(name.split(".")[0], name)


@dataclass(frozen=True)
class ExpertShare:
    """What one expert says of a query and a video."""

    name: str  # in the model
    title: str  # for people
    asked: float  # the query's weight of it, whatever a video has; these sum to one
    missing: bool  # whether the video lacks it
    weight: float  # of it among the experts that the video has, 0..1; these sum to one
    sim: float | None  # similarity by it alone; None where missing
    contribution: float  # weight times sim; these sum to the similarity of query and video


@dataclass(frozen=True)
class Explanation:
    """Why a video's score is what it is."""

    video_id: str
    normaliser: str  # the one explained: the right one, or the left where the right is "none"
    sentence: str  # the gist; says so where there is no penalty
    made: str  # how the bias comes about, a sentence; empty where there is no penalty
    bias: float  # what is taken off at full strength, less its mean over the gallery
    bias_percentile: float  # percent of the gallery with a lower bias
    median_bias: float
    k_occurrence: int  # bank captions that have the video in their top k
    median_k_occurrence: float
    is_hub: bool
    k: int
    n_bank: int
    beta: float | None  # as resolved
    nearest: tuple[NearCaption, ...]  # nearest first; empty where there is no penalty
    n_counted: int  # bank captions whose shares sum to one; 0 where the bias has no shares
    alike: bool  # whether those all have the same share
    share_shown: float  # sum of the shares of `nearest`
    applied: float | None  # what is taken off for this query at this strength; None without query
    sim: float | None  # raw similarity to this query
    experts: tuple[ExpertShare, ...] = ()  # that it is made of; empty without any, or no query

    def to_dict(self) -> dict[str, Any]:
        """The explanation as plain Python values."""
        return _plain(self)


@dataclass(frozen=True)
class FittingCaption:
    """A bank caption that fits a video."""

    caption: str
    score: float  # on the scale of the similarities


@dataclass(frozen=True)
class FittingCaptions:
    """The bank captions that fit a video best, under one normaliser."""

    normaliser: str
    title: str
    applied: bool  # False: scores are raw, by choice or as the gate was shut
    captions: tuple[FittingCaption, ...]  # best first


@dataclass(frozen=True)
class QueryChange:
    """What normalisation did to one stored query."""

    id: str
    text: str
    video_id: str  # the correct video
    raw_rank: float  # its rank on the left; ties share their mean
    norm_rank: float  # its rank on the right
    delta: float  # places gained; negative where it fell
    active: bool  # whether the right normaliser was applied
    top_hub: str | None  # the raw best video, where it is a hub and not the correct one


@dataclass(frozen=True)
class QueryChanges:
    """What normalisation did to every stored query."""

    rows: tuple[QueryChange, ...]  # in stored order
    helped: int
    hurt: int
    unchanged: int
    metrics_raw: dict[str, float]  # left, from metrics.summarise
    metrics_norm: dict[str, float]  # right


@dataclass(frozen=True)
class Hub:
    """A video that is retrieved too often."""

    id: str
    count_raw: int
    count_norm: int


@dataclass(frozen=True, eq=False)
class HubnessReport:
    """How evenly the places of both rankings are shared out."""

    k: int
    over: str  # "queries" or "bank"
    n_queries: int
    counts_raw: np.ndarray  # [n_gallery] k-occurrence on the left
    counts_norm: np.ndarray  # [n_gallery] on the right
    raw: Hubness  # measures, with their values under chance in .chance
    norm: Hubness
    biggest: tuple[Hub, ...]  # most retrieved on the left first
    r1_raw: float | None  # R@1 of the stored queries in percent; None without any
    r1_norm: float | None
    in_sample: bool  # counted on the very captions that the bias was fitted on


@dataclass(frozen=True)
class Curve:
    """R@1 of the stored queries against one setting."""

    setting: str  # "bank_size" or "beta"
    values: tuple[float, ...]
    r1_norm: tuple[float, ...]  # percent, one per value
    r1_raw: float  # percent, without normalisation
