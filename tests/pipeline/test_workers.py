import os

import pytest

from pipeline import workers
from pipeline.workers import (
    IN_MEMORY,
    PROCESSES,
    UNIT_BYTES,
    UNITS_EACH,
    WORKER_BYTES,
    WORTH_A_PROCESS,
    Workers,
    choose_workers,
    cores_here,
    direct_workers,
    memory_here,
    unit_bytes,
)

ALONE = Workers(IN_MEMORY, 1)
PLENTY = 1 << 50


@pytest.fixture
def container(tmp_path, monkeypatch):
    """Says what a container may use."""
    monkeypatch.setattr(workers, "CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(workers, "OWN_CGROUP", tmp_path / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    (tmp_path / "own").write_text("0::/job/step\n")

    def say(files):
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")

    return say


@pytest.mark.parametrize(
    ("size", "cores", "memory", "chosen"),
    [
        (0, 8, PLENTY, ALONE),
        (2 * WORTH_A_PROCESS - 1, 8, PLENTY, ALONE),
        (2 * WORTH_A_PROCESS, 8, PLENTY, Workers(PROCESSES, 2)),
        (PLENTY, 8, PLENTY, Workers(PROCESSES, 8)),
        (PLENTY, 1, PLENTY, ALONE),
        (PLENTY, 8, 3 * WORKER_BYTES, Workers(PROCESSES, 3)),
        (PLENTY, 8, WORKER_BYTES - 1, ALONE),
    ],
)
def test_every_core_is_used_that_pays_for_itself_and_finds_memory(size, cores, memory, chosen):
    assert choose_workers(size, cores, memory) == chosen


@pytest.mark.parametrize(
    ("given", "mode", "number", "filled"),
    [
        ({"direct_num_workers"}, IN_MEMORY, 3, Workers(PROCESSES, 3)),
        ({"direct_num_workers"}, IN_MEMORY, 1, ALONE),
        ({"direct_num_workers"}, IN_MEMORY, 0, Workers(PROCESSES, 5)),
        ({"direct_running_mode"}, "multi_threading", 1, Workers("multi_threading", 5)),
        ({"direct_running_mode"}, IN_MEMORY, 1, ALONE),
        ({"direct_running_mode", "direct_num_workers"}, "multi_threading", 2, Workers("multi_threading", 2)),
        ({"runner"}, IN_MEMORY, 1, Workers(PROCESSES, 5)),
    ],
)
def test_what_the_user_says_of_workers_stands_and_the_rest_is_filled_in(given, mode, number, filled, monkeypatch):
    monkeypatch.setattr(workers, "cores_here", lambda: 5)
    monkeypatch.setattr(workers, "memory_here", lambda: PLENTY)
    assert direct_workers(PLENTY, given, mode, number) == filled


def test_units_are_small_enough_for_each_worker_to_get_several_and_never_tiny():
    assert unit_bytes(64 << 20, 800 << 20, 2) == 25 << 20
    assert unit_bytes(64 << 20, 8 << 30, 2) == 64 << 20
    assert unit_bytes(64 << 20, 1, 2) == UNIT_BYTES
    assert unit_bytes(1000, 1 << 30, 2) == 1000
    assert -(-(800 << 20) // unit_bytes(64 << 20, 800 << 20, 2)) == 2 * UNITS_EACH


def test_cores_and_memory_are_those_of_the_machine_without_a_container(container):
    assert cores_here() == 8
    assert memory_here() == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_container_without_limits_has_all(container):
    container({"cpu.max": "max 100000", "memory.max": "max", "cpu/cpu.cfs_quota_us": "-1"})
    assert cores_here() == 8
    assert memory_here() == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "20000 100000"}, 1),
        ({"cpu.max": "250000 100000"}, 2),
        ({"cpu.max": "9900000 100000"}, 8),
        ({"job/step/cpu.max": "300000 100000"}, 3),
        ({"job/cpu.max": "500000 100000", "job/step/cpu.max": "max 100000"}, 5),
        ({"other/cpu.max": "100000 100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4),
    ],
)
def test_container_has_the_cores_that_it_and_those_around_it_are_given(files, cores, container):
    container(files)
    assert cores_here() == cores


@pytest.mark.parametrize(
    "files",
    [
        {"memory.max": 1 << 20},
        {"memory.max": "max", "job/memory.max": 1 << 20},
        {"job/memory.max": 1 << 30, "job/step/memory.max": 1 << 20},
        {"memory/memory.limit_in_bytes": 1 << 20},
    ],
)
def test_container_has_the_least_memory_that_it_or_one_around_it_is_given(files, container):
    container(files)
    assert memory_here() == 1 << 20
