"""Hugging Face's page "Padding and truncation", cell by cell, with `transformers` as the oracle.

Rows go through the real path: tokenized, truncated, dealt out to one bucket, ordered, cut into batches and padded.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from apache_beam.pvalue import TaggedOutput

from tests.bert_in_numpy import Bert
from tests.conftest import SENTENCES, TokenizerFolder
from transforms.arrays.bucket import Batching, Bucketing
from transforms.arrays.engines import choose_engine
from transforms.arrays.errors import ConfigError
from transforms.arrays.facts import pad_token_id, read_facts
from transforms.arrays.groups import pad_shard
from transforms.arrays.identity import row_ids
from transforms.arrays.pad import COLUMNS, Padding
from transforms.arrays.shape import Shape, make_shape
from transforms.arrays.shards import Shard, deal
from transforms.arrays.truncate import Truncation
from transforms.tokenize import tokenize
from transforms.truncate import _Truncate

GIVEN = 12  # "a given length"; the two templates for pairs with four specials leave 8 tokens of it
ROWS = 7  # of a batch
FULL = (*COLUMNS, "row_id")

STRATEGIES = ("longest_first", "only_first", "only_second")
TRUNCATIONS = [
    ("none", "do_not_truncate"),
    *itertools.product(("model", "given"), STRATEGIES),
]
PADDINGS = ("none", "longest", "model", "given")


class Ours(NamedTuple):
    """What our steps made of rows.

    Attributes:
        batches: Padded batches in their order, each a dict of columns as lists.
        dead: Reasons of dead letters, by row number.
        shape: How they were made.
    """

    batches: list[dict[str, list[Any]]]
    dead: dict[int, str]
    shape: Shape

    def rows(self) -> dict[int, dict[str, list[int]]]:
        """The columns of each row, by its number."""
        return {
            _number(row_id): {name: batch[name][k] for name in COLUMNS}
            for batch in self.batches
            for k, row_id in enumerate(batch["row_id"])
        }


def _number(row_id: str) -> int:
    return int(row_id.split("#")[1])


def run(folder: TokenizerFolder, texts: list[str], pairs: list[str] | None, config: bytes | None = None, **sections):
    """Sends rows through our steps."""
    facts = read_facts(folder.tokenizer_json, config or folder.config_json)
    tokenizer = folder.load()
    sections.setdefault("bucketing", Bucketing(boundaries=()))
    sections.setdefault("batching", Batching(rows=ROWS))
    shape = make_shape(facts, pad_token_id(tokenizer, facts, None), pair=pairs is not None, columns=FULL, **sections)
    columns = {"row_id": row_ids("rows.txt", np.arange(len(texts))), "text": pa.array(texts, pa.string())}
    if pairs is not None:
        columns["text_pair"] = pa.array(pairs, pa.string())
    names = [name for name in columns if name != "row_id"]
    encoded, failures = tokenize(pa.RecordBatch.from_pydict(columns), choose_engine(tokenizer).engine, names)
    assert failures.num_rows == 0
    dead: dict[int, str] = {}
    shards: dict[str, list[Any]] = {}
    for output in _Truncate(shape, tuple(names)).process(encoded):
        if isinstance(output, TaggedOutput):
            letters = output.value.to_pylist() if output.tag == "dead_letters" else []
            dead |= {letter["position"]: letter["reason"] for letter in letters}
            continue
        for stem, rows in deal(output, shape):
            shards.setdefault(stem, []).append(rows)
    batches = []
    for stem, parts in shards.items():
        bucket = Shard.parse(stem).bucket
        for group in pad_shard(parts, bucket, shape):
            size = shape.layout.rows[shape.layout.index(bucket)]
            cuts = range(0, group.columns.num_rows, size)
            batches += [group.columns.slice(start, size).to_pydict() for start in cuts]
    return Ours(batches, dead, shape)


@functools.cache
def transformers_tokenizer(folder: TokenizerFolder) -> Any:
    transformers = pytest.importorskip("transformers")
    return transformers.AutoTokenizer.from_pretrained(str(folder.path))


@functools.cache
def material(folder: TokenizerFolder, pair: bool) -> tuple[list[str], list[str] | None]:
    """Texts of every length that matters, those that hit a limit exactly or by one included."""
    model = transformers_tokenizer(folder).model_max_length
    around = [GIVEN - d for d in (4, 3, 2, 1, 0)] + [model - d for d in (4, 3, 2, 1, 0, -1)]
    lengths = [0, 1, 2, *around, model + 30]
    texts = [" ".join(["a"] * n) for n in lengths] + [*SENTENCES, "[SEP] in a text <sep> </s>", "   "]
    if not pair:
        return texts, None
    few = ["", "a", "a a a a", "a a a a a", *(" ".join(["b"] * n) for n in (8, 9, 10, model + 5)), *SENTENCES[:3]]
    both = list(itertools.product(few, few[:7])) + list(zip(texts, texts[10:] + texts[:10], strict=True))
    both.append((" ".join(["a"] * (model // 2 + 5)), " ".join(["b"] * (model // 2 + 4))))
    return [a for a, _ in both], [b for _, b in both]


def _call(tok: Any, texts: list[str], pairs: list[str] | None, **options: Any) -> list[dict[str, list[int]]]:
    """One batch call: row by row an empty second text would not count as one."""
    encoded = tok(
        texts,
        *([] if pairs is None else [pairs]),
        return_token_type_ids=True,
        return_special_tokens_mask=True,
        **options,
    )
    return [{name: encoded[name][k] for name in COLUMNS} for k in range(len(texts))]


class Cell(NamedTuple):
    """A cell of the page's table, and all that varies within it."""

    truncation: str
    strategy: str
    padding: str
    multiple_of: int | None
    truncation_side: str
    padding_side: str


