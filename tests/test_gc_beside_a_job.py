"""`oblong gc` while a job runs: what is in use is not removed, and what the user had removed is not committed."""

import os
import subprocess
import sys
import time

import pytest

from tests.runs import data_files, oblong, write_jsonl, write_tokenizer

ROWS = [{"text": f"w{i % 90} w2 " * (5 + i % 40)} for i in range(20_000)]

DEADLINE = 90.0  # seconds


class Job:
    """A job that writes for some seconds.

    Attributes:
        output: Its `write.path`.
        folder: Its run's.
    """

    def __init__(self, folder):
        self.output, self.folder = folder / "out", folder / "out" / "runs" / "x"
        source = write_jsonl(folder / "many.jsonl", ROWS)
        tokenizer = write_tokenizer(folder / "tok")
        self._arguments = ["run", f"--input={source}", f"--tokenizer={tokenizer}", f"--output={self.output}"]
        self._arguments += ["--run_id=x", "--json", "--set=read.split_bytes=65536", "--set=write.shards=8"]

    def start(self):
        arguments = [sys.executable, "-m", "pipeline", *self._arguments]
        return subprocess.Popen(arguments, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self):
        assert oblong(*self._arguments).code == 0

    def has(self, pattern):
        """Waits for a file of an attempt."""
        deadline = time.monotonic() + DEADLINE
        while not list(self.folder.glob(pattern)):
            assert time.monotonic() < deadline, pattern
            time.sleep(0.005)


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    job = Job(tmp_path_factory.mktemp("clean"))
    job.run()
    return data_files(job.folder)


def fails_in_one_line(job, code, out, err):
    assert (code in (1, 2), out) == (True, "")  # 2 where it had just begun, and its tokenizer was gone
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1, err
    assert str(job.output) in err or "attempt-" in err
    assert not (job.folder / "manifest.json").exists()


def test_job_is_not_touched_by_a_gc_that_goes_on_all_the_time(tmp_path, clean):
    job = Job(tmp_path)
    old = job.folder / "attempt-old"
    old.mkdir(parents=True)
    (old / "file").write_text("x")
    for path in (old / "file", old):
        os.utime(path, (0, 0))
    process, removed, looks = job.start(), [], 0
    job.has("attempt-2*/tokenizer/tokenizer.json")
    while process.poll() is None:
        removed += oblong("gc", job.output, "--delete", "--older-than=30", "--json").json["leftovers"]
        looks += 1
    _, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert looks > 3
    # Before the commit the old attempt is part of a run that is in use.
    removed += oblong("gc", job.output, "--delete", "--older-than=30", "--json").json["leftovers"]
    assert [one["path"] for one in removed] == [str(old)]
    assert oblong("verify", job.folder).code == 0
    assert data_files(job.folder) == clean


@pytest.mark.parametrize("moment", ["attempt-*/tokenizer/tokenizer.json", "*/spill/*", "attempt-*/train/*/*"])
def test_job_whose_files_are_removed_under_its_hands_fails_in_one_line_and_the_next_is_whole(tmp_path, clean, moment):
    job = Job(tmp_path)
    process = job.start()
    job.has(moment)
    cleared = oblong("gc", job.output, "--delete", "--older-than=0")
    in_the_way = "Directory not empty" in cleared.err  # the job wrote into what was being removed
    assert cleared.code == 0 or in_the_way
    out, err = process.communicate(timeout=DEADLINE)
    if process.returncode or not in_the_way:
        fails_in_one_line(job, process.returncode, out, err)
    assert oblong("gc", job.output, "--delete", "--older-than=0").code == 0
    job.run()
    assert oblong("verify", job.folder).code == 0
    assert data_files(job.folder) == clean
    assert oblong("gc", job.output, "--older-than=0", "--json").json["leftovers"] == []
