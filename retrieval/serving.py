"""A fitted bias -> one float per item in a file that other search engines' scripts can read.

Every format holds, in the gallery's order, `id`, `bias` (float32, mean zero: subtract it from the
similarity) and, where the normaliser has a gate, `active` (bool: this item opens it), and `about`:
what the bias was fitted on, and where similarity is an inner product the constants of `folding.py`.

.parquet  columns; `about` as JSON under the key "hublens" of the file's metadata
.csv      columns; `about` in OUT.csv.about.json          .json  {"about", "id", "bias", "active"}
.npz      arrays; `about` as the UTF-8 bytes of its JSON  .npy   bias only; OUT.npy.about.json
"""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval import files, manifests
from retrieval.errors import GalleryError, SettingsError
from retrieval.folding import Folding
from retrieval.gallery import Gallery
from retrieval.normalisers import Bias, Evidence, check_searchable, parse_spec, spec_of
from retrieval.querybank import Querybank, fitted_on


@dataclass(frozen=True, eq=False)
class ServedBias:
    """A bias and all that another search engine needs to use it."""

    ids: tuple[str, ...]
    bias: Bias
    about: dict[str, Any]  # plain values, as JSON holds them


def fit_for_serving(
    gallery: Gallery,
    bank: Querybank,
    normaliser: str,
    beta: float | None = None,
    k: int = 1,
    bank_size: int | None = None,
    gallery_bank: Querybank | None = None,
    command: str = "python -m retrieval bias",
) -> ServedBias:
    """Fit a bias to take elsewhere.

    Args:
        gallery: the items.
        bank: captions embedded by the same encoder.
        normaliser: a word such as "qbnorm" or "nnn:alpha=0.5:neighbours=8".
        beta: inverse temperature per unit of similarity where the word names none; None for
            scale-free.
        k: items of each bank caption that count, where the word does not say.
        bank_size: first captions of the bank; None for all.
        gallery_bank: other videos, for the normalisers that need them.
        command: the command that makes this bias again.

    Raises:
        GalleryError: another encoder made a bank, it is of the other side, or it is too small.
        SettingsError: the normaliser is unknown or not additive, or a setting is out of range.
    """
    _check(bank, gallery, "text")
    captions = bank.head(bank_size or len(bank))
    chosen = parse_spec(normaliser, beta=beta, k=k)
    space = gallery.space
    tiles = {"bank_sims": space.tiles(captions.text_emb, gallery.video_emb)}
    if chosen.additive and "gallery_bank" in chosen.needs:
        if gallery_bank is None:
            raise SettingsError(
                f"{chosen.title} needs a bank of other videos; give one with --gallery-bank, made "
                "by `python -m retrieval bank --embeddings VIDEOS.npy --side video`"
            )
        _check(gallery_bank, gallery, "video")
        others = gallery_bank.text_emb
        tiles["gallery_bank_sims"] = space.tiles(others, gallery.video_emb)
        tiles["bank_gallery_bank_sims"] = space.tiles(captions.text_emb, others)
    else:
        check_searchable(chosen.name)
        if "gallery" in chosen.needs:
            tiles["gallery_sims"] = space.tiles(gallery.video_emb, gallery.video_emb)
    bias = chosen.fit(Evidence(**tiles))
    if bias.states is not None:
        raise SettingsError(
            f"{chosen.title} has {len(bias.states)} biases, one for each state of its gates, and "
            "one number per item cannot hold them; take dualis"
        )
    about: dict[str, Any] = {}
    if space.dot_product:  # else there is no inner product to fold the bias into
        folding = Folding(bias, gallery.video_emb.shape[1])
        about = {"dim": folding.dim, "c": folding.c, "length": folding.length}
    about |= {
        "format": manifests.FORMAT_VERSION,
        "command": command,
        "n_items": len(gallery),
        "mean": float(bias.values.mean(dtype=np.float64)),
        "gated": bias.active is not None,
        "normaliser": spec_of(chosen),
        "beta": bias.beta,
        "k": bias.k,
        "n_bank": bias.n_bank,
        "fitted_on": fitted_on(gallery, bank, spec_of(chosen), bias.beta, bias.k, bias.n_bank),
        "encoder": {"name": gallery.encoder.name, "spec": gallery.encoder.spec},
        "gallery": gallery.name,
        "bank": bank.name,
    }
    if gallery_bank is not None:
        about["fitted_on"]["gallery_bank"] = gallery_bank.digest
    return ServedBias(tuple(item.id for item in gallery.items), bias, about)


def _check(bank: Querybank, gallery: Gallery, side: str) -> None:
    bank.check_fits(gallery)
    if bank.side != side:
        what = {"text": "captions", "video": "videos"}
        raise GalleryError(
            f"querybank {bank.name} is of {what[bank.side]}, expected one of {what[side]}; make it "
            f"again with --side {side}"
        )


def write_bias(path: str | Path, served: ServedBias) -> None:
    """Write the bias in the format that the path's suffix names, whole or not at all."""
    path = Path(path)
    columns = {"id": np.array(served.ids), "bias": served.bias.centred.astype(np.float32)}
    if served.bias.active is not None:
        columns["active"] = served.bias.active
    if path.suffix == ".parquet":
        _write_parquet(path, columns, served.about)
    elif path.suffix == ".json":
        plain = {name: column.tolist() for name, column in columns.items()}
        files.write_json(path, {"about": served.about, **plain})
    elif path.suffix == ".npz":
        text = json.dumps(served.about, sort_keys=True).encode()
        files.write_npz(path, {**columns, "about": np.frombuffer(text, dtype=np.uint8)})
    else:
        if path.suffix == ".csv":
            _write_csv(path, columns)
        else:
            files.write_npy(path, columns["bias"])
        files.write_json(path.with_name(f"{path.name}.about.json"), served.about)


def _write_parquet(path: Path, columns: dict[str, np.ndarray], about: dict[str, Any]) -> None:
    import fastparquet
    import pandas as pd

    with files.replacing(path) as file:
        # Plain columns that every reader knows: text, float and bool, none of them optional.
        fastparquet.write(
            file.name,
            pd.DataFrame(columns),
            write_index=False,
            has_nulls=False,
            object_encoding="utf8",
            custom_metadata={"hublens": json.dumps(about, sort_keys=True)},
        )


def _write_csv(path: Path, columns: dict[str, np.ndarray]) -> None:
    """Numbers with nine digits, which give a float32 back exactly."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(columns)
    shown = [
        [f"{value:.9g}" for value in column.tolist()] if name == "bias" else column.tolist()
        for name, column in columns.items()
    ]
    rows.writerows(zip(*shown, strict=True))
    with files.replacing(path) as file:
        file.write(text.getvalue().encode())
