import argparse
import logging
from types import SimpleNamespace

import pytest

from pipeline.dataflow import check_dataflow, job_name, shorten_traceback, without_trailer
from transforms.arrays.errors import ConfigError

# As the service passes on what a worker raised.
PASSED_ON = """Error message from worker: generic::unknown: Traceback (most recent call last):
  File "apache_beam/runners/common.py", line 1435, in process
OSError: disk full

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "write.py", line 3, in process
RuntimeError: disk full [while running 'WriteShards/Write-ptransform-22']

passed through:
==>
    dist_proc/dax/workflow/worker/fnapi_service_impl.cc:1335"""


def options(**given):
    names = dict.fromkeys(("temp_location", "staging_location", "template_location", "job_name"))
    return argparse.Namespace(**names | given)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"temp_location": "gs://bucket"},
        {"temp_location": "gs://my.bucket_1-x/tmp/a b"},
        {"job_name": "a"},
        {"job_name": "nightly-2"},
        {"template_location": "job.json"},
        {"template_location": "gs://b/staging/template_launches/2030-01-01_00_00_00-1/job_object"},
    ],
)
def test_options_that_dataflow_takes_are_left_alone(given):
    check_dataflow(options(**given))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"temp_location": "tmp"}, "--temp_location: 'tmp' is no place on Cloud Storage"),
        ({"temp_location": "gs://"}, "--temp_location: 'gs://' is no place"),
        ({"staging_location": "s3://b/x"}, "--staging_location: 's3://b/x' is no place"),
        ({"job_name": "Nightly"}, "--job_name: 'Nightly' is none that Dataflow takes"),
        ({"job_name": "nightly-"}, "--job_name: 'nightly-' is none that Dataflow takes"),
        ({"template_location": "gs://b/templates/classic"}, "--template_location: a classic template would freeze"),
    ],
)
def test_options_that_would_go_wrong_late_are_refused(given, said):
    with pytest.raises(ConfigError) as error:
        check_dataflow(options(**given))
    assert str(error.value).startswith(said)


@pytest.mark.parametrize(
    ("run_id", "name"),
    [
        ("first", "oblong-first"),
        ("2030.01.01_a", "oblong-2030-01-01-a-57fb5841"),
        ("A--b.", "oblong-a-b-968fd0a5"),
        ("x" * 56, "oblong-" + "x" * 56),
        ("x" * 57, "oblong-" + "x" * 47 + "-ae14a256"),
    ],
)
def test_jobs_are_named_after_their_run_as_dataflow_takes_it(run_id, name):
    assert job_name(SimpleNamespace(run_id=run_id)) == name
    check_dataflow(options(job_name=name))


def test_runs_that_differ_have_jobs_that_differ():
    runs = ["a.b", "a_b", "A-b", "a-b", "a-b.", "x" * 70 + "1", "x" * 70 + "2"]
    assert len({job_name(SimpleNamespace(run_id=run)) for run in runs}) == len(runs)


def test_what_the_service_puts_after_an_error_is_taken_off():
    assert without_trailer(PASSED_ON).splitlines()[-1].startswith("RuntimeError: disk full")
    assert without_trailer("one line") == "one line"


@pytest.mark.parametrize(
    ("message", "arguments", "shown"),
    [
        ("%s: %s", ("now", PASSED_ON), "now: Error message from worker: generic::unknown: RuntimeError: disk full"),
        ("Job %s is in state %s", (1, "JOB_STATE_DONE"), "Job 1 is in state JOB_STATE_DONE"),
        ("100 % of\nit", (), "100 % of\nit"),
    ],
)
def test_log_shows_a_workers_error_without_the_way_to_it(message, arguments, shown):
    record = logging.LogRecord("beam", logging.ERROR, "x.py", 1, message, arguments, None)
    assert shorten_traceback(record)
    assert record.getMessage().removesuffix(" [while running 'WriteShards/Write-ptransform-22']") == shown
