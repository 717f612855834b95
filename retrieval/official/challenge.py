"""Ten best videos of every query <-> prediction files of the CVPR 2020 Video Pentathlon, zipped.

A file has one row for each query that exists, video by video and caption by caption, with ten
places in the split's list, best first, from 0; it has no header.
"""

import hashlib
import re
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval import metrics
from retrieval.errors import FileError, SettingsError
from retrieval.files import open_regular, read_json, replacing

TOP = 10  # places of a row
PHASES = ("public_server_val", "public_server_test")
FILE_NAME = re.compile(rf"(?P<dataset>[\w-]+)-(?P<phase>{'|'.join(PHASES)})-predictions\.csv")
ALIASES = {"activity-net": "ActivityNet"}  # its folder's name, which drivers use as well
_ROW = re.compile(rf"[0-9]{{1,9}}(?:,[0-9]{{1,9}}){{{TOP - 1}}}")
_LARGEST = 64 << 20  # bytes; the largest of the challenge is about 3 MB


@dataclass(frozen=True)
class Expected:
    """What a phase asks of one data set."""

    n_videos: int
    n_captions: int  # of each video
    n_masked: int  # of those, that do not exist

    @property
    def n_rows(self) -> int:
        """Queries, and so rows of the file."""
        return self.n_videos * self.n_captions - self.n_masked


# Source: Albanie et al., "The End-of-End-to-End: A Video Understanding Pentathlon Challenge", 2020.
EXPECTED: dict[str, dict[str, Expected]] = {
    name: dict(zip(PHASES, phases, strict=True))
    for name, phases in {
        "MSRVTT": (Expected(497, 20, 0), Expected(2990, 20, 6)),
        "MSVD": (Expected(100, 81, 3810), Expected(670, 81, 26507)),
        "LSMDC": (Expected(7408, 1, 0), Expected(1000, 1, 0)),
        "DiDeMo": (Expected(1065, 1, 0), Expected(1004, 1, 0)),
        "YouCook2": (Expected(969, 1, 0), Expected(3310, 1, 0)),
        "ActivityNet": (Expected(1001, 1, 0), Expected(4917, 1, 0)),
    }.items()
}


def file_name(dataset: str, split: str) -> str:
    """Name of a prediction file, for example MSRVTT-public_server_val-predictions.csv."""
    return f"{dataset}-{split}-predictions.csv"


def expected_of(path: Path) -> Expected:
    """What a file must hold, by its name.

    Raises:
        FileError: the name is not that of a prediction file of the challenge.
    """
    found = FILE_NAME.fullmatch(path.name)
    name = found and ALIASES.get(found["dataset"], found["dataset"])
    if name not in EXPECTED:
        raise FileError(
            f"{path.name} is not named like DATASET-PHASE-predictions.csv with DATASET one of "
            f"{', '.join(EXPECTED)} and PHASE one of {', '.join(PHASES)}; rename it"
        )
    return EXPECTED[name][found["phase"]]


def write_predictions(path: Path, best: np.ndarray) -> None:
    """Write the best videos of every query.

    Args:
        path: the file.
        best: [n_queries, 10] places in the split's list, best first.

    Raises:
        SettingsError: there are not ten of each.
    """
    if best.ndim != 2 or best.shape[1] != TOP:
        raise SettingsError(
            f"a row of the challenge names {TOP} videos, got {best.shape[-1]} of them; the split "
            f"must have at least {TOP}"
        )
    with replacing(path) as file:
        for row in best.tolist():
            file.write(b",".join(b"%d" % place for place in row) + b"\n")


