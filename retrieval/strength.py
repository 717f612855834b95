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
        self.sims, self.bias = sims, bias
        self.strength = strength
        # More than a rounding of any score: who is near is seen in the precision of the
        # similarities, and only what is near is then worked out in double precision.
        scale = sum(max(float(each.max()), -float(each.min())) for each in (sims, bias))
        self._slack = 8 * float(np.finfo(np.result_type(sims, bias)).eps) * scale

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
        shown = self._at(self.strength)
        near = self.sims >= self.sims[columns].min()
        near |= shown >= shown[columns].min() - self._slack
        near = np.flatnonzero(near)
        sims, bias = self.sims[near].astype(np.float64), self.bias[near].astype(np.float64)
        shown = sims - self.strength * bias
        own = np.searchsorted(near, columns)
        step = max(1, 2**24 // len(near))  # rows compared at once, to bound memory
        for start in range(0, len(columns), step):
            chunk = own[start : start + step]
            before, after = _ahead(sims, chunk), _ahead(shown, chunk)
            rose = np.count_nonzero(after, axis=1) < np.count_nonzero(before, axis=1)
            for row in np.flatnonzero(rose):
                crossed = np.flatnonzero(before[row] != after[row])
                passed = before[row, crossed]
                at = (sims[crossed] - sims[chunk[row]]) / (bias[crossed] - bias[chunk[row]])
                found[start + row] = self._settles(at, passed)
        return found

    def _settles(self, at: np.ndarray, passed: np.ndarray) -> float:
        """Where an item that rose comes to its shown place for good.

        Args:
            at: strengths between 0 and the shown one at which its line crosses another's.
            passed: of each, whether it passed the other (or else was passed).
        """
        # Walk down from the shown strength: below `at`, those it passed are ahead again.
        order = np.argsort(-at, kind="stable")
        at, lost = at[order], np.cumsum(np.where(passed[order], 1, -1))
        ends = np.append(at[1:] != at[:-1], True)  # crossings at one strength count together
        return float(np.clip(at[ends & (lost > 0)][0], 0.0, self.strength))

    def leads(self) -> list[tuple[float, int]]:
        """Who is first from which strength on, between 0 and 1: [(0.0, raw best), ...]."""
        items = self._rivals()
        sims, bias = self.sims[items].astype(np.float64), self.bias[items].astype(np.float64)
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
        full = self._at(1)
        raw, last = int(self.sims.argmax()), int(full.argmax())
        s, b = (each[[raw, last]].astype(np.float64) for each in (self.sims, self.bias))
        lost, gained = s[0] - s[1], (s[1] - b[1]) - (s[0] - b[0])
        meet = float(lost / (lost + gained)) if lost + gained > 0 else 0.0
        near = self._at(meet) >= s[0] - meet * b[0] - self._slack
        near |= self.sims >= self.sims[raw]
        near |= full >= full[last] - self._slack
        return np.flatnonzero(near)

    def _at(self, strength: float) -> np.ndarray:
        """[n_gallery] scores at a strength, in the precision of the similarities."""
        return self.sims - self.bias * np.asarray(strength, dtype=self.bias.dtype)


def _ahead(scores: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """[n_columns, n_gallery] which items stand before each; of equal scores the earlier one."""
    own = scores[columns, None]
    tied_before = (scores == own) & (np.arange(len(scores)) < columns[:, None])
    return (scores > own) | tied_before
