"""The judges find what is wrong: each is shown a folder with one thing in it that must not be."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from tests.faults.forks import Forks
from tests.faults.kills import Kill, Verdict
from tests.faults.oracle import (
    alive,
    changed_in_older_runs,
    covered_by,
    differences,
    left_in_temporary_folder,
    left_over,
)
from tests.faults.trials import tables, try_one
from tests.faults.worlds import KINDS, make_world


@pytest.fixture(scope="module")
def forks():
    made = Forks()
    yield made
    made.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory, forks):
    return make_world(KINDS["growing"], tmp_path_factory.mktemp("world"), forks)


@pytest.fixture
def folder(world, tmp_path):
    """What a run leaves that nothing disturbed."""
    return shutil.copytree(world.folder / "clean", tmp_path / "job")


def test_clean_run_has_nothing_wrong(world, folder):
    assert left_over(folder) == set()
    assert changed_in_older_runs(world, folder) == []
    assert differences(world, folder, exactly=True) == []


@pytest.mark.parametrize(
    "path",
    [
        "out/stray",
        "out/runs/RUN/stray",
        "out/runs/RUN/attempt-2/train/part-00000-of-00001.parquet",
        "out/runs/other/attempt-1/tokenizer/tokenizer.json",
        "out/generations/000003.json",
        "spills/oblong-RUN-attempt-2/a.arrow",
    ],
)
def test_what_no_manifest_names_is_left_over(world, folder, path):
    stray = folder / path.replace("RUN", world.run)
    stray.parent.mkdir(parents=True, exist_ok=True)
    stray.write_text('{"run_id": "other"}')
    assert stray.relative_to(folder).as_posix() in left_over(folder)


def test_run_without_its_manifest_is_left_over_whole_with_its_generation(world, folder):
    (folder / "out/runs" / world.run / "manifest.json").unlink()
    found = left_over(folder)
    assert {f"out/runs/{world.run}/", "out/generations/000002.json"} <= found
    assert not any("older" in path or "000001" in path for path in found)


def test_folder_that_is_listed_stands_for_all_that_is_in_it(folder):
    (folder / "out/runs/x/y").mkdir(parents=True)
    (folder / "out/runs/x/y/z").write_text("")
    assert covered_by([str(folder / "out/runs/x")], folder) == {"out/runs/x/", "out/runs/x/y/", "out/runs/x/y/z"}


def test_byte_that_differs_and_file_that_is_missing_or_more_are_found(world, folder):
    run = folder / "out/runs" / world.run
    attempt = json.loads((run / "manifest.json").read_text())["attempt"]
    changed, gone = sorted((run / attempt / "train").rglob("*.parquet"))[:2]
    changed.write_bytes(changed.read_bytes()[:-1] + b"?")
    gone.unlink()
    (run / "more").write_text("")
    names = [f"runs/{world.run}/ATTEMPT/{path.relative_to(run / attempt).as_posix()}" for path in (changed, gone)]
    assert differences(world, folder, exactly=False) == names
    assert differences(world, folder, exactly=True) == [*names, f"runs/{world.run}/more"]


def test_older_run_that_was_written_to_has_changed_even_with_the_same_bytes(world, folder):
    shard = next((folder / "out/runs/older").rglob("*.parquet"))
    shard.write_bytes(shard.read_bytes())
    assert changed_in_older_runs(world, folder) == [shard.relative_to(folder / "out").as_posix()]


def test_folders_of_the_launcher_are_told_from_those_that_beam_leaves(folder):
    (folder / "tmp/oblong-x").mkdir()
    (folder / "tmp/beam-temp").mkdir()
    (folder / "tmp/beam-temp/file").write_text("")
    assert left_in_temporary_folder(folder) == ["beam-temp/file", "oblong-x/"]


def test_process_of_a_session_is_alive_until_it_ends():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    assert alive(process.pid) == [process.pid]
    process.communicate(b"\n")
    assert alive(process.pid) == []


NO_GC = "from pipeline import leftovers; leftovers.remove = lambda leftover: None"
IN_PLACE = """
from pathlib import Path
from transforms.filesystems.local import Local
Local.create_once = lambda self, path, data, scratch: bool(Path(path).write_bytes(data))
"""
STAYS = """
import subprocess
from pipeline import allocator
allocator.keep_freed_memory = lambda: subprocess.Popen(["sleep", "60"])
"""


@pytest.mark.parametrize(
    ("to_break", "step", "moment", "said"),
    [
        (NO_GC, "link to manifest in commit.process", "before", "still there after gc: out/runs/"),
        (IN_PLACE, "write manifest in commit.process", "halfway", "JSONDecodeError"),
        (STAYS, "make dead letters in dead_letters.process", "before", "processes of the job live on"),
    ],
    ids=["gc that removes nothing", "manifest written in place", "process that lives on"],
)
def test_product_that_is_broken_is_found_out(world, tmp_path, monkeypatch, to_break, step, moment, said):
    monkeypatch.setattr("tests.faults.kills.GONE_WITHIN", 0.5)
    broken = Forks(to_break)
    to = "launcher" if to_break == STAYS else "group"
    verdict = try_one(Kill("growing", "SIGKILL", to, step, 1, moment), world, broken, tmp_path)
    broken.close()
    assert any(said in problem for problem in verdict.problems), verdict.problems


def test_tables_count_by_job_signal_and_moment():
    kills = [
        Kill("files", "SIGKILL", "group", "make x", 1, "before"),
        Kill("files", "SIGKILL", "group", "", 1, "0.5"),
        Kill("none", "SIGTERM", "launcher", "write x", 1, "halfway"),
    ]
    told = tables([Verdict(kill, (), struck=True, committed=i == 0) for i, kill in enumerate(kills)])
    assert "| `files` | 1 | 0 | 0 | 1 | 2 |" in told
    assert "| `none` | 0 | 1 | 0 | 0 | 1 |" in told
    assert "| all | 1 | 1 | 0 | 1 | 3 |" in told
    assert "| SIGKILL, group | 2 | 2 | 1 | 0 |" in told
