"""Read: files become batches of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import apache_beam as beam
import pyarrow as pa

from transforms.arrays.errors import JobError
from transforms.arrays.readers import CODECS, DAMAGED, READERS, Columns, Reading, Rows, Source, columns_of
from transforms.files import check_readable, open_binary
from transforms.inputs import Corpus, Split, divide, find_corpus
from transforms.step import Step, counts, dead

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transforms.progress import Progress

BATCH_ROWS = 8192
BATCH_BYTES = 4 << 20  # of a batch's columns: thousands of rows, and small beside a worker's memory


class ReadCorpus(Step):
    """Reads a corpus into batches.

    Input: the pipeline itself. Output: RecordBatches of `row_id` (struct of file, position, window), the
    text columns as strings without nulls, and the kept columns.

    Args:
        reading: The section `read`.
        corpus: The inputs as they were frozen before; None to match the patterns now.
        progress: Where to note what has been read; None for nowhere.
    """

    def __init__(self, reading: Reading, corpus: Corpus | None = None, progress: Progress | None = None) -> None:
        super().__init__()
        self._reading = reading
        self._corpus = corpus if corpus is not None else find_corpus(reading)
        self._progress = progress

    def expand(self, pipeline: Any) -> Any:
        """Divides the inputs, spreads the units over the workers, and reads each."""
        sizes = {file.path: file.bytes for file in self._corpus.files}
        splits = [
            (split, {source.path: sizes[source.path] for source in split.sources})
            for split in divide(self._corpus, self._reading)
        ]
        units = pipeline | "Splits" >> beam.Create(splits) | "Spread" >> beam.Reshuffle()
        columns = columns_of(self._reading, self._corpus.kept)
        return self.apply_dofn(units, _Read(columns, self._progress))


class _Read(beam.DoFn):
    def __init__(self, columns: Columns, progress: Progress | None) -> None:
        self._columns = columns
        self._progress = progress

    def process(self, unit: tuple[Split, dict[str, int]]) -> Iterator[Any]:
        """Reads one unit; a batch may hold rows of several of its files."""
        split, sizes = unit
        waiting: list[Any] = []
        read = dropped = waiting_rows = waiting_bytes = 0
        for source in split.sources:
            check_readable(source.path, sizes[source.path])
            for rows in read_source(source, split, self._columns):
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
        if self._progress is not None:
            self._progress.note(bytes=split.bytes, rows=read)


def read_source(source: Source, split: Split, columns: Columns) -> Iterator[Rows]:
    """Reads one stretch of a file.

    Args:
        source: The stretch.
        split: That it is of, for the format.
        columns: The columns to read.

    Yields:
        Rows, dead letters and counts.

    Raises:
        JobError: The file is damaged or cannot be read.
    """
    try:
        with open_binary(source.path) as raw:
            stream: BinaryIO = CODECS[split.format.codec](raw) if split.format.codec else raw
            yield from READERS[split.format.reader].read(stream, source, columns)
    except DAMAGED as error:
        raise JobError(f"read.files: {source.path} cannot be read: {error}") from error


def _stack(batches: list[Any]) -> Iterator[Any]:
    """Joins batches into one, if there are any."""
    if len(batches) == 1:
        yield batches[0]
    elif batches:
        yield from pa.Table.from_batches(batches).combine_chunks().to_batches()
