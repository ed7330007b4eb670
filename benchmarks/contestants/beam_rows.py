"""Beam as its guides teach it: a row is an element, the tokenizer is loaded in `setup`, GroupIntoBatches batches.

DirectRunner runs GroupIntoBatches in one process whatever it is told, so with more workers batches are cut from what
GroupByKey gives.
"""

from __future__ import annotations

import bisect
import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions
from tokenizers import Tokenizer

from benchmarks.job import BOUNDARIES, ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from benchmarks.job import Job

SCHEMA = pa.schema([("id", pa.int64()), ("input_ids", pa.list_(pa.int32())), ("attention_mask", pa.list_(pa.int8()))])


class Tokenize(beam.DoFn):
    """A line in, a row of ids with its bucket out."""

    def __init__(self, path: str, max_length: int) -> None:
        self._path, self._max_length = path, max_length

    def setup(self) -> None:
        self._tokenizer = Tokenizer.from_file(self._path)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self._max_length)

    def process(self, line: str) -> Iterator[tuple[int, tuple[int, list[int]]]]:
        row = json.loads(line)
        ids = self._tokenizer.encode(row["text"]).ids
        yield bisect.bisect_left(BOUNDARIES, len(ids)), (row["id"], ids)


def cut(group: tuple[int, Iterable[Any]]) -> Iterator[tuple[int, list[Any]]]:
    """Cuts a bucket into batches."""
    bucket, rows = group
    remaining = iter(rows)
    while batch := list(islice(remaining, ROWS)):
        yield bucket, batch


def pad(batch: tuple[int, Any], pad_id: int) -> Iterator[dict[str, Any]]:
    """Pads a batch to its longest row."""
    rows = list(batch[1])
    width = max(len(ids) for _, ids in rows)
    for number, ids in rows:
        short = width - len(ids)
        yield {
            "id": number,
            "input_ids": ids + [pad_id] * short,
            "attention_mask": [1] * len(ids) + [0] * short,
        }


def to_example(row: dict[str, Any]) -> bytes:
    """Serializes a row."""
    import tensorflow as tf

    features = {
        "id": tf.train.Feature(int64_list=tf.train.Int64List(value=[row["id"]])),
        "input_ids": tf.train.Feature(int64_list=tf.train.Int64List(value=row["input_ids"])),
        "attention_mask": tf.train.Feature(int64_list=tf.train.Int64List(value=row["attention_mask"])),
    }
    serialized: bytes = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    return serialized


def run(job: Job) -> None:
    """Runs the pipeline on DirectRunner, prism disabled."""
    options = ["--runner=DirectRunner", "--prism_location=disabled"]
    if job.workers:
        options += [f"--direct_num_workers={job.workers}", "--direct_running_mode=multi_processing"]
    with beam.Pipeline(options=PipelineOptions(options)) as pipeline:
        tokenized = (
            pipeline
            | beam.io.ReadFromText(str(Path(job.files[0]).parent / "*.jsonl"))
            | beam.ParDo(Tokenize(f"{job.tokenizer}/tokenizer.json", job.max_length))
        )
        if job.workers:
            batches = tokenized | beam.GroupByKey() | beam.FlatMap(cut)
        else:
            batches = tokenized | beam.GroupIntoBatches(ROWS)
        padded = batches | beam.FlatMap(pad, job.pad_id)
        if job.format == "parquet":
            _ = padded | beam.io.WriteToParquet(f"{job.output}/part", SCHEMA, file_name_suffix=".parquet")
        else:
            _ = (
                padded
                | beam.Map(to_example)
                | beam.io.WriteToTFRecord(f"{job.output}/part", file_name_suffix=".tfrecord")
            )
