"""The shape of a job: where each row goes, and what rectangle it becomes part of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from transforms.arrays.adopt import with_identity, with_length
from transforms.arrays.bucket import Batching, Bucketing, Layout, make_layout
from transforms.arrays.errors import ConfigError, one_of
from transforms.arrays.identity import SHARD, choose_split, keys, order, row_id_strings
from transforms.arrays.pad import COLUMNS, Padding, PadValues, pad_columns
from transforms.arrays.ragged import Ragged
from transforms.arrays.truncate import Truncation, check_budget

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from transforms.arrays.facts import TokenizerFacts
    from transforms.arrays.template import Template

CELL_BYTES = {"input_ids": 4, "attention_mask": 1, "token_type_ids": 1, "special_tokens_mask": 1}

OUTPUT_COLUMNS = (*COLUMNS, "length", "row_id")

GROUP_CELLS = 4 << 20  # cells of a row group: enough to encode well, and a few tens of MB in memory

INTERNAL = ("row_id", "input_ids", "length")  # columns of rows on their way; all others are kept columns


class Shard(NamedTuple):
    """One output file, whatever its format.

    Attributes:
        split: Its split's name.
        bucket: Its bucket's label: an edge, "all" or "over".
        number: Its number.
        shards: How many shards a bucket has.

    >>> Shard("train", 128, 3, 8).stem
    'train/bucket-00128/part-00003-of-00008'
    >>> Shard.parse("train/bucket-00128/part-00003-of-00008")
    Shard(split='train', bucket=128, number=3, shards=8)
    """

    split: str
    bucket: int | str
    number: int
    shards: int

    @property
    def stem(self) -> str:
        """Its path without a suffix."""
        bucket = self.bucket if isinstance(self.bucket, str) else f"{self.bucket:05}"
        return f"{self.split}/bucket-{bucket}/part-{self.number:05}-of-{self.shards:05}"

    @classmethod
    def parse(cls, stem: str) -> Shard:
        """Reads a stem back."""
        split, bucket, part = stem.rsplit("/", 2)
        label = bucket.removeprefix("bucket-")
        number, shards = part.removeprefix("part-").split("-of-")
        return cls(split, int(label) if label.isdigit() else label, int(number), int(shards))


@dataclass(frozen=True)
class Shape:
    """All that is decided before a row is seen.

    Attributes:
        truncation: Resolved: limit and side are known.
        template: Special tokens around a row's content.
        layout: Buckets and batches.
        values: What padding is made of.
        columns: Output columns, a subset of `OUTPUT_COLUMNS` in that order.
        seed: Of order, shards and splits.
        shards: Files of one bucket.
        splits: Names and shares.
        notes: What was decided that the user did not ask for, each a sentence.
    """

    truncation: Truncation
    template: Template
    layout: Layout
    values: PadValues
    columns: tuple[str, ...]
    seed: int = 0
    shards: int = 1
    splits: Mapping[str, float] = field(default_factory=lambda: {"train": 1.0})
    notes: tuple[str, ...] = ()

    @property
    def budget(self) -> int | None:
        """Content tokens a row may have; None where there is no limit."""
        if not self.truncation.truncates or self.truncation.max_length is None:
            return None
        return self.truncation.max_length - self.template.specials


def make_shape(
    facts: TokenizerFacts,
    pad_id: int | None,
    *,
    pair: bool = False,
    truncation: Truncation | None = None,
    bucketing: Bucketing | None = None,
    batching: Batching | None = None,
    padding: Padding | None = None,
    columns: str | Sequence[str] = "auto",
    seed: int = 0,
    shards: int = 1,
    splits: Mapping[str, float] | None = None,
) -> Shape:
    """Resolves the configuration against a tokenizer.

    Args:
        facts: What the tokenizer's files say.
        pad_id: Id of the pad token; None will do where nothing is padded.
        pair: Whether rows are pairs.
        truncation: The section `truncate`.
        bucketing: The section `bucket`.
        batching: The section `batch`.
        padding: The section `pad`.
        columns: `write.columns`.
        seed: `run.seed`.
        shards: Files of one bucket.
        splits: The section `split`.

    Returns:
        The shape.

    Raises:
        ConfigError: The sections contradict each other or the tokenizer.
    """
    notes: list[str] = []
    template = facts.pair if pair else facts.single
    truncation = _resolve_truncation(truncation or Truncation(), facts, notes)
    check_budget(truncation, specials=template.specials, pair=pair)
    limit = truncation.max_length if truncation.max_length is not None else facts.model_max_length
    padding = _resolve_padding(padding or Padding(), limit, facts, notes)
    chosen = choose_columns(columns, facts, notes)
    cell_bytes = sum(CELL_BYTES.get(column, 0) for column in chosen)
    layout = make_layout(
        bucketing or Bucketing(),
        batching or Batching(),
        padding,
        limit,
        cell_bytes,
        truncates=truncation.truncates,
        notes=notes,
    )
    if pad_id is None and padding.pads:
        raise ConfigError("pad.token: padding needs the id of a pad token")
    values = PadValues(pad_id or 0, facts.pad_token_type_id, padding.side or "right")
    named = dict(splits or {"train": 1.0})
    _check_splits(named)
    return Shape(truncation, template, layout, values, chosen, seed, shards, named, tuple(notes))


def _resolve_truncation(truncation: Truncation, facts: TokenizerFacts, notes: list[str]) -> Truncation:
    side = truncation.side or facts.truncation_side
    limit, strategy = truncation.max_length, truncation.name
    if truncation.truncates and limit is None:
        limit = facts.model_max_length
        if limit is None:
            strategy = "do_not_truncate"
            notes.append("truncation is OFF: truncate.max_length is not set and the tokenizer names no maximum")
    return msgspec.structs.replace(truncation, side=side, max_length=limit, strategy=strategy)


def _resolve_padding(padding: Padding, limit: int | None, facts: TokenizerFacts, notes: list[str]) -> Padding:
    to, length = padding.name, padding.length
    if to == "max_length" and length is None:
        length = limit
        if length is None:
            to = "do_not_pad"
            notes.append("padding is OFF: pad.length is not set and the tokenizer names no maximum")
    return msgspec.structs.replace(padding, to=to, length=length, side=padding.side or facts.padding_side)


def choose_columns(columns: str | Sequence[str], facts: TokenizerFacts, notes: list[str]) -> tuple[str, ...]:
    """Says which columns are written, in their order.

    Args:
        columns: `write.columns`: "auto" or names.
        facts: What the tokenizer's files say.
        notes: Gets a sentence for a model input that cannot be made.

    Returns:
        Names of `OUTPUT_COLUMNS`, in that order.
    """
    if columns == "auto":
        names = facts.model_input_names
        if names is None:
            names = ("input_ids", "attention_mask", *(("token_type_ids",) if facts.pair.has_types else ()))
        notes += [f"the model takes {name}, which is not made here" for name in names if name not in COLUMNS]
        columns = [name for name in names if name in COLUMNS]
    names = (columns,) if isinstance(columns, str) else tuple(columns)
    for name in names:
        one_of(name, OUTPUT_COLUMNS, "write.columns")
    return tuple(name for name in OUTPUT_COLUMNS if name in names)


def _check_splits(splits: Mapping[str, float]) -> None:
    for name, share in splits.items():
        if not 0 <= share <= 1:
            raise ConfigError(f"split.{name}: {share} is no share; it must be from 0 to 1")
        if not name or name in (".", "..", "dead_letters", "tokenizer") or "/" in name:
            raise ConfigError(f"split.{name}: this cannot be the name of a folder of shards; choose another")
    if abs(sum(splits.values()) - 1) > 1e-9:
        raise ConfigError(f"split: the shares add up to {sum(splits.values())}; they must add up to 1")


def deal(batch: Any, shape: Shape) -> Iterator[tuple[str, Any]]:
    """Deals rows out to shards.

    Args:
        batch: Truncated rows: `input_ids`, `row_id`, `length` and kept columns; a row that has only its ids
            is taken for one that came from nowhere and lost nothing.
        shape: Buckets, shards and splits.

    Yields:
        A shard's stem and its rows, each shard once, in the order of stems' numbers.
    """
    if not batch.num_rows:
        return
    batch = with_length(with_identity(batch), shape.template)
    row_id = batch.column("row_id")
    buckets = shape.layout.bucket_of(np.diff(batch.column("input_ids").offsets.to_numpy()))
    shard = (keys(row_id, shape.seed, SHARD) % np.uint64(shape.shards)).astype(np.int64)
    split = choose_split(row_id, shape.seed, tuple(shape.splits.values()))
    number = (split * len(shape.layout.rows) + buckets) * shape.shards + shard  # int64 [rows]
    by_shard = np.argsort(number, kind="stable")
    rows = batch.take(pa.array(by_shard))
    edges = np.flatnonzero(np.diff(number[by_shard], prepend=-1, append=-1))
    names = list(shape.splits)
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        of_split, rest = divmod(int(number[by_shard[start]]), len(shape.layout.rows) * shape.shards)
        bucket, index = divmod(rest, shape.shards)
        label = shape.layout.label(bucket)
        yield Shard(names[of_split], label, index, shape.shards).stem, rows.slice(start, stop - start)


class Group(NamedTuple):
    """Whole batches of one shard, padded.

    Attributes:
        columns: A RecordBatch: kept columns, then those of `Shape.columns`.
        widths: How wide each row is, int64 [rows].
        tokens: Real tokens.
        truncated: Rows that lost tokens.
        dropped: Content tokens they lost.
    """

    columns: Any
    widths: NDArray[np.int64]
    tokens: int
    truncated: int
    dropped: int


def pad_shard(parts: Sequence[Any], bucket: int | str, shape: Shape) -> Iterator[Group]:
    """Orders a shard's rows, cuts them into batches and pads these, some batches at a time.

    Args:
        parts: Its rows in any order and any number of RecordBatches.
        bucket: Its bucket's label.
        shape: How batches are made.

    Yields:
        Whole batches, of about `GROUP_CELLS` cells; the last batch of all may be smaller, and is left out
        where the layout drops remainders.
    """
    if not parts:
        return
    # The ids are gathered by numpy alone, whose offsets do not end at 2 GiB.
    rows = pa.Table.from_batches([part.drop_columns(["input_ids"]) for part in parts]).combine_chunks()
    index = shape.layout.index(bucket)
    ids = Ragged.concatenate([Ragged.from_arrow(part.column("input_ids")) for part in parts])
    ordered = order(_struct(rows, "row_id"), shape.seed)
    per_batch = shape.layout.rows[index]
    if shape.layout.drop_remainder:
        ordered = ordered[: len(ordered) // per_batch * per_batch]
    widths = shape.layout.widths(ids.lengths[ordered], index)
    for start, stop in _group_edges(widths, per_batch):
        taken = ordered[start:stop]
        yield _pad_group(rows.take(pa.array(taken)), ids.take(taken), widths[start:stop], shape)


def _group_edges(widths: NDArray[np.int64], per_batch: int) -> Iterator[tuple[int, int]]:
    """Cuts rows into runs of whole batches with about `GROUP_CELLS` cells."""
    if not len(widths):
        return
    starts = np.arange(0, len(widths), per_batch)
    cells = np.cumsum(np.add.reduceat(widths, starts))
    group = np.maximum(cells - 1, 0) // GROUP_CELLS  # the group in which each batch ends
    first = starts[np.flatnonzero(np.diff(group, prepend=-1))]
    yield from zip(first.tolist(), [*first[1:].tolist(), len(widths)], strict=True)


def _pad_group(rows: Any, ids: Ragged, widths: NDArray[np.int64], shape: Shape) -> Group:
    contents, dropped = _lengths(_struct(rows, "length"))
    cells = tuple(column for column in shape.columns if column in COLUMNS)
    padded = pad_columns(ids, contents, widths, shape.template, shape.values, cells)
    columns = {name: rows.column(name).combine_chunks() for name in rows.column_names if name not in INTERNAL}
    row_id = _struct(rows, "row_id")
    for name in shape.columns:
        if name == "length":
            columns[name] = pa.array(ids.lengths.astype(np.int32))
        elif name == "row_id":
            columns[name] = row_id_strings(row_id, windows=shape.truncation.overflow)
        else:
            columns[name] = padded[name].to_arrow()
    return Group(
        columns=pa.RecordBatch.from_arrays([_whole(c) for c in columns.values()], names=list(columns)),
        widths=widths,
        tokens=int(ids.offsets[-1]),
        truncated=int(np.count_nonzero(dropped)),
        dropped=int(dropped.sum()),
    )


def _lengths(length: Any) -> tuple[tuple[NDArray[np.int64], ...], NDArray[np.int64]]:
    """Takes the column `length` of rows on their way apart: content tokens of each text, tokens dropped."""
    *contents, dropped = (column.to_numpy().astype(np.int64) for column in length.flatten())
    return tuple(contents), dropped


def _whole(array: Any) -> Any:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _struct(rows: Any, name: str) -> Any:
    """Takes a struct column of a table as one array."""
    return _whole(rows.column(name))
