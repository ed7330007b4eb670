import json

import msgspec
import pytest

from pipeline.config import ALIASES, Config, load_config
from transforms.arrays.errors import ConfigError

# The interface's own listing of sections, keys and defaults.
DEFAULTS = {
    "read": {
        "files": [],
        "format": "auto",
        "text": "text",
        "text_pair": None,
        "keep": [],
        "columns": None,
        "root": None,
        "split_bytes": 67108864,
        "empty": "keep",
        "max_row_bytes": 268435456,
    },
    "tokenize": {"tokenizer": "tokenizer.json", "ignore": [], "add_special_tokens": True, "engine": "auto"},
    "truncate": {
        "strategy": "longest_first",
        "max_length": None,
        "side": None,
        "overflow": False,
        "stride": 0,
        "max_windows": 64,
        "on_unfit": "dead_letter",
    },
    "bucket": {"boundaries": "doubling"},
    "pad": {"to": "longest", "length": None, "multiple_of": None, "side": None, "token": None},
    "batch": {"rows": 64, "tokens": None, "drop_remainder": False, "max_bytes": 268435456},
    "write": {"path": "out", "formats": ["parquet"], "columns": "auto", "shards": "auto", "compression": "auto"},
    "split": {},
    "run": {
        "id": None,
        "seed": 0,
        "shuffle": "auto",
        "spill_dir": None,
        "max_dead_letters": 0.01,
        "incremental": False,
        "on_changed": "error",
        "min_age": "0s",
        "isolate": False,
    },
    "beam": {},
}

# A value other than the default for every key.
OTHERS = {
    "read": {
        "files": ["a/*.csv", "b.csv"],
        "format": "csv",
        "text": "body",
        "text_pair": "title",
        "keep": {"label": "int64"},
        "columns": ["body", "title", "label"],
        "root": "a",
        "split_bytes": 1,
        "empty": "drop",
        "max_row_bytes": 9,
    },
    "tokenize": {"tokenizer": "tok", "ignore": ["x"], "add_special_tokens": False, "engine": "tokenizers"},
    "truncate": {
        "strategy": "only_second",
        "max_length": 9,
        "side": "left",
        "overflow": True,
        "stride": 2,
        "max_windows": 3,
        "on_unfit": "drop",
    },
    "bucket": {"boundaries": [1, 2, 30]},
    "pad": {"to": "max_length", "length": 12, "multiple_of": 4, "side": "left", "token": "x"},
    "batch": {"tokens": 99, "drop_remainder": True, "max_bytes": 1},
    "write": {
        "path": "o",
        "formats": ["tfrecord"],
        "columns": ["length"],
        "shards": 3,
        "compression": {"tfrecord": "gzip"},
    },
    "split": {"a": 0.5, "b": 0.5},
    "run": {
        "id": "x",
        "seed": 5,
        "shuffle": "runner",
        "max_dead_letters": 1.0,
        "on_changed": "reprocess",
        "min_age": "5m",
    },
    "beam": {"direct_num_workers": 2},
}


def sections(config):
    return json.loads(msgspec.json.encode(config))


def refusal(source, *overrides):
    """What is said of a configuration that cannot work: one line."""
    with pytest.raises(ConfigError) as error:
        load_config(source, overrides)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_defaults_are_those_of_the_interface():
    assert sections(load_config(None)) == DEFAULTS
    assert sections(load_config({})) == DEFAULTS
    assert sections(Config()) == DEFAULTS


def test_every_key_can_be_given():
    found = sections(load_config(OTHERS))
    for section, keys in OTHERS.items():
        assert {key: found[section][key] for key in keys} == keys
        if section not in ("split", "beam", "run", "batch"):
            assert set(keys) == set(DEFAULTS[section])


