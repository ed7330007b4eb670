"""CSV (RFC 4180) and TSV (no quoting at all), with a header line or with names given."""

from __future__ import annotations

import csv
import re
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.arrays.dead_letters import RAW_BYTES, DeadLetters
from transforms.arrays.errors import JobError
from transforms.arrays.readers.lines import read_lines
from transforms.arrays.readers.rows import Columns, Rows, Source, convert, make_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH_ROWS = 8192
BATCH_CHARS = 4 << 20

TOO_LONG = "\ud800"  # stands for a line that was passed over: no decoded byte can give this
NOT_UTF8 = re.compile("[\udc80-\udcff]")  # what "surrogateescape" makes of bytes that are no UTF-8


class _LineFeed:
    """Feeds lines to a parser and remembers those of the row it is in."""

    def __init__(self, stream: BinaryIO, file: str, max_row_bytes: int) -> None:
        self.file = file
        self.raw: list[bytes] = []
        self._blocks = read_lines(stream, max_row_bytes=max_row_bytes)

    def __iter__(self) -> Iterator[str]:
        for block in self._blocks:
            lines = map(block.line, range(len(block.positions)))
            places = [*zip(block.positions.tolist(), lines, block.ends(), strict=True)]
            if block.too_long:  # a line that was passed over keeps its place among the others
                places = sorted([*places, *((line.position, line.start, TOO_LONG) for line in block.too_long)])
            for _, line, end in places:
                self.raw.append(line)
                yield TOO_LONG + "\n" if end == TOO_LONG else line.decode(errors="surrogateescape") + end

    def take_raw(self) -> bytes:
        """Hands out the lines of the row that has just ended."""
        raw, self.raw = b"\n".join(self.raw), []
        return raw


def _csv_rows(feed: _LineFeed) -> Iterator[list[str] | csv.Error]:
    reader = csv.reader(feed, strict=True)
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield error


def _tsv_rows(feed: _LineFeed) -> Iterator[list[str] | csv.Error]:
    for line in feed:
        text = line.removesuffix("\n").removesuffix("\r")
        yield text.split("\t") if text else []


def _read(stream: BinaryIO, source: Source, columns: Columns, parse: Any) -> Iterator[Rows]:
    """Reads rows of fields and turns them into columns, some thousands of rows at a time."""
    # The limit on a field is the module's own, and smaller than a row may be.
    csv.field_size_limit(max(csv.field_size_limit(), columns.max_row_bytes))
    feed = _LineFeed(stream, source.file, columns.max_row_bytes)
    rows = parse(feed)
    header = list(columns.names) if columns.names is not None else _header(rows, feed)
    if header is None:
        return
    position = 0
    while True:
        fields, positions, dead, read = _gather(rows, feed, header, columns, source.file, position)
        if not read:
            return
        position += read
        yield _to_rows(fields, np.array(positions, np.int64), header, columns, source.file, dead)


def _header(rows: Iterator[Any], feed: _LineFeed) -> list[str] | None:
    """Takes the first row that is not blank for the names of the columns."""
    for row in rows:
        feed.take_raw()
        if isinstance(row, csv.Error):
            raise JobError(f"read.files: the header line of {feed.file} cannot be read: {row}")
        if row:
            return list(row)
    return None


def first_rows(
    stream: BinaryIO, reader: str, file: str, names: tuple[str, ...] | None, max_row_bytes: int, count: int
) -> tuple[list[str] | None, list[list[str]]]:
    """Reads the names of a file's columns and its first rows.

    Args:
        stream: The file, decompressed.
        reader: "csv" or "tsv".
        file: Its name, for messages.
        names: `read.columns`.
        max_row_bytes: `read.max_row_bytes`.
        count: How many rows at the most.

    Returns:
        The names, None for a file without a line; and the rows that could be read.
    """
    feed = _LineFeed(stream, file, max_row_bytes)
    rows = _csv_rows(feed) if reader == "csv" else _tsv_rows(feed)
    header = list(names) if names is not None else _header(rows, feed)
    return header, [row for row in islice(rows, count) if isinstance(row, list) and row]


