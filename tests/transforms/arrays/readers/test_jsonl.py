import json
import math
import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.transforms.arrays.readers.reading import BOM, TEXT, lines_of, read
from transforms.arrays.errors import JobError
from transforms.arrays.readers import Columns
from transforms.arrays.readers.jsonl import row_type

KEPT = {
    "easy": pa.bool_(),
    "small": pa.int32(),
    "label": pa.int64(),
    "weight": pa.float32(),
    "score": pa.float64(),
    "id": pa.string(),
}
ALL = Columns(("text", "pair"), KEPT)


def no_constant(name):
    raise ValueError(name)


def fits(value, kind):
    """Whether a JSON value fits a column, by the rules that users read."""
    if value is None:
        return True
    if kind == pa.string():
        return isinstance(value, str)
    if kind == pa.bool_():
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if pa.types.is_integer(kind):
        return isinstance(value, int) and -(2 ** (kind.bit_width - 1)) <= value < 2 ** (kind.bit_width - 1)
    largest = float(np.finfo(np.float32 if kind == pa.float32() else np.float64).max)
    try:
        return abs(float(value)) <= largest
    except OverflowError:
        return False


def reference(line, columns):
    """What a line is: a row's values, a reason, or None for no row."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return "bad_encoding"
    if not text.strip(" \t\r\n"):
        return None
    try:
        everything = json.loads(text, parse_constant=no_constant, object_pairs_hook=list)
        row = json.loads(text, parse_constant=no_constant)
    except (ValueError, RecursionError):
        return "bad_json"
    try:
        json.dumps(everything, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "bad_encoding"
    if not isinstance(row, dict):
        return "bad_row"
    for name in columns.texts:
        if name not in row:
            return "missing_column"
        if row[name] is None:
            return "null_text"
    values = {name: row.get(name) for name in columns.wanted}
    if not all(fits(value, columns.type_of(name)) for name, value in values.items()):
        return "wrong_type"
    for name, value in values.items():
        if value is not None and columns.type_of(name) == pa.float32():
            values[name] = struct.unpack("f", struct.pack("f", float(value)))[0]
        elif value is not None and columns.type_of(name) == pa.float64():
            values[name] = float(value)
    return values


def expected_of(data, columns):
    read = [(at, reference(line, columns)) for at, line in lines_of(data)]
    rows = [(at, found) for at, found in read if isinstance(found, dict)]
    return rows, [(at, found) for at, found in read if isinstance(found, str)]


def reason_of(line, columns=ALL):
    """The reason that a line is refused for, between good ones; None where it is a row."""
    good = b'{"text": "a", "pair": "b"}'
    found = read("jsonl", good + b"\n" + line + b"\n" + good, columns)
    others = [text for text, (at, _) in zip(found.texts, found.rows, strict=True) if at != len(good) + 1]
    assert others == ["a", "a"]
    assert found.read == 3
    assert found.reasons == ([] if found.letters == [] else [found.letters[0]["reason"]])
    assert [letter["raw"] for letter in found.letters] == [line[:65536]] * len(found.letters)
    return found.reasons[0] if found.reasons else None


numbers = st.one_of(
    st.integers(),
    st.sampled_from([2**31 - 1, 2**31, -(2**31) - 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30, 2**53 + 1]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1e39, 1e300, -0.0, 3.0]),
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
leaves = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2), max_leaves=4
)
names = st.sampled_from([*KEPT, "other", ""])


@st.composite
def objects(draw):
    """An object as text: mostly a good row, names in any order and sometimes twice."""
    fields = [("text", draw(texts)), ("pair", draw(texts)), *draw(st.lists(st.tuples(names, values), max_size=3))]
    for name in draw(st.lists(st.sampled_from(list(KEPT)), max_size=3)):
        kind = KEPT[name]
        some = st.integers(-9, 9) if kind != pa.bool_() and kind != pa.string() else st.booleans()
        fields.append((name, draw(texts if kind == pa.string() else some)))
    fields = draw(st.permutations(fields))
    ascii_only, gap = draw(st.booleans()), draw(st.sampled_from(["", " "]))
    spelled = (
        json.dumps(k, ensure_ascii=ascii_only) + ":" + gap + json.dumps(v, ensure_ascii=ascii_only) for k, v in fields
    )
    return ("{" + ("," + gap).join(spelled) + "}").encode()


odd = st.sampled_from(
    [
        b"",
        b" \t",
        b"{}",
        b"[]",
        b"null",
        b"NaN",
        b'{"text": NaN}',
        b'{"text": "a"',
        b'"b"}',
        b'{"text": "a", "pair": "b"} {"text": "a", "pair": "b"}',
        b'{"text": "a", "pair": "b", "x": "\\ud800"}',
        b'{"text": "a", "pair": "b", "x": "\xff"}',
        b'{"text": "a", "pair": null}',
        b'{"text": "a", "pair": 5}',
        b'{"text": "a", "pair": "b", "x": 1e999}',
        b'{"text": "a", "pair": "b", "score": 1e999}',
    ]
)


@st.composite
def damaged(draw):
    """An object with a byte put in, taken out or changed."""
    line = draw(objects())
    at = draw(st.integers(0, len(line)))
    put = draw(
        st.sampled_from(
            [
                b"",
                b"{",
                b"}",
                b"[",
                b"]",
                b'"',
                b"\\",
                b"\\u",
                b"\\ud83d",
                b",",
                b":",
                b"\xff",
                b"\x01",
                b"\0",
                b"\r",
                b" ",
                b"0",
                b"-",
                b"e",
                BOM,
            ]
        )
    )
    return line[:at] + put + line[at + draw(st.integers(0, 1)) :]


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.one_of(objects(), objects(), objects(), odd, damaged()), max_size=6),
    st.sampled_from([b"\n", b"\r\n"]),
    st.sampled_from([b"", BOM]),
    st.sampled_from([None, 1, 50]),
)
@example([b'{"text":"a","pair":"b","x":"\\ud800","x":1}'], b"\n", b"", None)
@example([b'{"text":"a","pair":"b"', b',"x":1}'], b"\n", b"", None)
@example([b'{"text":"a","pair":"b"}', b'{"text":"a","pair":"b"}{}', b"{"], b"\n", b"", None)
def test_any_mix_of_lines_gives_what_a_plain_reader_gives(lines, end, bom, step):
    data = bom + end.join(lines)
    found = read("jsonl", data, ALL, step=step)
    assert (repr(found.rows), found.dead) == tuple(
        f(x) for f, x in zip((repr, list), expected_of(data, ALL), strict=True)
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(objects(), min_size=1, max_size=5), odd)
def test_good_lines_are_the_same_rows_alone_and_beside_a_line_that_slows_their_block_down(lines, bad):
    data = b"\n".join(lines)
    beside = read("jsonl", data + b"\n" + bad, ALL)
    assert repr([row for row in beside.rows if row[0] <= len(data)]) == repr(read("jsonl", data, ALL).rows)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "a", "pair": "b"} {"text": "c", "pair": "d"}', "bad_json"),
        (b'{"text": "a", "pair": "b"}{"text": "c", "pair": "d"}', "bad_json"),
        (b'["text", "pair"]', "bad_row"),
        (b"5", "bad_row"),
        (b'"text"', "bad_row"),
        (b"null", "bad_row"),
        (b"NaN", "bad_json"),
        (b'{"text": "a", "pair": "b", "x": NaN}', "bad_json"),
        (b'{"text": "a", "pair": "b", "score": NaN}', "bad_json"),
        (b'{"text": "a", "pair": "b", "score": -Infinity}', "bad_json"),
        (b'{"text": "a\tb", "pair": "b"}', "bad_json"),
        (b'{"text": "a", "pair": "b", "x": "\x1f"}', "bad_json"),
        (b'{"text": "a", "pair": "b"}' + BOM, "bad_json"),
        (BOM + b'{"text": "a", "pair": "b"}', "bad_json"),
        (b'{"text": "a", "pair": "b", "x": "' + BOM + b'"}', None),
        (b"{'text': 'a', 'pair': 'b'}", "bad_json"),
        (b'{"text": "a", "pair": "b",}', "bad_json"),
        (b'{"text": "a", "pair": "b', "bad_json"),
        (b'{"text": "\\ud800", "pair": "b"}', "bad_encoding"),
        (b'{"text": "a", "pair": "b", "x": ["\\udc00"]}', "bad_encoding"),
        (b'{"text": "a", "pair": "b", "\\ud83d": 1}', "bad_encoding"),
        (b'{"text": "a", "pair": "b", "x": "\\ud83d\\ude00"}', None),
        (b'{"text": "a", "pair": "b", "x": "\\\\ud800"}', None),
        (b'{"text": "\xff", "pair": "b"}', "bad_encoding"),
        (b'{"text": "a", "pair": "b", "x": {"\xe2\x82": 1}}', "bad_encoding"),
        (b'{"text": "a", "pair": "b", "x": "\xed\xa0\x80"}', "bad_encoding"),
        (b"\xff", "bad_encoding"),
        (b'{"pair": "b"}', "missing_column"),
        (b'{"text": "a"}', "missing_column"),
        (b"{}", "missing_column"),
        (b'{"text": null, "pair": "b"}', "null_text"),
        (b'{"text": "a", "pair": null}', "null_text"),
        (b'{"text": 5, "pair": "b"}', "wrong_type"),
        (b'{"text": ["a"], "pair": "b"}', "wrong_type"),
        (b'{"text": "a", "pair": "b", "label": 9223372036854775808}', "wrong_type"),
        (b'{"text": "a", "pair": "b", "label": -9223372036854775809}', "wrong_type"),
        (b'{"text": "a", "pair": "b", "label": 9223372036854775807}', None),
        (b'{"text": "a", "pair": "b", "small": 2147483648}', "wrong_type"),
        (b'{"text": "a", "pair": "b", "label": 3.0}', "wrong_type"),
        (b'{"text": "a", "pair": "b", "label": 1e2}', "wrong_type"),
        (b'{"text": "a", "pair": "b", "label": true}', "wrong_type"),
        (b'{"text": "a", "pair": "b", "label": "3"}', "wrong_type"),
        (b'{"text": "a", "pair": "b", "score": true}', "wrong_type"),
        (b'{"text": "a", "pair": "b", "easy": 1}', "wrong_type"),
        (b'{"text": "a", "pair": "b", "id": 7}', "wrong_type"),
        (b'{"text": "a", "pair": "b", "weight": 1e39}', "wrong_type"),
        (b'{"text": "a", "pair": "b", "score": 1e999}', "wrong_type"),
        (b'{"text": "a", "pair": "b", "score": 1' + b"0" * 400 + b"}", "wrong_type"),
        (b'{"text": "a", "pair": "b", "x": 1e999}', None),
        (b'{"text": 1, "text": "a", "pair": "b"}', None),
        (b'{"text": "a", "text": 1, "pair": "b"}', "wrong_type"),
        (b' \t{"text": "a", "pair": "b"} \r', None),
    ],
)
def test_line_is_refused_for_its_reason_and_for_no_other(line, reason):
    assert reference(line, ALL) == reason or reason is None
    assert reason_of(line) == reason


def test_object_over_two_lines_is_two_bad_lines():
    found = read("jsonl", b'{"text": "a",\n"pair": "b"}\n', ALL)
    assert found.dead == [(0, "bad_json"), (14, "bad_json")]


@pytest.mark.parametrize("shape", [b"[" * 200_000, b"[" * 200_000 + b"]" * 200_000, b'{"a":' * 200_000])
def test_nesting_without_end_is_bad_json_in_an_ignored_field_too(shape):
    assert reason_of(shape) == "bad_json"
    assert reason_of(b'{"text": "a", "pair": "b", "x": ' + shape + b"}") == "bad_json"


def test_integers_of_thousands_of_digits_do_no_harm():
    long = b"1" + b"0" * 5000
    assert reason_of(b'{"text": "a", "pair": "b", "x": ' + long + b"}") is None
    assert reason_of(b'{"text": "a", "pair": "b", "label": ' + long + b"}") == "wrong_type"


def test_values_come_in_the_types_that_are_kept():
    data = (
        b'{"text":"t","pair":"","easy":true,"small":-1,"label":9007199254740993,"weight":16777217,"score":5,"id":"x"}'
    )
    row = {
        "text": "t",
        "pair": "",
        "easy": True,
        "small": -1,
        "label": 2**53 + 1,
        "weight": 2.0**24,
        "score": 5.0,
        "id": "x",
    }
    assert read("jsonl", data, ALL).rows == [(0, row)]
    nothing = dict.fromkeys(KEPT)
    assert read("jsonl", b'{"text":"t","pair":"", "id": null}', ALL).rows == [(0, {"text": "t", "pair": "", **nothing})]


def test_last_of_two_equal_keys_counts():
    data = b'{"text": "a", "label": 1, "text": "b", "label": "no", "label": null}'
    assert read("jsonl", data, Columns(("text",), {"label": pa.int64()})).rows == [(0, {"text": "b", "label": None})]


def test_column_that_is_text_and_kept_comes_once():
    assert read("jsonl", b'{"text": "a"}', Columns(("text",), {"text": pa.string()})).rows == [(0, {"text": "a"})]


def test_blank_lines_are_no_rows_however_many_there_are():
    data = b'\n\n{"text": "a"}\n\n\n\r\n \t \n{"text": "b"}\n\n'
    found = read("jsonl", data)
    assert found.rows == [(2, {"text": "a"}), (data.index(b'{"text": "b"'), {"text": "b"})]
    assert found.read == 2


def test_too_long_line_is_refused_and_its_neighbours_are_read():
    data = b'{"text": "a"}\n{"text": "' + b"x" * 100 + b'"}\n{"text": "b"}'
    found = read("jsonl", data, TEXT._replace(max_row_bytes=50), step=20)
    assert (found.texts, found.dead) == (["a", "b"], [(14, "too_long")])


def test_infinite_numbers_cannot_come_in():
    found = read(
        "jsonl", b'{"text":"a","score":1e308}\n{"text":"b","score":1e309}', Columns(("text",), {"score": pa.float64()})
    )
    assert all(math.isfinite(row["score"]) for _, row in found.rows)
    assert found.reasons == ["wrong_type"]


def test_empty_row_keeps_its_line():
    line = b'{"more": [1, 2], "text": ""}'
    for before in (b"", b"no\n"):
        data = before + b'{"text": "a"}\n\n' + line + b"\r\n"
        found = read("jsonl", data, Columns(("text",), {}, "dead_letter"))
        assert found.texts == ["a"]
        assert (found.letters[-1]["reason"], found.letters[-1]["raw"]) == ("empty_text", line)
        assert found.letters[-1]["position"] == len(data) - len(line) - 2


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "\x1b"])
def test_column_that_cannot_be_looked_for_is_refused_by_name(name):
    with pytest.raises(JobError, match="cannot be read from JSON Lines: its name has a quote"):
        row_type(Columns(("text",), {name: pa.int64()}))
    row_type(Columns(("text",), {"é'/{}": pa.int64(), "\x7f": pa.int64()}))
