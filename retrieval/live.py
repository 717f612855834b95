"""Sentences -> their embeddings, made by the encoder when somebody first needs them.

A small network embeds thousands of sentences in a moment, so they need not be stored beside it.
"""

import hashlib
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from retrieval.errors import ModelError

if TYPE_CHECKING:
    from retrieval.gallery import EncoderId


class Live:
    """Rows of some sentences; whoever asks first has them made, all others get the same."""

    def __init__(self, texts: Sequence[str], encoder: "EncoderId") -> None:
        """`encoder` must name what `get_encoder` loads."""
        self.texts, self.encoder = tuple(texts), encoder
        self._lock = threading.Lock()
        self._emb: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def digest(self) -> str:
        """SHA-256 of all that the rows follow from."""
        parts = [self.encoder.digest, *self.texts]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def __call__(self) -> np.ndarray:
        """[n, dim] float32, not to be written to.

        Raises:
            ModelError: the encoder cannot be loaded, or is another one by now.
        """
        with self._lock:
            if self._emb is None:
                from retrieval.encoders import get_encoder

                found = get_encoder(self.encoder.spec)
                if found.digest != self.encoder.digest:
                    raise ModelError(
                        f"the model {found.name} ({found.digest[:8]}) is not the one whose "
                        f"embeddings are wanted ({self.encoder.digest[:8]}); index again with it"
                    )
                emb = found.encode_text(self.texts)
                self._emb = self.encoder.space.checked(emb, "the sentences' embeddings")
                self._emb.flags.writeable = False
            return self._emb


def rows_of(emb: np.ndarray | Live) -> np.ndarray:
    """Stored rows as they are, live ones made."""
    return emb() if isinstance(emb, Live) else emb