def _gather(
    rows: Iterator[Any], feed: _LineFeed, header: list[str], columns: Columns, file: str, position: int
) -> tuple[list[list[str]], list[int], DeadLetters, int]:
    """Takes rows until a batch is full; blank lines are no rows."""
    fields: list[list[str]] = []
    positions: list[int] = []
    dead = DeadLetters()
    chars = read = 0
    missing = [name for name in columns.wanted if name not in header]
    for row in rows:
        raw = feed.take_raw()
        if isinstance(row, list) and not row:
            continue
        bad = _bad_row(row, raw, header, missing, columns)
        if bad is None:
            fields.append(row)
            positions.append(position + read)
            chars += len(raw)
        else:
            dead.add(*bad, file, position + read, raw[: RAW_BYTES + 1])
        read += 1
        if read >= BATCH_ROWS or chars >= BATCH_CHARS:
            break
    return fields, positions, dead, read


def _bad_row(row: Any, raw: bytes, header: list[str], missing: list[str], columns: Columns) -> tuple[str, str] | None:
    """Says why a row cannot be used, or None."""
    if isinstance(row, csv.Error):
        too_long = "field larger" in str(row)
        return ("too_long" if too_long else "bad_row", str(row))
    if any(TOO_LONG in field for field in row):
        return "too_long", f"more than read.max_row_bytes ({columns.max_row_bytes} bytes)"
    if any(NOT_UTF8.search(field) for field in row):
        return "bad_encoding", "not UTF-8"
    if len(row) != len(header):
        return "bad_row", f"{len(row)} fields where {len(header)} were expected"
    if missing:
        return "missing_column", f"no column {missing[0]!r}; it has {', '.join(header)}"
    return None


def _to_rows(
    fields: list[list[str]], positions: Any, header: list[str], columns: Columns, file: str, dead: DeadLetters
) -> Rows:
    """Transposes rows of fields into typed columns."""
    arrays, bad = [], np.zeros(len(fields), bool)
    reason: dict[int, str] = {}
    for name in columns.wanted:
        index = header.index(name) if name in header else 0
        array = pa.array([row[index] for row in fields], pa.string())
        kind = columns.type_of(name)
        if kind != pa.string():
            array, misfit = convert(_empty_to_null(array), kind)
            reason |= {int(i): f"{name}: {fields[i][index]!r} is no {kind}" for i in np.flatnonzero(misfit)}
            bad |= misfit
        arrays.append(array)
    for i in np.flatnonzero(bad):
        dead.add("wrong_type", reason[int(i)], file, int(positions[i]), "\t".join(fields[i]).encode())
    good = pa.array(~bad)
    return make_rows(columns, file, positions[~bad], [array.filter(good) for array in arrays], dead)


def _empty_to_null(array: Any) -> Any:
    return pc.if_else(pc.equal(array, ""), pa.scalar(None, pa.string()), array)


def read_csv(stream: BinaryIO, source: Source, columns: Columns) -> Iterator[Rows]:
    """Reads CSV as RFC 4180 has it; blank lines are no rows.

    Args:
        stream: The file, decompressed, from its start.
        source: The file; CSV is not divided.
        columns: The columns to read.

    Yields:
        Rows, some thousands at a time.
    """
    return _read(stream, source, columns, _csv_rows)


def read_tsv(stream: BinaryIO, source: Source, columns: Columns) -> Iterator[Rows]:
    """Reads fields between tabs; a quote is a character like any other, blank lines are no rows.

    Args:
        stream: The file, decompressed, from its start.
        source: The file; TSV is not divided.
        columns: The columns to read.

    Yields:
        Rows, some thousands at a time.
    """
    return _read(stream, source, columns, _tsv_rows)
