import copy

import pytest

from pipeline.manifest_fields import check_fields
from transforms.arrays.errors import JobError


@pytest.fixture
def manifest(pairs):
    return copy.deepcopy(pairs.manifest)


def test_manifest_of_a_run_is_one_and_may_say_more(manifest):
    check_fields(manifest, "m")
    check_fields({**manifest, "later": 1, "files": [{**file, "more": None} for file in manifest["files"]]}, "m")


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("files", 0, "rows"), "1", "files[0].rows: Expected `int`, got `str`"),
        (("files", 0, "rows"), True, "files[0].rows: Expected `int`, got `bool`"),
        (("files", 0, "rows"), 1.0, "files[0].rows: Expected `int`, got `float`"),
        (("files", 0, "rows"), 0, "files[0].rows: Expected `int` >= 1"),
        (("files", 0, "rows"), 2**63, "files[0].rows: Expected `int` <= 9223372036854775807"),
        (("files", 0, "crc32c"), "0000000", "files[0].crc32c: Expected `str` matching regex"),
        (("files", 0, "bucket"), None, "files[0].bucket: Expected `int | str`, got `null`"),
        (("files",), {}, "files: Expected `array`, got `object`"),
        (("totals", "dead_letters", "bad_json"), -1, "totals.dead_letters[...]: Expected `int` >= 1"),
        (("config",), {"read": 1}, "config[...]: Expected `object`, got `int`"),
        (("tokenizer", "sha256"), "x", "tokenizer.sha256: Expected `str` matching regex"),
        (("inputs", 0, "changed"), None, "inputs[0].changed: Expected `float`, got `null`"),
        (("versions",), {"a": 1}, "versions[...]: Expected `str`, got `int`"),
    ],
)
def test_field_of_another_type_is_named_with_its_place(manifest, place, value, said):
    node = manifest
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    with pytest.raises(JobError) as caught:
        check_fields(manifest, "m")
    assert str(caught.value).startswith(f"m: no manifest of a run: {said}")


@pytest.mark.parametrize("key", ["attempt", "config", "files", "inputs", "notes", "schema", "totals", "versions"])
def test_field_that_is_missing_is_named(manifest, key):
    del manifest[key]
    with pytest.raises(JobError, match=f"^m: no manifest of a run: Object missing required field `{key}`$"):
        check_fields(manifest, "m")


def test_columns_are_of_known_types_and_each_once(manifest):
    manifest["schema"][1]["name"] = manifest["schema"][0]["name"]
    with pytest.raises(JobError, match=r"schema\[1\].name is 'label' a second time"):
        check_fields(manifest, "m")
    manifest["schema"][0]["type"] = "object"
    with pytest.raises(JobError, match=r"schema\[0\].type is 'object', which is not known here"):
        check_fields(manifest, "m")


def test_names_of_any_script_are_inside_the_run(manifest):
    for name in ("a b", "é\n漢", "..a", "a..", "...", "%2e%2e"):
        manifest["files"][0]["path"] = f"{manifest['attempt']}/{name}/part-00000-of-00001.parquet"
        check_fields(manifest, "m")
