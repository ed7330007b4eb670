import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.leftovers import note_spills
from tests.clouds import LOST
from tests.runs import data_files, manifest_of, oblong, some_rows, write_jsonl, write_tokenizer
from transforms import files

SETTINGS = {
    "truncate": {"max_length": 32},
    "bucket": {"boundaries": [8, 16]},
    "batch": {"rows": 8},
    "write": {"formats": ["parquet", "tfrecord"], "shards": 2},
    "run": {"max_dead_letters": 0.1},
}


def sections(root, **more):
    """The sections of a job, all of it below one place."""
    places = {
        "read": {"files": f"{root}/corpus/**.jsonl"},
        "tokenize": {"tokenizer": f"{root}/tokenizer"},
        "write": {"path": f"{root}/out"},
    }
    names = {*SETTINGS, *places, *more}
    return {name: SETTINGS.get(name, {}) | places.get(name, {}) | more.get(name, {}) for name in names}


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The same job on disk: a folder with corpus and tokenizer, and the run in it."""
    folder = tmp_path_factory.mktemp("local")
    rows = some_rows(200)
    write_jsonl(folder / "corpus" / "a.jsonl", rows[:90])
    write_jsonl(folder / "corpus" / "deep" / "er" / "b#1.jsonl", [*rows[90:], '{"text": '])
    write_tokenizer(folder / "tokenizer")
    (folder / "config.yaml").write_text(yaml.safe_dump(sections(folder)))
    said = oblong("run", "--config", folder / "config.yaml", "--json")
    manifest_of(said)
    return folder, Path(said.json["run"])


@pytest.fixture
def place(cloud, local):
    """Corpus, tokenizer and configuration of that job on a file system, and nothing else."""
    folder, _ = local
    for name in ("corpus", "tokenizer"):
        cloud.put(folder / name, name)
    files.write_bytes(f"{cloud.root}/config.yaml", yaml.safe_dump(sections(cloud.root)).encode())
    return cloud


def run(place, *more):
    return oblong("run", "--config", f"{place.root}/config.yaml", *place.flags, "--json", *more)


def data_of(place, run_folder):
    """Every data file of a run, as `data_files` gives those of one on disk."""
    found = place.contents(run_folder)
    below = {name.split("/", 1)[1]: data for name, data in found.items() if "/" in name}
    return {name: data for name, data in below.items() if not name.startswith("tokenizer/")}


def test_whole_job_writes_the_same_bytes_as_on_disk(place, local):
    said = run(place)
    assert said.code == 0, said.err
    folder = said.json["run"]
    assert folder.startswith(f"{place.root}/out/runs/")
    assert data_of(place, folder) == data_files(local[1])
    manifest = json.loads(files.read_bytes(f"{folder}/manifest.json"))
    expected = json.loads((local[1] / "manifest.json").read_text())
    assert manifest["totals"] == expected["totals"] == said.json["totals"]
    assert [file["file"] for file in manifest["inputs"]] == ["a.jsonl", "deep/er/b#1.jsonl"]
    assert ["checksum" in file for file in manifest["inputs"]] == [place.scheme != "hdfs"] * 2
    assert files.list_subfolders(folder) == [manifest["attempt"]]

    assert oblong("verify", folder, *place.flags).out.startswith("ok: ")
    shown = oblong("inspect", folder, "--rows=2", *place.flags, "--json").json
    assert shown["rows"] == oblong("inspect", local[1], "--rows=2", "--json").json["rows"]
    (row,) = oblong("runs", f"{place.root}/out", *place.flags, "--json").json["runs"]
    assert (row["status"], row["folder"], row["rows"]) == ("committed", folder, manifest["totals"]["rows_written"])
    assert oblong("gc", f"{place.root}/out/", "--older-than=0", *place.flags, "--json").json["leftovers"] == []

    again = run(place)
    assert (again.json["status"], again.json["run"]) == ("already done", folder)
    assert files.list_subfolders(folder) == [manifest["attempt"]]


def test_damage_is_found(place):
    folder = run(place, "--run_id=r").json["run"]
    manifest = json.loads(files.read_bytes(f"{folder}/manifest.json"))
    damaged, shortened, gone = (file["path"] for file in manifest["files"][:3])
    data = files.read_bytes(f"{folder}/{damaged}")
    files.write_bytes(f"{folder}/{damaged}", data[:-1] + bytes([data[-1] ^ 1]))
    files.write_bytes(f"{folder}/{shortened}", data[:10])
    files.remove_file(f"{folder}/{gone}")
    files.write_bytes(f"{folder}/{manifest['attempt']}/stray", b"")
    said = oblong("verify", folder, *place.flags, "--json")
    assert said.code == 3
    problems = said.json["problems"]
    assert len(problems) == 4
    assert problems[0] == f"{manifest['attempt']}/stray: in the run's folder, but the manifest does not name it"
    assert problems[1].startswith(f"{damaged}: its crc32c is ")
    assert problems[2].startswith(f"{shortened}: has 10 bytes, expected ")
    assert problems[3] == f"{gone}: missing"


def test_leftovers_are_shown_and_removed_with_their_manifest_first(place):
    folder = run(place, "--run_id=r").json["run"]
    out = f"{place.root}/out"
    files.write_bytes(f"{folder}/attempt-old/train/x.parquet", b"12345")
    files.write_bytes(f"{out}/runs/gone/attempt-x/tokenizer/t.json", b"1")
    before = place.contents(out)
    found = oblong("gc", out, "--older-than=0", *place.flags, "--json").json["leftovers"]
    assert [(one["path"], one["bytes"]) for one in found] == [(f"{out}/runs/gone", 1), (f"{folder}/attempt-old", 5)]
    assert place.contents(out) == before
    assert oblong("gc", out, *place.flags, "--json").json["leftovers"] == []
    assert oblong("gc", out, "--older-than=0", "--delete", *place.flags).code == 0
    assert place.contents(out) == {
        name: data for name, data in before.items() if "old" not in name and "x/" not in name
    }
    assert oblong("verify", folder, *place.flags).code == 0
    assert [row["run_id"] for row in oblong("runs", out, *place.flags, "--json").json["runs"]] == ["r"]

    assert run(place, "--run_id=later").code == 0
    assert oblong("gc", out, "--keep-last=1", "--older-than=0", "--delete", *place.flags).code == 0
    assert [row["run_id"] for row in oblong("runs", out, *place.flags, "--json").json["runs"]] == ["later"]


@pytest.mark.parametrize("shuffle", ["files", "runner", "none"])
def test_every_shuffle_leaves_nothing_but_the_run(place, local, shuffle, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    said = run(place, f"--set=run.shuffle={shuffle}", f"--set=write.shards={'auto' if shuffle == 'none' else 2}")
    assert said.code == 0, said.err
    folder = said.json["run"]
    assert oblong("verify", folder, *place.flags).code == 0
    if shuffle != "none":
        assert data_of(place, folder) == data_files(local[1])
    assert list(tmp_path.glob("oblong*")) == []  # Beam leaves folders of its own
    assert len(files.list_subfolders(folder)) == 1


def test_worker_processes_reach_the_files_too(place, local):
    said = run(place, "--direct_running_mode=multi_processing", "--direct_num_workers=2")
    assert said.code == 0, said.err
    assert data_of(place, said.json["run"]) == data_files(local[1])


def test_job_of_which_every_first_answer_is_lost_is_done_and_not_taken_for_anothers(place, local):
    said = run(place, f"--run_id={LOST}")
    assert (said.code, said.json["status"]) == (0, "done"), said.err
    assert data_of(place, said.json["run"]) == data_files(local[1])
    assert len(files.list_subfolders(said.json["run"])) == 1


def test_two_attempts_at_once_leave_one_manifest_and_the_loser_says_so(place):
    for number in range(5):
        command = [sys.executable, "-W", "ignore", "-m", "pipeline", "run", f"--run_id=race{number}", "--json"]
        config = ["--config", f"{place.root}/config.yaml", *place.flags]
        both = [
            subprocess.Popen([*command, *config], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        said = [process.communicate(timeout=120) for process in both]
        assert [process.returncode for process in both] == [0, 0], said
        answers = sorted((json.loads(out) for out, _ in said), key=lambda answer: answer["status"])
        assert [answer["status"] for answer in answers] == ["already done", "done"]
        folder = answers[0].pop("run")
        assert folder == answers[1].pop("run")
        assert answers[0]["totals"] == answers[1]["totals"]
        assert oblong("verify", folder, *place.flags).code == 0
        committed = json.loads(files.read_bytes(f"{folder}/manifest.json"))["attempt"]
        assert committed in files.list_subfolders(folder)
        if answers[0]["notes"] == ["another attempt at this run was faster"]:
            assert len(files.list_subfolders(folder)) == 2  # what the loser wrote is gc's
            return
    pytest.fail("one was always done before the other looked")


def test_rows_spilled_by_a_killed_attempt_are_found_from_where_the_output_is(place, tmp_path):
    spills = tmp_path / "oblong-r-attempt-1"
    spills.mkdir()
    (spills / "a.arrow").write_bytes(b"x" * 10)
    out = f"{place.root}/out"
    note_spills(f"{out}/runs/r/attempt-1.tmp", str(spills))
    found = oblong("gc", out, "--older-than=0", "--delete", *place.flags, "--json").json["leftovers"]
    assert [one["path"] for one in found] == [str(spills), f"{out}/runs/r"]
    assert not spills.exists()
    assert files.list_folder(out) == []


def test_tokenizer_that_is_not_there_is_told_in_one_line(place):
    said = run(place, f"--tokenizer={place.root}/nowhere")
    assert said.code == 2
    assert said.err == f"oblong: tokenize.tokenizer: there is no file or folder {place.root}/nowhere\n"
    said = oblong("run", "--config", f"{place.root}/nowhere.yaml", *place.flags)
    assert said.err == f"oblong: --config: there is no file {place.root}/nowhere.yaml\n"


def test_service_that_does_not_answer_is_no_damage(place, monkeypatch):
    folder = run(place, "--run_id=r").json["run"]
    for name in ("STORAGE_EMULATOR_HOST", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "http://localhost:1")
    monkeypatch.setenv("OBLONG_STORE_PATIENCE", "0.1")
    flags = [flag if "port" not in flag else "--hdfs_port=1" for flag in place.flags]
    files.use_options(PipelineOptions(flags))
    for command in (["verify", folder], ["runs", f"{place.root}/out"]):
        said = oblong(*command, *flags)
        assert said.code == 1
        assert re.match(rf"oblong: {place.root}/out\S* cannot be (looked at|listed): \w+: [^\n]*\n$", said.err), (
            said.err
        )
        assert said.out == ""


def test_spills_on_a_remote_file_system_are_refused(place):
    said = run(place, f"--set=run.spill_dir={place.root}/spills", "--set=run.shuffle=files")
    assert said.code == 2
    assert f"oblong: run.spill_dir: {place.root}/spills is on no disk of this machine" in said.err
