"""The command in another process: one to which small disks are mounted that nobody else sees, or one without rights.

It is asked over its pipes, a line of JSON at a time, and looks at what is left there too.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.markdown import ROOT
from tests.runs import Said, contents, oblong

# As whoever may mount, or as root of a user namespace; the first that works here.
WAYS = (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"])


def way_to_mount(folder: Path) -> list[str] | None:
    """The command that may mount disks where nobody else sees them; None where there is none."""
    for way in WAYS:
        if (
            shutil.which(way[0])
            and not subprocess.run(
                [*way, "mount", "-t", "tmpfs", "none", str(folder)], capture_output=True, check=False
            ).returncode
        ):
            return way
    return None


def way_without_rights() -> list[str] | None:
    """The command that leaves a process the rights of a file's owner and no more; None where there is none."""
    if os.geteuid():
        return []
    rights = "-dac_override,-dac_read_search"
    way = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"]
    works = shutil.which(way[0]) and not subprocess.run([*way, "true"], capture_output=True, check=False).returncode
    return way if works else None


class OtherProcess:
    """Asks the process.

    Args:
        way: The command before that of the process, from `way_to_mount` or `way_without_rights`.
        log: Where its stderr goes: that of processes that it starts.
    """

    def __init__(self, way: list[str], log: Path) -> None:
        self._log = log
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [*way, sys.executable, "-m", "tests.failing.other_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=ROOT,
                text=True,
            )

        self.ask("remove", "")  # it is there, and what it says at the start has been said

    def ask(self, what: str, *arguments: Any) -> Any:
        """Has one of the functions below called there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([what, *map(str, arguments)]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, self._log.read_text()
        return json.loads(answer)

    def run(self, *arguments: Any, tmp: Path | None = None, largest: int = -1) -> Said:
        """Runs the command there, with a TMPDIR and a limit on the size of files."""
        begin = self._log.stat().st_size
        code, out, err = self.ask("run", tmp or "", largest, *arguments)
        return Said(code, out, err + self._log.read_bytes()[begin:].decode())

    def close(self) -> None:
        """Ends the process, and its disks with it."""
        self._process.communicate(timeout=60)


def mount(folder: str, options: str) -> None:
    """Mounts a disk; "remount,size=1m" makes one that is there larger."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True, stdout=sys.stderr)


def umount(folder: str) -> None:
    """Lets go of a disk with all that is on it, though rows may still be mapped from it."""
    subprocess.run(["umount", "--lazy", folder], check=True, stdout=sys.stderr)


def run(tmp: str, largest: str, *arguments: str) -> Said:
    """Runs the command."""
    os.environ["TMPDIR"] = tempfile.tempdir = tmp or "/tmp"
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(largest), limit[1]))
    try:
        return oblong(*arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def committed(output: str) -> dict[str, str] | None:
    """The sha256 of each data file of an output's one committed run; None where there is none."""
    manifests = list(Path(output).glob("runs/*/manifest.json"))
    if not manifests:
        return None
    attempt = json.loads(manifests[0].read_bytes())["attempt"]
    files = contents(manifests[0].parent / attempt)
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def remove(folder: str) -> None:
    """Removes a folder."""
    shutil.rmtree(folder, ignore_errors=True)


ASKED: dict[str, Any] = {one.__name__: one for one in (mount, umount, run, committed, remove)}


def _serve() -> None:
    import pipeline.launch  # noqa: F401 - what Beam says when it is imported is nobody's answer

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        what, *arguments = json.loads(line)
        answers.write(json.dumps(ASKED[what](*arguments)) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
