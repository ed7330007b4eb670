"""Whole jobs: how they end, what they count, and what they leave behind when they fail."""

import gzip
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pytest

from pipeline import load_config, run
from pipeline.execution import explain
from pipeline.graph import build_job
from pipeline.job import prepare
from pipeline.launch import run_job
from tests.runs import (
    contents,
    data_files,
    manifest_of,
    oblong,
    reseal,
    set_flags,
    some_rows,
    words,
    write_jsonl,
    write_tokenizer,
)
from transforms.arrays.errors import ConfigError, JobError

ROWS = [{"text": words(n, n), "other": words(9 - n)} for n in range(10)]


@pytest.fixture
def job(tmp_path, tokenizer):
    """Runs a job over rows, each in a data set of its own."""

    def start(rows, *flags, **settings):
        source = tmp_path / "in" / "rows.jsonl"
        if rows is not None:
            write_jsonl(source, rows)
        short = ("--input", source, "--tokenizer", tokenizer, "--output", tmp_path / "out")
        return oblong(
            "run", *short, *set_flags({k.replace("__", "."): v for k, v in settings.items()}), "--json", *flags
        )

    return start


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def one_line(said):
    """The one line that a failure says."""
    assert said.out == ""
    assert said.err.startswith("oblong: ")
    assert said.err.count("\n") == 1
    return said.err[len("oblong: ") : -1]


def manifests(out):
    return sorted(out.glob("runs/*/manifest.json"))


def test_same_run_again_is_done_already(job, out):
    first = job(ROWS)
    before = contents(out)
    second = job(None)
    assert (first.code, first.json["status"], second.code) == (0, "done", 0)
    assert second.json == first.json | {"status": "already done", "notes": []}
    assert contents(out) == before


def test_forced_run_stands_beside_with_the_same_bytes(job, out):
    first, second, third = (
        job(ROWS, **{"run.id": "a"}),
        job(None, "--force", run__id="a"),
        job(None, "--force", run__id="a"),
    )
    assert [Path(said.json["run"]).name for said in (first, second, third)] == ["a", "a-2", "a-3"]
    assert third.json["status"] == "done"
    one, two = (data_files(out / "runs" / name) for name in ("a", "a-2"))
    assert one == two
    assert len(one) == 1


def test_forced_run_is_itself_where_nothing_is_committed(job):
    assert Path(job(ROWS, "--force", run__id="a").json["run"]).name == "a"


def test_given_id_that_is_something_else_already_is_refused(job, out):
    job(ROWS, "--run_id", "nightly")
    before = contents(out)
    said = job(None, "--run_id", "nightly", pad__to="bucket")
    assert said.code == 2
    assert "run.id: nightly is committed already with another configuration, tokenizer or inputs" in one_line(said)
    assert contents(out) == before


def test_given_id_with_other_inputs_is_refused(job):
    job(ROWS, "--run_id", "nightly")
    assert job(ROWS[:5], "--run_id", "nightly").code == 2


def test_run_of_other_versions_is_done_already_and_both_are_said(job):
    run_folder = Path(job(ROWS).json["run"])
    reseal(run_folder, lambda manifest: manifest["versions"].update(pyarrow="1.2.3", tokenizers="0.1"))
    said = job(None)
    assert (said.code, said.json["status"]) == (0, "already done")
    notes = "\n".join(said.json["notes"])
    assert "pyarrow 1.2.3" in notes
    assert pa.__version__ in notes
    assert "tokenizers 0.1" in notes
    assert "--force" in notes


def test_run_whose_manifest_is_damaged_fails_by_name(job):
    path = Path(job(ROWS).json["manifest"])
    path.write_text(path.read_text()[:-20])
    said = job(None)
    assert said.code == 1
    assert one_line(said).startswith(f"{path}: damaged: ")


