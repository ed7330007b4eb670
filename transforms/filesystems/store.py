"""What every file system must be able to do, so that a job leaves whole files on it or none."""

from __future__ import annotations

import re
import tempfile
import warnings
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, NamedTuple

from apache_beam.io.filesystem import CompressionTypes, FileSystem
from apache_beam.io.filesystems import FileSystems

from transforms.arrays.errors import ConfigError, StoreError
from transforms.filesystems.system import FULL, spell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

GLOB = set("*?[")

READ_BYTES = 8 << 20  # of a remote file at once: what a request costs is small beside it, and it beside a unit of work


class Found(NamedTuple):
    """A file on a file system, or a folder: that has a path that ends in a slash, and no bytes.

    Attributes:
        path: Where it is.
        bytes: Its size.
        changed: When it was last changed, seconds since 1970; 0 where the file system does not say.
        checksum: Of its content, where the file system keeps one and listings give it; else None.
    """

    path: str
    bytes: int
    changed: float
    checksum: str | None = None

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.path.endswith("/")


class Store(ABC):
    """A file system.

    Args:
        options: Beam's.

    Attributes:
        extra: The extra of Oblong that brings the library for it; None for none.
        failures: What the library raises when it cannot do what it was asked.
        writes: Whether an output can be there.
    """

    extra: ClassVar[str | None] = None
    writes: ClassVar[bool] = True
    failures: tuple[type[Exception], ...] = ()

    @abstractmethod
    def __init__(self, options: Any) -> None:
        """Makes a client; raises ConfigError where it cannot be made, ImportError where its library is missing."""

    def may_pass(self, error: Exception) -> bool:
        """Whether what was raised says that the service is busy or out of reach, and not that it was asked wrongly."""
        return False

    def check(self, path: str) -> None:  # noqa: B027 - most have nothing to refuse
        """Refuses a path that can be none; raises ConfigError."""

    @abstractmethod
    def stat(self, path: str) -> Found | None:
        """Looks at one file; None where there is none."""

    @abstractmethod
    def find(self, pattern: str) -> Iterator[Found]:
        """Finds the files that a pattern matches, as Beam's patterns do, in any order."""

    @abstractmethod
    def walk(self, folder: str) -> Iterator[Found]:
        """Lists all files below a folder, in any order, and the folders, where there are such things."""

    @abstractmethod
    def subfolders(self, folder: str) -> list[str]:
        """Lists the names of the folders in a folder."""

    def open(self, path: str) -> BinaryIO:
        """Opens a file for reading: as Beam does, unless there is a better way."""
        stream: BinaryIO = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
        return stream

    def read_range(self, path: str, start: int, size: int) -> bytes:
        """Reads a few bytes of a file; where a request is dear, without asking for more."""
        with self.open(path) as stream:
            stream.seek(start)
            return stream.read(size)

    @abstractmethod
    def write(self, path: str, data: bytes) -> None:
        """Writes a whole file that nothing else writes."""

    def sync_below(self, folder: str) -> None:  # noqa: B027 - most keep what they have answered for
        """Makes names of files below a folder outlive a loss of power: see `transforms.files.sync_below`."""

    @abstractmethod
    def publish(self, path: str, scratch: str) -> AbstractContextManager[BinaryIO]:
        """Writes a file that appears under its name only when it is whole: see `transforms.files.publish`."""

    @abstractmethod
    def create_once(self, path: str, data: bytes, scratch: str) -> bool:
        """Writes a file unless there is one, whole or not at all: see `transforms.files.create_once`."""

    @abstractmethod
    def remove_file(self, path: str) -> None:
        """Removes a file; none is no error."""

    @abstractmethod
    def remove_folder(self, path: str) -> None:
        """Removes a folder with all that is in it; none is no error."""


@contextmanager
def held_back() -> Iterator[BinaryIO]:
    """Holds a file back on this machine's disk until it is whole: it has no name, so nothing is ever left of it."""
    try:
        with tempfile.TemporaryFile(prefix="oblong-") as stream:
            yield stream
    except OSError as error:
        if error.errno not in FULL:  # of the network, or whatever else failed meanwhile
            raise
        raise StoreError(f"TMPDIR: {tempfile.gettempdir()} cannot be written: {spell(error)}") from error


def matcher(pattern: str) -> Any:
    """What tells whether a path matches a pattern, as Beam does; a pattern that ends in a slash means all behind it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of [[], which spells a bracket
        try:
            return re.compile(FileSystem.translate_pattern(pattern + "*" * pattern.endswith("/"))).match
        except re.error as error:
            raise ConfigError(f"{pattern!r} is no pattern: {error.msg}; write [[] for a bracket") from None


def fixed_part(pattern: str) -> str:
    """What stands in a pattern before its first wildcard.

    >>> fixed_part("gs://bucket/a/b*/c")
    'gs://bucket/a/b'
    """
    return pattern[: next((i for i, char in enumerate(pattern) if char in GLOB), len(pattern))]


class ObjectStore(Store):
    """A file system without folders: names hold slashes, a put is atomic, and a rename would be a copy."""

    @abstractmethod
    def list_names(self, bucket: str, prefix: str) -> Iterator[Found]:
        """Lists the objects whose names begin with a prefix."""

    @abstractmethod
    def upload(self, path: str, stream: BinaryIO, size: int) -> None:
        """Puts a file there from its beginning, in the place of what is there, whole or not at all."""

    @abstractmethod
    def delete(self, bucket: str, names: Iterable[str]) -> None:
        """Deletes objects; those that are gone are no error."""

    def check(self, path: str) -> None:
        """See `Store`."""
        split(path)

    def find(self, pattern: str) -> Iterator[Found]:
        """See `Store`."""
        fixed, matches = fixed_part(pattern), matcher(pattern)
        if fixed == pattern and not pattern.endswith("/"):
            found = self.stat(pattern)
            yield from () if found is None else (found,)
            return
        yield from (one for one in self.list_names(*split(fixed)) if not one.is_folder and matches(one.path))

    def walk(self, folder: str) -> Iterator[Found]:
        """See `Store`."""
        return self.list_names(*split(f"{folder.rstrip('/')}/"))

    @contextmanager
    def publish(self, path: str, scratch: str) -> Iterator[BinaryIO]:
        """See `Store`."""
        with held_back() as stream:
            yield stream
            size = stream.tell()
            stream.seek(0)
            self.upload(path, stream, size)

    def remove_file(self, path: str) -> None:
        """See `Store`."""
        bucket, name = split(path)
        self.delete(bucket, [name])

    def remove_folder(self, path: str) -> None:
        """See `Store`."""
        bucket, _ = split(path)
        self.delete(bucket, [split(found.path)[1] for found in self.walk(path)])


def split(path: str) -> tuple[str, str]:
    """Splits an address into bucket and name.

    >>> split("gs://bucket/a/b")
    ('bucket', 'a/b')
    """
    match = re.fullmatch(r"[^:]+://([^/]+)(?:/(.*))?", path, re.DOTALL)
    if match is None:
        raise ConfigError(f"{path} names no bucket")
    return match[1], match[2] or ""
