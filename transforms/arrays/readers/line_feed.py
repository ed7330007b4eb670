"""Lines handed to a parser that takes them one by one, and those of the row it is in remembered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, BinaryIO

from transforms.arrays.dead_letters import RAW_BYTES
from transforms.arrays.readers.lines import Lines, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

TOO_LONG = "\ud800"  # stands for a line that was passed over: no decoded byte can give this

IN_QUOTES = re.compile('[^"]*(?:""[^"]*)*')  # of a line that begins in quotes, what leaves them open


class LineFeed:
    """Feeds lines to a parser and remembers those of the row it is in.

    A row goes on into a next line in quotes alone. Of one that is too long by then, the parser gets what closes
    them and no more, so that it ends where it would have ended, and neither holds it whole.

    Args:
        stream: The file, decompressed, from its start.
        max_row_bytes: A longer line is passed over, and `TOO_LONG` given in its place.

    Attributes:
        blocks: How many blocks of lines have been begun.
    """

    def __init__(self, stream: BinaryIO, max_row_bytes: int) -> None:
        self.blocks = 0
        self._stream = read_lines(stream, max_row_bytes=max_row_bytes)
        self._max_row_bytes = max_row_bytes
        self._lines: Lines | None = None
        self._order: Any = ()  # numbers of lines; behind the last one, those of lines that were passed over
        self._next = 0
        self._raw = bytearray()  # of the row so far, a little more than a dead letter keeps
        self._end = b""  # of its last line, which is not in it yet
        self._bytes = 0  # of the row so far, its lines' ends with them
        self._is_long = False

    def has_line(self) -> bool:
        """Whether there is a line left, in this block or the next."""
        while self._next == len(self._order):
            self._lines = next(self._stream, None)
            if self._lines is None:
                self._order, self._next = (), 0
                return False
            places = [*self._lines.positions.tolist(), *(line.position for line in self._lines.too_long)]
            whole = not self._lines.too_long
            self._order = range(len(places)) if whole else sorted(range(len(places)), key=places.__getitem__)
            self._next = 0
            self.blocks += 1
        return True

    def left(self) -> Lines | None:
        """The lines of this block that are left; None where some were passed over."""
        if self._lines is None or self._lines.too_long:
            return None
        return self._lines.only(slice(self._next, None))

    def skip(self, count: int) -> None:
        """Leaves out lines that were read as a whole."""
        self._next += count

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while self.has_line() and self._lines is not None:
            i = self._order[self._next]
            self._next += 1
            if i >= len(self._lines.starts):
                self._remember(self._lines.too_long[i - len(self._lines.starts)].start, "\n")
                self._is_long = True
                return TOO_LONG + "\n"
            line, end = self._lines.line(i), self._lines.end(i)
            goes_on = bool(self._bytes)
            self._remember(line, end)
            text = line.decode(errors="surrogateescape") + end
            if not (goes_on and self._is_long):
                return text
            closing = IN_QUOTES.sub("", text, count=1)
            if closing:
                return closing
        raise StopIteration

    def _remember(self, line: bytes, end: str) -> None:
        """Counts a line of the row, and keeps it unless there is enough for a dead letter: a row may have millions."""
        self._is_long |= self._bytes + len(line) > self._max_row_bytes
        if len(self._raw) <= RAW_BYTES:
            self._raw += self._end + line[: RAW_BYTES + 1]
            self._end = end.encode()
        self._bytes += len(line) + len(end)

    def is_long(self) -> bool:
        """Whether the row that has just ended is longer than the limit; to be asked before its lines are taken."""
        return self._is_long

    def take_raw(self) -> bytes:
        """Hands out the lines of the row that has just ended; of long ones what a dead letter keeps."""
        raw = bytes(self._raw)
        self._raw.clear()
        self._end, self._bytes, self._is_long = b"", 0, False
        return raw
