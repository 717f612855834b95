"""A folder of a language model -> states of a caption's tokens (owner of transformers).

Only classes that transformers itself brings are built, with settings and weights that we read
ourselves: nothing in a folder is run, and no pickle is loaded.
"""

import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from retrieval import checkpoint
from retrieval.encoders.hub import fetch_folder
from retrieval.encoders.tokens import SavedBySpec
from retrieval.errors import ModelError, RetrievalError
from retrieval.files import read_json
from retrieval.formats.limits import check_memory, counted

CONFIG = "config.json"
# The first of these that is there; the indexes name the parts of large models.
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_PATTERNS = (  # the same on the hub, with the parts
    "model*.safetensors",
    "model.safetensors.index.json",
    "pytorch_model*.bin",
    "pytorch_model.bin.index.json",
)
# What a tokeniser is made from, the first set that is there; without one transformers would make
# an empty vocabulary and say nothing.
VOCABULARIES = (
    ("tokenizer.json",),
    ("vocab.json", "merges.txt"),
    ("vocab.txt",),
    ("spiece.model",),
)
FILES = (  # of a repository on the hub
    CONFIG,
    "tokenizer_config.json",
    "special_tokens_map.json",
    *(name for names in VOCABULARIES for name in names),
)
MAX_LAYERS, MAX_GROUPS, MAX_POSITIONS = 256, 16, 4096  # of a model; larger ones are made up
_TABLES = 2**26  # numbers that a model may make itself, such as masks
# Tokens of sentences that are encoded together, padding included.
_BATCH_TOKENS = {"cpu": 2048, "cuda": 32_768}


@dataclass(frozen=True)
class Family:
    """How the models of one type are asked."""

    prefix: str  # of its classes in transformers
    special: bool = True  # special tokens are put around a caption
    decodes: bool = False  # the states are the decoder's, which is given the caption too
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the model's constructor


_BARE = {"add_pooling_layer": False}  # its weights are not in every file, and it is not used
FAMILIES = {  # by "model_type" of config.json
    "openai-gpt": Family("OpenAIGPT"),
    "gpt2": Family("GPT2"),
    "bert": Family("Bert", settings=_BARE),
    "albert": Family("Albert", settings=_BARE),
    "roberta": Family("Roberta", settings=_BARE),
    "electra": Family("Electra"),
    "xlnet": Family("XLNet", special=False),
    "t5": Family("T5", special=False, decodes=True),
    "ctrl": Family("CTRL"),
}


