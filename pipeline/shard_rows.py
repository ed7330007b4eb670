"""The rows of a shard against what the manifest says of them, some MB at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from transforms.arrays.pad import COLUMNS, round_up
from transforms.arrays.ragged import Ragged
from transforms.arrays.shape import OUTPUT_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from pipeline.contradictions import Claims

NUMBERS = np.zeros(0, np.int64)


class ShardRows:
    """Compares the rows of one shard with what is said of it, as they come.

    Only the rows of a batch that has not ended are held, as two numbers each.

    Args:
        file: What the manifest says of the shard; its bucket is one of the layout's.
        claims: What the configuration says of every shard.

    Attributes:
        rows: How many have come.
        problems: What is wrong, each sentence once.
    """

    def __init__(self, file: Mapping[str, Any], claims: Claims) -> None:
        self.rows = 0
        self.problems: dict[str, None] = {}  # an ordered set
        self._file = file
        self._claims = claims
        self._bucket = claims.layout.index(file["bucket"])
        self._per_batch = claims.layout.rows[self._bucket]
        self._judged = 0  # rows of whole batches that have been judged
        self._widths: NDArray[np.int64] | None = NUMBERS  # of rows of the batch that has not ended; None: unknown
        self._lengths: NDArray[np.int64] | None = NUMBERS
        self._tokens, self._cells = 0, 0
        self._is_as_wide = True  # as the manifest says

    def add(self, batch: Any) -> bool:
        """Takes rows in.

        Args:
            batch: A RecordBatch.

        Returns:
            Whether it has the columns that it should; if not, the rest of the file need not be read.
        """
        start, self.rows = self.rows, self.rows + batch.num_rows
        problem = self._columns_problem(batch)
        if problem is not None:
            self.problems[problem] = None
            return False
        cells = {name: Ragged.from_arrow(batch.column(name)) for name in batch.schema.names if name in COLUMNS}
        widths = next((column.lengths for column in cells.values()), None)
        for name, column in cells.items():
            if widths is not None and not np.array_equal(column.lengths, widths):
                self.problems[f"{name} is not as wide as the other columns"] = None
                return False
        lengths = self._lengths_of(batch, cells)
        if lengths is None and not self._claims.layout.padding.pads:
            lengths = widths
        for problem in (*self._cell_problems(cells), *self._id_problems(batch)):
            self.problems[problem] = None
        self._check_bucket(lengths, widths, start)
        self._gather(lengths, widths)
        return True

    def close(self) -> None:
        """Judges the last batch and the sums, after the last row."""
        self._judge(None)
        file = self._file
        if self.rows != file["rows"]:
            self.problems[f"has {self.rows} rows, expected {file['rows']}"] = None
            return
        batches = -(-self.rows // file["rows_per_batch"])
        if file["batches"] != batches:
            self.problems[f"has {batches} batches, expected {file['batches']}"] = None
        if self._lengths is not None and self._tokens != file["tokens"]:
            self.problems[f"its masks count {self._tokens} tokens, expected {file['tokens']}"] = None
        if (self._widths is not None or self._lengths is not None) and self._cells != file["tokens"] + file["padding"]:
            self.problems[f"has {self._cells} cells, expected {file['tokens'] + file['padding']}"] = None
        if not self._is_as_wide:
            self.problems[f"has rows that are not {file['width']} wide"] = None

    def _columns_problem(self, batch: Any) -> str | None:
        if not batch.schema.equals(self._claims.schema):
            return f"has the columns {', '.join(batch.schema.names)} of other names or types than the manifest"
        for name in batch.schema.names:
            column = batch.column(name)
            if name in OUTPUT_COLUMNS and (column.null_count or (name in COLUMNS and column.flatten().null_count)):
                return f"{name} has nulls"
        return None

    def _lengths_of(self, batch: Any, cells: Mapping[str, Ragged]) -> NDArray[np.int64] | None:
        """Tokens of each row before padding, int64 [rows]; None where no column tells."""
        counted = None
        if "attention_mask" in cells:
            mask = cells["attention_mask"]
            counted = np.add.reduceat(np.append(mask.values, 0).astype(np.int64), mask.offsets[:-1])
            counted *= mask.lengths > 0
        if "length" not in batch.schema.names:
            return counted
        said: NDArray[np.int64] = batch.column("length").to_numpy().astype(np.int64)
        if counted is not None and not np.array_equal(said, counted):
            self.problems["length is not the number of ones in attention_mask"] = None
        return said if counted is None else counted

    def _cell_problems(self, cells: Mapping[str, Ragged]) -> Iterator[str]:
        if "input_ids" in cells:
            ids = cells["input_ids"].values
            if len(ids) and (ids.min() < 0 or ids.max() >= self._claims.vocab_size):
                wrong = ids.min() if ids.min() < 0 else ids.max()
                yield f"input_ids holds {wrong}; the vocabulary has {self._claims.vocab_size} tokens"
        if "special_tokens_mask" in cells and not np.isin(cells["special_tokens_mask"].values, (0, 1)).all():
            yield "special_tokens_mask holds other values than 0 and 1"
        if "attention_mask" not in cells:
            return
        mask = cells["attention_mask"]
        yield from mask_problems(mask, self._claims.layout.padding.side or "right")
        padding = mask.values == 0
        if "input_ids" in cells and len(np.unique(cells["input_ids"].values[padding])) > 1:
            yield "input_ids holds several tokens where padding is"
        if "special_tokens_mask" in cells and not cells["special_tokens_mask"].values[padding].all():
            yield "special_tokens_mask is not 1 where padding is"

    def _id_problems(self, batch: Any) -> Iterator[str]:
        """Rows come from the inputs that the manifest lists."""
        if "row_id" not in batch.schema.names or not batch.num_rows:
            return
        paths = pc.list_element(pc.split_pattern(batch.column("row_id"), "#", max_splits=1), 0)
        for path in pc.unique(paths).to_pylist():
            if path not in self._claims.inputs:
                yield f"has rows of {path!r}, which is none of the inputs"

    def _check_bucket(self, lengths: NDArray[np.int64] | None, widths: NDArray[np.int64] | None, start: int) -> None:
        """Rows are of the length class that the file is for."""
        layout, label = self._claims.layout, self._file["bucket"]
        if lengths is not None:
            wrong = np.flatnonzero(layout.bucket_of(lengths) != self._bucket)
            if len(wrong):
                what = f"row {start + wrong[0]} has {lengths[wrong[0]]} tokens"
                self.problems[f"{what}, which is not of the bucket {label}"] = None
        elif widths is not None and self._bucket < len(layout.edges):
            widest = round_up(layout.edges[self._bucket], layout.padding.multiple_of)
            wrong = np.flatnonzero(widths > max(widest, layout.target(self._bucket) or 0))
            if len(wrong):
                what = f"row {start + wrong[0]} is {widths[wrong[0]]} wide"
                self.problems[f"{what}, which is too wide for the bucket {label}"] = None

    def _gather(self, lengths: NDArray[np.int64] | None, widths: NDArray[np.int64] | None) -> None:
        """Puts rows behind those that wait, and judges the batches that have ended."""
        self._tokens += 0 if lengths is None else int(lengths.sum())
        self._lengths = None if lengths is None or self._lengths is None else np.append(self._lengths, lengths)
        self._widths = None if widths is None or self._widths is None else np.append(self._widths, widths)
        waiting = self.rows - self._judged
        self._judge(waiting // self._per_batch * self._per_batch)

    def _judge(self, count: int | None) -> None:
        """Judges the first of the rows that wait, which are whole batches; all of them for None."""
        lengths = None if self._lengths is None else self._lengths[:count]
        widths = None if self._widths is None else self._widths[:count]
        layout, expected = self._claims.layout, None
        if lengths is not None:
            expected = layout.widths(lengths, self._bucket)
        if widths is None:
            widths = expected  # no column has cells: only their number is claimed
        if widths is not None and len(widths):
            self._cells += int(widths.sum())
            self._is_as_wide &= self._file["width"] is None or bool((widths == self._file["width"]).all())
            self._check_widths(widths, expected)
            self._judged += len(widths)
        elif count is not None:
            self._judged += count
        if count is not None:
            self._lengths = None if self._lengths is None else self._lengths[count:]
            self._widths = None if self._widths is None else self._widths[count:]

    def _check_widths(self, widths: NDArray[np.int64], expected: NDArray[np.int64] | None) -> None:
        """Batches are rectangles, as wide as they are to be."""
        layout = self._claims.layout
        if layout.target(self._bucket) is None and layout.padding.pads:
            starts = np.arange(0, len(widths), self._per_batch)
            uneven = np.minimum.reduceat(widths, starts) != np.maximum.reduceat(widths, starts)
            if uneven.any():
                batch = self._judged // self._per_batch + int(np.argmax(uneven))
                self.problems[f"batch {batch} is no rectangle"] = None
                return
        if expected is not None and not np.array_equal(widths, expected):
            row = int(np.argmax(widths != expected))
            what = f"row {self._judged + row} is {widths[row]} wide"
            self.problems[f"{what}, where {expected[row]} is expected"] = None


def mask_problems(mask: Ragged, side: str) -> Iterator[str]:
    """Finds what is wrong with a mask, which is a run of ones and, on the padded side, a run of zeros.

    Args:
        mask: attention_mask, offsets from 0.
        side: Where padding is, "right" or "left".

    Yields:
        At most one sentence.

    >>> list(mask_problems(Ragged.of([[1, 1, 0], [1]]), "right"))
    []
    >>> list(mask_problems(Ragged.of([[0, 1], [1]]), "right"))
    ['attention_mask does not end in padding on the right']
    """
    if not np.isin(mask.values, (0, 1)).all():
        yield "attention_mask holds other values than 0 and 1"
        return
    steps = np.diff(mask.values.astype(np.int8))
    inside = np.ones(len(steps), bool)  # steps between two cells of one row
    edges = mask.offsets[1:-1]
    inside[edges[(edges > 0) & (edges <= len(steps))] - 1] = False
    if len(steps) and (steps[inside] == (1 if side == "right" else -1)).any():
        yield f"attention_mask does not end in padding on the {side}"
