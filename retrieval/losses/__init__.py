"""Losses that train a retrieval model; each takes embeddings and gives one number to minimise."""

from retrieval.losses.contrastive import symmetric_info_nce

__all__ = ["symmetric_info_nce"]
