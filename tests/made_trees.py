"""Miniature feature trees in official layout, with the config that reads them."""

import pickle
from pathlib import Path

import numpy as np

from retrieval.datasets.trees import TREES, expert_files, split_lists

SENET, R2P1D, KINETICS = (
    "imagenet.senet154.0",
    "r2p1d.r2p1d-ig65m.0",
    "r2p1d.r2p1d-ig65m-kinetics.0",
)
WORDS = ["a", "dog", "runs", "on", "the", "beach", "red", "kite"]

# Experts of each miniature, by what the data set has: name -> length of a vector or token.
EXPERTS = {
    "Animations": {
        "rgb.clip.0": 6,
        "motion.flow.0": 5,
        "scene.layout.0": 4,
        "audio": 128,
        "ocr": 300,
        "speech": 300,
    },
    "MSRVTT": {"audio": 128, "face": 5, SENET: 6, "ocr": 300, "speech": 300},
    "MSVD": {"face": 5, SENET: 6, "ocr": 300, KINETICS: 4},
    "DiDeMo": {"audio": 128, "face": 5, SENET: 6, "ocr": 300, "speech": 300},
    "ActivityNet": {"audio": 128, "face": 5, SENET: 6, "ocr": 300, "speech": 300},
    "LSMDC": {"audio": 128, "face": 5, SENET: 6, "ocr": 300, "speech": 300},
    "QuerYD": {"audio": 128, SENET: 6, R2P1D: 4},
    "QuerYDSegments": {"audio": 128, SENET: 6, R2P1D: 4},
    "YouCook2": {SENET: 6, "audio": 128, "ocr": 300},
    "VaTeX": {SENET: 6, R2P1D: 4},
}
SPLITS = {name: list(tree.splits) for name, tree in TREES.items()}
FUSED = ("DiDeMo", "ActivityNet", "QuerYD")
TOKENS = {"text": 6, "ocr": 4, "audio": 3, "speech": 5}


def aggregation(expert: str, dim: int) -> dict:
    """The entry of `feat_aggregation` in a config."""
    if expert in ("audio", "ocr", "speech"):
        return {"temporal": "vlad", "flaky": True}
    if expert == "face":
        return {"temporal": "avg", "flaky": True}
    sizes = {"fps": 25, "pixel_dim": 256, "stride": 1, "offset": 0, "inner_stride": None}
    return {**sizes, "temporal": "avg", "type": "embed", "feat_dims": {"embed": dim}}


def write_hickle(path: Path, values: dict, version: str = "4.0.4") -> Path:
    """Save a dict of arrays, floats and lists of arrays as hickle 3, 4 or 5 lays it out."""
    import h5py

    old, newest = version < "4", version >= "5"
    item = "data{}" if newest else "data_{}"

    def put(group, name: str, value: object) -> None:
        if isinstance(value, list):
            inner = group.create_group(name)
            for i, one in enumerate(value):
                put(inner, item.format(i), one)
        else:
            group.create_dataset(name, data=value)

    with h5py.File(path, "w") as file:
        file.attrs["VERSION" if old else "HICKLE_VERSION"] = version
        top = file.create_group("data_0" if old else "data")
        for key, value in values.items():
            if newest:
                put(top, f'"{key}"', value)
            else:  # a group of its own for each key
                slashed = key if old else key.replace("/", "\\")
                put(top.create_group(repr(slashed)), "data_0" if old else "data", value)
    return path


