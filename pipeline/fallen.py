"""Workers whose process has died: noticed, and told with what they were at."""

from __future__ import annotations

import re
import signal
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.worker_processes import ended_on_demand
from transforms.arrays.errors import JobError
from transforms.arrays.isolate import how_it_ended
from transforms.breadcrumbs import BEHIND, READING, TOKENIZING, WRITING, Breadcrumbs, Crumb
from transforms.files import is_local, list_subfolders

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.job import Job

FOLDER = "at"  # below an attempt's scratch folder

# Beam ends a job whose worker dies within a second or two, unless it dies before it has said that it is there: for
# that one it would wait for ever.
GRACE = 20.0

SIGNALLED = 128  # a shell gives this and the signal's number for a process that was killed

STEPS = {
    READING: "reading",
    TOKENIZING: "tokenizing",
    BEHIND: "in a step behind tokenizing, at",
    WRITING: "writing the shard",
}


def lay_breadcrumbs(job: Job, folder: str) -> Breadcrumbs:
    """Prepares the folder in which workers of this machine note what they are at.

    Args:
        job: The job.
        folder: Of the launcher, for an output that is on no disk.

    Returns:
        The notes: beside the output they outlive the launcher too.
    """
    path = Path(job.scratch_folder if is_local(job.scratch_folder) else folder) / FOLDER
    with suppress(OSError):
        path.mkdir(parents=True, exist_ok=True)
    return Breadcrumbs(str(path))


class Fallen:
    """Worker processes that have died while their job ran.

    Attributes:
        codes: Their return codes as `subprocess` has them.
    """

    def __init__(self) -> None:
        self.codes: list[int] = []
        self._stopped = False  # whether the job was stopped for their sake

    def explain(self, notes: Breadcrumbs | None, *, isolate: bool) -> JobError | None:
        """Says what a job has died of.

        Args:
            notes: What workers were at.
            isolate: `run.isolate`.

        Returns:
            The sentence; None where no process has died.
        """
        if not self.codes:
            return None
        crumbs = notes.of_the_dead() if notes is not None else []
        how = how_it_ended(self.codes[0])
        memory = " (which the system does, too, where memory runs out)" if -signal.SIGKILL in self.codes else ""
        hint = _hint(crumbs) if not isolate else ""
        return JobError(f"a worker process {how}{memory} while it was {_doing(crumbs)}; nothing is committed{hint}")

    def stop(self) -> None:
        """Ends the wait of the main thread."""
        self._stopped = True
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    @property
    def stopped(self) -> bool:
        """Whether it was not the user who interrupted the job."""
        return self._stopped


@contextmanager
def watch_workers(grace: float = GRACE) -> Iterator[Fallen]:
    """Hears of worker processes that die while the block runs, and ends the block if it does not end by itself.

    Args:
        grace: Seconds that it has to end by itself.

    Yields:
        Those that have died.

    Raises:
        RuntimeError: The block was ended.
    """
    fallen, before = Fallen(), threading.excepthook
    timers: list[threading.Timer] = []
    in_main = threading.current_thread() is threading.main_thread()

    def hear(failure: threading.ExceptHookArgs) -> None:
        told = re.search(r"Worker subprocess exited with return code (-?\d+)", str(failure.exc_value))
        if told is None:
            before(failure)
            return
        code = int(told[1])
        fallen.codes.append(SIGNALLED - code if code > SIGNALLED else code)
        if in_main and not timers:
            timers.append(threading.Timer(grace, fallen.stop))
            timers[0].daemon = True
            timers[0].start()

    def interrupt(number: int, frame: Any) -> None:
        """Stands before the handler of the user's Ctrl-C, which may be none: shells have jobs behind them ignore it."""
        handler = handlers[number]
        if fallen.stopped or callable(handler):
            end_workers()
        if fallen.stopped:
            raise KeyboardInterrupt
        if callable(handler):
            handler(number, frame)

    threading.excepthook = hear
    handlers: dict[int, Any] = {}
    if in_main and signal.getsignal(signal.SIGINT) is not None:
        handlers[signal.SIGINT] = signal.getsignal(signal.SIGINT)
    if in_main and callable(signal.getsignal(signal.SIGTERM)):  # else it ends the process, or nothing
        handlers[signal.SIGTERM] = signal.getsignal(signal.SIGTERM)
    try:
        with ended_on_demand() as end_workers:
            for number in handlers:
                signal.signal(number, interrupt)
            yield fallen
    except KeyboardInterrupt:
        if not fallen.stopped:
            raise
        raise RuntimeError("a worker process died before it had begun") from None
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        threading.excepthook = before
        for timer in timers:
            timer.cancel()


def _doing(crumbs: Sequence[Crumb]) -> str:
    if not crumbs:
        return "neither reading, nor tokenizing, nor writing a shard"
    told = [f"{STEPS.get(crumb.step, crumb.step)} {crumb.place}" for crumb in crumbs]
    return " or ".join(told[:3]) + (f" or at one of {len(told) - 3} more places" if len(told) > 3 else "")


def _hint(crumbs: Sequence[Crumb]) -> str:
    if not any(crumb.step == TOKENIZING for crumb in crumbs):
        return ""
    return "; --set run.isolate=true gets past a row that kills its process"


def last_words(job: Job) -> str | None:
    """Says what an earlier attempt at the same run was at when its processes died, launcher and all.

    Args:
        job: The job.

    Returns:
        A sentence; None where there is nothing to tell.
    """
    if not is_local(job.run_folder):
        return None
    for name in sorted(list_subfolders(job.run_folder), reverse=True):
        crumbs = Breadcrumbs(f"{job.run_folder}/{name}/{FOLDER}").of_the_dead()
        if crumbs:
            hint = _hint(crumbs) if not job.config.run.isolate else ""
            return f"an attempt before this one died while it was {_doing(crumbs)}{hint}"
    return None
