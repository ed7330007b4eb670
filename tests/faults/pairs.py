"""Two at once: the same run twice, two runs into one output, a gc beside a job."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, NamedTuple

from tests.faults.kills import Verdict, wrong_runs
from tests.faults.oracle import differences, left_over
from tests.faults.worlds import tree_of_runs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.forks import Forks
    from tests.faults.worlds import World

SAME, OTHER, GC = "the same run", "another run", "gc"


class Pair(NamedTuple):
    """Two commands at once.

    Attributes:
        kind: The kind of job.
        second: What is started beside it: `SAME`, `OTHER` or `GC`.
        offset: Seconds after the first.
    """

    kind: str
    second: str
    offset: float

    @property
    def name(self) -> str:
        """How it is repeated: `python -m tests.faults --only NAME`."""
        return "/".join((self.kind, self.second, f"{self.offset:.4f}"))

    @staticmethod
    def parse(name: str) -> Pair:
        """From its name."""
        kind, second, offset = name.split("/")
        return Pair(kind, second, float(offset))


def try_pair(pair: Pair, world: World, forks: Forks, scratch: Path) -> Verdict:
    """Starts a job and a second command beside it, and looks at everything.

    Args:
        pair: What to do.
        world: The kind of job.
        forks: Starts them.
        scratch: For their folder, which is removed if all is well.

    Returns:
        The verdict.
    """
    folder = world.copy(scratch / f"pair-{time.monotonic_ns()}")
    commands = {
        SAME: world.command(),
        OTHER: world.command("--run_id", "other"),
        GC: ["gc", "out", "--older-than", "1m", "--delete"],
    }
    first = forks.start(world.command(), folder, "first")
    time.sleep(pair.offset)
    second = forks.start(commands[pair.second], folder, "second")
    codes = [forks.wait(first), forks.wait(second)]
    said = [(folder / f"{name}.err").read_text() for name in ("first", "second")]
    problems = [f"a traceback: {err}" for err in said if "Traceback" in err]
    if world.kind.grows and pair.second == OTHER:
        problems += _wrong_generation(codes, said, folder)
    elif codes != [0, 0]:
        problems.append(f"exit {codes}: {said}")
    else:
        problems += wrong_runs(world, forks, folder, "with two at once")
        problems += _wrong_other(world, folder) if pair.second == OTHER else []
    code = forks.wait(forks.start(["gc", "out", "--older-than", "0", "--delete"], folder, "asked"))
    problems += [] if code == 0 else [f"gc exits with {code}"]
    problems += [f"still there after gc: {path}" for path in sorted(left_over(folder))]
    if pair.second != OTHER:
        problems += [f"not as after a clean run: {path}" for path in differences(world, folder, exactly=True)]
    if not problems:
        shutil.rmtree(folder)
        shutil.rmtree(f"{folder}.asked", ignore_errors=True)
    return Verdict(pair, tuple(problems), struck=True, committed=True)


def _wrong_other(world: World, folder: Path) -> list[str]:
    """The other run has the bytes of the clean one, under its own name."""
    found = tree_of_runs(folder / "out")
    shards = {path: content for path, content in world.clean.items() if path.startswith(f"runs/{world.run}/ATTEMPT/")}
    there = {path: found.get(path.replace(f"runs/{world.run}/", "runs/other/", 1), "not there") for path in shards}
    return [f"the other run: {path}" for path in shards if there[path] != shards[path]]


def _wrong_generation(codes: list[int | None], said: list[str], folder: Path) -> list[str]:
    """A generation belongs to one run: the other is refused, in one line."""
    manifests = [json.loads(path.read_text()) for path in (folder / "out/runs").glob("*/manifest.json")]
    numbers = sorted(manifest["generation"]["number"] for manifest in manifests)
    if numbers == [1, 2] and sorted(map(str, codes)) in (["0", "1"], ["0", "2"]):
        return []
    if codes == [0, 0] and numbers == [1, 2] and "nothing new" in (folder / "second.out").read_text():
        return []  # the second began when the first had committed
    return [f"exit {codes} with generations {numbers}: {said}"]
