"""Normalisers that look at the bank captions nearest to an item.

r[j] = mean of the `neighbours` largest entries of bank_sims[:, j]
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from retrieval.normalisers.base import (
    Evidence,
    check_cosines,
    check_count,
    check_fits,
    check_share,
)
from retrieval.normalisers.fitting import Fitting, Normaliser, bias_of, knob, votes_knob
from retrieval.normalisers.lasting import Nearest, TopItems
from retrieval.similarity import check_sims

HEAP_COST = "one pass over the bank, `neighbours` numbers kept per item"


def neighbours_knob(default: int) -> Any:
    """How many bank captions are looked at; all of a smaller bank."""
    return knob(default, "bank captions", "nearest bank captions of an item that are looked at")


class _MeanOfNearest(Normaliser):
    """b[j] = alpha * r[j]: what all have in common that take off a share of the mean."""

    alpha: float
    neighbours: int
    k: int

    cost: ClassVar[str] = HEAP_COST

    def __post_init__(self) -> None:
        check_share("alpha", self.alpha)
        check_count("neighbours", self.neighbours)

    def fitting(self, evidence: Evidence) -> Fitting:
        """Ask for k-occurrence and the largest entries of every column."""
        counts, nearest = yield TopItems(self.k), Nearest(self.neighbours)
        return bias_of(self, evidence, self.alpha * nearest.mean(axis=1), counts)

    def weights(self, bank_column: np.ndarray, beta: float | None) -> np.ndarray | None:
        """The nearest captions count alike, all others not at all."""
        count = min(self.neighbours, len(bank_column))
        weights = np.zeros(len(bank_column))
        weights[np.argsort(-bank_column, kind="stable")[:count]] = 1 / count
        return weights

    def in_words(self, n_bank: int, beta: float | None) -> str:
        """How an item's bias comes about."""
        count = min(self.neighbours, n_bank)
        if count == 1:
            return f"Its bias is {self.alpha:g} times its similarity to its nearest bank caption."
        return (
            f"Its bias is {self.alpha:g} times the mean of its similarities to its {count:,} "
            "nearest bank captions; each of them counts alike."
        )


@dataclass(frozen=True)
class NNN(_MeanOfNearest):
    """Nearest neighbour normalisation: b[j] = alpha * r[j].

    Scale-free: alpha has no unit. The paper's advice is alpha 0.75 for a bank of the gallery's
    domain, 0.25 to 0.5 with 8 to 16 neighbours for another one.

    Source: Chowdhury et al., "Nearest Neighbor Normalization Improves Multimodal Retrieval",
    EMNLP 2024, equations 2 and 3. The defaults are those of its README; its code has 0.5 and 256.
    """

    alpha: float = knob(0.75, "share", "share of the neighbours' mean that is subtracted")
    neighbours: int = neighbours_knob(128)
    k: int = votes_knob()

    name: ClassVar[str] = "nnn"
    title: ClassVar[str] = "Nearest neighbour normalisation"
    paper: ClassVar[str] = "Chowdhury et al., EMNLP 2024, equations 2 and 3"


@dataclass(frozen=True)
class CSLS(_MeanOfNearest):
    """Cross-domain similarity local scaling: 2 s[i,j] - r_query[i] - r[j], so b[j] = r[j] / 2.

    r_query, the mean of the query's own best similarities, is the same for a whole row: it changes
    no ranking and is left out. What remains is NNN with alpha 1/2.

    Source: Conneau et al., "Word Translation Without Parallel Data", ICLR 2018, section 2.3.
    """

    neighbours: int = neighbours_knob(10)
    k: int = votes_knob()

    alpha: ClassVar[float] = 0.5
    name: ClassVar[str] = "csls"
    title: ClassVar[str] = "CSLS"
    paper: ClassVar[str] = "Conneau et al., ICLR 2018, section 2.3"


@dataclass(frozen=True, eq=False)
class _Scaled:
    """Distances of unit vectors, measured in the neighbourhoods of the query and of the item."""

    radius: np.ndarray  # [n_gallery] of each item's neighbourhood, as a distance
    neighbours: int
    title: str
    mean: bool  # NICDM: the mean distance of the neighbours; else that of the farthest

    def apply(self, sims: np.ndarray) -> np.ndarray:
        """[n_queries, n_gallery] float64 scores."""
        sims = check_fits(check_sims(sims), len(self.radius), "neighbourhoods")
        check_cosines(float(np.abs(sims).max()), "the similarities", self.title)
        squares = np.maximum(2 - 2 * sims.astype(np.float64), 0)
        k = min(self.neighbours, sims.shape[1])
        nearest = np.sqrt(np.partition(squares, k - 1, axis=1)[:, :k])
        own = _radius(nearest, self.mean)[:, None]
        if self.mean:
            return -np.sqrt(squares) / np.sqrt(own * self.radius)
        return np.exp(-squares / (own * self.radius))


