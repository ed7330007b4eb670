import io

import pytest
from rich.console import Console

from pipeline.summary import bucket_rows, bucket_table, percent, totals_table


def drawn(table):
    out = io.StringIO()
    Console(file=out, width=120).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_buckets_add_up_to_the_totals_whatever_the_formats(pairs, windows, unpadded):
    for run in (pairs, windows, unpadded):
        rows, totals = bucket_rows(run.manifest), run.manifest["totals"]
        assert sum(row["rows"] for row in rows) == totals["rows_written"]
        assert sum(row["tokens"] for row in rows) == totals["tokens"]
        assert sum(row["padding"] for row in rows) == totals["padding"]
        assert sum(row["bytes"] for row in rows) == sum(file["bytes"] for file in run.manifest["files"])
        assert sum(row["files"] for row in rows) == len(run.manifest["files"])


def test_buckets_stand_in_the_order_of_their_lengths(pairs, unpadded):
    edges = [8, 16, 32, 48]
    found = [(row["split"], row["bucket"]) for row in bucket_rows(pairs.manifest)]
    assert found == [("train", e) for e in edges] + [("validation", e) for e in edges]
    assert [row["bucket"] for row in bucket_rows(unpadded.manifest)] == [8, 16, "over"]


FILE = {"split": "train", "format": "parquet", "rows": 1000, "batches": 2, "tokens": 3, "padding": 1, "bytes": 5}
TOTALS = {
    "rows_read": 1010,
    "rows_with_output": 1000,
    "rows_written": 1001,
    "windows": 2,
    "rows_truncated": 3,
    "tokens_dropped": 4,
    "tokens": 3,
    "padding": 1,
    "dropped": {"unfit": 5, "empty": 0, "remainder": 1},
    "dead_letters": {"bad_json": 5},
}


def test_table_of_buckets():
    files = [{**FILE, "bucket": 32}, {**FILE, "bucket": 32, "format": "tfrecord"}]
    header, row = drawn(bucket_table({"files": files}))
    assert " ".join(header.split()) == "split bucket files rows batches tokens padding of cells bytes"
    assert row.split() == ["train", "32", "2", "1,000", "2", "3", "1", "25.0", "%", "10"]


def test_table_of_totals_leaves_out_what_did_not_happen():
    lines = drawn(totals_table({"totals": TOTALS}))
    assert [" ".join(line.split()) for line in lines] == [
        "rows read 1,010",
        "rows written 1,001",
        "further windows 2",
        "truncated 3",
        "dropped, unfit 5",
        "dropped, remainder 1",
        "dead letters, bad_json 5",
        "tokens 3",
        "cut off 4",
        "padding 1 (25.0 % of cells)",
    ]


def test_table_of_a_run_without_rows():
    assert len(drawn(bucket_table({"files": []}))) == 1


@pytest.mark.parametrize(("part", "whole", "said"), [(0, 0, "-"), (0, 5, "0.0 %"), (5, 5, "100.0 %"), (2, 3, "66.7 %")])
def test_share_is_spelled_out(part, whole, said):
    assert percent(part, whole) == said
