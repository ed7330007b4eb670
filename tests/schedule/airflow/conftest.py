"""An Airflow of its own, with its database in a folder of the test."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.schedule.nights import ROOT, SCHEDULE

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    """Airflow, its database made."""
    if not (HOME / "airflow").exists():
        pytest.skip("Airflow is not in .venv-airflow; make test-airflow puts it there, with Python 3.11 to 3.13")
    return Airflow(tmp_path_factory.mktemp("airflow"))


class _Letterbox(StreamRequestHandler):
    """Takes mail as a server does that asks no questions."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                letter = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.letters.append(letter.decode())  # type: ignore[attr-defined]
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                return


@pytest.fixture
def letters(airflow: Airflow) -> Iterator[list[str]]:
    """The letters that Airflow's connection smtp_default has sent."""
    with ThreadingTCPServer(("localhost", 0), _Letterbox) as server:
        server.letters = found = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@localhost"}
        connection = {"conn_type": "smtp", "host": "localhost", "port": server.server_address[1], "extra": extra}
        airflow.environ["AIRFLOW_CONN_SMTP_DEFAULT"] = json.dumps(connection)
        yield found
        server.shutdown()
