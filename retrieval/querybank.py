"""Captions -> a querybank on disk, and the biases that are fitted with it.

B/bank_emb.npy   [n_bank, dim] rows of the encoder, in a random order so that a head is a sample
B/captions.jsonl {"text"} a row            B/manifest.json   written last, as in a gallery
G/biases/*.npz   one fitted bias each, with the digests of all that it was fitted on

A bank may take the captions of another that lies beside it: then it is a manifest alone, with the
other's name and the SHA-256 of its captions, which are embedded when somebody needs them.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from retrieval import files, formats, manifests
from retrieval.building import Build
from retrieval.errors import GalleryError
from retrieval.gallery import EncoderId, Gallery, read_emb, read_encoder_id
from retrieval.live import Live, rows_of
from retrieval.normalisers import Bias, Updatable

MAKE = "python -m retrieval bank CAPTIONS --gallery GALLERY --out BANK"
SMALL_BANK = 500  # captions; below, estimates are noisy
SHARD_CAPTIONS = 1024  # captions embedded between two lines of the journal
MAX_BIASES = 64  # files kept with one gallery


@dataclass(frozen=True, eq=False)
class Querybank:
    """Embedded captions, used only to find hubs; never test queries."""

    name: str
    path: Path | None  # None for one that lives in memory only
    captions: tuple[str, ...]
    emb: np.ndarray | Live  # [n_bank, dim] float32, rows of the encoder
    encoder: EncoderId
    manifest: dict[str, Any] = field(default_factory=dict)
    side: str = "text"  # what the rows embed: "text", or "video" to normalise video-to-text

    def __len__(self) -> int:
        return len(self.emb)

    @property
    def text_emb(self) -> np.ndarray:
        """[n_bank, dim] float32, made now where they are not stored."""
        return rows_of(self.emb)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the embeddings, as in the manifest, or of what they follow from."""
        if isinstance(self.emb, Live):
            return self.emb.digest
        known = self.manifest.get("files", {}).get("bank_emb.npy")
        return known["sha256"] if known else files.digest_array(self.text_emb)

    def head(self, n: int) -> "Querybank":
        """The first n captions; rows are in random order, so these are a sample."""
        if not 1 <= n <= len(self):
            raise GalleryError(f"the bank has {len(self):,} captions, cannot take {n:,}")
        if n == len(self):
            return self
        return replace(self, captions=self.captions[:n], emb=self.text_emb[:n], manifest={})

    def check_fits(self, gallery: Gallery) -> None:
        """Refuse a bank that another encoder made.

        Raises:
            GalleryError: the encoders differ.
        """
        ours, theirs = self.encoder, gallery.encoder
        if ours.dim != theirs.dim:
            raise GalleryError(
                f"querybank has dim {ours.dim}, gallery has dim {theirs.dim}; rebuild the bank "
                "with the gallery's encoder"
            )
        if ours != theirs:
            raise GalleryError(
                f"querybank was made by the encoder {ours.name} ({ours.digest[:8]}), the gallery "
                f"by {theirs.name} ({theirs.digest[:8]}); rebuild the bank with the gallery's"
            )


def write_querybank(
    out: str | Path,
    text_emb: np.ndarray,
    captions: Sequence[str] | None,
    encoder: EncoderId,
    command: str = MAKE,
    side: str = "text",
    seed: int = 0,
    build: Build | None = None,
) -> None:
    """Write a querybank, whole or not at all.

    Args:
        out: the folder to make; an older bank of that name is replaced at the end.
        text_emb: [n_bank, dim], any length of rows.
        captions: one a row; None names rows by their number.
        encoder: what made the embeddings.
        command: the command that makes this bank again.
        side: what the rows embed, "text" or "video".
        seed: of the random order that rows are kept in.
        build: a build already begun.

    Raises:
        GalleryError: rows and captions disagree.
        ValueError: a row is NaN, infinite or zero (named).
    """
    emb = encoder.space.checked(text_emb, "the bank embeddings")
    if emb.shape[1] != encoder.dim:
        raise GalleryError(f"bank embeddings have dim {emb.shape[1]}, expected {encoder.dim}")
    if captions is None:
        captions = [f"bank row {n}" for n in range(len(emb))]
    if len(captions) != len(emb):
        raise GalleryError(
            f"there are {len(emb):,} bank embeddings and {len(captions):,} captions; give one a row"
        )
    order = np.random.default_rng(seed).permutation(len(emb))
    with contextlib.nullcontext(build) if build else Build(out, command) as build:
        files.write_npy(build.folder / "bank_emb.npy", emb[order])
        files.write_jsonl(build.folder / "captions.jsonl", ({"text": captions[n]} for n in order))
        about = {"n_items": len(emb), "dim": encoder.dim, "encoder": asdict(encoder), "side": side}
        build.finish("querybank", about)


