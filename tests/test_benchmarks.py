"""Scripts of benchmarks/ run to their end where they have little to do; no time is looked at."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SMALL = {
    "all_additive": "--n-queries 20 --n-gallery 30 --n-bank 40 --n-gallery-bank 20 --dim 8",
    "any_matrix": "--n-gallery 30 --n-bank 60 --captions 2 --repeats 1",
    "ce_sims": "--captions 40 --videos 20",
    "feature_load": "--train 70 --val 3 --others 5 --cold",
    "fit_bias": "--n-gallery 300000 --n-bank 512 --dim 8",
    "folded_indexes": "--n-gallery 400 --n-bank 200 --n-queries 20 --dim 16",
    "rendering": "--n-clips 2 --workers 1",
    "two_rankings": "--n-gallery 200 --n-bank 100 --dim 8 --n-queries 5",
    "typed_query": "--n-queries 6",
}


@pytest.mark.parametrize(("name", "options"), SMALL.items())
def test_a_benchmark_ends_with_figures(name, options, tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / f"{name}.py", *options.split()],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert any(c.isdigit() for c in done.stdout)
