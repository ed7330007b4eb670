"""The short version: each kind of job killed at steps that no other has, and at some moments."""

from __future__ import annotations

import random

import pytest

from tests.faults.forks import Forks
from tests.faults.plans import at_moments, at_steps, two_at_once
from tests.faults.trials import how_to_repeat, try_all
from tests.faults.worlds import KINDS, make_world

SEED = 20261122
JOBS = 2


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """Every kind of job, run once."""
    forks = Forks()
    made = {kind: make_world(KINDS[kind], tmp_path_factory.mktemp("worlds") / kind, forks) for kind in KINDS}
    forks.close()
    return made


def problems(trials, worlds, scratch):
    return "\n".join(how_to_repeat(verdict) for verdict in try_all(trials, worlds, scratch, JOBS) if verdict.problems)


def test_job_killed_at_any_of_its_steps_leaves_no_run_or_a_whole_one(worlds, tmp_path):
    rng, seen = random.Random(SEED), set()
    trials = [kill for world in worlds.values() if not world.kind.has_workers for kill in at_steps(world, rng, seen)]
    assert {
        "write spill in shuffle._spill",
        "rename to shard in write.write_shard",
        "link to generation in increments.take_turn",
        "link to manifest in commit.process",
        "remove scratch folder in commit._settle",
    } <= {kill.at for kill in trials}
    assert problems(trials, worlds, tmp_path) == ""


@pytest.mark.parametrize("start", ["fork", "fresh"])
def test_job_killed_at_any_moment_leaves_no_run_or_a_whole_one(worlds, tmp_path, start):
    rng = random.Random(f"{SEED} {start}")
    number = 4 if start == "fork" else 1
    trials = [kill for world in worlds.values() for kill in at_moments(world, rng, number, start)]
    assert problems(trials, worlds, tmp_path) == ""


def test_job_that_loses_a_worker_or_its_launcher_at_a_step_leaves_no_run_or_a_whole_one(worlds, tmp_path):
    rng = random.Random(SEED)
    drawn = at_steps(worlds["processes"], rng)
    trials = [kill for kill in drawn if kill.to in ("worker", "launcher")]
    assert problems(rng.sample(trials, 8), worlds, tmp_path) == ""


def test_two_at_once_do_not_disturb_each_other(worlds, tmp_path):
    rng = random.Random(SEED)
    trials = [pair for kind in ("files", "growing", "none") for pair in two_at_once(worlds[kind], rng, 3)]
    assert problems(trials, worlds, tmp_path) == ""
