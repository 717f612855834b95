"""Official JSON configs -> one dict: what they inherit merged in, single values replaced."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrieval.errors import SettingsError
from retrieval.files import read_json

_DOT = "\0"  # stands for an escaped point while a key is taken apart


def load_config(path: str | Path, custom_args: str = "") -> dict[str, Any]:
    """Read a config with all that it inherits.

    Parents are merged from left to right and the file last: dicts key by key, all else replaced.

    Args:
        path: a JSON file; its `inherit_from` names parents, separated by commas, relative to the
            working directory or to a folder that the file lies in.
        custom_args: "key@value+key2@value2", a key being a path of points, "_." a point in a name.

    Raises:
        FileNotFoundError: the file or a parent is not there.
        SettingsError: a file inherits from itself, or a custom argument does not fit.
    """
    config = _resolved(Path(path), ())
    for pair in filter(None, custom_args.split("+")):
        if "@" not in pair:
            raise SettingsError(f"custom argument {pair!r} has no @; write key@value")
        set_value(config, *pair.split("@", 1))
    return config


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
    config: dict[str, Any] = {}
    for name in filter(None, str(own.get("inherit_from", "")).split(",")):
        parent = _find(name.strip(), path)
        config = merged(config, _resolved(parent, (*below, path.resolve())))
    return merged(config, own)


def _find(name: str, child: Path) -> Path:
    """A parent config: from the working directory, else from a folder that the child lies in."""
    for folder in (Path(), *child.resolve().parents):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"config {child.name} inherits from {name}, which is not there; "
        "start in the folder that its path begins in"
    )
