"""Features of many experts and tokens of captions -> embeddings, weights and similarities.

`CENet` is the whole Collaborative Experts family: CE, CE without gating, MoEE, uniform weights,
concatenation. Names, shapes and order of its state dict are those of the released models.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from retrieval.models import collaboration
from retrieval.models.config import CEConfig, Expert
from retrieval.models.gating import (
    GatedEmbeddingUnit,
    GateOnly,
    ReasonedUnit,
    ReduceDim,
    non_linearity,
    reasoning_stack,
)
from retrieval.models.netvlad import NetVLAD
from retrieval.models.similarity import expert_similarity, padded_product
from retrieval.models.wide import linears

TENSOR_DIM = 64  # to which "pairwise-star-tensor" reduces before the outer product
POOLING_ORDER = ("ocr", "audio", "speech")  # of the released state dicts; others follow


class CENet(nn.Module):
    """Pools tokens, embeds captions and videos once for every expert, compares them."""

    def __init__(self, config: CEConfig) -> None:
        super().__init__()
        self.config = config
        # Looking at every batch makes the CPU wait for the GPU; a trainer looks at all data once.
        self.checks_input = True
        pooled = {e.name: e for e in config.experts if e.clusters}
        first = [name for name in POOLING_ORDER if name in pooled]
        order = first + [name for name in pooled if name not in first]
        self.pooling = nn.ModuleDict(
            {_key(name): NetVLAD(pooled[name].dim, pooled[name].clusters) for name in order}
        )
        if config.takes_text:
            self.text_pooling = (
                NetVLAD(config.text_dim, config.text_clusters, config.text_ghosts)
                if config.text_clusters
                else nn.Sequential()  # a single token is the caption's vector
            )
        self.ce = Experts(config)
        if config.manual_linear_init:
            for module in self.modules():
                if isinstance(module, nn.Linear):
                    nn.init.xavier_uniform_(module.weight)
                    nn.init.constant_(module.bias, 0.01)

    def forward(
        self,
        experts: Mapping[str, torch.Tensor],
        ind: Mapping[str, torch.Tensor],
        text: torch.Tensor | None = None,
        raw_captions: Any = None,
        text_token_mask: torch.Tensor | None = None,
    ) -> dict[str, Any]:
        """Compare every caption with every video.

        Args:
            experts: expert -> [n, dim], or [n, n_tokens, dim] padded with zeros; NaN in the rows
                of videos that lack it.
            ind: expert -> [n] of 0 and 1, whether a video has it.
            text: [n_texts, n_captions, n_words, text_dim] padded with zeros.
            raw_captions, text_token_mask: not used; the released loaders give them.

        Returns:
            "modalities": names in order; "cross_view_conf_matrix": [n_texts * n_captions, n]
            similarities, or [n_texts, n] where captions are averaged; "text_embds" and
            "vid_embds": expert -> [n_texts, n_captions, dim] and [n, dim], its pooled features
            where experts are concatenated. Of the task "classification" instead "class_preds"
            [n, n_classes], and of "compute_video_embeddings" "embeddings".
        """
        names = self.config.names
        video = self.embed_videos(experts, ind)
        if self.config.task == "compute_video_embeddings":
            return {"modalities": names, "embeddings": video}
        if self.config.task == "classification":
            together = torch.cat([video[name] for name in names], dim=1)
            return {"modalities": names, "class_preds": self.ce.classifier(together)}
        if text is None:
            raise ValueError(
                f"text is missing; the task {self.config.task} compares it with videos"
            )
        text_emb, weights = self.embed_text(text)
        return {
            "modalities": names,
            "cross_view_conf_matrix": self.sims(text_emb, weights, video, self.availability(ind)),
            "text_embds": text_emb,
            "vid_embds": video,
        }

    def availability(self, ind: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """[n, n_experts] of 0 and 1, in the order and precision of the parameters."""
        parameter = next(self.parameters())
        columns = [ind[name].flatten().to(parameter) for name in self.config.names]
        available = torch.stack(columns, dim=1)
        if self.checks_input and not ((available == 0) | (available == 1)).all():
            raise ValueError("availability must be 0 or 1; a count or a weight came")
        return available

    def embed_text(self, text: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Embed captions.

        Args:
            text: [n_texts, n_captions, n_words, text_dim].

        Returns:
            expert -> [n_texts, n_captions, dim], and the weights [n_texts, n_captions, n_experts].
        """
        if text.ndim != 4 or text.shape[3] != self.config.text_dim:
            raise ValueError(
                f"text is {tuple(text.shape)}, expected [n_texts, n_captions, n_words, "
                f"{self.config.text_dim}]; the checkpoint is of other text features"
            )
        self._refuse_one(text.shape[0] * text.shape[1])
        pooled = self.text_pooling(text.flatten(0, 1))
        if not self.config.text_clusters:
            if text.shape[2] != 1:
                raise ValueError(f"{text.shape[2]} tokens a caption without pooling; give one")
            pooled = pooled[:, 0]
        emb, weights = self.ce.embed_text(pooled)
        unflat = text.shape[:2]
        return {m: e.unflatten(0, unflat) for m, e in emb.items()}, weights.unflatten(0, unflat)

    def embed_videos(
        self, experts: Mapping[str, torch.Tensor], ind: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Embed videos: expert -> [n, dim], rows of missing experts included but meaningless."""
        missing = [name for name in self.config.names if name not in experts or name not in ind]
        if missing:
            raise ValueError(f"no features of {', '.join(missing)}; the model was built for them")
        counts = {name: (len(experts[name]), ind[name].numel()) for name in self.config.names}
        if len({n for pair in counts.values() for n in pair}) > 1:
            shown = ", ".join(f"{name} {n} and {m}" for name, (n, m) in counts.items())
            raise ValueError(f"expected features and availability of the same videos, got {shown}")
        available = self.availability(ind)
        pooled = {e.name: self._pool(e, experts[e.name], ind[e.name]) for e in self.config.experts}
        self._refuse_one(len(available))
        return self.ce.embed_videos(pooled, available)

    def sims(
        self,
        text: Mapping[str, torch.Tensor],
        weights: torch.Tensor,
        video: Mapping[str, torch.Tensor],
        available: torch.Tensor,
    ) -> torch.Tensor:
        """Compare what `embed_text` and `embed_videos` gave.

        Returns:
            [n_texts * n_captions, n_videos] with captions fastest; [n_texts, n_videos] where their
            mean is taken, which is in training and by the setting `test_caption_mode`.
        """
        config = self.config
        flat = [text[name].flatten(0, 1) for name in text]
        if config.concat_experts or config.concat_mix_experts:
            names = ["mixed"] if config.concat_mix_experts else config.names
            together = torch.cat([video[name] for name in names], dim=1)
            return padded_product(flat[0], together, config.official_concat)
        sims = expert_similarity(
            flat,
            weights.flatten(0, 1),
            [video[name] for name in config.names],
            available,
            config.keep_missing_modalities,
            self.checks_input,
        )
        if self.training or config.test_caption_mode == "avg":
            sims = sims.unflatten(0, weights.shape[:2]).mean(dim=1)
        return sims

    def _pool(self, expert: Expert, x: torch.Tensor, ind: torch.Tensor) -> torch.Tensor:
        """Rows of missing features to zero, tokens to one vector."""
        expected = ("n", "n_tokens", expert.dim) if expert.clusters else ("n", expert.dim)
        if x.ndim != len(expected) or x.shape[-1] != expert.dim:
            shown = ", ".join(map(str, expected))
            raise ValueError(f"features of {expert.name} are {tuple(x.shape)}, expected [{shown}]")
        if expert.name in self.config.randomise:
            x = torch.where(x.isnan(), x, torch.randn_like(x))
        missing = ind.flatten().to(x.device) == 0
        if not self.checks_input or missing.any():
            if self.checks_input and not x[missing][0].flatten()[0].isnan():
                raise ValueError(
                    f"{expert.name} of video {int(missing.nonzero()[0])} is marked as missing but "
                    "holds numbers; fill the rows of missing features with NaN"
                )
            x = x.masked_fill(missing.view(-1, *[1] * (x.ndim - 1)), 0)
        if self.checks_input and x.sum().isnan() and x.isnan().any():
            row = int(x.isnan().flatten(1).any(dim=1).nonzero()[0])
            raise ValueError(
                f"{expert.name} of video {row} holds NaN but is not marked as missing; "
                "set its availability to 0, or extract it again"
            )
        return self.pooling[_key(expert.name)](x) if expert.clusters else x

    def _refuse_one(self, n: int) -> None:
        if self.training and n == 1:
            raise ValueError(
                "a training batch of one has no batch statistics and no negatives; "
                "take two or more, or drop the last batch"
            )


class Experts(nn.Module):
    """Pooled captions and experts -> embeddings; the released state dicts call it `ce`."""

    def __init__(self, config: CEConfig) -> None:
        super().__init__()
        self.config = config
        self._add_text_weights()
        shared = config.shared_dim
        if config.in_shared_space:
            self.video_dim_reduce = nn.ModuleList(
                ReduceDim(e.pooled_dim, shared) for e in config.experts
            )
        if config.use_ce:
            self._add_reasoning()
            self.video_GU = nn.ModuleList(ReasonedUnit(shared) for _ in config.experts)
        elif config.mimic_ce_dims:
            self.video_GU = nn.ModuleList(GateOnly(shared) for _ in config.experts)
        elif config.concat_mix_experts:
            total_in = sum(e.pooled_dim for e in config.experts)
            self.video_GU = nn.ModuleList([GatedEmbeddingUnit(total_in, sum(config.out_dims))])
        elif config.concat_experts:
            self.video_GU = nn.ModuleList()
        else:
            self.video_GU = nn.ModuleList(
                GatedEmbeddingUnit(e.pooled_dim, out)
                for e, out in zip(config.experts, config.out_dims, strict=True)
            )
        if not config.takes_text:
            if config.n_classes:
                self.classifier = nn.Linear(sum(config.out_dims), config.n_classes)
        elif config.concat_experts:
            self.text_GU = nn.ModuleList([nn.Sequential()])
        elif config.concat_mix_experts:
            self.text_GU = nn.ModuleList(
                [GatedEmbeddingUnit(config.text_pooled_dim, sum(config.out_dims))]
            )
        else:
            self.text_GU = nn.ModuleList(
                GatedEmbeddingUnit(config.text_pooled_dim, out) for out in config.out_dims
            )

    def _add_text_weights(self) -> None:
        if self.config.takes_text:
            self.moe_fc = nn.Linear(self.config.text_pooled_dim, len(self.config.experts))

    def _add_reasoning(self) -> None:
        """The network that reads an expert and its partners: g_1, the rest of g, and h."""
        config, dim = self.config, self.config.shared_dim
        if config.use_ce == "pairwise-star-specific":
            self.g_reason_unshared_weights = nn.ModuleList(
                _OwnReasoning(dim, config.use_mish) for _ in config.experts
            )
        elif config.use_ce == "pairwise-star-tensor":
            self.dim_reduce = nn.Linear(dim, TENSOR_DIM)
            self.g_reason_1 = nn.Linear(TENSOR_DIM * TENSOR_DIM, dim)
        else:
            n_inputs = 3 if config.use_ce == "triplet" else 2
            self.g_reason_1 = nn.Linear(n_inputs * dim, dim)
        style = (dim, config.use_mish, config.use_bn_reason)
        self.g_reason_shared = reasoning_stack(config.n_g_layers - 1, *style)
        self.h_reason = reasoning_stack(config.n_h_layers, *style)

    def embed_text(self, pooled: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """[n, text_pooled_dim] -> expert -> [n, dim], and weights [n, n_experts].

        Of the two concatenating variants, the one embedding goes by the first expert's name.
        """
        names = self.config.names
        units = [] if self.config.concat_experts else list(self.text_GU)
        *projected, logits = linears(pooled, [*(unit.fc for unit in units), self.moe_fc])
        emb = {name: unit.gate(x) for name, unit, x in zip(names, units, projected, strict=False)}
        if self.config.concat_experts:
            emb = {names[0]: pooled}
        if "text" in self.config.randomise:
            emb = {name: torch.rand_like(e) for name, e in emb.items()}
        if self.config.freeze_weights:
            weights = pooled.new_full((len(pooled), len(names)), 1 / len(names))
        else:
            weights = logits.softmax(dim=1)
        return emb, weights

    def embed_videos(
        self, pooled: Mapping[str, torch.Tensor], available: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Expert -> [n, pooled_dim] to expert -> [n, dim]; available is [n, n_experts]."""
        config = self.config
        vectors = [pooled[name] for name in config.names]
        if config.in_shared_space:
            vectors = [f(v) for f, v in zip(self.video_dim_reduce, vectors, strict=True)]
        if config.use_ce in ("pairwise", "triplet"):
            vectors = collaboration.gate_by_tuples(
                vectors,
                available,
                self.g_reason_1,
                self.g_reason_shared,
                self.h_reason,
                self.video_GU,
                config.include_self,
            )
        elif config.use_ce:
            vectors = collaboration.gate_by_mean(
                self._fuse_with_mean(vectors, available),
                vectors,
                available,
                self.g_reason_shared,
                self.h_reason,
                self.video_GU,
            )
        elif config.concat_mix_experts:  # beside what went in, which the released code gives
            mixed = self.video_GU[0](torch.cat(vectors, dim=1))
            return {**pooled, "mixed": mixed}
        elif not config.concat_experts:
            vectors = [unit(v) for unit, v in zip(self.video_GU, vectors, strict=True)]
        return dict(zip(config.names, vectors, strict=True))

    def _fuse_with_mean(self, vectors: list[torch.Tensor], available: torch.Tensor) -> torch.Tensor:
        """Every expert with the mean of those available, before the shared part of g.

        Returns:
            [n_experts, n, dim].
        """
        mean = collaboration.mean_of_available(vectors, available)
        if self.config.use_ce == "pairwise-star-specific":
            own = zip(self.g_reason_unshared_weights, vectors, strict=True)
            return torch.stack([g(torch.cat([v, mean], dim=1)) for g, v in own])
        own = torch.stack(vectors)
        if self.config.use_ce == "pairwise-star-tensor":
            outer = self.dim_reduce(own)[..., None] * self.dim_reduce(mean)[:, None]
            return self.g_reason_1(outer.flatten(2))
        of_own, of_mean = self.g_reason_1.weight.chunk(2, dim=1)
        return F.linear(own, of_own, self.g_reason_1.bias) + F.linear(mean, of_mean)


class _OwnReasoning(nn.Module):
    """g_1 of one expert, of two layers."""

    def __init__(self, dim: int, use_mish: bool) -> None:
        super().__init__()
        self.g_reason_1_specific = nn.Linear(2 * dim, dim)
        self.g_reason_2_specific = nn.Linear(dim, dim)
        self.non_lin = non_linearity(use_mish)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.g_reason_2_specific(self.non_lin(self.g_reason_1_specific(x)))


def _key(name: str) -> str:
    """A name fit for a module; only "audio.vggish.0" differs, of which no released model exists."""
    return name.replace(".", "_")
