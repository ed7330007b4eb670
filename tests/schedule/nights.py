"""A folder as a schedule finds it, files that arrive in it, and a job that is killed midway."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline import read_data_set
from tests.runs import contents, oblong, some_rows, write_jsonl, write_tokenizer

ROOT = Path(__file__).parent.parent.parent
SCHEDULE = ROOT / "deploy" / "schedule"
LARGE = 40_000  # rows whose job takes long enough to be met midway
MOMENTS = {
    "spilled": "attempt-*.tmp/spill/*",
    "written": "attempt-*/train/*/*.parquet",
}


class Nights:
    """What somebody has who followed docs/schedule.md, on a machine whose clock says what the test says.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: Counter[str] = Counter()
        self._bin = folder / "bin"
        self._bin.mkdir(parents=True)
        self.program("oblong", f'echo $$ >> "{folder}/started"\nexec {sys.executable} -m pipeline "$@"')
        self.program("date", 'echo "$TODAY"')
        write_tokenizer(folder / "tokenizer")
        shutil.copy(ROOT / "configs" / "growing.yaml", folder / "job.yaml")

    def program(self, name: str, script: str) -> None:
        """Puts a script of the shell where PATH finds it first."""
        path = self._bin / name
        path.write_text(f"#!/bin/sh\nexport PYTHONPATH={ROOT}\n{script}\n")
        path.chmod(0o755)

    @property
    def command(self) -> Path:
        """The command `oblong`, as it is installed on that machine."""
        return self._bin / "oblong"

    def environ(self, day: str, **more: str) -> dict[str, str]:
        """The environment on a day."""
        return {"PATH": f"{self._bin}:{os.environ['PATH']}", "TODAY": day, **more}

    def arrive(self, name: str, rows: int = 50, *, age: float = 3600) -> None:
        """Has a file arrive that was last written to so many seconds ago."""
        path = write_jsonl(self.folder / "corpus" / name, some_rows(rows, seed=len(self.rows)))
        os.utime(path, (time.time() - age,) * 2)
        self.rows[name] = rows

    def day(self, number: int) -> str:
        """Has the files of a day arrive; gives its date."""
        self.arrive(f"{number}-a.jsonl", LARGE if number == 2 else 50)
        self.arrive(f"{number}-b.jsonl")
        return f"2026-11-2{number - 1}"

    def start(self, command: str, day: str, **more: str) -> subprocess.Popen[str]:
        """Starts a line of the shell in the folder, in a process group of its own."""
        pipe = subprocess.PIPE
        environ = self.environ(day, **more)
        return subprocess.Popen(
            ["sh", "-c", command], cwd=self.folder, env=environ, stdout=pipe, stderr=pipe, text=True, process_group=0
        )

    def kill_midway(self, day: str, moment: str, line: subprocess.Popen[str] | None = None) -> None:
        """Kills the job of a day with SIGKILL when it has come so far; with its line, all of the line's processes."""
        run = self.folder / "out" / "runs" / day
        deadline = time.monotonic() + 60
        while not any(run.glob(MOMENTS[moment])):
            assert time.monotonic() < deadline, f"there is nothing like {MOMENTS[moment]} in {run}"
            time.sleep(0.001)
        if line is None:
            os.kill(self.started()[-1], signal.SIGKILL)
        else:
            os.killpg(line.pid, signal.SIGKILL)
            assert line.wait(10) == -signal.SIGKILL
            line.communicate()
            # A process that was killed takes a moment to give its memory back, and keeps the lock until then.
            subprocess.run(["flock", "--timeout", "30", "lock", "true"], cwd=self.folder, check=True)
        assert not (run / "manifest.json").exists()

    def started(self) -> list[int]:
        """The process id of each `oblong` so far."""
        path = self.folder / "started"
        return list(map(int, path.read_text().split())) if path.exists() else []

    def manifest(self, day: str) -> dict[str, Any]:
        """The manifest of a day's run."""
        manifest: dict[str, Any] = json.loads((self.folder / "out" / "runs" / day / "manifest.json").read_text())
        return manifest

    def inputs(self, day: str) -> list[str]:
        """The files that a day's run has read."""
        return [entry["file"] for entry in self.manifest(day)["inputs"]]

    def written(self) -> dict[str, bytes]:
        """Every file of the data set."""
        return contents(self.folder / "out")

    def check_every_row_is_there_once(self, days: list[str]) -> None:
        """Checks that the generations are those of the days, whole, and hold every row that has arrived once."""
        output = self.folder / "out"
        for day in days:
            said = oblong("verify", output / "runs" / day)
            assert (said.code, said.out[:3]) == (0, "ok:"), said
        manifest = read_data_set(str(output))
        assert [generation["run_id"] for generation in manifest["generations"]] == days
        tables = [pq.read_table(output / file["path"], columns=["row_id"]) for file in manifest["files"]]
        ids = [name for table in tables for name in table["row_id"].to_pylist()]
        assert len(set(ids)) == len(ids)
        assert Counter(name.partition("#")[0] for name in ids) == self.rows
