import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from transforms.arrays.errors import ConfigError
from transforms.files import require_store
from transforms.filesystems import STORES, scheme_of, store_of, use_options
from transforms.filesystems.beams import Beams
from transforms.filesystems.local import Local


@pytest.fixture
def options():
    """Fresh options, so that clients are made anew; the ones before come back."""
    before = FileSystems._pipeline_options
    use_options(PipelineOptions([]))
    yield
    use_options(before)


@pytest.mark.parametrize(
    ("path", "library", "extra"),
    [
        ("gs://b/x", "google.cloud.storage.exceptions", "gcp"),
        ("s3://b/x", "boto3", "aws"),
        ("hdfs://x", "hdfs", "hdfs"),
    ],
)
def test_missing_extra_is_named_with_the_command_that_installs_it(options, monkeypatch, path, library, extra):
    monkeypatch.setitem(sys.modules, library, None)
    message = f"^read.files: {path} needs the extra {extra}: pip install 'oblong\\[{extra}\\]'$"
    with pytest.raises(ConfigError, match=message):
        require_store(path, "read.files")
    assert STORES[scheme_of(path)].extra == extra


def test_unknown_scheme_is_refused_with_the_closest():
    with pytest.raises(ConfigError, match=r"^RUN: gcs://b/x is on no file system that is known: did you mean gs://"):
        require_store("gcs://b/x", "RUN")


def test_address_of_a_local_file_is_refused_with_the_remedy():
    message = r"^read.files: file:///data/a.jsonl is on this machine's disk: write the path without file://$"
    with pytest.raises(ConfigError, match=message):
        require_store("file:///data/a.jsonl", "read.files")


class Archive(type(FileSystems.get_filesystem("/"))):
    """A file system of somebody else's, which Beam knows."""

    @classmethod
    def scheme(cls):
        return "archive"


def test_file_system_of_beams_is_for_reading_alone():
    assert isinstance(store_of("archive://a"), Beams)
    require_store("archive://a", "read.files")
    with pytest.raises(ConfigError, match=r"^write.path: archive://a is on a file system that is read only here"):
        require_store("archive://a", "write.path", to_write=True)
    store = store_of("archive://a")
    for refused in (
        lambda: store.walk("archive://a"),
        lambda: store.subfolders("archive://a"),
        lambda: store.write("archive://a", b""),
        lambda: store.publish("archive://a", "archive://t").__enter__(),
        lambda: store.create_once("archive://a", b"", "archive://t"),
        lambda: store.remove_file("archive://a"),
        lambda: store.remove_folder("archive://a"),
    ):
        with pytest.raises(ConfigError, match=r"^archive://a is on a file system that is read only here$"):
            refused()


def test_client_is_kept_in_each_thread_until_the_options_change(options):
    first = store_of("archive://a")
    assert store_of("archive://b") is first
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(store_of, "archive://a").result() is not first
    use_options(PipelineOptions([]))
    assert store_of("archive://a") is not first


def test_path_without_a_scheme_is_local():
    assert isinstance(store_of("a/b"), Local)
    assert (scheme_of("/a:b"), scheme_of("s3://b"), scheme_of("hdfs:///a")) == (None, "s3", "hdfs")
