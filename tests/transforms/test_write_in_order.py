"""WriteInOrder: a unit of work becomes shards of its own, all of them or none."""

from __future__ import annotations

import gzip
import json
from contextlib import ExitStack
from typing import Any

import google_crc32c
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.runs import contents, some_rows, words, write_jsonl, write_tokenizer
from tests.transforms.beam_pipelines import run
from transforms import (
    Batching,
    Bucketing,
    Padding,
    ReadCorpus,
    Reading,
    Tokenization,
    Tokenize,
    Truncate,
    Truncation,
    WriteShards,
    Writing,
    shape_for,
)
from transforms.arrays.errors import JobError
from transforms.arrays.shards import Shard
from transforms.progress import Progress
from transforms.step import COUNTS, DEAD
from transforms.write_in_order import UnitWriter, WriteInOrder, _WriteUnit

FORMATS = ("parquet", "tfrecord")


@pytest.fixture(scope="module")
def tokenization(tmp_path_factory):
    return Tokenization(tokenizer=str(write_tokenizer(tmp_path_factory.mktemp("tok"))))


@pytest.fixture(scope="module")
def shape(tokenization):
    return shape_for(
        tokenization,
        truncation=Truncation(max_length=16),
        bucketing=Bucketing(boundaries=(8, 16)),
        batching=Batching(rows=4),
        padding=Padding(to="bucket"),
        columns=("input_ids", "attention_mask", "length", "row_id"),
        shards=7,
    )


@pytest.fixture
def corpus(tmp_path):
    """Ten small files and a larger one; the rows that cannot be used are in two of them."""
    for i in range(10):
        lines = [{"text": words(j % 23, i + j)} for j in range(8)]
        write_jsonl(tmp_path / "in" / f"{i}.jsonl", [*lines, "no json"] if i in (3, 4) else lines)
    write_jsonl(tmp_path / "in" / "large.jsonl", [{"text": words(i % 17, i)} for i in range(100)])
    return Reading(files=f"{tmp_path}/in/*.jsonl", split_bytes=2000)


def steps(reading, tokenization, shape, progress=None):
    return ReadCorpus(reading, None, progress), (Tokenize(tokenization), Truncate(shape))


def in_order(tmp_path, reading, tokenization, shape, progress=None):
    """What WriteInOrder gave, and the files it left."""

    def build(pipeline: Any) -> dict[str, Any]:
        read, others = steps(reading, tokenization, shape, progress)
        writing = Writing(path=str(tmp_path / "out"), formats=FORMATS)
        written = pipeline | WriteInOrder(read, others, writing, shape, progress)
        return {"shards": written.shards, "letters": written.dead_letters, "counts": written.counts}

    return run(build, tmp_path / "found"), contents(tmp_path / "out")


def rows_of(files, stem):
    return pq.read_table(pa.BufferReader(files[f"{stem}.parquet"])).to_pylist()


def test_each_unit_has_its_own_shards_in_the_order_of_its_rows(tmp_path, corpus, tokenization, shape):
    found, files = in_order(tmp_path, corpus, tokenization, shape)
    units = ReadCorpus(corpus).units()
    assert len(units) > 3
    by_unit = {}
    for name in files:
        if name.endswith(".parquet"):
            shard = Shard.parse(name.removesuffix(".parquet"))
            assert shard.shards == len(units)
            row_ids = [row["row_id"] for row in rows_of(files, shard.stem)]
            places = [(file, int(position)) for file, _, position in (row_id.partition("#") for row_id in row_ids)]
            assert places == sorted(places)
            by_unit.setdefault(shard.number, set()).update(row_ids)
    assert sorted(by_unit) == list(range(len(units)))
    for number, (unit, _) in enumerate(units):
        assert {row_id.split("#")[0] for row_id in by_unit[number]} == {source.file for source in unit.sources}
    assert sum(len(row_ids) for row_ids in by_unit.values()) == 180
    assert sorted(letter["file"] for batch in found["letters"] for letter in batch.to_pylist()) == [
        "3.jsonl",
        "4.jsonl",
    ]


