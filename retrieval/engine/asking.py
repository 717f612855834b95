"""What is asked -> its embedding: a typed sentence, or a query stored with the gallery."""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrieval.answers import clean_query
from retrieval.engine.kept import Kept
from retrieval.errors import ModelError, QueryError
from retrieval.gallery import Gallery


@dataclass(frozen=True, eq=False)
class Asked:
    """A query, embedded."""

    text: str
    text_emb: np.ndarray  # [1, dim] float32, a row of the encoder
    unknown_words: tuple[str, ...] = ()
    cut_at: str | None = None  # first word that does not fit into the encoder's context


class Asker:
    """Embeds queries for one gallery; safe to share between threads."""

    def __init__(self, gallery: Gallery, encoder: Any = None) -> None:
        """`encoder` embeds typed queries, or loads one that does; None: stored ones alone."""
        self.gallery = gallery
        self._encoder = encoder if hasattr(encoder, "encode_text") else None
        self._load = None if self._encoder is not None else encoder
        self._lock = threading.Lock()
        self._embedded = Kept(512)  # text -> Asked

    @property
    def has_encoder(self) -> bool:
        """Whether typed queries can be asked, now or once the encoder is loaded."""
        return self._encoder is not None or self._load is not None

    def encoder(self) -> Any:
        """The encoder, loaded at first need.

        Raises:
            ModelError: there is none, or it is not the one that made the gallery.
        """
        with self._lock:
            if self._encoder is None:
                if self._load is None:
                    raise ModelError(f"gallery {self.gallery.name} has no text encoder")
                encoder, made_by = self._load(), self.gallery.encoder
                if (encoder.digest, encoder.dim) != (made_by.digest, made_by.dim):
                    raise ModelError(
                        f"the model {encoder.name} ({encoder.digest[:8]}) is not the one that made "
                        f"the gallery, {made_by.name} ({made_by.digest[:8]}); index again with it"
                    )
                self._encoder = encoder
            return self._encoder

    def resolve(self, query: str | None, query_id: str | None) -> tuple[Asked, int | None]:
        """What is asked, and the row of the stored query if it is one."""
        stored = self.gallery.queries
        if query_id is not None:
            if stored is None or query_id not in stored.rows:
                raise QueryError(f"the gallery has no stored query {str(query_id)[:60]!r}")
            row = stored.rows[query_id]
        else:
            text = clean_query(query)
            if self.has_encoder:
                return self._embedded.get(text, lambda: self._embed(text)), None
            row = self._stored_row(text)
        return Asked(stored.texts[row], stored.text_emb[row : row + 1]), row

    def _embed(self, text: str) -> Asked:
        encoder = self.encoder()
        with self._lock:  # one at a time: a second would only take its cores away
            space = self.gallery.space
            emb = space.checked(encoder.encode_text([text]), "the query's embedding")
            return Asked(text, emb, tuple(encoder.unknown_words(text)), encoder.truncated_at(text))

    def _stored_row(self, text: str) -> int:
        """The stored query of this caption or row number, for galleries without an encoder."""
        stored = self.gallery.queries
        if stored is None:
            raise QueryError(
                f"gallery {self.gallery.name} has neither a text encoder nor stored queries; "
                "index it again with --model or --queries-as"
            )
        row = stored.rows_by_text.get(text.casefold())
        if row is not None:
            return row
        number = text.removeprefix("#").strip()
        if number.isdecimal() and int(number) < len(stored.texts):
            return int(number)
        raise QueryError(
            f"gallery {self.gallery.name} has no text encoder: ask one of its stored queries, by "
            f"row (#0 to #{len(stored.texts) - 1}) or by its exact caption"
        )
