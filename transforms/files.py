"""Files on any file system that Beam knows: found, read, and put in place whole."""

from __future__ import annotations

import math
import os
import posixpath
import re
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileSystem
from apache_beam.io.filesystems import FileSystems

from transforms.arrays.errors import ConfigError, JobError

if TYPE_CHECKING:
    from collections.abc import Iterator

GLOB = set("*?[")


class Found(NamedTuple):
    """A file that a pattern matched.

    Attributes:
        path: Where it is.
        bytes: Its size.
        changed: When it was last changed, seconds since 1970; 0 where the file system does not say.
    """

    path: str
    bytes: int
    changed: float


def is_local(path: str) -> bool:
    """Whether a path is on this machine's disk."""
    return FileSystems.get_scheme(path) is None


def match(pattern: str, where: str) -> list[Found]:
    """Finds the files that a pattern matches.

    Args:
        pattern: A path, in which * ? [ ] and ** match as Beam has it.
        where: The option that gave it, for messages.

    Returns:
        The files, in the order of their paths; none is no error.

    Raises:
        ConfigError: The file system cannot be asked.
    """
    if is_local(pattern) and GLOB & set(pattern):
        return sorted(_match_local(re.sub("/+", "/", pattern)))
    try:
        metadata = FileSystems.match([pattern])[0].metadata_list
    except (BeamIOError, ValueError) as error:
        raise ConfigError(f"{where}: {pattern!r} cannot be listed: {error}") from error
    found = [Found(m.path, m.size_in_bytes, m.last_updated_in_seconds) for m in metadata]
    return sorted(f for f in found if not (is_local(f.path) and Path(f.path).is_dir()))


def _match_local(pattern: str) -> Iterator[Found]:
    """Lists what Beam would, without looking at every file below the first folder: that can be a whole disk."""
    matches = re.compile(FileSystem.translate_pattern(pattern + "*" * pattern.endswith("/"))).match
    root = posixpath.dirname(pattern[: min(pattern.index(c) for c in GLOB & set(pattern))])
    # Of the wildcards, ** stands for any number of folders, and ? and [ may stand for the slash after one.
    deepest = math.inf if "**" in pattern else sum(map(pattern.count, "/?["))
    for folder, folders, names in os.walk(root or "."):
        prefix = "" if not root and folder == "." else posixpath.join(folder, "").removeprefix("" if root else "./")
        if prefix.count("/") >= deepest:
            folders.clear()
        for path in filter(matches, (prefix + name for name in names)):
            with suppress(OSError):  # it is gone already, or a link to nowhere
                about = os.stat(path)  # noqa: PTH116 - of many files, without an object for each
                yield Found(path, about.st_size, about.st_mtime)


def exists(path: str) -> bool:
    """Whether there is a file at a path."""
    return bool(FileSystems.exists(path))


@contextmanager
def open_binary(path: str) -> Iterator[BinaryIO]:
    """Opens a file for reading, as its bytes are."""
    stream = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    try:
        yield stream
    finally:
        stream.close()


def read_bytes(path: str) -> bytes:
    """Reads a whole file."""
    with open_binary(path) as stream:
        return stream.read()


def write_bytes(path: str, data: bytes) -> None:
    """Writes a whole file that nothing else writes."""
    make_folder(path.rsplit("/", 1)[0])
    with FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED) as stream:
        stream.write(data)


def make_folder(path: str) -> None:
    """Makes a folder and those above it; one that is there already will do."""
    if is_local(path):
        Path(path).mkdir(parents=True, exist_ok=True)


@contextmanager
def publish(path: str, scratch: str) -> Iterator[BinaryIO]:
    """Writes a file that appears under its name only when it is whole.

    Late and repeated tries put equal bytes in the place of equal bytes.

    Args:
        path: Where the file is to be.
        scratch: A folder on the same file system for the try's own file.

    Yields:
        The stream to write to.
    """
    make_folder(path.rsplit("/", 1)[0])
    with _scratch_file(scratch) as (own, stream):
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
        own.replace(path)


def create_once(path: str, data: bytes, scratch: str) -> bool:
    """Writes a file unless there is one, whole or not at all.

    Args:
        path: Where the file is to be.
        data: What is to be in it.
        scratch: A folder on the same file system for the try's own file.

    Returns:
        Whether this call wrote it; False where there is one already.
    """
    make_folder(path.rsplit("/", 1)[0])
    with _scratch_file(scratch) as (own, stream):
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
        try:
            os.link(own, path)
        except FileExistsError:
            return False
    return True


@contextmanager
def _scratch_file(folder: str) -> Iterator[tuple[Path, BinaryIO]]:
    """Opens a file that nobody else has; it is gone afterwards, and the folder with the last of them."""
    own = Path(folder) / uuid.uuid4().hex
    try:
        with _open_in_made_folder(own) as stream:
            yield own, stream
    finally:
        own.unlink(missing_ok=True)
        with suppress(OSError):
            own.parent.rmdir()


def _open_in_made_folder(path: Path) -> BinaryIO:
    """Opens a file for writing; another worker may remove its folder while that is empty."""
    for _ in range(100):
        make_folder(str(path.parent))
        with suppress(FileNotFoundError):
            return path.open("wb")
    raise JobError(f"write.path: {path.parent} vanishes as soon as it is made")


def size(path: str) -> int | None:
    """The size of a file; None where there is none."""
    try:  # not by matching: a name can hold what a pattern means otherwise
        return int(FileSystems.get_filesystem(path).size(path))
    except (BeamIOError, OSError):
        return None


def refuse_remote_output(path: str) -> None:
    """Says that shards cannot be put on a remote file system yet.

    Raises:
        ConfigError: The path is not on a local disk.
    """
    if not is_local(path):
        raise ConfigError(f"write.path: {path} is on a remote file system, which is not available yet; write to a disk")


def check_readable(path: str, bytes_expected: int) -> None:
    """Checks that a file is as large as when the inputs were listed.

    Raises:
        JobError: It is not.
    """
    now = size(path)
    if now != bytes_expected:
        raise JobError(
            f"read.files: {path} had {bytes_expected} bytes when the job was planned and "
            f"{'is gone' if now is None else f'has {now} now'}; run the job again when nothing writes to it"
        )