def embed_querybank(
    out: str | Path, captions: Sequence[str], encoder: Any, spec: str, command: str
) -> None:
    """Embed captions into a querybank; a build that broke off continues.

    Args:
        out: the bank to make.
        captions: one a row.
        encoder: embeds them.
        spec: the encoder's name for `get_encoder`.
        command: the command line, for the manifest.
    """
    from tqdm import tqdm

    known = hashlib.sha256("\n".join(captions).encode()).hexdigest()
    with Build(out, command, {"encoder": encoder.digest, "captions": known}) as build:
        finished = [shard for shard, _ in build.shards()]
        n_done = sum(map(len, finished))
        with tqdm(total=len(captions), initial=n_done, unit="caption", disable=None) as bar:
            for start in range(n_done, len(captions), SHARD_CAPTIONS):
                texts = list(captions[start : start + SHARD_CAPTIONS])
                finished.append(np.asarray(encoder.encode_text(texts)))
                build.add_shard(finished[-1], [])
                bar.update(len(texts))
        build.drop_shards()
        emb = np.concatenate(finished)
        write_querybank(out, emb, captions, EncoderId.of(encoder, spec), command, build=build)


def write_sharing(
    out: str | Path,
    other: Querybank,
    encoder: EncoderId,
    n: int | None = None,
    command: str = MAKE,
) -> None:
    """Write a querybank that takes the captions of another.

    Args:
        out: the folder to make, beside the other.
        other: the bank that has the captions.
        encoder: embeds them when asked.
        n: the first so many captions; None for all.
        command: the command that makes this bank again.

    Raises:
        GalleryError: the two are not beside one another, or the other has no captions of its own.
    """
    if other.path is None or "captions.jsonl" not in other.manifest["files"]:
        raise GalleryError(f"querybank {other.name} has no captions of its own to share")
    if other.path.resolve().parent != Path(out).resolve().parent:
        raise GalleryError(
            f"{Path(out).name} must lie beside {other.name}, whose captions it takes; name "
            "another --out, or give a file of captions"
        )
    known = other.manifest["files"]["captions.jsonl"]["sha256"]
    with Build(out, command) as build:
        about = {
            "n_items": len(other.head(n or len(other))),
            "dim": encoder.dim,
            "encoder": asdict(encoder),
            "side": "text",
            "captions_of": {"bank": other.name, "sha256": known},
        }
        build.finish("querybank", about)


def open_querybank(path: str | Path, verify: bool = False) -> Querybank:
    """Open a querybank; a damaged, unfinished or foreign one is refused in one sentence."""
    path = Path(path)
    manifest = manifests.read_manifest(path, "querybank", MAKE, verify)
    encoder = read_encoder_id(manifest, path)
    if "captions_of" in manifest:
        captions = _captions_of(path, manifest)
        live = Live(captions, encoder)
        return Querybank(path.resolve().name, path, captions, live, encoder, manifest)
    emb = read_emb(path, "bank_emb.npy", manifest, encoder)
    captions = _read_captions(path, manifest)
    if len(captions) != len(emb):
        raise GalleryError(f"{path} has {len(emb)} embeddings and {len(captions)} captions")
    side = manifest.get("side", "text")
    return Querybank(path.resolve().name, path, captions, emb, encoder, manifest, side)


def _read_captions(path: Path, manifest: dict[str, Any]) -> tuple[str, ...]:
    known = manifest["files"].get("captions.jsonl")
    if known is None or files.sha256_file(path / "captions.jsonl") != known["sha256"]:
        raise GalleryError(f"{path}: captions.jsonl is damaged; make the bank again")
    rows = files.read_table(path / "captions.jsonl")
    return tuple(files.clean_text(str(row.get("text", ""))) for row in rows)


def _captions_of(path: Path, manifest: dict[str, Any]) -> tuple[str, ...]:
    """The captions that a bank takes from another beside it."""
    about, n = manifest["captions_of"], manifest.get("n_items")
    name = str(about.get("bank")) if isinstance(about, dict) else ""
    if not re.fullmatch(r"\w[\w.-]*", name) or not isinstance(n, int) or n < 1:
        raise GalleryError(f"{path}: its manifest names no captions; make it again")
    other = path.resolve().parent / name
    listed = manifests.read_manifest(other, "querybank", MAKE)
    if listed["files"].get("captions.jsonl", {}).get("sha256") != about.get("sha256"):
        raise GalleryError(
            f"{path} takes the captions of {name}, which has other ones by now; make it again"
        )
    return _read_captions(other, listed)[:n]


