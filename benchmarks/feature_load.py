"""How long a run waits for its features: at the first start, and at the next.

    python benchmarks/feature_load.py

Writes a feature tree in the layout of MSR-VTT (random numbers: three experts of one vector, two of
tokens) with twice as many videos as the split needs, opens it and makes the first batch, each time
in a new process: with the feature files as they are, then with what the first start kept. Prints
seconds, what was read from files in each (counted by the kernel), and the ratio. The files are in
the page cache both times, so what is compared is the work, not the disk.
"""

import argparse
import multiprocessing
import pickle
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from retrieval.datasets.official import open_official
from retrieval.datasets.trees import expert_files

SIZES = {"imagenet.senet154.0": 2048, "scene.densenet161.0": 2208, "i3d.i3d.0": 1024}
TOKENS = {"audio": (128, 30), "ocr": (300, 60)}  # length of a token, tokens of a video
TEXT_DIM, N_WORDS, N_CAPTIONS = 768, 12, 20


def config(folder: Path) -> dict:
    """The sections that say what is read."""
    fixed = {"fps": 25, "pixel_dim": 256, "stride": 1, "offset": 0, "temporal": "avg"}
    how = {name: {**fixed, "type": "embed"} for name in SIZES}
    how |= {name: {"temporal": "vlad", "flaky": True} for name in TOKENS}
    return {
        "experts": {"text_feat": "openai", "text_agg": "vlad"},
        "data_loader": {
            "args": {
                "dataset_name": "MSRVTT",
                "data_dir": str(folder),
                "split_name": "full-val",
                "num_test_captions": 1,
                "max_tokens": {"text": 37, "ocr": 49, "audio": 29},
                "feat_aggregation": how,
            }
        },
    }


def make(folder: Path, n_train: int, n_val: int) -> int:
    """Write the tree; gives its size in bytes."""
    rng, root, given = np.random.default_rng(0), folder / "structured-symlinks", config(folder)
    names = [f"video{i}" for i in range(2 * (n_train + n_val))]
    root.mkdir(parents=True)
    (root / "train_list_full.txt").write_text("\n".join(names[:n_train]))
    (root / "val_list_full.txt").write_text("\n".join(names[n_train : n_train + n_val]))

    def write(path: Path, value: dict) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(value, protocol=4))

    def rows(n: int, dim: int) -> np.ndarray:
        return rng.standard_normal((n, dim), dtype=np.float32)

    for name in (*SIZES, *TOKENS):
        dim, most = TOKENS.get(name, (SIZES.get(name), 1))
        how = given["data_loader"]["args"]["feat_aggregation"][name]
        stored = {video: rows(int(rng.integers(1, most + 1)), dim) for video in names}
        write(expert_files(root, "MSRVTT", "full-val", name, how)[0], stored)
    text = {video: [rows(N_WORDS, TEXT_DIM) for _ in range(N_CAPTIONS)] for video in names}
    write(root / "aggregated_text_feats" / "w2v_MSRVTT_openAIGPT.pickle", text)
    write(root / "raw-captions.pkl", {video: [["a"]] * N_CAPTIONS for video in names})
    return sum(path.stat().st_size for path in root.rglob("*.p*"))


def start(folder: Path, cache: Path) -> tuple[float, int]:
    """Seconds to the first batch, and bytes that were read from files to get there."""

    def read() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])  # rchar

    before, began = read(), time.perf_counter()
    dims = {**SIZES, **{name: dim for name, (dim, _) in TOKENS.items()}}
    data = open_official(config(folder), dims, cache=cache)
    data.train_batch(range(64), np.random.RandomState(0))
    return time.perf_counter() - began, read() - before


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=int, default=2000, help="training videos")
    parser.add_argument("--val", type=int, default=200, help="evaluated videos")
    parser.add_argument("--folder", type=Path, help="for the files; None is a temporary one")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory(dir=args.folder) as temporary:
        folder, cache = Path(temporary) / "MSRVTT", Path(temporary) / "cache"
        n_bytes = make(folder, args.train, args.val)
        found = []
        for _ in range(2):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found.append(pool.apply(start, (folder, cache)))
    print(f"{n_bytes / 1e9:.2f} GB of feature files, of which half the videos are wanted")
    for name, (seconds, read) in zip(("first start", "next start"), found, strict=True):
        print(f"{name}: {seconds:.2f} s, {read / 1e9:.2f} GB read by calls; the rest is mapped")
    print(f"the next start takes 1/{found[0][0] / found[1][0]:.1f} of the first")


if __name__ == "__main__":
    main()
