"""The command: what it takes, what it prints, and how it exits."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.cli import LATER, _answer_or_stop, main, make_parser
from pipeline.signals import Stop
from tests.runs import contents, oblong, write_jsonl, write_tokenizer

COMMANDS = ("run", "verify", "inspect", "runs", "gc", "demo")


# Arguments behind `oblong run --input a.jsonl --tokenizer tok --output out`, and what the one line says.
# A later --tokenizer or --output wins; an --input stands in place of the one here.
MISTAKES = {
    "unknown key": (
        ["--set=truncate.max_lenght=9"],
        "truncate.max_lenght: there is no such key; did you mean max_length?",
    ),
    "unknown key in the file": (
        ["--config={w}/config.yaml"],
        "truncate.max_lenght: there is no such key; did you mean",
    ),
    "unknown section": (["--set=trunkate.side=left"], "trunkate: there is no such section; did you mean truncate?"),
    "file of no sections": (["--config={w}/list.yaml"], "--config: {w}/list.yaml holds a list"),
    "no such file": (["--config={w}/none.yaml"], "--config: there is no file {w}/none.yaml"),
    "no value": (["--set=truncate.stride"], "--set: 'truncate.stride' has no value"),
    "unknown option": (["--nmu_workers=2"], "--nmu_workers: there is no such option; did you mean --num_workers?"),
    "unknown option of the section": (
        ["--set=beam.nmu_workers=2"],
        "beam.nmu_workers: there is no such option; did you",
    ),
    "stray word": (["corpus.jsonl"], "corpus.jsonl: not understood; options are written --name=value"),
    "option without its value": (["--set"], "--set: expected one argument; see oblong run --help"),
    "value of an option": (["--direct_num_workers=two"], "--direct_num_workers: invalid int value: 'two'"),
    "unknown runner": (["--runner=DirectRuner"], "--runner: 'DirectRuner' is not known; did you mean DirectRunner?"),
    "runner that loses data": (["--runner=DaskRunner"], "--runner: DaskRunner cannot be used: it loses data silently"),
    "option that a runner needs": (
        ["--runner=DataflowRunner"],
        "--project: DataflowRunner cannot do without it; write e.g. --project=PROJECT",
    ),
    "job server that is not said": (
        ["--runner=PortableRunner"],
        "--job_endpoint: PortableRunner cannot do without it; write e.g. --job_endpoint=localhost:8099",
    ),
    "job that cannot be left alone": (["--no_wait"], "--no_wait: with DirectRunner the job runs in this process"),
    "wrong type": (["--set=batch.rows=many"], "batch.rows: expected int or nothing, got str ('many')"),
    "wrong range": (["--set=batch.rows=0"], "batch.rows: 0 is too small; it must be at least 1"),
    "both spellings": (
        ["--set=max_length=9", "--set=truncate.max_length=9"],
        "truncate.max_length: max_length is given",
    ),
    "boundaries that do not rise": (["--set=bucket.boundaries=[64, 32]"], "bucket.boundaries: [64, 32] must rise"),
    "boundaries of later": (["--set=bucket.boundaries=auto"], "bucket.boundaries: auto is not available yet"),
    "shards without a shuffle": (["--set=run.shuffle=none", "--set=write.shards=2"], "write.shards: 2 cannot be had"),
    "incremental without a root": (["--set=run.incremental=true"], "read.root: has to be given with run.incremental"),
    "unknown file system": (
        ["--output=gcs://b/x"],
        "write.path: gcs://b/x is on no file system that is known: did you",
    ),
    "no output": (["--output="], "write.path: '' names no folder"),
    "output is a file": (["--output={w}/file"], "write.path: {w}/file cannot be written: "),
    "kept output column": (["--set=read.keep=[length]"], "read.keep: 'length' is also an output column"),
    "kept column is not there": (
        ["--set=read.keep=[lable]"],
        "read.keep: {w}/a.jsonl has no column 'lable'; did you mean",
    ),
    "text column is not there": (
        ["--set=read.text=txt"],
        "read.text: {w}/a.jsonl has no column 'txt'; did you mean text?",
    ),
    "second text is not there": (
        ["--set=read.text_pair=b"],
        "read.text_pair: {w}/a.jsonl has no column 'b'; one of easy",
    ),
    "column that no schema has": (
        ["--input={w}/a.parquet", "--set=read.keep=[nothing]"],
        "read.keep: {w}/a.parquet has no",
    ),
    "kept list": (
        ["--input={w}/a.parquet", "--set=read.keep=[nested]"],
        "read.keep: 'nested' of {w}/a.parquet is list",
    ),
    "no such CSV column": (
        ["--input={w}/a.csv", "--set=read.keep=[lable]"],
        "read.keep: {w}/a.csv has no column 'lable'",
    ),
    "no such TSV column": (["--input={w}/a.tsv", "--set=read.text=txt"], "read.text: {w}/a.tsv has no column 'txt'"),
    "pair of plain text": (["--input={w}/a.txt", "--set=read.text_pair=b"], "read.text_pair: {w}/a.txt is plain text"),
    "unknown suffix": (["--input={w}/a.unknown"], "read.format: "),
    "pattern of nothing": (["--input={w}/*.jsonnl"], "read.files: '{w}/*.jsonnl' matches no file"),
    "file that is not there": (["--input={w}/none.jsonl"], "read.files: '{w}/none.jsonl' matches no file"),
    "folder as input": (
        ["--input={w}/deep"],
        "read.files: '{w}/deep' matches no file; it is a folder: write '{w}/deep/*'",
    ),
    "not below the root": (["--set=read.root=/nowhere"], "read.root: {w}/a.jsonl is not below /nowhere"),
    "no tokenizer": (["--tokenizer={w}/none"], "tokenize.tokenizer: there is no file or folder {w}/none"),
    "tokenizer that does not load": (["--tokenizer={w}/bad"], "tokenize.tokenizer: tokenizer.json does not load: "),
    "tokenizer without tokenizer.json": (
        ["--tokenizer={w}/vocab"],
        "tokenize.tokenizer: the folder {w}/vocab has no token",
    ),
    "hub name": (
        ["--tokenizer=bert-base-uncased"],
        "tokenize.tokenizer: there is no file or folder bert-base-uncased; names",
    ),
    "tokenizer whose files disagree": (
        ["--tokenizer={w}/disagrees"],
        "tokenize.tokenizer: its two files disagree on add_bos",
    ),
    "no pad token": (
        ["--tokenizer={w}/nopad"],
        "pad.token: this tokenizer has no pad token; name a token of its vocabulary",
    ),
    "pad token is not there": (["--set=pad.token=<pad>"], "pad.token: '<pad>' is not in the tokenizer's vocabulary"),
    "no room for content": (
        ["--set=truncate.max_length=2"],
        "truncate.max_length: 2 leaves no room for content beside 2",
    ),
    "stride of a window": (
        ["--set=truncate={overflow: true, max_length: 9, stride: 7}"],
        "truncate.stride: 7 is not less than",
    ),
    "only_second of one text": (["--set=truncate.strategy=only_second"], "truncate.strategy: only_second needs pairs"),
    "bucket without boundaries": (
        ["--set=pad.to=bucket", "--set=bucket.boundaries=[]"],
        "pad.to: bucket needs bucket.bound",
    ),
    "budget without a limit": (
        ["--set=batch.tokens=99", "--set=truncate.strategy=false", "--tokenizer={w}/endless"],
        "batch.tokens: rows longer than the last boundary have no limit to count with",
    ),
    "batch too large": (
        ["--set=batch.max_bytes=99", "--set=pad.to=bucket"],
        "batch.max_bytes: a batch of 64 rows padded to",
    ),
    "shares": (["--set=split={a: 0.5}"], "split: the shares add up to 0.5; they must add up to 1"),
    "split named as another folder": (
        ["--set=split={tokenizer: 1}"],
        "split.tokenizer: this cannot be the name of a folder",
    ),
    "run id": (["--run_id=a/b"], "run.id: 'a/b' cannot name a folder"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_told_in_one_line_and_nothing_is_written(world, tmp_path, monkeypatch, mistake):
    write_tokenizer(world / "endless", model_max_length=None)
    monkeypatch.chdir(tmp_path)
    flags, line = MISTAKES[mistake]
    short = [f"--tokenizer={world}/tok", f"--output={tmp_path}/out"]
    if not any(flag.startswith("--input") for flag in flags):
        short.append(f"--input={world}/a.jsonl")
    before = contents(world)
    said = oblong("run", *short, *(flag.replace("{w}", str(world)) for flag in flags))
    assert said.err.startswith(f"oblong: {line.replace('{w}', str(world))}")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert list(tmp_path.iterdir()) == []
    assert contents(world) == before


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["rnu"], "rnu: there is no such command; did you mean run?"),
        (["verfy", "x"], "verfy: there is no such command; did you mean verify?"),
        (["xyz"], "xyz: there is no such command; one of demo, doctor, gc, inspect, run, runs, verify"),
        (["--nope"], "--nope: not understood; see oblong --help"),
        (["verify"], "RUN: missing; see oblong verify --help"),
        (["verify", "a", "b"], "b: not understood; see oblong verify --help"),
        (["verify", "a", "--fast"], "--fast: there is no such option; "),
        (
            ["verify", "nothing"],
            "RUN: nothing has no manifest.json, so it is no finished run; see what there is: oblong runs",
        ),
        (["inspect", "nothing"], "RUN: nothing has no manifest.json"),
        (["inspect", "nothing", "--rows", "x"], "--rows: invalid int value: 'x'; see oblong inspect --help"),
        (["inspect", "nothing", "--rows=-1"], "--rows: -1 is too small; it must be at least 0"),
        (["runs"], "OUTPUT: missing; see oblong runs --help"),
        (["runs", "nothing"], "OUTPUT: nothing has no folder runs/; give the write.path of a job"),
        (["gc", "nothing"], "OUTPUT: nothing has no folder runs/"),
        (["gc", "nothing", "--older-than=soon"], "--older-than: 'soon' is no age; write e.g. 7d, 12h or 0"),
        (["gc", "nothing", "--keep-last=0"], "--keep-last: 0 is too small; it must be at least 1"),
        (["gc", "nothing", "--keep-last=x"], "--keep-last: invalid int value: 'x'; see oblong gc --help"),
        (["demo"], "DIR: missing; see oblong demo --help"),
        (["run"], "read.files: nothing to read; give a pattern, e.g. --input 'corpus/*.jsonl'"),
        *(([name], f"{name}: this command is not available yet") for name in LATER),
        (["plan", "--config", "x"], "plan: this command is not available yet"),
    ],
)
def test_wrong_usage_is_told_in_one_line(tmp_path, monkeypatch, arguments, line):
    monkeypatch.chdir(tmp_path)
    said = oblong(*arguments)
    assert said.err.startswith(f"oblong: {line}")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert list(tmp_path.iterdir()) == []


def test_last_of_two_patterns_that_matches_nothing_is_named(world):
    said = oblong("run", f"--set=read.files=['{world}/a.jsonl', '{world}/*.nothing']", f"--tokenizer={world}/tok")
    assert (said.code, said.err) == (2, f"oblong: read.files: '{world}/*.nothing' matches no file\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(command):
    said = oblong(command, "--help")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"usage: oblong {command}")
    assert "--json" in said.out


def test_help_names_every_command_and_exit_code():
    for arguments, code in ((["--help"], 0), (["-h"], 0), ([], 2)):
        said = oblong(*arguments)
        assert (said.code, said.err) == (code, "")
        assert all(f"\n    {command} " in said.out for command in COMMANDS)
        assert "exit codes: 0 done (or done already), 1 the job failed, 2 wrong usage" in said.out
    assert make_parser().prog == "oblong"


def test_version_is_that_of_the_package():
    from importlib.metadata import version

    assert oblong("--version") == (0, f"oblong {version('oblong')}\n", "")


def test_defect_is_told_with_its_traceback_and_the_code_of_a_failed_job(capsys):
    assert main([None]) == 1  # what no shell can say, and no parser expects
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("oblong: the job failed: 'NoneType' object has no attribute 'startswith'\n")


def spawn(arguments, **options):
    return subprocess.Popen([sys.executable, "-m", "pipeline", *map(str, arguments)], text=True, **options)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device here that is always full")
def test_stdout_without_room_is_no_defect():
    with Path("/dev/full").open("w") as full:
        process = spawn(["--version"], stdout=full, stderr=subprocess.PIPE)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err.count("\n")) == (1, 1)
    assert err.startswith("oblong: No space left on device; make room on its disk")


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_stopped_run_says_so_and_commits_nothing(world, tmp_path, number, code, word):
    source = write_jsonl(tmp_path / "many.jsonl", [{"text": "w1 w2 " * 50}] * 60_000)
    arguments = ["run", f"--input={source}", f"--tokenizer={world}/tok", f"--output={tmp_path}/out", "--run_id=x"]
    (tmp_path / "tmp").mkdir()
    # A shell makes its background jobs deaf to SIGINT, and they their children: this one must hear it.
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = spawn(arguments, env=os.environ | {"TMPDIR": str(tmp_path / "tmp")}, **streams)
    signal.signal(signal.SIGINT, usual)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("out/runs/x/*/tokenizer/*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(number)
    process.send_signal(number)  # again, while it clears up
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert err.endswith(f"oblong: {word}; nothing is committed\n")
    assert "Traceback" not in err
    assert list(tmp_path.glob("out/runs/x/manifest.json")) == []
    assert list(tmp_path.glob("out/runs/x/*.tmp")) == []
    assert list(tmp_path.glob("tmp/oblong-*")) == []


def test_run_that_is_stopped_when_it_is_committed_says_so(world, tmp_path, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.summary.bucket_table", stop)
    flags = [f"--input={world}/a.jsonl", f"--tokenizer={world}/tok", f"--output={tmp_path}/out", "--run_id=x"]
    assert main(["run", *flags]) == 130
    assert capsys.readouterr().err.endswith(f"oblong: interrupted; the run is committed: {tmp_path}/out/runs/x\n")


def test_what_fails_when_the_command_is_stopped_fails_of_that(tmp_path, capsys):
    """A worker gets the signal too, and may be heard of before its launcher's own."""
    stop = Stop()
    stop.heard, stop.number = True, signal.SIGTERM
    assert _answer_or_stop(["verify", str(tmp_path)], stop) == 143
    assert capsys.readouterr().err == "oblong: terminated\n"


