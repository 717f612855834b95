"""Losses that train a retrieval model; each gives one number to minimise."""

from retrieval.losses.contrastive import symmetric_info_nce
from retrieval.losses.ranking import distillation, max_margin_ranking, teacher_sims

__all__ = ["distillation", "max_margin_ranking", "symmetric_info_nce", "teacher_sims"]
