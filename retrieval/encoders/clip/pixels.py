"""Frames -> the pixels that an open_clip model takes, a whole clip at once."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F


class Preprocess:
    """Frames -> the model's input: open_clip's own steps, on a whole clip at once."""

    def __init__(self, cfg: dict[str, Any]) -> None:
        """`cfg` is open_clip's preprocess_cfg: size, mean, std, interpolation, resize_mode."""
        from open_clip.transform import PreprocessCfg, image_transform_v2

        self.steps = image_transform_v2(PreprocessCfg(**cfg), is_train=False).transforms
        self.mode = cfg["interpolation"]
        self.mean, self.std = torch.tensor(cfg["mean"]), torch.tensor(cfg["std"])

    def __call__(self, frames: np.ndarray) -> torch.Tensor:
        """[n_frames, height, width, 3] uint8 -> [n_frames, 3, size, size] float32."""
        pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
        for step in self.steps:
            kind = type(step).__name__
            if kind in ("Resize", "ResizeKeepRatio"):
                # PyTorch's own path for bytes rounds as Pillow does; torchvision's does not.
                size = _target_size(step, *pixels.shape[-2:])
                pixels = F.interpolate(pixels, size, mode=self.mode, antialias=True)
            elif kind in ("CenterCrop", "CenterCropOrPad"):
                pixels = step(pixels)
        return normalise(pixels, self.mean, self.std)


def _target_size(step: Any, height: int, width: int) -> tuple[int, int]:
    """Height and width that a resizing step of open_clip gives to a picture."""
    if hasattr(step, "longest"):  # ResizeKeepRatio reads no more of a picture than its size
        picture = SimpleNamespace(size=(width, height))
        return tuple(step.get_params(picture, step.size, step.longest))
    if isinstance(step.size, int):  # the shorter side
        short, long = step.size, int(step.size * max(height, width) / min(height, width))
        return (short, long) if height <= width else (long, short)
    return tuple(step.size)


def normalise(pixels: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """[n, 3, height, width] of 0..255 -> the same with the training's mean and deviation."""
    return (pixels.float() / 255 - mean[:, None, None]) / std[:, None, None]
