"""Files on any file system: found, read, and put in place whole."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, BinaryIO

from transforms.arrays.errors import ConfigError, StoreError, blame
from transforms.filesystems import scheme_of, store_of
from transforms.filesystems import use_options as use_options
from transforms.filesystems.store import READ_BYTES, Found, held_back
from transforms.filesystems.told import told, told_reads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


def is_local(path: str) -> bool:
    """Whether a path is on this machine's disk."""
    return scheme_of(path) is None


def require_store(path: str, where: str, *, to_write: bool = False) -> None:
    """Checks that a path's file system can be used, before anything is asked of it.

    Args:
        path: A path or an address.
        where: The option that gave it, for messages.
        to_write: Whether files are to be written there.

    Raises:
        ConfigError: The file system is not known, its extra is not installed, it lacks an option, or the address a
            bucket; or it can be read only.
    """
    try:
        store = store_of(path)
        store.check(path)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    if to_write and not store.writes:
        raise ConfigError(f"{where}: {path} is on a file system that is read only here; write to gs://, s3://, hdfs://")


def match(pattern: str, where: str) -> list[Found]:
    """Finds the files that a pattern matches.

    Args:
        pattern: A path, in which * ? [ ] and ** match as Beam has it.
        where: The option that gave it, for messages.

    Returns:
        The files, in the order of their paths; none is no error.

    Raises:
        ConfigError: The file system cannot be asked.
        JobError: It does not answer.
    """
    require_store(pattern, where)
    try:
        with told(pattern, "listed"):
            return sorted(store_of(pattern).find(pattern))
    except (OSError, StoreError, ValueError) as error:
        raise blame(error, where) from error


def stat(path: str) -> Found | None:
    """Looks at one file.

    Args:
        path: Where it is; no pattern.

    Returns:
        Its size, time of change and checksum; None where there is none.
    """
    with told(path, "looked at"):
        return store_of(path).stat(path)


def size(path: str) -> int | None:
    """The size of a file; None where there is none."""
    found = stat(path)
    return None if found is None else found.bytes


def exists(path: str) -> bool:
    """Whether there is a file at a path."""
    return stat(path) is not None


def list_folder(path: str) -> list[Found]:
    """Lists the files below a folder.

    Args:
        path: The folder.

    Returns:
        The files of it and of its subfolders, in the order of their paths; none where there is no folder.
    """
    with told(path, "listed"):
        return sorted(found for found in store_of(path).walk(path) if not found.is_folder)


def weigh_folder(path: str) -> tuple[int, float]:
    """Says how large a folder is, and how new.

    Args:
        path: The folder.

    Returns:
        The bytes of all files below it; when the last of them, or of the folders, was changed, in seconds since
        1970. Both are 0 where there is no folder.
    """
    total, newest = 0, 0.0
    with told(path, "listed"):
        for found in store_of(path).walk(path):
            total, newest = total + found.bytes, max(newest, found.changed)
    return total, newest


def list_subfolders(path: str) -> list[str]:
    """Lists the names of the folders in a folder, in order; none where there is no folder."""
    with told(path, "listed"):
        return sorted(store_of(path).subfolders(path))


@contextmanager
def open_binary(path: str) -> Iterator[BinaryIO]:
    """Opens a file for reading, as its bytes are.

    Args:
        path: Where it is.

    Yields:
        The stream.

    Raises:
        StoreError: A remote file system does not give it; a local one raises OSError.
    """
    with _told_reading(path):
        stream = store_of(path).open(path)
    try:
        yield stream if is_local(path) else told_reads(path, stream)
    finally:
        with _told_reading(path):
            stream.close()


@contextmanager
def open_copy(path: str) -> Iterator[BinaryIO]:
    """Opens a file that is read more than once: a remote one comes to this machine's disk, and is fetched once."""
    with open_binary(path) as stream:
        if is_local(path):
            yield stream
            return
        with held_back() as copy:
            shutil.copyfileobj(stream, copy, READ_BYTES)
            copy.seek(0)
            yield copy


def read_bytes(path: str) -> bytes:
    """Reads a whole file."""
    with open_binary(path) as stream:
        return stream.read()


def read_range(path: str, start: int, size: int) -> bytes:
    """Reads a few bytes of a file.

    Args:
        path: Where it is.
        start: The first byte.
        size: How many, at least one.

    Returns:
        The bytes; fewer where the file ends before.

    Raises:
        StoreError: The file system does not give them.
    """
    with told(path, "read"):
        return store_of(path).read_range(path, start, size)


def _told_reading(path: str) -> AbstractContextManager[None]:
    """What a disk of this machine raises names the file, and who reads it knows best what it is to them."""
    return nullcontext() if is_local(path) else told(path, "read")


def write_bytes(path: str, data: bytes) -> None:
    """Writes a whole file that nothing else writes."""
    with told(path, "written"):
        store_of(path).write(path, data)


def sync_below(folder: str) -> None:
    """Makes sure that the files below a folder are there, under their names, after a loss of power too.

    Args:
        folder: Whose files have been written and put in place; nothing writes to it any more.
    """
    with told(folder, "written"):
        store_of(folder).sync_below(folder)


@contextmanager
def publish(path: str, scratch: str) -> Iterator[BinaryIO]:
    """Writes a file that appears under its name only when it is whole.

    Late and repeated tries put equal bytes in the place of equal bytes. Where the file system has an atomic put, the
    file waits in the system's temporary folder until it is whole.

    Args:
        path: Where the file is to be.
        scratch: A folder on the same file system for the try's own file.

    Yields:
        The stream to write to.

    Raises:
        StoreError: The file system does not take it.
    """
    with ExitStack() as stack:
        with told(path, "written"):
            stream = stack.enter_context(store_of(path).publish(path, scratch))
        yield stream
        with told(path, "written"):
            stack.close()


def create_once(path: str, data: bytes, scratch: str) -> bool:
    """Writes a file unless there is one, whole or not at all.

    Args:
        path: Where the file is to be.
        data: What is to be in it.
        scratch: A folder on the same file system for the try's own file.

    Returns:
        Whether this call wrote it. False where there is one already: even one that this call wrote, where the
        answer was lost and the call repeated, so look at what is there before you take it for another's.
    """
    with told(path, "written"):
        return store_of(path).create_once(path, data, scratch)


def remove_file(path: str) -> None:
    """Removes a file; none is no error."""
    with told(path, "removed"):
        store_of(path).remove_file(path)


def remove_folder(path: str) -> None:
    """Removes a folder with all that is in it; none is no error.

    Raises:
        StoreError: It cannot be removed, or not all of it.
    """
    with told(path, "removed"):
        store_of(path).remove_folder(path)
