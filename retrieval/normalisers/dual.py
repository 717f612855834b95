"""Two banks: captions that find hubs among the gallery, and other videos that find them too."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from retrieval.normalisers.base import Evidence, check_positive, precision
from retrieval.normalisers.fitting import Fitting, Normaliser, bias_of, knob, votes_knob
from retrieval.normalisers.lasting import LogMean, TopItems


@dataclass(frozen=True)
class DualIS(Normaliser):
    """The product of an inverted softmax over the querybank and one over a gallery bank.

        b[j] = (LSE_b(beta p[b,j]) + LSE_v(gallery_beta g[v,j])) / (beta + gallery_beta)

    with means in place of the sums, which shifts all items alike. Similarities of videos to videos
    lie on another scale than those of captions to videos, so gallery_beta must be far smaller than
    beta, or the gallery bank decides alone. The defaults are those of the paper, for similarities
    multiplied by a logit scale of about 100 (beta) and for cosines (gallery_beta).

    Source: Wang et al., "Balance Act: Mitigating Hubness in Cross-Modal Retrieval with Query and
    Gallery Banks", EMNLP 2023, section 3.3. Its released function normalises the gallery bank's
    matrix in place of the test matrix; like the paper, we normalise the test matrix.
    """

    beta: float | None = knob(
        1 / 1.99,
        "per unit of similarity",
        "inverse temperature of the querybank; left out: 1 / std of its similarities",
    )
    gallery_beta: float | None = knob(
        3.0,
        "per unit of similarity",
        "inverse temperature of the gallery bank; left out: 1 / std of its similarities",
    )
    k: int = votes_knob()

    name: ClassVar[str] = "dualis"
    title: ClassVar[str] = "DualIS"
    needs: ClassVar[frozenset[str]] = frozenset({"bank", "gallery_bank"})
    cost: ClassVar[str] = "one pass over each bank with an exponential per similarity"
    paper: ClassVar[str] = "Wang et al., EMNLP 2023, section 3.3"

    def __post_init__(self) -> None:
        check_positive("beta", self.beta)
        check_positive("gallery_beta", self.gallery_beta)

    def fitting(self, evidence: Evidence) -> Fitting:
        """Ask for k-occurrence and the log-mean-exp of every column of both banks."""
        betas = self._betas(evidence)
        counts, *values = yield TopItems(self.k), *self._masses(betas)
        return bias_of(
            self, evidence, np.average(values, axis=0, weights=betas), counts, beta=betas[0]
        )

    def _betas(self, evidence: Evidence) -> tuple[float, float]:
        found = []
        for name, beta in (("bank_sims", self.beta), ("gallery_bank_sims", self.gallery_beta)):
            evidence.need(name, self.title)
            found.append(evidence.beta(name) if beta is None else float(beta))
        return found[0], found[1]

    @staticmethod
    def _masses(betas: tuple[float, float]) -> tuple[LogMean, LogMean]:
        return LogMean(betas[0]), LogMean(betas[1], "gallery_bank_sims")


@dataclass(frozen=True)
class DualDIS(DualIS):
    """DualIS whose factors are applied only where their bank knows the query's raw best item.

    Both banks know it: the bias of DualIS; only one does: that bank's inverted softmax; neither:
    the raw similarities. So the bias has four states, and a query's state follows from its best
    item.

    Source: Wang et al., EMNLP 2023, section 3.4. In rows that one bank alone knows, the released
    code multiplies a ratio by a raw similarity; we leave that factor out, as the paper says.
    """

    name: ClassVar[str] = "dualdis"
    title: ClassVar[str] = "DualDIS"
    paper: ClassVar[str] = "Wang et al., EMNLP 2023, section 3.4"

    def fitting(self, evidence: Evidence) -> Fitting:
        """Ask for k-occurrence and the log-mean-exp of every column of both banks."""
        betas = self._betas(evidence)
        counts, gallery_counts, *values = yield (
            TopItems(self.k),
            TopItems(self.k, "gallery_bank_sims"),
            *self._masses(betas),
        )
        both = np.average(values, axis=0, weights=betas)
        states = np.stack([np.zeros_like(both), *values, both])
        state = 1 * (counts > 0) + 2 * (gallery_counts > 0)
        return bias_of(
            self,
            evidence,
            both,
            counts,
            active=state > 0,
            beta=betas[0],
            states=states.astype(precision(evidence.bank_sims)),
            state=state,
        )
