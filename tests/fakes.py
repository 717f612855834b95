"""Small stand-ins for tests: an encoder without weights, and galleries of a few rows."""

import hashlib
from pathlib import Path

import numpy as np

from retrieval.engine import Engine
from retrieval.gallery import EncoderId, Gallery, open_gallery, write_gallery
from retrieval.querybank import Querybank, open_querybank, write_querybank
from retrieval.spaces import WeightedExperts

WORDS = ["red", "blue", "green", "dog", "cat", "bird", "runs", "flies", "sleeps", "on", "the"]
WORDS += ["beach", "street", "roof", "at", "night"]
EXPERTS = (("audio", 5), ("ocr", 4), ("rgb.clip.0", 7))  # of the fake network of experts
CONTEXT = 20  # words that the fake encoder says it reads


class FakeEncoder:
    """Embeds a sentence as the sum of one random vector a word; a video by its mean colour."""

    dot_product = True

    def __init__(self, name: str = "fake", dim: int = 12, n_frames: int = 2) -> None:
        self.name = name
        self.dim = dim
        self.n_frames = n_frames
        self.digest = hashlib.sha256(f"{name}:{dim}".encode()).hexdigest()
        self.n_encoded = 0  # texts and videos, to see what is asked twice

    def encode_text(self, texts: list[str]) -> np.ndarray:
        self.n_encoded += len(texts)
        emb = np.array([sum(self._vector(word) for word in text.split()) for text in texts])
        return _unit(emb)

    def encode_videos(self, videos: list[np.ndarray]) -> np.ndarray:
        self.n_encoded += len(videos)
        means = [frames.reshape(-1, 3).mean(axis=0) for frames in videos]
        return _unit(np.array([self._vector(str(np.round(mean))) for mean in means]))

    def unknown_words(self, text: str) -> list[str]:
        return [word for word in text.split() if word not in WORDS]

    def truncated_at(self, text: str) -> str | None:
        words = text.split()
        return words[CONTEXT] if len(words) > CONTEXT else None

    def _vector(self, word: str) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "little")
        return np.random.default_rng(seed).standard_normal(self.dim)


def _unit(emb: np.ndarray) -> np.ndarray:
    return (emb / np.linalg.norm(emb, axis=1, keepdims=True)).astype(np.float32)


def sentences(n: int, seed: int = 0) -> list[str]:
    """Different sentences of five known words."""
    rng = np.random.default_rng(seed)
    found: dict[str, None] = {}
    while len(found) < n:
        found[" ".join(rng.choice(WORDS, 5))] = None
    return list(found)


def make_gallery(
    folder: Path, n: int = 30, encoder: FakeEncoder | None = None, hubs: int = 3, seed: int = 1
) -> Gallery:
    """A gallery of n rows with one labelled query each, whose first rows are hubs.

    Args:
        folder: where it is written, as folder/"gallery".
        n: items.
        encoder: embeds the captions; a video is its caption with noise.
        hubs: rows that are drawn towards the mean of all captions.
        seed: of sentences and noise.
    """
    encoder = encoder or FakeEncoder()
    captions = sentences(n, seed)
    text_emb = encoder.encode_text(captions)
    rng = np.random.default_rng(seed)
    video_emb = text_emb + 0.2 * rng.standard_normal(text_emb.shape)
    video_emb[:hubs] = text_emb.mean(axis=0) + 0.1 * video_emb[:hubs]
    items = [{"id": f"v{row}", "caption": text} for row, text in enumerate(captions)]
    queries = [
        {"id": f"q{row}", "text": text, "video_id": f"v{row}"} for row, text in enumerate(captions)
    ]
    path = folder / "gallery"
    write_gallery(path, video_emb, items, EncoderId.of(encoder), queries, text_emb, "make g")
    return open_gallery(path)


def make_bank(
    folder: Path, n: int = 50, encoder: FakeEncoder | None = None, seed: int = 2
) -> Querybank:
    """A querybank of n sentences, as folder/"gallery-bank"."""
    encoder = encoder or FakeEncoder()
    captions = sentences(n, seed)
    path = folder / "gallery-bank"
    emb = encoder.encode_text(captions)
    write_querybank(path, emb, captions, EncoderId.of(encoder), "make b")
    return open_querybank(path)


def make_engine(folder: Path, n: int = 30, n_bank: int = 50, **options) -> Engine:
    """Gallery, bank and fake encoder together."""
    encoder = FakeEncoder()
    return Engine(
        make_gallery(folder, n, encoder), make_bank(folder, n_bank, encoder), encoder, **options
    )


class FakeExperts:
    """Some experts, each with vectors of its own for words; a word's letters weigh them."""

    dot_product = False
    n_frames = 2

    def __init__(
        self, name: str = "fake-experts", experts: tuple[tuple[str, int], ...] = EXPERTS
    ) -> None:
        self.name, self.experts = name, experts
        self.space = WeightedExperts(experts)
        self.dim = self.space.dim
        self.digest = hashlib.sha256(f"{name}:{experts}".encode()).hexdigest()
        self._of = [FakeEncoder(f"{name}-{expert}", dim) for expert, dim in experts]

    def encode_text(self, texts: list[str]) -> np.ndarray:
        emb = [each.encode_text(texts) for each in self._of]
        letters = [[text.count(letter) for letter in "easot"[: len(emb)]] for text in texts]
        weights = np.exp(np.array(letters) / 2)
        return self.space.row(emb, weights / weights.sum(axis=1, keepdims=True))

    def unknown_words(self, text: str) -> list[str]:
        return self._of[0].unknown_words(text)

    def truncated_at(self, text: str) -> str | None:
        return self._of[0].truncated_at(text)


def make_expert_engine(
    folder: Path,
    n: int = 30,
    n_bank: int = 50,
    experts: tuple[tuple[str, int], ...] = EXPERTS,
    media: str = "video",
) -> Engine:
    """An engine whose similarity is a mean over experts; of every second video one is missing.

    Args:
        folder: where folder/"gallery" and folder/"gallery-bank" are written.
        n: items, each with a labelled query.
        n_bank: captions.
        experts: names and dims; one alone is never missing.
        media: "video" or "audio".
    """
    encoder = FakeExperts(experts=experts)
    captions = sentences(n, seed=1)
    text_emb = encoder.encode_text(captions)
    rng = np.random.default_rng(1)
    video_emb = text_emb + 0.2 * rng.standard_normal(text_emb.shape)
    weights = np.ones((n, len(experts)))
    if len(experts) > 1:
        weights[np.arange(0, n, 2), np.arange(0, n, 2) // 2 % len(experts)] = 0
    video_emb[:, encoder.space.head :] = weights
    items = [{"id": f"v{row}", "caption": text} for row, text in enumerate(captions)]
    queries = [
        {"id": f"q{row}", "text": text, "video_id": f"v{row}"} for row, text in enumerate(captions)
    ]
    path, about = folder / "gallery", EncoderId.of(encoder)
    write_gallery(path, video_emb, items, about, queries, text_emb, "make g", media=media)
    bank = sentences(n_bank, seed=2)
    write_querybank(folder / "gallery-bank", encoder.encode_text(bank), bank, about, "make b")
    return Engine(open_gallery(path), open_querybank(folder / "gallery-bank"), encoder)
