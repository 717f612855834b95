"""The four lines that the published QB-Norm script prints, to their last digit.

Its ratios exp(beta s) / sum exp(beta p) are made here as it makes them, in the precision of the
matrices and in its order of addition, but a few rows at a time, while they are read for our own
numbers: in float32 that moves a query by a place now and then against log space, and with it a
printed digit.

Source: Bogolin et al., "Cross Modal Retrieval with Querybank Normalisation", CVPR 2022; the
metric's rounding is that of "Collaborative Experts".
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from retrieval import metrics
from retrieval.similarity import Block, Tiles
from retrieval.streaming import parallel
from retrieval.streaming.rows import Rows
from retrieval.streaming.scoring import Truth
from retrieval.streaming.tiles import InOrder

BETA = 20.0  # what the script takes where nothing is said
KEYS = ("R1", "R5", "R10", "R50", "MedR", "MeanR", "geometric_mean_R1-R5-R10")


def printed(before: np.ndarray, after: np.ndarray, masked: bool) -> list[str]:
    """What the script prints, line by line.

    Args:
        before, after: [n_queries] ranks, best is 1.
        masked: whether a mask was given, which changes how its numbers are rounded and shown.
    """
    return [
        "Metrics before applying QB-Norm",
        _shown(before, masked),
        "Metrics after QB-Norm",
        _shown(after, masked),
    ]


class Beside:
    """The script's ratios, worked out of a matrix's parts while they are read for something else.

    All of `tiles` is gone through first, whatever for, then the wanted rows of `rows` are read.

    Args:
        bank: [n_bank, n_gallery] similarities.
        sims: [n_queries, n_gallery] similarities.
        truth: which queries are asked and what is correct.
        beta: inverse temperature.
    """

    def __init__(self, bank: Tiles, sims: Rows, truth: Truth, beta: float) -> None:
        self.sums = Sums(*bank.shape, bank.dtype, beta)
        self.tiles, self.rows = SummedTiles(bank, self.sums), RankedRows(sims, truth, self.sums)

    def ranks(self, raw: np.ndarray, active: np.ndarray) -> np.ndarray | None:
        """Rank of every query's correct item among the script's own scores.

        Args:
            raw: [n_queries] ranks without normalisation.
            active: [n_gallery] bool, the activation set.

        Returns:
            [n_queries]; None where the script's numbers overflow or are no floats, and it fails.
        """
        if self.sums.fails:
            return None
        ranks = np.where(active[self.rows.best], self.rows.ranks, raw)
        return None if np.isnan(ranks).any() else ranks


class Sums:
    """Sum over bank rows of exp(beta p) per column, added up row by row as the script does.

    Args:
        n_rows, n_columns: shape of the bank.
        dtype: of its similarities.
        beta: inverse temperature.
    """

    def __init__(self, n_rows: int, n_columns: int, dtype: np.dtype, beta: float) -> None:
        self.beta, self.mass = beta, np.zeros(n_columns, dtype)
        self.parts = InOrder(self._merge)
        self.n_left = n_rows * n_columns
        self._spare: list[np.ndarray] = []  # memory of parts that were added up

    @property
    def fails(self) -> bool:
        """Whether nothing can be divided by the sums."""
        return self.n_left > 0 or not (np.isfinite(self.mass).all() and self.mass.all())

    def add(self, rows: slice, columns: slice, block: np.ndarray) -> None:
        """Take in one tile of the first pass; a later pass changes nothing."""
        if self.n_left <= 0:
            return
        n_cells = (1 + len(block)) * block.shape[1]
        with self.parts.lock:
            memory = self._spare.pop() if self._spare else None
        if memory is None or len(memory) < n_cells:
            memory = np.empty(n_cells, self.mass.dtype)
        powers = memory[:n_cells].reshape(-1, block.shape[1])  # the first row is for the sums
        _powers(block, self.beta, powers[1:])
        self.parts.put(rows, columns, memory, powers)

    def _merge(self, columns: slice, memory: np.ndarray, powers: np.ndarray) -> None:
        powers[0] = self.mass[columns]
        with np.errstate(over="ignore"):
            np.add.reduce(powers, axis=0, out=self.mass[columns])
        self.n_left -= powers[1:].size
        self._spare.append(memory)


class SummedTiles:
    """Tiles of a bank whose powers are summed on the way."""

    def __init__(self, whole: Tiles, sums: Sums) -> None:
        self.whole, self._sums = whole, sums

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)

    def blocks(self, scale: float = 1.0, within: slice | None = None) -> Iterator[Block]:
        """Every tile once."""
        for rows, columns, block in self.whole.blocks(scale, within):
            if scale == 1:
                self._sums.add(rows, columns, block)
            yield rows, columns, block


class RankedRows:
    """Rows of similarities whose ratios are ranked when they are read first."""

    def __init__(self, whole: Rows, truth: Truth, sums: Sums) -> None:
        self.whole, self._truth, self._sums = whole, truth, sums
        n_queries = len(truth.queries)
        self.ranks = np.full(n_queries, np.nan)  # of the correct item; NaN where the script fails
        self.best = np.zeros(n_queries, dtype=np.int64)  # column of the best item
        self._is_new = np.ones(n_queries, dtype=bool)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)

    def read_rows(self, start: int, stop: int) -> np.ndarray:
        """Some rows, as they are."""
        sims = self.whole.read_rows(start, stop)
        queries = self._truth.queries
        asked = slice(*np.searchsorted(queries, [start, stop]).tolist())
        if self._is_new[asked].any() and not self._sums.fails:
            for at in parallel.blocks(asked, sims.shape[1]):
                part = sims[queries[at.start] - start : queries[at.stop - 1] + 1 - start]
                if len(part) > at.stop - at.start:  # padding between them
                    part = sims[queries[at] - start]
                self._look_at(at, part)
        return sims

    def _look_at(self, at: slice, sims: np.ndarray) -> None:
        powers = parallel.scratch("RankedRows.powers", sims.shape, sims.dtype)
        scores = parallel.scratch_rows("RankedRows.scores", sims.shape, sims.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            _powers(sims, self._sums.beta, powers)
            best = powers.argmax(axis=1)  # of the powers, where nearby numbers may tie
            # Where the sums are of more digits than the similarities, so is the division.
            np.divide(powers, self._sums.mass, out=scores, casting="same_kind")
        counts = metrics.RankCounts(*scores.shape)
        counts.add(slice(0, len(scores)), scores, self._truth.correct[at])
        ranks = counts.ranks()
        # None is below zero, so the largest tells: a score that is not finite leaves no rank.
        ranks[~np.isfinite(scores.max(axis=1))] = np.nan
        self.ranks[at], self.best[at], self._is_new[at] = ranks, best, False


def _powers(sims: np.ndarray, beta: float, out: np.ndarray) -> None:
    with np.errstate(over="ignore"):
        np.multiply(sims, beta, out=out)
        np.exp(out, out=out)


def _shown(ranks: np.ndarray, masked: bool) -> str:
    """The repr, under numpy 2, of the dict that the script prints."""
    from_zero = ranks - 1
    n = np.int64(len(ranks)) if masked else len(ranks)  # with a mask, its sum: a numpy scalar
    hits = [100 * float(np.count_nonzero(from_zero < k)) / n for k in (0.5, 5, 10, 50)]
    hits[0] = 100 * float(np.count_nonzero(from_zero == 0)) / n
    with np.errstate(divide="ignore"):
        geometric = np.exp(np.mean(np.log(np.array(hits[:3], dtype=np.float64))))
    values: Sequence[float] = (*hits, np.median(from_zero) + 1, np.mean(from_zero) + 1, geometric)
    pairs = (f"{key!r}: {_number(value)}" for key, value in zip(KEYS, values, strict=True))
    return "{" + ", ".join(pairs) + "}"


def _number(value: float) -> str:
    # A plain float is rounded to the nearest decimal, a numpy scalar scaled, rounded half to even
    # and scaled back: 0.35 is 0.3 in one and 0.4 in the other.
    rounded = round(value, 1)
    return f"np.float64({float(rounded)!r})" if isinstance(value, np.floating) else repr(rounded)
