"""No normalisation: the raw similarities, with the bank's k-occurrence counted all the same."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from retrieval.normalisers.base import Evidence
from retrieval.normalisers.fitting import Fitting, Normaliser, bias_of, votes_knob
from retrieval.normalisers.lasting import TopItems


@dataclass(frozen=True)
class Raw(Normaliser):
    """The plain similarities; its bias is zero and its gate never opens."""

    k: int = votes_knob()

    name: ClassVar[str] = "none"
    title: ClassVar[str] = "Raw similarity"
    cost: ClassVar[str] = "one pass over the bank, only to count k-occurrence"
    paper: ClassVar[str] = "none"

    def fitting(self, evidence: Evidence) -> Fitting:
        """Count k-occurrence; the bias is zero."""
        (counts,) = yield (TopItems(self.k),)
        return bias_of(self, evidence, np.zeros(len(counts)), counts)
