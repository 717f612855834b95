"""A sentence -> one vector a word, as networks of experts take captions; live and stored alike."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from retrieval.encoders import get_encoder
from retrieval.encoders.clip import words_of
from retrieval.errors import ModelError
from retrieval.files import read_json, write_json, write_npy
from retrieval.formats import read_npy

SETTINGS, WORDS, VECTORS = "encoder.json", "words.txt", "vectors.npy"
PROOF = "A man in a red shirt plays the guitar, and people are dancing."


class TokenEncoder(Protocol):
    """Turns sentences into tokens."""

    name: str
    dim: int

    def encode(self, caption: str) -> np.ndarray:
        """[n_tokens, dim] float32; no token where nothing of the caption is known."""
        ...

    def encode_all(self, captions: Sequence[str]) -> list[np.ndarray]:
        """The same for many at once."""
        ...

    def n_tokens(self, text: str) -> int:
        """Tokens that the words of a text become, its end not counted."""
        ...

    def unknown_words(self, text: str) -> list[str]:
        """Words that it has no token of its own for, in their order; none where it knows all."""
        ...

    def save(self, folder: Path) -> None:
        """Write what `load_tokens` needs."""
        ...


class OneByOne:
    """For encoders that gain nothing from batches."""

    def encode_all(self, captions: Sequence[str]) -> list[np.ndarray]:
        """The tokens of each."""
        return [self.encode(caption) for caption in captions]

    def n_tokens(self, text: str) -> int:
        """One for each word."""
        return len(words_of(text))

    def unknown_words(self, text: str) -> list[str]:
        """There are none."""
        return []


class WordVectors(OneByOne):
    """A vector looked up for each known word; the mean of all where none is known."""

    def __init__(self, words: Sequence[str], vectors: np.ndarray, name: str = "words") -> None:
        self.name, self.dim = name, vectors.shape[1]
        self.words, self.vectors = list(words), vectors.astype(np.float32)
        self._place = {word: i for i, word in enumerate(self.words)}

    def encode(self, caption: str) -> np.ndarray:
        """Tokens of the words in order, unknown ones left out."""
        known = self.look_up(words_of(caption))
        return known if len(known) else self.vectors.mean(axis=0, keepdims=True)

    def look_up(self, words: Sequence[str]) -> np.ndarray:
        """[n_known, dim]; none is a possible answer here."""
        return self.vectors[[self._place[word] for word in words if word in self._place]]

    def n_tokens(self, text: str) -> int:
        """One for each known word."""
        return len(self.look_up(words_of(text)))

    def unknown_words(self, text: str) -> list[str]:
        """Words without a vector."""
        words = words_of(text) or text.split()  # signs alone have none either
        return [word for word in dict.fromkeys(words) if word not in self._place]

    def save(self, folder: Path) -> None:
        """Write words and vectors."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WORDS).write_text("".join(f"{word}\n" for word in self.words), encoding="utf-8")
        write_npy(folder / VECTORS, self.vectors.astype(np.float16))
        write_json(folder / SETTINGS, {"kind": "words", "name": self.name})


