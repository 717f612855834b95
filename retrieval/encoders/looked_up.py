"""A file of word vectors -> an encoder of captions: one vector for each word that is known."""

from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from retrieval.encoders.spelling import lemmas, nearest, split_words
from retrieval.encoders.tokens import OneByOne, SavedBySpec
from retrieval.errors import FileError, ModelError
from retrieval.formats.word_vectors import WordTable, open_word_vectors

N_MEAN = 50_000  # words whose mean stands for a caption of which nothing is known
CUSTOM = {"roundtable": ("round", "table")}  # words that the released code splits by hand


class LookedUpWords(OneByOne, SavedBySpec):
    """Vectors of words, as features of Collaborative Experts have them.

    For each word, the first of these forms that the file knows: as it is spelled; its lemma; for
    some words their parts; the nearest spelling within two edits. Otherwise it is left out, and a
    caption with no word left is the mean of the first 50,000 vectors by the alphabet.

    What differs from the released code, which needs spaCy and SymSpell: words are told apart by one
    pattern, which agrees on plain captions; lemmas come from English endings; and spellings are
    looked for in the file itself, by its order, and not for short words, where SymSpell leaves
    those alone that its dictionary of 82,765 has. So features are the same on every machine,
    whatever is installed there.

    With `spaces` it is the older rule, of the first releases: captions are split at spaces, and
    "a" and unknown words are left out; of a caption with no word left there is no token.
    """

    def __init__(
        self, table: WordTable, name: str = "w2v", spaces: bool = False, spec: str = ""
    ) -> None:
        self.table, self.name, self.dim, self.spaces = table, name, table.dim, spaces
        self.spec = spec
        self._forms = lru_cache(maxsize=100_000)(self._known_forms)

    def encode(self, caption: str) -> np.ndarray:
        """[n_known, dim] float32; one row where none is known, or none by the older rule."""
        words = self._words(caption)
        if not words and not self.spaces:
            return self._mean[None].copy()
        return self.table.vectors(words)

    def n_tokens(self, text: str) -> int:
        """One for each word that is known."""
        return len(self._words(text))

    def unknown_words(self, text: str) -> list[str]:
        """Words that get no vector, in their order."""
        if self.spaces:
            words = [word for word in text.split() if word != "a" and word not in self.table]
        else:
            words = [word for word in split_words(text) if not self._forms(word)]
        return [word for word in dict.fromkeys(words) if any(map(str.isalnum, word))]

    def _words(self, caption: str) -> list[str]:
        if self.spaces:
            words = [word for word in caption.split(" ") if word not in ("", "a")]
            return [word for word, at in zip(words, self._places(words), strict=True) if at >= 0]
        return [form for word in split_words(caption) for form in self._forms(word)]

    def _places(self, words: list[str]) -> np.ndarray:
        return self.table.places(words) if words else np.zeros(0, np.int64)

    def _known_forms(self, word: str) -> tuple[str, ...]:
        for form in (word, *lemmas(word)):
            if form in self.table:
                return (form,)
            if form in CUSTOM:
                return tuple(part for part in CUSTOM[form] if part in self.table)
        near = nearest(word, self.table.places)
        return () if near is None else (near,)

    @cached_property
    def _mean(self) -> np.ndarray:
        return self.table.mean_of_first(N_MEAN)


def load_looked_up(
    path: str | Path,
    name: str = "w2v",
    dim: int | None = None,
    spaces: bool = False,
    without: str = "",
) -> LookedUpWords:
    """Open a file of word vectors.

    Args:
        path: word2vec, binary or text, GloVe, or a zip with one such text.
        name: of the text feature.
        dim: length that a vector must have; None for any.
        spaces: by the older rule.
        without: characters; words with one of them are left out.

    Raises:
        FileNotFoundError: there is no such file.
        ModelError: damaged, of another kind, or with vectors of another length.
    """
    try:
        table = open_word_vectors(path, without=without)
    except FileError as error:
        raise ModelError(str(error)) from error
    if dim not in (None, table.dim):
        raise ModelError(
            f"{name} has vectors of {dim} numbers, those of {Path(path).name} have {table.dim}; "
            "give the file that the features were made with"
        )
    spec = f"{name}{'-spaces' * spaces}={Path(path).absolute()}"
    return LookedUpWords(table, name, spaces, spec)
