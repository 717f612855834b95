"""Expert features and captions in memory -> a trained network of the Collaborative Experts family.

A run can be killed at any time: it goes on from its last whole epoch with the numbers of an
unbroken one.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from retrieval import checkpoint
from retrieval.errors import ModelError, SettingsError
from retrieval.files import remove_leftovers, write_json, write_jsonl
from retrieval.losses import distillation, max_margin_ranking
from retrieval.metrics import summarise, t2v_ranks, v2t_ranks
from retrieval.models import CEConfig, CENet, MNNet, MNNetConfig, build, load_weights
from retrieval.models.trained import Trained
from retrieval.training.distilling import Taught
from retrieval.training.events import Events
from retrieval.training.expert_clips import ExpertClips, similarities
from retrieval.training.expert_settings import ExpertSettings
from retrieval.training.lots import Lot, OfficialLot, allowed_captions
from retrieval.training.optimisers import get_optimiser, get_schedule

BEST, LAST, LOG, CONFIG = "trained_model.pth", "last.pth", "log.jsonl", "config.json"


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
        remove_leftovers(self.folder)
        if (self.folder / LAST).exists():
            self._resume()
        wanted = config.get("trainer", {}).get("tensorboard", True) and settings.save_every
        self.board = Events(self.folder) if wanted else None

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
