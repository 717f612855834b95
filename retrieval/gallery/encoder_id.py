"""Which encoder made an array, and what similarity means between its rows."""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrieval.errors import GalleryError
from retrieval.spaces import Space, space_of

EXTERNAL = "external"  # name of an encoder that is not here


@dataclass(frozen=True)
class EncoderId:
    """Which encoder made an array; two arrays may meet only if these are equal (digest and dim)."""

    name: str = field(compare=False)  # short; EXTERNAL for embeddings computed elsewhere
    digest: str  # SHA-256 of what makes it this encoder: weights and preprocessing
    dim: int  # length of an embedding
    spec: str | None = field(default=None, compare=False)  # what --model was, to load it again
    experts: tuple[tuple[str, int], ...] = field(default=(), compare=False)  # names, dims; or none

    @property
    def space(self) -> Space:
        """What similarity means between its embeddings."""
        return space_of(self.dim, self.experts)

    @classmethod
    def of(cls, encoder: Any, spec: str | None = None) -> "EncoderId":
        """The id of a loaded encoder."""
        experts = getattr(encoder, "experts", ())
        return cls(encoder.name, encoder.digest, encoder.dim, spec or encoder.name, experts)

    @classmethod
    def external(cls, dim: int, encoder_id: str | None = None) -> "EncoderId":
        """The id of an encoder that is not here; `encoder_id` names it, or is its SHA-256."""
        known = encoder_id or f"external:{dim}"
        if not re.fullmatch(r"[0-9a-f]{64}", known):
            known = hashlib.sha256(known.encode()).hexdigest()
        return cls(EXTERNAL, known, dim)


def read_encoder_id(manifest: dict[str, Any], path: Path) -> EncoderId:
    """The encoder that a manifest names."""
    try:
        named = dict(manifest["encoder"])
        experts = tuple((name, dim) for name, dim in named.pop("experts", ()))
        encoder = EncoderId(**named, experts=experts)
    except (KeyError, TypeError, ValueError) as error:
        raise GalleryError(f"{path}: its manifest names no encoder; make it again") from error
    texts = (encoder.name, encoder.digest, encoder.spec or "", *(name for name, _ in experts))
    dims = (encoder.dim, *(dim for _, dim in experts))
    if not (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(dim, int) and dim > 0 for dim in dims)
        and (not experts or sum(dims[1:]) + len(experts) == encoder.dim)
    ):
        raise GalleryError(f"{path}: its manifest names no encoder; make it again")
    return encoder