@pytest.mark.parametrize(
    "place", [f"{s}.{k}" for s, keys in OTHERS.items() for k in keys if s not in ("split", "beam")]
)
def test_every_key_can_be_set_alone(place):
    section, key = place.split(".")
    value = OTHERS[section][key]
    if place == "read.text_pair":
        assert load_config(None, [f"{place}={json.dumps(value)}"]).read.texts == ("text", "title")
    needed = ["write.formats=tfrecord"] if place == "write.compression" else []
    assert sections(load_config(None, [*needed, f"{place}={json.dumps(value)}"]))[section][key] == value


def test_yaml_file_is_read(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("read:\n  files: corpus/*.jsonl  # a comment\ntruncate: {max_length: 128}\nsplit: {a: 1}\n")
    for source in (path, str(path)):
        config = load_config(source)
        assert (config.read.patterns, config.truncate.max_length, config.split) == (
            ("corpus/*.jsonl",),
            128,
            {"a": 1.0},
        )


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "read:\ntruncate:\nsplit:\nbeam:\nrun: null\n", "{}"])
def test_empty_file_and_empty_sections_are_defaults(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    assert load_config(tmp_path / "c.yaml") == Config()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"- a\n", "holds a list, expected sections such as read: and write:"),
        (b"5", "holds a int, expected sections"),
        (b"a: [b\n", "is not YAML: line 2, column 1: expected ',' or ']'"),
        (b"read: {\tfiles: x", "is not YAML: line 1"),
        (b"\xff\xfe\x00", "is not YAML: "),
    ],
)
def test_file_that_holds_no_sections_is_refused(tmp_path, content, said):
    (tmp_path / "c.yaml").write_bytes(content)
    assert refusal(tmp_path / "c.yaml").startswith(f"--config: {tmp_path / 'c.yaml'} {said}")


def test_file_that_is_not_there_is_named(tmp_path):
    assert refusal(tmp_path / "c.yaml") == f"--config: there is no file {tmp_path / 'c.yaml'}"
    assert refusal(tmp_path).startswith(f"--config: {tmp_path} cannot be read: ")


def test_given_mapping_is_left_as_it_was():
    given = {"truncate": {"stride": 1}, "max_length": 9}
    load_config(given, ["truncate.stride=2"])
    assert given == {"truncate": {"stride": 1}, "max_length": 9}


def test_set_beats_the_file_and_the_later_set_the_earlier(tmp_path):
    (tmp_path / "c.yaml").write_text("truncate: {max_length: 128, stride: 1}\nbatch: {rows: 8}\n")
    found = load_config(tmp_path / "c.yaml", ["truncate.max_length=9", "truncate.max_length=10"])
    assert (found.truncate.max_length, found.truncate.stride, found.batch.rows) == (10, 1, 8)


def test_set_takes_a_whole_section_and_yaml_values():
    found = load_config(
        {"split": {"a": 1}},
        [
            "split={b: 0.5, c: 0.5}",
            "beam.experiments=[a, b]",
            "read.files=*.txt",
            "read.text='5'",
            "write.path=a=b",
            "pad=",
        ],
    )
    assert (found.split, found.beam) == ({"b": 0.5, "c": 0.5}, {"experiments": ["a", "b"]})
    assert (found.read.files, found.read.text, found.write.path) == ("*.txt", "5", "a=b")


