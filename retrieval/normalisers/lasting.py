"""Questions whose state can be kept when rows or columns come or go, exactly.

`updating.py` joins what is new to the state, or parts what is gone from it.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from retrieval.errors import SettingsError
from retrieval.normalisers.asks import Ask, Plain
from retrieval.similarity import Tiles, check_k, top_k
from retrieval.streaming.columns import ColumnMean, ColumnTop
from retrieval.streaming.tiles import LogMeanExp, TopK

Again = Callable[[np.ndarray], np.ndarray]  # indices -> those rows or columns of similarities
SHARE_LEFT = 0.01  # of an item's mass; with less, the digits that are left would be too few


class Lasting(Ask, Protocol):
    """A question whose state can be kept when rows or columns come or go, exactly."""

    def join_rows(self, state: Any, new: Any, n_rows: int, n_new: int) -> Any:
        """The state of both, from that of n_rows and of n_new more."""

    def part_rows(
        self, state: Any, gone: np.ndarray, part: Any, n_rows: int, columns: Again | None
    ) -> Any:
        """The state without some rows.

        Args:
            state: of all rows.
            gone: [n_gone] rows that leave.
            part: their state.
            n_rows: rows before.
            columns: gives whole columns of what is left, where the state alone is not enough.
        """

    def join_columns(self, state: Any, new: Any, n_columns: int) -> Any:
        """The state with new columns behind the n_columns there are."""

    def part_columns(self, state: Any, kept: np.ndarray, rows: Again | None) -> Any:
        """The state without some columns.

        Args:
            state: of all columns.
            kept: [n_columns] bool, those that stay.
            rows: gives whole rows of what is left, where the state alone is not enough.
        """


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


class PerColumn(Plain):
    """A question whose state has one row per column of the matrix."""

    def join_columns(self, state: np.ndarray, new: np.ndarray, n_columns: int) -> np.ndarray:
        return np.concatenate([state, new])

    def part_columns(self, state: np.ndarray, kept: np.ndarray, rows: Again | None) -> np.ndarray:
        return state[kept]


@dataclass(frozen=True)
class LogMean(PerColumn):
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

    def start(self, tiles: Tiles) -> LogMeanExp:
        return LogMeanExp(*tiles.shape, self.scale * tiles.bound, self.scale)

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


@dataclass(frozen=True)
class Nearest(PerColumn):
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


@dataclass(frozen=True)
class Mean(PerColumn):
    """The mean of each column, [n_columns] float64."""

    of: str = "bank_sims"

    def start(self, tiles: Tiles) -> ColumnMean:
        return ColumnMean(*tiles.shape)

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
