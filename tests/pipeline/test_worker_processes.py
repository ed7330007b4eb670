import subprocess
import sys
import time

import pytest

from pipeline.worker_processes import ended_on_demand

SLEEPS = [sys.executable, "-c", "import time; time.sleep(60)"]
WORKER = [*SLEEPS, "apache_beam.runners.worker.sdk_worker_main"]


@pytest.fixture
def start():
    processes = []

    def begin(command):
        processes.append(subprocess.Popen(command))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.wait()


def test_workers_are_ended_when_it_is_asked_for_and_other_processes_are_not(start):
    worker, other = start(WORKER), start(SLEEPS)
    with ended_on_demand() as end_workers:
        time.sleep(0.4)
        assert worker.poll() is None
        end_workers()
        assert worker.wait(10) == -15
    assert other.poll() is None


def test_worker_that_is_started_later_and_one_below_a_shell_are_ended_too(start):
    with ended_on_demand() as end_workers:
        end_workers()
        time.sleep(0.4)
        worker, shell = start(WORKER), start(["sh", "-c", '"$@"; true', "sh", *WORKER])
        assert worker.wait(10) == -15
        assert shell.wait(10) == -15


def test_nothing_is_ended_when_the_block_has_ended(start):
    with ended_on_demand():
        pass
    worker = start(WORKER)
    time.sleep(0.5)
    assert worker.poll() is None
