"""Weights and training states on disk, written whole or not at all, read without running code."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from retrieval.errors import FileError, ModelError
from retrieval.files import replacing
from retrieval.formats import read_checkpoint


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Save what a training run needs to go on: tensors, numbers, strings, and containers of these.

    The old file stays until the new one is whole and on disk.
    """
    with replacing(path) as file:
        torch.save(state, file)


def load_state(path: Path) -> dict[str, Any]:
    """Read a state of `save_state`.

    Raises:
        ModelError: the file is damaged, or holds anything but plain data.
    """
    return _torch_load(Path(path))


def write_weights(path: Path, weights: Mapping[str, torch.Tensor], half: bool = True) -> None:
    """Save tensors as safetensors, floating point ones in half precision unless told otherwise."""
    from safetensors.torch import save

    stored = {  # clones, since a file holds no two tensors that share their numbers
        name: (value.half() if half and value.is_floating_point() else value)
        .detach()
        .cpu()
        .clone(memory_format=torch.contiguous_format)
        for name, value in weights.items()
    }
    with replacing(path) as file:
        file.write(save(stored))


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read the weights that somebody made, on the CPU; PyTorch's own reader never sees the file.

    Args:
        path: .safetensors, or a file of `torch.save` or TorchScript with the weights themselves or
            under "state_dict".

    Returns:
        tensors by name, those of bfloat16 as float32.

    Raises:
        FileNotFoundError: there is no such file.
        ModelError: unreadable, without weights, not finite, or a tensor larger than its bytes.
    """
    return read_trained(path)[0]


def read_trained(path: Path) -> tuple[dict[str, torch.Tensor], int | None]:
    """Weights as of `read_weights`, and the epoch that the file says they are of, if it does."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no weights file {path.name}; check the path")
    try:
        found = read_checkpoint(path)
    except FileError as error:
        raise ModelError(str(error)) from error
    named = found.get("state_dict", found)
    arrays = named.items() if isinstance(named, dict) else ()
    weights = {name: value for name, value in arrays if isinstance(value, np.ndarray)}
    if not weights:
        raise ModelError(f"{path.name} holds no weights; give a checkpoint of an open_clip model")
    for name, value in weights.items():
        if not np.isfinite(value).all():
            raise ModelError(f"{path.name}: {str(name)[:60]} holds NaN or infinity; train it again")
    epoch = found.get("epoch")
    whole = isinstance(epoch, int | float) and epoch == epoch // 1
    weights = {str(name): torch.from_numpy(value) for name, value in weights.items()}
    return weights, int(epoch) if whole else None


def digest(weights: Mapping[str, torch.Tensor], settings: Any) -> str:
    """SHA-256 of weights and of the settings (JSON) that turn them into an encoder."""
    sha = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        sha.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        sha.update(value.flatten().view(torch.uint8).numpy())
    return sha.hexdigest()


def _torch_load(path: Path) -> dict[str, Any]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise ModelError(
            f"{path.name} cannot be read as plain weights; save them as .safetensors"
        ) from error
    if not isinstance(loaded, dict):
        raise ModelError(f"{path.name} holds {type(loaded).__name__}, expected named weights")
    return loaded
