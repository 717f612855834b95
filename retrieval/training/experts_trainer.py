"""Expert features and captions in memory -> a trained network of the Collaborative Experts family.

A run can be killed at any time: it goes on from its last whole epoch with the numbers of an
unbroken one.
"""

import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from retrieval import checkpoint
from retrieval.errors import ModelError, SettingsError
from retrieval.files import write_json, write_jsonl
from retrieval.losses import distillation, max_margin_ranking
from retrieval.metrics import summarise, t2v_ranks, v2t_ranks
from retrieval.models import CEConfig, CENet, MNNet, MNNetConfig, build, load_weights
from retrieval.models.trained import Trained
from retrieval.training.events import Events
from retrieval.training.expert_clips import ExpertClips, similarities
from retrieval.training.optimisers import get_optimiser, get_schedule

BEST, LAST, LOG, CONFIG = "trained_model.pth", "last.pth", "log.jsonl", "config.json"
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
        last = config.get("eval_mode") == "fixed_num_epochs"
        return ExpertSettings(
            epochs=epochs,
            batch=batch,
            optimiser=optimiser["type"],
            optimiser_args=dict(optimiser.get("args", {})),
            schedule=schedule["type"],
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


@dataclass(frozen=True, eq=False)
class Taught:
    """What one teacher says of the training clips, its experts side by side."""

    video: torch.Tensor  # [n, dim]
    text: torch.Tensor  # [n_captions, dim], weighted beforehand by the teacher's weights

    def sims(self, captions: torch.Tensor, videos: torch.Tensor) -> torch.Tensor:
        """[n, n] similarities of a batch, as the teacher's stored vectors give them."""
        return self.text[captions].float() @ self.video[videos].float().T


def seeded(config: CEConfig | MNNetConfig, seed: int) -> CENet | MNNet:
    """A network with the fresh parameters of a seed."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    return build(config)


class ExpertsTrainer:
    """One run."""

    def __init__(
        self,
        model: CENet | MNNet,
        train: ExpertClips,
        val: ExpertClips | None,
        settings: ExpertSettings,
        folder: Path,
        config: Mapping[str, Any],
        *,
        teachers: Sequence[Taught] = (),
        masks: np.ndarray | None = None,
        validated: Callable[[int, np.ndarray, np.ndarray], None] | None = None,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Prepare, and read the last state if there is one.

        Args:
            model: with the parameters to start from; moved to the clips' device.
            train: what is learned from.
            val: what tells the best epoch; None takes the last.
            settings: how it is trained.
            folder: of the run; keeps the last and the best checkpoint and the log.
            config: what rebuilds the model, kept with the weights; a state is only continued
                under an equal one.
            teachers: of the training clips and their captions.
            masks: [n_captions] bool, training captions that may be drawn; None for all.
            validated: takes after each epoch its number, the similarities of validation captions
                and clips, and which captions there are.
            report: takes a line of progress after each epoch.

        Raises:
            ModelError: the folder's state belongs to another run.
        """
        self.train, self.val, self.settings, self.folder = train, val, settings, Path(folder)
        self.config = {**config, "settings": asdict(settings)}
        self.teachers, self.validated, self.report = teachers, validated, report
        if len(train) < (settings.batch if settings.drop_last else 2):
            raise SettingsError(
                f"the training list names {len(train)} videos, which make no batch; name more, or "
                "make data_loader.args.batch_size smaller"
            )
        self.model = model.to(train.device)
        if isinstance(model, CENet):
            model.checks_input = False  # the clips were looked at when they were made
        self.optimiser = get_optimiser(
            settings.optimiser, model.parameters(), settings.optimiser_args
        )
        self.schedule = get_schedule(settings.schedule, self.optimiser, settings.schedule_args)
        self.lot = (OfficialLot if settings.lot == "official" else Lot)(
            allowed_captions(train, settings.n_captions, masks), settings
        )
        self.epoch = 0  # whole epochs done
        self.elapsed_s = 0.0  # of those
        self.curves: list[dict[str, float]] = []
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / LAST).exists():
            self._resume()
        wanted = config.get("trainer", {}).get("tensorboard", True) and settings.save_every
        self.board = Events(self.folder, self.epoch + 1) if wanted else None

    def run(self) -> dict[str, float]:
        """Train to the end; afterwards the model has the weights of the epoch that counts.

        Returns:
            that epoch's row of the log.
        """
        if self.epoch:
            self.report(f"goes on after epoch {self.epoch}")
        while self.epoch < self.settings.epochs:
            self.one_epoch()
        if self.settings.save_every:
            self.model.load_state_dict(read_checkpoint(self.folder / BEST)["state_dict"])
        else:
            self.model.load_state_dict(self._best_weights)
            checkpoint.save_state(self.folder / BEST, self._checkpoint(self.best, optimiser=False))
            write_jsonl(self.folder / LOG, self.curves)
        write_json(self.folder / CONFIG, self.config)
        return self.best

    def start_from(self, held: Trained) -> None:
        """Go on from a checkpoint, official or ours, as the released code does.

        Weights and epoch are the checkpoint's, and the optimiser's state where it is of the same
        kind; the schedule goes on from its learning rate, the draws start anew.

        Raises:
            ModelError: it is of another architecture.
            SettingsError: no epoch is left to train.
        """
        if (held.epoch or 0) >= self.settings.epochs:
            raise SettingsError(
                f"the checkpoint is of epoch {held.epoch} and the config ends there; set "
                "trainer.epochs higher"
            )
        load_weights(self.model, held.model.state_dict())
        self.epoch = held.epoch or 0
        kind = held.config.get("optimizer", {}).get("type")
        if held.optimiser is not None and kind == self.settings.optimiser:
            self.optimiser.load_state_dict(_as_tensors(held.optimiser))

    def one_epoch(self) -> None:
        """Train an epoch, validate, and keep what is needed to go on."""
        self._train_epoch()
        is_best, every = self.best is self.curves[-1], self.settings.save_every
        if every == 0:
            if is_best:
                self._best_weights = {k: v.clone() for k, v in self.model.state_dict().items()}
            return
        if is_best:  # first, since a state is only right beside the best weights up to there
            checkpoint.save_state(self.folder / BEST, self._checkpoint(self.curves[-1]))
        if is_best or self.epoch % every == 0 or self.epoch == self.settings.epochs:
            self._save()

    @property
    def best(self) -> dict[str, float]:
        """The row of the epoch that counts."""
        if self.val is None or self.settings.select == "last":
            return self.curves[-1]
        way, name = self.settings.monitor.split()
        sign = 1 if way == "max" else -1
        return max(self.curves, key=lambda row: (sign * row[name], row["epoch"]))

    def _train_epoch(self) -> None:
        began = time.monotonic()
        self.model.train()
        device, size = self.train.device, self.settings.batch
        *drawn, kept = self.lot.draw(self.epoch)
        thinned = None if kept is None else self.train.captions.thinned(drawn[1], kept)
        videos, captions = (torch.from_numpy(a).to(device) for a in drawn)
        total, n_steps = torch.zeros((), device=device), 0
        starts = range(0, len(videos), size)
        for start in tqdm(starts, f"epoch {self.epoch + 1}", leave=False, disable=None):
            n = min(size, len(videos) - start)
            if n < (size if self.settings.drop_last else 2):
                break  # one video has no negatives and no batch statistics
            part = slice(start, start + size)
            text = None
            if thinned is not None:
                text = thinned.take(torch.arange(start, start + n, device=device))[:, None]
            total += self._step(videos[part], captions[part], text)
            n_steps += 1
        loss = total.item() / n_steps
        trained_s = time.monotonic() - began
        self.epoch += 1
        row = {
            "epoch": self.epoch,
            "loss": loss,
            "learning_rate": self.optimiser.param_groups[0]["lr"],
            **self.validate(),
        }
        self.schedule.step()
        self.elapsed_s += time.monotonic() - began
        self.curves.append(row)
        if self.board:
            self.board.add(row, self.epoch)
        shown = ""
        if self.val is not None:
            shown = (
                f", validation R@1 {row['val_t2v_R@1']:.1f} R@10 {row['val_t2v_R@10']:.1f} "
                f"Geom {row['val_t2v_Geom']:.1f}"
            )
        self.report(f"epoch {self.epoch}: loss {loss:.4f}{shown}, {1e3 * trained_s / n_steps:.1f} "
                    f"ms/step")  # fmt: skip

    def _step(
        self, videos: torch.Tensor, captions: torch.Tensor, text: torch.Tensor | None = None
    ) -> torch.Tensor:
        """One step; gives the loss without waiting for it.

        Args:
            videos: [n] places of clips.
            captions: [n] places of captions.
            text: [n, 1, n_words, dim], where it is not these captions whole.
        """
        experts, ind = self.train.batch(videos)
        self.optimiser.zero_grad(set_to_none=True)
        text = self.train.text(captions) if text is None else text
        sims = self.model(experts, ind, text)["cross_view_conf_matrix"]
        loss = max_margin_ranking(sims, self.settings.margin, self.settings.fix_norm)
        if self.teachers:
            loss = loss + distillation(sims, [t.sims(captions, videos) for t in self.teachers])
        loss.backward()
        self.optimiser.step()
        return loss.detach()

    def validate(self) -> dict[str, float]:
        """Figures of the validation clips, by name."""
        if self.val is None:
            return {}
        captions, there = self.val.asked(self.settings.val_captions)
        sims = similarities(self.model, self.val, captions.ravel(), self.val)
        if not np.isfinite(sims).all():
            raise ModelError(
                f"the similarities of epoch {self.epoch} are not finite; lower the learning rate"
            )
        if self.validated is not None:
            self.validated(self.epoch, sims, there)
        found = {
            "t2v": summarise(t2v_ranks(sims, mask=there)),
            "v2t": summarise(v2t_ranks(sims, mask=there)),
        }
        row = {f"val_{d}_{name}": v for d, each in found.items() for name, v in each.items()}
        if len(self.val) > 1:
            first = torch.from_numpy(sims[:: captions.shape[1]])
            loss = max_margin_ranking(first, self.settings.margin, self.settings.fix_norm)
            row["val_first_query_loss"] = loss.item()
        return row

    def _checkpoint(self, row: Mapping[str, float], optimiser: bool = True) -> dict[str, Any]:
        """The model as it is now, as official checkpoints, but with a plain dict as `config`."""
        state = {
            "arch": type(self.model).__name__,
            "epoch": row["epoch"],
            "state_dict": {k: v.cpu() for k, v in self.model.state_dict().items()},
            "monitor_best": self.best.get(self.settings.monitor.split()[1], 0.0),
            "config": self.config,
        }
        return {**state, "optimizer": self.optimiser.state_dict()} if optimiser else state

    def _save(self) -> None:
        on_gpu = self.train.device.type == "cuda"
        state = {
            **self._checkpoint(self.curves[-1]),
            "schedule": self.schedule.state_dict(),
            "lot": self.lot.state(),
            "torch_rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(self.train.device) if on_gpu else None,
            "elapsed_s": self.elapsed_s,
            "curves": self.curves,
        }
        checkpoint.save_state(self.folder / LAST, state)
        write_jsonl(self.folder / LOG, self.curves)

    def _resume(self) -> None:
        state = checkpoint.load_state(self.folder / LAST)
        stored = state.get("config", {})
        # Settings that came later had their defaults.
        stored = {**stored, "settings": {**asdict(ExpertSettings()), **stored.get("settings", {})}}
        if stored != self.config:
            raise ModelError(
                f"{self.folder.name}/{LAST} belongs to a run with other settings; name another "
                "--out, or delete it"
            )
        self.model.load_state_dict(state["state_dict"])
        self.optimiser.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.lot.restore(state["lot"])
        torch.set_rng_state(state["torch_rng"])
        if state["cuda_rng"] is not None and self.train.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda_rng"], self.train.device)
        self.epoch, self.elapsed_s = state["epoch"], state["elapsed_s"]
        self.curves = state["curves"]


