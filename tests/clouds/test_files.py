import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.clouds import LOST
from transforms import files
from transforms.arrays.errors import ConfigError, JobError, StoreError
from transforms.filesystems.store import Found
from transforms.listed import check_as_listed

NAMES = ("a.jsonl", "b c#%.jsonl", "deep/a.jsonl", "deep/er/a.jsonl", "other.txt")


@pytest.fixture
def tree(cloud):
    """A few files."""
    for i, name in enumerate(NAMES):
        files.write_bytes(f"{cloud.root}/{name}", b"x" * i)
    return cloud.root


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jsonl", NAMES[:2]),
        ("a.jsonl", NAMES[:1]),
        ("missing", ()),
        ("*/*.jsonl", NAMES[2:3]),
        ("deep/*", NAMES[2:3]),
        ("deep/", NAMES[2:3]),
        ("**.jsonl", NAMES[:4]),
        ("d?ep/[e]r/a.*", NAMES[3:4]),
        ("nothing/*", ()),
    ],
)
def test_patterns_match_as_they_do_on_disk(tree, tmp_path, pattern, expected):
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    local = files.match(f"{tmp_path}/{pattern}", "read.files")
    assert [found.path.removeprefix(f"{tmp_path}/") for found in local] == list(expected)
    found = files.match(f"{tree}/{pattern}", "read.files")
    assert [one.path for one in found] == [f"{tree}/{name}" for name in expected]
    assert [one.bytes for one in found] == [NAMES.index(name) for name in expected]
    assert all(one.changed > 1.6e9 for one in found)


def test_folders_are_listed_weighed_and_removed(tree):
    listed = files.list_folder(tree)
    assert [found.path for found in listed] == sorted(f"{tree}/{name}" for name in NAMES)
    assert files.list_folder(f"{tree}/deep/") == [found for found in listed if "/deep/" in found.path]
    assert files.list_subfolders(tree) == ["deep"]
    assert files.list_subfolders(f"{tree}/deep/er") == []
    total, newest = files.weigh_folder(tree)
    assert total == sum(range(len(NAMES)))
    assert newest >= max(found.changed for found in listed)
    files.remove_folder(f"{tree}/deep")
    assert files.list_subfolders(tree) == []
    assert len(files.list_folder(tree)) == 3
    for _ in range(2):
        files.remove_folder(f"{tree}/deep")
        files.remove_file(f"{tree}/a.jsonl")
    assert [found.path for found in files.list_folder(tree)] == [f"{tree}/{NAMES[1]}", f"{tree}/other.txt"]
    assert files.list_folder(f"{tree}/nowhere") == []
    assert files.weigh_folder(f"{tree}/nowhere") == (0, 0.0)


def test_names_that_begin_alike_are_other_folders(cloud):
    files.write_bytes(f"{cloud.root}/run/a", b"1")
    files.write_bytes(f"{cloud.root}/run.tmp/a", b"1")
    files.remove_folder(f"{cloud.root}/run")
    assert [found.path for found in files.list_folder(cloud.root)] == [f"{cloud.root}/run.tmp/a"]


def test_file_comes_back_as_it_was_written(cloud):
    path, data = f"{cloud.root}/folder/a b#%.gz", bytes(range(256)) * 100_000
    files.write_bytes(path, b"before")
    files.write_bytes(path, data)
    found = files.stat(path)
    assert found == files.match(f"{cloud.root}/folder/*", "read.files")[0]
    assert (found.path, found.bytes, found.is_folder) == (path, len(data), False)
    assert (found.checksum is None) == (cloud.scheme == "hdfs")
    assert files.read_bytes(path) == data
    with files.open_binary(path) as stream:
        stream.seek(20_000_000)
        assert (stream.tell(), stream.read(3)) == (20_000_000, data[20_000_000:20_000_003])
        stream.seek(0)
        assert stream.read(5) == data[:5]
    assert files.read_range(path, 1000, 70) == data[1000:1070]
    assert files.read_range(path, len(data) - 3, 70) == data[-3:]


def test_file_that_is_not_there(cloud):
    path = f"{cloud.root}/none"
    assert files.stat(path) is None
    assert files.size(path) is None
    assert not files.exists(path)
    with pytest.raises(StoreError, match=rf"^{path} cannot be read: "):
        files.read_bytes(path)


def test_checksum_tells_equal_content_from_other(cloud):
    if cloud.scheme == "hdfs":
        pytest.skip("keeps none that a listing gives")
    sums = []
    for data in (b"one", b"one", b"two"):
        files.write_bytes(f"{cloud.root}/a", data)
        sums.append(files.stat(f"{cloud.root}/a").checksum)
    assert sums[0] == sums[1] != sums[2]


@pytest.mark.parametrize("size", [0, 3, 20 << 20])
def test_published_file_appears_whole_and_replaces_what_was_there(cloud, size):
    path, scratch = f"{cloud.root}/out/part", f"{cloud.root}/out.tmp"
    for data in (b"0" * size, b"1" * size):
        with files.publish(path, scratch) as stream:
            stream.write(data)
            stream.flush()
    assert files.size(path) == size
    assert [found.path for found in files.list_folder(cloud.root)] == [path]
    with files.publish(path, scratch) as stream:
        stream.write(b"of another size")
    assert files.read_bytes(path) == b"of another size"


