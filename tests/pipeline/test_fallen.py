import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from pipeline.config import load_config
from pipeline.fallen import FOLDER, Fallen, last_words, lay_breadcrumbs, watch_workers
from pipeline.job import prepare
from transforms.breadcrumbs import Breadcrumbs

DIE = """
import os, signal, sys
from transforms.arrays.readers import Source
from transforms.breadcrumbs import Breadcrumbs
import pyarrow as pa
notes = Breadcrumbs(sys.argv[1])
notes.at_unit([Source(sys.argv[2], sys.argv[2])])
if sys.argv[3] == "tokenizing":
    notes.at_batch(pa.record_batch({"text": ["a", "b"]}))
os.kill(os.getpid(), signal.SIGKILL)
"""


def die(folder, file="a.jsonl", step="tokenizing"):
    """Has a worker die."""
    subprocess.run([sys.executable, "-c", DIE, str(folder), file, step], check=False)
    return Breadcrumbs(str(folder))


def end_worker(code):
    """Does what Beam does in a thread of its own when a worker process has ended."""

    def run():
        raise RuntimeError(f"Worker subprocess exited with return code {code}")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (137, "was killed by SIGKILL (which the system does, too, where memory runs out) while it was tokenizing"),
        (-9, "was killed by SIGKILL (which the system does, too, where memory runs out) while it was tokenizing"),
        (139, "was killed by SIGSEGV while it was tokenizing"),
        (3, "ended with exit code 3 while it was tokenizing"),
    ],
)
def test_job_that_lost_a_worker_names_how_and_where(tmp_path, code, said):
    with watch_workers() as fallen:
        end_worker(code)
    error = fallen.explain(die(tmp_path), isolate=False)
    where = "batch 1 of a.jsonl: 2 rows; nothing is committed; --set run.isolate=true gets past a row that kills its"
    assert str(error) == f"a worker process {said} {where} process"


def test_isolation_is_not_proposed_where_it_would_not_help(tmp_path):
    with watch_workers() as fallen:
        end_worker(-6)
    killed = "a worker process was killed by SIGABRT while it was"
    assert str(fallen.explain(Breadcrumbs(str(tmp_path)), isolate=False)) == (
        f"{killed} neither reading, nor tokenizing, nor writing a shard; nothing is committed"
    )
    assert str(fallen.explain(None, isolate=False)).startswith(
        f"{killed} neither reading, nor tokenizing, nor writing a shard;"
    )
    notes = die(tmp_path)
    assert str(fallen.explain(notes, isolate=True)).endswith("2 rows; nothing is committed")
    (file,) = tmp_path.iterdir()
    file.unlink()
    notes = die(tmp_path, step="reading")
    assert str(fallen.explain(notes, isolate=False)) == f"{killed} reading a.jsonl; nothing is committed"


def test_places_of_many_workers_are_counted(tmp_path):
    with watch_workers() as fallen:
        end_worker(-9)
    for number in range(5):
        die(tmp_path, f"{number}.jsonl", "reading")
    error = fallen.explain(Breadcrumbs(str(tmp_path)), isolate=False)
    assert "reading 0.jsonl or reading 1.jsonl or reading 2.jsonl or at one of 2 more places;" in str(error)


def test_where_no_worker_died_there_is_nothing_to_explain(tmp_path):
    assert Fallen().explain(die(tmp_path), isolate=False) is None


def test_other_threads_failures_go_where_they_went_before(monkeypatch):
    heard = []
    monkeypatch.setattr(threading, "excepthook", heard.append)
    with watch_workers() as fallen:
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
    assert (fallen.codes, [one.exc_type for one in heard]) == ([], [ZeroDivisionError])
    assert threading.excepthook == heard.append


def wait_for_ever():
    with watch_workers(grace=0.2):
        end_worker(137)
        time.sleep(60)


def test_job_that_does_not_notice_is_ended():
    with pytest.raises(RuntimeError, match="a worker process died before it had begun"):
        wait_for_ever()


def test_job_of_which_ctrl_c_is_ignored_is_ended_too():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(RuntimeError, match="a worker process died before it had begun"):
            wait_for_ever()
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_job_that_ends_in_time_is_left_alone():
    with watch_workers(grace=0.2):
        end_worker(137)
    time.sleep(0.5)  # in which a signal would come


def interrupted():
    with watch_workers(grace=60):
        end_worker(137)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)


def test_user_s_interruption_stays_one():
    with pytest.raises(KeyboardInterrupt):
        interrupted()


def test_attempt_that_died_whole_is_told_by_the_next(sections):
    job = prepare(load_config(sections))
    assert last_words(job) is None
    notes = lay_breadcrumbs(job, "nowhere")
    assert notes.folder == f"{job.scratch_folder}/{FOLDER}"
    assert last_words(job) is None
    die(notes.folder)
    where = "an attempt before this one died while it was tokenizing batch 1 of a.jsonl: 2 rows"
    assert last_words(job) == f"{where}; --set run.isolate=true gets past a row that kills its process"
    isolated = prepare(load_config(sections, ["run.isolate=true"]))
    assert isolated.run_id == job.run_id
    assert last_words(isolated) == where


def test_attempt_that_runs_is_not_told_of(sections):
    job = prepare(load_config(sections))
    notes = lay_breadcrumbs(job, "nowhere")
    notes.at_unit([SimpleNamespace(path="a", start=0, stop=None)])
    assert last_words(job) is None
    notes.past_unit()


def test_notes_of_a_job_whose_output_is_on_no_disk_are_in_the_launcher_s_folder(sections, tmp_path):
    job = SimpleNamespace(scratch_folder="gs://bucket/out.tmp", run_folder="gs://bucket/out")
    assert lay_breadcrumbs(job, str(tmp_path)).folder == f"{tmp_path}/{FOLDER}"
    assert last_words(job) is None
