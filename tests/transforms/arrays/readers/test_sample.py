import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.arrays.errors import ConfigError
from transforms.arrays.readers import Search, sample
from transforms.arrays.readers.rows import KEPT_NAMES, Reading
from transforms.arrays.readers.sample import SAMPLE_ROWS


def types(data, path, **section):
    reading = Reading(files=path, **section)
    search = Search(reading)
    found = sample(io.BytesIO(data), path, reading, search.said)
    if found is None:
        return None
    search.take(found)
    return {name: KEPT_NAMES[kind] for name, kind in search.kept().items()}


def jsonl(*values, name="k"):
    return b"".join(json.dumps({"text": "t", name: value}).encode() + b"\n" for value in values)


def csv(*fields):
    return b"text,k\n" + b"".join(f"t,{field}\n".encode() for field in fields)


def parquet(**columns):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, -5], "int64"),
        ([1, 2.5], "float64"),
        ([1.0], "float64"),
        ([True, None], "bool"),
        (["a", ""], "string"),
    ],
)
def test_values_of_json_say_their_type(values, kind):
    assert types(jsonl(*values), "a.jsonl", keep=("k",)) == {"k": kind}


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([1, "a"], "values of types int, str"),
        ([True, 1], "values of types bool, int"),
        ([[1]], "values of types list"),
        ([None, None], "no value"),
    ],
)
def test_values_of_several_types_or_of_none_are_refused_with_the_remedy(values, found):
    with pytest.raises(ConfigError) as caught:
        types(jsonl(*values), "a.jsonl", keep=("k",))
    says = f"read.keep: the first rows of a.jsonl have {found} for 'k'; say its type: read.keep: {{k: bool|int32|"
    assert str(caught.value).startswith(says)
    assert types(jsonl(*values), "a.jsonl", keep={"k": "string"}) == {"k": "string"}


def test_lines_of_json_that_cannot_be_read_say_nothing():
    assert types(b'\nnonsense\n[1]\n"\xff"\n' + b"[" * 100_000 + b"\n" + jsonl(1), "a.jsonl", keep=("k",)) == {
        "k": "int64"
    }
    assert types(b"\nnonsense\n[1]\n", "a.jsonl", keep=("k",)) is None
    assert types(b"", "a.jsonl", keep=("k",)) is None


def test_first_rows_alone_are_looked_at():
    assert types(jsonl(*[1] * SAMPLE_ROWS, "a"), "a.jsonl", keep=("k",)) == {"k": "int64"}


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (["1", "", "-5"], "int64"),
        (["1", "2.5"], "float64"),
        (["1e3"], "float64"),
        (["true", "False"], "bool"),
        (["1", "a"], "string"),
        (["", ""], "string"),
        (["01234", "5"], "string"),
        (["-01"], "string"),
        (["0x1F"], "string"),
        (["007.5"], "string"),
        (["0.5", "-0.5", "0"], "float64"),
        (["9223372036854775808"], "float64"),
    ],
)
def test_fields_of_csv_take_the_narrowest_type_that_changes_none(fields, kind):
    assert types(csv(*fields), "a.csv", keep=("k",)) == {"k": kind}
    assert types(csv(*fields).replace(b",", b"\t"), "a.tsv", keep=("k",)) == {"k": kind}


def test_rows_of_csv_that_do_not_fit_the_header_say_nothing():
    assert types(csv("1") + b"x\n" + b't,"a"b\n', "a.csv", keep=("k",)) == {"k": "int64"}


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        (pa.int8(), "int32"),
        (pa.int32(), "int32"),
        (pa.uint16(), "int32"),
        (pa.uint32(), "int64"),
        (pa.int64(), "int64"),
        (pa.float16(), "float32"),
        (pa.float32(), "float32"),
        (pa.float64(), "float64"),
        (pa.bool_(), "bool"),
        (pa.large_string(), "string"),
        (pa.dictionary(pa.int32(), pa.string()), "string"),
    ],
    ids=str,
)
def test_schema_of_parquet_says_the_type(kind, kept):
    assert types(parquet(text=["t"], k=pa.array([None], kind)), "a.parquet", keep=("k",)) == {"k": kept}


