"""Rows of embeddings -> similarities: what it means here that a sentence and a video are alike.

Most encoders give unit rows, compared by their inner product. Networks of experts give rows of
several embeddings side by side, then a weight for each. All that compares rows asks one of these.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np

from retrieval.similarity import SimTiles, Tiles, unit_rows
from retrieval.streaming.expert_tiles import ExpertTiles
from retrieval.streaming.rows import ProductRows, Rows, WeightedRows, precise


class Space(Protocol):
    """Compares rows [n, dim]; queries and items may be sentences or videos, either way round."""

    dim: int  # length of a row
    dot_product: bool  # similarity is the inner product of rows, so an index may serve it
    experts: tuple[str, ...]  # whose embeddings are side by side; none in an inner product

    def checked(self, emb: np.ndarray, what: str) -> np.ndarray:
        """Rows as this space takes them, a new array of float32; what is none is refused."""
        ...

    def items(self, emb: np.ndarray) -> np.ndarray:
        """Checked rows as `rows` takes the items: made ready once, asked often."""
        ...

    def rows(self, query_emb: np.ndarray, items: np.ndarray) -> Rows:
        """Similarities of checked queries and items made ready, row by row."""
        ...

    def tiles(self, query_emb: np.ndarray, item_emb: np.ndarray) -> Tiles:
        """Similarities of checked rows, tile by tile."""
        ...

    def column(self, query_emb: np.ndarray, item: np.ndarray) -> np.ndarray:
        """[n] float32 similarities of checked queries to one checked row."""
        ...

    def shares(self, query: np.ndarray, item: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights [n_experts] that sum to one, and similarities [n_experts], of two rows."""
        ...

    def weights(self, row: np.ndarray) -> np.ndarray:
        """[n_experts] of one row."""
        ...


