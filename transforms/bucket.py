"""BucketByLength: rows are dealt out to the shards of their length class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pyarrow as pa

import transforms.coders  # noqa: F401 - registers the coder that batches need
from transforms.arrays.shape import Shape
from transforms.arrays.shards import deal

if TYPE_CHECKING:
    from collections.abc import Iterator


class BucketByLength(beam.PTransform):
    """Deals rows out to shards.

    Input: RecordBatches as Truncate gives them. Output: (stem, RecordBatch) pairs: a shard's path without
    suffix, such as `train/bucket-00128/part-00003-of-00008`, and rows of it.

    Args:
        shape: Buckets, shards, splits and seed.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._shape = shape

    def expand(self, batches: Any) -> Any:
        """Deals each batch out."""
        return batches | beam.ParDo(_Deal(self._shape)).with_output_types(tuple[str, pa.RecordBatch])


class _Deal(beam.DoFn):
    def __init__(self, shape: Shape) -> None:
        self._shape = shape

    def process(self, batch: Any) -> Iterator[tuple[str, Any]]:
        """Deals one batch out."""
        yield from deal(batch, self._shape)
