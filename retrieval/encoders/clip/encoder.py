"""An open_clip model in use -> embeddings of sentences and videos, and of single tokens.

A video's embedding is the mean of its frames' unit embeddings, made unit again; the demo model is
trained through the same functions, so it is used as it was trained.
"""

import contextlib
import threading
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from retrieval.encoders.clip import unknown_words
from retrieval.encoders.clip.pixels import Preprocess
from retrieval.encoders.clip.towers import (
    frame_features,
    pool_frames,
    reads_at_end,
    text_features,
    token_states,
    tower_states,
)
from retrieval.encoders.threads import one_thread
from retrieval.similarity import unit_rows

N_FRAMES = 12  # as CLIP4Clip takes for MSR-VTT; a folder's config may say otherwise
_BATCH = 64  # frames, or sentences, at a time
_LITTLE = 2**25  # weights times inputs below which a second thread does not pay


class ClipEncoder:
    """An open_clip model in use; safe to call from several threads."""

    dot_product = True

    def __init__(
        self,
        model: torch.nn.Module,
        tokenizer: Any,
        name: str,
        digest: str,
        n_frames: int = N_FRAMES,
        known_words: frozenset[str] = frozenset(),
        device: str | None = None,
    ) -> None:
        """Put a model to use.

        Args:
            model: of open_clip, with its preprocess_cfg.
            tokenizer: the one that belongs to it.
            name: short name for people.
            digest: of weights and settings.
            n_frames: frames a video is best given as.
            known_words: lower-case words of the training captions; empty: not known.
            device: None takes the GPU if there is one.
        """
        self.name, self.digest, self.n_frames = name, digest, n_frames
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = model.to(self.device).eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.to_pixels = Preprocess(model.visual.preprocess_cfg)
        self.known_words = known_words
        self._lock = threading.Lock()
        self._n_numbers = sum(parameter.numel() for parameter in model.parameters())
        self.dim = self.encode_text(["a"]).shape[1]

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """Embed sentences; what does not fit into the model's context is cut off.

        Args:
            texts: sentences.

        Returns:
            [n_texts, dim] float32 unit rows.
        """
        if isinstance(texts, str):
            raise ValueError(f"give a list of sentences, got one string {texts[:20]!r}")
        if not len(texts):
            return np.zeros((0, self.dim), dtype=np.float32)
        found = []
        for start in range(0, len(texts), _BATCH):
            tokens = self.tokenizer(list(texts[start : start + _BATCH]))
            with self._computing(len(tokens) * self._n_numbers):
                found.append(text_features(self.model, tokens.to(self.device)).float().cpu())
        return unit_rows(torch.cat(found).numpy(), "text embeddings")

    def encode_tokens(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The text tower's states at every token of each sentence, before they become one.

        Padding is left out. Where a sentence is read at its end token, so is the state at the start
        token: what follows does not change it.

        Raises:
            ModelError: the model's text tower does not give them.
        """
        found: list[np.ndarray] = []
        for start in range(0, len(texts), _BATCH):
            tokens = self.tokenizer(list(texts[start : start + _BATCH]))
            with self._computing(len(tokens) * self._n_numbers):
                states, kept = self._token_states(tokens.to(self.device))
                states, kept = states.float().cpu().numpy(), kept.cpu().numpy()
            found += [one[own] for one, own in zip(states, kept, strict=True)]
        return found

    def _token_states(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[n, length, width], and [n, length] whether a state is of a token that counts."""
        if reads_at_end(self.model):
            states, _ = token_states(self.model, tokens)
        else:
            states = tower_states(self.model, tokens)
        tower = getattr(self.model, "text", self.model)
        pool = getattr(tower, "pool_type", getattr(tower, "text_pool_type", ""))
        if pool == "argmax":
            place = torch.arange(states.shape[1], device=tokens.device)
            return states, (place > 0) & (place <= tokens.argmax(dim=-1, keepdim=True))
        pad = getattr(getattr(self.tokenizer, "tokenizer", None), "pad_token_id", None) or 0
        # Towers that are read at a class token in front do not give that one.
        return states, tokens[:, tokens.shape[1] - states.shape[1] :] != pad

    def encode_videos(self, videos: Iterable[np.ndarray]) -> np.ndarray:
        """Embed videos, a batch of frames at a time; the videos may come from a generator.

        Args:
            videos: each [n_frames, height, width, 3] uint8, RGB.

        Returns:
            [n_videos, dim] float32 unit rows.
        """
        done: list[torch.Tensor] = []
        waiting: list[torch.Tensor] = []
        for i, frames in enumerate(videos):
            if (
                frames.ndim != 4
                or frames.shape[3] != 3
                or frames.dtype != np.uint8
                or not len(frames)
            ):
                raise ValueError(
                    f"video {i} is {frames.dtype} {frames.shape}, expected uint8 frames "
                    "[n_frames, height, width, 3]"
                )
            waiting.append(self.to_pixels(frames))
            if sum(map(len, waiting)) >= _BATCH:
                done += self._encode_frames(waiting)
                waiting = []
        if waiting:
            done += self._encode_frames(waiting)
        if not done:
            return np.zeros((0, self.dim), dtype=np.float32)
        return unit_rows(torch.stack(done).numpy(), "video embeddings")

    def unknown_words(self, text: str) -> list[str]:
        """Words of the text that no training caption had, in their order; [] if not known."""
        return unknown_words(text, self.known_words) if self.known_words else []

    def truncated_at(self, text: str) -> str | None:
        """The first word that does not fit into the model's context; None if all is read."""
        room = self.tokenizer.context_length
        words = text.split()
        n_kept = bisect(range(1, len(words) + 1), room, key=lambda n: self._n_tokens(words[:n]))
        return words[n_kept] if n_kept < len(words) else None

    def _n_tokens(self, words: list[str]) -> int:
        text = " ".join(words)
        if hasattr(self.tokenizer, "encode"):
            return len(self.tokenizer.encode(text)) + 2  # start and end
        return len(self.tokenizer.tokenizer(self.tokenizer.clean_fn(text))["input_ids"])

    def _encode_frames(self, videos: list[torch.Tensor]) -> list[torch.Tensor]:
        frames = torch.cat(videos)
        with self._computing(len(frames) * self._n_numbers):
            parts = [
                frame_features(self.model, part.to(self.device)) for part in frames.split(_BATCH)
            ]
            frame_emb = torch.cat(parts).float().cpu()
        return [pool_frames(one) for one in frame_emb.split([len(v) for v in videos])]

    @contextlib.contextmanager
    def _computing(self, work: int) -> Iterator[None]:
        """One caller at a time; a little work is done by one thread, as waiting costs more."""
        half = torch.autocast("cuda", torch.float16, enabled=self.device.type == "cuda")
        little = one_thread() if work < _LITTLE else contextlib.nullcontext()
        with self._lock, torch.inference_mode(), half, little:
            yield
