"""GroupShards: the rows of a shard come together, through the runner or through files on a shared disk."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from transforms.coders import RecordBatchCoder
from transforms.filesystems.system import disk_told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SPILL_BYTES = 64 << 20  # of rows waiting in a worker before they go to a file

# Where spilled rows are: a file, the first byte, and how many.
Spilled = tuple[str, int, int]


class GroupShards(beam.PTransform):
    """Brings the rows of each shard together.

    Input: (stem, RecordBatch) pairs. Output: (stem, parts) pairs; `load` turns the parts into RecordBatches.

    Args:
        spill_dir: A folder that all workers see, to which rows go while only references pass through the
            runner: memory stays flat however large the corpus is. None to let the runner carry the rows.
            Whoever gives it deletes it when the pipeline has ended: a retried step leaves files there that
            nothing refers to.
    """

    def __init__(self, spill_dir: str | None = None) -> None:
        super().__init__()
        self._spill_dir = spill_dir

    def expand(self, dealt: Any) -> Any:
        """Groups rows, or references to them."""
        if self._spill_dir is not None:
            dealt = dealt | "Spill" >> beam.ParDo(_Spill(self._spill_dir)).with_output_types(tuple[str, Spilled])
        return dealt | beam.GroupByKey()


class _Spill(beam.DoFn):
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._coder = RecordBatchCoder()
        self._waiting: dict[str, list[Any]] = {}
        self._bytes = 0

    def start_bundle(self) -> None:
        """Begins with nothing: rows of a bundle that failed are read again."""
        self._waiting, self._bytes = {}, 0

    def process(self, element: tuple[str, Any]) -> Iterator[tuple[str, Spilled]]:
        """Keeps rows until there are enough for a file."""
        stem, batch = element
        self._waiting.setdefault(stem, []).append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= SPILL_BYTES:
            yield from self._spill()

    def finish_bundle(self) -> Iterator[Any]:
        """Spills what is left."""
        window = GlobalWindow()
        for reference in self._spill():
            yield WindowedValue(reference, window.max_timestamp(), [window])

    def _spill(self) -> Iterator[tuple[str, Spilled]]:
        """Writes the waiting rows to one file, shard after shard."""
        if not self._waiting:
            return
        path = f"{self._folder}/{uuid.uuid4().hex}.arrow"
        references = []
        with disk_told(f"run.spill_dir: {self._folder}", "written"), _create(path) as file:
            for stem, batches in self._waiting.items():
                # Rows of several batches may name their files by dictionaries of their own.
                whole = batches[0] if len(batches) == 1 else _joined(batches)
                start = file.tell()
                self._coder.write(whole, file)
                references.append((stem, (path, start, file.tell() - start)))
        self._waiting, self._bytes = {}, 0
        yield from references


def _create(path: str) -> Any:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return pa.OSFile(path, "wb")


def _joined(batches: list[Any]) -> Any:
    (whole,) = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return whole


def load(parts: Iterable[Any]) -> list[Any]:
    """Turns what GroupShards gives for a shard into its rows.

    Args:
        parts: RecordBatches, or references to spilled ones.

    Returns:
        RecordBatches; spilled ones are views of their files.
    """
    coder = RecordBatchCoder()
    batches = []
    for part in parts:
        if isinstance(part, tuple):
            path, start, size = part
            with disk_told(f"run.spill_dir: {path}", "read"), pa.memory_map(path) as file:
                file.seek(start)
                batches.append(coder.decode(file.read_buffer(size)))
        else:
            batches.append(part)
    return batches
