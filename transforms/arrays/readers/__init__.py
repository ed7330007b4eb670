"""Readers: one function a format, all of them streams of bytes in and `Rows` out.

A new format is one function and one line in `READERS`.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

import zstandard

from transforms.arrays.errors import ConfigError
from transforms.arrays.readers.delimited import read_csv, read_tsv
from transforms.arrays.readers.jsonl import read_jsonl
from transforms.arrays.readers.parquet import read_parquet
from transforms.arrays.readers.rows import Columns, Reading, Rows, Source, columns_of
from transforms.arrays.readers.text import read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "CODECS",
    "DAMAGED",
    "READERS",
    "Columns",
    "Format",
    "Reader",
    "Reading",
    "Rows",
    "Source",
    "columns_of",
    "detect",
]


COMPRESSED_BYTES = 16 << 10  # decompressed at a time
READY_BYTES = 256 << 10


class Reader(NamedTuple):
    """How a format is read.

    Attributes:
        read: Turns a stream into rows.
        suffixes: Of file names, for `read.format: auto`.
        unit: What the file is divided by where it is not compressed: "bytes", "row groups" or None.
    """

    read: Callable[[BinaryIO, Source, Columns], Iterator[Rows]]
    suffixes: tuple[str, ...]
    unit: str | None


READERS: dict[str, Reader] = {
    "text": Reader(read_text, (".txt", ".text"), "bytes"),
    "jsonl": Reader(read_jsonl, (".jsonl", ".ndjson", ".json"), "bytes"),
    "csv": Reader(read_csv, (".csv",), None),
    "tsv": Reader(read_tsv, (".tsv", ".tab"), None),
    "parquet": Reader(read_parquet, (".parquet", ".pq"), "row groups"),
}


class _Members(io.RawIOBase):
    """Decompresses the members of a file one after the other.

    The libraries' own readers take a member cut short for a whole one, or a damaged one for something that
    stands behind the last; either would lose rows in silence.
    """

    def __init__(self, stream: BinaryIO, start: Callable[[], Any]) -> None:
        super().__init__()
        self._stream = stream
        self._start = start
        self._member: Any = None  # None between members
        self._rest = b""  # read and not decompressed
        self._ready = memoryview(b"")  # decompressed and not given
        self._any = False  # whether there was a member

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Gives what is ready; decompresses more where nothing is."""
        while not self._ready:
            if not self._rest and (self._member is None or self._member.needs_input):
                self._rest = self._stream.read(COMPRESSED_BYTES)
                if not self._rest and self._member is None:
                    return 0
                if not self._rest:
                    raise EOFError("it ends before its compressed data does")
            if self._member is None:
                if self._any:
                    self._rest = self._rest.lstrip(b"\0")  # padding between members
                if not self._rest:
                    continue
                self._member, self._any = self._start(), True
            self._ready = memoryview(self._member.decompress(self._rest, READY_BYTES))
            self._rest = b""
            if self._member.eof:
                self._rest, self._member = self._member.unused_data, None
        given = self._ready[: len(buffer)]
        buffer[: len(given)] = given
        self._ready = self._ready[len(given) :]
        return len(given)


class _ZstMember:
    """A frame of Zstandard, used as the standard library's decompressors are."""

    needs_input = True

    def __init__(self) -> None:
        self._frame = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()

    @property
    def eof(self) -> bool:
        """Whether the frame has ended."""
        return bool(self._frame.eof)

    @property
    def unused_data(self) -> bytes:
        """What stands behind it."""
        return bytes(self._frame.unused_data)

    def decompress(self, data: bytes, limit: int) -> bytes:
        """Decompresses all of `data`, whatever the limit."""
        return bytes(self._frame.decompress(data))


def _members(start: Callable[[], Any]) -> Callable[[BinaryIO], BinaryIO]:
    return lambda stream: cast("BinaryIO", io.BufferedReader(_Members(stream, start), READY_BYTES))


CODECS: dict[str, Callable[[BinaryIO], BinaryIO]] = {
    ".gz": lambda stream: cast("BinaryIO", gzip.GzipFile(fileobj=stream)),
    ".bz2": _members(bz2.BZ2Decompressor),
    ".xz": _members(lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ)),
    ".zst": _members(_ZstMember),
}

# What a damaged file raises, compressed or not.
DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError)


class Format(NamedTuple):
    """What a file is.

    Attributes:
        reader: A name of `READERS`.
        codec: A name of `CODECS`, or None.
    """

    reader: str
    codec: str | None


def detect(path: str, format_name: str = "auto") -> Format:
    """Says how a file is to be read.

    Args:
        path: Its path; the suffix counts.
        format_name: `read.format`.

    Returns:
        Its format and compression.

    Raises:
        ConfigError: The suffix says nothing, or the format cannot be compressed.

    >>> detect("a/b.jsonl.gz")
    Format(reader='jsonl', codec='.gz')
    """
    name = path.rsplit("/", 1)[-1].lower()
    codec = next((suffix for suffix in CODECS if name.endswith(suffix)), None)
    stem = name.removesuffix(codec) if codec else name
    reader = format_name
    if format_name == "auto":
        found = [key for key, reader in READERS.items() if stem.endswith(reader.suffixes)]
        if not found:
            known = ", ".join(suffix for reader in READERS.values() for suffix in reader.suffixes)
            raise ConfigError(
                f"read.format: the suffix of {path} is none of {known} (with {', '.join(CODECS)} behind it or "
                f"without); say which format it is: --set read.format={'|'.join(READERS)}"
            )
        reader = found[0]
    if codec and reader == "parquet":
        raise ConfigError(f"read.files: {path}: Parquet is compressed inside; unpack it from {codec}")
    return Format(reader, codec)
