"""Frozen HowTo100M embeddings of captions and videos -> similarities."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from retrieval.models.config import MNNetConfig


class MNNet(nn.Module):
    """Plain inner products; the one parameter is there so that an optimiser has something to do.

        s[i, j] = < text_i, video_j + dummy_param >        without any normalisation

    Source: the official baseline on the features of Miech et al., "End-to-End Learning of Visual
    Representations from Uncurated Instructional Videos", CVPR 2020.
    """

    def __init__(self, config: MNNetConfig) -> None:
        super().__init__()
        self.config = config
        self.dummy_param = nn.Parameter(torch.full((1,), 1e-5))

    def forward(
        self,
        experts: Mapping[str, torch.Tensor],
        ind: Mapping[str, torch.Tensor],
        text: torch.Tensor,
        raw_captions: Any = None,
        text_token_mask: torch.Tensor | None = None,
    ) -> dict[str, Any]:
        """Compare every caption with every video.

        Args:
            experts: the expert -> [n, dim].
            ind: the expert -> [n], all 1.
            text: [n_texts, n_captions, 1, text_dim].
            raw_captions, text_token_mask: not used; the released loaders give them.

        Returns:
            as `CENet.forward`; the embeddings are [n_texts * n_captions, dim] and [n, dim].
        """
        text_emb, weights = self.embed_text(text)
        video, available = self.embed_videos(experts, ind), self.availability(ind)
        return {
            "modalities": list(video),
            "cross_view_conf_matrix": self.sims(text_emb, weights, video, available),
            "text_embds": {name: each.flatten(0, 1) for name, each in text_emb.items()},
            "vid_embds": video,
        }

    def availability(self, ind: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """[n, 1] of ones, in the precision of the parameter."""
        flags = ind[self.config.expert].flatten().to(self.dummy_param)[:, None]
        if not (flags == 1).all():
            raise ValueError(
                f"{self.config.expert} is missing for some videos; this baseline cannot do without"
            )
        return flags

    def embed_text(self, text: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Captions as they were embedded: the expert -> [n_texts, n_captions, dim], weights 1."""
        if text.ndim != 4 or text.shape[2:] != (1, self.config.text_dim):
            raise ValueError(
                f"text is {tuple(text.shape)}, expected [n_texts, n_captions, 1, "
                f"{self.config.text_dim}]; extract the captions with the HowTo100M text network"
            )
        return {self.config.expert: text[:, :, 0]}, text.new_ones((*text.shape[:2], 1))

    def embed_videos(
        self, experts: Mapping[str, torch.Tensor], ind: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """The expert -> [n, dim]."""
        name = self.config.expert
        if list(experts) != [name] or experts[name].shape[1:] != (self.config.dim,):
            came = ", ".join(f"{key} {tuple(x.shape)}" for key, x in experts.items())
            raise ValueError(f"expected {name} of shape [n, {self.config.dim}] alone, got {came}")
        return {name: experts[name] + self.dummy_param}

    def sims(
        self,
        text: Mapping[str, torch.Tensor],
        weights: torch.Tensor,
        video: Mapping[str, torch.Tensor],
        available: torch.Tensor,
    ) -> torch.Tensor:
        """[n_texts * n_captions, n_videos] of what `embed_text` and `embed_videos` gave."""
        name = self.config.expert
        return text[name].flatten(0, 1) @ video[name].T
