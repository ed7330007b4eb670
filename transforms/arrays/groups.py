"""Groups: the rows of a shard are ordered, cut into batches and padded, and padded batches put together again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from transforms.arrays.errors import JobError
from transforms.arrays.identity import order, row_id_strings
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
    rows, ids = gather(parts)
    del parts  # they are copied, and may be files mapped into memory
    index = shape.layout.index(bucket)
    ordered = order(_struct(rows, "row_id"), shape.seed)
    per_batch = shape.layout.rows[index]
    if shape.layout.drop_remainder:
        ordered = ordered[: len(ordered) // per_batch * per_batch]
    widths = shape.layout.widths(ids.lengths[ordered], index)
    for start, stop in group_edges(widths, per_batch):
        taken = ordered[start:stop]
        yield pad_group(rows.take(pa.array(taken)), ids.take(taken), widths[start:stop], shape)


def gather(parts: Sequence[Any]) -> tuple[Any, Ragged]:
    """Puts rows one after the other.

    Args:
        parts: RecordBatches of rows, at least one.

    Returns:
        A table of the columns but `input_ids`; and these, gathered by numpy, whose offsets do not end at 2 GiB.

    Raises:
        JobError: The strings of a kept column end behind 2 GiB.
    """
    rows = pa.Table.from_batches([part.drop_columns(["input_ids"]) for part in parts]).combine_chunks()
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        if column.num_chunks > 1:
            raise JobError(f"read.keep: the strings of {name!r} in one shard take more than 2 GiB; raise write.shards")
    return rows, Ragged.concatenate([Ragged.from_arrow(part.column("input_ids")) for part in parts])


def group_edges(widths: NDArray[np.int64], per_batch: int, before: int = 0) -> Iterator[tuple[int, int]]:
    """Cuts rows into runs of whole batches with about `GROUP_CELLS` cells.

    Args:
        widths: Cells of each row, int64 [rows].
        per_batch: Rows of a batch.
        before: Cells of the rows of the same file that came before these.

    Yields:
        Where each run begins and ends.

    >>> list(group_edges(np.full(5, GROUP_CELLS // 2), 2))
    [(0, 2), (2, 4), (4, 5)]
    """
    if not len(widths):
        return
    starts = np.arange(0, len(widths), per_batch)
    cells = before + np.cumsum(np.add.reduceat(widths, starts))
    group = np.maximum(cells - 1, 0) // GROUP_CELLS  # the group in which each batch ends
    first = starts[np.flatnonzero(np.diff(group, prepend=-1))]
    yield from zip(first.tolist(), [*first[1:].tolist(), len(widths)], strict=True)


def pad_group(rows: Any, ids: Ragged, widths: NDArray[np.int64], shape: Shape) -> Group:
    """Pads whole batches.

    Args:
        rows: A table of their rows without `input_ids`.
        ids: Their ids.
        widths: How wide each row becomes, int64 [rows].
        shape: How they are made.

    Returns:
        The group.
    """
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
    for start, stop in group_edges(widths, rows_per_batch):
        batch = table.slice(start, stop - start).combine_chunks().to_batches()[0]
        yield Group(batch, widths[start:stop], lengths[start:stop], dropped[start:stop])
