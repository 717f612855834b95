"""Gallery embeddings and a bias -> the best items of a query, raw and normalised, exactly.

The bias is one more coordinate of an ordinary faiss inner-product index: item [v, -c * b], query
[q, w / c]. With w = 0 it answers raw, with w = 1 normalised, between them any strength. The same
vectors serve `Index.search_both`, which reads them once and keeps two lists.
"""

from collections.abc import Iterator
from typing import NamedTuple

import faiss
import numpy as np

from retrieval.normalisers.base import Bias, check_strength
from retrieval.similarity import check_k
from retrieval.tiles import TopK

GROUP = 16  # items whose largest similarity is looked at before they are
FIRST_BLOCK = 4096  # items that fill the lists, at least
MAX_BLOCK = 2**16  # items of a block, at most
BLOCK_SCORES = 2**21  # similarities of a block, so that it stays in a processor's cache
MAX_QUERIES = 256  # queries that share one reading of the gallery


class BothRankings(NamedTuple):
    """The two answers to each query; row i of every array belongs to query i."""

    raw_ids: np.ndarray  # [n_queries, k] int64, best first
    raw_scores: np.ndarray  # [n_queries, k] float32 similarities
    ids: np.ndarray  # [n_queries, k] int64 of the normalised ranking
    scores: np.ndarray  # [n_queries, k] float32, on the scale of the similarities
    gate: np.ndarray  # [n_queries] bool, whether the bias was applied


