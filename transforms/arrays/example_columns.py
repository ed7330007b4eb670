"""TFRecord files of `tf.train.Example` records read back as columns: the reverse of `example`, by whole arrays.

Records of one file hold the same features in the same order, so a cursor for each record goes through all of them
at once: tag by tag, length by length, column by column. What is laid out in any other way is refused: shards are
the bytes that `example` writes, and nothing else. Nothing is shared with that module, since this serves to check it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import google_crc32c
import numpy as np
import pyarrow as pa

from transforms.arrays.errors import JobError
from transforms.arrays.ragged import offsets_of, spans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

CHUNK = 2 << 20  # read at once: the arrays on the way to its columns are some ten times that

LONGEST = 1 << 31  # a record that claims more is none: a batch is far below that

MESSAGE, FLOATS, INTEGERS = 0x0A, 0x12, 0x1A  # tags: of field 1, and of a Feature's other two kinds


class Frames(NamedTuple):
    """Whole records of a stretch of a file.

    Attributes:
        data: The stretch.
        starts: Where each record begins in it, int64 [records].
        stops: Where each record ends, int64 [records].
        place: Where in the file the stretch begins, for messages.
    """

    data: bytes
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    place: int


def read_frames(stream: BinaryIO, name: str) -> Iterator[Frames]:
    """Reads a TFRecord file stretch by stretch and checks both checksums of each record.

    Args:
        stream: The file, opened for reading; never more than `CHUNK` and a record of it are held.
        name: What to call it in messages.

    Yields:
        The records of each stretch, at least one.

    Raises:
        JobError: The file is damaged or cut off; the text says at which byte.
    """
    held, place, needed = bytearray(), 0, 1
    heads: set[bytes] = set()  # lengths repeat: each is checked once
    while True:
        piece = stream.read(CHUNK)
        held += piece
        if piece and len(held) < needed:
            continue
        data = bytes(held)
        edges, at = [], 0
        while at + 12 <= len(data):
            head = data[at : at + 12]
            if head not in heads:
                _check(head[:8], head[8:], f"{name}: the length of the record at byte {place + at}")
                heads.add(head)
            length = int.from_bytes(head[:8], "little")
            if length > LONGEST:
                raise JobError(f"{name}: the record at byte {place + at} claims {length} bytes, too many for one")
            if at + 16 + length > len(data):
                break
            record = f"{name}: the record at byte {place + at}"
            _check(data[at + 12 : at + 12 + length], data[at + 12 + length : at + 16 + length], record)
            edges.append(at + 12)
            at += 16 + length
        needed = 12 if at + 12 > len(data) else 16 + int.from_bytes(data[at : at + 8], "little")
        if edges:
            starts = np.array(edges, np.int64)
            yield Frames(data, starts, np.append(starts[1:] - 16, at - 4), place)
        if not piece:
            if at < len(data):
                raise JobError(f"{name}: the record at byte {place + at} is cut off")
            return
        held, place = bytearray(data[at:]), place + at
        if len(heads) > CHUNK >> 6:
            heads.clear()


def _check(data: bytes, said: bytes, what: str) -> None:
    """Compares data with its checksum as TFRecord masks it."""
    crc = google_crc32c.value(data)
    if int.from_bytes(said, "little") != ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFF_FFFF:
        raise JobError(f"{what} is damaged: its checksum is wrong")


def decode_examples(frames: Frames, schema: Any, name: str = "TFRecord data") -> Any:
    """Parses serialized `tf.train.Example`s.

    Args:
        frames: The records.
        schema: The columns that they hold: bools, integers, floats, strings and lists of integers.
        name: What to call the file in messages.

    Returns:
        A RecordBatch of the schema, [records]; a feature that is left out is null.

    Raises:
        JobError: A record holds other features, or is laid out in another way than `encode_examples` does.

    >>> from transforms.arrays.example import encode_examples
    >>> batch = pa.record_batch({"ids": pa.array([[1, 300], []], pa.list_(pa.int32())), "n": pa.array([None, -1])})
    >>> records = encode_examples(batch)
    >>> frames = Frames(records.values.tobytes(), records.offsets[:-1], records.offsets[1:], 0)
    >>> decode_examples(frames, batch.schema).equals(batch)
    True
    """
    cursor = _Cursor(frames, name, max((len(field.name.encode()) for field in schema), default=0))
    cursor.enter()
    columns = {field.name: cursor.column(field) for field in sorted(schema, key=lambda field: field.name.encode())}
    cursor.require(cursor.at == cursor.stops, "holds other features than the schema")
    arrays = [columns[field.name] for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


class _Cursor:
    """Where the reading of each record has come to.

    Attributes:
        at: The next byte of each record, int64 [records].
        stops: Where each record ends, int64 [records].
    """

    def __init__(self, frames: Frames, name: str, longest_name: int) -> None:
        # Zeros behind the end: a damaged record may send its cursor a few bytes too far, never more than these.
        self._data = np.frombuffer(frames.data + bytes(longest_name + 64), np.uint8)
        self._frames, self._name = frames, name
        self.at, self.stops = frames.starts.copy(), frames.stops

    def require(self, holds: NDArray[np.bool_], otherwise: str, rows: NDArray[np.int64] | None = None) -> None:
        """Checks something of every record, or of the given ones."""
        if not holds.all():
            row = int(np.argmin(holds)) if rows is None else int(rows[np.argmin(holds)])
            place = self._frames.place + int(self._frames.starts[row]) - 12
            raise JobError(f"{self._name}: the record at byte {place} {otherwise}")

    def enter(self) -> None:
        """Passes the tag and the length of the one message that a record is."""
        self.at = self._enter(self.at, self.stops, MESSAGE, np.arange(len(self.at)), "is no tf.train.Example")

    def _enter(
        self, at: NDArray[np.int64], stops: NDArray[np.int64], tag: int, rows: NDArray[np.int64], otherwise: str
    ) -> NDArray[np.int64]:
        """Passes a tag and the length of a message that must end at `stops`."""
        size, inside = self._varint(at + 1, rows)
        self.require((at < stops) & (self._data[at] == tag) & (inside + size == stops), otherwise, rows)
        return inside

    def _varint(self, at: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Reads a length at each place; returns these, and where they end."""
        value, place, unfinished = np.zeros(len(at), np.int64), at.copy(), np.ones(len(at), bool)
        for shift in range(0, 35, 7):
            byte = self._data[place].astype(np.int64)
            value |= np.where(unfinished, (byte & 0x7F) << shift, 0)
            place += unfinished
            unfinished &= byte >= 0x80
            if not unfinished.any():
                return value, place
        self.require(~unfinished, "holds a length without an end", rows)
        return value, place

    def column(self, field: Any) -> Any:
        """Reads one feature of every record, and passes it.

        Args:
            field: The Arrow field.

        Returns:
            The column, [records]; null where the feature is left out.
        """
        listed = pa.types.is_list(field.type)
        kind = field.type.value_type if listed else field.type
        what = f"holds no {field.name!r} of type {field.type} where it should be"
        name = field.name.encode()
        key = np.frombuffer(bytes([MESSAGE, *_varint_of(len(name))]) + name + b"\x12", np.uint8)
        size, inside = self._varint(self.at + 1, np.arange(len(self.at)))
        within = (self.at < self.stops) & (self._data[self.at] == MESSAGE) & (inside + size <= self.stops)
        there = within.copy()
        there[within] = (self._data[inside[within, None] + np.arange(len(key))] == key).all(axis=1)
        if listed:
            self.require(there, what)
        rows = np.flatnonzero(there)
        stops = (inside + size)[rows]
        feature, at = self._varint(inside[rows] + len(key), rows)
        self.require(at + feature == stops, what, rows)
        tag = INTEGERS if kind == pa.bool_() or pa.types.is_integer(kind) else MESSAGE
        tag = FLOATS if pa.types.is_floating(kind) else tag
        at = self._enter(at, stops, tag, rows, what)
        full = at < stops
        if not listed:
            self.require(full, what, rows)
        starts = stops.copy()
        starts[full] = self._enter(at[full], stops[full], MESSAGE, rows[full], what)
        values = self._values(starts, stops, kind, rows, what, listed=listed)
        self.at[rows] = stops
        if there.all():
            return values
        return values.take(pa.array(np.cumsum(there) - 1, mask=~there))

    def _values(
        self,
        starts: NDArray[np.int64],
        stops: NDArray[np.int64],
        kind: Any,
        rows: NDArray[np.int64],
        what: str,
        *,
        listed: bool,
    ) -> Any:
        """Decodes the values of one feature, whose bytes are from `starts` to `stops`."""
        offsets = offsets_of(stops - starts)
        flat = self._data[spans(starts, stops - starts)]
        if kind == pa.string():
            ends = pa.py_buffer(offsets.astype(np.int32))
            strings = pa.StringArray.from_buffers(len(starts), ends, pa.py_buffer(flat))
            try:
                strings.validate(full=True)
            except pa.ArrowInvalid:
                raise JobError(f"{self._name}: a record {what}: it is no UTF-8") from None
            return strings
        if pa.types.is_floating(kind):
            self.require(np.diff(offsets) == 4, what, rows)
            return pa.array(flat.view("<f4").astype(kind.to_pandas_dtype()))
        numbers, counts = self._integers(flat, offsets, rows, what)
        if not listed:
            self.require(counts == 1, what, rows)
        if kind == pa.bool_():
            self.require(np.isin(numbers, (0, 1)), what, rows)
            values = pa.array(numbers == 1)
        else:
            try:
                values = pa.array(numbers).cast(kind)
            except pa.ArrowInvalid as error:
                raise JobError(f"{self._name}: a record {what}: {error}") from None
        if listed:
            return pa.ListArray.from_arrays(pa.array(offsets_of(counts).astype(np.int32)), values)
        return values

    def _integers(
        self, flat: NDArray[np.uint8], offsets: NDArray[np.int64], rows: NDArray[np.int64], what: str
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Decodes varints, one behind the other; returns them, int64, and how many each record has."""
        last = flat < 0x80
        lengths = np.diff(offsets)
        if last.all():
            return flat.astype(np.int64), lengths
        filled = lengths > 0
        self.require(last[offsets[1:][filled] - 1], what, rows[filled])
        ends = np.flatnonzero(last)
        begins = np.append(0, ends[:-1] + 1)
        sizes = ends - begins + 1
        if sizes.max() > 10:
            raise JobError(f"{self._name}: a record {what}: a number has no end")
        numbers = (flat[begins] & 0x7F).astype(np.uint64)
        for byte in range(1, int(sizes.max())):
            some = np.flatnonzero(sizes > byte)
            numbers[some] |= (flat[begins[some] + byte] & 0x7F).astype(np.uint64) << np.uint64(7 * byte)
        counts = np.diff(np.append(0, np.cumsum(last))[offsets])
        return numbers.view(np.int64), counts


def _varint_of(number: int) -> bytes:
    """Spells a number out as a varint."""
    spelled = bytearray()
    while number >= 0x80:
        spelled.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*spelled, number])
