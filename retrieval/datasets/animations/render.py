"""Clips -> frames, MP4 files and posters, drawn in parallel and resumable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from retrieval.datasets.animations.canvas import LENGTH_S, H, W, vignette
from retrieval.datasets.animations.library import Clip

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
    """Write out/clips/ID.mp4 and out/posters/ID.jpg; nothing half-written is left under those names."""
    from retrieval.datasets.animations.sounds import RATE
    from retrieval.files import atomic_path
    from retrieval.video import write_mp4

    frames = draw_frames(clip, all_times())
    with atomic_path(out / "posters" / f"{clip.id}.jpg") as path:
        poster = Image.fromarray(frames[round(clip.scene.poster_s * FPS)])
        poster.save(path, "JPEG", quality=76, optimize=True)
    with atomic_path(out / "clips" / f"{clip.id}.mp4") as path:
        write_mp4(path, frames, FPS, sound(clip), RATE)
