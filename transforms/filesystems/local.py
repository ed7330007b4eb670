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

from transforms.arrays.errors import JobError
from transforms.filesystems.store import GLOB, Found, Store, fixed_part, matcher

if TYPE_CHECKING:
    from collections.abc import Iterator


class Local(Store):
    """The disks of this machine: files are renamed into place, and a hard link is the exclusive create."""

    def __init__(self, options: Any = None) -> None:
        """Needs nothing."""

    def stat(self, path: str) -> Found | None:
        """See `Store`."""
        try:
            about = os.stat(path)  # noqa: PTH116 - of many files, without an object for each
        except OSError:
            return None
        return Found(path, about.st_size, about.st_mtime)

    def find(self, pattern: str) -> Iterator[Found]:
        """Lists what Beam would, without looking at every file below the first folder: that can be a whole disk."""
        if not GLOB & set(pattern):
            matched = (m.path for m in FileSystems.match([pattern])[0].metadata_list)
            yield from (found for path in matched if (found := _regular(path)))
            return
        pattern = re.sub("/+", "/", pattern)
        matches = matcher(pattern)
        root = posixpath.dirname(fixed_part(pattern))
        # Of the wildcards, ** stands for any number of folders, and ? and [ may stand for the slash after one.
        deepest = math.inf if "**" in pattern else sum(map(pattern.count, "/?["))
        for folder, folders, names in os.walk(root or "."):
            prefix = "" if not root and folder == "." else posixpath.join(folder, "").removeprefix("" if root else "./")
            if prefix.count("/") >= deepest:
                folders.clear()
            # What has no state is gone already, or a link to nowhere.
            yield from (found for path in filter(matches, (prefix + n for n in names)) if (found := _regular(path)))

    def walk(self, folder: str) -> Iterator[Found]:
        """See `Store`."""
        for place, folders, names in os.walk(folder):
            about = self.stat(place)
            if about is not None:  # a running job moves its files
                yield Found(f"{place}/", 0, about.changed)
            links = [name for name in folders if os.path.islink(f"{place}/{name}")]  # noqa: PTH114 - as os.walk has it
            yield from (found for name in (*names, *links) if (found := _entry(f"{place}/{name}")) is not None)

    def subfolders(self, folder: str) -> list[str]:
        """See `Store`."""
        if not Path(folder).is_dir():
            return []
        return [path.name for path in Path(folder).iterdir() if path.is_dir()]

    def write(self, path: str, data: bytes) -> None:
        """See `Store`."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())

    def persist(self, folder: str) -> None:
        """See `Store`; the folders above may be new as well."""
        below = [place for place, _, _ in os.walk(folder)]
        for place in (*below, *map(str, Path(folder).absolute().parents)):
            _sync_folder(place)

    @contextmanager
    def publish(self, path: str, scratch: str) -> Iterator[BinaryIO]:
        """See `Store`."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with _scratch_file(scratch) as (own, stream):
            yield stream
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
    for look in (os.stat, os.lstat):
        with suppress(OSError):
            about = look(path)
            if not stat.S_ISDIR(about.st_mode):
                return Found(path, about.st_size, about.st_mtime)
    return None


def _regular(path: str) -> Found | None:
    """Looks at one file; None also where it is a folder, a pipe or a device: those have no size, or no end."""
    try:
        about = os.stat(path)  # noqa: PTH116 - of many files, without an object for each
    except OSError:
        return None
    return Found(path, about.st_size, about.st_mtime) if stat.S_ISREG(about.st_mode) else None


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
        with _open_in_made_folder(own) as stream:
            yield own, stream
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
