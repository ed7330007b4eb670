import copy
import json
import re
import shutil
from pathlib import Path

import google_crc32c
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.manifest import canonical, check_laws, read_manifest, seal, totals_of
from tests.pipeline.conftest import COLUMNS
from tests.runs import KEEP, contents, oblong, reseal
from transforms.arrays.errors import ConfigError, JobError

SHARD = re.compile(
    r"(train|validation)/bucket-(\d{5}|all|over)/part-(\d{5})-of-(\d{5})\.(parquet|tfrecord|tfrecord\.gz)"
)

FIELDS = [
    "format_version",
    "run_id",
    "attempt",
    "created",
    "config",
    "tokenizer",
    "inputs",
    "files",
    "dead_letters",
    "schema",
    "totals",
    "versions",
    "manifest_crc32c",
]

FILE_FIELDS = {
    "path",
    "split",
    "bucket",
    "format",
    "rows",
    "batches",
    "rows_per_batch",
    "width",
    "tokens",
    "padding",
    "bytes",
    "crc32c",
}

RUNS = ["pairs", "windows", "unpadded"]


@pytest.fixture(params=RUNS)
def run(request):
    return request.getfixturevalue(request.param)


def test_attempt_holds_shards_dead_letters_and_the_tokenizer_and_nothing_else(run):
    names = {path.relative_to(run.attempt).as_posix() for path in run.attempt.rglob("*") if path.is_file()}
    named = {file["path"].split("/", 1)[1] for file in (*run.manifest["files"], *run.manifest["dead_letters"])}
    assert names == named | {"tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"}
    letters = {name for name in named if re.fullmatch(r"dead_letters/part-\d{5}-of-\d{5}\.jsonl", name)}
    assert len(letters) == 1
    assert all(SHARD.fullmatch(name) for name in named - letters)
    assert [path.name for path in sorted(run.folder.iterdir())] == [run.manifest["attempt"], "manifest.json"]


def test_tokenizer_files_are_those_that_were_given(run, tokenizer):
    assert run.manifest["tokenizer"]["path"] == f"{run.manifest['attempt']}/tokenizer"
    assert contents(run.folder / run.manifest["tokenizer"]["path"]) == contents(tokenizer)