class InnerProduct:
    """Unit rows, compared by the cosine of their angle."""

    dot_product = True
    experts: tuple[str, ...] = ()

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def checked(self, emb: np.ndarray, what: str) -> np.ndarray:
        """Unit rows."""
        return unit_rows(emb, what)

    def items(self, emb: np.ndarray) -> np.ndarray:
        """In double precision where that costs nothing to speak of."""
        return precise(emb)

    def rows(self, query_emb: np.ndarray, items: np.ndarray) -> Rows:
        """One product."""
        return ProductRows(query_emb, items)

    def tiles(self, query_emb: np.ndarray, item_emb: np.ndarray) -> Tiles:
        """One product a tile."""
        return SimTiles(query_emb, item_emb)

    def column(self, query_emb: np.ndarray, item: np.ndarray) -> np.ndarray:
        """[n] products."""
        return query_emb @ item

    def shares(self, query: np.ndarray, item: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """No expert has a share."""
        return np.empty(0, np.float32), np.empty(0, np.float32)

    def weights(self, row: np.ndarray) -> np.ndarray:
        """There are none."""
        return np.empty(0, np.float32)


class WeightedExperts:
    """Embeddings of several experts side by side, then a weight for each.

        s(x, y) = sum_m w_m(x) w_m(y) <x_m, y_m> / sum_m w_m(x) w_m(y)

    A sentence's weights are its mixture of experts, a video's are 1 where it has the expert and 0
    where it lacks it; so this is the similarity of the networks, and it compares two videos by
    the experts that both have, and two sentences by what both ask for. What nothing is known of
    is 0.

    Source: Liu et al., "Use What You Have: Video Retrieval Using Representations From
    Collaborative Experts", BMVC 2019, section 3.3.
    """

    dot_product = False

    def __init__(self, experts: Sequence[tuple[str, int]]) -> None:
        """`experts` are names and dims, in the order in which they lie."""
        self.experts = tuple(name for name, _ in experts)
        ends = np.cumsum([dim for _, dim in experts]).tolist()
        starts = [0, *ends[:-1]]
        self.parts = [slice(start, end) for start, end in zip(starts, ends, strict=True)]
        self.head = ends[-1]  # where the weights begin
        self.dim = self.head + len(experts)

    def row(self, emb: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
        """For every expert [n, its dim], and weights [n, n_experts] -> rows."""
        return np.concatenate([*emb, weights], axis=1).astype(np.float32, copy=False)

    def checked(self, emb: np.ndarray, what: str) -> np.ndarray:
        """Every embedding made unit; zeros where it has no weight.

        Raises:
            ValueError: of another length, not finite, without any weight or with one below 0, or
                an embedding that has a weight is all zero.
        """
        emb = np.asarray(emb)
        if emb.ndim != 2 or emb.shape[1] != self.dim:
            raise ValueError(
                f"{what} must be [n, {self.dim}], embeddings of {', '.join(self.experts)} and a "
                f"weight for each, got shape {emb.shape}"
            )
        out = np.array(emb, dtype=np.float32, order="C")
        weights = out[:, self.head :]
        faults = {
            "holds a weight that is NaN, infinite or below 0": ~np.isfinite(weights) | (weights < 0)
        }
        faults["has no expert at all"] = ~(weights > 0).any(axis=1, keepdims=True)
        for name, part, weight in zip(self.experts, self.parts, weights.T, strict=True):
            own = out[:, part]
            own[~(weight > 0)] = 0
            lengths = np.linalg.norm(own, axis=1, keepdims=True)
            faults[f"has a weight for {name}, whose embedding is zero, NaN or infinite"] = (
                ~np.isfinite(lengths) | ((lengths == 0) & (weight[:, None] > 0))
            )
            own /= np.where(lengths > 0, lengths, 1)
        for fault, found in faults.items():
            if found.any():
                row = int(np.argmax(found.any(axis=1)))
                raise ValueError(f"row {row} of {what} {fault}; remove or recompute it")
        return out

    def items(self, emb: np.ndarray) -> np.ndarray:
        """Embeddings times their weights, in double precision where they are few."""
        return self._weighted(precise(emb))

    def rows(self, query_emb: np.ndarray, items: np.ndarray) -> Rows:
        """Two products: of what is weighted, and of the weights."""
        return WeightedRows(self._weighted(query_emb), items, len(self.experts))

    def tiles(self, query_emb: np.ndarray, item_emb: np.ndarray) -> Tiles:
        """The same, tile by tile."""
        emb = [[side[:, part] for part in self.parts] for side in (query_emb, item_emb)]
        weights = [side[:, self.head :] for side in (query_emb, item_emb)]
        return ExpertTiles(emb[0], weights[0], emb[1], weights[1], bound=1.0)

    def column(self, query_emb: np.ndarray, item: np.ndarray) -> np.ndarray:
        """[n] weighted means."""
        weights = query_emb[:, self.head :] * item[self.head :]
        total = np.einsum("nm,nm->n", weights, self._sims(query_emb, item))
        return total / np.maximum(weights.sum(axis=1), np.finfo(np.float32).tiny)

    def shares(self, query: np.ndarray, item: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights within the two that are compared; the weighted sum is their similarity."""
        weights = query[self.head :] * item[self.head :]
        sims = self._sims(query[None], item)[0]
        return weights / np.maximum(weights.sum(), np.finfo(np.float32).tiny), sims

    def weights(self, row: np.ndarray) -> np.ndarray:
        """The last numbers of a row."""
        return row[self.head :]

    def _sims(self, query_emb: np.ndarray, item: np.ndarray) -> np.ndarray:
        """[n, n_experts] inner products."""
        return np.stack([query_emb[:, part] @ item[part] for part in self.parts], axis=1)

    def _weighted(self, emb: np.ndarray) -> np.ndarray:
        out = emb.copy()
        for number, part in enumerate(self.parts):
            out[:, part] *= emb[:, self.head + number, None]
        return out


@lru_cache(maxsize=64)
def space_of(dim: int, experts: tuple[tuple[str, int], ...] = ()) -> Space:
    """The space of an encoder's rows.

    Args:
        dim: length of a row.
        experts: names and dims; none for an inner product.

    Raises:
        ValueError: experts and weights do not fill a row.
    """
    if not experts:
        return InnerProduct(dim)
    space = WeightedExperts(experts)
    if space.dim != dim:
        raise ValueError(f"experts and their weights are {space.dim} numbers, a row has {dim}")
    return space
