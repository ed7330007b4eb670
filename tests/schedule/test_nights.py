"""Cron and systemd as they are set up, each through three days of arriving files, a crash on the second, its retry."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import time
from configparser import RawConfigParser
from typing import NamedTuple

import pytest

from tests.schedule.nights import SCHEDULE, Nights

if shutil.which("flock") is None:
    pytest.skip("there is no flock here", allow_module_level=True)

CRONTAB = SCHEDULE / "crontab"
UNITS = SCHEDULE / "systemd"


class Lines(NamedTuple):
    """A way to run at night.

    Attributes:
        nightly: The line that runs the job.
        check: The line that looks for the manifest.
        environ: What the line finds in its environment.
    """

    nightly: str
    check: str
    environ: tuple[str, ...] = ()


def cron_lines():
    """The lines as cron reads them: an unescaped % would end the command, an escaped one is a %."""
    commands = [line for line in CRONTAB.read_text().splitlines() if re.match(r"[\d*]", line)]
    for line in commands:
        assert re.search(r"(?<!\\)%", line) is None
    nightly, check = (line.split(None, 5)[5].replace("\\%", "%") for line in commands)
    return Lines(nightly, check, ("FOLDER",))


def unit(name):
    found = RawConfigParser(strict=False)
    found.optionxform = str  # type: ignore[assignment, method-assign]
    found.read(UNITS / name)
    return found


def systemd_line(name):
    """The command as systemd reads it: %% is a %, $$ is a $."""
    words = shlex.split(unit(name)["Service"]["ExecStart"])
    assert not re.search(r"(?<!%)%(?!%)", " ".join(words).replace("%%", ""))
    return shlex.join(word.replace("%%", "%").replace("$$", "$") for word in words)


WAYS = {"cron": cron_lines(), "systemd": Lines(systemd_line("oblong.service"), systemd_line("oblong-check.service"))}


@pytest.fixture
def nights(tmp_path):
    return Nights(tmp_path)


def start(nights, way, day, line="nightly"):
    lines = WAYS[way]
    return nights.start(getattr(lines, line), day, **{name: str(nights.folder) for name in lines.environ})


def finish(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out + err


def said_by(nights, way, said):
    """What the job said: cron has it in a file."""
    return said if way == "systemd" else (nights.folder / "nightly.log").read_text() + said


@pytest.mark.parametrize(("way", "moment"), [("cron", "written"), ("systemd", "spilled")])
def test_three_days_a_crash_and_its_retry_leave_every_row_once(nights, way, moment):
    first = nights.day(1)
    assert finish(start(nights, way, first))[0] == 0

    second = nights.day(2)
    killed = start(nights, way, second)
    nights.kill_midway(second, moment, killed)
    code, said = finish(start(nights, way, second, "check"))
    assert "has no manifest.json" in said
    assert code == (0 if way == "cron" else 2)  # cron mails what is said, systemd goes by the code
    assert finish(start(nights, way, second))[0] == 0
    assert finish(start(nights, way, second, "check"))[0] == 0

    third = nights.day(3)
    before = nights.written()
    code, said = finish(start(nights, way, second))
    assert code == 0
    assert "already done: out/runs/2026-11-21" in said_by(nights, way, said)
    assert nights.written() == before  # what has arrived since is for the next run

    assert finish(start(nights, way, third))[0] == 0
    nights.check_every_row_is_there_once([first, second, third])
    assert nights.inputs(third) == ["3-a.jsonl", "3-b.jsonl"]

    before = nights.written()
    code, said = finish(start(nights, way, "2026-11-23"))
    assert code == 0
    assert "nothing new" in said_by(nights, way, said)
    assert nights.written() == before


@pytest.mark.parametrize("way", WAYS)
def test_day_that_never_came_to_its_end_is_in_the_run_of_the_next(nights, way):
    first, second = nights.day(1), nights.day(2)
    killed = start(nights, way, first)
    nights.kill_midway(first, "spilled", killed)
    assert finish(start(nights, way, second))[0] == 0
    assert finish(start(nights, way, first))[0] == 0  # its retry comes too late, and finds nothing new
    nights.check_every_row_is_there_once([second])


def test_file_that_has_just_arrived_waits_for_the_next_night(nights):
    first = nights.day(1)
    nights.arrive("young.jsonl", age=1)
    assert finish(start(nights, "systemd", first))[0] == 0
    assert nights.inputs(first) == ["1-a.jsonl", "1-b.jsonl"]
    nights.arrive("young.jsonl")
    assert finish(start(nights, "systemd", "2026-11-21"))[0] == 0
    nights.check_every_row_is_there_once([first, "2026-11-21"])


def test_second_of_two_lines_of_cron_leaves_at_once(nights):
    second = nights.day(2)
    going = start(nights, "cron", second)
    while not nights.started():
        time.sleep(0.001)
    assert finish(start(nights, "cron", second)) == (0, "")
    assert len(nights.started()) == 1
    assert going.poll() is None  # the first goes on
    assert finish(going) == (0, "")
    nights.check_every_row_is_there_once([second])


def test_cron_prints_nothing_unless_a_night_has_failed(nights):
    first = nights.day(1)
    assert finish(start(nights, "cron", first)) == (0, "")
    assert finish(start(nights, "cron", first, "check")) == (0, "")
    (nights.folder / "tokenizer" / "tokenizer.json").unlink()
    folder = nights.folder
    expected = f"oblong: the run of 2026-11-21 has failed, see {folder}/nightly.log\n"
    assert finish(start(nights, "cron", "2026-11-21")) == (0, expected)
    assert "tokenizer" in (folder / "nightly.log").read_text().splitlines()[-1]


def test_check_says_which_file_is_damaged(nights):
    first = nights.day(1)
    finish(start(nights, "systemd", first))
    (shard, *_) = nights.folder.glob(f"out/runs/{first}/attempt-*/train/*/*.parquet")
    shard.write_bytes(shard.read_bytes()[:-1])
    for way, code in (("systemd", 3), ("cron", 0)):
        found, said = finish(start(nights, way, first, "check"))
        assert found == code
        assert shard.name in said


def verify_units(folder):
    done = subprocess.run(
        ["systemd-analyze", "verify", *sorted(str(path) for path in folder.iterdir())],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_units_are_what_systemd_takes(tmp_path):
    assert verify_units(UNITS) == (0, "")
    copy = tmp_path / "units"
    shutil.copytree(UNITS, copy)
    timer = copy / "oblong.timer"
    timer.write_text(timer.read_text().replace("Persistent=", "Persistant="))
    assert "Persistant" in verify_units(copy)[1]


def test_units_name_each_other():
    for name in ("oblong", "oblong-check"):
        assert (UNITS / f"{name}.service").exists()
        assert unit(f"{name}.timer")["Install"]["WantedBy"] == "timers.target"
        alert = unit(f"{name}.service")["Unit"]["OnFailure"]
        assert (UNITS / alert.replace("%n", "")).exists()
    assert unit("oblong.timer")["Timer"].getboolean("Persistent")
