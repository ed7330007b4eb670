"""Corpora that grow: each row of theirs is in one generation."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import read_data_set
from pipeline.data_set import add_totals
from pipeline.generations import turns_folder
from pipeline.increments import take_turn, turn_path
from tests.pipeline.growing import ROWS, World, names
from tests.runs import contents, oblong
from transforms.arrays.errors import JobError


@pytest.fixture
def world(tmp_path, tokenizer):
    return World(tmp_path, tokenizer)


def test_each_generation_reads_what_none_has_seen(world):
    world.arrive("a.jsonl", ROWS[:20])
    first = world.run("--run_id=d1")
    assert first.json["status"] == "done"
    assert first.json["totals"]["rows_read"] == 20
    world.arrive("b.jsonl", ROWS[20:50])
    second = world.run("--run_id=d2")
    assert second.json["totals"]["rows_read"] == 30
    manifest = json.loads(Path(second.json["manifest"]).read_text())
    assert [entry["file"] for entry in manifest["inputs"]] == ["b.jsonl"]
    assert manifest["generation"] == {
        "number": 2,
        "previous": ["d1"],
        "new": 1,
        "changed": {},
        "young": [],
        "seen": 1,
    }


def test_nothing_new_is_said_and_writes_nothing(world):
    world.arrive("a.jsonl", ROWS[:5])
    assert world.run("--run_id=d1").code == 0
    before = contents(world.out)
    said = world.run("--run_id=d2")
    assert (said.code, said.json["status"], said.json["totals"]) == (0, "nothing new", None)
    assert said.json["notes"] == ["1 file seen in 1 generation"]
    assert contents(world.out) == before


def test_run_of_a_scheduler_is_done_once_it_is_committed_whatever_arrives(world):
    world.arrive("a.jsonl", ROWS[:5])
    assert world.run("--run_id=d1").json["status"] == "done"
    world.arrive("b.jsonl", ROWS[5:9])
    world.arrive("a.jsonl", ROWS[:6])  # which would fail a run of its own
    before = contents(world.out)
    assert world.run("--run_id=d1").json["status"] == "already done"
    assert contents(world.out) == before


def test_changed_file_is_refused_by_name_with_what_it_was(world):
    world.arrive("a.jsonl", ROWS[:5])
    assert world.run("--run_id=d1").code == 0
    world.arrive("a.jsonl", ROWS[:6])
    before = contents(world.out)
    said = world.run("--run_id=d2")
    assert said.code == 1
    assert said.err.startswith("oblong: run.on_changed: a.jsonl has changed since it was read (")
    assert "write reprocess" in said.err
    assert contents(world.out) == before


def test_changed_file_is_read_again_where_that_is_wanted_and_its_older_rows_are_named(world):
    world.arrive("a.jsonl", ROWS[:5])
    world.arrive("b.jsonl", ROWS[5:7])
    assert world.run("--run_id=d1").code == 0
    world.arrive("a.jsonl", ROWS[:6])
    said = world.run("--run_id=d2", run__on_changed="reprocess")
    assert said.json["totals"]["rows_read"] == 6
    assert read_data_set(str(world.out))["superseded"] == [{"file": "a.jsonl", "run_id": "d1"}]


def test_file_that_may_still_be_written_to_is_left_for_the_next_time(world):
    world.arrive("a.jsonl", ROWS[:5], age=1000)
    world.arrive("b.jsonl", ROWS[5:9], age=10)
    said = world.run("--run_id=d1", run__min_age="5m")
    assert said.json["totals"]["rows_read"] == 5
    assert json.loads(Path(said.json["manifest"]).read_text())["generation"]["young"] == ["b.jsonl"]
    assert world.run("--run_id=d2", run__min_age="5m").json["notes"] == [
        "1 file seen in 1 generation, 1 file too young to be read"
    ]
    assert world.run("--run_id=d2", run__min_age="1s").json["totals"]["rows_read"] == 4


def test_file_that_may_still_be_written_to_is_not_looked_into(world):
    world.arrive("b.jsonl", ROWS[:5])
    half = world.begin("a.jsonl.gz")
    said = world.run("--run_id=d1", run__min_age="5m", read__keep=["label"])
    assert said.code == 0, said.err
    assert said.json["totals"]["rows_read"] == 5
    world.arrive("c.jsonl", ROWS[5:9])
    assert world.run("--run_id=d2", run__min_age="5m", read__keep=["label"]).json["totals"]["rows_read"] == 4
    os.utime(half, (1, 1))
    said = world.run("--run_id=d3", run__min_age="5m", read__keep=["label"])
    assert (said.code, half.name in said.err) == (2, True)


def test_run_that_is_committed_is_done_whatever_is_wrong_with_what_arrived(world):
    world.arrive("a.jsonl", ROWS[:5])
    assert world.run("--run_id=d1").code == 0
    world.begin("a.jsonl.gz", age=1000)
    assert world.run("--run_id=d1").json["status"] == "already done"
    assert world.run("--run_id=d2").code == 2


def test_inputs_that_were_all_taken_away_are_nothing_new(world):
    path = world.arrive("a.jsonl", ROWS[:5])
    assert world.run("--run_id=d1").code == 0
    path.unlink()
    said = world.run("--run_id=d2")
    assert (said.code, said.json["status"]) == (0, "nothing new")
    told = "no file matches read.files now, beside 1 generation with rows: is a disk not mounted?"
    assert said.json["notes"] == [told]
    assert world.run("--run_id=d1").json["status"] == "already done"
    assert oblong("doctor", *world.flags()).code == 0


def test_folder_that_is_gone_is_not_taken_for_an_empty_one(world):
    path = world.arrive("a.jsonl", ROWS[:5])
    assert world.run("--run_id=d1").code == 0
    path.unlink()
    path.parent.rmdir()
    said = world.run("--run_id=d2")
    assert said.code == 2
    assert "matches no file" in said.err


def test_first_generation_without_any_input_is_a_mistake(world):
    world.begin("a.text").unlink()
    said = world.run("--run_id=d1")
    assert said.code == 2
    assert "matches no file" in said.err


def test_half_of_a_file_that_was_read_and_then_grew_is_a_changed_file(world):
    world.arrive("a.jsonl", ROWS[:5])
    assert world.run("--run_id=d1").code == 0
    with (world.folder / "in" / "a.jsonl").open("a") as stream:
        stream.write(json.dumps(ROWS[5]) + "\n")
    assert "a.jsonl has changed" in world.run("--run_id=d2").err


def test_other_configuration_is_refused_with_both_fingerprints_and_the_way_out(world):
    world.arrive("a.jsonl", ROWS[:5])
    assert world.run("--run_id=d1").code == 0
    world.arrive("b.jsonl", ROWS[5:9])
    said = world.run("--run_id=d2", truncate__max_length=7)
    assert said.code == 2
    recipe = json.loads((world.out / "runs/d1/manifest.json").read_text())["recipe"]
    assert f"recipe {recipe[:16]} in run d1, this is " in said.err
    assert "give another write.path" in said.err


def test_all_generations_are_read_as_one_data_set(world):
    world.arrive("a.jsonl", ROWS[:20])
    world.run("--run_id=z-first")
    world.arrive("b.jsonl", ROWS[20:50])
    world.run("--run_id=a-second")
    manifest = read_data_set(str(world.out))
    assert [(one["number"], one["run_id"], one["rows"]) for one in manifest["generations"]] == [
        (1, "z-first", 20),
        (2, "a-second", 30),
    ]
    assert manifest["totals"]["rows_written"] == 50
    assert world.rows() == names(("a.jsonl", ROWS[:20]), ("b.jsonl", ROWS[20:50]))
    listed = oblong("runs", world.out, "--json").json["runs"]
    assert [(row["run_id"], row["generation"]) for row in listed] == [("z-first", 1), ("a-second", 2)]
    shown = oblong("inspect", world.out, "--rows=1")
    assert shown.out.startswith(f"2 generations of {world.out}")


def test_columns_keep_the_types_that_the_first_generation_found(world):
    world.arrive("a.jsonl", [{"text": "w1", "n": 1}])
    assert world.run("--run_id=d1", read__keep=["n"], run__max_dead_letters=1.0).code == 0
    world.arrive("b.jsonl", [{"text": "w2", "n": 2}, {"text": "w2", "n": 2.5}])
    said = world.run("--run_id=d2", read__keep=["n"], run__max_dead_letters=1.0)
    assert said.code == 0, said.err
    assert said.json["totals"]["dead_letters"] == {"wrong_type": 1}


def test_generation_belongs_to_the_run_that_takes_it_first(tmp_path):
    output, scratch = str(tmp_path / "out"), str(tmp_path / "out" / "s")
    take_turn(output, 1, "a", "attempt-1", scratch)
    take_turn(output, 1, "a", "attempt-2", scratch)  # another attempt at the same run ends what one began
    with pytest.raises(JobError, match=r"generation 1 of .* was taken meanwhile by run a; nothing is committed"):
        take_turn(output, 1, "b", "attempt-3", scratch)
    assert Path(turn_path(output, 1)).parent == Path(turns_folder(output))


def test_generation_that_was_taken_and_not_committed_is_for_its_own_run_or_for_gc(world):
    world.arrive("a.jsonl", ROWS[:5])
    take_turn(str(world.out), 1, "killed", "attempt-1", str(world.out / "s"))
    said = world.run("--run_id=other")
    assert said.code == 2
    assert "generation 1 of" in said.err
    assert "belongs to run killed, which is not committed" in said.err
    assert f"oblong gc {world.out} --older-than 0 --delete" in said.err
    assert not (world.out / "runs").exists()
    (world.out / "runs").mkdir()
    found = oblong("gc", world.out, "--older-than=0", "--json").json["leftovers"]
    assert [leftover["why"] for leftover in found] == ["a generation that was taken and not committed"]
    assert oblong("gc", world.out, "--older-than=0", "--delete").code == 0
    assert world.run("--run_id=other").json["status"] == "done"


def test_killed_run_takes_up_its_own_generation(world):
    world.arrive("a.jsonl", ROWS[:5])
    take_turn(str(world.out), 1, "d1", "attempt-1", str(world.out / "s"))
    assert world.run("--run_id=d1").json["status"] == "done"


def test_generations_are_never_cleared_up_as_older_runs(world):
    world.arrive("a.jsonl", ROWS[:5])
    world.run("--run_id=d1")
    world.arrive("b.jsonl", ROWS[5:9])
    world.run("--run_id=d2")
    before = contents(world.out)
    said = oblong("gc", world.out, "--keep-last=1", "--older-than=0", "--delete")
    assert said.code == 2
    assert "are generations of one data set" in said.err
    assert contents(world.out) == before
    assert oblong("gc", world.out, "--keep-last=2", "--older-than=0", "--json").json["leftovers"] == []


def test_force_would_have_rows_twice_and_is_refused(world):
    world.arrive("a.jsonl", ROWS[:5])
    said = world.run("--force")
    assert said.code == 2
    assert said.err.startswith("oblong: --force: with run.incremental the same inputs would be")


def test_root_has_to_be_given(world):
    world.arrive("a.jsonl", ROWS[:5])
    said = world.run(read__root=None)
    assert said.code == 2
    assert said.err.startswith("oblong: read.root: has to be given with run.incremental")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("run.on_changed", "ignore", "run.on_changed: 'ignore'"),
        ("run.min_age", "soon", "run.min_age: 'soon' is no age; write e.g. 7d, 12h or 0"),
    ],
)
def test_wrong_value_is_refused(world, key, value, said):
    world.arrive("a.jsonl", ROWS[:5])
    found = world.run(**{key.replace(".", "__"): value})
    assert found.code == 2
    assert found.err.startswith(f"oblong: {said}")


def test_totals_add_up_whatever_they_hold():
    assert add_totals([]) == {}
    assert add_totals([{"a": 1, "d": {"x": 1}}, {"a": 2, "d": {"y": 5}}]) == {"a": 3, "d": {"x": 1, "y": 5}}


def test_first_generation_with_nothing_to_read_writes_nothing(world):
    world.arrive("a.jsonl", ROWS[:5], age=0)
    said = world.run(run__min_age="1h")
    assert (said.code, said.json["status"]) == (0, "nothing new")
    assert not world.out.exists()


def test_data_set_of_one_format_is_arrow_readable(world):
    world.arrive("a.jsonl", ROWS[:5])
    world.run("--run_id=d1")
    manifest = read_data_set(str(world.out))
    tables = [pq.read_table(world.out / file["path"]) for file in manifest["files"]]
    assert pa.concat_tables(tables).num_rows == 5
