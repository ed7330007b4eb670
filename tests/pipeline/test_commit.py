import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.commit import Commit, add_counts, check_dead_letters
from pipeline.manifest import read_manifest
from tests.runs import contents
from transforms.arrays.errors import JobError

COUNTS = {"rows_read": 4, "rows_with_output": 3, "dead_letters.bad_json": 1}
LETTERS = [{"path": "dead_letters/part-00000-of-00001.jsonl", "rows": 1, "bytes": 2, "crc32c": "00000000"}]


@pytest.fixture
def commit(tmp_path):
    """Commits an attempt at a run, whose files are on disk."""

    def start(
        attempt="attempt-1", fingerprint="f", counts=COUNTS, size=3, limit=0.5, run="run", generation=None, **more
    ):
        folder = tmp_path / run
        for path, data in (
            ("train/b/x.parquet", b"abc"),
            ("train/a/y.parquet", b"abc"),
            (LETTERS[0]["path"], b"{}"),
            ("tokenizer/tokenizer.json", b"{}"),
        ):
            (folder / attempt / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / attempt / path).write_bytes(data)
        shards = [
            {"files": [{"path": "train/b/x.parquet", "bytes": size}], "counts": {"rows_written": 2, "tokens": 5}},
            {"files": [{"path": "train/a/y.parquet", "bytes": 3}], "counts": {"rows_written": 1, "tokens": 6}},
        ]
        if "without" in more:
            (folder / attempt / more["without"]).unlink()
        job = SimpleNamespace(
            run_folder=str(folder),
            attempt=attempt,
            attempt_folder=f"{folder}/{attempt}",
            fingerprint=fingerprint,
            recipe="recipe",
            scratch_folder=f"{folder}/{attempt}.tmp",
            config=SimpleNamespace(
                run=SimpleNamespace(max_dead_letters=limit), write=SimpleNamespace(path=str(tmp_path))
            ),
        )
        described = {"run_id": run, "attempt": attempt, "fingerprint": fingerprint}
        described["tokenizer"] = {"path": f"{attempt}/tokenizer", "sha256": "0", "config_sha256": None}
        described |= {"generation": generation, "recipe": "recipe"}
        known = Path(job.scratch_folder, "described.json")
        known.parent.mkdir(exist_ok=True)
        known.write_text(json.dumps(described))
        return list(Commit(str(known), job, more.get("spills")).process(None, counts, shards, LETTERS))

    return start


def test_manifest_names_files_from_the_runs_folder_in_order(commit, tmp_path):
    (manifest,) = commit()
    assert manifest == read_manifest(str(tmp_path / "run"))
    assert [file["path"] for file in manifest["files"]] == [
        "attempt-1/train/a/y.parquet",
        "attempt-1/train/b/x.parquet",
    ]
    assert manifest["dead_letters"] == [{**LETTERS[0], "path": f"attempt-1/{LETTERS[0]['path']}"}]
    assert (manifest["format_version"], manifest["totals"]["tokens"], manifest["totals"]["rows_written"]) == (1, 11, 3)
    assert not (tmp_path / "run" / "attempt-1.tmp").exists()


def test_own_manifest_is_success(commit, tmp_path):
    first = commit()
    before = contents(tmp_path / "run" / "attempt-1"), (tmp_path / "run" / "manifest.json").read_bytes()
    assert commit() == first
    assert (contents(tmp_path / "run" / "attempt-1"), (tmp_path / "run" / "manifest.json").read_bytes()) == before


def test_second_try_of_a_commit_needs_nothing_of_what_was_cleared_up(commit, tmp_path):
    first = commit()
    assert not (tmp_path / "run" / "attempt-1.tmp").exists()
    job = SimpleNamespace(
        run_folder=str(tmp_path / "run"),
        attempt="attempt-1",
        fingerprint="f",
        recipe="recipe",
        scratch_folder=f"{tmp_path}/run/attempt-1.tmp",
        config=SimpleNamespace(run=SimpleNamespace(max_dead_letters=0), write=SimpleNamespace(path="")),
    )
    assert list(Commit(f"{tmp_path}/run/attempt-1.tmp/described.json", job).process(None, {}, [], [])) == first


