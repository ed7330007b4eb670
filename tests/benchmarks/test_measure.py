"""Time, CPU and memory are those of a process and all that it starts."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from benchmarks.measure import measure

MB = 1_000_000

HOLD = "import time; held = bytearray({mb} * 1000000); time.sleep({seconds})"
PARENT = """
import os, subprocess, sys
children = [subprocess.Popen([sys.executable, "-c", {child!r}], start_new_session={session}) for _ in range(2)]
[child.wait() for child in children]
"""


@pytest.fixture
def watch(tmp_path):
    def run(source):
        return measure([sys.executable, "-c", source], tmp_path / "log", os.environ, tmp_path)

    return run


def test_memory_is_the_peak(watch):
    usage = watch(HOLD.format(mb=200, seconds=0.3) + "; del held; time.sleep(0.2)")
    assert usage.code == 0
    assert 200 * MB < usage.memory < 260 * MB
    assert 0.5 < usage.seconds < 10


@pytest.mark.parametrize("session", [False, True])
def test_children_count_too_even_those_of_a_session_of_their_own(watch, session):
    usage = watch(PARENT.format(child=HOLD.format(mb=100, seconds=1), session=session))
    assert 200 * MB < usage.memory < 300 * MB
    assert usage.processes == 3


def test_memory_that_a_fork_shares_counts_once(watch):
    usage = watch(
        "import os, time\nheld = bytearray(b'x' * 200_000_000)\n"
        "pids = [os.fork() for _ in range(1)]\ntime.sleep(1)\nif all(pids): os.wait()"
    )
    assert 200 * MB < usage.memory < 450 * MB  # the fork and what made the bytes, not three times


def test_cpu_is_that_of_all_processes(watch):
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    usage = watch(PARENT.format(child=burn, session=False))
    assert 1 <= usage.cpu < 3


def test_exit_code_and_what_was_said_are_kept(watch, tmp_path):
    usage = watch("import sys; print('out'); sys.exit(7)")
    assert usage.code == 7
    assert (tmp_path / "log").read_text() == "out\n"


def test_what_outlives_its_parent_is_ended(watch, tmp_path):
    watch("import subprocess; open('pid', 'w').write(str(subprocess.Popen(['sleep', '60']).pid))")
    pid = int((tmp_path / "pid").read_text())
    time.sleep(0.2)
    state = Path("/proc", str(pid), "stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"  # ended, and not yet waited for
