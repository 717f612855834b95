"""Official JSON configs -> one dict: what they inherit merged in, single values replaced.

`check_config` names what no config has; all that shipped ones have is known, used here or not.
"""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrieval.errors import SettingsError
from retrieval.files import read_json

_DOT = "\0"  # stands for an escaped point while a key is taken apart

TEXT, WHOLE, SWITCH, LIST, SECTION = (str,), (int,), (bool, int), (list,), (dict,)
NUMBER, NULL = (int, float), (type(None),)
# What each section may hold. "*" stands for any name.
KNOWN: dict[str, dict[str, tuple[type, ...]]] = {
    "": {
        **dict.fromkeys(("inherit_from", "log_name", "text_embedding_model_configs"), TEXT),
        **dict.fromkeys(("eval_mode", "eval_config", "hconfig_path", "task"), TEXT),
        **dict.fromkeys(("caption_masks", "training_file"), TEXT + NULL),
        **dict.fromkeys(("n_gpu", "seed"), WHOLE),
        **dict.fromkeys(("disable_nan_checks", "disable_gpu", "challenge_mode"), SWITCH),
        **dict.fromkeys(("distil_loss", "manual_linear_init", "force_cpu_val"), SWITCH),
        **dict.fromkeys(("mini_train", "debug_dataloader"), SWITCH),
        **dict.fromkeys(("metrics", "cache_targets"), LIST),
        **dict.fromkeys(("experts", "arch", "data_loader", "optimizer", "lr_scheduler"), SECTION),
        **dict.fromkeys(("loss", "trainer", "tester", "visualizer", "settings"), SECTION),
        "eval_settings": SECTION + SWITCH,
        "distil_params": SECTION + NULL,
    },
    "experts": {
        "modalities": LIST,
        **dict.fromkeys(("drop_feats", "text_feat", "text_agg"), TEXT),
        **dict.fromkeys(("ce_shared_dim", "face_dim", "text_dim"), WHOLE),
        "use_zeros_for_missing": SWITCH,
    },
    "arch": {"type": TEXT, "args": SECTION},
    "data_loader": {"type": TEXT, "args": SECTION, "batch_size": WHOLE},  # the last has no effect
    "data_loader.args": {
        **dict.fromkeys(("dataset_name", "data_dir", "root_feat_folder", "split_name"), TEXT),
        "challenge_test_root_feat_folder": TEXT,
        **dict.fromkeys(("batch_size", "num_workers", "num_test_captions"), WHOLE),
        "restrict_train_captions": WHOLE,
        **dict.fromkeys(("fuse_captions", "drop_last", "spatial_feats", "trn_cat"), SWITCH),
        "refresh_lru_cache": SWITCH,
        "text_dropout": NUMBER,
        **dict.fromkeys(("max_tokens", "feat_aggregation"), SECTION),
        "cls_partitions": LIST,
    },
    "data_loader.args.max_tokens": {"*": WHOLE},
    "data_loader.args.feat_aggregation": {"*": SECTION},
    "data_loader.args.feat_aggregation.*": {
        **dict.fromkeys(("temporal", "aggregate", "type", "model", "feat_type"), TEXT),
        **dict.fromkeys(("fps", "stride", "pixel_dim", "aggregate-axis", "trn_seg"), WHOLE),
        **dict.fromkeys(("offset", "inner_stride", "num_segments"), WHOLE + NULL),
        **dict.fromkeys(("flaky", "binarise"), SWITCH),
        "feat_dims": SECTION,
    },
    "data_loader.args.feat_aggregation.*.feat_dims": {"*": WHOLE},
    "optimizer": {"type": TEXT, "args": SECTION},
    "lr_scheduler": {"type": TEXT, "args": SECTION},
    "loss": {"type": TEXT, "args": SECTION},
    "loss.args": {"margin": NUMBER, "fix_norm": SWITCH},
    "visualizer": {"type": TEXT, "args": SECTION},
    "visualizer.args": {"src_video_dir": TEXT, "vis_vid_freq": WHOLE, "num_samples": WHOLE},
    "tester": {"save_dir": TEXT, "verbosity": WHOLE},
    "trainer": {
        **dict.fromkeys(("save_dir", "monitor"), TEXT),
        **dict.fromkeys(("epochs", "save_period", "val_freq", "verbosity"), WHOLE),
        "skip_first_n_saves": WHOLE,
        **dict.fromkeys(("tensorboard", "save_only_best", "include_optim_in_ckpts"), SWITCH),
        "early_stop": NUMBER,
    },
    "distil_params": {"base_path": TEXT, "teachers": LIST, "moee": SWITCH + LIST},
}


def is_config(name: str) -> bool:
    """Whether what somebody names is a config's file, and no recipe."""
    return name.endswith(".json")