def test_fields_are_those_of_the_interface(run):
    assert set(run.manifest) == {*FIELDS, "fingerprint", "recipe", "generation", "notes"}
    assert all(set(file) == FILE_FIELDS for file in run.manifest["files"])
    assert all(set(file) == {"path", "rows", "bytes", "crc32c"} for file in run.manifest["dead_letters"])
    said = {"path", "sha256", "engine", "vocab_size", "model_max_length"}
    assert said <= set(run.manifest["tokenizer"])
    assert run.manifest["format_version"] == 1
    assert run.folder.name == run.manifest["run_id"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", run.manifest["created"])
    assert run.manifest["tokenizer"]["vocab_size"] == 104
    assert run.manifest["tokenizer"]["model_max_length"] == 64


def test_inputs_are_named_with_their_sizes(run, corpus):
    expected = [(str(path), path.stat().st_size) for path in sorted(corpus.iterdir())]
    assert [(file["path"], file["bytes"]) for file in run.manifest["inputs"]] == expected


def test_sizes_and_checksums_are_those_of_the_files(run):
    for file in (*run.manifest["files"], *run.manifest["dead_letters"]):
        data = (run.folder / file["path"]).read_bytes()
        assert file["bytes"] == len(data)
        assert file["crc32c"] == f"{google_crc32c.value(data):08x}"


def test_paths_spell_split_bucket_and_shard(run):
    for file in run.manifest["files"]:
        split, bucket, _, shards, suffix = SHARD.fullmatch(file["path"].split("/", 1)[1]).groups()
        assert split == file["split"]
        assert bucket == (file["bucket"] if isinstance(file["bucket"], str) else f"{file['bucket']:05}")
        assert int(shards) == run.manifest["config"]["write"]["shards"]
        assert suffix.split(".")[0] == file["format"]
        codec = run.manifest["config"]["write"]["compression"][file["format"]]
        assert suffix.endswith(".gz") == (codec == "gzip")


def test_buckets_are_edges_or_over(pairs, windows, unpadded, committed):
    # 48 is added: rows are cut there
    assert {file["bucket"] for file in pairs.manifest["files"]} == {8, 16, 32, 48}
    assert {file["bucket"] for file in windows.manifest["files"]} == {6, 12}
    assert {file["bucket"] for file in unpadded.manifest["files"]} == {8, 16, "over"}
    assert any("48 is added" in note for note in pairs.manifest["notes"])
    one = committed({"bucket.boundaries": [], "truncate.strategy": "do_not_truncate"})
    assert {file["bucket"] for file in one.manifest["files"]} == {"all"}
    assert "/bucket-all/" in one.manifest["files"][0]["path"]


def test_width_is_a_number_only_where_padding_is_to_a_fixed_one(pairs, windows, unpadded, committed):
    assert {file["width"] for file in (*pairs.manifest["files"], *unpadded.manifest["files"])} == {None}
    assert {(file["bucket"], file["width"]) for file in windows.manifest["files"]} == {(6, 6), (12, 12)}
    fixed = committed({"pad.to": "max_length", "truncate.max_length": 20, "pad.multiple_of": 8})
    assert {file["width"] for file in fixed.manifest["files"]} == {24}


def test_no_fixed_width_is_claimed_where_a_row_exceeds_it(committed):
    run = committed({"pad.to": "max_length", "pad.length": 10, "truncate.strategy": False, "bucket.boundaries": [10]})
    widths = {file["bucket"]: file["width"] for file in run.manifest["files"]}
    assert widths == {10: 10, "over": None}


def test_rows_of_a_batch_share_one_width_and_all_batches_but_the_last_are_full(pairs, windows):
    for run in (pairs, windows):
        for file in run.files("parquet"):
            table = pq.read_table(run.folder / file["path"])
            widths = [len(ids) for ids in table["input_ids"].to_pylist()]
            size = file["rows_per_batch"]
            batches = [widths[i : i + size] for i in range(0, len(widths), size)]
            assert len(batches) == file["batches"]
            assert all(len(set(batch)) == 1 for batch in batches)
            assert sum(widths) == file["tokens"] + file["padding"]
            assert len(widths) == file["rows"]


def test_row_groups_hold_whole_batches(pairs):
    for file in pairs.files("parquet"):
        metadata = pq.ParquetFile(pairs.folder / file["path"]).metadata
        groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        assert all(rows % file["rows_per_batch"] == 0 for rows in groups[:-1])


def test_columns_and_their_types_are_those_of_the_interface(pairs):
    lists = {"input_ids": "list<int32>"} | dict.fromkeys(COLUMNS[1:4], "list<int8>")
    expected = KEEP | lists | {"length": "int32", "row_id": "string"}
    for file in pairs.files("parquet"):
        schema = pq.read_schema(pairs.folder / file["path"])
        spelled = {f.name: re.sub("(item|element): ", "", str(f.type)).replace("double", "float64") for f in schema}
        assert spelled == expected
        assert schema.names == list(expected)
        assert schema.field("input_ids").type.value_type == pa.int32()
    assert {column["name"]: column["type"] for column in pairs.manifest["schema"]} == expected


def test_row_ids_name_file_position_and_window(pairs, windows, corpus):
    ids = [
        i for file in pairs.files("parquet") for i in pq.read_table(pairs.folder / file["path"])["row_id"].to_pylist()
    ]
    lines = {}
    for path in corpus.iterdir():
        at = 0
        for line in path.read_bytes().splitlines(keepends=True):
            lines[f"{path.name.replace('#', '%23')}#{at}"] = line
            at += len(line)
    bad = next(i for i, line in lines.items() if line == b'{"text": \n')
    assert sorted(ids) == sorted(set(lines) - {bad})
    ids = [
        i
        for file in windows.files("parquet")
        for i in pq.read_table(windows.folder / file["path"])["row_id"].to_pylist()
    ]
    numbers = {}
    for one in ids:
        row, number = one.rsplit("#", 1)
        numbers.setdefault(row, set()).add(int(number))
    assert set(numbers) == set(lines) - {bad}
    assert all(seen == set(range(len(seen))) for seen in numbers.values())
    assert len(ids) - len(numbers) == windows.manifest["totals"]["windows"] > 0


def test_config_is_resolved_with_defaults_filled_in(pairs, windows, committed):
    config = pairs.manifest["config"]
    assert config["bucket"]["boundaries"] == [8, 16, 32, 48]
    assert config["truncate"] == {
        "strategy": "longest_first",
        "max_length": 48,
        "side": "right",
        "overflow": False,
        "stride": 0,
        "max_windows": 64,
        "on_unfit": "dead_letter",
    }
    assert config["pad"] == {"to": "longest", "length": None, "multiple_of": None, "side": "right", "token": "[PAD]"}
    assert config["read"]["keep"] == KEEP
    assert config["write"]["compression"] == {"parquet": "zstd", "tfrecord": "none"}
    assert config["batch"]["rows"] == 8
    assert config["run"]["seed"] == 0
    assert windows.manifest["config"]["pad"]["side"] == "left"
    fixed = committed({"pad.to": "max_length", "truncate.max_length": 20, "pad.multiple_of": 8})
    assert fixed.manifest["config"]["pad"]["length"] == 20
    assert fixed.manifest["config"]["batch"]["rows"] == 64
    assert fixed.manifest["config"]["write"]["columns"] == ["input_ids", "attention_mask", "token_type_ids"]


def test_versions_name_what_the_bytes_depend_on(pairs):
    assert pairs.manifest["versions"]["pyarrow"] == pa.__version__
    assert {"oblong", "tokenizers", "pyarrow"} <= set(pairs.manifest["versions"])


def test_checksum_is_over_the_canonical_json_without_itself(pairs):
    manifest = json.loads((pairs.folder / "manifest.json").read_text())
    said = manifest.pop("manifest_crc32c")
    spelled = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert said == f"{google_crc32c.value(spelled):08x}"
    assert json.loads(seal(manifest)) == {**manifest, "manifest_crc32c": said}


def test_manifest_is_found_by_its_folder_or_its_path(pairs):
    by_folder = read_manifest(str(pairs.folder))
    assert read_manifest(f"{pairs.folder}/") == read_manifest(f"{pairs.folder}/manifest.json") == by_folder
    assert by_folder == pairs.manifest


def test_folder_without_a_manifest_is_no_run(tmp_path):
    with pytest.raises(ConfigError, match=r"^RUN: .* has no manifest.json"):
        read_manifest(str(tmp_path))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"x"', '{"a": 1}', '{"manifest_crc32c": "00000000"}', '{"manifest_crc32c": 1}', "\x00"],
)
def test_damaged_manifest_is_named(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(JobError, match=rf"^{tmp_path}/manifest.json: damaged"):
        read_manifest(str(tmp_path))


def test_manifest_that_is_no_text_is_named(tmp_path):
    (tmp_path / "manifest.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(JobError, match="damaged"):
        read_manifest(str(tmp_path))


def test_manifest_of_a_later_format_is_refused(pairs, tmp_path):
    run = pairs.copy(tmp_path / "run")
    reseal(run.folder, lambda manifest: manifest.update(format_version=2))
    with pytest.raises(JobError, match="format_version 2; this oblong reads 1"):
        read_manifest(str(run.folder))


def test_canonical_json_does_not_depend_on_the_order_of_keys():
    assert (
        canonical({"b": [1.5, None, "é"], "a": {"d": 1, "c": 2}}) == '{"a":{"c":2,"d":1},"b":[1.5,null,"é"]}'.encode()
    )


def test_totals_are_arranged_by_kind():
    counts = {"rows_read": 9, "dropped.empty": 1, "dead_letters.unfit": 2, "dead_letters.bad_json": 1, "tokens": 7}
    assert totals_of(counts) == {
        "rows_read": 9,
        "rows_with_output": 0,
        "rows_written": 0,
        "windows": 0,
        "rows_truncated": 0,
        "tokens_dropped": 0,
        "tokens": 7,
        "padding": 0,
        "dropped": {"unfit": 0, "empty": 1, "remainder": 0},
        "dead_letters": {"bad_json": 1, "unfit": 2},
    }


@pytest.mark.parametrize("lost", [{"rows_read": 11}, {"rows_written": 8}, {"dead_letters.unfit": 3}, {"windows": 1}])
def test_rows_that_are_lost_are_noticed(lost):
    counts = {
        "rows_read": 10,
        "rows_with_output": 8,
        "rows_written": 7,
        "dropped.remainder": 1,
        "dead_letters.unfit": 2,
    }
    check_laws(totals_of(counts))
    with pytest.raises(JobError, match="rows were lost"):
        check_laws(totals_of(counts | lost))


def test_path_may_be_a_pathlib_path_spelled_out(pairs, monkeypatch):
    monkeypatch.chdir(pairs.folder)
    assert read_manifest(".") == read_manifest("manifest.json") == pairs.manifest
    assert Path("manifest.json").exists()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def ends_in_one_line(run):
    """What reading, verifying and inspecting must do with any manifest: work, or say one line."""
    verified = oblong("verify", run, "--json")
    assert verified.code in (0, 3), verified.err
    assert verified.err == ""
    assert all(problem and "\n" not in problem for problem in verified.json["problems"])
    for command in (["inspect", run, "--rows=2"], ["runs", run.parent.parent]):
        said = oblong(*command)
        assert said.code in (0, 1)
        assert said.err.count("\n") == said.code
        assert not re.search(r"Traceback|: \w+Error\W*$", said.err)
    return verified


def write_sealed(folder, manifest):
    """Writes any JSON as a manifest under a checksum that fits, where it can have one."""
    try:
        data = seal({k: v for k, v in manifest.items() if k != "manifest_crc32c"})
    except (AttributeError, ValueError):
        data = json.dumps(manifest).encode()
    (folder / "manifest.json").write_bytes(data)


@pytest.fixture(scope="module")
def fuzzed(windows, tmp_path_factory):
    return windows.copy(tmp_path_factory.mktemp("fuzzed") / "runs" / "r")


@settings(max_examples=40, deadline=None)
@given(JSON | st.binary(max_size=40))
def test_anything_in_the_place_of_a_manifest_ends_in_one_line(fuzzed, value):
    if isinstance(value, bytes):
        (fuzzed.folder / "manifest.json").write_bytes(value)
    else:
        write_sealed(fuzzed.folder, value)
    assert ends_in_one_line(fuzzed.folder).code == 3


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_manifest_with_anything_in_any_place_ends_in_one_line(fuzzed, data):
    manifest = copy.deepcopy(fuzzed.manifest)
    for _ in range(data.draw(st.integers(1, 2))):
        node, keys = manifest, [data.draw(st.sampled_from(sorted(manifest)))]
        while isinstance(node[keys[-1]], dict | list) and node[keys[-1]] and data.draw(st.booleans()):
            node = node[keys[-1]]
            keys.append(data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node)))))
        old = node[keys[-1]]
        near = st.integers() if isinstance(old, int) else st.just([*old, *old]) if isinstance(old, list) else JSON
        node[keys[-1]] = data.draw(st.one_of(JSON, near))
    write_sealed(fuzzed.folder, manifest)
    ends_in_one_line(fuzzed.folder)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        '{"a":' * 200_000,
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": 1e999}',
        '{"a": ' + "9" * 5000 + "}",
        '{"a": "\\ud800", "manifest_crc32c": "00000000"}',
        "\ufeff{}",
    ],
)
def test_hostile_manifest_is_damaged(fuzzed, text):
    (fuzzed.folder / "manifest.json").write_text(text)
    assert ends_in_one_line(fuzzed.folder).code == 3
    with pytest.raises(JobError, match=r"manifest.json: damaged: "):
        read_manifest(str(fuzzed.folder))