def test_too_many_dead_letters_commit_nothing_and_stay_on_disk(job, out):
    said = job([*ROWS[:8], '{"text": ', '{"text": null}'], run__max_dead_letters=0.1)
    assert said.code == 1
    line = one_line(said)
    assert "2 of 10 rows (bad_json 1, null_text 1)" in line
    assert "run.max_dead_letters 0.1" in line
    folder = Path(line.rsplit("see ", 1)[1])
    letters = [json.loads(text) for path in folder.iterdir() for text in path.read_text().splitlines()]
    assert sorted(letter["reason"] for letter in letters) == ["bad_json", "null_text"]
    assert next(letter for letter in letters if letter["reason"] == "bad_json")["raw"] == '{"text": '
    assert {letter["file"] for letter in letters} == {"rows.jsonl"}
    assert manifests(out) == []
    assert list(out.glob("**/*.parquet")) == []
    assert list(out.glob("runs/*/*.tmp")) == []


def test_dead_letters_at_the_limit_are_counted_and_committed(job):
    manifest = manifest_of(job([*ROWS[:9], '{"text": '], run__max_dead_letters=0.1))
    assert manifest["totals"]["dead_letters"] == {"bad_json": 1}
    assert [(file["rows"], file["path"].split("/")[1]) for file in manifest["dead_letters"]] == [(1, "dead_letters")]
    assert manifest["totals"]["rows_read"] == 10


@pytest.mark.parametrize("rows", [[], ["", ""]])
def test_no_rows_at_all_make_a_manifest_without_files(job, rows):
    manifest = manifest_of(job(rows))
    assert (manifest["files"], manifest["dead_letters"]) == ([], [])
    totals = manifest["totals"]
    assert {k: v for k, v in totals.items() if v} == {"dropped": {"unfit": 0, "empty": 0, "remainder": 0}}
    assert oblong("verify", Path(manifest_path(job))).code == 0


def manifest_path(job):
    return job(None).json["manifest"]


def laws(totals):
    dropped = totals["dropped"]
    letters = sum(totals["dead_letters"].values())
    assert totals["rows_read"] == totals["rows_with_output"] + letters + dropped["unfit"] + dropped["empty"]
    assert totals["rows_written"] == totals["rows_with_output"] + totals["windows"] - dropped["remainder"]
    return totals


def test_totals_of_single_texts(job):
    totals = laws(manifest_of(job(ROWS, truncate__max_length=7, bucket__boundaries=[], pad__multiple_of=4))["totals"])
    # lengths 2..11, cut at 7: 2 3 4 5 6 7 7 7 7 7; content of 4 rows cut by 1, 2, 3, 4; all padded to 8
    assert totals == {
        "rows_read": 10,
        "rows_with_output": 10,
        "rows_written": 10,
        "windows": 0,
        "rows_truncated": 4,
        "tokens_dropped": 10,
        "tokens": 55,
        "padding": 25,
        "dropped": {"unfit": 0, "empty": 0, "remainder": 0},
        "dead_letters": {},
    }


def test_totals_of_pairs(job):
    totals = laws(manifest_of(job(ROWS, read__text_pair="other", truncate__max_length=9, pad__to="bucket"))["totals"])
    assert (totals["rows_written"], totals["tokens"], totals["padding"]) == (10, 90, 0)  # each 12 tokens, cut to 9
    assert (totals["rows_truncated"], totals["tokens_dropped"]) == (10, 30)


def test_totals_of_windows(job):
    overflow = {"truncate__overflow": True, "truncate__stride": 1, "truncate__max_length": 5, "pad__to": False}
    totals = laws(manifest_of(job(ROWS, bucket__boundaries=[], **overflow))["totals"])
    # 3 content tokens a window, 1 shared: texts of 0..9 tokens take 1 1 1 1 2 2 3 3 4 4 windows
    assert (totals["rows_with_output"], totals["windows"], totals["rows_written"]) == (10, 12, 22)
    assert (totals["rows_truncated"], totals["tokens_dropped"], totals["padding"]) == (0, 0, 0)
    assert totals["tokens"] == sum(range(10)) + 12 * 1 + 22 * 2


