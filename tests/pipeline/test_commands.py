"""The commands: what each prints for people and as JSON, and what it makes of its arguments."""

import re
import shutil
import sysconfig
from pathlib import Path

import pytest

from pipeline.commands import DIFFERS, DONE, count, say, show, show_json
from tests.runs import oblong


def test_run_prints_its_buckets_totals_and_folder(done):
    out, _, said = done
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert " ".join(lines[0].split()) == "split bucket files rows batches tokens padding of cells bytes"
    assert lines[1].split()[:3] == ["train", "32", "1"]
    assert f"done: {out}/runs/first" in lines
    assert re.search(rf"\nshards: {out}/runs/first/attempt-\d{{8}}T\d{{6}}Z-[0-9a-f]{{8}}/\n", said.out)
    assert max(map(len, lines)) <= 120 or f"{out}" in max(lines, key=len)


def test_run_that_is_there_is_told_as_done_already(done):
    out, short, _ = done
    assert oblong("run", *short) == (0, f"already done: {out}/runs/first\n", "")


def test_every_command_prints_one_json_object(done, tmp_path, monkeypatch):
    out, short, _ = done
    said = oblong("run", *short, "--json")
    assert set(said.json) == {"status", "run", "manifest", "notes", "totals"}
    assert said.json["manifest"] == f"{out}/runs/first/manifest.json"
    run = said.json["run"]
    said = oblong("verify", run, "--json")
    assert said.json == {"ok": True, "files": 2, "rows": 5, "problems": []}
    said = oblong("inspect", run, "--rows=2", "--json")
    assert set(said.json) == {"run", "manifest", "rows"}
    assert len(said.json["rows"]) == 2
    said = oblong("runs", out, "--json")
    assert [row["run_id"] for row in said.json["runs"]] == ["first"]
    said = oblong("gc", out, "--json")
    assert said.json == {"deleted": False, "leftovers": []}
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "shapes.py").write_text('def area(x):\n    """The area."""\n')
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / "library"))
    said = oblong("demo", tmp_path / "demo", "--json")
    assert said.json["rows"] == 1
    assert said.json["config"] == f"{tmp_path}/demo/config.yaml"


def test_config_on_the_command_line_beats_the_file(world, tmp_path):
    (tmp_path / "c.yaml").write_text(
        f"read: {{files: {world}/a.jsonl}}\ntokenize: {{tokenizer: {world}/none}}\n"
        f"write: {{path: {tmp_path}/a}}\nbeam: {{direct_running_mode: multi_threading}}\n"
    )
    flags = [
        f"--tokenizer={world}/tok",
        "--output",
        tmp_path / "b",
        "--set=write.path=c",
        "--direct_running_mode=in_memory",
    ]
    said = oblong("run", "--config", tmp_path / "c.yaml", *flags, "--json")
    assert said.code == 0, said.err
    assert (tmp_path / "b" / "runs").is_dir()
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("number", "noun", "spelled"),
    [(0, "row", "0 rows"), (1, "file", "1 file"), (2, "file", "2 files"), (1234567, "byte", "1,234,567 bytes")],
)
def test_things_are_counted_out(number, noun, spelled):
    assert count(number, noun) == spelled


def test_notes_go_to_stderr_and_results_to_stdout(capsys):
    say("careful")
    show("a line")
    show_json({"path": Path("a/é"), "n": [1, None]})
    assert capsys.readouterr() == ('a line\n{"path": "a/\\u00e9", "n": [1, null]}\n', "oblong: careful\n")


def test_verify_tells_each_difference_on_a_line_and_how_many_there_are(done, tmp_path):
    out, _, _ = done
    shutil.copytree(out / "runs" / "first", tmp_path / "run")
    shard = min((tmp_path / "run").glob("attempt-*/train/*/*.parquet"))
    shard.unlink()
    said = oblong("verify", tmp_path / "run")
    problem, last = said.out.splitlines()
    assert problem == f"{shard.relative_to(tmp_path / 'run')}: missing"
    assert last.startswith("1 difference: ")
    assert (said.code, said.err) == (DIFFERS, "")


def test_output_without_runs_is_a_table_of_names_alone(tmp_path):
    (tmp_path / "runs").mkdir()
    said = oblong("runs", tmp_path)
    assert (said.code, said.out.split(), said.err) == (
        DONE,
        ["run_id", "status", "created", "generation", "rows", "tokens", "bytes"],
        "",
    )
    assert oblong("runs", tmp_path, "--json").json == {"runs": []}


@pytest.fixture
def small(library, monkeypatch):
    """`oblong demo` reads that library."""
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(library))


def test_demo_says_what_it_made_and_what_is_next(small, tmp_path):
    said = oblong("demo", tmp_path / "demo")
    made, then = said.out.splitlines()
    assert re.fullmatch(rf"made 10 rows, a tokenizer of [\d,]+ tokens and {tmp_path}/demo/config\.yaml", made)
    assert then == f"next: oblong run --config {tmp_path}/demo/config.yaml"
    assert (said.code, said.err) == (DONE, "")


def test_demo_runs_its_job_and_shows_a_row_of_it(small, tmp_path):
    said = oblong("demo", tmp_path / "demo", "--run")
    assert said.code == DONE, said.err
    assert said.err.startswith("oblong: made 10 rows and a tokenizer of ")
    (run,) = (tmp_path / "demo" / "out" / "runs").iterdir()
    assert f"\ndone: {run}\n" in said.out
    shown = said.out.partition("\na row, decoded, beside its mask:\n")[2]
    assert re.match(r"id +'[\w.]+'\nkind ", shown)
    assert re.search(r"\ntext +'\[CLS\] .* \[SEP\]'\n", shown)
