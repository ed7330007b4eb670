"""Every operation of a file system with one request gone wrong: it gives what it gives otherwise, or one line."""

from __future__ import annotations

import itertools
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.clouds.faults import HONEST, always, nth
from transforms import files
from transforms.arrays.errors import JobError, OblongError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

# Google's library leaves the connection of an answer that broke off to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")

NAMES = ("a.jsonl", "b.jsonl", "deep/c.jsonl", "deep/er/d.jsonl")
DATA = {name: bytes(range(256)) * (5 + i) for i, name in enumerate(NAMES)}
STALLS = tuple(fault for fault in HONEST if "stalled" in fault)
ALIKE = ("429", "500", "408", "closed", *STALLS)  # the service never hears of them, as with 503


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


ASKING: dict[str, Callable[[str], Any]] = {
    "stat": lambda root: files.stat(f"{root}/a.jsonl"),
    "stat of none": lambda root: files.stat(f"{root}/none"),
    "find": lambda root: sizes(f"{root}/**.jsonl"),
    "find one": lambda root: sizes(f"{root}/deep/c.jsonl"),
    "walk": below,
    "subfolders": files.list_subfolders,
    "read": lambda root: files.read_bytes(f"{root}/a.jsonl"),
    "read here and there": lambda root: read_here_and_there(f"{root}/a.jsonl"),
    "read a range": lambda root: files.read_range(f"{root}/a.jsonl", 7, 700),
    "read a range to the end": lambda root: files.read_range(f"{root}/a.jsonl", 1000, 700),
}


class Change(NamedTuple):
    """An operation that leaves something.

    Attributes:
        given: The files of a folder before.
        call: Makes it on the folder.
        left: Looks at what it leaves, if it went well.
        expected: What that must be.
    """

    given: dict[str, bytes]
    call: Callable[[str], Any]
    left: Callable[[str], Any]
    expected: Any


CHANGING = {
    "write": Change(
        {},
        lambda root: files.write_bytes(f"{root}/w", b"new" * 99),
        lambda root: files.read_bytes(f"{root}/w"),
        b"new" * 99,
    ),
    "publish": Change(
        {}, lambda root: put(f"{root}/p", b"new" * 99), lambda root: files.read_bytes(f"{root}/p"), b"new" * 99
    ),
    "publish over another": Change(
        {"p": b"old"},
        lambda root: put(f"{root}/p", b"new" * 99),
        lambda root: files.read_bytes(f"{root}/p"),
        b"new" * 99,
    ),
    "remove a file": Change({"e": b"1", "f": b"2"}, lambda root: files.remove_file(f"{root}/e"), below, {"f": 1}),
    "remove a folder": Change(
        {"e": b"1", "d/f": b"2", "d/g/h": b"3"}, lambda root: files.remove_folder(f"{root}/d"), below, {"e": 1}
    ),
}


@pytest.fixture
def tree(faulty):
    """A few files."""
    fill(faulty.cloud.root, DATA)
    return faulty


def fill(root, given):
    for name, data in given.items():
        files.write_bytes(f"{root}/{name}", data)


def fresh(faulty, given):
    """A folder that nobody knows yet."""
    root = f"{faulty.cloud.root}/{uuid.uuid4().hex}"
    fill(root, given)
    return root


def outcome(proxy, plan, call, root):
    """What a call gives, or its one line."""
    error = None
    with proxy.going_wrong(plan):
        try:
            return call(root), None
        except OblongError as raised:
            error = raised
    assert isinstance(error, JobError), "the service is out of order, and the user made no mistake"
    assert root in str(error)
    assert "\n" not in str(error)
    return None, error


def faults(requests):
    """Each request, and what goes wrong with it; what is alike, and what takes long, with the last alone."""
    for number, fault in itertools.product(range(1, requests + 1), HONEST):
        if fault not in ALIKE or (number == requests and fault not in STALLS):
            yield number, fault


@pytest.mark.parametrize("name", ASKING)
def test_one_request_gone_wrong_changes_no_answer(tree, name):
    call, root = ASKING[name], tree.cloud.root
    expected, _ = outcome(tree.proxy, None, call, root)
    right = told = 0
    for number, fault in faults(tree.proxy.number):
        got, error = outcome(tree.proxy, nth(number, fault), call, root)
        assert tree.proxy.hit == 1, (number, fault)
        assert error is not None or got == expected, (number, fault)
        right, told = right + (error is None), told + (error is not None)
    assert right >= 5 * told  # tries are repeated


@pytest.mark.parametrize("name", CHANGING)
def test_one_request_gone_wrong_leaves_what_a_call_says_that_it_left(faulty, name):
    change = CHANGING[name]
    outcome(faulty.proxy, None, change.call, fresh(faulty, change.given))
    right = told = 0
    for number, fault in faults(faulty.proxy.number):
        root = fresh(faulty, change.given)
        _, error = outcome(faulty.proxy, nth(number, fault), change.call, root)
        assert faulty.proxy.hit == 1, (number, fault)
        if error is not None:
            change.call(root)  # what went wrong halfway stands in the way of nothing
        assert change.left(root) == change.expected, (number, fault)
        right, told = right + (error is None), told + (error is not None)
    assert right >= 3 * told


