"""What every reader gives: rows in columns, dead letters, and counts that add up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.arrays.dead_letters import DeadLetters, add_rows
from transforms.arrays.errors import ConfigError, at_most_one_of_each, one_of
from transforms.arrays.identity import row_ids
from transforms.arrays.spec import Spec, at_least

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

KEPT_TYPES = {
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "string": pa.string(),
}

KEPT_NAMES = {kind: name for name, kind in KEPT_TYPES.items()}

EMPTY = ("keep", "drop", "dead_letter")

ROW_ID_COLUMN = "row_id"

MAX_ROW_BYTES = 1 << 30  # a row and the block it ends in are one array, whose offsets have 31 bits


class Reading(Spec, frozen=True):
    """What is read: the section `read`.

    Attributes:
        files: A pattern or several.
        format: "auto" (by the suffix), or a reader's name.
        text: Column of the first sequence.
        text_pair: Column of the second sequence, if any.
        keep: Columns carried through, with their types where they are given.
        columns: Names of the columns of a CSV or TSV without a header line.
        root: The folder that row ids are relative to; None: derived from the patterns.
        split_bytes: Target size of one unit of work.
        empty: What becomes of rows whose texts are all empty.
        max_row_bytes: A longer row is a dead letter.
    """

    files: str | tuple[str, ...] = ()
    format: str = "auto"
    text: str = "text"
    text_pair: str | None = None
    keep: tuple[str, ...] | dict[str, str] = ()
    columns: tuple[str, ...] | None = None
    root: str | None = None
    split_bytes: int = 67108864
    empty: str = "keep"
    max_row_bytes: int = 268435456

    def __post_init__(self) -> None:
        """Refuses values that no input can satisfy."""
        from transforms.arrays.readers import READERS  # the registry needs this module first

        one_of(self.format, ["auto", *READERS], "read.format")
        one_of(self.empty, EMPTY, "read.empty")
        at_least(self.split_bytes, 1, "read.split_bytes")
        at_least(self.max_row_bytes, 1, "read.max_row_bytes")
        if self.max_row_bytes > MAX_ROW_BYTES:
            raise ConfigError(f"read.max_row_bytes: {self.max_row_bytes} is too large; at most {MAX_ROW_BYTES}")
        at_most_one_of_each(self.keep, "read.keep")
        at_most_one_of_each(self.columns or (), "read.columns")
        if self.text == self.text_pair:
            raise ConfigError(f"read.text_pair: {self.text_pair!r} is read.text already; name another column")
        for key, column in (("text", self.text), ("text_pair", self.text_pair)):
            if column in (ROW_ID_COLUMN, "input_ids"):
                raise ConfigError(f"read.{key}: a column called {column!r} cannot be a text; rename it in the input")
        for column, kind in self.keep.items() if isinstance(self.keep, dict) else ():
            one_of(kind, KEPT_TYPES, f"read.keep.{column}")
            if column in self.texts and kind != "string":
                raise ConfigError(f"read.keep.{column}: it is a text, which cannot be kept as {kind}; write string")

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns, however many were written."""
        return (self.files,) if isinstance(self.files, str) else self.files

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns that are tokenized: one, or two for pairs."""
        return (self.text,) if self.text_pair is None else (self.text, self.text_pair)


class Source(NamedTuple):
    """A stretch of a file that one reader reads.

    Attributes:
        path: Where the file is.
        file: Its path relative to the root.
        start: First byte of the range, or first row group.
        stop: Behind the last; None for the file's end.
    """

    path: str
    file: str
    start: int = 0
    stop: int | None = None


class Rows(NamedTuple):
    """What a reader gives at a time.

    Attributes:
        batch: `row_id` and the columns that were asked for; texts are strings without nulls.
        dead: Dead letters, a RecordBatch of `dead_letters.SCHEMA`.
        read: Rows read, the dead and the dropped among them.
        dropped_empty: Rows left out because their texts are empty.
    """

    batch: Any
    dead: Any
    read: int
    dropped_empty: int


class Columns(NamedTuple):
    """The columns to read.

    Attributes:
        texts: Names of the text columns.
        kept: Names and types of the kept columns.
        empty: `read.empty`.
        max_row_bytes: `read.max_row_bytes`.
        names: `read.columns`.
    """

    texts: tuple[str, ...]
    kept: dict[str, Any]
    empty: str = "keep"
    max_row_bytes: int = 268435456
    names: tuple[str, ...] | None = None

    @property
    def wanted(self) -> tuple[str, ...]:
        """All columns by name, each once."""
        return tuple(dict.fromkeys((*self.texts, *self.kept)))

    def type_of(self, column: str) -> Any:
        """The Arrow type of a column as rows carry it."""
        return pa.string() if column in self.texts else self.kept[column]


def columns_of(reading: Reading, kept: dict[str, Any]) -> Columns:
    """Says which columns a reader reads.

    Args:
        reading: The section `read`.
        kept: Names and Arrow types of the kept columns, resolved.

    Returns:
        The columns.
    """
    return Columns(reading.texts, kept, reading.empty, reading.max_row_bytes, reading.columns)


def utf8(array: Any) -> tuple[Any, NDArray[np.bool_]]:
    """Turns bytes into strings.

    Args:
        array: A binary or string array; its bytes are not trusted.

    Returns:
        A string array, and which of its rows are no UTF-8, bool [rows]; those are empty strings.
    """
    text = array.cast(pa.binary()).view(pa.string())
    bad = np.zeros(len(array), bool)
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        values = array.cast(pa.binary()).to_pylist()
        for i, value in enumerate(values):
            try:
                (value or b"").decode()
            except UnicodeDecodeError:
                bad[i] = True
                values[i] = b""
        text = pa.array(values, pa.binary()).view(pa.string())
    return text, bad


def make_rows(
    columns: Columns,
    file: str,
    positions: NDArray[np.int64],
    arrays: Sequence[Any],
    dead: DeadLetters,
    raw_of: Callable[[int], bytes] | None = None,
) -> Rows:
    """Checks what a reader has read and puts it into rows.

    Args:
        columns: The columns that were read.
        file: Path relative to the root.
        positions: Each row's place, int64 [rows].
        arrays: One array a wanted column, of its type; texts may have nulls.
        dead: Rows that the reader itself refused; this takes in those refused here.
        raw_of: A row's line, by its number; None where rows have no lines.

    Returns:
        The rows that can be used; `read` counts all of them.
    """
    read = len(positions) + len(dead)
    batch = pa.RecordBatch.from_arrays([row_ids(file, positions), *arrays], names=[ROW_ID_COLUMN, *columns.wanted])

    def bury(reason: str, rows: NDArray[np.bool_], message: str) -> None:
        if raw_of is None:
            add_rows(dead, reason, batch, np.flatnonzero(rows), message)
            return
        for i in np.flatnonzero(rows).tolist():
            dead.add(reason, message, file, int(positions[i]), raw_of(i))

    keep = np.ones(len(positions), bool)
    for text in columns.texts:
        null = batch.column(text).is_null().to_numpy(zero_copy_only=False)
        bury("null_text", null & keep, f"{text} is null")
        keep &= ~null
    sizes = np.zeros(len(positions), np.int64)  # int64 [rows]: bytes of text
    for text in columns.texts:
        sizes += pc.fill_null(pc.binary_length(batch.column(text)), 0).to_numpy()
    long = keep & (sizes > columns.max_row_bytes)
    message = f"more than read.max_row_bytes ({columns.max_row_bytes} bytes)"
    bury("too_long", long, message)
    keep &= ~long
    empty = keep & (sizes == 0)
    dropped = 0
    if columns.empty == "dead_letter":
        bury("empty_text", empty, f"{' and '.join(columns.texts)} empty")
    elif columns.empty == "drop":
        dropped = int(empty.sum())
    if columns.empty != "keep":
        keep &= ~empty
    kept = batch if keep.all() else batch.filter(pa.array(keep))
    return Rows(kept, dead.to_batch(), read, dropped)


def convert(array: Any, kind: Any) -> tuple[Any, NDArray[np.bool_]]:
    """Casts a column to the type it is kept as.

    Args:
        array: Any Arrow array.
        kind: The Arrow type.

    Returns:
        The column, and which rows do not fit its type, bool [rows]; those are null.
    """
    bad = np.zeros(len(array), bool)
    # An integer fits a float column, rounded where it is large.
    rounds = pa.types.is_integer(array.type) and pa.types.is_floating(kind)
    try:
        converted = array.cast(kind, safe=not rounds)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        converted, bad = _convert_each(array, kind)
    if pa.types.is_floating(kind):
        endless = _flags(pc.is_inf(converted)) & ~_says_infinite(array)
        if endless.any():
            converted, bad = pc.if_else(pa.array(endless), pa.scalar(None, kind), converted), bad | endless
    return converted, bad


def _convert_each(array: Any, kind: Any) -> tuple[Any, NDArray[np.bool_]]:
    """Halves a column until the cells that do not fit stand alone."""
    try:
        return array.cast(kind), np.zeros(len(array), bool)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        if len(array) == 1:
            return pa.nulls(1, kind), np.ones(1, bool)
    half = len(array) // 2
    (left, bad_left), (right, bad_right) = _convert_each(array[:half], kind), _convert_each(array[half:], kind)
    return pa.concat_arrays([left, right]), np.concatenate([bad_left, bad_right])


def _says_infinite(array: Any) -> NDArray[np.bool_]:
    """Which values are infinite as they were written."""
    if pa.types.is_floating(array.type):
        return _flags(pc.is_inf(array))
    if pa.types.is_string(array.type):
        return _flags(pc.match_substring(array, "inf", ignore_case=True))
    return np.zeros(len(array), bool)


def _flags(array: Any) -> NDArray[np.bool_]:
    """A boolean column as bool [rows], null as False."""
    flags: NDArray[np.bool_] = pc.fill_null(array, False).to_numpy(zero_copy_only=False)
    return flags
