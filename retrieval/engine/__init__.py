"""A query -> two rankings of the same gallery, and why they differ.

Page, command line, API and evaluation all ask this one engine, so their numbers cannot differ.
"""

from retrieval.engine.biases import normaliser_of, word_beta_k
from retrieval.engine.opening import bank_beside, open_engine
from retrieval.engine.ranking import Engine

__all__ = ["Engine", "bank_beside", "normaliser_of", "open_engine", "word_beta_k"]
