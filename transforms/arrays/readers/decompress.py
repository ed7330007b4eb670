"""Compressed files, decompressed as they are read; what is cut short or damaged is never taken for whole.

However much a file stands for, little of it is held at a time: some MiB, and what it says it refers back to.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import zstandard

if TYPE_CHECKING:
    from collections.abc import Callable

COMPRESSED_BYTES = 16 << 10  # decompressed at a time
READY_BYTES = 256 << 10
PIECE_BYTES = 1 << 10  # of Zstandard at a time: four bytes can stand for 128 KiB, so this for 32 MiB
WINDOW_BYTES = 1 << 31  # that a file may ask for; what was written with `--long=31` does


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

    def __init__(self) -> None:
        self._frame = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES).decompressobj()
        self._left = memoryview(b"")  # given and not decompressed

    @property
    def needs_input(self) -> bool:
        """Whether all that was given is decompressed."""
        return not self._left

    @property
    def eof(self) -> bool:
        """Whether the frame has ended."""
        return bool(self._frame.eof)

    @property
    def unused_data(self) -> bytes:
        """What stands behind it."""
        return bytes(self._frame.unused_data) + bytes(self._left)

    def decompress(self, data: bytes, limit: int) -> bytes:
        """Decompresses a piece of `data`, or of what is left, whatever the limit."""
        given = self._left or memoryview(data)
        self._left = given[PIECE_BYTES:]
        return bytes(self._frame.decompress(given[:PIECE_BYTES]))


def _members(start: Callable[[], Any]) -> Callable[[BinaryIO], BinaryIO]:
    return lambda stream: cast("BinaryIO", io.BufferedReader(_Members(stream, start), READY_BYTES))


CODECS: dict[str, Callable[[BinaryIO], BinaryIO]] = {
    ".gz": lambda stream: cast("BinaryIO", gzip.GzipFile(fileobj=stream)),
    ".bz2": _members(bz2.BZ2Decompressor),
    ".xz": _members(lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, WINDOW_BYTES)),
    ".zst": _members(_ZstMember),
}

# What a damaged file raises, compressed or not.
DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError)
