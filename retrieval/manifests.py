"""A whole folder <-> its manifest: what it is, and size and SHA-256 of every file in it.

A folder in the making is `OUT.partial` until its manifest is the last thing in it; `building` makes
such folders.
"""

import contextlib
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from retrieval.errors import GalleryError
from retrieval.files import read_json, sha256_file, sync_folder, write_json

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
BUILDING = "building.json"  # in a folder in the making: its command
JOURNAL = "journal.jsonl"  # in a folder in the making: what is done


def _lists_files(manifest: dict[str, Any]) -> bool:
    listed = manifest.get("files")
    return isinstance(listed, dict) and all(
        isinstance(known, dict)
        and isinstance(known.get("size"), int)
        and re.fullmatch(r"[0-9a-f]{64}", str(known.get("sha256")))
        for known in listed.values()
    )


def _self_checksum(manifest: dict[str, Any]) -> str:
    rest = {key: value for key, value in manifest.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def write_manifest(folder: Path, kind: str, about: dict[str, Any]) -> dict[str, Any]:
    """Write manifest.json, the last file of a whole folder.

    Args:
        folder: holds the finished files; each is read, checksummed and flushed to disk.
        kind: what the folder is, for example "gallery".
        about: further fields that JSON can hold, for example "encoder" and "command".

    Returns:
        the manifest as written: format, kind, `about`, files {name: {size, sha256}}, checksum.
    """
    folder = Path(folder)
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    files = {
        name: {"size": (folder / name).stat().st_size, "sha256": sha256_file(folder / name, True)}
        for name in names
        if name not in (MANIFEST, BUILDING, JOURNAL)
    }
    manifest = {"format": FORMAT_VERSION, "kind": kind, **about, "files": files}
    manifest["checksum"] = _self_checksum(manifest)
    write_json(folder / MANIFEST, manifest)
    sync_folder(folder)
    return manifest


def read_manifest(folder: Path, kind: str, make: str, verify: bool = False) -> dict[str, Any]:
    """Read a folder's manifest and check that its files are there, of the right size.

    Args:
        folder: the folder.
        kind: what it should be, for example "gallery".
        make: the command that makes one, for messages.
        verify: also check every file's SHA-256.

    Raises:
        GalleryError: missing, unfinished, damaged, of another kind or another format.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        raise GalleryError(_why_no_manifest(folder, kind, make))
    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("kind") != kind or not _lists_files(manifest):
        found = manifest.get("kind") if isinstance(manifest, dict) else "no manifest"
        raise GalleryError(f"{folder} is not a {kind} (it says {found!r}); make one with `{make}`")
    if manifest.get("format") != FORMAT_VERSION:
        raise GalleryError(
            f"{folder} has format {manifest.get('format')!r}, this version reads {FORMAT_VERSION}; "
            f"make it again with `{make}`"
        )
    if manifest.get("checksum") != _self_checksum(manifest):
        raise GalleryError(f"{folder}/{MANIFEST} is damaged; make it again with `{make}`")
    for name, known in manifest["files"].items():
        try:
            found = os.stat(folder / name)
        except OSError:
            raise GalleryError(f"{folder}: {name} is missing; make it again") from None
        if found.st_size != known["size"]:
            raise GalleryError(
                f"{folder}: {name} is damaged: {found.st_size:,} bytes, expected "
                f"{known['size']:,}; make it again"
            )
        if verify and sha256_file(folder / name) != known["sha256"]:
            raise GalleryError(f"{folder}: {name} is damaged (checksum); make it again")
    return manifest


def partial_of(out: Path) -> Path:
    """Where a folder is built before it takes its name."""
    return out.with_name(f"{out.name}.partial")


def _why_no_manifest(folder: Path, kind: str, make: str) -> str:
    for unfinished in (partial_of(folder), folder):
        with contextlib.suppress(GalleryError, OSError, KeyError, TypeError):
            command = read_json(unfinished / BUILDING)["command"]
            return f"{folder} is not finished; finish it with `{command}`"
    if folder.exists():
        return f"{folder} is not a {kind}: it has no {MANIFEST}; make one with `{make}`"
    return f"there is no {kind} {folder}; make one with `{make}`"
