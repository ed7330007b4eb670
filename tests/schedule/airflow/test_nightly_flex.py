"""The DAG that launches the Flex template: what it asks of the service, held against the service's own protocol."""

from __future__ import annotations

import ast
import json
import re

import pytest

from tests.schedule.nights import ROOT

DAG = "oblong_nightly_flex"
METADATA = json.loads((ROOT / "deploy" / "dataflow" / "metadata.json").read_text())
PARAMETERS = {parameter["name"]: parameter for parameter in METADATA["parameters"]}
VARIABLES = {
    "PROJECT": "made-up-project",
    "REGION": "us-central1",
    "BUCKET": "made-up-bucket",
    "WORKERS": "oblong-workers@made-up-project.iam.gserviceaccount.com",
    "ALERT": "root@localhost",
}
CHECK = """
import json, sys
from google.cloud.dataflow_v1beta3 import LaunchFlexTemplateRequest
from google.protobuf import json_format
body = {body!r}
found = json_format.ParseDict(body, LaunchFlexTemplateRequest.pb(LaunchFlexTemplateRequest()))
print(json.dumps(dict(found.launch_parameter.parameters)))
"""


@pytest.fixture(scope="module")
def asked(airflow):
    """What its tasks are on a day, as Airflow renders them."""
    variables = {f"AIRFLOW_VAR_OBLONG_{name}": value for name, value in VARIABLES.items()}
    airflow.call("dags", "reserialize")
    found = {}
    for task in ("run", "committed"):
        said = airflow.call("tasks", "render", DAG, task, "2026-11-22", **variables)
        parts = re.split(r"^# property: (\w+)$", re.sub(r"^# -+\n", "", said, flags=re.MULTILINE), flags=re.MULTILINE)
        found[task] = {name.strip(): text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}
    return found


def body_of(asked):
    return ast.literal_eval(asked["run"]["body"])


def test_launch_is_what_the_service_takes(airflow, asked):
    body = body_of(asked) | {"projectId": asked["run"]["project_id"], "location": asked["run"]["location"]}
    parameters = airflow.ask(CHECK.format(body=body))
    assert parameters == {"config": "gs://made-up-bucket/job.yaml", "run_id": "2026-11-22"}
    for name, value in parameters.items():
        assert all(re.fullmatch(expression, value) for expression in PARAMETERS[name]["regexes"]), name
    launch = body["launchParameter"]
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", launch["jobName"])
    assert launch["containerSpecGcsPath"] == "gs://made-up-bucket/templates/oblong.json"
    assert launch["environment"]["serviceAccountEmail"] == VARIABLES["WORKERS"]
    assert (body["projectId"], body["location"]) == ("made-up-project", "us-central1")


def test_slip_of_the_pen_in_a_launch_is_noticed(airflow, asked):
    wrong = json.loads(json.dumps(body_of(asked)).replace("maxWorkers", "maxWorker"))
    with pytest.raises(AssertionError, match="maxWorker"):
        airflow.ask(CHECK.format(body=wrong))


def test_manifest_is_looked_for_where_the_run_leaves_it(asked):
    assert asked["committed"]["bucket"] == "made-up-bucket"
    assert asked["committed"]["object"] == "out/runs/2026-11-22/manifest.json"


def test_dag_has_one_run_at_a_time_of_one_job_of_that_name(airflow):
    script = f"""
import json, {DAG} as module
dag, run = module.run.dag, module.run
print(json.dumps([dag.max_active_runs, dag.catchup, run.append_job_name, run.deferrable, run.retries]))
"""
    assert airflow.ask(script) == [1, False, False, True, 3]
