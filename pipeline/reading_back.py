"""Reading shards back, whatever their format, as columns."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.arrays.errors import JobError
from transforms.arrays.formats import TYPES
from transforms.arrays.records import decode_example, read_records
from transforms.files import open_binary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.manifest import Manifest

BATCH_ROWS = 4096


def read_batches(run_folder: str, file: dict[str, Any], manifest: Manifest) -> Iterator[Any]:
    """Reads a file that a manifest names.

    Args:
        run_folder: The run's folder.
        file: What the manifest says of it.
        manifest: For the schema.

    Yields:
        RecordBatches with the manifest's columns.

    Raises:
        JobError: The file is damaged.
    """
    path = f"{run_folder}/{file['path']}"
    try:
        with open_binary(path) as stream:
            yield from READERS[file["format"]](stream, path, manifest)
    except (pa.ArrowException, OSError, EOFError, KeyError, ValueError) as error:
        raise JobError(f"{file['path']}: cannot be read: {error}") from error


def _parquet(stream: BinaryIO, path: str, manifest: Manifest) -> Iterator[Any]:
    yield from pq.ParquetFile(stream).iter_batches(BATCH_ROWS, use_threads=False)


def _tfrecord(stream: BinaryIO, path: str, manifest: Manifest) -> Iterator[Any]:
    schema = schema_of_manifest(manifest)
    source = cast("BinaryIO", gzip.GzipFile(fileobj=stream)) if path.endswith(".gz") else stream
    rows: list[dict[str, Any]] = []
    for record in read_records(source, path):
        rows.append(_row(decode_example(record), schema))
        if len(rows) == BATCH_ROWS:
            yield pa.RecordBatch.from_pylist(rows, schema)
            rows = []
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema)


def _row(features: dict[str, Any], schema: Any) -> dict[str, Any]:
    """Types an example's features; a feature that is left out is null."""
    row: dict[str, Any] = {}
    for field in schema:
        values = features.get(field.name)
        if values is None or pa.types.is_list(field.type):
            row[field.name] = values
        elif pa.types.is_string(field.type):
            row[field.name] = values[0].decode()
        else:
            row[field.name] = bool(values[0]) if pa.types.is_boolean(field.type) else values[0]
    return row


def schema_of_manifest(manifest: Manifest) -> Any:
    """The Arrow schema of a run's shards."""
    return pa.schema([pa.field(column["name"], TYPES[column["type"]]) for column in manifest["schema"]])


READERS: dict[str, Any] = {"parquet": _parquet, "tfrecord": _tfrecord}
