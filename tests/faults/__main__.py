"""`make faults`: jobs killed for as long as you like, and a table of what was tried."""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.forks import Forks
from tests.faults.kills import Kill
from tests.faults.pairs import Pair
from tests.faults.plans import at_moments, at_steps, two_at_once
from tests.faults.trials import how_to_repeat, tables, try_all
from tests.faults.worlds import KINDS, World, make_world

if TYPE_CHECKING:
    from collections.abc import Sequence

SLOW = 5  # a job with worker processes takes so many times as long as one without: that many fewer are killed


def main() -> int:
    """Runs the command line; exits with 1 where anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="how many jobs are killed, about (default 1000)")
    parser.add_argument("--seed", type=int, default=None, help="what is drawn again with the same (default: the time)")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default 2)")
    parser.add_argument("--minutes", type=float, default=math.inf, help="after which no more are begun (default none)")
    parser.add_argument("--kinds", nargs="*", choices=sorted(KINDS), default=list(KINDS), help="of jobs (default all)")
    parser.add_argument("--only", metavar="NAME", help="one, by the name that a failure gave")
    args = parser.parse_args()
    seed = int(time.time()) if args.seed is None else args.seed
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        if args.only is not None:
            one = Kill.parse(args.only) if args.only.count("/") > 2 else Pair.parse(args.only)
            worlds = _make_worlds([one.kind], Path(folder))
            (verdict,) = try_all([one], worlds, Path(folder), 1)
            print(how_to_repeat(verdict) if verdict.problems else f"ok: {one.name}; at work: {verdict.struck}")
            return bool(verdict.problems)
        print(f"seed {seed}: --seed {seed} draws the same", flush=True)
        worlds = _make_worlds(args.kinds, Path(folder))
        return _try(_draw(worlds, random.Random(seed), args.kills), worlds, Path(folder), args.jobs, 60 * args.minutes)


def _make_worlds(kinds: Sequence[str], folder: Path) -> dict[str, World]:
    forks = Forks()
    worlds = {kind: make_world(KINDS[kind], folder / kind, forks) for kind in kinds}
    forks.close()
    return worlds


def _draw(worlds: dict[str, World], rng: random.Random, kills: int) -> list[Kill | Pair]:
    """Every step of every kind once, and moments for the rest; of jobs that take long fewer."""
    steps: list[Kill | Pair] = []
    for world in worlds.values():
        of_it = at_steps(world, rng)
        steps += rng.sample(of_it, len(of_it) // SLOW) if world.kind.has_workers else of_it
    drawn = rng.sample(steps, min(len(steps), kills))
    rest = kills - len(drawn)
    shares = {kind: 1 if world.kind.has_workers else SLOW for kind, world in worlds.items()}
    for kind, world in worlds.items():
        share = rest * shares[kind] // sum(shares.values())
        drawn += at_moments(world, rng, share)
        drawn += at_moments(world, rng, 2 if world.kind.has_workers else 6, "fresh")
        drawn += two_at_once(world, rng, 2 if world.kind.has_workers else 6)
    rng.shuffle(drawn)
    return drawn


def _try(trials: Sequence[Kill | Pair], worlds: dict[str, World], folder: Path, jobs: int, seconds: float) -> int:
    begun, verdicts = time.monotonic(), []
    for verdict in try_all(trials, worlds, folder, jobs, seconds):
        verdicts.append(verdict)
        if verdict.problems:
            print(how_to_repeat(verdict), flush=True)
        if len(verdicts) % 50 == 0:
            print(f"{len(verdicts)} of {len(trials)}, {time.monotonic() - begun:,.0f} s", flush=True)
    wrong = sum(bool(verdict.problems) for verdict in verdicts)
    print(f"\n{tables(verdicts)}\n\n{len(verdicts)} tried in {time.monotonic() - begun:,.0f} s, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
