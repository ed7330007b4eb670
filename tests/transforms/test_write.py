import google_crc32c
import pytest

from tests.runs import contents
from tests.transforms.conftest import COUNT
from transforms import Writing
from transforms.arrays.groups import pad_shard
from transforms.arrays.shards import deal
from transforms.write import write_shard

STEM = "train/bucket-00008/part-00000-of-00002"


@pytest.fixture
def parts(alone):
    """The rows of one shard."""
    return [part for batch in alone["truncated"] for stem, part in deal(batch, alone["shape"]) if stem == STEM]


def test_files_are_the_same_whether_rows_come_dealt_padded_or_plain(alone):
    files = alone["files"]
    assert files["dealt"] == files["padded"] == files["plain"]
    assert sorted(files["dealt"]) == [
        f"train/bucket-{bucket}/part-0000{number}-of-00002.{suffix}"
        for bucket in ("00008", "00016")
        for number in (0, 1)
        for suffix in ("parquet", "tfrecord")
    ]
    assert alone["scratch"] == []


@pytest.mark.parametrize("name", ["dealt", "padded", "plain"])
def test_records_say_what_stands_on_disk(alone, name):
    records = alone[f"written_{name}"]
    said = [file for record in records for file in record["files"]]
    assert {file["path"] for file in said} == set(alone["files"][name])
    for file in said:
        data = alone["files"][name][file["path"]]
        assert (file["bytes"], file["crc32c"]) == (len(data), f"{google_crc32c.value(data):08x}")
        assert file["width"] == file["bucket"]
        assert file["tokens"] + file["padding"] == file["rows"] * file["width"]
        assert file["batches"] == -(-file["rows"] // 4)
        assert file["rows_per_batch"] == 4
    assert sum(record["counts"]["rows_written"] for record in records) == COUNT
    assert sum(record["counts"]["dropped.remainder"] for record in records) == 0


def test_counts_are_once_whatever_the_formats(alone, parts, tmp_path):
    shape = alone["shape"]
    one, two = (
        write_shard(STEM, pad_shard(parts, 8, shape), Writing(path=str(tmp_path / str(n)), formats=formats), shape)
        for n, formats in enumerate([("parquet",), ("parquet", "tfrecord")])
    )
    assert one["counts"] == two["counts"]
    assert [file["format"] for file in two["files"]] == ["parquet", "tfrecord"]
    assert two["files"][0] == one["files"][0]


def test_shard_without_rows_is_no_file(alone, tmp_path):
    record = write_shard(STEM, [], Writing(path=str(tmp_path / "out")), alone["shape"])
    assert record["files"] == []
    assert set(record["counts"].values()) == {0}
    assert contents(tmp_path) == {}


def test_shard_that_fails_half_way_leaves_nothing(alone, parts, tmp_path):
    def groups():
        yield from pad_shard(parts, 8, alone["shape"])
        raise OSError("the disk is full")

    writing = Writing(path=str(tmp_path / "out"), formats=("parquet", "tfrecord"), compression={"tfrecord": "gzip"})
    with pytest.raises(OSError, match="the disk is full"):
        write_shard(STEM, groups(), writing, alone["shape"])
    assert contents(tmp_path) == {}


def test_late_try_puts_equal_bytes_in_their_place(alone, parts, tmp_path):
    writing = Writing(path=str(tmp_path / "out"), formats=("parquet", "tfrecord"))
    first = write_shard(STEM, pad_shard(parts, 8, alone["shape"]), writing, alone["shape"])
    before = contents(tmp_path)
    assert write_shard(STEM, pad_shard(parts[::-1], 8, alone["shape"]), writing, alone["shape"]) == first
    assert contents(tmp_path) == before
