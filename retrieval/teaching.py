"""A run's folder or a checkpoint -> the network, and the training clips that it can teach."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval import checkpoint
from retrieval.datasets.features import PICKLES
from retrieval.datasets.official import open_official
from retrieval.errors import ModelError, SettingsError
from retrieval.formats import open_matrix
from retrieval.models import CENet, build, from_official, load_weights
from retrieval.official.configs import is_config, load_config
from retrieval.official.runs import expert_dims
from retrieval.streaming.scoring import Truth, score_all
from retrieval.training import expert_clips
from retrieval.training.distilling import caption_ranks, check_teaches, taught_by
from retrieval.training.expert_clips import ExpertClips
from retrieval.training.expert_recipes import get_expert_recipe
from retrieval.training.experts_trainer import BEST, read_checkpoint, trained
from retrieval.training.feature_library import FeatureLibrary, given_tree

# Of students: what they say of the training captions is not yet there when a teacher is asked.
OF_STUDENTS = ("distil_loss", "distil_params", "caption_masks", "training_file")


@dataclass(frozen=True, eq=False)
class Teacher:
    """A network and all that it can say something of."""

    model: CENet
    clips: ExpertClips  # training videos with all their captions


def open_teacher(
    path: Path, config: str | None = None, data: Path | None = None, device: str = "cpu"
) -> Teacher:
    """Open a trained network with the training clips of its data set.

    Args:
        path: of a checkpoint, or the folder of a run.
        config: its official CONFIG.json; None where the checkpoint is ours and knows it.
        data: the data set's folder, instead of the config's; of a recipe its feature tree.
        device: where it is asked.

    Raises:
        FileNotFoundError: there is no checkpoint, or a feature file is missing.
        ModelError: the checkpoint does not say what it was trained with, or is of another network.
        SettingsError: the network has no embedding for each expert.
    """
    path = path / BEST if path.is_dir() else path
    if config is None:
        try:
            known = read_checkpoint(path)["config"]
        except ModelError as error:
            raise ModelError(
                f"{path.name} does not say what it was trained with; give its CONFIG.json with "
                "--config"
            ) from error
        if "recipe" in known:
            recipe = get_expert_recipe(known["recipe"])
            model = trained(path)
            check_teaches(model)
            library = FeatureLibrary(given_tree(data), device)
            return Teacher(model.to(device), library.clips(recipe, "train"))
    else:
        known = load_config(config)
    settings = from_official(known)
    model = build(settings)
    check_teaches(model)
    load_weights(model, checkpoint.read_weights(path))
    model.checks_input = False
    opened = open_official(without_students(known), expert_dims(settings), data=data)
    clips = expert_clips.from_official(opened, "train").to(device)
    return Teacher(model.to(device), clips)


def without_students(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config that reads all training captions, of all training videos."""
    return {key: value for key, value in config.items() if key not in OF_STUDENTS}


def ranks_of(teacher: Teacher) -> np.ndarray:
    """[n_captions] rank of each training caption's own video, as the teacher sees it."""
    return caption_ranks(taught_by(teacher.model, teacher.clips), teacher.clips)


def training_captions(config: str, data: Path | None = None) -> tuple[list[str], np.ndarray]:
    """Training videos, and where each one's captions begin.

    Args:
        config: an official CONFIG.json, or the name of a recipe.
        data: as of `open_teacher`.
    """
    if not is_config(config):
        recipe = get_expert_recipe(config)
        clips = FeatureLibrary(given_tree(data)).clips(recipe, "train")
        return list(clips.videos), clips.first
    opened = open_official(without_students(load_config(config)), {}, data=data)
    return opened.train, np.concatenate([[0], np.cumsum(opened.training_counts())])


def ranks_in_file(path: str, first: np.ndarray) -> np.ndarray:
    """[n_captions] rank of each caption's own video in a matrix that somebody brings.

    Args:
        path: of similarities [n_captions, n_videos], captions video by video.
        first: [n_videos + 1] where each video's captions begin.

    Raises:
        SettingsError: it is of another shape.
    """
    sims = open_matrix(path)
    n_captions, n_videos = int(first[-1]), len(first) - 1
    if sims.shape != (n_captions, n_videos):
        raise SettingsError(
            f"{Path(path).name} is {sims.shape[0]:,} x {sims.shape[1]:,}, expected "
            f"{n_captions:,} training captions x {n_videos:,} training videos; compare those"
        )
    owner = np.repeat(np.arange(n_videos), np.diff(first))
    truth = Truth.of_videos(sims.shape, owner, None)
    return score_all(sims, (), truth, keep_top=0, at=())[0].ranks


def same_captions(found: Sequence[tuple[Sequence[str], np.ndarray]]) -> None:
    """Check that teachers were asked about the same captions.

    Raises:
        SettingsError: lists differ.
    """
    (videos, first), *others = found
    for names, starts in others:
        if list(names) != list(videos) or not np.array_equal(starts, first):
            raise SettingsError(
                f"teachers know {len(videos):,} videos with {first[-1]:,} captions and "
                f"{len(names):,} with {starts[-1]:,}; give teachers of one training list"
            )


def check_pickle(path: Path) -> None:
    """Check that configs can name a file that is to be written.

    Raises:
        SettingsError: its ending is not that of a pickle.
    """
    if path.suffix not in PICKLES:
        raise SettingsError(f"--out must end in {' or '.join(PICKLES)}, got {path.name}")
