"""Manifests of galleries -> what the page says of the models behind them.

A manifest is read without opening its gallery, so all of this is known before a model is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from retrieval.answers import expert_title
from retrieval.files import read_json
from retrieval.gallery import FILM_LIBRARY
from retrieval.manifests import MANIFEST

FILMS = "assets:animations"  # where the manifests of the film library say its media are
# Encoders of the film library, in the order of the menu: name -> what the papers call them.
TITLES = {
    "animations-clip": "Small CLIP",
    "animations-moee": "MoEE",
    "animations-ce": "CE",
    "animations-teachtext-ce-plus": "TeachText - CE+",
    "animations-audio": "Text to audio (AR-CE)",
}
Manifest = Mapping[str, Any]


def film_galleries() -> list[Path]:
    """Folders of the film library's galleries of other models, those that are here."""
    beside = (FILM_LIBRARY.with_name(name) for name in TITLES)
    return [path for path in beside if path != FILM_LIBRARY and (path / MANIFEST).is_file()]


def whole(manifest: Manifest, path: Path | None) -> Manifest:
    """A gallery's manifest, with the media root of the gallery beside it whose items it shows."""
    shown = manifest.get("shows")
    if path is None or not isinstance(shown, dict):
        return manifest
    beside = path.resolve().parent / str(shown.get("gallery", "")) / MANIFEST
    root = read_json(beside).get("media_root", ".") if beside.is_file() else "."
    return {**manifest, "media_root": root}


def is_film_library(manifest: Manifest) -> bool:
    """Whether a gallery is of the clips that come with the project."""
    return manifest.get("media_root") == FILMS


def encoder_name(manifest: Manifest) -> str:
    """The encoder that a manifest names; "" where it names none."""
    encoder = manifest.get("encoder")
    return str(encoder.get("name", "")) if isinstance(encoder, dict) else ""


def made_text(title: str, manifest: Manifest, banks: Sequence[Manifest]) -> str:
    """What a model compares and the commands that made what is served of it, in Markdown."""
    encoder = manifest["encoder"]
    experts = [expert_title(str(name)) for name, *_ in encoder.get("experts", ())]
    compares = (
        f"{len(experts)} expert{'s' * (len(experts) > 1)} ({', '.join(experts)})"
        if experts
        else f"one embedding of {encoder['dim']:,} numbers"
    )
    captions = "".join(f", {bank['n_items']:,} captions in its querybank" for bank in banks)
    commands = "\n".join(
        f"    {each['command']}" for each in (manifest, *banks) if each.get("command")
    )
    return (
        f"**{title}** ({encoder['name']}): compares {compares}; {manifest['n_items']:,} clips"
        f"{captions}. Made by\n\n{commands}\n"
    )


def menu_title(name: str, manifest: Manifest) -> str:
    """What the menu calls a gallery: its model where it is of the film library, else its name."""
    return TITLES.get(encoder_name(manifest), name) if is_film_library(manifest) else name


def is_of_models(manifests: Mapping[str, Manifest]) -> bool:
    """Whether all galleries, more than one, are of the same films under different models."""
    return len(manifests) > 1 and all(is_film_library(each) for each in manifests.values())


def is_heard(manifest: Manifest) -> bool:
    """Whether the items of a gallery are sounds, so that cards play them and hide the still."""
    return manifest.get("media") == "audio"
