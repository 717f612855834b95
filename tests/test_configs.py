"""Official configs: what is inherited, what is replaced from the command line."""

import json
from pathlib import Path

import pytest

from retrieval.errors import SettingsError
from retrieval.official.configs import check_config, load_config, merged, set_value


def write(folder: Path, name: str, **content) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def test_later_parents_override_earlier_ones_and_the_file_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base = {"n_gpu": 1, "arch": {"type": "CENet", "args": {"use_ce": "", "l": [1, 2]}}}
    write(tmp_path, "configs/base.json", **base)
    write(tmp_path, "configs/one.json", inherit_from="configs/base.json", seed=1, a={"x": 1})
    write(tmp_path, "configs/two.json", seed=2, a={"y": 2}, arch={"args": {"l": [3]}})
    path = write(
        tmp_path,
        "configs/msrvtt/train.json",
        inherit_from="configs/one.json,configs/two.json",
        arch={"args": {"use_ce": "pairwise"}},
    )
    assert load_config(path) == {
        "n_gpu": 1,
        "seed": 2,
        "a": {"x": 1, "y": 2},
        "arch": {"type": "CENet", "args": {"use_ce": "pairwise", "l": [3]}},
        "inherit_from": "configs/one.json,configs/two.json",
    }


def test_parents_are_found_from_elsewhere_too(tmp_path, monkeypatch):
    write(tmp_path, "repo/configs/base.json", seed=7)
    path = write(tmp_path, "repo/configs/msvd/train.json", inherit_from="configs/base.json")
    monkeypatch.chdir(tmp_path)
    assert load_config(path)["seed"] == 7


def test_merging_changes_neither_side():
    base, over = {"a": {"b": [1]}}, {"a": {"c": {"d": 1}}}
    out = merged(base, over)
    out["a"]["b"].append(2)
    out["a"]["c"]["d"] = 3
    assert base == {"a": {"b": [1]}} and over == {"a": {"c": {"d": 1}}}


def test_custom_arguments_keep_the_type_of_what_they_replace(tmp_path):
    path = write(
        tmp_path,
        "c.json",
        lr=0.1,
        epochs=30,
        fuse=False,
        experts={"modalities": ["face", "ocr"], "text_feat": "openai", "none": None},
        feat={"i3d.i3d.0": {"stride": 25}},
        sizes=[1, 2],
    )
    given = "lr@3+epochs@2+fuse@true+experts.modalities@face,+feat.i3d_.i3d_.0.stride@4"
    config = load_config(path, given + "+sizes@4,5,6+experts.text_feat@w2v+experts.none@x")
    assert config == {
        "lr": 3.0,
        "epochs": 2,
        "fuse": True,
        "experts": {"modalities": ["face"], "text_feat": "w2v", "none": "x"},
        "feat": {"i3d.i3d.0": {"stride": 4}},
        "sizes": [4, 5, 6],
    }
    assert isinstance(config["lr"], float)


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("trainer.speed", "1", "the config has no trainer.speed: 'speed' is not among epochs, on"),
        ("trainer.epochs.x", "1", "'x' is not among nothing"),
        ("trainer.epochs", "many", "trainer.epochs is int like 3, got 'many'"),
        ("trainer.on", "perhaps", "trainer.on is true or false, got 'perhaps'"),
        ("trainer", "1", "trainer is a section"),
    ],
)
def test_custom_arguments_that_do_not_fit_are_refused(key, text, message):
    with pytest.raises(SettingsError, match=message):
        set_value({"trainer": {"epochs": 3, "on": True}}, key, text)


def test_configs_that_cannot_be_resolved_are_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = write(tmp_path, "one.json", inherit_from="two.json")
    with pytest.raises(FileNotFoundError, match="one.json inherits from two.json, which is not"):
        load_config(one)
    write(tmp_path, "two.json", inherit_from="one.json")
    with pytest.raises(SettingsError, match="one.json inherits from itself"):
        load_config(one)
    with pytest.raises(FileNotFoundError, match="no config .*three.json"):
        load_config(tmp_path / "three.json")
    with pytest.raises(SettingsError, match="'lr' has no @; write key@value"):
        load_config(write(tmp_path, "four.json", lr=1), "lr")
    (tmp_path / "five.json").write_text("[]")
    with pytest.raises(SettingsError, match="five.json is no JSON object"):
        load_config(tmp_path / "five.json")


def test_every_key_that_released_configs_have_is_known():
    from made_configs import BASE, MNNET, RUNS

    for config in (BASE, MNNET, *(part for run in RUNS.values() for part in run)):
        check_config(config)
    check_config({"trainer": {"early_stop": 5, "skip_first_n_saves": 0}, "eval_settings": False})
    check_config({"distil_params": {"base_path": "t/", "teachers": [], "moee": [1, 0]}})
    check_config({"caption_masks": None, "training_file": None, "distil_params": None})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"seed": 0, "sead": 1}, "unknown keys in the config: sead; remove them, or correct"),
        ({"experts": {"feat": 1}}, "unknown keys in the config: experts.feat; remove them"),
        ({"eval_settings": {"tester": {"dir": ""}}}, "config: eval_settings.tester.dir; remove"),
        ({"seed": True}, "seed is true, expected a whole number"),
        ({"seed": 1.5}, "seed is 1.5, expected a whole number"),
        ({"loss": {"args": {"margin": "1"}}}, 'loss.args.margin is "1", expected a number'),
        ({"distil_loss": "yes"}, 'distil_loss is "yes", expected true or false'),
        ({"training_file": 3}, "training_file is 3, expected text or null"),
        ({"trainer": [1]}, r"trainer is \[1\], expected a section"),
    ],
)
def test_keys_and_values_that_no_config_has_are_named(config, message):
    with pytest.raises(SettingsError, match=message):
        check_config(config)
