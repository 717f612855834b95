"""What normalisers are fitted on, and what fitting gives: one number per gallery item."""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from retrieval.errors import SettingsError
from retrieval.similarity import Tiles, as_tiles, check_sims
from retrieval.streaming.tiles import mean_std

# Matrices by what they are made of, as a person would call them.
MATRICES = {
    "bank_sims": "the similarities of a querybank to the gallery",
    "gallery_bank_sims": "the similarities of a gallery bank (other videos) to the gallery",
    "bank_gallery_bank_sims": "the similarities of the querybank to the gallery bank",
    "gallery_sims": "the similarities of the gallery to itself",
}


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a normaliser may look at; every matrix may be whole or tiles, and may be missing."""

    bank_sims: "np.ndarray | Tiles | None" = None  # [n_bank, n_gallery]
    gallery_bank_sims: "np.ndarray | Tiles | None" = None  # [n_gallery_bank, n_gallery]
    bank_gallery_bank_sims: "np.ndarray | Tiles | None" = None  # [n_bank, n_gallery_bank]
    gallery_sims: "np.ndarray | Tiles | None" = None  # [n_gallery, n_gallery]

    def __post_init__(self) -> None:
        for field in fields(self):  # cut into tiles once, so that it is checked once
            matrix = getattr(self, field.name)
            if matrix is not None:
                object.__setattr__(self, field.name, as_tiles(matrix, field.name))
        shapes = {name: m.shape for name in MATRICES if (m := getattr(self, name)) is not None}
        wide = {name: shape[1] for name, shape in shapes.items() if name in GALLERY_WIDE}
        if len(set(wide.values())) > 1:
            counts = ", ".join(f"{name} {n}" for name, n in wide.items())
            raise ValueError(
                f"all matrices must have one column per gallery item, got {counts}; "
                "compute them on one gallery"
            )
        for name, axis, other, other_axis in SAME_SIZE:
            if name in shapes and other in shapes:
                n, m = shapes[name][axis], shapes[other][other_axis]
                if n != m:
                    raise ValueError(
                        f"{name} has shape {shapes[name]}, {other} {shapes[other]}: {n} and {m} "
                        "must be the same number; compute both on the same bank and gallery"
                    )

    def need(self, name: str, asked_by: str) -> Tiles:
        """The matrix of this name, as tiles.

        Raises:
            SettingsError: it is missing.
        """
        tiles = getattr(self, name)
        if tiles is None:
            raise SettingsError(f"{asked_by} needs {name}, {MATRICES[name]}; give that matrix too")
        return tiles

    def beta(self, name: str) -> float:
        """The scale-free inverse temperature of a matrix, worked out once."""
        if name not in self._betas:
            self._betas[name] = scale_free_beta(getattr(self, name))
        return self._betas[name]

    @cached_property
    def _betas(self) -> dict[str, float]:
        return {}


GALLERY_WIDE = ("bank_sims", "gallery_bank_sims", "gallery_sims")
SAME_SIZE = (  # matrix, axis, matrix, axis
    ("bank_gallery_bank_sims", 0, "bank_sims", 0),
    ("bank_gallery_bank_sims", 1, "gallery_bank_sims", 0),
    ("gallery_sims", 0, "gallery_sims", 1),
)


def as_evidence(evidence: "np.ndarray | Tiles | Evidence") -> Evidence:
    """Evidence as it is; a lone matrix is the querybank's."""
    return evidence if isinstance(evidence, Evidence) else Evidence(bank_sims=evidence)


