"""JSON Lines: every line that is not blank is an object, and a row."""

from __future__ import annotations

import re
import sys
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from transforms.arrays.dead_letters import DeadLetters
from transforms.arrays.errors import JobError
from transforms.arrays.readers.lines import Lines, read_lines
from transforms.arrays.readers.rows import Columns, Rows, Source, make_rows
from transforms.arrays.readers.text import bury_too_long

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

OPEN, CLOSE = ord("{"), ord("}")

FLOAT32_MAX = float(np.finfo(np.float32).max)

JSON_TYPES: dict[Any, Any] = {
    pa.bool_(): bool,
    pa.int32(): Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)],
    pa.int64(): Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],
    pa.float32(): Annotated[float, msgspec.Meta(ge=-FLOAT32_MAX, le=FLOAT32_MAX)],
    pa.float64(): Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)],
    pa.string(): str,
}


# What is built of a line that is no row is little beside it: its values as they are spelled, and only those wanted.
SPELLED = msgspec.json.Decoder(msgspec.Raw)  # takes whatever is JSON, and reads none of it
NAMES = msgspec.json.Decoder(dict[str, msgspec.Raw])
ANY_JSON = msgspec.json.Decoder(float_hook=float)  # takes numbers of any size, as the grammar does

NAMED_BYTES = 1 << 20  # of a longer line without a text its keys are not told: there may be millions

# An escape, a surrogate pair being one; half a pair is the group.
ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|(u[dD][89a-fA-F]\w\w)|.)", re.DOTALL)


NO_NAME = re.compile(r'[\0-\x1f"\\]')  # in names of columns: the decoder compares keys as they are spelled


class BadRow(NamedTuple):
    """Why a line is no row.

    Attributes:
        reason: One of `dead_letters.REASONS`.
        message: For a person.
    """

    reason: str
    message: str


def refuse_names(names: Iterable[str]) -> None:
    """Refuses columns that the decoder cannot look for.

    Args:
        names: Of columns.

    Raises:
        JobError: A name has a character that JSON spells with a backslash.
    """
    for name in names:
        if NO_NAME.search(name):
            raise JobError(
                f"read: the column {name!r} cannot be read from JSON Lines: its name has a quote, a backslash or a "
                "control character; rename it in the input"
            )


def row_type(columns: Columns) -> Any:
    """Builds the struct that a line is decoded into: texts are required strings, kept columns may be null."""
    refuse_names(columns.wanted)
    fields: list[Any] = []
    for i, name in enumerate(columns.wanted):
        if name in columns.texts:
            fields.append((f"c{i}", str))
        else:
            fields.append((f"c{i}", JSON_TYPES[columns.kept[name]] | None, None))
    rename = {f"c{i}": name for i, name in enumerate(columns.wanted)}
    return msgspec.defstruct("Row", fields, rename=rename, kw_only=True, gc=False)


def read_jsonl(stream: BinaryIO, source: Source, columns: Columns) -> Iterator[Rows]:
    """Reads JSON Lines.

    Args:
        stream: The file, decompressed.
        source: The range to read.
        columns: The columns to read.

    Yields:
        Rows by the block.
    """
    decoder = msgspec.json.Decoder(row_type(columns))
    for lines in read_lines(stream, source.start, source.stop, max_row_bytes=columns.max_row_bytes):
        dead = DeadLetters()
        bury_too_long(dead, source.file, lines, columns.max_row_bytes)
        lines = _without_empty(lines)
        rows = _decode_block(decoder, lines)
        if rows is None:
            rows, lines = _decode_lines(decoder, lines, columns, source.file, dead)
        yield make_rows(columns, source.file, lines.positions, to_arrays(rows, columns), dead, lines.line)


def to_arrays(rows: Sequence[Any], columns: Columns) -> list[Any]:
    """Turns structs of `row_type` into columns.

    Args:
        rows: The structs.
        columns: That the type was built for.

    Returns:
        One Arrow array a wanted column, [rows].
    """
    return [
        pa.array(list(map(attrgetter(f"c{i}"), rows)), columns.type_of(name)) for i, name in enumerate(columns.wanted)
    ]


def _without_empty(lines: Lines) -> Lines:
    full = lines.stops > lines.starts
    if full.all():
        return lines
    return lines.only(full)


def _decode_block(decoder: Any, lines: Lines) -> list[Any] | None:
    """Decodes a whole block at once; None where a line may not be an object of its own.

    The library's `decode_lines` takes several objects on a line, an object over several lines, and bytes
    that are not UTF-8 where it skips a value. A line that begins with a brace, ends with one and is UTF-8
    can be none of these unless the number of objects differs from the number of lines: an object that
    went on into the next line would need a comma, colon or bracket before that line's brace.
    """
    if not len(lines.starts):
        return []
    begin, end = int(lines.starts[0]), int(lines.stops[-1])
    framed = (lines.data[lines.starts] == OPEN) & (lines.data[lines.stops - 1] == CLOSE)
    # Lines that were passed over, or that belong to the next range, are still in the buffer.
    gaps = int((lines.starts[1:] - lines.stops[:-1]).max(initial=1)) > len(b"\r\n")
    if gaps or not framed.all():
        return None
    block = lines.data[begin:end].tobytes()
    try:
        block.decode()
        rows: list[Any] = decoder.decode_lines(block)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return rows if len(rows) == len(lines.starts) else None


