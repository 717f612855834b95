"""Normalisers that look at the bank captions nearest to an item.

r[j] = mean of the `neighbours` largest entries of bank_sims[:, j]
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from retrieval.errors import SettingsError
from retrieval.normalisers.base import Evidence, check_count
from retrieval.normalisers.fitting import (
    Fitting,
    Nearest,
    Normaliser,
    TopItems,
    bias_of,
    knob,
    votes_knob,
)


def neighbours_knob(default: int) -> int:
    """How many bank captions are averaged; all of a smaller bank."""
    return knob(default, "bank captions", "nearest bank captions of an item that are averaged")


def nearest_alike(bank_column: np.ndarray, neighbours: int) -> np.ndarray:
    """[n_bank] weights: the same for the nearest captions, zero for all others."""
    count = min(neighbours, len(bank_column))
    weights = np.zeros(len(bank_column))
    weights[np.argsort(-bank_column, kind="stable")[:count]] = 1 / count
    return weights


def mean_in_words(share: float, count: int) -> str:
    """How a bias comes about that is a share of the mean over the nearest captions."""
    if count == 1:
        return f"Its bias is {share:g} times its similarity to its nearest bank caption."
    return (
        f"Its bias is {share:g} times the mean of its similarities to its {count:,} nearest bank "
        "captions; each of them counts alike."
    )


@dataclass(frozen=True)
class NNN(Normaliser):
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
    cost: ClassVar[str] = "one pass over the bank, `neighbours` numbers kept per item"
    paper: ClassVar[str] = "Chowdhury et al., EMNLP 2024, equations 2 and 3"

    def __post_init__(self) -> None:
        check_count("neighbours", self.neighbours)
        if not (np.isfinite(self.alpha) and self.alpha >= 0):
            raise SettingsError(f"alpha must be a number of 0 or more, got {self.alpha}")

    def fitting(self, evidence: Evidence) -> Fitting:
        """Ask for k-occurrence and the largest entries of every column."""
        counts, nearest = yield TopItems(self.k), Nearest(self.neighbours)
        return bias_of(self, evidence, self.alpha * nearest.mean(axis=1), counts)

    def weights(self, bank_column: np.ndarray, beta: float | None) -> np.ndarray | None:
        """The nearest captions count alike."""
        return nearest_alike(bank_column, self.neighbours)

    def in_words(self, n_bank: int, beta: float | None) -> str:
        """How an item's bias comes about."""
        return mean_in_words(self.alpha, min(self.neighbours, n_bank))


@dataclass(frozen=True)
class CSLS(Normaliser):
    """Cross-domain similarity local scaling: 2 s[i,j] - r_query[i] - r[j], so b[j] = r[j] / 2.

    r_query, the mean of the query's own best similarities, is the same for a whole row: it changes
    no ranking and is left out. What remains is NNN with alpha 1/2.

    Source: Conneau et al., "Word Translation Without Parallel Data", ICLR 2018, equation 6.
    """

    neighbours: int = neighbours_knob(10)
    k: int = votes_knob()

    name: ClassVar[str] = "csls"
    title: ClassVar[str] = "CSLS"
    cost: ClassVar[str] = "one pass over the bank, `neighbours` numbers kept per item"
    paper: ClassVar[str] = "Conneau et al., ICLR 2018, equation 6"

    def __post_init__(self) -> None:
        check_count("neighbours", self.neighbours)

    def fitting(self, evidence: Evidence) -> Fitting:
        """Ask for k-occurrence and the largest entries of every column."""
        counts, nearest = yield TopItems(self.k), Nearest(self.neighbours)
        return bias_of(self, evidence, 0.5 * nearest.mean(axis=1), counts)

    def weights(self, bank_column: np.ndarray, beta: float | None) -> np.ndarray | None:
        """The nearest captions count alike."""
        return nearest_alike(bank_column, self.neighbours)

    def in_words(self, n_bank: int, beta: float | None) -> str:
        """How an item's bias comes about."""
        return mean_in_words(0.5, min(self.neighbours, n_bank))
