"""CSV (RFC 4180) and TSV (no quoting at all), with a header line or with names given.

A block of well-formed rows is cut into columns as a whole: see `fields`. What is not well-formed, and a row
that goes on into the next block, goes through Python's csv module row by row, with the same result.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.arrays.dead_letters import RAW_BYTES, DeadLetters
from transforms.arrays.errors import ConfigError, JobError
from transforms.arrays.readers.fields import Parsed, Table, cut_block, row_problem
from transforms.arrays.readers.line_feed import TOO_LONG, LineFeed
from transforms.arrays.readers.rows import KEPT_NAMES, MAX_ROW_BYTES, Columns, Rows, Source, convert, make_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMMA, TAB = ord(","), ord("\t")

NOT_UTF8 = re.compile("[\udc80-\udcff]")  # what "surrogateescape" makes of bytes that are no UTF-8
HEX = "^-?0[xX]"  # which Arrow would read as a number


def _csv_rows(feed: LineFeed) -> Iterator[list[str] | csv.Error]:
    # The limit is the whole process's; one that no row reaches leaves `read.max_row_bytes` alone to decide.
    csv.field_size_limit(MAX_ROW_BYTES)
    reader = csv.reader(feed, strict=True)
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield error


def _tsv_rows(feed: LineFeed) -> Iterator[list[str] | csv.Error]:
    for line in feed:
        text = line.removesuffix("\n").removesuffix("\r")
        yield text.split("\t") if text else []


class _Dialect(NamedTuple):
    """What sets CSV and TSV apart.

    Attributes:
        parse: Reads rows line by line.
        delimiter: Between fields.
        quotes: Whether fields can stand in quotes.
    """

    parse: Callable[[LineFeed], Iterator[list[str] | csv.Error]]
    delimiter: int
    quotes: bool


DIALECTS = {"csv": _Dialect(_csv_rows, COMMA, quotes=True), "tsv": _Dialect(_tsv_rows, TAB, quotes=False)}


def _read(stream: BinaryIO, source: Source, columns: Columns, dialect: _Dialect) -> Iterator[Rows]:
    """Reads rows of fields and turns them into columns, a block at a time."""
    feed = LineFeed(stream, columns.max_row_bytes)
    rows = dialect.parse(feed)
    header = list(columns.names) if columns.names is not None else _header(rows, feed)
    problem = None if header is None else _header_problem(header, columns.wanted)
    if problem:
        raise JobError(f"read.files: {source.file}: {problem}")
    if not isinstance(header, list):
        return
    table = Table(header, columns, source.file)
    position = 0
    while feed.has_line():
        dead = DeadLetters()
        parsed = cut_block(feed, dialect.delimiter, dialect.quotes, table, position, dead)
        if parsed is None:
            parsed = _gather(rows, feed, table, position, dead)
        position += parsed.read
        yield _to_rows(parsed, columns, source.file, dead)


def _header(rows: Iterator[list[str] | csv.Error], feed: LineFeed) -> list[str] | csv.Error | None:
    """Takes the first row that is not blank for the names of the columns."""
    for row in rows:
        feed.take_raw()
        if row:
            return row
    return None


def _header_problem(header: list[str] | csv.Error, wanted: tuple[str, ...]) -> str | None:
    """Says why the names of the columns cannot be used, or None."""
    if isinstance(header, csv.Error):
        return f"the header line cannot be read: {header}"
    if any(TOO_LONG in name for name in header):
        return "the header line cannot be read: it is longer than read.max_row_bytes"
    if any(NOT_UTF8.search(name) for name in header):
        return "the header line cannot be read: it is not UTF-8"
    twice = [name for name in wanted if header.count(name) > 1]
    return f"{header.count(twice[0])} columns are called {twice[0]!r}; rename all but one" if twice else None


def first_rows(
    stream: BinaryIO,
    reader: str,
    file: str,
    names: tuple[str, ...] | None,
    wanted: tuple[str, ...],
    max_row_bytes: int,
    count: int,
) -> tuple[list[str] | None, list[list[str]]]:
    """Reads the names of a file's columns and its first rows.

    Args:
        stream: The file, decompressed.
        reader: "csv" or "tsv".
        file: Its name, for messages.
        names: `read.columns`.
        wanted: The columns that are asked for.
        max_row_bytes: `read.max_row_bytes`.
        count: How many rows at the most.

    Returns:
        The names, None for a file without a line; and the rows that could be read.

    Raises:
        ConfigError: The names of the columns cannot be read, or one that is asked for is there twice.
    """
    feed = LineFeed(stream, max_row_bytes)
    rows = DIALECTS[reader].parse(feed)
    header = list(names) if names is not None else _header(rows, feed)
    problem = None if header is None else _header_problem(header, wanted)
    if problem or isinstance(header, csv.Error):
        raise ConfigError(f"read.files: {file}: {problem}")
    found: list[list[str]] = []
    for row in rows:
        if isinstance(row, list) and row:
            found.append(row)
        feed.take_raw()
        if len(found) == count:
            break
    return header, found


def _gather(
    rows: Iterator[list[str] | csv.Error],
    feed: LineFeed,
    table: Table,
    position: int,
    dead: DeadLetters,
) -> Parsed:
    """Reads what is left of a block row by row, and the next block as far as the last row goes."""
    fields: list[list[str]] = []
    raws: list[bytes] = []
    positions: list[int] = []
    read, block = 0, feed.blocks
    while feed.has_line() and feed.blocks == block:
        row, long = next(rows), feed.is_long()
        raw = feed.take_raw()
        if isinstance(row, list) and not row:
            continue
        problem: tuple[str, str] | None
        if isinstance(row, csv.Error):
            problem = row_problem(long, False, 0, table) if long else ("bad_row", str(row))
        else:
            problem = row_problem(long, any(map(NOT_UTF8.search, row)), len(row), table)
        if problem is None and isinstance(row, list):
            fields.append(row)
            raws.append(raw)
            positions.append(position + read)
        elif problem is not None:
            dead.add(*problem, table.file, position + read, raw[: RAW_BYTES + 1])
        read += 1
    index = [table.header.index(name) if name in table.header else 0 for name in table.columns.wanted]
    arrays = [pa.array([row[i] for row in fields], pa.string()) for i in index]
    return Parsed(arrays, np.array(positions, np.int64), raws.__getitem__, read)


def _to_rows(parsed: Parsed, columns: Columns, file: str, dead: DeadLetters) -> Rows:
    """Types the columns; the rows that do not fit are dead letters."""
    arrays, bad = [], np.zeros(len(parsed.positions), bool)
    reason: dict[int, str] = {}
    for name, strings in zip(columns.wanted, parsed.arrays, strict=True):
        array, kind = strings, columns.type_of(name)
        if kind != pa.string():
            array, misfit = convert(_empty_to_null(strings), kind)
            if pa.types.is_integer(kind):
                misfit |= pc.match_substring_regex(strings, HEX).to_numpy(zero_copy_only=False)
            new = np.flatnonzero(misfit & ~bad)
            reason |= {int(i): f"{name}: {strings[int(i)].as_py()[:100]!r} is no {KEPT_NAMES[kind]}" for i in new}
            bad |= misfit
        arrays.append(array)
    if not bad.any():
        return make_rows(columns, file, parsed.positions, arrays, dead, parsed.raw)
    for i, message in sorted(reason.items()):
        dead.add("wrong_type", message, file, int(parsed.positions[i]), parsed.raw(i))
    index = np.flatnonzero(~bad)
    arrays = [array.take(pa.array(index)) for array in arrays]
    return make_rows(columns, file, parsed.positions[index], arrays, dead, lambda i: parsed.raw(int(index[i])))


def _empty_to_null(array: Any) -> Any:
    return pc.if_else(pc.equal(array, ""), pa.scalar(None, pa.string()), array)


def read_csv(stream: BinaryIO, source: Source, columns: Columns) -> Iterator[Rows]:
    """Reads CSV as RFC 4180 has it; blank lines are no rows.

    Args:
        stream: The file, decompressed, from its start.
        source: The file; CSV is not divided.
        columns: The columns to read.

    Yields:
        Rows, a block at a time.
    """
    return _read(stream, source, columns, DIALECTS["csv"])


def read_tsv(stream: BinaryIO, source: Source, columns: Columns) -> Iterator[Rows]:
    """Reads fields between tabs; a quote is a character like any other, blank lines are no rows.

    Args:
        stream: The file, decompressed, from its start.
        source: The file; TSV is not divided.
        columns: The columns to read.

    Yields:
        Rows, a block at a time.
    """
    return _read(stream, source, columns, DIALECTS["tsv"])