def expected(tok: Any, texts: list[str], pairs: list[str] | None, cell: Cell) -> list[dict[str, list[int]]]:
    """What `transformers` makes of rows; where one call cannot say it, a call and then its own `pad`."""
    tok.truncation_side = cell.truncation_side
    lengths = {"none": None, "longest": None, "model": tok.model_max_length, "given": GIVEN}
    truncation = {"truncation": cell.strategy, "max_length": lengths[cell.truncation]}
    if cell.truncation == "none":
        truncation = {"truncation": False}
    pad_to = {"none": False, "longest": "longest"}.get(cell.padding, "max_length")
    padding = {"padding": pad_to, "pad_to_multiple_of": cell.multiple_of, "padding_side": cell.padding_side}
    if not pad_to:
        return _call(tok, texts, pairs, **truncation)
    # One call refuses a limit that is no multiple, though it cuts and pads to one in two.
    odd = cell.truncation != "none" and lengths[cell.truncation] % (cell.multiple_of or 1)
    if not odd and (cell.padding == "longest" or cell.truncation in ("none", cell.padding)):
        limit = {} if pad_to == "longest" else {"max_length": lengths[cell.padding]}
        return _call(tok, texts, pairs, **(truncation | padding | limit))
    rows = _call(tok, texts, pairs, **truncation)
    padded = tok.pad(
        {name: [row[name] for row in rows] for name in COLUMNS}, max_length=lengths[cell.padding], **padding
    )
    return [{name: padded[name][k] for name in COLUMNS} for k in range(len(rows))]


@functools.cache
def refused_by_transformers(folder: TokenizerFolder, pair: bool, truncation: str, strategy: str) -> frozenset[int]:
    """Rows that it cannot fit: such a row fails a whole batch call."""
    tok = transformers_tokenizer(folder)
    limit = {"model": tok.model_max_length, "given": GIVEN}.get(truncation)
    refused = set()
    for k, (text, other) in enumerate(zip(*material(folder, pair), strict=True)):
        try:
            tok([text], [other], truncation=strategy, max_length=limit)
        except Exception as error:  # tokenizers raises plain Exception
            if "too short to respect the provided max_length" not in str(error):
                raise
            refused.add(k)
    return frozenset(refused)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("truncation", "strategy"), TRUNCATIONS, ids=lambda value: str(value))
