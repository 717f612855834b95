"""Teachers -> what they say of training clips in memory, and which captions are left to learn from.

Text vectors are taken times the teacher's weights of the experts, so the plain sum over experts
that the loss takes is the teacher's own similarity wherever a clip has all of them; vectors of
missing experts are zero.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from retrieval.errors import FileError, SettingsError
from retrieval.files import write_pickle
from retrieval.models import CENet
from retrieval.training.expert_clips import ExpertClips, embed_videos, slices


@dataclass(frozen=True, eq=False)
class Taught:
    """What one teacher says of the training clips, its experts side by side."""

    video: torch.Tensor  # [n, dim]
    text: torch.Tensor  # [n_captions, dim], weighted beforehand by the teacher's weights

    def sims(self, captions: torch.Tensor, videos: torch.Tensor) -> torch.Tensor:
        """[n, n] similarities of a batch, as the teacher's stored vectors give them."""
        return self.text[captions].float() @ self.video[videos].float().T


def check_teaches(model: torch.nn.Module) -> None:
    """Check that a network has an embedding for each expert.

    Raises:
        SettingsError: it has none.
    """
    config = getattr(model, "config", None)
    if not isinstance(model, CENet) or config.concat_experts or config.concat_mix_experts:
        raise SettingsError("only a network with an embedding for each expert can teach")


@torch.no_grad()
def taught_by(model: CENet, clips: ExpertClips, chunk: int = 2048) -> Taught:
    """What a network says of clips and of all their captions, in half precision.

    Args:
        model: trained, on the clips' device.
        clips: with the text features that it was trained on.
        chunk: captions, and videos, at once.

    Raises:
        SettingsError: it concatenates experts and has no embedding for each.
    """
    check_teaches(model)
    model.eval()
    video, available = embed_videos(model, clips, chunk)
    rows = [available[:, i, None] * video[name] for i, name in enumerate(video)]
    texts = []
    for part in slices(len(clips.captions), chunk):
        index = torch.arange(part.start, part.stop, device=clips.device)
        text, weights = model.embed_text(clips.text(index))  # [n, 1, dim], [n, 1, n_experts]
        each = [weights[:, 0, i, None] * t[:, 0] for i, t in enumerate(text.values())]
        texts.append(torch.cat(each, dim=1).half())
    return Taught(torch.cat(rows, dim=1).half(), torch.cat(texts))


def read_teacher(
    stored: Mapping[str, Mapping[str, Any]], clips: ExpertClips, weighted: bool = True
) -> Taught:
    """A teacher's vectors of clips, as a file of the official layout holds them.

    Args:
        stored: video -> vid_embds, text_embds.
        clips: whose captions are in the order of the file's, or one fused caption each.
        weighted: whether text vectors were multiplied by the teacher's weights; if not, every
            expert weighs the same, so that the similarities stay on the scale of a mean.

    Raises:
        FileError: a clip is missing, has another number of captions, or vectors that are not of one
            length and finite.
    """
    video, text = [], []
    for i, name in enumerate(clips.videos):
        if name not in stored:
            raise FileError(f"a teacher does not know video {name}; export it again")
        held = stored[name] if isinstance(stored[name], Mapping) else {}
        vid, txt = held.get("vid_embds"), held.get("text_embds")
        if (
            not vid
            or not isinstance(vid, Mapping)
            or not isinstance(txt, Mapping)
            or vid.keys() - txt
        ):
            raise FileError(
                f"a teacher has no vid_embds and text_embds of the same experts for video {name}; "
                "export it again"
            )
        experts = sorted(vid)
        parts = [_vectors(vid[e], name).ravel() for e in experts]
        video.append(np.concatenate(parts))
        if len(video[i]) != len(video[0]):
            raise FileError(
                f"a teacher's vectors of video {name} have {len(video[i])} numbers, those before "
                f"have {len(video[0])}; export it again"
            )
        share = 1 if weighted else 1 / len(experts)
        n = int(clips.first[i + 1] - clips.first[i])
        rows = [_vectors(txt[e], name) for e in experts]
        found = {len(r.ravel()) / len(p) for r, p in zip(rows, parts, strict=True)} - {n}
        if found:
            raise FileError(
                f"a teacher has {found.pop():g} captions of video {name}, the text features have "
                f"{n}; export it again"
            )
        rows = [r.reshape(n, -1) for r in rows]
        text.append(share * np.concatenate(rows, axis=1))
    return Taught(
        torch.from_numpy(np.stack(video)).to(clips.device),
        torch.from_numpy(np.concatenate(text)).to(clips.device),
    )


