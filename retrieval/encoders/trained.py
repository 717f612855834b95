"""A checkpoint of the expert family and what makes tokens of captions -> an encoder of queries.

Embeddings are a dict of arrays, item axis first: one for each expert, and of captions the weights
of the experts, of videos which they have. Only `sims` says what similarity means.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from retrieval import checkpoint
from retrieval.encoders.tokens import TokenEncoder
from retrieval.errors import ModelError, QueryError
from retrieval.expert_tiles import ExpertTiles
from retrieval.training.expert_clips import ExpertClips, caption_tokens, embed_videos
from retrieval.training.expert_recipes import get_expert_recipe
from retrieval.training.experts_trainer import read_checkpoint, trained

Embeddings = Mapping[str, np.ndarray]
WEIGHTS, AVAILABLE = "weights", "available"


class TrainedExperts:
    """Embeds typed sentences, and videos from their expert features."""

    dot_product = False  # a video's experts decide how much each of the caption's counts

    def __init__(self, path: Path, tokens: TokenEncoder) -> None:
        """Load it, on the CPU.

        Args:
            path: checkpoint of a recipe's run.
            tokens: of the text feature that it was trained on.

        Raises:
            ModelError: the checkpoint is no recipe's, was trained on other tokens, or has no
                embedding for each expert.
        """
        config = read_checkpoint(path)["config"]
        if "recipe" not in config:
            raise ModelError(f"{Path(path).name} is not of a recipe; train one by its name")
        self.name = config["recipe"]
        recipe = get_expert_recipe(self.name)
        self.model, self.tokens, self.n_words = trained(path), tokens, recipe.n_words
        self.experts = self.model.config.names
        if self.model.config.concat_experts:
            raise ModelError(f"{self.name} has no embedding for each expert; take another recipe")
        if tokens.name != recipe.text:
            raise ModelError(
                f"{self.name} was trained on the text feature {recipe.text}, got {tokens.name}; "
                "give its text encoder"
            )
        self.digest = checkpoint.digest(self.model.state_dict(), config["model"])

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Embed sentences.

        Returns:
            expert -> [n, dim] unit rows, and "weights" [n, n_experts] in the order of `experts`.

        Raises:
            QueryError: nothing of a sentence is known.
        """
        rows = self.tokens.encode_all(list(texts))
        for text, tokens in zip(texts, rows, strict=True):
            if len(tokens) == 0:
                raise QueryError(f"no word of {text[:60]!r} is known; use other words")
        taken = caption_tokens([np.asarray(each, np.float32) for each in rows], self.n_words)
        emb, weights = self.model.embed_text(taken.take(torch.arange(len(rows)))[:, None])
        found = {name: emb[name][:, 0].numpy() for name in self.experts}
        return {**found, WEIGHTS: weights[:, 0].numpy()}

    def encode_clips(self, clips: ExpertClips) -> dict[str, np.ndarray]:
        """Embed videos by their features: expert -> [n, dim], and "available" [n, n_experts]."""
        emb, available = embed_videos(self.model, clips)
        return {**{name: emb[name].numpy() for name in self.experts}, AVAILABLE: available.numpy()}

    def sims(self, text: Embeddings, video: Embeddings) -> np.ndarray:
        """[n, n_videos] similarities: the weighted mean over the experts that a video has."""
        return ExpertTiles(
            [text[name] for name in self.experts],
            text[WEIGHTS],
            [video[name] for name in self.experts],
            video[AVAILABLE],
        ).matrix()

    def shares(
        self, text: Embeddings, video: Embeddings, row: int, column: int
    ) -> dict[str, tuple[float, float]]:
        """Why a caption and a video match: expert -> its weight for this video, and its similarity.

        Weights of the experts that the video has sum to one, and the weighted sum of similarities
        is that of `sims`; those of missing experts are left out.
        """
        weights = text[WEIGHTS][row] * video[AVAILABLE][column]
        weights = weights / weights.sum()
        return {
            name: (float(weights[i]), float(text[name][row] @ video[name][column]))
            for i, name in enumerate(self.experts)
            if video[AVAILABLE][column, i]
        }
