"""No normalisation: the raw similarities, with the bank's k-occurrence counted all the same."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from retrieval.normalisers.base import Bias, fit_bank
from retrieval.similarity import Tiles


@dataclass(frozen=True)
class Raw:
    """The plain similarities; its bias is zero and its gate never opens."""

    k: int = 1  # items of each bank caption that count towards k_occurrence

    name: ClassVar[str] = "none"
    title: ClassVar[str] = "Raw similarity"

    def fit(self, bank_sims: np.ndarray | Tiles) -> Bias:
        """Count k-occurrence on [n_bank, n_gallery] similarities; the bias is zero."""
        values, counts, n_bank = fit_bank(bank_sims, self.k, beta=None)
        return Bias(values, None, counts, self.name, None, self.k, n_bank)
