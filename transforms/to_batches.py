"""ToBatches: plain dict rows become batches, for pipelines that have their own source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import apache_beam as beam

from transforms.arrays.errors import one_of
from transforms.arrays.readers.dicts import read_dicts
from transforms.arrays.readers.rows import KEPT_TYPES, Columns
from transforms.step import Step, counts, dead

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class ToBatches(Step):
    """Gathers dicts into batches.

    Input: dicts. Output: RecordBatches of `row_id`, the text columns and the kept columns, as ReadCorpus
    gives them.

    Args:
        texts: The text columns: one, or two for pairs.
        keep: Columns carried through, with their types.
        rows: Rows of one batch at the most.
    """

    def __init__(
        self, texts: Sequence[str] = ("text",), keep: Mapping[str, str] | None = None, rows: int = 4096
    ) -> None:
        super().__init__()
        for name, kind in (keep or {}).items():
            one_of(kind, KEPT_TYPES, f"keep.{name}")
        kept = {name: KEPT_TYPES[kind] for name, kind in (keep or {}).items()}
        self._columns = Columns(tuple(texts), kept)
        self._rows = rows

    def expand(self, dicts: Any) -> Any:
        """Gathers and types."""
        lists = dicts | beam.BatchElements(min_batch_size=1, max_batch_size=self._rows)
        return self.apply_dofn(lists, _ToBatches(self._columns))


class _ToBatches(beam.DoFn):
    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def process(self, dicts: list[dict[str, Any]]) -> Iterator[Any]:
        """Turns some dicts into a batch."""
        rows = read_dicts(dicts, self._columns)
        yield from counts(rows_read=rows.read)
        yield from dead(rows.dead)
        if rows.batch.num_rows:
            yield rows.batch
