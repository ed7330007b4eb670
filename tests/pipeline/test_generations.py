import json
import os
import time
from pathlib import Path

import pytest

from pipeline.generations import delete, find_leftovers, list_runs, note_spills, remove_spills
from tests.runs import contents, oblong, reseal

DAY = 86400


def age(folder, seconds):
    """Makes a folder look as if nothing had touched it for a while."""
    then = time.time() - seconds
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (then, then))


@pytest.fixture
def output(pairs, tmp_path):
    """A data set of three runs, leftovers of all kinds, and a run that is damaged."""
    out = tmp_path / "out"
    for number, name in enumerate(["b", "a", "c"]):
        run = pairs.copy(out / "runs" / name)
        reseal(run.folder, lambda m, n=name, i=number: m.update(run_id=n, created=f"2026-01-0{i + 1}T00:00:00Z"))
    for leftover in ("a/attempt-old/train/x.parquet", "a/attempt-older.tmp/0f", "gone/attempt-x/tokenizer/t.json"):
        path = out / "runs" / leftover
        path.parent.mkdir(parents=True)
        path.write_bytes(b"12345")
    damaged = pairs.copy(out / "runs" / "damaged")
    (damaged.folder / "manifest.json").write_text("{")
    (damaged.folder / "attempt-stray").mkdir()
    (out / "runs" / "notes.txt").write_text("a file is no run")
    age(out / "runs", 10 * DAY)
    return out


LEFT = [
    ("runs/a/attempt-old", "an attempt that was not committed", 5),
    ("runs/a/attempt-older.tmp", "an attempt that was not committed", 5),
    ("runs/gone", "no attempt at it was committed", 5),
]


def spelled(output, found):
    return [(Path(one.path).relative_to(output).as_posix(), one.why, one.bytes) for one in found]


def test_runs_are_listed_the_oldest_first(output, pairs):
    rows = list_runs(str(output))
    states = [(row["run_id"], row["status"], row["created"] is None) for row in rows]
    assert states == [
        ("b", "committed", False),
        ("a", "committed", False),
        ("c", "committed", False),
        ("damaged", "damaged", True),
        ("gone", "unfinished", True),
    ]
    totals = pairs.manifest["totals"]
    size = sum(file["bytes"] for file in pairs.manifest["files"])
    assert [(row["rows"], row["tokens"], row["bytes"]) for row in rows[:3]] == [
        (totals["rows_written"], totals["tokens"], size)
    ] * 3
    assert [row["rows"] for row in rows[3:]] == [None, None]
    assert rows[0]["folder"] == f"{output}/runs/b"


def test_table_of_runs(output):
    said = oblong("runs", output)
    assert (said.code, said.err) == (0, "")
    lines = [line.split() for line in said.out.splitlines()]
    assert lines[0] == ["run_id", "status", "created", "generation", "rows", "tokens", "bytes"]
    assert lines[1][:5] == ["b", "committed", "2026-01-01T00:00:00Z", "-", "150"]
    assert lines[5] == ["gone", "unfinished", "-", "-", "-", "-", "-"]


def test_leftovers_are_what_no_manifest_names(output):
    assert spelled(output, find_leftovers(str(output), 7 * DAY)) == LEFT


def test_folder_with_a_newer_file_is_left_alone(output):
    age(output / "runs" / "gone", 2 * DAY)
    (output / "runs" / "a" / "attempt-old" / "train" / "y").write_bytes(b"")
    assert spelled(output, find_leftovers(str(output), 7 * DAY)) == LEFT[1:2]
    assert spelled(output, find_leftovers(str(output), 1 * DAY)) == LEFT[1:]
    assert spelled(output, find_leftovers(str(output), 0)) == LEFT[:1] + LEFT[1:]


@pytest.mark.parametrize(("keep", "gone"), [(None, []), (5, []), (3, []), (2, ["b"]), (1, ["a", "b"])])
def test_older_runs_than_the_last_kept_are_to_go(output, keep, gone):
    found = find_leftovers(str(output), 7 * DAY, keep)
    whole = [Path(one.path).name for one in found if one.why == "committed, but not among the last kept"]
    assert sorted(whole) == gone


def test_runs_kept_go_by_their_age_and_not_by_their_name(output):
    found = find_leftovers(str(output), 0, 1)
    assert not any(one.path.endswith("/c") for one in found)


def test_nothing_is_removed_unless_asked(output):
    before = contents(output)
    said = oblong("gc", output)
    assert said.code == 0
    assert said.out.splitlines()[-1] == "3 folders, 15 bytes to be removed with --delete"
    assert contents(output) == before


