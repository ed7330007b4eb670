"""What docs/schedule.md has you type for cron and systemd; what needs the machine's own is noted down instead."""

from __future__ import annotations

import subprocess

from tests.markdown import CLOUD, MADE_BEFORE, blocks, make_small_demo
from tests.schedule.nights import ROOT, SCHEDULE, Nights

NOTED = ("sudo", "crontab", "gcloud")


def test_commands_of_the_page_run(tmp_path):
    nights = Nights(tmp_path / "machine")
    folder = tmp_path / "here"
    folder.mkdir()
    make_small_demo(folder)
    for name in ("configs", "deploy"):
        (folder / name).symlink_to(ROOT / name)
    for name in NOTED:
        nights.program(name, f'echo {name} "$@" >> {folder}/noted')
    found = [block.text for block in blocks(ROOT / "docs" / "schedule.md") if block.language == CLOUD]
    script = "".join(text for text in found if "airflow " not in text)
    script = script.replace(" ".join(MADE_BEFORE) + "\n", "").replace("FOLDER=/srv/oblong", f"FOLDER={tmp_path}/srv")
    command = ["bash", "-euc", script]
    environ = nights.environ("2026-11-22")
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = ("the job can start", "done: out/runs/2026-11-22", "already done: out/runs/2026-11-22", "ok: ")
    assert [part for part in said if part not in done.stdout] == []
    noted = (folder / "noted").read_text().splitlines()
    assert noted[0] == "crontab deploy/schedule/crontab"
    (source,) = (word.partition("=")[2] for word in noted[-1].split() if word.startswith("--source="))
    assert (ROOT / source).is_file()
    (copied,) = (line.split()[2:-1] for line in noted if line.startswith("sudo cp"))
    assert {(folder / path).resolve() for path in copied} == set((SCHEDULE / "systemd").iterdir())
