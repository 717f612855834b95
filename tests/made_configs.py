"""Configs in the shape of the released ones, and the miniature trees that they read.

A run's file inherits from its data set's, and that one from a base; together they have every key
that released configs have. Runs are made small by custom arguments alone.
"""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from made_trees import WORDS, write_hickle

from retrieval.datasets.trees import expert_files, get_tree, split_lists, text_files
from retrieval.models import from_official
from retrieval.models.config import TEXT_DIMS
from retrieval.official.configs import load_config, merged

INST, RGB, SCENE = "imagenet.resnext101_32x48d.0", "imagenet.senet154.0", "scene.densenet161.0"
FLOW, R2P1D, KINETICS = "i3d.i3d.0", "r2p1d.r2p1d-ig65m.0", "r2p1d.r2p1d-ig65m-kinetics.0"
S3D = "s3dg.s3dg.0"
SEEN = [INST, RGB, SCENE, R2P1D, FLOW]
ALL = [*SEEN, "face", "ocr", "audio", "speech"]


def aggregated(fps: int, stride: int, embed: int, logits: int, inner: int | None = None) -> dict:
    more = {} if inner is None else {"inner_stride": inner}
    return {
        "fps": fps, "stride": stride, "pixel_dim": 256, "aggregate-axis": 1, "offset": 0,
        "temporal": "avg", "aggregate": "concat", "type": "embed",
        "feat_dims": {"embed": embed, "logits": logits}, **more,
    }  # fmt: skip


def by_token(model: str, **more: Any) -> dict:
    return {
        "model": model, "flaky": True, "temporal": "vlad", "type": "embed", "binarise": False,
        **more,
    }  # fmt: skip


AGGREGATION = {
    RGB: aggregated(25, 1, 2048, 1000),
    INST: aggregated(25, 1, 2048, 1000),
    SCENE: aggregated(25, 1, 2208, 1000),
    FLOW: aggregated(25, 25, 1024, 400, 1),
    R2P1D: aggregated(30, 32, 512, 359, 1),
    KINETICS: aggregated(30, 32, 512, 400, 1),
    S3D: aggregated(10, 16, 1024, 512, 1) | {"num_segments": None},
    "ocr": by_token("yang", feat_dims={"embed": 300}),
    "audio": by_token("vggish"),
    "audio.vggish.0": by_token("vggish"),
    "speech": by_token("w2v", feat_dims={"embed": 300}),
    "face": {"model": "antoine", "temporal": "avg", "flaky": True, "binarise": False},
    "antoine-rgb": {"temporal": "avg", "type": "embed", "feat_dims": {"embed": 2048}},
    "flow": {"temporal": "avg", "type": "embed", "feat_dims": {"embed": 1024}},
    "detection-sem": {"fps": 1, "stride": 3, "temporal": "vlad", "feat_type": "sem"},
}
BASE = {
    "n_gpu": 1, "seed": 0, "disable_nan_checks": False, "log_name": "info.json",
    "text_embedding_model_configs": "model/text_embedding_models.json",
    "experts": {
        "drop_feats": "", "text_feat": "openai", "text_agg": "vlad", "modalities": [],
        "ce_shared_dim": 768,
    },
    "arch": {
        "type": "CENet",
        "args": {
            "keep_missing_modalities": False, "use_ce": "pairwise", "use_mish": 1,
            "use_bn_reason": 1, "num_g_layers": 3, "num_h_layers": 0, "include_self": 1,
            "l2renorm": False, "randomise_feats": "", "mimic_ce_dims": 0,
            "vlad_clusters": {"ocr": 32, "text": 25, "audio": 16, "speech": 32,
                              "detection-sem": 32},
            "ghost_clusters": {"text": 0}, "test_caption_mode": "indep",
        },
    },
    "data_loader": {
        "type": "ExpertDataLoader",
        "args": {
            "trn_cat": False, "batch_size": 32, "num_workers": 4, "text_dropout": 0.0,
            "root_feat_folder": "high-quality/structured-symlinks", "feat_aggregation": AGGREGATION,
        },
    },
    "optimizer": {"type": "Ranger", "args": {"lr": 0.1, "weight_decay": 1e-3}},
    "loss": {
        "type": "MaxMarginRankingLoss", "args": {"margin": 0.09381161988446174, "fix_norm": True},
    },
    "metrics": ["t2v_metrics", "v2t_metrics"],
    "visualizer": {
        "type": "Visualizer",
        "args": {"src_video_dir": "data/MSRVTT/videos/all", "vis_vid_freq": 1000,
                 "num_samples": 100},
    },
    "lr_scheduler": {"type": "StepLR", "args": {"step_size": 1, "gamma": 0.95}},
    "trainer": {
        "save_only_best": True, "save_dir": "data/saved/", "save_period": 10, "val_freq": 1,
        "verbosity": 2, "tensorboard": True,
        "monitor": "max val_t2v_metrics_geometric_mean_R1-R5-R10",
    },
}  # fmt: skip


