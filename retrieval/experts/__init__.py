"""Pixels, samples and words of the film library -> features of experts that differ in kind."""

from retrieval.experts.table import EXPERTS, TEXTS, ExpertFeature, TextFeature

__all__ = ["EXPERTS", "TEXTS", "ExpertFeature", "TextFeature"]
