"""The four lines that the published QB-Norm script prints, to their last digit.

Its ratios exp(beta s) / sum exp(beta p) are made here as it makes them, in the precision of the
matrices and in its order of addition, but a slice of rows at a time: in float32 that moves a query
by a place now and then against log space, and with it a printed digit.

Source: Bogolin et al., "Cross Modal Retrieval with Querybank Normalisation", CVPR 2022; the
metric's rounding is that of "Collaborative Experts".
"""

from collections.abc import Sequence

import numpy as np

from retrieval import metrics, parallel
from retrieval.normalisers import Bias
from retrieval.rows import Rows, chunks
from retrieval.scoring import Truth
from retrieval.similarity import is_finite
from retrieval.tiles import for_each_block

BETA, K = 20.0, 1  # what the script takes where nothing is said
KEYS = ("R1", "R5", "R10", "R50", "MedR", "MeanR", "geometric_mean_R1-R5-R10")


def printed(before: np.ndarray, after: np.ndarray, masked: bool) -> list[str]:
    """What the script prints, line by line.

    Args:
        before, after: [n_queries] ranks, best is 1.
        masked: whether a mask was given, which changes how its numbers are rounded and shown.
    """
    return [
        "Metrics before applying QB-Norm",
        _shown(before, masked),
        "Metrics after QB-Norm",
        _shown(after, masked),
    ]


def ratio_ranks(rows: Rows, bank: Rows, bias: Bias, truth: Truth, beta: float) -> np.ndarray | None:
    """Rank of every query's correct item among the script's own scores.

    Args:
        rows: [n_queries, n_gallery] similarities.
        bank: [n_bank, n_gallery] similarities.
        bias: QB-Norm fitted on them, for its activation set.
        truth: which queries are asked and what is correct.
        beta: inverse temperature.

    Returns:
        [n_queries]; None where the script's numbers overflow or are no floats, and it fails.
    """
    mass = _mass(bank, beta)
    if mass is None or not (np.isfinite(mass).all() and mass.all()):
        return None
    if rows.dtype not in (np.float32, np.float64):
        return None
    ranks = np.empty(len(truth.queries))

    def look_at(at: slice, block: np.ndarray) -> None:
        scores = _ratios(block, mass, bias.active, beta)
        # A score that is not finite leaves no rank, and the script fails.
        ranks[at] = metrics.ranks_in(scores, truth.correct[at]) if is_finite(scores) else np.nan

    for_each_block(rows, truth.queries, look_at)
    return None if np.isnan(ranks).any() else ranks


def _mass(bank: Rows, beta: float) -> np.ndarray | None:
    """[n_gallery] sum over bank rows of exp(beta p), added up row by row as the script does."""
    mass: np.ndarray | None = None
    for _, sims in chunks(bank, np.arange(bank.shape[0])):
        if sims.dtype not in (np.float32, np.float64):
            return None
        n_rows, n_gallery = sims.shape
        if mass is None:
            mass = np.zeros(n_gallery, sims.dtype)

        def add(band: slice, sims: np.ndarray = sims, mass: np.ndarray = mass) -> None:
            for rows in parallel.blocks(slice(0, len(sims)), band.stop - band.start):
                shape = 1 + rows.stop - rows.start, band.stop - band.start
                powers = parallel.scratch("_mass", shape, sims.dtype)
                powers[0] = mass[band]
                np.multiply(sims[rows, band], beta, out=powers[1:])
                with np.errstate(over="ignore"):
                    np.exp(powers[1:], out=powers[1:])
                    np.add.reduce(powers, axis=0, out=mass[band])

        width = max(2, -(-n_gallery // 8))
        parallel.for_each(
            add, [slice(n, min(n + width, n_gallery)) for n in range(0, n_gallery, width)]
        )
    return mass


def _ratios(sims: np.ndarray, mass: np.ndarray, active: np.ndarray, beta: float) -> np.ndarray:
    """The script's scores of some rows: ratios where the best item is active, else as they are.

    They are valid until the next call in the same thread.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        powers = parallel.scratch("_ratios", sims.shape, sims.dtype)
        np.multiply(sims, beta, out=powers)
        np.exp(powers, out=powers)
        known = active[powers.argmax(axis=1)]  # of the powers, where nearby numbers may tie
        # Where the sums are of more digits than the similarities, so is the division.
        scores = np.divide(powers, mass, out=powers, casting="same_kind")
    scores[~known] = sims[~known]
    return scores


def _shown(ranks: np.ndarray, masked: bool) -> str:
    """The repr, under numpy 2, of the dict that the script prints."""
    from_zero = ranks - 1
    n = np.int64(len(ranks)) if masked else len(ranks)  # with a mask, its sum: a numpy scalar
    hits = [100 * float(np.count_nonzero(from_zero < k)) / n for k in (0.5, 5, 10, 50)]
    hits[0] = 100 * float(np.count_nonzero(from_zero == 0)) / n
    with np.errstate(divide="ignore"):
        geometric = np.exp(np.mean(np.log(np.array(hits[:3], dtype=np.float64))))
    values: Sequence[float] = (*hits, np.median(from_zero) + 1, np.mean(from_zero) + 1, geometric)
    pairs = (f"{key!r}: {_number(value)}" for key, value in zip(KEYS, values, strict=True))
    return "{" + ", ".join(pairs) + "}"


def _number(value: float) -> str:
    # A plain float is rounded to the nearest decimal, a numpy scalar scaled, rounded half to even
    # and scaled back: 0.35 is 0.3 in one and 0.4 in the other.
    rounded = round(value, 1)
    return f"np.float64({float(rounded)!r})" if isinstance(value, np.floating) else repr(rounded)
