"""Formats of shards: one class each, taking padded batches and giving bytes.

A new format is one class and one line in `FORMATS`.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.arrays.errors import ConfigError, at_most_one_of_each, one_of
from transforms.arrays.example import encode_examples, frame_records
from transforms.arrays.example_columns import decode_examples, read_frames
from transforms.arrays.pad import COLUMNS
from transforms.arrays.readers.rows import KEPT_TYPES
from transforms.arrays.shape import OUTPUT_COLUMNS
from transforms.arrays.spec import Spec, at_least

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BATCH_ROWS = 4096  # of a batch that is read back


class Writing(Spec, frozen=True):
    """What is written: the section `write`.

    Attributes:
        path: The data set's folder.
        formats: Names of `FORMATS`.
        columns: "auto", or names of output columns.
        shards: Files of one bucket; "auto" goes by the inputs' size.
        compression: A codec for each format; "auto"; a plain codec where one format is written.
    """

    path: str = "out"
    formats: str | tuple[str, ...] = ("parquet",)
    columns: str | tuple[str, ...] = "auto"
    shards: str | int = "auto"
    compression: str | dict[str, str] = "auto"

    def __post_init__(self) -> None:
        """Refuses formats, columns and codecs that do not exist."""
        if not self.path:
            raise ConfigError("write.path: '' names no folder; give one, e.g. out")
        if not self.names:
            raise ConfigError(f"write.formats: nothing is to be written; name one of {', '.join(FORMATS)}")
        for name in self.names:
            one_of(name, FORMATS, "write.formats")
        at_most_one_of_each(self.names, "write.formats")
        if not isinstance(self.columns, str):
            if not self.columns:
                raise ConfigError(f"write.columns: nothing is to be written; name some of {', '.join(OUTPUT_COLUMNS)}")
            for name in self.columns:
                one_of(name, OUTPUT_COLUMNS, "write.columns")
            at_most_one_of_each(self.columns, "write.columns")
        if isinstance(self.shards, int):
            at_least(self.shards, 1, "write.shards")
        elif self.shards != "auto":
            raise ConfigError(f"write.shards: {self.shards!r} is not known; write auto or a number")
        self.codecs()

    @property
    def names(self) -> tuple[str, ...]:
        """The formats, however many were written."""
        return (self.formats,) if isinstance(self.formats, str) else self.formats

    def codecs(self) -> dict[str, str]:
        """Says how each format is compressed.

        Returns:
            A codec for each format that is written.

        Raises:
            ConfigError: A codec that the format does not have.
        """
        said = self.compression
        if isinstance(said, str):
            if said != "auto" and len(self.names) > 1:
                raise ConfigError(
                    f"write.compression: {said!r} for {len(self.names)} formats; write one each, e.g. "
                    "{parquet: zstd, tfrecord: none}"
                )
            said = {} if said == "auto" else {self.names[0]: said}
        for name in said:
            one_of(name, self.names, "write.compression")
        chosen = {}
        for name in self.names:
            known = FORMATS[name].codecs
            chosen[name] = said.get(name, "auto")
            if chosen[name] == "auto":
                chosen[name] = known[0]
            one_of(chosen[name], known, f"write.compression.{name}")
        return chosen


class Format(Protocol):
    """Encodes one shard.

    Attributes:
        codecs: What it can be compressed with, the default first.
    """

    codecs: tuple[str, ...]

    def __init__(self, sink: BinaryIO, schema: Any, codec: str) -> None:
        """Starts a file: `sink` is written from front to back."""

    @staticmethod
    def suffix(codec: str) -> str:
        """The suffix of file names."""

    def write(self, batch: Any) -> None:
        """Appends a RecordBatch of whole batches."""

    def close(self) -> None:
        """Ends the file; the sink stays open."""

    @staticmethod
    def read(stream: BinaryIO, path: str, schema: Any) -> Iterator[Any]:
        """Reads a file back as RecordBatches of a schema."""


class ParquetFormat:
    """Parquet: a row group for each RecordBatch written."""

    codecs = ("zstd", "snappy", "lz4", "none")

    def __init__(self, sink: BinaryIO, schema: Any, codec: str) -> None:
        # Parquet knows a list's values by a path of their own.
        paths = {f.name: f"{f.name}.list.element" if pa.types.is_list(f.type) else f.name for f in schema}
        self._writer = pq.ParquetWriter(
            sink,
            schema,
            compression=codec,
            # Ids hardly repeat enough for a dictionary; splitting their bytes suits zstd best. Masks need nothing:
            # zstd makes a hundredth of a byte of a cell.
            use_dictionary=[path for name, path in paths.items() if name not in COLUMNS],
            column_encoding={paths["input_ids"]: "BYTE_STREAM_SPLIT"} if "input_ids" in paths else None,
            write_statistics=[path for name, path in paths.items() if name not in COLUMNS],
        )

    @staticmethod
    def suffix(codec: str) -> str:
        """Parquet's suffix, whatever the codec: that is inside."""
        return ".parquet"

    def write(self, batch: Any) -> None:
        """Appends a row group."""
        self._writer.write_table(pa.Table.from_batches([batch]), row_group_size=max(batch.num_rows, 1))

    def close(self) -> None:
        """Writes the footer."""
        self._writer.close()

    @staticmethod
    def read(stream: BinaryIO, path: str, schema: Any) -> Iterator[Any]:
        """Reads a file back."""
        yield from pq.ParquetFile(stream).iter_batches(BATCH_ROWS, use_threads=False)


class TFRecordFormat:
    """TFRecord: one `tf.train.Example` for each row."""

    codecs = ("none", "gzip")

    def __init__(self, sink: BinaryIO, schema: Any, codec: str) -> None:
        # No time and no name in the header: the bytes depend on the rows alone.
        self._sink = sink if codec == "none" else gzip.GzipFile("", "wb", 6, cast("Any", sink), mtime=0)

    @staticmethod
    def suffix(codec: str) -> str:
        """With .gz behind it where the file is compressed as a whole."""
        return ".tfrecord" if codec == "none" else ".tfrecord.gz"

    def write(self, batch: Any) -> None:
        """Appends a record for each row."""
        self._sink.write(frame_records(encode_examples(batch)).data)

    def close(self) -> None:
        """Ends the compressed stream, if it is one."""
        if isinstance(self._sink, gzip.GzipFile):
            self._sink.close()

    @staticmethod
    def read(stream: BinaryIO, path: str, schema: Any) -> Iterator[Any]:
        """Reads a file back, some MB at a time."""
        source = cast("BinaryIO", gzip.GzipFile(fileobj=stream)) if path.endswith(".gz") else stream
        for frames in read_frames(source, path):
            yield decode_examples(frames, schema, path)


FORMATS: dict[str, Any] = {"parquet": ParquetFormat, "tfrecord": TFRecordFormat}


# Types of columns by the names that manifests have for them.
TYPES = {**KEPT_TYPES, "list<int8>": pa.list_(pa.int8()), "list<int32>": pa.list_(pa.int32())}

TYPE_NAMES = {kind: name for name, kind in TYPES.items()}


def schema_of(kept: Mapping[str, Any], columns: tuple[str, ...]) -> Any:
    """Lists the columns of a shard.

    Args:
        kept: Names and Arrow types of the kept columns.
        columns: Output columns.

    Returns:
        The Arrow schema: kept columns first.
    """
    types = {"input_ids": pa.list_(pa.int32()), "length": pa.int32(), "row_id": pa.string()}
    fields = [pa.field(name, kind) for name, kind in kept.items()]
    return pa.schema(fields + [pa.field(name, types.get(name, pa.list_(pa.int8()))) for name in columns])