# ---- drawing by lot ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Allowed:
    """Which captions of each training video may be drawn."""

    captions: np.ndarray  # places in the clips' captions, video by video
    first: np.ndarray  # [n + 1], where each video's begin
    masked: bool  # whether some are left out by a mask
    n_tokens: np.ndarray  # of every caption of the clips, whether it may be drawn or not

    def __len__(self) -> int:
        return len(self.first) - 1


def allowed_captions(
    clips: ExpertClips, limit: int = 0, masks: np.ndarray | None = None
) -> Allowed:
    """Captions that may be drawn.

    Args:
        clips: training clips.
        limit: only the first so many of a video; 0 for all.
        masks: [n_captions] bool; None for all.

    Raises:
        SettingsError: the masks leave a video without captions, or are of another length.
    """
    counts = np.diff(clips.first)
    owner = np.repeat(np.arange(len(clips)), counts)
    number = np.arange(len(owner)) - clips.first[:-1][owner]
    keep = number < limit if limit else np.ones(len(owner), dtype=bool)
    if masks is not None:
        if len(masks) != len(keep):
            raise SettingsError(
                f"the caption masks have {len(masks)} elements for {len(keep)} captions; make "
                "them again"
            )
        keep &= masks
    left = np.bincount(owner[keep], minlength=len(clips))
    if not left.all():
        raise SettingsError(
            f"the caption masks leave video {clips.videos[int(left.argmin())]} without a caption; "
            "keep one, or leave the video out of the training list"
        )
    first = np.concatenate([[0], np.cumsum(left)])
    n_tokens = np.diff(clips.captions.starts.cpu().numpy())
    return Allowed(np.flatnonzero(keep), first, masks is not None, n_tokens)


