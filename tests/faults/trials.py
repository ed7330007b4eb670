"""Many kills, some at a time, and what came of them as tables."""

from __future__ import annotations

import math
import queue
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.faults.forks import Forks
from tests.faults.kills import Kill, Verdict, try_kill
from tests.faults.pairs import try_pair

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.faults.pairs import Pair
    from tests.faults.worlds import World


def try_all(
    trials: Sequence[Kill | Pair], worlds: Mapping[str, World], scratch: Path, jobs: int, seconds: float = math.inf
) -> Iterator[Verdict]:
    """Tries each; gives the verdicts as they come.

    Args:
        trials: What to do.
        worlds: The kinds of jobs by name.
        scratch: For the jobs' folders; those with a problem stay there.
        jobs: How many at a time.
        seconds: After which no more are begun.
    """
    end = time.monotonic() + seconds
    free: queue.Queue[Forks] = queue.Queue()

    def attempt(trial: Kill | Pair) -> Verdict | None:
        if time.monotonic() > end:
            return None
        forks = free.get()
        try:
            return try_one(trial, worlds[trial.kind], forks, scratch)
        finally:
            free.put(forks)

    with ExitStack() as stack, ThreadPoolExecutor(jobs) as threads:
        for _ in range(jobs):
            forks = Forks()
            stack.callback(forks.close)
            free.put(forks)
        for done in as_completed([threads.submit(attempt, trial) for trial in trials]):
            verdict = done.result()
            if verdict is not None:
                yield verdict


def try_one(trial: Kill | Pair, world: World, forks: Forks, scratch: Path) -> Verdict:
    """Tries one; what stops the judge, such as half a manifest, is a problem as any other."""
    try:
        if isinstance(trial, Kill):
            return try_kill(trial, world, forks, scratch)
        return try_pair(trial, world, forks, scratch)
    except Exception as error:  # noqa: BLE001 - the others go on, and this one is told
        return Verdict(trial, (f"{type(error).__name__}: {error}",), struck=False, committed=False)


def how_to_repeat(verdict: Verdict) -> str:
    """What was wrong, and the command that does it again."""
    told = "\n".join(f"  {problem}" for problem in verdict.problems)
    return f"{verdict.what.name}\n{told}\n  again: make faults ONLY='{verdict.what.name}'"


def tables(verdicts: Sequence[Verdict]) -> str:
    """Counts, as tables for a page."""
    kills = [verdict for verdict in verdicts if isinstance(verdict.what, Kill)]
    pairs = [verdict for verdict in verdicts if not isinstance(verdict.what, Kill)]
    moments = ("before", "halfway", "after", "any moment")
    by_kind = Counter((v.what.kind, _moment(v)) for v in kills)
    lines = [_row("job", *moments, "all"), _row(*["---"] * 6)]
    for kind in dict.fromkeys(kind for kind, _ in by_kind):
        counts = [by_kind[kind, moment] for moment in moments]
        lines.append(_row(f"`{kind}`", *counts, sum(counts)))
    lines.append(
        _row("all", *(sum(n for (_, m), n in by_kind.items() if m == moment) for moment in moments), len(kills))
    )
    lines += ["", _row("signal to", "jobs", "at work", "committed all the same", "wrong"), _row(*["---"] * 5)]
    for whom in dict.fromkeys(_whom(v) for v in kills):
        of = [v for v in kills if _whom(v) == whom]
        counts = [len(of), sum(v.struck for v in of), sum(v.struck and v.committed for v in of)]
        lines.append(_row(whom, *counts, sum(bool(v.problems) for v in of)))
    lines += ["", _row("beside a job", "times", "wrong"), _row(*["---"] * 3)]
    for second in dict.fromkeys(v.what.second for v in pairs if not isinstance(v.what, Kill)):
        of = [v for v in pairs if not isinstance(v.what, Kill) and v.what.second == second]
        lines.append(_row(second, len(of), sum(bool(v.problems) for v in of)))
    return "\n".join(lines)


def _moment(verdict: Verdict) -> str:
    assert isinstance(verdict.what, Kill)
    return verdict.what.moment if verdict.what.at else "any moment"


def _whom(verdict: Verdict) -> str:
    assert isinstance(verdict.what, Kill)
    return f"{verdict.what.signal}, {verdict.what.to}"


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"