@pytest.mark.parametrize("fault", STALLS)
def test_service_that_stalls_is_asked_again(tree, fault):
    tree.waits(timeout=0.4, patience=6)
    for call in (
        ASKING["walk"],
        ASKING["read"],
        lambda root: put(f"{root}/new", b"new") or files.read_bytes(f"{root}/new"),
    ):
        expected, _ = outcome(tree.proxy, None, call, tree.cloud.root)
        for number in {1, tree.proxy.number}:
            got, error = outcome(tree.proxy, nth(number, fault), call, tree.cloud.root)
            assert error is None
            assert got == expected
            assert tree.proxy.hit == 1


@pytest.mark.parametrize("fault", ["503", "closed", "short"])
def test_service_that_stays_out_of_order_is_told_and_never_means_that_nothing_is_there(tree, fault):
    tree.waits(timeout=5, patience=0.1)
    for name, call in ASKING.items():
        if fault == "short" and (
            name == "stat of none" or (tree.cloud.scheme == "s3" and name in ("stat", "find one"))
        ):
            continue  # the answer to a HEAD has no body, and that of a 404 says nothing
        _, error = outcome(tree.proxy, always(fault), call, tree.cloud.root)
        assert error is not None, name
    for name, change in CHANGING.items():
        _, error = outcome(tree.proxy, always(fault), change.call, tree.cloud.root)
        assert error is not None or fault == "short", name
    there = below(tree.cloud.root)
    assert {name: there.get(name) for name in DATA} == {name: len(data) for name, data in DATA.items()}


@pytest.mark.parametrize("taken", [False, True])
def test_file_is_created_once_whatever_goes_wrong(faulty, taken):
    given = {"m": b"another's"} if taken else {}
    call = lambda root: files.create_once(f"{root}/m", b"mine", f"{root}.tmp")  # noqa: E731
    assert outcome(faulty.proxy, None, call, fresh(faulty, given)) == (not taken, None)
    for number, fault in faults(faulty.proxy.number):
        root = fresh(faulty, given)
        created, error = outcome(faulty.proxy, nth(number, fault), call, root)
        there = files.read_bytes(f"{root}/m") if files.exists(f"{root}/m") else None
        if taken:
            assert there == b"another's", (number, fault)
            assert not created, (number, fault)
        elif error is not None:
            assert there in (None, b"mine"), (number, fault)
        else:
            assert there == b"mine", (number, fault)  # where created is False, as the answer was lost, by what is there
            assert not files.create_once(f"{root}/m", b"another's", f"{root}.tmp")


@pytest.mark.parametrize("fault", ["503", "lost", "cut upload"])
def test_file_that_is_put_in_parts_is_there_whole_or_not_at_all(faulty, fault):
    faulty.waits(timeout=5, patience=2)
    data = bytes(range(256)) * (20 << 12)
    call = lambda root: put(f"{root}/large", data)  # noqa: E731
    outcome(faulty.proxy, None, call, faulty.cloud.root)
    requests = faulty.proxy.number
    assert requests >= 3
    for number in (1, requests // 2 + 1, requests):
        root = fresh(faulty, {})
        _, error = outcome(faulty.proxy, nth(number, fault), call, root)
        # The stand-in for Cloud Storage does not take the same part twice.
        assert error is None or (faulty.cloud.scheme, fault) == ("gs", "lost"), number
        if error is None or files.exists(f"{root}/large"):
            assert files.read_bytes(f"{root}/large") == data, number


def test_byte_that_changed_on_the_way_is_found_where_the_service_keeps_a_checksum(tree):
    path = f"{tree.cloud.root}/a.jsonl"
    data = {"gs": "GET .*alt=media", "s3": "GET .*/a.jsonl", "hdfs": "GET /data/"}[tree.cloud.scheme]
    tree.waits(timeout=5, patience=0.1)
    with tree.proxy.going_wrong(always("flipped", data)):
        if tree.cloud.scheme == "hdfs":  # keeps none of the whole file
            assert files.read_bytes(path) != DATA["a.jsonl"]
            return
        with pytest.raises(StoreError, match=rf"^{path} .*(damaged on its way|did not match)") as raised:
            files.read_bytes(path)
    assert raised.value.passing
    assert files.read_bytes(path) == DATA["a.jsonl"]


@pytest.mark.parametrize("size", [25 << 20, 17 << 20])
def test_two_versions_of_a_file_never_mix(faulty, size):
    path = f"{faulty.cloud.root}/a"
    files.write_bytes(path, b"1" * (25 << 20))
    with files.open_binary(path) as stream:
        assert stream.read(9 << 20) == b"1" * (9 << 20)
        files.write_bytes(path, b"2" * size)
        with pytest.raises(StoreError, match=rf"^{path} was overwritten while it was read; run the job again"):
            stream.read()
    assert files.read_bytes(path) == b"2" * size
