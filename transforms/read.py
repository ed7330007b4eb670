"""Read: files become batches of rows."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import apache_beam as beam
import pyarrow as pa

from transforms.arrays.errors import JobError
from transforms.arrays.readers import CODECS, DAMAGED, READERS, Columns, Reading, Rows, Source, columns_of
from transforms.files import open_binary
from transforms.inputs import Corpus, Split, find_corpus
from transforms.listed import check_as_listed
from transforms.step import Step, counts, dead
from transforms.units import Listed, Place, Unit, UnitList, load_unit, units_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transforms.breadcrumbs import Breadcrumbs
    from transforms.progress import Progress

SECONDS = 0.2  # between two notes of progress
BATCH_ROWS = 8192  # of a batch, at the most
BATCH_BYTES = 4 << 20  # of a batch's columns: thousands of rows, and small beside a worker's memory


class ReadCorpus(Step):
    """Reads a corpus into batches.

    Input: the pipeline itself. Output: RecordBatches of `row_id` (struct of file, position, window), the
    text columns as strings without nulls, and the kept columns.

    Args:
        reading: The section `read`.
        corpus: The inputs as they were frozen before; None to match the patterns now.
        progress: Where to note what has been read; None for nowhere.
        listed: The units of work, in a file that workers can read; None to divide the inputs now, and to send the
            units within the pipeline.
        breadcrumbs: Where to note which unit is being read; None for nowhere.
    """

    def __init__(
        self,
        reading: Reading,
        corpus: Corpus | None = None,
        progress: Progress | None = None,
        listed: UnitList | None = None,
        breadcrumbs: Breadcrumbs | None = None,
    ) -> None:
        super().__init__()
        self._reading = reading
        self._corpus = corpus if corpus is not None else find_corpus(reading)
        self._progress = progress
        self._listed = listed
        self._breadcrumbs = breadcrumbs

    def units(self) -> list[Unit] | list[Place]:
        """Divides the inputs.

        Returns:
            The units of work, of each format in the order of the inputs; or their places in the list of them.
        """
        return units_of(self._corpus, self._reading) if self._listed is None else list(self._listed.places)

    def dofn(self) -> beam.DoFn:
        """Reads each unit."""
        path = None if self._listed is None else self._listed.path
        return _Read(columns_of(self._reading, self._corpus.kept), self._progress, path, self._breadcrumbs)

    def expand(self, pipeline: Any) -> Any:
        """Divides the inputs, spreads the units over the workers, and reads each."""
        units = pipeline | "Splits" >> beam.Create(self.units()) | "Spread" >> beam.Reshuffle()
        return self.apply_dofn(units, self.dofn())


class _Read(beam.DoFn):
    def __init__(
        self, columns: Columns, progress: Progress | None, listed: str | None, breadcrumbs: Breadcrumbs | None
    ) -> None:
        self._columns = columns
        self._progress = progress
        self._listed = listed
        self._breadcrumbs = breadcrumbs

    def process(self, element: Unit | Place) -> Iterator[Any]:
        """Reads one unit; a batch may hold rows of several of its files."""
        unit = element if self._listed is None else load_unit(self._listed, cast("Place", element))
        split, known = cast("Unit", unit)
        if self._breadcrumbs is not None:
            self._breadcrumbs.at_unit(split.sources)
        meter = _Meter(self._progress, split.bytes)
        waiting: list[Any] = []
        read = dropped = waiting_rows = waiting_bytes = 0
        for source in split.sources:
            for rows in _as_listed(source.path, known[source.path], read_source(source, split, self._columns, meter)):
                read += rows.read
                dropped += rows.dropped_empty
                yield from dead(rows.dead)
                if not rows.batch.num_rows:
                    continue
                waiting.append(rows.batch)
                waiting_rows += rows.batch.num_rows
                waiting_bytes += rows.batch.nbytes
                if waiting_rows >= BATCH_ROWS or waiting_bytes >= BATCH_BYTES:
                    yield from _stack(waiting)
                    waiting, waiting_rows, waiting_bytes = [], 0, 0
        yield from _stack(waiting)
        yield from counts(rows_read=read, dropped__empty=dropped)
        meter.finish()
        if self._breadcrumbs is not None:
            self._breadcrumbs.past_unit()


def _as_listed(path: str, listed: Listed, reading: Iterator[Rows]) -> Iterator[Rows]:
    """Passes a file's rows on if the file is what was listed, before it is read and when all of it has been.

    A file that changes in between may look damaged, or whole: either way its change is what is told.
    """
    check_as_listed(path, *listed)
    try:
        yield from reading
    except Exception:
        check_as_listed(path, *listed)
        raise
    check_as_listed(path, *listed)


class _Meter:
    """Notes how much of a unit has been read: rows, and bytes on disk as the stream's place tells them."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._left = total  # bytes not noted yet
        self._place = 0
        self._rows = self._bytes = 0  # not noted yet
        self._noted = -math.inf  # the first note comes at once

    def start(self, place: int) -> None:
        """Begins a stretch at a place of its file."""
        self._place = place

    def moved(self, place: int, rows: int) -> None:
        """Takes in where the stream is; readers that jump about count when they jump forwards."""
        step = min(max(place - self._place, 0), self._left)
        self._place = max(place, self._place)
        self._left -= step
        self._bytes += step
        self._rows += rows
        if time.monotonic() - self._noted > SECONDS:
            self._note()

    def finish(self) -> None:
        """Notes what is left, so that the bytes of all units add up to those of the inputs."""
        self._bytes += self._left
        self._note()

    def _note(self) -> None:
        if self._progress is not None:
            self._progress.note(bytes=self._bytes, rows=self._rows)
        self._rows = self._bytes = 0
        self._noted = time.monotonic()


def read_source(source: Source, split: Split, columns: Columns, meter: _Meter | None = None) -> Iterator[Rows]:
    """Reads one stretch of a file.

    Args:
        source: The stretch.
        split: That it is of, for the format.
        columns: The columns to read.
        meter: Is told where the stream is.

    Yields:
        Rows, dead letters and counts.

    Raises:
        JobError: The file is damaged or cannot be read.
    """
    try:
        with open_binary(source.path) as raw:
            stream: BinaryIO = CODECS[split.format.codec](raw) if split.format.codec else raw
            if meter is not None:
                meter.start(source.start if split.format.codec is None else 0)
            for rows in READERS[split.format.reader].read(stream, source, columns):
                if meter is not None:
                    meter.moved(raw.tell(), rows.read)
                yield rows
    except DAMAGED as error:
        raise JobError(f"read.files: {source.path} cannot be read: {error}") from error


def _stack(batches: list[Any]) -> Iterator[Any]:
    """Joins batches, if there are any, and cuts what is more than `BATCH_ROWS` into even parts."""
    if len(batches) > 1:
        batches = pa.Table.from_batches(batches).combine_chunks().to_batches()
    for batch in batches:
        parts = math.ceil(batch.num_rows / BATCH_ROWS)
        size = math.ceil(batch.num_rows / max(parts, 1))
        yield from (batch.slice(i * size, size) for i in range(parts))