class LetterVectors(OneByOne):
    """Nothing learned: a word is the sum of random vectors, one for each three letters in a row.

    Words spelled alike are alike, no word is unknown, and no meaning is in it.
    """

    def __init__(self, dim: int = 32, name: str = "letters") -> None:
        self.name, self.dim = name, dim
        self._word = lru_cache(maxsize=20_000)(self._spelled)

    def encode(self, caption: str) -> np.ndarray:
        """One unit token a word; a sentence without words is one token of zeros."""
        words = words_of(caption)
        if not words:
            return np.zeros((1, self.dim), np.float32)
        return np.stack([self._word(word) for word in words])

    def _spelled(self, word: str) -> np.ndarray:
        marked = f"<{word}>"
        total = np.zeros(self.dim, np.float32)
        for i in range(len(marked) - 2):
            digest = hashlib.shake_128(marked[i : i + 3].encode()).digest(-(-self.dim // 8))
            bits = np.unpackbits(np.frombuffer(digest, np.uint8))[: self.dim]
            total += 2.0 * bits - 1.0
        return total / max(float(np.linalg.norm(total)), 1e-12)

    def save(self, folder: Path) -> None:
        """Write the length of a vector."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / SETTINGS, {"kind": "letters", "name": self.name, "dim": self.dim})


class ClipTokens:
    """States of any open_clip text tower, as `ClipEncoder.encode_tokens` gives them."""

    def __init__(
        self, model: str = "animations-clip", name: str = "clip", device: str | None = "cpu"
    ) -> None:
        self.name, self.model = name, model
        self.encoder = get_encoder(model, device)
        self.dim = self.encode("a").shape[1]

    def encode(self, caption: str) -> np.ndarray:
        """States of the caption's tokens and of its end."""
        return self.encode_all([caption])[0]

    def encode_all(self, captions: Sequence[str]) -> list[np.ndarray]:
        """The same for many at once."""
        return self.encoder.encode_tokens(captions)

    def n_tokens(self, text: str) -> int:
        """Parts of words."""
        return len(self.encode(text)) - 1

    def unknown_words(self, text: str) -> list[str]:
        """Words that no training caption had."""
        return self.encoder.unknown_words(text)

    def save(self, folder: Path) -> None:
        """Write which model it is and the digest it must have."""
        folder.mkdir(parents=True, exist_ok=True)
        about = {"kind": "clip", "name": self.name, "model": self.model}
        write_json(folder / SETTINGS, {**about, "digest": self.encoder.digest})


class SavedBySpec:
    """For encoders whose source is too large to copy: its place is kept, and a proof."""

    name: str
    spec: str  # NAME=SOURCE

    def save(self, folder: Path) -> None:
        """Write which source it is, and what it makes of one sentence."""
        folder.mkdir(parents=True, exist_ok=True)
        write_npy(folder / VECTORS, self.encode(PROOF))
        write_json(folder / SETTINGS, {"kind": "spec", "name": self.name, "spec": self.spec})


def _load_spec(folder: Path, about: dict[str, Any]) -> TokenEncoder:
    from retrieval.encoders.texts import get_tokens

    loaded, expected = get_tokens(about["spec"]), read_npy(folder / VECTORS)
    found = loaded.encode(PROOF)
    # Other machines round differently; other weights are further off.
    if found.shape != expected.shape or not np.allclose(found, expected, rtol=1e-2, atol=1e-3):
        raise ModelError(
            f"{about['spec'].split('=')[-1].split('/')[-1]} makes other tokens than {folder.name} "
            "was saved with; give its own source"
        )
    return loaded


def load_tokens(folder: str | Path) -> TokenEncoder:
    """Load a text encoder that was saved.

    Raises:
        ModelError: there is none, of an unknown kind, or its model has other weights by now.
    """
    folder = Path(folder)
    if not (folder / SETTINGS).is_file():
        raise ModelError(
            f"there is no text encoder {folder.name}: {SETTINGS} is missing; make it with "
            "`python -m retrieval animations --experts OUT`"
        )
    about = read_json(folder / SETTINGS)
    kind = about.get("kind")
    if kind == "words":
        words = (folder / WORDS).read_text(encoding="utf-8").split()
        vectors = read_npy(folder / VECTORS)
        if vectors.ndim != 2 or len(vectors) != len(words):
            raise ModelError(
                f"{folder.name} has {len(words)} words and vectors of shape {vectors.shape}; "
                "make it again"
            )
        return WordVectors(words, vectors, about["name"])
    if kind == "letters":
        return LetterVectors(about["dim"], about["name"])
    if kind == "spec":
        return _load_spec(folder, about)
    if kind != "clip":
        raise ModelError(f"{folder.name} is of unknown kind {kind!r:.40}; make it again")
    loaded = ClipTokens(about["model"], about["name"])
    if loaded.encoder.digest != about["digest"]:
        raise ModelError(
            f"{about['model']} has other weights than {folder.name} was made with; make its text "
            "features again"
        )
    return loaded
