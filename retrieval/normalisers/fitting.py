"""Normalisers fitted together: what they ask of a matrix is gathered in one pass over its tiles.

A normaliser's `fitting` is a generator. It yields what it wants to know of the matrices (see
`asks.py` and `lasting.py`), is sent the answers in the same order, may ask again, and returns what
it fitted. All that are fitted together are taken forward in step, so their questions of one round
share a pass.
"""

from collections.abc import Generator, Sequence
from dataclasses import field
from typing import Any, ClassVar

import numpy as np

from retrieval.errors import SettingsError
from retrieval.normalisers.asks import Ask, gather
from retrieval.normalisers.base import Bias, Evidence, as_evidence, precision
from retrieval.similarity import Tiles

Fitting = Generator[tuple[Ask, ...], tuple[Any, ...], Any]


class Normaliser:
    """A way to make similarities fair to all gallery items; its knobs are dataclass fields."""

    name: ClassVar[str]  # short, for files and addresses
    title: ClassVar[str]  # for people
    additive: ClassVar[bool] = True  # fitting gives a Bias: one number per gallery item
    transductive: ClassVar[bool] = False  # looks at other test queries: evaluation only
    updates: ClassVar[bool] = True  # whether a bias may be kept when bank or gallery change
    needs: ClassVar[frozenset[str]] = frozenset({"bank"})  # bank, gallery_bank, gallery, ...
    cost: ClassVar[str]  # of fitting, in a phrase
    paper: ClassVar[str]  # authors, year, equation

    def fitting(self, evidence: Evidence) -> Fitting:
        """Ask for what is needed, return what was fitted: a Bias, or another thing to apply."""
        raise SettingsError(
            f"{self.title} looks at the test queries themselves, there is nothing to fit on a "
            "bank; use scores(sims, evidence)"
        )

    def fit(self, evidence: np.ndarray | Tiles | Evidence) -> Bias:
        """Fit on evidence, or on the [n_bank, n_gallery] similarities of a querybank alone."""
        return fit_all([self], evidence)[0]

    def scores(self, sims: np.ndarray, evidence: np.ndarray | Tiles | Evidence) -> np.ndarray:
        """Normalised scores of [n_queries, n_gallery] raw similarities, a new array.

        In the dtype of `sims` where the normaliser is additive, else in float64: a count and a
        similarity, or a small probability, need its digits.
        """
        return self.fit(evidence).apply(sims)

    def weights(self, bank_column: np.ndarray, beta: float | None) -> np.ndarray | None:
        """How much each bank caption counts in one item's bias: the bias moves by weight * change
        (times a constant of the method) when the caption's similarity to the item does.

        Args:
            bank_column: [n_bank] similarities of the bank captions to the item.
            beta: inverse temperature of the fitted bias.

        Returns:
            [n_bank] float64 that sum to one; None where the bias is no mean over captions.
        """
        return None

    def in_words(self, n_bank: int, beta: float | None) -> str:
        """How an item's bias comes about, a sentence for people."""
        return (
            f"{self.title} ({self.paper}) gives each video one number that does not split into "
            "shares of single bank captions."
        )


def knob(default: Any, unit: str, help: str) -> Any:
    """A setting of a normaliser: its default (that of the paper), unit and meaning."""
    return field(default=default, metadata={"unit": unit, "help": help})


def votes_knob() -> Any:
    """The setting that all have that look at a querybank."""
    return knob(1, "items", "best items of each bank caption that count towards k_occurrence")


def bias_of(
    normaliser: Any,
    evidence: Evidence,
    values: np.ndarray,
    counts: np.ndarray | None,
    **more: Any,
) -> Bias:
    """The bias of a normaliser, in the precision of what it was fitted on.

    Args:
        normaliser: what it is of, with its name and k.
        evidence: what it was fitted on.
        values: [n_gallery] in the unit of the similarities.
        counts: [n_gallery] k-occurrence in the bank; None without a bank.
        more: other fields of Bias.
    """
    bank = evidence.bank_sims
    return Bias(
        values=values.astype(precision(evidence.gallery_sims if bank is None else bank)),
        k_occurrence=np.zeros(len(values), dtype=np.int64) if counts is None else counts,
        normaliser=normaliser.name,
        k=normaliser.k,
        n_bank=0 if bank is None else bank.shape[0],
        **{"active": None, "beta": None, **more},
    )


def fit_all(
    normalisers: Sequence[Normaliser], evidence: np.ndarray | Tiles | Evidence
) -> list[Bias]:
    """Fit several normalisers with as few passes over the tiles as the neediest of them takes.

    Args:
        normalisers: what to fit, any that is not transductive.
        evidence: what to fit on; a lone matrix is the querybank's.

    Returns:
        what each one's own `fit` would have given.

    Raises:
        SettingsError: a matrix is missing that one of them needs, or a knob does not suit it.
    """
    evidence = as_evidence(evidence)
    under_way = {i: normaliser.fitting(evidence) for i, normaliser in enumerate(normalisers)}
    fitted: list[Any] = [None] * len(under_way)
    answers: dict[int, tuple[Any, ...] | None] = dict.fromkeys(under_way)
    while under_way:
        asked = {}
        for i, fitting in list(under_way.items()):
            try:
                asked[i] = fitting.send(answers[i])
            except StopIteration as done:
                fitted[i] = done.value
                del under_way[i]
        for i, asks in asked.items():
            for ask in asks:
                evidence.need(ask.of, normalisers[i].title)
        found = gather({ask for asks in asked.values() for ask in asks}, evidence)
        answers = {
            i: tuple(ask.answer(found[ask], getattr(evidence, ask.of).shape) for ask in asks)
            for i, asks in asked.items()
        }
    return fitted
