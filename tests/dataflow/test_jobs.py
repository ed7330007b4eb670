"""Jobs from their launch to their end, against a service that does with them what a test says."""

from __future__ import annotations

import json

import pytest

from tests.clouds import BUCKET
from tests.dataflow.worlds import interrupted, service, without_workers, work_on
from tests.runs import data_files, oblong


def one_line(said):
    """The one line that ends a launch that fails."""
    assert said.out == ""
    assert "Traceback" not in said.err
    return said.err.splitlines()[-1].removeprefix("oblong: ")


def run_files(bucket, run_id, attempt):
    """The data files of an attempt in the bucket, as `data_files` has them of a local one."""
    prefix = f"out/runs/{run_id}/{attempt}/"
    names = [name for name in bucket.names(prefix) if not name.startswith(f"{prefix}tokenizer/")]
    return {name.removeprefix(prefix): bucket.read(name) for name in names}


@pytest.fixture(scope="module")
def done(world, bucket, corpus, machine):
    """A run that was waited for, its work done by workers that have what was staged and nothing else."""
    with service(work_on(machine, world)) as dataflow:
        config = f"--config={corpus['there']}"
        said = world.run(config, "--run_id=done", "--json", *world.launch(dataflow))
        assert said.code == 0, said.err
        return json.loads(said.out), dataflow.polls


def test_job_that_was_waited_for_tells_its_result(done, bucket):
    told, polls = done
    manifest = json.loads(bucket.read("out/runs/done/manifest.json"))
    assert polls > 0
    assert told == {
        "status": "done",
        "run": f"gs://{BUCKET}/out/runs/done",
        "manifest": f"gs://{BUCKET}/out/runs/done/manifest.json",
        "notes": manifest["notes"],
        "totals": manifest["totals"],
    }
    assert manifest["totals"]["rows_read"] == 300
    assert manifest["totals"]["rows_written"] > 300


def test_same_job_gives_the_same_bytes_here(done, bucket, corpus, world):
    here = oblong("run", "--config", corpus["here"], "--run_id=done")
    assert here.code == 0, here.err
    manifest = json.loads(bucket.read("out/runs/done/manifest.json"))
    remote = run_files(bucket, "done", manifest["attempt"])
    local = data_files(world.folder / "out" / "runs" / "done")
    assert sorted(remote) == sorted(local)
    assert len(remote) > 8
    assert remote == local


def test_job_that_was_waited_for_leaves_its_run_alone_in_its_folder(done, bucket):
    attempt = json.loads(bucket.read("out/runs/done/manifest.json"))["attempt"]
    names = {name.removeprefix("out/runs/done/").partition("/")[0] for name in bucket.names("out/runs/done/")}
    assert names == {"manifest.json", attempt}


def test_run_that_is_committed_is_submitted_no_more(done, world, corpus):
    with service() as dataflow:
        said = world.run(f"--config={corpus['there']}", "--run_id=done", "--json", *world.launch(dataflow))
        assert (said.code, json.loads(said.out)["status"]) == (0, "already done")
        assert dataflow.jobs == {}


def test_job_that_fails_is_told_in_one_line(world, corpus, bucket):
    with service(
        lambda job: ("JOB_STATE_FAILED", "Traceback (most recent call last):\nOSError: disk full")
    ) as dataflow:
        said = world.run(f"--config={corpus['there']}", "--run_id=fails", *world.launch(dataflow))
    assert said.code == 1
    assert "OSError: disk full" in one_line(said)
    assert "nothing is committed" in one_line(said)
    assert "out/runs/fails/manifest.json" not in bucket.names()


def test_sentence_of_ours_is_told_as_it_is_where_a_worker_raised_it(world, corpus):
    raised = "transforms.arrays.errors.JobError: read.files: gs://b/a had 3 bytes [while running 'Read/ParDo(_Read)']"
    error = f"Traceback (most recent call last):\n  File x\n{raised}\n"
    with service(lambda job: ("JOB_STATE_FAILED", error)) as dataflow:
        said = world.run(f"--config={corpus['there']}", "--run_id=raises", *world.launch(dataflow))
    assert said.code == 1
    assert one_line(said) == "read.files: gs://b/a had 3 bytes"


