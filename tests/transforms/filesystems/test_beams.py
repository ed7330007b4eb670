import pytest
from apache_beam.io.filesystems import FileSystems

from transforms import files
from transforms.arrays.errors import StoreError
from transforms.filesystems.store import Found


class Attic(type(FileSystems.get_filesystem("/"))):
    """A file system of somebody else's: a folder of the working directory."""

    missing = 0  # of the size that it tells, so many bytes are not there

    @classmethod
    def scheme(cls):
        return "attic"

    def metadata(self, path):
        about = super().metadata(path)
        about.size_in_bytes += self.missing
        return about


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "attic:").mkdir()
    (tmp_path / "attic:" / "a").write_bytes(b"0123456789")


def test_files_are_found_and_read():
    found = files.stat("attic://a")
    assert found == Found("attic://a", 10, found.changed)
    assert files.stat("attic://b") is None
    assert files.read_bytes("attic://a") == b"0123456789"
    assert files.read_range("attic://a", 7, 2) == b"78"
    assert files.read_range("attic://a", 7, 20) == b"789"
    with pytest.raises(StoreError, match=r"^attic://b cannot be read: FileNotFoundError: there is no file attic://b$"):
        files.read_bytes("attic://b")


def test_stream_that_ends_before_the_file_does_is_told(monkeypatch):
    monkeypatch.setattr(Attic, "missing", 3)
    message = r"^attic://a cannot be read: CutShort: 10 bytes came of 13, from byte 0 on$"
    with files.open_binary("attic://a") as stream, pytest.raises(StoreError, match=message):
        stream.read()