def test_other_commands_that_are_stopped_say_nothing_of_a_commit(world, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.generations.list_runs", stop)
    assert main(["runs", str(world)]) == 130
    assert capsys.readouterr().err == "oblong: interrupted\n"


def test_reader_that_leaves_early_is_no_error(done):
    out, _, _ = done
    reading, writing = os.pipe()
    os.close(reading)
    process = spawn(["inspect", f"{out}/runs/first", "--json", "--rows=3"], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (process.communicate(timeout=60)[1], process.returncode) == ("", 0)


def test_progress_is_shown_on_a_terminal_and_only_there(world, tmp_path):
    source = write_jsonl(tmp_path / "many.jsonl", [{"text": "w1 w2 " * 50}] * 5_000)
    arguments = ["run", f"--input={source}", f"--tokenizer={world}/tok", "--json", f"--output={tmp_path}/out"]
    ours, theirs = pty.openpty()
    process = spawn(
        arguments, stdout=subprocess.PIPE, stderr=theirs, env=os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # the other side is closed
        pass
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert json.loads(out)["status"] == "done"
    assert b"Reading" in shown
    assert b"rows/s" in shown
    silent = spawn([*arguments, "--force"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = silent.communicate(timeout=60)
    assert (json.loads(out)["status"], err) == ("done", "")


def test_failure_in_a_process_ends_with_one_line(world, tmp_path):
    arguments = ["run", f"--input={world}/a.jsonl", f"--tokenizer={world}/tok", f"--output={tmp_path}/out", "--json"]
    arguments += ["--direct_running_mode=multi_processing", "--direct_num_workers=2", "--set=read.max_row_bytes=1"]
    failed = spawn(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = failed.communicate(timeout=120)
    assert (failed.returncode, out) == (1, "")
    assert err.splitlines()[-1].startswith("oblong: too many dead letters: 5 of 5 rows (too_long 5), more than")
