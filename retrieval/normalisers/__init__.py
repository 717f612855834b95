"""Normalisers by name: what a querybank knows -> one bias per gallery item, or new scores."""

from retrieval.normalisers.base import Bias, Evidence
from retrieval.normalisers.fitting import Normaliser, fit_all
from retrieval.normalisers.inverted_softmax import penalty_shares
from retrieval.normalisers.specs import (
    NORMALISERS,
    SEARCHABLE,
    Knob,
    check_searchable,
    get_normaliser,
    knobs,
    normalise,
    parse_spec,
    spec_of,
    title_of,
)
from retrieval.normalisers.updating import Updatable, fit_updatable

__all__ = [
    "NORMALISERS",
    "SEARCHABLE",
    "Bias",
    "Evidence",
    "Knob",
    "Normaliser",
    "Updatable",
    "check_searchable",
    "fit_all",
    "fit_updatable",
    "get_normaliser",
    "knobs",
    "normalise",
    "parse_spec",
    "penalty_shares",
    "spec_of",
    "title_of",
]
