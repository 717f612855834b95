"""Networks of the Collaborative Experts family and its baseline, built from a config."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from retrieval.errors import ModelError
from retrieval.models.ce import CENet
from retrieval.models.config import CEConfig, Expert, MNNetConfig, from_official
from retrieval.models.mnnet import MNNet

__all__ = [
    "ARCHITECTURES",
    "CEConfig",
    "CENet",
    "Expert",
    "MNNet",
    "MNNetConfig",
    "build",
    "from_official",
    "load_weights",
]

# A config's type -> the network; the names are those of official checkpoints.
ARCHITECTURES = {CEConfig: CENet, MNNetConfig: MNNet}
# Parts that early models had and no later one reads.
DEPRECATED = ("ce.moe_fc_bottleneck1.", "ce.moe_cg.", "ce.moe_fc_proj.")


def build(config: CEConfig | MNNetConfig | Mapping[str, Any]) -> CENet | MNNet:
    """Make a network with fresh parameters; of a resolved official config too."""
    if isinstance(config, Mapping):
        config = from_official(config)
    return ARCHITECTURES[type(config)](config)


def load_weights(model: nn.Module, weights: Mapping[str, Any], assign: bool = False) -> None:
    """Load a state dict of this architecture, strictly, whether official or ours.

    The prefix of several GPUs and the parts of early models are dropped first.

    Args:
        model: whose parameters are filled.
        weights: name -> tensor or array; or a checkpoint that holds them as its "state_dict".
        assign: the tensors become the parameters, instead of being copied into them.

    Raises:
        ModelError: keys or shapes differ; the message names them.
    """
    held = weights.get("state_dict", weights)
    weights = {key.removeprefix("module."): torch.as_tensor(x) for key, x in held.items()}
    weights = {key: v for key, v in weights.items() if not key.startswith(DEPRECATED)}
    own = model.state_dict()
    other = [key for key in own if key in weights and own[key].shape != weights[key].shape]
    for fault, keys in (
        ("lacks", [key for key in own if key not in weights]),
        ("has besides", [key for key in weights if key not in own]),
    ):
        if keys:
            raise ModelError(
                f"the checkpoint is of another architecture: it {fault} {_listed(keys)}; "
                "give the config that it was trained with"
            )
    if other:
        key = other[0]
        raise ModelError(
            f"the checkpoint is of another size: {key} is {tuple(weights[key].shape)}, expected "
            f"{tuple(own[key].shape)}; give the config that it was trained with"
        )
    model.load_state_dict(weights, assign=assign)


def _listed(keys: list[str], n: int = 5) -> str:
    more = f" and {len(keys) - n} more" if len(keys) > n else ""
    return ", ".join(keys[:n]) + more
