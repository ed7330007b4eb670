"""Engines as tests see them: started by the script that users start them with, and ended whatever happens."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".engines"
START = ROOT / "deploy" / "engines" / "start.py"

# Engines that need no server: DirectRunner in its three modes.
DIRECT = {
    "direct-in-memory": ("--direct_running_mode=in_memory",),
    "direct-threads": ("--direct_running_mode=multi_threading", "--direct_num_workers=2"),
    "direct-processes": ("--direct_running_mode=multi_processing", "--direct_num_workers=2"),
}
# What each engine is fetched and run with, and what `make engines` leaves behind; Beam's own server comes with Beam.
NEEDS = {
    "portable": ((), None),
    "prism": (("go",), ".prism"),
    "flink": (("java", "mvn"), ".flink"),
    "spark": (("java", "mvn"), ".spark"),
    "spark-cluster": (("java", "mvn"), ".spark"),
}


class Engine(NamedTuple):
    """An engine that runs.

    Attributes:
        name: Its name.
        flags: What a job needs to get there.
        logs: The folder with what its processes say; None where there are none.
        pid: Of the process that started the others; None where there are none.
    """

    name: str
    flags: tuple[str, ...]
    logs: Path | None = None
    pid: int | None = None

    def said(self) -> str:
        """The end of each log, for messages."""
        logs = sorted(self.logs.glob("*.log")) if self.logs else []
        return "".join(f"\n--- {log.name}\n" + "\n".join(_lines(log)[-40:]) for log in logs)


def _lines(log: Path) -> list[str]:
    return log.read_text("utf-8", "replace").splitlines()


def skip_where_missing(name: str) -> None:
    """Skips a test whose engine is not here; with CI=true only where it could not be fetched."""
    tools, stamp = NEEDS[name]
    missing = [tool for tool in tools if shutil.which(tool) is None]
    fetched = stamp is None or (HOME / stamp).exists()
    if fetched and "java" not in missing:
        return
    if missing:
        pytest.skip(f"{name}: there is no {' and no '.join(missing)} here")
    reason = f"{name}: it was not fetched; make engines does that"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextlib.contextmanager
def started(name: str, logs: Path, port: int = 0) -> Iterator[Engine]:
    """Starts an engine as `python deploy/engines/start.py` does, on any port for 0, and ends all its processes."""
    if name in DIRECT:
        yield Engine(name, DIRECT[name])
        return
    skip_where_missing(name)
    command = [sys.executable, str(START), name, f"--port={port}", f"--logs={logs}"]
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / "start.err").open("wb") as err:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, text=True, start_new_session=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        flags = tuple(word for word in line.split() if word.startswith("--"))
        engine = Engine(name, flags, logs, process.pid)
        assert flags, f"{name} did not start\n{(logs / 'start.err').read_text()}{engine.said()}"
        yield engine
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        with contextlib.suppress(ProcessLookupError):  # none is left, as it should be
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()


def listens(port: int) -> bool:
    """Whether something on this machine listens on a port."""
    with socket.socket() as one:
        return one.connect_ex(("localhost", port)) == 0


def descendants(pid: int) -> Iterator[int]:
    """Ids of the processes that a process started, and that those started."""
    with contextlib.suppress(OSError):  # it has just ended
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield int(child)
                yield from descendants(int(child))


def is_worker(pid: int) -> bool:
    """Whether a process is one of Beam's workers that a pool started."""
    with contextlib.suppress(OSError):
        return b"SdkHarness" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def wait_for(what: str, happens: Callable[[], object], seconds: float = 120) -> object:
    """Calls until that gives something, and returns it."""
    end = time.monotonic() + seconds
    while not (found := happens()):
        assert time.monotonic() < end, f"{what}: not within {seconds} seconds"
        time.sleep(0.002)
    return found
