"""Weights and training states on disk, written whole or not at all, read without running code."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from retrieval.errors import ModelError
from retrieval.files import replacing


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


def write_weights(path: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Save tensors as safetensors, floating point ones in half precision."""
    from safetensors.torch import save

    stored = {
        name: (value.half() if value.is_floating_point() else value).detach().cpu().contiguous()
        for name, value in weights.items()
    }
    with replacing(path) as file:
        file.write(save(stored))


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read the weights of a .safetensors file or of a checkpoint of PyTorch, on the CPU.

    Args:
        path: .safetensors, or a file of `torch.save` with the weights themselves or under
            "state_dict".

    Raises:
        FileNotFoundError: there is no such file.
        ModelError: unreadable, without weights, not finite, or a tensor larger than its bytes.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no weights file {path.name}; check the path")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            weights = load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelError(f"{path.name} is not a whole safetensors file; fetch it again") from (
                error
            )
    else:
        weights = _torch_load(path)
        weights = weights.get("state_dict", weights)
    if not isinstance(weights, dict) or not any(torch.is_tensor(v) for v in weights.values()):
        raise ModelError(f"{path.name} holds no weights; give a checkpoint of an open_clip model")
    for name, value in weights.items():
        if not torch.is_tensor(value):
            continue
        # A stride of zero makes a terabyte out of four bytes.
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise ModelError(f"{path.name}: {str(name)[:60]} claims more numbers than it holds")
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ModelError(f"{path.name}: {str(name)[:60]} holds NaN or infinity; train it again")
    return weights


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
