"""Dead letters: rows that cannot be used, each with a reason, its place and its raw content."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

REASONS = (
    "bad_json",
    "bad_encoding",
    "missing_column",
    "wrong_type",
    "null_text",
    "bad_row",
    "empty_text",
    "unfit",
    "too_many_windows",
    "too_long",
    "tokenizer_error",
)

RAW_BYTES = 65536  # raw content is cut here

SCHEMA = pa.schema(
    [
        pa.field("reason", pa.string(), nullable=False),
        pa.field("message", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("raw", pa.binary(), nullable=False),
        pa.field("raw_truncated", pa.bool_(), nullable=False),
    ]
)


class DeadLetters:
    """Collects dead letters and hands them out as one batch.

    >>> dead = DeadLetters()
    >>> dead.add("bad_json", "unexpected end", "a.jsonl", 12, b'{"text":')
    >>> dead.to_batch().num_rows
    1
    """

    def __init__(self) -> None:
        # Columns, in the order of `SCHEMA`: a dict a row would be many times the size of a short line.
        self._columns: tuple[list[Any], ...] = tuple([] for _ in SCHEMA)

    def __len__(self) -> int:
        return len(self._columns[0])

    def add(self, reason: str, message: str, file: str, position: int, raw: bytes) -> None:
        """Takes in one row.

        Args:
            reason: One of `REASONS`.
            message: What was wrong, for a person.
            file: Path relative to the root.
            position: The row's place in the file.
            raw: The row's content; only the first `RAW_BYTES` are kept.
        """
        written = message.encode(errors="replace").decode()
        values = (reason, written, file, position, raw[:RAW_BYTES], len(raw) > RAW_BYTES)
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)

    def to_batch(self) -> Any:
        """Builds a RecordBatch of `SCHEMA` from the rows taken in so far."""
        return pa.RecordBatch.from_arrays(
            [pa.array(column, field.type) for column, field in zip(self._columns, SCHEMA, strict=True)], schema=SCHEMA
        )


def row_as_json(row: dict[str, Any]) -> bytes:
    """Spells a row out as JSON, for rows that have no line of their own.

    >>> row_as_json({"text": "a", "label": None})
    b'{"text": "a", "label": null}'
    """
    spelled = json.dumps({str(name): value for name, value in row.items()}, ensure_ascii=False, default=str)
    try:
        return spelled.encode(errors="surrogateescape")  # bytes that were no UTF-8 come back as they were
    except UnicodeEncodeError:
        return spelled.encode(errors="surrogatepass")  # half a surrogate pair never was bytes


def add_rows(dead: DeadLetters, reason: str, batch: Any, rows: Iterable[int], message: str) -> None:
    """Takes rows of a batch in as dead letters.

    Args:
        dead: Where they go.
        reason: One of `REASONS`.
        batch: A RecordBatch with a `row_id` column; its other columns become the raw content.
        rows: Row numbers.
        message: What was wrong, for a person.
    """
    for i in rows:
        row = batch.slice(i, 1).to_pylist()[0]
        place = row.pop("row_id")
        dead.add(reason, message, place["file"], place["position"], row_as_json(row))


def to_json_lines(batch: Any) -> Iterator[bytes]:
    """Spells dead letters out as JSON Lines.

    Args:
        batch: A RecordBatch or Table of `SCHEMA`.

    Yields:
        One line a row, its end included; `raw_base64` in place of `raw` where that is not UTF-8.
    """
    for row in batch.to_pylist():
        raw, truncated = row.pop("raw"), row.pop("raw_truncated")
        # A cut can fall inside a character; that alone does not make the content binary.
        text = _as_text(raw, may_end_short=truncated)
        row |= {"raw": text} if text is not None else {"raw_base64": base64.b64encode(raw).decode()}
        if truncated:
            row["raw_truncated"] = True
        yield json.dumps(row, ensure_ascii=False).encode() + b"\n"


def _as_text(raw: bytes, *, may_end_short: bool) -> str | None:
    for end in range(len(raw), max(len(raw) - (4 if may_end_short else 1), -1), -1):
        try:
            return raw[:end].decode()
        except UnicodeDecodeError:
            continue
    return None