def load_config(path: str | Path, custom_args: str = "") -> dict[str, Any]:
    """Read a config with all that it inherits.

    Parents are merged from left to right and the file last: dicts key by key, all else replaced.

    Args:
        path: a JSON file; its `inherit_from` names parents, separated by commas, relative to the
            working directory or to a folder that the file lies in.
        custom_args: "key@value+key2@value2", a key being a path of points, "_." a point in a name.

    Raises:
        FileNotFoundError: the file or a parent is not there.
        SettingsError: a file inherits from itself or from outside, or a custom argument does not
            fit.
    """
    config = _resolved(Path(path), ())
    for pair in filter(None, custom_args.split("+")):
        if "@" not in pair:
            raise SettingsError(f"custom argument {pair!r} has no @; write key@value")
        set_value(config, *pair.split("@", 1))
    return config


def check_config(config: Mapping[str, Any]) -> None:
    """Look at the keys of a resolved config, and at what they hold.

    Keys of `arch.args` are left to who builds the network, those of optimisers to these.

    Raises:
        SettingsError: keys that no config has, or a value of another type.
    """
    _check(config, "", "")
    if isinstance(config.get("eval_settings"), Mapping):
        _check(config["eval_settings"], "", "eval_settings.")


def _check(section: Mapping[str, Any], kind: str, path: str) -> None:
    """One section and those in it.

    Args:
        section: its keys and values.
        kind: where `KNOWN` has it.
        path: its name in messages; with a point at its end, or empty.
    """
    known = KNOWN[kind]
    unknown = [key for key in section if key not in known and "*" not in known]
    if unknown:
        raise SettingsError(
            f"unknown keys in the config: {', '.join(path + key for key in unknown)[:200]}; "
            "remove them, or correct their spelling"
        )
    for key, value in section.items():
        types = known.get(key) or known["*"]
        fits = isinstance(value, types) and (bool in types or not isinstance(value, bool))
        if not fits:
            raise SettingsError(
                f"{path}{key} is {json.dumps(value)[:60]}, expected {_in_words(types)}"
            )
        inner = f"{kind}.{key if key in known else '*'}".removeprefix(".")
        if isinstance(value, Mapping) and inner in KNOWN:
            _check(value, inner, f"{path}{key}.")


def _in_words(types: tuple[type, ...]) -> str:
    words = {
        str: "text", bool: "true or false", int: "a whole number", float: "a number",
        list: "a list", dict: "a section", type(None): "null",
    }  # fmt: skip
    if float in types:
        return words[float]
    return " or ".join(words[kind] for kind in types if not (kind is int and bool in types))


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A new dict: `over` on top of `base`, dicts merged and all else replaced."""
    out = copy.deepcopy(dict(base))
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = merged(out[key], value) if both else copy.deepcopy(value)
    return out


def set_value(config: dict[str, Any], key: str, text: str) -> None:
    """Replace one value, given as text, by one of the same type.

    Args:
        config: changed in place.
        key: path of points, for example "data_loader.args.batch_size".
        text: of a list, its items separated by commas; a trailing comma makes a list of one.

    Raises:
        SettingsError: there is no such key, or the text is not of its type.
    """
    names = [name.replace(_DOT, ".") for name in key.replace("_.", _DOT).split(".")]
    *parents, last = names
    section: Any = config
    for name in names:
        if not isinstance(section, dict) or name not in section:
            known = ", ".join(section) if isinstance(section, dict) else "nothing"
            raise SettingsError(f"the config has no {key}: {name!r} is not among {known}")
        parent, section = section, section[name]
    if isinstance(section, dict):
        raise SettingsError(f"{key} is a section; give the path of one value in it")
    parent[last] = _cast(key, section, text)


def _cast(key: str, old: Any, text: str) -> Any:
    """Text as a value of the type of another."""
    if isinstance(old, list):
        items = text.removesuffix(",").split(",")
        return [_cast(key, old[0], item) if old else item for item in items]
    if isinstance(old, bool):
        if text.lower() not in ("true", "false", "1", "0"):
            raise SettingsError(f"{key} is true or false, got {text!r}")
        return text.lower() in ("true", "1")
    if old is None:
        return text
    try:
        return type(old)(text)
    except ValueError as error:
        raise SettingsError(f"{key} is {type(old).__name__} like {old}, got {text!r}") from error


def _resolved(path: Path, below: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in below:
        raise SettingsError(f"config {path.name} inherits from itself; correct its inherit_from")
    if not path.is_file():
        raise FileNotFoundError(f"no config {path}; check the path")
    own = read_json(path)
    if not isinstance(own, dict):
        raise SettingsError(f"config {path.name} is no JSON object; give a dict of sections")
    if not isinstance(own.get("inherit_from", ""), str):
        raise SettingsError(
            f"inherit_from of config {path.name} is no text; give paths with commas"
        )
    config: dict[str, Any] = {}
    for name in filter(None, own.get("inherit_from", "").split(",")):
        parent = _find(name.strip(), path)
        config = merged(config, _resolved(parent, (*below, path.resolve())))
    return merged(config, own)


def _find(name: str, child: Path) -> Path:
    """A parent config: from the working directory, else from a folder that the child lies in."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise SettingsError(
            f"config {child.name} inherits from {name}, which leads out of the folder of configs; "
            "name a path below it"
        )
    for folder in (Path(), *child.resolve().parents):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"config {child.name} inherits from {name}, which is not there; "
        "start in the folder that its path begins in"
    )