@pytest.mark.parametrize("nothing", ["null", "", "~"])
def test_section_set_to_nothing_has_its_defaults(nothing):
    assert load_config({"truncate": {"max_length": 9}}, [f"truncate={nothing}"]) == Config()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("truncate.max_length", "--set: 'truncate.max_length' has no value; write --set SECTION.KEY=VALUE"),
        ("=3", "--set: '' names no key; write --set SECTION.KEY=VALUE"),
        (".x=3", "--set: '.x' names no key; write --set SECTION.KEY=VALUE"),
        ("read.=3", "--set: 'read.' names no key; write --set SECTION.KEY=VALUE"),
        ("raed=3", "--set: 'raed' is not known; did you mean read?"),
        ("run=3", "run: expected keys below it, got 3"),
        ("truncat.stride=1", "truncat: there is no such section; did you mean truncate?"),
        ("truncate.strid=1", "truncate.strid: there is no such key; did you mean stride?"),
    ],
)
def test_set_that_cannot_be_understood_is_refused(override, said):
    assert refusal(None, override) == said


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"raed": {}}, "raed: there is no such section; did you mean read?"),
        ({"max_lenght": 5}, "max_lenght: there is no such section; did you mean max_length?"),
        ({"read": {"file": "x"}}, "read.file: there is no such key; did you mean files?"),
        ({"truncate": {"maxlength": 5}}, "truncate.maxlength: there is no such key; did you mean max_length?"),
        ({"pad": {"pad_to_multiple": 5}}, "pad.pad_to_multiple: there is no such key; did you mean multiple_of?"),
        ({"read": {5: 5}}, "read.5: there is no such key; one of columns, empty, "),
        ({7: 5}, "7: there is no such section; one of batch, "),
        ({"read": 5}, "read: expected keys below it, got 5"),
        ({"read": ["files"]}, "read: expected keys below it, got ['files']"),
        ({"truncate": True}, "truncate: expected keys below it, got True"),
    ],
)
def test_unknown_key_is_named_with_the_closest(source, said):
    assert refusal(source).startswith(said)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("truncate.max_length", "abc", "expected int or nothing, got str ('abc')"),
        ("truncate.max_length", 3.5, "expected int or nothing, got float (3.5)"),
        ("truncate.max_length", True, "expected int or nothing, got bool (True)"),
        ("truncate.overflow", "yes please", "expected bool, got str ('yes please')"),
        ("truncate.strategy", 7, "expected bool or str, got int (7)"),
        ("pad.to", None, "expected bool or str, got null (None)"),
        ("batch.rows", [1], "expected int or nothing, got list ([1])"),
        ("bucket.boundaries", 7, "expected str or list, got int (7)"),
        ("read.keep", "label", "expected mapping or list, got str ('label')"),
        ("read.text", None, "expected str, got null (None)"),
        ("read.columns", "a", "expected list or nothing, got str ('a')"),
        ("run.id", 12, "expected str or nothing, got int (12)"),
        ("run.seed", 1.5, "expected int, got float (1.5)"),
        ("run.max_dead_letters", "x", "expected float, got str ('x')"),
        ("write.shards", True, "expected int or str, got bool (True)"),
        ("write.path", None, "expected str, got null (None)"),
        ("tokenize.ignore", "x", "expected list, got str ('x')"),
        ("split", 5, "expected keys below it, got 5"),
    ],
)
def test_wrong_type_is_named_with_the_value_and_what_would_be_right(place, value, said):
    section, _, key = place.partition(".")
    assert refusal({section: {key: value} if key else value}) == f"{place}: {said}"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"bucket": {"boundaries": [1, "a"]}}, "bucket.boundaries[1]: expected int, got str ('a')"),
        ({"read": {"files": ["a", 5]}}, "read.files[1]: expected str, got int (5)"),
        ({"split": {"a": 0.5, "b": "x"}}, "split.b: expected float, got str ('x')"),
        ({"read": {"keep": {"label": 5}}}, "read.keep.label: expected str, got int (5)"),
        ({"write": {"compression": {"parquet": None}}}, "write.compression.parquet: expected str, got null (None)"),
    ],
)
def test_wrong_type_inside_a_list_or_mapping_is_named_to_its_place(source, said):
    assert refusal(source) == said


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("truncate.max_length", 0, "0 is too small; it must be at least 1"),
        ("truncate.stride", -1, "-1 is too small; it must be at least 0"),
        ("truncate.max_windows", 0, "0 is too small; it must be at least 1"),
        ("truncate.strategy", "longest", "'longest' is not known; did you mean longest_first?"),
        ("truncate.side", "up", "'up' is not known; one of left, right"),
        ("truncate.on_unfit", "fail", "'fail' is not known; one of dead_letter, drop, error, longest_first"),
        ("bucket.boundaries", [64, 32], "[64, 32] must rise from at least 1, but 32 follows 64"),
        ("bucket.boundaries", [8, 8], "[8, 8] must rise from at least 1, but 8 follows 8"),
        ("bucket.boundaries", [0], "[0] must rise from at least 1, but 0 follows 0"),
        ("bucket.boundaries", "auto", "auto is not available yet; write doubling or a list of lengths"),
        ("bucket.boundaries", "triple", "'triple' is not known; write doubling or a list, e.g. [64, 128]"),
        ("pad.to", "longets", "'longets' is not known; did you mean longest?"),
        ("pad.length", 0, "0 is too small; it must be at least 1"),
        ("pad.multiple_of", 0, "0 is too small; it must be at least 1"),
        ("pad.side", "both", "'both' is not known; one of left, right"),
        ("batch.rows", 0, "0 is too small; it must be at least 1"),
        ("batch.tokens", 0, "0 is too small; it must be at least 1"),
        ("batch.max_bytes", 0, "0 is too small; it must be at least 1"),
        ("read.format", "xml", "'xml' is not known; one of auto, csv, jsonl, parquet, text, tsv"),
        ("read.empty", "skip", "'skip' is not known; one of dead_letter, drop, keep"),
        ("read.split_bytes", 0, "0 is too small; it must be at least 1"),
        ("read.max_row_bytes", 0, "0 is too small; it must be at least 1"),
        ("read.keep", ["a", "a"], "'a' is named twice"),
        ("read.text_pair", "text", "'text' is read.text already; name another column"),
        ("write.formats", ["csv"], "'csv' is not known; one of parquet, tfrecord"),
        ("write.formats", [], "nothing is to be written; name one of parquet, tfrecord"),
        ("write.formats", ["parquet", "parquet"], "'parquet' is named twice"),
        ("write.columns", ["input_id"], "'input_id' is not known; did you mean input_ids?"),
        ("write.columns", [], "nothing is to be written; name some of input_ids, attention_mask, "),
        ("write.columns", ["length", "length"], "'length' is named twice"),
        ("write.shards", 0, "0 is too small; it must be at least 1"),
        ("write.shards", "many", "'many' is not known; write auto or a number"),
        ("write.path", "", "'' names no folder; give one, e.g. out"),
        ("write.compression", {"tfrecord": "gzip"}, "'tfrecord' is not known; one of parquet"),
        ("run.id", "a/b", "'a/b' cannot name a folder; use letters, digits, dot, dash, underscore"),
        ("run.id", "..", "'..' cannot name a folder"),
        ("run.id", "", "'' cannot name a folder"),
        ("run.seed", -1, "-1 is too small; it must be at least 0"),
        ("run.shuffle", "runer", "'runer' is not known; did you mean runner?"),
        ("run.on_changed", "ignore", "'ignore' is not known; one of error, reprocess"),
        ("run.min_age", "soon", "'soon' is no age; write e.g. 7d, 12h or 0"),
        ("run.max_dead_letters", 1.5, "1.5 is no fraction; write 0 to 1"),
        ("run.max_dead_letters", -0.1, "-0.1 is no fraction; write 0 to 1"),
        ("run.max_dead_letters", float("nan"), "nan is no fraction; write 0 to 1"),
    ],
)
def test_value_out_of_range_is_named_with_its_remedy(place, value, said):
    section, key = place.split(".")
    assert refusal({section: {key: value}}).startswith(f"{place}: {said}")


