"""What can be told from the first rows of a file: whether its columns are there, and the kept types."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec
import pyarrow as pa

from transforms.arrays.errors import ConfigError, suggest
from transforms.arrays.readers.delimited import first_rows
from transforms.arrays.readers.lines import read_lines
from transforms.arrays.readers.parquet import open_parquet, refuse_doubles
from transforms.arrays.readers.rows import KEPT_TYPES, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SAMPLE_ROWS = 1000

NO_NUMBER = re.compile(r"-?0[0-9xX]")


def _check_columns(names: Sequence[str], wanted: Iterable[tuple[str, str]], path: str, remedy: str = "") -> None:
    for option, name in wanted:
        if name not in names:
            hint = suggest(name, names)
            # A close match is a slip of the pen; without one the names may be no names.
            raise ConfigError(
                f"{option}: {path} has no column {name!r}; {hint}{'' if hint.startswith('did') else remedy}"
            )


def _wanted(reading: Reading) -> list[tuple[str, str]]:
    """Every column that is asked for, with the option that asks."""
    pair = [("read.text_pair", reading.text_pair)] if reading.text_pair is not None else []
    return [("read.text", reading.text), *pair, *(("read.keep", name) for name in reading.keep)]


def sample_text(stream: BinaryIO, path: str, reading: Reading, said: dict[str, Any]) -> dict[str, Any]:
    """Tells from the first rows of plain text: see `readers.Reader.sample`."""
    if reading.text_pair is not None:
        raise ConfigError(f"read.text_pair: {path} is plain text, which has no second column")
    _check_columns([reading.text], [("read.keep", name) for name in reading.keep], path)
    return {name: said.get(name, pa.string()) for name in reading.keep}


def sample_jsonl(stream: BinaryIO, path: str, reading: Reading, said: dict[str, Any]) -> dict[str, Any] | None:
    """Tells from the first rows of JSON Lines: see `readers.Reader.sample`."""
    rows = []
    block = next(read_lines(stream, max_row_bytes=reading.max_row_bytes), None)
    if block is not None and len(block.starts) and block.line(0).lstrip()[:1] == b"[":
        raise ConfigError(f"read.format: {path} begins with an array; JSON Lines has an object on each line")
    for i in range(min(SAMPLE_ROWS, len(block.starts) if block else 0)):
        try:
            row = msgspec.json.decode(block.line(i) if block else b"")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        if isinstance(row, dict):
            rows.append(row)
    if not rows:
        return None
    names = list(dict.fromkeys(name for row in rows for name in row))
    _check_columns(names, _wanted(reading), path)
    return {name: said.get(name) or _of_values(name, [row.get(name) for row in rows], path) for name in reading.keep}


def _of_values(name: str, values: list[Any], path: str) -> Any:
    kinds = {type(value) for value in values if value is not None}
    for some, kind in (({bool}, pa.bool_()), ({str}, pa.string()), ({int}, pa.int64()), ({int, float}, pa.float64())):
        if kinds and kinds <= some:
            return kind
    spelled = "no value" if not kinds else f"values of types {', '.join(sorted(kind.__name__ for kind in kinds))}"
    raise ConfigError(
        f"read.keep: the first rows of {path} have {spelled} for {name!r}; say its type: "
        f"read.keep: {{{name}: {'|'.join(KEPT_TYPES)}}}"
    )


def _of_delimited(
    stream: BinaryIO, reader: str, path: str, reading: Reading, said: dict[str, Any]
) -> dict[str, Any] | None:
    wanted = tuple(name for _, name in _wanted(reading))
    header, rows = first_rows(stream, reader, path, reading.columns, wanted, reading.max_row_bytes, SAMPLE_ROWS)
    if header is None:
        return None
    no_header = "" if reading.columns else "; if its first line is a row already, name the columns: read.columns: [...]"
    _check_columns([name[:40] for name in header], _wanted(reading), path, no_header)
    kept = {}
    for name in reading.keep:
        index = header.index(name)
        values = [row[index] for row in rows if len(row) == len(header)]
        kept[name] = said.get(name) or _of_strings([value for value in values if value])
    return kept


def sample_csv(stream: BinaryIO, path: str, reading: Reading, said: dict[str, Any]) -> dict[str, Any] | None:
    """Tells from the first rows of CSV: see `readers.Reader.sample`."""
    return _of_delimited(stream, "csv", path, reading, said)


def sample_tsv(stream: BinaryIO, path: str, reading: Reading, said: dict[str, Any]) -> dict[str, Any] | None:
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


def sample_parquet(stream: BinaryIO, path: str, reading: Reading, said: dict[str, Any]) -> dict[str, Any]:
    """Tells from the first rows of Parquet: see `readers.Reader.sample`."""
    schema = open_parquet(stream, path).schema_arrow
    refuse_doubles(schema.names, [name for _, name in _wanted(reading)], path)
    _check_columns(schema.names, _wanted(reading), path)
    return {name: said.get(name) or _of_arrow(name, schema.field(name).type, path) for name in reading.keep}


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