def read_predictions(
    path: Path, n_videos: int | None = None, n_rows: int | None = None
) -> np.ndarray:
    """Read a prediction file and look at every row of it.

    Args:
        path: the file.
        n_videos: of the split; None leaves places unbounded.
        n_rows: queries of the split; None takes any number.

    Returns:
        [n_queries, 10] int64.

    Raises:
        FileNotFoundError: there is none.
        FileError: a row is not ten different whole numbers in range, or rows are missing.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no predictions {path}; check the path")
    with open_regular(path) as file:
        whole = file.read(_LARGEST + 1)
    if len(whole) > _LARGEST:
        raise FileError(f"{path.name} is larger than {_LARGEST >> 20} MB, no prediction file is")
    lines = whole.decode("ascii", "replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if not _ROW.fullmatch(line):
            raise FileError(
                f"{path.name}, row {number}: expected {TOP} whole numbers from 0 with commas "
                f"between them and no header, got {line[:40]!r}; write the file again"
            )
    if not lines or n_rows not in (None, len(lines)):
        wanted = "at least one" if n_rows is None else f"{n_rows:,}, one for each query"
        raise FileError(
            f"{path.name} has {len(lines):,} rows, expected {wanted}; write it with every query "
            "of the split, without those that are masked"
        )
    places = np.array([line.split(",") for line in lines]).astype(np.int64)
    ordered = np.sort(places, axis=1)
    bad = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    if bad.any():
        raise FileError(
            f"{path.name}, row {int(bad.argmax()) + 1}: names a video more than once; give the "
            f"{TOP} best videos, each once"
        )
    if n_videos is not None and ordered[:, -1].max() >= n_videos:
        row = int((ordered[:, -1] >= n_videos).argmax())
        raise FileError(
            f"{path.name}, row {row + 1}: names video {ordered[row, -1]:,}, the split has "
            f"0..{n_videos - 1:,}; number videos by their place in the split's list, from 0"
        )
    return places


def recalls(places: np.ndarray, correct: np.ndarray) -> dict[str, float]:
    """R@1, R@5, R@10 and their geometric mean, in percent: all that ten places tell.

    Args:
        places: [n_queries, 10] of a prediction file.
        correct: [n_queries] place of each query's own video.

    Returns:
        as of `metrics.summarise`, of queries whose video is not among the ten the rank is unknown.
    """
    if len(places) != len(correct):
        raise FileError(
            f"the file has {len(places):,} rows, the split {len(correct):,} queries; give the "
            "config of the split that was predicted"
        )
    hit = places == correct[:, None]
    ranks = np.where(hit.any(axis=1), 1 + hit.argmax(axis=1), np.inf)
    found = metrics.summarise(ranks)
    return {name: found[name] for name in ("R@1", "R@5", "R@10", "Geom")}


def listed(paths: Sequence[Path], phase: str) -> list[Path]:
    """The prediction files of a phase, those that a JSON file of drivers names among them.

    Args:
        paths: .csv files, or .json ones with {data set: {phase: path}}.
        phase: whose files are taken from a .json.

    Raises:
        SettingsError: there is no such phase.
        FileError: a .json is not of that form, or has nothing of the phase.
    """
    if phase not in PHASES:
        raise SettingsError(f"unknown phase {phase!r}; available: {', '.join(PHASES)}")
    out: list[Path] = []
    for path in paths:
        if path.suffix != ".json":
            out.append(path)
            continue
        named = read_json(path)
        of_phase = [
            each[phase]
            for each in (named.values() if isinstance(named, Mapping) else ())
            if isinstance(each, Mapping) and isinstance(each.get(phase), str)
        ]
        if not of_phase:
            raise FileError(
                f"{path.name} names no file of {phase}; expected {{data set: {{phase: path}}}}"
            )
        out += map(Path, of_phase)
    return out


def digest_of(paths: Sequence[Path]) -> str:
    """What a submission is named after: ten digits of the SHA-256 of its files' sorted paths."""
    return hashlib.sha256("".join(sorted(map(str, paths))).encode()).hexdigest()[:10]


def pack(
    paths: Sequence[Path], phase: str, out: Path, validate: bool = True, refresh: bool = False
) -> tuple[Path, bool]:
    """Zip prediction files as they are handed in.

    Args:
        paths: of .csv files, or of .json ones that name them.
        phase: which one they are for.
        out: folder of the submission PHASE-HASH-TIME.zip.
        validate: look at every row first.
        refresh: make it again where the same files were packed before.

    Returns:
        the zip file, and whether it was made now.

    Raises:
        FileError: a file is damaged, of another phase, or there are two of one name.
    """
    files = listed(paths, phase)
    names = [file.name for file in files]
    for file in files:
        if names.count(file.name) > 1:
            raise FileError(f"{file.name} is given twice; a submission has each data set once")
        expected = expected_of(file)
        if f"-{phase}-" not in file.name:
            raise FileError(f"{file.name} is not of phase {phase}; give that phase's files")
        if validate:
            read_predictions(file, expected.n_videos, expected.n_rows)
    stem = f"{phase}-{digest_of(files)}"
    made = sorted(out.glob(f"{stem}-*.zip"))
    if made and not refresh:
        return made[-1], False
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{stem}-{time.strftime('%Y-%m-%d_%H-%M-%S')}.zip"
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in files:
            archive.write(each, each.name)
    return path, True
