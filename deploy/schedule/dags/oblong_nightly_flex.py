"""An Airflow DAG that launches the Flex template every night, from Composer too, and looks for the manifest.

docs/dataflow.md makes the template. Where things are stands in Airflow's variables:

    oblong_project  the project
    oblong_region   where jobs run, e.g. us-central1
    oblong_bucket   the bucket with job.yaml, templates/oblong.json and the data set out/
    oblong_workers  the account that workers run as
    oblong_alert    who gets a mail when a night has failed, by the connection smtp_default
"""

from datetime import datetime, timedelta, timezone

from airflow.providers.google.cloud.operators.dataflow import DataflowStartFlexTemplateOperator
from airflow.providers.google.cloud.sensors.gcs import GCSObjectExistenceSensor
from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import DAG

# The same in every attempt at a night, whatever the clock says then; a run by hand may have no logical date.
DATE = "{{ (dag_run.logical_date or dag_run.run_after) | ds }}"

LAUNCH = {
    "jobName": "oblong-nightly",  # of one name at a time: the service refuses a second while the first goes on
    "containerSpecGcsPath": "gs://{{ var.value.oblong_bucket }}/templates/oblong.json",
    "parameters": {"config": "gs://{{ var.value.oblong_bucket }}/job.yaml", "run_id": DATE},
    "environment": {
        "serviceAccountEmail": "{{ var.value.oblong_workers }}",
        "stagingLocation": "gs://{{ var.value.oblong_bucket }}/staging",
        "tempLocation": "gs://{{ var.value.oblong_bucket }}/tmp",
        "maxWorkers": 10,
    },
}

with DAG(
    dag_id="oblong_nightly_flex",
    description="Adds what has arrived to the data set, on Dataflow",
    schedule="0 3 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,  # nights that were missed need no run of their own: the next one reads all that is new
    max_active_runs=1,  # two at once would find the same files new, and one of them would fail
    default_args={
        "on_failure_callback": SmtpNotifier(
            to="{{ var.value.oblong_alert }}",
            subject="{{ dag.dag_id }} has failed at {{ ti.task_id }}: {{ dag_run.run_id }}",
            html_content="The run has no manifest; the log of the DAG's run says where it ended.",
        ),
    },
):
    run = DataflowStartFlexTemplateOperator(
        task_id="run",
        project_id="{{ var.value.oblong_project }}",
        location="{{ var.value.oblong_region }}",
        body={"launchParameter": LAUNCH},
        append_job_name=False,  # or each attempt would have a name of its own, and could run beside the one before
        deferrable=True,  # waits for the job's end without a worker of Airflow
        retries=3,  # each is an attempt of its own at the same run, and nothing has to be cleared up between them
        retry_exponential_backoff=2,
        execution_timeout=timedelta(hours=5),  # a job that hangs is ended, and tried again
    )
    # A launch that went well is not yet a run. A night with nothing new leaves no manifest either: where such nights
    # are usual, soft_fail=True has them skipped.
    committed = GCSObjectExistenceSensor(
        task_id="committed",
        bucket="{{ var.value.oblong_bucket }}",
        object=f"out/runs/{DATE}/manifest.json",
        timeout=60,
    )
    run >> committed
