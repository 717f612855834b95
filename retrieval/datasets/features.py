"""Feature files of a data set -> the vectors or tokens of the videos that a run needs.

A file is a dict from video to array, or to NaN where the feature is missing; an `ExpertStore` of
early releases is read as one. What was read is kept beside, as plain arrays that are mapped and
not read at the next start.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.errors import FileError
from retrieval.files import read_json, write_json, write_npy
from retrieval.formats import Record, read_npy, read_pickle

PICKLES = (".pkl", ".pickle", ".pckl", ".pk")


@dataclass(frozen=True)
class Features:
    """One expert's vectors or tokens."""

    name: str  # of the expert, for messages
    place: Mapping[str, int]  # video -> its index
    rows: np.ndarray  # [n_rows, dim] of all videos, one after the other
    starts: np.ndarray  # [n_videos + 1] int64, where each video's rows begin
    present: np.ndarray  # [n_videos] bool; False where the feature is missing

    @property
    def dim(self) -> int:
        """Length of a vector or token."""
        return self.rows.shape[1]

    def get(self, video: str) -> np.ndarray | None:
        """[n_tokens, dim] of a video; None where it lacks the feature."""
        i = self.index(video)
        return self.rows[self.starts[i] : self.starts[i + 1]] if self.present[i] else None

    def index(self, video: str) -> int:
        """Where a video stands."""
        if video not in self.place:
            raise FileError(
                f"the features of {self.name} do not know video {video}; store NaN where a "
                "feature is missing, or fetch the files again"
            )
        return self.place[video]


def read_features(
    name: str,
    files: Sequence[Path],
    videos: Sequence[str],
    dim: int | None = None,
    cache: Path | None = None,
    axis: int = 1,
) -> Features:
    """Read one expert's features of some videos.

    Args:
        name: of the expert.
        files: one, or several whose arrays are concatenated in this order.
        videos: whose features are wanted; the others are not read.
        dim: length that a vector or token must have; None for any.
        cache: folder where plain arrays are kept for the next start; None keeps none.
        axis: along which several files are concatenated; 1 is side by side.

    Raises:
        FileNotFoundError: a file is not there.
        FileError: a file is damaged, lacks a video, or has vectors of another length.
    """
    wanted = list(dict.fromkeys(videos))
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(
                f"no features of {name}: {file.parent.name}/{file.name} is not there; "
                "fetch the data set's experts, or drop the expert"
            )
    kept = None if cache is None else cache / f"{name}-{_key(files, wanted, axis)}"
    if kept is not None and (kept / "features.json").is_file():
        found = _open(name, kept, wanted)
    else:
        found = _stack(name, [read_dict(file, wanted) for file in files], wanted, axis, dim)
        if kept is not None:
            _keep(kept, found)
    if dim is not None and found.dim != dim and len(found.rows):
        raise FileError(
            f"{files[0].name} has vectors of {found.dim} numbers, expected {dim} of {name}; "
            "correct feat_dims, or fetch the files again"
        )
    return found


def read_dict(file: Path, only: Sequence[str] | None = None) -> dict[str, Any]:
    """Read a file that maps names to data.

    Args:
        file: a pickle, or .json.
        only: keys that are wanted; None for all.

    Raises:
        FileError: of a kind that cannot be read without running it, or no mapping.
    """
    if file.suffix == ".json":
        value = read_json(file)
    elif file.suffix in PICKLES:
        value = read_pickle(file, only=only)
    else:
        raise FileError(
            f"{file.name} is of a kind that is not read ({file.suffix}); "
            "save the dict with pickle as .pkl"
        )
    if isinstance(value, Record):
        value = _from_store(file.name, value)
    if not isinstance(value, dict):
        raise FileError(f"{file.name} holds {type(value).__name__}, expected a dict by video")
    return value if only is None else {key: value[key] for key in only if key in value}


def _from_store(file: str, record: Record) -> dict[str, Any]:
    """An `ExpertStore`: rows of `store` by the places in `keymap`, `missing` ones are NaN."""
    state = record.state if isinstance(record.state, dict) else {}
    if not {"store", "keymap"} <= set(state):
        raise FileError(f"{file} holds an ExpertStore without store or keymap; make it again")
    missing = set(state.get("missing") or ())
    return {
        key: math.nan if key in missing else state["store"][i] for key, i in state["keymap"].items()
    }


def _stack(
    name: str, dicts: list[dict[str, Any]], wanted: list[str], axis: int, dim: int | None
) -> Features:
    """Arrays of all videos below one another."""
    rows: list[np.ndarray] = []
    present = np.zeros(len(wanted), dtype=bool)
    counts = np.zeros(len(wanted), dtype=np.int64)
    for i, video in enumerate(wanted):
        parts = []
        for values in dicts:
            if video not in values:
                raise FileError(
                    f"the features of {name} do not know video {video}; store NaN where a feature "
                    "is missing, or fetch the files again"
                )
            parts.append(values.pop(video))  # let go, so that nothing is twice in memory
        if any(isinstance(part, float) and math.isnan(part) for part in parts):
            continue
        arrays = [_matrix(name, video, part) for part in parts]
        array = arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=axis)
        if rows and len(array) and array.shape[1] != rows[0].shape[1]:
            raise FileError(
                f"{name} of video {video} has vectors of {array.shape[1]} numbers, those before "
                f"have {rows[0].shape[1]}; extract it again"
            )
        present[i], counts[i] = True, len(array)
        if len(array):
            rows.append(array)
    starts = np.concatenate([[0], np.cumsum(counts)])
    stacked = np.concatenate(rows) if rows else np.zeros((0, dim or 0), dtype=np.float32)
    return Features(name, _places(wanted), stacked, starts, present)


def _matrix(name: str, video: str, value: Any) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind not in "fiu" or array.ndim not in (1, 2):
        raise FileError(
            f"{name} of video {video} is {array.dtype} of shape {array.shape}, expected numbers "
            "[n_tokens, dim] or [dim]; extract it again"
        )
    return array[None] if array.ndim == 1 else array


def _places(videos: list[str]) -> dict[str, int]:
    return {video: i for i, video in enumerate(videos)}


def _key(files: Sequence[Path], wanted: list[str], axis: int) -> str:
    """Changes with the files and with the videos that are wanted."""
    stats = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(json.dumps([stats, wanted, axis]).encode()).hexdigest()[:16]


def _keep(folder: Path, features: Features) -> None:
    """Write the arrays; the JSON comes last, so where it stands the rest is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for field in ("rows", "starts", "present"):
        write_npy(folder / f"{field}.npy", getattr(features, field))
    about = {"n_videos": len(features.place), "shape": list(features.rows.shape)}
    write_json(folder / "features.json", about)


def _open(name: str, folder: Path, wanted: list[str]) -> Features:
    rows = np.load(folder / "rows.npy", mmap_mode="r", allow_pickle=False)
    starts, present = (read_npy(folder / f"{field}.npy") for field in ("starts", "present"))
    return Features(name, _places(wanted), rows, starts, present)
