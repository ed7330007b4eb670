import os
import shutil
import time
from pathlib import Path

import pytest

from pipeline.generations import list_runs, read_run
from pipeline.leftovers import find_leftovers, note_spills, remove
from tests.pipeline.conftest import DAY, age
from tests.runs import contents, oblong

LEFT = [
    ("runs/a/attempt-old", "an attempt that was not committed", 5),
    ("runs/a/attempt-older.tmp", "an attempt that was not committed", 5),
    ("runs/gone", "no attempt at it was committed", 5),
]


def found_in(output, older_than, keep_last=None):
    return list(find_leftovers(str(output), older_than, keep_last))


def spelled(output, found):
    return [(Path(one.path).relative_to(output).as_posix(), one.why, one.bytes) for one in found]


def test_leftovers_are_what_no_manifest_names(output):
    assert spelled(output, found_in(output, 7 * DAY)) == LEFT


def test_folder_with_a_newer_file_is_left_alone(output):
    age(output / "runs" / "gone", 2 * DAY)
    (output / "runs" / "a" / "attempt-old" / "train" / "y").write_bytes(b"")
    assert spelled(output, found_in(output, 7 * DAY)) == LEFT[1:2]
    assert spelled(output, found_in(output, 1 * DAY)) == LEFT[1:]
    assert spelled(output, found_in(output, 0)) == LEFT[:1] + LEFT[1:]


@pytest.mark.parametrize(("keep", "gone"), [(None, []), (5, []), (3, []), (2, ["b"]), (1, ["a", "b"])])
def test_older_runs_than_the_last_kept_are_to_go(output, keep, gone):
    found = found_in(output, 7 * DAY, keep)
    whole = [Path(one.path).name for one in found if one.why == "committed, but not among the last kept"]
    assert sorted(whole) == gone


def test_runs_kept_go_by_their_age_and_not_by_their_name(output):
    found = found_in(output, 0, 1)
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
    found = found_in(output, 0)
    for leftover in (*found, *found):
        remove(leftover)
    assert found_in(output, 0) == []


def test_rows_spilled_elsewhere_by_a_killed_attempt_are_found_and_nothing_that_is_not_its_own(tmp_path):
    scratch = tmp_path / "out" / "runs" / "r" / "attempt-1.tmp"
    spills, other = tmp_path / "fast" / "oblong-r-attempt-1", tmp_path / "fast" / "mine"
    for folder in (spills, other):
        folder.mkdir(parents=True)
        (folder / "a.arrow").write_bytes(b"x" * 10)
    note_spills(str(scratch), str(spills))
    found = found_in(tmp_path / "out", 0)
    assert [(one.path, one.why) for one in found] == [
        (str(spills), "rows spilled by an attempt that was not committed"),
        (str(scratch.parent), "no attempt at it was committed"),
    ]
    note_spills(str(scratch), str(other))
    assert [one.path for one in found_in(tmp_path / "out", 0)] == [str(scratch.parent)]
    note_spills(str(scratch), str(spills))
    for leftover in find_leftovers(str(tmp_path / "out"), 0):
        remove(leftover)
    assert not spills.exists()
    assert other.exists()


def test_rows_spilled_elsewhere_by_a_run_that_was_killed_just_after_its_manifest_are_found(output, tmp_path):
    kept = next((output / "runs" / "b").glob("attempt-*"))
    spills = tmp_path / "fast" / f"oblong-b-{kept.name}"
    spills.mkdir(parents=True)
    note_spills(f"{kept}.tmp", str(spills))
    found = [one.path for one in find_leftovers(str(output), 0) if "/b" in one.path or "fast" in one.path]
    assert found == [str(spills), f"{kept}.tmp"]


def test_spills_that_were_given_by_a_relative_path_are_found_from_any_folder(output, tmp_path, monkeypatch):
    spills = tmp_path / "fast" / "oblong-gone-attempt-x"
    spills.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    note_spills(f"{output}/runs/gone/attempt-x.tmp", f"fast/{spills.name}")
    monkeypatch.chdir(output)
    assert str(spills) in [one.path for one in found_in(output, 0)]


def test_what_is_no_attempt_is_not_ours_to_remove(output):
    for own in ("runs/a/plots", "runs/gone/plots"):
        (output / own).mkdir()
    found = [name for name, _, _ in spelled(output, found_in(output, 0))]
    assert found == ["runs/a/attempt-old", "runs/a/attempt-older.tmp", "runs/gone/attempt-x"]


def test_run_is_judged_when_it_is_come_to(output):
    """Removing takes its time, in which an attempt may go on, or be committed."""
    found = find_leftovers(str(output), 7 * DAY)
    assert Path(next(found).path).name == "attempt-old"
    (output / "runs" / "gone" / "attempt-x" / "tokenizer" / "more").write_bytes(b"")
    assert [Path(one.path).name for one in found] == ["attempt-older.tmp"]
    found = find_leftovers(str(output), 0)
    assert Path(next(found).path).name == "attempt-old"
    run = read_run(f"{output}/runs/b")
    (output / "runs" / "gone" / "attempt-x").rename(output / "runs" / "gone" / run.manifest["attempt"])
    shutil.copy(output / "runs" / "b" / "manifest.json", output / "runs" / "gone" / "manifest.json")
    assert [Path(one.path).name for one in found] == ["attempt-older.tmp"]


def test_what_belongs_to_an_attempt_is_in_use_while_any_of_it_is(output):
    """An attempt writes shards for days beside the list of its inputs, which it wrote when it began."""
    attempt = output / "runs" / "a" / "attempt-new"
    scratch = output / "runs" / "a" / "attempt-new.tmp"
    for folder, seconds in ((attempt, 10), (scratch, 100 * 86400)):
        folder.mkdir()
        (folder / "file").write_text("x")
        for path in (folder / "file", folder):
            os.utime(path, (time.time() - seconds,) * 2)
    assert not any("attempt-new" in one.path for one in found_in(output, 86400))
    os.utime(attempt / "file", (time.time() - 2 * 86400,) * 2)
    os.utime(attempt, (time.time() - 2 * 86400,) * 2)
    assert {one.path for one in found_in(output, 86400)} >= {str(attempt), str(scratch)}


def test_data_set_without_leftovers(tmp_path):
    (tmp_path / "runs").mkdir()
    assert found_in(tmp_path, 0, 1) == []
    assert oblong("gc", tmp_path).out.splitlines()[-1] == "0 folders, 0 bytes to be removed with --delete"


def test_run_with_a_name_like_a_files_is_removed_as_any_other(output):
    (output / "runs" / "gone").rename(output / "runs" / "gone.json")
    assert oblong("gc", output, "--older-than=0", "--delete").code == 0
    assert not (output / "runs" / "gone.json").exists()


def test_files_beside_the_generations_are_left_alone(output):
    theirs = ["README.txt", "x.json", "000001.json.bak", "notes/000001.json"]
    for name in (*theirs, "000007.json"):
        (output / "generations" / name).parent.mkdir(parents=True, exist_ok=True)
        (output / "generations" / name).write_text("{}")
    assert oblong("gc", output, "--older-than=0", "--delete").code == 0
    assert sorted(contents(output / "generations")) == sorted(theirs)
