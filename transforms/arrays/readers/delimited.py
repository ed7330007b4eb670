"""CSV (RFC 4180) and TSV (no quoting at all), with a header line or with names given.

A block of well-formed rows is cut into columns as a whole: see `_cut`. What is not well-formed, and a row
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
from transforms.arrays.readers.lines import CR, LF, Lines, cut_out, read_lines
from transforms.arrays.readers.rows import Columns, Rows, Source, convert, make_rows, utf8

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

COMMA, TAB, QUOTE = ord(","), ord("\t"), ord('"')

TOO_LONG = "\ud800"  # stands for a line that was passed over: no decoded byte can give this
NOT_UTF8 = re.compile("[\udc80-\udcff]")  # what "surrogateescape" makes of bytes that are no UTF-8
HEX = "^-?0[xX]"  # which Arrow would read as a number


class _LineFeed:
    """Feeds lines to a parser and remembers those of the row it is in."""

    def __init__(self, stream: BinaryIO, max_row_bytes: int) -> None:
        self.blocks = 0
        self._stream = read_lines(stream, max_row_bytes=max_row_bytes)
        self._lines: Lines | None = None
        self._order: Any = ()  # numbers of lines; behind the last one, those of lines that were passed over
        self._next = 0
        self._raw: list[tuple[bytes, str]] = []

    def has_line(self) -> bool:
        """Whether there is a line left, in this block or the next."""
        while self._next == len(self._order):
            self._lines = next(self._stream, None)
            if self._lines is None:
                self._order, self._next = (), 0
                return False
            places = [*self._lines.positions.tolist(), *(line.position for line in self._lines.too_long)]
            whole = not self._lines.too_long
            self._order = range(len(places)) if whole else sorted(range(len(places)), key=places.__getitem__)
            self._next = 0
            self.blocks += 1
        return True

    def left(self) -> Lines | None:
        """The lines of this block that are left; None where some were passed over."""
        lines, i = self._lines, self._next
        if lines is None or lines.too_long:
            return None
        return lines._replace(starts=lines.starts[i:], stops=lines.stops[i:], positions=lines.positions[i:])

    def skip(self, count: int) -> None:
        """Leaves out lines that were read as a whole."""
        self._next += count

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if not self.has_line() or self._lines is None:
            raise StopIteration
        i = self._order[self._next]
        self._next += 1
        if i >= len(self._lines.starts):
            self._raw.append((self._lines.too_long[i - len(self._lines.starts)].start, "\n"))
            return TOO_LONG + "\n"
        line, end = self._lines.line(i), self._lines.end(i)
        self._raw.append((line, end))
        return line.decode(errors="surrogateescape") + end

    def take_raw(self) -> bytes:
        """Hands out the lines of the row that has just ended."""
        raw, self._raw = self._raw, []
        return b"".join([*(line + end.encode() for line, end in raw[:-1]), *(line for line, _ in raw[-1:])])


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


class _Dialect(NamedTuple):
    """What sets CSV and TSV apart.

    Attributes:
        parse: Reads rows line by line.
        delimiter: Between fields.
        quotes: Whether fields can stand in quotes.
    """

    parse: Callable[[_LineFeed], Iterator[list[str] | csv.Error]]
    delimiter: int
    quotes: bool


DIALECTS = {"csv": _Dialect(_csv_rows, COMMA, quotes=True), "tsv": _Dialect(_tsv_rows, TAB, quotes=False)}


class _Table(NamedTuple):
    """What the rows of a file have in common.

    Attributes:
        header: Names of its columns.
        columns: The columns to read.
        file: Its path relative to the root.
    """

    header: list[str]
    columns: Columns
    file: str


class _Parsed(NamedTuple):
    """Rows of fields as columns of strings.

    Attributes:
        arrays: One string array a wanted column.
        positions: Each row's place, int64 [rows].
        raw: Each row's bytes, by its number.
        read: Rows read, the dead ones among them.
    """

    arrays: list[Any]
    positions: NDArray[np.int64]
    raw: Callable[[int], bytes]
    read: int


def _read(stream: BinaryIO, source: Source, columns: Columns, dialect: _Dialect) -> Iterator[Rows]:
    """Reads rows of fields and turns them into columns, a block at a time."""
    # The limit on a field is the module's own, and smaller than a row may be.
    csv.field_size_limit(max(csv.field_size_limit(), columns.max_row_bytes))
    feed = _LineFeed(stream, columns.max_row_bytes)
    rows = dialect.parse(feed)
    header = list(columns.names) if columns.names is not None else _header(rows, feed)
    problem = None if header is None else _header_problem(header, columns.wanted)
    if problem:
        raise JobError(f"read.files: {source.file}: {problem}")
    if not isinstance(header, list):
        return
    table = _Table(header, columns, source.file)
    position = 0
    while feed.has_line():
        dead = DeadLetters()
        parsed = _cut(feed, dialect, table, position, dead)
        if parsed is None:
            parsed = _gather(rows, feed, table, position, dead)
        position += parsed.read
        yield _to_rows(parsed, columns, source.file, dead)


def _header(rows: Iterator[list[str] | csv.Error], feed: _LineFeed) -> list[str] | csv.Error | None:
    """Takes the first row that is not blank for the names of the columns."""
    header = next((row for row in rows if row), None)
    feed.take_raw()
    return header


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
    feed = _LineFeed(stream, max_row_bytes)
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


def _cut(feed: _LineFeed, dialect: _Dialect, table: _Table, position: int, dead: DeadLetters) -> _Parsed | None:
    """Cuts the rows of a block into columns at once; None where the csv module is to decide.

    Quotes open and close in turn. The rows are well-formed if each quote that opens stands at the start of
    a field, and each that closes at its end; one that closes just before one that opens spells a quote.
    A delimiter or a line's end counts where no quote is open.
    """
    lines = feed.left()
    if lines is None or not len(lines.starts):
        return None
    first, end = int(lines.starts[0]), int(lines.stops[-1])
    data, starts, stops = lines.data[first:end], lines.starts - first, lines.stops - first
    marks = np.flatnonzero(data == dialect.delimiter)
    quotes = np.flatnonzero(data == QUOTE) if dialect.quotes else marks[:0]
    if dialect.quotes and (data == 0).any():
        return None  # which the csv module takes from Python 3.11 on
    consumed = len(stops)
    if len(quotes):
        closed = np.flatnonzero(np.searchsorted(quotes, stops) % 2 == 0)  # lines that end outside quotes
        if not len(closed):
            return None
        consumed = int(closed[-1]) + 1
        starts, stops = np.concatenate([starts[:1], starts[closed[:-1] + 1]]), stops[closed]
        data = data[: stops[-1]]
        quotes = quotes[: np.searchsorted(quotes, len(data))]
        marks = marks[: np.searchsorted(marks, len(data))]
        marks = marks[np.searchsorted(quotes, marks) % 2 == 0]
        if not _quotes_fit(data, quotes, dialect.delimiter):
            return None
    if dialect.quotes and _has_stray_cr(data, quotes, stops):
        return None
    feed.skip(consumed)
    counts = np.searchsorted(marks, stops) - np.searchsorted(marks, starts)  # delimiters, int64 [rows]
    full = stops > starts  # a blank line is no row, and has no delimiter
    starts, stops, counts = starts[full], stops[full], counts[full]
    positions = position + np.arange(len(starts))
    good = _bury(data, starts, stops, counts, positions, table, dead)
    between = marks[np.repeat(good, counts)].reshape(int(good.sum()), len(table.header) - 1)
    starts, stops = starts[good], stops[good]
    doubled = bool((np.diff(quotes)[1::2] == 1).any())
    arrays = []
    for name in table.columns.wanted:
        i = table.header.index(name) if name in table.header else 0
        begin = between[:, i - 1] + 1 if i else starts
        close = between[:, i] if i < len(table.header) - 1 else stops
        quoted = False
        if len(quotes):
            inside = (close > begin) & (data[np.minimum(begin, len(data) - 1)] == QUOTE)
            begin, close, quoted = begin + inside, close - inside, bool(inside.any())
        array, _ = utf8(cut_out(data, begin, close))
        arrays.append(pc.replace_substring(array, '""', '"') if quoted and doubled else array)
    return _Parsed(arrays, positions[good], lambda i: data[starts[i] : stops[i]].tobytes(), len(full[full]))


def _quotes_fit(data: NDArray[np.uint8], quotes: NDArray[np.int64], delimiter: int) -> bool:
    """Whether quotes stand at the edges of fields, or two together inside one."""
    opening, closing = quotes[0::2], quotes[1::2]
    before = data[np.maximum(opening - 1, 0)]
    at_start = (before == delimiter) | (before == QUOTE) | (before == LF) | (opening == 0)
    last = len(data) - 1
    after, then = data[np.minimum(closing + 1, last)], data[np.minimum(closing + 2, last)]
    crlf = (after == CR) & (then == LF)
    at_end = (after == delimiter) | (after == QUOTE) | (after == LF) | crlf | (closing == last)
    return bool(at_start.all() and at_end.all())


def _has_stray_cr(data: NDArray[np.uint8], quotes: NDArray[np.int64], stops: NDArray[np.int64]) -> bool:
    """Whether a CR stands outside quotes and not before a LF, where the csv module refuses it."""
    returns = np.flatnonzero(data == CR)
    outside = returns[np.searchsorted(quotes, returns) % 2 == 0]
    return bool((~np.isin(outside, stops)).any())


def _bury(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    counts: NDArray[np.int64],
    positions: NDArray[np.int64],
    table: _Table,
    dead: DeadLetters,
) -> NDArray[np.bool_]:
    """Takes rows that cannot be used in as dead letters; returns which can be, bool [rows]."""
    try:
        data.tobytes().decode()
        broken = np.zeros(len(starts), bool)
    except UnicodeDecodeError:
        _, broken = utf8(cut_out(data, starts, stops))
    long = stops - starts > table.columns.max_row_bytes
    good: NDArray[np.bool_] = ~(broken | long | (counts != len(table.header) - 1))
    if any(name not in table.header for name in table.columns.wanted):
        good[:] = False
    for i in np.flatnonzero(~good).tolist():
        fields = int(counts[i]) + 1
        problem = _problem(bool(long[i]), bool(broken[i]), fields, table)
        if problem:
            dead.add(*problem, table.file, int(positions[i]), data[starts[i] : stops[i]][: RAW_BYTES + 1].tobytes())
    return good


def _problem(long: bool, broken: bool, fields: int, table: _Table) -> tuple[str, str] | None:
    """Says why a row cannot be used, or None."""
    if long:
        return "too_long", f"more than read.max_row_bytes ({table.columns.max_row_bytes} bytes)"
    if broken:
        return "bad_encoding", "not UTF-8"
    if fields != len(table.header):
        return "bad_row", f"{fields} fields where {len(table.header)} were expected"
    missing = [name for name in table.columns.wanted if name not in table.header]
    return ("missing_column", f"no column {missing[0]!r}; it has {', '.join(table.header)}") if missing else None


def _gather(
    rows: Iterator[list[str] | csv.Error],
    feed: _LineFeed,
    table: _Table,
    position: int,
    dead: DeadLetters,
) -> _Parsed:
    """Reads what is left of a block row by row, and the next block as far as the last row goes."""
    fields: list[list[str]] = []
    raws: list[bytes] = []
    positions: list[int] = []
    read, block = 0, feed.blocks
    while feed.has_line() and feed.blocks == block:
        row = next(rows)
        raw = feed.take_raw()
        if isinstance(row, list) and not row:
            continue
        problem: tuple[str, str] | None
        if isinstance(row, csv.Error):
            problem = "too_long" if "field larger" in str(row) else "bad_row", str(row)
        else:
            long = len(raw) > table.columns.max_row_bytes or any(TOO_LONG in field for field in row)
            problem = _problem(long, any(map(NOT_UTF8.search, row)), len(row), table)
        if problem is None and isinstance(row, list):
            fields.append(row)
            raws.append(raw)
            positions.append(position + read)
        elif problem is not None:
            dead.add(*problem, table.file, position + read, raw[: RAW_BYTES + 1])
        read += 1
    index = [table.header.index(name) if name in table.header else 0 for name in table.columns.wanted]
    arrays = [pa.array([row[i] for row in fields], pa.string()) for i in index]
    return _Parsed(arrays, np.array(positions, np.int64), raws.__getitem__, read)


def _to_rows(parsed: _Parsed, columns: Columns, file: str, dead: DeadLetters) -> Rows:
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
            reason |= {int(i): f"{name}: {strings[int(i)].as_py()[:100]!r} is no {kind}" for i in new}
            bad |= misfit
        arrays.append(array)
    if not bad.any():
        return make_rows(columns, file, parsed.positions, arrays, dead)
    for i, message in sorted(reason.items()):
        dead.add("wrong_type", message, file, int(parsed.positions[i]), parsed.raw(i))
    good = pa.array(~bad)
    return make_rows(columns, file, parsed.positions[~bad], [array.filter(good) for array in arrays], dead)


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
