"""One query's ranking as the strength of normalisation goes from 0 (raw) to 1, exactly."""

from collections.abc import Sequence

import numpy as np


class Bend:
    """How one query's ranking changes as strength goes from 0 to the shown one.

    Every score is a line in the strength w, s[j] - w * b[j], so two items change places at most
    once, at (s[i] - s[j]) / (b[i] - b[j]).
    """

    def __init__(self, sims: np.ndarray, bias: np.ndarray, strength: float) -> None:
        """Args: [n_gallery] raw similarities, [n_gallery] bias, shown strength 0..1."""
        self.sims = sims.astype(np.float64)
        self.bias = bias.astype(np.float64)
        self.strength = strength
        self.shown = self.sims - strength * self.bias

    def take_over_at(self, columns: Sequence[int]) -> list[float | None]:
        """Smallest strength from which on, up to the shown one, an item keeps its shown place.

        Args:
            columns: the items asked for.

        Returns:
            one strength an item; None for an item that did not rise.
        """
        found: list[float | None] = [None] * len(columns)
        if self.strength == 0:
            return found
        step = max(1, 2**24 // len(self.sims))  # rows compared at once, to bound memory
        for start in range(0, len(columns), step):
            chunk = np.asarray(columns[start : start + step])
            before, after = _ahead(self.sims, chunk), _ahead(self.shown, chunk)
            rose = after.sum(axis=1) < before.sum(axis=1)
            for row in np.flatnonzero(rose):
                crossed = np.flatnonzero(before[row] != after[row])
                passed = before[row, crossed]
                found[start + row] = self._settles(int(chunk[row]), crossed, passed)
        return found

    def _settles(self, column: int, crossed: np.ndarray, passed: np.ndarray) -> float:
        """Where an item that rose comes to its shown place for good.

        Args:
            column: the item.
            crossed: items whose line crosses its line between 0 and the shown strength.
            passed: of each, whether it was passed (or else passed the item).
        """
        at = (self.sims[crossed] - self.sims[column]) / (self.bias[crossed] - self.bias[column])
        # Walk down from the shown strength: below `at`, those it passed are ahead again.
        order = np.argsort(-at, kind="stable")
        at, lost = at[order], np.cumsum(np.where(passed[order], 1, -1))
        ends = np.append(at[1:] != at[:-1], True)  # crossings at one strength count together
        return float(np.clip(at[ends & (lost > 0)][0], 0.0, self.strength))

    def leads(self) -> list[tuple[float, int]]:
        """Who is first from which strength on, between 0 and 1: [(0.0, raw best), ...]."""
        leader = int(self.sims.argmax())
        leads, at = [(0.0, leader)], 0.0
        while True:
            lighter = np.flatnonzero(self.bias < self.bias[leader])
            if not len(lighter):
                return leads
            meets = (self.sims[leader] - self.sims[lighter]) / (
                self.bias[leader] - self.bias[lighter]
            )
            first = np.lexsort((self.bias[lighter], meets))[0]
            at = max(at, float(meets[first]))
            if at > 1:
                return leads
            leader = int(lighter[first])
            leads.append((at, leader))


def _ahead(scores: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """[n_columns, n_gallery] which items stand before each; of equal scores the earlier one."""
    own = scores[columns, None]
    tied_before = (scores == own) & (np.arange(len(scores)) < columns[:, None])
    return (scores > own) | tied_before