def test_other_attempt_at_the_same_has_lost_quietly(commit, tmp_path):
    (first,) = commit()
    (found,) = commit("attempt-2")
    assert found == first
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["attempt"] == "attempt-1"


def test_second_try_of_the_attempt_that_has_lost_loses_quietly_too(commit, tmp_path):
    (first,) = commit()
    assert commit("attempt-2") == [first]
    assert not (tmp_path / "run" / "attempt-2.tmp").exists()
    assert commit("attempt-2") == [first]


def test_attempt_at_something_else_fails(commit, tmp_path):
    (first,) = commit()
    with pytest.raises(JobError, match=r"manifest.json was committed meanwhile by a run with another configuration"):
        commit("attempt-2", "g")
    assert read_manifest(str(tmp_path / "run")) == first


def test_file_that_is_not_there_with_its_size_is_not_committed(commit, tmp_path):
    with pytest.raises(JobError, match=r"x.parquet was written with 4 bytes and has 3; nothing is committed"):
        commit(size=4)
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_rows_that_were_lost_are_not_committed(commit, tmp_path):
    with pytest.raises(JobError, match="rows were lost"):
        commit(counts=COUNTS | {"rows_read": 5})
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_limit_is_judged_at_the_end_too(commit, tmp_path):
    with pytest.raises(
        JobError, match=r"too many dead letters: 1 of 4 rows \(bad_json 1\), more than .* 0.2; .*/dead_letters"
    ):
        commit(limit=0.2)
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_generation_that_another_run_has_taken_is_not_committed_twice(commit, tmp_path):
    commit(generation={"number": 3})
    with pytest.raises(JobError, match=r"generation 3 of .* was taken meanwhile by run run; nothing is committed"):
        commit("attempt-2", run="other", generation={"number": 3})
    assert not (tmp_path / "other" / "manifest.json").exists()
    commit("attempt-3", run="other", generation={"number": 4})
    assert (tmp_path / "other" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("read", "letters", "limit", "passes"),
    [
        (0, 0, 0.0, True),
        (10, 0, 0.0, True),
        (10, 1, 0.1, True),
        (10, 1, 0.0, False),
        (10, 2, 0.1, False),
        (5, 5, 1.0, True),
    ],
)
def test_share_of_dead_letters_at_the_limit_passes(read, letters, limit, passes):
    counts = {"rows_read": read} | ({"dead_letters.unfit": letters} if letters else {})
    if passes:
        assert check_dead_letters(counts, limit, "f") == counts
    else:
        with pytest.raises(JobError, match=f"{letters} of {read} rows .unfit {letters}.*; see f/dead_letters$"):
            check_dead_letters(counts, limit, "f")


def test_reasons_are_named_the_most_frequent_first():
    counts = {"rows_read": 9, "dead_letters.unfit": 1, "dead_letters.bad_json": 4}
    with pytest.raises(JobError, match=r"5 of 9 rows \(bad_json 4, unfit 1\)"):
        check_dead_letters(counts, 0.1, "f")


def test_counts_add_up_by_name():
    assert add_counts([]) == {}
    assert add_counts(iter([{"a": 1}, {"b": 2, "a": 3}, {}])) == {"a": 4, "b": 2}


def test_spills_are_cleared_up_before_the_note_that_names_them(commit, tmp_path):
    spills = tmp_path / "fast" / "oblong-run-attempt-1"
    spills.mkdir(parents=True)
    commit(spills=str(spills))
    assert not spills.exists()
    assert not (tmp_path / "run" / "attempt-1.tmp").exists()


def test_attempt_of_which_somebody_removed_a_file_is_not_committed(commit, tmp_path):
    """As `oblong gc --older-than 0` does while the job runs."""
    with pytest.raises(JobError, match=r"attempt-1/train/b/x\.parquet was written with 3 bytes and has None"):
        commit(without="train/b/x.parquet")
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_attempt_of_which_somebody_removed_the_tokenizer_is_not_committed(commit, tmp_path):
    with pytest.raises(JobError, match=r"attempt-1/tokenizer/tokenizer\.json was written and is gone"):
        commit(without="tokenizer/tokenizer.json")
    assert not (tmp_path / "run" / "manifest.json").exists()
