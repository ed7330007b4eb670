"""What a job may not read, list or write: each ends in one line with its name, and no row is left out in silence."""

from pathlib import Path

import pytest

from tests.runs import oblong, some_rows, write_jsonl, write_tokenizer

DENIED = "Permission denied"

# name, what is closed and how far, settings, exit code, what the one line says
CLOSED = [
    ("an input", "in/a.jsonl", 0o000, (), 2, "read.files: {w}/in/a.jsonl cannot be read: "),
    ("an input of which no type is asked", "in/b.jsonl", 0o000, (), 1, "read.files: {w}/in/b.jsonl cannot be read: "),
    ("a folder of inputs", "in/deep", 0o000, (), 2, "read.files: {w}/in/deep cannot be looked at: "),
    ("a folder that is listed and no more", "in/deep", 0o400, (), 2, "read.files: {w}/in/deep/c.jsonl cannot be "),
    ("a folder that is matched", "in/deep", 0o000, ("--input={w}/in/d*/*",), 2, "{w}/in/deep cannot be looked at: "),
    ("the folder of one input", "in/deep", 0o000, ("--input={w}/in/deep/c.jsonl",), 2, "c.jsonl cannot be looked at: "),
    ("the tokenizer", "tok/tokenizer.json", 0o000, (), 2, "tokenize.tokenizer: "),
    ("the tokenizer's folder", "tok", 0o000, (), 2, "tokenize.tokenizer: "),
    ("the tokenizer's settings", "tok/tokenizer_config.json", 0o000, (), 2, "tokenize.tokenizer: "),
    ("the configuration", "job.yaml", 0o000, (), 2, "--config: "),
    ("the configuration's folder", "conf", 0o000, ("--config={w}/conf/job.yaml",), 2, "--config: "),
    ("the output", "free", 0o500, ("--output={w}/free/out",), 2, "write.path: {w}/free/out cannot be written: Permi"),
    ("somebody's runs", "out/runs", 0o500, (), 2, "write.path: {w}/out cannot be written: Permission denied; give"),
    ("somebody's run", "out/runs/x", 0o500, ("--run_id=x",), 2, "write.path: {w}/out cannot be written: Permission"),
    ("a run that nobody looks into", "out/runs/x", 0o000, ("--run_id=x",), 1, "{w}/out/runs/x/manifest.json cannot be"),
    ("the folder of spills", "free", 0o500, ("--set=run.spill_dir={w}/free",), 1, "run.spill_dir: {w}/free/oblong-"),
]  # fmt: skip


@pytest.mark.parametrize("case", CLOSED, ids=[case[0] for case in CLOSED])
def test_what_is_closed_ends_the_job_in_one_line_with_its_name(plain_user, tmp_path, case):
    _, closed, mode, more, code, said = case
    for name in ("a", "b", "deep/c"):
        write_jsonl(tmp_path / f"in/{name}.jsonl", some_rows(3))
    write_tokenizer(tmp_path / "tok")
    for folder in ("out/runs/x", "free", "conf"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "job.yaml").write_text("run: {seed: 1}\n")
    (tmp_path / closed).chmod(mode)
    try:
        short = ("--config={w}/job.yaml", "--input={w}/in/**", "--tokenizer={w}/tok", "--output={w}/out", *more)
        if any(flag.startswith("--input") for flag in more):
            short = tuple(flag for flag in short if flag != "--input={w}/in/**")
        ran = plain_user.run("run", "--json", "--set=read.keep=[label]", *(f.format(w=tmp_path) for f in short))
    finally:
        (tmp_path / closed).chmod(0o700)
    assert ran.code == code, ran
    assert ran.err.count("\n") == 1
    assert said.format(w=tmp_path) in ran.err
    assert DENIED in ran.err
    assert not list(tmp_path.glob("out/runs/*/manifest.json"))


def test_folder_that_holds_nothing_the_pattern_matches_may_be_closed(plain_user, tmp_path):
    write_jsonl(tmp_path / "in/a/rows.jsonl", some_rows(3))
    (tmp_path / "in/lost+found").mkdir(mode=0o000)
    short = ("--tokenizer", write_tokenizer(tmp_path / "tok"), "--output", tmp_path / "out", "--json")
    ran = plain_user.run("run", "--input", tmp_path / "in/a*/*.jsonl", *short)
    assert ran.code == 0, ran.err
    assert (
        "in/lost+found cannot be looked at" in plain_user.run("run", "--input", tmp_path / "in/*/*.jsonl", *short).err
    )


def test_disk_that_can_only_be_read_is_told(disks, tmp_path):
    source, tokenizer = write_jsonl(tmp_path / "a.jsonl", some_rows(3)), write_tokenizer(tmp_path / "tok")
    disk = tmp_path / "disk"
    disks.ask("mount", disk, "size=1m,ro")
    ran = disks.run("run", "--input", source, "--tokenizer", tokenizer, "--output", disk / "out")
    disks.ask("umount", disk)
    assert (ran.code, ran.err) == (
        2,
        f"oblong: write.path: {disk}/out cannot be written: Read-only file system; name another place, or have its "
        "disk mounted to be written to\n",
    )


def test_folder_that_cannot_be_removed_is_told_by_gc(plain_user, tmp_path):
    source, tokenizer = write_jsonl(tmp_path / "a.jsonl", some_rows(3)), write_tokenizer(tmp_path / "tok")
    assert oblong("run", "--input", source, "--tokenizer", tokenizer, "--output", tmp_path / "out").code == 0
    left = Path(tmp_path, "out/runs/left/attempt-20200101T000000Z-00000000")
    left.mkdir(parents=True)
    (left / "part").touch()
    left.chmod(0o500)
    ran = plain_user.run("gc", tmp_path / "out", "--older-than=0", "--delete")
    left.chmod(0o700)
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert (
        f"{left.parent} cannot be removed: Permission denied; give the user who runs the job the right to it" in ran.err
    )
