"""TFRecord files of `tf.train.Example` records, read back one by one: plain rather than fast."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import google_crc32c

from transforms.arrays.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


def read_records(source: bytes | BinaryIO, name: str = "TFRecord data") -> Iterator[bytes]:
    """Reads the records of a TFRecord file and checks both checksums of each.

    Args:
        source: The bytes of the file, or the file opened for reading.
        name: What to call it in messages.

    Yields:
        Each record.

    Raises:
        JobError: The file is damaged or cut off; the text says at which byte.

    >>> import numpy as np
    >>> from transforms.arrays.example import frame_records
    >>> from transforms.arrays.ragged import Ragged
    >>> list(read_records(frame_records(Ragged.of([[104, 105], []], np.uint8)).tobytes()))
    [b'hi', b'']
    """
    file, at = io.BytesIO(source) if isinstance(source, bytes) else source, 0
    while head := file.read(12):
        length = int.from_bytes(_checked(head, 8, f"{name}: the length of the record at byte {at}"), "little")
        yield _checked(file.read(length + 4), length, f"{name}: the record at byte {at}")
        at += length + 16


def _checked(data: bytes, length: int, what: str) -> bytes:
    """Returns the first `length` bytes of data; four of checksum must follow, and nothing else."""
    if len(data) < length + 4:
        raise JobError(f"{what} is cut off")
    crc = google_crc32c.value(data[:length])
    if int.from_bytes(data[length:], "little") != ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFF_FFFF:
        raise JobError(f"{what} is damaged: its checksum is wrong")
    return data[:length]


def decode_example(record: bytes) -> dict[str, list[int] | list[float] | list[bytes]]:
    """Parses a serialized `tf.train.Example`.

    Args:
        record: The bytes.

    Returns:
        The values of each feature by its name, in the order of the record.

    Raises:
        JobError: The bytes are no Example.
    """
    try:
        entries = [entry for features in _contents(record, 1) for entry in _contents(features, 1)]
        return {
            b"".join(_contents(entry, 1)).decode(): _decode_feature(b"".join(_contents(entry, 2))) for entry in entries
        }
    except (ValueError, struct.error) as error:
        raise JobError(f"a record is no tf.train.Example: {error}") from error


def _decode_feature(feature: bytes) -> list[Any]:
    """Parses the values of a `tf.train.Feature`, which holds one list of one kind."""
    texts = [text for part in _contents(feature, 1) for text in _contents(part, 1)]
    packed = [data for part in _contents(feature, 2) for data in _contents(part, 1)]
    floats = [number for data in packed for (number,) in struct.iter_unpack("<f", data)]
    packed = [data for part in _contents(feature, 3) for data in _contents(part, 1)]
    integers = [number - (number >> 63 << 64) for data in packed for number in _decode_varints(data)]
    return texts or floats or integers


def _contents(message: bytes, number: int) -> list[bytes]:
    """Parses a message and returns what it holds as field `number`, however often."""
    contents, at = [], 0
    while at < len(message):
        tag, at = _decode_varint(message, at)
        kind = tag & 7
        if kind == 2:  # the length comes first
            size, at = _decode_varint(message, at)
        else:  # a varint, 8 bytes or 4 bytes
            size = _decode_varint(message, at)[1] - at if kind == 0 else {1: 8, 5: 4}.get(kind, len(message))
        if at + size > len(message):
            raise ValueError(f"the field at byte {at} of a message is cut off")
        if tag >> 3 == number:
            contents.append(message[at : at + size])
        at += size
    return contents


def _decode_varints(data: bytes) -> Iterator[int]:
    """Parses varints, one behind the other."""
    at = 0
    while at < len(data):
        number, at = _decode_varint(data, at)
        yield number


def _decode_varint(data: bytes, at: int) -> tuple[int, int]:
    """Parses the varint at byte `at`; returns it, unsigned, and where it ends."""
    number = 0
    for i, byte in enumerate(data[at : at + 10]):
        number |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return number & 0xFFFF_FFFF_FFFF_FFFF, at + i + 1
    raise ValueError(f"there is no number at byte {at} of a message")
