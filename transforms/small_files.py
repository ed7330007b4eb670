"""Files that are read whole, and ought to be small: however large they are, memory is not."""

from __future__ import annotations

from pathlib import Path

from transforms.arrays.errors import JobError
from transforms.files import is_local, open_binary, size


def read_small(path: str, most: int) -> bytes:
    """Reads a whole file, unless it is larger than such a file can be.

    Args:
        path: Where it is; a pipe or a device is read too, as far as that.
        most: Bytes that it may have.

    Returns:
        Its content.

    Raises:
        JobError: It is larger.
    """
    with open_binary(path) as stream:
        content = stream.read(most + 1) if (size(path) or 0) <= most else None
    if content is None or len(content) > most:
        raise JobError(f"{path} has more than {most:,} bytes; is it the file that you meant?")
    return content


def require_file(path: str) -> None:
    """Checks that what has a name is a file, before it is opened: a pipe would be waited for without end.

    Args:
        path: Where it is.

    Raises:
        JobError: It is a folder, a pipe or a device, or a link to one.
    """
    if is_local(path) and Path(path).exists() and not Path(path).is_file():
        raise JobError(f"{path} is a folder, a pipe or a device, and has to be a file")
