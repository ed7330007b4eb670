"""WriteInOrder: each unit of work goes through all steps at once and into shards of its own, without a shuffle."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import TaggedOutput

import transforms.coders  # noqa: F401 - registers the coder that batches need
from transforms.arrays.formats import Writing
from transforms.arrays.in_order import Waiting, deal_in_order
from transforms.arrays.shape import Shape
from transforms.arrays.shards import Shard
from transforms.step import COUNTS, DEAD, Counts
from transforms.write import FileRecord, ShardWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transforms.progress import Progress
    from transforms.read import ReadCorpus
    from transforms.step import Step
    from transforms.units import Place, Unit


class Written(NamedTuple):
    """What WriteInOrder gives.

    Attributes:
        shards: PCollection of dicts, one for each shard, as WriteShards gives them.
        dead_letters: PCollection of RecordBatches of `dead_letters.SCHEMA`.
        counts: PCollection of dicts of numbers, to be added up.
    """

    shards: Any
    dead_letters: Any
    counts: Any


class WriteInOrder(beam.PTransform):
    """Reads, prepares and writes a corpus in the order of its rows.

    Input: the pipeline itself. Output: `Written`. Shards are numbered by the unit of work that their rows come from.

    A unit goes through all steps in one call. So its rows keep their order, its end is known, and a retry begins it
    anew, on any runner: between two steps of a pipeline, runners may divide, mix and store the batches.

    Args:
        read: Gives the units, and reads them.
        steps: From batches to batches, from what `read` gives to what BucketByLength takes.
        writing: Formats and codecs; files go below its `path`.
        shape: How batches are made; shards are as many as units, whatever it says.
        progress: Where to note what has been written; None for nowhere.
    """

    def __init__(
        self, read: ReadCorpus, steps: Sequence[Step], writing: Writing, shape: Shape, progress: Progress | None = None
    ) -> None:
        super().__init__()
        self._read = read
        self._steps = tuple(steps)
        self._writing = writing
        self._shape = shape
        self._progress = progress

    def expand(self, pipeline: Any) -> Any:
        """Divides the inputs, spreads the units over the workers, and writes the shards of each."""
        numbered = list(enumerate(self._read.units()))
        units = pipeline | "Splits" >> beam.Create(numbered) | "Spread" >> beam.Reshuffle()
        shape = replace(self._shape, shards=max(1, len(numbered)))
        dofns = [step.dofn() for step in (self._read, *self._steps)]
        write = beam.ParDo(_WriteUnit(dofns, self._writing, shape, self._progress))
        typed = write.with_output_types(FileRecord, **{DEAD: pa.RecordBatch, COUNTS: Counts})
        outputs = units | "Write" >> typed.with_outputs(DEAD, COUNTS, main="shards")
        return Written(outputs.shards, outputs[DEAD], outputs[COUNTS])


class _WriteUnit(beam.DoFn):
    def __init__(self, dofns: list[beam.DoFn], writing: Writing, shape: Shape, progress: Progress | None) -> None:
        self._dofns = dofns
        self._writing = writing
        self._shape = shape
        self._progress = progress

    def setup(self) -> None:
        """Readies the steps, once a worker."""
        for dofn in self._dofns:
            dofn.setup()

    def teardown(self) -> None:
        """Lets the steps clear up."""
        for dofn in self._dofns:
            dofn.teardown()

    def process(self, element: tuple[int, Unit | Place]) -> Iterator[Any]:
        """Writes the shards of one unit; they appear together, when the last row has come."""
        number, unit = element
        with ExitStack() as stack:
            shards = UnitWriter(number, self._writing, self._shape, stack)
            for output in _through(self._dofns, unit):
                if isinstance(output, TaggedOutput):
                    yield output
                else:
                    shards.write(output)
            records = shards.close()
        if self._progress is not None:
            files = sum(len(record["files"]) for record in records)
            self._progress.note(files=files, written=sum(record["counts"]["rows_written"] for record in records))
        yield from records


def _through(dofns: Sequence[beam.DoFn], element: Any) -> Iterator[Any]:
    """Sends an element through DoFns, one output after the other; what is tagged leaves at once."""
    if not dofns:
        yield element
        return
    for output in dofns[0].process(element):
        if isinstance(output, TaggedOutput):
            yield output
        else:
            yield from _through(dofns[1:], output)


class UnitWriter:
    """Writes the shards of one unit of work while its rows come.

    In memory are, for each split and bucket, the rows that wait for their row group: however large a unit is.

    Args:
        number: The unit's.
        writing: Formats and codecs; files go below its `path`.
        shape: How batches are made; its `shards` is the number of units.
        stack: The files appear under their names when this is left without an error.
    """

    def __init__(self, number: int, writing: Writing, shape: Shape, stack: ExitStack) -> None:
        self._number = number
        self._writing = writing
        self._shape = shape
        self._stack = stack
        self._rows: dict[str, int] = {}  # that came, by stem
        self._open: dict[str, tuple[Waiting, ShardWriter]] = {}

    def write(self, batch: Any) -> None:
        """Takes rows in, and writes those that make whole row groups.

        Args:
            batch: A RecordBatch as Truncate gives them; its rows come after all before.
        """
        for stem, rows in deal_in_order(batch, self._shape, self._number):
            if stem not in self._open:
                writer = ShardWriter(stem, self._writing, self._shape, self._stack)
                self._open[stem] = (Waiting(Shard.parse(stem).bucket, self._shape), writer)
            waiting, writer = self._open[stem]
            self._rows[stem] = self._rows.get(stem, 0) + rows.num_rows
            for group in waiting.add(rows):
                writer.write(group)

    def close(self) -> list[FileRecord]:
        """Writes the rows that are left, and ends the files.

        Returns:
            What was written, a dict for each shard.
        """
        records = []
        for stem, (waiting, writer) in sorted(self._open.items()):
            for group in waiting.end():
                writer.write(group)
            writer.close()
            record = writer.record()
            record["counts"]["dropped.remainder"] = self._rows[stem] - record["counts"]["rows_written"]
            records.append(record)
        return records