def test_white_space_that_changed_is_found_and_the_manifest_still_read(fuzzed):
    write_sealed(fuzzed.folder, fuzzed.manifest)
    data = (fuzzed.folder / "manifest.json").read_bytes()
    (fuzzed.folder / "manifest.json").write_bytes(data.replace(b"\n ", b"\t ", 1))
    assert read_manifest(str(fuzzed.folder)) == fuzzed.manifest
    said = "manifest.json: says what it should, but white space in it has changed"
    assert ends_in_one_line(fuzzed.folder).json["problems"] == [said]
    (fuzzed.folder / "manifest.json").write_text(json.dumps(fuzzed.manifest, indent=2))
    assert ends_in_one_line(fuzzed.folder).code == 0  # laid out anew by somebody's tool, as a whole


def test_folder_in_the_place_of_a_manifest_is_no_traceback(tmp_path):
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(JobError, match=rf"^{tmp_path}/manifest.json: (cannot be read|damaged)"):
        read_manifest(str(tmp_path))


@pytest.mark.parametrize("version", [2, 0, None, "1", True, 1.0, [1]])
def test_version_that_is_not_known_is_named(fuzzed, version):
    write_sealed(fuzzed.folder, {**fuzzed.manifest, "format_version": version})
    (problem,) = ends_in_one_line(fuzzed.folder).json["problems"]
    assert problem.endswith(f"manifest.json: format_version {version!r}; this oblong reads 1")


def test_file_whose_name_only_ends_like_a_manifest_is_none(pairs, tmp_path):
    run = pairs.copy(tmp_path / "run")
    shutil.copy(run.folder / "manifest.json", run.folder / "old-manifest.json")
    with pytest.raises(ConfigError, match=r"old-manifest\.json has no manifest\.json"):
        read_manifest(str(run.folder / "old-manifest.json"))
