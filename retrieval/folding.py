"""A bias -> one coordinate more of every vector, for search engines that know only vectors.

Inner product:       item [v, -c * b]                              query [q, w / c]
Cosine or distance:  item [v, -c * b, sqrt(M^2 - |v|^2 - c^2 b^2)] query [q, w / c, 0]

Both give s - w * b: raw with w = 0, normalised with w = 1, any strength between, from the same
items. The second kind has items of one length M, which an engine cannot normalise away.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from retrieval.errors import SettingsError
from retrieval.normalisers.base import Bias, check_strength
from retrieval.similarity import CHUNK


@dataclass(frozen=True, eq=False)
class Folding:
    """How one gallery's bias is folded into vectors of `dim` coordinates.

    Args:
        bias: fitted on the gallery.
        dim: length of its embeddings.
    """

    bias: Bias
    dim: int

    def __post_init__(self) -> None:
        if self.bias.states is not None:
            raise SettingsError(
                f"{self.bias.normaliser} takes off another bias from query to query, and an index "
                "holds one; fold the bias of another normaliser"
            )

    @cached_property
    def c(self) -> float:
        """What the bias is multiplied by; free, and a power of two so that folding is exact.

        Such that the new coordinate spreads like the others of a unit vector, which a quantiser
        of the index needs.
        """
        spread = float(self.bias.centred.std()) * np.sqrt(self.dim)
        return float(2.0 ** -np.round(np.log2(spread))) if spread > 0 else 1.0

    @cached_property
    def length(self) -> float:
        """M, the length that all items of unit length get in the second kind."""
        return float(np.sqrt(1 + np.square(self._folded.astype(np.float64)).max()))

    @cached_property
    def _folded(self) -> np.ndarray:
        return np.float32(-self.c) * self.bias.centred.astype(np.float32)  # [n_gallery]

    def items(
        self, video_emb: np.ndarray, one_length: bool = False, out: np.ndarray | None = None
    ) -> np.ndarray:
        """The gallery's vectors with the bias in them.

        Args:
            video_emb: [n_gallery, dim] float32; unit rows where `one_length`.
            one_length: add the second coordinate, for engines that search by cosine or distance.
            out: the array to fill; None makes one.

        Returns:
            [n_gallery, dim + 1] float32, or dim + 2.
        """
        if video_emb.shape != (len(self.bias.values), self.dim):
            raise ValueError(
                f"bias has {len(self.bias.values)} items of dim {self.dim}, the gallery's "
                f"embeddings have shape {video_emb.shape}; fit the bias on this gallery"
            )
        if out is None:
            out = np.empty((len(video_emb), self.dim + 1 + one_length), dtype=np.float32)
        out[:, : self.dim] = video_emb
        out[:, self.dim] = self._folded
        if one_length:
            for start in range(0, len(out), CHUNK):
                rows = out[start : start + CHUNK]
                squares = np.einsum("nd,nd->n", rows[:, :-1], rows[:, :-1], dtype=np.float64)
                # A row a rounding longer than one may pass M by as much.
                rows[:, -1] = np.sqrt(np.maximum(self.length**2 - squares, 0))
        return out

    def queries(
        self,
        query_emb: np.ndarray,
        strength: float | np.ndarray = 1.0,
        one_length: bool = False,
    ) -> np.ndarray:
        """Queries for folded items.

        Args:
            query_emb: [n_queries, dim] float32.
            strength: share of the bias to apply, 0 (raw) to 1; one for all, or [n_queries].
            one_length: for items with the second coordinate.

        Returns:
            [n_queries, dim + 1] float32, or dim + 2.
        """
        weights = np.broadcast_to(np.asarray(strength, dtype=np.float32), len(query_emb))
        if len(weights):
            check_strength(float(weights.min()))
            check_strength(float(weights.max()))
        new = np.zeros((len(query_emb), 1 + one_length), dtype=np.float32)
        new[:, 0] = weights / np.float32(self.c)
        return np.concatenate([np.asarray(query_emb, dtype=np.float32), new], axis=1)
