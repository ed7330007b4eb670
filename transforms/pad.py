"""Pad: the rows of a shard become batches, and batches rectangles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pyarrow as pa

import transforms.coders  # noqa: F401 - registers the coder that batches need
from transforms.arrays.groups import pad_shard, split_batches
from transforms.arrays.shape import Shape
from transforms.arrays.shards import Shard, keyed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Pad(beam.PTransform):
    """Groups rows by shard, orders them, cuts them into batches and pads these.

    Input: (stem, RecordBatch) pairs as BucketByLength gives them, or plain RecordBatches of rows, which are
    dealt out first. Output: RecordBatches, one for each padded batch: the kept columns, then the columns of
    the shape; all rows equally wide, unless padding is off or a row exceeds a fixed width.

    Args:
        shape: How batches are made.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._shape = shape

    def expand(self, rows: Any) -> Any:
        """Groups and pads."""
        dealt = rows | beam.ParDo(keyed, self._shape).with_output_types(tuple[str, pa.RecordBatch])
        grouped = dealt | beam.GroupByKey()
        return grouped | beam.ParDo(_Pad(self._shape)).with_output_types(pa.RecordBatch)


class _Pad(beam.DoFn):
    def __init__(self, shape: Shape) -> None:
        self._shape = shape

    def process(self, shard: tuple[str, Iterable[Any]]) -> Iterator[Any]:
        """Pads the batches of one shard."""
        stem, parts = shard
        bucket = Shard.parse(stem).bucket
        rows = self._shape.layout.rows[self._shape.layout.index(bucket)]
        number = 0
        for group in pad_shard(list(parts), bucket, self._shape):
            yield from split_batches(group, stem, rows, number)
            number += -(-group.columns.num_rows // rows)
