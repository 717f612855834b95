"""What fitting a normaliser gives: one number per gallery item, subtracted from its similarity."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from retrieval.errors import SettingsError
from retrieval.similarity import Tiles, as_tiles, check_k, check_sims
from retrieval.tiles import LogMeanExp, TopK, for_each_tile, mean_std


@dataclass(frozen=True, eq=False)
class Bias:
    """A fitted normaliser.

    score[i, j] = sims[i, j] - strength * gate[i] * (values[j] - mean(values))
    """

    values: np.ndarray  # [n_gallery] float32, in the unit of the similarities
    active: np.ndarray | None  # [n_gallery] bool, the activation set; None where there is no gate
    k_occurrence: np.ndarray  # [n_gallery] int64, bank captions that have the item in their top k
    normaliser: str  # short name
    beta: float | None  # inverse temperature that was used; None where there is none
    k: int  # items of each bank caption that count
    n_bank: int  # bank captions it was fitted on

    @cached_property
    def centred(self) -> np.ndarray:
        """[n_gallery] float32, `values` less their mean: scores stay near the similarities."""
        values = self.values.astype(np.float64)
        return (values - values.mean()).astype(np.float32)

    def gate(self, sims: np.ndarray) -> np.ndarray:
        """Which queries are normalised: those whose raw best item is in the activation set.

        Args:
            sims: [n_queries, n_gallery] raw similarities.

        Returns:
            [n_queries] bool.
        """
        sims = self._checked(sims)
        return self.gate_of(sims.argmax(axis=1))

    def gate_of(self, best: np.ndarray) -> np.ndarray:
        """The gate from each query's raw best item, [n_queries] column indices."""
        best = np.asarray(best)
        if self.normaliser == "none":
            return np.zeros(len(best), dtype=bool)
        if self.active is None:
            return np.ones(len(best), dtype=bool)
        return self.active[best]

    def apply(self, sims: np.ndarray, strength: float = 1.0) -> np.ndarray:
        """Normalised scores, on the scale of the similarities.

        Args:
            sims: [n_queries, n_gallery] raw similarities.
            strength: share of the bias that is applied, 0 (raw) to 1.

        Returns:
            [n_queries, n_gallery] in the dtype of `sims`, a new array.

        Raises:
            ValueError: the width differs, or a similarity is NaN or infinite.
            SettingsError: strength is outside 0..1.
        """
        sims = self._checked(sims)
        check_strength(strength)
        weight = (strength * self.gate_of(sims.argmax(axis=1))).astype(sims.dtype)
        return sims - weight[:, None] * self.centred

    def _checked(self, sims: np.ndarray) -> np.ndarray:
        sims = check_sims(sims)
        if sims.shape[1] != len(self.values):
            raise ValueError(
                f"sims have {sims.shape[1]} gallery items, the bias {len(self.values)}; "
                "fit the bias on this gallery"
            )
        return sims


class Normaliser(Protocol):
    """A way to fit a bias on a querybank."""

    name: str  # short, for files and addresses
    title: str  # for people

    def fit(self, bank_sims: np.ndarray | Tiles) -> Bias:
        """Fit on [n_bank, n_gallery] similarities of the querybank to the gallery."""


def check_strength(strength: float) -> None:
    """Refuse a share outside 0..1."""
    if not 0 <= strength <= 1:
        raise SettingsError(f"strength must be between 0 (raw) and 1, got {strength}")


def check_beta(beta: float | None) -> None:
    """Refuse a beta that is not a positive number; None stands for the scale-free one."""
    if beta is not None and not (np.isfinite(beta) and beta > 0):
        raise SettingsError(f"beta must be a positive number, got {beta}")


def scale_free_beta(tiles: np.ndarray | Tiles) -> float:
    """beta = 1 / std(bank_sims): the same strength whatever the unit of the similarities."""
    mean, std = mean_std(tiles)
    # A bank that sees no difference between items has no scale; its bias is constant at any beta.
    return 1.0 / std if std > 1e-6 * max(abs(mean), 1e-30) else 1.0


def fit_bank(
    bank_sims: np.ndarray | Tiles, k: int, beta: float | None
) -> tuple[np.ndarray, np.ndarray, int]:
    """One pass over the bank's tiles: the log-mean-exp per item and its k-occurrence.

        values[j] = log(mean over bank captions b of exp(beta * bank_sims[b, j])) / beta

    The mean, where the literature has the sum: they differ by log(n_bank) / beta for all items
    alike, which changes no score, and the mean lies between the item's mean similarity (beta
    near 0) and its largest (large beta), so float32 holds it at any beta.

    Args:
        bank_sims: [n_bank, n_gallery], a matrix or tiles.
        k: items of each bank caption that count, 1 <= k <= n_gallery.
        beta: inverse temperature; None leaves the log-mean-exp at zero.

    Returns:
        [n_gallery] float32 values, [n_gallery] int64 counts, n_bank.
    """
    tiles = as_tiles(bank_sims)
    n_bank, n_gallery = tiles.shape
    check_k(k, n_gallery)
    # Beyond these the limits are reached, and float32 could not hold the exponents.
    scale = 1.0 if beta is None else min(max(beta, 1e-20), 1e20)
    nearest = TopK(n_bank, k)
    mass = None if beta is None else LogMeanExp(n_bank, n_gallery, scale * tiles.bound, scale)

    def take_in(rows: slice, columns: slice, block: np.ndarray) -> None:
        nearest.add(rows, columns, block)
        if mass is not None:
            mass.add(rows, columns, block)

    for_each_tile(tiles, take_in)
    values = np.zeros(n_gallery) if mass is None else mass.values() / scale
    return values.astype(np.float32), nearest.counts(n_gallery), n_bank
