"""Damage of every kind, by the hundred and seeded: verify finds each, names the file, and ends with 3.

OBLONG_FAULTS=20000 tries so many.
"""

import copy
import json
import os
import random
import shutil

import pytest

from pipeline.manifest import seal
from pipeline.verify import verify
from tests.pipeline.conftest import COLUMNS, Run
from tests.runs import oblong, some_rows, write_jsonl

TRIES = int(os.environ.get("OBLONG_FAULTS", "400"))

SETTINGS = {
    "read.keep": {"label": "int64", "score": "float64", "name": "string"},
    "truncate.max_length": 24,
    "bucket.boundaries": [8, 16],
    "batch.rows": 4,
    "batch.drop_remainder": True,
    "write.formats": ["parquet", "tfrecord"],
    "write.columns": COLUMNS,
    "write.compression": {"parquet": "zstd", "tfrecord": "gzip"},
    "write.shards": 2,
    "split": {"train": 0.7, "validation": 0.3},
    "run.max_dead_letters": 0.5,
    "read.empty": "dead_letter",
}

# Where nothing else in the run says the same, so that an edit under a checksum that fits is a forgery.
SAID_ONCE = {
    "run_id",
    "created",
    "fingerprint",
    "notes",
    "versions",
    "tokenizer.engine",
    "tokenizer.engine_reason",
    "tokenizer.tokens_checked",
    "tokenizer.model_max_length",
    "inputs.path",
    "inputs.bytes",
    "inputs.changed",
    "totals.rows_truncated",
    "totals.tokens_dropped",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tokenizer):
    """A run with two formats, splits, several buckets, and dead letters of two reasons."""
    folder = tmp_path_factory.mktemp("whole")
    source = write_jsonl(folder / "in" / "a.jsonl", [*some_rows(60, longest=30), '{"text": ', '{"text": ""}'])
    short = ("--input", source, "--tokenizer", tokenizer, "--output", folder / "out", "--run_id", "r")
    said = oblong("run", *short, *(f"--set={key}={json.dumps(value)}" for key, value in SETTINGS.items()))
    assert said.code == 0, said.err
    run = folder / "out" / "runs" / "r"
    return Run(run, json.loads((run / "manifest.json").read_text()))


def named(folder):
    """The files that verify's problems begin with."""
    return {problem.removeprefix(f"{folder}/").split(": ")[0] for problem in verify(str(folder)).problems}


