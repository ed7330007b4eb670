"""Processes that serve: started in order, watched, and ended together."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

STARTS_WITHIN, STOPS_WITHIN = 120.0, 15.0  # seconds


class StartError(Exception):
    """What keeps an engine from running, in a sentence."""


class Server(NamedTuple):
    """A process of an engine.

    Attributes:
        name: Of its log too.
        command: That starts it.
        port: It is ready when it listens there.
        environment: Variables beside those that there are.
    """

    name: str
    command: tuple[str, ...]
    port: int
    environment: tuple[tuple[str, str], ...] = ()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def listens(port: int) -> bool:
    """Whether something on this machine listens on a port."""
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex(("localhost", port)) == 0


class Running(NamedTuple):
    """A process that was started, and what it says."""

    server: Server
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raises `StartError` with the end of the log where the process has ended."""
        if (code := self.process.poll()) is not None:
            said = "".join(f"  {line}\n" for line in self.log.read_text("utf-8", "replace").splitlines()[-20:])
            raise StartError(f"{self.server.name} has ended with code {code}; the end of {self.log}:\n{said}")


@contextlib.contextmanager
def running(servers: Sequence[Server], logs: Path) -> Iterator[list[Running]]:
    """Starts processes, the first one before the others, and ends them all.

    Args:
        servers: What to start; the others need the first.
        logs: The folder for what they say.

    Yields:
        The processes.

    Raises:
        StartError: One has ended, or is not ready in time.
    """
    logs.mkdir(parents=True, exist_ok=True)
    started: list[Running] = []
    try:
        for server in servers:
            if listens(server.port):
                raise StartError(f"something listens on port {server.port} already; choose another with --port")
            log = logs / f"{server.name}.log"
            with log.open("wb") as out:
                environment = os.environ | dict(server.environment)
                process = subprocess.Popen(
                    server.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment
                )
            started.append(Running(server, process, log))
            if len(started) == 1:
                _wait(started[0])
        for one in started:
            _wait(one)
        yield started
    finally:
        for one in reversed(started):
            one.process.terminate()
        for one in started:
            try:
                one.process.wait(STOPS_WITHIN)
            except subprocess.TimeoutExpired:
                one.process.kill()
                one.process.wait()


def _wait(one: Running) -> None:
    end = time.monotonic() + STARTS_WITHIN
    while not listens(one.server.port):
        one.check()
        if time.monotonic() > end:
            raise StartError(f"{one.server.name} does not listen after {STARTS_WITHIN:.0f} seconds; see {one.log}")
        time.sleep(0.2)
