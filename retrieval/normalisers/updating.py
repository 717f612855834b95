"""A fitted bias that follows its bank and gallery: captions and items come and go without a refit.

What a normaliser asked for is kept as states (see `lasting.py`); new rows and columns are gathered
by themselves and joined to them. The result is that of fitting again; where it could not be, the
change is refused.
"""

import json
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from retrieval.errors import GalleryError, SettingsError
from retrieval.normalisers.asks import gather
from retrieval.normalisers.base import Bias, Evidence, as_evidence, precision
from retrieval.normalisers.fitting import Normaliser
from retrieval.normalisers.lasting import Again, Lasting
from retrieval.normalisers.specs import parse_spec, spec_of
from retrieval.similarity import Tiles


@dataclass(frozen=True)
class _Gone:
    """Stands for a matrix that has been gone through; only its shape is known."""

    shape: tuple[int, int]
    dtype: np.dtype

    def blocks(self, scale: float = 1.0, within: slice | None = None) -> Any:
        raise AssertionError("a kept state was asked for tiles")


@dataclass(frozen=True, eq=False)
class Updatable:
    """A bias and all that is needed to keep it exact when bank or gallery change."""

    normaliser: Normaliser
    shapes: dict[str, tuple[int, int]]  # matrix of the evidence -> rows, columns
    dtype: np.dtype  # of the bias
    states: tuple[Any, ...]  # in the order of the normaliser's questions

    @cached_property
    def bias(self) -> Bias:
        """As fitting on everything that is there now would give it."""
        fitting = self.normaliser.fitting(self._evidence)
        asks = next(fitting)
        try:
            fitting.send(
                tuple(
                    ask.answer(state, self.shapes[ask.of])
                    for ask, state in zip(asks, self.states, strict=True)
                )
            )
        except StopIteration as done:
            return done.value
        raise AssertionError(f"{self.normaliser.name} asks twice, but says that it updates")

    @property
    def _evidence(self) -> Evidence:
        return Evidence(**{name: _Gone(shape, self.dtype) for name, shape in self.shapes.items()})

    @property
    def _asks(self) -> tuple[Lasting, ...]:
        return next(self.normaliser.fitting(self._evidence))

    def append_bank(self, sims: "np.ndarray | Tiles", of: str = "bank_sims") -> "Updatable":
        """With more rows in a bank.

        Args:
            sims: [n_new, n_gallery] similarities of the new captions (or bank videos).
            of: which bank, "bank_sims" or "gallery_bank_sims".

        Raises:
            SettingsError: there is no such bank.
            ValueError: the gallery differs.
        """
        n_rows, n_columns = self._shape(of)
        new = Evidence(**{of: sims})
        n_new = self._checked(new, of, 1, n_columns)[0]
        parts = self._gathered(new)
        states = [
            ask.join_rows(state, parts[ask], n_rows, n_new) if ask.of == of else state
            for ask, state in zip(self._asks, self.states, strict=True)
        ]
        return self._with(states, {of: (n_rows + n_new, n_columns)})

    def remove_bank(
        self,
        captions: np.ndarray,
        sims: "np.ndarray | Tiles",
        of: str = "bank_sims",
        columns: Again | None = None,
    ) -> "Updatable":
        """Without some rows of a bank.

        Args:
            captions: [n_gone] their row numbers.
            sims: [n_gone, n_gallery] their similarities.
            of: which bank, "bank_sims" or "gallery_bank_sims".
            columns: items -> [n_left, n_items] similarities of what is left of the bank, for
                items that had a removed caption among their nearest.

        Raises:
            SettingsError: no caption would be left, or it cannot be exact.
        """
        n_rows, n_columns = self._shape(of)
        gone = self._indices(captions, n_rows, "captions")
        new = Evidence(**{of: sims})
        if self._checked(new, of, 1, n_columns)[0] != len(gone):
            raise ValueError(
                f"{len(gone)} captions leave, but there are similarities of "
                f"{getattr(new, of).shape[0]}; give one row for each"
            )
        parts = self._gathered(new)
        states = [
            ask.part_rows(state, gone, parts[ask], n_rows, columns) if ask.of == of else state
            for ask, state in zip(self._asks, self.states, strict=True)
        ]
        return self._with(states, {of: (n_rows - len(gone), n_columns)})

    def add_items(self, sims: "np.ndarray | Tiles | Evidence") -> "Updatable":
        """With more gallery items, behind those there are.

        Args:
            sims: [n_bank, n_new] similarities of the bank to the new items; Evidence where there
                are two banks.

        Raises:
            SettingsError: the similarities of a bank are missing.
            ValueError: a bank differs.
        """
        new = as_evidence(sims)
        for name, (n_rows, _) in self.shapes.items():
            n_new = self._checked(new, name, 0, n_rows)[1]
        parts = self._gathered(new)
        states = [
            ask.join_columns(state, parts[ask], self.shapes[ask.of][1])
            for ask, state in zip(self._asks, self.states, strict=True)
        ]
        shapes = {name: (rows, columns + n_new) for name, (rows, columns) in self.shapes.items()}
        return self._with(states, shapes)

    def remove_items(self, items: np.ndarray, rows: dict[str, Again] | None = None) -> "Updatable":
        """Without some gallery items.

        Args:
            items: [n_gone] their column numbers.
            rows: for each bank, captions -> [n, n_left] similarities to what is left of the
                gallery, for captions that had a removed item among their best.

        Raises:
            SettingsError: no item would be left, or it cannot be exact.
        """
        n_gallery = next(iter(self.shapes.values()))[1]
        kept = np.ones(n_gallery, dtype=bool)
        kept[self._indices(items, n_gallery, "items")] = False
        states = [
            ask.part_columns(state, kept, (rows or {}).get(ask.of))
            for ask, state in zip(self._asks, self.states, strict=True)
        ]
        n_left = int(kept.sum())
        return self._with(states, {name: (shape[0], n_left) for name, shape in self.shapes.items()})

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Everything as arrays by name, for a file without pickles."""
        about = {
            "normaliser": spec_of(self.normaliser),
            "shapes": self.shapes,
            "dtype": self.dtype.name,
        }
        arrays = {"kept": np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)}
        for i, state in enumerate(self.states):
            parts = state if isinstance(state, tuple) else (state,)
            arrays.update((f"state{i}.{j}", part) for j, part in enumerate(parts))
        return arrays

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "Updatable":
        """What `to_arrays` gave.

        Raises:
            GalleryError: an array is missing or makes no sense.
        """
        try:
            about = json.loads(bytes(arrays["kept"]))
            shapes = {name: tuple(shape) for name, shape in about["shapes"].items()}
            made = cls(parse_spec(about["normaliser"]), shapes, np.dtype(about["dtype"]), ())
            states = []
            for i in range(len(made._asks)):
                parts = [arrays[name] for name in sorted(arrays) if name.startswith(f"state{i}.")]
                states.append(tuple(parts) if len(parts) > 1 else parts[0])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise GalleryError(
                f"the kept state of a bias is damaged ({error}); delete it and fit again"
            ) from error
        return replace(made, states=tuple(states))

    def _shape(self, of: str) -> tuple[int, int]:
        if of not in self.shapes:
            raise SettingsError(
                f"{self.normaliser.title} was fitted on {' and '.join(self.shapes)}, not on {of}"
            )
        return self.shapes[of]

    @staticmethod
    def _checked(new: Evidence, name: str, axis: int, n: int) -> tuple[int, int]:
        """The shape of new similarities, if they fit to what is there."""
        shape = new.need(name, "the update").shape
        if shape[axis] != n:
            what = ("rows of the bank", "gallery items")[axis]
            raise ValueError(
                f"new {name} have shape {shape}, expected {n} {what}; compute them with the same "
                "bank and gallery"
            )
        return shape

    @staticmethod
    def _indices(indices: np.ndarray, n: int, what: str) -> np.ndarray:
        indices = np.unique(np.asarray(indices, dtype=np.int64))
        if not len(indices) or indices[0] < 0 or indices[-1] >= n:
            raise SettingsError(f"{what} to remove must be numbers in 0..{n - 1}")
        if len(indices) == n:
            raise SettingsError(f"all {n} {what} would be removed, and nothing left to fit on")
        return indices

    def _gathered(self, new: Evidence) -> dict[Lasting, Any]:
        """The states of new rows or columns alone, by question."""
        own = {}  # a question that the new part can answer -> the question it belongs to
        for ask in self._asks:
            tiles = getattr(new, ask.of)
            if tiles is not None:
                most = {"k": min(ask.k, tiles.shape[1])} if hasattr(ask, "k") else {}
                own[replace(ask, **most)] = ask
        return {own[ask]: state for ask, state in gather(set(own), new).items()}

    def _with(self, states: list[Any], shapes: dict[str, tuple[int, int]]) -> "Updatable":
        return replace(self, states=tuple(states), shapes={**self.shapes, **shapes})


def fit_updatable(normaliser: Normaliser, evidence: "np.ndarray | Tiles | Evidence") -> Updatable:
    """Fit, and keep what is needed to follow changes of bank and gallery.

    Raises:
        SettingsError: this normaliser's bias can only be fitted again.
    """
    title = normaliser.title
    if not (normaliser.additive and normaliser.updates):
        raise SettingsError(
            f"{title} cannot be updated exactly, because one change moves everything; fit again"
        )
    for field in fields(normaliser):
        if getattr(normaliser, field.name) is None:
            raise SettingsError(
                f"a scale-free {field.name} changes with every caption and item, so {title} would "
                f"have to be fitted again; give {field.name} a number to update without a refit"
            )
    evidence = as_evidence(evidence)
    asks = next(normaliser.fitting(evidence))
    for ask in asks:
        evidence.need(ask.of, title)
    found = gather(set(asks), evidence)
    shapes = {ask.of: getattr(evidence, ask.of).shape for ask in asks}
    states = tuple(found[ask] for ask in asks)
    return Updatable(normaliser, shapes, precision(evidence.bank_sims), states)
