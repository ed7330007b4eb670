"""Keeps the noise of worker threads and processes off the terminal: their errors reach the user as one line."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

LOG = "workers.log"


@contextlib.contextmanager
def quiet_workers(folder: str, *, hide: bool) -> Iterator[TextIO]:
    """Sends what workers write to stderr to a file while the block runs.

    Beam's workers print the traceback of every failure, and worker processes log before they read any option.

    Args:
        folder: For the file, `LOG`.
        hide: Whether to do so at all.

    Yields:
        A stream to the real stderr, for what the user is to see meanwhile.
    """
    sys.stderr.flush()
    if not hide:
        yield sys.stderr
        return
    real = os.dup(2)
    try:
        with (Path(folder) / LOG).open("a") as log, os.fdopen(os.dup(real), "w") as shown:
            os.dup2(log.fileno(), 2)
            try:
                with contextlib.redirect_stderr(log):
                    yield shown
            finally:
                os.dup2(real, 2)
    finally:
        os.close(real)


def what_was_hidden(folder: str) -> str:
    """What workers have written so far; empty where nothing was hidden."""
    log = Path(folder) / LOG
    return log.read_text(errors="replace") if log.exists() else ""
