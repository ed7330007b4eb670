import os

import pytest

from pipeline.inspection import first_rows, inspect, spell_row
from tests.runs import KEEP, oblong
from transforms.arrays.errors import ConfigError, JobError


def test_rows_are_decoded_without_their_padding(pairs, windows):
    for run in (pairs, windows):
        for row in first_rows(str(run.folder), run.manifest, 20):
            real = [token for token, is_real in zip(row["input_ids"], row["attention_mask"], strict=True) if is_real]
            assert row["text"].split() == [word_of(token) for token in real]
            assert row["text"].startswith("[CLS]")
            assert row["text"].endswith("[SEP]")


def word_of(token):
    return ("[PAD]", "[UNK]", "[CLS]", "[SEP]")[token] if token < 4 else f"w{token - 4}"


@pytest.mark.parametrize(("asked", "found"), [(0, 0), (1, 1), (9, 9), (10_000, 150)])
def test_as_many_rows_as_asked_or_all(pairs, asked, found):
    rows = first_rows(str(pairs.folder), pairs.manifest, asked)
    assert len(rows) == found
    assert len({row["row_id"] for row in rows}) == found  # of one format


def test_inspection_gives_the_manifest_and_the_folder(pairs):
    for run in (str(pairs.folder), f"{pairs.folder}/", f"{pairs.folder}/manifest.json"):
        found = inspect(run, 1)
        assert (found["run"], found["manifest"], len(found["rows"])) == (str(pairs.folder), pairs.manifest, 1)
        assert set(found["rows"][0]) == {*KEEP, *(column["name"] for column in pairs.manifest["schema"]), "text"}


def test_rows_without_ids_have_no_text(committed):
    run = committed({"write.columns": ["length", "row_id"], "write.formats": "tfrecord"})
    assert set(first_rows(str(run.folder), run.manifest, 1)[0]) == {"length", "row_id"}
    assert oblong("verify", run.folder).code == 0


def test_table_shows_totals_buckets_schema_and_rows(pairs):
    said = oblong("inspect", pairs.folder, "--rows=1")
    assert (said.code, said.err) == (0, "")
    assert f"run {pairs.manifest['run_id']}, committed by {pairs.manifest['attempt']}" in said.out
    assert "tokenizer " in said.out
    assert "104 tokens, engine tokenizers\n  because gigatoken does not take it: " in said.out
    assert "note: bucket.boundaries: 48 is added, where rows are cut" in said.out
    assert "label: int64, score: float64" in said.out
    assert "dead letters, bad_json" in said.out
    assert "row_id                '" in said.out


def test_long_cells_are_cut_to_the_width():
    row = {"input_ids": list(range(1000)), "name": "x" * 200, "label": None}
    lines = spell_row(row, 60).split("\n")
    assert max(map(len, lines)) == 60
    assert lines[0].startswith("input_ids             0 1 2")
    assert lines[0].endswith(" ...")
    assert lines[2] == "label                 None"


def test_damage_is_named(pairs, tmp_path):
    run = pairs.copy(tmp_path / "run")
    (run.folder / run.files("parquet")[0]["path"]).write_bytes(b"PAR1")
    said = oblong("inspect", run.folder, "--rows=1")
    assert said.code == 1
    assert said.err.startswith(f"oblong: {run.files('parquet')[0]['path']}: cannot be read: ")
    with pytest.raises(JobError):
        inspect(str(run.folder), 1)
    with pytest.raises(ConfigError):
        inspect(str(tmp_path))


def test_tokenizer_that_is_gone_is_named(pairs, tmp_path):
    run = pairs.copy(tmp_path / "run")
    (run.attempt / "tokenizer" / "tokenizer.json").unlink()
    said = oblong("inspect", run.folder, "--rows=1")
    assert said.code == 1
    assert (said.err.count("\n"), "tokenizer/tokenizer.json" in said.err) == (1, True)


def test_kept_column_called_text_is_left_as_it_is(committed, rows):
    run = committed({"read.keep": ["text"]})
    found = first_rows(str(run.folder), run.manifest, 200)
    assert sorted(row["text"] for row in found) == sorted(row["text"] for row in rows)
    assert all(row["decoded"].startswith("[CLS]") for row in found)


@pytest.mark.parametrize("settings", [{"write.formats": "tfrecord", "write.compression": "gzip"}, {}])
def test_byte_that_changed_anywhere_ends_in_one_line_or_in_rows(committed, tmp_path, settings):
    run = committed(settings).copy(tmp_path / "run")
    path = run.folder / run.manifest["files"][0]["path"]
    data = path.read_bytes()
    codes = set()
    for at in range(0, len(data), max(1, len(data) // 60)):
        damaged = bytearray(data)
        damaged[at] ^= 0xFF
        path.write_bytes(damaged)
        said = oblong("inspect", run.folder, "--rows=1000")
        assert said.code in (0, 1)
        assert said.err.count("\n") == said.code
        codes.add(said.code)
    assert 1 in codes


def test_tokenizer_that_is_not_the_one_used_is_not_loaded(pairs, tmp_path):
    run = pairs.copy(tmp_path / "run")
    path = run.attempt / "tokenizer" / "tokenizer.json"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(JobError, match=r"tokenizer/tokenizer.json: damaged: its sha256 differs"):
        inspect(str(run.folder), 1)


def test_brackets_in_names_are_no_markup(committed):
    run = committed({"split": {"[bold": 0.5, "x]": 0.5}, "run.id": "brackets"})
    said = oblong("inspect", run.folder, "--rows=1")
    assert (said.code, said.err) == (0, "")
    assert "[bold" in said.out


@pytest.mark.parametrize("which", ["shard", "tokenizer"])
def test_pipe_in_the_place_of_a_file_is_named_and_not_waited_for(pairs, tmp_path, which):
    run = pairs.copy(tmp_path / "run")
    file = run.files("parquet")[0]["path"] if which == "shard" else f"{run.attempt.name}/tokenizer/tokenizer.json"
    (run.folder / file).unlink()
    os.mkfifo(run.folder / file)
    said = oblong("inspect", run.folder, "--rows=1")
    assert said.code == 1
    assert said.err == f"oblong: {run.folder}/{file} is a folder, a pipe or a device, and has to be a file\n"
