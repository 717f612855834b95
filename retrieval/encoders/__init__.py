"""A model's name -> the encoder; nothing heavy is imported before one is asked for."""

from pathlib import Path

from retrieval.encoders.base import Encoder

__all__ = ["ENCODERS", "Encoder", "get_encoder"]

_MODELS = Path(__file__).resolve().parents[2] / "precomputed" / "models"

# Encoders that the project brings with it: name -> folder.
ENCODERS = {
    name: _MODELS / name
    for name in (
        "animations-clip",
        "animations-moee",
        "animations-ce",
        "animations-teachtext-ce-plus",
        "animations-audio",
    )
}


def get_encoder(spec: str | Path, device: str | None = None) -> Encoder:
    """Load an encoder.

    Args:
        spec: one of `ENCODERS`; an open_clip model with a tag, "ViT-B-32/laion2b_s34b_b79k"
            (open_clip fetches it); the same with a checkpoint file, "ViT-B-32/path/to/file.pt"; or
            a folder with open_clip_config.json, or experts.json, and weights.
        device: where it computes, for example "cpu"; None takes the GPU if there is one.

    Raises:
        ModelError: unknown, unreadable, or it cannot be fetched.
    """
    folder = ENCODERS.get(str(spec), spec)
    if (Path(folder) / "experts.json").is_file():
        from retrieval.encoders.trained import load_experts

        return load_experts(Path(folder))
    from retrieval.encoders.clip.loading import load_clip

    return load_clip(folder if isinstance(folder, Path) else str(folder), device)
