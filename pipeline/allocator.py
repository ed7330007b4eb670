"""Memory that is freed is kept for the next batch, not handed back to the system and asked for again."""

from __future__ import annotations

import ctypes
import os
import platform

import pyarrow as pa

# glibc hands arrays of more than 128 KiB back as soon as they are freed, and the system clears each page anew when
# the next batch wants them: a sixth of the time of a whole job. 32 MiB is the most that every glibc takes.
MMAP_THRESHOLD = 32 << 20
TRIM_THRESHOLD = 256 << 20
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt; Source: malloc.h of glibc

# For worker processes, which read them as they start.
ENVIRONMENT = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_MMAP_THRESHOLD_": str(MMAP_THRESHOLD),
    "MALLOC_TRIM_THRESHOLD_": str(TRIM_THRESHOLD),
}


def keep_freed_memory() -> bool:
    """Sets this process and those it starts up to reuse memory; what the environment says already stands.

    Returns:
        Whether it could: with glibc only.
    """
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in ENVIRONMENT):
        return False
    os.environ.update(ENVIRONMENT)
    pa.set_memory_pool(pa.system_memory_pool())
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD) and libc.mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD))
