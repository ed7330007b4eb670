"""Breadcrumbs: what each worker is at, kept where it can be read after its process has died."""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import threading
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from transforms.arrays.identity import ROW_ID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transforms.arrays.readers import Source

READING, TOKENIZING, BEHIND, WRITING = "reading", "tokenizing", "behind", "writing"


class Crumb(NamedTuple):
    """What a worker was at.

    Attributes:
        step: `READING`, `TOKENIZING`, `BEHIND`: in a step behind tokenizing, or `WRITING`.
        place: The unit of work, the batch in it and the batch's rows, as far as they are known, or the shard; for a
            person.
    """

    step: str
    place: str


@dataclass(frozen=True)
class Breadcrumbs:
    """Notes of what many workers are at, each thread's in a file of its own that it holds locked while it lives.

    A note costs one write of a line, and is in the system's hands when the worker dies. It must not stop a job: where
    none can be written, there is none.

    Attributes:
        folder: On a disk that the launcher and its workers share; it has to be there.
    """

    folder: str

    def at_unit(self, sources: Sequence[Source]) -> None:
        """Notes that a unit of work is being read.

        Args:
            sources: The stretches of files that it is made of.
        """
        trail = self._trail()
        trail.unit, trail.batches = place_of_unit(sources), 0
        trail.write(READING, trail.unit)

    def at_batch(self, batch: Any) -> None:
        """Notes that a batch is being tokenized.

        Args:
            batch: A RecordBatch, with `row_id` or without.
        """
        trail = self._trail()
        trail.batches += 1
        trail.write(TOKENIZING, f"batch {trail.batches} of {trail.unit or 'a unit of work'}: {place_of_rows(batch)}")

    def past_batch(self) -> None:
        """Notes that the batch is through, and in steps behind."""
        trail = self._trail()
        trail.write(BEHIND, f"batch {trail.batches} of {trail.unit or 'a unit of work'}")

    def past_unit(self) -> None:
        """Notes that the unit of work is through."""
        trail = self._trail()
        trail.unit, trail.batches = "", 0
        trail.erase()

    def at_shard(self, stem: str) -> None:
        """Notes that a shard is being written.

        Args:
            stem: Its path without suffix.
        """
        self._trail().write(WRITING, stem)

    def past_shard(self) -> None:
        """Notes that the shard is written."""
        self._trail().erase()

    def of_the_dead(self) -> list[Crumb]:
        """Reads what workers were at whose processes have died.

        Returns:
            Their last notes, in an order that is the same each time.
        """
        found = set()
        for path in sorted(Path(self.folder).glob("*.at")):
            with suppress(OSError, ValueError, TypeError), path.open("r+b") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while its worker lives
                line = stream.readline()
                if line.strip():
                    found.add(Crumb(*map(str, json.loads(line))))
        return sorted(found)

    def _trail(self) -> _Trail:
        trail = getattr(_HERE, "trail", None)
        if trail is None or trail.folder != self.folder:
            trail = _HERE.trail = _Trail(self.folder)
        return trail


class _Trail:
    """The file of one thread."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.unit = ""
        self.batches = 0  # of the unit, begun so far
        self._file: int | None = None
        path = Path(folder) / f"{os.getpid()}-{threading.get_ident()}.at"
        with suppress(OSError):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _TRAILS.add(self)

    def write(self, step: str, place: str) -> None:
        """Writes the line over the one before; what is left of that stands behind, and is not read."""
        self._put(json.dumps([step, place]).encode() + b"\n")

    def erase(self) -> None:
        """Leaves an empty line."""
        self._put(b"\n")

    def _put(self, line: bytes) -> None:
        if self._file is not None:
            with suppress(OSError):
                os.pwrite(self._file, line, 0)

    def end(self) -> None:
        """Leaves nothing to read: the thread has ended, or the process ends of itself."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                os.pwrite(file, b"\n", 0)
            os.close(file)

    def __del__(self) -> None:
        """Ends with its thread."""
        self.end()


def place_of_unit(sources: Sequence[Source]) -> str:
    """Says which stretches of files a unit of work is made of.

    Args:
        sources: The stretches, one or more.

    Returns:
        The first, and how many more there are.
    """
    first, more = sources[0], len(sources) - 1
    groups = first.path.rpartition(".")[2] == "parquet"
    unit = "row groups" if groups else "bytes"
    stretch = f", {unit} {first.start} to {'the end' if first.stop is None else first.stop}"
    whole = first.start == 0 and first.stop is None
    others = f" and {more} more {'file' if more == 1 else 'files'}" if more else ""
    return f"{_name(first.path)}{'' if whole else stretch}{others}"


def place_of_rows(batch: Any) -> str:
    """Says which rows a batch holds.

    Args:
        batch: A RecordBatch of one row or more, with `row_id` or without.

    Returns:
        How many, and the first and the last by file and position.
    """
    count = f"{batch.num_rows:,} rows"
    if "row_id" not in batch.schema.names or batch.schema.field("row_id").type != ROW_ID or not batch.num_rows:
        return count
    places = batch.column("row_id")
    first, last = places[0].as_py(), places[batch.num_rows - 1].as_py()
    return f"{count}, {_name(first['file'])}#{first['position']} to {_name(last['file'])}#{last['position']}"


def _name(path: str) -> str:
    """A path as a message may show it: on one line."""
    return path if path.isprintable() else repr(path)


@atexit.register
def _end_trails() -> None:
    """A process that ends of itself, even in the middle of a batch, did not die of it."""
    for trail in list(_TRAILS):
        trail.end()


# The trail of each thread, and those of the process.
_HERE = threading.local()
_TRAILS: weakref.WeakSet[_Trail] = weakref.WeakSet()