def make_tree(
    folder: Path,
    name: str,
    split: str,
    n_train: int = 6,
    n_val: int = 4,
    text_dim: int = 7,
    seed: int = 0,
    protocol: int = 4,
) -> dict:
    """Write a data set below `folder` and give the resolved config that reads it."""
    rng, tree = np.random.default_rng(seed), TREES[name]
    root = folder / tree.folder / "structured-symlinks"
    experts, (train_list, val_list) = EXPERTS[name], split_lists(name, split)
    how = {expert: aggregation(expert, dim) for expert, dim in experts.items()}
    train = [f"video{i}" for i in range(n_train)]
    val = [f"video{n_train + i}" for i in range(n_val)]
    root.mkdir(parents=True)
    ending = ".mp4" if tree.bare_ids else ""
    for file, videos in ((train_list, train), (val_list, val)):
        (root / file).write_text("".join(f"{video}{ending}\n" for video in videos))

    def dump(path: Path, value: object) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(value, protocol=protocol))

    videos = [*train, *val, "unused"]
    for expert, dim in experts.items():
        stored = {}
        for i, video in enumerate(videos):
            if how[expert].get("flaky") and i % 3 == 1:
                stored[video] = float("nan")
            elif how[expert]["temporal"] == "vlad":
                stored[video] = rng.standard_normal((1 + i % 7, dim)).astype(np.float32)
            else:
                stored[video] = rng.standard_normal((1, dim)).astype(np.float16)
        path = expert_files(root, name, split, expert, how[expert])[0]
        dump(path.with_suffix(".pickle") if path.suffix == ".hickle" else path, stored)

    n_captions = {"Animations": 20, "MSRVTT": 20, "MSVD": 5, "VaTeX": 10}.get(
        name, 3 if name in FUSED else 1
    )
    captions, text = {}, {}
    for i, video in enumerate(videos):
        n = n_captions - (i == n_train + 1 and n_captions > 3)  # one video lacks a caption
        captions[video] = [rng.choice(WORDS, 2 + c % 4).tolist() for c in range(n)]
        text[video] = [
            rng.standard_normal((2 + c % 7, text_dim)).astype(np.float32) for c in range(n)
        ]
    dump(root / tree.captions[-1], captions)
    dump(root / tree.text_folder / "w2v.pkl", text)
    if name == "MSVD":  # three files by other keys
        keys = {video: f"vid{i}" for i, video in enumerate(videos)}
        dump(root / "dict_youtube_mapping.pkl", keys)
        for part, file in enumerate(tree.text["openai"]):
            some = {keys[video]: text[video] for video in videos[part::3]}
            dump(root / tree.text_folder / file, some)
    else:
        files = tree.text.get("openai", ("openai.pkl",))
        for part, file in enumerate(files):
            some = {video: text[video] for video in videos[part :: len(files)]}
            dump(root / tree.text_folder / file, some)
    if split in tree.caption_index:
        dump(root / tree.caption_index[split], {video: i for i, video in enumerate(val)})
    dump(
        root / "teachers" / "one.pkl",
        {
            video: {
                "vid_embds": {e: rng.standard_normal(3).astype(np.float32) for e in experts},
                "text_embds": {
                    e: rng.standard_normal((len(text[video]), 3)).astype(np.float32)
                    for e in experts
                },
            }
            for video in train
        },
    )
    dump(
        root / "masks.pkl",
        {video: np.arange(len(text[video])) % 2 == 0 for video in train},
    )
    return {
        "experts": {
            "modalities": list(experts),
            "drop_feats": "",
            "text_feat": "openai",
            "text_agg": "vlad",
            "face_dim": 5,
            "ce_shared_dim": 8,
        },
        "arch": {
            "type": "CENet",
            "args": {
                "use_ce": "pairwise",
                "vlad_clusters": {"text": 3, "ocr": 2, "audio": 2, "speech": 2},
                "ghost_clusters": {"text": 1},
            },
        },
        "data_loader": {
            "type": "ExpertDataLoader",
            "args": {
                "dataset_name": name,
                "data_dir": str(folder / tree.folder),
                "root_feat_folder": "structured-symlinks",
                "split_name": split,
                "batch_size": 4,
                "fuse_captions": name in FUSED,
                "num_test_captions": tree.n_captions or (1 if split == "jsfusion" else 20),
                "max_tokens": TOKENS,
                "text_dropout": 0.0,
                "feat_aggregation": how,
            },
        },
    }


def make_film_tree(folder: Path, n_train: int, n_val: int) -> Path:
    """A made tree of the film library with its text features; validation clips are tested too."""
    make_tree(folder, "Animations", "full-val", n_train=n_train, n_val=n_val)
    root = folder / "Animations" / "structured-symlinks"
    (root / "test_list_full.txt").write_text((root / "val_list_full.txt").read_text())
    text = root / "aggregated_text_feats"
    for name, like in (("words", "w2v"), ("letters", "w2v"), ("clip", "openai")):
        (text / f"{name}.pkl").write_bytes((text / f"{like}.pkl").read_bytes())
    return root
