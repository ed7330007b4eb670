"""What a launch hands over: the job's description, the staged graph, and nothing that should not be in them."""

from __future__ import annotations

import json
import re
import zlib
from typing import Any, NamedTuple

import pytest
from apache_beam.runners.pipeline_context import PipelineContext

from tests.clouds import BUCKET
from tests.dataflow.worlds import Said, Staged, service, staged
from tests.pipeline.test_graph import PICKLING, PLAIN, parts
from tests.runs import write_jsonl

ACCOUNT = "workers@made-up-project.iam.gserviceaccount.com"

OPTIONS = [
    "--machine_type=n2-standard-4",
    "--num_workers=2",
    "--max_num_workers=9",
    "--autoscaling_algorithm=THROUGHPUT_BASED",
    "--disk_size_gb=60",
    "--labels=team=text",
    "--labels=airflow-version=v3",
    f"--service_account_email={ACCOUNT}",
    "--network=nets",
    "--subnetwork=regions/us-central1/subnetworks/sub",
    "--no_use_public_ips",
    "--worker_zone=us-central1-b",
    "--number_of_worker_harness_threads=3",
    "--experiments=shuffle_mode=service",
    "--dataflow_service_options=enable_google_cloud_profiler",
    "--dataflow_kms_key=projects/p/locations/l/keyRings/r/cryptoKeys/k",
]


class Submitted(NamedTuple):
    """A job as the service got it."""

    said: Said
    job: dict[str, Any]
    polls: int
    staged: Staged
    names: list[str]


@pytest.fixture(scope="module")
def submitted(world, bucket, corpus):
    """A job that was submitted with many options and not waited for."""
    before = set(bucket.names())
    with service() as dataflow:
        flags = world.launch(dataflow, *OPTIONS)
        said = world.run(f"--config={corpus['there']}", "--run_id=submitted", "--no_wait", *flags)
        assert said.code == 0, said.err
        names = [name for name in bucket.names() if name not in before]
        return Submitted(said, dataflow.job, dataflow.polls, staged(dataflow.job, bucket), names)


def test_job_is_left_alone_after_it_was_submitted_and_it_is_said_how_to_stop_it(submitted):
    assert submitted.polls == 0
    assert f"gcloud dataflow jobs cancel {submitted.job['id']} --region=us-central1" in submitted.said.out
    assert f"submitted: gs://{BUCKET}/out/runs/submitted\n" in submitted.said.out


def test_job_is_named_after_its_run(submitted):
    assert submitted.job["name"] == "oblong-submitted"


def pool(job):
    (found,) = job["environment"]["workerPools"]
    return found


@pytest.mark.parametrize(
    ("find", "expected"),
    [
        (lambda job: pool(job)["machineType"], "n2-standard-4"),
        (lambda job: pool(job)["numWorkers"], 2),
        (lambda job: pool(job)["autoscalingSettings"], {"maxNumWorkers": 9, "algorithm": 2}),
        (lambda job: pool(job)["diskSizeGb"], 60),
        (lambda job: job["labels"], {"team": "text", "airflow-version": "v3"}),
        (lambda job: job["environment"]["serviceAccountEmail"], ACCOUNT),
        (lambda job: pool(job)["network"], "nets"),
        (lambda job: pool(job)["subnetwork"], "regions/us-central1/subnetworks/sub"),
        (lambda job: pool(job)["ipConfiguration"], 2),  # private
        (lambda job: job["environment"]["workerZone"], "us-central1-b"),
        (lambda job: pool(job)["numThreadsPerWorker"], 3),
        (lambda job: "shuffle_mode=service" in job["environment"]["experiments"], True),
        (lambda job: job["environment"]["serviceOptions"], ["enable_google_cloud_profiler"]),
        (lambda job: job["environment"]["serviceKmsKeyName"], "projects/p/locations/l/keyRings/r/cryptoKeys/k"),
    ],
    ids=[
        *("machine type", "workers", "autoscaling", "disk", "labels", "account", "network", "subnetwork", "addresses"),
        *("zone", "threads", "experiments", "service options", "key"),
    ],
)
def test_option_is_passed_on(submitted, find, expected):
    assert find(submitted.job) == expected


def test_tokenizer_and_what_is_known_of_the_run_are_put_where_the_output_goes(submitted, bucket, tokenizer):
    (name,) = (name for name in submitted.names if name.endswith("/tokenizer.json"))
    assert re.fullmatch(r"out/runs/submitted/attempt-[^/]+/tokenizer/tokenizer.json", name)
    assert bucket.read(name) == (tokenizer / "tokenizer.json").read_bytes()