def test_records_say_what_stands_on_disk_and_progress_adds_up(tmp_path, corpus, tokenization, shape):
    (tmp_path / "notes").mkdir()
    progress = Progress(str(tmp_path / "notes"))
    found, files = in_order(tmp_path, corpus, tokenization, shape, progress)
    said = {file["path"]: file for record in found["shards"] for file in record["files"]}
    assert set(said) == set(files)
    for path, data in files.items():
        assert (said[path]["bytes"], said[path]["crc32c"]) == (len(data), f"{google_crc32c.value(data):08x}")
        assert said[path]["width"] == said[path]["bucket"]
        assert said[path]["tokens"] + said[path]["padding"] == said[path]["rows"] * said[path]["width"]
        assert said[path]["batches"] == -(-said[path]["rows"] // 4)
    assert sum(record["counts"]["rows_written"] for record in found["shards"]) == 180
    assert {name: sum(count.get(name, 0) for count in found["counts"]) for name in ("rows_read", "windows")} == {
        "rows_read": 182,
        "windows": 0,
    }
    sizes = sum(path.stat().st_size for path in (tmp_path / "in").iterdir())
    assert progress.totals() == {"bytes": sizes, "rows": 182, "files": len(files), "written": 180}


def test_rows_are_those_of_a_shuffle(tmp_path, corpus, tokenization, shape):
    _, files = in_order(tmp_path, corpus, tokenization, shape)

    def build(pipeline: Any) -> dict[str, Any]:
        read, (tokenize, truncate) = steps(corpus, tokenization, shape)
        rows = (pipeline | read.with_dead_letters()).rows | tokenize | truncate
        return {"shards": rows | WriteShards(Writing(path=str(tmp_path / "shuffled")), shape)}

    run(build, tmp_path / "found_shuffled")
    ours, theirs = (
        {
            row["row_id"]: row
            for name in some
            if name.endswith(".parquet")
            for row in rows_of(some, name.removesuffix(".parquet"))
        }
        for some in (files, contents(tmp_path / "shuffled"))
    )
    assert ours == theirs
    assert len(ours) == 180


def written_by(dofn, units):
    """What a DoFn gives for units of one bundle, one after the other."""
    return [[*dofn.process(unit)] for unit in units]


def made(tmp_path, reading, tokenization, shape, name="out"):
    """The DoFn, ready; its units; where it writes."""
    read, others = steps(reading, tokenization, shape)
    folder = tmp_path / name
    dofns = [step.dofn() for step in (read, *others)]
    dofn = _WriteUnit(dofns, Writing(path=str(folder), formats=FORMATS), shape, None)
    dofn.setup()
    return dofn, list(enumerate(read.units())), folder


def test_retried_unit_puts_equal_bytes_in_their_place_whatever_came_before_it(tmp_path, corpus, tokenization, shape):
    dofn, units, folder = made(tmp_path, corpus, tokenization, shape)
    first = written_by(dofn, units)
    files = contents(folder)
    again = written_by(dofn, units[::-1])[::-1]
    assert contents(folder) == files
    assert [[o for o in some if isinstance(o, dict)] for some in again] == [
        [o for o in some if isinstance(o, dict)] for some in first
    ]
    other, _, elsewhere = made(tmp_path, corpus, tokenization, shape, "elsewhere")
    written_by(other, units[1:])
    assert contents(elsewhere) == {
        name: data for name, data in files.items() if Shard.parse(name.split(".")[0]).number != 0
    }
    dofn.teardown()


def test_failed_unit_leaves_nothing(tmp_path, tokenization, shape):
    lines = "".join(json.dumps(row) + "\n" for row in some_rows(40_000)).encode()
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines)[:-1000])
    reading = Reading(files=f"{tmp_path}/a.jsonl.gz", text="text")
    dofn, (unit,), folder = made(tmp_path, reading, tokenization, shape)
    some = []
    with pytest.raises(JobError, match=r"a.jsonl.gz cannot be read"):
        some += dofn.process(unit)
    assert contents(tmp_path).keys() == {"a.jsonl.gz"}
    assert not folder.exists() or contents(folder) == {}


def test_unit_that_nobody_waits_for_any_more_leaves_nothing(tmp_path, corpus, tokenization, shape):
    dofn, units, folder = made(tmp_path, corpus, tokenization, shape)
    outputs = dofn.process(units[0])
    assert next(outputs).tag in (DEAD, COUNTS)
    outputs.close()
    assert contents(folder) == {}
    assert contents(tmp_path / "out.tmp") == {}


def test_files_appear_together_when_the_unit_is_whole(tmp_path, shape, monkeypatch):
    from tests.transforms.arrays.truncated_rows import made as rows
    from transforms.arrays import groups

    monkeypatch.setattr(groups, "GROUP_CELLS", 50)
    writing = Writing(path=str(tmp_path / "out"), formats=FORMATS)
    with ExitStack() as stack:
        writer = UnitWriter(3, writing, shape, stack)
        for i in range(20):
            writer.write(rows([2, 9, 12], [3 * i, 3 * i + 1, 3 * i + 2]))
        assert len(contents(tmp_path / "out.tmp")) == 4  # two buckets, two formats: groups are written already
        assert sum(len(data) for data in contents(tmp_path / "out.tmp").values()) > 1000
        records = writer.close()
        assert [path for path in contents(tmp_path) if not path.startswith("out.tmp/")] == []
    files = contents(tmp_path / "out")
    assert sorted(files) == [
        f"train/bucket-{bucket}/part-00003-of-00007.{suffix}" for bucket in ("00008", "00016") for suffix in FORMATS
    ]
    assert [record["counts"]["rows_written"] for record in records] == [20, 40]
    parquet = pq.ParquetFile(pa.BufferReader(files["train/bucket-00016/part-00003-of-00007.parquet"]))
    assert parquet.num_row_groups > 5


@pytest.mark.parametrize("lengths", [[], [2] * 3, [2] * 4, [2] * 9])
def test_remainder_is_counted_where_it_is_dropped(tmp_path, tokenization, lengths):
    from tests.transforms.arrays.truncated_rows import made as rows

    shape = shape_for(tokenization, batching=Batching(rows=4, drop_remainder=True))
    with ExitStack() as stack:
        writer = UnitWriter(0, Writing(path=str(tmp_path / "out")), shape, stack)
        writer.write(rows(lengths))
        records = writer.close()
    assert len(contents(tmp_path)) == min(1, len(lengths) // 4)
    assert sum(record["counts"]["rows_written"] for record in records) == len(lengths) // 4 * 4
    assert sum(record["counts"]["dropped.remainder"] for record in records) == len(lengths) % 4


def test_steps_need_nothing_but_their_setup(tokenization, shape):
    import apache_beam as beam

    read, others = steps(Reading(files=__file__, format="text"), tokenization, shape)
    for step in (read, *others):
        for name in ("start_bundle", "finish_bundle"):
            assert getattr(type(step.dofn()), name) is getattr(beam.DoFn, name)
