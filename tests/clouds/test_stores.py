"""What is one file system's alone."""

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from tests.clouds.faults import always
from transforms import files
from transforms.arrays.errors import ConfigError, StoreError
from transforms.filesystems import store_of


def only(*schemes):
    return pytest.mark.parametrize("cloud", schemes, indirect=True)


@only("gs", "s3")
def test_file_is_pinned_with_the_checksum_of_what_is_in_it(cloud):
    path = f"{cloud.root}/a"
    files.write_bytes(path, b"0123456789")
    pinned = store_of(path).pin(path)
    assert pinned.bytes == 10
    assert pinned.checksum == {"gs": ("crc32c", "KAwGng=="), "s3": ("crc32", "poTHxg==")}[cloud.scheme]
    files.write_bytes(path, b"0123456780")
    assert store_of(path).pin(path).version != pinned.version
    assert store_of(path).pin(f"{cloud.root}/none") is None


@only("s3")
def test_file_in_parts_has_a_sum_of_sums_that_nothing_is_compared_with(cloud):
    path = f"{cloud.root}/a"
    with files.publish(path, f"{path}.tmp") as stream:
        stream.write(b"x" * (20 << 20))
    assert store_of(path).pin(path).checksum is None
    assert files.read_bytes(path) == b"x" * (20 << 20)


@only("s3")
@pytest.mark.parametrize("fault", ["408", "503"])
def test_call_is_made_as_often_as_the_environment_says(faulty, fault, monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, high: 0.001)
    with faulty.proxy.going_wrong(always(fault)), pytest.raises(StoreError, match=f"({fault})"):
        files.stat(f"{faulty.cloud.root}/a")
    assert faulty.proxy.hit == 3  # AWS_MAX_ATTEMPTS


@only("gs")
def test_objects_are_deleted_a_hundred_in_a_request(faulty):
    for number in range(101):
        files.write_bytes(f"{faulty.cloud.root}/old/{number}", b"")
    files.write_bytes(f"{faulty.cloud.root}/kept", b"")
    with faulty.proxy.going_wrong(None):
        files.remove_folder(f"{faulty.cloud.root}/old")
    assert faulty.proxy.number == 3  # one of them lists
    assert [found.path for found in files.list_folder(faulty.cloud.root)] == [f"{faulty.cloud.root}/kept"]


@only("hdfs")
def test_busy_namenode_is_quoted(faulty):
    faulty.waits(timeout=5, patience=0.05)
    with faulty.proxy.going_wrong(always("503")), pytest.raises(StoreError) as raised:
        files.stat(f"{faulty.cloud.root}/a")
    assert str(raised.value) == f"{faulty.cloud.root}/a cannot be looked at: Busy: HTTP 503 a proxy's own words"
    assert raised.value.passing
    assert faulty.proxy.hit >= 2


@only("hdfs")
def test_folder_is_no_file(cloud):
    files.write_bytes(f"{cloud.root}/folder/a", b"1")
    assert files.stat(f"{cloud.root}/folder") is None
    assert files.list_folder(f"{cloud.root}/folder/a") == []


@only("hdfs")
def test_options_that_are_missing_are_named(cloud):
    files.use_options(PipelineOptions(cloud.flags[:1]))
    with pytest.raises(ConfigError, match=r"not given: --hdfs_port, --hdfs_user$"):
        files.require_store("hdfs://a", "write.path")


def test_environment_that_cannot_be_understood_is_refused_with_its_name(cloud, monkeypatch):
    monkeypatch.setenv("OBLONG_STORE_TIMEOUT", "soon")
    files.use_options(PipelineOptions(cloud.flags))
    with pytest.raises(ConfigError, match=rf"^write.path: {cloud.root} needs a number of seconds .* not 'soon'$"):
        files.require_store(cloud.root, "write.path")
