import os

import pytest

from transforms.arrays.errors import JobError
from transforms.listed import check_as_listed


@pytest.mark.parametrize("name", ["a.txt", "a[1].txt", "what?*.txt"])
def test_input_that_changed_since_the_job_was_planned_stops_it(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"123")
    check_as_listed(str(path), 3)
    with pytest.raises(JobError, match="had 4 bytes when the job was planned and has 3 now"):
        check_as_listed(str(path), 4)
    with pytest.raises(JobError, match="had the checksum old when the job was planned and has None now; run the job"):
        check_as_listed(str(path), 3, "old")
    path.unlink()
    with pytest.raises(JobError, match="had 3 bytes when the job was planned and is gone"):
        check_as_listed(str(path), 3)


def test_time_of_change_counts_where_there_is_no_checksum(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"123")
    os.utime(path, (0, 1_700_000_000.25))
    check_as_listed(str(path), 3, None, 1_700_000_000.25)
    with pytest.raises(
        JobError,
        match=r"a\.txt was last changed at 2023-11-14 22:13:19\.750000 UTC when the job was planned, and now at "
        r"2023-11-14 22:13:20\.250000 UTC; run the job again when nothing writes to it",
    ):
        check_as_listed(str(path), 3, None, 1_700_000_000 - 0.25)


@pytest.mark.parametrize(
    ("listed", "same"),
    [
        (0.0, True),  # the file system does not say
        (1_700_000_000.25, True),
        (1_700_000_000.2500002, True),  # a client that keeps fewer digits
        (1_700_000_000.0, True),  # one that keeps whole seconds
        (1_700_000_000.252, False),
        (1_700_000_001.25, False),
        (1_699_999_999.0, False),
    ],
)
def test_time_of_change_may_have_as_many_digits_as_a_client_of_the_disk_keeps(tmp_path, listed, same):
    path = tmp_path / "a.txt"
    path.write_bytes(b"123")
    os.utime(path, (0, 1_700_000_000.25))
    if same:
        check_as_listed(str(path), 3, None, listed)
    else:
        with pytest.raises(JobError, match="was last changed at"):
            check_as_listed(str(path), 3, None, listed)
