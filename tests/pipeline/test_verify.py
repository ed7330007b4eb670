import json
import random
import shutil

import google_crc32c
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.verify import verify
from tests.runs import oblong, reseal

# Neither special tokens nor texts in some rows: rectangles without cells.
BARE = {
    "tokenize.add_special_tokens": False,
    "bucket.boundaries": [4],
    "batch.rows": 2,
    "write.formats": ["tfrecord", "parquet"],
}


@pytest.fixture(params=["pairs", "windows", "unpadded", "bare"])
def run(request, committed):
    return committed(BARE) if request.param == "bare" else request.getfixturevalue(request.param)


@pytest.fixture
def damaged(pairs, tmp_path):
    """A run to damage."""
    return pairs.copy(tmp_path / "run")


def flip(path, seed):
    """Changes one byte, anywhere."""
    rng = random.Random(f"{path.name} {seed}")
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
    path.write_bytes(data)


def problems_of(run):
    """What the command finds, which must end with exit code 3."""
    said = oblong("verify", run.folder, "--json")
    assert said.code == 3
    assert said.json["ok"] is False
    return said.json["problems"]


def named(run, problems):
    """The files that problems begin with."""
    return {problem.removeprefix(f"{run.folder}/").split(": ")[0] for problem in problems}


def test_untouched_run_is_ok(run):
    verdict = verify(str(run.folder))
    files = [*run.manifest["files"], *run.manifest["dead_letters"]]
    assert verdict.problems == []
    assert verdict.files == len(files)
    assert verdict.rows == sum(file["rows"] for file in files)
    said = oblong("verify", run.folder / "manifest.json")
    assert said == (
        0,
        f"ok: no damage (forgery is not looked for): {len(files)} files, {verdict.rows:,} rows read again\n",
        "",
    )


def test_run_that_was_moved_is_ok(pairs, tmp_path, monkeypatch):
    moved = pairs.copy(tmp_path / "elsewhere")
    monkeypatch.chdir(moved.folder)
    assert verify(".").problems == verify("manifest.json").problems == []


def test_rows_without_tokens_are_rectangles_too(committed):
    run = committed(BARE)
    widths = [len(ids) for f in run.files("parquet") for ids in pq.read_table(run.folder / f["path"])["input_ids"]]
    assert min(widths) == 0


@pytest.mark.parametrize("seed", range(8))
def test_one_byte_changed_in_every_file_is_found_in_every_file(damaged, seed):
    files = [path for path in damaged.attempt.rglob("*") if path.is_file()]
    for path in files:
        flip(path, seed)
    assert named(damaged, problems_of(damaged)) == {path.relative_to(damaged.folder).as_posix() for path in files}


@pytest.mark.parametrize("seed", range(25))
def test_one_byte_changed_in_the_manifest_is_found(damaged, seed):
    path = damaged.folder / "manifest.json"
    flip(path, seed)
    try:
        same = json.loads(path.read_bytes()) == damaged.manifest  # one white space for another
    except ValueError:
        same = False
    assert same or named(damaged, problems_of(damaged)) == {"manifest.json"}


def test_file_that_is_gone_is_named(damaged):
    gone = [damaged.manifest["files"][0]["path"], damaged.manifest["dead_letters"][0]["path"]]
    gone += [f"{damaged.manifest['tokenizer']['path']}/{name}" for name in ("tokenizer.json", "tokenizer_config.json")]
    for path in gone:
        (damaged.folder / path).unlink()
    assert sorted(problems_of(damaged)) == sorted(f"{path}: missing" for path in gone)


def test_file_that_no_list_names_is_refused(damaged):
    (damaged.attempt / "train" / "extra.parquet").write_bytes(b"")
    path = f"{damaged.manifest['attempt']}/train/extra.parquet"
    assert problems_of(damaged) == [f"{path}: in the run's folder, but the manifest does not name it"]


@pytest.mark.parametrize("target", ["nowhere", ".", "/"])
def test_link_that_no_list_names_is_refused_wherever_it_leads(damaged, target):
    (damaged.attempt / "train" / "link").symlink_to(target)
    path = f"{damaged.manifest['attempt']}/train/link"
    assert problems_of(damaged) == [f"{path}: in the run's folder, but the manifest does not name it"]


