"""Inputs that change while a job runs: it ends in one line with the file's name, and commits nothing."""

import os
import threading
import time

import pytest

from tests.changes import halve, replace, turn_into_a_folder, write_over
from tests.runs import oblong, some_rows, write_jsonl, write_tokenizer


def grow(path):
    with path.open("ab") as stream:
        stream.write(b'{"text": "w1"}\n')


def close(path):
    path.chmod(0o000)


GONE, OTHER_SIZE, OTHER_TIME = " and is gone; ", " now; run the job again", " was last changed at "


def changes_while_a_job_reads(run, folder, change, *more, files=20):
    """Runs a job and changes the last of its files when a worker has begun to read the first."""
    rows = some_rows(20_000 // files)
    for i in range(files):
        last = write_jsonl(folder / f"in/{i:02}.jsonl", rows)
    done = threading.Event()
    os.utime(last, (0, 1_700_000_000))

    def wait_and_change():
        while not done.is_set():
            if any(note.stat().st_size for note in folder.glob("out/runs/*/*.tmp/at/*.at")):
                change(last)
                return
            time.sleep(0.001)

    watching = threading.Thread(target=wait_and_change)
    watching.start()
    try:
        tokenizer = write_tokenizer(folder / "tok")
        short = ("--input", folder / "in/*.jsonl", "--tokenizer", tokenizer, "--output", folder / "out", "--json")
        said = run("run", *short, "--direct_running_mode=in_memory", *more)
    finally:
        done.set()
        watching.join()
    assert not list(folder.glob("out/runs/*/manifest.json"))
    assert (said.code, said.err.count("\n")) == (1, 1), said
    assert said.err.startswith(f"oblong: read.files: {last} ")
    return said.err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (grow, OTHER_SIZE),
        (halve, OTHER_SIZE),
        (write_over, OTHER_TIME),
        (replace, OTHER_TIME),
        (os.unlink, GONE),
        (turn_into_a_folder, OTHER_SIZE),
    ],
)
def test_input_that_changes_while_a_job_runs_ends_it_in_one_line(tmp_path, change, told):
    assert told in changes_while_a_job_reads(oblong, tmp_path, change)


def test_input_that_is_written_over_while_it_is_read_ends_the_job_in_one_line(tmp_path):
    assert OTHER_TIME in changes_while_a_job_reads(oblong, tmp_path, write_over, files=1)


def test_input_that_changes_is_told_where_rows_are_written_as_they_are_read_too(tmp_path):
    assert OTHER_TIME in changes_while_a_job_reads(oblong, tmp_path, replace, "--set=run.shuffle=none")
    assert not list(tmp_path.glob("out/runs/*/*/train"))


def test_input_that_is_closed_while_a_job_runs_ends_it_in_one_line(plain_user, tmp_path):
    said = changes_while_a_job_reads(plain_user.run, tmp_path, close)
    assert "cannot be read: [Errno 13] Permission denied" in said
