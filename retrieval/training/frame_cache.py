"""Clips of the film library -> one array of small frames on disk, drawn once, in parallel.

Beside the frames stands a key for each clip, made of all that decides how it looks; a clip is drawn
where its key is not the one wanted, so a broken-off run goes on, and a changed scene is drawn anew.
"""

import hashlib
import inspect
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from retrieval.datasets.animations import canvas
from retrieval.datasets.animations.library import Clip, split
from retrieval.datasets.animations.render import draw_frames, spread_times


def cached_frames(
    folder: Path,
    split_name: str,
    n_frames: int,
    size: int,
    workers: int | None = None,
    report: Callable[[str], None] = lambda line: None,
    limit: int | None = None,
) -> np.ndarray:
    """Frames of a split, drawn where they are missing.

    Args:
        folder: where the arrays are kept.
        split_name: "train", "val" or "test".
        n_frames: evenly spaced frames of each clip.
        size: sides of the squashed frames in pixels.
        workers: processes; None is one for each core.
        report: takes a line of progress every few seconds.
        limit: only the first so many clips.

    Returns:
        [n_clips, n_frames, size, size, 3] uint8, read-only, on disk.
    """
    clips = split(split_name)[:limit]
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{split_name}-{n_frames}x{size}"
    frames = _array(folder / f"{name}.npy", (len(clips), n_frames, size, size, 3), np.uint8)
    keys = _array(folder / f"{name}-keys.npy", (len(clips),), np.uint64)
    wanted = np.array([_key(clip) for clip in clips], dtype=np.uint64)
    missing = np.flatnonzero(keys != wanted)
    if len(missing):
        jobs = [(split_name, int(i), n_frames, size) for i in missing]
        started = last = time.monotonic()
        drawn: list[int] = []  # on disk only after the next flush
        # Fresh interpreters: a forked one would inherit PyTorch's threads in an unknown state.
        context = multiprocessing.get_context("spawn")
        with context.Pool(workers or os.cpu_count()) as pool:
            for n_done, (i, small) in enumerate(pool.imap_unordered(_draw, jobs, 4), start=1):
                frames[i] = small
                drawn.append(i)
                now = time.monotonic()
                if now - last > 5 or n_done == len(jobs):
                    last, speed = now, n_done / (now - started)
                    frames.flush()
                    keys[drawn] = wanted[drawn]
                    keys.flush()
                    drawn.clear()
                    report(
                        f"drawing {split_name}: {n_done:,} of {len(jobs):,} clips, "
                        f"{speed:.1f} clips/s, {(len(jobs) - n_done) / speed:.0f} s left"
                    )
    return np.load(folder / f"{name}.npy", mmap_mode="r")


def small_frames(clip: Clip, n_frames: int, size: int) -> np.ndarray:
    """Draw evenly spaced frames of a clip, squashed to a square, as the encoder squashes them."""
    frames = draw_frames(clip, spread_times(n_frames))
    small = [Image.fromarray(f).resize((size, size), Image.Resampling.BILINEAR) for f in frames]
    return np.stack([np.asarray(image) for image in small])


def _draw(job: tuple[str, int, int, int]) -> tuple[int, np.ndarray]:
    split_name, i, n_frames, size = job
    clip = split(split_name)[i]
    try:
        return i, small_frames(clip, n_frames, size)
    except Exception as error:  # whatever a scene raises, say which one it was
        raise RuntimeError(f"{clip.id}, scene {clip.scene_name}, cannot be drawn") from error


def _array(path: Path, shape: Sequence[int], dtype: type) -> np.ndarray:
    """An array on disk that can be written; a new one of zeros unless it is there in this shape."""
    if path.exists():
        old = np.load(path, mmap_mode="r+")
        if old.shape == tuple(shape) and old.dtype == dtype:
            return old
    return np.lib.format.open_memmap(path, "w+", dtype, tuple(shape))


def _key(clip: Clip) -> int:
    about = [clip.id, clip.scene_name, sorted(clip.look.items()), _source(clip.scene.draw)]
    return int.from_bytes(hashlib.sha256(json.dumps(about).encode()).digest()[:8], "little")


@cache
def _source(draw: Callable) -> str:
    """Digest of the files that draw a scene."""
    files = (inspect.getfile(draw), inspect.getfile(canvas))
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()