class Lot:
    """What is drawn in an epoch depends on seed and epoch alone, so there is no state to keep."""

    def __init__(self, allowed: Allowed, settings: ExpertSettings) -> None:
        self.allowed, self.settings = allowed, settings

    def draw(self, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """What an epoch learns from.

        Returns:
            videos in the order of the epoch; a caption of each, by its place; and, with dropout,
            which tokens of these captions stay, all of the first one, then all of the second, ...
        """
        rng = np.random.default_rng([self.settings.seed, epoch])
        order = rng.permutation(len(self.allowed))
        first, counts = self.allowed.first[:-1][order], np.diff(self.allowed.first)[order]
        captions = self.allowed.captions[first + (rng.random(len(order)) * counts).astype(int)]
        if not self.settings.text_dropout:
            return order, captions, None
        n_tokens = self.allowed.n_tokens[captions]
        whole = rng.random(len(order)) >= self.settings.text_dropout
        return order, captions, np.repeat(whole, n_tokens) | (rng.random(n_tokens.sum()) > 0.5)

    def state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Nothing to do."""


class OfficialLot:
    """Draws what the released loader draws, from generators of the same seed.

    The order of videos comes from torch's own loader and so from its global generator; for each
    video, in order, numpy draws a caption by `choice`, a number that says whether text dropout
    steps in, and if so one for each of the caption's tokens. Where the loader has processes of
    its own, they take the batches in turn, and each draws from a generator that torch seeds anew
    in every epoch.
    """

    def __init__(self, allowed: Allowed, settings: ExpertSettings) -> None:
        self.allowed, self.settings = allowed, settings
        self.rng = np.random.RandomState(settings.seed)

    def draw(self, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """As of `Lot`."""
        settings = self.settings
        loader = torch.utils.data.DataLoader(
            range(len(self.allowed)),
            settings.batch,
            shuffle=True,
            drop_last=settings.drop_last,
            collate_fn=list,
        )
        rngs = self._of_workers() or [self.rng]
        order, captions, kept = [], [], []
        for i, batch in enumerate(loader):
            for video in batch:
                caption, tokens = self._caption(video, rngs[i % len(rngs)])
                captions.append(caption)
                kept.append(tokens)
            order += batch
        dropout = self.settings.text_dropout
        return np.array(order), np.array(captions), np.concatenate(kept) if dropout else None

    def _caption(self, video: int, rng: np.random.RandomState) -> tuple[int, np.ndarray]:
        """A caption of a video, and which of its tokens stay."""
        start, stop = self.allowed.first[video : video + 2]
        n = stop - start  # of one, as where captions are fused, no number is drawn
        # There with zeros between for captions that are masked, which moves no other one.
        chances = np.full(n, 1 / n) if self.allowed.masked else None
        caption = int(self.allowed.captions[start + rng.choice(n, size=1, p=chances)[0]])
        n_tokens = int(self.allowed.n_tokens[caption])
        if rng.random_sample() < self.settings.text_dropout:
            return caption, rng.random_sample(n_tokens) > 0.5
        return caption, np.ones(n_tokens, dtype=bool)

    def _of_workers(self) -> list[np.random.RandomState]:
        """Generators of the loader's processes in the epoch that comes, by torch's own rule."""
        before = torch.get_rng_state()
        seed = int(torch.empty((), dtype=torch.int64).random_())  # what the loader draws first
        torch.set_rng_state(before)
        low, high = seed & 0xFFFFFFFF, seed >> 32
        seeds = [np.random.SeedSequence([i, low, high]) for i in range(self.settings.n_workers)]
        return [np.random.RandomState(each.generate_state(4)) for each in seeds]

    def state(self) -> dict[str, Any]:
        """Of numpy's generator, as plain data."""
        name, keys, *rest = self.rng.get_state()
        return {"name": name, "keys": keys.tolist(), "rest": rest}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where a state was taken."""
        keys = np.array(state["keys"], dtype=np.uint32)
        self.rng.set_state((state["name"], keys, *state["rest"]))


# ---- files ---------------------------------------------------------------------------------------


def _as_tensors(value: Any) -> Any:
    """Containers of arrays as containers of tensors."""
    if isinstance(value, dict):
        return {key: _as_tensors(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_tensors(item) for item in value]
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of ours: arch, epoch, state_dict, monitor_best, config.

    Raises:
        FileNotFoundError: there is none.
        ModelError: damaged, or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint {path.name}; train first")
    state = checkpoint.load_state(path)
    missing = sorted({"arch", "state_dict", "config"} - set(state))
    if missing:
        raise ModelError(f"{path.name} lacks {', '.join(missing)}; give a checkpoint of training")
    return state


def trained(path: Path) -> CENet:
    """The network of a run's checkpoint, with its weights, on the CPU; for clips looked at once."""
    state = read_checkpoint(path)
    model = build(CEConfig.from_plain(state["config"]["model"]))
    load_weights(model, state["state_dict"])
    model.checks_input = False
    return model.eval()
