"""A recipe and a seed -> a trained network, its similarities and the report of them.

Runs of one table share what they read: a `FeatureLibrary` keeps features of a tree on the device.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from retrieval import statistics
from retrieval.datasets.trees import medium_of
from retrieval.errors import FileError, ModelError
from retrieval.files import read_json, write_json
from retrieval.models import CENet
from retrieval.reports.ranking_page import Evaluated, PageSettings, write_page
from retrieval.reports.report import Report
from retrieval.tested import NORMALISERS, Tested, TrainingSide, compare_all
from retrieval.training.distilling import Taught, denoising_mask
from retrieval.training.expert_recipes import (
    TEACHER_SEED,
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
from retrieval.training.feature_library import FeatureLibrary

RESULT = "result.json"  # written last: where it stands, the run is whole


def run(
    name: str,
    seed: int,
    library: FeatureLibrary,
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
    library: FeatureLibrary,
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
    library: FeatureLibrary,
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
    library: FeatureLibrary,
    with_bank: bool = True,
    folder: Path | None = None,
) -> Tested:
    """Compare what a recipe is tested with; `folder` gets the similarities."""
    train = library.clips(recipe, "train") if with_bank else None
    side = None if train is None else TrainingSide.of(train, recipe.settings.n_captions)
    return compare_all(model, library.clips(recipe, "test"), recipe.test_captions, side, folder)


def taught(name: str, library: FeatureLibrary, out: Path) -> Taught:
    """What the finished run of a teacher says of the training clips."""
    return library.taught(Path(out) / name / f"seed-{TEACHER_SEED}" / BEST, get_expert_recipe(name))


def figures_over_seeds(
    found: Sequence[Mapping[str, Any]],
) -> dict[str, dict[str, tuple[float, float]]]:
    """Mean and sample standard deviation of several seeds' metrics.

    The released code divides by n - 1 too, but by n for Geom alone; here all columns are alike.

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