def read_captions(path: str | Path) -> list[str]:
    """Read bank captions from a list: .txt lines, or the field text, caption or sentence."""
    captions = []
    for n, row in enumerate(files.read_table(path), 1):
        text = next((row[key] for key in ("text", "caption", "sentence") if row.get(key)), None)
        if not isinstance(text, str) or not files.clean_text(text):
            raise GalleryError(f"{Path(path).name} row {n} has no text; name it in a field 'text'")
        captions.append(files.clean_text(text))
    return captions


# ---- biases --------------------------------------------------------------------------------------


def fitted_on(
    gallery: Gallery, bank: Querybank, normaliser: str, beta: float | None, k: int, n_bank: int
) -> dict[str, Any]:
    """All that a bias depends on; a bias fitted on anything else is refused.

    `normaliser` is its word without beta and k, for example "nnn:alpha=0.5".
    """
    return {
        "encoder": gallery.encoder.digest,
        "gallery": gallery.digest,
        "bank": bank.digest,
        "n_bank": n_bank,
        "normaliser": normaliser,
        "beta": beta,
        "k": k,
    }


def bias_path(gallery: Gallery, on: dict[str, Any]) -> Path | None:
    """Where a bias is kept with its gallery; None for a gallery in memory."""
    if gallery.path is None:
        return None
    beta = "auto" if on["beta"] is None else f"{on['beta']:g}"
    word = on["normaliser"].replace(":", "-").replace("=", "")
    name = f"{word}-beta{beta}-k{on['k']}-n{on['n_bank']}-{on['bank'][:8]}.npz"
    return gallery.path / "biases" / name


def save_bias(path: Path, bias: Bias, on: dict[str, Any]) -> None:
    """Keep a fitted bias with the digests of all that it was fitted on."""
    path.parent.mkdir(exist_ok=True)
    arrays = {"values": bias.values, "k_occurrence": bias.k_occurrence}
    if bias.active is not None:
        arrays["active"] = bias.active
    more = {name: getattr(bias, name) for name in ("normaliser", "beta", "k", "n_bank")}
    _write_fitted(path, arrays, on, more)


def load_bias(path: Path, on: dict[str, Any], n_gallery: int) -> Bias:
    """Read a kept bias.

    Args:
        path: the .npz file.
        on: what it must have been fitted on, from `fitted_on`.
        n_gallery: how many items it must have.

    Raises:
        GalleryError: damaged, or fitted on another encoder, gallery, bank or setting.
        FileNotFoundError: there is none.
    """
    arrays, about = _read_fitted(path, on)
    if any(array.shape != (n_gallery,) for array in arrays.values()):
        raise GalleryError(f"bias {path.name} is damaged; delete it, it is fitted again")
    return Bias(
        values=arrays["values"],
        active=arrays.get("active"),
        k_occurrence=arrays["k_occurrence"],
        normaliser=about["normaliser"],
        beta=about["beta"],
        k=about["k"],
        n_bank=about["n_bank"],
    )


def save_updatable(path: Path, kept: Updatable, on: dict[str, Any]) -> None:
    """Keep what a bias needs to follow changes, as NAME.state beside its NAME.npz."""
    path.parent.mkdir(exist_ok=True)
    _write_fitted(path.with_suffix(".state"), kept.to_arrays(), on, {})


def load_updatable(path: Path, on: dict[str, Any]) -> Updatable:
    """Read the state kept beside a bias.

    Args:
        path: the bias's .npz file.
        on: what it must have been fitted on, from `fitted_on`.

    Raises:
        GalleryError: damaged, or fitted on another encoder, gallery, bank or setting.
        FileNotFoundError: there is none.
    """
    return Updatable.from_arrays(_read_fitted(path.with_suffix(".state"), on)[0])


def _write_fitted(
    path: Path, arrays: dict[str, np.ndarray], on: dict[str, Any], more: dict[str, Any]
) -> None:
    about = {
        "format": manifests.FORMAT_VERSION,
        "fitted_on": on,
        **more,
        "sha256": {name: files.digest_array(array) for name, array in arrays.items()},
    }
    text = json.dumps(about, sort_keys=True).encode()
    files.write_npz(path, {**arrays, "about": np.frombuffer(text, dtype=np.uint8)})


def _read_fitted(path: Path, on: dict[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    arrays = formats.read_npz(path)
    about = files.parse_json(bytes(arrays.pop("about", np.zeros(0, np.uint8))), path.name)
    found = about.get("fitted_on", {})
    for part, wanted in on.items():
        if found.get(part) != wanted:
            raise GalleryError(
                f"bias {path.name} was fitted on another {part} ({str(found.get(part))[:8]}, not "
                f"{str(wanted)[:8]}); delete it, it is fitted again"
            )
    if about.get("sha256") != {name: files.digest_array(a) for name, a in arrays.items()}:
        raise GalleryError(f"bias {path.name} is damaged; delete it, it is fitted again")
    return arrays, about
