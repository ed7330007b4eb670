import csv
import io
import sys

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.transforms.arrays.readers.reading import BOM, TEXT, lines_of, read
from transforms.arrays.errors import ConfigError, JobError
from transforms.arrays.readers import Columns
from transforms.arrays.readers.delimited import first_rows
from transforms.arrays.readers.rows import KEPT_NAMES

XY = Columns(("x",), {"y": pa.string()}, names=("x", "y"))


def reason_of_bytes(fields, width):
    try:
        for field in fields:
            field.encode("utf-8", "surrogateescape").decode()
    except UnicodeDecodeError:
        return "bad_encoding"
    return None if len(fields) == width else "bad_row"


def plain_csv(data, width):
    """Rows of a CSV file by Python's csv module, a line at a time; lines end at LF."""
    text = data.removeprefix(BOM).decode("utf-8", "surrogateescape")
    reader = csv.reader(iter(io.StringIO(text, newline="\n")), strict=True)
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield "bad_row"
            continue
        if fields:
            yield reason_of_bytes(fields, width) or fields


def plain_tsv(data, width):
    """Rows of a TSV file: lines, cut at tabs."""
    for _, line in lines_of(data):
        fields = line.decode("utf-8", "surrogateescape").split("\t")
        if line:
            yield reason_of_bytes(fields, width) or fields


def split_up(rows):
    rows = list(rows)
    good = [(i, dict(zip("xy", row, strict=True))) for i, row in enumerate(rows) if isinstance(row, list)]
    return good, [(i, row) for i, row in enumerate(rows) if isinstance(row, str)]


pieces = st.sampled_from(
    [b"a", b"bc", b",", b",", b"\t", b"\n", b"\n", b"\r\n", b'"', b'"', b'""', b'",', b',"', b'"\n']
)
rare = st.sampled_from([b"\r", "é".encode(), b"\xff", b"\xc3", b" ", BOM, b'\n"', b"x,y\n"])
files = st.lists(st.one_of(pieces, pieces, pieces, pieces, rare), max_size=25).map(b"".join)
fields = st.text(st.sampled_from('ab ,"\n\r\té漢'), max_size=6)


@settings(max_examples=1000, deadline=None)
@given(files, st.sampled_from([None, 1, 2, 5]))
@example(b'"a\n', None)
@example(b'a,"b""\n', None)
@example(b'"""",b\n', None)
@example(b'"",""\n', None)
@example(b'a"",b\n', None)
@example(b'"a" ,b\n', None)
@example(b'x,"a"\r', None)
@example(b'x,"a"\rb\n', None)
@example(b"x,a\r\r\n", None)
@example(b'"x\r",a\n', None)
@example(b'""x"",a\n', None)
def test_any_bytes_are_cut_into_rows_as_the_csv_module_cuts_them(data, step):
    found = read("csv", data, XY, step=step)
    assert (found.rows, found.dead) == split_up(plain_csv(data, 2))


