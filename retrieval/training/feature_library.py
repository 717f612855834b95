"""A feature tree and a recipe -> its clips, of features that are read once for many runs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from retrieval.datasets.features import (
    Features,
    read_features,
    read_sentences,
    read_text_features,
)
from retrieval.datasets.official import read_list
from retrieval.datasets.trees import expert_files, first_of, get_tree, split_lists, text_files
from retrieval.errors import SettingsError
from retrieval.models import CEConfig
from retrieval.training.distilling import Taught, taught_by
from retrieval.training.expert_clips import ExpertClips, Tokens, expert_tensors
from retrieval.training.expert_recipes import TOKENS, ExpertRecipe
from retrieval.training.experts_trainer import trained

PARTS = ("train", "val", "test")


class FeatureLibrary:
    """Features of one tree, read once and kept on the device for many runs."""

    def __init__(self, data: Path, device: str = "cpu", cache: Path | None = None) -> None:
        """Open it; features are read when a recipe first asks for them.

        Args:
            data: root of the feature tree.
            device: where the clips' tensors lie.
            cache: folder of plain arrays for the next start; None is `cache` in the tree.
        """
        self.root, self.device = Path(data), torch.device(device)
        self.cache = self.root / "cache" if cache is None else cache
        self._experts: dict[Any, Any] = {}
        self._texts: dict[Any, Any] = {}
        self._taught: dict[Any, Taught] = {}

    def clips(self, recipe: ExpertRecipe, part: str) -> ExpertClips:
        """The clips of a recipe's part: train, val or test, without those it cannot use."""
        videos = self._lists(recipe)[part]
        found = {name: self._expert(recipe, name, part) for name in recipe.experts}
        captions, first = self._text(recipe, part)
        clips = ExpertClips(
            tuple(videos),
            {name: x for name, (x, _) in found.items()},
            {name: there for name, (_, there) in found.items()},
            captions,
            first,
        )
        if recipe.needs:
            keep = np.all([found[name][1].cpu().numpy() > 0 for name in recipe.needs], axis=0)
            if keep.sum() < 2:
                needed = " and ".join(recipe.needs)
                raise SettingsError(
                    f"{keep.sum()} clips of the {part} split have {needed}; write features of more"
                )
            clips = clips.only(keep)
        if part == "train" and recipe.train_clips:
            clips = clips.only(np.arange(len(clips)) < recipe.train_clips)
        return clips.checked()

    def model(self, recipe: ExpertRecipe) -> CEConfig:
        """What a recipe's network is built from, with the sizes found in the tree."""
        dims = {}
        for name in recipe.experts:
            x, _ = self._expert(recipe, name, "val")
            dims[name] = (x.rows if isinstance(x, Tokens) else x).shape[1]
        return recipe.model(dims, self._text(recipe, "val")[0].rows.shape[1])

    def taught(self, checkpoint: Path, recipe: ExpertRecipe) -> Taught:
        """What the network of a checkpoint says of the training clips; kept for the next run."""
        if checkpoint not in self._taught:
            model = trained(checkpoint).to(self.device)
            self._taught[checkpoint] = taught_by(model, self.clips(recipe, "train"))
        return self._taught[checkpoint]

    def read_one(self, recipe: ExpertRecipe, kind: str, name: str) -> None:
        """Read one feature, so that it is kept as plain arrays for other processes.

        Args:
            recipe: of the data set.
            kind: "expert" or "text".
            name: of the expert or of the text feature.
        """
        if kind == "expert":
            self._features(recipe, name)
        else:
            self._text_features(replace(recipe, text=name))

    def captions(self, recipe: ExpertRecipe, n_captions: int) -> Callable[[str], list[list[str]]]:
        """Test clip -> its first captions, in words; none where the tree lacks them."""
        file = first_of(self.root, get_tree(recipe.dataset).captions)
        known = read_sentences(file, self._lists(recipe)["test"]) if file.is_file() else {}
        return lambda video: [[each] for each in known.get(video, ())[:n_captions]]

    def _lists(self, recipe: ExpertRecipe) -> dict[str, list[str]]:
        train, val = split_lists(recipe.dataset, recipe.val)
        _, test = split_lists(recipe.dataset, recipe.test)
        bare = get_tree(recipe.dataset).bare_ids
        files = zip(PARTS, (train, val, test), strict=True)
        return {part: read_list(self.root / file, bare) for part, file in files}

    def _videos(self, recipe: ExpertRecipe) -> list[str]:
        return [video for videos in self._lists(recipe).values() for video in videos]

    def _features(self, recipe: ExpertRecipe, name: str) -> Features:
        files = expert_files(self.root, recipe.dataset, recipe.test, name, {})
        return read_features(name, files, self._videos(recipe), cache=self.cache)

    def _expert(self, recipe: ExpertRecipe, name: str, part: str) -> Any:
        key = (recipe.dataset, recipe.val, recipe.test, name)
        if key not in self._experts:
            features = self._features(recipe, name)
            parts = {}
            for each, videos in self._lists(recipe).items():
                x, there = expert_tensors(features, videos, TOKENS.get(name, 0))
                parts[each] = x.to(self.device), there.to(self.device)
            self._experts[key] = parts
        return self._experts[key][part]

    def _text_features(self, recipe: ExpertRecipe) -> Any:
        files = text_files(self.root, recipe.dataset, recipe.text)
        for file in files:
            if not file.is_file():
                raise FileNotFoundError(
                    f"no text feature {recipe.text}: {file.name} is not there; write it with "
                    "`python -m retrieval animations --experts`"
                )
        return read_text_features(files, self._videos(recipe), cache=self.cache)

    def _text(self, recipe: ExpertRecipe, part: str) -> tuple[Tokens, np.ndarray]:
        """Captions of a part, and where each video's begin; of one text feature at a time."""
        key = (recipe.dataset, recipe.val, recipe.test, recipe.text, recipe.n_words)
        if key not in self._texts:
            self._texts.clear()
            text = self._text_features(recipe)
            parts = {}
            for each, videos in self._lists(recipe).items():
                place = np.array([text.place[video] for video in videos])
                counts = text.captions[place + 1] - text.captions[place]
                captions = np.concatenate(
                    [np.arange(text.captions[i], text.captions[i + 1]) for i in place]
                )
                tokens = _first_tokens(text.rows, text.tokens, captions, recipe.n_words)
                parts[each] = tokens.to(self.device), np.concatenate([[0], np.cumsum(counts)])
            self._texts[key] = parts
        return self._texts[key][part]


def given_tree(data: Path | None) -> Path:
    """The feature tree that a recipe's options name.

    Raises:
        SettingsError: they name none.
    """
    if data is None:
        raise SettingsError(
            "--data is missing; give the film library's feature tree, which `python -m retrieval "
            "animations --experts OUT` writes"
        )
    return data


def _first_tokens(
    rows: np.ndarray, tokens: np.ndarray, captions: np.ndarray, longest: int
) -> Tokens:
    """The first tokens of some captions, in the precision in which they are stored."""
    start = tokens[captions]
    counts = np.minimum(tokens[captions + 1] - start, longest)
    ends = np.cumsum(counts)
    index = np.repeat(start - (ends - counts), counts) + np.arange(counts.sum())
    starts = torch.from_numpy(np.concatenate([[0], ends]))
    return Tokens(torch.from_numpy(np.ascontiguousarray(rows[index])), starts, longest)
