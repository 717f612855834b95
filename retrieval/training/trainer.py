"""Frames and captions in pairs -> a trained model: the loop, its schedule, its resumable state."""

import csv
import io
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from retrieval import checkpoint
from retrieval.encoders.clip.pixels import normalise
from retrieval.encoders.clip.towers import frame_features, pool_frames, text_features
from retrieval.errors import ModelError
from retrieval.files import remove_leftovers, replacing, write_json
from retrieval.losses import symmetric_info_nce
from retrieval.metrics import summarise, t2v_ranks

LAST, BEST, CURVES = "last.pt", "best.safetensors", "curves.csv"


@dataclass(frozen=True)
class Settings:
    """How a contrastive model is trained."""

    batch: int = 256  # clips a step
    frames_per_step: int = 1  # frames drawn by lot from each clip; evaluation takes all
    captions_per_step: int = 1  # captions drawn by lot for each clip
    shift: int = 4  # pixels a clip is shifted by lot, the same for all its frames
    learning_rate: float = 1e-3  # at its highest
    weight_decay: float = 0.1  # of matrices; vectors and scalars have none
    warm_up: float = 0.05  # part of the schedule in which the learning rate rises
    epochs: int = 60  # length of the schedule, unless minutes are given
    max_scale: float = 100.0  # bound of the learned inverse temperature
    seed: int = 0


@dataclass(frozen=True)
class Pairs:
    """Clips with their captions."""

    frames: np.ndarray  # [n_clips, n_frames, size, size, 3] uint8
    tokens: np.ndarray  # [n_clips, n_captions, context] integers; the first caption is "the" one

    def __len__(self) -> int:
        return len(self.frames)


