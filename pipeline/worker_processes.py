"""Worker processes of a job that is stopped: ended, so that nothing waits for them."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORKER = b"apache_beam.runners.worker.sdk_worker_main"
SECONDS = 0.2  # between two looks: one that is just being started is found the next time


@contextmanager
def ended_on_demand() -> Iterator[Callable[[], None]]:
    """Ends this process's worker processes, from the moment that is asked for until the block ends.

    Beam, when it is interrupted, waits for its workers; one that has just been started waits for Beam.

    Yields:
        A function that asks for it; signal handlers may call it.
    """
    asked, over = threading.Event(), threading.Event()

    def watch() -> None:
        asked.wait()
        while not over.is_set():
            end_workers()
            over.wait(SECONDS)

    # Started beforehand, since a handler may come while the main thread is starting another.
    threading.Thread(target=watch, name="end-workers", daemon=True).start()
    try:
        yield asked.set
    finally:
        over.set()
        asked.set()


def end_workers() -> None:
    """Ends the worker processes below this one."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    for process in parents:
        with suppress(OSError):
            if _is_below(process, parents) and WORKER in Path(f"/proc/{process}/cmdline").read_bytes():
                os.kill(process, signal.SIGTERM)


def _is_below(process: int, parents: dict[int, int]) -> bool:
    """Whether this process has started another, or one that has."""
    while process in parents:
        process = parents[process]
        if process == os.getpid():
            return True
    return False
