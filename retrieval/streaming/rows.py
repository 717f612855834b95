"""Similarities that are read by rows: of a matrix, of embeddings, of a file, without padding."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, ClassVar, Protocol

import numpy as np

from retrieval.errors import SettingsError
from retrieval.normalisers import Evidence
from retrieval.similarity import Block, SimTiles, Tiles

FLOAT64_CELLS = 2**24  # galleries up to this size are multiplied in double precision
CHUNK_CELLS = 2**24  # similarities at hand at a time, while the next ones are read

Progress = Callable[[int, int], None]  # how many are done, of how many


class Rows(Protocol):
    """A similarity matrix that is read by rows, by several threads."""

    shape: tuple[int, int]
    dtype: np.dtype

    def read_rows(self, start: int, stop: int) -> np.ndarray:
        """[stop - start, n_gallery] similarities, not to be written to."""


@dataclass(frozen=True, eq=False)
class MatrixRows:
    """A plain matrix as rows."""

    sims: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m): queries by gallery items."""
        return self.sims.shape

    @property
    def dtype(self) -> np.dtype:
        """Type of the similarities."""
        return self.sims.dtype

    def read_rows(self, start: int, stop: int) -> np.ndarray:
        """A view of the rows."""
        return self.sims[start:stop]


@dataclass(frozen=True, eq=False)
class ProductRows:
    """The similarities of two embedding arrays as rows."""

    query_emb: np.ndarray
    gallery_emb: np.ndarray
    dtype: ClassVar[np.dtype] = np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m): queries by gallery items."""
        return len(self.query_emb), len(self.gallery_emb)

    def read_rows(self, start: int, stop: int) -> np.ndarray:
        """Made when asked for, in the precision of the gallery; float32."""
        queries = self.query_emb[start:stop].astype(self.gallery_emb.dtype, copy=False)
        return (queries @ self.gallery_emb.T).astype(np.float32, copy=False)


@dataclass(frozen=True, eq=False)
class WeightedRows:
    """One product over another, as rows: of experts' embeddings times weights, and of the weights.

    Both arrays hold such embeddings side by side and then the weights, `n_weights` of them.
    """

    query_emb: np.ndarray
    gallery_emb: np.ndarray
    n_weights: int
    dtype: ClassVar[np.dtype] = np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m): queries by gallery items."""
        return len(self.query_emb), len(self.gallery_emb)

    def read_rows(self, start: int, stop: int) -> np.ndarray:
        """Made when asked for, in the precision of the gallery; float32, 0 without any weight."""
        queries = self.query_emb[start:stop].astype(self.gallery_emb.dtype, copy=False)
        head = queries.shape[1] - self.n_weights
        sims = queries[:, :head] @ self.gallery_emb[:, :head].T
        mass = queries[:, head:] @ self.gallery_emb[:, head:].T
        sims /= np.maximum(mass, np.finfo(mass.dtype).tiny, out=mass)
        return sims.astype(np.float32, copy=False)


def precise(emb: np.ndarray) -> np.ndarray:
    """Embeddings in double precision where that costs nothing to speak of."""
    return emb.astype(np.float64) if emb.size <= FLOAT64_CELLS else emb


def as_rows(sims: "np.ndarray | Tiles | Rows") -> Rows:
    """What is read by rows as it is; a matrix or the tiles of embeddings made so."""
    if isinstance(sims, SimTiles):
        return ProductRows(sims.query_emb, sims.gallery_emb)
    if hasattr(sims, "read_rows"):
        return sims
    sims = np.asarray(getattr(sims, "sims", sims))
    if sims.ndim != 2 or 0 in sims.shape:
        raise ValueError(f"sims must be [n_queries, n_gallery] and not empty, got {sims.shape}")
    return MatrixRows(sims)


@dataclass(frozen=True, eq=False)
class KeptColumns:
    """Rows or tiles of a matrix without some of its columns, such as padding captions."""

    whole: Any  # Rows or Tiles
    kept: np.ndarray  # ascending columns

    @property
    def shape(self) -> tuple[int, int]:
        """(n, kept columns)."""
        return self.whole.shape[0], len(self.kept)

    def read_rows(self, start: int, stop: int) -> np.ndarray:
        """The kept columns of some rows."""
        return self.whole.read_rows(start, stop)[:, self.kept]

    def __getattr__(self, name: str) -> Any:  # bound and tile sizes are those of the whole
        return getattr(self.whole, name)

    def blocks(self, scale: float = 1.0, within: slice | None = None) -> Iterator[Block]:
        """The kept columns of every tile."""
        if within is not None and not self.whole.row_major:
            within = slice(self.kept[within.start], self.kept[within.stop - 1] + 1)
        for rows, columns, block in self.whole.blocks(scale, within):
            first, last = np.searchsorted(self.kept, (columns.start, columns.stop))
            if first < last:
                kept = self.kept[first:last] - columns.start
                yield rows, slice(int(first), int(last)), block[:, kept]


class WatchedTiles:
    """Tiles that tell how much of them was read; several passes go over them again.

    Args:
        tiles: what is read.
        tell: told the similarities read so far, and how many one pass reads.
    """

    def __init__(self, tiles: Tiles, tell: Progress) -> None:
        self.whole, self._tell, self._lock, self._done = tiles, tell, Lock(), 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)

    def blocks(self, scale: float = 1.0, within: slice | None = None) -> Iterator[Block]:
        """Every tile once; counted when the next one is asked for."""
        n_rows, n_columns = self.whole.shape
        for rows, columns, block in self.whole.blocks(scale, within):
            yield rows, columns, block
            with self._lock:
                self._done += (rows.stop - rows.start) * (columns.stop - columns.start)
                self._tell(self._done, n_rows * n_columns)


def without_padding(rows: Rows, evidence: Evidence, items: np.ndarray) -> tuple[Rows, Evidence]:
    """Leave padding captions out of everything that has them as columns.

    Args:
        rows: the similarities.
        evidence: what normalisers are fitted on.
        items: [n_items] ascending columns that stay.
    """
    if len(items) == rows.shape[1]:
        return rows, evidence
    if evidence.gallery_sims is not None:
        raise SettingsError(
            "gallery_sims cannot be used together with padding captions; leave the padding out of "
            "all matrices"
        )
    kept = {
        name: KeptColumns(getattr(evidence, name), items)
        for name in ("bank_sims", "gallery_bank_sims")
        if getattr(evidence, name) is not None
    }
    return KeptColumns(rows, items), replace(evidence, **kept)


def chunks(rows: Rows, queries: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Similarities of queries in slices; the next are read while these are looked at.

    Args:
        rows: the similarities.
        queries: [n_queries] ascending rows that are wanted.
    """

    def read(at: slice) -> np.ndarray:
        start, stop = int(queries[at.start]), int(queries[at.stop - 1]) + 1
        sims = rows.read_rows(start, stop)
        return sims if len(sims) == at.stop - at.start else sims[queries[at] - start]

    parts = slices(rows, queries)
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(read, parts[0])
        for at, following in zip(parts, [*parts[1:], None], strict=True):
            sims = coming.result()
            if following is not None:
                coming = reader.submit(read, following)
            yield at, sims


def slices(rows: Rows, queries: np.ndarray) -> list[slice]:
    """Places of the queries whose similarities are at hand together."""
    step = max(1, CHUNK_CELLS // rows.shape[1])
    return [slice(n, min(n + step, len(queries))) for n in range(0, len(queries), step)]
