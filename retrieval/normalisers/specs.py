"""Normalisers by name and in one word: "nnn:alpha=0.5:neighbours=8" <-> NNN(0.5, 8)."""

import types
import typing
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np

from retrieval.errors import SettingsError
from retrieval.normalisers.base import Evidence, as_evidence
from retrieval.normalisers.dual import DualDIS, DualIS
from retrieval.normalisers.fitting import Normaliser
from retrieval.normalisers.gallery import DisSimLocal, LocalisedCentring
from retrieval.normalisers.inverted_softmax import InvertedSoftmax, QBNorm
from retrieval.normalisers.means import DN, ZNorm
from retrieval.normalisers.neighbours import CSLS, NICDM, NNN, LocalScaling, RatioMargin
from retrieval.normalisers.none import Raw
from retrieval.normalisers.ranks import GC, MutualProximityEmpirical, MutualProximityGaussian
from retrieval.normalisers.sinkhorn import DBSN, HNN, Sinkhorn
from retrieval.normalisers.transductive import DSL, HSM
from retrieval.similarity import Tiles, check_sims

NORMALISERS: dict[str, type[Normaliser]] = {
    normaliser.name: normaliser
    for normaliser in (
        Raw,
        InvertedSoftmax,
        QBNorm,
        CSLS,
        NNN,
        DN,
        GC,
        DualIS,
        DualDIS,
        Sinkhorn,
        DBSN,
        HNN,
        DSL,
        HSM,
        ZNorm,
        LocalScaling,
        NICDM,
        MutualProximityGaussian,
        MutualProximityEmpirical,
        DisSimLocal,
        LocalisedCentring,
        RatioMargin,
    )
}
# Those that can answer one query at a time with a querybank and the gallery alone.
SEARCHABLE = {
    name: kind
    for name, kind in NORMALISERS.items()
    if kind.additive and not kind.transductive and kind.needs <= {"bank", "gallery"}
}

SCALE_FREE = ("beta", "gallery_beta")  # knobs that None, "auto" in a word, works out from a bank


def get_normaliser(name: str, **settings: float | None) -> Normaliser:
    """Build a normaliser from its short name; settings that it does not use are left aside.

    Args:
        name: a key of NORMALISERS, for example "qbnorm".
        settings: beta (per unit of similarity, None for scale-free), k (items), or any other
            setting that some normaliser has.

    Raises:
        SettingsError: the name is unknown, or a setting that no normaliser has.
    """
    kind = _kind(name)
    unknown = sorted(set(settings) - _known())
    if unknown:
        raise SettingsError(
            f"unknown setting {unknown[0]!r} of a normaliser; "
            f"available: {', '.join(sorted(_known()))}"
        )
    used = _types(kind)
    return kind(**{key: value for key, value in settings.items() if key in used})


@cache
def _known() -> frozenset[str]:
    """Every setting that some normaliser has."""
    return frozenset(field.name for each in NORMALISERS.values() for field in fields(each))


def check_searchable(name: Any) -> None:
    """Refuse what cannot answer one query at a time.

    Raises:
        SettingsError: the name is unknown, or of a normaliser for whole matrices.
    """
    if not isinstance(name, str) or name not in NORMALISERS:
        raise SettingsError(
            f"unknown normaliser {str(name)[:40]!r}; available: {', '.join(SEARCHABLE)}"
        )
    if name in SEARCHABLE:
        return
    kind = NORMALISERS[name]
    if kind.transductive:
        why = "looks at other test queries"
    elif not kind.additive:
        why = "is no number per video"
    else:
        why = "needs a bank of other videos"
    raise SettingsError(
        f"{kind.title} {why}, so it normalises whole matrices only; for a search choose one of "
        f"{', '.join(SEARCHABLE)}"
    )


@dataclass(frozen=True)
class Knob:
    """A setting of a normaliser, as a form asks for it."""

    name: str
    kind: type  # int, float or bool
    default: Any  # of the paper; None where it is worked out from the bank
    unit: str
    help: str


def knobs(name: str) -> tuple[Knob, ...]:
    """The settings of a normaliser, in the order of its fields."""
    kinds = _types(_kind(name))
    return tuple(
        Knob(
            each.name, kinds[each.name], each.default, each.metadata["unit"], each.metadata["help"]
        )
        for each in fields(_kind(name))
    )


def title_of(spec: str) -> str:
    """A normaliser's title, with those of its settings that are not the default ones."""
    name, _, settings = spec_of(parse_spec(spec)).partition(":")
    told = settings.replace(":", ", ").replace("=", " ")
    return f"{_kind(name).title} ({told})" if told else _kind(name).title


def parse_spec(spec: str, **shared: float | None) -> Normaliser:
    """Build a normaliser from one word, NAME[:KNOB=VALUE]...

    Args:
        spec: for example "nnn:alpha=0.5:neighbours=8"; beta=auto is the scale-free one.
        shared: settings for those that have them, where the word does not say otherwise; None
            leaves a setting as it is.

    Raises:
        SettingsError: the name, a knob or a value is not known or out of range.
    """
    name, *parts = spec.strip().split(":")
    kinds = _types(_kind(name))
    settings: dict[str, Any] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if key not in kinds or not equals:
            raise SettingsError(
                f"{part!r} in {spec!r} is no setting of {name}; write NAME:KNOB=VALUE with a knob "
                f"of {', '.join(kinds)}"
            )
        scale_free = value == "auto" and key in SCALE_FREE
        settings[key] = None if scale_free else _value(key, value, kinds[key])
    given = {key: value for key, value in shared.items() if value is not None}
    return get_normaliser(name, **{**given, **settings})


def spec_of(normaliser: Normaliser) -> str:
    """The word that `parse_spec` builds this normaliser from; defaults are left out."""
    parts = [normaliser.name]
    for field in fields(normaliser):
        value = getattr(normaliser, field.name)
        if value != field.default:
            parts.append(f"{field.name}={'auto' if value is None else _text(value)}")
    return ":".join(parts)


def normalise(
    normaliser: Normaliser | str, sims: np.ndarray, evidence: np.ndarray | Tiles | Evidence
) -> np.ndarray:
    """Normalised scores of a whole matrix, whatever the normaliser.

    Args:
        normaliser: or a word for `parse_spec`.
        sims: [n_queries, n_gallery] raw similarities.
        evidence: a querybank's similarities, or all that the normaliser needs.

    Returns:
        [n_queries, n_gallery] scores, higher is better, a new array.
    """
    if isinstance(normaliser, str):
        normaliser = parse_spec(normaliser)
    return normaliser.scores(check_sims(sims), as_evidence(evidence))


def _kind(name: str) -> type[Normaliser]:
    if name not in NORMALISERS:
        raise SettingsError(f"unknown normaliser {name!r}; available: {', '.join(NORMALISERS)}")
    return NORMALISERS[name]


@cache
def _types(kind: type[Normaliser]) -> dict[str, type]:
    """Knob -> its type, without the None of what may be left out."""
    hints = typing.get_type_hints(kind)
    out = {}
    for field in fields(kind):
        hint = hints[field.name]
        if isinstance(hint, types.UnionType):
            hint = next(each for each in typing.get_args(hint) if each is not type(None))
        out[field.name] = hint
    return out


def _value(key: str, text: str, kind: type) -> Any:
    try:
        return {"yes": True, "no": False}[text] if kind is bool else kind(text)
    except (ValueError, KeyError):
        expected = {int: "a whole number", float: "a number", bool: "yes or no"}[kind]
        raise SettingsError(f"{key} must be {expected}, got {text!r}") from None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return repr(value).removesuffix(".0")  # the shortest text that reads back as this number
