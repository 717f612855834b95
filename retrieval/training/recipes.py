"""A recipe's name -> a trained encoder in a folder that open_clip itself can load."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from retrieval import checkpoint
from retrieval.building import Build
from retrieval.datasets.animations import Clip, split
from retrieval.encoders.clip import CONFIG, WEIGHTS, WORDS, words_of
from retrieval.encoders.clip.loading import build_model, build_tokenizer, load_clip
from retrieval.errors import SettingsError
from retrieval.files import replacing, write_json
from retrieval.training.bpe import learn_merges, write_merges
from retrieval.training.frame_cache import cached_frames
from retrieval.training.trainer import BEST, CURVES, Pairs, Settings, Trainer

MERGES = "merges.txt.gz"


@dataclass(frozen=True)
class ClipRecipe:
    """A small CLIP of our own, trained from scratch on the film library."""

    size: int = 64  # sides of the squashed frames in pixels
    n_frames: int = 4  # frames of a clip that its embedding is the mean of
    embed_dim: int = 256  # length of an embedding
    vision: dict[str, Any] = field(
        default_factory=lambda: {"layers": [1, 1, 1, 1], "width": 16, "head_width": 64}
    )  # open_clip's ModifiedResNet
    text: dict[str, Any] = field(
        default_factory=lambda: {"width": 128, "heads": 4, "layers": 2, "context_length": 48}
    )
    n_merges: int = 2000  # of the byte-pair encoding; nearly every caption word becomes one token
    settings: Settings = Settings()

    def model_cfg(self, vocab_size: int) -> dict[str, Any]:
        """The model as open_clip describes it."""
        return {
            "embed_dim": self.embed_dim,
            "vision_cfg": {**self.vision, "image_size": self.size},
            "text_cfg": {
                **self.text,
                "vocab_size": vocab_size,
                "tokenizer_kwargs": {"bpe_path": MERGES},
            },
        }

    def preprocess_cfg(self) -> dict[str, Any]:
        """How a frame becomes the model's input, as open_clip describes it."""
        return {
            "size": self.size,
            "mode": "RGB",
            "mean": [0.48145466, 0.4578275, 0.40821073],
            "std": [0.26862954, 0.26130258, 0.27577711],
            "interpolation": "bilinear",
            "resize_mode": "squash",
            "fill_color": 0,
        }


RECIPES = {"animations-clip": ClipRecipe()}


def get_recipe(name: str) -> ClipRecipe:
    """Find a recipe by name.

    Raises:
        SettingsError: there is none of that name; the message lists what exists.
    """
    if name not in RECIPES:
        raise SettingsError(f"unknown recipe {name!r}; available: {', '.join(RECIPES)}")
    return RECIPES[name]


def train(
    name: str,
    out: Path,
    cache: Path,
    export: Path,
    command: str,
    *,
    epochs: int | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    workers: int | None = None,
    limit: int | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, float]:
    """Draw what is missing, train, and export the best epoch.

    Args:
        name: one of `RECIPES`.
        out: the run's folder: last state, best weights, curves; a broken-off run goes on from it.
        cache: folder of the drawn frames.
        export: folder of the finished encoder; an older one is replaced.
        command: the command line, kept with the encoder.
        epochs: length of the schedule; None as the recipe says.
        minutes: fits the schedule to this much time instead.
        seed: of weights and of all that is drawn by lot.
        workers: processes that draw frames; None is one for each core.
        limit: only the first so many clips of each split, for a trial.
        report: takes lines of progress.

    Returns:
        the best epoch's losses and validation figures.
    """
    recipe = get_recipe(name)
    changed = {key: v for key, v in (("epochs", epochs), ("seed", seed)) if v is not None}
    settings = replace(recipe.settings, **changed)
    clips = {part: split(part)[:limit] for part in ("train", "val")}
    out.mkdir(parents=True, exist_ok=True)
    words = [w for c in clips["train"] for text in c.captions for w in words_of(text)]
    write_merges(out / MERGES, learn_merges(words, recipe.n_merges))
    tokenizer = build_tokenizer(out / MERGES, recipe.text["context_length"])
    pairs = {
        part: Pairs(
            cached_frames(cache, part, recipe.n_frames, recipe.size, workers, report, limit),
            _tokens(tokenizer, clips[part]),
        )
        for part in ("train", "val")
    }
    model_cfg = recipe.model_cfg(vocab_size=max(tokenizer.encoder.values()) + 1)
    trainer = Trainer(
        build_model(model_cfg, recipe.preprocess_cfg(), settings.seed),
        pairs["train"],
        pairs["val"],
        settings,
        out,
        identity={"model": model_cfg, "captions": _digest(pairs["train"].tokens)},
        minutes=minutes,
        report=report,
    )
    best = trainer.run()
    with Build(export, command) as build:
        config = {
            "model_cfg": model_cfg,
            "preprocess_cfg": recipe.preprocess_cfg(),
            "n_frames": recipe.n_frames,
        }
        write_json(build.folder / CONFIG, config)
        weights = checkpoint.read_weights(out / BEST)
        checkpoint.write_weights(build.folder / WEIGHTS, weights)
        for file in (MERGES, CURVES):
            with replacing(build.folder / file) as copy:
                copy.write((out / file).read_bytes())
        with replacing(build.folder / WORDS) as file:
            file.write("\n".join(sorted(set(words))).encode() + b"\n")
        encoder = load_clip(build.folder, device="cpu")
        about = {
            "encoder": {"name": name, "digest": encoder.digest, "dim": encoder.dim},
            "best": best,
            "settings": asdict(settings),
        }
        build.finish("model", about)
    return best


def _tokens(tokenizer: Any, clips: Sequence[Clip]) -> np.ndarray:
    """[n_clips, n_captions, context] int32."""
    return np.stack([tokenizer(list(clip.captions)).numpy() for clip in clips]).astype(np.int32)


def _digest(tokens: np.ndarray) -> str:
    return hashlib.sha256(tokens.tobytes()).hexdigest()