def paths(run):
    return sorted(path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*") if path.is_file())


def flip(run, rng):
    name = rng.choice(paths(run))
    data = bytearray((run.folder / name).read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    (run.folder / name).write_bytes(data)
    return {name}


def drop(run, rng):
    name = rng.choice([name for name in paths(run) if name != "manifest.json"])
    (run.folder / name).unlink()
    return {name}


def truncate(run, rng):
    name = rng.choice(paths(run))
    data = (run.folder / name).read_bytes()
    (run.folder / name).write_bytes(data[: rng.choice([0, 1, rng.randrange(len(data)), len(data) - 1])])
    return {name}


def extend(run, rng):
    name = rng.choice(paths(run))
    data = (run.folder / name).read_bytes()
    (run.folder / name).write_bytes(data + rng.choice([b"\0", b"\n", b"x", data]))
    return {name}


def swap(run, rng):
    one, other = rng.sample(files_of(run), 2)
    first, second = ((run.folder / name).read_bytes() for name in (one, other))
    (run.folder / one).write_bytes(second)
    (run.folder / other).write_bytes(first)
    return {one, other}


def overwrite(run, rng):
    one, other = rng.sample(files_of(run), 2)
    shutil.copyfile(run.folder / other, run.folder / one)
    return {one}


def same_size(run, rng):
    name = rng.choice(files_of(run))
    size = (run.folder / name).stat().st_size
    (run.folder / name).write_bytes(rng.randbytes(size))
    return {name}


def add(run, rng):
    attempt = run.manifest["attempt"]
    folders = ["", f"{attempt}/", f"{attempt}/train/", f"{attempt}/dead_letters/", f"{attempt}/tokenizer/", "old/"]
    names = ["part-00009-of-00010.parquet", "x", "manifest.json.bak", "old-manifest.json", ".hidden", "a b\n.jsonl"]
    name = rng.choice(folders) + rng.choice(names)
    (run.folder / name).parent.mkdir(exist_ok=True)
    (run.folder / name).write_bytes(rng.choice([b"", b"x", (run.folder / "manifest.json").read_bytes()]))
    return {name.replace("\n", "\\n")}


def folder_in_place(run, rng):
    name = rng.choice(files_of(run))
    (run.folder / name).unlink()
    (run.folder / name).mkdir()
    return {name}


def link_out(run, rng):
    name = rng.choice(files_of(run))
    aside = run.folder.parent / "aside"
    (run.folder / name).replace(aside)
    (run.folder / name).symlink_to(aside)
    return {name}


def files_of(run):
    """All files but the manifest, no two of them alike."""
    return [name for name in paths(run) if name != "manifest.json"]


def edit(run, rng):
    """Edits one value of the manifest that is said elsewhere too, under a checksum that fits."""
    manifest = copy.deepcopy(run.manifest)
    del manifest["manifest_crc32c"], manifest["config"]
    parent, key, _ = rng.choice([leaf for leaf in leaves(manifest) if leaf[2] not in SAID_ONCE])
    value = parent[key]
    if isinstance(value, int):
        parent[key] = value + rng.choice([-1, 1, 1000, -value, 2**62])
    elif isinstance(value, str):
        parent[key] = rng.choice([value + "0", value[:-1], value[::-1] + "x", ""])
    else:
        parent[key] = 7
    if parent[key] == value:
        parent[key] = "x"
    (run.folder / "manifest.json").write_bytes(seal({**manifest, "config": run.manifest["config"]}))
    return set()


def leaves(node, parent=None, key=None, place=""):
    """Every value with where it is: what holds it, its key there, and the keys on the way without numbers."""
    if isinstance(node, dict) and node:
        for name, value in node.items():
            yield from leaves(value, node, name, f"{place}.{name}".lstrip(".") if place not in SAID_ONCE else place)
    elif isinstance(node, list) and node:
        for i, value in enumerate(node):
            yield from leaves(value, node, i, place)
    else:
        yield parent, key, place


def delete_key(run, rng):
    manifest = copy.deepcopy(run.manifest)
    del manifest["manifest_crc32c"]
    config = manifest.pop("config")  # a key that is left out there has its default
    parent, key, _ = rng.choice([leaf for leaf in leaves(manifest) if leaf[2] not in SAID_ONCE])
    manifest["config"] = config
    if isinstance(parent, list):
        parent, key = manifest, rng.choice(list(manifest))
    del parent[key]
    (run.folder / "manifest.json").write_bytes(seal(manifest))
    return set()


def reorder(run, rng):
    manifest = copy.deepcopy(run.manifest)
    del manifest["manifest_crc32c"]
    files = manifest["files"]
    i = rng.randrange(len(files) - 1)
    change = rng.choice(["swap", "repeat", "leave out", "mix"])
    if change == "swap":
        files[i], files[i + 1] = files[i + 1], files[i]
    elif change == "repeat":
        files.insert(i, files[i])
    elif change == "leave out":
        del files[i]
    else:
        files[i]["path"], files[i + 1]["path"] = files[i + 1]["path"], files[i]["path"]
    (run.folder / "manifest.json").write_bytes(seal(manifest))
    return set()


FAULTS = (flip, flip, drop, truncate, extend, swap, overwrite, same_size, add, folder_in_place, link_out)
EDITS = (edit, edit, edit, reorder, delete_key)


@pytest.mark.parametrize("seed", range(8))
def test_damage_is_found_and_its_file_named(whole, tmp_path, seed):
    found = {}
    for number in range(seed, TRIES, 8):
        rng = random.Random(number)
        fault = rng.choice((*FAULTS, *EDITS))
        run = whole.copy(tmp_path / str(number) / "r")
        expected = fault(run, rng)
        seen = named(run.folder)
        assert seen >= expected, (number, fault.__name__)
        assert seen, (number, fault.__name__)
        assert fault in EDITS or seen == expected, (number, fault.__name__)
        found[fault.__name__] = found.get(fault.__name__, 0) + 1
        shutil.rmtree(tmp_path / str(number))
    assert sum(found.values()) == len(range(seed, TRIES, 8))


@pytest.mark.parametrize("number", range(len(FAULTS)))
def test_command_ends_with_3_on_damage(whole, tmp_path, number):
    run = whole.copy(tmp_path / "r")
    expected = FAULTS[number](run, random.Random(number))
    said = oblong("verify", run.folder)
    assert (said.code, said.err) == (3, "")
    assert all(any(name in line for line in said.out.splitlines()) for name in expected)
    assert "Traceback" not in said.out


CONFIGURED = {
    "bucket.boundaries": [8, 17, 24],
    "batch.rows": 5,
    "batch.drop_remainder": False,
    "pad.to": "bucket",
    "pad.side": "left",
    "pad.multiple_of": 16,
    "write.formats": ["parquet"],
    "write.columns": ["input_ids"],
    "write.compression": {"parquet": "zstd", "tfrecord": "none"},
    "write.shards": 3,
    "split": {"train": 1.0},
    "read.keep": {"label": "int32", "score": "float64", "name": "string"},
}


@pytest.mark.parametrize("key", CONFIGURED)
def test_configuration_that_the_files_deny_is_found(whole, tmp_path, key):
    run = whole.copy(tmp_path / "r")
    manifest = copy.deepcopy({k: v for k, v in run.manifest.items() if k != "manifest_crc32c"})
    node, *last = key.split(".")
    assert verify(str(run.folder)).problems == []
    if last:
        manifest["config"][node][last[0]] = CONFIGURED[key]
    else:
        manifest["config"][node] = CONFIGURED[key]
    (run.folder / "manifest.json").write_bytes(seal(manifest))
    assert verify(str(run.folder)).problems != []


def test_leftovers_of_other_attempts_are_told_and_are_no_damage(whole, tmp_path):
    run = whole.copy(tmp_path / "out" / "runs" / "r")
    scratch = f"{run.manifest['attempt']}.tmp"
    for name in ("attempt-20260101T000000Z-00000000/train/x.parquet", f"{scratch}/units.jsonl", f"{scratch}/ab"):
        (run.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (run.folder / name).write_bytes(b"x")
    verdict = verify(str(run.folder))
    assert verdict.problems == []
    assert verdict.leftovers == {"attempt-20260101T000000Z-00000000": 1, scratch: 2}
    said = oblong("verify", run.folder)
    assert said.code == 0
    assert f"beside it: {scratch}, 2 files of an attempt that was not committed; see oblong gc\n" in said.out
    found = oblong("gc", tmp_path / "out", "--older-than", "0", "--json").json["leftovers"]
    assert {one["path"].rpartition("/")[2] for one in found} == set(verdict.leftovers)


@pytest.mark.parametrize(
    ("where", "path"),
    [
        (where, path)
        for where in ("files", "dead_letters", "tokenizer", "attempt")
        for path in (
            "../../../secret",
            "/etc/passwd",
            "gs://bucket/secret",
            "{attempt}/../../secret",
            "{attempt}//secret",
            "{attempt}/./secret",
            "{attempt}/a\\..\\secret",
            "{attempt}/\0",
            "..",
            "",
        )
    ],
)
def test_path_that_leaves_the_run_is_refused_by_name(whole, tmp_path, where, path):
    run = whole.copy(tmp_path / "r")
    manifest = copy.deepcopy({k: v for k, v in run.manifest.items() if k != "manifest_crc32c"})
    path = path.format(attempt=run.manifest["attempt"])
    if where == "attempt":
        manifest["attempt"] = path
    else:
        (manifest[where] if where == "tokenizer" else manifest[where][0])["path"] = path
    (run.folder / "manifest.json").write_bytes(seal(manifest))
    (tmp_path / "secret").write_text("secret")
    said = oblong("verify", run.folder, "--json")
    assert said.code == 3
    (problem,) = said.json["problems"]
    place = {"attempt": "attempt", "tokenizer": "tokenizer.path"}.get(where, f"{where}[0].path")
    assert f"manifest.json: {place} is " in problem
    assert ", which is outside of the run; it was not read" in problem
    said = oblong("inspect", run.folder, "--rows=1")
    assert (said.code, said.err.count("\n")) == (1, 1)


def test_names_that_no_terminal_takes_are_spelled_out(whole, tmp_path):
    run = whole.copy(tmp_path / "r")
    (run.folder / os.fsdecode(b"\xff\x1b[31m\n")).write_bytes(b"")
    said = oblong("verify", run.folder)
    assert said.code == 3
    assert "\\udcff\\x1b[31m\\n: in the run's folder, but the manifest does not name it\n" in said.out


def test_pipe_in_the_place_of_a_file_is_not_waited_for(whole, tmp_path):
    for name in (
        "manifest.json",
        whole.manifest["files"][0]["path"],
        f"{whole.manifest['attempt']}/tokenizer/tokenizer.json",
    ):
        run = whole.copy(tmp_path / name.replace("/", "-") / "r")
        (run.folder / name).unlink()
        os.mkfifo(run.folder / name)
        assert named(run.folder) == {name}


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_file_that_may_not_be_read_is_named(whole, tmp_path):
    run = whole.copy(tmp_path / "r")
    name = whole.manifest["files"][0]["path"]
    (run.folder / name).chmod(0)
    assert named(run.folder) == {name}