def _decode_lines(
    decoder: Any, lines: Lines, columns: Columns, file: str, dead: DeadLetters
) -> tuple[list[Any], Lines]:
    """Decodes a block line by line, so that a bad line is found and the others are not lost."""
    rows, good = [], []
    for i in range(len(lines.starts)):
        line = lines.line(i)
        row = _decode_line(decoder, line, columns)
        if isinstance(row, BadRow):
            dead.add(row.reason, row.message, file, int(lines.positions[i]), line)
        elif row is not None:
            rows.append(row)
            good.append(i)
    return rows, lines.only(np.array(good, np.int64))


def _decode_line(decoder: Any, line: bytes, columns: Columns) -> Any:
    """Decodes a line into a row, a `BadRow`, or None for a blank one."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return BadRow("bad_encoding", f"not UTF-8 at byte {error.start} of the line")
    if not line.strip(b" \t\r\n"):
        return None
    try:
        return decoder.decode(line)
    except (msgspec.MsgspecError, RecursionError):
        pass
    try:
        SPELLED.decode(line)
    except (msgspec.MsgspecError, RecursionError) as error:
        return _bad_json(line, error)
    try:
        # Of two equal keys the last counts, whatever the others are.
        spelled = msgspec.json.decode(line, type=_spelled_type(columns.wanted))
        row = {
            name: _value(raw) for name, raw in zip(columns.wanted, msgspec.structs.astuple(spelled), strict=True) if raw
        }
    except msgspec.ValidationError as error:
        return _bad_kind(line, error)
    try:
        return msgspec.convert(row, decoder.type)
    except (msgspec.ValidationError, OverflowError) as error:
        names = NAMES.decode(line) if len(line) <= NAMED_BYTES else {}
        return bad_value({**dict.fromkeys(names), **row}, columns.texts, str(error), decoder.type)


@cache
def _spelled_type(wanted: tuple[str, ...]) -> Any:
    """Builds the struct of some columns as they are spelled; empty where a line has none."""
    fields = [(f"c{i}", msgspec.Raw, msgspec.Raw(b"")) for i in range(len(wanted))]
    return msgspec.defstruct("Spelled", fields, rename={f"c{i}": name for i, name in enumerate(wanted)}, gc=False)


def _value(raw: msgspec.Raw) -> Any:
    """Reads a value; a list or a mapping, which fits no column, is taken for an empty one."""
    spelled = bytes(raw)
    return {b"[": [], b"{": {}}[spelled[:1]] if spelled[:1] in b"[{" else ANY_JSON.decode(spelled)


def _bad_kind(line: bytes, error: Exception) -> BadRow:
    """Tells a line that is no object from a number that none can hold."""
    first = line.lstrip(b" \t\r\n")[:1]
    if first == b"{":
        return BadRow("wrong_type", str(error))  # an integer of thousands of digits
    kind = {b"[": "list", b'"': "str", b"t": "bool", b"f": "bool", b"n": "NoneType"}.get(first)
    return BadRow("bad_row", f"expected an object, got {kind or ('float' if set(b'.eE') & set(line) else 'int')}")


def _bad_json(line: bytes, error: Exception) -> BadRow:
    """Tells half a surrogate pair from other bad JSON."""
    mended = ESCAPE.sub(lambda escape: b"?" if escape[1] else escape[0], line)
    if len(mended) < len(line):
        try:
            SPELLED.decode(mended)
        except (msgspec.MsgspecError, RecursionError):
            pass
        else:
            return BadRow("bad_encoding", "an escape is half of a surrogate pair")
    return BadRow("bad_json", "nested too deeply" if isinstance(error, RecursionError) else str(error))


def bad_value(row: dict[str, Any], texts: Sequence[str], message: str, row_type: Any) -> BadRow:
    """Says why a dict is no struct of `row_type`.

    Args:
        row: The dict.
        texts: The text columns.
        message: What msgspec said of it.
        row_type: The struct.

    Returns:
        The reason: a text missing, null, or a value of the wrong type.
    """
    for text in texts:
        if text not in row:
            there = f"; it has {', '.join(map(repr, list(row)[:8]))}" if row else ""
            return BadRow("missing_column", f"no {text!r}{there}")
        if row[text] is None:
            return BadRow("null_text", f"{text} is null")
    return BadRow("wrong_type", message)
