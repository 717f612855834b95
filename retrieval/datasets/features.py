"""Feature files of a data set -> the vectors and tokens of the videos that a run needs.

A file is a dict from video to array, or to NaN where the feature is missing; an `ExpertStore` of
early releases is read as one. What was read is kept beside, as plain arrays that are mapped and
not read at the next start. The numbers of all videos are in memory once, never twice.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.errors import FileError
from retrieval.files import read_json, write_json, write_npy
from retrieval.formats import Array, Record, read_hickle, read_npy, read_pickle
from retrieval.formats.hickle import SUFFIXES as HICKLES
from retrieval.formats.limits import check_memory

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


@dataclass(frozen=True)
class TextFeatures(Mapping):
    """Captions as tokens: video -> list of [n_tokens, dim], views of one array."""

    place: Mapping[str, int]  # video -> its index
    rows: np.ndarray  # [n_rows, dim], the tokens of all captions of all videos
    tokens: np.ndarray  # [n_captions + 1] int64, where each caption's tokens begin
    captions: np.ndarray  # [n_videos + 1] int64, where each video's captions begin

    @property
    def dim(self) -> int:
        """Length of a token."""
        return self.rows.shape[1]

    def __getitem__(self, video: str) -> list[np.ndarray]:
        if video not in self.place:
            raise KeyError(video)
        i = self.place[video]
        ends = self.tokens[self.captions[i] : self.captions[i + 1] + 1]
        return [self.rows[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.place)

    def __len__(self) -> int:
        return len(self.place)


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
    arrays = _kept(kept)
    if arrays is None:
        dicts = [read_dict(file, wanted, unread=True) for file in files]
        arrays = _keep(kept, _stack(name, dicts, wanted, axis, dim))
    found = Features(name, _places(wanted), **arrays)
    if dim is not None and found.dim != dim and len(found.rows):
        raise FileError(
            f"{files[0].name} has vectors of {found.dim} numbers, expected {dim} of {name}; "
            "correct feat_dims, or fetch the files again"
        )
    return found


def read_text_features(
    files: Sequence[Path],
    videos: Sequence[str],
    keys: Mapping[str, str] | None = None,
    cache: Path | None = None,
) -> TextFeatures:
    """Read the captions' tokens of some videos.

    Args:
        files: dicts from video to one array [n_tokens, dim] for each caption; all are merged.
        videos: whose captions are wanted; one that no file knows is left out.
        keys: video -> its name in the files, where that is another.
        cache: folder where plain arrays are kept for the next start; None keeps none.

    Raises:
        FileError: a file is damaged, or holds no such arrays.
    """
    wanted = list(dict.fromkeys(videos))
    names = {video: video if keys is None else keys.get(video) for video in wanted}
    kept = None if cache is None else cache / f"text-{_key(files, list(names.items()), 0)}"
    arrays = _kept(kept)
    if arrays is None:
        merged: dict[str, Any] = {}
        for file in files:
            asked = [name for name in names.values() if name is not None]
            merged.update(read_dict(file, asked, unread=True))
        arrays = _stack_text({v: merged.pop(name) for v, name in names.items() if name in merged})
        arrays["known"] = np.array([name in arrays["known"] for name in wanted])
        arrays = _keep(kept, arrays)
    known = arrays.pop("known")
    place = _places([video for video, there in zip(wanted, known, strict=True) if there])
    return TextFeatures(place, **arrays)


def read_dict(
    file: Path, only: Sequence[str] | None = None, unread: bool = False
) -> dict[str, Any]:
    """Read a file that maps names to data.

    Args:
        file: a pickle, .hickle or .json.
        only: keys that are wanted; None for all.
        unread: leaves arrays of a pickle as `formats.Array`, to be read one by one.

    Raises:
        FileError: of a kind that cannot be read without running it, or no mapping.
    """
    if file.suffix == ".json":
        value = read_json(file)
    elif file.suffix in PICKLES:
        value = read_pickle(file, only=only, unread=unread)
    elif file.suffix in HICKLES:
        value = read_hickle(file, only=only)
    else:
        raise FileError(
            f"{file.name} is of a kind that is not read ({file.suffix}); "
            "load it where it was made and save the dict with pickle as .pkl"
        )
    if isinstance(value, Record):
        value = _from_store(file.name, value)
    if not isinstance(value, dict):
        raise FileError(f"{file.name} holds {type(value).__name__}, expected a dict by video")
    return value if only is None else {key: value[key] for key in only if key in value}


def read_sentences(file: Path, only: Sequence[str] | None = None) -> dict[str, list[str]]:
    """Read the captions of a data set as text.

    Args:
        file: maps a video to its captions, each a list of words or a string.
        only: videos that are wanted; None for all.

    Raises:
        FileError: it holds anything else.
    """
    found = {}
    for video, captions in read_dict(file, only).items():
        if not isinstance(captions, list | tuple):
            raise FileError(
                f"{file.name}: video {video!s:.40} has {type(captions).__name__} "
                f"{str(captions)[:20]!r} for captions, expected a list of them"
            )
        found[video] = [_sentence(file.name, video, caption) for caption in captions]
    return found


def _sentence(file: str, video: str, caption: Any) -> str:
    if isinstance(caption, str):
        return caption
    if isinstance(caption, list | tuple) and all(isinstance(word, str) for word in caption):
        return " ".join(caption)
    raise FileError(
        f"{file}: a caption of video {video!s:.40} is {str(caption)[:30]!r}, expected a list of "
        "words"
    )


def _from_store(file: str, record: Record) -> dict[str, Any]:
    """An `ExpertStore`: rows of `store` by the places in `keymap`; those missing are NaN."""
    state = record.state if isinstance(record.state, dict) else {}
    store, places = _read(state.get("store")), state.get("keymap")
    if not isinstance(store, np.ndarray) or store.ndim != 2 or not isinstance(places, dict):
        raise FileError(f"{file} holds an ExpertStore without store or keymap; make it again")
    if not all(type(i) is int and 0 <= i < len(store) for i in places.values()):
        raise FileError(
            f"{file} holds an ExpertStore whose keymap leads past its store; make it again"
        )
    gone = np.isnan(store).all(axis=1) if store.dtype.kind == "f" else np.zeros(len(store), bool)
    missing = set(state.get("missing") or ())
    return {key: math.nan if gone[i] or key in missing else store[i] for key, i in places.items()}


def _stack(
    name: str, dicts: list[dict[str, Any]], wanted: list[str], axis: int, dim: int | None
) -> dict[str, np.ndarray]:
    """Arrays of all videos below one another, as the fields of `Features`."""
    found: list[Array | np.ndarray] = []
    present = np.zeros(len(wanted), dtype=bool)
    counts = np.zeros(len(wanted), dtype=np.int64)
    length = None  # of a vector or token
    for i, video in enumerate(wanted):
        parts = []
        for values in dicts:
            if video not in values:
                raise FileError(
                    f"the features of {name} do not know video {video}; store NaN where a feature "
                    "is missing, or fetch the files again"
                )
            parts.append(values[video])
        if any(isinstance(part, float) and math.isnan(part) for part in parts):
            continue
        parts = [_looked_at(name, video, part) for part in parts]
        part = parts[0]
        if len(parts) > 1:
            part = np.concatenate([np.atleast_2d(_read(each)) for each in parts], axis=axis)
        n, dim_of = (1, *_shape(part))[-2:]
        if n and length not in (None, dim_of):
            raise FileError(
                f"{name} of video {video} has vectors of {dim_of} numbers, those before have "
                f"{length}; extract it again"
            )
        present[i], counts[i] = True, n
        if n:
            length = dim_of
            found.append(part)
    rows = _one_below_the_other(name, found, length or dim or 0)
    return {"rows": rows, "starts": _starts(counts), "present": present}


def _stack_text(text: dict[str, Any]) -> dict[str, Any]:
    """Tokens of all captions below one another, as the fields of `TextFeatures`."""
    found: list[Array | np.ndarray] = []
    n_captions = []
    for video, value in text.items():
        value = _read(value)
        is_list = isinstance(value, list | tuple) or np.ndim(value) > 0
        arrays = [a if isinstance(a, Array) else np.asarray(a) for a in (value if is_list else ())]
        if not arrays or any(len(_shape(a)) != 2 or a.dtype.kind != "f" for a in arrays):
            shapes = ", ".join(f"{a.dtype} {_shape(a)}" for a in arrays[:3])
            shapes = shapes or ("nothing" if is_list else type(value).__name__)
            raise FileError(
                f"the text features of video {video} are {shapes}; expected one array "
                "[n_tokens, dim] for each caption"
            )
        if any(_shape(a)[1] != _shape((found or arrays)[0])[1] for a in arrays):
            raise FileError(
                f"the text features of video {video} have tokens of another length than those "
                "before; embed all captions with one encoder"
            )
        found += arrays
        n_captions.append(len(arrays))
    tokens = _starts([_shape(array)[0] for array in found])
    return {
        "rows": _one_below_the_other(
            "the text features", found, _shape(found[0])[1] if found else 0
        ),
        "tokens": tokens,
        "captions": _starts(n_captions),
        "known": set(text),
    }


def _one_below_the_other(name: str, found: list[Any], dim: int) -> np.ndarray:
    """[n_rows, dim] of all arrays, each read where the file has it next, and then let go."""
    counts = [(1, *_shape(each))[-2] for each in found]
    dtype = np.result_type(*{each.dtype for each in found}) if found else np.dtype(np.float32)
    check_memory(name, sum(counts) * dim * dtype.itemsize)
    rows, starts = np.empty((sum(counts), dim), dtype), _starts(counts)
    # A disk is quickest from front to back, in whatever order the videos are asked for.
    for i in sorted(range(len(found)), key=lambda i: _place_in_file(found[i])):
        rows[starts[i] : starts[i + 1]], found[i] = _read(found[i]), None
    return rows


def _place_in_file(value: Any) -> int:
    return value.place if isinstance(value, Array) else 0


def _read(value: Any) -> Any:
    """The numbers of an array that was not read yet; anything else as it is."""
    return value.read() if isinstance(value, Array) else value


def _shape(array: "Array | np.ndarray") -> tuple[int, ...]:
    return array.laid_out_shape if isinstance(array, Array) else array.shape


def _starts(counts: Sequence[int]) -> np.ndarray:
    """[n + 1] int64: where runs of these lengths begin, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)


