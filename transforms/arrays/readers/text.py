"""Plain text: every line is a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pyarrow as pa

from transforms.arrays.dead_letters import DeadLetters
from transforms.arrays.readers.lines import Lines, read_lines
from transforms.arrays.readers.rows import Columns, Rows, Source, make_rows, utf8

if TYPE_CHECKING:
    from collections.abc import Iterator


def bury_too_long(dead: DeadLetters, file: str, lines: Lines, max_row_bytes: int) -> None:
    """Takes the lines that were passed over in as dead letters.

    Args:
        dead: Where they go.
        file: Path relative to the root.
        lines: The block that reports them.
        max_row_bytes: The limit they exceed.
    """
    for line in lines.too_long:
        dead.add("too_long", f"more than read.max_row_bytes ({max_row_bytes} bytes)", file, line.position, line.start)


def read_text(stream: BinaryIO, source: Source, columns: Columns) -> Iterator[Rows]:
    """Reads lines of text.

    Args:
        stream: The file, decompressed.
        source: The range to read.
        columns: The one column there is, the line, goes by the name of the first text.

    Yields:
        Rows by the block.
    """
    for lines in read_lines(stream, source.start, source.stop, max_row_bytes=columns.max_row_bytes):
        dead = DeadLetters()
        bury_too_long(dead, source.file, lines, columns.max_row_bytes)
        text, bad = utf8(lines.to_binary())
        for i in np.flatnonzero(bad):
            dead.add("bad_encoding", "not UTF-8", source.file, int(lines.positions[i]), lines.line(int(i)))
        if bad.any():
            lines, text = lines.only(~bad), text.filter(pa.array(~bad))
        if len(columns.texts) > 1:
            message = f"no {columns.texts[1]!r}; a line of plain text is {columns.texts[0]!r} alone"
            for row, position in enumerate(lines.positions.tolist()):
                dead.add("missing_column", message, source.file, position, lines.line(row))
            lines, text = lines.only(slice(0)), text[:0]
        # Beside other formats there can be kept columns, which a line does not have.
        arrays = [text if name in columns.texts else pa.nulls(len(text), columns.kept[name]) for name in columns.wanted]
        yield make_rows(columns, source.file, lines.positions, arrays, dead, lines.line)
