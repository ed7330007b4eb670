"""Disks that are full at every step: one line that says so, nothing is committed, and room is all it takes."""

import gzip
import json

import pytest

from tests.runs import some_rows, words, write_jsonl, write_tokenizer

FULL = "No space left on device; make room on its disk (df; df -i where files are too many), or name another place"


@pytest.fixture(scope="module")
def world(disks, tmp_path_factory):
    """A job of a hundred rows and one of thousands, without the place of their output; and what they make of it."""
    folder = tmp_path_factory.mktemp("world")
    write_jsonl(folder / "small/a.jsonl", [*some_rows(100), "no json"])
    write_jsonl(folder / "small/b.jsonl", some_rows(100, 1))
    # A compressed text is reckoned as fourfold: this one is more.
    rows = "".join(json.dumps({"text": words(30, i % 7)}) + "\n" for i in range(2_000))
    (folder / "packed").mkdir()
    (folder / "packed/a.jsonl.gz").write_bytes(gzip.compress(rows.encode()))
    tokenizer = write_tokenizer(folder / "tok")

    def job(inputs, *more):
        short = ("run", "--input", folder / inputs / "*", "--tokenizer", tokenizer, "--json")
        return (*short, "--set=run.max_dead_letters=1", *more)

    job.folder = folder
    return job


def clean(disks, world, job):
    """What a job makes where there is room."""
    output = world.folder / "clean"
    assert disks.run(*job, "--output", output, "--force").code == 0
    made = disks.ask("committed", output)
    disks.ask("remove", output)
    return made


def fails_then_works(disks, job, expected, disk, output, sizes, said):
    """Runs a job on larger and larger disks until it works, and makes room on each sixth; gives how often it failed."""
    for tries, size in enumerate(sizes):
        disks.ask("mount", disk, f"size={size}")
        ran = disks.run(*job, "--output", output)
        made = disks.ask("committed", output)
        if ran.code == 0:
            assert made == expected
            disks.ask("umount", disk)
            return tries
        assert made is None
        assert ran.code in (1, 2), ran
        assert "Traceback" not in ran.err
        assert any(words in ran.err.splitlines()[-1] for words in said), ran.err
        assert str(disk) in ran.err.splitlines()[-1]
        if tries % 6 == 0:
            disks.ask("mount", disk, "remount,size=64m,nr_inodes=9999")
            again = disks.run(*job, "--output", output)
            assert again.code == 0, again.err
            assert disks.ask("committed", output) == expected
        disks.ask("umount", disk)
        disks.ask("remove", output)
    raise AssertionError("the disks are all too small")


@pytest.mark.parametrize("shuffle", ["files", "none"])
def test_output_on_a_full_disk_is_told_at_every_step_and_lacks_nothing_but_room(disks, world, tmp_path, often, shuffle):
    job = world("small", f"--set=run.shuffle={shuffle}", "--set=write.formats=[parquet, tfrecord]")
    expected, disk, step = clean(disks, world, job), tmp_path / "disk", 4 if often > 1 else 36
    sizes = (f"{kilobytes}k" for kilobytes in range(8, 2_000, step))
    failed = fails_then_works(disks, job, expected, disk, disk / "out", sizes, (FULL, "name a folder on another disk"))
    assert failed >= 2


def test_full_disk_of_spills_is_told_with_its_option(disks, world, tmp_path, often):
    disk, output = tmp_path / "disk", tmp_path / "out"
    job = world("packed", f"--set=run.spill_dir={disk}", "--set=run.shuffle=files")
    few = ("60k", "200k", "4m")
    sizes = (f"{kilobytes}k" for kilobytes in range(40, 2_000, 20)) if often > 1 else few
    expected = clean(disks, world, world("packed"))
    failed = fails_then_works(disks, job, expected, disk, output, sizes, (f"run.spill_dir: {disk}",))
    assert failed >= 2


def test_full_disk_is_told_in_one_line_by_worker_processes_too(disks, world, tmp_path):
    disk = tmp_path / "disk"
    disks.ask("mount", disk, "size=60k")
    job = (*world("packed", f"--set=run.spill_dir={disk}"), "--direct_running_mode=multi_processing")
    ran = disks.run(*job, "--output", tmp_path / "out", "--direct_num_workers=2")
    disks.ask("umount", disk)
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert ran.err.startswith(f"oblong: run.spill_dir: {disk}/oblong-")
    assert ran.err.strip().endswith(FULL)
    assert disks.ask("committed", tmp_path / "out") is None


def test_full_disk_of_temporary_files_leaves_a_run_whole_or_none(disks, world, tmp_path):
    disk, job = tmp_path / "disk", world("small")
    expected = clean(disks, world, job)
    workers = "--direct_running_mode=multi_processing", "--direct_num_workers=1"
    disks.ask("mount", disk, "size=4k")  # room for nothing but empty folders
    assert disks.run(*job, "--output", tmp_path / "done", *workers, tmp=disk).code == 0
    assert disks.ask("committed", tmp_path / "done") == expected
    disks.ask("umount", disk)
    disks.ask("mount", disk, "nr_inodes=1")  # not even for those
    ran = disks.run(*job, "--output", tmp_path / "none", tmp=disk)
    disks.ask("umount", disk)
    assert (ran.code, ran.err) == (1, f"oblong: TMPDIR: {disk} cannot be written: {FULL}\n")
    assert disks.ask("committed", tmp_path / "none") is None


def test_disk_without_room_for_one_more_file_is_told_like_one_without_room_for_bytes(disks, world, tmp_path, often):
    disk, job = tmp_path / "disk", world("small")
    sizes = (f"1g,nr_inodes={inodes}" for inodes in range(2, 60, 4 if often > 1 else 9))
    failed = fails_then_works(disks, job, clean(disks, world, job), disk, disk / "out", sizes, (FULL,))
    assert failed >= 2


def test_limit_on_the_size_of_files_is_told(disks, world, tmp_path):
    job = world("packed", "--set=write.formats=tfrecord", "--set=run.shuffle=none")
    ran = disks.run(*job, "--output", tmp_path / "out", largest=50_000)
    assert ran.code == 1
    assert ran.err.splitlines()[-1].endswith(
        ".tfrecord cannot be written: File too large; raise the limit on a file's size (ulimit -f), or write more and "
        "smaller files"
    )
    assert disks.ask("committed", tmp_path / "out") is None
    assert disks.run(*job, "--output", tmp_path / "out").code == 0
