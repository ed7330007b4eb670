"""Texts that kill the process that encodes them: what the job says, and that it can go on past them."""

import json
import subprocess
import sys

import pytest

from tests.poisonous import environment
from tests.runs import data_files, some_rows, write_tokenizer

# (file, row): the word. Two stand side by side, one is the first of its file and one the last of all.
POISON = {(0, 7): "kill!", (0, 8): "abort!", (1, 0): "segfault!", (2, 39): "kill!"}

MODES = {
    "in memory": ("--direct_running_mode=in_memory",),
    "in processes": ("--direct_running_mode=multi_processing", "--direct_num_workers=2"),
    "in order": ("--direct_running_mode=in_memory", "--set=run.shuffle=none", "--set=read.split_bytes=2000"),
}


def write_corpus(folder, *, poisoned):
    """Three files; where they are not poisoned, blanks stand in the place of those rows, so that others keep theirs."""
    folder.mkdir(parents=True)
    for number in range(3):
        lines = []
        for place, row in enumerate(some_rows(40, seed=number)):
            word = POISON.get((number, place))
            line = json.dumps({"text": row["text"] if word is None else f"w1 {word} w2"})
            lines.append(line if word is None or poisoned else " " * len(line))
        (folder / f"{number}.jsonl").write_text("".join(f"{line}\n" for line in lines))


class World:
    """A folder with corpora and what jobs make of them."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = environment(folder / "site")
        write_tokenizer(folder / "tok")
        write_corpus(folder / "poisoned", poisoned=True)
        write_corpus(folder / "clean", poisoned=False)

    def run(self, corpus, output, *more):
        """Runs a job in a process of its own."""
        command = [sys.executable, "-m", "pipeline", "run", "--run_id=r", "--json", *more]
        command += [f"--input={self.folder}/{corpus}/*.jsonl", f"--tokenizer={self.folder}/tok"]
        command += [f"--output={self.folder}/{output}", "--set=tokenize.engine=poisonous"]
        command += ["--set=run.max_dead_letters=0.5", "--set=bucket.boundaries=[16, 32]"]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=200, check=False)

    def manifests(self, output):
        """The manifests of an output."""
        return list((self.folder / output).glob("runs/*/manifest.json"))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("poison"))


def rows_of(run):
    """The data files of a run, dead letters aside."""
    return {name: data for name, data in data_files(run).items() if not name.startswith("dead_letters")}


@pytest.mark.parametrize("mode", MODES)
def test_isolated_job_buries_what_kills_and_writes_all_other_rows_as_they_would_be(world, mode):
    clean = world.run("clean", f"clean {mode}", *MODES[mode])
    assert clean.returncode == 0, clean.stderr
    said = world.run("poisoned", f"isolated {mode}", *MODES[mode], "--set=run.isolate=true")
    assert said.returncode == 0, said.stderr
    expected, found = (rows_of(world.folder / f"{name} {mode}" / "runs" / "r") for name in ("clean", "isolated"))
    assert len(expected) > 2
    assert found == expected
    (manifest,) = world.manifests(f"isolated {mode}")
    totals = json.loads(manifest.read_text())["totals"]
    assert (totals["rows_read"], totals["dead_letters"]) == (120, {"tokenizer_error": len(POISON)})
    letters = [
        json.loads(line)
        for path in sorted(manifest.parent.glob("*/dead_letters/*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    signals = {"kill!": "SIGKILL", "abort!": "SIGABRT", "segfault!": "SIGSEGV"}
    assert sorted((x["file"], x["message"]) for x in letters) == sorted(
        (f"{number}.jsonl", f"text: the process that encoded it was killed by {signals[word]}")
        for (number, _), word in POISON.items()
    )


def test_job_that_loses_a_worker_fails_and_names_where(world):
    said = world.run("poisoned", "lost", *MODES["in processes"])
    assert (said.returncode, said.stdout) == (1, "")
    last = said.stderr.splitlines()[-1]
    assert last.startswith("oblong: a worker process was killed by SIG")
    assert f"while it was tokenizing batch 1 of {world.folder}/poisoned/" in last
    assert " rows, " in last
    assert last.endswith("nothing is committed; --set run.isolate=true gets past a row that kills its process")
    assert "Traceback" not in said.stderr
    assert world.manifests("lost") == []
    assert list((world.folder / "lost").glob("runs/r/*.tmp")) == []


def test_job_that_dies_whole_is_told_of_by_the_next_and_gets_past_it_isolated(world):
    said = world.run("poisoned", "whole", *MODES["in memory"])
    assert said.returncode < 0
    assert world.manifests("whole") == []
    told = "an attempt before this one died while it was tokenizing batch 1 of"
    again = world.run("poisoned", "whole", *MODES["in memory"])
    assert again.returncode < 0
    assert told in again.stderr
    assert "--set run.isolate=true gets past a row that kills its process" in again.stderr
    isolated = world.run("poisoned", "whole", *MODES["in memory"], "--set=run.isolate=true")
    assert isolated.returncode == 0, isolated.stderr
    assert told in isolated.stderr
    done = world.run("poisoned", "whole", *MODES["in memory"])
    assert (json.loads(done.stdout)["status"], told in done.stderr) == ("already done", False)
