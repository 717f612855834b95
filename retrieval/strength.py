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
        self.shown = self.sims - strength * self.bias if strength else self.sims

    def take_over_at(self, columns: Sequence[int]) -> list[float | None]:
        """Smallest strength from which on, up to the shown one, an item keeps its shown place.

        Args:
            columns: the items asked for.

        Returns:
            one strength an item; None for an item that did not rise.
        """
        found: list[float | None] = [None] * len(columns)
        if self.strength == 0 or not len(columns):
            return found
        columns = np.asarray(columns)
        # Only an item that is before one of them at either end can be passed or pass.
        near = self.sims >= self.sims[columns].min()
        near |= self.shown >= self.shown[columns].min()
        near = np.flatnonzero(near)
        sims, shown = self.sims[near], self.shown[near]
        own = np.searchsorted(near, columns)
        step = max(1, 2**24 // len(near))  # rows compared at once, to bound memory
        for start in range(0, len(columns), step):
            chunk = own[start : start + step]
            before, after = _ahead(sims, chunk), _ahead(shown, chunk)
            rose = np.count_nonzero(after, axis=1) < np.count_nonzero(before, axis=1)
            for row in np.flatnonzero(rose):
                crossed = np.flatnonzero(before[row] != after[row])
                passed = before[row, crossed]
                found[start + row] = self._settles(columns[start + row], near[crossed], passed)
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
        items = self._rivals()
        sims, bias = self.sims[items], self.bias[items]
        leader = int(sims.argmax())
        leads, at = [(0.0, int(items[leader]))], 0.0
        while True:
            lighter = np.flatnonzero(bias < bias[leader])
            if not len(lighter):
                return leads
            meets = (sims[leader] - sims[lighter]) / (bias[leader] - bias[lighter])
            first = np.lexsort((bias[lighter], meets))[0]
            at = max(at, float(meets[first]))
            if at > 1:
                return leads
            leader = int(lighter[first])
            leads.append((at, int(items[leader])))

    def _rivals(self) -> np.ndarray:
        """Every item that can be first at some strength, few of many, in gallery order.

        The raw best and the one at strength 1 bound the lead from below by two lines. Where an
        item's line reaches them at all it does so at 0, at 1, or where the two meet.
        """
        full = self.shown if self.strength == 1 else self.sims - self.bias
        raw, last = int(self.sims.argmax()), int(full.argmax())
        gained = full[last] - full[raw]
        lost = self.sims[raw] - self.sims[last]
        meet = lost / (lost + gained) if lost + gained > 0 else 0.0
        least = self.sims[raw] - meet * self.bias[raw]
        slack = 1e-12 * max(abs(self.sims[raw]), abs(self.bias[raw]), abs(full[last]), 1e-300)
        near = self.sims - meet * self.bias >= least - slack
        near |= self.sims >= self.sims[raw] - slack
        near |= full >= full[last] - slack
        return np.flatnonzero(near)


def _ahead(scores: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """[n_columns, n_gallery] which items stand before each; of equal scores the earlier one."""
    own = scores[columns, None]
    tied_before = (scores == own) & (np.arange(len(scores)) < columns[:, None])
    return (scores > own) | tied_before
