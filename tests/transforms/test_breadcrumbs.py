import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from transforms.arrays.identity import row_ids
from transforms.arrays.readers import Source
from transforms.breadcrumbs import Breadcrumbs, Crumb, place_of_rows, place_of_unit

PROGRAM = """
import os, signal, sys
import numpy as np, pyarrow as pa
from transforms.arrays.identity import row_ids
from transforms.arrays.readers import Source
from transforms.breadcrumbs import Breadcrumbs
notes = Breadcrumbs(sys.argv[1])
batch = pa.record_batch({"row_id": row_ids("a.jsonl", np.array([10, 20, 31])), "text": ["a", "b", "c"]})
notes.at_unit([Source("in/a.jsonl", "a.jsonl", 0, 4096)])
for step in sys.argv[2].split():
    getattr(notes, step)(*({"at_batch": [batch], "at_shard": ["train/part-00000-of-00001"]}.get(step, [])))
"""


def of_a_process(folder: Path, steps: str, end: str = "os.kill(os.getpid(), signal.SIGKILL)") -> list[Crumb]:
    """What is left by a worker that took some steps and then came to an end."""
    subprocess.run([sys.executable, "-c", PROGRAM + end, str(folder), steps], check=False)
    return Breadcrumbs(str(folder)).of_the_dead()


UNIT = "in/a.jsonl, bytes 0 to 4096"


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        ("", [Crumb("reading", UNIT)]),
        ("at_batch", [Crumb("tokenizing", f"batch 1 of {UNIT}: 3 rows, a.jsonl#10 to a.jsonl#31")]),
        ("at_batch past_batch", [Crumb("behind", f"batch 1 of {UNIT}")]),
        (
            "at_batch past_batch at_batch",
            [Crumb("tokenizing", f"batch 2 of {UNIT}: 3 rows, a.jsonl#10 to a.jsonl#31")],
        ),
        ("at_batch past_batch past_unit", []),
        ("past_unit at_shard", [Crumb("writing", "train/part-00000-of-00001")]),
        ("past_unit at_shard past_shard", []),
        ("past_unit at_batch", [Crumb("tokenizing", "batch 1 of a unit of work: 3 rows, a.jsonl#10 to a.jsonl#31")]),
    ],
)
def test_worker_that_is_killed_leaves_what_it_was_at(tmp_path, steps, left):
    assert of_a_process(tmp_path, steps) == left


@pytest.mark.parametrize("end", ["sys.exit(3)", "raise ValueError", ""])
def test_worker_that_ends_by_itself_leaves_nothing_to_read(tmp_path, end):
    assert of_a_process(tmp_path, "at_batch", end) == []


def test_worker_that_lives_is_not_among_the_dead(tmp_path):
    notes = Breadcrumbs(str(tmp_path))
    notes.at_unit([Source("a", "a")])
    assert notes.of_the_dead() == []
    assert len(list(tmp_path.iterdir())) == 1
    notes.past_unit()


def test_thread_that_has_ended_leaves_nothing_to_read(tmp_path):
    notes = Breadcrumbs(str(tmp_path))
    thread = threading.Thread(target=notes.at_unit, args=([Source("a", "a")],))
    thread.start()
    thread.join()
    assert notes.of_the_dead() == []


def test_note_that_cannot_be_written_stops_nobody(tmp_path):
    notes = Breadcrumbs(str(tmp_path / "nowhere"))
    notes.at_unit([Source("a", "a")])
    notes.past_unit()
    assert notes.of_the_dead() == []


@pytest.mark.parametrize("content", [b"", b"\n", b"{", b"[1]\n", b"\xff\n", b'["reading"]\n', b"7\n"])
def test_notes_that_make_no_sense_are_passed_over(tmp_path, content):
    (tmp_path / "1-1.at").write_bytes(content)
    assert Breadcrumbs(str(tmp_path)).of_the_dead() == []


def test_shorter_note_stands_over_a_longer_one(tmp_path):
    left = of_a_process(tmp_path, "at_batch past_batch past_unit at_batch past_batch")
    assert left == [Crumb("behind", "batch 1 of a unit of work")]


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        ([Source("a.txt", "a.txt")], "a.txt"),
        ([Source("a.txt", "a.txt", 5)], "a.txt, bytes 5 to the end"),
        ([Source("a.parquet", "a", 0, 2)], "a.parquet, row groups 0 to 2"),
        ([Source("a.txt", "a"), Source("b.txt", "b")], "a.txt and 1 more file"),
        ([Source("a\nb", "a")] * 3, "'a\\nb' and 2 more files"),
    ],
)
def test_units_are_told_by_their_stretches(sources, said):
    assert place_of_unit(sources) == said


def test_rows_without_an_identity_are_counted():
    assert place_of_rows(pa.record_batch({"text": ["a"] * 1234})) == "1,234 rows"
    assert place_of_rows(pa.record_batch({"row_id": ["a"], "text": ["a"]})) == "1 rows"
    one = pa.record_batch({"row_id": row_ids("a\tb", np.array([7]))})
    assert place_of_rows(one) == "1 rows, 'a\\tb'#7 to 'a\\tb'#7"


def test_dead_worker_s_signal_is_no_matter(tmp_path):
    assert of_a_process(tmp_path, "", f"os.kill({os.getpid()} and os.getpid(), {signal.SIGTERM.value})") == [
        Crumb("reading", UNIT)
    ]
