"""An official config, unchanged -> training and evaluation as the released code goes about them.

Draws, model selection and protocol are the official ones: the epoch is chosen on the config's
split, and `eval_settings` name the one that is tested afterwards. Where a config fixes the number
of epochs, the last one's figures on its split are those reported, and its weights those kept (the
released code keeps the best one's). In challenge mode no figures are computed: the
ten best videos of every query are written, for a server to judge.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval import checkpoint
from retrieval.datasets.official import OfficialSet, open_official
from retrieval.datasets.trees import medium_of
from retrieval.errors import SettingsError
from retrieval.evaluation import evaluate_matrices
from retrieval.experiments import RESULT, device_name, said_of_page
from retrieval.files import write_json
from retrieval.models import CEConfig, CENet, MNNet, build, from_official, load_weights
from retrieval.models.trained import read_trained
from retrieval.normalisers import Normaliser
from retrieval.official import challenge
from retrieval.official.configs import check_config, merged
from retrieval.reports.ranking_page import Evaluated, PageSettings, write_page
from retrieval.reports.report import Report
from retrieval.tested import Tested, TrainingSide, compare_all
from retrieval.training import expert_clips
from retrieval.training.distilling import read_masks, read_teacher
from retrieval.training.expert_settings import ExpertSettings
from retrieval.training.experts_trainer import ExpertsTrainer, seeded

CHALLENGE = "cvpr2020-challenge/"  # before the names of the challenge's experiments


def experiment_name(
    config_file: Path, custom_args: str = "", config: Mapping[str, Any] | None = None
) -> str:
    """Name of a config's runs: its folder and stem, then what custom arguments change."""
    name = f"{config_file.resolve().parent.name}-{config_file.stem}"
    for pair in filter(None, custom_args.split("+")):
        key, _, value = pair.partition("@")
        last = key.replace("_.", "--").split(".")[-2:]  # a point in a name is no step of the path
        name += "-" + "-".join([*last, value.replace(",", "--")])
    prefix = CHALLENGE if config and config.get("challenge_mode") else ""
    return prefix + name.replace("/", "-")


