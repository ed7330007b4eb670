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
        columns: Only its limits count; the one column is the line.

    Yields:
        Rows by the block.
    """
    for lines in read_lines(stream, source.start, source.stop, max_row_bytes=columns.max_row_bytes):
        dead = DeadLetters()
        bury_too_long(dead, source.file, lines, columns.max_row_bytes)
        text, bad = utf8(lines.to_binary())
        for i in np.flatnonzero(bad):
            dead.add("bad_encoding", "not UTF-8", source.file, int(lines.positions[i]), lines.line(int(i)))
        positions = lines.positions
        if bad.any():
            positions, text = positions[~bad], text.filter(pa.array(~bad))
        yield make_rows(columns, source.file, positions, [text] * len(columns.wanted), dead)
