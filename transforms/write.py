"""WriteShards: shards are ordered, padded and written, each file whole under its name or not at all."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

import transforms.coders  # noqa: F401 - registers the coder that batches need
from transforms.arrays.checksummed import Checksummed
from transforms.arrays.formats import FORMATS, Writing
from transforms.arrays.groups import Group, is_padded, pad_shard, regroup
from transforms.arrays.shape import Shape
from transforms.arrays.shards import Shard, keyed
from transforms.files import publish
from transforms.shuffle import GroupShards, load

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from transforms.breadcrumbs import Breadcrumbs
    from transforms.progress import Progress

FileRecord = dict[str, Any]


class WriteShards(beam.PTransform):
    """Writes padded shards.

    Input: (stem, RecordBatch) pairs as BucketByLength gives them, or plain RecordBatches of rows, which are
    dealt out first: a shard's rows are padded as they are written, some batches at a time, so a shard never
    stands padded in memory. Or RecordBatches that Pad has made already: the bytes are the same. Output: a dict for each
    shard: `files`, a list of what the manifest says of them, and `counts`.

    Args:
        writing: Formats and codecs; files go below its `path`.
        shape: How batches are made.
        gate: A singleton side input to wait for before anything is written; None for nothing.
        progress: Where to note what has been written; None for nowhere.
        spill_dir: For rows on their way: see `GroupShards`.
        breadcrumbs: Where to note which shard is being written; None for nowhere.
    """

    def __init__(
        self,
        writing: Writing,
        shape: Shape,
        gate: Any | None = None,
        progress: Progress | None = None,
        spill_dir: str | None = None,
        breadcrumbs: Breadcrumbs | None = None,
    ) -> None:
        super().__init__()
        self._spill_dir = spill_dir
        self._breadcrumbs = breadcrumbs
        self._writing = writing
        self._shape = shape
        self._gate = gate
        self._progress = progress

    def expand(self, rows: Any) -> Any:
        """Groups the rows of each shard and writes it."""
        dealt = rows | "Key" >> beam.ParDo(keyed, self._shape).with_output_types(tuple[str, pa.RecordBatch])
        grouped = dealt | GroupShards(self._spill_dir)
        waits = [] if self._gate is None else [self._gate]
        write = beam.ParDo(_Write(self._writing, self._shape, self._progress, self._breadcrumbs), *waits)
        return grouped | "Write" >> write.with_output_types(FileRecord)


class _Write(beam.DoFn):
    def __init__(
        self, writing: Writing, shape: Shape, progress: Progress | None, breadcrumbs: Breadcrumbs | None
    ) -> None:
        self._writing = writing
        self._shape = shape
        self._progress = progress
        self._breadcrumbs = breadcrumbs

    def process(self, shard: tuple[str, Iterable[Any]], gate: object = None) -> Iterator[FileRecord]:
        """Writes one shard in every format."""
        stem, parts = shard
        if self._breadcrumbs is not None:
            self._breadcrumbs.at_shard(stem)
        batches = load(parts)
        bucket, dealt = Shard.parse(stem).bucket, sum(batch.num_rows for batch in batches)
        if is_padded(batches[0]):
            groups = regroup(batches, self._shape.layout.rows[self._shape.layout.index(bucket)])
        else:
            groups = pad_shard(batches, bucket, self._shape)
        del batches  # from here on the groups alone hold rows
        record = write_shard(stem, groups, self._writing, self._shape)
        record["counts"]["dropped.remainder"] = dealt - record["counts"]["rows_written"]
        if self._progress is not None:
            self._progress.note(files=len(record["files"]), written=record["counts"]["rows_written"])
        if self._breadcrumbs is not None:
            self._breadcrumbs.past_shard()
        yield record


def write_shard(stem: str, groups: Iterable[Group], writing: Writing, shape: Shape) -> FileRecord:
    """Writes a shard's groups of batches in every format, in one pass.

    Args:
        stem: The shard's path below `writing.path`, without suffix.
        groups: Its batches, padded; none at all leaves no file.
        writing: Formats and codecs.
        shape: How the batches were made.

    Returns:
        `files`: one dict a format; `counts`: rows, tokens and padding, once whatever the formats.
    """
    with ExitStack() as stack:
        writer = ShardWriter(stem, writing, shape, stack)
        for group in groups:
            writer.write(group)
        writer.close()
    return writer.record()


class ShardWriter:
    """Writes one shard in every format, group by group.

    Args:
        stem: The shard's path below `writing.path`, without suffix.
        writing: Formats and codecs.
        shape: How the batches are made.
        stack: Its files appear under their names when this is left without an error.
    """

    def __init__(self, stem: str, writing: Writing, shape: Shape, stack: ExitStack) -> None:
        self._stem = stem
        self._writing = writing
        self._stack = stack
        self._shard = Shard.parse(stem)
        bucket = shape.layout.index(self._shard.bucket)
        self._per_batch = shape.layout.rows[bucket]
        self._width = shape.layout.target(bucket)
        self._counts = dict.fromkeys(("rows_written", "tokens", "padding", "rows_truncated", "tokens_dropped"), 0)
        self._writers: dict[str, tuple[str, Checksummed, Any]] = {}

    def write(self, group: Group) -> None:
        """Appends whole batches; the first opens the files."""
        if not self._writers:
            self._open(group.columns.schema)
        for _, _, writer in self._writers.values():
            writer.write(group.columns)
        if self._width is not None and (group.widths != self._width).any():
            self._width = None
        self._counts["rows_written"] += len(group.widths)
        self._counts["tokens"] += int(group.lengths.sum())
        self._counts["padding"] += int(group.widths.sum() - group.lengths.sum())
        self._counts["rows_truncated"] += int(np.count_nonzero(group.dropped))
        self._counts["tokens_dropped"] += int(group.dropped.sum())

    def close(self) -> None:
        """Ends the files; they still have no names."""
        for _, _, writer in self._writers.values():
            writer.close()

    def record(self) -> FileRecord:
        """Says what was written, after `close`: see `write_shard`."""
        shared = {
            "split": self._shard.split,
            "bucket": self._shard.bucket,
            "rows": self._counts["rows_written"],
            "batches": -(-self._counts["rows_written"] // self._per_batch),
            "rows_per_batch": self._per_batch,
            "width": self._width,
            "tokens": self._counts["tokens"],
            "padding": self._counts["padding"],
        }
        files = [
            {"path": path, "format": name, **shared, "bytes": sink.bytes, "crc32c": sink.crc32c}
            for name, (path, sink, _) in self._writers.items()
        ]
        return {"files": files, "counts": dict(self._counts)}

    def _open(self, schema: Any) -> None:
        """Opens a file for each format."""
        for name, codec in self._writing.codecs().items():
            path = self._stem + FORMATS[name].suffix(codec)
            folder = self._writing.path
            sink = Checksummed(self._stack.enter_context(publish(f"{folder}/{path}", f"{folder}.tmp")))
            self._stack.callback(sink.abandon)
            self._writers[name] = (path, sink, FORMATS[name](sink, schema, codec))