@settings(max_examples=400, deadline=None)
@given(files, st.sampled_from([None, 1, 4]))
@example(b"x\ty\r", None)
@example(b'"x\ty"\r\r\n', 1)
def test_tsv_knows_no_quotes_and_no_escapes(data, step):
    found = read("tsv", data, XY, step=step)
    assert (found.rows, found.dead) == split_up(plain_tsv(data, 2))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(fields, fields, fields), max_size=6),
    # Ended by LF alone, a field with a CR is not put in quotes by all versions of the module.
    st.sampled_from([("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)]),
    st.sampled_from([b"", BOM]),
    st.sampled_from([None, 3]),
)
def test_what_the_csv_module_writes_comes_back(rows, style, bom, step):
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=style[0], quoting=style[1]).writerows([("id", "text", "other"), *rows])
    found = read("csv", bom + out.getvalue().encode(), Columns(("text",), {"other": pa.string()}), step=step)
    assert found.rows == [(i, {"text": text, "other": other}) for i, (_, text, other) in enumerate(rows)]
    assert found.letters == []


def test_quoted_fields_hold_delimiters_quotes_and_line_ends_as_they_are():
    data = b'text,label\r\n"a,b",1\r\n"say ""hi""",2\r\n"two\nlines",3\r\n"two\r\nlines",4\r\n"",5\r\n"\r",6'
    found = read("csv", data)
    assert found.texts == ["a,b", 'say "hi"', "two\nlines", "two\r\nlines", "", "\r"]
    assert [position for position, _ in found.rows] == list(range(6))


def test_rows_that_are_malformed_are_dead_letters_with_their_lines():
    lines = [b"text,label", b"a,1", b"b", b"c,1,2", b'"d"e,1', b'"f\ng",1', b"h\ri,1", b"j\xff,1", b"k,1"]
    found = read("csv", b"\n".join(lines))
    assert found.texts == ["a", "f\ng", "k"]
    assert found.dead == [(1, "bad_row"), (2, "bad_row"), (3, "bad_row"), (5, "bad_row"), (6, "bad_encoding")]
    assert [letter["raw"] for letter in found.letters] == [b"b", b"c,1,2", b'"d"e,1', b"h\ri,1", b"j\xff,1"]
    assert "1 fields where 2 were expected" in found.letters[0]["message"]


def test_quote_that_nothing_closes_is_one_bad_row_with_all_that_follows():
    found = read("csv", b'text,label\na,1\n"b,1\r\nc,1\n')
    assert (found.texts, found.dead) == (["a"], [(1, "bad_row")])
    assert found.letters[0]["raw"] == b'"b,1\r\nc,1'


def test_bad_row_leaves_the_rows_of_its_block_alone():
    good = b'"a, b","1"\n' * 1000
    found = read("csv", b"text,label\n" + good + b'x"y,"z"w\n' + good, Columns(("text",), {"label": pa.int64()}))
    assert found.texts == ["a, b"] * 2000
    assert found.dead == [(1000, "bad_row")]


def test_blank_lines_are_no_rows_and_do_not_count():
    data = b"\n\r\ntext,label\n\na,1\r\n\r\n\nb,2\n\n"
    for reader, content in (("csv", data), ("tsv", data.replace(b",", b"\t"))):
        found = read(reader, content)
        assert found.rows == [(0, {"text": "a"}), (1, {"text": "b"})]
        assert found.read == 2


def test_blank_lines_before_the_header_do_not_count_for_its_length():
    found = read("csv", b"\n" * 50 + b"text,label\na,1\n", TEXT._replace(max_row_bytes=20))
    assert (found.rows, found.dead) == ([(0, {"text": "a"})], [])


def test_names_come_from_the_header_or_from_read_columns():
    assert read("csv", BOM + b'"text",n\na,1\n').texts == ["a"]
    given_names = Columns(("text",), {}, names=("n", "text"))
    assert read("csv", b"n,text\n1,a\n", given_names).texts == ["text", "a"]
    assert read("tsv", b"1\ta\n", given_names).texts == ["a"]


@pytest.mark.parametrize("reader", ["csv", "tsv"])
def test_file_without_a_data_row_gives_none(reader):
    for data in (b"", BOM, b"\n\n", b"text", b"text\n\n"):
        assert read(reader, data).read == 0


def test_one_column_alone_has_no_delimiter():
    assert read("csv", b'text\na\n"b,c"\n""\n').texts == ["a", "b,c", ""]
    assert read("tsv", b'text\na\n"b,c"\n').texts == ["a", '"b,c"']


@pytest.mark.parametrize(
    ("reader", "data", "says"),
    [
        ("csv", b'"text\na,1\n', "the header line cannot be read: unexpected end of data"),
        ("csv", b'"text"x,n\na,1\n', "the header line cannot be read"),
        ("csv", b"text,\xff\na,1\n", "the header line cannot be read: it is not UTF-8"),
        ("tsv", b"text\t\xff\na\t1\n", "the header line cannot be read: it is not UTF-8"),
        (
            "csv",
            b"text," + b"x" * 300 + b"\na,1\n",
            "the header line cannot be read: it is longer than read.max_row_bytes",
        ),
        ("csv", b"text,n,text\na,1,b\n", "2 columns are called 'text'; rename all but one"),
        ("tsv", b"text\ttext\na\tb\n", "2 columns are called 'text'; rename all but one"),
    ],
)
def test_header_that_cannot_be_used_stops_the_job_and_loses_no_file(reader, data, says):
    with pytest.raises(JobError, match=r"read\.files: a file: ") as caught:
        read(reader, data, TEXT._replace(max_row_bytes=200), step=50)
    assert says in str(caught.value)
    with pytest.raises(ConfigError, match=r"read\.files: a\.csv: ") as caught:
        first_rows(io.BytesIO(data), reader, "a.csv", None, ("text",), 200, 10)
    assert says in str(caught.value)


def test_column_that_nobody_asks_for_may_be_there_twice():
    assert read("csv", b"n,text,n\n1,a,2\n").texts == ["a"]


def test_column_that_is_not_there_makes_each_row_a_dead_letter():
    columns = Columns(("text",), {"label": pa.int64()})
    for reader, data in (
        ("csv", b'text,n\na,1\n"b",2\n'),
        ("csv", b'text,n\na,1\nb"x,2\n'),
        ("tsv", b"text\tn\na\t1\nb\t2\n"),
    ):
        found = read(reader, data, columns)
        assert found.dead == [(0, "missing_column"), (1, "missing_column")]
        assert "no column 'label'; it has text, n" in found.letters[0]["message"]


@pytest.mark.parametrize("quote", [b"", b'"'])
def test_kept_columns_take_their_types_and_an_empty_field_is_null_but_in_strings(quote):
    kept = {"label": pa.int64(), "score": pa.float64(), "easy": pa.bool_(), "id": pa.string()}
    data = b"text,label,score,easy,id\n" + b",".join([quote + b"a" + quote, b"7", b"2", b"true", b"007"]) + b"\nb,,,,\n"
    assert read("csv", data, Columns(("text",), kept)).rows == [
        (0, {"text": "a", "label": 7, "score": 2.0, "easy": True, "id": "007"}),
        (1, {"text": "b", "label": None, "score": None, "easy": None, "id": ""}),
    ]


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (pa.int64(), b"7.0"),
        (pa.int64(), b"x"),
        (pa.int64(), b" 7"),
        (pa.int64(), b"0x1F"),
        (pa.int64(), b"9223372036854775808"),
        (pa.int32(), b"2147483648"),
        (pa.float64(), b"1,5"),
        (pa.float64(), b"1e999"),
        (pa.float32(), b"1e39"),
        (pa.bool_(), b"yes"),
    ],
)
@pytest.mark.parametrize("neighbour", [b"a", b'"a"', b'a"b'])
def test_field_that_does_not_fit_its_type_is_a_dead_letter_with_its_line(kind, field, neighbour):
    spelled = b'"' + field + b'"' if b"," in field else field
    data = b"text,label\nx,1\n" + neighbour + b"," + spelled + b"\r\ny,\n"
    found = read("csv", data, Columns(("text",), {"label": kind}))
    assert (found.texts, found.dead) == (["x", "y"], [(1, "wrong_type")])
    assert found.letters[0]["raw"] == neighbour + b"," + spelled
    assert found.letters[0]["message"] == f"label: {field.decode()!r} is no {KEPT_NAMES[kind]}"


