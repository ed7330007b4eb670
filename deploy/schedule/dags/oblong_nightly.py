"""An Airflow DAG that adds what has arrived to a data set, every night, and reads back what was added.

Oblong is in an environment of its own, since Airflow's packages and Beam's do not go together. Where things are
stands in Airflow's variables, e.g. `airflow variables set oblong_folder /srv/oblong`:

    oblong_folder   the folder that job.yaml is in; its relative paths begin there
    oblong_command  the command, e.g. /opt/oblong/bin/oblong; without it `oblong`, wherever PATH finds it
    oblong_alert    who gets a mail when a night has failed, by the connection smtp_default
"""

import json
from datetime import datetime, timedelta, timezone

from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

# The same in every attempt at a night, whatever the clock says then; a run by hand may have no logical date.
DATE = "{{ (dag_run.logical_date or dag_run.run_after) | ds }}"
COMMAND = "{{ var.value.get('oblong_command', 'oblong') }}"

# Notes for people go to the log, and the one JSON object stands in its last line, for the next task.
RUN = """
report=$("$OBLONG" run --config job.yaml --run_id "$DATE" --json) || exit
echo "$report"
"""

# After a night with nothing new there is no run to verify: 99 is "skipped".
VERIFY = """
[ "$STATUS" != "nothing new" ] || exit 99
exec "$OBLONG" verify "$FOLDER"
"""

with DAG(
    dag_id="oblong_nightly",
    description="Adds what has arrived to the data set",
    schedule="0 3 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,  # nights that were missed need no run of their own: the next one reads all that is new
    max_active_runs=1,  # two at once would find the same files new, and one of them would fail
    default_args={
        "cwd": "{{ var.value.oblong_folder }}",
        "append_env": True,
        "on_failure_callback": SmtpNotifier(
            to="{{ var.value.oblong_alert }}",
            subject="{{ dag.dag_id }} has failed at {{ ti.task_id }}: {{ dag_run.run_id }}",
            html_content="The run has no manifest, or differs from it; the log of the DAG's run says which.",
        ),
    },
):
    run = BashOperator(
        task_id="run",
        bash_command=RUN,
        env={"OBLONG": COMMAND, "DATE": DATE},
        output_processor=json.loads,
        retries=3,  # each is an attempt of its own at the same run, and nothing has to be cleared up between them
        retry_exponential_backoff=2,
        execution_timeout=timedelta(hours=5),  # a job that hangs is ended, and tried again
    )
    verify = BashOperator(
        task_id="verify",
        bash_command=VERIFY,
        env={
            "OBLONG": COMMAND,
            "STATUS": "{{ ti.xcom_pull('run')['status'] }}",
            "FOLDER": "{{ ti.xcom_pull('run')['run'] }}",
        },
    )
    run >> verify
