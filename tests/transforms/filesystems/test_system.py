import errno
import io
import os
import tempfile

import pyarrow as pa
import pytest

from transforms.arrays.errors import StoreError
from transforms.filesystems.store import held_back
from transforms.filesystems.system import REMEDIES, disk_told, refusal, spell, told_writes

GONE = "No such file or directory; it was removed while it was in use: see what clears up there, and run the job again"
FULL = "No space left on device; make room on its disk (df; df -i where files are too many), or name another place"


class NoRoom(io.RawIOBase):
    """A file on a disk without room."""

    def writable(self):
        return True

    def write(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_what_is_refused_is_spelled_with_its_remedy_and_all_else_as_it_is():
    assert spell(OSError(errno.ENOSPC, "whatever a library makes of it", "a/file")) == FULL
    assert spell(OSError(errno.ENOENT, "No such file or directory", "a")) == GONE
    assert spell(OSError(errno.EISDIR, "Is a directory", "a")) == "IsADirectoryError: [Errno 21] Is a directory: 'a'"
    assert spell(ValueError("a number")) == "ValueError: a number"


@pytest.mark.parametrize("number", REMEDIES)
def test_refusal_is_found_in_the_traceback_that_a_runner_hands_on(number):
    error = OSError(number, os.strerror(number), "/data/a file")
    raised = f"{type(error).__name__}: {error}"
    traceback = (
        f"Traceback (most recent call last):\n  File \"x.py\", line 1\n{raised} [while running 'Read']\n\nDuring"
    )
    assert refusal(traceback) == f"{os.strerror(number)}: '/data/a file'; {REMEDIES[number]}"


def test_refusal_without_a_name_or_by_arrow_is_found_and_the_last_counts():
    full = "OSError: [Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device\n"
    assert refusal(full) == FULL
    assert refusal(f"PermissionError: [Errno 13] Permission denied: 'x'\n{full}") == FULL
    told = "RuntimeError: FileNotFoundError: [Errno 2] No such file or directory: 'x' [while running 'Read']"
    assert refusal(told) == GONE.replace(";", ": 'x';")
    assert refusal("IsADirectoryError: [Errno 21] Is a directory: 'x'") is None
    assert refusal("ValueError: [Errno 28] is what it says") is None


def test_writes_without_room_are_told_with_the_file():
    stream = told_writes("out/part", NoRoom())
    with pytest.raises(StoreError, match=r"^out/part cannot be written: No space left on device; make room") as told:
        stream.write(b"1")
    assert isinstance(told.value.__cause__, OSError)
    plain = io.BytesIO()
    stream = told_writes("out/part", plain)
    assert stream.write(b"123") == stream.tell() == 3
    stream.flush()
    assert plain.getvalue() == b"123"


def test_what_arrow_says_of_the_disk_is_told_like_what_python_says(tmp_path):
    with (
        pytest.raises(StoreError, match=f"^spills cannot be read: {GONE}$"),
        disk_told("spills", "read"),
    ):
        pa.memory_map(str(tmp_path / "none"))


def test_temporary_files_without_room_are_told_and_what_fails_meanwhile_is_not_put_down_to_them():
    def fail(number):
        with held_back():
            raise OSError(number, os.strerror(number))

    with pytest.raises(
        StoreError, match=f"^TMPDIR: {tempfile.gettempdir()} cannot be written: No space left on device"
    ):
        fail(errno.ENOSPC)
    with pytest.raises(OSError, match="Connection reset by peer") as reset:
        fail(errno.ECONNRESET)
    assert not isinstance(reset.value, StoreError)
