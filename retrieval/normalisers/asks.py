"""Questions about a matrix, answered together in one pass over its tiles.

Every question has a `state`, a few numbers per item or bank caption that say it all: the answer
follows from it, and rows and columns can be joined to it later (see `updating.py`).
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from retrieval.columns import ColumnMean, ColumnMoments, ColumnTop, LogSumExp, PairSums
from retrieval.errors import SettingsError
from retrieval.normalisers.base import Evidence
from retrieval.similarity import Tiles, check_k, top_k
from retrieval.tiles import LogMeanExp, TopK, for_each_tile


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


class Lasting(Ask, Protocol):
    """A question whose state can be kept when rows or columns come or go, exactly."""

    def join_rows(self, state: Any, new: Any, n_rows: int, n_new: int) -> Any:
        """The state of both, from that of n_rows and of n_new more."""

    def part_rows(
        self, state: Any, gone: np.ndarray, part: Any, n_rows: int, columns: "Again | None"
    ) -> Any:
        """The state without some rows.

        Args:
            gone: [n_gone] rows that leave.
            part: their state.
            n_rows: rows before.
            columns: gives whole columns of what is left, where the state alone is not enough.
        """

    def join_columns(self, state: Any, new: Any, n_columns: int) -> Any:
        """The state with new columns behind the n_columns there are."""

    def part_columns(self, state: Any, kept: np.ndarray, rows: "Again | None") -> Any:
        """The state without some columns.

        Args:
            kept: [n_columns] bool, those that stay.
            rows: gives whole rows of what is left, where the state alone is not enough.
        """


Again = Callable[[np.ndarray], np.ndarray]  # indices -> those rows or columns of similarities
SHARE_LEFT = 0.01  # of an item's mass; with less, the digits that are left would be too few


@dataclass(frozen=True)
class TopItems:
    """In how many rows is each column among the k best? [n_columns] int64.

    Its state holds, per row, the k best scores and columns: of equal ones the lowest columns.
    """

    k: int
    of: str = "bank_sims"

    def same(self) -> Hashable:
        return TopItems

    def size(self) -> int:
        return self.k

    def start(self, tiles: Tiles) -> TopK:
        check_k(self.k, tiles.shape[1])
        return TopK(tiles.shape[0], self.k)

    def state(self, gathered: TopK) -> tuple[np.ndarray, np.ndarray]:
        return gathered.scores, gathered.columns

    def answer(self, state: tuple[np.ndarray, np.ndarray], shape: tuple[int, int]) -> np.ndarray:
        return np.bincount(state[1][:, : self.k].ravel(), minlength=shape[1])

    def join_rows(self, state: Any, new: Any, n_rows: int, n_new: int) -> Any:
        return tuple(np.concatenate(both) for both in zip(state, new, strict=True))

    def part_rows(
        self, state: Any, gone: np.ndarray, part: Any, n_rows: int, columns: Again | None
    ) -> Any:
        return tuple(np.delete(each, gone, axis=0) for each in state)

    def join_columns(self, state: Any, new: Any, n_columns: int) -> Any:
        scores = np.concatenate([state[0], new[0]], axis=1)
        columns = np.concatenate([state[1], new[1] + n_columns], axis=1)
        best = np.lexsort((columns, -scores), axis=1)[:, : self.k]
        return tuple(np.take_along_axis(each, best, axis=1) for each in (scores, columns))

    def part_columns(self, state: Any, kept: np.ndarray, rows: Again | None) -> Any:
        check_k(self.k, int(kept.sum()))
        scores, columns = (each.copy() for each in state)
        lost = np.flatnonzero(~kept[columns].all(axis=1))
        columns = (np.cumsum(kept) - 1)[columns]
        if len(lost):
            if rows is None:
                raise SettingsError(
                    f"{len(lost):,} bank captions had a removed item among their {self.k} best, "
                    "so others take its place; give `rows`, or fit again"
                )
            sims = rows(lost)
            columns[lost] = top_k(sims, self.k)
            scores[lost] = np.take_along_axis(sims, columns[lost], axis=1)
        return scores, columns


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

    def state(self, gathered: LogMeanExp) -> np.ndarray:
        return gathered.values()

    def answer(self, state: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        return state / self.scale

    def join_rows(self, state: np.ndarray, new: np.ndarray, n_rows: int, n_new: int) -> np.ndarray:
        sums = np.logaddexp(state + np.log(n_rows), new + np.log(n_new))
        return sums - np.log(n_rows + n_new)

    def part_rows(
        self,
        state: np.ndarray,
        gone: np.ndarray,
        part: np.ndarray,
        n_rows: int,
        columns: Again | None,
    ) -> np.ndarray:
        n_left = n_rows - len(gone)
        share = np.exp(part - state) * len(gone) / n_rows
        lost = np.flatnonzero(share > 1 - SHARE_LEFT)
        if len(lost) and columns is None:
            raise SettingsError(
                f"the removed captions hold all but {SHARE_LEFT:.0%} of the mass of {len(lost):,} "
                "items, and too few digits would be left; give `columns`, or fit again"
            )
        share[lost] = 0
        out = state + np.log1p(-share) + np.log(n_rows / n_left)
        if len(lost):
            powers = self.scale * columns(lost).astype(np.float64)
            out[lost] = np.logaddexp.reduce(powers, axis=0) - np.log(n_left)
        return out

    def join_columns(self, state: np.ndarray, new: np.ndarray, n_columns: int) -> np.ndarray:
        return np.concatenate([state, new])

    def part_columns(self, state: np.ndarray, kept: np.ndarray, rows: Again | None) -> np.ndarray:
        return state[kept]


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

    def state(self, gathered: ColumnTop) -> np.ndarray:
        return gathered.values()

    def answer(self, state: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        return state[:, : self.neighbours]

    def join_rows(self, state: np.ndarray, new: np.ndarray, n_rows: int, n_new: int) -> np.ndarray:
        both = -np.sort(-np.concatenate([state, new], axis=1), axis=1)
        return both[:, : min(self.neighbours, n_rows + n_new)]

    def part_rows(
        self,
        state: np.ndarray,
        gone: np.ndarray,
        part: np.ndarray,
        n_rows: int,
        columns: Again | None,
    ) -> np.ndarray:
        k = min(self.neighbours, n_rows - len(gone))
        # By value, with room for the last digits in which two products of one pair may differ.
        room = 1e-6 * np.abs(state).max()
        lost = np.flatnonzero(part[:, 0] >= state[:, -1] - room)
        if len(lost) and columns is None:
            raise SettingsError(
                f"{len(lost):,} items had a removed caption among their {self.neighbours} nearest, "
                "so others take its place; give `columns`, or fit again"
            )
        out = state[:, :k].copy()
        if len(lost):
            out[lost] = -np.sort(-columns(lost).T.astype(np.float64), axis=1)[:, :k]
        return out

    def join_columns(self, state: np.ndarray, new: np.ndarray, n_columns: int) -> np.ndarray:
        return np.concatenate([state, new])

    def part_columns(self, state: np.ndarray, kept: np.ndarray, rows: Again | None) -> np.ndarray:
        return state[kept]


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

    def state(self, gathered: ColumnMean) -> np.ndarray:
        return gathered.values()

    def answer(self, state: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        return state

    def join_rows(self, state: np.ndarray, new: np.ndarray, n_rows: int, n_new: int) -> np.ndarray:
        return (n_rows * state + n_new * new) / (n_rows + n_new)

    def part_rows(
        self,
        state: np.ndarray,
        gone: np.ndarray,
        part: np.ndarray,
        n_rows: int,
        columns: Again | None,
    ) -> np.ndarray:
        return (n_rows * state - len(gone) * part) / (n_rows - len(gone))

    def join_columns(self, state: np.ndarray, new: np.ndarray, n_columns: int) -> np.ndarray:
        return np.concatenate([state, new])

    def part_columns(self, state: np.ndarray, kept: np.ndarray, rows: Again | None) -> np.ndarray:
        return state[kept]


@dataclass(frozen=True)
class Moments:
    """Mean and population standard deviation of each column, [2, n_columns] float64."""

    of: str = "bank_sims"

    def same(self) -> Hashable:
        return Moments

    def size(self) -> int:
        return 0

    def start(self, tiles: Tiles) -> ColumnMoments:
        return ColumnMoments(*tiles.shape)

    def state(self, gathered: ColumnMoments) -> np.ndarray:
        return gathered.values()

    def answer(self, state: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        return state


@dataclass(frozen=True, eq=False)
class LogSum:
    """log(sum of weight * exp(beta * x)) of each column (over rows) or row (over columns)."""

    beta: float
    log_weights: np.ndarray = field(repr=False)  # one per row, or column, that is summed over
    over: str  # "rows" or "columns"
    of: str = "bank_sims"

    def same(self) -> Hashable:
        return self

    def size(self) -> int:
        return 0

    def start(self, tiles: Tiles) -> LogSumExp:
        return LogSumExp(*tiles.shape, self.log_weights, self.beta, self.over, tiles.bound)

    def state(self, gathered: LogSumExp) -> np.ndarray:
        return gathered.values()

    def answer(self, state: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        return state


@dataclass(frozen=True)
class NearestItems:
    """Each item's nearest others in a square symmetric matrix: ([n, k] indices, similarities)."""

    neighbours: int
    of: str = "gallery_sims"

    def same(self) -> Hashable:
        return NearestItems, self.neighbours

    def size(self) -> int:
        return 0

    def start(self, tiles: Tiles) -> TopK:
        # One more than asked: the item itself, which is then left out.
        return TopK(tiles.shape[0], min(self.neighbours + 1, tiles.shape[0]))

    def state(self, gathered: TopK) -> tuple[np.ndarray, np.ndarray]:
        n, k = gathered.columns.shape
        kept = gathered.columns != np.arange(n)[:, None]
        kept[kept.all(axis=1), -1] = False  # so many equals that the item is not among its nearest
        return gathered.columns[kept].reshape(n, k - 1), gathered.scores[kept].reshape(n, k - 1)

    def answer(self, state: Any, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        return state


@dataclass(frozen=True, eq=False)
class PairSum:
    """For each item, the sum of the matrix over all pairs of its neighbours, [n] float64."""

    neighbours: np.ndarray = field(repr=False)  # [n, k] indices
    of: str = "gallery_sims"

    def same(self) -> Hashable:
        return self

    def size(self) -> int:
        return 0

    def start(self, tiles: Tiles) -> PairSums:
        return PairSums(self.neighbours)

    def state(self, gathered: PairSums) -> np.ndarray:
        return gathered.values()

    def answer(self, state: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        return state


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
