"""Lines of a byte stream, in blocks: they end at LF or CRLF and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa

from transforms.arrays.dead_letters import RAW_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

BLOCK_BYTES = 4 << 20  # read at a time: thousands of rows, and small beside a worker's memory
BLOCK_LINES = 16 << 10  # given at a time: short lines become rows, or dead letters, far larger than they are
BEYOND_BYTES = 64 << 10  # read at a time to end the last line of a range
BOM = b"\xef\xbb\xbf"
LF, CR = 10, 13


class TooLong(NamedTuple):
    """A line that exceeds the limit and was passed over.

    Attributes:
        position: Byte offset of its start in the stream.
        start: Its first bytes, one more than a dead letter keeps.
    """

    position: int
    start: bytes


class Lines(NamedTuple):
    """A block of lines.

    Attributes:
        data: The block's bytes, uint8.
        starts: Where in `data` each line starts, a BOM left out; int64 [lines].
        stops: Where it ends, its LF or CRLF left out; int64 [lines].
        positions: Byte offset of each line's start in the stream, int64 [lines].
        too_long: Lines passed over.
    """

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    positions: NDArray[np.int64]
    too_long: list[TooLong]

    def only(self, which: Any) -> Lines:
        """Some of the lines: those of a slice, an array of numbers or one of flags."""
        return self._replace(starts=self.starts[which], stops=self.stops[which], positions=self.positions[which])

    def line(self, i: int) -> bytes:
        """Copies line `i` out."""
        return self.data[self.starts[i] : self.stops[i]].tobytes()

    def end(self, i: int) -> str:
        """How line `i` ends: CRLF or LF. Behind a last line without an end, one that leaves it as it is."""
        return "\r\n" if self.data[min(self.stops[i], len(self.data) - 1)] == CR else "\n"

    def to_binary(self) -> Any:
        """Builds a binary Arrow array of the lines, [lines]."""
        return cut_out(self.data, self.starts, self.stops)


def cut_out(data: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64]) -> Any:
    """Copies stretches of a buffer into one Arrow array.

    Args:
        data: The buffer, uint8.
        starts: Where each stretch starts, int64 [stretches], rising.
        stops: Where it ends, int64 [stretches]; before the next starts.

    Returns:
        A binary array, [stretches].

    >>> cut_out(np.frombuffer(b"a,bc,", np.uint8), np.array([0, 2]), np.array([1, 4])).to_pylist()
    [b'a', b'bc']
    """
    if not len(starts):
        return pa.array([], pa.binary())
    # Stretches and the gaps between them in turn are an array over the buffer; every other one is taken.
    edges = np.stack([starts, stops], axis=1).ravel().astype(np.int32)  # int32 [2 * stretches]
    both = pa.BinaryArray.from_buffers(
        pa.binary(), len(edges) - 1, [None, pa.py_buffer(edges), pa.py_buffer(np.ascontiguousarray(data))]
    )
    return both.take(pa.array(np.arange(0, len(edges), 2)))


def read_lines(
    stream: BinaryIO,
    start: int = 0,
    stop: int | None = None,
    *,
    max_row_bytes: int,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Lines]:
    """Reads the lines that start within a range of bytes.

    Args:
        stream: Readable; seekable where `start` is not 0.
        start: The first byte of the range.
        stop: The byte after its last; None for the stream's end.
        max_row_bytes: A longer line is passed over and reported.
        block_bytes: How much is read at a time.

    Yields:
        Blocks of whole lines, of `BLOCK_LINES` at the most. Ranges that meet neither lose a line nor give one twice.
    """
    # A line starts at `start` if the byte before it is an LF: that byte is read with the range.
    position = max(start - 1, 0)  # of what is read next
    if position:
        stream.seek(position)
    tail, position = _skip_line(stream, position, block_bytes) if start else (b"", position)
    at = position - len(tail)  # where the first line that is not given yet starts
    pending: list[bytes] = []  # of a line whose end is not read yet
    too_long: list[TooLong] = []
    while stop is None or at < stop:
        size = block_bytes if stop is None else min(block_bytes, max(stop - position, BEYOND_BYTES))
        block, tail = tail or stream.read(size), b""
        position = at + sum(map(len, pending)) + len(block)
        end = block.rfind(b"\n") + 1
        if end or not block:
            whole = b"".join([*pending, block[:end]])
            if whole or too_long:
                yield from _split(whole, at, stop, max_row_bytes, too_long)
            at, pending, too_long = at + len(whole), [block[end:]], []
        else:
            pending.append(block)
        if not block:
            return
        if position - at > max(max_row_bytes, RAW_BYTES) + len(BOM) + len(b"\r\n") and (stop is None or at < stop):
            too_long.append(TooLong(at, _begin(pending, at)))
            pending = []  # memory for what is read on the way to the line's end
            tail, position = _skip_line(stream, position, block_bytes)
            at = position - len(tail)
    if too_long:
        yield from _split(b"", at, stop, max_row_bytes, too_long)


def _begin(blocks: list[bytes], at: int) -> bytes:
    """Copies the first bytes of a line out of its blocks, as many as a dead letter keeps and one more."""
    begun = b""
    for block in blocks:
        begun += block[: RAW_BYTES + 1 + len(BOM) - len(begun)]
        if len(begun) > RAW_BYTES + len(BOM):
            break
    return (begun.removeprefix(BOM) if at == 0 else begun)[: RAW_BYTES + 1]


def _skip_line(stream: BinaryIO, position: int, block_bytes: int) -> tuple[bytes, int]:
    """Reads on to the end of a line; returns what was read behind it and the position behind that."""
    while block := stream.read(block_bytes):
        position += len(block)
        end = block.find(b"\n") + 1
        if end:
            return block[end:], position
    return b"", position


def _split(whole: bytes, at: int, stop: int | None, max_row_bytes: int, too_long: list[TooLong]) -> Iterator[Lines]:
    """Finds the lines of what starts with a line and ends with one; those passed over before it are given first."""
    data = np.frombuffer(whole, np.uint8)
    ends = np.flatnonzero(data == LF)
    if len(data) and data[-1] != LF:
        ends = np.append(ends, len(data))
    begin = 0
    for first in range(0, max(len(ends), 1), BLOCK_LINES):
        stops = ends[first : first + BLOCK_LINES].copy()
        starts = np.concatenate([np.full(1, begin), stops + 1])
        begin, starts = int(starts[-1]), starts[: len(stops)]
        positions = starts + at
        if len(data):
            crlf = (stops > starts) & (stops < len(data)) & (data[np.maximum(stops - 1, 0)] == CR)
            stops[crlf] -= 1
        if at == 0 and first == 0 and whole.startswith(BOM):
            starts[0] = len(BOM)
            if len(data) == len(BOM):  # a file of a BOM alone has no line
                starts, stops, positions = starts[:0], stops[:0], positions[:0]
        mine = np.ones(len(starts), bool) if stop is None else positions < stop
        long = mine & (stops - starts > max_row_bytes)
        too_long += [
            TooLong(int(positions[i]), whole[starts[i] : min(stops[i], starts[i] + RAW_BYTES + 1)])
            for i in np.flatnonzero(long)
        ]
        mine &= ~long
        yield Lines(data, starts[mine], stops[mine], positions[mine], too_long)
        too_long = []
