"""Normalisers that look at the gallery alone: an item amid many like it is asked for more.

Made for one modality. With text queries against videos they mostly hurt: how near videos are to
each other says little about how near captions come to them.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from retrieval.errors import SettingsError
from retrieval.normalisers.asks import NearestItems, PairSum
from retrieval.normalisers.base import Evidence, check_count, check_share
from retrieval.normalisers.fitting import Fitting, Normaliser, bias_of, knob, votes_knob
from retrieval.normalisers.lasting import Nearest, TopItems


@dataclass(frozen=True)
class _GalleryOnly(Normaliser):
    """A normaliser that a querybank only tells the k-occurrence."""

    needs: ClassVar[frozenset[str]] = frozenset({"gallery"})
    updates: ClassVar[bool] = False  # an item that comes or goes is a neighbour of others

    def fitting(self, evidence: Evidence) -> Fitting:
        """Count k-occurrence where there is a bank, then look at the gallery."""
        evidence.need("gallery_sims", self.title)
        counts = None
        if evidence.bank_sims is not None:
            (counts,) = yield (TopItems(self.k),)
        values = yield from self._values()
        return bias_of(self, evidence, values, counts)

    def _values(self) -> Generator[Any, Any, np.ndarray]:
        raise NotImplementedError


@dataclass(frozen=True)
class DisSimLocal(_GalleryOnly):
    """b[j] = -||x_j - c_j||^2 / 2, c_j the centroid of the item's nearest others.

    The published dissimilarity |q - x_j|^2 - |q - c(q)|^2 - |x_j - c_j|^2 has the order of s - b
    in a row. From similarities alone, and less a constant for unit vectors,

        b[j] = mean_a g[a, j] - mean_{a, b} g[a, b] / 2, a and b among the item's neighbours

    Source: Hara et al., "Flattening the Density Gradient for Eliminating Spatial Centrality to
    Reduce Hubness", AAAI 2016, equation 7. An item is no neighbour of itself, as in the
    Hub-Toolbox, whose default is 10 too; scikit-hubness has 5.
    """

    neighbours: int = knob(10, "items", "nearest gallery items whose centroid is taken")
    k: int = votes_knob()

    name: ClassVar[str] = "dissimlocal"
    title: ClassVar[str] = "DisSimLocal"
    cost: ClassVar[str] = "two passes over the gallery against itself"
    paper: ClassVar[str] = "Hara et al., AAAI 2016, equation 7"

    def __post_init__(self) -> None:
        check_count("neighbours", self.neighbours)

    def _values(self) -> Generator[Any, Any, np.ndarray]:
        ((items, sims),) = yield (NearestItems(self.neighbours),)
        n, k = items.shape
        if k == 0:  # an only item
            return np.zeros(n)
        (pairs,) = yield (PairSum(items),)
        return sims.mean(axis=1) - pairs / (2 * k * k)


@dataclass(frozen=True)
class LocalisedCentring(_GalleryOnly):
    """b[j] = (mean of the largest entries of gallery_sims[:, j]) ^ gamma.

    The mean is the published local affinity x_j . c(x_j), c the centroid of the nearest items,
    the item itself among them: NNN with the gallery as its own bank.

    Source: Hara et al., "Localized Centering: Reducing Hubness in Large-Sample Data", AAAI 2015,
    equation 5. The Hub-Toolbox leaves gamma aside where an affinity is negative; we refuse.
    """

    neighbours: int = knob(40, "items", "nearest gallery items that are averaged, kappa")
    gamma: float = knob(1.0, "1", "power of the affinity")
    k: int = votes_knob()

    name: ClassVar[str] = "localised_centring"
    title: ClassVar[str] = "Localised centring"
    cost: ClassVar[str] = "one pass over the gallery against itself"
    paper: ClassVar[str] = "Hara et al., AAAI 2015, equation 5"

    def __post_init__(self) -> None:
        check_count("neighbours", self.neighbours)
        check_share("gamma", self.gamma)

    def _values(self) -> Generator[Any, Any, np.ndarray]:
        (nearest,) = yield (Nearest(self.neighbours, "gallery_sims"),)
        affinity = nearest.mean(axis=1)
        if self.gamma == 1:
            return affinity
        if affinity.min() < 0:
            raise SettingsError(
                f"gamma {self.gamma:g} needs affinities of 0 or more, the smallest is "
                f"{affinity.min():.3g}; use gamma 1"
            )
        return affinity**self.gamma
