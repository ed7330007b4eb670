"""What a run was made on, and with: no names of hosts or people."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

PACKAGES = ("oblong", "apache-beam", "datasets", "gigatoken", "numpy", "pyarrow", "tensorflow-cpu", "tokenizers")


def machine() -> dict[str, str]:
    """Processor, cores that this process may use, memory and system."""
    kernel = ".".join(platform.release().split(".")[:2])
    return {
        "processor": _first("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        "system": f"{platform.freedesktop_os_release().get('PRETTY_NAME', 'Linux')}, kernel {kernel}",
    }


def _first(path: str, key: str) -> str | None:
    for line in Path(path).read_text("utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that take part; "not installed" for one that is not."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
