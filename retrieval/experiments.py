"""A recipe and a seed -> a trained network, its similarities and the report of them.

Runs of one table share what they read: a `Library` keeps features of a tree on the device.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

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
from retrieval.datasets.trees import expert_files, first_of, get_tree, split_lists, text_files
from retrieval.errors import ModelError, SettingsError
from retrieval.evaluation import Report, evaluate_matrices
from retrieval.files import read_json, write_json, write_npy
from retrieval.models import CEConfig, CENet
from retrieval.reports.ranking_page import PageSettings, write_page
from retrieval.training.distilling import Taught, denoising_mask, taught_by
from retrieval.training.expert_clips import ExpertClips, Tokens, expert_tensors, similarities
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
NORMALISERS = ("qbnorm",)


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
    sims = tested(trainer.model, recipe, library)
    reports = reports_of(sims.test, sims.there, sims.bank, name, videos=sims.videos)
    if keep_sims:
        write_sims(folder, sims.test, sims.there, sims.bank)
    if page is not None:
        path = _write_page(page, recipe, library, sims, reports, int(best["epoch"]))
        report(f"{name}, seed {seed}, ranking page {path}")
    found = {
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
    write_json(folder / RESULT, found)
    return read_json(folder / RESULT)  # as those get it who come later


def evaluate(
    name: str,
    resume: Path,
    library: Library,
    *,
    with_bank: bool = True,
    normalisers: Sequence[Any] = NORMALISERS,
    out: Path | None = None,
    page: PageSettings | None = None,
) -> dict[str, Report]:
    """Test a checkpoint as the runs of its recipe are tested.

    Args:
        name: of the recipe.
        resume: checkpoint of one of its runs.
        library: the features.
        with_bank: normalise with the training captions, and with the training clips.
        normalisers: specs for the report.
        out: where similarities are written; None keeps none.
        page: writes the ranking page.

    Returns:
        the reports "t2v" and "v2t".

    Raises:
        ModelError: the checkpoint is of another recipe.
    """
    recipe, state = get_expert_recipe(name), read_checkpoint(resume)
    by = state["config"].get("recipe", "an official config")
    if by != name:
        raise ModelError(f"{Path(resume).name} was trained by {by}, not by {name}; give that")
    sims = tested(trained(resume).to(library.device), recipe, library, with_bank)
    if out is not None:
        write_sims(out, sims.test, sims.there, sims.bank)
    reports = reports_of(sims.test, sims.there, sims.bank, name, normalisers, sims.videos)
    if page is not None:
        _write_page(page, recipe, library, sims, reports, int(state["epoch"]))
    return reports


def _write_page(
    page: PageSettings,
    recipe: ExpertRecipe,
    library: Library,
    sims: "Tested",
    reports: Mapping[str, Report],
    epoch: int,
) -> Path | None:
    test, where = library.clips(recipe, "test"), f"{recipe.dataset}, {recipe.test}"
    captions = library.captions(recipe, sims.there.shape[1])
    return write_page(page, reports, sims.test, test.videos, captions, where, epoch)


class Tested(NamedTuple):
    """Similarities of a test split, and of what normalises it in either direction."""

    test: np.ndarray  # [n_videos * test_captions, n_videos]
    there: np.ndarray  # [n_videos, test_captions] whether there is such a caption
    bank: np.ndarray | None  # [n_bank, n_videos] of the training captions, the querybank
    videos: np.ndarray | None  # [n_videos * test_captions, n_train] of the training videos


def tested(model: CENet, recipe: ExpertRecipe, library: Library, with_bank: bool = True) -> Tested:
    """Compare test captions, test videos, and their querybanks: training captions and videos."""
    test = library.clips(recipe, "test")
    captions, there = test.asked(recipe.test_captions)
    sims = similarities(model, test, captions.ravel(), test)
    if not with_bank:
        return Tested(sims, there, None, None)
    train = library.clips(recipe, "train")
    places, drawn = train.asked(recipe.settings.n_captions)
    return Tested(
        sims,
        there,
        similarities(model, train, places[drawn], test),
        similarities(model, test, captions.ravel(), train),
    )


def write_sims(
    folder: Path, sims: np.ndarray, there: np.ndarray, bank_sims: np.ndarray | None
) -> None:
    """Write sims.npy, mask.npy and bank_sims.npy, as `python -m retrieval normalise` takes them."""
    folder.mkdir(parents=True, exist_ok=True)
    write_npy(folder / "sims.npy", sims)
    write_npy(folder / "mask.npy", there)
    if bank_sims is not None:
        write_npy(folder / "bank_sims.npy", bank_sims)


def reports_of(
    sims: np.ndarray,
    there: np.ndarray,
    bank_sims: np.ndarray | None,
    name: str,
    normalisers: Sequence[str] = NORMALISERS,
    videos: np.ndarray | None = None,
) -> dict[str, Report]:
    """Text-to-video and video-to-text, raw and normalised, as everything is evaluated.

    Args:
        sims: [n_videos * n_captions, n_videos] of captions, video by video.
        there: [n_videos, n_captions] whether there is such a caption.
        bank_sims: [n_bank, n_videos] of training captions; None reports raw figures alone.
        name: of what is ranked.
        normalisers: specs.
        videos: [n_videos * n_captions, n_train] of training videos, which normalise
            video-to-text; None leaves that raw.
    """
    mask = None if there.all() else there
    owner = np.repeat(np.arange(len(there)), there.shape[1])
    return {
        "t2v": evaluate_matrices(
            sims,
            bank_sims,
            correct=owner,
            mask=mask,
            normalisers=normalisers,
            name=name,
            bank_name=None if bank_sims is None else "training captions",
        ),
        "v2t": evaluate_matrices(
            np.ascontiguousarray(sims.T),
            None if videos is None else videos.T,
            correct=owner,
            mask=mask,
            normalisers=normalisers,
            direction="v2t",
            name=name,
            bank_name=None if videos is None else "training videos",
        ),
    }


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
