"""Truncate: rows are cut to size, their special tokens added; windows become rows of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from transforms.arrays.adopt import with_contents, with_identity
from transforms.arrays.dead_letters import DeadLetters, add_rows
from transforms.arrays.errors import JobError
from transforms.arrays.identity import row_ids
from transforms.arrays.ragged import Ragged, offsets_of
from transforms.arrays.template import Slices
from transforms.arrays.truncate import Cut, cut
from transforms.step import Step, counts, dead

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from transforms.arrays.shape import Shape

CHUNK_TOKENS = 8 << 20  # of one output batch: windows can make many times the input


class Truncate(Step):
    """Cuts rows to size and puts special tokens around them.

    Input: RecordBatches with `input_ids` as Tokenize gives them, or a plain list of one text's ids. Output:
    `row_id`, `input_ids` (list<int32>, special tokens included), `length` (struct: content tokens of each
    text, and those dropped), and the columns that are not in `drop`.

    Args:
        shape: Limit, template and layout.
        drop: Columns that are needed no more, such as the texts.
    """

    def __init__(self, shape: Shape, drop: Sequence[str] = ("text", "text_pair")) -> None:
        super().__init__()
        self._shape = shape
        self._drop = tuple(drop)

    def dofn(self) -> beam.DoFn:
        """Cuts each batch."""
        return _Truncate(self._shape, self._drop)


class _Truncate(beam.DoFn):
    def __init__(self, shape: Shape, drop: tuple[str, ...]) -> None:
        self._shape = shape
        self._drop = drop

    def process(self, batch: Any) -> Iterator[Any]:
        """Cuts one batch; windows may make several of it, each with all the windows of its rows."""
        batch = with_contents(with_identity(batch))
        shape, letters = self._shape, DeadLetters()
        contents = [Ragged.from_arrow(part) for part in batch.column("input_ids").flatten()]
        decided = cut([content.lengths for content in contents], shape.budget, shape.truncation)
        unfit = _bury(decided, batch, shape, letters)
        decided = _without_too_wide(decided, batch, shape, letters)
        yield from dead(letters.to_batch())
        first = decided.window == 0
        yield from counts(rows_with_output=int(first.sum()), windows=int((~first).sum()), dropped__unfit=unfit)
        for start, stop in _chunks(decided, shape):
            yield _gather(batch, contents, decided, slice(start, stop), shape, self._drop)


def _bury(decided: Cut, batch: Any, shape: Shape, letters: DeadLetters) -> int:
    """Does with the rows that cannot be fitted what `on_unfit` says; returns how many were dropped."""
    limit = shape.truncation.max_length
    what = {
        "unfit": (decided.unfit, f"{shape.truncation.name} cannot fit this row into {limit} tokens"),
        "too_many_windows": (decided.too_many, f"needs more than {shape.truncation.max_windows} windows"),
    }
    if shape.truncation.on_unfit == "drop":
        return len(decided.unfit) + len(decided.too_many)
    for reason, (rows, message) in what.items():
        if len(rows) and shape.truncation.on_unfit == "error":
            place = batch.column("row_id")[int(rows[0])].as_py()
            raise JobError(f"{reason} at {place['file']}#{place['position']}: {message} (truncate.on_unfit: error)")
        add_rows(letters, reason, batch.drop_columns(["input_ids"]), rows, message)
    return 0


def _output_lengths(decided: Cut, shape: Shape) -> NDArray[np.int64]:
    lengths = np.full(len(decided.rows), shape.template.specials, np.int64)  # int64 [windows]
    for content in decided.lengths:
        lengths += content
    return lengths


def _without_too_wide(decided: Cut, batch: Any, shape: Shape, letters: DeadLetters) -> Cut:
    """Takes out rows of which a window would make its batch exceed `batch.max_bytes`."""
    fits = shape.layout.fits(_output_lengths(decided, shape))
    if fits.all():
        return decided
    rows = np.unique(decided.rows[~fits])
    message = f"wider than its share of batch.max_bytes ({shape.layout.max_bytes} bytes)"
    add_rows(letters, "too_long", batch.drop_columns(["input_ids"]), rows, message)
    keep = ~np.isin(decided.rows, rows)
    return Cut(
        rows=decided.rows[keep],
        window=decided.window[keep],
        starts=tuple(start[keep] for start in decided.starts),
        lengths=tuple(length[keep] for length in decided.lengths),
        dropped=decided.dropped[keep],
        unfit=decided.unfit,
        too_many=decided.too_many,
    )


def _chunks(decided: Cut, shape: Shape) -> Iterator[tuple[int, int]]:
    """Cuts the windows into runs of about `CHUNK_TOKENS`; the windows of a row stay together."""
    if not len(decided.rows):
        return
    begins = np.flatnonzero(decided.window == 0)
    ends = offsets_of(_output_lengths(decided, shape))[begins]
    starts = begins[np.flatnonzero(np.diff(ends // CHUNK_TOKENS, prepend=-1))].tolist()
    yield from zip(starts, [*starts[1:], len(decided.rows)], strict=True)


def _slices(content: Ragged, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Slices:
    """Slices of the values between the first and the last of them: a run of windows may need few of very many."""
    if not len(starts):
        return Slices(content.values[:0], starts, lengths)
    first = int(starts.min())
    return Slices(content.values[first : int((starts + lengths).max())], starts - first, lengths)


def _gather(
    batch: Any, contents: list[Ragged], decided: Cut, windows: slice, shape: Shape, drop: tuple[str, ...]
) -> Any:
    """Builds the output rows of a run of windows."""
    rows = decided.rows[windows]
    lengths = [length[windows] for length in decided.lengths]
    slices = [
        _slices(content, content.offsets[rows] + start[windows], length)
        for content, start, length in zip(contents, decided.starts, lengths, strict=True)
    ]
    ids = shape.template.assemble(slices).to_arrow()
    kept = batch.drop_columns([name for name in batch.schema.names if name in (*drop, "input_ids")])
    if len(rows) != batch.num_rows or (np.diff(rows) != 1).any():
        kept = kept.take(pa.array(rows))
    file, position, _ = kept.column("row_id").flatten()
    kept = kept.drop_columns(["row_id"])
    fields = [*["text", "text_pair"][: len(lengths)], "dropped"]
    numbers = [pa.array(number.astype(np.int32)) for number in (*lengths, decided.dropped[windows])]
    columns = {
        "row_id": row_ids(file, position.to_numpy(), decided.window[windows]),
        "input_ids": ids,
        "length": pa.StructArray.from_arrays(numbers, fields),
    }
    columns |= {name: kept.column(name) for name in kept.schema.names}
    return pa.RecordBatch.from_arrays([*columns.values()], names=[*columns])
