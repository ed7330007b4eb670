"""What can be told from the first rows of a file: the columns it has, and the types of the kept ones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import msgspec
import pyarrow as pa

from transforms.arrays.errors import ConfigError, suggest
from transforms.arrays.readers.delimited import first_rows
from transforms.arrays.readers.jsonl import refuse_names
from transforms.arrays.readers.lines import read_lines
from transforms.arrays.readers.parquet import open_parquet, refuse_doubles
from transforms.arrays.readers.rows import KEPT_TYPES, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLE_ROWS = 1000

NO_NUMBER = re.compile(r"-?0[0-9xX]")

SHOWN = 40  # characters of a column's name, which may be a line of text where there is no header


class Sample(NamedTuple):
    """What a file's first rows tell.

    Attributes:
        path: The file.
        names: Columns it has.
        types: Arrow types of the kept columns without a type that it has, where its rows tell them.
        untold: What is wrong with those whose types its rows do not tell and that do not pass for strings.
        remedy: What can be done where a column is not there.
        is_plain: Whether it is plain text, of one column whatever its name.
    """

    path: str
    names: Sequence[str]
    types: dict[str, Any]
    untold: dict[str, str] = {}  # noqa: RUF012 - never changed
    remedy: str = ""
    is_plain: bool = False


class Search:
    """Looks through the first rows of files, one after the other, until every column is found.

    Rows without a column are dead letters, or have a null; a column that no file has is a mistake.

    Args:
        reading: The section `read`.
    """

    def __init__(self, reading: Reading) -> None:
        said = reading.keep if isinstance(reading.keep, dict) else {}
        self._types = {name: KEPT_TYPES[kind] for name, kind in said.items()}
        self._types |= {name: pa.string() for name in reading.keep if name in reading.texts}
        self._kept = tuple(reading.keep)
        self._missing = dict.fromkeys(_wanted(reading))  # in their order
        self._first: Sample | None = None
        self._untold: dict[str, str] = {}

    @property
    def said(self) -> dict[str, Any]:
        """Kept columns whose Arrow types are known."""
        return self._types

    @property
    def is_over(self) -> bool:
        """Whether every column was found, and the types of the kept ones."""
        return not self._missing and self._types.keys() >= set(self._kept)

    def take(self, sample: Sample) -> None:
        """Takes in what a file tells; of two files the first decides."""
        self._first = self._first or sample
        self._missing = {wanted: None for wanted in self._missing if wanted[1] not in sample.names}
        self._types = sample.types | self._types
        self._untold = sample.untold | self._untold

    def kept(self) -> dict[str, Any]:
        """Says how the kept columns are typed: as strings where no file has a row.

        Raises:
            ConfigError: No file has a column, or a type cannot be told.
        """
        if self._first is not None:
            for option, name in self._missing:
                raise ConfigError(_not_there(option, name, self._first))
        for name, problem in self._untold.items():
            if name not in self._types:
                raise ConfigError(problem)
        return {name: self._types.get(name, pa.string()) for name in self._kept}


def _not_there(option: str, name: str, sample: Sample) -> str:
    if sample.is_plain and option == "read.text_pair":
        return f"{option}: {sample.path} is plain text, which has no second column"
    hint = suggest(name, sample.names)
    if not hint.startswith("did"):
        # A close match is a slip of the pen; without one the names may be no names.
        hint = f"one of {', '.join(known[:SHOWN] for known in sorted(sample.names))}{sample.remedy}"
    return f"{option}: {sample.path} has no column {name!r}; {hint}"


def _wanted(reading: Reading) -> list[tuple[str, str]]:
    """Every column that is asked for, with the option that asks."""
    pair = [("read.text_pair", reading.text_pair)] if reading.text_pair is not None else []
    return [("read.text", reading.text), *pair, *(("read.keep", name) for name in reading.keep)]


def sample_text(stream: BinaryIO, path: str, reading: Reading, said: dict[str, Any]) -> Sample:
    """Tells from the first rows of plain text: see `readers.Reader.sample`."""
    return Sample(path, [reading.text], {}, is_plain=True)


def sample_jsonl(stream: BinaryIO, path: str, reading: Reading, said: dict[str, Any]) -> Sample | None:
    """Tells from the first rows of JSON Lines: see `readers.Reader.sample`."""
    refuse_names(name for _, name in _wanted(reading))
    rows = []
    block = next(read_lines(stream, max_row_bytes=reading.max_row_bytes), None)
    for i in range(min(SAMPLE_ROWS, len(block.starts) if block else 0)):
        try:
            row = msgspec.json.decode(block.line(i) if block else b"")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        if isinstance(row, dict):
            rows.append(row)
    if not rows:
        if block is not None and len(block.starts) and block.line(0).lstrip()[:1] == b"[":
            raise ConfigError(f"read.format: {path} begins with an array; JSON Lines has an object on each line")
        return None
    names = dict.fromkeys(name for row in rows for name in row)
    types, untold = {}, {}
    for name in reading.keep:
        if name in said:
            names[name] = None  # every line has columns of its own: it may be further down
        elif name in names:
            values = [row[name] for row in rows if row.get(name) is not None]
            kind = _of_values(name, values, path)
            if isinstance(kind, str):
                untold[name] = kind
            else:
                types[name] = kind
    return Sample(path, list(names), types, untold)


def _of_values(name: str, values: list[Any], path: str) -> Any:
    """The type of values; what is wrong where there are none, which another file may have."""
    kinds = {type(value) for value in values}
    for some, kind in (({bool}, pa.bool_()), ({str}, pa.string()), ({int}, pa.int64()), ({int, float}, pa.float64())):
        if kinds and kinds <= some:
            return kind
    spelled = "no value" if not kinds else f"values of types {', '.join(sorted(kind.__name__ for kind in kinds))}"
    problem = (
        f"read.keep: the first rows of {path} have {spelled} for {name!r}; say its type: "
        f"read.keep: {{{name}: {'|'.join(KEPT_TYPES)}}}"
    )
    if kinds:
        raise ConfigError(problem)
    return problem


def _of_delimited(stream: BinaryIO, reader: str, path: str, reading: Reading, said: dict[str, Any]) -> Sample | None:
    wanted = tuple(name for _, name in _wanted(reading))
    header, rows = first_rows(stream, reader, path, reading.columns, wanted, reading.max_row_bytes, SAMPLE_ROWS)
    if header is None:
        return None
    no_header = "" if reading.columns else "; if its first line is a row already, name the columns: read.columns: [...]"
    types = {}
    for name in reading.keep:
        if name in header and name not in said and rows:
            index = header.index(name)
            values = [row[index] for row in rows if len(row) == len(header)]
            types[name] = _of_strings([value for value in values if value])
    return Sample(path, header, types, remedy=no_header)


def sample_csv(stream: BinaryIO, path: str, reading: Reading, said: dict[str, Any]) -> Sample | None:
    """Tells from the first rows of CSV: see `readers.Reader.sample`."""
    return _of_delimited(stream, "csv", path, reading, said)


def sample_tsv(stream: BinaryIO, path: str, reading: Reading, said: dict[str, Any]) -> Sample | None:
    """Tells from the first rows of TSV: see `readers.Reader.sample`."""
    return _of_delimited(stream, "tsv", path, reading, said)


def _of_strings(values: list[str]) -> Any:
    """The narrowest type that takes every field; string where there is none to tell from."""
    fields = pa.array(values, pa.string())
    for kind in (pa.int64(), pa.float64(), pa.bool_()):
        try:
            typed = fields.cast(kind)
        except pa.ArrowInvalid:
            continue
        # What a number would not keep, such as 007, is no number.
        if (
            values
            and not any(map(NO_NUMBER.match, values))
            and (kind != pa.int64() or typed.cast(pa.string()) == fields)
        ):
            return kind
    return pa.string()


def sample_parquet(stream: BinaryIO, path: str, reading: Reading, said: dict[str, Any]) -> Sample:
    """Tells from the first rows of Parquet: see `readers.Reader.sample`."""
    schema = open_parquet(stream, path).schema_arrow
    refuse_doubles(schema.names, [name for _, name in _wanted(reading)], path)
    untyped = [name for name in reading.keep if name in schema.names and name not in said]
    return Sample(path, schema.names, {name: _of_arrow(name, schema.field(name).type, path) for name in untyped})


def _of_arrow(name: str, kind: Any, path: str) -> Any:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_integer(kind) and kind not in (pa.uint64(), pa.int64()):
        return pa.int32() if kind.bit_width < 32 or kind == pa.int32() else pa.int64()
    if kind == pa.float16():
        return pa.float32()
    if kind in KEPT_TYPES.values():
        return kind
    fits = [said for said, kept in KEPT_TYPES.items() if _fits(kind, kept)]
    remedy = f"say its type: read.keep: {{{name}: {'|'.join(fits)}}}" if fits else "leave it out"
    raise ConfigError(f"read.keep: {name!r} of {path} is {kind}; kept columns are {', '.join(KEPT_TYPES)}: {remedy}")


def _fits(kind: Any, kept: Any) -> bool:
    """Whether rows of an Arrow type can be kept as another."""
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return bool(kept == pa.string())
    numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return bool(numbers and (pa.types.is_integer(kept) or pa.types.is_floating(kept)))
