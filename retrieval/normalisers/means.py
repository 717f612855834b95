"""Normalisers that look at the mean similarity of an item to all bank captions."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from retrieval.normalisers.asks import Moments
from retrieval.normalisers.base import Evidence, check_fits, check_share
from retrieval.normalisers.fitting import Fitting, Normaliser, bias_of, knob, votes_knob
from retrieval.normalisers.lasting import Mean, TopItems
from retrieval.similarity import check_sims


@dataclass(frozen=True)
class DN(Normaliser):
    """Distribution normalisation: b[j] = alpha * mean over bank captions of bank_sims[:, j].

    The published score (x - alpha mean_x) . (y - alpha mean_y) differs from s - b by constants of
    the row. In an index it can be had without a bias, by searching with query - alpha * mean_bank.
    With alpha 1 it is plain centring (Suzuki et al., EMNLP 2013).

    Source: Zhou et al., "Test-Time Distribution Normalization for Contrastively Learned
    Vision-language Models", NeurIPS 2023; alpha is its lambda, 0.25 in its code.
    """

    alpha: float = knob(0.25, "share", "share of the mean that is subtracted, lambda in the paper")
    k: int = votes_knob()

    name: ClassVar[str] = "dn"
    title: ClassVar[str] = "Distribution normalisation"
    cost: ClassVar[str] = "one pass over the bank, one number kept per item"
    paper: ClassVar[str] = "Zhou et al., NeurIPS 2023, section 3"

    def __post_init__(self) -> None:
        check_share("alpha", self.alpha)

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


@dataclass(frozen=True, eq=False)
class _Standardised:
    mean: np.ndarray  # [n_gallery]
    std: np.ndarray  # [n_gallery], never zero

    def apply(self, sims: np.ndarray) -> np.ndarray:
        """[n_queries, n_gallery] float64 scores."""
        sims = check_fits(check_sims(sims), len(self.mean), "moments")
        return (sims.astype(np.float64) - self.mean) / self.std


@dataclass(frozen=True)
class ZNorm(Normaliser):
    """Standard score in the item's bank column: (s - mean_b p) / std_b p.

    Affine with a scale per item: an index can serve it with item vectors divided by std and one
    more coordinate -mean / std. An item whose column has no spread is given the mean spread of the
    others: its standard score does not exist.

    Source: speaker verification, Auckenthaler et al., "Score Normalization for Text-Independent
    Speaker Verification Systems", Digital Signal Processing 2000, section 3.1.
    """

    name: ClassVar[str] = "znorm"
    title: ClassVar[str] = "Z-norm"
    additive: ClassVar[bool] = False
    cost: ClassVar[str] = "one pass over the bank, two numbers kept per item"
    paper: ClassVar[str] = "Auckenthaler et al., DSP 2000, section 3.1"

    def fitting(self, evidence: Evidence) -> Fitting:
        """Ask for the moments of every column."""
        ((mean, std),) = yield (Moments(),)
        spread = std > 1e-6 * np.abs(mean)
        return _Standardised(mean, np.where(spread, std, std[spread].mean() if spread.any() else 1))
