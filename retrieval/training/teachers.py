"""A trained network -> the file that a student of it learns from."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from retrieval.datasets.official import OfficialSet
from retrieval.files import write_pickle
from retrieval.models import CENet

CHUNK = 128  # videos that are embedded at once


@torch.no_grad()
def teacher_vectors(
    model: CENet,
    data: OfficialSet,
    weighted: bool = True,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """Embed all training videos and their captions.

    A student compares itself with the plain sum over experts of the stored inner products. With
    weighted captions that sum is the teacher's own similarity wherever a video has every expert;
    without, it is on another scale (the released code's files are silent on which they hold).

    Args:
        model: the teacher.
        data: whose training videos are embedded; all captions, whatever a student will draw.
        weighted: captions' vectors times the teacher's weights.
        report: takes a line of progress.

    Returns:
        video -> {"vid_embds": expert -> [dim], "text_embds": expert -> [n_captions, dim]}; vectors
        of experts that a video lacks are zero.

    Source: Croitoru et al., "TeachText", ICCV 2021, section 3.2; the layout is that of its code.
    """
    model.eval()
    device = next(model.parameters()).device
    out: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    for start in range(0, len(data.train), CHUNK):
        videos = data.train[start : start + CHUNK]
        experts, ind = (
            {name: torch.from_numpy(array).to(device) for name, array in part.items()}
            for part in data.experts_of(videos)
        )
        video_emb = model.embed_videos(experts, ind)
        captions, counts = data.captions_of(videos)
        text_emb, weights = model.embed_text(torch.from_numpy(captions).to(device))
        ends = np.cumsum(counts)
        for column, name in enumerate(model.config.names):
            text = text_emb[name][:, 0]
            if weighted:
                text = text * weights[:, 0, column, None]
            rows = text.cpu().numpy()
            vectors = (video_emb[name] * ind[name][:, None]).float().cpu().numpy()
            for i, video in enumerate(videos):
                held = out.setdefault(video, {"vid_embds": {}, "text_embds": {}})
                held["vid_embds"][name] = vectors[i].copy()
                held["text_embds"][name] = rows[ends[i] - counts[i] : ends[i]].copy()
        report(f"{min(start + CHUNK, len(data.train)):,} of {len(data.train):,} videos embedded")
    return out


def write_teacher(path: Path, vectors: Mapping[str, Any]) -> None:
    """Write the file that `distil_params.teachers` of a config names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_pickle(path, dict(vectors))
