"""The command in a fork of a process that has imported it: a job of a moment starts in a moment."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from tests.faults.steps import VARIABLE, Watched, watch

ROOT = Path(__file__).parents[2]
SITE = Path(__file__).parent / "site"
IMPORTED = (
    *("pipeline.cli", "pipeline.launch", "pipeline.allocator", "pipeline.verify", "pipeline.leftovers"),
    *("pipeline.summary", "pipeline.age", "transforms.write_in_order", "pyarrow.parquet"),
    *("apache_beam.runners.direct.direct_runner", "apache_beam.runners.portability.fn_api_runner.fn_runner"),
)


class Forks:
    """A process that forks the command.

    Used by one thread at a time.

    Args:
        first: Python that runs there before the first fork: to break the product, and see it found out.
    """

    def __init__(self, first: str = "") -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.forks", first],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._ask({"ready": None})

    def start(
        self, command: list[str], folder: Path, name: str, watched: Watched | None = None, *, fresh: bool = False
    ) -> int:
        """Starts `oblong COMMAND` in a folder, as the leader of a group; its output goes to NAME.out and NAME.err.

        Args:
            command: Without the program's name.
            folder: The working directory; its `tmp/` is the job's TMPDIR.
            name: Of the files for its output.
            watched: What to look at; None for nothing.
            fresh: Whether to start Python anew, as a user does.

        Returns:
            The process's id.
        """
        told = None if watched is None else watched.dump()
        return int(self._ask({"start": [command, str(folder), name, told, fresh]}))

    def wait(self, process: int, seconds: float = 120.0) -> int | None:
        """Waits for a process.

        Returns:
            Its exit code, negative for a signal; None where it has not ended.
        """
        code = self._ask({"wait": [process, seconds]})
        return None if code is None else int(code)

    def close(self) -> None:
        """Ends the process."""
        self._server.communicate()

    def _ask(self, question: dict[str, Any]) -> Any:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(question) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())


def serve() -> None:
    """Answers on stdout what is asked on stdin, until that ends."""
    for module in IMPORTED:
        importlib.import_module(module)
    exec(sys.argv[1])
    for line in sys.stdin:
        question = json.loads(line)
        ((verb, told),) = question.items()
        answer = _start(*told) if verb == "start" else _wait(*told) if verb == "wait" else None
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _start(command: list[str], folder: str, name: str, told: str | None, fresh: bool) -> int:
    process = os.fork()
    if process == 0:
        try:
            watched = _prepare(folder, name, told)
            if fresh:
                os.execv(sys.executable, [sys.executable, "-m", "pipeline", *command])
            _be_the_command(command, watched)
        finally:
            os._exit(97)  # never reached
    return process


def _wait(process: int, seconds: float) -> int | None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    return None


def _environment(folder: str | Path, watched: Watched | None) -> dict[str, str]:
    """What a job has in its environment beside what is there."""
    paths = [str(ROOT)] if watched is None else [str(SITE), str(ROOT)]
    told = {} if watched is None else {VARIABLE: watched.dump()}
    return {"TMPDIR": f"{folder}/tmp", "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"} | told


def _prepare(folder: str, name: str, told: str | None) -> Watched | None:
    """Makes this process a job's: the leader of its group, in its folder, with its streams and environment."""
    os.setsid()
    os.chdir(folder)
    for number, file, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, f"{name}.out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, f"{name}.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        os.dup2(os.open(file, flags, 0o644), number)
    watched = None if told is None else Watched.load(told)._replace(launcher=os.getpid())
    os.environ.update(_environment(folder, watched))
    for stops in (signal.SIGINT, signal.SIGTERM):  # what a shell's job in the background ignores, its children do too
        signal.signal(stops, signal.SIG_DFL)
    return watched


def _be_the_command(command: list[str], watched: Watched | None) -> None:
    """Does what a process does that was started for the command, from its first line to its end."""
    tempfile.tempdir = None
    sys.argv = ["oblong", *command]
    code = 1
    try:
        from pipeline.cli import main

        if watched is not None:
            watch(watched)
        code = main()
        threading._shutdown()  # type: ignore[attr-defined] # as the interpreter does at its end
        atexit._run_exitfuncs()
    except BaseException:  # noqa: BLE001 - what the interpreter would print
        traceback.print_exc()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve()
