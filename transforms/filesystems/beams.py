"""File systems that Beam knows and Oblong does not: they are read, and not written."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, cast

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from transforms.arrays.errors import ConfigError
from transforms.filesystems.patience import CutShort
from transforms.filesystems.ranges import Ranges
from transforms.filesystems.store import READ_BYTES, Found, Store

if TYPE_CHECKING:
    from collections.abc import Iterator


class Beams(Store):
    """Any other file system of Beam's. Beam overwrites in silence and creates nothing once, so it is read only."""

    writes: ClassVar[bool] = False

    def __init__(self, options: Any = None) -> None:
        """Needs nothing: Beam has the options."""
        self.failures = (BeamIOError, FileNotFoundError, CutShort)

    def stat(self, path: str) -> Found | None:
        """See `Store`."""
        system = FileSystems.get_filesystem(path)
        if not system.exists(path):
            return None
        about = system.metadata(path)
        return Found(path, about.size_in_bytes, about.last_updated_in_seconds)

    def find(self, pattern: str) -> Iterator[Found]:
        """See `Store`."""
        for about in FileSystems.match([pattern])[0].metadata_list:
            yield Found(about.path, about.size_in_bytes, about.last_updated_in_seconds)

    def open(self, path: str) -> BinaryIO:
        """See `Store`; a stream that ends before the file does is an error."""
        found = self.stat(path)
        if found is None:
            raise FileNotFoundError(f"there is no file {path}")
        return cast("BinaryIO", io.BufferedReader(_Whole(super().open(path), found.bytes), READ_BYTES))

    def walk(self, folder: str) -> Iterator[Found]:
        """See `Store`."""
        raise _refusal(folder)

    def subfolders(self, folder: str) -> list[str]:
        """See `Store`."""
        raise _refusal(folder)

    def write(self, path: str, data: bytes) -> None:
        """See `Store`."""
        raise _refusal(path)

    @contextmanager
    def publish(self, path: str, scratch: str) -> Iterator[BinaryIO]:
        """See `Store`."""
        raise _refusal(path)
        yield

    def create_once(self, path: str, data: bytes, scratch: str) -> bool:
        """See `Store`."""
        raise _refusal(path)

    def remove_file(self, path: str) -> None:
        """See `Store`."""
        raise _refusal(path)

    def remove_folder(self, path: str) -> None:
        """See `Store`."""
        raise _refusal(path)


class _Whole(Ranges):
    """A stream of Beam's, with the bytes that the file has."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        super().__init__(size, self._exactly)
        self._stream = stream

    def close(self) -> None:
        """Closes the stream."""
        self._stream.close()
        super().close()

    def _exactly(self, start: int, stop: int) -> bytes:
        self._stream.seek(start)
        data = self._stream.read(stop - start)
        if len(data) != stop - start:
            raise CutShort(f"{len(data)} bytes came of {stop - start}, from byte {start} on")
        return data


def _refusal(path: str) -> ConfigError:
    return ConfigError(f"{path} is on a file system that is read only here")
