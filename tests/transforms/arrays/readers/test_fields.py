"""Blocks cut into columns as a whole: what is taken is what Python's csv module makes of it, the rest is left to it."""

import csv
import io

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.transforms.arrays.readers.reading import BOM
from transforms.arrays.dead_letters import RAW_BYTES, DeadLetters
from transforms.arrays.readers import Columns
from transforms.arrays.readers.fields import Table, cut_block, row_problem
from transforms.arrays.readers.line_feed import LineFeed

COMMA, TAB = ord(","), ord("\t")

NAMES = ("a", "b", "c", "d")


def table_of(width, limit=10_000, wanted=None):
    header = list(NAMES[:width])
    wanted = header if wanted is None else wanted
    return Table(header, Columns(tuple(wanted[:1]), {name: pa.string() for name in wanted[1:]}, "keep", limit), "f")


class Cut:
    """What `cut_block` made of the first block of a file.

    Attributes:
        parsed: What it gave.
        rows: Rows as lists of the wanted columns' fields; None where it refused.
        letters: Dead letters.
        taken: The bytes of the lines it took.
    """

    def __init__(self, data, table, *, delimiter=COMMA, quoting=True, position=0):
        feed = LineFeed(io.BytesIO(data), table.columns.max_row_bytes)
        feed.has_line()
        dead = DeadLetters()
        self.parsed = cut_block(feed, delimiter, quoting, table, position, dead)
        self.letters = dead.to_batch().to_pylist()
        self.rows = None
        if self.parsed is not None:
            columns = [array.to_pylist() for array in self.parsed.arrays]
            self.rows = [list(row) for row in zip(*columns, strict=True)]
        rest = feed.left().positions[0] if feed.has_line() and feed.left() is not None else len(data)
        self.taken = data[:rest]


def by_csv_module(data):
    """The rows of whole lines that are well-formed; csv.Error where they are not."""
    text = data.removeprefix(BOM).decode("utf-8", "surrogateescape")
    return [row for row in csv.reader(io.StringIO(text, newline="\n"), strict=True) if row]


plain = st.text(st.sampled_from("ab é漢\t'"), max_size=4)
anything = st.text(st.sampled_from('ab ,"\n\r\té漢'), max_size=5)
spelled_fields = st.one_of(
    plain, anything.map(lambda text: '"' + text.replace('"', '""') + '"'), st.sampled_from(["", '""', '""""'])
)


@st.composite
def well_formed(draw):
    """A width, and a file of rows of so many fields, blank lines among them."""
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(spelled_fields, min_size=width, max_size=width), min_size=1, max_size=6))
    ends = st.sampled_from(["\n", "\r\n", "\n\n", "\r\n\n"])
    text = "".join(",".join(row) + draw(ends) for row in rows[:-1])
    text += ",".join(rows[-1])
    # A last line without an end is a block of its own.
    text += draw(st.sampled_from(["\n", "\r\n"] if "\n" in text else ["", "\n", "\r\n"]))
    return width, draw(st.sampled_from([b"", BOM])) + text.encode()


@settings(max_examples=500, deadline=None)
@given(well_formed(), st.integers(0, 5))
@example((1, b'""'), 0)
@example((2, b'"",""\r\n'), 0)
@example((2, b'"""",","\n"\n""\n",x\n'), 3)
@example((1, BOM + b'"\r\n"\n'), 0)
def test_well_formed_rows_are_cut_as_the_csv_module_cuts_them(file, position):
    width, data = file
    expected = by_csv_module(data)
    found = Cut(data, table_of(width), position=position)
    if not data.removeprefix(BOM):  # a file without a line
        assert found.parsed is None
        return
    assert found.rows == expected
    assert found.letters == []
    assert found.taken == data
    assert found.parsed.read == len(expected)
    assert found.parsed.positions.tolist() == list(range(position, position + len(expected)))
    # The bytes of a row are those that say the same alone.
    assert [by_csv_module(found.parsed.raw(i)) for i in range(len(expected))] == [[row] for row in expected]


pieces = st.sampled_from([b"a", b",", b",", b"\n", b"\n", b"\r\n", b'"', b'"', b'""', b'",', b',"', b'"\n', b"b,b\n"])
rare = st.sampled_from([b"\r", "é".encode(), b"\xff", b" ", b"\0", BOM])
files = st.lists(st.one_of(pieces, pieces, pieces, rare), max_size=20).map(b"".join)


@settings(max_examples=1500, deadline=None)
@given(files)
@example(b'a,"b""\n')
@example(b'a,b\n"c\n')
@example(b'x,"a"\rb\n')
@example(b'x,"a"\r')
@example(b'a"",b\n')
@example(b'""a"",b\n')
@example(b'"a"b","\n')
def test_whatever_is_taken_is_what_the_csv_module_makes_of_it(data):
    found = Cut(data, table_of(2))
    if found.parsed is None:
        assert found.letters == []
        return
    rows = by_csv_module(found.taken)
    good, bad = [], []
    for i, row in enumerate(rows):
        if any("\udc80" <= character <= "\udcff" for character in "".join(row)):
            bad.append((i, "bad_encoding"))
        elif len(row) != 2:
            bad.append((i, "bad_row"))
        else:
            good.append((i, row))
    assert list(zip(found.parsed.positions.tolist(), found.rows, strict=True)) == good
    assert [(letter["position"], letter["reason"]) for letter in found.letters] == bad
    assert found.parsed.read == len(rows)


