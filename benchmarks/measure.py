"""Time, CPU and memory of a process with all that it starts, read from /proc.

Memory is what Linux calls PSS: a page that several processes share counts once in all. To ask for it is costly,
so that is done when the plain sum (RSS) reaches a new height.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import resource
    from collections.abc import Mapping, Sequence

INTERVAL = 0.05  # seconds between two looks
RISE = 1.02  # PSS is asked for again when RSS is this many times what it was
PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """What a process and its descendants used.

    Attributes:
        code: The exit code.
        seconds: From start to exit.
        cpu: CPU seconds of all of them.
        memory: Peak memory of all of them together, bytes (PSS).
        processes: The most there were at once.
    """

    code: int
    seconds: float
    cpu: float
    memory: int
    processes: int


class _Process(NamedTuple):
    parent: int
    session: int
    cpu: float
    rss: int


def _look(pid: str) -> _Process | None:
    """Reads /proc/PID/stat; None for one that has gone."""
    try:
        fields = Path("/proc", pid, "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    # From the third field of proc(5) on: state, parent, group, session, ..., user and system time 14 and 15, RSS 24.
    cpu = (int(fields[11]) + int(fields[12])) / TICK
    return _Process(int(fields[1]), int(fields[3]), cpu, int(fields[21]) * PAGE)


def _tree(root: int, others: set[str]) -> dict[int, _Process]:
    """A process and all that it started: its session, and the descendants of those.

    Args:
        root: The process.
        others: Processes that are known not to belong to it, and so are not looked at; those found are added.

    Returns:
        What is known of each.
    """
    names = [name for name in os.listdir("/proc") if name.isdigit() and name not in others]  # noqa: PTH208
    seen = {int(name): found for name in names if (found := _look(name))}
    tree = {pid for pid, process in seen.items() if process.session == root}
    grown = True
    while grown:
        more = {pid for pid, process in seen.items() if process.parent in tree} - tree
        tree |= more
        grown = bool(more)
    others.update(str(pid) for pid in seen if pid not in tree)
    return {pid: seen[pid] for pid in tree}


def _pss(pid: int, otherwise: int) -> int:
    """A process's share of memory; its RSS where the system does not say."""
    try:
        for line in Path("/proc", str(pid), "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return otherwise


def measure(command: Sequence[str], log: Path, env: Mapping[str, str], folder: Path) -> Usage:
    """Runs a command and watches it and its descendants until it ends.

    Args:
        command: Program and arguments.
        log: A file for its stdout and stderr.
        env: Its environment.
        folder: Its working folder.

    Returns:
        What it used. Descendants that outlive it are ended.
    """
    cpu: dict[int, float] = {}
    memory = high = most = 0
    others: set[str] = set()
    with log.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=dict(env), cwd=folder, start_new_session=True
        )
        handle = os.pidfd_open(process.pid)
        try:
            while not (ended := _wait(process.pid)):
                tree = _tree(process.pid, others)
                cpu.update((pid, one.cpu) for pid, one in tree.items())
                most = max(most, len(tree))
                rss = sum(one.rss for one in tree.values())
                if rss > high * RISE or (rss > high and memory == 0):
                    high = rss
                    memory = max(memory, sum(_pss(pid, one.rss) for pid, one in tree.items()))
                select.select([handle], [], [], INTERVAL)  # readable when the process ends
            seconds = time.perf_counter() - began
            status, used = ended
        except BaseException:
            _end(process.pid)
            process.wait()
            raise
        finally:
            os.close(handle)
    process.returncode = os.waitstatus_to_exitcode(status)
    _end(process.pid)
    # The kernel adds up those that were waited for; those that were not have been seen alive.
    spent = max(used.ru_utime + used.ru_stime, sum(cpu.values()))
    return Usage(process.returncode, seconds, spent, memory, most)


def _wait(pid: int) -> tuple[int, resource.struct_rusage] | None:
    found, status, used = os.wait4(pid, os.WNOHANG)
    return (status, used) if found else None


def _end(session: int) -> None:
    """Ends what is left of a session that `measure` began."""
    for pid, process in _tree(session, set()).items():
        if process.session == session:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
