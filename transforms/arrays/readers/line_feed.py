"""Lines handed to a parser that takes them one by one, and those of the row it is in remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

from transforms.arrays.readers.lines import Lines, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

TOO_LONG = "\ud800"  # stands for a line that was passed over: no decoded byte can give this


class LineFeed:
    """Feeds lines to a parser and remembers those of the row it is in.

    Args:
        stream: The file, decompressed, from its start.
        max_row_bytes: A longer line is passed over, and `TOO_LONG` given in its place.

    Attributes:
        blocks: How many blocks of lines have been begun.
    """

    def __init__(self, stream: BinaryIO, max_row_bytes: int) -> None:
        self.blocks = 0
        self._stream = read_lines(stream, max_row_bytes=max_row_bytes)
        self._lines: Lines | None = None
        self._order: Any = ()  # numbers of lines; behind the last one, those of lines that were passed over
        self._next = 0
        self._raw: list[tuple[bytes, str]] = []

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
        lines, i = self._lines, self._next
        if lines is None or lines.too_long:
            return None
        return lines._replace(starts=lines.starts[i:], stops=lines.stops[i:], positions=lines.positions[i:])

    def skip(self, count: int) -> None:
        """Leaves out lines that were read as a whole."""
        self._next += count

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if not self.has_line() or self._lines is None:
            raise StopIteration
        i = self._order[self._next]
        self._next += 1
        if i >= len(self._lines.starts):
            self._raw.append((self._lines.too_long[i - len(self._lines.starts)].start, "\n"))
            return TOO_LONG + "\n"
        line, end = self._lines.line(i), self._lines.end(i)
        self._raw.append((line, end))
        return line.decode(errors="surrogateescape") + end

    def take_raw(self) -> bytes:
        """Hands out the lines of the row that has just ended."""
        raw, self._raw = self._raw, []
        return b"".join([*(line + end.encode() for line, end in raw[:-1]), *(line for line, _ in raw[-1:])])
