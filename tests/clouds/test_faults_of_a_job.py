"""Whole jobs while requests go wrong: the bytes of the job on disk, or one line and no manifest."""

from __future__ import annotations

import collections
import os
import re

import pytest

from tests.clouds.faults import always, at_random
from tests.clouds.test_jobs import data_of, local, place, run  # noqa: F401 - fixtures
from tests.runs import data_files
from transforms import files

SEEDS = int(os.environ.get("OBLONG_FAULT_SEEDS", "12"))  # of each file system
BLOCK = 4  # seeds of one test

# Google's library leaves the connection of an answer that broke off to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def hasty(faulty, place):  # noqa: F811
    """The job's inputs, behind a proxy, with clients that lose patience soon."""
    faulty.waits(timeout=2, patience=6)
    return faulty


def manifests(root):
    return [found.path for found in files.list_folder(f"{root}/out") if found.path.endswith("/manifest.json")]


def one_line(said):
    """That a job failed as it should: with exit 1, and one line that is no traceback."""
    assert said.code == 1, said.err
    assert re.fullmatch(r"oblong: [^\n]+\n", said.err.splitlines(keepends=True)[-1]), said.err
    assert "Traceback" not in said.err
    return said.err


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_job_among_random_faults_has_the_same_bytes_or_fails_in_one_line(hasty, local, first):  # noqa: F811
    ended = collections.Counter()
    for seed in range(first, min(first + BLOCK, SEEDS)):
        place = hasty.cloud  # noqa: F811
        with hasty.proxy.going_wrong(at_random(seed, (0.02, 0.05)[seed % 2])):
            said = run(place, f"--run_id=r{seed}")
        ended[said.code] += 1
        folder = f"{place.root}/out/runs/r{seed}"
        if said.code:
            one_line(said)
            assert not files.exists(f"{folder}/manifest.json"), seed
            said = run(place, f"--run_id=r{seed}")
            assert said.code == 0, said.err
        assert data_of(place, folder) == data_files(local[1]), seed
    print("ended", hasty.cloud.scheme, dict(ended))
    assert ended[0] >= sum(ended.values()) / 2
