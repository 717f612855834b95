"""An official config, unchanged -> training and evaluation as the released code goes about them.

Draws, model selection and protocol are the official ones: the epoch is chosen on the config's
split, and `eval_settings` name the one that is tested afterwards. Without them the last epoch's
figures on the config's split are those reported.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from retrieval import checkpoint
from retrieval.configs import merged
from retrieval.datasets.official import OfficialSet, open_official
from retrieval.evaluation import Report
from retrieval.experiments import RESULT, device_name, reports_of
from retrieval.files import write_json, write_npy
from retrieval.models import CEConfig, CENet, MNNet, build, from_official, load_weights
from retrieval.training import expert_clips
from retrieval.training.distilling import read_masks, read_teacher
from retrieval.training.expert_clips import similarities
from retrieval.training.experts_trainer import ExpertSettings, ExpertsTrainer, seeded


def experiment_name(config_file: Path, custom_args: str = "") -> str:
    """Name of a config's runs: its folder and stem, then what custom arguments change."""
    name = f"{config_file.resolve().parent.name}-{config_file.stem}"
    for pair in filter(None, custom_args.split("+")):
        key, _, value = pair.partition("@")
        name += "-" + "-".join([*key.split(".")[-2:], value])
    return name.replace("/", "-")


def train(
    config: Mapping[str, Any],
    seed: int,
    folder: Path,
    *,
    data: Path | None = None,
    device: str = "cpu",
    cache: Path | None = None,
    epochs: int | None = None,
    weighted_teachers: bool = True,
    normalisers: Sequence[str] = ("qbnorm",),
    keep_sims: bool = True,
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
        weighted_teachers: whether teachers' text vectors carry their weights already.
        normalisers: specs for the report.
        keep_sims: writes the similarities for `python -m retrieval normalise`.
        report: takes lines of progress.

    Returns:
        seed, epoch, validation figures, number of parameters, and the reports "t2v" and "v2t".
    """
    if epochs is not None:
        config = merged(config, {"trainer": {"epochs": epochs}})
    model_config = from_official(config)
    opened = open_official(config, _dims(model_config), data=data, cache=cache)
    clips = expert_clips.from_official(opened, "train").to(device)
    taught = opened.teachers if config.get("distil_loss") else ()
    trainer = ExpertsTrainer(
        seeded(model_config, seed),
        clips,
        expert_clips.from_official(opened, "val").to(device),
        ExpertSettings.from_official(config, seed),
        folder,
        config,
        teachers=[read_teacher(each, clips, weighted_teachers) for each in taught],
        masks=None if opened.masks is None else read_masks(opened.masks, clips),
        report=report,
    )
    best = trainer.run()
    found = {
        "seed": seed,
        "epoch": best["epoch"],
        "validation": {name: v for name, v in best.items() if name.startswith("val_")},
        "n_parameters": sum(p.numel() for p in trainer.model.parameters()),
        "device": device_name(clips.device),
    }
    tested = opened
    if config.get("eval_settings"):
        settings = merged(config, config["eval_settings"])
        tested = open_official(
            settings, _dims(model_config), data=data, eval_only=True, cache=cache
        )
    reports = _reports(trainer.model, tested, clips, normalisers, folder if keep_sims else None)
    found |= {direction: each.to_dict() for direction, each in reports.items()}
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

    Returns:
        the reports "t2v" and "v2t".
    """
    model_config = from_official(config)
    model = build(model_config)
    load_weights(model, checkpoint.read_weights(resume))
    if isinstance(model, CENet):
        model.checks_input = False
    opened = open_official(
        config, _dims(model_config), data=data, eval_only=not with_bank, cache=cache
    )
    train = expert_clips.from_official(opened, "train").to(device) if with_bank else None
    return _reports(model.to(device), opened, train, normalisers, out)


def _dims(config: Any) -> dict[str, int]:
    if isinstance(config, CEConfig):
        return {expert.name: expert.dim for expert in config.experts}
    return {config.expert: config.dim}


@torch.no_grad()
def _reports(
    model: CENet | MNNet,
    tested: OfficialSet,
    train: expert_clips.ExpertClips | None,
    normalisers: Sequence[str],
    out: Path | None,
) -> dict[str, Report]:
    """Rank the evaluated videos; the bank is all training captions."""
    test = expert_clips.from_official(tested, "val").to(next(model.parameters()).device)
    captions, there = test.asked(tested.reading.num_test_captions)
    sims = similarities(model, test, captions.ravel(), test)
    bank_sims = None
    if train is not None:
        bank_sims = similarities(model, train, np.arange(len(train.captions)), test)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_npy(out / "sims.npy", sims)
        write_npy(out / "mask.npy", there)
        if bank_sims is not None:
            write_npy(out / "bank_sims.npy", bank_sims)
    return reports_of(sims, there, bank_sims, tested.name, normalisers)
