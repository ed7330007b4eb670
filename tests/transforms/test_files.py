import os
from pathlib import Path

import pytest
from apache_beam.io.filesystems import FileSystems

from transforms import files
from transforms.arrays.errors import ConfigError, JobError, StoreError


def test_local_paths_have_no_scheme():
    assert files.is_local("a/b")
    assert files.is_local("/a:b")
    assert not files.is_local("gs://bucket/a")
    assert not files.is_local("s3://bucket/a")


def test_match_lists_files_with_sizes_in_order_and_no_folders(tmp_path):
    (tmp_path / "b.txt").write_bytes(b"12")
    (tmp_path / "a.txt").write_bytes(b"1")
    (tmp_path / "c.txt").mkdir()
    found = files.match(f"{tmp_path}/*.txt", "read.files")
    assert [(Path(f.path).name, f.bytes) for f in found] == [("a.txt", 1), ("b.txt", 2)]
    assert found[0].changed == pytest.approx((tmp_path / "a.txt").stat().st_mtime)
    assert files.match(f"{tmp_path}/*.csv", "read.files") == []


TREE = (
    "a.txt",
    "b.txt",
    ".hidden.txt",
    "d/a.txt",
    "d/e/a.txt",
    "d/e/f/a.txt",
    "d.txt/x",
    "odd [1].txt",
    "new\nline.txt",
)
PATTERNS = (
    "*", "*.txt", "*/*", "d/*", "d/?.txt", "d?a.txt", "d[/]a.txt", "**", "**/a.txt", "d/**", "d/**/a.txt", "[ab].txt",
    "[!a].txt", "*/*/*.txt", "d/", "d//*", "nothing*", "x/*", "d*/*", "*[1].txt", "[", "a*[",
)  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_local_patterns_match_what_beam_matches(pattern, tmp_path, monkeypatch):
    for name in TREE:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "link.txt").symlink_to("a.txt")
    (tmp_path / "nowhere.txt").symlink_to("missing")
    (tmp_path / "folder.txt").symlink_to("d")
    whole = f"{tmp_path}/{pattern}"
    beams = FileSystems.match([whole.replace("//", "/")])[0].metadata_list
    expected = sorted((m.path, m.size_in_bytes, m.last_updated_in_seconds) for m in beams if Path(m.path).is_file())
    assert [tuple(found) for found in files.match(whole, "read.files")] == [(*known, None) for known in expected]
    monkeypatch.chdir(tmp_path)
    names = [path.removeprefix(f"{tmp_path}/") for path, *_ in expected]
    assert [found.path for found in files.match(pattern, "read.files")] == names


def test_folders_that_cannot_match_are_not_looked_at(tmp_path, monkeypatch):
    (tmp_path / "deep/er/and/deeper").mkdir(parents=True)
    (tmp_path / "a.txt").touch()
    looked = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: looked.append(str(path)) or scandir(path))
    assert len(files.match(f"{tmp_path}/*.txt", "read.files")) == 1
    assert looked == [str(tmp_path)]


def test_file_system_that_beam_does_not_know_is_refused_with_the_option():
    with pytest.raises(ConfigError, match=r"^read\.files: nosuch://a/\* is on no file system that is known: one of gs"):
        files.match("nosuch://a/*", "read.files")


@pytest.mark.parametrize("name", ["a.gz", "plain", "[x]*.txt", "a b#%\n.txt"])
def test_file_comes_back_as_it_was_written_whatever_its_name(tmp_path, name):
    path = f"{tmp_path}/folder/{name}"
    files.write_bytes(path, b"\x1f\x8bdata")
    assert files.read_bytes(path) == b"\x1f\x8bdata"
    assert files.size(path) == 6
    assert files.exists(path)
    with files.open_binary(path) as stream:
        assert stream.read(2) == b"\x1f\x8b"
    assert stream.closed


def test_file_that_is_not_there_has_no_size(tmp_path):
    assert files.size(f"{tmp_path}/none") is None
    assert not files.exists(f"{tmp_path}/none")


