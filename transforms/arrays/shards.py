"""Shards: rows are dealt out to them, ordered, cut into batches and padded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from transforms.arrays.adopt import with_identity, with_length
from transforms.arrays.identity import SHARD, choose_split, keys, order, row_id_strings
from transforms.arrays.pad import COLUMNS, pad_columns
from transforms.arrays.ragged import Ragged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from transforms.arrays.shape import Shape

GROUP_CELLS = 4 << 20  # cells of a row group: enough to encode well, and a few tens of MB in memory

INTERNAL = ("row_id", "input_ids", "length")  # columns of rows on their way; all others are kept columns

# Where in the schema of a padded batch stands which shard it is of, the how-manieth batch of it, and what a shard's
# counts need to know of its rows.
SHARD_KEY, BATCH_KEY, ROWS_KEY = b"oblong.shard", b"oblong.batch", b"oblong.rows"


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
    batch = with_length(with_identity(batch), shape.template)
    row_id = batch.column("row_id")
    buckets = shape.layout.bucket_of(np.diff(batch.column("input_ids").offsets.to_numpy()))
    shard = (keys(row_id, shape.seed, SHARD) % np.uint64(shape.shards)).astype(np.int64)
    split = choose_split(row_id, shape.seed, tuple(shape.splits.values()))
    number = (split * len(shape.layout.rows) + buckets) * shape.shards + shard  # int64 [rows]
    by_shard = np.argsort(number, kind="stable")
    rows = batch.take(pa.array(by_shard))
    edges = np.flatnonzero(np.diff(number[by_shard], prepend=-1, append=-1))
    names = list(shape.splits)
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        of_split, rest = divmod(int(number[by_shard[start]]), len(shape.layout.rows) * shape.shards)
        bucket, index = divmod(rest, shape.shards)
        label = shape.layout.label(bucket)
        yield Shard(names[of_split], label, index, shape.shards).stem, rows.slice(start, stop - start)


class Group(NamedTuple):
    """Whole batches of one shard, padded.

    Attributes:
        columns: A RecordBatch: kept columns, then those of `Shape.columns`.
        widths: How wide each row is, int64 [rows].
        lengths: How many real tokens each row has, int64 [rows].
        dropped: How many content tokens each row lost, int64 [rows].
    """

    columns: Any
    widths: NDArray[np.int64]
    lengths: NDArray[np.int64]
    dropped: NDArray[np.int64]


def pad_shard(parts: Sequence[Any], bucket: int | str, shape: Shape) -> Iterator[Group]:
    """Orders a shard's rows, cuts them into batches and pads these, some batches at a time.

    Args:
        parts: Its rows in any order and any number of RecordBatches.
        bucket: Its bucket's label.
        shape: How batches are made.

    Yields:
        Whole batches, of about `GROUP_CELLS` cells; the last batch of all may be smaller, and is left out
        where the layout drops remainders.
    """
    if not parts:
        return
    # The ids are gathered by numpy alone, whose offsets do not end at 2 GiB.
    rows = pa.Table.from_batches([part.drop_columns(["input_ids"]) for part in parts]).combine_chunks()
    index = shape.layout.index(bucket)
    ids = Ragged.concatenate([Ragged.from_arrow(part.column("input_ids")) for part in parts])
    ordered = order(_struct(rows, "row_id"), shape.seed)
    per_batch = shape.layout.rows[index]
    if shape.layout.drop_remainder:
        ordered = ordered[: len(ordered) // per_batch * per_batch]
    widths = shape.layout.widths(ids.lengths[ordered], index)
    for start, stop in _group_edges(widths, per_batch):
        taken = ordered[start:stop]
        yield _pad_group(rows.take(pa.array(taken)), ids.take(taken), widths[start:stop], shape)


def _group_edges(widths: NDArray[np.int64], per_batch: int) -> Iterator[tuple[int, int]]:
    """Cuts rows into runs of whole batches with about `GROUP_CELLS` cells."""
    if not len(widths):
        return
    starts = np.arange(0, len(widths), per_batch)
    cells = np.cumsum(np.add.reduceat(widths, starts))
    group = np.maximum(cells - 1, 0) // GROUP_CELLS  # the group in which each batch ends
    first = starts[np.flatnonzero(np.diff(group, prepend=-1))]
    yield from zip(first.tolist(), [*first[1:].tolist(), len(widths)], strict=True)


def _pad_group(rows: Any, ids: Ragged, widths: NDArray[np.int64], shape: Shape) -> Group:
    contents, dropped = _lengths(_struct(rows, "length"))
    cells = tuple(column for column in shape.columns if column in COLUMNS)
    padded = pad_columns(ids, contents, widths, shape.template, shape.values, cells)
    columns = {name: rows.column(name).combine_chunks() for name in rows.column_names if name not in INTERNAL}
    row_id = _struct(rows, "row_id")
    for name in shape.columns:
        if name == "length":
            columns[name] = pa.array(ids.lengths.astype(np.int32))
        elif name == "row_id":
            columns[name] = row_id_strings(row_id, windows=shape.truncation.overflow)
        else:
            columns[name] = padded[name].to_arrow()
    return Group(
        columns=pa.RecordBatch.from_arrays([_whole(c) for c in columns.values()], names=list(columns)),
        widths=widths,
        lengths=ids.lengths,
        dropped=dropped,
    )


def _lengths(length: Any) -> tuple[tuple[NDArray[np.int64], ...], NDArray[np.int64]]:
    """Takes the column `length` of rows on their way apart: content tokens of each text, tokens dropped."""
    *contents, dropped = (column.to_numpy().astype(np.int64) for column in length.flatten())
    return tuple(contents), dropped


def _whole(array: Any) -> Any:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _struct(rows: Any, name: str) -> Any:
    """Takes a struct column of a table as one array."""
    return _whole(rows.column(name))


def split_batches(group: Group, stem: str, rows: int, first: int) -> Iterator[Any]:
    """Cuts a group into its batches, and notes in the schema of each where it belongs.

    Args:
        group: Whole batches.
        stem: Their shard's.
        rows: Of a batch.
        first: How many batches of the shard came before.

    Yields:
        A RecordBatch for each batch.
    """
    for number, start in enumerate(range(0, group.columns.num_rows, rows), first):
        part = slice(start, start + rows)
        numbers = {name: getattr(group, name)[part].tolist() for name in ("widths", "lengths", "dropped")}
        place = {SHARD_KEY: stem, BATCH_KEY: str(number), ROWS_KEY: json.dumps(numbers)}
        yield group.columns.slice(start, rows).replace_schema_metadata(place)


def is_padded(batch: Any) -> bool:
    """Whether a batch is a rectangle already."""
    return BATCH_KEY in (batch.schema.metadata or {})


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


def regroup(parts: Sequence[Any], rows_per_batch: int) -> Iterator[Group]:
    """Puts the padded batches of a shard together as `pad_shard` would have given them.

    Args:
        parts: The batches, in any order.
        rows_per_batch: Of all but the last.

    Yields:
        Groups of whole batches.
    """
    ordered = sorted(parts, key=lambda part: int(part.schema.metadata[BATCH_KEY]))
    table = pa.Table.from_batches([part.replace_schema_metadata(None) for part in ordered]).combine_chunks()
    noted = [json.loads(part.schema.metadata[ROWS_KEY]) for part in ordered]
    widths, lengths, dropped = (
        np.array([number for rows in noted for number in rows[name]], np.int64)
        for name in ("widths", "lengths", "dropped")
    )  # int64 [rows] each
    for start, stop in _group_edges(widths, rows_per_batch):
        batch = table.slice(start, stop - start).combine_chunks().to_batches()[0]
        yield Group(batch, widths[start:stop], lengths[start:stop], dropped[start:stop])
