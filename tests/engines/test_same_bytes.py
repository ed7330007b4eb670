"""The same job on every engine leaves the same files, and the manifest counts the same."""

import pytest

from tests.engines.jobs import IN_ORDER, ROWS, SHUFFLED, UNUSABLE, run
from tests.engines.starting import DIRECT, NEEDS, started

SHUFFLES = {shuffle: SHUFFLED | {"run.shuffle": shuffle} for shuffle in ("runner", "files")} | {"none": IN_ORDER}


@pytest.fixture(scope="module", params=[*DIRECT, *NEEDS])
def engine(request, tmp_path_factory):
    with started(request.param, tmp_path_factory.mktemp(f"{request.param}-logs")) as one:
        yield one


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_every_file_has_the_same_bytes_and_every_total_is_the_same(engine, shuffle, world, expected, tmp_path):
    if engine.name == "spark-cluster" and shuffle != "runner":
        pytest.skip("spark-cluster: its executors take some ten seconds each time; Spark itself does it above")
    found, plain = run(world, tmp_path, SHUFFLES[shuffle], engine), expected(shuffle)
    assert found.totals == plain.totals
    assert found.listed == plain.listed
    assert found.checksums == plain.checksums


@pytest.mark.parametrize("shuffle", ["files", "none"])
def test_the_job_is_one_that_could_go_wrong(expected, shuffle):
    left = expected(shuffle)
    assert left.totals["rows_read"] == ROWS + 10 * len(UNUSABLE)
    assert left.totals["windows"] > ROWS / 10
    reasons = {"bad_json", "null_text", "missing_column", "wrong_type", "bad_row"}
    assert {reason for reason, rows in left.totals["dead_letters"].items() if rows} == reasons
    assert {name.rpartition("/")[0] for name in left.checksums} == {
        "dead_letters",
        *(f"{split}/bucket-{edge:05}" for split in ("train", "validation") for edge in (16, 32, 48)),
    }
    shards = {name.rpartition("/")[2] for name in left.checksums if name.startswith("train/bucket-00016/")}
    assert len(shards) == 6, shards  # of three shards, or of a unit of work for each of three files, in both formats
