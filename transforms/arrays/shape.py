"""The shape of a job: where each row goes, and what rectangle it becomes part of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from transforms.arrays.bucket import Batching, Bucketing, Layout, make_layout
from transforms.arrays.errors import ConfigError, one_of
from transforms.arrays.pad import COLUMNS, Padding, PadValues
from transforms.arrays.truncate import Truncation, check_budget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transforms.arrays.facts import TokenizerFacts
    from transforms.arrays.template import Template

CELL_BYTES = {"input_ids": 4, "attention_mask": 1, "token_type_ids": 1, "special_tokens_mask": 1}

OUTPUT_COLUMNS = (*COLUMNS, "length", "row_id")


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
        if not columns:
            raise ConfigError(
                f"write.columns: the model takes {', '.join(names)}, of which none is made here; say what to write: "
                f"write.columns: [{', '.join(COLUMNS)}]"
            )
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