def _radius(distances: np.ndarray, mean: bool) -> np.ndarray:
    """Size of a neighbourhood from its [n, k] distances, never zero."""
    return np.maximum(distances.mean(axis=1) if mean else distances.max(axis=1), 1e-12)


@dataclass(frozen=True)
class LocalScaling(Normaliser):
    """Local scaling: exp(-d^2 / (r_query r_item)), r the distance to the k-th neighbour.

    For unit vectors d^2 = 2 - 2 s. An item's neighbours are bank captions, a query's are gallery
    items. Inside a row the order is that of (s - 1) / r_item: an index can serve it with item
    vectors divided by r_item and one more coordinate -1 / r_item.

    Source: Zelnik-Manor & Perona, NIPS 2004, equation 2; for hubs: Schnitzer et al., "Local and
    Global Scaling Reduce Hubs in Space", JMLR 2012, section 3.1. The distance they give is 1 less
    this score; scikit-hubness returns another value in the same order.
    """

    neighbours: int = neighbours_knob(10)

    name: ClassVar[str] = "local_scaling"
    title: ClassVar[str] = "Local scaling"
    additive: ClassVar[bool] = False
    cost: ClassVar[str] = HEAP_COST + ", a partial sort of every query's row"
    paper: ClassVar[str] = "Zelnik-Manor & Perona, NIPS 2004, equation 2"
    mean: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_count("neighbours", self.neighbours)

    def fitting(self, evidence: Evidence) -> Fitting:
        """Ask for the largest entries of every column."""
        (nearest,) = yield (Nearest(self.neighbours),)
        check_cosines(float(np.abs(nearest).max()), "the bank's similarities", self.title)
        distances = np.sqrt(np.maximum(2 - 2 * nearest, 0))
        return _Scaled(_radius(distances, self.mean), self.neighbours, self.title, self.mean)


@dataclass(frozen=True)
class NICDM(LocalScaling):
    """Non-iterative contextual dissimilarity: -d / sqrt(r_query r_item), r a mean distance.

    Source: Jegou et al., "A contextual dissimilarity measure for accurate and efficient image
    search", CVPR 2007, equation 3, without its iteration; Schnitzer et al., JMLR 2012, section 3.1.
    The Hub-Toolbox multiplies by a constant on top.
    """

    name: ClassVar[str] = "nicdm"
    title: ClassVar[str] = "NICDM"
    paper: ClassVar[str] = "Jegou et al., CVPR 2007, equation 3"
    mean: ClassVar[bool] = True


@dataclass(frozen=True, eq=False)
class _Margins:
    """The mean similarity of every item's neighbourhood."""

    item: np.ndarray  # [n_gallery]
    neighbours: int

    def apply(self, sims: np.ndarray) -> np.ndarray:
        """[n_queries, n_gallery] float64 scores."""
        sims = check_fits(check_sims(sims), len(self.item), "neighbourhoods").astype(np.float64)
        k = min(self.neighbours, sims.shape[1])
        own = np.partition(sims, sims.shape[1] - k, axis=1)[:, -k:].mean(axis=1)
        margin = (own[:, None] + self.item) / 2
        return sims / np.where(np.abs(margin) < 1e-12, 1e-12, margin)


@dataclass(frozen=True)
class RatioMargin(Normaliser):
    """Similarity over the mean of both neighbourhoods: s / ((r_query + r_item) / 2).

    Made for positive similarities: where both neighbourhoods are negative the sign turns over.

    Source: Artetxe & Schwenk, "Margin-based Parallel Corpus Mining", ACL 2019, equation 2.
    """

    neighbours: int = neighbours_knob(4)

    name: ClassVar[str] = "ratio_margin"
    title: ClassVar[str] = "Ratio margin"
    additive: ClassVar[bool] = False
    cost: ClassVar[str] = HEAP_COST + ", a partial sort of every query's row"
    paper: ClassVar[str] = "Artetxe & Schwenk, ACL 2019, equation 2"

    def __post_init__(self) -> None:
        check_count("neighbours", self.neighbours)

    def fitting(self, evidence: Evidence) -> Fitting:
        """Ask for the largest entries of every column."""
        (nearest,) = yield (Nearest(self.neighbours),)
        return _Margins(nearest.mean(axis=1), self.neighbours)
