"""The DAG through three days of arriving files, a crash on the second and its retry, and a night that fails."""

from __future__ import annotations

import pytest

from tests.schedule.airflow.command import DAGS, ENDED
from tests.schedule.nights import Nights

DAG = "oblong_nightly"


@pytest.fixture
def nights(tmp_path):
    return Nights(tmp_path)


@pytest.fixture
def start(airflow, nights):
    """Starts the DAG for a date, as `airflow dags test` does: in one process, with its retries."""
    variables = {
        "AIRFLOW_VAR_OBLONG_FOLDER": str(nights.folder),
        "AIRFLOW_VAR_OBLONG_COMMAND": str(nights.command),
        "AIRFLOW_VAR_OBLONG_ALERT": "root@localhost",
    }

    def start(day):
        return airflow.start("dags", "test", "-f", str(DAGS / f"{DAG}.py"), DAG, day, **variables)

    return start


def finish(process):
    said = process.communicate(timeout=300)[0]
    (state,) = ENDED.findall(said)
    return state, said


def test_dag_has_one_run_at_a_time_and_makes_up_for_none(airflow):
    script = f"""
import json, {DAG} as module
dag = module.run.dag
retries = {{task.task_id: task.retries for task in dag.tasks}}
print(json.dumps([dag.max_active_runs, dag.catchup, dag.timetable.expression, retries]))
"""
    assert airflow.ask(script) == [1, False, "0 3 * * *", {"run": 3, "verify": 0}]


def test_three_days_a_crash_and_its_retry_leave_every_row_once(nights, start):
    first = nights.day(1)
    state, said = finish(start(first))
    assert state == "success", said
    assert ", 100 rows read again" in said

    second = nights.day(2)
    running = start(second)
    nights.kill_midway(second, "spilled")
    state, said = finish(running)
    assert state == "success", said
    assert "non-zero exit code 137" in said  # of the first attempt; Airflow itself has made the second
    assert '"status": "done"' in said

    third = nights.day(3)
    before = nights.written()
    state, said = finish(start(second))  # as somebody does who clears a night to have it run again
    assert state == "success", said
    assert '"status": "already done"' in said
    assert nights.written() == before  # what has arrived since is for the next night

    assert finish(start(third))[0] == "success"
    nights.check_every_row_is_there_once([first, second, third])

    before = nights.written()
    state, said = finish(start("2026-11-23"))
    assert state == "success", said
    assert '"status": "nothing new"' in said
    assert "Command exited with return code 99" in said  # there is nothing to verify
    assert nights.written() == before


def test_night_that_fails_for_good_is_told_by_mail(nights, start, letters):
    first = nights.day(1)
    (nights.folder / "tokenizer" / "tokenizer.json").unlink()
    assert finish(start(first))[0] == "failed"
    assert len(nights.started()) == 4  # the first attempt and its retries
    (letter,) = letters
    assert "To: root@localhost" in letter
    assert "Subject: oblong_nightly has failed at run: " in letter


def test_run_that_is_damaged_fails_its_night(nights, start, letters):
    first = nights.day(1)
    assert finish(start(first))[0] == "success"
    (shard, *_) = nights.folder.glob(f"out/runs/{first}/attempt-*/train/*/*.parquet")
    shard.write_bytes(shard.read_bytes()[:-1])
    state, said = finish(start(first))
    assert state == "failed"
    assert shard.name in said
    (letter,) = letters
    assert "Subject: oblong_nightly has failed at verify: " in letter
