"""Embeddings of many experts, weights, availability -> a similarity matrix, tile by tile.

Of 60,000 captions and nine experts of 768 numbers the embeddings are 1.7 GB, so they may stay in
their files; what is in memory is the videos, and a tile of rows for every thread.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from retrieval.similarity import Block
from retrieval.streaming.tiles import for_each_tile

TINY = np.finfo(np.float32).tiny


class Rows(Protocol):
    """A matrix in a file, as `retrieval.formats` opens it."""

    shape: tuple[int, int]

    def read_rows(self, start: int, stop: int) -> np.ndarray:
        """Some rows, [stop - start, n_columns]."""


class ExpertTiles:
    """Weighted mean, over the experts that a video has, of the inner products.

        s[i, j] = sum_m w[i, m] a[j, m] <text_m[i], video_m[j]> / sum_m w[i, m] a[j, m]

    Numerator and denominator are one product each, of the experts' vectors side by side: those of
    a caption times its weights, those of a video where it has them. What `for_each_tile`,
    normalisers and the evaluation take; row-major, as captions are many and come from files.

    Args:
        text: for every expert [n, dim of the expert], an array or rows in a file.
        weights: [n, n_experts], not negative.
        video: for every expert [n_videos, dim of the expert]; rows of missing experts may hold
            anything, NaN too.
        available: [n_videos, n_experts] of 0 and 1, or any weights of the videos' side.
        row_tile: captions of a tile.
        column_tile: videos of a tile; the default takes all of a gallery of benchmark size.
        bound: no |similarity| is larger; 1 for unit vectors.

    Raises:
        ValueError: shapes that do not fit, a weight below 0, or a video without any expert.

    Source: Liu et al., "Use What You Have: Video Retrieval Using Representations From
    Collaborative Experts", BMVC 2019, section 3.3.
    """

    row_major = True

    def __init__(
        self,
        text: Sequence[np.ndarray | Rows],
        weights: np.ndarray,
        video: Sequence[np.ndarray],
        available: np.ndarray,
        row_tile: int = 512,
        column_tile: int = 4096,
        bound: float = np.inf,
    ) -> None:
        self.weights = np.ascontiguousarray(weights, dtype=np.float32)
        self.available = np.ascontiguousarray(available, dtype=np.float32)
        n, n_videos, n_experts = len(self.weights), len(self.available), len(text)
        dims = [t.shape[1] for t in text]
        for what, came, expected in (
            ("weights", self.weights.shape, (n, n_experts)),
            ("available", self.available.shape, (n_videos, n_experts)),
            ("text", [t.shape for t in text], [(n, dim) for dim in dims]),
            ("video", [v.shape for v in video], [(n_videos, dim) for dim in dims]),
        ):
            if came != expected:
                raise ValueError(f"{what} is {came}, expected {expected}; embed all with one model")
        if not (self.available >= 0).all():
            raise ValueError("available must be 0 or 1, or a weight that is not below 0")
        bare = np.flatnonzero(~self.available.any(axis=1))
        if len(bare):
            raise ValueError(
                f"video {bare[0]} has no expert at all, so nothing can be compared; leave it out"
            )
        self.text, self.shape, self.bound = list(text), (n, n_videos), bound
        self.row_tile, self.column_tile = row_tile, column_tile
        self.columns = [
            slice(end - dim, end) for dim, end in zip(dims, np.cumsum(dims), strict=True)
        ]
        self.items = np.zeros((n_videos, sum(dims)), dtype=np.float32)  # zero where missing
        for part, v, there in zip(self.columns, video, self.available.T, strict=True):
            has = there > 0
            self.items[has, part] = v[has] * there[has, None]

    def blocks(self, scale: float = 1.0, within: slice | None = None) -> Iterator[Block]:
        """Every tile once, times `scale`; its array is valid until the next one is asked for.

        Args:
            scale: number to multiply the similarities by.
            within: rows to keep to; None for all.
        """
        n, m = self.shape
        first, last = (0, n) if within is None else (within.start, within.stop)
        queries = np.empty((min(self.row_tile, last - first), self.items.shape[1]), np.float32)
        tile = np.empty(len(queries) * min(self.column_tile, m), dtype=np.float32)
        mass = np.empty_like(tile)
        for top in range(first, last, self.row_tile):
            rows = slice(top, min(top + self.row_tile, last))
            weighted = queries[: rows.stop - top]
            weights = self.weights[rows]
            for expert, (part, text) in enumerate(zip(self.columns, self.text, strict=True)):
                raw = text[rows] if isinstance(text, np.ndarray) else text.read_rows(top, rows.stop)
                np.multiply(raw, weights[:, expert, None], out=weighted[:, part])
            for left in range(0, m, self.column_tile):
                columns = slice(left, min(left + self.column_tile, m))
                shape = len(weighted), columns.stop - left
                block, share = (a[: shape[0] * shape[1]].reshape(shape) for a in (tile, mass))
                np.matmul(weighted, self.items[columns].T, out=block)
                np.matmul(weights, self.available[columns].T, out=share)
                np.maximum(share, TINY, out=share)  # 0, not NaN, where nothing is compared
                np.divide(block, share, out=block)
                yield rows, columns, block if scale == 1 else np.multiply(block, scale, out=block)

    def matrix(self, out: np.ndarray | None = None) -> np.ndarray:
        """The whole [n, n_videos] float32, in `out` if given, which may be an array on disk."""
        whole = np.empty(self.shape, dtype=np.float32) if out is None else out

        def take_in(rows: slice, columns: slice, block: np.ndarray) -> None:
            whole[rows, columns] = block

        for_each_tile(self, take_in)
        return whole
