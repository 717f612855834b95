"""A gallery's folder -> an engine, with the querybank that lies beside it."""

import os
from pathlib import Path
from typing import Any

from retrieval.engine.ranking import Engine
from retrieval.gallery import EXTERNAL, FILM_LIBRARY, open_gallery
from retrieval.querybank import open_querybank


def open_engine(
    gallery: str | Path | None = None,
    bank: str | Path | None = None,
    model: str | None = None,
) -> Engine:
    """Open a gallery with its querybank and its encoder, which is loaded at first need.

    Args:
        gallery: the folder; None opens the film library.
        bank: the folder; None takes GALLERY-bank where there is one.
        model: the encoder for typed queries; None takes the one the gallery names.
    """
    path = FILM_LIBRARY if gallery is None else Path(gallery)
    opened = open_gallery(path)
    bank = bank_beside(path) if bank is None else bank
    spec = model or (None if opened.encoder.name == EXTERNAL else opened.encoder.spec)

    def load() -> Any:
        from retrieval.encoders import get_encoder

        return get_encoder(spec)

    return Engine(
        opened, None if bank is None else open_querybank(bank), None if spec is None else load
    )


def bank_beside(gallery: str | Path) -> Path | None:
    """GALLERY-bank, where there is such a folder."""
    path = Path(os.path.abspath(gallery))
    beside = path.with_name(f"{path.name}-bank")
    return beside if beside.is_dir() else None
