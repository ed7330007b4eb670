"""One pipeline that uses every step alone, as somebody else's would; many tests look at what came out."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import pytest

from tests.runs import contents, words, write_tokenizer
from tests.transforms.beam_pipelines import run
from transforms import (
    Batching,
    BucketByLength,
    Bucketing,
    Pad,
    Padding,
    ToBatches,
    Tokenization,
    Tokenize,
    Truncate,
    Truncation,
    WriteShards,
    Writing,
    shape_for,
)

COUNT = 60

ROWS = [{"text": words(i % 23, i), "label": i if i % 5 else None, "more": "left out"} for i in range(COUNT)]

# Rows that ToBatches cannot use.
DEAD = [{"text": None}, {"label": 5}, {"text": "w1", "label": "five"}, {"text": 7}]


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came out of each step, by name; `files` and `padded_files` are what two WriteShards wrote."""
    folder = tmp_path_factory.mktemp("alone")
    tokenization = Tokenization(tokenizer=str(write_tokenizer(folder / "tok")))
    shape = shape_for(
        tokenization,
        truncation=Truncation(max_length=16),
        bucketing=Bucketing(boundaries=(8, 16)),
        batching=Batching(rows=4),
        padding=Padding(to="bucket"),
        columns=("input_ids", "attention_mask", "length", "row_id"),
        shards=2,
    )
    paths = {name: str(folder / name) for name in ("dealt", "padded", "plain")}

    def writing(name: str) -> Writing:
        return Writing(path=paths[name], formats=("parquet", "tfrecord"))

    def build(pipeline: beam.Pipeline) -> dict[str, Any]:
        read = pipeline | beam.Create([*ROWS, *DEAD]) | ToBatches(keep={"label": "int64"}, rows=16).with_dead_letters()
        tokenized = read.rows | Tokenize(tokenization)
        truncated = tokenized | Truncate(shape)
        dealt = truncated | BucketByLength(shape)
        padded = dealt | Pad(shape)
        return {
            "read": read.rows,
            "letters": read.dead_letters,
            "counts": read.counts,
            "tokenized": tokenized,
            "truncated": truncated,
            "stems": dealt | "Stems" >> beam.MapTuple(lambda stem, batch: [stem, batch.num_rows]),
            "padded": padded,
            "padded_plain": truncated | "PadPlain" >> Pad(shape),
            "written_dealt": dealt | "WriteDealt" >> WriteShards(writing("dealt"), shape),
            "written_padded": padded | "WritePadded" >> WriteShards(writing("padded"), shape),
            "written_plain": truncated | "WritePlain" >> WriteShards(writing("plain"), shape),
        }

    found = run(build, folder / "found")
    return found | {
        "shape": shape,
        "tokenization": tokenization,
        "files": {name: contents(folder / name) for name in paths},
        "scratch": [path for name in paths for path in folder.glob(f"{name}.tmp/*")],
    }
