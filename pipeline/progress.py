"""The progress line: on stderr, where that is a terminal, and nowhere else."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

    import transforms.progress

SECONDS = 0.25  # between two looks at what the workers have noted


@contextmanager
def show_progress(
    notes: transforms.progress.Progress | None, total_bytes: int, stream: TextIO | None = None
) -> Iterator[None]:
    """Shows how far a job is while the block runs.

    Args:
        notes: Where workers note how far they are; None where they cannot.
        total_bytes: Of all inputs.
        stream: Where the line goes; None for stderr.

    Yields:
        Once.
    """
    shown = stream or sys.stderr
    if notes is None or not shown.isatty():
        yield
        return
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rows]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(file=shown), transient=True) as display:
        task = display.add_task("Reading", total=total_bytes, rows="")
        stop = threading.Event()
        thread = threading.Thread(target=_watch, args=(notes, display, task, stop), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def _watch(notes: transforms.progress.Progress, display: Progress, task: TaskID, stop: threading.Event) -> None:
    """Turns notes into the line until it is told to stop."""
    while not stop.wait(SECONDS):
        totals = notes.totals()
        elapsed = max(display.tasks[0].elapsed or 0, SECONDS)
        rows, written = totals.get("rows", 0), totals.get("written", 0)
        label = "Writing" if written else "Reading"
        text = f"{rows:,} rows, {rows / elapsed:,.0f} rows/s"
        if written:
            text += f", {written:,} written in {totals.get('files', 0):,} files"
        display.update(task, completed=totals.get("bytes", 0), description=label, rows=text)
