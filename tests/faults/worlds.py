"""Kinds of jobs, and what each finds, makes and must leave."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.faults.steps import Watched
from tests.runs import set_flags, some_rows, write_jsonl, write_tokenizer

if TYPE_CHECKING:
    from tests.faults.forks import Forks

# What a folder holds: the checksum of each file, or None for a folder, by path.
Tree = dict[str, str | None]

COMMON = {
    "write.formats": ["parquet", "tfrecord"],
    "split": {"train": 0.9, "test": 0.1},
    "run.max_dead_letters": 0.5,
    "read.keep": {"label": "int64"},
}


class Kind(NamedTuple):
    """A kind of job.

    Attributes:
        name: For people.
        settings: Of the configuration, beside those that all have.
        flags: Beam's.
        grows: Whether its run adds a generation to the older one.
    """

    name: str
    settings: dict[str, object]
    flags: tuple[str, ...] = ()
    grows: bool = False

    @property
    def has_workers(self) -> bool:
        """Whether its workers are processes of their own."""
        return "--direct_num_workers=2" in self.flags and len(self.flags) == 1


PROCESSES, THREADS = ("--direct_num_workers=2",), ("--direct_num_workers=2", "--direct_running_mode=multi_threading")
IN_ORDER = {"run.shuffle": "none", "read.split_bytes": 40000}
SHARDS = {"write.shards": 2}

KINDS = {
    kind.name: kind
    for kind in (
        Kind("files", {"run.shuffle": "files", **SHARDS}),
        Kind("spill_dir", {"run.spill_dir": "spills", **SHARDS}),
        Kind("runner", {"run.shuffle": "runner", **SHARDS}),
        Kind("none", IN_ORDER),
        Kind("growing", {"run.incremental": True, "run.spill_dir": "spills"}, grows=True),
        Kind("threads", SHARDS, THREADS),
        Kind("processes", {"run.spill_dir": "spills", **SHARDS}, PROCESSES),
        Kind("processes_none", IN_ORDER, PROCESSES),
        Kind("processes_growing", {"run.incremental": True}, PROCESSES, grows=True),
    )
}


class World(NamedTuple):
    """A kind of job with the folder it runs in, as it is before each fault.

    Attributes:
        kind: The kind.
        folder: With `in/` and `before/`, the folder that each job gets a copy of.
        older: What the older run left, times of change and all.
        clean: What `out/` holds after a run that nothing disturbed, the attempt's name and its time left out.
        run: The name of that run.
        steps: The names of its steps, in order.
        seconds: How long it took.
    """

    kind: Kind
    folder: Path
    older: dict[str, tuple[str | None, int]]
    clean: Tree
    run: str
    steps: list[str]
    seconds: float

    def command(self, *more: str) -> list[str]:
        """The command that is killed, and that is run again."""
        return command_of(self.kind, self.folder, *more)

    def copy(self, to: Path) -> Path:
        """Makes a folder for a job, as `before/` is."""
        shutil.copytree(self.folder / "before", to)
        return to


def command_of(kind: Kind, folder: Path, *more: str) -> list[str]:
    """The command of a kind of job whose inputs are below a folder."""
    settings = COMMON | kind.settings | ({"read.root": f"{folder}/in"} if kind.grows else {})
    inputs = ["--input", f"{folder}/in/*", "--tokenizer", f"{folder}/tokenizer", "--output", "out"]
    return ["run", *inputs, *set_flags(settings), *kind.flags, *more]


def make_world(kind: Kind, folder: Path, forks: Forks) -> World:
    """Makes the inputs and an older run, and runs the job once with nothing in its way."""
    before = folder / "before"
    for name in ("out", "spills/oblong-of-another-job", "tmp"):
        (before / name).mkdir(parents=True)
    (before / "spills/oblong-of-another-job/rows.arrow").write_bytes(b"not ours")
    write_tokenizer(folder / "tokenizer")
    write_jsonl(folder / "in/a.jsonl", [*some_rows(400), "no JSON", '{"text": null}'])
    if not kind.grows:
        _write_more(folder / "in")
    run_to_the_end(forks, before, command_of(kind, folder, "--run_id", "older"))
    if kind.grows:
        _write_more(folder / "in")
    older = with_times(before / "out")
    clean = folder / "clean"
    shutil.copytree(before, clean)
    log = folder / "steps"
    watched = Watched((f"{clean}/out", f"{clean}/spills"), str(log), None, 0)
    seconds = run_to_the_end(forks, clean, command_of(kind, folder), watched)
    (run,) = (path.name for path in (clean / "out/runs").iterdir() if path.name != "older")
    return World(kind, folder, older, tree_of_runs(clean / "out"), run, log.read_text().splitlines(), seconds)


def _write_more(folder: Path) -> None:
    write_jsonl(folder / "b.jsonl", some_rows(300, seed=1))
    (folder / "c.jsonl.gz").write_bytes(gzip.compress((folder / "b.jsonl").read_bytes()[:20000], mtime=0))


def run_to_the_end(forks: Forks, folder: Path, command: list[str], watched: Watched | None = None) -> float:
    """Runs a command that must succeed; gives the seconds it took."""
    begun = time.monotonic()
    code = forks.wait(forks.start(command, folder, "clean", watched))
    assert code == 0, (folder / "clean.err").read_text()
    return time.monotonic() - begun


def tree(folder: Path) -> Tree:
    """Everything below a folder, folders with a slash behind them."""
    found: Tree = {}
    for place, folders, files in os.walk(folder):
        below = Path(place).relative_to(folder)
        found |= {f"{(below / name).as_posix()}/": None for name in folders}
        for name in files:
            content = Path(place, name).read_bytes()
            found[(below / name).as_posix()] = hashlib.sha256(content).hexdigest()
    return found


def with_times(folder: Path) -> dict[str, tuple[str | None, int]]:
    """Files below a folder, each with the time of its change."""
    return {
        path: (checksum, (folder / path).stat().st_mtime_ns)
        for path, checksum in tree(folder).items()
        if checksum is not None
    }


def tree_of_runs(output: Path) -> Tree:
    """What an output holds, the names of committed attempts and what their time is in left out."""
    found = tree(output)
    for path in [path for path in found if path.endswith("/manifest.json")]:
        manifest = json.loads((output / path).read_text())
        attempt, run = manifest.pop("attempt"), path.rpartition("/")[0]
        del manifest["created"], manifest["manifest_crc32c"]
        told = json.dumps(manifest, sort_keys=True).replace(attempt, "ATTEMPT")
        found[path] = hashlib.sha256(told.encode()).hexdigest()
        found = {_renamed(name, f"{run}/{attempt}/", f"{run}/ATTEMPT/"): content for name, content in found.items()}
    for path in [path for path in found if path.startswith("generations/") and found[path] is not None]:
        holder = json.loads((output / path).read_text())
        found[path] = str(holder["run_id"])
    return found


def _renamed(path: str, old: str, new: str) -> str:
    return new + path.removeprefix(old) if path.startswith(old) else path
