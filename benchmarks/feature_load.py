"""How long a run waits for its features: at the first start, and at the next.

    python benchmarks/feature_load.py
    python benchmarks/feature_load.py --cold
    python benchmarks/feature_load.py --cold --train 4800 --val 200 --others 20000  # 20 GB

Writes a feature tree in the layout of MSR-VTT (random numbers: three experts of one vector, two of
tokens) with more videos than the split needs, opens it and makes the first batch, each time in a
new process: with the feature files as they are, then with what the first start kept. Prints
seconds, what was read in each (counted by the kernel: by calls, and from the disk, mapped pages
too) beside what is wanted, the most memory, and the ratio. What fits in the page cache is there
both times, so that the work is compared, not the disk; with --cold nothing of the files is there at
either start, which needs no rights but those to read them.
"""

import multiprocessing
import os
import pickle
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from benchmarks.common import parser_of
from retrieval.datasets.official import open_official
from retrieval.datasets.trees import expert_files
from retrieval.training.expert_clips import from_official

SIZES = {"imagenet.senet154.0": 2048, "scene.densenet161.0": 2208, "i3d.i3d.0": 1024}
TOKENS = {"audio": (128, 30), "ocr": (300, 60)}  # length of a token, tokens of a video
TEXT_DIM, N_WORDS, N_CAPTIONS = 768, 12, 20
BATCH = 64  # videos


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


def make(folder: Path, n_train: int, n_val: int, n_others: int) -> int:
    """Write the tree; gives its size in bytes."""
    rng, root, given = np.random.default_rng(0), folder / "structured-symlinks", config(folder)
    names = [f"video{i}" for i in range(n_train + n_val + n_others)]
    numbers = rng.standard_normal(2**22, dtype=np.float32)
    root.mkdir(parents=True)
    (root / "train_list_full.txt").write_text("\n".join(names[:n_train]))
    (root / "val_list_full.txt").write_text("\n".join(names[n_train : n_train + n_val]))

    def write(path: Path, value_of: Callable[[], object]) -> None:
        """A pickled dict, item by item, so that it never is in memory."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"\x80\x03}(")
            for video in names:
                for each in (video, value_of()):
                    file.write(pickle.dumps(each, protocol=3)[2:-1])
            file.write(b"u.")

    def rows(n: int, dim: int) -> np.ndarray:
        start = int(rng.integers(len(numbers) - n * dim))
        return numbers[start : start + n * dim].reshape(n, dim).copy()

    for name in (*SIZES, *TOKENS):
        dim, most = TOKENS.get(name, (SIZES.get(name), 1))
        how = given["data_loader"]["args"]["feat_aggregation"][name]
        path = expert_files(root, "MSRVTT", "full-val", name, how)[0]
        write(path, lambda dim=dim, most=most: rows(int(rng.integers(1, most + 1)), dim))
    text = root / "aggregated_text_feats" / "w2v_MSRVTT_openAIGPT.pickle"
    write(text, lambda: [rows(N_WORDS, TEXT_DIM) for _ in range(N_CAPTIONS)])
    write(root / "raw-captions.pkl", lambda: [["a"]] * N_CAPTIONS)
    return sum(path.stat().st_size for path in root.rglob("*.p*"))


def evict(folder: Path) -> None:
    """Write all files of a folder out, and let them go from memory."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def start(folder: Path, cache: Path) -> tuple[float, int, int, int, int]:
    """Seconds to the first batch; bytes by calls, from the disk and wanted; the most memory."""

    def read() -> np.ndarray:
        lines = dict(x.split(": ") for x in Path("/proc/self/io").read_text().splitlines())
        return np.array([int(lines["rchar"]), int(lines["read_bytes"])])

    before, began = read(), time.perf_counter()
    dims = {**SIZES, **{name: dim for name, (dim, _) in TOKENS.items()}}
    data = open_official(config(folder), dims, cache=cache)
    clips = from_official(data, "train", slice(0, BATCH))
    clips.batch(torch.arange(BATCH))
    took_s, (calls, disk) = time.perf_counter() - began, read() - before
    wanted = data.text.rows.nbytes + sum(found.rows.nbytes for found in data.experts.values())
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return took_s, int(calls), int(disk), wanted, peak


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--train", type=int, default=2000, help="training videos")
    parser.add_argument("--val", type=int, default=200, help="evaluated videos")
    parser.add_argument("--others", type=int, default=2200, help="videos that nobody asks for")
    parser.add_argument("--cold", action="store_true", help="let the files go from memory before")
    parser.add_argument("--folder", type=Path, help="for the files; None is a temporary one")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory(dir=args.folder) as temporary:
        folder, cache = Path(temporary) / "MSRVTT", Path(temporary) / "cache"
        n_bytes = make(folder, args.train, args.val, args.others)
        found = []
        for _ in range(2):
            if args.cold:
                evict(Path(temporary))
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found.append(pool.apply(start, (folder, cache)))
    n_wanted = args.train + args.val
    share = n_wanted / (n_wanted + args.others)
    print(f"{n_bytes / 1e9:.2f} GB of feature files; wanted are {100 * share:.0f} % of the videos")
    for name, (seconds, calls, disk, wanted, peak) in zip(
        ("first start", "next start"), found, strict=True
    ):
        print(
            f"{name}: {seconds:.2f} s; {wanted / 1e9:.2f} GB wanted, {calls / 1e9:.2f} GB read by "
            f"calls, {disk / 1e9:.2f} GB from the disk; peak memory {peak / 1e9:.2f} GB"
        )
    print(f"the next start takes 1/{found[0][0] / found[1][0]:.1f} of the first")


if __name__ == "__main__":
    main()
