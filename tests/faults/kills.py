"""One job killed, and everything that must be so afterwards."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.faults.oracle import (
    alive,
    changed_in_older_runs,
    covered_by,
    differences,
    is_committed,
    left_in_temporary_folder,
    left_over,
)
from tests.faults.steps import Fault, Watched

if TYPE_CHECKING:
    from tests.faults.forks import Forks
    from tests.faults.pairs import Pair
    from tests.faults.worlds import World

# Seconds after the launcher's end in which its workers must have ended by themselves. One that is just starting waits
# a minute for its launcher, twice.
GONE_WITHIN = 150.0


class Kill(NamedTuple):
    """A job that is killed.

    Attributes:
        kind: The kind of job.
        signal: The signal's name.
        to: Who gets it: "group", "launcher", or "worker".
        at: A step's name, or "" for a moment.
        nth: Which step of that name.
        moment: Before, halfway, after; of a moment the seconds since the start.
        start: "fork" or "fresh": whether Python is started anew, as a user does.
    """

    kind: str
    signal: str
    to: str
    at: str
    nth: int
    moment: str
    start: str = "fork"

    @property
    def name(self) -> str:
        """How it is repeated: `python -m tests.faults --only NAME`."""
        return "/".join(map(str, self))

    @staticmethod
    def parse(name: str) -> Kill:
        """From its name."""
        kind, number, to, at, nth, moment, start = name.split("/")
        return Kill(kind, number, to, at, int(nth), moment, start)


class Verdict(NamedTuple):
    """What came of it.

    Attributes:
        what: What was done.
        problems: What must not be; none where all is well.
        struck: Whether the signal found the job at work.
        committed: Whether the run was committed all the same.
    """

    what: Kill | Pair
    problems: tuple[str, ...]
    struck: bool
    committed: bool


def try_kill(kill: Kill, world: World, forks: Forks, scratch: Path) -> Verdict:
    """Runs a job, kills it, and looks at everything.

    Args:
        kill: What to do.
        world: The kind of job.
        forks: Starts it.
        scratch: For its folder, which is removed if all is well.

    Returns:
        The verdict.
    """
    folder = world.copy(scratch / f"job-{time.monotonic_ns()}")
    leader, struck = _start(kill, world, forks, folder)
    code = forks.wait(leader, 60.0)
    problems = []
    if code is None:
        problems.append("the launcher did not end within a minute")
        os.killpg(leader, signal.SIGKILL)
        code = forks.wait(leader)
    problems += _wrong_if_alive(leader)
    hit = Path(f"{folder}.steps.struck")
    if kill.at:
        struck = hit.exists()
    committed = is_committed(world, folder)
    by = kill._replace(to="launcher") if struck and kill.at and hit.read_text() == str(leader) else kill
    begun, said = (folder / "out/runs" / world.run).exists(), folder / "killed.err"
    err = said.read_text() if said.exists() else ""
    problems += _wrong_ending(by, code, err, begun=begun, struck=struck, committed=committed)
    if code not in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT):
        problems += [f"left in TMPDIR: {path}" for path in left_in_temporary_folder(folder)]
    gc_first = zlib.crc32(kill.name.encode()) % 2 == 0  # what is left is removed before the job runs again, or after
    problems += _wrong_afterwards(world, forks, folder, gc_first=gc_first)
    if not problems:
        shutil.rmtree(folder)
        for more in scratch.glob(f"{folder.name}.*"):
            if more.is_dir():
                shutil.rmtree(more)
            else:
                more.unlink()
    return Verdict(kill, tuple(problems), struck, committed)


def _start(kill: Kill, world: World, forks: Forks, folder: Path) -> tuple[int, bool]:
    """Starts the job; where no step gets the signal, sends it at its moment, and says whether that found the job."""
    roots = (f"{folder}/out", f"{folder}/spills")
    to = "self" if kill.to == "worker" else kill.to
    fault = Fault(kill.at, kill.nth, kill.moment, kill.signal, to) if kill.at else None
    watched = Watched(roots, f"{folder}.steps", fault, 0) if fault else None
    begun = time.monotonic()
    leader = forks.start(world.command(), folder, "killed", watched, fresh=kill.start == "fresh")
    if fault is not None:
        return leader, False
    time.sleep(max(0.0, begun + float(kill.moment) - time.monotonic()))
    number, living = signal.Signals[kill.signal], alive(leader)
    if kill.to == "worker":
        workers = [process for process in living if process != leader and _is_worker(process)]
        if workers:
            os.kill(workers[-1], number)
        return leader, bool(workers)
    if leader in living:
        (os.killpg if kill.to == "group" else os.kill)(leader, number)
    return leader, leader in living


def _is_worker(process: int) -> bool:
    try:
        return b"sdk_worker_main" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def _wrong_if_alive(leader: int) -> list[str]:
    end = time.monotonic() + GONE_WITHIN
    while living := alive(leader):
        if time.monotonic() > end:
            os.killpg(leader, signal.SIGKILL)
            return [f"processes of the job live on: {living}"]
        time.sleep(0.01)
    return []


STOPPED = {"SIGINT": (130, "interrupted"), "SIGTERM": (143, "terminated")}


def _wrong_ending(kill: Kill, code: int | None, err: str, *, begun: bool, struck: bool, committed: bool) -> list[str]:
    """Compares exit code and last line with what has happened."""
    last = err.splitlines()[-1] if err else ""
    wrong = ["a traceback"] if "Traceback" in err else []
    expected: tuple[int, str]
    if struck and not begun and code in (-signal.SIGTERM, -signal.SIGINT):
        return []  # Python was still on its way to the command's first line
    if code == 0:
        # The signal came when all was done, or to a worker whose work was done.
        wrong += [] if committed else ["exit 0, and no manifest"]
        return [f"{problem}; stderr: {err[-2000:]}" for problem in wrong]
    if kill.signal == "SIGKILL" and kill.to != "worker":
        expected = (-signal.SIGKILL, "")
    elif kill.signal in STOPPED and kill.to != "worker":
        number, word = STOPPED[kill.signal]
        told = "the run is committed: " if committed else "nothing is committed"
        expected = (number, f"oblong: {word}; {told}")
    else:
        expected = (1, "oblong: ")
        if not last.endswith("nothing is committed") and "; nothing is committed;" not in last:
            wrong.append("it does not say that nothing is committed")
        if committed:
            wrong.append("a manifest is there")
    if code != expected[0] or not last.startswith(expected[1]):
        wrong.append(f"exit {code} with {last!r}, not {expected[0]} with {expected[1]!r}")
    if not struck:
        wrong.append(f"exit {code} though no signal was sent")
    return [f"{problem}; stderr: {err[-2000:]}" for problem in wrong]


def _wrong_afterwards(world: World, forks: Forks, folder: Path, *, gc_first: bool) -> list[str]:
    """Looks at what there is, runs the job again, and clears up."""
    problems = wrong_runs(world, forks, folder, "after the kill")
    listed = _answer(forks, folder, "gc", f"{folder}/out", "--older-than", "0", "--json")
    found = covered_by([leftover["path"] for leftover in listed["leftovers"]], folder)
    left = left_over(folder)
    problems += [f"gc does not find {path}" for path in sorted(left - found)]
    problems += [f"gc would remove {path}" for path in sorted(found - left)]
    if gc_first:
        problems += _wrong_after_gc(forks, folder)
    code = forks.wait(forks.start(world.command(), folder, "again"))
    if code != 0:
        problems.append(f"the rerun exits with {code}: {(folder / 'again.err').read_text()[-2000:]}")
    problems += wrong_runs(world, forks, folder, "after the rerun")
    problems += _wrong_after_gc(forks, folder)
    problems += [f"not as after a clean run: {path}" for path in differences(world, folder, exactly=True)]
    return problems


def wrong_runs(world: World, forks: Forks, folder: Path, when: str) -> list[str]:
    """Looks at what is committed: the older run is untouched, and the job's, where it is there, as the clean one."""
    problems = [f"{when}: of the older run {path} has changed" for path in changed_in_older_runs(world, folder)]
    if is_committed(world, folder):
        problems += [f"{when}: other bytes: {path}" for path in differences(world, folder, exactly=False)]
        verdict = _answer(forks, folder, "verify", f"{folder}/out/runs/{world.run}", "--json")
        problems += [f"{when}: verify: {problem}" for problem in verdict["problems"]]
    return problems


def _wrong_after_gc(forks: Forks, folder: Path) -> list[str]:
    _answer(forks, folder, "gc", f"{folder}/out", "--older-than", "0", "--delete", "--json")
    return [f"still there after gc: {path}" for path in sorted(left_over(folder))]


def _answer(forks: Forks, folder: Path, *command: str) -> dict[str, list[dict[str, str]]]:
    elsewhere = folder.parent / f"{folder.name}.asked"  # what a job left is found from any folder
    elsewhere.mkdir(exist_ok=True)
    code = forks.wait(forks.start(list(command), elsewhere, "asked"))
    told = (elsewhere / "asked.out").read_text()
    if code not in (0, 3) or not told:
        raise AssertionError(f"{command} exits with {code}: {(elsewhere / 'asked.err').read_text()}")
    answer: dict[str, list[dict[str, str]]] = json.loads(told)
    return answer
