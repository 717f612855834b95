"""Normalisers by name: a querybank's similarities -> one bias per gallery item."""

from dataclasses import fields

from retrieval.errors import SettingsError
from retrieval.normalisers.base import Bias, Normaliser
from retrieval.normalisers.inverted_softmax import InvertedSoftmax, QBNorm, penalty_shares
from retrieval.normalisers.none import Raw

NORMALISERS: dict[str, type[Normaliser]] = {
    normaliser.name: normaliser for normaliser in (Raw, InvertedSoftmax, QBNorm)
}

__all__ = ["NORMALISERS", "Bias", "Normaliser", "get_normaliser", "penalty_shares"]


def get_normaliser(name: str, **settings: float | None) -> Normaliser:
    """Build a normaliser from its short name; settings that it does not use are left aside.

    Args:
        name: a key of NORMALISERS, for example "qbnorm".
        settings: beta (per unit of similarity, None for scale-free), k (items).

    Raises:
        SettingsError: the name is unknown, or a setting that no normaliser has.
    """
    if name not in NORMALISERS:
        raise SettingsError(f"unknown normaliser {name!r}; available: {', '.join(NORMALISERS)}")
    used = {kind: {field.name for field in fields(kind)} for kind in NORMALISERS.values()}
    known = set().union(*used.values())
    unknown = sorted(set(settings) - known)
    if unknown:
        raise SettingsError(
            f"unknown setting {unknown[0]!r} of a normaliser; available: {', '.join(sorted(known))}"
        )
    kind = NORMALISERS[name]
    return kind(**{key: value for key, value in settings.items() if key in used[kind]})
