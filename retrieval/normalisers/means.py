"""Normalisers that look at the mean similarity of an item to all bank captions."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from retrieval.errors import SettingsError
from retrieval.normalisers.base import Evidence
from retrieval.normalisers.fitting import (
    Fitting,
    Mean,
    Normaliser,
    TopItems,
    bias_of,
    knob,
    votes_knob,
)


@dataclass(frozen=True)
class DN(Normaliser):
    """Distribution normalisation: b[j] = alpha * mean over bank captions of bank_sims[:, j].

    The published score (x - alpha mean_x) . (y - alpha mean_y) differs from s - b by constants of
    the row. In an index it can be had without a bias, by searching with query - alpha * mean_bank.
    With alpha 1 it is plain centring (Suzuki et al., EMNLP 2013).

    Source: Zhou et al., "Test-Time Distribution Normalization for Contrastively Learned
    Vision-language Models", NeurIPS 2023, equation 6; alpha is its lambda, 0.25 in its code.
    """

    alpha: float = knob(0.25, "share", "share of the mean that is subtracted, lambda in the paper")
    k: int = votes_knob()

    name: ClassVar[str] = "dn"
    title: ClassVar[str] = "Distribution normalisation"
    cost: ClassVar[str] = "one pass over the bank, one number kept per item"
    paper: ClassVar[str] = "Zhou et al., NeurIPS 2023, equation 6"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.alpha) and self.alpha >= 0):
            raise SettingsError(f"alpha must be a number of 0 or more, got {self.alpha}")

    def fitting(self, evidence: Evidence) -> Fitting:
        """Ask for k-occurrence and the mean of every column."""
        counts, means = yield TopItems(self.k), Mean()
        return bias_of(self, evidence, self.alpha * means, counts)

    def weights(self, bank_column: np.ndarray, beta: float | None) -> np.ndarray | None:
        """All captions count alike."""
        return np.full(len(bank_column), 1 / len(bank_column))

    def in_words(self, n_bank: int, beta: float | None) -> str:
        """How an item's bias comes about."""
        return (
            f"Its bias is {self.alpha:g} times the mean of its similarities to all {n_bank:,} bank "
            "captions; each of them counts alike."
        )
