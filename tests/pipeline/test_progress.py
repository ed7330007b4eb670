import io
import sys
import time

import pytest

from pipeline import progress
from transforms.progress import Progress


class Terminal(io.StringIO):
    """A stream that takes itself for a terminal."""

    def isatty(self):
        return True


def test_line_is_shown_on_a_terminal_while_the_block_runs(tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "SECONDS", 0.01)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    notes = Progress(str(tmp_path))
    with progress.show_progress(notes, 1000):
        notes.note(bytes=500, rows=1234)
        _wait_for(terminal, "1,234 rows")
        notes.note(files=2, written=99)
        _wait_for(terminal, "99 written in 2 files")
    assert "Writing" in terminal.getvalue()


def _wait_for(terminal, text):
    deadline = time.monotonic() + 10
    while text not in terminal.getvalue():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_nothing_is_shown_elsewhere(tmp_path, capsys):
    notes = Progress(str(tmp_path))
    with progress.show_progress(notes, 1000):
        notes.note(bytes=500, rows=1234)
    assert capsys.readouterr() == ("", "")


def test_runner_without_notes_shows_nothing(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress.show_progress(None, 1000):
        pass
    assert terminal.getvalue() == ""


def test_error_of_the_block_passes_through(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(progress, "SECONDS", 0.01)
    with pytest.raises(KeyError, match="x"), progress.show_progress(Progress(str(tmp_path)), 0):
        raise KeyError("x")
