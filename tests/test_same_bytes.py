"""The bytes of data files depend on inputs, configuration, tokenizer and versions alone."""

import os
import shutil
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.runs import KEEP, data_files, oblong, set_flags, some_rows, write_jsonl, write_tokenizer

SETTINGS = {
    "read.text_pair": "other",
    "read.keep": KEEP,
    "truncate.max_length": 24,
    "truncate.overflow": True,
    "truncate.stride": 2,
    "batch.rows": 16,
    "bucket.boundaries": [8, 16, 24],
    "write.formats": ["parquet", "tfrecord"],
    "write.compression": {"tfrecord": "gzip"},
    "write.shards": 3,
    "write.columns": ["input_ids", "attention_mask", "token_type_ids", "row_id"],
    "split": {"train": 0.8, "test": 0.2},
    "run.max_dead_letters": 0.5,
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A corpus in three files, rows that cannot be used among them, and a tokenizer."""
    folder = tmp_path_factory.mktemp("world")
    write_tokenizer(folder / "tok")
    rows = [*some_rows(300, seed=3), "no json", '{"text": null}']
    for number in range(3):
        write_jsonl(folder / "corpus" / f"{number}.jsonl", rows[number::3])
    return folder


def arguments(world, output, files=None, **settings):
    """The command's arguments for a run of its own."""
    patterns = {"read.files": files if files is not None else str(world / "corpus" / "*.jsonl")}
    flags = set_flags(SETTINGS | patterns | {name.replace("__", "."): value for name, value in settings.items()})
    return ["run", f"--tokenizer={world}/tok", f"--output={output}", "--json", *flags]


def files_of(output):
    (manifest,) = output.glob("runs/*/manifest.json")
    return data_files(manifest.parent)


@pytest.fixture(scope="module")
def expected(world, tmp_path_factory):
    """The bytes of one run in this process."""
    output = tmp_path_factory.mktemp("expected")
    said = oblong(*arguments(world, output))
    assert said.code == 0, said.err
    found = files_of(output)
    assert len(found) > 20
    assert {name.split(".", 1)[1] for name in found} == {"parquet", "tfrecord.gz", "jsonl"}
    return found


def test_run_again(world, expected, tmp_path):
    assert oblong(*arguments(world, tmp_path)).code == 0
    assert files_of(tmp_path) == expected


def test_two_threads(world, expected, tmp_path):
    threads = ["--direct_running_mode=multi_threading", "--direct_num_workers=2"]
    assert oblong(*arguments(world, tmp_path, read__split_bytes=3000), *threads).code == 0
    assert files_of(tmp_path) == expected


@pytest.mark.parametrize("shuffle", ["runner", "files"])
def test_either_shuffle(world, expected, tmp_path, shuffle):
    assert oblong(*arguments(world, tmp_path / "out", run__shuffle=shuffle, read__split_bytes=3000)).code == 0
    assert files_of(tmp_path / "out") == expected


def test_spills_elsewhere_are_gone_when_the_job_has_ended(world, expected, tmp_path):
    spill_dir = tmp_path / "spills"
    assert oblong(*arguments(world, tmp_path / "out", run__spill_dir=str(spill_dir))).code == 0
    assert files_of(tmp_path / "out") == expected
    assert list(spill_dir.iterdir()) == []


def spawn(some, seed):
    environment = os.environ | {"PYTHONHASHSEED": str(seed)}
    done = subprocess.run([sys.executable, "-m", "pipeline", *some], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


def test_two_processes_with_another_hash_seed(world, expected, tmp_path):
    processes = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    said = spawn([*arguments(world, tmp_path, read__split_bytes=3000), *processes], seed=7)
    assert files_of(tmp_path) == expected
    # What Beam's workers say before they have read their options cannot be switched off.
    assert [
        line for line in said if not line.startswith(("WARNING:root:apitools", "INFO:__main__:Logging handler"))
    ] == []


@pytest.mark.parametrize("seed", [0, 12345])
def test_another_hash_seed(world, expected, tmp_path, seed):
    assert spawn(arguments(world, tmp_path), seed) == []
    assert files_of(tmp_path) == expected


@pytest.mark.parametrize("split_bytes", [700, 10_000])
def test_other_units_of_work(world, expected, tmp_path, split_bytes):
    assert oblong(*arguments(world, tmp_path, read__split_bytes=split_bytes)).code == 0
    assert files_of(tmp_path) == expected


@pytest.mark.parametrize(
    "names", [["2.jsonl", "0.jsonl", "1.jsonl"], ["*.jsonl", "?.jsonl", "1.jsonl"], ["[12].jsonl", "0.*"]]
)
def test_other_patterns_that_match_the_same_files(world, expected, tmp_path, names):
    assert oblong(*arguments(world, tmp_path, files=[str(world / "corpus" / name) for name in names])).code == 0
    assert files_of(tmp_path) == expected


def test_relative_paths(world, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(world / "corpus")
    assert oblong(*arguments(world, tmp_path, files="*.jsonl")).code == 0
    assert files_of(tmp_path) == expected


def test_same_files_elsewhere(world, expected, tmp_path):
    shutil.copytree(world / "corpus", tmp_path / "a" / "b" / "moved")
    assert oblong(*arguments(world, tmp_path, files=f"{tmp_path}/a/b/moved/*.jsonl")).code == 0
    assert files_of(tmp_path) == expected
    nested = arguments(world, tmp_path / "out", files=f"{tmp_path}/a/b/*/*.jsonl", read__root=f"{tmp_path}/a/b/moved")
    assert oblong(*nested).code == 0
    assert files_of(tmp_path / "out") == expected


def rows_of(files):
    """The rows of all Parquet files of a run, in their order."""
    tables = [pq.read_table(pa.BufferReader(data)) for name, data in files.items() if name.endswith(".parquet")]
    return [row for table in tables for row in table.to_pylist()]


def test_another_seed_gives_the_same_rows_in_another_order(world, expected, tmp_path):
    assert oblong(*arguments(world, tmp_path, run__seed=1, pad__to=False)).code == 0
    assert oblong(*arguments(world, tmp_path / "plain", pad__to=False)).code == 0
    other, plain = rows_of(files_of(tmp_path)), rows_of(files_of(tmp_path / "plain"))
    assert other != plain
    assert sorted(other, key=lambda row: row["row_id"]) == sorted(plain, key=lambda row: row["row_id"])
    assert [row["row_id"] for row in plain] == [row["row_id"] for row in rows_of(expected)]


def test_windows_of_a_row_stay_in_one_split(expected):
    splits = {}
    for name, data in expected.items():
        if name.endswith(".parquet"):
            for row_id in pq.read_table(pa.BufferReader(data))["row_id"].to_pylist():
                splits.setdefault(row_id.rsplit("#", 1)[0], set()).add(name.split("/")[0])
    assert max(map(len, splits.values())) == 1
    assert len({next(iter(split)) for split in splits.values()}) == 2


def test_formats_alone_give_the_bytes_that_they_give_together(world, expected, tmp_path):
    assert oblong(*arguments(world, tmp_path, write__formats="parquet", write__compression="auto")).code == 0
    assert files_of(tmp_path) == {name: data for name, data in expected.items() if "tfrecord" not in name}
