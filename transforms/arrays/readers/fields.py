"""Blocks of well-formed rows of fields, cut into columns at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow.compute as pc

from transforms.arrays.dead_letters import RAW_BYTES, DeadLetters
from transforms.arrays.readers.lines import CR, LF, cut_out
from transforms.arrays.readers.rows import Columns, utf8

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from transforms.arrays.readers.line_feed import LineFeed

QUOTE = ord('"')


class Table(NamedTuple):
    """What the rows of a file have in common.

    Attributes:
        header: Names of its columns.
        columns: The columns to read.
        file: Its path relative to the root.
    """

    header: list[str]
    columns: Columns
    file: str


class Parsed(NamedTuple):
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


def cut_block(
    feed: LineFeed, delimiter: int, quoting: bool, table: Table, position: int, dead: DeadLetters
) -> Parsed | None:
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
    marks = np.flatnonzero(data == delimiter)
    quotes = np.flatnonzero(data == QUOTE) if quoting else marks[:0]
    if quoting and (data == 0).any():
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
        if not _quotes_fit(data, quotes, delimiter):
            return None
    if quoting and _has_stray_cr(data, quotes, stops):
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
    return Parsed(arrays, positions[good], lambda i: data[starts[i] : stops[i]].tobytes(), len(full[full]))


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
    table: Table,
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
        problem = row_problem(bool(long[i]), bool(broken[i]), fields, table)
        if problem:
            dead.add(*problem, table.file, int(positions[i]), data[starts[i] : stops[i]][: RAW_BYTES + 1].tobytes())
    return good


def row_problem(long: bool, broken: bool, fields: int, table: Table) -> tuple[str, str] | None:
    """Says why a row cannot be used, or None."""
    if long:
        return "too_long", f"more than read.max_row_bytes ({table.columns.max_row_bytes} bytes)"
    if broken:
        return "bad_encoding", "not UTF-8"
    if fields != len(table.header):
        return "bad_row", f"{fields} fields where {len(table.header)} were expected"
    missing = [name for name in table.columns.wanted if name not in table.header]
    return ("missing_column", f"no column {missing[0]!r}; it has {', '.join(table.header)}") if missing else None
