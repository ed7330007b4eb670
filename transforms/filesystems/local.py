"""The disks of this machine, and what is mounted as one."""

from __future__ import annotations

import errno
import math
import os
import posixpath
import re
import shutil
import stat
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from apache_beam.io.filesystems import FileSystems

from transforms.arrays.errors import JobError, StoreError
from transforms.filesystems.store import GLOB, Found, Store, fixed_part, matcher
from transforms.filesystems.system import spell, told_writes

if TYPE_CHECKING:
    from collections.abc import Iterator

# What the system says where there is nothing of a name, nor can be.
ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


class Local(Store):
    """The disks of this machine: files are renamed into place, and a hard link is the exclusive create."""

    failures = (OSError,)

    def __init__(self, options: Any = None) -> None:
        """Needs nothing."""

    def stat(self, path: str) -> Found | None:
        """See `Store`."""
        about = _look(path)
        return None if about is None else Found(path, about.st_size, about.st_mtime)

    def find(self, pattern: str) -> Iterator[Found]:
        """Lists what Beam would, without looking at every file below the first folder: that can be a whole disk."""
        if not GLOB & set(pattern):
            _look(pattern)  # Beam takes what it may not look at for what is not there
            matched = (m.path for m in FileSystems.match([pattern])[0].metadata_list)
            yield from (found for path in matched if (found := _regular(path)))
            return
        pattern = re.sub("/+", "/", pattern)
        matches = matcher(pattern)
        root = posixpath.dirname(fixed_part(pattern))
        # Of the wildcards, ** stands for any number of folders, and ? and [ may stand for the slash after one.
        deepest = math.inf if "**" in pattern else sum(map(pattern.count, "/?["))

        def refuse(error: OSError) -> None:
            if _can_hold(str(error.filename).removeprefix("" if root else "./"), pattern):
                _raise_unless_absent(error)

        for folder, folders, names in os.walk(root or ".", onerror=refuse):
            prefix = "" if not root and folder == "." else posixpath.join(folder, "").removeprefix("" if root else "./")
            if prefix.count("/") >= deepest:
                folders.clear()
            # What has no state is gone already, or a link to nowhere.
            yield from (found for path in filter(matches, (prefix + n for n in names)) if (found := _regular(path)))

    def walk(self, folder: str) -> Iterator[Found]:
        """See `Store`."""
        for place, folders, names in os.walk(folder, onerror=_raise_unless_absent):
            about = self.stat(place)
            if about is not None:  # a running job moves its files
                yield Found(f"{place}/", 0, about.changed)
            links = [name for name in folders if os.path.islink(f"{place}/{name}")]  # noqa: PTH114 - as os.walk has it
            yield from (found for name in (*names, *links) if (found := _entry(f"{place}/{name}")) is not None)

    def subfolders(self, folder: str) -> list[str]:
        """See `Store`."""
        try:
            with os.scandir(folder) as entries:
                return [entry.name for entry in entries if entry.is_dir()]
        except OSError as error:
            _raise_unless_absent(error)
            return []

    def write(self, path: str, data: bytes) -> None:
        """See `Store`."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())

    def sync_below(self, folder: str) -> None:
        """See `Store`; the folders above may be new as well."""
        below = [place for place, _, _ in os.walk(folder)]
        for place in (*below, *map(str, Path(folder).absolute().parents)):
            _sync_folder(place)

    @contextmanager
    def publish(self, path: str, scratch: str) -> Iterator[BinaryIO]:
        """See `Store`."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with _scratch_file(scratch) as (own, stream):
            yield told_writes(path, stream)
            stream.flush()
            os.fsync(stream.fileno())
            own.replace(path)

    def create_once(self, path: str, data: bytes, scratch: str) -> bool:
        """See `Store`."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with _scratch_file(scratch) as (own, stream):
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
            try:
                os.link(own, path)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise
                raise JobError(
                    f"{path} cannot be written once: its disk takes no hard link ({error.strerror}); use another disk"
                ) from error
            _sync_folder(Path(path).parent)
        return True

    def remove_file(self, path: str) -> None:
        """See `Store`."""
        Path(path).unlink(missing_ok=True)

    def remove_folder(self, path: str) -> None:
        """See `Store`."""
        with suppress(FileNotFoundError):  # somebody else was faster
            shutil.rmtree(path)


def _entry(path: str) -> Found | None:
    """Looks at what is no folder; a link to a folder or to nowhere is a file of its own."""
    about = _look(path)
    if about is None or stat.S_ISDIR(about.st_mode):
        try:
            about = os.lstat(path)
        except FileNotFoundError:
            return None
    return Found(path, about.st_size, about.st_mtime)


def _regular(path: str) -> Found | None:
    """Looks at one file; None also where it is a folder, a pipe or a device: those have no size, or no end."""
    about = _look(path)
    if about is None or not stat.S_ISREG(about.st_mode):
        return None
    return Found(path, about.st_size, about.st_mtime)


def _look(path: str) -> os.stat_result | None:
    """Looks at what has a name; None where nothing has: what cannot be looked at is there all the same."""
    try:
        return os.stat(path)  # noqa: PTH116 - of many files, without an object for each
    except OSError as error:
        _raise_unless_absent(error)
        return None


def _raise_unless_absent(error: OSError) -> None:
    if error.errno not in ABSENT:
        raise StoreError(f"{error.filename} cannot be looked at: {spell(error)}") from error


def _can_hold(folder: str, pattern: str) -> bool:
    """Whether what a pattern matches can be in a folder, or below."""
    for part, name in zip(pattern.split("/"), folder.split("/"), strict=False):
        if "**" in part or "?" in part or "[" in part:  # may stand for a slash
            return True
        if part != name and not matcher(part)(name):
            return False
    return True


def _sync_folder(folder: str | Path) -> None:
    """Brings a folder's names to the disk; not of one that may not be read, or whose disk knows no such thing."""
    with suppress(PermissionError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(opened)


@contextmanager
def _scratch_file(folder: str) -> Iterator[tuple[Path, BinaryIO]]:
    """Opens a file that nobody else has; it is gone afterwards, and the folder with the last of them."""
    own = Path(folder) / uuid.uuid4().hex
    try:
        stream = _open_in_made_folder(own)
        try:
            yield own, stream
        finally:
            with suppress(OSError):  # of a file that is whole all bytes are on the disk by now
                stream.close()
    finally:
        own.unlink(missing_ok=True)
        with suppress(OSError):
            own.parent.rmdir()


def _open_in_made_folder(path: Path) -> BinaryIO:
    """Opens a file for writing; another worker may remove its folder while that is empty."""
    for _ in range(100):
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            return path.open("wb")
    raise JobError(f"write.path: {path.parent} vanishes as soon as it is made")
