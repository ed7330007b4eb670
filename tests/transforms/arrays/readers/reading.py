"""What the tests of all readers share: reading bytes into plain values, however they arrive."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple

from transforms.arrays.dead_letters import REASONS
from transforms.arrays.readers import CODECS, READERS, Columns, Source

if TYPE_CHECKING:
    from collections.abc import Sequence

BOM = b"\xef\xbb\xbf"

TEXT = Columns(("text",), {})


class Trickle(io.BytesIO):
    """A stream that gives a few bytes at a time, so that blocks end anywhere."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__(data)
        self.step = step

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self.step if size is None or size < 0 else min(size, self.step))


class Read(NamedTuple):
    """What a reader gave.

    Attributes:
        rows: (position, values of the columns) in the order given.
        dead: (position, reason), in the order of the positions.
        letters: The dead letters.
        read: Rows read, as it counts them.
        dropped: Rows dropped, as it counts them.
    """

    rows: list[tuple[int, dict[str, Any]]]
    dead: list[tuple[int, str]]
    letters: list[dict[str, Any]]
    read: int
    dropped: int

    @property
    def texts(self) -> list[str]:
        return [row["text"] for _, row in self.rows]

    @property
    def reasons(self) -> list[str]:
        return [reason for _, reason in self.dead]


def read(
    reader: str,
    data: bytes,
    columns: Columns = TEXT,
    *,
    step: int | None = None,
    cuts: Sequence[int] = (),
    codec: str | None = None,
) -> Read:
    """Reads bytes with a reader, in ranges between `cuts`, `step` bytes at a time."""
    rows, letters, count, dropped = [], [], 0, 0
    for start, stop in zip((0, *cuts), (*cuts, None), strict=True):
        stream = io.BytesIO(data) if step is None else Trickle(data, step)
        if codec:
            stream = CODECS[codec](stream)
        for part in READERS[reader].read(stream, Source("folder/a file", "a file", start, stop), columns):
            part.batch.validate(full=True)
            assert part.batch.schema.names == ["row_id", *columns.wanted]
            assert part.batch.schema.types[1:] == [columns.type_of(name) for name in columns.wanted]
            for row in part.batch.to_pylist():
                place = row.pop("row_id")
                assert place["file"] == "a file"
                assert place["window"] == 0
                rows.append((place["position"], row))
            letters += part.dead.to_pylist()
            count += part.read
            dropped += part.dropped_empty
            assert part.read >= part.batch.num_rows + part.dead.num_rows + part.dropped_empty
    assert count == len(rows) + len(letters) + dropped
    assert {letter["reason"] for letter in letters} <= set(REASONS)
    dead = sorted((letter["position"], letter["reason"]) for letter in letters)
    return Read(rows, dead, letters, count, dropped)


def lines_of(data: bytes) -> list[tuple[int, bytes]]:
    """The lines of a file with their offsets, the plain way."""
    lines, at = [], 0
    if data == BOM:
        return lines
    while at < len(data):
        end = data.find(b"\n", at)
        after = len(data) if end < 0 else end + 1
        line = data[at:after]
        line = line[:-2] if line.endswith(b"\r\n") else line.removesuffix(b"\n")
        lines.append((at, line.removeprefix(BOM) if at == 0 else line))
        at = after
    return lines
