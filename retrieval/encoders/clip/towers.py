"""An open_clip model's two towers: frames or sentences -> unit embeddings, states of tokens.

Serving and training call the same functions.
"""

import torch
import torch.nn.functional as F

from retrieval.errors import ModelError


def frame_features(model: torch.nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """Unit embeddings of preprocessed frames: [n, 3, size, size] -> [n, dim]."""
    return F.normalize(model.encode_image(pixels), dim=-1)


def pool_frames(frame_emb: torch.Tensor) -> torch.Tensor:
    """Unit embeddings of a video's frames -> the video's: [..., n_frames, dim] -> [..., dim].

    Source: Luo et al., "CLIP4Clip", 2021, section 3.3, parameter-free type (mean pooling).
    """
    return F.normalize(frame_emb.mean(dim=-2), dim=-1)


def text_features(model: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """Unit embeddings of tokenised sentences: [n, context] -> [n, dim].

    Where attention is causal and the sentence is read at its end token, the padding behind the
    longest sentence changes nothing; it is left out, which saves most of the time.
    """
    if not reads_at_end(model):
        return F.normalize(model.encode_text(tokens), dim=-1)
    x, ends = token_states(model, tokens)
    x = x[torch.arange(len(x), device=x.device), ends]
    projection = model.text_projection
    if isinstance(projection, torch.nn.Linear):
        x = projection(x)
    elif projection is not None:
        x = x @ projection
    return F.normalize(x, dim=-1)


def token_states(model: torch.nn.Module, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """States of a text tower: [n, context] tokens -> [n, longest, width], and each one's end [n].

    Raises:
        ModelError: the tower is not causal and read at its end token.
    """
    if not reads_at_end(model):
        raise ModelError("this model's text tower has no states of its own to give; take another")
    ends = tokens.argmax(dim=-1)  # the end token has the highest number
    length = int(ends.max()) + 1
    x = model.token_embedding(tokens[:, :length]) + model.positional_embedding[:length]
    x = model.transformer(x, attn_mask=model.attn_mask[:length, :length])
    return model.ln_final(x), ends


def tower_states(model: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """States of any text tower: [n, context] tokens -> [n, length, width].

    Raises:
        ModelError: the tower keeps them for itself.
    """
    if hasattr(model, "token_embedding"):
        x = model.token_embedding(tokens) + model.positional_embedding[: tokens.shape[1]]
        return model.ln_final(model.transformer(x, attn_mask=model.attn_mask))
    tower = getattr(model, "text", None)
    if not hasattr(tower, "output_tokens"):
        raise ModelError("this model's text tower has no states of its own to give; take another")
    before, tower.output_tokens = tower.output_tokens, True
    try:
        return tower(tokens)[1]
    finally:
        tower.output_tokens = before


def reads_at_end(model: torch.nn.Module) -> bool:
    """Whether the text tower is causal and a sentence's embedding is that of its end token."""
    mask = getattr(model, "attn_mask", None)
    return mask is not None and getattr(model, "text_pool_type", "") == "argmax"
