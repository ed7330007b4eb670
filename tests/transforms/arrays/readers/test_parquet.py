import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.transforms.arrays.readers.reading import TEXT, read
from transforms.arrays.errors import JobError
from transforms.arrays.readers import READERS, Columns, Source
from transforms.arrays.readers.parquet import BATCH_BYTES, BATCH_ROWS, open_parquet


def parquet(columns, **options):
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def keep(kind, values, kept):
    """Reads a column as a kept type."""
    found = read(
        "parquet", parquet({"text": ["t"] * len(values), "k": pa.array(values, kind)}), Columns(("text",), {"k": kept})
    )
    assert set(found.reasons) <= {"wrong_type"}
    return {position: row["k"] for position, row in found.rows}


TEXTS = ["", "a", "é漢🎉", "a\0b", "a\nb", "x" * 1000]


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int8(), pa.large_string()),
    ],
    ids=str,
)
def test_strings_of_every_kind_are_texts(kind):
    array = pa.array(TEXTS, pa.string())
    array = array.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else array.cast(kind)
    try:
        data = parquet({"text": array})
    except pa.ArrowNotImplementedError:
        pytest.skip(f"this pyarrow cannot write {kind}")
    assert read("parquet", data).texts == TEXTS


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.dictionary(pa.int32(), pa.binary())], ids=str)
def test_bytes_that_are_no_utf8_are_dead_letters_and_null_is_another(kind):
    array = pa.array([b"a", b"b\xffd", None, b"\xe2\x82", b"e"], pa.binary())
    array = array.dictionary_encode() if pa.types.is_dictionary(kind) else array.cast(kind)
    found = read("parquet", parquet({"text": array, "n": [1, 2, 3, 4, 5]}), Columns(("text",), {"n": pa.int64()}))
    assert found.texts == ["a", "e"]
    assert found.dead == [(1, "bad_encoding"), (2, "null_text"), (3, "bad_encoding")]
    assert {letter["position"]: letter["raw"] for letter in found.letters} == {
        1: b'{"text": "b\xffd", "n": 2}',
        2: b'{"text": null, "n": 3}',
        3: b'{"text": "\xe2\x82", "n": 4}',
    }


def test_strings_that_lie_about_being_utf8_are_found():
    lying = pa.array([b"ok", b"\xff"], pa.binary()).view(pa.string())
    assert read("parquet", parquet({"text": lying})).dead == [(1, "bad_encoding")]


def test_kept_strings_may_be_null_and_must_be_utf8():
    data = parquet({"text": ["a"] * 3, "id": pa.array([b"x", None, b"\xff"], pa.binary())})
    found = read("parquet", data, Columns(("text",), {"id": pa.string()}))
    assert found.rows == [(0, {"text": "a", "id": "x"}), (1, {"text": "a", "id": None})]
    assert found.dead == [(2, "bad_encoding")]


def test_null_texts_are_dead_letters_on_either_side_of_a_pair():
    data = parquet({"text": ["a", None, "c", None], "pair": ["A", "B", None, None]})
    found = read("parquet", data, Columns(("text", "pair"), {}))
    assert found.rows == [(0, {"text": "a", "pair": "A"})]
    assert found.dead == [(1, "null_text"), (2, "null_text"), (3, "null_text")]


def test_text_column_of_nulls_alone_has_no_wrong_type():
    assert read("parquet", parquet({"text": pa.nulls(2)})).reasons == ["null_text"] * 2


def test_text_that_is_no_string_is_a_wrong_type():
    assert read("parquet", parquet({"text": [1, 2, None]})).reasons == ["wrong_type", "wrong_type", "null_text"]
    assert read("parquet", parquet({"text": [["a"], ["b"]]})).reasons == ["wrong_type"] * 2


def test_column_that_is_not_there_makes_each_row_a_dead_letter():
    data = parquet({"text": ["a", "b"], "n": [1, 2]})
    found = read("parquet", data, Columns(("text",), {"label": pa.int64()}))
    assert (found.rows, found.reasons, found.read) == ([], ["missing_column"] * 2, 2)
    assert read("parquet", data, Columns(("body",), {})).reasons == ["missing_column"] * 2
    assert b"".join(letter["raw"] for letter in found.letters) == b'{"text": "a"}{"text": "b"}'


def test_column_that_is_there_twice_is_refused_where_it_is_asked_for():
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"]), pa.array([1])], names=["text", "text", "n"])
    with pytest.raises(JobError, match="a file: 2 columns are called 'text'; rename all but one"):
        read("parquet", parquet(table))


def test_columns_beside_those_that_are_asked_for_are_never_read():
    data = parquet({"text": ["a"], "tree": [{"text": "b", "deep": [1]}], "text.x": ["c"]})
    assert read("parquet", data).rows == [(0, {"text": "a"})]
    assert read("parquet", data, Columns(("text.x",), {})).rows == [(0, {"text.x": "c"})]


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()], ids=str
)
def test_integers_of_every_kind_are_kept_as_any_number(kind):
    for kept in (pa.int32(), pa.int64(), pa.float32(), pa.float64()):
        assert keep(kind, [1, None, 100], kept) == {0: 1, 1: None, 2: 100}