def _looked_at(name: str, video: str, value: Any) -> "Array | np.ndarray":
    """An array, refused if it is no vector and no tokens."""
    array = value if isinstance(value, Array) else np.asarray(value)
    if array.dtype.kind not in "fiu" or len(_shape(array)) not in (1, 2):
        raise FileError(
            f"{name} of video {video} is {array.dtype} of shape {_shape(array)}, expected numbers "
            "[n_tokens, dim] or [dim]; extract it again"
        )
    return array


def _places(videos: list[str]) -> dict[str, int]:
    return {video: i for i, video in enumerate(videos)}


def _key(files: Sequence[Path], wanted: list[Any], axis: int) -> str:
    """Changes with the files and with the videos that are wanted."""
    stats = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(json.dumps([stats, wanted, axis]).encode()).hexdigest()[:16]


def _keep(folder: Path | None, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Write arrays for the next start, and take them from there, so that memory is free again.

    The JSON comes last, so where it stands all are whole.
    """
    if folder is None:
        return arrays
    folder.mkdir(parents=True, exist_ok=True)
    for field, array in arrays.items():
        write_npy(folder / f"{field}.npy", array)
    write_json(folder / "kept.json", sorted(arrays))
    return _kept(folder) or arrays


def _kept(folder: Path | None) -> dict[str, np.ndarray] | None:
    """What an earlier start wrote, the large array mapped; None where there is nothing whole."""
    if folder is None or not (folder / "kept.json").is_file():
        return None
    fields = [field for field in read_json(folder / "kept.json") if field != "rows"]
    rows = np.load(folder / "rows.npy", mmap_mode="r", allow_pickle=False)
    return {"rows": rows, **{field: read_npy(folder / f"{field}.npy") for field in fields}}