def dataset_config(
    name: str,
    split: str,
    test: str,
    experts: list[str],
    epochs: int,
    fused: bool = False,
    captions: tuple[int, int] = (1, 1),
    text: str = "openai",
    ghosts: int = 0,
    face_dim: int = 512,
    root: str | None = None,
) -> dict:
    """The file of a data set: what the base says, and what is its own."""
    loader = {
        "dataset_name": name, "data_dir": f"data/{get_tree(name).folder}", "split_name": split,
        "batch_size": 64, "fuse_captions": fused, "num_test_captions": captions[0],
        "max_tokens": {"ocr": 6, "text": 8, "audio": 4, "speech": 5, "openpose": 50,
                       "detection": 12, "detection-sem": 100},
    }  # fmt: skip
    if root is not None:
        loader["root_feat_folder"] = root
    return {
        "inherit_from": "configs/base_config.json",
        "eval_mode": "test_run",
        "experts": {
            "modalities": experts, "face_dim": face_dim, "text_feat": text,
            "text_dim": TEXT_DIMS[text],
        },
        "arch": {
            "args": {
                "vlad_clusters": {"ocr": 3, "text": 4, "audio": 2, "speech": 2},
                "ghost_clusters": {"text": ghosts, "ocr": 1, "audio": 1, "speech": 1},
            }
        },
        "data_loader": {"args": loader},
        "trainer": {"epochs": epochs},
        "eval_settings": {
            "data_loader": {"args": {"split_name": test, "num_test_captions": captions[1]}},
            "tester": {"save_dir": "data/saved/", "verbosity": 2},
            "disable_gpu": True,
        },
    }  # fmt: skip


QUERYD = [INST, R2P1D, SCENE, "audio"]
LAST = {"eval_mode": "fixed_num_epochs", "eval_settings": False}
# Name of a run -> its data set's file, and what the run's own file adds.
RUNS: dict[str, tuple[dict, dict]] = {
    "msrvtt": (
        dataset_config("MSRVTT", "full-val", "full-test", ALL, 100, captions=(1, 20), ghosts=1),
        {},
    ),
    "msrvtt-jsfusion": (
        dataset_config("MSRVTT", "full-val", "full-test", ALL, 100, captions=(1, 20), ghosts=1),
        {**LAST, "data_loader": {"args": {"split_name": "jsfusion"}}},
    ),
    "msrvtt-miech": (
        dataset_config("MSRVTT", "full-val", "full-test", ALL, 100, captions=(1, 20), ghosts=1),
        {
            **LAST,
            "experts": {
                "face_dim": 128, "text_feat": "w2v", "text_dim": 300,
                "modalities": ["antoine-rgb", "flow", "audio", "face"],
            },
            "data_loader": {"args": {"split_name": "miech"}},
        },
    ),
    "msvd": (dataset_config("MSVD", "dev", "official", [*SEEN, "face", "ocr"], 300,
                            captions=(81, 81)), {}),
    "didemo": (dataset_config("DiDeMo", "val", "test", ALL, 30, fused=True), {}),
    "activity-net": (dataset_config("ActivityNet", "val1", "val1", ALL, 150, fused=True), {}),
    "lsmdc": (dataset_config("LSMDC", "full-val", "full-test", ALL, 15, text="w2v",
                             face_dim=128), {}),
    "queryd": (dataset_config("QuerYD", "val", "test", QUERYD, 20, fused=True, text="w2v", ghosts=1,
                              root="structured-symlinks"), {}),
    "querydsegments": (dataset_config("QuerYDSegments", "val", "test", QUERYD, 20, text="w2v",
                                      ghosts=1, root="structured-symlinks"), {}),
    "youcook2": (
        dataset_config("YouCook2", "val", "val", [RGB, FLOW, INST, KINETICS, R2P1D, "ocr"], 20,
                       ghosts=1),
        {"experts": {"modalities": [RGB, INST, FLOW], "ce_shared_dim": 512}},
    ),
    "vatex": (dataset_config("VaTeX", "full-val", "full-test", QUERYD, 20, captions=(10, 10),
                             text="w2v"), {}),
    "mnnet": (
        dataset_config("QuerYD", "val", "test", QUERYD, 20, fused=True, text="w2v",
                       root="structured-symlinks"),
        {
            "inherit_from": "configs/data_loader_mnnet.json,configs/base_mnnet.json",
            "optimizer": {"type": "Ranger", "args": {"lr": 1e-8, "weight_decay": 0.0}},
            "data_loader": {"type": "ExpertDataLoader", "batch_size": 2048},
        },
    ),
}  # fmt: skip
MNNET = {
    "experts": {"text_feat": "howto100m_mil_nce", "text_agg": "avg", "modalities": [S3D]},
    "arch": {"type": "MNNet", "args": {}},
    "data_loader": {
        "args": {
            "batch_size": 128, "max_tokens": {"text": 1},
            "feat_aggregation": {S3D: {"type": "logits"}},
        }
    },
    "trainer": {"epochs": 1, "save_period": 1},
    "eval_settings": {"disable_gpu": False},
}  # fmt: skip
SMALL = "+".join(
    (
        "experts.ce_shared_dim@8",
        "data_loader.args.batch_size@4",
        "trainer.epochs@2",
        "trainer.save_period@1",
    )
)


