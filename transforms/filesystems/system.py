"""What this machine refuses, told in a sentence: a disk that is full, a file that is somebody else's."""

from __future__ import annotations

import errno
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from transforms.arrays.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

# What there is to do. A file's name adds nothing there, and to all other errors it does.
REMEDIES = {
    errno.ENOSPC: "make room on its disk (df; df -i where files are too many), or name another place",
    errno.EDQUOT: "make room for your user on its disk (quota), or name another place",
    errno.EFBIG: "raise the limit on a file's size (ulimit -f), or write more and smaller files",
    errno.EROFS: "name another place, or have its disk mounted to be written to",
    errno.EACCES: "give the user who runs the job the right to it",
    errno.EPERM: "give the user who runs the job the right to it",
    errno.ENOENT: "it was removed while it was in use: see what clears up there, and run the job again",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.EIO: "look after its disk",
}

# What only a disk of this machine says, and no network.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


REFUSED = re.compile(
    r"^(?:RuntimeError: )?(?:OSError|PermissionError|FileNotFoundError): \[Errno (\d+)\] [^:\n]*"
    r"(: '[^'\n]*'|: \"[^\"\n]*\")?",
    re.MULTILINE,
)


def spell(error: Exception) -> str:
    """Says what was refused, and what to do where that is known.

    Args:
        error: What was raised.

    Returns:
        A clause to put behind a message.

    >>> spell(OSError(errno.EFBIG, "Detail: [errno 27]", "part-0"))
    "File too large; raise the limit on a file's size (ulimit -f), or write more and smaller files"
    >>> spell(ValueError("no number"))
    'ValueError: no number'
    """
    if isinstance(error, OSError) and error.errno in REMEDIES:
        return f"{os.strerror(error.errno)}; {REMEDIES[error.errno]}"
    return f"{type(error).__name__}: {error}"


def refusal(text: str) -> str | None:
    r"""Finds in a traceback what the machine refused.

    Args:
        text: The traceback, or a chain of them.

    Returns:
        The last refusal for which there is a remedy, spelled out; None for none.

    >>> refusal("  File ...\nPermissionError: [Errno 13] Permission denied: '/data/a.txt'\n")
    "Permission denied: '/data/a.txt'; give the user who runs the job the right to it"
    """
    found = [(int(number), name) for number, name in REFUSED.findall(text) if int(number) in REMEDIES]
    return f"{os.strerror(found[-1][0])}{found[-1][1]}; {REMEDIES[found[-1][0]]}" if found else None


@contextmanager
def disk_told(path: str, what: str) -> Iterator[None]:
    """Turns what this machine's disk refuses into a sentence.

    Args:
        path: A file or folder on it.
        what: What it cannot be: "read", "written".

    Raises:
        StoreError: It refused.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path} cannot be {what}: {spell(error)}") from error


def told_writes(path: str, stream: BinaryIO) -> BinaryIO:
    """Gives a stream whose writes fail with a sentence: the system does not say which file it was that found no room.

    Args:
        path: Of the file, for messages.
        stream: The file, which stays its opener's to close.
    """
    return cast("BinaryIO", _Writes(path, stream))


class _Writes:
    """The writes of a stream, each with its sentence."""

    def __init__(self, path: str, stream: BinaryIO) -> None:
        self._path = path
        self._stream = stream

    def write(self, data: Any) -> int:
        with disk_told(self._path, "written"):
            return self._stream.write(data)

    def flush(self) -> None:
        with disk_told(self._path, "written"):
            self._stream.flush()

    def tell(self) -> int:
        return self._stream.tell()
