"""A sink that counts and checksums what passes through."""

from __future__ import annotations

from typing import Any, BinaryIO

import google_crc32c


class Checksummed:
    """A sink that counts and checksums what passes through.

    Attributes:
        bytes: Written so far.
        crc: crc32c of them.
    """

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self.bytes = 0
        self.crc = 0
        self.closed = False
        self._abandoned = False

    def abandon(self) -> None:
        """Lets later writes pass unseen: a writer that failed half-way still tries to end its file."""
        self._abandoned = True

    def write(self, data: Any) -> int:
        """Writes through."""
        if self._abandoned:
            return len(data)
        chunk = bytes(data)
        self._sink.write(chunk)
        self.bytes += len(chunk)
        self.crc = google_crc32c.extend(self.crc, chunk)
        return len(chunk)

    def flush(self) -> None:
        """Flushes the sink."""
        self._sink.flush()

    def close(self) -> None:
        """Leaves the sink open: whoever opened it closes it."""
        self.closed = True

    @property
    def crc32c(self) -> str:
        """The checksum as manifests spell it: 8 hex digits."""
        return f"{self.crc:08x}"