@pytest.mark.parametrize("pair", [False, True], ids=["single", "pair"])
def test_cell_gives_what_transformers_gives(any_tokenizer, pair, truncation, strategy, padding):
    tok = transformers_tokenizer(any_tokenizer)
    texts, pairs = material(any_tokenizer, pair)
    limits = {"none": None, "longest": None, "model": None, "given": GIVEN}
    if strategy == "only_second" and not pair:
        with pytest.raises(ConfigError, match="only_second needs pairs"):
            run(any_tokenizer, texts, pairs, truncation=Truncation(strategy=strategy, max_length=limits[truncation]))
        return
    unfit = frozenset()
    if strategy in ("only_first", "only_second") and pair:
        unfit = refused_by_transformers(any_tokenizer, pair, truncation, strategy)
        assert unfit
    for multiple_of in (None,) if padding == "none" else (None, 8):
        for truncation_side, padding_side in itertools.product(("right", "left"), repeat=2):
            if truncation_side == "left" and truncation == "none":
                continue  # nothing is cut
            cell = Cell(truncation, strategy, padding, multiple_of, truncation_side, padding_side)
            length = tok.model_max_length if (truncation, padding) == ("given", "model") else limits[padding]
            ours = run(
                any_tokenizer,
                texts,
                pairs,
                truncation=Truncation(strategy=strategy, max_length=limits[truncation], side=truncation_side),
                padding=Padding(
                    to={"none": "do_not_pad", "longest": "longest"}.get(padding, "max_length"),
                    length=length,
                    multiple_of=multiple_of,
                    side=padding_side,
                ),
            )
            assert ours.dead == dict.fromkeys(unfit, "unfit")
            assert sorted(ours.rows()) == sorted(set(range(len(texts))) - unfit)
            groups = [[_number(row_id) for row_id in batch["row_id"]] for batch in ours.batches]
            if padding != "longest":
                groups = [list(itertools.chain.from_iterable(groups))]  # the batch does not matter: one call for all
            for group in groups:
                others = None if pairs is None else [pairs[k] for k in group]
                theirs = expected(tok, [texts[k] for k in group], others, cell)
                assert [ours.rows()[k] for k in group] == theirs, cell


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("stride", [0, 3])
def test_windows_are_the_overflow_of_transformers(any_tokenizer, stride, side):
    tok = transformers_tokenizer(any_tokenizer)
    texts, _ = material(any_tokenizer, False)
    truncation = Truncation(max_length=GIVEN, overflow=True, stride=stride, max_windows=1000, side=side)
    ours = run(any_tokenizer, texts, None, truncation=truncation, padding=Padding(to=False))
    found = {
        row_id: ids for batch in ours.batches for row_id, ids in zip(batch["row_id"], batch["input_ids"], strict=True)
    }
    tok.truncation_side = side
    theirs = tok(texts, truncation=True, max_length=GIVEN, stride=stride, return_overflowing_tokens=True)
    seen: dict[int, int] = {}
    windows = {}
    for row, ids in zip(theirs["overflow_to_sample_mapping"], theirs["input_ids"], strict=True):
        seen[row] = seen.get(row, -1) + 1
        windows[f"rows.txt#{row}#{seen[row]}"] = ids
    assert found == windows


def test_sides_of_the_tokenizer_hold_where_none_are_asked_for(xlnet):
    tok = transformers_tokenizer(xlnet)
    texts, pairs = material(xlnet, True)
    ours = run(xlnet, texts, pairs, truncation=Truncation(max_length=GIVEN), padding=Padding(to="max_length"))
    tok.truncation_side = "right"
    theirs = _call(tok, texts, pairs, truncation=True, max_length=GIVEN, padding="max_length")
    assert [row for _, row in sorted(ours.rows().items())] == theirs
    assert ours.rows()[0]["attention_mask"][0] == 0  # and these pad on the left


def test_the_course_sentence_has_the_ids_of_the_page(bert):
    ours = run(bert, [SENTENCES[0]], None)
    assert ours.rows()[0]["input_ids"] == [
        101, 1045, 1005, 2310, 2042, 3403, 2005, 1037, 17662, 12172, 2607, 2026, 2878, 2166, 1012, 102,
    ]  # fmt: skip


def test_a_batch_of_three_and_two_tokens_is_padded_as_on_the_page(bert):
    facts = read_facts(bert.tokenizer_json, bert.config_json, add_special_tokens=False)
    shape = make_shape(facts, pad_token_id(bert.load(), facts, None), columns=FULL)
    ids = pa.StructArray.from_arrays([pa.array([[200] * 3, [200] * 2], pa.list_(pa.int32()))], ["text"])
    rows = pa.RecordBatch.from_pydict({"row_id": row_ids("rows.txt", np.arange(2)), "input_ids": ids})
    (cut,) = [o for o in _Truncate(shape, ()).process(rows) if not isinstance(o, TaggedOutput)]
    ((_, dealt),) = deal(cut, shape)
    (group,) = pad_shard([dealt], 32, shape)
    batch = group.columns.to_pydict()
    found = {_number(row): k for k, row in enumerate(batch["row_id"])}
    assert [batch["input_ids"][found[k]] for k in (0, 1)] == [[200, 200, 200], [200, 200, 0]]
    assert [batch["attention_mask"][found[k]] for k in (0, 1)] == [[1, 1, 1], [1, 1, 0]]


