"""Batches of somebody else's pipeline: what Oblong's own steps would have put beside their rows is added."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from transforms.arrays.errors import JobError
from transforms.arrays.identity import ROW_ID, row_ids

if TYPE_CHECKING:
    from transforms.arrays.template import Template


def content_hash(row: Mapping[str, Any]) -> int:
    """Hashes a row's content to 63 bits, whatever the order of its columns.

    >>> content_hash({"a": 1, "b": "x"}) == content_hash({"b": "x", "a": 1})
    True
    """
    spelled = json.dumps(_plain(row), sort_keys=True, ensure_ascii=True).encode()
    return int.from_bytes(blake2b(spelled, digest_size=8).digest(), "little") >> 1


def _plain(value: Any) -> Any:
    """Spells a value in JSON's own types, the same in every process."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return hex(value) if abs(value) >= 2**63 else value
    if value is None or isinstance(value, bool | float | str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    spells: Any = type(value).__repr__
    if spells is object.__repr__:  # which spells an address
        raise JobError(f"row_id: a {type(value).__name__} has no content that names a row; use plain values")
    return repr(value)


def with_identity(batch: Any) -> Any:
    """Gives rows an identity that have none: a hash of their content.

    Args:
        batch: A RecordBatch.

    Returns:
        The same with a column `row_id` of type `identity.ROW_ID`.
    """
    if "row_id" in batch.schema.names:
        if batch.schema.field("row_id").type == ROW_ID:
            return batch
        raise JobError("row_id: this column is Oblong's own; call yours something else")
    positions = np.array([content_hash(row) for row in batch.to_pylist()], np.int64)  # int64 [rows]
    return batch.append_column(pa.field("row_id", ROW_ID), row_ids("", positions))


def with_contents(batch: Any) -> Any:
    """Takes a plain list of ids for the ids of a single text.

    Args:
        batch: A RecordBatch with `input_ids`.

    Returns:
        The same with `input_ids` as Tokenize gives them: a struct of one list<int32> for each text.
    """
    return _replace(batch, lambda ids: pa.StructArray.from_arrays([ids], ["text"])) if _is_plain(batch) else batch


def with_length(batch: Any, template: Template) -> Any:
    """Says how many content tokens rows have that come with their special tokens already.

    Args:
        batch: A RecordBatch with `input_ids`, a list.
        template: That their special tokens are of.

    Returns:
        The same with `length` as Truncate gives it.

    Raises:
        JobError: The template is for pairs, whose two lengths nobody can tell from the ids alone.
    """
    if "length" in batch.schema.names:
        return batch
    if sum(piece.sequence is not None for piece in template.pieces) > 1:
        raise JobError("input_ids: where one text of a pair ends is not known; let Truncate put pairs together")
    batch = _replace(batch, lambda ids: ids)
    lengths = np.diff(batch.column("input_ids").offsets.to_numpy())
    if (lengths < template.specials).any():
        raise JobError(f"input_ids: a row is shorter than its {template.specials} special tokens")
    numbers = [pa.array((lengths - template.specials).astype(np.int32)), pa.array(np.zeros(len(lengths), np.int32))]
    return batch.append_column("length", pa.StructArray.from_arrays(numbers, ["text", "dropped"]))


def _is_plain(batch: Any) -> bool:
    return not pa.types.is_struct(batch.schema.field("input_ids").type)


def _replace(batch: Any, change: Any) -> Any:
    """Puts another array in the place of `input_ids`, which is list<int32> by then."""
    index = batch.schema.get_field_index("input_ids")
    column = batch.column(index)
    try:
        ids = column.cast(pa.list_(pa.int32()))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise JobError(f"input_ids: expected lists of 32-bit integers, got {column.type}: {error}") from error
    if ids.null_count or ids.values.null_count:
        raise JobError("input_ids: a row or an id is null; leave such rows out")
    changed = change(ids)
    return batch.set_column(index, pa.field("input_ids", changed.type), changed)