def test_windows_above_the_limit_are_dead_letters(job):
    overflow = {"truncate__overflow": True, "truncate__stride": 1, "truncate__max_length": 5}
    totals = laws(manifest_of(job(ROWS, truncate__max_windows=3, run__max_dead_letters=0.2, **overflow))["totals"])
    assert totals["dead_letters"] == {"too_many_windows": 2}
    assert (totals["rows_with_output"], totals["windows"]) == (8, 6)


def test_dropped_remainders_are_counted_and_every_batch_is_full(job):
    manifest = manifest_of(job(ROWS, batch__rows=4, batch__drop_remainder=True, bucket__boundaries=[6]))
    totals = laws(manifest["totals"])
    # 2..6 tokens: 5 rows, of which 4 are written; 7..11: as many
    assert (totals["rows_with_output"], totals["rows_written"], totals["dropped"]["remainder"]) == (10, 8, 2)
    assert [(file["rows"], file["batches"]) for file in manifest["files"]] == [(4, 1), (4, 1)]


def test_shard_that_is_all_remainder_is_no_file(job):
    manifest = manifest_of(job(ROWS, batch__rows=99, batch__drop_remainder=True))
    assert manifest["files"] == []
    assert laws(manifest["totals"])["dropped"]["remainder"] == 10


UNFIT = {"read__text_pair": "other", "truncate__strategy": "only_second", "truncate__max_length": 9}


@pytest.mark.parametrize(
    ("on_unfit", "expected"),
    [
        ("dead_letter", {"rows_with_output": 6, "unfit": 0, "dead_letters": {"unfit": 4}}),
        ("drop", {"rows_with_output": 6, "unfit": 4, "dead_letters": {}}),
        ("longest_first", {"rows_with_output": 10, "unfit": 0, "dead_letters": {}}),
    ],
)
def test_rows_that_the_strategy_cannot_fit(job, on_unfit, expected):
    said = job(ROWS, run__max_dead_letters=0.5, truncate__on_unfit=on_unfit, **UNFIT)
    totals = laws(manifest_of(said)["totals"])
    found = {"rows_with_output": totals["rows_with_output"], "unfit": totals["dropped"]["unfit"]}
    assert found | {"dead_letters": totals["dead_letters"]} == expected


def test_row_that_the_strategy_cannot_fit_can_fail_the_job(job, out):
    said = job(ROWS, truncate__on_unfit="error", **UNFIT)
    assert said.code == 1
    assert one_line(said).startswith("unfit at rows.jsonl#")
    assert one_line(said).endswith("only_second cannot fit this row into 9 tokens (truncate.on_unfit: error)")
    assert manifests(out) == []


@pytest.mark.parametrize(
    ("empty", "dropped", "letters"), [("keep", 0, {}), ("drop", 1, {}), ("dead_letter", 0, {"empty_text": 1})]
)
def test_empty_rows_are_kept_dropped_or_buried(job, empty, dropped, letters):
    totals = laws(manifest_of(job(ROWS, read__empty=empty, run__max_dead_letters=0.1))["totals"])
    assert (totals["dropped"]["empty"], totals["dead_letters"]) == (dropped, letters)


def test_rows_wider_than_a_batch_may_be_are_dead_letters(job):
    # 9 bytes a cell... of three columns: 6; 2 rows; so a row of more than 8 cells is too wide
    said = job(ROWS, batch__max_bytes=2 * 6 * 8, batch__rows=2, run__max_dead_letters=0.5, truncate__strategy=False)
    assert laws(manifest_of(said)["totals"])["dead_letters"] == {"too_long": 3}


def test_no_leftovers_of_a_finished_run(job, out):
    job(ROWS)
    assert list(out.glob("runs/*/*.tmp")) == []
    assert len(manifests(out)) == 1


@pytest.mark.parametrize("where", ["out", "out/runs", "out/runs/me"])
def test_output_that_cannot_be_written_is_said_in_one_line(job, tmp_path, where):
    (tmp_path / where).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / where).write_text("a file in place of a folder")
    said = job(ROWS, "--run_id", "me")
    assert said.code == 2
    assert one_line(said).startswith(f"write.path: {tmp_path / 'out'} cannot be written: ")


