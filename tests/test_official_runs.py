"""Official configs, unchanged: trained and evaluated on a miniature of every data set."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from made_trees import SPLITS, make_tree  # noqa: E402

from retrieval.__main__ import main  # noqa: E402
from retrieval.errors import SettingsError  # noqa: E402
from retrieval.experiments import RESULT  # noqa: E402
from retrieval.files import write_pickle  # noqa: E402
from retrieval.metrics import summarise, t2v_ranks  # noqa: E402
from retrieval.models import config as model_config  # noqa: E402
from retrieval.official import runs  # noqa: E402
from retrieval.training.experts_trainer import BEST  # noqa: E402

torch.set_num_threads(1)

HOW = {
    "trainer": {"epochs": 2},
    "optimizer": {"type": "Ranger", "args": {"lr": 0.01, "weight_decay": 0.001}},
    "lr_scheduler": {"type": "StepLR", "args": {"step_size": 1, "gamma": 0.95}},
    "loss": {"type": "MaxMarginRankingLoss", "args": {"margin": 0.1, "fix_norm": True}},
}


@pytest.fixture(autouse=True)
def small_text(monkeypatch):
    """The miniatures' captions have tokens of seven numbers."""
    monkeypatch.setitem(model_config.TEXT_DIMS, "openai", 7)
    monkeypatch.setitem(model_config.TEXT_DIMS, "w2v", 7)


def made_config(folder: Path, name: str, split: str, **more) -> Path:
    config = make_tree(folder, name, split) | HOW | more
    if name in ("QuerYD", "QuerYDSegments", "VaTeX"):
        config["experts"]["text_feat"] = "w2v"
        if "audio" in config["experts"]["modalities"]:  # stored in a format that nobody reads here
            config["experts"]["drop_feats"] = "audio"
    (folder / "configs").mkdir()
    path = folder / "configs" / "mini.json"
    path.write_text(json.dumps(config))
    return path


