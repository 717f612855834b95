"""An official checkpoint -> the network with its weights, and the config it was trained with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from retrieval.errors import ModelError
from retrieval.files import read_json
from retrieval.formats import Record, read_checkpoint
from retrieval.models import build, from_official, load_weights


@dataclass(frozen=True)
class Trained:
    """What a `trained_model.pth` holds."""

    model: nn.Module  # in evaluation mode, on the CPU
    config: dict[str, Any]  # resolved
    epoch: int | None  # of the weights
    best: float | None  # the monitored metric then
    optimiser: dict[str, Any] | None  # its state; in official files that of the last epoch


def read_trained(path: str | Path, config: Mapping[str, Any] | None = None) -> Trained:
    """Read a checkpoint without running what it holds.

    Args:
        path: `trained_model.pth` or `checkpoint-epochN.pth`, of any version of PyTorch.
        config: resolved; None takes `config.json` beside the file, else the one in the file.

    Raises:
        FileNotFoundError: there is no such file.
        ModelError: no weights, no config, or weights of another architecture.
    """
    path = Path(path)
    held = read_checkpoint(path)
    weights = held.get("state_dict")
    if not isinstance(weights, dict) or not weights:
        raise ModelError(f"{path.name} holds no state_dict; give a trained_model.pth")
    if config is None:
        config = config_of(path, held)
    # Without memory at first: the weights take the places of parameters never made.
    with torch.device("meta"):
        model = build(from_official(config))
    load_weights(model, weights, assign=True)
    best = held.get("monitor_best")
    return Trained(
        model.eval(),
        dict(config),
        held.get("epoch"),
        None if best is None else float(best),
        held.get("optimizer"),
    )


def config_of(path: Path, held: Mapping[str, Any]) -> dict[str, Any]:
    """The resolved config of a checkpoint: `config.json` beside the file, else the one in it.

    Args:
        path: of the checkpoint.
        held: what it holds, as `read_checkpoint` gives it.

    Raises:
        ModelError: there is none.
    """
    beside = path.with_name("config.json")
    return read_json(beside) if beside.is_file() else _held_config(path.name, held)


def _held_config(name: str, held: Mapping[str, Any]) -> dict[str, Any]:
    """The config inside the parser object that the released code pickles."""
    value = held.get("config")
    if isinstance(value, Record) and isinstance(value.state, dict):
        value = value.state.get("_config")
    if not isinstance(value, dict):
        raise ModelError(f"{name} holds no config; put its config.json beside it")
    return _plain(value)


def _plain(value: Any) -> Any:
    """Paths as text, the rest as it is."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Record) and value.kind.startswith("pathlib."):
        return str(Path(*value.args))
    return value
