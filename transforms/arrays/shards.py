"""Shards: which output file each row goes to, and what its name is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from transforms.arrays.adopt import with_identity, with_length
from transforms.arrays.groups import SHARD_KEY, is_padded
from transforms.arrays.identity import SHARD, choose_split, keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from transforms.arrays.shape import Shape


class Shard(NamedTuple):
    """One output file, whatever its format.

    Attributes:
        split: Its split's name.
        bucket: Its bucket's label: an edge, "all" or "over".
        number: Its number.
        shards: How many shards a bucket has.

    >>> Shard("train", 128, 3, 8).stem
    'train/bucket-00128/part-00003-of-00008'
    >>> Shard.parse("train/bucket-00128/part-00003-of-00008")
    Shard(split='train', bucket=128, number=3, shards=8)
    """

    split: str
    bucket: int | str
    number: int
    shards: int

    @property
    def stem(self) -> str:
        """Its path without a suffix."""
        bucket = self.bucket if isinstance(self.bucket, str) else f"{self.bucket:05}"
        return f"{self.split}/bucket-{bucket}/part-{self.number:05}-of-{self.shards:05}"

    @classmethod
    def parse(cls, stem: str) -> Shard:
        """Reads a stem back."""
        split, bucket, part = stem.rsplit("/", 2)
        label = bucket.removeprefix("bucket-")
        number, shards = part.removeprefix("part-").split("-of-")
        return cls(split, int(label) if label.isdigit() else label, int(number), int(shards))


def deal(batch: Any, shape: Shape) -> Iterator[tuple[str, Any]]:
    """Deals rows out to shards.

    Args:
        batch: Truncated rows: `input_ids`, `row_id`, `length` and kept columns; a row that has only its ids
            is taken for one that came from nowhere and lost nothing.
        shape: Buckets, shards and splits.

    Yields:
        A shard's stem and its rows, each shard once, in the order of stems' numbers.
    """
    if not batch.num_rows:
        return
    batch, classes = classify(batch, shape)
    shard = (keys(batch.column("row_id"), shape.seed, SHARD) % np.uint64(shape.shards)).astype(np.int64)
    number = classes * shape.shards + shard  # int64 [rows]
    by_shard = np.argsort(number, kind="stable")
    rows = batch.take(pa.array(by_shard))
    edges = np.flatnonzero(np.diff(number[by_shard], prepend=-1, append=-1))
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        of_class, index = divmod(int(number[by_shard[start]]), shape.shards)
        yield shard_of(of_class, index, shape).stem, rows.slice(start, stop - start)


def classify(batch: Any, shape: Shape) -> tuple[Any, NDArray[np.int64]]:
    """Says which split and bucket each row belongs to.

    Args:
        batch: Rows as `deal` takes them, at least one.
        shape: Buckets and splits.

    Returns:
        The batch with `row_id` and `length`, and the number of each row's class, int64 [rows]: `shard_of` names it.
    """
    batch = with_length(with_identity(batch), shape.template)
    buckets = shape.layout.bucket_of(np.diff(batch.column("input_ids").offsets.to_numpy()))
    split = choose_split(batch.column("row_id"), shape.seed, tuple(shape.splits.values()))
    return batch, split * len(shape.layout.rows) + buckets


def shard_of(of_class: int, number: int, shape: Shape) -> Shard:
    """Names a shard.

    Args:
        of_class: The number of its split and bucket, from `classify`.
        number: Its number among their shards.
        shape: Buckets, shards and splits.

    Returns:
        The shard.
    """
    split, bucket = divmod(of_class, len(shape.layout.rows))
    return Shard(list(shape.splits)[split], shape.layout.label(bucket), number, shape.shards)


def keyed(element: Any, shape: Shape) -> Iterator[tuple[str, Any]]:
    """Says which shard rows belong to, however they come.

    Args:
        element: A (stem, RecordBatch) pair, a padded RecordBatch, or a RecordBatch of rows.
        shape: For rows, which are dealt out.

    Yields:
        (stem, RecordBatch) pairs.
    """
    if isinstance(element, tuple):
        yield element
    elif is_padded(element):
        yield element.schema.metadata[SHARD_KEY].decode(), element
    else:
        yield from deal(element, shape)