def test_writer_that_fails_midway_leaves_nothing(cloud):
    def fail():
        with files.publish(f"{cloud.root}/part", f"{cloud.root}/tmp") as stream:
            stream.write(b"x" * (20 << 20))
            raise KeyError("lost")

    with pytest.raises(KeyError):
        fail()
    assert files.list_folder(cloud.root) == []


def test_file_is_created_once_and_the_first_one_stays(cloud):
    path, scratch = f"{cloud.root}/run/manifest.json", f"{cloud.root}/run/a.tmp"
    assert files.create_once(path, b"first", scratch)
    assert not files.create_once(path, b"second", scratch)
    assert files.read_bytes(path) == b"first"
    assert [found.path for found in files.list_folder(cloud.root)] == [path]


def test_of_many_who_create_a_file_at_once_one_does(cloud):
    path = f"{cloud.root}/manifest.json"
    ready = threading.Barrier(8)

    def create(number: int) -> bool:
        files.exists(path)  # a thread makes its client first
        ready.wait()
        return files.create_once(path, b"%d" % number, f"{cloud.root}/{number}.tmp")

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(create, range(8)))
    assert won.count(True) == 1
    assert files.read_bytes(path) == b"%d" % won.index(True)
    assert [found.path for found in files.list_folder(cloud.root)] == [path]


def test_file_whose_answer_was_lost_is_there_whole(cloud):
    for put in ("publish", "create_once"):
        path, scratch = f"{cloud.root}/{put}/{LOST}", f"{cloud.root}/tmp"
        if put == "publish":
            with files.publish(path, scratch) as stream:
                stream.write(b"mine")
        else:
            # Only a rename can be told from somebody else's.
            assert files.create_once(path, b"mine", scratch) == (cloud.scheme == "hdfs")
        assert files.read_bytes(path) == b"mine"


def test_input_that_changed_since_the_job_was_planned_stops_it(cloud):
    path = f"{cloud.root}/a"
    files.write_bytes(path, b"123")
    found = files.stat(path)
    check_as_listed(path, 3, found.checksum)
    with pytest.raises(JobError, match="had 4 bytes when the job was planned and has 3 now"):
        check_as_listed(path, 4, found.checksum)
    files.write_bytes(path, b"456")
    if found.checksum is not None:
        with pytest.raises(JobError, match=f"had the checksum {found.checksum} when the job was planned"):
            check_as_listed(path, 3, found.checksum)
    files.remove_file(path)
    with pytest.raises(JobError, match="had 3 bytes when the job was planned and is gone"):
        check_as_listed(path, 3, found.checksum)


def test_bucket_that_is_not_there_is_told_in_a_sentence(cloud):
    if cloud.scheme == "hdfs":
        pytest.skip("has no buckets")
    with pytest.raises(ConfigError, match=rf"^read\.files: {cloud.scheme}://nobodys-bucket/\* cannot be listed: "):
        files.match(f"{cloud.scheme}://nobodys-bucket/*", "read.files")
    with pytest.raises(StoreError, match=rf"^{cloud.scheme}://nobodys-bucket/a cannot be written: "):
        files.write_bytes(f"{cloud.scheme}://nobodys-bucket/a", b"")
    with pytest.raises(ConfigError, match=rf"^read\.files: {cloud.scheme}:///a names no bucket"):
        files.match(f"{cloud.scheme}:///a", "read.files")


@pytest.mark.parametrize("cloud", ["hdfs"], indirect=True)
@pytest.mark.parametrize("slashes", ["//", "///"])
def test_wildcard_may_be_in_the_first_folder(cloud, slashes):
    name = cloud.root.rpartition("/")[2]
    for path in (f"hdfs:{slashes}{name}/a.jsonl", f"hdfs:{slashes}{name}.jsonl"):
        files.write_bytes(path, b"12")
        pattern = path.replace(name, f"{name[:-1]}*")
        assert [(found.path, found.bytes) for found in files.match(pattern, "read.files")] == [(path, 2)]
    assert files.match(f"hdfs:{slashes}*{name}.jsonl", "read.files")[0].bytes == 2


def test_folder_markers_are_no_files(cloud):
    if cloud.scheme == "hdfs":
        pytest.skip("has folders")
    files.write_bytes(f"{cloud.root}/data/", b"")
    files.write_bytes(f"{cloud.root}/data/a", b"1")
    assert [found.path for found in files.match(f"{cloud.root}/data/*", "read.files")] == [f"{cloud.root}/data/a"]
    assert [found.path for found in files.list_folder(cloud.root)] == [f"{cloud.root}/data/a"]
    files.remove_folder(f"{cloud.root}/data")
    assert not files.exists(f"{cloud.root}/data/")


def test_found_says_what_is_a_folder():
    assert Found("gs://b/a/", 0, 0.0).is_folder
    assert not Found("gs://b/a", 0, 0.0).is_folder
