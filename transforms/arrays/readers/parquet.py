"""Parquet: rows of any row groups, streamed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from transforms.arrays.dead_letters import DeadLetters, row_as_json
from transforms.arrays.errors import JobError
from transforms.arrays.readers.rows import KEPT_NAMES, Columns, Rows, Source, convert, make_rows, utf8

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

BATCH_ROWS = 1024  # at the most
BATCH_BYTES = 4 << 20  # of a batch's columns, as the rows are on average
PAGE_BYTES = 1 << 20  # read at a time; without it a row group's whole column is in memory

STRINGS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)


# What damage makes of a file: names that are no text, sizes that no number holds.
BROKEN = (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError)


def open_parquet(stream: BinaryIO, file: str) -> Any:
    """Opens a Parquet file.

    Args:
        stream: Seekable.
        file: Its name, for messages.

    Returns:
        The file.

    Raises:
        JobError: It is no Parquet file.
    """
    try:
        parquet = pq.ParquetFile(stream, buffer_size=PAGE_BYTES, pre_buffer=False, page_checksum_verification=True)
    except BROKEN as error:
        raise JobError(f"read.files: {file} is no readable Parquet file: {error}") from error
    rows = [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)]
    if sum(rows) != parquet.metadata.num_rows or min(rows, default=0) < 0:
        raise JobError(
            f"read.files: {file} is no readable Parquet file: it claims {parquet.metadata.num_rows} rows, and its row "
            f"groups {sum(rows)}"
        )
    return parquet


def refuse_doubles(names: Sequence[str], wanted: Iterable[str], file: str) -> None:
    """Refuses a file in which a column that is asked for is there twice.

    Args:
        names: Of the file's columns.
        wanted: The columns that are asked for.
        file: Its name, for messages.

    Raises:
        JobError: It is.
    """
    for name in wanted:
        if names.count(name) > 1:
            raise JobError(f"read.files: {file}: {names.count(name)} columns are called {name!r}; rename all but one")


def read_parquet(stream: BinaryIO, source: Source, columns: Columns) -> Iterator[Rows]:
    """Reads row groups of a Parquet file.

    Args:
        stream: The file, seekable.
        source: Its `start` and `stop` count row groups.
        columns: The columns to read.

    Yields:
        Rows, some at a time; a file without a wanted column gives dead letters.
    """
    parquet = open_parquet(stream, source.file)
    stop = parquet.num_row_groups if source.stop is None else source.stop
    groups = range(source.start, stop)
    position = sum(parquet.metadata.row_group(i).num_rows for i in range(source.start))
    refuse_doubles(parquet.schema_arrow.names, columns.wanted, source.file)
    names = [name for name in columns.wanted if name in parquet.schema_arrow.names]
    try:
        size = _batch_rows(parquet.metadata, groups)
        end = position + sum(parquet.metadata.row_group(i).num_rows for i in groups)
        for batch in parquet.iter_batches(size, row_groups=[*groups], columns=names, use_threads=False):
            yield _to_rows(batch, position, source.file, columns)
            position += batch.num_rows
    except BROKEN as error:
        raise JobError(f"read.files: {source.file} is damaged near row {position}: {error}") from error
    if position != end:
        raise JobError(f"read.files: {source.file} is damaged near row {position}: its footer claims rows up to {end}")


def _batch_rows(metadata: Any, groups: range) -> int:
    """Says how many rows are to be a batch: few where documents are long.

    By all columns, wanted or not: to ask for one, `RowGroupMetaData.column`, ends the process where a footer is broken.
    """
    of_groups = [metadata.row_group(i) for i in groups]
    rows, size = sum(group.num_rows for group in of_groups), sum(group.total_byte_size for group in of_groups)
    return max(1, min(BATCH_ROWS, int(BATCH_BYTES * rows // max(size, 1))))


def _to_rows(batch: Any, position: int, file: str, columns: Columns) -> Rows:
    """Types a batch's columns; the rows that do not fit are dead letters."""
    positions = np.arange(position, position + batch.num_rows)
    reason, message = np.full(batch.num_rows, "", object), np.full(batch.num_rows, "", object)
    arrays = []
    for name in columns.wanted:
        array, problem, bad = _column(batch, name, columns.type_of(name))
        arrays.append(array)
        new = bad & (reason == "")
        reason[new], message[new] = problem
    dead = DeadLetters()
    bad = reason != ""
    for i in np.flatnonzero(bad):
        dead.add(reason[i], message[i], file, int(positions[i]), _raw(batch, int(i)))
    if bad.any():
        positions, arrays = positions[~bad], [array.filter(pa.array(~bad)) for array in arrays]
    return make_rows(columns, file, positions, arrays, dead)


def _column(batch: Any, name: str, kind: Any) -> tuple[Any, tuple[str, str], Any]:
    """Takes one column as the type it is to have; returns it, what is wrong, and the rows where it is."""
    rows = batch.num_rows
    if name not in batch.schema.names:
        return pa.nulls(rows, kind), ("missing_column", f"no column {name!r}"), np.ones(rows, bool)
    array = batch.column(name)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if kind == pa.string():
        if not any(is_kind(array.type) for is_kind in STRINGS) and not pa.types.is_string_view(array.type):
            bad = ~array.is_null().to_numpy(zero_copy_only=False)
            return pa.nulls(rows, kind), ("wrong_type", f"{name} is {array.type}, expected string"), bad
        array, bad = utf8(array)
        return array, ("bad_encoding", f"{name} is not UTF-8"), bad
    if any(is_kind(array.type) for is_kind in STRINGS) or pa.types.is_boolean(array.type) != (kind == pa.bool_()):
        bad = ~array.is_null().to_numpy(zero_copy_only=False)
        return pa.nulls(rows, kind), ("wrong_type", f"{name} is {array.type}, expected {KEPT_NAMES[kind]}"), bad
    array, bad = convert(array, kind)
    return array, ("wrong_type", f"{name} does not fit {KEPT_NAMES[kind]}"), bad


def _raw(batch: Any, row: int) -> bytes:
    """Spells a row out; strings that are no UTF-8 keep their bytes."""
    cells = {}
    for name in batch.schema.names:
        array = batch.column(name).slice(row, 1)
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if any(is_kind(array.type) for is_kind in STRINGS):
            value = array.cast(pa.large_binary()).to_pylist()[0]
            cells[name] = None if value is None else value.decode(errors="surrogateescape")
        else:
            cells[name] = array.to_pylist()[0]
    return row_as_json(cells)
