"""Reads what a contestant wrote with somebody else's reader: pyarrow for Parquet, TensorFlow for TFRecord."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks import digests
from benchmarks.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from benchmarks.digests import Summary

ROWS = 4_096  # read at once

Columns = tuple[
    "NDArray[np.int64]",  # id [rows]
    "NDArray[np.int64]",  # input_ids, one row behind the other [cells]
    "NDArray[np.int64]",  # attention_mask [cells]
    "NDArray[np.int64]",  # width of each row [rows]
]


def read_back(folder: Path, format_name: str, pad_id: int) -> Summary:
    """Reads an output whole and checks its masks.

    Args:
        folder: Where the shards are, at any depth; or the digests of one that only encodes.
        format_name: A key of `READERS`, or "none".
        pad_id: What rows have to be padded with.

    Returns:
        Its rows by id.

    Raises:
        BenchmarkError: A mask or the padding is not what it has to be, or there is no file.
    """
    if format_name == "none":
        return digests.load(folder)
    found = digests.Digests()
    files = sorted(folder.rglob(f"*.{format_name}"))
    if not files:
        raise BenchmarkError(f"{folder}: no *.{format_name} in it")
    for file in files:
        for ids, tokens, mask, widths in READERS[format_name](file):
            lengths = _check_rows(file, ids, tokens, mask, widths, pad_id)
            found.add(ids, tokens[mask == 1], lengths, len(tokens))
    return found.summary()


def _check_rows(file: Path, ids: Any, tokens: Any, mask: Any, widths: Any, pad_id: int) -> NDArray[np.int64]:
    """Checks that each mask is ones and then zeros, and that `pad_id` stands under all zeros; returns the ones."""
    row = np.repeat(np.arange(len(widths)), widths)
    starts = np.cumsum(widths) - widths
    lengths = np.bincount(row, mask == 1, len(widths)).astype(np.int64)
    expected = np.arange(len(tokens)) - starts[row] < lengths[row]
    wrong = np.flatnonzero((mask != expected) | ((mask == 0) & (tokens != pad_id)))
    if len(wrong):
        at = row[wrong[0]]
        raise BenchmarkError(
            f"{file.name}: row {ids[at]}: attention_mask {mask[row == at].tolist()} does not fit "
            f"input_ids {tokens[row == at].tolist()}, padded with {pad_id}"
        )
    return lengths


def _read_parquet(file: Path) -> Iterator[Columns]:
    for batch in pq.ParquetFile(file).iter_batches(ROWS, columns=["id", "input_ids", "attention_mask"]):
        values, widths = zip(*(_parts(batch[name]) for name in ("input_ids", "attention_mask")), strict=True)
        if not np.array_equal(*widths):
            raise BenchmarkError(f"{file.name}: rows whose attention_mask is not as long as their input_ids")
        yield batch["id"].to_numpy(zero_copy_only=False).astype(np.int64), *values, widths[0]


def _parts(column: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    values = column.flatten().to_numpy(zero_copy_only=False).astype(np.int64)
    return values, column.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)


def _read_tfrecord(file: Path) -> Iterator[Columns]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it tells of the processor's instructions,
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # and of this library, which nothing here uses
    import tensorflow as tf

    ragged = {
        name: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64) for name in ("input_ids", "attention_mask")
    }
    features = {"id": tf.io.FixedLenFeature([], tf.int64), **ragged}
    for batch in tf.data.TFRecordDataset(str(file)).batch(ROWS):
        rows = tf.io.parse_example(batch, features)
        ids, mask = rows["input_ids"], rows["attention_mask"]
        widths = ids.row_lengths().numpy()
        if not np.array_equal(widths, mask.row_lengths().numpy()):
            raise BenchmarkError(f"{file.name}: rows whose attention_mask is not as long as their input_ids")
        yield rows["id"].numpy(), ids.values.numpy(), mask.values.numpy(), widths


READERS: dict[str, Callable[[Path], Iterator[Columns]]] = {"parquet": _read_parquet, "tfrecord": _read_tfrecord}
