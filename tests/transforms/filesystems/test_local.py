import os
from pathlib import Path

import pytest

from transforms.filesystems.local import Local


@pytest.fixture
def synced(monkeypatch):
    """The files and folders that were brought to the disk, and the names that were given, in order."""
    done = []
    fsync, link, replace = os.fsync, os.link, os.replace

    def note(what, path):
        done.append((what, Path(path).name))

    monkeypatch.setattr(
        os, "fsync", lambda file: (note("sync", Path(f"/proc/self/fd/{file}").readlink()), fsync(file))[1]
    )
    monkeypatch.setattr(os, "link", lambda source, target: (link(source, target), note("name", target))[0])
    monkeypatch.setattr(os, "replace", lambda source, target: (replace(source, target), note("name", target))[0])
    return done


def test_written_file_is_on_the_disk(tmp_path, synced):
    Local().write(f"{tmp_path}/new/a", b"abc")
    assert (tmp_path / "new" / "a").read_bytes() == b"abc"
    assert synced == [("sync", "a")]


def test_published_file_is_on_the_disk_before_it_has_its_name(tmp_path, synced):
    with Local().publish(f"{tmp_path}/a", f"{tmp_path}/scratch") as stream:
        stream.write(b"abc")
    assert [what for what, _ in synced] == ["sync", "name"]
    assert synced[1] == ("name", "a")
    assert synced[0][1] not in ("a", "scratch")


def test_file_that_is_created_once_is_on_the_disk_before_and_its_name_after(tmp_path, synced):
    assert Local().create_once(f"{tmp_path}/out/a", b"abc", f"{tmp_path}/scratch")
    assert [what for what, _ in synced] == ["sync", "name", "sync"]
    assert synced[1:] == [("name", "a"), ("sync", "out")]


def test_names_below_a_folder_are_synced_and_those_of_the_folders_above(tmp_path, synced):
    (tmp_path / "out" / "train" / "a").mkdir(parents=True)
    (tmp_path / "out" / "beside").mkdir()
    Local().sync_below(f"{tmp_path}/out/train")
    names = [name for _, name in synced]
    assert names[:4] == ["train", "a", "out", tmp_path.name]
    assert "beside" not in names
    assert {what for what, _ in synced} == {"sync"}


def test_links_to_folders_and_to_nowhere_are_listed_and_not_followed(tmp_path):
    (tmp_path / "in" / "folder").mkdir(parents=True)
    (tmp_path / "in" / "file").write_bytes(b"abc")
    for name, target in (("up", ".."), ("nowhere", "gone"), ("same", "file")):
        (tmp_path / "in" / name).symlink_to(target)
    found = {one.path.removeprefix(f"{tmp_path}/"): one.bytes for one in Local().walk(f"{tmp_path}/in")}
    assert found == {"in/": 0, "in/folder/": 0, "in/file": 3, "in/up": 2, "in/nowhere": 4, "in/same": 3}