def test_numbers_that_do_not_fit_are_wrong_types_and_their_neighbours_fit():
    assert keep(pa.int64(), [1, 2**31, None, -(2**31)], pa.int32()) == {0: 1, 2: None, 3: -(2**31)}
    assert keep(pa.uint64(), [1, 2**63, 2**63 - 1], pa.int64()) == {0: 1, 2: 2**63 - 1}
    assert keep(pa.float64(), [1.0, 1.5, float("nan"), None, 1e30], pa.int64()) == {0: 1, 3: None}
    assert keep(pa.float64(), [1.5, 1e300, None, -1e300], pa.float32()) == {0: 1.5, 2: None}
    assert keep(pa.bool_(), [True, None], pa.int64()) == {1: None}
    assert keep(pa.int64(), [1, None], pa.bool_()) == {1: None}
    assert keep(pa.string(), ["1", None], pa.int64()) == {1: None}
    assert keep(pa.int64(), [1, None], pa.string()) == {1: None}


def test_integer_fits_a_float_column_however_large():
    assert keep(pa.int64(), [2**53 + 1, 2**63 - 1], pa.float64()) == {0: 2.0**53, 1: 2.0**63}
    assert keep(pa.int64(), [2**24 + 1], pa.float32()) == {0: 2.0**24}


def test_infinity_stays_infinite():
    assert keep(pa.float64(), [float("inf"), -float("inf")], pa.float32()) == {0: float("inf"), 1: -float("inf")}


@pytest.mark.parametrize("cuts", [(), (1,), (2, 3), (1, 2, 3, 4)])
def test_ranges_of_row_groups_give_every_row_its_number_in_the_file(cuts):
    texts = [str(i) for i in range(5 * 700 - 3)]
    data = parquet({"text": texts}, row_group_size=700)
    found = read("parquet", data, cuts=cuts)
    assert found.rows == [(i, {"text": text}) for i, text in enumerate(texts)]


def test_file_without_rows_gives_none():
    assert read("parquet", parquet({"text": pa.array([], pa.string())})).read == 0


def test_row_group_is_streamed_and_never_held_whole():
    rng = np.random.default_rng(0)
    texts = [rng.bytes(500).hex() for _ in range(20_000)]  # 20 MB that hardly compress
    data = parquet({"text": texts}, row_group_size=len(texts), use_dictionary=False)
    stream = io.BytesIO(data)
    before, sizes = pa.total_allocated_bytes(), []
    for i, rows in enumerate(READERS["parquet"].read(stream, Source("f", "f"), TEXT)):
        sizes.append(rows.batch.num_rows)
        if i == 0:
            assert open_parquet(io.BytesIO(data), "f").num_row_groups == 1
            assert pa.total_allocated_bytes() - before < len(data) / 2
    assert sum(sizes) == len(texts)
    assert max(sizes) <= BATCH_ROWS


def test_batches_of_long_documents_are_few_rows():
    data = parquet({"text": ["x" * 100_000 + str(i) for i in range(200)]}, use_dictionary=False, compression="none")
    sizes = [rows.batch.nbytes for rows in READERS["parquet"].read(io.BytesIO(data), Source("f", "f"), TEXT)]
    assert len(sizes) >= 5
    assert max(sizes) <= BATCH_BYTES * 1.1


def test_damaged_file_stops_the_job_by_name():
    data = parquet({"text": [str(i) * 50 for i in range(2000)]}, compression="zstd")
    with pytest.raises(JobError, match=r"read\.files: a file is no readable Parquet file"):
        read("parquet", data[: len(data) // 2])
    with pytest.raises(JobError, match=r"read\.files: a file is no readable Parquet file"):
        read("parquet", b"text\n")
    broken = data[:100] + bytes(len(data) // 2) + data[100 + len(data) // 2 :]
    with pytest.raises(JobError, match=r"read\.files: a file is damaged near row 0"):
        read("parquet", broken)


@pytest.mark.parametrize(
    ("places", "told"),
    [
        (slice(0, None), r"^read.files: a file is damaged near row 300: its footer claims rows up to 304$"),
        (slice(-1, None), r"is no readable Parquet file: it claims 300 rows, and its row groups 304$"),
        (slice(0, 1), r"is no readable Parquet file: it claims 304 rows, and its row groups 300$"),
    ],
)
def test_footer_that_claims_other_rows_than_there_are_is_damaged(places, told):
    """Arrow gives the rows that come, and says nothing of those that do not."""
    sink = io.BytesIO()
    table = pa.table({"text": [f"row {i}" for i in range(300)]})
    pq.write_table(table, sink, write_statistics=False, store_schema=False)
    data = bytearray(sink.getvalue())
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    number = b"\x16\xd8\x04"  # 300 as Thrift has it, a field of 64 bits: of the file, its column, its row group
    claims = [at for at in range(footer, len(data)) if data[at : at + 3] == number]
    assert len(claims) == 3
    assert len(read("parquet", bytes(data), TEXT).rows) == 300
    for at in claims[places]:
        data[at + 1] = 0xE0  # 304
    with pytest.raises(JobError, match=told):
        read("parquet", bytes(data), TEXT)