@dataclass(frozen=True, eq=False)
class Bias:
    """A fitted normaliser.

        score[i, j] = sims[i, j] - strength * gate[i] * (values[j] - mean(values))

    One with several gates (DualDIS) has a bias for each state of its gates, and `values` is that
    of all gates open:

        score[i, j] = sims[i, j] - strength * (states[z, j] - mean(states[z])), z = state[best[i]]

    with best[i] the raw best item of query i.
    """

    values: np.ndarray  # [n_gallery] in the unit and dtype of the similarities
    active: np.ndarray | None  # [n_gallery] bool, the activation set; None where there is no gate
    k_occurrence: np.ndarray  # [n_gallery] int64, bank captions that have the item in their top k
    normaliser: str  # short name
    beta: float | None  # inverse temperature that was used; None where there is none
    k: int  # items of each bank caption that count
    n_bank: int  # bank captions it was fitted on
    states: np.ndarray | None = None  # [n_states, n_gallery] biases; None where there is but one
    state: np.ndarray | None = None  # [n_gallery] row of `states` for queries whose best item it is

    @cached_property
    def centred(self) -> np.ndarray:
        """[n_gallery] `values` less their mean: scores stay near the similarities."""
        return _centred(self.values)

    @cached_property
    def _centred_states(self) -> np.ndarray:
        return _centred(self.states)

    def centred_of(self, best: np.ndarray) -> np.ndarray:
        """What open gates take off: [n_gallery], or [n, n_gallery] where queries differ in that.

        Args:
            best: [n] each query's raw best item.
        """
        return self.centred if self.states is None else self._centred_states[self.state[best]]

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
        best = sims.argmax(axis=1)
        weight = (strength * self.gate_of(best)).astype(sims.dtype)
        return sims - weight[:, None] * self.centred_of(best).astype(sims.dtype, copy=False)

    def _checked(self, sims: np.ndarray) -> np.ndarray:
        sims = check_sims(sims)
        self.check_width(sims.shape[1])
        return sims

    def check_width(self, n_gallery: int) -> None:
        """Refuse a gallery of another size."""
        if n_gallery != len(self.values):
            raise ValueError(
                f"sims have {n_gallery} gallery items, the bias {len(self.values)}; "
                "fit the bias on this gallery"
            )


def check_fits(sims: np.ndarray, n_gallery: int, what: str) -> np.ndarray:
    """The similarities, if they have as many gallery items as what was fitted."""
    if sims.shape[1] != n_gallery:
        raise ValueError(
            f"sims have {sims.shape[1]} gallery items, the {what} {n_gallery}; fit the {what} on "
            "this gallery"
        )
    return sims


def _centred(values: np.ndarray) -> np.ndarray:
    fine = values.astype(np.float64)
    return (fine - fine.mean(axis=-1, keepdims=True)).astype(values.dtype)


def precision(tiles: Tiles) -> np.dtype:
    """float64 for a matrix that has it; embeddings are multiplied in float32."""
    return np.dtype(getattr(tiles, "dtype", np.float32))


def check_strength(strength: float) -> None:
    """Refuse a share outside 0..1."""
    if not 0 <= strength <= 1:
        raise SettingsError(f"strength must be between 0 (raw) and 1, got {strength}")


def check_positive(name: str, value: float | None) -> None:
    """Refuse a knob that is not a positive number; None stands for the scale-free one."""
    if value is not None and not (np.isfinite(value) and value > 0):
        raise SettingsError(f"{name} must be a positive number, got {value}")


def check_count(name: str, value: int) -> None:
    """Refuse a number of things that is not whole and at least one."""
    if not (isinstance(value, int | np.integer) and value >= 1):
        raise SettingsError(f"{name} must be a whole number, 1 or more, got {value}")


def check_share(name: str, value: float) -> None:
    """Refuse a weight that is not a number of zero or more."""
    number = isinstance(value, int | float | np.number)
    if not (number and np.isfinite(value) and value >= 0):
        raise SettingsError(f"{name} must be a number of 0 or more, got {value}")


def check_cosines(bound: float, what: str, asked_by: str) -> None:
    """Refuse similarities that cannot be cosines, where a distance is made of them."""
    if bound > 1 + 1e-3:
        raise SettingsError(
            f"{asked_by} turns cosines into distances, but {what} reach {bound:.4g}; divide them "
            "by the logit scale"
        )


def scale_free_beta(tiles: np.ndarray | Tiles) -> float:
    """beta = 1 / std(bank_sims): the same strength whatever the unit of the similarities."""
    mean, std = mean_std(tiles)
    # A bank that sees no difference between items has no scale; its bias is constant at any beta.
    return 1.0 / std if std > 1e-6 * max(abs(mean), 1e-30) else 1.0
