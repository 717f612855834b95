"""Small stand-ins for tests: an encoder without weights, and galleries of a few rows."""

import hashlib
from pathlib import Path

import numpy as np

from retrieval.engine import Engine
from retrieval.gallery import EncoderId, Gallery, open_gallery, write_gallery
from retrieval.querybank import Querybank, open_querybank, write_querybank

WORDS = ["red", "blue", "green", "dog", "cat", "bird", "runs", "flies", "sleeps", "on", "the"]
WORDS += ["beach", "street", "roof", "at", "night"]
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
