"""Inverted softmax and QB-Norm: an item that many bank captions like is asked for more.

        b[j] = log(mean over bank captions of exp(beta * bank_sims[:, j])) / beta

QB-Norm applies it only to queries whose raw best item some bank caption retrieves too.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from retrieval.normalisers.base import Bias, check_beta, fit_bank, scale_free_beta
from retrieval.similarity import Tiles, as_tiles


@dataclass(frozen=True)
class InvertedSoftmax:
    """Softmax over the querybank instead of over the gallery, in log space.

    exp(beta * (s - b)) is the published ratio exp(beta * s) / sum_b exp(beta * p) times n_bank,
    a constant: the same ranking, with scores that stay on the scale of the similarities.

    Source: Smith et al., "Offline bilingual word vectors", ICLR 2017, equation 7.
    """

    beta: float | None = None  # inverse temperature, per unit of similarity; None: 1 / std
    k: int = 1  # items of each bank caption that count towards k_occurrence

    name: ClassVar[str] = "inverted_softmax"
    title: ClassVar[str] = "Inverted softmax"

    def __post_init__(self) -> None:
        check_beta(self.beta)

    def fit(self, bank_sims: np.ndarray | Tiles) -> Bias:
        """Fit the bias on [n_bank, n_gallery] similarities of the querybank to the gallery."""
        return self._fit(bank_sims, gated=False)

    def _fit(self, bank_sims: np.ndarray | Tiles, gated: bool) -> Bias:
        tiles = as_tiles(bank_sims)
        beta = scale_free_beta(tiles) if self.beta is None else float(self.beta)
        values, counts, n_bank = fit_bank(tiles, self.k, beta)
        active = counts > 0 if gated else None
        return Bias(values, active, counts, self.name, beta, self.k, n_bank)


@dataclass(frozen=True)
class QBNorm(InvertedSoftmax):
    """Dynamic inverted softmax: the same bias, only where the bank knows the raw best item.

    The activation set holds every item that is among the k best of some bank caption.

    Source: Bogolin et al., "Cross Modal Retrieval with Querybank Normalisation", CVPR 2022,
    section 3.3. Equal similarities: the lowest column wins, where the released code leaves the
    winner to an unstable sort.
    """

    name: ClassVar[str] = "qbnorm"
    title: ClassVar[str] = "QB-Norm"

    def fit(self, bank_sims: np.ndarray | Tiles) -> Bias:
        """Fit bias and activation set on [n_bank, n_gallery] similarities."""
        return self._fit(bank_sims, gated=True)


def penalty_shares(bank_column: np.ndarray, beta: float) -> np.ndarray:
    """How much of one item's bias each bank caption holds.

        share[b] = exp(beta * p[b]) / sum over b' of exp(beta * p[b'])

    Args:
        bank_column: [n_bank] similarities of the bank captions to the item.
        beta: inverse temperature of the fitted bias.

    Returns:
        [n_bank] float64 shares that sum to one.
    """
    check_beta(beta)
    powers = beta * np.asarray(bank_column, dtype=np.float64)
    mass = np.exp(powers - powers.max())
    return mass / mass.sum()
