"""The one public function: `rank`, over HTTP and gradio_client."""

from __future__ import annotations

from typing import Any

import gradio as gr

from retrieval.answers import Settings
from retrieval.errors import QueryError, RetrievalError
from retrieval.tabs.context import log_unexpected, sentence
from retrieval.tabs.library import Library


def publish(library: Library) -> None:
    """Offer `rank` as the page's API; call inside the Blocks."""

    def rank(
        query: str = "",
        query_id: str = "",
        gallery: str = "",
        bank: str = "",
        left: str = "none",
        normaliser: str = "qbnorm",
        beta: float | None = None,
        k: int = 1,
        bank_size: int | None = None,
        top: int = 10,
        strength: float = 1.0,
    ) -> dict[str, Any]:
        """Rank a gallery for one query, with and without a normaliser.

        Args:
            query: a sentence; leave empty to ask a stored query.
            query_id: id of a stored query; needs no model.
            gallery: name of a gallery, or the model that made it as the page's menu calls it:
                CE, MoEE; empty means the first. A model is loaded when it is first asked for.
            bank: name of a querybank that fits it; empty means the first.
            left: normaliser of the first ranking, "none" for raw similarity.
            normaliser: normaliser of the second ranking, a name with settings of its own where
                they are not the usual ones: qbnorm, csls:neighbours=5, nnn:alpha=0.5.
            beta: inverse temperature per unit of similarity; null means scale-free.
            k: bank captions vote for their k best videos.
            bank_size: bank captions in use; null means all.
            top: results per ranking, 1 to 100; the ground truth is added where it is below.
            strength: share of the correction, 0 (raw) to 1.

        Returns:
            The object that `search --json` prints: query, query_id, settings, active, rankings, ...
        """
        try:
            for name, value in (("query_id", query_id), ("gallery", gallery), ("bank", bank)):
                if not isinstance(value, str | None):
                    raise QueryError(f"{name} must be text, got {type(value).__name__}")
            settings = Settings(left, normaliser, beta, k, bank_size, top, strength)
            chosen = library.find(gallery) if gallery else next(iter(library.names))
            engine = library.engine(chosen, bank or "")
            result = engine.rank(
                None if query_id else query, query_id=query_id or None, settings=settings
            )
            return result.to_dict()
        except RetrievalError as error:
            raise gr.Error(sentence(error), print_exception=False) from error
        except Exception as error:  # the server must go on, whatever one call met
            raise gr.Error(log_unexpected(), print_exception=False) from error

    gr.api(rank, api_name="rank", concurrency_id="search", concurrency_limit=8)
