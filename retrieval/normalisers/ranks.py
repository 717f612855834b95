"""Normalisers that ask how unusual a similarity is in its column and in its row. None is additive.

What would have to be subtracted depends on the query, so they answer whole matrices only.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from retrieval.normalisers.asks import Moments
from retrieval.normalisers.base import Evidence, check_fits
from retrieval.normalisers.fitting import Fitting, Normaliser, knob
from retrieval.normalisers.normal import normal_cdf
from retrieval.similarity import Tiles, check_sims
from retrieval.streaming import parallel
from retrieval.streaming.columns import strips


@dataclass(frozen=True, eq=False)
class _Corrected:
    """Places among the bank's captions; their similarities are gone through at every use."""

    bank: Tiles

    def apply(self, sims: np.ndarray) -> np.ndarray:
        """[n_queries, n_gallery] float64 scores."""
        sims = check_fits(check_sims(sims), self.bank.shape[1], "querybank")
        bound = float(np.abs(sims).max())
        ties = sims.astype(np.float64) * (1 if bound < 1 else 0.5 / bound)
        return ties - (self.bank.shape[0] - _column_places(self.bank, sims, "right"))


def _column_places(tiles: Tiles, sims: np.ndarray, side: str) -> np.ndarray:
    """[n_queries, n_gallery] how many entries of the tiles' column are below each similarity.

    Args:
        side: "left" counts those below, "right" those that are equal too.
    """
    places = np.empty(sims.shape, dtype=np.int64)
    for columns, strip in strips(tiles):

        def work(column: int, strip: np.ndarray = strip, left: int = columns.start) -> None:
            ordered = np.sort(strip[:, column])
            places[:, left + column] = np.searchsorted(ordered, sims[:, left + column], side)

        parallel.for_each(work, range(strip.shape[1]))
    return places


@dataclass(frozen=True)
class GC(Normaliser):
    """Globally corrected retrieval: minus the captions that beat the query on the item, plus s.

        score[i, j] = s[i, j] - (number of bank captions b with p[b, j] > s[i, j])

    The similarity only breaks ties, as long as it is below 1; where some are not, it is scaled
    down to one half at most.

    Source: Dinu et al., "Improving Zero-Shot Learning by Mitigating the Hubness Problem", 2015
    (1412.6568), equation 4, with a querybank in place of the other test queries.
    """

    name: ClassVar[str] = "gc"
    title: ClassVar[str] = "Globally corrected"
    additive: ClassVar[bool] = False
    cost: ClassVar[str] = "a sort of every bank column and a search in it per similarity"
    paper: ClassVar[str] = "Dinu et al., 2015, equation 4"

    def fitting(self, evidence: Evidence) -> Fitting:
        """Keep the bank at hand: every one of its similarities may count."""
        bank = evidence.need("bank_sims", self.title)
        yield ()
        return _Corrected(bank)


@dataclass(frozen=True, eq=False)
class _Gaussian:
    mean: np.ndarray  # [n_gallery] of the item's bank column
    std: np.ndarray

    def apply(self, sims: np.ndarray) -> np.ndarray:
        """[n_queries, n_gallery] float64 scores."""
        sims = check_fits(check_sims(sims), len(self.mean), "moments").astype(np.float64)
        pivot = sims[:, :1]  # so that a row of equal entries has a spread of exactly zero
        beyond = (sims - pivot).mean(axis=1, keepdims=True)
        std = np.sqrt(np.mean((sims - pivot - beyond) ** 2, axis=1, keepdims=True))
        row = normal_cdf(_standard(sims - pivot, beyond, std))
        return row * normal_cdf(_standard(sims, self.mean, self.std))


def _standard(sims: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Standard scores; without a spread, what is above the mean is infinitely so."""
    return (sims - mean) / np.maximum(std, 1e-300)


@dataclass(frozen=True)
class MutualProximityGaussian(Normaliser):
    """P(X_query < s) * P(X_item < s), both normal distributions.

    The query's has mean and standard deviation of its row, the item's those of its bank column.

    Source: Schnitzer et al., "Local and Global Scaling Reduce Hubs in Space", JMLR 2012,
    section 3.2, as two independent Gaussians. The distance it gives is 1 less this score.
    """

    name: ClassVar[str] = "mp_gauss"
    title: ClassVar[str] = "Mutual proximity, Gaussian"
    additive: ClassVar[bool] = False
    cost: ClassVar[str] = "one pass over the bank, two numbers kept per item"
    paper: ClassVar[str] = "Schnitzer et al., JMLR 2012, section 3.2"

    def fitting(self, evidence: Evidence) -> Fitting:
        """Ask for the moments of every column."""
        ((mean, std),) = yield (Moments(),)
        return _Gaussian(mean, std)


@dataclass(frozen=True, eq=False)
class _Empirical:
    bank: Tiles

    def apply(self, sims: np.ndarray) -> np.ndarray:
        """[n_queries, n_gallery] float64 scores."""
        sims = check_fits(check_sims(sims), self.bank.shape[1], "querybank")
        scores = _column_places(self.bank, sims, "left") / self.bank.shape[0]

        def work(band: slice) -> None:
            for row in range(band.start, band.stop):
                below = np.searchsorted(np.sort(sims[row]), sims[row], "left")
                scores[row] *= below / sims.shape[1]

        parallel.for_each(work, parallel.bands(*sims.shape))
        return scores


@dataclass(frozen=True, eq=False)
class _Joint:
    gallery: Tiles

    def apply(self, sims: np.ndarray) -> np.ndarray:
        """[n_queries, n_gallery] float64 scores."""
        sims = check_fits(check_sims(sims), self.gallery.shape[1], "gallery")
        scores = np.empty(sims.shape)
        for columns, strip in strips(self.gallery):
            for column, entries in enumerate(strip.T, start=columns.start):
                own = sims[:, column, None]
                scores[:, column] = ((sims < own) & (entries < own)).mean(axis=1)
        return scores


@dataclass(frozen=True)
class MutualProximityEmpirical(Normaliser):
    """P(X_query < s) * P(X_item < s), both counted.

    The query's share is counted over its row, the item's over its bank column: two sets, so the
    product of two shares. joint=yes counts, as the paper does for one set, the gallery items v
    with both s[i, v] and g[v, j] below s[i, j]; it needs gallery_sims in place of a bank, and
    compares similarities of captions with those of videos, n_gallery times for each.

    Source: Schnitzer et al., "Local and Global Scaling Reduce Hubs in Space", JMLR 2012,
    section 3.2, equation 5.
    """

    joint: bool = knob(False, "yes or no", "count both over the gallery, as one event")

    name: ClassVar[str] = "mp_empirical"
    title: ClassVar[str] = "Mutual proximity, empirical"
    additive: ClassVar[bool] = False
    cost: ClassVar[str] = "a sort of every bank column and row and a search in it per similarity"
    paper: ClassVar[str] = "Schnitzer et al., JMLR 2012, section 3.2, equation 5"

    def fitting(self, evidence: Evidence) -> Fitting:
        """Keep the matrix at hand: every one of its similarities may count."""
        matrix = evidence.need("gallery_sims" if self.joint else "bank_sims", self.title)
        yield ()
        return _Joint(matrix) if self.joint else _Empirical(matrix)
