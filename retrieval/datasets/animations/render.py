"""Clips -> frames, MP4 files and posters, drawn in parallel and resumable."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from retrieval.datasets.animations.canvas import LENGTH_S, H, W, vignette
from retrieval.datasets.animations.library import Clip
from retrieval.datasets.animations.sounds import RATE
from retrieval.files import replacing
from retrieval.video import write_mp4

FPS = 12  # frames a second
N_FRAMES = round(FPS * LENGTH_S)
SIZE = (W // 2, H // 2)  # width, height in pixels of a film


def draw_frames(clip: Clip, times_s: np.ndarray) -> np.ndarray:
    """Draw the clip at those seconds: [n_frames, height, width, 3] uint8."""
    draw = clip.scene.draw(clip.look, clip.rng("draw"))
    return np.stack([np.asarray(_finished(draw(float(t)))) for t in times_s])


def spread_times(n_frames: int) -> np.ndarray:
    """The middles of n equal parts of the film, in seconds."""
    return (np.arange(n_frames) + 0.5) * LENGTH_S / n_frames


def all_times() -> np.ndarray:
    """The second of every frame of the finished film."""
    return np.arange(N_FRAMES) / FPS


def sound(clip: Clip) -> np.ndarray | None:
    """The clip's mono waveform in -1..1, or None for a silent clip."""
    if clip.scene.sound is None:
        return None
    track = clip.scene.sound(clip.look, clip.rng("sound"))
    return None if track is None else np.clip(track, -1, 1).astype(np.float32)


def _finished(canvas: Image.Image) -> Image.Image:
    return vignette(canvas.convert("RGB").reduce(2))


def render_clip(clip: Clip, out: Path) -> None:
    """Write out/clips/ID.mp4 and out/posters/ID.jpg, each whole or not at all."""
    frames = draw_frames(clip, all_times())
    with replacing(out / "posters" / f"{clip.id}.jpg") as file:
        poster = Image.fromarray(frames[round(clip.scene.poster_s * FPS)])
        poster.save(file, "JPEG", quality=68, optimize=True)
    with replacing(out / "clips" / f"{clip.id}.mp4") as file:
        write_mp4(file, frames, FPS, sound(clip), RATE)


def is_rendered(clip: Clip, out: Path) -> bool:
    """Whether both files of the clip are there."""
    return all(
        (out / folder / f"{clip.id}{suffix}").is_file()
        for folder, suffix in (("clips", ".mp4"), ("posters", ".jpg"))
    )


def render(clips: Sequence[Clip], out: Path, n_workers: int | None = None) -> int:
    """Draw the clips that are not there yet, in parallel, with a progress bar.

    Args:
        clips: what to draw.
        out: folder; gets clips/ and posters/.
        n_workers: processes; None takes one for each core.

    Returns:
        How many clips were drawn now.
    """
    for folder in ("clips", "posters"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    missing = [clip for clip in clips if not is_rendered(clip, out)]
    with ProcessPoolExecutor(n_workers or os.cpu_count()) as pool:
        done = pool.map(partial(render_clip, out=out), missing, chunksize=4)
        for _ in tqdm(done, total=len(missing), desc="clips", unit="clip"):
            pass
    return len(missing)
