"""Any open_clip model -> an encoder of sentences and videos (owner of open_clip).

A video's embedding is the mean of its frames' unit embeddings, made unit again; the demo model is
trained through the same functions, so it is used as it was trained.
"""

import contextlib
import json
import logging
import re
import tempfile
import threading
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from retrieval import checkpoint
from retrieval.encoders import ENCODERS
from retrieval.encoders.hub import without_vain_retries
from retrieval.errors import ModelError
from retrieval.files import sha256_file
from retrieval.similarity import unit_rows

CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"  # the name open_clip itself looks for first
WORDS = "words.txt"  # words of the training captions, one a line
N_FRAMES = 12  # as CLIP4Clip takes for MSR-VTT; a folder's config may say otherwise
_BATCH = 64  # frames, or sentences, at a time
_LITTLE = 2**25  # weights times inputs below which a second thread does not pay
# Numbers that OpenAI's archives hold among the weights.
_SCRIPT_SETTINGS = ("input_resolution", "context_length", "vocab_size")
_WEIGHT_FILES = ("*.safetensors", "*.bin", "*.pth", "*.pt")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


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
        if _reads_at_end(self.model):
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
        if not self.known_words:
            return []
        words = dict.fromkeys(_WORD.findall(text))
        return [word for word in words if word.lower().replace("’", "'") not in self.known_words]

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


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """For a little work, where waiting for other threads costs more than they save."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


class Preprocess:
    """Frames -> the model's input: open_clip's own steps, on a whole clip at once."""

    def __init__(self, cfg: dict[str, Any]) -> None:
        """`cfg` is open_clip's preprocess_cfg: size, mean, std, interpolation, resize_mode."""
        from open_clip.transform import PreprocessCfg, image_transform_v2

        self.steps = image_transform_v2(PreprocessCfg(**cfg), is_train=False).transforms
        self.mode = cfg["interpolation"]
        self.mean, self.std = torch.tensor(cfg["mean"]), torch.tensor(cfg["std"])

    def __call__(self, frames: np.ndarray) -> torch.Tensor:
        """[n_frames, height, width, 3] uint8 -> [n_frames, 3, size, size] float32."""
        pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
        for step in self.steps:
            kind = type(step).__name__
            if kind in ("Resize", "ResizeKeepRatio"):
                # PyTorch's own path for bytes rounds as Pillow does; torchvision's does not.
                size = _target_size(step, *pixels.shape[-2:])
                pixels = F.interpolate(pixels, size, mode=self.mode, antialias=True)
            elif kind in ("CenterCrop", "CenterCropOrPad"):
                pixels = step(pixels)
        return normalise(pixels, self.mean, self.std)


def _target_size(step: Any, height: int, width: int) -> tuple[int, int]:
    """Height and width that a resizing step of open_clip gives to a picture."""
    if hasattr(step, "longest"):  # ResizeKeepRatio reads no more of a picture than its size
        picture = SimpleNamespace(size=(width, height))
        return tuple(step.get_params(picture, step.size, step.longest))
    if isinstance(step.size, int):  # the shorter side
        short, long = step.size, int(step.size * max(height, width) / min(height, width))
        return (short, long) if height <= width else (long, short)
    return tuple(step.size)


def normalise(pixels: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """[n, 3, height, width] of 0..255 -> the same with the training's mean and deviation."""
    return (pixels.float() / 255 - mean[:, None, None]) / std[:, None, None]


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
    if not _reads_at_end(model):
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
    if not _reads_at_end(model):
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


def _reads_at_end(model: torch.nn.Module) -> bool:
    mask = getattr(model, "attn_mask", None)
    return mask is not None and getattr(model, "text_pool_type", "") == "argmax"


# ---- building and loading ------------------------------------------------------------------------


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


def words_of(text: str) -> list[str]:
    """The words of a sentence as `unknown_words` compares them, in lower case."""
    return [word.lower().replace("’", "'") for word in _WORD.findall(text)]


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
