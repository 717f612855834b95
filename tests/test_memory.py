"""Memory that training keeps between its steps."""

import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

CHECK = """
import resource, sys
import torch
from retrieval.training.memory import keep_freed_memory

kept = sys.argv[1] == "keep" and keep_freed_memory()


def step() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    gradients = [torch.ones(2**24) for _ in range(3)]  # 64 MB each
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


for _ in range(8):  # until the places have settled
    step()
print(kept, step() + step())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator is that of glibc")
def test_freed_memory_is_not_given_back():
    """In a process of its own, as the setting is for good."""

    def faults(how: str) -> tuple[str, int]:
        out = subprocess.run(
            [sys.executable, "-c", CHECK, how], capture_output=True, text=True, check=True
        )
        kept, count = out.stdout.split()
        return kept, int(count)

    kept, few = faults("keep")
    if kept == "False":
        pytest.skip("this C library has no mallopt")
    assert few * 10 < faults("leave")[1]
