"""The film library: short clips drawn by procedure, with sound and captions, from one seed."""

from retrieval.datasets.animations import scenes as _scenes  # noqa: F401  (registers the families)
from retrieval.datasets.animations.library import SPLITS, Clip, split
from retrieval.datasets.animations.scene import SCENES

__all__ = ["SCENES", "SPLITS", "Clip", "split"]
