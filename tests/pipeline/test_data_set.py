"""All generations read again at once; reading them as one is tested with increments and lineage."""

import shutil

import pytest

from tests.pipeline.growing import ROWS, World
from tests.runs import contents, oblong


@pytest.fixture(scope="module")
def grown(tmp_path_factory, tokenizer):
    """A data set of two generations, and what is left of an attempt at a third."""
    world = World(tmp_path_factory.mktemp("grown"), tokenizer)
    for day, name in enumerate(("a.jsonl", "b.jsonl")):
        world.arrive(name, ROWS[day * 5 : day * 5 + 5])
        assert world.run(f"--run_id=d{day}").code == 0
    (world.out / "runs" / "d2" / "attempt-x").mkdir(parents=True)
    (world.out / "runs" / "d0" / "attempt-y").mkdir()
    (world.out / "runs" / "d0" / "attempt-y" / "file").write_text("x")
    return world


@pytest.fixture
def out(grown, tmp_path):
    return shutil.copytree(grown.out, tmp_path / "out")


def test_all_generations_are_read_again(out):
    said = oblong("verify", out, "--json")
    assert said.code == 0
    assert said.json == {"ok": True, "files": 4, "rows": 10, "problems": [], "leftovers": {"runs/d0/attempt-y": 1}}


def test_difference_is_named_with_its_run(out):
    shard = next((out / "runs" / "d1").rglob("*.parquet"))
    shard.write_bytes(shard.read_bytes() + b"x")
    said = oblong("verify", out, "--json")
    assert said.code == 3
    (problem,) = said.json["problems"]
    assert problem.startswith(f"{shard.relative_to(out)}: ")


def test_manifest_that_is_damaged_is_named_with_its_run(out):
    (out / "runs" / "d1" / "manifest.json").write_text("{")
    said = oblong("verify", out, "--json")
    assert (said.code, len(said.json["problems"]), said.json["files"]) == (3, 1, 2)
    assert said.json["problems"][0].startswith("runs/d1/manifest.json: ")


def test_generation_that_is_gone_is_missed(out):
    shutil.rmtree(out / "runs" / "d0")
    said = oblong("verify", out)
    assert said.code == 3
    assert "run d0 of" in said.out
    assert "is gone, and its rows are missing in the data set" in said.out


def test_nothing_is_written(out):
    before = contents(out)
    oblong("verify", out)
    assert contents(out) == before
