"""A network of the expert family and what makes tokens of captions -> an encoder of queries.

A row is the embeddings of all experts side by side, then their weights: of a caption the mixture of
experts, of a video 1 where it has the expert and 0 where it lacks it (see `retrieval.spaces`).

M/experts.json                  name, network, features it takes, where its live tokens come from
M/experts.safetensors           weights, in half precision
M/tokens/ or M/../tokens-TEXT/  what makes tokens of sentences
"""

import hashlib
import re
import shutil
from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from retrieval import checkpoint
from retrieval.encoders.texts import get_tokens
from retrieval.encoders.threads import one_thread
from retrieval.encoders.tokens import TokenEncoder, load_tokens
from retrieval.errors import ModelError, QueryError
from retrieval.files import read_json, sha256_file, write_json
from retrieval.formats import read_checkpoint
from retrieval.models import CEConfig, CENet, build, from_official, load_weights
from retrieval.models.trained import config_of
from retrieval.spaces import WeightedExperts
from retrieval.training.expert_clips import ExpertClips, caption_tokens, embed_videos
from retrieval.training.expert_recipes import TOKENS as TOKENS_OF
from retrieval.training.expert_recipes import get_expert_recipe

SETTINGS, WEIGHTS, TOKENS = "experts.json", "experts.safetensors", "tokens"
_BATCH = 512  # sentences at a time


@dataclass(frozen=True)
class Reads:
    """What a network takes of a feature tree."""

    dataset: str  # whose tree it is, see `retrieval.datasets.trees`
    split: str  # that it was tested on; some experts have files of their own there
    experts: Mapping[str, Mapping[str, Any]]  # name -> its entry in feat_aggregation
    tokens: Mapping[str, int]  # that are taken of an expert of many


