import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.arrays.readers.reading import BOM, TEXT, lines_of, read
from transforms.arrays.readers import Columns


def reference(data):
    rows, dead = [], []
    for at, line in lines_of(data):
        try:
            rows.append((at, {"text": line.decode()}))
        except UnicodeDecodeError:
            dead.append((at, "bad_encoding"))
    return rows, dead


pieces = st.sampled_from([b"a", b" ", b"\n", b"\n", b"\r\n", b"\r", b"\0", "é".encode(), "é".encode()[:1], b"\xff"])


@settings(max_examples=300, deadline=None)
@given(st.lists(pieces, max_size=30).map(b"".join), st.lists(st.integers(1, 30), max_size=2), st.integers(1, 9))
def test_every_line_is_a_row_or_a_dead_letter(data, cuts, step):
    found = read("text", data, cuts=sorted(cut for cut in set(cuts) if cut < len(data)), step=step)
    assert (found.rows, found.dead) == reference(data)


def test_row_is_the_line_as_it_stands_empty_and_blank_ones_too():
    found = read("text", BOM + "  a\t\r\n\nb\rc\n \nd\u2028\x85e".encode())
    assert found.texts == ["  a\t", "", "b\rc", " ", "d\u2028\x85e"]
    assert [position for position, _ in found.rows] == [0, 9, 10, 14, 16]


def test_file_of_no_line_gives_no_row_and_one_of_a_newline_gives_an_empty_one():
    assert read("text", b"").read == read("text", BOM).read == 0
    assert read("text", b"\n").texts == [""]


def test_line_that_is_no_utf8_keeps_its_bytes_and_takes_no_other_along():
    found = read("text", b"good\nb\xffd\ncut \xe2\x82\nfine")
    assert found.texts == ["good", "fine"]
    assert [(letter["position"], letter["reason"], letter["raw"]) for letter in found.letters] == [
        (5, "bad_encoding", b"b\xffd"),
        (9, "bad_encoding", b"cut \xe2\x82"),
    ]


def test_too_long_line_keeps_its_first_bytes():
    found = read("text", b"a\n" + b"x" * 70_000 + b"\nb\n", TEXT._replace(max_row_bytes=100), step=1000)
    assert found.texts == ["a", "b"]
    assert found.dead == [(2, "too_long")]
    assert (found.letters[0]["raw"], found.letters[0]["raw_truncated"]) == (b"x" * 65536, True)
    assert "read.max_row_bytes (100 bytes)" in found.letters[0]["message"]


def test_empty_line_that_is_buried_keeps_its_line_and_its_neighbours_theirs():
    found = read("text", b"a\n\xff\n\r\nb\n", TEXT._replace(empty="dead_letter"))
    assert found.rows == [(0, {"text": "a"}), (6, {"text": "b"})]
    assert [(x["position"], x["reason"], x["raw"]) for x in found.letters] == [
        (2, "bad_encoding", b"\xff"),
        (4, "empty_text", b""),
    ]


def test_line_has_no_second_text_and_no_kept_column_but_itself():
    kept = Columns(("text",), {"n": pa.int64(), "text": pa.string()})
    assert read("text", b"a\n", kept).rows == [(0, {"text": "a", "n": None})]
    found = read("text", b"a\nb\n", Columns(("text", "pair"), {}))
    assert (found.rows, found.dead) == ([], [(0, "missing_column"), (2, "missing_column")])
    assert found.letters[1]["message"] == "no 'pair'; a line of plain text is 'text' alone"
    assert found.letters[1]["raw"] == b"b"