# ---- captions that say little of their video -----------------------------------------------------


@torch.no_grad()
def caption_ranks(taught: Taught, clips: ExpertClips, chunk: int = 4096) -> np.ndarray:
    """Rank of each training caption's own video among all training videos, by a teacher.

    Returns:
        [n_captions]; best is 1, ties share their mean.
    """
    owner = torch.from_numpy(np.repeat(np.arange(len(clips)), np.diff(clips.first)))
    owner = owner.to(clips.device)
    video, out = taught.video.float().T, []
    for part in slices(len(owner), chunk):
        sims = taught.text[part].float() @ video
        own = sims.gather(1, owner[part, None])
        above, at_least = (sims > own).sum(dim=1), (sims >= own).sum(dim=1)
        out.append((1 + above + at_least) / 2)
    return torch.cat(out).double().cpu().numpy()


def denoising_mask(teachers: Sequence[Taught], clips: ExpertClips, worst: int) -> np.ndarray:
    """Captions to learn from, as `mask_of_ranks` tells them by teachers' ranks: [n_captions] bool.

    Of each video the best-ranked caption stays anyway.
    """
    return mask_of_ranks([caption_ranks(taught, clips) for taught in teachers], clips.first, worst)


def mask_of_ranks(
    ranks: Sequence[np.ndarray], first: np.ndarray, worst: int, keep_best: bool = True
) -> np.ndarray:
    """Captions to learn from: those by which teachers find their video again.

    The papers do not say how masks are made. Here a caption stays where the median over teachers of
    its video's rank is `worst` or better.

    Args:
        ranks: of each teacher, [n_captions] rank of a caption's own video among training videos.
        first: [n_videos + 1] where each video's captions begin.
        worst: rank.
        keep_best: of each video the best-ranked captions stay anyway, so that none loses all.

    Returns:
        [n_captions] bool.
    """
    median = np.median(ranks, axis=0)
    stays = median <= worst
    if keep_best:
        best = np.minimum.reduceat(median, first[:-1])
        stays |= median == np.repeat(best, np.diff(first))
    return stays


def write_masks(path: Path, mask: np.ndarray, videos: Sequence[str], first: np.ndarray) -> None:
    """Save caption masks in the official layout: a dict video -> vector of 0 and 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = np.split(mask.astype(np.int64), first[1:-1])
    write_pickle(path, dict(zip(videos, parts, strict=True)))


def _vectors(value: Any, video: str) -> np.ndarray:
    """Stored numbers as float32, refused if they are none."""
    array = np.empty(0)
    if isinstance(value, np.ndarray | list):
        with contextlib.suppress(ValueError):  # of lists of different lengths
            array = np.asarray(value)
    if array.dtype.kind not in "fiu" or not array.size or not np.isfinite(array).all():
        raise FileError(
            f"a teacher's vectors of video {video} are not made of finite numbers; export it again"
        )
    return array.astype(np.float32)


def read_masks(stored: Mapping[str, Any], clips: ExpertClips) -> np.ndarray:
    """[n_captions] bool from a file of the official layout.

    Raises:
        FileError: a clip is missing, or has another number of captions.
    """
    parts = []
    for i, name in enumerate(clips.videos):
        n = int(clips.first[i + 1] - clips.first[i])
        mask = np.asarray(stored.get(name, ())).ravel()
        if mask.dtype.kind not in "biuf":
            raise FileError(
                f"the caption mask of video {name} is made of {mask.dtype}, expected 0 and 1; make "
                "the masks again"
            )
        if len(mask) < n:
            raise FileError(
                f"the caption mask of video {name} has {len(mask)} elements for {n} captions; make "
                "the masks again"
            )
        parts.append(mask[:n] > 0)
    return np.concatenate(parts)