@pytest.mark.parametrize("before", [b"", b"x,y\n", b'"x","y"\r\n'])
@pytest.mark.parametrize(
    "data",
    [
        b'a"b"c,d\n',
        b'a,""b\n',
        b'"a"b,c\n',
        b'"a" ,b\n',
        b'a, "b"\n',
        b'a"",b\n',
        b'""a"",b\n',
        b"a\rb,c\n",
        b"a,b\r\r\n",
        b'"a",b\rc\n',
        b"a\0,b\n",
        b'"a\0",b\n',
    ],
)
def test_stray_quotes_and_the_like_are_left_to_the_csv_module_and_nothing_is_taken(data, before):
    feed = LineFeed(io.BytesIO(before + data), 1000)
    assert feed.has_line()
    dead = DeadLetters()
    assert cut_block(feed, COMMA, True, table_of(2), 0, dead) is None
    assert len(dead) == 0
    assert "".join(feed) == (before + data).decode()


@pytest.mark.parametrize("data", [b'"', b'"""', b'a"b,c\n', b'a,b"\n', b'a,"b""\n', b'"a,b\nc,d\n', b"a,b\r"])
def test_file_of_a_quote_that_nothing_closes_or_that_ends_in_a_cr_is_left_to_the_csv_module(data):
    found = Cut(data, table_of(2))
    assert (found.parsed, found.letters, found.taken) == (None, [], b"")


def test_rows_before_a_quote_that_nothing_closes_are_taken_and_the_rest_is_left():
    data = b'a,b\n"c\n",d\ne,"f\ng,h\n'
    found = Cut(data, table_of(2))
    assert found.rows == [["a", "b"], ["c\n", "d"]]
    assert found.taken == b'a,b\n"c\n",d\n'
    assert (found.parsed.read, found.letters) == (2, [])


def test_block_with_a_line_that_was_passed_over_is_refused():
    assert Cut(b"a,b\n" + b"x" * 101 + b"\nc,d\n", table_of(2, limit=100)).parsed is None


def test_no_lines_are_no_block():
    assert Cut(b"", table_of(2)).parsed is None
    assert Cut(BOM, table_of(2)).parsed is None


def test_rows_that_do_not_fit_are_dead_letters_and_their_neighbours_are_taken():
    lines = [b"a,b", b"one", b"", b"1,2,3", b"\xff,y", b'"c\nc",d', b'"' + b"x\n" * 60 + b'",y', b'"e""e",f']
    found = Cut(b"\n".join(lines) + b"\n", table_of(2, limit=100), position=7)
    assert found.rows == [["a", "b"], ["c\nc", "d"], ['e"e', "f"]]
    assert found.parsed.positions.tolist() == [7, 11, 13]
    assert [found.parsed.raw(i) for i in range(3)] == [lines[0], lines[5], lines[7]]
    assert found.parsed.read == 7
    assert [(x["position"], x["reason"], x["file"], x["raw"], x["message"]) for x in found.letters] == [
        (8, "bad_row", "f", b"one", "1 fields where 2 were expected"),
        (9, "bad_row", "f", b"1,2,3", "3 fields where 2 were expected"),
        (10, "bad_encoding", "f", b"\xff,y", "not UTF-8"),
        (12, "too_long", "f", lines[6], "more than read.max_row_bytes (100 bytes)"),
    ]


def test_of_a_long_row_its_beginning_is_kept():
    row = b'"' + b"xyz\n" * (RAW_BYTES // 8) + b"x" * RAW_BYTES + b'"'
    (letter,) = Cut(row + b"\n", table_of(2, limit=10 * RAW_BYTES)).letters
    assert (letter["reason"], letter["raw"], letter["raw_truncated"]) == ("bad_row", row[:RAW_BYTES], True)


def test_columns_come_in_the_order_in_which_they_are_asked_for():
    data = b'1,2,3,4\n"5",6,"7","8"\n'
    assert Cut(data, table_of(4, wanted=["d", "a"])).rows == [["4", "1"], ["8", "5"]]
    assert Cut(data, table_of(4, wanted=["c"])).rows == [["3"], ["7"]]


def test_column_that_is_not_there_makes_every_row_a_dead_letter():
    found = Cut(b'a,b\n"c",d\ne\n', table_of(2, wanted=["a", "z"]))
    assert (found.rows, found.parsed.read) == ([], 3)
    assert [(letter["reason"], letter["message"]) for letter in found.letters] == [
        ("missing_column", "no column 'z'; it has a, b"),
        ("missing_column", "no column 'z'; it has a, b"),
        ("bad_row", "1 fields where 2 were expected"),
    ]


def test_without_quoting_a_quote_a_cr_and_a_nul_are_characters_like_others():
    data = b'"a\tb"\n"c"\td\n\n\0\te\rf\r\n'
    found = Cut(data, table_of(2), delimiter=TAB, quoting=False)
    assert found.rows == [['"a', 'b"'], ['"c"', "d"], ["\0", "e\rf"]]
    assert (found.parsed.read, found.letters, found.taken) == (3, [], data)


def test_a_row_has_one_problem_and_the_first_is_told():
    table = table_of(2, limit=5, wanted=["a", "z"])
    assert row_problem(True, True, 3, table) == ("too_long", "more than read.max_row_bytes (5 bytes)")
    assert row_problem(False, True, 3, table) == ("bad_encoding", "not UTF-8")
    assert row_problem(False, False, 3, table) == ("bad_row", "3 fields where 2 were expected")
    assert row_problem(False, False, 2, table) == ("missing_column", "no column 'z'; it has a, b")
    assert row_problem(False, False, 2, table_of(2)) is None
