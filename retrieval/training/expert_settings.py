"""An official config, or a recipe's own choice -> how a network on expert features is trained."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retrieval.errors import SettingsError

LOTS = ("own", "official")
# Figures that a run is judged by, as official configs name them.
FIGURES = {
    **{f"R{k}": f"R@{k}" for k in (1, 5, 10, 50)},
    "MedR": "MdR",
    "MeanR": "MnR",
    "geometric_mean_R1-R5-R10": "Geom",
}


@dataclass(frozen=True)
class ExpertSettings:
    """How a network of the family is trained."""

    epochs: int = 15
    batch: int = 128  # videos a step, each with one caption drawn by lot
    optimiser: str = "Ranger"  # see training/optimisers.py
    optimiser_args: Mapping[str, Any] = field(
        default_factory=lambda: {"lr": 0.05, "weight_decay": 1e-3}
    )
    schedule: str = "StepLR"  # stepped once an epoch
    schedule_args: Mapping[str, Any] = field(default_factory=lambda: {"step_size": 1, "gamma": 0.9})
    margin: float = 0.2  # of the ranking loss, a difference of similarities
    fix_norm: bool = True  # leaves the diagonal out of that loss
    n_captions: int = 0  # first captions of a training video to draw from; 0 for all
    val_captions: int = 1  # captions asked of each validation video
    select: str = "best"  # epoch by `monitor`, a later one of equals; or "last"
    lot: str = "own"  # "official": the draws of the released loader
    n_workers: int = 0  # processes among which the released loader shares out its draws
    seed: int = 0
    save_every: int = 1  # epochs between saved states; 0 for the end alone
    monitor: str = "max val_t2v_Geom"  # what is best: max or min, and a validation figure
    text_dropout: float = 0.0  # chance that a drawn caption loses half of its tokens
    drop_last: bool = False  # whether the videos left at the end of an epoch are left out

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 2 or self.save_every < 0 or self.n_workers < 0:
            raise SettingsError(
                f"expected epochs >= 1, batch >= 2, save_every >= 0, num_workers >= 0, got "
                f"{self.epochs}, {self.batch}, {self.save_every} and {self.n_workers}"
            )
        if not 0 <= self.text_dropout <= 1:
            raise SettingsError(f"text_dropout is a chance of 0 to 1, got {self.text_dropout}")
        if not re.fullmatch(r"(max|min) \S+", self.monitor):
            raise SettingsError(
                f"monitor must be max or min and a figure like val_t2v_Geom, got {self.monitor!r}"
            )
        if self.lot not in LOTS or self.select not in ("best", "last"):
            raise SettingsError(
                f"lot must be own or official and select best or last, got {self.lot!r} and "
                f"{self.select!r}"
            )

    @staticmethod
    def from_official(config: Mapping[str, Any], seed: int = 0) -> "ExpertSettings":
        """What the sections of a resolved official config say.

        Raises:
            SettingsError: a value that is not supported, or a section is missing.
        """
        try:
            loader, trainer = config["data_loader"]["args"], config["trainer"]
            optimiser, schedule = config["optimizer"], config["lr_scheduler"]
            loss = config["loss"]
            epochs, batch = trainer["epochs"], loader["batch_size"]
            types = optimiser["type"], schedule["type"]
        except (KeyError, TypeError) as error:
            raise SettingsError(f"the config lacks {error}; add it") from error
        if loss.get("type") != "MaxMarginRankingLoss":
            raise SettingsError(f"unknown loss {loss.get('type')!r}; give MaxMarginRankingLoss")
        if loader.get("text_dropout") and loader.get("fuse_captions"):
            raise SettingsError("text_dropout cannot be combined with fuse_captions; set it to 0")
        if epochs < trainer.get("save_period", 1):
            raise SettingsError(
                f"trainer.epochs {epochs} is below trainer.save_period {trainer['save_period']}, "
                "so that nothing would be saved; raise one or lower the other"
            )
        limited = loader.get("restrict_train_captions", 0)
        mode = config.get("eval_mode", "test_run")
        if mode not in ("test_run", "fixed_num_epochs"):
            raise SettingsError(
                f"unknown eval_mode {mode!r}; give test_run, which tests the best epoch, or "
                "fixed_num_epochs, which reports the last"
            )
        last = mode == "fixed_num_epochs"
        return ExpertSettings(
            epochs=epochs,
            batch=batch,
            optimiser=types[0],
            optimiser_args=dict(optimiser.get("args", {})),
            schedule=types[1],
            schedule_args=dict(schedule.get("args", {})),
            margin=loss.get("args", {}).get("margin", 1),
            fix_norm=loss.get("args", {}).get("fix_norm", True),
            # The released code restricts captions of this data set only.
            n_captions=limited if loader.get("dataset_name") == "MSRVTT" else 0,
            val_captions=loader.get("num_test_captions", 1),
            select="last" if last else "best",
            lot="official",
            n_workers=loader.get("num_workers", 0),
            seed=seed,
            monitor="max val_t2v_Geom" if last else _monitored(trainer.get("monitor")),
            text_dropout=float(loader.get("text_dropout", 0.0)),
            drop_last=bool(loader.get("drop_last", False)),
        )


def _monitored(official: str | None) -> str:
    """An official config's `trainer.monitor` in our names."""
    given = official or "max val_t2v_metrics_geometric_mean_R1-R5-R10"
    found = re.fullmatch(r"(max|min) val_(t2v|v2t)_metrics_(\S+)", given)
    if not found or found[3] not in FIGURES:
        known = ", ".join(FIGURES)
        raise SettingsError(
            f"unknown trainer.monitor {given!r}; give max or min and val_t2v_metrics_ or "
            f"val_v2t_metrics_ with one of {known}"
        )
    return f"{found[1]} val_{found[2]}_{FIGURES[found[3]]}"
