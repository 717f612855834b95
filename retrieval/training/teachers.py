"""A trained network -> the file that a student of it learns from."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from retrieval.files import write_pickle
from retrieval.models import CENet
from retrieval.training.distilling import check_teaches
from retrieval.training.expert_clips import ExpertClips

CHUNK = 128  # videos that are embedded at once


@torch.no_grad()
def teacher_vectors(
    model: CENet,
    clips: ExpertClips,
    weighted: bool = True,
    half: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """Embed all training videos and their captions.

    A student compares itself with the plain sum over experts of the stored inner products. With
    weighted captions that sum is the teacher's own similarity wherever a video has every expert;
    without, it is on another scale (the released code's files are silent on which they hold).

    Args:
        model: the teacher, on the clips' device.
        clips: training videos with all their captions, whatever a student will draw.
        weighted: captions' vectors times the teacher's weights.
        half: numbers in half precision, for half the file.
        report: takes a line of progress.

    Returns:
        video -> {"vid_embds": expert -> [dim], "text_embds": expert -> [n_captions, dim]}; vectors
        of experts that a video lacks are zero.

    Raises:
        SettingsError: the network has no embedding for each expert.

    Source: Croitoru et al., "TeachText", ICCV 2021, section 3.2; the layout is that of its code.
    """
    check_teaches(model)
    model.eval()
    dtype = np.float16 if half else np.float32
    out: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    for start in range(0, len(clips), CHUNK):
        stop = min(start + CHUNK, len(clips))
        experts, ind = clips.batch(torch.arange(start, stop, device=clips.device))
        video_emb, flags = model.embed_videos(experts, ind), model.availability(ind)
        first = clips.first[start : stop + 1] - clips.first[start]
        captions = torch.arange(clips.first[start], clips.first[stop], device=clips.device)
        text_emb, weights = model.embed_text(clips.text(captions))
        held = [{"vid_embds": {}, "text_embds": {}} for _ in range(start, stop)]
        for column, name in enumerate(model.config.names):
            text = text_emb[name][:, 0]
            if weighted:
                text = text * weights[:, 0, column, None]
            text = text.float().cpu().numpy().astype(dtype)
            vectors = (video_emb[name] * flags[:, column, None]).float().cpu().numpy().astype(dtype)
            for i, each in enumerate(held):
                each["vid_embds"][name] = vectors[i].copy()
                each["text_embds"][name] = text[first[i] : first[i + 1]].copy()
        out |= dict(zip(clips.videos[start:stop], held, strict=True))
        report(f"{stop:,} of {len(clips):,} videos embedded")
    return out


def write_teacher(path: Path, vectors: Mapping[str, Any]) -> None:
    """Write the file that `distil_params.teachers` of a config names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_pickle(path, dict(vectors))