def test_workers_are_told_of_no_file_on_the_launchers_disk(submitted, world):
    described = json.dumps(submitted.job).encode() + submitted.staged.pipeline
    assert str(world.folder).encode() not in described


def test_description_is_small_and_cannot_hold_the_tokenizer(submitted, tokenizer):
    assert len(zlib.compress((tokenizer / "tokenizer.json").read_bytes(), 9)) > 200_000
    assert len(submitted.staged.pipeline) < 80_000
    assert len(json.dumps(submitted.job)) < 20_000


def test_description_does_not_grow_with_the_number_of_inputs(submitted, world, bucket, corpus):
    for number in range(200):
        row = {"text": f"w{number}", "other": "w1", "label": 1, "score": 1.0, "easy": True, "name": "x"}
        content = write_jsonl(world.folder / "many" / f"{number}.jsonl", [row]).read_bytes()
        bucket.write(f"many/a-name-that-is-not-so-short-{number:05}.jsonl", content)
    with service() as dataflow:
        flags = world.launch(dataflow, f"--input=gs://{BUCKET}/many/*.jsonl", "--run_id=many", "--no_wait")
        assert world.run(f"--config={corpus['there']}", *flags).code == 0
        many = staged(dataflow.job, bucket)
    assert abs(len(many.pipeline) - len(submitted.staged.pipeline)) < 2_000


def test_no_session_of_the_launcher_is_staged(submitted):
    assert set(submitted.staged.artifacts) == {"workflow.tar.gz", "submission_environment_dependencies.txt"}


def spelled(coder):
    """A coder with those that it is made of."""
    inner = ", ".join(spelled(part) for part in coder._get_component_coders())
    return type(coder).__name__.removesuffix("Coder") + (f"<{inner}>" if inner else "")


def leaves(proto):
    """The steps that do something, with the coders of what they give."""
    context = PipelineContext(proto.components)
    return {
        transform.unique_name: [
            context.coders.get_by_id(proto.components.pcollections[output].coder_id)
            for output in transform.outputs.values()
        ]
        for transform in proto.components.transforms.values()
        if transform.outputs and not transform.subtransforms
    }


# What Beam makes of Create, Reshuffle and CombineGlobally is its own business.
BEAMS = re.compile(r"AddCounts/|Once/|Read/Splits/|Read/Spread/")

STEPS = {
    "Read/ParDo(_Read)/ParDo(_Read)": ["Map", "RecordBatch", "RecordBatch"],
    "Tokenize/ParDo(_Tokenize)/ParDo(_Tokenize)": ["Map", "RecordBatch", "RecordBatch"],
    "Truncate/ParDo(_Truncate)/ParDo(_Truncate)": ["Map", "RecordBatch", "RecordBatch"],
    "BucketByLength/ParDo(_Deal)": ["Tuple<StrUtf8, RecordBatch>"],
    "DeadLetters": ["RecordBatch"],
    "CountReasons": ["Map"],
    "Counts": ["Map"],
    "WriteDeadLetters/ParDo(_Deal)": ["Tuple<VarInt, RecordBatch>"],
    "WriteDeadLetters/GroupByKey": ["Tuple<VarInt, Iterable<RecordBatch>>"],
    "WriteDeadLetters/ParDo(_Write)": ["FastPrimitives"],  # what the manifest says of a file
    "CheckDeadLetters": ["FastPrimitives"],  # sums; a side input on Dataflow has no type
    "WriteShards/Key": ["Tuple<StrUtf8, RecordBatch>"],
    "WriteShards/GroupShards/GroupByKey": ["Tuple<StrUtf8, Iterable<RecordBatch>>"],
    "WriteShards/Write": ["FastPrimitives"],  # what the manifest says of a shard
    "Commit": ["Map"],
}


def test_steps_and_their_coders_are_those_that_were_looked_at(submitted):
    found = {name: sorted(map(spelled, coders)) for name, coders in leaves(submitted.staged.proto).items()}
    assert {name: coders for name, coders in found.items() if not BEAMS.match(name)} == STEPS


def test_batches_never_meet_a_pickling_coder_on_the_way(submitted):
    found = leaves(submitted.staged.proto)
    pickled = [name for name, coders in found.items() if any(isinstance(p, PICKLING) for c in coders for p in parts(c))]
    assert [name for name in pickled if not name.startswith((*PLAIN, "CheckDeadLetters"))] == []


def test_steps_are_labelled_as_in_the_graph(submitted):
    labels = {transform.unique_name for transform in submitted.staged.proto.components.transforms.values()}
    steps = {"Read", "Tokenize", "Truncate", "BucketByLength", "WriteDeadLetters", "WriteShards", "Commit"}
    assert steps <= labels
