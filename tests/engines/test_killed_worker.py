"""A worker that is killed in the middle of a job changes no byte, and nothing half-written is committed."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.engines.jobs import SHUFFLED, launch, look, run, write_world
from tests.engines.starting import DIRECT, Engine, descendants, is_worker, started, wait_for

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="/proc says what a worker is doing")

ROWS = 30_000
SETTINGS = SHUFFLED | {"run.shuffle": "runner", "run.id": "killed"}
# A worker is killed while it has such a file open: rows that it reads, or a shard that it writes.
MOMENTS = {"reading": "/corpus/", "writing": ".tmp/"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with started("spark-cluster", tmp_path_factory.mktemp("logs")) as one:
        yield one


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("large"), ROWS)


@pytest.fixture(scope="module")
def undisturbed(large, tmp_path_factory):
    plain = Engine("direct-in-memory", DIRECT["direct-in-memory"])
    return run(large, tmp_path_factory.mktemp("undisturbed"), SHUFFLED, plain)


def open_files(pid):
    """Paths that a process has open; none where it has just ended."""
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                yield str(link.readlink())


def worker_with(cluster, part):
    """A worker of Beam that has a file open whose path holds a part; None where there is none."""
    for pid in descendants(cluster.pid):
        if is_worker(pid) and any(part in path for path in open_files(pid)):
            return pid
    return None


def kill_one(cluster, part):
    """Kills a worker that has such a file open; None where there is none."""
    pid = worker_with(cluster, part)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
    return pid


def lost_tasks(cluster):
    """How many tasks Spark has had to give up, that is, to start again."""
    return (cluster.logs / "spark-job-server.log").read_text().count("Lost task")


@pytest.mark.parametrize("moment", MOMENTS)
def test_one_killed_worker_changes_no_byte(moment, cluster, large, undisturbed, tmp_path):
    before = lost_tasks(cluster)
    with launch(large, tmp_path, SETTINGS, cluster) as process:
        try:
            wait_for(f"{moment} rows", lambda: process.poll() is not None or kill_one(cluster, MOMENTS[moment]))
            _, err = process.communicate(timeout=240)
        finally:
            process.kill()
    assert process.returncode == 0, err + cluster.said()
    assert lost_tasks(cluster) > before
    assert look(tmp_path / "runs" / "killed") == undisturbed


def test_a_job_whose_workers_are_all_killed_fails_in_one_line_and_the_rerun_gives_the_same_bytes(
    cluster, large, undisturbed, tmp_path
):
    killed = set()
    with launch(large, tmp_path, SETTINGS, cluster) as process:
        try:
            wait_for("the end", lambda: killed.add(kill_one(cluster, MOMENTS["reading"])) or process.poll() is not None)
            out, err = process.communicate()
        finally:
            process.kill()
    assert len(killed - {None}) >= 4  # Spark tries each task that often
    assert (process.returncode, out) == (1, "")
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("oblong: SparkRunner failed: "), err
    assert "; nothing is committed; " in err.splitlines()[-1]
    assert list(tmp_path.glob("runs/*/manifest.json")) == []
    assert run(large, tmp_path, SETTINGS, cluster) == undisturbed
