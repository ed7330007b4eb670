"""Who takes part: one file each, and one line in `CONTESTANTS`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.contestants import oblong

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.job import Job

FORMATS = ("parquet", "tfrecord")
NO_OUTPUT = "none"
CALLS = "calls.json"  # in the scratch folder: seconds of encode calls alone

ROOT = Path(__file__).resolve().parent.parent.parent


class Contestant(NamedTuple):
    """One way to do the work.

    Attributes:
        title: For tables.
        module: Its file here. A module with `run(job) -> seconds | None` is run in a process of its own; what it
            returns is the time of its encode calls alone.
        formats: What it writes; `("none",)` throws its output away.
        needs: Packages that have to be there, as they are imported.
        workers: How many it is given; None: what it takes by itself.
        kinds: Tokenizers that it takes; none: all of them.
        slow: Whether it is timed on a part of large corpora.
        side: Whether it is a variation, run at one size only.
        command: What starts it instead of `run`.
    """

    title: str
    module: str
    formats: tuple[str, ...] = ("parquet",)
    needs: tuple[str, ...] = ()
    workers: int | None = None
    kinds: tuple[str, ...] = ()
    slow: bool = True
    side: bool = False
    command: Callable[[Job], list[str]] | None = None

    @property
    def bare(self) -> bool:
        """Whether it only encodes: then the encode calls alone are timed, else the whole process."""
        return self.formats == (NO_OUTPUT,)

    def missing(self) -> list[str]:
        """Packages that it needs and that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


def start_command(name: str, job: Job, job_file: Path) -> list[str]:
    """What starts a contestant on a job.

    Args:
        name: A key of `CONTESTANTS`.
        job: The job.
        job_file: Where it is saved.

    Returns:
        Program and arguments.
    """
    command = CONTESTANTS[name].command
    return command(job) if command else [sys.executable, "-m", "benchmarks.contestants", name, str(job_file)]


CONTESTANTS: dict[str, Contestant] = {
    "oblong": Contestant("Oblong", "oblong", FORMATS, slow=False, command=oblong.command),
    "oblong-1": Contestant("Oblong, one worker", "oblong", workers=1, slow=False, side=True, command=oblong.command),
    "oblong-2": Contestant("Oblong, two workers", "oblong", workers=2, slow=False, side=True, command=oblong.command),
    "beam": Contestant("Beam, a row at a time", "beam_rows", FORMATS, ("tensorflow",)),
    "beam-2": Contestant("Beam, a row at a time, GroupByKey in two processes", "beam_rows", workers=2),
    "datasets": Contestant("datasets.map, threads of tokenizers", "hf_datasets", needs=("datasets",)),
    "datasets-2": Contestant("datasets.map, num_proc=2", "hf_datasets", needs=("datasets",), workers=2),
    "tokenizers": Contestant("bare tokenizers", "bare_tokenizers", (NO_OUTPUT,)),
    "gigatoken": Contestant("bare gigatoken", "bare_gigatoken", (NO_OUTPUT,), ("gigatoken", "awkward"), kinds=("bpe",)),
}
