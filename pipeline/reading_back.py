"""Reading shards back, whatever their format, as columns."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa

from transforms.arrays.errors import JobError
from transforms.arrays.formats import FORMATS, TYPES
from transforms.files import open_binary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.manifest import Manifest


def read_batches(
    run_folder: str, file: dict[str, Any], manifest: Manifest, stream: BinaryIO | None = None
) -> Iterator[Any]:
    """Reads a file that a manifest names.

    Args:
        run_folder: The run's folder.
        file: What the manifest says of it.
        manifest: For the schema.
        stream: The file, where it is open already.

    Yields:
        RecordBatches with the manifest's columns.

    Raises:
        JobError: The file is damaged.
    """
    path = f"{run_folder}/{file['path']}"
    try:
        with open_binary(path) if stream is None else nullcontext(stream) as opened:
            yield from FORMATS[file["format"]].read(opened, path, schema_of_manifest(manifest))
    except (pa.ArrowException, OSError, EOFError, KeyError, ValueError) as error:
        raise JobError(f"{file['path']}: cannot be read: {error}") from error


def schema_of_manifest(manifest: Manifest) -> Any:
    """The Arrow schema of a run's shards."""
    return pa.schema([pa.field(column["name"], TYPES[column["type"]]) for column in manifest["schema"]])