def test_removing_never_touches_what_a_kept_manifest_names(output):
    kept = {name: data for name, data in contents(output).items() if "attempt-old" not in name and "gone" not in name}
    said = oblong("gc", output, "--delete", "--json")
    assert said.json["deleted"] is True
    assert [one["path"] for one in said.json["leftovers"]] == [f"{output}/{path}" for path, _, _ in LEFT]
    assert contents(output) == kept
    assert all(oblong("verify", output / "runs" / name).code == 0 for name in "abc")
    assert oblong("gc", output, "--older-than=0", "--json").json["leftovers"] == []


def test_removing_old_runs_leaves_the_last(output):
    assert oblong("gc", output, "--keep-last=1", "--delete").code == 0
    assert [row["run_id"] for row in list_runs(str(output))] == ["c", "damaged"]
    assert oblong("verify", output / "runs" / "c").code == 0


def test_age_of_now_is_the_users_word(output):
    (output / "runs" / "gone" / "new").write_text("")
    assert oblong("gc", output, "--older-than=0", "--json").json["leftovers"][-1]["path"] == f"{output}/runs/gone"


def test_folder_that_is_gone_meanwhile_is_no_error(output):
    found = find_leftovers(str(output), 0)
    delete(found)
    delete(found)


def test_empty_data_set_has_no_runs(tmp_path):
    (tmp_path / "runs").mkdir()
    assert list_runs(str(tmp_path)) == []
    assert find_leftovers(str(tmp_path), 0, 1) == []
    assert oblong("gc", tmp_path).out.splitlines()[-1] == "0 folders, 0 bytes to be removed with --delete"


def test_rows_spilled_elsewhere_by_a_killed_attempt_are_found_and_nothing_that_is_not_its_own(tmp_path):
    scratch = tmp_path / "out" / "runs" / "r" / "attempt-1.tmp"
    spills, other = tmp_path / "fast" / "oblong-r-attempt-1", tmp_path / "fast" / "mine"
    for folder in (spills, other):
        folder.mkdir(parents=True)
        (folder / "a.arrow").write_bytes(b"x" * 10)
    note_spills(str(scratch), str(spills))
    found = find_leftovers(str(tmp_path / "out"), 0)
    assert [(one.path, one.why) for one in found] == [
        (str(spills), "rows spilled by an attempt that was not committed"),
        (str(scratch.parent), "no attempt at it was committed"),
    ]
    note_spills(str(scratch), str(other))
    assert [one.path for one in find_leftovers(str(tmp_path / "out"), 0)] == [str(scratch.parent)]
    note_spills(str(scratch), str(spills))
    delete(find_leftovers(str(tmp_path / "out"), 0))
    assert not spills.exists()
    assert other.exists()


def test_rows_spilled_elsewhere_are_found_beside_the_commit_too_and_from_any_folder(output, tmp_path, monkeypatch):
    """The attempt was committed and killed before it had cleared up; its spills were given as a relative path."""
    kept = json.loads((output / "runs" / "a" / "manifest.json").read_text())["attempt"]
    spills = tmp_path / "fast" / f"oblong-a-{kept}"
    spills.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    note_spills(str(output / "runs" / "a" / f"{kept}.tmp"), f"fast/{spills.name}")
    monkeypatch.chdir(output)
    assert str(spills) in [one.path for one in find_leftovers(str(output), 0)]


def test_spills_are_removed_where_the_attempt_has_noted_them(tmp_path):
    spills, scratch = tmp_path / "fast" / "oblong-r-attempt-1", tmp_path / "out" / "runs" / "r" / "attempt-1.tmp"
    spills.mkdir(parents=True)
    remove_spills(str(scratch))
    assert spills.exists()
    note_spills(str(scratch), str(spills))
    remove_spills(str(scratch))
    assert not spills.exists()
    assert scratch.exists()


def test_what_belongs_to_an_attempt_is_in_use_while_any_of_it_is(output):
    """An attempt writes shards for days beside the list of its inputs, which it wrote when it began."""
    attempt = output / "runs" / "a" / "attempt-new"
    scratch = output / "runs" / "a" / "attempt-new.tmp"
    for folder, age in ((attempt, 10), (scratch, 100 * 86400)):
        folder.mkdir()
        (folder / "file").write_text("x")
        for path in (folder / "file", folder):
            os.utime(path, (time.time() - age,) * 2)
    assert not any("attempt-new" in one.path for one in find_leftovers(str(output), 86400))
    os.utime(attempt / "file", (time.time() - 2 * 86400,) * 2)
    os.utime(attempt, (time.time() - 2 * 86400,) * 2)
    assert {one.path for one in find_leftovers(str(output), 86400)} >= {str(attempt), str(scratch)}
