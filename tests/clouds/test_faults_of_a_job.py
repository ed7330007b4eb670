"""Whole jobs while requests go wrong: the bytes of the job on disk, or one line and no manifest."""

from __future__ import annotations

import os
import re
import sys

import pytest

from tests.clouds.faults import always, at_random, from_the
from tests.clouds.test_jobs import data_of, local, place, run  # noqa: F401 - fixtures
from tests.runs import data_files
from transforms import files

SEEDS = int(os.environ.get("OBLONG_FAULT_SEEDS", "8"))  # of each file system
BLOCK = 4  # seeds of one test

# Google's library leaves the connection of an answer that broke off to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def hasty(faulty, place):  # noqa: F811
    """The job's inputs, behind a proxy, with clients that lose patience soon."""
    faulty.waits(timeout=1, patience=6)
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
    place, told = hasty.cloud, []  # noqa: F811
    seeds = range(first, min(first + BLOCK, SEEDS))
    for seed in seeds:
        with hasty.proxy.going_wrong(at_random(seed, (0.02, 0.05)[seed % 2])):
            said = run(place, f"--run_id=r{seed}")
        folder = f"{place.root}/out/runs/r{seed}"
        if said.code:
            told.append(one_line(said))
            assert not files.exists(f"{folder}/manifest.json"), seed
            said = run(place, f"--run_id=r{seed}")
            assert said.code == 0, said.err
        assert data_of(place, folder) == data_files(local[1]), seed
    sys.stdout.write(f"{place.scheme}: {len(seeds) - len(told)} of {len(seeds)} jobs went well\n{''.join(told)}")
    assert len(told) <= len(seeds) / 2, told


def test_worker_processes_among_random_faults_write_the_same_bytes(hasty, local):  # noqa: F811
    with hasty.proxy.going_wrong(at_random(1, 0.03, ("503", "closed", "half", "short"))):
        said = run(hasty.cloud, "--direct_running_mode=multi_processing", "--direct_num_workers=2")
    assert hasty.proxy.hit
    if said.code:
        one_line(said)
        assert manifests(hasty.cloud.root) == []
    else:
        assert data_of(hasty.cloud, said.json["run"]) == data_files(local[1])


# What of a job does not work, as a proxy sees it, and what the job says of it.
ASKING = {
    "configuration": ("config.yaml", "--config: ROOT/config.yaml cannot be looked at: "),
    "tokenizer": (
        "GET .*tokenizer.json|HEAD .*tokenizer.json",
        "tokenize.tokenizer: ROOT/tokenizer/tokenizer.json cannot ",
    ),
    "inputs": ("GET .*corpus", "(read.files: )?ROOT/corpus.* cannot be "),
}


@pytest.mark.parametrize(("part", "fault"), [("configuration", "503"), ("tokenizer", "stalled"), ("inputs", "closed")])
def test_service_that_stays_out_of_order_is_no_mistake_of_the_users(hasty, part, fault):
    pattern, expected = ASKING[part]
    hasty.waits(timeout=0.4, patience=2)
    with hasty.proxy.going_wrong(always(fault, pattern)):
        said = run(hasty.cloud)
    assert hasty.proxy.hit >= 2  # it was asked again
    assert re.match(f"oblong: {expected.replace('ROOT', hasty.cloud.root)}", one_line(said)), said.err
    assert manifests(hasty.cloud.root) == []


UPLOADS = {"gs": "POST /upload", "s3": "PUT ", "hdfs": "PUT .*op=(CREATE|RENAME)"}


def test_output_that_takes_nothing_any_more_ends_the_job_in_one_line(hasty, local):  # noqa: F811
    place, uploads = hasty.cloud, UPLOADS[hasty.cloud.scheme]  # noqa: F811
    seen = []

    def count(number, method, path):
        seen.extend(re.findall(uploads, f"{method} {path}"))

    with hasty.proxy.going_wrong(count):
        assert run(place, "--run_id=whole").code == 0
    hasty.waits(timeout=2, patience=0.5)
    for number in (1, 3, len(seen) // 2, len(seen)):  # the last is the manifest
        with hasty.proxy.going_wrong(from_the(number, "503", uploads)):
            said = run(place, f"--run_id=r{number}")
        assert re.search(rf"{place.root}/out/runs/r{number}/\S+ cannot be written: ", one_line(said)), said.err
    assert [path for path in manifests(place.root) if "/whole/" not in path] == []
    hasty.waits(timeout=5, patience=6)
    again = run(place, "--run_id=r3")
    assert data_of(place, again.json["run"]) == data_files(local[1])
