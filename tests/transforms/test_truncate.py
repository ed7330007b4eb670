"""The step Truncate without Beam: what its DoFn makes of a batch."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from apache_beam.pvalue import TaggedOutput

from transforms import truncate as step
from transforms.arrays.bucket import Batching, Bucketing
from transforms.arrays.errors import JobError
from transforms.arrays.facts import TokenizerFacts
from transforms.arrays.identity import row_ids
from transforms.arrays.shape import Shape, make_shape
from transforms.arrays.template import Piece, Template
from transforms.arrays.truncate import Truncation

SINGLE = Template((Piece(101, None, 0), Piece(None, 0, 0), Piece(102, None, 0)))
PAIR = Template((*SINGLE.pieces, Piece(None, 1, 1), Piece(102, None, 1)))
FACTS = TokenizerFacts("", 1000, None, "right", "right", "[PAD]", 0, None, SINGLE, PAIR)

PAIRS = [(2, 3), (1, 30), (9, 1)]  # in 8 tokens, 5 of them content: fits, unfit under only_first, is cut


def batch(sizes: list[tuple[int, ...]]) -> Any:
    """Tokenized rows: the ids of the first text go up from 0, those of the second from 500."""
    texts = ["text", "text_pair"][: len(sizes[0])]
    columns = [
        pa.array([list(range(500 * k, 500 * k + s[k])) for s in sizes], pa.list_(pa.int32())) for k in range(len(texts))
    ]
    return pa.RecordBatch.from_pydict(
        {
            "row_id": row_ids("a.txt", np.arange(len(sizes)) * 10),
            **{text: pa.array([f"{text} {n}" for n in range(len(sizes))]) for text in texts},
            "label": pa.array(range(len(sizes)), pa.int64()),
            "input_ids": pa.StructArray.from_arrays(columns, texts),
        }
    )


def shaped(truncation: Truncation, *, pair: bool, **sections: Any) -> Shape:
    return make_shape(FACTS, 0, pair=pair, truncation=truncation, bucketing=Bucketing(boundaries=()), **sections)


def run(rows: Any, shape: Shape) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, int]]:
    """The rows, the dead letters and the counts that come out of a batch."""
    out: list[dict[str, Any]] = []
    dead: list[dict[str, Any]] = []
    counts: dict[str, int] = {}
    for output in step._Truncate(shape, ("text", "text_pair")).process(rows):
        if not isinstance(output, TaggedOutput):
            out += output.to_pylist()
        elif output.tag == "dead_letters":
            dead += output.value.to_pylist()
        else:
            counts |= output.value
    return out, dead, counts


def places(rows: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(row["row_id"]["position"], row["row_id"]["window"]) for row in rows]


def test_rows_are_cut_and_get_their_special_tokens_and_keep_their_columns():
    rows, dead, counts = run(batch([(2,), (0,), (30,)]), shaped(Truncation(max_length=6), pair=False))
    assert [row["input_ids"] for row in rows] == [[101, 0, 1, 102], [101, 102], [101, 0, 1, 2, 3, 102]]
    assert [row["length"] for row in rows] == [
        {"text": 2, "dropped": 0},
        {"text": 0, "dropped": 0},
        {"text": 4, "dropped": 26},
    ]
    assert [set(row) for row in rows] == [{"row_id", "input_ids", "length", "label"}] * 3
    assert (dead, counts) == ([], {"rows_with_output": 3})


def test_an_unfit_row_is_a_dead_letter_with_its_texts():
    shape = shaped(Truncation(max_length=8, strategy="only_first"), pair=True)
    rows, dead, counts = run(batch(PAIRS), shape)
    assert [row["label"] for row in rows] == [0, 2]
    (letter,) = dead
    assert (letter["reason"], letter["file"], letter["position"]) == ("unfit", "a.txt", 10)
    assert letter["message"] == "only_first cannot fit this row into 8 tokens"
    assert json.loads(letter["raw"]) == {"text": "text 1", "text_pair": "text_pair 1", "label": 1}
    assert counts == {"rows_with_output": 2}


def test_an_unfit_row_can_be_dropped_and_is_counted():
    shape = shaped(Truncation(max_length=8, strategy="only_first", on_unfit="drop"), pair=True)
    rows, dead, counts = run(batch(PAIRS), shape)
    assert ([row["label"] for row in rows], dead) == ([0, 2], [])
    assert counts == {"rows_with_output": 2, "dropped.unfit": 1}


def test_an_unfit_row_can_be_cut_by_longest_first():
    shape = shaped(Truncation(max_length=8, strategy="only_first", on_unfit="longest_first"), pair=True)
    rows, dead, counts = run(batch(PAIRS), shape)
    assert rows[1]["input_ids"] == [101, 0, 102, 500, 501, 502, 503, 102]
    assert rows[1]["length"] == {"text": 1, "text_pair": 4, "dropped": 26}
    assert (dead, counts) == ([], {"rows_with_output": 3})


def test_an_unfit_row_can_fail_the_job_with_its_place():
    shape = shaped(Truncation(max_length=8, strategy="only_first", on_unfit="error"), pair=True)
    with pytest.raises(JobError, match=r"^unfit at a\.txt#10: only_first cannot fit .* \(truncate\.on_unfit: error\)$"):
        run(batch(PAIRS), shape)


@pytest.mark.parametrize(("on_unfit", "letters", "dropped"), [("dead_letter", 1, 0), ("drop", 0, 1)])
def test_a_row_of_too_many_windows_goes_the_same_way(on_unfit, letters, dropped):
    truncation = Truncation(max_length=6, overflow=True, max_windows=2, on_unfit=on_unfit)
    rows, dead, counts = run(batch([(8,), (9,), (1,)]), shaped(truncation, pair=False))
    assert places(rows) == [(0, 0), (0, 1), (20, 0)]
    assert [letter["reason"] for letter in dead] == ["too_many_windows"] * letters
    assert counts.get("dropped.unfit", 0) == dropped
    assert (counts["rows_with_output"], counts["windows"]) == (2, 1)


def test_windows_are_rows_of_their_own_that_share_the_stride_and_the_kept_columns():
    truncation = Truncation(max_length=6, overflow=True, stride=2)
    rows, _, _ = run(batch([(0,), (7,)]), shaped(truncation, pair=False))
    assert places(rows) == [(0, 0), (10, 0), (10, 1), (10, 2)]
    assert [row["input_ids"][1:-1] for row in rows] == [[], [0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6]]
    assert [row["label"] for row in rows] == [0, 1, 1, 1]
    assert {row["length"]["dropped"] for row in rows} == {0}


def test_a_row_wider_than_its_share_of_a_batch_is_a_dead_letter_with_all_its_windows():
    shape = shaped(Truncation(strategy=False), pair=False, batching=Batching(rows=2, max_bytes=2 * 6 * 10))
    rows, dead, counts = run(batch([(8,), (9,)]), shape)
    assert [len(row["input_ids"]) for row in rows] == [10]
    assert [(letter["reason"], letter["position"]) for letter in dead] == [("too_long", 10)]
    assert counts == {"rows_with_output": 1}


@pytest.mark.parametrize("chunk", [1, 12, 1000])
def test_large_outputs_come_in_parts_and_windows_of_a_row_stay_together(monkeypatch, chunk):
    truncation = Truncation(max_length=6, overflow=True)
    rows = batch([(n,) for n in (9, 0, 4, 17, 1)])
    whole, _, _ = run(rows, shaped(truncation, pair=False))
    monkeypatch.setattr(step, "CHUNK_TOKENS", chunk)
    parts = [
        o
        for o in step._Truncate(shaped(truncation, pair=False), ("text",)).process(rows)
        if not isinstance(o, TaggedOutput)
    ]
    assert [row for part in parts for row in part.to_pylist()] == whole
    firsts = [places(part.to_pylist())[0][1] for part in parts]
    assert firsts == [0] * len(parts)
    assert len(parts) == {1: 5, 12: 3, 1000: 1}[chunk]


def test_a_slice_of_a_batch_is_cut_as_its_rows_alone():
    rows = batch([(n, 2 * n) for n in (3, 9, 0, 4)])
    shape = shaped(Truncation(max_length=8, overflow=True), pair=True)
    whole, _, _ = run(rows, shape)
    parts = [run(rows.slice(start, 2), shape)[0] for start in (0, 2)]
    assert list(chain.from_iterable(parts)) == whole


def test_no_rows_give_nothing():
    assert run(batch([(1,)]).slice(0, 0), shaped(Truncation(max_length=6), pair=False)) == ([], [], {})