def test_job_that_somebody_cancels_is_no_success(world, corpus):
    with service(lambda job: ("JOB_STATE_CANCELLED", "")) as dataflow:
        said = world.run(f"--config={corpus['there']}", "--run_id=cancelled", *world.launch(dataflow))
    assert said.code == 1
    assert "CANCELLED" in one_line(said)


def test_ctrl_c_leaves_the_job_running_and_says_how_to_stop_it(world, corpus, bucket):
    with service(without_workers) as dataflow:
        flags = [f"--config={corpus['there']}", "--run_id=left", *world.launch(dataflow)]
        said = interrupted(world.start(["-m", "pipeline", "run", *flags]), dataflow)
        assert said.code == 130
        assert dataflow.job["currentState"] == "JOB_STATE_RUNNING"
        where = f"{dataflow.job['id']} --region=us-central1 --project=made-up-project"
        assert f"gcloud dataflow jobs cancel {where}" in one_line(said)
    # What its workers need is still there.
    kept = [name.rpartition("/")[2] for name in bucket.names("out/runs/left/")]
    assert sorted(kept) == ["described.json", "tokenizer.json", "tokenizer_config.json", "units.jsonl"]


def test_second_launch_of_a_run_that_goes_on_is_refused(world, corpus):
    with service(without_workers) as dataflow:
        flags = [f"--config={corpus['there']}", "--run_id=twice", "--no_wait", *world.launch(dataflow)]
        assert world.run(*flags).code == 0
        said = world.run(*flags)
        assert len(dataflow.jobs) == 1
    assert said.code == 1
    assert "oblong-twice" in one_line(said)


def test_dry_run_asks_nobody_and_writes_nothing(world, corpus, bucket):
    before = bucket.names()
    said = world.run(f"--config={corpus['there']}", "--dry_run=true", *world.launch(None))
    assert said.code == 0, said.err
    assert "the job can be submitted" in said.out
    assert bucket.names() == before


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--temp_location=/tmp/x"], "--temp_location: '/tmp/x' is no place on Cloud Storage"),
        (["--temp_location=gs://Upper/x"], "--temp_location: 'gs://Upper/x' is no place on Cloud Storage"),
        (["--staging_location=x"], "--staging_location: 'x' is no place on Cloud Storage"),
        (["--template_location=gs://b/classic"], "--template_location: a classic template would freeze one attempt"),
        (["--job_name=Nightly_1"], "--job_name: 'Nightly_1' is none that Dataflow takes"),
        (["--region="], "--region: DataflowRunner cannot do without it"),
        (["--setup_file=nowhere/setup.py"], "--setup_file: there is no file nowhere/setup.py"),
        (["--output=out"], "write.path: out is on this machine's disk"),
        (["--set=run.shuffle=files"], "run.shuffle: files needs a disk that all workers see"),
        (["--streaming"], "--streaming: "),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_touched(world, corpus, bucket, flags, said):
    before = bucket.names()
    with service() as dataflow:
        found = world.run(f"--config={corpus['there']}", "--run_id=refused", *world.launch(dataflow), *flags)
        assert dataflow.jobs == {}
    assert found.code == 2
    assert one_line(found).startswith(said)
    assert bucket.names() == before


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--project=X"], "Invalid Project ID (X)"),
        (["--num_workers=9", "--max_num_workers=2"], "num_workers (9) cannot exceed max_num_workers (2)"),
        (["--worker_zone=a", "--worker_region=b"], "worker_region and worker_zone are mutually exclusive"),
    ],
)
def test_what_beam_refuses_is_the_users_mistake(world, corpus, flags, said):
    # Beam looks at options for the real service only; a dry run asks nobody.
    real = [flag for flag in world.launch(None) if not flag.startswith("--dataflow_endpoint")]
    found = world.run(f"--config={corpus['there']}", *real, "--dry_run=true", *flags)
    assert found.code == 2
    assert said in one_line(found)
