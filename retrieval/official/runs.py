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
from retrieval.errors import SettingsError
from retrieval.evaluation import Report, evaluate_matrices
from retrieval.experiments import RESULT, device_name, reports_of, write_sims
from retrieval.files import write_json
from retrieval.models import CEConfig, CENet, MNNet, build, from_official, load_weights
from retrieval.models.trained import read_trained
from retrieval.normalisers import Normaliser
from retrieval.official import challenge
from retrieval.official.configs import check_config, merged
from retrieval.reports.ranking_page import PageSettings, write_page
from retrieval.training import expert_clips
from retrieval.training.distilling import read_masks, read_teacher
from retrieval.training.expert_clips import similarities
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
        validated=_pages_while_training(page, opened),
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
    asked = _ask(trainer.model, tested, clips, int(best["epoch"]))
    if keep_sims:
        write_sims(folder, asked.sims, asked.there, asked.bank_sims)
    if config.get("challenge_mode"):
        found["predictions"] = str(_predictions(asked, folder))
    else:
        reports = asked.reports(normalisers)
        found |= {direction: each.to_dict() for direction, each in reports.items()}
        if page is not None:
            path = _page(page, reports, asked.sims, tested, asked.epoch)
            report("no ranking page" if path is None else f"ranking page {path}")
    write_json(folder / RESULT, found)
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
    page: PageSettings | None = None,
) -> dict[str, Report]:
    """Evaluate a checkpoint, official or ours, on the split that a config names.

    Args:
        config: resolved; with `eval_settings` merged in where the test split is meant.
        resume: .pth file.
        data: folder of the data set, instead of the config's `data_dir`.
        device: cpu or cuda.
        cache: folder of plain arrays for the next start.
        with_bank: normalise with the training captions of the config's training list.
        normalisers: specs for the report.
        out: where similarities are written; None keeps none.
        page: writes the ranking page.

    Returns:
        the reports "t2v" and "v2t".
    """
    asked = _resumed(config, resume, data, device, cache, with_bank)
    if out is not None:
        write_sims(out, asked.sims, asked.there, asked.bank_sims)
    reports = asked.reports(normalisers)
    if page is not None:
        _page(page, reports, asked.sims, asked.tested, asked.epoch)
    return reports


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
    asked = _resumed(config, resume, data, device, cache, with_bank=normaliser != "none")
    if out is not None:
        write_sims(out, asked.sims, asked.there, asked.bank_sims)
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
    """Similarities of a split's captions, and of training captions to its videos."""

    tested: OfficialSet
    sims: np.ndarray  # [n_videos * n_captions, n_videos]
    there: np.ndarray  # [n_videos, n_captions] whether there is such a caption
    bank_sims: np.ndarray | None  # [n_bank, n_videos]
    epoch: int | None  # of the weights, where it is known

    def reports(self, normalisers: Sequence[Any]) -> dict[str, Report]:
        """Text-to-video and video-to-text."""
        name = self.tested.name
        return reports_of(self.sims, self.there, self.bank_sims, name, normalisers)


def _resumed(
    config: Mapping[str, Any],
    resume: Path,
    data: Path | None,
    device: str,
    cache: Path | None,
    with_bank: bool,
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
    train = expert_clips.from_official(opened, "train").to(device) if with_bank else None
    return _ask(model.to(device), opened, train, epoch)


def expert_dims(config: Any) -> dict[str, int]:
    """Expert -> length of its vector or token, in the order of the network."""
    if isinstance(config, CEConfig):
        return {expert.name: expert.dim for expert in config.experts}
    return {config.expert: config.dim}


def _ask(
    model: CENet | MNNet,
    tested: OfficialSet,
    train: expert_clips.ExpertClips | None,
    epoch: int | None,
) -> _Asked:
    """Compare the evaluated videos with their captions, and with all training captions."""
    test = expert_clips.from_official(tested, "val").to(next(model.parameters()).device)
    captions, there = test.asked(tested.reading.num_test_captions)
    sims = similarities(model, test, captions.ravel(), test)
    bank_sims = None
    if train is not None:
        bank_sims = similarities(model, train, np.arange(len(train.captions)), test)
    return _Asked(tested, sims, there, bank_sims, epoch)


# ---- what is written -----------------------------------------------------------------------------


def _predictions(asked: _Asked, folder: Path, normaliser: str | Normaliser = "none") -> Path:
    """The prediction file of what was asked."""
    owner = np.repeat(np.arange(len(asked.there)), asked.there.shape[1])
    report = evaluate_matrices(
        asked.sims,
        asked.bank_sims,
        correct=owner,
        mask=asked.there,
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


def _page(
    page: PageSettings,
    reports: Mapping[str, Report],
    sims: np.ndarray,
    tested: OfficialSet,
    epoch: int | None,
) -> Path | None:
    where = f"{tested.name}, {tested.split}"
    return write_page(page, reports, sims, tested.val, tested.asked_captions, where, epoch)


def _pages_while_training(
    page: PageSettings | None, opened: OfficialSet
) -> Callable[[int, np.ndarray, np.ndarray], None] | None:
    """What a trainer calls after validation, where pages are wanted every so many epochs."""
    if page is None or not page.every:
        return None

    def validated(epoch: int, sims: np.ndarray, there: np.ndarray) -> None:
        if epoch % page.every == 0:
            _page(page, reports_of(sims, there, None, opened.name), sims, opened, epoch)

    return validated
