"""Tokenize: texts become ids, without special tokens yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from transforms.arrays.adopt import with_identity
from transforms.arrays.dead_letters import DeadLetters, add_rows
from transforms.arrays.engines import Engine, Tokenization, choose_engine, encode_or_bisect
from transforms.arrays.errors import JobError
from transforms.arrays.facts import plain_tokenizer
from transforms.arrays.guard import Guard
from transforms.arrays.isolate import IsolatedEngine
from transforms.engine_pool import ENGINE_POOL
from transforms.step import Step, counts, dead
from transforms.tokenizer_files import read_tokenizer_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transforms.breadcrumbs import Breadcrumbs


class Tokenize(Step):
    """Encodes texts.

    Input: RecordBatches with the text columns. Output: the same, `row_id`, and `input_ids`, a struct of one
    list<int32> for each text: its ids without special tokens.

    Args:
        tokenization: The section `tokenize`; workers read the tokenizer from its path.
        texts: The text columns: one, or two for pairs.
        isolate: Whether to encode in a process beside each worker's, so that a text that kills it is a dead letter.
        breadcrumbs: Where to note which batch is being encoded; None for nowhere.
    """

    def __init__(
        self,
        tokenization: Tokenization,
        texts: Sequence[str] = ("text",),
        *,
        isolate: bool = False,
        breadcrumbs: Breadcrumbs | None = None,
    ) -> None:
        super().__init__()
        self._tokenization = tokenization
        self._texts = tuple(texts)
        self._isolate = isolate
        self._breadcrumbs = breadcrumbs

    def dofn(self) -> beam.DoFn:
        """Encodes each batch."""
        return _Tokenize(self._tokenization, self._texts, isolate=self._isolate, breadcrumbs=self._breadcrumbs)


class _Tokenize(beam.DoFn):
    def __init__(
        self,
        tokenization: Tokenization,
        texts: tuple[str, ...],
        *,
        isolate: bool = False,
        breadcrumbs: Breadcrumbs | None = None,
    ) -> None:
        self._tokenization = tokenization
        self._texts = texts
        self._isolate = isolate
        self._breadcrumbs = breadcrumbs
        self._key = (tokenization.tokenizer, tokenization.engine, isolate)

    def setup(self) -> None:
        """Has an engine made, unless the process has one for this tokenizer."""
        ENGINE_POOL.enter(self._key)
        with ENGINE_POOL.borrow(self._key, self._load):
            pass

    def teardown(self) -> None:
        """Lets the engines go, where nobody else uses them."""
        ENGINE_POOL.leave(self._key)

    def process(self, batch: Any) -> Iterator[Any]:
        """Encodes one batch."""
        if self._breadcrumbs is not None:
            self._breadcrumbs.at_batch(batch)
        with ENGINE_POOL.borrow(self._key, self._load) as engine:
            rows, letters = tokenize(batch, engine, self._texts)
            checked = engine.take_checked() if isinstance(engine, Guard | IsolatedEngine) else 0
        if self._breadcrumbs is not None:
            self._breadcrumbs.past_batch()
        yield from dead(letters)
        yield from counts(tokens_checked=checked)
        if rows.num_rows:
            yield rows

    def _load(self) -> Engine:
        files = read_tokenizer_files(self._tokenization.tokenizer)
        if self._isolate:
            return IsolatedEngine(files.tokenizer_json, self._tokenization.engine)
        return choose_engine(plain_tokenizer(files.tokenizer_json), self._tokenization.engine).engine


def tokenize(batch: Any, engine: Engine, texts: Sequence[str]) -> tuple[Any, Any]:
    """Encodes the texts of a batch.

    Args:
        batch: A RecordBatch with `row_id` and the text columns.
        engine: Gives the ids.
        texts: The text columns.

    Returns:
        The batch with `input_ids`, without the rows that cannot be encoded; and these as dead letters.
    """
    for text in texts:
        if text not in batch.schema.names:
            raise JobError(f"Tokenize: there is no column {text!r}; the batch has {', '.join(batch.schema.names)}")
    letters = DeadLetters()
    batch = _without_nulls(with_identity(batch), texts, letters)
    good = np.ones(batch.num_rows, bool)
    encoded = []
    for text in texts:
        ids, failures = encode_or_bisect(engine, _as_strings(batch.column(text)))
        encoded.append(ids.to_arrow())
        for failure in failures:
            if good[failure.row]:
                add_rows(letters, "tokenizer_error", batch, [failure.row], f"{text}: {failure.message}")
            good[failure.row] = False
    names = ["text", "text_pair"][: len(encoded)]
    rows = batch.append_column("input_ids", pa.StructArray.from_arrays(encoded, names))
    return (rows if good.all() else rows.filter(pa.array(good))), letters.to_batch()


def _as_strings(column: Any) -> Any:
    """Makes plain strings of what else can hold them, which only batches from elsewhere have: dictionaries, views."""
    return column if column.type in (pa.string(), pa.large_string()) else column.cast(pa.large_string())


def _without_nulls(batch: Any, texts: Sequence[str], letters: DeadLetters) -> Any:
    """Takes rows without a text out, which only batches from elsewhere have."""
    if not any(batch.column(text).null_count for text in texts):
        return batch
    good = np.ones(batch.num_rows, bool)
    for text in texts:
        null = batch.column(text).is_null().to_numpy(zero_copy_only=False)
        add_rows(letters, "null_text", batch, np.flatnonzero(null & good), f"{text} is null")
        good &= ~null
    return batch.filter(pa.array(good))
