import copy

import pytest

from pipeline.contradictions import contradictions, read_claims
from transforms.arrays.errors import JobError

RUNS = ["pairs", "windows", "unpadded"]


@pytest.fixture
def manifest(pairs):
    return copy.deepcopy(pairs.manifest)


def found(manifest):
    return list(contradictions(manifest, read_claims(manifest)))


@pytest.mark.parametrize("name", RUNS)
def test_manifest_of_a_run_contradicts_nothing(request, name):
    assert found(request.getfixturevalue(name).manifest) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"run.shuffle": "none", "read.split_bytes": 4000, "write.formats": "tfrecord"},
        {"batch.tokens": 100, "pad.to": "bucket", "pad.multiple_of": 8, "bucket.boundaries": [8, 30]},
        {"bucket.boundaries": [], "truncate.strategy": False, "write.columns": ["row_id"]},
        {"pad.to": "max_length", "pad.length": 10, "truncate.strategy": False, "bucket.boundaries": [10]},
        {"batch.drop_remainder": True, "batch.rows": 7, "read.keep": ["name", "label"]},
    ],
)
def test_claims_hold_whatever_the_configuration(committed, settings):
    assert found(committed(settings).manifest) == []


def test_claims_are_those_of_the_job(pairs):
    claims = read_claims(pairs.manifest)
    assert claims.layout.edges == (8, 16, 32, 48)
    assert claims.layout.rows == (8, 8, 8, 8, 8)
    assert claims.splits == {"train", "validation"}
    assert claims.vocab_size == 104
    assert claims.inputs == {"a.jsonl", "b%231.jsonl"}


def first(manifest, name="parquet"):
    return next(file for file in manifest["files"] if file["format"] == name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bucket": 16}, "is not where a shard belongs of split train, bucket 16, parquet with codec zstd"),
        ({"bucket": 9}, "is of the bucket 9; there are 8, 16, 32, 48, over"),
        ({"bucket": "8"}, "is of the bucket 8; there are 8, 16, 32, 48, over"),
        ({"split": "validation"}, "is not where a shard belongs of split validation, bucket 8"),
        ({"split": "test"}, "is of the split 'test', which config.split does not name"),
        ({"format": "tfrecord"}, "is not where a shard belongs of split train, bucket 8, tfrecord with codec none"),
        ({"format": "csv"}, "is csv, which config.write.formats does not name"),
        ({"rows_per_batch": 4}, "has 4 rows in a batch; the configuration makes it 8"),
        ({"batches": 77}, "expected 77"),
        ({"width": 8}, "is 8 wide; the configuration makes it None"),
        ({"tokens": 1}, "has other tokens than"),
    ],
)
def test_label_that_is_denied_elsewhere_is_found(manifest, change, said):
    first(manifest).update(change)
    assert any(said in problem for problem in found(manifest))


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("part-00002-of-00002", "is not where a shard belongs"),
        ("part-00000-of-00009", "is one of 9 shards; config.write.shards is 2"),
        ("part-0-of-2", "is not where a shard belongs"),
        ("shard", "is not where a shard belongs"),
    ],
)
def test_name_that_is_none_of_a_shard_is_found(manifest, part, said):
    file = first(manifest)
    file["path"] = f"{file['path'].rpartition('/')[0]}/{part}.parquet"
    assert any(problem.startswith(f"{file['path']}: {said}") for problem in found(manifest))


def test_order_and_repetition_are_found(manifest):
    files = manifest["files"]
    files[0], files[1] = files[1], files[0]
    said = f"manifest.json: files[1] is {files[1]['path']}, which belongs before {files[0]['path']}"
    assert found(manifest) == [said]
    files[0], files[1] = files[1], files[1]
    assert f"manifest.json: files names {files[0]['path']} twice" in found(manifest)
    manifest["inputs"].reverse()
    assert "manifest.json: inputs[1] is a.jsonl, which belongs before b#1.jsonl" in found(manifest)


def test_shard_without_its_other_format_is_found(manifest):
    one = first(manifest, "tfrecord")
    manifest["files"].remove(one)
    said = f"{one['path'].removesuffix('tfrecord')}parquet: has no tfrecord file of the same rows beside it"
    assert said in found(manifest)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m["schema"][0].update(type="int32"), "the schema is not that of config.read.keep"),
        (lambda m: m["schema"].reverse(), "the schema is not that of config.read.keep"),
        (lambda m: m["schema"].pop(), "the schema is not that of config.read.keep"),
        (lambda m: m["config"]["read"]["keep"].pop("label"), "the schema is not that of config.read.keep"),
        (lambda m: m["config"]["read"].update(keep=["label"]), "config.read.keep is no list of columns"),
        (lambda m: m["config"]["write"].update(columns="auto"), "the schema is not that of config.read.keep"),
        (lambda m: m["tokenizer"].update(path=m["attempt"]), "tokenizer.path is "),
        (lambda m: m["dead_letters"][0].update(path=f"{m['attempt']}/x"), "is no name of a file of dead letters"),
        (lambda m: m["totals"].update(tokens=0), "totals.tokens is 0, its parquet files have"),
        (lambda m: m["totals"].update(rows_truncated=10**9), "totals.rows_truncated is 1000000000, more than"),
        (lambda m: m["totals"]["dropped"].update(remainder=1), "totals.dropped.remainder is not 0"),
    ],
)
def test_whole_that_does_not_fit_is_found(manifest, change, said):
    change(manifest)
    assert any(said in problem for problem in found(manifest))


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("pad", "to", "nowhere", "config.pad: pad.to: 'nowhere' is not known"),
        ("pad", "length", "x", "config.pad: Expected `int | null`, got `str`"),
        ("write", "formats", ["csv"], "config.write: write.formats: 'csv' is not known"),
        ("bucket", "boundaries", [9, 8], "config.bucket: bucket.boundaries: [9, 8] must rise"),
        ("batch", "rows", 0, "config.batch: batch.rows: 0 is too small"),
        ("batch", "max_bytes", 1, "config.batch.max_bytes: a batch of 8 rows"),
    ],
)
def test_configuration_that_no_job_could_have_is_named(manifest, section, key, value, said):
    manifest["config"][section][key] = value
    if section == "batch" and key == "max_bytes":
        manifest["config"]["pad"]["to"] = "bucket"
    with pytest.raises(JobError) as caught:
        read_claims(manifest)
    assert str(caught.value).startswith(f"manifest.json: {said}")


def test_keys_of_a_later_version_are_let_through(manifest):
    manifest["config"]["pad"]["later"] = 1
    manifest["config"]["later"] = {}
    assert found(manifest) == []