@pytest.mark.parametrize(("name", "split"), [(n, s[0]) for n, s in SPLITS.items()])
def test_every_data_set_is_trained_and_evaluated(tmp_path, capsys, name, split):
    config = made_config(tmp_path, name, split)
    out = tmp_path / "out"
    command = ["train", str(config), "--out", str(out), "--seeds", "0,1", "--sims"]
    assert main([*command, "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert "configs-mini, seed 1, epoch 2" in printed and "t2v qbnorm" in printed
    found = json.loads((out / "seed-1" / RESULT).read_text())
    sims, mask = (np.load(out / "seed-1" / file) for file in ("sims.npy", "mask.npy"))
    assert summarise(t2v_ranks(sims, mask=mask)) == found["t2v"]["metrics"]["none"]

    checkpoint = str(out / "seed-1" / BEST)
    report = tmp_path / "report.json"
    command = ["evaluate", str(config), "--resume", checkpoint, "--json", str(report)]
    command += ["--out", str(tmp_path / "saved")]
    assert main([*command, "--device", "cpu"]) == 0
    again = json.loads(report.read_text())
    assert again["t2v"]["metrics"] == found["t2v"]["metrics"]
    assert again["v2t"]["metrics"] == found["v2t"]["metrics"]
    assert main([*command, "--device", "cpu", "--no-bank"]) == 0
    alone = json.loads(report.read_text())
    assert alone["t2v"]["metrics"] == {"none": found["t2v"]["metrics"]["none"]}


def test_what_a_run_leaves_is_ready_for_normalise(tmp_path, capsys):
    config, out = made_config(tmp_path, "MSRVTT", "full-val"), tmp_path / "out"
    assert main(["train", str(config), "--out", str(out), "--device", "cpu"]) == 0
    folder, other = out / "seed-0", tmp_path / "again"
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2] and "val_t2v_Geom" in rows[0]
    assert len(list(folder.glob("events.out.tfevents.*"))) == 1
    found = json.loads((folder / RESULT).read_text())
    resume = ["--resume", str(folder / BEST), "--sims", str(other), "--device", "cpu"]
    assert main(["evaluate", str(config), *resume, "--out", str(tmp_path)]) == 0
    for kept in (folder, other):
        sims, masks, bank = (str(kept / f"{name}.npy") for name in ("sims", "mask", "bank_sims"))
        report = tmp_path / "report.json"
        command = ["normalise", "--sims", sims, "--masks", masks, "--bank-sims", bank]
        assert main([*command, "--json", str(report)]) == 0
        again = json.loads(report.read_text())
        assert again["metrics"] == found["t2v"]["metrics"]
        assert again["n_bank"] == 6 * 20
    (tmp_path / "bare").mkdir()
    command = ["train", str(config), "--out", str(tmp_path / "bare"), "--device", "cpu"]
    assert main([*command, "--no-sims", "--no-page"]) == 0
    assert not list((tmp_path / "bare").rglob("sims.npy"))
    assert not (tmp_path / "bare" / "web").exists()


def test_the_best_epoch_is_tested_on_the_split_of_eval_settings(tmp_path, capsys):
    settings = {"data_loader": {"args": {"split_name": "full-test", "num_test_captions": 20}}}
    config = made_config(tmp_path, "MSRVTT", "full-val", eval_settings=settings)
    root = tmp_path / "MSRVTT" / "structured-symlinks"
    (root / "test_list_full.txt").write_text("video7\nvideo9\n")
    out = tmp_path / "out"
    assert main(["train", str(config), "--out", str(out), "--device", "cpu"]) == 0
    found = json.loads((out / "seed-0" / RESULT).read_text())
    assert found["t2v"]["n_items"] == 2 and found["t2v"]["n_bank"] == 6 * 20
    capsys.readouterr()
    command = ["evaluate", str(config), "--resume", str(out / "seed-0" / BEST), "--device", "cpu"]
    assert main([*command, "--eval-from-training-config", "--out", str(tmp_path)]) == 0
    assert "2 items" in capsys.readouterr().out


def test_teachers_and_masks_of_a_config_are_used(tmp_path):
    more = {
        "distil_loss": True,
        "distil_params": {"base_path": "teachers/", "teachers": ["one.pkl"]},
        "caption_masks": "masks.pkl",
    }
    config = json.loads(made_config(tmp_path, "MSRVTT", "full-val", **more).read_text())
    plain = {key: value for key, value in config.items() if key not in more}
    losses = {}
    for kind, each in (("taught", config), ("plain", plain)):
        runs.train(each, 0, tmp_path / kind, epochs=1, keep_sims=False)
        log = (tmp_path / kind / "log.jsonl").read_text().splitlines()
        losses[kind] = json.loads(log[0])["loss"]
    assert losses["taught"] > losses["plain"]


@pytest.mark.parametrize("params", [None, {"base_path": "teachers/", "teachers": []}])
def test_distillation_without_teachers_is_refused(tmp_path, params):
    more = {"distil_loss": True, "distil_params": params}
    config = json.loads(made_config(tmp_path, "MSRVTT", "full-val", **more).read_text())
    with pytest.raises(SettingsError, match="distil_loss is true, but distil_params names no"):
        runs.train(config, 0, tmp_path / "run", epochs=1)


def test_masks_of_fused_captions_leave_nothing_out(tmp_path):
    config = json.loads(
        made_config(tmp_path, "DiDeMo", "val", caption_masks="masks.pkl").read_text()
    )
    masks = {f"video{i}": np.zeros(3) for i in range(6)}  # the released loader never looks
    write_pickle(tmp_path / "DiDeMo" / "structured-symlinks" / "masks.pkl", masks)
    found = runs.train(config, 0, tmp_path / "out", epochs=1, keep_sims=False)
    assert found["epoch"] == 1


def test_a_run_goes_on_from_a_checkpoint(tmp_path, capsys):
    config = made_config(tmp_path, "LSMDC", "full-val")
    first = ["train", str(config), "--device", "cpu", "--out"]
    assert main([*first, str(tmp_path / "first")]) == 0
    start = tmp_path / "first" / "seed-0" / BEST
    held = torch.load(start, weights_only=True)
    on = ["--resume", str(start), "--out", str(tmp_path / "on")]
    assert main([*first[:-1], *on, "--epochs", str(held["epoch"])]) == 2
    message = f"the checkpoint is of epoch {held['epoch']} and the config ends there"
    assert message in capsys.readouterr().err
    assert main([*first[:-1], *on, "--epochs", str(held["epoch"] + 1)]) == 0
    (row,) = [json.loads(line) for line in (tmp_path / "on/seed-0/log.jsonl").open()]
    assert row["epoch"] == held["epoch"] + 1
    assert row["learning_rate"] == held["optimizer"]["param_groups"][0]["lr"]
    state = torch.load(tmp_path / "on" / "seed-0" / BEST, weights_only=True)
    steps = {each["step"] for each in state["optimizer"]["state"].values()}
    was = {each["step"] for each in held["optimizer"]["state"].values()}
    assert steps == {step + 2 for step in was}  # six videos in batches of four
    moved = (state["state_dict"]["ce.moe_fc.weight"] - held["state_dict"]["ce.moe_fc.weight"]).abs()
    assert 0 < moved.max() < 0.1


def test_runs_are_named_after_folder_stem_and_changes():
    name = runs.experiment_name(
        Path("configs/msrvtt/train-full-ce.json"), "experts.ce_shared_dim@512+trainer.epochs@3"
    )
    assert name == "msrvtt-train-full-ce-experts-ce_shared_dim-512-trainer-epochs-3"
    name = runs.experiment_name(
        Path("configs/msvd/c.json"), "data_loader.args.feat_aggregation.i3d_.i3d_.0.stride@1,2"
    )
    assert name == "msvd-c-i3d--i3d--0-stride-1--2"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["train", "nowhere.json"], "nowhere.json"),
        (["evaluate", "nowhere.json"], "--resume is missing"),
        (["train", "animations-ce", "--resume", "x.pth"], "--resume is for configs"),
    ],
)
def test_wrong_options_are_told_in_one_line(capsys, command, message):
    assert main(command) == 2
    assert message in capsys.readouterr().err
