"""How much time and memory a matrix in a file takes: whole, by its own library, or in tiles.

    python benchmarks/stored.py --rows 20000 --columns 2500

Every format is written once, then read in fresh processes that take turns: by numpy, pickle,
safetensors or torch as a whole, and by `open_matrix(...).tiles()` tile by tile. Both sum every
number; the sums must agree. Printed are seconds, the ratio, and the memory beyond the imports.
"""

import argparse
import json
import pickle
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
WHOLE = {  # how each format is read without us
    "npy": "import numpy as np; read = np.load",
    "npz": "import numpy as np; read = lambda path: np.load(path)['sims']",
    "pkl": "import numpy as np, pickle; read = lambda path: pickle.load(open(path, 'rb'))",
    "safetensors": "from safetensors.numpy import load_file; read = lambda p: load_file(p)['sims']",
    "pt": "import torch; read = lambda path: torch.load(path, weights_only=True).numpy()",
}
OURS = "from retrieval.formats import open_matrix; read = open_matrix"
READ = """
import json, sys, time
sys.path.insert(0, {root!r})
{start}
import numpy as np
def peak():  # bytes; unlike getrusage, not what the parent had before
    return 1024 * int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])
before, begun = peak(), time.perf_counter()
found = read({path!r})
total = 0.0
whole = isinstance(found, np.ndarray)
for _, _, block in [(0, 0, found)] if whole else found.tiles().blocks():
    total += float(block.sum(dtype=np.float64))
print(json.dumps([time.perf_counter() - begun, peak() - before, total]))
"""


def write(folder: Path, sims: np.ndarray) -> None:
    """The same matrix in every format."""
    import torch
    from safetensors.numpy import save_file

    np.save(folder / "sims.npy", sims)
    np.savez(folder / "sims.npz", sims=sims)
    with open(folder / "sims.pkl", "wb") as file:
        pickle.dump(sims, file)
    save_file({"sims": sims}, folder / "sims.safetensors")
    torch.save(torch.from_numpy(sims), folder / "sims.pt")


def measured(start: str, path: Path) -> tuple[float, int, float]:
    """Seconds, bytes and sum of one reading in a process of its own."""
    code = READ.format(root=str(ROOT), start=start, path=str(path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return tuple(json.loads(done.stdout))


def main() -> None:
    """Write the files, read them in turns, print one line a format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the matrix")
    parser.add_argument("--columns", type=int, default=2_500, help="columns of the matrix")
    parser.add_argument("--turns", type=int, default=3, help="readings of each kind; the median")
    args = parser.parse_args()
    sims = np.random.default_rng(0).random((args.rows, args.columns), dtype=np.float32)
    print(f"{args.rows:,} x {args.columns:,} float32, {sims.nbytes / 1e6:,.0f} MB")
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), sims)
        del sims
        for suffix, start in WHOLE.items():
            path = Path(folder) / f"sims.{suffix}"
            turns = [(measured(start, path), measured(OURS, path)) for _ in range(args.turns)]
            whole, tiles = (
                [statistics.median(turn[side][part] for turn in turns) for part in range(3)]
                for side in range(2)
            )
            assert np.isclose(whole[2], tiles[2], rtol=1e-9), (suffix, whole[2], tiles[2])
            print(
                f"{suffix:12} whole {whole[0]:.2f} s, {whole[1] / 1e6:,.0f} MB; "
                f"tiles {tiles[0]:.2f} s, {tiles[1] / 1e6:,.1f} MB: "
                f"{whole[0] / tiles[0]:.1f} x as fast, 1/{whole[1] / max(1, tiles[1]):.0f} memory"
            )


if __name__ == "__main__":
    main()
