"""In order: the rows of a unit of work keep the order of the inputs, and only some of them wait in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.arrays.groups import INTERNAL, gather, group_edges, pad_group
from transforms.arrays.ragged import Ragged
from transforms.arrays.shards import classify, shard_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from transforms.arrays.groups import Group
    from transforms.arrays.shape import Shape

PARTS = 64  # that may wait for one shard: a few rows take as much room as some hundred as a part of their own


def deal_in_order(batch: Any, shape: Shape, number: int) -> Iterator[tuple[str, Any]]:
    """Deals the rows of a unit of work out to its own shards.

    Args:
        batch: Rows as `deal` takes them.
        shape: Buckets, shards and splits.
        number: The unit's, and that of its shards.

    Yields:
        A shard's stem and its rows in their order, each shard once. The rows are copies: those of a rare bucket
        may wait for long, and must not keep all the others that came with them.
    """
    if not batch.num_rows:
        return
    batch, classes = classify(batch, shape)
    for of_class in np.unique(classes).tolist():
        rows = batch.take(pa.array(np.flatnonzero(classes == of_class)))
        yield shard_of(of_class, number, shape).stem, rows


class Waiting:
    """The rows of one shard that wait, in their order, until they make a row group.

    However many rows come, those that wait have at most `GROUP_CELLS` cells and those of a batch more, beside the
    rows that came last. Groups are those that `pad_shard` would cut from rows in this order: they do not depend on
    how the rows were divided when they came. Kept strings count as cells too, four bytes one, so that long ones
    cannot fill the memory while short ids wait.

    Args:
        bucket: The shard's bucket's label.
        shape: How batches are made.
    """

    def __init__(self, bucket: int | str, shape: Shape) -> None:
        self._shape = shape
        self._index = shape.layout.index(bucket)
        self._per_batch = shape.layout.rows[self._index]
        self._parts: list[Any] = []
        self._lengths = np.zeros(0, np.int64)  # int64 [rows that wait]: tokens of each
        self._kept = np.zeros(0, np.int64)  # int64 [rows that wait]: cells that its kept strings count as
        self._gone = 0  # cells of the rows that have left

    @property
    def cells(self) -> int:
        """How many cells wait, before padding."""
        return int(self._lengths.sum() + self._kept.sum())

    def add(self, rows: Any) -> Iterator[Group]:
        """Takes rows in.

        Args:
            rows: A RecordBatch; its rows come after those that wait.

        Yields:
            The groups that are complete now.
        """
        self._parts.append(rows)
        self._lengths = np.concatenate((self._lengths, rows.column("input_ids").value_lengths().to_numpy()))
        self._kept = np.concatenate((self._kept, _kept_cells(rows)))
        widths, edges = self._edges(self._whole_batches())
        if len(edges) > 1:
            yield from self._leave(widths, edges[:-1])
        elif len(self._parts) > PARTS:
            self._parts = _joined(self._parts)

    def end(self) -> Iterator[Group]:
        """Lets the rest go.

        Yields:
            The last groups; the last batch of all may be smaller, and is left out where the layout drops remainders.
        """
        drops = self._shape.layout.drop_remainder
        widths, edges = self._edges(self._whole_batches() if drops else len(self._lengths))
        yield from self._leave(widths, edges)
        self._parts = []

    def _whole_batches(self) -> int:
        return len(self._lengths) // self._per_batch * self._per_batch

    def _edges(self, rows: int) -> tuple[NDArray[np.int64], list[tuple[int, int]]]:
        """Cuts the first of the waiting rows into groups; how wide these rows become comes before the edges."""
        widths = self._shape.layout.widths(self._lengths[:rows], self._index)
        return widths, list(group_edges(widths + self._kept[:rows], self._per_batch, self._gone))

    def _leave(self, widths: NDArray[np.int64], edges: list[tuple[int, int]]) -> Iterator[Group]:
        """Pads groups from the front, and keeps what is behind them."""
        if not edges:
            return
        rows, ids = gather(self._parts)
        left = edges[-1][1]
        self._gone += int(widths[:left].sum() + self._kept[:left].sum())
        self._parts = _joined(self._parts, left)
        self._lengths, self._kept = self._lengths[left:], self._kept[left:]
        for start, stop in edges:
            some = Ragged(ids.offsets[start : stop + 1], ids.values)
            yield pad_group(rows.take(pa.array(np.arange(start, stop))), some, widths[start:stop], self._shape)


def _joined(parts: list[Any], start: int = 0) -> list[Any]:
    """Copies the rows from a place on: into one batch, or none where there are none."""
    rows = pa.Table.from_batches(parts).combine_chunks()
    left: list[Any] = rows.take(pa.array(np.arange(start, rows.num_rows))).to_batches()
    return left


def _kept_cells(rows: Any) -> NDArray[np.int64]:
    """What the kept strings of each row count as, int64 [rows]."""
    cells = np.zeros(rows.num_rows, np.int64)
    for name in rows.schema.names:
        if name not in INTERNAL and pa.types.is_string(rows.schema.field(name).type):
            cells += pc.fill_null(pc.binary_length(rows.column(name)), 0).to_numpy(zero_copy_only=False) // 4
    return cells
