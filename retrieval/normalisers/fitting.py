"""Normalisers fitted together: what they ask of a matrix is gathered in one pass over its tiles.

A normaliser's `fitting` is a generator. It yields what it wants to know of the matrices (TopItems,
LogMean, ...), is sent the answers in the same order, may ask again, and returns its Bias. All that
are fitted together are taken forward in step, so their questions of one round share one pass.
"""

from collections.abc import Generator, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from retrieval.columns import ColumnMean, ColumnTop
from retrieval.normalisers.base import Bias, Evidence, as_evidence, precision
from retrieval.similarity import Tiles, check_k
from retrieval.tiles import LogMeanExp, TopK, for_each_tile


class Gatherer(Protocol):
    """Gathers from tiles in any order and from several threads."""

    def add(self, rows: slice, columns: slice, block: np.ndarray) -> None:
        """Take in one tile."""


class Ask(Protocol):
    """A question about one matrix."""

    of: str  # which matrix of the evidence

    def same(self) -> Hashable:
        """Questions of which this is the same are answered by one gatherer."""

    def size(self) -> int:
        """Of several, the largest is gathered; it holds the answers to the smaller ones."""

    def start(self, tiles: Tiles) -> Gatherer:
        """What gathers the answer."""

    def answer(self, gathered: Any, tiles: Tiles) -> np.ndarray:
        """The answer, from a gatherer that this or a larger question has started."""


Fitting = Generator[tuple[Ask, ...], tuple[np.ndarray, ...], Any]


def knob(default: Any, unit: str, help: str) -> Any:
    """A setting of a normaliser: its default (that of the paper), unit and meaning."""
    return field(default=default, metadata={"unit": unit, "help": help})


def votes_knob() -> Any:
    """The setting that all have that look at a querybank."""
    return knob(1, "items", "best items of each bank caption that count towards k_occurrence")


@dataclass(frozen=True)
class TopItems:
    """In how many rows is each column among the k best? [n_columns] int64."""

    k: int
    of: str = "bank_sims"

    def same(self) -> Hashable:
        return TopItems

    def size(self) -> int:
        return self.k

    def start(self, tiles: Tiles) -> TopK:
        check_k(self.k, tiles.shape[1])
        return TopK(tiles.shape[0], self.k)

    def answer(self, gathered: TopK, tiles: Tiles) -> np.ndarray:
        return np.bincount(gathered.columns[:, : self.k].ravel(), minlength=tiles.shape[1])


@dataclass(frozen=True)
class LogMean:
    """log(mean over rows of exp(beta * x)) / beta per column, [n_columns] float64.

    The mean, where the literature has the sum: they differ by log(n_rows) / beta for all items
    alike, which changes no score, and the mean lies between the item's mean similarity (beta
    near 0) and its largest (large beta), so float32 holds it at any beta.
    """

    beta: float
    of: str = "bank_sims"

    @property
    def scale(self) -> float:
        """Beta, within what is needed to reach its limits and float32 can hold."""
        return min(max(self.beta, 1e-20), 1e20)

    def same(self) -> Hashable:
        return LogMean, self.beta

    def size(self) -> int:
        return 0

    def start(self, tiles: Tiles) -> LogMeanExp:
        return LogMeanExp(*tiles.shape, self.scale * tiles.bound, self.scale)

    def answer(self, gathered: LogMeanExp, tiles: Tiles) -> np.ndarray:
        return gathered.values() / self.scale


@dataclass(frozen=True)
class Nearest:
    """The largest entries of each column, [n_columns, k] float64, largest first.

    Where the matrix has fewer rows than `neighbours`, k is the number of rows.
    """

    neighbours: int
    of: str = "bank_sims"

    def same(self) -> Hashable:
        return Nearest

    def size(self) -> int:
        return self.neighbours

    def start(self, tiles: Tiles) -> ColumnTop:
        return ColumnTop(tiles.shape[1], min(self.neighbours, tiles.shape[0]))

    def answer(self, gathered: ColumnTop, tiles: Tiles) -> np.ndarray:
        return gathered.values()[:, : self.neighbours]


@dataclass(frozen=True)
class Mean:
    """The mean of each column, [n_columns] float64."""

    of: str = "bank_sims"

    def same(self) -> Hashable:
        return Mean

    def size(self) -> int:
        return 0

    def start(self, tiles: Tiles) -> ColumnMean:
        return ColumnMean(*tiles.shape)

    def answer(self, gathered: ColumnMean, tiles: Tiles) -> np.ndarray:
        return gathered.values()


