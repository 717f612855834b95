"""What every encoder offers: sentences and frames in, rows of one space out.

Most give unit rows, whose similarity is their inner product. One that gives the embeddings of
several experts side by side, then their weights, names them in `experts`, a tuple of (name, dim) in
their order; see `retrieval.spaces`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np


class Encoder(Protocol):
    """Turns text and video into embeddings that can be compared."""

    name: str  # what the user asked for, without folders
    digest: str  # SHA-256 of weights and settings; embeddings of two digests are not comparable
    dim: int  # length of an embedding
    n_frames: int  # frames a video is best given as
    dot_product: bool  # similarity is the inner product, so an index may serve it

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """Embed sentences: [n_texts, dim] float32 rows."""
        ...

    def encode_videos(self, videos: Iterable[np.ndarray]) -> np.ndarray:
        """Embed videos, each [n_frames, height, width, 3] uint8: [n_videos, dim] rows."""
        ...

    def unknown_words(self, text: str) -> list[str]:
        """Words that the encoder never saw in training; none where it cannot know."""
        ...

    def truncated_at(self, text: str) -> str | None:
        """The first word that is lost because the text is too long; None if all of it is read."""
        ...