class Index:
    """Exact search of a gallery with a folded bias; equal scores are in the order of the items.

    The vectors are kept once, in `self.faiss`; `video_emb` is a view of them, for callers that
    would otherwise hold the gallery a second time.

    Args:
        video_emb: [n_gallery, dim] float32, copied.
        bias: fitted on this gallery.
    """

    def __init__(self, video_emb: np.ndarray, bias: Bias) -> None:
        if video_emb.ndim != 2 or video_emb.shape[0] != len(bias.values):
            raise ValueError(
                f"bias has {len(bias.values)} items, the gallery's embeddings have shape "
                f"{video_emb.shape}; fit the bias on this gallery"
            )
        self.bias = bias
        self.n_gallery, self.dim = video_emb.shape
        # A power of two, so that folding and unfolding are exact; such that the new coordinate
        # spreads like the others of a unit vector, which a quantiser of the index would need.
        spread = float(bias.centred.std()) * np.sqrt(self.dim)
        self.c = 2.0 ** -np.round(np.log2(spread)) if spread > 0 else 1.0
        self.faiss = faiss.IndexFlatIP(self.dim + 1)
        # Filled in place: `add` would need the folded vectors a second time beside the index.
        size = self.n_gallery * (self.dim + 1)
        self.faiss.codes.resize(size * 4)
        self.faiss.ntotal = self.n_gallery
        vectors = faiss.rev_swig_ptr(self.faiss.get_xb(), size)
        self._vectors = vectors.reshape(self.n_gallery, self.dim + 1)
        self._vectors[:, : self.dim] = video_emb
        self._vectors[:, self.dim] = -self.c * bias.centred
        self._vectors.flags.writeable = False

    @property
    def video_emb(self) -> np.ndarray:
        """[n_gallery, dim] float32, a read-only view."""
        return self._vectors[:, : self.dim]

    def fold(self, query_emb: np.ndarray, strength: float | np.ndarray = 1.0) -> np.ndarray:
        """Queries for `self.faiss`, or for a copy of it in another inner-product index.

        Args:
            query_emb: [n_queries, dim] float32.
            strength: share of the bias to apply, 0 to 1; one for all, or [n_queries].

        Returns:
            [n_queries, dim + 1] float32.
        """
        query_emb = self._checked(query_emb)
        weight = self._weights(len(query_emb), strength) / np.float32(self.c)
        return np.concatenate([query_emb, weight[:, None]], axis=1)

    def search(
        self, query_emb: np.ndarray, k: int, strength: float | np.ndarray = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k best items of each query, normalised where the bias's gate is open.

        Args:
            query_emb: [n_queries, dim] float32.
            k: items of each answer, 1 <= k <= n_gallery.
            strength: share of the bias to apply, 0 (raw) to 1; one for all, or [n_queries].

        Returns:
            [n_queries, k] int64 item numbers, best first, and their float32 scores
            s - strength * gate * (b - mean(b)).
        """
        query_emb = self._checked(query_emb)
        weights = self._weights(len(query_emb), strength)
        if not weights.any() or self.bias.normaliser == "none":
            return self._scan(query_emb, k, None)[0]
        if self.bias.active is None:
            return self._scan(query_emb, k, weights, raw=False)[1]
        both = self.search_both(query_emb, k, strength)
        return both.ids, both.scores

    def search_both(
        self, query_emb: np.ndarray, k: int, strength: float | np.ndarray = 1.0
    ) -> BothRankings:
        """The k best items of each query, raw and normalised, in one reading of the gallery.

        Args as for `search`. Where the gate is shut, both rankings are the raw one.
        """
        query_emb = self._checked(query_emb)
        weights = self._weights(len(query_emb), strength)
        (raw_ids, raw_scores), (ids, scores) = self._scan(query_emb, k, weights)
        gate = self.bias.gate_of(raw_ids[:, 0])
        # Whether a query is normalised is known only after its best item, so both are sought.
        ids = np.where(gate[:, None], ids, raw_ids)
        scores = np.where(gate[:, None], scores, raw_scores)
        return BothRankings(raw_ids, raw_scores, ids, scores, gate)

    def _scan(
        self, query_emb: np.ndarray, k: int, weights: np.ndarray | None, raw: bool = True
    ) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """The k best by similarity and by biased score, each as ids and scores."""
        check_k(k, self.n_gallery)
        n_queries = len(query_emb)
        plain, biased = TopK(n_queries, k), TopK(n_queries, k)
        wanted = [(plain, None)] * raw + [(biased, weights)] * (weights is not None)
        for top in range(0, n_queries, MAX_QUERIES):
            rows = slice(top, min(top + MAX_QUERIES, n_queries))
            for columns in self._blocks(rows.stop - rows.start, k):
                sims = query_emb[rows] @ self.video_emb[columns].T
                if columns.start == 0:
                    for best, weight in wanted:
                        best.add(rows, columns, self._scores(sims, weight, rows, columns))
                    continue
                # The largest similarity of every GROUP items bounds their biased scores too, so
                # both lists share one look at the block and examine few groups each.
                groups = sims.reshape(len(sims), GROUP, -1)
                largest = groups.max(axis=1)  # [rows, n_groups]; a group's items are strided
                for best, weight in wanted:
                    self._add_likely(best, weight, rows, columns, groups, largest)
        return tuple((best.columns, best.scores.astype(np.float32)) for best in (plain, biased))

    def _blocks(self, n_queries: int, k: int) -> Iterator[slice]:
        """A first block that gives the lists their k items, then ones divisible by GROUP.

        Each is at most as long as all before it: by then the lists have become so good that few
        groups of it need a look.
        """
        stop = max(FIRST_BLOCK, 4 * k)
        if stop >= self.n_gallery:
            yield slice(0, self.n_gallery)
            return
        stop += (self.n_gallery - stop) % GROUP
        yield slice(0, stop)
        largest = min(max(BLOCK_SCORES // n_queries, FIRST_BLOCK), MAX_BLOCK)
        while stop < self.n_gallery:
            step = min(stop, largest, self.n_gallery - stop) // GROUP * GROUP
            yield slice(stop, stop + step)
            stop += step

    def _scores(
        self, sims: np.ndarray, weight: np.ndarray | None, rows: slice, columns: slice
    ) -> np.ndarray:
        if weight is None:
            return sims
        return sims - weight[rows, None] * self.bias.centred[columns]

    def _add_likely(
        self,
        best: TopK,
        weight: np.ndarray | None,
        rows: slice,
        columns: slice,
        groups: np.ndarray,
        largest: np.ndarray,
    ) -> None:
        """Add to `best` what a block holds of it, looking only into groups that may."""
        n_groups = groups.shape[2]
        bias = self.bias.centred[columns].reshape(GROUP, n_groups)
        bound = largest
        if weight is not None:
            bound = largest - weight[rows, None] * bias.min(axis=0)
        # One number per place is found several times faster than two.
        row, group = np.divmod(np.flatnonzero(bound >= best.scores[rows, -1:]), n_groups)
        if len(row) == 0:
            return
        scores = groups[row, :, group]  # [n_likely, GROUP]
        if weight is not None:
            scores = scores - weight[rows][row, None] * bias[:, group].T
        kth = best.scores[rows, -1][row, None]
        likely, member = np.divmod(np.flatnonzero(scores >= kth), GROUP)
        best.add_entries(
            rows.start + row[likely],
            columns.start + member * n_groups + group[likely],
            scores[likely, member],
        )

    def _checked(self, query_emb: np.ndarray) -> np.ndarray:
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

    @staticmethod
    def _weights(n_queries: int, strength: float | np.ndarray) -> np.ndarray:
        weights = np.broadcast_to(np.asarray(strength, dtype=np.float32), n_queries)
        if n_queries:
            check_strength(float(weights.min()))
            check_strength(float(weights.max()))
        return weights
