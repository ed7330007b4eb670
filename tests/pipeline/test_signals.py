import io
import os
import signal
import subprocess
import sys
import threading

import pytest

from pipeline.signals import Stop, heed_signals, undisturbed


@pytest.fixture(autouse=True)
def handlers(monkeypatch):
    """The process's own handlers and stderr are as they were afterwards; its last moments are those of others too."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr("atexit.register", lambda function: None)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr("pipeline.signals.AGAIN", 1e6)
    for number in before:
        signal.signal(number, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "word", "code"), [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)]
)
def test_signal_stops_the_command_and_is_known_afterwards(number, word, code):
    with pytest.raises(KeyboardInterrupt), heed_signals() as stop:
        signal.raise_signal(number)
    assert (stop.word, stop.code, stop.heard) == (word, code, True)


def test_second_signal_says_nothing_new_until_patience_ends(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    stop = Stop()
    with pytest.raises(KeyboardInterrupt):
        stop.hear(signal.SIGINT, None)
    now[0] += 29
    stop.hear(signal.SIGTERM, None)
    assert stop.code == 130
    now[0] += 2
    with pytest.raises(KeyboardInterrupt):
        stop.hear(signal.SIGTERM, None)
    assert stop.code == 143


def test_signal_that_the_process_was_started_to_ignore_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with heed_signals() as stop:
        signal.raise_signal(signal.SIGINT)
    assert not stop.heard


def test_first_signal_after_the_end_changes_nothing_and_the_second_kills():
    with heed_signals() as stop:
        stop.end()
        signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert not stop.heard


def test_signal_in_the_last_moments_of_a_process_leaves_its_exit_code():
    code = """
import os, sys
from pipeline.signals import heed_signals
class Last:
    def __del__(self, kill=os.kill, own=os.getpid()):
        kill(own, 15)
sys.last = Last()  # gone when Python has no handlers any more
with heed_signals():
    pass
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_threads_of_a_stopped_command_say_nothing_more(monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    with heed_signals() as stop:
        for when in ("before", "after"):
            thread = threading.Thread(target=lambda when=when: sys.stderr.write(f"thread {when} "))
            thread.start()
            thread.join()
            stop.heard = True
        sys.stderr.write("the command")
    assert shown.getvalue() == "thread before the command"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_cleared_up_is_cleared_up_and_the_signal_comes_behind_it(number):
    done = []

    def clear_up():
        with undisturbed():
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            done.append("cleared up")

    with pytest.raises(KeyboardInterrupt):
        clear_up()
    assert done == ["cleared up"]
    assert signal.getsignal(number) == signal.default_int_handler


def test_other_threads_clear_up_as_they_are():
    failures = []

    def clear_up():
        try:
            with undisturbed():
                pass
        except ValueError as error:
            failures.append(error)

    thread = threading.Thread(target=clear_up)
    thread.start()
    thread.join()
    assert failures == []


DROPS = """
import signal, sys, time
from pipeline import signals
signals.AGAIN = 0.2
class Finalized:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)
with signals.heed_signals() as stop:
    try:
        Finalized()
        print("went on", flush=True)
        time.sleep(20)
    except KeyboardInterrupt:
        print("stopped", stop.word)
        stop.end()
"""


def test_signal_that_python_drops_comes_again():
    """An exception raised in a finalizer goes nowhere."""
    done = subprocess.run([sys.executable, "-c", DROPS], capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout.splitlines(), done.stderr, done.returncode) == (["went on", "stopped terminated"], "", 0)


PASSES_ON = """
import signal, time
from pipeline import signals
signals.AGAIN = 0.2
with signals.heed_signals() as stop:
    try:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as interrupt:
            raise RuntimeError("on its way") from interrupt
    except RuntimeError as error:
        time.sleep(1)
        print(type(error.__cause__).__name__)
    stop.end()
    time.sleep(1)
print("once")
"""


def test_signal_that_is_on_its_way_does_not_come_again():
    done = subprocess.run([sys.executable, "-c", PASSES_ON], capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout.splitlines(), done.stderr, done.returncode) == (["Stopped", "once"], "", 0)