def test_types_of_parquet_that_cannot_be_kept_are_refused_with_what_can_be_done():
    for kind, remedy in (
        (pa.uint64(), "say its type: read.keep: {k: int32|int64|float32|float64}"),
        (pa.binary(), "say its type: read.keep: {k: string}"),
        (pa.timestamp("us"), "leave it out"),
        (pa.date32(), "leave it out"),
    ):
        with pytest.raises(ConfigError) as caught:
            types(parquet(text=["t"], k=pa.array([None], kind)), "a.parquet", keep=("k",))
        assert str(caught.value).startswith(f"read.keep: 'k' of a.parquet is {kind}; kept columns are bool, int32")
        assert str(caught.value).endswith(remedy)


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("a.jsonl", b'{"text": "t", "labels": 1}\n'),
        ("a.csv", b"text,labels\nt,1\n"),
        ("a.tsv", b"text\tlabels\nt\t1\n"),
        ("a.parquet", parquet(text=["t"], labels=[1])),
    ],
)
def test_column_that_the_first_file_does_not_have_is_named_with_the_closest(path, data):
    for section, option, name in (
        ({"keep": ("label",)}, "read.keep", "'label'; did you mean labels?"),
        ({"text_pair": "label"}, "read.text_pair", "'label'; did you mean labels?"),
        ({"text": "txt"}, "read.text", "'txt'; did you mean text?"),
    ):
        with pytest.raises(ConfigError) as caught:
            types(data, path, **section)
        assert str(caught.value) == f"{option}: {path} has no column {name}"


def test_plain_text_has_one_column():
    assert types(b"a\n", "a.txt") == {}
    for section in ({"keep": ("label",)}, {"keep": {"label": "int64"}}):
        with pytest.raises(ConfigError) as caught:
            types(b"a\n", "a.txt", **section)
        assert str(caught.value) == "read.keep: a.txt has no column 'label'; one of text"
    with pytest.raises(ConfigError) as caught:
        types(b"a\n", "a.txt", text_pair="b")
    assert str(caught.value) == "read.text_pair: a.txt is plain text, which has no second column"


@pytest.mark.parametrize(
    ("path", "data"), [("a.csv", b"text\n1\n"), ("a.jsonl", b'{"text": "1"}\n'), ("a.parquet", parquet(text=["1"]))]
)
def test_text_that_is_kept_is_a_string_whatever_it_looks_like(path, data):
    assert types(data, path, keep=("text",)) == {"text": "string"}


def test_compressed_files_and_files_named_otherwise_are_looked_into():
    assert types(gzip.compress(jsonl(1)), "a.jsonl.gz", keep=("k",)) == {"k": "int64"}
    assert types(jsonl(1), "a.dump", keep=("k",), format="jsonl") == {"k": "int64"}


def test_no_file_with_a_row_leaves_strings():
    assert Search(Reading(keep=("k",))).kept() == {"k": pa.string()}
    assert Search(Reading(keep={"k": "int64"})).kept() == {"k": pa.int64()}


def test_array_is_refused_where_no_line_is_an_object_and_is_a_bad_row_where_others_are():
    for data in (b'[\n  {\n    "text": "a"\n  }\n]\n', b'[{"text": "a"}]\n', b" [1]\n[2]\n"):
        with pytest.raises(ConfigError) as caught:
            types(data, "a.jsonl")
        assert str(caught.value) == ("read.format: a.jsonl begins with an array; JSON Lines has an object on each line")
    assert types(b"[1]\n" + jsonl(1), "a.jsonl", keep=("k",)) == {"k": "int64"}


def test_kept_column_of_json_whose_type_is_given_need_not_be_in_the_first_rows():
    assert types(b'{"text": "a"}\n', "a.jsonl", keep={"k": "int64"}) == {"k": "int64"}
    for path, data in (("a.csv", b"text\na\n"), ("a.parquet", parquet(text=["a"]))):
        with pytest.raises(ConfigError, match=rf"read\.keep: {path} has no column 'k'; one of text"):
            types(data, path, keep={"k": "int64"})


def test_long_name_of_a_header_is_found_whole_and_shown_short():
    name = "n" * 60
    data = f"text,{name}1,z\na,7,1\n".encode()
    assert types(data, "a.csv", keep=(f"{name}1",)) == {f"{name}1": "int64"}
    with pytest.raises(ConfigError) as caught:
        types(data, "a.csv", keep=("other",))
    assert str(caught.value).startswith(f"read.keep: a.csv has no column 'other'; one of {'n' * 40}, text, z; if ")
    with pytest.raises(ConfigError, match=f"has no column '{'n' * 40}'; did you mean {name}1"):
        types(data, "a.csv", keep=("n" * 40,))
