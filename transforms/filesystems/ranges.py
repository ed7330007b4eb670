"""Files that are read by ranges: whole, in one version, and as they were kept."""

from __future__ import annotations

import base64
import io
import zlib
from abc import abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

import google_crc32c

from transforms.arrays.errors import StoreError
from transforms.filesystems.patience import CutShort, Patience, persist
from transforms.filesystems.store import READ_BYTES, Store

if TYPE_CHECKING:
    from collections.abc import Callable


class Pinned(NamedTuple):
    """One version of a file.

    Attributes:
        bytes: Its size.
        version: What tells it from others, as the file system has it.
        checksum: A name of `CHECKSUMS`, and the sum of the whole file in base64; None where the file system has none.
    """

    bytes: int
    version: Any
    checksum: tuple[str, str] | None = None


class RangeStore(Store):
    """A file system that gives ranges of a file; Beam's stream asks for 8 KB at a time to the end.

    A stream gives one version of a file and all of its bytes, or it fails.
    """

    patience: Patience

    @abstractmethod
    def pin(self, path: str) -> Pinned | None:
        """Finds the version of a file that is there now; None where there is none."""

    @abstractmethod
    def fetch(self, path: str, start: int, stop: int, pinned: Pinned | None) -> bytes:
        """Asks for the bytes from one place to before another, of a version or of any, in one request.

        A transfer that breaks off may give what has come, or raise CutShort; another version raises `overwritten`.
        """

    def open(self, path: str) -> BinaryIO:
        """See `Store`."""
        pinned = self._pinned(path)
        watch = None if pinned.checksum is None else _Sum(path, pinned.bytes, *pinned.checksum)
        stream = Ranges(pinned.bytes, lambda start, stop: self._exactly(path, start, stop, pinned), watch)
        return cast("BinaryIO", io.BufferedReader(stream, READ_BYTES))

    def read_range(self, path: str, start: int, size: int) -> bytes:
        """See `Store`."""
        data = b""
        with suppress(CutShort):  # as where less has come
            data = self.fetch(path, start, start + size, None)
        if len(data) == size:
            return data
        pinned = self._pinned(path)  # the file may end before
        return self._exactly(path, start, min(start + size, pinned.bytes), pinned)

    def _pinned(self, path: str) -> Pinned:
        pinned = self.pin(path)
        if pinned is None:
            raise FileNotFoundError(f"there is no file {path}")
        return pinned

    def _exactly(self, path: str, start: int, stop: int, pinned: Pinned) -> bytes:
        """Reads what is known to be there: half of it is never taken for all."""

        def fetch() -> bytes:
            data = self.fetch(path, start, stop, pinned)
            if len(data) != stop - start:
                raise CutShort(f"{len(data)} bytes came of {stop - start}, from byte {start} on")
            return data

        return persist(fetch, lambda error: isinstance(error, CutShort), self.patience.seconds)


def overwritten(path: str) -> StoreError:
    """What to raise where a file is no longer the one that was opened."""
    return StoreError(f"{path} was overwritten while it was read; run the job again when nothing writes to it")


class Ranges(io.RawIOBase):
    """A file of which ranges can be asked for, each in one request.

    Args:
        size: Of the file.
        get: Gives the bytes from one place to before another.
        watch: Is told of all that is read: its place and the bytes.
    """

    def __init__(
        self, size: int, get: Callable[[int, int], bytes], watch: Callable[[int, bytes], None] | None = None
    ) -> None:
        self._size = size
        self._get = get
        self._watch = watch
        self._place = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The place of the next byte."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes elsewhere, without a request."""
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Reads as much as fits."""
        data = self._read(self._place + len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """Reads to the end."""
        return self._read(self._size)

    def _read(self, stop: int) -> bytes:
        stop = min(stop, self._size)
        data = self._get(self._place, stop) if self._place < stop else b""
        if self._watch is not None:
            self._watch(self._place, data)
        self._place += len(data)
        return data


class _Sum:
    """The checksum of a file as it is read, compared where it was read from its beginning to its end."""

    def __init__(self, path: str, size: int, name: str, kept: str) -> None:
        self._path = path
        self._size = size
        self._name = name
        self._kept = kept
        self._seen = self._sum = 0

    def __call__(self, place: int, data: bytes) -> None:
        if place != self._seen or not data:
            return  # of a file that is read in parts there is no sum
        self._sum = CHECKSUMS[self._name](self._sum, data)
        self._seen += len(data)
        came = base64.b64encode(self._sum.to_bytes(4, "big")).decode()
        if self._seen == self._size and came != self._kept:
            error = StoreError(
                f"{self._path} was damaged on its way: its {self._name} is {self._kept}, and what came has {came}; "
                "run the job again"
            )
            error.passing = True
            raise error


# How the sum of more bytes comes of that of the bytes before; by name, as the file systems have it.
CHECKSUMS: dict[str, Callable[[int, bytes], int]] = {
    "crc32c": google_crc32c.extend,
    "crc32": lambda sum_before, data: zlib.crc32(data, sum_before),
}
