"""Airflow's command, where `make test-airflow` has put it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.schedule.nights import ROOT, SCHEDULE

HOME = ROOT / ".venv-airflow" / "bin"
DAGS = SCHEDULE / "dags"
ENDED = re.compile(r"DagRun Finished: .* state=(\w+)")


class Airflow:
    """Airflow's command, as its own process.

    Args:
        folder: For its database and logs.
    """

    def __init__(self, folder: Path) -> None:
        self.environ = {
            "PATH": f"{HOME}:{os.environ['PATH']}",
            "HOME": str(folder),
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",  # seconds; five minutes otherwise
        }
        self.call("db", "migrate")

    def call(self, *words: str, **environ: str) -> str:
        """Runs a command of Airflow's that has to succeed; gives what it says."""
        done = self.start(*words, **environ)
        said = done.communicate(timeout=300)[0]
        assert done.returncode == 0, said
        return said

    def start(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        """Starts a command of Airflow's."""
        return subprocess.Popen(
            [HOME / "airflow", *words],
            env=self.environ | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ask(self, script: str) -> Any:
        """What a script of Python says as JSON where Airflow is installed, in its last line."""
        command = [HOME / "python", "-c", script]
        done = subprocess.run(command, env=self.environ, cwd=DAGS, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])
