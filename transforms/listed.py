"""Inputs are what they were when the job was planned, or the job ends."""

from __future__ import annotations

from datetime import datetime, timezone

from transforms.arrays.errors import JobError
from transforms.files import stat


def check_as_listed(path: str, bytes_expected: int, checksum: str | None = None, changed: float = 0.0) -> None:
    """Checks that a file is what was listed.

    Args:
        path: Where it is.
        bytes_expected: Its size then.
        checksum: Its checksum then; None where the file system keeps none.
        changed: When it had last been changed then, seconds since 1970; it counts where there is no checksum; 0 where
            the file system does not say.

    Raises:
        JobError: It is not.
    """
    now = stat(path)
    if now is None:
        found = f"had {bytes_expected} bytes when the job was planned and is gone"
    elif now.bytes != bytes_expected:
        found = f"had {bytes_expected} bytes when the job was planned and has {now.bytes} now"
    elif checksum is not None and now.checksum != checksum:
        found = f"had the checksum {checksum} when the job was planned and has {now.checksum} now"
    elif checksum is None and not _is_same_time(now.changed, changed):
        found = f"was last changed at {_spell(changed)} when the job was planned, and now at {_spell(now.changed)}"
    else:
        return
    raise JobError(f"read.files: {path} {found}; run the job again when nothing writes to it")


def _is_same_time(one: float, other: float) -> bool:
    """Whether two times of change are one: not every client of a disk gets it with the same digits."""
    if not one or not other:
        return True
    digits = 1.0 if one.is_integer() or other.is_integer() else 1e-3
    return abs(one - other) < digits


def _spell(changed: float) -> str:
    return f"{datetime.fromtimestamp(changed, timezone.utc):%Y-%m-%d %H:%M:%S.%f} UTC"
