"""Names, checkpoints and folders -> open_clip models; new ones from their two configs."""

import contextlib
import json
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from retrieval import checkpoint
from retrieval.encoders import ENCODERS
from retrieval.encoders.clip import CONFIG, WEIGHTS, WORDS
from retrieval.encoders.clip.encoder import N_FRAMES, ClipEncoder
from retrieval.encoders.hub import without_vain_retries
from retrieval.errors import ModelError
from retrieval.files import sha256_file

# Numbers that OpenAI's archives hold among the weights.
_SCRIPT_SETTINGS = ("input_resolution", "context_length", "vocab_size")
_WEIGHT_FILES = ("*.safetensors", "*.bin", "*.pth", "*.pt")


def build_model(
    model_cfg: dict[str, Any], preprocess_cfg: dict[str, Any], seed: int
) -> torch.nn.Module:
    """A new open_clip model with random weights, from the two halves of an open_clip config."""
    import open_clip.model

    torch.manual_seed(seed)
    model = open_clip.model.CLIP(**model_cfg)
    open_clip.model.set_model_preprocess_cfg(model, preprocess_cfg)
    return model


def build_tokenizer(merges: Path, context_length: int) -> Any:
    """open_clip's tokeniser with merges of our own (a gzip file, one merge a line)."""
    from open_clip import SimpleTokenizer

    return SimpleTokenizer(bpe_path=str(merges), context_length=context_length)


def load_clip(spec: str | Path, device: str | None = None) -> ClipEncoder:
    """Load an open_clip model as an encoder; see `retrieval.encoders.get_encoder` for `spec`.

    Raises:
        ModelError: unknown, unreadable, or it cannot be fetched.
    """
    if isinstance(spec, Path) or Path(spec).is_dir():
        return _load_folder(Path(spec), device)
    import open_clip

    name, _, weights = spec.partition("/")
    if name not in open_clip.list_models():
        raise ModelError(
            f"unknown model {_shown(spec)!r}; give {', '.join(ENCODERS)}, an open_clip NAME/TAG "
            "such as ViT-B-32/laion2b_s34b_b79k, NAME/path/to/checkpoint, or a folder with "
            f"{CONFIG}"
        )
    tags = open_clip.list_pretrained_tags_by_model(name)
    if weights in tags:
        settings = open_clip.get_pretrained_cfg(name, weights)
        path = _fetch(name, weights, settings)
    elif weights and Path(weights).is_file():
        settings, path = {}, Path(weights)
    elif Path(weights).suffix:
        raise ModelError(f"there is no checkpoint {Path(weights).name} for {name}; check the path")
    else:
        known = ", ".join(tags[:4]) or "none"
        raise ModelError(
            f"{name} needs weights: {name}/TAG with a tag of open_clip ({known}"
            f"{', ...' if len(tags) > 4 else ''}), or {name}/path/to/checkpoint"
        )
    keys = ("mean", "std", "interpolation", "resize_mode")
    model = _create(
        name,
        path,
        pretrained=str(path),
        force_quick_gelu=bool(settings.get("quick_gelu")),
        force_preprocess_cfg={key: settings[key] for key in keys if settings.get(key)},
    )
    tokenizer = open_clip.get_tokenizer(name)
    shown = f"{name}/{weights if weights in tags else path.name}"
    config = {"model": name, "preprocess": model.visual.preprocess_cfg}
    digest = checkpoint.digest(model.state_dict(), config)
    return ClipEncoder(model, tokenizer, shown, digest, device=device)


def _load_folder(folder: Path, device: str | None) -> ClipEncoder:
    try:
        config = json.loads((folder / CONFIG).read_text())
        text_cfg = config["model_cfg"]["text_cfg"]
    except FileNotFoundError:
        raise ModelError(
            f"there is no model {folder.name}: {CONFIG} is missing; "
            f"make it with `python -m retrieval train {folder.name}`"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder.name}/{CONFIG} is not an open_clip config") from error
    files = [path for pattern in _WEIGHT_FILES for path in sorted(folder.glob(pattern))]
    if not files:
        raise ModelError(f"{folder.name} has no weights; put {WEIGHTS} beside {CONFIG}")
    import open_clip

    model = _create(f"local-dir:{folder}", files[0])
    own = text_cfg.get("tokenizer_kwargs", {}).get("bpe_path")
    kwargs = {"bpe_path": str(folder / own)} if own else {}
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}", **kwargs)
    words = folder / WORDS
    known = frozenset(words.read_text().split()) if words.is_file() else frozenset()
    n_frames = int(config.get("n_frames", N_FRAMES))
    merges = sha256_file(folder / own) if own else ""
    digest = checkpoint.digest(model.state_dict(), {"config": config, "merges": merges})
    return ClipEncoder(model, tokenizer, folder.name, digest, n_frames, known, device)


def _create(name: str, weights: Path, **settings: Any) -> torch.nn.Module:
    """open_clip's factory, with one clear sentence when weights and architecture do not fit."""
    import open_clip
    from safetensors import SafetensorError

    named = checkpoint.read_weights(weights)  # refuses what is damaged before open_clip meets it
    try:
        with _without_false_alarm():
            model = open_clip.create_model(
                name, load_weights=False, pretrained_text=False, **settings
            )
        with tempfile.TemporaryDirectory() as folder:
            plain = weights
            if weights.suffix != ".safetensors":
                # open_clip adapts what it loads; what it loads is plain numbers by name.
                plain = Path(folder) / WEIGHTS
                named = {key: value for key, value in named.items() if key not in _SCRIPT_SETTINGS}
                checkpoint.write_weights(plain, named, half=False)
            open_clip.load_checkpoint(model, str(plain))
        return model
    except (
        RuntimeError,
        KeyError,
        ValueError,
        AttributeError,
        TypeError,
        SafetensorError,
    ) as error:
        raise ModelError(
            f"the weights {weights.name} do not belong to {_shown(name)}; name the architecture "
            "they were made for"
        ) from error


@contextlib.contextmanager
def _without_false_alarm() -> Iterator[None]:
    """open_clip warns that a model without weights is random; they are loaded right after."""

    def is_true(record: logging.LogRecord) -> bool:
        return "Model initialized randomly" not in str(record.msg)

    root = logging.getLogger()
    root.addFilter(is_true)
    try:
        yield
    finally:
        root.removeFilter(is_true)


def _fetch(name: str, tag: str, settings: dict[str, Any]) -> Path:
    import open_clip

    source = (settings.get("hf_hub") or settings.get("url") or "its source").strip("/")
    try:
        with without_vain_retries():
            return Path(open_clip.download_pretrained(settings))
    except Exception as error:  # every layer below has its own kind of network error
        raise ModelError(
            f"could not fetch {name}/{tag} ({source}): no network or not there; fetch its weights "
            f"elsewhere and give --model {name}/path/to/weights"
        ) from error


def _shown(name: str) -> str:
    """A model's name without folders of this machine."""
    return f"folder {Path(name).name}" if name.startswith("local-dir:") else name[:60]