def test_file_beside_the_attempt_is_refused_too(damaged):
    (damaged.folder / "notes.txt").write_text("mine")
    assert problems_of(damaged) == ["notes.txt: in the run's folder, but the manifest does not name it"]


def test_two_files_that_were_swapped_are_both_named(damaged):
    one, two = (damaged.folder / damaged.files("parquet")[i]["path"] for i in (0, 1))
    aside = damaged.folder / "aside"
    one.rename(aside)
    two.rename(one)
    aside.rename(two)
    assert named(damaged, problems_of(damaged)) == {path.relative_to(damaged.folder).as_posix() for path in (one, two)}


@pytest.mark.parametrize("left", [0, 1, -1])
def test_file_that_was_cut_off_is_named_with_its_size(damaged, left):
    file = damaged.manifest["files"][-1]
    data = (damaged.folder / file["path"]).read_bytes()
    (damaged.folder / file["path"]).write_bytes(data[:left])
    expected = f"{file['path']}: has {len(data[:left])} bytes, expected {len(data)}"
    assert problems_of(damaged) == [expected]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda m: m["totals"].update(rows_read=7), "rows were lost: 7 were read"),
        (lambda m: m["totals"].update(windows=1), "rows were lost"),
        (lambda m: m["totals"].update(rows_written=1), "totals.rows_written is 1, its parquet files have 150"),
        (lambda m: m["totals"].update(tokens=1), "totals.tokens is 1, its tfrecord files have"),
        (lambda m: m["totals"].update(padding=1), "totals.padding is 1, its parquet files have"),
        (lambda m: m["totals"]["dead_letters"].update(unfit=1), "totals.dead_letters are 2, their files have 1"),
        (lambda m: m.update(files=[]), "totals.rows_written is 150, its parquet files have 0"),
        (lambda m: m["files"].pop(), "in the run's folder, but the manifest does not name it"),
    ],
)
def test_totals_that_do_not_add_up_are_found_under_a_checksum_that_fits(damaged, change, found):
    reseal(damaged.folder, change)
    assert any(found in problem for problem in problems_of(damaged))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"rows": 1}, "expected 1"),
        ({"tokens": 1}, "its masks count"),
        ({"padding": 0}, "cells, expected"),
        ({"width": 5}, "has rows that are not 5 wide"),
        ({"rows_per_batch": 1000}, "batches, expected"),
        ({"batches": 99}, "batches, expected 99"),
        ({"bytes": 3}, "bytes, expected 3"),
        ({"crc32c": "00000000"}, "not 00000000"),
    ],
)
def test_file_that_is_not_what_the_manifest_says_is_named(damaged, change, found):
    index = max(range(len(damaged.manifest["files"])), key=lambda i: damaged.manifest["files"][i]["rows"])
    reseal(damaged.folder, lambda manifest: manifest["files"][index].update(change))
    path = damaged.manifest["files"][index]["path"]
    assert any(problem.startswith(path) and found in problem for problem in problems_of(damaged))


def rewrite(run, change):
    """Changes the rows of the largest Parquet file and says so in the manifest."""
    file = max(run.files("parquet"), key=lambda file: file["rows"])
    path = run.folder / file["path"]
    table = pq.read_table(path)
    pq.write_table(change(table), path)
    data = path.read_bytes()
    new = {"bytes": len(data), "crc32c": f"{google_crc32c.value(data):08x}"}
    reseal(run.folder, lambda m: next(f for f in m["files"] if f["path"] == file["path"]).update(new))
    return file["path"]


def replaced(name, function):
    """A change of one column's values."""

    def change(table):
        values = [function(value) for value in table[name].to_pylist()]
        return table.set_column(table.schema.names.index(name), name, pa.array(values, table.schema.field(name).type))

    return change