@pytest.mark.parametrize("neighbour", [b"", b'a"b,c\n'])
def test_row_above_the_limit_is_a_dead_letter_however_many_lines_it_has(neighbour):
    long = b'"' + b"x\n" * 60 + b'",1'
    found = read("csv", b"text,n\na,1\n" + neighbour + long + b"\nb,1\n", TEXT._replace(max_row_bytes=100))
    assert (found.texts[0], found.texts[-1], found.reasons) == ("a", "b", ["too_long"])
    assert found.letters[0]["raw"] == long
    for reader in ("csv", "tsv"):
        found = read(reader, b"text\na\n" + b"x" * 101 + b"\n\nb\n", TEXT._replace(max_row_bytes=100), step=30)
        assert found.rows == [(0, {"text": "a"}), (2, {"text": "b"})]
        assert found.dead == [(1, "too_long")]


@pytest.mark.parametrize("before", [1, 1 << 17, 1 << 30])
def test_rows_do_not_depend_on_what_the_process_read_before(before):
    read("csv", b"text\na\n", TEXT._replace(max_row_bytes=max(before, 4)))
    csv.field_size_limit(before)
    data = b'text\n"open\n' + b"row\n" * 60_000
    found = read("csv", data, TEXT._replace(max_row_bytes=1000), step=50_000)
    assert (found.rows, found.dead) == ([], [(0, "too_long")])
    assert found.letters[0]["message"] == "more than read.max_row_bytes (1000 bytes)"
    assert found.letters[0]["raw"] == data[5 : 5 + 65536]
    found = read("csv", data, step=50_000)
    assert (found.rows, found.dead) == ([], [(0, "bad_row")])
    found = read("csv", b'"' + b"x\n" * 100_000 + b'",b\n', XY)
    assert found.rows == [(0, {"x": "x\n" * 100_000, "y": "b"})]