@pytest.mark.parametrize("name", ["a", "a/b", "[x]*/b?.txt"])
def test_folder_is_listed_weighed_and_removed(tmp_path, name):
    root = f"{tmp_path}/[root]"
    for place, data in ((name, b"123"), ("z/deep/er", b"1")):
        files.write_bytes(f"{root}/{place}", data)
    found = files.list_folder(root)
    assert [(one.path, one.bytes, one.checksum) for one in found] == [
        (f"{root}/{name}", 3, None),
        (f"{root}/z/deep/er", 1, None),
    ]
    assert files.stat(f"{root}/{name}") == found[0]
    assert files.list_subfolders(root) == [*([name.split("/")[0]] if "/" in name else []), "z"]
    then = 2_000_000_000
    os.utime(f"{root}/z/deep", (then, then))
    assert files.weigh_folder(root) == (4, then)
    for _ in range(2):
        files.remove_folder(f"{root}/z")
        files.remove_file(f"{root}/{name}")
    assert files.list_folder(root) == []
    assert files.list_folder(f"{root}/none") == files.list_subfolders(f"{root}/none") == []
    assert files.weigh_folder(f"{root}/none") == (0, 0.0)


def test_file_that_cannot_be_removed_as_a_folder_is_told(tmp_path):
    files.write_bytes(f"{tmp_path}/a", b"")
    with pytest.raises(JobError, match=f"^{tmp_path}/a cannot be removed: "):
        files.remove_folder(f"{tmp_path}/a")


def test_file_is_read_in_parts_and_twice(tmp_path):
    path = f"{tmp_path}/a"
    files.write_bytes(path, b"0123456789")
    assert (files.read_range(path, 2, 3), files.read_range(path, 8, 9)) == (b"234", b"89")
    with files.open_copy(path) as stream:
        assert stream.read() == b"0123456789"
        stream.seek(0)
        assert stream.read(2) == b"01"


def test_published_file_appears_whole_and_leaves_nothing_beside_it(tmp_path):
    path, scratch = tmp_path / "out/part", tmp_path / "scratch"
    with files.publish(str(path), str(scratch)) as stream:
        stream.write(b"half")
        stream.flush()
        assert not path.exists()
        stream.write(b" whole")
    assert path.read_bytes() == b"half whole"
    assert not scratch.exists()
    with files.publish(str(path), str(scratch)) as stream:
        stream.write(b"again")
    assert path.read_bytes() == b"again"


def test_try_that_fails_publishes_nothing(tmp_path):
    def fail():
        with files.publish(f"{tmp_path}/part", f"{tmp_path}/scratch") as stream:
            stream.write(b"half")
            raise KeyError("lost")

    with pytest.raises(KeyError):
        fail()
    assert not (tmp_path / "part").exists()
    assert not (tmp_path / "scratch").exists()


def test_disk_without_hard_links_is_told_in_a_sentence(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    message = f"^{tmp_path}/a cannot be written once: its disk takes no hard link \\(Operation not permitted\\); use"
    with pytest.raises(JobError, match=message):
        files.create_once(f"{tmp_path}/a", b"1", f"{tmp_path}/scratch")
    assert list(tmp_path.iterdir()) == []


def test_disk_without_room_for_the_link_is_told_as_full(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StoreError, match=f"^{tmp_path}/a cannot be written: No space left on device; make room"):
        files.create_once(f"{tmp_path}/a", b"1", f"{tmp_path}/scratch")
    assert list(tmp_path.iterdir()) == []


def test_file_is_created_once_and_the_first_one_stays(tmp_path):
    path, scratch = tmp_path / "manifest.json", str(tmp_path / "scratch")
    assert files.create_once(str(path), b"first", scratch)
    assert not files.create_once(str(path), b"second", scratch)
    assert path.read_bytes() == b"first"
    assert not (tmp_path / "scratch").exists()
