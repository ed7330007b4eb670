import io

import pytest

from transforms import files
from transforms.arrays.errors import StoreError
from transforms.filesystems import STORES
from transforms.filesystems.local import Local
from transforms.filesystems.ranges import Ranges


class Shelf(Local):
    """A file system whose library raises what a body may raise too; its files break off."""

    failures = (FileNotFoundError,)

    def may_pass(self, error):
        return "meanwhile" in str(error)

    def open(self, path):
        if "missing" in path:
            raise FileNotFoundError("no such name")

        def get(start, stop):
            if stop > 4:
                raise FileNotFoundError("gone meanwhile")
            return b"abcd"

        return io.BufferedReader(Ranges(8, get), 4)

    def publish(self, path, scratch):
        return super().publish(path.removeprefix("shelf:/"), scratch)


@pytest.fixture(autouse=True)
def shelf(monkeypatch):
    monkeypatch.setitem(STORES, "shelf", Shelf)


def test_opening_and_reading_fail_with_a_sentence():
    with (
        pytest.raises(StoreError, match=r"^shelf://missing cannot be read: FileNotFoundError: no such name$") as raised,
        files.open_binary("shelf://missing"),
    ):
        pass
    assert not raised.value.passing
    with (
        files.open_binary("shelf://a") as stream,
        pytest.raises(StoreError, match=r"^shelf://a cannot be read: FileNotFoundError: gone meanwhile$") as raised,
    ):
        stream.read()
    assert raised.value.passing


@pytest.mark.parametrize("way", ["open_binary", "publish"])
def test_errors_of_the_body_are_its_own(tmp_path, way):
    arguments = {"open_binary": ("shelf://a",), "publish": (f"shelf:/{tmp_path}/a", f"{tmp_path}/scratch")}[way]
    with pytest.raises(FileNotFoundError, match=r"^of the body$"), getattr(files, way)(*arguments):
        raise FileNotFoundError("of the body")
    assert list(tmp_path.iterdir()) == []


def test_file_that_cannot_be_put_in_its_place_is_told(tmp_path):
    path = f"shelf:/{tmp_path}/a"

    def lose():
        with files.publish(path, f"{tmp_path}/scratch"):
            for one in (tmp_path / "scratch").iterdir():
                one.unlink()

    with pytest.raises(
        StoreError, match=f"^{path} cannot be written: No such file or directory; it was removed while it was in use"
    ):
        lose()
