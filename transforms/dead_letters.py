"""WriteDeadLetters: rows that could not be used, as JSON Lines with reason and place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from transforms.arrays.checksummed import Checksummed
from transforms.arrays.dead_letters import to_json_lines
from transforms.arrays.identity import SHARD, keys, row_ids
from transforms.files import publish
from transforms.step import Counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FOLDER = "dead_letters"

SORTED_BY = [(name, "ascending") for name in ("file", "position", "reason", "message")]


def count_reasons(batch: Any) -> Counts:
    """Counts dead letters by reason.

    Args:
        batch: A RecordBatch of `dead_letters.SCHEMA`.

    Returns:
        Numbers by `dead_letters.<reason>`.
    """
    pairs = batch.column("reason").value_counts().to_pylist()
    return {f"dead_letters.{pair['values']}": pair["counts"] for pair in pairs}


class WriteDeadLetters(beam.PTransform):
    """Writes dead letters, in the order of their places.

    Input: RecordBatches of `dead_letters.SCHEMA`. Output: a dict for each file: path, rows, bytes, crc32c.

    Args:
        path: Files go to `dead_letters/` below it.
        parts: The number of files at the most.
    """

    def __init__(self, path: str, parts: int = 1) -> None:
        super().__init__()
        self._path = path
        self._parts = parts

    def expand(self, batches: Any) -> Any:
        """Groups dead letters by file and writes them."""
        dealt = batches | beam.ParDo(_Deal(self._parts)).with_output_types(tuple[int, pa.RecordBatch])
        grouped = dealt | beam.GroupByKey()
        return grouped | beam.ParDo(_Write(self._path, self._parts)).with_output_types(dict[str, Any])


class _Deal(beam.DoFn):
    def __init__(self, parts: int) -> None:
        self._parts = parts

    def process(self, batch: Any) -> Iterator[tuple[int, Any]]:
        """Deals one batch out to files."""
        place = row_ids(batch.column("file").dictionary_encode(), batch.column("position").to_numpy())
        part = keys(place, 0, SHARD) % np.uint64(self._parts)
        for number in np.unique(part).tolist():
            yield number, batch.filter(pa.array(part == number))


class _Write(beam.DoFn):
    def __init__(self, path: str, parts: int) -> None:
        self._path = path
        self._parts = parts

    def process(self, part: tuple[int, Iterable[Any]]) -> Iterator[dict[str, Any]]:
        """Writes one file."""
        number, batches = part
        rows = pa.Table.from_batches(list(batches)).sort_by(SORTED_BY)
        path = f"{FOLDER}/part-{number:05}-of-{self._parts:05}.jsonl"
        with publish(f"{self._path}/{path}", f"{self._path}.tmp") as stream:
            sink = Checksummed(stream)
            for batch in rows.to_batches():
                sink.write(b"".join(to_json_lines(batch)))
        yield {"path": path, "rows": rows.num_rows, "bytes": sink.bytes, "crc32c": sink.crc32c}
