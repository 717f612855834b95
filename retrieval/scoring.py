"""Similarities, gone through once by rows -> ranks, hubs and best items of many normalisers."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, ClassVar, Protocol

import numpy as np

from retrieval import metrics
from retrieval.normalisers import Bias
from retrieval.similarity import Block, SimTiles, Tiles

HUBNESS_AT = (1, 10)  # places that count towards hubness: what is seen first, and a first page
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


@dataclass(frozen=True, eq=False)
class Truth:
    """Which queries are asked, which items are ranked, and which belong together."""

    queries: np.ndarray  # [n_queries] rows of the similarities, ascending
    items: np.ndarray  # [n_items] columns of the similarities, ascending
    correct: np.ndarray  # [n_queries, most] places in `items`, filled up with -1
    unit: np.ndarray  # [n_queries] which video a query is of, from 0 without a gap

    @classmethod
    def of_videos(
        cls, shape: tuple[int, int], correct: np.ndarray | None, mask: np.ndarray | None
    ) -> "Truth":
        """Captions ask, videos are ranked.

        Args:
            shape: of the similarities, captions on rows.
            correct: [n_captions] column of each one's video; None takes it from the row order.
            mask: n_captions elements, false for padding.
        """
        n_captions, n_videos = shape
        correct, kept = metrics.correct_and_kept(n_captions, n_videos, correct, mask)
        queries = np.flatnonzero(kept)
        unit = np.unique(correct[queries], return_inverse=True)[1]
        return cls(queries, np.arange(n_videos), correct[queries, None], unit)

    @classmethod
    def of_captions(
        cls, shape: tuple[int, int], correct: np.ndarray | None, mask: np.ndarray | None
    ) -> "Truth":
        """Videos ask, captions are ranked; a video without a caption asks nothing.

        Args:
            shape: of the similarities, videos on rows.
            correct: [n_captions] row of each one's video; None takes it from the column order.
            mask: n_captions elements, false for padding, which is not ranked.
        """
        n_videos, n_captions = shape
        if correct is None and n_captions % n_videos:
            raise ValueError(
                f"column order needs a multiple of {n_videos} captions (there are so many rows, "
                f"one a video), got {n_captions} columns; say which row each caption belongs to"
            )
        correct, kept = metrics.correct_and_kept(n_captions, n_videos, correct, mask)
        items = np.flatnonzero(kept)
        queries, row, n_own = np.unique(correct[items], return_inverse=True, return_counts=True)
        order = np.argsort(row, kind="stable")
        place = np.arange(len(items)) - np.repeat(np.cumsum(n_own) - n_own, n_own)
        own = np.full((len(queries), n_own.max()), -1)
        own[row[order], place] = order
        return cls(queries, items, own, np.arange(len(queries)))

    def some(self, places: np.ndarray) -> "Truth":
        """A part of the queries: [n] ascending places among them."""
        unit = np.unique(self.unit[places], return_inverse=True)[1]
        queries, correct = self.queries[places], self.correct[places]
        return replace(self, queries=queries, correct=correct, unit=unit)

    @property
    def n_units(self) -> int:
        """Videos, or queries where each is of its own: what is independent."""
        return int(self.unit.max()) + 1


@dataclass(eq=False)
class Seen:
    """What one normaliser did to all queries."""

    ranks: np.ndarray  # [n_queries] best correct item's; ties share their mean
    active: np.ndarray  # [n_queries] bool, whether the scores differ from raw by its gate
    best: np.ndarray  # [n_queries, kept places] int32 columns, best first
    best_scores: np.ndarray  # [n_queries, kept places] float32
    counts: dict[int, np.ndarray]  # k -> [n_items] k-occurrence

    @classmethod
    def nothing(cls, n_queries: int, n_items: int, keep_top: int) -> "Seen":
        """Room for what is to be seen."""
        keep_top = min(keep_top, n_items)
        return cls(
            ranks=np.empty(n_queries),
            active=np.zeros(n_queries, dtype=bool),
            best=np.empty((n_queries, keep_top), dtype=np.int32),
            best_scores=np.empty((n_queries, keep_top), dtype=np.float32),
            counts={k: np.zeros(n_items, dtype=np.int64) for k in HUBNESS_AT if k <= n_items},
        )

    def take_in(
        self, at: slice, ranks: np.ndarray, active: np.ndarray, best: np.ndarray, sims: np.ndarray
    ) -> None:
        """Note some queries: their ranks, gate, best columns, and the scores of those."""
        kept = self.best.shape[1]
        self.ranks[at], self.active[at] = ranks, active
        self.best[at], self.best_scores[at] = best[:, :kept], sims[:, :kept]
        for k, counts in self.counts.items():
            counts += np.bincount(best[:, :k].ravel(), minlength=len(counts))


def score_all(
    rows: Rows,
    biases: Sequence[Bias],
    truth: Truth,
    keep_top: int = 1,
    progress: Progress | None = None,
) -> list[Seen]:
    """Rank every query raw and under every bias, in one reading of the similarities.

    Args:
        rows: the similarities, with the columns of `truth.items`.
        biases: fitted on these columns.
        truth: which queries are asked and what is correct.
        keep_top: places of each ranking that are kept.
        progress: told how many queries are done; may raise to stop.

    Returns:
        what was seen, raw first.

    Raises:
        ValueError: a similarity is NaN or infinite.
    """
    n_queries, n_items = len(truth.queries), rows.shape[1]
    seen = [Seen.nothing(n_queries, n_items, keep_top) for _ in range(1 + len(biases))]
    k = max(seen[0].best.shape[1], *seen[0].counts)
    for at, sims, chosen in _parts(rows, truth.queries):
        first_row = int(truth.queries[at.start]) if chosen is None else 0
        found = metrics.ranks_of_chunk(sims, truth.correct[at], biases, k, first_row, chosen)
        gates = [np.zeros(at.stop - at.start, dtype=bool), *found.gates]
        ranks = [found.raw, *found.normalised]
        for each, *part in zip(seen, ranks, gates, found.best, found.best_scores, strict=True):
            each.take_in(at, *part)
        if progress is not None:
            progress(at.stop, n_queries)
    return seen


def _parts(rows: Rows, queries: np.ndarray) -> Iterator[tuple[slice, Any, np.ndarray | None]]:
    """Slices of the queries, the matrix that they are in, and their rows there; None for all.

    A product is made of many rows at once, and a file whose columns lie together is read so; all
    else is best read few rows at a time, by those who look at them.
    """
    strides = getattr(rows, "strides", (1, 1))
    if isinstance(getattr(rows, "whole", rows), ProductRows) or strides[0] < strides[1]:
        for at, sims in chunks(rows, queries):
            yield at, sims, None
        return
    for at in _slices(rows, queries):
        yield at, rows, queries[at]


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

    slices = _slices(rows, queries)
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(read, slices[0])
        for at, following in zip(slices, [*slices[1:], None], strict=True):
            sims = coming.result()
            if following is not None:
                coming = reader.submit(read, following)
            yield at, sims


def _slices(rows: Rows, queries: np.ndarray) -> list[slice]:
    step = max(1, CHUNK_CELLS // rows.shape[1])
    return [slice(n, min(n + step, len(queries))) for n in range(0, len(queries), step)]
