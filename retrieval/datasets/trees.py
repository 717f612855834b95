"""Names of official data sets -> where their lists, captions and features lie.

All paths are below the feature root, `data_dir/root_feat_folder` of a config. Where releases
differ, several are given and the first that exists is taken.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrieval.errors import SettingsError

Files = tuple[str, ...]  # candidates for one file
CHALLENGE = ("public_server_val", "public_server_test")  # splits that every data set may have
HEARD = ("audio", "speech")  # kinds of experts that listen


@dataclass(frozen=True)
class Tree:
    """One data set as it was released."""

    folder: str  # below the folder of all data
    splits: Mapping[str, tuple[str, str]]  # split -> list of training, list of evaluated videos
    experts: Mapping[str, Files]  # experts whose files do not follow from their name
    n_captions: int | None = 1  # of an evaluated video; None for as many as the config says
    # (evaluated videos, captions each) -> captions that are missing of the published lists
    n_missing: Mapping[tuple[int, int], int] = field(default_factory=dict)
    by_split: Mapping[str, Mapping[str, Files]] = field(default_factory=dict)  # experts that differ
    text_folder: str = "aggregated_text_feats"
    text: Mapping[str, Files] = field(default_factory=dict)  # text features that differ: all parts
    text_keys: Files = ()  # file of video -> key, where text features are keyed by the latter
    captions: Files = ("raw-captions.pkl",)
    caption_index: Mapping[str, str] = field(default_factory=dict)  # split -> which caption counts
    video_path: str = "videos/{}.mp4"
    video_folder: str = "videos"  # what `videos` of that path stands for, below its folder
    bare_ids: bool = False  # lists give file names; the part before the first point counts


def _sound(audio: Files, speech: Files, ocr: Files, face: Files) -> dict[str, Files]:
    return {"audio": audio, "audio.vggish.0": audio, "speech": speech, "ocr": ocr, "face": face}


_MSRVTT_EXPERTS = _sound(
    ("aggregated_audio_feats/Audio_MSRVTT_new.pickle",),
    ("aggregated_speech/speech-w2v.pickle",),
    ("aggregated_ocr_feats/ocr-raw.pickle",),
    ("aggregated_face_feats/facefeats-avg.pickle",),
)
_KINETICS = "aggregated_r2p1d_30fps_256px_stride8_offset0_inner_stride1"
_FACES = "aggregated_facefeats_25fps_256px_stride1/face-avg.pickle"
_VGGISH = ("aggregated_audio/vggish-raw.hickle", "aggregated_audio/vggish-raw.pickle")
_PLAIN = {"val": ("train_list.txt", "val_list.txt"), "test": ("train_list.txt", "test_list.txt")}

_FULL = {
    "full-val": ("train_list_full.txt", "val_list_full.txt"),
    "full-test": ("train_list_full.txt", "test_list_full.txt"),
}

TREES = {
    "MSRVTT": Tree(
        "MSRVTT",
        {
            **_FULL,
            "jsfusion": ("train_list_jsfusion.txt", "val_list_jsfusion.txt"),
            "miech": ("train_list_miech.txt", "test_list_miech.txt"),
            "val": ("train_list.txt", "val_list.txt"),
        },
        _MSRVTT_EXPERTS,
        n_captions=None,
        n_missing={(2990, 20): 6, (1000, 20): 2, (497, 20): 0},
        by_split={
            "miech": {
                "antoine-rgb": ("antoine/resnet_features.pickle",),
                "audio": ("antoine/audio_features.pickle",),
                "flow": ("antoine/flow_features.pickle",),
                "face": ("antoine/facefeats-clone.pickle",),
            }
        },
        text={"openai": ("w2v_MSRVTT_openAIGPT.pickle",)},
        video_folder="videos/all",
        caption_index={"jsfusion": "jsfusion_val_caption_idx.pkl"},
    ),
    "MSVD": Tree(
        "MSVD",
        {"dev": _PLAIN["val"], "official": _PLAIN["test"]},
        {
            "ocr": ("aggregated_ocr_feats/ocr-w2v.pickle",),
            "face": ("aggregated_face_feats/face-avg.pickle",),
            "r2p1d.r2p1d-ig65m-kinetics.0": (f"{_KINETICS}/r2p1d-ig65m-kinetics-avg.pickle",),
        },
        n_captions=81,
        text={"openai": tuple(f"openai-caption-{part}.pkl" for part in ("train", "val", "test"))},
        text_keys=("dict_youtube_mapping.pkl",),
    ),
    "DiDeMo": Tree(
        "DiDeMo",
        _PLAIN,
        _sound(
            ("aggregated_audio_feats/vggish-audio-raw.pickle",),
            ("aggregated_speech_feats/stt_w2v.pickle",),
            ("aggregated_ocr_feats/ocr-feats.pkl",),
            (_FACES,),
        ),
        text={"openai": ("openai-feats.pkl",)},
        bare_ids=True,
    ),
    "ActivityNet": Tree(
        "activity-net",
        {"val1": ("train_list.txt", "val_1_list.txt"), "val": ("train_list.txt", "val_list.txt")},
        _sound(
            ("aggregated_audio/vggish-audio-raw.pickle",),
            ("aggregated_speech/goog_w2v-speech-raw.pickle",),
            ("aggregated_ocr_feats/ocr-w2v.pkl",),
            (_FACES,),
        ),
        text={"openai": ("openai-train.pkl", "openai-val1.pkl")},
        captions=("raw-captions-train-val_1.pkl",),
    ),
    "LSMDC": Tree(
        "LSMDC",
        {"full-val": _PLAIN["val"], "full-test": _PLAIN["test"]},
        _sound(
            # The second ones are the names in the list of the high-quality archive.
            (
                "aggregated_audio/vggish-raw.pickle",
                "aggregated_audio_feats/vggish-audio-raw.pickle",
            ),
            ("aggregated_speech/speech-w2v.pickle", "aggregated_speech_feats/speech-w2v.pickle"),
            ("aggregated_ocr_feats/ocr-w2v.pkl",),
            ("antoine/face-max-with-blank-val.pickle",),
        ),
        text={"openai": ("openai-text.pickle",)},
    ),
    "QuerYD": Tree(
        "QuerYD",
        _PLAIN,
        {"audio": _VGGISH},
        text_folder="text_embeddings",
        # The official path repeats the folder's name inside a root that ends with it.
        captions=(
            "structured-symlinks/raw_captions_combined_filtered.pkl",
            "raw_captions_combined_filtered.pkl",
        ),
    ),
    "QuerYDSegments": Tree(
        "QuerYDSegments",
        _PLAIN,
        {"audio": _VGGISH},
        text_folder="text_embeddings",
        captions=(
            "structured-symlinks/split_raw_captions_filtered.pkl",
            "split_raw_captions_filtered.pkl",
        ),
    ),
    "YouCook2": Tree(
        "YouCook2",
        {"val": _PLAIN["val"]},
        {
            "audio": ("aggregated_audio/vggish-raw.pickle",),
            "audio.vggish.0": ("aggregated_audio/vggish-raw.pickle",),
            "ocr": ("aggregated_ocr_feats/ocr-w2v.pkl",),
        },
        video_path="videos/validation/{}.mp4",
    ),
    "VaTeX": Tree(
        "VaTeX",
        {
            "full-val": ("train_list.txt", "val_list_split1.txt"),
            "full-test": ("train_list.txt", "val_list_split2.txt"),
        },
        {"audio": _VGGISH},
        n_captions=10,
        text_folder="text-embeddings",
    ),
    # The film library, in the layout of MSR-VTT.
    "Animations": Tree(
        "Animations",
        _FULL,
        {
            "rgb.clip.0": ("aggregated_rgb_12fps_64px_stride3/clip-avg.pickle",),
            "motion.flow.0": ("aggregated_motion_12fps_56px_stride3/flow-avg.pickle",),
            "scene.layout.0": ("aggregated_scene_12fps_56px_stride3/layout-avg.pickle",),
            "audio": ("aggregated_audio_feats/mel-raw.pickle",),
            "ocr": ("aggregated_ocr_feats/ocr-w2v.pickle",),
            "speech": ("aggregated_speech/speech-w2v.pickle",),
        },
        n_captions=None,
    ),
}


def get_tree(name: str) -> Tree:
    """Find a data set by the name that configs give it.

    Raises:
        SettingsError: there is none of that name; the message lists what exists.
    """
    if name not in TREES:
        raise SettingsError(f"unknown data set {name!r}; available: {', '.join(TREES)}")
    return TREES[name]


def medium_of(experts: Iterable[str]) -> str:
    """What a network of these experts searches: "audio" where all of them listen, else "video"."""
    kinds = {name.split(".")[0] for name in experts}
    return "audio" if kinds and kinds <= set(HEARD) else "video"


def split_lists(name: str, split: str) -> tuple[str, str]:
    """Files of the training and of the evaluated videos.

    Raises:
        SettingsError: the data set has no such split.
    """
    tree = get_tree(name)
    if split in tree.splits:
        return tree.splits[split]
    if split in CHALLENGE:
        return "train_list.txt", f"{split}.txt"
    raise SettingsError(f"{name} has no split {split!r}; available: {', '.join(tree.splits)}")


def expert_files(
    root: Path, name: str, split: str, expert: str, how: Mapping[str, Any]
) -> list[Path]:
    """Files of one expert, several where aggregations are concatenated.

    Args:
        root: of the features.
        name: of the data set.
        split: some experts have other files there.
        expert: its name.
        how: its entry in the config's `feat_aggregation`.
    """
    tree = get_tree(name)
    own = tree.by_split.get(split, {}).get(expert) or tree.experts.get(expert)
    if own:
        return [first_of(root, own)]
    return [root / path for path in named_files(expert, how)]


def named_files(expert: str, how: Mapping[str, Any]) -> list[str]:
    """Paths that follow from an expert's name and from how its features were aggregated.

    Raises:
        SettingsError: the name is not type.model.variant.
    """
    if expert.count(".") < 2:
        raise SettingsError(
            f"{expert} has no file of its own in this data set, and its name is not "
            "type.model.variant; drop it from experts.modalities"
        )
    kind, model, _ = expert.split(".", 2)
    folder = f"aggregated_{kind.replace('-', '_')}"
    if kind not in ("ocr", "speech", "audio"):
        fps, pixels, stride = (how.get(key) for key in ("fps", "pixel_dim", "stride"))
        folder += f"_{fps}fps_{pixels}px_stride{stride}"
    for option in ("offset", "inner_stride", "num_segments"):
        if how.get(option) is not None:
            folder += f"_{option}{how[option]}"
    ending = "-logits" if how.get("type") == "logits" else ""
    return [f"{folder}/{model}-{agg}{ending}.pickle" for agg in how["temporal"].split("-")]


def text_files(root: Path, name: str, feature: str, challenge: bool = False) -> list[Path]:
    """Files of a text feature, whose dicts are merged."""
    tree = get_tree(name)
    if challenge:
        folder = root / "aggregated_text_feats"
        return [first_of(folder, (f"{feature}.pkl", f"{feature}.pickle"))]
    folder = root / tree.text_folder
    return [folder / file for file in tree.text.get(feature, (f"{feature}.pkl",))]


def first_of(root: Path, candidates: Files) -> Path:
    """The first candidate that exists; the first of all where none does."""
    paths = [root / candidate for candidate in candidates]
    return next((path for path in paths if path.exists()), paths[0])
