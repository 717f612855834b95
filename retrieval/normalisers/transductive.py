"""Normalisers that look at other test queries: for evaluation, never for a live query.

Their numbers are not to be compared with those of a held-out bank: the test queries are the best
bank there is.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from retrieval.errors import SettingsError
from retrieval.normalisers.base import (
    Evidence,
    check_count,
    check_positive,
    check_share,
    scale_free_beta,
)
from retrieval.normalisers.fitting import Normaliser, knob
from retrieval.similarity import Tiles, check_sims

COLUMNS = 2**22  # entries of a strip of columns that are worked on together


@dataclass(frozen=True)
class DSL(Normaliser):
    """Dual softmax at test time: s * softmax over queries of (beta s) * n_queries.

    The inverted softmax with the test set as its bank, times the similarity. Every ranking depends
    on all other queries of the file, and on how many there are.

    Source: Cheng et al., "Improving Video-Text Retrieval by Multi-Stream Corpus Alignment and Dual
    Softmax Loss", 2021 (2109.04290), equation 8, at test time, temperature 1 on logits.
    """

    beta: float | None = knob(
        1.0,
        "per unit of similarity",
        "inverse temperature; the paper's 1 is for logits, about 100 for cosines; left out: "
        "1 / std of the similarities",
    )

    name: ClassVar[str] = "dsl"
    title: ClassVar[str] = "Dual softmax"
    additive: ClassVar[bool] = False
    transductive: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"test_queries"})
    cost: ClassVar[str] = "an exponential per similarity, all queries before the first answer"
    paper: ClassVar[str] = "Cheng et al., 2021, equation 8"

    def __post_init__(self) -> None:
        check_positive("beta", self.beta)

    def scores(
        self, sims: np.ndarray, evidence: np.ndarray | Tiles | Evidence | None = None
    ) -> np.ndarray:
        """[n_queries, n_gallery] float64 scores of all test queries at once."""
        sims = check_sims(sims)
        beta = scale_free_beta(sims) if self.beta is None else self.beta
        out = np.empty(sims.shape)
        width = max(1, COLUMNS // len(sims))
        for left in range(0, sims.shape[1], width):
            part = sims[:, left : left + width].astype(np.float64)
            powers = np.exp(beta * (part - part.max(axis=0)))
            out[:, left : left + width] = part * powers * (len(sims) / powers.sum(axis=0))
        return out


@dataclass(frozen=True)
class HSM(Normaliser):
    """Hubness suppression with a rolling memory of the queries that came before.

        score = s * (m * q + (1 - m) * g)

    with q the softmax of alpha s over the queries of the memory and the batch, g that of beta s
    over the gallery. Queries come in batches, in the order of the rows; the first batch comes back
    as it is. The memory holds the last `window` * n_gallery batches, at least one.

    Source: Zhang et al., HAT-VTR (2604.20851), ICLR 2026, its rolling memory alone; defaults and
    order of its code: alpha 100, beta 10, m 0.5, a window of 0.1, batches of 16.
    """

    alpha: float = knob(100.0, "per unit of similarity", "inverse temperature over queries")
    beta: float | None = knob(
        10.0,
        "per unit of similarity",
        "inverse temperature over the gallery; left out: 1 / std of the similarities",
    )
    m: float = knob(0.5, "share", "weight of the softmax over queries, 0 to 1")
    window: float = knob(0.1, "batches per gallery item", "size of the memory")
    batch: int = knob(16, "queries", "queries that come at once")

    name: ClassVar[str] = "hsm"
    title: ClassVar[str] = "Rolling memory"
    additive: ClassVar[bool] = False
    transductive: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"test_queries"})
    cost: ClassVar[str] = "two exponentials per similarity, a sum over the memory per batch"
    paper: ClassVar[str] = "Zhang et al., ICLR 2026"

    def __post_init__(self) -> None:
        check_positive("alpha", self.alpha)
        check_positive("beta", self.beta)
        check_share("window", self.window)
        check_count("batch", self.batch)
        if not 0 <= self.m <= 1:
            raise SettingsError(f"m must be between 0 and 1, got {self.m}")

    def scores(
        self, sims: np.ndarray, evidence: np.ndarray | Tiles | Evidence | None = None
    ) -> np.ndarray:
        """[n_queries, n_gallery] float64 scores, batch after batch."""
        sims = check_sims(sims)
        beta = scale_free_beta(sims) if self.beta is None else self.beta
        out = sims.astype(np.float64)
        n_kept = max(1, int(self.window * sims.shape[1]))
        memory: list[np.ndarray] = []  # of each batch, [n_gallery] log of the sum of exp(alpha s)
        for start in range(0, len(sims), self.batch):
            batch = out[start : start + self.batch]
            powers = self.alpha * batch
            peak = powers.max(axis=0)
            memory.append(peak + np.log(np.exp(powers - peak).sum(axis=0)))
            if start > 0:
                over_queries = np.exp(powers - np.logaddexp.reduce(memory))
                over_gallery = np.exp(beta * (batch - batch.max(axis=1, keepdims=True)))
                over_gallery /= over_gallery.sum(axis=1, keepdims=True)
                batch *= self.m * over_queries + (1 - self.m) * over_gallery
                memory = memory[-n_kept:]
        return out