def test_codec_that_a_format_does_not_have_is_named():
    assert refusal({"write": {"compression": "gzip"}}).startswith(
        "write.compression.parquet: 'gzip' is not known; one of"
    )
    both = {"formats": ["parquet", "tfrecord"], "compression": "none"}
    assert refusal({"write": both}).startswith("write.compression: 'none' for 2 formats; write one each, e.g. ")


def test_two_ways_of_giving_a_batch_size_are_refused():
    assert refusal({"batch": {"rows": 1, "tokens": 9}}) == "batch.tokens: given beside batch.rows 1; give one of them"


@pytest.mark.parametrize("keep", [["length"], {"row_id": "string"}, ["label", "input_ids"], ["attention_mask"]])
def test_kept_name_that_is_an_output_column_is_refused(keep):
    name = next(name for name in keep if name != "label")
    assert refusal({"read": {"keep": keep}}) == f"read.keep: {name!r} is also an output column; rename it in the input"


@pytest.mark.parametrize(
    ("strategy", "name"),
    [
        (True, "longest_first"),
        (False, "do_not_truncate"),
        ("longest_first", "longest_first"),
        ("only_first", "only_first"),
    ],
)
def test_strategy_may_be_a_boolean(strategy, name):
    assert load_config({"truncate": {"strategy": strategy}}).truncate.name == name
    assert load_config({"truncation": strategy}).truncate.name == name
    assert load_config(None, [f"truncation={json.dumps(strategy)}"]).truncate.name == name


