"""Whole jobs without a shuffle: the rows of a shuffled job, in the order of the inputs, in the same bytes always."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.runs import (
    KEEP,
    contents,
    data_files,
    manifest_of,
    oblong,
    set_flags,
    some_rows,
    write_jsonl,
    write_tokenizer,
)
from transforms.arrays.shards import Shard

PAIRS = {
    "read.text_pair": "other",
    "read.keep": KEEP,
    "read.split_bytes": 9000,
    "truncate.max_length": 24,
    "truncate.overflow": True,
    "truncate.stride": 2,
    "batch.rows": 16,
    "bucket.boundaries": [8, 16, 24],
    "write.formats": ["parquet", "tfrecord"],
    "write.compression": {"tfrecord": "gzip"},
    "write.columns": ["input_ids", "attention_mask", "token_type_ids", "length", "row_id"],
    "split": {"train": 0.8, "validation": 0.2},
    "run.max_dead_letters": 0.5,
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A tokenizer of a word a token."""
    return write_tokenizer(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Many small files, a large one and a compressed one; rows that cannot be used are among them."""
    folder = tmp_path_factory.mktemp("corpus")
    rows = [*some_rows(300, seed=3), "no json", '{"text": null}']
    for number in range(60):
        write_jsonl(folder / f"{number:02}.jsonl", rows[number::60])
    write_jsonl(folder / "large.jsonl", some_rows(200, seed=4))
    lines = "".join(json.dumps(row) + "\n" for row in some_rows(400, seed=5))
    (folder / "packed.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    (folder / "none.jsonl").write_bytes(b"")
    return folder


def arguments(corpus, tokenizer, output, *flags, **settings):
    """The command's arguments for a run of its own, without a shuffle unless another is said."""
    changed = {name.replace("__", "."): value for name, value in settings.items()}
    chosen = set_flags(PAIRS | {"run.shuffle": "none", "read.files": f"{corpus}/*"} | changed)
    return ["run", f"--tokenizer={tokenizer}", f"--output={output}", "--json", *chosen, *flags]


@pytest.fixture(scope="module")
def ran(corpus, tokenizer, tmp_path_factory):
    """A run without a shuffle: its folder and its manifest."""
    said = oblong(*arguments(corpus, tokenizer, tmp_path_factory.mktemp("ran")))
    manifest = manifest_of(said)
    return Path(said.json["run"]), manifest


def files_of(output):
    (manifest,) = output.glob("runs/*/manifest.json")
    return data_files(manifest.parent)


def tables(files):
    """The Parquet files by their shard, in the order of their numbers."""
    found = {Shard.parse(name.removesuffix(".parquet")): data for name, data in files.items() if "parquet" in name}
    return {shard: pq.read_table(pa.BufferReader(found[shard])) for shard in sorted(found, key=lambda s: s.number)}


def place(row_id):
    """A row id's parts, to be compared."""
    file, position, window = row_id.split("#")
    return file, int(position), int(window)


def test_manifest_adds_up_and_the_run_is_whole(ran):
    run, manifest = ran
    totals = manifest["totals"]
    assert (totals["rows_read"], totals["dead_letters"]) == (902, {"bad_json": 1, "null_text": 1})
    assert totals["rows_with_output"] == 900
    assert totals["windows"] > 0
    assert totals["rows_written"] == totals["rows_with_output"] + totals["windows"]
    assert totals["rows_written"] == sum(f["rows"] for f in manifest["files"] if f["format"] == "parquet")
    assert manifest["config"]["run"]["shuffle"] == "none"
    assert manifest["config"]["write"]["shards"] == "auto"
    assert oblong("verify", run).code == 0
    shown = oblong("inspect", run, "--json")
    assert shown.code == 0, shown.err
    assert not run.with_name(f"{manifest['attempt']}.tmp").exists()


def test_shards_are_numbered_by_unit_and_rows_keep_the_order_of_the_inputs(ran):
    files = data_files(ran[0])
    (units,) = {shard.shards for shard in tables(files)}
    assert {shard.number for shard in tables(files)} == set(range(units))
    last: dict = {}
    for shard, table in tables(files).items():
        places = [place(row_id) for row_id in table["row_id"].to_pylist()]
        assert places == sorted(places)
        # Of one format, units have the order of the inputs too.
        how = places[0][0] == "packed.jsonl.gz"
        assert last.get((shard.split, shard.bucket, how), places[0]) <= places[0]
        last[shard.split, shard.bucket, how] = places[-1]
    assert any(len({row_id.split("#")[0] for row_id in t["row_id"].to_pylist()}) > 3 for t in tables(files).values())


@pytest.mark.parametrize("to", ["longest", "bucket", False])
def test_rows_are_those_of_a_shuffled_run(corpus, tokenizer, tmp_path, to):
    decoded = []
    for shuffle in ("none", "files"):
        output = tmp_path / shuffle
        assert oblong(*arguments(corpus, tokenizer, output, run__shuffle=shuffle, pad__to=to)).code == 0
        rows = {}
        for shard, table in tables(files_of(output)).items():
            for row in table.to_pylist():
                cells = {name: row.pop(name) for name in ("input_ids", "attention_mask", "token_type_ids")}
                assert cells["attention_mask"] == [1] * row["length"] + [0] * (len(cells["input_ids"]) - row["length"])
                row |= {name: cells[name][: row["length"]] for name in ("input_ids", "token_type_ids")}
                rows[row["row_id"]] = (shard.split, shard.bucket, row)
        decoded.append(rows)
    assert decoded[0] == decoded[1]
    assert len(decoded[0]) > 900
    letters = [data for output in tmp_path.iterdir() for name, data in files_of(output).items() if "letters" in name]
    assert letters[0] == letters[1]


def test_batches_are_rectangles_of_so_many_rows(ran):
    for shard, table in tables(data_files(ran[0])).items():
        widths = [len(cells) for cells in table["input_ids"].to_pylist()]
        assert all(len(set(widths[k : k + 16])) == 1 for k in range(0, len(widths), 16))
        assert max(widths) <= shard.bucket


@pytest.mark.parametrize("threads", [1, 2])
def test_bytes_are_the_same_with_any_number_of_threads(ran, corpus, tokenizer, tmp_path, threads):
    flags = ["--direct_running_mode=multi_threading", "--direct_num_workers=2"] if threads > 1 else []
    assert oblong(*arguments(corpus, tokenizer, tmp_path, *flags)).code == 0
    assert files_of(tmp_path) == data_files(ran[0])


@pytest.mark.parametrize("processes", [1, 2])
def test_bytes_are_the_same_with_another_hash_seed_and_in_processes(ran, corpus, tokenizer, tmp_path, processes):
    flags = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"] if processes > 1 else []
    command = [sys.executable, "-m", "pipeline", *arguments(corpus, tokenizer, tmp_path, *flags)]
    environment = os.environ | {"PYTHONHASHSEED": str(7 + processes)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert files_of(tmp_path) == data_files(ran[0])


def test_seed_changes_splits_and_not_the_order(ran, corpus, tokenizer, tmp_path):
    assert oblong(*arguments(corpus, tokenizer, tmp_path / "split", run__seed=1)).code == 0
    assert files_of(tmp_path / "split") != data_files(ran[0])
    ones = []
    for seed in (0, 1):
        output = tmp_path / str(seed)
        settings = arguments(corpus, tokenizer, output, run__seed=seed, split={})
        assert oblong(*settings).code == 0
        ones.append({name: data for name, data in files_of(output).items() if "letters" not in name})
    assert ones[0] == ones[1]


def test_units_of_work_shape_the_output_and_are_another_run(ran, corpus, tokenizer, tmp_path):
    again = oblong(*arguments(corpus, tokenizer, tmp_path, read__split_bytes=20_000))
    manifest = manifest_of(again)
    assert manifest["fingerprint"] != ran[1]["fingerprint"]
    assert manifest["totals"]["rows_written"] == ran[1]["totals"]["rows_written"]
    assert len(manifest["files"]) < len(ran[1]["files"])


def test_remainders_are_dropped_in_each_shard(corpus, tokenizer, tmp_path):
    manifest = manifest_of(oblong(*arguments(corpus, tokenizer, tmp_path, batch__drop_remainder=True)))
    assert all(file["rows"] % 16 == 0 and file["rows"] for file in manifest["files"])
    totals = manifest["totals"]
    assert totals["rows_written"] == 900 + totals["windows"] - totals["dropped"]["remainder"]
    assert totals["dropped"]["remainder"] > 0
    assert oblong("verify", Path(tmp_path, "runs", manifest["run_id"])).code == 0


def test_no_rows_are_a_run_without_files(tokenizer, tmp_path):
    (tmp_path / "in.jsonl").write_bytes(b"")
    said = oblong(*arguments(tmp_path, tokenizer, tmp_path / "out", read__files=f"{tmp_path}/in.jsonl", read__keep=[]))
    manifest = manifest_of(said)
    assert (manifest["files"], manifest["totals"]["rows_read"]) == ([], 0)


def test_too_many_dead_letters_commit_nothing(corpus, tokenizer, tmp_path):
    said = oblong(*arguments(corpus, tokenizer, tmp_path, run__max_dead_letters=0.001))
    assert said.code == 1
    assert "too many dead letters: 2 of 902 rows" in said.err
    left = contents(tmp_path)
    assert not any(name.endswith("manifest.json") for name in left)
    assert any("/dead_letters/" in name for name in left)
    assert not any(".tmp/" in name for name in left)


def test_damaged_file_fails_the_job_and_leaves_none_of_its_shards(tokenizer, tmp_path):
    write_jsonl(tmp_path / "in" / "a.jsonl", some_rows(20))
    lines = "".join(json.dumps(row) + "\n" for row in some_rows(20_000, seed=5)).encode()
    (tmp_path / "in" / "b.jsonl.gz").write_bytes(gzip.compress(lines, mtime=0)[:-500])
    said = oblong(*arguments(tmp_path / "in", tokenizer, tmp_path / "out"))
    assert said.code == 1
    assert "b.jsonl.gz cannot be read" in said.err
    shards = [name for name in contents(tmp_path / "out") if "/bucket-" in name]
    assert all("part-00000" in name for name in shards)


def test_shards_given_by_number_are_refused(corpus, tokenizer, tmp_path):
    said = oblong(*arguments(corpus, tokenizer, tmp_path, write__shards=3))
    assert said.code == 2
    assert "write.shards: 3 cannot be had with run.shuffle: none" in said.err
