"""Balanced plans: every item and every bank caption is given the same share of all similarity.

        plan[b, j] = u[b] * exp(beta * p[b, j]) * v[j], with equal row sums and equal column sums

        bias[j] = -log(v[j]) / beta

Everything is kept as logarithms, and the tiles are gone through anew for every half-step, so the
matrix is never whole; only of a small one are the powers worked out once and held. The half-step of
the items from equal captions is the inverted softmax.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from retrieval.normalisers.asks import LogSum, Whole
from retrieval.normalisers.base import Evidence, check_count, check_positive, check_share
from retrieval.normalisers.fitting import Fitting, Normaliser, bias_of, knob, votes_knob
from retrieval.normalisers.lasting import TopItems

HELD_CELLS = 2**24  # similarities whose powers are held in double precision, 128 MB
# No |beta * x| of those is larger: weights differ by no more than twice as much among items, three
# times among captions, and so all products have room in double precision, exp(709).
HELD_POWER = 100


@dataclass(frozen=True)
class Sinkhorn(Normaliser):
    """Sinkhorn normalisation: `iterations` rounds of balancing the captions, then the items.

    Source: Pan et al., dual-bank Sinkhorn normalisation (2508.02538), ACM Multimedia 2025;
    temperature 0.01 and 10 rounds in its scripts. The order is that of the solver which its code
    calls: captions first. With captions_first=no, one round is the inverted softmax.
    """

    beta: float | None = knob(
        100.0,
        "per unit of similarity",
        "inverse temperature; the paper's 100 is for cosines; left out: 1 / std",
    )
    iterations: int = knob(10, "rounds", "times that captions and items are balanced, at most")
    captions_first: bool = knob(True, "yes or no", "whether the first round starts with captions")
    k: int = votes_knob()

    name: ClassVar[str] = "sinkhorn"
    title: ClassVar[str] = "Sinkhorn normalisation"
    cost: ClassVar[str] = "two passes over the bank for every round"
    paper: ClassVar[str] = "Pan et al., ACM MM 2025"
    updates: ClassVar[bool] = False  # every share depends on all the others
    balanced: ClassVar[tuple[str, ...]] = ("bank_sims",)  # matrices side by side
    tolerance: ClassVar[float] = 0.0  # change of log v in a round that is none

    def __post_init__(self) -> None:
        check_positive("beta", self.beta)
        check_count("iterations", self.iterations)

    def fitting(self, evidence: Evidence) -> Fitting:
        """Ask for k-occurrence, then balance the captions and the items by turns."""
        for name in self.balanced:
            evidence.need(name, self.title)
        beta = evidence.beta("bank_sims") if self.beta is None else float(self.beta)
        (counts,) = yield (TopItems(self.k),)
        # Beyond these the limits are reached; double and single precision could not hold more.
        used = min(max(beta, 1e-7), 1e20)
        log_v = yield from self._rounds(evidence, used)
        return bias_of(self, evidence, -log_v / used, counts, beta=beta)

    def _rounds(self, evidence: Evidence, beta: float) -> Generator[Any, Any, np.ndarray]:
        """[n_gallery] log v after the last round."""
        n_bank = evidence.bank_sims.shape[0]
        widths = [getattr(evidence, name).shape[1] for name in self.balanced]
        powers = yield from self._powers(n_bank * sum(widths), beta)
        log_u, log_v = np.zeros(n_bank), [np.zeros(width) for width in widths]
        for n in range(self.iterations):
            if n > 0 or self.captions_first:
                sums = yield from self._log_sums(powers, beta, log_v, "columns")
                log_u = np.log(sum(widths)) - np.logaddexp.reduce(sums)
            sums = yield from self._log_sums(powers, beta, [log_u] * len(widths), "rows")
            # Means, not sums: or a common factor would grow from round to round.
            old, log_v = log_v, [np.log(n_bank) - log for log in sums]
            change = max(np.abs(new - log).max() for new, log in zip(log_v, old, strict=True))
            if change <= self.tolerance:
                break
        return log_v[0]

    def _powers(self, n_cells: int, beta: float) -> Generator[Any, Any, list[np.ndarray] | None]:
        """exp(beta * x) of every matrix, float64; None where they are too many or too large."""
        if n_cells > HELD_CELLS:
            return None
        matrices = yield tuple(map(Whole, self.balanced))
        if beta * max(float(np.abs(sims).max()) for sims in matrices) > HELD_POWER:
            return None
        powers = [np.multiply(sims, beta, dtype=np.float64) for sims in matrices]
        return [np.exp(each, out=each) for each in powers]

    def _log_sums(
        self,
        powers: list[np.ndarray] | None,
        beta: float,
        log_weights: Sequence[np.ndarray],
        over: str,
    ) -> Generator[Any, Any, Sequence[np.ndarray]]:
        """`LogSum` of every matrix, from its powers or from its tiles."""
        if powers is None:
            return (
                yield tuple(
                    LogSum(beta, log, over, name)
                    for name, log in zip(self.balanced, log_weights, strict=True)
                )
            )
        weighted = zip(powers, map(np.exp, log_weights), strict=True)
        return [np.log(each @ w if over == "columns" else w @ each) for each, w in weighted]


@dataclass(frozen=True)
class DBSN(Sinkhorn):
    """Dual-bank Sinkhorn: the gallery and a gallery bank side by side are balanced with the bank.

    The querybank's own videos take up its captions' share, which else would be pressed onto a
    gallery that it does not describe. Only the gallery's part of the bias is kept.

    Source: Pan et al. (2508.02538), ACM Multimedia 2025; defaults as for Sinkhorn.
    """

    name: ClassVar[str] = "dbsn"
    title: ClassVar[str] = "Dual-bank Sinkhorn"
    needs: ClassVar[frozenset[str]] = frozenset({"bank", "gallery_bank"})
    cost: ClassVar[str] = "two passes over the bank for every round, gallery bank included"
    balanced: ClassVar[tuple[str, ...]] = ("bank_sims", "bank_gallery_bank_sims")


@dataclass(frozen=True)
class HNN(Sinkhorn):
    """Hubless nearest neighbours: the balanced plan, converged.

    The paper finds the item weights by gradient steps on the dual problem; its optimum is the plan
    that balancing by turns comes to, in far fewer steps. Its epsilon 1/30 is for (1 - cosine) / 2,
    so beta 15 for cosines.

    Source: Huang et al., "Hubless Nearest Neighbor Search for Bilingual Lexicon Induction",
    ACL 2019, equations 7 to 9. Its code stops after a number of steps; we stop when nothing moves.
    """

    beta: float | None = knob(
        15.0,
        "per unit of similarity",
        "inverse temperature; the paper's 15 is for cosines; left out: 1 / std",
    )
    iterations: int = knob(500, "rounds", "times that captions and items are balanced, at most")
    tolerance: float = knob(1e-6, "1", "largest change of beta times a bias at which it is over")

    name: ClassVar[str] = "hnn"
    title: ClassVar[str] = "Hubless nearest neighbours"
    cost: ClassVar[str] = "two passes over the bank for every round until nothing moves"
    paper: ClassVar[str] = "Huang et al., ACL 2019, equations 7 to 9"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share("tolerance", self.tolerance)
