"""TFRecord files of `tf.train.Example` records, written from columns.

A record is messages within messages, each with a tag and its length in front:

    Example > Features > map entry (name, Feature) > Int64List, FloatList or BytesList > values

The encoder computes the lengths of all messages as arrays, from the inside out, and joins tags, lengths and
values row by row in Arrow. `records` reads them back and shares nothing with this, since it serves to check
what was written.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.arrays.errors import JobError
from transforms.arrays.ragged import Ragged, offsets_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

BYTES_LIST, FLOAT_LIST, INT64_LIST = b"\x0a", b"\x12", b"\x1a"  # the tags of Feature's three kinds
FIRST, SECOND = b"\x0a", b"\x12"  # the tags of fields 1 and 2 of the messages around and in it


class _Column(NamedTuple):
    """A column whose values are serialized and whose messages are not yet around them.

    Attributes:
        key: The bytes of an entry between its own length and its Feature's: the name and two tags.
        kind: The tag of the list within Feature.
        values: The serialized values, uint8, [rows].
        full: Where there are values, bool [rows].
        listed: Whether a row that is not full is an empty list, which is written, or a null, which is not.
    """

    key: bytes
    kind: bytes
    values: Ragged
    full: NDArray[np.bool_]
    listed: bool


def encode_examples(batch: Any) -> Ragged:
    """Serializes each row as a `tf.train.Example`.

    The bytes are those of protobuf's `SerializeToString(deterministic=True)`: features sorted by name, an
    empty list kept as a feature without values. A null leaves its feature out of that row's record.

    Args:
        batch: A `RecordBatch` or `Table`. Integers, bools and lists of integers (the lists without nulls)
            become Int64List, floats FloatList, strings and binary BytesList.

    Returns:
        The records, uint8, [rows].

    Raises:
        JobError: A column has no place in an Example.

    >>> record = encode_examples(pa.record_batch({"ids": pa.array([[1, 300]])})).values.tobytes()
    >>> record.hex(" ")
    '0a 10 0a 0e 0a 03 69 64 73 12 07 1a 05 0a 03 01 ac 02'
    >>> from transforms.arrays.records import decode_example
    >>> decode_example(record)
    {'ids': [1, 300]}
    """
    names, rows = batch.schema.names, batch.num_rows
    if len(set(names)) < len(names):
        raise JobError(f"TFRecord cannot hold two columns of one name: {', '.join(sorted(names))}")
    # By UTF-8 bytes, which is the order of code points and so of Python's strings. protobuf in pure Python sorts
    # like that; upb, which it runs on by default, agrees but for names that begin another: "ab" before "a".
    columns = [_column(name, batch.column(name)) for name in sorted(names)]
    # All lengths are written in one go and cut up: first the Features', then each column's of each message.
    lengths = _to_arrow(_varints(_sizes(columns, rows).ravel()))
    parts = [FIRST, lengths.slice(0, rows)]
    for i, column in enumerate(columns, 1):
        ats = [(message * len(columns) + i) * rows for message in range(4)]
        parts += _entry(column, [lengths.slice(at, rows) for at in ats])
    return _from_arrow(_join(parts, "replace"))


def _sizes(columns: Sequence[_Column], rows: int) -> NDArray[np.int64]:
    """Computes the length of every message.

    Args:
        columns: All columns, [rows] each.
        rows: How many rows each has.

    Returns:
        int64 [1 + 4 * columns, rows]: the length of Features, and then for all columns in turn that of the
        values, for all columns that of the list, of Feature and of the map entry.
    """
    sizes = np.zeros((1 + 4 * len(columns), rows), np.int64)
    total, inner = sizes[0], sizes[1:].reshape(4, len(columns), rows)
    for i, column in enumerate(columns):
        values, lists, features, entries = inner[:, i]
        values[:] = column.values.lengths
        lists[:] = (1 + _varint_lengths(values) + values) * column.full
        features[:] = 1 + _varint_lengths(lists) + lists
        entries[:] = len(column.key) + _varint_lengths(features) + features
        total += (1 + _varint_lengths(entries) + entries) * (column.full | column.listed)
    return sizes


def _entry(column: _Column, lengths: Sequence[Any]) -> list[Any]:
    """Puts a column's messages around its values.

    Args:
        column: The column, [rows].
        lengths: The lengths of values, list, Feature and entry as varints, `LargeBinaryArray` [rows] each.

    Returns:
        What to join row by row, a null counting as nothing.
    """
    lists = [FIRST, lengths[0]]
    outer = [FIRST, lengths[3], column.key, lengths[2], column.kind, lengths[1]]
    if column.full.all():
        return [*outer, *lists, _to_arrow(column.values)]
    values = _to_arrow(column.values, column.full)  # a null here drops what is joined around it
    if column.listed:
        return [*outer, _join([*lists, values], "emit_null")]
    return [_join([*outer, *lists, values], "emit_null")]


def _column(name: str, column: Any) -> _Column:
    """Serializes a column's values.

    Args:
        name: The column's name.
        column: As `encode_examples` takes it, [rows].

    Returns:
        The column, [rows].

    Raises:
        JobError: There is no place in an Example for the column.
    """
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    listed = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    item = column.type.value_type if listed else column.type
    if listed and (column.null_count or column.flatten().null_count):
        raise JobError(f"column {name}: TFRecord cannot hold nulls in lists or in place of them")
    if item == pa.bool_() or (pa.types.is_integer(item) and item != pa.uint64()):
        kind, values = INT64_LIST, _integers(column, listed)
    elif pa.types.is_floating(item) and not listed:
        kind, values = FLOAT_LIST, _floats(column)
    elif item in (pa.string(), pa.large_string(), pa.binary(), pa.large_binary()) and not listed:
        binary = column.cast(pa.large_binary())
        kind, values = BYTES_LIST, _from_arrow(binary.fill_null(b"") if binary.null_count else binary)
    else:
        raise JobError(f"column {name}: TFRecord cannot hold values of type {column.type}")
    text = name.encode()
    key = FIRST + _varints(np.array([len(text)])).values.tobytes() + text + SECOND
    return _Column(key, kind, values, values.lengths > 0 if listed else np.asarray(column.is_valid()), listed)


def _integers(column: Any, listed: bool) -> Ragged:
    """Writes each row's integers as varints, uint8 [rows]; nothing for a null."""
    if listed:
        offsets = column.offsets.to_numpy().astype(np.int64)  # int64 [rows + 1]
        offsets -= offsets[0]
        values = column.flatten()
    else:
        offsets, values = offsets_of(np.asarray(column.is_valid())), column.drop_null()
    varints = _varints((values.cast(pa.int8()) if values.type == pa.bool_() else values).to_numpy())
    return Ragged(varints.offsets[offsets], varints.values)


