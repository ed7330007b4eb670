"""What a file system's library raises, turned into sentences."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from transforms.arrays.errors import OblongError, StoreError
from transforms.filesystems import store_of
from transforms.filesystems.store import READ_BYTES
from transforms.filesystems.system import spell

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def told(path: str, what: str) -> Iterator[None]:
    """Turns what a file system's library raises into a sentence.

    Args:
        path: What is asked for.
        what: What it cannot be: "read", "written".

    Raises:
        StoreError: The library raised.
    """
    try:
        yield
    except OblongError:
        raise
    except store_of(path).failures as error:
        # In one line: of a worker's error only the first comes through.
        said = StoreError(" ".join(f"{path} cannot be {what}: {spell(error)}".split()))
        said.passing = store_of(path).may_pass(error)
        raise said from error


def told_reads(path: str, stream: BinaryIO) -> BinaryIO:
    """Gives a stream whose reads fail with a sentence, so that nothing else that fails meanwhile is put down to it.

    Args:
        path: Of the file, for messages.
        stream: The file, which stays its opener's to close.
    """
    return cast("BinaryIO", io.BufferedReader(_Reads(path, stream), READ_BYTES))


class _Reads(io.RawIOBase):
    """The reads of a stream, each with its sentence."""

    def __init__(self, path: str, stream: BinaryIO) -> None:
        self._path = path
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        with told(self._path, "read"):
            return cast("int", self._stream.readinto(buffer))  # type: ignore[attr-defined]

    def readall(self) -> bytes:
        with told(self._path, "read"):
            return self._stream.read()
