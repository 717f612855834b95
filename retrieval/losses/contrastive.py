"""Paired embeddings -> contrastive loss."""

import torch
import torch.nn.functional as F


def symmetric_info_nce(
    text_emb: torch.Tensor, video_emb: torch.Tensor, scale: torch.Tensor | float
) -> torch.Tensor:
    """Cross-entropy of finding one's own video among the batch's, and one's own text.

        p[i, j] = softmax over j of scale * <text_i, video_j>
        q[i, j] = softmax over i of scale * <text_i, video_j>
        loss = - 1/(2 n) sum_i [ log p[i, i] + log q[i, i] ]

    Args:
        text_emb: [n, dim] unit rows.
        video_emb: [n, dim] unit rows; row i belongs to row i of `text_emb`.
        scale: inverse temperature, > 0.

    Returns:
        the loss, a scalar; log(n) where all similarities are equal.

    Raises:
        ValueError: the two differ in shape.

    Source: Radford et al., "Learning Transferable Visual Models From Natural Language
    Supervision", ICML 2021, figure 3; for videos Luo et al., "CLIP4Clip", 2021, equations 6 to 8.
    """
    if text_emb.shape != video_emb.shape:
        raise ValueError(
            f"text_emb is {tuple(text_emb.shape)}, video_emb {tuple(video_emb.shape)}; give pairs"
        )
    logits = scale * text_emb @ video_emb.T  # [n, n]
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
