"""Official checkpoints: weights in, the pickled config object read and never run."""

import json
import pathlib
import sys
import types

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from retrieval.datasets.official import open_official  # noqa: E402
from retrieval.errors import FileError, ModelError  # noqa: E402
from retrieval.models import build, from_official  # noqa: E402
from retrieval.models.trained import read_trained  # noqa: E402
from retrieval.training.optimisers import Ranger  # noqa: E402
from tests.made_trees import make_tree  # noqa: E402
from tests.reference_loader import train_batch  # noqa: E402


@pytest.fixture
def config(tmp_path) -> dict:
    made = make_tree(tmp_path / "data", "MSRVTT", "full-val", text_dim=768)
    made["visualizer"] = {"args": {"src_video_dir": "data/MSRVTT/videos"}}
    return made


@pytest.fixture
def parser(monkeypatch):
    """The class that official checkpoints carry; gone when they are read."""

    class ConfigParser:
        pass

    module = types.ModuleType("parse_config")
    module.ConfigParser = ConfigParser
    ConfigParser.__module__, ConfigParser.__qualname__ = "parse_config", "ConfigParser"
    monkeypatch.setitem(sys.modules, "parse_config", module)
    return ConfigParser


def save(path: pathlib.Path, config: dict, parser: type, prefix: str = "", legacy: bool = True):
    """A network after one step, saved as the released code saves it."""
    torch.manual_seed(0)
    model = build(from_official(config)).train()
    optimiser = Ranger(model.parameters(), lr=0.01)
    settings = from_official(config)
    data = open_official(config, {e.name: e.dim for e in settings.experts})
    batch = train_batch(data, range(4), np.random.RandomState(0))
    sims = model(
        {name: torch.from_numpy(x) for name, x in batch["experts"].items()},
        {name: torch.from_numpy(x) for name, x in batch["ind"].items()},
        torch.from_numpy(batch["text"]),
    )["cross_view_conf_matrix"]
    sims.mean().backward()
    optimiser.step()
    held = parser()
    folder = pathlib.PurePosixPath(config["visualizer"]["args"]["src_video_dir"])
    held._config = {**config, "visualizer": {"args": {"src_video_dir": folder}}}
    held.resume = None
    state = {f"{prefix}{key}": value for key, value in model.state_dict().items()}
    torch.save(
        {
            "arch": "CENet",
            "epoch": 7,
            "state_dict": state,
            "optimizer": optimiser.state_dict(),
            "monitor_best": np.float64(24.5),
            "config": held,
        },
        path,
        _use_new_zipfile_serialization=not legacy,
    )
    return model.eval()


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_trained_model_comes_back_with_its_config(
    tmp_path, config, parser, monkeypatch, prefix, legacy
):
    path = tmp_path / "trained_model.pth"
    model = save(path, config, parser, prefix, legacy)
    monkeypatch.delitem(sys.modules, "parse_config")
    found = read_trained(path)
    assert found.config == config  # the path in it has become text again
    assert (found.epoch, found.best) == (7, 24.5)
    assert not found.model.training
    for key, value in model.state_dict().items():
        torch.testing.assert_close(found.model.state_dict()[key], value, rtol=0, atol=0)
    assert all(p.requires_grad for p in found.model.parameters())
    assert set(found.optimiser["state"][0]) == {"step", "exp_avg", "exp_avg_sq", "slow_buffer"}


def test_the_config_beside_the_file_comes_first(tmp_path, config, parser):
    path = tmp_path / "trained_model.pth"
    save(path, config, parser)
    (tmp_path / "config.json").write_text(json.dumps({**config, "seed": 5}))
    assert read_trained(path).config["seed"] == 5


def test_what_is_no_trained_model_is_told(tmp_path, config, parser):
    path = tmp_path / "trained_model.pth"
    save(path, config, parser)
    other = {**config, "experts": {**config["experts"], "ce_shared_dim": 9}}
    with pytest.raises(ModelError, match="the checkpoint is of another size: ce.video_dim_reduce"):
        read_trained(path, other)
    torch.save({"state_dict": {"dummy_param": torch.ones(1)}}, tmp_path / "bare.pth")
    with pytest.raises(ModelError, match="bare.pth holds no config; put its config.json beside it"):
        read_trained(tmp_path / "bare.pth")
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    with pytest.raises(ModelError, match="empty.pth holds no state_dict"):
        read_trained(tmp_path / "empty.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(FileError):
        read_trained(tmp_path / "text.pth")
