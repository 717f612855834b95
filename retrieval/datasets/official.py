"""An official config and a feature tree -> the lists, features and captions of one split."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.datasets.features import (
    Features,
    TextFeatures,
    read_dict,
    read_features,
    read_sentences,
    read_text_features,
)
from retrieval.datasets.trees import (
    Tree,
    expert_files,
    first_of,
    get_tree,
    split_lists,
    text_files,
)
from retrieval.errors import FileError, SettingsError

LOADER = "ExpertDataLoader"  # the only one that configs name


@dataclass(frozen=True)
class Reading:
    """How captions and features become arrays; names as in official configs."""

    max_tokens: Mapping[str, int]  # of "text" and of every expert in `variable`
    variable: frozenset[str] = frozenset()  # experts that keep their tokens
    fuse_captions: bool = False  # all captions of a video are one
    num_test_captions: int = 1  # of an evaluated video, the rest is masked
    text_dropout: float = 0.0  # chance that a training caption loses half of its tokens
    average_text: bool = False  # a caption's tokens are replaced by their mean
    restrict_train_captions: int = 0  # first captions of a training video to draw from; 0 for all
    zeros_for_missing: bool = False  # missing features are zero instead of NaN
    flaky: frozenset[str] = frozenset()  # experts that training videos may lack
    binarised: frozenset[str] = frozenset()  # experts that are ones where they are there


@dataclass(frozen=True)
class OfficialSet:
    """Lists, features and captions of one split."""

    name: str
    split: str
    train: list[str]  # videos
    val: list[str]  # videos that are evaluated
    experts: Mapping[str, Features]  # in the order of the model
    text: TextFeatures  # video -> captions, each [n_tokens, dim]
    captions_file: Path
    reading: Reading
    caption_index: Mapping[str, int] | None = None  # the one caption of an evaluated video
    masks: Mapping[str, np.ndarray] | None = None  # video -> 0 or 1 for each training caption
    teachers: Sequence[Mapping[str, Any]] = field(default=())  # video -> vid_embds, text_embds
    video_path: str = "videos/{}.mp4"

    @cached_property
    def captions(self) -> dict[str, list[str]]:
        """Video -> captions; read when first asked for."""
        return read_sentences(self.captions_file, [*self.train, *self.val])

    def check_captions(self) -> None:
        """Look whether captions and text features go together; fused ones need not.

        Raises:
            FileError: a video has more captions than token arrays, or fewer, or none at all, or
                what stands there are no captions.
        """
        captions = read_sentences(self.captions_file, [*self.train, *self.val])
        if self.reading.fuse_captions:
            return
        for video in [*self.train, *self.val]:
            given, embedded = len(captions.get(video, ())), len(self.text.get(video, ()))
            if given != embedded:
                raise FileError(
                    f"{self.captions_file.name} has {given} captions of video {video}, the text "
                    f"features have {embedded}; take both from one release"
                )

    @cached_property
    def query_masks(self) -> np.ndarray:
        """[n_val, num_test_captions] of 0 and 1, whether there is such a caption."""
        out = np.zeros((len(self.val), self._n_queries))
        for row, video in enumerate(self.val):
            out[row, : 1 if self.reading.fuse_captions else len(self.asked_text(video))] = 1
        return out

    @property
    def _n_queries(self) -> int:
        return self.reading.num_test_captions

    def training_text(self, video: str) -> list[np.ndarray]:
        """Token arrays of the captions that are drawn from for a training video."""
        captions = self._captions(video)
        return [np.vstack(captions)] if self.reading.fuse_captions else captions

    def training_counts(self) -> np.ndarray:
        """[n_train] how many captions `training_text` gives of each training video."""
        return np.array([len(self.training_text(video)) for video in self.train])

    def asked_text(self, video: str) -> list[np.ndarray]:
        """Token arrays of the captions that are asked of an evaluated video."""
        captions = self._captions(video)
        if self.caption_index is not None:
            place = self.caption_index.get(video)
            if type(place) is not int or not 0 <= place < len(captions):
                raise FileError(
                    f"the index of captions names caption {place} of video {video}, which has "
                    f"{len(captions)}; fetch the files again"
                )
            captions = [captions[place]]
        if self.reading.fuse_captions:
            return [np.vstack(captions)]
        return captions[: self._n_queries]

    def asked_captions(self, video: str) -> list[list[str]]:
        """What is said in each of `asked_text`, sentence by sentence; fused ones have several."""
        told = self.captions.get(video, [])
        if self.caption_index is not None:
            told = told[self.caption_index[video] :][:1]
        if self.reading.fuse_captions:
            return [told]
        return [[each] for each in told[: self._n_queries]]

    def _captions(self, video: str) -> list[np.ndarray]:
        if video not in self.text:
            raise FileError(f"the text features do not know video {video}; fetch the files again")
        captions = list(self.text[video])
        if self.reading.average_text:
            return [tokens.mean(axis=0, keepdims=True) for tokens in captions]
        return captions


def open_official(
    config: Mapping[str, Any],
    dims: Mapping[str, int],
    *,
    text_dim: int | None = None,
    data: Path | None = None,
    eval_only: bool = False,
    cache: Path | None = None,
) -> OfficialSet:
    """Open the data set that an official config names.

    Args:
        config: resolved.
        dims: expert -> length of its vector or token, in the order of the model.
        text_dim: length that a caption's tokens must have; None for any.
        data: folder of the data set, instead of the config's `data_dir`.
        eval_only: leaves the training videos out.
        cache: folder where features are kept as plain arrays for the next start.

    Raises:
        FileNotFoundError: a list or a feature file is not there.
        FileError: a file is damaged or does not fit the others.
        SettingsError: unknown data set or split, or a number of captions that it does not have.
    """
    args, experts = config["data_loader"]["args"], config["experts"]
    name, split = args["dataset_name"], args["split_name"]
    tree, how = get_tree(name), args["feat_aggregation"]
    _check_supported(config, dims)
    n_captions = args.get("num_test_captions", 1)
    if tree.n_captions not in (None, n_captions):
        raise SettingsError(
            f"num_test_captions of {name} must be {tree.n_captions}, got {n_captions}"
        )
    folder = Path(args["data_dir"]) if data is None else Path(data)
    root = folder / args.get("root_feat_folder", "structured-symlinks")
    challenge = bool(config.get("challenge_mode"))
    asked = root
    if challenge and split == "public_server_test":  # its list and text are in another release
        asked = folder / args.get("challenge_test_root_feat_folder", "challenge")
    train_list, val_list = split_lists(name, split)
    train_list = config.get("training_file") or train_list
    train = [] if eval_only else read_list(root / train_list, tree.bare_ids)
    val = read_list(asked / val_list, tree.bare_ids)
    videos = [*train, *val]
    found = {
        expert: read_features(
            expert,
            expert_files(root, name, split, expert, how[expert]),
            videos,
            dim,
            cache,
            how[expert].get("aggregate-axis", 1),
        )
        for expert, dim in dims.items()
    }
    # Training captions are in the first release, whatever release is asked.
    roots = [root, asked] if train and asked != root else [asked]
    feature = experts.get("text_feat", "openai")
    text = _text(tree, name, roots, feature, videos, challenge, cache)
    if text_dim not in (None, text.dim) and len(text):
        raise FileError(
            f"the text features have tokens of {text.dim} numbers, expected {text_dim} of "
            f"{feature}; fetch the files again, or correct experts.text_feat"
        )
    reading = Reading(
        max_tokens=args["max_tokens"],
        variable=frozenset(e for e in dims if how[e].get("temporal") == "vlad"),
        fuse_captions=bool(args.get("fuse_captions", False)),
        num_test_captions=n_captions,
        text_dropout=float(args.get("text_dropout", 0.0)),
        average_text=experts.get("text_agg") == "avg",
        # The released code restricts captions of this data set only, and says nothing elsewhere.
        restrict_train_captions=args.get("restrict_train_captions", 0) if name == "MSRVTT" else 0,
        zeros_for_missing=bool(experts.get("use_zeros_for_missing", False)),
        flaky=frozenset(e for e in dims if how[e].get("flaky")),
        binarised=frozenset(e for e in dims if how[e].get("binarise")),
    )
    lacking = [e for e in ("text", *reading.variable) if e not in reading.max_tokens]
    if lacking:
        raise SettingsError(
            f"data_loader.args.max_tokens says nothing of {lacking[0]}; give the most tokens that "
            "are kept of it"
        )
    counts = np.minimum([len(text.get(video, ())) for video in val], n_captions)
    n_missing = int((n_captions - counts).sum())
    expected = tree.n_missing.get((len(val), n_captions), n_missing)
    if n_missing != expected:
        raise FileError(
            f"the text features lack {n_missing} captions of the {len(val)} evaluated videos, "
            f"{expected} were expected; fetch the files again"
        )
    index = tree.caption_index.get(split)
    distilled = config.get("distil_params") or {}
    masks = config.get("caption_masks")
    taught = root / distilled.get("base_path", "teachers/")
    teachers = [] if eval_only else [taught / file for file in distilled.get("teachers", [])]
    return OfficialSet(
        name,
        split,
        train,
        val,
        found,
        text,
        _there(first_of(asked, tree.captions)),
        reading,
        caption_index=read_dict(_there(root / index)) if index else None,
        masks=read_dict(_there(root / masks), train) if masks and not eval_only else None,
        teachers=[read_dict(_there(file), train) for file in teachers],
        video_path=tree.video_path,
    )


def _check_supported(config: Mapping[str, Any], dims: Mapping[str, int]) -> None:
    """Refuse what a config asks for and no loader has."""
    loader, how = config["data_loader"], config["data_loader"]["args"]["feat_aggregation"]
    if loader.get("type", LOADER) != LOADER:
        raise SettingsError(f"unknown data_loader.type {loader['type']!r}; available: {LOADER}")
    if config.get("task", "retrieval") != "retrieval":
        raise SettingsError(f"no data set serves the task {config['task']!r}; set it to retrieval")
    if loader["args"].get("trn_cat") or any(how[name].get("trn_seg") for name in dims):
        raise SettingsError(
            "temporal relations (trn_cat, trn_seg) are not supported, in the released loader "
            "neither; set trn_cat to 0 and leave trn_seg out"
        )


def _text(
    tree: Tree,
    name: str,
    roots: list[Path],
    feature: str,
    videos: list[str],
    challenge: bool,
    cache: Path | None,
) -> TextFeatures:
    """Tokens of the captions of some videos."""
    found = [text_files(root, name, feature, challenge) for root in roots]
    keys = None
    # In several parts, by keys other than the videos' names.
    if len(found[0]) > 1 and tree.text_keys:
        beside = tuple(f"{tree.text_folder}/{file}" for file in tree.text_keys)
        keys = read_dict(_there(first_of(roots[0], tree.text_keys + beside)), videos)
    files = [_there(file) for each in found for file in each]
    return read_text_features(files, videos, keys, cache)


def read_list(path: Path, bare: bool) -> list[str]:
    """Names of videos, one a line.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: no video is named, or one twice.
    """
    try:
        lines = _there(path).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise FileError(f"{path.name} is no list of video names; give one a line") from error
    videos = [line.strip().split(".")[0] if bare else line for line in lines if line.strip()]
    if not videos:
        raise FileError(f"{path.name} names no video; give one a line")
    twice = next((video for video, n in Counter(videos).items() if n > 1), None)
    if twice is not None:
        raise FileError(f"{path.name} names video {twice} twice; leave one out")
    return videos


def _there(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path.parent.name}/{path.name} is not there; fetch the data set's experts, or give "
            "its folder with --data"
        )
    return path
