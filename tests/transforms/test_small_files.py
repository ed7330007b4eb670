import os

import pytest

from transforms.arrays.errors import JobError
from transforms.small_files import read_small, require_file


@pytest.mark.parametrize("content", [b"", b"a", b"abcd"])
def test_file_is_read_up_to_the_most_that_it_may_have(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    assert read_small(str(tmp_path / "a"), 4) == content


@pytest.mark.parametrize("size", [5, 1 << 40])
def test_larger_file_is_refused(tmp_path, size):
    (tmp_path / "a").touch()
    os.truncate(tmp_path / "a", size)
    with pytest.raises(JobError, match="a has more than 4 bytes; is it the file that you meant"):
        read_small(str(tmp_path / "a"), 4)


def test_device_without_end_is_read_as_far_as_that():
    with pytest.raises(JobError, match="/dev/zero has more than 100 bytes"):
        read_small("/dev/zero", 100)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_refused_without_being_opened(tmp_path, make):
    make(tmp_path / "a")
    with pytest.raises(JobError, match="a is a folder, a pipe or a device, and has to be a file"):
        require_file(str(tmp_path / "a"))


def test_file_link_to_one_and_nothing_at_all_pass(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for name in "abc":
        require_file(str(tmp_path / name))
