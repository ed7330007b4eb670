import re
from dataclasses import replace

import pytest

from pipeline.config import load_config
from pipeline.job import SHARD_BYTES, next_free, prepare, run_folder
from tests.runs import some_rows, write_jsonl, write_tokenizer
from transforms.arrays.errors import ConfigError


def fingerprint(sections, *overrides):
    return prepare(load_config(sections, overrides)).fingerprint


def test_planning_writes_nothing(sections, tmp_path):
    prepare(load_config(sections))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_attempts_are_named_by_time_and_never_alike(sections):
    one, two = (prepare(load_config(sections)) for _ in range(2))
    assert re.fullmatch(r"attempt-\d{8}T\d{6}Z-[0-9a-f]{8}", one.attempt)
    assert one.attempt != two.attempt
    assert (one.fingerprint, one.run_id) == (two.fingerprint, one.fingerprint[:16])
    assert one.run_folder == f"{sections['write']['path']}/runs/{one.run_id}"
    assert one.attempt_folder == f"{one.run_folder}/{one.attempt}"
    assert one.scratch_folder == f"{one.attempt_folder}.tmp"


@pytest.mark.parametrize("output", ["/a/b", "/a/b/", "/a/b//"])
def test_run_folder_is_below_the_output(output):
    assert run_folder(output, "x") == "/a/b/runs/x"


@pytest.mark.parametrize(
    "override",
    [
        "run.id=mine",
        "run.shuffle=runner",
        "beam.direct_num_workers=2",
        "write.path=/elsewhere",
        "read.split_bytes=5",
    ],
)
def test_fingerprint_leaves_out_what_the_data_does_not_depend_on(sections, override):
    assert fingerprint(sections, override) == fingerprint(sections)


@pytest.mark.parametrize(
    "override",
    [
        "truncate.max_length=9",
        "pad.to=bucket",
        "batch.rows=3",
        "run.seed=1",
        "read.keep=[label]",
        "read.empty=drop",
        "write.shards=2",
        "write.formats=tfrecord",
        "split={a: 1.0}",
        "tokenize.add_special_tokens=false",
        "run.max_dead_letters=0.5",
    ],
)
def test_fingerprint_covers_the_configuration(sections, override):
    assert fingerprint(sections, override) != fingerprint(sections)


def test_fingerprint_covers_the_units_of_work_where_they_are_the_shards(sections):
    in_order = fingerprint(sections, "run.shuffle=none")
    assert in_order != fingerprint(sections)
    assert in_order != fingerprint(sections, "run.shuffle=none", "read.split_bytes=5")
    assert in_order == fingerprint(sections, "run.shuffle=none", "run.spill_dir=/elsewhere", "write.path=/elsewhere")


def test_fingerprint_covers_the_tokenizers_bytes_and_not_its_path(sections, tmp_path):
    copied = sections | {"tokenize": {"tokenizer": str(write_tokenizer(tmp_path / "copied"))}}
    assert fingerprint(copied) == fingerprint(sections)
    other = sections | {"tokenize": {"tokenizer": str(write_tokenizer(tmp_path / "other", model_max_length=63))}}
    assert fingerprint(other) != fingerprint(sections)
    tokenizer = tmp_path / "copied" / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text() + " ")
    assert fingerprint(copied) != fingerprint(sections)


def test_fingerprint_covers_the_inputs_by_relative_path_size_and_time(sections, tmp_path):
    first = fingerprint(sections)
    source = tmp_path / "in" / "a.jsonl"
    moved = tmp_path / "moved" / "a.jsonl"
    moved.parent.mkdir()
    source.rename(moved)
    elsewhere = sections | {"read": {"files": str(moved)}}
    assert fingerprint(elsewhere) == first
    renamed = moved.rename(moved.with_name("b.jsonl"))
    assert fingerprint(sections | {"read": {"files": str(renamed)}}) != first
    renamed.rename(moved)
    write_jsonl(moved, some_rows(6))
    assert fingerprint(elsewhere) != first


def test_values_that_mean_the_same_have_one_fingerprint(sections):
    assert fingerprint(sections, "padding=true") == fingerprint(sections, "pad.to=longest") == fingerprint(sections)
    assert fingerprint(sections, "truncation=true") == fingerprint(sections)
    assert fingerprint(sections, "write.formats=parquet") == fingerprint(sections, "write.formats=[parquet]")


@pytest.mark.parametrize(
    ("bytes_", "shards"), [(0, 1), (1, 1), (SHARD_BYTES, 1), (SHARD_BYTES + 1, 2), (10 * SHARD_BYTES, 10)]
)
def test_shards_go_by_the_inputs_size(sections, tmp_path, bytes_, shards):
    source = tmp_path / "in" / "big.txt"
    with source.open("wb") as stream:
        stream.truncate(bytes_)  # sparse: nothing is read but its start
    job = prepare(load_config(sections | {"read": {"files": str(source), "max_row_bytes": 1000}}))
    assert job.shape.shards == shards
    assert prepare(load_config(sections, ["write.shards=7"])).shape.shards == 7


def test_next_free_run_is_numbered_from_two(sections, tmp_path):
    job = prepare(load_config(sections, ["run.id=x"]))
    assert next_free(job) == job
    for taken, free in (("x", "x-2"), ("x-2", "x-3"), ("x-3", "x-4")):
        (tmp_path / "out" / "runs" / taken).mkdir(parents=True)
        (tmp_path / "out" / "runs" / taken / "manifest.json").write_text("{}")
        assert next_free(job) == replace(job, run_id=free)


def test_output_on_an_unknown_file_system_is_refused(sections):
    with pytest.raises(ConfigError, match=r"write.path: .*ftp"):
        prepare(load_config(sections, ["write.path=ftp://x/y"]))
