"""Embeddings of every expert, weights, availability -> similarities."""

from collections.abc import Sequence

import torch


def expert_similarity(
    text: Sequence[torch.Tensor],
    weights: torch.Tensor,
    video: Sequence[torch.Tensor],
    available: torch.Tensor,
    keep_missing: bool = False,
    check: bool = True,
) -> torch.Tensor:
    """Weighted mean, over the experts that a video has, of the inner products.

        s[i, j] = sum_m w[i, m] a[j, m] <text_m[i], video_m[j]> / sum_m w[i, m] a[j, m]

    The weights belong to the text and the availability to the video, so the sum over experts is
    one product of concatenated vectors, and nothing of shape [n, n_videos, n_experts] is made.

    Args:
        text: for every expert [n, dim of the expert] unit rows.
        weights: [n, n_experts], rows sum to one.
        video: for every expert [n_videos, dim of the expert] unit rows.
        available: [n_videos, n_experts] of 0 and 1.
        keep_missing: the plain sum of all inner products instead, without weights.
        check: refuse videos without experts; the similarities to them are NaN otherwise.

    Returns:
        [n, n_videos] similarities.

    Raises:
        ValueError: a video has no expert at all.

    Source: Liu et al., BMVC 2019, section 3.3; the official `keep_missing_modalities`.
    """
    if keep_missing:
        return torch.cat(list(text), dim=1) @ torch.cat(list(video), dim=1).T
    available = available.to(weights)
    bare = (available == 0).all(dim=1)
    if check and bare.any():
        raise ValueError(
            f"video {int(bare.nonzero()[0])} has no expert at all, so nothing can be compared; "
            "leave it out"
        )
    query = torch.cat([w[:, None] * t for w, t in zip(weights.T, text, strict=True)], dim=1)
    item = torch.cat([a[:, None] * v for a, v in zip(available.T, video, strict=True)], dim=1)
    return (query @ item.T) / (weights @ available.T)


def padded_product(text: torch.Tensor, video: torch.Tensor, official: bool = False) -> torch.Tensor:
    """Inner products of vectors of two lengths, the shorter ones filled up with zeros.

    Args:
        text: [n, text_dim].
        video: [n_videos, video_dim].
        official: zeros wherever the text is longer: the released code fills up the videos' side
            and forgets to copy them.

    Returns:
        [n, n_videos].
    """
    if official and text.shape[1] > video.shape[1]:
        # Not a plain zeros(): the loss is differentiated, and the text has a gradient of zero.
        return text @ text.new_zeros(text.shape[1], len(video))
    shared = min(text.shape[1], video.shape[1])
    return text[:, :shared] @ video[:, :shared].T
