"""Every operation of a file system with one request gone wrong: it gives what it gives otherwise, or one line."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.clouds.faults import HONEST, nth
from transforms import files
from transforms.arrays.errors import JobError, OblongError

if TYPE_CHECKING:
    from collections.abc import Callable

# Google's library leaves the connection of an answer that broke off to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")

NAMES = ("a.jsonl", "b.jsonl", "deep/c.jsonl", "deep/er/d.jsonl", "gone/e", "gone/f/g")
DATA = {name: bytes(range(256)) * (5 + i) for i, name in enumerate(NAMES)}
MANY = 20 << 20  # bytes of a file that is put in parts


def put(path: str, data: bytes) -> None:
    with files.publish(path, f"{path}.tmp") as stream:
        stream.write(data)


def read_here_and_there(path: str) -> tuple[bytes, ...]:
    with files.open_binary(path) as stream:
        first = stream.read(10)
        stream.seek(-300, 2)
        return first, stream.read(), stream.read()


def below(folder: str) -> dict[str, int]:
    return {found.path.removeprefix(f"{folder}/"): found.bytes for found in files.list_folder(folder)}


def sizes(pattern: str) -> dict[str, int]:
    return {found.path: found.bytes for found in files.match(pattern, "read.files")}


class Operation(NamedTuple):
    """One operation.

    Attributes:
        call: Makes it on a folder.
        left: What it leaves there, looked at without faults; None where it only asks.
    """

    call: Callable[[str], Any]
    left: Callable[[str], Any] | None = None


OPERATIONS = {
    "stat": Operation(lambda root: files.stat(f"{root}/a.jsonl")),
    "stat of none": Operation(lambda root: files.stat(f"{root}/none")),
    "find": Operation(lambda root: sizes(f"{root}/**.jsonl")),
    "find one": Operation(lambda root: sizes(f"{root}/deep/c.jsonl")),
    "walk": Operation(below),
    "subfolders": Operation(files.list_subfolders),
    "read": Operation(lambda root: files.read_bytes(f"{root}/a.jsonl")),
    "read here and there": Operation(lambda root: read_here_and_there(f"{root}/a.jsonl")),
    "read a range": Operation(lambda root: files.read_range(f"{root}/a.jsonl", 7, 700)),
    "read a range to the end": Operation(lambda root: files.read_range(f"{root}/a.jsonl", 1000, 700)),
    "write": Operation(
        lambda root: files.write_bytes(f"{root}/new/w", b"written" * 99), lambda root: files.read_bytes(f"{root}/new/w")
    ),
    "publish": Operation(
        lambda root: put(f"{root}/new/p", b"published" * 99), lambda root: files.read_bytes(f"{root}/new/p")
    ),
    "publish over another": Operation(
        lambda root: put(f"{root}/b.jsonl", b"other" * 99), lambda root: files.read_bytes(f"{root}/b.jsonl")
    ),
    "remove a file": Operation(
        lambda root: files.remove_file(f"{root}/gone/e"), lambda root: files.exists(f"{root}/gone/e")
    ),
    "remove a folder": Operation(lambda root: files.remove_folder(f"{root}/gone"), lambda root: below(f"{root}/gone")),
}


@pytest.fixture
def tree(faulty, monkeypatch):
    """A few files, behind a proxy; waits between tries are short."""
    monkeypatch.setattr("transforms.filesystems.patience.FIRST_WAIT", 0.01)
    monkeypatch.setattr("google.cloud.storage.retry.DEFAULT_RETRY._initial", 0.01)
    monkeypatch.setattr("botocore.retryhandler.delay_exponential", lambda **_: 0.01)
    fill(faulty.cloud.root)
    return faulty


def fill(root):
    for name, data in DATA.items():
        files.write_bytes(f"{root}/{name}", data)


def outcome(proxy, plan, call, root):
    """What a call gives, or its one line."""
    with proxy.going_wrong(plan):
        try:
            return call(root), None
        except OblongError as error:
            return None, error


@pytest.mark.parametrize("name", OPERATIONS)
def test_one_request_gone_wrong_changes_nothing_or_is_told(tree, name):
    operation, root = OPERATIONS[name], tree.cloud.root
    expected, _ = outcome(tree.proxy, None, operation.call, root)
    requests, left = tree.proxy.number, operation.left and operation.left(root)
    assert requests
    told = 0
    for number, fault in itertools.product(range(1, requests + 1), HONEST):
        if "stalled" in fault and number != requests:
            continue  # it takes as long as a client waits
        if operation.left is not None:
            fill(root)
        got, error = outcome(tree.proxy, nth(number, fault), operation.call, root)
        assert tree.proxy.hit == 1, fault
        if error is None:
            assert got == expected, (number, fault)
            assert operation.left is None or operation.left(root) == left, (number, fault)
        else:
            told += 1
            assert isinstance(error, JobError), (number, fault)
            assert root in str(error), (number, fault)
            assert "\n" not in str(error)
            print(name, tree.cloud.scheme, number, fault, str(error)[:300])
    print("TOLD", name, tree.cloud.scheme, told, requests * len(HONEST))


