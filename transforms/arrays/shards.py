"""Which shard a batch belongs to, and padded batches put together again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from transforms.arrays.pad import COLUMNS
from transforms.arrays.ragged import Ragged
from transforms.arrays.shape import Group, Shape, _group_edges, deal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Where in the schema of a padded batch stands which shard it is of, and the how-manieth batch of it.
SHARD_KEY, BATCH_KEY = b"oblong.shard", b"oblong.batch"


def mark(batch: Any, stem: str, number: int) -> Any:
    """Notes in a padded batch's schema where it belongs.

    Args:
        batch: A RecordBatch.
        stem: Its shard's.
        number: Its place among the shard's batches.

    Returns:
        The same batch.
    """
    return batch.replace_schema_metadata({SHARD_KEY: stem, BATCH_KEY: str(number)})


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
        Groups of whole batches; what their rows lost before is not known here.
    """
    ordered = sorted(parts, key=lambda part: int(part.schema.metadata[BATCH_KEY]))
    table = pa.Table.from_batches([part.replace_schema_metadata(None) for part in ordered]).combine_chunks()
    cells = {name: Ragged.from_arrow(table.column(name).chunk(0)) for name in table.column_names if name in COLUMNS}
    first = next(iter(cells.values()), None)
    widths = first.lengths if first is not None else np.zeros(table.num_rows, np.int64)
    mask = cells.get("attention_mask")
    for start, stop in _group_edges(widths, rows_per_batch):
        batch = table.slice(start, stop - start).combine_chunks().to_batches()[0]
        tokens = (
            widths[start:stop].sum() if mask is None else mask.values[mask.offsets[start] : mask.offsets[stop]].sum()
        )
        yield Group(columns=batch, widths=widths[start:stop], tokens=int(tokens), truncated=0, dropped=0)
