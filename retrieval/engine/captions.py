"""A video -> the bank captions that fit it best, under both normalisers of the page.

The other way round than a query is answered: the captions are ranked, and the gallery's videos are
the querybank, so what is taken off a caption is how well it fits videos in general.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from retrieval.answers import FittingCaption, FittingCaptions, Settings
from retrieval.engine.biases import normaliser_of
from retrieval.normalisers import title_of
from retrieval.similarity import top_k

if TYPE_CHECKING:
    from retrieval.engine.ranking import Engine


def fitting_captions(
    engine: "Engine", column: int, settings: Settings, n: int
) -> tuple[FittingCaptions, FittingCaptions]:
    """The n best captions of the querybank for a video, left and right.

    Args:
        engine: whose gallery and bank; it has a bank.
        column: the video.
        settings: checked ones.
        n: captions, or as many as the bank has.
    """
    n_bank = settings.bank_size or engine.n_bank
    sims = engine.gallery.space.column(
        engine.bank.text_emb[:n_bank], engine.gallery.video_emb[column]
    )[None]
    found = []
    for word, strength in ((settings.left, 1.0), (settings.right, settings.strength)):
        applied, scores = False, sims[0]
        if word != "none" and strength > 0:
            normaliser = normaliser_of(word, settings)
            normaliser = replace(normaliser, k=min(normaliser.k, n_bank))
            bias = engine.biases.of_captions(normaliser, n_bank)
            if applied := bool(bias.gate(sims)[0]):
                scores = bias.apply(sims, strength)[0]
        best = top_k(np.asarray(scores), min(n, n_bank))
        captions = (FittingCaption(engine.bank.captions[row], float(scores[row])) for row in best)
        found.append(FittingCaptions(word, title_of(word), applied, tuple(captions)))
    return found[0], found[1]
