"""Inverted softmax and QB-Norm: an item that many bank captions like is asked for more.

        b[j] = log(mean over bank captions of exp(beta * bank_sims[:, j])) / beta

QB-Norm applies it only to queries whose raw best item some bank caption retrieves too.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from retrieval.normalisers.base import Evidence, check_count, check_positive
from retrieval.normalisers.fitting import Fitting, Normaliser, bias_of, knob, votes_knob
from retrieval.normalisers.lasting import LogMean, TopItems


@dataclass(frozen=True)
class InvertedSoftmax(Normaliser):
    """Softmax over the querybank instead of over the gallery, in log space.

    exp(beta * (s - b)) is the published ratio exp(beta * s) / sum_b exp(beta * p) times n_bank,
    a constant: the same ranking, with scores that stay on the scale of the similarities.

    Source: Smith et al., "Offline bilingual word vectors", ICLR 2017, equation 7.
    """

    beta: float | None = knob(
        None,
        "per unit of similarity",
        "inverse temperature; left out: 1 / std of the bank's similarities; papers use 20 to 100 "
        "on cosines",
    )
    k: int = votes_knob()

    name: ClassVar[str] = "inverted_softmax"
    title: ClassVar[str] = "Inverted softmax"
    cost: ClassVar[str] = "one pass over the bank with an exponential per similarity"
    paper: ClassVar[str] = "Smith et al., ICLR 2017, equation 7"

    def __post_init__(self) -> None:
        check_positive("beta", self.beta)

    def fitting(self, evidence: Evidence) -> Fitting:
        """Ask for k-occurrence and the log-mean-exp of every column."""
        evidence.need("bank_sims", self.title)
        beta = evidence.beta("bank_sims") if self.beta is None else float(self.beta)
        counts, values = yield TopItems(self.k), LogMean(beta)
        return bias_of(self, evidence, values, counts, active=self._active(counts), beta=beta)

    def weights(self, bank_column: np.ndarray, beta: float | None) -> np.ndarray | None:
        """The shares of a soft maximum."""
        return penalty_shares(bank_column, beta)

    def in_words(self, n_bank: int, beta: float | None) -> str:
        """How an item's bias comes about."""
        return (
            f"Its bias is a soft maximum of its similarities to all {n_bank:,} bank captions, at "
            f"beta {beta:.4g}."
        )

    def _active(self, counts: np.ndarray) -> np.ndarray | None:
        return None


@dataclass(frozen=True)
class QBNorm(InvertedSoftmax):
    """Dynamic inverted softmax: the same bias, only where the bank knows the raw best item.

    The activation set holds every item that is among the k best of `theta` bank captions or more:
    1 in the paper, 3 or 5 in DiCoSA and GLSCL.

    Source: Bogolin et al., "Cross Modal Retrieval with Querybank Normalisation", CVPR 2022,
    section 3.3. Equal similarities: the lowest column wins, where the released code leaves the
    winner to an unstable sort. Rows that are not normalised keep their raw similarities, and the
    others stay on the same scale, where the released code mixes similarities and exponentials.
    """

    theta: int = knob(1, "bank captions", "captions that must have an item in their k best")

    name: ClassVar[str] = "qbnorm"
    title: ClassVar[str] = "QB-Norm"
    paper: ClassVar[str] = "Bogolin et al., CVPR 2022, section 3.3"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("theta", self.theta)

    def _active(self, counts: np.ndarray) -> np.ndarray:
        return counts >= self.theta


def penalty_shares(bank_column: np.ndarray, beta: float) -> np.ndarray:
    """How much of one item's bias each bank caption holds.

        share[b] = exp(beta * p[b]) / sum over b' of exp(beta * p[b'])

    Args:
        bank_column: [n_bank] similarities of the bank captions to the item.
        beta: inverse temperature of the fitted bias.

    Returns:
        [n_bank] float64 shares that sum to one.
    """
    check_positive("beta", beta)
    powers = beta * np.asarray(bank_column, dtype=np.float64)
    mass = np.exp(powers - powers.max())
    return mass / mass.sum()
