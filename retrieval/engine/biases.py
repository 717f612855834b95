"""A normaliser's word -> its bias for one gallery and querybank, fitted once and kept."""

import logging
import time
from dataclasses import dataclass, fields, replace

import numpy as np

from retrieval import hubness
from retrieval.answers import Settings
from retrieval.engine.kept import Kept
from retrieval.errors import RetrievalError, SettingsError
from retrieval.gallery import Gallery
from retrieval.normalisers import (
    Bias,
    Evidence,
    Normaliser,
    Updatable,
    fit_updatable,
    parse_spec,
    spec_of,
)
from retrieval.querybank import (
    MAX_BIASES,
    Querybank,
    bias_path,
    fitted_on,
    load_bias,
    save_bias,
)

logger = logging.getLogger(__name__)

KEEP_BIAS_S = 0.5  # a bias that took longer to fit is kept on disk
CAPTION_CELLS = 2**26  # similarities that a bias of captions looks at; fewer videos behind more


@dataclass(frozen=True, eq=False)
class Fitted:
    bias: Bias
    centred: np.ndarray  # [n_gallery] float32
    is_hub: np.ndarray  # [n_gallery] bool


class Biases:
    """Those of one gallery and querybank."""

    def __init__(
        self, gallery: Gallery, bank: Querybank | None, keep_bias_s: float = KEEP_BIAS_S
    ) -> None:
        """`keep_bias_s`: seconds; a bias that took longer to fit is kept with the gallery."""
        self.gallery, self.bank, self.keep_bias_s = gallery, bank, keep_bias_s
        self._fitted = Kept(32)  # normaliser and bank captions -> Fitted
        self._updatable = Kept(8)  # the same -> Updatable
        self._of_captions = Kept(8)  # the same -> Bias of the captions

    def fit(self, word: str, settings: Settings) -> Fitted:
        """A fitted normaliser, under these settings where its word does not say otherwise."""
        n_bank = 0 if self.bank is None else len(self.bank)
        return self.fitted(normaliser_of(word, settings), settings.bank_size or n_bank)

    def fitted(self, normaliser: Normaliser, n_bank: int) -> Fitted:
        """One that is fitted on the first captions of the bank."""
        key = (normaliser, n_bank)
        return self._fitted.get(key, lambda: self._make(*key))

    def updatable(self, normaliser: Normaliser, n_bank: int) -> Updatable:
        """The same with what it takes to add items.

        Raises:
            SettingsError: it can only be fitted again.
        """
        key = (normaliser, n_bank)
        return self._updatable.get(key, lambda: fit_updatable(normaliser, self._evidence(*key)))

    def of_captions(self, normaliser: Normaliser, n_bank: int) -> Bias:
        """One of the bank's captions, [n_bank]: the gallery's videos are the bank behind it."""
        key = (normaliser, n_bank)
        return self._of_captions.get(key, lambda: self._caption_bias(*key))

    def _caption_bias(self, normaliser: Normaliser, n_bank: int) -> Bias:
        space, captions = self.gallery.space, self.bank.text_emb[:n_bank]
        videos = self.gallery.video_emb[: max(1, CAPTION_CELLS // n_bank)]
        needs_captions = "gallery" in normaliser.needs
        return normaliser.fit(
            Evidence(
                bank_sims=space.tiles(videos, captions),
                gallery_sims=space.tiles(captions, captions) if needs_captions else None,
            )
        )

    def _make(self, normaliser: Normaliser, n_bank: int) -> Fitted:
        n_gallery, k = len(self.gallery), normaliser.k
        if self.bank is None:
            nothing = np.zeros(n_gallery, dtype=np.float32)
            bias = Bias(nothing, None, nothing.astype(np.int64), "none", None, k, 0)
            return Fitted(bias, bias.centred, np.zeros(n_gallery, dtype=bool))
        bias = self._bias(normaliser, n_bank)
        is_hub = np.zeros(n_gallery, dtype=bool)
        is_hub[hubness.hubs(bias.k_occurrence, n_bank, k)] = True
        return Fitted(bias, bias.centred, is_hub)

    def _bias(self, normaliser: Normaliser, n_bank: int) -> Bias:
        """A bias from the gallery's folder if one was kept, else fitted now."""
        on = fitted_on(self.gallery, self.bank, *word_beta_k(normaliser), n_bank)
        path = bias_path(self.gallery, on)
        if path is not None and path.exists():
            try:
                return load_bias(path, on, len(self.gallery))
            except RetrievalError as error:
                logger.warning("%s", error)
        begun = time.perf_counter()
        bias = normaliser.fit(self._evidence(normaliser, n_bank))
        if path is not None and time.perf_counter() - begun >= self.keep_bias_s:
            try:
                if len(list(path.parent.glob("*.npz"))) < MAX_BIASES:
                    save_bias(path, bias, on)
            except OSError as error:
                logger.info("bias not kept: %s", error.strerror)
        return bias

    def _evidence(self, normaliser: Normaliser, n_bank: int) -> Evidence:
        space, video_emb = self.gallery.space, self.gallery.video_emb
        return Evidence(
            bank_sims=space.tiles(self.bank.text_emb[:n_bank], video_emb),
            gallery_sims=space.tiles(video_emb, video_emb)
            if "gallery" in normaliser.needs
            else None,
        )


class JoinedBiases(Biases):
    """Those of a gallery with more items behind: the bank is compared with the new ones alone."""

    def __init__(self, base: Biases, gallery: Gallery) -> None:
        """`gallery` is that of `base` and more."""
        super().__init__(gallery, base.bank)
        self.base = base

    def of_captions(self, normaliser: Normaliser, n_bank: int) -> Bias:
        """That of the gallery without the new, whose captions these are, too."""
        return self.base.of_captions(normaliser, n_bank)

    def _bias(self, normaliser: Normaliser, n_bank: int) -> Bias:
        """What fitting on all items would give, under the beta of the gallery without the new."""
        found = self.base.fitted(normaliser, n_bank).bias
        if found.beta is not None:
            normaliser = replace(normaliser, beta=found.beta)
        try:
            kept = self.base.updatable(normaliser, n_bank)
        except SettingsError:  # one more item moves everything
            return normaliser.fit(self._evidence(normaliser, n_bank))
        new = self.gallery.video_emb[len(self.base.gallery) :]
        return kept.add_items(self.gallery.space.tiles(self.bank.text_emb[:n_bank], new)).bias


def normaliser_of(word: str, settings: Settings) -> Normaliser:
    """The normaliser of a word; the settings' beta and k hold where the word has neither."""
    return parse_spec(word, beta=settings.beta, k=settings.k)


def word_beta_k(normaliser: Normaliser) -> tuple[str, float | None, int]:
    """A normaliser as `fitted_on` takes it: its word without beta and k, then those."""
    beta = getattr(normaliser, "beta", None)
    return spec_of(as_usual(normaliser, "beta", "k")), beta, normaliser.k


def as_usual(normaliser: Normaliser, *names: str) -> Normaliser:
    """The same with some settings at their defaults, which its word leaves out."""
    usual = {each.name: each.default for each in fields(normaliser) if each.name in names}
    return replace(normaliser, **usual)