def write_configs(folder: Path, run: str) -> Path:
    """Write the files of a run, and give the one to start it with."""
    configs = folder / "configs"
    (configs / run).mkdir(parents=True)
    dataset, own = RUNS[run]
    (configs / "base_config.json").write_text(json.dumps(BASE))
    (configs / "base_mnnet.json").write_text(json.dumps(MNNET))
    (configs / f"data_loader_{run}.json").write_text(json.dumps(dataset))
    path = configs / run / "train-full-ce.json"
    path.write_text(json.dumps({"inherit_from": f"configs/data_loader_{run}.json", **own}))
    return path


def captions_of(name: str, video: int) -> int:
    """How many captions a miniature's video has: where some may be missing, some are."""
    if name == "MSRVTT":
        return 19 if video == 11 else 20
    if name == "MSVD":
        return 3 + video % 4
    if name == "VaTeX":
        return 10
    return 3 if name in ("DiDeMo", "ActivityNet", "QuerYD") else 1


def write_tree(config: Mapping[str, Any], data: Path, sizes: tuple[int, int, int]) -> None:
    """Write all files that a resolved config asks for, of as few videos as that.

    Args:
        config: resolved.
        data: folder of the data set.
        sizes: videos of the training list, and of the lists of the config and of its
            `eval_settings`; where these are one list, the latter counts.
    """
    args, rng = config["data_loader"]["args"], np.random.default_rng(0)
    name, split, how = args["dataset_name"], args["split_name"], args["feat_aggregation"]
    tree, root = get_tree(name), data / args["root_feat_folder"]
    tested = merged(config, config["eval_settings"] or {})["data_loader"]["args"]["split_name"]
    lists = [*split_lists(name, split), split_lists(name, tested)[1]]
    root.mkdir(parents=True)
    videos, at = [f"video{i}" for i in range(sum(sizes))], 0
    for file, n in zip(lists, sizes, strict=True):
        ending = ".avi" if tree.bare_ids else ""
        (root / file).write_text("".join(f"{v}{ending}\n" for v in videos[at : at + n]))
        at += n

    def dump(path: Path, value: dict) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".hickle":
            write_hickle(path, value)
        else:
            path.write_bytes(pickle.dumps(value, protocol=4))

    for expert in from_official(config).experts if config["arch"]["type"] == "CENet" else [S3D]:
        name_of, dim = (expert, 512) if expert == S3D else (expert.name, expert.dim)
        files = expert_files(root, name, split, name_of, how[name_of])
        for file in files:
            stored = {}
            for i, video in enumerate(videos):
                if how[name_of].get("flaky") and i % 3 == 1:
                    stored[video] = float("nan")
                elif how[name_of]["temporal"] == "vlad":
                    stored[video] = rng.standard_normal((1 + i % 7, dim)).astype(np.float32)
                else:
                    shape = (1, dim // len(files))
                    stored[video] = rng.standard_normal(shape).astype(np.float16)
            dump(file, stored)

    feature = config["experts"]["text_feat"]
    captions, text = {}, {}
    for i, video in enumerate(videos):
        n = captions_of(name, i)
        captions[video] = [rng.choice(WORDS, 2 + c % 4).tolist() for c in range(n)]
        lengths = [1 if config["experts"]["text_agg"] == "avg" else 2 + c % 9 for c in range(n)]
        text[video] = [
            rng.standard_normal((n, TEXT_DIMS[feature])).astype(np.float32) for n in lengths
        ]
    dump(root / tree.captions[-1], captions)
    keys = {video: video for video in videos}
    files = text_files(root, name, feature)
    if len(files) > 1 and tree.text_keys:
        keys = {video: f"vid{i}" for i, video in enumerate(videos)}
        dump(root / tree.text_keys[0], keys)
    for part, file in enumerate(files):
        dump(file, {keys[video]: text[video] for video in videos[part :: len(files)]})
    if split in tree.caption_index:
        dump(root / tree.caption_index[split], {v: i % 20 for i, v in enumerate(videos)})


def made_run(folder: Path, run: str, sizes: tuple[int, int, int] = (7, 4, 5)) -> tuple[Path, Path]:
    """Configs and tree of a run.

    Returns:
        the config to start with, and the folder of the data set.
    """
    config = write_configs(folder, run)
    resolved = load_config(config)
    data = folder / resolved["data_loader"]["args"]["data_dir"]
    write_tree(resolved, data, sizes)
    return config, data
