"""A row of `archives` -> its files in the folder of all data: brought, checked, unpacked.

What was unpacked is noted in `ARCHIVE.unpacked.json` beside it, written last, so that a second run
knows.
"""

import contextlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import FetchError, FileError, GalleryError
from retrieval.fetching.archives import MODEL_FILES, Archive, Experiment
from retrieval.fetching.downloads import (
    NotThere,
    Patience,
    Sums,
    download,
    drop_partial,
    only_one,
    sums_of,
)
from retrieval.fetching.unpacking import check_archive, unpack
from retrieval.files import open_regular, read_json, write_json

logger = logging.getLogger(__name__)

_FIRST_BYTES = {".json": (b"{",), ".pth": (b"PK\3\4", b"\x80\2")}  # a web page has others


@dataclass(frozen=True)
class Fetched:
    """What stands where after a fetch."""

    folder: Path
    files: dict[str, int]  # path below the folder -> bytes
    sentence: str  # what was done, and what is known of the sum


def fetch_archive(
    archive: Archive,
    data: Path,
    access_code: str | None = None,
    root: str | None = None,
    by_hand: Path | None = None,
    accepted: Sequence[str] = (),
    keep: bool = False,
    patience: Patience | None = None,
) -> Fetched:
    """Bring one archive and unpack it, unless that was done.

    Args:
        archive: the row.
        data: the folder of all data sets.
        access_code: for those that need one.
        root: address of a mirror, in place of the official one.
        by_hand: the archive, where somebody has it already; it is left where it is.
        accepted: SHA-1 sums that are as good as the published ones.
        keep: leave the downloaded archive beside what was unpacked.
        patience: of the download.

    Raises:
        FetchError: it cannot be had, or has another sum.
        FileError: it is damaged or holds what may not be unpacked.
    """
    folder = data / archive.folder
    path, marker = folder / archive.name, folder / f"{archive.name}.unpacked.json"
    if (files := _unpacked(folder, marker)) is not None:
        said = f"there already; delete {marker} to have it unpacked again"
        return Fetched(folder, files, f"{archive.name} is {said}")
    urls = [] if by_hand is not None else archive.urls(root, access_code)
    folder.mkdir(parents=True, exist_ok=True)
    with only_one(path):
        if by_hand is not None:
            check_archive(by_hand, by_hand.name)
            sums = sums_of(by_hand)
            _check_sum(by_hand.name, sums, (*archive.sha1, *accepted), "")
        elif path.exists():  # a run was stopped while it unpacked, or kept it
            sums = sums_of(path)
            _check_sum(path.name, sums, (*archive.sha1, *accepted), "delete it and fetch it again")
        else:
            sums = _bring_archive(archive, urls, path, accepted, patience)
        files = unpack(by_hand or path, archive.name, folder, archive.dropped)
        note = {"archive": archive.name, "sha1": sums.sha1, "sha256": sums.sha256, "files": files}
        write_json(marker, note)
        if by_hand is None and not keep:
            path.unlink()
    return Fetched(folder, files, _known(archive.name, sums, archive.sha1))


def fetch_model(
    run: Experiment,
    seed: int,
    saved: Path,
    root: str | None = None,
    patience: Patience | None = None,
) -> Fetched:
    """Bring config and weights of a released training run, those that are not there.

    Args:
        run: the row.
        seed: of the run; the authors released seed 0.
        saved: the folder of runs; below it files lie as on the server.
        root: address of a mirror, in place of the official one.
        patience: of the download.
    """
    files, told = {}, []
    folder = (saved / run.path(seed, "-")).parent
    for name in MODEL_FILES:
        path = folder / name
        if path.exists():
            files[name] = path.stat().st_size
            told.append(f"{name} is there already")
            continue
        folder.mkdir(parents=True, exist_ok=True)
        url = f"{root or run.root}/{run.path(seed, name)}"
        with only_one(path):
            part = download(
                url, path, f"or put it at the same path below {saved} by hand", patience
            )
            with open_regular(part) as file:
                known = file.read(8).startswith(_FIRST_BYTES[path.suffix])
            if not known:
                drop_partial(path)
                raise FetchError(f"{url} gave something else than a {path.suffix} file; try later")
            sums = sums_of(part)
            _take(part, path)
        files[name] = sums.size
        told.append(_known(name, sums, ()))
    return Fetched(folder, files, "; ".join(told))


def _unpacked(folder: Path, marker: Path) -> dict[str, int] | None:
    """The files of an archive that was unpacked, if all of them are still there."""
    with contextlib.suppress(
        GalleryError, OSError, KeyError, TypeError, ValueError, AttributeError
    ):
        files = read_json(marker)["files"]
        for name, size in files.items():
            path = folder / name
            if not path.is_symlink() and path.stat().st_size != size:
                raise ValueError
        return files
    return None


def _bring_archive(
    archive: Archive,
    urls: Sequence[str],
    path: Path,
    accepted: Sequence[str],
    patience: Patience | None,
) -> Sums:
    otherwise = "download it by hand and give it with --archive FILE"
    if archive.needs_code:
        otherwise = f"check --access-code, or {otherwise}"
    for n, url in enumerate(urls, 1):
        try:
            part = download(url, path, otherwise, patience)
            break
        except NotThere:
            if n == len(urls):
                raise
    try:
        check_archive(part, archive.name)
    except FileError:
        drop_partial(path)
        raise
    sums = sums_of(part)
    aside = path.with_name(f"{path.name}.mismatch")
    try:
        _check_sum(
            path.name,
            sums,
            (*archive.sha1, *accepted),
            f"fetch it again, or give {aside.name} with --archive and --sha1 if it was replaced",
        )
    except FetchError:
        os.replace(part, aside)
        drop_partial(path)
        raise
    _take(part, path)
    return sums


def _take(part: Path, path: Path) -> None:
    """Give a checked file its name."""
    os.replace(part, path)
    drop_partial(path)


def _check_sum(name: str, sums: Sums, accepted: Sequence[str], otherwise: str) -> None:
    if accepted and sums.sha1 not in accepted:
        advice = otherwise or "if its owners replaced it, accept that with --sha1"
        raise FetchError(
            f"{name} has SHA-1 {sums.sha1}, published is {' or '.join(accepted)}; {advice}"
        )


def _known(name: str, sums: Sums, published: Sequence[str]) -> str:
    """What is known of a file's sum."""
    if sums.sha1 in published:
        return f"{name} has the published SHA-1 {sums.sha1}"
    if published:
        return f"{name} has the SHA-1 that was accepted, {sums.sha1}; published is another"
    return f"{name}: no sum is published for it; it has SHA-256 {sums.sha256}"
