"""Which jobs are killed, where and by what: drawn with a seed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.faults.kills import Kill
from tests.faults.pairs import GC, OTHER, SAME, Pair
from tests.faults.steps import AFTER, BEFORE, HALFWAY

if TYPE_CHECKING:
    import random

    from tests.faults.worlds import World

# Who gets which signal: all that stops a machine's jobs, a scheduler, a user; and one worker, or the launcher alone.
SIGNALS = (("SIGKILL", "group"), ("SIGTERM", "launcher"), ("SIGTERM", "group"), ("SIGINT", "group"))
TO_ONE = (("SIGKILL", "worker"), ("SIGKILL", "launcher"))

IMPORTS = 2.0  # seconds that Python takes to the job's first step when it is started anew


def signals_for(world: World) -> tuple[tuple[str, str], ...]:
    """The signals for a kind of job, and who gets them."""
    return (*SIGNALS, *TO_ONE) if world.kind.has_workers else SIGNALS


def at_steps(world: World, rng: random.Random, leave_out: set[str] | None = None) -> list[Kill]:
    """A kill before, after, and of writes halfway through each step: of those with one name any.

    Args:
        world: The kind of job.
        rng: Draws the signal, and which of the steps of one name.
        leave_out: Names to leave out; gets those that are in.

    Returns:
        The kills.
    """
    kills = []
    done = set() if leave_out is None else leave_out
    for name, count in Counter(world.steps).items():
        for moment in (BEFORE, HALFWAY, AFTER) if name.startswith("write ") else (BEFORE, AFTER):
            if name not in done:
                number, to = rng.choice(signals_for(world))
                kills.append(Kill(world.kind.name, number, to, name, rng.randint(1, count), moment))
    done.update(world.steps)
    return kills


def at_moments(world: World, rng: random.Random, count: int, start: str = "fork") -> list[Kill]:
    """Kills at moments that are spread evenly over the time that the job takes, and a little more.

    Args:
        world: The kind of job.
        rng: Draws the moments; the signals take turns.
        count: How many.
        start: "fork" or "fresh".

    Returns:
        The kills.
    """
    chosen = signals_for(world)
    seconds = 1.05 * world.seconds + (IMPORTS if start == "fresh" else 0.0)
    turns = rng.sample(chosen, len(chosen))
    return [
        Kill(world.kind.name, *turns[i % len(turns)], "", 1, f"{rng.uniform(0, seconds):.4f}", start)
        for i in range(count)
    ]


def two_at_once(world: World, rng: random.Random, count: int) -> list[Pair]:
    """Pairs of each sort in turn, the second started while the first is at work."""
    return [
        Pair(world.kind.name, (SAME, OTHER, GC)[i % 3], round(rng.uniform(0, 0.8 * world.seconds), 4))
        for i in range(count)
    ]
