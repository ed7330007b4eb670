"""Generations follow on each other: none is gone, and none too many."""

import re

import pytest

from pipeline import read_data_set
from tests.pipeline.growing import ROWS, World, names
from tests.runs import contents, oblong, reseal
from transforms.arrays.errors import ConfigError, JobError


@pytest.fixture
def world(tmp_path, tokenizer):
    return World(tmp_path, tokenizer)


def test_ordinary_run_can_be_the_first_generation(world):
    world.arrive("a.jsonl", ROWS[:5])
    assert world.run("--run_id=d1", run__incremental=False).code == 0
    world.arrive("b.jsonl", ROWS[5:9])
    assert world.run("--run_id=d2").json["totals"]["rows_read"] == 4
    assert world.rows() == names(("a.jsonl", ROWS[:5]), ("b.jsonl", ROWS[5:9]))


def test_runs_that_are_no_generations_are_not_read_as_one(world):
    world.arrive("a.jsonl", ROWS[:5])
    for run in ("d1", "d2"):
        assert world.run(f"--run_id={run}", run__incremental=False).code == 0
    with pytest.raises(ConfigError, match=r"run d2 of .* was not incremental"):
        read_data_set(str(world.out))


def test_ordinary_run_among_generations_is_refused_before_it_holds_their_rows_twice(world):
    world.arrive("a.jsonl", ROWS[:5])
    assert world.run("--run_id=d1").code == 0
    before = contents(world.out)
    said = world.run("--run_id=slip", run__incremental=False)
    assert said.code == 2
    assert said.err.startswith(f"oblong: write.path: {world.out} holds a corpus that grows, and this run would")
    assert contents(world.out) == before


def test_ordinary_run_that_got_among_generations_is_neither_read_nor_added_to(world):
    world.arrive("a.jsonl", ROWS[:5])
    assert world.run("--run_id=d1").code == 0
    (world.out / "generations").rename(world.folder / "aside")
    assert world.run("--run_id=slip", run__incremental=False).code == 0
    (world.folder / "aside").rename(world.out / "generations")
    with pytest.raises(ConfigError, match=r"run slip of .* was not incremental.* move the folder .*runs/slip "):
        read_data_set(str(world.out))
    world.arrive("b.jsonl", ROWS[5:9])
    said = world.run("--run_id=d2")
    assert said.code == 2
    assert "run slip of" in said.err
    (world.out / "runs" / "slip").rename(world.folder / "slip")
    assert world.run("--run_id=d2").json["totals"]["rows_read"] == 4


def test_generation_that_is_gone_is_named_and_nothing_is_read_in_its_place(world):
    for day, name in enumerate("ab"):
        world.arrive(f"{name}.jsonl", ROWS[5 * day : 5 * day + 5])
        assert world.run(f"--run_id=d{day}").code == 0
    (world.out / "runs" / "d0").rename(world.folder / "d0")
    with pytest.raises(ConfigError, match=r"run d0 of .* is gone, and its rows are missing"):
        read_data_set(str(world.out))
    said = world.run("--run_id=d2")
    assert said.code == 2
    assert "run d0 of" in said.err
    (world.folder / "d0").rename(world.out / "runs" / "d0")
    assert world.run("--run_id=d2").json["status"] == "nothing new"


@pytest.mark.parametrize("name", ["d2", "../../elsewhere"])
def test_run_that_says_it_is_another_is_not_read_in_its_place(world, name):
    world.arrive("a.jsonl", ROWS[:5])
    assert world.run("--run_id=d1").code == 0
    reseal(world.out / "runs" / "d1", lambda manifest: manifest.update(run_id=name))
    with pytest.raises(JobError, match=rf"d1/manifest.json: is of run {re.escape(name)}, and its folder has another"):
        read_data_set(str(world.out))
    assert oblong("inspect", world.out, "--rows=1").code == 1
    assert world.run("--run_id=d3").code == 1


@pytest.mark.parametrize(("columns", "notes"), [("[input_ids]", 1), ("[input_ids, row_id]", 0)])
def test_rows_that_would_stand_twice_with_nothing_to_tell_them_apart_are_told(world, columns, notes):
    flags = (f"--set=write.columns={columns}", "--set=run.on_changed=reprocess")
    world.arrive("a.jsonl", ROWS[:5])
    assert world.run("--run_id=d1", *flags).json["notes"] == []
    world.arrive("a.jsonl", ROWS[:6])
    found = world.run("--run_id=d2", *flags).json["notes"]
    assert [note for note in found if "the older rows of a.jsonl stay in the data set" in note] == found
    assert len(found) == notes
