import os
from pathlib import Path

import pytest
from apache_beam.io.filesystems import FileSystems

from transforms import files
from transforms.arrays.errors import ConfigError, JobError


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
    assert [tuple(found) for found in files.match(whole, "read.files")] == expected
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
    with pytest.raises(ConfigError, match=r"^read\.files: 'nosuch://a/\*' cannot be listed: "):
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


def test_file_is_created_once_and_the_first_one_stays(tmp_path):
    path, scratch = tmp_path / "manifest.json", str(tmp_path / "scratch")
    assert files.create_once(str(path), b"first", scratch)
    assert not files.create_once(str(path), b"second", scratch)
    assert path.read_bytes() == b"first"
    assert not (tmp_path / "scratch").exists()


def test_remote_output_is_refused():
    files.refuse_remote_output("/a/b")
    with pytest.raises(ConfigError, match=r"^write\.path: gs://a/b is on a remote file system"):
        files.refuse_remote_output("gs://a/b")


@pytest.mark.parametrize("name", ["a.txt", "a[1].txt", "what?*.txt"])
def test_input_that_changed_since_the_job_was_planned_stops_it(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"123")
    files.check_readable(str(path), 3)
    with pytest.raises(JobError, match="had 4 bytes when the job was planned and has 3 now"):
        files.check_readable(str(path), 4)
    path.unlink()
    with pytest.raises(JobError, match="had 3 bytes when the job was planned and is gone"):
        files.check_readable(str(path), 3)
