"""Gradients that are made anew at every step -> memory that is not given back in between."""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def keep_freed_memory() -> bool:
    """Keep freed memory in the process, for those that free and ask for the same again and again.

    glibc maps every large array anew and gives it back when it is freed. A training step of full
    CE makes 730 MB of gradients, and the kernel has to find and clear each of their pages at every
    step: a fifth of the time of the products that fill them.

    Returns:
        whether this had an effect; elsewhere than on glibc nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, -1))