def test_input_that_changes_after_planning_fails_by_name(tmp_path, tokenizer, out):
    source = write_jsonl(tmp_path / "rows.jsonl", ROWS)
    sections = {
        "read": {"files": str(source)},
        "tokenize": {"tokenizer": str(tokenizer)},
        "write": {"path": str(out)},
    }
    planned = prepare(load_config(sections))
    size = source.stat().st_size
    write_jsonl(source, ROWS[:5])
    with pytest.raises(JobError) as caught, beam.Pipeline() as pipeline:
        build_job(pipeline, planned)
    line = str(explain(caught.value))
    assert line.startswith(f"read.files: {source} had {size} bytes when the job was planned and has ")
    assert "\n" not in line
    assert manifests(out) == []


def test_what_the_machine_refuses_a_worker_is_told_as_it_has_no_sentence_of_its_own():
    traceback = "Traceback (most recent call last):\n  File \"x.py\", line 1\n{}: [Errno {}] {}: '/a b'\n"
    refused = explain(RuntimeError(traceback.format("PermissionError", 13, "Permission denied")))
    assert isinstance(refused, JobError)
    assert str(refused) == (
        "Permission denied: '/a b'; give the user who runs the job the right to it; nothing is committed"
    )
    # A connection that breaks tells of a process that died, which is for others to explain.
    broken = RuntimeError(traceback.format("ConnectionResetError", 104, "Connection reset by peer"))
    assert explain(broken) is broken


def test_second_attempt_at_the_same_run_loses_quietly(tmp_path, tokenizer, out):
    source = write_jsonl(tmp_path / "rows.jsonl", ROWS)
    config = load_config(
        {"read": {"files": str(source)}, "tokenize": {"tokenizer": str(tokenizer)}, "write": {"path": str(out)}}
    )
    late = prepare(config)
    first = run_job(config)
    with beam.Pipeline() as pipeline:
        build_job(pipeline, late)
    (path,) = manifests(out)
    assert json.loads(path.read_text()) == first.manifest
    assert late.attempt != first.manifest["attempt"]


def test_attempt_at_another_job_of_the_same_id_fails(tmp_path, tokenizer, out):
    source = write_jsonl(tmp_path / "rows.jsonl", ROWS)
    sections = {"read": {"files": str(source)}, "tokenize": {"tokenizer": str(tokenizer)}, "write": {"path": str(out)}}
    late = prepare(load_config(sections, ["run.id=x", "pad.to=bucket"]))
    first = run_job(load_config(sections, ["run.id=x"]))
    said = "was committed meanwhile by a run with another configuration"
    with pytest.raises(Exception, match=said) as caught, beam.Pipeline() as pipeline:
        build_job(pipeline, late)
    assert isinstance(explain(caught.value), JobError)
    (path,) = manifests(out)
    assert json.loads(path.read_text()) == first.manifest


def test_library_call_gives_the_manifest(tmp_path, tokenizer, out):
    source = write_jsonl(tmp_path / "rows.jsonl", ROWS)
    config = load_config(
        {"read": {"files": str(source)}, "tokenize": {"tokenizer": str(tokenizer)}, "write": {"path": str(out)}}
    )
    manifest = run(config)
    assert manifest == json.loads(manifests(out)[0].read_text())
    assert run(config) == manifest
    assert manifest["totals"]["rows_written"] == 10


def test_sentence_is_found_in_what_a_runner_raises():
    text = "Traceback ...\ntransforms.arrays.errors.JobError: it broke [while running 'Read/ParDo']\n\nmore"
    assert str(explain(RuntimeError(text))) == "it broke"
    assert type(explain(RuntimeError(text))) is JobError
    both = RuntimeError("transforms.arrays.errors.ConfigError: a.b: wrong")
    assert type(explain(both)) is ConfigError
    other = RuntimeError("something else")
    assert explain(other) is other