def _floats(column: Any) -> Ragged:
    """Writes each row's number as float32, uint8 [rows]; nothing for a null."""
    with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite, as it does in protobuf
        values = column.drop_null().to_numpy().astype("<f4", copy=False)
    return Ragged(4 * offsets_of(np.asarray(column.is_valid())), values.view(np.uint8))


def _varint_lengths(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Counts the bytes that integers, none negative, take as varints, uint8 [values]."""
    lengths = np.ones(len(values), np.uint8)
    for bits in range(7, int(values.max(initial=0)).bit_length(), 7):
        lengths += values >= values.dtype.type(1 << bits)
    return lengths


def _varints(values: NDArray[Any]) -> Ragged:
    """Writes integers as varints: seven bits a byte, the lowest first, the top bit set on all but the last.

    Args:
        values: Any integer type, [values]. A negative one is sign-extended to 64 bits: ten bytes long.

    Returns:
        uint8, one row for each value.

    >>> _varints(np.array([127, 300])).tolist()
    [[127], [172, 2]]
    """
    values = values.astype(np.int64) if values.min(initial=0) < 0 else values
    values = values.view(f"u{values.itemsize}")
    if values.max(initial=0) < 1 << 7:  # masks and type ids: the bytes are the values
        return Ragged(np.arange(len(values) + 1), values.astype(np.uint8, copy=False))
    lengths = _varint_lengths(values)  # uint8 [values]
    longest, offsets = int(lengths.max()), offsets_of(lengths)  # int64 [values + 1]
    out = np.empty(offsets[-1] + longest, np.uint8)
    # Every value writes `longest` bytes, the shorter ones into their neighbours on the right. A byte in its
    # place has a lower number than any stray one on the same place: so from the last byte down to the first,
    # what belongs is written last, and no masks are needed.
    for byte in reversed(range(longest)):
        digits = (values >> values.dtype.type(7 * byte)).astype(np.uint8)  # uint8 [values]
        digits &= 0x7F
        digits |= (lengths > byte + 1).view(np.uint8) << 7
        out[byte:][offsets[:-1]] = digits
    return Ragged(offsets, out[: offsets[-1]])


def _join(parts: Iterable[Any], nulls: str) -> Any:
    """Joins bytes and large binary arrays row by row; the `LargeBinaryArray` [rows] starts at offset 0."""
    typed = [pa.scalar(part, pa.large_binary()) if isinstance(part, bytes) else part for part in (*parts, b"")]
    return pc.binary_join_element_wise(*typed, null_handling=nulls)  # the last of them is the separator


def _to_arrow(rows: Ragged, valid: NDArray[np.bool_] | None = None) -> Any:
    """Views rows of uint8 as a `LargeBinaryArray` [rows], those that are not `valid` as null."""
    bitmap = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    buffers = [bitmap, pa.py_buffer(rows.offsets), pa.py_buffer(rows.values)]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), rows.rows, buffers)


def _from_arrow(array: Any) -> Ragged:
    """Views a `LargeBinaryArray` without nulls as rows of uint8."""
    _, offsets, values = array.buffers()  # that of the values may be missing or too long when there are none
    cut = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    return Ragged(cut, np.frombuffer(values or b"", np.uint8)[: cut[-1]])


def frame_records(records: Ragged) -> NDArray[np.uint8]:
    """Puts records into the frames of a TFRecord file: length, its checksum, the record, its checksum.

    Args:
        records: uint8, [rows].

    Returns:
        The bytes of the file, uint8; behind other such bytes they are a file as well.

    >>> frame_records(Ragged.of([[1, 2]], np.uint8)).tobytes().hex(" ")
    '02 00 00 00 00 00 00 00 78 27 0b 34 01 02 c9 f2 26 e1'
    """
    data = records.values.tobytes()
    cuts = map(slice, records.offsets[:-1].tolist(), records.offsets[1:].tolist())
    sizes, where = np.unique(records.lengths, return_inverse=True)  # lengths repeat: one checksum for each
    heads = np.empty(len(sizes), [("size", "<u8"), ("checksum", "<u4")])
    heads["size"] = sizes
    heads["checksum"] = _checksums(map(struct.Struct("<Q").pack, sizes.tolist()), len(sizes))
    tails = _checksums(map(data.__getitem__, cuts), records.rows)
    return _from_arrow(_join([_fixed(heads[where]), _to_arrow(records), _fixed(tails)], "replace")).values


def _fixed(rows: NDArray[Any]) -> Any:
    """Views the bytes of each element as a row of a `LargeBinaryArray` [rows]."""
    return _to_arrow(Ragged(np.arange(len(rows) + 1) * rows.itemsize, rows.view(np.uint8)))


def _checksums(data: Iterable[bytes], count: int) -> NDArray[np.uint32]:
    """Computes the CRC32C of each piece of data, masked as TFRecord does, uint32 [count]."""
    crc = np.fromiter(map(google_crc32c.value, data), np.uint32, count)
    return (crc >> np.uint32(15) | crc << np.uint32(17)) + np.uint32(0xA282EAD8)
