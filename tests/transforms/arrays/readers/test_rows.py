import numpy as np
import pyarrow as pa
import pytest

from transforms.arrays.dead_letters import DeadLetters
from transforms.arrays.errors import ConfigError
from transforms.arrays.readers.rows import Columns, Reading, columns_of, convert, make_rows, utf8


def made(texts, pairs=None, **options):
    """Rows made of texts at positions 10, 20, ..."""
    columns = Columns(("text",) if pairs is None else ("text", "pair"), {}, **options)
    arrays = [pa.array(column, pa.string()) for column in (texts, pairs) if column is not None]
    return make_rows(columns, "f", 10 * np.arange(1, len(texts) + 1), arrays, DeadLetters())


def places(rows):
    return rows.batch.column("row_id").field("position").to_pylist()


def dead(rows):
    return [(letter["position"], letter["reason"], letter["raw"]) for letter in rows.dead.to_pylist()]


def test_empty_rows_are_kept_dropped_or_buried_as_asked():
    kept = made(["a", "", "b"])
    assert (places(kept), dead(kept), kept.read, kept.dropped_empty) == ([10, 20, 30], [], 3, 0)
    dropped = made(["a", "", "b"], empty="drop")
    assert (places(dropped), dead(dropped), dropped.read, dropped.dropped_empty) == ([10, 30], [], 3, 1)
    buried = made(["a", "", "b"], empty="dead_letter")
    assert (places(buried), buried.read, buried.dropped_empty) == ([10, 30], 3, 0)
    assert dead(buried) == [(20, "empty_text", b'{"text": ""}')]


def test_pair_is_empty_only_where_both_of_its_sides_are():
    found = made(["a", "", "", "b"], ["", "A", "", "B"], empty="drop")
    assert (places(found), found.dropped_empty) == ([10, 20, 40], 1)


@pytest.mark.parametrize("empty", ["keep", "drop", "dead_letter"])
def test_null_is_never_taken_for_empty(empty):
    found = made(["a", None, ""], empty=empty)
    assert dead(found)[0] == (20, "null_text", b'{"text": null}')
    assert found.read == 3 == found.batch.num_rows + found.dead.num_rows + found.dropped_empty


def test_row_whose_texts_together_exceed_the_limit_is_too_long():
    found = made(["aaa", "aaa", "é"], ["bb", "bbb", "12345"], max_row_bytes=5)
    assert places(found) == [10]
    assert [(position, reason) for position, reason, _ in dead(found)] == [(20, "too_long"), (30, "too_long")]


def test_rows_that_the_reader_refused_itself_count_as_read():
    letters = DeadLetters()
    letters.add("bad_row", "no", "f", 5, b"raw")
    found = make_rows(Columns(("text",), {}), "f", np.array([10]), [pa.array(["a"])], letters)
    assert (found.read, found.batch.num_rows, dead(found)) == (2, 1, [(5, "bad_row", b"raw")])


def test_bytes_become_strings_and_those_that_cannot_are_told():
    text, bad = utf8(pa.array([b"a", None, b"\xff", "é".encode()], pa.large_binary()))
    assert text.type == pa.string()
    assert (text.to_pylist(), bad.tolist()) == (["a", None, "", "é"], [False, False, True, False])
    text, bad = utf8(pa.array(["x", "a", "é"]).slice(1))
    assert (text.to_pylist(), bad.tolist()) == (["a", "é"], [False, False])


@pytest.mark.parametrize("bad", [[], [0], [6], [0, 3, 6], list(range(7))])
def test_cells_that_do_not_fit_are_found_wherever_they_are(bad):
    values = ["x" if i in bad else str(i) for i in range(7)]
    array, found = convert(pa.array(values), pa.int64())
    assert np.flatnonzero(found).tolist() == bad
    assert array.to_pylist() == [None if i in bad else i for i in range(7)]
    assert array.type == pa.int64()


def test_numbers_beyond_a_float_do_not_become_infinite_unless_they_say_so():
    array, bad = convert(pa.array(["1e39", "inf", "-Infinity", None, "nan", "1"]), pa.float32())
    assert bad.tolist() == [True, False, False, False, False, False]
    assert array.to_pylist()[:4] == [None, float("inf"), -float("inf"), None]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"format": "json"}, "read.format: 'json' is not known; did you mean jsonl?"),
        ({"empty": "skip"}, "read.empty: 'skip' is not known"),
        ({"split_bytes": 0}, "read.split_bytes: 0 is too small"),
        ({"max_row_bytes": 0}, "read.max_row_bytes: 0 is too small"),
        ({"max_row_bytes": 2**30 + 1}, "read.max_row_bytes: 1073741825 is too large; at most 1073741824"),
        ({"keep": ("a", "b", "a")}, "read.keep: 'a' is named twice"),
        ({"columns": ("a", "a")}, "read.columns: 'a' is named twice"),
        ({"text_pair": "text"}, "read.text_pair: 'text' is read.text already"),
        ({"text": "row_id"}, "read.text: a column called 'row_id' cannot be a text; rename it"),
        ({"keep": {"a": "int"}}, "read.keep.a: 'int' is not known; did you mean int"),
        ({"keep": {"text": "int64"}}, "read.keep.text: it is a text, which cannot be kept as int64; write string"),
    ],
)
def test_section_that_no_input_can_satisfy_is_refused(section, message):
    with pytest.raises(ConfigError) as caught:
        Reading(**section)
    assert str(caught.value).startswith(message)


def test_section_says_which_columns_are_read():
    reading = Reading(files="a", text="q", text_pair="a", keep={"n": "int64"}, columns=("q", "a", "n"), empty="drop")
    assert reading.patterns == ("a",)
    columns = columns_of(reading, {"n": pa.int64()})
    assert columns == Columns(("q", "a"), {"n": pa.int64()}, "drop", 268435456, ("q", "a", "n"))
    assert columns.wanted == ("q", "a", "n")
    assert [columns.type_of(name) for name in columns.wanted] == [pa.string(), pa.string(), pa.int64()]


def test_rows_that_have_lines_are_buried_with_them():
    columns = Columns(("text",), {}, "dead_letter", 3)
    texts = pa.array(["a", "", None, "long"])
    raw = [b"A", b"E", b"N", b"L"].__getitem__
    found = make_rows(columns, "f", np.arange(4), [texts], DeadLetters(), raw)
    assert dead(found) == [(2, "null_text", b"N"), (3, "too_long", b"L"), (1, "empty_text", b"E")]
    assert places(found) == [0]
