"""The starter says in a sentence why an engine cannot be started, and leaves nothing running."""

import os
import socket
import subprocess
import sys

import pytest

from tests.engines.starting import START, descendants, started


def start(*arguments):
    """Runs the starter where it has to fail: its exit code and what it says."""
    done = subprocess.run([sys.executable, START, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_a_port_in_use_is_named(tmp_path):
    with socket.socket() as one:
        one.bind(("localhost", 0))
        one.listen()
        port = one.getsockname()[1]
        found = start("portable", "--port", port, "--logs", tmp_path)
    assert found == (1, f"start.py: something listens on port {port} already; choose another with --port\n")


@pytest.mark.parametrize(
    ("engine", "tools"), [("prism", "Go"), ("flink", "Java and Maven"), ("spark", "Java and Maven")]
)
def test_an_engine_that_was_not_fetched_is_named_with_what_fetches_it(engine, tools, tmp_path):
    code, said = start(engine, "--home", tmp_path, "--port", 0)
    assert code == 1
    assert f"{tmp_path}/{engine} is not there" in said
    assert said.endswith(f"`make engines` fetches it, with {tools}\n")


def test_a_process_that_ends_is_named_with_the_end_of_its_log(tmp_path):
    (tmp_path / "prism").write_text("#!/bin/sh\necho no room left\nexit 7\n")
    (tmp_path / "prism").chmod(0o755)
    code, said = start("prism", "--home", tmp_path, "--port", 0)
    assert code == 1
    assert said == f"start.py: prism has ended with code 7; the end of {tmp_path}/logs/prism.log:\n  no room left\n"


def test_a_cluster_for_an_engine_that_has_none_is_refused(tmp_path):
    code, said = start("prism", "--master", "spark://HOST:7077")
    assert code == 2
    assert "--master: prism sends jobs to no cluster" in said


def test_nothing_runs_on_when_the_starter_has_ended(tmp_path):
    with started("portable", tmp_path) as engine:
        (server,) = descendants(engine.pid)
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)
