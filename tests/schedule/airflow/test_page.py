"""What docs/schedule.md has you type for Airflow."""

from __future__ import annotations

import shutil
import subprocess

from tests.markdown import CLOUD, blocks
from tests.schedule.airflow.command import ENDED, HOME
from tests.schedule.nights import ROOT, Nights


def test_commands_of_the_page_run_the_dag(airflow, tmp_path):
    nights = Nights(tmp_path / "machine")
    day = nights.day(1)
    (block,) = (b.text for b in blocks(ROOT / "docs" / "schedule.md") if b.language == CLOUD and "airflow " in b.text)
    block = block.replace("/srv/oblong", str(nights.folder)).replace("/opt/oblong/bin/oblong", str(nights.command))
    home = tmp_path / "airflow"
    shutil.copytree(airflow.environ["AIRFLOW_HOME"], home)
    (home / "dags").mkdir()
    environ = airflow.environ | {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags")}
    environ |= {"PATH": f"{HOME}:{environ['PATH']}"}
    command = ["bash", "-euc", block.replace("2026-11-22", day)]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ENDED.findall(done.stdout + done.stderr) == ["success"]
    nights.check_every_row_is_there_once([day])
