"""Questions about a matrix, answered together in one pass over its tiles.

Every question has a `state`, a few numbers per item or bank caption that say it all: the answer
follows from it. Those whose state lives on when rows or columns come or go are in `lasting.py`.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from retrieval.normalisers.base import Evidence
from retrieval.similarity import Tiles
from retrieval.streaming.columns import ColumnMoments, LogSumExp, PairSums
from retrieval.streaming.tiles import TopK, for_each_tile


class Gatherer(Protocol):
    """Gathers from tiles in any order and from several threads."""

    def add(self, rows: slice, columns: slice, block: np.ndarray) -> None:
        """Take in one tile."""


class Ask(Protocol):
    """A question about one matrix."""

    of: str  # which matrix of the evidence

    def same(self) -> Hashable:
        """Questions for which this is equal are answered by one gatherer."""

    def size(self) -> int:
        """Of those the largest is gathered: its state holds the answers to the smaller ones."""

    def start(self, tiles: Tiles) -> Gatherer:
        """What gathers the state."""

    def state(self, gathered: Any) -> Any:
        """What was gathered, as an array or a tuple of arrays."""

    def answer(self, state: Any, shape: tuple[int, int]) -> Any:
        """The answer, from the state of this or of a larger question."""


class Plain:
    """A question with a gatherer of its own, whose state is the answer."""

    def same(self) -> Hashable:
        return self

    def size(self) -> int:
        return 0

    def state(self, gathered: Any) -> Any:
        return gathered.values()

    def answer(self, state: Any, shape: tuple[int, int]) -> Any:
        return state


@dataclass(frozen=True)
class Moments(Plain):
    """Mean and population standard deviation of each column, [2, n_columns] float64."""

    of: str = "bank_sims"

    def start(self, tiles: Tiles) -> ColumnMoments:
        return ColumnMoments(*tiles.shape)


@dataclass(frozen=True, eq=False)
class LogSum(Plain):
    """log(sum of weight * exp(beta * x)) of each column (over rows) or row (over columns)."""

    beta: float
    log_weights: np.ndarray = field(repr=False)  # one per row, or column, that is summed over
    over: str  # "rows" or "columns"
    of: str = "bank_sims"

    def start(self, tiles: Tiles) -> LogSumExp:
        return LogSumExp(*tiles.shape, self.log_weights, self.beta, self.over, tiles.bound)


@dataclass(frozen=True)
class NearestItems(Plain):
    """Each item's nearest others in a square symmetric matrix: ([n, k] indices, similarities)."""

    neighbours: int
    of: str = "gallery_sims"

    def start(self, tiles: Tiles) -> TopK:
        # One more than asked: the item itself, which is then left out.
        return TopK(tiles.shape[0], min(self.neighbours + 1, tiles.shape[0]))

    def state(self, gathered: TopK) -> tuple[np.ndarray, np.ndarray]:
        n, k = gathered.columns.shape
        kept = gathered.columns != np.arange(n)[:, None]
        kept[kept.all(axis=1), -1] = False  # so many equals that the item is not among its nearest
        return gathered.columns[kept].reshape(n, k - 1), gathered.scores[kept].reshape(n, k - 1)


@dataclass(frozen=True, eq=False)
class PairSum(Plain):
    """For each item, the sum of the matrix over all pairs of its neighbours, [n] float64."""

    neighbours: np.ndarray = field(repr=False)  # [n, k] indices
    of: str = "gallery_sims"

    def start(self, tiles: Tiles) -> PairSums:
        return PairSums(self.neighbours)


@dataclass(frozen=True)
class Whole(Plain):
    """The matrix itself, for one that memory holds easily."""

    of: str = "bank_sims"

    def start(self, tiles: Tiles) -> "_Copy":
        return _Copy(tiles)


class _Copy:
    def __init__(self, tiles: Tiles) -> None:
        self.sims = np.empty(tiles.shape, getattr(tiles, "dtype", np.float32))

    def add(self, rows: slice, columns: slice, block: np.ndarray) -> None:
        """Take in one tile."""
        self.sims[rows, columns] = block

    def values(self) -> np.ndarray:
        """[n_rows, n_columns], in the precision of the tiles."""
        return self.sims


def gather(asks: set[Ask], evidence: Evidence) -> dict[Ask, Any]:
    """The state of every question, with one pass over each matrix that is asked about."""
    found = {}
    for of in sorted({ask.of for ask in asks}):
        tiles = getattr(evidence, of)
        groups: dict[Hashable, list[Ask]] = {}
        for ask in asks:
            if ask.of == of:
                groups.setdefault(ask.same(), []).append(ask)
        largest = {same: max(group, key=lambda ask: ask.size()) for same, group in groups.items()}
        gatherers = {same: ask.start(tiles) for same, ask in largest.items()}
        for_each_tile(tiles, _handing_on(tuple(gatherers.values())))
        for same, group in groups.items():
            state = largest[same].state(gatherers[same])
            found.update((ask, state) for ask in group)
    return found


def _handing_on(gatherers: tuple[Gatherer, ...]) -> Any:
    def take_in(rows: slice, columns: slice, block: np.ndarray) -> None:
        for gatherer in gatherers:
            gatherer.add(rows, columns, block)

    return take_in