def test_exception_of_a_step_fails_the_job_with_its_last_line(job, out, tmp_path, tokenizer):
    # Somebody removes the attempt's tokenizer before workers read it.
    config = load_config(
        {
            "read": {"files": str(write_jsonl(tmp_path / "rows.jsonl", ROWS))},
            "tokenize": {"tokenizer": str(tokenizer)},
            "write": {"path": str(out)},
        }
    )
    planned = prepare(config)
    pipeline = beam.Pipeline()
    build_job(pipeline, planned)
    (Path(planned.attempt_folder) / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(Exception, match="tokenizer") as caught:
        pipeline.run().wait_until_finish()
    assert "\n" not in str(explain(caught.value))
    assert manifests(out) == []


def test_damaged_gzip_fails_in_one_line(tmp_path):
    data = gzip.compress(b"".join(json.dumps(row).encode() + b"\n" for row in some_rows(50)))
    source = tmp_path / "rows.jsonl.gz"
    source.write_bytes(data[: len(data) // 2])
    tokenizer = write_tokenizer(tmp_path / "t")
    said = oblong("run", "--input", source, "--tokenizer", tokenizer, "--output", tmp_path / "out")
    assert said.code in (1, 2)
    assert str(source) in one_line(said)


def test_model_without_a_maximum_is_said(tmp_path):
    tokenizer = write_tokenizer(tmp_path / "t", model_max_length=int(1e30))
    source = write_jsonl(tmp_path / "rows.jsonl", ROWS)
    said = oblong("run", "--input", source, "--tokenizer", tokenizer, "--output", tmp_path / "out", "--json")
    assert said.code == 0
    assert "truncation is OFF" in said.err
    assert any("truncation is OFF" in note for note in said.json["notes"])


def test_killed_run_leaves_no_manifest(tmp_path, tokenizer):
    """A process that is killed on its way has committed nothing; the next run is not disturbed."""
    source = write_jsonl(tmp_path / "rows.jsonl", some_rows(20_000))
    arguments = ["run", f"--input={source}", f"--tokenizer={tokenizer}", f"--output={tmp_path / 'out'}", "--run_id=x"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("out/runs/x/*/tokenizer/tokenizer.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert manifests(tmp_path / "out") == []
    assert oblong(*arguments).code == 0
    (path,) = manifests(tmp_path / "out")
    assert json.loads(path.read_text())["totals"]["rows_written"] == 20_000
    assert oblong("verify", path).code == 0


def test_nothing_is_written_below_the_working_folder(job, tmp_path, monkeypatch):
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    job(ROWS)
    assert list(Path().iterdir()) == []


def test_names_of_the_package_are_functions_whatever_was_imported_before():
    imports = "import pipeline.launch, pipeline.cli; from pipeline import run; from pipeline import run, build"
    code = f"{imports}; assert (run.__name__, build.__name__) == ('run', 'build')"
    subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)
    import pipeline

    with pytest.raises(AttributeError, match="nothing_such"):
        _ = pipeline.nothing_such


@pytest.mark.parametrize("flags", [[], ["--runner=PortableRunner", "--job_endpoint=embed"]], ids=["direct", "embedded"])
def test_ctrl_c_stops_a_job_in_this_process_and_says_so_in_one_line(tmp_path, tokenizer, flags):
    source = write_jsonl(tmp_path / "in" / "a.jsonl", [{"text": words(n % 90, 400)} for n in range(20_000)])
    short = [f"--input={source}", f"--tokenizer={tokenizer}", f"--output={tmp_path}/out", *flags]
    command = [sys.executable, "-m", "pipeline", "run", *short]
    # Where the suite itself runs in the background it is deaf to Ctrl-C, and children inherit that.
    job = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not list(tmp_path.glob("out/runs/*/*.tmp/units.jsonl")):
        assert job.poll() is None
        time.sleep(0.01)
    job.send_signal(signal.SIGINT)
    _, err = job.communicate(timeout=60)
    assert job.returncode == 130
    assert err.splitlines()[-1] == "oblong: interrupted; nothing is committed"
    assert "Traceback" not in err
    assert list(tmp_path.glob("out/runs/*/manifest.json")) == []