def widen_first(table):
    """Makes the first row one cell wider."""
    for name in ("input_ids", "attention_mask", "token_type_ids", "special_tokens_mask"):
        rows = table[name].to_pylist()
        rows[0] = [*rows[0], 0]
        table = table.set_column(table.schema.names.index(name), name, pa.array(rows, table.schema.field(name).type))
    return table


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (widen_first, "is no rectangle"),
        (
            replaced("attention_mask", lambda mask: [0, *mask[1:]]),
            "attention_mask does not end in padding on the right",
        ),
        (replaced("attention_mask", lambda mask: [2, *mask[1:]]), "attention_mask holds other values than 0 and 1"),
        (replaced("attention_mask", lambda mask: [1] * len(mask)), "its masks count"),
        (replaced("token_type_ids", lambda types: types[1:]), "token_type_ids is not as wide as the other columns"),
        (lambda table: table.drop_columns(["token_type_ids"]), "of other names or types than the manifest"),
        (lambda table: table.slice(1), "rows, expected"),
    ],
)
def test_wrong_contents_are_found_even_where_the_checksum_fits(damaged, change, found):
    path = rewrite(damaged, change)
    assert any(problem.startswith(path) and found in problem for problem in problems_of(damaged))


def test_dead_letters_are_counted(damaged):
    reseal(damaged.folder, lambda manifest: manifest["dead_letters"][0].update(rows=2))
    path = damaged.manifest["dead_letters"][0]["path"]
    assert f"{path}: has 1 rows, expected 2" in problems_of(damaged)


def letters(run, lines):
    """Puts other lines in the place of the dead letters and says so in the manifest."""
    file = run.manifest["dead_letters"][0]
    data = b"".join(line + b"\n" for line in lines)
    (run.folder / file["path"]).write_bytes(data)
    new = {"rows": len(lines), "bytes": len(data), "crc32c": f"{google_crc32c.value(data):08x}"}
    reseal(run.folder, lambda m: m["dead_letters"][0].update(new))
    return file["path"]


def test_dead_letters_are_compared_by_reason(damaged):
    line = (damaged.folder / damaged.manifest["dead_letters"][0]["path"]).read_bytes().strip()
    letters(damaged, [line.replace(b'"bad_json"', b'"bad_row"')])
    found = problems_of(damaged)
    assert "manifest.json: totals.dead_letters.bad_json is 1, the files have 0" in found
    assert "manifest.json: totals.dead_letters.bad_row is 0, the files have 1" in found


@pytest.mark.parametrize("line", [b"{}", b"[]", b"x", b'{"reason": "bad_json"}', b"\xff"])
def test_line_that_is_no_dead_letter_is_found(damaged, line):
    path = letters(damaged, [line])
    assert any(p.startswith(f"{path}: holds a line that is no dead letter") for p in problems_of(damaged))


def test_file_in_the_folder_of_another_bucket_is_found_by_its_rows(damaged):
    """The name, both labels and the order in the manifest are changed so that they agree: the rows do not."""
    for name in ("parquet", "tfrecord"):
        file = next(f for f in damaged.files(name) if f["bucket"] == 32 and f["split"] == "train")
        path = damaged.folder / file["path"]
        other = path.parent.parent / "bucket-00016" / path.name
        path.replace(other)
        moved = other.relative_to(damaged.folder).as_posix()

        def relabel(manifest, old=file["path"], new=moved):
            manifest["files"] = [f for f in manifest["files"] if f["path"] != new]
            next(f for f in manifest["files"] if f["path"] == old).update(path=new, bucket=16)
            manifest["files"].sort(key=lambda f: f["path"])

        reseal(damaged.folder, relabel)
    found = [p for p in problems_of(damaged) if p.endswith(" tokens, which is not of the bucket 16")]
    assert {p.split(": ")[0].rpartition(".")[2] for p in found} == {"parquet", "tfrecord"}


def test_tokenizer_of_another_size_is_found(damaged):
    reseal(damaged.folder, lambda manifest: manifest["tokenizer"].update(vocab_size=105))
    path = f"{damaged.manifest['tokenizer']['path']}/tokenizer.json"
    assert f"{path}: has 104 tokens, expected 105" in problems_of(damaged)


def test_promise_is_in_the_help():
    assert "It finds damage, not forgery" in oblong("verify", "--help").out


def test_something_without_a_manifest_is_a_usage_error(pairs, tmp_path):
    shutil.copytree(pairs.attempt, tmp_path / "run" / "attempt")
    said = oblong("verify", tmp_path / "run")
    assert said.code == 2
    assert said.err.startswith("oblong: RUN: ")
