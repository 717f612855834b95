"""Gallery embeddings and a bias -> an exact faiss index that answers raw and normalised.

The bias is one more coordinate of an ordinary inner-product index (`folding.py`), so the file that
`save` writes is read by faiss anywhere: a query's last coordinate decides how much of the bias
is applied. The engine itself ranks from the whole row of similarities, which its places, ties and
strengths need anyway and which costs a page of memory beside the gallery that is read for it.
"""

from pathlib import Path
from typing import NamedTuple

import faiss
import numpy as np

from retrieval.files import replacing
from retrieval.folding import Folding
from retrieval.normalisers.base import Bias
from retrieval.similarity import check_k, top_k


class BothRankings(NamedTuple):
    """The two answers to each query; row i of every array belongs to query i."""

    raw_ids: np.ndarray  # [n_queries, k] int64, best first
    raw_scores: np.ndarray  # [n_queries, k] float32 similarities
    ids: np.ndarray  # [n_queries, k] int64 of the normalised ranking
    scores: np.ndarray  # [n_queries, k] float32, on the scale of the similarities
    gate: np.ndarray  # [n_queries] bool, whether the bias was applied


class Index:
    """Exact search of a gallery with a folded bias.

    The vectors are kept once, in `self.faiss`; `video_emb` is a view of them, for callers that
    would otherwise hold the gallery a second time.

    Args:
        video_emb: [n_gallery, dim] float32, copied.
        bias: fitted on this gallery.
    """

    def __init__(self, video_emb: np.ndarray, bias: Bias) -> None:
        if video_emb.ndim != 2:
            raise ValueError(f"embeddings must be [n_gallery, dim], got shape {video_emb.shape}")
        self.bias = bias
        self.n_gallery, self.dim = video_emb.shape
        self.folding = Folding(bias, self.dim)
        self.faiss = faiss.IndexFlatIP(self.dim + 1)
        # Filled in place: `add` would need the folded vectors a second time beside the index.
        size = self.n_gallery * (self.dim + 1)
        self.faiss.codes.resize(size * 4)
        self.faiss.ntotal = self.n_gallery
        vectors = faiss.rev_swig_ptr(self.faiss.get_xb(), size)
        self._vectors = vectors.reshape(self.n_gallery, self.dim + 1)
        self.folding.items(video_emb, out=self._vectors)
        self._vectors.flags.writeable = False

    @property
    def video_emb(self) -> np.ndarray:
        """[n_gallery, dim] float32, a read-only view."""
        return self._vectors[:, : self.dim]

    def save(self, path: str | Path) -> None:
        """Write the folded index, whole or not at all, for `faiss.read_index`."""
        with replacing(path) as file:
            writer = faiss.PyCallbackIOWriter(file.write)
            faiss.write_index(self.faiss, writer)

    def search_both(
        self, query_emb: np.ndarray, k: int, strength: float | np.ndarray = 1.0
    ) -> BothRankings:
        """The k best items of each query, raw and normalised.

        Args:
            query_emb: [n_queries, dim] float32.
            k: items of each answer, 1 <= k <= n_gallery.
            strength: share of the bias to apply, 0 (raw) to 1; one for all, or [n_queries].

        Returns:
            both answers, with the scores s and s - strength * gate * (b - mean(b)); where the
            gate is shut, both are the raw one. Of equal scores any may come first.
        """
        query_emb = self._checked(query_emb, k)
        raw_scores, raw_ids = self.faiss.search(self.folding.queries(query_emb, 0.0), k)
        gate = self.bias.gate_of(raw_ids[:, 0])
        weights = np.asarray(strength, dtype=np.float32) * gate
        scores, ids = self.faiss.search(self.folding.queries(query_emb, weights), k)
        return BothRankings(raw_ids, raw_scores, ids, scores, gate)

    def largest_error(self, query_emb: np.ndarray, k: int) -> float:
        """How far answers are from the definition at most, over both rankings' scores.

        Args as for `search_both`; the definition is worked out from whole rows.
        """
        answer = self.search_both(query_emb, k)
        sims = query_emb @ self.video_emb.T
        scores = sims - answer.gate[:, None] * self.bias.centred
        errors = [
            np.abs(found - np.take_along_axis(whole, top_k(whole, k), axis=1)).max()
            for whole, found in ((sims, answer.raw_scores), (scores, answer.scores))
        ]
        return float(max(errors))

    def _checked(self, query_emb: np.ndarray, k: int) -> np.ndarray:
        check_k(k, self.n_gallery)
        query_emb = np.asarray(query_emb, dtype=np.float32)
        if query_emb.ndim != 2 or query_emb.shape[1] != self.dim:
            raise ValueError(
                f"queries have shape {query_emb.shape}, expected [n_queries, {self.dim}] as the "
                "gallery; embed them with the gallery's encoder"
            )
        if not np.isfinite(query_emb).all():
            row = int(np.argmax(~np.isfinite(query_emb).all(axis=1)))
            raise ValueError(f"query {row} holds NaN or infinity; embed it again")
        return query_emb
