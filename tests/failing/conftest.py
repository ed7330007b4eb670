"""What tests of a failing world share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.failing.other_process import OtherProcess, way_to_mount, way_without_rights

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def often() -> int:
    """How many times as much is tried as a short test has time for: OBLONG_OFTEN=20 takes some minutes."""
    return int(os.environ.get("OBLONG_OFTEN", "1"))


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherProcess]:
    """A process that may mount small disks."""
    folder = tmp_path_factory.mktemp("disks")
    way = way_to_mount(folder)
    if way is None:
        pytest.skip("no disk can be mounted here: neither as this user nor in a user namespace")
    made = OtherProcess(way, folder / "log")
    yield made
    made.close()


@pytest.fixture(scope="module")
def plain_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherProcess]:
    """A process that may do what the bits of a file allow its owner, and no more."""
    way = way_without_rights()
    if way is None:
        pytest.skip("nothing is forbidden to root, and there is no setpriv that gives its rights up")
    made = OtherProcess(way, tmp_path_factory.mktemp("plain") / "log")
    yield made
    made.close()
