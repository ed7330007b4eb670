"""An Airflow of its own, with its database in a folder of the test."""

from __future__ import annotations

import json
import threading
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING

import pytest

from tests.schedule.airflow.command import HOME, Airflow

if TYPE_CHECKING:
    from collections.abc import Iterator


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