def train(
    config: Mapping[str, Any],
    seed: int,
    folder: Path,
    *,
    data: Path | None = None,
    device: str = "cpu",
    cache: Path | None = None,
    epochs: int | None = None,
    resume: Path | None = None,
    weighted_teachers: bool = True,
    normalisers: Sequence[str] = ("qbnorm",),
    keep_sims: bool = True,
    page: PageSettings | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Train under a seed and test the epoch that counts.

    Args:
        config: resolved.
        seed: of python, numpy and torch, as the released code seeds them.
        folder: of the run; a broken-off run goes on from it.
        data: folder of the data set, instead of the config's `data_dir`.
        device: cpu or cuda.
        cache: folder of plain arrays for the next start.
        epochs: instead of the config's, for a trial.
        resume: a checkpoint, official or ours, to go on from in a folder that has no run yet.
        weighted_teachers: whether teachers' text vectors carry their weights already.
        normalisers: specs for the report.
        keep_sims: writes the similarities for `python -m retrieval normalise`.
        page: writes the ranking page, of validation too where it says so.
        report: takes lines of progress.

    Returns:
        seed, epoch, validation figures, number of parameters, and the reports "t2v" and "v2t"; in
        challenge mode "predictions", a path, in their place.
    """
    check_config(config)
    if epochs is not None:
        config = merged(config, {"trainer": {"epochs": epochs, "save_period": 1}})
    model_config = from_official(config)
    settings = ExpertSettings.from_official(config, seed)
    dims, text_dim = expert_dims(model_config), model_config.text_dim
    opened = open_official(config, dims, text_dim=text_dim, data=data, cache=cache)
    opened.check_captions()
    tested = opened
    if config.get("eval_settings"):  # opened before there is a training to lose
        test_config = merged(config, config["eval_settings"])
        tested = open_official(
            test_config, dims, text_dim=text_dim, data=data, eval_only=True, cache=cache
        )
        expert_clips.from_official(tested, "val")  # for what it says of them
    clips = expert_clips.from_official(opened, "train").to(device)
    taught = opened.teachers if config.get("distil_loss") else ()
    if config.get("distil_loss") and not taught:
        raise SettingsError(
            "distil_loss is true, but distil_params names no teachers; name their files, or set it "
            "to false"
        )
    masks = None  # of fused captions, too: there is nothing to draw
    if opened.masks is not None and not opened.reading.fuse_captions:
        masks = read_masks(opened.masks, clips)
    trainer = ExpertsTrainer(
        seeded(model_config, seed),
        clips,
        expert_clips.from_official(opened, "val").to(device),
        settings,
        folder,
        config,
        teachers=[read_teacher(each, clips, weighted_teachers) for each in taught],
        masks=masks,
        validated=_pages_while_training(page, opened, report),
        report=report,
    )
    if resume is not None and trainer.epoch == 0:
        trainer.start_from(read_trained(resume))
    best = trainer.run()
    found = {
        "seed": seed,
        "epoch": best["epoch"],
        "validation": {name: v for name, v in best.items() if name.startswith("val_")},
        "n_parameters": sum(p.numel() for p in trainer.model.parameters()),
        "device": device_name(clips.device),
    }
    side, kept = TrainingSide.of(clips), folder if keep_sims else None
    asked = _ask(trainer.model, tested, side, int(best["epoch"]), kept)
    if config.get("challenge_mode"):
        found["predictions"] = str(_predictions(asked, folder))
    else:
        reports = asked.reports(normalisers)
        found |= {direction: each.to_dict() for direction, each in reports.items()}
    write_json(folder / RESULT, found)
    if page is not None and not config.get("challenge_mode"):
        report(said_of_page(lambda: _page(page, reports, asked)))
    return found


def evaluate(
    config: Mapping[str, Any],
    resume: Path,
    *,
    data: Path | None = None,
    device: str = "cpu",
    cache: Path | None = None,
    with_bank: bool = True,
    normalisers: Sequence[str] = ("qbnorm",),
    out: Path | None = None,
) -> Evaluated:
    """Evaluate a checkpoint, official or ours, on the split that a config names.

    Args:
        config: resolved; with `eval_settings` merged in where the test split is meant.
        resume: .pth file.
        data: folder of the data set, instead of the config's `data_dir`.
        device: cpu or cuda.
        cache: folder of plain arrays for the next start.
        with_bank: normalise with what the config's training list names: text-to-video with the
            training captions, video-to-text with the training videos.
        normalisers: specs for the report.
        out: where similarities are written; None keeps none.
    """
    asked = _resumed(config, resume, data, device, cache, with_bank, out)
    reports = asked.reports(normalisers)
    return Evaluated(reports, lambda page: _page(page, reports, asked))


def predict(
    config: Mapping[str, Any],
    resume: Path,
    folder: Path,
    *,
    data: Path | None = None,
    device: str = "cpu",
    cache: Path | None = None,
    normaliser: str | Normaliser = "none",
    out: Path | None = None,
) -> Path:
    """Write a checkpoint's prediction file for the challenge.

    Args:
        config: resolved; with `eval_settings` merged in where the test split is meant.
        resume: .pth file.
        folder: gets DATASET-SPLIT-predictions.csv.
        data, device, cache: as of `evaluate`.
        normaliser: what orders the videos; all but "none" needs the training captions.
        out: where similarities are written; None keeps none.

    Returns:
        the file.
    """
    asked = _resumed(config, resume, data, device, cache, normaliser != "none", out, both=False)
    folder.mkdir(parents=True, exist_ok=True)
    return _predictions(asked, folder, normaliser)


def owners_of(config: Mapping[str, Any], data: Path | None = None) -> tuple[np.ndarray, int]:
    """Place of each existing query's own video in the list of a config's split.

    Returns:
        [n_queries] in the order of prediction files, and the number of videos.
    """
    tested = open_official(config, {}, data=data, eval_only=True)
    return np.nonzero(tested.query_masks)[0], len(tested.val)


# ---- what is asked -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Asked:
    """Similarities of a split, and whose they are."""

    tested: OfficialSet
    found: Tested
    epoch: int | None  # of the weights, where it is known

    def reports(self, normalisers: Sequence[Any]) -> dict[str, Report]:
        """Text-to-video and video-to-text."""
        return self.found.reports(self.tested.name, normalisers, medium_of(self.tested.experts))


def _resumed(
    config: Mapping[str, Any],
    resume: Path,
    data: Path | None,
    device: str,
    cache: Path | None,
    with_bank: bool,
    out: Path | None,
    both: bool = True,
) -> _Asked:
    """A checkpoint, official or ours, and what is asked of it."""
    check_config(config)
    model_config = from_official(config)
    model = build(model_config)
    weights, epoch = checkpoint.read_trained(resume)
    load_weights(model, weights)
    if isinstance(model, CENet):
        model.checks_input = False
    opened = open_official(
        config,
        expert_dims(model_config),
        text_dim=model_config.text_dim,
        data=data,
        eval_only=not with_bank,
        cache=cache,
    )
    side = None
    if with_bank:
        side = TrainingSide(
            opened.training_counts(),
            lambda some: expert_clips.from_official(opened, "train", some).to(device),
        )
    return _ask(model.to(device), opened, side, epoch, out, both)


def expert_dims(config: Any) -> dict[str, int]:
    """Expert -> length of its vector or token, in the order of the network."""
    if isinstance(config, CEConfig):
        return {expert.name: expert.dim for expert in config.experts}
    return {config.expert: config.dim}


def _ask(
    model: CENet | MNNet,
    tested: OfficialSet,
    side: TrainingSide | None,
    epoch: int | None,
    out: Path | None,
    both: bool = True,
) -> _Asked:
    """Compare the evaluated videos with their captions, and with the training videos' side."""
    test = expert_clips.from_official(tested, "val").to(next(model.parameters()).device)
    n_captions = tested.reading.num_test_captions
    return _Asked(tested, compare_all(model, test, n_captions, side, out, both), epoch)


# ---- what is written -----------------------------------------------------------------------------


def _predictions(asked: _Asked, folder: Path, normaliser: str | Normaliser = "none") -> Path:
    """The prediction file of what was asked."""
    found = asked.found
    report = evaluate_matrices(
        found.sims,
        found.bank,
        correct=found.correct,
        mask=found.there,
        normalisers=[normaliser],
        keep_top=challenge.TOP,
        n_resamples=0,
        hubness_at=(),
        check=False,
    )
    if report.left_out:
        raise SettingsError(report.left_out[0].reason)
    path = folder / challenge.file_name(asked.tested.name, asked.tested.split)
    challenge.write_predictions(path, report.rows[-1].best)
    return path


def _page(page: PageSettings, reports: Mapping[str, Report], asked: _Asked) -> Path | None:
    tested = asked.tested
    where, captions = f"{tested.name}, {tested.split}", tested.asked_captions
    return write_page(page, reports, asked.found.sims, tested.val, captions, where, asked.epoch)


def _pages_while_training(
    page: PageSettings | None, opened: OfficialSet, report: Callable[[str], None]
) -> Callable[[int, np.ndarray, np.ndarray], None] | None:
    """What a trainer calls after validation, where pages are wanted every so many epochs."""
    if page is None or not page.every:
        return None

    def validated(epoch: int, sims: np.ndarray, there: np.ndarray) -> None:
        if epoch % page.every == 0:
            asked = _Asked(opened, Tested(sims, there), epoch)
            report(said_of_page(lambda: _page(page, asked.reports(()), asked)))

    return validated
