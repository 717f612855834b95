"""A seed and an epoch -> the order of the training videos, and a caption of each, drawn by lot."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from retrieval.errors import SettingsError
from retrieval.training.expert_clips import ExpertClips
from retrieval.training.expert_settings import ExpertSettings


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
