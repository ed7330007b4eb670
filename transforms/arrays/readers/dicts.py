"""Rows that are dicts already: of a pipeline that has its own source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from transforms.arrays.adopt import content_hash
from transforms.arrays.dead_letters import DeadLetters, row_as_json
from transforms.arrays.readers.jsonl import bad_value, row_type, to_arrays
from transforms.arrays.readers.rows import Columns, Rows, make_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def read_dicts(dicts: Sequence[Mapping[str, Any]], columns: Columns) -> Rows:
    """Turns dicts into rows.

    A dict has no place in a file; its identity is a hash of its content, so that order, shards and splits
    do not depend on how a runner hands dicts out.

    Args:
        dicts: The rows.
        columns: The columns to take.

    Returns:
        Rows, dead letters and counts.

    >>> read_dicts([{"text": "a"}, {"text": None}], Columns(("text",), {})).read
    2
    """
    kind = row_type(columns)
    dead = DeadLetters()
    rows, positions = [], []
    for row in dicts:
        position = content_hash(row)
        try:
            converted = msgspec.convert({name: row[name] for name in columns.wanted if name in row}, kind)
            _check_strings(converted)
        except UnicodeEncodeError:
            dead.add("bad_encoding", "half of a surrogate pair", "", position, row_as_json(dict(row)))
        except msgspec.ValidationError as error:
            reason, message = bad_value(dict(row), columns.texts, str(error), kind)
            dead.add(reason, message, "", position, row_as_json(dict(row)))
        else:
            rows.append(converted)
            positions.append(position)
    return make_rows(columns, "", np.array(positions, np.int64), to_arrays(rows, columns), dead)


def _check_strings(row: Any) -> None:
    """Raises UnicodeEncodeError where a string holds half a surrogate pair, which no column can."""
    for value in msgspec.structs.astuple(row):
        if isinstance(value, str) and not value.isascii():
            value.encode()