rare_quotes = st.sampled_from(
    [b"a", b"bc", b",", b"\n", b"\n", b"\n", b"\r\n", b'"', b'"', b'""', b'",', b',"', b"\xff"]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(rare_quotes, max_size=40).map(b"".join), st.integers(1, 12), st.sampled_from([None, 1, 3]))
@example(b'"a\n""\n"",b\nc,d\n', 3, None)
@example(b'"a\n"x\nc,d\n', 3, None)
@example(b'"a\nb",""\n"c",d\n', 3, None)
@example(b'"a\nb","\n",c\nd,e\n', 3, 1)
def test_rows_above_the_limit_end_where_they_would_and_no_other_row_changes(data, limit, step):
    longest = max((len(line) for _, line in lines_of(data)), default=0)
    found = read("csv", data, XY._replace(max_row_bytes=max(limit, longest)), step=step)
    whole = read("csv", data, XY, step=step)
    long = {position for position, reason in found.dead if reason == "too_long"}
    assert found.read == whole.read
    assert found.rows == [row for row in whole.rows if row[0] not in long]
    assert [x for x in found.dead if x[0] not in long] == [x for x in whole.dead if x[0] not in long]
    assert all(len(x["raw"]) > max(limit, longest) for x in found.letters if x["reason"] == "too_long")


def test_empty_row_keeps_its_line():
    found = read("csv", b'text,label\n"",1\na,x\n,2\nb,3\n', Columns(("text",), {"label": pa.int64()}, "dead_letter"))
    assert found.rows == [(3, {"text": "b", "label": 3})]
    assert [(x["position"], x["reason"], x["raw"]) for x in found.letters] == [
        (1, "wrong_type", b"a,x"),
        (0, "empty_text", b'"",1'),
        (2, "empty_text", b",2"),
    ]


@pytest.mark.parametrize("neighbour", [b"", b'a"b,c\n'])
def test_nul_is_a_character_where_the_csv_module_takes_it(neighbour):
    found = read("csv", neighbour + b"a\0b,c\nd,e\n", XY)
    values = {row["x"] for _, row in found.rows}
    if sys.version_info >= (3, 11):
        assert values >= {"a\0b", "d"}
        assert found.letters == []
    else:
        assert values >= {"d"}
        assert found.reasons == ["bad_row"]
    assert read("tsv", b"a\0b\tc\n", XY).rows == [(0, {"x": "a\0b", "y": "c"})]


def test_first_rows_are_those_that_can_be_read():
    data = b'text,n\n\na,1\n"b"x,2\nc\n"d\n",4\n'
    assert first_rows(io.BytesIO(data), "csv", "f", None, ("text",), 100, 2) == (["text", "n"], [["a", "1"], ["c"]])
    assert first_rows(io.BytesIO(data), "csv", "f", None, ("text",), 100, 9)[1] == [["a", "1"], ["c"], ["d\n", "4"]]
    assert first_rows(io.BytesIO(b"a\tb\n"), "tsv", "f", ("x", "y"), ("x",), 100, 9) == (["x", "y"], [["a", "b"]])
    assert first_rows(io.BytesIO(b""), "csv", "f", None, ("text",), 100, 9) == (None, [])
