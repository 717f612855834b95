"""One query's ranking as the strength of normalisation goes from 0 (raw) to 1, exactly."""

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

    def takes_over_at(self, column: int) -> float | None:
        """Smallest strength from which on, up to the shown one, the item keeps its shown place.

        None for an item that did not rise.
        """
        if self.strength == 0:
            return None
        before = self._ahead(self.sims, column)
        after = self._ahead(self.shown, column)
        if np.count_nonzero(after) >= np.count_nonzero(before):
            return None
        crossed = np.flatnonzero(before != after)
        at = (self.sims[crossed] - self.sims[column]) / (self.bias[crossed] - self.bias[column])
        # Walk down from the shown strength: below `at`, those it passed are ahead again.
        step = np.where(before[crossed], 1, -1)
        order = np.argsort(-at, kind="stable")
        at, lost = at[order], np.cumsum(step[order])
        ends = np.append(at[1:] != at[:-1], True)  # crossings at one strength count together
        return float(np.clip(at[ends & (lost > 0)][0], 0.0, self.strength))

    @staticmethod
    def _ahead(scores: np.ndarray, column: int) -> np.ndarray:
        ahead = scores > scores[column]
        ahead[:column] |= scores[:column] == scores[column]
        return ahead

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
