"""A recipe and a seed -> a trained network, its similarities and the report of them.

Runs of one table share what they read: a `Library` keeps features of a tree on the device.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from retrieval import statistics
from retrieval.datasets.features import (
    Features,
    read_dict,
    read_features,
    read_text_features,
    sentence_of,
)
from retrieval.datasets.official import read_list
from retrieval.datasets.trees import (
    expert_files,
    first_of,
    get_tree,
    medium_of,
    split_lists,
    text_files,
)
from retrieval.errors import FileError, ModelError, SettingsError
from retrieval.files import read_json, write_json
from retrieval.models import CEConfig, CENet
from retrieval.reports.ranking_page import Evaluated, PageSettings, write_page
from retrieval.reports.report import Report
from retrieval.tested import NORMALISERS, Tested, TrainingSide, compare_all
from retrieval.training.distilling import Taught, denoising_mask, taught_by
from retrieval.training.expert_clips import ExpertClips, Tokens, expert_tensors
from retrieval.training.expert_recipes import (
    TEACHER_SEED,
    TOKENS,
    ExpertRecipe,
    get_expert_recipe,
    waits_for,
)
from retrieval.training.experts_trainer import (
    BEST,
    ExpertsTrainer,
    read_checkpoint,
    seeded,
    trained,
)

RESULT = "result.json"  # written last: where it stands, the run is whole
PARTS = ("train", "val", "test")


class Library:
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
        known = read_dict(file, self._lists(recipe)["test"]) if file.is_file() else {}
        return lambda video: [[sentence_of(each)] for each in known.get(video, ())[:n_captions]]

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


def run(
    name: str,
    seed: int,
    library: Library,
    out: Path,
    *,
    epochs: int | None = None,
    save_every: int = 1,
    keep_sims: bool = True,
    page: PageSettings | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Train a recipe under a seed, test it once, and keep what was found; done runs are read.

    Args:
        name: of the recipe; the runs of its teachers must be in `out`, or are made first.
        seed: of parameters and draws.
        library: the features.
        out: folder of all runs; this one's is NAME/seed-SEED.
        epochs: instead of the recipe's, for a trial.
        save_every: epochs between saved states; 0 keeps the end alone.
        keep_sims: writes the similarities as well, for `python -m retrieval normalise`.
        page: writes the ranking page of the test clips.
        report: takes lines of progress.

    Returns:
        recipe, seed, epoch, validation figures, number of parameters, seconds, and the reports
        "t2v" and "v2t".
    """
    recipe = get_expert_recipe(name)
    settings = replace(recipe.settings, seed=seed, save_every=save_every)
    recipe = replace(
        recipe, settings=settings if epochs is None else replace(settings, epochs=epochs)
    )
    folder = Path(out) / name / f"seed-{seed}"
    identity = _plain(asdict(recipe))
    if (folder / RESULT).is_file():
        found = read_json(folder / RESULT)
        if _without_saving(found["recipe"]) != _without_saving(identity):
            raise ModelError(
                f"{name}/seed-{seed} was made by another version of the recipe; name another "
                "--out, or delete that folder"
            )
        return found
    began = time.monotonic()
    for teacher in waits_for(name):
        run(teacher, TEACHER_SEED, library, out, epochs=epochs, save_every=save_every,
            keep_sims=False, report=report)  # fmt: skip
    teachers = [taught(teacher, library, out) for teacher in waits_for(name)]
    train = library.clips(recipe, "train")
    masks = denoising_mask(teachers, train, recipe.denoise) if recipe.denoise else None
    config = library.model(recipe)
    trainer = ExpertsTrainer(
        seeded(config, seed),
        train,
        library.clips(recipe, "val"),
        recipe.settings,
        folder,
        {"recipe": name, "model": _plain(asdict(config))},
        teachers=teachers if recipe.teachers else (),
        masks=masks,
        report=lambda line: report(f"{name}, seed {seed}, {line}"),
    )
    best = trainer.run()
    trained_s = time.monotonic() - began
    found = tested(trainer.model, recipe, library, folder=folder if keep_sims else None)
    reports = found.reports(name, medium=medium_of(recipe.experts))
    result = {
        "name": name,
        "seed": seed,
        "recipe": identity,
        "epoch": best["epoch"],
        "validation": {k: v for k, v in best.items() if k.startswith("val_")},
        "n_parameters": sum(p.numel() for p in trainer.model.parameters()),
        "n_train": len(train),
        "captions_left": 1.0 if masks is None else float(masks.mean()),
        "trained_s": trained_s,
        "all_s": time.monotonic() - began,
        "device": device_name(library.device),
        **{direction: each.to_dict() for direction, each in reports.items()},
    }
    write_json(folder / RESULT, result)
    if page is not None:
        epoch = int(best["epoch"])
        said = said_of_page(lambda: _write_page(page, recipe, library, found, reports, epoch))
        report(f"{name}, seed {seed}, {said}")
    return read_json(folder / RESULT)  # as those get it who come later