class TrainedExperts:
    """Embeds typed sentences, and videos from their expert features; computes on the CPU."""

    dot_product = False  # a video's experts decide how much each of the caption's counts
    n_frames = 1  # frames are not what it takes

    def __init__(
        self,
        model: CENet,
        tokens: TokenEncoder,
        name: str,
        n_words: int,
        reads: Reads,
        settings: Mapping[str, Any],
    ) -> None:
        """Put a network to use.

        Args:
            model: with its weights.
            tokens: of the text feature that it was trained on.
            name: short name for people.
            n_words: tokens that are taken of a sentence.
            reads: which features it takes of a video.
            settings: all else, as JSON, that embeddings follow from.

        Raises:
            ModelError: the network has no embedding for each expert, or compares otherwise.
        """
        config = model.config
        if config.concat_experts or config.concat_mix_experts:
            raise ModelError(f"{name} has no embedding for each expert; take another recipe")
        if config.keep_missing_modalities:
            raise ModelError(
                f"{name} sums over experts that a video lacks, which is not served; train it "
                "without keep_missing_modalities"
            )
        model.checks_input = False
        self.model, self.tokens, self.name, self.n_words = model.eval(), tokens, name, n_words
        self.reads = reads
        self.digest = checkpoint.digest(model.state_dict(), {"n_words": n_words, **settings})
        text = self._embed_text([np.zeros((1, config.text_dim), np.float32)])[0]
        self.experts = tuple((name, text[name].shape[1]) for name in config.names)
        self.space = WeightedExperts(self.experts)
        self.dim = self.space.dim

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """Embed sentences: [n, dim].

        Raises:
            QueryError: nothing of a sentence is known.
        """
        if isinstance(texts, str):
            raise ValueError(f"give a list of sentences, got one string {texts[:20]!r}")
        parts = [np.zeros((0, self.dim), np.float32)]
        for start in range(0, len(texts), _BATCH):
            some = list(texts[start : start + _BATCH])
            rows = self.tokens.encode_all(some)
            for text, tokens in zip(some, rows, strict=True):
                if len(tokens) == 0:
                    raise QueryError(f"no word of {text[:60]!r} is known; use other words")
            parts.append(self._row(*self._embed_text(rows)))
        return np.concatenate(parts)

    def encode_videos(self, videos: Any) -> np.ndarray:
        """Frames are not enough: refused."""
        raise ModelError(
            f"{self.name} compares expert features of a video, not its frames; choose "
            "animations-clip to embed a video"
        )

    def encode_clips(self, clips: ExpertClips) -> np.ndarray:
        """Embed videos by their features: [n, dim]."""
        return self._row(*embed_videos(self.model, clips))

    def unknown_words(self, text: str) -> list[str]:
        """Words of the text that have no token."""
        return self.tokens.unknown_words(text)

    def truncated_at(self, text: str) -> str | None:
        """The first word whose token is not taken; None if all are."""
        words, room = text.split(), self.n_words
        if self.tokens.n_tokens(text) <= room:
            return None
        n_tokens = [self.tokens.n_tokens(" ".join(words[:n])) for n in range(1, len(words) + 1)]
        n_kept = bisect(n_tokens, room)
        return words[n_kept] if n_kept < len(words) else None

    @torch.no_grad()
    def _embed_text(self, rows: list[np.ndarray]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        taken = caption_tokens([np.asarray(each, np.float32) for each in rows], self.n_words)
        with one_thread():
            emb, weights = self.model.embed_text(taken.take(torch.arange(len(rows)))[:, None])
        return {name: one[:, 0] for name, one in emb.items()}, weights[:, 0]

    def _row(self, emb: dict[str, torch.Tensor], weights: torch.Tensor) -> np.ndarray:
        return self.space.row([emb[name].numpy() for name, _ in self.experts], weights.numpy())


# ---- a run's checkpoint --------------------------------------------------------------------------


def from_checkpoint(path: Path, tokens: TokenEncoder) -> TrainedExperts:
    """An encoder of a run's checkpoint, in full precision.

    Args:
        path: as `python -m retrieval train` writes it, of a recipe or of an official config.
        tokens: of the text feature that it was trained on.

    Raises:
        ModelError: no such checkpoint, or it was trained on another text feature.
    """
    run = read_run(path)
    _check_tokens(run.name, run.text, tokens)
    model = build(run.model)
    load_weights(model, run.weights)
    settings = {"model": _plain(run.model)}
    return TrainedExperts(model, tokens, run.name, run.n_words, run.reads, settings)


def pack(path: Path, tokens: str | Path, out: Path) -> TrainedExperts:
    """A run's checkpoint -> a folder that `get_encoder` loads; weights in half precision.

    Args:
        path: checkpoint of a run.
        tokens: the live text encoder, as `get_tokens` takes it: a folder that `animations
            --experts` writes, or NAME=SOURCE. A copy, or where the source lies, goes beside `out`,
            for other networks to share; into it where another of the name is there.
        out: the folder to make, whose name is the encoder's.
    """
    run = read_run(path)
    loaded = get_tokens(tokens)
    _check_tokens(out.name, run.text, loaded)
    own, beside = out / TOKENS, out.parent / f"tokens-{run.text}"
    loaded.save(own)
    if not beside.exists():
        own.replace(beside)
    elif _sum(beside) == _sum(own):
        shutil.rmtree(own)
    checkpoint.write_weights(out / WEIGHTS, run.weights)
    about = {
        "name": out.name,
        "n_words": run.n_words,
        "tokens": TOKENS if own.exists() else f"../{beside.name}",
        "reads": asdict(run.reads),
        "model": _plain(run.model),
    }
    write_json(out / SETTINGS, about)
    return load_experts(out)


@dataclass(frozen=True, eq=False)
class Run:
    """What a checkpoint of training tells."""

    name: str
    model: CEConfig
    text: str  # feature of the captions
    n_words: int  # tokens that are taken of a caption
    reads: Reads
    weights: dict[str, torch.Tensor]


def read_run(path: Path) -> Run:
    """Read a checkpoint of a recipe, of an official config, or of the released code itself.

    Raises:
        ModelError: no such checkpoint, or of a network that embeds nothing of its own.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint {path.name}; train first")
    state = read_checkpoint(path)  # by our own reader: released ones hold an object beside weights
    config, weights = state.get("config"), state.get("state_dict")
    if not isinstance(weights, dict) or not weights:
        raise ModelError(f"{path.name} holds no state_dict; give a checkpoint of training")
    weights = {key: torch.from_numpy(value) for key, value in weights.items()}
    if not isinstance(config, dict):
        config = config_of(path, state)
    if "recipe" in config:
        name = config["recipe"]
        recipe, model = get_expert_recipe(name), CEConfig.from_plain(config["model"])
        tokens = {each.name: TOKENS_OF.get(each.name, 0) for each in model.experts}
        reads = Reads(recipe.dataset, recipe.test, {each: {} for each in model.names}, tokens)
        return Run(name, model, recipe.text, recipe.n_words, reads, weights)
    name = Path(path).stem
    try:
        model, args = from_official(config), config["data_loader"]["args"]
        if not isinstance(model, CEConfig):
            raise ModelError(f"{name} embeds nothing of its own; index the features themselves")
        split = {**args, **config.get("eval_settings", {}).get("data_loader", {}).get("args", {})}
        how = {each: dict(args["feat_aggregation"][each]) for each in model.names}
        longest = args["max_tokens"]
        tokens = {each: int(longest[each]) for each in how if how[each]["temporal"] == "vlad"}
        reads = Reads(args["dataset_name"], split["split_name"], how, tokens)
        text, n_words = config["experts"]["text_feat"], int(longest["text"])
    except (KeyError, TypeError) as error:
        raise ModelError(
            f"{Path(path).name} does not tell the network and its features; give a checkpoint of "
            "`python -m retrieval train`"
        ) from error
    return Run(name, model, text, n_words, reads, weights)


def _check_tokens(name: str, text: str, tokens: TokenEncoder) -> None:
    if tokens.name != text:
        raise ModelError(
            f"{name} was trained on the text feature {text}, got {tokens.name}; give its text "
            "encoder"
        )


# ---- a folder ------------------------------------------------------------------------------------


def load_experts(folder: Path) -> TrainedExperts:
    """The encoder of a folder; who asks again gets the same one.

    Raises:
        ModelError: something is missing, damaged, or of another network.
    """
    settings = Path(folder).resolve() / SETTINGS
    return _loaded(settings, settings.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _loaded(settings: Path, _: int) -> TrainedExperts:
    folder = settings.parent
    about = read_json(settings)
    try:
        config = CEConfig.from_plain(about["model"])
        name, n_words, place = str(about["name"]), int(about["n_words"]), str(about["tokens"])
        reads = Reads(**about["reads"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{folder.name}/{SETTINGS} describes no network of experts; make it again"
        ) from error
    if not re.fullmatch(r"(\.\./)?\w[\w.-]*", place):
        raise ModelError(f"{folder.name}/{SETTINGS} names tokens outside; make it again")
    model = build(config)
    load_weights(model, checkpoint.read_weights(folder / WEIGHTS))
    loaded = load_tokens(folder / place)
    # The config as it is stored: a later field with a default does not make it another network.
    settings = {"model": about["model"], "tokens": _sum(folder / place)}
    return TrainedExperts(model, loaded, name, n_words, reads, settings)


def _sum(folder: Path) -> str:
    """SHA-256 of a folder's files."""
    sums = [f"{file.name} {sha256_file(file)}" for file in sorted(folder.iterdir())]
    return hashlib.sha256("\n".join(sums).encode()).hexdigest()


def _plain(config: CEConfig) -> dict[str, Any]:
    """A network's config as JSON holds it."""
    plain = asdict(config)
    return {**plain, "experts": list(plain["experts"]), "randomise": list(plain["randomise"])}
