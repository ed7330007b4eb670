import subprocess
import sys

import pytest

from pipeline.quiet import what_was_hidden
from tests.runs import write_jsonl, write_tokenizer

PROGRAM = """
import os, sys
from pipeline.quiet import quiet_workers, what_was_hidden
with quiet_workers(sys.argv[1], hide=sys.argv[2] == "True") as shown:
    print("from python", file=sys.stderr)
    os.system("echo from a process >&2")
    print("for the user", file=shown, flush=True)
print("after", file=sys.stderr)
print(what_was_hidden(sys.argv[1]))
"""


@pytest.mark.parametrize("hide", [True, False])
def test_what_workers_write_goes_to_a_file_and_what_is_for_the_user_does_not(tmp_path, hide):
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(hide)], capture_output=True, text=True, check=True
    )
    noise = ["from python", "from a process"]
    shown = ["for the user", "after"] if hide else ["from python", "from a process", "for the user", "after"]
    assert sorted(said.stderr.split("\n")[:-1]) == sorted(shown)
    assert sorted(said.stdout.split("\n")[:-2]) == (sorted(noise) if hide else [])


def test_nothing_was_hidden_where_there_is_no_file(tmp_path):
    assert what_was_hidden(str(tmp_path)) == ""


@pytest.mark.parametrize("mode", ["in_memory", "multi_threading", "multi_processing"])
def test_failing_job_says_one_line_in_every_mode(tmp_path, mode):
    tokenizer = write_tokenizer(tmp_path / "tok")
    source = write_jsonl(tmp_path / "a.jsonl", [{"text": "w1"}, "no json"])
    command = [sys.executable, "-m", "pipeline", "run", f"--input={source}", f"--tokenizer={tokenizer}"]
    options = [f"--output={tmp_path}/out", f"--direct_running_mode={mode}", "--direct_num_workers=2"]
    said = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert said.stderr.startswith("oblong: too many dead letters: 1 of 2 rows (bad_json 1)")
    assert said.stderr.count("\n") == 1