def evaluate(
    name: str,
    resume: Path,
    library: Library,
    *,
    with_bank: bool = True,
    normalisers: Sequence[Any] = NORMALISERS,
    out: Path | None = None,
) -> Evaluated:
    """Test a checkpoint as the runs of its recipe are tested.

    Args:
        name: of the recipe.
        resume: checkpoint of one of its runs.
        library: the features.
        with_bank: normalise with the training captions, and with the training clips.
        normalisers: specs for the report.
        out: where similarities are written; None keeps none.

    Raises:
        ModelError: the checkpoint is of another recipe.
    """
    recipe, state = get_expert_recipe(name), read_checkpoint(resume)
    by = state["config"].get("recipe", "an official config")
    if by != name:
        raise ModelError(f"{Path(resume).name} was trained by {by}, not by {name}; give that")
    found = tested(trained(resume).to(library.device), recipe, library, with_bank, out)
    reports = found.reports(name, normalisers, medium_of(recipe.experts))
    epoch = int(state["epoch"])
    return Evaluated(
        reports, lambda page: _write_page(page, recipe, library, found, reports, epoch)
    )


def _write_page(
    page: PageSettings,
    recipe: ExpertRecipe,
    library: Library,
    found: Tested,
    reports: Mapping[str, Report],
    epoch: int,
) -> Path | None:
    test, where = library.clips(recipe, "test"), f"{recipe.dataset}, {recipe.test}"
    captions = library.captions(recipe, found.there.shape[1])
    return write_page(page, reports, found.sims, test.videos, captions, where, epoch)


def tested(
    model: CENet,
    recipe: ExpertRecipe,
    library: Library,
    with_bank: bool = True,
    folder: Path | None = None,
) -> Tested:
    """Compare what a recipe is tested with; `folder` gets the similarities."""
    train = library.clips(recipe, "train") if with_bank else None
    side = None if train is None else TrainingSide.of(train, recipe.settings.n_captions)
    return compare_all(model, library.clips(recipe, "test"), recipe.test_captions, side, folder)


def taught(name: str, library: Library, out: Path) -> Taught:
    """What the finished run of a teacher says of the training clips."""
    return library.taught(Path(out) / name / f"seed-{TEACHER_SEED}" / BEST, get_expert_recipe(name))


def over_seeds(found: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, tuple[float, float]]]:
    """Mean and sample standard deviation of several seeds' metrics.

    Of "t2v" and "v2t", and of "t2v qbnorm" and "v2t qbnorm" where every seed has them.
    """
    picked = {
        f"{direction} {spec}".removesuffix(" none"): [
            each[direction]["metrics"].get(spec) for each in found
        ]
        for direction in ("t2v", "v2t")
        for spec in ("none", *NORMALISERS)
    }
    return {
        what: {name: statistics.mean_and_std([m[name] for m in each]) for name in each[0]}
        for what, each in picked.items()
        if all(each)
    }


def said_of_page(write: Callable[[], Path | None]) -> str:
    """Write a run's ranking page, and say where it is, or why not: the run is none the worse."""
    try:
        path = write()
    except FileError as error:
        return f"no ranking page: {error}"
    return "no ranking page" if path is None else f"ranking page {path}"


def device_name(device: torch.device) -> str:
    """What a run was made on, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


def _plain(value: Any) -> Any:
    """Tuples as lists, as JSON has them."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _without_saving(recipe: Mapping[str, Any]) -> dict[str, Any]:
    settings = {k: v for k, v in recipe["settings"].items() if k != "save_every"}
    return {**recipe, "settings": settings}