class Trainer:
    """One run; it goes on from its last saved state with the numbers of an unbroken one.

    All that is drawn by lot in a step depends on seed, epoch and step alone, so the position in
    the run is the state of the sampler.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        train: Pairs,
        val: Pairs,
        settings: Settings,
        folder: Path,
        identity: dict[str, Any],
        minutes: float | None = None,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Prepare, and read the last state if there is one.

        Args:
            model: open_clip model, newly made; moved to the GPU if there is one.
            train: what is learned from.
            val: what tells the best epoch.
            settings: how it is trained.
            folder: keeps last state, best weights and curves.
            identity: what must be equal for a state to be continued, besides the settings.
            minutes: fits the schedule to this much time instead of `settings.epochs`.
            report: takes a line of progress after each epoch.

        Raises:
            ModelError: the folder's state belongs to another run.
        """
        if len(train) < settings.batch:
            raise ModelError(
                f"{len(train)} clips do not fill one batch of {settings.batch}; take more clips"
            )
        self.train, self.val, self.settings, self.folder = train, val, settings, folder
        self.identity = {**identity, "settings": asdict(settings)}
        if minutes is not None:  # the length may be changed on the way, the rest may not
            del self.identity["settings"]["epochs"]
        self.budget_s = None if minutes is None else 60 * minutes
        self.report = report
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(settings.seed)
        self.model = model.to(self.device)
        self.model.visual.to(memory_format=torch.channels_last)
        cfg = model.visual.preprocess_cfg
        self.mean = torch.tensor(cfg["mean"], device=self.device)
        self.std = torch.tensor(cfg["std"], device=self.device)
        named = list(model.named_parameters())
        self.optimiser = torch.optim.AdamW(
            [
                {"params": [p for _, p in named if p.ndim > 1]},
                {"params": [p for _, p in named if p.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=settings.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=settings.weight_decay,
        )
        self.epoch = 0  # whole epochs done
        self.elapsed_s = 0.0  # over all starts, up to the last saved state
        self.curves: list[dict[str, float]] = []
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        if (folder / LAST).exists():
            self._resume()

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every clip is seen at most once."""
        return len(self.train) // self.settings.batch

    def run(self) -> dict[str, float]:
        """Train to the end of the schedule.

        Returns:
            the best epoch's row of the curves.
        """
        self._started = time.monotonic() - self.elapsed_s
        if self.epoch:
            self.report(f"goes on after epoch {self.epoch}, {self.elapsed_s / 60:.1f} min")
        while self._progress(self.epoch * self.steps_per_epoch) < 1:
            self._one_epoch()
        if not self.curves:
            raise ModelError("the time was over before the first epoch; give more --minutes")
        return self.best

    @property
    def best(self) -> dict[str, float]:
        """The curves' row with the highest validation R@1; of equals the latest."""
        return max(self.curves, key=lambda row: (row["R@1"], row["epoch"]))

    def _progress(self, step: int) -> float:
        """Part of the schedule that lies behind, 0..1 and beyond."""
        if self.budget_s is None:
            return step / (self.settings.epochs * self.steps_per_epoch)
        return (time.monotonic() - self._started) / self.budget_s

    def _learning_rate(self, progress: float) -> float:
        top, warm = self.settings.learning_rate, self.settings.warm_up
        if progress < warm:
            return top * max(progress / warm, 0.01)
        return top * 0.5 * (1 + math.cos(math.pi * min((progress - warm) / (1 - warm), 1.0)))

    def _one_epoch(self) -> None:
        s, began = self.settings, time.monotonic()
        order = np.random.default_rng([s.seed, self.epoch]).permutation(len(self.train))
        losses = []
        self.model.train()
        for step in range(self.steps_per_epoch):
            progress = self._progress(self.epoch * self.steps_per_epoch + step)
            if progress >= 1:
                break
            for group in self.optimiser.param_groups:
                group["lr"] = self._learning_rate(progress)
            rng = np.random.default_rng([s.seed, self.epoch, step])
            losses.append(self._step(np.sort(order[step * s.batch : (step + 1) * s.batch]), rng))
        n_seen, trained_s = len(losses) * s.batch, time.monotonic() - began
        self.epoch += 1
        found = self.validate()
        self.elapsed_s = time.monotonic() - self._started
        row = {
            "epoch": self.epoch,
            "minutes": self.elapsed_s / 60,
            "loss": float(np.mean(losses)) if losses else math.nan,
            "learning_rate": self.optimiser.param_groups[0]["lr"],
            "scale": self.model.logit_scale.exp().item(),
            "clips_per_s": n_seen / trained_s,
            **found,
        }
        self.curves.append(row)
        if self.best is row:
            checkpoint.write_weights(self.folder / BEST, self.model.state_dict())
        self._save()
        progress = self._progress(self.epoch * self.steps_per_epoch)
        left_s = max(0.0, self.elapsed_s * (1 / progress - 1))
        self.report(
            f"epoch {self.epoch}: loss {row['loss']:.3f}, validation R@1 {row['R@1']:.1f} "
            f"R@10 {row['R@10']:.1f}, {row['clips_per_s']:.0f} clips/s, {left_s / 60:.1f} min left"
        )

    def _step(self, clips: np.ndarray, rng: np.random.Generator) -> float:
        s = self.settings
        n_frames, n_captions = self.train.frames.shape[1], self.train.tokens.shape[1]
        by_lot = rng.random((len(clips), n_frames)).argsort(axis=1)[:, : s.frames_per_step]
        frames = self.train.frames[clips[:, None], by_lot]  # [batch, frames, size, size, 3]
        frames = shifted(frames, rng.integers(-s.shift, s.shift + 1, (len(clips), 2)))
        captions = rng.random((len(clips), n_captions)).argsort(axis=1)[:, : s.captions_per_step]
        tokens = torch.from_numpy(self.train.tokens[clips[:, None], captions]).long()
        self.optimiser.zero_grad(set_to_none=True)
        with self._precision():
            video_emb = self._videos(frames)
            text_emb = text_features(self.model, tokens.flatten(0, 1).to(self.device))
        text_emb = text_emb.float().unflatten(0, tokens.shape[:2])  # [batch, captions, dim]
        scale = self.model.logit_scale.exp()
        each = [symmetric_info_nce(one, video_emb, scale) for one in text_emb.unbind(1)]
        loss = torch.stack(each).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, math.log(s.max_scale))
        return loss.item()

    def _videos(self, frames: np.ndarray) -> torch.Tensor:
        """[n, n_frames, size, size, 3] uint8 -> [n, dim] unit rows."""
        pixels = torch.tensor(frames).to(self.device).flatten(0, 1).permute(0, 3, 1, 2)
        frame_emb = frame_features(self.model, normalise(pixels, self.mean, self.std))
        return pool_frames(frame_emb.float().unflatten(0, frames.shape[:2]))

    def _precision(self) -> torch.autocast:
        return torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda")

    @torch.no_grad()
    def validate(self, chunk: int = 64) -> dict[str, float]:
        """R@1, R@5, R@10 and median rank of the validation clips, by one caption each."""
        self.model.eval()
        videos, texts = [], []
        for start in range(0, len(self.val), chunk):
            part = slice(start, start + chunk)
            tokens = torch.from_numpy(self.val.tokens[part, 0]).long().to(self.device)
            with self._precision():
                videos.append(self._videos(self.val.frames[part]))
                texts.append(text_features(self.model, tokens).float())
        sims = (torch.cat(texts) @ torch.cat(videos).T).cpu().numpy()
        found = summarise(t2v_ranks(sims, np.arange(len(sims))))
        return {name: found[name] for name in ("R@1", "R@5", "R@10", "MdR")}

    def _save(self) -> None:
        state = {
            "identity": self.identity,
            "epoch": self.epoch,
            "elapsed_s": self.elapsed_s,
            "curves": self.curves,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "torch_rng": torch.get_rng_state(),
        }
        checkpoint.save_state(self.folder / LAST, state)
        self._write_curves()

    def _write_curves(self) -> None:
        text = io.StringIO()
        rows = csv.DictWriter(text, self.curves[0], lineterminator="\n")
        rows.writeheader()
        rows.writerows({k: f"{v:.6g}" for k, v in row.items()} for row in self.curves)
        with replacing(self.folder / CURVES) as file:
            file.write(text.getvalue().encode())
        write_json(self.folder / "curves.json", self.curves)

    def _resume(self) -> None:
        state = checkpoint.load_state(self.folder / LAST)
        if state.get("identity") != self.identity:
            raise ModelError(
                f"{self.folder.name}/{LAST} belongs to a run with other settings, captions or "
                "seed; name another --out, or delete it"
            )
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["torch_rng"])
        self.epoch, self.elapsed_s = state["epoch"], state["elapsed_s"]
        self.curves = state["curves"]


def shifted(frames: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Move each clip's frames, the border drawn out.

    Args:
        frames: [n, n_frames, height, width, 3].
        shifts: [n, 2] pixels down and to the right.

    Returns:
        the moved frames, a new array.
    """
    height, width = frames.shape[2:4]
    out = np.empty_like(frames)
    for i, (down, right) in enumerate(shifts):
        rows = np.clip(np.arange(height) - down, 0, height - 1)
        columns = np.clip(np.arange(width) - right, 0, width - 1)
        out[i] = frames[i][:, rows][:, :, columns]
    return out