@pytest.mark.parametrize(
    ("to", "name"),
    [(True, "longest"), (False, "do_not_pad"), ("max_length", "max_length"), ("do_not_pad", "do_not_pad")],
)
def test_padding_may_be_a_boolean(to, name):
    assert load_config({"pad": {"to": to}}).pad.name == name
    assert load_config({"padding": to}).pad.name == name
    assert load_config(None, [f"padding={json.dumps(to)}"]).pad.name == name


HUGGING_FACE = {
    "padding": "max_length",
    "truncation": "only_first",
    "max_length": 128,
    "pad_to_multiple_of": 8,
    "stride": 3,
    "return_overflowing_tokens": True,
    "padding_side": "left",
    "truncation_side": "left",
}


def test_spellings_of_hugging_face_are_those_of_the_interface():
    assert set(ALIASES) == set(HUGGING_FACE)


@pytest.mark.parametrize("alias", HUGGING_FACE)
def test_spelling_of_hugging_face_means_the_same(alias):
    section, key = ALIASES[alias].split(".")
    value = HUGGING_FACE[alias]
    expected = load_config({section: {key: value}})
    assert load_config({alias: value}) == load_config({alias: value, section: None}) == expected
    assert load_config(None, [f"{alias}={json.dumps(value)}"]) == expected != Config()


@pytest.mark.parametrize("alias", HUGGING_FACE)
def test_key_in_both_spellings_is_refused(alias):
    section, key = ALIASES[alias].split(".")
    value = HUGGING_FACE[alias]
    expected = f"{alias}: {section}.{key} is given too, and means the same; give one of them"
    assert refusal({alias: value, section: {key: value}}) == expected
    assert refusal(None, f"{section}.{key}={value}", f"{alias}={value}") == expected


def test_set_in_one_spelling_beats_the_file_in_the_other():
    assert load_config({"max_length": 9}, ["truncate.max_length=10"]).truncate.max_length == 10
    assert load_config({"truncate": {"max_length": 9}}, ["max_length=10"]).truncate.max_length == 10


def test_configuration_is_frozen():
    with pytest.raises(AttributeError):
        Config().truncate = None  # type: ignore[misc]


def test_shards_are_not_counted_beforehand_where_units_of_work_write_their_own():
    assert refusal({"run": {"shuffle": "none"}, "write": {"shards": 3}}) == (
        "write.shards: 3 cannot be had with run.shuffle: none, where each unit of work writes shards of its own; "
        "leave it out and set read.split_bytes"
    )
    for shards in ({}, {"shards": "auto"}):
        config = load_config({"run": {"shuffle": "none"}, "write": shards})
        assert not config.run.shuffles
    assert load_config({"run": {"shuffle": "files"}, "write": {"shards": 3}}).run.shuffles