@pytest.fixture(scope="module")
def model(bert):
    return Bert(bert.path)


def test_the_model_in_numpy_knows_what_sentences_mean(bert, model):
    texts = ["A man is eating food.", "A man is eating a piece of bread.", "The weather is cold on the moon."]
    means = []
    for row in (row for _, row in sorted(run(bert, texts, None, padding=Padding(to=False)).rows().items())):
        mean = model([row["input_ids"]], [row["attention_mask"]], [row["token_type_ids"]])[0].mean(0)
        means.append(mean / np.linalg.norm(mean))
    assert means[0] @ means[1] > 0.7
    assert means[0] @ means[2] < 0.2


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_model_gives_each_row_of_a_padded_batch_the_same_output_as_alone_and_does_not_without_the_mask(
    bert, model, side
):
    texts = ["A man is eating food.", SENTENCES[0]]
    batch = run(bert, texts, None, padding=Padding(side=side)).batches[0]
    together = model(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"])
    blind = model(batch["input_ids"], np.ones_like(batch["input_ids"]), batch["token_type_ids"])
    short = min(range(2), key=lambda k: sum(batch["attention_mask"][k]))
    for k in range(2):
        real = np.array(batch["attention_mask"][k]) == 1
        ids, types = (np.array(batch[name][k])[real] for name in ("input_ids", "token_type_ids"))
        alone = model([ids], [np.ones_like(ids)], [types])[0]
        if side == "right":  # absolute positions: a model like BERT is padded on the right
            np.testing.assert_allclose(together[k][real], alone, atol=1e-4)
        elif k == short:
            assert np.abs(together[k][real] - alone).max() > 0.01
        if k == short:
            assert np.abs(blind[k][real] - alone).max() > 0.01


@pytest.mark.parametrize("longest", [512, 4096, 16384])
def test_models_of_long_rows_work_as_short_ones_do(roberta, longest, monkeypatch):
    tok = transformers_tokenizer(roberta)
    monkeypatch.setattr(tok, "model_max_length", longest)
    monkeypatch.setattr(tok, "truncation_side", "right")
    texts = [" ".join(["a"] * n) for n in (5, longest - 3, longest - 2, longest - 1, longest + 500)]
    ours = run(roberta, texts, None, roberta.config(model_max_length=longest), padding=Padding(to="max_length"))
    theirs = _call(tok, texts, None, truncation=True, padding="max_length")
    assert [row for _, row in sorted(ours.rows().items())] == theirs
    assert {len(row["input_ids"]) for row in theirs} == {longest}
    assert ours.shape.notes == ()


@pytest.mark.parametrize("maximum", [None, 10**30])
def test_a_model_without_a_maximum_has_neither_truncation_nor_padding_to_it_and_says_so(roberta, maximum, monkeypatch):
    tok = transformers_tokenizer(roberta)
    monkeypatch.setattr(tok, "model_max_length", 10**30)
    texts = ["a", " ".join(["a"] * 700)]
    ours = run(roberta, texts, None, roberta.config(model_max_length=maximum), padding=Padding(to="max_length"))
    theirs = _call(tok, texts, None, truncation=True, padding="max_length")
    assert [row for _, row in sorted(ours.rows().items())] == theirs
    assert [len(row["input_ids"]) for row in theirs] == [3, 702]
    assert ours.shape.notes == (
        "truncation is OFF: truncate.max_length is not set and the tokenizer names no maximum",
        "padding is OFF: pad.length is not set and the tokenizer names no maximum",
    )


def test_an_empty_second_text_is_a_pair_with_an_empty_side(bert):
    tok = transformers_tokenizer(bert)
    ours = run(bert, ["a", ""], ["", ""])
    assert ours.rows()[0]["input_ids"][:4] == [101, 1037, 102, 102]
    theirs = _call(tok, ["a", ""], ["", ""], padding=True, padding_side="right")
    assert [row for _, row in sorted(ours.rows().items())] == theirs
    with contextlib.suppress(AssertionError):
        assert tok("a", "").input_ids == [101, 1037, 102]  # why rows are never called one by one


def test_the_folder_of_the_real_tokenizer_truncates_and_pads_by_itself_which_is_said_and_undone(bert):
    assert json.loads(bert.tokenizer_json)["truncation"]["max_length"] == 128
    ours = run(bert, ["a " * 200], None)
    assert len(ours.rows()[0]["input_ids"]) == 202