class TransformerTokens(SavedBySpec):
    """Last hidden states of a language model, one for each token; safe to call from threads.

    Sentences of about one length go through together; padding is masked and cut off, so each gets
    the states that it has alone. What goes beyond the model's positions is cut off.
    """

    def __init__(
        self,
        folder: str | Path,
        name: str,
        *,
        spec: str = "",
        model_type: str | None = None,
        dim: int | None = None,
        special: bool | None = None,
        device: str | None = None,
    ) -> None:
        """Load a model.

        Args:
            folder: with config.json, weights and the tokeniser's files.
            name: of the text feature.
            spec: what was asked for, kept by `save`; "" for NAME=FOLDER.
            model_type: what it must be; None for any of `FAMILIES`.
            dim: length that a token must have; None for any.
            special: whether special tokens are put around a caption; None as its family has it.
            device: None takes the GPU if there is one.

        Raises:
            ModelError: transformers is not installed, or the folder holds no such model, whole.
        """
        folder = Path(folder)
        self.name, self.spec = name, spec or f"{name}={folder.absolute()}"
        self._folder = folder.name
        library = _transformers()
        with _quiet(library), _one_sentence(folder.name):
            about = _read_config(folder, name, model_type)
            family = FAMILIES[about["model_type"]]
            self.model = _build(library, family, about, folder)
            self.tokenizer = _tokenizer(library, family, folder)
        self.dim = int(self.model.config.hidden_size)
        if dim not in (None, self.dim):
            raise ModelError(
                f"{name} has tokens of {dim} numbers, the model in {folder.name} has {self.dim}; "
                "give the model that the features were made with"
            )
        self.special = family.special if special is None else special
        self.decodes = family.decodes
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = self.model.to(self.device).eval().requires_grad_(False)
        self._pad = self.model.config.pad_token_id or 0
        positions = getattr(self.model.config, "max_position_embeddings", -1)
        # RoBERTa counts positions from the padding's number on; T5 and XLNet have no limit.
        before = self._pad + 1 if about["model_type"] == "roberta" else 0
        self.n_positions = positions - before if positions > 0 else MAX_POSITIONS
        self._lock = threading.Lock()

    def encode(self, caption: str) -> np.ndarray:
        """[n_tokens, dim] float32; none of a caption without a token."""
        return self.encode_all([caption])[0]

    def encode_all(self, captions: Sequence[str]) -> list[np.ndarray]:
        """The same for many at once."""
        if not len(captions):
            return []
        with self._lock, _one_sentence(self._folder):  # the tokeniser keeps settings of its own
            ids = self.tokenizer(
                list(captions),
                add_special_tokens=self.special,
                truncation=True,
                max_length=self.n_positions,
                verbose=False,
            )["input_ids"]
            largest = max((max(one, default=0) for one in ids), default=0)
            if largest >= self.model.get_input_embeddings().num_embeddings:
                raise ModelError(
                    f"the tokeniser in {self._folder} gives the number {largest:,}, for which the "
                    "model has no vector; give the two that belong together"
                )
            found = [np.zeros((0, self.dim), np.float32)] * len(ids)
            most = _BATCH_TOKENS.get(self.device.type, 2048)
            for batch in _batches([len(one) for one in ids], most):
                states = self._states([ids[i] for i in batch])
                for i, one in zip(batch, states, strict=True):
                    found[i] = one[: len(ids[i])].copy()
        return found

    def n_tokens(self, text: str) -> int:
        """Parts of words, with the special token in front where there is one."""
        with self._lock, _one_sentence(self._folder):
            around, plain = (
                len(self.tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"])
                for special in (self.special, False)
            )
        return around - (around > plain)

    def unknown_words(self, text: str) -> list[str]:
        """None: every word is made of known pieces."""
        return []

    @torch.inference_mode()
    def _states(self, ids: Sequence[Sequence[int]]) -> np.ndarray:
        """[n, longest, dim] float32; what stands behind a sentence's own tokens means nothing."""
        taken = torch.full((len(ids), max(map(len, ids))), self._pad)
        mask = torch.zeros_like(taken)
        for row, one in enumerate(ids):
            taken[row, : len(one)] = torch.tensor(one)
            mask[row, : len(one)] = 1
        taken, mask = taken.to(self.device), mask.to(self.device)
        given = {"input_ids": taken, "attention_mask": mask}
        if self.decodes:
            given |= {"decoder_input_ids": taken, "decoder_attention_mask": mask}
        return self.model(**given).last_hidden_state.float().cpu().numpy()


def _batches(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Places of sentences of about one length; those without a token are left out."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        if lengths[i] == 0:
            continue
        if batch and (len(batch) + 1) * lengths[i] > most:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


# ---- reading a folder ----------------------------------------------------------------------------


def find_folder(name: str, source: str) -> Path:
    """The folder of a model, fetched if `source` is a name on the hub.

    Raises:
        ModelError: it is neither a folder nor can it be fetched.
    """
    if Path(source).is_dir():
        return Path(source)
    if source.count("/") > 1 or source.startswith((".", "/", "~")) or "\\" in source:
        raise ModelError(f"there is no folder {Path(source).name}; check the path of {name}")
    _transformers()  # nothing is fetched that could not be read
    option = f"{name}=FOLDER"
    folder = fetch_folder(source, [*FILES, *_PATTERNS[:2]], option)
    if any((folder / weights).is_file() for weights in WEIGHTS):
        return folder
    return fetch_folder(source, [*FILES, *_PATTERNS[2:]], option)  # older ones have no safetensors


def _transformers() -> ModuleType:
    try:
        import transformers
    except ImportError as error:
        raise ModelError(
            "this text encoder needs transformers, which is not installed; "
            "`pip install transformers`"
        ) from error
    if int(transformers.__version__.split(".")[0]) < 5:  # the classes of 4 are asked otherwise
        raise ModelError(
            f"this text encoder needs transformers 5 or later, {transformers.__version__} is "
            "installed; `pip install -U transformers`"
        )
    return transformers


def _read_config(folder: Path, name: str, model_type: str | None) -> dict[str, Any]:
    if not (folder / CONFIG).is_file():
        raise ModelError(
            f"there is no model {folder.name}: {CONFIG} is missing; give {name}=FOLDER with a "
            "model as transformers saves it, or its name on the hub"
        )
    about = read_json(folder / CONFIG)
    found = about.get("model_type") if isinstance(about, dict) else None
    if found not in FAMILIES:
        raise ModelError(
            f"{folder.name} is of model_type {str(found)[:30]!r}; known: {', '.join(FAMILIES)}"
        )
    if model_type not in (None, found):
        raise ModelError(f"{name} is a {model_type} model, {folder.name} holds a {found}")
    if "quantization_config" in about:
        raise ModelError(f"{folder.name} is quantised; give the model with its full weights")
    return about


def _build(
    library: ModuleType, family: Family, about: Mapping[str, Any], folder: Path
) -> torch.nn.Module:
    kind = getattr(library, f"{family.prefix}Config")
    # Its own settings alone: those of every model can name code to fetch.
    known = {key: about[key] for key in kind.__annotations__ if key in about}
    for key, value in known.items():
        limits = {"layer": MAX_LAYERS, "group": MAX_GROUPS, "position": MAX_POSITIONS}
        most = next((limit for part, limit in limits.items() if part in key), 2**24)
        if type(value) is int and not -1 <= value <= most:
            raise ModelError(f"{folder.name}: {key} is {value}, the limit is {most:,}")
    config = kind(**known)
    config.use_cache = False
    kind = getattr(library, f"{family.prefix}Model")
    weights = _read_weights(folder)
    n_held = sum(value.numel() for value in weights.values())
    with torch.device("meta"):  # nothing is allocated
        sketch = kind(config, **family.settings)
    n_asked = sum(value.numel() for value in (*sketch.parameters(), *sketch.buffers()))
    if n_asked > 4 * n_held + _TABLES:  # what is tied is in the file once
        raise ModelError(
            f"{folder.name} holds {n_held:,} weights, its {CONFIG} asks for {counted(n_asked)}; "
            "give the two that belong together"
        )
    short = (value for value in weights.values() if value.dtype != torch.float32)
    check_memory(folder.name, sum(4 * value.numel() for value in short))  # others are taken as read
    model, info = kind.from_pretrained(
        None,
        config=config,
        state_dict=weights,
        dtype=torch.float32,
        attn_implementation="eager",
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
        **family.settings,
    )
    if info["missing_keys"] or info["mismatched_keys"]:  # transformers would fill them by chance
        first = sorted(map(str, info["missing_keys"] or info["mismatched_keys"]))[0]
        raise ModelError(
            f"the weights of {folder.name} lack {first[:80]}, which its {CONFIG} asks for; give "
            "the two that belong together"
        )
    return model


def _read_weights(folder: Path) -> dict[str, torch.Tensor]:
    path = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if path is None:
        raise ModelError(f"{folder.name} has no weights; put {WEIGHTS[0]} beside {CONFIG}")
    if path.suffix != ".json":
        return checkpoint.read_weights(path)
    index = read_json(path)
    parts = index.get("weight_map") if isinstance(index, dict) else None
    names = sorted(set(parts.values())) if isinstance(parts, dict) and parts else [""]
    if any(not isinstance(name, str) or Path(name).name != name for name in names):
        raise ModelError(f"{folder.name}/{path.name} does not name files beside it; fetch it again")
    return {
        key: value
        for name in names
        for key, value in checkpoint.read_weights(folder / name).items()
    }


def _tokenizer(library: ModuleType, family: Family, folder: Path) -> Any:
    if not any(all((folder / name).is_file() for name in names) for names in VOCABULARIES):
        raise ModelError(
            f"{folder.name} has no tokenizer.json; save the tokeniser beside the model"
        )
    kind = getattr(library, f"{family.prefix}Tokenizer")
    return kind.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)


@contextlib.contextmanager
def _one_sentence(name: str) -> Iterator[None]:
    """What transformers makes of a folder that does not hold together, in one sentence."""
    try:
        yield
    except (RetrievalError, MemoryError):
        raise
    except Exception as error:  # nearly anything, from nearly anywhere in the library
        said = " ".join(str(error).split())
        raise ModelError(
            f"the model in {name} cannot be used ({type(error).__name__}: {said[:80]}); "
            "fetch or save it again"
        ) from error


@contextlib.contextmanager
def _quiet(library: ModuleType) -> Iterator[None]:
    """Neither bars nor warnings: what is wrong is told by our own sentence."""
    log = library.utils.logging
    before = log.get_verbosity()
    log.set_verbosity(logging.CRITICAL)
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(before)
        log.enable_progress_bar()
