"""How batches cross a shuffle: as Arrow IPC, registered for `pyarrow.RecordBatch`."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc


class RecordBatchCoder(beam.coders.Coder):
    """Encodes a RecordBatch as an Arrow IPC stream.

    A slice is written as its own rows alone, where pickling would take its whole parent along. Its dictionaries
    would be written whole; they are cut to the entries in use where they have more than the slice has rows.

    >>> coder = RecordBatchCoder()
    >>> coder.decode(coder.encode(pa.record_batch({"a": [1, 2]}).slice(1))).to_pydict()
    {'a': [2]}
    """

    def encode(self, value: Any) -> bytes:
        """Writes a batch with its schema."""
        sink = pa.BufferOutputStream()
        self.write(value, sink)
        encoded: bytes = sink.getvalue().to_pybytes()
        return encoded

    def write(self, value: Any, sink: Any) -> None:
        """Writes a batch with its schema to an Arrow stream: what `encode` gives, not copied."""
        with pa.ipc.new_stream(sink, value.schema) as writer:
            arrays = [_compact(array) for array in value.columns]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=value.schema) if arrays else value)

    def decode(self, encoded: bytes) -> Any:
        """Reads a batch; its columns are views of the bytes."""
        with pa.ipc.open_stream(encoded) as reader:
            return reader.read_next_batch()

    def is_deterministic(self) -> bool:
        """False: a batch is never a key."""
        return False

    def to_type_hint(self) -> Any:
        """The type that this encodes."""
        return pa.RecordBatch


def _compact(array: Any) -> Any:
    """Cuts a dictionary to the entries in use, inside structs too, where it is larger than the array."""
    kind = array.type
    if pa.types.is_dictionary(kind) and len(array.dictionary) > len(array):
        used = array.indices.unique().drop_null()
        indices = pc.index_in(array.indices, value_set=used).cast(kind.index_type)
        return pa.DictionaryArray.from_arrays(indices, array.dictionary.take(used), ordered=kind.ordered)
    if pa.types.is_struct(kind):
        fields = [array.field(i) for i in range(kind.num_fields)]
        compact = [_compact(field) for field in fields]
        if any(new is not old for new, old in zip(compact, fields, strict=True)):
            mask = array.is_null() if array.null_count else None
            return pa.StructArray.from_arrays(compact, fields=list(kind), mask=mask)
    return array


beam.coders.registry.register_coder(pa.RecordBatch, RecordBatchCoder)
