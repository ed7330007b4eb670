"""What docs/runners.md shows is run, its engines started as it says."""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engines.starting import ROOT, listens, skip_where_missing, started
from tests.markdown import CLOUD, blocks, make_small_demo

PORT = 8099  # that of the page
START = "python deploy/engines/start.py "


def sessions():
    """The commands of the page's blocks, by the engine that they need."""
    found, engine = {}, "prism"
    for block in blocks(ROOT / "docs" / "runners.md"):
        if block.language == CLOUD:
            lines = [line for line in block.text.splitlines() if not (line.startswith("make ") or "HOST" in line)]
            if lines and lines[0].startswith(START):
                engine, lines = lines[0].removeprefix(START), lines[1:]
            found.setdefault(engine, []).extend(lines)
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    make_small_demo(folder)
    (folder / ".engines").symlink_to(ROOT / ".engines")
    return folder


def test_the_page_starts_every_engine_that_it_names():
    assert [*sessions()] == ["prism", "flink", "spark", "spark-cluster"]


@pytest.mark.parametrize(("engine", "commands"), sessions().items(), ids=[*sessions()])
def test_what_the_page_shows_runs(engine, commands, demo, tmp_path):
    if not commands:
        pytest.skip(f"{engine}: the page starts it, as other tests do, and shows no command")
    skip_where_missing(engine)
    if engine != "prism" and listens(PORT):
        pytest.skip(f"something listens on port {PORT}, which the page uses")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    with ExitStack() as stack:
        if engine != "prism":
            flags = stack.enter_context(started(engine, tmp_path, port=PORT)).flags
            assert all(flag in commands[0] for flag in flags)
        for command in commands:
            done = subprocess.run(command, shell=True, cwd=demo, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