class Normaliser:
    """A way to make similarities fair to all gallery items; its knobs are dataclass fields."""

    name: ClassVar[str]  # short, for files and addresses
    title: ClassVar[str]  # for people
    additive: ClassVar[bool] = True  # fitting gives a Bias: one number per gallery item
    transductive: ClassVar[bool] = False  # looks at other test queries: evaluation only
    needs: ClassVar[frozenset[str]] = frozenset({"bank"})  # bank, gallery_bank, gallery, ...
    cost: ClassVar[str]  # of fitting, in a phrase
    paper: ClassVar[str]  # authors, year, equation

    def fitting(self, evidence: Evidence) -> Fitting:
        """Ask for what is needed, return the fitted normaliser."""
        raise NotImplementedError

    def fit(self, evidence: np.ndarray | Tiles | Evidence) -> Bias:
        """Fit on evidence, or on the [n_bank, n_gallery] similarities of a querybank alone."""
        return fit_all([self], evidence)[0]

    def scores(self, sims: np.ndarray, evidence: np.ndarray | Tiles | Evidence) -> np.ndarray:
        """Normalised scores of [n_queries, n_gallery] raw similarities, a new array."""
        return self.fit(evidence).apply(sims)

    def weights(self, bank_column: np.ndarray, beta: float | None) -> np.ndarray | None:
        """How much each bank caption counts in one item's bias: the bias moves by weight * change
        (times a constant of the method) when the caption's similarity to the item does.

        Args:
            bank_column: [n_bank] similarities of the bank captions to the item.
            beta: inverse temperature of the fitted bias.

        Returns:
            [n_bank] float64 that sum to one; None where the bias is no mean over captions.
        """
        return None

    def in_words(self, n_bank: int, beta: float | None) -> str:
        """How an item's bias comes about, a sentence for people."""
        return (
            f"{self.title} ({self.paper}) gives each video one number that does not split into "
            "shares of single bank captions."
        )


def bias_of(
    normaliser: Any,
    evidence: Evidence,
    values: np.ndarray,
    counts: np.ndarray,
    *,
    active: np.ndarray | None = None,
    beta: float | None = None,
) -> Bias:
    """The bias of a normaliser, in the precision of what it was fitted on."""
    tiles = evidence.need("bank_sims", normaliser.title)
    return Bias(
        values=values.astype(precision(tiles)),
        active=active,
        k_occurrence=counts,
        normaliser=normaliser.name,
        beta=beta,
        k=normaliser.k,
        n_bank=tiles.shape[0],
    )


def fit_all(
    normalisers: Sequence[Normaliser], evidence: np.ndarray | Tiles | Evidence
) -> list[Bias]:
    """Fit several normalisers with as few passes over the tiles as the neediest of them takes.

    Args:
        normalisers: what to fit, any that is not transductive.
        evidence: what to fit on; a lone matrix is the querybank's.

    Returns:
        what each one's own `fit` would have given.

    Raises:
        SettingsError: a matrix is missing that one of them needs, or a knob does not suit it.
    """
    evidence = as_evidence(evidence)
    under_way = {i: normaliser.fitting(evidence) for i, normaliser in enumerate(normalisers)}
    fitted: list[Any] = [None] * len(under_way)
    answers: dict[int, tuple[np.ndarray, ...] | None] = dict.fromkeys(under_way)
    while under_way:
        asked = {}
        for i, fitting in list(under_way.items()):
            try:
                asked[i] = fitting.send(answers[i])
            except StopIteration as done:
                fitted[i] = done.value
                del under_way[i]
        found = gather({ask for asks in asked.values() for ask in asks}, evidence)
        answers = {i: tuple(found[ask] for ask in asks) for i, asks in asked.items()}
    return fitted


def gather(asks: set[Ask], evidence: Evidence) -> dict[Ask, np.ndarray]:
    """Answer questions, with one pass over each matrix that is asked about."""
    found = {}
    for of in sorted({ask.of for ask in asks}):
        tiles = evidence.need(of, "this normaliser")
        groups: dict[Hashable, list[Ask]] = {}
        for ask in asks:
            if ask.of == of:
                groups.setdefault(ask.same(), []).append(ask)
        gatherers = {
            same: max(group, key=lambda ask: ask.size()).start(tiles)
            for same, group in groups.items()
        }
        each = tuple(gatherers.values())

        def take_in(
            rows: slice, columns: slice, block: np.ndarray, each: tuple[Gatherer, ...] = each
        ) -> None:
            for gatherer in each:
                gatherer.add(rows, columns, block)

        for_each_tile(tiles, take_in)
        for same, group in groups.items():
            for ask in group:
                found[ask] = ask.answer(gatherers[same], tiles)
    return found
