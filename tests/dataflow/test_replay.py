"""Staged jobs, run where there is nothing but what was staged, and where not even that is."""

from __future__ import annotations

import json

import pytest

from tests.clouds import BUCKET
from tests.dataflow.worlds import ROOT, service, staged
from tests.runs import data_files, oblong


@pytest.fixture(scope="module")
def job(world, bucket, corpus):
    """What a launch staged."""
    with service() as dataflow:
        said = world.run(f"--config={corpus['there']}", "--run_id=replayed", "--no_wait", *world.launch(dataflow))
        assert said.code == 0, said.err
        return staged(dataflow.job, bucket)


def test_machine_has_beam_and_nothing_of_ours(machine, world):
    said = machine.run(
        ["-c", "import apache_beam, tokenizers, pyarrow; print('beam'); import transforms"], world.environ
    )
    assert said.out == "beam\n"
    assert "ModuleNotFoundError: No module named 'transforms'" in said.err


def test_job_runs_on_what_was_staged(job, machine, world, bucket):
    said = machine.replay(job.pipeline, machine.install(job.artifacts), world.environ)
    assert said.out == "DONE\n", said.err
    manifest = json.loads(bucket.read("out/runs/replayed/manifest.json"))
    assert manifest["totals"]["rows_read"] == 300


def test_job_runs_on_nothing_less(job, machine, world):
    said = machine.replay(job.pipeline, None, world.environ)
    assert said.code != 0
    assert "ModuleNotFoundError: No module named 'transforms'" in said.err


def test_configurations_travel_with_the_package(job, machine):
    site = machine.install(job.artifacts)
    shipped = {path.name for path in (site / "configs").glob("*.yaml")}
    assert shipped == {path.name for path in (ROOT / "configs").glob("*.yaml")} != set()


def flex(service, launch, **parameters):
    """What the launcher of a Flex template passes on, beside the parameters."""
    folder = f"gs://{BUCKET}/staging"
    return [
        *(f"--{name}={value}" for name, value in parameters.items()),
        "--runner=DataflowRunner",
        "--project=made-up-project",
        "--region=us-central1",
        f"--temp_location=gs://{BUCKET}/tmp",
        f"--staging_location={folder}",
        f"--template_location={folder}/template_launches/{launch}/job_object",
        "--job_name=nightly",
        "--max_num_workers=4",
        "--service_account_email=workers@made-up-project.iam.gserviceaccount.com",
        "--labels=goog-dataflow-provided-template-type=flex",
        "--what_only_the_launcher_knows=1",
        f"--dataflow_endpoint={service.endpoint}",
        "--no_auth",
    ]


@pytest.fixture(scope="module")
def launched(image, world, bucket, corpus):
    """A job that the launcher of a Flex template made, and left for the service to start."""
    parameters = {"config": corpus["there"], "run_id": "flex", "set": "truncate.max_length=60"}
    with service() as dataflow:
        said = image.launch(world, *flex(dataflow, "first", **parameters))
        assert said.code == 0, said.err
        assert dataflow.jobs == {}
    return said, json.loads(bucket.read("staging/template_launches/first/job_object"))


def test_flex_launch_leaves_the_job_for_the_service_to_start(launched):
    said, job = launched
    assert "Traceback" not in said.err
    assert "--what_only_the_launcher_knows=1" in said.err
    assert job["name"] == "nightly"
    assert job["labels"]["goog-dataflow-provided-template-type"] == "flex"
    (pool,) = job["environment"]["workerPools"]
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 4
    assert pool["workerHarnessContainerImage"] == "r/oblong:1"


def test_flex_launch_stages_no_package_since_the_image_holds_it(launched, bucket):
    found = staged(launched[1], bucket)
    assert "workflow.tar.gz" not in found.artifacts


def test_job_of_a_flex_launch_commits_by_itself_in_workers_of_the_image(launched, image, world, bucket, corpus):
    said = image.replay(staged(launched[1], bucket).pipeline, world)
    assert said.out == "DONE\n", said.err
    manifest = json.loads(bucket.read("out/runs/flex/manifest.json"))
    here = oblong("run", "--config", corpus["here"], "--run_id=flex", "--set=truncate.max_length=60")
    assert here.code == 0, here.err
    prefix = f"out/runs/flex/{manifest['attempt']}/"
    local = data_files(world.folder / "out" / "runs" / "flex")
    remote = {name: bucket.read(f"{prefix}{name}") for name in local}
    assert remote == local
    assert_second_launch_leaves_a_job_that_does_nothing(image, world, bucket, corpus)


def assert_second_launch_leaves_a_job_that_does_nothing(image, world, bucket, corpus):
    before = {name: bucket.read(name) for name in bucket.names("out/runs/flex/")}
    parameters = {"config": corpus["there"], "run_id": "flex", "set": "truncate.max_length=60"}
    with service() as dataflow:
        said = image.launch(world, *flex(dataflow, "second", **parameters))
    assert (said.code, said.out) == (0, f"already done: gs://{BUCKET}/out/runs/flex\n")
    job = json.loads(bucket.read("staging/template_launches/second/job_object"))
    ran = image.replay(staged(job, bucket).pipeline, world)
    assert ran.out == "DONE\n", ran.err
    assert {name: bucket.read(name) for name in bucket.names("out/runs/flex/")} == before


def test_entry_file_makes_a_dry_run_too(image, world, corpus, bucket):
    before = bucket.names()
    with service() as dataflow:
        flags = [flag for flag in flex(dataflow, "dry", config=corpus["there"]) if "template_location" not in flag]
        said = image.launch(world, *flags, "--dry_run=true")
    assert said.code == 0, said.err
    assert "the job can be submitted" in said.out
    assert bucket.names() == before


def test_launch_with_a_wrong_parameter_fails_in_one_line(image, world, corpus, bucket):
    with service() as dataflow:
        said = image.launch(world, *flex(dataflow, "wrong", config=corpus["there"], set="truncate.max_lenght=32"))
    assert not bucket.names("staging/template_launches/wrong/")
    assert said.code == 2
    assert "truncate.max_lenght" in said.err.splitlines()[-1]
    assert "Traceback" not in said.err
