"""Workers on one machine: how many, and in which of Beam's modes, where the user does not say."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

IN_MEMORY, PROCESSES = "in_memory", "multi_processing"

WORTH_A_PROCESS = 96 << 20  # of inputs; starting worker processes takes as long as one process takes for twice this
WORKER_BYTES = 1 << 30  # of memory, in which a worker and what it shares with others fit
UNIT_BYTES = 8 << 20  # of inputs: a unit of work is never made smaller than this
UNITS_EACH = 16  # units of work a worker gets, or more, so that all end at about the same time

# Where Linux says what a container may use: version 2 in a folder for each, version 1 by kinds of things.
CGROUP, OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


class Workers(NamedTuple):
    """Who does the work.

    Attributes:
        mode: Beam's --direct_running_mode.
        number: Beam's --direct_num_workers.
    """

    mode: str
    number: int


def choose_workers(input_bytes: int, cores: int, memory: int) -> Workers:
    """Uses every core that pays for itself and finds memory.

    Args:
        input_bytes: Of all inputs, decompressed.
        cores: That there are.
        memory: Bytes of it that there are.

    Returns:
        One worker in this very process, or a process for each core.

    >>> choose_workers(1 << 20, cores=8, memory=16 << 30)
    Workers(mode='in_memory', number=1)
    >>> choose_workers(1 << 30, cores=8, memory=16 << 30)
    Workers(mode='multi_processing', number=8)
    """
    number = min(cores, memory // WORKER_BYTES, input_bytes // WORTH_A_PROCESS)
    return Workers(PROCESSES, number) if number > 1 else Workers(IN_MEMORY, 1)


def direct_workers(input_bytes: int, given: Collection[str], mode: str, number: int) -> Workers:
    """Fills in what the user of DirectRunner left open.

    Args:
        input_bytes: Of all inputs, decompressed.
        given: Names of the options that the user gave.
        mode: Beam's --direct_running_mode, given or not.
        number: Beam's --direct_num_workers, given or not; 0 for every core.

    Returns:
        Both as they are to be.
    """
    if "direct_num_workers" in given:
        number = number or cores_here()
        if "direct_running_mode" not in given:
            mode = PROCESSES if number > 1 else IN_MEMORY
        return Workers(mode, number)
    if "direct_running_mode" in given:
        return Workers(mode, 1 if mode == IN_MEMORY else cores_here())
    return choose_workers(input_bytes, cores_here(), memory_here())


def unit_bytes(split_bytes: int, input_bytes: int, workers: int) -> int:
    """Makes units of work small enough that each worker gets several.

    Args:
        split_bytes: `read.split_bytes`: the most.
        input_bytes: Of all inputs.
        workers: How many share the units.

    Returns:
        The bytes of a unit.

    >>> unit_bytes(64 << 20, 4 << 30, workers=2) >> 20
    64
    >>> unit_bytes(64 << 20, 1 << 29, workers=2) >> 20
    16
    """
    return min(split_bytes, max(UNIT_BYTES, -(-input_bytes // (workers * UNITS_EACH))))


def cores_here() -> int:
    """Cores that this process may use: those of the machine, or fewer in a container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for limit in (*_limits("cpu.max"), *_limits("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        quota, _, period = limit.partition(" ")
        if quota.isdigit() and period.isdigit():
            cores = min(cores, max(1, round(int(quota) / int(period))))
    return cores


def memory_here() -> int:
    """Bytes of memory that this process may use: those of the machine, or fewer in a container."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = (*_limits("memory.max"), *_limits("memory/memory.limit_in_bytes"))
    return min([memory, *(int(limit) for limit in limits if limit.isdigit())])


def _limits(*names: str) -> Iterator[str]:
    """Lists what containers are allowed, this one's first, then those around it; several files make one line."""
    try:
        path = OWN_CGROUP.read_text().rpartition(":")[2].strip().strip("/")
    except OSError:
        path = ""
    here = CGROUP / path
    for folder in (here, *here.parents):
        with suppress(OSError):
            yield " ".join((folder / name).read_text().strip() for name in names)
        if folder == CGROUP:
            return
